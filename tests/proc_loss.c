/*
 * proc_loss.c - claims about what becomes of jobs when somebody dies: their client, or
 * the worker that runs them.
 */
#include "claims.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

TestSuite(loss, TROUPE);

/* ---- clients that leave ---- */

enum way_to_leave { LEAVE_BY_DETACHING, LEAVE_BY_DYING };

/* A client in a process of its own. */
struct visit {
	unsigned flags; /* of its jobs, three LOGs */
	enum way_to_leave way;
};

static int visit(void *context)
{
	const struct visit *const visit = context;
	struct cadre_client *client;
	struct cadre_ticket ticket;

	CHILD_CHECK(cadre_client_attach(troupe.scene.pool, NULL, &client, NULL) == 0);
	for (uint32_t i = 0; i < 3; i++) {
		const struct cadre_request request = ASK(TROUPE_LOG, i,
							 .flags = visit->flags);

		CHILD_CHECK(cadre_try_submit(client, &request, &ticket) == 0);
	}
	if (visit->way == LEAVE_BY_DETACHING)
		cadre_client_detach(client);
	return CHILD_FINE;
}

/* The program has the first window, the test the second, and a visitor the third. */
static bool is_alone(void)
{
	return strcmp(troupe_look_client(troupe.scene.pool, 2).state, "vacant") == 0;
}

static void jobs_of_visitor_run(unsigned flags, enum way_to_leave way, uint32_t expected)
{
	struct visit how = { .flags = flags, .way = way };
	struct cadre_ticket first;

	START(ONE_WORKER, .clients_max = 3);
	first = occupy_worker();
	cr_assert_eq(child_run(visit, &how), CHILD_FINE);
	if (expected == 0)
		cr_assert(eventually(is_alone()));

	open_gate(1);
	expect(first, CADRE_OK);
	cr_assert(eventually(atomic_load(&troupe.board->logged) >= expected));
	cr_assert(eventually(is_alone()));
	call_ok(ASK(TROUPE_LOG, 9));
	cr_assert_eq(troupe.board->logged, expected + 1);
	/* There are three windows: the next visitor gets that of the first. */
	cr_assert_eq(child_run(visit, &how), CHILD_FINE);
	cr_assert(eventually(is_alone()));
}

Test(loss, detached_jobs_run_after_their_client_has_left)
{
	jobs_of_visitor_run(CADRE_DETACHED, LEAVE_BY_DETACHING, 3);
}

Test(loss, detached_jobs_run_after_their_client_has_died)
{
	jobs_of_visitor_run(CADRE_DETACHED, LEAVE_BY_DYING, 3);
}

Test(loss, other_jobs_of_a_client_that_has_left_never_run)
{
	jobs_of_visitor_run(0, LEAVE_BY_DETACHING, 0);
}

Test(loss, other_jobs_of_a_client_that_has_died_never_run)
{
	jobs_of_visitor_run(0, LEAVE_BY_DYING, 0);
}

Test(loss, the_handler_of_a_client_that_dies_is_told)
{
	pid_t visitor;

	START(ONE_WORKER, .clients_max = 3);
	visitor = child_start(submit_and_idle, &ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	cr_assert_eq(atomic_load(&troupe.board->cancels), 0);
	child_kill(visitor);
	cr_assert(eventually(atomic_load(&troupe.board->cancels) == 1));
	cr_assert_not(is_alone(), "its slot is still in use");

	open_gate(1);
	cr_assert(eventually(is_alone()));
}

Test(loss, a_client_that_detaches_cancels_what_is_outstanding)
{
	const struct cadre_request request = ASK(TROUPE_HOLD, 1);
	struct cadre_client *client;
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &client, NULL), 0);
	cr_assert_eq(cadre_try_submit(client, &request, &ticket), 0);
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	cadre_client_detach(client);
	cr_assert(eventually(atomic_load(&troupe.board->cancels) == 1));
	open_gate(1);
	cr_assert(eventually(is_alone()));
	cadre_client_detach(NULL);
}

/* ---- a forked child ---- */

static int use_copy(void *context)
{
	const struct cadre_result *const result = context;
	struct cadre_client *const client = troupe.client;
	const struct cadre_request request = ASK(TROUPE_LOG, 1);
	struct cadre_result other;
	struct cadre_ticket ticket = result->ticket;
	struct cadre_draft draft;

	CHILD_CHECK(cadre_try_submit(client, &request, &ticket) == -ECHILD);
	CHILD_CHECK(cadre_submit(client, &request, GENEROUS, &ticket) == -ECHILD);
	CHILD_CHECK(cadre_try_submit_batch(client, &request, 1, &ticket) == -ECHILD);
	CHILD_CHECK(cadre_call(client, &request, &other) == -ECHILD);
	CHILD_CHECK(cadre_try_draft(client, 10, &draft) == -ECHILD);
	CHILD_CHECK(cadre_try_take(client, ticket, &other) == -ECHILD);
	CHILD_CHECK(cadre_await(client, ticket, GENEROUS, &other) == -ECHILD);
	CHILD_CHECK(cadre_await_any(client, &ticket, 1, GENEROUS, &other) == -ECHILD);
	CHILD_CHECK(cadre_cancel(client, ticket) == -ECHILD);
	CHILD_CHECK(cadre_release(client, result) == -ECHILD);
	CHILD_CHECK(cadre_client_fd(client) == -ECHILD);
	CHILD_CHECK(cadre_client_dispatch(client, 0) == -ECHILD);
	CHILD_CHECK(cadre_client_await_dispatch(client, GENEROUS) == -ECHILD);
	cadre_client_detach(client);
	return CHILD_FINE;
}

