#include "ask.h"
#include "peers/futex_trip.h"
#include "peers/line.h"
#include "width.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what was chosen ---- */

static bool is_listed(const char *list, const char *name)
{
	const size_t length = strlen(name);

	for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		if (strncmp(at, name, length) == 0 && (!at[length] || at[length] == ','))
			return true;
	}
	return !list;
}

static bool is_question(const char *list)
{
	for (size_t i = 0; bench_questions[i]; i++) {
		if (is_listed(list, bench_questions[i]->name))
			return true;
	}
	return false;
}

static bool is_contender(const char *list)
{
	for (size_t i = 0; bench_questions[i]; i++) {
		for (size_t j = 0; j < bench_questions[i]->contender_count; j++) {
			if (is_listed(list, bench_questions[i]->contenders[j].name))
				return true;
		}
	}
	return false;
}

static bool knows_each(const char *list, bool (*is_one)(const char *),
		       const char **ret_unknown)
{
	char one[256];

	for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		snprintf(one, sizeof(one), "%.*s", (int)strcspn(at, ","), at);
		*ret_unknown = at;
		if (!is_one(one))
			return false;
	}
	return true;
}

bool ask_knows(const struct choice *choice, const char **ret_unknown)
{
	return knows_each(choice->questions, is_question, ret_unknown) &&
	       knows_each(choice->contenders, is_contender, ret_unknown);
}

static bool takes_part(const struct bench *bench, const struct choice *choice,
		       const struct contender *contender)
{
	if (choice->contenders)
		return is_listed(choice->contenders, contender->name);
	return !(bench->quick && contender->thorough);
}

/* ---- memory ---- */

static void *zeros(size_t count, size_t size)
{
	void *const memory = calloc(count + 1, size);

	if (!memory)
		abort();
	return memory;
}

static void forget(const struct asked *asked, struct answers *answers)
{
	for (size_t i = 0; i < asked->rounds * asked->question->column_count; i++)
		answers->values[i] = NAN;
}

static unsigned turns_of(const struct question *question)
{
	return question->turns ? question->turns : 1;
}

static void prepare(struct run *run, const struct choice *choice,
		    const struct question *question)
{
	struct asked *const asked = &run->asked[run->count];
	const unsigned rounds = run->bench->rounds, most = question->rounds_max;

	asked->question = question;
	asked->rounds = (most && most < rounds ? most : rounds) * turns_of(question);
	asked->answers = zeros(question->contender_count, sizeof(*asked->answers));
	for (size_t i = 0; i < question->contender_count; i++) {
		const size_t count = asked->rounds * question->column_count;
		struct answers *const answers = &asked->answers[asked->count];

		if (!takes_part(run->bench, choice, &question->contenders[i]))
			continue;
		answers->contender = &question->contenders[i];
		answers->values = zeros(count, sizeof(*answers->values));
		forget(asked, answers);
		asked->count++;
	}
	if (asked->count > 0)
		run->count++;
	else
		free(asked->answers);
}

void ask_dispose(struct run *run)
{
	for (size_t i = 0; i < run->count; i++) {
		for (size_t j = 0; j < run->asked[i].count; j++)
			free(run->asked[i].answers[j].values);
		free(run->asked[i].answers);
	}
	free(run->asked);
	free(run->calibrations);
}

/* ---- asking ---- */

static char why_absent[REASON_MAX];

int bench_absent(const char *why)
{
	snprintf(why_absent, sizeof(why_absent), "%s", why);
	return -ENOTSUP;
}

static void show_progress(const char *format, unsigned round, unsigned rounds,
			  const char *question, const char *contender)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, format, round + 1, rounds, question, contender);
}

static void clear_progress(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

int ask_one(const struct bench *bench, const struct question *question,
	    const struct contender *contender, double *ret_values)
{
	const int r = contender->measure(bench, contender->with, ret_values);

	bench_unpin();
	if (r < 0 && r != -ENOTSUP) {
		clear_progress();
		fprintf(stderr, "cadre-bench: cannot measure %s, %s: %s\n",
			question->name, contender->name, strerror(-r));
	}
	return r;
}

static bool is_ours(const struct contender *contender)
{
	return strncmp(contender->name, "cadre", strlen("cadre")) == 0;
}

/* It loses its whole row: what it said in earlier rounds, or before it failed, is forgotten,
 * so that no ratio and no goal is made of it. */
static void leave_out(const struct asked *asked, struct answers *answers)
{
	forget(asked, answers);
	memcpy(answers->absent, why_absent, sizeof(answers->absent));
}

static bool has_turn(const struct question *question, const struct contender *contender,
		     unsigned turn)
{
	return turn == 0 || contender < question->contenders + question->turning;
}

static int ask(const struct bench *bench, struct asked *asked, unsigned round)
{
	const struct question *const question = asked->question;
	const unsigned turns = turns_of(question);

	for (size_t i = 0; i < asked->count; i++) {
		struct answers *const answers = &asked->answers[i];
		int r;

		if (answers->absent[0] ||
		    !has_turn(question, answers->contender, round % turns))
			continue;
		show_progress("\r\033[Kround %u of %u: %s, %s", round / turns,
			      bench->rounds, question->name, answers->contender->name);
		r = ask_one(bench, question, answers->contender,
			    &answers->values[round * question->column_count]);
		/* A rival that fails ends its own row, and not the run. */
		if (r < 0 && r != -ENOTSUP && !is_ours(answers->contender))
			r = bench_absent("it failed (see standard error)");
		if (r == -ENOTSUP)
			leave_out(asked, answers);
		else if (r < 0)
			return r;
	}
	return 0;
}

static int calibrate(const struct bench *bench, struct calibration *calibration)
{
	int r = line_calibration(bench, &calibration->line_ns);

	if (r == 0)
		r = futex_trip(bench, &calibration->wake_ns);
	bench_unpin();
	calibration->client_width = width_of(bench, bench->client_cpu);
	calibration->worker_width = width_of(bench, bench->worker_cpu);
	if (r == 0 && isatty(STDERR_FILENO))
		fprintf(stderr,
			"\r\033[Kround: a cache line there and back %.0f ns, a wake-up "
			"%.1f us\n",
			calibration->line_ns, calibration->wake_ns / 1000);
	return r;
}

static int ask_round(struct run *run, unsigned round)
{
	int r = calibrate(run->bench, &run->calibrations[round]);

	for (size_t i = 0; r == 0 && i < run->count; i++) {
		struct asked *const asked = &run->asked[i];
		const unsigned turns = turns_of(asked->question);

		for (unsigned turn = 0; r == 0 && turn < turns; turn++) {
			if (round * turns + turn < asked->rounds)
				r = ask(run->bench, asked, round * turns + turn);
		}
	}
	return r;
}

bool ask_prepare(struct run *run, const struct choice *choice)
{
	size_t questions = 0;

	while (bench_questions[questions])
		questions++;
	run->calibrations = zeros(run->bench->rounds, sizeof(*run->calibrations));
	run->asked = zeros(questions, sizeof(*run->asked));
	for (size_t i = 0; i < questions; i++) {
		if (is_listed(choice->questions, bench_questions[i]->name))
			prepare(run, choice, bench_questions[i]);
	}
	return run->count > 0;
}

int ask_all(struct run *run)
{
	int r = 0;

	for (unsigned round = 0; r == 0 && round < run->bench->rounds; round++)
		r = ask_round(run, round);
	clear_progress();
	return r;
}
