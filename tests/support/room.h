/*
 * room.h - a /dev/shm of one's own, as small as one likes.
 */
#ifndef ROOM_H
#define ROOM_H

/* Gives the calling process, which should be a child, a mount namespace with an empty
 * tmpfs on /dev/shm; options as for mount(8), such as "size=1m". 0, or -EPERM where that
 * is not permitted. */
int room_make(const char *options);

/* The reason to give when room_make was not permitted. */
#define ROOM_SKIPPED "a mount namespace of one's own is not permitted here"

#endif
