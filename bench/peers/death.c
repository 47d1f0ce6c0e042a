#include "death.h"
#include "peer.h"
#include "sample.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEATHS_MAX 100

static unsigned deaths(const struct bench *bench)
{
	return bench->quick ? DEATHS_MAX / 4 : DEATHS_MAX;
}

/* ---- a program of some size ---- */

int death_touch(size_t bytes)
{
	void *const memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	memset(memory, 1, bytes);
	return 0;
}

struct outcome {
	double values[DEATH_COLUMNS];
	int error;
};

int death_in_program(const struct bench *bench, const size_t *bytes,
		     int (*measure)(const struct bench *bench, double *ret_values),
		     double *ret_values)
{
	struct outcome *const outcome = peer_share(sizeof(*outcome));
	pid_t program;
	int r;

	if (!outcome)
		return -ENOMEM;
	for (size_t i = 0; i < DEATH_COLUMNS; i++)
		outcome->values[i] = NAN;
	program = bench_fork();
	if (program == 0) {
		bench_hurry(bench);
		/* What other questions left on the heap, 17 MB, makes each fork and each end dear. */
		malloc_trim(0);
		if (bytes)
			outcome->error = death_touch(*bytes);
		if (outcome->error == 0)
			outcome->error = measure(bench, outcome->values);
		_exit(0);
	}
	r = program < 0 ? -errno : peer_await(program);
	if (r == 0)
		r = outcome->error;
	memcpy(ret_values, outcome->values, sizeof(outcome->values));
	peer_unshare(outcome, sizeof(*outcome));
	return r;
}

/* ---- the floors ---- */

/* When the child ran its first instruction. */
static _Atomic int64_t *born_ns;

static pid_t fork_stamped(void)
{
	const pid_t pid = fork();

	if (pid == 0) {
		atomic_store(born_ns, bench_now_ns());
		_exit(0);
	}
	return pid;
}

static int fork_often(const struct bench *bench, double *ret_values)
{
	double us[DEATHS_MAX];

	for (unsigned i = 0; i < deaths(bench); i++) {
		int64_t start_ns;
		pid_t pid;
		int r;

		bench_rest(DEATH_REST_S);
		start_ns = bench_now_ns();
		pid = fork_stamped();
		r = pid < 0 ? -errno : peer_await(pid);
		if (r < 0)
			return r;
		us[i] = (double)(atomic_load(born_ns) - start_ns) / 1e3;
	}
	ret_values[1] = sample_of(us, deaths(bench)).median;
	return 0;
}

static pid_t start_victim(void)
{
	const pid_t pid = bench_fork();

	if (pid != 0)
		return pid;
	for (;;)
		__asm__ volatile("" ::: "memory");
}

int death_of(pid_t victim, int64_t *ret_kill_ns, int64_t *ret_dead_ns)
{
	const int pidfd = (int)syscall(SYS_pidfd_open, victim, 0);
	struct pollfd look = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0)
		return -errno;
	bench_rest(DEATH_REST_S);
	*ret_kill_ns = bench_now_ns();
	kill(victim, SIGKILL);
	while (poll(&look, 1, -1) < 0 && errno == EINTR)
		continue;
	*ret_dead_ns = bench_now_ns();
	return pidfd;
}

/* SIGKILL, poll, fork. The times of the two ends, from the kill. */
static int die_once(double *ret_lost_us, double *ret_started_us)
{
	const pid_t victim = start_victim();
	int64_t kill_ns = 0, lost_ns = 0;
	pid_t successor;
	int pidfd, r;

	if (victim < 0)
		return -errno;
	pidfd = death_of(victim, &kill_ns, &lost_ns);
	if (pidfd < 0)
		return pidfd;
	successor = fork_stamped();
	waitpid(victim, NULL, 0);
	close(pidfd);
	r = successor < 0 ? -EAGAIN : peer_await(successor);
	if (r < 0)
		return r;
	*ret_lost_us = (double)(lost_ns - kill_ns) / 1e3;
	*ret_started_us = (double)(atomic_load(born_ns) - kill_ns) / 1e3;
	return 0;
}

static int die_often(const struct bench *bench, double *ret_values)
{
	double lost[DEATHS_MAX], started[DEATHS_MAX];

	for (unsigned i = 0; i < deaths(bench); i++) {
		const int r = die_once(&lost[i], &started[i]);

		if (r < 0)
			return r;
	}
	ret_values[0] = sample_of(lost, deaths(bench)).median;
	ret_values[1] = sample_of(started, deaths(bench)).median;
	return 0;
}

static int with_stamp(const struct bench *bench, const size_t *bytes,
		      int (*measure)(const struct bench *bench, double *ret_values),
		      double *ret_values)
{
	int r;

	born_ns = peer_share(sizeof(*born_ns));
	if (!born_ns)
		return -ENOMEM;
	r = death_in_program(bench, bytes, measure, ret_values);
	peer_unshare(born_ns, sizeof(*born_ns));
	return r;
}

int death_fork(const struct bench *bench, const void *with, double *ret_values)
{
	return with_stamp(bench, with, fork_often, ret_values);
}

int death_pidfd(const struct bench *bench, const void *with, double *ret_values)
{
	return with_stamp(bench, with, die_often, ret_values);
}
