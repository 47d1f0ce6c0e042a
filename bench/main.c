/*
 * cadre-bench - how fast is Cadre, beside the limits of this machine?
 *
 * All contenders are measured in one run, in turn, bound to the same two CPUs, so that
 * their ratios mean something where the bare numbers of two runs would not. README.md says
 * how to read them.
 *
 * Exit status: 0 measured, 1 not measured, 2 bad usage.
 */
#include "bench.h"
#include "report.h"
#include "sample.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_MEASURED = 0, EXIT_NOT_MEASURED = 1, EXIT_USAGE = 2 };

#define ROUNDS_DEFAULT 5
#define ROUNDS_QUICK 3
#define ROUNDS_MAX 1000
#define BUSY 0.5

static const struct question *const questions[] = {
	&question_round_trip,
	&question_in_flight,
	&question_idle,
};

/* ---- CPUs and time ---- */

static cpu_set_t all_cpus;

static void refuse(const char *what, int cpu)
{
	fprintf(stderr, "cadre-bench: cannot %s CPU %d: %s\n", what, cpu, strerror(errno));
	exit(EXIT_NOT_MEASURED);
}

void bench_pin(const struct bench *bench, int cpu)
{
	const struct sched_param lowest = { .sched_priority = 1 };
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		refuse("run on", cpu);
	if (bench->realtime && sched_setscheduler(0, SCHED_FIFO, &lowest) < 0)
		refuse("have real-time priority on", cpu);
}

void bench_unpin(void)
{
	const struct sched_param none = { .sched_priority = 0 };

	sched_setscheduler(0, SCHED_OTHER, &none);
	sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
}

/* The first two that we may use. */
static bool choose_cpus(struct bench *bench)
{
	int found[2], count = 0;

	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus) < 0)
		return false;
	for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++) {
		if (CPU_ISSET((unsigned)cpu, &all_cpus))
			found[count++] = cpu;
	}
	if (count < 2)
		return false;
	bench->client_cpu = found[0];
	bench->worker_cpu = found[1];
	return true;
}

int64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

double bench_median_batch(const struct bench *bench, double (*batch)(void *context),
			  void *context)
{
	const unsigned count = bench_batches(bench);
	double values[BATCHES_MAX];

	for (unsigned i = 0; i < WARM_UP_BATCHES; i++)
		batch(context);
	for (unsigned i = 0; i < count; i++)
		values[i] = batch(context);
	return sample_of(values, count).median;
}

/* ---- asking ---- */

static struct asked prepare(const struct bench *bench, const struct question *question)
{
	struct asked asked = { .question = question };

	asked.answers = calloc(question->contender_count, sizeof(*asked.answers));
	if (!asked.answers)
		abort();
	for (size_t i = 0; i < question->contender_count; i++) {
		asked.answers[i].contender = &question->contenders[i];
		asked.answers[i].values = calloc(bench->rounds, sizeof(double));
		if (!asked.answers[i].values)
			abort();
	}
	return asked;
}

static void dispose(struct asked *asked)
{
	for (size_t i = 0; i < asked->question->contender_count; i++)
		free(asked->answers[i].values);
	free(asked->answers);
}

static void show_progress(unsigned round, unsigned rounds, const char *question,
			  const char *contender)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[Kround %u of %u: %s, %s", round + 1, rounds,
			question, contender);
}

static void clear_progress(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

static int ask(const struct bench *bench, struct asked *asked, unsigned round)
{
	for (size_t i = 0; i < asked->question->contender_count; i++) {
		const struct contender *const contender = asked->answers[i].contender;
		int r;

		show_progress(round, bench->rounds, asked->question->name,
			      contender->name);
		r = contender->measure(bench, &asked->answers[i].values[round]);
		bench_unpin();
		if (r < 0) {
			clear_progress();
			fprintf(stderr, "cadre-bench: cannot measure %s, %s: %s\n",
				asked->question->name, contender->name, strerror(-r));
			return r;
		}
	}
	return 0;
}

static int ask_all(const struct bench *bench, struct asked *asked, size_t count)
{
	for (unsigned round = 0; round < bench->rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			const int r = ask(bench, &asked[i], round);

			if (r < 0)
				return r;
		}
	}
	clear_progress();
	return 0;
}

/* Who spins for a peer that has no CPU measures the other load of the machine. */
static void warn_if_busy(const struct bench *bench)
{
	double load;

	if (!bench->realtime && getloadavg(&load, 1) == 1 && load > BUSY)
		fprintf(stderr,
			"cadre-bench: this machine is busy (load average %.1f): expect noise, "
			"or use --realtime\n",
			load);
}

/* ---- the command line ---- */

