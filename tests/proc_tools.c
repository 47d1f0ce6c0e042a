/*
 * proc_tools.c - claims about the program `cadre`, made to the program itself: what it
 * prints, where, and with which exit status. `cadre stat` and `cadre gc` have tests of
 * their own.
 *
 * Each test serves a pool of its own, ends it, and then looks for what must not be left:
 * files in /dev/shm and processes, which all become children of the test.
 */
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

#include "room.h"

#define ARGUMENTS_MAX 40
#define PATIENCE_MS 20000

#define NO_ROOM 99 /* exit status of a child that may not have a /dev/shm of its own */

static char program[4096]; /* bin/cadre */
static char directory[64]; /* for files of the test */
static char pool[32];      /* its name */
static const char *room;   /* size of a /dev/shm of their own for programs, NULL: ours */
static pid_t server;       /* of the pool, 0 for none */

/* ---- memory, freed when the test ends ---- */

static void *memories[1000];

static void *resize(void *memory, size_t size)
{
	size_t i = 0;

	while (memories[i] != memory) /* NULL finds the first that is unused */
		cr_assert_lt(++i, sizeof(memories) / sizeof(memories[0]));
	memories[i] = realloc(memory, size);
	cr_assert_not_null(memories[i]);
	return memories[i];
}

static char *copy(const char *text)
{
	const size_t size = strlen(text) + 1;

	return memcpy(resize(NULL, size), text, size);
}

static void forget(void)
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

static const char *folder(const char *variable)
{
	const char *const path = getenv(variable);

	cr_assert_not_null(path, "%s must be set; `./dev test` does it", variable);
	return path;
}

static const char *service(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder("CADRE_SERVICE_DIR"), name);
	return path;
}

static pid_t start(char *const arguments[], int in, int out, int err)
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

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		cr_assert_eq(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void make_pipe(int ends[2])
{
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
}

/* Appends what is there to read; false at the end. */
static bool append(struct bytes *bytes, int fd)
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

static struct bytes empty(void)
{
	return (struct bytes){ .data = copy("") };
}

/* Feeds `in` to the program and collects what it says, all at the same time. */
static void converse(struct run *run, const char *input, size_t length, int in, int out,
		     int err)
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

static struct run run_arguments(const char *input, size_t length, char *const arguments[])
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
static void collect(char *arguments[ARGUMENTS_MAX], va_list list)
{
	size_t count = 0;

	arguments[count++] = program;
	do {
		cr_assert_lt(count, ARGUMENTS_MAX);
		arguments[count] = va_arg(list, char *);
	} while (arguments[count++]);
}

__attribute__((sentinel)) static struct run cadre(const char *input, ...)
{
	char *arguments[ARGUMENTS_MAX];
	va_list list;

	va_start(list, input);
	collect(arguments, list);
	va_end(list);
	return run_arguments(input, strlen(input), arguments);
}

/* Starts it and leaves it running; nothing but /dev/null is connected, unless given. */
__attribute__((sentinel)) static pid_t cadre_behind(int in, int out, int err, ...)
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

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
}

/* What the counters say, or false when there is no such pool. */
static bool look(struct cadre_pool_snapshot *snapshot)
{
	struct cadre_report *report;

	if (cadre_report_open(pool, &report, NULL) < 0)
		return false;
	*snapshot = *cadre_report_read(report);
	cadre_report_close(report);
	return true;
}

static void await_workers(uint32_t count)
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
static void serve_demo(void)
{
	server = cadre_behind(-1, -1, -1, "serve", "--name", pool, "--workers", "2",
			      "--slots", "16", "--payload-max", "256k", "--block-bytes",
			      "8M", service("demo.so"), NULL);
	await_workers(2);
}

static int stop_server(void)
{
	const pid_t pid = server;

	server = 0;
	kill(pid, SIGTERM);
	return wait_for(pid);
}

static void expect_nothing_in_shm(void)
{
	static const char *const endings[] = { "", ".sock", ".lock" };

	for (size_t i = 0; i < 3; i++) {
		char path[128];

		snprintf(path, sizeof(path), "/dev/shm/cadre.%s%s", pool, endings[i]);
		cr_expect_eq(access(path, F_OK), -1, "left behind: %s", path);
	}
}

/* Descendants without a parent came to us: all of them must be gone by now, or go. */
static void expect_no_process(void)
{
	const int64_t until_ns = cadre_in_ms(3000);
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && cadre_now_ns() < until_ns)
		nap();
	cr_expect_eq(pid, -1, "a process is left behind");
}

