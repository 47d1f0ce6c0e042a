/*
 * descriptors.h - descriptors that travel with a job: an accepted connection, a pipe, a
 * memfd.
 *
 * Each has one owner at any time. A submission that is accepted makes the library the
 * owner; the worker's handler becomes it when it asks for them; what nobody asked for goes
 * back to the submitter, if he wants it, or is closed when the result is released. A client
 * that dies takes along what was not asked for yet: its jobs are cancelled. A worker that
 * dies takes along what it was given.
 *
 * They go from process to process over a Unix socket (SCM_RIGHTS, unix(7)), which a thread
 * of the client serves; it starts with the first such job.
 */
#ifndef CADRE_DESCRIPTORS_H
#define CADRE_DESCRIPTORS_H

#include <stddef.h>

#include <cadre/api.h>
#include <cadre/client.h>
#include <cadre/service.h>

CADRE_BEGIN_DECLS

#define CADRE_DESCRIPTORS_MAX 16 /* with one job */

/* For handlers, any thread: the descriptors of the job, in the order in which they were
 * submitted, close-on-exec; they are the handler's from then on. Returns how many: 0 when the
 * job has none, or they were asked for before. May wait for the client's process, 5 s at most
 * and no longer than the job's deadline. -EINVAL (there are more than `most`: ask again),
 * -EALREADY (the job is ended), -ECANCELED (nobody waits for this job any more), -EOWNERDEAD
 * (an earlier worker died with them), -EMFILE (this process may open no more; those that had
 * come are closed), -EBADF (the submitter has closed one that was not his any more),
 * -ETIMEDOUT (the client's process is stopped, or may open no more, or the pool is without a
 * supervisor). */
CADRE_API int cadre_job_descriptors(struct cadre_job *job, int *ret_fds, size_t most);

/* For submitters, between taking a result and releasing it: takes back the descriptors that
 * no worker asked for. Returns how many: 0 when there are none. -EINVAL (there are more than
 * `most`: ask again), -ECHILD. */
CADRE_API int cadre_take_back(struct cadre_client *client,
			      const struct cadre_result *result, int *ret_fds,
			      size_t most);

CADRE_END_DECLS
#endif
