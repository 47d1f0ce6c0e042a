/*
 * proc_local.c - claims about local workers: services inside the owner's own process, driven by
 * its loop or a thread, which workers of pools call back. More of them: proc_local_places.c (who
 * may open one), proc_local_ends.c, proc_local_report.c (what is shown of them).
 */
#include "locals.h"

#include "layout.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

TestSuite(local, LOCALS);

/* ---- driven by the owner ---- */

Test(local, the_owner_serves_on_its_own_loop_and_is_never_blocked)
{
	struct cadre_ticket tickets[3];
	struct pollfd look;

	START(ONE_WORKER);
	open_local(1);
	look = (struct pollfd){ .fd = cadre_local_fd(local), .events = POLLIN };
	cr_assert_geq(look.fd, 0);
	/* The first look: nothing to do, and nobody waits for it. */
	cr_assert_eq(cadre_local_step(local, 0), 0);
	for (uint32_t i = 0; i < 3; i++)
		tickets[i] = submit(ASK(ADD, i, .to = &channel));
	cr_assert_eq(cadre_try_take(troupe.client, tickets[0], &(struct cadre_result){ 0 }),
		     -EAGAIN, "nobody but the owner runs them");
	for (int ran = 0; ran < 3;) {
		const int stepped = (poll(&look, 1, 10000), cadre_local_step(local, 0));

		cr_assert_geq(stepped, 0);
		ran += stepped;
	}
	for (uint32_t i = 0; i < 3; i++) {
		const struct cadre_result result = await(tickets[i]);

		cr_assert_eq(number_in(&result), 1000 + i);
		cr_assert_eq(result.worker_pid, getpid());
		release(&result);
	}
	cr_assert(pthread_equal(served_by, pthread_self()));
	cadre_local_close(local);
	cr_assert_eq(finis, 1);
}

Test(local, a_step_runs_no_more_than_it_is_told_and_the_fd_tells_of_the_rest)
{
	struct cadre_ticket tickets[4];
	struct pollfd look;

	START(ONE_WORKER);
	open_local(1);
	look = (struct pollfd){ .fd = cadre_local_fd(local), .events = POLLIN };
	for (uint32_t i = 0; i < 4; i++)
		tickets[i] = submit(ASK(ADD, i, .to = &channel));
	for (int step = 0; step < 4; step++) {
		cr_assert_eq(poll(&look, 1, 10000), 1);
		cr_assert_eq(cadre_local_step(local, 1), 1);
	}
	for (uint32_t i = 0; i < 4; i++)
		expect(tickets[i], CADRE_OK);
	cadre_local_close(local);
}

Test(local, handlers_may_reply_later_and_it_has_as_much_room_as_it_was_given)
{
	struct cadre_ticket tickets[3];

	START(ONE_WORKER);
	open_local(2);
	for (uint32_t i = 0; i < 3; i++)
		tickets[i] = submit(ASK(PARK, i, .to = &channel));
	cr_assert_eq(cadre_local_step(local, 0), 2, "there is room for two");
	cr_assert_eq(cadre_local_step(local, 0), 0);
	cadre_job_reply(parked[0], "one", 3);
	expect(tickets[0], CADRE_OK);
	cr_assert_eq(cadre_local_step(local, 0), 1);
	cadre_job_reply(parked[1], "two", 3);
	cadre_job_fail(parked[2], 5, "three");
	expect(tickets[1], CADRE_OK);
	expect(tickets[2], CADRE_FAILED);
	cadre_local_close(local);
}

Test(local, a_thread_of_its_own_serves_while_the_owner_does_something_else)
{
	START(ONE_WORKER);
	open_local(1);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	cr_assert_eq(cadre_local_start_thread(local), -EALREADY);
	for (uint32_t i = 0; i < 500; i++) {
		const struct cadre_result result = await(
			submit(ASK(ADD, i, .to = &channel)));

		cr_assert_eq(number_in(&result), 1000 + i);
		release(&result);
	}
	cr_assert_not(pthread_equal(served_by, pthread_self()));
	cadre_local_close(local);
	cr_assert_eq(finis, 1);
}

