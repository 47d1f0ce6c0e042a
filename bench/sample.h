/*
 * sample.h - a few measurements of one thing, and what to say of them.
 *
 * Medians and quartiles, because what disturbs a measurement makes it worse by any
 * amount, and never better.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stddef.h>

struct sample {
	double p25, median, p75;
};

/* Linear between the two nearest, as R and NumPy do it. Sorts a copy. What was not measured is
 * NAN and does not count; all three are NAN when nothing was. */
struct sample sample_of(const double *values, size_t count);

/* The value below which `share` (0 .. 1) of the others lie; NAN when there is none. */
double sample_quantile(const double *values, size_t count, double share);

#endif
