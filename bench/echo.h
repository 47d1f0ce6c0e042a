/*
 * echo.h - the pool that is measured: one worker, bound to the worker's CPU, that sends
 * back what it gets.
 */
#ifndef ECHO_H
#define ECHO_H

#include "bench.h"

#include <cadre/cadre.h>

#define ECHO_OPERATION 1

enum echo_manner {
	ECHO_SPINS,    /* worker and client look for a second before they sleep */
	ECHO_SLEEPS,   /* neither looks for longer before it sleeps */
	ECHO_ADAPTS,   /* both look for as long as they do by default */
	ECHO_DEFAULTS, /* as a program gets it that wishes nothing */
};

/* Starts the pool, then binds this process to the client's CPU. NULL after saying why. */
struct cadre_pool *echo_start(const struct bench *bench, uint32_t workers,
			      enum echo_manner manner);

/* The same for who wishes more: a pool of this or another service, unbound. NULL after
 * saying why. */
extern const struct cadre_service echo_service;
struct cadre_pool *echo_start_service(const struct cadre_service *service,
				      const struct cadre_pool_options *options);

/* Its handler. */
void echo_back(struct cadre_job *job, void *state);

/* In a service's init: the struct bench that its start argument is. False without one. */
bool echo_told(const struct cadre_start *start, struct bench *ret_bench);

/* Such a service's init. Binds the worker to its CPU when it is told of the bench; else it runs
 * where the kernel likes. */
int echo_bind_worker(const struct cadre_start *start, void **ret_state,
		     struct cadre_diag *diag);

/* Ends it in order. 0, or negative errno after saying why. */
int echo_stop(struct cadre_pool *pool);

/* 0 when the result is that of an echoed job, else it says what went wrong. */
int echo_check(int r, const struct cadre_result *result);

/* Somebody who calls, waits for the reply, and calls again. */
struct echo_caller {
	struct cadre_client *client;
	int trips; /* in a batch */
	uint32_t done;
	int error; /* of the first trip that failed; then none is made any more */
};

/* One call of a 64-byte job, copied out and in; for bench_quantile_trip. */
void echo_trip(void *caller);

/* A batch of them: ns per trip; for bench_median_batch. */
double echo_trips(void *caller);

/* So much of a payload shares a line with the word of a request, and with the stamp of a reply. */
#define ECHO_SHORT 24

/* The two with jobs of that length. */
void echo_short_trip(void *caller);
double echo_short_trips(void *caller);

#endif
