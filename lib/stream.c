#include "stream.h"

#include <errno.h>

/* What stands in front of an item: length in the lowest 30 bits, kind in two, code in 32. */
#define LENGTH_BITS 30
#define LENGTH_MASK ((UINT64_C(1) << LENGTH_BITS) - 1)

enum kind {
	KIND_ITEM = 0,
	KIND_ERROR = 1,
	KIND_PAD = 2, /* nothing up to the end of the ring */
	KIND_IMPOSSIBLE = 3,
};

/* Waits of one attempt, as a power of two, before a number may come again. */
#define NUMBERS_PER_ATTEMPT 27

/* The consumer tells of room in quarters, so that it fences once in a while only. */
#define TELL_PART 4

static uint64_t size_of_item(uint64_t length)
{
	return CADRE_STREAM_HEAD + (length + CADRE_STREAM_ALIGN - 1) /
					   CADRE_STREAM_ALIGN * CADRE_STREAM_ALIGN;
}

static uint64_t pack(enum kind kind, uint64_t length, int32_t code)
{
	return length | (uint64_t)kind << LENGTH_BITS | (uint64_t)(uint32_t)code << 32;
}

void cadre_stream_init(struct cadre_stream *stream, uint64_t room)
{
	/* Relaxed: S3 publishes it with the job. */
	atomic_store_explicit(&stream->tail, 0, memory_order_relaxed);
	atomic_store_explicit(&stream->waits, 0, memory_order_relaxed);
	atomic_store_explicit(&stream->head, 0, memory_order_relaxed);
	stream->room = room;
	atomic_store_explicit(&stream->awaited, 0, memory_order_relaxed);
	atomic_store_explicit(&stream->paused, 0, memory_order_relaxed);
}

bool cadre_stream_is_untouched(const struct cadre_stream *stream)
{
	/* Relaxed: its only writer is dead. */
	return atomic_load_explicit(&stream->tail, memory_order_relaxed) == 0;
}

/* ---- the producer ---- */

int cadre_emitter_open(struct cadre_emitter *emitter, struct cadre_stream *stream,
		       unsigned char *items, uint64_t room, unsigned attempt)
{
	*emitter = (struct cadre_emitter){
		.stream = stream,
		.items = items,
		.room = room,
		.number = attempt << NUMBERS_PER_ATTEMPT,
	};
	/* A stream that has begun is not tried again, and nobody else emits into it. */
	emitter->damaged = !cadre_stream_is_untouched(stream);
	return emitter->damaged ? -EBADMSG : 0;
}

/* So many bytes are free. */
static bool has_free(struct cadre_emitter *emitter, uint64_t bytes)
{
	uint64_t head;

	emitter->wanted = bytes;
	if (emitter->room - (emitter->tail - emitter->head_seen) >= bytes)
		return true;
	/* I4: acquire, pairs with I3: the consumer has read what we overwrite. */
	head = atomic_load_explicit(&emitter->stream->head, memory_order_acquire);
	if (emitter->tail - head > emitter->room) {
		emitter->damaged = true;
		return false;
	}
	emitter->head_seen = head;
	return emitter->room - (emitter->tail - head) >= bytes;
}

static void advance(struct cadre_emitter *emitter, uint64_t bytes)
{
	emitter->tail += bytes;
	emitter->offset += bytes;
	if (emitter->offset == emitter->room)
		emitter->offset = 0;
}

static void set_head(struct cadre_emitter *emitter, uint64_t head)
{
	*(uint64_t *)(void *)(emitter->items + emitter->offset) = head;
}

/* Does the consumer sleep, and was it not rung for that? Behind a full fence. */
static void look_for_sleeper(struct cadre_emitter *emitter)
{
	/* Relaxed: the fence did the ordering. */
	const uint32_t awaited = atomic_load_explicit(&emitter->stream->awaited,
						      memory_order_relaxed);

	if (awaited == 0 || awaited == emitter->rung_for)
		return;
	emitter->rung_for = awaited;
	emitter->must_ring = true;
}

static void publish(struct cadre_emitter *emitter)
{
	CADRE_KILL_POINT("I0");
	/* I1: release, pairs with I2: the item is whole before it is counted. */
	atomic_store_explicit(&emitter->stream->tail, emitter->tail, memory_order_release);
	CADRE_KILL_POINT("I1");
	atomic_thread_fence(memory_order_seq_cst); /* F9, pairs with F8 */
	look_for_sleeper(emitter);
}

