/*
 * pool.h - start and end pools.
 *
 * Embedded: cadre_pool_start forks a keeper, which forks the supervisor, which forks the
 * workers; handlers are the program's own functions, and the pool ends with the program,
 * even when that is killed. Served: cadre_serve makes the calling process the supervisor
 * (that is `cadre serve`); any program attaches by name.
 *
 * Each worker has a child, `cadre-heir`, that sleeps, and gives the worker's memory back when that
 * is dead, so that callers need not wait for it. A handler that waits for its children does not
 * see it, but with __WALL or __WCLONE. Killed, it is not replaced.
 */
#ifndef CADRE_POOL_H
#define CADRE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/client.h>
#include <cadre/error.h>
#include <cadre/log.h>
#include <cadre/service.h>

CADRE_BEGIN_DECLS

#define CADRE_NAME_MAX 63     /* bytes of a pool's name: letters, digits, '.', '-', '_' */
#define CADRE_WORKERS_MAX 512 /* a pool of that many has no place for a replacement */
#define CADRE_CLIENTS_MAX 512
#define CADRE_NONE \
	UINT32_MAX /* of workers_max, locals_max: zero, where 0 is the default */

/* Zero means the default, given behind each. */
struct cadre_pool_options {
	size_t size;          /* sizeof(struct cadre_pool_options) */
	const char *name;     /* embedded: a unique one is made; served: required */
	uint32_t workers_min; /* 0: the first job starts the first worker */
	uint32_t workers_max; /* the CPUs this process may use (affinity, quota); CADRE_NONE:
				* a pool of local workers only, whose service may be NULL */
	uint32_t parallel;    /* jobs that one worker may have at once: 1 */
	uint32_t clients_max;  /* windows: 64 */
	uint32_t window_slots; /* jobs outstanding per client, a power of two: 256 */
	uint32_t tokens_max;   /* tokens of all clients, at most 65536: 1024 */
	size_t payload_max;    /* bytes, of a request and of a reply: 1 MiB */
	size_t block_bytes; /* room for all payloads that do not fit a slot: 20 MiB; requests
				 * take half of it at most, the rest is for replies */
	const void *start_data;   /* start arguments of each worker: none */
	size_t start_length;      /* at most 4096 */
	int64_t start_timeout_ns; /* fork to init done: 30 s */
	int64_t idle_timeout_ns;  /* an idle worker above min is stopped: 60 s */
	int64_t stop_timeout_ns; /* an orderly end of everything, then it is killed: 30 s */
	int64_t grace_ns;        /* past its job's deadline a worker is killed: 2 s */
	int64_t hang_ns; /* a worker that runs one job *without* a deadline for so long is taken
			  * for hung and killed, streams included; the job is lost. 0: never,
			  * such a job may keep its worker for ever */
	int64_t orphan_ns;      /* workers without a supervisor end after: 30 s */
	int64_t spin_ns;        /* an idle worker looks this long before it sleeps: 50 us
	                             * where there is more than one CPU; negative: never. Only as
	                             * long as no client or worker needs the same CPU */
	uint32_t mode;          /* permission bits of the segment and the socket: 0600 */
	uint32_t workers_limit; /* how far cadre_pool_scale may raise workers_max: the CPUs, or
	                             * workers_max where that is more */
	int64_t spread_ns; /* parallel > 1: a worker that has jobs leaves a fresh one for so long
	                        * to a worker that has fewer: 50 us; negative: never */
	/* A worker is replaced, the replacement first, when it has taken so many jobs, is so
	 * old, or has so many bytes in memory (resident): never. Looked at ten times a second
	 * while there is work, its memory once a second, so each may be exceeded by a little. */
	uint64_t max_jobs;
	int64_t max_age_ns;
	size_t max_rss;
	enum cadre_log_level log_level; /* off; a pool that is taken over keeps its own then */
	unsigned log_sinks;             /* CADRE_LOG_TO_...: CADRE_LOG_TO_STDERR */
	/* Called with each line in the supervisor's process, so only by cadre_serve; the program
	 * that started an embedded pool reads with cadre_log_open. It must not block: the
	 * supervisor waits for it. */
	cadre_log_fn *log;
	void *log_context;
	uint32_t locals_max; /* places for local workers (local.h): 8, or what is left of
	                          * CADRE_WORKERS_MAX beside workers_max; CADRE_NONE: none */
};

/* What the work of a service mostly waits for. */
enum cadre_preset {
	/* For the CPU: a worker per CPU, all started at once, each with one job at a time
	 * (parallel 1); idle ones look a while before they sleep. */
	CADRE_CPU_BOUND = 1,
	/* For something else (disk, network, a database): one worker to begin with, up to one
	 * per CPU, each with up to 16 jobs at a time (parallel 16; the service has
	 * CADRE_SERVICE_THREADS, or defers its jobs), which are spread over the workers first
	 * (spread_ns 200 us); idle ones sleep at once, since no reply comes within the time
	 * that a wake-up takes. */
	CADRE_IO_BOUND = 2,
};

/* Fills in those options of a preset that are zero: workers_min, workers_max, parallel,
 * spin_ns, spread_ns. What was set before stands, and so does what is set afterwards.
 * -EINVAL: no such preset, or options->size is wrong. */
CADRE_API int cadre_pool_options_for(enum cadre_preset preset,
				     struct cadre_pool_options *options);

