/*
 * race_slot.c - the steps of slot.c and block.c under ThreadSanitizer.
 *
 * A client, two workers and a supervisor are threads over one memory. The client keeps
 * every slot of its window in use; the supervisor cancels whatever it meets; now and then
 * a worker pretends to be dead in the middle of a job, and the supervisor requeues or
 * buries it. Request and reply are plain memory, so an order that is missing in slot.c is
 * a data race here; the sanitizer is the judge of that, this file of the rest: each reply
 * is that of its own request, each accepted job ends once, and the books balance.
 *
 * Exit status 0, or 1 with a sentence.
 */
#include "bell.h"
#include "block.h"
#include "clock.h"
#include "slot.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS 100000u
#define SLOTS 16u
#define WORKERS 2u
#define PAYLOAD_MAX 2000u
#define LONG_EVERY 5u    /* every fifth job travels in a block */
#define DEATH_EVERY 101u /* claims between two deaths of a worker */
#define BLOCKS 128u

static struct cadre_slot slots[SLOTS];
static struct cadre_books books[SLOTS];
static struct cadre_bell bell;

static struct cadre_block_plan plan;
static struct cadre_block_owner owners[BLOCKS];
static unsigned char arena[BLOCKS * 1024];

/* What a worker left that pretends to be dead: 0, or the word that it had claimed, and
 * where. The supervisor takes it and sets it to 0 when it has reaped. */
static struct grave {
	_Atomic uint64_t claimed;
	unsigned slot;
} graves[WORKERS];

static atomic_bool over;
static atomic_uint cancelled, buried;

static void fail(const char *sentence)
{
	printf("race_slot: %s\n", sentence);
	fflush(stdout);
	_Exit(1);
}

static void expect(bool condition, const char *sentence)
{
	if (!condition)
		fail(sentence);
}

static struct cadre_block_pool blocks_of_one_process(void)
{
	return (struct cadre_block_pool){ .plan = &plan,
					  .owners = owners,
					  .arena = arena,
					  .books = books,
					  .slot_count = SLOTS };
}

/* ---- what is written and expected ---- */

static uint32_t length_of(uint64_t job)
{
	return job % LONG_EVERY == 0 ? (uint32_t)(200 + job % (PAYLOAD_MAX - 200)) :
				       (uint32_t)(8 + job % 64);
}

static void write_request(uint8_t *bytes, uint64_t job)
{
	memset(bytes, (int)(job & 255), length_of(job));
	memcpy(bytes, &job, sizeof(job));
}

/* The reply to a request is its bytes, each increased by one. */
static void answer(const uint8_t *request, uint8_t *reply, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		reply[i] = (uint8_t)(request[i] + 1);
}

static void check_reply(const uint8_t *reply, uint32_t length, uint64_t job)
{
	uint8_t expected[PAYLOAD_MAX], request[PAYLOAD_MAX];

	expect(length == length_of(job), "the reply has another length than the request");
	write_request(request, job);
	answer(request, expected, length);
	expect(memcmp(reply, expected, length) == 0,
	       "the reply is that of another request");
}

/* ---- the client ---- */

struct client {
	struct cadre_block_pool blocks;
	uint64_t job[SLOTS];
	uint32_t request_block[SLOTS];
	unsigned ended[CADRE_OUTCOME_COUNT];
};

/* S1 to S3. False when there is no block. */
static bool submit(struct client *client, unsigned index, uint64_t job)
{
	struct cadre_slot *const slot = &slots[index];
	const uint32_t length = length_of(job);
	uint8_t *bytes = slot->request.payload;

	client->job[index] = job;
	client->request_block[index] = CADRE_NO_BLOCK;
	if (length > CADRE_INLINE_MAX) {
		const uint64_t filling = cadre_slot_fill(slot);
		const uint64_t generation = cadre_word_generation(filling);
		uint64_t size;

		expect(filling != 0, "a slot of the client's own was not vacant");
		slot->request.block = cadre_block_take(&client->blocks, length, index,
						       generation);
		if (slot->request.block == CADRE_NO_BLOCK) {
			cadre_slot_unfill(slot, &books[index]);
			client->ended[CADRE_WITHDRAWN]++;
			return false;
		}
		client->request_block[index] = slot->request.block;
		bytes = cadre_block_bytes(&client->blocks, slot->request.block, index,
					  generation, &size);
	}
	slot->request.length = length;
	write_request(bytes, job);
	cadre_slot_publish(slot, job % 2 ? CADRE_FLAG_IDEMPOTENT : 0, CADRE_OWNER_NONE);
	return true;
}

/* Until the job has ended; every other time asleep. */
static uint64_t await_end(unsigned index, uint64_t job)
{
	struct cadre_slot *const slot = &slots[index];

	for (;;) {
		const uint32_t remembered = cadre_bell_remember(&bell);
		const uint64_t word =
			job % 2 ? cadre_slot_look(slot) :
				  cadre_slot_await(slot, cadre_word_generation(
								 cadre_slot_peek(slot)));

		if (cadre_word_phase(word) == CADRE_DONE)
			return word;
		if (job % 2)
			sched_yield();
		else
			cadre_bell_sleep(&bell, remembered, 1, 10 * CADRE_NS_PER_MS);
	}
}

