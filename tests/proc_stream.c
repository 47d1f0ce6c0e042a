/*
 * proc_stream.c - claims about streams of a real pool: order, end, errors among the items,
 * flow control, pauses, leaving, and what a death leaves.
 *
 * The service emits what it is asked for, and tells on a board in shared memory what its
 * calls returned.
 */
#include "claims.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum operation {
	COUNT = 1, /* struct order: emits the numbers 1 .. count; replies with count */
	PLACE,     /* the same, written in place in more room than each needs */
	MIXED,     /* the same, every third an error with its number as code */
	FAIL,      /* the same, then fails with code 9 */
	DIE,       /* the same, then begins another item and dies, on the first attempt */
	TURNS,     /* the same without ever waiting: many in turn on one thread */
	WAIT,      /* emits nothing; ends when it is cancelled */
	STEPS,     /* struct order: emits number n when the gate is at n */
	MISUSE,    /* tells what wrong calls return */
	ECHO,      /* knows nothing of streams */
	GIVE_UP,   /* fills its ring, asks to be called back, and fails with code 3 */
};

struct order {
	uint32_t count;
	uint32_t length; /* of each item, at least 4 */
};

static struct board {
	_Atomic uint32_t gate;
	_Atomic uint32_t begun;   /* handlers */
	_Atomic uint32_t emitted; /* items, by all */
	_Atomic uint32_t ended;   /* handlers that came to their end */
	_Atomic int32_t told;     /* what the last emit that failed returned */
	_Atomic int32_t misuse[12];
} * board;

/* ---- the service ---- */

static struct order order_of(const struct cadre_job *job)
{
	struct order order = { 0 };
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	memcpy(&order, data, length < sizeof(order) ? length : sizeof(order));
	return order;
}

static void fill(unsigned char *bytes, uint32_t number, uint32_t length)
{
	memcpy(bytes, &number, sizeof(number));
	troupe_fill(bytes + sizeof(number), length - sizeof(number), number);
}

static bool holds(const struct cadre_item *item, uint32_t number, uint32_t length)
{
	uint32_t found;

	if (item->length != length)
		return false;
	memcpy(&found, item->data, sizeof(found));
	return found == number &&
	       troupe_holds((const unsigned char *)item->data + sizeof(found),
			    length - sizeof(found), number);
}

static int emit_copy(struct cadre_job *job, uint32_t number, uint32_t length)
{
	unsigned char *const bytes = malloc(length);
	int r;

	fill(bytes, number, length);
	r = cadre_job_emit(job, bytes, length);
	free(bytes);
	return r;
}

static int emit_in_place(struct cadre_job *job, uint32_t number, uint32_t length)
{
	void *room;
	int r = cadre_job_emit_room(job, length + 17, &room);

	if (r < 0)
		return r;
	fill(room, number, length);
	return cadre_job_emit_commit(job, length);
}

static int emit_mixed(struct cadre_job *job, uint32_t number, uint32_t length)
{
	if (number % 3 != 0)
		return emit_copy(job, number, length);
	return cadre_job_emit_error(job, (int32_t)number, "%u is a multiple of 3", number);
}

/* True when all of it went out. */
static bool emit_all(struct cadre_job *job,
		     int (*emit)(struct cadre_job *, uint32_t, uint32_t))
{
	const struct order order = order_of(job);

	atomic_fetch_add(&board->begun, 1);
	for (uint32_t number = 1; number <= order.count; number++) {
		const int r = emit(job, number, order.length);

		if (r < 0) {
			atomic_store(&board->told, r);
			return false;
		}
		atomic_fetch_add(&board->emitted, 1);
	}
	return true;
}

static void end(struct cadre_job *job, bool all)
{
	const struct order order = order_of(job);

	if (all)
		cadre_job_reply(job, &order.count, sizeof(order.count));
	else
		cadre_job_fail(job, 1, "not all of it was emitted");
	atomic_fetch_add(&board->ended, 1);
}

static void count(struct cadre_job *job, void *state)
{
	(void)state;
	end(job, emit_all(job, emit_copy));
}

static void place(struct cadre_job *job, void *state)
{
	(void)state;
	end(job, emit_all(job, emit_in_place));
}

static void mixed(struct cadre_job *job, void *state)
{
	(void)state;
	end(job, emit_all(job, emit_mixed));
}

static void fail_at_the_end(struct cadre_job *job, void *state)
{
	(void)state;
	emit_all(job, emit_copy);
	cadre_job_fail(job, 9, "that was all that I had");
}

static void die(struct cadre_job *job, void *state)
{
	void *room;

	(void)state;
	if (cadre_job_attempt(job) > 0) {
		end(job, true);
		return;
	}
	emit_all(job, emit_copy);
	if (cadre_job_emit_room(job, 8, &room) == 0)
		memset(room, 'x', 8);
	raise(SIGKILL);
}

/* One stream among many on a thread that must not wait. */
struct turn {
	uint32_t number; /* to emit next */
	struct order order;
};

static void take_turn(struct cadre_job *job, void *context)
{
	struct turn *const turn = context;
	int r = 0;

	while (turn->number <= turn->order.count) {
		unsigned char bytes[256];

		fill(bytes, turn->number, turn->order.length);
		r = cadre_job_try_emit(job, bytes, turn->order.length);
		if (r < 0)
			break;
		turn->number++;
	}
	if (r == -EAGAIN && cadre_job_on_room(job, take_turn, turn) == 0)
		return;
	if (r < 0)
		atomic_store(&board->told, r);
	free(turn);
	end(job, r == 0);
}