Test(loss, a_forked_child_can_use_its_copy_of_a_client_for_nothing_but_to_free_it)
{
	struct cadre_result result;

	START(ONE_WORKER);
	result = await(submit(ASK(TROUPE_LOG, 1)));
	cr_assert_eq(child_run(use_copy, &result), CHILD_FINE);
	release(&result);
	call_ok(ASK(TROUPE_LOG, 2));
	cr_assert_eq(troupe.board->logged, 2);
}

Test(loss, a_forked_child_attaches_for_itself)
{
	struct visit how = { .way = LEAVE_BY_DETACHING, .flags = CADRE_DETACHED };

	START(ONE_WORKER);
	cr_assert_eq(child_run(visit, &how), CHILD_FINE);
	cr_assert(eventually(atomic_load(&troupe.board->logged) == 3));
}

/* ---- jobs whose worker dies ---- */

static struct cadre_result call_death(int32_t how, uint32_t times, unsigned flags,
				      uint32_t retries)
{
	const struct troupe_death death = { .how = how, .times = times };
	const struct cadre_request request = { .operation = TROUPE_DIE,
					       .flags = flags,
					       .retries = retries,
					       .data = &death,
					       .length = sizeof(death) };
	struct cadre_result result;

	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	return result;
}

static void expect_lost(const struct cadre_result *result, pid_t pid, int32_t code,
			const char *how)
{
	char expected[160];

	cr_assert_eq(result->outcome, CADRE_LOST, "%s", result->sentence);
	cr_assert_eq(result->worker, 0);
	cr_assert_eq(result->worker_pid, pid);
	cr_assert_eq(result->code, code);
	snprintf(expected, sizeof(expected),
		 "worker 0 (pid %d) %s while running it (attempt %u)", (int)pid, how,
		 result->attempt + 1);
	cr_assert_str_eq(result->sentence, expected);
}

Test(loss, a_job_is_lost_with_the_signal_that_killed_its_worker)
{
	struct cadre_result result;
	pid_t pid;

	START(ONE_WORKER);
	pid = ask_who().pid;
	result = call_death(SIGKILL, 1, 0, 0);
	expect_lost(&result, pid, SIGKILL, "was killed by SIGKILL");
	cr_assert_eq(result.attempt, 0);
	release(&result);
	cr_assert_eq(troupe.board->deaths, 1);
	cr_assert_neq(ask_who().pid, pid);
}

Test(loss, a_job_is_lost_with_the_exit_status_of_its_worker)
{
	struct cadre_result result;
	pid_t pid;

	START(ONE_WORKER);
	pid = ask_who().pid;
	result = call_death(-3, 1, 0, 0);
	expect_lost(&result, pid, -3, "exited with status 3");
	release(&result);
}

Test(loss, an_idempotent_job_is_tried_again_and_says_so)
{
	struct cadre_result result;
	struct troupe_who who;

	START(.workers_min = 2, .workers_max = 2);
	result = call_death(SIGSEGV, 1, CADRE_IDEMPOTENT, 0);
	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	cr_assert_eq(result.attempt, 1);
	memcpy(&who, result.data, sizeof(who));
	cr_assert_eq(who.attempt, 1);
	cr_assert_eq(who.pid, result.worker_pid);
	release(&result);
	cr_assert_eq(troupe.board->deaths, 1);
}

Test(loss, an_idempotent_job_is_lost_when_its_retries_are_used_up)
{
	struct cadre_result result;

	START(.workers_min = 2, .workers_max = 2);
	result = call_death(SIGKILL, 100, CADRE_IDEMPOTENT, 1);
	cr_assert_eq(result.outcome, CADRE_LOST);
	cr_assert_eq(result.attempt, 1);
	cr_assert_eq(result.code, SIGKILL);
	release(&result);
	cr_assert_eq(troupe.board->deaths, 2);
}

static uint64_t jobs_requeued(void)
{
	uint64_t sum = 0;

	for (uint32_t place = 0; place < 2; place++)
		sum += troupe_counter(CADRE_SCOPE_PLACE,
				      troupe_look_worker(troupe.scene.pool, place).about,
				      "jobs_requeued");
	return sum;
}

Test(loss, a_cancelled_job_is_not_tried_again)
{
	struct cadre_ticket ticket;
	pid_t pid;

	START(ONE_WORKER);
	pid = ask_who().pid;
	ticket = submit(ASK(TROUPE_HOLD, 1, .flags = CADRE_IDEMPOTENT));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	kill(pid, SIGKILL);
	expect(ticket, CADRE_CANCELLED);
	cr_assert_neq(ask_who().pid, pid);
	cr_assert_eq(troupe.board->begun, 1);
	cr_assert_eq(jobs_requeued(), 0);
}
