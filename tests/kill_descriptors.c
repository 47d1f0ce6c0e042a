/*
 * kill_descriptors.c - claims about who has a descriptor when its giver or its taker dies, or
 * is stopped, in the middle of the hand-over: afterwards nobody, and the others go on.
 *
 *   G1  the client's courier has sent it, and not closed its own copy yet
 *   G2  the worker has received it, and its handler knows nothing of it yet
 */
#include "child.h"
#include "killpoint.h"
#include "pipes.h"
#include "stage.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(kill_descriptors, TROUPE);

enum {
	TAKE = 1, /* asks for the descriptors and closes them; replies with how many */
	TAKE_AND_DIE, /* arms G2 in its first attempt */
};

static void do_take(struct cadre_job *job, void *state)
{
	int fds[CADRE_DESCRIPTORS_MAX];
	const int count = cadre_job_descriptors(job, fds, CADRE_DESCRIPTORS_MAX);

	(void)state;
	for (int i = 0; i < count; i++)
		close(fds[i]);
	if (count < 0)
		cadre_job_fail(job, -count, "%s", strerror(-count));
	else
		cadre_job_reply(job, &(uint32_t){ (uint32_t)count }, sizeof(uint32_t));
}

static void do_take_and_die(struct cadre_job *job, void *state)
{
	if (cadre_job_attempt(job) == 0)
		cadre_kill_at("G2", 1, SIGKILL);
	do_take(job, state);
}

static const struct cadre_operation operations[] = {
	{ TAKE, "take", do_take },
	{ TAKE_AND_DIE, "take-and-die", do_take_and_die },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "taker",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
};

/* Starts the pool, and opens the pipe afterwards: nobody else shall inherit it. */
static struct line begin(void)
{
	START_SERVICE(&service, ONE_WORKER);
	return open_pipe();
}

/* A job whose descriptor is handed over all the way. */
static void expect_service(void)
{
	struct line line = open_pipe();

	call_ok(SEND(TAKE, 0, line));
	expect_end(&line);
}

Test(kill_descriptors, a_worker_killed_when_it_has_just_received_takes_them_along)
{
	struct line line = begin();
	struct cadre_result result = await(submit(SEND(TAKE_AND_DIE, 0, line)));
	int back;

	cr_assert_eq(result.outcome, CADRE_LOST, "%s", result.sentence);
	cr_assert_eq(cadre_take_back(troupe.client, &result, &back, 1), 0);
	release(&result);
	expect_end(&line);
	expect_service();
}

Test(kill_descriptors, its_second_attempt_is_told_so)
{
	struct line line = begin();
	struct cadre_result result = await(
		submit(SEND(TAKE_AND_DIE, 0, line, .flags = CADRE_IDEMPOTENT)));

	cr_assert_eq(result.outcome, CADRE_FAILED);
	cr_assert_eq(result.code, EOWNERDEAD);
	release(&result);
	expect_end(&line);
	expect_service();
}

static struct line line_of_victim;
static int signal_of_victim;

static int give_and_suffer(void *context)
{
	const struct cadre_request request = SEND(TAKE, 0, line_of_victim);
	struct cadre_result result;
	struct cadre_client *client;

	(void)context;
	close(line_of_victim.from);
	CHILD_CHECK(cadre_client_attach(troupe.scene.pool, NULL, &client, NULL) == 0);
	cadre_kill_at("G1", 1, signal_of_victim);
	CHILD_CHECK(cadre_call(client, &request, &result) == 0);
	/* The worker may be faster than the courier, whose thread passes the point. */
	child_idle();
}

static pid_t start_victim(int signal_number)
{
	pid_t victim;

	signal_of_victim = signal_number;
	line_of_victim = begin();
	victim = child_start(give_and_suffer, NULL);
	close(line_of_victim.to);
	return victim;
}

Test(kill_descriptors, a_client_killed_when_it_has_just_sent_leaves_them_to_the_worker)
{
	const pid_t victim = start_victim(SIGKILL);

	cr_assert_eq(child_end(victim), 128 + SIGKILL);
	expect_end(&line_of_victim);
	expect_service();
}

Test(kill_descriptors, a_client_stopped_there_holds_up_nobody)
{
	const pid_t victim = start_victim(SIGSTOP);

	cr_assert(eventually(child_is_stopped(victim)));
	expect_service();
	child_kill(victim);
	expect_end(&line_of_victim);
	expect_service();
}
