/*
 * proc_client.c - claims about one client of a real pool: submitting, waiting, taking,
 * cancelling, deadlines.
 *
 * What must not happen is shown by order, not by waiting: one worker, first in, first
 * out, so once a later job has ended, an earlier one that has not run will never run.
 */
#include "claims.h"
#include "layout.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

TestSuite(client, TROUPE);

static uint64_t jobs_late(void)
{
	const struct cadre_worker_snapshot look = troupe_look_worker(troupe.scene.pool, 0);

	return troupe_counter(CADRE_SCOPE_WORKER, look.worker, "jobs_late");
}

/* ---- call, submit, await ---- */

Test(client, a_call_returns_the_reply_and_tells_who_made_it_and_when)
{
	const struct cadre_request request = { .operation = TROUPE_ECHO,
					       .data = "hello",
					       .length = 5 };
	struct cadre_result result;

	START(ONE_WORKER);
	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);

	cr_assert_eq(result.outcome, CADRE_OK);
	cr_assert_eq(result.length, 5);
	cr_assert_arr_eq(result.data, "hello", 5);
	cr_assert_eq((uintptr_t)result.data % 8, 0);
	cr_assert_eq(result.attempt, 0);
	cr_assert_eq(result.worker, 0);
	cr_assert_eq(result.worker_pid, troupe_worker(troupe.scene.pool, 0));
	cr_assert_geq(result.waiting_ns, 0);
	cr_assert_geq(result.running_ns, 0);
	cr_assert_str_empty(result.sentence);
	release(&result);
}

Test(client, a_job_is_submitted_now_and_awaited_later)
{
	struct cadre_ticket tickets[3];

	START(ONE_WORKER);
	for (uint32_t i = 0; i < 3; i++)
		tickets[i] = submit(ASK(TROUPE_LOG, 10 + i));
	for (uint32_t i = 3; i-- > 0;) {
		const struct cadre_result result = await(tickets[i]);

		cr_assert_eq(result.ticket.id, tickets[i].id);
		cr_assert_eq(number_in(&result), 10 + i);
		release(&result);
	}
	/* First in, first out. */
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(troupe.board->log[i], 10 + i);
}

Test(client, await_any_takes_whichever_ends_first_and_passes_over_zero_tickets)
{
	struct cadre_ticket tickets[4] = { { 0 } };
	struct cadre_result result;

	START(.workers_min = 2, .workers_max = 2);
	tickets[1] = submit(ASK(TROUPE_HOLD, 2));
	tickets[3] = submit(ASK(TROUPE_HOLD, 1));

	cr_assert_eq(cadre_await_any(troupe.client, tickets, 4, cadre_in_ms(5), &result),
		     -ETIMEDOUT);
	open_gate(1);
	cr_assert_eq(cadre_await_any(troupe.client, tickets, 4, GENEROUS, &result), 3);
	cr_assert_eq(number_in(&result), 1);
	release(&result);

	tickets[3] = (struct cadre_ticket){ 0 };
	open_gate(2);
	cr_assert_eq(cadre_await_any(troupe.client, tickets, 4, GENEROUS, &result), 1);
	cr_assert_eq(number_in(&result), 2);
	release(&result);

	tickets[1] = (struct cadre_ticket){ 0 };
	cr_assert_eq(cadre_await_any(troupe.client, tickets, 4, GENEROUS, &result),
		     -ENOENT);
}

Test(client, a_job_that_runs_is_not_taken_and_goes_on_after_a_wait_that_ran_out)
{
	struct cadre_ticket ticket;
	struct cadre_result result;

	START(ONE_WORKER);
	ticket = occupy_worker();
	cr_assert_eq(cadre_try_take(troupe.client, ticket, &result), -EAGAIN);
	cr_assert_eq(cadre_await(troupe.client, ticket, cadre_in_ms(5), &result),
		     -ETIMEDOUT);
	cr_assert_eq(cadre_await(troupe.client, ticket, 0, &result), -ETIMEDOUT);

	open_gate(1);
	cr_assert(eventually(cadre_try_take(troupe.client, ticket, &result) == 0));
	cr_assert_eq(number_in(&result), 1);
	release(&result);
}

