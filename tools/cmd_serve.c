/*
 * cadre serve - be the supervisor of a pool until told to end.
 *
 * The handlers come from a shared object that exports a service, or from a program that
 * calls cadre_worker_main. This file turns arguments into options and notices into lines;
 * all the supervising is cadre_serve's.
 *
 * Exit status: 0 ended in order (SIGTERM, SIGINT, or stopped by a client), 1 the service
 * or its workers cannot be started, 2 the pool cannot be created, 64 wrong arguments.
 */
#include "commands.h"
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cadre/pool.h>

#define START_DATA_MAX 4096
#define SLOTS_MAX 65536
#define PARALLEL_MAX 4096

struct options {
	struct cadre_pool_options pool;
	struct cadre_source source;
	enum cadre_preset preset; /* 0: none */
	bool quiet;
};

enum {
	OPT_BLOCK_BYTES = 256,
	OPT_CLIENTS,
	OPT_GRACE,
	OPT_HANG,
	OPT_IDLE_TIMEOUT,
	OPT_MAX_AGE,
	OPT_MAX_JOBS,
	OPT_MAX_RSS,
	OPT_LOG_LEVEL,
	OPT_LOG_TO,
	OPT_MODE,
	OPT_NAME,
	OPT_ORPHAN,
	OPT_PARALLEL,
	OPT_PAYLOAD_MAX,
	OPT_PRESET,
	OPT_TOKENS,
	OPT_SLOTS,
	OPT_SPREAD,
	OPT_START,
	OPT_START_FILE,
	OPT_START_TIMEOUT,
	OPT_STOP_TIMEOUT,
	OPT_WORKERS,
	OPT_WORKERS_LIMIT,
};

static const struct argp_option argp_options[] = {
	{ "name", OPT_NAME, "POOL", 0, "The pool's name (required)", 1 },
	{ "workers", OPT_WORKERS, "MIN[..MAX]", 0,
	  "Worker processes; one number is both (default 0..CPUs)", 1 },
	{ "workers-limit", OPT_WORKERS_LIMIT, "N", 0,
	  "How far \"cadre ctl scale\" may raise MAX (default: the CPUs, or MAX)", 1 },
	{ "preset", OPT_PRESET, "cpu|io", 0,
	  "What is not given otherwise, for a service that mostly computes (as many workers as "
	  "CPUs, parallel 1) or mostly waits (1..CPUs, parallel 16, no spinning)",
	  1 },
	{ "parallel", OPT_PARALLEL, "N", 0,
	  "Jobs one worker may have at once (default 1)", 1 },
	{ "start", OPT_START, "TEXT", 0, "Start argument of each worker", 1 },
	{ "start-file", OPT_START_FILE, "FILE", 0, "The same, read from FILE", 1 },
	{ "log-level", OPT_LOG_LEVEL, "LEVEL", 0,
	  "Log what workers and supervisor have to say: error, warning, notice, info, debug or "
	  "trace (default off; cadre ctl changes it)",
	  1 },
	{ "log-to", OPT_LOG_TO, "SINK", 0,
	  "stderr (default), syslog, or none: only for those who read along. May be given twice",
	  1 },
	{ "quiet", 'q', NULL, 0, "Do not tell of workers that start and die", 1 },

	{ NULL, 0, NULL, 0, "Workers are replaced, the replacement first, when they:", 4 },
	{ "max-jobs", OPT_MAX_JOBS, "N", 0, "have taken N jobs", 4 },
	{ "max-age", OPT_MAX_AGE, "DURATION", 0, "are that old", 4 },
	{ "max-rss", OPT_MAX_RSS, "SIZE", 0, "have that much memory", 4 },

	{ NULL, 0, NULL, 0, "Room:", 2 },
	{ "clients", OPT_CLIENTS, "N", 0, "Clients at once (default 64)", 2 },
	{ "tokens", OPT_TOKENS, "N", 0, "Cancellation tokens at once (default 1024)", 2 },
	{ "slots", OPT_SLOTS, "N", 0,
	  "Jobs outstanding per client, a power of two (default 256)", 2 },
	{ "payload-max", OPT_PAYLOAD_MAX, "SIZE", 0,
	  "Longest request and longest reply (default 1M)", 2 },
	{ "block-bytes", OPT_BLOCK_BYTES, "SIZE", 0,
	  "Room for all payloads that do not fit a slot (default 20M)", 2 },
	{ "mode", OPT_MODE, "OCTAL", 0, "Permission bits of the pool (default 0600)", 2 },

	{ NULL, 0, NULL, 0, "Time:", 3 },
	{ "start-timeout", OPT_START_TIMEOUT, "DURATION", 0,
	  "From fork to the end of the service's init (default 30s)", 3 },
	{ "idle-timeout", OPT_IDLE_TIMEOUT, "DURATION", 0,
	  "An idle worker above MIN is stopped after this (default 60s)", 3 },
	{ "stop-timeout", OPT_STOP_TIMEOUT, "DURATION", 0,
	  "An orderly end, then everything is killed (default 30s)", 3 },
	{ "grace", OPT_GRACE, "DURATION", 0,
	  "A worker this long past its job's deadline is killed (default 2s)", 3 },
	{ "hang", OPT_HANG, "DURATION", 0,
	  "A worker that runs one job without a deadline for so long is killed (default: "
	  "never, such a job may keep its worker for ever)",
	  3 },
	{ "spread", OPT_SPREAD, "DURATION", 0,
	  "With --parallel, a worker that has jobs leaves a fresh one for so long to a worker "
	  "that has fewer (default 50us)",
	  3 },
	{ "orphan", OPT_ORPHAN, "DURATION", 0,
	  "Workers without a supervisor end after this (default 30s)", 3 },
	{ 0 },
};

