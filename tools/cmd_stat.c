/*
 * cadre stat - show the counters of a pool.
 *
 * Read-only: it maps the segment without write permission and asks no process, so it can
 * neither slow the pool down nor damage it, and it works on a saturated and on a dead one.
 * How it looks is in stat_*.c; what it means, in the library.
 *
 * Exit status: 0 shown, 1 the report cannot be written, 2 pool missing or unreadable,
 * 64 wrong arguments. With --check 0 to 3 as Nagios has them, with a probe 0 or 1.
 */
#include "commands.h"
#include "options.h"
#include "stat.h"
#include "stat_check.h"
#include "stat_pools.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_DEFAULT 20

enum form {
	FORM_TABLE,
	FORM_LINE, /* the table's way of an interval */
	FORM_FIELDS,
	FORM_LATENCY,
	FORM_EVENTS,
	FORM_JSON,
	FORM_PROMETHEUS,
};

struct options {
	const char *pool; /* NULL: the only one */
	bool all;
	bool list;
	bool json, prometheus, latency, events;
	uint32_t events_most;
	const char *textfile;
	enum cadre_stat_check check;
	struct cadre_health_limits limits;
	struct cadre_stat_choice choice;
	int64_t wait_ns;     /* for the pool to be there */
	int64_t interval_ns; /* 0: once */
	uint64_t count;      /* of rounds; 0: for ever */
	enum form form;
};

enum {
	OPT_LIST = 256,
	OPT_TEXTFILE,
	OPT_LATENCY,
	OPT_EVENTS,
	OPT_CHECK,
	OPT_LIMIT,
	OPT_WAIT
};

static const struct argp_option argp_options[] = {
	{ "name", 'n', "POOL", 0, "The pool, also when its name is a number", 0 },
	{ "all", 'a', NULL, 0, "Every pool of this machine", 0 },
	{ "worker", 'w', "LIST", 0, "Only these workers' places: 0-3,7", 0 },
	{ "fields", 'f', "GLOBS", 0,
	  "Only these fields, as they are: letter,pid,jobs.*; a scope may stand before",
	  0 },
	{ "latency", OPT_LATENCY, NULL, 0, "How long jobs took, by operation", 0 },
	{ "events", OPT_EVENTS, "N", OPTION_ARG_OPTIONAL,
	  "The last N deaths, restarts and the like (20), with backtraces; with an interval "
	  "the new ones",
	  0 },
	{ "json", 'j', NULL, 0, "One JSON object on one line for each pool", 0 },
	{ "prometheus", 'p', NULL, 0, "Prometheus text", 0 },
	{ "textfile", OPT_TEXTFILE, "PATH", 0,
	  "Prometheus text into a file that is replaced as a whole", 0 },
	{ "check", OPT_CHECK, "WHAT", OPTION_ARG_OPTIONAL,
	  "One line for a monitor; WHAT may be live or ready, for a probe", 0 },
	{ "limit", OPT_LIMIT, "NAME=WARNING[:CRITICAL]", 0,
	  "What --check finds too much, or too little; several", 0 },
	{ "wait", OPT_WAIT, "DURATION", 0, "Wait so long for the pool to be there", 0 },
	{ "list", OPT_LIST, NULL, 0,
	  "What each field means, or with --check each measure; needs no pool", 0 },
	{ 0 },
};

static const char documentation[] =
	"Shows POOL, or the only pool of this machine: its jobs, its workers, its clients. "
	"With INTERVAL (in seconds, or such as 500ms) a line about each interval, COUNT of "
	"them, or without end.\v"
	"Letters of the column S: _ idle, W working, B blocked by the consumer of a stream, S "
	"starting, G draining, H past the deadline of a job, X dead or waiting to be "
	"restarted, D disabled, . unused, ? impossible.\n"
	"IDLE: since the last job. LOAD and JOBS/S: of the interval, or else over some 10 s; "
	"the running job counts. PEAK: the fullest second. MAX: highest workload. LATE: their "
	"outcome was decided before the handler came back, or died. P50, P99: from taken to "
	"ended, at most 12.5 % too large. A '?' behind a time: its worker died, or is, in the "
	"middle of changing it. The three loads of the pool are over 1, 10 and 60 s.\n\n"
	"Exit status: 0 shown; 1 the report cannot be written; 2 pool missing or unreadable; "
	"64 wrong arguments. With --check: 0 well, 1 warning, 2 critical, 3 unknown; "
	"--check=live, --check=ready: 0 or 1.\n\n"
	"Examples:\n"
	"  cadre stat orders\n"
	"  cadre stat orders 1 10\n"
	"  cadre stat --json orders | jq .pool.queue_length\n"
	"  cadre stat --events=5 orders\n"
	"  cadre stat --check --limit oldest=100ms:1s --limit ready=8:4 orders\n"
	"  cadre stat --all --textfile /var/lib/node_exporter/cadre.prom 15";

