/*
 * dispatch.c - how much longer does a job wait than the best dispatcher would make it wait?
 *
 * One client submits jobs at random times (a Poisson process), whether or not others are under
 * way; two workers run them. How long a job waits, from its submission to the start of its
 * handler, depends mostly on how long the jobs before it run. So the ideal is computed from the
 * very same jobs: one queue in front of two workers that never let a job wait while one of them
 * is idle, and that take the oldest first (M/G/2, ideal.h), fed with the times of submission and
 * the running times that were measured.
 *
 * A job runs for 1 ms on the average, so that a wake-up (30 to 50 us in a virtual machine),
 * which the ideal does not have, does not decide the ratio. Handlers wait for a time to come:
 * asleep, but for the last part, so that client and two workers have room on two CPUs, and what
 * is measured is the queue.
 *
 * Lengths come from two distributions with that mean, exponential and heavy-tailed (ideal.h).
 * Seeds are fixed, so each round has the same lengths and the same gaps.
 */
#include "echo.h"
#include "ideal.h"
#include "sample.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define WORKERS 2
#define MEAN_NS 1e6
#define DURATION_S 6.0
#define DURATION_QUICK_S 2.0
#define WINDOW 1024u /* jobs that may wait for their client to take them */
#define WAIT_FOR 1   /* the operation; its request is a number of nanoseconds */

/* A wake-up by the clock comes late by up to so much: that long it is awaited awake. */
#define AWAKE_NS 80000

static const double loads[] = { 0.5, 0.8, 0.95 };

#define LOADS COUNT_OF(loads)
#define LOAD_OF_QUICK 1

static const double shares[] = { 0.5, 0.99, 0.999 };

#define SHARES COUNT_OF(shares)

static void sleep_until(int64_t until_ns)
{
	const struct timespec until = { .tv_sec = until_ns / 1000000000,
					.tv_nsec = until_ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		continue;
}

static void await_time(int64_t until_ns)
{
	if (until_ns - bench_now_ns() > AWAKE_NS)
		sleep_until(until_ns - AWAKE_NS);
	while (bench_now_ns() < until_ns)
		continue;
}

/* ---- the workers ---- */

static void wait_for(struct cadre_job *job, void *state)
{
	const int64_t start_ns = bench_now_ns();
	int64_t length_ns = 0;
	size_t size;
	const void *const data = cadre_job_data(job, &size);

	(void)state;
	if (size == sizeof(length_ns))
		memcpy(&length_ns, data, sizeof(length_ns));
	await_time(start_ns + length_ns);
	cadre_job_reply(job, NULL, 0);
}

static int begin(const struct cadre_start *start, void **ret_state,
		 struct cadre_diag *diag)
{
	struct bench bench;

	(void)ret_state;
	(void)diag;
	if (echo_told(start, &bench))
		bench_hurry(&bench);
	prctl(PR_SET_TIMERSLACK, 1);
	return 0;
}

static const struct cadre_operation operations[] = { { WAIT_FOR, "wait_for", wait_for } };

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "wait",
	.operations = operations,
	.operation_count = COUNT_OF(operations),
	.init = begin,
};

static struct cadre_pool *start_pool(const struct bench *bench)
{
	const struct cadre_pool_options options = {
		.size = sizeof(options),
		.workers_min = WORKERS,
		.workers_max = WORKERS,
		.clients_max = 2,
		.window_slots = WINDOW,
		.start_data = bench,
		.start_length = sizeof(*bench),
	};

	return echo_start_service(&service, &options);
}

/* ---- a trial: one distribution at one load ---- */

struct trial {
	size_t count;
	double *submitted_ns, *waited_ns,
		*ran_ns; /* of each job, in order of submission */
};

struct source {
	struct cadre_client *client;
	struct trial *trial;
	struct cadre_ticket tickets[WINDOW]; /* of job n at n modulo WINDOW */
	size_t taken;                        /* jobs whose results were taken */
};

static int take_result(struct source *source, const struct cadre_result *result)
{
	struct trial *const trial = source->trial;

	if (result->outcome != CADRE_OK) {
		fprintf(stderr, "cadre-bench: a job ended as %s: %s\n",
			cadre_outcome_name(result->outcome), result->sentence);
		return -EBADMSG;
	}
	trial->waited_ns[source->taken] = (double)result->waiting_ns;
	trial->ran_ns[source->taken] = (double)result->running_ns;
	source->taken++;
	return cadre_release(source->client, result);
}

/* Takes what has ended, oldest first, and waits until fewer than `most` are left. */
static int take_down_to(struct source *source, size_t most)
{
	int r = 0;

	while (r == 0 && source->taken < source->trial->count) {
		const struct cadre_ticket ticket = source->tickets[source->taken % WINDOW];
		struct cadre_result result;

		if (source->trial->count - source->taken > most)
			r = cadre_await(source->client, ticket, CADRE_FOREVER, &result);
		else
			r = cadre_try_take(source->client, ticket, &result);
		if (r == 0)
			r = take_result(source, &result);
	}
	return r == -EAGAIN ? 0 : r;
}

static int submit(struct source *source, int64_t length_ns)
{
	const struct cadre_request request = { .operation = WAIT_FOR,
					       .data = &length_ns,
					       .length = sizeof(length_ns) };
	struct trial *const trial = source->trial;
	int r = take_down_to(source, WINDOW - 1);

	if (r < 0)
		return r;
	trial->submitted_ns[trial->count] = (double)bench_now_ns();
	r = cadre_try_submit(source->client, &request,
			     &source->tickets[trial->count % WINDOW]);
	trial->count += r == 0;
	return r;
}

