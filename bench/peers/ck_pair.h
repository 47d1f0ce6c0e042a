/*
 * ck_pair.h - a pair of one kind of Concurrency Kit's rings. Included once by a source file that
 * has defined CK_KIND as spsc or mpmc; makes ck_KIND_round_trip and ck_KIND_in_flight (ck.h).
 */
#include "ck.h"

#define CK_JOIN_(before, kind, after) before##kind##after
#define CK_JOIN(before, kind, after) CK_JOIN_(before, kind, after)

#if __has_include(<ck_ring.h>)

#include <ck_ring.h>
#include <stdalign.h>
#include <string.h>

#define CAPACITY 512u /* a power of two; one less fit */

struct entry {
	alignas(64) unsigned char payload[PAYLOAD];
};

CK_RING_PROTOTYPE(entry, entry)

struct ring {
	alignas(128) ck_ring_t ring;
	alignas(128) struct entry entries[CAPACITY];
};

static void ring_init(struct ring *ring)
{
	ck_ring_init(&ring->ring, CAPACITY);
}

static bool ring_push(struct ring *ring, const unsigned char payload[PAYLOAD])
{
	struct entry entry;

	memcpy(entry.payload, payload, PAYLOAD);
	return CK_JOIN(ck_ring_enqueue_, CK_KIND, _entry)(&ring->ring, ring->entries,
							  &entry);
}

static bool ring_pop(struct ring *ring, unsigned char payload[PAYLOAD])
{
	struct entry entry;

	if (!CK_JOIN(ck_ring_dequeue_, CK_KIND, _entry)(&ring->ring, ring->entries, &entry))
		return false;
	memcpy(payload, entry.payload, PAYLOAD);
	return true;
}

#include "ring_pair.h"

#else

static int pair_round_trip(const struct bench *bench, double *ret_values)
{
	(void)bench;
	(void)ret_values;
	return bench_absent("built without libck-dev");
}

#define pair_in_flight pair_round_trip

#endif

int CK_JOIN(ck_, CK_KIND, _round_trip)(const struct bench *bench, const void *with,
				       double *ret_values)
{
	(void)with;
	return pair_round_trip(bench, ret_values);
}

int CK_JOIN(ck_, CK_KIND, _in_flight)(const struct bench *bench, const void *with,
				      double *ret_values)
{
	(void)with;
	return pair_in_flight(bench, ret_values);
}
