/*
 * cadre ctl - tell a running pool what to do, and say what it answered.
 *
 * The supervisor decides and answers with a sentence, which is printed as it is; with
 * --wait this command watches the pool, read-only, until it is as it was told to be.
 *
 * Exit status: 0 done; 1 the pool said no, or did not come to it in time; 2 there is no such
 * pool, it is dead, or takes no orders from this user; 64 wrong arguments.
 */
#include "commands.h"
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cadre/order.h>
#include <cadre/pool.h>
#include <cadre/report.h>

#define ANSWER_NS INT64_C(10000000000)
#define LOOK_NS 10000000

struct options {
	const char *pool;
	const struct verb *verb;
	struct cadre_order order;
	int64_t idle_ns; /* stop-idle */
	bool waits;
	int64_t timeout_ns; /* 0: none */
	bool quiet;
};

struct verb {
	const char *name;
	int (*run)(const struct options *options);
	enum cadre_order_kind kind;
	const char *goal; /* with --wait: the pool's state; "" for its end; NULL: none */
	bool has_argument;
};

static int give_order(const struct options *options);
static int stop_idle(const struct options *options);
static int show_status(const struct options *options);

static const struct verb verbs[] = {
	{ "status", show_status, 0, NULL, false },
	{ "drain", give_order, CADRE_ORDER_DRAIN, "stopped", false },
	{ "start", give_order, CADRE_ORDER_START, "open", false },
	{ "stop", give_order, CADRE_ORDER_STOP, "", false },
	{ "terminate", give_order, CADRE_ORDER_TERMINATE, "", false },
	{ "scale", give_order, CADRE_ORDER_SCALE, "open", true },
	{ "reload", give_order, CADRE_ORDER_RELOAD, NULL, false },
	{ "cancel", give_order, CADRE_ORDER_CANCEL, NULL, false },
	{ "log-level", give_order, CADRE_ORDER_LOG_LEVEL, NULL, true },
	{ "stop-idle", stop_idle, 0, NULL, true },
};

static const struct argp_option argp_options[] = {
	{ "wait", 'w', NULL, 0,
	  "Return when it is so: drain, when the pool is stopped; stop and terminate, when it "
	  "is gone; start and scale, when enough workers are up. (reload always does)",
	  1 },
	{ "timeout", 't', "DURATION", 0, "Wait no longer than this", 1 },
	{ "quiet", 'q', NULL, 0, "Print nothing but errors", 1 },
	{ 0 },
};

static const char documentation[] =
	"Tells a running pool what to do."
	"\v"
	"VERB is one of:\n"
	"  status           one line about the pool\n"
	"  drain            refuse new jobs, run those accepted, end the workers, stay\n"
	"  start            accept jobs again\n"
	"  stop             as drain, but then the pool ends\n"
	"  terminate        kill the workers; every job ends as terminated; the pool ends\n"
	"  scale MIN..MAX   from now on so many workers\n"
	"  reload           replace each worker by one of the service's new version; when that "
	"does not start, nothing has changed and the exit status is 1\n"
	"  cancel           cancel every job that waits or runs; the pool goes on\n"
	"  log-level LEVEL  off, error, warning, notice, info, debug, trace: at once, for all "
	"workers\n"
	"  stop-idle DURATION  let workers leave that have idled for so long, down to MIN\n\n"
	"Exit status: 0 done; 1 the pool said no, or did not come to it in time; 2 there is no "
	"such pool, it is dead, or takes no orders from this user; 64 wrong arguments.\n\n"
	"Examples:\n"
	"  cadre ctl digest status\n"
	"  cadre ctl digest scale 2..8\n"
	"  install new/digest.so /srv/digest.so && cadre ctl digest reload\n"
	"  cadre ctl digest drain --wait --timeout 30s";

/* ---- arguments ---- */

static const struct verb *find_verb(const struct argp_state *state, const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	cadre_refuse_usage(state, "there is no verb \"%s\" (see cadre ctl --help)", name);
}

static void parse_argument(struct options *options, const struct argp_state *state,
			   const char *text)
{
	if (!options->verb->has_argument)
		cadre_refuse_usage(state, "\"%s\" is one argument too many", text);
	if (options->verb->run == stop_idle)
		options->idle_ns = cadre_option_duration(state, "stop-idle", text);
	else if (options->verb->kind == CADRE_ORDER_LOG_LEVEL)
		options->order.log_level = cadre_option_log_level(state, "log-level",
								  text);
	else
		cadre_option_workers(state, "scale", text, &options->order.workers_min,
				     &options->order.workers_max);
}

