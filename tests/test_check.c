/*
 * test_check.c - claims about what a check finds: each damage by itself, nothing in what a
 * pool writes, and nothing but an answer in bytes that no pool would write.
 *
 * The pool is a segment that the test fills by hand. Where a living supervisor makes the
 * difference, a child holds its lock, and mends nothing.
 */
#include "backdrop.h"
#include "child.h"
#include "clock.h"

#include <cadre/check.h>

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 3u
#define CLIENTS 3u
#define SLOTS 8u
#define FINDINGS_MAX 300

static struct scene scene;
static struct cadre_view view;

static struct cadre_balance balance;
static char findings[FINDINGS_MAX][420];
static int found;

static void make_pool(uint32_t slots)
{
	const struct cadre_limits limits = {
		.tokens = 4,
		.workers = WORKERS,
		.parallel = 2,
		.clients = CLIENTS,
		.slots = slots,
		.payload_max = 4096,
		.block_bytes = 65536,
	};

	backdrop_paint(&scene, &limits, &view);
}

static void begin(void)
{
	make_pool(SLOTS);
}

static void end(void)
{
	backdrop_remove(&scene, &view);
}

TestSuite(check, .init = begin, .fini = end, .timeout = 60);

/* ---- checking ---- */

static void listen(const char *sentence, void *context)
{
	(void)context;
	if (found < FINDINGS_MAX)
		snprintf(findings[found], sizeof(findings[0]), "%s", sentence);
	found++;
}

static int check(void)
{
	struct cadre_diag diag = { "" };
	int r;

	found = 0;
	r = cadre_check_balance(scene.pool, &balance, listen, NULL, &diag);
	cr_assert_geq(r, 0, "%s", diag.text);
	cr_assert_eq(r, found, "it returned %d and told %d", r, found);
	return r;
}

static void expect_nothing(void)
{
	cr_assert_eq(check(), 0, "%s", findings[0]);
}

