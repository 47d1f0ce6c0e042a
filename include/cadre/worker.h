/*
 * worker.h - be a worker program: what `cadre serve ... -- PROGRAM ARGS` starts.
 */
#ifndef CADRE_WORKER_H
#define CADRE_WORKER_H

#include <cadre/api.h>
#include <cadre/error.h>
#include <cadre/service.h>

CADRE_BEGIN_DECLS

/* Serves until the supervisor ends this worker; returns the exit status for main. Started
 * by hand instead of by a supervisor, it says so on standard error and returns 64. Call it
 * before the program starts threads of its own; handlers may start some. */
CADRE_API int cadre_worker_main(const struct cadre_service *service);

/* ---- the same, driven by an event loop of the program's own ---- */

struct cadre_worker;

/* Becomes the worker that the environment names. Runs the service's init. The handle is
 * used by one thread; jobs that were deferred may be ended by any. -ENOENT when no
 * supervisor started this program, -ENOEXEC when init failed, -ECONNREFUSED. */
CADRE_API int cadre_worker_open(const struct cadre_service *service,
				struct cadre_worker **ret_worker, struct cadre_diag *diag);

/* A descriptor that polls readable when cadre_worker_step has something to do. */
CADRE_API int cadre_worker_fd(struct cadre_worker *worker);

/* Takes and runs what jobs there are room for; never sleeps. Returns how many handlers
 * ran, or -ESHUTDOWN when the worker was told to end and has nothing left to do. */
CADRE_API int cadre_worker_step(struct cadre_worker *worker);

/* Told when a service that was replaced is done with. */
typedef void cadre_released_fn(const struct cadre_service *service, void *context);

/* Replaces the service of this worker while its handlers run: jobs that were begun end under
 * the service that began them (deferred ones included), those taken from now on are the new
 * one's, whose init is run first. When the last job of the old one is over, later, and in a
 * thread of liburcu's, its fini is called, which must wait for threads that run its code, and
 * then `released`, unless NULL, which may unload that code; cadre_worker_close waits for it.
 * Clients know the operations by the names that the pool was started with. Any thread,
 * handlers too, but not beside cadre_worker_close; several at once are put in place one after
 * the other. -EINVAL (no service, or CADRE_SERVICE_THREADS would change), -ENOEXEC (init
 * failed; nothing has changed), -ENOMEM. */
CADRE_API int cadre_worker_reload(struct cadre_worker *worker,
				  const struct cadre_service *service,
				  cadre_released_fn *released, void *context,
				  struct cadre_diag *diag);

/* Runs fini and leaves the pool. */
CADRE_API void cadre_worker_close(struct cadre_worker *worker);

CADRE_END_DECLS
#endif
