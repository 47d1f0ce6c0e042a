/*
 * window.h - the hints of one client's window: where its jobs may be found.
 *
 * Positions count up for ever; position p lies in slot p mod n. Both hints may be late or
 * wrong, because whoever follows them must still win the slot:
 *
 *   tail    one past the last position filled or skipped     the client, once per burst
 *   cursor  where workers look first                          any worker, now and then
 *
 * Positions before the cursor were seen by some worker to be neither QUEUED nor FILLING.
 */
#ifndef CADRE_WINDOW_H
#define CADRE_WINDOW_H

#include "platform.h"

struct cadre_hints {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t tail;   /* the client */
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t cursor; /* workers; the supervisor, backwards */
};

static_assert(offsetof(struct cadre_hints, cursor) == CADRE_CACHE_LINE, "segment layout");
static_assert(sizeof(struct cadre_hints) == 2 * CADRE_CACHE_LINE, "segment layout");

/* The range of positions worth a look. At most `slots` long whatever the hints say. */
struct cadre_span {
	uint64_t from;
	uint64_t to;
};

static inline struct cadre_span cadre_window_span(const struct cadre_hints *hints,
						  uint32_t slots)
{
	/* Acquire, pairs with the release in cadre_window_publish: the words before the tail
	 * are there. Without it a look would only come too early and look again. */
	const uint64_t tail = atomic_load_explicit(&hints->tail, memory_order_acquire);
	/* Relaxed: a hint. */
	const uint64_t cursor = atomic_load_explicit(&hints->cursor, memory_order_relaxed);

	/* A cursor beyond the tail, or a window behind it, is a hint gone wrong. */
	if (tail - cursor > slots)
		return (struct cadre_span){ .from = tail >= slots ? tail - slots : 0, .to = tail };
	return (struct cadre_span){ .from = cursor, .to = tail };
}

static inline void cadre_window_publish(struct cadre_hints *hints, uint64_t tail)
{
	atomic_store_explicit(&hints->tail, tail, memory_order_release);
}

static inline void cadre_window_move_cursor(struct cadre_hints *hints, uint64_t position)
{
	/* Relaxed: a hint. */
	atomic_store_explicit(&hints->cursor, position, memory_order_relaxed);
}

/* Moves the cursor back so that the slot is found again. */
static inline void cadre_window_point_at(struct cadre_hints *hints, uint32_t slot,
					 uint32_t slots)
{
	const uint64_t tail = atomic_load_explicit(&hints->tail, memory_order_relaxed);
	const uint64_t position = tail - 1 - ((tail - 1 - slot) & (slots - 1));

	if (tail > 0 && position < atomic_load_explicit(&hints->cursor, memory_order_relaxed))
		cadre_window_move_cursor(hints, position);
}

#endif
