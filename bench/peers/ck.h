/*
 * ck.h - bare pairs of the rings of Concurrency Kit (ck_ring.h, by S. A. Bahra), which is
 * headers alone: for one producer and one consumer, and for many of each. Both are used by
 * one of each, with 64-byte entries in the ring.
 */
#ifndef CK_H
#define CK_H

#include "bench.h"

measure_fn ck_spsc_round_trip; /* ns: p50, p99.9 */
measure_fn ck_spsc_in_flight;  /* jobs per second, for each of BENCH_IN_FLIGHT */
measure_fn ck_mpmc_round_trip;
measure_fn ck_mpmc_in_flight;

#endif
