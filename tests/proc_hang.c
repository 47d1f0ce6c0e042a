/*
 * Claims about hang_ns: a job without a deadline that does not come to an end is ended with
 * its worker, and nobody else is.
 *
 * What makes the difference is who looked for how long, so the tests stop the supervisor,
 * or kill it, while a job goes on that is older than it may be.
 */
#include "claims.h"

#include "clock.h"
#include "layout.h"

#include <signal.h>
#include <stdio.h>

#define MS CADRE_NS_PER_MS

TestSuite(hang, TROUPE);

static uint64_t killed(void)
{
	return troupe_counter(CADRE_SCOPE_POOL, troupe_look(troupe.scene.pool).counters,
			      "workers_killed");
}

/* Waits until the supervisor, whoever it is, has looked twice from now on. */
static void await_looks(void)
{
	struct cadre_view view;

	cr_assert_eq(cadre_layout_open(troupe.scene.pool, false, &view, NULL), 0);
	for (unsigned look = 0; look < 2; look++) {
		const int64_t before_ns = atomic_load(&view.header->heartbeat_ns);

		cr_assert(eventually(atomic_load(&view.header->heartbeat_ns) != before_ns));
	}
	cadre_layout_close(&view);
}

/* The last event of that kind, as a sentence; "" for none. */
static const char *told(const char *name)
{
	static char sentence[600];
	const struct cadre_event_info *event;
	struct cadre_report *report;

	sentence[0] = '\0';
	cr_assert_eq(cadre_report_open(troupe.scene.pool, &report, NULL), 0);
	cadre_report_read(report);
	for (uint32_t i = 0; (event = cadre_report_event(report, i)); i++) {
		if (strcmp(event->name, name) == 0)
			snprintf(sentence, sizeof(sentence), "%s", event->sentence);
	}
	cadre_report_close(report);
	return sentence;
}

Test(hang, a_handler_that_never_returns_is_killed_and_its_job_lost_with_the_reason)
{
	struct cadre_result result;
	pid_t worker;

	START(ONE_WORKER, .hang_ns = 300 * MS);
	worker = ask_who().pid;
	result = await(submit(ASK(TROUPE_HOLD, 99)));
	cr_assert_eq(result.outcome, CADRE_LOST);
	cr_assert_eq(result.code, SIGABRT);
	cr_assert_eq(result.worker_pid, worker);
	cr_assert(strstr(result.sentence, "hung"), "%s", result.sentence);
	release(&result);
	cr_assert(strstr(told("worker_hung"), "for more than 300 ms"), "%s",
		  told("worker_hung"));
	cr_assert(strstr(told("worker_hung"), "operation 2"), "%s", told("worker_hung"));
	cr_assert(eventually(strstr(told("worker_died"), "hung")));
	cr_assert_eq(killed(), 1);
	cr_assert_neq(ask_who().pid, worker, "another serves");
}

Test(hang, a_worker_that_is_stopped_is_killed_all_the_same)
{
	struct cadre_result result;
	struct cadre_ticket ticket;

	START(ONE_WORKER, .hang_ns = 300 * MS);
	ticket = occupy_worker();
	kill(troupe_worker(troupe.scene.pool, 0), SIGSTOP);
	result = await(ticket);
	cr_assert_eq(result.outcome, CADRE_LOST);
	cr_assert_eq(result.code, SIGKILL,
		     "no handler of ABRT runs in one that is stopped");
	release(&result);
	cr_assert_eq(killed(), 1);
}

Test(hang, jobs_that_end_are_not_added_up)
{
	const int64_t until_ns = cadre_in_ms(1000);
	uint32_t number = 0;

	/* One slot: each job stands where the one before did. */
	START(ONE_WORKER, .hang_ns = 300 * MS, .window_slots = 1);
	for (; cadre_now_ns() < until_ns; number++)
		call_ok(ASK(TROUPE_ECHO, number));
	cr_assert_gt(number, 2u);
	cr_assert_eq(killed(), 0);
}

Test(hang, a_job_with_a_deadline_has_until_then)
{
	struct cadre_ticket ticket;

	START(ONE_WORKER, .hang_ns = 150 * MS);
	ticket = submit(ASK(TROUPE_HOLD, 1, .deadline_ns = cadre_in_ms(60000)));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	for (unsigned i = 0; i < 4; i++)
		await_looks();
	open_gate(1);
	expect(ticket, CADRE_OK);
	cr_assert_eq(killed(), 0);
}

Test(hang, without_the_option_nobody_minds)
{
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	ticket = occupy_worker();
	for (unsigned i = 0; i < 4; i++)
		await_looks();
	open_gate(1);
	expect(ticket, CADRE_OK);
}

/* The job is older than it may be, and the supervisor has seen next to nothing of it. */
static struct cadre_ticket let_a_job_grow_old(pid_t supervisor)
{
	const struct cadre_ticket ticket = occupy_worker();

	child_stop(supervisor);
	child_pause_ms(2500);
	return ticket;
}

Test(hang, a_supervisor_that_was_stopped_and_goes_on_kills_nobody_early)
{
	pid_t supervisor;
	struct cadre_ticket ticket;

	START(ONE_WORKER, .hang_ns = 2000 * MS);
	supervisor = troupe_supervisor(troupe.scene.pool);
	ticket = let_a_job_grow_old(supervisor);
	kill(supervisor, SIGCONT);
	await_looks();
	open_gate(1);
	expect(ticket, CADRE_OK);
	cr_assert_eq(killed(), 0);
}

Test(hang, a_successor_counts_anew)
{
	pid_t supervisor;
	struct cadre_ticket ticket;

	START(ONE_WORKER, .hang_ns = 2000 * MS);
	supervisor = troupe_supervisor(troupe.scene.pool);
	ticket = let_a_job_grow_old(supervisor);
	kill(supervisor, SIGKILL);
	cr_assert(eventually(troupe_supervisor(troupe.scene.pool) != supervisor));
	await_looks();
	open_gate(1);
	expect(ticket, CADRE_OK);
	cr_assert_eq(killed(), 0);
}
