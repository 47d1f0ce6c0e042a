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

#define SHOWN_INPUT 60        /* bytes of a line that an error message quotes */
#define DESCRIPTION_SIZE 4200 /* of a path, or of such a quotation */

static const int64_t tick_ns = 100 * 1000 * 1000;      /* signals and bar are looked at */
static const int64_t patience_ns = 1000 * 1000 * 1000; /* after a signal */

/* Bytes of ours that grow as needed and are used again. */
struct text {
	char *bytes;
	size_t length;
	size_t capacity;
};

/* One input from its submission until its result is printed. It is in one list: of those
 * that are free, or of all others in the order of their inputs. */
struct task {
	struct task *next;
	struct run *run;
	uint64_t number;   /* of the input, from 1 */
	struct text input; /* whole with --with-input, else what a message quotes */
	struct text reply; /* kept while an earlier task is awaited */
	bool ended;
	bool kept; /* there is a reply to be printed when its turn comes */
};

struct run {
	const struct cadre_map_command *options;
	struct cadre_client *client;
	int32_t operation;

	struct cadre_records records; /* inputs from standard input */
	size_t next_file;             /* inputs from files */
	int file;                     /* open and not yet accepted, or -1 */
	struct cadre_payload payload; /* what is read from it */
	bool input_ended;
	bool input_failed;

	struct task *tasks;
	struct task *free;
	struct task *first; /* the oldest whose result is not printed, and its successors */
	struct task **last;
	uint32_t in_flight;
	uint32_t outstanding; /* submitted and not ended */

	struct cadre_progress progress;
	struct cadre_progress_counts counts;
	uint64_t lost;
	uint64_t inputs;
	bool stdout_is_terminal;
	int pool_error;   /* why no more jobs can be submitted, or 0 */
	int output_error; /* why standard output takes no more, or 0 */
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

/* Prints what no longer waits for an earlier one. */
static void print_in_order(struct run *run)
{
	while (run->first && run->first->ended) {
		struct task *const task = run->first;

		run->first = task->next;
		if (!run->first)
			run->last = &run->first;
		if (task->kept)
			print_reply(run, task, task->reply.bytes, task->reply.length);
		free_task(run, task);
	}
}

static void report_outcome(struct run *run, const struct task *task,
			   const struct cadre_result *result)
{
	char job[DESCRIPTION_SIZE];

	describe(run, task->number, &task->input, job, sizeof(job));
	cadre_progress_clear(&run->progress);
	cadre_print_outcome("cadre map", job, result);
}

/* Called by the library when a job has ended; the reply lies in the segment until this
 * returns, and is printed from there if it is its turn. */
static void on_ended(const struct cadre_result *result, void *context)
{
	struct task *const task = context;
	struct run *const run = task->run;

	run->outstanding--;
	count_outcome(run, result);
	task->ended = true;

	if (result->outcome != CADRE_OK)
		report_outcome(run, task, result);
	else if (run->options->unordered || task == run->first)
		print_reply(run, task, result->data, result->length);
	else if (keep(&task->reply, result->data, result->length))
		task->kept = true;
	else
		run->pool_error = -ENOMEM;

	if (run->options->unordered)
		free_task(run, task);
	else
		print_in_order(run);
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

/* ---- submitting ---- */

enum step {
	STEP_ON,          /* an input is done with */
	STEP_AWAIT_JOBS,  /* no room for another job */
	STEP_AWAIT_INPUT, /* no whole record there */
	STEP_END,         /* of the inputs, or nothing can be submitted any more */
};

/* Takes a task for the next input. Never without one: the caller has looked. */
static struct task *take_task(struct run *run)
{
	struct task *const task = run->free;

	run->free = task->next;
	task->next = NULL;
	task->number = run->inputs + 1;
	task->ended = false;
	task->kept = false;
	return task;
}

static void enlist(struct run *run, struct task *task)
{
	run->inputs++;
	run->outstanding++;
	if (run->options->unordered)
		return;
	*run->last = task;
	run->last = &task->next;
}

/* Whether another job may be under way. */
static bool has_room(const struct run *run)
{
	return run->free && run->outstanding < run->in_flight;
}

static struct cadre_request request_for(const struct run *run, struct task *task)
{
	const struct cadre_map_command *const options = run->options;

	return (struct cadre_request){
		.operation = run->operation,
		.flags = options->once ? 0 : CADRE_IDEMPOTENT,
		.retries = options->retries,
		.deadline_ns = options->timeout_ns ? cadre_now_ns() + options->timeout_ns :
						     0,
		.ended = on_ended,
		.context = task,
	};
}

static enum step refused(struct run *run, int error)
{
	if (error == -EAGAIN || error == -ENOBUFS)
		return STEP_AWAIT_JOBS;
	run->pool_error = error;
	return STEP_END;
}

static void say_too_long(const struct run *run, char *why, size_t size)
{
	snprintf(why, size, "is longer than the pool takes (%zu bytes)",
		 cadre_client_payload_max(run->client));
}

static enum step skip_record(struct run *run)
{
	char why[80];

	say_too_long(run, why, sizeof(why));
	run->inputs++;
	reject(run, NULL, why);
	cadre_records_pop(&run->records);
	return STEP_ON;
}

static enum step submit_record(struct run *run)
{
	struct cadre_request request;
	struct task *task;
	const char *record;
	size_t length;
	int r = cadre_records_peek(&run->records, &record, &length);

	if (r == -EAGAIN)
		return STEP_AWAIT_INPUT;
	if (r == -EMSGSIZE)
		return skip_record(run);
	if (r == 0)
		return STEP_END;
	if (!has_room(run))
		return STEP_AWAIT_JOBS;

	task = take_task(run);
	request = request_for(run, task);
	request.data = record;
	request.length = length;
	r = -ENOMEM;
	if (keep(&task->input, record,
		 run->options->with_input || length < SHOWN_INPUT ? length :
								    SHOWN_INPUT + 1))
		r = cadre_try_submit(run->client, &request, NULL);
	if (r < 0) {
		free_task(run, task);
		return refused(run, r);
	}
	enlist(run, task);
	cadre_records_pop(&run->records);
	return STEP_ON;
}

/* The file is done with, accepted or not. */
static enum step leave_file(struct run *run, const char *why)
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
	return STEP_ON;
}

static enum step cannot_read(struct run *run, int error)
{
	char why[128];

