/*
 * proc_over_request.c - claims about replies that are made out of the request, in its own memory
 * (cadre_job_reply_over_request): where they lie, what is copied, and what a worker that dies half
 * way through leaves behind.
 */
#include "claims.h"

#include <pthread.h>
#include <signal.h>

TestSuite(over_request, TROUPE);

enum {
	TURN = 1, /* flips each byte of the request in its room, and says where that was */
	TURN_LATER,   /* the same by another thread, after the handler has returned */
	TURN_AND_DIE, /* dies with half of the bytes flipped, the first time */
	SHORTEN,      /* replies with the first byte alone */
	STRETCH,      /* grows the room to three times the request, twice */
	CHANGE_MIND,  /* flips, then replies with the room's first ten bytes by a copy */
	FAIL,         /* flips, then fails */
	ERRORS,       /* replies with what calls return that cannot be granted */
};

enum { LONG = 5000, PAYLOAD_MAX = 20000 };

/* Shared with the workers. */
struct seen {
	_Atomic bool in_place; /* the last room was the request's own memory */
	_Atomic uint32_t attempts;
	_Atomic uint32_t damaged; /* requests that an attempt did not find as they were sent */
};

static struct seen *seen;

static void flip(unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] ^= 0xff;
}

/* A room of so many bytes, in which the request stands. */
static unsigned char *room_of(struct cadre_job *job, size_t size)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);
	void *room;

	if (!troupe_holds(data, length, 1))
		atomic_fetch_add(&seen->damaged, 1);
	if (cadre_job_reply_over_request(job, size, &room) < 0)
		return NULL;
	if (memcmp(room, data, length < size ? length : size) != 0)
		atomic_fetch_add(&seen->damaged, 1);
	atomic_store(&seen->in_place, room == data);
	return room;
}

static size_t length_of(const struct cadre_job *job)
{
	size_t length;

	cadre_job_data(job, &length);
	return length;
}

/* A room of the request's length, in which each of its bytes is flipped. */
static unsigned char *flipped_room_of(struct cadre_job *job)
{
	const size_t length = length_of(job);
	unsigned char *const room = room_of(job, length);

	if (room)
		flip(room, length);
	return room;
}

static void turn(struct cadre_job *job, void *state)
{
	(void)state;
	if (flipped_room_of(job))
		cadre_job_reply_commit(job, length_of(job));
}

static void *turn_now(void *job)
{
	child_pause_ms(2);
	turn(job, NULL);
	return NULL;
}

static void turn_later(struct cadre_job *job, void *state)
{
	pthread_t thread;

	(void)state;
	cadre_job_defer(job);
	if (pthread_create(&thread, NULL, turn_now, job) == 0)
		pthread_detach(thread);
}

static void turn_and_die(struct cadre_job *job, void *state)
{
	const size_t length = length_of(job);
	unsigned char *const room = room_of(job, length);

	(void)state;
	if (!room)
		return;
	flip(room, length / 2);
	if (atomic_fetch_add(&seen->attempts, 1) == 0) {
		kill(getpid(), SIGKILL);
		pause();
	}
	flip(room + length / 2, length - length / 2);
	cadre_job_reply_commit(job, length);
}

static void shorten(struct cadre_job *job, void *state)
{
	(void)state;
	if (room_of(job, length_of(job)))
		cadre_job_reply_commit(job, 1);
}

static void stretch(struct cadre_job *job, void *state)
{
	const size_t length = length_of(job);
	void *room = flipped_room_of(job);

	(void)state;
	if (!room)
		return;
	for (size_t times = 2; times <= 3; times++) {
		if (cadre_job_reply_room(job, times * length, &room) < 0)
			return;
		memcpy((char *)room + (times - 1) * length, room, length);
	}
	/* Still its own block, with what was written there. */
	if (memcmp(cadre_job_data(job, &(size_t){ 0 }), room, length) != 0)
		atomic_fetch_add(&seen->damaged, 1);
	cadre_job_reply_commit(job, 3 * length);
}

