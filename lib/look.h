/*
 * look.h - how a worker finds a job: along the hints while it is awake, through every slot
 * before it sleeps.
 *
 * Windows are served in turn, at most so many jobs from one before the next, so clients
 * are treated alike. Nothing here is a queue: what is found must still be claimed.
 *
 * Jobs aimed at this worker are found along hints of their own: a mask of the windows that
 * may hold some, and a private cursor in each, which nobody else's progress moves. They
 * have a turn after every so many jobs for anyone, and whenever there are none:
 *
 *     client (publish)                      target (settle, before it sleeps)
 *     word = QUEUED, aimed      (S3)        aims &= ~window          (A2)
 *     F2 full fence                         sleepers |= me           (K1)
 *     if not there: aims |= window (A1)     F3 full fence
 *     if (sleepers & target) ring           look through all windows
 *
 * A client that saw its window in the mask saw it before A2, so that the look behind F3
 * sees its job; one that saw no sleeper left its job to the same look.
 */
#ifndef CADRE_LOOK_H
#define CADRE_LOOK_H

#include "layout.h"
#include "rhythm.h"

/* Private to a worker's dispatching thread. */
struct cadre_looker {
	const struct cadre_view *view;
	unsigned owner;    /* seat + 1 */
	unsigned others;   /* owner of jobs that it takes as well: CADRE_OWNER_NONE,
	                               * or its own, when it takes only what is aimed at it */
	unsigned window;   /* whose turn it is */
	unsigned in_a_row; /* jobs taken from it since it is its turn */
	bool waited;       /* its last job was not there at once */
	struct cadre_rhythm rhythm;   /* of a client whose jobs never are */
	unsigned crew_turn;           /* whom to wake next */
	uint64_t seen_tail;           /* of that window, by the last look at its hints */
	struct cadre_cursor *cursors; /* one per window */
	struct cadre_cursor *aimed_cursors; /* likewise, for what is aimed at it */
	unsigned since_aimed;               /* jobs for anyone since a look at those */
	unsigned aimed_window;              /* whose turn it is then */
	/* parallel > 1: see dispatch.h */
	uint32_t burden; /* our workload; above 0 a fresh job is left to a lighter worker */
	bool left;       /* by the last look along the hints */
	uint32_t left_slot;
	uint64_t left_word;
	int64_t left_until_ns; /* then it is taken all the same */
};

/* A job that was claimed. */
struct cadre_found {
	uint32_t slot;    /* number in the segment */
	uint64_t claimed; /* its word */
};

/* For the seat of a worker, or of a guest, which takes only what is aimed at it. */
int cadre_looker_init(struct cadre_looker *looker, const struct cadre_view *view,
		      unsigned seat);
void cadre_looker_fini(struct cadre_looker *looker);

/* From now on takes only what is aimed at it. */
static inline void cadre_looker_narrow(struct cadre_looker *looker)
{
	looker->others = looker->owner;
}

/* W1, W2: looks along the hints and claims. A few loads when there is nothing. */
bool cadre_look_along_hints(struct cadre_looker *looker, struct cadre_found *ret_found);

/* The slot behind the one claimed last, while that window has its turn: without a look at any
 * hint, whose lines its client writes all the time. cadre_look_along_hints begins with it. */
bool cadre_look_next_door(struct cadre_looker *looker, struct cadre_found *ret_found);

/* The same behind a job that came after the one before was over: its client has one out at a
 * time, and gets a moment to bring the next. */
bool cadre_look_in_rhythm(struct cadre_looker *looker, struct cadre_found *ret_found);

/* The same through every slot of every leased window: what no hint points to is found, and
 * the hints are made to point to it. */
bool cadre_look_everywhere(struct cadre_looker *looker, struct cadre_found *ret_found);

/* Has this window nothing for us, as far as its hints tell? */
bool cadre_look_is_dry(const struct cadre_looker *looker, unsigned window);

/* Is a job pending anywhere that any worker may take? Claims nothing. */
bool cadre_look_for_more(const struct cadre_looker *looker);

/* Found dry for a while: clears the active bits of all windows and its own aims, and tells
 * the others how far we are. cadre_look_everywhere must follow. */
void cadre_look_settle(struct cadre_looker *looker);

#endif