static void prepare(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	snprintf(program, sizeof(program), "%s/cadre", folder("CADRE_BIN_DIR"));
	snprintf(pool, sizeof(pool), "tools-%d", getpid());
	snprintf(directory, sizeof(directory), "/tmp/cadre-tools-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
}

static void clean_up(void)
{
	char *const arguments[] = { "/bin/rm", "-rf", directory, NULL };

	if (server > 0)
		cr_expect_eq(stop_server(), 0, "the server did not end in order");
	expect_nothing_in_shm();
	run_arguments("", 0, arguments);
	expect_no_process();
	forget();
}

static void prepare_demo(void)
{
	prepare();
	serve_demo();
}

/* ---- what tests say ---- */

static void expect_status(const struct run *run, int status)
{
	cr_expect_eq(run->status, status, "exit status %d instead of %d; it said: %s",
		     run->status, status, run->err.data);
}

static void expect_output(const struct run *run, const char *text)
{
	cr_expect_str_eq(run->out.data, text);
}

static void expect_mention_in_output(const struct run *run, const char *words)
{
	cr_expect_not_null(strstr(run->out.data, words), "does not say \"%s\": %s", words,
			   run->out.data);
}

/* One line, that begins with the command's name and holds the words. */
static void expect_sentence(const struct run *run, const char *command, const char *words)
{
	const char *const newline = strchr(run->err.data, '\n');

	cr_expect_eq(strncmp(run->err.data, command, strlen(command)), 0,
		     "does not begin with \"%s\": %s", command, run->err.data);
	cr_expect_not_null(strstr(run->err.data, words), "does not say \"%s\": %s", words,
			   run->err.data);
	cr_expect(newline && newline[1] == '\0', "is not one line: %s", run->err.data);
}

static void expect_mention(const struct run *run, const char *words)
{
	cr_expect_not_null(strstr(run->err.data, words), "does not say \"%s\": %s", words,
			   run->err.data);
}

/* Some bytes of every value. */
static char *pattern(size_t length)
{
	char *const bytes = resize(NULL, length + 1);

	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	bytes[length] = '\0';
	return bytes;
}

static const char *write_file(const char *name, const char *bytes, size_t length)
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

/* ---- the program ---- */

static const char *const every_command[] = { "serve", "call",  "map", "stat", "ctl",
					     "top",   "check", "gc",  "http" };
#define COMMANDS (sizeof(every_command) / sizeof(every_command[0]))

Test(cadre, help_names_each_command, .init = prepare, .fini = clean_up)
{
	const struct run run = cadre("", "--help", NULL);

	expect_status(&run, 0);
	for (size_t i = 0; i < COMMANDS; i++)
		cr_expect_not_null(strstr(run.out.data, every_command[i]));
	cr_expect_eq(run.err.length, 0);
}

Test(cadre, each_help_shows_an_example_and_the_exit_status, .init = prepare,
     .fini = clean_up)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *const command = every_command[i];
		const struct run run = cadre("", command, "--help", NULL);

		expect_status(&run, 0);
		cr_expect_not_null(strstr(run.out.data, "Example"), "%s", command);
		cr_expect_not_null(strstr(run.out.data, "Exit status"), "%s", command);
	}
}

Test(cadre, an_unknown_command_is_wrong_usage, .init = prepare, .fini = clean_up)
{
	const struct run run = cadre("", "frobnicate", NULL);

	expect_status(&run, 64);
	expect_sentence(&run, "cadre: ", "\"frobnicate\"");
}

Test(cadre, a_missing_pool_and_a_name_that_cannot_be_one_end_each_command_alike,
     .init = prepare, .fini = clean_up)
{
	static const char *const commands[][2] = {
		{ "stat", NULL },   { "check", NULL }, { "ctl", "status" },
		{ "call", "echo" }, { "map", "echo" },
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *const command = commands[i][0], *const more = commands[i][1];
		const struct run missing = cadre("", command, "no-such-pool", more, NULL);
		const struct run impossible = cadre("", command, "not/a/name", more, NULL);

		expect_status(&missing, 2);
		expect_mention(&missing, "no-such-pool");
		expect_status(&impossible, 64);
		expect_mention(&impossible, "not/a/name");
	}
}

Test(cadre, version_is_one_line, .init = prepare, .fini = clean_up)
{
	const struct run run = cadre("", "--version", NULL);

	expect_status(&run, 0);
	cr_expect_eq(strncmp(run.out.data, "cadre ", 6), 0);
}

/* ---- call ---- */

Test(call, a_reply_is_printed_byte_for_byte, .init = prepare_demo, .fini = clean_up)
{
	char *const bytes = pattern(1000);
	char *const arguments[] = { program, "call", pool, "echo", NULL };
	const struct run run = run_arguments(bytes, 1000, arguments);

	expect_status(&run, 0);
	cr_assert_eq(run.out.length, 1000);
	cr_expect_eq(memcmp(run.out.data, bytes, 1000), 0);
}

Test(call, a_pipe_may_hold_as_much_as_the_pool_takes, .init = prepare_demo,
     .fini = clean_up)
{
	char *const bytes = pattern(256 * 1024);
	char *const arguments[] = { program, "call", pool, "echo", NULL };
	const struct run run = run_arguments(bytes, 256 * 1024, arguments);

	expect_status(&run, 0);
	cr_assert_eq(run.out.length, 256 * 1024);
	cr_expect_eq(memcmp(run.out.data, bytes, run.out.length), 0);
}

