/*
 * demo-cooperation - pool, cache and local worker together, in one program.
 *
 *   hub      a pool without workers: the place of this program's local worker
 *   observer the local worker: the workers of `primes` tell it of each range that is done
 *   cache    a pool of one
 *   primes   a pool of two; their start arguments are the channels to cache and observer
 *
 * It has the same numbers looked at twice and prints what that cost. The work is counted in
 * divisions, which do not depend on what else the machine does.
 *
 * Exit status: 0 all went well, 1 something did not, and says so.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <cadre/cadre.h>

#include "../services/cache.h"

extern const struct cadre_service cache_service, primes_service;

#define FROM UINT64_C(1000000000000)
#define NUMBERS 400
#define PIECES 4

static unsigned told;

/* Runs in this very process: see main's loop. */
static void observe(struct cadre_job *job, void *state)
{
	size_t length;
	const char *const line = cadre_job_data(job, &length);

	(void)state;
	told++;
	printf("    observer: a worker says: %.*s\n", (int)length, line);
	cadre_job_reply(job, "", 0);
}

static const struct cadre_operation observations[] = { { 1, "done", observe } };
static const struct cadre_service observer_service = {
	.size = sizeof(observer_service),
	.name = "observer",
	.operations = observations,
	.operation_count = 1,
};

static struct {
	struct cadre_pool *hub, *cache, *primes;
	struct cadre_local *observer;
	struct cadre_channel channels[2]; /* to cache and observer */
} cast;

static int start(struct cadre_diag *diag)
{
	const struct cadre_pool_options hub = { .size = sizeof(hub),
						.workers_max = CADRE_NONE };
	const struct cadre_pool_options cache = { .size = sizeof(cache),
						  .workers_min = 1,
						  .workers_max = 1,
						  .start_data = "10000",
						  .start_length = 5 };
	const struct cadre_pool_options primes = { .size = sizeof(primes),
						   .workers_min = 2,
						   .workers_max = 2,
						   .start_data = cast.channels,
						   .start_length = sizeof(cast.channels) };
	int r = cadre_pool_start(NULL, &hub, &cast.hub, diag);

	if (r == 0)
		r = cadre_local_open(cadre_pool_name(cast.hub), &observer_service, NULL,
				     &cast.observer, diag);
	if (r == 0)
		r = cadre_pool_start(&cache_service, &cache, &cast.cache, diag);
	if (r < 0)
		return r;
	cadre_channel_of_pool(cadre_pool_client(cast.cache), &cast.channels[0]);
	cadre_local_channel(cast.observer, &cast.channels[1]);
	return cadre_pool_start(&primes_service, &primes, &cast.primes, diag);
}

static void end(void)
{
	cadre_pool_close(cast.primes);
	cadre_local_close(cast.observer);
	cadre_pool_close(cast.cache);
	cadre_pool_close(cast.hub);
}

struct cost {
	uint64_t primes, divisions, cached;
	int64_t ns;
};

/* Reads what there is of a stream: false while it goes on. */
static bool drain(struct cadre_client *client, struct cadre_ticket ticket,
		  struct cost *cost)
{
	uint64_t primes = 0, divisions = 0, cached = 0;
	struct cadre_result result;
	struct cadre_item item;
	char line[100];
	int r;

	while ((r = cadre_stream_try_next(client, ticket, &item)) == 1)
		cost->primes++;
	if (r == -EAGAIN || cadre_try_take(client, ticket, &result) < 0)
		return false;
	snprintf(line, sizeof(line), "%.*s", (int)result.length,
		 result.outcome == CADRE_OK ? (const char *)result.data : "");
	if (sscanf(line, "primes %" SCNu64 " divisions %" SCNu64 " cached %" SCNu64,
		   &primes, &divisions, &cached) != 3)
		fprintf(stderr, "a range ended as %s: %s\n",
			cadre_outcome_name(result.outcome), result.sentence);
	cost->divisions += divisions;
	cost->cached += cached;
	cadre_release(client, &result);
	return true;
}

/* The same numbers, in pieces, as streams side by side. One thread reads them and serves the
 * observer. */
static int pass(const char *name, struct cost *ret_cost)
{
	struct cadre_client *const client = cadre_pool_client(cast.primes);
	struct cadre_ticket tickets[PIECES];
	struct cost cost = { .ns = cadre_now_ns() };
	unsigned left = PIECES;

	for (unsigned piece = 0; piece < PIECES; piece++) {
		const uint64_t from = FROM + piece * (NUMBERS / PIECES);
		char text[64];
		const struct cadre_request request = {
			.operation = 2,
			.flags = CADRE_STREAM,
			.data = text,
			.length = (size_t)snprintf(text, sizeof(text),
						   "%" PRIu64 " %" PRIu64, from,
						   from + NUMBERS / PIECES - 1),
			.deadline_ns = cadre_in_ms(60000),
		};
		const int r = cadre_submit(client, &request, cadre_in_ms(5000),
					   &tickets[piece]);

		if (r < 0)
			return r;
	}
	while (left > 0) {
		const int r = cadre_local_step(cast.observer, 0);

		if (r < 0)
			return r;
		for (unsigned piece = 0; piece < PIECES; piece++) {
			if (tickets[piece].id && drain(client, tickets[piece], &cost)) {
				tickets[piece].id = 0;
				left--;
			}
		}
	}
	cost.ns = cadre_now_ns() - cost.ns;
	printf("%s pass: %d numbers, %" PRIu64 " primes, %" PRIu64 " divisions, %" PRIu64
	       " answers from the cache (%.0f %%), %.1f ms\n",
	       name, NUMBERS, cost.primes, cost.divisions, cost.cached,
	       100.0 * (double)cost.cached / NUMBERS, (double)cost.ns / 1e6);
	*ret_cost = cost;
	return 0;
}

static int show_cache(void)
{
	const struct cadre_request request = { .operation = CACHE_STATS };
	struct cadre_client *const client = cadre_pool_client(cast.cache);
	struct cadre_result result;
	const int r = cadre_call(client, &request, &result);

	if (r < 0)
		return r;
	printf("cache:");
	for (size_t i = 0; i < result.length; i++) {
		const char c = ((const char *)result.data)[i];

		if (i == 0 || ((const char *)result.data)[i - 1] == '\n')
			putchar(' ');
		putchar(c == '\n' ? (i + 1 < result.length ? ',' : '\n') : c);
	}
	cadre_release(client, &result);
	return 0;
}

int main(void)
{
	struct cadre_diag diag = { "" };
	struct cost first = { 0 }, second = { 0 };
	int r = start(&diag);

	if (r < 0) {
		fprintf(stderr, "%s\n", diag.text);
		end();
		return 1;
	}
	printf("two workers look for primes, a cache remembers, this program is told\n");
	r = pass("first", &first);
	if (r == 0)
		r = pass("second", &second);
	if (r == 0)
		r = show_cache();
	if (r < 0)
		fprintf(stderr, "it did not go well: %s\n", strerror(-r));
	else
		printf("the second pass took %" PRIu64 " divisions instead of %" PRIu64
		       " and %.1f ms instead of %.1f; the observer was told %u times\n",
		       second.divisions, first.divisions, (double)second.ns / 1e6,
		       (double)first.ns / 1e6, told);
	end();
	return r < 0 || second.divisions * 4 > first.divisions || told != 2 * PIECES ||
	       first.primes != second.primes;
}
