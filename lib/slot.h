/*
 * slot.h - one job: a word that is the truth about it, its request, and its reply.
 *
 * Every change of hands is one compare-and-swap, or one store by the only process that may
 * change the word in that phase, on the whole 64-bit word:
 *
 *   63                    24 23      14 13    10 9      7 6     3 2      0
 *  +------------------------+----------+--------+--------+-------+--------+
 *  | generation             | owner    | attempt| outcome| flags | phase  |
 *  +------------------------+----------+--------+--------+-------+--------+
 *
 *   FREE -> FILLING -> QUEUED -> RUNNING -> DONE -> QUEUED ...   (README.md: life of a job)
 *
 * A slot is *vacant*, and its client may put the next job there, when it is FREE, or DONE and
 * booked: then only the books say so, since to write the word as well would take its line
 * from the worker that wrote it last, for each job.
 *
 * Who may change the word:
 *   FREE, FILLING, DONE  the client; once it is proven dead, the supervisor
 *   QUEUED               any worker (claim), the client or the supervisor (X1). A word that
 *                        names an owner already is aimed: that worker alone claims it
 *   RUNNING              its worker (finish); client or supervisor set flags (X2); once
 *                        the worker is proven dead, the supervisor
 *
 * This file knows words and bytes. Who waits, who wakes and which slot comes next is the
 * business of others.
 */
#ifndef CADRE_SLOT_H
#define CADRE_SLOT_H

#include "platform.h"

#include <cadre/error.h>

enum cadre_phase {
	CADRE_FREE = 0,    /* nobody's, as in a window that was not leased yet; generation
			    * counts the jobs that lived here */
	CADRE_FILLING = 1, /* the client writes the request */
	CADRE_QUEUED = 2,  /* accepted: any worker may claim it, or the one it names */
	CADRE_RUNNING = 3, /* owner has it */
	CADRE_DONE = 4,    /* outcome stands; the client takes the reply and books */
};

enum cadre_flag {
	CADRE_FLAG_WAITING = 1u << 0,  /* somebody sleeps on the client's bell for it */
	CADRE_FLAG_DECIDED = 1u << 1,  /* RUNNING, but the outcome stands already (X2) */
	CADRE_FLAG_DETACHED = 1u << 2, /* outlives its client */
	CADRE_FLAG_IDEMPOTENT = 1u << 3, /* may be tried again */
};

#define CADRE_OWNER_NONE 0u /* whoever sits in seat k is owner k + 1 */
#define CADRE_ATTEMPT_MAX 15u
#define CADRE_FAULTS_MAX 2 /* workers that one job may kill; then it is refused */
#define CADRE_GENERATION_MAX ((UINT64_C(1) << 40) - 1)

/* The word taken apart. */
struct cadre_word {
	enum cadre_phase phase;
	unsigned flags;
	enum cadre_outcome outcome;
	unsigned attempt;
	unsigned owner;
	uint64_t generation;
};

static inline uint64_t cadre_word_pack(struct cadre_word word)
{
	return (uint64_t)word.phase | (uint64_t)word.flags << 3 |
	       (uint64_t)word.outcome << 7 | (uint64_t)word.attempt << 10 |
	       (uint64_t)word.owner << 14 | word.generation << 24;
}

static inline struct cadre_word cadre_word_unpack(uint64_t bits)
{
	return (struct cadre_word){
		.phase = (enum cadre_phase)(bits & 7),
		.flags = (unsigned)(bits >> 3 & 15),
		.outcome = (enum cadre_outcome)(bits >> 7 & 7),
		.attempt = (unsigned)(bits >> 10 & 15),
		.owner = (unsigned)(bits >> 14 & 1023),
		.generation = bits >> 24,
	};
}

static inline unsigned cadre_word_owner(uint64_t bits)
{
	return (unsigned)(bits >> 14 & 1023);
}

/* The parts that hot paths ask for, without taking the rest apart. */
static inline enum cadre_phase cadre_word_phase(uint64_t bits)
{
	return (enum cadre_phase)(bits & 7);
}

static inline uint64_t cadre_word_generation(uint64_t bits)
{
	return bits >> 24;
}

