/*
 * trouble.h - violations: where the sweep is, what did not hold, how often.
 */
#ifndef TROUBLE_H
#define TROUBLE_H

#include <stdbool.h>

/* What is being looked at, for the sentences. */
__attribute__((format(printf, 1, 2))) void trouble_where(const char *format, ...);

/* Something did not hold. The first ones are printed, all are counted. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

unsigned trouble_count(void);

/* Keeps sentences instead of printing them; for mutants. Starts a new count. */
void trouble_expect(bool expected);

/* The first sentence since trouble_expect. */
const char *trouble_first(void);

#endif