/* ---- arguments ---- */

/* "0-3,7" */
static void choose_workers(const struct argp_state *state, const char *list,
			   struct cadre_stat_choice *choice)
{
	const char *from = list;

	choice->chooses_workers = true;
	for (;;) {
		const size_t length = strcspn(from, ",");
		uint64_t first, last;
		char part[32];
		char *dash;

		snprintf(part, sizeof(part), "%.*s", (int)length, from);
		dash = strchr(part, '-');
		if (dash)
			*dash = '\0';
		if (length >= sizeof(part) ||
		    !cadre_parse_number(part, 0, CADRE_WORKERS_MAX - 1, &first) ||
		    !cadre_parse_number(dash ? dash + 1 : part, first,
					CADRE_WORKERS_MAX - 1, &last))
			cadre_refuse_usage(state,
					   "--worker %s: must be places such as 0-3,7",
					   list);
		for (uint64_t i = first; i <= last; i++)
			choice->workers[i] = true;
		if (from[length] == '\0')
			return;
		from += length + 1;
	}
}

/* A glob that matches nothing is a misspelt name. */
static void choose_fields(const struct argp_state *state, const char *globs,
			  struct cadre_stat_choice *choice)
{
	char *const copy = strdup(globs);
	char *rest = copy;

	for (char *glob; (glob = strsep(&rest, ","));) {
		const struct cadre_stat_choice one = { .fields = glob };
		bool known = false;

		for (unsigned scope = 0; scope < CADRE_FIELDS_COUNT; scope++) {
			size_t count;
			const struct cadre_field *const fields =
				cadre_fields((enum cadre_field_scope)scope, &count);

			for (size_t i = 0; i < count; i++)
				known |= cadre_stat_wants(&one,
							  (enum cadre_field_scope)scope,
							  &fields[i]);
		}
		if (!known)
			cadre_refuse_usage(state,
					   "--fields %s: there is no such field (--list "
					   "names them all)",
					   glob);
	}
	free(copy);
	choice->fields = globs;
}

/* A plain number is seconds. */
static bool parse_interval(const char *text, int64_t *ret_ns)
{
	char with_unit[32];

	snprintf(with_unit, sizeof(with_unit), "%ss", text);
	return (cadre_parse_duration(text, ret_ns) ||
		cadre_parse_duration(with_unit, ret_ns)) &&
	       *ret_ns > 0;
}

/* [POOL] [INTERVAL [COUNT]] */
static void take_argument(const struct argp_state *state, struct options *options,
			  const char *text)
{
	int64_t ns;

	if (options->count > 0)
		cadre_refuse_usage(state, "\"%s\" is one argument too many", text);
	if (options->interval_ns > 0) {
		if (!cadre_parse_number(text, 1, UINT32_MAX, &options->count))
			cadre_refuse_usage(state, "\"%s\": COUNT must be a number from 1",
					   text);
		return;
	}
	if (parse_interval(text, &ns)) {
		options->interval_ns = ns;
		return;
	}
	if (options->pool)
		cadre_refuse_usage(state,
				   "\"%s\" is no interval, and the pool is \"%s\" already",
				   text, options->pool);
	options->pool = text;
}

