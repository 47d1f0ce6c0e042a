/*
 * round_trip.c - how long does a caller wait for the reply to one small job?
 */
#include "echo.h"
#include "peers/futex_trip.h"
#include "peers/line.h"
#include "peers/spsc.h"

#include <errno.h>
#include <string.h>

#define TRIPS_SPINNING 500
#define TRIPS_ASLEEP 20

struct caller {
	struct cadre_client *client;
	int trips; /* in a batch */
	uint32_t done;
	int error;
};

static void trip(void *context)
{
	struct caller *const caller = context;
	unsigned char payload[PAYLOAD] = "job";
	const struct cadre_request request = { .operation = ECHO_OPERATION,
					       .data = payload,
					       .length = sizeof(payload) };
	struct cadre_result result;

	if (caller->error)
		return;
	memcpy(payload, &caller->done, sizeof(caller->done));
	caller->done++;
	caller->error = echo_check(cadre_call(caller->client, &request, &result), &result);
	if (caller->error)
		return;
	memcpy(payload, result.data, sizeof(payload));
	cadre_release(caller->client, &result);
}

static double batch(void *context)
{
	const struct caller *const caller = context;
	const int64_t start_ns = bench_now_ns();

	for (int i = 0; i < caller->trips; i++)
		trip(context);
	return (double)(bench_now_ns() - start_ns) / caller->trips;
}

/* How client and worker wait. */
struct manner {
	enum echo_manner manner;
	int trips; /* in a batch */
};

static int cadre_round_trip(const struct bench *bench, const void *with,
			    double *ret_values)
{
	const struct manner *const manner = with;
	struct cadre_pool *const pool = echo_start(bench, 1, manner->manner);
	struct caller caller = { .trips = manner->trips };
	int r;

	if (!pool)
		return -ECANCELED;
	caller.client = cadre_pool_client(pool);
	ret_values[0] = bench_median_batch(bench, batch, &caller);
	ret_values[1] = bench_quantile_trip(bench, trip, &caller, 0.999);
	r = echo_stop(pool);
	return caller.error ? caller.error : r;
}

static const struct manner spinning = { ECHO_SPINS, TRIPS_SPINNING };
static const struct manner asleep = { ECHO_SLEEPS, TRIPS_ASLEEP };

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
	  &spinning,
	  { "line", "spsc" },
	  false },
	{ "futex",
	  "two processes that wake each other: the limit of sleeping",
	  futex_round_trip,
	  NULL,
	  { NULL },
	  false },
	{ "cadre asleep",
	  "cadre_call of a 64-byte job, both sides sleep",
	  cadre_round_trip,
	  &asleep,
	  { "futex" },
	  false },
};

const struct question question_round_trip = {
	.name = "round_trip",
	.sentence = "How long does a caller wait for the reply to one 64-byte job?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.less_is_better = true,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
