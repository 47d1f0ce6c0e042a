/*
 * proc_descriptors_deaths.c - claims about descriptors that travel with a job, when a worker,
 * the supervisor or the client dies or is stopped: they go with whoever owned them, and nobody
 * else has them.
 */
#include "signatory.h"

#include <stdio.h>
#include <time.h>

TestSuite(descriptors, TROUPE);

/* ---- workers ---- */

/* A job that is lost with its worker. How many descriptors came back: into ret_back. */
static int lose(int32_t operation, const struct line *line, int *ret_back)
{
	const struct cadre_result result = await(submit(SEND(operation, 1, *line)));
	int count;

	cr_assert_eq(result.outcome, CADRE_LOST);
	count = cadre_take_back(troupe.client, &result, ret_back, 1);
	release(&result);
	return count;
}

Test(descriptors, a_worker_killed_before_it_asked_leaves_them_with_the_client)
{
	struct line line;
	int back;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	cr_assert_eq(lose(DIE_BEFORE, &line, &back), 1);
	close(back);
	expect_end(&line);
}

Test(descriptors, a_worker_killed_after_it_asked_takes_them_along)
{
	struct line line;
	int back;

	START_SIGNATORY(ONE_WORKER);
	line = open_pipe();
	cr_assert_eq(lose(DIE_AFTER, &line, &back), 0);
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

/* ---- supervisors and clients ---- */

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

static uint32_t ask_who_pid(void)
{
	const struct cadre_result result = await(submit(ASK(WHO, 0)));
	const uint32_t pid = number_in(&result);

	release(&result);
	return pid;
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
	child_stop(client);
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
	child_stop(client);
	open_gate(1);
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 0));
	child_pause_ms(100);
	before_ns = cpu_ns_of(supervisor);
	child_pause_ms(1000);
	cr_assert_lt(cpu_ns_of(supervisor) - before_ns, 300000000);
	child_kill(client);
	expect_end(&inherited);
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

/* So that each has its connection, which it keeps. */
static void ask_each_worker(const struct line *line)
{
	for (uint32_t place = 0; place < WORKERS; place++) {
		const struct line sent = { -1, fcntl(line->to, F_DUPFD_CLOEXEC, 3) };
		struct cadre_request request = SEND(TAKE, place, sent);
		struct cadre_channel channel;

		cr_assert(eventually(
			cadre_channel_of_worker(troupe.client, place, &channel) == 0));
		request.to = &channel;
		call_ok(request);
	}
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
	ask_each_worker(&line);
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
