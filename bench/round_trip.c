/*
 * round_trip.c - how long does a caller wait for the reply to one small job, while both sides
 * spin? waiting.c asks the same of those who sleep.
 */
#include "echo.h"
#include "peers/ck.h"
#include "peers/instructions.h"
#include "peers/line.h"
#include "peers/mpmc.h"
#include "peers/rivals.h"
#include "peers/slots.h"
#include "peers/spsc.h"

#include <errno.h>

#define TRIPS 500

/* A trip, and a batch of them. */
struct trips {
	void (*one)(void *caller);
	double (*batch)(void *caller);
};

static const struct trips trips_of_64 = { echo_trip, echo_trips };
static const struct trips short_trips = { echo_short_trip, echo_short_trips };

static int cadre_round_trip(const struct bench *bench, const void *with,
			    double *ret_values)
{
	const struct trips *const trips = with;
	struct cadre_pool *const pool = echo_start(bench, 1, ECHO_SPINS);
	struct echo_caller caller = { .trips = TRIPS };
	int r;

	if (!pool)
		return -ECANCELED;
	caller.client = cadre_pool_client(pool);
	ret_values[0] = bench_median_batch(bench, trips->batch, &caller);
	ret_values[1] = bench_quantile_trip(bench, trips->one, &caller, 0.999);
	r = echo_stop(pool);
	return caller.error ? caller.error : r;
}

static const struct column columns[] = { { "p50", "ns", 0 }, { "p99.9", "ns", 0 } };

static const struct contender contenders[] = {
	{ "line",
	  "two cache lines, no payload: the limit of the machine",
	  line_round_trip,
	  NULL,
	  { NULL },
	  false },
	{ "spsc",
	  "a bare pair of rings, 64 bytes copied in and out",
	  spsc_round_trip,
	  NULL,
	  { "line" },
	  false },
	{ "mpmc",
	  "a bare pair of rings for many producers and consumers (Vyukov)",
	  mpmc_round_trip,
	  NULL,
	  { NULL },
	  false },
	{ "ck spsc",
	  "the same as spsc, of Concurrency Kit",
	  ck_spsc_round_trip,
	  NULL,
	  { NULL },
	  false },
	{ "ck mpmc",
	  "the same as mpmc, of Concurrency Kit",
	  ck_mpmc_round_trip,
	  NULL,
	  { NULL },
	  false },
	{ "slots",
	  "Cadre's slots alone: no client and no worker around them",
	  slots_round_trip,
	  &slots_bare,
	  { "line", "mpmc" },
	  false },
	{ "slots timed",
	  "the same with the two clocks of each result, and the fence for who sleeps",
	  slots_round_trip,
	  &slots_timed,
	  { "line", "mpmc" },
	  false },
	{ "slots 24 bytes",
	  "the same as slots timed, of a payload that shares the lines of word and stamp",
	  slots_round_trip,
	  &slots_timed_short,
	  { "line" },
	  false },
	{ "instructions",
	  "Cadre's client and worker in one thread: no line travels",
	  instructions_round_trip,
	  NULL,
	  { "line" },
	  false },
	{ "cadre",
	  "cadre_call of a 64-byte job, both sides spin",
	  cadre_round_trip,
	  &trips_of_64,
	  { "line", "spsc", "mpmc" },
	  false },
	{ "cadre 24 bytes",
	  "the same of a job whose payload shares a line with its word, and its reply's with its stamp",
	  cadre_round_trip,
	  &short_trips,
	  { "line" },
	  false },
	{ "boost",
	  "boost::interprocess::message_queue, asked again and again",
	  program_round_trip,
	  &rival_boost,
	  { NULL },
	  false },
	{ "iceoryx",
	  "iceoryx, publisher and subscriber, copied in and out",
	  program_round_trip,
	  &rival_iceoryx,
	  { NULL },
	  false },
	{ "pipe",
	  "two pipes, asked again and again",
	  messages_round_trip,
	  &rival_pipe,
	  { NULL },
	  false },
	{ "unix stream",
	  "a pair of Unix stream sockets, the same",
	  messages_round_trip,
	  &rival_stream,
	  { NULL },
	  false },
	{ "unix seqpacket",
	  "a pair of Unix sockets that keep messages apart, the same",
	  messages_round_trip,
	  &rival_seqpacket,
	  { NULL },
	  false },
	{ "posix mq",
	  "two POSIX message queues, the same",
	  messages_round_trip,
	  &rival_mq,
	  { NULL },
	  false },
	{ "zeromq",
	  "ZeroMQ, PAIR over a Unix socket; it has threads that sleep",
	  program_round_trip,
	  &rival_zeromq,
	  { NULL },
	  false },
	{ "nng",
	  "nng, pair over a Unix socket; the same",
	  program_round_trip,
	  &rival_nng,
	  { NULL },
	  false },
	{ "pipe asleep",
	  "two pipes, whose readers sleep",
	  messages_round_trip,
	  &rival_pipe_asleep,
	  { NULL },
	  false },
	{ "unix stream asleep",
	  "a pair of Unix stream sockets, the same",
	  messages_round_trip,
	  &rival_stream_asleep,
	  { NULL },
	  false },
	{ "unix seqpacket asleep",
	  "a pair of Unix sockets that keep messages apart, the same",
	  messages_round_trip,
	  &rival_seqpacket_asleep,
	  { NULL },
	  false },
	{ "posix mq asleep",
	  "two POSIX message queues, the same",
	  messages_round_trip,
	  &rival_mq_asleep,
	  { NULL },
	  false },
	{ "boost asleep",
	  "boost::interprocess::message_queue, the same",
	  program_round_trip,
	  &rival_boost_asleep,
	  { NULL },
	  false },
};

const struct question question_round_trip = {
	.name = "round_trip",
	.sentence = "How long does a caller wait for the reply to one 64-byte job while both "
		    "spin?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.less_is_better = true,
	.turns = 5,
	.turning = 11, /* as far as "cadre 24 bytes" */
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
