#include "log.h"
#include "clock.h"
#include "control.h"
#include "job.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 1000 /* about a millisecond */

static const int32_t off = CADRE_LOG_OFF;
const int32_t *cadre_log_threshold = &off;

/* Written by whoever sits down in this process, before the threshold. Of several workers in one
 * process, which only a program with local workers has, the first has the say; lines of a job
 * come out where that job is. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct cadre_view *_Atomic target;
static unsigned target_worker;
static char target_pool[CADRE_NAME_MAX + 1];

static void begin(const struct cadre_view *view, const char *pool, unsigned worker)
{
	target_worker = worker;
	snprintf(target_pool, sizeof(target_pool), "%s", pool);
	atomic_store(&target, view);
	/* The same word, without the qualifier that C++ does not know. Y9: release; whoever reads
	 * the level follows this pointer, and so looks later. */
	__atomic_store_n(&cadre_log_threshold,
			 (const int32_t *)(const void *)&view->header->log_level,
			 __ATOMIC_RELEASE);
}

void cadre_log_begin(const struct cadre_view *view, const char *pool, unsigned worker)
{
	pthread_mutex_lock(&lock);
	if (!atomic_load(&target))
		begin(view, pool, worker);
	pthread_mutex_unlock(&lock);
}

void cadre_log_end(const struct cadre_view *view)
{
	pthread_mutex_lock(&lock);
	if (atomic_load(&target) == view) {
		/* Y9 as well. */
		__atomic_store_n(&cadre_log_threshold, &off, __ATOMIC_RELEASE);
		atomic_store(&target, NULL);
	}
	pthread_mutex_unlock(&lock);
}

static int64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * CADRE_NS_PER_S + now.tv_nsec;
}

/*
 * Threads of this process write one after the other: one that is put aside in the middle of a
 * line, while the others come round the whole ring, would write over a newer line. Nobody
 * waits for long, though: whoever has it may be a thread that this process, a fork, does not
 * have. Then two lines may be mixed.
 */
static atomic_flag is_writing = ATOMIC_FLAG_INIT;

static bool await_turn(void)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		/* Y8: acquire, pairs with Y7: the last writer has written. */
		if (!atomic_flag_test_and_set_explicit(&is_writing, memory_order_acquire))
			return true;
		sched_yield();
	}
	return false;
}

void cadre_log_put(const struct cadre_view *view, uint32_t ring, uint64_t job,
		   enum cadre_log_level level, const char *text)
{
	struct cadre_log_record record = {
		.time_ns = realtime_ns(),
		.job = job,
		.pid = getpid(),
		.level = level,
	};

	bool is_turn;

	snprintf(record.text, sizeof(record.text), "%s", text);
	is_turn = await_turn();
	cadre_log_ring_write(&view->log_rings[ring], &record);
	/* Y7: release, pairs with Y8. */
	if (is_turn)
		atomic_flag_clear_explicit(&is_writing, memory_order_release);
}

/* Somebody is to look at the rings soon. Once for all, until it was done. */
static void knock(const struct cadre_view *view)
{
	const struct cadre_control message = cadre_control_message(CADRE_CONTROL_LOG);
	_Atomic uint32_t *const wish = &view->header->wish_to_log;

	/* Y5: the line is in the ring before the wish is looked at. Pairs with Y6 in clerk.c,
	 * which takes the wish back before it looks at the rings. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(wish, memory_order_relaxed) ||
	    atomic_exchange_explicit(wish, 1, memory_order_seq_cst))
		return;
	/* It does not wait; should nobody hear it, the supervisor's tick finds the line. */
	(void)cadre_control_ask(target_pool, &message, 0, NULL);
}

void cadre_log_write(const struct cadre_job *job, enum cadre_log_level level,
		     const char *format, ...)
{
	const struct cadre_view *const view = atomic_load(&target);
	const int error = errno;
	char text[CADRE_LOG_TEXT_MAX + 1];
	va_list arguments;
	int length;

	if (!view)
		return;
	if (!job)
		job = cadre_job_current;
	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof(text))
		memcpy(text + sizeof(text) - 4, "...", 4);
	if (job)
		cadre_log_put(job->host->view, job->host->worker, cadre_job_id(job),
			      level, text);
	else
		cadre_log_put(view, target_worker, 0, level, text);
	knock(view);
	errno = error;
}
