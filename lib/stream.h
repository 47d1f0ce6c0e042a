/*
 * stream.h - the ring of items of one stream: one producer, the worker of the job's attempt,
 * and one consumer, its client.
 *
 * It lies in the block of the job's request and lives as long as the slot says:
 *
 *   | tail waits | head | room awaited paused | payload of the request | items ... |
 *     producer     consumer, each a line
 *
 * Items are 8-byte aligned and never wrap: a head of eight bytes (length, kind, code), then the
 * bytes. Where an item does not fit before the end, a pad fills what is left. Positions count
 * bytes and only grow.
 *
 * Invariant: 0 <= tail - head <= room. An item that was not counted in tail did not happen,
 * so either side may die between any two instructions; what it leaves is a whole ring.
 *
 * Each side keeps its own position and the room in private memory and only looks at the
 * other's; whatever stands in the segment, reads and writes stay inside the ring, and a
 * position or item that cannot be is -EBADMSG from then on. Sleeping, bells and slots are
 * the business of others: this file says when somebody must be rung, and does not ring.
 *
 * Nobody sleeps on what is there:
 *
 *     consumer without an item              producer with one
 *     awaited = number of this sleep        tail = t                     (I1)
 *     F8 full fence                         F9 full fence
 *     look at tail, then at the slot        if (awaited) ring the client
 *     sleep on the client's bell
 *
 *     producer without room, or paused      consumer that gives room back, or resumes
 *     waits = number of this wait           head = h                     (I3), or paused = 0
 *     F10 full fence                        F11 full fence
 *     look at head, paused, the slot        if (waits) ring the worker
 *     sleep on the worker's bell
 *
 * Whichever fence comes first, the other side's look sees the store before it. The numbers
 * let the one who rings do so once per sleep without ever writing the other's word: so no
 * death can leave a cleared word behind with nobody rung. Both bells are remembered before
 * the number is written, and both sleeps are bounded.
 */
#ifndef CADRE_LIB_STREAM_H
#define CADRE_LIB_STREAM_H

#include "platform.h"

#include <cadre/stream.h>

/* Who writes: I = the client, before the job is published; P = the worker that runs the
 * job; C = the client. */
struct cadre_stream {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t tail; /* P: bytes ever emitted */
	_Atomic uint32_t waits; /* P: number of its wait for room; 0: it does not wait */
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t head; /* C: bytes given back */
	alignas(CADRE_CACHE_LINE) uint64_t room;         /* I: bytes for items */
	_Atomic uint32_t awaited; /* C: number of its sleep; 0: it is awake */
	_Atomic uint32_t paused;  /* C: 0 or 1 */
};

static_assert(sizeof(struct cadre_stream) == 3 * CADRE_CACHE_LINE, "segment layout");
static_assert(offsetof(struct cadre_stream, head) == CADRE_CACHE_LINE, "segment layout");
static_assert(offsetof(struct cadre_stream, room) == 2 * CADRE_CACHE_LINE,
	      "segment layout");

#define CADRE_STREAM_ALIGN 8u
#define CADRE_STREAM_HEAD 8u /* bytes in front of each item */
#define CADRE_STREAM_ROOM_LEAST 64u

/* Bytes of ring header, payload and items together. */
static inline uint64_t cadre_stream_bytes(uint64_t payload, uint64_t room)
{
	return sizeof(struct cadre_stream) +
	       (payload + CADRE_STREAM_ALIGN - 1) / CADRE_STREAM_ALIGN *
		       CADRE_STREAM_ALIGN +
	       room;
}

/* Where the payload and the items lie, from the beginning of the block. */
#define CADRE_STREAM_PAYLOAD_AT (sizeof(struct cadre_stream))

static inline uint64_t cadre_stream_items_at(uint64_t payload)
{
	return cadre_stream_bytes(payload, 0);
}

/* True when a ring with that much room can stand in a block of that size. */
static inline bool cadre_stream_fits(uint64_t payload, uint64_t room, uint64_t block_size)
{
	return room >= CADRE_STREAM_ROOM_LEAST && room % CADRE_STREAM_ALIGN == 0 &&
	       payload <= block_size && room <= block_size &&
	       cadre_stream_bytes(payload, room) <= block_size;
}

