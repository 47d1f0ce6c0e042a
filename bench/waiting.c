/*
 * waiting.c - how long does a round trip take when both sides sleep, or may sleep?
 *
 * Most of it is what the machine needs to wake a process, and that depends on where the two
 * sides are and on what their CPUs did meanwhile. Hence four situations:
 *
 *   as is       two CPUs, each of which halts while nobody wants it
 *   kept awake  the same, with somebody of the lowest class on each of them, so that none halts
 *   one core    both sides on the client's CPU: who spins there keeps the other from working
 *   hot         two CPUs and call upon call, so that a side that looks for a while need not
 *               sleep
 *
 * Who sleeps at once is not hot, and who always spins has nothing to do on one core.
 */
#include "echo.h"
#include "peers/futex_trip.h"

#include <errno.h>

enum situation {
	AS_IS,
	KEPT_AWAKE,
	ONE_CORE,
	HOT,
	SITUATIONS,
};

#define TRIPS_HOT 500
#define TRIPS 20

/* Who waits, and where that is asked. */
struct waiter {
	int (*trip)(const struct bench *bench, const struct waiter *waiter, int trips,
		    double *ret_ns);
	enum echo_manner manner;                                    /* of Cadre */
	int (*by_futex)(const struct bench *bench, double *ret_ns); /* of the others */
	bool in[SITUATIONS];
};

static int trip_by_futex(const struct bench *bench, const struct waiter *waiter,
			 int trips, double *ret_ns)
{
	(void)trips;
	return waiter->by_futex(bench, ret_ns);
}

static int trip_by_cadre(const struct bench *bench, const struct waiter *waiter,
			 int trips, double *ret_ns)
{
	struct cadre_pool *const pool = echo_start(bench, 1, waiter->manner);
	struct echo_caller caller = { .trips = trips };
	int r;

	if (!pool)
		return -ECANCELED;
	caller.client = cadre_pool_client(pool);
	*ret_ns = bench_median_batch(bench, echo_trips, &caller);
	r = echo_stop(pool);
	return caller.error ? caller.error : r;
}

static int trip_while_awake(const struct bench *bench, const struct waiter *waiter,
			    double *ret_ns)
{
	struct awake awake;
	int r = bench_keep_awake(bench, &awake);

	if (r < 0)
		return r;
	r = waiter->trip(bench, waiter, TRIPS, ret_ns);
	bench_let_halt(&awake);
	return r;
}

static int trip_on_one_core(const struct bench *bench, const struct waiter *waiter,
			    double *ret_ns)
{
	struct bench one = *bench;

	one.worker_cpu = bench->client_cpu;
	return waiter->trip(&one, waiter, TRIPS, ret_ns);
}

static int trip_in(const struct bench *bench, const struct waiter *waiter,
		   enum situation situation, double *ret_ns)
{
	switch (situation) {
	case KEPT_AWAKE:
		return trip_while_awake(bench, waiter, ret_ns);
	case ONE_CORE:
		return trip_on_one_core(bench, waiter, ret_ns);
	case HOT:
		return waiter->trip(bench, waiter, TRIPS_HOT, ret_ns);
	default:
		return waiter->trip(bench, waiter, TRIPS, ret_ns);
	}
}

static int wait_in_each(const struct bench *bench, const void *with, double *ret_values)
{
	const struct waiter *const waiter = with;
	int r = 0;

	for (enum situation in = 0; in < SITUATIONS && r == 0; in++) {
		if (waiter->in[in])
			r = trip_in(bench, waiter, in, &ret_values[in]);
		bench_unpin();
	}
	return r;
}

static const struct waiter futex = {
	.trip = trip_by_futex,
	.by_futex = futex_trip,
	.in = { [AS_IS] = true, [KEPT_AWAKE] = true, [ONE_CORE] = true },
};

static const struct waiter futex_bounded = {
	.trip = trip_by_futex,
	.by_futex = futex_bounded_trip,
	.in = { [AS_IS] = true, [KEPT_AWAKE] = true, [ONE_CORE] = true },
};

static const struct waiter asleep = {
	.trip = trip_by_cadre,
	.manner = ECHO_SLEEPS,
	.in = { [AS_IS] = true, [KEPT_AWAKE] = true, [ONE_CORE] = true },
};

static const struct waiter adaptive = {
	.trip = trip_by_cadre,
	.manner = ECHO_ADAPTS,
	.in = { [ONE_CORE] = true, [HOT] = true },
};

static const struct waiter spinning = {
	.trip = trip_by_cadre,
	.manner = ECHO_SPINS,
	.in = { [HOT] = true },
};

static const struct column columns[] = {
	[AS_IS] = { "as is", "ns", 0 },
	[KEPT_AWAKE] = { "kept awake", "ns", 0 },
	[ONE_CORE] = { "one core", "ns", 0 },
	[HOT] = { "hot", "ns", 0 },
};

static const struct contender contenders[] = {
	{ "futex",
	  "two processes that wake each other: the limit of sleeping",
	  wait_in_each,
	  &futex,
	  { NULL },
	  false },
	{ "futex bounded",
	  "the same when each sleep ends after 0.2 s, so that nobody hangs whose waker was killed",
	  wait_in_each,
	  &futex_bounded,
	  { "futex" },
	  false },
	{ "cadre asleep",
	  "cadre_call of a 64-byte job, neither looks for longer: it sleeps, or gives way to who is on its CPU",
	  wait_in_each,
	  &asleep,
	  { "futex", "futex bounded" },
	  false },
	{ "cadre adaptive",
	  "the same by default: both sides look for a while where that helps",
	  wait_in_each,
	  &adaptive,
	  { "futex" },
	  false },
	{ "cadre spinning",
	  "the same, both sides look for as long as it takes",
	  wait_in_each,
	  &spinning,
	  { NULL },
	  false },
};

const struct question question_waiting = {
	.name = "waiting",
	.sentence = "How long does a round trip take when both sides sleep, or may sleep?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.ratio_column = ONE_CORE,
	.less_is_better = true,
	.turns = 3,
	.turning = COUNT_OF(contenders),
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
