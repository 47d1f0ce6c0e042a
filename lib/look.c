#include "look.h"
#include "clock.h"
#include "dispatch.h"
#include "whereabouts.h"

#include <errno.h>
#include <stdlib.h>

#define IN_A_ROW_MAX 16
#define SHARE_CURSOR_EVERY 16
#define AIMED_EVERY 16
#define AHEAD 4 /* jobs: a line comes in 50 ns, or 250, and a short job takes 100 */

int cadre_looker_init(struct cadre_looker *looker, const struct cadre_view *view,
		      unsigned seat)
{
	*looker = (struct cadre_looker){
		.view = view,
		.owner = seat + 1,
		.others = seat < view->limits.workers ? CADRE_OWNER_NONE : seat + 1,
		/* Each worker begins elsewhere. */
		.window = seat % view->limits.clients,
		.crew_turn = seat + 1,
		.cursors = calloc(view->limits.clients, sizeof(*looker->cursors)),
		.aimed_cursors = calloc(view->limits.clients, sizeof(*looker->cursors)),
	};
	return looker->cursors && looker->aimed_cursors ? 0 : -ENOMEM;
}

void cadre_looker_fini(struct cadre_looker *looker)
{
	free(looker->cursors);
	free(looker->aimed_cursors);
}

static struct cadre_mask *aims_of(const struct cadre_looker *looker)
{
	return &looker->view->worker_aims[looker->owner - 1];
}

/* For anybody, or for us in person. */
static bool is_for_us(const struct cadre_looker *looker, uint64_t word)
{
	const unsigned owner = cadre_word_owner(word);

	return cadre_word_phase(word) == CADRE_QUEUED &&
	       (owner == looker->others || owner == looker->owner);
}

static bool try_claim(struct cadre_looker *looker, uint32_t slot,
		      struct cadre_found *ret_found)
{
	struct cadre_slot *const at = &looker->view->slots[slot];
	const uint64_t word = cadre_slot_peek(at);

	if (cadre_word_phase(word) == CADRE_QUEUED)
		__builtin_prefetch((const char *)&at->request + CADRE_CACHE_LINE);
	if (!is_for_us(looker, word) ||
	    !cadre_slot_claim(at, word, looker->owner, &ret_found->claimed))
		return false;
	/* The lines of the reply are the client's still: ask for them while the handler runs. */
	cadre_prefetch_to_write(&at->reply);
	cadre_prefetch_to_write((const char *)&at->reply + CADRE_CACHE_LINE);
	ret_found->slot = slot;
	return true;
}

/* Asks for the lines of a job further on, when it is certain that its client has published it
 * and writes there no more. */
static void look_ahead(const struct cadre_looker *looker, unsigned window,
		       uint64_t position)
{
	const struct cadre_view *const view = looker->view;
	const struct cadre_slot *slot;

	if (position >= looker->seen_tail)
		return;
	slot = &view->slots[window * view->limits.slots +
			    (uint32_t)(position & (view->limits.slots - 1))];
	cadre_prefetch_to_write(&slot->request);
	__builtin_prefetch((const char *)&slot->request + CADRE_CACHE_LINE);
	cadre_prefetch_to_write(&slot->reply);
	cadre_prefetch_to_write((const char *)&slot->reply + CADRE_CACHE_LINE);
}

static void claimed_at(struct cadre_looker *looker, unsigned window, uint64_t position)
{
	struct cadre_cursor *const cursor = &looker->cursors[window];

	look_ahead(looker, window, position + AHEAD);

	cursor->position = position + 1;
	if (cursor->position % SHARE_CURSOR_EVERY == 0)
		cadre_window_share_cursor(&looker->view->client_lines[window].hints,
					  cursor);
}

/* Claims the first job of a window along its hints. */
static bool look_in_window(struct cadre_looker *looker, unsigned window,
			   struct cadre_found *ret_found)
{
	const struct cadre_view *const view = looker->view;
	struct cadre_cursor *const cursor = &looker->cursors[window];
	const struct cadre_span span = cadre_window_span(&view->client_lines[window].hints,
							 view->limits.slots, cursor);
	const uint32_t base = window * view->limits.slots;
	const uint64_t mask = view->limits.slots - 1;

	looker->seen_tail = span.to;
	/* One further than the tail: the word of a fresh job is there before the tail is. By
	 * distance, since no position lies behind that of a tail gone wrong. */
	for (uint64_t ahead = 0; ahead <= span.to - span.from; ahead++) {
		const uint64_t position = span.from + ahead;

		if (!try_claim(looker, base + (uint32_t)(position & mask), ret_found))
			continue;
		claimed_at(looker, window, position);
		return true;
	}
	cursor->position = span.to;
	return false;
}

