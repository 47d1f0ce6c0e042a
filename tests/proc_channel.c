/*
 * proc_channel.c - claims about channels: jobs for one worker, what becomes of them when it
 * goes, channels as values, and the clients that a process has by them.
 */
#include "claims.h"
#include "layout.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(channel, TROUPE);

#define MS INT64_C(1000000)

static struct cadre_channel channel_to(uint32_t place)
{
	struct cadre_channel channel;

	cr_assert(eventually(cadre_channel_of_worker(troupe.client, place, &channel) == 0));
	return channel;
}

static bool all_wait(uint32_t count)
{
	return atomic_load(&troupe.board->waiting) == count;
}

static uint32_t clients_attached(void)
{
	return troupe_look(troupe.scene.pool).clients;
}

/* Something that the supervisor or the workers write, straight from the segment. */
static int64_t read_segment(int64_t (*read)(const struct cadre_view *view))
{
	struct cadre_view view;
	int64_t value;

	cr_assert_eq(cadre_layout_open(troupe.scene.pool, false, &view, NULL), 0);
	value = read(&view);
	cadre_layout_close(&view);
	return value;
}

static int64_t heartbeat(const struct cadre_view *view)
{
	return atomic_load(&view->header->heartbeat_ns);
}

static int64_t sleepers(const struct cadre_view *view)
{
	return __builtin_popcountll(cadre_mask_word(&view->header->crew.sleepers, 0));
}

/* ---- whose jobs they are ---- */

Test(channel, jobs_over_it_are_taken_by_its_worker_only)
{
	enum { WORKERS = 3, ROUNDS = 200 };
	struct cadre_channel channels[WORKERS];

	START(.workers_min = WORKERS, .workers_max = WORKERS);
	for (uint32_t place = 0; place < WORKERS; place++)
		channels[place] = channel_to(place);
	for (uint32_t round = 0; round < ROUNDS; round++)
		cr_assert_eq(ask_who_at(&channels[round % WORKERS]).worker,
			     round % WORKERS);
}

Test(channel, a_burst_for_one_worker_is_run_by_it_in_order)
{
	enum { JOBS = 100 };
	struct cadre_request requests[JOBS];
	struct cadre_ticket tickets[JOBS];
	uint32_t numbers[JOBS];
	struct cadre_channel channel;

	START(.workers_min = 2, .workers_max = 2);
	channel = channel_to(1);
	for (uint32_t i = 0; i < JOBS; i++) {
		numbers[i] = i;
		requests[i] = (struct cadre_request){ .operation = TROUPE_LOG,
						      .data = &numbers[i],
						      .length = sizeof(numbers[i]),
						      .to = &channel };
	}
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests, JOBS, tickets), JOBS);
	for (uint32_t i = 0; i < JOBS; i++) {
		const struct cadre_result result = await(tickets[i]);

		cr_assert_eq(result.worker, 1);
		cr_assert_eq(number_in(&result), i);
		release(&result);
	}
	for (uint32_t i = 0; i < JOBS; i++)
		cr_assert_eq(troupe.board->log[i], i);
}

Test(channel, one_batch_may_hold_jobs_for_one_worker_and_jobs_for_anyone)
{
	const uint32_t number = 1;
	struct cadre_channel channel, pool;
	struct cadre_ticket tickets[4];

	START(.workers_min = 2, .workers_max = 2);
	channel = channel_to(1);
	cadre_channel_of_pool(troupe.client, &pool);
	const struct cadre_request requests[4] = {
		{ .operation = TROUPE_HOLD, .data = &number, .length = 4, .to = &channel },
		{ .operation = TROUPE_LOG, .data = &number, .length = 4 },
		{ .operation = TROUPE_LOG, .data = &number, .length = 4, .to = &channel },
		{ .operation = TROUPE_LOG, .data = &number, .length = 4, .to = &pool },
	};
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests, 4, tickets), 4);
	expect(tickets[1], CADRE_OK);
	expect(tickets[3], CADRE_OK);
	cr_assert_eq(troupe.board->logged, 2, "the third waits behind the first");
	open_gate(1);
	expect(tickets[0], CADRE_OK);
	expect(tickets[2], CADRE_OK);
}

