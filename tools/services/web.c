/*
 * web.c - an example site, and what the tests and the experiment ask.
 *
 *	GET  /                  a page of 20 pictures, each a request of its own
 *	GET  /hello?name=N      the shortest answer
 *	GET  /burn?ms=N         N ms of CPU time; answers with what it measured
 *	GET  /sleep?ms=N        N ms of wall-clock time
 *	GET  /files/PATH        a file under the start argument's directory
 *	GET  /stream?n=N        N lines, a piece at a time
 *	GET  /tile?n=N          a small picture, made here
 *	POST /echo              the body, as it comes
 *	POST /count             how many bytes the body has, read as it comes
 *	POST /thumbnail?w=N     a JPEG or PNG picture, N pixels wide at most, as JPEG
 *	GET  /whoami            the worker's process, and what it knows of the request
 *	ANY  /crash             the end of its worker
 *
 * The start argument (`--start DIR` of cadre serve and cadre http) is the directory of
 * /files/; the default is the directory in which the server was started.
 */
#include "thumbnail.h"

#include <cadre/http.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/openat2.h>

#define NS_PER_MS INT64_C(1000000)
#define PICTURE_MAX (32u << 20)

struct web {
	int root; /* directory of /files/ */
};

static void hello(struct cadre_http *http, void *state)
{
	(void)state;
	cadre_http_printf(http, "hello, %s\n", cadre_http_query(http, "name", "world"));
}

/* ---- time ---- */

static int64_t time_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

static void burn(struct cadre_http *http, void *state)
{
	const int64_t cpu_ns = time_of(CLOCK_THREAD_CPUTIME_ID);
	const int64_t wall_ns = time_of(CLOCK_MONOTONIC);
	int64_t ms, spent_ns = 0;

	(void)state;
	if (cadre_http_query_number(http, "ms", 1000, 0, 600000, &ms) < 0)
		return;
	while (spent_ns < ms * NS_PER_MS && !cadre_http_cancelled(http)) {
		for (volatile int i = 0; i < 100000; i++)
			;
		spent_ns = time_of(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	}
	cadre_http_printf(http, "burnt %.3f ms of CPU time in %.3f ms\n",
			  (double)spent_ns / NS_PER_MS,
			  (double)(time_of(CLOCK_MONOTONIC) - wall_ns) / NS_PER_MS);
}

static void nap(struct cadre_http *http, void *state)
{
	int64_t ms;
	struct timespec time;

	(void)state;
	if (cadre_http_query_number(http, "ms", 1000, 0, 600000, &ms) < 0)
		return;
	time = (struct timespec){ ms / 1000, ms % 1000 * NS_PER_MS };
	nanosleep(&time, NULL);
	cadre_http_printf(http, "slept %lld ms\n", (long long)ms);
}

/* ---- files ---- */

static const char *type_of(const char *path)
{
	static const struct {
		const char *ending, *type;
	} types[] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".css", "text/css" },
		{ ".js", "text/javascript" },
		{ ".json", "application/json" },
		{ ".txt", "text/plain; charset=utf-8" },
		{ ".md", "text/plain; charset=utf-8" },
		{ ".c", "text/plain; charset=utf-8" },
		{ ".h", "text/plain; charset=utf-8" },
		{ ".svg", "image/svg+xml" },
		{ ".png", "image/png" },
		{ ".jpg", "image/jpeg" },
		{ ".pdf", "application/pdf" },
	};
	const char *const dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(dot, types[i].ending) == 0)
			return types[i].type;
	return "application/octet-stream";
}

