/*
 * proc_bench.c - claims about cadre-bench, made to the program itself: what it says of wrong
 * arguments, what it prints, with which exit status it ends, and that nothing is left behind.
 *
 * What must be the same on any machine is claimed of its engine with questions that are made
 * up (bench/made_up.c), and of rivals that are scripts. No claim is about how fast anything is.
 */
#include "asked.h"
#include "machine.h"
#include "troupe.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEASURED = 0, NOT_MEASURED = 1, USAGE = 2, GOAL_MISSED = 3 };

static struct scene scene;
static char directory[64]; /* for files of the test */
static char program[4096]; /* cadre-bench */
static char made_up[4096]; /* its engine, with questions of bench/made_up.c */

/* How the last one ended, exit status or 128 + signal, and what it said. */
static struct {
	pid_t pid;
	int status;
	char out[200000];
	char err[10000];
} run;

static json_t *said; /* by the last one with --json */

/* ---- running it ---- */

#define ARGUMENTS_MAX 20

struct command {
	char *arguments[ARGUMENTS_MAX];
	int out, err;
};

static int become(void *context)
{
	const struct command *const command = context;

	dup2(command->out, STDOUT_FILENO);
	dup2(command->err, STDERR_FILENO);
	execv(command->arguments[0], command->arguments);
	return 127;
}

/* The program, then the arguments up to NULL. */
static void collect(struct command *command, const char *path, va_list list)
{
	size_t count = 0;

	command->arguments[count++] = (char *)(uintptr_t)path;
	do {
		cr_assert_lt(count, ARGUMENTS_MAX);
		command->arguments[count] = va_arg(list, char *);
	} while (command->arguments[count++]);
}

static void read_back(int fd, char *text, size_t size)
{
	const ssize_t length = pread(fd, text, size - 1, 0);

	cr_assert_geq(length, 0);
	text[length] = '\0';
	close(fd);
}

/* Its pools are named by its number, and so are its queues. */
static void expect_nothing_of(pid_t pid)
{
	char pools[64], queue[64];

	snprintf(pools, sizeof(pools), "embedded-%d-", (int)pid);
	snprintf(queue, sizeof(queue), "/cadre-bench.%d", (int)pid);
	cr_expect(eventually(scene_files(pools) == 0), "a pool of %d is left behind", pid);
	cr_expect_eq(mq_open(queue, O_RDONLY), -1, "a queue of %d is left behind", pid);
}

static int run_into(int out, struct command *command)
{
	command->out = out;
	command->err = memfd_create("err", MFD_CLOEXEC);
	run.pid = child_start(become, command);
	run.status = child_end(run.pid);
	read_back(command->err, run.err, sizeof(run.err));
	expect_nothing_of(run.pid);
	return run.status;
}

/* `path` with the arguments up to NULL: its exit status. */
__attribute__((sentinel)) static int ask(const char *path, ...)
{
	const int out = memfd_create("out", MFD_CLOEXEC);
	struct command command;
	va_list list;

	va_start(list, path);
	collect(&command, path, list);
	va_end(list);
	run_into(out, &command);
	read_back(out, run.out, sizeof(run.out));
	return run.status;
}

#define QUICKLY "--quick", "--rounds", "1"

static bool says(const char *words)
{
	return strstr(run.out, words) != NULL;
}

/* One line on standard error that holds these words, and nothing on standard output. */
static void expect_refusal(const char *words)
{
	const char *const newline = strchr(run.err, '\n');

	cr_expect_eq(run.status, USAGE, "%d: %s", run.status, run.err);
	cr_expect_str_eq(run.out, "");
	cr_expect_eq(strncmp(run.err, "cadre-bench: ", strlen("cadre-bench: ")), 0, "%s",
		     run.err);
	cr_expect_not_null(strstr(run.err, words), "no word of %s: %s", words, run.err);
	cr_expect(newline && newline[1] == '\0', "is not one line: %s", run.err);
}

/* ---- before and after each test ---- */

