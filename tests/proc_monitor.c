/*
 * proc_monitor.c - claims about what `cadre stat` gives to programs that watch pools:
 * Prometheus text, JSON, the health check, probes; and about its manners on a terminal.
 */
#include "child.h"
#include "showing.h"

#include <pty.h>
#include <sys/resource.h>
#include <sys/stat.h>

TestSuite(monitor, SHOWING);

/* ---- shapes that others rely on ---- */

/* A file of tests/golden/, a line for each thing that must not go away. Within one schema
 * things are only added, so more than these may be there. */
static void each_golden_line(const char *file, void (*check)(const char *line))
{
	char path[4096], line[256];
	unsigned lines = 0;
	FILE *golden;

	snprintf(path, sizeof(path), "%s/tests/golden/%s", getenv("CADRE_SOURCE_DIR"),
		 file);
	golden = fopen(path, "re");
	cr_assert_not_null(golden, "%s", path);
	while (fgets(line, sizeof(line), golden)) {
		line[strcspn(line, "\n")] = '\0';
		check(line);
		lines++;
	}
	fclose(golden);
	cr_assert_gt(lines, 50);
}

static const char *type_name(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "object", [JSON_ARRAY] = "array",
		[JSON_STRING] = "string", [JSON_INTEGER] = "integer",
		[JSON_REAL] = "real",     [JSON_TRUE] = "bool",
		[JSON_FALSE] = "bool",    [JSON_NULL] = "null",
	};

	return names[json_typeof(value)];
}

/* "workers.0.jobs.ok integer" */
static void check_json_line(const char *line)
{
	char copy[256], *rest = copy, *type;
	json_t *value = shown;

	snprintf(copy, sizeof(copy), "%s", line);
	type = strrchr(copy, ' ');
	cr_assert_not_null(type, "%s", line);
	*type++ = '\0';
	for (char *key; (key = strsep(&rest, "."));) {
		value = json_is_array(value) ? json_array_get(value, (size_t)atoi(key)) :
					       json_object_get(value, key);
		cr_assert_not_null(value, "\"%s\" is gone", line);
	}
	cr_assert_str_eq(type_name(value), type, "\"%s\" is another type", line);
}

/* "# TYPE cadre_workers gauge", or the beginning of a sample. */
static void check_prometheus_line(const char *line)
{
	const size_t length = strlen(line);
	const char *at = run.out;

	while (strncmp(at, line, length) != 0) {
		at = strchr(at, '\n');
		cr_assert_not_null(at, "\"%s\" is gone", line);
		at++;
	}
}

static void work_a_little(void)
{
	serve();
	attach();
	cr_assert_eq(call("echo", "a"), CADRE_OK);
	cr_assert_eq(call("fail", "b"), CADRE_FAILED);
	cr_assert_eq(call("crash", "11"), CADRE_LOST);
	await_workers(2);
}

/* Until here any of the workers may have done everything. */
static void give_each_worker_a_job(void)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);

	for (unsigned i = 0; i < 3; i++)
		submit("sleep", "3600000");
	do {
		cr_assert_lt(cadre_now_ns(), until_ns, "worker 0 takes no job");
		look();
	} while (number(part("workers", 0), "operation_id") == 0);
}

Test(monitor, the_json_has_every_key_that_it_ever_had)
{
	work_a_little();
	give_each_worker_a_job();
	each_golden_line("stat.json.keys", check_json_line);
}

Test(monitor, the_prometheus_text_has_every_metric_that_it_ever_had)
{
	work_a_little();
	cr_assert_eq(cadre("stat", "--prometheus", scene.pool, NULL), 0);
	each_golden_line("stat.prometheus", check_prometheus_line);
}

/* ---- Prometheus ---- */

static bool have(const char *program)
{
	char path[4096];
	const char *const folders[] = { "/usr/bin", "/usr/local/bin", "/bin" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], program);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

Test(monitor, promtool_accepts_the_text_and_has_no_advice)
{
	FILE *promtool;

	if (!have("promtool"))
		cr_skip_test("promtool is not installed");
	work_a_little();
	cr_assert_eq(cadre("stat", "--prometheus", scene.pool, NULL), 0);
	promtool = popen("promtool check metrics >&2", "w");
	fputs(run.out, promtool);
	cr_assert_eq(pclose(promtool), 0);
}

