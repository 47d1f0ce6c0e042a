/*
 * proc_heir.c - claims about the process that gives a dead worker's memory back (heir.h): the
 * death is told before that, and neither its own death nor its absence changes anything else.
 */
#include "child.h"
#include "claims.h"

#include "heir.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(heir, TROUPE);

static pid_t worker(void)
{
	return troupe_worker(troupe.scene.pool, 0);
}

static pid_t heir_of_worker(void)
{
	const pid_t heir = scene_only_child_of(worker());

	cr_assert_gt(heir, 1, "a worker has one child, its heir");
	return heir;
}

static void lose_the_worker(struct cadre_ticket running)
{
	kill(worker(), SIGKILL);
	expect(running, CADRE_LOST);
}

static struct cadre_ticket hold(void)
{
	const struct cadre_ticket ticket = submit(ASK(TROUPE_HOLD, 1));

	cr_assert(eventually(atomic_load(&troupe.board->waiting) > 0));
	return ticket;
}

Test(heir, a_death_is_told_before_the_memory_is_given_back)
{
	struct cadre_ticket running;
	pid_t heir;

	START(ONE_WORKER);
	running = hold();
	heir = heir_of_worker();
	/* As long as it is stopped, it cannot give anything back. */
	child_stop(heir);
	lose_the_worker(running);
	cr_assert_eq(child_state(heir), 'T');
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(child_state(heir), 'T');
	kill(heir, SIGCONT);
	cr_assert(eventually(child_state(heir) == 'X'));
}

Test(heir, an_heir_ends_after_its_worker_and_is_collected)
{
	struct cadre_ticket running;
	pid_t heir;

	START(ONE_WORKER);
	running = hold();
	heir = heir_of_worker();
	lose_the_worker(running);
	cr_assert(eventually(child_state(heir) == 'X'));
	cr_assert(eventually(troupe_look(troupe.scene.pool).workers_ready == 1));
	cr_assert_neq(heir_of_worker(), heir);
}

Test(heir, a_worker_whose_heir_was_killed_works_and_dies_as_ever)
{
	struct cadre_ticket running;
	pid_t heir;

	START(ONE_WORKER);
	call_ok(ASK(TROUPE_LOG, 1));
	heir = heir_of_worker();
	kill(heir, SIGKILL);
	cr_assert(eventually(child_state(heir) == 'Z'));
	call_ok(ASK(TROUPE_LOG, 2));
	running = hold();
	lose_the_worker(running);
	cr_assert(eventually(child_state(heir) == 'X'));
	call_ok(ASK(TROUPE_LOG, 3));
}

Test(heir, a_pool_that_closes_leaves_no_heir)
{
	pid_t heir;

	START(ONE_WORKER);
	heir = heir_of_worker();
	cr_assert(troupe_close(&troupe));
	cr_assert_eq(child_state(heir), 'X');
}

/* The keeper, which is the last of the pool, waits for the heirs of those killed at the end. */
Test(heir, a_pool_that_is_terminated_leaves_no_heir)
{
	const struct cadre_order terminate = { .kind = CADRE_ORDER_TERMINATE };
	struct cadre_ticket running;
	pid_t heir;

	START(ONE_WORKER);
	running = hold();
	heir = heir_of_worker();
	cr_assert_eq(cadre_order(troupe.scene.pool, &terminate, GENEROUS, NULL), 0);
	expect(running, CADRE_TERMINATED);
	cr_assert(troupe_close(&troupe));
	cr_assert_eq(child_state(heir), 'X');
}

static void adopt_orphans(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* As one that is process 1 of a container. */
Test(heir, a_server_whose_children_heirs_become_collects_them)
{
	const struct cadre_source source = { .service = &troupe_service };
	struct cadre_ticket running;
	pid_t heir;

	pthread_atfork(NULL, NULL, adopt_orphans);
	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0, "%s", troupe.diag.text);
	running = hold();
	heir = heir_of_worker();
	lose_the_worker(running);
	cr_assert(eventually(child_state(heir) == 'X'));
}

