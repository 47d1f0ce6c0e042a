/*
 * pool.c - the embedded pool from its program's side: start, stop, wait, close.
 */
#include <cadre/order.h>
#include <cadre/pool.h>

#include "client.h"
#include "clock.h"
#include "control.h"
#include "diag.h"
#include "fork_server.h"
#include "forkguard.h"
#include "keeper.h"
#include "process.h"
#include "segment.h"
#include "supervisor.h"
#include "undertaker.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_NS (5 * CADRE_NS_PER_S)
#define CLOSE_NS (10 * CADRE_NS_PER_S)

struct cadre_pool {
	char name[CADRE_NAME_MAX + 1];
	struct cadre_keeper keeper;
	struct cadre_client *client;
	struct cadre_forkguard guard;
	bool began; /* the name is this pool's */
	bool stopped;
};

/* A name that no other pool of this machine has. */
static void make_name(char name[CADRE_NAME_MAX + 1])
{
	static atomic_uint count;

	snprintf(name, CADRE_NAME_MAX + 1, "embedded-%d-%llu-%u", (int)getpid(),
		 (unsigned long long)cadre_process_self().start_time,
		 atomic_fetch_add(&count, 1));
}

static int check(const struct cadre_service *service, struct cadre_pool_options *options,
		 struct cadre_diag *diag)
{
	const unsigned threads = cadre_process_own_threads();
	int r = cadre_pool_options_complete(options, diag);

	if (r == 0 && (service || options->workers_max != CADRE_NONE))
		r = cadre_service_check(service, diag);
	if (r == 0 && options->log)
		r = cadre_refuse(diag, -EINVAL,
				 "log: the supervisor of an embedded pool is another process "
				 "(cadre_log_open reads its log in this one)");
	if (r == 0 && options->name)
		r = cadre_name_check(options->name, diag);
	if (r == 0 && threads > 1 && !cadre_fork_server_is_wanted())
		r = cadre_refuse(
			diag, -ENOTSUP,
			"cannot start an embedded pool: this program has %u threads, and a "
			"fork would copy their locks as they are (start the pool, or a fork "
			"server, first; or serve a shared object or a program with \"cadre "
			"serve\")",
			threads);
	return r;
}

static int start_keeper(const struct cadre_service *service,
			const struct cadre_pool_options *options,
			struct cadre_keeper *ret_keeper, struct cadre_diag *diag)
{
	return cadre_fork_server_is_wanted() ?
		       cadre_fork_server_start_keeper(service, options, ret_keeper, diag) :
		       cadre_keeper_start(service, options, ret_keeper, diag);
}

int cadre_pool_start(const struct cadre_service *service,
		     const struct cadre_pool_options *options,
		     struct cadre_pool **ret_pool, struct cadre_diag *diag)
{
	struct cadre_pool_options completed = options ? *options :
							(struct cadre_pool_options){
								.size = sizeof(completed)
							};
	struct cadre_pool *pool;
	int r = check(service, &completed, diag);

	if (r < 0)
		return r;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return cadre_refuse(diag, -ENOMEM, "out of memory");
	pool->keeper.pidfd = -1;
	if (completed.name)
		snprintf(pool->name, sizeof(pool->name), "%s", completed.name);
	else
		make_name(pool->name);
	completed.name = pool->name;

