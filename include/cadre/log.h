/*
 * log.h - lines that workers and the supervisor of a pool write, and where they come out.
 *
 *	cadre_log(CADRE_LOG_INFO, "cache is warm: %zu entries", n);      in a worker
 *	cadre_job_log(job, CADRE_LOG_DEBUG, "retrying %s", host);         the same, of a job
 *
 * Nothing is logged until somebody asks for it: by log_level of the pool's options, or
 * while it runs by cadre_log_set_level. A message above the level costs one look at a word
 * of the segment; its arguments are not evaluated. One below it is written into a ring of
 * the worker's place: without a lock, without waiting for anybody, and so that it is still
 * there when the worker is killed in the next instant. Whoever falls behind by more than
 * CADRE_LOG_LINES lines of one worker loses the oldest, and is told how many.
 */
#ifndef CADRE_LOG_H
#define CADRE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/error.h>

CADRE_BEGIN_DECLS

/* Those of syslog(3), and TRACE below them. */
enum cadre_log_level {
	CADRE_LOG_OFF = 0,
	CADRE_LOG_EMERGENCY = 1,
	CADRE_LOG_ALERT = 2,
	CADRE_LOG_CRITICAL = 3,
	CADRE_LOG_ERROR = 4,
	CADRE_LOG_WARNING = 5,
	CADRE_LOG_NOTICE = 6,
	CADRE_LOG_INFO = 7,
	CADRE_LOG_DEBUG = 8,
	CADRE_LOG_TRACE = 9,
};

#define CADRE_LOG_TEXT_MAX 479 /* bytes of a message; the rest is cut off */
#define CADRE_LOG_LINES 32     /* that are kept of each worker, and of the supervisor */

/* "off", "emergency", ... "trace". Never NULL. */
CADRE_API const char *cadre_log_level_name(enum cadre_log_level level);

/* The level of that name, its unambiguous beginning ("err", "warn"), or its number: or
 * -EINVAL. */
CADRE_API int cadre_log_level_of(const char *name);

/* ---- writing, in a worker ---- */

struct cadre_job;

/* Private: where the level stands. Elsewhere than in a worker it is always off. */
CADRE_API extern const int32_t *cadre_log_threshold;

static inline bool cadre_log_enabled(enum cadre_log_level level)
{
	const int32_t *const threshold = __atomic_load_n(&cadre_log_threshold,
							 __ATOMIC_RELAXED);

	return (int32_t)level <= __atomic_load_n(threshold, __ATOMIC_RELAXED);
}

/* Private: writes whatever the level is. `job` NULL: that of the calling thread. */
CADRE_API void cadre_log_write(const struct cadre_job *job, enum cadre_log_level level,
			       const char *format, ...) CADRE_PRINTF(3, 4);

/* A line of the worker, with the job whose handler runs on this thread, if any. Any thread;
 * not in a signal handler. Leaves errno alone. */
#define cadre_log(level, ...)                                                         \
	(cadre_log_enabled(level) ?                                                   \
		 cadre_log_write((const struct cadre_job *)0, (level), __VA_ARGS__) : \
		 (void)0)

/* The same for a job that this thread does not run: a deferred one. */
#define cadre_job_log(job, level, ...)                                             \
	(cadre_log_enabled(level) ? cadre_log_write((job), (level), __VA_ARGS__) : \
				    (void)0)

/* ---- the level ---- */

/* Tells the supervisor, which tells everybody: from the answer on the level is another one
 * for each worker, those that are in a handler included. Errors as cadre_order, with
 * CADRE_ORDER_LOG_LEVEL, which says it in a sentence too. */
CADRE_API int cadre_log_set_level(const char *pool, enum cadre_log_level level,
				  struct cadre_diag *diag);

/* ---- reading ---- */

/* Where the supervisor puts the lines: log_sinks of the pool's options. */
enum {
	CADRE_LOG_TO_STDERR = 1u << 0, /* whole lines, as cadre_log_format makes them */
	CADRE_LOG_TO_SYSLOG = 1u << 1, /* /dev/log: journald, rsyslog and the like */
	CADRE_LOG_TO_NOBODY = 1u << 2, /* only those who read the log themselves */
};

struct cadre_log_line {
	int64_t time_ns; /* CLOCK_REALTIME, so UTC */
	enum cadre_log_level level;
	const char *pool;
	int32_t worker; /* its place; -1: the supervisor */
	int32_t pid;
	uint64_t job;     /* as cadre_job_id; 0: none */
	const char *text; /* without a newline or other control characters */
};

/* Is called with each line; the strings live until it returns. */
typedef void cadre_log_fn(const struct cadre_log_line *line, void *context);

/* "2026-11-22T08:30:00.123456Z info orders worker 3 (pid 4711) job 81: text", without a
 * newline. Returns the length of all of it, as snprintf does. */
CADRE_API size_t cadre_log_format(const struct cadre_log_line *line, char *text,
				  size_t size);

struct cadre_log;

/* Opens the log of a pool, alive or dead, for reading; anybody may who may map its segment,
 * any number at once, the program that started an embedded pool among them. `kept`: begin
 * with the lines that are still there; else with the next one. Asks nobody and writes
 * nothing. Errors are those of cadre_report_open. */
CADRE_API int cadre_log_open(const char *pool, bool kept, struct cadre_log **ret_log,
			     struct cadre_diag *diag);
CADRE_API void cadre_log_close(struct cadre_log *log);

/* Calls `call` with each line that is new since the last time, in order of time. What was
 * overwritten before it was read is told as a line of the level WARNING. Returns how many
 * calls that were; never blocks, so a loop over it wants a pause. Not for two threads at
 * once. */
CADRE_API int cadre_log_read(struct cadre_log *log, cadre_log_fn *call, void *context);

CADRE_END_DECLS
#endif
