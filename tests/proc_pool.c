/*
 * proc_pool.c - SPEC section 3: claims about a pool as a whole: how many workers it has, how
 * it is stopped, started again, and how it ends. (Dispatch, 3.2: proc_dispatch.c; refusals
 * of 3.1: proc_refusal.c; 3.7: proc_client.c.)
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

TestInChild(pool, without_options_it_has_a_name_of_its_own_and_at_most_a_worker_per_cpu)
{
	struct cadre_pool *pool;

	CHILD_CHECK(cadre_pool_start(&troupe_service, NULL, &pool, NULL) == 0);
	CHILD_CHECK(troupe_look(cadre_pool_name(pool)).workers_min == 0);
	CHILD_CHECK(troupe_look(cadre_pool_name(pool)).workers_max >= 1);
	CHILD_CHECK(troupe_look(cadre_pool_name(pool)).workers_max <=
		    (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
	cadre_pool_close(pool);
}

/* ---- another size ---- */

static int order(enum cadre_order_kind kind, uint32_t min, uint32_t max)
{
	const struct cadre_order wish = { .kind = kind,
					  .workers_min = min,
					  .workers_max = max };

	return cadre_order(troupe.scene.pool, &wish, GENEROUS, &troupe.diag);
}

Test(pool, it_is_scaled_up_while_it_runs)
{
	START(.workers_min = 1, .workers_max = 1, .workers_limit = 4);
	cr_assert_eq(order(CADRE_ORDER_SCALE, 3, 4), 0);
	cr_assert(eventually(workers_ready() == 3));
	/* And from there it grows to its new max. */
	for (int i = 0; i < 4; i++)
		submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(all_wait(4)));
	open_gate(1);
}

Test(pool, it_is_scaled_down_and_who_has_a_job_finishes_it)
{
	struct cadre_ticket tickets[3];

	START(.workers_min = 3, .workers_max = 3);
	for (int i = 0; i < 3; i++)
		tickets[i] = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(all_wait(3)));
	cr_assert_eq(order(CADRE_ORDER_SCALE, 1, 1), 0);
	cr_assert(eventually(workers_ready() == 1));
	open_gate(1);
	for (int i = 0; i < 3; i++)
		expect(tickets[i], CADRE_OK);
	cr_assert(eventually(troupe.board->finis == 2));
	cr_assert_eq(troupe_look(troupe.scene.pool).workers_max, 1);
}

Test(pool, those_who_idle_leave_first_when_it_is_scaled_down)
{
	struct cadre_ticket ticket;
	struct cadre_result result;

	START(.workers_min = 3, .workers_max = 3);
	ticket = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(all_wait(1)));
	cr_assert_eq(order(CADRE_ORDER_SCALE, 1, 1), 0);
	cr_assert(eventually(troupe.board->finis == 2), "although nothing has ended");
	open_gate(1);
	result = await(ticket);
	cr_assert_eq(result.outcome, CADRE_OK);
	cr_assert_eq(ask_who().pid, result.worker_pid);
	release(&result);
}

Test(pool, a_size_beyond_its_limit_or_that_cannot_be_is_refused_with_a_sentence)
{
	START(.workers_min = 1, .workers_max = 2, .workers_limit = 3);
	cr_assert_eq(order(CADRE_ORDER_SCALE, 1, 4), -EINVAL);
	cr_assert_not_null(strstr(troupe.diag.text, "1..4 workers"), "%s",
			   troupe.diag.text);
	cr_assert_eq(order(CADRE_ORDER_SCALE, 2, 1), -EINVAL);
	cr_assert_eq(order(CADRE_ORDER_SCALE, 0, 0), -EINVAL);
	cr_assert_eq(troupe_look(troupe.scene.pool).workers_min, 1);
	cr_assert_eq(troupe_look(troupe.scene.pool).workers_max, 2);
	cr_assert_eq(order(CADRE_ORDER_SCALE, 0, 3), 0);
}

static _Atomic int *may_begin;

static int begin_when_allowed(const struct cadre_start *start, void **ret_state,
			      struct cadre_diag *diag)
{
	while (start->worker > 0 && !atomic_load(may_begin))
		child_pause_ms(1);
	return troupe_service.init(start, ret_state, diag);
}

