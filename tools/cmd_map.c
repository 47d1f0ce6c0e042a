/*
 * cadre map - a job for each line of standard input, or for each file, many at once.
 *
 * This file reads the arguments; how inputs become jobs and jobs become lines is map.c.
 * It starts no workers: how many inputs are worked on at the same time is up to the pool.
 *
 * Exit status: 0 every job ended ok, 1 some did not, 2 the pool cannot be used, 64 wrong
 * arguments; 130 after SIGINT, 143 after SIGTERM, 141 when the reader of the output left.
 */
#include "commands.h"
#include "map.h"
#include "options.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IN_FLIGHT_MAX 65536

struct options {
	struct cadre_map_command map;
	enum { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER } progress;
	bool retries_given;
};

enum {
	OPT_IN_FLIGHT = 256,
	OPT_ONCE,
	OPT_PRINT0,
	OPT_PROGRESS,
	OPT_RETRIES,
	OPT_SUMMARY,
	OPT_TIMEOUT,
	OPT_UNORDERED,
	OPT_WITH_INPUT,
};

static const struct argp_option argp_options[] = {
	{ "null", '0', NULL, 0, "Inputs end in NUL instead of newline", 1 },
	{ "print0", OPT_PRINT0, NULL, 0, "Results end in NUL instead of newline", 1 },
	{ "with-input", OPT_WITH_INPUT, NULL, 0,
	  "Print \"REPLY  INPUT\", as sha256sum does", 1 },
	{ "unordered", OPT_UNORDERED, NULL, 0,
	  "Print results as they come instead of in the order of the inputs", 1 },

	{ "in-flight", OPT_IN_FLIGHT, "N", 0,
	  "Jobs under way at once, at most (default and limit: the pool's --slots)", 2 },
	{ "retries", OPT_RETRIES, "N", 0,
	  "Tries after the first of a job whose worker died, 0 to 15 (default 3)", 2 },
	{ "once", OPT_ONCE, NULL, 0, "Never run a job again: it may not be repeated", 2 },
	{ "timeout", OPT_TIMEOUT, "DURATION", 0,
	  "Deadline of each job, counted from its submission", 2 },

	{ "progress", OPT_PROGRESS, "WHEN", 0,
	  "auto: a bar when standard error is a terminal and standard output is none "
	  "(default); always; never",
	  3 },
	{ "summary", OPT_SUMMARY, NULL, 0, "End with a line of totals on standard error",
	  3 },
	{ 0 },
};

static const char documentation[] =
	"Submits one job to POOL for each line of standard input, whose payload is the line; or "
	"one for each FILE, whose payload is its content. Prints each reply and a newline, in the "
	"order of the inputs.\v"
	"A job that does not end ok is reported on standard error, and the others go on. A job "
	"whose worker died is run again, unless --once is given. SIGINT stops submitting, waits "
	"a second for what is under way, and gives up the rest.\n\n"
	"Exit status: 0 every job ended ok; 1 some did not; 2 the pool cannot be used; 64 wrong "
	"arguments; 130 after SIGINT.\n\n"
	"Examples:\n"
	"  find /usr/share -type f -print0 | cadre map digest file --null --with-input\n"
	"  cadre map digest sha256 --with-input *.c\n"
	"  seq 1000 | cadre map demo echo --unordered --summary > /dev/null";

static void parse_progress(struct options *options, const struct argp_state *state,
			   const char *text)
{
	if (strcmp(text, "auto") == 0)
		options->progress = PROGRESS_AUTO;
	else if (strcmp(text, "always") == 0)
		options->progress = PROGRESS_ALWAYS;
	else if (strcmp(text, "never") == 0)
		options->progress = PROGRESS_NEVER;
	else
		cadre_refuse_usage(state, "--progress %s: must be auto, always or never",
				   text);
}

static error_t parse_argument(struct options *options, char *arg, struct argp_state *state)
{
	if (state->arg_num == 0) {
		options->map.pool = arg;
		return 0;
	}
	if (state->arg_num == 1) {
		options->map.operation = arg;
		return 0;
	}
	return ARGP_ERR_UNKNOWN; /* comes back as ARGP_KEY_ARGS, with all that are left */
}

static void check(const struct options *options, const struct argp_state *state)
{
	if (!options->map.operation)
		cadre_refuse_usage(state, "a pool and an operation must be given "
					  "(see cadre map --help)");
	if (options->map.once && options->map.retries > 0)
		cadre_refuse_usage(state, "--retries %u: contradicts --once",
				   options->map.retries);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *const options = state->input;
	struct cadre_map_command *const map = &options->map;

	switch (key) {
	case '0':
		map->separator = '\0';
		return 0;
	case OPT_PRINT0:
		map->terminator = '\0';
		return 0;
	case OPT_WITH_INPUT:
		map->with_input = true;
		return 0;
	case OPT_UNORDERED:
		map->unordered = true;
		return 0;
	case OPT_IN_FLIGHT:
		map->in_flight = cadre_option_number(state, "--in-flight", arg, 1,
						     IN_FLIGHT_MAX);
		return 0;
	case OPT_RETRIES:
		map->retries = cadre_option_number(state, "--retries", arg, 0, 15);
		options->retries_given = true;
		return 0;
	case OPT_ONCE:
		map->once = true;
		return 0;
	case OPT_TIMEOUT:
		map->timeout_ns = cadre_option_duration(state, "--timeout", arg);
		return 0;
	case OPT_PROGRESS:
		parse_progress(options, state, arg);
		return 0;
	case OPT_SUMMARY:
		map->summary = true;
		return 0;
	case ARGP_KEY_ARG:
		return parse_argument(options, arg, state);
	case ARGP_KEY_ARGS:
		map->files = state->argv + state->next;
		map->file_count = (size_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		check(options, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.args_doc = "POOL OPERATION [FILE...]",
	.doc = documentation,
};

static bool wants_progress(const struct options *options)
{
	if (options->progress != PROGRESS_AUTO)
		return options->progress == PROGRESS_ALWAYS;
	return isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) == 0;
}

static int map(const struct options *options, struct cadre_client *client)
{
	const uint32_t window = cadre_client_window(client);
	int32_t operation;

	if (options->map.in_flight > window) {
		fprintf(stderr,
			"cadre map: --in-flight %u: pool \"%s\" allows a client %u jobs\n",
			options->map.in_flight, options->map.pool, window);
		return CADRE_EXIT_USAGE;
	}
	operation = cadre_find_operation("cadre map", options->map.pool, client,
					 options->map.operation);
	if (operation < 0)
		return CADRE_EXIT_POOL;
	return cadre_map_run(&options->map, client, operation);
}

int cadre_cmd_map(int argc, char **argv)
{
	struct options options = { .map = { .separator = '\n', .terminator = '\n' } };
	struct cadre_client *client;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	options.map.progress = wants_progress(&options);
	/* To the library, zero retries mean its default. */
	if (options.retries_given && options.map.retries == 0)
		options.map.once = true;

	status = cadre_attach_to("cadre map", options.map.pool, &client);
	if (status != CADRE_EXIT_OK)
		return status;
	status = map(&options, client);
	cadre_client_detach(client);
	return status;
}
