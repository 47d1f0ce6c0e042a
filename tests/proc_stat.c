/*
 * proc_stat.c - claims about `cadre stat` and `cadre gc`, made to the program itself, on
 * pools that live, are saturated, do not move, or are dead.
 *
 * The pool is `cadre serve` with the demo service; the jobs come from this process. All
 * processes become children of the test when their parents die, so it can see that none is
 * left. Other tests serve pools at the same time: only those of this test are collected.
 */
#include "layout.h"
#include "scene.h"

#include <cadre/client.h>
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
	char out[200000];
	char err[4000];
} run;

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
}

static int await_exit(pid_t pid)
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

static pid_t start(int out, int err, char **arguments)
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

static void read_back(int fd, char *text, size_t size)
{
	const ssize_t length = pread(fd, text, size - 1, 0);

	cr_assert_geq(length, 0);
	text[length] = '\0';
	close(fd);
}

/* `cadre`, then the arguments up to NULL; standard output goes to `out`. */
static void run_into(int out, char **arguments)
{
	const int err = memfd_create("err", MFD_CLOEXEC);

	run.status = await_exit(start(out, err, arguments));
	read_back(err, run.err, sizeof(run.err));
}

static int cadre(const char *first, ...)
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

static bool says(const char *text, const char *format, ...)
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
static void look(void)
{
	json_error_t error;

	cr_assert_eq(cadre("stat", "--json", scene.pool, NULL), 0, "%s", run.err);
	json_decref(shown);
	shown = json_loads(run.out, JSON_REJECT_DUPLICATES, &error);
	cr_assert_not_null(shown, "%s: %s", error.text, run.out);
}

static json_t *part(const char *list, size_t index)
{
	json_t *const object = json_array_get(json_object_get(shown, list), index);

	cr_assert_not_null(object, "no %s %zu in %s", list, index, run.out);
	return object;
}

static json_t *pool_part(void)
{
	return json_object_get(shown, "pool");
}

static int64_t number(json_t *object, const char *key)
{
	json_t *const value = json_object_get(object, key);

	cr_assert(json_is_integer(value), "\"%s\" is no number", key);
	return json_integer_value(value);
}

static const char *text(json_t *object, const char *key)
{
	cr_assert(json_is_string(json_object_get(object, key)), "\"%s\" is no text", key);
	return json_string_value(json_object_get(object, key));
}

static int64_t ended(json_t *object, const char *outcome)
{
	return number(json_object_get(object, "jobs"), outcome);
}

static int64_t counter(json_t *object, const char *name)
{
	return number(json_object_get(object, "counters"), name);
}

/* ---- pool and jobs ---- */

static void await_workers(uint32_t count)
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

static void serve(void)
{
	static char service[4096];
	char *arguments[] = { NULL,   "serve",   "--name", scene.pool, "--workers",
			      "2..3", "--slots", "16",     "--quiet",  "--idle-timeout",
			      "1h",   service,   NULL };

	snprintf(service, sizeof(service), "%s/demo.so", getenv("CADRE_SERVICE_DIR"));
	server = start(STDOUT_FILENO, STDERR_FILENO, arguments);
	await_workers(2);
}

static void attach(void)
{
	struct cadre_diag diag = { "" };

	cr_assert_eq(cadre_client_attach(scene.pool, NULL, &client, &diag), 0, "%s",
		     diag.text);
}

static struct cadre_request request_of(const char *operation, const char *data)
{
	const int32_t id = cadre_client_operation(client, operation);

	cr_assert_gt(id, 0);
	return (struct cadre_request){
		.operation = id,
		.data = data,
		.length = strlen(data),
	};
}

static struct cadre_ticket submit(const char *operation, const char *data)
{
	const struct cadre_request request = request_of(operation, data);
	struct cadre_ticket ticket;

	cr_assert_eq(cadre_try_submit(client, &request, &ticket), 0);
	return ticket;
}

static enum cadre_outcome call(const char *operation, const char *data)
{
	const struct cadre_request request = request_of(operation, data);
	struct cadre_result result;

