/*
 * check_owners.c - whose is it? A block belongs to a job, a token to a client, and whoever is
 * named there can be, or could once.
 */
#include "check.h"

/* ---- blocks ---- */

static void look_at_block(struct cadre_check *check, uint32_t block)
{
	const struct cadre_view *const view = &check->view;
	/* B5: acquire, pairs with B4: a slot gets its generation before one of its blocks does,
	 * and so the generation that is read next is not smaller. */
	const uint64_t owner = atomic_load_explicit(&view->block_owners[block].word,
						    memory_order_acquire);
	const uint64_t number = (owner >> 40) - 1;
	const uint64_t generation = owner & CADRE_GENERATION_MAX;
	uint64_t bits;

	/* The rule stands in block.h. */
	if (owner >> 40 == 0 || number >= view->slot_count)
		return;
	bits = cadre_slot_look(&view->slots[number]);
	if (cadre_books_have(&view->books[number], generation))
		return;
	check->balance.blocks_used++;
	if (cadre_word_generation(bits) < generation)
		cadre_check_suspect(
			check, CADRE_RULE_BLOCK, block, owner,
			"block %u: it belongs to job %llu of slot %u of window %u, which is "
			"only at job %llu",
			block, (unsigned long long)generation,
			(unsigned)number % view->limits.slots,
			cadre_view_window_of(view, (uint32_t)number),
			(unsigned long long)cadre_word_generation(bits));
}

/* ---- tokens ---- */

/* One that nobody owns any more is released by the reaper of its client, at the latest. */
static void look_at_token(struct cadre_check *check, uint32_t index)
{
	const struct cadre_view *const view = &check->view;
	/* O2, pairs with O1: its maker was UP then, and so a place that is read next as vacant
	 * has been left since. */
	const uint64_t bits = atomic_load_explicit(&view->tokens.cells[index].word,
						   memory_order_acquire);
	const struct cadre_token_word word = cadre_token_unpack(bits);

	if (word.phase == CADRE_TOKEN_VACANT)
		return;
	if (word.phase > CADRE_TOKEN_TIMED_OUT || word.owner >= view->limits.clients) {
		cadre_check_suspect(check, CADRE_RULE_TOKEN, index, bits,
				    "token %u: phase %u of client %u cannot be", index,
				    (unsigned)word.phase, word.owner);
		return;
	}
	if (!word.released && check->supervisor != 0 &&
	    cadre_place_state_of(cadre_place_look(&view->client_places[word.owner])) ==
		    CADRE_PLACE_VACANT)
		cadre_check_suspect(check, CADRE_RULE_TOKEN_LEFT, index, bits,
				    "token %u: it belongs to client %u, which is gone",
				    index, word.owner);
}

void cadre_check_owners(struct cadre_check *check)
{
	for (uint32_t block = 0; block < check->view.plan.total; block++)
		look_at_block(check, block);
	for (uint32_t index = 0; index < check->view.tokens.count; index++)
		look_at_token(check, index);
}
