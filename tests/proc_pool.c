/*
 * proc_pool.c - claims about a pool as a whole: how many workers it has, and how it ends.
 */
#include "claims.h"

#include <signal.h>
#include <unistd.h>

TestSuite(pool, TROUPE);

#define MS INT64_C(1000000)

static uint32_t workers_ready(void)
{
	return troupe_look(troupe.scene.pool).workers_ready;
}

static bool all_wait(uint32_t count)
{
	return atomic_load(&troupe.board->waiting) == count;
}

static void stop(void)
{
	cr_assert_eq(troupe_stop(&troupe), 0);
}

static void terminate(void)
{
	cr_assert_eq(troupe_terminate(&troupe), 0);
}

/* And nothing is left then. */
static void await_end(void)
{
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(scene_files(troupe.scene.pool), 0);
	cr_assert_eq(troupe_living(), 1, "the program alone is left");
}

/* ---- size ---- */

Test(pool, workers_min_are_up_when_it_has_started)
{
	START(.workers_min = 3, .workers_max = 4);
	cr_assert_eq(troupe.board->inits, 3);
	cr_assert_eq(workers_ready(), 3);
}

Test(pool, with_min_0_the_first_job_starts_the_first_worker)
{
	START(.workers_min = 0, .workers_max = 2);
	cr_assert_eq(workers_ready(), 0);
	cr_assert_eq(troupe.board->inits, 0);
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(workers_ready(), 1);
}

Test(pool, it_grows_to_max_while_jobs_wait_and_shrinks_to_min_when_idle)
{
	enum { MIN = 1, MAX = 3, JOBS = 5 };
	struct cadre_ticket tickets[JOBS];

	START(.workers_min = MIN, .workers_max = MAX, .idle_timeout_ns = 50 * MS);
	for (int i = 0; i < JOBS; i++)
		tickets[i] = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(all_wait(MAX)));
	cr_assert_eq(troupe_look(troupe.scene.pool).queue_length, JOBS - MAX);
	cr_assert_eq(workers_ready(), MAX);

	open_gate(1);
	for (int i = 0; i < JOBS; i++)
		expect(tickets[i], CADRE_OK);
	cr_assert(eventually(workers_ready() == MIN));
	cr_assert_eq(troupe.board->inits, MAX);
	cr_assert(eventually(troupe.board->finis == MAX - MIN), "they left in order");
	/* And it can grow again. */
	for (int i = 0; i < JOBS; i++)
		tickets[i] = submit(ASK(TROUPE_HOLD, 2));
	cr_assert(eventually(all_wait(MAX)));
	open_gate(2);
	for (int i = 0; i < JOBS; i++)
		expect(tickets[i], CADRE_OK);
}

Test(pool, with_min_0_it_shrinks_to_nothing_and_grows_again)
{
	START(.workers_min = 0, .workers_max = 2, .idle_timeout_ns = 20 * MS);
	for (uint32_t round = 1; round <= 2; round++) {
		call_ok(ASK(TROUPE_LOG, round));
		cr_assert(eventually(workers_ready() == 0));
		cr_assert(eventually(troupe.board->finis == round));
	}
}

