/*
 * proc_stream_refusals.c - claims about what cannot be asked of a stream, or of a job that is
 * none.
 */
#include "streams.h"

TestSuite(stream, STREAMS);

Test(stream, emits_in_a_job_that_is_no_stream_are_refused)
{
	OPEN(ONE_WORKER);
	call_ok((struct cadre_request){ .operation = MISUSE });
	for (int i = 0; i < 5; i++)
		cr_expect_eq(board->misuse[i], -ENOSTR, "%d: %d", i, board->misuse[i]);
	cr_expect_eq(board->misuse[5], false);
}

Test(stream,
     an_item_longer_than_the_room_a_careless_commit_and_an_emit_after_the_end_are_refused)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(MISUSE, 0, 0));
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_expect_eq(board->misuse[0], 0);
	cr_expect_eq(board->misuse[1], 0);
	cr_expect_eq(board->misuse[2], 0);
	cr_expect_eq(board->misuse[3], 0);
	cr_expect_eq(board->misuse[4], -EINVAL, "a callback that is none");
	cr_expect_eq(board->misuse[5], true);
	cr_expect_eq(board->misuse[6], -EMSGSIZE);
	cr_expect_eq(board->misuse[7], -EINVAL, "no room was asked for");
	cr_expect_eq(board->misuse[8], -EINVAL, "more than was asked for");
	cr_expect_eq(board->misuse[9], -EALREADY);
	cr_expect_eq(board->misuse[10], -EALREADY);
	cr_expect_eq(board->misuse[11], -EALREADY);
	/* Two items and an error, and nothing else. */
	for (int i = 0; i < 3; i++)
		cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 1);
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_job_that_ends_while_it_waits_for_room_is_not_called_back)
{
	enum { ROUNDS = 5 };
	struct cadre_item item;

	OPEN(ONE_WORKER);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		const struct cadre_ticket ticket = submit(
			STREAM(GIVE_UP, 1, 8, .stream_room = 256));

		while (cadre_stream_next(CLIENT, ticket, GENEROUS, &item) == 1)
			cr_assert_eq(item.length, 8);
		expect(ticket, CADRE_FAILED);
		cr_assert_eq(board->told, 0, "it has asked");
		/* The next job has its room in the worker. */
		call_ok(FLAGGED(0, ECHO, 1, 8));
	}
	cr_assert_gt(board->emitted, 0);
	cr_assert_eq(deaths(), 0);
}

Test(stream, a_stream_is_not_asked_of_a_job_that_is_none)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit((struct cadre_request){ .operation = ECHO });
	cr_expect_eq(cadre_stream_try_next(CLIENT, ticket, &item), -ENOSTR);
	cr_expect_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), -ENOSTR);
	cr_expect_eq(cadre_stream_pause(CLIENT, ticket), -ENOSTR);
	cr_expect_eq(cadre_stream_resume(CLIENT, ticket), -ENOSTR);
	cr_expect_eq(cadre_stream_leave(CLIENT, ticket), -ENOSTR);
	expect(ticket, CADRE_OK);
	cr_expect_eq(cadre_stream_try_next(CLIENT, ticket, &item), -ESTALE);
	cr_expect_eq(cadre_stream_pause(CLIENT, ticket), -ESTALE);
	cr_expect_eq(cadre_stream_leave(CLIENT, ticket), -ESTALE);
}

Test(stream, the_result_of_a_stream_is_not_taken_before_its_end)
{
	struct cadre_ticket ticket;
	struct cadre_result result;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 100, 24, .stream_room = 256));
	cr_expect_eq(cadre_try_take(CLIENT, ticket, &result), -EBUSY);
	cr_expect_eq(cadre_await(CLIENT, ticket, GENEROUS, &result), -EBUSY,
		     "it would wait for a producer that waits for us");
	expect_items(ticket, 1, 100, 24);
	expect_end(ticket, CADRE_OK);
}

Test(stream, streams_that_cannot_be_are_refused)
{
	struct cadre_result result;

	OPEN(ONE_WORKER, .payload_max = 4096);
	cr_expect_eq(try_submit(FLAGGED(CADRE_STREAM | CADRE_DETACHED, COUNT, 1, 8)),
		     -EINVAL, "nobody would read it");
	cr_expect_eq(try_submit(STREAM(COUNT, 1, 8, .item = hear_item)), -EINVAL);
	cr_expect_eq(try_submit(STREAM(COUNT, 1, 8, .ended = hear_end)), -EINVAL);
	cr_expect_eq(try_submit(FLAGGED(0, COUNT, 1, 8, .stream_room = 100)), -EINVAL,
		     "room without a stream");
	cr_expect_eq(try_submit(STREAM(COUNT, 1, 8, .stream_room = 63)), -EINVAL);
	cr_expect_eq(try_submit(STREAM(COUNT, 1, 8, .stream_room = 4096)), -EMSGSIZE);
	cr_expect_eq(try_submit(STREAM(COUNT, 1, 8, .stream_room = SIZE_MAX)), -EMSGSIZE);
	cr_expect_eq(cadre_call(CLIENT, &STREAM(COUNT, 1, 8), &result), -EINVAL);
	/* What fits, fits. */
	expect_end(submit(STREAM(COUNT, 0, 8, .stream_room = 4096 - 192 - 8)), CADRE_OK);
}
