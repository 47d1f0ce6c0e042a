/*
 * Claims about layout.c: parts do not overlap, and a segment that was not made by this
 * very build of Cadre is refused with a sentence, before anything in it is followed.
 */
#include "child.h"
#include "layout.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The defaults of pool.h, with more workers than most machines have CPUs. */
static const struct cadre_limits defaults = {
	.workers = 64,
	.workers_min = 1,
	.parallel = 1,
	.clients = 64,
	.slots = 256,
	.payload_max = 1u << 20,
	.block_bytes = 20u << 20,
};

/* Small and odd. */
static const struct cadre_limits small = {
	.workers = 3,
	.workers_min = 1,
	.parallel = 2,
	.clients = 5,
	.slots = 4,
	.start_length = 17,
	.payload_max = 9999,
	.block_bytes = 100000,
};

static struct scene scene;
static struct cadre_diag diag;
static struct cadre_view view;

static void begin(void)
{
	scene_begin(&scene);
	diag = (struct cadre_diag){ 0 };
}

static void end(void)
{
	scene_end(&scene);
}

TestSuite(layout, .init = begin, .fini = end, .timeout = 60);

static bool says(const char *words)
{
	return strstr(diag.text, words) != NULL;
}

static void create(const struct cadre_limits *limits)
{
	cr_assert_eq(cadre_layout_create(scene.pool, limits, 0600, &view, &diag), 0, "%s",
		     diag.text);
	atomic_store(&view.header->ready, 1);
}

static void destroy(void)
{
	cadre_layout_close(&view);
	cadre_segment_remove(scene.pool);
}

/* Opens the segment as it stands and expects that refusal. */
static void expect_refusal(int error, const char *words)
{
	struct cadre_view other = { .size = 99 };

	diag.text[0] = '\0';
	cr_assert_eq(cadre_layout_open(scene.pool, false, &other, &diag), error, "%s",
		     diag.text);
	cr_assert(says(scene.pool), "%s", diag.text);
	cr_assert(says(words), "%s", diag.text);
	cr_assert_eq(other.size, 99, "the view must not be touched on failure");
}

static void resize(off_t size)
{
	char path[CADRE_PATH_SIZE];

	cadre_path(scene.pool, CADRE_FILE_SEGMENT, path);
	cr_assert_eq(truncate(path, size), 0);
}

/* ---- where things lie ---- */

struct part {
	const char *name;
	const void *start;
	size_t size;
	size_t alignment;
};

