/*
 * client.h - submit jobs to a pool and take their results.
 *
 * A client leases one window of the pool: so many slots, so many jobs outstanding at once.
 * All functions may be called by several threads of the process at the same time, unless
 * said otherwise. After fork() the child's copy of a client is dead (-ECHILD); a child
 * attaches for itself.
 *
 *   submit -> ticket -> await / try_take / callback -> result -> release
 *
 * Times are CLOCK_MONOTONIC nanoseconds; CADRE_FOREVER waits without bound. When the pool
 * dies such a wait still ends: its job as terminated, and what is submitted from then on is
 * refused with -EOWNERDEAD.
 */
#ifndef CADRE_CLIENT_H
#define CADRE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/backtrace.h>
#include <cadre/error.h>

CADRE_BEGIN_DECLS

#define CADRE_FOREVER INT64_MAX

/* Now, as deadlines count it: CLOCK_MONOTONIC nanoseconds. */
CADRE_API int64_t cadre_now_ns(void);

/* now + milliseconds, for deadlines. */
CADRE_API int64_t cadre_in_ms(int64_t milliseconds);

struct cadre_client;
struct cadre_perf_counter;
struct cadre_channel; /* channel.h */
struct cadre_token;

/* A receipt for an accepted job. A value, not a pointer: an old one is recognised. */
struct cadre_ticket {
	uint64_t id;
};

/* How a job ended. `data` points into the segment and stays valid, with its slot, until
 * cadre_release. */
struct cadre_result {
	struct cadre_ticket ticket;
	enum cadre_outcome outcome;
	int32_t code;       /* FAILED: the handler's code. LOST: the signal, or minus the
	                        * exit status, or CADRE_STATUS_UNKNOWN, _NOT_BEGUN */
	int32_t operation;  /* of the request */
	uint32_t attempt;   /* 0: first try. Above 0: it may have run before */
	int32_t worker;     /* place of the worker that had it last, -1 for none */
	int32_t worker_pid; /* its process, 0 when unknown */
	int64_t waiting_ns; /* submitted to taken, last attempt; 0 when it never ran */
	int64_t running_ns; /* taken to ended; 0 when it never ran */
	const void *data;   /* the reply; 8-byte aligned; NULL unless OK */
	size_t length;      /* in bytes */
	char sentence[160]; /* what happened, when the outcome is not OK */
};

#define CADRE_STATUS_UNKNOWN INT32_MIN
#define CADRE_STATUS_NOT_BEGUN \
	(INT32_MIN + 1) /* the only worker that could run it is gone */

enum {
	/* May be run again when its worker dies. Once two workers died of it by a fault (a signal
	 * other than KILL, TERM, INT and HUP, or an exit) it is refused instead. */
	CADRE_IDEMPOTENT = 1u << 0,
	CADRE_DETACHED = 1u << 1, /* fire and forget: outlives its client, has no result */
	CADRE_STREAM = 1u << 2, /* answers with items (stream.h); not with CADRE_DETACHED */
};

/* Called by cadre_client_dispatch, in the thread that called it; the result is released
 * when it returns. It may submit further jobs. */
typedef void cadre_ended_fn(const struct cadre_result *result, void *context);

/* The same for one item of a stream, each in its order and before `ended`. It may pause,
 * cancel or leave the stream. */
struct cadre_item;
typedef void cadre_item_fn(const struct cadre_item *item, void *context);

