/*
 * ask.h - asks the questions, round by round.
 */
#ifndef ASK_H
#define ASK_H

#include "asked.h"

/* What of it all shall be asked: lists of names with commas, NULL for all. */
struct choice {
	const char *questions;
	const char *contenders;
};

/* False when the list has a name that no question (no contender of any question) has; then
 * *ret_unknown is that part of the list. */
bool ask_knows(const struct choice *choice, const char **ret_unknown);

/* Makes room for the answers of those who take part; run->bench is set. False when nobody
 * does. ask_dispose in any case. */
bool ask_prepare(struct run *run, const struct choice *choice);
void ask_dispose(struct run *run);

/* Asks. 0, or negative errno after saying why. */
int ask_all(struct run *run);

/* Measures one contender once. 0, or negative errno after saying why. */
int ask_one(const struct bench *bench, const struct question *question,
	    const struct contender *contender, double *ret_values);

#endif
