/*
 * proc_local_report.c - claims about what reports and events tell of local workers.
 */
#include "locals.h"

#include <signal.h>
#include <sys/prctl.h>

TestSuite(local, LOCALS);

static struct cadre_report *report;

static const struct cadre_pool_snapshot *read_report(void)
{
	if (!report)
		cr_assert_eq(cadre_report_open(troupe.scene.pool, &report, &troupe.diag),
			     0, "%s", troupe.diag.text);
	return cadre_report_read(report);
}

static struct cadre_guest_snapshot guest_after_read(uint32_t index)
{
	read_report();
	return *cadre_report_guest(report, index);
}

static void close_report(void)
{
	cadre_report_close(report);
	report = NULL;
}

/* The last event of that name, NULL for none; how many there are. */
static const struct cadre_event_info *last_event(const char *name, unsigned *ret_count)
{
	const struct cadre_event_info *found = NULL, *event;

	read_report();
	*ret_count = 0;
	for (uint32_t i = 0; (event = cadre_report_event(report, i)); i++) {
		if (strcmp(event->name, name) != 0)
			continue;
		found = event;
		++*ret_count;
	}
	return found;
}

Test(local, a_report_shows_whose_it_is_and_what_it_does)
{
	struct cadre_guest_snapshot guest;
	struct cadre_ticket ticket;
	char program[16];

	START(ONE_WORKER, .locals_max = 2);
	cr_assert_eq(read_report()->locals_max, 2);
	cr_assert_eq(guest_after_read(0).letter, '.');
	open_local(1);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	call_ok(ASK(ADD, 1, .to = &channel));
	cr_assert(eventually(guest_after_read(0).letter == '_'));
	guest = guest_after_read(0);
	cr_assert_eq(guest.pid, getpid());
	cr_assert_eq(guest.worker, channel.worker);
	prctl(PR_GET_NAME, program);
	cr_assert_str_eq(guest.program, program);
	cr_assert_eq(guest.taken, 1);
	cr_assert_eq(guest.jobs[CADRE_OK], 1);
	cr_assert_eq(guest.service.jobs, 1);
	cr_assert_eq(guest.opened, 1);
	cr_assert_gt(guest.uptime_ns, 0);
	cr_assert_eq(read_report()->locals, 1);
	cr_assert_eq(read_report()->workers_ready, 1, "it is no worker of the pool");

	ticket = submit(ASK(BUSY, 1, .to = &channel));
	cr_assert(eventually(guest_after_read(0).letter == 'W' &&
			     guest_after_read(0).running_ns > 0));
	guest = guest_after_read(0);
	cr_assert_eq(guest.operation, BUSY);
	cr_assert_eq(guest.workload, 1);
	cr_assert_geq(read_report()->oldest_running_ns, guest.running_ns);
	cr_assert_eq(read_report()->workers_busy, 0);
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	expect(ticket, CADRE_CANCELLED);
	cadre_local_close(local);

	guest = guest_after_read(0);
	cr_assert_eq(guest.letter, '.');
	cr_assert_eq(guest.pid, 0);
	cr_assert_eq(guest.workload, 0);
	cr_assert_eq(guest.jobs[CADRE_CANCELLED], 1);
	cr_assert_eq(guest.taken, 2);
	cr_assert_eq(guest.died, 0);
	cr_assert_eq(read_report()->locals, 0);
	cr_assert_eq(guest_after_read(1).opened, 0);
	cr_assert_null(cadre_report_guest(report, 2));
	close_report();
}

/* Operation 1 of the owner's service is ADD, that of the pool's is echo. */
Test(local, its_jobs_are_not_counted_under_the_pools_operations)
{
	const struct cadre_operation_snapshot *operation;

	START(ONE_WORKER);
	open_local(1);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	for (uint32_t i = 0; i < 5; i++)
		call_ok(ASK(ADD, i, .to = &channel));
	call_ok(ASK(TROUPE_ECHO, 1));
	cadre_local_close(local);
	cr_assert(eventually(troupe_look(troupe.scene.pool).service.jobs == 1));
	read_report();
	cr_assert_eq(cadre_report_guest(report, 0)->service.jobs, 5);
	for (uint32_t i = 0; (operation = cadre_report_operation_at(report, i)); i++)
		cr_assert_eq(operation->jobs, operation->id == TROUPE_ECHO, "%s",
			     operation->name);
	close_report();
}

Test(local, that_it_was_opened_and_that_its_owner_died_are_events)
{
	struct cadre_channel *const shared = child_share(sizeof(*shared));
	const struct cadre_event_info *event;
	unsigned count;
	pid_t owner;

	START(ONE_WORKER, .locals_max = 1);
	owner = child_start(own_and_die, shared);
	cr_assert(eventually(cadre_channel_check(shared, NULL) == 0));
	channel = *shared;
	submit(ASK(PARK, 1, .to = &channel));
	cr_assert(eventually(*(volatile uint32_t *)&shared->spare == 1));
	event = last_event("local_opened", &count);
	cr_assert_eq(count, 1);
	cr_assert_eq(event->pid, owner);
	cr_assert_eq(event->place, 0);

	child_kill(owner);
	cr_assert(eventually(last_event("local_died", &count) != NULL));
	event = last_event("local_died", &count);
	cr_assert_eq(count, 1);
	cr_assert_eq(event->pid, owner);
	cr_assert_eq(event->place, 0);
	cr_assert_eq(event->incarnation, 1);
	cr_assert_eq(event->job_count, 1);
	cr_assert_eq(event->jobs[0].operation, PARK);
	cr_assert_not_null(strstr(event->sentence, "without closing it, while it had job"),
			   "%s", event->sentence);
	cr_assert(eventually(guest_after_read(0).pid == 0));
	cr_assert_eq(guest_after_read(0).died, 1);
	cr_assert_eq(guest_after_read(0).jobs[CADRE_LOST], 1);

	/* One that closes it does not die of it. */
	open_local(1);
	cadre_local_close(local);
	last_event("local_opened", &count);
	cr_assert_eq(count, 2);
	last_event("local_died", &count);
	cr_assert_eq(count, 1);
	close_report();
}

Test(local, an_owner_that_died_while_there_was_no_supervisor_is_told_of_once)
{
	struct cadre_channel *const shared = child_share(sizeof(*shared));
	unsigned count = 0;
	pid_t owner, supervisor;

	START(ONE_WORKER, .locals_max = 1);
	owner = child_start(own_and_die, shared);
	cr_assert(eventually(cadre_channel_check(shared, NULL) == 0));
	supervisor = troupe_supervisor(troupe.scene.pool);
	/* Stopped, it cannot see the death before its own. */
	child_stop(supervisor);
	child_kill(owner);
	kill(supervisor, SIGKILL);
	cr_assert(eventually(last_event("local_died", &count) != NULL));
	cr_assert(eventually(last_event("succession", &count) != NULL));
	cr_assert_eq(last_event("local_died", &count)->pid, owner);
	cr_assert_eq(count, 1);
	cr_assert_eq(guest_after_read(0).died, 1);
	close_report();
}
