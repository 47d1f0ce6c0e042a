/*
 * proc_fork_server_deaths.c - claims about what becomes of pools and programs when their fork
 * server dies or is stopped, and of the server when its program ends. (Deaths at a chosen line:
 * kill_fork_server.c.)
 */
#include "fork_servers.h"

#include "process.h"

#include <unistd.h>

TestSuite(fork_server, FORK_SERVERS);

#define MS INT64_C(1000000)

/* ---- the server dies ---- */

TestInChild(fork_server, a_pool_is_refused_when_it_is_dead_until_there_is_another_or_none)
{
	const pid_t server = have_server();

	kill_server();
	CHILD_CHECK(use_pool() == -ECONNREFUSED);
	CHILD_CHECK(it_said("is dead"));
	CHILD_CHECK(it_said("cadre_fork_server_start"));
	CHILD_CHECK(have_server() > 0 && cadre_fork_server_pid() != server);
	CHILD_CHECK(use_pool() == 0);

	kill_server();
	cadre_fork_server_stop();
	CHILD_CHECK(use_pool() == 0);
}

Test(fork_server, pools_that_it_forked_go_on_without_it)
{
	struct cadre_ticket running;
	pid_t worker, supervisor;

	START_WITH(start_server, ONE_WORKER);
	running = occupy_worker();
	kill(agreed->server, SIGKILL);
	cr_assert(eventually(troupe_is_gone(agreed->server)));
	open_gate(1);
	expect(running, CADRE_OK);
	worker = troupe_worker(pool(), 0);
	kill(worker, SIGKILL);
	cr_assert(eventually(troupe_worker(pool(), 0) != worker &&
			     troupe_look(pool()).workers_ready == 1));
	supervisor = troupe_supervisor(pool());
	kill(supervisor, SIGKILL);
	cr_assert(eventually(troupe_look(pool()).alive &&
			     troupe_supervisor(pool()) != supervisor));
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(scene_files(pool()), 0);
}

/* ---- it is stopped ---- */

static pid_t have_stopped_server(void)
{
	const pid_t server = have_server();

	child_stop(server);
	return server;
}

static int use_pool_within(int64_t start_timeout_ns)
{
	struct cadre_pool_options options = one_worker();

	options.start_timeout_ns = start_timeout_ns;
	return use_pool_of(options);
}

TestInChild(fork_server, one_that_is_stopped_starts_no_pool_and_none_later)
{
	const pid_t server = have_stopped_server();

	CHILD_CHECK(use_pool_within(20 * MS) == -ETIMEDOUT);
	CHILD_CHECK(it_said("is stopped"));
	kill(server, SIGCONT);
	/* It finds a question whose asker has left, and then ours: the name is free. */
	CHILD_CHECK(use_pool() == 0);
	CHILD_CHECK(scene_files(pool()) == 0);
}

TestInChild(fork_server, however_often_it_was_asked_in_vain_it_answers_who_still_waits)
{
	const pid_t server = have_stopped_server();

	/* More than its socket holds. */
	for (int i = 0; i < 600; i++)
		CHILD_CHECK(use_pool_within(MS) == -ETIMEDOUT);
	kill(server, SIGCONT);
	CHILD_CHECK(use_pool() == 0);
}

/* ---- its program ends ---- */

Test(fork_server, it_and_its_pool_leave_nothing_when_the_program_is_killed)
{
	struct cadre_ticket running;

	START_WITH(start_server, ONE_WORKER);
	running = occupy_worker();
	troupe_kill_program(&troupe);
	expect(running, CADRE_TERMINATED);
	cr_assert(eventually(troupe_living() == 0));
	cr_assert_eq(scene_files(pool()), 0);
}

Test(fork_server, it_ends_with_a_program_that_never_stopped_it)
{
	const pid_t program = fork();

	if (program == 0)
		_exit(cadre_fork_server_start(NULL));
	cr_assert_eq(child_end(program), 0);
	cr_assert(eventually(troupe_living() == 0));
}

static int leave_a_fork_behind(void *context)
{
	pid_t *const heir = context;
	pid_t pid;

	atomic_store(&agreed->server, have_server());
	pid = fork();
	if (pid == 0)
		child_idle();
	*heir = pid;
	return CHILD_FINE;
}

Test(fork_server, it_ends_with_the_program_though_a_fork_of_that_lives_on)
{
	pid_t *const heir = child_share(sizeof(*heir));

	cr_assert_eq(child_run(leave_a_fork_behind, heir), CHILD_FINE);
	cr_assert(eventually(troupe_is_gone(agreed->server)));
	child_kill(*heir);
}

Test(fork_server, a_program_that_is_killed_while_it_asks_leaves_nothing)
{
	const struct cadre_pool_options options = {
		.size = sizeof(options), .name = pool(), .workers_min = 4, .workers_max = 4
	};

	/* At a moment that is another one each time. */
	for (unsigned round = 0; round < 8; round++) {
		const pid_t program = fork();
		struct cadre_pool *never_used;

		if (program == 0) {
			cadre_fork_server_start(NULL);
			atomic_store(&agreed->may_end, 1);
			cadre_pool_start(&troupe_service, &options, &never_used, NULL);
			child_idle();
		}
		cr_assert(eventually(atomic_exchange(&agreed->may_end, 0) == 1));
		child_pause_ms(round);
		child_kill(program);
		cr_assert(eventually(troupe_living() == 0), "round %u", round);
		cr_assert_eq(scene_files(pool()), 0, "round %u", round);
	}
}
