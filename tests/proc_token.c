/*
 * proc_token.c - claims about tokens in a real pool: SPEC.md section 6, rows 3 to 5. Which
 * state follows from which stands in test_token.c; here are the jobs that a token ends, those
 * who listen, and other processes.
 *
 * One worker, first in, first out: once a later job has ended, an earlier one that has not
 * run never will.
 */
#include "claims.h"

#include "layout.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define MS INT64_C(1000000)

/* What listeners tell; shared with children. */
static struct heard {
	_Atomic uint32_t calls;
	_Atomic int32_t outcome;
	_Atomic bool ended;
	_Atomic uint32_t step;
	struct cadre_token_name name;
	char message[160];
	pthread_t thread;
} * heard;

static void enter(void)
{
	troupe_enter();
	heard = child_share(sizeof(*heard));
}

TestSuite(token, .init = enter, .fini = troupe_leave, .timeout = 60);

static void hear(struct cadre_token *token, const struct cadre_token_status *status,
		 void *context)
{
	struct heard *const what = context;

	(void)token;
	what->thread = pthread_self();
	strcpy(what->message, status->message);
	atomic_store(&what->outcome, (int32_t)status->outcome);
	atomic_store(&what->ended, status->ended);
	atomic_fetch_add(&what->calls, 1);
}

static struct cadre_token *cancellable(const char *message)
{
	struct cadre_token *token = NULL;

	cr_assert_eq(cadre_token_create(troupe.client, message, &token), 0);
	return token;
}

static struct cadre_token *timeout(int64_t duration_ns, const char *message)
{
	struct cadre_token *token = NULL;

	cr_assert_eq(cadre_token_create_timeout(troupe.client, duration_ns, message,
						&token),
		     0);
	return token;
}

typedef int compose_fn(struct cadre_client *, struct cadre_token *const *, size_t,
		       const char *, struct cadre_token **);

static struct cadre_token *pair(compose_fn *compose, struct cadre_token *first,
				struct cadre_token *second)
{
	struct cadre_token *const members[] = { first, second };
	struct cadre_token *token = NULL;

	cr_assert_eq(compose(troupe.client, members, 2, NULL, &token), 0);
	return token;
}

static struct cadre_token_status look(struct cadre_token *token)
{
	struct cadre_token_status status;

	cr_assert_eq(cadre_token_look(token, &status), 0);
	return status;
}

static void cancel(struct cadre_token *token)
{
	cr_assert_eq(cadre_token_cancel(token), 0);
}

static void expect_with(struct cadre_ticket ticket, enum cadre_outcome outcome,
			const char *sentence)
{
	const struct cadre_result result = await(ticket);

	cr_assert_eq(result.outcome, outcome, "%s: %s",
		     cadre_outcome_name(result.outcome), result.sentence);
	cr_assert_str_eq(result.sentence, sentence);
	release(&result);
}

static struct cadre_ticket hold(uint32_t gate, struct cadre_token *token)
{
	const uint32_t before = atomic_load(&troupe.board->waiting);
	const struct cadre_ticket ticket = submit(ASK(TROUPE_HOLD, gate, .token = token));

	cr_assert(eventually(atomic_load(&troupe.board->waiting) == before + 1));
	return ticket;
}

/* ---- cancellable ---- */

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

/* ---- timeouts ---- */

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
	cr_assert_eq(kill(supervisor, SIGSTOP), 0);
	ticket = hold(1, token);
	expect(ticket, CADRE_TIMED_OUT);
	cr_assert_eq(kill(supervisor, SIGCONT), 0);
	open_gate(1);
	cadre_token_release(token);
}

/* ---- composites ---- */

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
	struct cadre_token *leaf, *inner, *outer, *members[1];
	struct cadre_token_name name;
	struct cadre_token *opened;
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	leaf = timeout(40 * MS, "at the bottom");
	members[0] = leaf;
	cr_assert_eq(cadre_token_create_any(troupe.client, members, 1, NULL, &inner), 0);
	members[0] = inner;
	cr_assert_eq(cadre_token_create_all(troupe.client, members, 1, NULL, &outer), 0);
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

/* ---- listeners ---- */

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

/* Opens the token by name in another process, and does as it is told. */
static struct cadre_token *open_elsewhere(struct cadre_client **ret_client)
{
	struct cadre_token *token = NULL;

