/*
 * Claims about clock.h: time goes forwards, and no deadline runs over the end of time.
 */
#include "clock.h"
#include "cycles.h"

#include <cadre/client.h>

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

Test(clock, time_never_goes_backwards)
{
	int64_t before_ns = cadre_clock_ns();

	for (int look = 0; look < 100000; look++) {
		const int64_t now_ns = cadre_clock_ns();

		cr_assert_geq(now_ns, before_ns);
		before_ns = now_ns;
	}
}

Test(clock, callers_count_deadlines_by_the_same_clock)
{
	const int64_t before_ns = cadre_clock_ns();
	const int64_t theirs_ns = cadre_now_ns();

	cr_assert_geq(theirs_ns, before_ns);
	cr_assert_leq(theirs_ns, cadre_clock_ns());
}

Test(clock, a_deadline_lies_as_far_ahead_as_was_asked_for)
{
	const int64_t before_ns = cadre_clock_ns();
	const int64_t until_ns = cadre_in_ms(1500);

	cr_assert_geq(until_ns, before_ns + 1500 * CADRE_NS_PER_MS);
	cr_assert_leq(until_ns, cadre_clock_ns() + 1500 * CADRE_NS_PER_MS);
}

Test(clock, a_deadline_beyond_the_end_of_time_is_the_end_of_time)
{
	cr_assert_eq(cadre_clock_in_ns(INT64_MAX), INT64_MAX);
	cr_assert_eq(cadre_clock_in_ns(INT64_MAX - 1), INT64_MAX);
	cr_assert_eq(cadre_in_ms(INT64_MAX), CADRE_FOREVER);
	cr_assert_eq(cadre_in_ms(INT64_MAX / CADRE_NS_PER_MS), CADRE_FOREVER);
}

Test(clock, a_deadline_before_the_beginning_of_time_has_passed)
{
	cr_assert_lt(cadre_in_ms(INT64_MIN), cadre_clock_ns());
	cr_assert_lt(cadre_in_ms(-1), cadre_clock_ns());
	cr_assert_lt(cadre_clock_in_ns(INT64_MIN), cadre_clock_ns());
	cr_assert_eq(cadre_clock_left_ns(INT64_MIN, INT64_MAX), 0);
}

Test(clock, nothing_is_left_of_a_deadline_that_has_passed)
{
	cr_assert_eq(cadre_clock_left_ns(cadre_clock_ns() - 1, INT64_MAX), 0);
	cr_assert_eq(cadre_clock_left_ns(0, INT64_MAX), 0);
}

Test(clock, what_is_left_is_cut_to_the_bound)
{
	cr_assert_eq(cadre_clock_left_ns(INT64_MAX, 7), 7);
	cr_assert_eq(cadre_clock_left_ns(cadre_clock_in_ns(CADRE_NS_PER_S), 1), 1);
}

Test(clock, what_is_left_is_no_more_than_the_deadline_allows)
{
	const int64_t left_ns = cadre_clock_left_ns(cadre_clock_in_ns(CADRE_NS_PER_S),
						    INT64_MAX);

	cr_assert_gt(left_ns, 0);
	cr_assert_leq(left_ns, CADRE_NS_PER_S);
}

Test(clock, a_timespec_is_one_that_the_kernel_accepts)
{
	static const int64_t times_ns[] = { 0, 1, CADRE_NS_PER_S - 1, CADRE_NS_PER_S,
					    INT64_MAX };

	for (unsigned i = 0; i < sizeof(times_ns) / sizeof(times_ns[0]); i++) {
		const struct timespec time = cadre_clock_timespec(times_ns[i]);

		cr_assert_geq(time.tv_nsec, 0);
		cr_assert_lt(time.tv_nsec, CADRE_NS_PER_S);
		cr_assert_eq(time.tv_sec * CADRE_NS_PER_S + time.tv_nsec, times_ns[i]);
	}
}

/* ---- by the counter of the CPU ---- */

/* A machine of 2 GHz. */
static void move(struct cadre_anchor *anchor, int64_t ns)
{
	cadre_anchor_move(anchor, (uint64_t)ns * 2, ns);
}

Test(cycles, an_anchor_tells_nothing_before_its_rate_is_known)
{
	struct cadre_anchor anchor = { 0 };

	move(&anchor, 1000000);
	cr_assert_not(cadre_anchor_tells(&anchor, 2000000));
	move(&anchor, 1010000);
	cr_assert_not(cadre_anchor_tells(&anchor, 2020000), "10 us are too few");
	move(&anchor, 1100000);
	cr_assert(cadre_anchor_tells(&anchor, 2200000));
}

Test(cycles, an_anchor_goes_on_as_the_kernel_did_for_five_milliseconds_at_most)
{
	struct cadre_anchor anchor = { 0 };

	for (int64_t ns = 1; ns < 100 * CADRE_NS_PER_MS; ns += CADRE_NS_PER_MS / 2)
		move(&anchor, ns);
	for (uint64_t cycles = anchor.cycles; cadre_anchor_tells(&anchor, cycles);
	     cycles += 1000) {
		const int64_t ns = cadre_anchor_ns(&anchor, cycles);

		cr_assert_leq(llabs(ns - (int64_t)cycles / 2), 2);
	}
	cr_assert(cadre_anchor_tells(&anchor, anchor.cycles + 9990000));
	cr_assert_not(cadre_anchor_tells(&anchor, anchor.cycles + 10010000));
}

