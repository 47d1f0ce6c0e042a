/*
 * test_layers.c - claims about the layers of lib/README.md: each file of lib stands in one, where
 * lib/CMakeLists.txt has it as well, and includes only from its own or from below.
 *
 * The table, the list and the sources are read where they lie. killpoint is in no layer: only
 * tests have it.
 */
#include "tree.h"

#include <criterion/criterion.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 300
#define NAME_MAX_HERE 60

static struct layers {
	struct {
		char name[NAME_MAX_HERE];
		int layer;
	} files[FILES_MAX];
	size_t count;
} table; /* as README.md has it */

/* "/a/b/name.c" to "name". */
static void base_name(const char *path, char name[NAME_MAX_HERE])
{
	const char *const slash = strrchr(path, '/');

	snprintf(name, NAME_MAX_HERE, "%s", slash ? slash + 1 : path);
	name[strcspn(name, ".")] = '\0';
}

/* ---- layers ---- */

static void add(struct layers *layers, const char *name, size_t length, int layer)
{
	cr_assert_lt(layers->count, FILES_MAX);
	cr_assert_lt(length, NAME_MAX_HERE);
	memcpy(layers->files[layers->count].name, name, length);
	layers->files[layers->count++].layer = layer;
}

/* 0: in none. */
static int layer_of(const struct layers *layers, const char *name)
{
	for (size_t i = 0; i < layers->count; i++) {
		if (strcmp(layers->files[i].name, name) == 0)
			return layers->files[i].layer;
	}
	return 0;
}

/* "7  name name | name    a remark": the names end where two blanks follow each other. */
static void read_row(struct layers *layers, const char *row, int layer)
{
	while (isalpha((unsigned char)*row)) {
		const size_t length = strspn(row, "abcdefghijklmnopqrstuvwxyz_");

		add(layers, row, length, layer);
		row += length;
		row += *row == ':';
		row += strncmp(row, " | ", 3) == 0 ? 3 : *row == ' ';
	}
}

static void read_table(void)
{
	char *const page = tree_read("lib/README.md");
	const char *line = strstr(page, "## Layers");
	const char *end;
	int layer, at;

	cr_assert_not_null(line);
	line = strstr(line, "```");
	cr_assert_not_null(line);
	end = strstr(line + 3, "```");
	cr_assert_not_null(end);
	for (; line < end; line = strchr(line, '\n') + 1) {
		if (sscanf(line, " %1d  %n", &layer, &at) == 1)
			read_row(&table, line + at, layer);
	}
	cr_assert_gt(table.count, 80, "the table is not read");
	free(page);
}

TestSuite(layers, .init = read_table);

Test(layers, each_file_stands_in_one_and_only_once)
{
	char name[NAME_MAX_HERE];
	glob_t found = tree_files("lib/*.[ch]");

	for (size_t i = 0; i < found.gl_pathc; i++) {
		base_name(found.gl_pathv[i], name);
		cr_expect(layer_of(&table, name) || strcmp(name, "killpoint") == 0,
			  "lib/README.md has %s in no layer", name);
	}
	globfree(&found);
	for (size_t i = 0; i < table.count; i++) {
		for (size_t other = i + 1; other < table.count; other++)
			cr_expect_str_neq(table.files[i].name, table.files[other].name);
	}
}

Test(layers, the_list_of_sources_has_the_same_ones)
{
	char *const list = tree_read("lib/CMakeLists.txt");
	const char *const end = strstr(list, "\n)");
	char name[NAME_MAX_HERE];
	int layer = 0, next;
	size_t sources = 0;

	cr_assert_not_null(end);
	for (const char *line = list; line < end; line = strchr(line, '\n') + 1) {
		if (sscanf(line, " # %1d:", &next) == 1)
			layer = next;
		if (sscanf(line, "\t%59[a-z_].c", name) != 1 || layer == 0)
			continue;
		cr_expect_eq(layer_of(&table, name), layer, "%s.c", name);
		sources++;
	}
	cr_assert_gt(sources, 60, "the list is not read");
	free(list);
}

Test(layers, a_file_includes_only_from_its_own_or_from_below)
{
	char name[NAME_MAX_HERE];
	glob_t found = tree_files("lib/*.[ch]");
	unsigned includes = 0;

	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *const text = tree_read(found.gl_pathv[i]);
		int own;

		base_name(found.gl_pathv[i], name);
		own = layer_of(&table, name);
		for (const char *at = text; own && (at = strstr(at, "\n#include \""));
		     at++) {
			char header[NAME_MAX_HERE];

			if (sscanf(at, "\n#include \"%59[a-z_].h\"", header) != 1)
				continue;
			cr_expect_leq(layer_of(&table, header), own,
				      "%s includes %s.h from above", name, header);
			includes++;
		}
		free(text);
	}
	globfree(&found);
	cr_assert_gt(includes, 200, "nothing is read");
}
