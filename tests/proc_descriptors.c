/*
 * proc_descriptors.c - claims about descriptors that travel with a job (SPEC section 8): one
 * owner at any time, whatever becomes of the job, its worker, its client or the supervisor.
 *
 * The descriptor is mostly the writing end of a pipe: what is read at the other end tells
 * who wrote, and the end of file tells that nobody has it any more.
 */
#include "pipes.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

TestSuite(descriptors, TROUPE);

/* ---- the service ---- */

enum {
	SIGN = 1, /* a number: writes it into each descriptor, closes them, replies with how many;
		   * or fails with what asking returned */
	IGNORE,     /* does not ask; replies with nothing */
	TWICE,      /* asks with no room, then with room, then again; tells what it got */
	HOLD,       /* a number: waits for the gate, then as SIGN */
	DIE_BEFORE, /* dies in its first attempt before it asks; later as SIGN */
	DIE_AFTER,  /* likewise, after it asked */
	STARVE,     /* as SIGN, but may open no descriptor meanwhile */
	WHO,        /* replies with its pid */
	TAKE,       /* asks for them and closes them */
};

static int sign(struct cadre_job *job, uint32_t number)
{
	int fds[CADRE_DESCRIPTORS_MAX];
	const int count = cadre_job_descriptors(job, fds, CADRE_DESCRIPTORS_MAX);

	for (int i = 0; i < count; i++) {
		if (write(fds[i], &number, sizeof(number)) != sizeof(number))
			return -errno;
		close(fds[i]);
	}
	return count;
}

static void end_with(struct cadre_job *job, int count)
{
	if (count < 0)
		cadre_job_fail(job, -count, "%s", strerror(-count));
	else
		cadre_job_reply(job, &(uint32_t){ (uint32_t)count }, sizeof(uint32_t));
}

static void do_sign(struct cadre_job *job, void *state)
{
	(void)state;
	end_with(job, sign(job, troupe_number_of(job)));
}

static void do_ignore(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_reply(job, NULL, 0);
}

static void do_twice(struct cadre_job *job, void *state)
{
	int fds[CADRE_DESCRIPTORS_MAX];
	struct troupe_board *const board = troupe.board;

	(void)state;
	atomic_store(&board->told[0], cadre_job_descriptors(job, fds, 0));
	atomic_store(&board->told[1], cadre_job_descriptors(job, fds, 2));
	for (int i = 0; i < 2; i++)
		close(fds[i]);
	atomic_store(&board->told[2], cadre_job_descriptors(job, fds, 2));
	end_with(job, 2);
}

static void do_hold(struct cadre_job *job, void *state)
{
	struct troupe_board *const board = troupe.board;

	(void)state;
	atomic_fetch_add(&board->waiting, 1);
	while (atomic_load(&board->gate) < troupe_number_of(job))
		child_pause_ms(1);
	atomic_fetch_sub(&board->waiting, 1);
	atomic_store(&board->told[0], sign(job, troupe_number_of(job)));
	atomic_fetch_add(&board->has_told, 1);
	end_with(job, atomic_load(&board->told[0]));
}

static void do_die_before(struct cadre_job *job, void *state)
{
	if (cadre_job_attempt(job) == 0)
		raise(SIGKILL);
	do_sign(job, state);
}

static void do_die_after(struct cadre_job *job, void *state)
{
	int fds[CADRE_DESCRIPTORS_MAX];

	if (cadre_job_attempt(job) == 0) {
		(void)cadre_job_descriptors(job, fds, CADRE_DESCRIPTORS_MAX);
		raise(SIGKILL);
	}
	do_sign(job, state);
}

static void do_starve(struct cadre_job *job, void *state)
{
	struct rlimit before, none;
	int r;

	(void)state;
	/* The connection is made first, by a job that is served before this one. */
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 1; /* poll(2) wants as much for one */
	setrlimit(RLIMIT_NOFILE, &none);
	r = sign(job, 1);
	setrlimit(RLIMIT_NOFILE, &before);
	atomic_store(&troupe.board->told[0], r);
	end_with(job, r);
}

static void do_who(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_reply(job, &(uint32_t){ (uint32_t)getpid() }, sizeof(uint32_t));
}

static void do_take(struct cadre_job *job, void *state)
{
	int fds[CADRE_DESCRIPTORS_MAX];
	const int count = cadre_job_descriptors(job, fds, CADRE_DESCRIPTORS_MAX);

	(void)state;
	for (int i = 0; i < count; i++)
		close(fds[i]);
	end_with(job, count);
}

