/*
 * undertaker.h - the end of a pool that has neither keeper nor supervisor: both were killed.
 */
#ifndef CADRE_UNDERTAKER_H
#define CADRE_UNDERTAKER_H

#include "layout.h"

/* Ends every job, sends the workers away, kills those that do not go, and removes the files
 * of the pool of that name, if it is the one that was created then and nobody supervises it.
 * Blocks for some seconds at most. */
void cadre_bury_pool(const char *pool, int64_t created_ns);

#endif
