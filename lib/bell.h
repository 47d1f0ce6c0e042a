/*
 * bell.h - a futex word on a line of its own: one process (with its threads) sleeps on it,
 * anyone rings it.
 *
 * The sleeper remembers the count of rings *before* it says that it is about to sleep and
 * looks once more; a ring in between makes the sleep return at once. Each ring counts up
 * before it wakes, so a ringer killed between the two leaves a sleeper that has missed a
 * wake: whoever reaps the ringer rings again.
 *
 * Beside it stands a second word, on which a worker's watcher sleeps (watch.h): that a job
 * was cancelled is told there, however busy whoever sleeps on the first one may be.
 *
 * Bits let the threads of one process sleep for different things on one bell: a ring wakes
 * those whose bits meet its own.
 */
#ifndef CADRE_BELL_H
#define CADRE_BELL_H

#include "platform.h"

struct cadre_bell {
	alignas(CADRE_CACHE_LINE) _Atomic uint32_t rings; /* everyone, by addition */
	_Atomic uint32_t notices; /* everyone, by addition: something was cancelled */
	_Atomic uint32_t listens; /* its owner: it wants to hear of that */
	_Atomic uint32_t cpu; /* its owner: where it waited last, from 1 (whereabouts.h) */
	/* A worker's: crew.h. */
	_Atomic uint32_t naps;     /* its owner: times that it has lain down */
	_Atomic uint32_t roused;   /* everyone: the nap that a ring has ended */
	_Atomic int64_t roused_ns; /* everyone: CLOCK_MONOTONIC of that ring */
};

static_assert(sizeof(struct cadre_bell) == CADRE_CACHE_LINE, "segment layout");

#define CADRE_BELL_EVERYONE UINT32_MAX

/* On a worker's bell: the thread that looks for jobs. The other bits are those of jobs whose
 * producers wait for room in their streams. */
#define CADRE_BELL_DISPATCHER (UINT32_C(1) << 31)

uint32_t cadre_bell_remember(const struct cadre_bell *bell);

/* Sleeps until a ring that meets `bits` comes, or came since `remembered`, or timeout_ns
 * passed. Wakes for no reason now and then. True when it was not the timeout. */
bool cadre_bell_sleep(struct cadre_bell *bell, uint32_t remembered, uint32_t bits,
		      int64_t timeout_ns);

/* Rings; wakes at most `most` sleepers and returns how many woke. */
int cadre_bell_ring(struct cadre_bell *bell, uint32_t bits, int most);

/*
 * Tells the owner that something of its own was cancelled, if it listens at all:
 *
 *     who decides (X2)                      watcher
 *     word |= DECIDED                       listens = 1
 *     N1 full fence                         N2 full fence
 *     if (listens) notices++, wake          look at the words; sleep on notices
 *
 * N1 pairs with N2: either the ringer sees that somebody listens, or the look sees the
 * flag. Who is killed between flag and wake delays the news: a watcher looks again after
 * a while.
 */
void cadre_bell_notify(struct cadre_bell *bell);

/* For the watcher: as cadre_bell_remember and cadre_bell_sleep, of notices. */
uint32_t cadre_bell_remember_notices(const struct cadre_bell *bell);
void cadre_bell_sleep_for_notices(struct cadre_bell *bell, uint32_t remembered,
				  int64_t timeout_ns);

/* Says that the owner listens from now on, or not any more. With the fence (N2). */
void cadre_bell_listen(struct cadre_bell *bell, bool listens);

/* Behind N1: does it? */
static inline bool cadre_bell_is_heard(const struct cadre_bell *bell)
{
	/* Relaxed: the fence did the ordering. */
	return atomic_load_explicit(&bell->listens, memory_order_relaxed) != 0;
}

#endif
