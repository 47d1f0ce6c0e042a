/*
 * http_front.h - the door of an HTTP server: accepts connections and lets a pool's workers
 * answer what comes over them. It is what `cadre http` runs; a program may run one itself.
 *
 * TLS is left to the proxy in front (nginx, haproxy, hitch): between it and here run plain
 * HTTP/1.1 and kept connections.
 */
#ifndef CADRE_HTTP_FRONT_H
#define CADRE_HTTP_FRONT_H

#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/error.h>
#include <cadre/pool.h>

CADRE_BEGIN_DECLS

enum cadre_http_way {
	/* The front reads and parses requests; jobs and their replies carry them. A slow
	 * client never holds a worker. */
	CADRE_HTTP_PROXY,
	/* A connection on which something arrived goes to a worker, which reads the request
	 * and writes the response itself; the front passes descriptors and touches no byte
	 * (but when a worker died: then it answers for it). */
	CADRE_HTTP_HANDOFF,
};

/* Zero means the default, given behind each. Times are relative, in nanoseconds. */
struct cadre_http_front_options {
	size_t size;      /* sizeof(struct cadre_http_front_options) */
	const char *pool; /* required: its service is a site (http.h) */
	int listener;     /* required: a listening stream socket; stays the caller's */
	enum cadre_http_way way;
	uint32_t connections_max; /* more wait in the listener's queue: 1024 */
	uint32_t head_max;        /* bytes of request line and fields: 16 KiB; else 431 */
	uint64_t body_max;        /* bytes of a request's body: 1 GiB; else 413 */
	int64_t head_timeout_ns;  /* first byte to end of head: 10 s; else 408 */
	int64_t body_timeout_ns;  /* between two pieces of a body: 30 s; else 408 */
	int64_t write_timeout_ns; /* a client that takes nothing: 30 s; else closed */
	int64_t idle_timeout_ns;  /* a kept connection without a request: 60 s */
	int64_t request_timeout_ns; /* a handler without a word: 60 s; else 504, and 2 s
				     * later its worker is killed */
	int64_t drain_timeout_ns;   /* what runs at the end: 30 s */
	int log_fd;                 /* access log, a line per request: 0 for none */
	const char *log_path;       /* opened again at SIGUSR1: none */
	cadre_notice_fn *notice;    /* is told what is worth telling; may be NULL */
	void *context;
};

/* Serves until SIGTERM or SIGINT, then takes no more connections, finishes what runs, and
 * returns 0. A pool that ends is waited for: requests are answered 503 until one of its name
 * is there again. Changes the signal mask for its duration; uses SIGTERM, SIGINT
 * and SIGUSR1, and ignores SIGPIPE.
 * Errors as cadre_client_attach; -EINVAL also: the pool's service is no site. */
CADRE_API int cadre_http_front_run(const struct cadre_http_front_options *options,
				   struct cadre_diag *diag);

/* Opens a listener on "HOST:PORT", "[ADDRESS]:PORT", ":PORT" (every address), "PORT"
 * (127.0.0.1), or "unix:PATH"; port 0 is one that the kernel chooses. With a diagnostic on
 * failure: -EINVAL, -EADDRINUSE, -EACCES, ... */
CADRE_API int cadre_http_listen(const char *address, struct cadre_diag *diag);

/* Where it listens, as one may type it: "127.0.0.1:8080". */
CADRE_API int cadre_http_listener_name(int listener, char *ret_name, size_t size);

CADRE_END_DECLS
#endif
