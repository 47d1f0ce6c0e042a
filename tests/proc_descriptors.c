/*
 * proc_descriptors.c - claims about descriptors that travel with a job (SPEC section 8): one
 * owner at any time, whatever becomes of the job. When somebody dies: proc_descriptors_deaths.c.
 *
 * The descriptor is mostly the writing end of a pipe: what is read at the other end tells
 * who wrote, and the end of file tells that nobody has it any more.
 */
#include "signatory.h"

#include <pthread.h>
#include <stdlib.h>

TestSuite(descriptors, TROUPE);

/* ---- from hand to hand ---- */

Test(descriptors, a_handler_gets_what_was_sent_and_the_sender_has_it_no_more)
{
	struct line line;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	call_ok(SEND(SIGN, 4711, line));
	cr_assert_not(is_open(line.to));
	cr_assert_eq(read_signature(&line), 4711);
	expect_end(&line);
}

Test(descriptors, several_arrive_in_the_order_in_which_they_were_sent)
{
	struct line lines[CADRE_DESCRIPTORS_MAX];
	int fds[CADRE_DESCRIPTORS_MAX];
	struct cadre_result result;

	START_SIGNATORY(ONE_WORKER);
	for (int i = 0; i < CADRE_DESCRIPTORS_MAX; i++) {
		lines[i] = open_pipe();
		fds[i] = lines[i].to;
	}
	result = await(submit(ASK(SIGN, 7, .descriptors = fds,
				  .descriptor_count = CADRE_DESCRIPTORS_MAX)));
	cr_assert_eq(number_in(&result), CADRE_DESCRIPTORS_MAX);
	release(&result);
	for (int i = 0; i < CADRE_DESCRIPTORS_MAX; i++) {
		cr_assert_eq(read_signature(&lines[i]), 7);
		expect_end(&lines[i]);
	}
}

Test(descriptors, a_long_request_and_a_draft_carry_them_too)
{
	struct line line;
	char *const bytes = calloc(1, 5000);
	const struct cadre_request request = { .operation = SIGN,
					       .data = bytes,
					       .length = 5000,
					       .descriptors = &line.to,
					       .descriptor_count = 1 };
	struct cadre_ticket ticket;
	struct cadre_draft draft;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	call_ok(request);
	cr_assert_eq(read_signature(&line), 0);
	expect_end(&line);

	line = open_pipe();
	cr_assert_eq(cadre_try_draft(troupe.client, 5000, &draft), 0);
	cr_assert_eq(cadre_draft_submit(troupe.client, &draft, &request, &ticket), 0);
	expect(ticket, CADRE_OK);
	cr_assert_eq(read_signature(&line), 0);
	expect_end(&line);
	free(bytes);
}

Test(descriptors, asking_without_enough_room_keeps_them_and_asking_again_finds_none)
{
	struct line lines[2];
	int fds[2];

	START_SIGNATORY(ONE_WORKER);
	lines[0] = open_pipe();
	lines[1] = open_pipe();
	fds[0] = lines[0].to;
	fds[1] = lines[1].to;
	call_ok(ASK(TWICE, 0, .descriptors = fds, .descriptor_count = 2));
	cr_assert_eq(atomic_load(&troupe.board->told[0]), -EINVAL);
	cr_assert_eq(atomic_load(&troupe.board->told[1]), 2);
	cr_assert_eq(atomic_load(&troupe.board->told[2]), 0);
	expect_end(&lines[0]);
	expect_end(&lines[1]);
}

Test(descriptors, a_job_without_any_has_none)
{
	START_SIGNATORY(ONE_WORKER);
	call_ok(ASK(SIGN, 1));
}

static const struct cadre_service threaded = {
	.size = sizeof(threaded),
	.name = "signatory on threads",
	.operations = signatory_operations,
	.operation_count = sizeof(signatory_operations) / sizeof(signatory_operations[0]),
	.flags = CADRE_SERVICE_THREADS,
};

Test(descriptors, handlers_on_several_threads_get_each_their_own)
{
	enum { JOBS = 200 };
	struct line lines[JOBS];
	struct cadre_ticket tickets[JOBS];

	START_SERVICE(&threaded, ONE_WORKER, .parallel = 8);
	for (uint32_t i = 0; i < JOBS; i++) {
		lines[i] = open_pipe();
		tickets[i] = submit(SEND(SIGN, i, lines[i]));
	}
	for (uint32_t i = 0; i < JOBS; i++) {
		expect(tickets[i], CADRE_OK);
		cr_assert_eq(read_signature(&lines[i]), i);
		expect_end(&lines[i]);
	}
}

/* ---- what nobody asked for ---- */

Test(descriptors, what_no_handler_asked_for_is_closed_when_the_result_is_released)
{
	struct line line;
	struct cadre_result result;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	result = await(submit(SEND(IGNORE, 0, line)));
	cr_assert_eq(result.outcome, CADRE_OK);
	cr_assert(is_open(line.to));
	release(&result);
	cr_assert_not(is_open(line.to));
	expect_end(&line);
}

