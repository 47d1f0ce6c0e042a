/*
 * width.h - how much of a CPU's core is ours: the virtual CPU of another machine may be its other
 * half.
 *
 * A core that is shared works off half to two thirds of the instructions that it would alone,
 * while a cache line takes as long as ever. What is made of instructions is slower then beside
 * what waits for lines.
 */
#ifndef WIDTH_H
#define WIDTH_H

#include "bench.h"

/* Independent additions in the time of one that waits for the one before, which is a cycle: 3 to
 * 4 and more of a core that nobody shares. The median of some milliseconds on that CPU. */
double width_of(const struct bench *bench, int cpu);

/* The same of the CPU that we run on, in some microseconds: less exact, but of this moment. */
double width_here(void);

/* What it is at least of a core that nobody shares. */
#define WIDTH_ALONE 2.6

#endif
