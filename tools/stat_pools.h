/*
 * stat_pools.h - the pools that `cadre stat` and `cadre top` watch: one by name, the only
 * one, or all of this machine, opened when they appear and dropped when they are gone.
 */
#ifndef CADRE_STAT_POOLS_H
#define CADRE_STAT_POOLS_H

#include "stat.h"

struct cadre_stat_pools {
	const char *name; /* NULL: the only one, or all */
	bool all;
	int64_t wait_ns; /* for the first read to find something */
	struct cadre_stat_pool *pool;
	size_t count;
	int error; /* of the last read, and what it says */
	struct cadre_diag diag;
	char *choice; /* with -ENOTUNIQ: the names of those there are; else NULL */
};

void cadre_stat_pools_init(struct cadre_stat_pools *pools, const char *name, bool all,
			   int64_t wait_ns);
void cadre_stat_pools_fini(struct cadre_stat_pools *pools);

/* Reads each pool, and samples it. A pool of the same name that was started since the last
 * read takes the place of the one before. 0; or a negative errno with a sentence, for a pool
 * that cannot be read: the others are read all the same. */
int cadre_stat_pools_read(struct cadre_stat_pools *pools);

#endif
