/*
 * mpmc_ring.h - the ring of mpmc.h, compiled together with who uses it.
 */
#ifndef MPMC_RING_H
#define MPMC_RING_H

#include "bench.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define CAPACITY 512u /* a power of two */

/* `turn` is the number of the push that may fill the cell, or one more than that of the push
 * which filled it. It shares a line with the first half of the payload. */
struct cell {
	alignas(64) _Atomic uint64_t turn;
	unsigned char payload[PAYLOAD];
};

struct ring {
	alignas(128) _Atomic uint64_t pushes; /* the producers: turns taken */
	alignas(128) _Atomic uint64_t pops;   /* the consumers */
	alignas(128) struct cell cells[CAPACITY];
};

static inline void ring_init(struct ring *ring)
{
	for (uint64_t i = 0; i < CAPACITY; i++)
		atomic_store_explicit(&ring->cells[i].turn, i, memory_order_relaxed);
}

/* Takes the next turn once its cell says `number + offset`; NULL when it does not yet. */
static inline struct cell *take_turn(struct ring *ring, _Atomic uint64_t *index,
				     uint64_t offset, uint64_t *ret_number)
{
	uint64_t number = atomic_load_explicit(index, memory_order_relaxed);

	for (;;) {
		struct cell *const cell = &ring->cells[number % CAPACITY];
		const uint64_t turn = atomic_load_explicit(&cell->turn,
							   memory_order_acquire);
		const int64_t ahead = (int64_t)(turn - (number + offset));

		if (ahead < 0)
			return NULL;
		if (ahead > 0) {
			number = atomic_load_explicit(index, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(index, &number, number + 1,
								 memory_order_relaxed,
								 memory_order_relaxed)) {
			*ret_number = number;
			return cell;
		}
	}
}

static inline bool ring_push(struct ring *ring, const unsigned char payload[PAYLOAD])
{
	uint64_t number;
	struct cell *const cell = take_turn(ring, &ring->pushes, 0, &number);

	if (!cell)
		return false;
	memcpy(cell->payload, payload, PAYLOAD);
	atomic_store_explicit(&cell->turn, number + 1, memory_order_release);
	return true;
}

static inline bool ring_pop(struct ring *ring, unsigned char payload[PAYLOAD])
{
	uint64_t number;
	struct cell *const cell = take_turn(ring, &ring->pops, 1, &number);

	if (!cell)
		return false;
	memcpy(payload, cell->payload, PAYLOAD);
	atomic_store_explicit(&cell->turn, number + CAPACITY, memory_order_release);
	return true;
}

#endif