static void find_programs(void)
{
	const char *const programs = getenv("CADRE_BIN_DIR");
	char own[4000];
	const ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	cr_assert_not_null(programs, "CADRE_BIN_DIR must be set; `./dev test` does it");
	cr_assert_gt(length, 0);
	own[length] = '\0';
	snprintf(program, sizeof(program), "%s/cadre-bench", programs);
	snprintf(made_up, sizeof(made_up), "%s/bench-made-up", dirname(own));
}

static void begin(void)
{
	find_programs();
	/* Whoever loses its parent comes to us: scene_end sees all that are left. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	snprintf(directory, sizeof(directory), "/tmp/cadre-test-bench-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	scene_begin(&scene);
}

static bool has_two_cpus(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 1;
}

/* For those who measure. */
static void begin_on_two_cpus(void)
{
	if (!has_two_cpus())
		cr_skip_test("the bench needs two CPUs");
	begin();
}

static void end(void)
{
	json_decref(said);
	ask("/bin/rm", "-rf", directory, NULL);
	scene_end(&scene);
}

TestSuite(usage, .init = begin, .fini = end, .timeout = 60);
TestSuite(bench, .init = begin_on_two_cpus, .fini = end, .timeout = 60);
TestSuite(judged, .init = begin_on_two_cpus, .fini = end, .timeout = 60);

/* ---- what it says as JSON ---- */

static void parse(void)
{
	json_error_t error;

	json_decref(said);
	said = json_loads(run.out, JSON_REJECT_DUPLICATES, &error);
	cr_assert_not_null(said, "%s: %s%s", error.text, run.out, run.err);
}

/* What the keys up to NULL lead to; NULL when there is none. */
__attribute__((sentinel)) static json_t *at(const char *key, ...)
{
	json_t *value = json_object_get(said, key);
	va_list list;

	va_start(list, key);
	while ((key = va_arg(list, const char *)))
		value = json_object_get(value, key);
	va_end(list);
	return value;
}

static json_t *column_of(const char *question, const char *contender, const char *column)
{
	return at("questions", question, "contenders", contender, "columns", column, NULL);
}

static double number(json_t *object, const char *key)
{
	json_t *const value = json_object_get(object, key);

	cr_assert(json_is_number(value), "\"%s\" is no number in %s", key, run.out);
	return json_number_value(value);
}

static const char *absence(const char *question, const char *contender)
{
	const char *const why = json_string_value(
		at("questions", question, "contenders", contender, "absent", NULL));

	return why ? why : "is here";
}

/* ---- wrong arguments ---- */

Test(usage, an_unknown_question_or_contender_is_named)
{
	ask(program, "--only", "no_such_question", NULL);
	expect_refusal("\"no_such_question\": --list");
	ask(program, "--only", "streams,nonsense,pools", NULL);
	expect_refusal("\"nonsense\"");
	ask(program, "--with", "line,nobody", NULL);
	expect_refusal("\"nobody\"");
	ask(program, "--only", "", NULL);
	expect_refusal("\"\"");
}

Test(usage, rounds_are_a_number_from_1_to_1000)
{
	static const char *const wrong[] = { "0", "-1", "1001", "3x", "", "many" };

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		ask(program, "--rounds", wrong[i], NULL);
		expect_refusal("must be 1 to 1000");
	}
}

Test(usage, what_is_no_option_is_refused)
{
	ask(program, "streams", NULL);
	expect_refusal("\"streams\" is not an option");
	cr_expect_eq(ask(program, "--no-such-option", NULL), USAGE);
	cr_expect_not_null(strstr(run.err, "usage: cadre-bench"));
	cr_expect_eq(ask(program, "--rounds", NULL), USAGE);
}

Test(usage, a_directory_that_takes_no_files_is_refused_before_anything_is_measured)
{
	char file[100];

	snprintf(file, sizeof(file), "%s/file", directory);
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ask(program, "--out", file, NULL);
	expect_refusal("Not a directory");
	ask(program, "--out", "/nonexistent/directory", NULL);
	expect_refusal("--out /nonexistent/directory: cannot write there");
}

Test(usage, that_nobody_is_left_to_ask_is_no_success)
{
	ask(program, "--only", "streams", "--with", "line", NULL);
	expect_refusal("nothing to measure");
	ask(program, "--quick", "--only", "http", NULL);
	expect_refusal("nothing to measure");
}