/* The value of the first sample whose line begins so. */
static double sample(const char *format, ...)
{
	char wanted[300];
	const char *at = run.out;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(wanted, sizeof(wanted), format, arguments);
	va_end(arguments);
	while (at && strncmp(at, wanted, strlen(wanted)) != 0) {
		at = strchr(at, '\n');
		at += at != NULL;
	}
	cr_assert_not_null(at, "no sample %s", wanted);
	return strtod(at + strlen(wanted), NULL);
}

Test(monitor, samples_are_in_base_units_and_histograms_add_up)
{
	serve();
	attach();
	cr_assert_eq(call("sleep", "20"), CADRE_OK);
	cr_assert_eq(call("sleep", "20"), CADRE_OK);
	cr_assert_eq(cadre("stat", "--prometheus", scene.pool, NULL), 0);

	cr_assert_eq(sample("cadre_jobs_total{pool=\"%s\",outcome=\"ok\"} ", scene.pool),
		     2);
	cr_assert_eq(sample("cadre_workers{pool=\"%s\",state=\"idle\"} ", scene.pool) +
			     sample("cadre_workers{pool=\"%s\",state=\"working\"} ",
				    scene.pool),
		     2);
	cr_assert_eq(
		sample("cadre_job_service_seconds_count{pool=\"%s\",operation=\"sleep\"} ",
		       scene.pool),
		2);
	cr_assert_eq(sample("cadre_job_service_seconds_bucket{pool=\"%s\",operation=\"sleep\","
			    "le=\"+Inf\"} ",
			    scene.pool),
		     2);
	cr_assert_eq(sample("cadre_job_service_seconds_bucket{pool=\"%s\",operation=\"sleep\","
			    "le=\"0.016777216\"} ",
			    scene.pool),
		     0);
	cr_assert_geq(
		sample("cadre_job_service_seconds_sum{pool=\"%s\",operation=\"sleep\"} ",
		       scene.pool),
		0.04);
	cr_assert_lt(sample("cadre_job_service_seconds_sum{pool=\"%s\",operation=\"sleep\"} ",
			    scene.pool),
		     20);
	cr_assert_geq(sample("cadre_worker_state_seconds_total{pool=\"%s\",worker=\"0\","
			     "state=\"busy\"} ",
			     scene.pool) +
			      sample("cadre_worker_state_seconds_total{pool=\"%s\","
				     "worker=\"1\",state=\"busy\"} ",
				     scene.pool),
		      0.04);
}

/* The name of a metric without the unit that stands for that of the catalogue. */
static bool has_metric(const char *scope, const char *name)
{
	char stem[100];
	const size_t length = strlen(name);
	const bool unix_s = length > 7 && strcmp(name + length - 7, "_unix_s") == 0;

	snprintf(stem, sizeof(stem), "# TYPE cadre_%s%.*s", scope,
		 (int)(unix_s ? length - 7 : length), name);
	return says(run.out, "%s", stem);
}

Test(monitor, the_prometheus_text_holds_each_counter)
{
	static const char *const scopes[CADRE_SCOPE_COUNT] = {
		[CADRE_SCOPE_WORKER] = "worker_",
		[CADRE_SCOPE_PLACE] = "worker_",
		[CADRE_SCOPE_CLIENT] = "client_",
		[CADRE_SCOPE_POOL] = "",
	};

	serve();
	attach();
	cr_assert_eq(cadre("stat", "--prometheus", scene.pool, NULL), 0);
	for (unsigned scope = 0; scope < CADRE_SCOPE_COUNT; scope++) {
		size_t count;
		const struct cadre_counter_description *const counters =
			cadre_counter_describe((enum cadre_counter_scope)scope, &count);

		for (size_t i = 0; i < count; i++)
			cr_assert(has_metric(scopes[scope], counters[i].name), "%s%s",
				  scopes[scope], counters[i].name);
	}
}