Test(call, one_byte_more_is_a_sentence, .init = prepare_demo, .fini = clean_up)
{
	char *const bytes = pattern(256 * 1024 + 1);
	char *const arguments[] = { program, "call", pool, "echo", NULL };
	const struct run run = run_arguments(bytes, 256 * 1024 + 1, arguments);

	expect_status(&run, 1);
	expect_output(&run, "");
	expect_sentence(&run, "cadre call: ", "262144 bytes");
}

/* ---- cadre call --stream ---- */

static struct run call_stream(const char *format, const char *operation, const char *data,
			      const char *option)
{
	char *const arguments[] = { program,
				    copy("call"),
				    pool,
				    copy(operation),
				    copy("--data"),
				    copy(data),
				    copy(format),
				    option ? copy(option) : NULL,
				    NULL };

	return run_arguments("", 0, arguments);
}

Test(call, items_of_a_stream_are_lines_or_raw_or_netstrings, .init = prepare_demo,
     .fini = clean_up)
{
	static const struct {
		const char *option, *output;
	} formats[] = {
		{ "--stream", "8\n9\n10\n" },
		{ "--stream=lines", "8\n9\n10\n" },
		{ "--stream=raw", "8910" },
		{ "--stream=netstrings", "1:8,1:9,2:10," },
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		const struct run run = call_stream(formats[i].option, "count", "10", NULL);
		const size_t length = strlen(formats[i].output);

		expect_status(&run, 0);
		cr_assert_geq(run.out.length, length);
		cr_expect_str_eq(run.out.data + run.out.length - length,
				 formats[i].output);
	}
}

Test(call, errors_among_the_items_are_told_and_the_stream_goes_on, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = call_stream("--stream", "odds", "5", NULL);

	expect_status(&run, 1);
	expect_output(&run, "1\n3\n5\n");
	cr_expect_str_eq(run.err.data, "cadre call: item 2 failed: 2 is even (code 33)\n"
				       "cadre call: item 4 failed: 4 is even (code 33)\n");
}

Test(call, who_wishes_stops_at_the_first_error, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = call_stream("--stream", "odds", "1000000000", "--stop");

	expect_status(&run, 1);
	expect_output(&run, "1\n");
	expect_sentence(&run, "cadre call: ", "2 is even");
}

Test(call, a_stream_whose_reader_leaves_is_left, .init = prepare_demo, .fini = clean_up)
{
	size_t read_bytes = 0;
	char piece[4];
	int ends[2];
	pid_t pid;

	make_pipe(ends);
	pid = cadre_behind(-1, ends[1], -1, "call", pool, "count", "--stream", "--data",
			   "1000000000", NULL);
	close(ends[1]);
	/* Items are written as they come: the first may come alone. */
	while (read_bytes < sizeof(piece)) {
		const ssize_t more = read(ends[0], piece, sizeof(piece) - read_bytes);

		cr_assert_gt(more, 0);
		read_bytes += (size_t)more;
	}
	close(ends[0]);
	cr_expect_eq(wait_for(pid), 0, "it has done what was asked of it");
}

Test(call, a_stream_that_is_asked_for_wrongly_is_refused, .init = prepare_demo,
     .fini = clean_up)
{
	struct run run = call_stream("--stream=words", "count", "1", NULL);

	expect_status(&run, 64);
	expect_sentence(&run, "cadre call: ", "netstrings");
	run = call_stream("--stop", "count", "1", NULL);
	expect_status(&run, 64);
	expect_sentence(&run, "cadre call: ", "--stream");
	run = call_stream("--stream", "count", "1", "--detached");
	expect_status(&run, 64);
	expect_sentence(&run, "cadre call: ", "--detached");
	run = call_stream("--stream", "count", "1", "--room=63");
	expect_status(&run, 64);
	expect_sentence(&run, "cadre call: ", "64");
}

Test(call, a_file_is_a_payload_too_also_from_its_middle_on, .init = prepare_demo,
     .fini = clean_up)
{
	char *const bytes = pattern(200000);
	const int file = open(write_file("payload", bytes, 200000), O_RDONLY | O_CLOEXEC);
	struct bytes out = empty();
	int ends[2];
	pid_t pid;

	make_pipe(ends);
	cr_assert_eq(lseek(file, 1000, SEEK_SET), 1000);
	pid = cadre_behind(file, ends[1], -1, "call", pool, "echo", NULL);
	close(ends[1]);
	while (append(&out, ends[0]))
		;
	cr_expect_eq(wait_for(pid), 0);
	cr_assert_eq(out.length, 199000);
	cr_expect_eq(memcmp(out.data, bytes + 1000, out.length), 0);
}

Test(call, an_operation_may_be_named_by_its_number, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "1", "--data", "hello", NULL);

	expect_status(&run, 0);
	expect_output(&run, "hello");
}

Test(call, a_reply_may_have_a_size_that_nobody_knew, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "spool", "--data", "200000", NULL);

	expect_status(&run, 0);
	cr_assert_eq(run.out.length, 200000);
	for (size_t i = 0; i < run.out.length; i++)
		cr_assert_eq(run.out.data[i], (char)('a' + i % 26));
}

Test(call, a_deferred_job_is_answered_later, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "later", "--data", "30", NULL);

	expect_status(&run, 0);
	expect_output(&run, "30");
}

