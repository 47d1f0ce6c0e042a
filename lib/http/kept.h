/*
 * kept.h - descriptors of connections that a worker has had, for their next requests: a bounded
 * number, for a bounded time. Which connection one belongs to is known by the front's nonce
 * and the connection's serial number. Any thread of the worker.
 */
#ifndef CADRE_HTTP_KEPT_H
#define CADRE_HTTP_KEPT_H

#include "exchange.h"
#include "passed.h"

struct cadre_http_connections;

int cadre_http_connections_init(struct cadre_http_site_state *site);
void cadre_http_connections_fini(struct cadre_http_site_state *site);

/* The descriptor of that connection, which is the caller's from then on; or -1. */
int cadre_http_take_kept(struct cadre_http_connections *connections,
			 const struct cadre_http_passed *passed);

/* Keeps it in place of whatever was there, and lets go of what is old. */
void cadre_http_keep(struct cadre_http_connections *connections,
		     const struct cadre_http_passed *passed, int fd);

#endif