/* The only client there is, in whichever window, since the last time. */
static bool has_said_where(const struct cadre_view *view)
{
	uint32_t said = 0;

	for (unsigned window = 0; window < view->limits.clients; window++)
		said |= atomic_exchange(&view->client_bells[window].cpu, 0);
	return said != 0;
}

/* As a client does whose goodbye was not answered in time; its supervisor lives. */
static struct cadre_place *leave_by_its_place(const struct cadre_view *view)
{
	for (unsigned client = 0; client < view->limits.clients; client++) {
		struct cadre_place *const place = &view->client_places[client];
		const uint64_t state = cadre_place_look(place);

		if (cadre_place_state_of(state) != CADRE_PLACE_UP)
			continue;
		cr_assert(cadre_place_move(
			place, state,
			cadre_place_pack_owned(CADRE_PLACE_DRAINING,
					       cadre_place_incarnation_of(state),
					       cadre_place_pid_of(state))));
		return place;
	}
	cr_assert_fail("there is no client");
	return NULL;
}

Test(client, whose_goodbye_was_not_heard_has_left_by_its_place_and_its_jobs_end)
{
	const struct cadre_place *place;
	struct cadre_view view;

	START(ONE_WORKER);
	cr_assert_eq(cadre_layout_open(troupe.scene.pool, true, &view, NULL), 0);
	occupy_worker();
	/* The gate of this one is never opened: when the window is free, nobody has run it. */
	submit(ASK(TROUPE_HOLD, 2));
	place = leave_by_its_place(&view);
	open_gate(1);
	cr_assert(eventually(cadre_place_state_of(cadre_place_look(place)) ==
			     CADRE_PLACE_VACANT));
	cadre_layout_close(&view);
}

/* With more jobs out its looks are further apart, and its wait as short as ever. */
Test(client, who_waits_with_many_jobs_out_asks_in_time_whose_cpu_he_shares)
{
	struct cadre_ticket first;
	struct cadre_result result;
	struct cadre_view view;
	bool has_said = false;

	START(ONE_WORKER);
	cr_assert_eq(cadre_layout_open(troupe.scene.pool, true, &view, NULL), 0);
	first = occupy_worker();
	for (uint32_t n = 0; n < 63; n++)
		submit(ASK(TROUPE_HOLD, 1));
	has_said_where(&view);

	/* One that is interrupted sleeps without having asked. */
	for (int wait = 0; wait < 100 && !has_said; wait++) {
		cr_assert_eq(cadre_await(troupe.client, first, cadre_in_ms(1), &result),
			     -ETIMEDOUT);
		has_said = has_said_where(&view);
	}
	cr_assert(has_said);
	open_gate(1);
	cadre_layout_close(&view);
}

/* Others wait for it by where it is. */
Test(client, a_worker_that_has_no_end_of_jobs_says_where_it_is)
{
	struct cadre_ticket last = { 0 };
	struct cadre_result result;
	struct cadre_view view;

	START(ONE_WORKER);
	cr_assert_eq(cadre_layout_open(troupe.scene.pool, true, &view, NULL), 0);
	occupy_worker();
	for (uint32_t n = 0; n < 40; n++)
		last = submit(ASK(TROUPE_HOLD, 1));
	submit(ASK(TROUPE_HOLD, 2));
	atomic_store(&view.worker_bells[0].cpu, 0);
	open_gate(1);
	result = await(last);
	release(&result);

	cr_assert_neq(atomic_load(&view.worker_bells[0].cpu), 0);
	open_gate(2);
	cadre_layout_close(&view);
}

Test(client, a_ticket_is_stale_once_its_result_was_released)
{
	struct cadre_result result, other;
	struct cadre_ticket ticket;

	START(ONE_WORKER, .window_slots = 1);
	ticket = submit(ASK(TROUPE_LOG, 1));
	result = await(ticket);
	release(&result);

	/* Twice: with its slot vacant, and with another job in its slot. */
	for (int round = 0; round < 2; round++) {
		cr_assert_eq(cadre_try_take(troupe.client, ticket, &other), -ESTALE);
		cr_assert_eq(cadre_await(troupe.client, ticket, GENEROUS, &other),
			     -ESTALE);
		cr_assert_eq(cadre_await_any(troupe.client, &ticket, 1, GENEROUS, &other),
			     -ESTALE);
		cr_assert_eq(cadre_cancel(troupe.client, ticket), -ESTALE);
		cr_assert_eq(cadre_release(troupe.client, &result), -ESTALE);
		if (round == 0)
			submit(ASK(TROUPE_LOG, 2));
	}
}

