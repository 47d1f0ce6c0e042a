#include "segment.h"
#include "diag.h"
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DIRECTORY "/dev/shm"
#define PREFIX "cadre."

static const char *const suffixes[] = {
	[CADRE_FILE_SEGMENT] = "",
	[CADRE_FILE_SOCKET] = ".sock",
	[CADRE_FILE_LOCK] = ".lock",
};

static bool ends_with(const char *text, const char *ending)
{
	const size_t length = strlen(text), tail = strlen(ending);

	return length >= tail && strcmp(text + length - tail, ending) == 0;
}

int cadre_name_check(const char *pool, struct cadre_diag *diag)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-_";
	const size_t length = pool ? strnlen(pool, CADRE_NAME_MAX + 1) : 0;

	if (length == 0)
		return cadre_refuse(diag, -EINVAL, "the name of the pool is missing");
	if (length > CADRE_NAME_MAX)
		return cadre_refuse(diag, -EINVAL,
				    "pool name \"%.20s...\" is too long: at most %d bytes",
				    pool, CADRE_NAME_MAX);
	if (strspn(pool, allowed) != length || pool[0] == '.')
		return cadre_refuse(
			diag, -EINVAL,
			"\"%s\" is no name for a pool: use letters, digits, '-', '_' "
			"and '.', and do not begin with '.'",
			pool);
	if (ends_with(pool, suffixes[CADRE_FILE_SOCKET]) ||
	    ends_with(pool, suffixes[CADRE_FILE_LOCK]))
		return cadre_refuse(diag, -EINVAL,
				    "\"%s\" is no name for a pool: it must not end in .sock or "
				    ".lock",
				    pool);
	return 0;
}

void cadre_path(const char *pool, enum cadre_file file, char path[CADRE_PATH_SIZE])
{
	snprintf(path, CADRE_PATH_SIZE, DIRECTORY "/" PREFIX "%s%s", pool, suffixes[file]);
}

static int refuse_open(struct cadre_diag *diag, int error, const char *pool,
		       const char *path)
{
	if (error == ENOENT)
		return cadre_refuse(diag, -ENOENT,
				    "cannot open pool \"%s\": no segment %s (is the pool "
				    "running?)",
				    pool, path);
	if (error == EACCES || error == EPERM)
		return cadre_refuse(diag, -EACCES,
				    "cannot open pool \"%s\": %s belongs to another user (its "
				    "owner can start it with a wider mode)",
				    pool, path);
	return cadre_refuse(diag, -error, "cannot open pool \"%s\": %s: %s", pool, path,
			    strerror(error));
}

