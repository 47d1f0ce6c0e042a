/*
 * feeder.h - a client of the pool that is measured (echo.h), with many jobs in flight.
 *
 * It fills up to that many, then takes those that have ended, oldest first, and fills up again.
 */
#ifndef FEEDER_H
#define FEEDER_H

#include "bench.h"

#include <cadre/cadre.h>

struct feeder {
	struct cadre_client *client;
	struct cadre_ticket tickets[IN_FLIGHT_MAX]; /* of job n at n modulo IN_FLIGHT_MAX */
	uint32_t sent, taken;                       /* jobs ever */
	uint32_t in_flight;                         /* at most */
	bool in_batches;
	int error;
};

/* Fills up, then takes those that have ended, which may be none. After an error it does
 * nothing. */
void feeder_turn(struct feeder *feeder);

/* Takes all that are in flight. 0, or the error. */
int feeder_drain(struct feeder *feeder);

#endif
