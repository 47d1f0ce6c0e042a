/*
 * test_rhythm.c - claims about when a worker looks for the next job of a client that has one
 * out at a time. The client is a number here: so many turns after a reply its job is there.
 */
#include "rhythm.h"

#include <criterion/criterion.h>

static unsigned early; /* looks that came too early, of those of the last follow */

/* `jobs` looks at a client that takes so many turns. */
static void follow(struct cadre_rhythm *rhythm, uint32_t turns, unsigned jobs)
{
	early = 0;
	for (unsigned i = 0; i < jobs; i++) {
		const bool is_there = rhythm->pause >= turns;

		early += !is_there;
		cadre_rhythm_learn(rhythm, is_there);
	}
}

static void expect_settled(const struct cadre_rhythm *rhythm, uint32_t turns)
{
	cr_expect_geq(rhythm->pause + 1, turns);
	cr_expect_leq(rhythm->pause, turns + CADRE_RHYTHM_STEP);
}

Test(rhythm, the_pause_settles_at_what_the_client_takes)
{
	struct cadre_rhythm rhythm = { .pause = 0 };

	follow(&rhythm, 300, 100);
	expect_settled(&rhythm, 300);
	follow(&rhythm, 300, 1000);
	expect_settled(&rhythm, 300);
}

Test(rhythm, one_look_in_nine_is_too_early)
{
	struct cadre_rhythm rhythm = { .pause = 0 };

	follow(&rhythm, 300, 100);
	follow(&rhythm, 300, 9000);
	cr_expect_geq(early, 990);
	cr_expect_leq(early, 1010);
}

Test(rhythm, a_client_that_becomes_quicker_is_followed)
{
	struct cadre_rhythm rhythm = { .pause = 0 };

	follow(&rhythm, 1500, 400);
	follow(&rhythm, 100, 1500);
	expect_settled(&rhythm, 100);
}

Test(rhythm, who_always_has_a_job_there_is_not_paused_for)
{
	struct cadre_rhythm rhythm = { .pause = 40 };

	follow(&rhythm, 0, 41);
	cr_expect_eq(rhythm.pause, 0);
}

Test(rhythm, who_takes_longer_than_most_is_left_alone_for_a_while)
{
	struct cadre_rhythm rhythm = { .pause = 0 };
	const unsigned climb = CADRE_RHYTHM_MOST / CADRE_RHYTHM_STEP + 1;

	follow(&rhythm, UINT32_MAX, climb - 1);
	cr_expect_eq(rhythm.pause, CADRE_RHYTHM_MOST);
	follow(&rhythm, UINT32_MAX, 1);
	cr_expect_eq(rhythm.pause, 0);
	follow(&rhythm, UINT32_MAX, CADRE_RHYTHM_REST);
	cr_expect_eq(rhythm.pause, 0, "it rests");
	follow(&rhythm, UINT32_MAX, 1);
	cr_expect_eq(rhythm.pause, CADRE_RHYTHM_STEP, "it is tried again");
}

Test(rhythm, the_pause_is_never_longer_than_most_and_a_step)
{
	struct cadre_rhythm rhythm = { .pause = 0 };

	for (unsigned i = 0; i < 20000; i++) {
		cadre_rhythm_learn(&rhythm, i % 7 == 0);
		cr_assert_leq(rhythm.pause, CADRE_RHYTHM_MOST + CADRE_RHYTHM_STEP);
		cadre_rhythm_await(&rhythm); /* comes back */
	}
}
