#include "token.h"

#include <stdio.h>
#include <string.h>

/* A loop below goes round again because somebody ended or released the token meanwhile, each
 * of which happens once. More rounds mean that something scribbles over the word. */
#define ROUNDS_MAX 16

static uint64_t look_at_word(const struct cadre_token_cell *cell)
{
	/* O2: acquire, pairs with O1: a token that is LIVE is seen with all that it is made of. */
	return atomic_load_explicit(&cell->word, memory_order_acquire);
}

static bool move(struct cadre_token_cell *cell, uint64_t *seen, uint64_t next)
{
	/* O1, O2: acquire and release, as a link in the chain of those. What must not be seen before it is
	 * kept back by the fences O3 to O5. */
	return atomic_compare_exchange_strong_explicit(&cell->word, seen, next,
						       memory_order_acq_rel,
						       memory_order_acquire);
}

/* ---- making one ---- */

static void raise_high(const struct cadre_token_table *table, uint32_t high)
{
	uint32_t seen = atomic_load_explicit(table->high, memory_order_relaxed);

	/* Relaxed: ordered by the CAS that takes the cell. Bounded: it only grows, or somebody
	 * scribbles there and looks are merely late. */
	for (int round = 0; round < ROUNDS_MAX && seen < high; round++) {
		if (atomic_compare_exchange_weak_explicit(table->high, &seen, high,
							  memory_order_relaxed,
							  memory_order_relaxed))
			return;
	}
}

/* VACANT(g) -> MAKING(g + 1): the lowest first, so that few cells are worth a look. */
static uint64_t take(const struct cadre_token_table *table, unsigned owner)
{
	for (uint32_t index = 0; index < table->count; index++) {
		struct cadre_token_cell *const cell = &table->cells[index];
		uint64_t seen = atomic_load_explicit(&cell->word, memory_order_relaxed);
		const uint64_t generation = ((seen >> 24) + 1) &
					    CADRE_TOKEN_GENERATION_MAX;

		if ((seen & 7) != CADRE_TOKEN_VACANT)
			continue;
		/* Before the cell is taken: who dies behind that leaves it to those who look. */
		raise_high(table, index + 1);
		/* An id is never 0. */
		if (!move(cell, &seen,
			  cadre_token_pack((struct cadre_token_word){
				  .phase = CADRE_TOKEN_MAKING,
				  .owner = owner,
				  .generation = generation ? generation : 1 })))
			continue;
		CADRE_KILL_POINT("O1");
		return cadre_token_id(index, generation ? generation : 1);
	}
	return 0;
}

/* Relaxed, all: published with the word. */
static void describe(struct cadre_token_cell *cell, uint64_t generation,
		     const struct cadre_token_plan *plan)
{
	uint64_t message[CADRE_TOKEN_MESSAGE_WORDS] = { 0 };

	atomic_store_explicit(&cell->due_ns, -(int64_t)generation, memory_order_relaxed);
	atomic_store_explicit(&cell->duration_ns, plan->duration_ns, memory_order_relaxed);
	atomic_store_explicit(&cell->member_count, plan->member_count,
			      memory_order_relaxed);
	for (unsigned i = 0; i < plan->member_count; i++)
		atomic_store_explicit(&cell->members[i], plan->members[i],
				      memory_order_relaxed);
	if (plan->message)
		memcpy(message, plan->message, strnlen(plan->message, CADRE_SENTENCE_MAX));
	for (unsigned i = 0; i < CADRE_TOKEN_MESSAGE_WORDS; i++)
		atomic_store_explicit(&cell->message[i], message[i], memory_order_relaxed);
}

uint64_t cadre_token_make(const struct cadre_token_table *table, unsigned owner,
			  const struct cadre_token_plan *plan)
{
	const bool ended = plan->kind == CADRE_TOKEN_TIMEOUT && plan->duration_ns == 0;
	const uint64_t id = take(table, owner);
	struct cadre_token_cell *const cell = cadre_token_cell(table, id);

	if (!cell)
		return 0;
	/* O6, pairs with O7: nothing is described before the word says that the cell is taken. */
	atomic_thread_fence(memory_order_release);
	describe(cell, id >> 24, plan);
	CADRE_KILL_POINT("O2");
	/* O1: release, pairs with O2. A store: only its maker changes a cell in MAKING. */
	atomic_store_explicit(&cell->word,
			      cadre_token_pack((struct cadre_token_word){
				      .phase = ended ? CADRE_TOKEN_TIMED_OUT :
						       CADRE_TOKEN_LIVE,
				      .kind = plan->kind,
				      .depth = plan->depth,
				      .owner = owner,
				      .generation = id >> 24 }),
			      memory_order_release);
	return id;
}

