#include "histogram.h"

/* Values below 8 have a bucket each; from there on, the three bits below the highest one
 * choose among the eight of its power of two. */
unsigned cadre_histogram_bucket(int64_t ns)
{
	unsigned power, bucket;

	if (ns < CADRE_HISTOGRAM_SUB)
		return ns < 0 ? 0 : (unsigned)ns;
	power = 63 - (unsigned)__builtin_clzll((uint64_t)ns);
	bucket = (power - 2) * CADRE_HISTOGRAM_SUB + (unsigned)(ns >> (power - 3) & 7);
	return bucket < CADRE_HISTOGRAM_BUCKETS ? bucket : CADRE_HISTOGRAM_BUCKETS - 1;
}

int64_t cadre_histogram_floor_ns(unsigned bucket)
{
	const unsigned power = bucket / CADRE_HISTOGRAM_SUB + 2;

	if (bucket < CADRE_HISTOGRAM_SUB)
		return bucket;
	return (int64_t)(CADRE_HISTOGRAM_SUB + bucket % CADRE_HISTOGRAM_SUB)
	       << (power - 3);
}

void cadre_histogram_add(struct cadre_histogram *histogram, int64_t ns)
{
	_Atomic uint64_t *const count = &histogram->count[cadre_histogram_bucket(ns)];

	/* Relaxed: one writer; readers accept a count that is a moment old. */
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}
