/*
 * segment.h - shared bytes by name: create, map, lock, remove. It has no idea what the
 * bytes mean.
 *
 * A pool NAME is three files in /dev/shm: cadre.NAME (the segment), cadre.NAME.sock (the
 * control socket) and cadre.NAME.lock. Whoever holds the lock is the supervisor. It is a
 * POSIX record lock: a forked child does not inherit it, the kernel names its holder, and
 * it ends with the process in the same instant as the process itself.
 */
#ifndef CADRE_SEGMENT_H
#define CADRE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cadre/error.h>
#include <cadre/pool.h>

#define CADRE_PATH_SIZE 108 /* sizeof(sun_path), the smallest of all limits */

enum cadre_file { CADRE_FILE_SEGMENT, CADRE_FILE_SOCKET, CADRE_FILE_LOCK };

/* 0, or -EINVAL with a sentence. */
int cadre_name_check(const char *pool, struct cadre_diag *diag);

/* The path of one of a pool's files. */
void cadre_path(const char *pool, enum cadre_file file, char path[CADRE_PATH_SIZE]);

/* A mapping of a segment. Each process maps it where it likes. */
struct cadre_segment {
	unsigned char *base;
	size_t size;
};

/* Creates and maps a segment of zeros, every page of it allocated, so that a full /dev/shm
 * is an error here and not a SIGBUS later. -EEXIST, -ENOSPC, -EACCES. */
int cadre_segment_create(const char *pool, size_t size, mode_t mode,
			 struct cadre_segment *ret_segment, struct cadre_diag *diag);

/* Maps an existing segment whole. -ENOENT, -EACCES. */
int cadre_segment_open(const char *pool, bool writable, struct cadre_segment *ret_segment,
		       struct cadre_diag *diag);

void cadre_segment_close(struct cadre_segment *segment);

/* Asks the kernel to map a part now, at one go, and not page by page when somebody waits for
 * what stands there. Where it does not know how (Linux before 5.14) it does that. */
void cadre_segment_map_now(const void *part, size_t size);

/* Removes segment and socket of a pool. Whoever calls it holds the lock. */
void cadre_segment_remove(const char *pool);

struct cadre_lock {
	int fd;
	char path[CADRE_PATH_SIZE];
};

/* Takes the lock without waiting. -EEXIST and the holder's pid when it is held, be it by this
 * process. -EACCES, -ENOSPC. A process holds at most four, and takes them in one thread. */
int cadre_lock_take(const char *pool, mode_t mode, struct cadre_lock *ret_lock,
		    pid_t *ret_holder, struct cadre_diag *diag);

/* Removes the lock file, then lets go. */
void cadre_lock_release(struct cadre_lock *lock);

/* Pid of the supervisor, which may be this process: 0 when nobody holds the lock, -1 when
 * that cannot be seen (the lock is not ours to look at, or its holder sits in another pid
 * namespace). */
pid_t cadre_lock_holder(const char *pool);

/* Calls `visit` with the name of each pool that has a file in /dev/shm, each name once. */
void cadre_each_pool(void (*visit)(const char *pool, void *context), void *context);

#endif