/* Exactly so many findings, the first of them with these words. */
__attribute__((format(printf, 2, 3))) static void expect(int count, const char *format,
							 ...)
{
	char words[200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	cr_assert_eq(check(), count, "%d findings: %s; %s", found, findings[0],
		     findings[1]);
	cr_assert(strstr(findings[0], words), "not \"%s\": %s", words, findings[0]);
}

/* ---- building ---- */

static void seat_worker(uint32_t worker, enum cadre_place_state state)
{
	backdrop_seat(&view.worker_places[worker], state, cadre_process_self());
}

static void seat_client(uint32_t window)
{
	backdrop_seat(&view.client_places[window], CADRE_PLACE_UP, cadre_process_self());
	cadre_mask_set(&view.header->leased, window);
}

static struct cadre_books *books_of(uint32_t window, uint32_t index)
{
	return &view.books[window * view.limits.slots + index];
}

/* A word whose earlier jobs are booked as ok. */
static struct cadre_slot *put(uint32_t window, uint32_t index, struct cadre_word word)
{
	struct cadre_slot *const slot = cadre_view_slot(&view, window, index);
	const bool has_job = word.phase != CADRE_FREE;

	atomic_store(&slot->request.word, cadre_word_pack(word));
	atomic_store(&books_of(window, index)->ended[CADRE_OK], word.generation - has_job);
	slot->request.submitted_ns = cadre_clock_ns();
	slot->reply.taken_ns = slot->request.submitted_ns;
	return slot;
}

#define PUT(window, index, ...) put(window, index, (struct cadre_word){ __VA_ARGS__ })

/* ---- what is well ---- */

Test(check, a_fresh_pool_balances)
{
	expect_nothing();
	cr_assert_eq(balance.slots, CLIENTS * SLOTS);
	cr_assert_eq(balance.accepted, 0);
	cr_assert_eq(balance.blocks, view.plan.total);
	cr_assert_not(balance.alive);
	backdrop_start_supervisor(&scene);
	expect_nothing();
	cr_assert(balance.alive);
}

/* Window 0 gets a job in each phase, and each of the books that may stand beside it. */
static void put_jobs(void)
{
	seat_client(0);
	seat_worker(1, CADRE_PLACE_UP);
	PUT(0, 0, .phase = CADRE_FREE, .generation = 9);
	PUT(0, 1, .phase = CADRE_FILLING, .generation = 5);
	PUT(0, 2, .phase = CADRE_QUEUED, .generation = 4, .flags = CADRE_FLAG_DETACHED);
	PUT(0, 3, .phase = CADRE_RUNNING, .owner = 2, .generation = 3, .attempt = 1,
	    .flags = CADRE_FLAG_WAITING | CADRE_FLAG_IDEMPOTENT);
	PUT(0, 4, .phase = CADRE_RUNNING, .owner = 2, .generation = 2,
	    .flags = CADRE_FLAG_DECIDED, .outcome = CADRE_TIMED_OUT);
	PUT(0, 5, .phase = CADRE_DONE, .owner = 2, .generation = 7,
	    .outcome = CADRE_FAILED);
	PUT(0, 6, .phase = CADRE_DONE, .owner = 2, .generation = 7, .outcome = CADRE_LOST);
	cadre_slot_vacate(books_of(0, 6), CADRE_LOST);
	PUT(0, 7, .phase = CADRE_DONE, .generation = 1, .outcome = CADRE_WITHDRAWN);
}

Test(check, every_phase_balances_with_the_last_job_booked_or_not)
{
	put_jobs();
	expect_nothing();
	/* The jobs before: 9 + 4 + 3 + 2 + 1 + 6 + 6. */
	cr_assert_eq(balance.jobs[CADRE_OK], 31);
	cr_assert_eq(balance.jobs[CADRE_FAILED], 1, "ended and not taken yet");
	cr_assert_eq(balance.jobs[CADRE_LOST], 1, "booked");
	cr_assert_eq(balance.jobs[CADRE_WITHDRAWN], 1);
	cr_assert_eq(balance.ended, 33);
	cr_assert_eq(balance.in_flight, 3);
	cr_assert_eq(balance.accepted, 36, "neither the draft nor the withdrawn one");
}

Test(check, a_dead_pool_with_jobs_in_flight_balances)
{
	put_jobs();
	backdrop_seat(&view.client_places[0], CADRE_PLACE_UP, backdrop_somebody_dead());
	backdrop_seat(&view.worker_places[1], CADRE_PLACE_UP, backdrop_somebody_dead());
	cadre_mask_set(&view.header->crew.up, 1);
	cadre_mask_set(&view.header->crew.sleepers, 1);
	cadre_view_slot(&view, 0, 2)->request.submitted_ns = 1;
	expect_nothing();
}

Test(check, a_death_half_reaped_waits_for_the_next_supervisor_and_is_no_finding)
{
	put_jobs();
	backdrop_seat(&view.worker_places[1], CADRE_PLACE_DEAD, backdrop_somebody_dead());
	cadre_mask_set(&view.header->crew.engaged, 1);
	cadre_mask_set(&view.header->leased, 1);
	expect_nothing();
}

/* Takes a slot from job to job as fast as it can. */
static int move_without_rest(void *context)
{
	struct cadre_slot *const slot = cadre_view_slot(&view, 0, 3);
	uint64_t claimed, queued;

	(void)context;
	while (getppid() > 1) {
		cadre_slot_fill(slot);
		queued = cadre_slot_publish(slot, 0, CADRE_OWNER_NONE);
		cadre_slot_claim(slot, queued, 1, &claimed);
		cadre_slot_finish(slot, claimed, CADRE_OK);
		cadre_slot_vacate(books_of(0, 3), CADRE_OK);
	}
	return CHILD_FAILED;
}

Test(check, a_slot_in_full_motion_is_no_finding)
{
	pid_t mover;

	seat_client(0);
	seat_worker(0, CADRE_PLACE_UP);
	mover = child_start(move_without_rest, NULL);
	for (int round = 0; round < 200; round++)
		expect_nothing();
	child_kill(mover);
}

static int mend_soon(void *context)
{
	(void)context;
	child_pause_ms(300);
	PUT(0, 1, .phase = CADRE_FREE, .generation = 2);
	atomic_store(&view.worker_places[1].state,
		     cadre_place_pack(CADRE_PLACE_VACANT, 1));
	return CHILD_FINE;
}

Test(check, what_is_mended_while_it_looks_is_no_finding)
{
	pid_t mender;

	backdrop_start_supervisor(&scene);
	seat_client(0);
	backdrop_seat(&view.worker_places[1], CADRE_PLACE_DEAD, backdrop_somebody_dead());
	PUT(0, 1, .phase = CADRE_RUNNING, .owner = 2, .generation = 2);
	mender = child_start(mend_soon, NULL);
	expect_nothing();
	cr_assert_eq(child_end(mender), CHILD_FINE);
}

/* ---- slots ---- */

Test(check, a_word_that_cannot_be_is_told_with_the_reason)
{
	static const struct {
		struct cadre_word word;
		const char *why;
	} cases[] = {
		{ { .phase = (enum cadre_phase)5 }, "no such phase" },
		{ { .phase = (enum cadre_phase)7 }, "no such phase" },
		{ { .phase = CADRE_RUNNING }, "running without an owner" },
		{ { .phase = CADRE_RUNNING, .owner = WORKERS + 1 },
		  "no worker of this pool" },
		{ { .phase = CADRE_DONE, .owner = 1023 }, "no worker of this pool" },
		{ { .phase = CADRE_FREE, .owner = 1 }, "without a job" },
		{ { .phase = CADRE_FILLING, .flags = CADRE_FLAG_WAITING },
		  "without a job" },
		{ { .phase = CADRE_FREE, .attempt = 1 }, "without a job" },
		{ { .phase = CADRE_QUEUED, .flags = CADRE_FLAG_DECIDED }, "decided while" },
		{ { .phase = CADRE_QUEUED, .outcome = CADRE_LOST }, "before it has ended" },
	};

	seat_client(1);
	for (size_t i = 0; i < CADRE_COUNT_OF(cases); i++) {
		struct cadre_word word = cases[i].word;

		word.generation = 6;
		put(1, 5, word);
		expect(1, "slot 5 of window 1: its word %#llx cannot be",
		       (unsigned long long)cadre_word_pack(word));
		cr_assert(strstr(findings[0], cases[i].why), "%s", findings[0]);
	}
}

Test(check, books_that_do_not_fit_the_word_are_told_with_the_numbers)
{
	seat_client(1);
	PUT(1, 2, .phase = CADRE_FREE, .generation = 6);
	atomic_store(&books_of(1, 2)->ended[CADRE_OK], 5);
	expect(2,
	       "slot 2 of window 1: 5 jobs are booked, which cannot stand beside job 6");
	cr_assert(strstr(findings[1],
			 "window 1: accepted 6 is not ok 5 + failed 0 + cancelled 0 + timed "
			 "out 0 + lost 0 + terminated 0 + refused 0 + in flight 0"),
		  "%s", findings[1]);

	atomic_store(&books_of(1, 2)->ended[CADRE_OK], 7);
	expect(2, "slot 2 of window 1: 7 jobs are booked");

	PUT(1, 2, .phase = CADRE_DONE, .generation = 6);
	atomic_store(&books_of(1, 2)->ended[CADRE_OK], 4);
	expect(2, "slot 2 of window 1: 4 jobs are booked");
}

Test(check, a_job_that_was_booked_before_it_ended_is_told)
{
	seat_client(0);
	PUT(0, 0, .phase = CADRE_QUEUED, .generation = 3);
	cadre_slot_vacate(books_of(0, 0), CADRE_CANCELLED);
	expect(2, "slot 0 of window 0: job 3 is booked as ended and is still pending");
	cr_assert(strstr(findings[1], "window 0: accepted 3 is not ok 2"), "%s",
		  findings[1]);
	cr_assert(strstr(findings[1], "in flight 1"), "%s", findings[1]);
}

Test(check, the_books_of_clients_that_left_count)
{
	PUT(2, 0, .phase = CADRE_FREE, .generation = 40);
	expect_nothing();
	cr_assert_eq(balance.accepted, 40);
	atomic_store(&books_of(2, 0)->ended[CADRE_LOST], 1);
	expect(2, "slot 0 of window 2: 41 jobs");
}

Test(check, a_long_request_lies_in_a_block_of_its_job)
{
	struct cadre_block_pool blocks = cadre_layout_blocks(&view);
	struct cadre_slot *const slot = PUT(0, 3, .phase = CADRE_QUEUED, .generation = 1);

	seat_client(0);
	slot->request.length = 1000;
	slot->request.block = cadre_block_take(&blocks, 1000, 3, 1);
	expect_nothing();
	cr_assert_eq(balance.blocks_used, 1);

	slot->request.length = 1025;
	expect(1, "slot 3 of window 0: the 1025 bytes of its request");
	slot->request.length = 1000;
	slot->request.block = CADRE_NO_BLOCK;
	expect(1, "slot 3 of window 0: the 1000 bytes of its request");
	PUT(0, 4, .phase = CADRE_FILLING, .generation = 1);
	slot->request.block = cadre_block_take(&blocks, 1000, 4, 1);
	expect(1, "do not lie in a block of its own");
}

static struct cadre_stream *put_stream(struct cadre_slot *slot)
{
	struct cadre_block_pool blocks = cadre_layout_blocks(&view);
	struct cadre_stream *stream;
	uint64_t size;

	slot->request.with = CADRE_WITH_STREAM;
	slot->request.length = 100;
	slot->request.block = cadre_block_take(&blocks, cadre_stream_bytes(100, 256), 3,
					       1);
	stream = (void *)cadre_block_bytes(&blocks, slot->request.block, 3, 1, &size);
	cr_assert_not_null(stream);
	cadre_stream_init(stream, 256);
	return stream;
}

Test(check, the_ring_of_a_stream_fits_into_its_block)
{
	struct cadre_stream *const stream = put_stream(
		PUT(0, 3, .phase = CADRE_QUEUED, .generation = 1));

	seat_client(0);
	expect_nothing();
	stream->room = UINT64_C(1) << 40;
	expect(1, "slot 3 of window 0: the 100 bytes of its request");
	stream->room = 251; /* No multiple of 8. */
	expect(1, "slot 3 of window 0: the 100 bytes of its request");
}

Test(check, nobody_has_read_more_of_a_stream_than_was_emitted)
{
	struct cadre_stream *const stream = put_stream(
		PUT(0, 3, .phase = CADRE_QUEUED, .generation = 1));

	seat_client(0);
	atomic_store(&stream->tail, 1000);
	atomic_store(&stream->head, 1000);
	expect_nothing();
	atomic_store(&stream->head, 1008);
	expect(1, "slot 3 of window 0: 1008 bytes of its stream were read, and only 1000");
}

Test(check, a_job_may_not_be_in_a_window_that_nobody_leased)
{
	PUT(2, 6, .phase = CADRE_DONE, .generation = 1);
	expect(1, "slot 6 of window 2: ended, in a window that nobody has leased");
}

/* ---- jobs that nobody looks after ---- */

Test(check, a_job_may_not_run_where_nobody_sits)
{
	static const enum cadre_place_state states[] = {
		CADRE_PLACE_VACANT,
		CADRE_PLACE_STARTING,
		CADRE_PLACE_WAITING,
		CADRE_PLACE_DISABLED,
	};

	seat_client(0);
	PUT(0, 1, .phase = CADRE_RUNNING, .owner = 3, .generation = 1);
	for (size_t i = 0; i < CADRE_COUNT_OF(states); i++) {
		seat_worker(2, states[i]);
		expect(1,
		       "slot 1 of window 0: its job runs in worker 2, where nobody sits");
	}
	seat_worker(2, CADRE_PLACE_DRAINING);
	expect_nothing();
}

Test(check, a_dead_worker_and_its_jobs_wait_for_a_supervisor_that_is_there)
{
	backdrop_start_supervisor(&scene);
	seat_client(0);
	PUT(0, 1, .phase = CADRE_RUNNING, .owner = 3, .generation = 1);
	backdrop_seat(&view.worker_places[2], CADRE_PLACE_DEAD, backdrop_somebody_dead());
	cadre_mask_set(&view.header->crew.up, 2);
	expect(3, "is dead, and its reaping does not come to an end");
	cr_assert(strstr(findings[1], "worker 2: nobody sits there who could be up"));
	cr_assert(strstr(findings[2],
			 "slot 1 of window 0: its job runs in worker 2, which"));
}

Test(check, a_job_older_than_the_worker_that_has_it_was_forgotten)
{
	struct cadre_slot *const slot = PUT(0, 1, .phase = CADRE_RUNNING, .owner = 3,
					    .generation = 1);
	const int64_t now_ns = cadre_clock_ns();

	seat_client(0);
	seat_worker(2, CADRE_PLACE_UP);
	atomic_store(&view.worker_places[2].since_ns, now_ns);
	slot->request.submitted_ns = now_ns - 2 * CADRE_NS_PER_S;
	slot->reply.taken_ns = now_ns - CADRE_NS_PER_S;
	expect(1, "slot 1 of window 0: its job was taken 1000 ms before the worker 2");

	slot->reply.taken_ns = now_ns - 3 * CADRE_NS_PER_S;
	expect_nothing(); /* It was left by the job before. */
}

Test(check, a_job_that_waits_beside_a_sleeper_for_more_than_a_second_is_told)
{
	struct cadre_slot *const slot = PUT(0, 1, .phase = CADRE_QUEUED, .generation = 1);

	seat_client(0);
	seat_worker(1, CADRE_PLACE_UP);
	cadre_mask_set(&view.header->crew.up, 1);
	cadre_mask_set(&view.header->crew.sleepers, 1);
	expect_nothing();

	slot->request.submitted_ns -= 2 * CADRE_NS_PER_S;
	expect(1, "slot 1 of window 0: its job has been pending for ");
	cr_assert(strstr(findings[0], "beside worker 1, which sleeps"), "%s", findings[0]);

	PUT(0, 1, .phase = CADRE_QUEUED, .generation = 1, .owner = 1);
	slot->request.submitted_ns -= 2 * CADRE_NS_PER_S;
	expect_nothing(); /* It is for worker 0 alone. */
}

/* ---- blocks ---- */

Test(check, a_block_may_not_belong_to_a_job_that_is_yet_to_come)
{
	const uint32_t slot = 1 * SLOTS + 4;

	seat_client(1);
	PUT(1, 4, .phase = CADRE_FREE, .generation = 5);
	atomic_store(&view.block_owners[7].word, (uint64_t)(slot + 1) << 40 | 5);
	expect_nothing(); /* Free by rule. */
	cr_assert_eq(balance.blocks_used, 0);

	atomic_store(&view.block_owners[7].word, (uint64_t)(slot + 1) << 40 | 6);
	expect(1,
	       "block 7: it belongs to job 6 of slot 4 of window 1, which is only at job 5");
	cr_assert_eq(balance.blocks_used, 1);
}

/* ---- places ---- */

Test(check, a_place_in_an_impossible_state_is_told)
{
	seat_worker(0, (enum cadre_place_state)77);
	expect(1, "worker 0: state 77 of its place cannot be");
	atomic_store(&view.worker_places[0].state, cadre_place_pack(CADRE_PLACE_UP, 1));
	expect(1, "worker 0: it is up, and its place names no process");
	atomic_store(&view.worker_places[0].state, 0);

	backdrop_seat(&view.client_places[1], CADRE_PLACE_STARTING, cadre_process_self());
	expect(1, "window 1: state 1 of its client's place cannot be");
	atomic_store(&view.client_places[1].state, cadre_place_pack(CADRE_PLACE_UP, 1));
	expect(1, "window 1: its client is up, and its place names no process");
}

Test(check, bits_of_the_crew_need_a_worker)
{
	struct cadre_crew *const crew = &view.header->crew;
	struct cadre_mask *const masks[] = { &crew->up, &crew->sleepers, &crew->engaged };
	static const char *const names[] = { "up", "asleep", "engaged" };

	for (size_t i = 0; i < 3; i++) {
		cadre_mask_set(masks[i], 2);
		expect(1, "worker 2: nobody sits there who could be %s", names[i]);
		seat_worker(2, CADRE_PLACE_UP);
		expect_nothing();
		atomic_store(&view.worker_places[2].state, 0);
		cadre_mask_clear(masks[i], 2);
	}
	cadre_mask_set(&crew->sleepers, 511);
	expect(1, "the masks of the crew name worker 511 of 3");
}

Test(check, a_death_that_a_living_supervisor_does_not_see_is_told)
{
	const pid_t supervisor = backdrop_start_supervisor(&scene);

	seat_client(1);
	backdrop_seat(&view.client_places[1], CADRE_PLACE_UP, backdrop_somebody_dead());
	expect(1, "window 1: its client (pid %d) is dead, and the supervisor (pid %d)",
	       cadre_place_who(&view.client_places[1]).pid, supervisor);

	seat_client(1);
	backdrop_seat(&view.worker_places[0], CADRE_PLACE_UP, backdrop_somebody_dead());
	expect(1, "worker 0 (pid %d) is dead, and the supervisor (pid %d)",
	       cadre_place_who(&view.worker_places[0]).pid, supervisor);
	backdrop_seat(&view.worker_places[0], CADRE_PLACE_DRAINING,
		      backdrop_somebody_dead());
	expect(1, "worker 0");
}

Test(check, leases_and_clients_go_together)
{
	seat_client(2);
	cadre_mask_clear(&view.header->leased, 2);
	expect(1, "window 2: its client (pid %d) is up, and it is not leased", getpid());

	atomic_store(&view.client_places[2].state, 0);
	cadre_mask_set(&view.header->leased, 2);
	backdrop_start_supervisor(&scene);
	expect(1, "window 2: it is leased, and its client's place is vacant");

	cadre_mask_clear(&view.header->leased, 2);
	cadre_mask_set(&view.header->leased, 64);
	expect(1, "the mask of leases names window 64 of 3");
}

Test(check, a_state_of_the_pool_that_cannot_be_is_told)
{
	atomic_store(&view.header->state, 9);
	expect(1, "state 9 of the pool cannot be");
}

/* ---- bytes that no pool would write ---- */

static void begin_large(void)
{
	make_pool(512);
}

TestSuite(large_check, .init = begin_large, .fini = end, .timeout = 60);

Test(large_check, the_list_of_findings_has_an_end)
{
	for (uint32_t window = 0; window < CLIENTS; window++) {
		seat_client(window);
		for (uint32_t index = 0; index < 512; index++)
			PUT(window, index, .phase = (enum cadre_phase)6);
	}
	cr_assert_eq(check(), 257);
	cr_assert(strstr(findings[255], "slot 255 of window 0"), "%s", findings[255]);
	cr_assert(strstr(findings[256], "more things looked wrong"), "%s", findings[256]);
}

static void expect_an_answer(void)
{
	struct cadre_diag diag = { "" };
	int r;

	found = 0;
	r = cadre_check(scene.pool, listen, NULL, &diag);
	cr_assert(r < 0 ? diag.text[0] != '\0' : r == found && r <= 257);
}

/* Behind the header, which a reader refuses when it is damaged. */
Test(check, random_bytes_are_an_answer_not_a_fault)
{
	const size_t end_of_blocks = (size_t)(view.arena - view.segment.base);

	for (unsigned seed = 1; seed <= 6; seed++) {
		unsigned state = seed;

		for (size_t at = sizeof(struct cadre_header); at < end_of_blocks; at += 8) {
			const uint64_t word = backdrop_random_word(&state);

			memcpy(view.segment.base + at, &word, sizeof(word));
		}
		if (seed % 2 == 0)
			memset(&view.header->crew, 0xff, 3 * sizeof(struct cadre_mask));
		expect_an_answer();
	}
	memset(view.segment.base + sizeof(struct cadre_header), 0xff,
	       end_of_blocks - sizeof(struct cadre_header));
	expect_an_answer();
	backdrop_start_supervisor(&scene);
	expect_an_answer();
}

/* Writes over slots, books and owners as fast as it can. */
static int scribble(void *context)
{
	const size_t from = (size_t)((unsigned char *)view.slots - view.segment.base);
	const size_t size = (size_t)(view.arena - view.segment.base) - from;
	unsigned seed = 7;

	(void)context;
	while (getppid() > 1) {
		const uint64_t word = backdrop_random_word(&seed);

		memcpy(view.segment.base + from + (size_t)rand_r(&seed) % (size / 8) * 8,
		       &word, sizeof(word));
	}
	return CHILD_FAILED;
}

Test(check, a_process_that_scribbles_over_the_segment_is_survived)
{
	const pid_t scribbler = child_start(scribble, NULL);

	for (int round = 0; round < 3; round++)
		expect_an_answer();
	child_kill(scribbler);
}

/* ---- pools that cannot be read ---- */

Test(check, a_pool_that_cannot_be_read_is_refused_with_a_sentence)
{
	struct cadre_diag diag = { "" };

	cr_assert_eq(cadre_check("no-such-pool", NULL, NULL, &diag), -ENOENT);
	cr_assert_neq(diag.text[0], '\0');
	cr_assert_eq(cadre_check("no such name", NULL, NULL, &diag), -EINVAL);
	cr_assert_eq(cadre_check(NULL, NULL, NULL, NULL), -EINVAL);
	cr_assert_eq(cadre_check(scene.pool, NULL, NULL, NULL), 0);
	atomic_store(&view.header->ready, 0);
	cr_assert_eq(cadre_check(scene.pool, NULL, NULL, &diag), -ECONNREFUSED);
	view.header->layout++;
	cr_assert_eq(cadre_check(scene.pool, NULL, NULL, &diag), -EPROTONOSUPPORT);
	view.header->magic++;
	cr_assert_eq(cadre_check(scene.pool, NULL, NULL, NULL), -EBADMSG);
}

/* ---- tokens ---- */

static void put_token(struct cadre_token_word word)
{
	atomic_store(&view.tokens.cells[2].word, cadre_token_pack(word));
}

Test(check, a_token_belongs_to_a_client_that_there_can_be)
{
	seat_client(0);
	put_token((struct cadre_token_word){ .phase = CADRE_TOKEN_LIVE, .generation = 1 });
	expect_nothing();
	put_token((struct cadre_token_word){
		.phase = CADRE_TOKEN_LIVE, .owner = 1023, .generation = 1 });
	expect(1, "token 2: phase 2 of client 1023 cannot be");
	put_token((struct cadre_token_word){ .phase = 7, .generation = 1 });
	expect(1, "token 2: phase 7 of client 0 cannot be");
}

Test(check, no_token_outlives_its_client_unreleased_where_a_supervisor_lives)
{
	put_token((struct cadre_token_word){
		.phase = CADRE_TOKEN_CANCELLED, .owner = 1, .generation = 1 });
	expect_nothing(); /* The next supervisor would release it. */
	backdrop_start_supervisor(&scene);
	expect(1, "token 2: it belongs to client 1, which is gone");
	put_token((struct cadre_token_word){ .phase = CADRE_TOKEN_CANCELLED,
					     .released = true,
					     .owner = 1,
					     .generation = 1 });
	expect_nothing();
}
