/*
 * health.c - is a pool well? The rules of a health check, applied to what a report read.
 *
 * Two kinds: states that are never well (no supervisor, degraded, a worker that hangs), and
 * measures that are well within limits which the caller may set.
 */
#include "diag.h"
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct cadre_health_measure measures[CADRE_HEALTH_MEASURES] = {
	[CADRE_HEALTH_READY] = { "ready", "workers", true, -1, -1,
				 "workers that take jobs; critical below the pool's min" },
	[CADRE_HEALTH_HEARTBEAT] = { "heartbeat", "s", false, 3, 10,
				     "since the supervisor last said that it lives" },
	[CADRE_HEALTH_OLDEST] = { "oldest", "s", false, 1, 10,
				  "age of the oldest pending job" },
	[CADRE_HEALTH_RUNNING] = { "running", "s", false, -1, -1,
				   "how long the oldest running job has run" },
	[CADRE_HEALTH_QUEUE] = { "queue", "jobs", false, -1, -1, "pending jobs" },
	[CADRE_HEALTH_WINDOW] = { "window", "%", false, 100, -1,
				  "slots in use of the fullest client's window" },
	[CADRE_HEALTH_BLOCKS] = { "blocks", "%", false, 90, 100,
				  "blocks in use of the fullest size" },
	[CADRE_HEALTH_LOAD] = { "load", "%", false, -1, -1,
				"utilisation of all workers over some 60 s" },
};

const struct cadre_health_measure *cadre_health_describe(enum cadre_health_measure_id measure)
{
	return (unsigned)measure < CADRE_HEALTH_MEASURES ? &measures[measure] : NULL;
}

void cadre_health_limits_default(struct cadre_health_limits *ret_limits)
{
	for (unsigned i = 0; i < CADRE_HEALTH_MEASURES; i++) {
		ret_limits->warning[i] = measures[i].warning;
		ret_limits->critical[i] = measures[i].critical;
	}
}

/* ---- what is measured ---- */

