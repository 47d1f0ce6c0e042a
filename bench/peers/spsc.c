#include "spsc.h"
#include "peer.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define CAPACITY 512u /* a power of two */
#define TRIPS 500u
#define JOBS 2000u

struct cell {
	alignas(64) unsigned char payload[PAYLOAD];
};

struct ring {
	alignas(128) _Atomic uint32_t tail; /* the producer: cells ever pushed */
	uint32_t seen_head;                 /* the producer, private */
	alignas(128) _Atomic uint32_t head; /* the consumer: cells ever popped */
	uint32_t seen_tail;                 /* the consumer, private */
	alignas(128) struct cell cells[CAPACITY];
};

struct pair {
	struct ring requests; /* client to peer */
	struct ring replies;
	alignas(128) _Atomic bool end;     /* the client */
	alignas(128) uint32_t sent, taken; /* the client, private: jobs ever */
	uint32_t in_flight;                /* the client, private */
};

static bool push(struct ring *ring, const unsigned char payload[PAYLOAD])
{
	const uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail - ring->seen_head == CAPACITY) {
		ring->seen_head = atomic_load_explicit(&ring->head, memory_order_acquire);
		if (tail - ring->seen_head == CAPACITY)
			return false;
	}
	memcpy(ring->cells[tail % CAPACITY].payload, payload, PAYLOAD);
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return true;
}

static bool pop(struct ring *ring, unsigned char payload[PAYLOAD])
{
	const uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (head == ring->seen_tail) {
		ring->seen_tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (head == ring->seen_tail)
			return false;
	}
	memcpy(payload, ring->cells[head % CAPACITY].payload, PAYLOAD);
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}

static void echo(void *shared)
{
	struct pair *const pair = shared;
	unsigned char payload[PAYLOAD];

	while (!atomic_load_explicit(&pair->end, memory_order_relaxed)) {
		if (!pop(&pair->requests, payload))
			continue;
		while (!push(&pair->replies, payload))
			continue;
	}
}

static void trip(void *shared)
{
	struct pair *const pair = shared;
	unsigned char payload[PAYLOAD] = "job";

	pair->sent++;
	memcpy(payload, &pair->sent, sizeof(pair->sent));
	push(&pair->requests, payload);
	while (!pop(&pair->replies, payload))
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
			push(&pair->requests, payload);
		}
		while (pop(&pair->replies, payload))
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

static int measure(const struct bench *bench,
		   void (*client)(const struct bench *, struct pair *, double *),
		   double *ret_values)
{
	struct pair *const pair = peer_share(sizeof(*pair));
	pid_t peer;
	int r;

	if (!pair)
		return -ENOMEM;
	peer = peer_start(bench, echo, pair);
	if (peer < 0)
		return peer;
	client(bench, pair, ret_values);
	atomic_store(&pair->end, true);
	r = peer_await(peer);
	peer_unshare(pair, sizeof(*pair));
	return r;
}

int spsc_round_trip(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return measure(bench, measure_trips, ret_values);
}

int spsc_in_flight(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return measure(bench, measure_stream, ret_values);
}