Test(call, a_failed_job_is_told_with_its_code_and_sentence, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("no such order\n", "call", pool, "fail", NULL);

	expect_status(&run, 1);
	expect_output(&run, "");
	expect_sentence(&run, "cadre call: job failed: no such order (code 42, worker ",
			"pid ");
}

Test(call, a_worker_that_crashes_makes_its_job_lost_and_is_named, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "crash", "--data", "ABRT",
				     "--no-backtrace", NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre call: job lost: worker ", "ABRT");
	expect_mention(&run, "pid ");
}

static void count_line(const struct cadre_log_line *line, void *context)
{
	unsigned *const heard = context;

	*heard += strcmp(line->text, "heard") == 0 ? 1 : 100;
}

Test(call, lines_of_handlers_come_out_at_the_level_that_ctl_sets, .init = prepare_demo,
     .fini = clean_up)
{
	struct run run = cadre("", "call", pool, "log", "--data", "info unheard", NULL);
	struct cadre_log *log;
	unsigned heard = 0;

	expect_status(&run, 0);
	run = cadre("", "ctl", pool, "log-level", "info", NULL);
	expect_status(&run, 0);
	expect_mention_in_output(&run, "the log level is \"info\"");
	cr_assert_eq(cadre_log_open(pool, true, &log, NULL), 0);
	run = cadre("", "call", pool, "log", "--data", "info heard", NULL);
	expect_status(&run, 0);
	cadre_log_read(log, count_line, &heard);
	cr_expect_eq(heard, 1, "%u", heard);
	cadre_log_close(log);
}

Test(call, a_log_level_that_does_not_exist_is_refused, .init = prepare_demo,
     .fini = clean_up)
{
	struct run run = cadre("", "ctl", pool, "log-level", "loud", NULL);

	expect_status(&run, 64);
	expect_sentence(&run, "cadre ctl: log-level loud: must be ", "trace");
	run = cadre("", "serve", "--name", "x", "--log-to", "nowhere", "y.so", NULL);
	expect_status(&run, 64);
	expect_sentence(&run, "cadre serve: --log-to nowhere: must be ", "syslog");
}

Test(call, where_a_worker_crashed_is_shown, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "crash", "--data", "SEGV", NULL);

	expect_status(&run, 1);
	expect_mention(&run, "SIGSEGV (raised by itself), job ");
	expect_mention(&run, " of operation 5\n");
	expect_mention(&run, " crash at ");
	expect_mention(&run, "demo.c:");
	expect_mention(&run, "(demo.so+0x");
}

Test(call, where_a_worker_crashed_is_not_shown_to_who_does_not_want_it,
     .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "crash", "--data", "SEGV",
				     "--no-backtrace", NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre call: job lost: worker ", "SEGV");
}

Test(call, a_worker_that_exits_makes_its_job_lost_with_its_status, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "exit", "--data", "3", NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre call: job lost: worker ", "status 3");
}

Test(call, an_idempotent_job_survives_its_worker, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "crash-once", "--data", "KILL",
				     "--idempotent", NULL);

	expect_status(&run, 0);
	expect_output(&run, "1");
}

Test(call, past_its_timeout_a_job_has_timed_out, .init = prepare_demo, .fini = clean_up)
{
	const int64_t start_ns = cadre_now_ns();
	const struct run run = cadre("", "call", pool, "sleep", "--data", "9000",
				     "--timeout", "50ms", NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre call: job timed out", "");
	cr_expect_lt(cadre_now_ns() - start_ns, INT64_C(5000000000));
}

Test(call, a_detached_job_goes_on_without_its_client, .init = prepare_demo,
     .fini = clean_up)
{
	struct cadre_pool_snapshot snapshot;
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);
	const struct run run = cadre("", "call", pool, "sleep", "--data", "300",
				     "--detached", NULL);

	expect_status(&run, 0);
	expect_output(&run, "");
	do {
		cr_assert_lt(cadre_now_ns(), until_ns, "the job did not end");
		nap();
		cr_assert(look(&snapshot));
	} while (snapshot.jobs[CADRE_OK] == 0);
}

Test(call, an_unknown_operation_is_named, .init = prepare_demo, .fini = clean_up)
{
	const struct run by_name = cadre("", "call", pool, "frobnicate", NULL);
	const struct run by_number = cadre("", "call", pool, "999", NULL);

	expect_status(&by_name, 2);
	expect_sentence(&by_name, "cadre call: ", "has no operation \"frobnicate\"");
	expect_status(&by_number, 1);
	expect_sentence(&by_number, "cadre call: job failed: ", "unknown operation");
}

Test(call, a_pool_that_does_not_exist_is_named, .init = prepare, .fini = clean_up)
{
	const struct run run = cadre("", "call", "no-such-pool", "echo", NULL);

	expect_status(&run, 2);
	expect_sentence(&run, "cadre call: ", "\"no-such-pool\"");
}

