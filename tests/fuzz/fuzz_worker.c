/*
 * fuzz_worker.c - a worker's whole life over a segment that may change while it looks, runs
 * and sleeps. The script goes on whenever the worker sleeps and in each handler; at its end
 * the worker's place is moved on, so it leaves. Meanwhile a client may submit a stream, and
 * read all that was emitted, or a request in a block.
 */
#include "fuzz.h"

#include "stream.h"
#include "worker.h"

#include <stdlib.h>
#include <string.h>

#define WORKER 1
#define TURNS_MAX 200
enum { ECHO = 1, GROW, SAY_NOTHING, EMIT };

static struct fuzz_script *running;
static struct cadre_view *segment;
static unsigned turns;

/* A stream that is whole, as long as nobody pokes into it. */
static void submit_stream(unsigned slot)
{
	struct cadre_block_pool blocks = cadre_layout_blocks(segment);
	struct cadre_request_lines *const request = &segment->slots[slot].request;
	const uint64_t room = UINT64_C(64) * (1 + fuzz_byte(running) % 16u);
	const uint32_t length = fuzz_byte(running) % 64u;
	const uint32_t block = cadre_block_take(&blocks, cadre_stream_bytes(length, room),
						slot, 1);
	uint64_t size;
	unsigned char *const bytes = cadre_block_bytes(&blocks, block, slot, 1, &size);

	if (!bytes || !cadre_stream_fits(length, room, size))
		return;
	cadre_stream_init((struct cadre_stream *)(void *)bytes, room);
	request->block = block;
	request->length = length;
	request->operation = EMIT;
	request->with = CADRE_WITH_STREAM;
	atomic_store(&request->word, cadre_word_pack((struct cadre_word){
					     .phase = CADRE_QUEUED, .generation = 1 }));
}

/* A request in a block, and whole: no bytes at random have the seal that leads there. */
static void submit_long(unsigned slot)
{
	struct cadre_block_pool blocks = cadre_layout_blocks(segment);
	struct cadre_request_lines *const request = &segment->slots[slot].request;
	const uint32_t length = CADRE_INLINE_MAX + 1 + fuzz_byte(running) * 8u;
	const uint32_t block = cadre_block_take(&blocks, length, slot, 1);

	if (block == CADRE_NO_BLOCK)
		return;
	request->block = block;
	request->seal = cadre_block_seal(block, slot, 1);
	request->length = length;
	request->operation = GROW;
	request->with = 0;
	atomic_store(&request->word, cadre_word_pack((struct cadre_word){
					     .phase = CADRE_QUEUED, .generation = 1 }));
}

/* Its consumer, who reads all, or pauses. */
static void consume(unsigned slot)
{
	uint64_t size;
	struct cadre_stream *const stream = cadre_view_stream(
		segment, slot, cadre_slot_look(&segment->slots[slot]), &size);

	if (stream && fuzz_byte(running) & 1)
		cadre_stream_set_paused(stream, fuzz_byte(running) & 1);
	else if (stream)
		atomic_store(&stream->head, atomic_load(&stream->tail));
}

/* What others do meanwhile. */
static void meanwhile(void *context)
{
	uint8_t operation;

	(void)context;
	if (++turns < TURNS_MAX && fuzz_next(running, &operation)) {
		if ((operation & 0x70) == 0x70)
			submit_long(operation % segment->limits.slots);
		else if ((operation & 0x60) == 0x60)
			submit_stream(operation % segment->limits.slots);
		else if (operation & 0x40)
			consume(operation % segment->limits.slots);
		return;
	}
	atomic_store(&segment->worker_places[WORKER].state,
		     cadre_place_pack_owned(CADRE_PLACE_DRAINING, 1, 1));
}

static size_t read_job(const struct cadre_job *job)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	FUZZ_CHECK(length <= 4096);
	fuzz_read(data, length);
	cadre_job_id(job);
	return length;
}

static void echo(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	read_job(job);
	meanwhile(NULL);
	if (cadre_job_reply(job, data, length) < 0)
		cadre_job_fail(job, 5, "%s", "it did not fit");
}

/* A reply of any length, grown in place, out of the request or beside it. */
static void grow(struct cadre_job *job, void *state)
{
	size_t size = read_job(job);
	unsigned char *room;

	(void)state;
	if (fuzz_byte(running) & 1 &&
	    cadre_job_reply_over_request(job, size, (void **)&room) == 0)
		fuzz_read(room, size);
	for (unsigned i = 0; i < 4; i++) {
		meanwhile(NULL);
		if (cadre_job_reply_room(job, size, (void **)&room) == 0)
			memset(room, 1, size);
		size += fuzz_byte(running) * 8;
	}
	cadre_job_reply_commit(job, fuzz_byte(running) * 8);
}

static void say_nothing(struct cadre_job *job, void *state)
{
	(void)state;
	read_job(job);
	meanwhile(NULL);
}

static void emit_in_place(struct cadre_job *job, size_t size)
{
	void *room = NULL;

	if (cadre_job_try_emit_room(job, size, &room) < 0)
		return;
	FUZZ_CHECK(size <= cadre_job_item_max(job));
	memset(room, 1, size);
	cadre_job_emit_commit(job, fuzz_byte(running) * 8);
}

/* Items of any length; never waits, since nobody may ever read them. */
static void emit(struct cadre_job *job, void *state)
{
	const size_t length = read_job(job);

	(void)state;
	FUZZ_CHECK(cadre_job_item_max(job) <= 16384);
	for (unsigned i = 0; i < 8; i++) {
		static const char bytes[2048];
		const size_t size = fuzz_byte(running) * 8u;

		if (size & 8)
			emit_in_place(job, size);
		else
			cadre_job_try_emit(job, bytes, size);
		meanwhile(NULL);
	}
	if (length & 1)
		cadre_job_reply(job, "", 0);
}

static const struct cadre_operation operations[] = {
	{ ECHO, "echo", echo },
	{ GROW, "grow", grow },
	{ SAY_NOTHING, "say-nothing", say_nothing },
	{ EMIT, "emit", emit },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "fuzz",
	.operations = operations,
	.operation_count = CADRE_COUNT_OF(operations),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };
	const struct cadre_seat seat = {
		.pool = FUZZ_POOL,
		.worker = WORKER,
		.incarnation = 1,
		.start_fd = -1,
	};
	uint8_t operation;

	running = &script;
	turns = 0;
	segment = fuzz_segment(&script);
	fuzz_next(&script, &operation);
	atomic_store(&segment->worker_places[WORKER].state,
		     cadre_place_pack(CADRE_PLACE_STARTING, 1));
	fuzz_machine.slept = meanwhile;
	cadre_worker_serve(&service, segment, &seat);
	return 0;
}