Test(channel, a_job_for_a_busy_worker_waits_for_it_and_makes_no_pool_grow)
{
	struct cadre_ticket holding, waiting;
	struct cadre_channel channel;

	START(.workers_min = 2, .workers_max = 4);
	channel = channel_to(0);
	holding = submit(ASK(TROUPE_HOLD, 1, .to = &channel));
	cr_assert(eventually(all_wait(1)));
	waiting = submit(ASK(TROUPE_LOG, 7, .to = &channel));
	/* The supervisor has seen it more than once. */
	for (int beats = 0; beats < 3; beats++) {
		const int64_t before_ns = read_segment(heartbeat);

		cr_assert(eventually(read_segment(heartbeat) != before_ns));
	}
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(troupe.board->logged, 1, "it is not for the others");
	cr_assert_eq(troupe.board->inits, 2, "and nobody was started for it");
	cr_assert_eq(troupe_look(troupe.scene.pool).queue_length, 1);
	open_gate(1);
	expect(holding, CADRE_OK);
	expect(waiting, CADRE_OK);
}

Test(channel, a_stream_of_jobs_for_anyone_does_not_starve_what_is_aimed)
{
	enum { CROWD = 200, AIMED = 7777 };
	struct cadre_ticket crowd[CROWD], aimed;
	struct cadre_client *other;
	struct cadre_channel channel;
	struct cadre_request request;
	struct cadre_ticket holding;
	uint32_t before = 0;

	START(ONE_WORKER);
	channel = channel_to(0);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &other, NULL), 0);
	holding = occupy_worker();
	for (int i = 0; i < CROWD; i++)
		crowd[i] = submit(ASK(TROUPE_LOG, 1));
	request = ASK(TROUPE_LOG, AIMED, .to = &channel);
	cr_assert_eq(cadre_try_submit(other, &request, &aimed), 0);
	open_gate(1);
	expect(holding, CADRE_OK);
	for (int i = 0; i < CROWD; i++)
		expect(crowd[i], CADRE_OK);
	while (before <= CROWD && troupe.board->log[before] != AIMED)
		before++;
	cr_assert_leq(before, 64, "%u others were run first", before);
	cadre_client_detach(other);
}

Test(channel, a_sleeping_worker_is_woken_by_its_client_and_not_by_the_supervisor)
{
	START(.workers_min = 3, .workers_max = 3, .spin_ns = -1);
	for (uint32_t round = 0; round < 30; round++) {
		const struct cadre_channel channel = channel_to(round % 3);

		cr_assert(eventually(read_segment(sleepers) == 3));
		cr_assert_eq(ask_who_at(&channel).worker, round % 3);
	}
	cr_assert_eq(troupe_counter(CADRE_SCOPE_POOL,
				    troupe_look(troupe.scene.pool).counters, "jobs_found"),
		     0);
}

Test(channel, a_payload_that_does_not_fit_a_slot_goes_over_it_too)
{
	enum { LENGTH = 100000 };
	unsigned char *const bytes = malloc(LENGTH);
	struct cadre_channel channel;
	struct cadre_request request;
	struct cadre_result result;
	struct cadre_draft draft;
	struct cadre_ticket ticket;

	START(.workers_min = 2, .workers_max = 2);
	channel = channel_to(1);
	troupe_fill(bytes, LENGTH, 5);
	request = (struct cadre_request){
		.operation = TROUPE_ECHO, .data = bytes, .length = LENGTH, .to = &channel
	};
	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	cr_assert_eq(result.worker, 1);
	cr_assert(result.length == LENGTH && troupe_holds(result.data, LENGTH, 5));
	release(&result);

	cr_assert_eq(cadre_try_draft(troupe.client, LENGTH, &draft), 0);
	troupe_fill(draft.data, LENGTH, 6);
	cr_assert_eq(cadre_draft_submit(troupe.client, &draft, &request, &ticket), 0);
	result = await(ticket);
	cr_assert_eq(result.worker, 1);
	cr_assert(result.length == LENGTH && troupe_holds(result.data, LENGTH, 6));
	release(&result);
	free(bytes);
}

/* ---- how they end ---- */