Test(call, wrong_arguments_are_refused_in_one_sentence, .init = prepare, .fini = clean_up)
{
	const struct run runs[] = {
		cadre("", "call", NULL),
		cadre("", "call", pool, NULL),
		cadre("", "call", pool, "echo", "more", NULL),
		cadre("", "call", pool, "echo", "--timeout", "soon", NULL),
		cadre("", "call", pool, "echo", "--timeout", "5", NULL),
		cadre("", "call", pool, "echo", "--retries", "2", NULL),
		cadre("", "call", pool, "echo", "--idempotent", "--retries", "16", NULL),
		cadre("", "call", "not/a/name", "echo", NULL),
	};

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		expect_status(&runs[i], 64);
		expect_sentence(&runs[i], "cadre call: ", "");
	}
}

/* ---- map ---- */

Test(map, results_come_in_the_order_of_the_inputs, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("200\n0\n100\n50\n", "map", pool, "sleep", NULL);

	expect_status(&run, 0);
	expect_output(&run, "200\n0\n100\n50\n");
	cr_expect_eq(run.err.length, 0, "%s", run.err.data);
}

Test(map, unordered_results_come_as_they_are_ready, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("500\n0\n", "map", pool, "sleep", "--unordered",
				     NULL);

	expect_status(&run, 0);
	expect_output(&run, "0\n500\n");
}

Test(map, many_more_inputs_than_slots_keep_their_order, .init = prepare_demo,
     .fini = clean_up)
{
	struct bytes input = empty();
	char *end;

	input.data = resize(input.data, 20000 * 8);
	end = input.data;
	for (int i = 0; i < 20000; i++)
		end += sprintf(end, "%d\n", i);
	{
		const struct run run = cadre(input.data, "map", pool, "echo", NULL);

		expect_status(&run, 0);
		cr_expect(strcmp(run.out.data, input.data) == 0, "the order is lost");
	}
}

Test(map, a_last_line_without_newline_and_empty_lines_count, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("a\n\nb", "map", pool, "echo", "--in-flight", "1",
				     NULL);

	expect_status(&run, 0);
	expect_output(&run, "a\n\nb\n");
}

Test(map, no_input_is_no_job, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "map", pool, "echo", "--summary", NULL);

	expect_status(&run, 0);
	expect_output(&run, "");
	expect_mention(&run, "0 jobs: 0 ok");
}

Test(map, a_job_that_fails_is_named_and_the_others_go_on, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("1\nx\n2\n", "map", pool, "sleep", "--summary", NULL);

	expect_status(&run, 1);
	expect_output(&run, "1\n2\n");
	expect_mention(&run, "cadre map: input 2 \"x\" failed: ");
	expect_mention(&run, "3 jobs: 2 ok, 1 failed, 0 lost");
}

Test(map, a_line_that_is_too_long_is_named_and_the_others_go_on, .init = prepare_demo,
     .fini = clean_up)
{
	const size_t length = 300 * 1024;
	char *const input = resize(NULL, length + 8);
	struct run run;

	memset(input, 'x', length);
	input[0] = 'a';
	input[1] = '\n';
	snprintf(input + length, 8, "\nb\n");
	run = cadre(input, "map", pool, "echo", NULL);
	expect_status(&run, 1);
	expect_output(&run, "a\nb\n");
	expect_sentence(&run, "cadre map: input 2 ", "262144 bytes");
}

Test(map, results_may_carry_their_inputs, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("5\n7\n", "map", pool, "sleep", "--with-input", NULL);

	expect_status(&run, 0);
	expect_output(&run, "5  5\n7  7\n");
}

Test(map, inputs_and_results_may_end_in_nul, .init = prepare_demo, .fini = clean_up)
{
	char *const arguments[] = { program,  "map",      pool, "echo",
				    "--null", "--print0", NULL };
	const struct run run = run_arguments("a\nb\0c\0", 6, arguments);

	expect_status(&run, 0);
	cr_assert_eq(run.out.length, 6);
	cr_expect_eq(memcmp(run.out.data, "a\nb\0c\0", 6), 0);
}

Test(map, files_are_payloads_and_those_that_cannot_be_read_are_named,
     .init = prepare_demo, .fini = clean_up)
{
	char *const large = copy(write_file("large", pattern(300000), 300000));
	char *const one = copy(write_file("one", "first", 5));
	char *const two = copy(write_file("two", "second", 6));
	const struct run run = cadre("", "map", pool, "echo", one, "/no/such/file",
				     directory, two, large, "--with-input", NULL);
	char expected[600];

	expect_status(&run, 1);
	snprintf(expected, sizeof(expected), "first  %s\nsecond  %s\n", one, two);
	expect_output(&run, expected);
	expect_mention(&run, "file \"/no/such/file\" cannot be read: No such file");
	expect_mention(&run, "\" cannot be read: Is a directory");
	expect_mention(&run, "/large\" is longer than the pool takes");
}

