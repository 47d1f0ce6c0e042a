#include "sample.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double quantile(const double *sorted, size_t count, double share)
{
	const double place = share * (double)(count - 1);
	const size_t below = (size_t)place;
	const double rest = place - (double)below;

	if (below + 1 >= count)
		return sorted[count - 1];
	return sorted[below] + rest * (sorted[below + 1] - sorted[below]);
}

struct sample sample_of(const double *values, size_t count)
{
	double *const sorted = malloc(count * sizeof(*sorted));
	struct sample sample;

	if (!sorted)
		abort();
	memcpy(sorted, values, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare);
	sample = (struct sample){
		.p25 = quantile(sorted, count, 0.25),
		.median = quantile(sorted, count, 0.5),
		.p75 = quantile(sorted, count, 0.75),
	};
	free(sorted);
	return sample;
}
