/*
 * Claims about crew.h: who would do a job, and that a wake reaches somebody who sleeps.
 * Sleeping workers are processes of their own.
 */
#include "child.h"
#include "clock.h"
#include "crew.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <string.h>

#define WORKERS 130u /* more than two words of a mask */
#define LONG_NS (20 * CADRE_NS_PER_S)

enum { WOKEN, TIMED_OUT };

static struct scene scene;

/* Shared with the children. */
static struct {
	struct cadre_crew crew;
	struct cadre_bell bells[WORKERS];
} * shared;

static void begin(void)
{
	scene_begin(&scene);
	shared = child_share(sizeof(*shared));
}

static void end(void)
{
	scene_end(&scene);
}

TestSuite(crew, .init = begin, .fini = end, .timeout = 60);

static void be_up(unsigned worker)
{
	cadre_mask_set(&shared->crew.up, worker);
}

static void say_asleep(unsigned worker)
{
	be_up(worker);
	cadre_mask_set(&shared->crew.sleepers, worker);
}

static void say_engaged(unsigned worker)
{
	be_up(worker);
	cadre_mask_set(&shared->crew.engaged, worker);
}

static int sleep_as(void *worker)
{
	struct cadre_bell *const bell = &shared->bells[*(const unsigned *)worker];
	const uint32_t remembered = cadre_bell_remember(bell);

	say_asleep(*(const unsigned *)worker);
	return cadre_bell_sleep(bell, remembered, CADRE_BELL_EVERYONE, LONG_NS) ?
		       WOKEN :
		       TIMED_OUT;
}

static pid_t start_sleeper(unsigned worker)
{
	const pid_t sleeper = child_start(sleep_as, &worker);

	child_await_asleep(sleeper);
	return sleeper;
}

static enum cadre_crew_look look(void)
{
	return cadre_crew_look(&shared->crew, WORKERS);
}

static bool wake(unsigned *turn)
{
	return cadre_crew_wake(&shared->crew, shared->bells, WORKERS, turn);
}

/* ---- who is there ---- */

Test(crew, where_nobody_is_up_a_larger_crew_would_help)
{
	cr_assert_eq(look(), CADRE_CREW_ENGAGED);
}

Test(crew, one_worker_that_is_awake_and_free_is_enough)
{
	static const unsigned awake[] = { 0, 63, 64, 129 };

	for (unsigned i = 0; i < CADRE_COUNT_OF(awake); i++) {
		memset(&shared->crew, 0, sizeof(shared->crew));
		for (unsigned worker = 0; worker < WORKERS; worker++) {
			if (worker == awake[i])
				be_up(worker);
			else if (worker % 2)
				say_asleep(worker);
			else
				say_engaged(worker);
		}
		cr_assert_eq(look(), CADRE_CREW_LOOKING, "worker %u", awake[i]);
	}
}

Test(crew, a_sleeper_in_the_last_word_is_seen_when_all_others_are_engaged)
{
	for (unsigned worker = 0; worker < WORKERS - 1; worker++)
		say_engaged(worker);
	cr_assert_eq(look(), CADRE_CREW_ENGAGED);

	say_asleep(WORKERS - 1);
	cr_assert_eq(look(), CADRE_CREW_ASLEEP);
}

Test(crew, a_worker_that_is_starting_does_not_count_as_awake)
{
	say_asleep(0);

	/* Worker 1 has not set its bit yet. */
	cr_assert_eq(look(), CADRE_CREW_ASLEEP);
}

Test(crew, a_dead_worker_is_forgotten_in_every_mask)
{
	say_asleep(70);
	say_engaged(70);
	say_asleep(71);

	cadre_crew_forget(&shared->crew, 70);

	cr_assert_not(cadre_mask_has(&shared->crew.up, 70));
	cr_assert_not(cadre_mask_has(&shared->crew.engaged, 70));
	cr_assert_not(cadre_mask_has(&shared->crew.sleepers, 70));
	cr_assert(cadre_mask_has(&shared->crew.up, 71), "its neighbour is not");
	cr_assert(cadre_mask_has(&shared->crew.sleepers, 71));
}

/* ---- waking ---- */

Test(crew, with_no_sleeper_nobody_is_rung)
{
	unsigned turn = 0;

	be_up(0);
	say_engaged(1);

	cr_assert_not(wake(&turn));
	for (unsigned worker = 0; worker < WORKERS; worker++)
		cr_assert_eq(atomic_load(&shared->bells[worker].rings), 0);
}

Test(crew, one_sleeper_of_two_wakes_and_the_turn_goes_to_the_other)
{
	const pid_t first = start_sleeper(3);
	const pid_t second = start_sleeper(100);
	unsigned turn = 0;

	cr_assert(wake(&turn));
	cr_assert_eq(child_end(first), WOKEN);
	cr_assert_eq(turn, 4);
	cr_assert_eq(atomic_load(&shared->bells[100].rings), 0);

	cr_assert(wake(&turn));
	cr_assert_eq(child_end(second), WOKEN);
}

