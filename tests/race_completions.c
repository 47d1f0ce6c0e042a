/*
 * race_completions.c - results by callback, handed between the threads of a client, under
 * ThreadSanitizer: the wfcqueue in completion.c.
 *
 *   SUBMITTERS threads submit jobs with callbacks    DISPATCHERS threads dispatch
 *
 * No thread that submits dispatches, so each result was handed from one thread to another;
 * without the descriptor whoever dispatches also harvests, with it the notifier does. What a
 * submitter wrote for its callback is plain memory, and so is what the callback writes there:
 * an order that is missing on the way is a data race. Each callback is called once, with the
 * reply to its own request. Exit status 0, or 1 with a sentence.
 */
#include "clock.h"
#include "seating.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define WORKERS 2u
#define SLOTS 32u
#define SUBMITTERS 3u
#define DISPATCHERS 3u
#define JOBS 2000u /* of each submitter */

/* What one callback needs; nothing in it is atomic. */
struct errand {
	uint64_t question;
	unsigned called;
};

static struct seating seating;
static struct errand errands[SUBMITTERS][JOBS];
static atomic_uint called;
static atomic_uint calls_of[DISPATCHERS];
static atomic_bool with_descriptor;
static _Thread_local unsigned dispatcher = DISPATCHERS; /* nobody's number */

static void expect(bool condition, const char *sentence)
{
	seating_expect(condition, sentence);
}

static void increase(struct cadre_job *job, void *state)
{
	uint64_t number;
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	memcpy(&number, data, sizeof(number));
	number++;
	cadre_job_reply(job, &number, sizeof(number));
}

/* Who comes first lets another have its turn. */
static void await_another(void)
{
	unsigned others = 0;

	while (others == 0) {
		sched_yield();
		for (unsigned i = 0; i < DISPATCHERS; i++)
			others += i != dispatcher && atomic_load(&calls_of[i]) > 0;
	}
}

static void end(const struct cadre_result *result, void *context)
{
	struct errand *const errand = context;
	uint64_t answer = 0;

	expect(dispatcher < DISPATCHERS, "a callback was called by who does not dispatch");
	expect(result->outcome == CADRE_OK && result->length == sizeof(answer),
	       "a job failed");
	memcpy(&answer, result->data, sizeof(answer));
	expect(answer == errand->question + 1, "a callback got another job's reply");
	errand->called++;
	if (atomic_fetch_add(&calls_of[dispatcher], 1) == 0)
		await_another();
	atomic_fetch_add(&called, 1);
}

static void *run_submitter(void *context)
{
	struct errand *const mine = context;

	for (unsigned job = 0; job < JOBS; job++) {
		const struct cadre_request request = {
			.operation = 1,
			.data = &mine[job].question,
			.length = sizeof(mine[job].question),
			.ended = end,
			.context = &mine[job],
		};
		int r;

		mine[job].question = (uint64_t)(mine - errands[0]) * JOBS + job;
		while ((r = cadre_try_submit(seating.client, &request, NULL)) == -EAGAIN)
			sched_yield();
		expect(r == 0, "a job was refused");
	}
	return NULL;
}

static void dispatch(void)
{
	struct pollfd look = { .events = POLLIN };
	int r;

	if (!atomic_load(&with_descriptor)) {
		r = cadre_client_await_dispatch(seating.client, cadre_in_ms(100));
		expect(r >= 0 || r == -ETIMEDOUT, "dispatch failed");
		return;
	}
	look.fd = cadre_client_fd(seating.client);
	expect(look.fd >= 0, "there is no descriptor");
	poll(&look, 1, 100);
	/* Few at a time: the rest is the others'. */
	expect(cadre_client_dispatch(seating.client, 2) >= 0, "dispatch failed");
}

static void *run_dispatcher(void *number)
{
	dispatcher = *(const unsigned *)number;
	while (atomic_load(&called) < SUBMITTERS * JOBS)
		dispatch();
	return NULL;
}

static const struct cadre_operation operations[] = { { 1, "increase", increase } };

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "increase",
	.operations = operations,
	.operation_count = CADRE_COUNT_OF(operations),
};

static void run_threads(void)
{
	static const unsigned numbers[DISPATCHERS] = { 0, 1, 2 };
	pthread_t submitters[SUBMITTERS], dispatchers[DISPATCHERS];

	for (unsigned i = 0; i < WORKERS; i++)
		seating_serve(&seating, &service);
	for (unsigned i = 0; i < DISPATCHERS; i++)
		dispatchers[i] = seating_start(run_dispatcher,
					       (void *)(uintptr_t)&numbers[i]);
	for (unsigned i = 0; i < SUBMITTERS; i++)
		submitters[i] = seating_start(run_submitter, errands[i]);
	for (unsigned i = 0; i < SUBMITTERS; i++)
		pthread_join(submitters[i], NULL);
	for (unsigned i = 0; i < DISPATCHERS; i++)
		pthread_join(dispatchers[i], NULL);
	seating_dismiss(&seating);
}

static void expect_each_called_once(void)
{
	unsigned handing = 0;

	for (unsigned i = 0; i < SUBMITTERS; i++)
		for (unsigned job = 0; job < JOBS; job++)
			expect(errands[i][job].called == 1,
			       "a callback was not called, or twice");
	for (unsigned i = 0; i < DISPATCHERS; i++)
		handing += atomic_load(&calls_of[i]) > 0;
	/* A corner that was not reached proves nothing. */
	expect(handing > 1, "one thread called all callbacks");
}

static void play(bool has_descriptor)
{
	memset(errands, 0, sizeof(errands));
	memset(calls_of, 0, sizeof(calls_of));
	atomic_store(&called, 0);
	atomic_store(&with_descriptor, has_descriptor);
	seating_open(&seating, WORKERS, 2, SLOTS);
	run_threads();
	expect_each_called_once();
	printf("%s descriptor: %u, %u and %u callbacks\n",
	       has_descriptor ? "with a" : "without", atomic_load(&calls_of[0]),
	       atomic_load(&calls_of[1]), atomic_load(&calls_of[2]));
	seating_close(&seating);
}

int main(void)
{
	play(false);
	play(true);
	return 0;
}
