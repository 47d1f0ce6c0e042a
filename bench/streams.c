/*
 * streams.c - how many items per second from one process to another, one way?
 *
 * Each item is copied in by its producer and out by its consumer. All have room for as many
 * bytes, but the pipe, which has what the kernel allows.
 */
#include "echo.h"
#include "peers/one_way.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define STREAM_OPERATION 1

/* ---- the producer ---- */

/* Emits until nobody reads on. */
static void produce(struct cadre_job *job, void *state)
{
	static unsigned char item[ONE_WAY_ITEM_MAX];
	size_t length;
	uint32_t size;

	(void)state;
	memcpy(&size, cadre_job_data(job, &length), sizeof(size));
	memset(item, 0, sizeof(item));
	for (uint32_t number = 1; cadre_job_emit(job, item, size) == 0; number++)
		memcpy(item, &number, sizeof(number));
	cadre_job_reply(job, NULL, 0);
}

static const struct cadre_operation operations[] = { { STREAM_OPERATION, "items",
						       produce } };

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "items",
	.operations = operations,
	.operation_count = COUNT_OF(operations),
	.init = echo_bind_worker,
};

/* ---- the consumer ---- */

struct consumer {
	struct cadre_client *client;
	struct cadre_ticket ticket;
	uint32_t size;  /* of an item */
	uint32_t items; /* in a batch */
	uint32_t seen;  /* ever */
	int error;
};

static int consume(struct consumer *consumer)
{
	static unsigned char copy[ONE_WAY_ITEM_MAX];
	struct cadre_item item;
	uint32_t number;
	const int r = cadre_stream_next(consumer->client, consumer->ticket, CADRE_FOREVER,
					&item);

	if (r != 1 || item.length != consumer->size) {
		fprintf(stderr, "cadre-bench: a stream broke off: %s\n",
			r < 0 ? strerror(-r) : "no item");
		return r < 0 ? r : -EBADMSG;
	}
	memcpy(copy, item.data, item.length);
	__asm__ volatile("" ::"r"(copy) : "memory"); /* the copy is wanted */
	memcpy(&number, copy, sizeof(number));
	return number == consumer->seen++ ? 0 : -EBADMSG;
}

static double batch(void *context)
{
	struct consumer *const consumer = context;
	const int64_t start_ns = bench_now_ns();

	for (uint32_t i = 0; i < consumer->items && !consumer->error; i++)
		consumer->error = consume(consumer);
	return (double)consumer->items * 1e9 / (double)(bench_now_ns() - start_ns);
}

static int measure_size(const struct bench *bench, struct cadre_client *client,
			const struct one_way_size *size, double *ret_value)
{
	struct consumer consumer = { .client = client,
				     .size = size->bytes,
				     .items = size->items };
	const struct cadre_request request = { .operation = STREAM_OPERATION,
					       .flags = CADRE_STREAM,
					       .data = &size->bytes,
					       .length = sizeof(size->bytes),
					       .stream_room = size->room };
	int r = cadre_try_submit(client, &request, &consumer.ticket);

	if (r < 0) {
		fprintf(stderr, "cadre-bench: a stream was not accepted: %s\n",
			strerror(-r));
		return r;
	}
	*ret_value = bench_median_batch(bench, batch, &consumer);
	r = cadre_stream_leave(client, consumer.ticket);
	return consumer.error ? consumer.error : r;
}

static int cadre_streams(const struct bench *bench, const void *with, double *ret_values)
{
	static const struct one_way_size sizes[] = ONE_WAY_SIZES;
	const struct cadre_pool_options options = {
		.size = sizeof(options),
		.workers_min = 1,
		.workers_max = 1,
		.start_data = bench,
		.start_length = sizeof(*bench),
	};
	struct cadre_pool *const pool = echo_start_service(&service, &options);
	int r = 0, stop;

	(void)with;
	if (!pool)
		return -ECANCELED;
	bench_pin(bench, bench->client_cpu);
	for (size_t i = 0; i < COUNT_OF(sizes) && r == 0; i++)
		r = measure_size(bench, cadre_pool_client(pool), &sizes[i],
				 &ret_values[i]);
	stop = echo_stop(pool);
	return r < 0 ? r : stop;
}

static const struct column columns[] = {
	{ "64 B", "items/s", 0 },
	{ "64 KiB", "items/s", 0 },
};

static const struct contender contenders[] = {
	{ "spsc",
	  "a bare ring, one producer and one consumer that spin",
	  one_way_spsc,
	  NULL,
	  { NULL },
	  false },
	{ "pipe", "write and read, one item each", one_way_pipe, NULL, { NULL }, false },
	{ "cadre",
	  "cadre_job_emit and cadre_stream_next",
	  cadre_streams,
	  NULL,
	  { "spsc", "pipe" },
	  false },
};

const struct question question_streams = {
	.name = "streams",
	.sentence = "How many items per second go through a stream?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.less_is_better = false,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
