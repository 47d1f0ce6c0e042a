/*
 * test_goals.c - claims about the goals of the bench: that each of them speaks of something that
 * is asked, and how it is judged by what was measured. And about bench/README.md, which tells of
 * questions and files.
 */
#include "asked.h"
#include "tree.h"

#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tables ---- */

static const struct question *find_question(const char *name)
{
	for (size_t i = 0; bench_questions[i]; i++) {
		if (strcmp(bench_questions[i]->name, name) == 0)
			return bench_questions[i];
	}
	return NULL;
}

/* How many contenders of the question have that name. */
static unsigned contenders_named(const struct question *question, const char *name)
{
	unsigned count = 0;

	for (size_t i = 0; i < question->contender_count; i++)
		count += strcmp(question->contenders[i].name, name) == 0;
	return count;
}

static unsigned columns_named(const struct question *question, const char *name)
{
	unsigned count = 0;

	for (size_t i = 0; i < question->column_count; i++)
		count += strcmp(question->columns[i].name, name) == 0;
	return count;
}

static void expect_asked(const struct goal *goal, const struct figure *figure)
{
	const struct question *const question = find_question(figure->question);

	cr_assert_not_null(question, "%s: nobody asks \"%s\"", goal->name,
			   figure->question);
	cr_expect_eq(contenders_named(question, figure->contender), 1,
		     "%s: \"%s\" is not asked %s", goal->name, figure->contender,
		     question->name);
	cr_expect_eq(columns_named(question, figure->column), 1,
		     "%s: %s has no column \"%s\"", goal->name, question->name,
		     figure->column);
}

Test(goals, each_speaks_of_figures_that_are_asked_for)
{
	cr_assert_gt(bench_goal_count, 0);
	for (size_t i = 0; i < bench_goal_count; i++) {
		expect_asked(&bench_goals[i], &bench_goals[i].measured);
		if (bench_goals[i].beside.question)
			expect_asked(&bench_goals[i], &bench_goals[i].beside);
		for (size_t j = 0; j < FLOORS_MAX && bench_goals[i].floors[j]; j++) {
			struct figure floor = bench_goals[i].measured;

			floor.contender = bench_goals[i].floors[j];
			expect_asked(&bench_goals[i], &floor);
		}
	}
}

static void expect_turn(const struct figure *figure)
{
	const struct question *const question = find_question(figure->question);

	for (size_t i = 0;
	     question && question->turns > 1 && i < question->contender_count; i++) {
		if (strcmp(question->contenders[i].name, figure->contender) == 0)
			cr_expect_lt(i, question->turning, "%s: %s", question->name,
				     figure->contender);
	}
}

Test(goals, who_is_judged_has_each_turn_of_his_question)
{
	for (size_t i = 0; i < bench_goal_count; i++) {
		expect_turn(&bench_goals[i].measured);
		if (bench_goals[i].beside.question)
			expect_turn(&bench_goals[i].beside);
	}
	for (size_t i = 0; bench_questions[i]; i++)
		cr_expect_leq(bench_questions[i]->turning,
			      bench_questions[i]->contender_count, "%s",
			      bench_questions[i]->name);
}

Test(goals, each_has_a_name_of_its_own)
{
	for (size_t i = 0; i < bench_goal_count; i++) {
		for (size_t j = 0; j < i; j++)
			cr_expect_str_neq(bench_goals[i].name, bench_goals[j].name);
	}
}

/* Lists are cut at commas. */
Test(questions, every_name_can_be_chosen_by_only_and_with)
{
	for (size_t i = 0; bench_questions[i]; i++) {
		const struct question *const question = bench_questions[i];

		cr_expect_eq(find_question(question->name), question, "%s stands twice",
			     question->name);
		cr_expect_null(strchr(question->name, ','));
		for (size_t j = 0; j < question->contender_count; j++) {
			const char *const name = question->contenders[j].name;

			cr_expect_null(strchr(name, ','));
			cr_expect_eq(contenders_named(question, name), 1,
				     "%s: %s stands twice", question->name, name);
		}
	}
}

