/*
 * cadre call - submit one job from the shell.
 *
 * The payload is standard input, or the text of --data, or nothing; the reply goes to
 * standard output byte for byte. One job, one client: for many jobs, `cadre map` keeps
 * many under way at once. With --stream the items of one job are written as they come
 * (call_stream.h).
 *
 * Exit status: 0 the job ended ok, 1 it ended otherwise or had errors among its items, 2 the
 * pool cannot be used, 64 wrong arguments.
 */
#include "call_stream.h"
#include "commands.h"
#include "options.h"
#include "outcome.h"
#include "payload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct options {
	const char *pool;
	const char *operation;
	const char *data; /* NULL: standard input */
	int64_t timeout_ns;
	uint32_t retries;
	bool idempotent;
	bool detached;
	bool no_backtrace;
	bool stream;
	enum cadre_item_format format;
	bool stop;
	size_t room;
};

enum {
	OPT_DATA = 256,
	OPT_DETACHED,
	OPT_IDEMPOTENT,
	OPT_NO_BACKTRACE,
	OPT_RETRIES,
	OPT_ROOM,
	OPT_STOP,
	OPT_STREAM,
	OPT_TIMEOUT
};

static const struct argp_option argp_options[] = {
	{ "data", OPT_DATA, "TEXT", 0, "The payload, instead of standard input", 0 },
	{ "timeout", OPT_TIMEOUT, "DURATION", 0,
	  "The job's deadline, counted from now; past it the outcome is \"timed out\"", 0 },
	{ "idempotent", OPT_IDEMPOTENT, NULL, 0,
	  "The job may be run again when its worker dies", 0 },
	{ "retries", OPT_RETRIES, "N", 0,
	  "With --idempotent: tries after the first, 1 to 15 (default 3)", 0 },
	{ "detached", OPT_DETACHED, NULL, 0,
	  "Submit and leave: the job goes on, its reply is dropped", 0 },
	{ "no-backtrace", OPT_NO_BACKTRACE, NULL, 0,
	  "When the worker crashed: do not show where", 0 },
	{ "stream", OPT_STREAM, "FORMAT", OPTION_ARG_OPTIONAL,
	  "The job answers with items, written as they come: each with a newline (lines, the "
	  "default), with nothing between them (raw), or as LENGTH:BYTES, (netstrings)",
	  0 },
	{ "room", OPT_ROOM, "SIZE", 0,
	  "With --stream: how many bytes of items the worker may be ahead (default 7k)",
	  0 },
	{ "stop", OPT_STOP, NULL, 0, "With --stream: leave at the first error item", 0 },
	{ 0 },
};

static const char documentation[] =
	"Submits one job to POOL and prints its reply. OPERATION is a name or a number. The "
	"payload is read from standard input.\v"
	"A job that does not end ok is reported in one line on standard error, with its "
	"outcome, code or signal, worker and pid; where its worker crashed follows, a line "
	"for each call. So is each error among the items of a stream, with its number. The "
	"reply of a stream, if it has one, is its last item. When whoever reads standard "
	"output leaves, so does this client, and the handler is told.\n\n"
	"Exit status: 0 the job ended ok, without an error among its items; 1 it ended "
	"otherwise; 2 the pool cannot be used; 64 wrong arguments.\n\n"
	"Examples:\n"
	"  echo hello | cadre call demo echo\n"
	"  cadre call demo sleep --data 500 --timeout 2s\n"
	"  cadre call --stream demo count --data 1000000 | head -n 3\n"
	"  cadre call digest sha256 < /etc/passwd";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *const options = state->input;

	switch (key) {
	case OPT_DATA:
		options->data = arg;
		return 0;
	case OPT_TIMEOUT:
		options->timeout_ns = cadre_option_duration(state, "--timeout", arg);
		return 0;
	case OPT_IDEMPOTENT:
		options->idempotent = true;
		return 0;
	case OPT_RETRIES:
		options->retries = cadre_option_number(state, "--retries", arg, 1, 15);
		return 0;
	case OPT_DETACHED:
		options->detached = true;
		return 0;
	case OPT_STREAM:
		options->stream = true;
		if (arg && !cadre_parse_item_format(arg, &options->format))
			cadre_refuse_usage(state,
					   "--stream=%s: must be lines, raw or netstrings",
					   arg);
		return 0;
	case OPT_ROOM:
		options->room = cadre_option_size(state, "--room", arg);
		if (options->room < 64)
			cadre_refuse_usage(state, "--room %s: must be 64 bytes or more",
					   arg);
		return 0;
	case OPT_STOP:
		options->stop = true;
		return 0;
	case OPT_NO_BACKTRACE:
		options->no_backtrace = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			options->pool = arg;
		else if (state->arg_num == 1)
			options->operation = arg;
		else
			cadre_refuse_usage(state, "\"%s\" is one argument too many", arg);
		return 0;
	case ARGP_KEY_END:
		if (state->arg_num < 2)
			cadre_refuse_usage(state, "a pool and an operation must be given "
						  "(see cadre call --help)");
		if (options->retries > 0 && !options->idempotent)
			cadre_refuse_usage(state, "--retries %u: needs --idempotent",
					   options->retries);
		if ((options->room || options->stop) && !options->stream)
			cadre_refuse_usage(state, "%s: needs --stream",
					   options->room ? "--room" : "--stop");
		if (options->detached && options->stream)
			cadre_refuse_usage(state,
					   "--detached: nobody would read the --stream");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.args_doc = "POOL OPERATION",
	.doc = documentation,
};

