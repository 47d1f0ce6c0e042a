#include "process.h"
#include "clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPIN_NS (50 * CADRE_NS_PER_US)

/* Reads a small file of /proc or /sys whole. Its length, or negative errno. */
static ssize_t read_file(const char *path, char *text, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, text, size - 1);
	if (length < 0)
		length = -errno;
	else
		text[length] = '\0';
	close(fd);
	return length;
}

/* The fields of /proc/PID/stat from 3 on; `text` keeps them. False: there is no such
 * process. */
#define FIRST_FIELD 3
#define FIELDS 22

static bool read_stat(pid_t pid, char *text, size_t size, const char *ret_fields[FIELDS])
{
	char path[40];
	char *field;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file(path, text, size) <= 0)
		return false;
	/* The name of the program, field 2, may hold blanks and brackets: start behind the
	 * last one. */
	field = strrchr(text, ')');
	for (int i = 0; i < FIELDS; i++) {
		field = field ? strchr(field + 1, ' ') : NULL;
		ret_fields[i] = field ? field + 1 : "";
	}
	return true;
}

static uint64_t field_of(const char *const fields[FIELDS], int number)
{
	return strtoull(fields[number - FIRST_FIELD], NULL, 10);
}

uint64_t cadre_process_start_time(pid_t pid)
{
	const char *fields[FIELDS];
	char text[1024];

	return read_stat(pid, text, sizeof(text), fields) ? field_of(fields, 22) : 0;
}

int cadre_process_usage(struct cadre_identity who, struct cadre_usage *ret_usage)
{
	const long ticks_per_s = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
	const char *fields[FIELDS];
	char text[1024];

	if (who.pid <= 0 || !read_stat(who.pid, text, sizeof(text), fields) ||
	    (who.start_time && field_of(fields, 22) != who.start_time))
		return -ESRCH;
	*ret_usage = (struct cadre_usage){
		.resident_bytes = field_of(fields, 24) * (uint64_t)page,
		.cpu_ns = (int64_t)(field_of(fields, 14) + field_of(fields, 15)) *
			  (INT64_C(1000000000) / ticks_per_s),
	};
	return 0;
}

int cadre_process_name(struct cadre_identity who, char *ret_name, size_t size)
{
	const char *fields[FIELDS];
	char text[1024];
	const char *begin, *end;

	if (who.pid <= 0 || !read_stat(who.pid, text, sizeof(text), fields) ||
	    (who.start_time && field_of(fields, 22) != who.start_time))
		return -ESRCH;
	/* Field 2, in brackets; it may hold some. */
	begin = strchr(text, '(');
	end = strrchr(text, ')');
	snprintf(ret_name, size, "%.*s", begin ? (int)(end - begin - 1) : 0,
		 begin ? begin + 1 : "");
	return 0;
}

bool cadre_process_maps(pid_t pid, const char *path)
{
	char maps_path[40], *line = NULL;
	size_t size = 0;
	bool found = false;
	FILE *maps;

	snprintf(maps_path, sizeof(maps_path), "/proc/%d/maps", (int)pid);
	maps = fopen(maps_path, "re");
	if (!maps)
		return errno != ENOENT && errno != ESRCH;
	while (!found && getline(&line, &size, maps) > 0) {
		const char *const file = strchr(line, '/');

		line[strcspn(line, "\n")] = '\0';
		found = file && strcmp(file, path) == 0;
	}
	free(line);
	fclose(maps);
	return found;
}

bool cadre_process_is_stopped(pid_t pid)
{
	char path[40], text[1024];
	const char *name_end;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file(path, text, sizeof(text)) <= 0)
		return false;
	/* Field 3, behind the name of the program: T stopped, t traced. */
	name_end = strrchr(text, ')');
	return name_end && (name_end[2] == 'T' || name_end[2] == 't');
}

struct cadre_identity cadre_process_self(void)
{
	const pid_t pid = getpid();

	return (struct cadre_identity){ .pid = pid,
					.start_time = cadre_process_start_time(pid) };
}

int cadre_process_open(struct cadre_identity who)
{
	int pidfd;

	if (who.pid <= 0)
		return -ESRCH;
	pidfd = (int)syscall(SYS_pidfd_open, who.pid, 0);
	if (pidfd < 0)
		return -errno;

	/* The order matters: first the pidfd, then the start time, then the look whether it
	 * is still alive. Then the start time was that of the process behind the pidfd. */
	if ((who.start_time && cadre_process_start_time(who.pid) != who.start_time) ||
	    cadre_process_is_dead(pidfd)) {
		close(pidfd);
		return -ESRCH;
	}
	return pidfd;
}

static int try_open(struct cadre_identity who)
{
	const int pidfd = cadre_process_open(who);

	if (pidfd < 0)
		return pidfd;
	close(pidfd);
	return 0;
}

bool cadre_process_lives(struct cadre_identity who)
{
	return try_open(who) == 0;
}

bool cadre_process_is_gone(struct cadre_identity who)
{
	return try_open(who) == -ESRCH;
}

int cadre_process_open_child(pid_t pid)
{
	const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	return pidfd < 0 ? -errno : pidfd;
}

bool cadre_process_is_dead(int pidfd)
{
	struct pollfd look = { .fd = pidfd, .events = POLLIN };

	return poll(&look, 1, 0) > 0 && (look.revents & POLLIN);
}

int cadre_process_kill(int pidfd, int signal_number)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0) < 0 ? -errno :
										   0;
}

unsigned cadre_process_threads(void)
{
	DIR *const tasks = opendir("/proc/self/task");
	unsigned count = 0;

	if (!tasks)
		return 1;
	for (const struct dirent *entry; (entry = readdir(tasks));)
		count += entry->d_name[0] != '.';
	closedir(tasks);
	return count ? count : 1;
}

unsigned cadre_process_own_threads(void)
{
#if defined(__SANITIZE_THREAD__)
	return cadre_process_threads() - 1;
#else
	return cadre_process_threads();
#endif
}

/* CPUs granted by the quota of the cgroup (version 2), or `most` when there is none. */
static unsigned quota_cpus(unsigned most)
{
	char text[64];
	unsigned long long quota, period;

	if (read_file("/sys/fs/cgroup/cpu.max", text, sizeof(text)) <= 0 ||
	    sscanf(text, "%llu %llu", &quota, &period) != 2 || period == 0)
		return most;
	quota = (quota + period - 1) / period;
	return quota < most ? (unsigned)quota : most;
}

unsigned cadre_process_cpus(void)
{
	cpu_set_t set;
	unsigned cpus = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		cpus = (unsigned)CPU_COUNT(&set);
	cpus = quota_cpus(cpus);
	return cpus ? cpus : 1;
}

uint32_t cadre_process_cpu(void)
{
	const int cpu = sched_getcpu();

	return cpu < 0 ? 0 : (uint32_t)cpu + 1;
}

int64_t cadre_process_spin_ns(int64_t wish_ns)
{
	if (wish_ns != 0)
		return wish_ns > 0 ? wish_ns : 0;
	return cadre_process_cpus() > 1 ? SPIN_NS : 0;
}

uint64_t cadre_process_memory(pid_t pid)
{
	char path[32], text[128];
	unsigned long long size, resident;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if (pid <= 0 || read_file(path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%llu %llu", &size, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t cadre_process_boot_id(void)
{
	char text[64] = "";
	uint64_t id = 0;

	if (read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text)) <= 0)
		return 0;
	for (const char *c = text; *c && *c != '\n'; c++) {
		if (*c != '-')
			id = id << 4 ^ id >> 60 ^
			     (uint64_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
	}
	return id;
}