Test(channel, a_pending_job_over_it_can_be_cancelled_and_can_time_out)
{
	struct cadre_ticket holding, cancelled, late;
	struct cadre_channel channel;
	struct cadre_result result;

	START(.workers_min = 2, .workers_max = 2);
	channel = channel_to(0);
	holding = submit(ASK(TROUPE_HOLD, 1, .to = &channel));
	cr_assert(eventually(all_wait(1)));
	cancelled = submit(ASK(TROUPE_LOG, 1, .to = &channel));
	late = submit(ASK(TROUPE_LOG, 1, .to = &channel, .deadline_ns = cadre_in_ms(5)));
	cr_assert_eq(cadre_cancel(troupe.client, cancelled), 0);
	result = await(cancelled);
	cr_assert_eq(result.outcome, CADRE_CANCELLED);
	cr_assert_eq(result.worker, -1, "nobody had it");
	cr_assert_eq(result.running_ns, 0);
	release(&result);
	expect(late, CADRE_TIMED_OUT);
	open_gate(1);
	expect(holding, CADRE_OK);
	cr_assert_eq(troupe.board->logged, 0);
}

Test(channel, what_a_dead_worker_had_not_begun_ends_as_lost_and_says_so)
{
	enum { JOBS = 5 };
	struct cadre_ticket holding, tickets[JOBS];
	struct cadre_channel channel;
	struct cadre_result result;

	START(.workers_min = 2, .workers_max = 2);
	channel = channel_to(0);
	holding = submit(ASK(TROUPE_HOLD, 1, .to = &channel, .flags = CADRE_IDEMPOTENT));
	cr_assert(eventually(all_wait(1)));
	for (int i = 0; i < JOBS; i++)
		tickets[i] = submit(ASK(TROUPE_LOG, 1, .to = &channel,
					.flags = i % 2 ? CADRE_IDEMPOTENT : 0));
	kill(troupe_worker(troupe.scene.pool, 0), SIGKILL);

	result = await(holding);
	cr_assert_eq(result.outcome, CADRE_LOST, "idempotent, but nobody else may run it");
	cr_assert_eq(result.code, SIGKILL);
	cr_assert_eq(result.worker, 0);
	release(&result);
	for (int i = 0; i < JOBS; i++) {
		result = await(tickets[i]);
		cr_assert_eq(result.outcome, CADRE_LOST);
		cr_assert_eq(result.code, CADRE_STATUS_NOT_BEGUN);
		cr_assert_eq(result.worker, -1);
		cr_assert_not_null(strstr(result.sentence, "gone before it had begun"),
				   "%s", result.sentence);
		release(&result);
	}
	cr_assert_eq(troupe.board->logged, 0);
	open_gate(1);
}

Test(channel, one_to_a_worker_that_is_gone_is_refused_though_its_place_is_taken_again)
{
	struct cadre_channel gone, there;
	struct troupe_who who;

	START(ONE_WORKER);
	gone = channel_to(0);
	who = ask_who_at(&gone);
	kill(who.pid, SIGKILL);
	cr_assert(eventually(troupe_is_gone(who.pid)));
	cr_assert(eventually(try_submit(ASK(TROUPE_LOG, 1, .to = &gone)) == -EHOSTDOWN));
	call_ok(ASK(TROUPE_ECHO, 1));
	there = channel_to(0);
	cr_assert_neq(memcmp(&gone, &there, sizeof(gone)), 0);
	cr_assert_eq(try_submit(ASK(TROUPE_LOG, 1, .to = &gone)), -EHOSTDOWN);
	cr_assert_eq(ask_who_at(&there).incarnation, 2);
	cr_assert_eq(troupe.board->logged, 0);
}

Test(channel, there_is_none_to_a_place_that_is_empty_or_does_not_exist)
{
	struct cadre_channel channel;

	/* Two, one to spare for replacements, and one local. */
	START(.workers_min = 1, .workers_max = 2, .workers_limit = 2, .locals_max = 1);
	for (uint32_t place = 1; place < 4; place++)
		cr_assert_eq(cadre_channel_of_worker(troupe.client, place, &channel),
			     -EHOSTDOWN);
	cr_assert_eq(cadre_channel_of_worker(troupe.client, 4, &channel), -EINVAL);
}

