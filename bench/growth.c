/*
 * growth.c - what does it cost to be big?
 *
 * One pool is made bigger in one respect: slots, slots of one client's window, attached
 * clients that do nothing, or workers that sleep while one works. The segment, attaching and
 * `cadre stat` may grow with it; the life of a job must not. So the round trips of the big pool
 * are measured in turn with those of the smallest pool of its kind, batch by batch, and their
 * ratio is what counts: whatever the machine does meanwhile it does to both.
 */
#include "echo.h"
#include "sample.h"

#include <errno.h>
#include <stdio.h>

#define TRIPS 200
#define BURST 32 /* jobs that are submitted without a look at their replies */
#define LOOKS 7
#define CLIENTS_MAX 64

struct size {
	uint32_t slots;           /* of all windows together */
	uint32_t windows;         /* so many */
	uint32_t clients;         /* attached, and idle but for the first */
	uint32_t workers;         /* of which one works */
	const struct size *least; /* of its kind; NULL: that is this one */
};

struct yard {
	struct cadre_pool *pool;
	struct cadre_client *idle[CLIENTS_MAX];
	struct echo_caller caller;
};

/* ---- a pool of that size ---- */

static int attach(const char *pool, struct cadre_client **ret_client)
{
	struct cadre_diag diag;
	const int r = cadre_client_attach(pool, NULL, ret_client, &diag);

	if (r < 0)
		fprintf(stderr, "cadre-bench: %s\n", diag.text);
	return r;
}

static int close_yard(struct yard *yard)
{
	int r;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		cadre_client_detach(yard->idle[i]);
	r = echo_stop(yard->pool);
	return yard->caller.error ? yard->caller.error : r;
}

static int open_yard(const struct bench *bench, const struct size *size, struct yard *yard)
{
	const struct cadre_pool_options options = {
		.size = sizeof(options),
		.workers_min = size->workers,
		.workers_max = size->workers,
		.clients_max = size->windows,
		.window_slots = size->slots / size->windows,
		.start_data = bench,
		.start_length = sizeof(*bench),
	};
	int r = 0;

	*yard = (struct yard){ .caller.trips = TRIPS };
	yard->pool = echo_start_service(&echo_service, &options);
	if (!yard->pool)
		return -ECANCELED;
	yard->caller.client = cadre_pool_client(yard->pool);
	for (uint32_t i = 1; r == 0 && i < size->clients; i++)
		r = attach(cadre_pool_name(yard->pool), &yard->idle[i]);
	if (r < 0)
		close_yard(yard);
	return r;
}

/* ---- what grows with it ---- */

static double median_us(struct yard *yard, double (*look)(struct yard *yard))
{
	double values[LOOKS];

	for (size_t i = 0; i < LOOKS; i++)
		values[i] = look(yard);
	return sample_of(values, LOOKS).median;
}

static double attach_once(struct yard *yard)
{
	struct cadre_client *client;
	const int64_t start_ns = bench_now_ns();
	const int r = attach(cadre_pool_name(yard->pool), &client);
	const int64_t end_ns = bench_now_ns();

	if (r < 0) {
		yard->caller.error = r;
		return 0;
	}
	cadre_client_detach(client);
	return (double)(end_ns - start_ns) / 1e3;
}

/* As `cadre stat` does it: open, read, close. */
static double look_once(struct yard *yard)
{
	struct cadre_report *report;
	struct cadre_diag diag;
	const int64_t start_ns = bench_now_ns();
	int64_t end_ns;

	yard->caller.error = cadre_report_open(cadre_pool_name(yard->pool), &report,
					       &diag);
	if (yard->caller.error)
		return 0;
	cadre_report_read(report);
	end_ns = bench_now_ns();
	cadre_report_close(report);
	return (double)(end_ns - start_ns) / 1e3;
}

static double segment_mb(struct yard *yard)
{
	struct cadre_report *report;
	struct cadre_diag diag;
	double bytes;

	yard->caller.error = cadre_report_open(cadre_pool_name(yard->pool), &report,
					       &diag);
	if (yard->caller.error)
		return 0;
	bytes = (double)cadre_report_read(report)->segment_bytes;
	cadre_report_close(report);
	return bytes / (1 << 20);
}

/* ---- what must not ---- */

/* A burst of submissions: ns for each. Their replies are taken afterwards. */
static double submit_burst(void *context)
{
	struct echo_caller *const caller = context;
	static const unsigned char payload[PAYLOAD];
	const struct cadre_request request = { .operation = ECHO_OPERATION,
					       .data = payload,
					       .length = sizeof(payload) };
	struct cadre_ticket tickets[BURST];
	const int64_t start_ns = bench_now_ns();
	int64_t end_ns;

	for (size_t i = 0; i < BURST && !caller->error; i++)
		caller->error = cadre_try_submit(caller->client, &request, &tickets[i]);
	end_ns = bench_now_ns();
	for (size_t i = 0; i < BURST && !caller->error; i++) {
		struct cadre_result result;

		caller->error = echo_check(cadre_await(caller->client, tickets[i],
						       CADRE_FOREVER, &result),
					   &result);
		if (!caller->error)
			cadre_release(caller->client, &result);
	}
	return (double)(end_ns - start_ns) / BURST;
}