/* The kernel sees to it that no "..", no link and no /proc leads out of the directory. */
static int open_beneath(int root, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	const long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static void send_file(struct cadre_http *http, int fd, const struct stat *status)
{
	char tag[80];
	const char *const known = cadre_http_header(http, "if-none-match");

	snprintf(tag, sizeof(tag), "\"%llx-%llx-%llx.%lx\"",
		 (unsigned long long)status->st_ino, (unsigned long long)status->st_size,
		 (unsigned long long)status->st_mtim.tv_sec,
		 (unsigned long)status->st_mtim.tv_nsec);
	cadre_http_set_header(http, "ETag", tag);
	if (known && strcmp(known, tag) == 0) {
		cadre_http_set_status(http, 304);
		return;
	}
	cadre_http_set_header(http, "Content-Type", type_of(cadre_http_rest(http)));
	cadre_http_set_length(http, (uint64_t)status->st_size);
	cadre_http_send_file(http, fd, 0, (uint64_t)status->st_size);
}

static void file(struct cadre_http *http, void *state)
{
	const struct web *const web = state;
	struct stat status;
	const int fd = open_beneath(web->root, cadre_http_rest(http));

	if (fd == -EACCES || fd == -EPERM || fd == -EXDEV)
		cadre_http_fail(http, 403, "this file is not for you");
	else if (fd < 0 || fstat(fd, &status) < 0)
		cadre_http_fail(http, 404, "there is no such file");
	else if (!S_ISREG(status.st_mode))
		cadre_http_fail(http, 404, "this is no file");
	else
		send_file(http, fd, &status);
	if (fd >= 0)
		close(fd);
}

/* ---- bodies, as they come ---- */

static void stream(struct cadre_http *http, void *state)
{
	int64_t count, pause_ms;

	(void)state;
	if (cadre_http_query_number(http, "n", 10, 0, 100000000, &count) < 0 ||
	    cadre_http_query_number(http, "pause", 0, 0, 10000, &pause_ms) < 0)
		return;
	for (int64_t i = 0; i < count; i++) {
		const struct timespec pause = { pause_ms / 1000,
						pause_ms % 1000 * NS_PER_MS };

		if (cadre_http_printf(http, "line %lld\n", (long long)i) < 0)
			return;
		if (pause_ms > 0 &&
		    (cadre_http_flush(http) < 0 || nanosleep(&pause, NULL) < 0))
			return;
	}
}

static void echo(struct cadre_http *http, void *state)
{
	const char *const type = cadre_http_header(http, "content-type");
	char piece[16384];
	ssize_t length;

	(void)state;
	cadre_http_set_header(http, "Content-Type",
			      type ? type : "application/octet-stream");
	while ((length = cadre_http_read(http, piece, sizeof(piece))) > 0)
		if (cadre_http_write(http, piece, (size_t)length) < 0)
			return;
}

static void count(struct cadre_http *http, void *state)
{
	char piece[65536];
	uint64_t total = 0;
	ssize_t length;

	(void)state;
	while ((length = cadre_http_read(http, piece, sizeof(piece))) > 0)
		total += (uint64_t)length;
	if (length == 0)
		cadre_http_printf(http, "%llu\n", (unsigned long long)total);
}

/* ---- pictures ---- */

static void thumbnail(struct cadre_http *http, void *state)
{
	struct picture small = { .width = 0 };
	const char *picture, *why;
	size_t length;
	int64_t width;

	(void)state;
	if (cadre_http_query_number(http, "w", 200, 1, 4096, &width) < 0 ||
	    cadre_http_body(http, PICTURE_MAX, &picture, &length) < 0)
		return;
	why = thumbnail_make(picture, length, (unsigned)width, &small);
	if (why) {
		cadre_http_fail(http, 415, "%s", why);
		return;
	}
	cadre_http_set_header(http, "Content-Type", "image/jpeg");
	cadre_http_write(http, small.data, small.length);
	thumbnail_free(&small);
}

static void tile(struct cadre_http *http, void *state)
{
	int64_t n;

	(void)state;
	if (cadre_http_query_number(http, "n", 0, 0, 359, &n) < 0)
		return;
	cadre_http_set_header(http, "Content-Type", "image/svg+xml");
	cadre_http_printf(
		http,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" "
		"height=\"64\"><rect width=\"64\" height=\"64\" "
		"fill=\"hsl(%lld 70%% 60%%)\"/><text x=\"8\" y=\"40\">%d</text></svg>",
		(long long)(n * 18 % 360), (int)getpid());
}

static void page(struct cadre_http *http, void *state)
{
	(void)state;
	cadre_http_set_header(http, "Content-Type", "text/html; charset=utf-8");
	cadre_http_printf(http, "<!doctype html><title>Cadre</title><p>The number on each "
				"tile is the process that made it.</p>");
	for (int i = 0; i < 20; i++)
		cadre_http_printf(http, "<img width=64 height=64 src=\"/tile?n=%d\">", i);
}

/* ---- who, and the end of it ---- */

static void whoami(struct cadre_http *http, void *state)
{
	const char *name, *value;

	(void)state;
	cadre_http_printf(http, "pid %d\npeer %s\nmethod %s\npath %s\ntarget %s\n",
			  (int)getpid(), cadre_http_peer(http), cadre_http_method(http),
			  cadre_http_path(http), cadre_http_target(http));
	for (size_t i = 0; cadre_http_header_at(http, i, &name, &value); i++)
		cadre_http_printf(http, "%s: %s\n", name, value);
}

static void user(struct cadre_http *http, void *state)
{
	(void)state;
	cadre_http_printf(http, "user %s, item %s\n", cadre_http_param(http, "name"),
			  cadre_http_param(http, "item"));
}

/* Without the sanitizer's own idea of what should happen here. */
__attribute__((no_sanitize("undefined"), noinline)) static void write_to_nowhere(void)
{
	/* Which the compiler must not see through. */
	volatile int *volatile nowhere = NULL;

	*nowhere = 1; /* NOLINT(clang-analyzer-core.NullDereference): that is the point */
}

static void crash(struct cadre_http *http, void *state)
{
	(void)state;
	/* ?late=1: in the middle of a response. */
	if (cadre_http_query(http, "late", NULL)) {
		cadre_http_printf(http, "so far, so good\n");
		cadre_http_flush(http);
	}
	write_to_nowhere();
}

/* ---- the site ---- */

static const struct cadre_http_route routes[] = {
	{ "GET", "/", page },
	{ "GET", "/hello", hello },
	{ "GET", "/burn", burn },
	{ "GET", "/sleep", nap },
	{ "GET", "/files/*", file },
	{ "GET", "/stream", stream },
	{ "GET", "/tile", tile },
	{ "GET", "/whoami", whoami },
	{ "GET", "/users/:name/items/:item", user },
	{ "POST", "/echo", echo },
	{ "POST", "/count", count },
	{ "POST", "/thumbnail", thumbnail },
	{ NULL, "/crash", crash },
};

static int init(const struct cadre_start *start, void **ret_state, struct cadre_diag *diag)
{
	struct web *const web = calloc(1, sizeof(*web));
	char path[4097];

	if (!web)
		return -ENOMEM;
	snprintf(path, sizeof(path), "%.*s", (int)start->length,
		 (const char *)start->data);
	web->root = open(path[0] ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (web->root < 0) {
		const int error = errno;

		snprintf(diag->text, sizeof(diag->text),
			 "cannot serve files of \"%.300s\": %s", path, strerror(error));
		free(web);
		return -error;
	}
	*ret_state = web;
	return 0;
}

static int fini(void *state)
{
	struct web *const web = state;

	close(web->root);
	free(web);
	return 0;
}

CADRE_HTTP_SITE("web", routes, init, fini)
