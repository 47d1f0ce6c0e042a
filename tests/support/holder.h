/*
 * holder.h - a child that holds a pool's lock, as its supervisor does, and does nothing else:
 * for tests that write a segment by hand and want it to be taken for that of a living pool.
 */
#ifndef HOLDER_H
#define HOLDER_H

#include <sys/types.h>

/* Returns when it holds the lock. It lives until it is killed (child_kill), and leaves the
 * lock's file behind. */
pid_t holder_start(const char *pool);

#endif