static int size_is_cpus(void *context)
{
	struct cadre_pool *pool;

	(void)context;
	CHILD_CHECK(cadre_pool_start(&troupe_service, NULL, &pool, NULL) == 0);
	CHILD_CHECK(troupe_look(cadre_pool_name(pool)).workers_min == 0);
	CHILD_CHECK(troupe_look(cadre_pool_name(pool)).workers_max >= 1);
	CHILD_CHECK(troupe_look(cadre_pool_name(pool)).workers_max <=
		    (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
	cadre_pool_close(pool);
	return CHILD_FINE;
}

Test(pool, without_options_it_has_a_name_of_its_own_and_at_most_a_worker_per_cpu)
{
	cr_assert_eq(child_run(size_is_cpus, NULL), CHILD_FINE);
}

/* ---- in its own program ---- */

static int two_at_once(void *context)
{
	const struct cadre_pool_options options = { .size = sizeof(options), ONE_WORKER };
	const struct cadre_request request = { .operation = TROUPE_WHO };
	struct cadre_pool *pools[2];
	struct cadre_result results[2];

	(void)context;
	for (int i = 0; i < 2; i++)
		CHILD_CHECK(cadre_pool_start(&troupe_service, &options, &pools[i],
					     NULL) == 0);
	CHILD_CHECK(strcmp(cadre_pool_name(pools[0]), cadre_pool_name(pools[1])) != 0);
	for (int i = 0; i < 2; i++)
		CHILD_CHECK(cadre_call(cadre_pool_client(pools[i]), &request,
				       &results[i]) == 0);
	CHILD_CHECK(results[0].worker_pid != results[1].worker_pid);

	/* The end of one is none of the other. */
	cadre_pool_close(pools[0]);
	CHILD_CHECK(cadre_release(cadre_pool_client(pools[1]), &results[1]) == 0);
	CHILD_CHECK(cadre_call(cadre_pool_client(pools[1]), &request, &results[0]) == 0);
	CHILD_CHECK(results[0].worker_pid == results[1].worker_pid);
	cadre_pool_close(pools[1]);
	cadre_pool_close(NULL);
	CHILD_CHECK(troupe_living() == 0);
	return CHILD_FINE;
}

Test(pool, a_program_has_two_at_once)
{
	cr_assert_eq(child_run(two_at_once, NULL), CHILD_FINE);
}

static int use_copy(void *context)
{
	struct cadre_pool *const pool = context;

	CHILD_CHECK(cadre_pool_stop(pool) == -ECHILD);
	CHILD_CHECK(cadre_pool_terminate(pool) == -ECHILD);
	CHILD_CHECK(cadre_pool_await_end(pool, GENEROUS) == -ECHILD);
	cadre_pool_close(pool);
	return CHILD_FINE;
}

static int fork_with_pool(void *context)
{
	const struct cadre_request request = { .operation = TROUPE_WHO };
	struct cadre_pool *pool;
	struct cadre_result result;

	(void)context;
	CHILD_CHECK(cadre_pool_start(&troupe_service, NULL, &pool, NULL) == 0);
	CHILD_CHECK(child_run(use_copy, pool) == CHILD_FINE);
	CHILD_CHECK(cadre_call(cadre_pool_client(pool), &request, &result) == 0);
	CHILD_CHECK(result.outcome == CADRE_OK);
	cadre_pool_close(pool);
	return CHILD_FINE;
}

Test(pool, a_forked_child_can_use_its_copy_for_nothing_but_to_free_it)
{
	cr_assert_eq(child_run(fork_with_pool, NULL), CHILD_FINE);
}

static int start_twice(void *context)
{
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = troupe.scene.pool,
						    ONE_WORKER };
	const struct cadre_request request = { .operation = TROUPE_WHO };
	struct cadre_pool *first, *second;
	struct cadre_result result;

	(void)context;
	CHILD_CHECK(cadre_pool_start(&troupe_service, &options, &first, NULL) == 0);
	CHILD_CHECK(cadre_pool_stop(first) == 0);
	CHILD_CHECK(cadre_pool_await_end(first, GENEROUS) == 0);
	CHILD_CHECK(cadre_pool_start(&troupe_service, &options, &second, NULL) == 0);
	CHILD_CHECK(cadre_call(cadre_pool_client(first), &request, &result) == -ESHUTDOWN);
	/* The old handle must not end the new pool. */
	CHILD_CHECK(cadre_pool_terminate(first) == 0);
	cadre_pool_close(first);
	CHILD_CHECK(cadre_call(cadre_pool_client(second), &request, &result) == 0);
	CHILD_CHECK(result.outcome == CADRE_OK);
	cadre_pool_close(second);
	return CHILD_FINE;
}

Test(pool, it_can_be_started_again_under_its_name_once_it_has_ended)
{
	cr_assert_eq(child_run(start_twice, NULL), CHILD_FINE);
}

/* ---- stop ---- */

Test(pool, stop_runs_what_was_accepted_and_refuses_what_is_new)
{
	const struct cadre_request late = ASK(TROUPE_LOG, 9);
	struct cadre_ticket first, tickets[5], none;
	struct cadre_draft before, draft;
	struct cadre_client *other;

	START(ONE_WORKER);
	first = occupy_worker();
	for (uint32_t i = 0; i < 5; i++)
		tickets[i] = submit(ASK(TROUPE_LOG, i));
	cr_assert_eq(cadre_try_draft(troupe.client, 8, &before), 0);
	stop();
	stop();

	cr_assert_eq(cadre_try_submit(troupe.client, &late, &none), -ESHUTDOWN);
	cr_assert_eq(cadre_submit(troupe.client, &late, GENEROUS, &none), -ESHUTDOWN);
	cr_assert_eq(cadre_try_submit_batch(troupe.client, &late, 1, &none), -ESHUTDOWN);
	cr_assert_eq(cadre_try_draft(troupe.client, 8, &draft), -ESHUTDOWN);
	cr_assert_eq(cadre_draft_submit(troupe.client, &before, &late, &none), -ESHUTDOWN);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &other, &troupe.diag),
		     -ESHUTDOWN);
	cr_assert_not_null(strstr(troupe.diag.text, "is stopped"), "%s", troupe.diag.text);
	cr_assert_eq(troupe_await_end(&troupe, cadre_in_ms(5)), -ETIMEDOUT);

	open_gate(1);
	await_end();
	expect(first, CADRE_OK);
	for (int i = 0; i < 5; i++)
		expect(tickets[i], CADRE_OK);
	cr_assert_eq(troupe.board->logged, 5);
	cr_assert_eq(troupe.board->finis, 1);
}