Test(map, large_files_go_through_a_small_pool, .init = prepare_demo, .fini = clean_up)
{
	char *const bytes = pattern(256 * 1024);
	char *const path = copy(write_file("large", bytes, 256 * 1024));
	char *arguments[4 + 30 + 1] = { program, "map", pool, "echo" };
	struct run run;

	for (size_t i = 0; i < 30; i++)
		arguments[4 + i] = path;
	run = run_arguments("", 0, arguments);
	expect_status(&run, 0);
	cr_assert_eq(run.out.length, 30 * (256 * 1024 + 1));
	for (size_t i = 0; i < 30; i++)
		cr_expect_eq(memcmp(run.out.data + i * (256 * 1024 + 1), bytes, 256 * 1024),
			     0);
}

Test(map, jobs_whose_worker_died_are_tried_again, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("KILL\n", "map", pool, "crash-once", "--summary",
				     NULL);

	expect_status(&run, 0);
	expect_output(&run, "1\n");
	expect_mention(&run, "1 jobs: 1 ok, 0 failed, 0 lost, 1 tried again");
}

Test(map, jobs_that_must_not_be_repeated_are_lost, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("KILL\n", "map", pool, "crash-once", "--once",
				     "--summary", NULL);

	expect_status(&run, 1);
	expect_output(&run, "");
	expect_mention(&run, "cadre map: input 1 \"KILL\" lost");
	expect_mention(&run, "1 jobs: 0 ok, 0 failed, 1 lost, 0 tried again");
}

Test(map, a_reply_does_not_wait_for_the_next_input, .init = prepare_demo, .fini = clean_up)
{
	struct bytes reply = empty();
	int in[2], out[2];
	pid_t pid;

	make_pipe(in);
	make_pipe(out);
	pid = cadre_behind(in[0], out[1], -1, "map", pool, "sleep", NULL);
	close(in[0]);
	close(out[1]);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(write(in[1], "20\n", 3), 3);
		while (reply.length < 3 * ((size_t)i + 1))
			cr_assert(append(&reply, out[0]));
	}
	close(in[1]);
	cr_expect_eq(wait_for(pid), 0);
	cr_expect_str_eq(reply.data, "20\n20\n20\n");
}

Test(map, sigint_gives_up_what_is_under_way, .init = prepare_demo, .fini = clean_up)
{
	struct cadre_pool_snapshot snapshot;
	const int64_t start_ns = cadre_now_ns();
	int in[2];
	pid_t pid;

	make_pipe(in);
	pid = cadre_behind(in[0], -1, -1, "map", pool, "sleep", NULL);
	cr_assert_eq(write(in[1], "60000\n60000\n60000\n", 18), 18);
	do {
		nap();
		cr_assert(look(&snapshot));
	} while (snapshot.in_flight < 3);
	kill(pid, SIGINT);
	cr_expect_eq(wait_for(pid), 130);
	cr_expect_lt(cadre_now_ns() - start_ns, INT64_C(10000000000));
}

Test(map, a_reader_that_leaves_ends_it_without_a_word, .init = prepare_demo,
     .fini = clean_up)
{
	const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct bytes err = empty();
	int out[2], ends[2];
	pid_t pid;

	make_pipe(out);
	make_pipe(ends);
	pid = cadre_behind(zeros, out[1], ends[1], "map", pool, "echo", "--null", NULL);
	close(out[1]);
	close(ends[1]);
	close(out[0]);
	while (append(&err, ends[0]))
		;
	cr_expect_eq(wait_for(pid), 141);
	cr_expect_str_eq(err.data, "");
}

Test(map, progress_without_a_terminal_is_a_few_lines, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("1\n2\n3\n", "map", pool, "echo",
				     "--progress=always", NULL);

	expect_status(&run, 0);
	expect_mention(&run, "jobs/s");
	cr_expect_null(strchr(run.err.data, '\r'));
}

Test(map, a_missing_pool_and_a_missing_operation_are_named, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run no_pool = cadre("x\n", "map", "no-such-pool", "echo", NULL);
	const struct run no_operation = cadre("x\n", "map", pool, "frobnicate", NULL);

	expect_status(&no_pool, 2);
	expect_sentence(&no_pool, "cadre map: ", "\"no-such-pool\"");
	expect_status(&no_operation, 2);
	expect_sentence(&no_operation, "cadre map: ", "\"frobnicate\"");
}

Test(map, wrong_arguments_are_refused_in_one_sentence, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run runs[] = {
		cadre("", "map", NULL),
		cadre("", "map", pool, NULL),
		cadre("", "map", pool, "echo", "--in-flight", "0", NULL),
		cadre("", "map", pool, "echo", "--in-flight", "17", NULL),
		cadre("", "map", pool, "echo", "--progress=sometimes", NULL),
		cadre("", "map", pool, "echo", "--once", "--retries", "2", NULL),
		cadre("", "map", pool, "echo", "--timeout", "-1s", NULL),
	};

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		expect_status(&runs[i], 64);
		expect_sentence(&runs[i], "cadre map: ", "");
	}
}

