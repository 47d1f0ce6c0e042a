/*
 * ring_pair.h - two processes and a ring each way: the loops that are measured, the same for
 * every kind of ring, and compiled together with it so that nothing is called.
 *
 * Included once by a source file that has defined
 *
 *	struct ring;                                       of 512 jobs
 *	static void ring_init(struct ring *);              of zeros
 *	static bool ring_push(struct ring *, const unsigned char payload[PAYLOAD]);
 *	static bool ring_pop(struct ring *, unsigned char payload[PAYLOAD]);
 *
 * and ends with functions that call pair_round_trip and pair_in_flight. Both sides spin; there
 * are no deaths, no deadlines, no sleeping and no counting; the payload is copied in and out,
 * both ways, as with Cadre.
 */
#include "bench.h"
#include "peer.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define TRIPS 500u
#define JOBS 2000u

struct pair {
	struct ring requests; /* client to peer */
	struct ring replies;
	alignas(128) _Atomic bool end;     /* the client */
	alignas(128) uint32_t sent, taken; /* the client, private: jobs ever */
	uint32_t in_flight;                /* the client, private */
};

static void echo(void *shared)
{
	struct pair *const pair = shared;
	unsigned char payload[PAYLOAD];

	while (!atomic_load_explicit(&pair->end, memory_order_relaxed)) {
		if (!ring_pop(&pair->requests, payload))
			continue;
		while (!ring_push(&pair->replies, payload))
			continue;
	}
}

static void trip(void *shared)
{
	struct pair *const pair = shared;
	unsigned char payload[PAYLOAD] = "job";

	pair->sent++;
	memcpy(payload, &pair->sent, sizeof(pair->sent));
	ring_push(&pair->requests, payload);
	while (!ring_pop(&pair->replies, payload))
		continue;
	pair->taken++;
}

static double trips(void *shared)
{
	const int64_t start_ns = bench_now_ns();

	for (uint32_t i = 0; i < TRIPS; i++)
		trip(shared);
	return (double)(bench_now_ns() - start_ns) / TRIPS;
}

/* Goes on where the last batch left off, with what is in flight. */
static double stream(void *shared)
{
	struct pair *const pair = shared;
	unsigned char payload[PAYLOAD] = "job";
	const int64_t start_ns = bench_now_ns();
	const uint32_t goal = pair->taken + JOBS;

	while ((int32_t)(goal - pair->taken) > 0) {
		for (; pair->sent - pair->taken < pair->in_flight; pair->sent++) {
			memcpy(payload, &pair->sent, sizeof(pair->sent));
			ring_push(&pair->requests, payload);
		}
		while (ring_pop(&pair->replies, payload))
			pair->taken++;
	}
	return (double)(pair->taken - goal + JOBS) * 1e9 /
	       (double)(bench_now_ns() - start_ns);
}

static void measure_trips(const struct bench *bench, struct pair *pair, double *ret_values)
{
	ret_values[0] = bench_median_batch(bench, trips, pair);
	ret_values[1] = bench_quantile_trip(bench, trip, pair, 0.999);
}

static void measure_stream(const struct bench *bench, struct pair *pair,
			   double *ret_values)
{
	static const uint32_t in_flight[] = BENCH_IN_FLIGHT;

	for (size_t i = 0; i < COUNT_OF(in_flight); i++) {
		pair->in_flight = in_flight[i];
		ret_values[i] = bench_median_batch(bench, stream, pair);
	}
}

static int pair_measure(const struct bench *bench,
			void (*client)(const struct bench *, struct pair *, double *),
			double *ret_values)
{
	struct pair *const pair = peer_share(sizeof(*pair));
	pid_t peer;
	int r;

	if (!pair)
		return -ENOMEM;
	ring_init(&pair->requests);
	ring_init(&pair->replies);
	peer = peer_start(bench, echo, pair);
	if (peer < 0)
		return peer;
	client(bench, pair, ret_values);
	atomic_store(&pair->end, true);
	r = peer_await(peer);
	peer_unshare(pair, sizeof(*pair));
	return r;
}

static int pair_round_trip(const struct bench *bench, double *ret_values)
{
	return pair_measure(bench, measure_trips, ret_values);
}

static int pair_in_flight(const struct bench *bench, double *ret_values)
{
	return pair_measure(bench, measure_stream, ret_values);
}
