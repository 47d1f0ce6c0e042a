/*
 * race.h - several processes do the same for the same while, and count what they did.
 *
 * They run where the kernel likes. Each says when it is ready; then all begin at one time and
 * end at another, which they look at themselves.
 */
#ifndef RACE_H
#define RACE_H

#include "bench.h"

#include <stdalign.h>
#include <stdatomic.h>

#define RACERS_MAX 16
#define SERVERS_MAX 16

/* Written by one racer, private until the race is over. */
struct lane {
	alignas(128) uint64_t jobs;      /* that ended in time */
	uint64_t by_server[SERVERS_MAX]; /* of these, who did them */
	int error;
};

struct race {
	_Atomic uint32_t ready;                /* racers, by addition */
	alignas(128) _Atomic int64_t start_ns; /* the starter; 0: not yet */
	int64_t end_ns;                        /* the starter, before start_ns */
	struct lane lanes[RACERS_MAX];
};

/* A racer: prepares, calls race_await_start, and counts in its lane until race->end_ns what
 * ended after race->start_ns. Runs in a process of its own. 0, or negative errno. */
typedef int racer_fn(struct race *race, struct lane *lane, const void *with);

/* Sleeps until everybody is ready and the time has come. */
void race_await_start(struct race *race);

/* Runs so many racers (1 .. RACERS_MAX) for `duration_ns`, and copies what they counted. 0, or
 * negative errno after saying why. */
int race_run(unsigned racers, int64_t duration_ns, racer_fn *racer, const void *with,
	     struct lane ret_lanes[RACERS_MAX]);

#endif
