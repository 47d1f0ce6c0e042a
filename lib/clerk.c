#include "clerk.h"
#include "clock.h"
#include "log.h"

/* While lines come they are collected so often, and nobody knocks. */
#define COLLECT_NS (20 * CADRE_NS_PER_MS)

static struct cadre_log_ring *ring_of(const struct cadre_clerk *clerk, uint32_t i)
{
	return &clerk->merge.view->log_rings[i];
}

int cadre_clerk_init(struct cadre_clerk *clerk, const char *pool,
		     const struct cadre_view *view, const struct cadre_sink *sink)
{
	const int r = cadre_log_merge_init(&clerk->merge, pool, view);

	if (r < 0)
		return r;
	clerk->sink = *sink;
	clerk->next_ns = INT64_MAX;
	clerk->works = true;
	for (uint32_t i = 0; i < clerk->merge.count; i++)
		clerk->merge.sources[i].cursor.position = atomic_load_explicit(
			&ring_of(clerk, i)->shown, memory_order_relaxed);
	return 0;
}

void cadre_clerk_fini(struct cadre_clerk *clerk)
{
	if (!clerk->works)
		return;
	cadre_clerk_drain(clerk);
	clerk->works = false;
	cadre_sink_fini(&clerk->sink);
	cadre_log_merge_fini(&clerk->merge);
}

static void put(const struct cadre_log_line *line, void *context)
{
	struct cadre_clerk *const clerk = context;

	cadre_sink_put(&clerk->sink, line);
}

static void remember(struct cadre_clerk *clerk)
{
	for (uint32_t i = 0; i < clerk->merge.count; i++) {
		const struct cadre_log_source *const source = &clerk->merge.sources[i];

		/* Relaxed: for a successor. Only where it has changed: the line is the ring's. */
		if (atomic_load_explicit(&ring_of(clerk, i)->shown, memory_order_relaxed) !=
		    source->cursor.position - source->has_next)
			atomic_store_explicit(&ring_of(clerk, i)->shown,
					      source->cursor.position - source->has_next,
					      memory_order_relaxed);
	}
}

void cadre_clerk_drain(struct cadre_clerk *clerk)
{
	_Atomic uint32_t *wish;
	unsigned told;

	if (!clerk->works || clerk->drains)
		return;
	wish = &clerk->merge.view->header->wish_to_log;
	clerk->drains = true;
	/* Y6: the wish is taken back before the rings are looked at. Pairs with Y5 in log.c. */
	atomic_store_explicit(wish, 0, memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst);
	told = cadre_log_merge_read(&clerk->merge, put, clerk);
	CADRE_KILL_POINT("Y3");
	clerk->next_ns = INT64_MAX;
	if (told > 0) {
		remember(clerk);
		/* More may come: we look by ourselves, and nobody needs to knock. */
		atomic_store_explicit(wish, 1, memory_order_relaxed);
		clerk->next_ns = cadre_clock_ns() + COLLECT_NS;
	}
	clerk->drains = false;
}

bool cadre_clerk_write(struct cadre_clerk *clerk, enum cadre_log_level level,
		       const char *text)
{
	if (!clerk->works || level > cadre_log_level_now(clerk->merge.view))
		return false;
	cadre_log_put(clerk->merge.view, clerk->merge.count - 1, 0, level, text);
	cadre_clerk_drain(clerk);
	return clerk->sink.call ||
	       clerk->sink.kinds & (CADRE_LOG_TO_STDERR | CADRE_LOG_TO_SYSLOG);
}
