/*
 * worker.h - a worker process from the inside: worker_seat.c is how it begins and ends,
 * worker.c its life (look, sleep), program.c how a program comes to be one, run.c what it
 * does with a job.
 *
 * One thread, the dispatcher, looks for jobs and claims them. Handlers run on it, or, when
 * the service asks for threads, on `parallel` others, to which jobs are handed through a
 * queue (wfcqueue of liburcu).
 */
#ifndef CADRE_LIB_WORKER_H
#define CADRE_LIB_WORKER_H

#include <pthread.h>
#include <semaphore.h>
#include <urcu/wfcqueue.h>

#include <cadre/worker.h>

#include "channel.h"
#include "control.h"
#include "heir.h"
#include "held.h"
#include "job.h"
#include "look.h"
#include "migrate.h"
#include "table.h"

/* What a worker must know to take its place. */
struct cadre_seat {
	const char *pool;
	unsigned worker;
	uint32_t incarnation;
	int64_t created_ns; /* of the segment: one of the same name may be another's */
	int start_fd; /* where to say how the start went; closed by whoever takes the seat */
	/* A guest has its place already, and start arguments and room of its own. */
	bool is_guest;
	uint32_t parallel;
	int64_t spin_ns;
	const void *start_data;
	size_t start_length;
};

/* A job and its way through the queue to a thread. */
struct cadre_task {
	struct cadre_job job; /* first: a job's host finds its task */
	struct cds_wfcq_node node;
	struct cadre_table *table; /* whose handler runs */
	bool holds_table;
	struct cadre_duty *duty;
	_Atomic pid_t thread; /* whose handler runs, where there are threads; 0: none */
	struct cadre_latency_line *line;
	bool owes_waiting;  /* how long the job waited is counted when it has ended */
	_Atomic bool taken; /* by the dispatcher; back when the job is over */
};

struct cadre_worker {
	struct cadre_job_host host; /* first: a host finds its worker */
	struct cadre_view view;
	bool owns_view;
	struct cadre_table *_Atomic table; /* the present service; any thread may replace it */
	struct cadre_table *serving; /* the dispatcher's, held: the present one, or was */
	_Atomic uint32_t replaced;   /* services that were, and are not done with */
	uint32_t incarnation;
	struct cadre_channel channel; /* that leads to it */
	struct cadre_looker looker;
	struct cadre_bell *bell;
	struct cadre_crew *crew; /* the workers', or the guests' */
	struct cadre_place *place;
	uint64_t up; /* what stands there as long as the seat is ours, and nobody sends us away */
	struct cadre_place_stats *stats;
	char pool[CADRE_NAME_MAX + 1];

	struct cadre_task *tasks; /* `parallel` of them */
	uint32_t parallel;
	uint32_t task_turn;
	_Atomic uint32_t workload;
	_Atomic uint32_t givers;     /* threads that are giving a job's room back */
	_Atomic bool waits_for_room; /* the dispatcher sleeps until a job is over */
	_Atomic bool leaves;         /* a guest: its owner wants it to end */
	bool engaged;                /* our bits in the crew's masks */
	bool asleep;
	bool handles; /* a handler runs on the dispatcher */
	bool busy;    /* what the statistics say of us */
	bool says_blocked;
	uint32_t blocked; /* jobs that wait for room in their streams; as the statistics */
	pthread_t dispatcher;
	_Atomic uint32_t room_wanted; /* jobs that are to be called back when there is room */
	int64_t last_ended_ns;
	struct cadre_held held;
	bool holds_rings; /* the loop is ours, so that none is forgotten */
	bool shares_cpu; /* with somebody who gives jobs, or looks for them, when it asked last */
	bool may_migrate; /* the process is a worker's and nothing else */
	struct cadre_migration migration;
	struct cadre_heir heir; /* a guest has none: the process is its owner's */

	/* Statistics have one writer: with parallel > 1 whoever holds this. */
	bool shares_stats;
	pthread_mutex_t stats_lock;

	/* Threads for handlers that may block. */
	uint32_t thread_count;
	pthread_t *threads;
	sem_t queued;
	struct cds_wfcq_head queue_head;
	struct cds_wfcq_tail queue_tail;
	_Atomic bool threads_end;

	/* For an event loop of the program's own. */
	int event_fd;
	pthread_t notifier;
	_Atomic bool notifier_ends;

	int64_t orphan_since_ns;
};

/* Exit status of a worker that did not come to serve. */
#define CADRE_WORKER_START_FAILED 1