Test(questions, every_column_has_a_place_and_a_name_of_its_own)
{
	for (size_t i = 0; bench_questions[i]; i++) {
		const struct question *const question = bench_questions[i];

		cr_expect_geq(question->column_count, 1);
		cr_expect_leq(question->column_count, COLUMNS_MAX);
		cr_expect_lt(question->ratio_column, question->column_count);
		for (size_t c = 0; c < question->column_count; c++)
			cr_expect_eq(columns_named(question, question->columns[c].name),
				     1);
	}
}

Test(questions, every_rival_is_asked_the_same)
{
	for (size_t i = 0; bench_questions[i]; i++) {
		const struct question *const question = bench_questions[i];

		for (size_t j = 0; j < question->contender_count; j++) {
			const struct contender *const one = &question->contenders[j];

			for (size_t n = 0; n < RIVALS_MAX && one->rivals[n]; n++)
				cr_expect_eq(contenders_named(question, one->rivals[n]),
					     1, "%s: %s has the rival %s", question->name,
					     one->name, one->rivals[n]);
		}
	}
}

/* ---- README.md ---- */

static bool tells(const char *text, const char *format, const char *name)
{
	char wanted[200];

	snprintf(wanted, sizeof(wanted), format, name);
	return strstr(text, wanted) != NULL;
}

/* "pipe asleep" is told of as "pipe"; sizes in `growth` are told of together. */
static bool is_told_of(const char *readme, const struct question *question,
		       const char *contender)
{
	char name[100];
	char *asleep;

	snprintf(name, sizeof(name), "%s", contender);
	asleep = strstr(name, " asleep");
	if (asleep && !tells(readme, "`%s`", name))
		*asleep = '\0';
	return tells(readme, "`%s`", name) || strcmp(question->name, "growth") == 0;
}

Test(readme, tells_of_every_question_and_contender)
{
	char *const readme = tree_read("bench/README.md");

	for (size_t i = 0; bench_questions[i]; i++) {
		const struct question *const question = bench_questions[i];

		cr_expect(tells(readme, "\n| `%s` | [", question->name), "no row of %s",
			  question->name);
		for (size_t j = 0; j < question->contender_count; j++)
			cr_expect(is_told_of(readme, question,
					     question->contenders[j].name),
				  "%s: no word of %s", question->name,
				  question->contenders[j].name);
	}
	free(readme);
}

static void expect_told_of(const char *readme, const char *pattern)
{
	glob_t files = tree_files(pattern);

	for (size_t i = 0; i < files.gl_pathc; i++) {
		const char *const name = strrchr(files.gl_pathv[i], '/') + 1;

		cr_expect(tells(readme, "%s", name), "no word of %s", files.gl_pathv[i]);
	}
	globfree(&files);
}

Test(readme, tells_of_every_file)
{
	char *const readme = tree_read("bench/README.md");

	expect_told_of(readme, "bench/?*.c");
	expect_told_of(readme, "bench/?*.sh");
	expect_told_of(readme, "bench/peers/?*.[clmp]*");
	expect_told_of(readme, "bench/peers/programs/?*.c*");
	free(readme);
}

/* ---- a verdict, of a run that is made by hand ---- */

#define ROUNDS 4

static const struct column columns[] = { { "first", "", 0 }, { "second", "", 0 } };

static const struct contender contenders[] = {
	{ .name = "one" },
	{ .name = "two" },
};

static const struct question question = {
	.name = "by hand",
	.columns = columns,
	.column_count = 2,
	.contenders = contenders,
	.contender_count = 2,
};

static double of_one[ROUNDS][2] = { { 2, 9 }, { 40, 9 }, { 8, 9 }, { 6, 9 } };
static double of_two[ROUNDS][2] = { { 1, 9 }, { 20, 9 }, { 2, 9 }, { 2, 9 } };

static struct answers answers[] = {
	{ .contender = &contenders[0], .values = of_one[0] },
	{ .contender = &contenders[1], .values = of_two[0] },
};

static struct asked asked = {
	.question = &question, .rounds = ROUNDS, .answers = answers, .count = 2
};

static const struct run run = { .asked = &asked, .count = 1 };

static const struct goal by_hand = {
	.name = "goal",
	.measured = { "by hand", "one", "first" },
	.beside = { "by hand", "two", "first" },
	.at_least = true,
};

