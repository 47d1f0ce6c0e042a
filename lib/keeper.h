/*
 * keeper.h - the process between an embedding program and the supervisors of its pool.
 *
 * The keeper is a small, single-threaded fork of the program. It does one thing: when a
 * supervisor dies without having ended the pool, it forks the next one, which takes the
 * living workers over. It is the subreaper of all of them, so no zombie stays behind. Two
 * forks lie between it and the program, whose own wait() never sees it.
 */
#ifndef CADRE_KEEPER_H
#define CADRE_KEEPER_H

#include <sys/types.h>

#include <cadre/pool.h>

#include "process.h"

/* A keeper as its program knows it. */
struct cadre_keeper {
	pid_t pid;
	int pidfd; /* negative: it has ended already */
};

/* Forks the keeper and returns when the pool is ready. */
int cadre_keeper_start(const struct cadre_service *service,
		       const struct cadre_pool_options *options,
		       struct cadre_keeper *ret_keeper, struct cadre_diag *diag);

/* ---- the same in parts: `line` is a socket between program and keeper ---- */

/* Makes the calling process, which nobody waits for, the keeper of that program's pool. */
_Noreturn void cadre_keeper_be(const struct cadre_service *service,
			       const struct cadre_pool_options *options,
			       const struct cadre_identity *program, int line);

/* The first message on the line: who is going to be the keeper, or why there is none. */
int cadre_keeper_say_who(int line);
void cadre_keeper_say_why_not(int line, int error, const char *text);

/* The program's side of it. -ENOEXEC, -ETIMEDOUT, or the error that was said. */
int cadre_keeper_meet(int line, int64_t until_ns, struct cadre_keeper *ret_keeper,
		      struct cadre_diag *diag);

/* Waits until the pool is ready. -ENOEXEC, -ETIMEDOUT, or the error that was said. */
int cadre_keeper_await_ready(int line, const struct cadre_pool_options *options,
			     struct cadre_diag *diag);

#endif