static void check_parts(const struct cadre_limits *limits)
{
	const size_t seats = limits->workers + limits->locals;
	const struct part parts[] = {
		{ "header", view.header, sizeof(*view.header), 4096 },
		{ "worker places", view.worker_places,
		  seats * sizeof(*view.worker_places), CADRE_CACHE_LINE },
		{ "worker bells", view.worker_bells, seats * sizeof(*view.worker_bells),
		  CADRE_CACHE_LINE },
		{ "worker aims", view.worker_aims, seats * sizeof(*view.worker_aims),
		  CADRE_CACHE_LINE },
		{ "worker statistics", view.worker_stats,
		  seats * sizeof(*view.worker_stats), CADRE_CACHE_LINE },
		{ "client perfs", view.client_perfs,
		  limits->clients * sizeof(*view.client_perfs), CADRE_CACHE_LINE },
		{ "log rings", view.log_rings,
		  (limits->workers + (size_t)1) * sizeof(*view.log_rings),
		  CADRE_CACHE_LINE },
		{ "worker crashes", view.worker_crashes,
		  seats * sizeof(*view.worker_crashes), CADRE_CACHE_LINE },
		{ "latencies", view.latencies,
		  (limits->workers * view.latency_lines + limits->locals) *
			  sizeof(*view.latencies),
		  CADRE_CACHE_LINE },
		{ "client places", view.client_places,
		  limits->clients * sizeof(*view.client_places), CADRE_CACHE_LINE },
		{ "client bells", view.client_bells,
		  limits->clients * sizeof(*view.client_bells), CADRE_CACHE_LINE },
		{ "client lines", view.client_lines,
		  limits->clients * sizeof(*view.client_lines), CADRE_CACHE_LINE },
		{ "slots", view.slots,
		  (size_t)limits->clients * limits->slots * sizeof(*view.slots),
		  2 * CADRE_CACHE_LINE },
		{ "books", view.books,
		  (size_t)limits->clients * limits->slots * sizeof(*view.books),
		  CADRE_CACHE_LINE },
		{ "block owners", view.block_owners,
		  view.plan.total * sizeof(*view.block_owners), 8 },
		{ "start data", view.start_data, limits->start_length, 1 },
		{ "events", view.events.records,
		  CADRE_EVENTS * cadre_annals_record_size(sizeof(struct cadre_event)),
		  CADRE_CACHE_LINE },
		{ "number of events", view.events.head, sizeof(*view.events.head),
		  CADRE_CACHE_LINE },
		{ "crashes", view.crashes.records,
		  CADRE_CRASHES * cadre_annals_record_size(sizeof(struct cadre_backtrace)),
		  CADRE_CACHE_LINE },
		{ "number of crashes", view.crashes.head, sizeof(*view.crashes.head),
		  CADRE_CACHE_LINE },
		{ "kept requests", view.kept.records,
		  CADRE_KEPT * cadre_annals_record_size(
				       cadre_kept_body_size(limits->payload_max)),
		  CADRE_CACHE_LINE },
		{ "number of kept requests", view.kept.head, sizeof(*view.kept.head),
		  CADRE_CACHE_LINE },
		{ "blocks", view.arena, view.plan.bytes, 4096 },
	};
	const unsigned char *const base = view.segment.base;

	for (unsigned i = 0; i < CADRE_COUNT_OF(parts); i++) {
		const unsigned char *const start = parts[i].start;

		cr_assert_eq((uintptr_t)start % parts[i].alignment, 0, "%s",
			     parts[i].name);
		cr_assert_geq(start, base, "%s", parts[i].name);
		cr_assert_leq(start + parts[i].size, base + view.size, "%s",
			      parts[i].name);
		for (unsigned j = i + 1; j < CADRE_COUNT_OF(parts); j++) {
			const unsigned char *const other = parts[j].start;

			cr_assert(start + parts[i].size <= other ||
					  other + parts[j].size <= start,
				  "%s and %s overlap", parts[i].name, parts[j].name);
		}
	}
}

Test(layout, no_part_overlaps_another_and_each_is_aligned)
{
	struct cadre_limits odd[] = { defaults, small, small, small };

	odd[2].slots = 1;
	odd[2].clients = 1;
	odd[2].workers = 1;
	odd[2].payload_max = 0;
	odd[2].start_length = 0;
	odd[3].start_length = CADRE_START_DATA_MAX;
	odd[3].payload_max = CADRE_INLINE_MAX + 1;
	odd[3].block_bytes = 0;

	for (unsigned i = 0; i < CADRE_COUNT_OF(odd); i++) {
		create(&odd[i]);
		check_parts(&odd[i]);
		destroy();
	}
}

Test(layout, the_default_pool_fits_a_container_with_room_to_spare)
{
	cr_assert_lt(cadre_layout_size(&defaults), (size_t)32 << 20);
}

Test(layout, the_size_is_known_before_anything_is_mapped)
{
	create(&small);
	cr_assert_eq(view.size, cadre_layout_size(&small));
	cr_assert_eq(view.segment.size, view.size);
	destroy();
}

Test(layout, whoever_opens_a_segment_finds_the_parts_where_its_creator_put_them)
{
	struct cadre_view other;

	create(&small);
	cr_assert_eq(cadre_layout_open(scene.pool, true, &other, &diag), 0, "%s",
		     diag.text);

	view.header->operation_count = 3;
	view.slots[19].reply.code = 77;
	view.arena[view.plan.bytes - 1] = 9;

	cr_assert_eq(other.header->operation_count, 3);
	cr_assert_eq(other.slots[19].reply.code, 77);
	cr_assert_eq(other.arena[other.plan.bytes - 1], 9);
	cr_assert_eq(memcmp(&other.limits, &small, sizeof(small)), 0);
	cr_assert_str_eq(other.header->pool, scene.pool);

	cadre_layout_close(&other);
	destroy();
}

Test(layout, windows_are_slots_side_by_side)
{
	create(&small);

	cr_assert_eq(cadre_view_slot(&view, 0, 0), &view.slots[0]);
	cr_assert_eq(cadre_view_slot(&view, 4, 3), &view.slots[19]);
	cr_assert_eq(cadre_view_slot(&view, 2, 4), &view.slots[8], "positions go round");
	cr_assert_eq(cadre_view_slot(&view, 4, UINT64_MAX), &view.slots[19]);
	for (uint32_t slot = 0; slot < view.slot_count; slot++)
		cr_assert_eq(cadre_view_slot(&view, cadre_view_window_of(&view, slot),
					     slot % 4),
			     &view.slots[slot]);
	destroy();
}

