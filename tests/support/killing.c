#include "killing.h"
#include "child.h"
#include "killpoint.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MARK "CADRE_KILL_POINT(\""

const struct killing_point killing_points[] = {
	/* a worker's start, and its sleep */
	{ "P1", KILLING_WORKER },
	{ "P2", KILLING_WORKER },
	{ "K1", KILLING_WORKER },
	{ "K2", KILLING_WORKER },
	{ "A2", KILLING_AIMED_WORKER },
	/* a worker's job */
	{ "W2", KILLING_WORKER },
	{ "W3", KILLING_WORKER },
	{ "W4", KILLING_WORKER },
	{ "W5", KILLING_WORKER },
	{ "W6", KILLING_WORKER },
	{ "W7", KILLING_WORKER },
	{ "B2", KILLING_WORKER },
	/* a client's job */
	{ "S1", KILLING_CLIENT },
	{ "S2", KILLING_CLIENT },
	{ "S3", KILLING_CLIENT },
	{ "S4", KILLING_CLIENT },
	{ "S5", KILLING_CLIENT },
	{ "B1", KILLING_CLIENT },
	{ "A1", KILLING_AIMING_CLIENT },
	/* what the supervisor does for dead clients and in its survey, too */
	{ "X1", KILLING_CLIENT | KILLING_SUPERVISOR },
	{ "X4", KILLING_AIMED_SUPERVISOR },
	{ "C1", KILLING_CLIENT | KILLING_SUPERVISOR },
	{ "C2", KILLING_CLIENT | KILLING_SUPERVISOR },
	{ "C3", KILLING_SUPERVISOR },
	/* a stream: kill_stream.c */
	{ "I0", KILLING_ELSEWHERE },
	{ "I1", KILLING_ELSEWHERE },
	{ "I5", KILLING_ELSEWHERE },
	{ "I3", KILLING_ELSEWHERE },
	{ "I6", KILLING_ELSEWHERE },
	{ "I7", KILLING_ELSEWHERE },
	/* a ring */
	{ "L2", KILLING_WORKER | KILLING_CLIENT | KILLING_SUPERVISOR },
	/* cancellation: a notice to a worker, a warrant */
	{ "N1", KILLING_WORKER | KILLING_CLIENT | KILLING_SUPERVISOR },
	{ "X3", KILLING_CLIENT },
	/* tokens: made, ended, released, collected; a clock that starts */
	{ "O1", KILLING_CLIENT },
	{ "O2", KILLING_CLIENT },
	{ "O3", KILLING_WORKER | KILLING_CLIENT },
	{ "O4", KILLING_CLIENT | KILLING_SUPERVISOR },
	{ "O5", KILLING_CLIENT | KILLING_SUPERVISOR },
	{ "O6", KILLING_WORKER },
	/* hiring and leasing */
	{ "P3", KILLING_SUPERVISOR },
	{ "P4", KILLING_SUPERVISOR },
	{ "P5", KILLING_SUPERVISOR },
	{ "P6", KILLING_SUPERVISOR },
	{ "P7", KILLING_HOST_SUPERVISOR },
	{ "P8", KILLING_HOST_SUPERVISOR },
	/* reaping */
	{ "D1", KILLING_SUPERVISOR },
	{ "D3", KILLING_SUPERVISOR },
	{ "D4", KILLING_SUPERVISOR },
	{ "D5", KILLING_SUPERVISOR },
	{ "D6", KILLING_SUPERVISOR },
	{ "D7", KILLING_SUPERVISOR },
	{ "D8", KILLING_SUPERVISOR },
	/* the log */
	{ "Y1", KILLING_LOG },
	{ "Y2", KILLING_LOG },
	{ "Y3", KILLING_LOG },
	/* last words */
	{ "Z1", KILLING_WRECK },
	{ "Z2", KILLING_WRECK },
	/* replacing the living, a new version, another size, a drain */
	{ "U1", KILLING_SUPERVISOR },
	{ "U2", KILLING_SUPERVISOR },
	{ "U3", KILLING_SUPERVISOR },
	{ "M1", KILLING_SUPERVISOR },
	{ "M2", KILLING_SUPERVISOR },
	/* what is written down of it */
	{ "E1", KILLING_SUPERVISOR },
	{ "E2", KILLING_SUPERVISOR },
	/* the end */
	{ "T1", KILLING_SUPERVISOR },
	/* descriptors change hands: kill_descriptors.c */
	{ "G1", KILLING_ELSEWHERE },
	{ "G2", KILLING_ELSEWHERE },
	/* a fork server starts, is asked, and forks a keeper */
	{ "P9", KILLING_FORK_SERVER },
	{ "P10", KILLING_FORK_SERVER },
	{ "P11", KILLING_FORK_SERVER },
	{ "P12", KILLING_FORK_SERVER },
	{ "P13", KILLING_FORK_SERVER },
};

