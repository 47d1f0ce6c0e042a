/*
 * report.c - one look at a whole pool, through a mapping that cannot be written.
 *
 * It asks no process and writes nothing. It does not say what should be done about what
 * it saw; that is the business of the tools.
 */
#include "report.h"
#include "clock.h"
#include "diag.h"
#include "process.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cadre_report_copy_name(char *into, const char *from, size_t size)
{
	memcpy(into, from, size);
	into[size - 1] = '\0';
	for (char *c = into; *c; c++) {
		if (!isgraph((unsigned char)*c))
			*c = '?';
	}
}

bool cadre_report_is_left_behind(const struct cadre_report *report,
				 const struct cadre_place *place)
{
	return !report->pool.alive && cadre_process_is_gone(cadre_place_who(place));
}

/* ---- the pool ---- */

static const char *pool_state(uint32_t state)
{
	static const char *const names[] = {
		[CADRE_POOL_STARTING] = "starting",
		[CADRE_POOL_OPEN] = "open",
		[CADRE_POOL_STOPPING] = "stopping",
		[CADRE_POOL_TERMINATED] = "terminated",
		[CADRE_POOL_DRAINING] = "draining",
		[CADRE_POOL_STOPPED] = "stopped",
	};

	return state < CADRE_COUNT_OF(names) ? names[state] : "?";
}

static void read_blocks(const struct cadre_view *view, struct cadre_pool_snapshot *pool)
{
	const struct cadre_block_pool blocks = cadre_layout_blocks(view);

	static_assert(CADRE_COUNT_OF(pool->block_used) == CADRE_BLOCK_CLASSES, "report.h");
	pool->block_classes = view->plan.classes;
	cadre_block_count_used(&blocks, pool->block_used);
	for (uint32_t size_class = 0; size_class < view->plan.classes; size_class++) {
		pool->block_size[size_class] = view->plan.size[size_class];
		pool->block_count[size_class] = view->plan.count[size_class];
		pool->block_bytes += pool->block_size[size_class] *
				     pool->block_count[size_class];
		pool->block_bytes_used += pool->block_size[size_class] *
					  pool->block_used[size_class];
	}
}

static void read_header(struct cadre_report *report)
{
	const struct cadre_header *const header = report->view.header;
	const struct cadre_limits *const limits = &report->view.limits;
	const struct cadre_size size = cadre_view_size(&report->view);

	/* Relaxed, all of these: each says something by itself. */
	report->pool = (struct cadre_pool_snapshot){
		/* One that cannot be seen is none that is known to be dead. */
		.alive = cadre_lock_holder(report->name) != 0,
		.degraded = atomic_load_explicit(&header->degraded,
						 memory_order_relaxed) != 0,
		.supervisor_pid = atomic_load_explicit(&header->supervisor_pid,
						       memory_order_relaxed),
		.heartbeat_age_ns = cadre_report_since(
			report,
			atomic_load_explicit(&header->heartbeat_ns, memory_order_relaxed)),
		.uptime_ns = cadre_report_since(report,
						CADRE_READ_ONCE(header->created_ns)),
		.created_unix_s = CADRE_READ_ONCE(header->created_unix_s),
		.workers_min = size.min,
		.workers_max = size.max,
		.version = atomic_load_explicit(&header->version, memory_order_relaxed),
		.parallel = limits->parallel,
		.clients_max = limits->clients,
		.window_slots = limits->slots,
		.payload_max = limits->payload_max,
		.segment_bytes = report->view.size,
		.worker_count = limits->workers,
		.locals_max = limits->locals,
	};
	memcpy(report->pool.name, report->name, sizeof(report->pool.name));
	snprintf(report->pool.state, sizeof(report->pool.state), "%s",
		 pool_state(atomic_load_explicit(&header->state, memory_order_relaxed)));
	CADRE_READ_COUNTERS(report->pool.counters, &header->counters);
}

/* ---- operations ---- */

struct cadre_operation_snapshot *cadre_report_count_operation(struct cadre_report *report,
							      int32_t id)
{
	struct cadre_operation_snapshot *const all = report->operations;
	uint32_t *const count = &report->pool.operation_count;

	for (uint32_t i = 0; i < *count; i++) {
		if (all[i].id == id)
			return &all[i];
	}
	/* The last one is kept for the others. */
	if (id != 0 && *count >= CADRE_REPORT_OPERATIONS_MAX - 1)
		return cadre_report_count_operation(report, 0);
	memset(&all[*count], 0, sizeof(all[*count]));
	all[*count].id = id;
	snprintf(all[*count].name, sizeof(all[*count].name), "%s", id ? "?" : "others");
	return &all[(*count)++];
}

/* Those that the pool names. */
static void read_operations(struct cadre_report *report)
{
	for (unsigned i = 0; i < CADRE_OPERATIONS_MAX; i++) {
		const struct cadre_operation_line *const line =
			&report->view.header->operations[i];
		/* H4: acquire, pairs with H3 in reload.c: the name is whole. */
		const int32_t id = __atomic_load_n(&line->id, __ATOMIC_ACQUIRE);
		struct cadre_operation_snapshot *operation;

		static_assert(sizeof(operation->name) >= sizeof(line->name), "report.h");
		if (id <= 0)
			continue;
		operation = cadre_report_count_operation(report, id);
		cadre_report_copy_name(operation->name, line->name, sizeof(line->name));
	}
}

