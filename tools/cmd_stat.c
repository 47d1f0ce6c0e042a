/*
 * cadre stat - show the counters of a pool.
 *
 * Read-only: it maps the segment without write permission and asks no process, so it can
 * neither slow the pool down nor damage it, and it works on a saturated and on a dead one.
 * How it looks is in stat_table.c and stat_json.c.
 *
 * Exit status: 0 shown, 1 the report cannot be written, 3 pool missing or unreadable,
 * 64 wrong arguments. (Not 2: a monitor takes that for an alarm.)
 */
#include "commands.h"
#include "options.h"
#include "stat.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_UNREADABLE 3

struct options {
	const char *pool; /* NULL: the only one */
	bool all;
	bool json;
	bool list;
};

enum { OPT_LIST = 256 };

static const struct argp_option argp_options[] = {
	{ "json", 'j', NULL, 0, "One JSON object on one line for each pool", 0 },
	{ "all", 'a', NULL, 0, "Every pool of this machine", 0 },
	{ "list", OPT_LIST, NULL, 0, "What each counter means; needs no pool", 0 },
	{ 0 },
};

static const char documentation[] =
	"Shows POOL, or the only pool of this machine: its jobs, its workers, its clients.\v"
	"Letters of the column S: _ idle, W working, B blocked by the consumer of a stream, S "
	"starting, G draining, H past the deadline of a job, X dead or waiting to be "
	"restarted, D disabled, . stopped, ? impossible.\n"
	"IDLE: since the last job. LOAD: busy time among all time. MAX: highest workload. "
	"LATE: their outcome was decided before the handler came back, or died. P50, P99: "
	"from taken to ended. A '?' behind a time: its worker died, or is, in the middle of "
	"changing it.\n\n"
	"Exit status: 0 shown; 1 the report cannot be written; 3 pool missing or unreadable; "
	"64 wrong arguments.\n\n"
	"Examples:\n"
	"  cadre stat orders\n"
	"  cadre stat --json orders | jq .pool.queue_length";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *const options = state->input;

	switch (key) {
	case 'j':
		options->json = true;
		return 0;
	case 'a':
		options->all = true;
		return 0;
	case OPT_LIST:
		options->list = true;
		return 0;
	case ARGP_KEY_ARG:
		if (options->pool)
			cadre_refuse_usage(state, "\"%s\" is one argument too many", arg);
		options->pool = arg;
		return 0;
	case ARGP_KEY_END:
		if (options->pool && options->all)
			cadre_refuse_usage(state,
					   "--all: names every pool, \"%s\" names one",
					   options->pool);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.args_doc = "[POOL]",
	.doc = documentation,
};

/* ---- which pools there are ---- */

struct names {
	char **pool;
	size_t count;
};

static void remember(const char *pool, void *context)
{
	struct names *const names = context;
	char **const more = reallocarray(names->pool, names->count + 1, sizeof(*more));

	if (!more)
		return;
	names->pool = more;
	names->pool[names->count] = strdup(pool);
	names->count += names->pool[names->count] != NULL;
}

static void forget(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->pool[i]);
	free(names->pool);
}

static int refuse_choice(const struct names *names)
{
	fprintf(stderr,
		"cadre stat: there are %zu pools, name one or use --all:", names->count);
	for (size_t i = 0; i < names->count; i++)
		fprintf(stderr, " %s", names->pool[i]);
	fputc('\n', stderr);
	return EXIT_UNREADABLE;
}

/* ---- showing ---- */

static int refuse_memory(void)
{
	fprintf(stderr, "cadre stat: no memory left for the report\n");
	return CADRE_EXIT_FAILED;
}

static int show(const char *name, bool json)
{
	struct cadre_diag diag = { "" };
	struct cadre_report *report;
	const struct cadre_pool_snapshot *pool;
	int r = cadre_report_open(name, &report, &diag);

	if (r < 0) {
		fprintf(stderr, "cadre stat: %s\n", diag.text);
		return r == -EINVAL ? CADRE_EXIT_USAGE : EXIT_UNREADABLE;
	}
	pool = cadre_report_read(report);
	r = json ? cadre_stat_print_json(report, pool) :
		   cadre_stat_print_table(report, pool);
	cadre_report_close(report);
	return r < 0 ? refuse_memory() : CADRE_EXIT_OK;
}

static int show_several(const struct names *names, bool json)
{
	int worst = CADRE_EXIT_OK;

	for (size_t i = 0; i < names->count; i++) {
		const int status = show(names->pool[i], json);

		if (status != CADRE_EXIT_OK)
			worst = status;
		if (!json && i + 1 < names->count)
			putchar('\n');
	}
	return worst;
}

static int show_those_there(const struct options *options)
{
	struct names names = { 0 };
	int status;

	cadre_report_each_pool(remember, &names);
	if (names.count == 0) {
		fprintf(stderr, "cadre stat: there is no pool on this machine\n");
		status = EXIT_UNREADABLE;
	} else if (names.count > 1 && !options->all) {
		status = refuse_choice(&names);
	} else {
		status = show_several(&names, options->json);
	}
	forget(&names);
	return status;
}

static int list(bool json)
{
	const int r = json ? cadre_stat_list_json() : cadre_stat_list_table();

	return r < 0 ? refuse_memory() : CADRE_EXIT_OK;
}

int cadre_cmd_stat(int argc, char **argv)
{
	struct options options = { 0 };
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	/* Whoever reads us may leave when it has seen enough; that is no failure. */
	signal(SIGPIPE, SIG_DFL);

	if (options.list)
		status = list(options.json);
	else if (options.pool)
		status = show(options.pool, options.json);
	else
		status = show_those_there(&options);

	if (fflush(stdout) == EOF || ferror(stdout)) {
		fprintf(stderr, "cadre stat: cannot write the report: %s\n",
			strerror(errno));
		return CADRE_EXIT_FAILED;
	}
	return status;
}
