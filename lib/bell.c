#include "bell.h"
#include "futex.h"
#include "trace.h"

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
	bool rung;

	CADRE_TRACE(park, bell, timeout_ns);
	rung = cadre_futex_wait(&bell->rings, remembered, bits, timeout_ns) != -ETIMEDOUT;
	CADRE_TRACE(unpark, bell, rung);
	return rung;
}

int cadre_bell_ring(struct cadre_bell *bell, uint32_t bits, int most)
{
	int woken;

	/* L2: release, pairs with L1: who sees this ring sees the reason for it. */
	atomic_fetch_add_explicit(&bell->rings, 1, memory_order_release);
	CADRE_KILL_POINT("L2");
	woken = cadre_futex_wake(&bell->rings, most, bits);
	CADRE_TRACE(wake, bell, bits, woken);
	return woken;
}

void cadre_bell_notify(struct cadre_bell *bell)
{
	atomic_thread_fence(memory_order_seq_cst); /* N1, pairs with N2 */
	if (!cadre_bell_is_heard(bell))
		return;
	/* N3: release, pairs with N4: who saw the notice sees its reason. */
	atomic_fetch_add_explicit(&bell->notices, 1, memory_order_release);
	CADRE_KILL_POINT("N1");
	cadre_futex_wake(&bell->notices, INT32_MAX, CADRE_BELL_EVERYONE);
}

uint32_t cadre_bell_remember_notices(const struct cadre_bell *bell)
{
	/* N4: acquire, pairs with N3. */
	return atomic_load_explicit(&bell->notices, memory_order_acquire);
}

void cadre_bell_sleep_for_notices(struct cadre_bell *bell, uint32_t remembered,
				  int64_t timeout_ns)
{
	cadre_futex_wait(&bell->notices, remembered, CADRE_BELL_EVERYONE, timeout_ns);
}

void cadre_bell_listen(struct cadre_bell *bell, bool listens)
{
	/* Relaxed: the fence behind it orders it. */
	atomic_store_explicit(&bell->listens, listens, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* N2, pairs with N1 */
}
