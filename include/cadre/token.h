/*
 * token.h - one signal that cancels any number of jobs, of any clients of a pool.
 *
 * A token lives in the pool's segment. Whoever has its name, plain bytes that travel in start
 * arguments and messages, can open it in any process that is attached, submit jobs with it
 * (struct cadre_request.token), look at it and listen to it.
 *
 *   cancellable   ends when somebody cancels it: its owner or whoever opened it
 *   timeout       ends so long after the first job with it was taken by a worker; the clock
 *                 starts once, for all jobs that share it. A duration of 0: at once
 *   any           ends with the first of its members
 *   all           ends when all of its members have ended
 *
 * Its end ends its jobs, pending and running, as cadre_cancel would: as *timed out* when it
 * is a timeout that ended, else as *cancelled*, with its message as their sentence. A
 * composite takes both from the member that ended it; one of all members is *timed out* when
 * each of them is. A job whose token has ended is refused with -ECANCELED.
 *
 * A token belongs to the client that created it. When that releases it, detaches or dies,
 * nobody can use its name any more (-ESTALE); jobs and composites that have it already keep
 * it, a timeout's clock goes on, and the last of them gives its place back.
 */
#ifndef CADRE_TOKEN_H
#define CADRE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/error.h>

CADRE_BEGIN_DECLS

struct cadre_client;
struct cadre_job;

enum cadre_token_kind {
	CADRE_TOKEN_CANCELLABLE = 0,
	CADRE_TOKEN_TIMEOUT = 1,
	CADRE_TOKEN_ANY = 2,
	CADRE_TOKEN_ALL = 3,
};

#define CADRE_TOKEN_MEMBERS_MAX 8
#define CADRE_TOKEN_NESTING_MAX 3 /* composites within composites */

/* A process's handle of a token. Any thread may use it; it belongs to the client with which
 * it was made, and goes with that at the latest. */
struct cadre_token;

/* What to send to others: any bytes, with no pointer in them. */
struct cadre_token_name {
	uint8_t bytes[16];
};

/* ---- making ----
 *
 * `message` is what jobs are told that end by it, cut after CADRE_SENTENCE_MAX bytes; NULL for
 * none. Errors of all: -EMFILE (each token of the pool is in use), -ENOMEM, -ECHILD,
 * -EOWNERDEAD. None of them blocks. */

CADRE_API int cadre_token_create(struct cadre_client *client, const char *message,
				 struct cadre_token **ret_token);

/* -EINVAL: a negative duration. */
CADRE_API int cadre_token_create_timeout(struct cadre_client *client, int64_t duration_ns,
					 const char *message,
					 struct cadre_token **ret_token);

/* Of 1 to CADRE_TOKEN_MEMBERS_MAX members, which may have ended already: that counts at once.
 * Taking a job with a composite starts the clocks of all timeouts in it. The handles of the
 * members may be released before it. -EINVAL (of nothing), -EMLINK (too many members), -ELOOP
 * (nested too deep), -EXDEV (a member of another pool), -ESTALE (a member was released). */
CADRE_API int cadre_token_create_any(struct cadre_client *client,
				     struct cadre_token *const *members, size_t count,
				     const char *message, struct cadre_token **ret_token);
CADRE_API int cadre_token_create_all(struct cadre_client *client,
				     struct cadre_token *const *members, size_t count,
				     const char *message, struct cadre_token **ret_token);

/* The owner's handle: lets go of the token. Another's: frees the handle. Its listeners are
 * dropped uncalled; one that is being called in another thread is waited for. NULL is
 * allowed. In a forked child it frees the copy only. */
CADRE_API void cadre_token_release(struct cadre_token *token);

/* ---- handing on ---- */

CADRE_API void cadre_token_name(const struct cadre_token *token,
				struct cadre_token_name *ret_name);

/* Opens a token by its name. -ESTALE (its owner has let go of it, or it never was), -EXDEV
 * (of another pool), -ENOMEM, -ECHILD. */
CADRE_API int cadre_token_open(struct cadre_client *client,
			       const struct cadre_token_name *name,
			       struct cadre_token **ret_token);

/* In a handler: the name of the job's token, for jobs of its own. -ENOENT: it has none. */
CADRE_API int cadre_job_token(const struct cadre_job *job,
			      struct cadre_token_name *ret_name);

/* ---- ending and looking ---- */

/* Ends a cancellable token and with it its jobs; listeners of this client are called before
 * it returns, by this thread. 0 also when it has ended already. -EPERM: only a cancellable
 * token can be cancelled by hand; -ESTALE, -ECHILD. */
CADRE_API int cadre_token_cancel(struct cadre_token *token);

struct cadre_token_status {
	enum cadre_token_kind kind;
	bool ended;
	/* When it has ended: CADRE_CANCELLED or CADRE_TIMED_OUT. */
	enum cadre_outcome outcome;
	/* When time alone will end it, as far as clocks have started: CLOCK_MONOTONIC
	 * nanoseconds, INT64_MAX for never. */
	int64_t due_ns;
	char message[160]; /* of all its reasons, once it has ended; else its own */
};

/* One look; never blocks. -ESTALE, -ECHILD. */
CADRE_API int cadre_token_look(struct cadre_token *token,
			       struct cadre_token_status *ret_status);

/* Told that a token has ended. When its owner let go of it before it did, it never will:
 * then status->ended is false. */
typedef void cadre_token_fn(struct cadre_token *token,
			    const struct cadre_token_status *status, void *context);

/* Has `ended` called once: by cadre_client_dispatch of the token's client (whose descriptor
 * tells of it), by cadre_token_cancel, or, when the token has ended already, by this call.
 * It may use and release tokens, but not this one. A listener counts as an outstanding
 * callback of its client. -EINVAL, -ENOMEM, -ECHILD. */
CADRE_API int cadre_token_listen(struct cadre_token *token, cadre_token_fn *ended,
				 void *context);

CADRE_END_DECLS
#endif
