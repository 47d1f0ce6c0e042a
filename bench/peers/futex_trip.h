/*
 * futex_trip.h - two processes that wake each other and sleep: the floor for every exchange
 * in which both sides sleep.
 */
#ifndef FUTEX_TRIP_H
#define FUTEX_TRIP_H

#include "bench.h"

/* The median of a round trip. */
int futex_trip(const struct bench *bench, double *ret_ns);

/* The same when no sleep lasts for ever, as of those who do not rely on being woken by somebody
 * who may have been killed. */
int futex_bounded_trip(const struct bench *bench, double *ret_ns);

/* One, after both have slept for so long. */
int futex_first_trip(const struct bench *bench, double idle_s, double *ret_ns);

#endif
