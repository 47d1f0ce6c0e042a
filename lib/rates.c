/*
 * rates.c - what happened between two reads of a report.
 *
 * Only sums are remembered, never the snapshots themselves. A worker that was replaced in
 * between goes on with the sums of its place; only its CPU time starts anew.
 */
#include "clock.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

/* What a worker, an operation or the pool had done at a read. */
struct tally {
	uint64_t ended, failed, submitted;
	int64_t busy_ns, idle_ns, blocked_ns;
	int64_t cpu_ns;
	uint32_t incarnation;
	int32_t id; /* of an operation; 0 else */
	bool torn;
	struct cadre_latency latency[CADRE_LATENCY_KINDS];
};

struct entry {
	struct tally tally;
	struct cadre_rates rates;
};

struct list {
	struct entry *entries;
	uint32_t count, room;
};

struct cadre_sampler {
	int64_t taken_ns;       /* of the last read; 0: none */
	int64_t uptime_base_ns; /* when the pool was created: another one begins anew */
	double interval_s;
	struct entry pool;
	struct list workers, operations;
};

int cadre_sampler_open(struct cadre_sampler **ret_sampler)
{
	struct cadre_sampler *const sampler = calloc(1, sizeof(*sampler));

	if (!sampler)
		return -ENOMEM;
	*ret_sampler = sampler;
	return 0;
}

void cadre_sampler_close(struct cadre_sampler *sampler)
{
	if (!sampler)
		return;
	free(sampler->workers.entries);
	free(sampler->operations.entries);
	free(sampler);
}

/* ---- tallies ---- */

static uint64_t ended_of(const uint64_t jobs[CADRE_OUTCOME_COUNT])
{
	uint64_t sum = 0;

	for (unsigned outcome = 0; outcome < CADRE_WITHDRAWN; outcome++)
		cadre_report_add(&sum, jobs[outcome]);
	return sum;
}

static void tally_worker(const struct cadre_worker_snapshot *worker, struct tally *tally)
{
	*tally = (struct tally){
		.ended = ended_of(worker->jobs),
		.busy_ns = worker->spent_busy_ns,
		.idle_ns = worker->spent_idle_ns,
		.blocked_ns = worker->spent_blocked_ns,
		.cpu_ns = worker->cpu_ns,
		.incarnation = worker->incarnation,
		.torn = worker->torn,
	};
	tally->failed = tally->ended - worker->jobs[CADRE_OK];
	memcpy(tally->latency, worker->latency, sizeof(tally->latency));
}

static void tally_operation(const struct cadre_operation_snapshot *operation,
			    struct tally *tally)
{
	*tally = (struct tally){
		.ended = operation->jobs,
		.failed = operation->failed,
		.id = operation->id,
	};
	memcpy(tally->latency, operation->latency, sizeof(tally->latency));
}

static void tally_pool(const struct cadre_report *report, struct tally *tally)
{
	const struct cadre_pool_snapshot *const pool = &report->pool;

	*tally = (struct tally){
		.ended = ended_of(pool->jobs),
		.submitted = pool->submitted,
	};
	tally->failed = tally->ended - pool->jobs[CADRE_OK];
	memcpy(tally->latency, pool->latency, sizeof(tally->latency));
}

/* ---- rates ---- */

static double per_s(uint64_t now, uint64_t before, double interval_s)
{
	return now > before ? (double)(now - before) / interval_s : 0;
}

static double more(int64_t now_ns, int64_t before_ns)
{
	return now_ns > before_ns ? (double)now_ns - (double)before_ns : 0;
}

static void compare_latencies(const struct tally *now, const struct tally *before,
			      struct cadre_rates *rates)
{
	struct cadre_percentiles percentiles[CADRE_LATENCY_KINDS];
	struct cadre_latency added;

	for (unsigned kind = 0; kind < CADRE_LATENCY_KINDS; kind++) {
		cadre_latency_subtract(&now->latency[kind], &before->latency[kind],
				       &added);
		percentiles[kind] = cadre_latency_percentiles(&added);
	}
	rates->waiting = percentiles[CADRE_LATENCY_WAITING];
	rates->service = percentiles[CADRE_LATENCY_SERVICE];
	rates->total = percentiles[CADRE_LATENCY_TOTAL];
}

static void compare(const struct tally *now, const struct tally *before,
		    double interval_s, struct cadre_rates *ret_rates)
{
	const double busy_ns = more(now->busy_ns, before->busy_ns);
	const double blocked_ns = more(now->blocked_ns, before->blocked_ns);
	const double all_ns = busy_ns + blocked_ns + more(now->idle_ns, before->idle_ns);
	/* A process that was not there before has used all that it has since then. */
	const int64_t cpu_before_ns = now->incarnation == before->incarnation ?
					      before->cpu_ns :
					      0;

	*ret_rates = (struct cadre_rates){
		.interval_s = interval_s,
		.jobs_per_s = per_s(now->ended, before->ended, interval_s),
		.failed_per_s = per_s(now->failed, before->failed, interval_s),
		.submitted_per_s = per_s(now->submitted, before->submitted, interval_s),
		.load = all_ns > 0 ? busy_ns / all_ns : 0,
		.blocked = all_ns > 0 ? blocked_ns / all_ns : 0,
		.cpus = more(now->cpu_ns, cpu_before_ns) / interval_s /
			(double)CADRE_NS_PER_S,
	};
	compare_latencies(now, before, ret_rates);
}