Test(layout, a_fresh_segment_holds_free_slots_vacant_places_and_free_blocks)
{
	uint32_t used[CADRE_BLOCK_CLASSES];

	create(&small);
	const struct cadre_block_pool blocks = cadre_layout_blocks(&view);

	for (uint32_t slot = 0; slot < view.slot_count; slot++)
		cr_assert_eq(cadre_slot_peek(&view.slots[slot]), 0);
	for (uint32_t place = 0; place < small.workers; place++)
		cr_assert_eq(cadre_place_look(&view.worker_places[place]),
			     CADRE_PLACE_VACANT);
	cadre_block_count_used(&blocks, used);
	for (unsigned i = 0; i < CADRE_BLOCK_CLASSES; i++)
		cr_assert_eq(used[i], 0);
	destroy();
}

Test(layout, only_who_waits_is_rung_for)
{
	create(&small);

	cadre_view_ring_if_awaited(&view, 9, 0);
	cr_assert_eq(atomic_load(&view.client_bells[2].rings), 0);

	cadre_view_ring_if_awaited(&view, 9,
				   cadre_word_pack((struct cadre_word){
					   .flags = CADRE_FLAG_WAITING }));
	cr_assert_eq(atomic_load(&view.client_bells[2].rings), 1);
	destroy();
}

/* ---- segments that are refused ---- */

Test(layout, bytes_that_cadre_did_not_write_are_refused)
{
	create(&small);
	view.header->magic ^= 1;
	expect_refusal(-EBADMSG, "not made by Cadre");
	destroy();
}

Test(layout, a_segment_of_zeros_is_refused)
{
	create(&small);
	memset(view.segment.base, 0, view.segment.size);
	expect_refusal(-EBADMSG, "not made by Cadre");
	destroy();
}

Test(layout, another_layout_is_refused_and_both_numbers_are_named)
{
	create(&small);
	view.header->layout = 4711;
	expect_refusal(-EPROTONOSUPPORT, "4711");
	cr_assert(says("layout 3"), "%s", diag.text);
	destroy();
}

Test(layout, another_build_with_the_same_layout_number_is_refused)
{
	create(&small);
	view.header->fingerprint ^= UINT64_C(1) << 63;
	expect_refusal(-EPROTONOSUPPORT, "another build");
	destroy();
}

Test(layout, a_segment_that_is_not_finished_is_refused)
{
	create(&small);
	atomic_store(&view.header->ready, 0);
	expect_refusal(-ECONNREFUSED, "still being started");

	/* Bytes that no version ever wrote are not "ready" either. */
	atomic_store(&view.header->ready, 0xffffffff);
	expect_refusal(-ECONNREFUSED, "still being started");
	destroy();
}

Test(layout, a_truncated_segment_is_refused_at_every_length)
{
	create(&small);
	const off_t size = (off_t)view.size;

	resize(size - 1);
	expect_refusal(-EBADMSG, "bytes");
	resize(size - 4096);
	expect_refusal(-EBADMSG, "bytes");
	resize((off_t)sizeof(struct cadre_header));
	expect_refusal(-EBADMSG, "bytes");
	resize((off_t)sizeof(struct cadre_header) - 1);
	expect_refusal(-EBADMSG, "no header");
	resize(1);
	expect_refusal(-EBADMSG, "no header");
	resize(0);
	expect_refusal(-EBADMSG, "not a finished segment");
	destroy();
}

Test(layout, a_segment_longer_than_its_header_says_is_refused)
{
	create(&small);
	resize((off_t)view.size + 4096);
	expect_refusal(-EBADMSG, "bytes");
	destroy();
}

Test(layout, a_header_whose_limits_mean_another_size_is_refused)
{
	create(&small);
	view.header->limits.clients *= 2;
	expect_refusal(-EBADMSG, "bytes");
	destroy();
}

/* ---- limits ---- */

struct impossible {
	const char *name;
	size_t offset, size;
	uint64_t value;
};

#define IMPOSSIBLE(field, number)                                              \
	{                                                                      \
#field, offsetof(struct cadre_limits, field),                  \
			sizeof(((struct cadre_limits *)NULL)->field), (number) \
	}

