/*
 * idle.c - what does a pool cost that has nothing to do?
 *
 * CPU time of this process and of all its descendants (keeper, supervisor, workers), after
 * the pool has done a job and come to rest. The kernel counts it to the nanosecond in
 * schedstat; utime and stime, where that is missing, to the tick.
 */
#include "echo.h"

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
#define PROCESSES_MAX 64

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

/* The descendants of this process, found generation by generation. */
static size_t find_family(pid_t family[PROCESSES_MAX])
{
	size_t count = 1, before = 0;

	family[0] = getpid();
	while (before != count) {
		DIR *const processes = opendir("/proc");
		const size_t known = count;

		if (!processes)
			break;
		for (const struct dirent *entry; (entry = readdir(processes));) {
			const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
			double unused;
			long parent;

			if (pid <= 0 || !read_stat(pid, &parent, &unused))
				continue;
			for (size_t i = before; i < known && count < PROCESSES_MAX; i++) {
				if (family[i] == parent)
					family[count++] = pid;
			}
		}
		closedir(processes);
		before = known;
	}
	memmove(family, family + 1, (count - 1) * sizeof(*family));
	return count - 1;
}

static double cpu_s_of_all(const pid_t *family, size_t count)
{
	double sum_s = 0;

	for (size_t i = 0; i < count; i++)
		sum_s += cpu_s_of(family[i]);
	return sum_s;
}

static double own_cpu_s(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void rest(double seconds)
{
	const struct timespec pause = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)
	};

	nanosleep(&pause, NULL);
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
static double cpu_s_of_rest(double seconds)
{
	pid_t family[PROCESSES_MAX];
	const size_t count = find_family(family);
	const double family_s = cpu_s_of_all(family, count);
	const double own_s = own_cpu_s();
	double own_used_s;

	rest(seconds);
	own_used_s = own_cpu_s() - own_s;
	return own_used_s + cpu_s_of_all(family, count) - family_s;
}

static int cadre_idle(const struct bench *bench, double *ret_value)
{
	struct cadre_pool *const pool = echo_start(bench, WORKERS, ECHO_DEFAULTS);
	const double seconds = bench->quick ? 1 : PERIOD_S;
	int job, stop;

	if (!pool)
		return -ECANCELED;
	job = do_a_job(cadre_pool_client(pool));
	rest(0.5);
	*ret_value = cpu_s_of_rest(seconds) * PERIOD_S / seconds;
	stop = echo_stop(pool);
	return job < 0 ? job : stop;
}

static const struct contender contenders[] = {
	{ "cadre",
	  "a pool of two workers with its supervisor, keeper and client",
	  cadre_idle,
	  { NULL } },
};

const struct question question_idle = {
	.name = "idle",
	.sentence = "How much CPU time does a pool use in 5 s that has nothing to do?",
	.unit = "s",
	.digits = 6,
	.less_is_better = true,
	.contenders = contenders,
	.contender_count = COUNT_OF(contenders),
};
