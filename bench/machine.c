#include "machine.h"
#include "sample.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static cpu_set_t all_cpus;

#define FEW_BATCHES 5
#define TURN_WAIT_NS 2000000000
#define LONG_NS 300000000
#define LONG_QUICK_NS 60000000

/* ---- CPUs ---- */

void bench_hurry(const struct bench *bench)
{
	const struct sched_param lowest = { .sched_priority = 1 };

	if (!bench->realtime || sched_setscheduler(0, SCHED_FIFO, &lowest) == 0)
		return;
	fprintf(stderr, "cadre-bench: cannot have real-time priority: %s\n",
		strerror(errno));
	exit(EXIT_NOT_MEASURED);
}

void bench_pin(const struct bench *bench, int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0) {
		fprintf(stderr, "cadre-bench: cannot run on CPU %d: %s\n", cpu,
			strerror(errno));
		exit(EXIT_NOT_MEASURED);
	}
	bench_hurry(bench);
}

void bench_unpin(void)
{
	const struct sched_param none = { .sched_priority = 0 };

	sched_setscheduler(0, SCHED_OTHER, &none);
	sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
}

void bench_set_free(const struct bench *bench)
{
	const struct sched_param lowest = { .sched_priority = 1 };

	bench_unpin();
	/* In turns: it may have several threads, and one of Python's pool spins. */
	if (bench->realtime)
		sched_setscheduler(0, SCHED_RR, &lowest);
}

bool machine_choose_cpus(struct bench *bench)
{
	int found[2], count = 0;

	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus) < 0)
		return false;
	for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++) {
		if (CPU_ISSET((unsigned)cpu, &all_cpus))
			found[count++] = cpu;
	}
	if (count < 2)
		return false;
	bench->client_cpu = found[0];
	bench->worker_cpu = found[1];
	return true;
}

/* 0, or the error; -EADDRINUSE: somebody else has it. */
static int try_take_turn(void)
{
	const struct sockaddr_un name = {
		.sun_family = AF_UNIX,
		.sun_path = "\0cadre-bench --realtime",
	};
	const int turn = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error;

	if (turn >= 0 && bind(turn, (const struct sockaddr *)&name, sizeof(name)) == 0)
		return 0;
	error = errno;
	if (turn >= 0)
		close(turn);
	return -error;
}

/* By a name that only one socket can have. It is no file (unix(7): abstract), so nothing is
 * left of it, however the bench ends. Those that it has forked have the socket, too, and die
 * a moment later. */
int machine_take_turn(void)
{
	const int64_t until_ns = bench_now_ns() + TURN_WAIT_NS;
	int r = try_take_turn();

	while (r == -EADDRINUSE && bench_now_ns() < until_ns) {
		bench_rest(0.01);
		r = try_take_turn();
	}
	return r;
}

/* ---- processes ---- */

pid_t bench_fork(void)
{
	const pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Who died before that was said kills nobody. */
	if (getppid() != parent)
		_exit(1);
	return 0;
}

/* ---- halting ---- */

static pid_t start_idler(int cpu)
{
	const struct sched_param none = { .sched_priority = 0 };
	const pid_t pid = bench_fork();
	cpu_set_t one;

	if (pid != 0)
		return pid;
	CPU_ZERO(&one);
	CPU_SET((unsigned)cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	sched_setscheduler(0, SCHED_IDLE, &none);
	for (;;)
		__asm__ volatile("" ::: "memory");
}

int bench_keep_awake(const struct bench *bench, struct awake *ret_awake)
{
	const int cpus[] = { bench->client_cpu, bench->worker_cpu };

	bench_unpin();
	*ret_awake = (struct awake){ .pids = { 0 } };
	for (size_t i = 0; i < COUNT_OF(cpus); i++) {
		ret_awake->pids[i] = start_idler(cpus[i]);
		if (ret_awake->pids[i] < 0) {
			const int error = errno;

			bench_let_halt(ret_awake);
			return -error;
		}
	}
	return 0;
}

void bench_let_halt(const struct awake *awake)
{
	for (size_t i = 0; i < COUNT_OF(awake->pids); i++) {
		if (awake->pids[i] <= 0)
			continue;
		kill(awake->pids[i], SIGKILL);
		while (waitpid(awake->pids[i], NULL, 0) < 0 && errno == EINTR)
			continue;
	}
}

/* ---- time ---- */

int64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_rest(double seconds)
{
	struct timespec left = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

/* Until `count` are done, or at least FEW_BATCHES and the time is over. */
static double median_within(unsigned count, int64_t until_ns,
			    double (*batch)(void *context), void *context)
{
	double values[BATCHES_MAX];
	unsigned done = 0;

	while (done < count && (done < FEW_BATCHES || bench_now_ns() < until_ns))
		values[done++] = batch(context);
	return sample_of(values, done).median;
}

double bench_median_batch(const struct bench *bench, double (*batch)(void *context),
			  void *context)
{
	median_within(WARM_UP_BATCHES, INT64_MAX, batch, context);
	return median_within(bench_batches(bench), INT64_MAX, batch, context);
}

double bench_median_of_long(const struct bench *bench, double (*batch)(void *context),
			    void *context)
{
	const int64_t most_ns = bench->quick ? LONG_QUICK_NS : LONG_NS;

	median_within(WARM_UP_BATCHES, bench_now_ns() + most_ns / 4, batch, context);
	return median_within(bench_batches(bench), bench_now_ns() + most_ns, batch,
			     context);
}

double bench_quantile_trip(const struct bench *bench, void (*trip)(void *context),
			   void *context, double quantile)
{
	const size_t count = bench->quick ? 5000 : 20000;
	double *const values = malloc(count * sizeof(*values));
	double value;

	if (!values)
		abort();
	for (size_t i = 0; i < count; i++) {
		const int64_t start_ns = bench_now_ns();

		trip(context);
		values[i] = (double)(bench_now_ns() - start_ns);
	}
	value = sample_quantile(values, count, quantile);
	free(values);
	return value;
}
