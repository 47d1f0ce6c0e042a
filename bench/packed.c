#include "packed.h"
#include "echo.h"

#include <errno.h>
#include <string.h>

#define ITEMS_PER_BATCH 4000u
#define JOBS_MAX 2 /* the client fills one while the worker has the other */

struct item {
	unsigned char bytes[PAYLOAD];
};

struct packer {
	struct cadre_client *client;
	struct cadre_ticket tickets[JOBS_MAX]; /* of job n at n modulo JOBS_MAX */
	uint32_t sent, taken;                  /* jobs ever */
	uint32_t jobs, items;                  /* at most so many in flight, in each */
	int error;
};

/* Each item is written where it travels. */
static int send(struct packer *packer)
{
	struct cadre_request request = { .operation = ECHO_OPERATION };
	struct cadre_draft draft;
	struct item *items;
	int r = cadre_try_draft(packer->client, packer->items * sizeof(struct item),
				&draft);

	if (r < 0)
		return r;
	items = draft.data;
	for (uint32_t i = 0; i < packer->items; i++) {
		struct item item = { "job" };

		memcpy(item.bytes, &i, sizeof(i));
		items[i] = item;
	}
	request.length = packer->items * sizeof(struct item);
	return cadre_draft_submit(packer->client, &draft, &request,
				  &packer->tickets[packer->sent++ % JOBS_MAX]);
}

static int check(const struct packer *packer, const struct cadre_result *result)
{
	return result->outcome == CADRE_OK &&
			       result->length == packer->items * sizeof(struct item) ?
		       0 :
		       -EBADMSG;
}

static int take(struct packer *packer)
{
	struct cadre_result result;
	int r = cadre_await(packer->client, packer->tickets[packer->taken % JOBS_MAX],
			    CADRE_FOREVER, &result);

	if (r < 0)
		return r;
	r = check(packer, &result);
	for (uint32_t i = 0; r == 0 && i < packer->items; i++) {
		const struct item item = ((const struct item *)result.data)[i];

		__asm__ volatile("" ::"r"(&item) : "memory"); /* the copy is wanted */
	}
	packer->taken++;
	cadre_release(packer->client, &result);
	return r;
}

static void turn(struct packer *packer)
{
	while (packer->error == 0 && packer->sent - packer->taken < packer->jobs)
		packer->error = send(packer);
	if (packer->error == 0)
		packer->error = take(packer);
}

static double batch(void *context)
{
	struct packer *const packer = context;
	const uint32_t jobs = 1 + ITEMS_PER_BATCH / packer->items;
	const uint32_t goal = packer->taken + jobs;
	const int64_t start_ns = bench_now_ns();

	while (packer->error == 0 && (int32_t)(goal - packer->taken) > 0)
		turn(packer);
	return (double)jobs * packer->items * 1e9 / (double)(bench_now_ns() - start_ns);
}

int cadre_packed_in_flight(const struct bench *bench, const void *with, double *ret_values)
{
	static const uint32_t in_flight[] = BENCH_IN_FLIGHT;
	struct cadre_pool *const pool = echo_start(bench, 1, ECHO_SPINS);
	struct packer packer = { .error = 0 };
	int stop;

	(void)with;
	if (!pool)
		return -ECANCELED;
	packer.client = cadre_pool_client(pool);
	for (size_t i = 0; i < COUNT_OF(in_flight) && packer.error == 0; i++) {
		packer.jobs = in_flight[i] < JOBS_MAX ? 1 : JOBS_MAX;
		packer.items = in_flight[i] / packer.jobs;
		ret_values[i] = bench_median_batch(bench, batch, &packer);
		while (packer.error == 0 && packer.taken != packer.sent)
			packer.error = take(&packer);
	}
	stop = echo_stop(pool);
	return packer.error ? packer.error : stop;
}
