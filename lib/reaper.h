/*
 * reaper.h - mending what the dead left: scans of slots, in single repeatable steps.
 *
 * The supervisor alone calls these, about processes that a pidfd says are dead. Each may be
 * killed at any line and repeated from the start by a successor: every step looks at the
 * word, moves it by compare-and-swap, and frees last.
 */
#ifndef CADRE_REAPER_H
#define CADRE_REAPER_H

#include "layout.h"

/* How a worker ended; for the result of its job. As struct cadre_result.code. */
struct cadre_obituary {
	int32_t pid;
	int32_t code;
	const char *words; /* why, for people; NULL for nothing */
};

/* Notes in an event the jobs that a worker has. Changes nothing. */
void cadre_reap_list(const struct cadre_view *view, unsigned worker,
		     struct cadre_event *event);

/* D: everything that names this seat, whose place is DEAD: its job is given to another
 * or ends as lost, as does what is aimed at it; sleepers are woken. A request that is
 * refused is kept, and an event says so. The jobs that it had are noted in `event`, as by
 * cadre_reap_list, unless that is NULL: one look for both, as somebody waits. */
void cadre_reap_worker(const struct cadre_view *view, unsigned worker,
		       struct cadre_obituary obituary, struct cadre_event *event);

/* One pass over the window of a client that is dead or has left: frees what has ended,
 * cancels what is pending or running and not detached. Returns how many slots are not
 * FREE yet; at 0 the window may be leased again. */
uint32_t cadre_reap_client(const struct cadre_view *view, unsigned client);

/* What a look through all leased windows saw. */
struct cadre_survey {
	uint64_t queued;
	uint64_t for_anyone; /* of these: those that are not aimed at one worker */
	uint64_t running;
	uint64_t impossible;      /* words that cannot be */
	int64_t oldest_queued_ns; /* submission of the oldest for anyone, INT64_MAX: none */
	int64_t next_deadline_ns;    /* the next deadline (or end of grace) to look at */
	struct cadre_mask overdue;   /* workers past deadline and grace of a job */
	struct cadre_mask condemned; /* workers past the grace of a forced cancellation */
};

/* Ends jobs past their deadline and those aimed at workers that are gone, reminds workers of
 * what has been aimed at them for long, and counts. */
void cadre_survey(const struct cadre_view *view, int64_t now_ns,
		  struct cadre_survey *ret_survey);

/* Wakes every worker and guest that sleeps: for those who died before they did. */
void cadre_wake_sleepers(const struct cadre_view *view);

/* Every job that has not ended, ends as terminated; whoever waits is rung for. */
void cadre_terminate_jobs(const struct cadre_view *view);

/* Every job that has not ended, ends as cancelled; the pool goes on. Returns how many. */
uint32_t cadre_cancel_jobs(const struct cadre_view *view);

/* Rings for everyone who may have missed a ring: after a succession. */
void cadre_ring_everyone(const struct cadre_view *view);

#endif
