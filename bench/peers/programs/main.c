/*
 * cadre-bench-PEER QUESTION MESSENGER [--quick] [--realtime] - asks one peer one question and
 * prints RESULT and the value of each column, "nan" for what it cannot do; or ABSENT and why.
 *
 * Exit status: 0 said, 1 not measured, 2 bad usage.
 */
#include "machine.h"
#include "messengers.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_absent;

int bench_absent(const char *why)
{
	is_absent = true;
	printf("ABSENT %s\n", why);
	return -ENOTSUP;
}

static char place[32];

const char *messengers_place(void)
{
	return place;
}

struct asked {
	const char *name;
	measure_fn *measure;
	size_t columns;
};

static const struct asked *find_question(const char *name)
{
	static const uint32_t in_flight[] = BENCH_IN_FLIGHT;
	static const size_t sizes[] = BENCH_SIZES;
	static const struct asked questions[] = {
		{ "round_trip", messages_round_trip, 2 },
		{ "in_flight", messages_in_flight, COUNT_OF(in_flight) },
		{ "payload", messages_payload, COUNT_OF(sizes) },
	};

	for (size_t i = 0; i < COUNT_OF(questions); i++) {
		if (strcmp(questions[i].name, name) == 0)
			return &questions[i];
	}
	return NULL;
}

static const struct messenger *find_messenger(const char *name)
{
	for (const struct messenger *one = messengers; one->name; one++) {
		if (strcmp(one->name, name) == 0)
			return one;
	}
	return NULL;
}

static int refuse_usage(const char *program)
{
	fprintf(stderr,
		"usage: %s round_trip|in_flight|payload MESSENGER [--quick] "
		"[--realtime]\nmessengers:\n",
		program);
	for (const struct messenger *one = messengers; one->name; one++)
		fprintf(stderr, "  %s\n", one->name);
	return EXIT_USAGE;
}

int main(int argc, char *argv[])
{
	const struct asked *const question = argc > 1 ? find_question(argv[1]) : NULL;
	const struct messenger *const messenger = argc > 2 ? find_messenger(argv[2]) :
							     NULL;
	struct bench bench = { .rounds = 1 };
	double values[COLUMNS_MAX];
	int r;

	if (!question || !messenger)
		return refuse_usage(argv[0]);
	for (int i = 3; i < argc; i++) {
		bench.quick |= strcmp(argv[i], "--quick") == 0;
		bench.realtime |= strcmp(argv[i], "--realtime") == 0;
	}
	if (!machine_choose_cpus(&bench))
		return EXIT_NOT_MEASURED;
	for (size_t i = 0; i < COLUMNS_MAX; i++)
		values[i] = NAN;
	/* Before the two sides are forked, which shall know the same. */
	snprintf(place, sizeof(place), "cadre-bench.%d", (int)getpid());
	/* Whatever class we were started in, what we start begins in the usual one. */
	bench_unpin();
	r = question->measure(&bench, messenger, values);
	if (r < 0)
		return is_absent ? EXIT_MEASURED : EXIT_NOT_MEASURED;
	printf("RESULT");
	for (size_t i = 0; i < question->columns; i++)
		printf(" %g", values[i]);
	printf("\n");
	return EXIT_MEASURED;
}