static void check_together(const struct argp_state *state, struct options *options)
{
	const struct cadre_stat_choice *const choice = &options->choice;
	const int forms = (options->json || options->events) +
			  (options->prometheus || options->textfile) + options->latency +
			  (options->check != CADRE_STAT_NO_CHECK && !options->list);

	if (options->pool && options->all)
		cadre_refuse_usage(state, "--all: names every pool, \"%s\" names one",
				   options->pool);
	if (forms > 1)
		cadre_refuse_usage(state,
				   "--json, --events, --prometheus, --latency and --check: "
				   "one of them");
	if (options->prometheus && options->interval_ns && !options->textfile)
		cadre_refuse_usage(state, "--prometheus: has no interval; --textfile has");
	if (options->check != CADRE_STAT_NO_CHECK && options->interval_ns)
		cadre_refuse_usage(state, "--check: has no interval");

	if (options->events)
		options->form = FORM_EVENTS;
	else if (options->json)
		options->form = FORM_JSON;
	else if (options->prometheus || options->textfile)
		options->form = FORM_PROMETHEUS;
	else if (options->latency)
		options->form = FORM_LATENCY;
	else if (choice->fields)
		options->form = FORM_FIELDS;
	else if (options->interval_ns)
		options->form = FORM_LINE;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *const options = state->input;
	struct cadre_diag diag;

	switch (key) {
	case 'n':
		options->pool = arg;
		return 0;
	case 'a':
		options->all = true;
		return 0;
	case 'w':
		choose_workers(state, arg, &options->choice);
		return 0;
	case 'f':
		choose_fields(state, arg, &options->choice);
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case 'p':
		options->prometheus = true;
		return 0;
	case OPT_TEXTFILE:
		options->textfile = arg;
		return 0;
	case OPT_LATENCY:
		options->latency = true;
		return 0;
	case OPT_EVENTS:
		options->events = true;
		options->events_most = arg ? cadre_option_number(state, "--events", arg,
								 1, UINT32_MAX) :
					     EVENTS_DEFAULT;
		return 0;
	case OPT_LIST:
		options->list = true;
		return 0;
	case OPT_CHECK:
		if (!cadre_stat_check_parse(arg, &options->check))
			cadre_refuse_usage(state,
					   "--check=%s: must be live, ready or nothing",
					   arg);
		return 0;
	case OPT_LIMIT:
		if (!cadre_stat_limit_parse(arg, &options->limits, &diag))
			cadre_refuse_usage(state, "--limit %s: %s", arg, diag.text);
		return 0;
	case OPT_WAIT:
		options->wait_ns = cadre_option_duration(state, "--wait", arg);
		return 0;
	case ARGP_KEY_ARG:
		take_argument(state, options, arg);
		return 0;
	case ARGP_KEY_END:
		check_together(state, options);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.args_doc = "[POOL] [INTERVAL [COUNT]]",
	.doc = documentation,
};

/* ---- showing ---- */

static int refuse_memory(void)
{
	fprintf(stderr, "cadre stat: no memory left for the report\n");
	return CADRE_EXIT_FAILED;
}

/* Into a file beside it first, so that nobody ever reads a half. */
static int write_textfile(const struct options *options,
			  const struct cadre_stat_pools *pools)
{
	char draft[4096];
	FILE *out;
	bool bad;

	if (snprintf(draft, sizeof(draft), "%s.%d", options->textfile, (int)getpid()) >=
	    (int)sizeof(draft)) {
		errno = ENAMETOOLONG;
		out = NULL;
	} else {
		out = fopen(draft, "we");
	}
	bad = !out;
	if (out) {
		cadre_stat_print_prometheus(out, pools->pool, pools->count,
					    &options->choice);
		bad = ferror(out) != 0;
		bad |= fclose(out) == EOF;
		bad = bad || rename(draft, options->textfile) < 0;
	}
	if (!bad)
		return CADRE_EXIT_OK;
	fprintf(stderr, "cadre stat: cannot write \"%s\": %s\n", options->textfile,
		strerror(errno));
	if (out)
		unlink(draft);
	return CADRE_EXIT_FAILED;
}

static int show_one(const struct options *options, struct cadre_stat_pool *pool,
		    unsigned long round)
{
	switch (options->form) {
	case FORM_TABLE:
		return cadre_stat_print_table(pool, &options->choice);
	case FORM_LINE:
		cadre_stat_print_line(pool, &options->choice, round);
		return 0;
	case FORM_FIELDS:
		return cadre_stat_print_fields(pool, &options->choice);
	case FORM_LATENCY:
		return cadre_stat_print_latency(pool, &options->choice);
	case FORM_EVENTS:
		if (options->json)
			return cadre_stat_print_events_json(pool, &options->choice,
							    options->events_most);
		cadre_stat_print_events(pool, &options->choice, options->events_most);
		return 0;
	case FORM_JSON:
		return cadre_stat_print_json(pool, &options->choice);
	case FORM_PROMETHEUS: /* All at once, elsewhere. */
		break;
	}
	return 0;
}

static int show(const struct options *options, const struct cadre_stat_pools *pools,
		unsigned long round)
{
	const bool spaced = options->form == FORM_TABLE || options->form == FORM_FIELDS ||
			    options->form == FORM_LATENCY;

	if (options->textfile)
		return write_textfile(options, pools);
	if (options->form == FORM_PROMETHEUS) {
		cadre_stat_print_prometheus(stdout, pools->pool, pools->count,
					    &options->choice);
		return CADRE_EXIT_OK;
	}
	for (size_t i = 0; i < pools->count; i++) {
		if (spaced && (i > 0 || round > 0))
			putchar('\n');
		/* The names of the columns once for all pools of a round. */
		if (show_one(options, &pools->pool[i],
			     i > 0 && !options->choice.chooses_workers ? 1 : round) < 0)
			return refuse_memory();
	}
	return CADRE_EXIT_OK;
}

/* A pool that is not there is worth a sentence, and for a monitor an answer. */
static int refuse(const struct options *options, const struct cadre_stat_pools *pools)
{
	static char said[sizeof(pools->diag.text)];

	if (options->check != CADRE_STAT_NO_CHECK)
		return cadre_stat_check_unreadable(options->check, options->pool,
						   pools->error, pools->diag.text);
	/* Said once, not in each round again. */
	if (strcmp(said, pools->diag.text) != 0)
		fprintf(stderr, "cadre stat: %s%s%s\n", pools->diag.text,
			pools->choice ? ": " : "", pools->choice ? pools->choice : "");
	snprintf(said, sizeof(said), "%s", pools->diag.text);
	return cadre_open_status(pools->error);
}

static int check(const struct options *options, const struct cadre_stat_pools *pools)
{
	int worst = 0;

	for (size_t i = 0; i < pools->count; i++) {
		const int status = cadre_stat_check(options->check, pools->pool[i].report,
						    pools->pool[i].pool, &options->limits);

		if (status > worst)
			worst = status;
	}
	return worst;
}

static void sleep_until(const struct timespec *when)
{
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, when, NULL) == EINTR) {
	}
}

