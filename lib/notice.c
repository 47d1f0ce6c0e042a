#include "notice.h"

#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

/* What the bytes of a name are. */
struct name {
	uint64_t segment;
	uint64_t id;
};

static_assert(sizeof(struct name) == sizeof(struct cadre_token_name),
	      "a name is as long as it is promised to be");

/* Tells one segment from any other that ever was: two are not made in one nanosecond
 * of one boot. */
static uint64_t segment_id(const struct cadre_view *view)
{
	return (uint64_t)view->header->created_ns ^
	       view->header->boot_id * UINT64_C(0x9e3779b97f4a7c15);
}

struct cadre_token_name cadre_view_token_name(const struct cadre_view *view,
					      uint64_t token)
{
	const struct name parts = { .segment = segment_id(view), .id = token };
	struct cadre_token_name name;

	memcpy(name.bytes, &parts, sizeof(parts));
	return name;
}

uint64_t cadre_view_token_of(const struct cadre_view *view,
			     const struct cadre_token_name *name)
{
	struct name parts;

	memcpy(&parts, name->bytes, sizeof(parts));
	return parts.segment == segment_id(view) ? parts.id : 0;
}

/* ---- who names a token ---- */

/* Calls `visit` for each slot of a leased window that holds a job with a token, with its word
 * and the token's id. */
static void each_named(const struct cadre_view *view,
		       void (*visit)(const struct cadre_view *view, uint32_t slot,
				     uint64_t word, uint64_t token, void *context),
		       void *context)
{
	const unsigned clients = view->limits.clients;
	const uint32_t slots = view->limits.slots;

	for (unsigned window = 0;
	     (window = cadre_mask_next(&view->header->leased, window, clients)) < clients;
	     window++) {
		for (uint32_t slot = window * slots; slot < (window + 1) * slots; slot++) {
			/* Acquire: the request that belongs to the word. */
			const uint64_t word = cadre_slot_look(&view->slots[slot]);
			const enum cadre_phase phase = cadre_word_phase(word);
			uint64_t token;

			if (phase != CADRE_QUEUED && phase != CADRE_RUNNING &&
			    phase != CADRE_DONE)
				continue;
			token = cadre_request_token(&view->slots[slot].request);
			/* The books last, which are on a line of their own. */
			if (token && !cadre_slot_is_vacant(word, &view->books[slot]))
				visit(view, slot, word, token, context);
		}
	}
}

/* ---- the end of a token ---- */

static void decide(const struct cadre_view *view, uint32_t slot, uint64_t generation,
		   enum cadre_token_phase phase)
{
	uint64_t replaced;

	if (cadre_slot_decide(&view->slots[slot], generation, cadre_token_outcome(phase),
			      &replaced))
		cadre_view_tell_decided(view, slot, replaced);
}

static void decide_if_ended(const struct cadre_view *view, uint32_t slot, uint64_t word,
			    uint64_t token, void *context)
{
	const int64_t now_ns = *(const int64_t *)context;
	enum cadre_token_phase phase;

	if (cadre_word_phase(word) == CADRE_DONE ||
	    cadre_word_flags(word) & CADRE_FLAG_DECIDED)
		return;
	phase = cadre_token_view(&view->tokens, token, now_ns).phase;
	if (phase != CADRE_TOKEN_LIVE)
		decide(view, slot, cadre_word_generation(word), phase);
}

void cadre_notice_ring_listeners(const struct cadre_view *view)
{
	const unsigned clients = view->limits.clients;

	for (unsigned window = 0;
	     (window = cadre_mask_next(&view->header->leased, window, clients)) < clients;
	     window++) {
		if (cadre_bell_is_heard(&view->client_bells[window]))
			cadre_bell_ring(&view->client_bells[window], CADRE_BELL_EVERYONE,
					INT32_MAX);
	}
}

void cadre_notice_spread(const struct cadre_view *view, int64_t now_ns)
{
	cadre_token_settle(&view->tokens, now_ns);
	/* O4, pairs with O3: the token has ended before any slot is looked at. N1 as well. */
	atomic_thread_fence(memory_order_seq_cst);
	each_named(view, decide_if_ended, &now_ns);
	cadre_notice_ring_listeners(view);
}

