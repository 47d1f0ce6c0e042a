/*
 * Claims about jobs that kill their workers: given to another when that is allowed, refused
 * once two workers have died of them, and never run again unsaid.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <cadre/cadre.h>

#include "in_child.h"
#include "scene.h"

enum { ECHO = 1, DIE, WAIT };

static struct scene scene;
static struct cadre_pool *pool;
static _Atomic int *runs; /* of DIE and WAIT, in all processes */

static void echo(struct cadre_job *job, void *state)
{
	size_t length;
	const void *data = cadre_job_data(job, &length);

	(void)state;
	cadre_job_reply(job, data, length);
}

/* Dies by the signal that the request holds; by an exit for 0. */
static void die(struct cadre_job *job, void *state)
{
	size_t length;
	int number;

	(void)state;
	memcpy(&number, cadre_job_data(job, &length), sizeof(number));
	(*runs)++;
	signal(number, SIG_DFL);
	if (number)
		raise(number);
	_exit(3);
}

/* Says its pid, and waits to be killed; the second attempt replies. */
static void wait_for_death(struct cadre_job *job, void *state)
{
	(void)state;
	if (++*runs == 3)
		cadre_job_reply(job, "done", 4);
	else
		raise(SIGKILL);
}

static const struct cadre_operation operations[] = {
	{ ECHO, "echo", echo },
	{ DIE, "die", die },
	{ WAIT, "wait", wait_for_death },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "deadly",
	.operations = operations,
	.operation_count = 3,
};

/* A claim, told by a child that has started the pool. */
#define CLAIM(name_)                 \
	static void name_(void);     \
	Test(refused, name_)         \
	{                            \
		story = name_;       \
		in_child_tell(play); \
	}                            \
	static void name_(void)

static void (*story)(void);

static void play(void)
{
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .workers_min = 1,
						    .workers_max = 2 };
	struct cadre_diag diag = { "" };

	scene_begin(&scene);
	CHILD_CHECK(cadre_pool_start(&service, &options, &pool, &diag) == 0);
	story();
	cadre_pool_close(pool);
	CHILD_CHECK(!scene_leftovers(&scene));
}

static void begin(void)
{
	runs = child_share(sizeof(*runs));
}

TestSuite(refused, .init = begin);

static struct cadre_result call(int32_t operation, unsigned flags, uint32_t retries,
				int number)
{
	const struct cadre_request request = {
		.operation = operation,
		.flags = flags,
		.retries = retries,
		.data = &number,
		.length = sizeof(number),
	};
	struct cadre_result result;

	if (cadre_call(cadre_pool_client(pool), &request, &result) == 0)
		cadre_release(cadre_pool_client(pool), &result);
	else
		result.outcome = CADRE_WITHDRAWN;
	return result;
}

static bool pool_still_serves(void)
{
	return call(ECHO, 0, 0, 7).outcome == CADRE_OK;
}

CLAIM(a_job_that_is_not_idempotent_is_lost_with_its_first_worker)
{
	const struct cadre_result result = call(DIE, 0, 0, SIGSEGV);

	CHILD_CHECK(result.outcome == CADRE_LOST);
	CHILD_CHECK(result.code == SIGSEGV);
	CHILD_CHECK(result.worker_pid > 0);
	CHILD_CHECK(*runs == 1);
	CHILD_CHECK(pool_still_serves());
}

CLAIM(a_job_that_killed_two_workers_is_refused_whatever_retries_are_left)
{
	const struct cadre_result result = call(DIE, CADRE_IDEMPOTENT, 15, SIGABRT);

	CHILD_CHECK(result.outcome == CADRE_REFUSED);
	CHILD_CHECK(result.attempt == 1);
	CHILD_CHECK(result.code == SIGABRT);
	CHILD_CHECK(strstr(result.sentence, "killed 2 workers"));
	CHILD_CHECK(*runs == 2);
	CHILD_CHECK(pool_still_serves());
}

CLAIM(an_exit_is_a_fault_as_well)
{
	const struct cadre_result result = call(DIE, CADRE_IDEMPOTENT, 15, 0);

	CHILD_CHECK(result.outcome == CADRE_REFUSED);
	CHILD_CHECK(result.code == -3);
	CHILD_CHECK(*runs == 2);
}

CLAIM(a_kill_from_outside_is_not_held_against_the_job)
{
	const struct cadre_result result = call(WAIT, CADRE_IDEMPOTENT, 3, 0);

	CHILD_CHECK(result.outcome == CADRE_OK);
	CHILD_CHECK(result.attempt == 2);
	CHILD_CHECK(*runs == 3);
}

CLAIM(retries_that_are_used_up_end_in_lost)
{
	const struct cadre_result result = call(DIE, CADRE_IDEMPOTENT, 2, SIGKILL);

	CHILD_CHECK(result.outcome == CADRE_LOST);
	CHILD_CHECK(result.attempt == 2);
	CHILD_CHECK(*runs == 3);
	CHILD_CHECK(pool_still_serves());
}

CLAIM(one_retry_is_enough_to_be_refused)
{
	CHILD_CHECK(call(DIE, CADRE_IDEMPOTENT, 1, SIGSEGV).outcome == CADRE_REFUSED);
	CHILD_CHECK(*runs == 2);
}
