#include "spsc.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define CAPACITY 512u /* a power of two */

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

static void ring_init(struct ring *ring)
{
	(void)ring;
}

static bool ring_push(struct ring *ring, const unsigned char payload[PAYLOAD])
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

static bool ring_pop(struct ring *ring, unsigned char payload[PAYLOAD])
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

#include "ring_pair.h"

int spsc_round_trip(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return pair_round_trip(bench, ret_values);
}

int spsc_in_flight(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return pair_in_flight(bench, ret_values);
}
