/*
 * notice.h - what the end of a token means for the jobs that name it, and for those who
 * listen: decide, ring, and in the end give the token's place back.
 *
 * Everybody of a pool does this for everybody: the client that cancels, the worker that takes
 * a job or whose handler looks, the client that waits, the supervisor at its tick. Each step
 * is a CAS, so doing it twice is the same as once, and what one who died left undone is done
 * by the next look. The orderings are drawn in token.h.
 */
#ifndef CADRE_NOTICE_H
#define CADRE_NOTICE_H

#include "layout.h"

/* The name of a token of this very segment, for other processes; and back: its id, or 0 when it
 * is of another segment. */
struct cadre_token_name cadre_view_token_name(const struct cadre_view *view,
					      uint64_t token);
uint64_t cadre_view_token_of(const struct cadre_view *view,
			     const struct cadre_token_name *name);

/* What the token is now. The first to see its end tells everybody of it. */
struct cadre_token_view cadre_notice_look(const struct cadre_view *view, uint64_t token,
					  int64_t now_ns);

/* One look at the token of a job of that generation, which is pending or runs: when the token
 * has ended, or is gone, so does the job, and whoever waits for it is told. Returns whether
 * the token had ended; else *due_ns is brought forward to when it will. */
bool cadre_notice_job(const struct cadre_view *view, uint32_t slot, uint64_t generation,
		      uint64_t token, int64_t now_ns, int64_t *due_ns);

/* A worker has taken a job with this token: starts what clocks have not started, and wakes
 * those who sleep for other jobs with it, whose time is bounded from now on. */
void cadre_notice_start(const struct cadre_view *view, uint64_t token, int64_t now_ns);

/* A token has ended, or was released: decides every job whose token has ended, and rings for
 * clients that listen. */
void cadre_notice_spread(const struct cadre_view *view, int64_t now_ns);

/* Behind a fence: rings for clients that listen to tokens. */
void cadre_notice_ring_listeners(const struct cadre_view *view);

/* Gives back the cells of tokens that were released and that no job and no composite names.
 * Returns how many. */
uint32_t cadre_notice_collect(const struct cadre_view *view);

#endif
