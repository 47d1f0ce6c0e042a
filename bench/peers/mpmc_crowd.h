/*
 * mpmc_crowd.h - the ring of mpmc.h between many clients and many workers: one for all requests,
 * and one per client for its replies.
 *
 * Nobody sleeps: who has looked a thousand times in vain yields its CPU. No deaths, no
 * deadlines, no counting.
 */
#ifndef MPMC_CROWD_H
#define MPMC_CROWD_H

#include "race.h"

/* As race_run, with so many workers, for clients that keep `in_flight` jobs under way. */
int mpmc_crowd_run(unsigned clients, unsigned workers, uint32_t in_flight,
		   int64_t duration_ns, struct lane ret_lanes[RACERS_MAX]);

#endif
