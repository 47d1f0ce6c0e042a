/*
 * client.h - what the files of one client share: client.c (attach, detach), submit.c, draft.c,
 * take.c, consume.c (streams) and completion.c.
 *
 * What other processes must know stands in the segment; everything here is private to the
 * process. Its threads agree through one word per slot: whoever moves it on has the right
 * to the step that follows.
 *
 *                 take_slot          publish           accept            release
 *   VACANT ----------------> HELD ----------> PENDING ---------> TAKEN ----------> VACANT
 *      ^                                         |                 |
 *      |                                         | detached        | its worker still runs
 *      +------------- reclaim ------- LEFT <-----+-----------------+
 *
 * LEFT: nobody asks for the outcome any more, and the slot is not vacant yet. Whoever looks
 * for a vacant slot and finds such a one DONE vacates it.
 */
#ifndef CADRE_LIB_CLIENT_H
#define CADRE_LIB_CLIENT_H

#include <pthread.h>
#include <urcu/wfcqueue.h>

#include <cadre/client.h>
#include <cadre/token.h>

#include "forkguard.h"
#include "layout.h"
#include "notice.h"

enum cadre_pending_state {
	CADRE_PENDING_VACANT = 0,
	CADRE_PENDING_HELD,
	CADRE_PENDING_OUT, /* PENDING above: the job is out there */
	CADRE_PENDING_TAKEN,
	CADRE_PENDING_LEFT,
};

/* What is known of a job that is out. */
enum cadre_mark {
	CADRE_MARK_NUDGED = 1u << 0, /* a sleeper was woken for it, because it grew old */
	CADRE_MARK_DECIDED = 1u << 1, /* by this process: no stamp will tell of it */
	CADRE_MARK_STREAM = 1u << 2,  /* then its consumer, below, is in use */
	CADRE_MARK_TOKEN = 1u << 3,   /* its slot names one, which may end the job */
};

/* The private side of one slot. */
struct cadre_pending {
	/* State and generation in one word: who acts on what he saw there acts on that very
	 * job, and never on the next one of its slot. */
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t word;
	/* Written in HELD. Whoever sees it OUT may look; whether what he read is of the job that
	 * he means, his next step on word or slot tells. */
	_Atomic int64_t deadline_ns;
	cadre_ended_fn *_Atomic ended;
	/* Written in HELD, read in TAKEN. */
	uint32_t request_block;
	uint32_t counter; /* number of its named counter, from 1; 0: none */
	/* Copies of what stands in the slot, whose lines are the worker's. */
	int64_t submitted_ns;
	int32_t operation;
	void *context;
	struct cds_wfcq_node node;  /* in the queue of completions, while TAKEN */
	_Atomic uint32_t marks;     /* CADRE_MARK_..., written whole in HELD */
	_Atomic uint64_t published; /* generation of the last job that went out */
};

/* Relaxed, all three: of which job a mark is, the pending's word tells. */
static inline bool cadre_pending_has(const struct cadre_pending *pending, unsigned marks)
{
	return atomic_load_explicit(&pending->marks, memory_order_relaxed) & marks;
}

static inline void cadre_pending_mark(struct cadre_pending *pending, enum cadre_mark mark)
{
	atomic_fetch_or_explicit(&pending->marks, mark, memory_order_relaxed);
}

static inline void cadre_pending_unmark(struct cadre_pending *pending,
					enum cadre_mark mark)
{
	atomic_fetch_and_explicit(&pending->marks, ~(uint32_t)mark, memory_order_relaxed);
}

static inline uint64_t cadre_pending_pack(enum cadre_pending_state state,
					  uint64_t generation)
{
	return generation << 3 | (uint64_t)state;
}

static inline enum cadre_pending_state cadre_pending_state(uint64_t word)
{
	return (enum cadre_pending_state)(word & 7);
}

static inline uint64_t cadre_pending_generation(uint64_t word)
{
	return word >> 3;
}

/* From what was seen there to what comes next, unless another thread was faster. */
static inline bool cadre_pending_move(struct cadre_pending *pending, uint64_t from,
				      uint64_t to)
{
	/* V2, V4: acquire, pair with V1 in unhold and with V3 in publish_as. */
	if (!cadre_is_single_threaded())
		return atomic_compare_exchange_strong_explicit(&pending->word, &from, to,
							       memory_order_acquire,
							       memory_order_relaxed);
	if (atomic_load_explicit(&pending->word, memory_order_relaxed) != from)
		return false;
	atomic_store_explicit(&pending->word, to, memory_order_relaxed);
	return true;
}

