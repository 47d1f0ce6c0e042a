/*
 * proc_token_composites.c - claims about tokens that are made of others: what ends them, and which
 * reasons they give.
 */
#include "tokens.h"

TestSuite(token, TOKENS);

Test(token, any_ends_with_its_first_member_and_gives_its_reason)
{
	struct cadre_token *by_hand, *by_time, *any, *other;
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	by_hand = cancellable("by hand");
	by_time = timeout(40 * MS, "by time");
	any = pair(cadre_token_create_any, by_hand, by_time);
	ticket = hold(1, any);
	expect_with(ticket, CADRE_TIMED_OUT, "by time");
	open_gate(1);

	/* What comes later does not change it. */
	cancel(by_hand);
	cr_assert_eq(look(any).outcome, CADRE_TIMED_OUT);
	cr_assert_str_eq(look(any).message, "by time");

	/* A member that has ended counts at once. */
	other = pair(cadre_token_create_any, cancellable("never"), by_hand);
	cr_assert(look(other).ended);
	cr_assert_eq(look(other).outcome, CADRE_CANCELLED);
	cr_assert_str_eq(look(other).message, "by hand");
}

Test(token, the_first_member_is_the_first_in_time_whatever_its_place)
{
	struct cadre_token *first, *second, *any;

	START(ONE_WORKER);
	first = cancellable("placed first");
	second = cancellable("ended first");
	any = pair(cadre_token_create_any, first, second);
	cancel(second);
	cancel(first);
	cr_assert_str_eq(look(any).message, "ended first");
}

Test(token, all_ends_with_its_last_member_and_gives_all_reasons)
{
	struct cadre_token *first, *second, *all;
	struct cadre_ticket ticket;
	struct cadre_result result;

	START(ONE_WORKER);
	first = cancellable("one");
	second = cancellable("two");
	all = pair(cadre_token_create_all, first, second);
	ticket = hold(1, all);
	cancel(second);
	cr_assert_eq(cadre_await(troupe.client, ticket, cadre_in_ms(5), &result),
		     -ETIMEDOUT);
	cr_assert_not(look(all).ended);
	cancel(first);
	expect_with(ticket, CADRE_CANCELLED, "one; two");
	open_gate(1);
}

Test(token, all_of_timeouts_is_a_timeout_and_one_of_both_kinds_is_cancelled)
{
	struct cadre_token *soon, *later, *both, *by_hand, *mixed;
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	soon = timeout(10 * MS, "soon");
	later = timeout(60 * MS, "later");
	by_hand = cancellable("by hand");
	both = pair(cadre_token_create_all, soon, later);
	mixed = pair(cadre_token_create_all, by_hand, soon);
	ticket = hold(1, both);
	expect_with(ticket, CADRE_TIMED_OUT, "soon; later");
	cr_assert_not(look(mixed).ended);
	cancel(by_hand);
	cr_assert_eq(look(mixed).outcome, CADRE_CANCELLED);
	cr_assert_str_eq(look(mixed).message, "by hand; soon");
	open_gate(1);
}

Test(token, composites_nest_and_outlive_the_handles_of_their_members)
{
	struct cadre_token *leaf, *inner, *outer, *opened;
	struct cadre_token_name name;
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	leaf = timeout(40 * MS, "at the bottom");
	inner = compose(cadre_token_create_any, 1, &leaf);
	outer = compose(cadre_token_create_all, 1, &inner);
	cadre_token_name(leaf, &name);
	cadre_token_release(leaf);
	cadre_token_release(inner);
	cr_assert_eq(cadre_token_open(troupe.client, &name, &opened), -ESTALE);

	ticket = hold(1, outer);
	cadre_token_release(outer);
	expect_with(ticket, CADRE_TIMED_OUT, "at the bottom");
	open_gate(1);
	cr_assert(eventually(troupe_tokens(troupe.scene.pool) == 0));
}
