/*
 * operations.h - what is swept: the steps of clients, workers and the supervisor, each
 * with the scene in which it is taken.
 */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>

enum subject_role {
	SUBJECT_CLIENT,     /* the one in window 0 */
	SUBJECT_WORKER,     /* the one in place 0 */
	SUBJECT_SUPERVISOR, /* who lives is nobody's subject; who is dead says the scene */
};

struct operation {
	const char *name;
	enum subject_role subject;
	void (*setup)(void); /* here, before the fork */
	int (*act)(void);    /* in the subject; 0 when it went as it should */
	int (*after)(void);  /* in a subject that was frozen, when the others are done */
	unsigned outcomes; /* bits: how it may itself end jobs, beside what they deserve */
	bool desk;         /* a supervisor answers on the control socket meanwhile */
	bool seatless;     /* the subject takes its place by itself */
};

extern const struct operation operations[];
extern const size_t operation_count;

/* The recovery of a segment as it stands: by a successor, as an operation. */
int operation_succeed(void);

#endif
