/*
 * window.h - the hints of one client's window: where its jobs may be found.
 *
 * Positions count up for ever; position p lies in slot p mod n. Both hints may be late or
 * wrong, because whoever follows them must still win the slot:
 *
 *   tail    one past the last position filled or skipped     the client, once per burst
 *   cursor  where workers look first                          any worker, now and then
 *
 * Positions before the cursor were seen by some worker to hold nothing to do. A worker
 * keeps its own copy of the cursor and moves on with that; the shared one counts the times
 * that somebody moved it *back* (a job given to another worker, or published late by a slow
 * thread) in its upper bits, so that every worker notices and looks there again.
 */
#ifndef CADRE_WINDOW_H
#define CADRE_WINDOW_H

#include "platform.h"

struct cadre_hints {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t tail; /* the client */
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t cursor; /* anyone: backs << 48 | position */
};

static_assert(offsetof(struct cadre_hints, cursor) == CADRE_CACHE_LINE, "segment layout");
static_assert(sizeof(struct cadre_hints) == 2 * CADRE_CACHE_LINE, "segment layout");

#define CADRE_CURSOR_POSITION ((UINT64_C(1) << 48) - 1)

/* A worker's own copy of one window's cursor. Zero to begin with. */
struct cadre_cursor {
	uint64_t backs;    /* moves back that it knows of */
	uint64_t position; /* its own */
};

/* The range of positions worth a look. At most `slots` long whatever the hints say. */
struct cadre_span {
	uint64_t from;
	uint64_t to;
};

/* Where this worker's own cursor stands, kept within a window of the tail. */
static inline struct cadre_span cadre_window_span_from(struct cadre_cursor *cursor,
						       uint64_t tail, uint32_t slots)
{
	/* Ahead of the tail it may be by the jobs of one burst, whose words are there before
	 * the tail is. More than a window ahead or behind is a hint gone wrong. */
	if (cursor->position > tail + slots || tail > cursor->position + slots)
		cursor->position = tail >= slots ? tail - slots : 0;
	return (struct cadre_span){
		.from = cursor->position,
		.to = tail > cursor->position ? tail : cursor->position,
	};
}

static inline void cadre_window_follow_back(struct cadre_cursor *cursor, uint64_t shared)
{
	cursor->backs = shared >> 48;
	if ((shared & CADRE_CURSOR_POSITION) < cursor->position)
		cursor->position = shared & CADRE_CURSOR_POSITION;
}

static inline struct cadre_span cadre_window_span(const struct cadre_hints *hints,
						  uint32_t slots,
						  struct cadre_cursor *cursor)
{
	/* T3: acquire, pairs with T2: the words before the tail are there. Without it a look would only come too early and look again. */
	const uint64_t tail = atomic_load_explicit(&hints->tail, memory_order_acquire);
	/* Relaxed: a hint. */
	const uint64_t shared = atomic_load_explicit(&hints->cursor, memory_order_relaxed);

	const uint64_t position = shared & CADRE_CURSOR_POSITION;

	if (shared >> 48 != cursor->backs)
		cadre_window_follow_back(cursor, shared);
	else if (position > cursor->position)
		cursor->position = position;
	return cadre_window_span_from(cursor, tail, slots);
}

/* The same for jobs that are aimed at this worker: what others have passed by, it has not,
 * so it follows the shared cursor backwards only. Never share such a cursor. */
static inline struct cadre_span cadre_window_span_aimed(const struct cadre_hints *hints,
							uint32_t slots,
							struct cadre_cursor *cursor)
{
	/* T3, and relaxed, as above. */
	const uint64_t tail = atomic_load_explicit(&hints->tail, memory_order_acquire);
	const uint64_t shared = atomic_load_explicit(&hints->cursor, memory_order_relaxed);

	if (shared >> 48 != cursor->backs)
		cadre_window_follow_back(cursor, shared);
	return cadre_window_span_from(cursor, tail, slots);
}

static inline void cadre_window_publish(struct cadre_hints *hints, uint64_t tail)
{
	/* T2: release, pairs with T3. */
	atomic_store_explicit(&hints->tail, tail, memory_order_release);
}

/* Tells the others how far this worker is. */
static inline void cadre_window_share_cursor(struct cadre_hints *hints,
					     const struct cadre_cursor *cursor)
{
	const uint64_t shared = cursor->backs << 48 |
				(cursor->position & CADRE_CURSOR_POSITION);

	/* W3. Relaxed: a hint. It may overwrite somebody's move back, which the next scan
	 * before a sleep, or the supervisor's tick, makes good. */
	atomic_store_explicit(&hints->cursor, shared, memory_order_relaxed);
}

/* Moves the cursor back to a position, so that every worker looks there again. */
static inline void cadre_window_look_back(struct cadre_hints *hints, uint64_t position)
{
	const uint64_t shared = atomic_load_explicit(&hints->cursor, memory_order_relaxed);
	const uint64_t backs = (shared >> 48) + 1;

	/* Relaxed: a hint. */
	atomic_store_explicit(&hints->cursor,
			      backs << 48 | (position & CADRE_CURSOR_POSITION),
			      memory_order_relaxed);
}

/* The same for a slot: its last position before the tail. */
static inline void cadre_window_point_at(struct cadre_hints *hints, uint32_t slot,
					 uint32_t slots)
{
	const uint64_t tail = atomic_load_explicit(&hints->tail, memory_order_relaxed);

	cadre_window_look_back(hints,
			       tail > 0 ? tail - 1 - ((tail - 1 - slot) & (slots - 1)) :
					  0);
}

#endif
