/*
 * crash.h - what a worker leaves behind when it dies of a signal: one record per place.
 *
 * Written by the dying worker's signal handler (capture.h) and by nobody else; a later
 * worker of the place overwrites it when it crashes in its turn. `word` says whose record
 * stands there and whether all of it does:
 *
 *   63          40 39                  8 7      0
 *  +--------------+---------------------+--------+
 *  | pid          | incarnation         | state  |     0 none, 1 being written, 2 complete
 *  +--------------+---------------------+--------+
 *
 * A worker killed while it writes leaves 1, and readers find no record. Everything in it is
 * input: counts, indices and strings are cut to what can be before anybody follows them, and
 * a path is only ever opened for reading.
 */
#ifndef CADRE_CRASH_H
#define CADRE_CRASH_H

#include "platform.h"

#include <cadre/backtrace.h>

enum cadre_crash_state {
	CADRE_CRASH_NONE = 0,
	CADRE_CRASH_WRITING = 1,
	CADRE_CRASH_COMPLETE = 2,
};

/* O: the worker that sits in the place, in the handler of its fatal signal. */
struct cadre_crash {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t word; /* as drawn; last, with release */
	struct cadre_backtrace trace;
};

static inline uint64_t cadre_crash_pack(enum cadre_crash_state state,
					uint32_t incarnation, int32_t pid)
{
	return (uint64_t)state | (uint64_t)incarnation << 8 |
	       (uint64_t)(uint32_t)pid << 40;
}

static inline int32_t cadre_crash_pid_of(uint64_t word)
{
	return (int32_t)(word >> 40);
}

static inline uint32_t cadre_crash_incarnation_of(uint64_t word)
{
	return (uint32_t)(word >> 8);
}

/* The writer's first and last step. */
void cadre_crash_begin(struct cadre_crash *crash, uint32_t incarnation, int32_t pid);
void cadre_crash_complete(struct cadre_crash *crash, uint32_t incarnation, int32_t pid);

/* Copies the record of that process, and makes the copy one that can be. pid 0: whoever
 * left it. -ENOENT when there is none, or another's, or half of one. */
int cadre_crash_read(const struct cadre_crash *crash, int32_t pid,
		     struct cadre_backtrace *ret_trace);

/* Cuts counts, indices and strings of a private copy to what can be. */
void cadre_crash_make_possible(struct cadre_backtrace *trace);

#endif
