/*
 * clerk.h - the supervisor's side of the log: its own lines go into the last ring, and what is
 * new in any ring goes to the sinks.
 *
 * How far the sinks have been told stands in each ring, so that a successor goes on there; one
 * that died in between tells a few lines twice.
 */
#ifndef CADRE_CLERK_H
#define CADRE_CLERK_H

#include "logread.h"
#include "sink.h"

struct cadre_clerk {
	bool works;
	bool drains; /* for lines that a callback causes */
	struct cadre_log_merge merge;
	struct cadre_sink sink;
	int64_t next_ns; /* when to look again, whoever may knock */
};

/* 0 or -ENOMEM. */
int cadre_clerk_init(struct cadre_clerk *clerk, const char *pool,
		     const struct cadre_view *view, const struct cadre_sink *sink);

/* Tells the sinks what there is, and lets go. */
void cadre_clerk_fini(struct cadre_clerk *clerk);

/* Tells the sinks what is new. */
void cadre_clerk_drain(struct cadre_clerk *clerk);

/* A line of the supervisor's own. True when a sink was told. */
bool cadre_clerk_write(struct cadre_clerk *clerk, enum cadre_log_level level,
		       const char *text);

#endif
