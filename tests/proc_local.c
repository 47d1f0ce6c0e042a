/*
 * proc_local.c - claims about local workers: services inside the owner's own process, which
 * workers of pools call back.
 *
 * The test is the owner. Its pools are embedded in the troupe's program, or served by it.
 */
#include "claims.h"

#include "control.h"
#include "layout.h"
#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct cadre_local *local;
static struct cadre_channel channel;

/* ---- the owner's service ---- */

enum { ADD = 1, OWNER = 2, PARK = 3, BUSY = 4, SIGN = 5 };

static pthread_t served_by;
static struct cadre_job *parked[8];
static unsigned parked_count, inits, finis;
static char start_text[32];
static _Atomic int busy, calls_back, on_cancel_returned;

static int init(const struct cadre_start *start, void **ret_state, struct cadre_diag *diag)
{
	(void)diag;
	if (start->length < sizeof(start_text) && start->length)
		memcpy(start_text, start->data, start->length);
	*ret_state = &inits;
	inits++;
	return 0;
}

static int fini(void *state)
{
	(void)state;
	finis++;
	return 0;
}

static void add(struct cadre_job *job, void *state)
{
	uint32_t number;
	size_t length;

	(void)state;
	memcpy(&number, cadre_job_data(job, &length), sizeof(number));
	number += 1000;
	served_by = pthread_self();
	cadre_job_reply(job, &number, sizeof(number));
}

static void tell_owner(struct cadre_job *job, void *state)
{
	const uint32_t pid = (uint32_t)getpid();

	(void)state;
	cadre_job_reply(job, &pid, sizeof(pid));
}

/* Is answered when the owner likes. */
static void park(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_defer(job);
	parked[parked_count++] = job;
}

static void hear_of_cancel(struct cadre_job *job, void *context)
{
	_Atomic bool *const cancelled = context;

	atomic_fetch_add(&calls_back, cadre_job_cancelled(job));
	atomic_store(cancelled, true);
}

/* Looks at nothing of its job, and is back only when somebody else tells it. */
static void be_busy(struct cadre_job *job, void *state)
{
	_Atomic bool cancelled = false;

	(void)state;
	atomic_store(&on_cancel_returned,
		     cadre_job_on_cancel(job, hear_of_cancel, &cancelled));
	atomic_store(&busy, 1);
	while (!atomic_load(&cancelled))
		child_pause_ms(1);
	atomic_store(&busy, 0);
	cadre_job_reply(job, "", 0);
}

/* Writes its pid into the descriptor that came with the job. */
static void sign(struct cadre_job *job, void *state)
{
	const pid_t pid = getpid();
	int fd;
	const int count = cadre_job_descriptors(job, &fd, 1);

	(void)state;
	if (count != 1 || write(fd, &pid, sizeof(pid)) != sizeof(pid)) {
		cadre_job_fail(job, 1, "%d descriptors", count);
		return;
	}
	close(fd);
	cadre_job_reply(job, "", 0);
}

static const struct cadre_operation operations[] = {
	{ ADD, "add", add },       { OWNER, "owner", tell_owner }, { PARK, "park", park },
	{ BUSY, "busy", be_busy }, { SIGN, "sign", sign },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "owner",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.init = init,
	.fini = fini,
};

static void forget(void)
{
	local = NULL;
	parked_count = inits = finis = 0;
	memset(start_text, 0, sizeof(start_text));
	busy = calls_back = 0;
	on_cancel_returned = 1;
	troupe_enter();
}

TestSuite(local, .init = forget, .fini = troupe_leave, .timeout = 60);

static int try_open(const struct cadre_local_options *options)
{
	return cadre_local_open(troupe.scene.pool, &service, options, &local,
				&troupe.diag);
}

static void open_local(uint32_t parallel)
{
	const struct cadre_local_options options = { .size = sizeof(options),
						     .parallel = parallel };

	cr_assert_eq(try_open(&options), 0, "%s", troupe.diag.text);
	cadre_local_channel(local, &channel);
}

/* A pool of local workers only. */
static void start_hub(void)
{
	const struct cadre_pool_options options = { .workers_max = CADRE_NONE };

	cr_assert_eq(troupe_start(&troupe, NULL, options), 0, "%s", troupe.diag.text);
}

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
static int be_called_back_by_own_workers(void *context)
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

	(void)context;
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
	return CHILD_FINE;
}

