/*
 * test_report_large.c - claims about how long a report takes to read, where a pool is as large as
 * is usual, and where it has as many workers as there may be.
 */
#include "reports.h"

#include <time.h>

static int64_t cpu_ns(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
	return (int64_t)spent.tv_sec * CADRE_NS_PER_S + spent.tv_nsec;
}

/* Reads twice, and tells what the second read cost: of this process, since the machine may have
 * other things to do as well. */
static int64_t cpu_ns_of_a_read(void)
{
	int64_t start_ns;

	cadre_report_read(report);
	start_ns = cpu_ns();
	cadre_report_read(report);
	return cpu_ns() - start_ns;
}

/* ---- as large as is usual ---- */

static void begin_default(void)
{
	const struct cadre_limits limits = {
		.workers = 16,
		.parallel = 1,
		.clients = 64,
		.slots = 256,
		.payload_max = 1 << 20,
		.block_bytes = 20 << 20,
	};

	make_pool(&limits);
}

TestSuite(report_of_default_size, .init = begin_default, .fini = end);

Test(report_of_default_size, a_read_of_full_windows_takes_less_than_100_ms)
{
	for (uint32_t window = 0; window < 64; window++) {
		seat_client(window);
		for (uint32_t index = 0; index < 256; index++)
			put_queued(window, index, 1);
	}
	cr_assert_lt(cpu_ns_of_a_read(), 100 * CADRE_NS_PER_MS);
	cr_assert_eq(cadre_report_read(report)->queue_length, 64 * 256);
}

/* ---- as many workers as there may be ---- */

static void begin_huge(void)
{
	const struct cadre_limits limits = {
		.workers = CADRE_WORKERS_MAX,
		.parallel = 1,
		.clients = 1,
		.slots = 8,
	};

	make_pool(&limits);
}

TestSuite(report_of_many_workers, .init = begin_huge, .fini = end);

Test(report_of_many_workers, a_read_of_512_that_all_did_everything_takes_less_than_100_ms)
{
	for (uint32_t worker = 0; worker < CADRE_WORKERS_MAX; worker++) {
		seat_worker(worker, CADRE_PLACE_UP, CADRE_ACTIVITY_IDLE);
		for (int32_t id = 1; id <= (int32_t)view.latency_lines; id++)
			end_job(line_of(worker, id), 100, 1000);
	}
	cr_assert_lt(cpu_ns_of_a_read(), 100 * CADRE_NS_PER_MS);
	cr_assert_eq(cadre_report_read(report)->workers_ready, CADRE_WORKERS_MAX);
	cr_assert_eq(cadre_report_read(report)->total.jobs,
		     CADRE_WORKERS_MAX * view.latency_lines);
}
