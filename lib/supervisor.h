/*
 * supervisor.h - what the files of the supervisor share: supervisor.c (the pool: begin,
 * wait, end), supervisor_segment.c, supervisor_phases.c, staff.c (workers), size.c (how many), relief.c (replacing the living),
 * reload.c (a new version of the service), lease.c (clients and the control socket) and
 * order.c (what it is told to do).
 *
 * One thread, one loop over epoll. What it knows about processes it knows from pidfds that
 * it opened itself; what stands in the segment it writes, or reads as input.
 */
#ifndef CADRE_SUPERVISOR_H
#define CADRE_SUPERVISOR_H

#include <cadre/pool.h>

#include "clerk.h"
#include "control.h"
#include "layout.h"
#include "pulse.h"
#include "reaper.h"
#include "spawn.h"

enum cadre_phase_of_pool {
	CADRE_BEGINNING, /* the first workers start; a failure ends it all */
	CADRE_SERVING,
	CADRE_STOPPED,  /* without workers, until it is started again */
	CADRE_STOPPING, /* runs what was accepted */
	CADRE_DRAINING, /* nothing is left to run; the workers leave */
	CADRE_ENDING,   /* workers were killed */
};

enum cadre_post {
	CADRE_POST_EMPTY,
	CADRE_POST_STARTING,
	CADRE_POST_UP,
	CADRE_POST_LEAVING,  /* was asked to leave */
	CADRE_POST_WAITING,  /* to be filled again at retry_ns */
	CADRE_POST_DISABLED, /* its last worker asked not to be started again */
};

/* What the supervisor knows of a worker's place. */
struct cadre_member {
	enum cadre_post post;
	struct cadre_child child; /* pidfd and start_fd are -1 when there is none */
	int remains; /* pidfd of the one before, dead and not yet collected; -1 for none */
	struct cadre_identity heir; /* the worker's; pid 0 when it has, or said, none */
	struct cadre_identity bereaved_heir; /* the one before's, until it is collected */
	uint32_t incarnation;
	uint32_t version;      /* of the service that it was started with */
	uint64_t jobs_before;  /* jobs that its place had taken when it was started */
	int64_t memory_due_ns; /* when to look at its memory again */
	unsigned failures;     /* deaths in a row, each soon after its start */
	bool replaces;         /* its start is a restart */
	int64_t started_ns;
	int64_t start_until_ns; /* STARTING: it is late from then on */
	int64_t retry_ns;       /* WAITING */
	int64_t abort_ns; /* when it was sent ABRT for a job that it does not end; 0: it was not */
	char last_words[240]; /* why its start failed, in its own words; or why we killed it */
};

/* A job that ran when we looked last. */
struct cadre_sight {
	uint64_t job; /* upper part of its word; 0: none */
	int64_t watched_ns;
};

/* Who watches for jobs that hang. */
struct cadre_vigil {
	int64_t hang_ns; /* 0: nobody does */
	int64_t looked_ns;
	struct cadre_sight *sights; /* one per slot; NULL when nobody looks */
	struct cadre_mask hung;     /* workers that have run a job for too long */
};

/* Why a living worker is replaced. */
enum cadre_relief_reason {
	CADRE_RELIEF_NONE,
	CADRE_RELIEF_JOBS,
	CADRE_RELIEF_AGE,
	CADRE_RELIEF_MEMORY,
	CADRE_RELIEF_RELOAD,
};

#define CADRE_NOBODY UINT32_MAX

/* One worker at a time is replaced: the newcomer starts, then the other leaves. */
struct cadre_relief {
	uint32_t newcomer; /* CADRE_NOBODY: none is under way */
	uint32_t leaver;   /* CADRE_NOBODY: the newcomer is to show that it starts */
	uint32_t leaver_incarnation;
	enum cadre_relief_reason reason;
	unsigned failures; /* newcomers in a row that did not start */
	int64_t retry_ns;  /* no other before that */
};

enum cadre_reload_step {
	CADRE_RELOAD_NONE,
	CADRE_RELOAD_PROBING,   /* a child tells which operations the new version has */
	CADRE_RELOAD_TRYING,    /* the first worker of the new version starts */
	CADRE_RELOAD_REPLACING, /* it did; the others follow one by one */
};

struct cadre_reload {
	enum cadre_reload_step step;
	struct cadre_child probe; /* its descriptors are -1 when there is none */
	int64_t until_ns;         /* PROBING: it is late from then on */
	unsigned asker;   /* connection that waits for the answer, or CADRE_NOBODY */
	uint32_t version; /* the new one */
	uint32_t operation_count;
	struct cadre_operation_line *operations; /* of the new version */
};

