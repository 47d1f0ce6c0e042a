/*
 * held.h - rings that a worker holds back from a client that sleeps on the worker's own CPU.
 *
 * Such a client cannot run before the worker stops, unless the kernel lets it have the CPU in
 * the midst of the worker's other jobs, once per job: two switches for what takes a tenth of
 * one. So the ring waits until the worker finds nothing more to do, or is about to do
 * something that may take long, or has kept it for a while.
 *
 * Nothing is lost with a worker that dies meanwhile: its reaper rings for every job that it
 * has ended and somebody waits for. One that is stopped, or whose next job is long against
 * all expectation, delays the news by the 10 ms that a client with a worker on its CPU
 * sleeps at most before it looks for itself (take.c).
 *
 * Private to a worker's dispatching thread.
 */
#ifndef CADRE_HELD_H
#define CADRE_HELD_H

#include "clock.h"
#include "layout.h"

struct cadre_held {
	unsigned window; /* whose client */
	uint32_t bits;   /* of its bell; 0: no ring is held back */
	int64_t since_ns;
};

/* Rings for whoever waits for this slot, now or later. The word is the one that DONE has
 * replaced. */
void cadre_held_ring(struct cadre_held *held, const struct cadre_view *view,
		     uint32_t slot, uint64_t word, int64_t ended_ns);

/* Rings now, if there is a ring. Returns how many woke. */
int cadre_held_let_go(struct cadre_held *held, const struct cadre_view *view);

/* The same, and lets the client run before the next job: the kernel would leave the CPU to
 * the worker for a slice, which are thousands of jobs of other clients. */
void cadre_held_give_way(struct cadre_held *held, const struct cadre_view *view);

/* Longer than that nobody is kept waiting: as long as a wake-up takes. */
#define CADRE_HELD_MOST_NS (20 * CADRE_NS_PER_US)

static inline bool cadre_held_is_due(const struct cadre_held *held, int64_t now_ns)
{
	return now_ns - held->since_ns > CADRE_HELD_MOST_NS;
}

#endif