Test(pool, stop_waits_no_longer_than_stop_timeout_for_a_handler)
{
	struct cadre_ticket ticket;

	START(ONE_WORKER, .stop_timeout_ns = 50 * MS);
	ticket = occupy_worker();
	stop();
	await_end();
	expect(ticket, CADRE_TERMINATED);
	cr_assert_eq(troupe.board->finis, 0);
}

Test(pool, stop_with_min_0_and_no_worker_starts_one_for_what_was_accepted)
{
	struct cadre_ticket ticket;

	START(.workers_min = 0, .workers_max = 1);
	ticket = submit(ASK(TROUPE_LOG, 1));
	stop();
	await_end();
	expect(ticket, CADRE_OK);
	cr_assert_eq(troupe.board->logged, 1);
}

/* ---- terminate ---- */

Test(pool, terminate_ends_what_runs_and_what_waits_as_terminated)
{
	const struct cadre_request late = ASK(TROUPE_LOG, 9);
	struct cadre_ticket first, tickets[3], none;

	START(ONE_WORKER);
	first = occupy_worker();
	for (uint32_t i = 0; i < 3; i++)
		tickets[i] = submit(ASK(TROUPE_LOG, i, .flags = CADRE_IDEMPOTENT));
	terminate();
	await_end();
	terminate();
	stop();

	expect(first, CADRE_TERMINATED);
	for (int i = 0; i < 3; i++)
		expect(tickets[i], CADRE_TERMINATED);
	cr_assert_eq(cadre_try_submit(troupe.client, &late, &none), -ESHUTDOWN);
	cr_assert_eq(troupe.board->logged, 0);
	cr_assert_eq(troupe.board->passed, 0);
	cr_assert_eq(troupe.board->finis, 0);
}

Test(pool, terminate_cuts_a_stop_short)
{
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	ticket = occupy_worker();
	stop();
	terminate();
	await_end();
	expect(ticket, CADRE_TERMINATED);
}

static void forget_it(const struct cadre_result *result, void *context)
{
	*(enum cadre_outcome *)context = result->outcome;
}

Test(pool, a_callback_hears_of_the_termination)
{
	enum cadre_outcome outcome = CADRE_OK;
	const struct cadre_request request = ASK(TROUPE_HOLD, 1, .ended = forget_it,
						 .context = &outcome);

	START(ONE_WORKER);
	cr_assert_eq(cadre_try_submit(troupe.client, &request, NULL), 0);
	cr_assert(eventually(all_wait(1)));
	terminate();
	cr_assert_eq(cadre_client_await_dispatch(troupe.client, GENEROUS), 1);
	cr_assert_eq(outcome, CADRE_TERMINATED);
}

Test(pool, closing_it_terminates_what_was_not_stopped)
{
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	ticket = occupy_worker();
	close(troupe.line);
	troupe.line = -1;
	cr_assert_eq(child_end(troupe.program), CHILD_FINE);
	troupe.program = 0;
	expect(ticket, CADRE_TERMINATED);
	cr_assert_eq(troupe_living(), 0);
}

/* ---- a served one ---- */

static void serve(struct cadre_pool_options options)
{
	const struct cadre_source source = { .service = &troupe_service };

	cr_assert_eq(troupe_serve(&troupe, &source, options), 0, "%s", troupe.diag.text);
}

Test(pool, a_served_one_runs_what_was_accepted_when_its_server_is_told_to_end)
{
	struct cadre_ticket first, second;

	serve((struct cadre_pool_options){ ONE_WORKER });
	first = occupy_worker();
	second = submit(ASK(TROUPE_LOG, 1));
	kill(troupe.program, SIGTERM);
	cr_assert(eventually(strcmp(troupe_look(troupe.scene.pool).state, "stopping") ==
			     0));
	open_gate(1);
	expect(first, CADRE_OK);
	expect(second, CADRE_OK);
	cr_assert_eq(child_end(troupe.program), CHILD_FINE);
	troupe.program = 0;
	cr_assert_eq(troupe_living(), 0);
	cr_assert_eq(troupe.board->finis, 1);
}

Test(pool, a_served_one_is_terminated_when_its_server_is_told_twice)
{
	struct cadre_ticket ticket;

	serve((struct cadre_pool_options){ ONE_WORKER });
	ticket = occupy_worker();
	kill(troupe.program, SIGTERM);
	cr_assert(eventually(strcmp(troupe_look(troupe.scene.pool).state, "stopping") ==
			     0));
	kill(troupe.program, SIGTERM);
	expect(ticket, CADRE_TERMINATED);
	cr_assert_eq(child_end(troupe.program), CHILD_FINE);
	troupe.program = 0;
	cr_assert_eq(troupe_living(), 0);
}
