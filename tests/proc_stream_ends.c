/*
 * proc_stream_ends.c - claims about streams that end before their time: because somebody leaves
 * or cancels them, a deadline passes, or somebody dies.
 */
#include "streams.h"

TestSuite(stream, STREAMS);

/* ---- leaving, cancelling ---- */

Test(stream, a_consumer_that_leaves_gets_its_slot_back_and_the_producer_is_told)
{
	OPEN(ONE_WORKER, .window_slots = 2);
	for (uint32_t i = 0; i < 20; i++) {
		const struct cadre_ticket ticket = submit(
			STREAM(COUNT, 1000000, 24, .stream_room = 256));

		expect_item(ticket, 1, 24);
		cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
		cr_assert_eq(cadre_stream_leave(CLIENT, ticket), -ESTALE);
		cr_assert(eventually(atomic_load(&board->ended) == i + 1));
		cr_assert_eq(atomic_load(&board->told), -ECANCELED);
	}
	call_ok((struct cadre_request){ .operation = ECHO });
}

Test(stream, a_consumer_that_leaves_wakes_a_producer_that_waits)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
}

Test(stream, one_who_leaves_before_a_worker_came_has_nothing_run)
{
	struct cadre_ticket first, ticket;

	OPEN(ONE_WORKER);
	first = submit(STREAM(STEPS, 1, 8));
	ticket = submit(STREAM(COUNT, 10, 8));
	cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
	atomic_store(&board->gate, 1);
	expect_item(first, 1, 8);
	expect_end(first, CADRE_OK);
	call_ok((struct cadre_request){ .operation = ECHO });
	cr_assert_eq(atomic_load(&board->begun), 1);
}

Test(stream, leaving_after_the_end_counts_as_that_end)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 3, 8));
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert(eventually(counter("jobs_ok") == 1));
	cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
	cr_assert_eq(counter("jobs_late"), 0);
}

Test(stream, a_cancelled_stream_can_be_read_to_its_end_or_taken_at_once)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(cadre_cancel(CLIENT, ticket), 0);
	expect_items(ticket, 1, 8, 24);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0);
	expect(ticket, CADRE_CANCELLED);
	/* Else it is the first that is seen blocked. */
	cr_assert(eventually(atomic_load(&board->ended) == 1));

	ticket = submit(STREAM(COUNT, 1000000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(cadre_cancel(CLIENT, ticket), 0);
	expect(ticket, CADRE_CANCELLED);
	cr_assert(eventually(atomic_load(&board->ended) == 2));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
}

Test(stream, a_producer_that_waits_past_its_deadline_is_told)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000000, 24, .stream_room = 256,
			       .deadline_ns = cadre_in_ms(100)));
	/* Nobody of this process looks at it meanwhile. */
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
	expect_items(ticket, 1, 8, 24);
	expect_end(ticket, CADRE_TIMED_OUT);
	cr_assert_eq(troupe_counter(CADRE_SCOPE_POOL,
				    troupe_look(troupe.scene.pool).counters,
				    "workers_killed"),
		     0);
}

Test(stream, a_consumer_that_waits_past_the_deadline_is_told_after_the_last_item)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	atomic_store(&board->gate, 2);
	ticket = submit(STREAM(STEPS, 3, 8, .deadline_ns = cadre_in_ms(200)));
	expect_items(ticket, 1, 2, 8);
	expect_end(ticket, CADRE_TIMED_OUT);
	cr_assert(eventually(atomic_load(&board->ended) == 1));
}

/* ---- deaths ---- */

Test(stream, items_of_a_dead_worker_stay_readable_then_the_stream_is_lost)
{
	struct cadre_ticket ticket;
	struct cadre_result result;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(DIE, 30, 40));
	cr_assert(eventually(deaths() == 1));
	expect_items(ticket, 1, 30, 40);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0,
		     "what it was about to emit was not emitted");
	result = await(ticket);
	cr_assert_eq(result.outcome, CADRE_LOST);
	cr_assert_eq(result.code, SIGKILL);
	release(&result);
}

Test(stream, a_consumer_that_waits_is_woken_when_the_worker_dies)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(STEPS, 3, 8));
	cr_assert(eventually(atomic_load(&board->begun) == 1));
	kill(look().pid, SIGKILL);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0);
	expect(ticket, CADRE_LOST);
}

Test(stream, an_idempotent_stream_is_tried_again_as_long_as_nothing_was_emitted)
{
	struct cadre_ticket ticket;
	struct cadre_result result;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(FLAGGED(CADRE_STREAM | CADRE_IDEMPOTENT, DIE, 0, 8));
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0);
	result = await(ticket);
	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	cr_assert_eq(result.attempt, 1);
	release(&result);
}

Test(stream, an_idempotent_stream_that_has_begun_is_lost_and_not_told_twice)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(FLAGGED(CADRE_STREAM | CADRE_IDEMPOTENT, DIE, 1, 8));
	expect_item(ticket, 1, 8);
	expect_end(ticket, CADRE_LOST);
}

/* Reads one item and waits to be killed. */
static int be_consumer(void *context)
{
	const struct cadre_request request = STREAM(COUNT, 1000000, 24,
						    .stream_room = 256);
	struct cadre_client *client;
	struct cadre_ticket ticket;
	struct cadre_item item;

	CHILD_CHECK(cadre_client_attach(context, NULL, &client, NULL) == 0);
	CHILD_CHECK(cadre_try_submit(client, &request, &ticket) == 0);
	CHILD_CHECK(cadre_stream_next(client, ticket, CADRE_FOREVER, &item) == 1);
	child_idle();
}

Test(stream, a_producer_whose_consumer_died_is_told_and_the_window_comes_back)
{
	uint32_t pool_clients;
	pid_t consumer;

	OPEN(ONE_WORKER);
	pool_clients = troupe_look(troupe.scene.pool).clients;
	consumer = child_start(be_consumer, troupe.scene.pool);
	cr_assert(eventually(is_blocked()));
	child_kill(consumer);
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
	cr_assert(eventually(troupe_look(troupe.scene.pool).clients == pool_clients));
}

Test(stream, stop_lets_streams_come_to_their_end)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(try_submit(STREAM(COUNT, 1, 8)), -ESHUTDOWN);
	expect_items(ticket, 1, 1000, 24);
	expect_end(ticket, CADRE_OK);
}

Test(stream, terminate_leaves_what_was_emitted_to_be_read)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(troupe_terminate(&troupe), 0);
	expect_items(ticket, 1, 8, 24);
	expect_end(ticket, CADRE_TERMINATED);
}