static void move_on(struct timespec *when, int64_t ns)
{
	const int64_t nanoseconds = when->tv_nsec + ns % 1000000000;

	when->tv_sec += (time_t)(ns / 1000000000 + nanoseconds / 1000000000);
	when->tv_nsec = (long)(nanoseconds % 1000000000);
}

static int run(const struct options *options, struct cadre_stat_pools *pools)
{
	struct timespec due;
	int status = CADRE_EXIT_OK;

	clock_gettime(CLOCK_MONOTONIC, &due);
	for (unsigned long round = 0;; round++) {
		status = CADRE_EXIT_OK;
		/* Among many, one that cannot be read does not hide the others; and who watches
		 * all there are, watches on when there is none. */
		if (cadre_stat_pools_read(pools) < 0) {
			status = refuse(options, pools);
			if (pools->count == 0 && !(options->all && options->interval_ns))
				return status;
		}
		if (options->check != CADRE_STAT_NO_CHECK) {
			const int found = check(options, pools);

			return found > status ? found : status;
		}
		if (show(options, pools, round) != CADRE_EXIT_OK)
			return CADRE_EXIT_FAILED;
		if (options->interval_ns == 0 ||
		    (options->count && round + 1 >= options->count))
			return status;
		if (fflush(stdout) == EOF)
			return CADRE_EXIT_FAILED;
		move_on(&due, options->interval_ns);
		sleep_until(&due);
	}
}

static int list(const struct options *options)
{
	if (options->check != CADRE_STAT_NO_CHECK) {
		cadre_stat_check_list();
		return CADRE_EXIT_OK;
	}
	return (options->json ? cadre_stat_list_json() : cadre_stat_list_table()) < 0 ?
		       refuse_memory() :
		       CADRE_EXIT_OK;
}

/* https://no-color.org */
static bool wants_colour(void)
{
	const char *const no = getenv("NO_COLOR"), *const term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && no[0]) && term &&
	       strcmp(term, "dumb") != 0;
}

int cadre_cmd_stat(int argc, char **argv)
{
	static struct options options;
	struct cadre_stat_pools pools;
	int status;

	cadre_health_limits_default(&options.limits);
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	/* Whoever reads us may leave when it has seen enough; that is no failure. */
	signal(SIGPIPE, SIG_DFL);
	options.choice.colour = wants_colour();

	if (options.list) {
		status = list(&options);
	} else {
		cadre_stat_pools_init(&pools, options.pool, options.all, options.wait_ns);
		status = run(&options, &pools);
		cadre_stat_pools_fini(&pools);
	}
	if (cadre_finish_output("cadre stat") != CADRE_EXIT_OK)
		return CADRE_EXIT_FAILED;
	return status;
}
