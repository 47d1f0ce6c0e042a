/*
 * proc_tools.c - claims about the program `cadre` as a whole. Each of its commands has tests of
 * its own: proc_tools_call.c, proc_tools_map.c, proc_tools_serve.c, proc_ctl.c, proc_stat.c
 * (with gc), proc_top.c, proc_check.c, http/.
 */
#include "commands.h"

static const char *const every_command[] = { "serve", "call",  "map", "stat", "ctl",
					     "top",   "check", "gc",  "http" };
#define COMMANDS (sizeof(every_command) / sizeof(every_command[0]))

Test(cadre, help_names_each_command, .init = prepare, .fini = clean_up)
{
	const struct run run = cadre("", "--help", NULL);

	expect_status(&run, 0);
	for (size_t i = 0; i < COMMANDS; i++)
		cr_expect_not_null(strstr(run.out.data, every_command[i]));
	cr_expect_eq(run.err.length, 0);
}

Test(cadre, each_help_shows_an_example_and_the_exit_status, .init = prepare,
     .fini = clean_up)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *const command = every_command[i];
		const struct run run = cadre("", command, "--help", NULL);

		expect_status(&run, 0);
		cr_expect_not_null(strstr(run.out.data, "Example"), "%s", command);
		cr_expect_not_null(strstr(run.out.data, "Exit status"), "%s", command);
	}
}

Test(cadre, an_unknown_command_is_wrong_usage, .init = prepare, .fini = clean_up)
{
	const struct run run = cadre("", "frobnicate", NULL);

	expect_status(&run, 64);
	expect_sentence(&run, "cadre: ", "\"frobnicate\"");
}

Test(cadre, a_missing_pool_and_a_name_that_cannot_be_one_end_each_command_alike,
     .init = prepare, .fini = clean_up)
{
	static const char *const commands[][2] = {
		{ "stat", NULL },   { "check", NULL }, { "ctl", "status" },
		{ "call", "echo" }, { "map", "echo" },
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *const command = commands[i][0], *const more = commands[i][1];
		const struct run missing = cadre("", command, "no-such-pool", more, NULL);
		const struct run impossible = cadre("", command, "not/a/name", more, NULL);

		expect_status(&missing, 2);
		expect_mention(&missing, "no-such-pool");
		expect_status(&impossible, 64);
		expect_mention(&impossible, "not/a/name");
	}
}

Test(cadre, version_is_one_line, .init = prepare, .fini = clean_up)
{
	const struct run run = cadre("", "--version", NULL);

	expect_status(&run, 0);
	cr_expect_eq(strncmp(run.out.data, "cadre ", 6), 0);
}