struct cadre_token_view cadre_notice_look(const struct cadre_view *view, uint64_t token,
					  int64_t now_ns)
{
	const struct cadre_token_view seen = cadre_token_view(&view->tokens, token,
							      now_ns);

	if (seen.changed)
		cadre_notice_spread(view, now_ns);
	return seen;
}

bool cadre_notice_job(const struct cadre_view *view, uint32_t slot, uint64_t generation,
		      uint64_t token, int64_t now_ns, int64_t *due_ns)
{
	const struct cadre_token_view seen = cadre_notice_look(view, token, now_ns);

	if (seen.phase == CADRE_TOKEN_LIVE) {
		if (seen.due_ns < *due_ns)
			*due_ns = seen.due_ns;
		return false;
	}
	decide(view, slot, generation, seen.phase);
	return true;
}

/* ---- the clock of a timeout ---- */

static void ring_waiter(const struct cadre_view *view, uint32_t slot, uint64_t word,
			uint64_t token, void *context)
{
	(void)token;
	(void)context;
	if (cadre_word_phase(word) != CADRE_DONE)
		cadre_view_ring_if_awaited(view, slot, word);
}

void cadre_notice_start(const struct cadre_view *view, uint64_t token, int64_t now_ns)
{
	if (!cadre_token_start(&view->tokens, token, now_ns))
		return;
	CADRE_KILL_POINT("O6");
	/* O4, pairs with WAITING before the waiter's look: it sees the time, or we see it. Those
	 * who wait for a job with a composite of this token are rung as well, and a few for
	 * nothing: they look once more. */
	atomic_thread_fence(memory_order_seq_cst);
	each_named(view, ring_waiter, NULL);
}

/* ---- collecting ---- */

struct collection {
	uint32_t high;
	uint64_t *seen; /* per cell: the word of one that was released; 0: somebody names it */
};

static void keep(struct collection *collection, uint64_t token)
{
	const uint32_t index = cadre_token_index(token);

	if (index < collection->high && collection->seen[index] >> 24 == token >> 24)
		collection->seen[index] = 0;
}

static void keep_named(const struct cadre_view *view, uint32_t slot, uint64_t word,
		       uint64_t token, void *context)
{
	(void)view;
	(void)slot;
	/* The outcome of a detached job is asked for by nobody. */
	if (cadre_word_phase(word) != CADRE_DONE ||
	    !(cadre_word_flags(word) & CADRE_FLAG_DETACHED))
		keep(context, token);
}

static void keep_members(const struct cadre_view *view, struct collection *collection)
{
	for (uint32_t index = 0; index < collection->high; index++) {
		const struct cadre_token_cell *const cell = &view->tokens.cells[index];
		/* O2, pairs with O1. */
		const struct cadre_token_word word = cadre_token_unpack(
			atomic_load_explicit(&cell->word, memory_order_acquire));

		if (word.phase < CADRE_TOKEN_LIVE || word.kind < CADRE_TOKEN_ANY)
			continue;
		for (unsigned i = 0; i < cadre_token_member_count(cell); i++)
			keep(collection, cadre_token_member(cell, i));
	}
}

static uint32_t find_released(const struct cadre_view *view, struct collection *collection)
{
	uint32_t found = 0;

	for (uint32_t index = 0; index < collection->high; index++) {
		/* O2, pairs with O1. */
		const uint64_t bits = atomic_load_explicit(&view->tokens.cells[index].word,
							   memory_order_acquire);
		const struct cadre_token_word word = cadre_token_unpack(bits);

		if (word.phase >= CADRE_TOKEN_LIVE && word.released) {
			collection->seen[index] = bits;
			found++;
		}
	}
	return found;
}

uint32_t cadre_notice_collect(const struct cadre_view *view)
{
	struct collection collection = { .high = cadre_token_high(&view->tokens) };
	uint32_t collected = 0;

	collection.seen = calloc(collection.high + 1, sizeof(*collection.seen));
	if (!collection.seen)
		return 0;
	if (find_released(view, &collection) > 0) {
		/* O5, pairs with O3: they were released before anybody is looked for. */
		atomic_thread_fence(memory_order_seq_cst);
		each_named(view, keep_named, &collection);
		keep_members(view, &collection);
		for (uint32_t index = 0; index < collection.high; index++)
			collected += collection.seen[index] &&
				     cadre_token_vacate(&view->tokens.cells[index],
							collection.seen[index]);
	}
	free(collection.seen);
	return collected;
}
