/*
 * http_house.h - the processes behind `cadre http`.
 *
 *	cadre http ─┬─ front        accepts, forwards; begun again when it dies
 *	            └─ supervisor ── workers        (with --service; also begun again)
 *
 * The first process does nothing but hold the listener and wait for signals, so that neither
 * a crash of the front nor its replacement ever refuses a connection: those that come
 * meanwhile wait in the listener's queue.
 */
#ifndef CADRE_HTTP_HOUSE_H
#define CADRE_HTTP_HOUSE_H

#include <stdbool.h>

#include <cadre/http_front.h>
#include <cadre/pool.h>

struct cadre_http_house {
	struct cadre_http_front_options front;
	struct cadre_pool_options pool;
	const char *service; /* NULL: the pool is somebody else's */
};

/* Runs until SIGTERM, SIGINT, or the end of the pool. Returns an exit status. */
int cadre_http_house_run(struct cadre_http_house *house);

#endif
