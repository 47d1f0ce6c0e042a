/*
 * report.h - read the counters of a pool without disturbing it.
 *
 * A report maps the segment read-only and asks nobody, so it works on a saturated, a
 * stopped and a dead pool alike. What each counter means is described once, in the list
 * that cadre_counter_describe hands out.
 */
#ifndef CADRE_REPORT_H
#define CADRE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/backtrace.h>
#include <cadre/error.h>
#include <cadre/pool.h>

CADRE_BEGIN_DECLS

enum cadre_counter_scope {
	CADRE_SCOPE_WORKER, /* written by the worker; goes on over restarts */
	CADRE_SCOPE_PLACE,  /* written by the supervisor about a worker's place */
	CADRE_SCOPE_CLIENT,
	CADRE_SCOPE_POOL,
	CADRE_SCOPE_COUNT,
};

enum cadre_counter_kind { CADRE_COUNTER_TOTAL, CADRE_COUNTER_LEVEL, CADRE_COUNTER_PEAK };

struct cadre_counter_description {
	const char *name;
	enum cadre_counter_kind kind;
	const char *unit;
	const char *sentence;
};

/* The counters of a scope, in the order in which the snapshots below hold them. */
CADRE_API const struct cadre_counter_description *cadre_counter_describe(
	enum cadre_counter_scope scope, size_t *ret_count);

#define CADRE_SNAPSHOT_COUNTERS_MAX 40

/* Durations in ns that so many of the jobs did not exceed, at most 12.5 % too large. Those
 * beyond 36 minutes count as that. */
struct cadre_percentiles {
	uint64_t jobs;
	int64_t p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
};

/* One place of a worker. */
struct cadre_worker_snapshot {
	uint32_t place;
	/* '_' idle, 'S' starting, 'W' working, 'B' blocked, 'G' draining, 'H' past the
	 * deadline of a job, 'X' dead or waiting to be restarted, 'D' disabled, '.' unused,
	 * '?' impossible */
	char letter;
	bool torn;   /* the times were being changed for as long as we looked */
	int32_t pid; /* 0: none; of a dead pool: as recorded */
	uint32_t incarnation;
	int64_t uptime_ns;     /* of this process; 0 when there is none */
	int64_t idle_ns;       /* 0 while working, else since the last job or the start */
	int64_t spent_idle_ns; /* in all, over restarts */
	int64_t spent_busy_ns; /* likewise; the running job counts */
	int64_t spent_blocked_ns; /* likewise */
	int64_t retry_in_ns;      /* letter 'X': until the restart */
	int64_t running_ns;       /* the present job, 0 for none */
	int32_t operation;        /* of the job taken last, 0 for none */
	int32_t last_signal;      /* of the last death */
	int32_t last_exit_status;
	/* By outcome: the jobs that this place saw end. Those whose outcome was decided by
	 * others while it had them (cancelled, timed out, terminated) all count as cancelled
	 * here; withdrawn, terminated and refused ones never came to a worker. */
	uint64_t jobs[CADRE_OUTCOME_COUNT];
	uint64_t worker[CADRE_SNAPSHOT_COUNTERS_MAX]; /* CADRE_SCOPE_WORKER */
	uint64_t about[CADRE_SNAPSHOT_COUNTERS_MAX];  /* CADRE_SCOPE_PLACE */
	struct cadre_percentiles waiting, service, total;
};

/* One window. Only those that ever had a client are listed. */
struct cadre_client_snapshot {
	uint32_t place;
	/* "vacant", "starting", "up", "draining", "dead", "gone" (it died after the
	 * supervisor), "?" */
	char state[12];
	int32_t pid;
	uint32_t slots_used;
	uint32_t queued;
	uint32_t running;
	uint64_t submitted; /* jobs accepted, by all clients that had this window */
	uint64_t jobs[CADRE_OUTCOME_COUNT]; /* likewise, by outcome; and withdrawn ones */
	uint64_t counters[CADRE_SNAPSHOT_COUNTERS_MAX];
};

struct cadre_pool_snapshot {
	char name[CADRE_NAME_MAX + 1];
	/* "starting", "open", "stopping", "terminated", "?" */
	char state[16];
	bool alive; /* somebody holds the supervisor's lock */
	bool degraded;
	int32_t supervisor_pid; /* as recorded; see alive */
	int64_t heartbeat_age_ns;
	int64_t uptime_ns;
	int64_t created_unix_s;
	uint32_t workers_min, workers_max, parallel;
	uint32_t workers_ready; /* up */
	uint32_t clients, clients_max, window_slots;
	uint64_t payload_max;
	uint64_t segment_bytes;
	uint64_t submitted;                 /* jobs accepted */
	uint64_t queue_length;              /* pending jobs */
	uint64_t in_flight;                 /* pending and running */
	int64_t oldest_pending_ns;          /* age, 0 for none */
	uint64_t jobs[CADRE_OUTCOME_COUNT]; /* of all windows; each accepted job once */
	uint32_t block_classes;
	uint64_t block_size[8];
	uint32_t block_count[8], block_used[8];
	uint64_t counters[CADRE_SNAPSHOT_COUNTERS_MAX];
	uint32_t worker_count; /* = workers_max: every place */
	uint32_t client_count;
};

struct cadre_report;

/* Opens the pool for reading. -ENOENT, -EACCES, -EPROTONOSUPPORT, -EBADMSG, -EINVAL,
 * -ECONNREFUSED (not ready). */
CADRE_API int cadre_report_open(const char *pool, struct cadre_report **ret_report,
				struct cadre_diag *diag);
CADRE_API void cadre_report_close(struct cadre_report *report);

/* Reads everything once, into memory that belongs to the report and stays until the next
 * read. Never blocks. Not for two threads at once, and not in the supervisor's own process
 * (in a notice of cadre_serve): the look at its lock would undo that. */
CADRE_API const struct cadre_pool_snapshot *cadre_report_read(struct cadre_report *report);

/* Of the last read; NULL when the index is out of range. */
CADRE_API const struct cadre_worker_snapshot *cadre_report_worker(
	const struct cadre_report *report, uint32_t index);
CADRE_API const struct cadre_client_snapshot *cadre_report_client(
	const struct cadre_report *report, uint32_t index);

/* Where the worker was that died in that place last and left a backtrace; `pid` names one, 0
 * means whoever it was. -ENOENT when there is none. Read at the moment of the call. */
CADRE_API int cadre_report_backtrace(const struct cadre_report *report, uint32_t worker,
				     int32_t pid, struct cadre_backtrace *ret_backtrace);

/* Name of an operation of the pool, or NULL. */
CADRE_API const char *cadre_report_operation(const struct cadre_report *report,
					     int32_t id);

/* Calls `visit` with the name of each pool of this machine that has a segment. */
CADRE_API void cadre_report_each_pool(void (*visit)(const char *pool, void *context),
				      void *context);

CADRE_END_DECLS
#endif
