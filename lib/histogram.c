#include "histogram.h"

int64_t cadre_histogram_floor_ns(unsigned bucket)
{
	const unsigned power = bucket / CADRE_HISTOGRAM_SUB + 2;

	if (bucket < CADRE_HISTOGRAM_SUB)
		return bucket;
	return (int64_t)(CADRE_HISTOGRAM_SUB + bucket % CADRE_HISTOGRAM_SUB)
	       << (power - 3);
}