static void take_turns(struct cadre_job *job, void *state)
{
	struct turn *const turn = malloc(sizeof(*turn));

	(void)state;
	atomic_fetch_add(&board->begun, 1);
	turn->number = 1;
	turn->order = order_of(job);
	cadre_job_defer(job);
	take_turn(job, turn);
}

static void wait_for_cancel(struct cadre_job *job, void *state)
{
	(void)state;
	atomic_fetch_add(&board->begun, 1);
	while (!cadre_job_cancelled(job))
		child_pause_ms(1);
	atomic_store(&board->told, cadre_job_emit(job, "", 0));
	end(job, false);
}

static int emit_at_gate(struct cadre_job *job, uint32_t number, uint32_t length)
{
	while (atomic_load(&board->gate) < number && !cadre_job_cancelled(job))
		child_pause_ms(1);
	return emit_copy(job, number, length);
}

static void steps(struct cadre_job *job, void *state)
{
	(void)state;
	end(job, emit_all(job, emit_at_gate));
}

static void never_called(struct cadre_job *job, void *context)
{
	(void)job;
	(void)context;
	abort();
}

/* The first six of a job that is no stream, or all of one that is. */
static void misuse(struct cadre_job *job, void *state)
{
	const size_t most = cadre_job_item_max(job);
	void *room;

	(void)state;
	board->misuse[0] = cadre_job_emit(job, "x", 1);
	board->misuse[1] = cadre_job_try_emit(job, "x", 1);
	board->misuse[2] = cadre_job_emit_room(job, 1, &room);
	board->misuse[3] = cadre_job_emit_error(job, 1, "x");
	board->misuse[4] = cadre_job_on_room(job, NULL, NULL);
	board->misuse[5] = cadre_job_is_stream(job);
	board->misuse[6] = cadre_job_emit(job, "x", most + 1);
	board->misuse[7] = cadre_job_emit_commit(job, 0);
	if (cadre_job_try_emit_room(job, 4, &room) == 0)
		board->misuse[8] = cadre_job_emit_commit(job, 5);
	cadre_job_reply(job, "", 0);
	board->misuse[9] = cadre_job_emit(job, "x", 1);
	board->misuse[10] = cadre_job_emit_error(job, 1, "x");
	board->misuse[11] = cadre_job_on_room(job, never_called, NULL);
	atomic_fetch_add(&board->ended, 1);
}

static void echo(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	cadre_job_reply(job, data, length);
}

static void give_up(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_defer(job);
	while (cadre_job_try_emit(job, "12345678", 8) == 0)
		atomic_fetch_add(&board->emitted, 1);
	atomic_store(&board->told, cadre_job_on_room(job, never_called, NULL));
	cadre_job_fail(job, 3, "it takes too long");
}

static const struct cadre_operation operations[] = {
	{ COUNT, "count", count },
	{ PLACE, "place", place },
	{ MIXED, "mixed", mixed },
	{ FAIL, "fail", fail_at_the_end },
	{ DIE, "die", die },
	{ TURNS, "turns", take_turns },
	{ WAIT, "wait", wait_for_cancel },
	{ STEPS, "steps", steps },
	{ MISUSE, "misuse", misuse },
	{ ECHO, "echo", echo },
	{ GIVE_UP, "give-up", give_up },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "streams",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
};

/* ---- short forms ---- */

static void enter(void)
{
	troupe_enter();
	board = child_share(sizeof(*board));
}

TestSuite(stream, .init = enter, .fini = troupe_leave, .timeout = 60);

static void open_pool(unsigned flags, struct cadre_pool_options options)
{
	struct cadre_service variant = service;
	int r;

	variant.flags = flags;
	r = troupe_start(&troupe, &variant, options);
	cr_assert_eq(r, 0, "%d: %s", r, troupe.diag.text);
}

#define OPEN(...) open_pool(0, (struct cadre_pool_options){ __VA_ARGS__ })
#define CLIENT troupe.client

#define STREAM(operation_, count_, length_, ...) \
	FLAGGED(CADRE_STREAM, operation_, count_, length_, __VA_ARGS__)
#define FLAGGED(flags_, operation_, count_, length_, ...)                          \
	((struct cadre_request){ .operation = (int32_t)(operation_),               \
				 .flags = (flags_),                                \
				 .data = &(const struct order){ count_, length_ }, \
				 .length = sizeof(struct order),                   \
				 __VA_ARGS__ })

static void expect_item(struct cadre_ticket ticket, uint32_t number, uint32_t length)
{
	struct cadre_item item;
	const int r = cadre_stream_next(CLIENT, ticket, GENEROUS, &item);

	cr_assert_eq(r, 1, "item %u: %d", number, r);
	cr_assert_not(item.is_error);
	cr_assert_eq(item.code, 0);
	cr_assert_eq(item.ticket.id, ticket.id);
	cr_assert_eq((uintptr_t)item.data % 8, 0);
	cr_assert(holds(&item, number, length), "item %u of %zu bytes", number,
		  item.length);
}

