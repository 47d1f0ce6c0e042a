/*
 * proc_fork_server.c - claims about a fork server as a neighbour: a program has at most one, its
 * forks have none, and it is in nobody's way. More of them: proc_fork_server_pools.c (what it
 * forks), proc_fork_server_refusals.c, proc_fork_server_deaths.c, and kill_fork_server.c
 * (deaths at a chosen line).
 */
#include "fork_servers.h"
#include "pipes.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(fork_server, FORK_SERVERS);

/* ---- one, and forks of the program ---- */

TestInChild(fork_server, there_is_one_at_a_time_and_none_after_a_stop)
{
	unsigned descriptors;
	pid_t server;

	cadre_fork_server_stop();
	descriptors = scene_descriptors();
	server = have_server();
	CHILD_CHECK(have_server() == server);
	CHILD_CHECK(scene_descriptors() == descriptors + 1);
	cadre_fork_server_stop();
	CHILD_CHECK(cadre_fork_server_pid() == 0);
	cadre_fork_server_stop();
	CHILD_CHECK(scene_descriptors() == descriptors);
	CHILD_CHECK(use_pool() == 0);
}

static int be_fork_of_program(void *context)
{
	(void)context;
	CHILD_CHECK(cadre_fork_server_pid() == 0);
	CHILD_CHECK(use_pool() == 0);
	have_server();
	CHILD_CHECK(use_pool() == 0);
	cadre_fork_server_stop();
	CHILD_CHECK(use_pool() == 0);
	return CHILD_FINE;
}

TestInChild(fork_server, a_fork_of_the_program_has_none_and_does_not_take_it_away)
{
	const pid_t server = have_server();

	CHILD_CHECK(child_run(be_fork_of_program, NULL) == CHILD_FINE);
	CHILD_CHECK(cadre_fork_server_pid() == server);
	CHILD_CHECK(use_pool() == 0);
}

/* ---- it is in nobody's way ---- */

static bool has_no_children(void)
{
	return waitpid(-1, NULL, 0) == -1 && errno == ECHILD;
}

TestInChild(fork_server, it_is_no_child_of_a_program_that_waits_for_all_of_its_own)
{
	struct cadre_pool *started;

	have_server();
	CHILD_CHECK(has_no_children());
	CHILD_CHECK(start_pool(&troupe_service, one_worker(), &started) == 0);
	CHILD_CHECK(has_no_children());
	kill_server();
	CHILD_CHECK(has_no_children());
	cadre_pool_close(started);
	CHILD_CHECK(has_no_children());
}

/* Children of a process by the table of processes, dead ones included. */
static unsigned children_of(pid_t parent)
{
	char path[64], text[4096] = "";
	unsigned count = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent,
		 (int)parent);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 1000;
	if (read(fd, text, sizeof(text) - 1) > 0) {
		for (const char *at = text; *at; at++)
			count += *at == ' ';
	}
	close(fd);
	return count;
}

TestInChild(fork_server, it_keeps_no_dead_keepers)
{
	const pid_t server = have_server();

	for (int i = 0; i < 3; i++)
		CHILD_CHECK(use_pool() == 0);
	CHILD_CHECK(eventually(children_of(server) == 0));
}

/* A program in a directory of its own, whose standard output is a pipe. */
static int look_at_server(void *context)
{
	const struct line *const line = context;
	char path[40], there[100] = "";
	pid_t server;

	dup2(line->to, STDOUT_FILENO);
	CHILD_CHECK(chdir("/dev/shm") == 0);
	server = have_server();
	CHILD_CHECK(use_pool() == 0);
	/* 0, 1, 2, its socket, the program's pidfd. */
	CHILD_CHECK(eventually(scene_descriptors_of(server) == 5));
	snprintf(path, sizeof(path), "/proc/%d/cwd", (int)server);
	CHILD_CHECK(readlink(path, there, sizeof(there) - 1) > 0);
	CHILD_CHECK(strcmp(there, "/") == 0);
	CHILD_CHECK(getsid(server) == server);
	/* Whoever reads what the program prints reads its end now. */
	close(line->to);
	close(STDOUT_FILENO);
	while (!atomic_load(&agreed->may_end))
		child_pause_ms(1);
	CHILD_CHECK(cadre_fork_server_pid() == server);
	return CHILD_FINE;
}

Test(fork_server, it_keeps_neither_descriptors_nor_directory_nor_terminal_of_the_program)
{
	struct line line = open_pipe();
	const pid_t program = child_start(look_at_server, &line);

	close(line.to);
	expect_end(&line);
	atomic_store(&agreed->may_end, true);
	cr_assert_eq(child_end(program), CHILD_FINE);
}

TestInChild(fork_server, it_does_not_end_by_the_signals_of_a_terminal_or_a_shutdown)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGPIPE, SIGCHLD };
	const pid_t server = have_server();

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		kill(server, signals[i]);
	CHILD_CHECK(use_pool() == 0);
	CHILD_CHECK(cadre_fork_server_pid() == server);
}

TestInChild(fork_server,
	    a_program_that_ignores_its_children_and_blocks_signals_has_its_pools)
{
	sigset_t all;

	signal(SIGCHLD, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	have_server();
	CHILD_CHECK(use_pool() == 0);
}
