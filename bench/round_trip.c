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
	int trips;
	int error;
};

static double batch(void *context)
{
	struct caller *const caller = context;
	unsigned char payload[PAYLOAD] = "job";
	const struct cadre_request request = { .operation = ECHO_OPERATION,
					       .data = payload,
					       .length = sizeof(payload) };
	struct cadre_result result;
	const int64_t start_ns = bench_now_ns();

	for (int trip = 0; trip < caller->trips && caller->error == 0; trip++) {
		memcpy(payload, &trip, sizeof(trip));
		caller->error = echo_check(cadre_call(caller->client, &request, &result),
					   &result);
		if (caller->error)
			break;
		memcpy(payload, result.data, sizeof(payload));
		cadre_release(caller->client, &result);
	}
	return (double)(bench_now_ns() - start_ns) / caller->trips;
}

static int measure(const struct bench *bench, enum echo_manner manner, int trips,
		   double *ret_value)
{
	struct cadre_pool *const pool = echo_start(bench, 1, manner);
	struct caller caller = { .trips = trips };
	int r;

	if (!pool)
		return -ECANCELED;
	caller.client = cadre_pool_client(pool);
	*ret_value = bench_median_batch(bench, batch, &caller);
	r = echo_stop(pool);
	return caller.error ? caller.error : r;
}

static int cadre_spinning(const struct bench *bench, double *ret_value)
{
	return measure(bench, ECHO_SPINS, TRIPS_SPINNING, ret_value);
}

static int cadre_asleep(const struct bench *bench, double *ret_value)
{
	return measure(bench, ECHO_SLEEPS, TRIPS_ASLEEP, ret_value);
}

static const struct contender contenders[] = {
	{ "line",
	  "two cache lines, no payload: the limit of the machine",
	  line_round_trip,
	  { NULL } },
	{ "spsc",
	  "a bare pair of rings, 64 bytes copied in and out",
	  spsc_round_trip,
	  { "line" } },
	{ "cadre",
	  "cadre_call of a 64-byte job, both sides spin",
	  cadre_spinning,
	  { "line", "spsc" } },
	{ "futex",
	  "two processes that wake each other: the limit of sleeping",
	  futex_round_trip,
	  { NULL } },
	{ "cadre asleep",
	  "cadre_call of a 64-byte job, both sides sleep",
	  cadre_asleep,
	  { "futex" } },
};

const struct question question_round_trip = {
	.name = "round_trip",
	.sentence = "How long does a caller wait for the reply to one 64-byte job?",
	.unit = "ns",
	.digits = 0,
	.less_is_better = true,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
