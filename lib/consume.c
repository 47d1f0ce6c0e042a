/*
 * consume.c - a client reads streams: one item after the other, waiting in between, or by
 * callback; it pauses them, and leaves.
 *
 * A stream is a job, so everything about its life stands elsewhere: here its ring is read
 * (stream.h) and its slot's word is looked at for the end. What was emitted before the end
 * is read first: the word is looked at before the last look at the ring, not after it.
 *
 * Callbacks: a stream with something to deliver is kept, and queued once, by whoever
 * finds it (completion.c); the thread that takes it out of the queue reads it. So a ring has
 * one reader at a time, without a lock.
 */
#include "client.h"
#include "clock.h"

#include <stdlib.h>

#define WORD_LOOK_EVERY 16 /* as in take.c */
#define ROOM_DEFAULT (UINT64_C(7) * 1024)
#define CLOCK_LOOK_EVERY 32
#define PAUSES 8 /* after a look that found nothing: the producer writes that line next */
#define IN_A_ROW_MAX 64
#define KEEPING_BITS 2
#define LET_GO_ROUNDS 8

int cadre_consume_init(struct cadre_client *client)
{
	return -pthread_mutex_init(&client->streams_lock, NULL);
}

void cadre_consume_fini(struct cadre_client *client)
{
	free(atomic_load(&client->consumers));
	pthread_mutex_destroy(&client->streams_lock);
}

static struct cadre_consumer *consumer_of(const struct cadre_client *client,
					  uint32_t index)
{
	/* V14: acquire, pairs with V13. */
	return atomic_load_explicit(&client->consumers, memory_order_acquire) + index;
}

