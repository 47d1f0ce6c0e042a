/*
 * race_stream.c - streams under ThreadSanitizer: producers and consumers are threads over one
 * mapping (seating.h), so that an order which is missing at a ring is a data race here.
 *
 *   worker 0  its handlers' threads emit and wait     client threads: two that read item by
 *   worker 1  emits in turns, by callbacks            item, one that submits with callbacks,
 *                                                     two that dispatch, one that pauses,
 *                                                     resumes and leaves what others read
 *
 * All of it twice: the dispatchers poll the descriptor, then they wait without one. The
 * sanitizer judges the orders, this file the rest: each item is the next of its own stream.
 * Exit status 0, or 1 with a sentence.
 */
#include "clock.h"
#include "seating.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 2u
#define PARALLEL 3u
#define SLOTS 16u
#define READERS 2u
#define STREAMS 60u /* of each reader */
#define HEARD_STREAMS 60u
#define ITEMS 300u /* of each stream */
#define LENGTH_MAX 100u
#define LEAVE_EVERY 5u

static struct seating seating;
static struct cadre_client *client;
static atomic_uint read_whole, left_early, heard_whole, heard_cut;
static _Atomic uint64_t offered; /* a ticket for the meddler; 0: none */
static atomic_bool over;

static void expect(bool condition, const char *sentence)
{
	seating_expect(condition, sentence);
}

/* ---- the service: items 0 .. ITEMS - 1, of lengths that their number tells ---- */

enum { EMIT = 1 };

static size_t length_of(uint32_t number)
{
	return 4 + number * 13 % (LENGTH_MAX - 4);
}

static void fill(unsigned char *bytes, uint32_t number)
{
	memset(bytes, (int)(number & 255), length_of(number));
	memcpy(bytes, &number, sizeof(number));
}

static bool holds(const struct cadre_item *item, uint32_t number)
{
	unsigned char bytes[LENGTH_MAX];

	fill(bytes, number);
	return item->length == length_of(number) &&
	       memcmp(item->data, bytes, item->length) == 0;
}

static void end(struct cadre_job *job, int r)
{
	if (r == 0)
		cadre_job_reply(job, "whole", 5);
	else
		cadre_job_fail(job, -r, "%s", strerror(-r));
}

static void emit_and_wait(struct cadre_job *job, void *state)
{
	unsigned char bytes[LENGTH_MAX];
	int r = 0;

	(void)state;
	for (uint32_t number = 0; r == 0 && number < ITEMS; number++) {
		void *room;

		if (number % 2) {
			fill(bytes, number);
			r = cadre_job_emit(job, bytes, length_of(number));
			continue;
		}
		r = cadre_job_emit_room(job, LENGTH_MAX, &room);
		if (r == 0) {
			fill(room, number);
			r = cadre_job_emit_commit(job, length_of(number));
		}
	}
	end(job, r);
}

static void go_on(struct cadre_job *job, void *context)
{
	uint32_t *const number = context;
	unsigned char bytes[LENGTH_MAX];
	int r = 0;

	while (r == 0 && *number < ITEMS) {
		fill(bytes, *number);
		r = cadre_job_try_emit(job, bytes, length_of(*number));
		*number += r == 0;
	}
	if (r == -EAGAIN) {
		expect(cadre_job_on_room(job, go_on, number) == 0, "no room is wanted");
		return;
	}
	free(number);
	end(job, r);
}

static void emit_in_turns(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_defer(job);
	go_on(job, calloc(1, sizeof(uint32_t)));
}

static const struct cadre_operation waiting[] = { { EMIT, "emit", emit_and_wait } };
static const struct cadre_operation turning[] = { { EMIT, "emit", emit_in_turns } };

static const struct cadre_service services[WORKERS] = {
	{ .size = sizeof(services[0]),
	  .name = "threads",
	  .operations = waiting,
	  .operation_count = 1,
	  .flags = CADRE_SERVICE_THREADS },
	{ .size = sizeof(services[0]),
	  .name = "loop",
	  .operations = turning,
	  .operation_count = 1 },
};

/* ---- readers ---- */

static struct cadre_request request_of(uint32_t stream)
{
	return (struct cadre_request){
		.operation = EMIT,
		.flags = CADRE_STREAM,
		.stream_room = stream % 3 ? 256 + stream * 8 : 1600,
	};
}

static bool read_to_end(struct cadre_ticket ticket, uint32_t until)
{
	struct cadre_result result;
	struct cadre_item item;
	uint32_t number = 0;
	int r = 0;

	while (number < until) {
		r = cadre_stream_next(client, ticket, CADRE_FOREVER, &item);
		/* The meddler paused it. */
		if (r == -EAGAIN) {
			sched_yield();
			continue;
		}
		if (r <= 0)
			break;
		expect(holds(&item, number), "an item is not the next of its stream");
		number++;
	}
	if (r == 1) {
		expect(cadre_stream_leave(client, ticket) == 0, "one cannot leave");
		return false;
	}
	expect(r == 0, "a stream ended in an error");
	expect(cadre_await(client, ticket, CADRE_FOREVER, &result) == 0,
	       "a stream has no outcome");
	expect(result.outcome == CADRE_OK && number == ITEMS, "a stream ended early");
	expect(cadre_release(client, &result) == 0, "a result was not released");
	return true;
}

