#include "report.h"
#include "sample.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static const struct answers *find(const struct asked *asked, const char *name)
{
	for (size_t i = 0; i < asked->question->contender_count; i++) {
		if (strcmp(asked->answers[i].contender->name, name) == 0)
			return &asked->answers[i];
	}
	abort(); /* a rival that does not compete: our own mistake */
}

/* Ratios to a rival, round by round; the caller frees them. */
static double *ratios(const struct bench *bench, const struct answers *answers,
		      const struct answers *rival)
{
	double *const values = malloc(bench->rounds * sizeof(*values));

	if (!values)
		abort();
	for (unsigned round = 0; round < bench->rounds; round++)
		values[round] = answers->values[round] / rival->values[round];
	return values;
}

/* ---- for people ---- */

static void print_ratios(const struct bench *bench, const struct asked *asked,
			 const struct answers *answers)
{
	const char *const *const rivals = answers->contender->rivals;

	for (unsigned i = 0; i < RIVALS_MAX && rivals[i]; i++) {
		double *const values = ratios(bench, answers, find(asked, rivals[i]));
		const struct sample sample = sample_of(values, bench->rounds);

		printf("%s%.2f x %s (%.2f .. %.2f)", i ? ", " : "  ", sample.median,
		       rivals[i], sample.p25, sample.p75);
		free(values);
	}
}

static void print_question(const struct bench *bench, const struct asked *asked)
{
	const struct question *const question = asked->question;
	const int digits = (int)question->digits;

	printf("%s\n", question->sentence);
	printf("  %-14s %12s   %s\n", "", question->unit, "half of the rounds within");
	for (size_t i = 0; i < question->contender_count; i++) {
		const struct answers *const answers = &asked->answers[i];
		const struct sample sample = sample_of(answers->values, bench->rounds);

		printf("  %-14s %12.*f   %.*f .. %.*f", answers->contender->name, digits,
		       sample.median, digits, sample.p25, digits, sample.p75);
		print_ratios(bench, asked, answers);
		printf("\n");
	}
	for (size_t i = 0; i < question->contender_count; i++)
		printf("    %s: %s\n", question->contenders[i].name,
		       question->contenders[i].sentence);
	printf("\n");
}

void report_table(const struct bench *bench, const struct asked *asked, size_t count)
{
	for (size_t i = 0; i < count; i++)
		print_question(bench, &asked[i]);
	printf("%u rounds; client on CPU %d, worker on CPU %d\n", bench->rounds,
	       bench->client_cpu, bench->worker_cpu);
}

/* ---- for programs ---- */

static json_t *json_sample(const struct bench *bench, const double *values)
{
	const struct sample sample = sample_of(values, bench->rounds);
	json_t *const object = json_pack("{s:f, s:f, s:f}", "median", sample.median,
					 "p25", sample.p25, "p75", sample.p75);
	json_t *const rounds = json_array();

	for (unsigned round = 0; round < bench->rounds; round++)
		json_array_append_new(rounds, json_real(values[round]));
	json_object_set_new(object, "rounds", rounds);
	return object;
}

static json_t *json_contender(const struct bench *bench, const struct asked *asked,
			      const struct answers *answers)
{
	const char *const *const rivals = answers->contender->rivals;
	json_t *const object = json_sample(bench, answers->values);
	json_t *const all = json_object();

	for (unsigned i = 0; i < RIVALS_MAX && rivals[i]; i++) {
		double *const values = ratios(bench, answers, find(asked, rivals[i]));

		json_object_set_new(all, rivals[i], json_sample(bench, values));
		free(values);
	}
	json_object_set_new(object, "sentence", json_string(answers->contender->sentence));
	json_object_set_new(object, "ratio_to", all);
	return object;
}

static json_t *json_question(const struct bench *bench, const struct asked *asked)
{
	const struct question *const question = asked->question;
	json_t *const contenders = json_object();

	for (size_t i = 0; i < question->contender_count; i++)
		json_object_set_new(contenders, question->contenders[i].name,
				    json_contender(bench, asked, &asked->answers[i]));
	return json_pack("{s:s, s:s, s:b, s:o}", "sentence", question->sentence, "unit",
			 question->unit, "less_is_better", (int)question->less_is_better,
			 "contenders", contenders);
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

int report_json(const struct bench *bench, const struct asked *asked, size_t count)
{
	json_t *const questions = json_object();
	json_t *root;
	int r;

	for (size_t i = 0; i < count; i++)
		json_object_set_new(questions, asked[i].question->name,
				    json_question(bench, &asked[i]));
	root = json_pack("{s:i, s:o, s:i, s:b, s:o}", "cadre_bench", 1, "machine",
			 json_machine(bench), "rounds", (int)bench->rounds, "quick",
			 (int)bench->quick, "questions", questions);
	if (!root)
		return -ENOMEM;
	r = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	json_decref(root);
	return r < 0 || printf("\n") < 0 || fflush(stdout) == EOF ? -EIO : 0;
}