Test(client, a_ticket_that_was_never_given_out_is_stale)
{
	const struct cadre_ticket invented[] = { { 0 }, { 1 }, { 65535 }, { UINT64_MAX } };
	struct cadre_result result;

	START(ONE_WORKER);
	for (size_t i = 0; i < sizeof(invented) / sizeof(invented[0]); i++) {
		cr_assert_eq(cadre_try_take(troupe.client, invented[i], &result), -ESTALE);
		cr_assert_eq(cadre_await(troupe.client, invented[i], 0, &result), -ESTALE);
		cr_assert_eq(cadre_cancel(troupe.client, invented[i]), -ESTALE);
	}
}

Test(client, a_second_taker_is_told_that_the_ticket_is_busy)
{
	struct cadre_result result, other;
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	ticket = submit(ASK(TROUPE_LOG, 1));
	result = await(ticket);
	cr_assert_eq(cadre_try_take(troupe.client, ticket, &other), -EBUSY);
	cr_assert_eq(cadre_await(troupe.client, ticket, GENEROUS, &other), -EBUSY);
	release(&result);
}

Test(client, an_operation_is_found_by_its_name)
{
	START(ONE_WORKER);
	cr_assert_eq(cadre_client_operation(troupe.client, "hold"), TROUPE_HOLD);
	cr_assert_eq(cadre_client_operation(troupe.client, "hol"), -ENOENT);
	cr_assert_eq(cadre_client_operation(troupe.client, ""), -ENOENT);
}

Test(client, a_request_that_cannot_be_is_refused_and_takes_no_slot)
{
	const struct cadre_request wrong[] = {
		{ .operation = 0 },
		{ .operation = -1 },
		{ .operation = CADRE_OPERATION_ID_MAX + 1 },
		{ .operation = TROUPE_ECHO, .length = 1 },
		{ .operation = TROUPE_ECHO, .retries = 16 },
		{ .operation = TROUPE_ECHO, .flags = 1u << 7 },
		{ .operation = TROUPE_ECHO, .deadline_ns = -1 },
	};
	const struct cadre_request detached = { .operation = TROUPE_ECHO,
						.flags = CADRE_DETACHED };
	struct cadre_result result;

	START(ONE_WORKER, .window_slots = 1);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(try_submit(wrong[i]), -EINVAL, "request %zu", i);
	cr_assert_eq(cadre_try_submit(troupe.client,
				      &(struct cadre_request){ .operation = 1 }, NULL),
		     -EINVAL, "nobody could take its result");
	cr_assert_eq(cadre_call(troupe.client, &detached, &result), -EINVAL);
	call_ok(ASK(TROUPE_LOG, 1));
}

/* ---- callbacks ---- */

static unsigned calls;
static uint32_t last_number;

static void note(const struct cadre_result *result, void *context)
{
	calls++;
	last_number = number_in(result);
	cr_assert_eq(context, &troupe);
}

static void submit_noted(enum troupe_operation operation, uint32_t number)
{
	const struct cadre_request request = ASK(operation, number, .ended = note,
						 .context = &troupe);

	cr_assert_eq(cadre_try_submit(troupe.client, &request, NULL), 0);
}

Test(client, dispatch_calls_back_for_what_has_ended_and_for_nothing_else)
{
	START(ONE_WORKER);
	cr_assert_eq(cadre_client_dispatch(troupe.client, 0), 0);
	submit_noted(TROUPE_HOLD, 1);
	cr_assert_eq(cadre_client_dispatch(troupe.client, 0), 0);
	cr_assert_eq(calls, 0);

	open_gate(1);
	cr_assert(eventually(cadre_client_dispatch(troupe.client, 0) == 1));
	cr_assert_eq(calls, 1);
	cr_assert_eq(last_number, 1);
	cr_assert_eq(cadre_client_dispatch(troupe.client, 0), 0);
}

