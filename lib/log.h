/*
 * log.h - the writing end of the log in this process: which ring, and at which level.
 */
#ifndef CADRE_LIB_LOG_H
#define CADRE_LIB_LOG_H

#include "layout.h"

/* From here on cadre_log writes into the ring of that worker's place. The view must stay until
 * cadre_log_end. One per process; a later one takes the place of an earlier one. */
void cadre_log_begin(const struct cadre_view *view, const char *pool, unsigned worker);
void cadre_log_end(const struct cadre_view *view);

/* Writes a line of the supervisor's, or of whoever's ring it is, time and pid included. */
void cadre_log_put(const struct cadre_view *view, uint32_t ring, uint64_t job,
		   enum cadre_log_level level, const char *text);

/* The level as it stands in the header. */
static inline enum cadre_log_level cadre_log_level_now(const struct cadre_view *view)
{
	return (enum cadre_log_level)atomic_load_explicit(&view->header->log_level,
							  memory_order_relaxed);
}

#endif
