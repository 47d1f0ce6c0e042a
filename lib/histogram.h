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

#include <string.h>

#define CADRE_HISTOGRAM_SUB 8
#define CADRE_HISTOGRAM_BUCKETS (CADRE_HISTOGRAM_SUB * 39)
#define CADRE_HISTOGRAM_END_NS (UINT64_C(1) << 41) /* what the last one does not reach */

struct cadre_histogram {
	_Atomic uint64_t count[CADRE_HISTOGRAM_BUCKETS];
};

/* The bucket of any value in ns. Values below 8 have one each; from there on, the three bits
 * below the highest one choose among the eight of its power of two. */
unsigned cadre_histogram_bucket_of_any(int64_t ns);

/* The same. Here, because each job needs three of them, and by a double, whose exponent and
 * highest three bits are that number but for where it begins: half the instructions. */
static inline unsigned cadre_histogram_bucket(int64_t ns)
{
	enum { BELOW_EXPONENT_AND_THREE = 52 - 3, BIAS_AND_TWO = (1023 + 2) * 8 };
	const double value = (double)ns;
	uint64_t bits;

	if ((uint64_t)ns - CADRE_HISTOGRAM_SUB >=
	    CADRE_HISTOGRAM_END_NS - CADRE_HISTOGRAM_SUB)
		return cadre_histogram_bucket_of_any(ns);
	memcpy(&bits, &value, sizeof(bits));
	return (unsigned)(bits >> BELOW_EXPONENT_AND_THREE) - BIAS_AND_TWO;
}

/* The lowest value in ns that falls into a bucket. */
int64_t cadre_histogram_floor_ns(unsigned bucket);

/* Only the one writer. */
static inline void cadre_histogram_add(struct cadre_histogram *histogram, int64_t ns)
{
	_Atomic uint64_t *const count = &histogram->count[cadre_histogram_bucket(ns)];

	/* Relaxed: one writer; readers accept a count that is a moment old. */
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

#endif
