/*
 * cadre check - say whether the books of a pool balance.
 *
 * Read-only: it maps the segment without write permission, so it can neither slow the pool
 * down nor damage it, and it works on the remains of a dead one. What is wrong the library
 * decides; this file prints what it says, and the sums in one sentence.
 *
 * With --refused it shows the requests of jobs that were refused, and does not check.
 *
 * Exit status: 0 all is well; 1 something does not balance, or the report cannot be
 * written; 2 pool missing or unreadable; 64 wrong arguments.
 */
#include "commands.h"
#include "options.h"
#include "refused.h"

#include <cadre/check.h>

#include <errno.h>
#include <stdio.h>

struct options {
	const char *pool;
	bool quiet;
	bool lists_refused;
	bool writes_refused;
	uint64_t refused; /* id */
};

static const struct argp_option argp_options[] = {
	{ "quiet", 'q', NULL, 0, "Print findings only, and nothing when there is none", 0 },
	{ "refused", 'r', "ID", OPTION_ARG_OPTIONAL,
	  "Do not check; list the last jobs that were refused because workers died of them. "
	  "With --refused=ID write the request of that one to standard output",
	  0 },
	{ 0 },
};

static const char documentation[] =
	"Walks the segment of POOL, which may be alive or dead, and says whether its books "
	"balance.\v"
	"One line is printed for each thing that is wrong: a slot whose word cannot be, or "
	"does not fit what was booked; a job that nobody looks after; a block of a job that "
	"is not there; a place whose process has died and is not mended. What changes while "
	"one looks is looked at again, so a finding takes up to three seconds. What only "
	"waits for the next supervisor of a dead pool is no finding. The last line holds the "
	"sums.\n\n"
	"Of refused jobs the last 8 requests are kept in the segment, each up to 128 KiB; a "
	"longer one is cut, which is said on standard error.\n\n"
	"Exit status: 0 all is well; 1 something does not balance, there is no such request, "
	"or the report cannot be written; 2 pool missing or unreadable; 64 wrong arguments.\n\n"
	"Examples:\n"
	"  cadre check --quiet orders || echo damaged\n"
	"  cadre check --refused=3 orders > poison.bin";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *const options = state->input;

	switch (key) {
	case 'q':
		options->quiet = true;
		return 0;
	case 'r':
		options->lists_refused = true;
		if (!arg)
			return 0;
		if (!cadre_parse_number(arg, 0, UINT64_MAX, &options->refused))
			cadre_refuse_usage(state, "--refused=%s: must be a number", arg);
		options->writes_refused = true;
		return 0;
	case ARGP_KEY_ARG:
		cadre_take_pool(state, &options->pool, arg);
		return 0;
	case ARGP_KEY_END:
		if (!options->pool)
			cadre_refuse_usage(state, "POOL is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.args_doc = "POOL",
	.doc = documentation,
};

static void print_sums(const struct cadre_balance *balance, int findings)
{
	const bool balances = balance->accepted == balance->ended + balance->in_flight;

	printf("%u slots%s: ", balance->slots,
	       balance->alive ? "" : " of a pool without a supervisor");
	if (findings == 0)
		printf("all books balance");
	else
		printf("%d %s", findings, findings == 1 ? "finding" : "findings");
	printf("; accepted %llu %s ended %llu + in flight %llu; %u of %u blocks in use\n",
	       (unsigned long long)balance->accepted, balances ? "=" : "is not",
	       (unsigned long long)balance->ended, (unsigned long long)balance->in_flight,
	       balance->blocks_used, balance->blocks);
}

int cadre_cmd_check(int argc, char **argv)
{
	struct options options = { 0 };
	struct cadre_diag diag = { "" };
	struct cadre_balance balance;
	int findings;

	argp_parse(&argp, argc, argv, 0, NULL, &options);

	if (options.writes_refused)
		return cadre_write_refused("cadre check", options.pool, options.refused);
	if (options.lists_refused)
		return cadre_list_refused("cadre check", options.pool);

	findings = cadre_check_balance(options.pool, &balance, cadre_print_line, NULL,
				       &diag);
	if (findings < 0) {
		fprintf(stderr, "cadre check: %s\n", diag.text);
		return cadre_open_status(findings);
	}
	if (!options.quiet)
		print_sums(&balance, findings);
	if (cadre_finish_output("cadre check") != CADRE_EXIT_OK)
		return CADRE_EXIT_FAILED;
	return findings == 0 ? CADRE_EXIT_OK : CADRE_EXIT_FAILED;
}
