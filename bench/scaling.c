/*
 * scaling.c - how much gets done with 1 to 16 clients and 1 to 16 workers, and is it shared
 * evenly?
 *
 * Each client is a process that keeps 32 jobs of 64 bytes in flight: it fills up, waits for the
 * oldest, takes whatever else has ended, and fills up again. All options are at their
 * defaults, nobody is bound to a CPU, and who waits may sleep: with more processes than CPUs,
 * what counts is who is woken and who is not.
 *
 * The second question is about the same runs. Of shares x it says how far they are from even:
 * Jain's index, (sum x)^2 / (n sum x^2), is 1 when all are equal and 1/n when one has all.
 */
#include "echo.h"
#include "peers/mpmc_crowd.h"
#include "race.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define IN_FLIGHT 32u
#define DURATION_NS INT64_C(1000000000)
#define DURATION_QUICK_NS INT64_C(500000000)
/* Of several clients. Where the kernel puts them lasts for up to half a second, and who is on
 * the CPU of a busy worker gets less done meanwhile: shares are those of a longer time. */
#define DURATION_SHARED_NS INT64_C(4000000000)
#define DURATION_SHARED_QUICK_NS INT64_C(2500000000)

/* One column: so many clients and workers. */
struct crowd {
	unsigned clients, workers;
};

static const struct crowd crowds[] = {
	{ 1, 1 }, { 1, 2 }, { 1, 4 }, { 2, 1 }, { 2, 2 }, { 4, 4 }, { 8, 8 }, { 16, 16 },
};

#define CROWDS COUNT_OF(crowds)

/* What one crowd did. */
struct score {
	double jobs_per_s;
	double jain;   /* over the clients' rates; NAN for one client */
	double spread; /* least share of a worker / greatest; NAN for one worker */
};

/* ---- a client ---- */

struct runner {
	struct lane *lane;
	struct cadre_client *client;
	struct cadre_ticket tickets[IN_FLIGHT]; /* of job n at n modulo IN_FLIGHT */
	uint32_t sent, taken;                   /* jobs ever */
};

static int submit_one(struct runner *runner)
{
	unsigned char payload[PAYLOAD] = "job";
	const struct cadre_request request = { .operation = ECHO_OPERATION,
					       .data = payload,
					       .length = PAYLOAD };
	int r;

	memcpy(payload, &runner->sent, sizeof(runner->sent));
	r = cadre_try_submit(runner->client, &request,
			     &runner->tickets[runner->sent % IN_FLIGHT]);
	if (r == 0)
		runner->sent++;
	return r;
}

static int take_result(struct runner *runner, int taken,
		       const struct cadre_result *result, bool counts)
{
	struct lane *const lane = runner->lane;
	const int r = echo_check(taken, result);

	if (r < 0)
		return r;
	runner->taken++;
	if (counts) {
		lane->jobs++;
		lane->by_server[result->worker % SERVERS_MAX]++;
	}
	return cadre_release(runner->client, result);
}

/* Waits for the oldest, then takes what has ended by then. */
static int take_some(struct runner *runner, bool counts)
{
	struct cadre_result result;
	int r = cadre_await(runner->client, runner->tickets[runner->taken % IN_FLIGHT],
			    CADRE_FOREVER, &result);

	do {
		r = take_result(runner, r, &result, counts);
		if (r < 0 || runner->taken == runner->sent)
			return r;
		r = cadre_try_take(runner->client,
				   runner->tickets[runner->taken % IN_FLIGHT], &result);
	} while (r != -EAGAIN);
	return 0;
}

static int run_client(struct race *race, struct lane *lane, const void *with)
{
	struct runner runner = { .lane = lane };
	struct cadre_diag diag;
	int64_t now_ns;
	int r = cadre_client_attach(with, NULL, &runner.client, &diag);

	if (r < 0) {
		fprintf(stderr, "cadre-bench: %s\n", diag.text);
		return r;
	}
	race_await_start(race);
	while ((now_ns = bench_now_ns()) < race->end_ns && r == 0) {
		while (r == 0 && runner.sent - runner.taken < IN_FLIGHT)
			r = submit_one(&runner);
		if (r == 0)
			r = take_some(&runner, now_ns >= race->start_ns);
	}
	while (r == 0 && runner.taken != runner.sent)
		r = take_some(&runner, false);
	cadre_client_detach(runner.client);
	return r;
}

/* ---- a crowd ---- */

static double jain_of(const double *shares, unsigned count)
{
	double sum = 0, squares = 0;

	for (unsigned n = 0; n < count; n++) {
		sum += shares[n];
		squares += shares[n] * shares[n];
	}
	return count > 1 && squares > 0 ? sum * sum / (count * squares) : NAN;
}

static double spread_of(const double *shares, unsigned count)
{
	double least = INFINITY, greatest = 0;

	for (unsigned n = 0; n < count; n++) {
		least = fmin(least, shares[n]);
		greatest = fmax(greatest, shares[n]);
	}
	return count > 1 && greatest > 0 ? least / greatest : NAN;
}

static struct score score_of(const struct crowd *crowd, const struct lane lanes[],
			     int64_t duration_ns)
{
	double clients[RACERS_MAX], workers[SERVERS_MAX] = { 0 }, jobs = 0;

	for (unsigned n = 0; n < crowd->clients; n++) {
		clients[n] = (double)lanes[n].jobs;
		jobs += clients[n];
		for (unsigned worker = 0; worker < crowd->workers; worker++)
			workers[worker] += (double)lanes[n].by_server[worker];
	}
	return (struct score){ .jobs_per_s = jobs * 1e9 / (double)duration_ns,
			       .jain = jain_of(clients, crowd->clients),
			       .spread = spread_of(workers, crowd->workers) };
}