Test(usage, help_tells_options_and_exit_statuses)
{
	cr_expect_eq(ask(program, "--help", NULL), MEASURED);
	cr_expect(says("--realtime"));
	cr_expect(says("3 a goal missed"));
}

/* In the order in which they are asked, and nothing else. */
Test(usage, list_names_every_question_and_each_of_its_contenders)
{
	const char *rest = run.out;

	cr_expect_eq(ask(program, "--list", NULL), MEASURED);
	for (size_t i = 0; bench_questions[i]; i++) {
		const struct question *const question = bench_questions[i];
		char line[400];

		snprintf(line, sizeof(line), "%s: %s\n", question->name,
			 question->sentence);
		cr_assert_eq(strncmp(rest, line, strlen(line)), 0, "no \"%s\": %s", line,
			     rest);
		rest += strlen(line);
		for (size_t j = 0; j < question->contender_count; j++) {
			snprintf(line, sizeof(line), "  %s: %s\n",
				 question->contenders[j].name,
				 question->contenders[j].sentence);
			cr_assert_eq(strncmp(rest, line, strlen(line)), 0,
				     "no \"%s\": %s", line, rest);
			rest += strlen(line);
		}
	}
	cr_expect_str_eq(rest, "");
}

Test(usage, one_cpu_is_too_few_to_measure)
{
	cpu_set_t cpus;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (unsigned cpu = 0; CPU_COUNT(&cpus) > 1; cpu++)
		CPU_CLR(cpu, &cpus);
	cr_assert_eq(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
	cr_expect_eq(ask(program, QUICKLY, "--only", "streams", NULL), NOT_MEASURED);
	cr_expect_not_null(strstr(run.err, "needs two CPUs"), "%s", run.err);
	cr_expect_str_eq(run.out, "");
}

/* ---- one at a time before all others ---- */

/* Root does not measure so in a test either: who gets as far as that is refused by the kernel. */
static void forgo_real_time(void)
{
	const struct rlimit none = { 0, 0 };

	cr_assert_eq(setrlimit(RLIMIT_RTPRIO, &none), 0);
	cr_assert(geteuid() != 0 || prctl(PR_CAPBSET_DROP, CAP_SYS_NICE) == 0);
}

#define IN_REAL_TIME QUICKLY, "--only", "streams", "--with", "pipe", "--realtime"

static bool is_refused_by_the_kernel(void)
{
	return run.status == NOT_MEASURED &&
	       strstr(run.err, "cannot have real-time priority: Operation not permitted");
}

static int take_turn_and_idle(void *context)
{
	_Atomic bool *const has_it = context;

	CHILD_CHECK(machine_take_turn() == 0);
	atomic_store(has_it, true);
	child_idle();
}

Test(usage, of_two_with_realtime_the_second_is_refused_until_the_first_has_ended)
{
	_Atomic bool *const has_it = child_share(sizeof(*has_it));
	pid_t first;

	forgo_real_time();
	ask(program, IN_REAL_TIME, NULL);
	if (strstr(run.err, "another one does with --realtime"))
		cr_skip_test("somebody measures with --realtime");
	cr_expect(is_refused_by_the_kernel(), "%d: %s", run.status, run.err);
	first = child_start(take_turn_and_idle, has_it);
	cr_assert(eventually(atomic_load(has_it)));

	cr_expect_eq(ask(program, IN_REAL_TIME, NULL), NOT_MEASURED);
	cr_expect_not_null(strstr(run.err, "another one does with --realtime"), "%s",
			   run.err);
	cr_expect_str_eq(run.out, "");
	ask(program, IN_REAL_TIME, "--value", NULL);
	cr_expect(is_refused_by_the_kernel(), "it is asked by the first: %s", run.err);
	child_kill(first);
	ask(program, IN_REAL_TIME, NULL);
	cr_expect(is_refused_by_the_kernel(), "%d: %s", run.status, run.err);
}

/* ---- a tiny run ---- */

Test(bench, a_run_prints_a_table)
{
	cr_expect_eq(ask(program, QUICKLY, "--only", "streams", "--with", "pipe", NULL),
		     MEASURED, "%s", run.err);
	cr_expect(says("How many items per second go through a stream?\n"));
	cr_expect(says("64 B items/s"));
	cr_expect(says("\n  pipe  "));
	cr_expect(says("\n    pipe: write and read, one item each\n"));
	cr_expect(says("\nround 1: a cache line there and back"));
	cr_expect(says(" us, additions in a cycle "));
	cr_expect_not(says("not here"));
	cr_expect_not(says("spsc"), "it was not asked");
}

/* Whether a goal is met depends on the machine; that the status says so does not. */
Test(bench, json_has_every_figure_and_goal_and_the_status_follows_from_them)
{
	json_t *goal;

	ask(program, QUICKLY, "--json", "--only", "round_trip", "--with",
	    "line,cadre,posix mq", NULL);
	parse();
	cr_expect_gt(number(column_of("round_trip", "cadre", "p50"), "median"), 0);
	cr_expect_gt(number(column_of("round_trip", "posix mq", "p50"), "median"), 0);
	/* Whoever is quick has five turns in each round, all others the first. */
	for (size_t turn = 0; turn < 5; turn++) {
		json_t *const quick = json_object_get(column_of("round_trip", "line",
								"p50"),
						      "rounds");
		json_t *const slow = json_object_get(column_of("round_trip", "posix mq",
							       "p50"),
						     "rounds");

		cr_expect_eq(json_array_size(quick), 5);
		cr_expect(json_is_real(json_array_get(quick, turn)), "turn %zu", turn);
		cr_expect_eq(json_is_real(json_array_get(slow, turn)), turn == 0,
			     "turn %zu", turn);
	}
	cr_expect_gt(number(at("questions", "round_trip", "contenders", "cadre",
			       "ratio_to", "line", "p50", NULL),
			    "median"),
		     0);
	cr_expect_str_eq(json_string_value(
				 at("questions", "round_trip", "units", "p50", NULL)),
			 "ns");
	cr_expect(json_is_true(at("questions", "round_trip", "less_is_better", NULL)));
	cr_expect_gt(number(json_array_get(at("calibrations", NULL), 0), "line_ns"), 0);
	/* Two at once are done by any CPU that there is, half by a shared one, sixteen by none. */
	cr_expect_gt(number(json_array_get(at("calibrations", NULL), 0), "client_width"),
		     0.5);
	cr_expect_lt(number(json_array_get(at("calibrations", NULL), 0), "worker_width"),
		     16);
	cr_expect_not_null(json_string_value(at("machine", "kernel", NULL)));

	goal = at("goals", "round_trip", NULL);
	cr_expect_gt(number(goal, "median"), 0);
	cr_expect_gt(number(goal, "at_most"), 0);
	cr_expect_not_null(json_string_value(json_object_get(goal, "sentence")));
	cr_assert(json_is_boolean(json_object_get(goal, "met")));
	cr_expect_eq(run.status,
		     json_is_true(json_object_get(goal, "met")) ? MEASURED : GOAL_MISSED);
	cr_expect(json_is_null(at("goals", "round_trip_tail", "met", NULL)),
		  "its rival was not asked");
	cr_expect_null(at("goals", "idle", NULL), "its question was not asked");
}

Test(bench, a_report_that_cannot_be_written_is_status_1)
{
	const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct command tables = { .arguments = { program, QUICKLY, "--only", "streams",
						 "--with", "pipe" } };
	struct command json = { .arguments = { program, QUICKLY, "--only", "streams",
					       "--with", "pipe", "--json" } };

	cr_expect_eq(run_into(full, &tables), NOT_MEASURED);
	cr_expect_not_null(strstr(run.err, "cannot write the report"), "%s", run.err);
	cr_expect_eq(run_into(full, &json), NOT_MEASURED);
	cr_expect_not_null(strstr(run.err, "cannot write the report"), "%s", run.err);
	close(full);
}

/* Who ignores the ends of its children passes that on to what it starts. */
Test(bench, it_awaits_its_children_whoever_started_it)
{
	struct command command = { .arguments = { program, QUICKLY, "--only", "streams",
						  "--with", "pipe" },
				   .out = open("/dev/null", O_WRONLY | O_CLOEXEC),
				   .err = memfd_create("err", MFD_CLOEXEC) };
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	pid = child_start(become, &command);
	signal(SIGCHLD, SIG_DFL);
	cr_expect_eq(child_end(pid), MEASURED);
	close(command.out);
	close(command.err);
}

Test(bench, a_bench_that_is_killed_takes_its_pool_with_it)
{
	struct command command = { .arguments = { program, "--only", "idle", "--with",
						  "cadre" },
				   .out = open("/dev/null", O_WRONLY | O_CLOEXEC),
				   .err = open("/dev/null", O_WRONLY | O_CLOEXEC) };
	const pid_t pid = child_start(become, &command);
	char pools[64];

	snprintf(pools, sizeof(pools), "embedded-%d-", (int)pid);
	cr_assert(eventually(scene_files(pools) > 0));
	child_kill(pid);
	expect_nothing_of(pid);
	close(command.out);
	close(command.err);
}

/* ---- rivals that are scripts ---- */

static void write_script(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	cr_assert_not_null(file);
	fprintf(file, "#!/bin/sh\n%s", text);
	cr_assert_eq(fclose(file), 0);
	cr_assert_eq(chmod(path, 0755), 0);
}

/* Programs are looked for among those of the test, and, if wished, those of the machine. */
static void set_path(bool and_others)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s%s%s", directory, and_others ? ":" : "",
		 and_others ? "/usr/bin:/bin" : "");
	setenv("PATH", path, 1);
}