static const char documentation[] =
	"Runs a pool: starts worker processes for the service in FILE.so, or that are PROGRAM, "
	"and replaces those that die. Ends in order at SIGTERM or SIGINT; a second one kills. "
	"SIGHUP replaces the workers by those of a new version, as \"cadre ctl POOL reload\" "
	"does."
	"\v"
	"SIZE is bytes, or with k, M, G behind it. DURATION is like 250ms, 30s, 5m.\n\n"
	"Exit status: 0 ended in order; 1 the service or its workers cannot be started; "
	"2 the pool cannot be created; 64 wrong arguments.\n\n"
	"Examples:\n"
	"  cadre serve --name digest --workers 2..8 build/services/digest.so\n"
	"  cadre serve --name demo --workers 1 -- build/bin/demo-worker";

/* ---- arguments ---- */

static uint32_t parse_slots(const struct argp_state *state, const char *text)
{
	const uint32_t slots = cadre_option_number(state, "--slots", text, 1, SLOTS_MAX);
	uint32_t power = 1;

	while (power < slots)
		power *= 2;
	if (power != slots)
		cadre_refuse_usage(state,
				   "--slots %u: must be a power of two (%u would do)",
				   slots, power);
	return slots;
}

static enum cadre_preset parse_preset(const struct argp_state *state, const char *text)
{
	if (strcmp(text, "cpu") == 0)
		return CADRE_CPU_BOUND;
	if (strcmp(text, "io") == 0)
		return CADRE_IO_BOUND;
	cadre_refuse_usage(state, "--preset %s: must be cpu or io", text);
}

static uint32_t parse_mode(const struct argp_state *state, const char *text)
{
	char *end;
	const unsigned long mode = strtoul(text, &end, 8);

	if (text[0] < '0' || text[0] > '7' || *end != '\0' || mode == 0 || mode > 0777)
		cadre_refuse_usage(state,
				   "--mode %s: must be permission bits such as 0660",
				   text);
	return (uint32_t)mode;
}

static unsigned parse_sink(const struct argp_state *state, const char *text)
{
	if (strcmp(text, "stderr") == 0)
		return CADRE_LOG_TO_STDERR;
	if (strcmp(text, "syslog") == 0)
		return CADRE_LOG_TO_SYSLOG;
	if (strcmp(text, "none") == 0)
		return CADRE_LOG_TO_NOBODY;
	cadre_refuse_usage(state, "--log-to %s: must be stderr, syslog or none", text);
}

static void use_start_text(struct options *options, const struct argp_state *state,
			   const char *data, size_t length)
{
	if (options->pool.start_data)
		cadre_refuse_usage(state,
				   "--start and --start-file: only one of them, once");
	if (length > START_DATA_MAX)
		cadre_refuse_usage(state, "the start argument is longer than %d bytes",
				   START_DATA_MAX);
	options->pool.start_data = data;
	options->pool.start_length = length;
}

static void read_start_file(struct options *options, const struct argp_state *state,
			    const char *path)
{
	static char data[START_DATA_MAX + 1];
	FILE *const file = fopen(path, "re");
	size_t length;

	if (!file)
		cadre_refuse_usage(state, "--start-file %s: cannot be opened: %s", path,
				   strerror(errno));
	length = fread(data, 1, sizeof(data), file);
	if (ferror(file))
		cadre_refuse_usage(state, "--start-file %s: cannot be read: %s", path,
				   strerror(errno));
	fclose(file);
	use_start_text(options, state, data, length);
}

/* Everything behind "--" is a program and its arguments; in front of it, a shared object. */
static void parse_source(struct options *options, struct argp_state *state, char *arg)
{
	if (options->source.file)
		cadre_refuse_usage(state,
				   "\"%s\" is one argument too many (a worker program is given "
				   "after --)",
				   arg);
	if (state->quoted > 0 && state->next > state->quoted) {
		options->source.program = state->argv + state->next - 1;
		state->next = state->argc;
		return;
	}
	options->source.file = arg;
}

