/*
 * Claims about clock.h: time goes forwards, and no deadline runs over the end of time.
 */
#include "clock.h"

#include <cadre/client.h>

#include <criterion/criterion.h>
#include <stdint.h>

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
