/*
 * stage.h - a process of its own for a story in which processes die, and the look at what
 * it leaves: in the segment when everything has come to rest, on the machine at the end.
 *
 * The story is a child with one thread, so it may start an embedded pool, and everything
 * that it forks comes back to it when its parents die: when no child is left, no process
 * is. Complaints go to the ledger.
 */
#ifndef STAGE_H
#define STAGE_H

#include <stdint.h>
#include <sys/types.h>

#include "clock.h"
#include "layout.h"
#include "ledger.h"

#include <cadre/pool.h>

/* Name of the story's pool. */
extern char stage_pool[CADRE_NAME_MAX + 1];

/* Opens the ledger and runs the story; it ends by itself or is killed after a minute. NULL
 * when nobody complained and nothing was left behind. */
const char *stage_play(void (*story)(const void *context), const void *context);

/* Forks a client, or whatever else there is to be. It ends with the story, when not before. */
pid_t stage_fork(void (*part)(void *context), void *context);

/* Waits for its end: exit status, or 128 + signal. Complains when it does not come. */
int stage_await_end(pid_t pid);

/* Has it ended? If so, as above. */
bool stage_has_ended(pid_t pid, int *ret_status);

/* True once the process has died, whoever its parent is. */
bool stage_is_gone(pid_t pid);

/* Maps the pool's segment for reading. */
struct cadre_view stage_view(void);

/* At this very moment and under load: every slot's books can stand beside its word, and no
 * bit is set for a worker that is not there. */
void stage_check(const struct cadre_view *view);

/* Waits until every slot is free and booked, every block free, every place of a client
 * vacant or alive, no token in use, and every bit of a worker where a worker is. Complains about the first
 * that does not come to rest. The slots of jobs that nobody waits for come back when their
 * client looks for room: `resident`, unless NULL, calls now and then. */
void stage_await_rest(const struct cadre_view *view, struct ledger_party *resident);

/* Polls `condition` until it holds, and complains with `what` when it never does. */
bool stage_await(bool (*condition)(const void *context), const void *context,
		 const char *what);

#endif
