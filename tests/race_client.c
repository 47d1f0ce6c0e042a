/*
 * race_client.c - clients and workers of one pool under ThreadSanitizer.
 *
 * Both run as threads over one mapping (seating.h), so that an order which is missing
 * between client and worker, among threads of a client or among those of a worker is a
 * data race here.
 *
 *   worker 0  runs its handlers on threads         client threads: two that call, one
 *   worker 1  defers jobs, which an ender ends     that submits batches with callbacks,
 *                                                  two that dispatch, one that cancels
 *
 * All of it twice: the dispatchers poll the descriptor, then they wait without one.
 *
 * The sanitizer judges the orders, this file the rest: each reply is that of its own
 * request, and each job ends once. Exit status 0, or 1 with a sentence.
 */
#include "clock.h"
#include "seating.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 2u
#define SLOTS 64u
#define PARALLEL 2u
#define CALLERS 2u
#define CALLS 3000u /* of each caller */
#define BATCHES 1000u
#define BATCH 4u
#define CANCEL_EVERY 7u /* jobs whose ticket the canceller gets */
#define LONG_EVERY 5u   /* jobs that travel in a block */
#define LENGTH_MAX 2000u

static struct seating seating;
static struct cadre_client *client;

static atomic_uint ok, cancelled, called;
static _Atomic uint64_t offered; /* a ticket for the canceller; 0: none */
static atomic_bool over;

static void expect(bool condition, const char *sentence)
{
	seating_expect(condition, sentence);
}

/* ---- the service: replies with the request, each byte increased by one ---- */

enum { AT_ONCE = 1, IN_PLACE = 2, LATER = 3 };

static void reply(struct cadre_job *job)
{
	uint8_t bytes[LENGTH_MAX];
	size_t length;
	const uint8_t *const data = cadre_job_data(job, &length);

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(data[i] + 1);
	if (cadre_job_reply(job, bytes, length) < 0)
		cadre_job_fail(job, 1, "no reply");
}

static void do_at_once(struct cadre_job *job, void *state)
{
	(void)state;
	reply(job);
}

static void do_in_place(struct cadre_job *job, void *state)
{
	size_t length;
	const uint8_t *const data = cadre_job_data(job, &length);
	void *room = NULL;
	/* In a room that grows, or in the request's own memory. */
	int r = length % 2 ? cadre_job_reply_over_request(job, length, &room) :
			     cadre_job_reply_room(job, length / 2, &room);

	(void)state;
	if (r == 0)
		r = cadre_job_reply_room(job, length, &room);
	for (size_t i = 0; r == 0 && i < length; i++)
		((uint8_t *)room)[i] = (uint8_t)(data[i] + 1);
	if (r < 0 || cadre_job_reply_commit(job, length) < 0)
		cadre_job_fail(job, 1, "no reply");
}

static struct cadre_job *deferred[PARALLEL * WORKERS];
static unsigned deferred_count;
static pthread_mutex_t deferred_lock = PTHREAD_MUTEX_INITIALIZER;

static void do_later(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_defer(job);
	pthread_mutex_lock(&deferred_lock);
	deferred[deferred_count++] = job;
	pthread_mutex_unlock(&deferred_lock);
}

static void *run_ender(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		struct cadre_job *job = NULL;

		pthread_mutex_lock(&deferred_lock);
		if (deferred_count > 0)
			job = deferred[--deferred_count];
		pthread_mutex_unlock(&deferred_lock);
		if (job)
			reply(job);
		else
			sched_yield();
	}
	return NULL;
}

static const struct cadre_operation operations[] = {
	{ AT_ONCE, "at-once", do_at_once },
	{ IN_PLACE, "in-place", do_in_place },
	{ LATER, "later", do_later },
};

static const struct cadre_service services[WORKERS] = {
	{ .size = sizeof(services[0]),
	  .name = "threads",
	  .operations = operations,
	  .operation_count = CADRE_COUNT_OF(operations),
	  .flags = CADRE_SERVICE_THREADS },
	{ .size = sizeof(services[0]),
	  .name = "loop",
	  .operations = operations,
	  .operation_count = CADRE_COUNT_OF(operations) },
};

/* ---- the client's threads ---- */

static uint32_t length_of(uint32_t job)
{
	return job % LONG_EVERY == 0 ? 200 + job % (LENGTH_MAX - 200) : 8 + job % 64;
}

static struct cadre_request request_of(uint32_t job, uint8_t bytes[LENGTH_MAX])
{
	memset(bytes, (int)(job & 255), length_of(job));
	memcpy(bytes, &job, sizeof(job));
	return (struct cadre_request){
		.operation = (int32_t)(AT_ONCE + job % 3),
		.data = bytes,
		.length = length_of(job),
	};
}

static void check(const struct cadre_result *result, uint32_t job)
{
	uint8_t bytes[LENGTH_MAX];

	if (result->outcome == CADRE_CANCELLED) {
		atomic_fetch_add(&cancelled, 1);
		return;
	}
	expect(result->outcome == CADRE_OK, result->sentence);
	expect(result->length == length_of(job), "a reply has another length");
	request_of(job, bytes);
	for (size_t i = 0; i < result->length; i++)
		expect(((const uint8_t *)result->data)[i] == (uint8_t)(bytes[i] + 1),
		       "a reply is that of another request");
	atomic_fetch_add(&ok, 1);
}

