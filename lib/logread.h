/*
 * logread.h - the rings of a pool as one log, in order of time: for the supervisor and for
 * whoever reads along.
 */
#ifndef CADRE_LOGREAD_H
#define CADRE_LOGREAD_H

#include "layout.h"

/* One ring and what was read of it ahead. */
struct cadre_log_source {
	struct cadre_log_cursor cursor;
	bool has_next;
	struct cadre_log_record next;
};

/* Rings 0 .. workers - 1 are those of places, the last is the supervisor's. */
struct cadre_log_merge {
	const struct cadre_view *view;
	char pool[CADRE_NAME_MAX + 1];
	uint32_t count;
	struct cadre_log_source *sources;
};

/* 0 or -ENOMEM. The view must outlive it. */
int cadre_log_merge_init(struct cadre_log_merge *merge, const char *pool,
			 const struct cadre_view *view);
void cadre_log_merge_fini(struct cadre_log_merge *merge);

/* From the end of each ring on; or from what it kept. */
void cadre_log_merge_skip(struct cadre_log_merge *merge);

/* Calls `call` with what is there and was not read yet; `lost` with how many lines of a ring
 * were not to be had. How many lines. At most CADRE_LOG_LINES of each ring. */
unsigned cadre_log_merge_read(struct cadre_log_merge *merge, cadre_log_fn *call,
			      void *context);

#endif