Test(map, a_pool_that_dies_is_told, .init = prepare, .fini = clean_up)
{
	struct run run = { .err = empty() };
	struct cadre_pool_snapshot snapshot;
	int in[2], err[2];
	pid_t pid;

	server = cadre_behind(-1, -1, -1, "serve", "--name", pool, "--workers", "1",
			      "--stop-timeout", "100ms", service("demo.so"), NULL);
	await_workers(1);
	make_pipe(in);
	make_pipe(err);
	pid = cadre_behind(in[0], -1, err[1], "map", pool, "sleep", NULL);
	close(err[1]);
	cr_assert_eq(write(in[1], "60000\n", 6), 6);
	do {
		nap();
		cr_assert(look(&snapshot));
	} while (snapshot.in_flight == 0);
	stop_server();
	close(in[1]);
	while (append(&run.err, err[0]))
		;
	run.status = wait_for(pid);
	cr_expect(run.status == 1 || run.status == 2, "exit status %d", run.status);
	cr_expect_gt(run.err.length, 0);
}

/* ---- serve ---- */

Test(serve, sigterm_ends_it_in_order_and_leaves_nothing, .init = prepare_demo,
     .fini = clean_up)
{
	cr_expect_eq(stop_server(), 0);
	expect_nothing_in_shm();
	expect_no_process();
}

Test(serve, sigint_does_the_same, .init = prepare_demo, .fini = clean_up)
{
	kill(server, SIGINT);
	cr_expect_eq(wait_for(server), 0);
	server = 0;
}

Test(serve, a_worker_program_serves_as_well, .init = prepare, .fini = clean_up)
{
	char worker[4200];
	struct run run;

	snprintf(worker, sizeof(worker), "%s/demo-worker", folder("CADRE_BIN_DIR"));
	server = cadre_behind(-1, -1, -1, "serve", "--name", pool, "--workers", "2", "--",
			      worker, NULL);
	await_workers(2);
	run = cadre("hello", "call", pool, "echo", NULL);
	expect_status(&run, 0);
	expect_output(&run, "hello");
}

Test(serve, a_worker_program_started_by_hand_says_so, .init = prepare, .fini = clean_up)
{
	char worker[4200];
	char *const arguments[] = { worker, NULL };
	struct run run;

	snprintf(worker, sizeof(worker), "%s/demo-worker", folder("CADRE_BIN_DIR"));
	run = run_arguments("", 0, arguments);
	expect_status(&run, 64);
	cr_expect_gt(run.err.length, 0);
}

Test(serve, notices_are_lines_and_quiet_means_none, .init = prepare, .fini = clean_up)
{
	struct bytes notices = empty();
	int ends[2];

	for (int quiet = 0; quiet < 2; quiet++) {
		make_pipe(ends);
		server = cadre_behind(-1, -1, ends[1], "serve", "--name", pool,
				      "--workers", "1", service("demo.so"),
				      quiet ? "--quiet" : NULL, NULL);
		close(ends[1]);
		await_workers(1);
		cr_expect_eq(stop_server(), 0);
		notices.length = 0;
		notices.data[0] = '\0';
		while (append(&notices, ends[0]))
			;
		close(ends[0]);
		if (quiet)
			cr_expect_str_eq(notices.data, "");
		else
			cr_expect_eq(strncmp(notices.data, "cadre serve: ", 13), 0, "%s",
				     notices.data);
	}
}

Test(serve, it_goes_on_when_nobody_reads_its_lines_any_more, .init = prepare,
     .fini = clean_up)
{
	struct run run;
	int ends[2];

	make_pipe(ends);
	server = cadre_behind(-1, -1, ends[1], "serve", "--name", pool, "--workers", "1",
			      "--log-level", "debug", service("demo.so"), NULL);
	close(ends[1]);
	await_workers(1);
	close(ends[0]);
	/* Both are worth a line. */
	run = cadre("", "ctl", pool, "scale", "2", NULL);
	expect_status(&run, 0);
	await_workers(2);
	run = cadre("", "call", pool, "crash", NULL);
	expect_status(&run, 1);
	await_workers(2);
	cr_expect_eq(stop_server(), 0);
}

Test(serve, a_service_that_cannot_be_loaded_is_named, .init = prepare, .fini = clean_up)
{
	char library[4200];
	char *const text = copy(write_file("text.so", "no code", 7));
	struct run run;

	run = cadre("", "serve", "--name", pool, "--workers", "1", "/no/such/file.so",
		    NULL);
	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "/no/such/file.so");

	run = cadre("", "serve", "--name", pool, "--workers", "1", "--quiet", text, NULL);
	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "text.so");

	snprintf(library, sizeof(library), "%s/../lib/libcadre.so",
		 folder("CADRE_BIN_DIR"));
	run = cadre("", "serve", "--name", pool, "--workers", "1", "--quiet", library,
		    NULL);
	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "cadre_service");

	run = cadre("", "serve", "--name", pool, "--workers", "1", "--quiet", "--",
		    "/no/such/program", NULL);
	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "/no/such/program");
}

Test(serve, a_worker_that_cannot_start_tells_why, .init = prepare, .fini = clean_up)
{
	static const struct {
		const char *start;
		const char *words;
	} cases[] = {
		{ "fail-init", "demo was told to fail in init" },
		{ "exit-init 3", "status 3" },
		{ "crash-init", "SIGSEGV" },
	};

	for (size_t i = 0; i < 3; i++) {
		const struct run run = cadre("", "serve", "--name", pool, "--workers",
					     "1", "--quiet", "--start", cases[i].start,
					     service("demo.so"), NULL);

		expect_status(&run, 1);
		expect_sentence(&run, "cadre serve: ", cases[i].words);
		expect_nothing_in_shm();
	}
}