static const struct cadre_operation operations[] = {
	{ SIGN, "sign", do_sign },
	{ IGNORE, "ignore", do_ignore },
	{ TWICE, "twice", do_twice },
	{ HOLD, "hold", do_hold },
	{ DIE_BEFORE, "die-before", do_die_before },
	{ DIE_AFTER, "die-after", do_die_after },
	{ STARVE, "starve", do_starve },
	{ WHO, "who", do_who },
	{ TAKE, "take", do_take },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "signatory",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
};

static const struct cadre_service threaded = {
	.size = sizeof(threaded),
	.name = "signatory on threads",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.flags = CADRE_SERVICE_THREADS,
};

#define START_SIGNATORY(...) START_SERVICE(&service, __VA_ARGS__)

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static uint32_t read_signature(const struct line *line)
{
	uint32_t number = 0;

	cr_assert_eq(read(line->from, &number, sizeof(number)), sizeof(number));
	return number;
}

static uint32_t ask_who_pid(void)
{
	const struct cadre_result result = await(submit(ASK(WHO, 0)));
	const uint32_t pid = number_in(&result);

	release(&result);
	return pid;
}

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

/* ---- deaths ---- */

Test(descriptors, a_worker_killed_before_it_asked_leaves_them_with_the_client)
{
	struct line line;
	struct cadre_result result;
	int back;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	result = await(submit(SEND(DIE_BEFORE, 1, line)));
	cr_assert_eq(result.outcome, CADRE_LOST);
	cr_assert_eq(cadre_take_back(troupe.client, &result, &back, 1), 1);
	release(&result);
	close(back);
	expect_end(&line);
}

Test(descriptors, a_worker_killed_after_it_asked_takes_them_along)
{
	struct line line;
	struct cadre_result result;
	int back;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	result = await(submit(SEND(DIE_AFTER, 1, line)));
	cr_assert_eq(result.outcome, CADRE_LOST);
	cr_assert_eq(cadre_take_back(troupe.client, &result, &back, 1), 0);
	release(&result);
	cr_assert_not(is_open(line.to));
	expect_end(&line);
}

Test(descriptors,
     an_idempotent_job_gets_them_in_its_second_attempt_if_the_first_did_not_ask)
{
	struct line line;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	call_ok(SEND(DIE_BEFORE, 5, line, .flags = CADRE_IDEMPOTENT));
	cr_assert_eq(read_signature(&line), 5);
	expect_end(&line);
}

Test(descriptors, an_idempotent_job_is_told_that_they_died_with_an_earlier_worker)
{
	struct line line;
	struct cadre_result result;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	result = await(submit(SEND(DIE_AFTER, 5, line, .flags = CADRE_IDEMPOTENT)));
	cr_assert_eq(result.outcome, CADRE_FAILED);
	cr_assert_eq(result.code, EOWNERDEAD);
	cr_assert_eq(result.attempt, 1);
	release(&result);
	expect_end(&line);
}

Test(descriptors, a_successor_of_the_supervisor_brings_worker_and_client_together_again)
{
	struct cadre_ticket ticket;
	struct line line;
	pid_t before;

	START_SIGNATORY(ONE_WORKER);
	before = troupe_supervisor(troupe.scene.pool);
	line = open_pipe();
	/* None has talked to the courier yet when the supervisor dies. */
	ticket = submit(SEND(HOLD, 1, line));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	kill(before, SIGKILL);
	open_gate(1);
	expect(ticket, CADRE_OK);
	cr_assert_eq(read_signature(&line), 1);
	expect_end(&line);
	cr_assert(eventually(troupe_supervisor(troupe.scene.pool) != before));
}

static struct line inherited;

/* Submits and never takes its result. */
static int send_and_idle(void *context)
{
	(void)context;
	close(inherited.from);
	return submit_and_idle(&SEND(HOLD, 1, inherited));
}

Test(descriptors, a_client_that_dies_takes_along_what_was_not_asked_for)
{
	pid_t client;

	START_SIGNATORY(ONE_WORKER);
	inherited = open_pipe();
	client = child_start(send_and_idle, NULL);
	close(inherited.to);
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	child_kill(client);
	expect_end(&inherited);
	open_gate(1);
	call_ok(ASK(IGNORE, 0));
}

Test(descriptors, a_client_that_is_stopped_holds_a_worker_up_for_seconds_and_not_for_ever)
{
	uint32_t worker;
	pid_t client;

	START_SIGNATORY(ONE_WORKER);
	worker = ask_who_pid();
	inherited = open_pipe();
	client = child_start(send_and_idle, NULL);
	close(inherited.to);
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	kill(client, SIGSTOP);
	open_gate(1);
	call_ok(ASK(IGNORE, 0));
	cr_assert_eq(ask_who_pid(), worker);
	child_kill(client);
	expect_end(&inherited);
}