static int map(int fd, size_t size, int protection, struct cadre_segment *ret_segment)
{
	void *const base = mmap(NULL, size, protection, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	*ret_segment = (struct cadre_segment){ .base = base, .size = size };
	return 0;
}

/* Signals wait meanwhile: on older kernels any of them ends the allocation with EINTR and
 * undoes it, so that a program with a profiling timer would never get through. */
static int allocate_undisturbed(int fd, size_t size)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	error = posix_fallocate(fd, 0, (off_t)size);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* Allocates every page. -ENOSPC with a sentence that says how much was there. */
static int allocate(int fd, size_t size, const char *pool, struct cadre_diag *diag)
{
	struct statvfs disk = { 0 };
	const int error = allocate_undisturbed(fd, size);

	if (error == 0)
		return 0;
	fstatvfs(fd, &disk);
	return cadre_refuse(diag, error == EFBIG || error == ENOSPC ? -ENOSPC : -error,
			    "cannot create pool \"%s\": it needs %zu KiB of " DIRECTORY
			    " and %llu KiB are free (fewer clients, slots or block bytes, or a "
			    "larger " DIRECTORY ", would do)",
			    pool, size >> 10,
			    (unsigned long long)disk.f_bavail * disk.f_frsize >> 10);
}

static int refuse_create(struct cadre_diag *diag, int error, const char *pool,
			 const char *path)
{
	return cadre_refuse(diag, -error, "cannot create pool \"%s\": %s: %s", pool, path,
			    strerror(error));
}

int cadre_segment_create(const char *pool, size_t size, mode_t mode,
			 struct cadre_segment *ret_segment, struct cadre_diag *diag)
{
	char path[CADRE_PATH_SIZE];
	int fd, r;

	cadre_path(pool, CADRE_FILE_SEGMENT, path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return refuse_create(diag, errno, pool, path);

	if (fchmod(fd, mode) < 0)
		r = refuse_create(diag, errno, pool, path);
	else
		r = allocate(fd, size, pool, diag);
	if (r == 0) {
		r = map(fd, size, PROT_READ | PROT_WRITE, ret_segment);
		if (r < 0)
			refuse_create(diag, -r, pool, path);
	}
	if (r < 0)
		unlink(path);
	close(fd);
	return r;
}

int cadre_segment_open(const char *pool, bool writable, struct cadre_segment *ret_segment,
		       struct cadre_diag *diag)
{
	char path[CADRE_PATH_SIZE];
	struct stat status;
	int fd, r;

	cadre_path(pool, CADRE_FILE_SEGMENT, path);
	/* O_NONBLOCK, because anybody may put a fifo there, at which an open would wait. */
	fd = open(path,
		  (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return refuse_open(diag, errno, pool, path);

	if (fstat(fd, &status) < 0)
		r = -errno;
	else if (!S_ISREG(status.st_mode) || status.st_size <= 0)
		r = -EBADMSG;
	else
		r = map(fd, (size_t)status.st_size,
			writable ? PROT_READ | PROT_WRITE : PROT_READ, ret_segment);
	close(fd);
	if (r == -EBADMSG)
		return cadre_refuse(diag, r,
				    "cannot open pool \"%s\": %s is not a finished segment",
				    pool, path);
	return r < 0 ? refuse_open(diag, -r, pool, path) : 0;
}

void cadre_segment_close(struct cadre_segment *segment)
{
	if (segment->base)
		munmap(segment->base, segment->size);
	*segment = (struct cadre_segment){ 0 };
}

void cadre_segment_map_now(const void *part, size_t size)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t from = (uintptr_t)part & ~(page - 1);

	(void)madvise((void *)from, (uintptr_t)part + size - from, MADV_POPULATE_WRITE);
}

void cadre_segment_remove(const char *pool)
{
	char path[CADRE_PATH_SIZE];

	cadre_path(pool, CADRE_FILE_SOCKET, path);
	unlink(path);
	cadre_path(pool, CADRE_FILE_SEGMENT, path);
	unlink(path);
}

/* The locks of this process. A record lock is lost when its process closes any descriptor of
 * the file, so one that we hold must not even be looked at. A forked child holds none. */
static struct {
	pid_t pid;
	char path[CADRE_PATH_SIZE];
} held_locks[4];

static bool is_held_by_us(const char *path)
{
	for (size_t i = 0; i < sizeof(held_locks) / sizeof(held_locks[0]); i++) {
		if (held_locks[i].pid == getpid() && strcmp(held_locks[i].path, path) == 0)
			return true;
	}
	return false;
}

static void note_held(const char *path)
{
	for (size_t i = 0; i < sizeof(held_locks) / sizeof(held_locks[0]); i++) {
		if (held_locks[i].pid == getpid())
			continue;
		held_locks[i].pid = getpid();
		snprintf(held_locks[i].path, sizeof(held_locks[i].path), "%s", path);
		return;
	}
}

static void forget_held(const char *path)
{
	for (size_t i = 0; i < sizeof(held_locks) / sizeof(held_locks[0]); i++) {
		if (held_locks[i].pid == getpid() && strcmp(held_locks[i].path, path) == 0)
			held_locks[i].pid = 0;
	}
}

static bool same_file(int fd, const char *path)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && stat(path, &named) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

int cadre_lock_take(const char *pool, mode_t mode, struct cadre_lock *ret_lock,
		    pid_t *ret_holder, struct cadre_diag *diag)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct cadre_lock lock;

	cadre_path(pool, CADRE_FILE_LOCK, lock.path);
	if (is_held_by_us(lock.path)) {
		*ret_holder = getpid();
		return cadre_refuse(diag, -EEXIST,
				    "pool \"%s\" has a supervisor already: this process",
				    pool);
	}

	/* The last holder may have removed the file between our open and our lock; then we
	 * hold a file without a name, and start again. Each round means that somebody else
	 * came to an end, so this does not go on for ever; the bound is for a directory that
	 * plays tricks. */
	for (int round = 0; round < 100; round++) {
		lock.fd = open(lock.path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
		if (lock.fd < 0)
			return cadre_refuse(diag, -errno,
					    "cannot lock pool \"%s\": %s: %s", pool,
					    lock.path, strerror(errno));
		if (fcntl(lock.fd, F_SETLK, &whole) < 0) {
			*ret_holder = fcntl(lock.fd, F_GETLK, &whole) == 0 ? whole.l_pid :
									     -1;
			close(lock.fd);
			return cadre_refuse(
				diag, -EEXIST,
				"pool \"%s\" has a supervisor already (pid %d)%s", pool,
				(int)*ret_holder,
				*ret_holder > 0 && cadre_process_is_stopped(*ret_holder) ?
					", which is stopped: it keeps the pool "
					"until it is continued or killed" :
					"");
		}
		if (same_file(lock.fd, lock.path)) {
			/* Whatever the umask: who may open the segment may ask for the holder. */
			(void)fchmod(lock.fd, mode);
			note_held(lock.path);
			*ret_lock = lock;
			return 0;
		}
		close(lock.fd);
	}
	return cadre_refuse(diag, -EEXIST, "cannot lock pool \"%s\": %s keeps changing",
			    pool, lock.path);
}

void cadre_lock_release(struct cadre_lock *lock)
{
	unlink(lock->path);
	close(lock->fd);
	forget_held(lock->path);
	lock->fd = -1;
}

pid_t cadre_lock_holder(const char *pool)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[CADRE_PATH_SIZE];
	pid_t holder = 0;
	int fd;

	cadre_path(pool, CADRE_FILE_LOCK, path);
	if (is_held_by_us(path))
		return getpid();
	/* To look at a lock it need not be writable. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fcntl(fd, F_GETLK, &whole) < 0)
		holder = -1;
	else if (whole.l_type != F_UNLCK)
		/* 0 when the holder sits in a pid namespace that we do not see. */
		holder = whole.l_pid > 0 ? whole.l_pid : -1;
	close(fd);
	return holder;
}

/* Cuts "cadre.NAME" or "cadre.NAME.lock" down to NAME. False when it is no such file. */
static bool pool_of_file(const char *file, char pool[NAME_MAX + 1])
{
	if (strncmp(file, PREFIX, strlen(PREFIX)) != 0)
		return false;
	snprintf(pool, NAME_MAX + 1, "%s", file + strlen(PREFIX));
	for (size_t i = 1; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (ends_with(pool, suffixes[i]))
			pool[strlen(pool) - strlen(suffixes[i])] = '\0';
	}
	return cadre_name_check(pool, NULL) == 0;
}

static int is_pool_file(const struct dirent *entry)
{
	char pool[NAME_MAX + 1];

	return pool_of_file(entry->d_name, pool);
}

/* By the name of the pool, so that its files lie together: sorted by their own names, those
 * of "x" and "x.b" would mix. */
static int by_pool(const struct dirent **left, const struct dirent **right)
{
	char left_pool[NAME_MAX + 1], right_pool[NAME_MAX + 1];

	pool_of_file((*left)->d_name, left_pool);
	pool_of_file((*right)->d_name, right_pool);
	return strcmp(left_pool, right_pool);
}

void cadre_each_pool(void (*visit)(const char *pool, void *context), void *context)
{
	char pool[NAME_MAX + 1], last[NAME_MAX + 1] = "";
	struct dirent **entries;
	const int count = scandir(DIRECTORY, &entries, is_pool_file, by_pool);

	for (int i = 0; i < count; i++) {
		if (pool_of_file(entries[i]->d_name, pool) && strcmp(pool, last) != 0) {
			memcpy(last, pool, sizeof(last));
			visit(pool, context);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}
