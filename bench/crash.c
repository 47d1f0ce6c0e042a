/*
 * crash.c - a worker is killed: how soon does its caller know, and how soon is it replaced?
 *
 * SIGKILL comes while the worker runs a job and a second job waits behind it. From there:
 * until the first caller has *lost* in its hands; until the replacement runs the first
 * instruction; until it has run the job that waited. Each kill has a pool
 * of its own, at its defaults with one worker, since a worker that dies twice in a short
 * while is restarted later on purpose.
 *
 * A program of 100 MB has touched so much before it starts the pool, in small pages: what is
 * forked from it copies the tables of 25,600 pages, and what dies has to give them back. Unless
 * it has started a fork server before.
 */
#include "echo.h"
#include "peers/death.h"
#include "peers/peer.h"
#include "sample.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KILLS_MAX 40
#define HANG_OPERATION 1
#define STAMP_OPERATION 2
#define PATIENCE_MS 5000

/* What the workers write, and whoever measures reads; forked with the program. */
struct stamps {
	_Atomic int32_t victim;     /* who runs the job that never ends */
	_Atomic int64_t started_ns; /* the latest fork */
	_Atomic int64_t ran_ns;     /* the job that waited */
};

static struct stamps *stamps;

/* The program polls its worker's pidfd before it waits for the job. */
static bool polls;

/* ---- the service ---- */

/* The first that a fork does in the child. Everybody of the pool does it; after a kill the
 * replacement alone. */
static void stamp_birth(void)
{
	atomic_store(&stamps->started_ns, bench_now_ns());
}

static void hang(struct cadre_job *job, void *state)
{
	(void)job;
	(void)state;
	atomic_store(&stamps->victim, getpid());
	for (;;)
		__asm__ volatile("" ::: "memory");
}

static void stamp(struct cadre_job *job, void *state)
{
	(void)state;
	atomic_store(&stamps->ran_ns, bench_now_ns());
	cadre_job_reply(job, NULL, 0);
}

static const struct cadre_operation operations[] = {
	{ HANG_OPERATION, "hang", hang },
	{ STAMP_OPERATION, "stamp", stamp },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "mortal",
	.operations = operations,
	.operation_count = COUNT_OF(operations),
};

/* ---- one death ---- */

/* When the kill was sent is 0. */
struct death {
	double lost_us;
	double started_us;
	double ran_us;
};

static int say(const char *what, int r)
{
	fprintf(stderr, "cadre-bench: %s: %s\n", what, strerror(-r));
	return r;
}

static int submit(struct cadre_client *client, int32_t operation,
		  struct cadre_ticket *ret_ticket)
{
	const struct cadre_request request = { .operation = operation };
	const int r = cadre_try_submit(client, &request, ret_ticket);

	return r < 0 ? say("a job was not accepted", r) : 0;
}

/* Waits for the end that it must have; the time then is in *ret_ns. */
static int await(struct cadre_client *client, struct cadre_ticket ticket,
		 enum cadre_outcome expected, int64_t *ret_ns)
{
	struct cadre_result result;
	const int r = cadre_await(client, ticket, cadre_in_ms(PATIENCE_MS), &result);

	*ret_ns = bench_now_ns();
	if (r < 0)
		return say("a job did not end", r);
	if (result.outcome != expected)
		fprintf(stderr, "cadre-bench: a job ended as %s instead of %s\n",
			cadre_outcome_name(result.outcome), cadre_outcome_name(expected));
	cadre_release(client, &result);
	return result.outcome == expected ? 0 : -EBADMSG;
}

static int await_victim(void)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);

	while (atomic_load(&stamps->victim) == 0) {
		if (bench_now_ns() > until_ns)
			return say("no worker took a job", -ETIMEDOUT);
		bench_rest(0.0002);
	}
	return 0;
}

/* As a caller has it: its worker is killed, its job ends. Or, `polls`, as the kernel tells
 * anybody. */
static int lose_worker(struct cadre_client *client, struct cadre_ticket running,
		       int64_t *ret_kill_ns, int64_t *ret_lost_ns)
{
	const pid_t victim = atomic_load(&stamps->victim);
	int64_t unused;
	int pidfd;

	if (!polls) {
		bench_rest(DEATH_REST_S);
		*ret_kill_ns = bench_now_ns();
		kill(victim, SIGKILL);
		return await(client, running, CADRE_LOST, ret_lost_ns);
	}
	pidfd = death_of(victim, ret_kill_ns, ret_lost_ns);
	if (pidfd < 0)
		return say("a worker could not be watched", pidfd);
	close(pidfd);
	return await(client, running, CADRE_LOST, &unused);
}

static int kill_worker(struct cadre_client *client, struct death *ret_death)
{
	struct cadre_ticket running, waiting;
	int64_t kill_ns, lost_ns, unused;
	int r;

	atomic_store(&stamps->victim, 0);
	r = submit(client, HANG_OPERATION, &running);
	if (r == 0)
		r = submit(client, STAMP_OPERATION, &waiting);
	if (r == 0)
		r = await_victim();
	if (r < 0)
		return r;
	r = lose_worker(client, running, &kill_ns, &lost_ns);
	if (r == 0)
		r = await(client, waiting, CADRE_OK, &unused);
	if (r < 0)
		return r;
	ret_death->lost_us = (double)(lost_ns - kill_ns) / 1e3;
	ret_death->started_us = (double)(atomic_load(&stamps->started_ns) - kill_ns) / 1e3;
	ret_death->ran_us = (double)(atomic_load(&stamps->ran_ns) - kill_ns) / 1e3;
	return 0;
}

