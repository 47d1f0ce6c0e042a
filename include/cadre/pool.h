/*
 * pool.h - start and end pools.
 *
 * Embedded: cadre_pool_start forks a keeper, which forks the supervisor, which forks the
 * workers; handlers are the program's own functions, and the pool ends with the program,
 * even when that is killed. Served: cadre_serve makes the calling process the supervisor
 * (that is `cadre serve`); any program attaches by name.
 */
#ifndef CADRE_POOL_H
#define CADRE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/client.h>
#include <cadre/error.h>
#include <cadre/service.h>

CADRE_BEGIN_DECLS

#define CADRE_NAME_MAX 63 /* bytes of a pool's name: letters, digits, '.', '-', '_' */
#define CADRE_WORKERS_MAX 512
#define CADRE_CLIENTS_MAX 512

/* Zero means the default, given behind each. */
struct cadre_pool_options {
	size_t size;           /* sizeof(struct cadre_pool_options) */
	const char *name;      /* embedded: a unique one is made; served: required */
	uint32_t workers_min;  /* 0: the first job starts the first worker */
	uint32_t workers_max;  /* the CPUs this process may use (affinity, quota) */
	uint32_t parallel;     /* jobs that one worker may have at once: 1 */
	uint32_t clients_max;  /* windows: 64 */
	uint32_t window_slots; /* jobs outstanding per client, a power of two: 256 */
	size_t payload_max;    /* bytes, of a request and of a reply: 1 MiB */
	size_t block_bytes; /* room for all payloads that do not fit a slot: 20 MiB; requests
				 * take half of it at most, the rest is for replies */
	const void *start_data;   /* start arguments of each worker: none */
	size_t start_length;      /* at most 4096 */
	int64_t start_timeout_ns; /* fork to init done: 30 s */
	int64_t idle_timeout_ns;  /* an idle worker above min is stopped: 60 s */
	int64_t stop_timeout_ns; /* an orderly end of everything, then it is killed: 30 s */
	int64_t grace_ns;        /* past its job's deadline a worker is killed: 2 s */
	int64_t orphan_ns;       /* workers without a supervisor end after: 30 s */
	int64_t spin_ns;         /* an idle worker looks this long before it sleeps: 50 us
	                             * where there is more than one CPU; negative: never */
	uint32_t mode;           /* permission bits of the segment and the socket: 0600 */
};

struct cadre_pool;

/* Starts an embedded pool and returns when workers_min workers have started. Blocks up to
 * start_timeout_ns. On failure nothing is left behind. The service must stay valid. Not
 * thread-safe against itself. -EINVAL, -EEXIST, -ENOSPC, -EACCES, -ENOEXEC, -ENOTSUP (the
 * program has more than one thread), -ETIMEDOUT. */
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

/* Called by cadre_serve for each line worth telling: worker started, died, pool ready. The
 * sentence carries no newline. */
typedef void cadre_notice_fn(const char *sentence, void *context);

/* Makes this process the supervisor of a pool until SIGTERM, SIGINT or SIGHUP (orderly end;
 * a second one terminates) or until somebody stops the pool. A segment that a dead
 * supervisor left is taken over together with its living workers. Returns 0 after an
 * orderly end; errors as cadre_pool_start, and -EBADMSG when the segment was damaged. The
 * process must have one thread. Changes the signal mask for its duration. */
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
