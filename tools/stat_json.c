/*
 * stat_json.c - a pool as one JSON object on one line.
 *
 * The contract: "schema" is 1; within one schema keys are only added. A key says its unit
 * (_ns, _bytes, _s); what has none is a count or a ratio. Keys are the names of `cadre stat
 * --list`, a dot in a name nests, and counters stand under "counters". Numbers above
 * 2^63 - 1, which only a damaged segment holds, are cut to that. A text that is not known is
 * null.
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

static json_t *count(uint64_t number)
{
	return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

static void append(json_t *array, json_t *value)
{
	failed |= json_array_append_new(array, value) < 0;
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

/* ---- from the catalogue ---- */

static json_t *value_of(const struct cadre_field *field, const void *snapshot)
{
	const char *const text = cadre_field_text(field, snapshot);

	switch (field->type) {
	case CADRE_TYPE_TEXT:
		return text[0] ? json_string(text) : json_null();
	case CADRE_TYPE_LETTER:
		return json_stringn((const char *)snapshot + field->offset, 1);
	case CADRE_TYPE_BOOL:
		return json_boolean(cadre_field_integer(field, snapshot) != 0);
	case CADRE_TYPE_REAL:
		return json_real(cadre_field_number(field, snapshot));
	default:
		return json_integer(cadre_field_integer(field, snapshot));
	}
}

/* The object in which the last part of a name is a key: "jobs.ok" is "ok" of "jobs". */
static json_t *nest(json_t *object, const char *name, const char **ret_key)
{
	const char *const dot = strchr(name, '.');
	char outer[64];
	json_t *inner;

	if (!dot) {
		*ret_key = name;
		return object;
	}
	snprintf(outer, sizeof(outer), "%.*s", (int)(dot - name), name);
	inner = json_object_get(object, outer);
	if (!inner) {
		inner = json_object();
		set(object, outer, inner);
	}
	return nest(inner, dot + 1, ret_key);
}

static void set_fields(json_t *object, const struct cadre_stat_choice *choice,
		       enum cadre_field_scope scope, const void *snapshot)
{
	size_t count;
	const struct cadre_field *const fields = cadre_fields(scope, &count);

	for (size_t i = 0; i < count; i++) {
		const char *key;
		json_t *inner;

		if (!cadre_stat_wants(choice, scope, &fields[i]))
			continue;
		inner = nest(object, fields[i].name, &key);
		set(inner, key, value_of(&fields[i], snapshot));
	}
}

/* Of workers, clients, operations, guests: which one it is stands there in any case. */
static json_t *object_of(const struct cadre_stat_choice *choice,
			 enum cadre_field_scope scope, const void *snapshot)
{
	json_t *const object = json_object();
	size_t count;
	const struct cadre_field *const key = cadre_fields(scope, &count);

	set(object, key->name, value_of(key, snapshot));
	set_fields(object, choice, scope, snapshot);
	return object;
}

static void set_rates(json_t *object, const struct cadre_stat_choice *choice,
		      const struct cadre_rates *rates)
{
	json_t *const inner = json_object();

	set_fields(inner, choice, CADRE_FIELDS_RATES, rates);
	if (json_object_size(inner) > 0)
		set(object, "rates", inner);
	else
		json_decref(inner);
}

/* ---- the parts ---- */

static json_t *blocks(const struct cadre_pool_snapshot *pool)
{
	json_t *const array = json_array();

	for (uint32_t size_class = 0; size_class < pool->block_classes; size_class++) {
		json_t *const object = json_object();

		set(object, "size_bytes",
		    json_integer((json_int_t)pool->block_size[size_class]));
		set(object, "count", json_integer(pool->block_count[size_class]));
		set(object, "used", json_integer(pool->block_used[size_class]));
		append(array, object);
	}
	return array;
}

static json_t *pool_object(const struct cadre_stat_pool *pool,
			   const struct cadre_stat_choice *choice)
{
	json_t *const object = json_object();

	set(object, "name", json_string(pool->name));
	set_fields(object, choice, CADRE_FIELDS_POOL, pool->pool);
	set_rates(object, choice, cadre_sampler_pool(pool->sampler));
	if (!choice->fields) {
		set(object, "created", utc((time_t)pool->pool->created_unix_s));
		set(object, "blocks", blocks(pool->pool));
	}
	return object;
}

static json_t *workers(const struct cadre_stat_pool *pool,
		       const struct cadre_stat_choice *choice)
{
	json_t *const array = json_array();
	const struct cadre_worker_snapshot *worker;

	for (uint32_t i = 0; (worker = cadre_report_worker(pool->report, i)); i++) {
		json_t *object;

		if (!cadre_stat_wants_worker(choice, i))
			continue;
		object = object_of(choice, CADRE_FIELDS_WORKER, worker);
		set_rates(object, choice, cadre_sampler_worker(pool->sampler, i));
		append(array, object);
	}
	return array;
}

