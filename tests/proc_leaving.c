/*
 * proc_leaving.c - claims about tests: one that leaves something behind fails, and says what.
 *
 * They are made of a program of its own, untidy.c: whoever fails at a test's end is ended.
 */
#include "commands.h"

#include <libgen.h>

#define LEAVING .init = prepare, .fini = clean_up, .timeout = 60

static struct run run_untidy(const char *test)
{
	char own[4000], path[4096], filter[64];
	char *const arguments[] = { path, "--filter", filter, NULL };
	const ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	/* Else it would take itself for a test of ours. */
	unsetenv("BXFI_MAP");
	cr_assert_gt(length, 0);
	own[length] = '\0';
	snprintf(path, sizeof(path), "%s/untidy", dirname(own));
	snprintf(filter, sizeof(filter), "untidy/%s", test);
	return run_arguments("", 0, arguments);
}

static void expect_failure(const char *test, const char *words)
{
	const struct run run = run_untidy(test);

	expect_status(&run, 1);
	expect_mention(&run, words);
}

Test(leaving, a_test_that_leaves_nothing_passes, LEAVING)
{
	const struct run run = run_untidy("nothing");

	expect_status(&run, 0);
	cr_expect_null(strstr(run.err.data, "left behind"), "%s", run.err.data);
}

Test(leaving, a_test_that_leaves_a_descriptor_fails, LEAVING)
{
	expect_failure("descriptor", ", 1 descriptors,");
}

Test(leaving, a_test_that_leaves_a_file_of_its_pool_fails_and_the_file_is_removed, LEAVING)
{
	expect_failure("file", "left behind: 1 files of pool");
}

Test(leaving, a_test_that_leaves_a_process_fails_and_names_it, LEAVING)
{
	expect_failure("process", "left behind: 1 living processes of pool");
	expect_failure("process", "(untidy) S");
}
