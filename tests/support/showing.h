/*
 * showing.h - for Criterion tests of what the tools show: a pool of `cadre serve` with the
 * demo service, jobs for it from this process, and what `cadre stat` says.
 *
 * All processes become children of the test when their parents die, so it can see that none
 * is left. Other tests serve pools at the same time: only those of this test are collected.
 */
#ifndef SHOWING_H
#define SHOWING_H

#include "layout.h"
#include "scene.h"

#include <cadre/client.h>
#include <cadre/pool.h>
#include <cadre/report.h>

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define SLOTS 16u

static struct scene scene;
static pid_t server;
static struct cadre_client *client;
static json_t *shown; /* what the last `cadre stat --json` said */

/* ---- running the program ---- */

/* How it ended, exit status or 128 + signal, and what it said. */
static struct {
	int status;
	char out[4 << 20]; /* `stat --all` shows the pools of other tests, too */
	char err[4000];
} run;

static inline void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
}

static inline int await_exit(pid_t pid)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (cadre_now_ns() > until_ns) {
			kill(pid, SIGKILL);
			cr_assert_fail("a program does not end");
		}
		nap();
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline pid_t start(int out, int err, char **arguments)
{
	static char program[4096];
	const char *const folder = getenv("CADRE_BIN_DIR");
	pid_t pid;

	cr_assert_not_null(folder, "CADRE_BIN_DIR must be set; `./dev test` does it");
	snprintf(program, sizeof(program), "%s/cadre", folder);
	arguments[0] = program;
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid > 0)
		return pid;
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execv(program, arguments);
	_exit(127);
}

static inline void read_back(int fd, char *text, size_t size)
{
	const ssize_t length = pread(fd, text, size - 1, 0);

	cr_assert_geq(length, 0);
	cr_assert_lt((size_t)length, size - 1, "it says more than a test reads");
	text[length] = '\0';
	close(fd);
}

/* `cadre`, then the arguments up to NULL; standard output goes to `out`. */
static inline void run_into(int out, char **arguments)
{
	const int err = memfd_create("err", MFD_CLOEXEC);

	run.status = await_exit(start(out, err, arguments));
	read_back(err, run.err, sizeof(run.err));
}

static inline int cadre(const char *first, ...)
{
	const int out = memfd_create("out", MFD_CLOEXEC);
	char *arguments[16] = { NULL, (char *)(uintptr_t)first };
	va_list list;

	va_start(list, first);
	for (size_t i = 2; (arguments[i] = va_arg(list, char *)); i++)
		cr_assert_lt(i, 14);
	va_end(list);
	run_into(out, arguments);
	read_back(out, run.out, sizeof(run.out));
	return run.status;
}

static inline bool says(const char *text, const char *format, ...)
{
	char wanted[200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(wanted, sizeof(wanted), format, arguments);
	va_end(arguments);
	return strstr(text, wanted) != NULL;
}

/* ---- what it shows ---- */

/* Reads the pool as JSON into `shown`. */
static inline void look(void)
{
	json_error_t error;

	cr_assert_eq(cadre("stat", "--json", scene.pool, NULL), 0, "%s", run.err);
	json_decref(shown);
	shown = json_loads(run.out, JSON_REJECT_DUPLICATES, &error);
	cr_assert_not_null(shown, "%s: %s", error.text, run.out);
}

static inline json_t *part(const char *list, size_t index)
{
	json_t *const object = json_array_get(json_object_get(shown, list), index);

	cr_assert_not_null(object, "no %s %zu in %s", list, index, run.out);
	return object;
}

static inline json_t *pool_part(void)
{
	return json_object_get(shown, "pool");
}

static inline int64_t number(json_t *object, const char *key)
{
	json_t *const value = json_object_get(object, key);

	cr_assert(json_is_integer(value), "\"%s\" is no number", key);
	return json_integer_value(value);
}

static inline const char *text(json_t *object, const char *key)
{
	cr_assert(json_is_string(json_object_get(object, key)), "\"%s\" is no text", key);
	return json_string_value(json_object_get(object, key));
}

static inline int64_t ended(json_t *object, const char *outcome)
{
	return number(json_object_get(object, "jobs"), outcome);
}

static inline int64_t counter(json_t *object, const char *name)
{
	return number(json_object_get(object, "counters"), name);
}

/* ---- pool and jobs ---- */

static inline void await_workers(uint32_t count)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);
	const struct cadre_pool_snapshot *pool;
	struct cadre_report *report;
	bool ready = false;

	while (!ready) {
		cr_assert_lt(cadre_now_ns(), until_ns, "the pool did not start");
		nap();
		if (cadre_report_open(scene.pool, &report, NULL) < 0)
			continue;
		pool = cadre_report_read(report);
		ready = pool->workers_ready >= count && strcmp(pool->state, "open") == 0;
		cadre_report_close(report);
	}
}

