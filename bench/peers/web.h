/*
 * web.h - web servers of others, with a configuration of their own, two workers, and an answer
 * of 64 bytes to whatever is asked.
 */
#ifndef WEB_H
#define WEB_H

#include "bench.h"
#include "server.h"

#define WEB_CONNECTIONS 64
#define WEB_COLUMNS 4 /* requests per second, p50 and p99 in us, errors */

/* Loads the server at its port for two seconds. 0, or -ENOTSUP. */
int web_ask(const struct server *server, const char *path, double *ret_values);

measure_fn web_nginx; /* from memory, without a handler */
measure_fn web_uwsgi; /* behind nginx; Python */

/* with: "a process per connection", or NULL: two processes, and a connection for each request,
 * since one that stays open would keep a process from all others. */
measure_fn web_apache;

#endif
