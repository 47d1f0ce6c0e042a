/*
 * whereabouts.h - on which CPU workers and clients were last seen: nobody spins for somebody
 * who needs the very CPU that the spin takes.
 *
 * Each says on its own bell where it is, when it begins to wait and only if that has changed, so
 * that the line stays with those who read it. All of it is a hint, late by a migration at
 * most: who sleeps where it might have spun pays for a wake-up, who spins in vain does so for
 * as long as it would have without asking.
 */
#ifndef CADRE_WHEREABOUTS_H
#define CADRE_WHEREABOUTS_H

#include "crew.h"

/* Who spins asks whether that is of any use, after so many looks: early if it was not the last
 * time. Most answers of a peer on another CPU come before the later one, and the question
 * reads a line of each worker that is up. */
#define CADRE_LOOKS_BEFORE_ASKING(was_shared) ((was_shared) ? 4u : 64u)

/* Says where the owner of the bell is. Returns that, for the two questions: 0 when the kernel
 * does not tell. */
uint32_t cadre_whereabouts_say(struct cadre_bell *bell);

/* For a client that waits: no worker that is awake needs the CPU `here`. When none is awake,
 * one has just been woken, and will be where it slept. */
bool cadre_whereabouts_may_await(const struct cadre_crew *crew,
				 const struct cadre_bell *bells, unsigned workers,
				 uint32_t here);

/* For a worker without a job: is the owner of one of these bells `here`? */
bool cadre_whereabouts_any_here(const struct cadre_mask *owners,
				const struct cadre_bell *bells, unsigned count,
				uint32_t here);

/* The same of workers that are awake and come before `self` in the crew: of two on one CPU
 * one goes on looking. */
bool cadre_whereabouts_worker_here(const struct cadre_crew *crew,
				   const struct cadre_bell *bells, unsigned self,
				   uint32_t here);

#endif
