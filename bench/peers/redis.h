/*
 * redis.h - jobs through two lists of Redis: RPUSH, and BLMPOP of as many as there are.
 *
 * Over a Unix socket, without persistence. The client pushes several jobs by one command, and
 * each side sends what it has to say in one write.
 */
#ifndef REDIS_H
#define REDIS_H

#include "bench.h"

measure_fn redis_pools; /* as pools.h says */

#endif