static void expect_items(struct cadre_ticket ticket, uint32_t from, uint32_t to,
			 uint32_t length)
{
	for (uint32_t number = from; number <= to; number++)
		expect_item(ticket, number, length);
}

static void expect_end(struct cadre_ticket ticket, enum cadre_outcome outcome)
{
	struct cadre_item item;

	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0);
	cr_assert_eq(cadre_stream_try_next(CLIENT, ticket, &item), 0, "and again");
	expect(ticket, outcome);
}

static struct cadre_worker_snapshot look(void)
{
	return troupe_look_worker(troupe.scene.pool, 0);
}

static uint64_t counter(const char *name)
{
	const struct cadre_worker_snapshot worker = look();

	return troupe_counter(CADRE_SCOPE_WORKER, worker.worker, name);
}

static uint64_t deaths(void)
{
	const struct cadre_worker_snapshot worker = look();

	return troupe_counter(CADRE_SCOPE_PLACE, worker.about, "deaths");
}

/* The producer sleeps because its consumer does not read. */
static bool is_blocked(void)
{
	return look().letter == 'B';
}

/* ---- order and end ---- */

Test(stream, items_come_in_order_then_the_end_then_the_result)
{
	struct cadre_ticket ticket;
	struct cadre_result result;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000, 40));
	expect_items(ticket, 1, 1000, 40);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &(struct cadre_item){ 0 }),
		     0);
	result = await(ticket);
	cr_assert_eq(number_in(&result), 1000);
	cr_assert_eq(result.worker, 0);
	release(&result);
	cr_assert_eq(counter("items_emitted"), 1000);
}

Test(stream, items_written_in_place_are_as_long_as_was_committed)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(PLACE, 500, 33));
	expect_items(ticket, 1, 500, 33);
	expect_end(ticket, CADRE_OK);
}

Test(stream, errors_are_items_and_what_follows_them_is_read_as_well)
{
	struct cadre_ticket ticket;
	struct cadre_item item;
	char sentence[60];

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(MIXED, 300, 4));
	for (uint32_t number = 1; number <= 300; number++) {
		if (number % 3 != 0) {
			expect_item(ticket, number, 4);
			continue;
		}
		cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 1);
		cr_assert(item.is_error);
		cr_assert_eq(item.code, (int32_t)number);
		snprintf(sentence, sizeof(sentence), "%u is a multiple of 3", number);
		cr_assert_eq(item.length, strlen(sentence));
		cr_assert_arr_eq(item.data, sentence, item.length);
	}
	expect_end(ticket, CADRE_OK);
}

Test(stream, one_who_does_not_like_an_error_stops_there)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(MIXED, 1000000, 4));
	expect_items(ticket, 1, 2, 4);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 1);
	cr_assert(item.is_error);
	cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
}

Test(stream, a_handler_that_fails_has_its_items_read_before)
{
	struct cadre_ticket ticket;
	struct cadre_result result;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(FAIL, 20, 8));
	expect_items(ticket, 1, 20, 8);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0);
	result = await(ticket);
	cr_assert_eq(result.outcome, CADRE_FAILED);
	cr_assert_eq(result.code, 9);
	cr_assert_str_eq(result.sentence, "that was all that I had");
	release(&result);
}

Test(stream, a_handler_that_knows_nothing_of_streams_makes_an_empty_one)
{
	struct cadre_result result;
	struct cadre_ticket ticket;
	char text[300];

	OPEN(ONE_WORKER);
	troupe_fill(text, sizeof(text), 5);
	ticket = submit((struct cadre_request){ .operation = ECHO,
						.flags = CADRE_STREAM,
						.data = text,
						.length = sizeof(text) });
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &(struct cadre_item){ 0 }),
		     0);
	result = await(ticket);
	cr_assert_eq(result.length, sizeof(text));
	cr_assert(troupe_holds(result.data, result.length, 5));
	release(&result);
}

Test(stream, an_operation_that_nobody_serves_ends_the_stream_with_its_error)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit((struct cadre_request){ .operation = 77, .flags = CADRE_STREAM });
	expect_end(ticket, CADRE_FAILED);
}

Test(stream, a_hundred_thousand_items_come_through_a_ring_of_64_bytes)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 100000, 8, .stream_room = 64));
	expect_items(ticket, 1, 100000, 8);
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_hundred_thousand_items_of_odd_lengths_come_whole)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 100000, 61));
	expect_items(ticket, 1, 100000, 61);
	expect_end(ticket, CADRE_OK);
}

