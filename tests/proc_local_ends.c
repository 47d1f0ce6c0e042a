/*
 * proc_local_ends.c - claims about the end of a local worker, and about the ends of its owner,
 * its pool and its supervisor.
 */
#include "locals.h"

#include <signal.h>

TestSuite(local, LOCALS);

Test(local, a_stopped_one_takes_no_more_and_finishes_what_it_has)
{
	struct cadre_ticket had, not_begun;
	struct cadre_result result;

	START(ONE_WORKER);
	open_local(1);
	had = submit(ASK(PARK, 1, .to = &channel));
	cr_assert_eq(cadre_local_step(local, 0), 1);
	not_begun = submit(ASK(ADD, 1, .to = &channel));
	cadre_local_stop(local);
	cadre_local_stop(local);
	cr_assert_eq(cadre_local_step(local, 0), 0, "it still owes a reply");
	cadre_job_reply(parked[0], "late", 4);
	expect(had, CADRE_OK);
	cr_assert_eq(cadre_local_step(local, 0), -ESHUTDOWN);
	cadre_local_close(local);
	result = await(not_begun);
	cr_assert_eq(result.outcome, CADRE_LOST);
	cr_assert_eq(result.code, CADRE_STATUS_NOT_BEGUN);
	release(&result);
	cr_assert_eq(try_submit(ASK(ADD, 1, .to = &channel)), -EHOSTDOWN);
	cadre_local_close(NULL);
}

static void *reply_soon(void *job)
{
	child_pause_ms(20);
	cadre_job_reply(job, "soon", 4);
	return NULL;
}

Test(local, close_waits_for_the_replies_that_are_owed)
{
	struct cadre_ticket ticket;
	pthread_t thread;

	START(ONE_WORKER);
	open_local(1);
	ticket = submit(ASK(PARK, 1, .to = &channel));
	cr_assert_eq(cadre_local_step(local, 0), 1);
	pthread_create(&thread, NULL, reply_soon, parked[0]);
	cadre_local_close(local);
	cr_assert_eq(finis, 1);
	pthread_join(thread, NULL);
	expect(ticket, CADRE_OK);
}

Test(local, when_its_owner_dies_what_it_had_is_lost_and_the_place_is_free_again)
{
	struct cadre_channel *const shared = child_share(sizeof(*shared));
	struct cadre_ticket had, not_begun;
	struct cadre_result result;
	pid_t owner;

	START(ONE_WORKER, .locals_max = 1);
	owner = child_start(own_and_die, shared);
	cr_assert(eventually(cadre_channel_check(shared, NULL) == 0));
	channel = *shared;
	had = submit(ASK(PARK, 1, .to = &channel));
	cr_assert(eventually(*(volatile uint32_t *)&shared->spare == 1));
	not_begun = submit(ASK(PARK, 2, .to = &channel));
	child_kill(owner);
	result = await(had);
	cr_assert_eq(result.outcome, CADRE_LOST);
	cr_assert_eq(result.worker_pid, owner);
	release(&result);
	result = await(not_begun);
	cr_assert_eq(result.code, CADRE_STATUS_NOT_BEGUN);
	release(&result);
	open_local(1);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	call_ok(ASK(ADD, 1, .to = &channel));
	cadre_local_close(local);
}

Test(local, it_lives_on_when_the_supervisor_is_replaced)
{
	pid_t supervisor;

	START(ONE_WORKER);
	open_local(1);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	call_ok(ASK(ADD, 1, .to = &channel));
	supervisor = troupe_supervisor(troupe.scene.pool);
	kill(supervisor, SIGKILL);
	cr_assert(eventually(troupe_supervisor(troupe.scene.pool) != supervisor &&
			     troupe_look(troupe.scene.pool).alive));
	for (uint32_t i = 0; i < 20; i++)
		call_ok(ASK(ADD, i, .to = &channel));
	cadre_local_close(local);
	cr_assert(eventually(try_submit(ASK(ADD, 1, .to = &channel)) == -EHOSTDOWN));
	open_local(1);
	cadre_local_close(local);
}

Test(local, a_job_past_its_deadline_ends_for_its_caller_and_nobody_is_killed)
{
	struct cadre_ticket ticket;

	START(ONE_WORKER, .grace_ns = 1000000);
	open_local(2);
	ticket = submit(ASK(PARK, 1, .to = &channel, .deadline_ns = cadre_in_ms(20)));
	cr_assert_eq(cadre_local_step(local, 0), 1);
	expect(ticket, CADRE_TIMED_OUT);
	/* The supervisor looks at deadline and grace, and lets the owner be. */
	cr_assert(eventually(cadre_job_cancelled(parked[0])));
	call_ok(ASK(TROUPE_ECHO, 1));
	cadre_job_reply(parked[0], "late", 4);
	ticket = submit(ASK(ADD, 1, .to = &channel));
	cr_assert_eq(cadre_local_step(local, 0), 1);
	expect(ticket, CADRE_OK);
	cadre_local_close(local);
}

Test(local, when_its_pool_ends_it_is_told)
{
	START(ONE_WORKER);
	open_local(1);
	cr_assert(troupe_close(&troupe));
	cr_assert_eq(cadre_local_step(local, 0), -ESHUTDOWN);
	cadre_local_close(local);
	cr_assert_eq(finis, 0, "a pool that was terminated gives no time to end in order");
}

static int use_copy(void *context)
{
	(void)context;
	CHILD_CHECK(cadre_local_step(local, 0) == -ECHILD);
	CHILD_CHECK(cadre_local_fd(local) == -ECHILD);
	CHILD_CHECK(cadre_local_start_thread(local) == -ECHILD);
	cadre_local_close(local);
	return CHILD_FINE;
}

Test(local, a_forked_child_can_do_nothing_with_its_copy_but_free_it)
{
	START(ONE_WORKER);
	open_local(1);
	cr_assert_eq(child_run(use_copy, NULL), CHILD_FINE);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	call_ok(ASK(ADD, 1, .to = &channel));
	cadre_local_close(local);
}