	cr_assert_eq(cadre_call(client, &request, &result), 0);
	cadre_release(client, &result);
	return result.outcome;
}

/* A client in a process of its own, with a job that does not end. */
static pid_t call_behind(void)
{
	const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	char *arguments[] = { NULL, "call", scene.pool, "sleep", "--data", "3600000", NULL };
	const pid_t pid = start(nothing, nothing, arguments);

	close(nothing);
	return pid;
}

/* The number of jobs that run, once it is that. */
static void await_running(int64_t count)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);

	do {
		cr_assert_lt(cadre_now_ns(), until_ns, "the jobs do not start");
		look();
	} while (number(pool_part(), "in_flight") - number(pool_part(), "queue_length") !=
		 count);
}

static pid_t worker_pid(size_t index)
{
	look();
	return (pid_t)number(part("workers", index), "pid");
}

/* Everything, at once: nobody is left to write down what happened. */
static void kill_pool(void)
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

static void begin(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	scene_begin(&scene);
}

/* A second signal ends jobs that nobody waits for. */
static void stop_server(void)
{
	kill(server, SIGCONT);
	kill(server, SIGTERM);
	nap();
	kill(server, SIGTERM);
	await_exit(server);
	server = 0;
}

static void end(void)
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

TestSuite(stat, .init = begin, .fini = end);
TestSuite(gc, .init = begin, .fini = end);

/* ---- a pool that works ---- */

Test(stat, an_idle_pool_shows_its_workers_idle_and_nothing_in_flight)
{
	serve();
	look();

	cr_assert_eq(number(shown, "schema"), 1);
	cr_assert_str_eq(text(pool_part(), "name"), scene.pool);
	cr_assert_str_eq(text(pool_part(), "state"), "open");
	cr_assert(json_is_true(json_object_get(pool_part(), "alive")));
	cr_assert_eq(number(pool_part(), "supervisor_pid"), server);
	cr_assert_eq(number(pool_part(), "workers_ready"), 2);
	cr_assert_eq(number(pool_part(), "in_flight"), 0);
	cr_assert_str_eq(text(part("workers", 0), "letter"), "_");
	cr_assert_gt(number(part("workers", 0), "idle_ns"), 0);
	cr_assert_gt(number(part("workers", 0), "uptime_ns"), 0);
	cr_assert_str_eq(text(part("workers", 2), "letter"), ".");
	cr_assert_eq(json_array_size(json_object_get(shown, "workers")), 4);

	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "workers 2 ready of 2..3"), "%s", run.out);
	cr_assert(says(run.out, "2 places of workers unused"), "%s", run.out);
	cr_assert_str_eq(run.err, "");
}

Test(stat, jobs_are_shown_by_their_outcomes)
{
	serve();
	attach();
	cr_assert_eq(call("echo", "a"), CADRE_OK);
	cr_assert_eq(call("echo", "b"), CADRE_OK);
	cr_assert_eq(call("fail", "no"), CADRE_FAILED);
	cr_assert_eq(call("crash", "9"), CADRE_LOST);
	await_workers(2);
	look();

	cr_assert_eq(ended(pool_part(), "ok"), 2);
	cr_assert_eq(ended(pool_part(), "failed"), 1);
	cr_assert_eq(ended(pool_part(), "lost"), 1);
	cr_assert_eq(number(pool_part(), "submitted"), 4);
	cr_assert_eq(counter(pool_part(), "workers_died"), 1);
	cr_assert_eq(ended(part("workers", 0), "lost") + ended(part("workers", 1), "lost"),
		     1);
	cr_assert_eq(ended(part("workers", 0), "ok") + ended(part("workers", 1), "ok"), 2);
	cr_assert_eq(counter(part("workers", 0), "restarts") +
			     counter(part("workers", 1), "restarts"),
		     1);
	cr_assert_eq(number(part("clients", 0), "submitted"), 4);

	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "ok 2  failed 1  cancelled 0  timed out 0  lost 1"), "%s",
		  run.out);
}

