/*
 * site.c - from a request to its handler, and from a table of routes to a service.
 */
#include "exchange.h"
#include "kept.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cadre_http_open(struct cadre_http *http, struct cadre_job *job,
		     const struct cadre_http_carrier *carrier,
		     const struct cadre_http_head *head, const char *text)
{
	*http = (struct cadre_http){
		.job = job,
		.carrier = carrier,
		.head = head,
		.text = text,
		.status = 200,
		.announced = CADRE_HTTP_LENGTH_UNKNOWN,
	};
}

void cadre_http_close(struct cadre_http *http)
{
	free(http->path);
	free(http->route_text);
	free(http->query_text);
	free(http->query);
	free(http->body);
	free(http->lines);
	free(http->gathered);
}

/* ---- routes ---- */

/* Goes through pattern and decoded path, segment by segment. */
static bool fits(struct cadre_http *http, const char *pattern, const char *path)
{
	http->param_count = 0;
	http->rest = NULL;
	for (;;) {
		const size_t wanted = strcspn(pattern, "/");
		const size_t given = strcspn(path, "/");

		if (pattern[0] == '*' && pattern[1] == '\0') {
			http->rest = path;
			return true;
		}
		if (pattern[0] == ':' && given > 0) {
			if (http->param_count == CADRE_HTTP_PARAMS_MAX)
				return false;
			http->params[http->param_count++] = (struct cadre_http_pair){
				.name = (char *)pattern, .value = (char *)path
			};
		} else if (wanted != given || memcmp(pattern, path, given) != 0) {
			return false;
		}
		pattern += wanted;
		path += given;
		if (*pattern == '\0' || *path == '\0')
			return *pattern == *path;
		pattern++;
		path++;
	}
}

/* Copies one segment to *next, with a NUL behind it. */
static char *cut_segment(const char *segment, char **next)
{
	char *const copy = *next;

	*next = mempcpy(copy, segment, strcspn(segment, "/"));
	*(*next)++ = '\0';
	return copy;
}

/* Until here names and values pointed into pattern and path. */
static int cut_params(struct cadre_http *http, const char *pattern)
{
	char *next;

	if (http->param_count == 0)
		return 0;
	next = malloc(strlen(pattern) + strlen(http->path) + 2);
	if (!next)
		return -ENOMEM;
	http->route_text = next;
	for (unsigned i = 0; i < http->param_count; i++) {
		struct cadre_http_pair *const param = &http->params[i];

		param->name = cut_segment(param->name + 1, &next);
		param->value = cut_segment(param->value, &next);
	}
	return 0;
}

static bool method_fits(const struct cadre_http_route *route, const char *method)
{
	return !route->method || strcmp(route->method, method) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void add_allowed(char *allowed, size_t size, const char *method)
{
	const size_t length = strlen(allowed);

	if (strcmp(method, "GET") == 0)
		method = "GET, HEAD";
	snprintf(allowed + length, size - length, "%s%s", length > 0 ? ", " : "", method);
}

static void dispatch(struct cadre_http *http, const struct cadre_http_site *site,
		     void *state)
{
	const char *const method = cadre_http_method(http);
	char allowed[256] = "";

	for (size_t i = 0; i < site->route_count; i++) {
		const struct cadre_http_route *const route = &site->routes[i];

		if (!fits(http, route->pattern, http->path))
			continue;
		if (method_fits(route, method)) {
			if (cut_params(http, route->pattern) < 0) {
				cadre_http_fail(http, 500, "%s", cadre_http_reason(500));
				return;
			}
			route->handler(http, state);
			return;
		}
		add_allowed(allowed, sizeof(allowed), route->method);
	}
	if (allowed[0] == '\0') {
		cadre_http_fail(http, 404, "%s", cadre_http_reason(404));
		return;
	}
	cadre_http_fail(http, 405, "%s", cadre_http_reason(405));
	cadre_http_set_header(http, "Allow", allowed);
}

void cadre_http_run(struct cadre_http *http, const struct cadre_http_site *site,
		    void *state)
{
	const int status = cadre_http_set_path(http);

	if (status)
		cadre_http_fail(http, status, "%s", cadre_http_reason(status));
	else
		dispatch(http, site, state);
	cadre_http_finish(http);
}

/* ---- the service ---- */

int cadre_http_site_init(const struct cadre_http_site *site,
			 const struct cadre_start *start, void **ret_state,
			 struct cadre_diag *diag)
{
	struct cadre_http_site_state *const state = calloc(1, sizeof(*state));
	int r = state ? 0 : -ENOMEM;

	/* sendfile(2) knows no MSG_NOSIGNAL: a client that leaves must not end its worker. */
	signal(SIGPIPE, SIG_IGN);
	if (r == 0) {
		state->site = site;
		r = cadre_http_connections_init(state);
	}
	if (r == 0 && site->init)
		r = site->init(start, &state->state, diag);
	if (r != 0) {
		if (state)
			cadre_http_connections_fini(state);
		free(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

int cadre_http_site_fini(void *argument)
{
	struct cadre_http_site_state *const state = argument;
	const int r = state->site->fini ? state->site->fini(state->state) : 0;

	cadre_http_connections_fini(state);
	free(state);
	return r;
}
