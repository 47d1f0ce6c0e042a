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
