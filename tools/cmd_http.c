/*
 * cadre http - answer HTTP requests with the workers of a pool.
 *
 * This file turns arguments into options, finds the listener, and says where it listens; the
 * processes are http_house.c's, the rest is libcadre-http's.
 *
 * Exit status: 0 ended in order (SIGTERM, SIGINT, or the pool was stopped), 1 the service or
 * its workers cannot be started, 2 the pool cannot be used or the address not listened on,
 * 64 wrong arguments.
 */
#include "commands.h"
#include "http_house.h"
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PARALLEL_MAX 4096
#define HEAD_MAX (64u * 1024)
#define WINDOW_SLOTS 1024
#define CLIENTS_MAX 8
#define BLOCK_BYTES (32u << 20) /* each request of the window can have one */
#define FIRST_PASSED_FD 3       /* SD_LISTEN_FDS_START of sd_listen_fds(3) */

struct options {
	struct cadre_http_house house;
	const char *listen;
	const char *pool;
	const char *access_log;
};

enum {
	OPT_ACCESS_LOG = 256,
	OPT_BODY_MAX,
	OPT_BODY_TIMEOUT,
	OPT_CONNECTIONS,
	OPT_DRAIN,
	OPT_HANDOFF,
	OPT_HEAD_MAX,
	OPT_HEAD_TIMEOUT,
	OPT_IDLE_TIMEOUT,
	OPT_LISTEN,
	OPT_NAME,
	OPT_PARALLEL,
	OPT_POOL,
	OPT_REQUEST_TIMEOUT,
	OPT_SERVICE,
	OPT_START,
	OPT_WORKERS,
	OPT_WRITE_TIMEOUT,
};

static const struct argp_option argp_options[] = {
	{ "listen", OPT_LISTEN, "ADDRESS", 0,
	  "HOST:PORT, [ADDRESS]:PORT, :PORT, PORT or unix:PATH; port 0 is any free one "
	  "(default 127.0.0.1:8080, or the socket that was passed: LISTEN_FDS)",
	  1 },
	{ "service", OPT_SERVICE, "FILE.so", 0, "Start a pool with this service", 1 },
	{ "pool", OPT_POOL, "NAME", 0, "Use a pool that is there already", 1 },
	{ "handoff", OPT_HANDOFF, NULL, 0,
	  "Pass the connections themselves to the workers, instead of parsed requests", 1 },
	{ "access-log", OPT_ACCESS_LOG, "FILE", 0,
	  "A line per request; \"-\" is standard output; SIGUSR1 opens FILE again", 1 },

	{ NULL, 0, NULL, 0, "With --service:", 2 },
	{ "name", OPT_NAME, "POOL", 0, "The pool's name (default http-PID)", 2 },
	{ "workers", OPT_WORKERS, "MIN[..MAX]", 0,
	  "Worker processes; one number is both (default: one per CPU)", 2 },
	{ "parallel", OPT_PARALLEL, "N", 0,
	  "Requests that one worker may handle at once, on threads (default 1)", 2 },

	{ "start", OPT_START, "TEXT", 0, "Start argument of each worker", 2 },

	{ NULL, 0, NULL, 0, "Limits:", 3 },
	{ "connections", OPT_CONNECTIONS, "N", 0,
	  "Connections at once; more wait in the kernel's queue (default 1024)", 3 },
	{ "head-max", OPT_HEAD_MAX, "SIZE", 0,
	  "Request line and fields, else 431 (default 16k, at most 64k)", 3 },
	{ "body-max", OPT_BODY_MAX, "SIZE", 0, "A request's body, else 413 (default 1G)",
	  3 },
	{ "head-timeout", OPT_HEAD_TIMEOUT, "DURATION", 0,
	  "First byte of a request to the end of its head, else 408 (default 10s)", 3 },
	{ "body-timeout", OPT_BODY_TIMEOUT, "DURATION", 0,
	  "Between two pieces of a body, else 408 (default 30s)", 3 },
	{ "request-timeout", OPT_REQUEST_TIMEOUT, "DURATION", 0,
	  "A handler that says nothing, else 504; 2s later its worker is killed (default 60s)",
	  3 },
	{ "write-timeout", OPT_WRITE_TIMEOUT, "DURATION", 0,
	  "A client that takes nothing of its response (default 30s)", 3 },
	{ "idle-timeout", OPT_IDLE_TIMEOUT, "DURATION", 0,
	  "A kept connection without a request (default 60s)", 3 },
	{ "drain", OPT_DRAIN, "DURATION", 0, "At the end, for what runs (default 30s)", 3 },
	{ 0 },
};