/* What a script has written into that file; "" when there is none. */
static const char *note(const char *name)
{
	static char text[200];
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "re");
	text[0] = '\0';
	if (file && !fgets(text, sizeof(text), file))
		text[0] = '\0';
	if (file)
		fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

#define PYTHONS "ProcessPoolExecutor,multiprocessing.Pool"

Test(bench, who_is_not_installed_is_a_row_that_says_so)
{
	set_path(false);
	cr_expect_eq(ask(program, QUICKLY, "--only", "pools", "--with", PYTHONS ",cadre",
			 NULL),
		     MEASURED, "%s", run.err);
	cr_expect(says("ProcessPoolExecutor      not here: no program python3 (package "
		       "python3)\n"),
		  "%s", run.out);
	cr_expect(says("multiprocessing.Pool     not here: no program python3 (package "
		       "python3)\n"));
	cr_expect(says("\n  cadre  "));
}

Test(bench, who_says_no_numbers_loses_its_row_and_the_others_go_on)
{
	write_script("python3", "case $2 in\n"
				"ProcessPoolExecutor) echo and yet RESULT 10 20.5 30 ;;\n"
				"*) echo RESULT 10; exit 1 ;;\n"
				"esac\n");
	set_path(true);
	cr_expect_eq(ask(program, QUICKLY, "--json", "--only", "pools", "--with", PYTHONS,
			 NULL),
		     MEASURED, "%s", run.err);
	parse();
	cr_expect_eq(number(column_of("pools", "ProcessPoolExecutor", "8"), "median"),
		     20.5);
	cr_expect_not_null(
		strstr(absence("pools", "multiprocessing.Pool"), "(see standard error)"));
	cr_expect_null(column_of("pools", "multiprocessing.Pool", "1"));
}