/* Run, or told that it was not begun: true when it was run. */
static bool is_run(struct cadre_ticket ticket)
{
	const struct cadre_result result = await(ticket);
	const bool ran = result.outcome == CADRE_OK;

	cr_assert(ran || (result.outcome == CADRE_LOST &&
			  result.code == CADRE_STATUS_NOT_BEGUN),
		  "%s: %s", cadre_outcome_name(result.outcome), result.sentence);
	release(&result);
	return ran;
}

static int try_submit_to(const struct cadre_channel *channel,
			 struct cadre_ticket *ret_ticket)
{
	const struct cadre_request request = ASK(TROUPE_LOG, 1, .to = channel);

	return cadre_try_submit(troupe.client, &request, ret_ticket);
}

/* Whoever is sent away when it was idle runs what was accepted before. What comes in just
 * behind it may be buried before its client takes it back. */
Test(channel, an_idle_worker_that_is_sent_away_leaves_nothing_behind)
{
	enum { ROUNDS = 3, TRIES = 60 };
	unsigned ran = 0, workers = 0;
	int32_t last_pid = 0;

	START(.workers_min = 0, .workers_max = 1, .idle_timeout_ns = 20 * MS);
	for (int round = 0; round < ROUNDS; round++) {
		const struct troupe_who who = ask_who();
		struct cadre_channel channel;
		struct cadre_ticket ticket;
		int r;

		/* One that leaves may still have taken our question. */
		workers += who.pid != last_pid;
		last_pid = who.pid;
		for (int i = 0;
		     i < TRIES &&
		     cadre_channel_of_worker(troupe.client, who.worker, &channel) == 0;
		     i++) {
			r = try_submit_to(&channel, &ticket);
			cr_assert(r == 0 || r == -EHOSTDOWN, "%d", r);
			if (r == 0)
				ran += is_run(ticket);
			/* About as long as it bears to be idle. */
			child_pause_ms(19 + (unsigned)i % 16);
		}
		cr_assert(eventually(cadre_channel_of_worker(troupe.client, who.worker,
							     &channel) < 0));
	}
	cr_assert_gt(ran, 0);
	cr_assert_eq(troupe.board->logged, ran);
	cr_assert(eventually(troupe.board->finis >= workers), "they left in order");
}

static int leave_a_detached_job(void *context)
{
	const struct cadre_channel *const channel = context;
	const struct cadre_request request = ASK(TROUPE_LOG, 9, .to = channel,
						 .flags = CADRE_DETACHED);
	struct cadre_client *client;

	CHILD_CHECK(cadre_client_attach(channel->pool, NULL, &client, NULL) == 0);
	CHILD_CHECK(cadre_try_submit(client, &request, NULL) == 0);
	return CHILD_FINE;
}

Test(channel, a_detached_job_outlives_its_client_and_not_its_worker)
{
	struct cadre_ticket holding;
	struct cadre_channel channel;

	START(.workers_min = 2, .workers_max = 2);
	channel = channel_to(0);
	holding = submit(ASK(TROUPE_HOLD, 1, .to = &channel));
	cr_assert(eventually(all_wait(1)));
	cr_assert_eq(child_run(leave_a_detached_job, &channel), CHILD_FINE);
	open_gate(1);
	expect(holding, CADRE_OK);
	cr_assert(eventually(troupe.board->logged == 1));

	holding = submit(ASK(TROUPE_HOLD, 2, .to = &channel));
	cr_assert(eventually(all_wait(1)));
	cr_assert_eq(child_run(leave_a_detached_job, &channel), CHILD_FINE);
	kill(troupe_worker(troupe.scene.pool, 0), SIGKILL);
	expect(holding, CADRE_LOST);
	cr_assert(eventually(clients_attached() == 2), "its window came to rest");
	cr_assert(eventually(troupe_look(troupe.scene.pool).queue_length == 0));
	cr_assert_eq(troupe.board->logged, 1);
	open_gate(2);
}

/* ---- as values ---- */