/* SPEC 2.3 */
Test(pool, a_worker_is_started_when_its_init_has_returned_and_not_when_it_was_forked)
{
	struct cadre_service service = troupe_service;

	may_begin = child_share(sizeof(*may_begin));
	service.init = begin_when_allowed;
	cr_assert_eq(troupe_start(&troupe, &service,
				  (struct cadre_pool_options){ .workers_min = 1,
							       .workers_max = 1,
							       .workers_limit = 2 }),
		     0);
	cr_assert_eq(order(CADRE_ORDER_SCALE, 2, 2), 0);
	cr_assert(eventually(troupe_look_worker(troupe.scene.pool, 1).letter == 'S'));
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(workers_ready(), 1);
	atomic_store(may_begin, 1);
	cr_assert(eventually(workers_ready() == 2));
}

/* ---- presets ---- */

Test(pool, the_preset_for_cpu_bound_services_has_a_worker_per_cpu_with_one_job_each)
{
	struct cadre_pool_options options = { .size = sizeof(options) };

	cr_assert_eq(cadre_pool_options_for(CADRE_CPU_BOUND, &options), 0);
	cr_assert_geq(options.workers_max, 1);
	cr_assert_leq(options.workers_max, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
	cr_assert_eq(options.workers_min, options.workers_max);
	cr_assert_eq(options.parallel, 1);
	start_service(&troupe_service, options);
	cr_assert_eq(workers_ready(), options.workers_max);
}

Test(pool, the_preset_for_io_bound_services_has_many_jobs_per_worker_and_does_not_spin)
{
	struct cadre_pool_options options = { .size = sizeof(options), .workers_max = 2 };

	cr_assert_eq(cadre_pool_options_for(CADRE_IO_BOUND, &options), 0);
	cr_assert_eq(options.workers_min, 1);
	cr_assert_eq(options.workers_max, 2, "what was set stands");
	cr_assert_gt(options.parallel, 1);
	cr_assert_lt(options.spin_ns, 0);
	start_service(&troupe_service, options);
	cr_assert_eq(troupe_look(troupe.scene.pool).parallel, options.parallel);
	cr_assert_eq(cadre_pool_options_for((enum cadre_preset)9, &options), -EINVAL);
	options.size = 1;
	cr_assert_eq(cadre_pool_options_for(CADRE_IO_BOUND, &options), -EINVAL);
}

/* ---- stop with a predicate ---- */

struct asked {
	unsigned count;
	uint32_t spared; /* place of one that may stay; UINT32_MAX: none */
	bool plausible;
};

static bool may_leave(const struct cadre_worker_snapshot *worker, void *context)
{
	struct asked *const asked = context;

	asked->count++;
	asked->plausible = asked->plausible && worker->pid > 0 && worker->idle_ns > 0 &&
			   worker->uptime_ns >= worker->idle_ns;
	return worker->place != asked->spared;
}

static int stop_idle(struct asked *asked)
{
	*asked = (struct asked){ .spared = asked->spared, .plausible = true };
	return cadre_stop_idle(troupe.scene.pool, may_leave, asked, &troupe.diag);
}

Test(pool, stop_with_a_predicate_asks_about_idle_workers_only)
{
	struct asked asked = { .spared = UINT32_MAX };
	struct cadre_ticket ticket;

	START(.workers_min = 3, .workers_max = 3);
	cr_assert_eq(order(CADRE_ORDER_SCALE, 0, 3), 0);
	ticket = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(all_wait(1)));
	cr_assert_eq(stop_idle(&asked), 2);
	cr_assert_eq(asked.count, 2);
	cr_assert(asked.plausible);
	cr_assert(eventually(troupe.board->finis == 2));
	cr_assert_eq(workers_ready(), 1);
	open_gate(1);
	expect(ticket, CADRE_OK);
}

Test(pool, stop_with_a_predicate_stops_those_that_match)
{
	struct asked asked = { .spared = 1 };

	START(.workers_min = 3, .workers_max = 3);
	cr_assert_eq(order(CADRE_ORDER_SCALE, 0, 3), 0);
	cr_assert_eq(stop_idle(&asked), 2);
	cr_assert_eq(asked.count, 3);
	cr_assert(eventually(workers_ready() == 1));
	cr_assert_eq(troupe_look_worker(troupe.scene.pool, 1).letter, '_');
	/* And the pool goes on. */
	call_ok(ASK(TROUPE_LOG, 1));
}

