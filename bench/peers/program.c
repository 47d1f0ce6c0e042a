#include "program.h"
#include "command.h"

#include <stdio.h>

static int ask(const struct bench *bench, const struct program *program,
	       const char *question, double *ret_values, size_t count)
{
	char path[4096], why[128];
	const char *argv[4 + COMMAND_MANNERS] = { path, question, program->messenger };

	if (!command_find_own(program->peer, path, sizeof(path))) {
		snprintf(why, sizeof(why), "built without %s", program->package);
		return bench_absent(why);
	}
	command_add_manners(bench, argv);
	return command_ask(bench, "", argv, ret_values, count);
}

int program_round_trip(const struct bench *bench, const void *with, double *ret_values)
{
	return ask(bench, with, "round_trip", ret_values, 2);
}

int program_in_flight(const struct bench *bench, const void *with, double *ret_values)
{
	static const uint32_t in_flight[] = BENCH_IN_FLIGHT;

	return ask(bench, with, "in_flight", ret_values, COUNT_OF(in_flight));
}

int program_payload(const struct bench *bench, const void *with, double *ret_values)
{
	static const size_t sizes[] = BENCH_SIZES;

	return ask(bench, with, "payload", ret_values, COUNT_OF(sizes));
}
