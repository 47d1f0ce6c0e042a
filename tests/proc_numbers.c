/*
 * proc_numbers.c - claims that the numbers of `cadre stat` are right: compared with what
 * this process counted and timed itself, on a pool that works.
 */
#include "child.h"
#include "showing.h"

TestSuite(numbers, SHOWING);

#define MS INT64_C(1000000)
#define S INT64_C(1000000000)

static json_t *times(json_t *object, const char *which)
{
	json_t *const times = json_object_get(object, which);

	cr_assert(json_is_object(times), "no \"%s\"", which);
	return times;
}

/* The sum over all places of workers. */
static int64_t over_workers(int64_t (*of)(json_t *object, const char *key),
			    const char *key)
{
	int64_t sum = 0;

	for (size_t i = 0; i < json_array_size(json_object_get(shown, "workers")); i++)
		sum += of(part("workers", i), key);
	return sum;
}

static json_t *operation_part(const char *name)
{
	json_t *const all = json_object_get(shown, "operations");
	json_t *operation;
	size_t i;

	json_array_foreach(all, i, operation)
	{
		if (strcmp(text(operation, "operation"), name) == 0)
			return operation;
	}
	cr_assert(false, "no operation %s", name);
	return NULL;
}

/* ---- totals ---- */

struct totals {
	int64_t ok, taken, jobs, busy_ns, started;
};

static struct totals totals_of(void)
{
	look();
	return (struct totals){
		.ok = over_workers(ended, "ok"),
		.taken = over_workers(counter, "jobs_taken"),
		.jobs = number(times(pool_part(), "total"), "jobs"),
		.busy_ns = over_workers(number, "spent_busy_ns"),
		.started = counter(pool_part(), "workers_started"),
	};
}

/* A job is counted behind its answer. */
static struct totals await_totals(int64_t ok)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);
	struct totals now;

	do {
		cr_assert_lt(cadre_now_ns(), until_ns);
		now = totals_of();
	} while (now.ok < ok);
	cr_assert_eq(now.ok, ok);
	return now;
}

/* ---- durations ---- */

