/*
 * stat_prometheus.c - pools as Prometheus text, format 0.0.4.
 *
 * Metrics are made from the catalogue: cadre_, the scope unless it is the pool's, the name of
 * the field, its base unit, and _total for what only grows. A few stand apart because they
 * are one metric with a label: outcomes, states, and the histograms. Labels are bounded:
 * places, not processes; operations, not jobs.
 *
 * A metric is written with all its samples, those of every pool, before the next one begins.
 */
#include "stat.h"

#include <inttypes.h>
#include <string.h>

#ifndef CADRE_VERSION
#define CADRE_VERSION "0.1.0"
#endif

struct page {
	FILE *out;
	const struct cadre_stat_pool *pools;
	size_t count;
	const struct cadre_stat_choice *choice;
};

/* ---- names ---- */

/* What a unit becomes: a suffix in base units, and how many of them one is. */
static const struct unit {
	const char *name;   /* as in the catalogue */
	const char *ending; /* of the field's name that says the same */
	const char *suffix;
	double factor;
} units[] = {
	{ "ns", "_ns", "_seconds", 1e-9 },
	{ "s", "_s", "_seconds", 1 },
	{ "bytes", "_bytes", "_bytes", 1 },
	{ "ppm", "", "_ratio", 1e-6 },
	{ "mjobs/s", "", "_jobs_per_second", 1e-3 },
	{ "unix s", "_unix_s", "_timestamp_seconds", 1 },
};

static const struct unit *unit_of(const struct cadre_field *field)
{
	static const struct unit none = { "", "", "", 1 };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(units[i].name, field->unit) == 0)
			return &units[i];
	}
	return &none;
}

static void cut_ending(char *name, const char *ending)
{
	const size_t length = strlen(name), cut = strlen(ending);

	if (cut > 0 && length > cut && strcmp(name + length - cut, ending) == 0)
		name[length - cut] = '\0';
}

/* "counters.load_max_unix_s" of a worker: cadre_worker_load_max_timestamp_seconds. */
static void name_metric(enum cadre_field_scope scope, const struct cadre_field *field,
			char *name, size_t size)
{
	static const char *const prefixes[CADRE_FIELDS_COUNT] = {
		[CADRE_FIELDS_POOL] = "",
		[CADRE_FIELDS_WORKER] = "worker_",
		[CADRE_FIELDS_CLIENT] = "client_",
		[CADRE_FIELDS_OPERATION] = "operation_",
		[CADRE_FIELDS_GUEST] = "guest_",
	};
	const struct unit *const unit = unit_of(field);
	const char *const dot = strrchr(field->name, '.');

	snprintf(name, size, "cadre_%s%s", prefixes[scope], dot ? dot + 1 : field->name);
	cut_ending(name, unit->ending);
	snprintf(name + strlen(name), size - strlen(name), "%s%s", unit->suffix,
		 field->kind == CADRE_COUNTER_TOTAL ? "_total" : "");
}

/* In HELP only a backslash and a newline would have to be escaped; no sentence has one. */
static void announce(const struct page *page, const char *name, const char *type,
		     const char *sentence)
{
	fprintf(page->out, "# HELP %s %c%s\n# TYPE %s %s\n", name,
		sentence[0] >= 'a' && sentence[0] <= 'z' ? sentence[0] - 'a' + 'A' :
							   sentence[0],
		sentence + 1, name, type);
}

/* Names of pools and operations hold nothing that would have to be escaped: a pool's is
 * checked, and in an operation's the report has replaced it, but for quotes. */
static void print_label(const struct page *page, const char *key, const char *value)
{
	fprintf(page->out, "%s=\"", key);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', page->out);
		fputc(*value, page->out);
	}
	fputc('"', page->out);
}

/* ---- the fields of the catalogue ---- */

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Numbers that are not shown elsewhere: not as labels, not in a histogram, not by outcome or
 * state. */
