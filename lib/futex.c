#include "futex.h"
#include "clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int cadre_futex_wait(_Atomic uint32_t *word, uint32_t seen, uint32_t bits,
		     int64_t timeout_ns)
{
	/* FUTEX_WAIT_BITSET takes an absolute time on CLOCK_MONOTONIC. */
	const struct timespec until = cadre_clock_timespec(cadre_clock_in_ns(timeout_ns));

	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, &until, NULL, bits) == 0)
		return 0;
	return errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

int cadre_futex_wake(_Atomic uint32_t *word, int most, uint32_t bits)
{
	const long woken = syscall(SYS_futex, word, FUTEX_WAKE_BITSET, most, NULL, NULL,
				   bits);

	return woken > 0 ? (int)woken : 0;
}