/* C1. */
static void take(struct client *client, unsigned index)
{
	struct cadre_slot *const slot = &slots[index];
	const uint64_t job = client->job[index];
	const uint64_t word = await_end(index, job);
	const uint64_t generation = cadre_word_generation(word);
	const enum cadre_outcome outcome = cadre_word_unpack(word).outcome;

	if (outcome == CADRE_OK) {
		const uint8_t *reply = slot->reply.payload;
		uint64_t size;

		if (slot->reply.length > CADRE_INLINE_MAX)
			reply = cadre_block_bytes(&client->blocks, slot->reply.block,
						  index, generation, &size);
		expect(reply != NULL, "the reply's block belongs to another job");
		check_reply(reply, slot->reply.length, job);
	}
	/* Not always: what was not given back is free when the slot is vacant. */
	if (job % 3) {
		cadre_block_give(&client->blocks, client->request_block[index], index,
				 generation);
		cadre_block_give(&client->blocks, slot->reply.block, index, generation);
	}
	client->ended[outcome]++;
	cadre_slot_vacate(&books[index], outcome);
}

static void *run_client(void *context)
{
	struct client *const client = context;
	bool in_use[SLOTS] = { false };
	uint64_t job = 0;

	while (job < JOBS) {
		for (unsigned index = 0; index < SLOTS; index++) {
			if (in_use[index])
				take(client, index);
			in_use[index] = job < JOBS && submit(client, index, job);
			job += in_use[index];
		}
	}
	for (unsigned index = 0; index < SLOTS; index++) {
		if (in_use[index])
			take(client, index);
	}
	atomic_store(&over, true);
	return NULL;
}

/* ---- a worker ---- */

static void ring_if_awaited(uint64_t replaced)
{
	if (cadre_word_flags(replaced) & CADRE_FLAG_WAITING)
		cadre_bell_ring(&bell, 1, INT32_MAX);
}

/* W4 and W5. Failed when there is no block for the reply. */
static enum cadre_outcome reply_to(struct cadre_block_pool *blocks, unsigned index,
				   uint64_t claimed)
{
	struct cadre_slot *const slot = &slots[index];
	const uint64_t generation = cadre_word_generation(claimed);
	const uint32_t length = slot->request.length;
	const uint8_t *request = slot->request.payload;
	uint8_t *reply = slot->reply.payload;
	uint64_t size;

	slot->reply.block = CADRE_NO_BLOCK;
	if (length > CADRE_INLINE_MAX) {
		request = cadre_block_bytes(blocks, slot->request.block, index,
					    generation, &size);
		expect(request != NULL, "the request's block belongs to another job");
		slot->reply.block = cadre_block_take(blocks, length, index, generation);
		if (slot->reply.block == CADRE_NO_BLOCK)
			return CADRE_FAILED;
		reply = cadre_block_bytes(blocks, slot->reply.block, index, generation,
					  &size);
		expect(reply != NULL,
		       "a block that was just taken belongs to another job");
	}
	answer(request, reply, length);
	slot->reply.length = length;
	return CADRE_OK;
}

/* Until it was reaped. */
static void die(unsigned worker, unsigned index, uint64_t claimed)
{
	graves[worker].slot = index;
	atomic_store_explicit(&graves[worker].claimed, claimed, memory_order_release);
	while (atomic_load_explicit(&graves[worker].claimed, memory_order_acquire))
		sched_yield();
}

/* W1 to W6. Every other death comes before the reply, every other one behind it. */
static void run_job(struct cadre_block_pool *blocks, unsigned worker, unsigned index,
		    uint64_t seen)
{
	static _Thread_local unsigned claims;
	enum cadre_outcome outcome;
	uint64_t claimed, replaced;

	if (!cadre_slot_claim(&slots[index], seen, worker + 1, &claimed))
		return;
	outcome = ++claims % (2 * DEATH_EVERY) ? reply_to(blocks, index, claimed) :
						 CADRE_OK;
	if (claims % DEATH_EVERY == 0) {
		die(worker, index, claimed);
		return;
	}
	replaced = cadre_slot_finish(&slots[index], claimed, outcome);
	expect(replaced != 0, "a job was taken from the worker that runs it");
	ring_if_awaited(replaced);
}

static void *run_worker(void *number)
{
	struct cadre_block_pool blocks = blocks_of_one_process();

	while (!atomic_load(&over)) {
		for (unsigned index = 0; index < SLOTS; index++) {
			const uint64_t seen = cadre_slot_peek(&slots[index]);

			if (cadre_word_phase(seen) == CADRE_QUEUED)
				run_job(&blocks, *(const unsigned *)number, index, seen);
		}
		sched_yield();
	}
	return NULL;
}

/* ---- the supervisor ---- */

