#include "whereabouts.h"
#include "process.h"

/* Relaxed, all: a hint. */
static uint32_t cpu_of(const struct cadre_bell *bell)
{
	return atomic_load_explicit(&bell->cpu, memory_order_relaxed);
}

uint32_t cadre_whereabouts_say(struct cadre_bell *bell)
{
	const uint32_t here = cadre_process_cpu();

	if (cpu_of(bell) != here)
		atomic_store_explicit(&bell->cpu, here, memory_order_relaxed);
	return here;
}

bool cadre_whereabouts_may_await(const struct cadre_crew *crew,
				 const struct cadre_bell *bells, unsigned workers,
				 uint32_t here)
{
	bool any_awake = false, any_asleep_here = false;

	for (unsigned worker = 0;
	     here != 0 && (worker = cadre_mask_next(&crew->up, worker, workers)) < workers;
	     worker++) {
		const bool is_here = cpu_of(&bells[worker]) == here;

		if (cadre_mask_has(&crew->sleepers, worker))
			any_asleep_here |= is_here;
		else if (is_here)
			return false;
		else
			any_awake = true;
	}
	return any_awake || !any_asleep_here;
}

bool cadre_whereabouts_any_here(const struct cadre_mask *owners,
				const struct cadre_bell *bells, unsigned count,
				uint32_t here)
{
	for (unsigned owner = 0;
	     here != 0 && (owner = cadre_mask_next(owners, owner, count)) < count;
	     owner++) {
		if (cpu_of(&bells[owner]) == here)
			return true;
	}
	return false;
}

bool cadre_whereabouts_worker_here(const struct cadre_crew *crew,
				   const struct cadre_bell *bells, unsigned self,
				   uint32_t here)
{
	for (unsigned worker = 0;
	     here != 0 && (worker = cadre_mask_next(&crew->up, worker, self)) < self;
	     worker++) {
		if (!cadre_mask_has(&crew->sleepers, worker) &&
		    cpu_of(&bells[worker]) == here)
			return true;
	}
	return false;
}
