/*
 * proc_cancellation.c - claims about cancellation in a real pool: SPEC.md section 6, rows 1,
 * 2 and 6. The flag that a handler reads, late results and pending jobs have their claims
 * in proc_client.c too; here are the callback, everything at once, and force.
 *
 * The handlers are busy or blocked for good: they come back because they were told, or not
 * at all. One worker, first in, first out, shows what must not have happened.
 */
#include "claims.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum operation {
	BUSY = 1, /* computes until it is told */
	BLOCKED,  /* sits in a system call until it is told */
	LATE,     /* waits for the flag, then asks to be told; asks again */
	QUITTER,  /* its callback ends the job, its handler never */
	HASTY,    /* asks to be told, and replies at once */
	TOO_LATE, /* replies, then asks to be told; and asks for nobody */
	LATER,    /* deferred: ended by the callback alone */
	HOLD,     /* a number: until the gate is that high, whoever cancels it */
	LOG,
	WHO,
};

/* What handlers and callbacks tell. */
static struct told {
	_Atomic uint32_t waiting;
	_Atomic uint32_t calls;       /* of callbacks */
	_Atomic uint32_t flagged;     /* callbacks that found the flag set */
	_Atomic uint32_t same_thread; /* callbacks that came in their handler's thread */
	_Atomic int32_t returned[4];
	_Atomic uint32_t back; /* handlers that came back */
} * told;

static void enter(void)
{
	troupe_enter();
	told = child_share(sizeof(*told));
}

TestSuite(cancellation, .init = enter, .fini = troupe_leave, .timeout = 60);

/* ---- handlers ---- */

struct errand {
	_Atomic bool done;
	int fd;
	pthread_t handler;
};

static void hear(struct cadre_job *job, void *context)
{
	struct errand *const errand = context;
	const uint64_t one = 1;

	atomic_fetch_add(&told->flagged, cadre_job_cancelled(job));
	atomic_fetch_add(&told->same_thread,
			 pthread_equal(errand->handler, pthread_self()) != 0);
	atomic_fetch_add(&told->calls, 1);
	if (errand->fd >= 0 && write(errand->fd, &one, sizeof(one)) < 0)
		return;
	atomic_store(&errand->done, true);
}

static struct errand errand_of_this_thread(void)
{
	return (struct errand){ .fd = -1, .handler = pthread_self() };
}

static void end_errand(struct cadre_job *job)
{
	cadre_job_reply(job, "", 0);
	atomic_fetch_sub(&told->waiting, 1);
	atomic_fetch_add(&told->back, 1);
}

static void be_busy(struct cadre_job *job, void *state)
{
	struct errand errand = errand_of_this_thread();

	(void)state;
	atomic_store(&told->returned[0], cadre_job_on_cancel(job, hear, &errand));
	atomic_fetch_add(&told->waiting, 1);
	while (!atomic_load(&errand.done)) {
	}
	end_errand(job);
}

static void be_blocked(struct cadre_job *job, void *state)
{
	struct errand errand = errand_of_this_thread();
	struct pollfd look = { .events = POLLIN };

	(void)state;
	look.fd = errand.fd = eventfd(0, EFD_CLOEXEC);
	cadre_job_on_cancel(job, hear, &errand);
	atomic_fetch_add(&told->waiting, 1);
	while (poll(&look, 1, -1) != 1) {
	}
	end_errand(job);
	close(errand.fd);
}

static void be_late(struct cadre_job *job, void *state)
{
	struct errand errand = errand_of_this_thread();

	(void)state;
	atomic_fetch_add(&told->waiting, 1);
	while (!cadre_job_cancelled(job))
		child_pause_ms(1);
	atomic_store(&told->returned[0], cadre_job_on_cancel(job, hear, &errand));
	atomic_store(&told->returned[1], cadre_job_on_cancel(job, hear, &errand));
	end_errand(job);
}

static void quit(struct cadre_job *job, void *context)
{
	_Atomic bool *const done = context;

	atomic_store(&told->returned[0], cadre_job_fail(job, 3, "I was told to go"));
	atomic_fetch_add(&told->calls, 1);
	atomic_store(done, true);
}

