/*
 * token.h - a token's cell in the segment: a word that is the truth about it, and what it was
 * made of.
 *
 *   63                    24 23      14 13    11 10     8 7    6  5     4   3 2     0
 *  +------------------------+----------+--------+--------+------+--------+---+-------+
 *  | generation             | owner    | spare  | reason | depth| kind   | R | phase |
 *  +------------------------+----------+--------+--------+------+--------+---+-------+
 *
 *   VACANT -> MAKING -> LIVE -> CANCELLED or TIMED_OUT        R: released by its owner
 *      ^         |        |              |
 *      +---------+--------+--------------+   collected: released, and nobody names it
 *
 * A token is named by its id, generation and index in eight bytes: in the slot of each job
 * that has it, and in each composite of which it is a member. There is no count of those
 * names, which a death could falsify: they are looked for (notice.c) before a cell that was
 * released is vacated. Who names it anew looks at R behind a fence:
 *
 *     who names it (submit, compose)        who collects
 *     slot or composite names it            sees R
 *     O3 full fence                         O5 full fence
 *     R is set: take it back                nobody names it: -> VACANT
 *
 * and the same pair makes a job submitted meanwhile see the end of its token, or be seen:
 *
 *     submit                                who ends the token
 *     slot names it                         LIVE -> CANCELLED, TIMED_OUT
 *     O3 full fence                         O4 full fence
 *     it has ended: decide the job          look through all jobs, decide those that name it
 *
 * Whoever dies between the end of a token and the look through the jobs leaves the rest to
 * everybody else's looks: the worker's when it takes a job, the waiting client's, the
 * handler's, the supervisor's tick. All of them pull: what a composite or a timeout is at a
 * moment is worked out from its members and the clock, and then written down by CAS.
 *
 * Who may change the word:
 *   VACANT         any client (take)
 *   MAKING         its maker; once that is proven dead, the supervisor
 *   LIVE           anybody ends it; R: its owner, or the supervisor for a dead one
 *   ended          R likewise; anybody collects what is released
 */
#ifndef CADRE_LIB_TOKEN_H
#define CADRE_LIB_TOKEN_H

#include <cadre/service.h>
#include <cadre/token.h>

#include "platform.h"

enum cadre_token_phase {
	CADRE_TOKEN_VACANT = 0,
	CADRE_TOKEN_MAKING = 1,
	CADRE_TOKEN_LIVE = 2,
	CADRE_TOKEN_CANCELLED = 3,
	CADRE_TOKEN_TIMED_OUT = 4,
};

struct cadre_token_word {
	enum cadre_token_phase phase;
	bool released;
	enum cadre_token_kind kind;
	unsigned depth;  /* 0: no composite; else one more than its deepest member */
	unsigned reason; /* ANY, ended: the member that ended it */
	unsigned owner;  /* window of the client that made it */
	uint64_t generation;
};

static inline uint64_t cadre_token_pack(struct cadre_token_word word)
{
	return (uint64_t)word.phase | (uint64_t)word.released << 3 |
	       (uint64_t)word.kind << 4 | (uint64_t)word.depth << 6 |
	       (uint64_t)word.reason << 8 | (uint64_t)word.owner << 14 |
	       word.generation << 24;
}

static inline struct cadre_token_word cadre_token_unpack(uint64_t bits)
{
	return (struct cadre_token_word){
		.phase = (enum cadre_token_phase)(bits & 7),
		.released = bits >> 3 & 1,
		.kind = (enum cadre_token_kind)(bits >> 4 & 3),
		.depth = (unsigned)(bits >> 6 & 3),
		.reason = (unsigned)(bits >> 8 & 7),
		.owner = (unsigned)(bits >> 14 & 1023),
		.generation = bits >> 24,
	};
}

#define CADRE_TOKENS_MAX (1u << 16)
#define CADRE_TOKEN_GENERATION_MAX ((UINT64_C(1) << 40) - 1)
#define CADRE_TOKEN_MESSAGE_WORDS 11 /* CADRE_SENTENCE_MAX bytes and a zero */

/* M: its maker, while MAKING. All of it by words, so that who reads a cell that is being made
 * anew reads nonsense, which the word tells, and not a torn load. */
struct cadre_token_cell {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t word;
	/* M: minus the generation, that is not started; then by CAS from that, by the worker that
	 * takes the first job with it: when it ends. So one that was stopped in between cannot
	 * start the clock of the cell's next token. */
	_Atomic int64_t due_ns;
	_Atomic int64_t duration_ns;                         /* M */
	_Atomic uint64_t member_count;                       /* M */
	_Atomic uint64_t members[CADRE_TOKEN_MEMBERS_MAX];   /* M: ids */
	_Atomic uint64_t message[CADRE_TOKEN_MESSAGE_WORDS]; /* M */
};

