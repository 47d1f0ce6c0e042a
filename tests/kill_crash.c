/*
 * kill_crash.c - claims about a worker that is killed while it writes down how it crashes: half
 * a record is none, a whole one stands, and the next one who crashes there is heard.
 */
#include "claims.h"
#include "killpoint.h"
#include "stories.h"

#include <signal.h>
#include <stdlib.h>

TestSuite(kill_crash, TROUPE);

static const char *const told[] = { "Z1", "Z2" };

#define STAND_STILL 2

/* Crashes; on the way it is killed at a label, or not. */
static void crash(struct cadre_job *job, void *state)
{
	size_t length;
	uint32_t which;

	(void)state;
	memcpy(&which, cadre_job_data(job, &length), sizeof(which));
	if (which < sizeof(told) / sizeof(told[0]))
		cadre_kill_at(told[which], 1, SIGKILL);
	/* As when the walk takes so long that the handler's own alarm goes off. */
	if (which == STAND_STILL)
		cadre_kill_at("Z1", 1, SIGALRM);
	abort();
}

static const struct cadre_operation operations[] = { { 1, "crash", crash } };

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "crash",
	.operations = operations,
	.operation_count = 1,
};

/* What the client of a job learns whose worker was killed at that label. */
static int die_at(uint32_t which, int signal_number, struct cadre_backtrace *trace)
{
	const struct cadre_result result = await(submit(ASK(1, which)));
	int r;

	cr_assert_eq(result.outcome, CADRE_LOST, "%s", result.sentence);
	cr_assert_eq(result.code, signal_number);
	r = cadre_result_backtrace(troupe.client, &result, trace);
	release(&result);
	return r;
}

Test(kill_crash, half_a_record_at_Z1_is_none_and_the_next_crash_is_heard)
{
	struct cadre_backtrace trace;

	START_SERVICE(&service, ONE_WORKER);
	cr_assert_eq(die_at(0, SIGKILL, &trace), -ENOENT);
	cr_assert_eq(die_at(99, SIGABRT, &trace), 0);
	cr_assert_eq(trace.signal_number, SIGABRT);
	cr_assert_eq(trace.incarnation, 2);
	cr_assert_gt(trace.frame_count, 1);
}

Test(kill_crash, a_whole_record_at_Z2_stands_whatever_comes_then)
{
	struct cadre_backtrace trace;

	START_SERVICE(&service, ONE_WORKER);
	cr_assert_eq(die_at(1, SIGKILL, &trace), 0);
	cr_assert_eq(trace.signal_number, SIGABRT);
	cr_assert_gt(trace.frame_count, 1);
}

Test(kill_crash,
     a_record_that_cannot_be_finished_in_time_hides_no_signal_and_keeps_nobody_alive)
{
	struct cadre_backtrace trace;

	START_SERVICE(&service, ONE_WORKER);
	cr_assert_eq(die_at(STAND_STILL, SIGABRT, &trace), -ENOENT);
	cr_assert_eq(die_at(99, SIGABRT, &trace), 0);
}

Test(kill_crash, every_point_that_a_crash_passes_has_its_story)
{
	EXPECT_STORIES(told, KILLING_WRECK);
}
