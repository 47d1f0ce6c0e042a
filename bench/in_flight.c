/*
 * in_flight.c - how many small jobs per second go through with 64 of them in flight?
 *
 * The client fills up to 64, then takes those that have ended, oldest first, and fills up
 * again. The same loop for all contenders.
 */
#include "echo.h"
#include "peers/spsc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define JOBS 2000u

struct feeder {
	struct cadre_client *client;
	struct cadre_ticket tickets[IN_FLIGHT]; /* of job n at n modulo 64 */
	uint32_t sent, taken;                   /* jobs ever */
	bool in_batches;
	int error;
};

/* -EAGAIN when the oldest has not ended. */
static int take_oldest(struct feeder *feeder)
{
	unsigned char payload[PAYLOAD];
	struct cadre_result result;
	int r = cadre_try_take(feeder->client, feeder->tickets[feeder->taken % IN_FLIGHT],
			       &result);

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

	for (; feeder->sent - feeder->taken < IN_FLIGHT; feeder->sent++) {
		int r;

		memcpy(payload, &feeder->sent, sizeof(feeder->sent));
		r = cadre_try_submit(feeder->client, &request,
				     &feeder->tickets[feeder->sent % IN_FLIGHT]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_in_a_batch(struct feeder *feeder)
{
	static unsigned char payloads[IN_FLIGHT][PAYLOAD];
	const uint32_t count = IN_FLIGHT - (feeder->sent - feeder->taken);
	struct cadre_request requests[IN_FLIGHT];
	struct cadre_ticket tickets[IN_FLIGHT];
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
		feeder->tickets[feeder->sent++ % IN_FLIGHT] = tickets[n];
	return accepted < 0 ? accepted : 0;
}

static int fill(struct feeder *feeder)
{
	if (feeder->sent - feeder->taken == IN_FLIGHT)
		return 0;
	return feeder->in_batches ? fill_in_a_batch(feeder) : fill_one_by_one(feeder);
}

static void pause_between_looks(void)
{
	/* As client.h advises: a look that comes too early takes the line away from the
	 * worker that is about to write it. */
	for (int n = 0; n < IN_FLIGHT / 2; n++) {
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
	if (feeder->sent - feeder->taken == IN_FLIGHT)
		pause_between_looks();
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

static int measure(const struct bench *bench, bool in_batches, double *ret_value)
{
	struct cadre_pool *const pool = echo_start(bench, 1, ECHO_SPINS);
	struct feeder feeder = { .in_batches = in_batches };
	int r;

	if (!pool)
		return -ECANCELED;
	feeder.client = cadre_pool_client(pool);
	*ret_value = bench_median_batch(bench, batch, &feeder);
	while (feeder.error == 0 && feeder.taken != feeder.sent)
		feeder.error = take_some(&feeder);
	r = echo_stop(pool);
	return feeder.error ? feeder.error : r;
}

int bench_in_flight(const struct bench *bench, double *ret_value)
{
	return measure(bench, false, ret_value);
}

/* Another program, beside this one, whose worker counts nothing. */
static int cadre_uncounted(const struct bench *bench, double *ret_value)
{
	char path[4096], command[4200];
	const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	FILE *other;
	int read;

	path[length > 0 ? length : 0] = '\0';
	snprintf(command, sizeof(command), "exec '%s-uncounted' --value%s%s", path,
		 bench->quick ? " --quick" : "", bench->realtime ? " --realtime" : "");
	other = popen(command, "re");
	if (!other)
		return -errno;
	read = fscanf(other, "%lf", ret_value);
	if (pclose(other) != 0 || read != 1) {
		fprintf(stderr, "cadre-bench: cadre-bench-uncounted says nothing (was it "
				"built?)\n");
		return -ECHILD;
	}
	return 0;
}

static int cadre_in_batches(const struct bench *bench, double *ret_value)
{
	return measure(bench, true, ret_value);
}

static const struct contender contenders[] = {
	{ "spsc",
	  "a bare pair of rings, 64 bytes copied in and out",
	  spsc_in_flight,
	  { NULL } },
	{ "cadre",
	  "cadre_try_submit and cadre_try_take, oldest first",
	  bench_in_flight,
	  { "spsc", "cadre uncounted" } },
	{ "cadre uncounted",
	  "the same with a worker that keeps no counters and no histograms",
	  cadre_uncounted,
	  { NULL } },
	{ "cadre batch",
	  "cadre_try_submit_batch of whatever there is room for",
	  cadre_in_batches,
	  { "spsc", "cadre" } },
};

const struct question question_in_flight = {
	.name = "in_flight",
	.sentence = "How many 64-byte jobs per second, with 64 in flight?",
	.unit = "jobs/s",
	.digits = 0,
	.less_is_better = false,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
