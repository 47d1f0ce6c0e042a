/*
 * cache.h - what the callers of the example service `cache` write and read.
 */
#ifndef CADRE_SERVICE_CACHE_H
#define CADRE_SERVICE_CACHE_H

#include <stdint.h>

enum cache_operation {
	CACHE_GET = 1,  /* a key -> its value; fails with ENOENT: a miss */
	CACHE_CONTAINS, /* a key -> "1" or "0"; neither a hit nor a miss */
	CACHE_SET,      /* struct cache_set, the key, the value -> nothing */
	CACHE_STATS,    /* nothing -> lines of a name and a number */
};

struct cache_set {
	uint32_t ttl_ms;     /* a miss after that; 0: never */
	uint32_t key_length; /* bytes of the key; the rest is the value */
};

#endif
