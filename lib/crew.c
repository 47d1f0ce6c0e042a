#include "crew.h"

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

/* Rings the sleepers of a range until one wakes. */
static bool wake_between(const struct cadre_crew *crew, struct cadre_bell *bells,
			 unsigned from, unsigned to, unsigned *turn)
{
	for (unsigned worker = from;
	     (worker = cadre_mask_next(&crew->sleepers, worker, to)) < to; worker++) {
		if (cadre_bell_ring(&bells[worker], CADRE_BELL_DISPATCHER, 1) > 0) {
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
		woken += cadre_bell_ring(&bells[worker], CADRE_BELL_DISPATCHER, 1);
	return woken;
}

void cadre_crew_forget(struct cadre_crew *crew, unsigned worker)
{
	cadre_mask_clear(&crew->up, worker);
	cadre_mask_clear(&crew->engaged, worker);
	cadre_mask_clear(&crew->sleepers, worker);
}
