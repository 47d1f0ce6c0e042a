/*
 * service.h - what workers do: a table of operations, and what a handler may say.
 *
 * A service is plain data and plain functions, so the same table can be called in a unit
 * test, be forked into workers by cadre_pool_start, or be loaded from a shared object
 * that exports it under the name `cadre_service`.
 */
#ifndef CADRE_SERVICE_H
#define CADRE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/error.h>
#include <cadre/log.h>

CADRE_BEGIN_DECLS

/* One job as its worker sees it. It lives from the call of the handler until it is ended
 * (cadre_job_reply, cadre_job_reply_commit, cadre_job_fail). */
struct cadre_job;
struct cadre_channel;

/* Does one job. `state` is what the service's init left. The handler ends the job, or
 * keeps it with cadre_job_defer and lets any thread end it later. A handler that returns
 * with neither fails its job with ENOMSG. */
typedef void cadre_handler_fn(struct cadre_job *job, void *state);

struct cadre_operation {
	int32_t id;       /* 1 .. CADRE_OPERATION_ID_MAX, unique in its table */
	const char *name; /* 1 .. 47 bytes without blanks, unique in its table */
	cadre_handler_fn *handler;
};

#define CADRE_OPERATION_ID_MAX 65535
#define CADRE_OPERATIONS_MAX 128

/* What a worker is told when it starts. Valid during init only. */
struct cadre_start {
	const char *pool;     /* name of the pool */
	uint32_t worker;      /* its place, from 0 */
	uint32_t incarnation; /* how many workers sat in this place, this one included */
	const void *data;     /* the pool's start arguments, any bytes */
	size_t length;        /* in bytes */
	const struct cadre_channel *channel; /* that leads to this worker; copy it (channel.h) */
};

enum {
	/* Run handlers on `parallel` threads of each worker, so that they may block. Without
	 * it they run one at a time on the worker's main thread, and parallel > 1 is room
	 * for jobs that were deferred. */
	CADRE_SERVICE_THREADS = 1u << 0,
	/* The same where parallel > 1; a worker that may have one job at once runs it on its
	 * main thread, which saves handing it over (two switches of context per job). */
	CADRE_SERVICE_THREADS_IF_PARALLEL = 1u << 1,
};

struct cadre_service {
	size_t size;      /* sizeof(struct cadre_service) */
	const char *name; /* for the log and the tools */
	const struct cadre_operation *operations;
	size_t operation_count;
	/* Before the first job; may be NULL. Non-zero is the start failure of the worker, and
	 * diag->text (or the value as an errno) reaches whoever started the pool. */
	int (*init)(const struct cadre_start *start, void **ret_state,
		    struct cadre_diag *diag);
	/* At an orderly end only; may be NULL. A failure is logged, never raised. */
	int (*fini)(void *state);
	unsigned flags; /* CADRE_SERVICE_... */
};

/* The symbol that a shared object exports: `const struct cadre_service cadre_service`. */
#define CADRE_SERVICE_SYMBOL "cadre_service"

/* Checks a table: ids within range and unique, names, handlers. 0, or -EINVAL with a
 * sentence that lists what is wrong with which operation. */
CADRE_API int cadre_service_check(const struct cadre_service *service,
				  struct cadre_diag *diag);

/* ---- reading a job: any thread, until the job is ended; none of these block ---- */

/* The request's bytes, in place in the segment, 8-byte aligned; never NULL. They are
 * read-only: a second attempt must find them whole. */
CADRE_API const void *cadre_job_data(const struct cadre_job *job, size_t *ret_length);

CADRE_API int32_t cadre_job_operation(const struct cadre_job *job);

/* A number for the log, unique in the life of the pool. */
CADRE_API uint64_t cadre_job_id(const struct cadre_job *job);

/* 0 for the first try. Above 0 an earlier worker died while it held this job, so that it
 * may have run before, in whole or in part. */
CADRE_API uint32_t cadre_job_attempt(const struct cadre_job *job);

/* From its submission until this worker took it. */
CADRE_API int64_t cadre_job_waited_ns(const struct cadre_job *job);

/* CLOCK_MONOTONIC nanoseconds, 0 for none. */
CADRE_API int64_t cadre_job_deadline_ns(const struct cadre_job *job);

/* True once nobody waits for the outcome any more: cancelled, timed out, or its client
 * died. One load; a long handler looks now and then and gives up. */
CADRE_API bool cadre_job_cancelled(const struct cadre_job *job);

/* Told that nobody waits for the outcome of a job any more. */
typedef void cadre_cancel_fn(struct cadre_job *job, void *context);

/* Has `cancelled` called once when cadre_job_cancelled becomes true, or right now, by this
 * very thread, when it is true already. It comes while the handler is busy or blocked: from
 * a thread of the worker's own, started at the first use, that gets no signals; of a local
 * worker's own in its owner's process. It must not block for long, since it serves all jobs
 * of the worker; it may end the job.
 *
 * It is not called for a job that has been ended, and ending a job waits for a call that is
 * under way in another thread; so `context` may go when the job does. Call this before the
 * job is handed to a thread that may end it. Once per job: -EALREADY, also for a job that
 * was ended. -EINVAL, -EAGAIN (no thread). */
CADRE_API int cadre_job_on_cancel(struct cadre_job *job, cadre_cancel_fn *cancelled,
				  void *context);

/* ---- ending a job: once, by any one thread; the job handle is gone afterwards ---- */

/* Replies with a copy of `length` bytes. 0, or, with the job still to be ended:
 * -EMSGSIZE (longer than payload_max), -ENOBUFS (no block became free within a second).
 * A reply to a job that was cancelled meanwhile is dropped, counted, and is no error. */
CADRE_API int cadre_job_reply(struct cadre_job *job, const void *data, size_t length);

/* Makes room for `size` bytes of reply in the segment, to be written in place; 16-byte
 * aligned. May be called again with a larger size: what was written is kept, the room may
 * move (as with realloc). Errors as cadre_job_reply. */
CADRE_API int cadre_job_reply_room(struct cadre_job *job, size_t size, void **ret_room);

/* As cadre_job_reply_room, with the bytes of the request in the room (as many as fit), for a reply
 * that is made out of it. The room is the request's own memory, so that nothing is copied and
 * no second block taken, when that lies in a block (it is longer than 88 bytes), `size` fits the
 * block, no room was made before, and the job is not CADRE_IDEMPOTENT: one that may be tried
 * again must be found as it was, so its bytes are copied. Either way cadre_job_data stays
 * readable; it shows what is written if the room is the request's. Errors as cadre_job_reply. */
CADRE_API int cadre_job_reply_over_request(struct cadre_job *job, size_t size,
					   void **ret_room);

/* Replies with the first `length` bytes of the room. -EINVAL when that is more than was
 * asked for. */
CADRE_API int cadre_job_reply_commit(struct cadre_job *job, size_t length);

/* Ends the job as failed. `code` is the service's own and reaches the caller unchanged,
 * as does the sentence (cut after CADRE_SENTENCE_MAX bytes). */
CADRE_API int cadre_job_fail(struct cadre_job *job, int32_t code, const char *format, ...)
	CADRE_PRINTF(3, 4);

#define CADRE_SENTENCE_MAX 87

/* Called by the handler: the job outlives it and is ended later by any thread, which must not
 * hear of the job before this returns. It keeps counting as workload until then. */
CADRE_API void cadre_job_defer(struct cadre_job *job);

CADRE_END_DECLS
#endif
