/*
 * spawn.h - forking a worker: what the child sheds, and where its handlers come from.
 */
#ifndef CADRE_SPAWN_H
#define CADRE_SPAWN_H

#include <signal.h>

#include <cadre/pool.h>

#include "worker.h"

/* A child that was forked. */
struct cadre_child {
	pid_t pid;
	uint64_t start_time;
	int pidfd;
	int start_fd; /* where it says how its start goes */
};

/* Forks a worker for a seat of the pool. seat->start_fd is ignored. */
int cadre_spawn_worker(const struct cadre_source *source, const struct cadre_view *view,
		       const struct cadre_seat *seat, struct cadre_child *ret_child);

/* Forks a child that only tells which operations the source has. */
int cadre_spawn_probe(const struct cadre_source *source, const char *pool,
		      struct cadre_child *ret_child);

/* Closes every descriptor from 3 on but `kept`, which becomes 3. Returns 3. */
int cadre_spawn_shed_descriptors(int kept);

/* Every signal does what it does by default, but those that are ignored; none is blocked. */
void cadre_spawn_shed_signals(const int *ignored, size_t count);

/* How a child ended, in words: "was killed by SIGSEGV". */
void cadre_spawn_say_end(const siginfo_t *end, char *text, size_t size);

#endif
