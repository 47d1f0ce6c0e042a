#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_MAX_HERE 4400

static void find(const char *name, char path[PATH_MAX_HERE])
{
	const char *const root = getenv("CADRE_SOURCE_DIR");

	if (name[0] == '/')
		snprintf(path, PATH_MAX_HERE, "%s", name);
	else
		snprintf(path, PATH_MAX_HERE, "%s/%s", root ? root : ".", name);
}

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "%s cannot be read; does CADRE_SOURCE_DIR lead to the source?\n",
		what);
	abort();
}

char *tree_read(const char *name)
{
	char path[PATH_MAX_HERE];
	size_t size;
	char *text;
	FILE *file;

	find(name, path);
	file = fopen(path, "re");
	if (!file || fseek(file, 0, SEEK_END) < 0)
		give_up(path);
	size = (size_t)ftell(file);
	rewind(file);
	text = calloc(1, size + 1);
	if (!text || fread(text, 1, size, file) != size)
		give_up(path);
	fclose(file);
	return text;
}

bool tree_has(const char *name)
{
	char path[PATH_MAX_HERE];

	find(name, path);
	return access(path, R_OK) == 0;
}

glob_t tree_files(const char *pattern)
{
	char path[PATH_MAX_HERE];
	glob_t found;

	find(pattern, path);
	if (glob(path, 0, NULL, &found) != 0)
		give_up(path);
	return found;
}