Test(client, dispatch_calls_back_at_most_as_often_as_it_was_told)
{
	START(ONE_WORKER);
	for (uint32_t i = 0; i < 5; i++)
		submit_noted(TROUPE_LOG, i);
	call_ok(ASK(TROUPE_LOG, 5));

	cr_assert_eq(cadre_client_dispatch(troupe.client, 2), 2);
	cr_assert_eq(cadre_client_dispatch(troupe.client, 2), 2);
	cr_assert_eq(cadre_client_dispatch(troupe.client, 2), 1);
	cr_assert_eq(calls, 5);
}

Test(client, await_dispatch_waits_for_the_next_end_and_only_while_there_will_be_one)
{
	START(ONE_WORKER);
	cr_assert_eq(cadre_client_await_dispatch(troupe.client, GENEROUS), 0);

	submit_noted(TROUPE_HOLD, 1);
	cr_assert_eq(cadre_client_await_dispatch(troupe.client, cadre_in_ms(5)),
		     -ETIMEDOUT);
	open_gate(1);
	cr_assert_eq(cadre_client_await_dispatch(troupe.client, GENEROUS), 1);
	cr_assert_eq(calls, 1);
	cr_assert_eq(cadre_client_await_dispatch(troupe.client, GENEROUS), 0);
}

Test(client, a_job_with_a_callback_is_not_taken_by_its_ticket_but_can_be_cancelled)
{
	const struct cadre_request request = ASK(TROUPE_HOLD, 1, .ended = note,
						 .context = &troupe);
	struct cadre_ticket first, second;
	struct cadre_result result;

	START(ONE_WORKER);
	first = occupy_worker();
	cr_assert_eq(cadre_try_submit(troupe.client, &request, &second), 0);
	cr_assert_eq(cadre_try_take(troupe.client, second, &result), -EBUSY);
	open_gate(1);
	expect(first, CADRE_OK);
	cr_assert_eq(cadre_client_await_dispatch(troupe.client, GENEROUS), 1);
	cr_assert_eq(calls, 1);
	cr_assert_eq(cadre_cancel(troupe.client, second), -ESTALE);
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, timeout_ms) == 1;
}

Test(client, the_descriptor_is_readable_exactly_while_something_waits_for_dispatch)
{
	int fd;

	START(ONE_WORKER);
	fd = cadre_client_fd(troupe.client);
	cr_assert_geq(fd, 0);
	cr_assert_eq(cadre_client_fd(troupe.client), fd);
	submit_noted(TROUPE_HOLD, 1);
	submit_noted(TROUPE_HOLD, 2);
	cr_assert_not(is_readable(fd, 20));

	for (uint32_t height = 1; height <= 2; height++) {
		open_gate(height);
		cr_assert(is_readable(fd, TROUPE_PATIENCE_MS));
		cr_assert_eq(cadre_client_dispatch(troupe.client, 0), 1);
		cr_assert_eq(last_number, height);
		cr_assert_not(is_readable(fd, 0));
	}

	/* Dispatched in part it stays readable. */
	submit_noted(TROUPE_LOG, 3);
	submit_noted(TROUPE_LOG, 4);
	call_ok(ASK(TROUPE_LOG, 5));
	cr_assert(eventually(cadre_client_dispatch(troupe.client, 1) == 1));
	cr_assert(is_readable(fd, TROUPE_PATIENCE_MS));
	cr_assert_eq(cadre_client_dispatch(troupe.client, 0), 1);
}

/* A chain of jobs: each callback submits the next. */
#define CHAINS 64
#define LINKS 50

static uint32_t links[CHAINS];

static void submit_link(uint32_t *link);

static void follow(const struct cadre_result *result, void *context)
{
	uint32_t *const link = context;

	cr_assert_eq(number_in(result), *link);
	calls++;
	if (++*link < LINKS)
		submit_link(link);
}

static void submit_link(uint32_t *link)
{
	const struct cadre_request request = ASK(TROUPE_LOG, *link, .ended = follow,
						 .context = link);

	cr_assert_eq(cadre_try_submit(troupe.client, &request, NULL), 0);
}

