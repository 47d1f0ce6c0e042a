#include "layout.h"
#include "clock.h"
#include "diag.h"

#include <string.h>
#include <time.h>

#define SLOTS_MAX (UINT32_C(1) << 16) /* per window */
#define SLOTS_TOTAL_MAX (UINT32_C(1) << 22)
#define PAYLOAD_MAX (UINT64_C(1) << 30)
#define SPREAD_MOST_NS (60 * CADRE_NS_PER_S)
#define BLOCK_BYTES_MAX (UINT64_C(1) << 38)

int cadre_limits_check(const struct cadre_limits *limits, struct cadre_diag *diag)
{
	if (limits->workers > CADRE_WORKERS_MAX ||
	    (limits->workers < 1 && limits->locals < 1))
		return cadre_refuse(diag, -EINVAL, "workers_max %u: must be 1 to %d",
				    limits->workers, CADRE_WORKERS_MAX);
	if (limits->locals > CADRE_WORKERS_MAX - limits->workers)
		return cadre_refuse(
			diag, -EINVAL,
			"locals_max %u: must not exceed %d together with workers_max %u",
			limits->locals, CADRE_WORKERS_MAX, limits->workers);
	if (limits->workers_min > limits->workers)
		return cadre_refuse(diag, -EINVAL,
				    "workers_min %u: is more than workers_max %u",
				    limits->workers_min, limits->workers);
	if (limits->parallel < 1 || limits->parallel > 4096)
		return cadre_refuse(diag, -EINVAL, "parallel %u: must be 1 to 4096",
				    limits->parallel);
	if (limits->clients < 1 || limits->clients > CADRE_CLIENTS_MAX)
		return cadre_refuse(diag, -EINVAL, "clients_max %u: must be 1 to %d",
				    limits->clients, CADRE_CLIENTS_MAX);
	if (limits->slots < 1 || limits->slots > SLOTS_MAX ||
	    (limits->slots & (limits->slots - 1)) != 0)
		return cadre_refuse(diag, -EINVAL,
				    "window_slots %u: must be a power of two, 1 to %u",
				    limits->slots, SLOTS_MAX);
	if (limits->clients * limits->slots > SLOTS_TOTAL_MAX)
		return cadre_refuse(
			diag, -EINVAL,
			"clients_max %u x window_slots %u: must not exceed %u slots",
			limits->clients, limits->slots, SLOTS_TOTAL_MAX);
	if (limits->payload_max > PAYLOAD_MAX)
		return cadre_refuse(diag, -EINVAL,
				    "payload_max %llu: must not exceed %llu bytes",
				    (unsigned long long)limits->payload_max,
				    (unsigned long long)PAYLOAD_MAX);
	if (limits->block_bytes > BLOCK_BYTES_MAX)
		return cadre_refuse(diag, -EINVAL,
				    "block_bytes %llu: must not exceed %llu bytes",
				    (unsigned long long)limits->block_bytes,
				    (unsigned long long)BLOCK_BYTES_MAX);
	if (limits->tokens > CADRE_TOKENS_MAX)
		return cadre_refuse(diag, -EINVAL, "tokens_max %u: must not exceed %u",
				    limits->tokens, CADRE_TOKENS_MAX);
	if (limits->start_length > CADRE_START_DATA_MAX)
		return cadre_refuse(diag, -EINVAL,
				    "start_length %u: must not exceed %u bytes",
				    limits->start_length, CADRE_START_DATA_MAX);
	if (limits->spread_ns > SPREAD_MOST_NS)
		return cadre_refuse(diag, -EINVAL, "spread_ns %lld: must not exceed %lld",
				    (long long)limits->spread_ns,
				    (long long)SPREAD_MOST_NS);
	if (limits->grace_ns < 0 || limits->orphan_ns < 0)
		return cadre_refuse(diag, -EINVAL, "a time-out must not be negative");
	return 0;
}

/* FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo) over the sizes, and the places of what has moved
 * within one, that must agree. */