static inline unsigned cadre_word_flags(uint64_t bits)
{
	return (unsigned)(bits >> 3 & 15);
}

/* What a request has besides its payload. Without the bit nobody reads the place where it
 * would stand. */
enum cadre_with {
	CADRE_WITH_DEADLINE = 1u << 0, /* deadline_ns, on the second line */
	/* its client has descriptors for whoever runs it; they do not stand in the segment */
	CADRE_WITH_DESCRIPTORS = 1u << 1,
	CADRE_WITH_STREAM = 1u << 2, /* a ring of items, in front of its payload (stream.h) */
	CADRE_WITH_TARGET = 1u << 3, /* target, likewise: the job is aimed at one worker */
	CADRE_WITH_TOKEN = 1u << 4,  /* token, in place of the payload's last bytes */
};

#define CADRE_INLINE_MAX 88 /* bytes of payload that fit the slot, either way */
#define CADRE_NO_BLOCK UINT32_MAX

/* C: the client, while FILLING or before the store that publishes. V: whoever changes the
 * word, as drawn above. */
struct cadre_request_lines {
	_Atomic uint64_t word; /* V */
	int64_t submitted_ns;  /* C: CLOCK_MONOTONIC */
	uint32_t length;       /* C: bytes of payload */
	uint16_t operation;    /* C */
	uint8_t retries;       /* C: tries after the first, if idempotent */
	uint8_t with;          /* C: CADRE_WITH_..., what else must be looked at */
	union {
		uint8_t payload[CADRE_INLINE_MAX]; /* C: when it fits, see below */
		struct { /* C: otherwise, and of streams: where it lies */
			uint32_t block;
			uint32_t seal; /* cadre_block_seal */
		};
		struct {
			uint8_t shorter[CADRE_INLINE_MAX - sizeof(uint64_t)];
			_Atomic uint64_t token; /* C: its id */
		};
	};
	int64_t deadline_ns; /* C: CLOCK_MONOTONIC */
	union {
		/* C: 0; then the supervisor: workers that died of this job. */
		uint32_t faults;
		/* C, with CADRE_WITH_TARGET: incarnation of the worker that it is aimed at.
		 * Such a job is tried once, so that nobody counts its faults. */
		uint32_t target;
	};
};

/* K: the worker while RUNNING; the supervisor for a worker that is proven dead. */
struct cadre_reply_lines {
	_Atomic uint64_t stamp; /* by whoever made the word DONE: a copy of it */
	uint32_t length;        /* K */
	int32_t code;           /* K */
	uint32_t block;         /* K: where a longer reply lies */
	int32_t worker_pid;     /* K */
	int64_t taken_ns;       /* K */
	int64_t ended_ns;       /* K */
	union {
		uint8_t payload[CADRE_INLINE_MAX]; /* K: when it fits */
		uint32_t seal;                     /* K: otherwise, of `block` */
	};
};

struct cadre_slot {
	alignas(2 * CADRE_CACHE_LINE) struct cadre_request_lines request;
	alignas(2 * CADRE_CACHE_LINE) struct cadre_reply_lines reply;
};

static_assert(sizeof(struct cadre_request_lines) == 128, "segment layout");
static_assert(sizeof(struct cadre_reply_lines) == 128, "segment layout");
static_assert(offsetof(struct cadre_request_lines, payload) == 24, "segment layout");
static_assert(offsetof(struct cadre_request_lines, token) == 104, "segment layout");
static_assert(offsetof(struct cadre_reply_lines, payload) == 40, "segment layout");
static_assert(sizeof(struct cadre_slot) == 256, "segment layout");

/* The longest payload that lies in the slot of such a request. */
static inline uint32_t cadre_request_inline_max(unsigned with)
{
	return with & CADRE_WITH_TOKEN ?
		       (uint32_t)sizeof(((struct cadre_request_lines *)NULL)->shorter) :
		       CADRE_INLINE_MAX;
}

/* The token that a request names; 0: none. Relaxed, both: who acts on it does so by CAS on the
 * word of the generation that he saw before. */
static inline uint64_t cadre_request_token(const struct cadre_request_lines *lines)
{
	return CADRE_READ_ONCE(lines->with) & CADRE_WITH_TOKEN ?
		       atomic_load_explicit(&lines->token, memory_order_relaxed) :
		       0;
}

