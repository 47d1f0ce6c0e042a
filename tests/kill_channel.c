/*
 * kill_channel.c - claims about who dies between the steps of a job that is aimed at one
 * worker, and of a local worker's coming and going.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <cadre/channel.h>
#include <cadre/local.h>

#include "child.h"
#include "ledger.h"
#include "stories.h"

enum { COUNT = 1, HOLD = 2, BEAR = 3 };

static struct killing_wish *wish;
static struct board {
	atomic_uint counted;
	atomic_uint held;
	atomic_bool gate;
} * board;

static void count(struct cadre_job *job, void *state)
{
	(void)state;
	atomic_fetch_add(&board->counted, 1);
	cadre_job_reply(job, "", 0);
}

static void hold(struct cadre_job *job, void *state)
{
	(void)state;
	atomic_fetch_add(&board->held, 1);
	while (!atomic_load(&board->gate))
		child_pause_ms(1);
	cadre_job_reply(job, "", 0);
}

/* Whoever runs it dies at the wished point afterwards. */
static void bear(struct cadre_job *job, void *state)
{
	(void)state;
	killing_bear(wish);
	cadre_job_reply(job, "", 0);
}

static const struct cadre_operation operations[] = { { COUNT, "count", count },
						     { HOLD, "hold", hold },
						     { BEAR, "bear", bear } };
static const struct cadre_service service = { .size = sizeof(service),
					      .name = "aimed",
					      .operations = operations,
					      .operation_count = 3 };

static void bear_if_supervisor(void)
{
	killing_bear_if_supervisor(wish);
}

static struct cadre_pool *start(const struct killing *killing, bool supervisors_bear)
{
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = stage_pool,
						    .workers_min = 2,
						    .workers_max = 2,
						    .clients_max = 8,
						    .window_slots = 16,
						    .payload_max = 4096,
						    .block_bytes = 1 << 18,
						    .spin_ns = -1 };
	struct cadre_diag diag = { "" };
	struct cadre_pool *pool = NULL;

	board = child_share(sizeof(*board));
	wish = killing_wish(killing);
	if (supervisors_bear)
		pthread_atfork(NULL, NULL, bear_if_supervisor);
	if (cadre_pool_start(&service, &options, &pool, &diag) < 0)
		ledger_complain("%s", diag.text);
	return pool;
}

static struct cadre_channel channel_to(struct cadre_client *client, uint32_t place)
{
	const int64_t late_ns = cadre_in_ms(10000);
	struct cadre_channel channel;

	while (cadre_channel_of_worker(client, place, &channel) < 0) {
		if (cadre_now_ns() > late_ns) {
			ledger_complain("worker %u does not come up", place);
			break;
		}
		child_pause_ms(1);
	}
	return channel;
}

static struct cadre_result call(struct cadre_client *client, int32_t operation,
				const struct cadre_channel *to)
{
	const struct cadre_request request = { .operation = operation,
					       .deadline_ns = cadre_in_ms(10000),
					       .to = to };
	struct cadre_result result = { .outcome = CADRE_WITHDRAWN };
	const int r = cadre_call(client, &request, &result);

	if (r == 0)
		cadre_release(client, &result);
	else if (r != -EHOSTDOWN)
		ledger_complain("a call returned %d", r);
	return result;
}

static bool has_counted(const void *context)
{
	return atomic_load(&board->counted) >= *(const unsigned *)context;
}

static bool has_held(const void *context)
{
	(void)context;
	return atomic_load(&board->held) > 0;
}

static bool no_victim_is_left(const void *context)
{
	(void)context;
	return atomic_load(&wish->victims_left) <= 0 &&
	       stage_is_gone(atomic_load(&wish->victim));
}

/* ---- A1: the client has told of its job, and has woken nobody ---- */

static void submit_and_die(void *context)
{
	const struct cadre_request request = { .operation = COUNT,
					       .flags = CADRE_DETACHED,
					       .to = context };
	struct cadre_client *client;

	if (cadre_client_attach(stage_pool, NULL, &client, NULL) < 0)
		return;
	killing_bear(wish);
	cadre_try_submit(client, &request, NULL);
	ledger_complain("it lives on");
}

static void play_client(const void *context)
{
	const unsigned one = 1;
	struct cadre_pool *const pool = start(context, false);
	struct cadre_channel channel;
	struct cadre_view view;

	if (!pool)
		return;
	view = stage_view();
	channel = channel_to(cadre_pool_client(pool), 1);
	stage_await_end(stage_fork(submit_and_die, &channel));
	stage_await(has_counted, &one, "the detached job was never run");
	stage_await_rest(&view, NULL);
	cadre_layout_close(&view);
	cadre_pool_close(pool);
}

/* ---- A2: the worker has cleared its aims, and has not looked again ---- */

