/*
 * line.h - two cache lines between two CPUs: what no exchange of messages can beat.
 *
 * The client counts up in one line, the peer answers in the other. No payload, no queue.
 */
#ifndef LINE_H
#define LINE_H

#include "bench.h"

measure_fn line_round_trip; /* ns */

#endif