Test(monitor, a_textfile_is_replaced_as_a_whole)
{
	char folder[] = "/tmp/cadre-XXXXXX", file[64];
	struct stat first, second;
	FILE *text;

	serve();
	cr_assert_not_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/cadre.prom", folder);
	cr_assert_eq(cadre("stat", "--textfile", file, scene.pool, NULL), 0, "%s",
		     run.err);
	cr_assert_eq(stat(file, &first), 0);
	text = fopen(file, "re");
	cr_assert_not_null(text);
	cr_assert_eq(cadre("stat", "--textfile", file, scene.pool, "0.01", "2", NULL), 0);
	cr_assert_eq(stat(file, &second), 0);

	cr_assert_neq(first.st_ino, second.st_ino, "it is another file");
	cr_assert_eq(fread(run.out, 1, sizeof(run.out), text), (size_t)first.st_size,
		     "who has the old one open still reads all of it");
	fclose(text);
	cr_assert_str_eq(run.err, "");
	cr_assert_eq(unlink(file), 0);
	cr_assert_eq(rmdir(folder), 0, "no draft is left");

	cr_assert_eq(cadre("stat", "--textfile", file, scene.pool, NULL), 1);
	cr_assert(says(run.err, "cannot write \"%s\"", file), "%s", run.err);
}

/* ---- the health check ---- */

static int check(const char *limit)
{
	return limit ? cadre("stat", "--check", "--limit", limit, scene.pool, NULL) :
		       cadre("stat", "--check", scene.pool, NULL);
}

static unsigned lines_of(const char *text)
{
	unsigned lines = 0;

	for (; (text = strchr(text, '\n')); text++)
		lines++;
	return lines;
}

Test(monitor, a_pool_that_is_well_is_ok_in_one_line_with_perfdata)
{
	serve();
	cr_assert_eq(check(NULL), 0);
	cr_assert_eq(strncmp(run.out, "cadre OK: ", 10), 0, "%s", run.out);
	cr_assert(says(run.out, "2 workers ready"), "%s", run.out);
	cr_assert(says(run.out, " | ready=2;;2:;0 heartbeat="), "%s", run.out);
	cr_assert_eq(lines_of(run.out), 1);
	cr_assert_str_eq(run.err, "");
	cr_assert_eq(cadre("stat", "--check=live", scene.pool, NULL), 0);
	cr_assert_eq(cadre("stat", "--check=ready", scene.pool, NULL), 0);
}

Test(monitor, fewer_ready_workers_than_asked_for_are_a_matter_of_the_limit)
{
	serve();
	cr_assert_eq(check("ready=3"), 1);
	cr_assert(says(run.out, "cadre WARNING: "), "%s", run.out);
	cr_assert(says(run.out, "ready 2, which is below 3"), "%s", run.out);
	cr_assert_eq(check("ready=8:4"), 2);
	cr_assert(says(run.out, "below 4"), "%s", run.out);
}

Test(monitor, an_old_pending_job_and_a_full_window_are_said)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);

	serve();
	attach();
	for (unsigned i = 0; i < SLOTS; i++)
		submit("sleep", "3600000");
	await_running(3);
	do {
		cr_assert_lt(cadre_now_ns(), until_ns);
		nap();
	} while (check("oldest=1ms:20ms") != 2);
	cr_assert(says(run.out, "which is at or over 0.02"), "%s", run.out);
	cr_assert_eq(check("oldest="), 1, "%s", run.out);
	cr_assert(says(run.out, "window 100%%, which is at or over 100"), "%s", run.out);
	cr_assert_eq(check("window=50:100"), 2, "%s", run.out);
}

Test(monitor, a_pool_without_supervisor_is_critical_and_not_live)
{
	serve();
	kill_pool();
	cr_assert_eq(check(NULL), 2);
	cr_assert(says(run.out, "cadre CRITICAL: "), "%s", run.out);
	cr_assert(says(run.out, "is gone"), "%s", run.out);
	cr_assert_eq(cadre("stat", "--check=live", scene.pool, NULL), 1);
	cr_assert_eq(cadre("stat", "--check=ready", scene.pool, NULL), 1);
	cr_assert(says(run.out, "is not ready"), "%s", run.out);
}

