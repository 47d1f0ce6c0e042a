/*
 * primes - is it a prime? By trial division, so that it costs something; what was found out
 * once is asked of the service `cache` afterwards.
 *
 *   id  name      payload           reply
 *    1  is-prime  a number          "1" or "0"
 *    2  range     "FROM TO"         a stream of primes; then how they were found, in a line:
 *                                   "primes N divisions N cached N"
 *
 * The start argument says where the cache is: a channel (struct cadre_channel), or the name
 * of its pool (cadre serve --start cache); nothing: no cache. A second channel behind the
 * first leads to a local worker of whoever started the pool: it is told of each range that
 * is done, by operation 1 with that same line.
 */
#include "cache.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cadre/channel.h>
#include <cadre/client.h>
#include <cadre/service.h>
#include <cadre/stream.h>

#ifndef CADRE_SERVICE_NAME
#define CADRE_SERVICE_NAME cadre_service
#endif

/* A number's longest text, and its end. */
#define TEXT_SIZE 24

struct finder {
	struct cadre_client *cache; /* NULL: none */
	struct cadre_channel to_cache;
	struct cadre_client *observer; /* NULL: none */
	struct cadre_channel to_observer;
};

/* How it was found. */
struct effort {
	uint64_t primes, divisions, cached;
};

/* ---- the cache: what it does not know, or if it is not there, is computed ---- */

/* 1, 0, or negative: not known. */
static int ask_cache(const struct finder *finder, struct cadre_job *job,
		     const char *number)
{
	const struct cadre_request request = { .operation = CACHE_GET,
					       .data = number,
					       .length = strlen(number),
					       .to = &finder->to_cache };
	struct cadre_result result;
	int answer = -ENOENT;

	if (!finder->cache || cadre_job_call(job, finder->cache, &request, &result) < 0)
		return -ENOENT;
	if (result.outcome == CADRE_OK && result.length == 1)
		answer = *(const char *)result.data == '1';
	cadre_release(finder->cache, &result);
	return answer;
}

static void tell_cache(const struct finder *finder, const char *number, bool is_prime)
{
	struct {
		struct cache_set head;
		char bytes[TEXT_SIZE + 1];
	} set = { .head.key_length = (uint32_t)strlen(number) };
	const struct cadre_request request = {
		.operation = CACHE_SET,
		.flags = CADRE_DETACHED,
		.data = &set,
		.length = sizeof(set.head) + set.head.key_length + 1,
		.to = &finder->to_cache,
	};

	memcpy(set.bytes, number, set.head.key_length);
	set.bytes[set.head.key_length] = is_prime ? '1' : '0';
	/* Nobody waits for it: a window that is full has it found out again. */
	if (finder->cache)
		(void)cadre_try_submit(finder->cache, &request, NULL);
}

/* ---- finding out ---- */

static bool divide(uint64_t number, struct effort *effort)
{
	if (number < 4 || number % 2 == 0)
		return number == 2 || number == 3;
	for (uint64_t divisor = 3; divisor <= number / divisor; divisor += 2) {
		effort->divisions++;
		if (number % divisor == 0)
			return false;
	}
	return true;
}

static bool is_prime(const struct finder *finder, struct cadre_job *job, uint64_t number,
		     struct effort *effort)
{
	char text[TEXT_SIZE];
	int answer;

	snprintf(text, sizeof(text), "%" PRIu64, number);
	answer = ask_cache(finder, job, text);
	if (answer < 0) {
		answer = divide(number, effort);
		tell_cache(finder, text, answer);
	} else {
		effort->cached++;
	}
	effort->primes += answer > 0;
	return answer > 0;
}

/* The payload as text; false when it is too long for numbers. */
static bool read_text(const struct cadre_job *job, char text[2 * TEXT_SIZE])
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	if (length >= 2 * TEXT_SIZE)
		return false;
	memcpy(text, data, length);
	text[length] = '\0';
	return true;
}

