/*
 * pools.c - how many empty jobs per second go through a whole job system?
 *
 * Each has one client and one worker process, and keeps so many jobs in flight that nobody
 * waits for them one by one. The others' jobs have no payload; those of Cadre have 64 bytes.
 */
#include "pools.h"
#include "echo.h"
#include "feeder.h"
#include "peers/beanstalk.h"
#include "peers/gearman.h"
#include "peers/redis.h"
#include "peers/script.h"
#include "sample.h"

#include <errno.h>

#define TURNS 64

/* ---- rates ---- */

static int measure_slice(pools_turn *turn, void *context, uint32_t in_flight,
			 double *ret_rate)
{
	const int64_t start_ns = bench_now_ns();
	int64_t now_ns = start_ns, jobs = 0;

	while (now_ns - start_ns < POOLS_SLICE_MS * INT64_C(1000000)) {
		const int ended = turn(context, in_flight);

		if (ended < 0)
			return ended;
		jobs += ended;
		now_ns = bench_now_ns();
	}
	*ret_rate = (double)jobs * 1e9 / (double)(now_ns - start_ns);
	return 0;
}

static int measure_rate(const struct bench *bench, pools_turn *turn, void *context,
			uint32_t in_flight, double *ret_rate)
{
	double rates[64];
	int r = measure_slice(turn, context, in_flight, &rates[0]);

	for (unsigned i = 0; r == 0 && i < pools_slices(bench); i++)
		r = measure_slice(turn, context, in_flight, &rates[i]);
	*ret_rate = sample_of(rates, pools_slices(bench)).median;
	return r;
}

int pools_measure(const struct bench *bench, pools_turn *turn, void *context,
		  double *ret_values)
{
	static const uint32_t in_flight[] = POOLS_IN_FLIGHT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < POOLS_COLUMNS; i++)
		r = measure_rate(bench, turn, context, in_flight[i], &ret_values[i]);
	return r;
}

/* ---- Cadre ---- */

/* Several at once: some of them find nothing, and looking at the clock takes time. */
static int turn(void *context, uint32_t in_flight)
{
	struct feeder *const feeder = context;
	const uint32_t before = feeder->taken;

	feeder->in_flight = in_flight;
	for (int i = 0; i < TURNS; i++)
		feeder_turn(feeder);
	return feeder->error ? feeder->error : (int)(feeder->taken - before);
}

static int cadre_pools(const struct bench *bench, const void *with, double *ret_values)
{
	struct cadre_pool *const pool = echo_start(bench, 1, ECHO_ADAPTS);
	struct feeder feeder = { .in_batches = false };
	int r, stop;

	(void)with;
	if (!pool)
		return -ECANCELED;
	feeder.client = cadre_pool_client(pool);
	r = pools_measure(bench, turn, &feeder, ret_values);
	if (r == 0)
		r = feeder_drain(&feeder);
	stop = echo_stop(pool);
	return r < 0 ? r : stop;
}

/* ---- the question ---- */

static const struct column columns[] = {
	{ "1", "jobs/s", 0 },
	{ "8", "jobs/s", 0 },
	{ "64", "jobs/s", 0 },
};

static const struct contender contenders[] = {
	{ "cadre",
	  "a pool as it is by default, its worker a process; 64 bytes there and back",
	  cadre_pools,
	  NULL,
	  { "redis", "piscina", "ProcessPoolExecutor" },
	  false },
	{ "redis",
	  "two lists, RPUSH and BLMPOP of all there are, a Unix socket",
	  redis_pools,
	  NULL,
	  { NULL },
	  false },
	{ "beanstalkd",
	  "two tubes, reserve and delete, TCP",
	  beanstalk_pools,
	  NULL,
	  { NULL },
	  true },
	{ "gearmand",
	  "libgearman, all in flight sent and awaited together, TCP",
	  gearman_pools,
	  NULL,
	  { NULL },
	  true },
	{ "ProcessPoolExecutor",
	  "Python's concurrent.futures, one process",
	  python_pools,
	  "ProcessPoolExecutor",
	  { NULL },
	  false },
	{ "multiprocessing.Pool",
	  "Python's apply_async, one process",
	  python_pools,
	  "multiprocessing.Pool",
	  { NULL },
	  true },
	{ "piscina",
	  "Node's pool of threads of one process, one of them",
	  piscina_pools,
	  NULL,
	  { NULL },
	  true },
};

const struct question question_pools = {
	.name = "pools",
	.sentence = "How many empty jobs per second through a whole job system?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.ratio_column = 2,
	.less_is_better = false,
	.rounds_max = 3,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
