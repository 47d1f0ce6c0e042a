/*
 * order.h - tell a running pool what to do, by its name: what `cadre ctl` is made of.
 *
 * Whoever may write to the pool's socket may give orders: its owner, and its group when the
 * pool's mode says so. The supervisor decides, in the order in which it is told; its answer
 * is a sentence that says what was done. When it dies before it has answered, its successor
 * has either never heard of the order or finishes it; orders may be given again.
 */
#ifndef CADRE_ORDER_H
#define CADRE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/error.h>
#include <cadre/log.h>
#include <cadre/report.h>

CADRE_BEGIN_DECLS

enum cadre_order_kind {
	/* Refuse new jobs from now on with -ESHUTDOWN, run those that were accepted, let the
	 * workers leave, and stay: the pool is then "stopped" until it is started or ends. Jobs
	 * that take longer than the pool's stop_timeout end as terminated. Clients stay
	 * attached. */
	CADRE_ORDER_DRAIN = 1,
	/* Accept jobs again, from the clients that were attached too. */
	CADRE_ORDER_START = 2,
	/* As DRAIN, but then the pool ends: segment and socket go. */
	CADRE_ORDER_STOP = 3,
	/* Kill the workers; every job ends as terminated, and the pool ends. */
	CADRE_ORDER_TERMINATE = 4,
	/* workers_min and workers_max, within the pool's workers_limit. Workers that are too
	 * many finish what they have. */
	CADRE_ORDER_SCALE = 5,
	/* Replace each worker by one of what stands in the service's file now, the newcomer
	 * first; no job is lost. The answer comes when the last old worker has left. -ENOEXEC:
	 * the new version cannot be loaded, contradicts the ids of the one that is served, or
	 * its first worker did not start; then nothing has changed. */
	CADRE_ORDER_RELOAD = 6,
	/* Cancel every job of the pool that has not ended; the pool goes on. */
	CADRE_ORDER_CANCEL = 7,
	/* log_level: from the answer on it is another one for each worker, also for those that
	 * are in a handler. */
	CADRE_ORDER_LOG_LEVEL = 8,
};

struct cadre_order {
	enum cadre_order_kind kind;
	uint32_t workers_min, workers_max; /* SCALE */
	enum cadre_log_level log_level;    /* LOG_LEVEL */
};

/* Gives the order and waits for the answer until `until_ns`. 0, and ret_said, unless NULL,
 * holds the sentence; or, with the reason there: -ECONNREFUSED (no supervisor, or it died
 * meanwhile), -EACCES, -ESHUTDOWN (it is about to end), -EINVAL (not a name, an order that
 * cannot be), -EBUSY (a reload is under way), -ENOEXEC, -ETIMEDOUT (what was begun goes on),
 * -EBADMSG (a supervisor of another version). For any thread. */
CADRE_API int cadre_order(const char *pool, const struct cadre_order *order,
			  int64_t until_ns, struct cadre_diag *ret_said);

/* Asked about one idle worker: shall it leave? */
typedef bool cadre_idle_fn(const struct cadre_worker_snapshot *worker, void *context);

/* Asks the predicate about each worker that idles, in this process, with its idle time, its
 * uptime and its totals as a report has them, and lets those leave for which it says so, as
 * long as more than workers_min are there. One that has taken a job meanwhile stays. Returns
 * how many were told to leave; they do so in order, with fini. Errors as cadre_order and
 * cadre_report_open, when nobody was told anything. Not in the supervisor's own process. */
CADRE_API int cadre_stop_idle(const char *pool, cadre_idle_fn *predicate, void *context,
			      struct cadre_diag *diag);

CADRE_END_DECLS
#endif
