/*
 * kill_fork_server.c - claims about a fork server, its program, and a keeper that it forks, when
 * one of them dies in the middle of a start: the program hears what helps, or finds a pool that
 * serves, and nothing is left.
 */
#include "claims.h"
#include "fork_server.h"
#include "killing.h"
#include "killpoint.h"
#include "stage.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

static void leave(void)
{
	if (!eventually(troupe_living() == 0))
		abort();
	troupe_leave();
}

TestSuite(kill_fork_server, .init = troupe_enter, .fini = leave, .timeout = 60);

static const char *const told[] = { "P9", "P10", "P11", "P12", "P13" };

static int use_pool(struct cadre_diag *diag)
{
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = troupe.scene.pool,
						    ONE_WORKER };
	const struct cadre_request request = ASK(TROUPE_LOG, 1);
	struct cadre_pool *pool;
	struct cadre_result result;
	int r;

	diag->text[0] = '\0';
	r = cadre_pool_start(&troupe_service, &options, &pool, diag);
	if (r < 0)
		return r;
	r = cadre_call(cadre_pool_client(pool), &request, &result);
	if (r == 0 && result.outcome != CADRE_OK)
		r = -EBADMSG;
	cadre_pool_close(pool);
	return r;
}

/* Inherited by the server; the program itself passes none of its points. */
static int start_doomed(const char *label, struct cadre_diag *diag)
{
	int r;

	cadre_kill_at(label, 1, SIGKILL);
	r = cadre_fork_server_start(diag);
	cadre_kill_at("", 0, SIGKILL);
	return r;
}

static int start_again(void)
{
	struct cadre_diag diag;

	CHILD_CHECK(scene_files(troupe.scene.pool) == 0);
	CHILD_CHECK(cadre_fork_server_start(&diag) == 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

static int lose_before_it_is_ready(void *context)
{
	struct cadre_diag diag;
	const unsigned descriptors = scene_descriptors();

	(void)context;
	CHILD_CHECK(start_doomed("P9", &diag) == -ENOEXEC);
	CHILD_CHECK(strstr(diag.text, "died before it was ready"));
	CHILD_CHECK(scene_descriptors() == descriptors);
	CHILD_CHECK(use_pool(&diag) == 0);
	return start_again();
}

Test(kill_fork_server, one_that_dies_before_it_is_ready_is_none)
{
	cr_assert_eq(child_run(lose_before_it_is_ready, NULL), CHILD_FINE);
}

static int die_behind_the_request(void *context)
{
	struct cadre_diag diag;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(&diag) == 0);
	cadre_kill_at("P10", 1, SIGKILL);
	return use_pool(&diag);
}

Test(kill_fork_server, a_program_that_dies_behind_its_request_leaves_nothing)
{
	for (int round = 0; round < 5; round++) {
		cr_assert_eq(child_run(die_behind_the_request, NULL), 128 + SIGKILL);
		cr_assert(eventually(troupe_living() == 0));
		cr_assert_eq(scene_files(troupe.scene.pool), 0);
	}
}

static int lose_with_the_request(void *context)
{
	struct cadre_diag diag;

	(void)context;
	CHILD_CHECK(start_doomed("P11", &diag) == 0);
	CHILD_CHECK(use_pool(&diag) == -ECONNREFUSED);
	CHILD_CHECK(strstr(diag.text, "died while it forked the pool"));
	CHILD_CHECK(use_pool(&diag) == -ECONNREFUSED);
	CHILD_CHECK(strstr(diag.text, "is dead"));
	return start_again();
}

Test(kill_fork_server, one_that_dies_with_a_request_in_its_hands_has_begun_nothing)
{
	cr_assert_eq(child_run(lose_with_the_request, NULL), CHILD_FINE);
}

static int lose_behind_the_fork(void *context)
{
	struct cadre_diag diag;

	(void)context;
	CHILD_CHECK(start_doomed("P12", &diag) == 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	CHILD_CHECK(use_pool(&diag) == -ECONNREFUSED);
	return start_again();
}

Test(kill_fork_server, one_that_dies_when_it_has_forked_leaves_a_pool_that_serves_and_ends)
{
	cr_assert_eq(child_run(lose_behind_the_fork, NULL), CHILD_FINE);
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

static int lose_keeper(void *context)
{
	struct cadre_diag diag;

	(void)context;
	CHILD_CHECK(pthread_atfork(NULL, NULL, bear_if_keeper) == 0);
	CHILD_CHECK(cadre_fork_server_start(&diag) == 0);
	CHILD_CHECK(use_pool(&diag) == -ENOEXEC);
	CHILD_CHECK(strstr(diag.text, "died before the pool was ready"));
	CHILD_CHECK(cadre_fork_server_pid() > 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(kill_fork_server, a_keeper_that_dies_before_it_is_told_to_go_on_has_begun_nothing)
{
	wish = killing_wish(&(struct killing){ "P13", .pass = 1, .signal_number = SIGKILL,
					       .victims = 1 });
	cr_assert_eq(child_run(lose_keeper, NULL), CHILD_FINE);
}

static int start_and_suffer(void *context)
{
	struct cadre_diag diag;

	(void)context;
	CHILD_CHECK(pthread_atfork(NULL, NULL, bear_if_keeper) == 0);
	CHILD_CHECK(cadre_fork_server_start(&diag) == 0);
	return use_pool(&diag);
}

Test(kill_fork_server, a_keeper_that_is_stopped_while_its_program_dies_starts_no_pool)
{
	pid_t program, keeper;

	wish = killing_wish(&(struct killing){ "P13", .pass = 1, .signal_number = SIGSTOP,
					       .victims = 1 });
	program = child_start(start_and_suffer, NULL);
	cr_assert(eventually((keeper = atomic_load(&wish->victim)) > 0 &&
			     stage_is_stopped(keeper)));
	child_kill(program);
	cr_assert_eq(kill(keeper, SIGCONT), 0);
	cr_assert(eventually(troupe_living() == 0));
	cr_assert_eq(scene_files(troupe.scene.pool), 0);
}

Test(kill_fork_server, every_point_of_a_fork_server_has_its_story)
{
	for (size_t i = 0; i < killing_point_count; i++) {
		const char *const label = killing_points[i].label;

		cr_expect_eq(killing_is_told(label, told, sizeof(told) / sizeof(told[0])),
			     killing_is_passed(label, KILLING_FORK_SERVER), "%s", label);
	}
}