static void be_quitter(struct cadre_job *job, void *state)
{
	_Atomic bool done = false;

	(void)state;
	cadre_job_on_cancel(job, quit, &done);
	atomic_fetch_add(&told->waiting, 1);
	while (!atomic_load(&done))
		child_pause_ms(1);
	atomic_store(&told->returned[1], cadre_job_reply(job, "", 0));
	atomic_fetch_sub(&told->waiting, 1);
	atomic_fetch_add(&told->back, 1);
}

static void be_hasty(struct cadre_job *job, void *state)
{
	struct errand errand = errand_of_this_thread();

	(void)state;
	cadre_job_on_cancel(job, hear, &errand);
	cadre_job_reply(job, "", 0);
	atomic_fetch_add(&told->back, 1);
}

static void be_too_late(struct cadre_job *job, void *state)
{
	(void)state;
	atomic_store(&told->returned[0], cadre_job_on_cancel(job, NULL, NULL));
	cadre_job_reply(job, "", 0);
	atomic_store(&told->returned[1], cadre_job_on_cancel(job, hear, NULL));
}

static void quit_later(struct cadre_job *job, void *context)
{
	(void)context;
	atomic_fetch_add(&told->calls, 1);
	cadre_job_reply(job, "", 0);
}

static void defer(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_defer(job);
	atomic_fetch_add(&told->waiting, 1);
	cadre_job_on_cancel(job, quit_later, NULL);
}

/* As the troupe's own, which are static there. */
static void hold(struct cadre_job *job, void *state)
{
	const uint32_t number = troupe_number_of(job);

	(void)state;
	atomic_fetch_add(&told->waiting, 1);
	while (atomic_load(&troupe.board->gate) < number)
		child_pause_ms(1);
	atomic_fetch_sub(&told->waiting, 1);
	cadre_job_reply(job, &number, sizeof(number));
	atomic_fetch_add(&told->back, 1);
}

static void hold_or_log(struct cadre_job *job, void *state)
{
	const uint32_t number = troupe_number_of(job);

	(void)state;
	atomic_fetch_add(&troupe.board->logged, 1);
	cadre_job_reply(job, &number, sizeof(number));
}

static void tell_who(struct cadre_job *job, void *state)
{
	const int32_t pid = getpid();

	(void)state;
	cadre_job_reply(job, &pid, sizeof(pid));
}

static const struct cadre_operation operations[] = {
	{ BUSY, "busy", be_busy },    { BLOCKED, "blocked", be_blocked },
	{ LATE, "late", be_late },    { QUITTER, "quitter", be_quitter },
	{ HASTY, "hasty", be_hasty }, { TOO_LATE, "too-late", be_too_late },
	{ LATER, "later", defer },    { HOLD, "hold", hold },
	{ LOG, "log", hold_or_log },  { WHO, "who", tell_who },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "cancellation",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
};

#define BEGIN(...) START_SERVICE(&service, __VA_ARGS__)
#define PLAIN(operation_, ...) \
	((struct cadre_request){ .operation = (operation_), __VA_ARGS__ })

static struct cadre_ticket submit_and_await_begin(struct cadre_request request)
{
	const uint32_t before = atomic_load(&told->waiting);
	const struct cadre_ticket ticket = submit(request);

	cr_assert(eventually(atomic_load(&told->waiting) == before + 1));
	return ticket;
}

static void cancel(struct cadre_ticket ticket)
{
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
}

static pid_t pid_of_worker(void)
{
	const struct cadre_request request = PLAIN(WHO);
	struct cadre_result result;
	int32_t pid;

	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	memcpy(&pid, result.data, sizeof(pid));
	release(&result);
	return pid;
}

static uint64_t workers_killed(void)
{
	return troupe_counter(CADRE_SCOPE_POOL, troupe_look(troupe.scene.pool).counters,
			      "workers_killed");
}

/* The supervisor has looked through all jobs after that time. */
static bool has_ticked_since(int64_t time_ns)
{
	return cadre_now_ns() - troupe_look(troupe.scene.pool).heartbeat_age_ns > time_ns;
}

/* ---- the callback ---- */

Test(cancellation, a_handler_that_is_busy_on_the_only_thread_is_called_back_once)
{
	struct cadre_ticket ticket;

	BEGIN(ONE_WORKER);
	ticket = submit_and_await_begin(PLAIN(BUSY));
	cr_assert_eq(atomic_load(&told->returned[0]), 0);
	cancel(ticket);
	cancel(ticket);
	expect(ticket, CADRE_CANCELLED);

	/* It came back, for the next one runs. */
	call_ok(ASK(LOG, 1));
	cr_assert_eq(atomic_load(&told->back), 1);
	cr_assert_eq(atomic_load(&told->calls), 1);
	cr_assert_eq(atomic_load(&told->flagged), 1);
	cr_assert_eq(atomic_load(&told->same_thread), 0);
}