/* ---- what a worker sees of it ---- */

static int wait_beside_an_heir(void *unused)
{
	struct cadre_heir heir;

	(void)unused;
	cadre_heir_appoint(&heir);
	CHILD_CHECK(scene_children() == 1);
	CHILD_CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	cadre_heir_dismiss(&heir);
	CHILD_CHECK(scene_children() == 0);
	return CHILD_FINE;
}

Test(heir, a_handler_that_waits_for_its_children_does_not_see_the_heir)
{
	cr_assert_eq(child_run(wait_beside_an_heir, NULL), CHILD_FINE);
}

static int count_what_an_heir_holds(void *unused)
{
	const unsigned descriptors = scene_descriptors();
	struct cadre_heir heir;
	pid_t pid;
	int ends[2];

	(void)unused;
	CHILD_CHECK(pipe(ends) == 0);
	cadre_heir_appoint(&heir);
	pid = scene_only_child_of(getpid());
	child_await_asleep(pid);
	CHILD_CHECK(scene_descriptors_of(pid) == 1);
	cadre_heir_dismiss(&heir);
	close(ends[0]);
	close(ends[1]);
	CHILD_CHECK(scene_descriptors() == descriptors);
	return CHILD_FINE;
}

Test(heir, an_heir_holds_no_descriptor_of_its_worker)
{
	cr_assert_eq(child_run(count_what_an_heir_holds, NULL), CHILD_FINE);
}

/* ---- none ---- */

static int appoint_under_valgrind(void *unused)
{
	struct cadre_heir heir;

	(void)unused;
	setenv("LD_PRELOAD", "/usr/libexec/valgrind/vgpreload_core-amd64-linux.so", 1);
	cadre_heir_appoint(&heir);
	CHILD_CHECK(heir.pidfd == -1);
	CHILD_CHECK(scene_children() == 0);
	cadre_heir_dismiss(&heir);
	return CHILD_FINE;
}

Test(heir, valgrind_which_knows_no_such_process_has_none)
{
	cr_assert_eq(child_run(appoint_under_valgrind, NULL), CHILD_FINE);
}

static int refuse_processes(void *unused)
{
	const unsigned descriptors = scene_descriptors();
	struct cadre_heir heir;

	(void)unused;
	/* Of a user whom no other test knows; root is not limited. */
	if (setuid(63210) < 0)
		child_skip("only root may become a user who may start no process");
	CHILD_CHECK(setrlimit(RLIMIT_NPROC, &(struct rlimit){ 0, 0 }) == 0);
	cadre_heir_appoint(&heir);
	CHILD_CHECK(heir.pidfd == -1);
	cadre_heir_dismiss(&heir);
	CHILD_CHECK(scene_descriptors() == descriptors);
	return CHILD_FINE;
}

Test(heir, where_no_process_may_be_started_there_is_none)
{
	const int status = child_run(refuse_processes, NULL);

	if (status == CHILD_SKIPPED)
		cr_skip_test("only root can be refused here");
	cr_assert_eq(status, CHILD_FINE);
}

/* As a worker whose init gives up what it does not need. */
static int dismiss_without_rights(void *unused)
{
	struct cadre_heir heir;

	(void)unused;
	cadre_heir_appoint(&heir);
	CHILD_CHECK(heir.pidfd >= 0);
	if (setuid(63211) < 0)
		child_skip("only root may give up rights");
	cadre_heir_dismiss(&heir);
	return CHILD_FINE;
}

Test(heir, a_worker_that_gave_up_its_rights_ends_without_waiting_for_its_heir)
{
	const int status = child_run(dismiss_without_rights, NULL);

	if (status == CHILD_SKIPPED)
		cr_skip_test("only root has rights to give up");
	cr_assert_eq(status, CHILD_FINE);
	cr_assert(eventually(troupe_living() == 0), "the heir ends behind it");
}
