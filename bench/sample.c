#include "sample.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double quantile(const double *sorted, size_t count, double share)
{
	const double place = share * ((double)count - 1);
	const size_t below = count ? (size_t)place : 0;
	const double rest = place - (double)below;

	if (count == 0)
		return NAN;
	if (below + 1 >= count)
		return sorted[count - 1];
	return sorted[below] + rest * (sorted[below + 1] - sorted[below]);
}

/* A sorted copy of those that were measured; the caller frees it. */
static double *sort(const double *values, size_t *count)
{
	double *const sorted = malloc((*count + 1) * sizeof(*sorted));
	size_t known = 0;

	if (!sorted)
		abort();
	for (size_t i = 0; i < *count; i++) {
		if (!isnan(values[i]))
			sorted[known++] = values[i];
	}
	qsort(sorted, known, sizeof(*sorted), compare);
	*count = known;
	return sorted;
}

struct sample sample_of(const double *values, size_t count)
{
	double *const sorted = sort(values, &count);
	const struct sample sample = {
		.p25 = quantile(sorted, count, 0.25),
		.median = quantile(sorted, count, 0.5),
		.p75 = quantile(sorted, count, 0.75),
	};

	free(sorted);
	return sample;
}

double sample_quantile(const double *values, size_t count, double share)
{
	double *const sorted = sort(values, &count);
	const double value = quantile(sorted, count, share);

	free(sorted);
	return value;
}
