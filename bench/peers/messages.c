#include "messages.h"
#include "peer.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* In a batch; one of a slow transport has fewer. */
#define TRIPS_MAX 500u
#define JOBS_MAX 2000u
#define PROBES 50u

/* Nothing that is measured takes so long; a library that hangs is ended. */
#define PATIENCE_S 60

/* Of slower ones fewer trips are timed by themselves. */
#define SLOW_TRIP_NS 20000.0

/* What the two sides and the process that forked them share. */
struct meeting {
	const struct bench *bench;
	const struct transport *transport;
	bool waits;
	unsigned depth; /* messages that fit, each way */
	void (*measure)(struct meeting *meeting, double *ret_values);
	size_t length; /* of each message */

	/* The client. */
	unsigned char *data;
	uint32_t per_batch;
	uint32_t in_flight;
	uint32_t sent, taken; /* messages ever */
	/* The number of the last message, from 1; 0: more will come. Set before that message is
	 * sent. A mere "the next is the last" would be seen too early by a peer that comes late
	 * from the answer before: it would leave, and the last message never be answered. */
	_Atomic uint32_t last;
	_Atomic bool done; /* and has come back */
	double values[COLUMNS_MAX];
};

static unsigned char *make_message(const struct meeting *meeting)
{
	unsigned char *const data = malloc(meeting->length);

	if (!data)
		abort();
	memset(data, 'j', meeting->length);
	return data;
}

static void join(const struct meeting *meeting, bool is_client)
{
	if (meeting->transport->join && meeting->transport->join(is_client) < 0)
		_exit(1);
}

static void leave(const struct meeting *meeting)
{
	if (meeting->transport->leave)
		meeting->transport->leave();
}

/* ---- the peer ---- */

static int answer_one(const struct meeting *meeting, unsigned char *data)
{
	const struct transport *const transport = meeting->transport;
	int r;

	if (transport->answer)
		return transport->answer(meeting->length, meeting->waits);
	r = transport->receive(data, meeting->length, meeting->waits);
	return r < 0 ? r : transport->send(data, meeting->length);
}

static void answer(void *shared)
{
	const struct timespec moment = { .tv_nsec = 100000 };
	struct meeting *const meeting = shared;
	unsigned char *const data = make_message(meeting);
	uint32_t answered = 0;
	int r;

	join(meeting, false);
	do {
		r = answer_one(meeting, data);
		if (r < 0 && r != -EAGAIN)
			_exit(1);
		answered += r == 0;
	} while (r == -EAGAIN || answered != atomic_load(&meeting->last));
	free(data);
	/* A library that closes may drop what it has not delivered yet. */
	while (!atomic_load(&meeting->done))
		nanosleep(&moment, NULL);
	leave(meeting);
}

/* ---- the client ---- */

static void send_one(struct meeting *meeting)
{
	memcpy(meeting->data, &meeting->sent, sizeof(meeting->sent));
	if (meeting->transport->send(meeting->data, meeting->length) < 0)
		_exit(1);
	meeting->sent++;
}

static void take_one(struct meeting *meeting)
{
	int r;

	do {
		r = meeting->transport->receive(meeting->data, meeting->length,
						meeting->waits);
	} while (r == -EAGAIN);
	if (r < 0)
		_exit(1);
	meeting->taken++;
}

static void trip(void *context)
{
	send_one(context);
	take_one(context);
}

static double trips(void *context)
{
	const struct meeting *const meeting = context;
	const int64_t start_ns = bench_now_ns();

	for (uint32_t i = 0; i < meeting->per_batch; i++)
		trip(context);
	return (double)(bench_now_ns() - start_ns) / meeting->per_batch;
}

/* For each that comes back the next goes out; afterwards as many are in flight as before. */
static double stream(void *context)
{
	struct meeting *const meeting = context;
	const int64_t start_ns = bench_now_ns();

	for (uint32_t i = 0; i < meeting->per_batch; i++) {
		take_one(meeting);
		send_one(meeting);
	}
	return meeting->per_batch * 1e9 / (double)(bench_now_ns() - start_ns);
}

static double probe_trip(struct meeting *meeting)
{
	double trip_ns;

	meeting->per_batch = PROBES;
	trip_ns = trips(meeting);
	meeting->per_batch = bench_fit_batch(trip_ns, TRIPS_MAX);
	return trip_ns;
}

static void measure_trips(struct meeting *meeting, double *ret_values)
{
	struct bench bench = *meeting->bench;

	if (probe_trip(meeting) > SLOW_TRIP_NS)
		bench.quick = true;
	ret_values[0] = bench_median_batch(meeting->bench, trips, meeting);
	ret_values[1] = bench_quantile_trip(&bench, trip, meeting, 0.999);
}