const size_t killing_point_count = sizeof(killing_points) / sizeof(killing_points[0]);

/* ---- the table and the source ---- */

static bool seen[sizeof(killing_points) / sizeof(killing_points[0])];
static char sentence[400];

static void note_label(const char *label, const char *file)
{
	for (size_t i = 0; i < killing_point_count; i++) {
		if (strcmp(killing_points[i].label, label) == 0) {
			seen[i] = true;
			return;
		}
	}
	snprintf(sentence, sizeof(sentence),
		 "%s in lib/%s is in no table: nobody dies there", label, file);
}

static void read_source(const char *directory, const char *file)
{
	char path[4400], line[1000], label[16];
	FILE *source;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	source = fopen(path, "re");
	while (source && fgets(line, sizeof(line), source)) {
		const char *const mark = strstr(line, MARK);

		if (mark && sscanf(mark + strlen(MARK), "%15[^\"]", label) == 1)
			note_label(label, file);
	}
	if (source)
		fclose(source);
}

const char *killing_unknown_label(void)
{
	const char *const root = getenv("CADRE_SOURCE_DIR");
	char directory[3900];
	DIR *files;

	snprintf(directory, sizeof(directory), "%s/lib", root ? root : ".");
	files = opendir(directory);
	if (!files)
		return "CADRE_SOURCE_DIR does not lead to the source";
	sentence[0] = '\0';
	for (const struct dirent *entry; (entry = readdir(files));) {
		const size_t length = strlen(entry->d_name);

		if (length > 2 && strcmp(entry->d_name + length - 2, ".c") == 0)
			read_source(directory, entry->d_name);
	}
	closedir(files);
	for (size_t i = 0; i < killing_point_count && !sentence[0]; i++) {
		if (!seen[i])
			snprintf(sentence, sizeof(sentence),
				 "%s is in the table and nowhere in lib/",
				 killing_points[i].label);
	}
	return sentence[0] ? sentence : NULL;
}

/* ---- stories ---- */

bool killing_is_passed(const char *label, unsigned role)
{
	for (size_t i = 0; i < killing_point_count; i++) {
		if (strcmp(killing_points[i].label, label) == 0)
			return killing_points[i].roles & role;
	}
	return false;
}

bool killing_is_told(const char *label, const char *const *told, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(told[i], label) == 0)
			return true;
	}
	return false;
}

const char *killing_missing_story(const char *const *told, size_t count, unsigned role)
{
	for (size_t i = 0; i < killing_point_count; i++) {
		const struct killing_point *const point = &killing_points[i];

		if (killing_is_told(point->label, told, count) !=
		    ((point->roles & role) != 0))
			return point->label;
	}
	return NULL;
}

const char *killing_describe(const struct killing *killing)
{
	static char text[100];

	snprintf(text, sizeof(text), "%s, pass %u, SIG%s, victims: %u", killing->label,
		 killing->pass, sigabbrev_np(killing->signal_number), killing->victims);
	return text;
}

struct killing_wish *killing_wish(const struct killing *killing)
{
	struct killing_wish *const wish = child_share(sizeof(*wish));

	wish->killing = *killing;
	atomic_store(&wish->victims_left, (int)killing->victims);
	return wish;
}

void killing_bear(struct killing_wish *wish)
{
	const struct killing *const killing = &wish->killing;

	if (atomic_fetch_sub(&wish->victims_left, 1) <= 0)
		return;
	atomic_store(&wish->victim, getpid());
	cadre_kill_at(killing->label, killing->pass, killing->signal_number);
}

void killing_spare(void)
{
	cadre_kill_at("", 0, SIGKILL);
}

void killing_bear_if_supervisor(struct killing_wish *wish)
{
	char name[17] = "";

	prctl(PR_GET_NAME, name);
	if (strcmp(name, "cadre-keeper") == 0)
		killing_bear(wish);
	else
		killing_spare();
}
