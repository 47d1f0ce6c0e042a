#include "report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_WIDTH 22
#define CELL_WIDTH 16

/* ---- tables ---- */

static void print_cell(const struct column *column, struct sample sample)
{
	char text[64];

	if (isnan(sample.median)) {
		printf("%*s", CELL_WIDTH, "-");
		return;
	}
	snprintf(text, sizeof(text), "%.*f", (int)column->digits, sample.median);
	printf("%*s", CELL_WIDTH - 5, text);
	/* Half of the rounds lie within this distance of each other's middle. */
	if (sample.median != 0)
		printf(" ±%2.0f%%", 50 * (sample.p75 - sample.p25) / sample.median);
	else
		printf("%5s", "");
}

static void print_ratios(const struct asked *asked, const struct answers *answers)
{
	const char *const *const rivals = answers->contender->rivals;
	const size_t column = asked->question->ratio_column;
	const char *between = "   ";

	for (unsigned i = 0; i < RIVALS_MAX && rivals[i]; i++) {
		const struct answers *const rival = asked_answers(asked, rivals[i]);
		struct sample ratio;

		if (!rival || rival->absent[0])
			continue;
		ratio = asked_ratio(asked, answers, column, asked, rival, column);
		if (isnan(ratio.median))
			continue; /* no round in which both were measured */
		printf("%s%.2f x %s", between, ratio.median, rivals[i]);
		between = ", ";
	}
}

static void print_heads(const struct question *question)
{
	printf("  %-*s", NAME_WIDTH, "");
	for (size_t i = 0; i < question->column_count; i++) {
		const struct column *const column = &question->columns[i];
		char head[64];

		snprintf(head, sizeof(head), "%s %s", column->name, column->unit);
		printf("%*s", CELL_WIDTH, head);
	}
	printf("\n");
}

static void print_row(const struct asked *asked, const struct answers *answers)
{
	const struct question *const question = asked->question;

	printf("  %-*s", NAME_WIDTH, answers->contender->name);
	if (answers->absent[0]) {
		printf("   not here: %s\n", answers->absent);
		return;
	}
	for (size_t i = 0; i < question->column_count; i++)
		print_cell(&question->columns[i], asked_sample(asked, answers, i));
	print_ratios(asked, answers);
	printf("\n");
}

static void print_question(const struct asked *asked)
{
	printf("%s\n", asked->question->sentence);
	print_heads(asked->question);
	for (size_t i = 0; i < asked->count; i++)
		print_row(asked, &asked->answers[i]);
	for (size_t i = 0; i < asked->count; i++)
		printf("    %s: %s\n", asked->answers[i].contender->name,
		       asked->answers[i].contender->sentence);
	printf("\n");
}

/* ---- goals ---- */

static void print_goal(const struct run *run, const struct goal *goal)
{
	struct verdict verdict;

	if (!asked_judge(run, goal, &verdict)) {
		printf("  %-22s %9s   %s %-7g %s: %s\n", goal->name, "-",
		       goal->at_least ? ">=" : "<=", goal->limit, "not measured",
		       goal->sentence);
		return;
	}
	printf("  %-22s %9.3f   %s %-7g %s: %s", goal->name, verdict.sample.median,
	       goal->at_least ? ">=" : "<=", goal->limit,
	       verdict.met ? "met         " : "MISSED      ", goal->sentence);
	for (size_t i = 0; i < FLOORS_MAX; i++) {
		if (!isnan(verdict.floors[i]))
			printf("; %s %.3f", goal->floors[i], verdict.floors[i]);
	}
	printf("\n");
}

static void print_calibrations(const struct run *run)
{
	for (unsigned i = 0; i < run->bench->rounds; i++)
		printf("round %u: a cache line there and back %.0f ns, a wake-up there and "
		       "back %.1f us, additions in a cycle %.1f and %.1f\n",
		       i + 1, run->calibrations[i].line_ns,
		       run->calibrations[i].wake_ns / 1000,
		       run->calibrations[i].client_width,
		       run->calibrations[i].worker_width);
	printf("(a CPU that does two thirds of the additions of its best round shares its "
	       "core: what takes\ninstructions is slower then, what takes lines is not)\n");
}

void report_tables(const struct run *run)
{
	for (size_t i = 0; i < run->count; i++)
		print_question(&run->asked[i]);
	print_calibrations(run);
	printf("client on CPU %d, worker on CPU %d; ±: half of the distance between the "
	       "quartiles of the rounds\n\n",
	       run->bench->client_cpu, run->bench->worker_cpu);
	printf("Goals:\n");
	for (size_t i = 0; i < bench_goal_count; i++) {
		if (asked_find(run, bench_goals[i].measured.question))
			print_goal(run, &bench_goals[i]);
	}
}

/* ---- plots ---- */

static void write_value(FILE *file, double value)
{
	if (isnan(value))
		fprintf(file, "\t?");
	else
		fprintf(file, "\t%.9g", value);
}

static void write_question(FILE *file, const struct asked *asked)
{
	const struct question *const question = asked->question;

	fprintf(file, "# %s\n\"contender\"", question->sentence);
	for (size_t i = 0; i < question->column_count; i++)
		fprintf(file, "\t\"%s\"\t\"p25\"\t\"p75\"", question->columns[i].name);
	for (size_t row = 0; row < asked->count; row++) {
		fprintf(file, "\n\"%s\"", asked->answers[row].contender->name);
		for (size_t i = 0; i < question->column_count; i++) {
			const struct sample sample = asked_sample(asked,
								  &asked->answers[row], i);

			write_value(file, sample.median);
			write_value(file, sample.p25);
			write_value(file, sample.p75);
		}
	}
	fprintf(file, "\n");
}

static int cannot_write(const char *path, int error)
{
	fprintf(stderr, "cadre-bench: cannot write %s: %s\n", path, strerror(-error));
	return error;
}

/* A file of that directory: of one question, or of all. */
static int write_file(const char *directory, const char *name, const char *ending,
		      const struct run *run, const struct asked *asked)
{
	char path[4096];
	FILE *file;
	int r = 0;

	snprintf(path, sizeof(path), "%s/%s.%s", directory, name, ending);
	file = fopen(path, "we");
	if (!file)
		return cannot_write(path, -errno);
	if (asked)
		write_question(file, asked);
	else
		r = report_json(run, file);
	if (fclose(file) == EOF && r == 0)
		r = -EIO;
	return r < 0 ? cannot_write(path, r) : 0;
}

int report_files(const struct run *run, const char *directory)
{
	int r = write_file(directory, "bench", "json", run, NULL);

	for (size_t i = 0; i < run->count && r == 0; i++)
		r = write_file(directory, run->asked[i].question->name, "dat", run,
			       &run->asked[i]);
	return r;
}
