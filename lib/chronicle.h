/*
 * chronicle.h - events, crashes and refused requests of a pool, read at one go into private
 * memory, bounded and put into words. Part of a report; writes nothing.
 */
#ifndef CADRE_CHRONICLE_H
#define CADRE_CHRONICLE_H

#include "layout.h"

#include <cadre/report.h>

struct cadre_chronicle {
	uint64_t events; /* ever */
	uint32_t event_count;
	uint32_t crash_count;
	uint32_t refused_count;
	struct cadre_event_info infos[CADRE_EVENTS];
	uint64_t crash_numbers[CADRE_CRASHES];
	struct cadre_backtrace crashes[CADRE_CRASHES];
	struct cadre_refused_info refused[CADRE_KEPT];
};

void cadre_chronicle_read(struct cadre_chronicle *chronicle,
			  const struct cadre_view *view, int64_t now_ns);

/* The crash of that number, or NULL. */
const struct cadre_backtrace *cadre_chronicle_crash(const struct cadre_chronicle *chronicle,
						    int64_t number);

/* As cadre_report_refused_request. */
int64_t cadre_chronicle_request(const struct cadre_view *view, uint64_t id, void *buffer,
				size_t size);

#endif