/* ---- submitting ---- */

static struct cadre_request request_of(const struct options *options, int32_t operation,
				       int64_t deadline_ns)
{
	return (struct cadre_request){
		.operation = operation,
		.flags = (options->idempotent ? CADRE_IDEMPOTENT : 0u) |
			 (options->detached ? CADRE_DETACHED : 0u) |
			 (options->stream ? CADRE_STREAM : 0u),
		.stream_room = options->room,
		.retries = options->retries,
		.deadline_ns = deadline_ns,
	};
}

/* Room that other clients hold comes back when their jobs end. */
static bool should_try_again(int r, int64_t deadline_ns)
{
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };

	if (r != -EAGAIN && r != -ENOBUFS)
		return false;
	if (deadline_ns != 0 && cadre_now_ns() >= deadline_ns)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

static int submit_data(struct cadre_client *client, struct cadre_request *request,
		       const char *data, struct cadre_ticket *ret_ticket)
{
	int r;

	request->data = data;
	request->length = strlen(data);
	do
		r = cadre_try_submit(client, request, ret_ticket);
	while (should_try_again(r, request->deadline_ns));
	return r;
}

static int submit_input(struct cadre_client *client, struct cadre_request *request,
			struct cadre_ticket *ret_ticket)
{
	static struct cadre_payload payload;
	struct cadre_draft draft;
	int r;

	cadre_payload_open(&payload, STDIN_FILENO);
	do
		r = cadre_payload_load(&payload, client, &draft, &request->length);
	while (should_try_again(r, request->deadline_ns));
	if (r < 0)
		return r;
	return cadre_draft_submit(client, &draft, request, ret_ticket);
}

/* ---- what became of it ---- */

/* One sentence about a job that was not accepted, or whose end nobody can tell. */
static int report_error(const struct options *options, const struct cadre_client *client,
			int error)
{
	switch (error) {
	case -EMSGSIZE:
		fprintf(stderr,
			"cadre call: the payload is longer than pool \"%s\" takes (%zu bytes)\n",
			options->pool, cadre_client_payload_max(client));
		return CADRE_EXIT_FAILED;
	case -ENOBUFS:
	case -EAGAIN:
		fprintf(stderr,
			"cadre call: pool \"%s\" had no room for the payload in time\n",
			options->pool);
		return CADRE_EXIT_FAILED;
	case -ESHUTDOWN:
		fprintf(stderr, "cadre call: pool \"%s\" is stopped and takes no jobs\n",
			options->pool);
		return CADRE_EXIT_POOL;
	case -EOWNERDEAD:
		fprintf(stderr, "cadre call: pool \"%s\" died before the job ended\n",
			options->pool);
		return CADRE_EXIT_POOL;
	default:
		fprintf(stderr, "cadre call: cannot submit to pool \"%s\": %s\n",
			options->pool, strerror(-error));
		return CADRE_EXIT_FAILED;
	}
}

static void print_backtrace(const struct cadre_client *client,
			    const struct cadre_result *result)
{
	static char text[1u << 16];
	struct cadre_backtrace backtrace;

	if (cadre_result_backtrace(client, result, &backtrace) < 0)
		return;
	cadre_backtrace_format(&backtrace, 0, text, sizeof(text));
	fputs(text, stderr);
}

static int print_result(const struct options *options, const struct cadre_client *client,
			const struct cadre_result *result)
{
	if (result->outcome != CADRE_OK) {
		cadre_print_outcome("cadre call", "job", result);
		if (!options->no_backtrace)
			print_backtrace(client, result);
		return CADRE_EXIT_FAILED;
	}
	if (fwrite(result->data, 1, result->length, stdout) != result->length ||
	    fflush(stdout) == EOF) {
		fprintf(stderr, "cadre call: cannot write the reply: %s\n",
			strerror(errno));
		return CADRE_EXIT_FAILED;
	}
	return CADRE_EXIT_OK;
}

static int call(const struct options *options, struct cadre_client *client)
{
	const int64_t deadline_ns = options->timeout_ns ?
					    cadre_now_ns() + options->timeout_ns :
					    0;
	struct cadre_request request;
	struct cadre_result result;
	struct cadre_ticket ticket;
	int32_t operation;
	int r, status;

	operation = cadre_find_operation("cadre call", options->pool, client,
					 options->operation);
	if (operation < 0)
		return CADRE_EXIT_POOL;

	request = request_of(options, operation, deadline_ns);
	r = options->data ? submit_data(client, &request, options->data, &ticket) :
			    submit_input(client, &request, &ticket);
	if (r < 0)
		return report_error(options, client, r);
	if (options->detached)
		return CADRE_EXIT_OK;
	if (options->stream)
		return cadre_print_stream(client, ticket, options->format, options->stop);

	r = cadre_await(client, ticket, CADRE_FOREVER, &result);
	if (r < 0)
		return report_error(options, client, r);
	status = print_result(options, client, &result);
	cadre_release(client, &result);
	return status;
}

int cadre_cmd_call(int argc, char **argv)
{
	struct options options = { 0 };
	struct cadre_client *client;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &options);

	status = cadre_attach_to("cadre call", options.pool, &client);
	if (status != CADRE_EXIT_OK)
		return status;
	status = call(&options, client);
	cadre_client_detach(client);
	return status;
}