Test(cancellation, a_handler_that_is_blocked_in_a_system_call_is_called_back)
{
	struct cadre_ticket ticket;

	BEGIN(ONE_WORKER);
	for (uint32_t round = 1; round <= 3; round++) {
		ticket = submit_and_await_begin(PLAIN(BLOCKED));
		cancel(ticket);
		expect(ticket, CADRE_CANCELLED);
		cr_assert(eventually(atomic_load(&told->back) == round));
	}
	cr_assert_eq(atomic_load(&told->calls), 3);
}

Test(cancellation, each_of_many_handlers_on_threads_is_called_back_for_its_own_job_only)
{
	struct cadre_service threaded = service;
	struct cadre_ticket tickets[4];

	threaded.flags = CADRE_SERVICE_THREADS;
	START_SERVICE(&threaded, ONE_WORKER, .parallel = 4);
	for (uint32_t i = 0; i < 4; i++)
		tickets[i] = submit_and_await_begin(PLAIN(i % 2 ? BUSY : BLOCKED));
	for (uint32_t i = 0; i < 4; i++) {
		cancel(tickets[i]);
		expect(tickets[i], CADRE_CANCELLED);
		cr_assert(eventually(atomic_load(&told->back) == i + 1));
		cr_assert_eq(atomic_load(&told->calls), i + 1);
		cr_assert_eq(atomic_load(&told->waiting), 3 - i);
	}
}

Test(cancellation, who_asks_late_is_called_back_at_once_by_its_own_thread_and_only_once)
{
	struct cadre_ticket ticket;

	BEGIN(ONE_WORKER);
	ticket = submit_and_await_begin(PLAIN(LATE));
	cancel(ticket);
	expect(ticket, CADRE_CANCELLED);
	cr_assert(eventually(atomic_load(&told->back) == 1));
	cr_assert_eq(atomic_load(&told->returned[0]), 0);
	cr_assert_eq(atomic_load(&told->returned[1]), -EALREADY);
	cr_assert_eq(atomic_load(&told->calls), 1);
	cr_assert_eq(atomic_load(&told->same_thread), 1);
}

Test(cancellation, a_callback_may_end_the_job_itself)
{
	struct cadre_ticket ticket;

	BEGIN(ONE_WORKER);
	ticket = submit_and_await_begin(PLAIN(QUITTER));
	cancel(ticket);
	expect(ticket, CADRE_CANCELLED);
	call_ok(ASK(LOG, 1));
	cr_assert_eq(atomic_load(&told->calls), 1);
	cr_assert_eq(atomic_load(&told->returned[0]), 0);
	cr_assert_eq(atomic_load(&told->returned[1]), -EALREADY);
}

Test(cancellation, a_deferred_job_can_be_ended_by_its_callback_alone)
{
	struct cadre_ticket ticket;

	BEGIN(ONE_WORKER);
	for (uint32_t round = 1; round <= 3; round++) {
		ticket = submit(PLAIN(LATER));
		cr_assert(eventually(atomic_load(&told->waiting) == round));
		cancel(ticket);
		expect(ticket, CADRE_CANCELLED);
		call_ok(ASK(LOG, 1));
		cr_assert_eq(atomic_load(&told->calls), round);
	}
}

Test(cancellation, a_job_that_was_ended_is_never_called_back)
{
	struct cadre_ticket ticket;

	BEGIN(ONE_WORKER);
	for (int round = 0; round < 100; round++) {
		ticket = submit(PLAIN(HASTY));
		/* It may end before; then the handler was not told, or had asked in time. */
		cancel(ticket);
		{
			const struct cadre_result result = await(ticket);
			const uint32_t calls = atomic_load(&told->calls);

			if (result.outcome == CADRE_OK)
				cr_assert_eq(calls, atomic_load(&told->flagged));
			release(&result);
		}
		call_ok(ASK(LOG, 1));
	}
	cr_assert_eq(atomic_load(&told->calls), atomic_load(&told->flagged));
}