/* What the supervisor knows of a client's place. */
struct cadre_lease {
	int pidfd; /* -1: none, or dead */
	pid_t pid;
	uint64_t nonce;
	bool draining; /* its window still holds jobs */
	int courier; /* the connection of the thread that has its jobs' descriptors; -1 */
};

#define CADRE_CONNECTIONS_MAX 64
#define CADRE_DEATHS_REMEMBERED 8

struct cadre_supervisor {
	const struct cadre_source *source;
	struct cadre_pool_options options; /* every default filled in */
	cadre_notice_fn *notice;
	void *notice_context;
	char pool[CADRE_NAME_MAX + 1];
	struct cadre_lock lock;
	struct cadre_view view;

	enum cadre_phase_of_pool phase;
	bool stays;             /* STOPPING, DRAINING: towards STOPPED, not the end */
	struct cadre_size size; /* how many workers there shall be */
	struct cadre_relief relief;
	struct cadre_reload reload;
	struct cadre_diag *diag; /* why it did not begin, or did not end well */
	int error;               /* the same as a negative errno; 0: all is well */
	bool inherited;          /* the segment is a dead predecessor's */
	bool began;              /* the loop was reached */
	int64_t stop_until_ns;

	int epoll_fd;
	int signal_fd;
	int listener;
	int owner_pidfd; /* embedded: the program whose end is ours; -1 for none */

	struct cadre_member *members; /* one per worker's place */
	struct cadre_lease *leases;   /* one per client's place */
	struct cadre_lease *guests;   /* one per local worker's place */
	int connections[CADRE_CONNECTIONS_MAX];
	int64_t connected_ns[CADRE_CONNECTIONS_MAX];

	struct cadre_survey survey; /* of the last tick */
	struct cadre_vigil vigil;
	struct cadre_pulse pulse;
	struct cadre_clerk clerk;
	bool knocked;         /* a client said that nobody looks */
	bool owes_collecting; /* some member has remains */
	int64_t deaths_ns[CADRE_DEATHS_REMEMBERED];
	unsigned death_turn;
	uint64_t random;
};

/* What an event of epoll is about: kind and index in one number. */
enum cadre_heard {
	CADRE_HEARD_SIGNAL,
	CADRE_HEARD_LISTENER,
	CADRE_HEARD_OWNER,
	CADRE_HEARD_CONNECTION,
	CADRE_HEARD_WORKER,
	CADRE_HEARD_WORKER_START,
	CADRE_HEARD_CLIENT,
	CADRE_HEARD_COURIER,
	CADRE_HEARD_PROBE,
	CADRE_HEARD_GUEST,
};

/* ---- supervisor.c ---- */

/* What the supervisor of an embedded pool needs on top of cadre_serve. */
struct cadre_embedding {
	int owner_pidfd; /* -1: served, not embedded */
	/* Called once, when the pool is ready. */
	void (*ready)(void *context);
	void *context;
};

/* One that has nothing yet: no descriptor, no connection, nobody to relieve or reload. */
void cadre_supervisor_init(struct cadre_supervisor *supervisor);

/* Runs the pool from taking the lock to letting it go. 0 after an orderly end. */
int cadre_supervise(const struct cadre_source *source,
		    const struct cadre_pool_options *options,
		    const struct cadre_embedding *embedding, cadre_notice_fn *notice,
		    void *notice_context, struct cadre_diag *diag);

/* A line of the log, and what whoever serves is told when no sink of the log was. `say` is
 * for NOTICE, `warn` for WARNING. */
void cadre_supervisor_say(struct cadre_supervisor *supervisor, const char *format, ...)
	CADRE_PRINTF(2, 3);
void cadre_supervisor_warn(struct cadre_supervisor *supervisor, const char *format, ...)
	CADRE_PRINTF(2, 3);

/* Writes an event into the segment. */
void cadre_supervisor_tell(const struct cadre_supervisor *supervisor,
			   const struct cadre_event *event);

/* Says in the segment what the pool is about, before any slot is looked at. */
void cadre_supervisor_set_state(const struct cadre_supervisor *supervisor,
				enum cadre_pool_state state);

int cadre_supervisor_watch(const struct cadre_supervisor *supervisor, int fd,
			   enum cadre_heard what, uint32_t index);

/* ---- supervisor_segment.c ---- */

/* A new segment, or a dead predecessor's (`inherited`). -errno with a sentence. */
int cadre_supervisor_open_segment(struct cadre_supervisor *supervisor);

/* ---- supervisor_phases.c ---- */

/* Writes an event about something that the supervisor itself did. `other` is another's pid, 0
 * for none. */
void cadre_supervisor_tell_of_self(const struct cadre_supervisor *supervisor,
				   enum cadre_event_kind kind, int32_t other);

