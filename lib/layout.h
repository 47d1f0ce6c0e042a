/*
 * layout.h - where things lie in a segment, and the header that says so.
 *
 *   header | places, bells, aims, statistics, crash records of workers and guests |
 *   latencies, last log lines of workers | places, bells, hints, counters, named counters of
 *   clients | slots | books | owner words of blocks | start arguments | events, crashes,
 *   kept requests | blocks
 *
 * Whoever serves jobs has a *seat*: the workers have the first limits.workers of them, and
 * behind them come limits.locals for guests: local workers, which live in processes that
 * are not the supervisor's children, and serve only what is aimed at them.
 *
 * No offset is ever read from the segment. The header holds a handful of limits; they are
 * checked once, and every process computes the same layout from them in private memory. A
 * fingerprint over the sizes of all shared structs refuses a build that would compute
 * another one.
 */
#ifndef CADRE_LAYOUT_H
#define CADRE_LAYOUT_H

#include "bell.h"
#include "block.h"
#include "crash.h"
#include "crew.h"
#include "event.h"
#include "kept.h"
#include "logring.h"
#include "mask.h"
#include "perf.h"
#include "place.h"
#include "segment.h"
#include "slot.h"
#include "stats.h"
#include "stream.h"
#include "token.h"
#include "window.h"

#include <cadre/service.h>

#define CADRE_LAYOUT_NUMBER 3u
#define CADRE_MAGIC UINT64_C(0x31455244414341ff) /* ff "ACADRE1" */
#define CADRE_START_DATA_MAX 4096u

/* Lines of latency histograms per worker: as many as fit this room, within these bounds. */
#define CADRE_LATENCY_BYTES (4u << 20)
#define CADRE_LATENCY_LINES_MIN 4u
#define CADRE_LATENCY_LINES_MAX 32u

/* Everything that sizes depend on, and what workers and clients go by. Written by the
 * supervisor before `ready`, then never again. */
struct cadre_limits {
	uint32_t workers; /* places, a spare one for replacements included; 0: locals only */
	uint32_t workers_min; /* to begin with; as it is now: cadre_view_size */
	uint32_t parallel;
	uint32_t clients;      /* windows */
	uint32_t slots;        /* per window, a power of two */
	uint32_t start_length; /* bytes of start arguments */
	uint32_t locals;       /* places for local workers, behind those of the workers */
	uint32_t tokens;       /* cells; 0: none can be made */
	uint64_t payload_max;
	uint64_t block_bytes;
	int64_t grace_ns;
	int64_t orphan_ns;
	int64_t spin_ns;
	int64_t spread_ns;
};

enum cadre_pool_state {
	CADRE_POOL_STARTING = 0,
	CADRE_POOL_OPEN = 1,
	CADRE_POOL_STOPPING = 2,   /* accepts nothing, runs what was accepted */
	CADRE_POOL_TERMINATED = 3, /* every job ended; the segment is about to go */
	CADRE_POOL_DRAINING = 4,   /* as STOPPING, but the pool stays */
	CADRE_POOL_STOPPED = 5,    /* has no workers and waits to be started again */
};

#define CADRE_POOL_STATES 6

/* How many workers there shall be. */
struct cadre_size {
	uint32_t min;
	uint32_t max;
};

struct cadre_operation_line {
	int32_t id;                          /* 0: none */
	char name[CADRE_CACHE_LINE - 4 - 4]; /* ends with a zero byte */
	uint32_t spare;
};

static_assert(sizeof(struct cadre_operation_line) == CADRE_CACHE_LINE, "segment layout");

/* S: the supervisor, before `ready` unless marked otherwise. */
struct cadre_header {
	alignas(CADRE_CACHE_LINE) uint64_t magic;
	uint32_t layout;
	uint32_t spare;
	uint64_t fingerprint;
	uint64_t boot_id;
	int64_t created_ns; /* CLOCK_MONOTONIC */
	int64_t created_unix_s;
	_Atomic uint32_t ready; /* S: 1, with release, when all of it stands */
	struct cadre_limits limits;
	char pool[CADRE_NAME_MAX + 1];

	alignas(CADRE_CACHE_LINE) _Atomic uint32_t state; /* S, at any time */
	_Atomic int32_t supervisor_pid;                   /* S */
	_Atomic uint64_t supervisor_start_time;           /* S */
	_Atomic int64_t heartbeat_ns;                     /* S, each tick */
	_Atomic uint32_t operation_count;                 /* S */
	_Atomic uint32_t degraded;                        /* S: too many deaths */
	_Atomic uint64_t size;    /* S, at any time: max << 32 | min, changed at once */
	_Atomic uint32_t version; /* S, at any time: of the service that is served */

	alignas(CADRE_CACHE_LINE) _Atomic uint32_t wish_to_grow; /* clients set, S clears */
	_Atomic uint32_t wish_to_log; /* workers set, S clears: there are lines to be told */

