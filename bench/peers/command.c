#include "command.h"
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PATIENCE_S 60

static int complain(const char *program)
{
	const int error = errno;

	fprintf(stderr, "cadre-bench: cannot run %s: %s\n", program, strerror(error));
	return -error;
}

bool command_find(const char *name, char *ret_path, size_t size)
{
	char places[4096];
	char *rest = places;

	if (strchr(name, '/')) {
		snprintf(ret_path, size, "%s", name);
		return access(name, X_OK) == 0;
	}
	snprintf(places, sizeof(places), "%s:/usr/sbin:/usr/local/sbin",
		 getenv("PATH") ? getenv("PATH") : "/usr/bin");
	for (const char *place; (place = strsep(&rest, ":"));) {
		snprintf(ret_path, size, "%s/%s", place, name);
		if (access(ret_path, X_OK) == 0)
			return true;
	}
	return false;
}

int command_missing(const char *contender, const char *program, const char *source)
{
	char why[128];

	snprintf(why, sizeof(why), "no program %s (%s)", program, source);
	return bench_absent(contender, why);
}

void command_become(const struct bench *bench, const char *path, const char *const argv[],
		    int death, pid_t parent)
{
	bench_set_free(bench);
	prctl(PR_SET_PDEATHSIG, death);
	if (getppid() == parent)
		execv(path, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static bool read_result(FILE *said, double *ret_values, size_t count)
{
	char word[256];
	size_t read = 0;

	while (fscanf(said, "%255s", word) == 1 && strcmp(word, "RESULT") != 0)
		continue;
	while (read < count && fscanf(said, "%lf", &ret_values[read]) == 1)
		read++;
	/* To the end, so that it is not killed by its last words. */
	while (fgetc(said) != EOF)
		continue;
	return read == count;
}

int command_ask(const struct bench *bench, const char *contender, const char *source,
		const char *const argv[], double *ret_values, size_t count)
{
	const pid_t parent = getpid();
	char path[4096], why[128];
	bool answered;
	int ends[2];
	FILE *said;
	pid_t pid;

	if (!command_find(argv[0], path, sizeof(path)))
		return command_missing(contender, argv[0], source);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return complain(argv[0]);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		alarm(PATIENCE_S);
		command_become(bench, path, argv, SIGKILL, parent);
	}
	close(ends[1]);
	said = fdopen(ends[0], "r");
	if (pid < 0 || !said)
		return complain(argv[0]);
	answered = read_result(said, ret_values, count);
	fclose(said);
	peer_await(pid);
	if (answered)
		return 0;
	snprintf(why, sizeof(why), "%s said no numbers (see standard error)", argv[0]);
	return bench_absent(contender, why);
}