	if (error == -EMSGSIZE)
		say_too_long(run, why, sizeof(why));
	else
		snprintf(why, sizeof(why), "cannot be read: %s", strerror(-error));
	return leave_file(run, why);
}

static bool is_of_pool(int error)
{
	return error == -EAGAIN || error == -ENOBUFS || error == -ESHUTDOWN ||
	       error == -EOWNERDEAD || error == -ECHILD;
}

static enum step submit_file(struct run *run)
{
	const char *const name = run->options->files[run->next_file];
	struct cadre_request request;
	struct cadre_draft draft;
	struct task *task;
	size_t length = 0;
	int r;

	if (run->next_file == run->options->file_count)
		return STEP_END;
	if (run->file < 0) {
		run->file = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (run->file < 0)
			return cannot_read(run, -errno);
		cadre_payload_open(&run->payload, run->file);
	}
	if (!has_room(run))
		return STEP_AWAIT_JOBS;

	r = cadre_payload_load(&run->payload, run->client, &draft, &length);
	if (is_of_pool(r))
		return refused(run, r);
	if (r < 0)
		return cannot_read(run, r);

	task = take_task(run);
	request = request_for(run, task);
	request.length = length;
	r = -ENOMEM;
	if (keep(&task->input, name, strlen(name)))
		r = cadre_draft_submit(run->client, &draft, &request, NULL);
	if (r < 0) {
		if (r == -ENOMEM || r == -EINVAL)
			cadre_draft_discard(run->client, &draft);
		free_task(run, task);
		run->pool_error = r;
		return STEP_END;
	}
	enlist(run, task);
	return leave_file(run, NULL);
}

/* Submits until something stands in the way, and says what. */
static enum step submit_all(struct run *run)
{
	enum step step;

