#include "rights.h"
#include "platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A line that a kernel does not have is missing from both. */
static const char *const lines[] = {
	"Uid",    "Gid",    "Groups",  "CapInh",     "CapPrm",          "CapEff",
	"CapBnd", "CapAmb", "Seccomp", "NoNewPrivs", "Seccomp_filters",
};

/* All of /proc/PID/status; the caller frees it. */
static int read_status(pid_t pid, char **ret_text)
{
	char path[40], *text = NULL;
	size_t size = 0;
	FILE *file;
	int r = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return errno == ENOMEM ? -ENOMEM : -ESRCH;
	errno = 0;
	if (getdelim(&text, &size, '\0', file) <= 0)
		r = errno == ENOMEM ? -ENOMEM : -ESRCH;
	fclose(file);
	if (r == 0)
		*ret_text = text;
	else
		free(text);
	return r;
}

/* What stands behind "NAME:"; as if the line were empty when there is none. */
static const char *find(const char *text, const char *name, size_t *ret_length)
{
	char head[32];
	const char *found;

	snprintf(head, sizeof(head), "\n%s:", name);
	found = strstr(text, head);
	found = found ? found + strlen(head) : "";
	*ret_length = strcspn(found, "\n");
	return found;
}

static bool is_same(const char *one, const char *other, const char *name)
{
	size_t length, other_length;
	const char *const value = find(one, name, &length);
	const char *const other_value = find(other, name, &other_length);

	return length == other_length && memcmp(value, other_value, length) == 0;
}

int cadre_rights_compare(pid_t other, char *ret_what, size_t size)
{
	char *own = NULL, *others = NULL;
	int r = read_status(getpid(), &own);

	if (r == 0)
		r = read_status(other, &others);
	for (size_t i = 0; i < CADRE_COUNT_OF(lines) && r == 0; i++) {
		if (is_same(own, others, lines[i]))
			continue;
		snprintf(ret_what, size, "%s", lines[i]);
		r = -EPERM;
	}
	free(own);
	free(others);
	return r;
}

int cadre_rights_umask(pid_t pid, mode_t *ret_umask)
{
	char *text;
	size_t length;
	const int r = read_status(pid, &text);

	if (r < 0)
		return r;
	*ret_umask = (mode_t)strtoul(find(text, "Umask", &length), NULL, 8);
	free(text);
	return 0;
}