	r = cadre_forkguard_init(&pool->guard);
	if (r == 0)
		r = start_keeper(service, &completed, &pool->keeper, diag);
	/* A supervisor that is only late has taken the name; it must be told to end. One that
	 * found it taken must not end whoever has it. */
	pool->began = r == 0 || r == -ETIMEDOUT;
	if (r == 0) {
		const struct cadre_client_options wish = { .size = sizeof(wish),
							   .spin_ns = completed.spin_ns };

		r = cadre_client_attach(pool->name, &wish, &pool->client, diag);
	}
	if (r < 0) {
		cadre_pool_close(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

struct cadre_client *cadre_pool_client(struct cadre_pool *pool)
{
	return pool->client;
}

const char *cadre_pool_name(const struct cadre_pool *pool)
{
	return pool->name;
}

static bool has_keeper(const struct cadre_pool *pool)
{
	return pool->keeper.pidfd >= 0 && !cadre_process_is_dead(pool->keeper.pidfd);
}

/* The keeper outlives the supervisor, unless somebody killed it. */
static bool has_ended(const struct cadre_pool *pool)
{
	return !has_keeper(pool) &&
	       !(pool->client && cadre_client_has_supervisor(pool->client));
}

/* `ended` is what it means that the pool has ended. */
static int give_order(struct cadre_pool *pool, const struct cadre_order *order,
		      int64_t until_ns, int ended, struct cadre_diag *diag)
{
	const struct timespec nap = cadre_clock_timespec(CADRE_NS_PER_MS);
	struct cadre_diag said = { "" };
	int r;

	if (cadre_forkguard_is_child(&pool->guard))
		return cadre_refuse(diag, -ECHILD,
				    "the pool belongs to the process that forked this one");
	/* By now another pool may have its name. */
	if (has_ended(pool))
		return cadre_refuse(diag, ended, "the pool has ended");
	/* Refused: its supervisor died just now, and the keeper makes another; or it ended. */
	while ((r = cadre_order(pool->name, order, until_ns, &said)) == -ECONNREFUSED &&
	       !has_ended(pool) && cadre_clock_left_ns(until_ns, 1) > 0)
		nanosleep(&nap, NULL);
	if (r != 0 && has_ended(pool))
		return cadre_refuse(diag, ended, "the pool has ended");
	return r < 0 ? cadre_refuse(diag, r, "%s", said.text) : 0;
}

static int ask(struct cadre_pool *pool, enum cadre_order_kind kind, int ended)
{
	const struct cadre_order order = { .kind = kind };

	return give_order(pool, &order, cadre_clock_in_ns(ASK_NS), ended, NULL);
}

int cadre_pool_stop(struct cadre_pool *pool)
{
	const int r = ask(pool, CADRE_ORDER_STOP, 0);

	pool->stopped = r == 0;
	return r;
}

int cadre_pool_terminate(struct cadre_pool *pool)
{
	return ask(pool, CADRE_ORDER_TERMINATE, 0);
}

int cadre_pool_drain(struct cadre_pool *pool)
{
	return ask(pool, CADRE_ORDER_DRAIN, -ESHUTDOWN);
}

int cadre_pool_start_again(struct cadre_pool *pool)
{
	return ask(pool, CADRE_ORDER_START, -ESHUTDOWN);
}

int cadre_pool_scale(struct cadre_pool *pool, uint32_t workers_min, uint32_t workers_max,
		     struct cadre_diag *diag)
{
	const struct cadre_order order = { .kind = CADRE_ORDER_SCALE,
					   .workers_min = workers_min,
					   .workers_max = workers_max };

	return give_order(pool, &order, cadre_clock_in_ns(ASK_NS), -ESHUTDOWN, diag);
}

int cadre_pool_reload(struct cadre_pool *pool, int64_t until_ns, struct cadre_diag *diag)
{
	const struct cadre_order order = { .kind = CADRE_ORDER_RELOAD };

	return give_order(pool, &order, until_ns, -ESHUTDOWN, diag);
}

int cadre_pool_await_drained(struct cadre_pool *pool, int64_t until_ns)
{
	const struct timespec nap = cadre_clock_timespec(CADRE_NS_PER_MS);

	if (cadre_forkguard_is_child(&pool->guard))
		return -ECHILD;
	for (;;) {
		switch (atomic_load(&pool->client->view.header->state)) {
		case CADRE_POOL_STOPPED:
			return 0;
		case CADRE_POOL_DRAINING:
			break;
		default:
			return -ESHUTDOWN;
		}
		if (has_ended(pool))
			return -ESHUTDOWN;
		if (cadre_clock_left_ns(until_ns, 1) == 0)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
	}
}

int cadre_pool_await_end(struct cadre_pool *pool, int64_t until_ns)
{
	if (cadre_forkguard_is_child(&pool->guard))
		return -ECHILD;
	for (;;) {
		/* Of a supervisor that nobody keeps we have no descriptor to wait on. */
		const bool is_kept = has_keeper(pool);
		const int64_t left_ns = cadre_clock_left_ns(until_ns,
							    is_kept ? CADRE_NS_PER_S :
								      CADRE_NS_PER_MS);
		const struct timespec timeout = cadre_clock_timespec(left_ns);
		struct pollfd look = { .fd = pool->keeper.pidfd, .events = POLLIN };

		if (has_ended(pool)) {
			/* Keeper and supervisor may both have been killed: nobody else will. */
			if (pool->began && pool->client)
				cadre_bury_pool(pool->name,
						pool->client->view.header->created_ns);
			return 0;
		}
		if (left_ns == 0)
			return -ETIMEDOUT;
		ppoll(&look, is_kept, &timeout, NULL);
	}
}

void cadre_pool_close(struct cadre_pool *pool)
{
	if (!pool)
		return;
	if (pool->guard.page && !cadre_forkguard_is_child(&pool->guard)) {
		if (pool->began && !pool->stopped)
			(void)cadre_pool_terminate(pool);
		(void)cadre_pool_await_end(pool, pool->stopped ?
							 CADRE_FOREVER :
							 cadre_clock_in_ns(CLOSE_NS));
	}
	cadre_client_detach(pool->client);
	if (pool->keeper.pidfd >= 0)
		close(pool->keeper.pidfd);
	cadre_forkguard_fini(&pool->guard);
	free(pool);
}