Test(local, workers_call_back_into_the_program_that_started_them)
{
	cr_assert_eq(child_run(be_called_back_by_own_workers, NULL), CHILD_FINE);
	cr_assert(eventually(troupe_living() == 0));
}

/* ---- a pool without workers ---- */

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

/* ---- places ---- */

Test(local, a_pool_has_as_many_places_as_it_was_told)
{
	struct cadre_local *two[2], *more;

	START(ONE_WORKER, .locals_max = 2);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(cadre_local_open(troupe.scene.pool, &service, NULL, &two[i],
					      NULL),
			     0);
	cr_assert_eq(cadre_local_open(troupe.scene.pool, &service, NULL, &more,
				      &troupe.diag),
		     -EUSERS);
	cr_assert_not_null(strstr(troupe.diag.text, "all 2 places"), "%s",
			   troupe.diag.text);
	cadre_local_close(two[0]);
	cr_assert_eq(cadre_local_open(troupe.scene.pool, &service, NULL, &more, NULL), 0);
	cadre_local_close(more);
	cadre_local_close(two[1]);
	cr_assert_eq(inits, 3);
	cr_assert_eq(finis, 3);
}

/* However late the supervisor's answer comes, or how little of it was read. */
Test(local, who_gives_up_opening_keeps_no_place)
{
	START(ONE_WORKER, .locals_max = 1);
	for (unsigned i = 0; i < 300; i++) {
		const struct cadre_local_options hasty = { .size = sizeof(hasty),
							   .timeout_ns = 1 + i * 2000 };

		if (try_open(&hasty) == 0)
			cadre_local_close(local);
	}
	cr_assert(eventually(try_open(NULL) == 0), "%s", troupe.diag.text);
	cadre_local_close(local);
}

/* It was told which place it has, and never looked. */
Test(local, a_goodbye_of_whichever_place_gives_back_that_of_its_nonce)
{
	struct cadre_control question = cadre_control_message(CADRE_CONTROL_GUEST);
	struct cadre_control goodbye = cadre_control_message(CADRE_CONTROL_GUEST_GOODBYE);
	struct cadre_control answer;

	START(ONE_WORKER, .locals_max = 2);
	open_local(1);
	question.nonce = goodbye.nonce = 4711;
	question.start_time = cadre_process_self().start_time;
	goodbye.place = CADRE_CONTROL_ANY_PLACE;
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &question, GENEROUS, &answer),
		     0);
	cr_assert_eq(answer.error, 0, "%s", answer.text);
	cr_assert_neq(answer.place, channel.worker);
	goodbye.nonce++;
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &goodbye, GENEROUS, &answer), 0);
	cr_assert_eq(answer.error, -ESTALE);
	goodbye.nonce--;
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &goodbye, GENEROUS, &answer), 0);
	cr_assert_eq(answer.error, 0, "%s", answer.text);
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &goodbye, GENEROUS, &answer), 0);
	cr_assert_eq(answer.error, -ESTALE, "it has been given back");
	cr_assert_eq(cadre_local_start_thread(local), 0);
	call_ok(ASK(ADD, 1, .to = &channel));
	cadre_local_close(local);
}

Test(local, what_cannot_be_opened_is_refused_with_a_sentence)
{
	const struct cadre_local_options wrong_size = { .size = 1 },
					 many = { .size = sizeof(many), .parallel = 5000 },
					 nothing = { .size = sizeof(nothing),
						     .start_length = 5 };
	struct cadre_service empty = service;

	START(ONE_WORKER, .locals_max = CADRE_NONE);
	cr_assert_eq(try_open(NULL), -EUSERS);
	cr_assert_eq(try_open(&wrong_size), -EINVAL);
	cr_assert_eq(try_open(&many), -EINVAL);
	cr_assert_eq(try_open(&nothing), -EINVAL);
	cr_assert_not_null(strstr(troupe.diag.text, "start_data"), "%s", troupe.diag.text);
	empty.operation_count = 0;
	cr_assert_eq(cadre_local_open(troupe.scene.pool, &empty, NULL, &local, NULL),
		     -EINVAL);
	cr_assert_eq(cadre_local_open("no-such-pool", &service, NULL, &local, NULL),
		     -ENOENT);
}