struct cadre_pool;

/* Starts an embedded pool and returns when workers_min workers have started. Blocks up to
 * start_timeout_ns. On failure nothing is left behind. The service must stay valid. Not
 * thread-safe against itself. -EINVAL, -EEXIST, -ENOSPC, -EACCES, -ENOEXEC, -ETIMEDOUT, -ENOTSUP
 * (the program has more than one thread, and no fork server). With a fork server
 * (fork_server.h) also -ECONNREFUSED (it is dead), -EPERM (the program has other rights than
 * it), -EINVAL (a function of the service that was not there yet). */
CADRE_API int cadre_pool_start(const struct cadre_service *service,
			       const struct cadre_pool_options *options,
			       struct cadre_pool **ret_pool, struct cadre_diag *diag);

/* The client that came with the pool; owned by it. */
CADRE_API struct cadre_client *cadre_pool_client(struct cadre_pool *pool);

CADRE_API const char *cadre_pool_name(const struct cadre_pool *pool);

/* Refuses new jobs from now on, runs what was accepted, then ends the workers. Returns at
 * once. Twice is the same as once. */
CADRE_API int cadre_pool_stop(struct cadre_pool *pool);

/* Kills the workers; every job that has not ended ends as terminated. Returns at once. */
CADRE_API int cadre_pool_terminate(struct cadre_pool *pool);

/* Refuses new jobs with -ESHUTDOWN from now on, runs what was accepted (for stop_timeout at
 * most), ends the workers, and keeps the pool: it can be started again. Returns at once.
 * -ESHUTDOWN: it was told to stop or to terminate. */
CADRE_API int cadre_pool_drain(struct cadre_pool *pool);

/* Waits until a pool that was told to drain has no job and no worker left. -ETIMEDOUT;
 * -ESHUTDOWN: it was started again, or is about to end. */
CADRE_API int cadre_pool_await_drained(struct cadre_pool *pool, int64_t until_ns);

/* Accepts jobs again, also while it still drains. Every client that was attached goes on
 * with the handle that it has. -ESHUTDOWN: it was told to stop or to terminate, which is for
 * good; close it and start another. */
CADRE_API int cadre_pool_start_again(struct cadre_pool *pool);

/* From now on min to max workers, max up to workers_limit. Returns at once; those that are
 * too many finish what they have. -EINVAL with a sentence. */
CADRE_API int cadre_pool_scale(struct cadre_pool *pool, uint32_t workers_min,
			       uint32_t workers_max, struct cadre_diag *diag);

/* Replaces each worker by a fresh one, the newcomer first, and returns when that is done or
 * `until_ns` has come (-ETIMEDOUT: it goes on). The handlers of an embedded pool are the
 * program's own and stay what they are; what init sets up is made anew. -ENOEXEC: the first
 * newcomer did not start, and nothing has changed; -EBUSY. */
CADRE_API int cadre_pool_reload(struct cadre_pool *pool, int64_t until_ns,
				struct cadre_diag *diag);

/* Waits until supervisor and workers are gone and segment and socket are removed.
 * -ETIMEDOUT. */
CADRE_API int cadre_pool_await_end(struct cadre_pool *pool, int64_t until_ns);

/* Ends the pool (terminate, if it was not stopped), waits for it, and frees the handle.
 * In a forked child it frees the copy only. NULL is allowed. */
CADRE_API void cadre_pool_close(struct cadre_pool *pool);

/* Where the handlers of a served pool come from: exactly one of the three. */
struct cadre_source {
	const struct cadre_service *service; /* this program's own table */
	const char *file;     /* a shared object that exports cadre_service */
	char *const *program; /* argv of a program that calls cadre_worker_main */
};

/* Called by cadre_serve for each line worth telling: worker died, pool ready. The sentence
 * carries no newline. What the log tells its sinks is not told here once more. */
typedef void cadre_notice_fn(const char *sentence, void *context);

/* Makes this process the supervisor of a pool until SIGTERM or SIGINT (orderly end; a second
 * one terminates) or until somebody stops the pool; SIGHUP reloads its service. A segment
 * that a dead supervisor left is taken over together with its living workers. Returns 0
 * after an orderly end; errors as cadre_pool_start, and -EBADMSG when the segment was
 * damaged. The process must have one thread. Changes the signal mask for its duration, and
 * for good the actions of SIGCHLD (default) and SIGPIPE (ignored). */
CADRE_API int cadre_serve(const struct cadre_source *source,
			  const struct cadre_pool_options *options,
			  cadre_notice_fn *notice, void *context, struct cadre_diag *diag);

enum {
	CADRE_GC_DRY_RUN = 1u << 0, /* say what would be removed, and remove nothing */
};

/* Removes what dead pools left in /dev/shm: segment, socket and lock of each pool that has
 * neither a supervisor nor a living worker or client, or whose segment is of no use.
 * `pool` names one, NULL means all. `notice` is called with a sentence for each pool that
 * was removed, and for each that should have a supervisor and was kept, with the reason;
 * it may be NULL. Returns how many were removed. -EINVAL (not a name, unknown flag),
 * -ENOENT (the named one is not there). Not in a supervisor's own process. */
CADRE_API int cadre_collect_garbage(const char *pool, unsigned flags,
				    cadre_notice_fn *notice, void *context);

CADRE_END_DECLS
#endif
