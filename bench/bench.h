/*
 * bench.h - questions, and those who compete to answer them.
 *
 * A question is asked in rounds: A B C, A B C, ... so that whatever disturbs the machine
 * for a while disturbs all of them. Each contender measures once per round and says one
 * number; ratios are made within a round, then medians over the rounds.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAYLOAD 64 /* bytes of a job, there and back */
#define IN_FLIGHT 64

struct bench {
	unsigned rounds;
	bool quick;
	int client_cpu;
	int worker_cpu;
	bool realtime; /* client and worker have their CPUs for themselves */
};

/* Measures once. 0, or negative errno after saying why on standard error. */
typedef int measure_fn(const struct bench *bench, double *ret_value);

#define RIVALS_MAX 3

struct contender {
	const char *name;
	const char *sentence;
	measure_fn *measure;
	const char *rivals[RIVALS_MAX]; /* of the same question: ratios to these are shown */
};

struct question {
	const char *name;
	const char *sentence;
	const char *unit;
	unsigned digits; /* behind the point, in the table */
	bool less_is_better;
	const struct contender *contenders;
	size_t contender_count;
};

extern const struct question question_round_trip;
extern const struct question question_in_flight;
extern const struct question question_idle;

/* The contender `cadre` of in_flight. */
int bench_in_flight(const struct bench *bench, double *ret_value);

/* ---- for those who measure ---- */

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* How many batches make one measurement; the first ones warm up and do not count. A batch
 * is shorter than a time slice, so that most are whole on a machine that is not idle. */
#define WARM_UP_BATCHES 10
#define BATCHES_MAX 256

static inline unsigned bench_batches(const struct bench *bench)
{
	return bench->quick ? 51 : 201;
}

int64_t bench_now_ns(void);

/* Binds the calling process to a CPU, for itself if that was wished; or lets it go. */
void bench_pin(const struct bench *bench, int cpu);
void bench_unpin(void);

/* Calls `batch` until enough is known, and says the median of what it returned. */
double bench_median_batch(const struct bench *bench, double (*batch)(void *context),
			  void *context);

#endif
