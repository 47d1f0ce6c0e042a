/*
 * supervisor.h - what the files of the supervisor share: supervisor.c (the pool: begin,
 * wait, end), staff.c (workers) and lease.c (clients and the control socket).
 *
 * One thread, one loop over epoll. What it knows about processes it knows from pidfds that
 * it opened itself; what stands in the segment it writes, or reads as input.
 */
#ifndef CADRE_SUPERVISOR_H
#define CADRE_SUPERVISOR_H

#include <cadre/pool.h>

#include "control.h"
#include "layout.h"
#include "pulse.h"
#include "reaper.h"
#include "spawn.h"

enum cadre_phase_of_pool {
	CADRE_BEGINNING, /* the first workers start; a failure ends it all */
	CADRE_SERVING,
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
	uint32_t incarnation;
	unsigned failures; /* deaths in a row, each soon after its start */
	bool replaces;     /* its start is a restart */
	int64_t started_ns;
	int64_t start_until_ns; /* STARTING: it is late from then on */
	int64_t retry_ns;       /* WAITING */
	int64_t abort_ns; /* when it was sent ABRT for an overdue job; 0: it was not */
	char last_words[240]; /* why its start failed, in its own words */
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
	int connections[CADRE_CONNECTIONS_MAX];
	int64_t connected_ns[CADRE_CONNECTIONS_MAX];

	struct cadre_survey survey; /* of the last tick */
	struct cadre_pulse pulse;
	bool knocked; /* a client said that nobody looks */
	int64_t deaths_ns[CADRE_DEATHS_REMEMBERED];
	unsigned death_turn;
	uint64_t random;
};

/* What an event of epoll is about: kind and index in one number. */
enum cadre_event {
	CADRE_EVENT_SIGNAL,
	CADRE_EVENT_LISTENER,
	CADRE_EVENT_OWNER,
	CADRE_EVENT_CONNECTION,
	CADRE_EVENT_WORKER,
	CADRE_EVENT_WORKER_START,
	CADRE_EVENT_CLIENT,
	CADRE_EVENT_COURIER,
};

/* ---- supervisor.c ---- */

/* What the supervisor of an embedded pool needs on top of cadre_serve. */
struct cadre_embedding {
	int owner_pidfd; /* -1: served, not embedded */
	/* Called once, when the pool is ready. */
	void (*ready)(void *context);
	void *context;
};

/* Runs the pool from taking the lock to letting it go. 0 after an orderly end. */
int cadre_supervise(const struct cadre_source *source,
		    const struct cadre_pool_options *options,
		    const struct cadre_embedding *embedding, cadre_notice_fn *notice,
		    void *notice_context, struct cadre_diag *diag);

void cadre_supervisor_say(const struct cadre_supervisor *supervisor, const char *format,
			  ...) CADRE_PRINTF(2, 3);

int cadre_supervisor_watch(const struct cadre_supervisor *supervisor, int fd,
			   enum cadre_event event, uint32_t index);

/* Runs what was accepted, then ends. Twice is the same as once. */
void cadre_supervisor_stop(struct cadre_supervisor *supervisor);

/* Kills the workers and ends every job. */
void cadre_supervisor_terminate(struct cadre_supervisor *supervisor);

/* ---- options.c ---- */

/* Fills in defaults and checks. -EINVAL with a sentence. */
int cadre_pool_options_complete(struct cadre_pool_options *options,
				struct cadre_diag *diag);

struct cadre_limits cadre_pool_limits(const struct cadre_pool_options *options);

/* Exactly one of the three, and it can be read. */
int cadre_source_check(const struct cadre_source *source, struct cadre_diag *diag);

/* ---- probe.c ---- */

/* Asks the source for its operations and writes them down. -ENOEXEC with a sentence. */
int cadre_probe_operations(struct cadre_supervisor *supervisor);

/* ---- staff.c ---- */

int cadre_staff_init(struct cadre_supervisor *supervisor);
void cadre_staff_fini(struct cadre_supervisor *supervisor);

/* Takes over the workers that a dead supervisor left; reaps those that died. */
void cadre_staff_adopt(struct cadre_supervisor *supervisor);

/* How many posts are in that state. */
unsigned cadre_staff_count(const struct cadre_supervisor *supervisor,
			   enum cadre_post post);

/* Fills posts until `wanted` workers are up, starting, or waiting to be started. */
void cadre_staff_hire(struct cadre_supervisor *supervisor, unsigned wanted);

/* Everything that time brings: late starts, retries, growth, idle workers, overdue jobs. */
void cadre_staff_tick(struct cadre_supervisor *supervisor, int64_t now_ns);

/* When the next of these is due. */
int64_t cadre_staff_next_ns(const struct cadre_supervisor *supervisor);

void cadre_staff_dismiss_all(struct cadre_supervisor *supervisor);
void cadre_staff_kill_all(struct cadre_supervisor *supervisor);

/* Events. */
void cadre_staff_start_spoke(struct cadre_supervisor *supervisor, unsigned worker);
void cadre_staff_died(struct cadre_supervisor *supervisor, unsigned worker);

/* ---- lease.c ---- */

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