/* Submits at the times of a Poisson process, then waits for the rest. */
static int run_trial(struct cadre_client *client, draw_fn *draw, double load, size_t jobs,
		     struct trial *trial)
{
	struct source *const source = calloc(1, sizeof(*source));
	unsigned short gaps[] = { 1, 2, 3 }, lengths[] = { 4, 5, 6 };
	double next_ns = (double)bench_now_ns();
	int r = source ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	source->client = client;
	source->trial = trial;
	for (size_t n = 0; n < jobs && r == 0; n++) {
		next_ns += draw_exponential(MEAN_NS, gaps) / (load * WORKERS);
		sleep_until((int64_t)next_ns);
		r = submit(source, (int64_t)draw(MEAN_NS, lengths));
	}
	if (r == 0)
		r = take_down_to(source, 0);
	free(source);
	return r;
}

/* ---- the contenders ---- */

struct waits {
	double ms[LOADS * SHARES];
};

struct distribution {
	draw_fn *draw;
	/* Of the last trials. */
	struct waits ideal;
	bool is_fresh;
};

static void summarize(const double *waited_ns, size_t count, double *ret_ms)
{
	for (size_t i = 0; i < SHARES; i++)
		ret_ms[i] = sample_quantile(waited_ns, count, shares[i]) / 1e6;
}

static int measure_load(const struct bench *bench, struct cadre_client *client,
			struct distribution *distribution, size_t load,
			struct waits *ret_measured)
{
	const double duration_s = bench->quick ? DURATION_QUICK_S : DURATION_S;
	const size_t jobs = (size_t)(duration_s * 1e9 / MEAN_NS * loads[load] * WORKERS);
	double *const numbers = calloc(4 * jobs, sizeof(*numbers));
	double *const ideal_ns = &numbers[3 * jobs];
	struct trial trial = { .submitted_ns = numbers,
			       .waited_ns = &numbers[jobs],
			       .ran_ns = &numbers[2 * jobs] };
	int r;

	if (!numbers)
		return -ENOMEM;
	r = run_trial(client, distribution->draw, loads[load], jobs, &trial);
	if (r == 0) {
		ideal_waits(trial.submitted_ns, trial.ran_ns, jobs, WORKERS, ideal_ns);
		summarize(trial.waited_ns, jobs, &ret_measured->ms[load * SHARES]);
		summarize(ideal_ns, jobs, &distribution->ideal.ms[load * SHARES]);
	}
	free(numbers);
	return r;
}

static int measure(const struct bench *bench, struct distribution *distribution,
		   struct waits *ret_measured)
{
	struct cadre_pool *const pool = start_pool(bench);
	int r = 0, stop;

	if (!pool)
		return -ECANCELED;
	bench_hurry(bench);
	prctl(PR_SET_TIMERSLACK, 1);
	for (size_t i = 0; i < LOADS * SHARES; i++)
		ret_measured->ms[i] = distribution->ideal.ms[i] = NAN;
	for (size_t load = 0; load < LOADS && r == 0; load++) {
		if (!bench->quick || load == LOAD_OF_QUICK)
			r = measure_load(bench, cadre_pool_client(pool), distribution,
					 load, ret_measured);
	}
	prctl(PR_SET_TIMERSLACK, 0);
	stop = echo_stop(pool);
	distribution->is_fresh = r == 0;
	return r < 0 ? r : stop;
}

static struct distribution exponential = { .draw = draw_exponential };
static struct distribution heavy = { .draw = draw_pareto };

static struct distribution *const distributions[] = { &exponential, &heavy };

static int cadre_dispatch(const struct bench *bench, const void *with, double *ret_values)
{
	struct waits measured;
	const int r = measure(bench, distributions[*(const int *)with], &measured);

	memcpy(ret_values, measured.ms, sizeof(measured.ms));
	return r;
}

/* Of the jobs that were just measured. */
static int ideal_dispatch(const struct bench *bench, const void *with, double *ret_values)
{
	struct distribution *const distribution = distributions[*(const int *)with];
	struct waits unused;
	const int r = distribution->is_fresh ? 0 : measure(bench, distribution, &unused);

	distribution->is_fresh = false;
	memcpy(ret_values, distribution->ideal.ms, sizeof(distribution->ideal.ms));
	return r;
}

static const int of_exponential = 0, of_heavy = 1;

static const struct column columns[] = {
	{ "50 % p50", "ms", 3 }, { "50 % p99", "ms", 3 }, { "50 % p99.9", "ms", 3 },
	{ "80 % p50", "ms", 3 }, { "80 % p99", "ms", 3 }, { "80 % p99.9", "ms", 3 },
	{ "95 % p50", "ms", 3 }, { "95 % p99", "ms", 3 }, { "95 % p99.9", "ms", 3 },
};

static_assert(sizeof(columns) / sizeof(columns[0]) == LOADS * SHARES, "each of each");

static const struct contender contenders[] = {
	{ "exponential",
	  "two workers, lengths exponential with mean 1 ms",
	  cadre_dispatch,
	  &of_exponential,
	  { "ideal" },
	  false },
	{ "ideal",
	  "the same jobs in an ideal M/G/2 queue, simulated",
	  ideal_dispatch,
	  &of_exponential,
	  { NULL },
	  false },
	{ "heavy",
	  "lengths bounded Pareto: shape 1.5, longest 1000 x shortest, mean 1 ms",
	  cadre_dispatch,
	  &of_heavy,
	  { "heavy ideal" },
	  false },
	{ "heavy ideal",
	  "the same jobs in an ideal M/G/2 queue, simulated",
	  ideal_dispatch,
	  &of_heavy,
	  { NULL },
	  false },
};

const struct question question_dispatch = {
	.name = "dispatch",
	.sentence = "How long do jobs wait at 50, 80 and 95 % load, beside the ideal?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.ratio_column = 4,
	.less_is_better = true,
	.rounds_max = 2,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