static int fail_to_begin(const struct cadre_start *start, void **ret_state,
			 struct cadre_diag *diag)
{
	(void)start;
	(void)ret_state;
	snprintf(diag->text, sizeof(diag->text), "not today");
	return -EBUSY;
}

Test(local, an_init_that_fails_gives_the_place_back)
{
	struct cadre_service failing = service;

	failing.init = fail_to_begin;
	START(ONE_WORKER, .locals_max = 1);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(cadre_local_open(troupe.scene.pool, &failing, NULL, &local,
					      &troupe.diag),
			     -ENOEXEC);
		cr_assert_not_null(strstr(troupe.diag.text, "not today"), "%s",
				   troupe.diag.text);
	}
	open_local(1);
	cadre_local_close(local);
}

Test(local, init_is_told_the_start_arguments_that_its_owner_gave)
{
	const struct cadre_local_options options = { .size = sizeof(options),
						     .start_data = "hello",
						     .start_length = 5 };

	START(ONE_WORKER, .start_data = "others", .start_length = 6);
	cr_assert_eq(try_open(&options), 0);
	cr_assert_str_eq(start_text, "hello");
	cadre_local_close(local);
}

/* ---- the end ---- */

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

static int own_and_die(void *context)
{
	struct cadre_channel *const shared = context;

	CHILD_CHECK(try_open(NULL) == 0);
	cadre_local_channel(local, shared);
	/* Takes one, and never replies. */
	while (cadre_local_step(local, 1) == 0)
		child_pause_ms(1);
	shared->spare = 1;
	child_idle();
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

/* ---- what is shown of them ---- */

static struct cadre_report *report;

static const struct cadre_pool_snapshot *read_report(void)
{
	if (!report)
		cr_assert_eq(cadre_report_open(troupe.scene.pool, &report, &troupe.diag),
			     0, "%s", troupe.diag.text);
	return cadre_report_read(report);
}

static struct cadre_guest_snapshot guest_after_read(uint32_t index)
{
	read_report();
	return *cadre_report_guest(report, index);
}

static void close_report(void)
{
	cadre_report_close(report);
	report = NULL;
}

/* The last event of that name, NULL for none; how many there are. */
static const struct cadre_event_info *last_event(const char *name, unsigned *ret_count)
{
	const struct cadre_event_info *found = NULL, *event;

	read_report();
	*ret_count = 0;
	for (uint32_t i = 0; (event = cadre_report_event(report, i)); i++) {
		if (strcmp(event->name, name) != 0)
			continue;
		found = event;
		++*ret_count;
	}
	return found;
}

Test(local, a_report_shows_whose_it_is_and_what_it_does)
{
	struct cadre_guest_snapshot guest;
	struct cadre_ticket ticket;
	char program[16];

	START(ONE_WORKER, .locals_max = 2);
	cr_assert_eq(read_report()->locals_max, 2);
	cr_assert_eq(guest_after_read(0).letter, '.');
	open_local(1);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	call_ok(ASK(ADD, 1, .to = &channel));
	cr_assert(eventually(guest_after_read(0).letter == '_'));
	guest = guest_after_read(0);
	cr_assert_eq(guest.pid, getpid());
	cr_assert_eq(guest.worker, channel.worker);
	prctl(PR_GET_NAME, program);
	cr_assert_str_eq(guest.program, program);
	cr_assert_eq(guest.taken, 1);
	cr_assert_eq(guest.jobs[CADRE_OK], 1);
	cr_assert_eq(guest.service.jobs, 1);
	cr_assert_eq(guest.opened, 1);
	cr_assert_gt(guest.uptime_ns, 0);
	cr_assert_eq(read_report()->locals, 1);
	cr_assert_eq(read_report()->workers_ready, 1, "it is no worker of the pool");

	ticket = submit(ASK(BUSY, 1, .to = &channel));
	cr_assert(eventually(guest_after_read(0).letter == 'W' &&
			     guest_after_read(0).running_ns > 0));
	guest = guest_after_read(0);
	cr_assert_eq(guest.operation, BUSY);
	cr_assert_eq(guest.workload, 1);
	cr_assert_geq(read_report()->oldest_running_ns, guest.running_ns);
	cr_assert_eq(read_report()->workers_busy, 0);
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	expect(ticket, CADRE_CANCELLED);
	cadre_local_close(local);

	guest = guest_after_read(0);
	cr_assert_eq(guest.letter, '.');
	cr_assert_eq(guest.pid, 0);
	cr_assert_eq(guest.workload, 0);
	cr_assert_eq(guest.jobs[CADRE_CANCELLED], 1);
	cr_assert_eq(guest.taken, 2);
	cr_assert_eq(guest.died, 0);
	cr_assert_eq(read_report()->locals, 0);
	cr_assert_eq(guest_after_read(1).opened, 0);
	cr_assert_null(cadre_report_guest(report, 2));
	close_report();
}

/* Operation 1 of the owner's service is ADD, that of the pool's is echo. */
Test(local, its_jobs_are_not_counted_under_the_pools_operations)
{
	const struct cadre_operation_snapshot *operation;

	START(ONE_WORKER);
	open_local(1);
	cr_assert_eq(cadre_local_start_thread(local), 0);
	for (uint32_t i = 0; i < 5; i++)
		call_ok(ASK(ADD, i, .to = &channel));
	call_ok(ASK(TROUPE_ECHO, 1));
	cadre_local_close(local);
	cr_assert(eventually(troupe_look(troupe.scene.pool).service.jobs == 1));
	read_report();
	cr_assert_eq(cadre_report_guest(report, 0)->service.jobs, 5);
	for (uint32_t i = 0; (operation = cadre_report_operation_at(report, i)); i++)
		cr_assert_eq(operation->jobs, operation->id == TROUPE_ECHO, "%s",
			     operation->name);
	close_report();
}

Test(local, that_it_was_opened_and_that_its_owner_died_are_events)
{
	struct cadre_channel *const shared = child_share(sizeof(*shared));
	const struct cadre_event_info *event;
	unsigned count;
	pid_t owner;

	START(ONE_WORKER, .locals_max = 1);
	owner = child_start(own_and_die, shared);
	cr_assert(eventually(cadre_channel_check(shared, NULL) == 0));
	channel = *shared;
	submit(ASK(PARK, 1, .to = &channel));
	cr_assert(eventually(*(volatile uint32_t *)&shared->spare == 1));
	event = last_event("local_opened", &count);
	cr_assert_eq(count, 1);
	cr_assert_eq(event->pid, owner);
	cr_assert_eq(event->place, 0);

	child_kill(owner);
	cr_assert(eventually(last_event("local_died", &count) != NULL));
	event = last_event("local_died", &count);
	cr_assert_eq(count, 1);
	cr_assert_eq(event->pid, owner);
	cr_assert_eq(event->place, 0);
	cr_assert_eq(event->incarnation, 1);
	cr_assert_eq(event->job_count, 1);
	cr_assert_eq(event->jobs[0].operation, PARK);
	cr_assert_not_null(strstr(event->sentence, "without closing it, while it had job"),
			   "%s", event->sentence);
	cr_assert(eventually(guest_after_read(0).pid == 0));
	cr_assert_eq(guest_after_read(0).died, 1);
	cr_assert_eq(guest_after_read(0).jobs[CADRE_LOST], 1);

	/* One that closes it does not die of it. */
	open_local(1);
	cadre_local_close(local);
	last_event("local_opened", &count);
	cr_assert_eq(count, 2);
	last_event("local_died", &count);
	cr_assert_eq(count, 1);
	close_report();
}

Test(local, an_owner_that_died_while_there_was_no_supervisor_is_told_of_once)
{
	struct cadre_channel *const shared = child_share(sizeof(*shared));
	unsigned count = 0;
	pid_t owner, supervisor;

	START(ONE_WORKER, .locals_max = 1);
	owner = child_start(own_and_die, shared);
	cr_assert(eventually(cadre_channel_check(shared, NULL) == 0));
	supervisor = troupe_supervisor(troupe.scene.pool);
	/* Stopped, it cannot see the death before its own. */
	kill(supervisor, SIGSTOP);
	child_kill(owner);
	kill(supervisor, SIGKILL);
	cr_assert(eventually(last_event("local_died", &count) != NULL));
	cr_assert(eventually(last_event("succession", &count) != NULL));
	cr_assert_eq(last_event("local_died", &count)->pid, owner);
	cr_assert_eq(count, 1);
	cr_assert_eq(guest_after_read(0).died, 1);
	close_report();
}
