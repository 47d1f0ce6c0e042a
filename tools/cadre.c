/*
 * cadre - picks the command and runs it. It knows their names and nothing else of them.
 *
 * Exit status: that of the command; 64 when there is no such command.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#ifndef CADRE_VERSION
#define CADRE_VERSION "0.1.0"
#endif

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *sentence;
} commands[] = {
	{ "serve", cadre_cmd_serve, "run a pool: start workers, replace those that die" },
	{ "http", cadre_cmd_http, "answer HTTP requests with the workers of a pool" },
	{ "call", cadre_cmd_call, "submit one job and print its reply" },
	{ "map", cadre_cmd_map, "submit a job for each line or file, many at once" },
	{ "stat", cadre_cmd_stat, "show the counters of a pool" },
	{ "ctl", cadre_cmd_ctl,
	  "tell a pool what to do: drain, start, scale, reload, stop" },
	{ "top", cadre_cmd_top, "watch a pool on a terminal" },
	{ "check", cadre_cmd_check, "say whether the books of a pool balance" },
	{ "gc", cadre_cmd_gc, "remove what dead pools left in /dev/shm" },
};

static const char *const lines_of_help[] = {
	"",
	"  cadre COMMAND --help    options, exit status and examples of one command",
	"  cadre --version",
	"",
	"example:",
	"  cadre serve --name demo --workers 2 build/services/demo.so &",
	"  echo hello | cadre call demo echo",
};

static void print_help(FILE *out)
{
	fputs("usage: cadre COMMAND [ARGS]\n\n"
	      "Cadre is a crash-proof pool of worker processes over shared memory.\n\n",
	      out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-6s %s\n", commands[i].name, commands[i].sentence);
	for (size_t i = 0; i < sizeof(lines_of_help) / sizeof(lines_of_help[0]); i++)
		fprintf(out, "%s\n", lines_of_help[i]);
}

static int run_command(const char *name, int argc, char **argv)
{
	static char full_name[32]; /* argp wants it writable */

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		snprintf(full_name, sizeof(full_name), "cadre %s", name);
		argv[0] = full_name;
		return commands[i].run(argc, argv);
	}

	fprintf(stderr, "cadre: there is no command \"%s\" (see cadre --help)\n", name);
	return CADRE_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return CADRE_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0) {
		print_help(stdout);
		return CADRE_EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("cadre " CADRE_VERSION);
		return CADRE_EXIT_OK;
	}
	return run_command(argv[1], argc - 1, argv + 1);
}