Test(channel, bytes_that_are_not_one_are_refused)
{
	struct cadre_channel good, bad;
	struct cadre_client *client;
	struct cadre_diag diag = { "" };

	START(ONE_WORKER);
	good = channel_to(0);
	cr_assert_eq(cadre_channel_check(&good, NULL), 0);
	for (size_t at = 0; at < offsetof(struct cadre_channel, created_ns); at++) {
		unsigned char bytes[sizeof(good)];

		memcpy(bytes, &good, sizeof(bytes));
		bytes[at] = (unsigned char)(bytes[at] + 0x55);
		memcpy(&bad, bytes, sizeof(bad));
		/* Another incarnation is a channel, to nobody; so is another place. */
		cr_assert_lt(try_submit(ASK(TROUPE_ECHO, 1, .to = &bad)), 0, "byte %zu",
			     at);
	}
	bad = good;
	memset(bad.pool, 'x', sizeof(bad.pool));
	cr_assert_eq(cadre_channel_check(&bad, &diag), -EINVAL);
	cr_assert_not_null(strstr(diag.text, "not a channel"), "%s", diag.text);
	cr_assert_eq(cadre_channel_open(&bad, &client, &diag), -EINVAL);
	cr_assert_eq(try_submit(ASK(TROUPE_ECHO, 1, .to = &bad)), -EINVAL);
	memset(&bad, 0, sizeof(bad));
	cr_assert_eq(cadre_channel_check(&bad, NULL), -EINVAL);
	memset(&bad, 255, sizeof(bad));
	cr_assert_eq(cadre_channel_open(&bad, &client, &diag), -EINVAL);
	bad = good;
	bad.created_ns++;
	cr_assert_eq(try_submit(ASK(TROUPE_ECHO, 1, .to = &bad)), -EINVAL,
		     "it is of another pool");
}

Test(channel, it_travels_in_a_message_and_comes_back_whole)
{
	struct cadre_channel channel, returned;
	struct cadre_request request;
	struct cadre_result result;

	START(.workers_min = 2, .workers_max = 2);
	channel = channel_to(1);
	request = (struct cadre_request){ .operation = TROUPE_ECHO,
					  .data = &channel,
					  .length = sizeof(channel) };
	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	cr_assert_eq(result.length, sizeof(returned));
	memcpy(&returned, result.data, sizeof(returned));
	cr_assert_eq(ask_who_at(&returned).worker, 1);
	/* As it lies in the segment, it is used as well. */
	cr_assert_eq(ask_who_at(result.data).worker, 1);
	release(&result);
}

Test(channel, one_of_a_pool_that_has_ended_leads_nowhere_whoever_has_the_name)
{
	struct cadre_channel old, found;
	struct cadre_client *client;
	struct cadre_diag diag = { "" };

	START(ONE_WORKER);
	cadre_channel_of_pool(troupe.client, &old);
	cr_assert_eq(cadre_channel_of_name(troupe.scene.pool, &found, &diag), 0, "%s",
		     diag.text);
	cr_assert_eq(memcmp(&old, &found, sizeof(old)), 0);
	cr_assert(troupe_close(&troupe));
	cr_assert_eq(cadre_channel_open(&old, &client, &diag), -EHOSTDOWN, "%s",
		     diag.text);
	START(ONE_WORKER);
	cr_assert_eq(cadre_channel_open(&old, &client, &diag), -EHOSTDOWN, "%s",
		     diag.text);
	cr_assert_not_null(strstr(diag.text, "another one has its name"), "%s", diag.text);
	cr_assert_eq(try_submit(ASK(TROUPE_ECHO, 1, .to = &old)), -EINVAL);
	cr_assert_eq(cadre_channel_of_name("no-such-pool", &found, &diag), -ENOENT);
}

/* ---- the clients that come with them ---- */