/* Is it somebody else's turn: another client's, or that of a job aimed at us? */
static bool is_over(const struct cadre_looker *looker)
{
	const struct cadre_view *const view = looker->view;
	const unsigned clients = view->limits.clients, window = looker->window;

	return cadre_mask_next(&view->header->active, 0, window) < window ||
	       cadre_mask_next(&view->header->active, window + 1, clients) < clients ||
	       cadre_mask_next(aims_of(looker), 0, clients) < clients;
}

bool cadre_look_next_door(struct cadre_looker *looker, struct cadre_found *ret_found)
{
	const struct cadre_view *const view = looker->view;
	const unsigned window = looker->window;
	const uint64_t position = looker->cursors[window].position;
	const uint32_t index = (uint32_t)position & (view->limits.slots - 1);

	if (looker->in_a_row == 0 || looker->burden)
		return false;
	/* The hints are on lines that the client writes for each job. Where jobs are many, a look
	 * at them tells how far one may look ahead; where they come one by one, it is in vain. */
	if ((looker->in_a_row >= IN_A_ROW_MAX || looker->since_aimed >= AIMED_EVERY) &&
	    (!looker->waited || is_over(looker)))
		return false;
	if (!try_claim(looker, window * view->limits.slots + index, ret_found)) {
		looker->waited = true;
		return false;
	}
	claimed_at(looker, window, position);
	looker->waited = false;
	looker->in_a_row++;
	looker->since_aimed++;
	return true;
}

bool cadre_look_in_rhythm(struct cadre_looker *looker, struct cadre_found *ret_found)
{
	bool found;

	cadre_rhythm_await(&looker->rhythm);
	looker->waited = true;
	found = cadre_look_next_door(looker, ret_found);
	cadre_rhythm_learn(&looker->rhythm, found);
	return found;
}

/* A worker that has jobs found another: is it somebody else's to take? Wakes that one, once
 * for each job. */
static bool leave_to_lighter(struct cadre_looker *looker, uint32_t slot, uint64_t word)
{
	const struct cadre_view *const view = looker->view;
	const int64_t spread_ns = view->limits.spread_ns;
	unsigned asleep;

	if (spread_ns <= 0 || cadre_word_unpack(word).owner != CADRE_OWNER_NONE ||
	    !cadre_dispatch_find_lighter(view, looker->owner - 1, looker->burden, &asleep))
		return false;
	if (looker->left_slot == slot && looker->left_word == word)
		return cadre_clock_ns() < looker->left_until_ns;
	looker->left_slot = slot;
	looker->left_word = word;
	looker->left_until_ns = cadre_clock_in_ns(spread_ns);
	if (asleep < view->limits.workers)
		cadre_crew_rouse(&view->worker_bells[asleep]);
	return true;
}

/* The same of whatever stands in a slot, for a look at all of them. */
static bool is_left(struct cadre_looker *looker, uint32_t slot)
{
	const uint64_t word = cadre_slot_peek(&looker->view->slots[slot]);

	looker->left = is_for_us(looker, word) && leave_to_lighter(looker, slot, word);
	return looker->left;
}

/* As look_in_window, for a worker that has jobs: what it leaves to others it sees again, and
 * nothing behind it. */
static bool look_with_burden(struct cadre_looker *looker, unsigned window,
			     struct cadre_found *ret_found)
{
	const struct cadre_view *const view = looker->view;
	struct cadre_cursor *const cursor = &looker->cursors[window];
	const struct cadre_span span = cadre_window_span(&view->client_lines[window].hints,
							 view->limits.slots, cursor);
	const uint32_t base = window * view->limits.slots;
	const uint64_t mask = view->limits.slots - 1;

	for (uint64_t ahead = 0; ahead <= span.to - span.from; ahead++) {
		const uint64_t position = span.from + ahead;
		const uint32_t slot = base + (uint32_t)(position & mask);
		const uint64_t word = cadre_slot_peek(&view->slots[slot]);

		if (!is_for_us(looker, word))
			continue;
		cursor->position = position;
		if (leave_to_lighter(looker, slot, word)) {
			looker->left = true;
			return false;
		}
		return look_in_window(looker, window, ret_found);
	}
	cursor->position = span.to;
	return false;
}

/* The same for the active windows of a range, each of which gets its turn. */
static bool look_between(struct cadre_looker *looker, unsigned from, unsigned to,
			 struct cadre_found *ret_found)
{
	const struct cadre_mask *const active = &looker->view->header->active;