static void check(const struct options *options, const struct argp_state *state)
{
	if (!options->pool || !options->verb)
		cadre_refuse_usage(
			state, "a pool and a verb must be given (see cadre ctl --help)");
	if (options->verb->has_argument && state->arg_num < 3)
		cadre_refuse_usage(state, "%s needs %s (see cadre ctl --help)",
				   options->verb->name,
				   options->verb->run == stop_idle ? "a duration" :
				   options->verb->kind == CADRE_ORDER_LOG_LEVEL ?
								     "a level" :
								     "MIN..MAX");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *const options = state->input;

	switch (key) {
	case 'w':
		options->waits = true;
		return 0;
	case 't':
		options->timeout_ns = cadre_option_duration(state, "--timeout", arg);
		return 0;
	case 'q':
		options->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			options->pool = arg;
		else if (state->arg_num == 1)
			options->verb = find_verb(state, arg);
		else if (state->arg_num == 2)
			parse_argument(options, state, arg);
		else
			cadre_refuse_usage(state, "\"%s\" is one argument too many", arg);
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
	.args_doc = "POOL VERB [ARGUMENT]",
	.doc = documentation,
};

/* ---- what the pool says ---- */

static int complain(const struct options *options, int error, const char *sentence)
{
	fprintf(stderr, "cadre ctl: %s: %s\n", options->pool,
		sentence[0] ? sentence : strerror(-error));
	switch (error) {
	case -ECONNREFUSED:
	case -EACCES:
	case -EBADMSG:
	case -ENOENT:
	case -EPROTONOSUPPORT:
		return CADRE_EXIT_POOL;
	case -EINVAL:
		return CADRE_EXIT_USAGE;
	default:
		return CADRE_EXIT_FAILED;
	}
}

static void tell(const struct options *options, const char *sentence)
{
	if (!options->quiet)
		printf("%s: %s\n", options->pool, sentence);
}

/* True when the pool is as it was told to be. */
static bool has_come(const struct options *options)
{
	const struct cadre_pool_snapshot *pool;
	const char *const goal = options->verb->goal;
	struct cadre_report *report;
	bool come;

	if (cadre_report_open(options->pool, &report, NULL) < 0)
		return goal[0] == '\0';
	pool = cadre_report_read(report);
	if (goal[0] == '\0')
		come = !pool->alive;
	else
		come = strcmp(pool->state, goal) == 0 &&
		       (strcmp(goal, "open") != 0 ||
			(pool->workers_ready >= pool->workers_min &&
			 pool->workers_ready <= pool->workers_max));
	cadre_report_close(report);
	return come;
}

static int await_goal(const struct options *options, int64_t until_ns)
{
	const struct timespec nap = { .tv_nsec = LOOK_NS };

	while (!has_come(options)) {
		if (cadre_now_ns() >= until_ns)
			return complain(options, -ETIMEDOUT,
					"it has not come to it in time, and goes on");
		nanosleep(&nap, NULL);
	}
	return CADRE_EXIT_OK;
}

static int give_order(const struct options *options)
{
	const bool is_long = options->order.kind == CADRE_ORDER_RELOAD;
	const int64_t until_ns = options->timeout_ns ?
					 cadre_now_ns() + options->timeout_ns :
					 CADRE_FOREVER;
	struct cadre_diag said = { .text = "" };
	const int r = cadre_order(options->pool, &options->order,
				  is_long || options->timeout_ns ?
					  until_ns :
					  cadre_now_ns() + ANSWER_NS,
				  &said);

	if (r < 0)
		return complain(options, r, said.text);
	tell(options, said.text);
	if (options->waits && options->verb->goal)
		return await_goal(options, until_ns);
	return CADRE_EXIT_OK;
}

static bool has_idled(const struct cadre_worker_snapshot *worker, void *context)
{
	return worker->idle_ns >= *(const int64_t *)context;
}

static int stop_idle(const struct options *options)
{
	struct cadre_diag diag = { .text = "" };
	int64_t idle_ns = options->idle_ns;
	const int r = cadre_stop_idle(options->pool, has_idled, &idle_ns, &diag);
	char sentence[64];

	if (r < 0)
		return complain(options, r, diag.text);
	snprintf(sentence, sizeof(sentence), "%d workers leave", r);
	tell(options, sentence);
	return CADRE_EXIT_OK;
}

static int show_status(const struct options *options)
{
	const struct cadre_pool_snapshot *pool;
	struct cadre_diag diag = { .text = "" };
	struct cadre_report *report;
	const int r = cadre_report_open(options->pool, &report, &diag);
	bool alive;

	if (r < 0)
		return complain(options, r, diag.text);
	pool = cadre_report_read(report);
	alive = pool->alive;
	printf("%s: %s%s%s, %u worker%s of %u..%u, parallel %u, %llu job%s waiting and %llu "
	       "running, %u client%s, version %u\n",
	       pool->name, pool->state, pool->degraded ? ", degraded" : "",
	       alive ? "" : ", without a supervisor", pool->workers_ready,
	       pool->workers_ready == 1 ? "" : "s", pool->workers_min, pool->workers_max,
	       pool->parallel, (unsigned long long)pool->queue_length,
	       pool->queue_length == 1 ? "" : "s",
	       (unsigned long long)(pool->in_flight - pool->queue_length), pool->clients,
	       pool->clients == 1 ? "" : "s", pool->version);
	cadre_report_close(report);
	return alive ? CADRE_EXIT_OK : CADRE_EXIT_POOL;
}

int cadre_cmd_ctl(int argc, char **argv)
{
	struct options options = { .pool = NULL };

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	options.order.kind = options.verb->kind;
	return options.verb->run(&options);
}
