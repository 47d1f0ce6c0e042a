/*
 * futex_trip.h - two processes that wake each other and sleep: the floor for every exchange
 * in which both sides sleep.
 */
#ifndef FUTEX_TRIP_H
#define FUTEX_TRIP_H

#include "bench.h"

measure_fn futex_round_trip; /* ns: p50, p99.9 */

/* p50 alone. */
int futex_calibration(const struct bench *bench, double *ret_ns);

#endif
