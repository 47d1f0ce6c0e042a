/*
 * proc_backtrace.c - claims about what a worker leaves behind that dies of a signal: its own
 * words about where it was, whatever killed it, on whatever stack.
 *
 * The service below dies in ways that are all different for the unwinder. The functions that
 * are looked for by name are kept apart by noinline.
 */
#include "claims.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(backtrace, TROUPE);

enum wreck {
	WRECK_NULL = 1, /* writes where nothing is */
	WRECK_JUMP,     /* calls where nothing is */
	WRECK_OVERFLOW, /* recurses until the stack is used up */
	WRECK_ABORT,
	WRECK_ILL,
	WRECK_TRAP,
	WRECK_FPE,
	WRECK_BUS,
	WRECK_SYS,
	WRECK_HANG,   /* never returns, deadline or not */
	WRECK_OWN,    /* handles SEGV itself, and exits with status 3 */
	WRECK_CHILD,  /* forks a child that crashes; replies with its signal */
	WRECK_THREAD, /* crashes on a thread that the service made */
	WRECK_BOTH,   /* two threads at once */
	WRECK_HEAP,   /* inside of malloc, whose locks it holds */
	WRECK_STATUS, /* exits with status 4 */
	WRECK_KILLED, /* SIGKILL */
	WRECK_TWICE,  /* so that not even the handler can run */
};

/* The faults are wanted: no sanitizer is to find them first. */
#define KEPT __attribute__((noinline, used, no_sanitize("undefined"))) static

static volatile int sink;
static int *volatile nowhere;

KEPT void write_to_nowhere(void)
{
	*nowhere = 1;
	sink = 1;
}

KEPT void call_write_to_nowhere(void)
{
	write_to_nowhere();
	sink = 2;
}

KEPT void jump_to_nowhere(void)
{
	void (*volatile function)(void) = NULL;

	function(); /* NOLINT */
	sink = 3;
}

KEPT int recurse_without_end(int depth) /* NOLINT */
{
	volatile char room[512];

	room[0] = (char)depth;
	sink = depth;
	if (sink < 0) /* it never is, but the compiler cannot know */
		return 0;
	return recurse_without_end(depth + 1) + room[0];
}

KEPT void hang_for_ever(void)
{
	for (;;)
		sink++;
}

KEPT void divide_by_zero(void)
{
	volatile int zero = 0, many = 100;

#if defined(__x86_64__)
	sink = many / zero; /* NOLINT */
#else
	raise(SIGFPE + zero * many);
#endif
}

KEPT void read_behind_the_end(void)
{
	FILE *const file = tmpfile();
	volatile char *const page = mmap(NULL, 4096, PROT_READ, MAP_SHARED,
					 file ? fileno(file) : -1, 0);

	sink = page[0]; /* NOLINT */
}

static void *write_on_thread(void *unused)
{
	(void)unused;
	write_to_nowhere();
	return NULL;
}

static void exit_with_3(int number)
{
	(void)number;
	_exit(3);
}

static void crash_in_child(struct cadre_job *job)
{
	const pid_t child = fork();
	uint32_t signal_number;
	int status;

	if (child == 0)
		write_to_nowhere();
	waitpid(child, &status, 0);
	signal_number = (uint32_t)WTERMSIG(status);
	cadre_job_reply(job, &signal_number, sizeof(signal_number));
}

static void start_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, write_on_thread, NULL);
}

/* The first thing that a handler does on it is a fault, of a signal that is blocked. */
static void lose_handlers_stack(void)
{
	stack_t stack;

	sigaltstack(NULL, &stack);
	mprotect(stack.ss_sp, stack.ss_size, PROT_READ);
}

KEPT void be_wrecked(enum wreck how)
{
	switch (how) {
	case WRECK_NULL:
		call_write_to_nowhere();
		break;
	case WRECK_JUMP:
		jump_to_nowhere();
		break;
	case WRECK_OVERFLOW:
		recurse_without_end(0);
		break;
	case WRECK_ABORT:
		abort();
	case WRECK_ILL:
		raise(SIGILL);
		break;
	case WRECK_TRAP:
		raise(SIGTRAP);
		break;
	case WRECK_FPE:
		divide_by_zero();
		break;
	case WRECK_BUS:
		read_behind_the_end();
		break;
	case WRECK_SYS:
		raise(SIGSYS);
		break;
	case WRECK_HANG:
		hang_for_ever();
		break;
	case WRECK_OWN:
		signal(SIGSEGV, exit_with_3);
		call_write_to_nowhere();
		break;
	case WRECK_THREAD:
		start_thread();
		hang_for_ever();
		break;
	case WRECK_BOTH:
		start_thread();
		write_to_nowhere();
		break;
	case WRECK_HEAP: {
		/* malloc's own check finds it, and aborts in the middle of its work. */
		char *volatile block = malloc(40);

		free(block);
		free(block); /* NOLINT */
		break;
	}
	case WRECK_STATUS:
		_exit(4);
	case WRECK_KILLED:
		raise(SIGKILL);
		break;
	case WRECK_TWICE:
		lose_handlers_stack();
		write_to_nowhere();
		break;
	case WRECK_CHILD:
		break;
	}
	sink = 4;
}

