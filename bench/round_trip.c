/*
 * round_trip.c - how long does a caller wait for the reply to one small job, while both sides
 * spin? waiting.c asks the same of those who sleep.
 */
#include "echo.h"
#include "peers/line.h"
#include "peers/spsc.h"

#include <errno.h>

#define TRIPS 500

static int cadre_round_trip(const struct bench *bench, const void *with,
			    double *ret_values)
{
	struct cadre_pool *const pool = echo_start(bench, 1, ECHO_SPINS);
	struct echo_caller caller = { .trips = TRIPS };
	int r;

	(void)with;
	if (!pool)
		return -ECANCELED;
	caller.client = cadre_pool_client(pool);
	ret_values[0] = bench_median_batch(bench, echo_trips, &caller);
	ret_values[1] = bench_quantile_trip(bench, echo_trip, &caller, 0.999);
	r = echo_stop(pool);
	return caller.error ? caller.error : r;
}

static const struct column columns[] = { { "p50", "ns", 0 }, { "p99.9", "ns", 0 } };

static const struct contender contenders[] = {
	{ "line",
	  "two cache lines, no payload: the limit of the machine",
	  line_round_trip,
	  NULL,
	  { NULL },
	  false },
	{ "spsc",
	  "a bare pair of rings, 64 bytes copied in and out",
	  spsc_round_trip,
	  NULL,
	  { "line" },
	  false },
	{ "cadre",
	  "cadre_call of a 64-byte job, both sides spin",
	  cadre_round_trip,
	  NULL,
	  { "line", "spsc" },
	  false },
};

const struct question question_round_trip = {
	.name = "round_trip",
	.sentence = "How long does a caller wait for the reply to one 64-byte job while both "
		    "spin?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.less_is_better = true,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
