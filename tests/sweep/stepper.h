/*
 * stepper.h - a subject: a fork of this process that does one operation, stepped by
 * ptrace.
 *
 * A trace is the addresses of all instructions between two marks; position p is the
 * moment at which p of them were executed. Because subjects are forks with the same
 * clock, a second run takes the same way: it is let go at full speed up to a
 * breakpoint, instead of stepped.
 */
#ifndef STEPPER_H
#define STEPPER_H

#include "operations.h"
#include "world.h"

struct stepper_trace {
	uint64_t *address; /* of the instruction at each position */
	uint32_t length;
	uint32_t capacity;
};

struct subject {
	const struct operation *operation;
	struct world_person who;
	uint32_t position;
};

enum subject_news {
	SUBJECT_STEPPED, /* or: is where it was wanted */
	SUBJECT_MARKED,  /* at a mark: the end of its operation */
	SUBJECT_ENDED,   /* exited; ret_status */
};

/* False when this machine does not let us. */
bool stepper_works(void);

/* Builds the world, and in it what an operation begins with. */
void operation_set_scene(const struct operation *operation);

/* Sets the scene, forks the subject, seats it, and stops it at position 0. */
struct subject subject_start(const struct operation *operation);

/* Writes it into its place, and out of this process. */
void subject_seat(const struct subject *subject);

/* One instruction; its address is added to the trace. */
enum subject_news subject_step(struct subject *subject, struct stepper_trace *trace);

/* To a position of the trace. False when it did not come there. */
bool subject_run_to(struct subject *subject, const struct stepper_trace *trace,
		    uint32_t position);

/* To its next mark, or its end. */
enum subject_news subject_go_on(struct subject *subject, int *ret_status);

/* SIGKILL, and until it is dead; its parent is left to find out how it died. */
void subject_kill(const struct subject *subject);

/* Finds out, if nobody has yet. Its pidfd stays open. */
void subject_reap(const struct subject *subject);

#endif
