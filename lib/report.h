/*
 * report.h - what the files of a report share: report.c (the pool), report_workers.c,
 * report_guests.c, report_windows.c (slots and clients), latency.c (histograms). What it promises stands in
 * include/cadre/report.h.
 *
 * Everything read here is what other processes wrote, and perhaps what a broken one
 * scribbled. So each word is read once; counts and loops are bounded by the limits that
 * were checked when the segment was opened; what cannot be is shown as '?' or cut to what
 * can. Numbers that belong together may be a moment apart: nobody stops for a reader.
 */
#ifndef CADRE_LIB_REPORT_H
#define CADRE_LIB_REPORT_H

#include <cadre/report.h>

#include "chronicle.h"
#include "layout.h"

/* What the slots say about one worker, or local worker. */
struct cadre_burden {
	int64_t running_ns; /* of its oldest job */
	bool overdue;       /* one of its jobs is past its deadline */
};

/* Those that the header names, those that only latency lines name, and the others. */
#define CADRE_REPORT_OPERATIONS_MAX (2 * CADRE_OPERATIONS_MAX + 1)

struct cadre_report {
	struct cadre_view view;
	char name[CADRE_NAME_MAX + 1];
	int64_t now_ns; /* of the present read */
	struct cadre_pool_snapshot pool;
	struct cadre_worker_snapshot workers[CADRE_WORKERS_MAX];
	struct cadre_client_snapshot clients[CADRE_CLIENTS_MAX];
	struct cadre_guest_snapshot guests[CADRE_WORKERS_MAX];
	struct cadre_burden burdens[CADRE_WORKERS_MAX]; /* by seat */
	struct cadre_operation_snapshot operations[CADRE_REPORT_OPERATIONS_MAX];
	struct cadre_chronicle chronicle;
};

/* ---- numbers that may be anything ---- */

static inline void cadre_report_add(uint64_t *sum, uint64_t amount)
{
	if (__builtin_add_overflow(*sum, amount, sum))
		*sum = UINT64_MAX;
}

/* How long ago that was; 0 for never, and for what has not come yet. */
static inline int64_t cadre_report_since(const struct cadre_report *report,
					 int64_t then_ns)
{
	return then_ns > 0 && then_ns < report->now_ns ? report->now_ns - then_ns : 0;
}

/* Copies a struct of counters into a snapshot. */
#define CADRE_READ_COUNTERS(into, counters)                                            \
	cadre_report_read_counters((into),                                             \
				   (const _Atomic uint64_t *)(const void *)(counters), \
				   sizeof(*(counters)) / sizeof(uint64_t))

static inline void cadre_report_read_counters(uint64_t *into,
					      const _Atomic uint64_t *counters,
					      size_t count)
{
	for (size_t i = 0; i < count; i++)
		into[i] = cadre_count_read(&counters[i]);
}

/* ---- report.c ---- */

/* While a supervisor reigns, a place says the truth about its process. When there is none,
 * nobody has looked since: look whether it lives. */
bool cadre_report_is_left_behind(const struct cadre_report *report,
				 const struct cadre_place *place);

/* The snapshot of an operation, made when it is new. Never NULL: beyond the room there is,
 * it is that of the others. */
struct cadre_operation_snapshot *cadre_report_count_operation(struct cadre_report *report,
							      int32_t id);

/* Copies a name out of what others wrote: ended, and without what a terminal would obey. */
void cadre_report_copy_name(char *into, const char *from, size_t size);

/* ---- report_windows.c, report_workers.c, report_guests.c ---- */

/* Reads a window's slots and its client; burdens of workers on the way. */
void cadre_report_read_window(struct cadre_report *report, uint32_t window);

/* Reads a worker's place; all windows were read before. */
void cadre_report_read_worker(struct cadre_report *report, uint32_t index);

/* What a worker's or local worker's seat says by itself: all but latencies, names and the
 * reasons of its deaths. True when somebody sits there who is up. */
bool cadre_report_read_seat(const struct cadre_report *report, uint32_t seat,
			    struct cadre_worker_snapshot *ret_worker);

/* Reads a local worker's place; all windows were read before. */
void cadre_report_read_guest(struct cadre_report *report, uint32_t index);

/* ---- latency.c ---- */

void cadre_latency_read(const struct cadre_latency_line *line,
			struct cadre_latency ret_latency[CADRE_LATENCY_KINDS]);

void cadre_latency_add(struct cadre_latency sum[CADRE_LATENCY_KINDS],
		       const struct cadre_latency more[CADRE_LATENCY_KINDS]);

/* What came since `before`, which is an earlier read of the same. */
void cadre_latency_subtract(const struct cadre_latency *now,
			    const struct cadre_latency *before,
			    struct cadre_latency *ret_difference);

#endif
