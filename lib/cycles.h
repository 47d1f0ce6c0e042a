/*
 * cycles.h - CLOCK_MONOTONIC by the CPU's own counter, for who asks several times per job.
 *
 * The kernel's clock takes 24 ns here, and waits for every load before it; the counter 10 ns
 * (lib/README.md, "What a job costs"). So a thread keeps an anchor, a count and the kernel's time
 * at it, and adds what the counter says has passed since. After five milliseconds it asks the
 * kernel again, by code that no cache has any more: more often, and it is the slowest of a
 * thousand jobs that pays. In between it may be off by some 100 ns, by 2.5 us while the kernel
 * slews its clock. It goes back only when the counter did not go as the kernel's clock did.
 *
 * Only where the kernel itself trusts the counter (its clock source is `tsc`: constant, and
 * the same on all CPUs).
 */
#ifndef CADRE_CYCLES_H
#define CADRE_CYCLES_H

#include <stdbool.h>
#include <stdint.h>

/* Zeros: asks the kernel first of all. */
struct cadre_anchor {
	uint64_t cycles;
	int64_t ns;
	uint64_t rate;  /* ns per cycle, times 2^32; 0: not known yet */
	uint64_t valid; /* for so many cycles from the anchor on */
	/* Where the rate is measured from. */
	uint64_t base_cycles;
	int64_t base_ns;
};

/* The counter; 0 where there is none. Nobody may rely on its order among the loads around it: a
 * time stamp is no fence, although some CPUs (AMD) let all earlier loads end first. */
static inline uint64_t cadre_cycles_now(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

/* Whether the kernel trusts it. Asks once per process. */
bool cadre_cycles_are_trusted(void);

/* True while the anchor tells the time of that count. */
static inline bool cadre_anchor_tells(const struct cadre_anchor *anchor, uint64_t cycles)
{
	return cycles - anchor->cycles < anchor->valid;
}

static inline int64_t cadre_anchor_ns(const struct cadre_anchor *anchor, uint64_t cycles)
{
	/* At most five milliseconds: the product fits. */
	return anchor->ns + (int64_t)(((cycles - anchor->cycles) * anchor->rate) >> 32);
}

/* Moves the anchor to a moment that was read from both clocks. A counter that did not go as the
 * kernel's clock did (the machine slept, or moved to another host) begins anew. */
void cadre_anchor_move(struct cadre_anchor *anchor, uint64_t cycles, int64_t ns);

#endif