/* Round trips of one, then of the other, batch by batch. The first trips of a batch wake who
 * has slept meanwhile. */
static double trips_after_wake(struct echo_caller *caller)
{
	for (int i = 0; i < 20; i++)
		echo_trip(caller);
	return echo_trips(caller);
}

static void trips_in_turn(const struct bench *bench, struct echo_caller *big,
			  struct echo_caller *least, double *ret_ns, double *ret_ratio)
{
	const unsigned count = bench_batches(bench);
	double ns[BATCHES_MAX], least_ns[BATCHES_MAX];

	for (unsigned i = 0; i < WARM_UP_BATCHES + count; i++) {
		const unsigned at = i % count;

		ns[at] = trips_after_wake(big);
		least_ns[at] = least ? trips_after_wake(least) : ns[at];
	}
	*ret_ns = sample_of(ns, count).median;
	*ret_ratio = *ret_ns / sample_of(least_ns, count).median;
}

/* Where the columns are. */
enum { SEGMENT, ATTACH, STAT, SUBMIT, TRIP, RATIO };

static void measure_yard(const struct bench *bench, struct yard *yard, struct yard *least,
			 double *ret_values)
{
	ret_values[SEGMENT] = segment_mb(yard);
	ret_values[ATTACH] = median_us(yard, attach_once);
	ret_values[STAT] = median_us(yard, look_once);
	bench_pin(bench, bench->client_cpu);
	trips_in_turn(bench, &yard->caller, least ? &least->caller : NULL,
		      &ret_values[TRIP], &ret_values[RATIO]);
	ret_values[SUBMIT] = bench_median_batch(bench, submit_burst, &yard->caller);
}

static int growth(const struct bench *bench, const void *with, double *ret_values)
{
	const struct size *const size = with;
	struct yard yard, least;
	int r = open_yard(bench, size, &yard), end;

	if (r < 0)
		return r;
	if (size->least) {
		r = open_yard(bench, size->least, &least);
		if (r == 0) {
			measure_yard(bench, &yard, &least, ret_values);
			bench_unpin();
			r = close_yard(&least);
		}
	} else {
		measure_yard(bench, &yard, NULL, ret_values);
	}
	bench_unpin();
	end = close_yard(&yard);
	return r < 0 ? r : end;
}

static const struct size slots_2 = { 128, 2, 1, 1, NULL };
static const struct size slots_3 = { 1024, 16, 1, 1, &slots_2 };
static const struct size slots_4 = { 8192, 128, 1, 1, &slots_2 };
static const struct size slots_5 = { 65536, 512, 1, 1, &slots_2 };
static const struct size window_4 = { 8192, 2, 1, 1, &slots_2 };
static const struct size window_5 = { 65536, 2, 1, 1, &slots_2 };
static const struct size clients_1 = { 128 * 64, 128, 1, 1, NULL };
static const struct size clients_8 = { 128 * 64, 128, 8, 1, &clients_1 };
static const struct size clients_64 = { 128 * 64, 128, 64, 1, &clients_1 };
static const struct size workers_1 = { 16384, 64, 1, 1, NULL };
static const struct size workers_16 = { 16384, 64, 1, 16, &workers_1 };
static const struct size workers_128 = { 16384, 64, 1, 128, &workers_1 };

static const struct column columns[] = {
	{ "segment", "MB", 1 }, { "attach", "us", 0 },     { "stat", "us", 0 },
	{ "submit", "ns", 0 },  { "round trip", "ns", 0 }, { "beside least", "", 2 },
};

#define CONTENDER(name, sentence, size)                          \
	{                                                        \
		name, sentence, growth, &(size), { NULL }, false \
	}

static const struct contender contenders[] = {
	CONTENDER("128 slots", "the smallest pool: two windows of 64 slots", slots_2),
	CONTENDER("1024 slots", "16 windows of 64", slots_3),
	CONTENDER("8192 slots", "128 windows of 64", slots_4),
	CONTENDER("65536 slots", "512 windows of 128", slots_5),
	CONTENDER("window of 4096", "two windows of so many slots", window_4),
	CONTENDER("window of 32768", "the same: its slots, 8 MiB, do not fit a cache",
		  window_5),
	CONTENDER("1 client", "128 windows of 64 slots, one client", clients_1),
	CONTENDER("8 clients", "seven more that are attached and idle", clients_8),
	CONTENDER("64 clients", "63 more that are attached and idle", clients_64),
	CONTENDER("1 worker", "the default pool with one worker", workers_1),
	CONTENDER("16 workers", "15 more that sleep", workers_16),
	CONTENDER("128 workers", "127 more that sleep", workers_128),
};

const struct question question_growth = {
	.name = "growth",
	.sentence = "What does it cost to be big? (beside least: the round trip in units of "
		    "that of the smallest of its kind)",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.ratio_column = TRIP,
	.less_is_better = true,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
