/*
 * demo - a service for trying things out: replies, waits, burns, fails and dies on demand.
 *
 *   id  name        payload            what it does
 *    1  echo        any bytes          replies with them
 *    2  sleep       milliseconds       sleeps, replies the number
 *    3  burn        milliseconds       uses that much CPU time, replies what it measured
 *    4  fail        a sentence         fails with code 42 and the sentence
 *    5  crash       a signal or ""     dies of it (SEGV when none is given)
 *    6  exit        a status or ""     calls _exit with it (0)
 *    7  spin        -                  runs for ever and looks at nothing
 *    8  pid         -                  replies "PID ATTEMPT"
 *    9  spool       bytes              replies that many, in room that grows while it writes
 *   10  later       milliseconds       defers the job; another thread replies the number then
 *   11  crash-once  a signal or ""     dies of it on the first attempt, else replies "ATTEMPT"
 *   12  count       a number N         a stream: emits "1" to "N"
 *   13  odds        a number N         likewise, but each even one is an error (code EDOM)
 *   30  log         LEVEL TEXT         writes the text into the pool's log
 *
 * Numbers are decimal; what is no number fails its job with EINVAL. The start argument
 * decides how init goes: "fail-init", "exit-init STATUS", "crash-init", "slow-init MS".
 * It shows how handlers are written, not how a service should behave.
 */
#include "demo.h"
#include "later.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cadre/stream.h>

#define DAY_MS (24u * 3600 * 1000)
#define SLICE_MS 10 /* how often a waiting handler looks whether it is still wanted */
#define SPOOL_START 1024u
#define SPOOL_MAX UINT32_MAX

/* ---- payloads ---- */

/* Payloads come from shells: one newline at the end is not meant. */
static size_t without_newline(const char *text, size_t length)
{
	return length > 0 && text[length - 1] == '\n' ? length - 1 : length;
}

/* Decimal digits and nothing else. */
static bool parse(const char *text, size_t length, uint64_t most, uint64_t *ret_number)
{
	uint64_t number = 0;

	length = without_newline(text, length);
	if (length == 0 || length > 18)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		number = 10 * number + (uint64_t)(text[i] - '0');
	}
	if (number > most)
		return false;
	*ret_number = number;
	return true;
}

/* The payload as a number; if it is none, the job is failed and gone. */
static bool take_number(struct cadre_job *job, uint64_t most, uint64_t *ret_number)
{
	size_t length;
	const char *const text = cadre_job_data(job, &length);

	if (parse(text, length, most, ret_number))
		return true;
	cadre_job_fail(job, EINVAL, "\"%.*s\" is not a number from 0 to %llu",
		       (int)(length < 24 ? length : 24), text, (unsigned long long)most);
	return false;
}

/* "SEGV", "SIGSEGV" or "11"; 0 when it is none. */
static int parse_signal(const char *text, size_t length)
{
	uint64_t number = 0;

	if (parse(text, length, NSIG - 1, &number))
		return (int)number;
	length = without_newline(text, length);
	if (length > 3 && strncmp(text, "SIG", 3) == 0) {
		text += 3;
		length -= 3;
	}
	for (int candidate = 1; candidate < NSIG; candidate++) {
		const char *const name = sigabbrev_np(candidate);

		if (name && strlen(name) == length && memcmp(name, text, length) == 0)
			return candidate;
	}
	return 0;
}

/* The payload as a signal, SEGV for none; 0 when the job was failed and is gone. */
static int take_signal(struct cadre_job *job)
{
	size_t length;
	const char *const text = cadre_job_data(job, &length);
	const int number = length == 0 ? SIGSEGV : parse_signal(text, length);

	if (number == 0)
		cadre_job_fail(job, EINVAL, "\"%.*s\" is not a signal",
			       (int)(length < 24 ? length : 24), text);
	return number;
}

__attribute__((format(printf, 2, 3))) static void reply_text(struct cadre_job *job,
							     const char *format, ...)
{
	char text[64];
	va_list arguments;
	int length, r;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	r = cadre_job_reply(job, text, (size_t)length);
	if (r < 0)
		cadre_job_fail(job, -r, "cannot reply: %s", strerror(-r));
}

/* ---- replies ---- */

static void echo(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);
	const int r = cadre_job_reply(job, data, length);

	(void)state;
	if (r < 0)
		cadre_job_fail(job, -r, "cannot reply %zu bytes: %s", length,
			       strerror(-r));
}

