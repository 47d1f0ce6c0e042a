/*
 * tables.c - which columns each view has. What a field means, `cadre stat --list` says.
 */
#include "../text.h"
#include "top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const struct cadre_field *top_field(enum cadre_field_scope scope, const char *name)
{
	size_t count;
	const struct cadre_field *const fields = cadre_fields(scope, &count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	/* A name that fields.def does not know. */
	abort();
}

uint64_t top_counter(enum cadre_counter_scope scope, const uint64_t *values,
		     const char *name)
{
	size_t count;
	const struct cadre_counter_description *const counters =
		cadre_counter_describe(scope, &count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(counters[i].name, name) == 0)
			return values[i];
	}
	/* A name that counters.def does not know. */
	abort();
}

/* ---- workers ---- */

static const struct cadre_worker_snapshot *worker(const struct top *top, uint32_t index)
{
	return cadre_report_worker(top->report, index);
}

static void write_letter(const struct top *top, uint32_t index, char *text, size_t size)
{
	snprintf(text, size, "%c%s", worker(top, index)->letter,
		 worker(top, index)->torn ? "?" : "");
}

/* What it does, or why it does nothing. */
static void write_what(const struct top *top, uint32_t index, char *text, size_t size)
{
	const struct cadre_worker_snapshot *const it = worker(top, index);

	if (it->letter == 'X' && it->retry_in_ns > 0)
		snprintf(text, size, "%s, again in %s", it->last_reason,
			 cadre_text_duration(it->retry_in_ns));
	else if (it->running_ns > 0 && it->operation_name[0])
		snprintf(text, size, "%s", it->operation_name);
	else if (it->running_ns > 0)
		snprintf(text, size, "operation %d", it->operation);
	else if (it->last_reason[0])
		snprintf(text, size, "(%s)", it->last_reason);
	else
		text[0] = '\0';
}

static const struct top_column worker_columns[] = {
	{ "WORKER", 6, TOP_INTEGER, "worker", false, NULL },
	{ "PID", 7, TOP_PID, "pid", false, NULL },
	{ "S", -2, TOP_TEXT, NULL, false, write_letter },
	{ "LOAD%", 6, TOP_SHARE, "load", true, NULL },
	{ "MAX%", 6, TOP_PPM, "counters.load_max", false, NULL },
	{ "BLK%", 6, TOP_SHARE, "blocked", true, NULL },
	{ "IDLE", 7, TOP_DURATION, "idle_ns", false, NULL },
	{ "JOBS/s", 7, TOP_RATE, "jobs_per_s", true, NULL },
	{ "JOBS", 7, TOP_COUNT, "jobs.ok", false, NULL },
	{ "ERR", 6, TOP_COUNT, "jobs.failed", false, NULL },
	{ "LOST", 6, TOP_COUNT, "jobs.lost", false, NULL },
	{ "RST", 5, TOP_COUNT, "counters.restarts", false, NULL },
	{ "P50", 7, TOP_DURATION, ".p50_ns", true, NULL },
	{ "P99", 7, TOP_DURATION, ".p99_ns", true, NULL },
	{ "NOW", 7, TOP_DURATION, "running_ns", false, NULL },
	{ "WHAT", -18, TOP_TEXT, NULL, false, write_what },
	{ "RSS", 7, TOP_SIZE, "resident_bytes", false, NULL },
	{ "CPU%", 6, TOP_SHARE, "cpus", true, NULL },
	{ "AGE", 7, TOP_DURATION, "uptime_ns", false, NULL },
};

static uint32_t count_workers(const struct top *top)
{
	return top->snapshot->worker_count;
}

static const void *worker_snapshot(const struct top *top, uint32_t index)
{
	return worker(top, index);
}

static const void *worker_rates(const struct top *top, uint32_t index)
{
	return cadre_sampler_worker(top->sampler, index);
}

static bool worker_is_idle(const struct top *top, uint32_t index)
{
	const char letter = worker(top, index)->letter;

	return letter == '.' ||
	       (letter == '_' &&
		cadre_sampler_worker(top->sampler, index)->jobs_per_s == 0);
}

static const struct top_table workers = {
	.name = "workers",
	.scope = CADRE_FIELDS_WORKER,
	.columns = worker_columns,
	.column_count = COUNT_OF(worker_columns),
	.upwards = true,
	.count = count_workers,
	.snapshot = worker_snapshot,
	.rates = worker_rates,
	.is_idle = worker_is_idle,
};

/* ---- operations ---- */

static const struct top_column operation_columns[] = {
	{ "OPERATION", -20, TOP_TEXT, "operation", false, NULL },
	{ "ID", 6, TOP_INTEGER, "operation_id", false, NULL },
	{ "JOBS/s", 8, TOP_RATE, "jobs_per_s", true, NULL },
	{ "JOBS", 8, TOP_COUNT, "jobs", false, NULL },
	{ "FAILED", 8, TOP_COUNT, "failed", false, NULL },
	{ "NOW", 5, TOP_COUNT, "running", false, NULL },
	{ "P50", 8, TOP_DURATION, ".p50_ns", true, NULL },
	{ "P90", 8, TOP_DURATION, ".p90_ns", true, NULL },
	{ "P99", 8, TOP_DURATION, ".p99_ns", true, NULL },
	{ "P99.9", 8, TOP_DURATION, ".p999_ns", true, NULL },
	{ "MAX", 8, TOP_DURATION, ".max_ns", true, NULL },
};

