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

static void answer(void *shared)
{
	struct lines *const lines = shared;
	uint64_t seen = 0;

	while (seen != END) {
		const uint64_t there = atomic_load_explicit(&lines->there,
							    memory_order_acquire);

		if (there == seen)
			continue;
		seen = there;
		atomic_store_explicit(&lines->back, seen, memory_order_release);
	}
}

static double batch(void *shared)
{
	struct lines *const lines = shared;
	const int64_t start_ns = bench_now_ns();

	for (int trip = 0; trip < TRIPS; trip++) {
		const uint64_t number = ++lines->trips;

		atomic_store_explicit(&lines->there, number, memory_order_release);
		while (atomic_load_explicit(&lines->back, memory_order_acquire) != number)
			continue;
	}
	return (double)(bench_now_ns() - start_ns) / TRIPS;
}

int line_round_trip(const struct bench *bench, double *ret_value)
{
	struct lines *const lines = peer_share(sizeof(*lines));
	pid_t peer;
	int r;

	if (!lines)
		return -ENOMEM;
	peer = peer_start(bench, answer, lines);
	if (peer < 0)
		return peer;
	*ret_value = bench_median_batch(bench, batch, lines);
	atomic_store(&lines->there, END);
	r = peer_await(peer);
	peer_unshare(lines, sizeof(*lines));
	return r;
}
