/*
 * signatory.h - a service that signs the descriptors of its jobs, for Criterion: who reads the
 * other end of such a pipe knows who had it.
 *
 *	TestSuite(descriptors, TROUPE);
 *
 *	START_SIGNATORY(ONE_WORKER);
 */
#ifndef SIGNATORY_H
#define SIGNATORY_H

#include "pipes.h"

#include <signal.h>
#include <sys/resource.h>

enum {
	SIGN = 1, /* a number: writes it into each descriptor, closes them, replies with how many;
		   * or fails with what asking returned */
	IGNORE,     /* does not ask; replies with nothing */
	TWICE,      /* asks with no room, then with room, then again; tells what it got */
	HOLD,       /* a number: waits for the gate, then as SIGN */
	DIE_BEFORE, /* dies in its first attempt before it asks; later as SIGN */
	DIE_AFTER,  /* likewise, after it asked */
	STARVE,     /* as SIGN, but may open no descriptor meanwhile */
	WHO,        /* replies with its pid */
	TAKE,       /* asks for them and closes them */
};

static inline int sign(struct cadre_job *job, uint32_t number)
{
	int fds[CADRE_DESCRIPTORS_MAX];
	const int count = cadre_job_descriptors(job, fds, CADRE_DESCRIPTORS_MAX);

	for (int i = 0; i < count; i++) {
		if (write(fds[i], &number, sizeof(number)) != sizeof(number))
			return -errno;
		close(fds[i]);
	}
	return count;
}

static inline void end_with(struct cadre_job *job, int count)
{
	if (count < 0)
		cadre_job_fail(job, -count, "%s", strerror(-count));
	else
		cadre_job_reply(job, &(uint32_t){ (uint32_t)count }, sizeof(uint32_t));
}

static inline void do_sign(struct cadre_job *job, void *state)
{
	(void)state;
	end_with(job, sign(job, troupe_number_of(job)));
}

static inline void do_ignore(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_reply(job, NULL, 0);
}

static inline void do_twice(struct cadre_job *job, void *state)
{
	int fds[CADRE_DESCRIPTORS_MAX];
	struct troupe_board *const board = troupe.board;

	(void)state;
	atomic_store(&board->told[0], cadre_job_descriptors(job, fds, 0));
	atomic_store(&board->told[1], cadre_job_descriptors(job, fds, 2));
	for (int i = 0; i < 2; i++)
		close(fds[i]);
	atomic_store(&board->told[2], cadre_job_descriptors(job, fds, 2));
	end_with(job, 2);
}

static inline void do_hold(struct cadre_job *job, void *state)
{
	struct troupe_board *const board = troupe.board;

	(void)state;
	atomic_fetch_add(&board->waiting, 1);
	while (atomic_load(&board->gate) < troupe_number_of(job))
		child_pause_ms(1);
	atomic_fetch_sub(&board->waiting, 1);
	atomic_store(&board->told[0], sign(job, troupe_number_of(job)));
	atomic_fetch_add(&board->has_told, 1);
	end_with(job, atomic_load(&board->told[0]));
}

static inline void do_die_before(struct cadre_job *job, void *state)
{
	if (cadre_job_attempt(job) == 0)
		raise(SIGKILL);
	do_sign(job, state);
}

static inline void do_die_after(struct cadre_job *job, void *state)
{
	int fds[CADRE_DESCRIPTORS_MAX];

	if (cadre_job_attempt(job) == 0) {
		(void)cadre_job_descriptors(job, fds, CADRE_DESCRIPTORS_MAX);
		raise(SIGKILL);
	}
	do_sign(job, state);
}

static inline void do_starve(struct cadre_job *job, void *state)
{
	struct rlimit before, none;
	int r;

	(void)state;
	/* The connection is made first, by a job that is served before this one. */
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 1; /* poll(2) wants as much for one */
	setrlimit(RLIMIT_NOFILE, &none);
	r = sign(job, 1);
	setrlimit(RLIMIT_NOFILE, &before);
	atomic_store(&troupe.board->told[0], r);
	end_with(job, r);
}

static inline void do_who(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_reply(job, &(uint32_t){ (uint32_t)getpid() }, sizeof(uint32_t));
}

static inline void do_take(struct cadre_job *job, void *state)
{
	int fds[CADRE_DESCRIPTORS_MAX];
	const int count = cadre_job_descriptors(job, fds, CADRE_DESCRIPTORS_MAX);

	(void)state;
	for (int i = 0; i < count; i++)
		close(fds[i]);
	end_with(job, count);
}

static const struct cadre_operation signatory_operations[] = {
	{ SIGN, "sign", do_sign },
	{ IGNORE, "ignore", do_ignore },
	{ TWICE, "twice", do_twice },
	{ HOLD, "hold", do_hold },
	{ DIE_BEFORE, "die-before", do_die_before },
	{ DIE_AFTER, "die-after", do_die_after },
	{ STARVE, "starve", do_starve },
	{ WHO, "who", do_who },
	{ TAKE, "take", do_take },
};

static const struct cadre_service signatory = {
	.size = sizeof(signatory),
	.name = "signatory",
	.operations = signatory_operations,
	.operation_count = sizeof(signatory_operations) / sizeof(signatory_operations[0]),
};

#define START_SIGNATORY(...) START_SERVICE(&signatory, __VA_ARGS__)

static inline bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static inline uint32_t read_signature(const struct line *line)
{
	uint32_t number = 0;

	cr_assert_eq(read(line->from, &number, sizeof(number)), sizeof(number));
	return number;
}

#endif
