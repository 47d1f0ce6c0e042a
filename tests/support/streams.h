/*
 * streams.h - what tests of streams share, for Criterion: a service that emits what it is asked
 * for and tells on a board in shared memory what its calls returned, and short forms of
 * reading.
 *
 *	TestSuite(stream, STREAMS);
 */
#ifndef STREAMS_H
#define STREAMS_H

#include "claims.h"

#include <signal.h>
#include <stdlib.h>

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

static inline struct order order_of(const struct cadre_job *job)
{
	struct order order = { 0 };
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	memcpy(&order, data, length < sizeof(order) ? length : sizeof(order));
	return order;
}

static inline void fill(unsigned char *bytes, uint32_t number, uint32_t length)
{
	memcpy(bytes, &number, sizeof(number));
	troupe_fill(bytes + sizeof(number), length - sizeof(number), number);
}

static inline bool holds(const struct cadre_item *item, uint32_t number, uint32_t length)
{
	uint32_t found;

	if (item->length != length)
		return false;
	memcpy(&found, item->data, sizeof(found));
	return found == number &&
	       troupe_holds((const unsigned char *)item->data + sizeof(found),
			    length - sizeof(found), number);
}

static inline int emit_copy(struct cadre_job *job, uint32_t number, uint32_t length)
{
	unsigned char *const bytes = malloc(length);
	int r;

	fill(bytes, number, length);
	r = cadre_job_emit(job, bytes, length);
	free(bytes);
	return r;
}

static inline int emit_in_place(struct cadre_job *job, uint32_t number, uint32_t length)
{
	void *room;
	int r = cadre_job_emit_room(job, length + 17, &room);

	if (r < 0)
		return r;
	fill(room, number, length);
	return cadre_job_emit_commit(job, length);
}

static inline int emit_mixed(struct cadre_job *job, uint32_t number, uint32_t length)
{
	if (number % 3 != 0)
		return emit_copy(job, number, length);
	return cadre_job_emit_error(job, (int32_t)number, "%u is a multiple of 3", number);
}

/* True when all of it went out. */
static inline bool emit_all(struct cadre_job *job,
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

static inline void end(struct cadre_job *job, bool all)
{
	const struct order order = order_of(job);

	if (all)
		cadre_job_reply(job, &order.count, sizeof(order.count));
	else
		cadre_job_fail(job, 1, "not all of it was emitted");
	atomic_fetch_add(&board->ended, 1);
}

static inline void count(struct cadre_job *job, void *state)
{
	(void)state;
	end(job, emit_all(job, emit_copy));
}

static inline void place(struct cadre_job *job, void *state)
{
	(void)state;
	end(job, emit_all(job, emit_in_place));
}

static inline void mixed(struct cadre_job *job, void *state)
{
	(void)state;
	end(job, emit_all(job, emit_mixed));
}

static inline void fail_at_the_end(struct cadre_job *job, void *state)
{
	(void)state;
	emit_all(job, emit_copy);
	cadre_job_fail(job, 9, "that was all that I had");
}

static inline void die(struct cadre_job *job, void *state)
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

static inline void take_turn(struct cadre_job *job, void *context)
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

static inline void take_turns(struct cadre_job *job, void *state)
{
	struct turn *const turn = malloc(sizeof(*turn));

	(void)state;
	atomic_fetch_add(&board->begun, 1);
	turn->number = 1;
	turn->order = order_of(job);
	cadre_job_defer(job);
	take_turn(job, turn);
}

static inline void wait_for_cancel(struct cadre_job *job, void *state)
{
	(void)state;
	atomic_fetch_add(&board->begun, 1);
	while (!cadre_job_cancelled(job))
		child_pause_ms(1);
	atomic_store(&board->told, cadre_job_emit(job, "", 0));
	end(job, false);
}

static inline int emit_at_gate(struct cadre_job *job, uint32_t number, uint32_t length)
{
	while (atomic_load(&board->gate) < number && !cadre_job_cancelled(job))
		child_pause_ms(1);
	return emit_copy(job, number, length);
}

static inline void steps(struct cadre_job *job, void *state)
{
	(void)state;
	end(job, emit_all(job, emit_at_gate));
}

static inline void never_called(struct cadre_job *job, void *context)
{
	(void)job;
	(void)context;
	abort();
}

/* The first six of a job that is no stream, or all of one that is. */
static inline void misuse(struct cadre_job *job, void *state)
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

static inline void echo(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	cadre_job_reply(job, data, length);
}

static inline void give_up(struct cadre_job *job, void *state)
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

static inline void enter(void)
{
	troupe_enter();
	board = child_share(sizeof(*board));
}

#define STREAMS .init = enter, .fini = troupe_leave, .timeout = 60

static inline void open_pool(unsigned flags, struct cadre_pool_options options)
{
	struct cadre_service variant = service;

	variant.flags = flags;
	start_service(&variant, options);
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

static inline void expect_item(struct cadre_ticket ticket, uint32_t number,
			       uint32_t length)
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

static inline void expect_items(struct cadre_ticket ticket, uint32_t from, uint32_t to,
				uint32_t length)
{
	for (uint32_t number = from; number <= to; number++)
		expect_item(ticket, number, length);
}

static inline void expect_end(struct cadre_ticket ticket, enum cadre_outcome outcome)
{
	struct cadre_item item;

	cr_assert_eq(cadre_stream_next(CLIENT, ticket, GENEROUS, &item), 0);
	cr_assert_eq(cadre_stream_try_next(CLIENT, ticket, &item), 0, "and again");
	expect(ticket, outcome);
}

static inline struct cadre_worker_snapshot look(void)
{
	return troupe_look_worker(troupe.scene.pool, 0);
}

static inline uint64_t counter(const char *name)
{
	const struct cadre_worker_snapshot worker = look();

	return troupe_counter(CADRE_SCOPE_WORKER, worker.worker, name);
}

static inline uint64_t deaths(void)
{
	const struct cadre_worker_snapshot worker = look();

	return troupe_counter(CADRE_SCOPE_PLACE, worker.about, "deaths");
}

/* The producer sleeps because its consumer does not read. */
static inline bool is_blocked(void)
{
	return look().letter == 'B';
}

/* ---- what callbacks hear ---- */

static struct heard {
	uint32_t items;
	uint32_t errors;
	uint32_t ends;
	enum cadre_outcome outcome;
	bool wrong; /* something came out of order */
	uint32_t leave_at, pause_at;
} heard;

static inline void hear_item(const struct cadre_item *item, void *context)
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

static inline void hear_end(const struct cadre_result *result, void *context)
{
	struct heard *const ear = context;

	ear->ends++;
	ear->outcome = result->outcome;
}

#define HEARD .item = hear_item, .ended = hear_end, .context = &heard

static inline void dispatch_until_ends(uint32_t ends)
{
	while (heard.ends < ends)
		cr_assert_gt(cadre_client_await_dispatch(CLIENT, GENEROUS), 0);
}

#endif