/* An item does not fit before the end: fill that with a pad. Most items are small and wait
 * until both have room. One that is longer than what lies before the pad would wait for
 * ever, so the pad goes ahead alone, and the consumer gives it back. */
static bool turn_over(struct cadre_emitter *emitter, uint64_t size)
{
	const uint64_t pad = emitter->room - emitter->offset;
	const bool alone = size + pad > emitter->room;

	if (!has_free(emitter, alone ? pad : pad + size))
		return false;
	set_head(emitter, pack(KIND_PAD, pad - CADRE_STREAM_HEAD, 0));
	advance(emitter, pad);
	if (alone)
		publish(emitter);
	return true;
}

int cadre_emitter_reserve(struct cadre_emitter *emitter, uint64_t length,
			  unsigned char **ret_data)
{
	const uint64_t size = size_of_item(length);
	bool has_room;

	emitter->has_reserved = false;
	if (emitter->damaged)
		return -EBADMSG;
	if (length > emitter->room - CADRE_STREAM_HEAD || length > LENGTH_MASK)
		return -EMSGSIZE;
	emitter->wanted = size;
	/* Relaxed: a wish. Who waits for its end looks again behind a fence. */
	if (atomic_load_explicit(&emitter->stream->paused, memory_order_relaxed))
		return -EAGAIN;
	has_room = size <= emitter->room - emitter->offset || turn_over(emitter, size);
	if (!has_room || !has_free(emitter, size))
		return emitter->damaged ? -EBADMSG : -EAGAIN;
	emitter->has_reserved = true;
	emitter->reserved = length;
	*ret_data = emitter->items + emitter->offset + CADRE_STREAM_HEAD;
	return 0;
}

void cadre_emitter_commit(struct cadre_emitter *emitter, uint64_t length, bool is_error,
			  int32_t code)
{
	emitter->has_reserved = false;
	set_head(emitter, pack(is_error ? KIND_ERROR : KIND_ITEM, length, code));
	advance(emitter, size_of_item(length));
	emitter->count++;
	publish(emitter);
}

bool cadre_emitter_is_ready(struct cadre_emitter *emitter)
{
	/* Relaxed: as in reserve. */
	if (atomic_load_explicit(&emitter->stream->paused, memory_order_relaxed))
		return false;
	return has_free(emitter, emitter->wanted) || emitter->damaged;
}

