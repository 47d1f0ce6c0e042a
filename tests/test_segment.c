/*
 * Claims about segment.c: names, bytes and the lock, in a /dev/shm where anything may lie
 * in the way.
 *
 * The system calls fcntl and fallocate go through this file, so that a test can let
 * something happen just before the one and during the other.
 */
#include "in_child.h"
#include "room.h"
#include "scene.h"
#include "segment.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE ((size_t)8192)
#define NOBODY 65534

static struct scene scene;
static struct cadre_diag diag;

static void begin(void)
{
	scene_begin(&scene);
	diag = (struct cadre_diag){ 0 };
}

static void end(void)
{
	scene_end(&scene);
}

TestSuite(segment, .init = begin, .fini = end, .timeout = 60);

static const char *path_of(enum cadre_file file)
{
	static char path[CADRE_PATH_SIZE];

	cadre_path(scene.pool, file, path);
	return path;
}

static bool says(const char *words)
{
	return strstr(diag.text, words) != NULL;
}

/* Puts a file of that many bytes in the place of the segment. */
static void put_file(size_t size)
{
	const int fd = open(path_of(CADRE_FILE_SEGMENT), O_RDWR | O_CREAT | O_CLOEXEC,
			    0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

/* ---- between open and lock ---- */

static void (*before_locking)(void);

int fcntl(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);

	if (command == F_SETLK && before_locking)
		before_locking();
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

/* ---- during the allocation ---- */

static volatile sig_atomic_t disturbed;
static int signal_while_allocating;

/* As kernels before 6.18 do: a signal that is delivered ends it. */
int posix_fallocate(int fd, off_t offset, off_t length)
{
	if (signal_while_allocating)
		raise(signal_while_allocating);
	if (disturbed)
		return EINTR;
	return syscall(SYS_fallocate, fd, 0, offset, length) < 0 ? errno : 0;
}

/* ---- names ---- */

Test(segment, ordinary_names_are_names)
{
	static const char *const names[] = {
		"orders",
		"a",
		"A-Z_0.9",
		"-",
		"_x",
		"orders.v2",
		"sock",
		"lock",
		"x.sock.y",
		/* 63 bytes */
		"012345678901234567890123456789012345678901234567890123456789012",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_assert_eq(cadre_name_check(names[i], &diag), 0, "%s: %s", names[i],
			     diag.text);
}

Test(segment, names_that_could_mean_another_file_are_refused_with_a_sentence)
{
	static const char *const names[] = {
		"",
		".",
		"..",
		".hidden",
		"a/b",
		"../x",
		"a b",
		"a\n",
		"\xc3\xa4",
		"a:b",
		"a*",
		"x.sock",
		"x.lock",
		".sock",
		"a\x01",
		/* 64 bytes */
		"0123456789012345678901234567890123456789012345678901234567890123",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		diag.text[0] = '\0';
		cr_assert_eq(cadre_name_check(names[i], &diag), -EINVAL, "\"%s\"",
			     names[i]);
		cr_assert_neq(diag.text[0], '\0', "\"%s\"", names[i]);
	}
	cr_assert_eq(cadre_name_check(NULL, &diag), -EINVAL);
	cr_assert_eq(cadre_name_check(NULL, NULL), -EINVAL,
		     "the sentence may be left out");
}

Test(segment, the_paths_of_the_longest_name_fit_a_socket_address)
{
	char longest[CADRE_NAME_MAX + 1];
	char path[CADRE_PATH_SIZE];

	memset(longest, 'n', CADRE_NAME_MAX);
	longest[CADRE_NAME_MAX] = '\0';

	cadre_path(longest, CADRE_FILE_SOCKET, path);
	cr_assert_eq(strcmp(path + strlen(path) - 5, ".sock"), 0, "%s", path);
	cadre_path(longest, CADRE_FILE_LOCK, path);
	cr_assert_eq(strcmp(path + strlen(path) - 5, ".lock"), 0, "%s", path);
}

/* ---- creating and mapping ---- */

Test(segment, a_new_segment_is_zeros_of_the_size_and_mode_that_were_asked_for)
{
	struct cadre_segment segment = { 0 };
	struct stat status;

	umask(077);
	cr_assert_eq(cadre_segment_create(scene.pool, SIZE, 0640, &segment, &diag), 0,
		     "%s", diag.text);

	cr_assert_eq(segment.size, SIZE);
	for (size_t i = 0; i < SIZE; i++)
		cr_assert_eq(segment.base[i], 0);
	cr_assert_eq(stat(path_of(CADRE_FILE_SEGMENT), &status), 0);
	cr_assert_eq(status.st_size, SIZE);
	cr_assert_eq(status.st_mode & 0777, 0640, "whatever the umask says");
	cr_assert_geq((size_t)status.st_blocks * 512, SIZE, "every page is allocated");

	cadre_segment_close(&segment);
	cadre_segment_remove(scene.pool);
}

Test(segment, what_one_process_writes_another_reads)
{
	struct cadre_segment mine, theirs;

	cr_assert_eq(cadre_segment_create(scene.pool, SIZE, 0600, &mine, &diag), 0);
	cr_assert_eq(cadre_segment_open(scene.pool, true, &theirs, &diag), 0);

	mine.base[SIZE - 1] = 7;
	cr_assert_eq(theirs.base[SIZE - 1], 7);
	cr_assert_eq(theirs.size, SIZE);

	cadre_segment_close(&theirs);
	cadre_segment_close(&mine);
	cadre_segment_remove(scene.pool);
}

Test(segment, closing_twice_unmaps_once)
{
	struct cadre_segment segment;

	cr_assert_eq(cadre_segment_create(scene.pool, SIZE, 0600, &segment, &diag), 0);
	cadre_segment_close(&segment);
	cr_assert_null(segment.base);
	cadre_segment_close(&segment);
	cadre_segment_remove(scene.pool);
}

static int write_to(void *segment)
{
	signal(SIGSEGV, SIG_DFL);
	((struct cadre_segment *)segment)->base[0] = 1;
	return CHILD_FINE;
}

Test(segment, a_reader_cannot_write)
{
	struct cadre_segment segment;

	put_file(SIZE);
	cr_assert_eq(cadre_segment_open(scene.pool, false, &segment, &diag), 0);

	cr_assert_eq(child_run(write_to, &segment), 128 + SIGSEGV);

	cadre_segment_close(&segment);
	cadre_segment_remove(scene.pool);
}

Test(segment, a_segment_that_exists_is_neither_replaced_nor_touched)
{
	struct cadre_segment segment, another = { 0 };

	cr_assert_eq(cadre_segment_create(scene.pool, SIZE, 0600, &segment, &diag), 0);
	segment.base[0] = 7;

	cr_assert_eq(cadre_segment_create(scene.pool, 2 * SIZE, 0600, &another, &diag),
		     -EEXIST);
	cr_assert(says(scene.pool));
	cr_assert_null(another.base, "the result must not be touched on failure");
	cr_assert_eq(segment.base[0], 7);
	cr_assert_eq(scene_files(scene.pool), 1);

	cadre_segment_close(&segment);
	cadre_segment_remove(scene.pool);
}

Test(segment, removing_leaves_the_lock_to_its_holder)
{
	struct cadre_segment segment;
	struct cadre_lock lock;
	pid_t holder;

	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), 0);
	cr_assert_eq(cadre_segment_create(scene.pool, SIZE, 0600, &segment, &diag), 0);
	cadre_segment_close(&segment);
	close(open(path_of(CADRE_FILE_SOCKET), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	cr_assert_eq(scene_files(scene.pool), 3);

	cadre_segment_remove(scene.pool);

	cr_assert_eq(scene_files(scene.pool), 1);
	cr_assert_eq(access(path_of(CADRE_FILE_LOCK), F_OK), 0);
	cadre_lock_release(&lock);
}

Test(segment, removing_what_is_not_there_does_nothing)
{
	cadre_segment_remove(scene.pool);
}

/* ---- a /dev/shm that is too small ---- */

TestInChild(segment, a_dev_shm_that_is_too_small_is_said_before_anything_is_written)
{
	struct cadre_segment segment = { 0 };

	if (room_make("size=1m") < 0)
		child_skip(ROOM_SKIPPED);

	CHILD_CHECK(cadre_segment_create(scene.pool, 2u << 20, 0600, &segment, &diag) ==
		    -ENOSPC);
	CHILD_CHECK(says(scene.pool) && says("2048 KiB") && says("1024 KiB are free"));
	CHILD_CHECK(segment.base == NULL);
	CHILD_CHECK(scene_files(scene.pool) == 0);

	/* What fits is still to be had. */
	CHILD_CHECK(cadre_segment_create(scene.pool, 1u << 19, 0600, &segment, &diag) == 0);
}

TestInChild(segment, a_dev_shm_without_room_for_one_more_file_is_said)
{
	struct cadre_segment segment = { 0 };
	struct cadre_lock lock = { .fd = 99 };
	pid_t holder = 0;

	if (room_make("size=1m,nr_inodes=1") < 0)
		child_skip(ROOM_SKIPPED);

	CHILD_CHECK(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag) == -ENOSPC);
	CHILD_CHECK(says(scene.pool));
	CHILD_CHECK(lock.fd == 99);

	diag.text[0] = '\0';
	CHILD_CHECK(cadre_segment_create(scene.pool, SIZE, 0600, &segment, &diag) ==
		    -ENOSPC);
	CHILD_CHECK(says(scene.pool));
}

TestInChild(segment, a_process_without_room_to_map_it_says_so_and_leaves_nothing)
{
	const struct rlimit none = { .rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY };
	struct cadre_segment segment = { 0 };

#ifdef __SANITIZE_ADDRESS__
	child_skip("the address sanitizer itself needs addresses without bound");
#endif
	CHILD_CHECK(setrlimit(RLIMIT_AS, &none) == 0);
	CHILD_CHECK(cadre_segment_create(scene.pool, 4u << 20, 0600, &segment, &diag) ==
		    -ENOMEM);
	CHILD_CHECK(says(scene.pool));
	CHILD_CHECK(scene_files(scene.pool) == 0);
}

static void note_signal(int signal_number)
{
	(void)signal_number;
	disturbed = 1;
}

Test(segment, a_program_with_a_profiling_timer_can_create_a_segment)
{
	const struct sigaction action = { .sa_handler = note_signal };
	struct cadre_segment segment;

	sigaction(SIGALRM, &action, NULL);
	signal_while_allocating = SIGALRM;

	cr_assert_eq(cadre_segment_create(scene.pool, SIZE, 0600, &segment, &diag), 0,
		     "%s", diag.text);
	cr_assert(disturbed, "the signal comes when the segment stands");
	cadre_segment_close(&segment);
	cadre_segment_remove(scene.pool);
}

/* ---- what may lie in the place of a segment ---- */

Test(segment, a_pool_that_does_not_exist_is_named_with_the_file_that_is_missing)
{
	struct cadre_segment segment = { 0 };

	cr_assert_eq(cadre_segment_open(scene.pool, true, &segment, &diag), -ENOENT);
	cr_assert(says(scene.pool));
	cr_assert(says(path_of(CADRE_FILE_SEGMENT)));
	cr_assert_null(segment.base);
}

Test(segment, an_empty_file_is_no_segment)
{
	struct cadre_segment segment;

	put_file(0);

	cr_assert_eq(cadre_segment_open(scene.pool, true, &segment, &diag), -EBADMSG);
	cr_assert(says(scene.pool));
	cadre_segment_remove(scene.pool);
}

Test(segment, a_symbolic_link_is_not_followed)
{
	struct cadre_segment segment;

	cr_assert_eq(symlink("/etc/passwd", path_of(CADRE_FILE_SEGMENT)), 0);

	cr_assert_lt(cadre_segment_open(scene.pool, false, &segment, &diag), 0);
	cr_assert(says(scene.pool));
	cr_assert_eq(cadre_segment_create(scene.pool, SIZE, 0600, &segment, &diag),
		     -EEXIST);
	cadre_segment_remove(scene.pool);
}

Test(segment, a_fifo_is_refused_and_not_waited_for)
{
	struct cadre_segment segment;

	cr_assert_eq(mkfifo(path_of(CADRE_FILE_SEGMENT), 0600), 0);

	cr_assert_lt(cadre_segment_open(scene.pool, false, &segment, &diag), 0);
	cr_assert_lt(cadre_segment_open(scene.pool, true, &segment, &diag), 0);
	cadre_segment_remove(scene.pool);
}

static int open_as_nobody(void *unused)
{
	struct cadre_segment segment;
	struct cadre_lock lock;
	pid_t holder;

	(void)unused;
	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return CHILD_SKIPPED;

	CHILD_CHECK(cadre_segment_open(scene.pool, true, &segment, &diag) == -EACCES);
	CHILD_CHECK(says(scene.pool) && says("another user"));
	CHILD_CHECK(cadre_segment_open(scene.pool, false, &segment, &diag) == -EACCES);

	diag.text[0] = '\0';
	CHILD_CHECK(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag) == -EACCES);
	CHILD_CHECK(says(scene.pool));
	CHILD_CHECK(cadre_lock_holder(scene.pool) == -1);
	return CHILD_FINE;
}

Test(segment, the_pool_of_another_user_is_closed_to_us)
{
	struct cadre_segment segment;
	struct cadre_lock lock;
	pid_t holder;

	cr_assert_eq(cadre_segment_create(scene.pool, SIZE, 0600, &segment, &diag), 0);
	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), 0);

	const int status = child_run(open_as_nobody, NULL);

	cadre_lock_release(&lock);
	cadre_segment_close(&segment);
	cadre_segment_remove(scene.pool);
	if (status == CHILD_SKIPPED)
		cr_skip("only root can become another user");
	cr_assert_eq(status, CHILD_FINE);
}

