/*
 * test_report_rogue.c - claims about reports of bytes that no pool would write: they are shown, and
 * never followed.
 */
#include "reports.h"

#include <stdlib.h>
#include <string.h>

TestSuite(report, REPORTS);

static bool is_printable(const char *text, size_t size)
{
	const size_t length = strnlen(text, size);

	for (size_t i = 0; i < length; i++) {
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return length < size;
}

static void assert_possible_worker(const struct cadre_worker_snapshot *worker)
{
	const char *name;

	cr_assert_not_null(strchr("_SWBGHXD.?", worker->letter));
	cr_assert_geq(worker->uptime_ns, 0);
	cr_assert_geq(worker->idle_ns, 0);
	cr_assert_geq(worker->running_ns, 0);
	cr_assert_geq(worker->retry_in_ns, 0);
	cr_assert_geq(worker->spent_idle_ns, 0);
	cr_assert_geq(worker->spent_busy_ns, 0);
	cr_assert_geq(worker->spent_blocked_ns, 0);
	cr_assert_leq(worker->total.p50_ns, worker->total.max_ns);
	name = cadre_report_operation(report, worker->operation);
	cr_assert(!name || is_printable(name, 64));
	cr_assert(is_printable(worker->last_reason, sizeof(worker->last_reason)));
	cr_assert(is_printable(worker->operation_name, sizeof(worker->operation_name)));
}

static void assert_possible_guest(const struct cadre_guest_snapshot *guest)
{
	cr_assert_not_null(strchr("_SWBGHXD.?", guest->letter));
	cr_assert_geq(guest->uptime_ns, 0);
	cr_assert_geq(guest->idle_ns, 0);
	cr_assert_geq(guest->running_ns, 0);
	cr_assert_geq(guest->spent_idle_ns, 0);
	cr_assert_geq(guest->spent_busy_ns, 0);
	cr_assert_leq(guest->total.p50_ns, guest->total.max_ns);
	cr_assert(is_printable(guest->program, sizeof(guest->program)));
}

static void assert_possible_operation(const struct cadre_operation_snapshot *operation)
{
	cr_assert(is_printable(operation->name, sizeof(operation->name)));
	cr_assert_leq(operation->running, CLIENTS * SLOTS);
	cr_assert_geq(operation->service.p50_ns, 0);
	cr_assert_leq(operation->service.p50_ns, operation->service.max_ns);
}

/* Reads, and looks at everything that a tool would show. */
static void assert_possible(void)
{
	const struct cadre_pool_snapshot *const pool = cadre_report_read(report);

	cr_assert(is_printable(pool->state, sizeof(pool->state)));
	cr_assert_leq(pool->queue_length, CLIENTS * SLOTS);
	cr_assert_leq(pool->in_flight, CLIENTS * SLOTS);
	cr_assert_leq(pool->workers_ready, WORKERS);
	cr_assert_leq(pool->client_count, CLIENTS);
	cr_assert_geq(pool->oldest_pending_ns, 0);
	cr_assert_geq(pool->heartbeat_age_ns, 0);
	cr_assert_geq(pool->uptime_ns, 0);
	for (uint32_t size_class = 0; size_class < pool->block_classes; size_class++)
		cr_assert_leq(pool->block_used[size_class], pool->block_count[size_class]);
	for (uint32_t index = 0; index < pool->worker_count; index++)
		assert_possible_worker(cadre_report_worker(report, index));
	for (uint32_t index = 0; index < pool->client_count; index++) {
		const struct cadre_client_snapshot *const client =
			cadre_report_client(report, index);

		cr_assert(is_printable(client->state, sizeof(client->state)));
		cr_assert_leq(client->slots_used, SLOTS);
	}
	cr_assert_eq(pool->locals_max, LOCALS);
	cr_assert_leq(pool->locals, LOCALS);
	for (uint32_t index = 0; index < pool->locals_max; index++)
		assert_possible_guest(cadre_report_guest(report, index));
	for (int32_t id = -1; id < 3; id++)
		cadre_report_operation(report, id);
	for (uint32_t index = 0; index < pool->operation_count; index++)
		assert_possible_operation(cadre_report_operation_at(report, index));
	cr_assert_null(cadre_report_operation_at(report, pool->operation_count));
	cr_assert_eq(cadre_sampler_take(sampler, report), 0);
	cr_assert_geq(cadre_sampler_pool(sampler)->jobs_per_s, 0);
	cr_assert_leq(cadre_sampler_pool(sampler)->load, 1);
}

static const struct part {
	const char *name;
	size_t from, to;
} * parts(size_t *ret_count)
{
	static struct part all[9];
	unsigned char *const base = view.segment.base;
	const size_t at[] = {
		0,
		(size_t)((unsigned char *)view.worker_places - base),
		(size_t)((unsigned char *)view.worker_stats - base),
		(size_t)((unsigned char *)view.latencies - base),
		(size_t)((unsigned char *)view.client_places - base),
		(size_t)((unsigned char *)view.slots - base),
		(size_t)((unsigned char *)view.books - base),
		(size_t)((unsigned char *)view.block_owners - base),
		(size_t)(view.arena - base),
		view.size,
	};
	static const char *const names[] = { "header",    "worker places", "worker stats",
					     "latencies", "clients",       "slots",
					     "books",     "blocks",        "arena" };

	for (size_t i = 0; i < CADRE_COUNT_OF(all); i++)
		all[i] = (struct part){ names[i], at[i], at[i + 1] };
	*ret_count = CADRE_COUNT_OF(all);
	return all;
}

Test(report, a_part_full_of_ones_is_shown_not_followed)
{
	unsigned char *const whole = malloc(view.size);
	size_t count;
	const struct part *const part = parts(&count);

	memcpy(whole, view.segment.base, view.size);
	for (size_t i = 0; i < count; i++) {
		memset(view.segment.base + part[i].from, 0xff, part[i].to - part[i].from);
		assert_possible();
		memcpy(view.segment.base, whole, view.size);
	}
	memset(view.segment.base, 0xff, view.size);
	assert_possible();
	free(whole);
}

Test(report, random_bytes_are_shown_not_followed)
{
	size_t count;
	const struct part *const part = parts(&count);

	for (unsigned round = 0; round < 400; round++) {
		const struct part *const hit = &part[round % count];
		unsigned seed = round;

		for (size_t at = hit->from; at + 8 <= hit->to && at < hit->from + 65536;
		     at += 8) {
			const uint64_t word = backdrop_random_word(&seed);

			memcpy(view.segment.base + at, &word, sizeof(word));
		}
		assert_possible();
	}
}

Test(report, limits_are_those_that_were_checked_when_it_was_opened)
{
	view.header->limits.workers = UINT32_MAX;
	view.header->limits.clients = UINT32_MAX;
	view.header->limits.slots = UINT32_MAX;
	view.header->limits.block_bytes = UINT64_MAX;

	cr_assert_eq(cadre_report_read(report)->workers_max, WORKERS);
	assert_possible();
}

Test(report, sums_of_impossible_counts_stop_at_the_highest_number)
{
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		atomic_store(&books_of(0, slot)->ended[CADRE_OK], UINT64_MAX / 2);

	cr_assert_eq(cadre_report_read(report)->jobs[CADRE_OK], UINT64_MAX);
}
