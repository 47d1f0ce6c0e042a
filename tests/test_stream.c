/*
 * test_stream.c - claims about the ring of a stream alone: what is emitted is read, whole and
 * in order; nothing is overwritten before it was given back; whatever stands in the ring,
 * both sides stay inside; and who must be rung is told once.
 *
 * The ring lies between two walls of known bytes.
 */
#include "scene.h"
#include "stream.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WALL 64u
#define WALL_BYTE 0xa5

static struct ring {
	unsigned char *memory;
	struct cadre_stream *stream;
	unsigned char *items;
	uint64_t room;
	struct cadre_emitter emitter;
	struct cadre_reader reader;
} ring;

static void open_ring(uint64_t room)
{
	const size_t size = 2 * WALL + sizeof(struct cadre_stream) + room;

	ring.memory = aligned_alloc(64, (size + 63) / 64 * 64);
	memset(ring.memory, WALL_BYTE, size);
	ring.stream = (struct cadre_stream *)(void *)(ring.memory + WALL);
	ring.items = ring.memory + WALL + sizeof(struct cadre_stream);
	ring.room = room;
	cadre_stream_init(ring.stream, room);
	cr_assert_eq(cadre_emitter_open(&ring.emitter, ring.stream, ring.items, room, 0),
		     0);
	cadre_reader_open(&ring.reader, ring.stream, ring.items, room);
}

static void close_ring(void)
{
	if (!ring.memory)
		return;
	for (size_t i = 0; i < WALL; i++) {
		if (ring.memory[i] != WALL_BYTE || ring.items[ring.room + i] != WALL_BYTE)
			scene_insist("the ring wrote beyond its walls");
	}
	free(ring.memory);
	ring.memory = NULL;
}

TestSuite(stream, .fini = close_ring, .timeout = 30);

static unsigned char byte_of(uint64_t number, uint64_t position)
{
	return (unsigned char)(number * 31 + position * 7 + 3);
}

static int try_emit(uint64_t number, uint64_t length)
{
	unsigned char *data = NULL;
	const int r = cadre_emitter_reserve(&ring.emitter, length, &data);

	if (r < 0)
		return r;
	cr_assert_eq((uintptr_t)data % 8, 0);
	for (uint64_t i = 0; i < length; i++)
		data[i] = byte_of(number, i);
	cadre_emitter_commit(&ring.emitter, length, false, 0);
	return 0;
}

static bool holds(const struct cadre_item *item, uint64_t number, uint64_t length)
{
	const unsigned char *const data = item->data;

	if (item->length != length || item->is_error || item->code != 0)
		return false;
	for (uint64_t i = 0; i < length; i++) {
		if (data[i] != byte_of(number, i))
			return false;
	}
	return true;
}

static void expect_item(uint64_t number, uint64_t length)
{
	struct cadre_item item;
	const int r = cadre_reader_next(&ring.reader, &item);

	cr_assert_eq(r, 1, "item %d: %d", (int)number, r);
	cr_assert(holds(&item, number, length), "item %d", (int)number);
}

static void expect_nothing(void)
{
	struct cadre_item item = { .length = 77 };

	cr_assert_eq(cadre_reader_next(&ring.reader, &item), -EAGAIN);
	cr_assert_eq(item.length, 77, "written only when there is one");
}

/* With a reader that has read all: it gives back what it holds, and a pad if one had to go
 * ahead, and then there is room. */
static void emit(uint64_t number, uint64_t length)
{
	int r = try_emit(number, length);

	for (int i = 0; r == -EAGAIN && i < 2; i++) {
		expect_nothing();
		r = try_emit(number, length);
	}
	cr_assert_eq(r, 0, "%d bytes: %d", (int)length, r);
}

/* ---- what is emitted is read ---- */

Test(stream, an_empty_ring_has_nothing_to_read)
{
	open_ring(64);
	expect_nothing();
	cr_assert(cadre_stream_is_untouched(ring.stream));
}

Test(stream, items_of_every_length_come_whole_and_in_order_wherever_they_begin)
{
	/* Every length at every offset, since both step by eight and the ring is 13 x 8. */
	open_ring(104);
	for (uint64_t round = 0; round < 40; round++) {
		for (uint64_t length = 0; length <= 96; length++) {
			emit(length, length);
			expect_item(length, length);
		}
		emit(1, round % 9);
		expect_item(1, round % 9);
	}
}

Test(stream, a_ring_filled_to_the_brim_takes_no_more_until_an_item_was_given_back)
{
	uint64_t in = 0, out = 0;

	open_ring(256);
	while (try_emit(in, 24) == 0)
		in++;
	cr_assert_eq(in, 8, "32 bytes each");
	for (int i = 0; i < 1000; i++) {
		expect_item(out++, 24);
		while (try_emit(in, 24) == 0)
			in++;
		cr_assert_leq(in - out, 8);
	}
	while (out < in)
		expect_item(out++, 24);
	expect_nothing();
}

