/*
 * commands.h - the program `cadre` as one types it, for Criterion: what it prints, where, and
 * with which exit status, on a pool that it serves itself.
 *
 *	Test(call, ..., .init = prepare_demo, .fini = clean_up)
 *	{
 *		const struct run run = cadre("input", "call", pool, "echo", NULL);
 *
 * Each test serves a pool of its own, ends it, and then looks for what must not be left:
 * files in /dev/shm and processes, which all become children of the test.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "room.h"
#include "scene.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cadre/client.h>
#include <cadre/pool.h>
#include <cadre/report.h>

#define ARGUMENTS_MAX 40
#define PATIENCE_MS 20000

#define NO_ROOM 99 /* exit status of a child that may not have a /dev/shm of its own */

static char program[4096]; /* bin/cadre */
static char directory[64]; /* for files of the test */
static struct scene scene;
static char *pool;       /* its name, the scene's */
static const char *room; /* size of a /dev/shm of their own for programs, NULL: ours */
static pid_t server;     /* of the pool, 0 for none */

/* ---- memory, freed when the test ends ---- */

static void *memories[1000];

static inline void *resize(void *memory, size_t size)
{
	size_t i = 0;

	while (memories[i] != memory) /* NULL finds the first that is unused */
		cr_assert_lt(++i, sizeof(memories) / sizeof(memories[0]));
	memories[i] = realloc(memory, size);
	cr_assert_not_null(memories[i]);
	return memories[i];
}

static inline char *copy(const char *text)
{
	const size_t size = strlen(text) + 1;

	return memcpy(resize(NULL, size), text, size);
}

static inline void forget(void)
{
	for (size_t i = 0; i < sizeof(memories) / sizeof(memories[0]); i++)
		free(memories[i]);
}

/* ---- running programs ---- */

struct bytes {
	char *data; /* a zero stands behind the last byte */
	size_t length;
};

/* How a program ended: its exit status, or 128 + signal. */
struct run {
	int status;
	struct bytes out;
	struct bytes err;
};

static inline const char *folder(const char *variable)
{
	const char *const path = getenv(variable);

	cr_assert_not_null(path, "%s must be set; `./dev test` does it", variable);
	return path;
}

static inline const char *service(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder("CADRE_SERVICE_DIR"), name);
	return path;
}

static inline pid_t start(char *const arguments[], int in, int out, int err)
{
	const pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid > 0)
		return pid;
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	signal(SIGPIPE, SIG_DFL);
	if (room && room_make(room) < 0)
		_exit(NO_ROOM);
	execv(arguments[0], arguments);
	_exit(127);
}

static inline int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		cr_assert_eq(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline void make_pipe(int ends[2])
{
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
}

/* Appends what is there to read; false at the end. */
static inline bool append(struct bytes *bytes, int fd)
{
	char piece[65536];
	const ssize_t got = read(fd, piece, sizeof(piece));

	if (got <= 0)
		return false;
	bytes->data = resize(bytes->data, bytes->length + (size_t)got + 1);
	memcpy(bytes->data + bytes->length, piece, (size_t)got);
	bytes->length += (size_t)got;
	bytes->data[bytes->length] = '\0';
	return true;
}

static inline struct bytes empty(void)
{
	return (struct bytes){ .data = copy("") };
}

/* Feeds `in` to the program and collects what it says, all at the same time. */
static inline void converse(struct run *run, const char *input, size_t length, int in,
			    int out, int err)
{
	struct pollfd fds[3] = { { .fd = length > 0 ? in : -1, .events = POLLOUT },
				 { .fd = out, .events = POLLIN },
				 { .fd = err, .events = POLLIN } };

	if (length == 0)
		close(in);
	fcntl(in, F_SETFL, O_NONBLOCK);
	while (fds[1].fd >= 0 || fds[2].fd >= 0) {
		cr_assert_gt(poll(fds, 3, PATIENCE_MS), 0, "the program hangs");
		if (fds[0].fd >= 0 && fds[0].revents) {
			const ssize_t put = write(in, input, length);

			length -= put > 0 ? (size_t)put : 0;
			input += put > 0 ? put : 0;
			if (length == 0 || (put < 0 && errno != EAGAIN)) {
				close(in);
				fds[0].fd = -1;
			}
		}
		if (fds[1].fd >= 0 && fds[1].revents && !append(&run->out, out))
			fds[1].fd = -1;
		if (fds[2].fd >= 0 && fds[2].revents && !append(&run->err, err))
			fds[2].fd = -1;
	}
	if (fds[0].fd >= 0)
		close(in);
}

static inline struct run run_arguments(const char *input, size_t length,
				       char *const arguments[])
{
	struct run run = { .out = empty(), .err = empty() };
	int in[2], out[2], err[2];
	pid_t pid;

	make_pipe(in);
	make_pipe(out);
	make_pipe(err);
	pid = start(arguments, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	converse(&run, input, length, in[1], out[0], err[0]);
	close(out[0]);
	close(err[0]);
	run.status = wait_for(pid);
	return run;
}

/* `cadre`, then the arguments up to NULL. */
static inline void collect(char *arguments[ARGUMENTS_MAX], va_list list)
{
	size_t count = 0;

	arguments[count++] = program;
	do {
		cr_assert_lt(count, ARGUMENTS_MAX);
		arguments[count] = va_arg(list, char *);
	} while (arguments[count++]);
}

__attribute__((sentinel)) static inline struct run cadre(const char *input, ...)
{
	char *arguments[ARGUMENTS_MAX];
	va_list list;

	va_start(list, input);
	collect(arguments, list);
	va_end(list);
	return run_arguments(input, strlen(input), arguments);
}

/* Starts it and leaves it running; nothing but /dev/null is connected, unless given. */
__attribute__((sentinel)) static inline pid_t cadre_behind(int in, int out, int err, ...)
{
	const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	char *arguments[ARGUMENTS_MAX];
	va_list list;
	pid_t pid;

	va_start(list, err);
	collect(arguments, list);
	va_end(list);
	pid = start(arguments, in < 0 ? nothing : in, out < 0 ? nothing : out,
		    err < 0 ? nothing : err);
	close(nothing);
	return pid;
}

/* ---- pools ---- */

static inline void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
}

/* What the counters say, or false when there is no such pool. */
static inline bool look(struct cadre_pool_snapshot *snapshot)
{
	struct cadre_report *report;

	if (cadre_report_open(pool, &report, NULL) < 0)
		return false;
	*snapshot = *cadre_report_read(report);
	cadre_report_close(report);
	return true;
}

static inline void await_workers(uint32_t count)
{
	struct cadre_pool_snapshot snapshot = { 0 };
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);

	while (!look(&snapshot) || snapshot.workers_ready < count ||
	       strcmp(snapshot.state, "open") != 0) {
		cr_assert_lt(cadre_now_ns(), until_ns, "the pool did not start");
		cr_assert_eq(waitpid(server, NULL, WNOHANG), 0, "the server ended");
		nap();
	}
}