static void complete(struct options *options, const struct argp_state *state)
{
	if (!options->pool.name)
		cadre_refuse_usage(state, "--name must be given (see cadre serve --help)");
	if (!options->source.file && !options->source.program)
		cadre_refuse_usage(state,
				   "a shared object, or -- and a worker program, must be "
				   "given (see cadre serve --help)");
	if (options->preset)
		(void)cadre_pool_options_for(options->preset, &options->pool);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *const options = state->input;
	struct cadre_pool_options *const pool = &options->pool;

	switch (key) {
	case OPT_NAME:
		pool->name = arg;
		return 0;
	case OPT_WORKERS:
		cadre_option_workers(state, "--workers", arg, &pool->workers_min,
				     &pool->workers_max);
		return 0;
	case OPT_PARALLEL:
		pool->parallel = cadre_option_number(state, "--parallel", arg, 1,
						     PARALLEL_MAX);
		return 0;
	case OPT_WORKERS_LIMIT:
		pool->workers_limit = cadre_option_number(state, "--workers-limit", arg,
							  1, CADRE_WORKERS_MAX);
		return 0;
	case OPT_PRESET:
		options->preset = parse_preset(state, arg);
		return 0;
	case OPT_MAX_JOBS:
		pool->max_jobs = cadre_option_number(state, "--max-jobs", arg, 1,
						     UINT32_MAX);
		return 0;
	case OPT_MAX_AGE:
		pool->max_age_ns = cadre_option_duration(state, "--max-age", arg);
		return 0;
	case OPT_MAX_RSS:
		pool->max_rss = cadre_option_size(state, "--max-rss", arg);
		return 0;
	case OPT_SPREAD:
		pool->spread_ns = cadre_option_duration(state, "--spread", arg);
		return 0;
	case OPT_CLIENTS:
		pool->clients_max = cadre_option_number(state, "--clients", arg, 1,
							CADRE_CLIENTS_MAX);
		return 0;
	case OPT_TOKENS:
		pool->tokens_max = cadre_option_number(state, "--tokens", arg, 1, 65536);
		return 0;
	case OPT_SLOTS:
		pool->window_slots = parse_slots(state, arg);
		return 0;
	case OPT_PAYLOAD_MAX:
		pool->payload_max = cadre_option_size(state, "--payload-max", arg);
		return 0;
	case OPT_BLOCK_BYTES:
		pool->block_bytes = cadre_option_size(state, "--block-bytes", arg);
		return 0;
	case OPT_START:
		use_start_text(options, state, arg, strlen(arg));
		return 0;
	case OPT_START_FILE:
		read_start_file(options, state, arg);
		return 0;
	case OPT_START_TIMEOUT:
		pool->start_timeout_ns = cadre_option_duration(state, "--start-timeout",
							       arg);
		return 0;
	case OPT_IDLE_TIMEOUT:
		pool->idle_timeout_ns = cadre_option_duration(state, "--idle-timeout",
							      arg);
		return 0;
	case OPT_STOP_TIMEOUT:
		pool->stop_timeout_ns = cadre_option_duration(state, "--stop-timeout",
							      arg);
		return 0;
	case OPT_GRACE:
		pool->grace_ns = cadre_option_duration(state, "--grace", arg);
		return 0;
	case OPT_HANG:
		pool->hang_ns = cadre_option_duration(state, "--hang", arg);
		return 0;
	case OPT_ORPHAN:
		pool->orphan_ns = cadre_option_duration(state, "--orphan", arg);
		return 0;
	case OPT_LOG_LEVEL:
		pool->log_level = cadre_option_log_level(state, "--log-level", arg);
		return 0;
	case OPT_LOG_TO:
		pool->log_sinks |= parse_sink(state, arg);
		return 0;
	case OPT_MODE:
		pool->mode = parse_mode(state, arg);
		return 0;
	case 'q':
		options->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		parse_source(options, state, arg);
		return 0;
	case ARGP_KEY_END:
		complete(options, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.args_doc = "FILE.so\n-- PROGRAM [ARGS...]",
	.doc = documentation,
};

/* ---- serving ---- */

/* One write per line: several processes may share standard error. */
static void print_notice(const char *sentence, void *context)
{
	(void)context;
	fprintf(stderr, "cadre serve: %s\n", sentence);
}

int cadre_cmd_serve(int argc, char **argv)
{
	static struct options options = { .pool.size = sizeof(options.pool) };
	struct cadre_diag diag = { .text = "" };
	int r;

	/* In order: what stands behind "--" must not be mixed with what stands before. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &options);

	/* A whole line per write, and none lost when this process is killed. */
	setvbuf(stderr, NULL, _IOLBF, 0);
	r = cadre_serve(&options.source, &options.pool,
			options.quiet ? NULL : print_notice, NULL, &diag);
	if (r < 0)
		fprintf(stderr, "cadre serve: %s\n",
			diag.text[0] != '\0' ? diag.text : strerror(-r));
	return cadre_serve_status(r);
}
