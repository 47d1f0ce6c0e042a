/*
 * mutants.h - broken variants of single steps of the library, to show that the sweep
 * can fail.
 *
 * The linker sends the library's calls of a few functions through this file (--wrap);
 * it passes them on unless a mutant is chosen. So two instructions more per call are
 * stepped than a pool would execute; none of them touches the segment.
 */
#ifndef MUTANTS_H
#define MUTANTS_H

#include <stdbool.h>
#include <stddef.h>

struct mutant {
	int id;
	const char *what;
	const char *concerns[5]; /* parts of the names of operations that may show it */
};

extern const struct mutant mutants[];
extern const size_t mutant_count;

/* NULL: none. */
void mutant_choose(const struct mutant *mutant);

/* No mutant while a scene is set: only operations and recovery are broken. */
void mutant_suspend(bool suspended);

bool mutant_concerns(const struct mutant *mutant, const char *operation);

#endif
