#include "clock.h"

#include <cadre/client.h>

int64_t cadre_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * CADRE_NS_PER_S + now.tv_nsec;
}

int64_t cadre_clock_in_ns(int64_t delta_ns)
{
	const int64_t now_ns = cadre_clock_ns();

	return delta_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + delta_ns;
}

int64_t cadre_clock_left_ns(int64_t until_ns, int64_t most_ns)
{
	const int64_t now_ns = cadre_clock_ns();

	/* Compared before it is subtracted: callers may name any moment, INT64_MIN too. */
	if (until_ns <= now_ns)
		return 0;
	return until_ns - now_ns < most_ns ? until_ns - now_ns : most_ns;
}

struct timespec cadre_clock_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / CADRE_NS_PER_S,
				  .tv_nsec = ns % CADRE_NS_PER_S };
}

int64_t cadre_now_ns(void)
{
	return cadre_clock_ns();
}

int64_t cadre_in_ms(int64_t milliseconds)
{
	if (milliseconds > INT64_MAX / CADRE_NS_PER_MS)
		return INT64_MAX;
	if (milliseconds < INT64_MIN / CADRE_NS_PER_MS)
		return INT64_MIN;
	return cadre_clock_in_ns(milliseconds * CADRE_NS_PER_MS);
}
