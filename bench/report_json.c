#include "report.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

/* JSON knows no NAN. */
static json_t *number(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

static json_t *json_sample(struct sample sample)
{
	return json_pack("{s:o, s:o, s:o}", "median", number(sample.median), "p25",
			 number(sample.p25), "p75", number(sample.p75));
}

static json_t *json_column(const struct asked *asked, const struct answers *answers,
			   size_t column)
{
	json_t *const object = json_sample(asked_sample(asked, answers, column));
	json_t *const rounds = json_array();

	for (unsigned round = 0; round < asked->rounds; round++)
		json_array_append_new(
			rounds,
			number(answers->values[round * asked->question->column_count +
					       column]));
	json_object_set_new(object, "rounds", rounds);
	return object;
}

static json_t *json_ratios(const struct asked *asked, const struct answers *answers)
{
	const char *const *const rivals = answers->contender->rivals;
	json_t *const all = json_object();

	for (unsigned i = 0; i < RIVALS_MAX && rivals[i]; i++) {
		const struct answers *const rival = asked_answers(asked, rivals[i]);
		json_t *const columns = json_object();

		for (size_t c = 0; rival && c < asked->question->column_count; c++)
			json_object_set_new(columns, asked->question->columns[c].name,
					    json_sample(asked_ratio(asked, answers, c,
								    asked, rival, c)));
		json_object_set_new(all, rivals[i], columns);
	}
	return all;
}

static json_t *json_contender(const struct asked *asked, const struct answers *answers)
{
	json_t *const object = json_object();
	json_t *const columns = json_object();

	json_object_set_new(object, "sentence", json_string(answers->contender->sentence));
	if (answers->absent[0]) {
		json_object_set_new(object, "absent", json_string(answers->absent));
		json_decref(columns);
		return object;
	}
	for (size_t i = 0; i < asked->question->column_count; i++)
		json_object_set_new(columns, asked->question->columns[i].name,
				    json_column(asked, answers, i));
	json_object_set_new(object, "columns", columns);
	json_object_set_new(object, "ratio_to", json_ratios(asked, answers));
	return object;
}

static json_t *json_question(const struct asked *asked)
{
	const struct question *const question = asked->question;
	json_t *const contenders = json_object();
	json_t *const units = json_object();

	for (size_t i = 0; i < question->column_count; i++)
		json_object_set_new(units, question->columns[i].name,
				    json_string(question->columns[i].unit));
	for (size_t i = 0; i < asked->count; i++)
		json_object_set_new(contenders, asked->answers[i].contender->name,
				    json_contender(asked, &asked->answers[i]));
	return json_pack("{s:s, s:o, s:b, s:o}", "sentence", question->sentence, "units",
			 units, "less_is_better", (int)question->less_is_better,
			 "contenders", contenders);
}

static json_t *json_floors(const struct verdict *verdict)
{
	json_t *const floors = json_object();

	for (size_t i = 0; i < FLOORS_MAX && verdict->goal->floors[i]; i++)
		json_object_set_new(floors, verdict->goal->floors[i],
				    number(verdict->floors[i]));
	return floors;
}

static json_t *json_goals(const struct run *run)
{
	json_t *const goals = json_object();

	for (size_t i = 0; i < bench_goal_count; i++) {
		const struct goal *const goal = &bench_goals[i];
		struct verdict verdict;
		json_t *object;

		if (!asked_find(run, goal->measured.question))
			continue;
		asked_judge(run, goal, &verdict);
		object = json_sample(verdict.sample);
		json_object_set_new(object, "sentence", json_string(goal->sentence));
		json_object_set_new(object, goal->at_least ? "at_least" : "at_most",
				    json_real(goal->limit));
		if (goal->floors[0])
			json_object_set_new(object, "floors", json_floors(&verdict));
		json_object_set_new(object, "met",
				    isnan(verdict.sample.median) ?
					    json_null() :
					    json_boolean(verdict.met));
		json_object_set_new(goals, goal->name, object);
	}
	return goals;
}

static json_t *json_calibrations(const struct run *run)
{
	json_t *const rounds = json_array();

	for (unsigned i = 0; i < run->bench->rounds; i++)
		json_array_append_new(rounds,
				      json_pack("{s:f, s:f, s:f, s:f}", "line_ns",
						run->calibrations[i].line_ns, "wake_ns",
						run->calibrations[i].wake_ns,
						"client_width",
						run->calibrations[i].client_width,
						"worker_width",
						run->calibrations[i].worker_width));
	return rounds;
}

static json_t *json_machine(const struct bench *bench)
{
	double load = -1;
	struct utsname name;

	uname(&name);
	getloadavg(&load, 1);
	return json_pack("{s:s, s:s, s:i, s:i, s:f}", "kernel", name.release, "machine",
			 name.machine, "client_cpu", bench->client_cpu, "worker_cpu",
			 bench->worker_cpu, "load_average", load);
}

int report_json(const struct run *run, FILE *file)
{
	json_t *const questions = json_object();
	json_t *root;
	int r;

	for (size_t i = 0; i < run->count; i++)
		json_object_set_new(questions, run->asked[i].question->name,
				    json_question(&run->asked[i]));
	root = json_pack("{s:i, s:o, s:o, s:i, s:b, s:o, s:o}", "cadre_bench", 2,
			 "machine", json_machine(run->bench), "calibrations",
			 json_calibrations(run), "rounds", (int)run->bench->rounds,
			 "quick", (int)run->bench->quick, "questions", questions, "goals",
			 json_goals(run));
	if (!root)
		return -ENOMEM;
	r = json_dumpf(root, file, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	json_decref(root);
	return r < 0 || fputs("\n", file) == EOF || fflush(file) == EOF ? -EIO : 0;
}
