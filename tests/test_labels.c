/*
 * test_labels.c - claims about the table "Ordered pairs" of lib/README.md: it is complete, and
 * nothing in it is out of date.
 *
 * An ordered access is a line of code with an order stronger than relaxed. Its labels (a letter
 * and a number) stand in a comment on that line or on the few before it, in the same function.
 */
#include "tree.h"

#include <criterion/criterion.h>

#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REACH 9 /* lines from a comment to its access, at most */
#define LABELS_MAX 400

struct labels {
	char names[LABELS_MAX][4];
	size_t count;
};

/* What the code says. */
struct reading {
	struct labels used;
	unsigned accesses;
	char complaints[2000]; /* a line for each access without a label */
};

/* ---- labels ---- */

static bool has(const struct labels *labels, const char *name)
{
	for (size_t i = 0; i < labels->count; i++) {
		if (strcmp(labels->names[i], name) == 0)
			return true;
	}
	return false;
}

/* Behind the partners of "Q2, pairs with Q4 and Q6: the fields are there". */
static const char *pass_partners(const char *at, const char *end)
{
	while (at < end && *at != ':' && strncmp(at, ". ", 2) != 0)
		at++;
	return at;
}

/* The labels of a text, as far as `end`, but for partners. Returns how many it has. */
static size_t add_labels(struct labels *labels, const char *text, const char *end)
{
	size_t count = 0;

	for (const char *at = text; at < end; at++) {
		char name[4] = { 0 };
		int length = 0;

		if (strncmp(at, "airs with", 9) == 0)
			at = pass_partners(at, end);
		if ((at > text && (isalnum((unsigned char)at[-1]) || at[-1] == '_')) ||
		    sscanf(at, "%1[A-Z]%n", name, &length) != 1 ||
		    sscanf(at + 1, "%2[0-9]%n", name + 1, &length) != 1 ||
		    isalnum((unsigned char)at[1 + length]) || at[1 + length] == '_')
			continue;
		count++;
		if (has(labels, name))
			continue;
		cr_assert_lt(labels->count, LABELS_MAX);
		memcpy(labels->names[labels->count++], name, sizeof(name));
	}
	return count;
}

/* ---- the code ---- */

/* One line, its comments apart from its code. */
struct line {
	char code[300];
	char comment[300];
};

/* Cuts the next line off `text`; `inside` a comment is remembered from line to line. */
static const char *next_line(const char *text, struct line *ret_line, bool *inside)
{
	size_t code = 0, comment = 0;

	for (; *text && *text != '\n'; text++) {
		if (!*inside && strncmp(text, "/*", 2) == 0)
			*inside = true;
		if (*inside)
			ret_line->comment[comment++] = *text;
		else
			ret_line->code[code++] = *text;
		cr_assert(code < sizeof(ret_line->code) &&
			  comment < sizeof(ret_line->comment));
		if (*inside && comment > 3 && strncmp(text - 1, "*/", 2) == 0)
			*inside = false;
	}
	ret_line->code[code] = '\0';
	ret_line->comment[comment] = '\0';
	return *text ? text + 1 : text;
}

static bool fits(const char *pattern, const char *text)
{
	regex_t expression;
	bool fits;

	cr_assert_eq(regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB), 0);
	fits = regexec(&expression, text, 0, NULL, 0) == 0;
	regfree(&expression);
	return fits;
}

static bool is_ordered(const struct line *line)
{
	return (strstr(line->code, "memory_order_") || strstr(line->code, "__ATOMIC_")) &&
	       fits("memory_order_(acquire|release|acq_rel|seq_cst)"
		    "|__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST)",
		    line->code);
}

/* Ordered within, and thus without a label where it needs none. */
static bool is_of_mask(const struct line *line)
{
	return strstr(line->code, "cadre_mask_set(") ||
	       strstr(line->code, "cadre_mask_clear(");
}

static void complain(struct reading *reading, const char *name, unsigned number)
{
	const size_t length = strlen(reading->complaints);

	snprintf(reading->complaints + length, sizeof(reading->complaints) - length,
		 "%s:%u has an ordered access without a label\n", name, number);
}

/* Reads on in `text`, a source file of that name. */
static void read_code(struct reading *reading, const char *name, const char *text)
{
	struct line before[REACH + 1] = { 0 };
	bool inside = false;
	unsigned count = 0; /* lines of this function, or between two */

	for (unsigned number = 1; *text; number++) {
		struct line *const line = &before[count % (REACH + 1)];
		size_t labels = 0;

		text = next_line(text, line, &inside);
		count++;
		if (is_ordered(line) || is_of_mask(line)) {
			for (unsigned i = 0; i < count && i <= REACH; i++) {
				const char *const comment = before[i].comment;

				labels += add_labels(&reading->used, comment,
						     comment + strlen(comment));
			}
		}
		reading->accesses += is_ordered(line);
		if (is_ordered(line) && labels == 0)
			complain(reading, name, number);
		if (line->code[0] == '{' || line->code[0] == '}')
			count = 0;
	}
}

static struct reading read_lib(void)
{
	struct reading reading = { 0 };
	glob_t sources = tree_files("lib/*.[ch]");

	for (size_t i = 0; i < sources.gl_pathc; i++) {
		char *const text = tree_read(sources.gl_pathv[i]);

		read_code(&reading, sources.gl_pathv[i], text);
		free(text);
	}
	globfree(&sources);
	cr_expect_eq(reading.complaints[0], '\0', "%s", reading.complaints);
	cr_assert_gt(reading.accesses, 100, "lib is not read");
	return reading;
}

