/*
 * later.h - one thread that ends jobs when their time has come; for the operation `later`
 * of the demo service. It is started by the first job, so that a worker without such jobs
 * has no thread.
 */
#ifndef CADRE_DEMO_LATER_H
#define CADRE_DEMO_LATER_H

#include <stdint.h>

#include <cadre/service.h>

struct demo_later;

/* Ends the job; called by the thread. */
typedef void demo_later_fn(struct cadre_job *job, uint64_t ms);

/* 0 with *ret_later, or -ENOMEM. */
int demo_later_start(demo_later_fn *end, void **ret_later);

/* Hands over a deferred job, to be ended `ms` from now. 0, or an error of malloc or
 * pthread_create with the job still the caller's. */
int demo_later_add(struct demo_later *later, struct cadre_job *job, uint64_t ms);

/* Ends what is left at once, then the thread. */
void demo_later_stop(struct demo_later *later);

#endif
