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

#endif
