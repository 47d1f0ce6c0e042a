/*
 * Claims about process.h: who a process is, and that it is called dead when it is dead and
 * never before.
 */
#include "in_child.h"
#include "process.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scene scene;

static void begin(void)
{
	scene_begin(&scene);
}

static void end(void)
{
	scene_end(&scene);
}

TestSuite(process, .init = begin, .fini = end, .timeout = 60);

static int wait_for_ever(void *unused)
{
	(void)unused;
	child_idle();
}

static struct cadre_identity identify(pid_t pid)
{
	return (struct cadre_identity){ .pid = pid,
					.start_time = cadre_process_start_time(pid) };
}

/* Until it has ended, but without reaping it. */
static void await_zombie(pid_t pid)
{
	siginfo_t info;

	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

/* ---- who it is ---- */

Test(process, a_process_knows_itself)
{
	const struct cadre_identity self = cadre_process_self();

	cr_assert_eq(self.pid, getpid());
	cr_assert_neq(self.start_time, 0);
	cr_assert_eq(self.start_time, cadre_process_start_time(getpid()));
}

Test(process, a_child_started_later_has_no_earlier_start_time)
{
	const pid_t child = child_start(wait_for_ever, NULL);

	cr_assert_geq(cadre_process_start_time(child), cadre_process_self().start_time);
	child_kill(child);
}

TestInChild(process, a_program_may_be_called_what_it_likes)
{
	const struct cadre_identity before = cadre_process_self();

	CHILD_CHECK(prctl(PR_SET_NAME, "a) R 1 (2 3\n) ") == 0);
	CHILD_CHECK(cadre_process_start_time(getpid()) == before.start_time);
}

Test(process, a_pid_that_nobody_has_has_no_start_time)
{
	const pid_t child = child_start(wait_for_ever, NULL);

	child_kill(child);

	cr_assert_eq(cadre_process_start_time(child), 0);
	cr_assert_eq(cadre_process_start_time(-1), 0);
}

/* ---- is it alive ---- */

Test(process, a_living_process_is_opened_and_is_not_dead)
{
	const pid_t child = child_start(wait_for_ever, NULL);
	const int pidfd = cadre_process_open(identify(child));

	cr_assert_geq(pidfd, 0);
	cr_assert(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	cr_assert_not(cadre_process_is_dead(pidfd));

	child_kill(child);
	cr_assert(cadre_process_is_dead(pidfd));
	close(pidfd);
}

Test(process, another_process_of_the_same_pid_is_not_the_one_we_mean)
{
	const pid_t child = child_start(wait_for_ever, NULL);
	struct cadre_identity earlier = identify(child);

	earlier.start_time--;
	cr_assert_eq(cadre_process_open(earlier), -ESRCH);
	child_kill(child);
}

Test(process, where_the_start_time_is_not_known_yet_the_pid_has_to_do)
{
	const pid_t child = child_start(wait_for_ever, NULL);
	const struct cadre_identity who = { .pid = child };
	const int pidfd = cadre_process_open(who);

	cr_assert_geq(pidfd, 0);
	close(pidfd);
	child_kill(child);
	cr_assert_eq(cadre_process_open(who), -ESRCH);
}

Test(process, a_child_that_nobody_reaped_can_be_opened_by_its_parent)
{
	const pid_t child = child_start(wait_for_ever, NULL);
	int pidfd;

	kill(child, SIGKILL);
	await_zombie(child);

	pidfd = cadre_process_open_child(child);
	cr_assert_geq(pidfd, 0);
	cr_assert(cadre_process_is_dead(pidfd));
	close(pidfd);
	child_end(child);
	cr_assert_eq(cadre_process_open_child(child), -ESRCH);
}

Test(process, a_process_that_ended_and_was_not_reaped_is_gone)
{
	const pid_t child = child_start(wait_for_ever, NULL);
	const struct cadre_identity who = identify(child);

	kill(child, SIGKILL);
	await_zombie(child);

	/* The kernel still knows its pid and its start time. */
	cr_assert_eq(cadre_process_start_time(child), who.start_time);
	cr_assert_eq(cadre_process_open(who), -ESRCH);
	child_end(child);
	cr_assert_eq(cadre_process_open(who), -ESRCH);
}

Test(process, one_that_cannot_be_opened_neither_lives_nor_is_gone)
{
	const pid_t child = child_start(wait_for_ever, NULL);
	const struct cadre_identity who = identify(child);
	struct rlimit limit, none;

	cr_assert(cadre_process_lives(who));
	cr_assert_not(cadre_process_is_gone(who));
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_assert_not(cadre_process_lives(who));
	cr_assert_not(cadre_process_is_gone(who));
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	child_kill(child);
	cr_assert_not(cadre_process_lives(who));
	cr_assert(cadre_process_is_gone(who));
}

Test(process, pids_that_cannot_be_are_gone)
{
	static const pid_t pids[] = { 0, -1, INT32_MIN, INT32_MAX };

	for (unsigned i = 0; i < sizeof(pids) / sizeof(pids[0]); i++)
		cr_assert_eq(cadre_process_open((struct cadre_identity){ .pid = pids[i] }),
			     -ESRCH, "pid %d", (int)pids[i]);
}

Test(process, a_stopped_process_is_not_dead)
{
	const pid_t child = child_start(wait_for_ever, NULL);
	const int pidfd = cadre_process_open(identify(child));
	siginfo_t info;

	kill(child, SIGSTOP);
	cr_assert_eq(waitid(P_PID, (id_t)child, &info, WSTOPPED), 0);

	cr_assert_not(cadre_process_is_dead(pidfd));
	child_kill(child);
	close(pidfd);
}

static void *wait_in_thread(void *unused)
{
	wait_for_ever(unused);
	return NULL;
}

static int end_first_thread_only(void *unused)
{
	pthread_t thread;

	(void)unused;
	CHILD_CHECK(pthread_create(&thread, NULL, wait_in_thread, NULL) == 0);
	pthread_exit(NULL);
}

static char state_of_first_thread(pid_t pid)
{
	char path[64], text[256] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
	close(fd);

	const char *const state = strstr(text, "State:\t");

	return state ? state[7] : '?';
}

Test(process, a_process_lives_as_long_as_its_last_thread)
{
	const pid_t child = child_start(end_first_thread_only, NULL);
	const struct cadre_identity who = identify(child);
	int pidfd;

	for (int look = 0; look < 5000 && state_of_first_thread(child) != 'Z'; look++)
		child_pause_ms(1);
	cr_assert_eq(state_of_first_thread(child), 'Z');

	pidfd = cadre_process_open(who);
	cr_assert_geq(pidfd, 0);
	cr_assert_not(cadre_process_is_dead(pidfd));
	child_kill(child);
	close(pidfd);
}

/* ---- killing ---- */

Test(process, a_signal_goes_to_exactly_that_process)
{
	const pid_t child = child_start(wait_for_ever, NULL);
	const int pidfd = cadre_process_open(identify(child));

	cr_assert_eq(cadre_process_kill(pidfd, 0), 0);
	cr_assert_eq(cadre_process_kill(pidfd, SIGTERM), 0);
	cr_assert_eq(child_end(child), 128 + SIGTERM);
	cr_assert_eq(cadre_process_kill(pidfd, SIGTERM), -ESRCH);
	close(pidfd);
}

/* ---- this process and this machine ---- */

Test(process, threads_are_counted)
{
	const unsigned before = cadre_process_threads();
	pthread_t threads[3];

	cr_assert_geq(before, 1);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, wait_in_thread, NULL), 0);
	cr_assert_eq(cadre_process_threads(), before + 3);

	for (unsigned i = 0; i < 3; i++) {
		pthread_cancel(threads[i]);
		pthread_join(threads[i], NULL);
	}
}

TestInChild(process, a_forked_child_has_one_thread)
{
	CHILD_CHECK(cadre_process_threads() == 1);
}

Test(process, a_process_bound_to_one_cpu_may_use_one)
{
	cpu_set_t one;

	cr_assert_geq(cadre_process_cpus(), 1);
	cr_assert_leq(cadre_process_cpus(), (unsigned)sysconf(_SC_NPROCESSORS_ONLN));

	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	cr_assert_eq(cadre_process_cpus(), 1);
}

Test(process, the_boot_id_is_the_same_in_every_process)
{
	const uint64_t id = cadre_process_boot_id();

	cr_assert_neq(id, 0);
	cr_assert_eq(id, cadre_process_boot_id());
}
