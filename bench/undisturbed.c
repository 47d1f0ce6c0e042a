/*
 * undisturbed.c - what does a round trip take while nobody shares the two cores?
 *
 * Neighbours of a virtual machine come and go within milliseconds, so a median over a round is
 * one of what they leave. Here each batch stands between two looks whether both CPUs have
 * their cores for themselves, and counts only if so each time; lines and jobs are measured by
 * the same two processes, in turn, so that they have the same CPUs in the same millisecond.
 */
#include "echo.h"
#include "peers/line.h"
#include "sample.h"
#include "width.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIPS 300
#define LOOK_OPERATION 2
#define LINE_OPERATION 3
#define MOST_MOMENTS 20000u
#define LEAST_MOMENTS 20u /* less make no median */
#define WHILE_NS INT64_C(4000000000)
#define WHILE_QUICK_NS INT64_C(1200000000)
/* Farther from each other everybody takes three times as long, and each ratio is less. */
#define NEAR_NS 250

enum { COUNT, LINE, WHOLE, SHORT, WHOLE_RATIO, SHORT_RATIO, FIGURES };

static const struct column columns[FIGURES] = {
	[COUNT] = { "moments", "", 0 },
	[LINE] = { "line", "ns", 0 },
	[WHOLE] = { "64 B", "ns", 0 },
	[SHORT] = { "24 B", "ns", 0 },
	[WHOLE_RATIO] = { "64 B / line", "", 2 },
	[SHORT_RATIO] = { "24 B / line", "", 2 },
};

/* What was seen in the moments that count; one array for each figure. */
struct moments {
	double *values[FIGURES];
	size_t count;
};

struct caller {
	struct echo_caller echo;
	struct lines *lines;
};

/* ---- the worker ---- */

/* Shared with the worker, which is forked from us. */
static struct lines *lines_of_worker;

static void look(struct cadre_job *job, void *state)
{
	const double width = width_here();

	(void)state;
	cadre_job_reply(job, &width, sizeof(width));
}

static void answer_lines(struct cadre_job *job, void *state)
{
	(void)state;
	line_answer_batch(lines_of_worker);
	cadre_job_reply(job, NULL, 0);
}

static const struct cadre_operation operations[] = {
	{ ECHO_OPERATION, "echo", echo_back },
	{ LOOK_OPERATION, "look", look },
	{ LINE_OPERATION, "line", answer_lines },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "undisturbed",
	.operations = operations,
	.operation_count = COUNT_OF(operations),
	.init = echo_bind_worker,
};

/* ---- the client ---- */

/* Keeps the first error: whatever follows is in vain. */
static bool note(struct caller *caller, int r, const struct cadre_result *result)
{
	if (!caller->echo.error && r == 0 && result->outcome != CADRE_OK)
		r = -EBADMSG;
	if (!caller->echo.error && r < 0) {
		fprintf(stderr, "cadre-bench: a worker did not answer: %s\n",
			strerror(-r));
		caller->echo.error = r;
	}
	return !caller->echo.error;
}

static bool are_alone(struct caller *caller)
{
	const struct cadre_request request = { .operation = LOOK_OPERATION };
	const double ours = width_here();
	struct cadre_result result;
	double its = 0;
	const int r = cadre_call(caller->echo.client, &request, &result);

	if (!note(caller, r, &result))
		return false;
	if (result.length == sizeof(its))
		memcpy(&its, result.data, sizeof(its));
	cadre_release(caller->echo.client, &result);
	return ours >= WIDTH_ALONE && its >= WIDTH_ALONE;
}

/* ns, 0 on error. */
static double lines_in_a_handler(struct caller *caller)
{
	const struct cadre_request request = { .operation = LINE_OPERATION };
	struct cadre_client *const client = caller->echo.client;
	struct cadre_ticket ticket;
	struct cadre_result result;
	double ns;
	int r = cadre_try_submit(client, &request, &ticket);

	if (!note(caller, r, &(const struct cadre_result){ .outcome = CADRE_OK }))
		return 0;
	ns = line_batch(caller->lines);
	r = cadre_await(client, ticket, CADRE_FOREVER, &result);
	if (note(caller, r, &result))
		cadre_release(client, &result);
	return ns;
}

static void try_moment(struct caller *caller, struct moments *moments)
{
	const size_t at = moments->count;
	double line, whole, brief;

	if (!are_alone(caller))
		return;
	line = lines_in_a_handler(caller);
	whole = echo_trips(&caller->echo);
	brief = echo_short_trips(&caller->echo);
	line = fmin(line, lines_in_a_handler(caller));
	if (!are_alone(caller) || line >= NEAR_NS)
		return;
	moments->values[LINE][at] = line;
	moments->values[WHOLE][at] = whole;
	moments->values[SHORT][at] = brief;
	moments->values[WHOLE_RATIO][at] = whole / line;
	moments->values[SHORT_RATIO][at] = brief / line;
	moments->count++;
}

static void collect(const struct bench *bench, struct caller *caller,
		    struct moments *moments)
{
	const int64_t until_ns = bench_now_ns() +
				 (bench->quick ? WHILE_QUICK_NS : WHILE_NS);

	while (!caller->echo.error && moments->count < MOST_MOMENTS &&
	       bench_now_ns() < until_ns)
		try_moment(caller, moments);
}

static void sum_up(const struct moments *moments, double *ret_values)
{
	ret_values[COUNT] = (double)moments->count;
	if (moments->count < LEAST_MOMENTS)
		return;
	for (int i = LINE; i < FIGURES; i++)
		ret_values[i] = sample_of(moments->values[i], moments->count).median;
}

static int measure(const struct bench *bench, struct caller *caller, double *ret_values)
{
	double *const values = calloc(FIGURES * MOST_MOMENTS, sizeof(*values));
	struct moments moments = { .count = 0 };

	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < FIGURES; i++)
		moments.values[i] = values + i * MOST_MOMENTS;
	bench_pin(bench, bench->client_cpu);
	echo_trips(&caller->echo); /* warms up */
	collect(bench, caller, &moments);
	sum_up(&moments, ret_values);
	free(values);
	return caller->echo.error;
}

static int undisturbed(const struct bench *bench, const void *with, double *ret_values)
{
	const struct cadre_pool_options options = {
		.size = sizeof(options),
		.workers_min = 1,
		.workers_max = 1,
		.spin_ns = INT64_C(1000000000),
		.start_data = bench,
		.start_length = sizeof(*bench),
	};
	struct caller caller = { .echo.trips = TRIPS, .lines = line_share() };
	struct cadre_pool *pool;
	int r, end;

	(void)with;
	if (!caller.lines)
		return -ENOMEM;
	lines_of_worker = caller.lines;
	pool = echo_start_service(&service, &options);
	if (!pool) {
		line_unshare(caller.lines);
		return -ECANCELED;
	}
	caller.echo.client = cadre_pool_client(pool);
	r = measure(bench, &caller, ret_values);
	end = echo_stop(pool);
	line_unshare(caller.lines);
	return r < 0 ? r : end;
}

static const struct contender contenders[] = {
	{ "cadre",
	  "calls of 64 and of 24 bytes, both sides spin, lines and jobs batch by batch in turn",
	  undisturbed,
	  NULL,
	  { NULL },
	  false },
};

const struct question question_undisturbed = {
	.name = "undisturbed",
	.sentence = "How long is a round trip while nobody shares the two cores? (moments: how "
		    "often it was so, and the CPUs near each other, in the time)",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.ratio_column = WHOLE,
	.less_is_better = true,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
