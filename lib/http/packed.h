/*
 * packed.h - requests and responses as the payload of a job.
 *
 *	request:  fixed | fields, 16 bytes each | text | body, when it is short
 *	response: fixed | lines of the head     | body, when it is whole
 *
 * The bytes lie in shared memory, where others may write: who unpacks copies the head into
 * memory of its own, then checks it, and follows only what it has checked. A body is read in
 * place, within the length that came with the job.
 *
 * A body that is longer than what a job should carry comes through a pipe, whose reading end
 * is the job's descriptor; its end is where the announced length is reached, or, without
 * one, where the pipe ends and the job has not been cancelled.
 */
#ifndef CADRE_HTTP_PACKED_H
#define CADRE_HTTP_PACKED_H

#include "head.h"

#define CADRE_HTTP_TEXT_MAX (128u * 1024) /* of a packed head, whatever it says itself */

/* How many bytes a head takes when packed with that peer. */
size_t cadre_http_packed_size(const struct cadre_http_head *head, const char *peer);

/* Packs head, text and peer into `data`, which has room for them, and returns where a body
 * is to follow. */
char *cadre_http_pack_request(const struct cadre_http_head *head, const char *text,
			      const char *peer, void *data);

/* Says of a packed request that its body comes through the job's descriptor. */
void cadre_http_pack_by_pipe(void *data);

/* A request that was unpacked. */
struct cadre_http_unpacked {
	struct cadre_http_head head;
	char *text; /* to be freed */
	const char *body;
	size_t body_length;
	bool by_pipe;
};

/* 0, -EBADMSG (not a packed request), -ENOMEM. */
int cadre_http_unpack_request(const void *data, size_t length,
			      struct cadre_http_unpacked *ret_request);

/* The fixed part of a response. */
struct cadre_http_packed_response {
	uint32_t magic;
	uint16_t status;
	uint16_t flags;
	uint32_t lines_length; /* the fields, "Name: value\r\n" each */
	uint32_t reserved;
	uint64_t body_length; /* whole or announced; unknown: sent in chunks */
};

#define CADRE_HTTP_RESPONSE_MAGIC 0x31525043u /* "CPR1" */

enum {
	CADRE_HTTP_RESPONSE_WHOLE = 1u << 0, /* the body follows; else items carry it */
	CADRE_HTTP_RESPONSE_CLOSE = 1u << 1, /* the connection ends with it */
};

/* Checks a response that was copied: fixed part and lines. The lines must be lines: what
 * they say goes out to a client as it is. False when it is none. */
bool cadre_http_response_is_sound(const struct cadre_http_packed_response *response,
				  const char *lines);

#endif
