#include "peer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void *peer_share(size_t size)
{
	void *const shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (shared != MAP_FAILED)
		return shared;
	fprintf(stderr, "cadre-bench: cannot map %zu bytes: %s\n", size, strerror(errno));
	return NULL;
}

void peer_unshare(void *shared, size_t size)
{
	munmap(shared, size);
}

pid_t peer_start(const struct bench *bench, void (*body)(void *shared), void *shared)
{
	pid_t peer;

	/* Bound to a CPU that this process does not leave, it would never get to its own. */
	bench_unpin();
	peer = bench_fork();
	if (peer < 0) {
		const int error = errno;

		fprintf(stderr, "cadre-bench: cannot fork: %s\n", strerror(error));
		return -error;
	}
	if (peer == 0) {
		bench_pin(bench, bench->worker_cpu);
		body(shared);
		_exit(0);
	}
	bench_pin(bench, bench->client_cpu);
	return peer;
}

static int await_end(pid_t peer, int *ret_status)
{
	while (waitpid(peer, ret_status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int peer_await(pid_t peer)
{
	int status;
	const int r = await_end(peer, &status);

	if (r < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return r;
	if (WIFEXITED(status))
		fprintf(stderr,
			"cadre-bench: a process that measured ended with status %d\n",
			WEXITSTATUS(status));
	else
		fprintf(stderr,
			"cadre-bench: a process that measured was killed by SIG%s\n",
			sigabbrev_np(WTERMSIG(status)));
	return -ECANCELED;
}

void peer_end(pid_t peer)
{
	int status;

	kill(peer, SIGKILL);
	await_end(peer, &status);
}
