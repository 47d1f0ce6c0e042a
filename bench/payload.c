/*
 * payload.c - what does it cost to take a payload there and back?
 */
#include "echo.h"
#include "peers/copies.h"
#include "peers/rivals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIPS_MAX 500u
#define OPERATION_IN_PLACE 2
#define OPERATION_TWO_BLOCKS 3
#define DEFAULT_PAYLOAD_MAX ((size_t)1024 * 1024)

static const size_t sizes[] = BENCH_SIZES;

static const struct column columns[] = {
	{ "64 B", "us", 2 },      { "1 KiB", "us", 2 },      { "64 KiB", "us", 1 },
	{ "1 MiB", "us", 1 },     { "16 MiB", "us", 1 },     { "64K rate", "GB/s", 2 },
	{ "1M rate", "GB/s", 2 }, { "16M rate", "GB/s", 2 },
};

#define FIRST_RATE 5
#define FIRST_RATED 2 /* of the sizes */

/* ---- Cadre ---- */

/* The request's own bytes, in which nothing is written. */
static void echo_in_place(struct cadre_job *job, void *state)
{
	size_t length;
	void *room;

	(void)state;
	cadre_job_data(job, &length);
	if (cadre_job_reply_over_request(job, length, &room) == 0)
		cadre_job_reply_commit(job, length);
}

/* Bytes of its own, in which nothing is written either. */
static void echo_two_blocks(struct cadre_job *job, void *state)
{
	size_t length;
	void *room;

	(void)state;
	cadre_job_data(job, &length);
	if (cadre_job_reply_room(job, length, &room) == 0)
		cadre_job_reply_commit(job, length);
}

static const struct cadre_operation operations[] = {
	{ ECHO_OPERATION, "copy", echo_back },
	{ OPERATION_IN_PLACE, "in-place", echo_in_place },
	{ OPERATION_TWO_BLOCKS, "two-blocks", echo_two_blocks },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "payload",
	.operations = operations,
	.operation_count = COUNT_OF(operations),
	.init = echo_bind_worker,
};

struct sender {
	struct cadre_client *client;
	unsigned char *own; /* the payload, outside of the segment */
	size_t length;
	uint32_t per_batch;
	int error; /* the first one; then nothing is sent any more */
};

static int check(const struct sender *sender, const struct cadre_result *result)
{
	if (result->outcome == CADRE_OK && result->length == sender->length)
		return 0;
	fprintf(stderr, "cadre-bench: a job of %zu bytes ended as %s: %s\n",
		sender->length, cadre_outcome_name(result->outcome), result->sentence);
	return -EBADMSG;
}

static int trip_copied(struct sender *sender)
{
	const struct cadre_request request = { .operation = ECHO_OPERATION,
					       .data = sender->own,
					       .length = sender->length };
	struct cadre_result result;
	int r = cadre_call(sender->client, &request, &result);

	if (r < 0)
		return r;
	r = check(sender, &result);
	if (r < 0)
		return r;
	memcpy(sender->own, result.data, sender->length);
	return cadre_release(sender->client, &result);
}

static int trip_drafted(struct sender *sender, int32_t operation)
{
	const struct cadre_request request = { .operation = operation,
					       .length = sender->length };
	struct cadre_draft draft;
	struct cadre_ticket ticket;
	struct cadre_result result;
	int r = cadre_try_draft(sender->client, sender->length, &draft);

	if (r == 0)
		r = cadre_draft_submit(sender->client, &draft, &request, &ticket);
	if (r == 0)
		r = cadre_await(sender->client, ticket, CADRE_FOREVER, &result);
	if (r == 0)
		r = check(sender, &result);
	return r < 0 ? r : cadre_release(sender->client, &result);
}

static int trip_in_place(struct sender *sender)
{
	return trip_drafted(sender, OPERATION_IN_PLACE);
}

static int trip_two_blocks(struct sender *sender)
{
	return trip_drafted(sender, OPERATION_TWO_BLOCKS);
}

static double batch(struct sender *sender, int (*trip)(struct sender *))
{
	const int64_t start_ns = bench_now_ns();

	for (uint32_t i = 0; i < sender->per_batch && sender->error == 0; i++)
		sender->error = trip(sender);
	return (double)(bench_now_ns() - start_ns) / sender->per_batch;
}

static double copied(void *context)
{
	return batch(context, trip_copied);
}

static double in_place(void *context)
{
	return batch(context, trip_in_place);
}

static double two_blocks(void *context)
{
	return batch(context, trip_two_blocks);
}

static double measure_size(const struct bench *bench, struct sender *sender,
			   double (*trips)(void *))
{
	double trip_ns;

	memset(sender->own, 'j', sender->length);
	sender->per_batch = 1;
	sender->per_batch = bench_fit_batch(trips(sender), TRIPS_MAX);
	trip_ns = bench_median_of_long(bench, trips, sender);
	if (sender->error)
		fprintf(stderr, "cadre-bench: a job of %zu bytes was not done: %s\n",
			sender->length, strerror(-sender->error));
	return trip_ns / 1000;
}

