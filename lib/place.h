/*
 * place.h - who sits where: one place per worker and one per client (with its window).
 *
 *   VACANT -> STARTING(i) -> UP(i) -> [DRAINING(i)] -> DEAD(i) -> VACANT or STARTING(i + 1)
 *
 * The state word holds the incarnation i, which counts the processes that ever sat here, and
 * the pid of the one that does:
 *
 *   63        40 39                  8 7        0
 *  +------------+---------------------+----------+
 *  | pid        | incarnation         | state    |
 *  +------------+---------------------+----------+
 *
 * The supervisor makes every move but two. A client that leaves while there is no supervisor
 * moves itself from UP to DRAINING. A worker becomes one by its own CAS from STARTING(i) to
 * UP(i, pid). Before that it writes nothing: a forked worker that a dead
 * supervisor never recorded finds another word, leaves, and cannot have put its name over
 * that of the worker which sits there now. The start time follows the move; a successor
 * that finds it 0 takes the pid for the worker only if that process has the segment mapped.
 */
#ifndef CADRE_PLACE_H
#define CADRE_PLACE_H

#include "platform.h"
#include "process.h"
#include "trace.h"

enum cadre_place_state {
	CADRE_PLACE_VACANT = 0,
	CADRE_PLACE_STARTING = 1, /* forked or about to be; its init runs */
	CADRE_PLACE_UP = 2,       /* takes jobs (worker), submits them (client) */
	CADRE_PLACE_DRAINING = 3, /* worker: finishes what it has. Client: dead or gone, and
	                           * its window still holds jobs */
	CADRE_PLACE_DEAD = 4,     /* worker: being reaped */
	CADRE_PLACE_WAITING = 5,  /* worker: to be started again after a back-off */
	CADRE_PLACE_DISABLED = 6, /* worker: asked not to be started again */
};

#define CADRE_PLACE_STATES 7

/* S: the supervisor. O: a worker that sits there, once it is UP. */
struct cadre_place {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t state; /* as drawn above, by CAS */
	_Atomic uint64_t start_time;  /* S clears it; O; S for a client */
	_Atomic uint64_t nonce;       /* S: of a client's hello */
	_Atomic int64_t since_ns;     /* S: of this incarnation */
	_Atomic int64_t until_ns;     /* S: WAITING until */
	_Atomic uint64_t jobs_before; /* S: jobs taken by the workers before this one */
	_Atomic uint32_t version; /* S: of the service that this worker was started with */
};

static_assert(sizeof(struct cadre_place) == CADRE_CACHE_LINE, "segment layout");

#define CADRE_PLACE_PID_MAX ((1 << 24) - 1) /* the kernel's own limit is 2^22 */

static inline uint64_t cadre_place_pack_owned(enum cadre_place_state state,
					      uint32_t incarnation, int32_t pid)
{
	return (uint64_t)state | (uint64_t)incarnation << 8 |
	       (uint64_t)(uint32_t)pid << 40;
}

/* A place where nobody sits. */
static inline uint64_t cadre_place_pack(enum cadre_place_state state, uint32_t incarnation)
{
	return cadre_place_pack_owned(state, incarnation, 0);
}

/* An impossible state is shown as it is: callers compare with those they know. */
static inline enum cadre_place_state cadre_place_state_of(uint64_t bits)
{
	return (enum cadre_place_state)(bits & 255);
}

static inline uint32_t cadre_place_incarnation_of(uint64_t bits)
{
	return (uint32_t)(bits >> 8);
}

static inline int32_t cadre_place_pid_of(uint64_t bits)
{
	return (int32_t)(bits >> 40);
}

static inline uint64_t cadre_place_look(const struct cadre_place *place)
{
	/* P1: acquire, pairs with cadre_place_move: who sees a state sees what was written
	 * before it. */
	return atomic_load_explicit(&place->state, memory_order_acquire);
}

/* Moves exactly from one word to another; false when it has changed meanwhile. Sequentially
 * consistent: whoever moves a place looks at slots or bells behind it. */
static inline bool cadre_place_move(struct cadre_place *place, uint64_t from, uint64_t to)
{
	/* P1, pairs with cadre_place_look. */
	const bool moved = atomic_compare_exchange_strong_explicit(&place->state, &from,
								   to,
								   memory_order_seq_cst,
								   memory_order_relaxed);

	if (moved)
		CADRE_TRACE(place_state, place, from, to);
	return moved;
}

/* Relaxed, both: the pid in the state word decides; the start time only tells two of one pid
 * apart, and 0 means that it is not known yet. */
static inline void cadre_place_set_start_time(struct cadre_place *place,
					      uint64_t start_time)
{
	atomic_store_explicit(&place->start_time, start_time, memory_order_relaxed);
}

static inline struct cadre_identity cadre_place_who(const struct cadre_place *place)
{
	return (struct cadre_identity){
		.pid = cadre_place_pid_of(cadre_place_look(place)),
		.start_time = atomic_load_explicit(&place->start_time,
						   memory_order_relaxed),
	};
}

#endif
