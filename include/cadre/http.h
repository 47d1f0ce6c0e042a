/*
 * http.h - answer HTTP requests in the workers of a pool. Link with -lcadre-http.
 *
 * A site is a table of routes. CADRE_HTTP_SITE turns it into a service, so that the shared
 * object is served like any other (`cadre http --service FILE.so`, or `cadre serve` and
 * `cadre http --pool NAME`). A whole one:
 *
 *	#include <cadre/http.h>
 *
 *	static void hello(struct cadre_http *http, void *state)
 *	{
 *		(void)state;
 *		cadre_http_printf(http, "hello, %s\n", cadre_http_query(http, "name", "world"));
 *	}
 *
 *	static const struct cadre_http_route routes[] = { { "GET", "/hello", hello } };
 *	CADRE_HTTP_SITE("greetings", routes, NULL, NULL)
 *
 * A handler may block, may compute for long, and may crash: that costs its own request. It
 * does not know whether the front passed it a parsed request or the connection itself.
 *
 * What a handler writes is gathered while it is short, so that a status or header field can
 * be set until the end; what is longer is sent as it comes. All functions here belong to the
 * thread that runs the handler, and every text they return lives until the handler returns.
 */
#ifndef CADRE_HTTP_H
#define CADRE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cadre/api.h>
#include <cadre/error.h>
#include <cadre/service.h>

CADRE_BEGIN_DECLS

/* One request and its response. It lives until the handler returns. */
struct cadre_http;

/* Answers one request. `state` is what the site's init left. A handler that returns without
 * a word has answered 200 with an empty body. */
typedef void cadre_http_handler_fn(struct cadre_http *http, void *state);

struct cadre_http_route {
	const char *method; /* "GET", which answers HEAD too, "POST" ...; NULL: any */
	/* "/hello" is that path; ":name" in place of a segment is any one segment (see
	 * cadre_http_param); a "*" at the end is any rest (see cadre_http_rest). The first
	 * route that fits is taken. A path that no route fits is answered 404, one that fits
	 * with another method only 405. */
	const char *pattern;
	cadre_http_handler_fn *handler;
};

struct cadre_http_site {
	const struct cadre_http_route *routes;
	size_t route_count;
	/* As in struct cadre_service; each may be NULL. */
	int (*init)(const struct cadre_start *start, void **ret_state,
		    struct cadre_diag *diag);
	int (*fini)(void *state);
};

/* ---- the request ---- */

CADRE_API const char *cadre_http_method(const struct cadre_http *http);

/* The decoded path: "/a b" for "/a%20b?x=1". It begins with "/" and has no NUL inside (such
 * a request is answered 400); "." and ".." are what the client wrote. */
CADRE_API const char *cadre_http_path(const struct cadre_http *http);

/* Path and query as the client sent them. */
CADRE_API const char *cadre_http_target(const struct cadre_http *http);

/* What ":name" of the route's pattern stood for, decoded; NULL when it has no such name. */
CADRE_API const char *cadre_http_param(const struct cadre_http *http, const char *name);

/* What the "*" of the route's pattern stood for, decoded; "" when it has none. */
CADRE_API const char *cadre_http_rest(const struct cadre_http *http);

/* The first parameter of that name in the query, decoded ("+" is a blank); `fallback`, which
 * may be NULL, when there is none. */
CADRE_API const char *cadre_http_query(struct cadre_http *http, const char *name,
				       const char *fallback);

/* The same as a number from `least` to `most`. 0; -EINVAL when it is something else: then
 * the response is a 400 with a sentence about it, and the handler returns. */
CADRE_API int cadre_http_query_number(struct cadre_http *http, const char *name,
				      int64_t fallback, int64_t least, int64_t most,
				      int64_t *ret_number);

/* The first field of that name, whatever its case; NULL when there is none. */
CADRE_API const char *cadre_http_header(const struct cadre_http *http, const char *name);

/* Field number `index`, as sent. False behind the last. */
CADRE_API bool cadre_http_header_at(const struct cadre_http *http, size_t index,
				    const char **ret_name, const char **ret_value);

/* The client's address: "192.0.2.7", "2001:db8::1", or "unix". */
CADRE_API const char *cadre_http_peer(const struct cadre_http *http);

/* The body's length in bytes as the client announced it; -1 when it will show. */
CADRE_API int64_t cadre_http_body_length(const struct cadre_http *http);

/* Waits for the whole body. 0 with the bytes, and a NUL behind them that is not counted;
 * or: -EMSGSIZE (longer than `most` or than the server allows), -ECONNRESET (the client went
 * away), -ETIMEDOUT (it was too slow), -EBADMSG (its chunks make no sense), -ENOMEM. A
 * handler that then returns without a word has answered 413, nothing, 408, 400 or 500. */
CADRE_API int cadre_http_body(struct cadre_http *http, size_t most, const char **ret_data,
			      size_t *ret_length);

/* Reads the next piece of the body as it comes: the number of bytes, 0 at its end, or an
 * error as of cadre_http_body. Waits. What is not read is dropped. */
