/*
 * stat_line.c - what happened in each interval, one line after the other, as vmstat does.
 *
 * The first lines are what one read can tell: the supervisor's means over some 10 s, and
 * the percentiles of all jobs.
 */
#include "stat.h"
#include "text.h"

#include <inttypes.h>

#define LINES_PER_SCREEN 20

static const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

static void print_pool(const struct cadre_stat_pool *pool, bool header)
{
	const struct cadre_rates *const rates = cadre_sampler_pool(pool->sampler);
	const struct cadre_pool_snapshot *const now = pool->pool;

	if (header)
		printf("%-12s %5s %5s %7s %7s %8s %8s %8s %6s %5s %8s %8s %8s %8s\n",
		       "POOL", "READY", "BUSY", "QUEUED", "FLIGHT", "OLDEST", "JOBS/S",
		       "FAILED/S", "LOAD", "CPUS", "WAIT50", "WAIT99", "P50", "P99");
	printf("%-12s %5u %5u %7" PRIu64 " %7" PRIu64 " %8s %8s %8s %6s %5.2f %8s %8s %8s "
	       "%8s%s\n",
	       now->name, now->workers_ready, now->workers_busy, now->queue_length,
	       now->in_flight, cadre_text_duration_or_dash(now->oldest_pending_ns),
	       cadre_text_rate(rates->jobs_per_s), cadre_text_rate(rates->failed_per_s),
	       cadre_text_percent(rates->load), rates->cpus,
	       cadre_text_duration_or_dash(rates->waiting.p50_ns),
	       cadre_text_duration_or_dash(rates->waiting.p99_ns),
	       cadre_text_duration_or_dash(rates->service.p50_ns),
	       cadre_text_duration_or_dash(rates->service.p99_ns),
	       now->alive ? "" : "  supervisor gone");
}

static void print_worker(const struct cadre_stat_pool *pool,
			 const struct cadre_worker_snapshot *worker, bool header)
{
	const struct cadre_rates *const rates = cadre_sampler_worker(pool->sampler,
								     worker->place);

	if (header)
		printf("%-12s %6s %1s %8s %8s %8s %8s %6s %5s %8s %8s %8s  %s\n", "POOL",
		       "WORKER", "S", "PID", "IDLE", "JOBS/S", "FAILED/S", "LOAD", "CPUS",
		       "P50", "P99", "RSS", "NOW");
	printf("%-12s %6u %c %8d %8s %8s %8s %6s %5.2f %8s %8s %8s  ", pool->name,
	       worker->place, worker->letter, (int)worker->pid,
	       cadre_text_duration_or_dash(worker->idle_ns),
	       cadre_text_rate(rates->jobs_per_s), cadre_text_rate(rates->failed_per_s),
	       cadre_text_percent(rates->load), rates->cpus,
	       cadre_text_duration_or_dash(rates->service.p50_ns),
	       cadre_text_duration_or_dash(rates->service.p99_ns),
	       cadre_text_memory(worker->resident_bytes));
	if (worker->running_ns > 0)
		printf("%s %s\n", or_dash(worker->operation_name),
		       cadre_text_duration(worker->running_ns));
	else
		puts("-");
}

void cadre_stat_print_line(const struct cadre_stat_pool *pool,
			   const struct cadre_stat_choice *choice, unsigned long round)
{
	bool header = round % LINES_PER_SCREEN == 0;
	const struct cadre_worker_snapshot *worker;

	if (!choice->chooses_workers) {
		print_pool(pool, header);
		return;
	}
	for (uint32_t i = 0; (worker = cadre_report_worker(pool->report, i)); i++) {
		if (!cadre_stat_wants_worker(choice, i))
			continue;
		print_worker(pool, worker, header);
		header = false;
	}
}
