/*
 * kill_fork_server.c - claims about a fork server, its program, and a keeper that it forks, when
 * one of them dies in the middle of a start: the program hears what helps, or finds a pool that
 * serves, and nothing is left.
 */
#include "fork_servers.h"
#include "killpoint.h"
#include "stories.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

TestSuite(kill_fork_server, FORK_SERVERS);

static const char *const told[] = { "P9", "P10", "P11", "P12", "P13" };

/* Inherited by the server; the program itself passes none of its points. */
static int start_doomed(const char *label)
{
	int r;

	cadre_kill_at(label, 1, SIGKILL);
	r = cadre_fork_server_start(&said);
	cadre_kill_at("", 0, SIGKILL);
	return r;
}

static void start_again(void)
{
	CHILD_CHECK(scene_files(pool()) == 0);
	CHILD_CHECK(have_server() > 0);
	CHILD_CHECK(use_pool() == 0);
}

TestInChild(kill_fork_server, one_that_dies_before_it_is_ready_is_none)
{
	const unsigned descriptors = scene_descriptors();

	CHILD_CHECK(start_doomed("P9") == -ENOEXEC);
	CHILD_CHECK(it_said("died before it was ready"));
	CHILD_CHECK(scene_descriptors() == descriptors);
	CHILD_CHECK(use_pool() == 0);
	start_again();
}

static int die_behind_the_request(void *context)
{
	(void)context;
	have_server();
	cadre_kill_at("P10", 1, SIGKILL);
	return use_pool();
}

Test(kill_fork_server, a_program_that_dies_behind_its_request_leaves_nothing)
{
	for (int round = 0; round < 5; round++) {
		cr_assert_eq(child_run(die_behind_the_request, NULL), 128 + SIGKILL);
		cr_assert(eventually(troupe_living() == 0));
		cr_assert_eq(scene_files(pool()), 0);
	}
}

TestInChild(kill_fork_server, one_that_dies_with_a_request_in_its_hands_has_begun_nothing)
{
	CHILD_CHECK(start_doomed("P11") == 0);
	CHILD_CHECK(use_pool() == -ECONNREFUSED);
	CHILD_CHECK(it_said("died while it forked the pool"));
	CHILD_CHECK(use_pool() == -ECONNREFUSED);
	CHILD_CHECK(it_said("is dead"));
	start_again();
}

TestInChild(kill_fork_server,
	    one_that_dies_when_it_has_forked_leaves_a_pool_that_serves_and_ends)
{
	CHILD_CHECK(start_doomed("P12") == 0);
	CHILD_CHECK(use_pool() == 0);
	CHILD_CHECK(use_pool() == -ECONNREFUSED);
	start_again();
}

static struct killing_wish *wish;

/* In every fork: only the server's children bear it. */
static void bear_if_keeper(void)
{
	char name[17] = "";

	prctl(PR_GET_NAME, name);
	if (strcmp(name, "cadre-forkserv") == 0)
		killing_bear(wish);
	else
		killing_spare();
}

static void wish_for_keeper(int signal_number)
{
	wish = killing_wish(&(struct killing){
		"P13", .pass = 1, .signal_number = signal_number, .victims = 1 });
}

static void have_server_of_doomed_keepers(void)
{
	CHILD_CHECK(pthread_atfork(NULL, NULL, bear_if_keeper) == 0);
	have_server();
}

TestInChild(kill_fork_server,
	    a_keeper_that_dies_before_it_is_told_to_go_on_has_begun_nothing)
{
	wish_for_keeper(SIGKILL);
	have_server_of_doomed_keepers();
	CHILD_CHECK(use_pool() == -ENOEXEC);
	CHILD_CHECK(it_said("died before the pool was ready"));
	CHILD_CHECK(cadre_fork_server_pid() > 0);
	CHILD_CHECK(use_pool() == 0);
}

static int start_and_suffer(void *context)
{
	(void)context;
	have_server_of_doomed_keepers();
	return use_pool();
}

Test(kill_fork_server, a_keeper_that_is_stopped_while_its_program_dies_starts_no_pool)
{
	pid_t program, keeper;

	wish_for_keeper(SIGSTOP);
	program = child_start(start_and_suffer, NULL);
	cr_assert(eventually((keeper = atomic_load(&wish->victim)) > 0 &&
			     child_is_stopped(keeper)));
	child_kill(program);
	cr_assert_eq(kill(keeper, SIGCONT), 0);
	cr_assert(eventually(troupe_living() == 0));
	cr_assert_eq(scene_files(pool()), 0);
}

Test(kill_fork_server, every_point_of_a_fork_server_has_its_story)
{
	EXPECT_STORIES(told, KILLING_FORK_SERVER);
}