/* From the supervisor's own means: all that one read can tell. */
static struct cadre_rates means(enum cadre_counter_scope scope, const uint64_t *values)
{
	const double load = (double)cadre_counter_value(scope, values, "load_10s") / 1e6;

	return (struct cadre_rates){
		.jobs_per_s = (double)cadre_counter_value(scope, values, "rate_10s") / 1000,
		.load = load < 1 ? load : 1,
	};
}

/* The pool's times are those of its workers. */
static void add_times(struct tally *pool, const struct tally *worker)
{
	int64_t *const sums[] = { &pool->busy_ns, &pool->idle_ns, &pool->blocked_ns };
	const int64_t times[] = { worker->busy_ns, worker->idle_ns, worker->blocked_ns };

	for (unsigned i = 0; i < CADRE_COUNT_OF(sums); i++) {
		if (__builtin_add_overflow(*sums[i], times[i], sums[i]))
			*sums[i] = INT64_MAX;
	}
}

static int make_room(struct list *list, uint32_t count)
{
	struct entry *entries;

	if (count <= list->room)
		return 0;
	entries = reallocarray(list->entries, count, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	memset(&entries[list->room], 0, (count - list->room) * sizeof(*entries));
	list->entries = entries;
	list->room = count;
	return 0;
}

static void take_worker(struct cadre_sampler *sampler,
			const struct cadre_worker_snapshot *worker, struct tally *pool)
{
	struct entry *const entry = &sampler->workers.entries[worker->place];
	struct tally now;

	tally_worker(worker, &now);
	add_times(pool, &now);
	if (sampler->interval_s > 0) {
		compare(&now, &entry->tally, sampler->interval_s, &entry->rates);
		sampler->pool.rates.cpus += entry->rates.cpus;
	} else {
		entry->rates = means(CADRE_SCOPE_PLACE, worker->about);
		entry->rates.waiting = worker->waiting;
		entry->rates.service = worker->service;
		entry->rates.total = worker->total;
	}
	entry->tally = now;
}

static void take_operation(struct cadre_sampler *sampler, uint32_t index,
			   const struct cadre_operation_snapshot *operation)
{
	struct entry *const entry = &sampler->operations.entries[index];
	const struct tally nothing = { .id = operation->id };
	struct tally now;

	tally_operation(operation, &now);
	if (sampler->interval_s > 0) {
		/* The order of operations changes when the pool names others. */
		compare(&now, entry->tally.id == now.id ? &entry->tally : &nothing,
			sampler->interval_s, &entry->rates);
	} else {
		entry->rates = (struct cadre_rates){
			.waiting = operation->waiting,
			.service = operation->service,
			.total = operation->total,
		};
	}
	entry->tally = now;
}

static void take_pool(struct cadre_sampler *sampler, const struct cadre_report *report,
		      const struct tally *now)
{
	const double cpus = sampler->pool.rates.cpus;

	if (sampler->interval_s > 0) {
		compare(now, &sampler->pool.tally, sampler->interval_s,
			&sampler->pool.rates);
		sampler->pool.rates.cpus = cpus;
	} else {
		sampler->pool.rates = means(CADRE_SCOPE_POOL, report->pool.counters);
		sampler->pool.rates.waiting = report->pool.waiting;
		sampler->pool.rates.service = report->pool.service;
		sampler->pool.rates.total = report->pool.total;
	}
	sampler->pool.tally = *now;
}

int cadre_sampler_take(struct cadre_sampler *sampler, const struct cadre_report *report)
{
	const int64_t created_ns = report->now_ns - report->pool.uptime_ns;
	const bool same = sampler->taken_ns > 0 && created_ns == sampler->uptime_base_ns;
	struct tally pool;

	if (make_room(&sampler->workers, report->pool.worker_count) < 0 ||
	    make_room(&sampler->operations, report->pool.operation_count) < 0)
		return -ENOMEM;
	sampler->interval_s = same && report->now_ns > sampler->taken_ns ?
				      (double)(report->now_ns - sampler->taken_ns) /
					      (double)CADRE_NS_PER_S :
				      0;
	sampler->taken_ns = report->now_ns;
	sampler->uptime_base_ns = created_ns;
	sampler->workers.count = report->pool.worker_count;
	sampler->operations.count = report->pool.operation_count;

	sampler->pool.rates.cpus = 0;
	tally_pool(report, &pool);
	for (uint32_t i = 0; i < report->pool.worker_count; i++)
		take_worker(sampler, &report->workers[i], &pool);
	for (uint32_t i = 0; i < report->pool.operation_count; i++)
		take_operation(sampler, i, &report->operations[i]);
	take_pool(sampler, report, &pool);
	return 0;
}

const struct cadre_rates *cadre_sampler_pool(const struct cadre_sampler *sampler)
{
	return &sampler->pool.rates;
}

const struct cadre_rates *cadre_sampler_worker(const struct cadre_sampler *sampler,
					       uint32_t index)
{
	return index < sampler->workers.count ? &sampler->workers.entries[index].rates :
						NULL;
}

const struct cadre_rates *cadre_sampler_operation(const struct cadre_sampler *sampler,
						  uint32_t index)
{
	return index < sampler->operations.count ?
		       &sampler->operations.entries[index].rates :
		       NULL;
}
