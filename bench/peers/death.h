/*
 * death.h - the floors of a death: how soon does a parent know by a pidfd, and how soon is
 * another child forked?
 *
 * The child that is killed runs a loop, as a worker with a job does. Nothing is bound to a
 * CPU, as nothing of a pool is.
 */
#ifndef DEATH_H
#define DEATH_H

#include "bench.h"

#define DEATH_COLUMNS 3 /* us from SIGKILL: lost, started, job */

/* How long everybody is left alone before a kill. */
#define DEATH_REST_S 0.002

measure_fn death_fork;  /* started, from the call of fork */
measure_fn death_pidfd; /* lost, started; `with`: as death_in_program's bytes */

/* Leaves everybody alone for a while, kills that process, and polls its pidfd. Returns this, which
 * the caller closes, or negative errno. */
int death_of(pid_t victim, int64_t *ret_kill_ns, int64_t *ret_dead_ns);

/* Touches so much of this process's memory, in small pages. 0, or -ENOMEM. */
int death_touch(size_t bytes);

/* Runs `measure` in a program of its own, which has touched *bytes of its memory before, in
 * small pages; NULL: none. 0, or negative errno. */
int death_in_program(const struct bench *bench, const size_t *bytes,
		     int (*measure)(const struct bench *bench, double *ret_values),
		     double *ret_values);

#endif