static bool is_metric(const struct cadre_field *field)
{
	static const char *const apart[] = { "jobs.",  "waiting.", "service.",
					     "total.", "spent_",   "service_sum" };

	if (field->type == CADRE_TYPE_TEXT || field->type == CADRE_TYPE_LETTER)
		return false;
	if (field->kind == CADRE_COUNTER_LABEL && strcmp(field->unit, "unix s") != 0)
		return false;
	for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++) {
		if (has_prefix(field->name, apart[i]))
			return false;
	}
	return true;
}

/* The snapshot of a scope by its index; NULL behind the last, and its label. */
static const void *snapshot_at(const struct cadre_stat_pool *pool,
			       enum cadre_field_scope scope, uint32_t index)
{
	switch (scope) {
	case CADRE_FIELDS_POOL:
		return index == 0 ? pool->pool : NULL;
	case CADRE_FIELDS_WORKER:
		return cadre_report_worker(pool->report, index);
	case CADRE_FIELDS_CLIENT:
		return cadre_report_client(pool->report, index);
	case CADRE_FIELDS_OPERATION:
		return cadre_report_operation_at(pool->report, index);
	case CADRE_FIELDS_GUEST:
		return cadre_report_guest(pool->report, index);
	default:
		return NULL;
	}
}

/* {pool="orders",worker="3" - the brace is closed by the caller. */
static void open_labels(const struct page *page, const struct cadre_stat_pool *pool,
			enum cadre_field_scope scope, const void *snapshot)
{
	char number[16];

	fputc('{', page->out);
	print_label(page, "pool", pool->pool->name);
	if (scope == CADRE_FIELDS_WORKER) {
		const struct cadre_worker_snapshot *const worker = snapshot;

		snprintf(number, sizeof(number), "%u", worker->place);
		fputc(',', page->out);
		print_label(page, "worker", number);
	} else if (scope == CADRE_FIELDS_CLIENT) {
		const struct cadre_client_snapshot *const client = snapshot;

		snprintf(number, sizeof(number), "%u", client->place);
		fputc(',', page->out);
		print_label(page, "client", number);
	} else if (scope == CADRE_FIELDS_OPERATION) {
		const struct cadre_operation_snapshot *const operation = snapshot;

		fputc(',', page->out);
		print_label(page, "operation", operation->name);
	} else if (scope == CADRE_FIELDS_GUEST) {
		const struct cadre_guest_snapshot *const guest = snapshot;

		snprintf(number, sizeof(number), "%u", guest->place);
		fputc(',', page->out);
		print_label(page, "guest", number);
	}
}

static bool is_left_out(const struct page *page, enum cadre_field_scope scope,
			uint32_t index)
{
	return scope == CADRE_FIELDS_WORKER &&
	       !cadre_stat_wants_worker(page->choice, index);
}

static void print_field(const struct page *page, enum cadre_field_scope scope,
			const struct cadre_field *field)
{
	const double factor = unit_of(field)->factor;
	const void *snapshot;
	char name[128];

	name_metric(scope, field, name, sizeof(name));
	announce(page, name, field->kind == CADRE_COUNTER_TOTAL ? "counter" : "gauge",
		 field->sentence);
	for (size_t p = 0; p < page->count; p++) {
		for (uint32_t i = 0; (snapshot = snapshot_at(&page->pools[p], scope, i));
		     i++) {
			if (is_left_out(page, scope, i))
				continue;
			fputs(name, page->out);
			open_labels(page, &page->pools[p], scope, snapshot);
			if (factor == 1)
				fprintf(page->out, "} %" PRId64 "\n",
					cadre_field_integer(field, snapshot));
			else
				fprintf(page->out, "} %.12g\n",
					factor * cadre_field_number(field, snapshot));
		}
	}
}

static void print_fields(const struct page *page, enum cadre_field_scope scope)
{
	size_t count;
	const struct cadre_field *const fields = cadre_fields(scope, &count);

	for (size_t i = 0; i < count; i++) {
		if (is_metric(&fields[i]) &&
		    cadre_stat_wants(page->choice, scope, &fields[i]))
			print_field(page, scope, &fields[i]);
	}
}