/* C: from now on the request names none, although a worker that is late may still have it. */
static inline void cadre_request_drop_token(struct cadre_request_lines *lines)
{
	/* Relaxed: a token that is collected a moment later does no harm. */
	__atomic_store_n(&lines->with, lines->with & ~(unsigned)CADRE_WITH_TOKEN,
			 __ATOMIC_RELAXED);
}

/* How the jobs of one slot ended, by outcome: on a line that workers do not touch, but for a
 * look whether a block is free. Written by the client as its last step of a job; once it is
 * proven dead, by the supervisor:
 *
 *   FREE:     sum = generation
 *   DONE:     sum = generation - 1 until the job is booked, generation from then on
 *   FILLING:  as DONE, for a request that is withdrawn before it was published
 *   else:     sum = generation - 1
 *
 * so that after a death the supervisor can tell whether the last job was booked. */
struct cadre_books {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t ended[CADRE_OUTCOME_COUNT];
};

static_assert(sizeof(struct cadre_books) == CADRE_CACHE_LINE, "segment layout");

/* What forced cancellation leaves behind, beside the slot: when its worker is to be killed,
 * unless it is back by then. It means nothing before the job is decided, and is stale as
 * soon as the slot holds another, so nobody clears it. C: the client, one thread at a time,
 * the time first. */
struct cadre_warrant {
	_Atomic uint64_t generation; /* C: of the job that was cancelled; 0: none */
	_Atomic int64_t kill_ns;     /* C: CLOCK_MONOTONIC */
};

static_assert(sizeof(struct cadre_warrant) == 16, "segment layout");

/* Relaxed: a look that decides nothing; who acts on it does so by CAS on the same bits. */
static inline uint64_t cadre_slot_peek(const struct cadre_slot *slot)
{
	return atomic_load_explicit(&slot->request.word, memory_order_relaxed);
}

/* ---- the client's steps ---- */

/* S1: FREE(g) or DONE(g) -> FILLING(g + 1). Returns the new word, or 0 when the slot is
 * neither, which for a slot that this client holds as vacant means that the segment is
 * damaged. */
uint64_t cadre_slot_fill(struct cadre_slot *slot);

/* FILLING(g) -> FREE(g): books the request as withdrawn, then goes back. */
void cadre_slot_unfill(struct cadre_slot *slot, struct cadre_books *books);

/* S3: the job is accepted: FILLING(g) -> QUEUED(g); FREE(g) or DONE(g) -> QUEUED(g + 1).
 * Returns the new word. */
uint64_t cadre_slot_publish(struct cadre_slot *slot, unsigned flags,
			    unsigned target_owner);

/* The word with everything that the worker wrote before it. */
uint64_t cadre_slot_look(const struct cadre_slot *slot);

/* The same for who has reason to believe that the job has ended: from the stamp, when that
 * says so, so that the word's line stays with the worker until the slot is used again. */
uint64_t cadre_slot_look_at_end(const struct cadre_slot *slot, uint64_t generation);

static inline bool cadre_stamp_tells(uint64_t stamp, uint64_t generation)
{
	return cadre_word_phase(stamp) == CADRE_DONE &&
	       cadre_word_generation(stamp) == generation;
}

/* The stamp, and when it tells, everything that its worker wrote before it. */
static inline uint64_t cadre_slot_stamp(const struct cadre_slot *slot)
{
	/* C1: acquire, pairs with W7 in slot.c. */
	return atomic_load_explicit(&slot->reply.stamp, memory_order_acquire);
}

/* True when the stamp says that the job is DONE. A hint: who ended it may die before it. */
static inline bool cadre_slot_is_stamped(const struct cadre_slot *slot,
					 uint64_t generation)
{
	/* Relaxed: who acts on it looks again with acquire. */
	return cadre_stamp_tells(atomic_load_explicit(&slot->reply.stamp,
						      memory_order_relaxed),
				 generation);
}

/* Adds WAITING to a QUEUED or RUNNING word of that generation. The word after that, or as
 * it stands when there is nothing to wait for. */
uint64_t cadre_slot_await(struct cadre_slot *slot, uint64_t generation);

