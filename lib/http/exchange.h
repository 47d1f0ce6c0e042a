/*
 * exchange.h - one request and its response inside a worker, whichever way it came.
 *
 * A *carrier* knows how bytes come and go: through the rings (by_job.c) or over the
 * connection itself (by_connection.c). Everything that a handler can say is written once,
 * above it: request.c reads, response.c gathers and sends, site.c finds the route.
 *
 * A response is GATHERED until it is longer than CADRE_HTTP_GATHER_MAX or is flushed; then
 * it has BEGUN, and nothing that its head says can change any more.
 */
#ifndef CADRE_HTTP_EXCHANGE_H
#define CADRE_HTTP_EXCHANGE_H

#include "answer.h"
#include "head.h"

#include <cadre/http.h>

#define CADRE_HTTP_GATHER_MAX (32u * 1024)
#define CADRE_HTTP_PARAMS_MAX 16

struct cadre_http_carrier {
	/* The next piece of the body: bytes, 0 at the end, or an error of cadre_http_read. */
	ssize_t (*read)(struct cadre_http *http, void *data, size_t size);
	/* The whole response at once; nothing follows. `answer` says what its head says. */
	int (*respond)(struct cadre_http *http, struct cadre_http_answer *answer,
		       const void *body, size_t length);
	/* Its head now, its body by `send`, its end by `end`. */
	int (*begin)(struct cadre_http *http, struct cadre_http_answer *answer);
	int (*send)(struct cadre_http *http, const void *data, size_t length);
	int (*send_file)(struct cadre_http *http, int fd, uint64_t offset,
			 uint64_t length);
	/* `whole` is false when less came than the head promised. */
	int (*end)(struct cadre_http *http, bool whole);
	bool (*is_cancelled)(const struct cadre_http *http);
	/* Room for a whole response's body; longer ones are begun. */
	size_t whole_max;
};

enum cadre_http_stage {
	CADRE_HTTP_GATHERING,
	CADRE_HTTP_BEGUN,
	CADRE_HTTP_ENDED,
};

struct cadre_http_pair {
	char *name;
	char *value;
};

struct cadre_http {
	struct cadre_job *job;
	const struct cadre_http_carrier *carrier;
	const struct cadre_http_head *head;
	const char *text;

	/* Decoded copies, in one allocation each. */
	char *path;
	char *route_text; /* the segments that params point into */
	const char *rest;
	struct cadre_http_pair params[CADRE_HTTP_PARAMS_MAX];
	unsigned param_count;
	char *query_text;
	struct cadre_http_pair *query;
	unsigned query_count;
	char *body;
	size_t body_length;
	uint64_t body_read; /* bytes that the handler got */
	int body_error; /* what ended the reading, for the answer of a handler without one */

	/* The response. */
	enum cadre_http_stage stage;
	int status;
	bool has_type;
	bool must_close;
	char *lines;
	size_t lines_length;
	uint64_t announced; /* or unknown */
	char *gathered;
	size_t gathered_length;
	size_t gathered_size;
	uint64_t written; /* bytes of body, sent or gathered */
	int error;        /* the first, kept */
};

/* ---- for carriers ---- */

/* Prepares an exchange around a request; head and text must outlive it. */
void cadre_http_open(struct cadre_http *http, struct cadre_job *job,
		     const struct cadre_http_carrier *carrier,
		     const struct cadre_http_head *head, const char *text);

/* Finds the route, runs its handler, and ends the response. */
void cadre_http_run(struct cadre_http *http, const struct cadre_http_site *site,
		    void *state);

/* Frees what belongs to it. */
void cadre_http_close(struct cadre_http *http);

/* ---- between the files above the carriers ---- */

/* Copies what an URL encodes: 0, or -EINVAL for a broken escape or a NUL. `plus`: a "+" is
 * a blank. The copy is never longer than the source. */
int cadre_http_decode(const char *source, size_t length, bool plus, char *ret_text);

/* Sets path from the target. 0 or a status. */
int cadre_http_set_path(struct cadre_http *http);

/* Sends what is still gathered and ends the response. */
void cadre_http_finish(struct cadre_http *http);

/* What a service of a site keeps. */
struct cadre_http_site_state {
	const struct cadre_http_site *site;
	void *state;
	struct cadre_http_connections *connections; /* kept.h */
};

#endif
