/*
 * report_workers.c - what a place of a worker says, and what its process uses.
 */
#include "process.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

static int64_t at_least_0(int64_t ns)
{
	return ns > 0 ? ns : 0;
}

static bool has_process(enum cadre_place_state state)
{
	return state == CADRE_PLACE_STARTING || state == CADRE_PLACE_UP ||
	       state == CADRE_PLACE_DRAINING;
}

static char letter_of_activity(enum cadre_activity activity)
{
	switch (activity) {
	case CADRE_ACTIVITY_IDLE:
		return '_';
	case CADRE_ACTIVITY_BUSY:
		return 'W';
	case CADRE_ACTIVITY_BLOCKED:
		return 'B';
	default: /* It is up, and about to say that it is idle. */
		return 'S';
	}
}

static char letter_of(enum cadre_place_state state, enum cadre_activity activity,
		      bool overdue)
{
	switch (state) {
	case CADRE_PLACE_VACANT:
		return '.';
	case CADRE_PLACE_STARTING:
		return 'S';
	case CADRE_PLACE_UP:
		return overdue ? 'H' : letter_of_activity(activity);
	case CADRE_PLACE_DRAINING:
		return overdue ? 'H' : 'G';
	case CADRE_PLACE_DEAD:
	case CADRE_PLACE_WAITING:
		return 'X';
	case CADRE_PLACE_DISABLED:
		return 'D';
	default:
		return '?';
	}
}

static void read_times(const struct cadre_report *report,
		       const struct cadre_place_stats *stats,
		       struct cadre_worker_snapshot *worker,
		       enum cadre_activity *ret_activity)
{
	int64_t since_ns, spent_ns[CADRE_ACTIVITY_COUNT];

	worker->torn = !cadre_stats_times(stats, report->now_ns, ret_activity, &since_ns,
					  spent_ns);
	worker->spent_idle_ns = at_least_0(spent_ns[CADRE_ACTIVITY_IDLE]);
	worker->spent_busy_ns = at_least_0(spent_ns[CADRE_ACTIVITY_BUSY]);
	worker->spent_blocked_ns = at_least_0(spent_ns[CADRE_ACTIVITY_BLOCKED]);
	if (*ret_activity == CADRE_ACTIVITY_IDLE)
		worker->idle_ns = cadre_report_since(report, since_ns);
}

/* What a worker saw end, as report.h explains it. */
static void read_outcomes(const struct cadre_place_stats *stats,
			  uint64_t jobs[CADRE_OUTCOME_COUNT])
{
	jobs[CADRE_OK] = cadre_count_read(&stats->worker.jobs_ok);
	jobs[CADRE_FAILED] = cadre_count_read(&stats->worker.jobs_failed);
	jobs[CADRE_TIMED_OUT] = cadre_count_read(&stats->worker.jobs_timed_out);
	jobs[CADRE_LOST] = cadre_count_read(&stats->place.jobs_lost);
	jobs[CADRE_REFUSED] = cadre_count_read(&stats->place.jobs_refused);
	jobs[CADRE_CANCELLED] = cadre_count_read(&stats->worker.jobs_late);
	cadre_report_add(&jobs[CADRE_CANCELLED],
			 cadre_count_read(&stats->place.jobs_buried));
}

/* True when somebody sits there who is up. */
static bool read_place(const struct cadre_report *report, uint32_t index, uint64_t bits,
		       struct cadre_worker_snapshot *worker, enum cadre_activity activity)
{
	const struct cadre_place *const place = &report->view.worker_places[index];
	const struct cadre_burden *const burden = &report->burdens[index];
	const enum cadre_place_state state = cadre_place_state_of(bits);

	worker->incarnation = cadre_place_incarnation_of(bits);
	worker->letter = letter_of(state, activity, burden->overdue);
	if (state == CADRE_PLACE_WAITING)
		/* Relaxed, here and below: the state was read with acquire. */
		worker->retry_in_ns = at_least_0(
			at_least_0(atomic_load_explicit(&place->until_ns,
							memory_order_relaxed)) -
			report->now_ns);
	if (!has_process(state))
		return false;
	worker->pid = cadre_place_who(place).pid;
	if (cadre_report_is_left_behind(report, place)) {
		worker->letter = 'X';
		worker->idle_ns = 0;
		return false;
	}
	worker->uptime_ns = cadre_report_since(report,
					       atomic_load_explicit(&place->since_ns,
								    memory_order_relaxed));
	worker->running_ns = burden->running_ns;
	return state == CADRE_PLACE_UP;
}

/* Why a process left that was replaced without having died; of several reasons the first. */
static const char *why_replaced(const struct cadre_place_counters *place)
{
	if (cadre_count_read(&place->recycled_jobs))
		return "max_jobs";
	if (cadre_count_read(&place->recycled_age))
		return "max_age";
	if (cadre_count_read(&place->recycled_memory))
		return "max_rss";
	return cadre_count_read(&place->reloaded) ? "reload" : "";
}