static void sum_up_latencies(struct cadre_report *report)
{
	struct cadre_pool_snapshot *const pool = &report->pool;

	for (uint32_t i = 0; i < pool->operation_count; i++) {
		struct cadre_operation_snapshot *const operation = &report->operations[i];
		const struct cadre_latency *const latency = operation->latency;

		operation->jobs = latency[CADRE_LATENCY_SERVICE].jobs;
		operation->waiting = cadre_latency_percentiles(
			&latency[CADRE_LATENCY_WAITING]);
		operation->service = cadre_latency_percentiles(
			&latency[CADRE_LATENCY_SERVICE]);
		operation->total = cadre_latency_percentiles(&latency[CADRE_LATENCY_TOTAL]);
	}
	pool->waiting = cadre_latency_percentiles(&pool->latency[CADRE_LATENCY_WAITING]);
	pool->service = cadre_latency_percentiles(&pool->latency[CADRE_LATENCY_SERVICE]);
	pool->total = cadre_latency_percentiles(&pool->latency[CADRE_LATENCY_TOTAL]);
}

/* ---- the public calls ---- */

int cadre_report_open(const char *pool, struct cadre_report **ret_report,
		      struct cadre_diag *diag)
{
	struct cadre_report *const report = calloc(1, sizeof(*report));
	int r;

	if (!report)
		return cadre_refuse(diag, -ENOMEM,
				    "cannot open pool \"%s\": no memory left", pool);
	r = cadre_layout_open(pool, false, &report->view, diag);
	if (r < 0) {
		free(report);
		return r;
	}
	strncpy(report->name, pool, sizeof(report->name) - 1);
	*ret_report = report;
	return 0;
}

void cadre_report_close(struct cadre_report *report)
{
	if (!report)
		return;
	cadre_layout_close(&report->view);
	free(report);
}

const struct cadre_pool_snapshot *cadre_report_read(struct cadre_report *report)
{
	report->now_ns = cadre_clock_ns();
	memset(report->burdens, 0, sizeof(report->burdens));
	read_header(report);
	read_operations(report);
	read_blocks(&report->view, &report->pool);
	/* Clients first: their slots say what burdens the workers. */
	for (uint32_t window = 0; window < report->view.limits.clients; window++)
		cadre_report_read_window(report, window);
	for (uint32_t index = 0; index < report->view.limits.workers; index++)
		cadre_report_read_worker(report, index);
	for (uint32_t index = 0; index < report->view.limits.locals; index++)
		cadre_report_read_guest(report, index);
	sum_up_latencies(report);
	cadre_chronicle_read(&report->chronicle, &report->view, report->now_ns);
	report->pool.events = report->chronicle.events;
	report->pool.event_count = report->chronicle.event_count;
	report->pool.refused_count = report->chronicle.refused_count;
	return &report->pool;
}

const struct cadre_worker_snapshot *cadre_report_worker(const struct cadre_report *report,
							uint32_t index)
{
	return index < report->pool.worker_count ? &report->workers[index] : NULL;
}

const struct cadre_client_snapshot *cadre_report_client(const struct cadre_report *report,
							uint32_t index)
{
	return index < report->pool.client_count ? &report->clients[index] : NULL;
}

const struct cadre_guest_snapshot *cadre_report_guest(const struct cadre_report *report,
						      uint32_t index)
{
	return index < report->pool.locals_max ? &report->guests[index] : NULL;
}

int cadre_report_perf(const struct cadre_report *report, uint32_t client, uint32_t index,
		      struct cadre_perf *ret_perf)
{
	if (client >= report->view.limits.clients || index >= CADRE_PERF_COUNTERS_MAX)
		return -ENOENT;
	return cadre_perf_read(&report->view.client_perfs[client].lines[index], ret_perf) ?
		       0 :
		       -ENOENT;
}

int cadre_report_backtrace(const struct cadre_report *report, uint32_t worker,
			   int32_t pid, struct cadre_backtrace *ret_backtrace)
{
	if (worker >= report->view.limits.workers)
		return -ENOENT;
	return cadre_crash_read(&report->view.worker_crashes[worker], pid, ret_backtrace);
}

const char *cadre_report_operation(const struct cadre_report *report, int32_t id)
{
	for (uint32_t i = 0; id > 0 && i < report->pool.operation_count; i++) {
		const struct cadre_operation_snapshot *const operation =
			&report->operations[i];

		if (operation->id == id)
			return strcmp(operation->name, "?") == 0 ? NULL : operation->name;
	}
	return NULL;
}

const struct cadre_operation_snapshot *cadre_report_operation_at(
	const struct cadre_report *report, uint32_t index)
{
	return index < report->pool.operation_count ? &report->operations[index] : NULL;
}

int64_t cadre_report_time_ns(const struct cadre_report *report)
{
	return report->now_ns;
}

struct each {
	void (*visit)(const char *pool, void *context);
	void *context;
};

static void visit_segment(const char *pool, void *context)
{
	const struct each *const each = context;
	char path[CADRE_PATH_SIZE];

	cadre_path(pool, CADRE_FILE_SEGMENT, path);
	if (access(path, F_OK) == 0)
		each->visit(pool, each->context);
}

void cadre_report_each_pool(void (*visit)(const char *pool, void *context), void *context)
{
	struct each each = { .visit = visit, .context = context };

	cadre_each_pool(visit_segment, &each);
}
