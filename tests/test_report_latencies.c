/*
 * test_report_latencies.c - claims about the times and counts of jobs in a report: by worker, by
 * operation, and of the pool.
 */
#include "reports.h"

TestSuite(report, REPORTS);

Test(report, percentiles_are_never_too_small_and_at_most_an_eighth_too_large)
{
	struct cadre_histogram *const service = &line_of(0, 1)->service;
	struct cadre_percentiles read;

	for (int64_t us = 1; us <= 1000; us++) {
		cadre_histogram_add(&line_of(0, 1)->waiting, 0);
		cadre_histogram_add(service, us * CADRE_NS_PER_US);
	}
	read = worker_after_read(0)->service;

	cr_assert_eq(read.jobs, 1000);
	cr_assert_geq(read.p50_ns, 500000);
	cr_assert_leq(read.p50_ns, 500000 * 9 / 8);
	cr_assert_geq(read.p99_ns, 990000);
	cr_assert_leq(read.p99_ns, 990000 * 9 / 8);
	cr_assert_geq(read.max_ns, 1000000);
	cr_assert_leq(read.max_ns, 1000000 * 9 / 8);
	cr_assert_eq(worker_after_read(1)->waiting.jobs, 0);
	cr_assert_eq(worker_after_read(1)->waiting.max_ns, 0);
}

Test(report, the_only_job_is_every_percentile)
{
	struct cadre_latency_line *const line = line_of(0, 1);

	cadre_histogram_add(&line->waiting, 0);
	cadre_histogram_add(&line->total, 9);

	cr_assert_eq(worker_after_read(0)->total.p50_ns, 9);
	cr_assert_eq(worker_after_read(0)->total.p999_ns, 9);
	cr_assert_eq(worker_after_read(0)->total.max_ns, 9);
}

static const struct cadre_operation_snapshot *operation_after_read(int32_t id)
{
	const struct cadre_operation_snapshot *operation;

	cadre_report_read(report);
	for (uint32_t i = 0; (operation = cadre_report_operation_at(report, i)); i++) {
		if (operation->id == id)
			return operation;
	}
	cr_assert_not_null(operation, "the report does not list operation %d", (int)id);
	return NULL;
}

Test(report, an_operation_is_the_sum_over_all_places_and_the_pool_that_of_all_operations)
{
	view.header->operations[0] = (struct cadre_operation_line){ .id = 7,
								    .name = "burn" };
	end_job(line_of(0, 7), 100, 1000);
	end_job(line_of(3, 7), 200, 3000);
	end_job(line_of(3, 9), 400, 5000);
	cadre_count_add(&line_of(3, 9)->failed, 1);

	cr_assert_str_eq(operation_after_read(7)->name, "burn");
	cr_assert_eq(operation_after_read(7)->jobs, 2);
	cr_assert_eq(operation_after_read(7)->failed, 0);
	cr_assert_eq(operation_after_read(7)->latency[CADRE_LATENCY_WAITING].sum_ns, 300);
	cr_assert_eq(operation_after_read(7)->latency[CADRE_LATENCY_SERVICE].sum_ns, 4000);
	cr_assert_eq(operation_after_read(7)->latency[CADRE_LATENCY_TOTAL].sum_ns, 4300);
	cr_assert_geq(operation_after_read(7)->service.max_ns, 3000);
	cr_assert_leq(operation_after_read(7)->service.max_ns, 3000 * 9 / 8);

	cr_assert_str_eq(operation_after_read(9)->name, "?", "nobody names it any more");
	cr_assert_eq(operation_after_read(9)->failed, 1);
	cr_assert_eq(cadre_report_worker(report, 3)->service.jobs, 2);
	cr_assert_eq(cadre_report_read(report)->service.jobs, 3);
	cr_assert_eq(cadre_report_read(report)->latency[CADRE_LATENCY_TOTAL].sum_ns, 9700);
}

Test(report, operations_that_find_no_line_of_their_own_are_counted_together)
{
	for (int32_t id = 1; id <= (int32_t)view.latency_lines + 1; id++)
		end_job(line_of(0, id), 1, 1);

	cr_assert_eq(operation_after_read((int32_t)view.latency_lines - 1)->jobs, 1);
	cr_assert_eq(operation_after_read(0)->jobs, 2);
	cr_assert_str_eq(operation_after_read(0)->name, "others");
	cr_assert_eq(cadre_report_read(report)->total.jobs, view.latency_lines + 1);
}

Test(report, the_jobs_that_run_are_counted_by_operation)
{
	const int64_t now_ns = cadre_clock_ns();

	seat_client(0);
	seat_worker(1, CADRE_PLACE_UP, CADRE_ACTIVITY_BUSY);
	put_running(0, 0, 1, now_ns - 3 * CADRE_NS_PER_S)->request.operation = 7;
	put_running(0, 1, 1, now_ns - 2 * CADRE_NS_PER_S)->request.operation = 7;

	cr_assert_eq(operation_after_read(7)->running, 2);
	cr_assert_geq(cadre_report_read(report)->oldest_running_ns, 3 * CADRE_NS_PER_S);
	cr_assert_eq(cadre_report_read(report)->workers_busy, 1);
}
