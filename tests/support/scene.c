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
 * `what`: "(cadre-w0) Z". */
static int parent_of(const char *pid, char what[40])
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
	snprintf(what, 40, "%.*s", (int)(behind_name + 3 - name), name);
	return atoi(behind_name + 4);
}

/* Counts, and says who the last of them is, and what. */
static unsigned look_at_children_of(pid_t parent, char what[40], pid_t *ret_last)
{
	DIR *const processes = opendir("/proc");
	char one[40] = "";
	unsigned count = 0;

	if (!processes)
		return 0;
	for (const struct dirent *entry; (entry = readdir(processes));) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    parent_of(entry->d_name, one) != parent)
			continue;
		memcpy(what, one, sizeof(one));
		*ret_last = atoi(entry->d_name);
		count++;
	}
	closedir(processes);
	return count;
}

static unsigned look_at_children(char what[40])
{
	pid_t last;

	return look_at_children_of(getpid(), what, &last);
}

unsigned scene_children(void)
{
	char what[40];

	return look_at_children(what);
}

pid_t scene_only_child_of(pid_t parent)
{
	char what[40];
	pid_t last = 0;

	return look_at_children_of(parent, what, &last) == 1 ? last : 0;
}

/* A child that is on its way out when the test ends may go; one that stays is left behind. */
static unsigned await_children(unsigned expected, char what[40])
{
	unsigned children = look_at_children(what);

	for (int patience = 0; children > expected && patience < PATIENCE_STEPS;
	     patience++) {
		nanosleep(&(struct timespec){ .tv_nsec = PATIENCE_STEP_NS }, NULL);
		while (waitpid(-1, NULL, WNOHANG) > 0) {
		}
		children = look_at_children(what);
	}
	return children;
}

const char *scene_leftovers(struct scene *scene)
{
	const unsigned files = each_file(scene->pool, remove_file);
	const unsigned descriptors = scene_descriptors();
	char what[40] = "";
	const unsigned children = await_children(scene->children, what);

	if (files == 0 && descriptors == scene->descriptors && children == scene->children)
		return NULL;
	snprintf(scene->sentence, sizeof(scene->sentence),
		 "left behind: %u files of pool \"%s\", %d descriptors, %d children %s",
		 files, scene->pool, (int)(descriptors - scene->descriptors),
		 (int)(children - scene->children), what);
	return scene->sentence;
}

void scene_end(struct scene *scene)
{
	const char *const left = scene_leftovers(scene);

	if (!left)
		return;
	fprintf(stderr, "%s\n", left);
	abort();
}
