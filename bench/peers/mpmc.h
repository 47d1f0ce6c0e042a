/*
 * mpmc.h - a bare pair of rings for many producers and many consumers, used by one of each.
 *
 * D. Vyukov's bounded queue (1024cores.net, "Bounded MPMC queue", 2010): each cell has a
 * sequence number which says whose turn it is; producers and consumers take their turn by a
 * compare-and-swap of their own index.
 */
#ifndef MPMC_H
#define MPMC_H

#include "bench.h"

measure_fn mpmc_round_trip; /* ns: p50, p99.9 */
measure_fn mpmc_in_flight;  /* jobs per second, for each of BENCH_IN_FLIGHT */

#endif
