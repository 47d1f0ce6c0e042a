/*
 * test_pulse.c - claims about what the supervisor feels once a second. The clock is the
 * test's own, so a second passes when it says so.
 */
#include "pulse.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#define WORKERS 2u
#define S INT64_C(1000000000)
#define START_NS (1000 * S)

static struct cadre_view view;
static struct cadre_header header;
static struct cadre_place_stats stats[WORKERS];
static struct cadre_pulse pulse;
static int64_t now_ns;

static void begin(void)
{
	now_ns = START_NS;
	view.limits.workers = WORKERS;
	view.header = &header;
	view.worker_stats = stats;
	cr_assert_eq(cadre_pulse_init(&pulse, &view), 0);
	for (unsigned worker = 0; worker < WORKERS; worker++)
		cadre_stats_turn_to(&stats[worker], CADRE_ACTIVITY_IDLE, now_ns);
	now_ns++;
	cadre_pulse_beat(&pulse, now_ns);
}

static void end(void)
{
	cadre_pulse_fini(&pulse);
}

TestSuite(pulse, .init = begin, .fini = end);

/* A second of which a worker works so much, at its end, and ends so many jobs. */
static void live_a_second(unsigned worker, int64_t busy_ns, uint64_t jobs)
{
	if (busy_ns > 0) {
		cadre_stats_turn_to(&stats[worker], CADRE_ACTIVITY_BUSY,
				    now_ns + S - busy_ns);
		cadre_stats_turn_to(&stats[worker], CADRE_ACTIVITY_IDLE, now_ns + S);
	}
	cadre_count_add(&stats[worker].worker.jobs_ok, jobs);
	now_ns += S;
	cadre_pulse_beat(&pulse, now_ns);
}

static uint64_t ppm(const _Atomic uint64_t *counter)
{
	return cadre_count_read(counter);
}

Test(pulse, the_last_second_is_shown_as_it_was)
{
	live_a_second(0, S / 4, 500);

	cr_assert_eq(ppm(&stats[0].place.load_1s), 250000);
	cr_assert_eq(cadre_count_read(&stats[0].place.rate_1s), 500000);
	cr_assert_eq(ppm(&stats[1].place.load_1s), 0);
	cr_assert_eq(ppm(&header.counters.load_1s), 125000, "half of two workers");
	cr_assert_eq(cadre_count_read(&header.counters.rate_1s), 500000);
}

Test(pulse, a_job_that_never_ends_is_full_load)
{
	cadre_stats_turn_to(&stats[0], CADRE_ACTIVITY_BUSY, now_ns);
	for (int second = 0; second < 300; second++)
		live_a_second(1, 0, 0);

	cr_assert_eq(ppm(&stats[0].place.load_1s), 1000000);
	cr_assert_gt(ppm(&stats[0].place.load_60s), 980000);
	cr_assert_eq(cadre_count_read(&stats[0].place.rate_1s), 0);
}

Test(pulse, the_peak_is_the_fullest_second_and_knows_when_that_was)
{
	const uint64_t before = (uint64_t)time(NULL);

	live_a_second(0, S / 2, 1);
	live_a_second(0, S * 9 / 10, 1);
	live_a_second(0, S / 10, 1);

	cr_assert_eq(ppm(&stats[0].place.load_max), 900000);
	cr_assert_geq(cadre_count_read(&stats[0].place.load_max_unix_s), before);
	cr_assert_leq(cadre_count_read(&stats[0].place.load_max_unix_s),
		      (uint64_t)time(NULL));
	cr_assert_eq(ppm(&stats[0].place.load_1s), 100000);
}

Test(pulse, a_moment_that_was_full_is_no_second_that_was)
{
	cadre_stats_bury(&stats[0], now_ns);
	cadre_stats_turn_to(&stats[0], CADRE_ACTIVITY_BUSY, now_ns + S - S / 100);
	live_a_second(1, 0, 0);

	cr_assert_eq(ppm(&stats[0].place.load_1s), 1000000);
	cr_assert_eq(ppm(&stats[0].place.load_max), 0);
}

Test(pulse, means_forget_within_their_horizons)
{
	for (int second = 0; second < 100; second++)
		live_a_second(0, S, 100);
	cr_assert_gt(ppm(&stats[0].place.load_10s), 999000);
	cr_assert_gt(ppm(&stats[0].place.load_60s), 750000);

	for (int second = 0; second < 10; second++)
		live_a_second(0, 0, 0);
	cr_assert_lt(ppm(&stats[0].place.load_10s), 420000);
	cr_assert_gt(ppm(&stats[0].place.load_10s), 300000);
	cr_assert_gt(ppm(&stats[0].place.load_60s), 600000);
	cr_assert_lt(cadre_count_read(&stats[0].place.rate_10s), 42000);
}

Test(pulse, it_does_not_look_before_the_second_is_over)
{
	live_a_second(0, S / 2, 1);
	cadre_count_add(&stats[0].worker.jobs_ok, 1000);
	cadre_pulse_beat(&pulse, now_ns + S - 1);

	cr_assert_eq(cadre_count_read(&stats[0].place.rate_1s), 1000);
	cr_assert_eq(cadre_pulse_next_ns(&pulse), now_ns + S);
}

Test(pulse, a_successor_goes_on_from_the_means_and_not_from_the_time_in_between)
{
	struct cadre_pulse successor;

	for (int second = 0; second < 200; second++)
		live_a_second(0, S / 2, 10);
	cr_assert_eq(cadre_pulse_init(&successor, &view), 0);
	cadre_count_add(&stats[0].worker.jobs_ok, 100000);
	cadre_pulse_beat(&successor, now_ns + 100 * S);

	cr_assert_eq(cadre_count_read(&stats[0].place.rate_1s), 10000);
	cr_assert_gt(successor.places[0].load[1], 0.45);
	cr_assert_lt(successor.places[0].load[1], 0.55);
	cadre_pulse_fini(&successor);
}

Test(pulse, whatever_stands_in_the_segment_makes_no_load_above_one)
{
	unsigned seed = 1;

	for (int round = 0; round < 1000; round++) {
		uint64_t *const words = (void *)stats;
		const size_t count = sizeof(stats) / (sizeof(words[0])); /* NOLINT */

		for (size_t i = 0; i < count; i++)
			words[i] = (uint64_t)rand_r(&seed) << (rand_r(&seed) % 40);
		now_ns += S;
		cadre_pulse_beat(&pulse, now_ns);
		cr_assert_leq(ppm(&header.counters.load_1s), 1000000);
		cr_assert_leq(ppm(&header.counters.load_60s), 1000000);
	}
}
