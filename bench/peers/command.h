/*
 * command.h - other programs: found, and asked for numbers.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "bench.h"

/* Runs argv[0] on any CPU until it ends; it is killed when we die, or after a minute. In what
 * it prints stand the word RESULT and `count` numbers, or the word ABSENT and then why. 0;
 * -ENOTSUP when it says that, or is not there (`source`: where it would come from); or
 * -ECANCELED after saying that it said neither. */
int command_ask(const struct bench *bench, const char *source, const char *const argv[],
		double *ret_values, size_t count);

/* The path of a program, in PATH or where servers lie; false when there is none. */
bool command_find(const char *name, char *ret_path, size_t size);

/* That of cadre-bench-NAME, which lies beside this one; false when it was not built. */
bool command_find_own(const char *name, char *ret_path, size_t size);

/* Appends to the arguments, up to NULL, what such a program is to know of the run. */
#define COMMAND_MANNERS 2
void command_add_manners(const struct bench *bench, const char *argv[]);

/* Says that it is not there, and where it would come from; -ENOTSUP. */
int command_missing(const char *name, const char *source);

/* In a child of `parent`: becomes the program, on any CPU, which gets the signal `death` when
 * its parent dies. */
_Noreturn void command_become(const struct bench *bench, const char *path,
			      const char *const argv[], int death, pid_t parent);

#endif