Test(stream, items_of_a_mebibyte_and_items_as_long_as_the_ring_come_whole)
{
	const uint32_t mebibyte = 1u << 20;
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER, .payload_max = 3 * mebibyte, .block_bytes = 64u << 20);
	ticket = submit(STREAM(COUNT, 40, mebibyte, .stream_room = 2 * mebibyte + 4096));
	expect_items(ticket, 1, 40, mebibyte);
	expect_end(ticket, CADRE_OK);
	ticket = submit(STREAM(COUNT, 10, mebibyte,
			       .stream_room = mebibyte + CADRE_ITEM_OVERHEAD));
	expect_items(ticket, 1, 10, mebibyte);
	expect_end(ticket, CADRE_OK);
	/* Neither half nor all of the ring: each needs what lies behind the end. */
	ticket = submit(STREAM(PLACE, 30, mebibyte / 8 * 5, .stream_room = mebibyte));
	expect_items(ticket, 1, 30, mebibyte / 8 * 5);
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_draft_may_be_a_stream_short_or_long)
{
	static const size_t lengths[] = { sizeof(struct order), 2000 };

	OPEN(ONE_WORKER);
	for (size_t i = 0; i < 2; i++) {
		struct cadre_request request = STREAM(COUNT, 50, 12);
		struct cadre_ticket ticket;
		struct cadre_draft draft;

		request.length = lengths[i];
		cr_assert_eq(cadre_try_draft(CLIENT, lengths[i], &draft), 0);
		memset(draft.data, 0, lengths[i]);
		memcpy(draft.data, &(const struct order){ 50, 12 }, sizeof(struct order));
		request.stream_room = 1u << 20;
		cr_assert_eq(cadre_draft_submit(CLIENT, &draft, &request, &ticket),
			     -EMSGSIZE);
		request.stream_room = 0;
		cr_assert_eq(cadre_draft_submit(CLIENT, &draft, &request, &ticket), 0);
		expect_items(ticket, 1, 50, 12);
		expect_end(ticket, CADRE_OK);
	}
}

/* ---- flow control ---- */

Test(stream, a_producer_that_outruns_its_consumer_waits_and_holds_no_more_than_its_room)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	/* 256 bytes, 32 for each item: eight, and the ninth waits. */
	cr_assert_eq(atomic_load(&board->emitted), 8);
	expect_items(ticket, 1, 1000, 24);
	expect_end(ticket, CADRE_OK);
	cr_assert_geq(counter("emit_waits"), 1);
	cr_assert_eq(atomic_load(&board->emitted), 1000);
}

Test(stream,
     a_worker_that_waits_for_a_consumer_is_blocked_and_not_busy_and_is_not_waited_for)
{
	struct cadre_ticket ticket;

	OPEN(.workers_min = 2, .workers_max = 2);
	/* The handler was short so far, so nobody expects it to hold its worker. */
	for (int i = 0; i < 40; i++) {
		ticket = submit(STREAM(COUNT, 1, 8));
		expect_item(ticket, 1, 8);
		expect_end(ticket, CADRE_OK);
	}
	ticket = submit(STREAM(COUNT, 1000, 24, .stream_room = 256));
	cr_assert(eventually(troupe_look_worker(troupe.scene.pool, 0).letter == 'B' ||
			     troupe_look_worker(troupe.scene.pool, 1).letter == 'B'));
	for (int i = 0; i < 20; i++)
		call_ok((struct cadre_request){ .operation = ECHO });
	cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
	cr_assert(eventually(atomic_load(&board->ended) == 41));
}

Test(stream, an_item_stays_where_it_is_until_the_next_is_asked_for)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 100, 24, .stream_room = 64));
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 1);
	cr_assert(eventually(is_blocked()));
	cr_assert(holds(&item, 1, 24), "somebody has written over an item in use");
	expect_items(ticket, 2, 100, 24);
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_consumer_that_waits_is_woken_by_the_item_and_by_the_end)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(STEPS, 3, 8));
	cr_assert_eq(cadre_stream_try_next(CLIENT, ticket, &item), -EAGAIN);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, cadre_in_ms(5), &item), -ETIMEDOUT);
	for (uint32_t number = 1; number <= 3; number++) {
		atomic_store(&board->gate, number);
		expect_item(ticket, number, 8);
	}
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_paused_consumer_stops_a_producer_that_has_room)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(STEPS, 5, 8));
	atomic_store(&board->gate, 2);
	expect_items(ticket, 1, 2, 8);
	cr_assert_eq(cadre_stream_pause(CLIENT, ticket), 0);
	atomic_store(&board->gate, 5);
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(atomic_load(&board->emitted), 2);
	cr_assert_eq(cadre_stream_try_next(CLIENT, ticket, &item), -EAGAIN);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), -EAGAIN,
		     "it would wait for itself");
	cr_assert_eq(cadre_stream_resume(CLIENT, ticket), 0);
	expect_items(ticket, 3, 5, 8);
	expect_end(ticket, CADRE_OK);
}

Test(stream, pauses_nest)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(STEPS, 2, 8));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(cadre_stream_pause(CLIENT, ticket), 0);
	atomic_store(&board->gate, 2);
	cr_assert(eventually(is_blocked()));
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(cadre_stream_resume(CLIENT, ticket), 0);
		cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), -EAGAIN);
	}
	cr_assert(is_blocked());
	cr_assert_eq(cadre_stream_resume(CLIENT, ticket), 0);
	expect_items(ticket, 1, 2, 8);
	cr_assert_eq(cadre_stream_resume(CLIENT, ticket), -EINVAL,
		     "resumed more often than paused");
	expect_end(ticket, CADRE_OK);
}

Test(stream, what_was_emitted_before_a_pause_can_be_read)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 3, 8));
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert_eq(cadre_stream_pause(CLIENT, ticket), 0);
	expect_items(ticket, 1, 3, 8);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0,
		     "its end needs no producer");
	expect(ticket, CADRE_OK);
}

/* ---- leaving, cancelling ---- */

