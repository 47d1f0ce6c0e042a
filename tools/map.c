#include "map.h"
#include "commands.h"
#include "outcome.h"
#include "payload.h"
#include "progress.h"
#include "records.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cadre/map.h>

#define SHOWN_INPUT 60        /* bytes of a line that an error message quotes */
#define DESCRIPTION_SIZE 4200 /* of a path, or of such a quotation */

static const int64_t patience_ns = 1000 * 1000 * 1000; /* after a signal */

/* What ends the map early, beside errors. */
enum { END_OUTPUT = 1, END_PATIENCE };

/* Bytes of ours that grow as needed and are used again. */
struct text {
	char *bytes;
	size_t length;
	size_t capacity;
};

/* One input from its submission until its result is printed. */
struct task {
	struct task *next; /* free */
	uint64_t number;   /* of the input, from 1 */
	struct text input; /* whole with --with-input, else what a message quotes */
};

struct run {
	const struct cadre_map_command *options;
	struct cadre_client *client;
	int32_t operation;

	struct cadre_records records; /* inputs from standard input */
	bool shows_record;            /* that was submitted and not popped */
	size_t next_file;             /* inputs from files */
	int file;                     /* open and not yet loaded, or -1 */
	struct cadre_payload payload; /* what is read from it */
	bool input_failed;

	uint32_t in_flight;
	struct task *tasks;
	struct task *free;

	struct cadre_progress progress;
	struct cadre_progress_counts counts;
	uint64_t lost;
	uint64_t inputs;
	bool stdout_is_terminal;
	int64_t give_up_ns; /* after a signal; 0: none came */
	int pool_error;     /* why no more jobs can be submitted, or 0 */
	int output_error;   /* why standard output takes no more, or 0 */
	uint64_t given_up;  /* jobs without a result */
};

static volatile sig_atomic_t stop_signal;

static void note_signal(int number)
{
	stop_signal = number;
}

/* ---- results ---- */

static bool keep(struct text *text, const void *bytes, size_t length)
{
	if (length > text->capacity) {
		char *const larger = realloc(text->bytes, length);

		if (!larger)
			return false;
		text->bytes = larger;
		text->capacity = length;
	}
	if (length > 0)
		memcpy(text->bytes, bytes, length);
	text->length = length;
	return true;
}

static void put(const void *bytes, size_t length)
{
	if (length > 0)
		fwrite(bytes, 1, length, stdout);
}

static void print_reply(struct run *run, const struct task *task, const void *reply,
			size_t length)
{
	if (run->stdout_is_terminal)
		cadre_progress_clear(&run->progress);
	put(reply, length);
	if (run->options->with_input) {
		put("  ", 2);
		put(task->input.bytes, task->input.length);
	}
	putc(run->options->terminator, stdout);
	if (ferror(stdout) && run->output_error == 0)
		run->output_error = errno;
}