/* A named counter. */
struct cadre_perf_counter {
	struct cadre_client *client;
	struct cadre_perf_line *line;
	char name[CADRE_PERF_NAME_MAX + 1];
};

/* A stream with callbacks is kept by the thread that looks at it, or by the queue that it
 * stands in. Whoever comes in vain says so, and the keeper looks once more before it lets
 * go: so nothing that somebody was rung for is left lying. */
enum cadre_keeping {
	CADRE_KEEPING_NOBODY = 0,
	CADRE_KEEPING_ONE = 1,
	CADRE_KEEPING_MISSED = 2,
};

/* The private side of one stream, beside the pending of its slot. */
struct cadre_consumer {
	/* Whoever reads: the thread that has the ticket, or with callbacks whoever keeps it. */
	struct cadre_reader reader;
	cadre_item_fn *item; /* written in HELD; NULL: by ticket */
	/* Generation and enum cadre_keeping: who reads for callbacks. */
	_Atomic uint64_t kept;
	_Atomic uint64_t over; /* generation of the job whose end was seen, or wished */
	_Atomic uint64_t left; /* generation of the job whose items nobody wants any more */
	uint32_t pauses;       /* under streams_lock */
	_Atomic bool paused;
};

struct cadre_client {
	struct cadre_view view;
	struct cadre_block_pool blocks;
	struct cadre_forkguard guard;
	char pool[CADRE_NAME_MAX + 1];
	uint32_t window;
	uint32_t incarnation;
	uint64_t nonce;
	int64_t created_ns; /* of the segment */
	int64_t spin_ns;
	_Atomic bool shares_cpu; /* with a worker, when a wait looked last */
	/* The job that was looked for in vain last, and not before when again. */
	_Atomic uint64_t missed_id;
	_Atomic int64_t missed_until_ns;
	unsigned roused_most; /* workers: as many as have a CPU besides ours, at least one */

	/* Its window. */
	/* Longest payload of a plain request, which fits its slot; -1 when there are no workers
	 * for anyone. */
	int64_t plain_max;
	uint32_t slot_count;
	uint32_t slot_base; /* number of its first slot in the segment */
	struct cadre_slot *slots;
	struct cadre_books *books;
	struct cadre_client_lines *lines;
	struct cadre_bell *bell;

	struct cadre_pending *pending; /* one per slot */
	_Atomic uint64_t next;         /* position to try next: a hint among threads */
	_Atomic uint32_t in_use;       /* slots that are not VACANT; a moment late */
	_Atomic uint32_t callbacks;    /* jobs with a callback that was not called yet */
	_Atomic uint32_t crew_turn;    /* whom to wake next */
	pthread_mutex_t warrant_lock;  /* cancel.c: one warrant at a time */

	/* consume.c */
	struct cadre_consumer *_Atomic consumers; /* one per slot, from the first stream on */
	pthread_mutex_t streams_lock; /* pauses, beside the end of their stream */
	/* handle.c */
	pthread_mutex_t token_lock;  /* of what follows, and of handles */
	pthread_cond_t token_called; /* a listener came back */
	struct cadre_token *tokens;
	uint32_t releases;          /* since the last collection */
	_Atomic uint32_t listeners; /* that were not called yet */

	_Atomic bool dead; /* the pool died: nothing is accepted any more */
	_Atomic int64_t
		alone_since_ns; /* nobody has held the supervisor's lock since; 0: not so */
	_Atomic int64_t next_look_ns; /* when to look at the supervisor's lock again */

	/* tell.c */
	pthread_mutex_t counters_lock; /* their number grows */
	uint32_t counter_count;
	struct cadre_perf_counter counters[CADRE_PERF_COUNTERS_MAX];

	/* completion.c */
	struct cds_wfcq_head completed_head;
	struct cds_wfcq_tail completed_tail;
	pthread_mutex_t notifier_lock; /* its start */
	pthread_t notifier;
	_Atomic bool notifier_runs;
	_Atomic bool notifier_ends;
	int event_fd;

	/* courier.c: NULL until the first job with descriptors. */
	_Atomic(struct cadre_courier *) courier;
};

/* How long a waiter sleeps at most before it looks again at everything. */
#define CADRE_LOOK_AGAIN_NS (200 * CADRE_NS_PER_MS)

/* The same for the first sleep beside a worker on one's own CPU, which may hold a ring back
 * (held.h). Not sooner than the kernel's own tick: an earlier timer would have to be set in
 * the hardware, each time. */
#define CADRE_LOOK_SOON_NS (10 * CADRE_NS_PER_MS)