	for (unsigned window = from; (window = cadre_mask_next(active, window, to)) < to;
	     window++) {
		if (window != looker->window) {
			looker->window = window;
			looker->in_a_row = 0;
		}
		if (looker->burden ? look_with_burden(looker, window, ret_found) :
				     look_in_window(looker, window, ret_found)) {
			looker->in_a_row++;
			looker->since_aimed++;
			return true;
		}
	}
	return false;
}

/* Claims the first job of a window that is aimed at us, along our own cursor. */
static bool look_for_aimed_in(struct cadre_looker *looker, unsigned window,
			      struct cadre_found *ret_found)
{
	const struct cadre_view *const view = looker->view;
	struct cadre_cursor *const cursor = &looker->aimed_cursors[window];
	const struct cadre_span span = cadre_window_span_aimed(
		&view->client_lines[window].hints, view->limits.slots, cursor);
	const uint32_t base = window * view->limits.slots;
	const uint64_t mask = view->limits.slots - 1;

	/* One further than the tail, and by distance, as in look_in_window. */
	for (uint64_t ahead = 0; ahead <= span.to - span.from; ahead++) {
		const uint64_t position = span.from + ahead;
		const uint32_t slot = base + (uint32_t)(position & mask);

		if (cadre_word_owner(cadre_slot_peek(&view->slots[slot])) != looker->owner ||
		    !try_claim(looker, slot, ret_found))
			continue;
		cursor->position = position + 1;
		return true;
	}
	cursor->position = span.to;
	return false;
}

/* The same for the windows of a range that may hold such a job. */
static bool look_for_aimed_between(struct cadre_looker *looker, unsigned from,
				   unsigned to, struct cadre_found *ret_found)
{
	for (unsigned window = from;
	     (window = cadre_mask_next(aims_of(looker), window, to)) < to; window++) {
		if (look_for_aimed_in(looker, window, ret_found)) {
			looker->aimed_window = window + 1;
			return true;
		}
	}
	return false;
}

/* One job, then it is the next window's turn. A load when there is none at all. */
static bool look_for_aimed(struct cadre_looker *looker, struct cadre_found *ret_found)
{
	const unsigned clients = looker->view->limits.clients;
	unsigned from;

	looker->since_aimed = 0;
	if (looker->aimed_window >= clients)
		looker->aimed_window = 0;
	from = looker->aimed_window;
	return look_for_aimed_between(looker, from, clients, ret_found) ||
	       look_for_aimed_between(looker, 0, from, ret_found);
}

bool cadre_look_along_hints(struct cadre_looker *looker, struct cadre_found *ret_found)
{
	const unsigned clients = looker->view->limits.clients;
	unsigned from;

	if (looker->others != CADRE_OWNER_NONE)
		return look_for_aimed(looker, ret_found);
	if (cadre_look_next_door(looker, ret_found))
		return true;
	/* Who has no end of jobs never asks, and others wait for him by where he is. */
	cadre_whereabouts_say(&looker->view->worker_bells[looker->owner - 1]);
	/* With each turn, too: what interrupts the way from door to door comes all at once. */
	if ((looker->since_aimed >= AIMED_EVERY || looker->in_a_row >= IN_A_ROW_MAX) &&
	    look_for_aimed(looker, ret_found))
		return true;
	if (looker->in_a_row >= IN_A_ROW_MAX) {
		const bool goes_on = !is_over(looker);

		looker->in_a_row = goes_on;
		looker->window = goes_on ? looker->window : (looker->window + 1) % clients;
	}
	from = looker->window;
	/* Once around, however the bits change meanwhile. */
	return look_between(looker, from, clients, ret_found) ||
	       look_between(looker, 0, from, ret_found) ||
	       look_for_aimed(looker, ret_found);
}

/* A window in order of position, from the oldest that may be in use. */
struct panorama {
	uint32_t base; /* its first slot */
	uint64_t from; /* the slot of the oldest position, modulo the window */
	uint64_t mask;
};

static struct panorama panorama_of(const struct cadre_looker *looker, unsigned window)
{
	const struct cadre_view *const view = looker->view;

	return (struct panorama){
		.base = window * view->limits.slots,
		/* Relaxed: only the order depends on it. */
		.from = atomic_load_explicit(&view->client_lines[window].hints.tail,
					     memory_order_relaxed),
		.mask = view->limits.slots - 1,
	};
}

static uint32_t slot_at(const struct panorama *panorama, uint32_t ahead)
{
	return panorama->base + (uint32_t)((panorama->from + ahead) & panorama->mask);
}

