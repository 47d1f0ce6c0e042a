#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int cadre_serve_status(int error)
{
	switch (error) {
	case 0:
		return CADRE_EXIT_OK;
	case -EINVAL:
		return CADRE_EXIT_USAGE;
	case -ENOEXEC:
	case -ETIMEDOUT:
		return CADRE_EXIT_FAILED;
	default:
		return CADRE_EXIT_POOL;
	}
}

int cadre_open_status(int error)
{
	if (error == 0)
		return CADRE_EXIT_OK;
	return error == -EINVAL ? CADRE_EXIT_USAGE : CADRE_EXIT_POOL;
}

int cadre_finish_output(const char *command)
{
	if (fflush(stdout) != EOF && !ferror(stdout))
		return CADRE_EXIT_OK;
	fprintf(stderr, "%s: cannot write the report: %s\n", command, strerror(errno));
	return CADRE_EXIT_FAILED;
}

void cadre_print_line(const char *sentence, void *unused)
{
	(void)unused;
	puts(sentence);
}
