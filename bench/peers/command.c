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

bool command_find_own(const char *name, char *ret_path, size_t size)
{
	char own[4000];
	const ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	own[length > 0 ? length : 0] = '\0';
	snprintf(ret_path, size, "%s-%s", own, name);
	return access(ret_path, X_OK) == 0;
}

void command_add_manners(const struct bench *bench, const char *argv[])
{
	while (*argv)
		argv++;
	if (bench->quick)
		*argv++ = "--quick";
	if (bench->realtime)
		*argv++ = "--realtime";
	*argv = NULL;
}

int command_missing(const char *program, const char *source)
{
	char why[128];

	snprintf(why, sizeof(why), "no program %s (%s)", program, source);
	return bench_absent(why);
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

static int read_absence(FILE *said)
{
	char why[128];

	if (!fgets(why, sizeof(why), said))
		return -ECANCELED;
	why[strcspn(why, "\n")] = '\0';
	return bench_absent(why + strspn(why, " "));
}

static int read_numbers(FILE *said, double *ret_values, size_t count)
{
	size_t read = 0;

	while (read < count && fscanf(said, "%lf", &ret_values[read]) == 1)
		read++;
	return read == count ? 0 : -ECANCELED;
}

static int read_answer(FILE *said, double *ret_values, size_t count)
{
	char word[256];

	while (fscanf(said, "%255s", word) == 1) {
		if (strcmp(word, "RESULT") == 0)
			return read_numbers(said, ret_values, count);
		if (strcmp(word, "ABSENT") == 0)
			return read_absence(said);
	}
	return -ECANCELED;
}

int command_ask(const struct bench *bench, const char *source, const char *const argv[],
		double *ret_values, size_t count)
{
	const pid_t parent = getpid();
	char path[4096];
	int ends[2], r;
	FILE *said;
	pid_t pid;

	if (!command_find(argv[0], path, sizeof(path)))
		return command_missing(argv[0], source);
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
	r = read_answer(said, ret_values, count);
	/* To the end, so that it is not killed by its last words. */
	while (fgetc(said) != EOF)
		continue;
	fclose(said);
	peer_await(pid);
	if (r < 0 && r != -ENOTSUP)
		fprintf(stderr, "cadre-bench: %s said no numbers\n", argv[0]);
	return r;
}