/* A successor goes on where its predecessor was. */
void cadre_supervisor_go_on(struct cadre_supervisor *supervisor,
			    const struct cadre_embedding *embedding);

/* Is it time for the next phase? After each event, and each tick. */
void cadre_supervisor_turn_phase(struct cadre_supervisor *supervisor, int64_t now_ns,
				 const struct cadre_embedding *embedding);

/* Nothing is left to do but to leave. */
bool cadre_supervisor_is_over(const struct cadre_supervisor *supervisor);

/* Runs what was accepted, then ends. Twice is the same as once. */
void cadre_supervisor_stop(struct cadre_supervisor *supervisor);

/* Runs what was accepted, lets the workers leave, and waits to be started again. False when
 * it is about to end. */
bool cadre_supervisor_drain(struct cadre_supervisor *supervisor);

/* Serves (again). False when it is about to end. */
bool cadre_supervisor_start(struct cadre_supervisor *supervisor);

/* Kills the workers and ends every job. */
void cadre_supervisor_terminate(struct cadre_supervisor *supervisor);

/* ---- options.c ---- */

/* Fills in defaults and checks. -EINVAL with a sentence. */
int cadre_pool_options_complete(struct cadre_pool_options *options,
				struct cadre_diag *diag);

struct cadre_limits cadre_pool_limits(const struct cadre_pool_options *options);

/* Exactly one of the three, and it can be read; none of them for a pool without workers. */
int cadre_source_check(const struct cadre_source *source,
		       const struct cadre_pool_options *options, struct cadre_diag *diag);

/* ---- hang.c ---- */

int cadre_hang_init(struct cadre_vigil *vigil, const struct cadre_view *view,
		    int64_t hang_ns);
void cadre_hang_fini(struct cadre_vigil *vigil);

/* Looks at all that runs, and says in `hung` who has done so for too long. */
void cadre_hang_look(struct cadre_vigil *vigil, const struct cadre_view *view,
		     int64_t now_ns);

/* ---- probe.c ---- */

/* Asks the source for its operations and writes them down. -ENOEXEC with a sentence. */
int cadre_probe_operations(struct cadre_supervisor *supervisor);

/* ---- staff.c, staff_deaths.c, staff_verdicts.c, staff_adoption.c ---- */

int cadre_staff_init(struct cadre_supervisor *supervisor);
void cadre_staff_fini(struct cadre_supervisor *supervisor);

/* Takes over the workers that a dead supervisor left; reaps those that died. */
void cadre_staff_adopt(struct cadre_supervisor *supervisor);

/* How many posts are in that state. */
unsigned cadre_staff_count(const struct cadre_supervisor *supervisor,
			   enum cadre_post post);

/* Everything that time brings: late starts, overdue jobs, and what size.c and relief.c have
 * to do. */
void cadre_staff_tick(struct cadre_supervisor *supervisor, int64_t now_ns);

/* When the next of these is due. */
int64_t cadre_staff_next_ns(const struct cadre_supervisor *supervisor);

void cadre_staff_dismiss_all(struct cadre_supervisor *supervisor);
void cadre_staff_kill_all(struct cadre_supervisor *supervisor);

/* Events. */
void cadre_staff_start_spoke(struct cadre_supervisor *supervisor, unsigned worker);
void cadre_staff_died(struct cadre_supervisor *supervisor, unsigned worker);

/* Collects the dead, last of all that follows from an event: callers and replacements wait for
 * the rest. */
void cadre_staff_collect(struct cadre_supervisor *supervisor);

/* Starts a worker of that version in a place whose post has no process. */
void cadre_staff_start(struct cadre_supervisor *supervisor, unsigned worker,
		       uint32_t version, int64_t now_ns);

/* Lets a worker finish what it has and leave. */
void cadre_staff_dismiss(struct cadre_supervisor *supervisor, unsigned worker);

/* The post of a worker without a process becomes EMPTY. */
void cadre_staff_vacate(struct cadre_supervisor *supervisor, unsigned worker);

/* How long to wait after so many failures in a row. */
int64_t cadre_staff_backoff_ns(struct cadre_supervisor *supervisor, unsigned failures);

/* ---- size.c ---- */

/* Workers that are there or will be without further ado, a replacement and the one that it
 * replaces as one. */
unsigned cadre_size_present(const struct cadre_supervisor *supervisor);

/* Fills posts until `wanted` workers are present, and not more than max. */
void cadre_size_hire(struct cadre_supervisor *supervisor, unsigned wanted);

/* Growth, retries, and those that idle or are too many. */
void cadre_size_tick(struct cadre_supervisor *supervisor, int64_t now_ns);