/* One job to submit. Zero what is not used: { .operation = 1, .data = ..., .length = ... } */
struct cadre_request {
	int32_t operation;
	unsigned flags;   /* CADRE_IDEMPOTENT, CADRE_DETACHED, CADRE_STREAM */
	uint32_t retries; /* idempotent jobs: tries after the first, 0 .. 15; 0 means 3 */
	const void *data; /* copied before the call returns */
	size_t length;
	int64_t deadline_ns;       /* the job's own; 0 for none */
	struct cadre_token *token; /* token.h: what else may end it; NULL for none */
	cadre_ended_fn *ended; /* deliver by callback instead of by ticket; NULL: ticket */
	void *context;         /* handed to `ended` and `item` */
	size_t stream_room;  /* streams: bytes for items that were not read yet, each with
	                        * CADRE_ITEM_OVERHEAD; 0: 7 KiB, or what fits; at least 64.
	                        * With `length` and 192 it must not exceed payload_max */
	cadre_item_fn *item; /* streams with `ended`: deliver items by callback, too */
	/* Descriptors to travel with the job, at most CADRE_DESCRIPTORS_MAX; not with detached
	 * ones. Accepted, they are the library's: descriptors.h. */
	const int *descriptors;
	size_t descriptor_count;
	/* That counts it, of this client; NULL for none. Not for detached jobs. */
	struct cadre_perf_counter *counter;
	const struct cadre_channel *to; /* one worker of the client's pool, which alone takes it
	                                 * (channel.h); NULL, or the pool itself: any worker */
};

struct cadre_client_options {
	size_t size;     /* sizeof(struct cadre_client_options) */
	int64_t spin_ns; /* how long a waiter spins before it sleeps; 0: 50 us where there
	                      * is more than one CPU; negative: never. Only as long as no
	                      * worker needs the same CPU */
	int64_t timeout_ns; /* of attaching itself, relative; 0: 5 s */
};

/* Attaches to the pool of that name. options may be NULL. May block up to the timeout.
 * -ENOENT, -EPROTONOSUPPORT, -EBADMSG, -EACCES, -ECONNREFUSED, -EUSERS, -ESHUTDOWN,
 * -EINVAL (not a name), -ETIMEDOUT. */
CADRE_API int cadre_client_attach(const char *pool,
				  const struct cadre_client_options *options,
				  struct cadre_client **ret_client,
				  struct cadre_diag *diag);

/* Cancels what is outstanding (detached jobs live on) and frees the handle. Waits for no job,
 * and at most 2 s for the supervisor to hear of it (a dead one learns of it otherwise). Every pointer into the segment is dead afterwards; no other thread may be
 * inside. In a forked child it frees the copy only. NULL is allowed. */
CADRE_API void cadre_client_detach(struct cadre_client *client);

/* The longest payload and the number of slots of the window. */
CADRE_API size_t cadre_client_payload_max(const struct cadre_client *client);
CADRE_API uint32_t cadre_client_window(const struct cadre_client *client);

/* The id of an operation by its name: > 0, or -ENOENT. */
CADRE_API int32_t cadre_client_operation(const struct cadre_client *client,
					 const char *name);

/* ---- submitting: never runs a handler, never blocks unless its name says so ---- */

/* Accepts the job and returns 0 with a ticket, or accepts nothing: -EAGAIN (window full),
 * -ENOBUFS, -EMSGSIZE, -EINVAL, -EHOSTDOWN, -ESHUTDOWN, -EOWNERDEAD, -ECHILD; for its
 * descriptors -EBADF, and at the first -EMFILE, -ENOMEM (nor room for a thread); for its
 * token -ECANCELED (it has ended), -ESTALE (it was released), -EXDEV (another pool's).
 * ret_ticket may be NULL for detached jobs and those with a callback. */
CADRE_API int cadre_try_submit(struct cadre_client *client,
			       const struct cadre_request *request,
			       struct cadre_ticket *ret_ticket);

/* The same, but waits for room until `until_ns`, then -ETIMEDOUT. */
CADRE_API int cadre_submit(struct cadre_client *client,
			   const struct cadre_request *request, int64_t until_ns,
			   struct cadre_ticket *ret_ticket);

/* Submits up to `count` jobs with one fence and at most one wake-up. Returns how many
 * were accepted, which is fewer than count when one was refused; with none accepted, the
 * error of the first. ret_tickets may be NULL under the same condition as above. */
CADRE_API int cadre_try_submit_batch(struct cadre_client *client,
				     const struct cadre_request *requests, size_t count,
				     struct cadre_ticket *ret_tickets);

