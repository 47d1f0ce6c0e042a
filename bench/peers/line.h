/*
 * line.h - two cache lines between two CPUs: what no exchange of messages can beat.
 *
 * The client counts up in one line, the peer answers in the other. No payload, no queue.
 */
#ifndef LINE_H
#define LINE_H

#include "bench.h"

measure_fn line_round_trip; /* ns: p50, p99.9 */

/* p50 alone. */
int line_calibration(const struct bench *bench, double *ret_ns);

#endif
