#include "bell.h"
#include "futex.h"

#include <errno.h>

uint32_t cadre_bell_remember(const struct cadre_bell *bell)
{
	/* L1: acquire, so that the looks that follow are not made before it. Pairs with the
	 * addition in cadre_bell_ring. */
	return atomic_load_explicit(&bell->rings, memory_order_acquire);
}

bool cadre_bell_sleep(struct cadre_bell *bell, uint32_t remembered, uint32_t bits,
		      int64_t timeout_ns)
{
	return cadre_futex_wait(&bell->rings, remembered, bits, timeout_ns) != -ETIMEDOUT;
}

int cadre_bell_ring(struct cadre_bell *bell, uint32_t bits, int most)
{
	/* L2: release, pairs with L1: who sees this ring sees the reason for it. */
	atomic_fetch_add_explicit(&bell->rings, 1, memory_order_release);
	CADRE_KILL_POINT("L2");
	return cadre_futex_wake(&bell->rings, most, bits);
}
