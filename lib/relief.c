/*
 * relief.c - replacing workers that live: the newcomer first, then the other leaves.
 *
 *   due                          the newcomer              what follows
 *   ---------------------------  ------------------------  ----------------------------------
 *   jobs, age, memory            is up                     the leaver is dismissed: it
 *   (recycling)                                            finishes what it has, and leaves
 *                                dies before that          the leaver stays; later again
 *   version (reload.c)           likewise                  likewise
 *   nobody: a version on trial   is up, or dies            reload.c is told
 *
 * One at a time, in the spare place: so there is never one worker too few, and at most one
 * too many. A supervisor that dies in between leaves a newcomer that is STARTING, which its
 * successor reaps, or one that is UP: then there is one too many, and size.c lets the one
 * leave that is missed least.
 */
#include "clock.h"
#include "supervisor.h"

#define MEMORY_EVERY_NS CADRE_NS_PER_S

static const char *const reasons[] = {
	[CADRE_RELIEF_NONE] = "",
	[CADRE_RELIEF_JOBS] = "has done its number of jobs",
	[CADRE_RELIEF_AGE] = "has reached its age",
	[CADRE_RELIEF_MEMORY] = "has grown too large",
	[CADRE_RELIEF_RELOAD] = "runs an old version",
};

void cadre_relief_init(struct cadre_supervisor *supervisor)
{
	supervisor->relief = (struct cadre_relief){ .newcomer = CADRE_NOBODY,
						    .leaver = CADRE_NOBODY };
}

bool cadre_relief_is_newcomer(const struct cadre_supervisor *supervisor, unsigned worker)
{
	return supervisor->relief.newcomer == worker &&
	       supervisor->members[worker].post == CADRE_POST_STARTING;
}

/* ---- who is due? ---- */

static bool is_too_large(const struct cadre_supervisor *supervisor,
			 struct cadre_member *member, int64_t now_ns)
{
	uint64_t bytes;

	if (supervisor->options.max_rss == 0 || now_ns < member->memory_due_ns)
		return false;
	member->memory_due_ns = now_ns + MEMORY_EVERY_NS;
	bytes = cadre_process_memory(member->child.pid);
	/* Looked at afterwards: as long as it lives, its pid is its own. */
	return bytes > supervisor->options.max_rss &&
	       !cadre_process_is_dead(member->child.pidfd);
}

static enum cadre_relief_reason is_due(const struct cadre_supervisor *supervisor,
				       unsigned worker, int64_t now_ns)
{
	const struct cadre_pool_options *const options = &supervisor->options;
	const struct cadre_place_stats *const stats = &supervisor->view.worker_stats[worker];
	struct cadre_member *const member = &supervisor->members[worker];

	if (member->post != CADRE_POST_UP)
		return CADRE_RELIEF_NONE;
	if (supervisor->reload.step == CADRE_RELOAD_REPLACING &&
	    member->version != supervisor->reload.version)
		return CADRE_RELIEF_RELOAD;
	if (options->max_jobs &&
	    cadre_count_read(&stats->worker.jobs_taken) - member->jobs_before >=
		    options->max_jobs)
		return CADRE_RELIEF_JOBS;
	if (options->max_age_ns && now_ns - member->started_ns >= options->max_age_ns)
		return CADRE_RELIEF_AGE;
	if (is_too_large(supervisor, member, now_ns))
		return CADRE_RELIEF_MEMORY;
	return CADRE_RELIEF_NONE;
}

static void count(struct cadre_supervisor *supervisor, unsigned worker,
		  enum cadre_relief_reason reason)
{
	struct cadre_place_counters *const counters =
		&supervisor->view.worker_stats[worker].place;

	switch (reason) {
	case CADRE_RELIEF_JOBS:
		cadre_count_add(&counters->recycled_jobs, 1);
		break;
	case CADRE_RELIEF_AGE:
		cadre_count_add(&counters->recycled_age, 1);
		break;
	case CADRE_RELIEF_MEMORY:
		cadre_count_add(&counters->recycled_memory, 1);
		break;
	case CADRE_RELIEF_RELOAD:
		cadre_count_add(&counters->reloaded, 1);
		break;
	case CADRE_RELIEF_NONE:
		break;
	}
}

/* ---- one replacement ---- */

static unsigned find_spare(const struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		if (supervisor->members[worker].post == CADRE_POST_EMPTY)
			return worker;
	}
	return CADRE_NOBODY;
}

void cadre_relief_dismiss(struct cadre_supervisor *supervisor, unsigned leaver,
			  enum cadre_relief_reason reason)
{
	const struct cadre_member *const member = &supervisor->members[leaver];