Test(stat, a_saturated_pool_is_shown_at_once_and_asks_nobody)
{
	const struct cadre_request one_more = { .operation = 1 };
	int64_t start_ns;

	serve();
	attach();
	for (unsigned i = 0; i < SLOTS; i++)
		submit("sleep", "3600000");
	cr_assert_eq(cadre_try_submit(client, &one_more, NULL), -EINVAL);
	cr_assert_eq(cadre_try_submit(client, &one_more, &(struct cadre_ticket){ 0 }),
		     -EAGAIN);
	await_running(3); /* The crew grows to its maximum, and does not do more. */

	cr_assert_eq(number(pool_part(), "queue_length"), SLOTS - 3);
	cr_assert_gt(number(pool_part(), "oldest_pending_ns"), 0);
	cr_assert_str_eq(text(part("workers", 1), "letter"), "W");
	cr_assert_eq(number(part("workers", 1), "idle_ns"), 0);
	cr_assert_gt(number(part("workers", 1), "running_ns"), 0);
	cr_assert_str_eq(text(part("workers", 1), "operation"), "sleep");
	cr_assert_eq(counter(part("workers", 1), "workload"), 1);
	cr_assert_eq(number(part("clients", 0), "slots_used"), SLOTS);
	cr_assert_eq(counter(part("clients", 0), "window_full"), 1);

	/* Nobody of the pool can run, and the answer is the same. */
	for (size_t i = 0; i < 3; i++)
		kill(worker_pid(i), SIGSTOP);
	kill(server, SIGSTOP);
	start_ns = cadre_now_ns();
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert_lt(cadre_now_ns() - start_ns, INT64_C(2000000000));
	cr_assert(says(run.out, "queued 13  in flight 16"), "%s", run.out);
	cr_assert(says(run.out, "sleep "), "%s", run.out);
	for (size_t i = 0; i < 3; i++)
		kill(worker_pid(i), SIGCONT);
}

Test(stat, a_supervisor_that_does_not_move_is_called_silent_and_not_dead)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);

	serve();
	kill(server, SIGSTOP);
	do {
		cr_assert_lt(cadre_now_ns(), until_ns);
		nap();
		look();
	} while (number(pool_part(), "heartbeat_age_ns") < INT64_C(3100000000));

	cr_assert(json_is_true(json_object_get(pool_part(), "alive")));
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "SILENT"), "%s", run.out);
	cr_assert_not(says(run.out, "dead"), "%s", run.out);
}

Test(stat, the_json_holds_each_counter_by_its_name)
{
	static const char *const lists[CADRE_SCOPE_COUNT] = {
		[CADRE_SCOPE_WORKER] = "workers",
		[CADRE_SCOPE_PLACE] = "workers",
		[CADRE_SCOPE_CLIENT] = "clients",
	};

	serve();
	attach();
	look();
	for (unsigned scope = 0; scope < CADRE_SCOPE_COUNT; scope++) {
		json_t *const where = lists[scope] ? part(lists[scope], 0) : pool_part();
		size_t count;
		const struct cadre_counter_description *const counters =
			cadre_counter_describe((enum cadre_counter_scope)scope, &count);

		for (size_t i = 0; i < count; i++)
			cr_assert_geq(counter(where, counters[i].name), 0);
	}
}

/* ---- a pool that is dead ---- */

Test(stat, a_dead_pool_is_shown_and_said_to_be_dead)
{
	pid_t caller;

	serve();
	caller = call_behind();
	await_running(1);
	kill_pool();
	kill(caller, SIGKILL);
	await_exit(caller);
	look();

	cr_assert(json_is_false(json_object_get(pool_part(), "alive")));
	cr_assert_eq(number(pool_part(), "workers_ready"), 0);
	cr_assert_eq(number(pool_part(), "clients"), 0);
	cr_assert_str_eq(text(part("clients", 0), "state"), "gone");
	cr_assert_eq(number(pool_part(), "in_flight"), 1,
		     "what it was doing is still there");
	cr_assert_str_eq(text(part("workers", 0), "letter"), "X");
	cr_assert_str_eq(text(part("workers", 1), "letter"), "X");

	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert_eq(strncmp(run.out, "pool \"", 6), 0, "the first line says it: %s",
		     run.out);
	cr_assert(says(run.out, "\" is dead"), "%s", run.out);
	cr_assert(says(run.out, "cadre gc"), "%s", run.out);
	cr_assert(says(run.out, "cadre serve --name %s", scene.pool), "%s", run.out);
}