static void change_mind(struct cadre_job *job, void *state)
{
	const unsigned char *const room = flipped_room_of(job);

	(void)state;
	if (room)
		cadre_job_reply(job, room, 10);
}

static void turn_and_fail(struct cadre_job *job, void *state)
{
	(void)state;
	flipped_room_of(job);
	cadre_job_fail(job, 3, "turned and dropped");
}

struct errors {
	int32_t too_long, too_much;
};

static void err(struct cadre_job *job, void *state)
{
	const size_t length = length_of(job);
	struct errors errors;
	void *room;

	(void)state;
	errors.too_long = cadre_job_reply_over_request(job, PAYLOAD_MAX + 1, &room);
	room = room_of(job, length);
	/* Once more, as it is. */
	if (room_of(job, length) != room)
		atomic_fetch_add(&seen->damaged, 1);
	errors.too_much = cadre_job_reply_commit(job, length + 1);
	cadre_job_reply(job, &errors, sizeof(errors));
	/* The struct is the worker's next job's by the time others look; this thread's still. */
	if (cadre_job_reply_over_request(job, length, &room) != -EALREADY)
		atomic_fetch_add(&seen->damaged, 1);
}

static const struct cadre_operation operations[] = {
	{ TURN, "turn", turn },
	{ TURN_LATER, "turn-later", turn_later },
	{ TURN_AND_DIE, "turn-and-die", turn_and_die },
	{ SHORTEN, "shorten", shorten },
	{ STRETCH, "stretch", stretch },
	{ CHANGE_MIND, "change-mind", change_mind },
	{ FAIL, "fail", turn_and_fail },
	{ ERRORS, "errors", err },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "over-request",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
};

static void open_with(struct cadre_pool_options options)
{
	seen = child_share(sizeof(*seen));
	options.payload_max = PAYLOAD_MAX;
	start_service(&service, options);
}

#define OPEN(...) open_with((struct cadre_pool_options){ ONE_WORKER, __VA_ARGS__ })

static struct cadre_ticket send(int32_t operation, size_t length, unsigned flags)
{
	unsigned char bytes[LONG];

	cr_assert_leq(length, sizeof(bytes));
	troupe_fill(bytes, length, 1);
	return submit((struct cadre_request){
		.operation = operation, .data = bytes, .length = length, .flags = flags });
}

static void expect_flipped(const struct cadre_result *result, size_t length)
{
	unsigned char bytes[LONG];

	cr_assert_eq(result->outcome, CADRE_OK, "%s", result->sentence);
	cr_assert_eq(result->length, length);
	memcpy(bytes, result->data, length);
	flip(bytes, length);
	cr_assert(troupe_holds(bytes, length, 1));
	cr_assert_eq(atomic_load(&seen->damaged), 0);
}

static void expect_turned(int32_t operation, size_t length, unsigned flags)
{
	const struct cadre_result result = await(send(operation, length, flags));

	expect_flipped(&result, length);
	release(&result);
}

static bool no_block_is_used(void)
{
	return troupe_look(troupe.scene.pool).block_bytes_used == 0;
}

/* ---- where it lies ---- */

Test(over_request, a_reply_lies_in_the_block_of_its_request_and_nothing_else_is_taken)
{
	uint64_t used;

	OPEN();
	const struct cadre_result result = await(send(TURN, LONG, 0));

	expect_flipped(&result, LONG);
	cr_assert(atomic_load(&seen->in_place));
	used = troupe_look(troupe.scene.pool).block_bytes_used;
	release(&result);
	cr_assert_gt(used, 0);
	cr_assert_lt(used, 2 * LONG, "%llu bytes: one block", (unsigned long long)used);
	cr_assert(no_block_is_used());
}

Test(over_request, a_draft_is_written_changed_and_read_in_one_place)
{
	struct cadre_draft draft;
	struct cadre_ticket ticket;
	struct cadre_result result;
	const struct cadre_request request = { .operation = TURN, .length = LONG };

	OPEN();
	cr_assert_eq(cadre_try_draft(troupe.client, LONG, &draft), 0);
	const void *const written = draft.data;

	troupe_fill(draft.data, LONG, 1);
	cr_assert_eq(cadre_draft_submit(troupe.client, &draft, &request, &ticket), 0);
	result = await(ticket);
	expect_flipped(&result, LONG);
	cr_assert_eq(result.data, written);
	release(&result);
}