/* `file "x"`; `input 17 "the beginning..."`; `input 17` when the input is not known. */
static void describe(const struct run *run, uint64_t number, const struct text *input,
		     char *text, size_t size)
{
	const bool is_file = run->options->file_count > 0;
	const bool is_cut = !is_file && input && input->length > SHOWN_INPUT;
	char kind[32] = "file";

	if (!is_file)
		snprintf(kind, sizeof(kind), "input %llu", (unsigned long long)number);
	if (!input)
		snprintf(text, size, "%s", kind);
	else
		snprintf(text, size, "%s \"%.*s%s\"", kind,
			 is_cut ? SHOWN_INPUT : (int)input->length,
			 input->length > 0 ? input->bytes : "", is_cut ? "..." : "");
	for (char *c = text; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
}

static void count_outcome(struct run *run, const struct cadre_result *result)
{
	run->counts.done++;
	run->counts.retried += result->attempt > 0;
	run->counts.failed += result->outcome != CADRE_OK;
	run->lost += result->outcome == CADRE_LOST;
}

static void free_task(struct run *run, struct task *task)
{
	task->next = run->free;
	run->free = task;
}

static void report_outcome(struct run *run, const struct task *task,
			   const struct cadre_result *result)
{
	char job[DESCRIPTION_SIZE];

	describe(run, task->number, &task->input, job, sizeof(job));
	cadre_progress_clear(&run->progress);
	cadre_print_outcome("cadre map", job, result);
}

static void flush_output(struct run *run)
{
	if (fflush(stdout) == EOF && run->output_error == 0)
		run->output_error = errno;
}

/* The reply is printed from where it lies in the segment. */
static int on_result(uint64_t index, void *item, const struct cadre_result *result,
		     void *context)
{
	struct task *const task = item;
	struct run *const run = context;

	(void)index;
	count_outcome(run, result);
	if (result->outcome == CADRE_OK)
		print_reply(run, task, result->data, result->length);
	else
		report_outcome(run, task, result);
	free_task(run, task);
	cadre_progress_show(&run->progress, &run->counts);
	return run->output_error ? END_OUTPUT : 0;
}

/* An input that never became a job; NULL when it is not known. */
static void reject(struct run *run, const struct text *input, const char *why)
{
	char job[DESCRIPTION_SIZE];

	describe(run, run->inputs, input, job, sizeof(job));
	cadre_progress_clear(&run->progress);
	fprintf(stderr, "cadre map: %s %s\n", job, why);
	run->counts.done++;
	run->counts.failed++;
}

/* ---- inputs ---- */

/* There is one: no more are asked for than are under way. */
static struct task *take_task(struct run *run)
{
	struct task *const task = run->free;

	run->free = task->next;
	task->number = ++run->inputs;
	return task;
}

static struct cadre_request request_for(const struct run *run)
{
	const struct cadre_map_command *const options = run->options;

	return (struct cadre_request){
		.operation = run->operation,
		.flags = options->once ? 0 : CADRE_IDEMPOTENT,
		.retries = options->retries,
		.deadline_ns = options->timeout_ns ? cadre_now_ns() + options->timeout_ns :
						     0,
	};
}

static void say_too_long(const struct run *run, char *why, size_t size)
{
	snprintf(why, size, "is longer than the pool takes (%zu bytes)",
		 cadre_client_payload_max(run->client));
}

static void skip_record(struct run *run)
{
	char why[80];

	say_too_long(run, why, sizeof(why));
	run->inputs++;
	reject(run, NULL, why);
	cadre_records_pop(&run->records);
}

/* Reads on if that does not have to wait. */
static bool read_more(struct run *run)
{
	struct pollfd look = { .fd = run->records.fd, .events = POLLIN };
	int r;

	if (poll(&look, 1, 0) == 0)
		return false;
	r = cadre_records_fill(&run->records);
	if (r < 0) {
		cadre_progress_clear(&run->progress);
		fprintf(stderr, "cadre map: cannot read standard input: %s\n",
			strerror(-r));
		run->input_failed = true;
		run->records.at_end = true;
	}
	return true;
}

/* The next record as cadre_records_peek, with those that are too long left out. */
static int find_record(struct run *run, const char **ret_record, size_t *ret_length)
{
	if (run->shows_record)
		cadre_records_pop(&run->records);
	run->shows_record = false;
	for (;;) {
		const int r = cadre_records_peek(&run->records, ret_record, ret_length);

		if (r == -EMSGSIZE)
			skip_record(run);
		else if (r != -EAGAIN || !read_more(run))
			return r;
	}
}

static int next_record(struct run *run, struct cadre_map_input *input)
{
	struct task *task;
	const char *record;
	size_t length;
	const int r = find_record(run, &record, &length);

	if (r == -EAGAIN)
		flush_output(run);
	if (r != 1)
		return r;
	run->shows_record = true;
	task = take_task(run);
	if (!keep(&task->input, record,
		  run->options->with_input || length < SHOWN_INPUT ? length :
								     SHOWN_INPUT + 1))
		return -ENOMEM;
	input->item = task;
	input->request = request_for(run);
	input->request.data = record;
	input->request.length = length;
	return 1;
}

/* The file is done with, read or not. */
static void leave_file(struct run *run, const char *why)
{
	char *const name = run->options->files[run->next_file++];
	const struct text input = { .bytes = name, .length = strlen(name) };

	if (run->file >= 0)
		close(run->file);
	run->file = -1;
	if (why) {
		run->inputs++;
		reject(run, &input, why);
	}
}

static void cannot_read(struct run *run, int error)
{
	char why[128];

	if (error == -EMSGSIZE)
		say_too_long(run, why, sizeof(why));
	else
		snprintf(why, sizeof(why), "cannot be read: %s", strerror(-error));
	leave_file(run, why);
}

static bool is_of_pool(int error)
{
	return error == -EAGAIN || error == -ENOBUFS || error == -ESHUTDOWN ||
	       error == -EOWNERDEAD || error == -ECHILD;
}

/* The next file's payload in the draft. 1, or the pool's error; 0 for a file that cannot be
 * read, which is named. */
static int load_file(struct run *run, struct cadre_map_input *input)
{
	size_t length = 0;
	int r;

	if (run->file < 0) {
		run->file = open(run->options->files[run->next_file],
				 O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (run->file < 0) {
			cannot_read(run, -errno);
			return 0;
		}
		cadre_payload_open(&run->payload, run->file);
	}
	r = cadre_payload_load(&run->payload, run->client, &input->draft, &length);
	input->request = request_for(run);
	input->request.length = length;
	if (r == 0 || is_of_pool(r))
		return r == 0 ? 1 : r;
	cannot_read(run, r);
	return 0;
}

static int next_file(struct run *run, struct cadre_map_input *input)
{
	while (run->next_file < run->options->file_count) {
		const char *const name = run->options->files[run->next_file];
		struct task *task;
		int r = load_file(run, input);

		if (r == 0)
			continue;
		/* Room comes back when a job ends; a pool that stops runs what it has. */
		if (r == -ENOBUFS)
			r = -EAGAIN;
		if (r == -ESHUTDOWN)
			run->pool_error = r;
		if (r < 0)
			return r == -ESHUTDOWN ? 0 : r;
		task = take_task(run);
		leave_file(run, NULL);
		if (!keep(&task->input, name, strlen(name))) {
			cadre_draft_discard(run->client, &input->draft);
			return -ENOMEM;
		}
		input->item = task;
		return 1;
	}
	return 0;
}

/* After a signal there are no more inputs. */
static int on_next(uint64_t index, struct cadre_map_input *input, void *context)
{
	struct run *const run = context;
	int r = 0;

	(void)index;
	if (stop_signal == 0)
		r = run->options->file_count > 0 ? next_file(run, input) :
						   next_record(run, input);
	if (r == 0)
		run->counts.total = run->inputs;
	return r;
}

/* What is under way when a signal comes gets a moment; then it is cancelled. */
static int on_tick(void *context)
{
	struct run *const run = context;

	flush_output(run);
	cadre_progress_show(&run->progress, &run->counts);
	if (run->output_error)
		return END_OUTPUT;
	if (stop_signal == 0)
		return 0;
	if (run->give_up_ns == 0)
		run->give_up_ns = cadre_now_ns() + patience_ns;
	return cadre_now_ns() >= run->give_up_ns ? END_PATIENCE : 0;
}

static void run_jobs(struct run *run)
{
	const struct cadre_map_options options = {
		.size = sizeof(options),
		.in_flight = run->in_flight,
		.ordered = !run->options->unordered,
		.has_input_fd = run->options->file_count == 0,
		.input_fd = run->records.fd,
		.tick = on_tick,
	};
	struct cadre_map_sums sums;
	const int r = cadre_map(run->client, on_next, on_result, run, &options, &sums);

	run->given_up = sums.cancelled;
	if (r < 0)
		run->pool_error = r;
}

/* ---- the whole ---- */

static void report_pool_error(const struct run *run)
{
	const char *const pool = run->options->pool;

	switch (run->pool_error) {
	case -ESHUTDOWN:
		fprintf(stderr,
			"cadre map: pool \"%s\" is stopped and takes no more jobs\n",
			pool);
		break;
	case -EOWNERDEAD:
		fprintf(stderr, "cadre map: pool \"%s\" died; %llu jobs have no result\n",
			pool, (unsigned long long)run->given_up);
		break;
	default:
		fprintf(stderr, "cadre map: cannot go on with pool \"%s\": %s\n", pool,
			strerror(-run->pool_error));
	}
}

static void print_summary(const struct run *run)
{
	const struct cadre_progress_counts *const counts = &run->counts;

	fprintf(stderr,
		"%llu jobs: %llu ok, %llu failed, %llu lost, %llu tried again, %.0f jobs/s\n",
		(unsigned long long)counts->done,
		(unsigned long long)(counts->done - counts->failed),
		(unsigned long long)(counts->failed - run->lost),
		(unsigned long long)run->lost, (unsigned long long)counts->retried,
		cadre_progress_rate(&run->progress, counts->done));
}

/* Says how it went, and returns the exit status. */
static int conclude(struct run *run)
{
	flush_output(run);
	cadre_progress_finish(&run->progress, &run->counts);
	if (run->options->summary)
		print_summary(run);

	if (run->output_error == EPIPE)
		return 128 + SIGPIPE; /* the reader has seen enough: nothing to say */
	if (run->output_error != 0) {
		fprintf(stderr, "cadre map: cannot write the results: %s\n",
			strerror(run->output_error));
		return CADRE_EXIT_FAILED;
	}
	if (stop_signal != 0) {
		fprintf(stderr,
			"cadre map: interrupted; %llu jobs under way are given up\n",
			(unsigned long long)run->given_up);
		return 128 + stop_signal;
	}
	if (run->pool_error != 0) {
		report_pool_error(run);
		return CADRE_EXIT_POOL;
	}
	return run->counts.failed > 0 || run->input_failed ? CADRE_EXIT_FAILED :
							     CADRE_EXIT_OK;
}

/* The second signal of a kind finds the default action, which is to die. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = note_signal,
				    .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int open_run(struct run *run)
{
	const struct cadre_map_command *const options = run->options;
	const uint32_t window = cadre_client_window(run->client);
	const size_t longest = cadre_client_payload_max(run->client);

	run->in_flight = options->in_flight ? options->in_flight : window;
	run->file = -1;
	run->stdout_is_terminal = isatty(STDOUT_FILENO) == 1;
	run->tasks = calloc(run->in_flight, sizeof(*run->tasks));
	if (!run->tasks)
		return -ENOMEM;
	for (uint32_t i = 0; i < run->in_flight; i++) {
		free_task(run, &run->tasks[i]);
	}
	return cadre_records_open(&run->records, STDIN_FILENO, options->separator,
				  longest);
}

static void close_run(struct run *run)
{
	for (uint32_t i = 0; run->tasks && i < run->in_flight; i++)
		free(run->tasks[i].input.bytes);
	free(run->tasks);
	cadre_records_close(&run->records);
	if (run->file >= 0)
		close(run->file);
}

int cadre_map_run(const struct cadre_map_command *options, struct cadre_client *client,
		  int32_t operation)
{
	static struct run run;
	int status = CADRE_EXIT_FAILED;

	run = (struct run){ .options = options, .client = client, .operation = operation };
	if (open_run(&run) < 0) {
		fprintf(stderr, "cadre map: not enough memory\n");
	} else {
		catch_signals();
		cadre_progress_start(&run.progress, options->progress);
		if (options->file_count > 0)
			run.counts.total = options->file_count;
		else if (options->progress)
			run.counts.total = cadre_records_count(&run.records);
		run_jobs(&run);
		status = conclude(&run);
	}
	close_run(&run);
	return status;
}
