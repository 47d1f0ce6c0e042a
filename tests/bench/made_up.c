/*
 * made_up.c - questions and goals for the engine of the bench (bench/main.c, ask.c, report.c)
 * whose answers do not depend on any machine: proc_bench.c makes claims about what comes of
 * them.
 */
#include "peers/kernel.h"
#include "peers/peer.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

/* What one says, round by round; after the last one it begins anew. */
struct script {
	double values[3];
	unsigned *round;
};

static int recite(const struct bench *bench, const void *with, double *ret_values)
{
	const struct script *const script = with;

	(void)bench;
	ret_values[0] = script->values[(*script->round)++ % 3];
	return 0;
}

static int be_absent(const struct bench *bench, const void *with, double *ret_values)
{
	(void)bench;
	(void)ret_values;
	return bench_absent(with);
}

static int fail(const struct bench *bench, const void *with, double *ret_values)
{
	(void)bench;
	(void)with;
	ret_values[0] = 7;
	fprintf(stderr, "made-up: this one has failed\n");
	return -EIO;
}

/* Well once, then never again. */
static int fail_later(const struct bench *bench, const void *with, double *ret_values)
{
	static bool has_answered;

	if (has_answered)
		return fail(bench, with, ret_values);
	has_answered = true;
	ret_values[0] = 1;
	return 0;
}

static void die(void *shared)
{
	(void)shared;
	raise(SIGKILL);
}

static int await_the_dead(const struct bench *bench, const void *with, double *ret_values)
{
	const pid_t peer = peer_start(bench, die, NULL);

	(void)with;
	(void)ret_values;
	return peer < 0 ? peer : peer_await(peer);
}

#define NOBODY       \
	{            \
		NULL \
	}

/* ---- goals that are met, and some that cannot be judged ---- */

static unsigned rounds[6];

/* Medians are 8 and 2; the ratios within the rounds 2, 2 and 4. */
static const struct script ours = { { 2, 40, 8 }, &rounds[0] };
static const struct script theirs = { { 1, 20, 2 }, &rounds[1] };
static const struct script one = { { 1, 1, 1 }, &rounds[5] };

static const struct column columns[] = { { "said", "things", 1 }, { "unsaid", "", 1 } };

static const struct contender of_kept[] = {
	{ "cadre", "says 2, 40, 8", recite, &ours, { "rival", "missing" }, false },
	{ "rival", "says 1, 20, 2", recite, &theirs, NOBODY, false },
	{ "missing", "says why not", be_absent, "it is not installed", NOBODY, false },
	{ "slow", "is left out by --quick", recite, &one, NOBODY, true },
};

static const struct question kept = {
	.name = "kept",
	.sentence = "Are these goals met?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.contenders = of_kept,
	.contender_count = COUNT_OF(of_kept),
};

/* ---- one that is missed ---- */

static const struct script three = { { 3, 3, 3 }, &rounds[2] };

static const struct contender of_missed[] = {
	{ "cadre", "says 3", recite, &three, NOBODY, false },
};

static const struct question missed = {
	.name = "missed",
	.sentence = "And this one?",
	.columns = columns,
	.column_count = 1,
	.rounds_max = 1,
	.contenders = of_missed,
	.contender_count = COUNT_OF(of_missed),
};

/* ---- failures ---- */

static const struct script steady = { { 4, 4, 4 }, &rounds[3] };
static const struct script own = { { 2, 2, 2 }, &rounds[4] };

static const struct contender of_failures[] = {
	{ "at once", "fails", fail, NULL, NOBODY, false },
	{ "later", "says 1, then fails", fail_later, NULL, NOBODY, false },
	{ "dead peer", "loses its peer", await_the_dead, NULL, NOBODY, false },
	{ "steady", "says 4", recite, &steady, NOBODY, false },
	{ "cadre", "says 2", recite, &own, { "at once", "later", "steady" }, false },
};

static const struct question failures = {
	.name = "failures",
	.sentence = "Who fails?",
	.columns = columns,
	.column_count = 1,
	.contenders = of_failures,
	.contender_count = COUNT_OF(of_failures),
};

static const struct contender of_broken[] = {
	{ "cadre that fails", "fails", fail, NULL, NOBODY, false },
};

