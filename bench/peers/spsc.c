#include "spsc.h"
#include "peer.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define CAPACITY 128u /* a power of two */
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

static double trips(void *shared)
{
	struct pair *const pair = shared;
	unsigned char payload[PAYLOAD] = "job";
	const int64_t start_ns = bench_now_ns();

	for (uint32_t trip = 0; trip < TRIPS; trip++) {
		memcpy(payload, &trip, sizeof(trip));
		push(&pair->requests, payload);
		while (!pop(&pair->replies, payload))
			continue;
	}
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
		for (; pair->sent - pair->taken < IN_FLIGHT; pair->sent++) {
			memcpy(payload, &pair->sent, sizeof(pair->sent));
			push(&pair->requests, payload);
		}
		while (pop(&pair->replies, payload))
			pair->taken++;
	}
	return (double)(pair->taken - goal + JOBS) * 1e9 /
	       (double)(bench_now_ns() - start_ns);
}

static int measure(const struct bench *bench, double (*batch)(void *), double *ret_value)
{
	struct pair *const pair = peer_share(sizeof(*pair));
	pid_t peer;
	int r;

	if (!pair)
		return -ENOMEM;
	peer = peer_start(bench, echo, pair);
	if (peer < 0)
		return peer;
	*ret_value = bench_median_batch(bench, batch, pair);
	atomic_store(&pair->end, true);
	r = peer_await(peer);
	peer_unshare(pair, sizeof(*pair));
	return r;
}

int spsc_round_trip(const struct bench *bench, double *ret_value)
{
	return measure(bench, trips, ret_value);
}

int spsc_in_flight(const struct bench *bench, double *ret_value)
{
	return measure(bench, stream, ret_value);
}
