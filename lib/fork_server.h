/*
 * fork_server.h - forks keepers from a small, old self of the program.
 *
 * The server is a loop of one thread that reads a message and forks; the child does all that
 * can go wrong. README.md says what it keeps, whose child it is, and who dies where.
 */
#ifndef CADRE_LIB_FORK_SERVER_H
#define CADRE_LIB_FORK_SERVER_H

#include <stdbool.h>

#include <cadre/fork_server.h>

#include "keeper.h"

/* This process has started one and did not stop it. It may be dead. */
bool cadre_fork_server_is_wanted(void);

/* Its pid; 0 when there is none, or none that lives. */
pid_t cadre_fork_server_pid(void);

/* As cadre_keeper_start, but the fork server forks it. Also -ECONNREFUSED (it is dead), -EPERM
 * (the program has other rights than it), -EINVAL (a function that it does not have). */
int cadre_fork_server_start_keeper(const struct cadre_service *service,
				   const struct cadre_pool_options *options,
				   struct cadre_keeper *ret_keeper,
				   struct cadre_diag *diag);

#endif