/* The pool is as by default, unless that has no room for such a payload. */
static int measure_cadre(const struct bench *bench, size_t length,
			 double (*trips)(void *), double *ret_us)
{
	const struct cadre_pool_options options = {
		.size = sizeof(options),
		.workers_min = 1,
		.workers_max = 1,
		.payload_max = length > DEFAULT_PAYLOAD_MAX ? length : 0,
		.spin_ns = 1000000000,
		.start_data = bench,
		.start_length = sizeof(*bench),
	};
	struct cadre_pool *const pool = echo_start_service(&service, &options);
	struct sender sender = { .length = length, .own = malloc(length) };
	int stop = 0;

	if (!sender.own)
		abort();
	if (pool) {
		bench_pin(bench, bench->client_cpu);
		sender.client = cadre_pool_client(pool);
		*ret_us = measure_size(bench, &sender, trips);
		stop = echo_stop(pool);
	}
	free(sender.own);
	if (!pool)
		return -ECANCELED;
	return sender.error ? sender.error : stop;
}

static int measure_sizes(const struct bench *bench, double (*trips)(void *),
			 double *ret_values)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < COUNT_OF(sizes); i++)
		r = measure_cadre(bench, sizes[i], trips, &ret_values[i]);
	return r;
}

static int cadre_copied(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return measure_sizes(bench, copied, ret_values);
}

static int cadre_in_place(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return measure_sizes(bench, in_place, ret_values);
}

static int cadre_two_blocks(const struct bench *bench, const void *with,
			    double *ret_values)
{
	(void)with;
	return measure_sizes(bench, two_blocks, ret_values);
}

/* ---- all ---- */

/* Whose payload is carried, so that bytes per second mean something. */
struct carrier {
	measure_fn *measure;
	const void *with;
};

static int measure_carrier(const struct bench *bench, const void *with, double *ret_values)
{
	const struct carrier *const carrier = with;
	const int r = carrier->measure(bench, carrier->with, ret_values);

	/* There and back; a byte per us is a MB per second. */
	for (size_t i = FIRST_RATED; r == 0 && i < COUNT_OF(sizes); i++)
		ret_values[FIRST_RATE + i - FIRST_RATED] = 2 * (double)sizes[i] /
							   ret_values[i] / 1000;
	return r;
}

static const struct carrier carrier_cadre = { cadre_copied, NULL };
static const struct carrier carrier_copies = { copies_between, NULL };
static const struct carrier carrier_alone = { copies_alone, NULL };
static const struct carrier carrier_stream = { messages_payload, &rival_stream };
static const struct carrier carrier_seqpacket = { messages_payload, &rival_seqpacket };
static const struct carrier carrier_boost = { program_payload, &rival_boost };
static const struct carrier carrier_iceoryx = { program_payload, &rival_iceoryx };

/* Whoever is compared by a goal is measured next to the other. */
static const struct contender contenders[] = {
	{ "memcpy x3",
	  "three copies: by the client, by a process on the other CPU, by the client",
	  measure_carrier,
	  &carrier_copies,
	  { NULL },
	  false },
	{ "cadre",
	  "cadre_call; copied in, answered by cadre_job_reply, copied out",
	  measure_carrier,
	  &carrier_cadre,
	  { "memcpy x3", "unix seqpacket", "iceoryx" },
	  false },
	{ "unix seqpacket",
	  "a pair that keeps messages apart, asked again and again; longer ones in pieces of 1 MiB at most",
	  measure_carrier,
	  &carrier_seqpacket,
	  { NULL },
	  false },
	{ "cadre in place",
	  "cadre_try_draft, answered by cadre_job_reply_over_request; nobody writes the payload",
	  cadre_in_place,
	  NULL,
	  { "iceoryx in place" },
	  false },
	{ "memcpy x3 alone",
	  "three copies by one process; nothing travels between the CPUs",
	  measure_carrier,
	  &carrier_alone,
	  { NULL },
	  false },
	{ "unix stream",
	  "a pair of Unix stream sockets, asked again and again",
	  measure_carrier,
	  &carrier_stream,
	  { NULL },
	  false },
	{ "cadre two blocks",
	  "the same with a reply in memory of its own, by cadre_job_reply_room",
	  cadre_two_blocks,
	  NULL,
	  { "cadre in place" },
	  false },
	{ "iceoryx in place",
	  "loaned and published, answered by the same; nobody writes the payload",
	  program_payload,
	  &rival_iceoryx_in_place,
	  { NULL },
	  false },
	{ "iceoryx",
	  "loaned and copied in, answered from chunk to chunk, copied out",
	  measure_carrier,
	  &carrier_iceoryx,
	  { NULL },
	  false },
	{ "boost",
	  "boost::interprocess::message_queue, asked again and again",
	  measure_carrier,
	  &carrier_boost,
	  { NULL },
	  false },
};

const struct question question_payload = {
	.name = "payload",
	.sentence = "How long does a payload take there and back, while both sides spin?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.ratio_column = 2,
	.less_is_better = true,
	.turns = 3,
	.turning = 4, /* as far as "cadre in place" */
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