Test(serve, a_worker_that_never_gets_ready_is_given_up, .init = prepare, .fini = clean_up)
{
	const struct run run = cadre("", "serve", "--name", pool, "--workers", "1",
				     "--quiet", "--start-timeout", "200ms", "--start",
				     "slow-init 60000", service("demo.so"), NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "");
}

Test(serve, the_start_argument_may_come_from_a_file, .init = prepare, .fini = clean_up)
{
	char *const file = copy(write_file("start", "fail-init", 9));
	const struct run run = cadre("", "serve", "--name", pool, "--workers", "1",
				     "--quiet", "--start-file", file, service("demo.so"),
				     NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "demo was told to fail in init");
}

Test(serve, a_name_that_is_taken_is_refused_and_its_owner_goes_on, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run second = cadre("", "serve", "--name", pool, "--workers", "1",
					service("demo.so"), NULL);
	const struct run call = cadre("still here", "call", pool, "echo", NULL);

	expect_status(&second, 2);
	expect_mention(&second, pool);
	expect_status(&call, 0);
	expect_output(&call, "still here");
}

Test(serve, a_stopped_supervisor_holds_its_lock_and_a_second_serve_refuses_with_a_sentence,
     .init = prepare_demo, .fini = clean_up)
{
	struct cadre_pool_snapshot before, after;
	struct run second, call;

	cr_assert(look(&before));
	kill(server, SIGSTOP);
	second = cadre("", "serve", "--name", pool, "--workers", "1", service("demo.so"),
		       NULL);
	/* Without it the pool goes on. */
	kill(server, SIGCONT);
	call = cadre("still here", "call", pool, "echo", NULL);

	expect_status(&second, 2);
	expect_sentence(&second, "cadre serve: ", "has a supervisor already");
	expect_mention(&second, "which is stopped");
	expect_status(&call, 0);
	cr_assert(look(&after));
	cr_expect_eq(after.supervisor_pid, server);
	cr_expect_eq(after.created_unix_s, before.created_unix_s);
}

Test(serve, a_dev_shm_that_is_too_small_is_told, .init = prepare, .fini = clean_up)
{
	struct run run;

	room = "size=4m";
	run = cadre("", "serve", "--name", pool, "--workers", "1", service("demo.so"),
		    NULL);
	room = NULL;
	if (run.status == NO_ROOM)
		cr_skip(ROOM_SKIPPED);
	expect_status(&run, 2);
	expect_sentence(&run, "cadre serve: ", "/dev/shm");
}

Test(serve, two_pools_serve_at_once, .init = prepare_demo, .fini = clean_up)
{
	const size_t length = strlen(pool);
	const pid_t first = server;
	struct run run;

	snprintf(pool + length, sizeof(pool) - length, "-b");
	serve_demo();
	run = cadre("second", "call", pool, "echo", NULL);
	expect_output(&run, "second");
	cr_expect_eq(stop_server(), 0);
	expect_nothing_in_shm();

	pool[length] = '\0';
	server = first;
	run = cadre("first", "call", pool, "echo", NULL);
	expect_output(&run, "first");
}

Test(serve, wrong_arguments_are_refused_in_one_sentence, .init = prepare, .fini = clean_up)
{
	const char *const demo = service("demo.so");
	const struct run runs[] = {
		cadre("", "serve", NULL),
		cadre("", "serve", "--name", pool, NULL),
		cadre("", "serve", demo, NULL),
		cadre("", "serve", "--name", "not/a/name", demo, NULL),
		cadre("", "serve", "--name", pool, demo, "more", NULL),
		cadre("", "serve", "--name", pool, demo, "--", "/bin/true", NULL),
		cadre("", "serve", "--name", pool, "--workers", "0", demo, NULL),
		cadre("", "serve", "--name", pool, "--workers", "3..2", demo, NULL),
		cadre("", "serve", "--name", pool, "--workers", "two", demo, NULL),
		cadre("", "serve", "--name", pool, "--parallel", "0", demo, NULL),
		cadre("", "serve", "--name", pool, "--slots", "1000", demo, NULL),
		cadre("", "serve", "--name", pool, "--payload-max", "1X", demo, NULL),
		cadre("", "serve", "--name", pool, "--payload-max", "99999999999G", demo,
		      NULL),
		cadre("", "serve", "--name", pool, "--start-timeout", "0", demo, NULL),
		cadre("", "serve", "--name", pool, "--mode", "999", demo, NULL),
		cadre("", "serve", "--name", pool, "--start", "a", "--start", "b", demo,
		      NULL),
		cadre("", "serve", "--name", pool, "--start-file", "/no/such/file", demo,
		      NULL),
	};

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		expect_status(&runs[i], 64);
		expect_sentence(&runs[i], "cadre serve: ", "");
	}
}
