/*
 * test_garbage.c - claims about which pools are garbage: those that nobody supervises and
 * nobody alive could use.
 *
 * Other tests may keep dead pools of their own meanwhile, so only the pool of this test is
 * ever collected; a dry run alone looks at all.
 */
#include "backdrop.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct cadre_limits small = {
	.workers = 2,
	.parallel = 1,
	.clients = 2,
	.slots = 8,
	.payload_max = 4096,
	.block_bytes = 65536,
};

static struct scene scene;
static struct cadre_view view;
static char said[640];
static int removed;

static void begin(void)
{
	backdrop_paint(&scene, &small, &view);
}

static void end(void)
{
	backdrop_remove(&scene, &view);
}

TestSuite(garbage, .init = begin, .fini = end);

static void listen(const char *sentence, void *context)
{
	(void)context;
	snprintf(said, sizeof(said), "%s", sentence);
}

/* Returns what was said about this pool: "" for nothing. */
static const char *collect(unsigned flags)
{
	said[0] = '\0';
	removed = cadre_collect_garbage(scene.pool, flags, listen, NULL);
	return said;
}

static bool begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

static void touch(enum cadre_file file)
{
	char path[CADRE_PATH_SIZE];
	int fd;

	cadre_path(scene.pool, file, path);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
}

static void cut_segment_to(off_t size)
{
	char path[CADRE_PATH_SIZE];

	cadre_path(scene.pool, CADRE_FILE_SEGMENT, path);
	cr_assert_eq(truncate(path, size), 0);
}

static void seat(struct cadre_place *place, enum cadre_place_state state)
{
	backdrop_seat(place, state, cadre_process_self());
}

Test(garbage, a_pool_without_supervisor_and_users_is_removed_whole)
{
	touch(CADRE_FILE_SOCKET);
	touch(CADRE_FILE_LOCK);

	cr_assert(begins_with(collect(0), "removed"), "%s", said);
	cr_assert_eq(scene_files(scene.pool), 0);
	cr_assert_eq(removed, 1);
	cr_assert_str_eq(collect(0), "");
	cr_assert_eq(removed, -ENOENT, "the second time there is nothing to do");
}

Test(garbage, a_dry_run_says_the_same_and_removes_nothing)
{
	cr_assert(begins_with(collect(CADRE_GC_DRY_RUN), "would remove"), "%s", said);
	cr_assert_eq(removed, 1);
	cr_assert_eq(scene_files(scene.pool), 1);
}

static void listen_for_this_pool(const char *sentence, void *context)
{
	if (strstr(sentence, scene.pool))
		listen(sentence, context);
}

Test(garbage, without_a_name_every_pool_is_looked_at)
{
	cr_assert_geq(cadre_collect_garbage(NULL, CADRE_GC_DRY_RUN, listen_for_this_pool,
					    NULL),
		      1);
	cr_assert(begins_with(said, "would remove"), "%s", said);
}

Test(garbage, a_living_worker_keeps_its_pool)
{
	seat(&view.worker_places[1], CADRE_PLACE_UP);
	cr_assert(begins_with(collect(0), "kept"), "%s", said);
	cr_assert_not_null(strstr(said, "worker 1"), "%s", said);
	cr_assert_eq(scene_files(scene.pool), 1, "and no lock file is left by the look");

	seat(&view.worker_places[1], CADRE_PLACE_STARTING);
	cr_assert(begins_with(collect(0), "kept"));
	seat(&view.worker_places[1], CADRE_PLACE_DRAINING);
	cr_assert(begins_with(collect(0), "kept"));
}

Test(garbage, a_living_client_keeps_its_pool)
{
	seat(&view.client_places[0], CADRE_PLACE_UP);
	cr_assert(begins_with(collect(0), "kept"), "%s", said);
	cr_assert_not_null(strstr(said, "client 0"), "%s", said);
}

Test(garbage, a_pid_that_lives_on_in_another_process_keeps_nothing)
{
	struct cadre_identity other = cadre_process_self();

	seat(&view.worker_places[0], CADRE_PLACE_UP);
	other.start_time++;
	cadre_place_set_start_time(&view.worker_places[0], other.start_time);
	cr_assert(begins_with(collect(0), "removed"), "%s", said);
}

Test(garbage, pids_from_before_the_last_boot_keep_nothing)
{
	seat(&view.worker_places[0], CADRE_PLACE_UP);
	view.header->boot_id++;
	cr_assert(begins_with(collect(0), "removed"), "%s", said);
	cr_assert_not_null(strstr(said, "boot"), "%s", said);
}

Test(garbage, a_pool_is_left_alone_while_it_has_a_supervisor_however_broken_it_is)
{
	backdrop_start_supervisor(&scene);
	view.header->magic++;

	cr_assert(begins_with(collect(0), "kept"), "%s", said);
	cr_assert_eq(removed, 0);
	cr_assert_eq(scene_files(scene.pool), 2);
	said[0] = '\0';
	cadre_collect_garbage(NULL, CADRE_GC_DRY_RUN, listen_for_this_pool, NULL);
	cr_assert_str_eq(said, "",
			 "when all are looked at, those that are well go unmentioned");

	backdrop_kill_supervisor();
	cr_assert(begins_with(collect(0), "removed"), "%s", said);
	cr_assert_eq(scene_files(scene.pool), 0);
}

Test(garbage, a_pool_that_died_while_it_started_is_removed)
{
	atomic_store(&view.header->ready, 0);
	cr_assert(begins_with(collect(0), "removed"), "%s", said);
	cr_assert_eq(scene_files(scene.pool), 0);
}

Test(garbage, a_segment_of_another_layout_without_supervisor_is_removed)
{
	view.header->layout++;
	cr_assert(begins_with(collect(0), "removed"), "%s", said);
	cr_assert_eq(scene_files(scene.pool), 0);
}

Test(garbage, a_segment_that_was_cut_short_is_removed)
{
	cut_segment_to(100);
	cr_assert(begins_with(collect(0), "removed"), "%s", said);
	cr_assert_eq(scene_files(scene.pool), 0);
}

Test(garbage, an_empty_segment_is_removed)
{
	cut_segment_to(0);
	cr_assert(begins_with(collect(0), "removed"), "%s", said);
	cr_assert_eq(scene_files(scene.pool), 0);
}

Test(garbage, a_socket_or_a_lock_without_a_segment_is_removed)
{
	cadre_segment_remove(scene.pool);
	touch(CADRE_FILE_SOCKET);
	cr_assert(begins_with(collect(0), "removed"), "%s", said);
	cr_assert_eq(scene_files(scene.pool), 0);

	touch(CADRE_FILE_LOCK);
	cr_assert(begins_with(collect(0), "removed"), "%s", said);
	cr_assert_eq(scene_files(scene.pool), 0);
}

Test(garbage, what_cannot_be_removed_is_said_and_not_counted)
{
	char path[CADRE_PATH_SIZE];

	cadre_segment_remove(scene.pool);
	cadre_path(scene.pool, CADRE_FILE_SEGMENT, path);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert(begins_with(collect(0), "cannot remove"), "%s", said);
	cr_assert_eq(removed, 0);
	cr_assert_eq(rmdir(path), 0);
}

Test(garbage, wrong_arguments_are_refused_before_anything_is_touched)
{
	cr_assert_eq(cadre_collect_garbage(scene.pool, 2, listen, NULL), -EINVAL);
	cr_assert_eq(cadre_collect_garbage("no/name", 0, listen, NULL), -EINVAL);
	cr_assert_eq(scene_files(scene.pool), 1);
}
