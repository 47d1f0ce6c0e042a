/*
 * kill_descriptors.c - claims about who has a descriptor when its giver or its taker dies, or
 * is stopped, in the middle of the hand-over: afterwards nobody, and the others go on.
 *
 *   G1  the client's courier has sent it, and not closed its own copy yet
 *   G2  the worker has received it, and its handler knows nothing of it yet
 */
#include "claims.h"
#include "killpoint.h"
#include "stage.h"

#include <fcntl.h>
#include <poll.h>
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
static void begin(int ends[2])
{
	START_SERVICE(&service, ONE_WORKER);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
}

/* Nobody has the writing end any more. */
static void expect_end(int from)
{
	struct pollfd look = { .fd = from, .events = POLLIN };
	char byte;

	cr_assert_eq(poll(&look, 1, TROUPE_PATIENCE_MS), 1, "somebody keeps it open");
	cr_assert_eq(read(from, &byte, 1), 0);
	close(from);
}

/* A job whose descriptor is handed over all the way. */
static void expect_service(void)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	call_ok(ASK(TAKE, 0, .descriptors = &ends[1], .descriptor_count = 1));
	expect_end(ends[0]);
}

Test(kill_descriptors, a_worker_killed_when_it_has_just_received_takes_them_along)
{
	int ends[2], back;
	struct cadre_result result;

	begin(ends);
	result = await(submit(
		ASK(TAKE_AND_DIE, 0, .descriptors = &ends[1], .descriptor_count = 1)));
	cr_assert_eq(result.outcome, CADRE_LOST, "%s", result.sentence);
	cr_assert_eq(cadre_take_back(troupe.client, &result, &back, 1), 0);
	release(&result);
	expect_end(ends[0]);
	expect_service();
}

Test(kill_descriptors, its_second_attempt_is_told_so)
{
	int ends[2];
	struct cadre_result result;

	begin(ends);
	result = await(submit(ASK(TAKE_AND_DIE, 0, .flags = CADRE_IDEMPOTENT,
				  .descriptors = &ends[1], .descriptor_count = 1)));
	cr_assert_eq(result.outcome, CADRE_FAILED);
	cr_assert_eq(result.code, EOWNERDEAD);
	release(&result);
	expect_end(ends[0]);
	expect_service();
}

static int ends_of_victim[2];
static int signal_of_victim;

static int give_and_suffer(void *context)
{
	const struct cadre_request request = ASK(TAKE, 0,
						 .descriptors = &ends_of_victim[1],
						 .descriptor_count = 1);
	struct cadre_result result;
	struct cadre_client *client;

	(void)context;
	close(ends_of_victim[0]);
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
	begin(ends_of_victim);
	victim = child_start(give_and_suffer, NULL);
	close(ends_of_victim[1]);
	return victim;
}

Test(kill_descriptors, a_client_killed_when_it_has_just_sent_leaves_them_to_the_worker)
{
	const pid_t victim = start_victim(SIGKILL);

	cr_assert_eq(child_end(victim), 128 + SIGKILL);
	expect_end(ends_of_victim[0]);
	expect_service();
}

Test(kill_descriptors, a_client_stopped_there_holds_up_nobody)
{
	const pid_t victim = start_victim(SIGSTOP);

	cr_assert(eventually(stage_is_stopped(victim)));
	expect_service();
	child_kill(victim);
	expect_end(ends_of_victim[0]);
	expect_service();
}