/* The supervisor brings it together with a courier as it does for its own workers. */
Test(local, it_gets_the_descriptors_of_a_job_that_is_aimed_at_it)
{
	START(ONE_WORKER);
	open_local(1);
	/* The second goes over the line that the first opened. */
	for (int turn = 0; turn < 2; turn++) {
		struct cadre_ticket ticket;
		pid_t signature = 0;
		int ends[2];

		cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
		ticket = submit(ASK(SIGN, 0, .to = &channel, .descriptors = &ends[1],
				    .descriptor_count = 1));
		cr_assert_eq(cadre_local_step(local, 0), 1);
		expect(ticket, CADRE_OK);
		cr_assert_eq(read(ends[0], &signature, sizeof(signature)),
			     sizeof(signature));
		cr_assert_eq(signature, getpid());
		cr_assert_eq(read(ends[0], &signature, 1), 0, "somebody keeps it open");
		close(ends[0]);
	}
	cadre_local_close(local);
}

/* How often somebody told its watcher; it is not there for cancelled jobs that it finds by
 * itself, now and then. */
static uint32_t notices_of_local(void)
{
	struct cadre_view view;
	uint32_t notices;

	cr_assert_eq(cadre_layout_open(troupe.scene.pool, false, &view, NULL), 0);
	notices = cadre_bell_remember_notices(&view.worker_bells[channel.worker]);
	cadre_layout_close(&view);
	return notices;
}

static void cancel_a_busy_one(void)
{
	struct cadre_ticket ticket = submit(ASK(BUSY, 1, .to = &channel));
	uint32_t before;

	cr_assert(eventually(atomic_load(&busy) == 1));
	cr_assert_eq(atomic_load(&on_cancel_returned), 0);
	before = notices_of_local();
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	cr_assert_eq(notices_of_local(), before + 1);
	expect(ticket, CADRE_CANCELLED);
}

Test(local, a_handler_that_is_busy_on_its_only_thread_is_called_back)
{
	START(ONE_WORKER);
	open_local(1);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	for (int i = 1; i <= 3; i++) {
		cancel_a_busy_one();
		/* It came back, for the next one runs. */
		call_ok(ASK(ADD, 1, .to = &channel));
		cr_assert_eq(atomic_load(&calls_back), i);
	}
	cadre_local_close(local);
}

static void *run_until(void *ends)
{
	while (!atomic_load((_Atomic bool *)ends)) {
		cadre_local_step(local, 1);
		child_pause_ms(1);
	}
	return NULL;
}

Test(local, so_is_one_in_the_owners_own_loop_and_past_its_deadline)
{
	_Atomic bool ends = false;
	struct cadre_ticket ticket;
	pthread_t loop;

	START(ONE_WORKER);
	open_local(1);
	ticket = submit(ASK(BUSY, 1, .to = &channel, .deadline_ns = cadre_in_ms(200)));
	pthread_create(&loop, NULL, run_until, &ends);
	expect(ticket, CADRE_TIMED_OUT);
	atomic_store(&ends, true);
	pthread_join(loop, NULL);
	cr_assert_eq(atomic_load(&calls_back) + (atomic_load(&on_cancel_returned) > 0), 1,
		     "called back, or never begun");
	cadre_local_close(local);
}

Test(local, it_is_no_part_of_the_crew)
{
	START(.workers_min = 0, .workers_max = 1);
	open_local(1);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	/* It looks, and yet the pool starts a worker for what is not aimed at it. */
	for (uint32_t i = 0; i < 20; i++)
		call_ok(ASK(ADD, i, .to = &channel));
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(troupe.board->inits, 1);
	cr_assert_eq(troupe_look(troupe.scene.pool).workers_ready, 1);
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0,
		     "nor does the pool wait for it");
	cadre_local_close(local);
}

/* ---- workers call back ---- */

struct back {
	struct cadre_channel to;
	uint32_t number;
};

static struct back back;

/* In init, from the start arguments; in jobs, from there too. */
static int learn(const struct cadre_start *start, void **ret_state,
		 struct cadre_diag *diag)
{
	struct cadre_client *client;
	int r;