/* ---- the lock ---- */

/* A child that holds the lock until it is killed; it raises the flag when it does. */
static _Atomic int *held;

static int hold(void *unused)
{
	struct cadre_lock lock;
	pid_t holder;

	(void)unused;
	before_locking = NULL;
	CHILD_CHECK(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag) == 0);
	*held = 1;
	child_idle();
}

static pid_t start_holder(void)
{
	held = child_share(sizeof(*held));

	const pid_t child = child_start(hold, NULL);

	for (int look = 0; look < 5000 && !*held; look++)
		child_pause_ms(1);
	return child;
}

Test(segment, a_lock_that_is_held_is_refused_with_the_pid_of_its_holder)
{
	struct cadre_lock lock = { .fd = 99 };
	pid_t holder = 0;
	const pid_t child = start_holder();

	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), -EEXIST);
	cr_assert_eq(holder, child);
	cr_assert(says(scene.pool));
	cr_assert_eq(lock.fd, 99, "the result must not be touched on failure");
	cr_assert_eq(cadre_lock_holder(scene.pool), child);

	child_kill(child);
	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), 0);
	cadre_lock_release(&lock);
}

Test(segment, a_lock_is_free_as_soon_as_its_holder_was_killed)
{
	struct cadre_lock lock;
	pid_t holder;

	child_kill(start_holder());

	cr_assert_eq(cadre_lock_holder(scene.pool), 0);
	cr_assert_eq(scene_files(scene.pool), 1, "its file is left");
	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), 0);
	cadre_lock_release(&lock);
}

