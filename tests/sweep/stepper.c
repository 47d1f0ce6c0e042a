#include "stepper.h"
#include "mutants.h"
#include "trouble.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BREAKPOINT 0xcc
#define DESK_AFTER_NS 3000000

/* ---- waiting ---- */

static long now_ns(void)
{
	struct timespec now;

	/* Not the clockwork: this is about the patience of the machine. */
	timespec_get(&now, TIME_UTC);
	return now.tv_sec * 1000000000L + now.tv_nsec;
}

/* The supervisor answers as soon as the subject waits for it. */
static void serve_desk(void)
{
	cadre_lease_accept(&world.supervisor);
	for (unsigned i = 0; i < CADRE_CONNECTIONS_MAX; i++) {
		if (world.supervisor.connections[i] >= 0)
			cadre_lease_heard(&world.supervisor, i);
	}
}

static int await_stop(const struct subject *subject)
{
	const long begin_ns = now_ns();
	int status;

	if (!subject->operation->desk) {
		if (waitpid(subject->who.pid, &status, 0) != subject->who.pid)
			abort();
		return status;
	}
	while (waitpid(subject->who.pid, &status, WNOHANG) != subject->who.pid) {
		if (now_ns() - begin_ns > DESK_AFTER_NS)
			serve_desk();
	}
	return status;
}

/* ---- the subject's own side ---- */

static void mark(void)
{
	kill(getpid(), SIGSTOP);
}

static _Noreturn void be_subject(const struct operation *operation)
{
	int r;

	for (unsigned client = 0; client < WORLD_CLIENTS; client++) {
		if (cadre_forkguard_init(&world.clients[client].guard) < 0)
			_exit(99);
	}
	for (unsigned worker = 0; worker < WORLD_WORKERS; worker++)
		world.workers[worker].host.pid = getpid();
	alarm(60);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	mark();
	r = operation->act();
	mark();
	if (operation->after)
		r |= operation->after();
	_exit(r ? 1 : 0);
}

void subject_seat(const struct subject *subject)
{
	switch (subject->operation->subject) {
	case SUBJECT_CLIENT:
		world.client_away[0] = true;
		if (!subject->operation->seatless)
			world_seat_client(0, subject->who);
		break;
	case SUBJECT_WORKER:
		world.worker_away[0] = true;
		if (!subject->operation->seatless)
			world_seat_worker(0, subject->who);
		break;
	case SUBJECT_SUPERVISOR:
		world.supervisor_away = true;
		return;
	}
	world_supervise(&subject->who);
}

void operation_set_scene(const struct operation *operation)
{
	mutant_suspend(true);
	world_rebuild();
	operation->setup();
	mutant_suspend(false);
}

struct subject subject_start(const struct operation *operation)
{
	struct subject subject = { .operation = operation };

	operation_set_scene(operation);
	fflush(stdout);
	subject.who.pid = fork();
	if (subject.who.pid < 0)
		abort();
	if (subject.who.pid == 0)
		be_subject(operation);
	subject.who.pidfd = cadre_process_open_child(subject.who.pid);
	subject.who.start_time = cadre_process_start_time(subject.who.pid);
	await_stop(&subject);
	/* It does not outlive us. */
	ptrace(PTRACE_SETOPTIONS, subject.who.pid, NULL, PTRACE_O_EXITKILL);
	subject_seat(&subject);
	return subject;
}

/* ---- steps ---- */

static uint64_t where_is(const struct subject *subject)
{
	return (uint64_t)ptrace(PTRACE_PEEKUSER, subject->who.pid,
				offsetof(struct user, regs.rip), NULL);
}

static void add(struct stepper_trace *trace, uint64_t address)
{
	if (trace->length == trace->capacity) {
		trace->capacity = trace->capacity ? 2 * trace->capacity : 4096;
		trace->address = realloc(trace->address,
					 trace->capacity * sizeof(*trace->address));
		if (!trace->address)
			abort();
	}
	trace->address[trace->length++] = address;
}