static void offer(struct cadre_ticket ticket, uint32_t job)
{
	if (job % CANCEL_EVERY == 0)
		atomic_store_explicit(&offered, ticket.id, memory_order_relaxed);
}

/* Two jobs out at a time. */
static void *run_caller(void *number)
{
	const uint32_t first = *(const unsigned *)number * CALLS;
	uint8_t bytes[LENGTH_MAX];

	for (uint32_t job = first; job < first + CALLS; job += 2) {
		struct cadre_ticket tickets[2];
		struct cadre_result result;

		for (uint32_t i = 0; i < 2; i++) {
			const struct cadre_request request = request_of(job + i, bytes);

			expect(cadre_submit(client, &request, CADRE_FOREVER,
					    &tickets[i]) == 0,
			       "a job was not accepted");
			offer(tickets[i], job + i);
		}
		for (uint32_t left = 2; left > 0; left--) {
			const int taken = cadre_await_any(client, tickets, 2,
							  CADRE_FOREVER, &result);

			expect(taken >= 0, "a job was not taken");
			tickets[taken].id = 0;
			check(&result, job + (uint32_t)taken);
			expect(cadre_release(client, &result) == 0,
			       "a result was not released");
		}
	}
	return NULL;
}

static uint32_t callback_jobs[BATCHES * BATCH];

static void end(const struct cadre_result *result, void *context)
{
	check(result, *(const uint32_t *)context);
	atomic_fetch_add(&called, 1);
}

static void *run_submitter(void *unused)
{
	static uint8_t bytes[BATCH][LENGTH_MAX];
	struct cadre_request requests[BATCH];
	struct cadre_ticket tickets[BATCH];

	(void)unused;
	for (uint32_t batch = 0; batch < BATCHES; batch++) {
		size_t accepted = 0;

		for (uint32_t i = 0; i < BATCH; i++) {
			uint32_t *const job = &callback_jobs[batch * BATCH + i];

			*job = batch * BATCH + i;
			requests[i] = request_of(*job, bytes[i]);
			requests[i].ended = end;
			requests[i].context = job;
		}
		while (accepted < BATCH) {
			const int r = cadre_try_submit_batch(client, requests + accepted,
							     BATCH - accepted,
							     tickets + accepted);

			expect(r > 0 || r == -EAGAIN || r == -ENOBUFS,
			       "a batch was refused");
			accepted += r > 0 ? (size_t)r : 0;
			if (r < 0)
				sched_yield();
		}
		offer(tickets[0], batch);
	}
	return NULL;
}

static bool has_descriptor;

static void *run_dispatcher(void *unused)
{
	(void)unused;
	while (atomic_load(&called) < BATCHES * BATCH)
		seating_dispatch(&seating, has_descriptor, 3);
	return NULL;
}

static void *run_canceller(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		const struct cadre_ticket ticket = {
			.id = atomic_exchange_explicit(&offered, 0, memory_order_relaxed)
		};

		if (ticket.id) {
			const int r = cadre_cancel(client, ticket);

			expect(r == 0 || r == -ESTALE, "a job cannot be cancelled");
		}
		sched_yield();
	}
	return NULL;
}

static void run_threads(void)
{
	static unsigned numbers[] = { 0, 1 };
	pthread_t callers[CALLERS], submitter, dispatchers[2];
	pthread_t ender, canceller;

	for (unsigned i = 0; i < WORKERS; i++)
		seating_serve(&seating, &services[i]);
	for (unsigned i = 0; i < CALLERS; i++)
		callers[i] = seating_start(run_caller, &numbers[i]);
	for (unsigned i = 0; i < 2; i++)
		dispatchers[i] = seating_start(run_dispatcher, NULL);
	submitter = seating_start(run_submitter, NULL);
	ender = seating_start(run_ender, NULL);
	canceller = seating_start(run_canceller, NULL);

	for (unsigned i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(dispatchers[i], NULL);
	pthread_join(submitter, NULL);
	seating_dismiss(&seating);
	atomic_store(&over, true);
	pthread_join(ender, NULL);
	pthread_join(canceller, NULL);
}

static void play(bool with_descriptor)
{
	has_descriptor = with_descriptor;
	ok = cancelled = called = 0;
	over = false;
	seating_open(&seating, WORKERS, PARALLEL, SLOTS);
	client = seating.client;
	run_threads();

	expect(ok + cancelled == CALLERS * CALLS + BATCHES * BATCH,
	       "a job did not end, or ended twice");
	/* A corner that was not reached proves nothing. */
	expect(ok > 0 && cancelled > 0, "no job ended well, or none was cancelled");
	printf("%u ok, %u cancelled\n", ok, cancelled);
	seating_close(&seating);
}

int main(void)
{
	play(true);
	play(false);
	return 0;
}