Test(stream, a_consumer_that_leaves_gets_its_slot_back_and_the_producer_is_told)
{
	OPEN(ONE_WORKER, .window_slots = 2);
	for (uint32_t i = 0; i < 20; i++) {
		const struct cadre_ticket ticket = submit(
			STREAM(COUNT, 1000000, 24, .stream_room = 256));

		expect_item(ticket, 1, 24);
		cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
		cr_assert_eq(cadre_stream_leave(CLIENT, ticket), -ESTALE);
		cr_assert(eventually(atomic_load(&board->ended) == i + 1));
		cr_assert_eq(atomic_load(&board->told), -ECANCELED);
	}
	call_ok((struct cadre_request){ .operation = ECHO });
}

Test(stream, a_consumer_that_leaves_wakes_a_producer_that_waits)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
}

Test(stream, one_who_leaves_before_a_worker_came_has_nothing_run)
{
	struct cadre_ticket first, ticket;

	OPEN(ONE_WORKER);
	first = submit(STREAM(STEPS, 1, 8));
	ticket = submit(STREAM(COUNT, 10, 8));
	cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
	atomic_store(&board->gate, 1);
	expect_item(first, 1, 8);
	expect_end(first, CADRE_OK);
	call_ok((struct cadre_request){ .operation = ECHO });
	cr_assert_eq(atomic_load(&board->begun), 1);
}

Test(stream, leaving_after_the_end_counts_as_that_end)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 3, 8));
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert(eventually(counter("jobs_ok") == 1));
	cr_assert_eq(cadre_stream_leave(CLIENT, ticket), 0);
	cr_assert_eq(counter("jobs_late"), 0);
}

Test(stream, a_cancelled_stream_can_be_read_to_its_end_or_taken_at_once)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(cadre_cancel(CLIENT, ticket), 0);
	expect_items(ticket, 1, 8, 24);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0);
	expect(ticket, CADRE_CANCELLED);

	ticket = submit(STREAM(COUNT, 1000000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(cadre_cancel(CLIENT, ticket), 0);
	expect(ticket, CADRE_CANCELLED);
	cr_assert(eventually(atomic_load(&board->ended) == 2));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
}

Test(stream, a_producer_that_waits_past_its_deadline_is_told)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000000, 24, .stream_room = 256,
			       .deadline_ns = cadre_in_ms(100)));
	/* Nobody of this process looks at it meanwhile. */
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
	expect_items(ticket, 1, 8, 24);
	expect_end(ticket, CADRE_TIMED_OUT);
	cr_assert_eq(troupe_counter(CADRE_SCOPE_POOL,
				    troupe_look(troupe.scene.pool).counters,
				    "workers_killed"),
		     0);
}

Test(stream, a_consumer_that_waits_past_the_deadline_is_told_after_the_last_item)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	atomic_store(&board->gate, 2);
	ticket = submit(STREAM(STEPS, 3, 8, .deadline_ns = cadre_in_ms(200)));
	expect_items(ticket, 1, 2, 8);
	expect_end(ticket, CADRE_TIMED_OUT);
	cr_assert(eventually(atomic_load(&board->ended) == 1));
}

/* ---- deaths ---- */

Test(stream, items_of_a_dead_worker_stay_readable_then_the_stream_is_lost)
{
	struct cadre_ticket ticket;
	struct cadre_result result;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(DIE, 30, 40));
	cr_assert(eventually(deaths() == 1));
	expect_items(ticket, 1, 30, 40);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0,
		     "what it was about to emit was not emitted");
	result = await(ticket);
	cr_assert_eq(result.outcome, CADRE_LOST);
	cr_assert_eq(result.code, SIGKILL);
	release(&result);
}

Test(stream, a_consumer_that_waits_is_woken_when_the_worker_dies)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(STEPS, 3, 8));
	cr_assert(eventually(atomic_load(&board->begun) == 1));
	kill(look().pid, SIGKILL);
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0);
	expect(ticket, CADRE_LOST);
}

Test(stream, an_idempotent_stream_is_tried_again_as_long_as_nothing_was_emitted)
{
	struct cadre_ticket ticket;
	struct cadre_result result;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(FLAGGED(CADRE_STREAM | CADRE_IDEMPOTENT, DIE, 0, 8));
	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0);
	result = await(ticket);
	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	cr_assert_eq(result.attempt, 1);
	release(&result);
}

Test(stream, an_idempotent_stream_that_has_begun_is_lost_and_not_told_twice)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(FLAGGED(CADRE_STREAM | CADRE_IDEMPOTENT, DIE, 1, 8));
	expect_item(ticket, 1, 8);
	expect_end(ticket, CADRE_LOST);
}

/* Reads one item and waits to be killed. */
static int be_consumer(void *context)
{
	const struct cadre_request request = STREAM(COUNT, 1000000, 24,
						    .stream_room = 256);
	struct cadre_client *client;
	struct cadre_ticket ticket;
	struct cadre_item item;

	CHILD_CHECK(cadre_client_attach(context, NULL, &client, NULL) == 0);
	CHILD_CHECK(cadre_try_submit(client, &request, &ticket) == 0);
	CHILD_CHECK(cadre_stream_next(client, ticket, CADRE_FOREVER, &item) == 1);
	child_idle();
}

Test(stream, a_producer_whose_consumer_died_is_told_and_the_window_comes_back)
{
	uint32_t pool_clients;
	pid_t consumer;

	OPEN(ONE_WORKER);
	pool_clients = troupe_look(troupe.scene.pool).clients;
	consumer = child_start(be_consumer, troupe.scene.pool);
	cr_assert(eventually(is_blocked()));
	child_kill(consumer);
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
	cr_assert(eventually(troupe_look(troupe.scene.pool).clients == pool_clients));
}

