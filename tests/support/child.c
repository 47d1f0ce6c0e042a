#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

void child_pause_ms(unsigned milliseconds)
{
	const struct timespec pause = { .tv_sec = milliseconds / 1000,
					.tv_nsec = (long)(milliseconds % 1000) * 1000000 };

	nanosleep(&pause, NULL);
}
