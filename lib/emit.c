/*
 * emit.c - a handler emits: it looks whether anybody reads on, waits for room, writes the
 * item where the client reads it, and rings when that one sleeps.
 *
 * A producer that waits sleeps on its worker's bell, with the bit of its slot: so whoever
 * cancels the job, knowing no more than its word, can wake it, and no bell lies in a block
 * that may be another's by the time it rings.
 */
#include "clock.h"
#include "job.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOOKS_PER_CLOCK 32
#define PAUSES 8

/* A supervisor that dies between a decision and its ring leaves nobody asleep for longer. */
#define LOOK_AGAIN_NS (100 * CADRE_NS_PER_MS)
/* Past its deadline a job is about to be decided by somebody else's clock. */
#define LOOK_LATE_NS (5 * CADRE_NS_PER_MS)

int cadre_job_open_stream(struct cadre_job *job)
{
	uint64_t size = 0, room;
	struct cadre_stream *const stream = cadre_view_stream(job->host->view, job->number,
							      job->claimed, &size);
	unsigned char *const bytes = (unsigned char *)stream;
	const uint32_t length = job->length;

	job->data = "";
	job->length = 0;
	if (!stream)
		return -EBADMSG;
	room = CADRE_READ_ONCE(stream->room);
	if (!cadre_stream_fits(length, room, size))
		return -EBADMSG;
	job->data = bytes + CADRE_STREAM_PAYLOAD_AT;
	job->length = length;
	/* Relaxed: no other thread knows of the job yet. */
	atomic_store_explicit(&job->wants_room, false, memory_order_relaxed);
	return cadre_emitter_open(&job->emitter, stream,
				  bytes + cadre_stream_items_at(length), room,
				  cadre_job_attempt(job));
}

bool cadre_job_is_stream(const struct cadre_job *job)
{
	return job->emitter.stream;
}

size_t cadre_job_item_max(const struct cadre_job *job)
{
	return job->emitter.stream ? (size_t)job->emitter.room - CADRE_ITEM_OVERHEAD : 0;
}

/* The consumer sleeps on something that was published. */
static void ring_if_wished(struct cadre_job *job)
{
	const struct cadre_view *const view = job->host->view;

	if (!job->emitter.must_ring)
		return;
	job->emitter.must_ring = false;
	cadre_bell_ring(&view->client_bells[cadre_view_window_of(view, job->number)],
			cadre_view_bell_bit(job->number), INT32_MAX);
}

/* 0 when an item may be emitted at all. */
static int check(const struct cadre_job *job)
{
	if (!job->emitter.stream)
		return -ENOSTR;
	/* First of all: the ring of a job that has ended is its caller's, or another's. */
	if (atomic_load_explicit(&job->ended, memory_order_relaxed))
		return -EALREADY;
	return cadre_job_cancelled(job) ? -ECANCELED : 0;
}

static int reserve(struct cadre_job *job, size_t size, unsigned char **ret_room)
{
	int r = check(job);

	if (r == 0)
		r = cadre_emitter_reserve(&job->emitter, size, ret_room);
	/* A pad may have gone ahead. */
	ring_if_wished(job);
	return r;
}

static int spin(struct cadre_job *job, size_t size, unsigned char **ret_room)
{
	const int64_t spin_ns = job->host->view->limits.spin_ns;
	const int64_t until_ns = cadre_clock_in_ns(spin_ns);

	while (spin_ns > 0) {
		for (int look = 0; look < LOOKS_PER_CLOCK; look++) {
			const int r = reserve(job, size, ret_room);

			if (r != -EAGAIN)
				return r;
			for (int i = 0; i < PAUSES; i++)
				cadre_pause();
		}
		if (cadre_clock_ns() >= until_ns)
			break;
	}
	return -EAGAIN;
}

/* How long it may sleep before it looks again. */
static int64_t nap_ns(const struct cadre_job *job)
{
	const int64_t now_ns = cadre_clock_ns();
	const int64_t left_ns = cadre_job_look_at_time(job, now_ns) - now_ns;

	if (left_ns <= 0)
		return LOOK_LATE_NS;
	return left_ns < LOOK_AGAIN_NS ? left_ns : LOOK_AGAIN_NS;
}

