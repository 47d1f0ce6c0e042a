/*
 * latency.c - what readers do with histograms: sum them up and find percentiles.
 */
#include "report.h"

#include <string.h>

static_assert(CADRE_LATENCY_BUCKETS == CADRE_HISTOGRAM_BUCKETS, "report.h");

const char *cadre_latency_name(enum cadre_latency_kind kind)
{
	static const char *const names[CADRE_LATENCY_KINDS] = {
		[CADRE_LATENCY_WAITING] = "waiting",
		[CADRE_LATENCY_SERVICE] = "service",
		[CADRE_LATENCY_TOTAL] = "total",
	};

	return (unsigned)kind < CADRE_LATENCY_KINDS ? names[kind] : "?";
}

int64_t cadre_latency_ceiling_ns(unsigned bucket)
{
	if (bucket >= CADRE_LATENCY_BUCKETS)
		bucket = CADRE_LATENCY_BUCKETS - 1;
	return cadre_histogram_floor_ns(bucket + 1) - 1;
}

/* How many of `total` are so many per mille of it, rounded up, without overflow. */
static uint64_t share(uint64_t total, uint64_t per_mille)
{
	return total / 1000 * per_mille + (total % 1000 * per_mille + 999) / 1000;
}

/* The ceiling of the bucket in which the count reaches `jobs`. */
static int64_t reached_ns(const struct cadre_latency *latency, uint64_t jobs)
{
	uint64_t sum = 0;

	for (unsigned bucket = 0; bucket < CADRE_LATENCY_BUCKETS; bucket++) {
		cadre_report_add(&sum, latency->count[bucket]);
		if (sum >= jobs)
			return cadre_latency_ceiling_ns(bucket);
	}
	return cadre_latency_ceiling_ns(CADRE_LATENCY_BUCKETS - 1);
}

struct cadre_percentiles cadre_latency_percentiles(const struct cadre_latency *latency)
{
	const uint64_t jobs = latency->jobs;

	if (jobs == 0)
		return (struct cadre_percentiles){ 0 };
	return (struct cadre_percentiles){
		.jobs = jobs,
		.p50_ns = reached_ns(latency, share(jobs, 500)),
		.p90_ns = reached_ns(latency, share(jobs, 900)),
		.p99_ns = reached_ns(latency, share(jobs, 990)),
		.p999_ns = reached_ns(latency, share(jobs, 999)),
		.max_ns = reached_ns(latency, jobs),
	};
}

/* The jobs of a histogram are the sum of its buckets, so that both are of one moment. */
static void read_histogram(const struct cadre_histogram *histogram, uint64_t sum_ns,
			   struct cadre_latency *ret_latency)
{
	ret_latency->jobs = 0;
	ret_latency->sum_ns = sum_ns;
	for (unsigned bucket = 0; bucket < CADRE_LATENCY_BUCKETS; bucket++) {
		ret_latency->count[bucket] = cadre_count_read(&histogram->count[bucket]);
		cadre_report_add(&ret_latency->jobs, ret_latency->count[bucket]);
	}
}

void cadre_latency_read(const struct cadre_latency_line *line,
			struct cadre_latency ret_latency[CADRE_LATENCY_KINDS])
{
	const uint64_t waiting_ns = cadre_count_read(&line->waiting_ns);
	const uint64_t service_ns = cadre_count_read(&line->service_ns);
	uint64_t total_ns = waiting_ns;

	cadre_report_add(&total_ns, service_ns);
	read_histogram(&line->waiting, waiting_ns, &ret_latency[CADRE_LATENCY_WAITING]);
	read_histogram(&line->service, service_ns, &ret_latency[CADRE_LATENCY_SERVICE]);
	read_histogram(&line->total, total_ns, &ret_latency[CADRE_LATENCY_TOTAL]);
}

void cadre_latency_add(struct cadre_latency sum[CADRE_LATENCY_KINDS],
		       const struct cadre_latency more[CADRE_LATENCY_KINDS])
{
	for (unsigned kind = 0; kind < CADRE_LATENCY_KINDS; kind++) {
		if (more[kind].jobs == 0)
			continue;
		cadre_report_add(&sum[kind].jobs, more[kind].jobs);
		cadre_report_add(&sum[kind].sum_ns, more[kind].sum_ns);
		for (unsigned bucket = 0; bucket < CADRE_LATENCY_BUCKETS; bucket++)
			cadre_report_add(&sum[kind].count[bucket],
					 more[kind].count[bucket]);
	}
}

/* Counters only grow; where one seems not to, a broken process wrote it. */
static uint64_t less(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

void cadre_latency_subtract(const struct cadre_latency *now,
			    const struct cadre_latency *before,
			    struct cadre_latency *ret_difference)
{
	ret_difference->jobs = 0;
	ret_difference->sum_ns = less(now->sum_ns, before->sum_ns);
	for (unsigned bucket = 0; bucket < CADRE_LATENCY_BUCKETS; bucket++) {
		ret_difference->count[bucket] = less(now->count[bucket],
						     before->count[bucket]);
		cadre_report_add(&ret_difference->jobs, ret_difference->count[bucket]);
	}
}
