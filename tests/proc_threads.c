/*
 * proc_threads.c - claims about threads that share one client, and about clients that
 * share one pool.
 *
 * Threads do not assert: they count what was wrong, and the test asserts that nothing was.
 */
#include "claims.h"

#include <pthread.h>
#include <stdlib.h>

TestSuite(threads, TROUPE);

#define THREADS 8

static _Atomic unsigned wrong;

static void check(bool condition)
{
	if (!condition)
		atomic_fetch_add(&wrong, 1);
}

/* Runs the same in each of the threads; they are told their number. */
static void run_in_threads(unsigned count, void *(*body)(void *number))
{
	static unsigned numbers[THREADS];
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < count; i++) {
		numbers[i] = i;
		cr_assert_eq(pthread_create(&threads[i], NULL, body, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(wrong, 0);
}

/* Checks that the reply is this number, and releases it. */
static void check_reply(const struct cadre_result *result, uint32_t number)
{
	check(result->outcome == CADRE_OK && result->length == sizeof(number) &&
	      memcmp(result->data, &number, sizeof(number)) == 0);
	check(cadre_release(troupe.client, result) == 0);
}

/* ---- one client, many threads ---- */

#define JOBS_PER_THREAD 5000

static void *call_and_check(void *context)
{
	const unsigned thread = *(const unsigned *)context;

	for (uint32_t i = 0; i < JOBS_PER_THREAD; i++) {
		const uint32_t number = thread * JOBS_PER_THREAD + i;
		const struct cadre_request request = ASK(TROUPE_ECHO, number);
		struct cadre_result result;

		if (cadre_call(troupe.client, &request, &result) == 0)
			check_reply(&result, number);
		else
			check(false);
	}
	return NULL;
}

Test(threads, each_of_eight_threads_gets_its_own_answers)
{
	START(.workers_min = 2, .workers_max = 2);
	run_in_threads(THREADS, call_and_check);
}

Test(threads, threads_wait_for_room_in_a_window_that_is_smaller_than_they_are_many)
{
	START(.workers_min = 2, .workers_max = 2, .window_slots = 2);
	run_in_threads(4, call_and_check);
}

/* Keeps several jobs out and takes whichever ends first. */
static void *juggle(void *context)
{
	enum { IN_THE_AIR = 16 };
	const unsigned thread = *(const unsigned *)context;
	struct cadre_ticket tickets[IN_THE_AIR] = { { 0 } };
	uint32_t numbers[IN_THE_AIR];
	struct cadre_result result;

	for (uint32_t i = 0; i < JOBS_PER_THREAD + IN_THE_AIR; i++) {
		uint32_t hand = i;

		if (i >= IN_THE_AIR) {
			const int taken = cadre_await_any(troupe.client, tickets,
							  IN_THE_AIR, GENEROUS, &result);

			check(taken >= 0);
			if (taken < 0)
				return NULL;
			hand = (uint32_t)taken;
			check_reply(&result, numbers[hand]);
			tickets[hand] = (struct cadre_ticket){ 0 };
		}
		if (i < JOBS_PER_THREAD) {
			numbers[hand] = thread << 24 | i;
			check(cadre_submit(troupe.client, &ASK(TROUPE_ECHO, numbers[hand]),
					   GENEROUS, &tickets[hand]) == 0);
		}
	}
	return NULL;
}

Test(threads, threads_with_many_jobs_out_do_not_take_each_others)
{
	START(.workers_min = 2, .workers_max = 2);
	run_in_threads(4, juggle);
}

static struct cadre_ticket shared_ticket;
static _Atomic unsigned takers;

static void *take_shared(void *context)
{
	struct cadre_result result;
	const int r = cadre_await(troupe.client, shared_ticket, GENEROUS, &result);

	(void)context;
	if (r == 0) {
		atomic_fetch_add(&takers, 1);
		check_reply(&result, 1);
	} else {
		check(r == -EBUSY || r == -ESTALE);
	}
	return NULL;
}

static uint64_t times_client_slept(void)
{
	const struct cadre_client_snapshot look = troupe_look_client(troupe.scene.pool, 1);

	return troupe_counter(CADRE_SCOPE_CLIENT, look.counters, "sleeps");
}

static void *open_gate_when_they_sleep(void *context)
{
	(void)context;
	check(eventually(times_client_slept() >= 4));
	open_gate(1);
	return NULL;
}

Test(threads, one_of_those_who_await_the_same_job_takes_it)
{
	pthread_t opener;

	START(ONE_WORKER);
	shared_ticket = submit(ASK(TROUPE_HOLD, 1));
	cr_assert_eq(pthread_create(&opener, NULL, open_gate_when_they_sleep, NULL), 0);
	run_in_threads(4, take_shared);
	pthread_join(opener, NULL);
	cr_assert_eq(takers, 1);
}

static void *cancel_shared(void *context)
{
	(void)context;
	check(cadre_cancel(troupe.client, shared_ticket) == 0);
	return NULL;
}

Test(threads, a_job_that_one_thread_awaits_can_be_cancelled_by_another)
{
	pthread_t canceller;

	START(ONE_WORKER);
	shared_ticket = occupy_worker();
	cr_assert_eq(pthread_create(&canceller, NULL, cancel_shared, NULL), 0);
	expect(shared_ticket, CADRE_CANCELLED);
	pthread_join(canceller, NULL);
	cr_assert_eq(wrong, 0);
	open_gate(1);
}

/* ---- callbacks ---- */

#define CALLBACKS 12000

static _Atomic unsigned called[CALLBACKS];
static _Atomic unsigned calls;

static void count_call(const struct cadre_result *result, void *context)
{
	uint32_t number = CALLBACKS;

	if (result->length == sizeof(number))
		memcpy(&number, result->data, sizeof(number));
	check(result->outcome == CADRE_OK && number < CALLBACKS &&
	      context == &called[number]);
	atomic_fetch_add((_Atomic unsigned *)context, 1);
	atomic_fetch_add(&calls, 1);
}

/* Two of the threads submit, two dispatch. */
static void *submit_or_dispatch(void *context)
{
	const unsigned thread = *(const unsigned *)context;

	for (uint32_t i = thread / 2; thread % 2 == 0 && i < CALLBACKS; i += 2) {
		const struct cadre_request request = ASK(TROUPE_ECHO, i,
							 .ended = count_call,
							 .context = &called[i]);

		check(cadre_submit(troupe.client, &request, GENEROUS, NULL) == 0);
	}
	while (thread % 2 == 1 && calls < CALLBACKS && wrong == 0)
		check(cadre_client_await_dispatch(troupe.client, GENEROUS) >= 0);
	return NULL;
}

static void every_callback_comes_once(void)
{
	run_in_threads(4, submit_or_dispatch);
	for (unsigned i = 0; i < CALLBACKS; i++)
		cr_assert_eq(called[i], 1, "job %u was called back %u times", i,
			     called[i]);
}

Test(threads, each_callback_comes_once_whoever_dispatches)
{
	START(.workers_min = 2, .workers_max = 2);
	every_callback_comes_once();
}

Test(threads, each_callback_comes_once_with_the_descriptor_as_well)
{
	START(.workers_min = 2, .workers_max = 2);
	cr_assert_geq(cadre_client_fd(troupe.client), 0);
	every_callback_comes_once();
}

/* ---- several clients ---- */

/* The place of a number in the log. */
static uint32_t line_of(uint32_t number)
{
	uint32_t line = 0;

	while (line < TROUPE_LOG_MAX && troupe.board->log[line] != number)
		line++;
	return line;
}

Test(threads, a_client_with_few_jobs_is_not_kept_waiting_by_one_with_many)
{
	enum { MANY = 250, FEW = 10, FIRST_OF_FEW = 1000 };
	struct cadre_client *modest;
	struct cadre_ticket first, ticket;
	struct cadre_result result;

	START(ONE_WORKER);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &modest, NULL), 0);
	first = occupy_worker();
	for (uint32_t i = 1; i <= MANY; i++)
		submit(ASK(TROUPE_LOG, i));
	for (uint32_t i = 0; i < FEW; i++)
		cr_assert_eq(cadre_try_submit(modest, &ASK(TROUPE_LOG, FIRST_OF_FEW + i),
					      &ticket),
			     0);
	open_gate(1);
	cr_assert_eq(cadre_await(modest, ticket, GENEROUS, &result), 0);
	cadre_release(modest, &result);
	expect(first, CADRE_OK);
	cr_assert(eventually(troupe.board->logged == MANY + FEW));

	/* In turn: after a good many of one client comes the other, never after all. */
	cr_assert_lt(line_of(FIRST_OF_FEW + FEW - 1), MANY / 2);
	for (uint32_t i = 1; i < MANY; i++)
		cr_assert_lt(line_of(i), line_of(i + 1), "first in, first out");
	cadre_client_detach(modest);
}

/* Each thread is a client of its own. */
static void *call_as_client(void *context)
{
	struct cadre_client *client;
	struct cadre_result result;

	if (cadre_client_attach(troupe.scene.pool, NULL, &client, NULL) < 0) {
		check(false);
		return NULL;
	}
	for (uint32_t i = 0; i < 500; i++) {
		const uint32_t number = *(const unsigned *)context << 16 | i;

		check(cadre_call(client, &ASK(TROUPE_ECHO, number), &result) == 0);
		check(result.length == sizeof(number) &&
		      memcmp(result.data, &number, sizeof(number)) == 0);
		check(cadre_release(client, &result) == 0);
	}
	cadre_client_detach(client);
	return NULL;
}

Test(threads, many_clients_come_and_go_at_the_same_time)
{
	START(.workers_min = 2, .workers_max = 2);
	for (int round = 0; round < 3; round++)
		run_in_threads(THREADS, call_as_client);
}
