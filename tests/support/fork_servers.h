/*
 * fork_servers.h - what tests of fork servers share, for Criterion.
 *
 *	TestSuite(fork_server, FORK_SERVERS);
 *
 * There are two kinds of claim. In one the troupe's program has a server and starts its pool
 * by that (START_WITH), and the test is a client as ever. In the other, TestInChild, the child
 * is the program: have_server, then use_pool as often as it likes.
 */
#ifndef FORK_SERVERS_H
#define FORK_SERVERS_H

#include "claims.h"

#include "fork_server.h"

#include <signal.h>
#include <stdlib.h>

/* What test and program tell each other. */
static struct {
	_Atomic pid_t server;
	_Atomic int may_end;
} * agreed;

static inline void enter(void)
{
	troupe_enter();
	agreed = child_share(sizeof(*agreed));
}

/* A server notices by itself that its program has ended. */
static inline void leave(void)
{
	if (!troupe_close(&troupe) || !eventually(troupe_living() == 0))
		abort();
	troupe_leave();
}

#define FORK_SERVERS .init = enter, .fini = leave, .timeout = 60

static inline const char *pool(void)
{
	return troupe.scene.pool;
}

/* ---- the troupe's program has it ---- */

static inline int start_server(struct cadre_diag *diag)
{
	const int r = cadre_fork_server_start(diag);

	atomic_store(&agreed->server, cadre_fork_server_pid());
	return r;
}

/* Any function that a program may be prepared with. */
#define START_WITH(prepare_, ...) \
	START_SERVICE_WITH(prepare_, &troupe_service, __VA_ARGS__)
#define START_SERVICE_WITH(prepare_, service, ...)   \
	do {                                         \
		troupe.prepare = (prepare_);         \
		START_SERVICE(service, __VA_ARGS__); \
	} while (0)

/* ---- a child has it ---- */

static inline pid_t have_server(void)
{
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	return cadre_fork_server_pid();
}

static inline void kill_server(void)
{
	kill(cadre_fork_server_pid(), SIGKILL);
	CHILD_CHECK(eventually(cadre_fork_server_pid() == 0));
}

/* What the last start of a pool had to say. */
static struct cadre_diag said;

static inline struct cadre_pool_options one_worker(void)
{
	return (struct cadre_pool_options){ .size = sizeof(struct cadre_pool_options),
					    .name = pool(),
					    ONE_WORKER };
}

static inline int start_pool(const struct cadre_service *service,
			     struct cadre_pool_options options,
			     struct cadre_pool **ret_pool)
{
	said.text[0] = '\0';
	return cadre_pool_start(service, &options, ret_pool, &said);
}

/* Starts a pool, calls its worker, closes it. 0 or what the start returned. */
static inline int use_pool_of(struct cadre_pool_options options)
{
	const struct cadre_request request = ASK(TROUPE_LOG, 1);
	struct cadre_pool *started;
	struct cadre_result result;
	int r = start_pool(&troupe_service, options, &started);

	if (r < 0)
		return r;
	r = cadre_call(cadre_pool_client(started), &request, &result);
	if (r == 0 && result.outcome != CADRE_OK)
		r = -EBADMSG;
	cadre_pool_close(started);
	return r;
}

static inline int use_pool(void)
{
	return use_pool_of(one_worker());
}

/* Whether the last start of a pool, or of a server, said these words. */
static inline bool it_said(const char *words)
{
	return strstr(said.text, words);
}

#endif
