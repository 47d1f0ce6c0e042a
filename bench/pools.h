/*
 * pools.h - how those are measured who take jobs from a client to a worker process, and may be
 * a thousand times slower than each other: for a time, not for a number of jobs.
 */
#ifndef POOLS_H
#define POOLS_H

#include "bench.h"

#define POOLS_IN_FLIGHT  \
	{                \
		1, 8, 64 \
	}
#define POOLS_MOST 64
#define POOLS_COLUMNS 3

/* A slice of time has a rate; their median is what is said, after one that warms up. */
#define POOLS_SLICE_MS 40

static inline unsigned pools_slices(const struct bench *bench)
{
	return bench->quick ? 5 : 15;
}

/* Fills up to `in_flight`, never less than before, and waits for some to end. How many have, or
 * negative errno. */
typedef int pools_turn(void *context, uint32_t in_flight);

/* Jobs per second, for each of POOLS_IN_FLIGHT. 0, or the error of a turn. */
int pools_measure(const struct bench *bench, pools_turn *turn, void *context,
		  double *ret_values);

#endif