static void wreck(struct cadre_job *job, void *state)
{
	size_t length;
	uint32_t how;

	(void)state;
	memcpy(&how, cadre_job_data(job, &length), sizeof(how));
	if (how == WRECK_CHILD)
		crash_in_child(job);
	else
		be_wrecked((enum wreck)how);
	sink = 5;
}

static const struct cadre_operation operations[] = { { 1, "wreck", wreck } };

static const struct cadre_service yard = {
	.size = sizeof(yard),
	.name = "yard",
	.operations = operations,
	.operation_count = 1,
};

static const struct cadre_service yard_with_threads = {
	.size = sizeof(yard),
	.name = "yard",
	.operations = operations,
	.operation_count = 1,
	.flags = CADRE_SERVICE_THREADS,
};

#define OPEN_YARD(service, ...) START_SERVICE(service, ONE_WORKER, __VA_ARGS__)

static struct cadre_backtrace trace;
static char text[16384];

static struct cadre_result lose(enum wreck how, int expected_code)
{
	const struct cadre_result result = await(submit(ASK(1, (uint32_t)how)));

	cr_assert_eq(result.outcome, CADRE_LOST, "way %d: %s: %s", (int)how,
		     cadre_outcome_name(result.outcome), result.sentence);
	cr_assert_eq(result.code, expected_code, "way %d: %d", (int)how, result.code);
	cr_assert_eq(result.operation, 1);
	return result;
}

/* Loses a job and leaves what its worker said in `trace` and `text`. */
static void lose_and_read(enum wreck how, int expected_signal)
{
	const struct cadre_result result = lose(how, expected_signal);
	const int r = cadre_result_backtrace(troupe.client, &result, &trace);

	cr_assert_eq(r, 0, "%d", r);
	release(&result);
	cr_assert_eq(trace.signal_number, expected_signal);
	cr_assert_eq(trace.pid, result.worker_pid);
	cr_assert_eq(trace.incarnation, 1);
	cr_assert_gt(trace.frame_count, 0);
	cr_assert_lt(cadre_backtrace_format(&trace, 0, text, sizeof(text)), sizeof(text));
}

static void names(const char *function)
{
	cr_assert_not_null(strstr(text, function), "no %s in\n%s", function, text);
}

/* AddressSanitizer keeps variables on stacks of its own, and is the first to find the true one
 * used up. */
#ifdef __SANITIZE_ADDRESS__
#define INNERMOST ""
#else
#define INNERMOST "#0  "
#endif

static bool has_symbols(void)
{
	return strstr(text, "wreck at ") || strstr(text, "wreck (");
}

Test(backtrace, of_a_write_to_nowhere_names_each_caller_with_file_and_line)
{
	OPEN_YARD(&yard, 0);
	lose_and_read(WRECK_NULL, SIGSEGV);
	names("#0  write_to_nowhere at ");
	names("#1  call_write_to_nowhere at ");
	names("be_wrecked at ");
	names("wreck at ");
	names("proc_backtrace.c:");
	names("at address 0x0 (nothing is mapped there)");
	cr_assert_eq(trace.operation, 1);
	cr_assert_neq(trace.job, 0);
	cr_assert_eq(trace.thread, trace.pid);
}

Test(backtrace, of_a_call_to_nowhere_names_who_called)
{
	OPEN_YARD(&yard, 0);
	lose_and_read(WRECK_JUMP, SIGSEGV);
	cr_assert_eq(trace.frames[0].module, CADRE_NO_MODULE);
	cr_assert_eq(trace.frames[0].offset, 0);
	names("#1  jump_to_nowhere at ");
	names("be_wrecked at ");
}

/* Under AddressSanitizer as well: the handler has a stack of its own either way. */
Test(backtrace, of_a_stack_that_is_used_up_is_there)
{
	OPEN_YARD(&yard, 0);
	lose_and_read(WRECK_OVERFLOW, SIGSEGV);
	names(INNERMOST "recurse_without_end at ");
	names("#40 recurse_without_end at ");
	cr_assert_eq(trace.frame_count, CADRE_BACKTRACE_FRAMES);
	cr_assert_gt(trace.frames_dropped, 100);
	names(" more\n");
}