static uint64_t fingerprint(void)
{
	static const size_t sizes[] = {
		CADRE_CACHE_LINE,
		sizeof(struct cadre_header),
		sizeof(struct cadre_limits),
		offsetof(struct cadre_header, state),
		offsetof(struct cadre_header, size),
		offsetof(struct cadre_header, version),
		offsetof(struct cadre_header, crew),
		offsetof(struct cadre_header, guests),
		offsetof(struct cadre_header, counters),
		offsetof(struct cadre_header, tokens_high),
		sizeof(struct cadre_token_cell),
		offsetof(struct cadre_header, operations),
		sizeof(struct cadre_place),
		sizeof(struct cadre_place_stats),
		offsetof(struct cadre_place_stats, slot),
		offsetof(struct cadre_place_stats, taken_ns),
		sizeof(struct cadre_crash),
		sizeof(struct cadre_log_ring),
		offsetof(struct cadre_header, log_level),
		sizeof(struct cadre_latency_line),
		CADRE_LATENCY_BYTES,
		CADRE_LATENCY_LINES_MIN,
		CADRE_LATENCY_LINES_MAX,
		sizeof(struct cadre_client_lines),
		sizeof(struct cadre_perf_table),
		sizeof(struct cadre_slot),
		offsetof(struct cadre_request_lines, block),
		offsetof(struct cadre_reply_lines, taken_ns),
		offsetof(struct cadre_reply_lines, payload),
		sizeof(struct cadre_books),
		sizeof(struct cadre_warrant),
		sizeof(struct cadre_stream),
		CADRE_INLINE_MAX,
		CADRE_BLOCK_SMALLEST,
		CADRE_BLOCK_CLASSES,
		CADRE_HISTOGRAM_BUCKETS,
		sizeof(struct cadre_worker_counters),
		sizeof(struct cadre_place_counters),
		sizeof(struct cadre_client_counters),
		sizeof(struct cadre_pool_counters),
		sizeof(struct cadre_backtrace),
		sizeof(struct cadre_event),
		CADRE_EVENTS,
		CADRE_EVENT_KINDS,
		CADRE_CRASHES,
		sizeof(struct cadre_kept),
		CADRE_KEPT,
		CADRE_KEPT_BYTES_MAX,
	};
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < CADRE_COUNT_OF(sizes); i++)
		hash = (hash ^ sizes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Hands out the next part of the segment, or only counts when there is no base. */
struct cutter {
	unsigned char *base;
	size_t offset;
};

static void *cut(struct cutter *cutter, size_t count, size_t size, size_t alignment)
{
	const size_t start = (cutter->offset + alignment - 1) / alignment * alignment;

	cutter->offset = start + count * size;
	return cutter->base ? cutter->base + start : NULL;
}

/* Every line is allocated, used or not: a large crew gets fewer for each. */
static uint32_t latency_lines(uint32_t workers)
{
	const uint32_t fit = CADRE_LATENCY_BYTES /
			     (uint32_t)sizeof(struct cadre_latency_line) / workers;

	if (fit < CADRE_LATENCY_LINES_MIN)
		return CADRE_LATENCY_LINES_MIN;
	return fit < CADRE_LATENCY_LINES_MAX ? fit : CADRE_LATENCY_LINES_MAX;
}

static struct cadre_annals cut_annals(struct cutter *cutter, uint32_t count,
				      uint32_t body_size)
{
	struct cadre_annals_head *const head = cut(cutter, 1, sizeof(*head), 64);

	return (struct cadre_annals){
		.head = head,
		.records = cut(cutter, count, cadre_annals_record_size(body_size), 64),
		.count = count,
		.body_size = body_size,
	};
}

/* Limits are checked: nothing below overflows. */
static void lay_out(struct cadre_view *view)
{
	const struct cadre_limits *const limits = &view->limits;
	struct cutter cutter = { .base = view->segment.base };

	view->plan = cadre_block_plan(limits->payload_max, limits->block_bytes);
	view->slot_count = limits->clients * limits->slots;
	view->latency_lines = latency_lines(limits->workers ? limits->workers : 1);
	view->seat_count = limits->workers + limits->locals;

	view->header = cut(&cutter, 1, sizeof(*view->header), 4096);
	view->worker_places = cut(&cutter, view->seat_count, sizeof(*view->worker_places),
				  64);
	view->worker_bells = cut(&cutter, view->seat_count, sizeof(*view->worker_bells),
				 64);
	view->worker_aims = cut(&cutter, view->seat_count, sizeof(*view->worker_aims), 64);
	view->worker_stats = cut(&cutter, view->seat_count, sizeof(*view->worker_stats),
				 64);
	view->worker_crashes = cut(&cutter, view->seat_count,
				   sizeof(*view->worker_crashes), 64);
	view->latencies = cut(&cutter,
			      (size_t)limits->workers * view->latency_lines +
				      limits->locals,
			      sizeof(*view->latencies), 64);
	view->log_rings = cut(&cutter, limits->workers + (size_t)1,
			      sizeof(*view->log_rings), 64);
	view->client_places = cut(&cutter, limits->clients, sizeof(*view->client_places),
				  64);
	view->client_bells = cut(&cutter, limits->clients, sizeof(*view->client_bells),
				 64);
	view->client_lines = cut(&cutter, limits->clients, sizeof(*view->client_lines),
				 64);
	view->client_perfs = cut(&cutter, limits->clients, sizeof(*view->client_perfs),
				 64);
	view->slots = cut(&cutter, view->slot_count, sizeof(*view->slots), 4096);
	view->books = cut(&cutter, view->slot_count, sizeof(*view->books), 64);
	view->warrants = cut(&cutter, view->slot_count, sizeof(*view->warrants), 64);
	view->tokens.cells = cut(&cutter, limits->tokens, sizeof(*view->tokens.cells), 64);
	view->tokens.count = limits->tokens;
	view->tokens.high = view->header ? &view->header->tokens_high : NULL;
	view->block_owners = cut(&cutter, view->plan.total, sizeof(*view->block_owners),
				 64);
	view->start_data = cut(&cutter, 1, limits->start_length, 64);
	view->events = cut_annals(&cutter, CADRE_EVENTS, sizeof(struct cadre_event));
	view->crashes = cut_annals(&cutter, CADRE_CRASHES, sizeof(struct cadre_backtrace));
	view->kept = cut_annals(&cutter, CADRE_KEPT,
				cadre_kept_body_size(limits->payload_max));
	view->arena = cut(&cutter, 1, view->plan.bytes, 4096);
	view->size = (cutter.offset + 4095) / 4096 * 4096;
}

size_t cadre_layout_size(const struct cadre_limits *limits)
{
	struct cadre_view view = { .limits = *limits };

	lay_out(&view);
	return view.size;
}

int cadre_layout_create(const char *pool, const struct cadre_limits *limits, mode_t mode,
			struct cadre_view *ret_view, struct cadre_diag *diag)
{
	struct cadre_view view = { .limits = *limits };
	struct cadre_header *header;
	int r;

	r = cadre_segment_create(pool, cadre_layout_size(limits), mode, &view.segment,
				 diag);
	if (r < 0)
		return r;
	lay_out(&view);

	header = view.header;
	header->magic = CADRE_MAGIC;
	header->layout = CADRE_LAYOUT_NUMBER;
	header->fingerprint = fingerprint();
	header->boot_id = cadre_process_boot_id();
	header->created_ns = cadre_clock_ns();
	header->created_unix_s = (int64_t)time(NULL);
	header->limits = *limits;
	cadre_view_set_size(&view, (struct cadre_size){ .min = limits->workers_min,
							.max = limits->workers });
	strncpy(header->pool, pool, sizeof(header->pool) - 1);
	*ret_view = view;
	return 0;
}

static int refuse_layout(struct cadre_diag *diag, const char *pool, uint32_t theirs)
{
	return cadre_refuse(diag, -EPROTONOSUPPORT,
			    "cannot read pool \"%s\": it was created with layout %u%s, this "
			    "program knows layout %u%s",
			    pool, theirs,
			    theirs == CADRE_LAYOUT_NUMBER ? " of another build" : "",
			    CADRE_LAYOUT_NUMBER,
			    theirs == CADRE_LAYOUT_NUMBER ? " of its own" : "");
}

int cadre_layout_view(const char *pool, struct cadre_segment segment,
		      struct cadre_view *ret_view, struct cadre_diag *diag)
{
	const struct cadre_header *const header = (const void *)segment.base;
	struct cadre_view view = { .segment = segment };

	if (segment.size < sizeof(*header))
		return cadre_refuse(diag, -EBADMSG,
				    "cannot read pool \"%s\": its segment of %zu bytes holds no "
				    "header",
				    pool, segment.size);
	if (header->magic != CADRE_MAGIC)
		return cadre_refuse(
			diag, -EBADMSG,
			"cannot read pool \"%s\": its segment was not made by Cadre",
			pool);
	if (header->layout != CADRE_LAYOUT_NUMBER || header->fingerprint != fingerprint())
		return refuse_layout(diag, pool, header->layout);

	/* H1: acquire, pairs with the release by the supervisor: limits are complete. */
	if (atomic_load_explicit(&header->ready, memory_order_acquire) != 1)
		return cadre_refuse(
			diag, -ECONNREFUSED,
			"cannot open pool \"%s\": it is still being started, or died "
			"while it was",
			pool);

	/* One copy, checked and used; what stands in the segment later does not matter. */
	view.limits = header->limits;
	if (cadre_limits_check(&view.limits, NULL) < 0)
		return cadre_refuse(
			diag, -EBADMSG,
			"cannot read pool \"%s\": the limits in its header cannot be",
			pool);
	lay_out(&view);
	if (view.size != segment.size)
		return cadre_refuse(diag, -EBADMSG,
				    "cannot read pool \"%s\": its segment has %zu bytes and its "
				    "header asks for %zu",
				    pool, segment.size, view.size);
	*ret_view = view;
	return 0;
}

int cadre_layout_open(const char *pool, bool writable, struct cadre_view *ret_view,
		      struct cadre_diag *diag)
{
	struct cadre_segment segment = { 0 };
	int r = cadre_name_check(pool, diag);

	if (r == 0)
		r = cadre_segment_open(pool, writable, &segment, diag);
	if (r < 0)
		return r;
	r = cadre_layout_view(pool, segment, ret_view, diag);
	if (r < 0)
		cadre_segment_close(&segment);
	return r;
}

void cadre_layout_close(struct cadre_view *view)
{
	cadre_segment_close(&view->segment);
	*view = (struct cadre_view){ 0 };
}

struct cadre_size cadre_view_size(const struct cadre_view *view)
{
	/* Relaxed: both numbers in one word, and nothing else hangs on them. */
	const uint64_t word = atomic_load_explicit(&view->header->size,
						   memory_order_relaxed);
	const uint32_t max = (uint32_t)(word >> 32), min = (uint32_t)word;
	struct cadre_size size = { .min = min, .max = max };

	if (size.max < 1 || size.max > view->limits.workers)
		size.max = view->limits.workers;
	if (size.min > size.max)
		size.min = size.max;
	return size;
}

void cadre_view_set_size(const struct cadre_view *view, struct cadre_size size)
{
	atomic_store_explicit(&view->header->size, (uint64_t)size.max << 32 | size.min,
			      memory_order_relaxed);
}

struct cadre_block_pool cadre_layout_blocks(const struct cadre_view *view)
{
	return (struct cadre_block_pool){
		.plan = &view->plan,
		.owners = view->block_owners,
		.arena = view->arena,
		.books = view->books,
		.slot_count = view->slot_count,
	};
}

struct cadre_stream *cadre_view_stream(const struct cadre_view *view, uint32_t slot,
				       uint64_t word, uint64_t *ret_size)
{
	const struct cadre_request_lines *const request = &view->slots[slot].request;
	const struct cadre_block_pool blocks = cadre_layout_blocks(view);
	unsigned char *bytes;

	if (!(CADRE_READ_ONCE(request->with) & CADRE_WITH_STREAM))
		return NULL;
	bytes = cadre_block_bytes(&blocks, CADRE_READ_ONCE(request->block), slot,
				  cadre_word_generation(word), ret_size);
	if (!bytes || *ret_size < sizeof(struct cadre_stream))
		return NULL;
	return (struct cadre_stream *)(void *)bytes;
}

const void *cadre_view_request(const struct cadre_view *view, uint32_t slot,
			       uint64_t word, uint64_t *ret_length)
{
	const struct cadre_request_lines *const request = &view->slots[slot].request;
	const struct cadre_block_pool blocks = cadre_layout_blocks(view);
	const uint32_t length = CADRE_READ_ONCE(request->length);
	const unsigned with = CADRE_READ_ONCE(request->with);
	const struct cadre_stream *stream;
	const void *bytes;
	uint64_t size;

	*ret_length = length;
	if (with & CADRE_WITH_STREAM) {
		stream = cadre_view_stream(view, slot, word, &size);
		return stream && cadre_stream_fits(length, CADRE_READ_ONCE(stream->room),
						   size) ?
			       (const char *)stream + CADRE_STREAM_PAYLOAD_AT :
			       NULL;
	}
	if (length <= cadre_request_inline_max(with))
		return request->payload;
	bytes = cadre_block_bytes(&blocks, CADRE_READ_ONCE(request->block), slot,
				  cadre_word_generation(word), &size);
	return bytes && length <= size ? bytes : NULL;
}