static int compare(const void *a, const void *b)
{
	const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static void assert_within(int64_t shown_ns, int64_t exact_ns, const char *what)
{
	cr_assert_geq(shown_ns, exact_ns, "%s", what);
	cr_assert_leq((double)shown_ns, (double)exact_ns * 1.125 + 1, "%s", what);
}

/* A job of known length; how long it ran in all, as its result says. */
static int64_t run_for(const char *ms)
{
	const struct cadre_request request = request_of("sleep", ms);
	struct cadre_result result;

	cr_assert_eq(cadre_call(client, &request, &result), 0);
	cr_assert_eq(result.outcome, CADRE_OK);
	cr_assert_geq(result.running_ns, atoi(ms) * MS);
	cadre_release(client, &result);
	return result.running_ns;
}

Test(numbers, a_thousand_jobs_of_known_length_give_their_percentiles_and_their_load)
{
	enum { JOBS = 1000 };
	static int64_t ran_ns[JOBS];
	int64_t sum_ns = 0, start_ns, passed_ns, busy_ns;
	json_t *service;

	serve();
	attach();
	look();
	busy_ns = over_workers(number, "spent_busy_ns");
	start_ns = cadre_now_ns();
	for (size_t i = 0; i < JOBS; i++) {
		ran_ns[i] = run_for(i % 10 == 0 ? "4" : "1");
		sum_ns += ran_ns[i];
	}
	await_totals(JOBS);
	passed_ns = cadre_now_ns() - start_ns;
	busy_ns = over_workers(number, "spent_busy_ns") - busy_ns;
	qsort(ran_ns, JOBS, sizeof(ran_ns[0]), compare);

	service = times(operation_part("sleep"), "service");
	cr_assert_eq(number(service, "jobs"), JOBS);
	assert_within(number(service, "p50_ns"), ran_ns[JOBS / 2 - 1], "p50");
	assert_within(number(service, "p90_ns"), ran_ns[JOBS * 9 / 10 - 1], "p90");
	assert_within(number(service, "p99_ns"), ran_ns[JOBS * 99 / 100 - 1], "p99");
	assert_within(number(service, "p999_ns"), ran_ns[JOBS * 999 / 1000 - 1], "p99.9");
	assert_within(number(service, "max_ns"), ran_ns[JOBS - 1], "max");
	cr_assert_eq(number(operation_part("sleep"), "service_sum_ns"), sum_ns);

	/* One job at a time: busy for exactly so long, but for what a worker that finds the
	 * next one at once bridges. */
	cr_assert_geq(busy_ns, sum_ns);
	cr_assert_leq((double)busy_ns, (double)sum_ns * 1.05);
	cr_assert_leq(busy_ns, passed_ns);
	cr_assert_eq(ended(pool_part(), "ok"), JOBS);
}

Test(numbers, the_idle_time_of_an_idle_worker_grows_by_the_clock)
{
	int64_t before_ns[2], after_ns[2], idle_ns;

	serve();
	before_ns[0] = cadre_now_ns();
	look();
	before_ns[1] = cadre_now_ns();
	idle_ns = number(part("workers", 0), "idle_ns");
	nanosleep(&(struct timespec){ .tv_nsec = 200 * MS }, NULL);
	after_ns[0] = cadre_now_ns();
	look();
	after_ns[1] = cadre_now_ns();
	idle_ns = number(part("workers", 0), "idle_ns") - idle_ns;

	cr_assert_geq(idle_ns, after_ns[0] - before_ns[1]);
	cr_assert_leq(idle_ns, after_ns[1] - before_ns[0]);
}

Test(numbers, a_job_that_does_not_end_is_seen_as_load_and_by_its_name)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);
	bool seen = false;

	serve();
	attach();
	submit("sleep", "3600000");
	await_running(1);
	while (!seen) {
		cr_assert_lt(cadre_now_ns(), until_ns);
		nap();
		look();
		for (size_t i = 0; i < 2; i++)
			seen |= counter(part("workers", i), "load_1s") == 1000000 &&
				counter(part("workers", i), "load_max") == 1000000;
		/* One of two workers; of three, a second after the pool has grown. */
		seen &= counter(pool_part(), "load_1s") ==
			1000000 / number(pool_part(), "workers_ready");
	}
	cr_assert_gt(number(pool_part(), "oldest_running_ns"), S / 2);
	cr_assert_eq(number(operation_part("sleep"), "running"), 1);
}

/* ---- a kill ---- */

static void assert_no_step_back(const struct totals *before, const struct totals *now)
{
	cr_assert_eq(now->ok, before->ok);
	cr_assert_eq(now->taken, before->taken);
	cr_assert_eq(now->jobs, before->jobs);
	cr_assert_geq(now->busy_ns, before->busy_ns);
	cr_assert_lt(now->busy_ns - before->busy_ns, 10 * MS, "nobody worked meanwhile");
}

/* All of them: of three, the one that is not needed is not replaced. */
Test(numbers, after_a_kill_of_all_workers_totals_neither_fall_nor_jump)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);
	struct totals before, now;

	serve();
	attach();
	for (unsigned i = 0; i < 300; i++)
		cr_assert_eq(call("echo", "x"), CADRE_OK);
	before = await_totals(300);

	for (size_t i = 0; i < 3; i++) {
		const pid_t pid = worker_pid(i);

		if (pid)
			kill(pid, SIGKILL);
	}
	do {
		cr_assert_lt(cadre_now_ns(), until_ns);
		now = totals_of();
		assert_no_step_back(&before, &now);
	} while (now.started < before.started + 2);
	await_workers(2);
	now = totals_of();
	assert_no_step_back(&before, &now);
	cr_assert_geq(over_workers(counter, "restarts"), 2);
	cr_assert_str_eq(text(part("workers", 0), "last_reason"), "SIGKILL");
	cr_assert_eq(call("echo", "x"), CADRE_OK);
	await_totals(301);
}

