/*
 * slots.h - Cadre's slots between two processes, with neither client nor worker around them.
 *
 * Request and reply, word and stamp, claim and finish by compare-and-swap, booking and
 * freeing, as a job passes them (lib/slot.c). No search for a slot or a job, no hints, no
 * threads, no deadlines, no clocks, no counting, nobody who sleeps or dies: what is left is
 * the price of the protocol, and what is missing is that of the rest. With anything in `with`,
 * what a result tells of times (two clocks) and the fence that a sleeper needs are added.
 */
#ifndef SLOTS_H
#define SLOTS_H

#include "bench.h"

measure_fn slots_round_trip; /* ns: p50, p99.9 */
measure_fn slots_in_flight;  /* jobs per second, for each of BENCH_IN_FLIGHT */

#endif
