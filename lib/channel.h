/*
 * channel.h - what a channel means in a segment: whose jobs go where, and telling a worker
 * that something was aimed at it.
 */
#ifndef CADRE_LIB_CHANNEL_H
#define CADRE_LIB_CHANNEL_H

#include <cadre/channel.h>

#include "layout.h"

enum cadre_channel_kind {
	CADRE_CHANNEL_POOL = 1,
	CADRE_CHANNEL_WORKER = 2, /* a local one too: it has a place like any other */
};

#define CADRE_CHANNEL_MAGIC 0x4c484344u /* "DCHL" */

/* Who is to run a job: a private copy of what a channel says. */
struct cadre_aim {
	unsigned owner; /* CADRE_OWNER_NONE: anyone */
	uint32_t incarnation;
};

void cadre_channel_name_pool(struct cadre_channel *channel, const char *pool,
			     int64_t created_ns);
void cadre_channel_name_worker(struct cadre_channel *channel, const char *pool,
			       int64_t created_ns, unsigned seat, uint32_t incarnation);

/* Copies the aim out of a channel; the caller's bytes are read once. -EINVAL: not a channel,
 * of another pool, or to a place that this pool has not. */
int cadre_channel_aim(const struct cadre_channel *channel, const struct cadre_view *view,
		      const char *pool, int64_t created_ns, struct cadre_aim *ret_aim);

/* Whoever the job is aimed at sits there, or is about to. */
bool cadre_aim_stands(const struct cadre_view *view, struct cadre_aim aim);

/* S4 for a job that is aimed: says so to its worker, and wakes that. False when it is gone:
 * then nobody will run the job, unless its reaper has ended it already. */
bool cadre_aim_tell(const struct cadre_view *view, struct cadre_aim aim, unsigned window);

/* Wakes the worker of a seat if it sleeps. */
void cadre_aim_wake(const struct cadre_view *view, unsigned seat);

#endif
