/*
 * in_flight.c - how many small jobs per second go through with 1 to 256 of them in flight?
 *
 * The client fills up to that many, then takes those that have ended, oldest first, and fills up
 * again (feeder.h). The same loop for all contenders.
 */
#include "echo.h"
#include "feeder.h"
#include "packed.h"
#include "peers/ck.h"
#include "peers/command.h"
#include "peers/mpmc.h"
#include "peers/rivals.h"
#include "peers/slots.h"
#include "peers/spsc.h"

#include <errno.h>

#define JOBS 2000u

static const struct column columns[] = {
	{ "1", "jobs/s", 0 },
	{ "8", "jobs/s", 0 },
	{ "64", "jobs/s", 0 },
	{ "256", "jobs/s", 0 },
};

/* Goes on where the last batch left off, with what is in flight. */
static double batch(void *context)
{
	struct feeder *const feeder = context;
	const int64_t start_ns = bench_now_ns();
	const uint32_t goal = feeder->taken + JOBS;

	while (feeder->error == 0 && (int32_t)(goal - feeder->taken) > 0)
		feeder_turn(feeder);
	return (double)(feeder->taken - goal + JOBS) * 1e9 /
	       (double)(bench_now_ns() - start_ns);
}

static int cadre_in_flight(const struct bench *bench, const void *with, double *ret_values)
{
	static const uint32_t in_flight[] = BENCH_IN_FLIGHT;
	struct cadre_pool *const pool = echo_start(bench, 1, ECHO_SPINS);
	struct feeder feeder = { .in_batches = with != NULL };
	int r, stop;

	if (!pool)
		return -ECANCELED;
	feeder.client = cadre_pool_client(pool);
	for (size_t i = 0; i < COUNT_OF(in_flight) && feeder.error == 0; i++) {
		feeder.in_flight = in_flight[i];
		ret_values[i] = bench_median_batch(bench, batch, &feeder);
		feeder_drain(&feeder);
	}
	r = feeder.error;
	stop = echo_stop(pool);
	return r < 0 ? r : stop;
}

/* Another program, beside this one, whose worker counts nothing. */
static int cadre_uncounted(const struct bench *bench, const void *with, double *ret_values)
{
	char path[4096];
	const char *argv[9 + COMMAND_MANNERS] = { path,     "--only", "in_flight",
						  "--with", "cadre",  "--rounds",
						  "1",      "--value" };

	(void)with;
	if (!command_find_own("uncounted", path, sizeof(path)))
		return bench_absent(
			"cadre-bench-uncounted was not built (./dev bench does it)");
	command_add_manners(bench, argv);
	return command_ask(bench, "", argv, ret_values, COUNT_OF(columns));
}

static const struct contender contenders[] = {
	{ "spsc",
	  "a bare pair of rings, 64 bytes copied in and out",
	  spsc_in_flight,
	  NULL,
	  { NULL },
	  false },
	{ "mpmc",
	  "a bare pair of rings for many producers and consumers (Vyukov)",
	  mpmc_in_flight,
	  NULL,
	  { NULL },
	  false },
	{ "ck spsc",
	  "the same as spsc, of Concurrency Kit",
	  ck_spsc_in_flight,
	  NULL,
	  { NULL },
	  false },
	{ "ck mpmc",
	  "the same as mpmc, of Concurrency Kit",
	  ck_mpmc_in_flight,
	  NULL,
	  { NULL },
	  false },
	{ "slots",
	  "Cadre's slots alone: no client and no worker around them",
	  slots_in_flight,
	  &slots_bare,
	  { "spsc", "ck mpmc" },
	  false },
	{ "slots timed",
	  "the same with the two clocks of each result, and the fence for who sleeps",
	  slots_in_flight,
	  &slots_timed,
	  { "spsc", "ck mpmc" },
	  false },
	{ "cadre",
	  "cadre_try_submit and cadre_try_take, oldest first",
	  cadre_in_flight,
	  NULL,
	  { "spsc", "ck mpmc", "cadre uncounted" },
	  false },
	{ "cadre uncounted",
	  "the same with a worker that keeps no counters and no histograms",
	  cadre_uncounted,
	  NULL,
	  { NULL },
	  false },
	{ "cadre batch",
	  "cadre_try_submit_batch of whatever there is room for",
	  cadre_in_flight,
	  "in batches",
	  { "spsc", "cadre" },
	  false },
	{ "cadre packed",
	  "items per second, half of those in flight in one job",
	  cadre_packed_in_flight,
	  NULL,
	  { "spsc" },
	  false },
	{ "boost",
	  "boost::interprocess::message_queue, asked again and again",
	  program_in_flight,
	  &rival_boost,
	  { NULL },
	  false },
	{ "iceoryx",
	  "iceoryx, publisher and subscriber, copied in and out",
	  program_in_flight,
	  &rival_iceoryx,
	  { NULL },
	  false },
	{ "pipe",
	  "two pipes, asked again and again",
	  messages_in_flight,
	  &rival_pipe,
	  { NULL },
	  false },
	{ "unix stream",
	  "a pair of Unix stream sockets, the same",
	  messages_in_flight,
	  &rival_stream,
	  { NULL },
	  false },
	{ "unix seqpacket",
	  "a pair of Unix sockets that keep messages apart, the same",
	  messages_in_flight,
	  &rival_seqpacket,
	  { NULL },
	  false },
	{ "posix mq",
	  "two POSIX message queues, the same",
	  messages_in_flight,
	  &rival_mq,
	  { NULL },
	  false },
	{ "zeromq",
	  "ZeroMQ, PAIR over a Unix socket; it has threads that sleep",
	  program_in_flight,
	  &rival_zeromq,
	  { NULL },
	  false },
	{ "nng",
	  "nng, pair over a Unix socket; the same",
	  program_in_flight,
	  &rival_nng,
	  { NULL },
	  false },
	{ "pipe asleep",
	  "two pipes, whose readers sleep",
	  messages_in_flight,
	  &rival_pipe_asleep,
	  { NULL },
	  false },
	{ "unix stream asleep",
	  "a pair of Unix stream sockets, the same",
	  messages_in_flight,
	  &rival_stream_asleep,
	  { NULL },
	  false },
	{ "unix seqpacket asleep",
	  "a pair of Unix sockets that keep messages apart, the same",
	  messages_in_flight,
	  &rival_seqpacket_asleep,
	  { NULL },
	  false },
	{ "posix mq asleep",
	  "two POSIX message queues, the same",
	  messages_in_flight,
	  &rival_mq_asleep,
	  { NULL },
	  false },
	{ "boost asleep",
	  "boost::interprocess::message_queue, the same",
	  program_in_flight,
	  &rival_boost_asleep,
	  { NULL },
	  false },
};

const struct question question_in_flight = {
	.name = "in_flight",
	.sentence = "How many 64-byte jobs per second, with 1 to 256 in flight?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.ratio_column = 2,
	.less_is_better = false,
	.turns = 3,
	.turning = 10, /* as far as "cadre packed" */
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
