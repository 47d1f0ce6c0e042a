/*
 * parser.h - from bytes to a request: llhttp, and what is asked beyond it.
 *
 * The head is parsed when all of it is there: cadre_http_find_head says where it ends, and
 * refuses what parsers of the world disagree about (a line that ends in a bare CR or LF, a
 * folded line, a NUL), so that nothing in front of us can have seen another request than we
 * do. llhttp then reads it, in its strict mode. The body is parsed as it comes.
 *
 * Errors are the status to answer with; the connection cannot be used for another request
 * after any of them.
 */
#ifndef CADRE_HTTP_PARSER_H
#define CADRE_HTTP_PARSER_H

#include "head.h"

struct cadre_http_parser;

/* NULL when memory is short. */
struct cadre_http_parser *cadre_http_parser_new(void);
void cadre_http_parser_free(struct cadre_http_parser *parser);

/* Looks for the end of a head in data[0 .. length); what was looked at before,
 * *scanned bytes (0 at first), is not looked at again. Returns the length of the head with
 * its empty line; 0 when its end has not come yet; a negated status when it is refused. Empty
 * lines in front of the request line belong to the head. */
int64_t cadre_http_find_head(const char *data, size_t length, size_t *scanned);

/* Parses a whole head and sets a NUL behind each part of it in `text`. 0 or a status: 400,
 * 414, 417, 431, 501, 505. Of a refused head, method and target are set as far as they were
 * read, for the log. */
int cadre_http_parse_head(struct cadre_http_parser *parser, char *text, size_t length,
			  struct cadre_http_head *head);

/* Gets the next bytes of the body, in place in what was parsed. */
typedef void cadre_http_body_fn(void *context, const char *data, size_t length);

enum cadre_http_progress {
	CADRE_HTTP_MORE, /* all was used, and the body goes on */
	CADRE_HTTP_DONE, /* the request ends behind *ret_used bytes */
	CADRE_HTTP_BAD,  /* 400 */
};

/* Parses what follows the head, and gives the body without its framing to `body`. To be
 * called at least once, with no bytes if need be, until it is DONE or BAD. *keep_alive is
 * set to false where the request turns out to end the connection. */
enum cadre_http_progress cadre_http_parse_body(struct cadre_http_parser *parser,
					       const char *data, size_t length,
					       cadre_http_body_fn *body, void *context,
					       size_t *ret_used, bool *keep_alive);

#endif
