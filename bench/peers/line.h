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

/* For who plays both sides himself: the lines, shared with whomever he forks from now on. NULL
 * without memory. */
struct lines *line_share(void);
void line_unshare(struct lines *lines);

/* A batch of trips: ns for each. It ends when the other side answers a batch, in a process on
 * the other CPU. `lines` is a struct lines *. */
double line_batch(void *lines);
void line_answer_batch(struct lines *lines);

#endif
