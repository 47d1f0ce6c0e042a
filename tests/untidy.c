/*
 * untidy.c - tests that claim nothing and leave something behind, or nothing: proc_leaving.c
 * runs them, and claims what becomes of each.
 */
#include "claims.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

TestSuite(untidy, TROUPE);

Test(untidy, nothing)
{
	START(ONE_WORKER);
	call_ok(ASK(TROUPE_LOG, 1));
}

Test(untidy, descriptor)
{
	cr_assert_geq(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}

Test(untidy, file)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/dev/shm/cadre.%s", troupe.scene.pool);
	file = fopen(path, "we");
	cr_assert_not_null(file);
	fclose(file);
}

static int live_on(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	child_idle();
}

/* It dies with the test. */
Test(untidy, process)
{
	child_await_asleep(child_start(live_on, NULL));
}
