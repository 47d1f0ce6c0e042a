/*
 * scene.h - a pool's name that nobody else uses, and a look afterwards at what was left.
 *
 *	static struct scene scene;
 *
 *	static void begin(void) { scene_begin(&scene); }
 *	static void end(void)   { scene_end(&scene); }
 *
 * A test leaves no file of its pool, no child process and no open descriptor behind. This
 * file knows nothing of Criterion, so that plain programs can use it too.
 */
#ifndef SCENE_H
#define SCENE_H

#include <cadre/pool.h>

#include <sys/types.h>

struct scene {
	char pool[CADRE_NAME_MAX + 1];
	unsigned descriptors; /* open when the scene began */
	unsigned children;
	char sentence[200];
};

void scene_begin(struct scene *scene);

/* Writes another fresh name, for a test that needs two pools. */
void scene_name(char name[CADRE_NAME_MAX + 1]);

/* NULL when nothing was left, else a sentence that says what. Files of the pool that were
 * left are removed, so that one failure does not become many. */
const char *scene_leftovers(struct scene *scene);

/* For a .fini: dies with the sentence, unless it is NULL. Criterion counts that as a crash,
 * while an assertion that fails in a .fini fails nothing (proc_leaving.c). */
void scene_insist(const char *sentence);

/* The end of a test, for its .fini: dies with a sentence when something was left. */
void scene_end(struct scene *scene);

/* How many files in /dev/shm belong to the pool. */
unsigned scene_files(const char *pool);

/* How many descriptors this process has open; how many another one has, 0 when that cannot be
 * seen. */
unsigned scene_descriptors(void);
unsigned scene_descriptors_of(pid_t pid);

/* How many children this process has, those that wait to be reaped included. */
unsigned scene_children(void);

/* Also says who one of them is: "(cadre-w0) Z", its name and state. */
#define SCENE_CHILD_BYTES 40
unsigned scene_look_at_children(char who[SCENE_CHILD_BYTES]);

/* The only child of any process, its zombies included; 0 when it has none, or several. */
pid_t scene_only_child_of(pid_t parent);

#endif
