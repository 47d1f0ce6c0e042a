/*
 * proc_token_processes.c - claims about a token that several processes have: by its name, after the
 * death of its owner, and as a copy in a forked child.
 */
#include "tokens.h"

TestSuite(token, TOKENS);

static int submit_elsewhere(void *context)
{
	struct cadre_client *const client = attach_elsewhere();
	struct cadre_token *const token = open_elsewhere(client);
	struct cadre_result result;
	struct cadre_ticket ticket;

	(void)context;
	CHILD_CHECK(cadre_try_submit(client, &ASK(TROUPE_HOLD, 1, .token = token),
				     &ticket) == 0);
	say_ready();
	CHILD_CHECK(cadre_await(client, ticket, GENEROUS, &result) == 0);
	CHILD_CHECK(result.outcome == CADRE_CANCELLED);
	CHILD_CHECK(strcmp(result.sentence, "for all of you") == 0);
	cadre_release(client, &result);
	cadre_client_detach(client);
	return CHILD_FINE;
}

Test(token, one_token_ends_the_jobs_of_several_processes)
{
	struct cadre_token *token;
	struct cadre_ticket mine;
	pid_t children[3];

	START(ONE_WORKER);
	token = cancellable("for all of you");
	name_for_children(token);
	mine = hold(1, token);
	for (int i = 0; i < 3; i++) {
		children[i] = child_start(submit_elsewhere, NULL);
		await_ready();
	}
	cancel(token);
	expect_with(mine, CADRE_CANCELLED, "for all of you");
	for (int i = 0; i < 3; i++)
		cr_assert_eq(child_end(children[i]), CHILD_FINE);
	open_gate(1);
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 0));
}

static int cancel_elsewhere(void *context)
{
	struct cadre_client *const client = attach_elsewhere();
	struct cadre_token *const token = open_elsewhere(client);

	(void)context;
	CHILD_CHECK(cadre_token_cancel(token) == 0);
	cadre_client_detach(client);
	return CHILD_FINE;
}

Test(token, whoever_opened_a_cancellable_token_may_cancel_it)
{
	struct cadre_token *token;
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	token = cancellable("not by me");
	name_for_children(token);
	ticket = hold(1, token);
	cr_assert_eq(child_run(cancel_elsewhere, NULL), CHILD_FINE);
	expect_with(ticket, CADRE_CANCELLED, "not by me");
	/* The owner still has it. */
	cr_assert(look(token).ended);
	open_gate(1);
}

static int own_and_die(void *context)
{
	struct cadre_client *const client = attach_elsewhere();
	struct cadre_token *token;

	(void)context;
	CHILD_CHECK(cadre_token_create_timeout(client, 200 * MS, "of the dead", &token) ==
		    0);
	cadre_token_name(token, &agreed->name);
	say_ready();
	child_idle();
}

Test(token, jobs_keep_a_token_whose_owner_has_died_and_its_clock_goes_on)
{
	struct cadre_token *token, *again;
	struct cadre_ticket ticket;
	pid_t owner;

	START(ONE_WORKER);
	owner = child_start(own_and_die, NULL);
	await_ready();
	cr_assert_eq(cadre_token_open(troupe.client, &agreed->name, &token), 0);
	ticket = hold(1, token);
	child_kill(owner);
	cr_assert(eventually(cadre_token_open(troupe.client, &agreed->name, &again) ==
			     -ESTALE));
	cr_assert_eq(try_submit(ASK(TROUPE_LOG, 1, .token = token)), -ESTALE);
	expect_with(ticket, CADRE_TIMED_OUT, "of the dead");
	open_gate(1);
	/* The last of its jobs gave it back. */
	cr_assert(eventually(troupe_tokens(troupe.scene.pool) == 0));
}

static int use_copies(void *context)
{
	struct cadre_token *const token = context;
	struct cadre_token_status status;
	struct cadre_token *other;

	CHILD_CHECK(cadre_token_cancel(token) == -ECHILD);
	CHILD_CHECK(cadre_token_look(token, &status) == -ECHILD);
	CHILD_CHECK(cadre_token_listen(token, hear, heard) == -ECHILD);
	CHILD_CHECK(cadre_token_create(troupe.client, NULL, &other) == -ECHILD);
	cadre_token_release(token);
	return CHILD_FINE;
}

Test(token, a_forked_child_can_use_its_copy_of_a_token_for_nothing)
{
	struct cadre_token *token;

	START(ONE_WORKER);
	token = cancellable(NULL);
	cr_assert_eq(child_run(use_copies, token), CHILD_FINE);
	cr_assert_not(look(token).ended);
	call_ok(ASK(TROUPE_LOG, 1, .token = token));
}