Test(stream, stop_lets_streams_come_to_their_end)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(try_submit(STREAM(COUNT, 1, 8)), -ESHUTDOWN);
	expect_items(ticket, 1, 1000, 24);
	expect_end(ticket, CADRE_OK);
}

Test(stream, terminate_leaves_what_was_emitted_to_be_read)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 1000, 24, .stream_room = 256));
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(troupe_terminate(&troupe), 0);
	expect_items(ticket, 1, 8, 24);
	expect_end(ticket, CADRE_TERMINATED);
}

/* ---- many ---- */

#define MANY 100u

/* All at once, read in turns: none waits for another. */
static void read_many(enum operation operation)
{
	struct cadre_ticket tickets[MANY];

	for (uint32_t i = 0; i < MANY; i++)
		tickets[i] = submit(STREAM(operation, 200, 20, .stream_room = 256));
	cr_assert(eventually(atomic_load(&board->begun) == MANY));
	for (uint32_t number = 1; number <= 200; number++) {
		for (uint32_t i = 0; i < MANY; i++)
			expect_item(tickets[i], number, 20);
	}
	for (uint32_t i = 0; i < MANY; i++)
		expect_end(tickets[i], CADRE_OK);
}

Test(stream, one_thread_produces_a_hundred_streams_in_turn)
{
	OPEN(ONE_WORKER, .parallel = MANY);
	read_many(TURNS);
	cr_assert_eq(counter("jobs_ok"), MANY);
}

Test(stream, a_hundred_threads_of_one_worker_produce_a_stream_each)
{
	open_pool(CADRE_SERVICE_THREADS,
		  (struct cadre_pool_options){ ONE_WORKER, .parallel = MANY });
	read_many(COUNT);
	cr_assert_eq(counter("jobs_ok"), MANY);
}

Test(stream, those_who_wait_for_room_by_callback_are_told_when_they_are_left)
{
	struct cadre_ticket tickets[10];

	OPEN(ONE_WORKER, .parallel = 10);
	for (int i = 0; i < 10; i++)
		tickets[i] = submit(STREAM(TURNS, 1000000, 20, .stream_room = 256));
	/* Those that it has taken may all wait before it has taken the last. */
	cr_assert(eventually(atomic_load(&board->begun) == 10));
	cr_assert(eventually(is_blocked()), "all of its jobs wait");
	for (int i = 0; i < 5; i++)
		cr_assert_eq(cadre_stream_leave(CLIENT, tickets[i]), 0);
	cr_assert(eventually(atomic_load(&board->ended) == 5));
	cr_assert_eq(atomic_load(&board->told), -ECANCELED);
	for (int i = 5; i < 10; i++) {
		expect_items(tickets[i], 1, 100, 20);
		cr_assert_eq(cadre_cancel(CLIENT, tickets[i]), 0);
		expect(tickets[i], CADRE_CANCELLED);
	}
	cr_assert(eventually(atomic_load(&board->ended) == 10));
	cr_assert(eventually(look().letter == '_'));
}

/* Producer and consumer are one thread: neither may ever wait. */
Test(stream, a_local_worker_driven_by_its_owners_loop_streams_while_it_is_read)
{
	const struct cadre_local_options options = { .size = sizeof(options),
						     .parallel = 3 };
	struct cadre_ticket tickets[3];
	struct cadre_channel channel;
	struct cadre_local *local;
	struct pollfd look_at = { .events = POLLIN };
	uint32_t numbers[3] = { 0 }, ends = 0;
	struct cadre_diag diag;

	OPEN(ONE_WORKER, .locals_max = 1);
	cr_assert_eq(cadre_local_open(troupe.scene.pool, &service, &options, &local, &diag),
		     0, "%s", diag.text);
	cadre_local_channel(local, &channel);
	look_at.fd = cadre_local_fd(local);
	for (int i = 0; i < 3; i++)
		tickets[i] = submit(
			STREAM(TURNS, 300, 20, .stream_room = 256, .to = &channel));
	while (ends < 3) {
		struct cadre_item item;

		cr_assert_eq(poll(&look_at, 1, TROUPE_PATIENCE_MS), 1,
			     "nothing to do after %u items", numbers[0]);
		cr_assert_geq(cadre_local_step(local, 0), 0);
		for (int i = 0; i < 3; i++) {
			int r = 0;

			while (tickets[i].id &&
			       (r = cadre_stream_try_next(CLIENT, tickets[i], &item)) == 1)
				cr_assert(holds(&item, ++numbers[i], 20));
			if (tickets[i].id && r == 0) {
				expect(tickets[i], CADRE_OK);
				tickets[i].id = 0;
				ends++;
			}
		}
	}
	for (int i = 0; i < 3; i++)
		cr_assert_eq(numbers[i], 300);
	cadre_local_close(local);
}

/* ---- callbacks ---- */

static struct heard {
	uint32_t items;
	uint32_t errors;
	uint32_t ends;
	enum cadre_outcome outcome;
	bool wrong; /* something came out of order */
	uint32_t leave_at, pause_at;
} heard;

