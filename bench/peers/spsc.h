/*
 * spsc.h - a bare pair of rings between two processes: the least that carries payloads.
 *
 * One producer, one consumer per ring (L. Lamport, 1977), each with a private copy of the
 * other's index, so that it asks for the other's line only when that copy says full or
 * empty. Nothing else: no deaths, no deadlines, no sleeping, no counting, one client, one
 * worker. 64 bytes of payload are copied in and out, both ways, as with Cadre.
 */
#ifndef SPSC_H
#define SPSC_H

#include "bench.h"

measure_fn spsc_round_trip; /* ns: p50, p99.9 */
measure_fn spsc_in_flight;  /* jobs per second, for each of BENCH_IN_FLIGHT */

#endif
