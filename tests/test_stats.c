/*
 * test_stats.c - claims about how a worker's time is kept and read.
 */
#include "stats.h"

#include <criterion/criterion.h>
#include <string.h>

#define START_NS INT64_C(1000000)

static struct cadre_place_stats stats;

static enum cadre_activity activity;
static int64_t since_ns;
static int64_t spent_ns[CADRE_ACTIVITY_COUNT];

static bool look(int64_t now_ns)
{
	return cadre_stats_times(&stats, now_ns, &activity, &since_ns, spent_ns);
}

static int64_t spent_in_all(void)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < CADRE_ACTIVITY_COUNT; i++)
		sum += spent_ns[i];
	return sum;
}

Test(stats, a_place_that_nobody_ever_took_has_spent_nothing)
{
	cr_assert(look(START_NS));
	cr_assert_eq(activity, CADRE_ACTIVITY_ABSENT);
	cr_assert_eq(since_ns, 0);
	cr_assert_eq(spent_in_all(), 0);
}

Test(stats, the_stay_that_still_runs_is_counted)
{
	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_IDLE, START_NS);
	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_BUSY, START_NS + 10);

	cr_assert(look(START_NS + 10 + 500));
	cr_assert_eq(activity, CADRE_ACTIVITY_BUSY);
	cr_assert_eq(since_ns, START_NS + 10);
	cr_assert_eq(spent_ns[CADRE_ACTIVITY_IDLE], 10);
	cr_assert_eq(spent_ns[CADRE_ACTIVITY_BUSY], 500,
		     "a job that never ends must be seen");
}

Test(stats, the_times_add_up_to_the_time_that_passed)
{
	int64_t now_ns = START_NS;

	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_IDLE, now_ns);
	for (unsigned turn = 0; turn < 1000; turn++) {
		now_ns += turn * 7 + 1;
		cadre_stats_turn_to(&stats,
				    (enum cadre_activity)(turn % CADRE_ACTIVITY_COUNT),
				    now_ns);
		cr_assert(look(now_ns + 3));
		cr_assert_eq(spent_in_all(), now_ns + 3 - START_NS);
	}
}

Test(stats, turning_to_what_it_does_already_loses_no_time)
{
	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_BUSY, START_NS);
	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_BUSY, START_NS + 40);

	cr_assert(look(START_NS + 100));
	cr_assert_eq(spent_ns[CADRE_ACTIVITY_BUSY], 100);
	cr_assert_eq(since_ns, START_NS + 40);
}

Test(stats, a_reader_whose_clock_is_behind_adds_no_negative_time)
{
	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_IDLE, START_NS);

	cr_assert(look(START_NS - 1));
	cr_assert_eq(spent_in_all(), 0);
}

Test(stats, a_torn_read_is_said_and_ends)
{
	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_BUSY, START_NS);
	atomic_fetch_or(&stats.sequence, 1); /* Its worker died in the middle of a turn. */

	cr_assert_not(look(START_NS + 7));
	cr_assert_eq(activity, CADRE_ACTIVITY_BUSY, "it shows what it has");
	cr_assert_eq(spent_ns[CADRE_ACTIVITY_BUSY], 7);
}

Test(stats, burying_evens_out_what_a_worker_left_that_died_in_the_middle_of_a_turn)
{
	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_BUSY, START_NS);
	cadre_count_set(&stats.worker.workload, 3);
	atomic_fetch_or(&stats.sequence, 1);

	cadre_stats_bury(&stats, START_NS + 50);

	cr_assert(look(START_NS + 80));
	cr_assert_eq(activity, CADRE_ACTIVITY_ABSENT);
	cr_assert_eq(spent_ns[CADRE_ACTIVITY_BUSY], 50);
	cr_assert_eq(spent_ns[CADRE_ACTIVITY_ABSENT], 30);
	cr_assert_eq(cadre_count_read(&stats.worker.workload), 0);
}

Test(stats, burying_twice_is_the_same_as_burying_once)
{
	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_IDLE, START_NS);
	cadre_stats_bury(&stats, START_NS + 50);
	cadre_stats_bury(&stats, START_NS + 60);

	cr_assert(look(START_NS + 60));
	cr_assert_eq(spent_ns[CADRE_ACTIVITY_IDLE], 50);
	cr_assert_eq(spent_in_all(), 60);
}

Test(stats, a_successor_goes_on_counting_where_the_dead_one_stopped)
{
	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_BUSY, START_NS);
	cadre_stats_bury(&stats, START_NS + 50);
	cadre_stats_turn_to(&stats, CADRE_ACTIVITY_BUSY, START_NS + 90);

	cr_assert(look(START_NS + 100));
	cr_assert_eq(spent_ns[CADRE_ACTIVITY_BUSY], 60);
	cr_assert_eq(spent_ns[CADRE_ACTIVITY_ABSENT], 40);
}

/* Whoever reads looks at what a broken process may have written. Run under UBSan. */
Test(stats, impossible_times_are_read_without_overflow)
{
	static const int64_t impossible[] = { INT64_MIN, -1, 0, 1, INT64_MAX };
	const size_t count = sizeof(impossible) / sizeof(impossible[0]);

	for (size_t i = 0; i < count * count; i++) {
		atomic_store(&stats.activity, UINT32_MAX - (uint32_t)i);
		atomic_store(&stats.since_ns, impossible[i / count]);
		for (unsigned k = 0; k < CADRE_ACTIVITY_COUNT; k++)
			atomic_store(&stats.spent_ns[k], impossible[i % count]);
		cr_assert(look(START_NS));
		cr_assert_lt((unsigned)activity, CADRE_ACTIVITY_COUNT);
		cadre_stats_turn_to(&stats, CADRE_ACTIVITY_IDLE, START_NS);
	}
}

Test(stats, a_peak_only_grows)
{
	_Atomic uint64_t peak = 0;

	cadre_count_peak(&peak, 5);
	cadre_count_peak(&peak, 3);
	cr_assert_eq(cadre_count_read(&peak), 5);
	cadre_count_peak(&peak, 6);
	cr_assert_eq(cadre_count_read(&peak), 6);
}
