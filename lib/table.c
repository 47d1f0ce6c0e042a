#include "table.h"
#include "clock.h"

#include <cadre/log.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPECTED_AT_FIRST_NS INT64_C(1000000)

static int compare_duties(const void *a, const void *b)
{
	const struct cadre_duty *const left = a, *const right = b;

	return (left->id > right->id) - (left->id < right->id);
}

struct cadre_table *cadre_table_make(const struct cadre_service *service)
{
	struct cadre_table *const table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->service = service;
	table->duties = calloc(service->operation_count, sizeof(*table->duties));
	if (!table->duties) {
		free(table);
		return NULL;
	}
	for (size_t i = 0; i < service->operation_count; i++) {
		table->duties[i].operation = &service->operations[i];
		table->duties[i].id = service->operations[i].id;
		atomic_init(&table->duties[i].expected_ns, EXPECTED_AT_FIRST_NS);
	}
	qsort(table->duties, service->operation_count, sizeof(*table->duties),
	      compare_duties);
	for (size_t i = service->operation_count; i-- > 0;)
		table->near[(uint32_t)table->duties[i].id % CADRE_TABLE_NEAR] =
			&table->duties[i];
	atomic_init(&table->users, 1);
	return table;
}

void cadre_table_free(struct cadre_table *table)
{
	if (table)
		free(table->duties);
	free(table);
}

struct cadre_duty *cadre_table_search(const struct cadre_table *table, int32_t operation)
{
	const struct cadre_duty key = { .id = operation };

	return bsearch(&key, table->duties, table->service->operation_count,
		       sizeof(*table->duties), compare_duties);
}

void cadre_table_hold(struct cadre_table *table)
{
	/* Relaxed: whoever counts up has a hold already, or is seen by the grace period. */
	atomic_fetch_add_explicit(&table->users, 1, memory_order_relaxed);
}

struct cadre_table *cadre_table_hold_present(struct cadre_table *_Atomic *present)
{
	struct cadre_table *table;

	urcu_bp_read_lock();
	/* J3: acquire, pairs with J2: the table is whole. */
	table = atomic_load_explicit(present, memory_order_acquire);
	cadre_table_hold(table);
	urcu_bp_read_unlock();
	return table;
}

static struct cadre_table *table_of(struct rcu_head *head, size_t offset)
{
	return (struct cadre_table *)(void *)((char *)head - offset);
}

/* Nobody is in its handlers any more. */
static void release(struct rcu_head *head)
{
	struct cadre_table *const table = table_of(head, offsetof(struct cadre_table,
								  releasing));
	const struct cadre_service *const service = table->service;
	_Atomic uint32_t *const replaced = table->replaced;
	int r = 0;

	/* J5: acquire, pairs with J4: all that the others did with it is done. */
	(void)atomic_load_explicit(&table->users, memory_order_acquire);
	if (service->fini)
		r = service->fini(table->state);
	if (r != 0)
		cadre_log(CADRE_LOG_WARNING, "fini of service \"%s\" failed: %s",
			  service->name ? service->name : "", strerror(r < 0 ? -r : r));
	if (table->released)
		table->released(service, table->context);
	cadre_table_free(table);
	/* J6: release, pairs with J7: our last look at the worker. */
	atomic_fetch_sub_explicit(replaced, 1, memory_order_release);
}

void cadre_table_let_go(struct cadre_table *table)
{
	/* J4: acquire and release: the last one has seen what the others did. */
	if (atomic_fetch_sub_explicit(&table->users, 1, memory_order_acq_rel) == 1)
		urcu_bp_call_rcu(&table->releasing, release);
}

static void drop(struct rcu_head *head)
{
	struct cadre_table *const table = table_of(head,
						   offsetof(struct cadre_table, dropping));

	/* J5 as well, pairs with J4 in cadre_table_replace: all that was written there. */
	(void)atomic_load_explicit(&table->users, memory_order_acquire);
	cadre_table_let_go(table);
}

void cadre_table_replace(struct cadre_table *_Atomic *present, struct cadre_table *table,
			 cadre_released_fn *released, void *context,
			 _Atomic uint32_t *replaced)
{
	/* J2: release, pairs with J3; acquire, for what the last replacer wrote. */
	struct cadre_table *const old = atomic_exchange_explicit(present, table,
								 memory_order_acq_rel);

	/* Nobody reads these before our hold, that of being present, is gone. */
	old->released = released;
	old->context = context;
	old->replaced = replaced;
	atomic_fetch_add_explicit(replaced, 1, memory_order_relaxed);
	/* J4 as well, pairs with J5 in drop: call_rcu says so too, but to no tool that looks for
	 * races. */
	atomic_fetch_add_explicit(&old->users, 0, memory_order_release);
	urcu_bp_call_rcu(&old->dropping, drop);
}

void cadre_table_await_released(const _Atomic uint32_t *replaced)
{
	const struct timespec nap = cadre_clock_timespec(CADRE_NS_PER_MS);

	/* J7: acquire, pairs with J6. */
	while (atomic_load_explicit(replaced, memory_order_acquire) > 0)
		nanosleep(&nap, NULL);
}