/* From now on so many. -EINVAL with a sentence. */
int cadre_size_set(struct cadre_supervisor *supervisor, struct cadre_size size,
		   struct cadre_diag *diag);

/* Lets this worker leave, if it idles and min allows. -EBUSY, -ESRCH, -ERANGE. */
int cadre_size_stop_idle(struct cadre_supervisor *supervisor, unsigned worker,
			 uint32_t incarnation);

/* ---- relief.c ---- */

void cadre_relief_init(struct cadre_supervisor *supervisor);

/* Begins to replace whoever is due. */
void cadre_relief_tick(struct cadre_supervisor *supervisor, int64_t now_ns);

/* What has become of the newcomer? Cheap; called after each event. */
void cadre_relief_step(struct cadre_supervisor *supervisor, int64_t now_ns);

/* Starts a worker of another version that relieves nobody yet. -ENOSPC: no place. */
int cadre_relief_try(struct cadre_supervisor *supervisor, uint32_t version,
		     int64_t now_ns);

/* Lets a worker leave whose replacement is there, says so and counts it. */
void cadre_relief_dismiss(struct cadre_supervisor *supervisor, unsigned leaver,
			  enum cadre_relief_reason reason);

/* It is not among those that the pool counts on: it died before it was up. */
bool cadre_relief_is_newcomer(const struct cadre_supervisor *supervisor, unsigned worker);

/* ---- reload.c ---- */

void cadre_reload_init(struct cadre_supervisor *supervisor);
void cadre_reload_fini(struct cadre_supervisor *supervisor);

/* Begins. 0: `asker`, unless CADRE_NOBODY, is answered when it is done. */
int cadre_reload_begin(struct cadre_supervisor *supervisor, unsigned asker,
		       struct cadre_diag *diag);

/* What has become of it? After each event, and each tick. */
void cadre_reload_step(struct cadre_supervisor *supervisor, int64_t now_ns);

/* The probe says something. */
void cadre_reload_probe_spoke(struct cadre_supervisor *supervisor);

/* The newcomer is up: true when the reload was only waiting for that. Or it is not, and why. */
void cadre_reload_tried(struct cadre_supervisor *supervisor, bool started,
			const char *why);

/* Goes on with what a dead predecessor had begun. */
void cadre_reload_adopt(struct cadre_supervisor *supervisor);

/* The pool does not serve any more. */
void cadre_reload_cancel(struct cadre_supervisor *supervisor, const char *why);

/* ---- order.c ---- */

/* An answer that says no. */
struct cadre_control cadre_order_no(int error, const char *format, ...) CADRE_PRINTF(2, 3);

/* An answer that says what was done. */
struct cadre_control cadre_order_yes(const char *format, ...) CADRE_PRINTF(1, 2);

/* Does as it is told. False when the answer comes later. */
bool cadre_order_obey(struct cadre_supervisor *supervisor, unsigned connection,
		      const struct cadre_control *order, struct cadre_control *ret_answer);

/* ---- guest.c: begun, ended and adopted with the leases ---- */

int cadre_guest_init(struct cadre_supervisor *supervisor);
void cadre_guest_fini(struct cadre_supervisor *supervisor);
void cadre_guest_adopt(struct cadre_supervisor *supervisor);
void cadre_guest_died(struct cadre_supervisor *supervisor, unsigned guest);

/* Answers to a local worker that comes, and that goes. */
struct cadre_control cadre_guest_greet(struct cadre_supervisor *supervisor,
				       const struct cadre_control *hello, pid_t sender);
struct cadre_control cadre_guest_part(struct cadre_supervisor *supervisor,
				      const struct cadre_control *goodbye, pid_t sender);

/* It hung up before it heard that it has this seat. */
void cadre_guest_forget(struct cadre_supervisor *supervisor, unsigned seat);

/* ---- lease.c ---- */

/* The answer to a question that took its time. */
void cadre_lease_answer(struct cadre_supervisor *supervisor, unsigned connection,
			const struct cadre_control *answer);

int cadre_lease_init(struct cadre_supervisor *supervisor);
void cadre_lease_fini(struct cadre_supervisor *supervisor);
void cadre_lease_adopt(struct cadre_supervisor *supervisor);
void cadre_lease_tick(struct cadre_supervisor *supervisor, int64_t now_ns);
bool cadre_lease_is_draining(const struct cadre_supervisor *supervisor);
void cadre_lease_accept(struct cadre_supervisor *supervisor);
void cadre_lease_heard(struct cadre_supervisor *supervisor, unsigned connection);
void cadre_lease_courier_spoke(struct cadre_supervisor *supervisor, unsigned client);
void cadre_lease_client_died(struct cadre_supervisor *supervisor, unsigned client);

#endif