Test(over_request, of_any_length_comes_back)
{
	static const size_t lengths[] = { 0, 1, 87, 88, 89, 90, 1023, 1024, 1025, LONG };

	OPEN();
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		expect_turned(TURN, lengths[i], 0);
		cr_assert_eq(atomic_load(&seen->in_place), lengths[i] > 88, "%zu bytes",
			     lengths[i]);
	}
	cr_assert(no_block_is_used());
}

Test(over_request, by_another_thread_is_the_same)
{
	OPEN();
	expect_turned(TURN_LATER, LONG, 0);
	cr_assert(atomic_load(&seen->in_place));
}

Test(over_request, a_short_reply_out_of_a_long_request_lies_in_its_slot)
{
	OPEN();
	const struct cadre_result result = await(send(SHORTEN, LONG, 0));

	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	cr_assert_eq(result.length, 1);
	release(&result);
	cr_assert(no_block_is_used());
}

Test(over_request, a_room_that_outgrows_the_request_moves_with_what_was_written)
{
	unsigned char bytes[LONG];

	OPEN();
	const struct cadre_result result = await(send(STRETCH, LONG, 0));

	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	cr_assert_eq(result.length, 3 * LONG);
	for (size_t third = 0; third < 3; third++) {
		memcpy(bytes, (const char *)result.data + third * LONG, LONG);
		flip(bytes, LONG);
		cr_assert(troupe_holds(bytes, LONG, 1), "third %zu", third);
	}
	cr_assert_eq(atomic_load(&seen->damaged), 0);
	release(&result);
	cr_assert(no_block_is_used());
}

Test(over_request, who_replies_otherwise_after_all_may_read_the_room_while_he_does)
{
	unsigned char bytes[10];

	OPEN();
	const struct cadre_result result = await(send(CHANGE_MIND, LONG, 0));

	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	cr_assert_eq(result.length, sizeof(bytes));
	memcpy(bytes, result.data, sizeof(bytes));
	flip(bytes, sizeof(bytes));
	cr_assert(troupe_holds(bytes, sizeof(bytes), 1));
	release(&result);
	expect(send(FAIL, LONG, 0), CADRE_FAILED);
	cr_assert(no_block_is_used());
	expect_turned(TURN, LONG, 0);
}

Test(over_request, what_cannot_be_granted_is_refused_and_costs_nothing)
{
	struct errors errors;

	OPEN();
	const struct cadre_result result = await(send(ERRORS, LONG, 0));

	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	memcpy(&errors, result.data, sizeof(errors));
	cr_assert_eq(errors.too_long, -EMSGSIZE);
	cr_assert_eq(errors.too_much, -EINVAL);
	release(&result);
	expect(send(SHORTEN, 1, 0), CADRE_OK);
	cr_assert_eq(atomic_load(&seen->damaged), 0);
	cr_assert(no_block_is_used());
}

/* ---- deaths ---- */

Test(over_request,
     of_a_job_that_may_be_tried_again_is_a_copy_so_that_the_next_attempt_finds_it_whole)
{
	OPEN();
	expect_turned(TURN, LONG, CADRE_IDEMPOTENT);
	cr_assert_not(atomic_load(&seen->in_place));
	expect_turned(TURN_AND_DIE, LONG, CADRE_IDEMPOTENT);
	cr_assert_eq(atomic_load(&seen->attempts), 2);
	cr_assert(no_block_is_used());
}

Test(over_request, of_a_worker_that_dies_half_way_is_lost_with_its_block_and_never_read)
{
	OPEN();
	expect(send(TURN_AND_DIE, LONG, 0), CADRE_LOST);
	cr_assert_eq(atomic_load(&seen->attempts), 1);
	cr_assert(no_block_is_used());
	expect_turned(TURN, LONG, 0);
}
