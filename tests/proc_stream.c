/*
 * proc_stream.c - claims about streams of a real pool: order, end, errors among the items, flow
 * control, pauses. More of them: proc_stream_ends.c (before their time), proc_stream_many.c (at
 * once), proc_stream_callbacks.c, proc_stream_refusals.c (wrong use).
 */
#include "streams.h"

#include <stdio.h>

TestSuite(stream, STREAMS);

/* ---- order and end ---- */

Test(stream, items_come_in_order_then_the_end_then_the_result)
{
	struct cadre_ticket ticket;
	struct cadre_result result;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000, 40));
	expect_items(ticket, 1, 1000, 40);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &(struct cadre_item){ 0 }),
		     0);
	result = await(ticket);
	cr_assert_eq(number_in(&result), 1000);
	cr_assert_eq(result.worker, 0);
	release(&result);
	cr_assert(eventually(counter("items_emitted") == 1000));
}

Test(stream, items_written_in_place_are_as_long_as_was_committed)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(PLACE, 500, 33));
	expect_items(ticket, 1, 500, 33);
	expect_end(ticket, CADRE_OK);
}

Test(stream, errors_are_items_and_what_follows_them_is_read_as_well)
{
	struct cadre_ticket ticket;
	struct cadre_item item;
	char sentence[60];

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(MIXED, 300, 4));
	for (uint32_t number = 1; number <= 300; number++) {
		if (number % 3 != 0) {
			expect_item(ticket, number, 4);
			continue;
		}
		cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 1);
		cr_assert(item.is_error);
		cr_assert_eq(item.code, (int32_t)number);
		snprintf(sentence, sizeof(sentence), "%u is a multiple of 3", number);
		cr_assert_eq(item.length, strlen(sentence));
		cr_assert_arr_eq(item.data, sentence, item.length);
	}
	expect_end(ticket, CADRE_OK);
}

Test(stream, one_who_does_not_like_an_error_stops_there)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(MIXED, 1000000, 4));
	expect_items(ticket, 1, 2, 4);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 1);
	cr_assert(item.is_error);
	cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
}

Test(stream, a_handler_that_fails_has_its_items_read_before)
{
	struct cadre_ticket ticket;
	struct cadre_result result;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(FAIL, 20, 8));
	expect_items(ticket, 1, 20, 8);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0);
	result = await(ticket);
	cr_assert_eq(result.outcome, CADRE_FAILED);
	cr_assert_eq(result.code, 9);
	cr_assert_str_eq(result.sentence, "that was all that I had");
	release(&result);
}

Test(stream, a_handler_that_knows_nothing_of_streams_makes_an_empty_one)
{
	struct cadre_result result;
	struct cadre_ticket ticket;
	char text[300];

	OPEN(ONE_WORKER);
	troupe_fill(text, sizeof(text), 5);
	ticket = submit((struct cadre_request){ .operation = ECHO,
						.flags = CADRE_STREAM,
						.data = text,
						.length = sizeof(text) });
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &(struct cadre_item){ 0 }),
		     0);
	result = await(ticket);
	cr_assert_eq(result.length, sizeof(text));
	cr_assert(troupe_holds(result.data, result.length, 5));
	release(&result);
}

Test(stream, an_operation_that_nobody_serves_ends_the_stream_with_its_error)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit((struct cadre_request){ .operation = 77, .flags = CADRE_STREAM });
	expect_end(ticket, CADRE_FAILED);
}

Test(stream, a_hundred_thousand_items_come_through_a_ring_of_64_bytes)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 100000, 8, .stream_room = 64));
	expect_items(ticket, 1, 100000, 8);
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_hundred_thousand_items_of_odd_lengths_come_whole)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 100000, 61));
	expect_items(ticket, 1, 100000, 61);
	expect_end(ticket, CADRE_OK);
}

Test(stream, items_of_a_mebibyte_and_items_as_long_as_the_ring_come_whole)
{
	const uint32_t mebibyte = 1u << 20;
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER, .payload_max = 3 * mebibyte, .block_bytes = 64u << 20);
	ticket = submit(STREAM(COUNT, 40, mebibyte, .stream_room = 2 * mebibyte + 4096));
	expect_items(ticket, 1, 40, mebibyte);
	expect_end(ticket, CADRE_OK);
	ticket = submit(STREAM(COUNT, 10, mebibyte,
			       .stream_room = mebibyte + CADRE_ITEM_OVERHEAD));
	expect_items(ticket, 1, 10, mebibyte);
	expect_end(ticket, CADRE_OK);
	/* Neither half nor all of the ring: each needs what lies behind the end. */
	ticket = submit(STREAM(PLACE, 30, mebibyte / 8 * 5, .stream_room = mebibyte));
	expect_items(ticket, 1, 30, mebibyte / 8 * 5);
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_draft_may_be_a_stream_short_or_long)
{
	static const size_t lengths[] = { sizeof(struct order), 2000 };

	OPEN(ONE_WORKER);
	for (size_t i = 0; i < 2; i++) {
		struct cadre_request request = STREAM(COUNT, 50, 12);
		struct cadre_ticket ticket;
		struct cadre_draft draft;

		request.length = lengths[i];
		cr_assert_eq(cadre_try_draft(CLIENT, lengths[i], &draft), 0);
		memset(draft.data, 0, lengths[i]);
		memcpy(draft.data, &(const struct order){ 50, 12 }, sizeof(struct order));
		request.stream_room = 1u << 20;
		cr_assert_eq(cadre_draft_submit(CLIENT, &draft, &request, &ticket),
			     -EMSGSIZE);
		request.stream_room = 0;
		cr_assert_eq(cadre_draft_submit(CLIENT, &draft, &request, &ticket), 0);
		expect_items(ticket, 1, 50, 12);
		expect_end(ticket, CADRE_OK);
	}
}