/* The directory of a server is where its output goes. */
#define NOTE_DIRECTORY "dirname \"$(readlink /proc/$$/fd/2)\" >\"${0%/*}/noted\"\n"

Test(bench, a_server_that_does_not_start_is_a_row_with_its_last_words)
{
	write_script("beanstalkd", NOTE_DIRECTORY "echo no luck today; exit 1\n");
	set_path(true);
	cr_expect_eq(ask(program, QUICKLY, "--only", "pools", "--with", "beanstalkd", NULL),
		     MEASURED, "%s", run.err);
	cr_expect(says("not here: beanstalkd did not start: no luck today\n"), "%s",
		  run.out);
	cr_expect_eq(strncmp(note("noted"), "/tmp/cadre-bench.", 17), 0, "%s",
		     note("noted"));
	cr_expect_eq(access(note("noted"), F_OK), -1, "%s is left behind", note("noted"));
}

Test(bench, a_bench_that_is_killed_leaves_no_server_and_no_directory_of_it)
{
	struct command command = { .arguments = { program, "--only", "pools", "--with",
						  "beanstalkd" },
				   .out = open("/dev/null", O_WRONLY | O_CLOEXEC),
				   .err = open("/dev/null", O_WRONLY | O_CLOEXEC) };
	pid_t pid;

	/* It never listens, so the bench waits for it. */
	write_script("beanstalkd", NOTE_DIRECTORY "exec sleep 1000\n");
	set_path(true);
	pid = child_start(become, &command);
	cr_assert(eventually(note("noted")[0] == '/'));
	cr_expect_eq(access(note("noted"), F_OK), 0);
	child_kill(pid);
	cr_expect(eventually(access(note("noted"), F_OK) < 0), "%s is left behind",
		  note("noted"));
	close(command.out);
	close(command.err);
}