Test(cancellation, nobody_to_call_and_a_job_with_its_reply_are_refused)
{
	BEGIN(ONE_WORKER);
	call_ok(PLAIN(TOO_LATE));
	call_ok(ASK(LOG, 1));
	cr_assert_eq(atomic_load(&told->returned[0]), -EINVAL);
	cr_assert_eq(atomic_load(&told->returned[1]), -EALREADY);
}

Test(cancellation, a_handler_is_called_back_when_the_deadline_of_its_job_passes)
{
	struct cadre_ticket ticket;

	BEGIN(ONE_WORKER, .grace_ns = INT64_C(60000000000));
	ticket = submit(PLAIN(BLOCKED, .deadline_ns = cadre_in_ms(50)));
	expect(ticket, CADRE_TIMED_OUT);
	/* Who had not come to run it never does. */
	call_ok(ASK(LOG, 1));
	cr_assert_eq(atomic_load(&told->calls), atomic_load(&told->back));
}

Test(cancellation, a_handler_is_called_back_when_its_client_dies)
{
	pid_t child;

	BEGIN(ONE_WORKER);
	child = child_start(submit_and_idle, &PLAIN(BLOCKED));
	cr_assert(eventually(atomic_load(&told->waiting) == 1));
	child_kill(child);
	cr_assert(eventually(atomic_load(&told->back) == 1));
	cr_assert_eq(atomic_load(&told->calls), 1);
	call_ok(ASK(LOG, 1));
}

/* ---- the worker's room ---- */

Test(cancellation, the_room_of_a_worker_is_given_away_only_when_its_handler_is_back)
{
	struct cadre_ticket running, next;
	struct cadre_result result;

	BEGIN(ONE_WORKER);
	running = submit_and_await_begin(ASK(HOLD, 1));
	cancel(running);
	expect(running, CADRE_CANCELLED);

	/* The caller has its answer; the worker still has the job. */
	next = submit(ASK(LOG, 2));
	cr_assert_eq(cadre_await(troupe.client, next, cadre_in_ms(20), &result),
		     -ETIMEDOUT);
	cr_assert_eq(troupe_counter(CADRE_SCOPE_WORKER,
				    troupe_look_worker(troupe.scene.pool, 0).worker,
				    "workload"),
		     1);
	cr_assert_eq(atomic_load(&troupe.board->logged), 0);

	open_gate(1);
	expect(next, CADRE_OK);
	cr_assert_eq(atomic_load(&told->back), 1);
}

/* ---- everything at once ---- */

Test(cancellation, cancel_all_ends_what_runs_and_what_is_queued_of_one_client)
{
	struct cadre_ticket running, queued[5], theirs;
	struct cadre_client *other;
	const struct cadre_request request = ASK(LOG, 9);
	struct cadre_result result;

	BEGIN(ONE_WORKER);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &other, NULL), 0);
	running = submit_and_await_begin(ASK(HOLD, 1));
	for (int i = 0; i < 5; i++)
		queued[i] = submit(ASK(LOG, 1, .flags = i == 4 ? CADRE_DETACHED : 0));
	cr_assert_eq(cadre_try_submit(other, &request, &theirs), 0);

	cr_assert_eq(cadre_cancel_all(troupe.client), 6);
	cr_assert_eq(cadre_cancel_all(troupe.client), 0);
	expect(running, CADRE_CANCELLED);
	for (int i = 0; i < 4; i++)
		expect(queued[i], CADRE_CANCELLED);

	/* The other client's job is none of it, and the pool goes on. */
	open_gate(1);
	cr_assert_eq(cadre_await(other, theirs, GENEROUS, &result), 0);
	cr_assert_eq(result.outcome, CADRE_OK);
	cr_assert_eq(cadre_release(other, &result), 0);
	call_ok(ASK(LOG, 2));
	cr_assert_eq(atomic_load(&troupe.board->logged), 2);
	cadre_client_detach(other);
}

