/*
 * size.c - how many workers there are: growth when jobs wait and nobody has room, retries
 * of those that died, the end of those that idle or are too many.
 *
 * What there shall be (min, max) stands in the segment and may change while the pool runs.
 * The number of places is another thing: one more than max may ever be, so that a
 * replacement can start before the one that it replaces leaves. Those that are leaving are
 * not counted.
 */
#include "clock.h"
#include "diag.h"
#include "dispatch.h"
#include "supervisor.h"

#include <string.h>

#define OLD_PENDING_NS (10 * CADRE_NS_PER_MS)

static unsigned up_or_starting(const struct cadre_supervisor *supervisor)
{
	const struct cadre_relief *const relief = &supervisor->relief;
	unsigned count = cadre_staff_count(supervisor, CADRE_POST_STARTING) +
			 cadre_staff_count(supervisor, CADRE_POST_UP);

	/* A newcomer and whom it relieves are one. The one on trial is one too many. */
	if (relief->newcomer != CADRE_NOBODY &&
	    (relief->leaver == CADRE_NOBODY ||
	     supervisor->members[relief->leaver].post == CADRE_POST_UP) &&
	    count > 0)
		count--;
	return count;
}

unsigned cadre_size_present(const struct cadre_supervisor *supervisor)
{
	/* A worker that asked not to be started again keeps its place among them: else another
	 * would be started in its stead, which is the same. */
	return up_or_starting(supervisor) +
	       cadre_staff_count(supervisor, CADRE_POST_WAITING) +
	       cadre_staff_count(supervisor, CADRE_POST_DISABLED);
}

void cadre_size_hire(struct cadre_supervisor *supervisor, unsigned wanted)
{
	const int64_t now_ns = cadre_clock_ns();
	const uint32_t version = atomic_load_explicit(&supervisor->view.header->version,
						      memory_order_relaxed);
	unsigned present = cadre_size_present(supervisor);

	if (wanted > supervisor->size.max)
		wanted = supervisor->size.max;
	for (unsigned worker = 0;
	     worker < supervisor->view.limits.workers && present < wanted; worker++) {
		if (supervisor->members[worker].post != CADRE_POST_EMPTY)
			continue;
		cadre_staff_start(supervisor, worker, version, now_ns);
		present++;
	}
}

/* ---- growth ---- */

static void fill_waiting_posts(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	const uint32_t version = atomic_load_explicit(&supervisor->view.header->version,
						      memory_order_relaxed);

	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		const struct cadre_member *const member = &supervisor->members[worker];
		const unsigned there = up_or_starting(supervisor);

		if (member->post != CADRE_POST_WAITING || now_ns < member->retry_ns)
			continue;
		if (there < supervisor->size.min ||
		    (supervisor->survey.for_anyone > 0 && there < supervisor->size.max))
			cadre_staff_start(supervisor, worker, version, now_ns);
		else
			cadre_staff_vacate(supervisor, worker);
	}
}

/* Nobody waits while a worker sleeps; and more workers when nobody has room. */
static void serve_queue(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	const struct cadre_view *const view = &supervisor->view;
	const struct cadre_survey *const survey = &supervisor->survey;
	const unsigned on_their_way = cadre_staff_count(supervisor, CADRE_POST_STARTING);
	const unsigned up = cadre_staff_count(supervisor, CADRE_POST_UP);
	const bool old = now_ns - survey->oldest_queued_ns > OLD_PENDING_NS;
	enum cadre_crew_look look;
	unsigned turn = 0;

	if (survey->for_anyone == 0)
		return;
	/* F2 as well, pairs with F3: we saw a job pending; either we see the bit of whoever is to
	 * find it, or he finds it. */
	atomic_thread_fence(memory_order_seq_cst);
	look = cadre_crew_look(&view->header->crew, view->limits.workers);
	if (cadre_mask_next(&view->header->crew.sleepers, 0, view->limits.workers) <
	    view->limits.workers) {
		if (!old && look != CADRE_CREW_ASLEEP)
			return;
		if (old)
			cadre_count_add(&view->header->counters.jobs_found, 1);
		cadre_dispatch_wake(view, &turn);
		return;
	}
	if (!old && look == CADRE_CREW_LOOKING)
		return;
	if (survey->for_anyone > on_their_way)
		cadre_size_hire(supervisor,
				up + (survey->for_anyone < view->limits.workers ?
					      (unsigned)survey->for_anyone :
					      view->limits.workers));
}

/* ---- shrinking ---- */

