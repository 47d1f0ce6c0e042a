/*
 * test_rates.c - claims about what two reads of one pool tell. The pool is a segment that
 * the test writes itself.
 */
#include "clock.h"
#include "layout.h"
#include "process.h"
#include "scene.h"

#include <cadre/report.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#define MS CADRE_NS_PER_MS

static struct scene scene;
static struct cadre_view view;
static struct cadre_report *report;
static struct cadre_sampler *sampler;

static void make_pool(void)
{
	const struct cadre_limits limits = {
		.workers = 3, .parallel = 1, .clients = 1, .slots = 8
	};
	struct cadre_diag diag = { "" };

	cr_assert_eq(cadre_layout_create(scene.pool, &limits, 0600, &view, &diag), 0,
		     "%s", diag.text);
	atomic_store(&view.header->ready, 1);
	cr_assert_eq(cadre_report_open(scene.pool, &report, &diag), 0, "%s", diag.text);
}

static void begin(void)
{
	scene_begin(&scene);
	make_pool();
	cr_assert_eq(cadre_sampler_open(&sampler), 0);
}

static void remove_pool(void)
{
	cadre_report_close(report);
	cadre_segment_remove(scene.pool);
	cadre_layout_close(&view);
}

static void end(void)
{
	cadre_sampler_close(sampler);
	remove_pool();
	scene_end(&scene);
}

TestSuite(rates, .init = begin, .fini = end);

static void take(void)
{
	cadre_report_read(report);
	cr_assert_eq(cadre_sampler_take(sampler, report), 0);
}

static void pass(int64_t ns)
{
	const struct timespec span = cadre_clock_timespec(ns);

	nanosleep(&span, NULL);
}

static void end_jobs(uint32_t worker, int32_t operation, unsigned jobs, int64_t ran_ns)
{
	struct cadre_latency_line *const line = cadre_stats_line(
		cadre_view_latencies(&view, worker), view.latency_lines, operation);

	for (unsigned i = 0; i < jobs; i++) {
		cadre_histogram_add(&line->waiting, 1);
		cadre_histogram_add(&line->service, ran_ns);
		cadre_histogram_add(&line->total, ran_ns + 1);
		cadre_count_add(&view.worker_stats[worker].worker.jobs_ok, 1);
		cadre_count_add(&view.books[0].ended[CADRE_OK], 1);
	}
}

Test(rates, one_read_shows_what_the_supervisor_found)
{
	cadre_count_set(&view.header->counters.rate_10s, 123456);
	cadre_count_set(&view.header->counters.load_10s, 250000);
	cadre_count_set(&view.worker_stats[1].place.load_10s, 750000);
	end_jobs(1, 1, 10, 5000);
	take();

	cr_assert_eq(cadre_sampler_pool(sampler)->interval_s, 0);
	cr_assert_float_eq(cadre_sampler_pool(sampler)->jobs_per_s, 123.456, 1e-9);
	cr_assert_float_eq(cadre_sampler_pool(sampler)->load, 0.25, 1e-9);
	cr_assert_float_eq(cadre_sampler_worker(sampler, 1)->load, 0.75, 1e-9);
	cr_assert_eq(cadre_sampler_pool(sampler)->service.jobs, 10);
	cr_assert_null(cadre_sampler_worker(sampler, 3));
}

Test(rates, two_reads_show_what_happened_in_between_and_nothing_older)
{
	const struct cadre_rates *pool;

	end_jobs(0, 7, 1000, 1 * MS);
	take();
	end_jobs(0, 7, 20, 100);
	end_jobs(2, 8, 10, 100);
	pass(20 * MS);
	take();

	pool = cadre_sampler_pool(sampler);
	cr_assert_geq(pool->interval_s, 0.02);
	cr_assert_float_eq(pool->jobs_per_s * pool->interval_s, 30, 1e-6);
	cr_assert_eq(pool->service.jobs, 30);
	cr_assert_leq(pool->service.max_ns, 100 * 9 / 8, "the slow ones were before");
	cr_assert_float_eq(cadre_sampler_worker(sampler, 2)->jobs_per_s * pool->interval_s,
			   10, 1e-6);
	cr_assert_eq(cadre_sampler_operation(sampler, 0)->service.jobs, 20);
	cr_assert_eq(cadre_sampler_operation(sampler, 1)->service.jobs, 10);
	cr_assert_null(cadre_sampler_operation(sampler, 2));
}

Test(rates, the_load_of_an_interval_counts_the_job_that_still_runs)
{
	const int64_t now_ns = cadre_clock_ns();

	cadre_stats_turn_to(&view.worker_stats[0], CADRE_ACTIVITY_BUSY, now_ns);
	cadre_stats_turn_to(&view.worker_stats[1], CADRE_ACTIVITY_IDLE, now_ns);
	take();
	pass(20 * MS);
	take();

	cr_assert_float_eq(cadre_sampler_worker(sampler, 0)->load, 1, 1e-6);
	cr_assert_float_eq(cadre_sampler_worker(sampler, 1)->load, 0, 1e-6);
	cr_assert_float_eq(cadre_sampler_pool(sampler)->load, 0.5, 0.01);
}

Test(rates, cpu_time_of_a_process_that_was_not_there_before_counts_from_its_start)
{
	struct cadre_place *const place = &view.worker_places[0];
	const struct cadre_identity self = cadre_process_self();
	int64_t before_ns;

	cadre_report_read(report);
	atomic_store(&place->state, cadre_place_pack_owned(CADRE_PLACE_UP, 5, self.pid));
	cadre_place_set_start_time(place, self.start_time);
	take();
	/* The kernel counts in steps of 10 ms: over less than this the share says nothing. */
	before_ns = cadre_report_worker(report, 0)->cpu_ns;
	while (cadre_report_read(report) &&
	       cadre_report_worker(report, 0)->cpu_ns < before_ns + 50 * MS) {
	}
	cr_assert_eq(cadre_sampler_take(sampler, report), 0);
	cr_assert_gt(cadre_sampler_worker(sampler, 0)->cpus, 0);
	cr_assert_leq(cadre_sampler_worker(sampler, 0)->cpus, 1.5);

	/* The successor, a moment later: all that it has used it has used since. */
	atomic_store(&place->state, cadre_place_pack_owned(CADRE_PLACE_UP, 6, self.pid));
	pass(5 * MS);
	take();
	cr_assert_gt(cadre_sampler_worker(sampler, 0)->cpus *
			     cadre_sampler_worker(sampler, 0)->interval_s,
		     0.045);
}

Test(rates, another_pool_of_the_same_name_begins_anew)
{
	end_jobs(0, 1, 1000, 1);
	take();
	remove_pool();
	pass(2 * MS);
	make_pool();
	end_jobs(0, 1, 10, 1);
	take();

	cr_assert_eq(cadre_sampler_pool(sampler)->interval_s, 0);
	cr_assert_eq(cadre_sampler_pool(sampler)->service.jobs, 10);
}

Test(rates, counters_that_go_back_are_no_rate)
{
	end_jobs(0, 1, 1000, 1);
	take();
	cadre_count_set(&view.worker_stats[0].worker.jobs_ok, 1);
	atomic_store(&view.books[0].ended[CADRE_OK], 1);
	atomic_store(&cadre_view_latencies(&view, 0)->service.count[1], 0);
	pass(MS);
	take();

	cr_assert_eq(cadre_sampler_worker(sampler, 0)->jobs_per_s, 0);
	cr_assert_eq(cadre_sampler_pool(sampler)->jobs_per_s, 0);
	cr_assert_eq(cadre_sampler_pool(sampler)->service.jobs, 0);
}
