/*
 * proc_plain.c - claims about the short way of a plain request: that clients which attached to a pool
 * take it, which nothing but speed would tell, where it ends, and what a look in vain leaves.
 */
#include "claims.h"
#include "client.h"

TestSuite(plain, TROUPE);

Test(plain, a_client_that_attached_takes_the_short_way_for_what_fits_a_slot)
{
	struct cadre_client *other;

	START(ONE_WORKER);
	cr_expect_eq(troupe.client->plain_max, CADRE_INLINE_MAX);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &other, NULL), 0);
	cr_expect_eq(other->plain_max, CADRE_INLINE_MAX);
	cadre_client_detach(other);
}

Test(plain, what_the_pool_does_not_take_is_not_plain)
{
	START(ONE_WORKER, .payload_max = 40);
	cr_expect_eq(troupe.client->plain_max, 40);
}

Test(plain, each_length_up_to_a_block_comes_back_as_it_went)
{
	unsigned char sent[CADRE_INLINE_MAX + 2];

	START(ONE_WORKER);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (unsigned char)(i * 7 + 1);
	for (size_t length = 0; length <= sizeof(sent); length++) {
		const struct cadre_request request = { .operation = TROUPE_ECHO,
						       .data = sent,
						       .length = length };
		struct cadre_result result;

		cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
		cr_expect_eq(result.outcome, CADRE_OK);
		cr_expect(result.length == length && memcmp(result.data, sent, length) == 0,
			  "of %zu bytes %zu came back", length, result.length);
		release(&result);
	}
}

#define HELD 64

Test(plain, a_job_that_was_missed_a_moment_ago_is_taken_at_once_when_it_is_cancelled)
{
	const struct cadre_ticket none = { 0 };
	struct cadre_ticket tickets[HELD];
	struct cadre_result result;

	START(ONE_WORKER);
	for (int i = 0; i < HELD; i++)
		tickets[i] = submit(ASK(TROUPE_LATER, 1));
	for (int i = HELD - 1; i > 0; i--) {
		cr_assert_eq(cadre_try_take(troupe.client, tickets[i], &result), -EAGAIN);
		cr_assert_eq(cadre_cancel(troupe.client, tickets[i]), 0);
		cr_assert_eq(cadre_try_take(troupe.client, tickets[i], &result), 0,
			     "job %d", i);
		cr_expect_eq(result.outcome, CADRE_CANCELLED);
		release(&result);
		cr_expect_eq(cadre_try_take(troupe.client, none, &result), -ESTALE);
	}
	open_gate(1);
	expect(tickets[0], CADRE_OK);
}