static void one(struct cadre_job *job, void *state)
{
	struct effort effort = { 0 };
	char text[2 * TEXT_SIZE], behind;
	uint64_t number;

	if (!read_text(job, text) ||
	    sscanf(text, "%20" SCNu64 "%c", &number, &behind) != 1)
		cadre_job_fail(job, EINVAL, "the payload is not a number");
	else
		cadre_job_reply(job, is_prime(state, job, number, &effort) ? "1" : "0", 1);
}

static void tell_observer(const struct finder *finder, struct cadre_job *job,
			  const char *line)
{
	const struct cadre_request request = { .operation = 1,
					       .data = line,
					       .length = strlen(line),
					       .to = &finder->to_observer };
	struct cadre_result result;

	if (finder->observer &&
	    cadre_job_call(job, finder->observer, &request, &result) == 0)
		cadre_release(finder->observer, &result);
}

static void range(struct cadre_job *job, void *state)
{
	struct effort effort = { 0 };
	char text[2 * TEXT_SIZE], line[100], behind;
	uint64_t from, to;
	int length;

	if (!read_text(job, text) ||
	    sscanf(text, "%20" SCNu64 " %20" SCNu64 "%c", &from, &to, &behind) != 2) {
		cadre_job_fail(job, EINVAL, "the payload is not two numbers");
		return;
	}
	for (uint64_t number = from; number <= to && number >= from; number++) {
		if (cadre_job_cancelled(job))
			break;
		if (!is_prime(state, job, number, &effort))
			continue;
		length = snprintf(text, sizeof(text), "%" PRIu64, number);
		if (cadre_job_emit(job, text, (size_t)length) == -ECANCELED)
			break;
	}
	length = snprintf(line, sizeof(line),
			  "primes %" PRIu64 " divisions %" PRIu64 " cached %" PRIu64,
			  effort.primes, effort.divisions, effort.cached);
	tell_observer(state, job, line);
	cadre_job_reply(job, line, (size_t)length);
}

/* ---- begin and end ---- */

static int fini(void *state)
{
	struct finder *const finder = state;

	cadre_channel_close(finder->cache);
	cadre_channel_close(finder->observer);
	free(finder);
	return 0;
}

static int find_channels(struct finder *finder, const struct cadre_start *start,
			 struct cadre_diag *diag)
{
	const size_t size = sizeof(finder->to_cache);
	char name[64] = "";
	int r = 0;

	if (start->length == size || start->length == 2 * size) {
		memcpy(&finder->to_cache, start->data, size);
	} else if (start->length > 0) {
		memcpy(name, start->data,
		       start->length < sizeof(name) ? start->length : sizeof(name) - 1);
		r = cadre_channel_of_name(name, &finder->to_cache, diag);
	}
	if (r == 0 && start->length > 0)
		r = cadre_channel_open(&finder->to_cache, &finder->cache, diag);
	if (r == 0 && start->length == 2 * size) {
		memcpy(&finder->to_observer, (const char *)start->data + size, size);
		r = cadre_channel_open(&finder->to_observer, &finder->observer, diag);
	}
	return r;
}

static int init(const struct cadre_start *start, void **ret_state, struct cadre_diag *diag)
{
	struct finder *const finder = calloc(1, sizeof(*finder));
	int r;

	if (!finder)
		return -ENOMEM;
	r = find_channels(finder, start, diag);
	if (r < 0)
		fini(finder);
	else
		*ret_state = finder;
	return r;
}

static const struct cadre_operation operations[] = {
	{ 1, "is-prime", one },
	{ 2, "range", range },
};

CADRE_API extern const struct cadre_service CADRE_SERVICE_NAME;
const struct cadre_service CADRE_SERVICE_NAME = {
	.size = sizeof(CADRE_SERVICE_NAME),
	.name = "primes",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.init = init,
	.fini = fini,
};
