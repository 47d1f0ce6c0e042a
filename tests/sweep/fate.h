/*
 * fate.h - what has to become of every job, told from one image of the segment, and
 * whether it did.
 *
 * Nothing here asks how the library recovers. A job whose word reached QUEUED is
 * accepted: it has to end once, as its word and the living and the dead permit, and to
 * be booked so. A slot that is FREE in the image stays untouched; one that is FILLING
 * is booked withdrawn.
 */
#ifndef FATE_H
#define FATE_H

#include "operations.h"
#include "world.h"

struct fate {
	uint64_t generation;
	uint64_t ended[CADRE_OUTCOME_COUNT]; /* the books, as they stand */
	bool booked;                         /* nothing more is to be booked */
	bool open; /* a living client may go on with this slot: only balance counts */
	unsigned outcomes;              /* bits: how the job may end */
	uint32_t runs_least, runs_most; /* handlers that start from here on */
	uint32_t attempts;              /* bits: as which attempt */
};

struct fates {
	struct fate slots[WORLD_SLOTS_ALL];
	uint32_t worker_rings[WORLD_WORKERS]; /* as they stand */
	uint32_t client_rings[WORLD_CLIENTS];
};

/* Who is away, is dead. `frozen`: the subject lives and goes on; others act before it.
 * Runs are counted from here on. */
struct fates fates_tell(const struct operation *operation, bool frozen);

/* Every word and its books can stand side by side, whatever happens next. */
void fates_check_image(void);

/* Between two images: generations and books only grow, by one at a time. */
void fates_check_step(const struct fates *before);

/* After recovery, and before anybody else acted: nobody waits for the dead, everybody
 * was rung for whom there is something to do. */
void fates_check_recovery(const struct fates *fates, bool supervisor_died);

/* After a tick of the supervisor: no job is pending beside somebody who sleeps. */
void fates_check_sleepers(const struct fates *fates);

/* After all who live came to their end. */
void fates_check_end(const struct fates *fates);

/* Nothing is in use, and nobody is left in the places of the dead. */
void fates_check_rest(void);

#endif
