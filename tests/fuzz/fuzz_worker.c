/*
 * fuzz_worker.c - a worker's whole life over a segment that may change while it looks, runs
 * and sleeps. The script goes on whenever the worker sleeps and in each handler; at its end
 * the worker's place is moved on, so it leaves.
 */
#include "fuzz.h"

#include "worker.h"

#include <stdlib.h>
#include <string.h>

#define WORKER 1
#define TURNS_MAX 200

static struct fuzz_script *running;
static struct cadre_view *segment;
static unsigned turns;

/* What others do meanwhile. */
static void meanwhile(void *context)
{
	uint8_t operation;

	(void)context;
	if (++turns < TURNS_MAX && fuzz_next(running, &operation))
		return;
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

/* A reply of any length, grown in place. */
static void grow(struct cadre_job *job, void *state)
{
	size_t size = read_job(job);
	unsigned char *room;

	(void)state;
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

static const struct cadre_operation operations[] = {
	{ 1, "echo", echo },
	{ 2, "grow", grow },
	{ 3, "say-nothing", say_nothing },
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