/* A request that is written where the worker will read it. */
struct cadre_draft {
	void *data; /* `capacity` bytes to be written, 8-byte aligned */
	size_t capacity;
	uint64_t id; /* private */
};

/* Takes a slot and room for `capacity` bytes. Errors as cadre_try_submit. */
CADRE_API int cadre_try_draft(struct cadre_client *client, size_t capacity,
			      struct cadre_draft *ret_draft);

/* Submits the draft's first request->length bytes; request->data is ignored. The draft is
 * gone, unless -EINVAL or what is wrong with its token is returned, or, for a stream, whose
 * ring lies in front of its payload so that the draft is copied, -EMSGSIZE or -ENOBUFS. Descriptors stay the caller's unless 0
 * is returned. */
CADRE_API int cadre_draft_submit(struct cadre_client *client, struct cadre_draft *draft,
				 const struct cadre_request *request,
				 struct cadre_ticket *ret_ticket);

/* Gives slot and room back unused. */
CADRE_API void cadre_draft_discard(struct cadre_client *client, struct cadre_draft *draft);

/* ---- taking results ---- */

/* Submits, waits, takes. 0 whenever the job ended, whatever its outcome: look at
 * ret_result->outcome, then cadre_release it. The wait is bounded by the request's own
 * deadline. Errors as cadre_submit. */
CADRE_API int cadre_call(struct cadre_client *client, const struct cadre_request *request,
			 struct cadre_result *ret_result);

/* Takes the result if the job has ended, else -EAGAIN. Who asks for the same job again at once,
 * while others are out, is told so without another look for 50 ns with each of those, at most 4
 * us: looks that come too early take the line away from the worker that is about to write it.
 * -ESTALE, -ECHILD, -EBUSY (also for a
 * stream that was neither read to its end nor cancelled). */
CADRE_API int cadre_try_take(struct cadre_client *client, struct cadre_ticket ticket,
			     struct cadre_result *ret_result);

/* Waits until the job has ended and takes the result. -ETIMEDOUT: the job goes on. */
CADRE_API int cadre_await(struct cadre_client *client, struct cadre_ticket ticket,
			  int64_t until_ns, struct cadre_result *ret_result);

/* Waits until any one of the jobs has ended and takes it; returns its index. Tickets whose
 * id is 0 are passed over; -ENOENT when none is left. */
CADRE_API int cadre_await_any(struct cadre_client *client,
			      const struct cadre_ticket *tickets, size_t count,
			      int64_t until_ns, struct cadre_result *ret_result);

/* Gives slot and reply back; result->data is dead afterwards. 0, -ESTALE, -ECHILD. */
CADRE_API int cadre_release(struct cadre_client *client,
			    const struct cadre_result *result);

/* Where the worker was that died of the job: for results that are LOST or REFUSED, before
 * they are released. -ENOENT: it left none (it was killed from outside, or exited), or one of
 * its successors has crashed as well and overwritten it; -ECHILD. cadre_backtrace_format
 * makes text of it. Never blocks. */
CADRE_API int cadre_result_backtrace(const struct cadre_client *client,
				     const struct cadre_result *result,
				     struct cadre_backtrace *ret_backtrace);

/* ---- how far is it? ---- */

enum cadre_job_state {
	CADRE_JOB_PENDING,  /* no worker has it */
	CADRE_JOB_RUNNING,  /* `worker` has it */
	CADRE_JOB_FINISHED, /* the outcome stands and can be taken, or was */
};

struct cadre_job_info {
	enum cadre_job_state state;
	enum cadre_outcome outcome; /* when it is finished */
	int32_t operation;
	uint32_t attempt;   /* 0: first try. Above 0: it may have run before */
	int32_t worker;     /* place of the worker that has or had it; -1 for none */
	int64_t waiting_ns; /* submitted to taken, or until now */
	int64_t running_ns; /* taken to ended, or until now; of a further attempt it may count
			     * from the one before until that has begun */
};