static int64_t duration_of(const struct bench *bench, const struct crowd *crowd)
{
	if (crowd->clients > 1)
		return bench->quick ? DURATION_SHARED_QUICK_NS : DURATION_SHARED_NS;
	return bench->quick ? DURATION_QUICK_NS : DURATION_NS;
}

static int run_crowd(const struct bench *bench, const struct crowd *crowd,
		     struct score *ret_score)
{
	const int64_t duration_ns = duration_of(bench, crowd);
	struct cadre_pool *const pool = echo_start(bench, crowd->workers, ECHO_DEFAULTS);
	struct lane lanes[RACERS_MAX];
	int r, stop;

	if (!pool)
		return -ECANCELED;
	r = race_run(crowd->clients, duration_ns, run_client, cadre_pool_name(pool),
		     lanes);
	stop = echo_stop(pool);
	if (r < 0 || stop < 0)
		return r < 0 ? r : stop;
	*ret_score = score_of(crowd, lanes, duration_ns);
	return 0;
}

/* ---- the two questions ---- */

/* Of the last runs; the second question takes them from here. */
static struct score scores[CROWDS];
static bool are_fresh;

static int run_crowds(const struct bench *bench)
{
	for (size_t i = 0; i < CROWDS; i++) {
		const int r = run_crowd(bench, &crowds[i], &scores[i]);

		if (r < 0)
			return r;
	}
	are_fresh = true;
	return 0;
}

static int cadre_scaling(const struct bench *bench, const void *with, double *ret_values)
{
	const int r = run_crowds(bench);

	(void)with;
	for (size_t i = 0; i < CROWDS && r == 0; i++)
		ret_values[i] = scores[i].jobs_per_s;
	return r;
}

/* The same numbers of clients and workers without Cadre. */
static int mpmc_scaling(const struct bench *bench, const void *with, double *ret_values)
{
	const int64_t duration_ns = bench->quick ? DURATION_QUICK_NS : DURATION_NS;

	(void)with;
	for (size_t i = 0; i < CROWDS; i++) {
		struct lane lanes[RACERS_MAX];
		const int r = mpmc_crowd_run(crowds[i].clients, crowds[i].workers,
					     IN_FLIGHT, duration_ns, lanes);

		if (r < 0)
			return r;
		ret_values[i] = score_of(&crowds[i], lanes, duration_ns).jobs_per_s;
	}
	return 0;
}

/* The last one to ask takes the runs with it. */
static int get_scores(const struct bench *bench, bool is_last)
{
	const int r = are_fresh ? 0 : run_crowds(bench);

	are_fresh = r == 0 && !is_last;
	return r;
}

static int cadre_clients(const struct bench *bench, const void *with, double *ret_values)
{
	const int r = get_scores(bench, false);

	(void)with;
	for (size_t i = 0; i < CROWDS && r == 0; i++)
		ret_values[i] = scores[i].jain;
	return r;
}

static int cadre_workers(const struct bench *bench, const void *with, double *ret_values)
{
	const int r = get_scores(bench, true);

	(void)with;
	for (size_t i = 0; i < CROWDS && r == 0; i++)
		ret_values[i] = scores[i].spread;
	return r;
}

static const struct column columns[] = {
	{ "1x1", "jobs/s", 0 }, { "1x2", "jobs/s", 0 },   { "1x4", "jobs/s", 0 },
	{ "2x1", "jobs/s", 0 }, { "2x2", "jobs/s", 0 },   { "4x4", "jobs/s", 0 },
	{ "8x8", "jobs/s", 0 }, { "16x16", "jobs/s", 0 },
};

static_assert(COUNT_OF(columns) == CROWDS, "a column for each crowd");

static const struct contender contenders[] = {
	{ "mpmc",
	  "a bare MPMC ring of requests, one of replies per client; nobody sleeps",
	  mpmc_scaling,
	  NULL,
	  { NULL },
	  false },
	{ "cadre",
	  "clients that fill up to 32 jobs and wait for the oldest; all by default",
	  cadre_scaling,
	  NULL,
	  { "mpmc" },
	  false },
};

const struct question question_scaling = {
	.name = "scaling",
	.sentence = "How many 64-byte jobs per second do so many clients x so many workers?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.less_is_better = false,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};

static const struct column fairness_columns[] = {
	{ "1x1", "", 3 }, { "1x2", "", 3 }, { "1x4", "", 3 }, { "2x1", "", 3 },
	{ "2x2", "", 3 }, { "4x4", "", 3 }, { "8x8", "", 3 }, { "16x16", "", 3 },
};

static_assert(COUNT_OF(fairness_columns) == CROWDS, "a column for each crowd");

static const struct contender fairness_contenders[] = {
	{ "clients",
	  "Jain's index over what each client got done: 1 is even",
	  cadre_clients,
	  NULL,
	  { NULL },
	  false },
	{ "workers",
	  "the least share of a worker beside the greatest: 0 when one was not needed",
	  cadre_workers,
	  NULL,
	  { NULL },
	  false },
};

const struct question question_fairness = {
	.name = "fairness",
	.sentence = "How evenly is that shared?",
	.columns = fairness_columns,
	.column_count = COUNT_OF(fairness_columns),
	.less_is_better = false,
	.contenders = fairness_contenders,
	.contender_count = COUNT_OF(fairness_contenders),
};
