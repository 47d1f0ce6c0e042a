/*
 * broker.h - job systems that are a server between a client and a worker: how each of them is
 * measured. The worker runs on the worker's CPU, this process is the client.
 */
#ifndef BROKER_H
#define BROKER_H

#include "server.h"

struct broker {
	/* Starts the server, which waits for both. As server_run. */
	int (*run)(struct server *server);

	/* The life of the worker: it takes jobs and replies until it is killed. */
	void (*work)(void *server);

	/* Connects, sends jobs by pools_measure, and parts. 0, or as measure_fn. */
	int (*ask)(const struct server *server, double *ret_values);
};

/* As measure_fn. */
int broker_pools(const struct bench *bench, const struct broker *broker,
		 double *ret_values);

#endif
