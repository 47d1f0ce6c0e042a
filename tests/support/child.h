/*
 * child.h - run a function in a process of its own and learn how it ended.
 *
 * The child leaves by _exit with what the function returned, so it runs no test's end and
 * flushes nothing twice. A test's assertions belong to the parent: the child says with its
 * exit status what it saw.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { CHILD_FINE = 0, CHILD_FAILED = 1, CHILD_SKIPPED = 77 };

/* For a child, in its body or wherever that has got to: says what did not hold, and ends the
 * child. */
#define CHILD_CHECK(condition)                                      \
	do {                                                        \
		if (!(condition))                                   \
			child_fail(__FILE__, __LINE__, #condition); \
	} while (0)

_Noreturn void child_fail(const char *file, int line, const char *condition);

/* For a child that cannot do here what it is there for. */
_Noreturn void child_skip(const char *why);

/* Forks. The function's value, 0 .. 127, becomes the exit status. */
pid_t child_start(int (*body)(void *context), void *context);

/* Waits for its end: the exit status, or 128 + the signal that killed it. */
int child_end(pid_t child);

/* SIGKILLs it and waits until it is gone. */
void child_kill(pid_t child);

/* child_start and child_end in one. */
int child_run(int (*body)(void *context), void *context);

/* The letter of its state in /proc: R, S, T ...; X for a process that is not there. Of any
 * process, a child or not, as the two below. */
char child_state(pid_t pid);

/* True while each of its threads is stopped by a signal. */
bool child_is_stopped(pid_t pid);

/* Stops it, and waits until it is stopped or has ended: one that runs on another CPU when
 * the signal is sent goes on for a while. */
void child_stop(pid_t pid);

/* Waits until it sleeps inside a system call, or has ended. */
void child_await_asleep(pid_t child);

/* Memory of zeros that this process and its later children share. */
void *child_share(size_t size);

/* For a child that is there to be killed. */
_Noreturn void child_idle(void);

/* Sleeps. For children that wait to be killed, and for polls in tests. */
void child_pause_ms(unsigned milliseconds);

#endif
