/*
 * by_connection.h - what a worker keeps for the connections that it was given.
 */
#ifndef CADRE_HTTP_BY_CONNECTION_H
#define CADRE_HTTP_BY_CONNECTION_H

#include "exchange.h"

int cadre_http_connections_init(struct cadre_http_site_state *site);
void cadre_http_connections_fini(struct cadre_http_site_state *site);

#endif