static const char documentation[] =
	"Accepts HTTP/1.1 connections and lets the workers of a pool answer. The service is a "
	"site (see cadre/http.h). TLS is left to the proxy in front."
	"\v"
	"Signals: SIGTERM and SIGINT end it in order; SIGHUP replaces the workers by those of "
	"the service as it is now (as does cadre ctl POOL reload); SIGUSR1 opens the access log "
	"again; SIGUSR2 replaces the front while its connections go on.\n\n"
	"SIZE is bytes, or with k, M, G behind it. DURATION is like 250ms, 30s, 5m.\n\n"
	"Exit status: 0 ended in order; 1 the service or its workers cannot be started; "
	"2 the pool cannot be used or the address not listened on; 64 wrong arguments.\n\n"
	"Examples:\n"
	"  cadre http --service build/services/web.so --listen 8080 --workers 4\n"
	"  cadre http --pool web --handoff --listen :80 --access-log /var/log/web.log";

/* ---- arguments ---- */

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *const options = state->input;
	struct cadre_http_house *const house = &options->house;
	struct cadre_http_front_options *const front = &house->front;

	switch (key) {
	case OPT_LISTEN:
		options->listen = arg;
		return 0;
	case OPT_SERVICE:
		house->service = arg;
		return 0;
	case OPT_POOL:
		options->pool = arg;
		return 0;
	case OPT_NAME:
		house->pool.name = arg;
		return 0;
	case OPT_HANDOFF:
		front->way = CADRE_HTTP_HANDOFF;
		return 0;
	case OPT_ACCESS_LOG:
		options->access_log = arg;
		return 0;
	case OPT_WORKERS:
		cadre_option_workers(state, "--workers", arg, &house->pool.workers_min,
				     &house->pool.workers_max);
		return 0;
	case OPT_PARALLEL:
		house->pool.parallel = cadre_option_number(state, "--parallel", arg, 1,
							   PARALLEL_MAX);
		return 0;
	case OPT_START:
		house->pool.start_data = arg;
		house->pool.start_length = strlen(arg);
		return 0;
	case OPT_CONNECTIONS:
		front->connections_max = cadre_option_number(state, "--connections", arg,
							     1, 1000000);
		return 0;
	case OPT_HEAD_MAX:
		front->head_max = (uint32_t)cadre_option_size(state, "--head-max", arg);
		if (front->head_max < 1024 || front->head_max > HEAD_MAX)
			cadre_refuse_usage(state, "--head-max %s: must be from 1k to 64k",
					   arg);
		return 0;
	case OPT_BODY_MAX:
		front->body_max = cadre_option_size(state, "--body-max", arg);
		return 0;
	case OPT_HEAD_TIMEOUT:
		front->head_timeout_ns = cadre_option_duration(state, "--head-timeout",
							       arg);
		return 0;
	case OPT_BODY_TIMEOUT:
		front->body_timeout_ns = cadre_option_duration(state, "--body-timeout",
							       arg);
		return 0;
	case OPT_REQUEST_TIMEOUT:
		front->request_timeout_ns = cadre_option_duration(state,
								  "--request-timeout",
								  arg);
		return 0;
	case OPT_WRITE_TIMEOUT:
		front->write_timeout_ns = cadre_option_duration(state, "--write-timeout",
								arg);
		return 0;
	case OPT_IDLE_TIMEOUT:
		front->idle_timeout_ns = cadre_option_duration(state, "--idle-timeout",
							       arg);
		return 0;
	case OPT_DRAIN:
		front->drain_timeout_ns = cadre_option_duration(state, "--drain", arg);
		return 0;
	case ARGP_KEY_END:
		if (!house->service == !options->pool)
			cadre_refuse_usage(state, "--service or --pool must be given, one "
						  "of them (see cadre http --help)");
		if (options->pool &&
		    (house->pool.name || house->pool.workers_max || house->pool.parallel))
			cadre_refuse_usage(state,
					   "--name, --workers and --parallel are for "
					   "a pool that is started here");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.doc = documentation,
};

