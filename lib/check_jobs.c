/*
 * check_jobs.c - does somebody look after a job that is in flight? One that runs has its worker,
 * and one that is pending is not slept through.
 */
#include "check.h"
#include "clock.h"

#define PENDING_LONG_NS CADRE_NS_PER_S

/* ---- jobs that run ---- */

static void look_at_owner(struct cadre_check *check, const struct cadre_still *still)
{
	const unsigned worker = still->word.owner - 1;
	const struct cadre_place *const place = &check->view.worker_places[worker];
	const enum cadre_place_state state = cadre_place_state_of(cadre_place_look(place));
	/* Relaxed: the state was read with acquire. */
	const int64_t since_ns = atomic_load_explicit(&place->since_ns,
						      memory_order_relaxed);

	if (state == CADRE_PLACE_DEAD && check->supervisor != 0)
		cadre_check_suspect(
			check, CADRE_RULE_SLOT_OF_DEAD, still->number, CADRE_JOB_OF(still),
			CADRE_SLOT_FORMAT
			": its job runs in worker %u, which is dead, and nobody reaps it",
			CADRE_SLOT_ARGUMENTS(check, still), worker);
	else if (state == CADRE_PLACE_VACANT || state == CADRE_PLACE_STARTING ||
		 state == CADRE_PLACE_WAITING || state == CADRE_PLACE_DISABLED)
		cadre_check_suspect(check, CADRE_RULE_HOMELESS, still->number,
				    CADRE_JOB_OF(still),
				    CADRE_SLOT_FORMAT
				    ": its job runs in worker %u, where nobody sits",
				    CADRE_SLOT_ARGUMENTS(check, still), worker);
	/* A second attempt may, for a moment, show when the first was taken. */
	else if (state == CADRE_PLACE_UP && still->word.attempt == 0 &&
		 still->taken_ns >= still->submitted_ns && still->submitted_ns > 0 &&
		 still->taken_ns < since_ns)
		cadre_check_suspect(
			check, CADRE_RULE_OUTLIVED, still->number, CADRE_JOB_OF(still),
			CADRE_SLOT_FORMAT
			": its job was taken %lld ms before the worker %u that now sits "
			"there was started",
			CADRE_SLOT_ARGUMENTS(check, still),
			(long long)((since_ns - still->taken_ns) / CADRE_NS_PER_MS),
			worker);
}

/* ---- jobs that are pending ---- */

/* The lowest worker that sleeps and may take the job; the number of workers for none. */
static uint32_t find_sleeper(const struct cadre_check *check, struct cadre_word word)
{
	const uint32_t seats = check->view.seat_count;

	for (uint32_t worker = 0; worker < seats; worker++) {
		/* A guest takes nothing but what is aimed at it. */
		if (check->sleeps[worker] && ((word.owner == CADRE_OWNER_NONE &&
					       worker < check->view.limits.workers) ||
					      word.owner == worker + 1))
			return worker;
	}
	return seats;
}

/* Aimed at a worker that is not there: the supervisor ends it. */
static void look_at_target(struct cadre_check *check, const struct cadre_still *still)
{
	const unsigned seat = still->word.owner - 1;
	const enum cadre_place_state state = cadre_place_state_of(
		cadre_place_look(&check->view.worker_places[seat]));

	if (check->supervisor != 0 && state != CADRE_PLACE_STARTING &&
	    state != CADRE_PLACE_UP && state != CADRE_PLACE_DRAINING)
		cadre_check_suspect(
			check, CADRE_RULE_SLOT_OF_DEAD, still->number, CADRE_JOB_OF(still),
			CADRE_SLOT_FORMAT
			": its job waits for worker %u, where nobody sits, and nobody ends it",
			CADRE_SLOT_ARGUMENTS(check, still), seat);
}

static void look_at_pending(struct cadre_check *check, const struct cadre_still *still)
{
	const uint32_t sleeper = find_sleeper(check, still->word);
	const int64_t age_ns = still->submitted_ns > 0 &&
					       still->submitted_ns < check->now_ns ?
				       check->now_ns - still->submitted_ns :
				       0;

	if (still->word.owner != CADRE_OWNER_NONE)
		look_at_target(check, still);
	if (age_ns > PENDING_LONG_NS && sleeper < check->view.seat_count)
		cadre_check_suspect(
			check, CADRE_RULE_WAKE_LOST, still->number, CADRE_JOB_OF(still),
			CADRE_SLOT_FORMAT
			": its job has been pending for %lld ms beside worker %u, which "
			"sleeps and does not get up",
			CADRE_SLOT_ARGUMENTS(check, still),
			(long long)(age_ns / CADRE_NS_PER_MS), sleeper);
}

void cadre_check_job(struct cadre_check *check, const struct cadre_still *still)
{
	if (still->word.phase == CADRE_RUNNING)
		look_at_owner(check, still);
	if (still->word.phase == CADRE_QUEUED)
		look_at_pending(check, still);
}
