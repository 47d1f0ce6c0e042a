/*
 * in_flight.c - how many small jobs per second go through with 1 to 256 of them in flight?
 *
 * The client fills up to that many, then takes those that have ended, oldest first, and fills up
 * again. The same loop for all contenders.
 */
#include "echo.h"
#include "peers/spsc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define JOBS 2000u

static const struct column columns[] = {
	{ "1", "jobs/s", 0 },
	{ "8", "jobs/s", 0 },
	{ "64", "jobs/s", 0 },
	{ "256", "jobs/s", 0 },
};

struct feeder {
	struct cadre_client *client;
	struct cadre_ticket tickets[IN_FLIGHT_MAX]; /* of job n at n modulo IN_FLIGHT_MAX */
	uint32_t sent, taken;                       /* jobs ever */
	uint32_t in_flight;                         /* at most */
	bool in_batches;
	int error;
};

/* -EAGAIN when the oldest has not ended. */
static int take_oldest(struct feeder *feeder)
{
	unsigned char payload[PAYLOAD];
	struct cadre_result result;
	int r = cadre_try_take(feeder->client,
			       feeder->tickets[feeder->taken % IN_FLIGHT_MAX], &result);

	if (r == -EAGAIN)
		return r;
	r = echo_check(r, &result);
	if (r < 0)
		return r;
	memcpy(payload, result.data, PAYLOAD);
	__asm__ volatile("" ::"r"(payload) : "memory"); /* the copy is wanted */
	feeder->taken++;
	return cadre_release(feeder->client, &result);
}

static int fill_one_by_one(struct feeder *feeder)
{
	unsigned char payload[PAYLOAD] = "job";
	const struct cadre_request request = { .operation = ECHO_OPERATION,
					       .data = payload,
					       .length = PAYLOAD };

	for (; feeder->sent - feeder->taken < feeder->in_flight; feeder->sent++) {
		int r;

		memcpy(payload, &feeder->sent, sizeof(feeder->sent));
		r = cadre_try_submit(feeder->client, &request,
				     &feeder->tickets[feeder->sent % IN_FLIGHT_MAX]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_in_a_batch(struct feeder *feeder)
{
	static unsigned char payloads[IN_FLIGHT_MAX][PAYLOAD];
	const uint32_t count = feeder->in_flight - (feeder->sent - feeder->taken);
	struct cadre_request requests[IN_FLIGHT_MAX];
	struct cadre_ticket tickets[IN_FLIGHT_MAX];
	int accepted;

	for (uint32_t n = 0; n < count; n++) {
		const uint32_t job = feeder->sent + n;

		memcpy(payloads[n], &job, sizeof(job));
		requests[n] = (struct cadre_request){ .operation = ECHO_OPERATION,
						      .data = payloads[n],
						      .length = PAYLOAD };
	}
	accepted = cadre_try_submit_batch(feeder->client, requests, count, tickets);
	for (int n = 0; n < accepted; n++)
		feeder->tickets[feeder->sent++ % IN_FLIGHT_MAX] = tickets[n];
	return accepted < 0 ? accepted : 0;
}

static int fill(struct feeder *feeder)
{
	if (feeder->sent - feeder->taken == feeder->in_flight)
		return 0;
	return feeder->in_batches ? fill_in_a_batch(feeder) : fill_one_by_one(feeder);
}

static void pause_between_looks(uint32_t outstanding)
{
	/* As client.h advises: a look that comes too early takes the line away from the
	 * worker that is about to write it. */
	for (uint32_t n = 0; n < outstanding / 2 && n < 32; n++) {
#if defined(__x86_64__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield" ::: "memory");
#endif
	}
}

/* Takes until none has ended. 0, or an error. */
static int take_some(struct feeder *feeder)
{
	int r = 0;

	while (r == 0 && feeder->taken != feeder->sent)
		r = take_oldest(feeder);
	if (r != -EAGAIN)
		return r;
	if (feeder->sent - feeder->taken == feeder->in_flight)
		pause_between_looks(feeder->in_flight);
	return 0;
}

/* Goes on where the last batch left off, with what is in flight. */
static double batch(void *context)
{
	struct feeder *const feeder = context;
	const int64_t start_ns = bench_now_ns();
	const uint32_t goal = feeder->taken + JOBS;

	while (feeder->error == 0 && (int32_t)(goal - feeder->taken) > 0) {
		feeder->error = fill(feeder);
		if (feeder->error == 0)
			feeder->error = take_some(feeder);
	}
	return (double)(feeder->taken - goal + JOBS) * 1e9 /
	       (double)(bench_now_ns() - start_ns);
}

static int drain(struct feeder *feeder)
{
	while (feeder->error == 0 && feeder->taken != feeder->sent)
		feeder->error = take_some(feeder);
	return feeder->error;
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
		drain(&feeder);
	}
	r = feeder.error;
	stop = echo_stop(pool);
	return r < 0 ? r : stop;
}

/* Another program, beside this one, whose worker counts nothing. */
static int cadre_uncounted(const struct bench *bench, const void *with, double *ret_values)
{
	char path[4096], command[4200];
	const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int read = 0;
	FILE *other;

	(void)with;
	path[length > 0 ? length : 0] = '\0';
	snprintf(command, sizeof(command),
		 "exec '%s-uncounted' --only in_flight --with cadre --rounds 1 --value%s%s",
		 path, bench->quick ? " --quick" : "",
		 bench->realtime ? " --realtime" : "");
	other = popen(command, "re");
	if (!other)
		return -errno;
	for (size_t i = 0; i < COUNT_OF(columns); i++)
		read += fscanf(other, "%lf", &ret_values[i]);
	if (pclose(other) != 0 || read != (int)COUNT_OF(columns)) {
		fprintf(stderr, "cadre-bench: cadre-bench-uncounted says nothing (was it "
				"built?)\n");
		return -ECHILD;
	}
	return 0;
}

static const struct contender contenders[] = {
	{ "spsc",
	  "a bare pair of rings, 64 bytes copied in and out",
	  spsc_in_flight,
	  NULL,
	  { NULL },
	  false },
	{ "cadre",
	  "cadre_try_submit and cadre_try_take, oldest first",
	  cadre_in_flight,
	  NULL,
	  { "spsc", "cadre uncounted" },
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
};

const struct question question_in_flight = {
	.name = "in_flight",
	.sentence = "How many 64-byte jobs per second, with 1 to 256 in flight?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.ratio_column = 2,
	.less_is_better = false,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