	if (cadre_client_attach(troupe.scene.pool, NULL, ret_client, NULL) < 0 ||
	    cadre_token_open(*ret_client, &heard->name, &token) < 0)
		return NULL;
	return token;
}

static int listen_by_descriptor(void *context)
{
	struct cadre_client *client;
	struct cadre_token *const token = open_elsewhere(&client);
	struct pollfd look = { .events = POLLIN };
	int called = 0;

	(void)context;
	CHILD_CHECK(token);
	look.fd = cadre_client_fd(client);
	CHILD_CHECK(look.fd >= 0);
	CHILD_CHECK(cadre_token_listen(token, hear, heard) == 0);
	atomic_store(&heard->step, 1);
	while (called == 0) {
		CHILD_CHECK(poll(&look, 1, TROUPE_PATIENCE_MS) == 1);
		called = cadre_client_dispatch(client, 0);
	}
	CHILD_CHECK(called == 1);
	cadre_client_detach(client);
	return CHILD_FINE;
}

static void name_for_children(struct cadre_token *token)
{
	cadre_token_name(token, &heard->name);
}

Test(token, a_listener_in_another_process_hears_through_its_descriptor)
{
	struct cadre_token *token;
	pid_t child;

	START(ONE_WORKER);
	token = cancellable("across");
	name_for_children(token);
	child = child_start(listen_by_descriptor, NULL);
	cr_assert(eventually(atomic_load(&heard->step) == 1));
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
	cr_assert(eventually(atomic_load(&heard->step) == 1));
	cadre_token_release(token);
	cr_assert_eq(child_end(child), CHILD_FINE);
	cr_assert_eq(heard->calls, 1);
	cr_assert_not(heard->ended);
}

/* ---- other processes, other clients ---- */

static int submit_elsewhere(void *context)
{
	struct cadre_client *client;
	struct cadre_token *const token = open_elsewhere(&client);
	struct cadre_result result;
	struct cadre_ticket ticket;

	(void)context;
	CHILD_CHECK(token);
	CHILD_CHECK(cadre_try_submit(client, &ASK(TROUPE_HOLD, 1, .token = token),
				     &ticket) == 0);
	atomic_store(&heard->step, 1);
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
		atomic_store(&heard->step, 0);
		children[i] = child_start(submit_elsewhere, NULL);
		cr_assert(eventually(atomic_load(&heard->step) == 1));
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
	struct cadre_client *client;
	struct cadre_token *const token = open_elsewhere(&client);

	(void)context;
	CHILD_CHECK(token);
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
	struct cadre_client *client;
	struct cadre_token *token;

	(void)context;
	CHILD_CHECK(cadre_client_attach(troupe.scene.pool, NULL, &client, NULL) == 0);
	CHILD_CHECK(cadre_token_create_timeout(client, 200 * MS, "of the dead", &token) ==
		    0);
	cadre_token_name(token, &heard->name);
	atomic_store(&heard->step, 1);
	child_idle();
}

Test(token, jobs_keep_a_token_whose_owner_has_died_and_its_clock_goes_on)
{
	struct cadre_token *token, *again;
	struct cadre_ticket ticket;
	pid_t owner;

	START(ONE_WORKER);
	owner = child_start(own_and_die, NULL);
	cr_assert(eventually(atomic_load(&heard->step) == 1));
	cr_assert_eq(cadre_token_open(troupe.client, &heard->name, &token), 0);
	ticket = hold(1, token);
	child_kill(owner);
	cr_assert(eventually(cadre_token_open(troupe.client, &heard->name, &again) ==
			     -ESTALE));
	cr_assert_eq(try_submit(ASK(TROUPE_LOG, 1, .token = token)), -ESTALE);
	expect_with(ticket, CADRE_TIMED_OUT, "of the dead");
	open_gate(1);
	/* The last of its jobs gave it back. */
	cr_assert(eventually(troupe_tokens(troupe.scene.pool) == 0));
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
	int r = troupe_start(&troupe, &service, (struct cadre_pool_options){ ONE_WORKER });

	cr_assert_eq(r, 0, "%s", troupe.diag.text);
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

/* ---- wrong use ---- */

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
