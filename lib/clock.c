#include "clock.h"
#include "cycles.h"

#include <cadre/client.h>

/* Both clocks are read together when the counter went on by less than this meanwhile, which is
 * a microsecond, and not when the thread lost its CPU in between. */
#define TOGETHER_CYCLES 3000
#define TRIES 4

static int64_t ask_kernel(struct cadre_anchor *anchor)
{
	int64_t now_ns = 0;

	for (int attempt = 0; attempt < TRIES; attempt++) {
		const uint64_t before = cadre_cycles_now();
		struct timespec now;
		uint64_t between;

		clock_gettime(CLOCK_MONOTONIC, &now);
		between = cadre_cycles_now() - before;
		now_ns = (int64_t)now.tv_sec * CADRE_NS_PER_S + now.tv_nsec;
		if (!cadre_cycles_are_trusted())
			return now_ns;
		if (between < TOGETHER_CYCLES) {
			cadre_anchor_move(anchor, before + between / 2, now_ns);
			return anchor->ns;
		}
	}
	/* The anchor is not moved, so the next one asks again. */
	return now_ns > anchor->ns ? now_ns : anchor->ns;
}

int64_t cadre_clock_ns(void)
{
	static _Thread_local struct cadre_anchor anchor
		__attribute__((tls_model("initial-exec")));
	const uint64_t cycles = cadre_cycles_now();

	return cadre_anchor_tells(&anchor, cycles) ? cadre_anchor_ns(&anchor, cycles) :
						     ask_kernel(&anchor);
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
