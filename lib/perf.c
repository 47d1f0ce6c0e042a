#include "perf.h"

#include <string.h>

static void set(_Atomic uint64_t *number, uint64_t value)
{
	atomic_store_explicit(number, value, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

void cadre_perf_clear(struct cadre_perf_table *table)
{
	for (unsigned i = 0; i < CADRE_PERF_COUNTERS_MAX; i++) {
		struct cadre_perf_line *const line = &table->lines[i];

		/* Relaxed: a reader that sees the old name beside new numbers shows a moment of
		 * the change; nobody acts on it. */
		for (unsigned at = 0; at <= CADRE_PERF_NAME_MAX; at++)
			atomic_store_explicit(&line->name[at], 0, memory_order_relaxed);
		set(&line->count, 0);
		set(&line->errors, 0);
		set(&line->total_ns, 0);
		set(&line->max_ns, 0);
	}
}

void cadre_perf_name(struct cadre_perf_line *line, const char *name)
{
	for (unsigned at = 1; at < CADRE_PERF_NAME_MAX && name[at]; at++)
		atomic_store_explicit(&line->name[at], name[at], memory_order_relaxed);
	/* Q5: release, pairs with Q6: a line that has a name has all of it. */
	atomic_store_explicit(&line->name[0], name[0], memory_order_release);
}

void cadre_perf_add(struct cadre_perf_line *line, bool failed, int64_t took_ns)
{
	const uint64_t took = took_ns > 0 ? (uint64_t)took_ns : 0;
	uint64_t most = get(&line->max_ns);

	/* Relaxed: numbers; each is exact by itself. */
	atomic_fetch_add_explicit(&line->count, 1, memory_order_relaxed);
	if (failed)
		atomic_fetch_add_explicit(&line->errors, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&line->total_ns, took, memory_order_relaxed);
	/* Whoever is in the way raises it, so this ends after as many rounds as there are
	 * threads with a longer job. */
	while (took > most &&
	       !atomic_compare_exchange_weak_explicit(&line->max_ns, &most, took,
						      memory_order_relaxed,
						      memory_order_relaxed)) {
	}
}

bool cadre_perf_read(const struct cadre_perf_line *line, struct cadre_perf *ret_perf)
{
	/* Q6: acquire, pairs with Q5. */
	const char first = atomic_load_explicit(&line->name[0], memory_order_acquire);

	if (first == '\0')
		return false;
	memset(ret_perf->name, 0, sizeof(ret_perf->name));
	ret_perf->name[0] = first;
	for (unsigned at = 1; at < CADRE_PERF_NAME_MAX; at++)
		ret_perf->name[at] = atomic_load_explicit(&line->name[at],
							  memory_order_relaxed);
	ret_perf->count = get(&line->count);
	ret_perf->errors = get(&line->errors);
	ret_perf->total_ns = get(&line->total_ns);
	ret_perf->max_ns = get(&line->max_ns);
	return true;
}
