/*
 * locals.h - what tests of local workers share, for Criterion: the service that runs in the
 * owner's own process, and short forms of opening. The test is the owner; its pools are
 * embedded in the troupe's program, or served by it.
 *
 *	TestSuite(local, LOCALS);
 */
#ifndef LOCALS_H
#define LOCALS_H

#include "claims.h"

#include <pthread.h>
#include <unistd.h>

static struct cadre_local *local;
static struct cadre_channel channel;

/* ---- the owner's service ---- */

enum { ADD = 1, OWNER = 2, PARK = 3, BUSY = 4, SIGN = 5 };

static pthread_t served_by;
static struct cadre_job *parked[8];
static unsigned parked_count, inits, finis;
static char start_text[32];
static _Atomic int busy, calls_back, on_cancel_returned;

static inline int init(const struct cadre_start *start, void **ret_state,
		       struct cadre_diag *diag)
{
	(void)diag;
	if (start->length < sizeof(start_text) && start->length)
		memcpy(start_text, start->data, start->length);
	*ret_state = &inits;
	inits++;
	return 0;
}

static inline int fini(void *state)
{
	(void)state;
	finis++;
	return 0;
}

static inline void add(struct cadre_job *job, void *state)
{
	uint32_t number;
	size_t length;

	(void)state;
	memcpy(&number, cadre_job_data(job, &length), sizeof(number));
	number += 1000;
	served_by = pthread_self();
	cadre_job_reply(job, &number, sizeof(number));
}

static inline void tell_owner(struct cadre_job *job, void *state)
{
	const uint32_t pid = (uint32_t)getpid();

	(void)state;
	cadre_job_reply(job, &pid, sizeof(pid));
}

/* Is answered when the owner likes. */
static inline void park(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_defer(job);
	parked[parked_count++] = job;
}

static inline void hear_of_cancel(struct cadre_job *job, void *context)
{
	_Atomic bool *const cancelled = context;

	atomic_fetch_add(&calls_back, cadre_job_cancelled(job));
	atomic_store(cancelled, true);
}

/* Looks at nothing of its job, and is back only when somebody else tells it. */
static inline void be_busy(struct cadre_job *job, void *state)
{
	_Atomic bool cancelled = false;

	(void)state;
	atomic_store(&on_cancel_returned,
		     cadre_job_on_cancel(job, hear_of_cancel, &cancelled));
	atomic_store(&busy, 1);
	while (!atomic_load(&cancelled))
		child_pause_ms(1);
	atomic_store(&busy, 0);
	cadre_job_reply(job, "", 0);
}

/* Writes its pid into the descriptor that came with the job. */
static inline void sign(struct cadre_job *job, void *state)
{
	const pid_t pid = getpid();
	int fd;
	const int count = cadre_job_descriptors(job, &fd, 1);

	(void)state;
	if (count != 1 || write(fd, &pid, sizeof(pid)) != sizeof(pid)) {
		cadre_job_fail(job, 1, "%d descriptors", count);
		return;
	}
	close(fd);
	cadre_job_reply(job, "", 0);
}

static const struct cadre_operation operations[] = {
	{ ADD, "add", add },       { OWNER, "owner", tell_owner }, { PARK, "park", park },
	{ BUSY, "busy", be_busy }, { SIGN, "sign", sign },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "owner",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.init = init,
	.fini = fini,
};

static inline void forget(void)
{
	local = NULL;
	parked_count = inits = finis = 0;
	memset(start_text, 0, sizeof(start_text));
	busy = calls_back = 0;
	on_cancel_returned = 1;
	troupe_enter();
}

#define LOCALS .init = forget, .fini = troupe_leave, .timeout = 60

static inline int try_open(const struct cadre_local_options *options)
{
	return cadre_local_open(troupe.scene.pool, &service, options, &local,
				&troupe.diag);
}

static inline void open_local(uint32_t parallel)
{
	const struct cadre_local_options options = { .size = sizeof(options),
						     .parallel = parallel };

	cr_assert_eq(try_open(&options), 0, "%s", troupe.diag.text);
	cadre_local_channel(local, &channel);
}

/* For a child: opens one, tells of its channel, and of the first job that it takes. */
static inline int own_and_die(void *context)
{
	struct cadre_channel *const shared = context;

	CHILD_CHECK(try_open(NULL) == 0);
	cadre_local_channel(local, shared);
	/* Takes one, and never replies. */
	while (cadre_local_step(local, 1) == 0)
		child_pause_ms(1);
	shared->spare = 1;
	child_idle();
}

#endif
