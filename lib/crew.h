/*
 * crew.h - which workers are there, which sleep, which are engaged; and waking one.
 *
 * Each bit is set and cleared by its own worker; the supervisor clears those of a worker
 * that is proven dead. All of it is a hint about who should be woken: the truth about the
 * jobs is in the slots.
 *
 *   up        the worker takes jobs
 *   sleepers  it sleeps on its bell, or is about to, or has just been woken
 *   engaged   it will not look for jobs for a while: it runs a handler that is expected
 *             to be long, or has no room
 *
 * A worker that is up, neither asleep nor engaged, will look through every window before
 * it sleeps. So a client that has published a job wakes somebody only when there is no
 * such worker:
 *
 *     client (publish)                      worker (sleep, or engage)
 *     word = QUEUED             (S3)        sleepers |= me, or engaged |= me   (K1)
 *     F2 full fence                         F3 full fence
 *     look at the crew                      look through all windows
 *
 * F2 pairs with F3: either the client sees the bit, or the worker sees the job. A worker
 * that engages and sees another job wakes a sleeper for it; that one, should it engage as
 * well, does the same.
 *
 * A sleeper that was rung for keeps its bit until it runs, which takes 50 us, or as long as
 * somebody else needs its CPU. Meanwhile it is *roused*: it will look before it sleeps again.
 *
 *     waker                                 worker
 *     nap = naps                            remember rings         (L1)
 *     rings++                   (L2)        naps++
 *     wake                                  sleepers |= me         (K1)
 *     roused = nap                          F3 full fence, look through all windows
 *                                           sleep unless rings has changed
 *
 * A client that sees, behind F2, that roused = naps knows of a ring that came after that nap
 * began: the worker does not sleep on, and its next look comes behind that F3 which follows
 * its next naps++, so it sees the job. More sleepers than have a CPU to run on are not
 * roused; but one that does not get up in time is no longer counted upon.
 */
#ifndef CADRE_CREW_H
#define CADRE_CREW_H

#include "bell.h"
#include "mask.h"

struct cadre_crew {
	struct cadre_mask up;
	struct cadre_mask sleepers;
	struct cadre_mask engaged;
};

/* Who could do a job that was just published? */
enum cadre_crew_look {
	CADRE_CREW_LOOKING, /* somebody awake will find it */
	CADRE_CREW_ASLEEP,  /* nobody is looking, somebody sleeps: wake one */
	CADRE_CREW_ENGAGED, /* nobody looks and nobody sleeps: a larger crew would help */
};

/* The caller has made a full fence since it published. */
enum cadre_crew_look cadre_crew_look(const struct cadre_crew *crew, unsigned workers);

/* How many sleepers are roused and have not got up yet, as far as they may be counted upon.
 * Behind the same fence. */
unsigned cadre_crew_roused(const struct cadre_crew *crew, const struct cadre_bell *bells,
			   unsigned workers, int64_t now_ns);

/* Rings for one worker's dispatcher. Returns how many woke: 1 or 0. */
int cadre_crew_rouse(struct cadre_bell *bell);

/* The worker whose bell this is lies down: before its bit is set (K1). */
static inline void cadre_crew_take_nap(struct cadre_bell *bell)
{
	/* Relaxed, both: one writer, and K1 and F3 behind it do the ordering. */
	const uint32_t naps = atomic_load_explicit(&bell->naps, memory_order_relaxed);

	atomic_store_explicit(&bell->naps, naps + 1, memory_order_relaxed);
}

/* Wakes one sleeper; when a ring woke nobody (it was on its way out of its sleep, or it
 * died) tries the next, beginning behind `*turn`. True when one woke. */
bool cadre_crew_wake(const struct cadre_crew *crew, struct cadre_bell *bells,
		     unsigned workers, unsigned *turn);

/* Rings every sleeper: for the supervisor, after a death. Returns how many woke. */
int cadre_crew_wake_all(const struct cadre_crew *crew, struct cadre_bell *bells,
			unsigned workers);

/* The bits of one worker, as the supervisor clears them after its death. */
void cadre_crew_forget(struct cadre_crew *crew, unsigned worker);

#endif