static void reap(struct grave *grave)
{
	const uint64_t claimed = atomic_load_explicit(&grave->claimed,
						      memory_order_acquire);
	struct cadre_slot *slot;

	if (claimed == 0)
		return;
	slot = &slots[grave->slot];

	/* Again while somebody marks the word meanwhile. */
	for (;;) {
		const uint64_t seen = cadre_slot_look(slot);
		const struct cadre_word word = cadre_word_unpack(seen);

		expect(word.phase == CADRE_RUNNING &&
			       word.generation == cadre_word_generation(claimed),
		       "a dead worker's job was taken by another");
		if (word.flags & CADRE_FLAG_IDEMPOTENT &&
		    !(word.flags & CADRE_FLAG_DECIDED) && cadre_slot_requeue(slot, seen))
			break;
		if (word.flags & CADRE_FLAG_IDEMPOTENT &&
		    !(word.flags & CADRE_FLAG_DECIDED))
			continue;
		slot->reply.length = 0;
		slot->reply.block = CADRE_NO_BLOCK;
		if (cadre_slot_bury(slot, seen, CADRE_LOST)) {
			if (!(word.flags & CADRE_FLAG_DECIDED))
				atomic_fetch_add(&buried, 1);
			ring_if_awaited(seen);
			break;
		}
	}
	atomic_store_explicit(&grave->claimed, 0, memory_order_release);
}

static void *run_supervisor(void *unused)
{
	uint64_t replaced;
	unsigned index = 0;

	(void)unused;
	while (!atomic_load(&over)) {
		const uint64_t word = cadre_slot_peek(&slots[index]);

		for (unsigned worker = 0; worker < WORKERS; worker++)
			reap(&graves[worker]);
		if (cadre_slot_decide(&slots[index], cadre_word_generation(word),
				      CADRE_CANCELLED, &replaced)) {
			atomic_fetch_add(&cancelled, 1);
			ring_if_awaited(replaced);
		}
		index = (index + 7) % SLOTS;
		sched_yield();
	}
	return NULL;
}

/* ---- the judgement ---- */

static void check_books(const struct client *client)
{
	struct cadre_block_pool blocks = blocks_of_one_process();
	uint64_t sums[CADRE_OUTCOME_COUNT] = { 0 };
	uint32_t used[CADRE_BLOCK_CLASSES];

	for (unsigned index = 0; index < SLOTS; index++) {
		const uint64_t word = cadre_slot_look(&slots[index]);

		expect(cadre_slot_is_vacant(word, &books[index]),
		       "a slot is not vacant at the end");
		expect(cadre_books_balance(word, cadre_books_sum(&books[index])),
		       "the books of a slot do not balance");
		for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
			sums[outcome] += atomic_load(&books[index].ended[outcome]);
	}
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
		expect(sums[outcome] == client->ended[outcome],
		       "the books hold another outcome than the client saw");
	expect(sums[CADRE_OK] + sums[CADRE_FAILED] + sums[CADRE_CANCELLED] +
			       sums[CADRE_LOST] ==
		       JOBS,
	       "an accepted job did not end, or ended twice");
	expect(sums[CADRE_CANCELLED] == cancelled, "a cancelled job ended otherwise");
	expect(sums[CADRE_LOST] == buried, "a lost job ended otherwise");

	cadre_block_count_used(&blocks, used);
	for (unsigned i = 0; i < CADRE_BLOCK_CLASSES; i++)
		expect(used[i] == 0, "a block is still in use");

	/* A corner that was not reached proves nothing. */
	expect(sums[CADRE_OK] > 0 && sums[CADRE_CANCELLED] > 0 && sums[CADRE_LOST] > 0,
	       "no job ended well, or none was cancelled, or none was lost");
	printf("%llu ok, %llu failed, %llu cancelled, %llu lost, %llu withdrawn\n",
	       (unsigned long long)sums[CADRE_OK], (unsigned long long)sums[CADRE_FAILED],
	       (unsigned long long)sums[CADRE_CANCELLED],
	       (unsigned long long)sums[CADRE_LOST],
	       (unsigned long long)sums[CADRE_WITHDRAWN]);
}

static pthread_t start(void *(*body)(void *), void *context)
{
	pthread_t thread;

	expect(pthread_create(&thread, NULL, body, context) == 0, "cannot start a thread");
	return thread;
}

int main(void)
{
	static unsigned numbers[WORKERS] = { 0, 1 };
	static struct client client;
	pthread_t threads[2 + WORKERS];

	/* Fewer blocks than the window would need, so that taking fails now and then. */
	plan = cadre_block_plan(PAYLOAD_MAX, 16 * 1024);
	expect(plan.total <= BLOCKS && plan.bytes <= sizeof(arena),
	       "the arena is too small");
	client.blocks = blocks_of_one_process();

	threads[0] = start(run_client, &client);
	threads[1] = start(run_supervisor, NULL);
	for (unsigned worker = 0; worker < WORKERS; worker++)
		threads[2 + worker] = start(run_worker, &numbers[worker]);
	for (unsigned i = 0; i < 2 + WORKERS; i++)
		pthread_join(threads[i], NULL);

	check_books(&client);
	return 0;
}