/* One slot more in use, or one less. How many there are. */
static inline uint32_t cadre_client_use_slots(struct cadre_client *client, uint32_t by)
{
	uint32_t in_use;

	/* Relaxed: a number. */
	if (!cadre_is_single_threaded())
		return by + atomic_fetch_add_explicit(&client->in_use, by,
						      memory_order_relaxed);
	in_use = by + atomic_load_explicit(&client->in_use, memory_order_relaxed);
	atomic_store_explicit(&client->in_use, in_use, memory_order_relaxed);
	return in_use;
}

/* The client's view and its window's number stand: everything of its own in there, and what
 * follows from the pool's limits. The same for clients that tests seat by hand. */
void cadre_client_find_window(struct cadre_client *client);

/* 0, or -ECHILD in a forked child. First line of each public function. */
static inline int cadre_client_enter(const struct cadre_client *client)
{
	return cadre_forkguard_is_child(&client->guard) ? -ECHILD : 0;
}

/* Looks now and then whether the pool still has a supervisor; when it has had none for
 * longer than workers bear it, the pool is dead, and every job of this client ends as
 * terminated. True when it is dead. */
bool cadre_client_look_after_pool(struct cadre_client *client, int64_t now_ns);

/* True while the process lives that signed this client's segment as its supervisor last.
 * Another pool may have the name by now; it has another segment. */
bool cadre_client_has_supervisor(const struct cadre_client *client);

/* Says why nobody answers at the pool's control socket; returns what that comes to. */
int cadre_client_refuse_attach(const char *pool, int error, struct cadre_diag *diag);

/* Ends whatever is out, as terminated. */
void cadre_client_end_everything(struct cadre_client *client);

/* submit.c */

/* Vacates the slot of a job that is DONE, and its blocks with it. Its pending is this
 * thread's. */
void cadre_client_vacate_slot(struct cadre_client *client, uint32_t index, uint64_t word);

/* Vacates every slot whose job has ended and that nobody asks for any more. */
void cadre_client_reclaim_all(struct cadre_client *client);

/* Wakes a worker or the supervisor for a job that has been pending for long, once. */
void cadre_client_nudge_once(struct cadre_client *client, uint32_t index, uint64_t word);

/* take.c */

/* Nobody who may end a wait of ours needs our CPU for it. */
bool cadre_client_may_spin(const struct cadre_client *client);

/* True when the job has ended for its caller: DONE, or decided while it runs. Of a word that
 * is not spoiled. */
static inline bool cadre_word_has_ended(uint64_t word)
{
	return cadre_word_phase(word) == CADRE_DONE ||
	       cadre_word_flags(word) & CADRE_FLAG_DECIDED;
}

/* True when no job of that generation that is out can have this word: somebody has scribbled
 * over it, and nothing will ever end the job. */
static inline bool cadre_word_is_spoiled(uint64_t word, uint64_t generation)
{
	const enum cadre_phase phase = cadre_word_phase(word);

	return cadre_word_generation(word) != generation ||
	       (phase != CADRE_QUEUED && phase != CADRE_RUNNING && phase != CADRE_DONE);
}

/* One look at a job that is out. Returns whether it has ended. Cheap while it has not; without
 * at_word it may miss an end that nobody has stamped. */
bool cadre_client_has_ended(const struct cadre_client *client, uint32_t index,
			    uint64_t generation, bool at_word);

/* What time brings for a job that is out: ends it when its deadline has passed or its token
 * has ended; else tells when to look again, INT64_MAX for never. */
int64_t cadre_client_look_at_time(struct cadre_client *client, uint32_t index,
				  uint64_t generation, int64_t now_ns);

/* Decides the outcome of a job of this client, and tells who must know. False when it was
 * decided before, or is not there any more. */
bool cadre_client_decide(struct cadre_client *client, uint32_t index, uint64_t generation,
			 enum cadre_outcome outcome);

/* Fills in a result. The pending is TAKEN by this thread. */
void cadre_client_result(struct cadre_client *client, uint32_t index,
			 struct cadre_result *ret_result);

/* TAKEN -> VACANT, or LEFT while its worker still runs. */
void cadre_client_let_go(struct cadre_client *client, uint32_t index);

/* The job of a slot that is HELD or TAKEN by this thread. Relaxed: nobody else moves it. */
static inline uint64_t cadre_client_generation(const struct cadre_client *client,
					       uint32_t index)
{
	return cadre_pending_generation(
		atomic_load_explicit(&client->pending[index].word, memory_order_relaxed));
}

static inline uint32_t cadre_ticket_index(struct cadre_ticket ticket)
{
	return (uint32_t)(ticket.id & 0xffff);
}

static inline uint64_t cadre_ticket_generation(struct cadre_ticket ticket)
{
	return ticket.id >> 16;
}

