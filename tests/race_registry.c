/*
 * race_registry.c - the registry of attached pools under ThreadSanitizer: threads that open,
 * call and close channels to two pools at once, so that the last copy is closed again and
 * again while others look for it.
 *
 * Exit status: 0 when each call was answered and nothing is left attached.
 */
#include <cadre/cadre.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define THREADS 4
#define ROUNDS 60
#define POOLS 2

static struct cadre_channel channels[POOLS];
static _Atomic unsigned wrong;

static void echo(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	cadre_job_reply(job, data, length);
}

static atomic_bool done;

/* Opens what somebody holds, and so only looks: past entries that come and go. */
static void *look_on(void *argument)
{
	(void)argument;
	while (!done) {
		struct cadre_client *client;

		if (cadre_channel_open(&channels[0], &client, NULL) < 0)
			wrong++;
		else
			cadre_channel_close(client);
	}
	return NULL;
}

static void *open_call_close(void *argument)
{
	const unsigned self = *(const unsigned *)argument;

	for (unsigned round = 0; round < ROUNDS; round++) {
		const unsigned number = self * ROUNDS + round;
		const struct cadre_request request = { .operation = 1,
						       .data = &number,
						       .length = sizeof(number) };
		const struct cadre_channel *const channel =
			&channels[(self + round) % POOLS];
		struct cadre_client *client, *again;
		struct cadre_result result;

		if (cadre_channel_open(channel, &client, NULL) < 0) {
			wrong++;
			continue;
		}
		/* Held by us, so it is found, and is the same. */
		if (cadre_channel_open(channel, &again, NULL) < 0 || again != client)
			wrong++;
		else
			cadre_channel_close(again);
		if (cadre_call(client, &request, &result) < 0 ||
		    result.outcome != CADRE_OK ||
		    memcmp(result.data, &number, sizeof(number)) != 0)
			wrong++;
		else
			cadre_release(client, &result);
		cadre_channel_close(client);
	}
	return NULL;
}

int main(void)
{
	const struct cadre_operation operations[] = { { 1, "echo", echo } };
	const struct cadre_service service = { .size = sizeof(service),
					       .name = "echo",
					       .operations = operations,
					       .operation_count = 1 };
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .workers_min = 1,
						    .workers_max = 1,
						    .block_bytes = 1 << 20,
						    .payload_max = 4096 };
	struct cadre_pool *pools[POOLS];
	struct cadre_diag diag = { "" };
	pthread_t threads[THREADS], onlooker;
	struct cadre_client *held;
	unsigned numbers[THREADS];

	for (unsigned i = 0; i < POOLS; i++) {
		if (cadre_pool_start(&service, &options, &pools[i], &diag) < 0)
			return fprintf(stderr, "%s\n", diag.text), 1;
		cadre_channel_of_pool(cadre_pool_client(pools[i]), &channels[i]);
	}
	if (cadre_channel_open(&channels[0], &held, &diag) < 0)
		return fprintf(stderr, "%s\n", diag.text), 1;
	pthread_create(&onlooker, NULL, look_on, NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = i;
		pthread_create(&threads[i], NULL, open_call_close, &numbers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	done = true;
	pthread_join(onlooker, NULL);
	cadre_channel_close(held);
	for (unsigned i = 0; i < POOLS; i++)
		cadre_pool_close(pools[i]);
	if (wrong)
		fprintf(stderr, "%u calls went wrong\n", wrong);
	return wrong != 0;
}