/* ---- questions that are made up ---- */

Test(judged, status_is_0_when_each_goal_that_was_measured_is_met)
{
	cr_expect_eq(ask(made_up, "--rounds", "3", "--only", "kept", NULL), MEASURED,
		     "%s", run.err);
	cr_expect(says(" ratio                      2.000   >= 2       met "), "%s",
		  run.out);
	cr_expect(says(" value                      8.000   <= 8       met         : is 8; "
		       "rival 2.000\n"));
	cr_expect(says(" unsaid                         -   >= 1       not measured"));
	cr_expect(says(" beside_missing                 -   >= 1       not measured"));
	cr_expect_not(says("too_much"), "its question was not asked");
}

Test(judged, status_is_3_when_one_of_them_is_missed)
{
	cr_expect_eq(ask(made_up, "--rounds", "3", "--only", "kept,missed", NULL),
		     GOAL_MISSED, "%s", run.err);
	cr_expect(says(" ratio                      2.000   >= 2       met "), "%s",
		  run.out);
	cr_expect(says(" too_much                   3.000   <= 2.5     MISSED"));
}

Test(judged, json_and_files_say_what_the_tables_say)
{
	char path[128];

	cr_expect_eq(ask(made_up, "--rounds", "3", "--json", "--out", directory, "--only",
			 "kept,missed", NULL),
		     GOAL_MISSED, "%s", run.err);
	parse();
	cr_expect_eq(number(column_of("kept", "cadre", "said"), "median"), 8);
	cr_expect_eq(number(column_of("kept", "cadre", "said"), "p25"), 5);
	cr_expect_eq(number(column_of("kept", "cadre", "said"), "p75"), 24);
	cr_expect_eq(json_array_size(json_object_get(column_of("kept", "cadre", "said"),
						     "rounds")),
		     3);
	cr_expect(json_is_null(
		json_object_get(column_of("kept", "cadre", "unsaid"), "median")));
	cr_expect_eq(json_array_size(json_object_get(column_of("missed", "cadre", "said"),
						     "rounds")),
		     1, "it is asked once");
	cr_expect_eq(number(at("goals", "ratio", NULL), "median"), 2);
	cr_expect_eq(number(at("goals", "ratio", NULL), "at_least"), 2);
	cr_expect(json_is_true(at("goals", "ratio", "met", NULL)));
	cr_expect_eq(number(at("goals", "too_much", NULL), "at_most"), 2.5);
	cr_expect(json_is_false(at("goals", "too_much", "met", NULL)));
	cr_expect(json_is_null(at("goals", "unsaid", "met", NULL)));
	cr_expect_eq(number(at("goals", "value", "floors", NULL), "rival"), 2);
	cr_expect(json_is_null(at("goals", "value", "floors", "missing", NULL)));
	cr_expect_null(at("goals", "ratio", "floors", NULL));
	cr_expect(json_is_null(at("goals", "beside_missing", "median", NULL)));

	snprintf(path, sizeof(path), "%s/bench.json", directory);
	json_t *const written = json_load_file(path, 0, NULL);
	cr_expect_not_null(written);
	cr_expect(json_equal(json_object_get(written, "goals"), at("goals", NULL)));
	cr_expect(json_equal(json_object_get(written, "questions"), at("questions", NULL)));
	json_decref(written);
	snprintf(path, sizeof(path), "%s/kept.dat", directory);
	read_back(open(path, O_RDONLY | O_CLOEXEC), run.out, sizeof(run.out));
	cr_expect_str_eq(run.out, "# Are these goals met?\n"
				  "\"contender\"\t\"said\"\t\"p25\"\t\"p75\""
				  "\t\"unsaid\"\t\"p25\"\t\"p75\"\n"
				  "\"cadre\"\t8\t5\t24\t?\t?\t?\n"
				  "\"rival\"\t2\t1.5\t11\t?\t?\t?\n"
				  "\"missing\"\t?\t?\t?\t?\t?\t?\n"
				  "\"slow\"\t1\t1\t1\t?\t?\t?\n");
}