Test(client, a_poll_loop_serves_jobs_whose_callbacks_submit_more)
{
	int fd;

	START(.workers_min = 2, .workers_max = 2, .window_slots = 2 * CHAINS);
	fd = cadre_client_fd(troupe.client);
	for (int i = 0; i < CHAINS; i++)
		submit_link(&links[i]);
	while (calls < CHAINS * LINKS) {
		cr_assert(is_readable(fd, TROUPE_PATIENCE_MS), "after %u calls", calls);
		cr_assert_geq(cadre_client_dispatch(troupe.client, 7), 0);
	}
	cr_assert_eq(calls, CHAINS * LINKS);
	cr_assert_eq(troupe.board->logged, CHAINS * LINKS);
}

Test(client, callbacks_that_submit_more_need_no_descriptor)
{
	START(ONE_WORKER);
	for (int i = 0; i < CHAINS; i++)
		submit_link(&links[i]);
	while (calls < CHAINS * LINKS)
		cr_assert_gt(cadre_client_await_dispatch(troupe.client, GENEROUS), 0);
	cr_assert_eq(cadre_client_await_dispatch(troupe.client, GENEROUS), 0);
	cr_assert_eq(calls, CHAINS * LINKS);
}

/* ---- batches ---- */

Test(client, a_batch_is_accepted_in_order_as_far_as_the_window_has_room)
{
	enum { WINDOW = 8, WANTED = 12 };
	struct cadre_request requests[WANTED];
	struct cadre_ticket tickets[WANTED];
	uint32_t numbers[WANTED];

	START(ONE_WORKER, .window_slots = WINDOW);
	for (uint32_t i = 0; i < WANTED; i++) {
		numbers[i] = i == 0 ? 1 : i;
		requests[i] = (struct cadre_request){
			.operation = i == 0 ? TROUPE_HOLD : TROUPE_LOG,
			.data = &numbers[i],
			.length = sizeof(numbers[i]),
		};
	}
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests, WANTED, tickets),
		     WINDOW);
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests + WINDOW,
					    WANTED - WINDOW, tickets + WINDOW),
		     -EAGAIN);
	open_gate(1);
	for (uint32_t i = 0; i < WINDOW; i++) {
		const struct cadre_result result = await(tickets[i]);

		cr_assert_eq(number_in(&result), numbers[i]);
		release(&result);
	}
	for (uint32_t i = 1; i < WINDOW; i++)
		cr_assert_eq(troupe.board->log[i - 1], i);
}

Test(client, a_batch_ends_before_the_first_request_that_is_wrong)
{
	const struct cadre_request requests[] = { ASK(TROUPE_LOG, 1), ASK(TROUPE_LOG, 2),
						  ASK(0, 3), ASK(TROUPE_LOG, 4) };
	struct cadre_ticket tickets[4];

	START(ONE_WORKER);
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests, 4, tickets), 2);
	expect(tickets[0], CADRE_OK);
	expect(tickets[1], CADRE_OK);
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests + 2, 2, tickets),
		     -EINVAL);
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests, 0, tickets), 0);
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests, 2, NULL), -EINVAL);
	cr_assert_eq(troupe.board->logged, 2);
}

/* ---- deadlines ---- */

Test(client, a_pending_job_past_its_deadline_ends_timed_out_and_never_runs)
{
	struct cadre_ticket first, late;
	struct cadre_result result;

	START(ONE_WORKER);
	first = occupy_worker();
	late = submit(ASK(TROUPE_LOG, 1, .deadline_ns = cadre_in_ms(20)));
	result = await(late);
	cr_assert_eq(result.outcome, CADRE_TIMED_OUT);
	cr_assert_eq(result.worker, -1);
	cr_assert_not(strlen(result.sentence) == 0);
	release(&result);

	open_gate(1);
	expect(first, CADRE_OK);
	call_ok(ASK(TROUPE_LOG, 2));
	cr_assert_eq(troupe.board->logged, 1);
}

Test(client, a_deadline_holds_for_a_job_that_nobody_awaits)
{
	const int64_t deadline_ns = cadre_in_ms(20);
	const struct cadre_request detached = ASK(TROUPE_LOG, 1, .flags = CADRE_DETACHED,
						  .deadline_ns = deadline_ns);
	struct cadre_ticket first;

	START(ONE_WORKER);
	first = occupy_worker();
	cr_assert_eq(cadre_try_submit(troupe.client, &detached, NULL), 0);
	submit(ASK(TROUPE_LOG, 2, .deadline_ns = deadline_ns));
	cr_assert(eventually(troupe_look(troupe.scene.pool).queue_length == 0));

	open_gate(1);
	expect(first, CADRE_OK);
	call_ok(ASK(TROUPE_LOG, 3));
	cr_assert_eq(troupe.board->logged, 1);
}