static void hear_item(const struct cadre_item *item, void *context)
{
	struct heard *const ear = context;

	if (ear->ends > 0 ||
	    (!item->is_error && !holds(item, ear->items + ear->errors + 1, 24)))
		ear->wrong = true;
	if (item->is_error)
		ear->errors++;
	else
		ear->items++;
	if (ear->items == ear->leave_at)
		cadre_stream_leave(CLIENT, item->ticket);
	if (ear->items == ear->pause_at)
		cadre_stream_pause(CLIENT, item->ticket);
}

static void hear_end(const struct cadre_result *result, void *context)
{
	struct heard *const ear = context;

	ear->ends++;
	ear->outcome = result->outcome;
}

#define HEARD .item = hear_item, .ended = hear_end, .context = &heard

static void dispatch_until_ends(uint32_t ends)
{
	while (heard.ends < ends)
		cr_assert_gt(cadre_client_await_dispatch(CLIENT, GENEROUS), 0);
}

Test(stream, callbacks_get_the_items_in_order_and_then_the_end)
{
	OPEN(ONE_WORKER);
	cr_assert_eq(cadre_try_submit(CLIENT,
				      &STREAM(COUNT, 5000, 24, .stream_room = 256, HEARD),
				      NULL),
		     0);
	dispatch_until_ends(1);
	cr_assert_eq(heard.items, 5000);
	cr_assert_eq(heard.outcome, CADRE_OK);
	cr_assert_not(heard.wrong);
	cr_assert_eq(cadre_client_await_dispatch(CLIENT, GENEROUS), 0, "nothing is left");
}

Test(stream, the_descriptor_is_readable_while_there_is_something_to_deliver)
{
	static struct heard others[3];
	struct pollfd look_at = { .events = POLLIN };

	OPEN(ONE_WORKER);
	look_at.fd = cadre_client_fd(CLIENT);
	cr_assert_geq(look_at.fd, 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(cadre_try_submit(CLIENT,
					      &STREAM(MIXED, 1000, 24, .stream_room = 256,
						      .item = hear_item, .ended = hear_end,
						      .context = &others[i]),
					      NULL),
			     0);
	cr_assert_eq(cadre_try_submit(CLIENT,
				      &STREAM(COUNT, 1000, 24, .stream_room = 256, HEARD),
				      NULL),
		     0);
	while (heard.ends == 0) {
		cr_assert_eq(poll(&look_at, 1, TROUPE_PATIENCE_MS), 1,
			     "nothing came after %u items", heard.items);
		cr_assert_geq(cadre_client_dispatch(CLIENT, 7), 0);
	}
	cr_assert_eq(heard.items, 1000);
	cr_assert_not(heard.wrong);
	while (cadre_client_await_dispatch(CLIENT, GENEROUS) > 0) {
	}
	for (int i = 0; i < 3; i++)
		cr_assert(others[i].ends == 1 && !others[i].wrong);
}

Test(stream, a_stream_paused_in_a_callback_is_delivered_no_further_until_resumed)
{
	struct cadre_ticket ticket;

	OPEN(ONE_WORKER);
	heard.pause_at = 3;
	cr_assert_eq(cadre_try_submit(CLIENT,
				      &STREAM(COUNT, 100, 24, .stream_room = 256, HEARD),
				      &ticket),
		     0);
	while (heard.items < 3)
		cr_assert_gt(cadre_client_await_dispatch(CLIENT, GENEROUS), 0);
	cr_assert(eventually(is_blocked()));
	cr_assert_eq(cadre_client_dispatch(CLIENT, 0), 0);
	cr_assert_eq(heard.items, 3);
	heard.pause_at = 0;
	cr_assert_eq(cadre_stream_resume(CLIENT, ticket), 0);
	dispatch_until_ends(1);
	cr_assert_eq(heard.items, 100);
	cr_assert_not(heard.wrong);
}

Test(stream, a_stream_left_in_a_callback_delivers_nothing_but_its_end)
{
	OPEN(ONE_WORKER);
	heard.leave_at = 5;
	cr_assert_eq(cadre_try_submit(CLIENT,
				      &STREAM(COUNT, 1000000, 24, .stream_room = 256,
					      HEARD),
				      NULL),
		     0);
	dispatch_until_ends(1);
	cr_assert_eq(heard.items, 5);
	cr_assert_eq(heard.outcome, CADRE_CANCELLED);
	cr_assert(eventually(atomic_load(&board->ended) == 1));
}

Test(stream, a_stream_with_callbacks_whose_worker_dies_delivers_what_was_emitted)
{
	OPEN(ONE_WORKER);
	cadre_client_fd(CLIENT);
	cr_assert_eq(cadre_try_submit(CLIENT, &STREAM(DIE, 6, 24, HEARD), NULL), 0);
	dispatch_until_ends(1);
	cr_assert_eq(heard.items, 6);
	cr_assert_eq(heard.outcome, CADRE_LOST);
	cr_assert_not(heard.wrong);
}

/* ---- wrong use ---- */

Test(stream, emits_in_a_job_that_is_no_stream_are_refused)
{
	OPEN(ONE_WORKER);
	call_ok((struct cadre_request){ .operation = MISUSE });
	for (int i = 0; i < 5; i++)
		cr_expect_eq(board->misuse[i], -ENOSTR, "%d: %d", i, board->misuse[i]);
	cr_expect_eq(board->misuse[5], false);
}

Test(stream,
     an_item_longer_than_the_room_a_careless_commit_and_an_emit_after_the_end_are_refused)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(MISUSE, 0, 0));
	cr_assert(eventually(atomic_load(&board->ended) == 1));
	cr_expect_eq(board->misuse[0], 0);
	cr_expect_eq(board->misuse[1], 0);
	cr_expect_eq(board->misuse[2], 0);
	cr_expect_eq(board->misuse[3], 0);
	cr_expect_eq(board->misuse[4], -EINVAL, "a callback that is none");
	cr_expect_eq(board->misuse[5], true);
	cr_expect_eq(board->misuse[6], -EMSGSIZE);
	cr_expect_eq(board->misuse[7], -EINVAL, "no room was asked for");
	cr_expect_eq(board->misuse[8], -EINVAL, "more than was asked for");
	cr_expect_eq(board->misuse[9], -EALREADY);
	cr_expect_eq(board->misuse[10], -EALREADY);
	cr_expect_eq(board->misuse[11], -EALREADY);
	/* Two items and an error, and nothing else. */
	for (int i = 0; i < 3; i++)
		cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 1);
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_job_that_ends_while_it_waits_for_room_is_not_called_back)
{
	enum { ROUNDS = 5 };
	struct cadre_item item;

	OPEN(ONE_WORKER);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		const struct cadre_ticket ticket = submit(
			STREAM(GIVE_UP, 1, 8, .stream_room = 256));

		while (cadre_stream_next(CLIENT, ticket, GENEROUS, &item) == 1)
			cr_assert_eq(item.length, 8);
		expect(ticket, CADRE_FAILED);
		cr_assert_eq(board->told, 0, "it has asked");
		/* The next job has its room in the worker. */
		call_ok(FLAGGED(0, ECHO, 1, 8));
	}
	cr_assert_gt(board->emitted, 0);
	cr_assert_eq(deaths(), 0);
}