/* worker.c: takes the seat, serves until told to end, leaves. Exit status of the process. */
int cadre_worker_serve(const struct cadre_service *service, const struct cadre_view *view,
		       const struct cadre_seat *seat);

/* program.c: says to whoever started us, over `fd`, how that went. */
void cadre_worker_tell(int fd, enum cadre_control_kind kind, const char *text);

/* Reads "POOL:WORKER:INCARNATION:FD:CREATED", as it stands in the environment of a worker
 * program as CADRE_WORKER; a probe has WORKER "-". False for anything else. */
bool cadre_seat_parse(const char *text, char pool[CADRE_NAME_MAX + 1],
		      struct cadre_seat *ret_seat, bool *ret_probe);

/* Sends the table of a service, or what is wrong with it. */
void cadre_worker_describe(const struct cadre_service *service, int fd);

/* cadre_worker_serve in parts, the first and the third in worker_seat.c; for a guest in a process
 * that is its owner's: init has run when the first returns 0; the second returns when told to
 * leave and nothing runs any more; the third runs fini and frees, and leaves the place to the
 * caller. The view is given to the worker. */
int cadre_worker_sit_down(const struct cadre_service *service,
			  const struct cadre_view *view, bool owns_view,
			  const struct cadre_seat *seat, struct cadre_worker **ret_worker,
			  struct cadre_diag *diag);
void cadre_worker_go_on(struct cadre_worker *worker);
void cadre_worker_stand_up(struct cadre_worker *worker);

/* worker_seat.c: runs init, if there is one. -ENOEXEC with a sentence. */
int cadre_worker_start_service(struct cadre_worker *worker, const struct cadre_seat *seat,
			       const struct cadre_service *service, void **ret_state,
			       struct cadre_diag *diag);

/* worker.c: from here on SIGTERM tells a worker to leave. */
void cadre_worker_heed_sigterm(void);

/* cadre_worker_step, at most `most` handlers; 0: no bound. */
int cadre_worker_step_most(struct cadre_worker *worker, unsigned most);

/* Tells a guest to leave. Any thread, any number of times. */
void cadre_worker_bid_leave(struct cadre_worker *worker);

/* Whether handlers of that service run on threads of their own in this worker. */
bool cadre_run_wants_threads(const struct cadre_worker *worker,
			     const struct cadre_service *service);

/* run.c */
int cadre_run_init(struct cadre_worker *worker, const struct cadre_service *service);

/* The dispatcher, between jobs: goes on with the present service. */
void cadre_run_turn_page(struct cadre_worker *worker);

/* Waits for the threads, which finish what they have. */
void cadre_run_fini(struct cadre_worker *worker);

/* Takes one job along the hints, or everywhere, and runs it or hands it to a thread. */
bool cadre_run_one(struct cadre_worker *worker, bool everywhere);

/* The same from the one slot where the next job will stand if its client goes on as before; and on
 * from there, while jobs are short. */
bool cadre_run_next_door(struct cadre_worker *worker);

/* Says that we shall not look for a while, and wakes somebody if a job is left that others
 * may have counted on us for. The drawing stands in crew.h. */
void cadre_run_engage(struct cadre_worker *worker);
void cadre_run_disengage(struct cadre_worker *worker);

/* Takes back that we sleep. */
void cadre_run_get_up(struct cadre_worker *worker);

/* Calls back the jobs that wait for room in their streams and have it. Never from within a
 * handler. */
void cadre_run_call_back(struct cadre_worker *worker);

/* What the dispatcher listens to while it sleeps, and for how long. */
static inline uint32_t cadre_worker_bell_bits(const struct cadre_worker *worker)
{
	/* Relaxed: it asked for rooms itself, or was rung for those who did. */
	return atomic_load_explicit(&worker->room_wanted, memory_order_relaxed) ?
		       CADRE_BELL_EVERYONE :
		       CADRE_BELL_DISPATCHER;
}

/* worker.c: no supervisor has been there for longer than workers bear it. */
bool cadre_worker_is_alone(struct cadre_worker *worker, int64_t *since_ns);

/* Tells the statistics that there is nothing to do. */
void cadre_run_idle(struct cadre_worker *worker);

static inline bool cadre_worker_has_room(const struct cadre_worker *worker)
{
	/* R8: acquire, pairs with R2 in run.c: with the room goes a task that is free (R1). */
	return atomic_load_explicit(&worker->workload, memory_order_acquire) <
	       worker->parallel;
}

#endif
