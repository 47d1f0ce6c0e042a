#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* It begins its answer with this when it cannot be measured here; then why. */
#define ABSENT "absent: "

static void path_of(const char *peer, char *ret_path, size_t size)
{
	char own[4000];
	const ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	own[length > 0 ? length : 0] = '\0';
	snprintf(ret_path, size, "%s-%s", own, peer);
}

static int read_answer(FILE *answer, const struct program *program, double *ret_values,
		       size_t count)
{
	char line[160];

	for (size_t i = 0; i < count; i++) {
		if (!fgets(line, sizeof(line), answer))
			return -ECHILD;
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, ABSENT, strlen(ABSENT)) == 0)
			return bench_absent(program->messenger, line + strlen(ABSENT));
		if (sscanf(line, "%lf", &ret_values[i]) != 1)
			return -EBADMSG;
	}
	return 0;
}

static int ask(const struct bench *bench, const struct program *program,
	       const char *question, double *ret_values, size_t count)
{
	char path[4096], command[4300];
	FILE *answer;
	int r, status;

	path_of(program->peer, path, sizeof(path));
	if (access(path, X_OK) < 0) {
		snprintf(command, sizeof(command), "built without %s", program->package);
		return bench_absent(program->messenger, command);
	}
	snprintf(command, sizeof(command), "exec '%s' %s '%s'%s%s", path, question,
		 program->messenger, bench->quick ? " --quick" : "",
		 bench->realtime ? " --realtime" : "");
	answer = popen(command, "re"); /* NOLINT(cert-env33-c): a path of our own, quoted */
	if (!answer)
		return -errno;
	r = read_answer(answer, program, ret_values, count);
	status = pclose(answer);
	if (r == -ENOTSUP || (r == 0 && status == 0))
		return r;
	/* A rival that fails ends its own row, and not the run. */
	return bench_absent(program->messenger,
			    "it ended without its numbers (see standard error)");
}

int program_round_trip(const struct bench *bench, const void *with, double *ret_values)
{
	return ask(bench, with, "round_trip", ret_values, 2);
}

int program_in_flight(const struct bench *bench, const void *with, double *ret_values)
{
	static const uint32_t in_flight[] = BENCH_IN_FLIGHT;

	return ask(bench, with, "in_flight", ret_values, COUNT_OF(in_flight));
}

int program_payload(const struct bench *bench, const void *with, double *ret_values)
{
	static const size_t sizes[] = BENCH_SIZES;

	return ask(bench, with, "payload", ret_values, COUNT_OF(sizes));
}