Test(segment, nobody_holds_the_lock_of_a_pool_that_never_was)
{
	cr_assert_eq(cadre_lock_holder(scene.pool), 0);
	cr_assert_eq(scene_files(scene.pool), 0, "asking creates nothing");
}

static int try_as_child(void *parent)
{
	struct cadre_lock lock;
	pid_t holder = 0;

	CHILD_CHECK(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag) == -EEXIST);
	CHILD_CHECK(holder == *(const pid_t *)parent);
	return CHILD_FINE;
}

Test(segment, a_forked_child_does_not_hold_the_lock_of_its_parent)
{
	struct cadre_lock lock;
	pid_t holder, self = getpid();

	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), 0);

	cr_assert_eq(child_run(try_as_child, &self), CHILD_FINE);
	cr_assert_eq(child_run(try_as_child, &self), CHILD_FINE,
		     "nor did the first child's end let go of it");
	cadre_lock_release(&lock);
}

static int close_copy(void *lock)
{
	close(((const struct cadre_lock *)lock)->fd);
	return CHILD_FINE;
}

Test(segment, a_forked_child_that_closes_its_copy_does_not_let_go)
{
	struct cadre_lock lock;
	pid_t holder, self = getpid();

	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), 0);
	child_run(close_copy, &lock);

	cr_assert_eq(child_run(try_as_child, &self), CHILD_FINE);
	cadre_lock_release(&lock);
}

