#include "line.h"
#include "peer.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>

#define TRIPS 500
#define END UINT64_MAX

/* Two lines apart, for CPUs that fetch lines in pairs. */
struct lines {
	alignas(128) _Atomic uint64_t there; /* the client */
	alignas(128) _Atomic uint64_t back;  /* the peer */
	alignas(128) uint64_t trips;         /* the client, private */
};

static void answer_until(struct lines *lines, uint64_t last)
{
	/* Relaxed: our own. */
	uint64_t seen = atomic_load_explicit(&lines->back, memory_order_relaxed);

	while (seen != last) {
		const uint64_t there = atomic_load_explicit(&lines->there,
							    memory_order_acquire);

		if (there == seen)
			continue;
		seen = there;
		atomic_store_explicit(&lines->back, seen, memory_order_release);
	}
}

static void answer(void *shared)
{
	answer_until(shared, END);
}

void line_answer_batch(struct lines *lines)
{
	answer_until(lines,
		     atomic_load_explicit(&lines->back, memory_order_relaxed) + TRIPS);
}

static void trip(void *shared)
{
	struct lines *const lines = shared;
	const uint64_t number = ++lines->trips;

	atomic_store_explicit(&lines->there, number, memory_order_release);
	while (atomic_load_explicit(&lines->back, memory_order_acquire) != number)
		continue;
}

double line_batch(void *shared)
{
	const int64_t start_ns = bench_now_ns();

	for (int i = 0; i < TRIPS; i++)
		trip(shared);
	return (double)(bench_now_ns() - start_ns) / TRIPS;
}

struct lines *line_share(void)
{
	return peer_share(sizeof(struct lines));
}

void line_unshare(struct lines *lines)
{
	peer_unshare(lines, sizeof(*lines));
}

static int measure(const struct bench *bench, bool with_tail, double *ret_values)
{
	struct lines *const lines = line_share();
	pid_t peer;
	int r;

	if (!lines)
		return -ENOMEM;
	peer = peer_start(bench, answer, lines);
	if (peer < 0)
		return peer;
	ret_values[0] = bench_median_batch(bench, line_batch, lines);
	if (with_tail)
		ret_values[1] = bench_quantile_trip(bench, trip, lines, 0.999);
	atomic_store(&lines->there, END);
	r = peer_await(peer);
	line_unshare(lines);
	return r;
}

int line_calibration(const struct bench *bench, double *ret_ns)
{
	return measure(bench, false, ret_ns);
}

int line_round_trip(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return measure(bench, true, ret_values);
}