static const struct impossible impossibles[] = {
	IMPOSSIBLE(workers, 0),
	IMPOSSIBLE(workers, CADRE_WORKERS_MAX + 1),
	IMPOSSIBLE(workers, UINT32_MAX),
	IMPOSSIBLE(workers_min, 4),
	IMPOSSIBLE(workers_min, UINT32_MAX),
	IMPOSSIBLE(parallel, 0),
	IMPOSSIBLE(parallel, UINT32_MAX),
	IMPOSSIBLE(clients, 0),
	IMPOSSIBLE(clients, CADRE_CLIENTS_MAX + 1),
	IMPOSSIBLE(clients, UINT32_MAX),
	IMPOSSIBLE(slots, 0),
	IMPOSSIBLE(slots, 3),
	IMPOSSIBLE(slots, 1u << 17),
	IMPOSSIBLE(slots, UINT32_C(1) << 31),
	IMPOSSIBLE(payload_max, (UINT64_C(1) << 30) + 1),
	IMPOSSIBLE(payload_max, UINT64_MAX),
	IMPOSSIBLE(block_bytes, UINT64_MAX),
	IMPOSSIBLE(start_length, CADRE_START_DATA_MAX + 1),
	IMPOSSIBLE(start_length, UINT32_MAX),
};

static struct cadre_limits with(const struct impossible *impossible)
{
	struct cadre_limits limits = small;

	/* Little-endian, as every machine that we run on. */
	memcpy((char *)&limits + impossible->offset, &impossible->value, impossible->size);
	return limits;
}

Test(layout, limits_that_cannot_be_are_refused_with_a_sentence)
{
	cr_assert_eq(cadre_limits_check(&small, &diag), 0);
	cr_assert_eq(cadre_limits_check(&defaults, &diag), 0);

	for (unsigned i = 0; i < CADRE_COUNT_OF(impossibles); i++) {
		const struct cadre_limits limits = with(&impossibles[i]);

		diag.text[0] = '\0';
		cr_assert_eq(cadre_limits_check(&limits, &diag), -EINVAL, "%s",
			     impossibles[i].name);
		cr_assert_neq(diag.text[0], '\0', "%s", impossibles[i].name);
	}
}

Test(layout, a_header_with_such_limits_is_refused)
{
	create(&small);
	for (unsigned i = 0; i < CADRE_COUNT_OF(impossibles); i++) {
		view.header->limits = with(&impossibles[i]);
		expect_refusal(-EBADMSG, "limits");
	}
	destroy();
}

Test(layout, more_slots_than_a_block_can_name_are_refused)
{
	struct cadre_limits limits = small;

	limits.clients = CADRE_CLIENTS_MAX;
	limits.slots = 1u << 13;
	cr_assert_eq(cadre_limits_check(&limits, &diag), 0);

	limits.slots = 1u << 14;
	cr_assert_eq(cadre_limits_check(&limits, &diag), -EINVAL);
	cr_assert_neq(diag.text[0], '\0');
}

Test(layout, the_largest_limits_overflow_nothing)
{
	struct cadre_limits largest = {
		.workers = CADRE_WORKERS_MAX,
		.parallel = 4096,
		.clients = 64,
		.slots = 1u << 16,
		.start_length = CADRE_START_DATA_MAX,
		.payload_max = 1u << 30,
		.block_bytes = UINT64_C(1) << 38,
	};

	cr_assert_eq(cadre_limits_check(&largest, &diag), 0, "%s", diag.text);
	cr_assert_gt(cadre_layout_size(&largest), (size_t)1 << 37);

	largest.payload_max = CADRE_INLINE_MAX + 1;
	cr_assert_gt(cadre_layout_size(&largest), (size_t)1 << 38);
}

/* ---- creating ---- */

Test(layout, a_pool_that_does_not_fit_is_refused_and_leaves_nothing)
{
	struct cadre_limits huge = defaults;

	huge.block_bytes = UINT64_C(1) << 38;
	cr_assert_eq(cadre_layout_create(scene.pool, &huge, 0600, &view, &diag), -ENOSPC);
	cr_assert(says(scene.pool));
	cr_assert_eq(scene_files(scene.pool), 0);
}

Test(layout, a_name_that_is_none_opens_no_file)
{
	struct cadre_view other;

	cr_assert_eq(cadre_layout_open("../etc/passwd", false, &other, &diag), -EINVAL);
	cr_assert_neq(diag.text[0], '\0');
}
