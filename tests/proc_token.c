/*
 * proc_token.c - claims about tokens in a real pool: SPEC.md section 6, rows 3 to 5. Which
 * state follows from which stands in test_token.c; here are the jobs that a token ends. More of
 * them: proc_token_timeouts.c, proc_token_composites.c, proc_token_listeners.c,
 * proc_token_processes.c and proc_token_refusals.c.
 */
#include "tokens.h"

TestSuite(token, TOKENS);

Test(token, cancelling_one_ends_pending_and_running_jobs_with_its_message)
{
	struct cadre_token *token;
	struct cadre_ticket running, pending[3], untouched;

	START(ONE_WORKER);
	token = cancellable("the user went home");
	running = hold(1, token);
	for (int i = 0; i < 3; i++)
		pending[i] = submit(ASK(TROUPE_LOG, 1, .token = token));
	untouched = submit(ASK(TROUPE_LOG, 2));
	cancel(token);
	expect_with(running, CADRE_CANCELLED, "the user went home");
	for (int i = 0; i < 3; i++)
		expect_with(pending[i], CADRE_CANCELLED, "the user went home");
	/* The handler was told by the flag. */
	cr_assert(eventually(atomic_load(&troupe.board->cancels) == 1));

	open_gate(1);
	expect(untouched, CADRE_OK);
	cr_assert_eq(troupe.board->logged, 1);
	cr_assert_eq(troupe.board->log[0], 2);
	cadre_token_release(token);
}

Test(token, a_job_with_a_token_that_nobody_ends_is_an_ordinary_job)
{
	struct cadre_token *token;

	START(ONE_WORKER);
	token = cancellable(NULL);
	call_ok(ASK(TROUPE_LOG, 1, .token = token));
	cr_assert_not(look(token).ended);
	cancel(token);
	cancel(token);
	cr_assert(look(token).ended);
	cadre_token_release(token);
}

Test(token, submitting_with_one_that_has_ended_is_refused_and_no_worker_is_asked)
{
	struct cadre_request requests[2] = { ASK(TROUPE_LOG, 1), ASK(TROUPE_LOG, 2) };
	struct cadre_ticket tickets[2];
	struct cadre_draft draft;
	struct cadre_token *token;

	START(ONE_WORKER);
	token = cancellable("over");
	cancel(token);
	cr_assert_eq(try_submit(ASK(TROUPE_LOG, 1, .token = token)), -ECANCELED);
	requests[1].token = token;
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests, 2, tickets), 1);
	expect(tickets[0], CADRE_OK);
	cr_assert_eq(cadre_try_draft(troupe.client, 4, &draft), 0);
	cr_assert_eq(cadre_draft_submit(troupe.client, &draft,
					&ASK(TROUPE_LOG, 1, .token = token), &tickets[0]),
		     -ECANCELED);
	/* The draft is there still, for another try. */
	cadre_draft_discard(troupe.client, &draft);
	call_ok(ASK(TROUPE_LOG, 3));
	cr_assert_eq(troupe.board->logged, 2);
	cr_assert_eq(troupe_look_worker(troupe.scene.pool, 0).jobs[CADRE_OK], 2);
	cadre_token_release(token);
}

Test(token, a_job_that_was_cancelled_by_hand_says_so_although_its_token_ended_later)
{
	struct cadre_token *token;
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	token = cancellable("by token");
	ticket = hold(1, token);
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	cancel(token);
	expect_with(ticket, CADRE_CANCELLED, "it was cancelled");
	open_gate(1);
	cadre_token_release(token);
}

Test(token, a_payload_that_the_token_leaves_no_room_for_arrives_all_the_same)
{
	unsigned char bytes[200];
	struct cadre_token *token;
	struct cadre_draft draft;

	START(ONE_WORKER);
	token = cancellable(NULL);
	for (size_t length = 70; length <= 100; length++) {
		struct cadre_request request = { .operation = TROUPE_ECHO,
						 .data = bytes,
						 .length = length,
						 .token = token };
		struct cadre_result result;
		struct cadre_ticket ticket;

		troupe_fill(bytes, length, (uint32_t)length);
		for (int round = 0; round < 3; round++) {
			if (round == 0) {
				ticket = submit(request);
			} else { /* a draft as long as needed, and one that is too long */
				cr_assert_eq(cadre_try_draft(troupe.client,
							     round == 1 ? length : 200,
							     &draft),
					     0);
				memcpy(draft.data, bytes, length);
				cr_assert_eq(cadre_draft_submit(troupe.client, &draft,
								&request, &ticket),
					     0);
			}
			result = await(ticket);
			cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
			cr_assert_eq(result.length, length);
			cr_assert(troupe_holds(result.data, length, (uint32_t)length));
			release(&result);
		}
	}
	cadre_token_release(token);
}

/* A worker hands its own token on: its job opens the token by the name that it was given. */
static void pass_name(struct cadre_job *job, void *state)
{
	struct cadre_token_name name;

	(void)state;
	if (cadre_job_token(job, &name) < 0)
		cadre_job_fail(job, ENOENT, "it has no token");
	else
		cadre_job_reply(job, &name, sizeof(name));
}

Test(token, a_handler_knows_the_name_of_its_jobs_token)
{
	static const struct cadre_operation operations[] = { { 1, "name", pass_name } };
	const struct cadre_service service = { .size = sizeof(service),
					       .name = "names",
					       .operations = operations,
					       .operation_count = 1 };
	struct cadre_token_name name;
	struct cadre_token *token;
	struct cadre_result result;

	START_SERVICE(&service, ONE_WORKER);
	token = cancellable(NULL);
	cadre_token_name(token, &name);
	result = await(submit((struct cadre_request){ .operation = 1, .token = token }));
	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	cr_assert_eq(result.length, sizeof(name));
	cr_assert_arr_eq(result.data, name.bytes, sizeof(name));
	release(&result);
	result = await(submit((struct cadre_request){ .operation = 1 }));
	cr_assert_eq(result.code, ENOENT);
	release(&result);
}