Test(crew, when_a_ring_woke_nobody_the_next_sleeper_is_tried)
{
	const pid_t sleeper = start_sleeper(90);
	unsigned turn = 0;

	/* On their way out of their sleep, or dead and not reaped yet. */
	say_asleep(5);
	say_asleep(64);

	cr_assert(wake(&turn));
	cr_assert_eq(child_end(sleeper), WOKEN);
	cr_assert_eq(atomic_load(&shared->bells[5].rings), 1, "it was rung all the same");
}

Test(crew, the_search_goes_round_to_the_sleepers_before_the_turn)
{
	const pid_t sleeper = start_sleeper(2);
	unsigned turn = 100;

	say_asleep(120);

	cr_assert(wake(&turn));
	cr_assert_eq(child_end(sleeper), WOKEN);
}

Test(crew, a_turn_that_is_out_of_range_begins_anew)
{
	const pid_t sleeper = start_sleeper(0);
	unsigned turn = UINT32_MAX;

	cr_assert(wake(&turn));
	cr_assert_eq(child_end(sleeper), WOKEN);
}

Test(crew, a_search_that_wakes_nobody_rings_each_sleeper_once_and_ends)
{
	unsigned turn = 65;

	say_asleep(1);
	say_asleep(64);
	say_asleep(129);

	cr_assert_not(wake(&turn));
	cr_assert_eq(atomic_load(&shared->bells[1].rings), 1);
	cr_assert_eq(atomic_load(&shared->bells[64].rings), 1);
	cr_assert_eq(atomic_load(&shared->bells[129].rings), 1);
}

Test(crew, sleepers_beyond_the_number_of_workers_are_not_followed)
{
	unsigned turn = 0;

	memset(&shared->crew.sleepers, 0xff, sizeof(shared->crew.sleepers));

	/* There is no bell 130. */
	cr_assert_not(wake(&turn));
	cr_assert_eq(cadre_crew_wake_all(&shared->crew, shared->bells, WORKERS), 0);
}

Test(crew, waking_all_wakes_all)
{
	const pid_t sleepers[] = { start_sleeper(0), start_sleeper(63),
				   start_sleeper(64) };

	cr_assert_eq(cadre_crew_wake_all(&shared->crew, shared->bells, WORKERS), 3);
	for (unsigned i = 0; i < CADRE_COUNT_OF(sleepers); i++)
		cr_assert_eq(child_end(sleepers[i]), WOKEN);
}

/* ---- roused ---- */

static unsigned roused(int64_t after_ns)
{
	return cadre_crew_roused(&shared->crew, shared->bells, WORKERS,
				 cadre_clock_ns() + after_ns);
}

/* As a worker does, and then sleeps or not. */
static void lie_down(unsigned worker)
{
	be_up(worker);
	cadre_crew_take_nap(&shared->bells[worker]);
	say_asleep(worker);
}

Test(crew, who_sleeps_and_was_not_rung_for_is_not_roused)
{
	lie_down(0);
	lie_down(WORKERS - 1);
	cr_assert_eq(roused(0), 0);
}

Test(crew, who_was_rung_for_is_roused_until_he_is_up)
{
	lie_down(3);
	lie_down(100);

	/* Nobody was in his sleep: both were about to. */
	cr_assert_eq(cadre_crew_rouse(&shared->bells[3]), 0);
	cr_assert_eq(roused(0), 1);
	cr_assert_eq(cadre_crew_wake_all(&shared->crew, shared->bells, WORKERS), 0);
	cr_assert_eq(roused(0), 2);

	cadre_mask_clear(&shared->crew.sleepers, 3);
	cr_assert_eq(roused(0), 1);
}

Test(crew, a_ring_that_ended_one_nap_says_nothing_of_the_next)
{
	lie_down(7);
	cadre_crew_rouse(&shared->bells[7]);
	cadre_mask_clear(&shared->crew.sleepers, 7);

	lie_down(7);
	cr_assert_eq(roused(0), 0);
}

Test(crew, who_rings_for_one_nap_and_says_so_during_the_next_rouses_nobody)
{
	lie_down(7);
	/* The waker stops between its look at the nap and the ring, and goes on later. */
	atomic_store(&shared->bells[7].roused, 1);
	atomic_store(&shared->bells[7].roused_ns, cadre_clock_ns());
	cr_assert_eq(roused(0), 1);
	lie_down(7);
	cr_assert_eq(roused(0), 0);
}

Test(crew, one_who_does_not_get_up_is_not_counted_upon_for_long)
{
	lie_down(7);
	cadre_crew_rouse(&shared->bells[7]);

	cr_assert_eq(roused(0), 1);
	cr_assert_eq(roused(10 * CADRE_NS_PER_MS), 0);
}

Test(crew, a_time_that_no_clock_has_told_makes_nobody_roused)
{
	static const int64_t times_ns[] = { INT64_MAX, INT64_MIN, 0 };

	lie_down(7);
	cadre_crew_rouse(&shared->bells[7]);
	for (size_t i = 0; i < CADRE_COUNT_OF(times_ns); i++) {
		atomic_store(&shared->bells[7].roused_ns, times_ns[i]);
		cr_assert_eq(roused(0), 0, "%zu", i);
	}
}

Test(crew, a_ring_for_somebody_else_on_the_bell_rouses_no_dispatcher)
{
	lie_down(7);
	cadre_bell_ring(&shared->bells[7], 1, INT32_MAX);
	cr_assert_eq(roused(0), 0);
}
