/*
 * questions.c - what is asked, in this order. Each question is a file of its own.
 */
#include "bench.h"

extern const struct question question_round_trip;
extern const struct question question_undisturbed;
extern const struct question question_waiting;
extern const struct question question_in_flight;
extern const struct question question_payload;
extern const struct question question_scaling;
extern const struct question question_fairness;
extern const struct question question_dispatch;
extern const struct question question_pools;
extern const struct question question_http;
extern const struct question question_idle;
extern const struct question question_crash;
extern const struct question question_growth;
extern const struct question question_streams;

/* A line for each, so that two who add one do not meet. */
/* clang-format off */
const struct question *const bench_questions[] = {
	&question_round_trip,
	&question_undisturbed,
	&question_waiting,
	&question_in_flight,
	&question_payload,
	&question_scaling,
	&question_fairness,
	&question_dispatch,
	&question_pools,
	&question_http,
	&question_idle,
	&question_crash,
	&question_growth,
	&question_streams,
	NULL,
};
/* clang-format on */