/* How far ahead the first job is that is for us; the window's size when there is none.
 * Whether one is aimed at us, too. */
static uint32_t find_pending(const struct cadre_looker *looker,
			     const struct panorama *panorama, bool *ret_aimed)
{
	const struct cadre_slot *const slots = looker->view->slots;
	uint32_t first = (uint32_t)panorama->mask + 1;

	*ret_aimed = false;
	for (uint32_t ahead = 0; ahead <= panorama->mask; ahead++) {
		const uint64_t word = cadre_slot_peek(&slots[slot_at(panorama, ahead)]);

		if (!is_for_us(looker, word))
			continue;
		if (first > ahead)
			first = ahead;
		*ret_aimed |= cadre_word_owner(word) == looker->owner;
		if (*ret_aimed)
			break;
	}
	return first;
}

/* Lets the hints say that there is something in this slot. */
static void point_at(const struct cadre_looker *looker, unsigned window, uint32_t slot)
{
	const struct cadre_view *const view = looker->view;

	cadre_window_point_at(&view->client_lines[window].hints,
			      slot % view->limits.slots, view->limits.slots);
	if (!cadre_mask_has(&view->header->active, window))
		cadre_mask_set(&view->header->active, window);
}

/* The same for what is aimed at us: our own hints, the cursor as far back as can be. */
static void point_at_aimed(struct cadre_looker *looker, unsigned window)
{
	looker->aimed_cursors[window].position = 0;
	if (!cadre_mask_has(aims_of(looker), window))
		cadre_mask_set(aims_of(looker), window);
}

bool cadre_look_everywhere(struct cadre_looker *looker, struct cadre_found *ret_found)
{
	const struct cadre_view *const view = looker->view;
	const unsigned clients = view->limits.clients;
	bool found = false;

	for (unsigned window = 0;
	     (window = cadre_mask_next(&view->header->leased, window, clients)) < clients;
	     window++) {
		const struct panorama panorama = panorama_of(looker, window);
		bool aimed;
		uint32_t ahead = find_pending(looker, &panorama, &aimed);

		if (ahead > panorama.mask)
			continue;
		/* No hint led here. Say so before anything is claimed: others look along them. */
		if (aimed)
			point_at_aimed(looker, window);
		if (looker->others == CADRE_OWNER_NONE)
			point_at(looker, window, slot_at(&panorama, ahead));
		for (; !found && ahead <= panorama.mask; ahead++) {
			const uint32_t slot = slot_at(&panorama, ahead);

			if (looker->burden && is_left(looker, slot))
				return false;
			found = try_claim(looker, slot, ret_found);
		}
	}
	return found;
}

bool cadre_look_is_dry(const struct cadre_looker *looker, unsigned window)
{
	/* Relaxed: a hint. */
	return looker->cursors[window].position >=
	       atomic_load_explicit(&looker->view->client_lines[window].hints.tail,
				    memory_order_relaxed);
}

static bool is_for_anyone(uint64_t word)
{
	return cadre_word_phase(word) == CADRE_QUEUED &&
	       cadre_word_owner(word) == CADRE_OWNER_NONE;
}

bool cadre_look_for_more(const struct cadre_looker *looker)
{
	const struct cadre_view *const view = looker->view;
	const unsigned clients = view->limits.clients;
	const uint32_t slots = view->limits.slots;

	for (unsigned window = 0;
	     (window = cadre_mask_next(&view->header->leased, window, clients)) < clients;
	     window++) {
		for (uint32_t index = 0; index < slots; index++) {
			if (is_for_anyone(
				    cadre_slot_peek(&view->slots[window * slots + index])))
				return true;
		}
	}
	return false;
}

void cadre_look_settle(struct cadre_looker *looker)
{
	const struct cadre_view *const view = looker->view;
	struct cadre_mask *const active = &view->header->active;
	const unsigned clients = view->limits.clients;

	for (unsigned window = 0;
	     (window = cadre_mask_next(aims_of(looker), window, clients)) < clients;
	     window++) {
		cadre_mask_clear(aims_of(looker), window); /* A2, pairs with F2 */
		CADRE_KILL_POINT("A2");
	}
	if (looker->others != CADRE_OWNER_NONE)
		return;
	for (unsigned window = 0;
	     (window = cadre_mask_next(active, window, clients)) < clients; window++) {
		cadre_window_share_cursor(&view->client_lines[window].hints,
					  &looker->cursors[window]);
		/* A client that still saw the bit set had published before this; the full look
		 * that follows, behind F3, sees its job and sets the bit again. */
		cadre_mask_clear(active, window);
	}
}