/* Forks a child of its own, which outlives it with a copy of the descriptor. */
static int hold_and_fork(void *orphan)
{
	struct cadre_lock lock;
	pid_t holder;

	CHILD_CHECK(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag) == 0);

	const pid_t child = fork();

	if (child > 0)
		*(_Atomic pid_t *)orphan = child;
	child_idle();
}

Test(segment, a_worker_that_outlives_its_supervisor_does_not_keep_the_lock)
{
	_Atomic pid_t *const orphan = child_share(sizeof(*orphan));
	const pid_t supervisor = child_start(hold_and_fork, orphan);
	struct cadre_lock lock;
	pid_t holder;

	for (int look = 0; look < 5000 && *orphan == 0; look++)
		child_pause_ms(1);
	child_kill(supervisor);

	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), 0, "%s",
		     diag.text);
	cadre_lock_release(&lock);
	cr_assert_gt(*orphan, 0);
	kill(*orphan, SIGKILL);
}

Test(segment, release_removes_the_file_and_lets_go)
{
	struct cadre_lock lock;
	pid_t holder;

	for (int round = 0; round < 3; round++) {
		cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), 0);
		cr_assert_eq(cadre_lock_holder("nobody-has-this"), 0);
		cadre_lock_release(&lock);
		cr_assert_eq(scene_files(scene.pool), 0);
	}
}