/* The drawing stands in stream.h. */
static int sleep_until_room(struct cadre_job *job, size_t size, unsigned char **ret_room)
{
	struct cadre_job_host *const host = job->host;
	struct cadre_bell *const bell = &host->view->worker_bells[host->worker];
	const uint32_t bit = cadre_view_producer_bit(job->number);
	int64_t alone_since_ns = 0;
	int r;

	host->blocked(host, job, true);
	for (;;) {
		/* L1: remembered before the word that says that we wait, and the look. */
		const uint32_t rings = cadre_bell_remember(bell);

		cadre_emitter_say_waiting(&job->emitter);
		r = reserve(job, size, ret_room);
		if (r != -EAGAIN)
			break;
		if (!cadre_bell_sleep(bell, rings, bit, nap_ns(job)) &&
		    host->deserted(host, &alone_since_ns)) {
			r = -ECANCELED;
			break;
		}
	}
	cadre_emitter_say_awake(&job->emitter);
	host->blocked(host, job, false);
	return r;
}

static int await_room(struct cadre_job *job, size_t size, unsigned char **ret_room)
{
	int r = reserve(job, size, ret_room);

	if (r == -EAGAIN)
		r = spin(job, size, ret_room);
	return r == -EAGAIN ? sleep_until_room(job, size, ret_room) : r;
}

static void commit(struct cadre_job *job, size_t length, bool is_error, int32_t code)
{
	cadre_emitter_commit(&job->emitter, length, is_error, code);
	ring_if_wished(job);
}

static int emit(struct cadre_job *job, const void *data, size_t length, int r,
		unsigned char *room)
{
	if (r < 0)
		return r;
	if (length)
		memcpy(room, data, length);
	commit(job, length, false, 0);
	return 0;
}

int cadre_job_emit(struct cadre_job *job, const void *data, size_t length)
{
	unsigned char *room = NULL;
	const int r = await_room(job, length, &room);

	return emit(job, data, length, r, room);
}

int cadre_job_try_emit(struct cadre_job *job, const void *data, size_t length)
{
	unsigned char *room = NULL;
	const int r = reserve(job, length, &room);

	return emit(job, data, length, r, room);
}

int cadre_job_emit_room(struct cadre_job *job, size_t size, void **ret_room)
{
	unsigned char *room = NULL;
	const int r = await_room(job, size, &room);

	if (r == 0)
		*ret_room = room;
	return r;
}

int cadre_job_try_emit_room(struct cadre_job *job, size_t size, void **ret_room)
{
	unsigned char *room = NULL;
	const int r = reserve(job, size, &room);

	if (r == 0)
		*ret_room = room;
	return r;
}

int cadre_job_emit_commit(struct cadre_job *job, size_t length)
{
	const int r = check(job);

	if (r < 0)
		return r;
	if (!job->emitter.has_reserved || length > job->emitter.reserved)
		return -EINVAL;
	commit(job, length, false, 0);
	return 0;
}

int cadre_job_emit_error(struct cadre_job *job, int32_t code, const char *format, ...)
{
	char sentence[CADRE_SENTENCE_MAX + 1];
	unsigned char *room = NULL;
	va_list arguments;
	size_t length;
	int r = check(job);

	if (r < 0)
		return r;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	length = strlen(sentence);
	if (length > cadre_job_item_max(job))
		length = cadre_job_item_max(job);
	r = await_room(job, length, &room);
	if (r < 0)
		return r;
	memcpy(room, sentence, length);
	commit(job, length, true, code);
	return 0;
}

bool cadre_job_has_room(struct cadre_job *job)
{
	return cadre_job_cancelled(job) || cadre_emitter_is_ready(&job->emitter);
}

int cadre_job_on_room(struct cadre_job *job, cadre_room_fn *room, void *context)
{
	if (!job->emitter.stream)
		return -ENOSTR;
	if (atomic_load_explicit(&job->ended, memory_order_relaxed))
		return -EALREADY;
	if (!room)
		return -EINVAL;
	if (atomic_load_explicit(&job->wants_room, memory_order_relaxed))
		return -EBUSY;
	job->on_room = room;
	job->on_room_context = context;
	cadre_emitter_say_waiting(&job->emitter);
	job->host->blocked(job->host, job, true);
	job->host->wants_room(job->host, job);
	return 0;
}
