/*
 * bell.h - a futex word on a line of its own: one process (with its threads) sleeps on it,
 * anyone rings it.
 *
 * The sleeper remembers the count of rings *before* it says that it is about to sleep and
 * looks once more; a ring in between makes the sleep return at once. Each ring counts up
 * before it wakes, so a ringer killed between the two leaves a sleeper that has missed a
 * wake: whoever reaps the ringer rings again.
 *
 * Bits let the threads of one process sleep for different things on one bell: a ring wakes
 * those whose bits meet its own.
 */
#ifndef CADRE_BELL_H
#define CADRE_BELL_H

#include "platform.h"

struct cadre_bell {
	alignas(CADRE_CACHE_LINE) _Atomic uint32_t rings; /* everyone, by addition */
};

static_assert(sizeof(struct cadre_bell) == CADRE_CACHE_LINE, "segment layout");

#define CADRE_BELL_EVERYONE UINT32_MAX

uint32_t cadre_bell_remember(const struct cadre_bell *bell);

/* Sleeps until a ring that meets `bits` comes, or came since `remembered`, or timeout_ns
 * passed. Wakes for no reason now and then. True when it was not the timeout. */
bool cadre_bell_sleep(struct cadre_bell *bell, uint32_t remembered, uint32_t bits,
		      int64_t timeout_ns);

/* Rings; wakes at most `most` sleepers and returns how many woke. */
int cadre_bell_ring(struct cadre_bell *bell, uint32_t bits, int most);

#endif
