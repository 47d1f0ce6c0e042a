#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void child_fail(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: in a child: %s\n", file, line, condition);
	_exit(CHILD_FAILED);
}

void child_skip(const char *why)
{
	fprintf(stderr, "skipped: %s\n", why);
	_exit(CHILD_SKIPPED);
}

pid_t child_start(int (*body)(void *context), void *context)
{
	const pid_t child = fork();

	if (child < 0)
		abort();
	if (child == 0)
		_exit(body(context));
	return child;
}

int child_end(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			abort();
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void child_kill(pid_t child)
{
	kill(child, SIGKILL);
	child_end(child);
}

int child_run(int (*body)(void *context), void *context)
{
	return child_end(child_start(body, context));
}

/* The letter of the state of one thread in its /proc/PID/stat; 'X' when there is none. */
static char state_in(const char *path)
{
	char text[512] = "";
	const char *behind_name;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 'X';
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	behind_name = strrchr(text, ')');
	return behind_name && behind_name[1] ? behind_name[2] : 'X';
}

char child_state(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return state_in(path);
}

bool child_is_stopped(pid_t pid)
{
	char pattern[40];
	bool stopped = false;
	glob_t threads;

	snprintf(pattern, sizeof(pattern), "/proc/%d/task/*/stat", (int)pid);
	if (glob(pattern, 0, NULL, &threads) == 0) {
		stopped = true;
		for (size_t i = 0; i < threads.gl_pathc; i++)
			stopped = stopped && strchr("TXZ", state_in(threads.gl_pathv[i]));
	}
	globfree(&threads);
	return stopped && child_state(pid) == 'T';
}

void child_stop(pid_t pid)
{
	kill(pid, SIGSTOP);
	while (!child_is_stopped(pid) && !strchr("XZ", child_state(pid)))
		child_pause_ms(1);
}

void child_await_asleep(pid_t child)
{
	while (!strchr("SXZ", child_state(child)))
		child_pause_ms(1);
}

void *child_share(size_t size)
{
	void *const memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

void child_idle(void)
{
	for (;;)
		pause();
}

void child_pause_ms(unsigned milliseconds)
{
	const struct timespec pause = { .tv_sec = milliseconds / 1000,
					.tv_nsec = (long)(milliseconds % 1000) * 1000000 };

	nanosleep(&pause, NULL);
}
