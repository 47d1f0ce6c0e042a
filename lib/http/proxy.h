/*
 * proxy.h - what the three files of the front's first way say to each other. proxy.c has the
 * connection; it hands input to proxy_request.c, which submits jobs; their ends come to
 * proxy_response.c.
 */
#ifndef CADRE_HTTP_PROXY_H
#define CADRE_HTTP_PROXY_H

#include "front.h"

#include <cadre/stream.h>

/* More than this that a client does not take pauses its stream. */
#define CADRE_HTTP_PROXY_UNSENT_MAX (256u * 1024)

/* ---- proxy.c ---- */

/* Uses what input there is and says what to watch for. */
void cadre_http_proxy_go_on(struct cadre_http_connection *connection);

/* ---- proxy_request.c ---- */

/* Takes the request at the beginning of the input if its head is whole. */
void cadre_http_proxy_look_for_head(struct cadre_http_connection *connection);

/* Uses the input there is as body. False when nothing more can be done with it now. */
bool cadre_http_proxy_take_body(struct cadre_http_connection *connection);

/* Answers a request whose body is not whole, and ends the connection. A response that has
 * begun is cut off. */
void cadre_http_proxy_break_off(struct cadre_http_connection *connection, int status,
				const char *sentence);

/* ---- proxy_response.c ---- */

/* The front's own answer. */
void cadre_http_proxy_refuse(struct cadre_http_connection *connection, int status,
			     const char *sentence, bool keep_alive);

/* Ends a response that has begun so that it does not look whole. */
void cadre_http_proxy_cut_off(struct cadre_http_connection *connection, const char *why);

/* Callbacks of the job. */
void cadre_http_proxy_got_item(const struct cadre_item *item, void *context);
void cadre_http_proxy_got_result(const struct cadre_result *result, void *context);

/* After a write: closes if the client is gone, watches for room if something is left. */
void cadre_http_proxy_sent_some(struct cadre_http_connection *connection, int r);

/* The response is out, as far as it will go: logs it, and what becomes of the connection. */
void cadre_http_proxy_finish_response(struct cadre_http_connection *connection);

/* Whoever has to do something next gets his time for it. */
void cadre_http_proxy_await_progress(struct cadre_http_connection *connection);

/* Of a body that goes to a worker while it comes. */
void cadre_http_proxy_close_pipe(struct cadre_http_connection *connection);

#endif
