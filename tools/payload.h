/*
 * payload.h - the content of a descriptor as the payload of a job, read in place: straight
 * into the memory where the worker will find it.
 *
 * A regular file gets a draft of its size. Of anything else the size is known at the end
 * only, so its first piece is read into memory of ours, and room for the longest payload
 * is taken when there is more. What a file gains while it is read is left out.
 */
#ifndef CADRE_PAYLOAD_H
#define CADRE_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include <cadre/client.h>

#define CADRE_PAYLOAD_PIECE (64u * 1024)

struct cadre_payload {
	int fd;
	size_t size; /* of a regular file; SIZE_MAX: not known */
	size_t piece_length;
	bool piece_read;
	struct cadre_draft draft;
	char piece[CADRE_PAYLOAD_PIECE];
};

/* Looks at what is behind the descriptor, which stays the caller's. */
void cadre_payload_open(struct cadre_payload *payload, int fd);

/* Reads to the end and returns 0 with a draft that holds *ret_length bytes.
 *
 *   -EAGAIN, -ENOBUFS   no room just now; call again, nothing was lost
 *   -EMSGSIZE           longer than the pool takes
 *   other               cannot be read, or as cadre_try_draft
 *
 * Blocks as long as the descriptor does. */
int cadre_payload_load(struct cadre_payload *payload, struct cadre_client *client,
		       struct cadre_draft *ret_draft, size_t *ret_length);

#endif
