/*
 * stream.h - jobs that answer with many items instead of one reply.
 *
 * A job submitted with CADRE_STREAM has a ring of its own, `stream_room` bytes in its block.
 * Its handler emits items into it, in order; the client reads them from there, and then
 * takes the job's result like any other's: a stream has an outcome, and may have a reply.
 *
 *   handler:  emit, emit, emit_error, emit, ...        then reply or fail
 *   client:   next -> 1, 1, 1 (an error), 1, ..., 0    then await, release
 *
 * A producer that outruns its consumer waits for room. What was emitted stays readable
 * after the end, whatever the end was: *lost* with its worker, *cancelled*, *timed out*. A
 * stream that was submitted as idempotent and lost its worker is tried again only when
 * nothing had been emitted.
 */
#ifndef CADRE_STREAM_H
#define CADRE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/client.h>
#include <cadre/service.h>

CADRE_BEGIN_DECLS

/* Bytes of the ring that one item takes besides its own, which are rounded up to eight. */
#define CADRE_ITEM_OVERHEAD 8

/* ---- the consumer. One thread at a time per stream, but for pause, resume and cancel ---- */

/* One item. `data` points into the segment and stays valid until the next call of
 * cadre_stream_next, cadre_stream_try_next, cadre_stream_leave or cadre_release for this
 * stream, or until the callback returns. */
struct cadre_item {
	struct cadre_ticket ticket; /* of its stream */
	bool is_error;    /* the handler could not make this one; the next may come */
	int32_t code;     /* an error's, the service's own; else 0 */
	const void *data; /* 8-byte aligned; of an error: its sentence */
	size_t length;    /* in bytes */
};

/* The next item, if one is there: 1. 0 at the end of the stream: the result waits for
 * cadre_try_take or cadre_await, which return -EBUSY until then (or until the stream was
 * cancelled). -EAGAIN: nothing there, and no end. -ENOSTR: the ticket's job is no stream.
 * -EBADMSG: the ring holds what cannot be; the job was cancelled, take its result. -EBUSY: a
 * callback gets the items. -ESTALE, -ECHILD. */
CADRE_API int cadre_stream_try_next(struct cadre_client *client,
				    struct cadre_ticket ticket,
				    struct cadre_item *ret_item);

/* The same, but waits for an item or the end until `until_ns`, then -ETIMEDOUT. A stream
 * that is paused says -EAGAIN once what it held is read: it would be a wait for oneself. */
CADRE_API int cadre_stream_next(struct cadre_client *client, struct cadre_ticket ticket,
				int64_t until_ns, struct cadre_item *ret_item);

/* Stops the producer: from its next emit on it waits, although there may be room. What is in
 * the ring already can be read, but callbacks are not called. Pauses nest: as many resumes
 * as pauses let it go on. Any thread. 0; -EINVAL: resumed more often than paused; -ENOSTR,
 * -ESTALE, -ECHILD. */
CADRE_API int cadre_stream_pause(struct cadre_client *client, struct cadre_ticket ticket);
CADRE_API int cadre_stream_resume(struct cadre_client *client, struct cadre_ticket ticket);

/* Leaves: cancels the job unless it has ended, drops what was not read, and gives the ticket
 * back. The producer is told at its next emit, or woken if it waits; the slot is free once
 * it is back. With callbacks, no further item is delivered, and `ended` is called as
 * always. 0, -ENOSTR, -ESTALE, -EBUSY, -ECHILD. */
CADRE_API int cadre_stream_leave(struct cadre_client *client, struct cadre_ticket ticket);

/* ---- the producer. Any thread, one at a time per job, until the job is ended.
 *
 * All return 0, or: -ENOSTR, the job was not submitted as a stream; -EALREADY, it has
 * ended; -ECANCELED, nobody reads on (cancelled, timed out, left, or its client died): the
 * handler gives up and ends the job in any way; -EBADMSG, the ring holds what cannot be.
 * In each case nothing was emitted. ---- */

CADRE_API bool cadre_job_is_stream(const struct cadre_job *job);

/* The longest item that this job's ring can hold; 0 when the job is no stream. */
CADRE_API size_t cadre_job_item_max(const struct cadre_job *job);

/* Emits a copy of `length` bytes. Waits for room as long as it takes, or until the job is
 * cancelled. -EMSGSIZE: longer than cadre_job_item_max. */
CADRE_API int cadre_job_emit(struct cadre_job *job, const void *data, size_t length);

/* The same, but -EAGAIN instead of waiting. */
CADRE_API int cadre_job_try_emit(struct cadre_job *job, const void *data, size_t length);

/* Room for an item of at most `size` bytes, to be written in place; 8-byte aligned. It is
 * gone with the next call that asks for room or emits. Waits as cadre_job_emit. */
CADRE_API int cadre_job_emit_room(struct cadre_job *job, size_t size, void **ret_room);
CADRE_API int cadre_job_try_emit_room(struct cadre_job *job, size_t size, void **ret_room);

/* Emits the first `length` bytes of the room; never waits. -EINVAL: there is no room, or
 * that is more than was asked for. */
CADRE_API int cadre_job_emit_commit(struct cadre_job *job, size_t length);

/* Emits an error as an item: the consumer decides whether to go on. `code` is the service's
 * own; the sentence is cut after CADRE_SENTENCE_MAX bytes, or to what the ring can hold.
 * Waits as cadre_job_emit. */
CADRE_API int cadre_job_emit_error(struct cadre_job *job, int32_t code,
				   const char *format, ...) CADRE_PRINTF(3, 4);

typedef void cadre_room_fn(struct cadre_job *job, void *context);

/* For handlers that must not wait: after an -EAGAIN, has `room` called once when there is
 * room for what was asked, or when the job is cancelled: so that one thread can produce
 * many streams in turn. It is called from the worker's own loop (cadre_worker_step, where
 * the program drives it), and nobody may emit for this job until then. The job has to be
 * deferred (cadre_job_defer) before its handler returns. A job that is ended first is not
 * called back, unless that has begun in the worker's own thread. -EINVAL: no function;
 * -EBUSY: asked already. */
CADRE_API int cadre_job_on_room(struct cadre_job *job, cadre_room_fn *room, void *context);

CADRE_END_DECLS
#endif