/* The last holder removes its file between our open and our lock. */
static void remove_once(void)
{
	before_locking = NULL;
	unlink(path_of(CADRE_FILE_LOCK));
}

static int sees_holder(void *pid)
{
	CHILD_CHECK(cadre_lock_holder(scene.pool) == *(const pid_t *)pid);
	return CHILD_FINE;
}

Test(segment, a_lock_file_that_was_removed_under_the_lock_does_not_count)
{
	struct cadre_lock lock;
	pid_t holder, self = getpid();

	before_locking = remove_once;
	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), 0);

	cr_assert_eq(child_run(sees_holder, &self), CHILD_FINE,
		     "what we hold is the file that others find");
	cadre_lock_release(&lock);
}

/* ... and somebody else is faster to make and lock the next one. */
static pid_t faster;

static void replace_once(void)
{
	before_locking = NULL;
	unlink(path_of(CADRE_FILE_LOCK));
	faster = start_holder();
}

Test(segment, a_lock_file_that_was_replaced_under_the_lock_belongs_to_the_other)
{
	struct cadre_lock lock;
	pid_t holder = 0;

	before_locking = replace_once;
	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), -EEXIST);
	cr_assert_eq(holder, faster);

	child_kill(faster);
	unlink(path_of(CADRE_FILE_LOCK));
}

static void remove_always(void)
{
	unlink(path_of(CADRE_FILE_LOCK));
}

Test(segment, a_directory_that_plays_tricks_ends_in_a_refusal)
{
	struct cadre_lock lock;
	pid_t holder;

	before_locking = remove_always;
	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), -EEXIST);
	cr_assert(says(scene.pool));
	before_locking = NULL;
}