/* Counters that clients named themselves, so they are no fields of the catalogue. */
static json_t *named(const struct cadre_stat_pool *pool, uint32_t window)
{
	json_t *const array = json_array();
	struct cadre_perf perf;

	for (uint32_t i = 0; i < CADRE_PERF_COUNTERS_MAX; i++) {
		json_t *object;

		if (cadre_report_perf(pool->report, window, i, &perf) < 0)
			continue;
		object = json_object();
		set(object, "name", json_string(perf.name));
		set(object, "jobs", count(perf.count));
		set(object, "errors", count(perf.errors));
		set(object, "sum_ns", count(perf.total_ns));
		set(object, "max_ns", count(perf.max_ns));
		append(array, object);
	}
	return array;
}

static json_t *clients(const struct cadre_stat_pool *pool,
		       const struct cadre_stat_choice *choice)
{
	json_t *const array = json_array();
	const struct cadre_client_snapshot *client;

	for (uint32_t i = 0; (client = cadre_report_client(pool->report, i)); i++) {
		json_t *const object = object_of(choice, CADRE_FIELDS_CLIENT, client);

		if (!choice->fields)
			set(object, "named", named(pool, client->place));
		append(array, object);
	}
	return array;
}

static json_t *guests(const struct cadre_stat_pool *pool,
		      const struct cadre_stat_choice *choice)
{
	json_t *const array = json_array();
	const struct cadre_guest_snapshot *guest;

	for (uint32_t i = 0; (guest = cadre_report_guest(pool->report, i)); i++)
		append(array, object_of(choice, CADRE_FIELDS_GUEST, guest));
	return array;
}

static json_t *operations(const struct cadre_stat_pool *pool,
			  const struct cadre_stat_choice *choice)
{
	json_t *const array = json_array();
	const struct cadre_operation_snapshot *operation;

	for (uint32_t i = 0; (operation = cadre_report_operation_at(pool->report, i));
	     i++) {
		json_t *const object = object_of(choice, CADRE_FIELDS_OPERATION,
						 operation);

		set_rates(object, choice, cadre_sampler_operation(pool->sampler, i));
		append(array, object);
	}
	return array;
}

/* ---- the whole ---- */

/* Takes the object. */
static int print(json_t *object)
{
	int r = -ENOMEM;

	if (!failed && object) {
		/* What goes wrong here is the stream's, and is found there. */
		json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
		putchar('\n');
		r = 0;
	}
	json_decref(object);
	return r;
}

int cadre_stat_print_json(const struct cadre_stat_pool *pool,
			  const struct cadre_stat_choice *choice)
{
	const struct cadre_rates *const rates = cadre_sampler_pool(pool->sampler);
	json_t *const object = json_object();

	failed = false;
	set(object, "schema", json_integer(1));
	set(object, "tool", json_string("cadre stat"));
	set(object, "time", now_utc());
	set(object, "monotonic_ns", json_integer(cadre_report_time_ns(pool->report)));
	set(object, "interval_s", json_real(rates->interval_s));
	set(object, "pool", pool_object(pool, choice));
	set(object, "workers", workers(pool, choice));
	set(object, "clients", clients(pool, choice));
	set(object, "operations", operations(pool, choice));
	set(object, "guests", guests(pool, choice));
	return print(object);
}

/* ---- the list ---- */

static json_t *described(const char *scope, const char *name, enum cadre_counter_kind kind,
			 const char *unit, const char *sentence)
{
	json_t *const line = json_object();

	set(line, "scope", json_string(scope));
	set(line, "name", json_string(name));
	set(line, "kind", json_string(cadre_counter_kind_name(kind)));
	set(line, "unit", json_string(unit));
	set(line, "sentence", json_string(sentence));
	return line;
}

static json_t *list_counters(void)
{
	static const char *const scopes[CADRE_SCOPE_COUNT] = {
		[CADRE_SCOPE_WORKER] = "worker",
		[CADRE_SCOPE_PLACE] = "place",
		[CADRE_SCOPE_CLIENT] = "client",
		[CADRE_SCOPE_POOL] = "pool",
	};
	json_t *const array = json_array();

	for (unsigned scope = 0; scope < CADRE_SCOPE_COUNT; scope++) {
		size_t number;
		const struct cadre_counter_description *const counters =
			cadre_counter_describe((enum cadre_counter_scope)scope, &number);

		for (size_t i = 0; i < number; i++)
			append(array, described(scopes[scope], counters[i].name,
						counters[i].kind, counters[i].unit,
						counters[i].sentence));
	}
	return array;
}

static json_t *list_fields(void)
{
	json_t *const array = json_array();

	for (unsigned scope = 0; scope < CADRE_FIELDS_COUNT; scope++) {
		size_t number;
		const struct cadre_field *const fields =
			cadre_fields((enum cadre_field_scope)scope, &number);

		for (size_t i = 0; i < number; i++)
			append(array, described(cadre_field_scope_name(
							(enum cadre_field_scope)scope),
						fields[i].name, fields[i].kind,
						fields[i].unit, fields[i].sentence));
	}
	return array;
}

int cadre_stat_list_json(void)
{
	json_t *const object = json_object();

	failed = false;
	set(object, "schema", json_integer(1));
	set(object, "counters", list_counters());
	set(object, "fields", list_fields());
	return print(object);
}