CADRE_API ssize_t cadre_http_read(struct cadre_http *http, void *data, size_t size);

/* True once nobody waits for the response: the client went away, or time ran out. A handler
 * that works for long looks now and then, and returns. */
CADRE_API bool cadre_http_cancelled(const struct cadre_http *http);

/* The job that carries the request, for its id, its deadline, and logging. */
CADRE_API struct cadre_job *cadre_http_job(const struct cadre_http *http);

/* ---- the response ---- */

/* 200 .. 599; 200 without it. -EINVAL; -EALREADY once the response has begun. */
CADRE_API int cadre_http_set_status(struct cadre_http *http, int status);

/* Adds a field. Content-Type is "text/plain; charset=utf-8" unless it is set. -EINVAL (a name
 * or value that HTTP does not allow; or Connection, Content-Length, Date, Keep-Alive, Server,
 * Trailer, Transfer-Encoding, Upgrade, which the library sets itself), -EALREADY, -ENOSPC
 * (all fields together are longer than 16 KiB). */
CADRE_API int cadre_http_set_header(struct cadre_http *http, const char *name,
				    const char *value);

/* Announces how long the body will be, so that a response sent as it comes needs no chunks.
 * More is refused, less ends the connection. -EALREADY, -EINVAL. */
CADRE_API int cadre_http_set_length(struct cadre_http *http, uint64_t length);

/* Appends to the body; may wait for a slow client. The first error stays: -EPIPE (the client
 * is gone), -ETIMEDOUT, -EMSGSIZE (more than was announced), -ENOMEM. To a HEAD request the
 * same calls are made, and nothing is sent. */
CADRE_API int cadre_http_write(struct cadre_http *http, const void *data, size_t length);
CADRE_API int cadre_http_printf(struct cadre_http *http, const char *format, ...)
	CADRE_PRINTF(2, 3);

/* Sends what was written until now; the response has begun. Errors as cadre_http_write. */
CADRE_API int cadre_http_flush(struct cadre_http *http);

/* Appends `length` bytes of a file from `offset` on: by sendfile where the worker has the
 * connection. Errors as cadre_http_write, and what read(2) says; -EIO: the file is shorter. */
CADRE_API int cadre_http_send_file(struct cadre_http *http, int fd, uint64_t offset,
				   uint64_t length);

/* Drops what was gathered, sets the status, and makes the sentence the body, so that a handler
 * can `return (void)cadre_http_fail(...)`. -EALREADY once the response has begun. */
CADRE_API int cadre_http_fail(struct cadre_http *http, int status, const char *format,
			      ...) CADRE_PRINTF(3, 4);

/* The words for a status: "Not Found"; "" for one without. Never NULL. */
CADRE_API const char *cadre_http_reason(int status);

/* ---- from routes to a service ---- */

/* The operations of a site: a parsed request, and a connection. */
enum {
	CADRE_HTTP_REQUEST = 1,
	CADRE_HTTP_CONNECTION = 2,
};

/* What CADRE_HTTP_SITE puts into the service; nobody calls them by hand. */
CADRE_API int cadre_http_site_init(const struct cadre_http_site *site,
				   const struct cadre_start *start, void **ret_state,
				   struct cadre_diag *diag);
CADRE_API int cadre_http_site_fini(void *state);
CADRE_API void cadre_http_serve_request(struct cadre_job *job, void *state);
CADRE_API void cadre_http_serve_connection(struct cadre_job *job, void *state);

/* Defines `cadre_service` of this shared object or worker program: its name, its table of
 * routes, and init and fini hooks or NULL. Handlers run on `parallel` threads per worker. */
#define CADRE_HTTP_SITE(site_name, site_routes, site_init, site_fini)                      \
	static const struct cadre_http_site cadre_http_site_ = {                           \
		site_routes,                                                               \
		sizeof(site_routes) / sizeof((site_routes)[0]),                            \
		site_init,                                                                 \
		site_fini,                                                                 \
	};                                                                                 \
	static int cadre_http_init_(const struct cadre_start *start, void **ret_state,     \
				    struct cadre_diag *diag)                               \
	{                                                                                  \
		return cadre_http_site_init(&cadre_http_site_, start, ret_state, diag);    \
	}                                                                                  \
	static const struct cadre_operation cadre_http_operations_[] = {                   \
		{ CADRE_HTTP_REQUEST, "http.request", cadre_http_serve_request },          \
		{ CADRE_HTTP_CONNECTION, "http.connection", cadre_http_serve_connection }, \
	};                                                                                 \
	CADRE_API extern const struct cadre_service cadre_service;                         \
	const struct cadre_service cadre_service = {                                       \
		.size = sizeof(struct cadre_service),                                      \
		.name = site_name,                                                         \
		.operations = cadre_http_operations_,                                      \
		.operation_count = 2,                                                      \
		.init = cadre_http_init_,                                                  \
		.fini = cadre_http_site_fini,                                              \
		.flags = CADRE_SERVICE_THREADS_IF_PARALLEL,                                \
	};

CADRE_END_DECLS
#endif