static void play_worker(const void *context)
{
	struct cadre_pool *const pool = start(context, false);
	struct cadre_client *client;
	struct cadre_channel channel;
	struct cadre_view view;

	if (!pool)
		return;
	view = stage_view();
	client = cadre_pool_client(pool);
	channel = channel_to(client, 1);
	call(client, BEAR, &channel);
	/* Refused, or lost before they had begun, until its successor is there. */
	while (!no_victim_is_left(NULL) && !ledger_complaint()) {
		const struct cadre_result result = call(client, COUNT, &channel);

		if (result.outcome == CADRE_LOST && result.worker >= 0 &&
		    result.code != SIGKILL)
			ledger_complain("lost otherwise: %s", result.sentence);
	}
	if (call(client, COUNT, &channel).outcome == CADRE_OK)
		ledger_complain("the dead ran a job");
	channel = channel_to(client, 1);
	if (call(client, COUNT, &channel).outcome != CADRE_OK)
		ledger_complain("its successor does not serve");
	stage_await_rest(&view, NULL);
	cadre_layout_close(&view);
	cadre_pool_close(pool);
}

/* ---- X4: the supervisor has ended one of several jobs that waited for a dead worker ---- */

static void play_reaping(const void *context)
{
	enum { JOBS = 4 };
	struct cadre_pool *const pool = start(context, true);
	struct cadre_ticket tickets[JOBS];
	struct cadre_request request = { .operation = HOLD };
	struct cadre_client *client;
	struct cadre_channel channel;
	struct cadre_view view;

	if (!pool)
		return;
	view = stage_view();
	client = cadre_pool_client(pool);
	channel = channel_to(client, 1);
	request.to = &channel;
	for (int i = 0; i < JOBS; i++) {
		if (cadre_try_submit(client, &request, &tickets[i]) < 0)
			ledger_complain("job %d is refused", i);
	}
	stage_await(has_held, NULL, "nobody holds");
	kill(cadre_place_who(&view.worker_places[1]).pid, SIGKILL);
	for (int i = 0; i < JOBS; i++) {
		struct cadre_result result;

		if (cadre_await(client, tickets[i], cadre_in_ms(20000), &result) < 0)
			ledger_complain("job %d never ends", i);
		else if (result.outcome != CADRE_LOST)
			ledger_complain("job %d ends as %s", i,
					cadre_outcome_name(result.outcome));
		else
			cadre_release(client, &result);
	}
	if (!no_victim_is_left(NULL))
		ledger_complain("no supervisor died");
	stage_await_rest(&view, NULL);
	cadre_layout_close(&view);
	cadre_pool_close(pool);
}

/* ---- P7, P8: a guest has its place and was not told; is reaped, and its place not free ---- */

static void play_guest(const void *context)
{
	struct cadre_pool *const pool = start(context, true);
	struct cadre_client *client;
	struct cadre_view view;

	if (!pool)
		return;
	view = stage_view();
	client = cadre_pool_client(pool);
	for (int round = 0; round < 2; round++) {
		const struct cadre_local_options options = {
			.size = sizeof(options), .timeout_ns = INT64_C(10000000000)
		};
		struct cadre_channel channel;
		struct cadre_ticket ticket;
		struct cadre_result result;
		struct cadre_diag diag = { "" };
		struct cadre_local *local;
		const struct cadre_request request = { .operation = COUNT,
						       .to = &channel };

		if (cadre_local_open(stage_pool, &service, &options, &local, &diag) < 0) {
			ledger_complain("%s", diag.text);
			break;
		}
		cadre_local_channel(local, &channel);
		if (cadre_try_submit(client, &request, &ticket) < 0 ||
		    cadre_local_step(local, 0) != 1 ||
		    cadre_await(client, ticket, cadre_in_ms(10000), &result) < 0 ||
		    result.outcome != CADRE_OK)
			ledger_complain("it does not serve");
		else
			cadre_release(client, &result);
		cadre_local_close(local);
	}
	stage_await(no_victim_is_left, NULL, "no supervisor died");
	stage_await_rest(&view, NULL);
	cadre_layout_close(&view);
	cadre_pool_close(pool);
}

/* ---- the points ---- */

static void tell_of(const char *label, void (*story)(const void *context))
{
	tell(story, &(struct killing){ label, .pass = 1, .signal_number = SIGKILL,
				       .victims = 1 });
}

TestSuite(kill_channel, .timeout = 90);

Test(kill_channel, a_client_that_dies_before_it_wakes_the_worker_leaves_a_job_that_is_run)
{
	tell_of("A1", play_client);
}

Test(kill_channel, a_worker_that_dies_before_it_looks_again_leaves_nobody_waiting)
{
	tell_of("A2", play_worker);
}

Test(kill_channel,
     a_supervisor_that_dies_over_jobs_for_a_dead_worker_is_followed_by_one_that_ends_them)
{
	tell_of("X4", play_reaping);
}

Test(kill_channel,
     a_supervisor_that_dies_before_a_local_worker_hears_of_its_place_costs_nothing)
{
	tell_of("P7", play_guest);
}

Test(kill_channel,
     a_supervisor_that_dies_over_a_local_worker_that_leaves_is_followed_by_one_that_frees_its_place)
{
	tell_of("P8", play_guest);
}
