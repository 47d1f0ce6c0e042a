/*
 * slots.h - Cadre's slots between two processes, with neither client nor worker around them.
 *
 * Request and reply, word and stamp, claim and finish by compare-and-swap, booking, as a job
 * passes them (lib/slot.c). No search for a slot or a job, no hints, no
 * threads, no deadlines, no clocks, no counting, nobody who sleeps or dies: what is left is
 * the price of the protocol, and what is missing is that of the rest.
 */
#ifndef SLOTS_H
#define SLOTS_H

#include "bench.h"

/* What `with` is. */
struct slots_manner {
	bool is_timed; /* with what a result tells of times (two clocks) and the fence that a
			* sleeper needs */
	bool is_short; /* ECHO_SHORT bytes instead of PAYLOAD */
};

extern const struct slots_manner slots_bare, slots_timed, slots_timed_short;

measure_fn slots_round_trip; /* ns: p50, p99.9 */
measure_fn slots_in_flight;  /* jobs per second, for each of BENCH_IN_FLIGHT */

#endif
