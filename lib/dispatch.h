/*
 * dispatch.h - who should take a fresh job when workers may have several at once: the one
 * with the least workload.
 *
 * All of it is a hint, read from the levels that workers publish for the statistics. A
 * worker that has jobs leaves a fresh one to a lighter worker for spread_ns at most, and
 * then takes it: nobody waits while a worker has room, whoever else may have been stopped.
 * Pools with parallel == 1 never ask.
 */
#ifndef CADRE_DISPATCH_H
#define CADRE_DISPATCH_H

#include "layout.h"

/* Wakes a sleeper, the least loaded first; tries others when that one does not wake.
 * Begins behind `*turn` among equals. True when one woke. */
bool cadre_dispatch_wake(const struct cadre_view *view, unsigned *turn);

/* Would another worker that has less to do than `workload` take a job now, or when it is
 * woken? ret_asleep: whom to wake for that, or the number of workers when one looks. */
bool cadre_dispatch_find_lighter(const struct cadre_view *view, unsigned self,
				 uint64_t workload, unsigned *ret_asleep);

#endif
