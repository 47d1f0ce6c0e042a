/*
 * machine.h - the CPUs that are measured on; what bench.h promises of them and of time.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "bench.h"

enum {
	EXIT_MEASURED = 0,
	EXIT_NOT_MEASURED = 1,
	EXIT_USAGE = 2,
	EXIT_GOAL_MISSED = 3,
};

/* The first two CPUs that we may use. False when there are not two. */
bool machine_choose_cpus(struct bench *bench);

/* For --realtime: takes the turn of this machine, until this process has ended and all that it
 * has forked. Two that spin at the same real-time priority would wait for each other for
 * ever. Waits for 2 s at most, as for one that has just ended. 0, -EADDRINUSE when another one
 * has it, or why there is none. */
int machine_take_turn(void);

#endif
