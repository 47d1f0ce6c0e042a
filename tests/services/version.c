/*
 * version.c - a service in several versions, VERSION being which: for tests of a reload.
 *
 *   1, 2   "version" says which it is, "hold" waits for a file to exist and then says so
 *          too; 1 has "old" and 2 has "new" besides
 *   3      its init fails
 *   4      gives an id of version 1 another name
 *   5      kills whoever loads it
 *
 * One whose fini is called while a job that it deferred has not ended dies of it.
 */
#include <cadre/service.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Of this object: a handler that is still inside must find it as it was. */
static uint32_t version = VERSION;

static void say_version(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_reply(job, &version, sizeof(version));
}

static void await_file(struct cadre_job *job)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	char path[256] = "";
	size_t length;
	const char *const data = cadre_job_data(job, &length);

	memcpy(path, data, length < sizeof(path) ? length : sizeof(path) - 1);
	while (access(path, F_OK) < 0 && !cadre_job_cancelled(job))
		nanosleep(&nap, NULL);
}

static void hold(struct cadre_job *job, void *state)
{
	await_file(job);
	say_version(job, state);
}

/* Threads that run this code: fini waits for them, as it must before the code may go. */
static pthread_t threads[4096];
static atomic_uint thread_count;
static atomic_uint ending; /* of their jobs: about to end, or ended */

static void *end_on_thread(void *job)
{
	await_file(job);
	atomic_fetch_add(&ending, 1);
	say_version(job, NULL);
	return NULL;
}

static void later(struct cadre_job *job, void *state)
{
	const unsigned index = atomic_fetch_add(&thread_count, 1);

	(void)state;
	cadre_job_defer(job);
	if (index >= 4096 ||
	    pthread_create(&threads[index], NULL, end_on_thread, job) != 0)
		abort();
}

static int begin(const struct cadre_start *start, void **ret_state,
		 struct cadre_diag *diag)
{
	(void)start;
	(void)ret_state;
	if (VERSION != 3)
		return 0;
	snprintf(diag->text, sizeof(diag->text), "version 3 never starts");
	return -EIO;
}

static int end(void *state)
{
	(void)state;
	/* Waiting for such a job's thread would hide that nobody else did. */
	if (atomic_load(&ending) != atomic_load(&thread_count))
		abort();
	for (unsigned i = 0; i < atomic_load(&thread_count) && i < 4096; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

#if VERSION == 5
__attribute__((constructor)) static void die(void)
{
	abort();
}
#endif

static const struct cadre_operation operations[] = {
	{ 1, VERSION == 4 ? "verse" : "version", say_version },
	{ 2, "hold", hold },
	{ 5, "later", later },
#if VERSION == 1
	{ 3, "old", say_version },
#else
	{ 4, "new", say_version },
#endif
};

__attribute__((visibility("default"))) extern const struct cadre_service cadre_service;

const struct cadre_service cadre_service = {
	.size = sizeof(cadre_service),
	.name = "version",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.init = begin,
	.fini = end,
};