static void *run_reader(void *unused)
{
	(void)unused;
	for (uint32_t stream = 0; stream < STREAMS; stream++) {
		const struct cadre_request request = request_of(stream);
		const bool leaves = stream % LEAVE_EVERY == 0;
		struct cadre_ticket ticket;

		expect(cadre_submit(client, &request, CADRE_FOREVER, &ticket) == 0,
		       "a stream was not accepted");
		atomic_store(&offered, ticket.id);
		if (read_to_end(ticket, leaves ? stream + 1 : UINT32_MAX))
			atomic_fetch_add(&read_whole, 1);
		else
			atomic_fetch_add(&left_early, 1);
	}
	return NULL;
}

/* Pauses and resumes the streams of others, as any thread may. */
static void *run_meddler(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		const struct cadre_ticket ticket = { .id = atomic_exchange(&offered, 0) };
		const int r = ticket.id ? cadre_stream_pause(client, ticket) : -ESTALE;

		expect(r == 0 || r == -ESTALE || r == -EBUSY, "a stream cannot be paused");
		sched_yield();
		if (r == 0)
			expect(cadre_stream_resume(client, ticket) != -EINVAL,
			       "it was not paused");
		sched_yield();
	}
	return NULL;
}

/* ---- callbacks ---- */

struct ear {
	uint32_t number;
	uint32_t leave_at;
};

static struct ear ears[HEARD_STREAMS];

static void hear_item(const struct cadre_item *item, void *context)
{
	struct ear *const ear = context;

	expect(ear->number < ear->leave_at, "an item after its stream was left");
	expect(holds(item, ear->number), "an item that is heard is not the next");
	if (++ear->number == ear->leave_at)
		expect(cadre_stream_leave(client, item->ticket) == 0, "one cannot leave");
}

static void hear_end(const struct cadre_result *result, void *context)
{
	const struct ear *const ear = context;

	if (ear->number == ITEMS && result->outcome == CADRE_OK)
		atomic_fetch_add(&heard_whole, 1);
	else if (ear->number == ear->leave_at)
		atomic_fetch_add(&heard_cut, 1);
	else
		expect(false, "a stream that is heard ended early");
}

static void *run_submitter(void *unused)
{
	(void)unused;
	for (uint32_t stream = 0; stream < HEARD_STREAMS; stream++) {
		struct cadre_request request = request_of(stream);
		struct cadre_ticket ticket;

		ears[stream] = (struct ear){ .leave_at = stream % LEAVE_EVERY == 0 ?
								 stream + 1 :
								 UINT32_MAX };
		request.item = hear_item;
		request.ended = hear_end;
		request.context = &ears[stream];
		expect(cadre_submit(client, &request, CADRE_FOREVER, &ticket) == 0,
		       "a stream with callbacks was not accepted");
		atomic_store(&offered, ticket.id);
	}
	return NULL;
}

static bool has_descriptor;

static void *run_dispatcher(void *unused)
{
	(void)unused;
	while (atomic_load(&heard_whole) + atomic_load(&heard_cut) < HEARD_STREAMS)
		seating_dispatch(&seating, has_descriptor, 30);
	return NULL;
}

static void run_threads(void)
{
	pthread_t threads[READERS + 3], meddler;
	unsigned count = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		seating_serve(&seating, &services[i]);
	for (unsigned i = 0; i < READERS; i++)
		threads[count++] = seating_start(run_reader, NULL);
	for (unsigned i = 0; i < 2; i++)
		threads[count++] = seating_start(run_dispatcher, NULL);
	threads[count++] = seating_start(run_submitter, NULL);
	meddler = seating_start(run_meddler, NULL);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&over, true);
	pthread_join(meddler, NULL);
	seating_dismiss(&seating);
}

static void play(bool with_descriptor)
{
	has_descriptor = with_descriptor;
	read_whole = left_early = heard_whole = heard_cut = 0;
	over = false;
	seating_open(&seating, WORKERS, PARALLEL, SLOTS);
	client = seating.client;
	run_threads();
	expect(read_whole + left_early == READERS * STREAMS, "a stream was forgotten");
	/* A corner that was not reached proves nothing. */
	expect(read_whole > 0 && left_early > 0 && heard_whole > 0 && heard_cut > 0,
	       "no stream was read to its end, or none was left");
	printf("%u read, %u left, %u heard, %u cut\n", read_whole, left_early,
	       heard_whole, heard_cut);
	seating_close(&seating);
}

int main(void)
{
	play(true);
	play(false);
	return 0;
}
