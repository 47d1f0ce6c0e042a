/*
 * check.h - do the books of a pool balance?
 *
 * A check maps the segment read-only and asks nobody, so it works on a living, a stopped
 * and a dead pool alike. What it finds on a living one it looks at again, until it can no
 * longer be the middle of somebody's step; a pool without findings is told so after the
 * first look.
 */
#ifndef CADRE_CHECK_H
#define CADRE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/error.h>
#include <cadre/pool.h>

CADRE_BEGIN_DECLS

/* What the last look counted, over all windows and all clients that ever had them. Slots
 * that did not stand still for a moment, or whose phase cannot be, are left out of the
 * jobs. */
struct cadre_balance {
	uint32_t slots;
	uint64_t accepted;  /* jobs; withdrawn ones never were */
	uint64_t ended;     /* jobs, the sum of the first seven outcomes */
	uint64_t in_flight; /* jobs pending or running */
	uint64_t jobs[CADRE_OUTCOME_COUNT]; /* by outcome; and withdrawn ones */
	uint32_t blocks;
	uint32_t blocks_used;
	bool alive; /* somebody holds the supervisor's lock, or that cannot be seen */
};

/* Calls `finding`, unless it is NULL, with a sentence for each thing that does not balance,
 * and returns how many there were; at most 256 are told one by one, and one sentence says
 * that there are more. What only waits for the next supervisor of a dead pool is no finding.
 * Blocks for two to three seconds when there is something to look at again. For any thread,
 * but not in the supervisor's own process (in a notice of cadre_serve): the look at its lock
 * would undo that. Errors are those of cadre_report_open, and -ENOMEM. */
CADRE_API int cadre_check(const char *pool, cadre_notice_fn *finding, void *context,
			  struct cadre_diag *diag);

/* The same, and the sums. */
CADRE_API int cadre_check_balance(const char *pool, struct cadre_balance *ret_balance,
				  cadre_notice_fn *finding, void *context,
				  struct cadre_diag *diag);

CADRE_END_DECLS
#endif
