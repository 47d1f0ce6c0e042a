#include "gearman.h"

#if BENCH_HAS_GEARMAN

#include "broker.h"
#include "pools.h"

#include <errno.h>
#include <libgearman-1.0/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FUNCTION "empty"
#define PATIENCE_MS 10000

static void *do_nothing(gearman_job_st *job, void *context, size_t *ret_size,
			gearman_return_t *ret_result)
{
	(void)job;
	(void)context;
	*ret_size = 0;
	*ret_result = GEARMAN_SUCCESS;
	return NULL;
}

static void work(void *shared)
{
	const struct server *const server = shared;
	gearman_worker_st *const worker = gearman_worker_create(NULL);

	gearman_worker_add_server(worker, "127.0.0.1", server->port);
	gearman_worker_add_function(worker, FUNCTION, 0, do_nothing, NULL);
	while (gearman_success(gearman_worker_work(worker)))
		continue;
	_exit(1);
}

static int refuse(gearman_client_st *client)
{
	fprintf(stderr, "cadre-bench: gearman: %s\n", gearman_client_error(client));
	return -EPROTO;
}

static int do_one(gearman_client_st *client)
{
	gearman_return_t result;
	size_t size;

	free(gearman_client_do(client, FUNCTION, NULL, NULL, 0, &size, &result));
	return gearman_success(result) ? 1 : refuse(client);
}

static int turn(void *context, uint32_t in_flight)
{
	gearman_client_st *const client = context;
	gearman_return_t result = GEARMAN_SUCCESS;

	if (in_flight == 1)
		return do_one(client);
	for (uint32_t i = 0; i < in_flight && gearman_success(result); i++)
		gearman_client_add_task(client, NULL, NULL, FUNCTION, NULL, NULL, 0,
					&result);
	if (gearman_success(result))
		result = gearman_client_run_tasks(client);
	gearman_client_task_free_all(client);
	return gearman_success(result) ? (int)in_flight : refuse(client);
}

static int ask(const struct server *server, double *ret_values)
{
	gearman_client_st *const client = gearman_client_create(NULL);
	int r;

	gearman_client_add_server(client, "127.0.0.1", server->port);
	gearman_client_set_timeout(client, PATIENCE_MS);
	r = pools_measure(server->bench, turn, client, ret_values);
	gearman_client_free(client);
	return r;
}

static int run(struct server *server)
{
	return server_run(server, "package gearman-job-server",
			  (const char *[]){ "gearmand", "-L", "127.0.0.1", "-p",
					    server->port_text, "-l", "stderr", NULL });
}

int gearman_pools(const struct bench *bench, const void *with, double *ret_values)
{
	static const struct broker gearmand = { run, work, ask };

	(void)with;
	return broker_pools(bench, &gearmand, ret_values);
}

#else

int gearman_pools(const struct bench *bench, const void *with, double *ret_values)
{
	(void)bench;
	(void)with;
	(void)ret_values;
	return bench_absent("built without libgearman (package libgearman-dev)");
}

#endif
