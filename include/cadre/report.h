/*
 * report.h - read the counters of a pool without disturbing it.
 *
 * A report maps the segment read-only and asks nobody, so it works on a saturated, a
 * stopped and a dead pool alike. What each counter means is described once, in the list
 * that cadre_counter_describe hands out.
 *
 * A worker counts a job behind its answer, so that nobody waits for the count: who has just
 * got a result may read counters that do not know of it yet.
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

enum cadre_counter_kind {
	CADRE_COUNTER_TOTAL, /* only grows */
	CADRE_COUNTER_LEVEL, /* goes up and down */
	CADRE_COUNTER_PEAK,  /* the highest level so far */
	CADRE_COUNTER_LIMIT, /* does not change while the pool lives; fields only */
	CADRE_COUNTER_LABEL, /* says what something is; fields only */
};

struct cadre_counter_description {
	const char *name;
	enum cadre_counter_kind kind;
	const char *unit;
	const char *sentence;
};

/* The counters of a scope, in the order in which the snapshots below hold them. */
CADRE_API const struct cadre_counter_description *cadre_counter_describe(
	enum cadre_counter_scope scope, size_t *ret_count);

/* A counter of a snapshot by its name: `values` is the array of that scope. 0 when there is
 * none of that name. */
CADRE_API uint64_t cadre_counter_value(enum cadre_counter_scope scope,
				       const uint64_t *values, const char *name);

#define CADRE_SNAPSHOT_COUNTERS_MAX 40

/* ---- how long jobs took ---- */

enum cadre_latency_kind {
	CADRE_LATENCY_WAITING, /* submitted to taken */
	CADRE_LATENCY_SERVICE, /* taken to ended */
	CADRE_LATENCY_TOTAL,   /* submitted to ended */
	CADRE_LATENCY_KINDS,
};

/* "waiting", "service", "total". */
CADRE_API const char *cadre_latency_name(enum cadre_latency_kind kind);

#define CADRE_LATENCY_BUCKETS 312

/* A histogram whose buckets are log-linear: eight per power of two, so the two ends of one
 * are at most 12.5 % apart. The first holds what took less than 1 ns, the last what took 36
 * minutes and more. */
struct cadre_latency {
	uint64_t jobs;
	uint64_t sum_ns;
	uint64_t count[CADRE_LATENCY_BUCKETS];
};

/* The longest duration in ns that counts in a bucket. */
CADRE_API int64_t cadre_latency_ceiling_ns(unsigned bucket);

/* Durations in ns that so many of the jobs did not exceed: never too small, at most 12.5 %
 * too large. Those beyond 36 minutes count as that. All zero when there were no jobs. */
struct cadre_percentiles {
	uint64_t jobs;
	int64_t p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
};

CADRE_API struct cadre_percentiles cadre_latency_percentiles(
	const struct cadre_latency *latency);

/* ---- one look at a pool ---- */

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
	char operation_name[56];  /* "" when it is not known */
	int32_t last_signal;      /* of the last death */
	int32_t last_exit_status; /* likewise */
	char last_reason[24];     /* likewise: "SIGSEGV", "exit 3"; of one that was only
				   * replaced "max_jobs", "max_age", "max_rss", "reload" */
	/* From /proc, as long as there is a process that we may see. */
	uint64_t resident_bytes;
	int64_t cpu_ns; /* of this process */
	/* By outcome: the jobs that this place saw end. Those whose outcome was decided by
	 * others while it had them (cancelled, timed out, terminated) all count as cancelled
	 * here; withdrawn, terminated and refused ones never came to a worker. */
	uint64_t jobs[CADRE_OUTCOME_COUNT];
	uint64_t worker[CADRE_SNAPSHOT_COUNTERS_MAX]; /* CADRE_SCOPE_WORKER */
	uint64_t about[CADRE_SNAPSHOT_COUNTERS_MAX];  /* CADRE_SCOPE_PLACE */
	struct cadre_percentiles waiting, service, total;
	struct cadre_latency latency[CADRE_LATENCY_KINDS];
};