/* ---- rates ---- */

Test(numbers, the_rate_of_an_interval_is_that_of_the_jobs_counted_here)
{
	char *arguments[] = { NULL,       "stat", "--json", "--name",
			      scene.pool, "0.25", "2",      NULL };
	const int out = memfd_create("out", MFD_CLOEXEC);
	double interval_s, jobs;
	pid_t watcher;
	char *second;
	json_t *line;

	serve();
	attach();
	watcher = start(out, STDERR_FILENO, arguments);
	/* The first line stands there before the first job is submitted. */
	while (lseek(out, 0, SEEK_END) == 0)
		nap();
	for (unsigned i = 0; i < 50; i++)
		cr_assert_eq(call("echo", "x"), CADRE_OK);
	cr_assert_eq(await_exit(watcher), 0);
	read_back(out, run.out, sizeof(run.out));

	second = strchr(run.out, '\n') + 1;
	line = json_loads(second, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(line, "%s", run.out);
	interval_s = json_number_value(json_object_get(line, "interval_s"));
	cr_assert_gt(interval_s, 0.2);
	jobs = interval_s *
	       json_number_value(
		       json_object_get(json_object_get(json_object_get(line, "pool"),
						       "rates"),
				       "jobs_per_s"));
	cr_assert_float_eq(jobs, 50, 0.01, "%f", jobs);
	json_decref(line);
}

/* ---- passive ---- */

static unsigned long long sum_of_segment(void)
{
	unsigned long long sum = 5381;
	const unsigned char *bytes;
	char path[CADRE_PATH_SIZE];
	struct cadre_segment segment;

	cadre_path(scene.pool, CADRE_FILE_SEGMENT, path);
	cr_assert_eq(cadre_segment_open(scene.pool, false, &segment, NULL), 0);
	bytes = segment.base;
	for (size_t i = 0; i < segment.size; i++)
		sum = sum * 33 + bytes[i];
	cadre_segment_close(&segment);
	return sum;
}

Test(numbers, stat_changes_no_byte_of_the_segment)
{
	static const char *const forms[] = { "--json", "--prometheus", "--latency",
					     "--check" };
	unsigned long long before;
	pid_t workers[2];

	serve();
	attach();
	cr_assert_eq(call("echo", "x"), CADRE_OK);
	workers[0] = worker_pid(0);
	workers[1] = worker_pid(1);
	child_stop(workers[0]);
	child_stop(workers[1]);
	child_stop(server);

	before = sum_of_segment();
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		cadre("stat", forms[i], scene.pool, NULL);
	cr_assert_eq(sum_of_segment(), before);
	kill(workers[0], SIGCONT);
	kill(workers[1], SIGCONT);
	kill(server, SIGCONT);
}

Test(numbers, stat_could_not_write_to_the_segment_if_it_wanted_to)
{
	char *arguments[] = { NULL, "stat", scene.pool, "0.01", NULL };
	const int out = memfd_create("out", MFD_CLOEXEC);
	char path[64], line[4096];
	unsigned mappings = 0;
	pid_t watcher;
	FILE *maps;

	serve();
	watcher = start(out, STDERR_FILENO, arguments);
	while (lseek(out, 0, SEEK_END) == 0)
		nap();
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)watcher);
	maps = fopen(path, "re");
	cr_assert_not_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (!strstr(line, scene.pool))
			continue;
		mappings++;
		cr_assert_not_null(strstr(line, " r--s "), "%s", line);
	}
	fclose(maps);
	close(out);
	cr_assert_eq(mappings, 1);
	kill(watcher, SIGTERM);
	cr_assert_eq(await_exit(watcher), 128 + SIGTERM);
}