Test(cancellation, cancelling_a_pool_ends_the_jobs_of_all_clients_and_the_pool_goes_on)
{
	struct cadre_ticket running, queued, theirs;
	struct cadre_client *other;
	const struct cadre_request request = ASK(LOG, 9);
	struct cadre_result result;
	struct cadre_diag diag;

	BEGIN(ONE_WORKER);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &other, NULL), 0);
	running = submit_and_await_begin(PLAIN(BLOCKED));
	queued = submit(ASK(LOG, 1));
	cr_assert_eq(cadre_try_submit(other, &request, &theirs), 0);

	cr_assert_eq(cadre_cancel_pool(troupe.scene.pool, &diag), 3);
	expect(running, CADRE_CANCELLED);
	expect(queued, CADRE_CANCELLED);
	cr_assert_eq(cadre_await(other, theirs, GENEROUS, &result), 0);
	cr_assert_eq(result.outcome, CADRE_CANCELLED);
	cr_assert_eq(cadre_release(other, &result), 0);
	cr_assert(eventually(atomic_load(&told->back) == 1));
	cr_assert_eq(cadre_cancel_pool(troupe.scene.pool, &diag), 0);

	call_ok(ASK(LOG, 2));
	cr_assert_eq(atomic_load(&troupe.board->logged), 1);
	cr_assert_str_eq(troupe_look(troupe.scene.pool).state, "open");
	cadre_client_detach(other);
}

Test(cancellation, a_pool_that_is_not_there_cannot_be_cancelled)
{
	struct cadre_diag diag;

	cr_assert_eq(cadre_cancel_pool(troupe.scene.pool, &diag), -ECONNREFUSED);
	cr_assert_not_null(strstr(diag.text, troupe.scene.pool));
	cr_assert_eq(cadre_cancel_pool("no/name", &diag), -EINVAL);
}

/* ---- force ---- */

Test(cancellation, a_worker_that_is_not_back_after_the_grace_is_killed_and_replaced)
{
	struct cadre_ticket ticket;
	struct cadre_result result;
	pid_t pid;

	BEGIN(ONE_WORKER);
	pid = pid_of_worker();
	ticket = submit_and_await_begin(ASK(HOLD, 1));
	cr_assert_eq(cadre_cancel_forced(troupe.client, ticket, 30000000), 0);
	result = await(ticket);
	cr_assert_eq(result.outcome, CADRE_CANCELLED);

	cr_assert(eventually(troupe_is_gone(pid)));
	cr_assert_neq(pid_of_worker(), pid);
	cr_assert_eq(workers_killed(), 1);
	cr_assert_eq(atomic_load(&told->back), 0);
	/* What the caller was told still stands. */
	cr_assert_eq(result.outcome, CADRE_CANCELLED);
	release(&result);
}

Test(cancellation, a_worker_that_is_back_within_the_grace_lives_on)
{
	struct cadre_ticket ticket;
	pid_t pid;

	BEGIN(ONE_WORKER);
	pid = pid_of_worker();
	for (uint32_t round = 1; round <= 3; round++) {
		ticket = submit_and_await_begin(PLAIN(BLOCKED));
		cr_assert_eq(cadre_cancel_forced(troupe.client, ticket,
						 INT64_C(30000000000)),
			     0);
		expect(ticket, CADRE_CANCELLED);
		cr_assert(eventually(atomic_load(&told->back) == round));
	}
	cr_assert_eq(pid_of_worker(), pid);
	cr_assert_eq(workers_killed(), 0);
}

Test(cancellation, a_warrant_for_one_job_is_none_for_the_next_of_its_slot)
{
	const int64_t late_ns = cadre_in_ms(100);
	struct cadre_ticket ticket;
	struct cadre_result result;
	pid_t pid;

	BEGIN(ONE_WORKER, .window_slots = 1);
	pid = pid_of_worker();
	ticket = submit_and_await_begin(PLAIN(BLOCKED));
	cr_assert_eq(cadre_cancel_forced(troupe.client, ticket, 50000000), 0);
	expect(ticket, CADRE_CANCELLED);
	cr_assert(eventually(atomic_load(&told->back) == 1));

	/* The next one has the same slot, is cancelled without force, and outlasts the grace. */
	ticket = submit_and_await_begin(ASK(HOLD, 1));
	cancel(ticket);
	expect(ticket, CADRE_CANCELLED);
	cr_assert_eq(cadre_await(troupe.client, ticket, 0, &result), -ESTALE);
	cr_assert(eventually(has_ticked_since(late_ns)));
	open_gate(1);
	cr_assert_eq(pid_of_worker(), pid);
	cr_assert_eq(workers_killed(), 0);
}