struct options {
	struct bench bench;
	const char *only;
	bool json;
	bool value; /* of the first question and its contender `cadre`, as a bare number */
};

static void print_usage(FILE *file)
{
	fprintf(file,
		"usage: cadre-bench [--json] [--quick] [--rounds N] [--only QUESTION] "
		"[--realtime]\n"
		"\n"
		"  --json           everything as JSON, each round included\n"
		"  --quick          fewer and shorter measurements, for a first look\n"
		"  --rounds N       rounds, at least 1 (default %d, with --quick %d)\n"
		"  --only QUESTION  round_trip, in_flight or idle\n"
		"  --realtime       on a busy machine: others wait while we measure (needs root)\n"
		"\n"
		"example: cadre-bench --json | jq "
		"'.questions.round_trip.contenders.cadre.ratio_to'\n",
		ROUNDS_DEFAULT, ROUNDS_QUICK);
}

static bool is_question(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(questions); i++) {
		if (strcmp(questions[i]->name, name) == 0)
			return true;
	}
	return false;
}

static bool parse_rounds(const char *text, unsigned *ret_rounds)
{
	char *end;
	const unsigned long rounds = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "cadre-bench: --rounds %s: must be 1 to %d\n", text,
			ROUNDS_MAX);
		return false;
	}
	*ret_rounds = (unsigned)rounds;
	return true;
}

/* False when there is nothing to measure; then *ret_status is the exit status. */
static bool parse(int argc, char *argv[], struct options *options, int *ret_status)
{
	static const struct option known[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "quick", no_argument, NULL, 'q' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "only", required_argument, NULL, 'o' },
		{ "realtime", no_argument, NULL, 'R' },
		{ "value", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	*ret_status = EXIT_USAGE;
	while ((letter = getopt_long(argc, argv, "jqr:o:Rvh", known, NULL)) >= 0) {
		switch (letter) {
		case 'j':
			options->json = true;
			break;
		case 'q':
			options->bench.quick = true;
			break;
		case 'r':
			if (!parse_rounds(optarg, &options->bench.rounds))
				return false;
			break;
		case 'o':
			options->only = optarg;
			break;
		case 'R':
			options->bench.realtime = true;
			break;
		case 'v':
			options->value = true;
			break;
		case 'h':
			print_usage(stdout);
			*ret_status = EXIT_MEASURED;
			return false;
		default:
			print_usage(stderr);
			return false;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "cadre-bench: \"%s\" is not an option\n", argv[optind]);
		return false;
	}
	if (options->only && !is_question(options->only)) {
		fprintf(stderr,
			"cadre-bench: --only %s: the questions are round_trip, in_flight and "
			"idle\n",
			options->only);
		return false;
	}
	if (options->bench.rounds == 0)
		options->bench.rounds = options->bench.quick ? ROUNDS_QUICK :
							       ROUNDS_DEFAULT;
	return true;
}

/* For one bench that asks another, built differently. */
static int print_value(const struct bench *bench)
{
	double value;
	const int r = bench_in_flight(bench, &value);

	bench_unpin();
	if (r < 0)
		return EXIT_NOT_MEASURED;
	printf("%.17g\n", value);
	return fflush(stdout) == EOF ? EXIT_NOT_MEASURED : EXIT_MEASURED;
}

static int report(const struct options *options, const struct asked *asked, size_t count)
{
	if (options->json)
		return report_json(&options->bench, asked, count);
	report_table(&options->bench, asked, count);
	return fflush(stdout) == EOF ? -EIO : 0;
}

int main(int argc, char *argv[])
{
	struct options options = { .only = NULL };
	struct asked asked[COUNT_OF(questions)];
	size_t count = 0;
	int status, r;

	if (!parse(argc, argv, &options, &status))
		return status;
	if (!choose_cpus(&options.bench)) {
		fprintf(stderr, "cadre-bench: cannot measure: needs two CPUs, one for the "
				"client and one for the worker\n");
		return EXIT_NOT_MEASURED;
	}
	if (options.value)
		return print_value(&options.bench);

	warn_if_busy(&options.bench);
	for (size_t i = 0; i < COUNT_OF(questions); i++) {
		if (!options.only || strcmp(options.only, questions[i]->name) == 0)
			asked[count++] = prepare(&options.bench, questions[i]);
	}
	r = ask_all(&options.bench, asked, count);
	if (r == 0) {
		r = report(&options, asked, count);
		if (r < 0)
			fprintf(stderr, "cadre-bench: cannot write the report: %s\n",
				strerror(-r));
	}
	for (size_t i = 0; i < count; i++)
		dispose(&asked[i]);
	return r < 0 ? EXIT_NOT_MEASURED : EXIT_MEASURED;
}
