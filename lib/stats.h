/*
 * stats.h - the counters in the segment, each with a single writer and read by anybody
 * without a word to the pool. What each means stands in counters.def.
 *
 * How a worker spends its time is kept as a sum per activity plus the moment of the last
 * change, so that a reader can add the running stay: a job that never ends is seen. The
 * triple is guarded by a sequence number, odd while it is being changed; a reader that
 * meets an odd one for long shows what it has (its writer died in between, and the
 * supervisor evens it out when it reaps).
 */
#ifndef CADRE_STATS_H
#define CADRE_STATS_H

#include "histogram.h"
#include "platform.h"

enum cadre_activity {
	CADRE_ACTIVITY_ABSENT = 0, /* no process, or not started yet */
	CADRE_ACTIVITY_IDLE = 1,
	CADRE_ACTIVITY_BUSY = 2,    /* at least one job is taken */
	CADRE_ACTIVITY_BLOCKED = 3, /* waits for the consumer of a stream */
	CADRE_ACTIVITY_COUNT = 4,
};

/* One struct per scope, its fields in the order of counters.def. */
#define CADRE_COUNTER(scope, name, kind, unit, sentence) CADRE_FIELD_##scope(name)

#define CADRE_FIELD_WORKER(name) _Atomic uint64_t name;
#define CADRE_FIELD_PLACE(name)
#define CADRE_FIELD_CLIENT(name)
#define CADRE_FIELD_POOL(name)
struct cadre_worker_counters {
#include "counters.def"
};

#undef CADRE_FIELD_WORKER
#undef CADRE_FIELD_PLACE
#define CADRE_FIELD_WORKER(name)
#define CADRE_FIELD_PLACE(name) _Atomic uint64_t name;
struct cadre_place_counters {
#include "counters.def"
};

#undef CADRE_FIELD_PLACE
#undef CADRE_FIELD_CLIENT
#define CADRE_FIELD_PLACE(name)
#define CADRE_FIELD_CLIENT(name) _Atomic uint64_t name;
struct cadre_client_counters {
#include "counters.def"
};

#undef CADRE_FIELD_CLIENT
#undef CADRE_FIELD_POOL
#define CADRE_FIELD_CLIENT(name)
#define CADRE_FIELD_POOL(name) _Atomic uint64_t name;
struct cadre_pool_counters {
#include "counters.def"
};

#undef CADRE_FIELD_WORKER
#undef CADRE_FIELD_PLACE
#undef CADRE_FIELD_CLIENT
#undef CADRE_FIELD_POOL
#undef CADRE_COUNTER

/* The statistics of one worker's place. */
struct cadre_place_stats {
	/* The worker; the supervisor while nobody sits there. */
	alignas(CADRE_CACHE_LINE) _Atomic uint32_t sequence;
	_Atomic uint32_t activity;
	_Atomic int64_t since_ns;
	_Atomic int64_t spent_ns[CADRE_ACTIVITY_COUNT];
	_Atomic int32_t operation; /* of the job taken last */
	_Atomic uint32_t slot;     /* where that lies: a hint for who looks for it */
	_Atomic int64_t taken_ns;  /* and when it was taken (cadre_view_taken_ns) */
	/* The worker, always: goes on over restarts. */
	alignas(CADRE_CACHE_LINE) struct cadre_worker_counters worker;
	/* The supervisor. */
	alignas(CADRE_CACHE_LINE) struct cadre_place_counters place;
	_Atomic int32_t last_signal;      /* of the last death; 0: it exited */
	_Atomic int32_t last_exit_status; /* of the last death */
};

static_assert(offsetof(struct cadre_place_stats, worker) == CADRE_CACHE_LINE,
	      "segment layout");

/* How long the jobs of one operation took in one place. Each place has a handful of these
 * lines (layout.h); a worker takes the next unused one for an operation that is new to it,
 * and all that find none share the last. The worker writes them, always, so they go on over
 * restarts. A line that was taken and counts nothing yet does no harm. */
struct cadre_latency_line {
	alignas(CADRE_CACHE_LINE) _Atomic int32_t operation; /* 0: unused, or the last */
	_Atomic uint64_t failed;     /* jobs that did not end as ok */
	_Atomic uint64_t waiting_ns; /* in all */
	_Atomic uint64_t service_ns; /* in all */
	alignas(CADRE_CACHE_LINE) struct cadre_histogram waiting; /* submitted to taken */
	alignas(CADRE_CACHE_LINE) struct cadre_histogram service; /* taken to ended */
	alignas(CADRE_CACHE_LINE) struct cadre_histogram total;   /* submitted to ended */
};

/* The line of an operation in a place that has `count` of them, at least one. */
struct cadre_latency_line *cadre_stats_line(struct cadre_latency_line *lines,
					    uint32_t count, int32_t operation);

/* ---- the one writer's verbs; none of these is a read-modify-write ---- */

static inline void cadre_count_add(_Atomic uint64_t *counter, uint64_t amount)
{
	/* Relaxed: one writer; readers accept a count that is a moment old. */
	atomic_store_explicit(counter,
			      atomic_load_explicit(counter, memory_order_relaxed) + amount,
			      memory_order_relaxed);
}

/* The same for a duration, of which one below zero counts as none. */
static inline void cadre_count_add_ns(_Atomic uint64_t *counter, int64_t ns)
{
	cadre_count_add(counter, ns > 0 ? (uint64_t)ns : 0);
}

static inline void cadre_count_set(_Atomic uint64_t *level, uint64_t value)
{
	atomic_store_explicit(level, value, memory_order_relaxed);
}

static inline uint64_t cadre_count_read(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void cadre_count_peak(_Atomic uint64_t *peak, uint64_t value)
{
	if (value > cadre_count_read(peak))
		cadre_count_set(peak, value);
}

/* The worker is doing something else from now on. */
void cadre_stats_turn_to(struct cadre_place_stats *stats, enum cadre_activity activity,
			 int64_t now_ns);

/* What a reader sees, the running stay included. False when the triple was torn. */
bool cadre_stats_times(const struct cadre_place_stats *stats, int64_t now_ns,
		       enum cadre_activity *ret_activity, int64_t *ret_since_ns,
		       int64_t ret_spent_ns[CADRE_ACTIVITY_COUNT]);

/* Evens out what a dead worker left, and turns its place to ABSENT. */
void cadre_stats_bury(struct cadre_place_stats *stats, int64_t now_ns);

#endif