/* ---- one metric for several fields: outcomes, and what time was spent on ---- */

static bool wants_any(const struct page *page, enum cadre_field_scope scope,
		      const char *prefix)
{
	size_t count;
	const struct cadre_field *const fields = cadre_fields(scope, &count);

	for (size_t i = 0; i < count; i++) {
		if (has_prefix(fields[i].name, prefix) &&
		    cadre_stat_wants(page->choice, scope, &fields[i]))
			return true;
	}
	return false;
}

/* The fields whose names begin so, the rest of the name being the label. */
static void print_group(const struct page *page, enum cadre_field_scope scope,
			const char *prefix, const char *label, const char *name,
			const char *sentence)
{
	size_t count;
	const struct cadre_field *const fields = cadre_fields(scope, &count);
	const void *snapshot;

	if (!wants_any(page, scope, prefix))
		return;
	announce(page, name, "counter", sentence);
	for (size_t p = 0; p < page->count; p++) {
		for (uint32_t n = 0; (snapshot = snapshot_at(&page->pools[p], scope, n));
		     n++) {
			if (is_left_out(page, scope, n))
				continue;
			for (size_t i = 0; i < count; i++) {
				char value[64];

				if (!has_prefix(fields[i].name, prefix))
					continue;
				snprintf(value, sizeof(value), "%s",
					 fields[i].name + strlen(prefix));
				cut_ending(value, unit_of(&fields[i])->ending);
				fputs(name, page->out);
				open_labels(page, &page->pools[p], scope, snapshot);
				fputc(',', page->out);
				print_label(page, label, value);
				fprintf(page->out, "} %.15g\n",
					unit_of(&fields[i])->factor *
						cadre_field_number(&fields[i], snapshot));
			}
		}
	}
}

/* ---- how many workers are in which state ---- */

static void print_states(const struct page *page)
{
	static const struct {
		char letter;
		const char *state;
	} states[] = {
		{ '_', "idle" },     { 'W', "working" },  { 'B', "blocked" },
		{ 'S', "starting" }, { 'G', "draining" }, { 'H', "overdue" },
		{ 'X', "dead" },     { 'D', "disabled" }, { '.', "unused" },
	};

	announce(page, "cadre_workers", "gauge",
		 "places of workers by state; all of them");
	for (size_t p = 0; p < page->count; p++) {
		for (size_t s = 0; s < sizeof(states) / sizeof(states[0]); s++) {
			const struct cadre_worker_snapshot *worker;
			unsigned count = 0;

			for (uint32_t i = 0;
			     (worker = cadre_report_worker(page->pools[p].report, i)); i++)
				count += worker->letter == states[s].letter;
			fprintf(page->out, "cadre_workers");
			open_labels(page, &page->pools[p], CADRE_FIELDS_POOL, NULL);
			fprintf(page->out, ",state=\"%s\"} %u\n", states[s].state, count);
		}
	}
}

/* ---- histograms ---- */

/* Bounds are powers of two in ns, from 1 us to 69 s: those that the buckets of a report end
 * at, so nothing is interpolated. */
#define BOUND_LEAST 10
#define BOUND_MOST 36

static void print_bound(const struct page *page, const struct cadre_stat_pool *pool,
			const struct cadre_operation_snapshot *operation,
			const char *name, const char *bound, uint64_t count)
{
	fprintf(page->out, "%s_bucket", name);
	open_labels(page, pool, CADRE_FIELDS_OPERATION, operation);
	fprintf(page->out, ",le=\"%s\"} %" PRIu64 "\n", bound, count);
}

