/*
 * proc_trace.c - claims about the probes for tracers: that the library has them, and that
 * the scripts in tools/ see with them what happens, where a tracer may run.
 */
#include "showing.h"

TestSuite(trace, SHOWING);

static const char *const probes[] = {
	"submit", "claim",  "finish",      "take",         "wake",
	"park",   "unpark", "place_state", "worker_death", "client_death",
};

#define SKIPPED 77

static bool was_built_with_probes(void)
{
#if __has_include(<sys/sdt.h>)
	return true;
#else
	return false;
#endif
}

/* Any program; how it ends, and what it says on both of its outputs, in `run`. */
static int run_program(char **arguments)
{
	const int out = memfd_create("out", MFD_CLOEXEC);
	const pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		execvp(arguments[0], arguments);
		_exit(SKIPPED);
	}
	run.status = await_exit(pid);
	read_back(out, run.out, sizeof(run.out));
	return run.status;
}

Test(trace, the_library_has_a_note_for_each_probe)
{
	char library[4096];
	char *arguments[] = { "readelf", "--notes", "--wide", library, NULL };

	if (!was_built_with_probes())
		cr_skip_test("sys/sdt.h is not installed");
	snprintf(library, sizeof(library), "%s/../lib/libcadre.so",
		 getenv("CADRE_BIN_DIR"));
	if (run_program(arguments) == SKIPPED)
		cr_skip_test("readelf is not installed");
	cr_assert_eq(run.status, 0, "%s", run.out);
	cr_assert(says(run.out, "Provider: cadre"), "%s", run.out);
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
		cr_assert(says(run.out, "Name: %s\n", probes[i]), "no probe %s",
			  probes[i]);
}

/* ---- with a tracer ---- */

/* Writes a script of tools/ and what ends it to a file. Probes are attached from the last to the
 * first: so the first of all says that all the others are there, and only then the last one ends
 * what would else be over before it could see anything. Of one event they run in order. */
static void write_script(const char *script, const char *end, char *ret_path)
{
	static char bytes[8192];
	const char *first_line;
	char path[4096];
	size_t length, first_line_length;
	FILE *from, *to;

	snprintf(path, sizeof(path), "%s/tools/%s", getenv("CADRE_SOURCE_DIR"), script);
	from = fopen(path, "re");
	cr_assert_not_null(from, "%s", path);
	length = fread(bytes, 1, sizeof(bytes), from);
	fclose(from);
	first_line = memchr(bytes, '\n', length);
	cr_assert_not_null(first_line);
	first_line_length = (size_t)(first_line - bytes) + 1;
	strcpy(ret_path, "/tmp/cadre-XXXXXX");
	to = fdopen(mkstemp(ret_path), "w");
	cr_assert_not_null(to);
	fwrite(bytes, 1, first_line_length, to);
	fprintf(to, "usdt:*:cadre:%s { @all_attached = 1; }\n", end);
	fwrite(bytes + first_line_length, 1, length - first_line_length, to);
	fprintf(to, "\nusdt:*:cadre:%s /@all_attached/ { exit(); }\n", end);
	fclose(to);
}

static void skip_without_tracer(void)
{
	char *arguments[] = { "bpftrace", "-e", "BEGIN { exit(); }", NULL };

	if (!was_built_with_probes())
		cr_skip_test("sys/sdt.h is not installed");
	if (run_program(arguments) != 0)
		cr_skip_test("bpftrace is not installed, or may not trace here");
}

/* Traces a process while `act` goes on; ends when the script has seen its end. */
static void trace(pid_t pid, const char *script, const char *end, void (*act)(void))
{
	const int64_t until_ns = cadre_in_ms(3 * PATIENCE_MS);
	const int out = memfd_create("out", MFD_CLOEXEC);
	char path[32], number[16];
	pid_t tracer;
	int status;

	write_script(script, end, path);
	snprintf(number, sizeof(number), "%d", (int)pid);
	tracer = fork();
	cr_assert_geq(tracer, 0);
	if (tracer == 0) {
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		execlp("bpftrace", "bpftrace", "-p", number, path, NULL);
		_exit(SKIPPED);
	}
	while (waitpid(tracer, &status, WNOHANG) == 0) {
		if (cadre_now_ns() > until_ns) {
			kill(tracer, SIGKILL);
			cr_assert_fail("the tracer saw no %s", end);
		}
		act();
		nap();
	}
	unlink(path);
	read_back(out, run.out, sizeof(run.out));
}

static void call_echo(void)
{
	cr_assert_eq(call("echo", "x"), CADRE_OK);
}

Test(trace, the_script_about_jobs_sees_how_long_they_took_and_how_they_ended)
{
	skip_without_tracer();
	serve();
	attach();
	call_echo();
	/* One worker has done it, and as long as it looks, does the next. */
	trace(worker_pid(0), "trace_jobs.bt", "finish", call_echo);
	cr_assert(says(run.out, "@outcome[1, 0]: "), "%s", run.out);
	cr_assert(says(run.out, "@service_ns[1]: "), "%s", run.out);
	cr_assert(says(run.out, "@waiting_ns[1]: "), "%s", run.out);
}

static void kill_one(void)
{
	const pid_t pid = worker_pid(0);

	if (pid > 0)
		kill(pid, SIGKILL);
}

Test(trace, the_script_about_deaths_sees_them_and_the_states_they_lead_to)
{
	skip_without_tracer();
	serve();
	trace(server, "trace_deaths.bt", "worker_death", kill_one);
	cr_assert(says(run.out, "was killed by 9"), "%s", run.out);
	/* As many as were killed until it had seen the first. */
	cr_assert(says(run.out, "@deaths[2, 9]: "), "%s", run.out);
}
