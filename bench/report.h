/*
 * report.h - what was measured, for people and for programs.
 */
#ifndef REPORT_H
#define REPORT_H

#include "bench.h"

/* What one contender said, round by round. */
struct answers {
	const struct contender *contender;
	double *values; /* bench->rounds of them */
};

/* A question that was asked. */
struct asked {
	const struct question *question;
	struct answers *answers; /* question->contender_count of them */
};

void report_table(const struct bench *bench, const struct asked *asked, size_t count);

/* 0, or -ENOMEM, -EIO. */
int report_json(const struct bench *bench, const struct asked *asked, size_t count);

#endif
