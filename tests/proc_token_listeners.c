/*
 * proc_token_listeners.c - claims about those who listen to a token: when they are called, by whom,
 * and in which process.
 */
#include "tokens.h"

#include <poll.h>

TestSuite(token, TOKENS);

Test(token, a_listener_is_called_by_who_cancels_before_that_returns)
{
	struct cadre_token *token;

	START(ONE_WORKER);
	token = cancellable("heard");
	cr_assert_eq(cadre_token_listen(token, hear, heard), 0);
	cr_assert_eq(cadre_client_dispatch(troupe.client, 0), 0);
	cr_assert_eq(heard->calls, 0);
	cancel(token);
	cr_assert_eq(heard->calls, 1);
	cr_assert_eq(heard->outcome, CADRE_CANCELLED);
	cr_assert_str_eq(heard->message, "heard");
	cancel(token);
	cr_assert_eq(cadre_client_dispatch(troupe.client, 0), 0);
	cr_assert_eq(heard->calls, 1);
}

Test(token, a_late_listener_is_called_at_once_by_its_own_thread)
{
	struct cadre_token *token;

	START(ONE_WORKER);
	token = timeout(0, "long ago");
	cr_assert_eq(cadre_token_listen(token, hear, heard), 0);
	cr_assert_eq(heard->calls, 1);
	cr_assert_eq(heard->outcome, CADRE_TIMED_OUT);
	cr_assert(pthread_equal(heard->thread, pthread_self()));
	cr_assert_eq(cadre_token_listen(token, NULL, NULL), -EINVAL);
}

Test(token, a_released_handle_calls_no_listener)
{
	struct cadre_token *token, *opened;
	struct cadre_token_name name;

	START(ONE_WORKER);
	token = cancellable(NULL);
	cadre_token_name(token, &name);
	cr_assert_eq(cadre_token_open(troupe.client, &name, &opened), 0);
	cr_assert_eq(cadre_token_listen(opened, hear, heard), 0);
	cadre_token_release(opened);
	cancel(token);
	cr_assert_eq(heard->calls, 0);
	cr_assert_eq(cadre_client_await_dispatch(troupe.client, GENEROUS), 0);
}

Test(token, a_timeout_without_a_look_reaches_who_waits_for_callbacks)
{
	struct cadre_token *token;
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	token = timeout(40 * MS, NULL);
	cr_assert_eq(cadre_token_listen(token, hear, heard), 0);
	ticket = hold(1, token);
	cr_assert_eq(cadre_client_await_dispatch(troupe.client, GENEROUS), 1);
	cr_assert_eq(heard->outcome, CADRE_TIMED_OUT);
	expect(ticket, CADRE_TIMED_OUT);
	open_gate(1);
}

static int listen_by_descriptor(void *context)
{
	struct cadre_client *const client = attach_elsewhere();
	struct cadre_token *const token = open_elsewhere(client);
	struct pollfd look = { .events = POLLIN };
	int called = 0;

	(void)context;
	look.fd = cadre_client_fd(client);
	CHILD_CHECK(look.fd >= 0);
	CHILD_CHECK(cadre_token_listen(token, hear, heard) == 0);
	say_ready();
	while (called == 0) {
		CHILD_CHECK(poll(&look, 1, TROUPE_PATIENCE_MS) == 1);
		called = cadre_client_dispatch(client, 0);
	}
	CHILD_CHECK(called == 1);
	cadre_client_detach(client);
	return CHILD_FINE;
}

Test(token, a_listener_in_another_process_hears_through_its_descriptor)
{
	struct cadre_token *token;
	pid_t child;

	START(ONE_WORKER);
	token = cancellable("across");
	name_for_children(token);
	child = child_start(listen_by_descriptor, NULL);
	await_ready();
	cancel(token);
	cr_assert_eq(child_end(child), CHILD_FINE);
	cr_assert_eq(heard->calls, 1);
	cr_assert(heard->ended);
	cr_assert_str_eq(heard->message, "across");
}

Test(token, a_listener_in_another_process_is_told_when_the_owner_lets_go)
{
	struct cadre_token *token;
	pid_t child;

	START(ONE_WORKER);
	token = cancellable(NULL);
	name_for_children(token);
	child = child_start(listen_by_descriptor, NULL);
	await_ready();
	cadre_token_release(token);
	cr_assert_eq(child_end(child), CHILD_FINE);
	cr_assert_eq(heard->calls, 1);
	cr_assert_not(heard->ended);
}
