/*
 * Claims about held.h: which rings wait, and that each of them comes.
 */
#include "clock.h"
#include "held.h"
#include "process.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <sched.h>

#define WINDOW 2u
#define WAITING_WORD ((uint64_t)CADRE_FLAG_WAITING << 3)

static struct scene scene;
static struct cadre_view view;
static struct cadre_held held;

/* Bound to one CPU, so that "here" stays what it is. */
static void begin(void)
{
	const struct cadre_limits limits = {
		.workers = 1,
		.workers_min = 1,
		.parallel = 1,
		.clients = 4,
		.slots = 64,
		.payload_max = 64,
	};
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	scene_begin(&scene);
	cr_assert_eq(cadre_layout_create(scene.pool, &limits, 0600, &view, NULL), 0);
	held = (struct cadre_held){ 0 };
}

static void end(void)
{
	cadre_layout_close(&view);
	cadre_segment_remove(scene.pool);
	scene_end(&scene);
}

TestSuite(held, .init = begin, .fini = end, .timeout = 60);

static void wait_at(unsigned window, uint32_t cpu)
{
	atomic_store(&view.client_bells[window].cpu, cpu);
}

static uint32_t rings(unsigned window)
{
	return atomic_load(&view.client_bells[window].rings);
}

static uint32_t slot_of(unsigned window)
{
	return window * view.limits.slots + 5;
}

static void end_job(unsigned window, uint64_t word)
{
	cadre_held_ring(&held, &view, slot_of(window), word, cadre_clock_ns());
}

Test(held, for_a_job_that_nobody_waits_for_there_is_no_ring)
{
	wait_at(WINDOW, cadre_process_cpu());
	end_job(WINDOW, 0);

	cr_assert_eq(held.bits, 0);
	cadre_held_let_go(&held, &view);
	cr_assert_eq(rings(WINDOW), 0);
}

Test(held, a_client_that_waits_on_another_cpu_is_rung_for_at_once)
{
	wait_at(WINDOW, cadre_process_cpu() + 1);
	end_job(WINDOW, WAITING_WORD);

	cr_assert_eq(rings(WINDOW), 1);
	cr_assert_eq(held.bits, 0);
}

Test(held, one_of_which_nobody_knows_where_it_waits_is_rung_for_at_once)
{
	end_job(WINDOW, WAITING_WORD);
	cr_assert_eq(rings(WINDOW), 1);
}

Test(held, a_client_on_our_cpu_is_rung_for_once_for_all_that_has_ended)
{
	wait_at(WINDOW, cadre_process_cpu());
	for (int i = 0; i < 32; i++)
		end_job(WINDOW, WAITING_WORD);
	cr_assert_eq(rings(WINDOW), 0);

	cadre_held_let_go(&held, &view);
	cr_assert_eq(rings(WINDOW), 1);
	cadre_held_let_go(&held, &view);
	cr_assert_eq(rings(WINDOW), 1, "there was none any more");
}

Test(held, a_ring_for_another_client_lets_the_first_one_go)
{
	wait_at(WINDOW, cadre_process_cpu());
	wait_at(WINDOW + 1, cadre_process_cpu());
	end_job(WINDOW, WAITING_WORD);
	end_job(WINDOW + 1, WAITING_WORD);

	cr_assert_eq(rings(WINDOW), 1);
	cr_assert_eq(rings(WINDOW + 1), 0);
	cadre_held_give_way(&held, &view);
	cr_assert_eq(rings(WINDOW + 1), 1);
}

Test(held, a_ring_is_due_by_the_end_of_the_first_job_and_not_of_the_last)
{
	const int64_t first_ns = cadre_clock_ns();

	wait_at(WINDOW, cadre_process_cpu());
	cadre_held_ring(&held, &view, slot_of(WINDOW), WAITING_WORD, first_ns);
	cadre_held_ring(&held, &view, slot_of(WINDOW), WAITING_WORD,
			first_ns + CADRE_HELD_MOST_NS / 2);

	cr_assert_not(cadre_held_is_due(&held, first_ns + CADRE_HELD_MOST_NS));
	cr_assert(cadre_held_is_due(&held, first_ns + CADRE_HELD_MOST_NS + 1));
}
