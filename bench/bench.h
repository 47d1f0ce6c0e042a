/*
 * bench.h - questions, and those who compete to answer them.
 *
 * A question is asked in rounds: A B C, A B C, ... so that whatever disturbs the machine
 * for a while disturbs all of them. Each contender measures once per round and says one
 * number for each column of the question; ratios are made within a round, then medians over
 * the rounds.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAYLOAD 64 /* bytes of a job, there and back */
#define BENCH_IN_FLIGHT       \
	{                     \
		1, 8, 64, 256 \
	}
#define IN_FLIGHT_MAX 256
#define BENCH_SIZES                                                \
	{                                                          \
		64, 1024, 64 * 1024, 1024 * 1024, 16 * 1024 * 1024 \
	}
#define BENCH_SIZE_MAX (16 * 1024 * 1024)

struct bench {
	unsigned rounds;
	bool quick;
	int client_cpu;
	int worker_cpu;
	bool realtime; /* client and worker have their CPUs for themselves */
};

#define COLUMNS_MAX 12

/* One figure that each contender of a question says. */
struct column {
	const char *name; /* in the table's head, as a key in JSON, in goals */
	const char *unit;
	unsigned digits; /* behind the point, in the table */
};

/* Measures once and fills in the columns that it knows; the others stay NAN. `with` is the
 * contender's. 0; -ENOTSUP when the contender is not to be had here (a package is missing, a
 * kernel refuses), after saying why by bench_absent; or another negative errno after saying
 * why on standard error: a rival loses its row then, and one whose name begins with "cadre"
 * ends the run. Leaves no process behind; the engine undoes bench_pin. */
typedef int measure_fn(const struct bench *bench, const void *with, double *ret_values);

#define RIVALS_MAX 3

struct contender {
	const char *name;
	const char *sentence;
	measure_fn *measure;
	const void *with;               /* may be NULL */
	const char *rivals[RIVALS_MAX]; /* of the same question: ratios to these are shown */
	bool thorough;                  /* left out by --quick */
};

struct question {
	const char *name;
	const char *sentence;
	const struct column *columns;
	size_t column_count; /* 1 .. COLUMNS_MAX */
	size_t ratio_column; /* the one whose ratios to rivals the table shows */
	bool less_is_better;
	unsigned rounds_max; /* 0: as many as the run has. For those that take long */
	/* The first `turning` contenders, which are quick, are asked so often in each round, in
	 * turn, and the others with the first turn: where the CPUs move within seconds, three
	 * rounds make no median. 0: once, like all. */
	unsigned turns;
	size_t turning;
	const struct contender *contenders;
	size_t contender_count;
};

/* In the order in which they are asked; ends with NULL (questions.c). */
extern const struct question *const bench_questions[];

/* ---- goals (goals.c) ---- */

/* One figure: of which question, contender, column. */
struct figure {
	const char *question;
	const char *contender;
	const char *column;
};

#define FLOORS_MAX 2

/* measured / beside (within each round; then the median), or measured itself when
 * beside.question is NULL, is at most or at least `limit`. */
struct goal {
	const char *name; /* short, unique: a key in JSON */
	const char *sentence;
	struct figure measured;
	struct figure beside;
	bool at_least;
	double limit;
	/* Contenders of the measured question, each a part of what is measured, by itself: shown
	 * in the same column, beside the same figure. */
	const char *floors[FLOORS_MAX];
};

extern const struct goal bench_goals[];
extern const size_t bench_goal_count;

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

/* How often something that takes so long is to be done in one batch, at most `most` times. */
static inline uint32_t bench_fit_batch(double each_ns, uint32_t most)
{
	const double count = 500000 / each_ns;

	if (count < 1)
		return 1;
	return count < most ? (uint32_t)count : most;
}

int64_t bench_now_ns(void);

/* Sleeps. */
void bench_rest(double seconds);

/* Binds the calling process to a CPU, for itself if that was wished; or lets it go. */
void bench_pin(const struct bench *bench, int cpu);
void bench_unpin(void);

/* Lets the calling process, which is about to become another program, run on any CPU; before
 * others, if that was wished, so that it has what client and worker have. */
void bench_set_free(const struct bench *bench);

/* For those who run wherever the kernel likes: before all others if that was wished. */
void bench_hurry(const struct bench *bench);

/* As fork; the child is killed when this process ends, however it ends. */
pid_t bench_fork(void);

/* Keeps the CPUs of client and worker from halting, by processes of the lowest class that
 * run only when nobody else wants to; a wake-up then costs no leaving of a sleep state.
 * bench_let_halt ends them. 0, or negative errno. */
struct awake {
	int pids[2];
};
int bench_keep_awake(const struct bench *bench, struct awake *ret_awake);
void bench_let_halt(const struct awake *awake);

/* Says why the contender that is asked is not here; -ENOTSUP. */
int bench_absent(const char *why);

/* Calls `batch` until enough is known, and says the median of what it returned. */
double bench_median_batch(const struct bench *bench, double (*batch)(void *context),
			  void *context);

/* The same for batches that may take long: it asks for as many as fit into the time that
 * one size of the question `payload` has, but for five at least. */
double bench_median_of_long(const struct bench *bench, double (*batch)(void *context),
			    void *context);

/* Does `trip` once, some 10,000 times (fewer with --quick), each timed by itself. Says the
 * quantile (0.999 for p99.9), in ns. */
double bench_quantile_trip(const struct bench *bench, void (*trip)(void *context),
			   void *context, double quantile);

#endif