Test(stream, an_item_that_is_looked_at_is_not_overwritten)
{
	struct cadre_item item;

	open_ring(64);
	cr_assert_eq(try_emit(1, 24), 0);
	cr_assert_eq(try_emit(2, 24), 0);
	cr_assert_eq(cadre_reader_next(&ring.reader, &item), 1);
	cr_assert_eq(try_emit(3, 24), -EAGAIN);
	cr_assert(holds(&item, 1, 24));
	expect_item(2, 24);
	cr_assert_eq(try_emit(3, 24), 0);
	expect_item(3, 24);
}

Test(stream, an_item_as_long_as_the_ring_fits_at_every_offset)
{
	open_ring(104);
	for (uint64_t i = 0; i < 50; i++) {
		emit(i, i % 13);
		expect_item(i, i % 13);
		emit(i, 96);
		expect_item(i, 96);
	}
}

Test(stream, an_item_longer_than_the_ring_is_refused_and_the_next_is_not)
{
	open_ring(64);
	cr_assert_eq(try_emit(1, 57), -EMSGSIZE);
	cr_assert_eq(try_emit(1, UINT64_MAX), -EMSGSIZE);
	cr_assert_eq(try_emit(1, UINT64_C(1) << 32), -EMSGSIZE);
	cr_assert_eq(try_emit(1, 56), 0);
	expect_item(1, 56);
}

Test(stream, less_may_be_committed_than_was_reserved_and_a_reserve_may_be_given_up)
{
	unsigned char *data;

	open_ring(256);
	for (uint64_t i = 0; i < 100; i++) {
		cr_assert_eq(cadre_emitter_reserve(&ring.emitter, 40, &data), 0);
		cr_assert_eq(cadre_emitter_reserve(&ring.emitter, 60, &data), 0);
		for (uint64_t at = 0; at < 17; at++)
			data[at] = byte_of(i, at);
		cadre_emitter_commit(&ring.emitter, 17, false, 0);
		expect_item(i, 17);
		expect_nothing();
	}
}

Test(stream, an_error_carries_its_code_and_its_sentence)
{
	static const int32_t codes[] = { 0, 1, -1, INT32_MAX, INT32_MIN };
	struct cadre_item item;
	unsigned char *data;

	open_ring(128);
	for (size_t i = 0; i < CADRE_COUNT_OF(codes); i++) {
		cr_assert_eq(cadre_emitter_reserve(&ring.emitter, 5, &data), 0);
		memcpy(data, "alas.", 5); /* NOLINT */
		cadre_emitter_commit(&ring.emitter, 5, true, codes[i]);
		cr_assert_eq(cadre_reader_next(&ring.reader, &item), 1);
		cr_assert(item.is_error);
		cr_assert_eq(item.code, codes[i]);
		cr_assert_eq(item.length, 5);
		cr_assert_arr_eq(item.data, "alas.", 5);
	}
}

Test(stream, positions_go_on_beyond_what_32_bits_hold)
{
	/* Four items short of it: nobody can emit so many in a test. */
	const uint64_t begin = (UINT64_C(1) << 32) - 64;

	open_ring(64);
	atomic_store(&ring.stream->tail, begin);
	atomic_store(&ring.stream->head, begin);
	ring.emitter.tail = ring.emitter.head_seen = begin;
	ring.reader.head = ring.reader.tail_seen = ring.reader.told = begin;
	for (uint64_t i = 0; i < 20; i++) {
		cr_assert_eq(try_emit(i, 8), 0);
		expect_item(i, 8);
	}
}

Test(stream, a_ring_that_has_begun_has_no_second_producer)
{
	struct cadre_emitter second;

	open_ring(64);
	cr_assert_eq(cadre_emitter_open(&second, ring.stream, ring.items, 64, 1), 0);
	cr_assert_eq(try_emit(1, 8), 0);
	cr_assert_not(cadre_stream_is_untouched(ring.stream));
	cr_assert_eq(cadre_emitter_open(&second, ring.stream, ring.items, 64, 1),
		     -EBADMSG);
}

Test(stream, what_was_not_committed_was_not_emitted)
{
	unsigned char *data;

	open_ring(64);
	cr_assert_eq(cadre_emitter_reserve(&ring.emitter, 8, &data), 0);
	memset(data, 'x', 8);
	expect_nothing();
	cr_assert(cadre_stream_is_untouched(ring.stream));
}