	if (start->length != sizeof(back.to)) {
		snprintf(diag->text, sizeof(diag->text), "no channel");
		return -EINVAL;
	}
	memcpy(&back.to, start->data, sizeof(back.to));
	r = cadre_channel_open(&back.to, &client, diag);
	*ret_state = client;
	return r;
}

static int unlearn(void *state)
{
	cadre_channel_close(state);
	return 0;
}

static void call_back(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);
	const struct cadre_request request = {
		.operation = ADD, .data = data, .length = length, .to = &back.to
	};
	struct cadre_result result;
	const int r = cadre_job_call(job, state, &request, &result);

	if (r < 0) {
		cadre_job_fail(job, -r, "%s", strerror(-r));
		return;
	}
	if (result.outcome == CADRE_OK)
		cadre_job_reply(job, result.data, result.length);
	else
		cadre_job_fail(job, result.code, "%s", result.sentence);
	cadre_release(state, &result);
}

static const struct cadre_operation callers[] = { { 1, "call-back", call_back } };
static const struct cadre_service calling_service = {
	.size = sizeof(calling_service),
	.name = "caller",
	.operations = callers,
	.operation_count = 1,
	.init = learn,
	.fini = unlearn,
};

/* A program as one would write it: a hub, a local worker in it, and then the pool whose
 * workers get its channel in their start arguments. */
static void be_called_back_by_own_workers(void)
{
	const struct cadre_pool_options hub_options = { .size = sizeof(hub_options),
							.workers_max = CADRE_NONE };
	struct cadre_pool_options options = { .size = sizeof(options),
					      .workers_min = 2,
					      .workers_max = 2,
					      .start_data = &channel,
					      .start_length = sizeof(channel) };
	struct cadre_pool *hub, *pool;
	struct cadre_diag diag = { "" };

	CHILD_CHECK(cadre_pool_start(NULL, &hub_options, &hub, &diag) == 0);
	CHILD_CHECK(cadre_local_open(cadre_pool_name(hub), &service, NULL, &local,
				     &diag) == 0);
	cadre_local_channel(local, &channel);
	CHILD_CHECK(cadre_pool_start(&calling_service, &options, &pool, &diag) == 0);
	for (uint32_t i = 0; i < 50; i++) {
		const struct cadre_request request = { .operation = 1,
						       .data = &i,
						       .length = sizeof(i) };
		struct cadre_result result = { 0 };
		struct cadre_ticket ticket;
		uint32_t number;
		int r;

		CHILD_CHECK(cadre_try_submit(cadre_pool_client(pool), &request,
					     &ticket) == 0);
		/* On the owner's one thread: it drives, and looks for what it has asked. */
		while ((r = cadre_try_take(cadre_pool_client(pool), ticket, &result)) ==
		       -EAGAIN)
			CHILD_CHECK(cadre_local_step(local, 0) >= 0);
		CHILD_CHECK(r == 0 && result.outcome == CADRE_OK);
		memcpy(&number, result.data, sizeof(number));
		CHILD_CHECK(number == 1000 + i);
		cadre_release(cadre_pool_client(pool), &result);
	}
	cadre_pool_close(pool);
	cadre_local_close(local);
	cadre_pool_close(hub);
}

Test(local, workers_call_back_into_the_program_that_started_them)
{
	in_child_tell(be_called_back_by_own_workers);
	cr_assert(eventually(troupe_living() == 0));
}

/* ---- a pool without workers ---- */

/* A pool of local workers only. */
static void start_hub(void)
{
	const struct cadre_pool_options options = { .workers_max = CADRE_NONE };

	cr_assert_eq(troupe_start(&troupe, NULL, options), 0, "%s", troupe.diag.text);
}

Test(local, a_pool_without_workers_serves_nothing_but_its_local_ones)
{
	start_hub();
	cr_assert_eq(try_submit(ASK(ADD, 1)), -EHOSTDOWN);
	open_local(1);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	cr_assert_eq(try_submit(ASK(ADD, 1)), -EHOSTDOWN, "it is not for anyone");
	call_ok(ASK(ADD, 1, .to = &channel));
	cadre_local_close(local);
}