static uint32_t count_operations(const struct top *top)
{
	return top->snapshot->operation_count;
}

static const void *operation_snapshot(const struct top *top, uint32_t index)
{
	return cadre_report_operation_at(top->report, index);
}

static const void *operation_rates(const struct top *top, uint32_t index)
{
	return cadre_sampler_operation(top->sampler, index);
}

static bool operation_is_idle(const struct top *top, uint32_t index)
{
	return cadre_report_operation_at(top->report, index)->running == 0 &&
	       cadre_sampler_operation(top->sampler, index)->jobs_per_s == 0;
}

static const struct top_table operations = {
	.name = "operations",
	.scope = CADRE_FIELDS_OPERATION,
	.columns = operation_columns,
	.column_count = COUNT_OF(operation_columns),
	.sort = 2,
	.count = count_operations,
	.snapshot = operation_snapshot,
	.rates = operation_rates,
	.is_idle = operation_is_idle,
};

/* ---- clients ---- */

static const struct top_column client_columns[] = {
	{ "CLIENT", 6, TOP_INTEGER, "client", false, NULL },
	{ "PID", 7, TOP_PID, "pid", false, NULL },
	{ "STATE", -9, TOP_TEXT, "state", false, NULL },
	{ "USED", 6, TOP_INTEGER, "slots_used", false, NULL },
	{ "QUEUED", 7, TOP_INTEGER, "queued", false, NULL },
	{ "RUNNING", 8, TOP_INTEGER, "running", false, NULL },
	{ "MAX", 6, TOP_INTEGER, "counters.in_flight_max", false, NULL },
	{ "FULL", 7, TOP_COUNT, "counters.window_full", false, NULL },
	{ "SUBMITTED", 10, TOP_COUNT, "submitted", false, NULL },
	{ "OK", 8, TOP_COUNT, "jobs.ok", false, NULL },
	{ "FAILED", 8, TOP_COUNT, "jobs.failed", false, NULL },
	{ "LOST", 6, TOP_COUNT, "jobs.lost", false, NULL },
	{ "CANCELLED", 10, TOP_COUNT, "jobs.cancelled", false, NULL },
	{ "TIMEOUT", 8, TOP_COUNT, "jobs.timed_out", false, NULL },
};

static uint32_t count_clients(const struct top *top)
{
	return top->snapshot->client_count;
}

static const void *client_snapshot(const struct top *top, uint32_t index)
{
	return cadre_report_client(top->report, index);
}

static bool client_is_idle(const struct top *top, uint32_t index)
{
	return cadre_report_client(top->report, index)->slots_used == 0;
}

static const struct top_table clients = {
	.name = "clients",
	.scope = CADRE_FIELDS_CLIENT,
	.columns = client_columns,
	.column_count = COUNT_OF(client_columns),
	.upwards = true,
	.count = count_clients,
	.snapshot = client_snapshot,
	.is_idle = client_is_idle,
};

/* ---- events ---- */

const struct cadre_event_info *top_event_at(const struct top *top, uint32_t index)
{
	return cadre_report_event(top->report, top->snapshot->event_count - 1 - index);
}

static void write_age(const struct top *top, uint32_t index, char *text, size_t size)
{
	snprintf(text, size, "%s", cadre_text_duration(top_event_at(top, index)->age_ns));
}

static void write_kind(const struct top *top, uint32_t index, char *text, size_t size)
{
	snprintf(text, size, "%s", top_event_at(top, index)->name);
}

static void write_sentence(const struct top *top, uint32_t index, char *text, size_t size)
{
	snprintf(text, size, "%s", top_event_at(top, index)->sentence);
}

static const struct top_column event_columns[] = {
	{ "AGO", 7, TOP_ORDER, NULL, false, write_age },
	{ "EVENT", -17, TOP_TEXT, NULL, false, write_kind },
	{ "WHAT HAPPENED", -60, TOP_TEXT, NULL, false, write_sentence },
};

static uint32_t count_events(const struct top *top)
{
	return top->snapshot->event_count;
}

static bool event_is_idle(const struct top *top, uint32_t index)
{
	(void)top;
	(void)index;
	return false;
}

static const struct top_table events = {
	.name = "events",
	.columns = event_columns,
	.column_count = COUNT_OF(event_columns),
	.upwards = true,
	.count = count_events,
	.is_idle = event_is_idle,
};

const struct top_table *const top_tables[TOP_TABLES] = {
	[TOP_WORKERS] = &workers,
	[TOP_OPERATIONS] = &operations,
	[TOP_CLIENTS] = &clients,
	[TOP_EVENTS] = &events,
};
