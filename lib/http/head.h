/*
 * head.h - the head of one request: what the parser finds, and how it travels.
 *
 * A head is a table of spans over a text. The text is what the client sent, with a NUL behind
 * each part, so that the parts can be read in place as C strings. The same table and text,
 * one behind the other, are what a job carries (packed.h), so packing is two copies.
 *
 * Spans are offsets: they mean the same in every process, and whoever unpacks them from
 * memory that others may write checks each one before it is followed.
 */
#ifndef CADRE_HTTP_HEAD_H
#define CADRE_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CADRE_HTTP_FIELDS_MAX 100
#define CADRE_HTTP_LINES_MAX (16u * 1024) /* of the fields of a response */
#define CADRE_HTTP_LENGTH_UNKNOWN UINT64_MAX

struct cadre_http_span {
	uint32_t at;     /* offset in the text */
	uint32_t length; /* without the NUL that follows */
};

enum {
	CADRE_HTTP_KEEP_ALIVE = 1u << 0,
	CADRE_HTTP_CHUNKED = 1u << 1,
	CADRE_HTTP_EXPECTS_CONTINUE = 1u << 2,
	CADRE_HTTP_IS_HEAD = 1u << 3, /* the method: a response has no body */
};

struct cadre_http_head {
	uint32_t flags;
	uint32_t text_length;
	uint64_t body_length; /* 0 for no body; unknown when chunked */
	struct cadre_http_span method;
	struct cadre_http_span target; /* origin form: begins with '/', or is "*" */
	struct cadre_http_span peer;   /* length 0 until somebody adds it */
	uint32_t minor;                /* of HTTP/1.x */
	uint32_t field_count;
	struct {
		struct cadre_http_span name;
		struct cadre_http_span value;
	} fields[CADRE_HTTP_FIELDS_MAX];
};

static inline bool cadre_http_head_has_body(const struct cadre_http_head *head)
{
	return head->body_length != 0;
}

/* The value of the first field of that name, or NULL. */
const char *cadre_http_head_field(const struct cadre_http_head *head, const char *text,
				  const char *name);

#endif