Test(client, a_deadline_that_has_passed_already_is_no_reason_to_run)
{
	START(ONE_WORKER);
	expect(submit(ASK(TROUPE_LOG, 1, .deadline_ns = 1)), CADRE_TIMED_OUT);
	cr_assert_eq(troupe.board->logged, 0);
}

Test(client, a_running_job_past_its_deadline_is_answered_at_once_while_its_handler_goes_on)
{
	struct cadre_ticket late;

	START(ONE_WORKER, .window_slots = 1, .grace_ns = INT64_C(60000000000));
	late = submit(ASK(TROUPE_HOLD, 1, .deadline_ns = cadre_in_ms(50)));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	expect(late, CADRE_TIMED_OUT);
	cr_assert_eq(atomic_load(&troupe.board->waiting), 1);

	/* Its handler is told, and its slot comes back when that is through. */
	cr_assert(eventually(atomic_load(&troupe.board->cancels) == 1));
	cr_assert_eq(try_submit(ASK(TROUPE_LOG, 1)), -EAGAIN);
	open_gate(1);
	call_ok(ASK(TROUPE_LOG, 2));
	cr_assert_eq(jobs_late(), 1);
}

Test(client, a_worker_that_is_past_the_grace_of_its_job_is_killed_and_replaced)
{
	pid_t pid;

	START(ONE_WORKER, .grace_ns = 50000000);
	pid = ask_who().pid;
	expect(submit(ASK(TROUPE_HOLD, 1, .deadline_ns = cadre_in_ms(20))),
	       CADRE_TIMED_OUT);
	cr_assert(eventually(troupe_is_gone(pid)));
	cr_assert_neq(ask_who().pid, pid);
	cr_assert_eq(troupe_counter(CADRE_SCOPE_POOL,
				    troupe_look(troupe.scene.pool).counters,
				    "workers_killed"),
		     1);
	cr_assert_eq(troupe.board->passed, 0);
}

Test(client, a_handler_knows_the_deadline_of_its_job)
{
	const int64_t deadline_ns = GENEROUS;
	const struct cadre_request request = { .operation = TROUPE_WHO,
					       .deadline_ns = deadline_ns };
	struct cadre_result result;

	START(ONE_WORKER);
	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	cr_assert_eq(((const struct troupe_who *)result.data)->deadline_ns, deadline_ns);
	cr_assert_eq(((const struct troupe_who *)result.data)->operation, TROUPE_WHO);
	release(&result);
	cr_assert_eq(ask_who().deadline_ns, 0);
}

Test(client, a_call_is_bounded_by_the_deadline_of_its_request)
{
	const struct cadre_request request = ASK(TROUPE_LOG, 1,
						 .deadline_ns = cadre_in_ms(20));
	struct cadre_result result;

	START(ONE_WORKER, .window_slots = 2);
	occupy_worker();
	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	cr_assert_eq(result.outcome, CADRE_TIMED_OUT);
	/* Not released, so the window is full. */
	cr_assert_eq(cadre_call(troupe.client, &request, &result), -ETIMEDOUT);
	open_gate(1);
}

/* ---- a full window ---- */

Test(client, a_full_window_refuses_those_who_try_and_times_out_those_who_wait)
{
	const struct cadre_request request = ASK(TROUPE_LOG, 1);
	struct cadre_ticket first, ticket;

	START(ONE_WORKER, .window_slots = 1);
	first = occupy_worker();
	cr_assert_eq(try_submit(request), -EAGAIN);
	cr_assert_eq(cadre_submit(troupe.client, &request, cadre_in_ms(20), &ticket),
		     -ETIMEDOUT);
	cr_assert_eq(cadre_submit(troupe.client, &request, 0, &ticket), -ETIMEDOUT);
	open_gate(1);
	expect(first, CADRE_OK);
	call_ok(request);
	cr_assert_eq(troupe.board->logged, 1);
}