Test(pool, stop_with_a_predicate_never_goes_below_min)
{
	struct asked asked = { .spared = UINT32_MAX };

	START(.workers_min = 3, .workers_max = 3);
	cr_assert_eq(order(CADRE_ORDER_SCALE, 2, 3), 0);
	cr_assert_eq(stop_idle(&asked), 1);
	cr_assert(eventually(troupe.board->finis == 1));
	cr_assert_eq(stop_idle(&asked), 0);
	cr_assert_eq(workers_ready(), 2);
}

/* It got busy between the report and the order: here, while the predicate is asked. */
static bool give_it_a_job(const struct cadre_worker_snapshot *worker, void *context)
{
	*(struct cadre_ticket *)context = submit(ASK(TROUPE_HOLD, 1));
	return eventually(all_wait(1)) && worker->letter == '_';
}

Test(pool, stop_with_a_predicate_spares_one_that_got_busy_meanwhile)
{
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	cr_assert_eq(order(CADRE_ORDER_SCALE, 0, 1), 0);
	cr_assert_eq(cadre_stop_idle(troupe.scene.pool, give_it_a_job, &ticket, NULL), 0);
	open_gate(1);
	expect(ticket, CADRE_OK);
	cr_assert_eq(troupe.board->finis, 0);
}

Test(pool, stop_with_a_predicate_of_a_pool_that_is_not_there_is_an_error)
{
	struct asked asked = { .spared = UINT32_MAX };

	cr_assert_eq(stop_idle(&asked), -ENOENT);
	cr_assert_eq(asked.count, 0);
}

/* ---- in its own program ---- */

TestInChild(pool, a_program_has_two_at_once)
{
	const struct cadre_pool_options options = { .size = sizeof(options), ONE_WORKER };
	const struct cadre_request request = { .operation = TROUPE_WHO };
	struct cadre_pool *pools[2];
	struct cadre_result results[2];

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

TestInChild(pool, a_forked_child_can_use_its_copy_for_nothing_but_to_free_it)
{
	const struct cadre_request request = { .operation = TROUPE_WHO };
	struct cadre_pool *pool;
	struct cadre_result result;

	CHILD_CHECK(cadre_pool_start(&troupe_service, NULL, &pool, NULL) == 0);
	CHILD_CHECK(child_run(use_copy, pool) == CHILD_FINE);
	CHILD_CHECK(cadre_call(cadre_pool_client(pool), &request, &result) == 0);
	CHILD_CHECK(result.outcome == CADRE_OK);
	cadre_pool_close(pool);
}

TestInChild(pool, it_can_be_started_again_under_its_name_once_it_has_ended)
{
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = troupe.scene.pool,
						    ONE_WORKER };
	const struct cadre_request request = { .operation = TROUPE_WHO };
	struct cadre_pool *first, *second;
	struct cadre_result result;

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

/* ---- drain, and start again ---- */

static bool is(const char *state)
{
	return strcmp(troupe_look(troupe.scene.pool).state, state) == 0;
}

Test(pool, drained_it_has_run_what_was_accepted_and_refuses_what_is_new)
{
	const struct cadre_request late = ASK(TROUPE_LOG, 9);
	struct cadre_ticket first, second, none;
	struct cadre_client *other;

	START(ONE_WORKER);
	first = occupy_worker();
	second = submit(ASK(TROUPE_LOG, 1));
	cr_assert_eq(order(CADRE_ORDER_DRAIN, 0, 0), 0);
	cr_assert_eq(order(CADRE_ORDER_DRAIN, 0, 0), 0, "twice is the same as once");
	cr_assert(is("draining"));
	cr_assert_eq(cadre_try_submit(troupe.client, &late, &none), -ESHUTDOWN);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &other, NULL),
		     -ESHUTDOWN);
	open_gate(1);
	expect(first, CADRE_OK);
	expect(second, CADRE_OK);
	cr_assert(eventually(is("stopped")));
	cr_assert_eq(troupe.board->finis, 1);
	cr_assert_eq(workers_ready(), 0);
	cr_assert_eq(cadre_submit(troupe.client, &late, GENEROUS, &none), -ESHUTDOWN);
	cr_assert_gt(scene_files(troupe.scene.pool), 0, "it is kept");
}