/* Of a goal with that limit. */
static bool is_met(struct goal goal, bool at_least, double limit)
{
	struct verdict verdict;

	goal.at_least = at_least;
	goal.limit = limit;
	cr_assert(asked_judge(&run, &goal, &verdict));
	return verdict.met;
}

static bool is_judged(struct goal goal)
{
	struct verdict verdict;
	const bool judged = asked_judge(&run, &goal, &verdict);

	cr_assert_eq(judged, !isnan(verdict.sample.median));
	return judged;
}

Test(verdict, is_of_the_median_of_the_ratios_within_the_rounds)
{
	struct verdict verdict;

	/* 2, 2, 4 and 3; the ratio of the medians would be 3.5. */
	cr_assert(asked_judge(&run, &by_hand, &verdict));
	cr_expect_eq(verdict.sample.median, 2.5);
	cr_expect_eq(verdict.sample.p25, 2);
	cr_expect_eq(verdict.sample.p75, 3.25);
}

/* "two" beside "one": 1/2, 1/2, 1/4 and 1/3. */
Test(verdict, tells_of_each_floor_beside_the_same_figure)
{
	struct goal goal = by_hand;
	struct verdict verdict;

	goal.measured.contender = "one";
	goal.beside.contender = "one";
	goal.floors[0] = "two";
	goal.floors[1] = "three";
	cr_assert(asked_judge(&run, &goal, &verdict));
	cr_expect_eq(verdict.sample.median, 1);
	cr_expect_eq(verdict.floors[0], (1. / 2 + 1. / 3) / 2);
	cr_expect(isnan(verdict.floors[1]), "it was not asked");

	goal.beside.question = NULL;
	cr_assert(asked_judge(&run, &goal, &verdict));
	cr_expect_eq(verdict.floors[0], 2, "of 1, 20, 2 and 2");
	cr_assert(asked_judge(&run, &by_hand, &verdict));
	cr_expect(isnan(verdict.floors[0]), "it has none");
}

Test(verdict, a_limit_is_met_by_what_just_reaches_it)
{
	cr_expect(is_met(by_hand, true, 2.5));
	cr_expect_not(is_met(by_hand, true, 2.5001));
	cr_expect(is_met(by_hand, false, 2.5));
	cr_expect_not(is_met(by_hand, false, 2.4999));
}

Test(verdict, without_a_second_figure_is_of_the_first_itself)
{
	struct goal goal = by_hand;

	goal.beside.question = NULL;
	cr_expect(is_met(goal, true, 7)); /* of 2, 40, 8 and 6 */
	cr_expect_not(is_met(goal, true, 7.5));
}

Test(verdict, is_not_given_when_a_question_or_a_contender_was_not_asked)
{
	struct goal goal = by_hand;

	cr_expect(is_judged(goal));
	goal.measured.question = "another";
	cr_expect_not(is_judged(goal));
	goal = by_hand;
	goal.beside.contender = "three";
	cr_expect_not(is_judged(goal));
	goal = by_hand;
	goal.beside.column = "third";
	cr_expect_not(is_judged(goal));
}

Test(verdict, leaves_out_the_rounds_in_which_one_of_the_two_said_nothing)
{
	of_one[0][0] = NAN;
	of_two[3][0] = NAN;
	cr_expect(is_met(by_hand, true, 3)); /* 2 and 4 are left */
	cr_expect_not(is_met(by_hand, true, 3.1));
	for (size_t round = 0; round < ROUNDS; round++)
		of_one[round][0] = NAN;
	cr_expect_not(is_judged(by_hand));
}

Test(verdict, of_questions_with_fewer_rounds_is_of_those_that_both_have)
{
	struct asked both[] = { asked, asked };
	struct question other = question;
	const struct run two = { .asked = both, .count = 2 };
	struct goal goal = by_hand;
	struct verdict verdict;

	other.name = "fewer";
	both[1].question = &other;
	both[1].rounds = 1;
	goal.beside.question = "fewer";
	goal.limit = 2;
	cr_assert(asked_judge(&two, &goal, &verdict));
	cr_expect_eq(verdict.sample.median, 2);
	cr_expect_eq(verdict.sample.p75, 2);
}
