/*
 * answer.h - the head of a response as bytes, the same from the front and from a worker.
 */
#ifndef CADRE_HTTP_ANSWER_H
#define CADRE_HTTP_ANSWER_H

#include "head.h"

#define CADRE_HTTP_ANSWER_HEAD_MAX (CADRE_HTTP_LINES_MAX + 512)

struct cadre_http_answer {
	int status;
	const char *lines; /* its own fields, "Name: value\r\n" each */
	size_t lines_length;
	uint64_t body_length; /* unknown: in chunks, or until the connection ends */
	uint32_t minor;       /* of the request */
	bool keep_alive; /* in: allowed; out of cadre_http_answer_head: what it says */
	bool is_head;
};

/* True when a response of that status never has a body. */
bool cadre_http_answer_is_bare(const struct cadre_http_answer *answer);

/* True when its body goes out in chunks. */
bool cadre_http_answer_is_chunked(const struct cadre_http_answer *answer);

/* Writes status line, fields and empty line into `data`, which has room for
 * CADRE_HTTP_ANSWER_HEAD_MAX bytes; returns how many. Sets answer->keep_alive to false where the
 * body's end cannot be told in another way. */
size_t cadre_http_answer_head(struct cadre_http_answer *answer, char *data);

/* A whole response made of a status and a sentence (NULL: the status's own words), with a
 * Retry-After where the status is 503. Room as above and CADRE_HTTP_SENTENCE_MAX more. */
size_t cadre_http_answer_error(int status, const char *sentence, uint32_t minor,
			       bool keep_alive, bool is_head, char *data);

#define CADRE_HTTP_SENTENCE_MAX 1024

/* "Date" of now, as HTTP writes it; made once a second and thread. */
const char *cadre_http_date(void);

#endif