/* ---- finding pools ---- */

struct found {
	unsigned plain, dotted, others;
	char dotted_name[CADRE_NAME_MAX + 1];
};

static void note_pool(const char *pool, void *context)
{
	struct found *const found = context;

	if (strcmp(pool, scene.pool) == 0)
		found->plain++;
	else if (strcmp(pool, found->dotted_name) == 0)
		found->dotted++;
	else if (strncmp(pool, scene.pool, strlen(scene.pool)) == 0)
		found->others++;
}

static void touch(const char *pool, const char *suffix)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/dev/shm/cadre.%s%s", pool, suffix);
	close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
}

static void remove_pool(const char *pool)
{
	char path[CADRE_PATH_SIZE];

	cadre_segment_remove(pool);
	cadre_path(pool, CADRE_FILE_LOCK, path);
	unlink(path);
}

Test(segment, a_pool_with_three_files_is_found_once)
{
	struct found found = { 0 };

	touch(scene.pool, "");
	touch(scene.pool, ".sock");
	touch(scene.pool, ".lock");

	cadre_each_pool(note_pool, &found);
	remove_pool(scene.pool);

	cr_assert_eq(found.plain, 1);
	cr_assert_eq(found.others, 0);
}

/* The names of their files mix when sorted: x, x.b, x.b.lock, x.lock. */
Test(segment, pools_of_which_one_name_begins_with_the_other_are_found_once_each)
{
	struct found found = { 0 };

	snprintf(found.dotted_name, sizeof(found.dotted_name), "%.60s.b", scene.pool);
	touch(scene.pool, "");
	touch(scene.pool, ".lock");
	touch(found.dotted_name, "");
	touch(found.dotted_name, ".lock");

	cadre_each_pool(note_pool, &found);
	remove_pool(scene.pool);
	remove_pool(found.dotted_name);

	cr_assert_eq(found.plain, 1);
	cr_assert_eq(found.dotted, 1);
}

Test(segment, a_pool_of_which_only_the_lock_is_left_is_found_too)
{
	struct found found = { 0 };

	touch(scene.pool, ".lock");
	cadre_each_pool(note_pool, &found);
	remove_pool(scene.pool);

	cr_assert_eq(found.plain, 1);
}

/* From any byte to any byte. */
Test(segment, a_part_that_is_mapped_now_keeps_its_bytes)
{
	struct cadre_segment segment;

	cr_assert_eq(cadre_segment_create(scene.pool, SIZE, 0600, &segment, &diag), 0);
	segment.base[SIZE - 1] = 7;
	cadre_segment_map_now(segment.base + 100, SIZE - 100);
	cr_assert_eq(segment.base[100], 0);
	cr_assert_eq(segment.base[SIZE - 1], 7);
	cadre_segment_close(&segment);
	cadre_segment_remove(scene.pool);
}

/* The kernel drops a record lock when its process closes any descriptor of the file. */
Test(segment, a_holder_that_looks_at_its_own_lock_keeps_it)
{
	struct cadre_lock lock, second;
	pid_t holder = 0, self = getpid();

	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &lock, &holder, &diag), 0);
	cr_assert_eq(cadre_lock_holder(scene.pool), self);
	cr_assert_eq(cadre_lock_take(scene.pool, 0600, &second, &holder, &diag), -EEXIST);
	cr_assert_eq(holder, self);
	cr_assert_eq(child_run(try_as_child, &self), CHILD_FINE);
	cadre_lock_release(&lock);
	cr_assert_eq(cadre_lock_holder(scene.pool), 0);
}

Test(segment, files_that_no_pool_could_have_are_passed_over)
{
	struct found found = { 0 };
	char odd[CADRE_NAME_MAX + 20];

	snprintf(odd, sizeof(odd), "%s odd", scene.pool);
	touch(odd, "");
	cadre_each_pool(note_pool, &found);
	snprintf(odd, sizeof(odd), "/dev/shm/cadre.%s odd", scene.pool);
	unlink(odd);

	cr_assert_eq(found.others, 0);
}
