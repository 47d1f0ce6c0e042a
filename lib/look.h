/*
 * look.h - how a worker finds a job: along the hints while it is awake, through every slot
 * before it sleeps.
 *
 * Windows are served in turn, at most so many jobs from one before the next, so clients
 * are treated alike. Nothing here is a queue: what is found must still be claimed.
 */
#ifndef CADRE_LOOK_H
#define CADRE_LOOK_H

#include "layout.h"

/* Private to a worker's dispatching thread. */
struct cadre_looker {
	const struct cadre_view *view;
	unsigned owner;               /* worker + 1 */
	unsigned window;              /* whose turn it is */
	unsigned in_a_row;            /* jobs taken from it since it is its turn */
	unsigned crew_turn;           /* whom to wake next */
	struct cadre_cursor *cursors; /* one per window */
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

int cadre_looker_init(struct cadre_looker *looker, const struct cadre_view *view,
		      unsigned worker);
void cadre_looker_fini(struct cadre_looker *looker);

/* W1, W2: looks along the hints and claims. A few loads when there is nothing. */
bool cadre_look_along_hints(struct cadre_looker *looker, struct cadre_found *ret_found);

/* The same through every slot of every leased window: what no hint points to is found, and
 * the hints are made to point to it. */
bool cadre_look_everywhere(struct cadre_looker *looker, struct cadre_found *ret_found);

/* Is any job pending anywhere? Claims nothing. */
bool cadre_look_for_more(const struct cadre_looker *looker);

/* Found dry for a while: clears the active bits of all windows, and tells the others how far
 * we are. cadre_look_everywhere must follow. */
void cadre_look_settle(struct cadre_looker *looker);

#endif