/* In a word or two, from what the supervisor wrote down. */
static void say_reason(struct cadre_worker_snapshot *worker,
		       const struct cadre_place_counters *place)
{
	const uint64_t deaths = cadre_count_read(&place->deaths);
	const char *const signal_name = sigabbrev_np(worker->last_signal);

	if (worker->last_signal != 0)
		snprintf(worker->last_reason, sizeof(worker->last_reason), "SIG%s",
			 signal_name ? signal_name : "?");
	else if (deaths > 0 || worker->last_exit_status != 0)
		snprintf(worker->last_reason, sizeof(worker->last_reason), "exit %d",
			 (int)worker->last_exit_status);
	else
		snprintf(worker->last_reason, sizeof(worker->last_reason), "%s",
			 why_replaced(place));
}

/* One that may not be seen from here, as in another pid namespace, uses nothing. */
static void read_usage(const struct cadre_place *place,
		       struct cadre_worker_snapshot *worker)
{
	struct cadre_usage usage;

	if (worker->pid == 0 || worker->letter == 'X' ||
	    cadre_process_usage(cadre_place_who(place), &usage) < 0)
		return;
	worker->resident_bytes = usage.resident_bytes;
	worker->cpu_ns = usage.cpu_ns;
}

/* The lines are taken in order, so the first unused one ends those with a name; the last
 * one is everybody's. Sums up for the worker, the operation and the pool. */
static void read_latencies(struct cadre_report *report,
			   struct cadre_worker_snapshot *worker)
{
	const struct cadre_latency_line *const lines = cadre_view_latencies(&report->view,
									    worker->place);
	const uint32_t last = report->view.latency_lines - 1;
	struct cadre_latency latency[CADRE_LATENCY_KINDS];

	for (uint32_t i = 0; i <= last; i++) {
		const int32_t id = atomic_load_explicit(&lines[i].operation,
							memory_order_relaxed);
		struct cadre_operation_snapshot *operation;

		if (id == 0 && i < last)
			i = last;
		cadre_latency_read(&lines[i], latency);
		if (latency[CADRE_LATENCY_WAITING].jobs == 0)
			continue;
		operation = cadre_report_count_operation(report, i < last ? id : 0);
		cadre_report_add(&operation->failed, cadre_count_read(&lines[i].failed));
		cadre_latency_add(operation->latency, latency);
		cadre_latency_add(worker->latency, latency);
		cadre_latency_add(report->pool.latency, latency);
	}
	worker->waiting = cadre_latency_percentiles(
		&worker->latency[CADRE_LATENCY_WAITING]);
	worker->service = cadre_latency_percentiles(
		&worker->latency[CADRE_LATENCY_SERVICE]);
	worker->total = cadre_latency_percentiles(&worker->latency[CADRE_LATENCY_TOTAL]);
}

bool cadre_report_read_seat(const struct cadre_report *report, uint32_t seat,
			    struct cadre_worker_snapshot *ret_worker)
{
	const struct cadre_place *const place = &report->view.worker_places[seat];
	const struct cadre_place_stats *const stats = &report->view.worker_stats[seat];
	const uint64_t bits = cadre_place_look(place);
	enum cadre_activity activity;
	bool up;

	memset(ret_worker, 0, sizeof(*ret_worker));
	ret_worker->place = seat;
	read_times(report, stats, ret_worker, &activity);
	up = read_place(report, seat, bits, ret_worker, activity);
	ret_worker->operation = atomic_load_explicit(&stats->operation,
						     memory_order_relaxed);
	read_outcomes(stats, ret_worker->jobs);
	CADRE_READ_COUNTERS(ret_worker->worker, &stats->worker);
	CADRE_READ_COUNTERS(ret_worker->about, &stats->place);
	return up;
}

void cadre_report_read_worker(struct cadre_report *report, uint32_t index)
{
	const struct cadre_place_stats *const stats = &report->view.worker_stats[index];
	struct cadre_worker_snapshot *const worker = &report->workers[index];
	const char *name;

	report->pool.workers_ready += cadre_report_read_seat(report, index, worker);
	read_usage(&report->view.worker_places[index], worker);
	name = cadre_report_operation(report, worker->operation);
	if (name)
		snprintf(worker->operation_name, sizeof(worker->operation_name), "%s",
			 name);
	worker->last_signal = atomic_load_explicit(&stats->last_signal,
						   memory_order_relaxed);
	worker->last_exit_status = atomic_load_explicit(&stats->last_exit_status,
							memory_order_relaxed);
	say_reason(worker, &stats->place);
	read_latencies(report, worker);
	report->pool.workers_busy += strchr("WBH", worker->letter) != NULL;
}
