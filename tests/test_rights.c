/*
 * test_rights.c - claims about rights.h: a process that gave something up is told from one
 * that did not.
 */
#include "child.h"
#include "rights.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scene scene;
static _Atomic int *is_ready;

static void begin(void)
{
	scene_begin(&scene);
	is_ready = child_share(sizeof(*is_ready));
}

static void end(void)
{
	scene_end(&scene);
}

TestSuite(rights, .init = begin, .fini = end, .timeout = 60);

/* A child that has done this, or -1 when it could not. */
static pid_t start_child(int (*give_up)(void *context))
{
	pid_t child;

	*is_ready = 0;
	child = fork();
	if (child == 0) {
		*is_ready = give_up(NULL) < 0 ? -1 : 1;
		child_idle();
	}
	while (!*is_ready)
		child_pause_ms(1);
	if (*is_ready > 0)
		return child;
	child_kill(child);
	return -1;
}

static int give_up_nothing(void *context)
{
	(void)context;
	return 0;
}

static int give_up_new_privileges(void *context)
{
	(void)context;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int become_nobody(void *context)
{
	(void)context;
	return setuid(65534);
}

static int drop_a_capability(void *context)
{
	(void)context;
	return prctl(PR_CAPBSET_DROP, 27 /* CAP_MKNOD */, 0, 0, 0);
}

static int set_umask(void *context)
{
	(void)context;
	umask(0137);
	return 0;
}

static int compare(pid_t child, char *what, size_t size)
{
	const int r = cadre_rights_compare(child, what, size);

	child_kill(child);
	return r;
}

Test(rights, a_child_has_those_of_its_parent)
{
	char what[32] = "";

	cr_assert_eq(compare(start_child(give_up_nothing), what, sizeof(what)), 0, "%s",
		     what);
	cr_assert_eq(cadre_rights_compare(getpid(), what, sizeof(what)), 0);
}

Test(rights, one_that_gains_no_privileges_any_more_has_others)
{
	char what[32] = "";

	cr_assert_eq(compare(start_child(give_up_new_privileges), what, sizeof(what)),
		     -EPERM);
	cr_assert_str_eq(what, "NoNewPrivs");
}

Test(rights, another_user_has_others)
{
	const pid_t child = start_child(become_nobody);
	char what[32] = "";

	if (child < 0 || getuid() == 65534)
		cr_skip_test("only root can become another user");
	cr_assert_eq(compare(child, what, sizeof(what)), -EPERM);
	cr_assert_str_eq(what, "Uid");
}

Test(rights, one_with_fewer_capabilities_has_others)
{
	const pid_t child = start_child(drop_a_capability);
	char what[32] = "";

	if (child < 0)
		cr_skip_test("there are no capabilities to give up");
	cr_assert_eq(compare(child, what, sizeof(what)), -EPERM);
	cr_assert_str_eq(what, "CapBnd");
}

Test(rights, those_of_a_process_that_is_gone_cannot_be_seen)
{
	const pid_t child = start_child(give_up_nothing);
	char what[32];
	mode_t mask = 7;

	child_kill(child);
	cr_assert_eq(cadre_rights_compare(child, what, sizeof(what)), -ESRCH);
	cr_assert_eq(cadre_rights_umask(child, &mask), -ESRCH);
	cr_assert_eq(mask, 7);
}

Test(rights, the_umask_is_that_of_the_other_process)
{
	const pid_t child = start_child(set_umask);
	mode_t mask = 0;

	cr_assert_eq(cadre_rights_umask(child, &mask), 0);
	cr_assert_eq(mask, 0137);
	child_kill(child);
}
