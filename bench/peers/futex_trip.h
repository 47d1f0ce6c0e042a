/*
 * futex_trip.h - two processes that wake each other and sleep: the floor for every exchange
 * in which both sides sleep.
 */
#ifndef FUTEX_TRIP_H
#define FUTEX_TRIP_H

#include "bench.h"

measure_fn futex_round_trip; /* ns */

#endif