/* One place of a local worker. What it serves is its owner's, and so are the numbers of its
 * operations: they are not those that the pool names. */
struct cadre_guest_snapshot {
	uint32_t place;
	uint32_t worker; /* what results and channels call it: it counts on from the workers */
	char letter; /* as a worker's: '_' 'S' 'W' 'B' 'H' '.' '?', 'G' it has left without
	                  * a supervisor to tell, 'X' its owner is dead */
	bool torn;   /* as a worker's, as the next */
	int32_t pid;      /* of its owner, 0 for none; of a dead pool: as recorded */
	char program[16]; /* the name of its owner's program; "" when it cannot be seen */
	uint32_t incarnation;
	int64_t uptime_ns; /* since it was opened; 0 when there is none */
	int64_t idle_ns;
	int64_t spent_idle_ns, spent_busy_ns, spent_blocked_ns;
	int64_t running_ns; /* its oldest job, 0 for none */
	int32_t operation;  /* of the job taken last, 0 for none */
	uint64_t workload;  /* jobs that it has just now */
	uint64_t taken;     /* jobs taken, of all that ever sat there */
	uint64_t opened;    /* how often the place was taken */
	uint64_t died;      /* how often its owner died without closing it */
	uint64_t jobs[CADRE_OUTCOME_COUNT]; /* as a worker's */
	struct cadre_percentiles waiting, service, total;
};

/* One operation, over all places. */
struct cadre_operation_snapshot {
	int32_t id;    /* 0: all that found no line of their own, and unknown ones */
	char name[56]; /* "others" for 0; "?" for one that the pool does not name any more */
	uint64_t jobs;   /* that workers ended */
	uint64_t failed; /* of these, those that did not end as ok */
	uint32_t running;
	struct cadre_percentiles waiting, service, total;
	struct cadre_latency latency[CADRE_LATENCY_KINDS];
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
	/* "starting", "open", "stopping", "terminated", "draining" (as stopping, but the pool
	 * stays), "stopped" (it waits to be started again), "?" */
	char state[16];
	bool alive; /* somebody holds the supervisor's lock */
	bool degraded;
	int32_t supervisor_pid; /* as recorded; see alive */
	int64_t heartbeat_age_ns;
	int64_t uptime_ns;
	int64_t created_unix_s;
	uint32_t workers_min, workers_max, parallel;
	uint32_t version; /* of the service that is served: how often it was reloaded */
	uint32_t workers_ready; /* up */
	uint32_t workers_busy;  /* of these, those that have a job */
	uint32_t clients, clients_max, window_slots;
	uint32_t windows_full; /* of these clients, those each slot of whose window is in use */
	uint64_t payload_max;
	uint64_t segment_bytes;
	uint64_t block_bytes, block_bytes_used;
	uint64_t submitted;                 /* jobs accepted */
	uint64_t queue_length;              /* pending jobs */
	uint64_t in_flight;                 /* pending and running */
	int64_t oldest_pending_ns;          /* age, 0 for none */
	int64_t oldest_running_ns;          /* likewise */
	uint64_t jobs[CADRE_OUTCOME_COUNT]; /* of all windows; each accepted job once */
	uint32_t block_classes;
	uint64_t block_size[8];
	uint32_t block_count[8], block_used[8];
	uint64_t counters[CADRE_SNAPSHOT_COUNTERS_MAX];
	uint32_t worker_count; /* every place, the spare one for replacements included */
	uint32_t client_count;
	uint32_t operation_count;
	uint32_t locals;     /* places of local workers that are taken */
	uint32_t locals_max; /* all that there are; the number of guest snapshots */
	struct cadre_percentiles waiting, service, total;
	struct cadre_latency latency[CADRE_LATENCY_KINDS];
	uint64_t events;        /* that ever happened */
	uint32_t event_count;   /* of them, those that can be read: the last */
	uint32_t refused_count; /* requests of refused jobs that can be read: the last */
};