static void sleep_ms(uint64_t ms)
{
	struct timespec rest = { .tv_sec = (time_t)(ms / 1000),
				 .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
		;
}

static void sleep_job(struct cadre_job *job, void *state)
{
	uint64_t ms = 0;

	(void)state;
	if (!take_number(job, DAY_MS, &ms))
		return;
	for (uint64_t left = ms; left > 0; left -= left < SLICE_MS ? left : SLICE_MS) {
		if (cadre_job_cancelled(job))
			break;
		sleep_ms(left < SLICE_MS ? left : SLICE_MS);
	}
	reply_text(job, "%llu", (unsigned long long)ms);
}

static uint64_t cpu_time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void burn(struct cadre_job *job, void *state)
{
	const uint64_t start_ns = cpu_time_ns();
	uint64_t ms = 0, used_ns = 0;

	(void)state;
	if (!take_number(job, DAY_MS, &ms))
		return;
	while (used_ns < ms * 1000000 && !cadre_job_cancelled(job))
		used_ns = cpu_time_ns() - start_ns;
	reply_text(job, "%llu", (unsigned long long)(used_ns / 1000000));
}

static void pid(struct cadre_job *job, void *state)
{
	(void)state;
	reply_text(job, "%d %u", getpid(), cadre_job_attempt(job));
}

/* Writes "abc...xyzabc..." as one does who does not know how long it will get: whenever
 * the room is full, it asks for twice as much. */
static void spool(struct cadre_job *job, void *state)
{
	uint64_t wanted = 0;
	size_t capacity = 0, length = 0;
	char *room = NULL;
	int r = 0;

	(void)state;
	if (!take_number(job, SPOOL_MAX, &wanted))
		return;
	while (length < wanted) {
		if (length == capacity) {
			void *larger;

			capacity = capacity == 0 ? SPOOL_START : 2 * capacity;
			if (capacity > wanted)
				capacity = (size_t)wanted;
			r = cadre_job_reply_room(job, capacity, &larger);
			if (r < 0)
				break;
			room = larger;
		}
		room[length] = (char)('a' + length % 26);
		length++;
	}
	if (r == 0)
		r = wanted == 0 ? cadre_job_reply(job, "", 0) :
				  cadre_job_reply_commit(job, length);
	if (r < 0)
		cadre_job_fail(job, -r, "cannot reply %llu bytes: %s",
			       (unsigned long long)wanted, strerror(-r));
}

static void reply_later(struct cadre_job *job, uint64_t ms)
{
	reply_text(job, "%llu", (unsigned long long)ms);
}

static void later(struct cadre_job *job, void *state)
{
	uint64_t ms = 0;
	int r;

	if (!take_number(job, DAY_MS, &ms))
		return;
	cadre_job_defer(job);
	r = demo_later_add(state, job, ms);
	if (r < 0)
		cadre_job_fail(job, -r, "cannot wait: %s", strerror(-r));
}

/* ---- streams ---- */

static int emit_number(struct cadre_job *job, uint64_t number, bool only_odd)
{
	char text[24];

	if (only_odd && number % 2 == 0)
		return cadre_job_emit_error(job, EDOM, "%llu is even",
					    (unsigned long long)number);
	return cadre_job_emit(job, text,
			      (size_t)snprintf(text, sizeof(text), "%llu",
					       (unsigned long long)number));
}

static void emit_numbers(struct cadre_job *job, bool only_odd)
{
	uint64_t last = 0;
	int r = 0;

	if (!take_number(job, UINT64_MAX, &last))
		return;
	for (uint64_t number = 1; r == 0 && number <= last; number++)
		r = emit_number(job, number, only_odd);
	if (r == 0)
		cadre_job_reply(job, "", 0);
	else
		cadre_job_fail(job, -r, "cannot count any further: %s", strerror(-r));
}

static void count(struct cadre_job *job, void *state)
{
	(void)state;
	emit_numbers(job, false);
}

static void odds(struct cadre_job *job, void *state)
{
	(void)state;
	emit_numbers(job, true);
}

/* ---- failures and deaths ---- */

static void fail(struct cadre_job *job, void *state)
{
	size_t length;
	const char *const sentence = cadre_job_data(job, &length);

	(void)state;
	length = without_newline(sentence, length);
	cadre_job_fail(job, 42, "%.*s",
		       (int)(length < CADRE_SENTENCE_MAX ? length : CADRE_SENTENCE_MAX),
		       sentence);
}

/* The worker's handlers of these write down where it was, and then it dies of them. */
static bool is_fault(int signal_number)
{
	switch (signal_number) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGABRT:
	case SIGSYS:
	case SIGTRAP:
		return true;
	default:
		return false;
	}
}