static uint64_t times_window_was_full(void)
{
	const struct cadre_client_snapshot look = troupe_look_client(troupe.scene.pool, 1);

	return troupe_counter(CADRE_SCOPE_CLIENT, look.counters, "window_full");
}

static void *open_gate_when_full(void *context)
{
	(void)context;
	if (eventually(times_window_was_full() > 0))
		open_gate(1);
	return NULL;
}

Test(client, submit_blocks_until_there_is_room)
{
	const struct cadre_request detached = ASK(TROUPE_HOLD, 1, .flags = CADRE_DETACHED);
	pthread_t opener;

	START(ONE_WORKER, .window_slots = 1);
	cr_assert_eq(cadre_try_submit(troupe.client, &detached, NULL), 0);
	pthread_create(&opener, NULL, open_gate_when_full, NULL);
	call_ok(ASK(TROUPE_LOG, 1));
	pthread_join(opener, NULL);
	cr_assert_eq(troupe.board->passed, 1);
}

Test(client, nothing_is_lost_or_doubled_when_the_window_is_full_again_and_again)
{
	enum { WINDOW = 4, JOBS = 2000 };
	struct cadre_ticket tickets[WINDOW] = { { 0 } };
	static unsigned seen[JOBS];
	uint32_t submitted = 0;
	size_t turn = 0, out = 0;

	START(.workers_min = 2, .workers_max = 2, .window_slots = WINDOW);
	while (submitted < JOBS || out > 0) {
		const struct cadre_request request = ASK(TROUPE_LOG, submitted);
		struct cadre_result result;
		int taken;

		if (submitted < JOBS) {
			const int r = cadre_try_submit(troupe.client, &request,
						       &tickets[turn]);

			if (r == 0) {
				submitted++;
				out++;
			} else {
				cr_assert_eq(r, -EAGAIN);
				cr_assert_eq(out, WINDOW);
			}
		}
		if (submitted < JOBS && out < WINDOW) {
			turn = (turn + 1) % WINDOW;
			while (tickets[turn].id != 0)
				turn = (turn + 1) % WINDOW;
			continue;
		}
		taken = cadre_await_any(troupe.client, tickets, WINDOW, GENEROUS, &result);
		cr_assert_geq(taken, 0);
		seen[number_in(&result)]++;
		release(&result);
		tickets[taken] = (struct cadre_ticket){ 0 };
		turn = (size_t)taken;
		out--;
	}
	for (int i = 0; i < JOBS; i++)
		cr_assert_eq(seen[i], 1, "job %d ended %u times", i, seen[i]);
	cr_assert_eq(troupe.board->logged, JOBS);
}

/* ---- cancelling ---- */

Test(client, a_pending_job_that_is_cancelled_never_runs)
{
	struct cadre_ticket first, second;

	START(ONE_WORKER);
	first = occupy_worker();
	second = submit(ASK(TROUPE_LOG, 1));
	cr_assert_eq(cadre_cancel(troupe.client, second), 0);
	cr_assert_eq(cadre_cancel(troupe.client, second), 0);
	expect(second, CADRE_CANCELLED);

	open_gate(1);
	expect(first, CADRE_OK);
	call_ok(ASK(TROUPE_LOG, 2));
	cr_assert_eq(troupe.board->logged, 1);
}

Test(client, a_running_job_that_is_cancelled_ends_at_once_and_its_late_reply_is_dropped)
{
	struct cadre_ticket ticket;

	START(ONE_WORKER, .window_slots = 1);
	ticket = occupy_worker();
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	expect(ticket, CADRE_CANCELLED);
	cr_assert_eq(atomic_load(&troupe.board->waiting), 1, "its handler goes on");
	cr_assert(eventually(atomic_load(&troupe.board->cancels) == 1));
	cr_assert_eq(cadre_cancel(troupe.client, ticket), -ESTALE);

	open_gate(1);
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(jobs_late(), 1);
}

Test(client, cancelling_a_job_that_has_ended_changes_nothing)
{
	struct cadre_ticket ticket;
	struct cadre_result result;

	START(ONE_WORKER);
	ticket = submit(ASK(TROUPE_LOG, 5));
	call_ok(ASK(TROUPE_LOG, 6));
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	result = await(ticket);
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	cr_assert_eq(number_in(&result), 5);
	release(&result);
}