void cadre_emitter_say_waiting(struct cadre_emitter *emitter)
{
	if (++emitter->number == 0)
		emitter->number = 1;
	/* Relaxed: ordered by the fence. */
	atomic_store_explicit(&emitter->stream->waits, emitter->number,
			      memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* F10, pairs with F11 */
	CADRE_KILL_POINT("I5");
}

void cadre_emitter_say_awake(struct cadre_emitter *emitter)
{
	/* Relaxed: a stale number costs one needless ring. */
	atomic_store_explicit(&emitter->stream->waits, 0, memory_order_relaxed);
}

/* ---- the consumer ---- */

void cadre_reader_open(struct cadre_reader *reader, struct cadre_stream *stream,
		       const unsigned char *items, uint64_t room)
{
	*reader = (struct cadre_reader){
		.stream = stream,
		.items = items,
		.room = room,
	};
}

/* Does the producer wait, and was it not rung for that? Behind a full fence. */
static void look_for_waiter(struct cadre_reader *reader)
{
	/* Relaxed: the fence did the ordering. */
	const uint32_t waits = atomic_load_explicit(&reader->stream->waits,
						    memory_order_relaxed);

	if (waits == 0 || waits == reader->rung_for)
		return;
	reader->rung_for = waits;
	reader->must_ring = true;
}

static void tell(struct cadre_reader *reader)
{
	if (reader->told == reader->head)
		return;
	reader->told = reader->head;
	/* I3: release, pairs with I4: our reads are over before the room is used again. */
	atomic_store_explicit(&reader->stream->head, reader->head, memory_order_release);
	CADRE_KILL_POINT("I3");
	atomic_thread_fence(memory_order_seq_cst); /* F11, pairs with F10 */
	look_for_waiter(reader);
}

/* Goes on behind so many bytes, which lie before the end of the ring. */
static void step_over(struct cadre_reader *reader, uint64_t bytes)
{
	reader->head += bytes;
	reader->offset += bytes;
	if (reader->offset == reader->room)
		reader->offset = 0;
}

static void let_go(struct cadre_reader *reader)
{
	step_over(reader, reader->held);
	reader->held = 0;
}

/* Looks at the producer's word when all that was known is read. */
static bool has_bytes(struct cadre_reader *reader)
{
	uint64_t tail;

	if (reader->tail_seen != reader->head)
		return true;
	/* I2: acquire, pairs with I1: what is counted is whole. */
	tail = atomic_load_explicit(&reader->stream->tail, memory_order_acquire);
	if (tail == reader->head)
		return false;
	if (tail - reader->head > reader->room || tail % CADRE_STREAM_ALIGN != 0)
		reader->damaged = true;
	else
		reader->tail_seen = tail;
	return true;
}

/* One item or pad that is there. True for an item; damaged when it cannot be. */
static bool look_at(struct cadre_reader *reader, struct cadre_item *item)
{
	const uint64_t *const at = (const uint64_t *)(const void *)(reader->items +
								    reader->offset);
	const uint64_t head = CADRE_READ_ONCE(*at);
	const uint64_t length = head & LENGTH_MASK;
	const enum kind kind = (enum kind)(head >> LENGTH_BITS & 3);
	const uint64_t size = size_of_item(length);
	const uint64_t to_end = reader->room - reader->offset;

	if (kind == KIND_IMPOSSIBLE || size > to_end ||
	    size > reader->tail_seen - reader->head ||
	    (kind == KIND_PAD && (size != to_end || reader->offset == 0))) {
		reader->damaged = true;
		return false;
	}
	if (kind == KIND_PAD) {
		step_over(reader, size);
		return false;
	}
	reader->held = size;
	item->data = reader->items + reader->offset + CADRE_STREAM_HEAD;
	item->length = (size_t)length;
	item->is_error = kind == KIND_ERROR;
	item->code = (int32_t)(uint32_t)(head >> 32);
	return true;
}

int cadre_reader_next(struct cadre_reader *reader, struct cadre_item *ret_item)
{
	let_go(reader);
	if (reader->head - reader->told >= reader->room / TELL_PART)
		tell(reader);
	/* Behind a pad lies the beginning of the ring, where no other can be. */
	while (!reader->damaged && has_bytes(reader)) {
		if (!reader->damaged && look_at(reader, ret_item))
			return 1;
	}
	tell(reader);
	return reader->damaged ? -EBADMSG : -EAGAIN;
}

void cadre_reader_give_back(struct cadre_reader *reader)
{
	let_go(reader);
	tell(reader);
}

bool cadre_reader_has_more(struct cadre_reader *reader)
{
	uint64_t tail;

	if (reader->damaged || reader->tail_seen != reader->head + reader->held)
		return true;
	/* I2 as well: whoever acts on it may read on. */
	tail = atomic_load_explicit(&reader->stream->tail, memory_order_acquire);
	return tail != reader->head + reader->held;
}

void cadre_reader_say_asleep(struct cadre_reader *reader)
{
	if (++reader->number == 0)
		reader->number = 1;
	/* Relaxed: ordered by the fence. */
	atomic_store_explicit(&reader->stream->awaited, reader->number,
			      memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* F8, pairs with F9 */
	CADRE_KILL_POINT("I6");
}

void cadre_reader_say_awake(struct cadre_reader *reader)
{
	/* Relaxed: a stale number costs one needless ring. */
	atomic_store_explicit(&reader->stream->awaited, 0, memory_order_relaxed);
}

bool cadre_stream_set_paused(struct cadre_stream *stream, bool paused)
{
	/* Relaxed: ordered by the fence. */
	atomic_store_explicit(&stream->paused, paused, memory_order_relaxed);
	CADRE_KILL_POINT("I7");
	atomic_thread_fence(memory_order_seq_cst); /* F11, pairs with F10 */
	return !paused && atomic_load_explicit(&stream->waits, memory_order_relaxed) != 0;
}