/* Whatever the worker does about this signal, now it kills. Returns for those that by
 * default kill nobody. */
static void die_of(int signal_number)
{
	sigset_t only;

	if (is_fault(signal_number))
		raise(signal_number);
	signal(signal_number, SIG_DFL);
	sigemptyset(&only);
	sigaddset(&only, signal_number);
	pthread_sigmask(SIG_UNBLOCK, &only, NULL);
	kill(getpid(), signal_number);
	/* Another thread may be the one that gets it. */
	sleep_ms(100);
}

static void crash(struct cadre_job *job, void *state)
{
	const int signal_number = take_signal(job);

	(void)state;
	if (signal_number == 0)
		return;
	die_of(signal_number);
	cadre_job_fail(job, EINVAL, "signal %d does not kill", signal_number);
}

static void crash_once(struct cadre_job *job, void *state)
{
	if (cadre_job_attempt(job) == 0)
		crash(job, state);
	else
		reply_text(job, "%u", cadre_job_attempt(job));
}

static void exit_job(struct cadre_job *job, void *state)
{
	size_t length;
	uint64_t status = 0;

	(void)state;
	cadre_job_data(job, &length);
	if (length == 0 || take_number(job, 255, &status))
		_exit((int)status);
}

static void spin(struct cadre_job *job, void *state)
{
	volatile uint64_t turns = 0;

	(void)job;
	(void)state;
	for (;;)
		turns++;
}

/* ---- the table ---- */

static bool starts_with(const char *text, const char *word, const char **ret_rest)
{
	const size_t length = strlen(word);

	if (strncmp(text, word, length) != 0)
		return false;
	*ret_rest = text + length + (text[length] == ' ');
	return true;
}

static int init(const struct cadre_start *start, void **ret_state, struct cadre_diag *diag)
{
	char text[64];
	const char *rest;
	uint64_t number = 0;

	snprintf(text, sizeof(text), "%.*s", (int)start->length,
		 start->length > 0 ? (const char *)start->data : "");
	if (starts_with(text, "fail-init", &rest)) {
		snprintf(diag->text, sizeof(diag->text), "demo was told to fail in init");
		return -EPERM;
	}
	if (starts_with(text, "crash-init", &rest))
		die_of(SIGSEGV);
	if (starts_with(text, "exit-init", &rest) &&
	    parse(rest, strlen(rest), 255, &number))
		_exit((int)number);
	if (starts_with(text, "slow-init", &rest) &&
	    parse(rest, strlen(rest), DAY_MS, &number))
		sleep_ms(number);

	return demo_later_start(reply_later, ret_state);
}

static int fini(void *state)
{
	demo_later_stop(state);
	return 0;
}

static void write_log(struct cadre_job *job, void *state)
{
	size_t length;
	const char *const payload = cadre_job_data(job, &length);
	char line[CADRE_LOG_TEXT_MAX + 1], *text;
	int level;

	(void)state;
	snprintf(line, sizeof(line), "%.*s", (int)without_newline(payload, length),
		 payload);
	text = strchr(line, ' ');
	if (text)
		*text++ = '\0';
	level = cadre_log_level_of(line);
	if (level < CADRE_LOG_EMERGENCY || !text) {
		cadre_job_fail(job, EINVAL, "a level and a text are wanted");
		return;
	}
	cadre_log((enum cadre_log_level)level, "%s", text);
	cadre_job_reply(job, "", 0);
}

static const struct cadre_operation operations[] = {
	{ 1, "echo", echo },
	{ 2, "sleep", sleep_job },
	{ 3, "burn", burn },
	{ 4, "fail", fail },
	{ 5, "crash", crash },
	{ 6, "exit", exit_job },
	{ 7, "spin", spin },
	{ 8, "pid", pid },
	{ 9, "spool", spool },
	{ 10, "later", later },
	{ 11, "crash-once", crash_once },
	{ 12, "count", count },
	{ 13, "odds", odds },
	{ 30, "log", write_log },
};

const struct cadre_service cadre_service = {
	.size = sizeof(cadre_service),
	.name = "demo",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.init = init,
	.fini = fini,
};