static double at_most(double value, double most)
{
	return value < most ? value : most;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

static double fullest_window(const struct cadre_report *report)
{
	double most = 0;

	for (uint32_t i = 0; i < report->pool.client_count; i++)
		most = larger(most, percent(report->clients[i].slots_used,
					    report->pool.window_slots));
	return most;
}

static double fullest_blocks(const struct cadre_pool_snapshot *pool)
{
	double most = 0;

	for (uint32_t i = 0; i < pool->block_classes; i++)
		most = larger(most, percent(pool->block_used[i], pool->block_count[i]));
	return most;
}

static void measure(const struct cadre_report *report,
		    double values[CADRE_HEALTH_MEASURES])
{
	const struct cadre_pool_snapshot *const pool = &report->pool;

	values[CADRE_HEALTH_READY] = pool->workers_ready;
	values[CADRE_HEALTH_HEARTBEAT] = (double)pool->heartbeat_age_ns / 1e9;
	values[CADRE_HEALTH_OLDEST] = (double)pool->oldest_pending_ns / 1e9;
	values[CADRE_HEALTH_RUNNING] = (double)pool->oldest_running_ns / 1e9;
	values[CADRE_HEALTH_QUEUE] = (double)pool->queue_length;
	values[CADRE_HEALTH_WINDOW] = fullest_window(report);
	values[CADRE_HEALTH_BLOCKS] = fullest_blocks(pool);
	values[CADRE_HEALTH_LOAD] = at_most((double)cadre_counter_value(CADRE_SCOPE_POOL,
									pool->counters,
									"load_60s") /
						    1e4,
					    100);
}

/* ---- what is said ---- */

/* Adds a reason. Those of the worst status stand alone. */
CADRE_PRINTF(3, 4)
static void complain(struct cadre_health *health, enum cadre_health_status status,
		     const char *format, ...)
{
	size_t length;
	va_list arguments;

	if (status < health->status)
		return;
	if (status > health->status)
		health->sentence[0] = '\0';
	health->status = status;
	length = strlen(health->sentence);
	if (length > 0)
		length += (size_t)snprintf(health->sentence + length,
					   sizeof(health->sentence) - length, "; ");
	if (length >= sizeof(health->sentence))
		return;
	va_start(arguments, format);
	vsnprintf(health->sentence + length, sizeof(health->sentence) - length, format,
		  arguments);
	va_end(arguments);
}

static void judge_supervisor(const struct cadre_pool_snapshot *pool,
			     struct cadre_health *health)
{
	if (!pool->alive)
		complain(health, CADRE_HEALTH_CRITICAL, "its supervisor (pid %d) is gone",
			 (int)pool->supervisor_pid);
	if (strcmp(pool->state, "open") != 0)
		complain(health,
			 strcmp(pool->state, "starting") == 0 ? CADRE_HEALTH_WARNING :
								CADRE_HEALTH_CRITICAL,
			 "it is %s", pool->state);
	if (pool->degraded)
		complain(health, CADRE_HEALTH_CRITICAL,
			 "it is degraded: its workers die too often");
}

static void judge_workers(const struct cadre_report *report, struct cadre_health *health)
{
	unsigned dead = 0, disabled = 0, overdue = 0;

	for (uint32_t i = 0; i < report->pool.worker_count; i++) {
		const char letter = report->workers[i].letter;

		dead += letter == 'X';
		disabled += letter == 'D';
		overdue += letter == 'H';
	}
	if (dead)
		complain(health, CADRE_HEALTH_WARNING,
			 "%u %s dead or waiting to be restarted", dead,
			 dead == 1 ? "worker is" : "workers are");
	if (disabled)
		complain(health, CADRE_HEALTH_WARNING, "%u %s disabled", disabled,
			 disabled == 1 ? "worker is" : "workers are");
	if (overdue)
		complain(health, CADRE_HEALTH_WARNING, "%u %s past the deadline of a job",
			 overdue, overdue == 1 ? "worker is" : "workers are");
}

/* Below 0 a limit is none. */
static bool exceeds(double value, double limit, bool falling)
{
	if (limit < 0)
		return false;
	return falling ? value < limit : value >= limit;
}

static void judge_measure(struct cadre_health *health, unsigned i)
{
	const struct cadre_health_measure *const what = &measures[i];
	const double limits[] = { health->limits.warning[i], health->limits.critical[i] };
	const double value = health->value[i];

	for (int status = CADRE_HEALTH_CRITICAL; status >= CADRE_HEALTH_WARNING; status--) {
		const double limit = limits[status - CADRE_HEALTH_WARNING];

		if (!exceeds(value, limit, what->falling))
			continue;
		complain(health, (enum cadre_health_status)status,
			 "%s %.4g%s, which is %s %.4g", what->name, value,
			 what->unit[0] == 's' || what->unit[0] == '%' ? what->unit : "",
			 what->falling ? "below" : "at or over", limit);
		return;
	}
}

void cadre_report_health(const struct cadre_report *report,
			 const struct cadre_health_limits *limits,
			 struct cadre_health *ret_health)
{
	struct cadre_health *const health = ret_health;

	*health = (struct cadre_health){ .status = CADRE_HEALTH_OK };
	if (limits)
		health->limits = *limits;
	else
		cadre_health_limits_default(&health->limits);
	/* What the pool itself promises is the least that anybody can ask for. */
	if (health->limits.critical[CADRE_HEALTH_READY] < 0)
		health->limits.critical[CADRE_HEALTH_READY] = report->pool.workers_min;
	measure(report, health->value);
	judge_supervisor(&report->pool, health);
	judge_workers(report, health);
	for (unsigned i = 0; i < CADRE_HEALTH_MEASURES; i++)
		judge_measure(health, i);
	if (health->status == CADRE_HEALTH_OK)
		snprintf(health->sentence, sizeof(health->sentence),
			 "%u worker%s ready, %llu job%s in flight, %llu pending",
			 report->pool.workers_ready,
			 cadre_plural(report->pool.workers_ready),
			 (unsigned long long)report->pool.in_flight,
			 cadre_plural(report->pool.in_flight),
			 (unsigned long long)report->pool.queue_length);
}

bool cadre_report_is_live(const struct cadre_report *report, int64_t heartbeat_most_ns)
{
	return report->pool.alive && report->pool.heartbeat_age_ns <= heartbeat_most_ns;
}

bool cadre_report_is_ready(const struct cadre_report *report)
{
	/* With min 0 the first job starts the first worker. */
	return report->pool.alive && strcmp(report->pool.state, "open") == 0 &&
	       (report->pool.workers_ready > 0 || report->pool.workers_min == 0);
}
