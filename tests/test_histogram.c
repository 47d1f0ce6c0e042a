/*
 * test_histogram.c - claims about the buckets of durations.
 */
#include "histogram.h"

#include <criterion/criterion.h>

static struct cadre_histogram histogram;

/* The highest value of a bucket, as a report prints it. */
static int64_t ceiling_ns(unsigned bucket)
{
	return cadre_histogram_floor_ns(bucket + 1) - 1;
}

Test(histogram, each_bucket_begins_where_the_one_before_ends)
{
	for (unsigned bucket = 0; bucket < CADRE_HISTOGRAM_BUCKETS; bucket++) {
		const int64_t floor_ns = cadre_histogram_floor_ns(bucket);

		cr_assert_gt(cadre_histogram_floor_ns(bucket + 1), floor_ns);
		cr_assert_eq(cadre_histogram_bucket(floor_ns), bucket);
		cr_assert_eq(cadre_histogram_bucket(ceiling_ns(bucket)), bucket);
		if (bucket > 0)
			cr_assert_eq(cadre_histogram_bucket(floor_ns - 1), bucket - 1);
	}
}

Test(histogram, neither_end_of_a_bucket_is_further_than_an_eighth_from_any_value_in_it)
{
	for (unsigned bucket = 0; bucket < CADRE_HISTOGRAM_BUCKETS; bucket++) {
		const int64_t lowest = cadre_histogram_floor_ns(bucket);
		const int64_t highest = ceiling_ns(bucket);

		/* The floor is worst for the highest value, the ceiling for the lowest. */
		cr_assert_leq(8 * (highest - lowest), highest);
		cr_assert_leq(8 * (highest - lowest), lowest);
	}
}

Test(histogram, nanoseconds_below_sixteen_are_exact)
{
	for (int64_t ns = 0; ns < 16; ns++) {
		cr_assert_eq(cadre_histogram_floor_ns(cadre_histogram_bucket(ns)), ns);
		cr_assert_eq(ceiling_ns(cadre_histogram_bucket(ns)), ns);
	}
}

Test(histogram, a_longer_time_never_falls_into_a_lower_bucket)
{
	unsigned last = 0;

	for (int64_t ns = 1; ns < INT64_MAX / 9 * 8; ns += ns / 16 + 1) {
		const unsigned bucket = cadre_histogram_bucket(ns);

		cr_assert_geq(bucket, last);
		last = bucket;
	}
}

Test(histogram, values_that_no_clock_gives_fall_into_the_first_or_last_bucket)
{
	const unsigned last = CADRE_HISTOGRAM_BUCKETS - 1;

	cr_assert_eq(cadre_histogram_bucket(INT64_MIN), 0);
	cr_assert_eq(cadre_histogram_bucket(-1), 0);
	cr_assert_eq(cadre_histogram_bucket(INT64_MAX), last);
	cr_assert_eq(cadre_histogram_bucket(INT64_C(1) << 41), last);
	cr_assert_eq(cadre_histogram_bucket((INT64_C(1) << 41) - 1), last);
	cr_assert_eq(cadre_histogram_bucket(cadre_histogram_floor_ns(last) - 1), last - 1);
}

Test(histogram, a_value_is_counted_once_and_in_its_own_bucket)
{
	cadre_histogram_add(&histogram, 1000);
	cadre_histogram_add(&histogram, 1000);
	cadre_histogram_add(&histogram, -5);
	cadre_histogram_add(&histogram, INT64_MAX);

	for (unsigned bucket = 0; bucket < CADRE_HISTOGRAM_BUCKETS; bucket++) {
		const uint64_t count = atomic_load(&histogram.count[bucket]);

		if (bucket == cadre_histogram_bucket(1000))
			cr_assert_eq(count, 2);
		else
			cr_assert_eq(count,
				     bucket == 0 || bucket == CADRE_HISTOGRAM_BUCKETS - 1);
	}
}