static const struct question broken = {
	.name = "broken",
	.sentence = "Does Cadre fail?",
	.columns = columns,
	.column_count = 1,
	.contenders = of_broken,
	.contender_count = COUNT_OF(of_broken),
};

/* ---- processes ---- */

/* A pipe, and a peer that is late: when it looks up from its answer, whoever got that has long
 * gone on. */
static bool is_peer;

static int join_late(bool is_client)
{
	is_peer = !is_client;
	return kernel_pipe.join(is_client);
}

static int send_late(const void *data, size_t length)
{
	const int r = kernel_pipe.send(data, length);

	if (is_peer)
		bench_rest(0.002);
	return r;
}

/* The rest is the pipe's. */
static struct transport late_pipe;

static int payload_of_late(const struct bench *bench, const void *with, double *ret_values)
{
	const struct messenger late = { "late", &late_pipe, true };

	(void)with;
	late_pipe = kernel_pipe;
	late_pipe.join = join_late;
	late_pipe.send = send_late;
	return messages_payload(bench, &late, ret_values);
}

static const struct column sizes[] = {
	{ "64 B", "us", 1 },  { "1 KiB", "us", 1 },  { "64 KiB", "us", 1 },
	{ "1 MiB", "us", 1 }, { "16 MiB", "us", 1 },
};

static const struct contender of_late[] = {
	{ "late", "a pipe whose peer is late", payload_of_late, NULL, NOBODY, false },
};

static const struct question late = {
	.name = "late",
	.sentence = "Does a late peer stay for the last message?",
	.columns = sizes,
	.column_count = COUNT_OF(sizes),
	.contenders = of_late,
	.contender_count = COUNT_OF(of_late),
};

static void spin(void *shared)
{
	atomic_store((_Atomic bool *)shared, true);
	for (;;)
		__asm__ volatile("" ::: "memory");
}

/* Until somebody kills it. */
static int hold(const struct bench *bench, const void *with, double *ret_values)
{
	_Atomic bool *const spins = peer_share(sizeof(*spins));
	struct awake awake;

	(void)with;
	(void)ret_values;
	if (!spins || bench_keep_awake(bench, &awake) < 0 ||
	    peer_start(bench, spin, spins) < 0)
		return -EAGAIN;
	while (!atomic_load(spins))
		bench_rest(0.001);
	fprintf(stderr, "made-up: three children spin\n");
	for (;;)
		bench_rest(1);
}

static const struct contender of_held[] = {
	{ "held", "starts processes, and stays", hold, NULL, NOBODY, false },
};

static const struct question held = {
	.name = "held",
	.sentence = "Does anybody outlive the bench?",
	.columns = columns,
	.column_count = 1,
	.contenders = of_held,
	.contender_count = COUNT_OF(of_held),
};

const struct question *const bench_questions[] = { &kept, &missed, &failures, &broken,
						   &late, &held,   NULL };

/* ---- goals ---- */

#define NONE                     \
	{                        \
		.question = NULL \
	}

const struct goal bench_goals[] = {
	/* A bound belongs to what it bounds. */
	{ "ratio",
	  "is 2",
	  { "kept", "cadre", "said" },
	  { "kept", "rival", "said" },
	  .at_least = true,
	  .limit = 2 },
	{ "value",
	  "is 8",
	  { "kept", "cadre", "said" },
	  NONE,
	  .at_least = false,
	  .limit = 8,
	  .floors = { "rival", "missing" } },
	{ "unsaid",
	  "nobody knows",
	  { "kept", "cadre", "unsaid" },
	  NONE,
	  .at_least = true,
	  .limit = 1 },
	{ "beside_missing",
	  "nobody knows",
	  { "kept", "cadre", "said" },
	  { "kept", "missing", "said" },
	  .at_least = true,
	  .limit = 1 },
	{ "too_much",
	  "is 3",
	  { "missed", "cadre", "said" },
	  NONE,
	  .at_least = false,
	  .limit = 2.5 },
	{ "beside_later",
	  "nobody knows, though one round was measured",
	  { "failures", "cadre", "said" },
	  { "failures", "later", "said" },
	  .at_least = true,
	  .limit = 100 },
	{ "beside_steady",
	  "is 0.5",
	  { "failures", "cadre", "said" },
	  { "failures", "steady", "said" },
	  .at_least = false,
	  .limit = 0.5 },
};

const size_t bench_goal_count = COUNT_OF(bench_goals);