Test(backtrace, of_a_stack_that_is_used_up_is_there_on_a_handlers_thread_too)
{
	OPEN_YARD(&yard_with_threads, .parallel = 2);
	lose_and_read(WRECK_OVERFLOW, SIGSEGV);
	names(INNERMOST "recurse_without_end at ");
	cr_assert_neq(trace.thread, trace.pid);
}

Test(backtrace, is_left_by_every_signal_that_means_a_fault)
{
	static const struct {
		enum wreck how;
		int signal_number;
	} ways[] = {
		{ WRECK_ABORT, SIGABRT }, { WRECK_ILL, SIGILL }, { WRECK_TRAP, SIGTRAP },
		{ WRECK_FPE, SIGFPE },    { WRECK_BUS, SIGBUS }, { WRECK_SYS, SIGSYS },
	};

	OPEN_YARD(&yard, 0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const struct cadre_result result = lose(ways[i].how,
							ways[i].signal_number);

		cr_assert_eq(cadre_result_backtrace(troupe.client, &result, &trace), 0,
			     "signal %d", ways[i].signal_number);
		cadre_backtrace_format(&trace, 0, text, sizeof(text));
		cr_assert_eq(trace.signal_number, ways[i].signal_number);
		names("be_wrecked at ");
		release(&result);
	}
}

Test(backtrace, of_a_crash_inside_of_malloc_needs_none_of_its_locks)
{
#if defined(__SANITIZE_ADDRESS__)
	cr_skip("the sanitizer's allocator reports this one itself");
#endif
	OPEN_YARD(&yard, 0);
	lose_and_read(WRECK_HEAP, SIGABRT);
	names("be_wrecked at ");
}

/* The hung job's own caller had its answer at the deadline: the list of deaths tells. */
Test(backtrace, of_a_handler_that_hangs_shows_where)
{
	struct cadre_report *report;
	int r;

	OPEN_YARD(&yard, .grace_ns = 1000000);
	expect(submit(ASK(1, WRECK_HANG, .deadline_ns = cadre_in_ms(50))),
	       CADRE_TIMED_OUT);
	cr_assert_eq(cadre_report_open(troupe.scene.pool, &report, NULL), 0);
	cr_assert(eventually((r = cadre_report_backtrace(report, 0, 0, &trace)) == 0));
	cadre_report_close(report);
	cadre_backtrace_format(&trace, 0, text, sizeof(text));
	cr_assert_eq(trace.signal_number, SIGABRT);
	names("hang_for_ever at ");
	names("sent by another process");
	cr_assert_eq(trace.operation, 1);
}

/* The signal comes to the process, whose main thread only waits for jobs. */
Test(backtrace, of_a_handler_that_hangs_on_its_thread_is_that_threads)
{
	struct cadre_report *report;

	OPEN_YARD(&yard_with_threads, .grace_ns = 1000000, .parallel = 2);
	expect(submit(ASK(1, WRECK_HANG, .deadline_ns = cadre_in_ms(50))),
	       CADRE_TIMED_OUT);
	cr_assert_eq(cadre_report_open(troupe.scene.pool, &report, NULL), 0);
	cr_assert(eventually(cadre_report_backtrace(report, 0, 0, &trace) == 0));
	cadre_report_close(report);
	cadre_backtrace_format(&trace, 0, text, sizeof(text));
	names("hang_for_ever at ");
	cr_assert_neq(trace.thread, trace.pid);
}

Test(backtrace, of_a_thread_that_the_service_made_is_there)
{
	OPEN_YARD(&yard, 0);
	lose_and_read(WRECK_THREAD, SIGSEGV);
	names("#0  write_to_nowhere at ");
	names("write_on_thread at ");
	cr_assert_neq(trace.thread, trace.pid);
	cr_assert_eq(trace.job, 0, "that thread ran no job");
}

Test(backtrace, of_two_threads_that_crash_at_once_is_one_of_them_whole)
{
	OPEN_YARD(&yard, 0);
	lose_and_read(WRECK_BOTH, SIGSEGV);
	names("#0  write_to_nowhere at ");
}

Test(backtrace, is_not_left_by_a_service_that_handles_the_signal_itself)
{
	struct cadre_result result;

	OPEN_YARD(&yard, 0);
	result = lose(WRECK_OWN, -3);
	cr_assert_eq(cadre_result_backtrace(troupe.client, &result, &trace), -ENOENT);
	release(&result);
}

Test(backtrace, is_not_left_by_a_child_of_a_worker)
{
	struct cadre_result result;
	struct cadre_report *report;

	OPEN_YARD(&yard, 0);
	result = await(submit(ASK(1, WRECK_CHILD)));
	cr_assert_eq(number_in(&result), SIGSEGV);
	release(&result);
	cr_assert_eq(cadre_report_open(troupe.scene.pool, &report, NULL), 0);
	cr_assert_eq(cadre_report_backtrace(report, 0, 0, &trace), -ENOENT);
	cadre_report_close(report);
}

