/*
 * report_guests.c - what a place of a local worker says. It is read as a worker's is; but its
 * jobs are counted for itself only: the operations of its service are its owner's, whatever
 * the pool calls those of the same number.
 */
#include "process.h"
#include "report.h"

#include <string.h>

/* Of whom: one that may not be seen from here has no name. */
static void read_program(const struct cadre_report *report, uint32_t seat,
			 struct cadre_guest_snapshot *guest)
{
	char name[sizeof(guest->program)] = "";

	if (guest->pid == 0 || guest->letter == 'X' ||
	    cadre_process_name(cadre_place_who(&report->view.worker_places[seat]), name,
			       sizeof(name)) < 0)
		return;
	cadre_report_copy_name(guest->program, name, sizeof(guest->program));
}

static void read_latency(const struct cadre_report *report, uint32_t seat,
			 struct cadre_guest_snapshot *guest)
{
	struct cadre_latency latency[CADRE_LATENCY_KINDS];

	cadre_latency_read(cadre_view_latencies(&report->view, seat), latency);
	guest->waiting = cadre_latency_percentiles(&latency[CADRE_LATENCY_WAITING]);
	guest->service = cadre_latency_percentiles(&latency[CADRE_LATENCY_SERVICE]);
	guest->total = cadre_latency_percentiles(&latency[CADRE_LATENCY_TOTAL]);
}

void cadre_report_read_guest(struct cadre_report *report, uint32_t index)
{
	const uint32_t seat = report->view.limits.workers + index;
	const struct cadre_place_stats *const stats = &report->view.worker_stats[seat];
	struct cadre_guest_snapshot *const guest = &report->guests[index];
	struct cadre_worker_snapshot read;

	report->pool.locals += cadre_report_read_seat(report, seat, &read);
	*guest = (struct cadre_guest_snapshot){
		.place = index,
		.worker = seat,
		.letter = read.letter,
		.torn = read.torn,
		.pid = read.pid,
		.incarnation = read.incarnation,
		.uptime_ns = read.uptime_ns,
		.idle_ns = read.idle_ns,
		.spent_idle_ns = read.spent_idle_ns,
		.spent_busy_ns = read.spent_busy_ns,
		.spent_blocked_ns = read.spent_blocked_ns,
		.running_ns = read.running_ns,
		.operation = read.operation,
		/* What a dead one had is the supervisor's to end. */
		.workload = read.pid && read.letter != 'X' ?
				    cadre_count_read(&stats->worker.workload) :
				    0,
		.taken = cadre_count_read(&stats->worker.jobs_taken),
		.opened = cadre_count_read(&stats->place.starts),
		.died = cadre_count_read(&stats->place.deaths),
	};
	memcpy(guest->jobs, read.jobs, sizeof(guest->jobs));
	read_program(report, seat, guest);
	read_latency(report, seat, guest);
}