/* How long the worker has had nothing to do; -1: it has. */
static int64_t idle_ns(const struct cadre_supervisor *supervisor, unsigned worker,
		       int64_t now_ns)
{
	int64_t since_ns = 0, spent_ns[CADRE_ACTIVITY_COUNT];
	enum cadre_activity activity;

	cadre_stats_times(&supervisor->view.worker_stats[worker], now_ns, &activity,
			  &since_ns, spent_ns);
	if (activity != CADRE_ACTIVITY_IDLE || since_ns < 0 || since_ns > now_ns)
		return -1;
	return now_ns - since_ns;
}

/* A worker of a replacement that is under way. */
static bool is_in_relief(const struct cadre_supervisor *supervisor, unsigned worker)
{
	return supervisor->relief.newcomer == worker ||
	       (supervisor->relief.newcomer != CADRE_NOBODY &&
		supervisor->relief.leaver == worker);
}

static void dismiss_idle(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	unsigned up = cadre_staff_count(supervisor, CADRE_POST_UP);

	if (supervisor->phase != CADRE_SERVING)
		return;
	/* From the end, so that the low places are the busy ones. */
	for (unsigned worker = supervisor->view.limits.workers; worker-- > 0;) {
		if (supervisor->members[worker].post != CADRE_POST_UP ||
		    is_in_relief(supervisor, worker) || up <= supervisor->size.min ||
		    idle_ns(supervisor, worker, now_ns) <
			    supervisor->options.idle_timeout_ns)
			continue;
		cadre_staff_dismiss(supervisor, worker);
		up--;
	}
}

/* Whom the pool would miss least: not there yet, then idle, then the last. */
static unsigned find_superfluous(const struct cadre_supervisor *supervisor, int64_t now_ns)
{
	unsigned found = CADRE_NOBODY, rank_found = 0;

	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		const enum cadre_post post = supervisor->members[worker].post;
		unsigned rank = 0;

		if (post == CADRE_POST_DISABLED || post == CADRE_POST_WAITING)
			rank = 4;
		else if (post == CADRE_POST_STARTING && !is_in_relief(supervisor, worker))
			rank = 3;
		else if (post == CADRE_POST_UP && !is_in_relief(supervisor, worker))
			rank = idle_ns(supervisor, worker, now_ns) >= 0 ? 2 : 1;
		if (rank && rank >= rank_found) {
			found = worker;
			rank_found = rank;
		}
	}
	return found;
}

static void dismiss_superfluous(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	if (supervisor->phase != CADRE_SERVING)
		return;
	for (unsigned present = cadre_size_present(supervisor);
	     present > supervisor->size.max; present--) {
		const unsigned worker = find_superfluous(supervisor, now_ns);

		if (worker == CADRE_NOBODY)
			return;
		if (supervisor->members[worker].child.pidfd < 0)
			cadre_staff_vacate(supervisor, worker);
		else
			cadre_staff_dismiss(supervisor, worker);
	}
}

void cadre_size_tick(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	fill_waiting_posts(supervisor, now_ns);
	if (supervisor->phase == CADRE_SERVING)
		cadre_size_hire(supervisor, supervisor->size.min);
	serve_queue(supervisor, now_ns);
	dismiss_superfluous(supervisor, now_ns);
	dismiss_idle(supervisor, now_ns);
}

/* ---- what others wish ---- */

int cadre_size_set(struct cadre_supervisor *supervisor, struct cadre_size size,
		   struct cadre_diag *diag)
{
	const uint32_t places = supervisor->view.limits.workers;
	const uint32_t most = places < CADRE_WORKERS_MAX && places > 1 ? places - 1 :
									 places;

	if (size.max < 1 || size.min > size.max || size.max > most)
		return cadre_refuse(diag, -EINVAL,
				    "%u..%u workers: must be MIN..MAX with MAX from 1 to %u "
				    "(the pool's workers_limit, or --workers-limit)",
				    size.min, size.max, most);
	cadre_view_set_size(&supervisor->view, size);
	CADRE_KILL_POINT("M1");
	supervisor->size = size;
	if (supervisor->phase == CADRE_SERVING) {
		cadre_size_hire(supervisor, size.min);
		dismiss_superfluous(supervisor, cadre_clock_ns());
	}
	return 0;
}

int cadre_size_stop_idle(struct cadre_supervisor *supervisor, unsigned worker,
			 uint32_t incarnation)
{
	const struct cadre_member *const member = &supervisor->members[worker];

	if (member->post != CADRE_POST_UP || member->incarnation != incarnation)
		return -ESRCH;
	/* It may take a job at this very moment; then it finishes it and leaves. */
	if (is_in_relief(supervisor, worker) ||
	    idle_ns(supervisor, worker, cadre_clock_ns()) < 0)
		return -EBUSY;
	if (cadre_staff_count(supervisor, CADRE_POST_UP) <= supervisor->size.min)
		return -ERANGE;
	cadre_staff_dismiss(supervisor, worker);
	return 0;
}