Test(backtrace, is_not_left_by_a_worker_that_exits_or_is_killed)
{
	struct cadre_result result;

	OPEN_YARD(&yard, 0);
	result = lose(WRECK_STATUS, -4);
	cr_assert_eq(cadre_result_backtrace(troupe.client, &result, &trace), -ENOENT);
	release(&result);
	result = lose(WRECK_KILLED, SIGKILL);
	cr_assert_eq(cadre_result_backtrace(troupe.client, &result, &trace), -ENOENT);
	release(&result);
}

Test(backtrace, is_not_worth_a_loop_when_the_handler_itself_cannot_run)
{
	struct cadre_result result;

	OPEN_YARD(&yard, 0);
	result = lose(WRECK_TWICE, SIGSEGV);
	cr_assert_eq(cadre_result_backtrace(troupe.client, &result, &trace), -ENOENT);
	release(&result);
}

/* Its own report first would be too late for ours: it ends the process. */
Test(backtrace, is_there_beside_the_report_of_address_sanitizer)
{
#if !defined(__SANITIZE_ADDRESS__)
	cr_skip("a program with AddressSanitizer is wanted");
#else
	const int usual = dup(STDERR_FILENO), report = memfd_create("report", MFD_CLOEXEC);
	const struct cadre_request request = { .operation = 5,
					       .data = "SEGV",
					       .length = 4 };
	static char said[1 << 16];
	char path[4096], *program[] = { path, NULL };
	const struct cadre_source source = { .program = program };
	struct cadre_result result;

	snprintf(path, sizeof(path), "%s/demo-worker", getenv("CADRE_BIN_DIR"));
	setenv("ASAN_OPTIONS", "handle_segv=1", 1);
	dup2(report, STDERR_FILENO);
	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0);
	dup2(usual, STDERR_FILENO);
	result = await(submit(request));
	cr_assert_eq(result.outcome, CADRE_LOST, "%s", result.sentence);
	cr_assert_eq(cadre_result_backtrace(troupe.client, &result, &trace), 0);
	cr_assert_eq(trace.signal_number, SIGSEGV);
	cadre_backtrace_format(&trace, 0, text, sizeof(text));
	names("die_of at ");
	release(&result);
	cr_assert_gt(pread(report, said, sizeof(said) - 1, 0), 0);
	cr_assert_not_null(strstr(said, "AddressSanitizer: SEGV"), "%s", said);
	close(report);
	close(usual);
#endif
}

Test(backtrace, of_one_death_is_not_taken_for_that_of_another)
{
	struct cadre_result first, second;

	OPEN_YARD(&yard, 0);
	first = lose(WRECK_NULL, SIGSEGV);
	second = lose(WRECK_ABORT, SIGABRT);
	cr_assert_eq(cadre_result_backtrace(troupe.client, &first, &trace), -ENOENT);
	cr_assert_eq(cadre_result_backtrace(troupe.client, &second, &trace), 0);
	cr_assert_eq(trace.incarnation, 2);
	release(&first);
	release(&second);
}

Test(backtrace, says_modules_and_offsets_where_files_may_not_be_opened)
{
	OPEN_YARD(&yard, 0);
	lose_and_read(WRECK_NULL, SIGSEGV);
	cr_assert(has_symbols());
	cadre_backtrace_format(&trace, CADRE_BACKTRACE_RAW, text, sizeof(text));
	names("#0  proc_backtrace+0x");
	cr_assert_not(has_symbols());
}

Test(backtrace, does_not_name_functions_of_another_build_of_the_file)
{
	OPEN_YARD(&yard, 0);
	lose_and_read(WRECK_NULL, SIGSEGV);
	cr_assert_gt(trace.modules[trace.frames[0].module].build_id_length, 0);
	trace.modules[trace.frames[0].module].build_id[0] ^= 1;
	cadre_backtrace_format(&trace, 0, text, sizeof(text));
	names("#0  proc_backtrace+0x");
}

Test(backtrace, as_text_is_cut_to_the_room_that_there_is)
{
	char little[40];
	size_t length;

	OPEN_YARD(&yard, 0);
	lose_and_read(WRECK_NULL, SIGSEGV);
	length = cadre_backtrace_format(&trace, CADRE_BACKTRACE_RAW, NULL, 0);
	cr_assert_eq(cadre_backtrace_format(&trace, CADRE_BACKTRACE_RAW, little,
					    sizeof(little)),
		     length);
	cr_assert_eq(strlen(little), sizeof(little) - 1);
	cr_assert_gt(length, sizeof(little));
}
