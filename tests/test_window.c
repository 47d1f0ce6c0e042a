/*
 * Claims about window.h: whatever the hints say, a look is bounded, and a slot that is
 * pointed at is looked at.
 */
#include "window.h"

#include <criterion/criterion.h>
#include <string.h>

#define SLOTS 8u

static struct cadre_hints hints;
static struct cadre_cursor cursor; /* of the worker that looks */

static void put(uint64_t tail, uint64_t shared)
{
	atomic_store(&hints.tail, tail);
	atomic_store(&hints.cursor, shared);
	memset(&cursor, 0, sizeof(cursor));
}

static struct cadre_span span(void)
{
	return cadre_window_span(&hints, SLOTS, &cursor);
}

/* Whether a look over the span passes that slot. */
static bool looks_at(uint32_t slot)
{
	for (uint64_t position = span().from; position != span().to; position++) {
		if (position % SLOTS == slot)
			return true;
	}
	return false;
}

Test(window, a_fresh_window_is_worth_no_look)
{
	put(0, 0);

	cr_assert_eq(span().from, span().to);
}

Test(window, the_span_goes_from_the_cursor_to_the_tail)
{
	put(103, 100);

	cr_assert_eq(span().from, 100);
	cr_assert_eq(span().to, 103);
}

Test(window, a_window_whose_hints_agree_that_it_is_full_is_looked_at_whole)
{
	put(100 + SLOTS, 100);

	cr_assert_eq(span().from, 100);
	cr_assert_eq(span().to, 100 + SLOTS);
}

Test(window, a_cursor_left_far_behind_costs_one_round_and_no_more)
{
	put(1000, 3);

	cr_assert_eq(span().from, 1000 - SLOTS);
	cr_assert_eq(span().to, 1000);
}

Test(window, a_worker_may_be_ahead_of_the_tail_by_a_burst)
{
	put(1000, 1004);

	cr_assert_eq(span().from, 1004);
	cr_assert_eq(span().to, 1004);
}

Test(window, a_cursor_more_than_a_window_beyond_the_tail_hides_nothing)
{
	put(1000, 1001 + SLOTS);

	cr_assert_eq(span().from, 1000 - SLOTS);
	cr_assert_eq(span().to, 1000);
}

Test(window, in_the_first_round_there_is_nothing_before_position_zero)
{
	put(3, 4 + SLOTS);

	cr_assert_eq(span().from, 0);
	cr_assert_eq(span().to, 3);
}

Test(window, a_worker_goes_on_from_its_own_cursor_when_the_shared_one_is_late)
{
	put(100, 95);
	span();
	cursor.position = 98;

	cr_assert_eq(span().from, 98);
}

Test(window, a_worker_skips_what_another_has_seen)
{
	put(100, 95);
	span();
	atomic_store(&hints.cursor, 99);

	cr_assert_eq(span().from, 99);
}

Test(window, every_worker_notices_a_move_back_even_to_where_the_shared_cursor_stands)
{
	put(100, 95);
	span();
	cursor.position = 100;
	cadre_window_look_back(&hints, 95);

	cr_assert_eq(span().from, 95);
}

Test(window, a_move_back_takes_nobody_forwards)
{
	put(100, 95);
	span();
	cadre_window_look_back(&hints, 99);

	cr_assert_eq(span().from, 95, "95 to 98 would be forgotten");
}

Test(window, what_a_worker_shares_is_where_the_others_go_on)
{
	struct cadre_cursor other = { 0 };

	put(100, 95);
	cadre_window_look_back(&hints, 96);
	span();
	cursor.position = 99;
	cadre_window_share_cursor(&hints, &cursor);
	other.backs = cursor.backs;

	cr_assert_eq(cadre_window_span(&hints, SLOTS, &other).from, 99);
}

Test(window, a_span_is_never_longer_than_the_window_whatever_bytes_stand_in_the_hints)
{
	static const uint64_t bytes[] = { 0,
					  1,
					  SLOTS - 1,
					  SLOTS,
					  SLOTS + 1,
					  INT64_MAX,
					  (uint64_t)INT64_MAX + 1,
					  UINT64_MAX - SLOTS,
					  UINT64_MAX - 1,
					  UINT64_MAX };

	for (unsigned t = 0; t < CADRE_COUNT_OF(bytes); t++) {
		for (unsigned c = 0; c < CADRE_COUNT_OF(bytes); c++) {
			put(bytes[t], bytes[c]);
			cr_assert_leq(span().to - span().from, SLOTS,
				      "tail %llx cursor %llx",
				      (unsigned long long)bytes[t],
				      (unsigned long long)bytes[c]);
		}
	}
}

Test(window, a_window_of_one_slot_works_like_any_other)
{
	put(5, 4);
	cr_assert_eq(cadre_window_span(&hints, 1, &cursor).from, 4);

	put(5, 9);
	cr_assert_eq(cadre_window_span(&hints, 1, &cursor).from, 4);
	cr_assert_eq(cadre_window_span(&hints, 1, &cursor).to, 5);

	put(5, 5);
	cr_assert_eq(cadre_window_span(&hints, 1, &cursor).from, 5);
	cadre_window_point_at(&hints, 0, 1);
	cr_assert_eq(cadre_window_span(&hints, 1, &cursor).from, 4);
}

Test(window, a_slot_that_is_pointed_at_is_looked_at_wherever_the_tail_stands)
{
	for (uint64_t tail = SLOTS; tail < 4 * SLOTS; tail++) {
		for (uint32_t slot = 0; slot < SLOTS; slot++) {
			put(tail, tail);
			cr_assert_not(looks_at(slot));

			cadre_window_point_at(&hints, slot, SLOTS);
			cr_assert(looks_at(slot), "tail %u slot %u", (unsigned)tail, slot);
		}
	}
}

Test(window, in_the_first_round_each_slot_before_the_tail_can_be_pointed_at)
{
	for (uint64_t tail = 1; tail < SLOTS; tail++) {
		for (uint32_t slot = 0; slot < tail; slot++) {
			put(tail, tail);
			cadre_window_point_at(&hints, slot, SLOTS);
			cr_assert(looks_at(slot), "tail %u slot %u", (unsigned)tail, slot);
		}
	}
}

Test(window, pointing_at_a_slot_beyond_the_tail_of_the_first_round_stays_in_bounds)
{
	put(3, 3);
	span();
	cadre_window_point_at(&hints, 5, SLOTS);
	cr_assert_leq(span().to - span().from, SLOTS);

	put(0, 0);
	cadre_window_point_at(&hints, 0, SLOTS);
	cr_assert_eq(span().from, 0);
	cr_assert_eq(span().to, 0);
}
