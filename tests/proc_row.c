/*
 * proc_row.c - claims about short jobs that a worker runs in a row: what it asks in between is what
 * it would have asked for each of them.
 */
#include "claims.h"
#include "worker.h"

#include <cadre/report.h>

TestSuite(row, TROUPE);

enum {
	VERSION = 1, /* replies with the number of the service that runs it */
	REPLACE, /* replaces the service by the second one; replies with what that returned */
};

static const struct cadre_service second;

static void tell_version(struct cadre_job *job, void *state)
{
	const uint32_t version = state ? 2 : 1;

	cadre_job_reply(job, &version, sizeof(version));
}

static void replace(struct cadre_job *job, void *state)
{
	struct cadre_worker *const worker = (struct cadre_worker *)(void *)job->host;
	const int32_t r = cadre_worker_reload(worker, &second, NULL, NULL, NULL);

	(void)state;
	cadre_job_reply(job, &r, sizeof(r));
}

static const struct cadre_operation operations[] = {
	{ VERSION, "version", tell_version },
	{ REPLACE, "replace", replace },
};

static const struct cadre_service first = {
	.size = sizeof(first),
	.name = "row",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
};

static int begin_second(const struct cadre_start *start, void **ret_state,
			struct cadre_diag *diag)
{
	static int present;

	(void)start;
	(void)diag;
	*ret_state = &present;
	return 0;
}

static const struct cadre_service second = {
	.size = sizeof(second),
	.name = "row",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.init = begin_second,
};

#define JOBS 4

/* The first, then more of another kind, so that the worker finds all of them at once. */
static void submit_row(struct cadre_request leader, struct cadre_request other,
		       struct cadre_ticket tickets[JOBS])
{
	const struct cadre_request requests[JOBS] = { leader, other, other, other };

	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests, JOBS, tickets), JOBS);
}

static uint32_t answer_to(struct cadre_ticket ticket)
{
	const struct cadre_result result = await(ticket);
	const uint32_t number = number_in(&result);

	release(&result);
	return number;
}

Test(row, a_service_that_a_job_replaces_has_all_jobs_behind_it)
{
	struct cadre_ticket tickets[JOBS];

	START_SERVICE(&first, ONE_WORKER);
	/* It looks next door from now on. */
	for (int turn = 0; turn < 40; turn++)
		cr_assert_eq(answer_to(submit(ASK(VERSION, 0))), 1);
	submit_row(ASK(REPLACE, 0), ASK(VERSION, 0), tickets);
	cr_expect_eq(answer_to(tickets[0]), 0);
	for (int i = 1; i < JOBS; i++)
		cr_expect_eq(answer_to(tickets[i]), 2, "job %d ran in the old one", i);
}

Test(row, a_job_that_keeps_the_only_room_holds_up_all_behind_it)
{
	struct cadre_ticket tickets[JOBS];
	struct cadre_job_info info;

	START(ONE_WORKER);
	for (uint32_t turn = 0; turn < 40; turn++)
		cr_assert_eq(answer_to(submit(ASK(TROUPE_ECHO, turn))), turn);
	submit_row(ASK(TROUPE_LATER, 1), ASK(TROUPE_ECHO, 7), tickets);
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	child_pause_ms(5);
	for (int i = 1; i < JOBS; i++) {
		cr_assert_eq(cadre_job_info(troupe.client, tickets[i], &info), 0);
		cr_expect_eq(info.state, CADRE_JOB_PENDING, "job %d", i);
	}
	open_gate(1);
	expect(tickets[0], CADRE_OK);
	for (int i = 1; i < JOBS; i++)
		cr_expect_eq(answer_to(tickets[i]), 7);
}

static struct cadre_report *report;

/* How many jobs were counted with how long they took in that respect. */
static uint64_t counted(enum cadre_latency_kind kind)
{
	return cadre_report_read(report)->latency[kind].jobs;
}

Test(row, how_long_a_job_waited_is_counted_behind_a_short_one_and_before_a_long_one)
{
	struct cadre_ticket held;

	START(ONE_WORKER);
	cr_assert_eq(cadre_report_open(troupe.scene.pool, &report, NULL), 0);
	for (uint32_t turn = 1; turn <= 40; turn++) {
		cr_assert_eq(answer_to(submit(ASK(TROUPE_ECHO, turn))), turn);
		cr_assert(eventually(counted(CADRE_LATENCY_WAITING) == turn));
		cr_assert(eventually(counted(CADRE_LATENCY_TOTAL) == turn));
	}
	held = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(counted(CADRE_LATENCY_WAITING) == 41));
	cr_expect_eq(counted(CADRE_LATENCY_SERVICE), 40);
	open_gate(1);
	expect(held, CADRE_OK);
	cr_assert(eventually(counted(CADRE_LATENCY_SERVICE) == 41));
	cr_expect_eq(counted(CADRE_LATENCY_WAITING), 41);
	cadre_report_close(report);
}
