/*
 * kill_log.c - claims about the log when somebody dies in the middle of it: at most the line
 * that was being written is lost, and said to be; the others come out, and so do later ones.
 */
#include "errors.h"
#include "killpoint.h"
#include "stories.h"

#include <signal.h>
#include <stdio.h>

TestSuite(kill_log, HEARD);

static const char *const told[] = { "Y1", "Y2", "Y3" };

/* Writes a line, then another one in which it may be killed. */
static void chat(struct cadre_job *job, void *state)
{
	size_t length;
	uint32_t which;

	(void)state;
	memcpy(&which, cadre_job_data(job, &length), sizeof(which));
	cadre_log(CADRE_LOG_INFO, "before %u", which);
	if (which < 2)
		cadre_kill_at(told[which], 1, SIGKILL);
	cadre_log(CADRE_LOG_INFO, "after %u", which);
	cadre_job_reply(job, &which, sizeof(which));
}

static const struct cadre_operation operations[] = { { 1, "chat", chat } };

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "chat",
	.operations = operations,
	.operation_count = 1,
};

Test(kill_log, the_line_that_a_worker_died_of_at_G1_is_said_to_be_lost_and_no_other_is)
{
	START_AND_HEAR(&service, ONE_WORKER, .log_level = CADRE_LOG_INFO);
	expect(submit(ASK(1, 0)), CADRE_LOST);
	call_ok(ASK(1, 7));
	cr_assert(eventually(count_of(": after 7\n") == 1), "%s", said);
	cr_assert_eq(count_of(": before 0\n"), 1);
	cr_assert_eq(count_of(": after 0\n"), 0);
	cr_assert_eq(count_of(": before 7\n"), 1);
	cr_assert_eq(count_of(": 1 line was overwritten before it was read\n"), 1, "%s",
		     said);
}

Test(kill_log, the_line_that_a_worker_finished_at_G2_comes_out)
{
	START_AND_HEAR(&service, ONE_WORKER, .log_level = CADRE_LOG_INFO);
	expect(submit(ASK(1, 1)), CADRE_LOST);
	call_ok(ASK(1, 7));
	cr_assert(eventually(count_of(": after 7\n") == 1), "%s", said);
	cr_assert_eq(count_of(": before 1\n"), 1);
	cr_assert_eq(count_of(": after 1\n"), 1);
	cr_assert_eq(count_of("overwritten"), 0, "%s", said);
}

Test(kill_log, lines_that_a_supervisor_told_as_it_died_at_G3_are_not_lost)
{
	/* Inherited by keeper and supervisor; the program's own process never passes it. A fork
	 * of the keeper bears it anew, so its successor dies of its 25th pass as well. */
	cadre_kill_at("Y3", 25, SIGKILL);
	START_AND_HEAR(&service, ONE_WORKER, .log_level = CADRE_LOG_INFO);
	cadre_kill_at("", 0, SIGKILL);
	for (uint32_t i = 10; i < 40; i++) {
		char line[40];

		call_ok(ASK(1, i));
		snprintf(line, sizeof(line), ": after %u\n", i);
		cr_assert(eventually(count_of(line) >= 1), "%s in %s", line, said);
	}
	cr_assert(eventually(troupe_counter(CADRE_SCOPE_POOL,
					    troupe_look(troupe.scene.pool).counters,
					    "successions") >= 1));
	for (uint32_t i = 10; i < 40; i++) {
		char line[40];

		snprintf(line, sizeof(line), ": before %u\n", i);
		cr_assert_geq(count_of(line), 1, "%s in %s", line, said);
	}
	cr_assert_eq(count_of("overwritten"), 0, "%s", said);
}

Test(kill_log, every_point_that_the_log_passes_has_its_story)
{
	EXPECT_STORIES(told, KILLING_LOG);
}
