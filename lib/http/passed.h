/*
 * passed.h - what front and worker say to each other about a connection that is handed over.
 *
 * Going there: which connection, and the limits. The descriptor travels with the job; a
 * worker that has kept it from an earlier request does not ask for it, and the front takes
 * it back. Coming back: what became of the one request that was handled.
 *
 * Both are copied out of shared memory before they are looked at.
 */
#ifndef CADRE_HTTP_PASSED_H
#define CADRE_HTTP_PASSED_H

#include <stdint.h>

#define CADRE_HTTP_PASSED_MAGIC 0x31535043u   /* "CPS1" */
#define CADRE_HTTP_RETURNED_MAGIC 0x31544e43u /* "CNT1" */

enum {
	CADRE_HTTP_PASSED_LAST = 1u << 0, /* this response ends the connection */
	CADRE_HTTP_PASSED_LOG = 1u << 1,  /* say what the request was */
};

struct cadre_http_passed {
	uint32_t magic;
	uint32_t flags;
	uint64_t nonce;  /* of the front */
	uint64_t serial; /* of the connection, never used twice by this front */
	uint64_t body_max;
	int64_t body_timeout_ns;
	int64_t write_timeout_ns;
	uint32_t head_max;
	char peer[64];
};

enum cadre_http_verdict {
	CADRE_HTTP_KEPT = 1, /* answered; the connection goes on */
	CADRE_HTTP_LAST,     /* answered; the client was told that it was the last */
	CADRE_HTTP_BROKEN,   /* nothing more can be said over it */
	CADRE_HTTP_PARTIAL,  /* the head is not whole: `unread` bytes of it were seen */
};

struct cadre_http_returned {
	uint32_t magic;
	uint16_t verdict;
	uint16_t status;      /* 0: no request was answered */
	uint32_t unread;      /* bytes that were seen and left in the socket */
	uint32_t text_length; /* behind it: request line, referrer, agent, a NUL each */
	uint64_t sent;        /* bytes over the connection, heads included */
	uint64_t body_bytes;
};

#define CADRE_HTTP_RETURNED_TEXT_MAX 1024u

#endif
