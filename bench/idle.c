/*
 * idle.c - what does a pool cost that has nothing to do, and how fast is it back?
 *
 * The first job after more than an idle second finds everybody asleep, caches cold and CPUs
 * halted. Beside it two bare processes that slept on a futex for a second.
 *
 * CPU time of this process and of keeper, supervisor and workers, after the pool has done a
 * job and come to rest. The kernel counts it to the nanosecond in schedstat; in utime and
 * stime, which are read where that is missing, to the tick.
 */
#include "echo.h"
#include "peers/futex_trip.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 2
#define PERIOD_S 5.0
#define SETTLE_S 0.5
#define PAUSE_S 0.02
#define FAMILY (2 + WORKERS) /* supervisor, keeper, workers */

/* The first line of a small file. */
static bool read_line(const char *path, char *text, int size)
{
	FILE *const file = fopen(path, "re");
	bool read;

	if (!file)
		return false;
	read = fgets(text, size, file) != NULL;
	fclose(file);
	return read;
}

/* Fields of /proc/PID/stat behind the name: 3 is the first. */
static bool read_stat(pid_t pid, long *ret_parent, double *ret_cpu_s)
{
	unsigned long user, system;
	char path[64], text[1024];
	const char *rest;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!read_line(path, text, sizeof(text)) || !(rest = strrchr(text, ')')))
		return false;
	if (sscanf(rest, ") %*c %ld %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu",
		   ret_parent, &user, &system) != 3)
		return false;
	*ret_cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
	return true;
}

/* All threads; negative when the kernel does not say. */
static double schedstat_s(pid_t pid)
{
	char path[384], text[128];
	double sum_s = -1;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		return -1;
	for (const struct dirent *entry; (entry = readdir(tasks));) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid,
			 entry->d_name);
		if (read_line(path, text, sizeof(text)))
			sum_s = (sum_s < 0 ? 0 : sum_s) + strtod(text, NULL) / 1e9;
	}
	closedir(tasks);
	return sum_s;
}

static double cpu_s_of(pid_t pid)
{
	const double fine_s = schedstat_s(pid);
	double coarse_s = 0;
	long parent;

	if (fine_s >= 0)
		return fine_s;
	read_stat(pid, &parent, &coarse_s);
	return coarse_s;
}

/* Everybody who belongs to the pool but this process. 0, or -ESRCH when one is missing. */
static int find_family(const struct cadre_pool *pool, pid_t family[FAMILY])
{
	const struct cadre_pool_snapshot *snapshot;
	struct cadre_report *report;
	struct cadre_diag diag;
	double unused;
	long keeper;

	if (cadre_report_open(cadre_pool_name(pool), &report, &diag) < 0) {
		fprintf(stderr, "cadre-bench: %s\n", diag.text);
		return -ESRCH;
	}
	snapshot = cadre_report_read(report);
	family[0] = snapshot->supervisor_pid;
	for (uint32_t i = 0; i < WORKERS; i++)
		family[2 + i] = cadre_report_worker(report, i)->pid;
	cadre_report_close(report);

	family[1] = read_stat(family[0], &keeper, &unused) ? (pid_t)keeper : 0;
	for (size_t i = 0; i < FAMILY; i++) {
		if (family[i] <= 1)
			return -ESRCH;
	}
	return 0;
}

static double cpu_s_of_all(const pid_t family[FAMILY])
{
	double sum_s = 0;

	for (size_t i = 0; i < FAMILY; i++)
		sum_s += cpu_s_of(family[i]);
	return sum_s;
}

static double own_cpu_s(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static int do_a_job(struct cadre_client *client)
{
	static const unsigned char payload[PAYLOAD];
	const struct cadre_request request = { .operation = ECHO_OPERATION,
					       .data = payload,
					       .length = sizeof(payload) };
	struct cadre_result result;
	const int r = echo_check(cadre_call(client, &request, &result), &result);

	return r < 0 ? r : cadre_release(client, &result);
}

/* Reading the others costs this process some CPU: it looks at itself last before the rest
 * and first after it. */
static double cpu_s_of_rest(const pid_t family[FAMILY], double seconds)
{
	const double family_s = cpu_s_of_all(family);
	const double own_s = own_cpu_s();
	double own_used_s;

	bench_rest(seconds);
	own_used_s = own_cpu_s() - own_s;
	return own_used_s + cpu_s_of_all(family) - family_s;
}

static int time_a_job(struct cadre_client *client, double *ret_us)
{
	const int64_t start_ns = bench_now_ns();
	const int r = do_a_job(client);

	*ret_us = (double)(bench_now_ns() - start_ns) / 1e3;
	return r;
}

static int measure_rest(const struct bench *bench, struct cadre_pool *pool,
			double *ret_values)
{
	struct cadre_client *const client = cadre_pool_client(pool);
	const double seconds = bench->quick ? 1 : PERIOD_S;
	pid_t family[FAMILY];
	int r = do_a_job(client);

	if (r < 0)
		return r;
	bench_rest(SETTLE_S);
	r = find_family(pool, family);
	if (r < 0)
		return r;
	ret_values[0] = cpu_s_of_rest(family, seconds) * PERIOD_S / seconds;
	/* Looking at the others was work; the caller shall have slept as well. */
	bench_rest(PAUSE_S);
	return time_a_job(client, &ret_values[1]);
}

static int cadre_idle(const struct bench *bench, const void *with, double *ret_values)
{
	struct cadre_pool *const pool = echo_start(bench, WORKERS, ECHO_DEFAULTS);
	int r, stop;

	if (!pool)
		return -ECANCELED;
	(void)with;
	r = measure_rest(bench, pool, ret_values);
	stop = echo_stop(pool);
	return r < 0 ? r : stop;
}

static int futex_idle(const struct bench *bench, const void *with, double *ret_values)
{
	double ns;
	const int r = futex_first_trip(bench, 1 + PAUSE_S, &ns);

	(void)with;
	if (r == 0)
		ret_values[1] = ns / 1e3;
	return r;
}

static const struct column columns[] = { { "CPU", "s", 6 }, { "first job", "us", 1 } };

static const struct contender contenders[] = {
	{ "futex",
	  "two processes that sleep for a second, then one wakes the other and is answered",
	  futex_idle,
	  NULL,
	  { NULL },
	  false },
	{ "cadre",
	  "a pool of two workers with its supervisor, keeper and client",
	  cadre_idle,
	  NULL,
	  { "futex" },
	  false },
};

const struct question question_idle = {
	.name = "idle",
	.sentence = "What does a pool use in 5 s without a job, and how long does the first "
		    "one take after that?",
	.columns = columns,
	.column_count = COUNT_OF(columns),
	.ratio_column = 1,
	.less_is_better = true,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
