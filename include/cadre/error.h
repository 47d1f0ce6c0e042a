/*
 * error.h - how Cadre says no.
 *
 * A function returns zero or a count on success and one of these values, negated,
 * otherwise. They are errno values, so strerror(-result) is never nonsense; what each
 * means *here* is written once, in this list. tests/test_error.c names, for each, tests that produce
 * it.
 *
 *   EINVAL           an argument is wrong; the diagnostic, where there is one, says which
 *   EAGAIN           a try_ call would have had to wait: the window is full, or the job
 *                    has not ended yet
 *   ETIMEDOUT        the deadline of this call passed; the job itself goes on
 *   ENOBUFS          no block of the size asked for is free just now
 *   EMSGSIZE         the payload or reply is longer than the pool's payload_max, or the
 *                    item than its stream's ring
 *   ENOENT           there is no such pool, operation or ticket
 *   EEXIST           the name is taken by a living pool
 *   EMFILE           no more of these: the client has as many named counters as it can have,
 *                    each token of the pool is in use, or this process may open no more
 *                    descriptors
 *   EUSERS           each client place of the pool is taken
 *   EPROTONOSUPPORT  the segment was created by a build with another layout
 *   EBADMSG          the segment holds impossible bytes and is not trusted any more
 *   ENOMEM           this process has no memory, or no room for the mapping
 *   ENOSPC           /dev/shm is full or too small for this pool
 *   EACCES           the pool belongs to somebody who did not let us in
 *   ECONNREFUSED     the pool is dead, or its supervisor does not answer; or the program's fork
 *                    server is dead
 *   ESHUTDOWN        the pool is stopped and takes no new jobs
 *   EOWNERDEAD       the pool died: nothing is accepted any more
 *   ESTALE           the ticket names a job whose result was released already; the token was
 *                    let go of by its owner
 *   EBUSY            somebody else has the ticket: another thread takes its result, or a
 *                    callback does; its stream was not read to the end; of an order: a
 *                    reload is under way
 *   ECANCELED        of a submission: the token of the job has ended before it; of an emit:
 *                    nobody reads on, since the job was cancelled, timed out, or its client
 *                    left; of descriptors: nobody waits for this job any more
 *   EPERM            only a cancellable token can be cancelled by hand; or the program has other
 *                    rights than when it started its fork server
 *   EXDEV            the token is another pool's
 *   EMLINK           a composite of more members than one may have
 *   ELOOP            composites are nested too deep
 *   EALREADY         the job has its reply already
 *   ENOSTR           the job was not submitted as a stream
 *   ECHILD           the handle belongs to the process that forked this one
 *   ENOTSUP          a program that has threads cannot fork workers, or a fork server, of itself
 *   EBADF            one of the descriptors to be sent is not open
 *   EHOSTDOWN        the channel leads to nobody any more: its worker has ended, or its pool;
 *                    or the pool has no workers but local ones
 *   EDEADLK          a handler would wait for a job that only its own worker can run
 *   ENOEXEC          the service or worker program could not be started; the diagnostic
 *                    carries its own words, exit status or signal
 */
#ifndef CADRE_ERROR_H
#define CADRE_ERROR_H

#include <errno.h>
#include <stdint.h>

#include <cadre/api.h>

CADRE_BEGIN_DECLS

/* One finished sentence about what could not be done, to which thing, why, and what
 * helps. Calls that can fail in many ways take one; NULL is always allowed. The text is
 * written on failure only. */
struct cadre_diag {
	char text[480];
};

/* How a job ended. Every accepted job ends in exactly one of the first seven. */
enum cadre_outcome {
	CADRE_OK = 0,         /* the handler replied */
	CADRE_FAILED = 1,     /* the handler said so; code and sentence are its own */
	CADRE_CANCELLED = 2,  /* by cadre_cancel, or because its client died */
	CADRE_TIMED_OUT = 3,  /* its own deadline passed */
	CADRE_LOST = 4,       /* its worker died while it ran: it may have run in part */
	CADRE_TERMINATED = 5, /* the pool was terminated, or died */
	CADRE_REFUSED = 6,    /* it killed workers before and is not run again */
	CADRE_WITHDRAWN = 7,  /* never accepted: given back before anyone could run it */
};

#define CADRE_OUTCOME_COUNT 8

/* The printable name of an outcome: "ok", "timed out". Never NULL. */
CADRE_API const char *cadre_outcome_name(enum cadre_outcome outcome);

CADRE_END_DECLS
#endif
