/*
 * proc_doc.c - claims that the manual pages say what there is: read where the build put
 * them, beside the programs.
 */
#include "showing.h"

TestSuite(doc, SHOWING);

static char page[200000];

/* What troff would take for markup is taken away: "\-" is a dash, "\f" a font. */
static void unescape(void)
{
	char *to = page;

	for (const char *from = page; *from; from++) {
		if (from[0] == '\\' && from[1] == 'f' && from[2]) {
			from += 2;
		} else if (from[0] == '\\' && from[1] == '&') {
			from += 1;
		} else if (from[0] == '\\' && from[1]) {
			*to++ = *++from;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

static const char *folder(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/../doc", getenv("CADRE_BIN_DIR"));
	return path;
}

static void skip_without_pages(void)
{
	if (access(folder(), R_OK) < 0)
		cr_skip_test(
			"no manual pages were built (scdoc is not installed, or this is "
			"a build for sanitizers)");
}

/* "cadre.7". False: there is none. */
static bool read_file(const char *file_name)
{
	char path[8192];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder(), file_name);
	file = fopen(path, "re");
	if (!file)
		return false;
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	unescape();
	return true;
}

/* The page of that name in any section. */
static bool read_page(const char *name)
{
	for (int section = 1; section <= 8; section++) {
		char file_name[128];

		snprintf(file_name, sizeof(file_name), "%s.%d", name, section);
		if (read_file(file_name))
			return true;
	}
	return false;
}

/* The words of a text that begin with two dashes, one after the other. */
static bool next_option(const char **text, char *option, size_t size)
{
	const char *from = strstr(*text, "--");
	size_t length;

	if (!from)
		return false;
	length = 2 + strspn(from + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
	snprintf(option, size, "%.*s", (int)length, from);
	*text = from + length;
	return true;
}

static void check_command(const char *command)
{
	char name[64], option[64];
	const char *help;

	snprintf(name, sizeof(name), "cadre-%s", command);
	cr_assert(read_page(name), "there is no page %s", name);
	cr_assert_eq(cadre(command, "--help", NULL), 0);
	for (help = run.out; next_option(&help, option, sizeof(option));)
		cr_assert(strlen(option) <= 2 || says(page, "%s", option),
			  "%s of cadre %s is not in its page", option, command);
}

Test(doc, each_command_has_a_page_and_each_of_its_options_stands_there)
{
	char *help, *rest;
	unsigned commands = 0;

	skip_without_pages();
	cr_assert_eq(cadre("--help", NULL), 0);
	rest = help = strdup(run.out);
	/* "  serve  run a pool: ..." */
	for (char *line; (line = strsep(&rest, "\n"));) {
		char command[32];

		if (strncmp(line, "  ", 2) != 0 ||
		    sscanf(line, "  %31[a-z] ", command) != 1 ||
		    strcmp(command, "cadre") == 0 || strcmp(command, "echo") == 0)
			continue;
		check_command(command);
		commands++;
	}
	free(help);
	cr_assert_geq(commands, 7);
}

Test(doc, the_page_of_the_counters_has_each_field_and_what_it_means)
{
	skip_without_pages();
	cr_assert(read_page("cadre-counters"));
	/* The page is filled into lines as its source is, so a sentence stands in one. */
	for (unsigned scope = 0; scope < CADRE_FIELDS_COUNT; scope++) {
		size_t count;
		const struct cadre_field *const fields =
			cadre_fields((enum cadre_field_scope)scope, &count);

		for (size_t i = 0; i < count; i++) {
			cr_assert(says(page, "%s", fields[i].name), "%s", fields[i].name);
			cr_assert(says(page, "%.60s", fields[i].sentence), "%s",
				  fields[i].sentence);
		}
	}
}

Test(doc, the_concepts_name_each_outcome)
{
	skip_without_pages();
	cr_assert(read_file("cadre.7"));
	for (int outcome = 0; outcome < CADRE_WITHDRAWN; outcome++)
		cr_assert(says(page, "%s",
			       cadre_outcome_name((enum cadre_outcome)outcome)));
}
