/*
 * test_features.c - claims about doc/squadron.md: each test that it names as proof exists.
 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (4u << 20)

static char *tests; /* all of tests/, one file after the other */

static const char *root(void)
{
	const char *const source = getenv("CADRE_SOURCE_DIR");

	return source ? source : ".";
}

/* Appends a file to `text`. */
static void append(char *text, const char *folder, const char *name)
{
	const size_t before = strlen(text);
	char path[4400];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s", root(), folder, name);
	file = fopen(path, "re");
	cr_assert_not_null(file, "%s cannot be read", path);
	text[before + fread(text + before, 1, TEXT_MAX - before - 1, file)] = '\0';
	fclose(file);
}

static void read_tests(void)
{
	char path[4300];
	DIR *folder;

	snprintf(path, sizeof(path), "%s/tests", root());
	folder = opendir(path);
	cr_assert_not_null(folder);
	tests = calloc(1, TEXT_MAX);
	for (const struct dirent *entry; (entry = readdir(folder));) {
		const size_t length = strlen(entry->d_name);

		if (length > 2 && strcmp(entry->d_name + length - 2, ".c") == 0)
			append(tests, "tests", entry->d_name);
	}
	closedir(folder);
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
	char *const table = calloc(1, TEXT_MAX);
	unsigned named = 0;

	append(table, "doc", "squadron.md");
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
