#include "dispatch.h"

/* Relaxed: a level that was published for the statistics; any value is a mere hint. */
static uint64_t workload_of(const struct cadre_view *view, unsigned worker)
{
	return cadre_count_read(&view->worker_stats[worker].worker.workload);
}

/* The sleeper of a range with the least workload that is below *least, which it lowers. */
static unsigned find_between(const struct cadre_view *view, unsigned from, unsigned to,
			     uint64_t *least, unsigned found)
{
	const struct cadre_mask *const sleepers = &view->header->crew.sleepers;

	for (unsigned worker = from;
	     (worker = cadre_mask_next(sleepers, worker, to)) < to; worker++) {
		const uint64_t workload = workload_of(view, worker);

		if (workload < *least) {
			*least = workload;
			found = worker;
		}
	}
	return found;
}

bool cadre_dispatch_wake(const struct cadre_view *view, unsigned *turn)
{
	const struct cadre_crew *const crew = &view->header->crew;
	const unsigned workers = view->limits.workers;
	const unsigned from = *turn < workers ? *turn : 0;
	uint64_t least = UINT64_MAX;
	unsigned worker;

	if (view->limits.parallel == 1)
		return cadre_crew_wake(crew, view->worker_bells, workers, turn);
	worker = find_between(view, from, workers, &least, workers);
	worker = find_between(view, 0, from, &least, worker);
	if (worker < workers && cadre_crew_rouse(&view->worker_bells[worker]) > 0) {
		*turn = worker + 1;
		return true;
	}
	return cadre_crew_wake(crew, view->worker_bells, workers, turn);
}

bool cadre_dispatch_find_lighter(const struct cadre_view *view, unsigned self,
				 uint64_t workload, unsigned *ret_asleep)
{
	const struct cadre_crew *const crew = &view->header->crew;
	const unsigned workers = view->limits.workers;
	uint64_t least_asleep = workload, least_looking = workload;

	*ret_asleep = workers;
	for (unsigned worker = 0;
	     (worker = cadre_mask_next(&crew->up, worker, workers)) < workers; worker++) {
		const uint64_t theirs = workload_of(view, worker);

		/* Who is engaged looks for nothing just now. */
		if (worker == self || cadre_mask_has(&crew->engaged, worker))
			continue;
		if (!cadre_mask_has(&crew->sleepers, worker)) {
			least_looking = theirs < least_looking ? theirs : least_looking;
		} else if (theirs < least_asleep) {
			least_asleep = theirs;
			*ret_asleep = worker;
		}
	}
	/* One that looks will find it without being woken. */
	if (least_looking <= least_asleep)
		*ret_asleep = workers;
	return least_asleep < workload || least_looking < workload;
}