/* ---- looking ---- */

/* LIVE -> ended. The word after that, whoever ended it. */
static uint64_t settle(struct cadre_token_cell *cell, uint64_t seen,
		       enum cadre_token_phase phase, unsigned reason, bool *changed)
{
	const uint64_t generation = seen >> 24;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		struct cadre_token_word word = cadre_token_unpack(seen);

		if (word.generation != generation || word.phase != CADRE_TOKEN_LIVE)
			break;
		word.phase = phase;
		word.reason = reason;
		if (move(cell, &seen, cadre_token_pack(word))) {
			CADRE_KILL_POINT("O3");
			*changed = true;
			return cadre_token_pack(word);
		}
	}
	return seen;
}

static struct cadre_token_view view_below(const struct cadre_token_table *table,
					  uint64_t id, int64_t now_ns, unsigned below);

static uint64_t view_timeout(struct cadre_token_cell *cell, uint64_t word, int64_t now_ns,
			     struct cadre_token_view *view)
{
	/* Relaxed: the time says all. */
	const int64_t due_ns = atomic_load_explicit(&cell->due_ns, memory_order_relaxed);

	/* Below 0 it has not started. One of another generation is caught by the word. */
	if (due_ns < 0)
		return word;
	if (now_ns >= due_ns)
		return settle(cell, word, CADRE_TOKEN_TIMED_OUT, 0, &view->changed);
	view->due_ns = due_ns;
	return word;
}

static uint64_t view_any(const struct cadre_token_table *table,
			 struct cadre_token_cell *cell, uint64_t word, int64_t now_ns,
			 unsigned depth, struct cadre_token_view *view)
{
	for (unsigned i = 0; i < cadre_token_member_count(cell); i++) {
		const struct cadre_token_view member =
			view_below(table, cadre_token_member(cell, i), now_ns, depth);

		view->changed |= member.changed;
		if (cadre_token_has_ended(member.phase))
			return settle(cell, word, member.phase, i, &view->changed);
		if (member.due_ns < view->due_ns)
			view->due_ns = member.due_ns;
	}
	return word;
}

static uint64_t view_all(const struct cadre_token_table *table,
			 struct cadre_token_cell *cell, uint64_t word, int64_t now_ns,
			 unsigned depth, struct cadre_token_view *view)
{
	const unsigned count = cadre_token_member_count(cell);
	unsigned cancelled = 0, timed_out = 0;
	int64_t due_ns = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct cadre_token_view member =
			view_below(table, cadre_token_member(cell, i), now_ns, depth);

		view->changed |= member.changed;
		cancelled += member.phase == CADRE_TOKEN_CANCELLED;
		timed_out += member.phase == CADRE_TOKEN_TIMED_OUT;
		if (!cadre_token_has_ended(member.phase) && member.due_ns > due_ns)
			due_ns = member.due_ns;
	}
	if (cancelled + timed_out < count) {
		view->due_ns = due_ns;
		return word;
	}
	return settle(cell, word,
		      timed_out == count ? CADRE_TOKEN_TIMED_OUT : CADRE_TOKEN_CANCELLED,
		      0, &view->changed);
}

static bool is_made(enum cadre_token_phase phase)
{
	return phase >= CADRE_TOKEN_LIVE && phase <= CADRE_TOKEN_TIMED_OUT;
}