/* ---- what happened: deaths, restarts, refusals, successions ---- */

struct cadre_event_description {
	const char *name; /* "worker_died" */
	const char *sentence; /* with its fields in braces: "worker {place} (pid {pid}) ..." */
};

/* The kinds of events, in no order that means anything. */
CADRE_API const struct cadre_event_description *cadre_event_describe(size_t *ret_count);

#define CADRE_EVENT_JOBS_MAX 8
#define CADRE_EVENT_OTHERS_MAX 4
#define CADRE_EVENT_ROOM_MAX 272

/* One event. What its kind has nothing to say of is 0. */
struct cadre_event_info {
	uint64_t number;  /* counts up from 0 in the life of the pool */
	const char *name; /* of its kind; static */
	int64_t unix_ns;  /* CLOCK_REALTIME */
	int64_t age_ns;
	int32_t place; /* of the worker (client_died: of the client; local_...: of the local
			* worker), -1 for none */
	uint32_t incarnation; /* of whoever sat there */
	int32_t pid;
	int32_t code; /* how it ended, as struct cadre_result.code */
	int64_t duration_ns;
	uint32_t count;
	int32_t window;  /* of the job's client, -1 for none */
	uint64_t length; /* of a refused request */
	int64_t refused; /* id of that request, see cadre_report_refused; -1: none */
	int64_t crash;   /* see cadre_report_crash; -1: none */
	uint32_t other_count;
	int32_t others[CADRE_EVENT_OTHERS_MAX]; /* pids, as its sentence explains */
	uint32_t job_count; /* all that a dead worker had; the first are: */
	struct {
		uint64_t id; /* as cadre_job_id */
		int32_t operation;
		uint32_t attempt;
	} jobs[CADRE_EVENT_JOBS_MAX];
	char words[CADRE_EVENT_ROOM_MAX + 1]; /* last words of a worker, or "" */
	size_t data_length;
	unsigned char data[CADRE_EVENT_ROOM_MAX]; /* the first bytes of a refused request */
	char sentence[600];                       /* all of it, for people */
};

