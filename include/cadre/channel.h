/*
 * channel.h - addresses that can be handed on: of a pool, of one worker of it, or of a local
 * worker; and calls from within a handler.
 *
 * A channel is plain bytes, 88 of them: copy it into start arguments, into a payload, into a
 * file. Any process of the machine that may attach to the pool can use it, any number at
 * once. What it leads to is not kept alive by it, nor ended by closing it. Bytes that came
 * in a message are checked whenever they are used.
 *
 *   struct cadre_channel cache;              handed to us
 *   struct cadre_client *client;
 *
 *   cadre_channel_open(&cache, &client, &diag);
 *   cadre_job_call(job, client, &(struct cadre_request){ .to = &cache, ... }, &result);
 *   cadre_release(client, &result);
 *   cadre_channel_close(client);
 *
 * Jobs over a channel to one worker are taken by that very process only: not by others, and
 * not by its successor in the same place. When it ends, those that it has not begun end as
 * lost, with the code CADRE_STATUS_NOT_BEGUN; what is submitted afterwards is refused with
 * -EHOSTDOWN. Such a job is tried once, idempotent or not.
 */
#ifndef CADRE_CHANNEL_H
#define CADRE_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/client.h>
#include <cadre/error.h>
#include <cadre/service.h>

CADRE_BEGIN_DECLS

/* Copy it, compare it, print `pool`; make it with the functions below. */
struct cadre_channel {
	uint32_t magic;
	uint16_t kind;
	uint16_t worker;      /* its place, when it leads to one worker */
	uint32_t incarnation; /* and which of those that ever sat there */
	uint32_t spare;
	int64_t created_ns; /* of the pool: another one may have its name by now */
	char pool[64];      /* ends with a zero byte */
};

/* The pool that this client is attached to. */
CADRE_API void cadre_channel_of_pool(const struct cadre_client *client,
				     struct cadre_channel *ret_channel);

/* The worker that sits in that place now. -EINVAL (there is no such place), -EHOSTDOWN
 * (nobody sits there). */
CADRE_API int cadre_channel_of_worker(const struct cadre_client *client, uint32_t place,
				      struct cadre_channel *ret_channel);

/* The worker that runs this job. Before the first job a service's init finds it in struct
 * cadre_start. */
CADRE_API void cadre_channel_of_job(const struct cadre_job *job,
				    struct cadre_channel *ret_channel);

/* The pool that has this name now. -ENOENT, and others as cadre_client_attach. */
CADRE_API int cadre_channel_of_name(const char *pool, struct cadre_channel *ret_channel,
				    struct cadre_diag *diag);

/* Are these bytes a channel? 0, or -EINVAL with a sentence. Says nothing about what it
 * leads to. */
CADRE_API int cadre_channel_check(const struct cadre_channel *channel,
				  struct cadre_diag *diag);

/* This process's client of the channel's pool: attached at the first open, shared by all
 * threads and channels of that pool afterwards, which costs no system call. Give it back
 * with cadre_channel_close, not with cadre_client_detach; with the last one it detaches. For
 * a channel to one worker put the channel into each request's `to`, too. May block while it
 * attaches, as cadre_client_attach. -EINVAL (not a channel), -EHOSTDOWN (its pool is gone,
 * whoever has the name now), -ENOMEM, and others as cadre_client_attach. */
CADRE_API int cadre_channel_open(const struct cadre_channel *channel,
				 struct cadre_client **ret_client,
				 struct cadre_diag *diag);

/* Gives back what cadre_channel_open gave; the target goes on. The last one of its pool
 * detaches, as cadre_client_detach: what this client has outstanding is cancelled. In a
 * forked child it frees the copy only. NULL is allowed. */
CADRE_API void cadre_channel_close(struct cadre_client *client);

/* For handlers: submits, waits and takes, as cadre_call, but no longer than anybody waits for
 * `job`. The request inherits the job's deadline if that is the earlier one; a request that
 * has none and whose job has none is given 30 s (CADRE_FOREVER: as long as it takes), so that
 * workers who wait for each other in a circle do not do so for ever. When the job is
 * cancelled, or past its deadline, the call ends within 20 ms: its own job is cancelled and
 * -ECANCELED is returned.
 *
 * -EDEADLK: nobody but this worker could run it (the request is for itself, or for its own
 * pool of one worker), and each handler that it may run at once waits for that already, this
 * one included. Others as cadre_call. Any thread
 * that has the job. */
CADRE_API int cadre_job_call(struct cadre_job *job, struct cadre_client *client,
			     const struct cadre_request *request,
			     struct cadre_result *ret_result);

CADRE_END_DECLS
#endif
