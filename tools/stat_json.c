/*
 * stat_json.c - a pool as one JSON object on one line.
 *
 * The contract: "schema" is 1; within one schema keys are only added. A key says its unit
 * (_ns, _bytes); what has none is a count. Counters stand under "counters" by the names
 * of `cadre stat --list`. Numbers above 2^63 - 1, which only a damaged segment holds, are
 * cut to that.
 */
#include "stat.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* jansson lets an error pass through: a NULL value makes set fail, and the missing key is
 * found by nobody. So failures are collected here. */
static bool failed;

static void set(json_t *object, const char *key, json_t *value)
{
	failed |= json_object_set_new(object, key, value) < 0;
}

static void append(json_t *array, json_t *value)
{
	failed |= json_array_append_new(array, value) < 0;
}

static json_t *count(uint64_t number)
{
	return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

static json_t *utc(time_t when)
{
	char text[32] = "";
	struct tm parts;

	/* A year that no calendar holds. */
	if (!gmtime_r(&when, &parts) || parts.tm_year < 0 || parts.tm_year > 9999 - 1900)
		return json_null();
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	return json_string(text);
}

static json_t *now_utc(void)
{
	char text[48];
	struct timespec now;
	struct tm parts;
	size_t length;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text + length, sizeof(text) - length, ".%06ldZ", now.tv_nsec / 1000);
	return json_string(text);
}

/* ---- what several parts have in common ---- */

static void set_counters(json_t *object, enum cadre_counter_scope scope,
			 const uint64_t *values)
{
	size_t number;
	const struct cadre_counter_description *const counters =
		cadre_counter_describe(scope, &number);

	for (size_t i = 0; i < number; i++)
		set(object, counters[i].name, count(values[i]));
}

static json_t *counters(enum cadre_counter_scope scope, const uint64_t *values)
{
	json_t *const object = json_object();

	set_counters(object, scope, values);
	return object;
}

/* By the printable names of the outcomes, their blanks made keys: "timed_out". */
static json_t *outcomes(const uint64_t jobs[CADRE_OUTCOME_COUNT])
{
	json_t *const object = json_object();

	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++) {
		char key[32];

		snprintf(key, sizeof(key), "%s",
			 cadre_outcome_name((enum cadre_outcome)outcome));
		for (char *blank; (blank = strchr(key, ' '));)
			*blank = '_';
		set(object, key, count(jobs[outcome]));
	}
	return object;
}

static json_t *percentiles(const struct cadre_percentiles *times)
{
	json_t *const object = json_object();

	set(object, "jobs", count(times->jobs));
	set(object, "p50_ns", json_integer(times->p50_ns));
	set(object, "p90_ns", json_integer(times->p90_ns));
	set(object, "p99_ns", json_integer(times->p99_ns));
	set(object, "p999_ns", json_integer(times->p999_ns));
	set(object, "max_ns", json_integer(times->max_ns));
	return object;
}

/* ---- the parts ---- */

static json_t *blocks(const struct cadre_pool_snapshot *pool)
{
	json_t *const array = json_array();

	for (uint32_t size_class = 0; size_class < pool->block_classes; size_class++) {
		json_t *const object = json_object();

		set(object, "size_bytes", count(pool->block_size[size_class]));
		set(object, "count", json_integer(pool->block_count[size_class]));
		set(object, "used", json_integer(pool->block_used[size_class]));
		append(array, object);
	}
	return array;
}

static json_t *pool_object(const struct cadre_pool_snapshot *pool)
{
	json_t *const object = json_object();

	set(object, "name", json_string(pool->name));
	set(object, "state", json_string(pool->state));
	set(object, "alive", json_boolean(pool->alive));
	set(object, "degraded", json_boolean(pool->degraded));
	set(object, "supervisor_pid", json_integer(pool->supervisor_pid));
	set(object, "heartbeat_age_ns", json_integer(pool->heartbeat_age_ns));
	set(object, "uptime_ns", json_integer(pool->uptime_ns));
	set(object, "created", utc((time_t)pool->created_unix_s));
	set(object, "workers_min", json_integer(pool->workers_min));
	set(object, "workers_max", json_integer(pool->workers_max));
	set(object, "workers_ready", json_integer(pool->workers_ready));
	set(object, "parallel", json_integer(pool->parallel));
	set(object, "clients", json_integer(pool->clients));
	set(object, "clients_max", json_integer(pool->clients_max));
	set(object, "window_slots", json_integer(pool->window_slots));
	set(object, "payload_max_bytes", count(pool->payload_max));
	set(object, "segment_bytes", count(pool->segment_bytes));
	set(object, "submitted", count(pool->submitted));
	set(object, "queue_length", count(pool->queue_length));
	set(object, "in_flight", count(pool->in_flight));
	set(object, "oldest_pending_ns", json_integer(pool->oldest_pending_ns));
	set(object, "jobs", outcomes(pool->jobs));
	set(object, "blocks", blocks(pool));
	set(object, "counters", counters(CADRE_SCOPE_POOL, pool->counters));
	return object;
}