/* A job that was refused: workers died of it. */
struct cadre_refused_info {
	uint64_t id; /* counts up from 0; the last are kept */
	uint64_t job;
	int64_t unix_ns;
	uint64_t length;      /* of the request */
	uint64_t kept_length; /* of it, what was kept */
	int32_t operation;
	uint32_t attempts; /* how often it was tried */
	int32_t window;    /* of its client */
	int32_t client_pid;
	int32_t worker; /* place of the last that died of it */
	int32_t worker_pid;
	int32_t code; /* how that one died, as struct cadre_result.code */
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
/* Places of local workers. */
CADRE_API const struct cadre_guest_snapshot *cadre_report_guest(
	const struct cadre_report *report, uint32_t index);
/* The operations that the pool names, in its order, and those that workers counted. */
CADRE_API const struct cadre_operation_snapshot *cadre_report_operation_at(
	const struct cadre_report *report, uint32_t index);

/* A named counter of a client: that of a window's place, 0 .. CADRE_PERF_COUNTERS_MAX - 1. They
 * stay when the client has gone, until the next one has its window. -ENOENT when there is
 * none. Read at the moment of the call. */
CADRE_API int cadre_report_perf(const struct cadre_report *report, uint32_t client,
				uint32_t index, struct cadre_perf *ret_perf);

/* Where the worker was that died in that place last and left a backtrace; `pid` names one, 0
 * means whoever it was. -ENOENT when there is none. Read at the moment of the call. */
CADRE_API int cadre_report_backtrace(const struct cadre_report *report, uint32_t worker,
				     int32_t pid, struct cadre_backtrace *ret_backtrace);

/* Events of the last read, oldest first; NULL when the index is out of range. */
CADRE_API const struct cadre_event_info *cadre_report_event(
	const struct cadre_report *report, uint32_t index);

/* Where the worker was that the event says has died: a copy that its successors in the place
 * do not overwrite. NULL when it left nothing, or when more than 16 others have crashed
 * since. Of the last read. */
CADRE_API const struct cadre_backtrace *cadre_report_crash(
	const struct cadre_report *report, const struct cadre_event_info *event);

/* Refused jobs of the last read, oldest first; NULL when the index is out of range. */
CADRE_API const struct cadre_refused_info *cadre_report_refused(
	const struct cadre_report *report, uint32_t index);

/* Copies what was kept of a refused request, at most `size` bytes, and returns their number.
 * -ENOENT: it is not there (any more). -ENOMEM. Looks into the segment itself. */
CADRE_API int64_t cadre_report_refused_request(const struct cadre_report *report,
					       uint64_t id, void *buffer, size_t size);

/* Name of an operation of the pool, or NULL. */
CADRE_API const char *cadre_report_operation(const struct cadre_report *report,
					     int32_t id);

/* The moment of the last read, CLOCK_MONOTONIC. */
CADRE_API int64_t cadre_report_time_ns(const struct cadre_report *report);

/* ---- what happened between two looks ---- */

/* Of a pool, a worker, or an operation. After one read only (interval_s is 0) there is
 * something to show already: rate and load are the supervisor's means over some 10 s, the
 * percentiles are those of all jobs. */
struct cadre_rates {
	double interval_s;
	double jobs_per_s;   /* ended */
	double failed_per_s; /* of these, those that did not end as ok; 0 after one read */
	double submitted_per_s; /* pool only; 0 after one read */
	double load; /* busy time among busy, idle and blocked time: 0 to 1; 0 for operations */
	double blocked; /* blocked time among the same; 0 after one read */
	double cpus;    /* CPU time per time; 0 after one read */
	struct cadre_percentiles waiting, service, total;
};

struct cadre_sampler;

/* Remembers one read of a report to compare the next with. -ENOMEM. */
CADRE_API int cadre_sampler_open(struct cadre_sampler **ret_sampler);
CADRE_API void cadre_sampler_close(struct cadre_sampler *sampler);

/* After each cadre_report_read: compares with the read before, and remembers this one. One
 * sampler goes with one report; of a report that was opened anew it begins anew when the
 * pool is another one. Not for two threads at once. -ENOMEM: nothing has changed. */
CADRE_API int cadre_sampler_take(struct cadre_sampler *sampler,
				 const struct cadre_report *report);

/* Of the last take; NULL when the index is out of range. The indexes are those of the
 * report. */
CADRE_API const struct cadre_rates *cadre_sampler_pool(const struct cadre_sampler *sampler);
CADRE_API const struct cadre_rates *cadre_sampler_worker(
	const struct cadre_sampler *sampler, uint32_t index);
CADRE_API const struct cadre_rates *cadre_sampler_operation(
	const struct cadre_sampler *sampler, uint32_t index);

/* ---- is it well? ---- */

enum cadre_health_status {
	CADRE_HEALTH_OK = 0,
	CADRE_HEALTH_WARNING = 1,
	CADRE_HEALTH_CRITICAL = 2,
	CADRE_HEALTH_UNKNOWN = 3, /* for callers: there is no report */
};

enum cadre_health_measure_id {
	CADRE_HEALTH_READY,
	CADRE_HEALTH_HEARTBEAT,
	CADRE_HEALTH_OLDEST,
	CADRE_HEALTH_RUNNING,
	CADRE_HEALTH_QUEUE,
	CADRE_HEALTH_WINDOW,
	CADRE_HEALTH_BLOCKS,
	CADRE_HEALTH_LOAD,
	CADRE_HEALTH_MEASURES,
};

struct cadre_health_measure {
	const char *name;         /* "oldest" */
	const char *unit;         /* "s", "%", "jobs", "workers" */
	bool falling;             /* too little of it is bad, not too much */
	double warning, critical; /* by default; below 0: none */
	const char *sentence;
};

/* NULL when there is no such measure. */
CADRE_API const struct cadre_health_measure *cadre_health_describe(
	enum cadre_health_measure_id measure);

/* In the measure's unit: reached (or, of a falling one, fallen below) it is no longer well.
 * Below 0: no limit; but ready without a critical limit has the pool's workers_min. */
struct cadre_health_limits {
	double warning[CADRE_HEALTH_MEASURES];
	double critical[CADRE_HEALTH_MEASURES];
};

CADRE_API void cadre_health_limits_default(struct cadre_health_limits *ret_limits);

struct cadre_health {
	enum cadre_health_status status;
	char sentence[400]; /* what is wrong, or how well it is */
	double value[CADRE_HEALTH_MEASURES];
	struct cadre_health_limits limits; /* that it was judged by */
};

/* Judges the last read. Limits may be NULL for the defaults. Beside them it is critical
 * that there is no supervisor, that the pool is degraded, stopping or terminated; and worth
 * a warning that it starts, or that a worker is dead, disabled or overdue. */
CADRE_API void cadre_report_health(const struct cadre_report *report,
				   const struct cadre_health_limits *limits,
				   struct cadre_health *ret_health);

/* For the probes of container platforms, of the last read. Live: there is a supervisor, and
 * it moves. Ready: the pool takes jobs, and there is a worker for them. */
CADRE_API bool cadre_report_is_live(const struct cadre_report *report,
				    int64_t heartbeat_most_ns);
CADRE_API bool cadre_report_is_ready(const struct cadre_report *report);

/* ---- everything that can be shown, described once ---- */

enum cadre_field_scope {
	CADRE_FIELDS_POOL,      /* struct cadre_pool_snapshot */
	CADRE_FIELDS_WORKER,    /* struct cadre_worker_snapshot */
	CADRE_FIELDS_CLIENT,    /* struct cadre_client_snapshot */
	CADRE_FIELDS_OPERATION, /* struct cadre_operation_snapshot */
	CADRE_FIELDS_RATES,     /* struct cadre_rates */
	CADRE_FIELDS_GUEST,     /* struct cadre_guest_snapshot */
	CADRE_FIELDS_COUNT,
};

enum cadre_field_type {
	CADRE_TYPE_U64,
	CADRE_TYPE_I64,
	CADRE_TYPE_U32,
	CADRE_TYPE_I32,
	CADRE_TYPE_BOOL,
	CADRE_TYPE_REAL,
	CADRE_TYPE_TEXT,
	CADRE_TYPE_LETTER,
};

/* A member of a snapshot, or a counter in it. Counters are called "counters.NAME". */
struct cadre_field {
	const char *name; /* a dot nests: "jobs.ok" */
	enum cadre_field_type type;
	enum cadre_counter_kind kind;
	const char *unit; /* "" for labels */
	const char *sentence;
	size_t offset; /* in the struct of its scope */
};

/* The fields of a scope, in the order in which they are best shown. */
CADRE_API const struct cadre_field *cadre_fields(enum cadre_field_scope scope,
						 size_t *ret_count);

/* "pool", "worker", "client", "operation", "rates", "guest". */
CADRE_API const char *cadre_field_scope_name(enum cadre_field_scope scope);

/* "counter", "level", "peak", "limit", "label". */
CADRE_API const char *cadre_counter_kind_name(enum cadre_counter_kind kind);

/* The value of a field in a snapshot of its scope. Numbers of all types; 0 for text. */
CADRE_API double cadre_field_number(const struct cadre_field *field, const void *snapshot);
/* As above without a loss; reals are cut, and a bool is 0 or 1. */
CADRE_API int64_t cadre_field_integer(const struct cadre_field *field,
				      const void *snapshot);
/* The text of a field of type TEXT; NULL for all others. */
CADRE_API const char *cadre_field_text(const struct cadre_field *field,
				       const void *snapshot);

/* ---- which pools there are ---- */

/* Calls `visit` with the name of each pool of this machine that has a segment. */
CADRE_API void cadre_report_each_pool(void (*visit)(const char *pool, void *context),
				      void *context);

CADRE_END_DECLS
#endif
