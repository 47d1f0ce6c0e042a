/*
 * reports.h - what tests of reports share, for Criterion: a segment that the test fills by hand,
 * since what a report shows must follow from the bytes alone.
 *
 *	TestSuite(report, REPORTS);
 *
 * No supervisor holds the lock, so places say the truth only if their process lives; the living
 * ones are all this process.
 */
#ifndef REPORTS_H
#define REPORTS_H

#include "backdrop.h"
#include "clock.h"

#include <cadre/report.h>

#include <criterion/criterion.h>

#define WORKERS 5u
#define CLIENTS 3u
#define LOCALS 2u
#define SLOTS 8u

static const struct cadre_limits small = {
	.workers = WORKERS,
	.locals = LOCALS,
	.workers_min = 2,
	.parallel = 2,
	.clients = CLIENTS,
	.slots = SLOTS,
	.payload_max = 4096,
	.block_bytes = 65536,
};

static struct scene scene;
static struct cadre_view view;
static struct cadre_report *report;
static struct cadre_sampler *sampler;

static inline void make_pool(const struct cadre_limits *limits)
{
	struct cadre_diag diag = { "" };

	backdrop_paint(&scene, limits, &view);
	cr_assert_eq(cadre_report_open(scene.pool, &report, &diag), 0, "%s", diag.text);
	cr_assert_eq(cadre_sampler_open(&sampler), 0);
}

static inline void begin(void)
{
	make_pool(&small);
}

static inline void end(void)
{
	cadre_sampler_close(sampler);
	cadre_report_close(report);
	backdrop_remove(&scene, &view);
}

#define REPORTS .init = begin, .fini = end

/* ---- building what a report should see ---- */

static inline void seat_worker(uint32_t index, enum cadre_place_state state,
			       enum cadre_activity activity)
{
	backdrop_seat(&view.worker_places[index], state, cadre_process_self());
	cadre_stats_turn_to(&view.worker_stats[index], activity, cadre_clock_ns());
}

static inline void seat_client(uint32_t window)
{
	backdrop_seat(&view.client_places[window], CADRE_PLACE_UP, cadre_process_self());
	cadre_mask_set(&view.header->leased, window);
}

static inline struct cadre_slot *put(uint32_t window, uint32_t index,
				     struct cadre_word word)
{
	struct cadre_slot *const slot = cadre_view_slot(&view, window, index);

	atomic_store(&slot->request.word, cadre_word_pack(word));
	return slot;
}

static inline void put_queued(uint32_t window, uint32_t index, int64_t submitted_ns)
{
	put(window, index, (struct cadre_word){ .phase = CADRE_QUEUED, .generation = 1 })
		->request.submitted_ns = submitted_ns;
}

static inline struct cadre_slot *put_running(uint32_t window, uint32_t index,
					     uint32_t worker, int64_t taken_ns)
{
	struct cadre_slot *const slot = put(window, index,
					    (struct cadre_word){ .phase = CADRE_RUNNING,
								 .owner = worker + 1,
								 .generation = 1 });

	slot->reply.taken_ns = taken_ns;
	return slot;
}

static inline struct cadre_books *books_of(uint32_t window, uint32_t index)
{
	return &view.books[window * SLOTS + index];
}

/* As the worker would find it. */
static inline struct cadre_latency_line *line_of(uint32_t worker, int32_t operation)
{
	return cadre_stats_line(cadre_view_latencies(&view, worker), view.latency_lines,
				operation);
}

/* One that has run, as the worker would count it. */
static inline void end_job(struct cadre_latency_line *line, int64_t waited_ns,
			   int64_t ran_ns)
{
	cadre_histogram_add(&line->waiting, waited_ns);
	cadre_histogram_add(&line->service, ran_ns);
	cadre_histogram_add(&line->total, waited_ns + ran_ns);
	cadre_count_add_ns(&line->waiting_ns, waited_ns);
	cadre_count_add_ns(&line->service_ns, ran_ns);
}

static inline const struct cadre_worker_snapshot *worker_after_read(uint32_t index)
{
	cadre_report_read(report);
	return cadre_report_worker(report, index);
}

#endif