static void set_operation(json_t *object, const struct cadre_report *report, int32_t id)
{
	const char *const name = cadre_report_operation(report, id);

	set(object, "operation_id", json_integer(id));
	set(object, "operation", name ? json_string(name) : json_null());
}

static json_t *worker_object(const struct cadre_report *report,
			     const struct cadre_worker_snapshot *worker)
{
	json_t *const object = json_object();
	json_t *const all = counters(CADRE_SCOPE_WORKER, worker->worker);

	set_counters(all, CADRE_SCOPE_PLACE, worker->about);
	set(object, "worker", json_integer(worker->place));
	set(object, "letter", json_stringn(&worker->letter, 1));
	set(object, "torn", json_boolean(worker->torn));
	set(object, "pid", json_integer(worker->pid));
	set(object, "incarnation", json_integer(worker->incarnation));
	set(object, "uptime_ns", json_integer(worker->uptime_ns));
	set(object, "idle_ns", json_integer(worker->idle_ns));
	set(object, "spent_idle_ns", json_integer(worker->spent_idle_ns));
	set(object, "spent_busy_ns", json_integer(worker->spent_busy_ns));
	set(object, "spent_blocked_ns", json_integer(worker->spent_blocked_ns));
	set(object, "retry_in_ns", json_integer(worker->retry_in_ns));
	set(object, "running_ns", json_integer(worker->running_ns));
	set_operation(object, report, worker->operation);
	set(object, "last_signal", json_integer(worker->last_signal));
	set(object, "last_exit_status", json_integer(worker->last_exit_status));
	set(object, "jobs", outcomes(worker->jobs));
	set(object, "counters", all);
	set(object, "waiting", percentiles(&worker->waiting));
	set(object, "service", percentiles(&worker->service));
	set(object, "total", percentiles(&worker->total));
	return object;
}

static json_t *client_object(const struct cadre_client_snapshot *client)
{
	json_t *const object = json_object();

	set(object, "client", json_integer(client->place));
	set(object, "state", json_string(client->state));
	set(object, "pid", json_integer(client->pid));
	set(object, "slots_used", json_integer(client->slots_used));
	set(object, "queued", json_integer(client->queued));
	set(object, "running", json_integer(client->running));
	set(object, "submitted", count(client->submitted));
	set(object, "jobs", outcomes(client->jobs));
	set(object, "counters", counters(CADRE_SCOPE_CLIENT, client->counters));
	return object;
}

static json_t *workers(const struct cadre_report *report)
{
	json_t *const array = json_array();
	const struct cadre_worker_snapshot *worker;

	for (uint32_t i = 0; (worker = cadre_report_worker(report, i)); i++)
		append(array, worker_object(report, worker));
	return array;
}

static json_t *clients(const struct cadre_report *report)
{
	json_t *const array = json_array();
	const struct cadre_client_snapshot *client;

	for (uint32_t i = 0; (client = cadre_report_client(report, i)); i++)
		append(array, client_object(client));
	return array;
}

/* ---- the whole ---- */

/* Takes the object. */
static int print(json_t *object)
{
	int r = -ENOMEM;

	if (!failed && object) {
		/* What goes wrong here is the stream's, and is found there. */
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
		r = 0;
	}
	json_decref(object);
	return r;
}

int cadre_stat_print_json(const struct cadre_report *report,
			  const struct cadre_pool_snapshot *pool)
{
	json_t *const object = json_object();

	failed = false;
	set(object, "schema", json_integer(1));
	set(object, "tool", json_string("cadre stat"));
	set(object, "time", now_utc());
	set(object, "pool", pool_object(pool));
	set(object, "workers", workers(report));
	set(object, "clients", clients(report));
	return print(object);
}

int cadre_stat_list_json(void)
{
	json_t *const object = json_object();
	json_t *const array = json_array();

	failed = false;
	for (unsigned scope = 0; scope < CADRE_SCOPE_COUNT; scope++) {
		size_t number;
		const struct cadre_counter_description *const described =
			cadre_counter_describe((enum cadre_counter_scope)scope, &number);

		for (size_t i = 0; i < number; i++) {
			json_t *const line = json_object();

			set(line, "scope",
			    json_string(cadre_stat_scope_name(
				    (enum cadre_counter_scope)scope)));
			set(line, "name", json_string(described[i].name));
			set(line, "kind",
			    json_string(cadre_stat_kind_name(described[i].kind)));
			set(line, "unit", json_string(described[i].unit));
			set(line, "sentence", json_string(described[i].sentence));
			append(array, line);
		}
	}
	set(object, "schema", json_integer(1));
	set(object, "counters", array);
	return print(object);
}
