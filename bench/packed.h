/*
 * packed.h - many items in one job: what a client sends that has a batch of work to be done,
 * and takes the answers together. The items are one claim, one end, one wake-up.
 */
#ifndef PACKED_H
#define PACKED_H

#include "bench.h"

measure_fn cadre_packed_in_flight; /* items per second, for each of BENCH_IN_FLIGHT */

#endif
