/*
 * http.c - how many short HTTP requests per second are answered over 64 connections?
 *
 * wrk asks, each server has two workers, and answers 64 bytes. Nobody is bound to a CPU: wrk
 * and two workers share the machine as they would. What a heavy handler does to a server is
 * asked by http_experiment.sh.
 */
#include "peers/web.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The answer is "hello, NAME" and a newline: 64 bytes. */
#define HELLO "/hello?name=0123456789abcdef0123456789abcdef0123456789abcdef01234567"

/* Where this program lies, its neighbours do. */
static void find_own_directory(char *ret_path, size_t size)
{
	const ssize_t length = readlink("/proc/self/exe", ret_path, size - 1);

	ret_path[length > 0 ? length : 0] = '\0';
	dirname(ret_path);
}

static int run_cadre(struct server *server, const char *manner)
{
	char own[2048], program[2064], site[2080], listen[32], name[32];

	find_own_directory(own, sizeof(own));
	snprintf(program, sizeof(program), "%s/cadre", own);
	snprintf(site, sizeof(site), "%s/../services/web.so", own);
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", server->port);
	snprintf(name, sizeof(name), "bench-http-%d", (int)getpid());
	return server_run(server, "it is built by ./dev build",
			  (const char *[]){ program, "http", "--service", site, "--name",
					    name, "--workers", "2", "--listen", listen,
					    manner, NULL });
}

static int use_cadre(struct server *server, const void *manner, double *ret_values)
{
	const int r = run_cadre(server, manner);

	return r < 0 ? r : web_ask(server, HELLO, ret_values);
}

/* with: the option, or NULL. */
static int cadre_http(const struct bench *bench, const void *with, double *ret_values)
{
	return server_measure(bench, use_cadre, with, ret_values);
}

static const struct column columns[WEB_COLUMNS] = {
	{ "rate", "requests/s", 0 },
	{ "p50", "us", 0 },
	{ "p99", "us", 0 },
	{ "errors", "", 0 },
};

static const struct contender contenders[] = {
	{ "cadre proxy",
	  "cadre http: its front parses, jobs carry the requests to handlers",
	  cadre_http,
	  NULL,
	  { "nginx", "nginx uwsgi", "apache prefork" },
	  true },
	{ "cadre handoff",
	  "cadre http --handoff: the connection goes to the worker",
	  cadre_http,
	  "--handoff",
	  { "nginx", "nginx uwsgi", "apache prefork" },
	  true },
	{ "nginx",
	  "two workers, from memory, without a handler: what the sockets can do",
	  web_nginx,
	  NULL,
	  { NULL },
	  true },
	{ "nginx uwsgi",
	  "two workers of nginx before two of uWSGI with Python",
	  web_uwsgi,
	  NULL,
	  { NULL },
	  true },
	{ "apache prefork",
	  "two processes, a file, a connection for each request",
	  web_apache,
	  NULL,
	  { NULL },
	  true },
	{ "apache prefork 64",
	  "the same with a process for each of the connections, which stay open",
	  web_apache,
	  "a process per connection",
	  { NULL },
	  true },
};

const struct question question_http = {
	.name = "http",
	.sentence = "How many HTTP requests per second, 64 connections, answers of 64 bytes?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.ratio_column = 0,
	.less_is_better = false,
	.rounds_max = 2,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
