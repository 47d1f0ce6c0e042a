/*
 * proc_token_timeouts.c - claims about tokens that time ends: when their clock starts, whose jobs it
 * ends, and who looks at it.
 */
#include "tokens.h"

#include <signal.h>

TestSuite(token, TOKENS);

Test(token, a_timeout_starts_when_its_first_job_is_taken_and_not_before)
{
	struct cadre_token *token;
	struct cadre_ticket first, second;

	START(ONE_WORKER);
	token = timeout(60 * MS, "too slow");
	first = hold(1, NULL);
	second = submit(ASK(TROUPE_HOLD, 2, .token = token));
	/* Far longer than its duration: the worker is busy. */
	child_pause_ms(150);
	cr_assert_not(look(token).ended);
	cr_assert_eq(look(token).due_ns, INT64_MAX);

	open_gate(1);
	expect(first, CADRE_OK);
	expect_with(second, CADRE_TIMED_OUT, "too slow");
	cr_assert(look(token).ended);
	cr_assert_eq(look(token).outcome, CADRE_TIMED_OUT);
	open_gate(2);
	cadre_token_release(token);
}

Test(token, a_timeout_runs_once_for_all_jobs_that_share_it)
{
	struct cadre_token *token;
	struct cadre_ticket first, second;
	int64_t due_ns;

	START(.workers_min = 2, .workers_max = 2);
	token = timeout(300 * MS, NULL);
	first = hold(1, token);
	due_ns = look(token).due_ns;
	cr_assert_lt(due_ns, INT64_MAX);
	child_pause_ms(20);
	second = hold(1, token);
	cr_assert_eq(look(token).due_ns, due_ns);

	expect_with(first, CADRE_TIMED_OUT, "the time of its token is over");
	expect(second, CADRE_TIMED_OUT);
	cr_assert_geq(cadre_now_ns(), due_ns);
	open_gate(1);
	cr_assert_eq(try_submit(ASK(TROUPE_LOG, 1, .token = token)), -ECANCELED);
	cadre_token_release(token);
}

Test(token, a_timeout_of_zero_has_ended_when_it_is_made)
{
	struct cadre_token *token;

	START(ONE_WORKER);
	token = timeout(0, "no time at all");
	cr_assert(look(token).ended);
	cr_assert_eq(look(token).outcome, CADRE_TIMED_OUT);
	cr_assert_str_eq(look(token).message, "no time at all");
	cr_assert_eq(try_submit(ASK(TROUPE_LOG, 1, .token = token)), -ECANCELED);
	cadre_token_release(token);
}

Test(token, a_timeout_ends_a_job_that_nobody_awaits_and_the_pending_ones_of_others)
{
	struct cadre_token *token, *theirs;
	struct cadre_token_name name;
	struct cadre_client *other;
	struct cadre_ticket pending;
	struct cadre_result result;

	START(ONE_WORKER);
	token = timeout(50 * MS, "late");
	cadre_token_name(token, &name);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &other, NULL), 0);
	cr_assert_eq(cadre_token_open(other, &name, &theirs), 0);
	submit(ASK(TROUPE_HOLD, 1, .token = token));
	cr_assert_eq(cadre_try_submit(other, &ASK(TROUPE_LOG, 1, .token = theirs),
				      &pending),
		     0);
	cr_assert_eq(cadre_await(other, pending, GENEROUS, &result), 0);
	cr_assert_eq(result.outcome, CADRE_TIMED_OUT);
	cr_assert_str_eq(result.sentence, "late");
	cr_assert_eq(cadre_release(other, &result), 0);
	cr_assert(eventually(atomic_load(&troupe.board->cancels) == 1));
	open_gate(1);
	call_ok(ASK(TROUPE_LOG, 2));
	cr_assert_eq(troupe.board->logged, 1);
	cadre_client_detach(other);
	cadre_token_release(token);
}

Test(token, a_timeout_is_kept_while_the_supervisor_is_stopped)
{
	struct cadre_token *token;
	struct cadre_ticket ticket;
	pid_t supervisor;

	START(ONE_WORKER);
	supervisor = troupe_supervisor(troupe.scene.pool);
	token = timeout(30 * MS, NULL);
	child_stop(supervisor);
	ticket = hold(1, token);
	expect(ticket, CADRE_TIMED_OUT);
	cr_assert_eq(kill(supervisor, SIGCONT), 0);
	open_gate(1);
	cadre_token_release(token);
}
