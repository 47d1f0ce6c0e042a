/*
 * clock.h - the one clock: CLOCK_MONOTONIC in nanoseconds, the same in every process.
 */
#ifndef CADRE_CLOCK_H
#define CADRE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CADRE_NS_PER_US INT64_C(1000)
#define CADRE_NS_PER_MS INT64_C(1000000)
#define CADRE_NS_PER_S INT64_C(1000000000)

int64_t cadre_clock_ns(void);

/* now + delta, without running over the end of time. */
int64_t cadre_clock_in_ns(int64_t delta_ns);

/* What is left until `until_ns`, at most `most_ns`, at least 0. */
int64_t cadre_clock_left_ns(int64_t until_ns, int64_t most_ns);

struct timespec cadre_clock_timespec(int64_t ns);

#endif
