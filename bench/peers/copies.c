#include "copies.h"
#include "peer.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define TRIPS_MAX 500u
#define END UINT64_MAX

/* Long payloads take turns in so much room each way, as much as the blocks of one size have in
 * a pool as by default: whoever writes again where the other has just read must first get
 * those lines back from its cache, which takes twice as long. */
#define TURN_BYTES (2u << 20)
#define LONG_BYTES (8u << 10)

struct desk {
	alignas(128) _Atomic uint64_t there; /* the client */
	alignas(128) _Atomic uint64_t back;  /* the peer */
	alignas(128) uint64_t trips;         /* the client, private */
	size_t length;                       /* before a trip */
	size_t place;                        /* of request and reply; before a trip */
	uint32_t per_batch;
	bool alone;
	alignas(4096) unsigned char own[BENCH_SIZE_MAX]; /* the client, private */
	unsigned char request[BENCH_SIZE_MAX];           /* the client */
	unsigned char reply[BENCH_SIZE_MAX];             /* the peer */
};

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
		memcpy(desk->reply + desk->place, desk->request + desk->place,
		       desk->length);
		atomic_store_explicit(&desk->back, seen, memory_order_release);
	}
}

static void second_copy(struct desk *desk)
{
	const uint64_t number = ++desk->trips;

	atomic_store_explicit(&desk->there, number, memory_order_release);
	while (atomic_load_explicit(&desk->back, memory_order_acquire) != number)
		continue;
}

static void next_place(struct desk *desk)
{
	desk->place += desk->length;
	if (desk->length < LONG_BYTES || desk->place + desk->length > TURN_BYTES)
		desk->place = 0;
}

static void trip(struct desk *desk)
{
	next_place(desk);
	memcpy(desk->request + desk->place, desk->own, desk->length);
	if (desk->alone)
		memcpy(desk->reply + desk->place, desk->request + desk->place,
		       desk->length);
	else
		second_copy(desk);
	memcpy(desk->own, desk->reply + desk->place, desk->length);
	/* Nobody looks at the last copy; it is wanted all the same. */
	__asm__ volatile("" ::"r"(desk->own) : "memory");
}

static double trips(void *shared)
{
	struct desk *const desk = shared;
	const int64_t start_ns = bench_now_ns();

	for (uint32_t i = 0; i < desk->per_batch; i++)
		trip(desk);
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