static enum subject_news news_of(int status, int *ret_status)
{
	*ret_status = status;
	if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
		return SUBJECT_STEPPED;
	/* Any other signal is the end of it. */
	return WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP ? SUBJECT_MARKED :
								   SUBJECT_ENDED;
}

static enum subject_news go(struct subject *subject, enum __ptrace_request how)
{
	int status;

	if (ptrace(how, subject->who.pid, NULL, NULL) < 0)
		return SUBJECT_ENDED;
	return news_of(await_stop(subject), &status);
}

enum subject_news subject_step(struct subject *subject, struct stepper_trace *trace)
{
	add(trace, where_is(subject));
	subject->position++;
	return go(subject, PTRACE_SINGLESTEP);
}

/* How often execution comes to the address of `position` on the way there; an
 * instruction that repeats itself counts once. *ret_rest: its repetitions before the
 * position. */
static uint32_t count_visits(const struct stepper_trace *trace, uint32_t position,
			     uint32_t *ret_rest)
{
	const uint64_t address = trace->address[position];
	uint32_t visits = 0;

	*ret_rest = 0;
	for (uint32_t p = 1; p <= position; p++) {
		if (trace->address[p] != address)
			continue;
		if (trace->address[p - 1] == address) {
			(*ret_rest)++;
		} else {
			visits++;
			*ret_rest = 0;
		}
	}
	return visits;
}

/* From anywhere to the next visit of an address. */
static bool run_to_address(struct subject *subject, uint64_t address)
{
	const pid_t pid = subject->who.pid;
	const long bytes = ptrace(PTRACE_PEEKTEXT, pid, (void *)address, NULL);
	enum subject_news news;

	ptrace(PTRACE_POKETEXT, pid, (void *)address,
	       (void *)((bytes & ~0xffL) | BREAKPOINT));
	news = go(subject, PTRACE_CONT);
	if (news == SUBJECT_ENDED)
		return false;
	ptrace(PTRACE_POKETEXT, pid, (void *)address, (void *)bytes);
	if (news != SUBJECT_STEPPED || where_is(subject) != address + 1)
		return false;
	ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rip), address);
	return true;
}

/* A breakpoint where it stands would not let it go. */
static bool leave_address(struct subject *subject)
{
	const uint64_t address = where_is(subject);

	do {
		if (go(subject, PTRACE_SINGLESTEP) != SUBJECT_STEPPED)
			return false;
	} while (where_is(subject) == address);
	return true;
}

bool subject_run_to(struct subject *subject, const struct stepper_trace *trace,
		    uint32_t position)
{
	uint32_t rest, visits;
	uint64_t address;

	subject->position = position;
	if (position == 0)
		return true;
	if (position >= trace->length)
		return go(subject, PTRACE_CONT) == SUBJECT_MARKED;
	address = trace->address[position];
	visits = count_visits(trace, position, &rest);
	while (visits--) {
		if (!leave_address(subject) ||
		    (where_is(subject) != address && !run_to_address(subject, address)))
			return false;
	}
	while (rest--)
		go(subject, PTRACE_SINGLESTEP);
	return true;
}

enum subject_news subject_go_on(struct subject *subject, int *ret_status)
{
	if (ptrace(PTRACE_CONT, subject->who.pid, NULL, NULL) < 0)
		abort();
	return news_of(await_stop(subject), ret_status);
}

void subject_kill(const struct subject *subject)
{
	siginfo_t info;

	kill(subject->who.pid, SIGKILL);
	waitid(P_PID, (id_t)subject->who.pid, &info, WEXITED | WNOWAIT);
}

void subject_reap(const struct subject *subject)
{
	waitpid(subject->who.pid, NULL, WNOHANG);
}

bool stepper_works(void)
{
	int status = 0;
	const pid_t pid = fork();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
			mark();
		_exit(1);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return false;
	ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
}