static int die_once(struct death *ret_death)
{
	const struct cadre_pool_options options = {
		.size = sizeof(options),
		.workers_min = 1,
		.workers_max = 1,
		.log_sinks = CADRE_LOG_TO_NOBODY,
	};
	struct cadre_pool *pool;
	struct cadre_diag diag;
	int r, stop;

	r = cadre_pool_start(&service, &options, &pool, &diag);
	if (r < 0) {
		fprintf(stderr, "cadre-bench: %s\n", diag.text);
		return r;
	}
	r = kill_worker(cadre_pool_client(pool), ret_death);
	stop = echo_stop(pool);
	return r < 0 ? r : stop;
}

static int kill_often(const struct bench *bench, double *ret_values)
{
	const unsigned kills = bench->quick ? KILLS_MAX / 3 : KILLS_MAX;
	double lost[KILLS_MAX], started[KILLS_MAX], ran[KILLS_MAX];

	for (unsigned i = 0; i < kills; i++) {
		struct death death;
		const int r = die_once(&death);

		if (r < 0)
			return r;
		lost[i] = death.lost_us;
		started[i] = death.started_us;
		ran[i] = death.ran_us;
	}
	ret_values[0] = sample_of(lost, kills).median;
	ret_values[1] = sample_of(started, kills).median;
	ret_values[2] = sample_of(ran, kills).median;
	return 0;
}

static int die_often(const struct bench *bench, double *ret_values)
{
	if (pthread_atfork(NULL, NULL, stamp_birth) != 0)
		return -ENOMEM;
	return kill_often(bench, ret_values);
}

static const size_t big_bytes = 100u << 20;

/* What is registered later, the server does not have. */
static int die_often_by_server(const struct bench *bench, double *ret_values)
{
	struct cadre_diag diag;
	int r;

	if (pthread_atfork(NULL, NULL, stamp_birth) != 0)
		return -ENOMEM;
	r = cadre_fork_server_start(&diag);
	if (r < 0)
		fprintf(stderr, "cadre-bench: %s\n", diag.text);
	else
		r = death_touch(big_bytes);
	return r < 0 ? r : kill_often(bench, ret_values);
}

static int crash(const struct bench *bench, const size_t *bytes,
		 int (*measure)(const struct bench *bench, double *ret_values),
		 double *ret_values)
{
	int r;

	stamps = peer_share(sizeof(*stamps));
	if (!stamps)
		return -ENOMEM;
	r = death_in_program(bench, bytes, measure, ret_values);
	peer_unshare(stamps, sizeof(*stamps));
	return r;
}

static int cadre_crash(const struct bench *bench, const void *with, double *ret_values)
{
	return crash(bench, with, die_often, ret_values);
}

static int cadre_crash_polled(const struct bench *bench, const void *with,
			      double *ret_values)
{
	int r;

	polls = true;
	r = crash(bench, with, die_often, ret_values);
	polls = false;
	return r;
}

static int cadre_crash_by_server(const struct bench *bench, const void *with,
				 double *ret_values)
{
	(void)with;
	return crash(bench, NULL, die_often_by_server, ret_values);
}

static const struct column columns[DEATH_COLUMNS] = {
	{ "lost", "us", 0 },
	{ "started", "us", 0 },
	{ "job", "us", 0 },
};

static const struct contender contenders[] = {
	{ "fork",
	  "a small process forks another: to its first instruction, without a death",
	  death_fork,
	  NULL,
	  { NULL },
	  false },
	{ "pidfd",
	  "a small process polls the pidfd of its child that is killed, then forks another",
	  death_pidfd,
	  NULL,
	  { NULL },
	  false },
	{ "pidfd 100 MB",
	  "the same with parent and child of 100 MB",
	  death_pidfd,
	  &big_bytes,
	  { "pidfd" },
	  false },
	{ "pidfd of a worker",
	  "the program polls the pidfd of its pool's worker that is killed; replaced as ever",
	  cadre_crash_polled,
	  NULL,
	  { "pidfd" },
	  false },
	{ "cadre",
	  "cadre_await of a job whose worker is killed, a pool of one worker",
	  cadre_crash,
	  NULL,
	  { "pidfd", "pidfd of a worker" },
	  false },
	{ "cadre 100 MB",
	  "the same with a program that has touched 100 MB before it starts the pool",
	  cadre_crash,
	  &big_bytes,
	  { "pidfd", "pidfd 100 MB" },
	  false },
	{ "cadre fork server",
	  "the same with a program that started a fork server before it touched 100 MB",
	  cadre_crash_by_server,
	  NULL,
	  { "pidfd", "cadre 100 MB" },
	  false },
};

const struct question question_crash = {
	.name = "crash",
	.sentence = "SIGKILL to a worker: until its caller knows, its replacement starts, and "
		    "the job that waited is done?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.less_is_better = true,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