Test(monitor, a_pool_that_is_not_there_is_critical_and_one_that_cannot_be_read_unknown)
{
	const struct cadre_limits limits = {
		.workers = 1, .parallel = 1, .clients = 1, .slots = 1
	};
	struct cadre_view view;

	cr_assert_eq(check(NULL), 2);
	cr_assert(says(run.out, "cadre CRITICAL: "), "%s", run.out);
	cr_assert_eq(cadre("stat", "--check=live", scene.pool, NULL), 1);

	cr_assert_eq(cadre_layout_create(scene.pool, &limits, 0600, &view, NULL), 0);
	view.header->layout++;
	cadre_layout_close(&view);
	cr_assert_eq(check(NULL), 3);
	cr_assert(says(run.out, "cadre UNKNOWN: "), "%s", run.out);
	cr_assert_eq(cadre("stat", "--check=ready", scene.pool, NULL), 1);
}

Test(monitor, limits_that_say_nothing_are_refused)
{
	static const char *const wrong[] = { "oldest",   "oldest=x",    "no-such=1",
					     "=1",       "ready=1:2:3", "window=-1",
					     "load=nan", "heartbeat=1x" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_assert_eq(check(wrong[i]), 64, "%s", wrong[i]);
		cr_assert_neq(run.err[0], '\0', "%s", wrong[i]);
	}
	cr_assert_eq(cadre("stat", "--check=alive", scene.pool, NULL), 64);
	cr_assert_eq(cadre("stat", "--check", "--list", NULL), 0);
	cr_assert(says(run.out, "oldest "), "%s", run.out);
}

/* ---- how much it costs ---- */

static int64_t cpu_of_children_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000000) +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * INT64_C(1000);
}

/* In CPU time, because this machine may have other things to do as well. */
static void assert_quick(const char *what)
{
	const int64_t before_ns = cpu_of_children_ns();

	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert_lt(cpu_of_children_ns() - before_ns, INT64_C(100000000), "%s", what);
}

Test(monitor, saturated_stopped_or_dead_the_answer_takes_less_than_100_ms)
{
	pid_t workers[3];

	serve();
	attach();
	for (unsigned i = 0; i < SLOTS; i++)
		submit("sleep", "3600000");
	await_running(3);
	assert_quick("saturated");
	for (size_t i = 0; i < 3; i++) {
		workers[i] = worker_pid(i);
		child_stop(workers[i]);
	}
	child_stop(server);
	assert_quick("stopped");
	cr_assert(says(run.out, "queued 13  in flight 16"), "%s", run.out);
	kill_pool();
	assert_quick("dead");
	cr_assert(says(run.out, "\" is dead"), "%s", run.out);
}

/* ---- intervals and choices ---- */

Test(monitor, an_interval_and_a_count_give_so_many_lines_under_one_head)
{
	serve();
	cr_assert_eq(cadre("stat", scene.pool, "0.02", "3", NULL), 0);
	cr_assert_eq(lines_of(run.out), 4, "%s", run.out);
	cr_assert_eq(strncmp(run.out, "POOL ", 5), 0, "%s", run.out);

	cr_assert_eq(cadre("stat", "--worker", "0-1", scene.pool, "20ms", "3", NULL), 0);
	cr_assert_eq(lines_of(run.out), 7, "%s", run.out);

	cr_assert_eq(cadre("stat", "--json", scene.pool, "0.02", "3", NULL), 0);
	cr_assert_eq(lines_of(run.out), 3);
}

Test(monitor, only_the_chosen_workers_and_fields_are_shown)
{
	json_t *worker;

	serve();
	attach();
	cr_assert_eq(cadre("stat", "--json", "--worker", "1", "--fields",
			   "letter,jobs.*,restarts", scene.pool, NULL),
		     0);
	shown = json_loads(run.out, 0, NULL);
	cr_assert_eq(json_array_size(json_object_get(shown, "workers")), 1);
	worker = part("workers", 0);
	cr_assert_eq(number(worker, "worker"), 1);
	cr_assert_str_eq(text(worker, "letter"), "_");
	cr_assert_eq(ended(worker, "ok"), 0);
	cr_assert_eq(counter(worker, "restarts"), 0);
	cr_assert_null(json_object_get(worker, "pid"));

	cr_assert_eq(cadre("stat", "--fields", "worker.letter,pool.queue_length",
			   scene.pool, NULL),
		     0);
	cr_assert_eq(strncmp(run.out, "queue_length", 12), 0, "%s", run.out);
	cr_assert(says(run.out, "\nworker letter\n"), "%s", run.out);
	cr_assert_not(says(run.out, "client"), "%s", run.out);

	cr_assert_eq(cadre("stat", "--fields", "no_such_field", scene.pool, NULL), 64);
	cr_assert_eq(cadre("stat", "--worker", "a", scene.pool, NULL), 64);
	cr_assert_eq(cadre("stat", "--worker", "3-1", scene.pool, NULL), 64);
	cr_assert_eq(cadre("stat", scene.pool, "1", "0", NULL), 64);
	cr_assert_eq(cadre("stat", scene.pool, "1", "2", "3", NULL), 64);
	cr_assert_eq(cadre("stat", "--json", "--prometheus", scene.pool, NULL), 64);
}