	cadre_supervisor_say(supervisor, "worker %u (pid %d) %s and is replaced", leaver,
			     (int)member->child.pid, reasons[reason]);
	count(supervisor, leaver, reason);
	cadre_staff_dismiss(supervisor, leaver);
}

static void begin(struct cadre_supervisor *supervisor, unsigned leaver,
		  enum cadre_relief_reason reason, uint32_t version, int64_t now_ns)
{
	struct cadre_relief *const relief = &supervisor->relief;
	const unsigned newcomer = find_spare(supervisor);

	if (newcomer == CADRE_NOBODY) {
		/* A pool of CADRE_WORKERS_MAX has no place to spare, so this one leaves first.
		 * Any other has one as soon as the worker before has left. */
		if (supervisor->view.limits.workers == CADRE_WORKERS_MAX &&
		    cadre_staff_count(supervisor, CADRE_POST_LEAVING) == 0)
			cadre_relief_dismiss(supervisor, leaver, reason);
		return;
	}
	relief->newcomer = newcomer;
	relief->leaver = leaver;
	relief->leaver_incarnation = leaver == CADRE_NOBODY ?
					     0 :
					     supervisor->members[leaver].incarnation;
	relief->reason = reason;
	cadre_staff_start(supervisor, newcomer, version, now_ns);
	CADRE_KILL_POINT("U1");
}

int cadre_relief_try(struct cadre_supervisor *supervisor, uint32_t version, int64_t now_ns)
{
	if (supervisor->relief.newcomer != CADRE_NOBODY)
		return -EBUSY;
	if (find_spare(supervisor) == CADRE_NOBODY)
		return -ENOSPC;
	begin(supervisor, CADRE_NOBODY, CADRE_RELIEF_NONE, version, now_ns);
	return 0;
}

static void arrived(struct cadre_supervisor *supervisor, const struct cadre_relief *relief)
{
	const struct cadre_member *leaver;

	CADRE_KILL_POINT("U3");
	if (relief->leaver == CADRE_NOBODY) {
		cadre_reload_tried(supervisor, true, "");
		return;
	}
	leaver = &supervisor->members[relief->leaver];
	/* It may have died by itself; whoever waits there then is one too many. */
	if (leaver->post == CADRE_POST_UP &&
	    leaver->incarnation == relief->leaver_incarnation)
		cadre_relief_dismiss(supervisor, relief->leaver, relief->reason);
}

static void failed(struct cadre_supervisor *supervisor, const struct cadre_relief *relief,
		   int64_t now_ns)
{
	const char *const words = supervisor->members[relief->newcomer].last_words;
	const char *const why = words[0] ? words : "it died at once";
	int64_t wait_ns;

	if (relief->leaver == CADRE_NOBODY) {
		cadre_reload_tried(supervisor, false, why);
		return;
	}
	supervisor->relief.failures++;
	wait_ns = cadre_staff_backoff_ns(supervisor, supervisor->relief.failures);
	supervisor->relief.retry_ns = now_ns + wait_ns;
	cadre_supervisor_say(supervisor,
			     "the replacement of worker %u did not start: %s; it stays, and "
			     "is replaced in %lld ms",
			     relief->leaver, why, (long long)(wait_ns / CADRE_NS_PER_MS));
	if (relief->reason == CADRE_RELIEF_RELOAD)
		cadre_reload_tried(supervisor, false, why);
}

void cadre_relief_step(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	const struct cadre_relief relief = supervisor->relief;
	enum cadre_post post;

	if (relief.newcomer == CADRE_NOBODY)
		return;
	post = supervisor->members[relief.newcomer].post;
	if (post == CADRE_POST_STARTING)
		return;
	supervisor->relief.newcomer = CADRE_NOBODY;
	if (post == CADRE_POST_UP) {
		supervisor->relief.failures = 0;
		arrived(supervisor, &relief);
	} else {
		failed(supervisor, &relief, now_ns);
	}
}

void cadre_relief_tick(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	const uint32_t version = atomic_load_explicit(&supervisor->view.header->version,
						      memory_order_relaxed);

	if (supervisor->phase != CADRE_SERVING ||
	    supervisor->relief.newcomer != CADRE_NOBODY ||
	    supervisor->reload.step == CADRE_RELOAD_TRYING ||
	    now_ns < supervisor->relief.retry_ns)
		return;
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		const enum cadre_relief_reason reason = is_due(supervisor, worker, now_ns);

		if (reason == CADRE_RELIEF_NONE)
			continue;
		begin(supervisor, worker, reason, version, now_ns);
		return;
	}
}