/* The client, before the job is published. */
void cadre_stream_init(struct cadre_stream *stream, uint64_t room);

/* Nothing was ever emitted. For the supervisor, once the producer is proven dead. */
bool cadre_stream_is_untouched(const struct cadre_stream *stream);

/* ---- the producer's side, private to the worker ---- */

struct cadre_emitter {
	struct cadre_stream *stream; /* NULL: the job is no stream */
	unsigned char *items;
	uint64_t room;
	uint64_t tail;      /* pads that nobody was told of included */
	uint64_t offset;    /* of tail in the ring */
	uint64_t head_seen; /* of the consumer, at the last look */
	uint64_t reserved;  /* bytes asked for by the last reserve */
	uint64_t wanted;    /* free bytes that the last reserve lacked */
	uint64_t count;     /* items emitted, errors included */
	uint32_t number;    /* of its latest wait */
	uint32_t rung_for;  /* the latest sleep of the consumer that was rung for */
	bool has_reserved;
	bool must_ring; /* the consumer sleeps on what was published */
	bool damaged;
};

/* 0, or -EBADMSG when something was emitted before. The caller has checked that the ring
 * fits into its block. Waits are numbered from the attempt on, so that none has the number
 * of one that an earlier attempt was rung for. */
int cadre_emitter_open(struct cadre_emitter *emitter, struct cadre_stream *stream,
		       unsigned char *items, uint64_t room, unsigned attempt);

/* Makes room for an item of at most `length` bytes. -EAGAIN: none now, or paused.
 * -EMSGSIZE: the ring is not that large. -EBADMSG. A pad may have been published on the
 * way: look at must_ring in any case. */
int cadre_emitter_reserve(struct cadre_emitter *emitter, uint64_t length,
			  unsigned char **ret_data);

/* Emits the first `length` bytes of what was reserved; then look at must_ring. */
void cadre_emitter_commit(struct cadre_emitter *emitter, uint64_t length, bool is_error,
			  int32_t code);

/* Another reserve of what was lacking would do. */
bool cadre_emitter_is_ready(struct cadre_emitter *emitter);

/* Before a sleep, and after it. Looks that follow the first are behind its fence. */
void cadre_emitter_say_waiting(struct cadre_emitter *emitter);
void cadre_emitter_say_awake(struct cadre_emitter *emitter);

/* ---- the consumer's side, private to the client ---- */

struct cadre_reader {
	struct cadre_stream *stream;
	const unsigned char *items;
	uint64_t room;
	uint64_t head;      /* behind the items given back, those not told of included */
	uint64_t offset;    /* of head in the ring */
	uint64_t held;      /* bytes of the item that the caller looks at */
	uint64_t tail_seen; /* of the producer, at the last look */
	uint64_t told;      /* what the producer was told of head */
	uint32_t number;    /* of its latest sleep */
	uint32_t rung_for;  /* the latest wait of the producer that was rung for */
	bool must_ring;     /* the producer waits for room that was given back */
	bool damaged;
};

void cadre_reader_open(struct cadre_reader *reader, struct cadre_stream *stream,
		       const unsigned char *items, uint64_t room);

/* Gives the last item back and finds the next. 1; -EAGAIN when there is none; -EBADMSG for
 * ever once the ring holds what cannot be. Then look at must_ring. */
int cadre_reader_next(struct cadre_reader *reader, struct cadre_item *ret_item);

/* Gives the last item back and tells the producer of all room; then look at must_ring. */
void cadre_reader_give_back(struct cadre_reader *reader);

/* True when next would have something to say: an item, a pad, or damage. */
bool cadre_reader_has_more(struct cadre_reader *reader);

/* Before a sleep, and after it. Looks that follow the first are behind its fence. */
void cadre_reader_say_asleep(struct cadre_reader *reader);
void cadre_reader_say_awake(struct cadre_reader *reader);

/* Stops the producer, or lets it go on. Any thread of the consumer, one at a time. True
 * when the producer waits and must be rung. */
bool cadre_stream_set_paused(struct cadre_stream *stream, bool paused);

#endif