	/* S, at any time. On a line of its own, which each worker reads at each message. */
	alignas(CADRE_CACHE_LINE) _Atomic int32_t log_level;

	struct cadre_crew crew;
	struct cadre_crew guests; /* the same bits of local workers, by seat */
	struct cadre_mask leased; /* S: windows that have a client, or jobs of a dead one */
	alignas(CADRE_CACHE_LINE) _Atomic uint32_t tokens_high; /* clients, by CAS: token.h */
	struct cadre_mask active; /* clients set, workers clear: windows that may hold jobs */

	alignas(CADRE_CACHE_LINE) struct cadre_pool_counters counters; /* S, at any time */
	struct cadre_operation_line operations[CADRE_OPERATIONS_MAX];  /* S */
};

static_assert(sizeof(struct cadre_header) % CADRE_CACHE_LINE == 0, "segment layout");

/* What a client writes beside its hints. */
struct cadre_client_lines {
	struct cadre_hints hints;
	alignas(CADRE_CACHE_LINE) struct cadre_client_counters counters;
};

/* Everything that a process needs to find its way in a mapped segment: sizes and
 * addresses, computed once, in private memory. Read-only afterwards. */
struct cadre_view {
	struct cadre_segment segment;
	struct cadre_limits limits;
	struct cadre_block_plan plan;
	uint32_t slot_count;    /* of all windows */
	uint32_t seat_count;    /* workers and locals */
	uint32_t latency_lines; /* per worker; a guest has one */
	size_t size;            /* of the whole segment */

	struct cadre_header *header;
	struct cadre_place *worker_places; /* by seat, as the next five */
	struct cadre_bell *worker_bells;
	/* Windows that may hold jobs aimed at it: clients set, its worker clears. */
	struct cadre_mask *worker_aims;
	struct cadre_place_stats *worker_stats;
	struct cadre_crash *worker_crashes;
	struct cadre_log_ring *log_rings; /* of each worker's place, and of the supervisor */
	struct cadre_latency_line *latencies; /* seat after seat */
	struct cadre_place *client_places;
	struct cadre_bell *client_bells;
	struct cadre_client_lines *client_lines;
	struct cadre_perf_table *client_perfs;
	struct cadre_slot *slots;       /* window after window */
	struct cadre_books *books;      /* likewise */
	struct cadre_warrant *warrants; /* likewise */
	struct cadre_token_table tokens;
	struct cadre_block_owner *block_owners;
	unsigned char *start_data;
	struct cadre_annals events;  /* of struct cadre_event */
	struct cadre_annals crashes; /* of struct cadre_backtrace: of the last deaths */
	struct cadre_annals kept; /* of struct cadre_kept: requests that were refused */
	unsigned char *arena;
};

/* Checks limits: 0, or -EINVAL with a sentence. */
int cadre_limits_check(const struct cadre_limits *limits, struct cadre_diag *diag);

/* Bytes of a segment with these limits. */
size_t cadre_layout_size(const struct cadre_limits *limits);

/* Creates the segment of a pool with a complete header, but not `ready`. */
int cadre_layout_create(const char *pool, const struct cadre_limits *limits, mode_t mode,
			struct cadre_view *ret_view, struct cadre_diag *diag);

/* Opens the segment of a pool and checks all of the header. -ENOENT, -EACCES, -EBADMSG,
 * -EPROTONOSUPPORT. */
int cadre_layout_open(const char *pool, bool writable, struct cadre_view *ret_view,
		      struct cadre_diag *diag);

/* The same over a segment that is mapped already; the caller keeps the mapping on failure. */
int cadre_layout_view(const char *pool, struct cadre_segment segment,
		      struct cadre_view *ret_view, struct cadre_diag *diag);

void cadre_layout_close(struct cadre_view *view);

struct cadre_block_pool cadre_layout_blocks(const struct cadre_view *view);

/* The slot of a window; `index` is taken modulo the window's size. */
static inline struct cadre_slot *cadre_view_slot(const struct cadre_view *view,
						 uint32_t window, uint64_t index)
{
	return &view->slots[window * view->limits.slots + (index & (view->limits.slots - 1))];
}

/* The longest payload, either way, that needs no block. */
static inline uint32_t cadre_limits_inline_max(const struct cadre_limits *limits)
{
	return limits->payload_max < CADRE_INLINE_MAX ? (uint32_t)limits->payload_max :
							CADRE_INLINE_MAX;
}

/* The window of a slot, by its number in the whole segment. */
static inline uint32_t cadre_view_window_of(const struct cadre_view *view, uint32_t slot)
{
	return slot / view->limits.slots;
}

/* How many workers there shall be just now; whatever stands there, 0 <= min <= max and
 * 1 <= max <= places (unless there are none). */
struct cadre_size cadre_view_size(const struct cadre_view *view);
void cadre_view_set_size(const struct cadre_view *view, struct cadre_size size);

/* The crew that a seat belongs to. Guests have one apart, because nobody may count on them:
 * they take nothing but what is aimed at them. */
