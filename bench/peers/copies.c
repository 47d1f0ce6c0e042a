#include "copies.h"
#include "peer.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define TRIPS_MAX 500u
#define END UINT64_MAX

struct desk {
	alignas(128) _Atomic uint64_t there; /* the client */
	alignas(128) _Atomic uint64_t back;  /* the peer */
	alignas(128) uint64_t trips;         /* the client, private */
	size_t length;                       /* before a trip */
	uint32_t per_batch;
	bool alone;
	alignas(4096) unsigned char own[BENCH_SIZE_MAX]; /* the client, private */
	/* Request and reply change places with each trip: each side writes where it has read
	 * last. Else each line comes from the other CPU to be written, and goes back to be
	 * read, which takes up to six times as long. */
	unsigned char places[2][BENCH_SIZE_MAX];
};

static unsigned char *request_of(struct desk *desk, uint64_t trip)
{
	return desk->places[trip % 2];
}

static unsigned char *reply_of(struct desk *desk, uint64_t trip)
{
	return desk->places[(trip + 1) % 2];
}

static void answer_one(struct desk *desk, uint64_t trip)
{
	memcpy(reply_of(desk, trip), request_of(desk, trip), desk->length);
}

static void answer(void *shared)
{
	struct desk *const desk = shared;
	uint64_t seen = 0;

	while (seen != END) {
		const uint64_t there = atomic_load_explicit(&desk->there,
							    memory_order_acquire);

		if (there == seen)
			continue;
		seen = there;
		answer_one(desk, seen);
		atomic_store_explicit(&desk->back, seen, memory_order_release);
	}
}

static void await_answer(struct desk *desk, uint64_t trip)
{
	atomic_store_explicit(&desk->there, trip, memory_order_release);
	while (atomic_load_explicit(&desk->back, memory_order_acquire) != trip)
		continue;
}

static void make_trip(struct desk *desk)
{
	const uint64_t trip = ++desk->trips;

	memcpy(request_of(desk, trip), desk->own, desk->length);
	if (desk->alone)
		answer_one(desk, trip);
	else
		await_answer(desk, trip);
	memcpy(desk->own, reply_of(desk, trip), desk->length);
	/* Nobody looks at the last copy; it is wanted all the same. */
	__asm__ volatile("" ::"r"(desk->own) : "memory");
}

static double trips(void *shared)
{
	struct desk *const desk = shared;
	const int64_t start_ns = bench_now_ns();

	for (uint32_t i = 0; i < desk->per_batch; i++)
		make_trip(desk);
	return (double)(bench_now_ns() - start_ns) / desk->per_batch;
}

static void measure_sizes(const struct bench *bench, struct desk *desk, double *ret_values)
{
	static const size_t sizes[] = BENCH_SIZES;

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		desk->length = sizes[i];
		desk->per_batch = 1;
		desk->per_batch = bench_fit_batch(trips(desk), TRIPS_MAX);
		ret_values[i] = bench_median_of_long(bench, trips, desk) / 1000;
	}
}

static int measure(const struct bench *bench, bool alone, double *ret_values)
{
	struct desk *const desk = peer_share(sizeof(*desk));
	pid_t peer;
	int r;

	if (!desk)
		return -ENOMEM;
	desk->alone = alone;
	peer = peer_start(bench, answer, desk);
	if (peer < 0)
		return peer;
	measure_sizes(bench, desk, ret_values);
	desk->length = 0;
	atomic_store(&desk->there, END);
	r = peer_await(peer);
	peer_unshare(desk, sizeof(*desk));
	return r;
}

int copies_between(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return measure(bench, false, ret_values);
}

int copies_alone(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return measure(bench, true, ret_values);
}
