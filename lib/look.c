#include "look.h"
#include "clock.h"
#include "dispatch.h"

#include <errno.h>
#include <stdlib.h>

#define IN_A_ROW_MAX 16
#define SHARE_CURSOR_EVERY 16

int cadre_looker_init(struct cadre_looker *looker, const struct cadre_view *view,
		      unsigned worker)
{
	*looker = (struct cadre_looker){
		.view = view,
		.owner = worker + 1,
		/* Each worker begins elsewhere. */
		.window = worker % view->limits.clients,
		.crew_turn = worker + 1,
		.cursors = calloc(view->limits.clients, sizeof(*looker->cursors)),
	};
	return looker->cursors ? 0 : -ENOMEM;
}

void cadre_looker_fini(struct cadre_looker *looker)
{
	free(looker->cursors);
}

/* For anybody, or for us in person. */
static bool is_for_us(const struct cadre_looker *looker, uint64_t word)
{
	const struct cadre_word parts = cadre_word_unpack(word);

	return parts.phase == CADRE_QUEUED &&
	       (parts.owner == CADRE_OWNER_NONE || parts.owner == looker->owner);
}

static bool try_claim(struct cadre_looker *looker, uint32_t slot,
		      struct cadre_found *ret_found)
{
	struct cadre_slot *const at = &looker->view->slots[slot];
	const uint64_t word = cadre_slot_peek(at);

	if (cadre_word_phase(word) != CADRE_QUEUED || !is_for_us(looker, word) ||
	    !cadre_slot_claim(at, word, looker->owner, &ret_found->claimed))
		return false;
	/* The lines of the reply are the client's still: ask for them while the handler runs. */
	__builtin_prefetch(&at->reply, 1);
	__builtin_prefetch((const char *)&at->reply + CADRE_CACHE_LINE, 1);
	ret_found->slot = slot;
	return true;
}

/* Claims the first job of a window along its hints. */
static bool look_in_window(struct cadre_looker *looker, unsigned window,
			   struct cadre_found *ret_found)
{
	const struct cadre_view *const view = looker->view;
	struct cadre_hints *const hints = &view->client_lines[window].hints;
	struct cadre_cursor *const cursor = &looker->cursors[window];
	const struct cadre_span span = cadre_window_span(hints, view->limits.slots,
							 cursor);
	const uint32_t base = window * view->limits.slots;
	const uint64_t mask = view->limits.slots - 1;

	/* One further than the tail: the word of a fresh job is there before the tail is. By
	 * distance, since no position lies behind that of a tail gone wrong. */
	for (uint64_t ahead = 0; ahead <= span.to - span.from; ahead++) {
		const uint64_t position = span.from + ahead;

		if (!try_claim(looker, base + (uint32_t)(position & mask), ret_found))
			continue;
		cursor->position = position + 1;
		if (cursor->position % SHARE_CURSOR_EVERY == 0)
			cadre_window_share_cursor(hints, cursor);
		return true;
	}
	cursor->position = span.to;
	return false;
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
		cadre_bell_ring(&view->worker_bells[asleep], CADRE_BELL_DISPATCHER, 1);
	return true;
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
			return true;
		}
	}
	return false;
}

bool cadre_look_along_hints(struct cadre_looker *looker, struct cadre_found *ret_found)
{
	const unsigned clients = looker->view->limits.clients;
	unsigned from;

	if (looker->in_a_row >= IN_A_ROW_MAX) {
		looker->in_a_row = 0;
		looker->window = (looker->window + 1) % clients;
	}
	from = looker->window;
	/* Once around, however the bits change meanwhile. */
	return look_between(looker, from, clients, ret_found) ||
	       look_between(looker, 0, from, ret_found);
}

/* Is a job pending in this slot that this worker, or, with `anyone`, any worker may take? */
static bool is_pending(const struct cadre_looker *looker, uint32_t slot, bool anyone)
{
	const uint64_t word = cadre_slot_peek(&looker->view->slots[slot]);

	return cadre_word_phase(word) == CADRE_QUEUED &&
	       (anyone || is_for_us(looker, word));
}

/* The first slot of a window, from `from` on, that has a job pending; the window's size
 * when there is none. */
static uint32_t find_pending(const struct cadre_looker *looker, unsigned window,
			     uint32_t from, bool anyone)
{
	const uint32_t slots = looker->view->limits.slots;

	while (from < slots && !is_pending(looker, window * slots + from, anyone))
		from++;
	return from;
}

/* Lets the hints say that there is something in this slot. */
static void point_at(const struct cadre_looker *looker, unsigned window, uint32_t index)
{
	const struct cadre_view *const view = looker->view;

	cadre_window_point_at(&view->client_lines[window].hints, index,
			      view->limits.slots);
	if (!cadre_mask_has(&view->header->active, window))
		cadre_mask_set(&view->header->active, window);
}

bool cadre_look_everywhere(struct cadre_looker *looker, struct cadre_found *ret_found)
{
	const struct cadre_view *const view = looker->view;
	const unsigned clients = view->limits.clients;
	const uint32_t slots = view->limits.slots;
	bool found = false;

	for (unsigned window = 0;
	     (window = cadre_mask_next(&view->header->leased, window, clients)) < clients;
	     window++) {
		uint32_t index = find_pending(looker, window, 0, true);

		if (index == slots)
			continue;
		/* No hint led here. Say so before anything is claimed: others look along them. */
		point_at(looker, window, index);
		for (; !found && index < slots; index++) {
			index = find_pending(looker, window, index, false);
			found = index < slots &&
				try_claim(looker, window * slots + index, ret_found);
		}
	}
	return found;
}

bool cadre_look_for_more(const struct cadre_looker *looker)
{
	const struct cadre_view *const view = looker->view;
	const unsigned clients = view->limits.clients;

	for (unsigned window = 0;
	     (window = cadre_mask_next(&view->header->leased, window, clients)) < clients;
	     window++) {
		if (find_pending(looker, window, 0, true) < view->limits.slots)
			return true;
	}
	return false;
}

void cadre_look_settle(struct cadre_looker *looker)
{
	const struct cadre_view *const view = looker->view;
	struct cadre_mask *const active = &view->header->active;
	const unsigned clients = view->limits.clients;

	for (unsigned window = 0;
	     (window = cadre_mask_next(active, window, clients)) < clients; window++) {
		cadre_window_share_cursor(&view->client_lines[window].hints,
					  &looker->cursors[window]);
		/* A client that still saw the bit set had published before this; the full look
		 * that follows, behind F3, sees its job and sets the bit again. */
		cadre_mask_clear(active, window);
	}
}
