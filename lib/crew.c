#include "crew.h"
#include "clock.h"

/* Who has been rung for longer ago than this may be stopped, or have no CPU. */
#define ROUSED_MOST_NS CADRE_NS_PER_MS

enum cadre_crew_look cadre_crew_look(const struct cadre_crew *crew, unsigned workers)
{
	uint64_t asleep = 0;

	for (unsigned word = 0; word * 64 < workers; word++) {
		const uint64_t sleepers = cadre_mask_word(&crew->sleepers, word);
		const uint64_t engaged = cadre_mask_word(&crew->engaged, word);

		if (cadre_mask_word(&crew->up, word) & ~sleepers & ~engaged)
			return CADRE_CREW_LOOKING;
		asleep |= sleepers;
	}
	return asleep ? CADRE_CREW_ASLEEP : CADRE_CREW_ENGAGED;
}

static bool is_roused(const struct cadre_bell *bell, int64_t now_ns)
{
	/* Relaxed, all: behind F2, which is what counts (crew.h). A ring may be a little later
	 * than the caller's clock; what is not near it was not written by a clock. */
	const int64_t roused_ns = atomic_load_explicit(&bell->roused_ns,
						       memory_order_relaxed);

	return atomic_load_explicit(&bell->roused, memory_order_relaxed) ==
		       atomic_load_explicit(&bell->naps, memory_order_relaxed) &&
	       roused_ns > now_ns - ROUSED_MOST_NS && roused_ns < now_ns + ROUSED_MOST_NS;
}

unsigned cadre_crew_roused(const struct cadre_crew *crew, const struct cadre_bell *bells,
			   unsigned workers, int64_t now_ns)
{
	unsigned roused = 0;

	for (unsigned worker = 0;
	     (worker = cadre_mask_next(&crew->sleepers, worker, workers)) < workers;
	     worker++)
		roused += is_roused(&bells[worker], now_ns);
	return roused;
}

int cadre_crew_rouse(struct cadre_bell *bell)
{
	/* Relaxed: L2 is a release, so this comes before it. */
	const uint32_t nap = atomic_load_explicit(&bell->naps, memory_order_relaxed);
	const int woken = cadre_bell_ring(bell, CADRE_BELL_DISPATCHER, 1);

	/* The time first: an old nap with a new time means nothing. Relaxed: a hint; behind the
	 * wake, so that nobody is said to be roused by who dies before it. */
	atomic_store_explicit(&bell->roused_ns, cadre_clock_ns(), memory_order_relaxed);
	atomic_store_explicit(&bell->roused, nap, memory_order_relaxed);
	return woken;
}

/* Rings the sleepers of a range until one wakes. */
static bool wake_between(const struct cadre_crew *crew, struct cadre_bell *bells,
			 unsigned from, unsigned to, unsigned *turn)
{
	for (unsigned worker = from;
	     (worker = cadre_mask_next(&crew->sleepers, worker, to)) < to; worker++) {
		if (cadre_crew_rouse(&bells[worker]) > 0) {
			*turn = worker + 1;
			return true;
		}
	}
	return false;
}

bool cadre_crew_wake(const struct cadre_crew *crew, struct cadre_bell *bells,
		     unsigned workers, unsigned *turn)
{
	const unsigned from = *turn < workers ? *turn : 0;

	/* Once around, so that a sleeper that does not wake costs one ring. */
	return wake_between(crew, bells, from, workers, turn) ||
	       wake_between(crew, bells, 0, from, turn);
}

int cadre_crew_wake_all(const struct cadre_crew *crew, struct cadre_bell *bells,
			unsigned workers)
{
	int woken = 0;

	for (unsigned worker = 0;
	     (worker = cadre_mask_next(&crew->sleepers, worker, workers)) < workers;
	     worker++)
		woken += cadre_crew_rouse(&bells[worker]);
	return woken;
}

void cadre_crew_forget(struct cadre_crew *crew, unsigned worker)
{
	cadre_mask_clear(&crew->up, worker);
	cadre_mask_clear(&crew->engaged, worker);
	cadre_mask_clear(&crew->sleepers, worker);
}
