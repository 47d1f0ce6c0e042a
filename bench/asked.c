#include "asked.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct asked *asked_find(const struct run *run, const char *question)
{
	for (size_t i = 0; i < run->count; i++) {
		if (strcmp(run->asked[i].question->name, question) == 0)
			return &run->asked[i];
	}
	return NULL;
}

const struct answers *asked_answers(const struct asked *asked, const char *contender)
{
	for (size_t i = 0; i < asked->count; i++) {
		if (strcmp(asked->answers[i].contender->name, contender) == 0)
			return &asked->answers[i];
	}
	return NULL;
}

size_t asked_column(const struct question *question, const char *name)
{
	size_t column = 0;

	while (column < question->column_count &&
	       strcmp(question->columns[column].name, name) != 0)
		column++;
	return column;
}

static double value_of(const struct asked *asked, const struct answers *answers,
		       unsigned round, size_t column)
{
	return answers->values[round * asked->question->column_count + column];
}

struct sample asked_sample(const struct asked *asked, const struct answers *answers,
			   size_t column)
{
	double *const values = malloc(asked->rounds * sizeof(*values));
	struct sample sample;

	if (!values)
		abort();
	for (unsigned round = 0; round < asked->rounds; round++)
		values[round] = value_of(asked, answers, round, column);
	sample = sample_of(values, asked->rounds);
	free(values);
	return sample;
}

struct sample asked_ratio(const struct asked *asked, const struct answers *answers,
			  size_t column, const struct asked *beside,
			  const struct answers *rival, size_t rival_column)
{
	const unsigned rounds = asked->rounds < beside->rounds ? asked->rounds :
								 beside->rounds;
	double *const values = malloc(rounds * sizeof(*values));
	struct sample sample;

	if (!values)
		abort();
	for (unsigned round = 0; round < rounds; round++)
		values[round] = value_of(asked, answers, round, column) /
				value_of(beside, rival, round, rival_column);
	sample = sample_of(values, rounds);
	free(values);
	return sample;
}

/* ---- goals ---- */

struct place {
	const struct asked *asked;
	const struct answers *answers;
	size_t column;
};

static bool find(const struct run *run, const struct figure *figure, struct place *ret)
{
	ret->asked = asked_find(run, figure->question);
	ret->answers = ret->asked ? asked_answers(ret->asked, figure->contender) : NULL;
	if (!ret->answers)
		return false;
	ret->column = asked_column(ret->asked->question, figure->column);
	return ret->column < ret->asked->question->column_count;
}

/* NANs when one of the two was not measured. */
static struct sample compare(const struct run *run, const struct figure *figure,
			     const struct figure *beside)
{
	const struct sample none = { .p25 = NAN, .median = NAN, .p75 = NAN };
	struct place measured, rival;

	if (!find(run, figure, &measured))
		return none;
	if (!beside->question)
		return asked_sample(measured.asked, measured.answers, measured.column);
	if (!find(run, beside, &rival))
		return none;
	return asked_ratio(measured.asked, measured.answers, measured.column, rival.asked,
			   rival.answers, rival.column);
}

bool asked_judge(const struct run *run, const struct goal *goal, struct verdict *ret)
{
	*ret = (struct verdict){
		.goal = goal,
		.sample = compare(run, &goal->measured, &goal->beside),
	};
	for (size_t i = 0; i < FLOORS_MAX; i++) {
		const struct figure floor = {
			.question = goal->measured.question,
			.contender = goal->floors[i],
			.column = goal->measured.column,
		};

		ret->floors[i] = goal->floors[i] ?
					 compare(run, &floor, &goal->beside).median :
					 NAN;
	}
	if (isnan(ret->sample.median))
		return false;
	ret->met = goal->at_least ? ret->sample.median >= goal->limit :
				    ret->sample.median <= goal->limit;
	return true;
}
