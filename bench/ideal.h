/*
 * ideal.h - jobs that come at random and take random times, and how long they would wait if
 * nobody ever made a mistake: what dispatch.c compares with.
 */
#ifndef IDEAL_H
#define IDEAL_H

#include <stddef.h>

/* A length with that mean; `state` is that of erand48. */
typedef double draw_fn(double mean, unsigned short state[3]);

/* Its standard deviation is the mean. Of gaps it makes a Poisson process. */
draw_fn draw_exponential;

/* Heavy-tailed: bounded Pareto with shape 1.5, whose longest is a thousand times the shortest.
 * Few long ones make most of the sum; the standard deviation is 3.1 means. */
draw_fn draw_pareto;

#define IDEAL_WORKERS_MAX 16

/* How long each job waits for its start in one queue before so many workers, none of whom is
 * ever idle while a job waits, and who take the oldest first. Jobs are in order of submission;
 * all times in one unit. */
void ideal_waits(const double *submitted, const double *ran, size_t count,
		 unsigned workers, double *ret_waited);

#endif
