/*
 * staff.h - what the files of the staff share: staff.c (posts, hiring, leaving),
 * staff_deaths.c, staff_heirs.c, staff_verdicts.c (those who do not end), staff_adoption.c (succession).
 * What the rest of the supervisor asks of them stands in supervisor.h.
 */
#ifndef CADRE_STAFF_H
#define CADRE_STAFF_H

#include "supervisor.h"

/* ---- staff.c ---- */

struct cadre_place *cadre_staff_place(const struct cadre_supervisor *supervisor,
				      unsigned worker);

/* Moves a place whatever its state is; nobody else moves it but a worker to UP. Its owner
 * is named as long as there may be one. */
void cadre_staff_move_place(struct cadre_place *place, enum cadre_place_state state,
			    uint32_t incarnation);

/* An event about the worker that sits there, for as long as it did. `tell` writes it. */
struct cadre_event cadre_staff_event(const struct cadre_supervisor *supervisor,
				     unsigned worker, enum cadre_event_kind kind);
void cadre_staff_tell(const struct cadre_supervisor *supervisor, unsigned worker,
		      enum cadre_event_kind kind);

/* Closes a descriptor, which may be -1 and is then. */
void cadre_staff_close(int *fd);

/* ---- staff_deaths.c ---- */

/* Rule D, in its order: from whatever its place says to VACANT. */
void cadre_staff_reap(struct cadre_supervisor *supervisor, unsigned worker,
		      enum cadre_event_kind kind, struct cadre_obituary obituary);

/* The pool is not degraded any more when its deaths are long enough ago. */
void cadre_staff_recover(struct cadre_supervisor *supervisor, int64_t now_ns);

/* ---- staff_heirs.c ---- */

/* The heir of the worker that starts there, as that says. */
void cadre_staff_know_heir(struct cadre_member *member, struct cadre_identity heir);

/* Its worker has died: it ends by itself. */
void cadre_staff_leave_heir(struct cadre_member *member);

/* At each tick, those that have ended. */
void cadre_staff_collect_heirs(struct cadre_supervisor *supervisor);

/* At the end: waits for those whose workers died just now, 50 ms at most for all of them. */
void cadre_staff_await_heirs(struct cadre_supervisor *supervisor);

/* ---- staff_verdicts.c ---- */

/* Aborts, then kills those who do not end what they have to; pardons those who did. */
void cadre_staff_judge_all(struct cadre_supervisor *supervisor, int64_t now_ns);

/* When this one is to be killed, INT64_MAX for never. */
int64_t cadre_staff_kill_due_ns(const struct cadre_member *member);

#endif