static int64_t cpu_ns_of(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	cr_assert_eq(clock_getcpuclockid(pid, &clock), 0);
	cr_assert_eq(clock_gettime(clock, &used), 0);
	return used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
}

/* A connection that was handed on is not the supervisor's any more, whatever waits there. */
Test(descriptors, the_supervisor_sleeps_while_a_question_waits_for_a_stopped_client)
{
	pid_t client, supervisor;
	int64_t before_ns;

	START_SIGNATORY(ONE_WORKER);
	supervisor = troupe_supervisor(troupe.scene.pool);
	inherited = open_pipe();
	client = child_start(send_and_idle, NULL);
	close(inherited.to);
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	kill(client, SIGSTOP);
	open_gate(1);
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 0));
	child_pause_ms(100);
	before_ns = cpu_ns_of(supervisor);
	child_pause_ms(1000);
	cr_assert_lt(cpu_ns_of(supervisor) - before_ns, 300000000);
	child_kill(client);
	expect_end(&inherited);
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

/* ---- many ---- */

#ifdef __SANITIZE_ADDRESS__
enum { MANY = 10000, KILLS = 20 };
#else
enum { MANY = 100000, KILLS = 100 };
#endif

/* Many places, since who dies often is replaced late. */
enum { AT_ONCE = 64, WORKERS = 16 };

struct ends {
	uint32_t ok;
	uint32_t lost;
};

/* Nobody holds the other end: what is not the worker's is gone with the release. */
static void settle(struct cadre_ticket ticket, struct ends *ends)
{
	const struct cadre_result result = await(ticket);

	cr_assert(result.outcome == CADRE_OK || result.outcome == CADRE_LOST, "%s: %s",
		  cadre_outcome_name(result.outcome), result.sentence);
	ends->ok += result.outcome == CADRE_OK;
	ends->lost += result.outcome == CADRE_LOST;
	release(&result);
}

/* Half of the deaths come from outside, at any moment; */
static void kill_one(uint32_t turn)
{
	const pid_t victim = troupe_worker(troupe.scene.pool, turn % WORKERS);

	if (turn % 2 && victim > 0)
		kill(victim, SIGKILL);
}

/* the others just before or after the handler has asked. */
static int32_t operation_of(uint32_t number, uint32_t most, uint32_t kills)
{
	if (kills && number < most && number % (2 * most / kills) == 0)
		return number % (4 * most / kills) ? DIE_BEFORE : DIE_AFTER;
	return number % 2 ? IGNORE : TAKE;
}

/* Each job carries a fresh descriptor of one and the same pipe. */
static struct ends send_many(const struct line *line, uint32_t most, uint32_t kills)
{
	struct cadre_ticket tickets[AT_ONCE];
	struct ends ends = { 0, 0 };

	for (uint32_t i = 0; i < most + AT_ONCE; i++) {
		const int end = i < most ? fcntl(line->to, F_DUPFD_CLOEXEC, 3) : -1;
		const struct line sent = { -1, end };

		if (i >= AT_ONCE)
			settle(tickets[i % AT_ONCE], &ends);
		if (i < most)
			tickets[i % AT_ONCE] = submit(
				SEND(operation_of(i, most, kills), i, sent));
		if (kills && i % (most / kills) == most / kills / 2)
			kill_one(i / (most / kills));
	}
	return ends;
}

Test(descriptors, none_is_left_anywhere_after_many_jobs_and_kills)
{
	unsigned here, there;
	struct line line;
	pid_t supervisor;
	struct ends ends;

	START_SIGNATORY(.workers_min = WORKERS, .workers_max = WORKERS);
	supervisor = troupe_supervisor(troupe.scene.pool);
	line = open_pipe();
	ends = send_many(&line, 100, 0);
	here = scene_descriptors();
	there = scene_descriptors_of(supervisor);
	cr_assert_eq(ends.ok, 100);
	ends = send_many(&line, MANY, KILLS);
	cr_assert_eq(ends.ok + ends.lost, MANY);
	cr_assert_geq(ends.lost, KILLS / 2, "%u", ends.lost);
	/* Connections of the dead are closed as soon as the courier hears of it. */
	cr_assert(eventually(scene_descriptors() <= here), "%u now, %u before",
		  scene_descriptors(), here);
	cr_assert(eventually(scene_descriptors_of(supervisor) <= there),
		  "%u now, %u before", scene_descriptors_of(supervisor), there);
	close(line.to);
	expect_end(&line);
}