static void print_histogram(const struct page *page, const struct cadre_stat_pool *pool,
			    const struct cadre_operation_snapshot *operation,
			    const char *name, const struct cadre_latency *latency)
{
	uint64_t count = 0;
	unsigned bucket = 0;

	for (unsigned power = BOUND_LEAST; power <= BOUND_MOST; power++) {
		const int64_t bound_ns = INT64_C(1) << power;
		char bound[32];

		for (; bucket < CADRE_LATENCY_BUCKETS - 1 &&
		       cadre_latency_ceiling_ns(bucket) < bound_ns;
		     bucket++)
			count += latency->count[bucket];
		snprintf(bound, sizeof(bound), "%.12g", (double)bound_ns / 1e9);
		print_bound(page, pool, operation, name, bound, count);
	}
	print_bound(page, pool, operation, name, "+Inf", latency->jobs);
	fprintf(page->out, "%s_sum", name);
	open_labels(page, pool, CADRE_FIELDS_OPERATION, operation);
	fprintf(page->out, "} %.12g\n%s_count", (double)latency->sum_ns / 1e9, name);
	open_labels(page, pool, CADRE_FIELDS_OPERATION, operation);
	fprintf(page->out, "} %" PRIu64 "\n", latency->jobs);
}

static void print_latencies(const struct page *page, enum cadre_latency_kind kind,
			    const char *name, const char *sentence)
{
	const struct cadre_operation_snapshot *operation;
	char prefix[16];

	snprintf(prefix, sizeof(prefix), "%s.", cadre_latency_name(kind));
	if (!wants_any(page, CADRE_FIELDS_OPERATION, prefix))
		return;
	announce(page, name, "histogram", sentence);
	for (size_t p = 0; p < page->count; p++) {
		for (uint32_t i = 0;
		     (operation = cadre_report_operation_at(page->pools[p].report, i));
		     i++)
			print_histogram(page, &page->pools[p], operation, name,
					&operation->latency[kind]);
	}
}

/* ---- the whole ---- */

static void print_build(const struct page *page)
{
	announce(page, "cadre_build_info", "gauge",
		 "the program that made this text; always 1");
	fprintf(page->out, "cadre_build_info{version=\"%s\"} 1\n", CADRE_VERSION);
}

void cadre_stat_print_prometheus(FILE *out, const struct cadre_stat_pool *pools,
				 size_t count, const struct cadre_stat_choice *choice)
{
	const struct page page = { out, pools, count, choice };

	print_build(&page);
	if (!choice->fields)
		print_states(&page);
	print_fields(&page, CADRE_FIELDS_POOL);
	print_group(&page, CADRE_FIELDS_POOL, "jobs.", "outcome", "cadre_jobs_total",
		    "jobs by outcome; all but the withdrawn ones were accepted");
	print_latencies(&page, CADRE_LATENCY_WAITING, "cadre_job_waiting_seconds",
			"from submitted to taken");
	print_latencies(&page, CADRE_LATENCY_SERVICE, "cadre_job_service_seconds",
			"from taken to ended");
	print_latencies(&page, CADRE_LATENCY_TOTAL, "cadre_job_duration_seconds",
			"from submitted to ended");
	print_fields(&page, CADRE_FIELDS_OPERATION);
	print_fields(&page, CADRE_FIELDS_WORKER);
	print_group(&page, CADRE_FIELDS_WORKER, "jobs.", "outcome",
		    "cadre_worker_jobs_total", "jobs that ended in this place by outcome");
	print_group(&page, CADRE_FIELDS_WORKER, "spent_", "state",
		    "cadre_worker_state_seconds_total",
		    "time spent in each state, over restarts; busy among all is the "
		    "utilisation");
	print_fields(&page, CADRE_FIELDS_CLIENT);
	print_group(&page, CADRE_FIELDS_CLIENT, "jobs.", "outcome",
		    "cadre_client_jobs_total",
		    "jobs of all clients that had this window by outcome");
	print_fields(&page, CADRE_FIELDS_GUEST);
	print_group(&page, CADRE_FIELDS_GUEST, "jobs.", "outcome",
		    "cadre_guest_jobs_total",
		    "jobs that ended in this place of a local worker by outcome");
	print_group(&page, CADRE_FIELDS_GUEST, "spent_", "state",
		    "cadre_guest_state_seconds_total",
		    "time that local workers of this place spent in each state");
}
