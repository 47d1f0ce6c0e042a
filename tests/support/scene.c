#include "scene.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DIRECTORY "/dev/shm"

void scene_name(char name[CADRE_NAME_MAX + 1])
{
	static atomic_uint count;
	struct timespec now;

	/* The clock tells apart the users of one pid in several pid namespaces. */
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, CADRE_NAME_MAX + 1, "test-%d-%lx-%u", (int)getpid(),
		 (unsigned long)now.tv_nsec, atomic_fetch_add(&count, 1));
}

void scene_begin(struct scene *scene)
{
	*scene = (struct scene){ 0 };
	scene_name(scene->pool);
	scene->descriptors = scene_descriptors();
	scene->children = scene_children();
}

/* Calls `visit` for each file of the pool; returns how many there were. */
static unsigned each_file(const char *pool, void (*visit)(int directory, const char *file))
{
	DIR *const files = opendir(DIRECTORY);
	char prefix[sizeof("cadre.") + CADRE_NAME_MAX];
	unsigned count = 0;

	if (!files)
		return 0;
	snprintf(prefix, sizeof(prefix), "cadre.%s", pool);
	for (const struct dirent *entry; (entry = readdir(files));) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		count++;
		if (visit)
			visit(dirfd(files), entry->d_name);
	}
	closedir(files);
	return count;
}

unsigned scene_files(const char *pool)
{
	return each_file(pool, NULL);
}

static void remove_file(int directory, const char *file)
{
	unlinkat(directory, file, 0);
}

unsigned scene_descriptors_of(pid_t pid)
{
	char path[40];
	unsigned count = 0;
	DIR *entries;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	entries = opendir(path);
	if (!entries)
		return 0;
	for (const struct dirent *entry; (entry = readdir(entries));)
		count += entry->d_name[0] != '.';
	closedir(entries);
	return count;
}

unsigned scene_descriptors(void)
{
	return scene_descriptors_of(getpid()) - 1; /* the directory itself */
}

/* As long as `./dev test` itself waits for what it would call left behind. */
#define PATIENCE_STEPS 200
#define PATIENCE_STEP_NS (10 * 1000 * 1000)

/* The parent of a process, 0 when it cannot be seen. What it is, its name and state, goes to
 * `who`: "(cadre-w0) Z". */
static int parent_of(const char *pid, char who[SCENE_CHILD_BYTES])
{
	char path[300], text[512] = "";
	const char *name, *behind_name;
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	name = length > 0 ? strchr(text, '(') : NULL;
	behind_name = length > 0 ? strrchr(text, ')') : NULL;
	/* "PID (NAME) S PARENT ..." */
	if (!name || !behind_name || strlen(behind_name) <= 4)
		return 0;
	snprintf(who, SCENE_CHILD_BYTES, "%.*s", (int)(behind_name + 3 - name), name);
	return atoi(behind_name + 4);
}

/* Counts, and says who the last of them is, and what. */
static unsigned look_at_children_of(pid_t parent, char who[SCENE_CHILD_BYTES],
				    pid_t *ret_last)
{
	DIR *const processes = opendir("/proc");
	char one[SCENE_CHILD_BYTES] = "";
	unsigned count = 0;

	if (!processes)
		return 0;
	for (const struct dirent *entry; (entry = readdir(processes));) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    parent_of(entry->d_name, one) != parent)
			continue;
		memcpy(who, one, sizeof(one));
		*ret_last = atoi(entry->d_name);
		count++;
	}
	closedir(processes);
	return count;
}

unsigned scene_look_at_children(char who[SCENE_CHILD_BYTES])
{
	pid_t last;

	return look_at_children_of(getpid(), who, &last);
}

unsigned scene_children(void)
{
	char who[SCENE_CHILD_BYTES];

	return scene_look_at_children(who);
}

pid_t scene_only_child_of(pid_t parent)
{
	char who[SCENE_CHILD_BYTES];
	pid_t last = 0;

	return look_at_children_of(parent, who, &last) == 1 ? last : 0;
}

/* A child that is on its way out when the test ends may go; one that stays is left behind. */
static unsigned await_children(unsigned expected, char who[SCENE_CHILD_BYTES])
{
	unsigned children = scene_look_at_children(who);

	for (int patience = 0; children > expected && patience < PATIENCE_STEPS;
	     patience++) {
		nanosleep(&(struct timespec){ .tv_nsec = PATIENCE_STEP_NS }, NULL);
		while (waitpid(-1, NULL, WNOHANG) > 0) {
		}
		children = scene_look_at_children(who);
	}
	return children;
}

const char *scene_leftovers(struct scene *scene)
{
	const unsigned files = each_file(scene->pool, remove_file);
	const unsigned descriptors = scene_descriptors();
	char who[SCENE_CHILD_BYTES] = "";
	const unsigned children = await_children(scene->children, who);

	if (files == 0 && descriptors == scene->descriptors && children == scene->children)
		return NULL;
	snprintf(scene->sentence, sizeof(scene->sentence),
		 "left behind: %u files of pool \"%s\", %d descriptors, %d children %s",
		 files, scene->pool, (int)(descriptors - scene->descriptors),
		 (int)(children - scene->children), who);
	return scene->sentence;
}

void scene_insist(const char *sentence)
{
	if (!sentence)
		return;
	fprintf(stderr, "%s\n", sentence);
	abort();
}

void scene_end(struct scene *scene)
{
	scene_insist(scene_leftovers(scene));
}