Test(gc, a_dead_pool_is_removed_once_nobody_uses_it)
{
	pid_t caller;

	serve();
	caller = call_behind();
	await_running(1);
	kill_pool();

	cr_assert_eq(cadre("gc", scene.pool, NULL), 0);
	cr_assert(says(run.out, "kept pool \"%s\"", scene.pool), "%s", run.out);
	cr_assert(says(run.out, "client 0 (pid %d) lives", (int)caller), "%s", run.out);
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "once its clients have left"), "%s", run.out);
	kill(caller, SIGKILL);
	await_exit(caller);

	cr_assert_eq(cadre("gc", "--dry-run", scene.pool, NULL), 0);
	cr_assert(says(run.out, "would remove pool \"%s\"", scene.pool), "%s", run.out);
	cr_assert_gt(scene_files(scene.pool), 0);

	cr_assert_eq(cadre("gc", scene.pool, NULL), 0);
	cr_assert(says(run.out, "removed pool \"%s\"", scene.pool), "%s", run.out);
	cr_assert_eq(scene_files(scene.pool), 0);

	cr_assert_eq(cadre("stat", scene.pool, NULL), 3);
	cr_assert_eq(cadre("gc", scene.pool, NULL), 2);
}

Test(gc, a_living_pool_is_left_alone_and_works_on)
{
	serve();
	cr_assert_eq(cadre("gc", scene.pool, NULL), 0);
	cr_assert(says(run.out, "kept pool"), "%s", run.out);
	cr_assert(says(run.out, "nothing to remove"), "%s", run.out);
	cr_assert_eq(scene_files(scene.pool), 3);

	attach();
	cr_assert_eq(call("echo", "still here"), CADRE_OK);
}

Test(gc, a_pool_whose_workers_outlived_the_supervisor_is_left_to_the_next_one)
{
	pid_t workers[2];

	serve();
	workers[0] = worker_pid(0);
	workers[1] = worker_pid(1);
	kill(server, SIGKILL);
	await_exit(server);
	server = 0;

	cr_assert_eq(cadre("gc", scene.pool, NULL), 0);
	cr_assert(says(run.out, "kept pool"), "%s", run.out);
	cr_assert(says(run.out, "worker 0 (pid %d) lives", (int)workers[0]), "%s",
		  run.out);
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "has no supervisor"), "%s", run.out);
	cr_assert(says(run.out, "2 of its workers still live"), "%s", run.out);

	for (size_t i = 0; i < 2; i++) {
		kill(workers[i], SIGKILL);
		await_exit(workers[i]);
	}
}

Test(gc, wrong_arguments_are_refused)
{
	cr_assert_eq(cadre("gc", "no/name", NULL), 64);
	cr_assert_eq(cadre("gc", "--no-such-option", NULL), 64);
	cr_assert_eq(cadre("gc", "a", "b", NULL), 64);
	cr_assert_str_eq(run.out, "");
}

/* ---- which pool ---- */

/* A pool without processes: enough for what is refused, or only counted. */
static void make_remains(const char *name, uint32_t layout)
{
	const struct cadre_limits limits = {
		.workers = 1, .parallel = 1, .clients = 1, .slots = 1
	};
	struct cadre_view view;

	cr_assert_eq(cadre_layout_create(name, &limits, 0600, &view, NULL), 0);
	view.header->layout = layout;
	atomic_store(&view.header->ready, 1);
	cadre_layout_close(&view);
}

