/*
 * backdrop.h - a pool that is painted: a segment that the test fills by hand, and nobody behind
 * it but, when asked for, a child that holds its lock as a supervisor does, and mends nothing.
 *
 *	static void begin(void) { backdrop_paint(&scene, &limits, &view); }
 *	static void end(void)   { backdrop_remove(&scene, &view); }
 */
#ifndef BACKDROP_H
#define BACKDROP_H

#include "layout.h"
#include "scene.h"

#include <sys/types.h>

/* Begins the scene, and makes a pool for it that is open and has nothing in it. */
void backdrop_paint(struct scene *scene, const struct cadre_limits *limits,
		    struct cadre_view *ret_view);

/* Kills the supervisor, removes all files of the pool, and ends the scene. */
void backdrop_remove(struct scene *scene, struct cadre_view *view);

/* Returns when it holds the lock. One at a time. */
pid_t backdrop_start_supervisor(const struct scene *scene);

/* Its lock's file stays. Nothing happens when there is none. */
void backdrop_kill_supervisor(void);

/* Somebody's process sits there, for a minute already. */
void backdrop_seat(struct cadre_place *place, enum cadre_place_state state,
		   struct cadre_identity who);

/* A process that certainly does not live any more. */
struct cadre_identity backdrop_somebody_dead(void);

/* To be scribbled over the segment. Words of each kind are likely, so that who reads it goes
 * everywhere, and not only to where nothing can be. */
uint64_t backdrop_random_word(unsigned *seed);

#endif