/* ---- the listener ---- */

/* A socket that systemd or another parent opened for us: sd_listen_fds(3). -1 for none. */
static int passed_listener(void)
{
	const char *const pid = getenv("LISTEN_PID");
	const char *const count = getenv("LISTEN_FDS");
	int listens = 0;
	socklen_t length = sizeof(listens);

	if (!pid || !count || strtol(pid, NULL, 10) != (long)getpid() ||
	    strtol(count, NULL, 10) < 1)
		return -1;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (getsockopt(FIRST_PASSED_FD, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0 ||
	    !listens)
		return -1;
	fcntl(FIRST_PASSED_FD, F_SETFD, FD_CLOEXEC);
	fcntl(FIRST_PASSED_FD, F_SETFL, fcntl(FIRST_PASSED_FD, F_GETFL) | O_NONBLOCK);
	return FIRST_PASSED_FD;
}

static int open_listener(struct options *options)
{
	struct cadre_diag diag = { "" };
	int fd = options->listen ? -1 : passed_listener();

	if (fd < 0)
		fd = cadre_http_listen(options->listen ? options->listen : "8080", &diag);
	if (fd < 0)
		fprintf(stderr, "cadre http: %s\n", diag.text);
	options->house.front.listener = fd;
	return fd;
}

static void say_where(const struct options *options)
{
	char name[256] = "?";

	cadre_http_listener_name(options->house.front.listener, name, sizeof(name));
	if (strncmp(name, "unix:", 5) == 0)
		fprintf(stderr, "cadre http: listening on %s", name);
	else
		fprintf(stderr, "cadre http: listening on http://%s/", name);
	fprintf(stderr, ", pool \"%s\", %s\n", options->house.front.pool,
		options->house.front.way == CADRE_HTTP_HANDOFF ? "handoff" : "proxy");
}

static bool use_access_log(struct options *options)
{
	struct cadre_http_front_options *const front = &options->house.front;

	if (!options->access_log)
		return true;
	if (strcmp(options->access_log, "-") == 0) {
		front->log_fd = STDOUT_FILENO;
		return true;
	}
	front->log_path = options->access_log;
	if (access(options->access_log, F_OK) == 0 &&
	    access(options->access_log, W_OK) < 0) {
		fprintf(stderr, "cadre http: cannot write to \"%s\": %s\n",
			options->access_log, strerror(errno));
		return false;
	}
	return true;
}

int cadre_cmd_http(int argc, char **argv)
{
	static char name[CADRE_NAME_MAX + 1];
	static struct options options = {
		.house = { .front.size = sizeof(options.house.front),
			   .pool.size = sizeof(options.house.pool) },
	};
	struct cadre_pool_options *const pool = &options.house.pool;
	static char path[PATH_MAX];
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	setvbuf(stderr, NULL, _IOLBF, 0);
	if (!use_access_log(&options))
		return CADRE_EXIT_USAGE;
	if (options.house.service) {
		/* Where it is does not change when somebody reloads it. */
		if (realpath(options.house.service, path))
			options.house.service = path;
		if (pool->workers_max == 0)
			pool->workers_min = pool->workers_max = (uint32_t)sysconf(
				_SC_NPROCESSORS_ONLN);
		pool->window_slots = WINDOW_SLOTS;
		pool->clients_max = CLIENTS_MAX;
		pool->block_bytes = BLOCK_BYTES;
		snprintf(name, sizeof(name), "http-%d", (int)getpid());
		if (!pool->name)
			pool->name = name;
	}
	options.house.front.pool = options.pool ? options.pool : pool->name;
	if (open_listener(&options) < 0)
		return CADRE_EXIT_POOL;
	say_where(&options);
	status = cadre_http_house_run(&options.house);
	close(options.house.front.listener);
	return status;
}