Test(stat, among_several_pools_one_must_be_named_or_all_asked_for)
{
	char other[CADRE_NAME_MAX + 1];
	unsigned found = 0;

	make_remains(scene.pool, CADRE_LAYOUT_NUMBER);
	scene_name(other);
	make_remains(other, CADRE_LAYOUT_NUMBER);

	cr_assert_eq(cadre("stat", NULL), 3);
	cr_assert_str_eq(run.out, "");
	cr_assert(says(run.err, "name one or use --all"), "%s", run.err);
	cr_assert(says(run.err, " %s", scene.pool), "%s", run.err);
	cr_assert(says(run.err, " %s", other), "%s", run.err);

	/* The status depends on what pools of other tests may come and go meanwhile. */
	cadre("stat", "--all", "--json", NULL);
	for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *const object = json_loads(line, 0, NULL);
		const char *const name = text(json_object_get(object, "pool"), "name");

		found += strcmp(name, scene.pool) == 0 || strcmp(name, other) == 0;
		json_decref(object);
	}
	cr_assert_eq(found, 2);
	cr_assert_eq(cadre_collect_garbage(other, 0, NULL, NULL), 1);
}

Test(stat, a_pool_that_is_missing_or_of_another_build_is_refused_with_a_sentence)
{
	cr_assert_eq(cadre("stat", scene.pool, NULL), 3);
	cr_assert(says(run.err, "cadre stat: "), "%s", run.err);
	cr_assert(says(run.err, "is the pool running?"), "%s", run.err);

	make_remains(scene.pool, CADRE_LAYOUT_NUMBER + 1);
	cr_assert_eq(cadre("stat", "--json", scene.pool, NULL), 3);
	cr_assert(says(run.err, "layout %u", CADRE_LAYOUT_NUMBER + 1), "%s", run.err);
	cr_assert_str_eq(run.out, "");
}

Test(stat, wrong_arguments_are_refused)
{
	cr_assert_eq(cadre("stat", "no/name", NULL), 64);
	cr_assert_eq(cadre("stat", "--no-such-option", NULL), 64);
	cr_assert_eq(cadre("stat", "a", "b", NULL), 64);
	cr_assert_eq(cadre("stat", "--all", "a", NULL), 64);
	cr_assert_str_eq(run.out, "");
}

/* ---- the list, and where it is written ---- */

Test(stat, the_list_has_a_line_for_each_counter_and_needs_no_pool)
{
	cr_assert_eq(cadre("stat", "--list", NULL), 0);
	for (unsigned scope = 0; scope < CADRE_SCOPE_COUNT; scope++) {
		size_t count;
		const struct cadre_counter_description *const counters =
			cadre_counter_describe((enum cadre_counter_scope)scope, &count);

		for (size_t i = 0; i < count; i++) {
			cr_assert(says(run.out, " %s ", counters[i].name));
			cr_assert(says(run.out, "%.60s", counters[i].sentence));
		}
	}
}

Test(stat, the_list_is_also_json)
{
	json_t *list;

	cr_assert_eq(cadre("stat", "--list", "--json", NULL), 0);
	list = json_loads(run.out, 0, NULL);
	cr_assert_str_eq(text(json_array_get(json_object_get(list, "counters"), 0), "name"),
			 "jobs_taken");
	json_decref(list);
}

Test(stat, a_full_disk_is_an_error)
{
	const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char *arguments[] = { NULL, "stat", "--list", NULL };

	run_into(full, arguments);
	close(full);
	cr_assert_eq(run.status, 1);
	cr_assert(says(run.err, "cannot write the report"), "%s", run.err);
}

Test(stat, a_reader_that_leaves_early_is_no_matter)
{
	char *arguments[] = { NULL, "stat", "--list", NULL };
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN); /* It must not depend on what it inherits. */
	run_into(ends[1], arguments);
	close(ends[1]);
	cr_assert_eq(run.status, 128 + SIGPIPE);
	cr_assert_str_eq(run.err, "");
}