Test(judged, who_is_not_here_is_a_row_and_the_ratios_to_others_stay)
{
	cr_expect_eq(ask(made_up, "--rounds", "3", "--only", "kept", NULL), MEASURED);
	cr_expect(says("\n  missing                  not here: it is not installed\n"),
		  "%s", run.out);
	cr_expect(says("   2.00 x rival\n"));
}

Test(judged, a_rival_that_fails_loses_its_whole_row_and_nobody_else)
{
	cr_expect_eq(ask(made_up, "--rounds", "2", "--json", "--only", "failures", NULL),
		     MEASURED, "%s", run.err);
	parse();
	cr_expect_not_null(strstr(run.err, "cannot measure failures, at once: "
					   "Input/output error"));
	cr_expect_not_null(strstr(run.err, "cannot measure failures, later: "));
	cr_expect_not_null(strstr(absence("failures", "at once"), "it failed"));
	cr_expect_not_null(strstr(absence("failures", "later"), "it failed"),
			   "though it had answered in the first round");
	cr_expect(json_is_null(at("goals", "beside_later", "met", NULL)));
	cr_expect_eq(number(column_of("failures", "steady", "said"), "median"), 4);
	cr_expect(json_is_true(at("goals", "beside_steady", "met", NULL)));
}

Test(judged, a_process_that_ends_badly_is_said_to_have_done_so)
{
	cr_expect_eq(ask(made_up, "--rounds", "1", "--only", "failures", "--with",
			 "dead peer", NULL),
		     MEASURED);
	cr_expect_not_null(strstr(run.err, "a process that measured was killed by SIGKILL"),
			   "%s", run.err);
	cr_expect(says("\n  dead peer                not here: it failed"), "%s", run.out);
}

Test(judged, when_cadre_fails_there_is_no_report)
{
	cr_expect_eq(ask(made_up, "--rounds", "2", "--only", "broken,kept", NULL),
		     NOT_MEASURED);
	cr_expect_str_eq(run.out, "");
	cr_expect_not_null(strstr(run.err, "cannot measure broken, cadre that fails: "));
}

Test(judged, quick_leaves_out_the_slow_unless_they_are_named)
{
	ask(made_up, QUICKLY, "--only", "kept", NULL);
	cr_expect(says("\n  rival  "));
	cr_expect_not(says("\n  slow  "));
	ask(made_up, QUICKLY, "--only", "kept", "--with", "slow", NULL);
	cr_expect(says("\n  slow  "));
	cr_expect_not(says("\n  rival  "));
}

/* Once it left without the last message when it came late from the answer before. */
Test(judged, a_peer_that_is_late_stays_for_the_last_message)
{
	cr_expect_eq(ask(made_up, QUICKLY, "--only", "late", NULL), MEASURED, "%s",
		     run.err);
	cr_expect_not(says("not here"), "%s%s", run.out, run.err);
}

Test(judged, nobody_outlives_a_bench_that_is_killed)
{
	struct command command = { .arguments = { made_up, QUICKLY, "--only", "held" } };
	int ends[2];
	pid_t pid;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	command.out = command.err = ends[1];
	pid = child_start(become, &command);
	close(ends[1]);
	do {
		const ssize_t length = read(ends[0], run.err, sizeof(run.err) - 1);

		cr_assert_gt(length, 0);
		run.err[length] = '\0';
	} while (!strstr(run.err, "three children spin"));
	child_kill(pid);
	/* The children hold the other end: it is closed when the last of them is gone. */
	while (read(ends[0], run.err, sizeof(run.err)) > 0)
		continue;
	close(ends[0]);
}