static double measure_rate(struct meeting *meeting, uint32_t in_flight)
{
	uint32_t fits;
	double rate;

	while (meeting->sent - meeting->taken < in_flight)
		send_one(meeting);
	meeting->per_batch = PROBES;
	fits = bench_fit_batch(1e9 / stream(meeting), JOBS_MAX);
	/* What already lies there is taken fast; a batch sees each place several times. */
	meeting->per_batch = fits > 4 * in_flight ? fits : 4 * in_flight;
	rate = bench_median_of_long(meeting->bench, stream, meeting);
	while (meeting->taken != meeting->sent)
		take_one(meeting);
	return rate;
}

static void measure_stream(struct meeting *meeting, double *ret_values)
{
	static const uint32_t in_flight[] = BENCH_IN_FLIGHT;

	for (size_t i = 0; i < COUNT_OF(in_flight); i++) {
		if (in_flight[i] <= meeting->depth)
			ret_values[i] = measure_rate(meeting, in_flight[i]);
	}
}

static void measure_size(struct meeting *meeting, double *ret_values)
{
	meeting->per_batch = 1;
	meeting->per_batch = bench_fit_batch(trips(meeting), TRIPS_MAX);
	ret_values[0] = bench_median_of_long(meeting->bench, trips, meeting) / 1000;
}

/* ---- both ---- */

static void fail_with_peer(int signal_number)
{
	(void)signal_number;
	_exit(1);
}

/* The whole life of the client's process; its end ends the peer. */
static void be_client(struct meeting *meeting)
{
	pid_t peer;

	alarm(PATIENCE_S);
	signal(SIGCHLD, fail_with_peer);
	peer = peer_start(meeting->bench, answer, meeting);
	if (peer < 0)
		_exit(1);
	meeting->data = make_message(meeting);
	join(meeting, true);
	meeting->measure(meeting, meeting->values);
	atomic_store(&meeting->last, meeting->sent + 1);
	trip(meeting);
	signal(SIGCHLD, SIG_DFL);
	atomic_store(&meeting->done, true);
	if (peer_await(peer) < 0)
		_exit(1);
	leave(meeting);
	_exit(0);
}

static int meet(struct meeting *meeting, double *ret_values, size_t count)
{
	const pid_t client = bench_fork();
	int r;

	if (client < 0)
		return -errno;
	if (client == 0)
		be_client(meeting);
	r = peer_await(client);
	if (r == 0)
		memcpy(ret_values, meeting->values, count * sizeof(*ret_values));
	return r;
}

static int measure_opened(const struct bench *whole, const struct messenger *messenger,
			  unsigned depth, size_t length,
			  void (*measure)(struct meeting *, double *), double *ret_values,
			  size_t count)
{
	struct meeting *const meeting = peer_share(sizeof(*meeting));
	struct bench bench = *whole;
	int r;

	if (!meeting)
		return -ENOMEM;
	bench.realtime &= !messenger->transport->has_threads;
	*meeting = (struct meeting){
		.bench = &bench,
		.transport = messenger->transport,
		.waits = messenger->waits,
		.depth = depth,
		.measure = measure,
		.length = length,
	};
	memcpy(meeting->values, ret_values, count * sizeof(*ret_values));
	r = meet(meeting, ret_values, count);
	peer_unshare(meeting, sizeof(*meeting));
	return r;
}

static int open_transport(const struct transport *transport, size_t size, unsigned depth)
{
	return transport->open ? transport->open(size, depth) : (int)depth;
}

static void close_transport(const struct transport *transport)
{
	if (transport->close)
		transport->close();
}

static int measure(const struct bench *bench, const struct messenger *messenger,
		   void (*client)(struct meeting *, double *), double *ret_values,
		   size_t count)
{
	const int depth = open_transport(messenger->transport, PAYLOAD, IN_FLIGHT_MAX);
	int r;

	if (depth < 0)
		return depth;
	r = measure_opened(bench, messenger, (unsigned)depth, PAYLOAD, client, ret_values,
			   count);
	close_transport(messenger->transport);
	return r;
}

int messages_round_trip(const struct bench *bench, const void *with, double *ret_values)
{
	return measure(bench, with, measure_trips, ret_values, 2);
}

int messages_in_flight(const struct bench *bench, const void *with, double *ret_values)
{
	static const uint32_t in_flight[] = BENCH_IN_FLIGHT;

	return measure(bench, with, measure_stream, ret_values, COUNT_OF(in_flight));
}

int messages_payload(const struct bench *bench, const void *with, double *ret_values)
{
	static const size_t sizes[] = BENCH_SIZES;
	const struct messenger *const messenger = with;
	const int depth = open_transport(messenger->transport, BENCH_SIZE_MAX, 1);
	int r = depth < 0 ? depth : 0;

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < COUNT_OF(sizes); i++)
		r = measure_opened(bench, messenger, (unsigned)depth, sizes[i],
				   measure_size, &ret_values[i], 1);
	close_transport(messenger->transport);
	return r;
}