static int make_consumers(struct cadre_client *client)
{
	struct cadre_consumer *consumers;

	/* V14 as well. */
	if (atomic_load_explicit(&client->consumers, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&client->streams_lock);
	/* Relaxed: whoever stores it has the lock. */
	consumers = atomic_load_explicit(&client->consumers, memory_order_relaxed);
	if (!consumers)
		consumers = calloc(client->slot_count, sizeof(*consumers));
	/* V13: release, pairs with V14: each of them is zero before it is found. */
	atomic_store_explicit(&client->consumers, consumers, memory_order_release);
	pthread_mutex_unlock(&client->streams_lock);
	return consumers ? 0 : -ENOMEM;
}

static uint64_t pack_kept(uint64_t generation, enum cadre_keeping keeping)
{
	return generation << KEEPING_BITS | (uint64_t)keeping;
}

/* ---- submitting ---- */

uint64_t cadre_client_stream_room(const struct cadre_client *client,
				  const struct cadre_request *request)
{
	const uint64_t taken = cadre_stream_bytes(request->length, 0);
	const uint64_t most = client->view.limits.payload_max;
	uint64_t room = request->stream_room;

	if (room == 0) {
		room = taken < most && most - taken < ROOM_DEFAULT ? most - taken :
								     ROOM_DEFAULT;
		room -= room % CADRE_STREAM_ALIGN;
		return room > CADRE_STREAM_ROOM_LEAST ? room : CADRE_STREAM_ROOM_LEAST;
	}
	return (room + CADRE_STREAM_ALIGN - 1) / CADRE_STREAM_ALIGN * CADRE_STREAM_ALIGN;
}

/* Relaxed: the slot is HELD, so all of it is this thread's. */
static void name_job(struct cadre_client *client, uint32_t index, uint64_t generation)
{
	atomic_store_explicit(&client->pending[index].word,
			      cadre_pending_pack(CADRE_PENDING_HELD, generation),
			      memory_order_relaxed);
}

static void open_consumer(struct cadre_client *client, uint32_t index,
			  uint64_t generation, const struct cadre_request *request,
			  unsigned char *block, uint64_t room)
{
	struct cadre_consumer *const consumer = consumer_of(client, index);
	struct cadre_stream *const stream = (struct cadre_stream *)(void *)block;

	cadre_stream_init(stream, room);
	cadre_reader_open(&consumer->reader, stream,
			  block + cadre_stream_items_at(request->length), room);
	consumer->item = request->item;
	consumer->pauses = 0;
	/* Relaxed: published with the state of the pending. */
	atomic_store_explicit(&consumer->paused, false, memory_order_relaxed);
	atomic_store_explicit(&consumer->kept, pack_kept(generation, CADRE_KEEPING_NOBODY),
			      memory_order_relaxed);
}

int cadre_client_prepare_stream(struct cadre_client *client, uint32_t index,
				const struct cadre_request *request, void **ret_data)
{
	const uint64_t room = cadre_client_stream_room(client, request);
	const uint32_t number = client->slot_base + index;
	struct cadre_slot *const slot = &client->slots[index];
	const uint64_t before = cadre_slot_peek(slot);
	const bool was_draft = cadre_word_phase(before) == CADRE_FILLING;
	const uint64_t word = was_draft ? before : cadre_slot_fill(slot);
	const uint64_t generation = cadre_word_generation(word);
	unsigned char *bytes;
	uint64_t size;
	uint32_t block;
	int r;

	if (cadre_word_phase(word) != CADRE_FILLING)
		return -EBADMSG;
	name_job(client, index, generation);
	r = make_consumers(client);
	block = r < 0 ? CADRE_NO_BLOCK :
			cadre_block_take(&client->blocks,
					 cadre_stream_bytes(request->length, room),
					 number, generation);
	CADRE_KILL_POINT("B1");
	if (block == CADRE_NO_BLOCK) {
		if (r == 0) {
			r = -ENOBUFS;
			atomic_fetch_add_explicit(&client->lines->counters.no_block, 1,
						  memory_order_relaxed);
		}
		/* A draft remains, as what it was. */
		if (!was_draft) {
			cadre_slot_unfill(slot, &client->books[index]);
			name_job(client, index, (generation + 1) & CADRE_GENERATION_MAX);
		}
		return r;
	}
	bytes = cadre_block_room(&client->blocks, block, &size);
	client->pending[index].request_block = block;
	open_consumer(client, index, generation, request, bytes, room);
	*ret_data = bytes + CADRE_STREAM_PAYLOAD_AT;
	return 0;
}

void cadre_client_close_stream(struct cadre_client *client)
{
	/* Whoever pauses it did so before; who comes now finds that the job is not out. */
	pthread_mutex_lock(&client->streams_lock);
	pthread_mutex_unlock(&client->streams_lock);
}

/* ---- the end ---- */

bool cadre_client_stream_goes_on(const struct cadre_client *client, uint32_t index,
				 uint64_t generation)
{
	/* Relaxed: a thread's own word for it. */
	return atomic_load_explicit(&consumer_of(client, index)->over,
				    memory_order_relaxed) != generation;
}

bool cadre_client_stream_is_damaged(const struct cadre_client *client, uint32_t index)
{
	return consumer_of(client, index)->reader.damaged;
}

static void set_over(struct cadre_client *client, uint32_t index, uint64_t generation)
{
	atomic_store_explicit(&consumer_of(client, index)->over, generation,
			      memory_order_relaxed);
}

void cadre_client_stream_was_cancelled(struct cadre_client *client, uint32_t index,
				       uint64_t generation)
{
	if (cadre_client_is_stream(client, index))
		set_over(client, index, generation);
}

/* ---- one look ---- */

static void ring_producer(struct cadre_client *client, uint32_t index)
{
	cadre_view_ring_producer(&client->view, client->slot_base + index,
				 cadre_slot_peek(&client->slots[index]));
}

static void ring_if_wished(struct cadre_client *client, uint32_t index,
			   struct cadre_reader *reader)
{
	if (!reader->must_ring)
		return;
	reader->must_ring = false;
	ring_producer(client, index);
}

/* 1, an item; 0, the end; -EAGAIN; -EBADMSG. */
static int look(struct cadre_client *client, uint32_t index, uint64_t generation,
		bool at_word, struct cadre_item *ret_item)
{
	struct cadre_reader *const reader = &consumer_of(client, index)->reader;
	int r = cadre_reader_next(reader, ret_item);

	if (r == -EAGAIN && cadre_client_has_ended(client, index, generation, at_word)) {
		/* What was emitted before the end can be seen by now: C1. */
		r = cadre_reader_next(reader, ret_item);
		if (r == -EAGAIN)
			r = 0;
	}
	ring_if_wished(client, index, reader);
	if (r == 1)
		ret_item->ticket = cadre_ticket_make(index, generation);
	if (r == -EBADMSG)
		cadre_client_decide(client, index, generation, CADRE_CANCELLED);
	if (r == 0 || r == -EBADMSG)
		set_over(client, index, generation);
	return r;
}

/* ---- by ticket ---- */

static int find_stream(struct cadre_client *client, struct cadre_ticket ticket,
		       uint32_t *ret_index)
{
	int r = cadre_client_enter(client);

	if (r == 0)
		r = cadre_client_find(client, ticket, ret_index);
	if (r < 0)
		return r;
	return cadre_client_is_stream(client, *ret_index) ? 0 : -ENOSTR;
}

static int find_own(struct cadre_client *client, struct cadre_ticket ticket,
		    uint32_t *ret_index)
{
	const int r = find_stream(client, ticket, ret_index);

	return r == 0 && consumer_of(client, *ret_index)->item ? -EBUSY : r;
}

static void end_if_late(struct cadre_client *client, uint32_t index, uint64_t generation,
			int64_t now_ns, int64_t *wake_ns)
{
	const int64_t due_ns = cadre_client_look_at_time(client, index, generation,
							 now_ns);

	if (due_ns < *wake_ns)
		*wake_ns = due_ns;
}

int cadre_stream_try_next(struct cadre_client *client, struct cadre_ticket ticket,
			  struct cadre_item *ret_item)
{
	const uint64_t generation = cadre_ticket_generation(ticket);
	int64_t wake_ns = INT64_MAX;
	uint32_t index;
	int r = find_own(client, ticket, &index);

	if (r < 0)
		return r;
	r = look(client, index, generation, true, ret_item);
	if (r == -EAGAIN)
		end_if_late(client, index, generation, cadre_clock_ns(), &wake_ns);
	return r;
}

static bool is_paused(const struct cadre_client *client, uint32_t index)
{
	/* Relaxed: whoever paused it for this thread did so in this thread. */
	return atomic_load_explicit(&consumer_of(client, index)->paused,
				    memory_order_relaxed);
}

static int spin(struct cadre_client *client, uint32_t index, uint64_t generation,
		int64_t until_ns, struct cadre_item *ret_item)
{
	int64_t spin_until_ns = 0;

	for (unsigned round = 1;; round++) {
		const int r = look(client, index, generation,
				   round % WORD_LOOK_EVERY == 0, ret_item);

		if (r != -EAGAIN || client->spin_ns == 0)
			return r;
		/* The clock is read now and then only; most items come before the first time. */
		if (round % CLOCK_LOOK_EVERY == 0) {
			const int64_t now_ns = cadre_clock_ns();

			if (spin_until_ns == 0)
				spin_until_ns = now_ns + client->spin_ns;
			if (now_ns >= spin_until_ns || now_ns >= until_ns)
				return -EAGAIN;
		}
		for (unsigned i = 0; i < PAUSES; i++)
			cadre_pause();
	}
}

/* Marks the stream as awaited: whoever ends its job, and whoever emits, rings. */
static void lie_down(struct cadre_client *client, uint32_t index, uint64_t generation)
{
	const uint64_t word = cadre_slot_await(&client->slots[index], generation);

	cadre_client_nudge_once(client, index, word);
	cadre_reader_say_asleep(&consumer_of(client, index)->reader);
}

static int sleep_until_item(struct cadre_client *client, uint32_t index,
			    uint64_t generation, int64_t until_ns,
			    struct cadre_item *ret_item)
{
	struct cadre_reader *const reader = &consumer_of(client, index)->reader;

	for (;;) {
		/* L1: remembered before WAITING is set, and before the last look. */
		const uint32_t rings = cadre_bell_remember(client->bell);
		const int64_t now_ns = cadre_clock_ns();
		int64_t wake_ns = now_ns + CADRE_LOOK_AGAIN_NS;
		int r;

		if (until_ns < wake_ns)
			wake_ns = until_ns;
		lie_down(client, index, generation);
		/* Behind WAITING: who starts the clock of its token rings, or is seen. */
		end_if_late(client, index, generation, now_ns, &wake_ns);
		r = look(client, index, generation, true, ret_item);
		if (r == -EAGAIN && now_ns < until_ns && !is_paused(client, index)) {
			cadre_client_look_after_pool(client, now_ns);
			atomic_fetch_add_explicit(&client->lines->counters.sleeps, 1,
						  memory_order_relaxed);
			cadre_bell_sleep(client->bell, rings,
					 cadre_view_bell_bit(client->slot_base + index),
					 wake_ns - now_ns);
		}
		cadre_reader_say_awake(reader);
		if (r != -EAGAIN)
			return r;
		if (is_paused(client, index))
			return -EAGAIN;
		if (now_ns >= until_ns)
			return -ETIMEDOUT;
	}
}

int cadre_stream_next(struct cadre_client *client, struct cadre_ticket ticket,
		      int64_t until_ns, struct cadre_item *ret_item)
{
	const uint64_t generation = cadre_ticket_generation(ticket);
	uint32_t index;
	int r = find_own(client, ticket, &index);

	if (r == 0)
		r = spin(client, index, generation, until_ns, ret_item);
	return r == -EAGAIN ?
		       sleep_until_item(client, index, generation, until_ns, ret_item) :
		       r;
}

/* ---- pause, leave ---- */

/* Paused or not is said under the lock: the ring is its job's as long as that is out. */
static int turn(struct cadre_client *client, struct cadre_ticket ticket, bool pause)
{
	struct cadre_consumer *consumer;
	bool must_ring = false, has_callback;
	uint32_t index;
	int r;

	pthread_mutex_lock(&client->streams_lock);
	r = cadre_client_find(client, ticket, &index);
	if (r < 0 || !cadre_client_is_stream(client, index)) {
		pthread_mutex_unlock(&client->streams_lock);
		return r < 0 ? r : -ENOSTR;
	}
	consumer = consumer_of(client, index);
	has_callback = consumer->item;
	if (!pause && consumer->pauses == 0) {
		r = -EINVAL;
	} else {
		consumer->pauses += pause ? 1 : UINT32_MAX;
		if (consumer->pauses == (pause ? 1 : 0)) {
			atomic_store_explicit(&consumer->paused, pause,
					      memory_order_relaxed);
			must_ring = cadre_stream_set_paused(consumer->reader.stream,
							    pause);
		}
	}
	pthread_mutex_unlock(&client->streams_lock);
	if (must_ring)
		ring_producer(client, index);
	/* What came meanwhile waits for its callback. */
	if (r == 0 && !pause && has_callback)
		cadre_bell_ring(client->bell, CADRE_BELL_EVERYONE, INT32_MAX);
	return r;
}

int cadre_stream_pause(struct cadre_client *client, struct cadre_ticket ticket)
{
	const int r = cadre_client_enter(client);

	return r < 0 ? r : turn(client, ticket, true);
}

int cadre_stream_resume(struct cadre_client *client, struct cadre_ticket ticket)
{
	const int r = cadre_client_enter(client);

	return r < 0 ? r : turn(client, ticket, false);
}

int cadre_stream_leave(struct cadre_client *client, struct cadre_ticket ticket)
{
	const uint64_t generation = cadre_ticket_generation(ticket);
	uint32_t index;
	const int r = find_stream(client, ticket, &index);

	if (r < 0)
		return r;
	if (consumer_of(client, index)->item) {
		atomic_store_explicit(&consumer_of(client, index)->left, generation,
				      memory_order_relaxed);
		cadre_client_decide(client, index, generation, CADRE_CANCELLED);
		cadre_bell_ring(client->bell, CADRE_BELL_EVERYONE, INT32_MAX);
		return 0;
	}
	if (!cadre_client_accept(client, index, generation))
		return -EBUSY;
	cadre_client_decide(client, index, generation, CADRE_CANCELLED);
	cadre_client_let_go(client, index);
	return 0;
}

/* ---- by callback ---- */

static bool was_left(const struct cadre_consumer *consumer, uint64_t generation)
{
	return atomic_load_explicit(&consumer->left, memory_order_relaxed) == generation;
}

/* There is an item to deliver, or the end. */
static bool is_due(struct cadre_client *client, uint32_t index, uint64_t generation)
{
	struct cadre_consumer *const consumer = consumer_of(client, index);

	if (was_left(consumer, generation))
		return true;
	if (is_paused(client, index))
		return false;
	return cadre_reader_has_more(&consumer->reader) ||
	       cadre_client_has_ended(client, index, generation, true);
}

/* Of another generation, the job has been taken meanwhile. */
static bool try_keep(struct cadre_consumer *consumer, uint64_t generation)
{
	uint64_t kept = pack_kept(generation, CADRE_KEEPING_NOBODY);

	/* Twice, because it may be let go in between. */
	for (unsigned round = 0; round < 4; round++) {
		if (kept == pack_kept(generation, CADRE_KEEPING_NOBODY)) {
			/* V12: acquire, pairs with V11: the reader is as the last one left it. */
			if (atomic_compare_exchange_strong_explicit(
				    &consumer->kept, &kept,
				    pack_kept(generation, CADRE_KEEPING_ONE),
				    memory_order_acquire, memory_order_acquire))
				return true;
		} else if (kept != pack_kept(generation, CADRE_KEEPING_ONE) ||
			   /* V15: release, pairs with V16: who has it sees why we came. */
			   atomic_compare_exchange_strong_explicit(
				   &consumer->kept, &kept,
				   pack_kept(generation, CADRE_KEEPING_MISSED),
				   memory_order_acq_rel, memory_order_acquire)) {
			return false;
		}
	}
	return false;
}

/* False when somebody came in vain meanwhile. */
static bool try_let_go(struct cadre_consumer *consumer, uint64_t generation)
{
	uint64_t kept = pack_kept(generation, CADRE_KEEPING_ONE);

	/* V11: release, pairs with V12. When it fails V16: acquire, pairs with V15. */
	if (atomic_compare_exchange_strong_explicit(
		    &consumer->kept, &kept, pack_kept(generation, CADRE_KEEPING_NOBODY),
		    memory_order_acq_rel, memory_order_acquire))
		return true;
	atomic_store_explicit(&consumer->kept, pack_kept(generation, CADRE_KEEPING_ONE),
			      memory_order_relaxed);
	return false;
}

/* Nothing was due a moment ago. True when something is after all, and the stream is kept and
 * about to be queued; false when it is let go. */
static bool settle(struct cadre_client *client, uint32_t index, uint64_t generation,
		   bool wait)
{
	struct cadre_consumer *const consumer = consumer_of(client, index);
	bool due = is_due(client, index, generation);

	for (unsigned round = 0; !due && round < LET_GO_ROUNDS; round++) {
		if (wait) {
			lie_down(client, index, generation);
			due = is_due(client, index, generation);
		}
		if (!due && try_let_go(consumer, generation))
			return false;
		/* Whoever came in vain may sleep by now. */
		wait = true;
	}
	/* V11 as well: whoever takes it out of the queue goes on with the reader. */
	atomic_fetch_or_explicit(&consumer->kept, 0, memory_order_release);
	return true;
}

bool cadre_client_keep_stream(struct cadre_client *client, uint32_t index,
			      uint64_t generation, bool wait)
{
	return try_keep(consumer_of(client, index), generation) &&
	       settle(client, index, generation, wait);
}

/* Calls back for what is there. 1: there may be more; else as `look`. */
static int call_back(struct cadre_client *client, uint32_t index, uint64_t generation,
		     size_t most, size_t *called)
{
	struct cadre_consumer *const consumer = consumer_of(client, index);
	void *const context = client->pending[index].context;
	struct cadre_item item;
	int r = 1;

	while (r == 1 && *called < most) {
		const bool left = was_left(consumer, generation);

		if (!left && is_paused(client, index))
			return -EAGAIN;
		/* Who left waits for nothing but the end, which it has decided. */
		r = left ? 0 : look(client, index, generation, true, &item);
		if (r == 1) {
			consumer->item(&item, context);
			++*called;
		}
	}
	return r;
}

enum cadre_delivery cadre_client_deliver(struct cadre_client *client, uint32_t index,
					 size_t most, size_t *ret_called)
{
	struct cadre_consumer *const consumer = consumer_of(client, index);
	/* V12, as above. */
	const uint64_t generation = atomic_load_explicit(&consumer->kept,
							 memory_order_acquire) >>
				    KEEPING_BITS;
	const bool notified = atomic_load_explicit(&client->notifier_runs,
						   memory_order_relaxed);
	int r;

	*ret_called = 0;
	r = call_back(client, index, generation,
		      most < IN_A_ROW_MAX ? most : IN_A_ROW_MAX, ret_called);
	/* Nobody else takes a job with callbacks that is kept, but for a moment its submitter,
	 * when the pool is stopped. */
	if ((r == 0 || r == -EBADMSG) && cadre_client_accept(client, index, generation))
		return CADRE_DELIVERY_ENDED;
	cadre_reader_give_back(&consumer->reader);
	ring_if_wished(client, index, &consumer->reader);
	return settle(client, index, generation, notified) ? CADRE_DELIVERY_AGAIN :
							     CADRE_DELIVERY_LATER;
}