Test(descriptors, what_no_handler_asked_for_can_be_taken_back)
{
	struct line line;
	struct cadre_result result;
	int back = -1;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	result = await(submit(SEND(IGNORE, 0, line)));
	cr_assert_eq(cadre_take_back(troupe.client, &result, &back, 0), -EINVAL);
	cr_assert_eq(cadre_take_back(troupe.client, &result, &back, 1), 1);
	cr_assert_eq(cadre_take_back(troupe.client, &result, &back, 1), 0);
	cr_assert_eq(back, line.to);
	release(&result);
	cr_assert(is_open(line.to));
	close(line.to);
	expect_end(&line);
}

Test(descriptors, those_of_a_job_that_was_cancelled_before_it_ran_come_back)
{
	struct line held;
	struct line line;
	struct cadre_ticket holding, ticket;
	struct cadre_result result;
	int back;

	START_SIGNATORY(ONE_WORKER);
	held = open_pipe();
	line = open_pipe();
	holding = submit(SEND(HOLD, 1, held));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	ticket = submit(SEND(SIGN, 1, line));
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	result = await(ticket);
	cr_assert_eq(result.outcome, CADRE_CANCELLED);
	cr_assert_eq(cadre_take_back(troupe.client, &result, &back, 1), 1);
	release(&result);
	close(back);
	expect_end(&line);
	open_gate(1);
	expect(holding, CADRE_OK);
	cr_assert_eq(read_signature(&held), 1);
	expect_end(&held);
}

Test(descriptors, a_job_that_was_cancelled_while_it_ran_does_not_get_them_any_more)
{
	struct line line;
	struct cadre_ticket ticket;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	ticket = submit(SEND(HOLD, 1, line));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	expect(ticket, CADRE_CANCELLED);
	expect_end(&line);
	open_gate(1);
	cr_assert(eventually(atomic_load(&troupe.board->has_told) == 1));
	cr_assert_eq(atomic_load(&troupe.board->told[0]), -ECANCELED);
}

Test(descriptors, a_submission_that_is_refused_leaves_them_with_the_caller)
{
	int many[CADRE_DESCRIPTORS_MAX + 1];
	struct cadre_ticket holding;
	struct cadre_request request;
	struct line line;
	int closed;

	START_SIGNATORY(ONE_WORKER, .window_slots = 1);
	line = open_pipe();
	closed = 900;
	request = SEND(SIGN, 1, line);
	holding = submit(ASK(HOLD, 1));
	cr_assert_eq(try_submit(request), -EAGAIN);
	open_gate(1);
	expect(holding, CADRE_OK);

	request.flags = CADRE_DETACHED;
	cr_assert_eq(try_submit(request), -EINVAL);
	request.flags = 0;
	request.descriptors = NULL;
	cr_assert_eq(try_submit(request), -EINVAL);
	for (int i = 0; i <= CADRE_DESCRIPTORS_MAX; i++)
		many[i] = line.to;
	request.descriptors = many;
	request.descriptor_count = CADRE_DESCRIPTORS_MAX + 1;
	cr_assert_eq(try_submit(request), -EINVAL);
	request.descriptors = &closed;
	request.descriptor_count = 1;
	cr_assert_not(is_open(closed));
	cr_assert_eq(try_submit(request), -EBADF);

	cr_assert_eq(troupe_stop(&troupe), 0);
	request.descriptors = &line.to;
	cr_assert(eventually(try_submit(request) == -ESHUTDOWN));
	cr_assert(is_open(line.to));
	close(line.to);
	close(line.from);
}

Test(descriptors, a_submission_that_finds_no_room_for_a_thread_does_not_wait_for_it)
{
	pthread_attr_t vast;
	struct cadre_request request;
	struct cadre_ticket ticket;
	struct line line;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	request = SEND(SIGN, 1, line);
	pthread_attr_init(&vast);
	cr_assert_eq(pthread_attr_setstacksize(&vast, SIZE_MAX / 4096 * 1024), 0);
	cr_assert_eq(pthread_setattr_default_np(&vast), 0);
	cr_assert_eq(cadre_submit(troupe.client, &request, CADRE_FOREVER, &ticket),
		     -ENOMEM);
	cr_assert(is_open(line.to));
	pthread_attr_setstacksize(&vast, 1 << 20);
	pthread_setattr_default_np(&vast);
	pthread_attr_destroy(&vast);
	call_ok(request);
	cr_assert_eq(read_signature(&line), 1);
	expect_end(&line);
}

Test(descriptors, a_handler_is_told_when_the_submitter_closed_what_was_not_his_any_more)
{
	struct line line;
	struct cadre_ticket ticket;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	/* The courier has its connections: nothing is opened any more that gets the number. */
	call_ok(SEND(SIGN, 1, line));
	close(line.from);
	line = open_pipe();
	ticket = submit(SEND(HOLD, 1, line));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	close(line.to);
	open_gate(1);
	expect(ticket, CADRE_FAILED);
	cr_assert_eq(atomic_load(&troupe.board->told[0]), -EBADF);
	close(line.from);
}

Test(descriptors, a_worker_that_may_open_no_more_says_so_and_nothing_leaks)
{
	struct line line;
	struct cadre_result result;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	call_ok(SEND(SIGN, 1, line));
	cr_assert_eq(read_signature(&line), 1);
	expect_end(&line);
	line = open_pipe();
	result = await(submit(SEND(STARVE, 1, line)));
	cr_assert_eq(result.outcome, CADRE_FAILED);
	cr_assert_eq(atomic_load(&troupe.board->told[0]), -EMFILE);
	release(&result);
	expect_end(&line);
}
