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

/* Linear between the two nearest, as R and NumPy do it. `count` >= 1; sorts a copy. */
struct sample sample_of(const double *values, size_t count);

#endif
