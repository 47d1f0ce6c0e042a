/*
 * proc_stream_many.c - claims about many streams at once, in one worker or on one thread, none of
 * which waits for another.
 */
#include "streams.h"

#include <poll.h>

TestSuite(stream, STREAMS);

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
	cr_assert(eventually(counter("jobs_ok") == MANY));
}

Test(stream, a_hundred_threads_of_one_worker_produce_a_stream_each)
{
	open_pool(CADRE_SERVICE_THREADS,
		  (struct cadre_pool_options){ ONE_WORKER, .parallel = MANY });
	read_many(COUNT);
	cr_assert(eventually(counter("jobs_ok") == MANY));
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
