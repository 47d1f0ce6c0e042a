/*
 * asked.h - what was asked, and what the contenders said, round by round.
 */
#ifndef ASKED_H
#define ASKED_H

#include "bench.h"
#include "sample.h"

#define REASON_MAX 160

/* What one contender said. */
struct answers {
	const struct contender *contender;
	double *values; /* of round r, column c: [r * column_count + c]; NAN: not measured */
	char absent[REASON_MAX]; /* why it is not here; "" when it is */
};

struct asked {
	const struct question *question;
	unsigned rounds; /* of this question, each turn a round by itself */
	struct answers *answers;
	size_t count; /* contenders that take part */
};

/* What each round began with: how near the CPUs are to each other then, and whether they have
 * their cores to themselves. */
struct calibration {
	double line_ns; /* a cache-line round trip */
	double wake_ns; /* two sleeping processes wake each other, there and back */
	double client_width, worker_width; /* of the two CPUs (width.h) */
};

struct run {
	const struct bench *bench;
	struct calibration *calibrations; /* bench->rounds of them */
	struct asked *asked;
	size_t count;
};

/* NULL when the question was not asked, or has no such contender in this run. */
const struct asked *asked_find(const struct run *run, const char *question);
const struct answers *asked_answers(const struct asked *asked, const char *contender);

/* The number of a column; column_count when there is none of that name. */
size_t asked_column(const struct question *question, const char *name);

/* Of one column over the rounds. */
struct sample asked_sample(const struct asked *asked, const struct answers *answers,
			   size_t column);

/* The ratio of two figures within each round; all rounds of both questions that there are. */
struct sample asked_ratio(const struct asked *asked, const struct answers *answers,
			  size_t column, const struct asked *beside,
			  const struct answers *rival, size_t rival_column);

/* ---- goals ---- */

struct verdict {
	const struct goal *goal;
	struct sample sample; /* NAN: was not measured in this run */
	bool met;
	double floors[FLOORS_MAX]; /* NAN: likewise, or there is none */
};

/* False when one of its figures was not measured in this run. */
bool asked_judge(const struct run *run, const struct goal *goal, struct verdict *ret);

#endif