Test(stream, a_stream_is_not_asked_of_a_job_that_is_none)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	ticket = submit((struct cadre_request){ .operation = ECHO });
	cr_expect_eq(cadre_stream_try_next(CLIENT, ticket, &item), -ENOSTR);
	cr_expect_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), -ENOSTR);
	cr_expect_eq(cadre_stream_pause(CLIENT, ticket), -ENOSTR);
	cr_expect_eq(cadre_stream_resume(CLIENT, ticket), -ENOSTR);
	cr_expect_eq(cadre_stream_leave(CLIENT, ticket), -ENOSTR);
	expect(ticket, CADRE_OK);
	cr_expect_eq(cadre_stream_try_next(CLIENT, ticket, &item), -ESTALE);
	cr_expect_eq(cadre_stream_pause(CLIENT, ticket), -ESTALE);
	cr_expect_eq(cadre_stream_leave(CLIENT, ticket), -ESTALE);
}

Test(stream, the_result_of_a_stream_is_not_taken_before_its_end)
{
	struct cadre_ticket ticket;
	struct cadre_result result;

	OPEN(ONE_WORKER);
	ticket = submit(STREAM(COUNT, 100, 24, .stream_room = 256));
	cr_expect_eq(cadre_try_take(CLIENT, ticket, &result), -EBUSY);
	cr_expect_eq(cadre_await(CLIENT, ticket, GENEROUS, &result), -EBUSY,
		     "it would wait for a producer that waits for us");
	expect_items(ticket, 1, 100, 24);
	expect_end(ticket, CADRE_OK);
}

Test(stream, a_stream_with_callbacks_is_not_read_by_hand)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	OPEN(ONE_WORKER);
	cr_assert_eq(cadre_try_submit(CLIENT, &STREAM(COUNT, 3, 24, HEARD), &ticket), 0);
	cr_expect_eq(cadre_stream_try_next(CLIENT, ticket, &item), -EBUSY);
	cr_expect_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), -EBUSY);
	dispatch_until_ends(1);
}

Test(stream, streams_that_cannot_be_are_refused)
{
	struct cadre_result result;

	OPEN(ONE_WORKER, .payload_max = 4096);
	cr_expect_eq(try_submit(FLAGGED(CADRE_STREAM | CADRE_DETACHED, COUNT, 1, 8)),
		     -EINVAL, "nobody would read it");
	cr_expect_eq(try_submit(STREAM(COUNT, 1, 8, .item = hear_item)), -EINVAL);
	cr_expect_eq(try_submit(STREAM(COUNT, 1, 8, .ended = hear_end)), -EINVAL);
	cr_expect_eq(try_submit(FLAGGED(0, COUNT, 1, 8, .stream_room = 100)), -EINVAL,
		     "room without a stream");
	cr_expect_eq(try_submit(STREAM(COUNT, 1, 8, .stream_room = 63)), -EINVAL);
	cr_expect_eq(try_submit(STREAM(COUNT, 1, 8, .stream_room = 4096)), -EMSGSIZE);
	cr_expect_eq(try_submit(STREAM(COUNT, 1, 8, .stream_room = SIZE_MAX)), -EMSGSIZE);
	cr_expect_eq(cadre_call(CLIENT, &STREAM(COUNT, 1, 8), &result), -EINVAL);
	/* What fits, fits. */
	expect_end(submit(STREAM(COUNT, 0, 8, .stream_room = 4096 - 192 - 8)), CADRE_OK);
}