Test(cancellation, force_ends_a_pending_job_and_kills_nobody)
{
	struct cadre_ticket running, pending;
	pid_t pid;

	BEGIN(ONE_WORKER);
	pid = pid_of_worker();
	running = submit_and_await_begin(ASK(HOLD, 1));
	pending = submit(ASK(LOG, 1));
	cr_assert_eq(cadre_cancel_forced(troupe.client, pending, 0), 0);
	expect(pending, CADRE_CANCELLED);
	open_gate(1);
	expect(running, CADRE_OK);
	cr_assert_eq(pid_of_worker(), pid);
	cr_assert_eq(atomic_load(&troupe.board->logged), 0);
}

Test(cancellation, force_may_follow_when_patience_is_over)
{
	struct cadre_ticket ticket;
	pid_t pid;

	BEGIN(ONE_WORKER);
	pid = pid_of_worker();
	ticket = submit_and_await_begin(ASK(HOLD, 1));
	cancel(ticket);
	cr_assert_eq(cadre_cancel_forced(troupe.client, ticket, 0), 0);
	cr_assert(eventually(troupe_is_gone(pid)));
	expect(ticket, CADRE_CANCELLED);
	cr_assert_eq(workers_killed(), 1);
}

static int force_and_die(void *context)
{
	const struct cadre_request request = ASK(HOLD, 1);
	struct cadre_client *client;
	struct cadre_ticket ticket;

	(void)context;
	CHILD_CHECK(cadre_client_attach(troupe.scene.pool, NULL, &client, NULL) == 0);
	CHILD_CHECK(cadre_try_submit(client, &request, &ticket) == 0);
	CHILD_CHECK(eventually(atomic_load(&told->waiting) == 1));
	CHILD_CHECK(cadre_cancel_forced(client, ticket, 100000000) == 0);
	kill(getpid(), SIGKILL);
	return CHILD_FAILED;
}

Test(cancellation, the_grace_is_kept_when_the_client_that_asked_has_died)
{
	pid_t pid;

	BEGIN(ONE_WORKER);
	pid = pid_of_worker();
	cr_assert_eq(child_run(force_and_die, NULL), 128 + SIGKILL);
	cr_assert(eventually(troupe_is_gone(pid)));
	cr_assert_neq(pid_of_worker(), pid);
	cr_assert_eq(workers_killed(), 1);
}

Test(cancellation, the_grace_is_kept_when_the_supervisor_dies)
{
	struct cadre_ticket ticket;
	pid_t pid, supervisor;

	BEGIN(ONE_WORKER);
	pid = pid_of_worker();
	supervisor = troupe_supervisor(troupe.scene.pool);
	ticket = submit_and_await_begin(ASK(HOLD, 1));
	child_stop(supervisor);
	cr_assert_eq(cadre_cancel_forced(troupe.client, ticket, 1000000), 0);
	expect(ticket, CADRE_CANCELLED);
	cr_assert_not(troupe_is_gone(pid));
	cr_assert_eq(kill(supervisor, SIGKILL), 0);
	cr_assert(eventually(troupe_is_gone(pid)));
	cr_assert_neq(pid_of_worker(), pid);
}

Test(cancellation, other_jobs_of_a_worker_that_was_killed_follow_the_ordinary_rules)
{
	struct cadre_service threaded = service;
	struct cadre_ticket hanging, plain, patient;

	threaded.flags = CADRE_SERVICE_THREADS;
	START_SERVICE(&threaded, ONE_WORKER, .parallel = 3);
	hanging = submit_and_await_begin(ASK(HOLD, 2));
	plain = submit_and_await_begin(ASK(HOLD, 1));
	patient = submit_and_await_begin(ASK(HOLD, 1, .flags = CADRE_IDEMPOTENT));
	cr_assert_eq(cadre_cancel_forced(troupe.client, hanging, 0), 0);
	expect(hanging, CADRE_CANCELLED);
	expect(plain, CADRE_LOST);
	open_gate(1);
	{
		const struct cadre_result result = await(patient);

		cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
		cr_assert_eq(result.attempt, 1);
		release(&result);
	}
}

Test(cancellation, force_refuses_a_negative_grace_and_a_ticket_that_was_released)
{
	struct cadre_ticket ticket;

	BEGIN(ONE_WORKER);
	ticket = submit(ASK(LOG, 1));
	cr_assert_eq(cadre_cancel_forced(troupe.client, ticket, -1), -EINVAL);
	expect(ticket, CADRE_OK);
	cr_assert_eq(cadre_cancel_forced(troupe.client, ticket, 0), -ESTALE);
}