Test(stream, rings_that_do_not_fit_their_block_are_told_from_those_that_do)
{
	const uint64_t head = sizeof(struct cadre_stream);

	cr_assert(cadre_stream_fits(0, 64, head + 64));
	cr_assert(cadre_stream_fits(9, 64, head + 16 + 64));
	cr_assert_not(cadre_stream_fits(9, 64, head + 16 + 63));
	cr_assert_not(cadre_stream_fits(0, 56, 4096), "too little for anything");
	cr_assert_not(cadre_stream_fits(0, 65, 4096), "not a multiple of eight");
	cr_assert_not(cadre_stream_fits(UINT64_MAX, 64, 4096));
	cr_assert_not(cadre_stream_fits(0, UINT64_MAX - 7, 4096));
	cr_assert_not(cadre_stream_fits(UINT64_MAX - 200, UINT64_MAX - 7, 4096));
}

/* ---- pauses ---- */

Test(stream, nothing_is_emitted_while_the_consumer_has_paused)
{
	open_ring(64);
	cr_assert_not(cadre_stream_set_paused(ring.stream, true));
	cr_assert_eq(try_emit(1, 8), -EAGAIN);
	cr_assert_not(cadre_emitter_is_ready(&ring.emitter));
	cr_assert(cadre_stream_is_untouched(ring.stream));
	cadre_emitter_say_waiting(&ring.emitter);
	cr_assert(cadre_stream_set_paused(ring.stream, false), "somebody waits for that");
	cr_assert(cadre_emitter_is_ready(&ring.emitter));
	cadre_emitter_say_awake(&ring.emitter);
	cr_assert_eq(try_emit(1, 8), 0);
	expect_item(1, 8);
}

/* ---- who must be rung ---- */

static bool taken(bool *wish)
{
	const bool was = *wish;

	*wish = false;
	return was;
}

Test(stream, a_reader_that_sleeps_is_rung_for_once_per_sleep)
{
	open_ring(256);
	cr_assert_eq(try_emit(1, 8), 0);
	cr_assert_not(taken(&ring.emitter.must_ring), "nobody slept");
	expect_item(1, 8);
	for (int i = 0; i < 3; i++) {
		cadre_reader_say_asleep(&ring.reader);
		cr_assert_eq(try_emit(2, 8), 0);
		cr_assert(taken(&ring.emitter.must_ring));
		cr_assert_eq(try_emit(3, 8), 0);
		cr_assert_not(taken(&ring.emitter.must_ring), "for this sleep it was");
		cadre_reader_say_awake(&ring.reader);
		expect_item(2, 8);
		expect_item(3, 8);
	}
	cr_assert_eq(try_emit(4, 8), 0);
	cr_assert_not(taken(&ring.emitter.must_ring), "it is awake");
}

Test(stream,
     a_producer_that_waits_is_rung_when_a_quarter_of_the_room_is_free_or_all_is_read)
{
	uint64_t in = 0;

	open_ring(256);
	while (try_emit(in, 24) == 0)
		in++;
	cadre_emitter_say_waiting(&ring.emitter);
	expect_item(0, 24);
	expect_item(1, 24);
	cr_assert_not(taken(&ring.reader.must_ring), "one item is not a quarter");
	expect_item(2, 24);
	cr_assert(taken(&ring.reader.must_ring));
	cr_assert(cadre_emitter_is_ready(&ring.emitter));
	for (uint64_t number = 3; number < in; number++)
		expect_item(number, 24);
	expect_nothing();
	cr_assert_not(taken(&ring.reader.must_ring), "for this wait it was");

	/* The next wait. */
	cr_assert_eq(try_emit(0, 8), 0);
	cadre_emitter_say_waiting(&ring.emitter);
	expect_item(0, 8);
	expect_nothing();
	cr_assert(taken(&ring.reader.must_ring), "all is read");
}

Test(stream, what_the_caller_holds_is_told_of_when_it_is_given_back)
{
	open_ring(64);
	cr_assert_eq(try_emit(1, 48), 0);
	cr_assert_eq(try_emit(2, 48), -EAGAIN);
	cadre_emitter_say_waiting(&ring.emitter);
	expect_item(1, 48);
	cr_assert_not(taken(&ring.reader.must_ring));
	cadre_reader_give_back(&ring.reader);
	cr_assert(taken(&ring.reader.must_ring));
	cr_assert_not(cadre_reader_has_more(&ring.reader));
}

Test(stream, a_pad_that_goes_ahead_wakes_a_reader_that_sleeps)
{
	open_ring(104);
	cr_assert_eq(try_emit(1, 16), 0);
	expect_item(1, 16);
	expect_nothing();
	cadre_reader_say_asleep(&ring.reader);
	cr_assert_eq(try_emit(2, 96), -EAGAIN);
	cr_assert(taken(&ring.emitter.must_ring), "only the reader can make room");
	cr_assert(cadre_reader_has_more(&ring.reader));
	expect_nothing();
	cr_assert_eq(try_emit(2, 96), 0);
	expect_item(2, 96);
}