Test(pool, drained_and_started_again_it_serves_the_clients_that_it_had)
{
	START(.workers_min = 2, .workers_max = 2);
	for (uint32_t round = 1; round <= 3; round++) {
		call_ok(ASK(TROUPE_LOG, round));
		cr_assert_eq(order(CADRE_ORDER_DRAIN, 0, 0), 0);
		cr_assert(eventually(is("stopped")));
		cr_assert_eq(troupe.board->finis, 2 * round);
		cr_assert_eq(order(CADRE_ORDER_START, 0, 0), 0);
		cr_assert_eq(order(CADRE_ORDER_START, 0, 0), 0);
		cr_assert(is("open"));
		cr_assert(eventually(workers_ready() == 2));
	}
	call_ok(ASK(TROUPE_LOG, 9));
	cr_assert_eq(troupe.board->logged, 4);
}

Test(pool, started_again_while_it_drains_it_goes_on_and_loses_nothing)
{
	struct cadre_ticket held;

	START(ONE_WORKER);
	held = occupy_worker();
	cr_assert_eq(order(CADRE_ORDER_DRAIN, 0, 0), 0);
	cr_assert_eq(order(CADRE_ORDER_START, 0, 0), 0);
	cr_assert(is("open"));
	open_gate(1);
	expect(held, CADRE_OK);
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(troupe.board->inits, 1, "by the worker that it had");
}

Test(pool, what_takes_longer_than_stop_timeout_to_drain_is_terminated_and_it_stays)
{
	struct cadre_ticket held;

	START(ONE_WORKER, .stop_timeout_ns = 50 * MS);
	held = occupy_worker();
	cr_assert_eq(order(CADRE_ORDER_DRAIN, 0, 0), 0);
	expect(held, CADRE_TERMINATED);
	cr_assert(eventually(is("stopped")));
	cr_assert_eq(order(CADRE_ORDER_START, 0, 0), 0);
	call_ok(ASK(TROUPE_LOG, 1));
}

Test(pool, a_drained_one_can_be_scaled_stopped_and_terminated)
{
	START(ONE_WORKER);
	cr_assert_eq(order(CADRE_ORDER_DRAIN, 0, 0), 0);
	cr_assert(eventually(is("stopped")));
	cr_assert_eq(order(CADRE_ORDER_SCALE, 2, 2), 0);
	cr_assert_eq(workers_ready(), 0);
	cr_assert_eq(order(CADRE_ORDER_START, 0, 0), 0);
	cr_assert(eventually(workers_ready() == 2));
	cr_assert_eq(order(CADRE_ORDER_DRAIN, 0, 0), 0);
	cr_assert(eventually(is("stopped")));
	stop();
	await_end();
	cr_assert_eq(order(CADRE_ORDER_START, 0, 0), -ECONNREFUSED);
}

TestInChild(pool, its_program_drains_it_starts_it_again_and_stops_it_for_good)
{
	const struct cadre_request request = { .operation = TROUPE_WHO };
	struct cadre_result result;
	struct cadre_pool *pool;

	CHILD_CHECK(cadre_pool_start(&troupe_service, NULL, &pool, NULL) == 0);
	CHILD_CHECK(cadre_pool_await_drained(pool, 0) == -ESHUTDOWN);
	CHILD_CHECK(cadre_pool_drain(pool) == 0);
	CHILD_CHECK(cadre_pool_await_drained(pool, GENEROUS) == 0);
	CHILD_CHECK(cadre_call(cadre_pool_client(pool), &request, &result) == -ESHUTDOWN);
	CHILD_CHECK(cadre_pool_scale(pool, 1, 1, NULL) == 0);
	CHILD_CHECK(cadre_pool_start_again(pool) == 0);
	CHILD_CHECK(cadre_call(cadre_pool_client(pool), &request, &result) == 0);
	CHILD_CHECK(result.outcome == CADRE_OK);
	cadre_release(cadre_pool_client(pool), &result);
	/* What it was told by stop, it was told for good. */
	CHILD_CHECK(cadre_pool_stop(pool) == 0);
	CHILD_CHECK(cadre_pool_start_again(pool) == -ESHUTDOWN);
	CHILD_CHECK(cadre_pool_drain(pool) == -ESHUTDOWN);
	CHILD_CHECK(cadre_pool_await_end(pool, GENEROUS) == 0);
	CHILD_CHECK(cadre_pool_start_again(pool) == -ESHUTDOWN);
	cadre_pool_close(pool);
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
