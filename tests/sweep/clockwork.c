#include "clockwork.h"
#include "clock.h"
#include "cycles.h"

#include <stdbool.h>
#include <time.h>

#define BEGIN_NS (1000 * CADRE_NS_PER_S)

static int64_t now_ns = BEGIN_NS;

void clock_restart(void)
{
	now_ns = BEGIN_NS;
}

bool __wrap_cadre_cycles_are_trusted(void);

/* The same instructions in each run: no counter of the CPU's. */
bool __wrap_cadre_cycles_are_trusted(void)
{
	return false;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_nanosleep(const struct timespec *nap, struct timespec *ret_left);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	(void)clock;
	now_ns += CADRE_NS_PER_US;
	*ret_time = cadre_clock_timespec(now_ns);
	return 0;
}

int __wrap_nanosleep(const struct timespec *nap, struct timespec *ret_left)
{
	(void)ret_left;
	now_ns += nap->tv_sec * CADRE_NS_PER_S + nap->tv_nsec;
	return 0;
}
