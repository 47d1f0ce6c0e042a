/*
 * proc_token_refusals.c - claims about what cannot be done with a token, and which error says so.
 */
#include "tokens.h"

TestSuite(token, TOKENS);

Test(token, only_a_cancellable_token_can_be_cancelled_by_hand)
{
	struct cadre_token *by_time, *any, *all;

	START(ONE_WORKER);
	by_time = timeout(1000 * MS, NULL);
	any = pair(cadre_token_create_any, by_time, by_time);
	all = pair(cadre_token_create_all, by_time, any);
	cr_assert_eq(cadre_token_cancel(by_time), -EPERM);
	cr_assert_eq(cadre_token_cancel(any), -EPERM);
	cr_assert_eq(cadre_token_cancel(all), -EPERM);
	cr_assert_not(look(all).ended);
	cr_assert_eq(cadre_token_create_timeout(troupe.client, -1, NULL, &any), -EINVAL);
}

Test(token, composites_of_nothing_of_too_many_and_of_too_deep_ones_are_refused)
{
	struct cadre_token *members[CADRE_TOKEN_MEMBERS_MAX + 1], *composite = NULL;

	START(ONE_WORKER);
	for (size_t i = 0; i <= CADRE_TOKEN_MEMBERS_MAX; i++)
		members[i] = cancellable(NULL);
	cr_assert_eq(cadre_token_create_any(troupe.client, members, 0, NULL, &composite),
		     -EINVAL);
	cr_assert_eq(cadre_token_create_all(troupe.client, NULL, 1, NULL, &composite),
		     -EINVAL);
	cr_assert_eq(cadre_token_create_all(troupe.client, members,
					    CADRE_TOKEN_MEMBERS_MAX + 1, NULL, &composite),
		     -EMLINK);
	cr_assert_eq(cadre_token_create_all(troupe.client, members,
					    CADRE_TOKEN_MEMBERS_MAX, NULL, &members[0]),
		     0);
	for (int depth = 2; depth <= CADRE_TOKEN_NESTING_MAX; depth++)
		cr_assert_eq(cadre_token_create_any(troupe.client, members, 2, NULL,
						    &members[0]),
			     0);
	cr_assert_eq(cadre_token_create_any(troupe.client, members, 2, NULL, &composite),
		     -ELOOP);
	cr_assert_null(composite);
}

Test(token, a_token_of_another_pool_is_refused_everywhere)
{
	struct troupe elsewhere;
	struct cadre_token *theirs, *mine = NULL;
	struct cadre_token_name name;
	int r;

	START(ONE_WORKER);
	troupe_begin(&elsewhere);
	r = troupe_start(&elsewhere, &troupe_service,
			 (struct cadre_pool_options){ ONE_WORKER });
	cr_assert_eq(r, 0, "%s", elsewhere.diag.text);
	cr_assert_eq(cadre_token_create(elsewhere.client, NULL, &theirs), 0);
	cadre_token_name(theirs, &name);
	cr_assert_eq(cadre_token_open(troupe.client, &name, &mine), -EXDEV);
	cr_assert_eq(try_submit(ASK(TROUPE_LOG, 1, .token = theirs)), -EXDEV);
	cr_assert_eq(cadre_token_create_any(troupe.client, &theirs, 1, NULL, &mine),
		     -EXDEV);
	cr_assert(troupe_close(&elsewhere));
}

Test(token, one_that_was_released_is_stale_for_who_opened_it)
{
	struct cadre_token *token, *opened, *composite;
	struct cadre_token_status status;
	struct cadre_token_name name;

	START(ONE_WORKER);
	token = cancellable(NULL);
	cadre_token_name(token, &name);
	cr_assert_eq(cadre_token_open(troupe.client, &name, &opened), 0);
	cadre_token_release(token);
	cr_assert_eq(cadre_token_look(opened, &status), -ESTALE);
	cr_assert_eq(cadre_token_cancel(opened), -ESTALE);
	cr_assert_eq(try_submit(ASK(TROUPE_LOG, 1, .token = opened)), -ESTALE);
	cr_assert_eq(cadre_token_create_any(troupe.client, &opened, 1, NULL, &composite),
		     -ESTALE);
	cr_assert_eq(cadre_token_open(troupe.client, &name, &token), -ESTALE);

	/* And so it stays when its cell is another's. */
	for (int i = 0; i < 100; i++)
		cadre_token_release(cancellable(NULL));
	token = cancellable(NULL);
	cr_assert_eq(cadre_token_look(opened, &status), -ESTALE);
	cr_assert_not(look(token).ended);
}

Test(token, when_each_token_of_the_pool_is_in_use_no_other_can_be_made)
{
	struct cadre_token *tokens[4], *more = NULL;
	struct cadre_ticket ticket;

	START(ONE_WORKER, .tokens_max = 4);
	for (int i = 0; i < 4; i++)
		tokens[i] = cancellable(NULL);
	cr_assert_eq(cadre_token_create(troupe.client, NULL, &more), -EMFILE);

	/* Released, but a job still has it. */
	ticket = hold(1, tokens[0]);
	cadre_token_release(tokens[0]);
	cr_assert_eq(cadre_token_create(troupe.client, NULL, &more), -EMFILE);
	open_gate(1);
	expect(ticket, CADRE_OK);
	cr_assert_eq(cadre_token_create(troupe.client, NULL, &more), 0);
	cr_assert_eq(cadre_token_create(troupe.client, NULL, &tokens[0]), -EMFILE);
	cr_assert(eventually(troupe_counter(CADRE_SCOPE_POOL,
					    troupe_look(troupe.scene.pool).counters,
					    "tokens_used") == 4));
}
