/*
 * command.h - programs of others: found, and asked for numbers.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "bench.h"

#include <sys/types.h>

/* Runs argv[0] on any CPU until it ends; `count` numbers follow the word RESULT in what it
 * prints. It is killed when we die, or after a minute. 0, or -ENOTSUP when it is not there or says no numbers. */
int command_ask(const struct bench *bench, const char *contender, const char *source,
		const char *const argv[], double *ret_values, size_t count);

/* The path of a program, in PATH or where servers lie; false when there is none. */
bool command_find(const char *name, char *ret_path, size_t size);

/* Says that it is not there, and where it would come from; -ENOTSUP. */
int command_missing(const char *contender, const char *name, const char *source);

/* In a child of `parent`: becomes the program, on any CPU, which gets the signal `death` when
 * its parent dies. */
_Noreturn void command_become(const struct bench *bench, const char *path,
			      const char *const argv[], int death, pid_t parent);

#endif