/* Members lie deeper each time, so that it ends whatever stands in the segment. */
static struct cadre_token_view view_below(const struct cadre_token_table *table,
					  uint64_t id, int64_t now_ns, unsigned below)
{
	struct cadre_token_view view = { .due_ns = INT64_MAX };
	struct cadre_token_cell *const cell = cadre_token_cell(table, id);
	uint64_t bits = cell ? look_at_word(cell) : 0;
	struct cadre_token_word word = cadre_token_unpack(bits);

	if (!cell || word.generation != id >> 24 || word.depth >= below ||
	    !is_made(word.phase))
		return view;
	if (word.phase == CADRE_TOKEN_LIVE) {
		if (word.kind == CADRE_TOKEN_TIMEOUT)
			bits = view_timeout(cell, bits, now_ns, &view);
		else if (word.kind == CADRE_TOKEN_ANY)
			bits = view_any(table, cell, bits, now_ns, word.depth, &view);
		else if (word.kind == CADRE_TOKEN_ALL)
			bits = view_all(table, cell, bits, now_ns, word.depth, &view);
		word = cadre_token_unpack(bits);
		/* Vacated meanwhile, or scribbled over. */
		if (word.generation != id >> 24 || !is_made(word.phase))
			return (struct cadre_token_view){ .changed = view.changed,
							  .due_ns = INT64_MAX };
	}
	view.phase = word.phase;
	view.released = word.released;
	view.kind = word.kind;
	view.depth = word.depth;
	return view;
}

struct cadre_token_view cadre_token_view(const struct cadre_token_table *table,
					 uint64_t id, int64_t now_ns)
{
	return view_below(table, id, now_ns, CADRE_TOKEN_NESTING_MAX + 1);
}

static void append(char *text, size_t size, const char *more)
{
	const size_t length = strlen(text);

	snprintf(text + length, size - length, "%s%s",
		 length > 0 && *more && length + 2 < size ? "; " : "", more);
}

static void say_below(const struct cadre_token_table *table, uint64_t id, char *text,
		      size_t size, unsigned below)
{
	const struct cadre_token_cell *const cell = cadre_token_cell(table, id);
	const uint64_t bits = cell ? look_at_word(cell) : 0;
	const struct cadre_token_word word = cadre_token_unpack(bits);
	uint64_t message[CADRE_TOKEN_MESSAGE_WORDS];
	unsigned from = 0, to = 0;

	if (!cell || word.generation != id >> 24 || word.depth >= below ||
	    word.phase < CADRE_TOKEN_LIVE)
		return;
	for (unsigned i = 0; i < CADRE_TOKEN_MESSAGE_WORDS; i++)
		message[i] = atomic_load_explicit(&cell->message[i], memory_order_relaxed);
	((char *)message)[CADRE_SENTENCE_MAX] = '\0';
	/* O7, pairs with O6: of this token, unless the cell has become another's meanwhile. */
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&cell->word, memory_order_relaxed) >> 24 != id >> 24)
		return;
	if (message[0]) {
		append(text, size, (const char *)message);
		return;
	}
	if (!cadre_token_has_ended(word.phase) || word.kind < CADRE_TOKEN_ANY)
		return;
	from = word.kind == CADRE_TOKEN_ANY ? word.reason : 0;
	to = word.kind == CADRE_TOKEN_ANY ? from + 1 : cadre_token_member_count(cell);
	for (unsigned i = from; i < to && i < cadre_token_member_count(cell); i++)
		say_below(table, cadre_token_member(cell, i), text, size, word.depth);
}

void cadre_token_say(const struct cadre_token_table *table, uint64_t id, char *text,
		     size_t size)
{
	text[0] = '\0';
	say_below(table, id, text, size, CADRE_TOKEN_NESTING_MAX + 1);
}

/* ---- changing ---- */

bool cadre_token_end(const struct cadre_token_table *table, uint64_t id)
{
	struct cadre_token_cell *const cell = cadre_token_cell(table, id);
	const uint64_t seen = cell ? look_at_word(cell) : 0;
	bool changed = false;

	if (cell && seen >> 24 == id >> 24 &&
	    cadre_token_unpack(seen).kind == CADRE_TOKEN_CANCELLABLE)
		settle(cell, seen, CADRE_TOKEN_CANCELLED, 0, &changed);
	return changed;
}

