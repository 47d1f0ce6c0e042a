/*
 * program.h - peers that are programs of their own, since they bring a library that whoever
 * measures Cadre need not have: cadre-bench-PEER beside cadre-bench, of peers/programs/.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "bench.h"

struct program {
	const char *peer;      /* of cadre-bench-PEER */
	const char *messenger; /* one of those that the program has */
	const char *package;   /* without which it is not built */
};

/* Each gets a struct program. */
measure_fn program_round_trip;
measure_fn program_in_flight;
measure_fn program_payload;

#endif
