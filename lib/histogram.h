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

/* The bucket of a value in ns. Values below 8 have one each; from there on, the three bits
 * below the highest one choose among the eight of its power of two. Here, and without a
 * branch, because each job needs three of them. */
static inline unsigned cadre_histogram_bucket(int64_t ns)
{
	const uint64_t value = ns > 0 ? (uint64_t)ns : 0;
	/* Below the three bits and the highest one, which adds eight by itself. */
	const unsigned below = 60 - (unsigned)__builtin_clzll(value | CADRE_HISTOGRAM_SUB);
	const unsigned bucket = below * CADRE_HISTOGRAM_SUB + (unsigned)(value >> below);

	return bucket < CADRE_HISTOGRAM_BUCKETS ? bucket : CADRE_HISTOGRAM_BUCKETS - 1;
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
