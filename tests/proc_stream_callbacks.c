/*
 * proc_stream_callbacks.c - claims about streams whose items are delivered to callbacks.
 */
#include "streams.h"

#include <poll.h>

TestSuite(stream, STREAMS);

Test(stream, callbacks_get_the_items_in_order_and_then_the_end)
{
	OPEN(ONE_WORKER);
	cr_assert_eq(cadre_try_submit(CLIENT,
				      &STREAM(COUNT, 5000, 24, .stream_room = 256, HEARD),
				      NULL),
		     0);
	dispatch_until_ends(1);
	cr_assert_eq(heard.items, 5000);
	cr_assert_eq(heard.outcome, CADRE_OK);
	cr_assert_not(heard.wrong);
	cr_assert_eq(cadre_client_await_dispatch(CLIENT, GENEROUS), 0, "nothing is left");
}

Test(stream, the_descriptor_is_readable_while_there_is_something_to_deliver)
{
	static struct heard others[3];
	struct pollfd look_at = { .events = POLLIN };

	OPEN(ONE_WORKER);
	look_at.fd = cadre_client_fd(CLIENT);
	cr_assert_geq(look_at.fd, 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(cadre_try_submit(CLIENT,
					      &STREAM(MIXED, 1000, 24, .stream_room = 256,
						      .item = hear_item, .ended = hear_end,
						      .context = &others[i]),
					      NULL),
			     0);
	cr_assert_eq(cadre_try_submit(CLIENT,
				      &STREAM(COUNT, 1000, 24, .stream_room = 256, HEARD),
				      NULL),
		     0);
	while (heard.ends == 0) {
		cr_assert_eq(poll(&look_at, 1, TROUPE_PATIENCE_MS), 1,
			     "nothing came after %u items", heard.items);
		cr_assert_geq(cadre_client_dispatch(CLIENT, 7), 0);
	}
	cr_assert_eq(heard.items, 1000);
	cr_assert_not(heard.wrong);
	while (cadre_client_await_dispatch(CLIENT, GENEROUS) > 0) {
	}
	for (int i = 0; i < 3; i++)
		cr_assert(others[i].ends == 1 && !others[i].wrong);
}

Test(stream, a_stream_paused_in_a_callback_is_delivered_no_further_until_resumed)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	heard.pause_at = 3;
	cr_assert_eq(cadre_try_submit(CLIENT,
				      &STREAM(COUNT, 100, 24, .stream_room = 256, HEARD),
				      &ticket),
		     0);
	while (heard.items < 3)
		cr_assert_gt(cadre_client_await_dispatch(CLIENT, GENEROUS), 0);
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(cadre_client_dispatch(CLIENT, 0), 0);
	cr_assert_eq(heard.items, 3);
	heard.pause_at = 0;
	cr_assert_eq(cadre_stream_resume(CLIENT, ticket), 0);
	dispatch_until_ends(1);
	cr_assert_eq(heard.items, 100);
	cr_assert_not(heard.wrong);
}

Test(stream, a_stream_left_in_a_callback_delivers_nothing_but_its_end)
{
	OPEN(ONE_WORKER);
	heard.leave_at = 5;
	cr_assert_eq(cadre_try_submit(CLIENT,
				      &STREAM(COUNT, 1000000, 24, .stream_room = 256,
					      HEARD),
				      NULL),
		     0);
	dispatch_until_ends(1);
	cr_assert_eq(heard.items, 5);
	cr_assert_eq(heard.outcome, CADRE_CANCELLED);
	cr_assert(eventually(atomic_load(&board->ended) == 1));
}

Test(stream, a_stream_with_callbacks_whose_worker_dies_delivers_what_was_emitted)
{
	OPEN(ONE_WORKER);
	cadre_client_fd(CLIENT);
	cr_assert_eq(cadre_try_submit(CLIENT, &STREAM(DIE, 6, 24, HEARD), NULL), 0);
	dispatch_until_ends(1);
	cr_assert_eq(heard.items, 6);
	cr_assert_eq(heard.outcome, CADRE_LOST);
	cr_assert_not(heard.wrong);
}

Test(stream, a_stream_with_callbacks_is_not_read_by_hand)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	cr_assert_eq(cadre_try_submit(CLIENT, &STREAM(COUNT, 3, 24, HEARD), &ticket), 0);
	cr_expect_eq(cadre_stream_try_next(CLIENT, ticket, &item), -EBUSY);
	cr_expect_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), -EBUSY);
	dispatch_until_ends(1);
}
