/*
 * histogram.h - how long things took: log-linear buckets, one writer, many readers.
 *
 * Eight buckets per power of two from 2^0 to 2^40 ns, so a value read back is at most
 * 12.5 % below what was recorded (as in HdrHistogram by G. Tene, with three significant
 * bits). Values outside are counted in the first or last bucket.
 */
#ifndef CADRE_HISTOGRAM_H
#define CADRE_HISTOGRAM_H

#include "platform.h"

#define CADRE_HISTOGRAM_SUB 8
#define CADRE_HISTOGRAM_BUCKETS (CADRE_HISTOGRAM_SUB * 39)

struct cadre_histogram {
	_Atomic uint64_t count[CADRE_HISTOGRAM_BUCKETS];
};

/* The bucket of a value in ns. */
unsigned cadre_histogram_bucket(int64_t ns);

/* The lowest value in ns that falls into a bucket. */
int64_t cadre_histogram_floor_ns(unsigned bucket);

/* Only the one writer. */
void cadre_histogram_add(struct cadre_histogram *histogram, int64_t ns);

#endif
