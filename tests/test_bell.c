/*
 * Claims about bell.h: a ring is never missed by who remembered the count before it, and
 * wakes only whom it is meant for. Sleeper and ringer are two processes.
 */
#include "bell.h"
#include "child.h"
#include "clock.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#define LONG_NS (20 * CADRE_NS_PER_S)

enum { WOKEN, TIMED_OUT };

static struct scene scene;

/* Shared with the children. */
static struct cadre_bell *bell;

static void begin(void)
{
	scene_begin(&scene);
	bell = child_share(sizeof(*bell));
}

static void end(void)
{
	scene_end(&scene);
}

TestSuite(bell, .init = begin, .fini = end, .timeout = 60);

/* A child: sleeps for a ring that meets the bits. */
static int sleep_for(void *bits)
{
	const uint32_t remembered = cadre_bell_remember(bell);

	return cadre_bell_sleep(bell, remembered, *(const uint32_t *)bits, LONG_NS) ?
		       WOKEN :
		       TIMED_OUT;
}

static pid_t start_sleeper(uint32_t bits)
{
	const pid_t sleeper = child_start(sleep_for, &bits);

	child_await_asleep(sleeper);
	return sleeper;
}

Test(bell, a_ring_since_the_count_was_remembered_makes_the_sleep_return_at_once)
{
	const uint32_t remembered = cadre_bell_remember(bell);
	const int64_t before_ns = cadre_clock_ns();

	cr_assert_eq(cadre_bell_ring(bell, CADRE_BELL_EVERYONE, 1), 0, "nobody slept");

	cr_assert(cadre_bell_sleep(bell, remembered, 1, LONG_NS));
	cr_assert_lt(cadre_clock_ns() - before_ns, LONG_NS / 2);
}

Test(bell, a_ring_before_the_count_was_remembered_is_none)
{
	cadre_bell_ring(bell, CADRE_BELL_EVERYONE, 1);

	cr_assert_not(
		cadre_bell_sleep(bell, cadre_bell_remember(bell), 1, CADRE_NS_PER_MS));
}

Test(bell, a_sleep_that_nobody_ends_lasts_as_long_as_was_said)
{
	const int64_t before_ns = cadre_clock_ns();

	cr_assert_not(cadre_bell_sleep(bell, cadre_bell_remember(bell), 1,
				       10 * CADRE_NS_PER_MS));
	cr_assert_geq(cadre_clock_ns() - before_ns, 10 * CADRE_NS_PER_MS);
}

Test(bell, a_ring_wakes_a_sleeper_in_another_process)
{
	const pid_t sleeper = start_sleeper(CADRE_BELL_EVERYONE);

	cr_assert_eq(cadre_bell_ring(bell, CADRE_BELL_EVERYONE, 1), 1);
	cr_assert_eq(child_end(sleeper), WOKEN);
}

Test(bell, bits_select_who_wakes)
{
	const pid_t first = start_sleeper(1u << 3);
	const pid_t second = start_sleeper(1u << 4);

	cr_assert_eq(cadre_bell_ring(bell, 1u << 5, INT32_MAX), 0,
		     "nobody sleeps for that");
	cr_assert_eq(cadre_bell_ring(bell, 1u << 4, INT32_MAX), 1);
	cr_assert_eq(child_end(second), WOKEN);

	cr_assert_eq(cadre_bell_ring(bell, 1u << 3 | 1u << 9, INT32_MAX), 1);
	cr_assert_eq(child_end(first), WOKEN);
}

Test(bell, a_ring_wakes_no_more_than_it_was_told_to)
{
	const pid_t sleepers[] = { start_sleeper(1), start_sleeper(1), start_sleeper(1) };

	cr_assert_eq(cadre_bell_ring(bell, 1, 1), 1);
	cr_assert_eq(cadre_bell_ring(bell, 1, INT32_MAX), 2);

	for (unsigned i = 0; i < CADRE_COUNT_OF(sleepers); i++)
		cr_assert_eq(child_end(sleepers[i]), WOKEN);
}

Test(bell, a_ring_for_a_sleeper_that_was_killed_wakes_nobody)
{
	child_kill(start_sleeper(1));

	cr_assert_eq(cadre_bell_ring(bell, 1, 1), 0);
}

Test(bell, a_count_that_passes_zero_still_tells_a_ring)
{
	atomic_store(&bell->rings, UINT32_MAX);
	const uint32_t remembered = cadre_bell_remember(bell);

	cadre_bell_ring(bell, CADRE_BELL_EVERYONE, 1);

	cr_assert_eq(cadre_bell_remember(bell), 0);
	cr_assert(cadre_bell_sleep(bell, remembered, 1, LONG_NS));
}

/* What a ringer leaves that dies between counting and waking: the sleeper sleeps on, and
 * the ring of whoever reaps it ends that. */
Test(bell, a_ringer_that_died_before_the_wake_leaves_a_bell_that_can_be_rung)
{
	const pid_t sleeper = start_sleeper(1);

	atomic_fetch_add(&bell->rings, 1);

	cr_assert_eq(cadre_bell_ring(bell, 1, 1), 1);
	cr_assert_eq(child_end(sleeper), WOKEN);
}

static void ignore(int signal_number)
{
	(void)signal_number;
}

static int sleep_through_a_signal(void *unused)
{
	const struct sigaction action = { .sa_handler = ignore };

	sigaction(SIGUSR1, &action, NULL);
	(void)unused;
	return cadre_bell_sleep(bell, cadre_bell_remember(bell), 1, LONG_NS) ? WOKEN :
									       TIMED_OUT;
}

Test(bell, a_signal_ends_a_sleep_as_if_it_had_been_woken_for_no_reason)
{
	const pid_t sleeper = child_start(sleep_through_a_signal, NULL);

	child_await_asleep(sleeper);
	kill(sleeper, SIGUSR1);

	cr_assert_eq(child_end(sleeper), WOKEN);
}

/* ---- notices ---- */

static int sleep_for_notices(void *context)
{
	const uint32_t remembered = cadre_bell_remember_notices(bell);
	const int64_t before_ns = cadre_clock_ns();

	(void)context;
	cadre_bell_sleep_for_notices(bell, remembered, LONG_NS);
	return cadre_clock_ns() - before_ns < LONG_NS ? WOKEN : TIMED_OUT;
}

Test(bell, a_notice_wakes_who_listens_and_not_who_sleeps_for_rings)
{
	pid_t watcher, sleeper;

	cadre_bell_listen(bell, true);
	sleeper = start_sleeper(CADRE_BELL_EVERYONE);
	watcher = child_start(sleep_for_notices, NULL);
	child_await_asleep(watcher);

	cadre_bell_notify(bell);
	cr_assert_eq(child_end(watcher), WOKEN);
	/* Still there: this ring finds one to wake. */
	cr_assert_eq(cadre_bell_ring(bell, CADRE_BELL_EVERYONE, 1), 1);
	cr_assert_eq(child_end(sleeper), WOKEN);
}

Test(bell, a_notice_to_who_does_not_listen_changes_nothing)
{
	const uint32_t remembered = cadre_bell_remember_notices(bell);

	cadre_bell_notify(bell);
	cr_assert_eq(cadre_bell_remember_notices(bell), remembered);
	cadre_bell_listen(bell, true);
	cadre_bell_notify(bell);
	cr_assert_neq(cadre_bell_remember_notices(bell), remembered);
	cadre_bell_listen(bell, false);
	cr_assert_not(cadre_bell_is_heard(bell));
}