static bool start_clock(struct cadre_token_cell *cell, uint64_t generation, int64_t now_ns)
{
	const int64_t duration_ns = atomic_load_explicit(&cell->duration_ns,
							 memory_order_relaxed);
	int64_t not_started = -(int64_t)generation;

	/* Relaxed: the time says all. Only from "not started" of this generation. */
	return duration_ns >= 0 &&
	       atomic_compare_exchange_strong_explicit(&cell->due_ns, &not_started,
						       duration_ns > INT64_MAX - now_ns ?
							       INT64_MAX :
							       now_ns + duration_ns,
						       memory_order_relaxed,
						       memory_order_relaxed);
}

static bool start_below(const struct cadre_token_table *table, uint64_t id,
			int64_t now_ns, unsigned below)
{
	struct cadre_token_cell *const cell = cadre_token_cell(table, id);
	const struct cadre_token_word word = cadre_token_unpack(
		cell ? look_at_word(cell) : 0);
	bool started = false;

	if (!cell || word.generation != id >> 24 || word.depth >= below ||
	    word.phase != CADRE_TOKEN_LIVE)
		return false;
	if (word.kind == CADRE_TOKEN_TIMEOUT)
		return start_clock(cell, word.generation, now_ns);
	if (word.kind < CADRE_TOKEN_ANY)
		return false;
	for (unsigned i = 0; i < cadre_token_member_count(cell); i++)
		started |= start_below(table, cadre_token_member(cell, i), now_ns,
				       word.depth);
	return started;
}

bool cadre_token_start(const struct cadre_token_table *table, uint64_t id, int64_t now_ns)
{
	return start_below(table, id, now_ns, CADRE_TOKEN_NESTING_MAX + 1);
}

bool cadre_token_let_go(const struct cadre_token_table *table, uint64_t id)
{
	struct cadre_token_cell *const cell = cadre_token_cell(table, id);
	uint64_t seen = cell ? look_at_word(cell) : 0;

	for (int round = 0; cell && round < ROUNDS_MAX; round++) {
		struct cadre_token_word word = cadre_token_unpack(seen);

		if (word.generation != id >> 24 || word.phase < CADRE_TOKEN_LIVE ||
		    word.released)
			return false;
		word.released = true;
		if (move(cell, &seen, cadre_token_pack(word))) {
			CADRE_KILL_POINT("O4");
			return true;
		}
	}
	return false;
}

void cadre_token_let_go_of_all(const struct cadre_token_table *table, unsigned owner)
{
	const uint32_t high = cadre_token_high(table);

	for (uint32_t index = 0; index < high; index++) {
		struct cadre_token_cell *const cell = &table->cells[index];
		uint64_t seen = look_at_word(cell);
		struct cadre_token_word word = cadre_token_unpack(seen);

		if (word.owner != owner || word.phase == CADRE_TOKEN_VACANT)
			continue;
		if (word.phase == CADRE_TOKEN_MAKING)
			cadre_token_vacate(cell, seen);
		else
			cadre_token_let_go(table, cadre_token_id(index, word.generation));
	}
}

void cadre_token_settle(const struct cadre_token_table *table, int64_t now_ns)
{
	const uint32_t high = cadre_token_high(table);

	for (uint32_t index = 0; index < high; index++) {
		const struct cadre_token_word word = cadre_token_unpack(
			look_at_word(&table->cells[index]));

		if (word.phase == CADRE_TOKEN_LIVE && word.kind >= CADRE_TOKEN_ANY)
			cadre_token_view(table, cadre_token_id(index, word.generation),
					 now_ns);
	}
}

bool cadre_token_vacate(struct cadre_token_cell *cell, uint64_t seen)
{
	const uint64_t vacant = cadre_token_pack((struct cadre_token_word){
		.phase = CADRE_TOKEN_VACANT,
		.generation = seen >> 24,
	});

	if (!move(cell, &seen, vacant))
		return false;
	CADRE_KILL_POINT("O5");
	return true;
}

uint32_t cadre_token_count(const struct cadre_token_table *table)
{
	uint32_t count = 0;

	/* All of them: `high` may be scribbled over, and this is what a reader is told. */
	for (uint32_t index = 0; index < table->count; index++)
		count += (atomic_load_explicit(&table->cells[index].word,
					       memory_order_relaxed) &
			  7) != CADRE_TOKEN_VACANT;
	return count;
}
