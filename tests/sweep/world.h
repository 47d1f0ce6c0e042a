/*
 * world.h - a pool small enough to be copied at every instruction: two workers, two
 * clients with four slots each, sixteen KiB of blocks.
 *
 * Everybody sits in this process: its pid stands in every place, and the private sides
 * of clients, workers and supervisor are plain structs here. A subject is a fork of it,
 * which inherits these structs and does one thing; then its pid stands in its place. So
 * each run starts from the same bytes, at the same addresses, with the same clock.
 */
#ifndef WORLD_H
#define WORLD_H

#include "client.h"
#include "supervisor.h"
#include "worker.h"

enum {
	WORLD_WORKERS = 2,
	WORLD_CLIENTS = 2,
	WORLD_SLOTS = 4,
	WORLD_SLOTS_ALL = WORLD_CLIENTS * WORLD_SLOTS,
	WORLD_JOBS_MAX = 256, /* ids; see cadre_job_id */
	WORLD_ERRANDS_MAX = 8,
};

/* What handlers do. */
enum {
	WORLD_ECHO = 1, /* replies with the request */
	WORLD_HOLD = 2, /* keeps the job for world_finish_held */
	WORLD_FAIL = 3,
	WORLD_TURN = 5,   /* replies with the request, which was other bytes in between */
	WORLD_STREAM = 4, /* emits WORLD_ITEMS items, then replies with the request */
};

enum {
	WORLD_ITEMS = 3,
	WORLD_STREAM_ROOM = 256,
};

enum {
	WORLD_SHORT = 40, /* fits a slot */
	WORLD_LONG = 500, /* wants a block of the first class, of which there are eight */
	WORLD_LONGER = 1100 /* wants one of the second, of which there are two */
};

struct world_errand {
	struct cadre_ticket ticket;
	unsigned client;
	uint32_t length;
	uint32_t items; /* of a stream, that were read */
	bool is_stream;
	bool out;
};

/* What handlers did, outside of the segment and shared with subjects. */
struct world_ledger {
	_Atomic uint32_t runs[WORLD_JOBS_MAX];     /* by job id */
	_Atomic uint32_t attempts[WORLD_JOBS_MAX]; /* bit a: ran as attempt a */
	_Atomic uint32_t damaged; /* requests or replies that were not what was sent */
	_Atomic uint32_t called_back;
};

/* Somebody who is dead, or about to be. */
struct world_person {
	pid_t pid;
	uint64_t start_time;
	int pidfd;
};

struct world {
	struct cadre_view view;
	struct cadre_supervisor supervisor;
	struct cadre_worker workers[WORLD_WORKERS];
	struct cadre_client clients[WORLD_CLIENTS];
	struct world_errand errands[WORLD_ERRANDS_MAX];
	struct cadre_job *held[WORLD_WORKERS];
	struct cadre_draft draft;
	struct cadre_result result;
	struct world_person self;
	struct world_person corpse; /* one who died before */
	/* Who does not act in this process: it is dead, or a subject. */
	bool worker_away[WORLD_WORKERS];
	bool client_away[WORLD_CLIENTS];
	bool supervisor_away;
	int listener;  /* the supervisor's */
	int lost_code; /* how a lost job's worker has ended; 0 when that is not known */
};

extern struct world world;
extern struct world_ledger *world_ledger;
extern const struct cadre_service world_service;

/* Creates the segment, and removes it. 0, or a sentence was printed. */
int world_open(void);
void world_close(void);

/* Makes a corpse: a process that was there and has died. */
struct world_person world_make_corpse(void);

/* Everything as it was when the pool was new, and everybody seated. */
void world_rebuild(void);

/* Gives back what the supervisor has; its struct can be begun anew. */
void world_forget_supervisor(void);

/* Writes somebody into a place instead of this process. */
void world_seat_worker(unsigned worker, struct world_person who);
void world_seat_client(unsigned client, struct world_person who);

/* What the supervisor would know of the places as they stand, `dead` being dead. */
void world_supervise(const struct world_person *dead);

/* ---- acts ---- */

/* Submits a job and, unless it is detached, makes an errand of it. 0 or negative errno. */
int world_submit(unsigned client, int32_t operation, uint32_t length, unsigned flags);

/* The same, to be delivered by a callback that looks at the result. */
int world_submit_for_callback(unsigned client, uint32_t length);

/* Room for one more errand, which the caller fills in. */
struct world_errand *world_errand(unsigned client, uint32_t length);

/* Runs one job, wherever it is. */
bool world_work(unsigned worker);

/* Replies to the job that a handler kept. */
int world_finish_held(unsigned worker);

/* Sets the worker's bit among the sleepers. */
void world_lie_down(unsigned worker);

/* Takes and releases what has ended. Returns how many; or -1 when a result is damaged. */
int world_take(unsigned client);

/* Has this client errands that are out? */
bool world_is_waiting(unsigned client);

/* The bytes that a request of that length holds. */
const unsigned char *world_payload(uint32_t length);

/* Everybody who is not away does what there is to do, until nothing is. */
void world_finish_all(void);

/* Two ends of a conversation; the first one is told who speaks at the other. */
void world_connect(int pair[2]);

/* New people in the places of the dead fill their windows with jobs and run them. */
void world_go_on(void);

#endif