static inline void serve(void)
{
	static char service[4096];
	char *arguments[] = { NULL,   "serve",   "--name", scene.pool, "--workers",
			      "2..3", "--slots", "16",     "--quiet",  "--idle-timeout",
			      "1h",   service,   NULL };

	snprintf(service, sizeof(service), "%s/demo.so", getenv("CADRE_SERVICE_DIR"));
	server = start(STDOUT_FILENO, STDERR_FILENO, arguments);
	await_workers(2);
}

static inline void attach(void)
{
	struct cadre_diag diag = { "" };

	cr_assert_eq(cadre_client_attach(scene.pool, NULL, &client, &diag), 0, "%s",
		     diag.text);
}

static inline struct cadre_request request_of(const char *operation, const char *data)
{
	const int32_t id = cadre_client_operation(client, operation);

	cr_assert_gt(id, 0);
	return (struct cadre_request){
		.operation = id,
		.data = data,
		.length = strlen(data),
	};
}

static inline struct cadre_ticket submit(const char *operation, const char *data)
{
	const struct cadre_request request = request_of(operation, data);
	struct cadre_ticket ticket;

	cr_assert_eq(cadre_try_submit(client, &request, &ticket), 0);
	return ticket;
}

static inline enum cadre_outcome call(const char *operation, const char *data)
{
	const struct cadre_request request = request_of(operation, data);
	struct cadre_result result;

	cr_assert_eq(cadre_call(client, &request, &result), 0);
	cadre_release(client, &result);
	return result.outcome;
}

/* A client in a process of its own, with a job that does not end. */
static inline pid_t call_behind(void)
{
	const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	char *arguments[] = { NULL, "call", scene.pool, "sleep", "--data", "3600000", NULL };
	const pid_t pid = start(nothing, nothing, arguments);

	close(nothing);
	return pid;
}

/* The number of jobs that run, once it is that. */
static inline void await_running(int64_t count)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);

	do {
		cr_assert_lt(cadre_now_ns(), until_ns, "the jobs do not start");
		look();
	} while (number(pool_part(), "in_flight") - number(pool_part(), "queue_length") !=
		 count);
}

static inline pid_t worker_pid(size_t index)
{
	look();
	return (pid_t)number(part("workers", index), "pid");
}

/* Everything, at once: nobody is left to write down what happened. */
static inline void kill_pool(void)
{
	const pid_t workers[] = { worker_pid(0), worker_pid(1), worker_pid(2) };

	kill(server, SIGKILL);
	cr_assert_eq(await_exit(server), 128 + SIGKILL);
	server = 0;
	for (size_t i = 0; i < 3; i++) {
		if (workers[i] == 0)
			continue;
		kill(workers[i], SIGKILL);
		cr_assert_eq(await_exit(workers[i]), 128 + SIGKILL);
	}
}

/* ---- before and after each test ---- */

static inline void begin(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	scene_begin(&scene);
}

/* A second signal ends jobs that nobody waits for. */
static inline void stop_server(void)
{
	kill(server, SIGCONT);
	kill(server, SIGTERM);
	nap();
	kill(server, SIGTERM);
	await_exit(server);
	server = 0;
}

static inline void end(void)
{
	json_decref(shown);
	shown = NULL;
	cadre_client_detach(client);
	client = NULL;
	if (server)
		stop_server();
	while (waitpid(-1, NULL, WNOHANG) > 0) {
	}
	cadre_collect_garbage(scene.pool, 0, NULL, NULL);
	scene_end(&scene);
}

#define SHOWING .init = begin, .fini = end, .timeout = 90

#endif
