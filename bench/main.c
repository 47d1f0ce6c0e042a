/*
 * cadre-bench - how fast is Cadre, beside the limits of this machine and beside others?
 *
 * All contenders are measured in one run, in turn, bound to the same two CPUs, so that
 * their ratios mean something where the bare numbers of two runs would not. README.md says
 * how to read them.
 *
 * Exit status: 0 measured and all goals met, 1 not measured, 2 bad usage, 3 a goal missed.
 */
#include "ask.h"
#include "machine.h"
#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_DEFAULT 5
#define ROUNDS_QUICK 3
#define ROUNDS_MAX 1000
#define BUSY 0.5

struct options {
	struct bench bench;
	struct choice choice;
	const char *out; /* a directory */
	bool json;
	bool value; /* of one contender, as bare numbers */
};

static void print_usage(FILE *file)
{
	fprintf(file,
		"usage: cadre-bench [OPTION]...\n"
		"\n"
		"  --json           everything as JSON, each round included\n"
		"  --quick          fewer and shorter measurements, without the slowest rivals\n"
		"  --rounds N       rounds, at least 1 (default %d, with --quick %d)\n"
		"  --only LIST      these questions, with commas between them\n"
		"  --with LIST      these contenders, with commas between them\n"
		"  --list           the questions and their contenders\n"
		"  --out DIRECTORY  write there bench.json, and what gnuplot draws\n"
		"  --realtime       on a busy machine: others wait while we measure (needs root)\n"
		"\n"
		"Exit status: 0 measured and all goals met, 1 not measured, 2 bad usage,\n"
		"3 a goal missed.\n"
		"\n"
		"example: cadre-bench --json | jq '.goals'\n",
		ROUNDS_DEFAULT, ROUNDS_QUICK);
}

static void print_list(void)
{
	for (size_t i = 0; bench_questions[i]; i++) {
		const struct question *const question = bench_questions[i];

		printf("%s: %s\n", question->name, question->sentence);
		for (size_t j = 0; j < question->contender_count; j++)
			printf("  %s: %s\n", question->contenders[j].name,
			       question->contenders[j].sentence);
	}
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

/* Asked before minutes are spent on what could not be written. */
static bool takes_files(const char *directory)
{
	char inside[4096];

	snprintf(inside, sizeof(inside), "%s/.", directory);
	if (access(inside, W_OK | X_OK) == 0)
		return true;
	fprintf(stderr, "cadre-bench: --out %s: cannot write there: %s\n", directory,
		strerror(errno));
	return false;
}

static bool check(struct options *options, int argc, char *argv[])
{
	const char *unknown;

	if (optind < argc) {
		fprintf(stderr, "cadre-bench: \"%s\" is not an option\n", argv[optind]);
		return false;
	}
	if (!ask_knows(&options->choice, &unknown)) {
		fprintf(stderr,
			"cadre-bench: there is no question or contender \"%.*s\": --list "
			"shows them\n",
			(int)strcspn(unknown, ","), unknown);
		return false;
	}
	if (options->out && !takes_files(options->out))
		return false;
	if (options->bench.rounds == 0)
		options->bench.rounds = options->bench.quick ? ROUNDS_QUICK :
							       ROUNDS_DEFAULT;
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
		{ "with", required_argument, NULL, 'w' },
		{ "out", required_argument, NULL, 'd' },
		{ "realtime", no_argument, NULL, 'R' },
		{ "value", no_argument, NULL, 'v' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	*ret_status = EXIT_USAGE;
	while ((letter = getopt_long(argc, argv, "jqr:o:w:d:Rvlh", known, NULL)) >= 0) {
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
			options->choice.questions = optarg;
			break;
		case 'w':
			options->choice.contenders = optarg;
			break;
		case 'd':
			options->out = optarg;
			break;
		case 'R':
			options->bench.realtime = true;
			break;
		case 'v':
			options->value = true;
			break;
		case 'l':
		case 'h':
			if (letter == 'l')
				print_list();
			else
				print_usage(stdout);
			*ret_status = EXIT_MEASURED;
			return false;
		default:
			print_usage(stderr);
			return false;
		}
	}
	return check(options, argc, argv);
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

/* For one bench that asks another, built differently (peers/command.h): the columns of the
 * first contender. */
static void print_values(const struct run *run)
{
	const struct asked *const asked = &run->asked[0];

	printf("RESULT");
	for (size_t i = 0; i < asked->question->column_count; i++)
		printf(" %.17g", asked->answers[0].values[i]);
	printf("\n");
}

static int print_report(const struct options *options, struct run *run)
{
	int r = 0;

	if (options->value)
		print_values(run);
	else if (options->json)
		r = report_json(run, stdout);
	else
		report_tables(run);
	if (r == 0 && (fflush(stdout) == EOF || ferror(stdout)))
		r = -EIO;
	if (r < 0)
		fprintf(stderr, "cadre-bench: cannot write the report: %s\n",
			strerror(-r));
	return r;
}

/* What could not be written in one place may still be seen in the other. */
static int report(const struct options *options, struct run *run)
{
	const int printed = print_report(options, run);
	const int written = options->out ? report_files(run, options->out) : 0;

	return printed < 0 ? printed : written;
}

static bool is_a_goal_missed(const struct run *run)
{
	struct verdict verdict;

	for (size_t i = 0; i < bench_goal_count; i++) {
		if (asked_judge(run, &bench_goals[i], &verdict) && !verdict.met)
			return true;
	}
	return false;
}

static int refuse(void)
{
	fprintf(stderr,
		"cadre-bench: nothing to measure: none of these contenders is asked "
		"that (--list shows who is; --quick leaves out the slowest)\n");
	return EXIT_USAGE;
}

/* One that another bench asks (--value) measures in the turn of that. */
static bool may_hurry(const struct options *options)
{
	int r;

	if (!options->bench.realtime || options->value)
		return true;
	r = machine_take_turn();
	if (r == -EADDRINUSE)
		fprintf(stderr, "cadre-bench: cannot measure: another one does with "
				"--realtime, and neither would let the other go on; wait "
				"until it has ended\n");
	else if (r < 0)
		fprintf(stderr, "cadre-bench: cannot measure with --realtime: %s\n",
			strerror(-r));
	return r == 0;
}

static int measure(struct options *options, struct run *run)
{
	int r;

	if (!machine_choose_cpus(&options->bench)) {
		fprintf(stderr, "cadre-bench: cannot measure: needs two CPUs, one for the "
				"client and one for the worker\n");
		return EXIT_NOT_MEASURED;
	}
	if (!may_hurry(options))
		return EXIT_NOT_MEASURED;
	warn_if_busy(&options->bench);
	r = ask_all(run);
	if (r == 0)
		r = report(options, run);
	if (r < 0)
		return EXIT_NOT_MEASURED;
	return !options->value && is_a_goal_missed(run) ? EXIT_GOAL_MISSED : EXIT_MEASURED;
}

int main(int argc, char *argv[])
{
	struct options options = { .out = NULL };
	struct run run = { .bench = &options.bench };
	int status;

	if (!parse(argc, argv, &options, &status))
		return status;
	/* Whoever started us may have had it ignored: then nobody could await a child. */
	signal(SIGCHLD, SIG_DFL);
	status = ask_prepare(&run, &options.choice) ? measure(&options, &run) : refuse();
	ask_dispose(&run);
	return status;
}
