/*
 * job.h - a job in the hands of its worker: what handlers see as struct cadre_job.
 *
 * Two parties hold it: the handler that runs, and whoever owes the reply (the same, unless
 * it was deferred); a third is the watcher while it calls back. The job's room in the worker is given away when all are done.
 *
 * It needs to know only how to end: what to do with the rest of the worker is told by the
 * functions in cadre_job_host.
 */
#ifndef CADRE_JOB_H
#define CADRE_JOB_H

#include <pthread.h>

#include <cadre/channel.h>
#include <cadre/descriptors.h>
#include <cadre/service.h>
#include <cadre/stream.h>

#include "layout.h"
#include "watch.h"

struct cadre_job;

/* Connections to couriers that no job uses just now. */
#define CADRE_LINES_MAX 16

struct cadre_line {
	int fd;
	uint32_t window;
	uint64_t client; /* the word of the window's place: whose courier it is */
};

struct cadre_fetcher {
	pthread_mutex_t lock;
	uint32_t count;
	struct cadre_line lines[CADRE_LINES_MAX];
};

/* What a job needs of the process that runs it. */
struct cadre_job_host {
	const struct cadre_view *view;
	struct cadre_block_pool blocks;
	int32_t pid;
	unsigned worker; /* its seat */
	struct cadre_watch watch;
	const char *pool;
	struct cadre_fetcher fetcher;
	uint32_t incarnation;
	const struct cadre_channel *channel; /* that leads to it */
	uint32_t inline_max; /* bytes of the longest reply that fits its slot */
	/* Handlers that may run at once; and how many of them wait for this very worker. */
	uint32_t rooms;
	_Atomic uint32_t waiting_for_itself;
	/* The word says DONE, in place of `replaced`: account for it, then ring for whoever
	 * waits. Any thread. */
	void (*ended)(struct cadre_job_host *host, struct cadre_job *job,
		      enum cadre_outcome outcome, uint64_t replaced);
	/* Both parties are done; the struct may be used again. Any thread. */
	void (*over)(struct cadre_job_host *host, struct cadre_job *job);
	/* Its producer begins or ends to wait for room in its stream. Any thread. */
	void (*blocked)(struct cadre_job_host *host, struct cadre_job *job, bool begins);
	/* Nobody is left who could end the wait: the pool died. *alone_since_ns belongs to the
	 * wait, 0 at first. */
	bool (*deserted)(struct cadre_job_host *host, int64_t *alone_since_ns);
	/* The job wants to be called back when there is room. Any thread. */
	void (*wants_room)(struct cadre_job_host *host, struct cadre_job *job);
	/* It does not any more, because it is about to end. False: it did not, or is being called
	 * back. Any thread. */
	bool (*wants_none)(struct cadre_job_host *host, struct cadre_job *job);
};

struct cadre_job {
	struct cadre_job_host *host;
	struct cadre_slot *slot;
	uint32_t number;  /* of the slot */
	uint64_t claimed; /* its word */
	/* One copy of what the client wrote, checked. */
	const void *data;
	uint32_t length;
	int32_t operation;
	int64_t deadline_ns;
	uint64_t token; /* id; 0: none */
	int64_t submitted_ns;
	int64_t taken_ns;
	int64_t ended_ns;
	/* The room for a reply that is written in place. */
	void *room;
	size_t room_size;  /* all that there is */
	size_t room_asked; /* of it; no more is committed */
	uint32_t room_block;
	uint32_t request_block;       /* that was read; CADRE_NO_BLOCK for none */
	uint64_t request_size;        /* bytes of that block */
	struct cadre_emitter emitter; /* of a stream */
	cadre_room_fn *on_room;       /* whom to call when there is room */
	void *on_room_context;
	_Atomic bool wants_room;  /* release by who asks, acquire by who calls back */
	_Atomic uint32_t parties; /* of a shared job. 2: handler and reply; 0: over */
	_Atomic bool ended;
	_Atomic bool deferred;
	_Atomic bool shared; /* deferred, or watched: other threads may have to do with it */
	/* A payload that fits its slot and nothing else that a request may have, not shared, no
	 * room for its reply: as most are. Then fields of those say that there is none. Never set
	 * back to true while the job is open. */
	_Atomic bool is_plain;
	struct cadre_watched watched;
	/* fetch.c: of descriptors that came with it and that the handler has not got yet. */
	uint8_t fd_count;
	bool fetched;
	int fds[CADRE_DESCRIPTORS_MAX];
};

/* The job whose handler runs on this thread: for its crash record and its log lines. */
extern _Thread_local const struct cadre_job *cadre_job_current
	__attribute__((tls_model("initial-exec")));

/* Copies and checks the descriptor of a claimed job. 0, or the errno that it has to fail
 * with: -EBADMSG for lengths or blocks that cannot be, -EHOSTDOWN when it is aimed at
 * another incarnation of this worker. */
int cadre_job_open(struct cadre_job *job, struct cadre_job_host *host, uint32_t slot,
		   uint64_t claimed, int64_t taken_ns);

/* One more party, and one less: the struct and the room stay until the last is gone. */
void cadre_job_hold(struct cadre_job *job);
void cadre_job_let_go(struct cadre_job *job);

/* True while no thread but the handler's has to do with it: then there is nobody to be
 * ordered with, and a read-modify-write would wait for every store before it. */
static inline bool cadre_job_is_private(const struct cadre_job *job)
{
	/* Relaxed: written by the handler's thread, or before whoever ends it heard of it. */
	return !atomic_load_explicit(&job->shared, memory_order_relaxed);
}

static inline bool cadre_job_is_plain(const struct cadre_job *job)
{
	/* Relaxed: as `shared`. */
	return atomic_load_explicit(&job->is_plain, memory_order_relaxed);
}

/* True once somebody has begun to end it. */
static inline bool cadre_job_has_reply(const struct cadre_job *job)
{
	return atomic_load_explicit(&job->ended, memory_order_relaxed);
}

/* From now on other threads may have to do with it, and its parties are counted. Only the
 * handler's thread. */
void cadre_job_share(struct cadre_job *job);

/* emit.c: finds the ring of a stream whose payload is job->length bytes, and checks it. 0, or
 * -EBADMSG. */
int cadre_job_open_stream(struct cadre_job *job);

/* There is room for what the job asked for last, or a reason to look: it was cancelled. */
bool cadre_job_has_room(struct cadre_job *job);
/* What time brings: ends the job for its caller when its deadline has passed or its token has
 * ended; else tells when to look again, INT64_MAX for never. */
int64_t cadre_job_look_at_time(const struct cadre_job *job, int64_t now_ns);

/* The handler has returned: a job that it neither ended nor deferred fails. */
void cadre_job_handler_returned(struct cadre_job *job);

/* Ends the job without a handler having seen it. */
void cadre_job_refuse(struct cadre_job *job, enum cadre_outcome outcome, int32_t code,
		      const char *sentence);

/* fetch.c */
void cadre_fetcher_init(struct cadre_fetcher *fetcher);
void cadre_fetcher_fini(struct cadre_fetcher *fetcher);

/* Closes what the handler has not taken. */
void cadre_job_close_descriptors(struct cadre_job *job);

#endif
