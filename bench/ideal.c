#include "ideal.h"

#include <math.h>
#include <stdlib.h>

double draw_exponential(double mean, unsigned short state[3])
{
	return -mean * log(1 - erand48(state));
}

#define PARETO_SHAPE 1.5
#define PARETO_RANGE 1000.0

/* By inversion; the least is chosen so that the mean is what it shall be. */
double draw_pareto(double mean, unsigned short state[3])
{
	const double rest = pow(PARETO_RANGE, -PARETO_SHAPE);
	const double mean_of_1 = PARETO_SHAPE / (PARETO_SHAPE - 1) *
				 (1 - pow(PARETO_RANGE, 1 - PARETO_SHAPE)) / (1 - rest);

	return mean / mean_of_1 * pow(1 - erand48(state) * (1 - rest), -1 / PARETO_SHAPE);
}

static unsigned first_idle(const double idle_from[], unsigned workers)
{
	unsigned first = 0;

	for (unsigned worker = 1; worker < workers; worker++) {
		if (idle_from[worker] < idle_from[first])
			first = worker;
	}
	return first;
}

void ideal_waits(const double *submitted, const double *ran, size_t count,
		 unsigned workers, double *ret_waited)
{
	double idle_from[IDEAL_WORKERS_MAX] = { 0 };

	for (size_t n = 0; n < count; n++) {
		const unsigned worker = first_idle(idle_from, workers);
		const double start = fmax(submitted[n], idle_from[worker]);

		idle_from[worker] = start + ran[n];
		ret_waited[n] = start - submitted[n];
	}
}
