#include "held.h"
#include "process.h"

#include <sched.h>

int cadre_held_let_go(struct cadre_held *held, const struct cadre_view *view)
{
	const uint32_t bits = held->bits;

	held->bits = 0;
	return bits ? cadre_bell_ring(&view->client_bells[held->window], bits, INT32_MAX) :
		      0;
}

void cadre_held_give_way(struct cadre_held *held, const struct cadre_view *view)
{
	if (cadre_held_let_go(held, view) > 0)
		sched_yield();
}

/* Where the kernel does not tell, nobody is known to be here. */
static bool sleeps_here(const struct cadre_bell *bell)
{
	const uint32_t here = cadre_process_cpu();

	/* Relaxed: a hint (whereabouts.h). */
	return here != 0 && atomic_load_explicit(&bell->cpu, memory_order_relaxed) == here;
}

void cadre_held_ring(struct cadre_held *held, const struct cadre_view *view,
		     uint32_t slot, uint64_t word, int64_t ended_ns)
{
	const unsigned window = cadre_view_window_of(view, slot);

	if (!(cadre_word_flags(word) & CADRE_FLAG_WAITING))
		return;
	if (held->bits && held->window != window)
		cadre_held_let_go(held, view);
	if (!sleeps_here(&view->client_bells[window])) {
		cadre_view_ring_if_awaited(view, slot, word);
		return;
	}
	if (!held->bits)
		held->since_ns = ended_ns;
	held->window = window;
	held->bits |= cadre_view_bell_bit(slot);
}
