#include "echo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

void echo_back(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	cadre_job_reply(job, data, length);
}

bool echo_told(const struct cadre_start *start, struct bench *ret_bench)
{
	if (start->length != sizeof(*ret_bench))
		return false;
	memcpy(ret_bench, start->data, sizeof(*ret_bench));
	return true;
}

int echo_bind_worker(const struct cadre_start *start, void **ret_state,
		     struct cadre_diag *diag)
{
	struct bench bench;

	(void)ret_state;
	(void)diag;
	if (echo_told(start, &bench))
		bench_pin(&bench, bench.worker_cpu);
	return 0;
}

static const struct cadre_operation operations[] = { { ECHO_OPERATION, "echo",
						       echo_back } };

const struct cadre_service echo_service = {
	.size = sizeof(echo_service),
	.name = "echo",
	.operations = operations,
	.operation_count = COUNT_OF(operations),
	.init = echo_bind_worker,
};

struct cadre_pool *echo_start_service(const struct cadre_service *service,
				      const struct cadre_pool_options *options)
{
	struct cadre_pool *pool;
	struct cadre_diag diag;

	/* Its supervisor shall not share the client's CPU while that spins. */
	bench_unpin();
	if (cadre_pool_start(service, options, &pool, &diag) == 0)
		return pool;
	fprintf(stderr, "cadre-bench: %s\n", diag.text);
	return NULL;
}

struct cadre_pool *echo_start(const struct bench *bench, uint32_t workers,
			      enum echo_manner manner)
{
	const int64_t spin_ns[] = {
		[ECHO_SPINS] = SECOND_NS,
		[ECHO_SLEEPS] = -1,
		[ECHO_ADAPTS] = 0,
		[ECHO_DEFAULTS] = 0,
	};
	const struct cadre_pool_options options = {
		.size = sizeof(options),
		.workers_min = workers,
		.workers_max = workers,
		.spin_ns = spin_ns[manner],
		.start_data = manner == ECHO_DEFAULTS ? NULL : bench,
		.start_length = manner == ECHO_DEFAULTS ? 0 : sizeof(*bench),
	};
	struct cadre_pool *const pool = echo_start_service(&echo_service, &options);

	if (pool && manner != ECHO_DEFAULTS)
		bench_pin(bench, bench->client_cpu);
	return pool;
}

int echo_stop(struct cadre_pool *pool)
{
	int r = cadre_pool_stop(pool);

	if (r == 0)
		r = cadre_pool_await_end(pool, cadre_in_ms(10000));
	if (r < 0)
		fprintf(stderr, "cadre-bench: cannot stop pool \"%s\": %s\n",
			cadre_pool_name(pool), strerror(-r));
	cadre_pool_close(pool);
	return r;
}

static inline int check(int r, const struct cadre_result *result, size_t length)
{
	if (r == 0 && result->outcome == CADRE_OK && result->length == length)
		return 0;
	if (r < 0)
		fprintf(stderr, "cadre-bench: a job was not done: %s\n", strerror(-r));
	else
		fprintf(stderr, "cadre-bench: a job ended as %s: %s\n",
			cadre_outcome_name(result->outcome), result->sentence);
	return r < 0 ? r : -EBADMSG;
}

int echo_check(int r, const struct cadre_result *result)
{
	return check(r, result, PAYLOAD);
}

/* Inlined, so that a length is a constant of the copies. */
static inline void trip(struct echo_caller *caller, size_t length)
{
	unsigned char payload[PAYLOAD] = "job";
	const struct cadre_request request = { .operation = ECHO_OPERATION,
					       .data = payload,
					       .length = length };
	struct cadre_result result;

	if (caller->error)
		return;
	memcpy(payload, &caller->done, sizeof(caller->done));
	caller->done++;
	caller->error = check(cadre_call(caller->client, &request, &result), &result,
			      length);
	if (caller->error)
		return;
	memcpy(payload, result.data, length);
	cadre_release(caller->client, &result);
}

void echo_trip(void *caller)
{
	trip(caller, PAYLOAD);
}

void echo_short_trip(void *caller)
{
	trip(caller, ECHO_SHORT);
}

static inline double batch_of(struct echo_caller *caller, void (*one)(void *caller))
{
	const int64_t start_ns = bench_now_ns();

	for (int i = 0; i < caller->trips; i++)
		one(caller);
	return (double)(bench_now_ns() - start_ns) / caller->trips;
}

double echo_trips(void *caller)
{
	return batch_of(caller, echo_trip);
}

double echo_short_trips(void *caller)
{
	return batch_of(caller, echo_short_trip);
}
