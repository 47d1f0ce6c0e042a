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

/* A keeper as its program knows it. */
struct cadre_keeper {
	pid_t pid;
	int pidfd;
};

/* Forks the keeper and returns when the pool is ready. */
int cadre_keeper_start(const struct cadre_service *service,
		       const struct cadre_pool_options *options,
		       struct cadre_keeper *ret_keeper, struct cadre_diag *diag);

#endif