Test(channel, a_process_has_one_client_of_a_pool_however_many_open_it)
{
	struct cadre_channel pool, worker;
	struct cadre_client *first, *second, *third;

	START(ONE_WORKER);
	cadre_channel_of_pool(troupe.client, &pool);
	worker = channel_to(0);
	cr_assert_eq(clients_attached(), 2, "the program, and this test");
	cr_assert_eq(cadre_channel_open(&pool, &first, NULL), 0);
	cr_assert_eq(cadre_channel_open(&worker, &second, NULL), 0);
	cr_assert_eq(cadre_channel_open(&pool, &third, NULL), 0);
	cr_assert(first == second && second == third);
	cr_assert_neq(first, troupe.client);
	cr_assert_eq(clients_attached(), 3);

	cadre_channel_close(first);
	cadre_channel_close(second);
	call_ok(ASK(TROUPE_ECHO, 1));
	{
		const struct cadre_request request = ASK(TROUPE_ECHO, 1, .to = &worker);
		struct cadre_result result;

		cr_assert_eq(cadre_call(third, &request, &result), 0);
		cr_assert_eq(result.outcome, CADRE_OK);
		cadre_release(third, &result);
	}
	cadre_channel_close(third);
	cr_assert(eventually(clients_attached() == 2), "the last copy detaches");
	call_ok(ASK(TROUPE_ECHO, 1, .to = &worker));
	cadre_channel_close(NULL);
}

struct crowd {
	struct cadre_channel channel;
	pthread_barrier_t barrier;
	_Atomic unsigned wrong;
	_Atomic(struct cadre_client *) client;
};

static void *open_call_and_close(void *context)
{
	struct crowd *const crowd = context;

	pthread_barrier_wait(&crowd->barrier);
	for (uint32_t i = 0; i < 50; i++) {
		const struct cadre_request request = ASK(TROUPE_ECHO, i);
		struct cadre_client *client;
		struct cadre_result result;

		if (cadre_channel_open(&crowd->channel, &client, NULL) < 0) {
			atomic_fetch_add(&crowd->wrong, 1);
			continue;
		}
		if (cadre_call(client, &request, &result) < 0 ||
		    result.outcome != CADRE_OK || memcmp(result.data, &i, sizeof(i)) != 0)
			atomic_fetch_add(&crowd->wrong, 1);
		else
			cadre_release(client, &result);
		cadre_channel_close(client);
	}
	return NULL;
}

Test(channel, threads_may_open_and_close_it_all_at_once)
{
	enum { THREADS = 8 };
	static struct crowd crowd;
	pthread_t threads[THREADS];

	START(.workers_min = 2, .workers_max = 2);
	cadre_channel_of_pool(troupe.client, &crowd.channel);
	pthread_barrier_init(&crowd.barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, open_call_and_close, &crowd);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&crowd.barrier);
	cr_assert_eq(crowd.wrong, 0);
	cr_assert(eventually(clients_attached() == 2));
}

struct inheritance {
	struct cadre_channel channel;
	struct cadre_client *parents;
};

static int use_inherited(void *context)
{
	const struct inheritance *const inheritance = context;
	const struct cadre_request request = ASK(TROUPE_ECHO, 1);
	struct cadre_result result;
	struct cadre_client *own;

	CHILD_CHECK(cadre_call(inheritance->parents, &request, &result) == -ECHILD);
	CHILD_CHECK(cadre_channel_open(&inheritance->channel, &own, NULL) == 0);
	CHILD_CHECK(own != inheritance->parents);
	CHILD_CHECK(cadre_call(own, &request, &result) == 0);
	CHILD_CHECK(cadre_release(own, &result) == 0);
	cadre_channel_close(inheritance->parents);
	cadre_channel_close(own);
	return CHILD_FINE;
}

Test(channel, a_forked_child_opens_it_for_itself_and_takes_nothing_from_its_parent)
{
	const struct cadre_request request = ASK(TROUPE_ECHO, 1);
	struct inheritance inheritance;
	struct cadre_result result;

	START(ONE_WORKER);
	cadre_channel_of_pool(troupe.client, &inheritance.channel);
	cr_assert_eq(cadre_channel_open(&inheritance.channel, &inheritance.parents, NULL),
		     0);
	cr_assert_eq(child_run(use_inherited, &inheritance), CHILD_FINE);
	cr_assert_eq(cadre_call(inheritance.parents, &request, &result), 0);
	cr_assert_eq(result.outcome, CADRE_OK);
	cr_assert_eq(cadre_release(inheritance.parents, &result), 0);
	cadre_channel_close(inheritance.parents);
}
