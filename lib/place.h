/*
 * place.h - who sits where: one place per worker and one per client (with its window).
 *
 *   VACANT -> STARTING(i) -> UP(i) -> [DRAINING(i)] -> DEAD(i) -> VACANT or STARTING(i + 1)
 *
 * The state word holds the incarnation i, which counts the processes that ever sat here.
 * The supervisor makes every move but one: a worker becomes one by its own CAS from
 * STARTING(i) to UP(i), after it wrote who it is. A forked worker that a dead supervisor
 * never recorded therefore finds another word and leaves.
 */
#ifndef CADRE_PLACE_H
#define CADRE_PLACE_H

#include "platform.h"
#include "process.h"

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

/* S: the supervisor. O: whoever sits there, before it is UP. */
struct cadre_place {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t state; /* state | incarnation << 8, by CAS */
	_Atomic int32_t pid;                              /* O, and S after the fork */
	_Atomic uint64_t start_time;                      /* O, and S after the fork */
	_Atomic uint64_t nonce;                           /* S: of a client's hello */
	_Atomic int64_t since_ns;                         /* S: of this incarnation */
	_Atomic int64_t until_ns;                         /* S: WAITING until */
};

static_assert(sizeof(struct cadre_place) == CADRE_CACHE_LINE, "segment layout");

static inline uint64_t cadre_place_pack(enum cadre_place_state state, uint32_t incarnation)
{
	return (uint64_t)state | (uint64_t)incarnation << 8;
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

/* P1: acquire, pairs with cadre_place_move: who sees a state sees what was written
 * before it. */
static inline uint64_t cadre_place_look(const struct cadre_place *place)
{
	return atomic_load_explicit(&place->state, memory_order_acquire);
}

/* Moves exactly from one word to another; false when it has changed meanwhile. */
static inline bool cadre_place_move(struct cadre_place *place, uint64_t from, uint64_t to)
{
	return atomic_compare_exchange_strong_explicit(&place->state, &from, to,
						       memory_order_seq_cst,
						       memory_order_relaxed);
}

static inline void cadre_place_sign(struct cadre_place *place, struct cadre_identity who)
{
	/* Relaxed: the move that follows publishes it. */
	atomic_store_explicit(&place->pid, who.pid, memory_order_relaxed);
	atomic_store_explicit(&place->start_time, who.start_time, memory_order_relaxed);
}

static inline struct cadre_identity cadre_place_who(const struct cadre_place *place)
{
	return (struct cadre_identity){
		.pid = atomic_load_explicit(&place->pid, memory_order_relaxed),
		.start_time = atomic_load_explicit(&place->start_time,
						   memory_order_relaxed),
	};
}

#endif