static_assert(sizeof(struct cadre_token_cell) == 3 * CADRE_CACHE_LINE, "segment layout");
static_assert(CADRE_TOKEN_MESSAGE_WORDS * 8 == CADRE_SENTENCE_MAX + 1,
	      "a message is as long as a sentence");

/* All cells of a pool; private memory. */
struct cadre_token_table {
	struct cadre_token_cell *cells;
	uint32_t count;
	/* One past the highest cell that was ever taken: a hint that saves looks. */
	_Atomic uint32_t *high;
};

static inline uint64_t cadre_token_id(uint32_t index, uint64_t generation)
{
	return generation << 24 | index;
}

static inline uint32_t cadre_token_index(uint64_t id)
{
	return (uint32_t)(id & 0xffffff);
}

/* The cell of an id, or NULL for one that cannot be. */
static inline struct cadre_token_cell *cadre_token_cell(
	const struct cadre_token_table *table, uint64_t id)
{
	return id && cadre_token_index(id) < table->count ?
		       &table->cells[cadre_token_index(id)] :
		       NULL;
}

/* How many cells are worth a look. */
static inline uint32_t cadre_token_high(const struct cadre_token_table *table)
{
	const uint32_t high = table->high ? atomic_load_explicit(table->high,
								 memory_order_relaxed) :
					    0;

	return high < table->count ? high : table->count;
}

/* Relaxed, both: of a word that was seen with acquire. At most as many as there may be. */
static inline unsigned cadre_token_member_count(const struct cadre_token_cell *cell)
{
	const uint64_t count = atomic_load_explicit(&cell->member_count,
						    memory_order_relaxed);

	return count < CADRE_TOKEN_MEMBERS_MAX ? (unsigned)count : CADRE_TOKEN_MEMBERS_MAX;
}

static inline uint64_t cadre_token_member(const struct cadre_token_cell *cell, unsigned i)
{
	return atomic_load_explicit(&cell->members[i], memory_order_relaxed);
}

/* ---- making one ---- */

/* What a token is to be. */
struct cadre_token_plan {
	enum cadre_token_kind kind;
	int64_t duration_ns; /* timeout */
	uint64_t members[CADRE_TOKEN_MEMBERS_MAX];
	unsigned member_count;
	unsigned depth;
	const char *message; /* NULL: none */
};

/* Takes a vacant cell and makes the token, LIVE, or TIMED_OUT when its duration is 0. Its
 * id, or 0 when none is vacant. A composite must be looked at behind O3. */
uint64_t cadre_token_make(const struct cadre_token_table *table, unsigned owner,
			  const struct cadre_token_plan *plan);

/* ---- looking ---- */

struct cadre_token_view {
	/* VACANT: it is gone. Never MAKING. */
	enum cadre_token_phase phase;
	bool released;
	enum cadre_token_kind kind;
	unsigned depth;
	bool changed;   /* this very look wrote down the end of it, or of a member */
	int64_t due_ns; /* LIVE: when time alone ends it; INT64_MAX: never, for now */
};

/* What it is at that time. Works out composites and timeouts, and writes down their end. */
struct cadre_token_view cadre_token_view(const struct cadre_token_table *table,
					 uint64_t id, int64_t now_ns);

static inline bool cadre_token_has_ended(enum cadre_token_phase phase)
{
	return phase == CADRE_TOKEN_CANCELLED || phase == CADRE_TOKEN_TIMED_OUT;
}

/* What becomes of a job whose token is so; a token that is gone cancels. */
static inline enum cadre_outcome cadre_token_outcome(enum cadre_token_phase phase)
{
	return phase == CADRE_TOKEN_TIMED_OUT ? CADRE_TIMED_OUT : CADRE_CANCELLED;
}

/* Its own message, or those of the members that ended it, joined by "; ". */
void cadre_token_say(const struct cadre_token_table *table, uint64_t id, char *text,
		     size_t size);

/* ---- changing ---- */

/* Ends a cancellable token. True if this call did it; false when it has ended or is gone. */
bool cadre_token_end(const struct cadre_token_table *table, uint64_t id);

/* Starts the clocks in it that have not started. True when any did. */
bool cadre_token_start(const struct cadre_token_table *table, uint64_t id, int64_t now_ns);

/* R. True if this call did it. */
bool cadre_token_let_go(const struct cadre_token_table *table, uint64_t id);

/* The same for everything of a client that is proven dead; what it was making is vacated. */
void cadre_token_let_go_of_all(const struct cadre_token_table *table, unsigned owner);

/* Works out each composite, so that its end is written down in the order of its members'. */
void cadre_token_settle(const struct cadre_token_table *table, int64_t now_ns);

/* Released -> VACANT, exactly from the word seen. */
bool cadre_token_vacate(struct cadre_token_cell *cell, uint64_t seen);

/* How many are not vacant. */
uint32_t cadre_token_count(const struct cadre_token_table *table);

#endif
