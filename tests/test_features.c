/*
 * test_features.c - claims about doc/squadron.md: each test that it names as proof exists.
 */
#include "tree.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *tests; /* all of tests/, one file after the other */

static void read_tests(void)
{
	glob_t found = tree_files("tests/*.c");
	size_t length = 0;

	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *const text = tree_read(found.gl_pathv[i]);
		const size_t more = strlen(text);

		tests = realloc(tests, length + more + 1);
		cr_assert_not_null(tests);
		memcpy(tests + length, text, more + 1);
		length += more;
		free(text);
	}
	globfree(&found);
}

static void forget_tests(void)
{
	free(tests);
}

TestSuite(features, .init = read_tests, .fini = forget_tests);

static bool exists(const char *suite, const char *claim)
{
	char head[300];

	snprintf(head, sizeof(head), "Test(%s, %s", suite, claim);
	for (const char *at = tests; (at = strstr(at, head)); at++) {
		if (strchr(",)", at[strlen(head)]))
			return true;
	}
	return false;
}

Test(features, each_test_that_the_table_names_exists)
{
	char *const table = tree_read("doc/squadron.md");
	unsigned named = 0;

	/* `suite/claim` */
	for (const char *at = table; (at = strchr(at, '`')); at++) {
		char suite[64], claim[200];
		int end = 0;

		if (sscanf(at, "`%63[a-z_]/%199[a-z0-9_]`%n", suite, claim, &end) != 2 ||
		    end == 0)
			continue;
		if (strcmp(suite, "suite") == 0 || !strchr(claim, '_'))
			continue;
		cr_expect(exists(suite, claim), "there is no test %s/%s", suite, claim);
		named++;
		at += end - 1;
	}
	cr_expect_gt(named, 40, "the table is not read");
	free(table);
}