/* ---- flow control ---- */

Test(stream, a_producer_that_outruns_its_consumer_waits_and_holds_no_more_than_its_room)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	/* 256 bytes, 32 for each item: eight, and the ninth waits. */
	cr_assert_eq(atomic_load(&board->emitted), 8);
	expect_items(ticket, 1, 1000, 24);
	expect_end(ticket, CADRE_OK);
	cr_assert_geq(counter("emit_waits"), 1);
	cr_assert_eq(atomic_load(&board->emitted), 1000);
}

Test(stream,
     a_worker_that_waits_for_a_consumer_is_blocked_and_not_busy_and_is_not_waited_for)
{
	struct cadre_ticket ticket;

	OPEN(.workers_min = 2, .workers_max = 2);
	/* The handler was short so far, so nobody expects it to hold its worker. */
	for (int i = 0; i < 40; i++) {
		ticket = submit(STREAM(COUNT, 1, 8));
		expect_item(ticket, 1, 8);
		expect_end(ticket, CADRE_OK);
	}
	ticket = submit(STREAM(COUNT, 1000, 24, .stream_room = 256));
	cr_assert(eventually(troupe_look_worker(troupe.scene.pool, 0).letter == 'B' ||
			     troupe_look_worker(troupe.scene.pool, 1).letter == 'B'));
	for (int i = 0; i < 20; i++)
		call_ok((struct cadre_request){ .operation = ECHO });
	cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
	cr_assert(eventually(atomic_load(&board->ended) == 41));
}

Test(stream, an_item_stays_where_it_is_until_the_next_is_asked_for)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 100, 24, .stream_room = 64));
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 1);
	cr_assert(eventually(is_blocked()));
	cr_assert(holds(&item, 1, 24), "somebody has written over an item in use");
	expect_items(ticket, 2, 100, 24);
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_consumer_that_waits_is_woken_by_the_item_and_by_the_end)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(STEPS, 3, 8));
	cr_assert_eq(cadre_stream_try_next(CLIENT, ticket, &item), -EAGAIN);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, cadre_in_ms(5), &item), -ETIMEDOUT);
	for (uint32_t number = 1; number <= 3; number++) {
		atomic_store(&board->gate, number);
		expect_item(ticket, number, 8);
	}
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_paused_consumer_stops_a_producer_that_has_room)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(STEPS, 5, 8));
	atomic_store(&board->gate, 2);
	expect_items(ticket, 1, 2, 8);
	cr_assert_eq(cadre_stream_pause(CLIENT, ticket), 0);
	atomic_store(&board->gate, 5);
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(atomic_load(&board->emitted), 2);
	cr_assert_eq(cadre_stream_try_next(CLIENT, ticket, &item), -EAGAIN);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), -EAGAIN,
		     "it would wait for itself");
	cr_assert_eq(cadre_stream_resume(CLIENT, ticket), 0);
	expect_items(ticket, 3, 5, 8);
	expect_end(ticket, CADRE_OK);
}

Test(stream, pauses_nest)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(STEPS, 2, 8));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(cadre_stream_pause(CLIENT, ticket), 0);
	atomic_store(&board->gate, 2);
	cr_assert(eventually(is_blocked()));
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(cadre_stream_resume(CLIENT, ticket), 0);
		cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), -EAGAIN);
	}
	cr_assert(is_blocked());
	cr_assert_eq(cadre_stream_resume(CLIENT, ticket), 0);
	expect_items(ticket, 1, 2, 8);
	cr_assert_eq(cadre_stream_resume(CLIENT, ticket), -EINVAL,
		     "resumed more often than paused");
	expect_end(ticket, CADRE_OK);
}

Test(stream, what_was_emitted_before_a_pause_can_be_read)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 3, 8));
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert_eq(cadre_stream_pause(CLIENT, ticket), 0);
	expect_items(ticket, 1, 3, 8);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0,
		     "its end needs no producer");
	expect(ticket, CADRE_OK);
}
