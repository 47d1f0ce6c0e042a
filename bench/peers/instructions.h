/*
 * instructions.h - Cadre's client and worker in one thread: what all their instructions take
 * while no line travels and nobody waits for anybody.
 *
 * cadre_try_submit, one look of the worker and the whole of the job, cadre_try_take and
 * cadre_release, in turn, on lines that stay in this CPU's cache: a lower bound of what a round
 * trip takes longer than its lines do. (Two processes do a part of it at the same time: all
 * that comes behind the publication, and behind the reply.)
 */
#ifndef INSTRUCTIONS_H
#define INSTRUCTIONS_H

#include "bench.h"

measure_fn instructions_round_trip; /* ns: p50, p99.9 */

#endif
