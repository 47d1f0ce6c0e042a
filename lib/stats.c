#include "stats.h"

/* A reader gives up on an odd sequence after so many looks. */
#define LOOKS_MAX 1000

static void begin(struct cadre_place_stats *stats)
{
	const uint32_t even = atomic_load_explicit(&stats->sequence, memory_order_relaxed);

	atomic_store_explicit(&stats->sequence, even | 1, memory_order_relaxed);
	/* Q1, pairs with Q3: no field changes before the sequence is odd. */
	atomic_thread_fence(memory_order_release);
}

static void end(struct cadre_place_stats *stats)
{
	const uint32_t odd = atomic_load_explicit(&stats->sequence, memory_order_relaxed);

	/* Q2, pairs with Q4: the fields are there before the sequence is even. */
	atomic_store_explicit(&stats->sequence, odd + 1, memory_order_release);
}

/* What stands in the segment may be anything: neither function overflows. */
static int64_t stay_ns(int64_t since_ns, int64_t now_ns)
{
	return since_ns > 0 && now_ns > since_ns ? now_ns - since_ns : 0;
}

static int64_t plus(int64_t spent_ns, int64_t more_ns)
{
	return spent_ns > INT64_MAX - more_ns ? INT64_MAX : spent_ns + more_ns;
}

void cadre_stats_turn_to(struct cadre_place_stats *stats, enum cadre_activity activity,
			 int64_t now_ns)
{
	const uint32_t before = atomic_load_explicit(&stats->activity,
						     memory_order_relaxed) %
				CADRE_ACTIVITY_COUNT;
	const int64_t since_ns = atomic_load_explicit(&stats->since_ns,
						      memory_order_relaxed);
	_Atomic int64_t *const spent_ns = &stats->spent_ns[before];

	begin(stats);
	atomic_store_explicit(spent_ns,
			      plus(atomic_load_explicit(spent_ns, memory_order_relaxed),
				   stay_ns(since_ns, now_ns)),
			      memory_order_relaxed);
	atomic_store_explicit(&stats->since_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&stats->activity, activity, memory_order_relaxed);
	end(stats);
}

bool cadre_stats_times(const struct cadre_place_stats *stats, int64_t now_ns,
		       enum cadre_activity *ret_activity, int64_t *ret_since_ns,
		       int64_t ret_spent_ns[CADRE_ACTIVITY_COUNT])
{
	bool whole = false;
	uint32_t activity = 0;

	for (int look = 0; look < LOOKS_MAX && !whole; look++) {
		/* Q4, pairs with Q2. */
		const uint32_t before = atomic_load_explicit(&stats->sequence,
							     memory_order_acquire);

		activity = atomic_load_explicit(&stats->activity, memory_order_relaxed) %
			   CADRE_ACTIVITY_COUNT;
		*ret_since_ns = atomic_load_explicit(&stats->since_ns,
						     memory_order_relaxed);
		for (unsigned i = 0; i < CADRE_ACTIVITY_COUNT; i++)
			ret_spent_ns[i] = atomic_load_explicit(&stats->spent_ns[i],
							       memory_order_relaxed);
		/* Q3, pairs with Q1. */
		atomic_thread_fence(memory_order_acquire);
		whole = !(before & 1) &&
			atomic_load_explicit(&stats->sequence, memory_order_relaxed) ==
				before;
	}
	ret_spent_ns[activity] = plus(ret_spent_ns[activity],
				      stay_ns(*ret_since_ns, now_ns));
	*ret_activity = (enum cadre_activity)activity;
	return whole;
}

void cadre_stats_bury(struct cadre_place_stats *stats, int64_t now_ns)
{
	cadre_stats_turn_to(stats, CADRE_ACTIVITY_ABSENT, now_ns);
	cadre_count_set(&stats->worker.workload, 0);
}

struct cadre_latency_line *cadre_stats_line(struct cadre_latency_line *lines,
					    uint32_t count, int32_t operation)
{
	for (uint32_t i = 0; i + 1 < count; i++) {
		/* Relaxed, both: one writer, and each number in a line says something by
		 * itself. */
		const int32_t taken_by = atomic_load_explicit(&lines[i].operation,
							      memory_order_relaxed);

		if (taken_by == operation)
			return &lines[i];
		if (taken_by != 0)
			continue;
		atomic_store_explicit(&lines[i].operation, operation,
				      memory_order_relaxed);
		return &lines[i];
	}
	return &lines[count - 1];
}
