#include "slots.h"
#include "clock.h"
#include "echo.h"
#include "slot.h"

#include <string.h>

#define CAPACITY 512u /* a power of two */
#define PAUSES_MAX 32u

/* The second ring of a pair has no slots of its own: replies come back in those of the first. */
struct ring {
	alignas(128) struct cadre_slot slots[CAPACITY];
	struct cadre_books books[CAPACITY];
	struct ring *requests;
	bool is_for_replies;
	struct slots_manner manner;
	/* Whoever pushes, private; in the ring of replies that is the worker. */
	alignas(128) uint32_t pushes;
	int64_t ended_ns; /* of the job before */
	/* Whoever pops, private; in the ring of requests that is the worker. */
	alignas(128) uint32_t pops;
	uint64_t claimed; /* the word of its job */
};

const struct slots_manner slots_bare = { .is_timed = false };
const struct slots_manner slots_timed = { .is_timed = true };
const struct slots_manner slots_timed_short = { .is_timed = true, .is_short = true };

static struct ring *first_of_pair;
static struct slots_manner next_manner;

static void ring_init(struct ring *ring)
{
	ring->is_for_replies = first_of_pair != NULL;
	ring->manner = next_manner;
	ring->requests = first_of_pair ? first_of_pair : ring;
	first_of_pair = first_of_pair ? NULL : ring;
}

static struct cadre_slot *slot_at(const struct ring *ring, uint32_t position)
{
	return &ring->requests->slots[position % CAPACITY];
}

/* Two sizes that the compiler knows. How many bytes it was. */
static uint32_t copy(const struct ring *ring, void *to, const void *from)
{
	if (ring->manner.is_short)
		memcpy(to, from, ECHO_SHORT);
	else
		memcpy(to, from, PAYLOAD);
	return ring->manner.is_short ? ECHO_SHORT : PAYLOAD;
}

static void ask_for_lines(const void *half)
{
	cadre_prefetch_to_write(half);
	cadre_prefetch_to_write((const char *)half + CADRE_CACHE_LINE);
}

static bool submit(struct ring *ring, const unsigned char payload[PAYLOAD])
{
	struct cadre_slot *const slot = slot_at(ring, ring->pushes++);

	/* Before the lines of the slot, which are written in one go. */
	const int64_t now_ns = ring->manner.is_timed ? cadre_clock_ns() : 0;

	slot->request.length = copy(ring, slot->request.payload, payload);
	slot->request.submitted_ns = now_ns;
	cadre_slot_publish(slot, 0, CADRE_OWNER_NONE);
	if (ring->manner.is_timed)
		atomic_thread_fence(memory_order_seq_cst);
	ask_for_lines(&slot_at(ring, ring->pushes)->request);
	return true;
}

static bool claim(struct ring *ring, unsigned char payload[PAYLOAD])
{
	struct cadre_slot *const slot = slot_at(ring, ring->pops);
	const uint64_t word = cadre_slot_peek(slot);

	if (cadre_word_phase(word) != CADRE_QUEUED) {
		cadre_pause();
		return false;
	}
	__builtin_prefetch((const char *)&slot->request + CADRE_CACHE_LINE);
	if (!cadre_slot_claim(slot, word, 1, &ring->claimed))
		return false;
	ask_for_lines(&slot->reply);
	copy(ring, payload, slot->request.payload);
	ring->pops++;
	return true;
}

/* As a worker does: the end of one job is the start of the next. */
static int64_t take_time(struct ring *ring, const struct cadre_slot *slot)
{
	const int64_t before_ns = ring->ended_ns;

	ring->ended_ns = cadre_clock_ns();
	return before_ns > slot->request.submitted_ns ? before_ns :
							slot->request.submitted_ns;
}

static bool reply(struct ring *ring, const unsigned char payload[PAYLOAD])
{
	struct cadre_slot *const slot = slot_at(ring, ring->pushes++);

	if (ring->manner.is_timed)
		slot->reply.taken_ns = take_time(ring, slot);
	slot->reply.length = copy(ring, slot->reply.payload, payload);
	slot->reply.ended_ns = ring->ended_ns;
	return cadre_slot_finish(slot, ring->requests->claimed, CADRE_OK) != 0;
}

/* Pauses as a client does: it polls the line that the worker writes next. */
static bool take(struct ring *ring, unsigned char payload[PAYLOAD])
{
	struct cadre_slot *const slot = slot_at(ring, ring->pops);
	const uint64_t generation = ring->pops / CAPACITY + 1;

	if (!cadre_slot_is_stamped(slot, generation)) {
		const uint32_t out = ring->requests->pushes - ring->pops;

		for (uint32_t i = 0; i <= out / 2 && i < PAUSES_MAX; i++)
			cadre_pause();
		return false;
	}
	(void)cadre_slot_look_at_end(slot, generation);
	copy(ring, payload, slot->reply.payload);
	cadre_slot_vacate(&ring->requests->books[ring->pops % CAPACITY], CADRE_OK);
	ring->pops++;
	return true;
}

static bool ring_push(struct ring *ring, const unsigned char payload[PAYLOAD])
{
	return ring->is_for_replies ? reply(ring, payload) : submit(ring, payload);
}

static bool ring_pop(struct ring *ring, unsigned char payload[PAYLOAD])
{
	return ring->is_for_replies ? take(ring, payload) : claim(ring, payload);
}

#include "ring_pair.h"

int slots_round_trip(const struct bench *bench, const void *with, double *ret_values)
{
	next_manner = *(const struct slots_manner *)with;
	return pair_round_trip(bench, ret_values);
}

int slots_in_flight(const struct bench *bench, const void *with, double *ret_values)
{
	next_manner = *(const struct slots_manner *)with;
	return pair_in_flight(bench, ret_values);
}