/* X1, X2: ends the job for its caller: QUEUED -> DONE(outcome), or RUNNING -> RUNNING with
 * the outcome decided. Returns true if this call did it, and the word it replaced; false
 * when the job has ended, was decided before, or is of another generation. */
bool cadre_slot_decide(struct cadre_slot *slot, uint64_t generation,
		       enum cadre_outcome outcome, uint64_t *ret_replaced);

/* X1 on one's own job that nobody is to run: QUEUED -> DONE(withdrawn), exactly from the
 * word seen. */
bool cadre_slot_withdraw(struct cadre_slot *slot, uint64_t seen);

/* X3: from kill_ns on the worker that still has this job, whose outcome is decided, may be
 * killed. */
void cadre_warrant_issue(struct cadre_warrant *warrant, uint64_t generation,
			 int64_t kill_ns);

/* When its worker is to be killed for a job of that generation; INT64_MAX: never. */
int64_t cadre_warrant_due_ns(const struct cadre_warrant *warrant, uint64_t generation);
/* X4: the worker that a job is aimed at is gone: QUEUED -> DONE(lost), owned by nobody,
 * exactly from the word seen. Whoever sees that does it: the client, or the supervisor. */
bool cadre_slot_strand(struct cadre_slot *slot, uint64_t seen);

/* C1: the client is done with a job that is DONE: books its outcome, and with that the slot is
 * vacant and its blocks are free. */
void cadre_slot_vacate(struct cadre_books *books, enum cadre_outcome outcome);

/* The same by whoever goes on with a dead client's slot: books once, whatever that did, then
 * -> FREE(g). */
void cadre_slot_free_after_death(struct cadre_slot *slot, struct cadre_books *books,
				 uint64_t generation, enum cadre_outcome outcome);

/* ---- the worker's steps ---- */

/* W2: QUEUED -> RUNNING(owner), exactly from the word seen. */
bool cadre_slot_claim(struct cadre_slot *slot, uint64_t seen, unsigned owner,
		      uint64_t *ret_claimed);

/* W6: RUNNING -> DONE(outcome), or DONE with the outcome that was decided meanwhile, then
 * the stamp. Returns the word that was replaced, or 0 when the slot is not this worker's
 * any more, which means that the segment is damaged. */
uint64_t cadre_slot_finish(struct cadre_slot *slot, uint64_t claimed,
			   enum cadre_outcome outcome);

/* ---- the supervisor's steps, for a worker that is proven dead ---- */

/* RUNNING(dead, attempt a) -> QUEUED(a + 1). False when the word has changed, or holds the
 * last attempt that it can hold: then the job is buried. */
bool cadre_slot_requeue(struct cadre_slot *slot, uint64_t seen);

/* RUNNING(dead) -> DONE(outcome, or the one that was decided). */
bool cadre_slot_bury(struct cadre_slot *slot, uint64_t seen, enum cadre_outcome outcome);

/* ---- the books ---- */

/* Jobs that ended here. Acquire: what their clients did before they booked them. */
uint64_t cadre_books_sum(const struct cadre_books *books);

/* The job of that generation is among them. */
static inline bool cadre_books_have(const struct cadre_books *books, uint64_t generation)
{
	/* Generations go round. */
	return ((cadre_books_sum(books) - generation) & CADRE_GENERATION_MAX) <=
	       CADRE_GENERATION_MAX / 2;
}

/* The last job that lived in the slot is over for everybody; the next may come. */
static inline bool cadre_word_is_vacant(uint64_t word, uint64_t sum)
{
	const enum cadre_phase phase = cadre_word_phase(word);

	return phase == CADRE_FREE ||
	       (phase == CADRE_DONE && sum == cadre_word_generation(word));
}

/* The same of a word that was seen in the slot of these books, which are looked at where need
 * be only. */
static inline bool cadre_slot_is_vacant(uint64_t word, const struct cadre_books *books)
{
	return cadre_word_is_vacant(word, cadre_word_phase(word) == CADRE_DONE ?
						  cadre_books_sum(books) :
						  0);
}

/* True when word and books can stand side by side. */
bool cadre_books_balance(uint64_t word, uint64_t sum);

#endif