Test(stream, the_waits_of_a_second_attempt_have_other_numbers)
{
	struct cadre_emitter second;

	open_ring(64);
	cadre_stream_set_paused(ring.stream, true);
	cadre_emitter_say_waiting(&ring.emitter);
	ring.reader.rung_for = ring.emitter.number;
	cr_assert_eq(cadre_emitter_open(&second, ring.stream, ring.items, 64, 1), 0);
	for (int i = 0; i < 3; i++) {
		cadre_emitter_say_waiting(&second);
		cr_assert_neq(second.number, ring.reader.rung_for);
	}
}

Test(stream, numbers_of_sleeps_pass_zero_without_being_zero)
{
	open_ring(64);
	ring.reader.number = UINT32_MAX;
	cadre_reader_say_asleep(&ring.reader);
	cr_assert_neq(atomic_load(&ring.stream->awaited), 0);
	ring.emitter.number = UINT32_MAX;
	cadre_emitter_say_waiting(&ring.emitter);
	cr_assert_neq(atomic_load(&ring.stream->waits), 0);
}

/* ---- hostile bytes ---- */

static uint64_t head_of(uint64_t length, uint64_t kind)
{
	return length | kind << 30;
}

static void expect_damage(void)
{
	struct cadre_item item;

	for (int i = 0; i < 3; i++)
		cr_assert_eq(cadre_reader_next(&ring.reader, &item), -EBADMSG,
			     "once damaged, for ever");
}

static void reopen(uint64_t room)
{
	close_ring();
	open_ring(room);
}

Test(stream, a_tail_that_cannot_be_is_told_and_not_followed)
{
	static const uint64_t tails[] = {
		1, 7, 9, 72, 1 << 20, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63
	};

	for (size_t i = 0; i < CADRE_COUNT_OF(tails); i++) {
		reopen(64);
		atomic_store(&ring.stream->tail, tails[i]);
		expect_damage();
	}
}

Test(stream, an_item_that_cannot_be_is_told_and_not_followed)
{
	static const struct {
		uint64_t head, tail;
	} forged[] = {
		{ 57, 64 }, /* one byte longer than the ring */
		{ 9, 16 },  /* longer than what was emitted */
		{ (1u << 30) - 1, 64 },
	};

	for (size_t i = 0; i < CADRE_COUNT_OF(forged); i++) {
		reopen(64);
		*(uint64_t *)(void *)ring.items = head_of(forged[i].head, 0);
		atomic_store(&ring.stream->tail, forged[i].tail);
		expect_damage();
	}
	/* A kind that there is not, a pad at the beginning, a pad that ends early. */
	for (uint64_t kind = 2; kind <= 3; kind++) {
		reopen(64);
		*(uint64_t *)(void *)ring.items = head_of(56, kind);
		atomic_store(&ring.stream->tail, 64);
		expect_damage();
	}
	reopen(64);
	cr_assert_eq(try_emit(1, 8), 0);
	expect_item(1, 8);
	*(uint64_t *)(void *)(ring.items + 16) = head_of(8, 2);
	atomic_store(&ring.stream->tail, 32);
	expect_damage();
}

Test(stream, a_head_that_cannot_be_is_told_to_the_producer)
{
	static const uint64_t heads[] = { 65, UINT64_MAX, UINT64_C(1) << 40 };

	for (size_t i = 0; i < CADRE_COUNT_OF(heads); i++) {
		reopen(64);
		cr_assert_eq(try_emit(1, 56), 0);
		atomic_store(&ring.stream->head, heads[i]);
		cr_assert_eq(try_emit(2, 8), -EBADMSG);
		cr_assert(cadre_emitter_is_ready(&ring.emitter), "it need not wait");
		cr_assert_eq(try_emit(2, 8), -EBADMSG);
	}
}

Test(stream, no_bytes_at_all_make_either_side_leave_the_ring)
{
	uint64_t random = 88172645463325252u;

	for (int round = 0; round < 20000; round++) {
		struct cadre_item item;

		reopen(128);
		for (int i = 0; i < 8; i++) {
			const uint64_t kind = random >> 60;
			uint64_t *const at = (uint64_t *)(void *)(ring.items +
								  (random >> 20) % 16 * 8);

			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			if (kind < 4)
				*at = head_of(random % 140, random >> 62);
			else if (kind < 6)
				atomic_store(&ring.stream->tail, random % 300);
			else if (kind < 8)
				atomic_store(&ring.stream->head, random % 300);
			else if (kind < 12)
				try_emit(1, random % 130);
			else if (cadre_reader_next(&ring.reader, &item) == 1)
				cr_assert(item.length <= 120 &&
						  (const unsigned char *)item.data >=
							  ring.items &&
						  (const unsigned char *)item.data +
								  item.length <=
							  ring.items + 128,
					  "an item lies outside");
		}
	}
}
