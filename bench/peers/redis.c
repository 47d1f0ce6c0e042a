#include "redis.h"

#if BENCH_HAS_HIREDIS

#include "broker.h"
#include "pools.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

struct client {
	redisContext *connection;
	uint32_t outstanding;
};

static redisContext *connect_to(const struct server *server)
{
	redisContext *const connection = redisConnectUnix(server->socket);

	if (connection && !connection->err)
		return connection;
	if (connection)
		redisFree(connection);
	return NULL;
}

/* RPUSH of so many empty jobs, to be sent with the next command. */
static void append_push(redisContext *connection, const char *list, uint32_t count)
{
	const char *words[2 + POOLS_MOST] = { "RPUSH", list };

	for (uint32_t i = 0; i < count; i++)
		words[2 + i] = "";
	redisAppendCommandArgv(connection, 2 + (int)count, words, NULL);
}

static void append_take(redisContext *connection, const char *list)
{
	redisAppendCommand(connection, "BLMPOP 0 1 %s LEFT COUNT %d", list, POOLS_MOST);
}

/* 0, or -EPROTO after saying why. */
static int await_pushed(redisContext *connection)
{
	void *reply = NULL;
	int r = 0;

	if (redisGetReply(connection, &reply) != REDIS_OK) {
		fprintf(stderr, "cadre-bench: redis: %s\n", connection->errstr);
		r = -EPROTO;
	} else if (((redisReply *)reply)->type == REDIS_REPLY_ERROR) {
		fprintf(stderr, "cadre-bench: redis: %s\n", ((redisReply *)reply)->str);
		r = -EPROTO;
	}
	if (reply)
		freeReplyObject(reply);
	return r;
}

/* How many were taken; it is [list, [item, ...]]. Or -EPROTO after saying why. */
static int await_taken(redisContext *connection)
{
	redisReply *reply = NULL;
	int taken = -EPROTO;

	if (redisGetReply(connection, (void **)&reply) != REDIS_OK)
		fprintf(stderr, "cadre-bench: redis: %s\n", connection->errstr);
	else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2)
		taken = (int)reply->element[1]->elements;
	else
		fprintf(stderr, "cadre-bench: redis: %s\n",
			reply->type == REDIS_REPLY_ERROR ? reply->str : "no array");
	if (reply)
		freeReplyObject(reply);
	return taken;
}

static void work(void *shared)
{
	redisContext *const connection = connect_to(shared);
	int taken;

	if (!connection)
		_exit(1);
	append_take(connection, "jobs");
	taken = await_taken(connection);
	while (taken > 0) {
		append_push(connection, "replies", (uint32_t)taken);
		append_take(connection, "jobs");
		taken = await_pushed(connection);
		if (taken == 0)
			taken = await_taken(connection);
	}
	_exit(1);
}

static int turn(void *context, uint32_t in_flight)
{
	struct client *const client = context;
	int taken;

	append_push(client->connection, "jobs", in_flight - client->outstanding);
	append_take(client->connection, "replies");
	taken = await_pushed(client->connection);
	if (taken == 0)
		taken = await_taken(client->connection);
	client->outstanding = in_flight - (taken > 0 ? (uint32_t)taken : 0);
	return taken;
}

static int ask(const struct server *server, double *ret_values)
{
	struct client client = { .connection = connect_to(server) };
	int r;

	if (!client.connection)
		return bench_absent("its server takes no connection");
	redisSetTimeout(client.connection, (struct timeval){ .tv_sec = 10 });
	r = pools_measure(server->bench, turn, &client, ret_values);
	redisFree(client.connection);
	return r;
}

static int run(struct server *server)
{
	return server_run(server, "package redis-server",
			  (const char *[]){ "redis-server", "--port", "0", "--unixsocket",
					    server->socket, "--dir", server->directory,
					    "--save", "", "--appendonly", "no", NULL });
}

int redis_pools(const struct bench *bench, const void *with, double *ret_values)
{
	static const struct broker redis = { run, work, ask };

	(void)with;
	return broker_pools(bench, &redis, ret_values);
}

#else

int redis_pools(const struct bench *bench, const void *with, double *ret_values)
{
	(void)bench;
	(void)with;
	(void)ret_values;
	return bench_absent("built without hiredis (package libhiredis-dev)");
}

#endif