Test(monitor, latency_is_shown_by_operation)
{
	work_a_little();
	cr_assert_eq(cadre("stat", "--latency", scene.pool, NULL), 0);
	cr_assert(says(run.out, "\necho      waiting"), "%s", run.out);
	cr_assert(says(run.out, "\n(all)     total"), "%s", run.out);
	cr_assert_not(says(run.out, "burn"), "nobody called it");
}

Test(monitor, the_last_events_are_shown_with_their_backtraces)
{
	json_t *event;
	char *last;

	work_a_little(); /* One worker died of SIGSEGV. */
	cr_assert_eq(cadre("stat", "--events", scene.pool, NULL), 0);
	cr_assert(says(run.out, "was killed by SIGSEGV"), "%s", run.out);
	cr_assert(says(run.out, "\n    "), "no backtrace: %s", run.out);
	cr_assert(says(run.out, "crash"), "the handler is named: %s", run.out);

	cr_assert_eq(cadre("stat", "--events=1", scene.pool, NULL), 0);
	cr_assert_eq(lines_of(run.out), 1, "%s", run.out);

	cr_assert_eq(cadre("stat", "--events", "--json", scene.pool, NULL), 0);
	while ((last = strrchr(run.out, '\n')) && !says(last, "worker_died"))
		*last = '\0';
	event = json_loads(last ? last + 1 : run.out, 0, NULL);
	cr_assert_str_eq(text(event, "event"), "worker_died");
	cr_assert_eq(number(event, "code"), SIGSEGV);
	cr_assert_eq(json_array_size(json_object_get(event, "jobs")), 1);
	cr_assert_neq(text(event, "backtrace")[0], '\0');
	json_decref(event);
}

Test(monitor, stat_waits_for_a_pool_when_told_to)
{
	char *arguments[] = { NULL, "stat", "--wait", "20s", "--json", scene.pool, NULL };
	const int out = memfd_create("out", MFD_CLOEXEC);
	const pid_t waiting = start(out, STDERR_FILENO, arguments);

	serve();
	cr_assert_eq(await_exit(waiting), 0);
	read_back(out, run.out, sizeof(run.out));
	cr_assert(says(run.out, scene.pool), "%s", run.out);

	cr_assert_eq(cadre("stat", "--wait", "10ms", "no-such-pool", NULL), 2);
}

/* ---- a terminal ---- */

/* What `cadre stat` writes to a terminal. */
static void show_on_terminal(void)
{
	struct winsize size = { .ws_row = 25, .ws_col = 250 };
	char *arguments[] = { NULL, "stat", scene.pool, NULL };
	size_t length = 0;
	int master, slave;
	ssize_t n;
	pid_t pid;

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, &size), 0);
	pid = start(slave, slave, arguments);
	close(slave);
	while ((n = read(master, run.out + length, sizeof(run.out) - 1 - length)) > 0)
		length += (size_t)n;
	run.out[length] = '\0';
	close(master);
	cr_assert_eq(await_exit(pid), 0, "%s", run.out);
}

Test(monitor, colour_is_for_terminals_that_want_it)
{
	serve();
	kill_pool(); /* Dead workers are red. */
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	show_on_terminal();
	cr_assert(says(run.out, "\033["), "%s", run.out);
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert_not(says(run.out, "\033"), "this was no terminal");

	setenv("NO_COLOR", "1", 1);
	show_on_terminal();
	cr_assert_not(says(run.out, "\033"), "%s", run.out);
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	show_on_terminal();
	cr_assert_not(says(run.out, "\033"), "%s", run.out);
}
