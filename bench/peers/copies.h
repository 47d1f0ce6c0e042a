/*
 * copies.h - three copies of a payload, and nothing else: in, from request to reply, out. What
 * no job can beat that is copied into shared memory, answered by a copy, and copied out of it.
 */
#ifndef COPIES_H
#define COPIES_H

#include "bench.h"

measure_fn copies_between; /* the second one by the process on the worker's CPU; us */
measure_fn copies_alone;   /* all by one process, so that no cache line travels; us */

#endif