static inline struct cadre_ticket cadre_ticket_make(uint32_t index, uint64_t generation)
{
	return (struct cadre_ticket){ .id = generation << 16 | index };
}

/* courier.c */

/* Lays descriptors by for the job that the held slot is going to be. -EBADF, -ENOMEM, or why
 * there can be no courier; then they stay the caller's. */
int cadre_courier_pack(struct cadre_client *client, uint32_t index, const int *fds,
		       size_t count);

/* They are the caller's again: the job was not accepted. */
void cadre_courier_unpack(struct cadre_client *client, uint32_t index);

/* Closes what was not asked for. Cheap for clients that never sent any. */
void cadre_courier_close(struct cadre_client *client, uint32_t index);

void cadre_courier_fini(struct cadre_client *client);
/* tell.c */

/* Adds a result to the counter that its job named. The pending is TAKEN by this thread. */
void cadre_client_count(struct cadre_client *client, uint32_t index,
			const struct cadre_result *result);
/* The slot of a ticket whose job is out. -ESTALE: released, or never ours. -EBUSY: another
 * thread takes it, or its result is out. */
int cadre_client_find(const struct cadre_client *client, struct cadre_ticket ticket,
		      uint32_t *ret_index);

/* OUT -> TAKEN: whoever wins this has the outcome. */
bool cadre_client_accept(struct cadre_client *client, uint32_t index, uint64_t generation);

/* consume.c */
int cadre_consume_init(struct cadre_client *client);
void cadre_consume_fini(struct cadre_client *client);

/* Bytes of item room that a request asks for, or gets without asking. */
uint64_t cadre_client_stream_room(const struct cadre_client *client,
				  const struct cadre_request *request);

/* S1 for a stream: a ring in front of its payload, in a block of its own. As
 * cadre_berth_prepare; a slot that is FILLING already keeps its generation. */
int cadre_client_prepare_stream(struct cadre_client *client, uint32_t index,
				const struct cadre_request *request, void **ret_data);

static inline bool cadre_client_is_stream(const struct cadre_client *client,
					  uint32_t index)
{
	return cadre_pending_has(&client->pending[index], CADRE_MARK_STREAM);
}

/* True while the result of this stream may not be taken: it was not read to its end. */
bool cadre_client_stream_goes_on(const struct cadre_client *client, uint32_t index,
				 uint64_t generation);

/* Its ring holds what cannot be. */
bool cadre_client_stream_is_damaged(const struct cadre_client *client, uint32_t index);

/* Its caller has cancelled it: the result of a stream may be taken. */
void cadre_client_stream_was_cancelled(struct cadre_client *client, uint32_t index,
				       uint64_t generation);

/* No thread pauses it any more; its block may be given back. */
void cadre_client_close_stream(struct cadre_client *client);

/* Callbacks: keeps a stream that has something to deliver, for whom it is queued. With
 * `wait`, one that has not is told that somebody sleeps for it. */
bool cadre_client_keep_stream(struct cadre_client *client, uint32_t index,
			      uint64_t generation, bool wait);

/* Calls back for at most `most` items of a stream that is kept. *ret_called: how many.
 * What is next for it: */
enum cadre_delivery {
	CADRE_DELIVERY_LATER, /* nothing there; it is kept no longer */
	CADRE_DELIVERY_AGAIN, /* there is more, and it is kept */
	CADRE_DELIVERY_ENDED, /* its job is TAKEN by this thread: call `ended` */
};
enum cadre_delivery cadre_client_deliver(struct cadre_client *client, uint32_t index,
					 size_t most, size_t *ret_called);
/* handle.c */

/* May a job be submitted with this token? 0, -EXDEV, -ESTALE, -ECANCELED. */
int cadre_handle_check(const struct cadre_client *client, struct cadre_token *token);
uint64_t cadre_handle_id(const struct cadre_token *token);

/* Behind the step that publishes a job with this token: what happened to that meanwhile? */
void cadre_handle_look_again(struct cadre_client *client, uint32_t index,
			     uint64_t generation, uint64_t token);

/* Calls the listeners of tokens that have ended, at most `most` (0: no bound). */
size_t cadre_handle_dispatch(struct cadre_client *client, size_t most);

/* True when that has something to do; else *due_ns is brought forward to when it will. */
bool cadre_handle_has_news(struct cadre_client *client, int64_t now_ns, int64_t *due_ns);

int cadre_handle_init(struct cadre_client *client);
void cadre_handle_fini(struct cadre_client *client);

/* completion.c */
int cadre_completion_init(struct cadre_client *client);
void cadre_completion_fini(struct cadre_client *client);

#endif