Test(cycles, a_new_anchor_is_never_behind_what_the_old_one_said)
{
	struct cadre_anchor anchor = { 0 };
	int64_t said_ns = 0;

	srand(1);
	for (int64_t ns = 1; ns < 300 * CADRE_NS_PER_MS; ns += 700000) {
		/* Whoever is interrupted between the two looks reads them apart. */
		cadre_anchor_move(&anchor, (uint64_t)(ns + rand() % 3000) * 2, ns);
		cr_assert_geq(anchor.ns, said_ns);
		cr_assert_leq(anchor.ns - ns, 10000);
		said_ns = anchor.valid ?
				  cadre_anchor_ns(&anchor,
						  anchor.cycles + anchor.valid - 1) :
				  anchor.ns;
		if (said_ns > anchor.ns + 600000)
			said_ns = cadre_anchor_ns(&anchor, anchor.cycles + 1200000);
	}
}

Test(cycles, a_thread_that_slept_is_not_ahead_by_what_its_rate_was_wrong)
{
	struct cadre_anchor anchor = { 0 };

	move(&anchor, 1000000);
	/* 40 us are 30 cycles short: the rate is too high by 0.04 %. */
	cadre_anchor_move(&anchor, 2000000 + 80000 - 30, 1040000);
	cr_assert(cadre_anchor_tells(&anchor, anchor.cycles + 1));
	move(&anchor, 8 * CADRE_NS_PER_S);
	cr_assert_leq(anchor.ns - 8 * CADRE_NS_PER_S, 0);
	cr_assert_geq(anchor.ns - 8 * CADRE_NS_PER_S, 0);
}

Test(cycles, the_rate_is_measured_anew_without_a_step_back)
{
	struct cadre_anchor anchor = { 0 };
	int64_t said_ns = 0;

	srand(2);
	for (int64_t ns = 1; ns < 35 * CADRE_NS_PER_S; ns += 900000) {
		const uint64_t cycles = (uint64_t)(ns + rand() % 300) * 2;

		if (cadre_anchor_tells(&anchor, cycles))
			said_ns = cadre_anchor_ns(&anchor, cycles);
		cadre_anchor_move(&anchor, cycles, ns);
		cr_assert_geq(anchor.ns, said_ns, "at %ld", (long)ns);
		cr_assert_leq(anchor.ns - ns, 2000, "at %ld", (long)ns);
		cr_assert(ns < CADRE_NS_PER_MS || anchor.valid > 0);
	}
	cr_assert_gt(anchor.base_ns, 20 * CADRE_NS_PER_S);
}

Test(cycles, a_counter_that_stood_still_or_jumped_is_measured_anew)
{
	const struct {
		uint64_t cycles;
		int64_t ns;
	} jumps[] = {
		{ 0, 20 * CADRE_NS_PER_MS },                   /* it began anew */
		{ 40000000, 25 * CADRE_NS_PER_MS },            /* it stood */
		{ UINT64_C(1) << 60, 20500000 },               /* it ran away */
		{ 41000000, 20 * CADRE_NS_PER_MS - 1 - 6000 }, /* the kernel went back */
	};

	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		struct cadre_anchor anchor = { 0 };

		for (int64_t ns = 1; ns < 20 * CADRE_NS_PER_MS; ns += CADRE_NS_PER_MS)
			move(&anchor, ns);
		cr_assert(cadre_anchor_tells(&anchor, anchor.cycles + 1));
		cadre_anchor_move(&anchor, jumps[i].cycles, jumps[i].ns);
		cr_assert_eq(anchor.ns, jumps[i].ns, "case %zu", i);
		cr_assert_not(cadre_anchor_tells(&anchor, anchor.cycles + 1), "case %zu",
			      i);
	}
}

Test(cycles, the_clock_stays_beside_the_kernels_and_never_goes_back)
{
	int64_t before_ns = 0;

	for (int i = 0; i < 2000000; i++) {
		const int64_t now_ns = cadre_clock_ns();

		cr_assert_geq(now_ns, before_ns);
		before_ns = now_ns;
		if (i % 1000 == 0) {
			struct timespec lower, upper;
			int64_t ns;

			clock_gettime(CLOCK_MONOTONIC, &lower);
			ns = cadre_clock_ns();
			clock_gettime(CLOCK_MONOTONIC, &upper);
			/* 20 us: a thread that lost its CPU between two looks at an anchor. */
			cr_assert_geq(ns, lower.tv_sec * CADRE_NS_PER_S + lower.tv_nsec -
						  20000);
			cr_assert_leq(ns, upper.tv_sec * CADRE_NS_PER_S + upper.tv_nsec +
						  20000);
			before_ns = ns;
		}
	}
}