static inline struct cadre_crew *cadre_view_crew(const struct cadre_view *view,
						 unsigned seat)
{
	return seat < view->limits.workers ? &view->header->crew : &view->header->guests;
}

/* Bits of a client's bell for one of its slots. */
static inline uint32_t cadre_view_bell_bit(uint32_t slot)
{
	return UINT32_C(1) << slot % 32;
}

/* The latency lines of a seat: `latency_lines` of them for a worker, one for a guest. */
static inline struct cadre_latency_line *cadre_view_latencies(const struct cadre_view *view,
							      uint32_t seat)
{
	const uint32_t workers = view->limits.workers;

	return seat < workers ? &view->latencies[(size_t)seat * view->latency_lines] :
				&view->latencies[(size_t)workers * view->latency_lines +
						 seat - workers];
}

static inline uint32_t cadre_view_latency_lines(const struct cadre_view *view,
						uint32_t seat)
{
	return seat < view->limits.workers ? view->latency_lines : 1;
}

/* The bytes of a slot's request: in the slot, in a block of that job, or there behind its
 * stream. NULL when they do not lie where they must. */
const void *cadre_view_request(const struct cadre_view *view, uint32_t slot,
			       uint64_t word, uint64_t *ret_length);

/* Of the stream whose job stands in this slot, in a block of that job. NULL when the numbers
 * cannot be, or the job is no stream. *ret_size: bytes of the block. */
struct cadre_stream *cadre_view_stream(const struct cadre_view *view, uint32_t slot,
				       uint64_t word, uint64_t *ret_size);

/* Bit of a worker's bell for the producer of a stream. */
static inline uint32_t cadre_view_producer_bit(uint32_t slot)
{
	return UINT32_C(1) << slot % 31;
}

/* Rings the worker that runs this slot's job, for its producer. */
static inline void cadre_view_ring_producer(const struct cadre_view *view, uint32_t slot,
					    uint64_t word)
{
	const unsigned owner = cadre_word_unpack(word).owner;

	if (cadre_word_phase(word) == CADRE_RUNNING && owner >= 1 &&
	    owner <= view->seat_count)
		cadre_bell_ring(&view->worker_bells[owner - 1],
				cadre_view_producer_bit(slot), INT32_MAX);
}

/* The outcome of a running job was decided: its handler learns it when it looks, a producer
 * that waits for room now. */
static inline void cadre_view_tell_producer(const struct cadre_view *view, uint32_t slot,
					    uint64_t replaced)
{
	if (CADRE_READ_ONCE(view->slots[slot].request.with) & CADRE_WITH_STREAM)
		cadre_view_ring_producer(view, slot, replaced);
}

/* When the job of a slot was taken last, by what stands there; perhaps not yet by the worker of
 * this word. While it runs, that says so on a line of its own: the slot's lines are written in
 * one go at the end, since a store to a line that is still the client's holds up all that follow
 * (14 % of the jobs of a stream). Who runs several at once says it of each in its slot. */
static inline int64_t cadre_view_taken_ns(const struct cadre_view *view, uint32_t slot,
					  uint64_t word)
{
	const unsigned owner = cadre_word_owner(word);
	const int64_t taken_ns = CADRE_READ_ONCE(view->slots[slot].reply.taken_ns);
	const struct cadre_place_stats *stats;
	int64_t said_ns;

	if (cadre_word_phase(word) != CADRE_RUNNING || owner == CADRE_OWNER_NONE ||
	    owner > view->seat_count)
		return taken_ns;
	/* Relaxed, both: a torn pair is of a job that has ended meanwhile. */
	stats = &view->worker_stats[owner - 1];
	said_ns = atomic_load_explicit(&stats->taken_ns, memory_order_relaxed);
	return atomic_load_explicit(&stats->slot, memory_order_relaxed) == slot &&
			       said_ns > taken_ns ?
		       said_ns :
		       taken_ns;
}

/* Rings for whoever waits for this slot, if its word says that somebody does. */
static inline void cadre_view_ring_if_awaited(const struct cadre_view *view,
					      uint32_t slot, uint64_t word)
{
	if (cadre_word_flags(word) & CADRE_FLAG_WAITING)
		cadre_bell_ring(&view->client_bells[cadre_view_window_of(view, slot)],
				cadre_view_bell_bit(slot), INT32_MAX);
}

/* After a decision (X1, X2) that replaced this word: rings for whoever waits for the slot,
 * and tells the worker that has the job. */
static inline void cadre_view_tell_decided(const struct cadre_view *view, uint32_t slot,
					   uint64_t replaced)
{
	const unsigned owner = cadre_word_unpack(replaced).owner;

	cadre_view_ring_if_awaited(view, slot, replaced);
	if (cadre_word_phase(replaced) == CADRE_RUNNING && owner != CADRE_OWNER_NONE &&
	    owner <= view->seat_count)
		cadre_bell_notify(&view->worker_bells[owner - 1]);
	cadre_view_tell_producer(view, slot, replaced);
}

#endif
