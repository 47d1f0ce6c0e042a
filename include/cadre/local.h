/*
 * local.h - local workers: serve a service inside this very process, so that the workers of
 * pools can call back into the program that started them.
 *
 * A local worker has a place in a pool (options.locals_max of them), and takes only what is
 * aimed at it over its channel: it is no part of the crew, is shown apart from the workers
 * (cadre_report_guest), and is never killed: a job past its deadline ends for its caller, and
 * its handler goes on until it looks or is called back (cadre_job_on_cancel). When this
 * process dies its jobs end as lost.
 *
 * Driven by the program's own event loop:
 *
 *   cadre_local_open("hub", &service, NULL, &local, &diag);
 *   cadre_local_channel(local, &channel);        hand it to whoever shall call
 *   poll(cadre_local_fd(local)) -> cadre_local_step(local), again and again
 *   cadre_local_close(local);
 *
 * or by a thread of its own: cadre_local_start_thread instead of fd and step. Handlers may
 * reply later (cadre_job_defer), from any thread.
 *
 * A channel that is to be in the *start arguments* of a pool must exist before that pool. Then
 * open the local worker in a pool that has no workers of its own: cadre_pool_start(NULL,
 * options with workers_max = CADRE_NONE); before it has a thread or an fd, other embedded
 * pools can still be started.
 */
#ifndef CADRE_LOCAL_H
#define CADRE_LOCAL_H

#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/channel.h>
#include <cadre/error.h>
#include <cadre/service.h>

CADRE_BEGIN_DECLS

struct cadre_local;

/* Zero means the default, given behind each. */
struct cadre_local_options {
	size_t size;            /* sizeof(struct cadre_local_options) */
	uint32_t parallel;      /* jobs at once, those that reply later included: 1 */
	const void *start_data; /* given to the service's init: none */
	size_t start_length;
	int64_t spin_ns;    /* how long its thread looks before it sleeps; 0: as pools do;
	                  * negative: never. A program with work of its own wants that */
	int64_t timeout_ns; /* of opening, relative: 5 s */
};

/* Takes a place in the pool of that name and runs the service's init in this process. The
 * service must stay valid. options may be NULL. Blocks up to the timeout. -EUSERS (no place
 * is left), -EINVAL, -ENOEXEC (init failed), and others as cadre_client_attach. */
CADRE_API int cadre_local_open(const char *pool, const struct cadre_service *service,
			       const struct cadre_local_options *options,
			       struct cadre_local **ret_local, struct cadre_diag *diag);

/* The channel that leads to it. Any thread. */
CADRE_API void cadre_local_channel(const struct cadre_local *local,
				   struct cadre_channel *ret_channel);

/* A descriptor that polls readable when cadre_local_step has something to do. Belongs to
 * the local worker; made, with a thread that watches over it, at the first call. */
CADRE_API int cadre_local_fd(struct cadre_local *local);

/* Takes and runs what jobs there are room for, in this thread, at most `most` of them (0: as
 * long as there are some); never sleeps. Returns how many handlers ran, or -ESHUTDOWN when
 * it was stopped, or its pool ended, and nothing is left to do; -ECHILD. One thread at a
 * time. */
CADRE_API int cadre_local_step(struct cadre_local *local, unsigned most);

/* Lets a thread of its own drive it from now on. It gets no signals. 0, or negative errno;
 * -EALREADY. Do not use fd and step then. */
CADRE_API int cadre_local_start_thread(struct cadre_local *local);

/* Takes no more from now on; returns at once; twice is the same as once. Any thread. */
CADRE_API void cadre_local_stop(struct cadre_local *local);

/* Stops it, waits until the jobs that it runs or owes a reply have ended, runs the service's
 * fini, gives the place back, and frees the handle. What was aimed at it and has not begun
 * ends as lost, CADRE_STATUS_NOT_BEGUN. Not from one of its handlers. In a forked child it
 * frees the copy only. NULL is allowed. */
CADRE_API void cadre_local_close(struct cadre_local *local);

CADRE_END_DECLS
#endif
