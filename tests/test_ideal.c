/*
 * test_ideal.c - claims about the ideal queue that the bench compares dispatch with, and about
 * the jobs that come to it.
 */
#include "ideal.h"

#include <criterion/criterion.h>

#include <math.h>

#define JOBS 4

static void expect_waits(const double submitted[JOBS], const double ran[JOBS],
			 unsigned workers, const double expected[JOBS])
{
	double waited[JOBS];

	ideal_waits(submitted, ran, JOBS, workers, waited);
	for (unsigned n = 0; n < JOBS; n++)
		cr_expect_eq(waited[n], expected[n], "job %u waits %g, not %g", n,
			     waited[n], expected[n]);
}

#define JOB_TIMES(...) ((const double[]){ __VA_ARGS__ })

Test(ideal, nobody_waits_while_a_worker_is_idle)
{
	expect_waits(JOB_TIMES(1, 1, 6, 7), JOB_TIMES(5, 9, 1, 1), 2,
		     JOB_TIMES(0, 0, 0, 0));
}

Test(ideal, the_oldest_waits_for_the_worker_that_is_done_first)
{
	/* One runs until 10, the other until 3, then until 8, then until 9. */
	expect_waits(JOB_TIMES(0, 0, 1, 2), JOB_TIMES(10, 3, 5, 1), 2,
		     JOB_TIMES(0, 0, 2, 6));
}

Test(ideal, one_worker_runs_one_after_the_other)
{
	expect_waits(JOB_TIMES(0, 0, 0, 100), JOB_TIMES(1, 2, 3, 4), 1,
		     JOB_TIMES(0, 1, 3, 0));
}

#define DRAWS 200000

static double mean_of(draw_fn *draw, double *ret_least, double *ret_greatest)
{
	unsigned short state[] = { 4, 5, 6 };
	double sum = 0;

	*ret_least = INFINITY;
	*ret_greatest = 0;
	for (unsigned n = 0; n < DRAWS; n++) {
		const double length = draw(7, state);

		sum += length;
		*ret_least = fmin(*ret_least, length);
		*ret_greatest = fmax(*ret_greatest, length);
	}
	return sum / DRAWS;
}

/* Seeds are fixed: these are the same everywhere. */
Test(draws, have_the_mean_that_was_wished)
{
	double least, greatest;

	cr_expect_float_eq(mean_of(draw_exponential, &least, &greatest), 7, 0.1);
	cr_expect_geq(least, 0);
	cr_expect_float_eq(mean_of(draw_pareto, &least, &greatest), 7, 0.2);
}

Test(draws, of_the_heavy_tail_span_a_factor_of_a_thousand)
{
	double least, greatest;

	mean_of(draw_pareto, &least, &greatest);
	cr_expect_leq(greatest, 1000.001 * least);
	cr_expect_geq(greatest, 100 * least);
}
