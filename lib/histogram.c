#include "histogram.h"

unsigned cadre_histogram_bucket_of_any(int64_t ns)
{
	const uint64_t value = ns > 0 ? (uint64_t)ns : 0;
	/* Below the three bits and the highest one, which adds eight by itself. */
	const unsigned below = 60 - (unsigned)__builtin_clzll(value | CADRE_HISTOGRAM_SUB);
	const unsigned bucket = below * CADRE_HISTOGRAM_SUB + (unsigned)(value >> below);

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