	if (run->input_ended)
		return STEP_END;
	do
		step = run->options->file_count > 0 ? submit_file(run) :
						      submit_record(run);
	while (step == STEP_ON && stop_signal == 0 && run->output_error == 0);

	if (step == STEP_END) {
		run->input_ended = true;
		run->counts.total = run->inputs;
	}
	return step;
}

/* ---- waiting ---- */

static void note_error(struct run *run, int error)
{
	if (error < 0 && error != -ETIMEDOUT)
		run->pool_error = error;
}

static void flush_output(struct run *run)
{
	if (fflush(stdout) == EOF && run->output_error == 0)
		run->output_error = errno;
}

/* Until a job ends. With none under way, others hold the room: they do not tell. */
static void await_jobs(struct run *run, int64_t until_ns)
{
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };
	int r;

	if (run->outstanding == 0) {
		nanosleep(&pause, NULL);
		return;
	}
	r = cadre_client_await_dispatch(run->client, until_ns);
	if (r == -ETIMEDOUT)
		flush_output(run);
	note_error(run, r);
}

/* Until there is more to read or a job ends. A file is always ready to be read, and then
 * nothing is spent on the descriptor of the client. */
static void await_input(struct run *run)
{
	struct pollfd ready[2] = { { .fd = run->records.fd, .events = POLLIN },
				   { .fd = -1, .events = POLLIN } };

	if (poll(ready, 1, 0) == 0) {
		flush_output(run);
		if (run->outstanding > 0)
			ready[1].fd = cadre_client_fd(run->client);
		poll(ready, 2, (int)(tick_ns / 1000000));
	}
	if (ready[0].revents != 0) {
		const int r = cadre_records_fill(&run->records);

		if (r < 0) {
			cadre_progress_clear(&run->progress);
			fprintf(stderr, "cadre map: cannot read standard input: %s\n",
				strerror(-r));
			run->input_failed = true;
			run->records.at_end = true;
		}
	}
	if (run->outstanding > 0)
		note_error(run, cadre_client_dispatch(run->client, 0));
}

/* A pool that is being stopped still runs what it has accepted. */
static bool must_stop(const struct run *run)
{
	return stop_signal != 0 || run->output_error != 0 ||
	       (run->pool_error != 0 && run->pool_error != -ESHUTDOWN);
}

static void run_jobs(struct run *run)
{
	while (!must_stop(run)) {
		const enum step step = submit_all(run);

		if (step == STEP_END && run->outstanding == 0)
			break;
		if (step == STEP_AWAIT_INPUT)
			await_input(run);
		else if (!must_stop(run))
			await_jobs(run, cadre_now_ns() + tick_ns);
		cadre_progress_show(&run->progress, &run->counts);
	}
}

/* What is under way when a signal comes gets a moment; then it is cancelled. */
static void run_out(struct run *run)
{
	const int64_t until_ns = cadre_now_ns() + patience_ns;

	while (run->outstanding > 0 && run->output_error == 0 && run->pool_error == 0 &&
	       cadre_now_ns() < until_ns)
		await_jobs(run, until_ns);
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
		fprintf(stderr, "cadre map: pool \"%s\" died; %u jobs have no result\n",
			pool, run->outstanding);
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
		fprintf(stderr, "cadre map: interrupted; %u jobs under way are given up\n",
			run->outstanding);
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
	run->last = &run->first;
	run->stdout_is_terminal = isatty(STDOUT_FILENO) == 1;
	run->tasks = calloc(run->in_flight, sizeof(*run->tasks));
	if (!run->tasks)
		return -ENOMEM;
	for (uint32_t i = 0; i < run->in_flight; i++) {
		run->tasks[i].run = run;
		free_task(run, &run->tasks[i]);
	}
	return cadre_records_open(&run->records, STDIN_FILENO, options->separator,
				  longest);
}

static void close_run(struct run *run)
{
	for (uint32_t i = 0; run->tasks && i < run->in_flight; i++) {
		free(run->tasks[i].input.bytes);
		free(run->tasks[i].reply.bytes);
	}
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
		run_out(&run);
		status = conclude(&run);
	}
	close_run(&run);
	return status;
}