/* ---- the table ---- */

static char *page;  /* lib/README.md */
static char *table; /* in it, from the first row to the last */

static void read_table(void)
{
	char *end;

	page = tree_read("lib/README.md");
	table = strstr(page, "## Ordered pairs");
	cr_assert_not_null(table);
	table = strstr(table, "\n|---");
	cr_assert_not_null(table);
	end = strstr(table, "\n\n");
	cr_assert_not_null(end);
	*end = '\0';
}

static void forget_table(void)
{
	free(page);
}

/* The labels of the first column. */
static struct labels labels_of_table(void)
{
	struct labels labels = { 0 };

	for (const char *row = table; (row = strstr(row, "\n| ")); row++)
		add_labels(&labels, row + 3, strchr(row + 3, '|'));
	cr_assert_gt(labels.count, 50, "the table is not read");
	return labels;
}

TestSuite(labels, .init = read_table, .fini = forget_table);

Test(labels, each_ordered_access_has_one_and_the_table_has_it)
{
	const struct reading reading = read_lib();
	const struct labels known = labels_of_table();

	for (size_t i = 0; i < reading.used.count; i++)
		cr_expect(has(&known, reading.used.names[i]),
			  "the table does not have %s, which an ordered access names",
			  reading.used.names[i]);
}

Test(labels, each_pair_of_the_table_stands_in_the_code)
{
	const struct reading reading = read_lib();
	const struct labels known = labels_of_table();

	for (size_t i = 0; i < known.count; i++)
		cr_expect(has(&reading.used, known.names[i]),
			  "no ordered access in lib names %s", known.names[i]);
}

/* Whether one of the files has this, as a word. */
static bool is_somewhere(const glob_t *sources, const char *word)
{
	char pattern[200];

	snprintf(pattern, sizeof(pattern), "(^|[^a-z_])%s\\(", word);
	for (size_t i = 0; i < sources->gl_pathc; i++) {
		char *const text = tree_read(sources->gl_pathv[i]);
		const bool found = strstr(text, word) && fits(pattern, text);

		free(text);
		if (found)
			return true;
	}
	return false;
}

Test(labels, each_function_that_the_table_names_exists)
{
	glob_t sources = tree_files("lib/*.[ch]"),
	       headers = tree_files("include/cadre/*.h");
	unsigned named = 0;

	for (const char *at = table; (at = strchr(at, '`')); at++) {
		char word[100];
		int end = 0;

		if (sscanf(at, "`%99[a-z_]`%n", word, &end) != 1 || end == 0)
			continue;
		cr_expect(is_somewhere(&sources, word) || is_somewhere(&headers, word),
			  "there is no function %s", word);
		named++;
		at += end - 1;
	}
	cr_expect_gt(named, 80, "the table is not read");
	globfree(&sources);
	globfree(&headers);
}

/* The last column, but for the models. */
Test(labels, each_test_that_the_table_names_exists)
{
	unsigned named = 0;

	for (const char *row = table; (row = strstr(row, "\n| ")); row++) {
		char line[1000], *cell, *rest, *word;

		snprintf(line, sizeof(line), "%.*s", (int)strcspn(row + 1, "\n"), row + 1);
		cell = strrchr(line, '|');
		cr_assert_not_null(cell);
		*cell = '\0';
		cell = strrchr(line, '|');
		cr_assert_not_null(cell);
		for (word = strtok_r(cell, "|, ", &rest); word;
		     word = strtok_r(NULL, "|, ", &rest)) {
			char path[1100];

			if (!strchr(word, '_'))
				continue;
			snprintf(path, sizeof(path), "tests/%s%s.c",
				 strncmp(word, "fuzz_", 5) == 0 ? "fuzz/" : "", word);
			cr_expect(tree_has(path), "there is no %s", path);
			named++;
		}
	}
	cr_expect_gt(named, 40, "the table is not read");
}

/* ---- would these claims notice? ---- */

#define ACCESS "\tatomic_thread_fence(memory_order_acquire);\n"

static bool is_noticed(const char *text)
{
	struct reading reading = { 0 };

	read_code(&reading, "sample.c", text);
	cr_assert_eq(reading.accesses, 1);
	return reading.complaints[0] != '\0';
}

Test(labels, an_access_without_one_is_noticed)
{
	cr_expect_not(is_noticed("{\n\t/* Z9, pairs with Z8. */\n" ACCESS "}\n"));
	cr_expect_not(is_noticed("{\n\tfence(memory_order_acquire); /* Z9 */\n}\n"));
	cr_expect(is_noticed("{\n\t/* Acquire, by Z_9 or BZ9 or z9. */\n" ACCESS "}\n"));
	cr_expect(is_noticed("{\n\t/* It pairs with Z9. */\n" ACCESS "}\n"));
	cr_expect(is_noticed("{\n\tCADRE_KILL_POINT(\"Z9\");\n" ACCESS "}\n"));
	cr_expect(is_noticed("{\n\t/* Z9, of another function. */\n}\n{\n" ACCESS "}\n"));
	cr_expect(is_noticed("/* Z9, of the function. */\nvoid f(void)\n{\n" ACCESS "}\n"));
	cr_expect(is_noticed("{\n/* Z9, far away. */\n\n\n\n\n\n\n\n\n\n" ACCESS "}\n"));
}