/* Looks at a job until its result is released, whoever waits for it, callbacks included. It
 * reads a few words of the segment and asks nobody. -ESTALE, -ECHILD. */
CADRE_API int cadre_job_info(struct cadre_client *client, struct cadre_ticket ticket,
			     struct cadre_job_info *ret_info);

/* The printable name of a state: "pending". Never NULL. */
CADRE_API const char *cadre_job_state_name(enum cadre_job_state state);

/* ---- named counters ---- */

#define CADRE_PERF_COUNTERS_MAX 16 /* of one client */
#define CADRE_PERF_NAME_MAX 31     /* bytes, without blanks */

/* Of the jobs that named the counter and whose results were taken or called back. */
struct cadre_perf {
	char name[CADRE_PERF_NAME_MAX + 1];
	uint64_t count;
	uint64_t errors;   /* of these, those that did not end ok */
	uint64_t total_ns; /* from submission to end */
	uint64_t max_ns;   /* the longest of them */
};

/* Finds or makes the counter of that name. It belongs to the client and ends with it; its
 * threads share it, and `cadre stat` shows it. -EINVAL (not a name), -EMFILE (the client has
 * CADRE_PERF_COUNTERS_MAX of them), -ECHILD. */
CADRE_API int cadre_perf_counter_open(struct cadre_client *client, const char *name,
				      struct cadre_perf_counter **ret_counter);

/* The numbers as they are now; each is exact, together they may be a job apart. */
CADRE_API void cadre_perf_counter_read(const struct cadre_perf_counter *counter,
				       struct cadre_perf *ret_perf);

/* Ends the job for its caller at once: unrun when it is pending, flagged for its handler
 * when it runs. The outcome is then taken as any other. 0 also when it has ended already
 * or was cancelled before; -ESTALE, -ECHILD. */
CADRE_API int cadre_cancel(struct cadre_client *client, struct cadre_ticket ticket);

/* Cancels every job of this client that has not ended, detached ones included. Returns how
 * many it ended. -ECHILD. */
CADRE_API int cadre_cancel_all(struct cadre_client *client);

/* Cancels, and when the job still runs in its worker `grace_ns` later, has the supervisor kill
 * and replace that worker: ABRT first, KILL a second later. Answers its caller at once, with
 * *cancelled*, as cadre_cancel does. The grace is kept even when this client, or the
 * supervisor, dies meanwhile. Other jobs of that worker end as lost or run again, as after
 * any death. Asked for twice, the last grace counts. 0 also when the job has ended already;
 * -EINVAL (negative grace), -ESTALE, -ECHILD. */
CADRE_API int cadre_cancel_forced(struct cadre_client *client, struct cadre_ticket ticket,
				  int64_t grace_ns);

/* Cancels every job of every client of the pool of that name, running and queued; the pool
 * goes on. Needs no client: the supervisor does it. Returns how many it ended. May wait for
 * its answer, 5 s at most. -EINVAL (not a name), -ECONNREFUSED (no supervisor),
 * -ETIMEDOUT. */
CADRE_API int cadre_cancel_pool(const char *pool, struct cadre_diag *diag);

/* ---- results by callback, for event loops ---- */

/* A descriptor that polls readable when cadre_client_dispatch has something to do. Belongs
 * to the client; created, with a thread that watches over it, at the first call. Negative
 * errno when that fails. */
CADRE_API int cadre_client_fd(struct cadre_client *client);

/* Calls the callbacks of jobs that have ended and of items of streams, at most `most` of
 * them (0: no bound, but a stream gets no more than its turn). Returns how many, 0 included;
 * never blocks. -EOWNERDEAD, -ECHILD. */
CADRE_API int cadre_client_dispatch(struct cadre_client *client, size_t most);

/* Waits until dispatch has something to do, then does as cadre_client_dispatch. 0 when no
 * job with a callback is outstanding; -ETIMEDOUT. */
CADRE_API int cadre_client_await_dispatch(struct cadre_client *client, int64_t until_ns);

CADRE_END_DECLS
#endif