/* The demo service with two workers and small limits: what is too much is soon reached. */
static inline void serve_demo(void)
{
	server = cadre_behind(-1, -1, -1, "serve", "--name", pool, "--workers", "2",
			      "--slots", "16", "--payload-max", "256k", "--block-bytes",
			      "8M", service("demo.so"), NULL);
	await_workers(2);
}

static inline int stop_server(void)
{
	const pid_t pid = server;

	server = 0;
	kill(pid, SIGTERM);
	return wait_for(pid);
}

static inline void prepare(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	scene_begin(&scene);
	pool = scene.pool;
	snprintf(program, sizeof(program), "%s/cadre", folder("CADRE_BIN_DIR"));
	snprintf(directory, sizeof(directory), "/tmp/cadre-tools-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
}

static inline void clean_up(void)
{
	char *const arguments[] = { "/bin/rm", "-rf", directory, NULL };

	if (server > 0 && stop_server() != 0)
		scene_insist("the server did not end in order");
	run_arguments("", 0, arguments);
	forget();
	scene_end(&scene);
}

static inline void prepare_demo(void)
{
	prepare();
	serve_demo();
}

/* ---- what tests say ---- */

static inline void expect_status(const struct run *run, int status)
{
	cr_expect_eq(run->status, status, "exit status %d instead of %d; it said: %s",
		     run->status, status, run->err.data);
}

static inline void expect_output(const struct run *run, const char *text)
{
	cr_expect_str_eq(run->out.data, text);
}

static inline void expect_mention_in_output(const struct run *run, const char *words)
{
	cr_expect_not_null(strstr(run->out.data, words), "does not say \"%s\": %s", words,
			   run->out.data);
}

/* One line, that begins with the command's name and holds the words. */
static inline void expect_sentence(const struct run *run, const char *command,
				   const char *words)
{
	const char *const newline = strchr(run->err.data, '\n');

	cr_expect_eq(strncmp(run->err.data, command, strlen(command)), 0,
		     "does not begin with \"%s\": %s", command, run->err.data);
	cr_expect_not_null(strstr(run->err.data, words), "does not say \"%s\": %s", words,
			   run->err.data);
	cr_expect(newline && newline[1] == '\0', "is not one line: %s", run->err.data);
}

static inline void expect_mention(const struct run *run, const char *words)
{
	cr_expect_not_null(strstr(run->err.data, words), "does not say \"%s\": %s", words,
			   run->err.data);
}

/* Some bytes of every value. */
static inline char *pattern(size_t length)
{
	char *const bytes = resize(NULL, length + 1);

	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	bytes[length] = '\0';
	return bytes;
}

static inline const char *write_file(const char *name, const char *bytes, size_t length)
{
	static char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_eq(fwrite(bytes, 1, length, file), length);
	fclose(file);
	return path;
}

#endif
