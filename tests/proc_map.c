/*
 * proc_map.c - claims about cadre_map and about batches that are reaped in one call.
 */
#include "claims.h"

#include <cadre/map.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(map, TROUPE);

#define INPUTS_MAX 4096

/* What a map is to do, and what it saw. */
struct plan {
	int32_t operation;
	uint64_t inputs;
	uint32_t numbers[INPUTS_MAX]; /* of inputs of HOLD: the gate; others carry their index */
	uint32_t length;              /* of each payload; 0: a number */
	unsigned flags;
	struct cadre_perf_counter *counter;
	uint64_t stop_at_result; /* the map is ended by this result, from 1; 0: never */
	uint64_t stop_at_input;  /* likewise */
	int stop_with;
	int fd; /* inputs are bytes of a pipe; -1 for none */

	unsigned char *bytes;
	uint64_t asked;
	uint64_t results;
	uint64_t order[INPUTS_MAX]; /* which input each result was of */
	enum cadre_outcome outcomes[INPUTS_MAX];
	uint64_t wrong;
	uint64_t most_under_way;
	unsigned ticks;
};

static uint32_t number_of(const struct plan *told, uint64_t index)
{
	return told->operation == TROUPE_HOLD ? told->numbers[index] : (uint32_t)index;
}

static int give(uint64_t index, struct cadre_map_input *input, void *context)
{
	struct plan *const plan = context;
	static uint32_t number;
	char byte;

	plan->asked++;
	if (plan->stop_at_input && index + 1 == plan->stop_at_input)
		return plan->stop_with;
	if (index == plan->inputs)
		return 0;
	if (plan->fd >= 0) {
		const ssize_t got = read(plan->fd, &byte, 1);

		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
	}
	if (index - plan->results + 1 > plan->most_under_way)
		plan->most_under_way = index - plan->results + 1;
	number = number_of(plan, index);
	input->request = (struct cadre_request){
		.operation = plan->operation,
		.flags = plan->flags,
		.data = plan->length ? (const void *)plan->bytes : &number,
		.length = plan->length ? plan->length : sizeof(number),
		.counter = plan->counter,
	};
	input->item = &plan->numbers[index];
	if (plan->length)
		troupe_fill(plan->bytes, plan->length, (uint32_t)index);
	return 1;
}

static bool is_right(const struct plan *plan, uint64_t index,
		     const struct cadre_result *result)
{
	uint32_t number;

	if (result->outcome != CADRE_OK)
		return true;
	if (plan->length)
		return troupe_holds(result->data, result->length, (uint32_t)index);
	memcpy(&number, result->data, sizeof(number));
	return result->length == sizeof(number) && number == number_of(plan, index);
}

static int take(uint64_t index, void *item, const struct cadre_result *result,
		void *context)
{
	struct plan *const plan = context;

	plan->wrong += item != &plan->numbers[index];
	plan->wrong += !is_right(plan, index, result);
	plan->order[plan->results] = index;
	plan->outcomes[index] = result->outcome;
	plan->results++;
	return plan->results == plan->stop_at_result ? plan->stop_with : 0;
}

static struct plan plan;
static struct cadre_map_sums sums;

static void make_plan(int32_t operation, uint64_t inputs)
{
	plan.operation = operation;
	plan.inputs = inputs;
	plan.fd = -1;
}

static int run_map(struct cadre_map_options options)
{
	options.size = sizeof(options);
	return cadre_map(troupe.client, give, take, &plan, &options, &sums);
}

#define MAP(...) run_map((struct cadre_map_options){ .size = 0, __VA_ARGS__ })

static bool is_each_once(void)
{
	static unsigned char seen[INPUTS_MAX];

	memset(seen, 0, sizeof(seen));
	for (uint64_t i = 0; i < plan.results; i++) {
		if (plan.order[i] >= plan.inputs || seen[plan.order[i]]++)
			return false;
	}
	return true;
}

/* ---- results ---- */

Test(map, hands_out_each_result_once_with_the_index_of_its_input)
{
	START(.workers_min = 2, .workers_max = 2, .window_slots = 16);
	make_plan(TROUPE_ECHO, 2000);
	cr_assert_eq(MAP(0), 0);
	cr_assert_eq(plan.results, 2000);
	cr_assert(is_each_once());
	cr_assert_eq(plan.wrong, 0);
	cr_assert_eq(sums.accepted, 2000);
	cr_assert_eq(sums.delivered, 2000);
	cr_assert_eq(sums.cancelled, 0);
}

/* The first of all waits at the gate until others, on the other worker, have been done. */
static int open_gate_later(void *context)
{
	struct plan *const told = context;

	if (++told->ticks == 3)
		open_gate(1);
	return 0;
}

Test(map, in_order_is_the_order_of_the_inputs_whoever_ends_first)
{
	START(.workers_min = 2, .workers_max = 2, .window_slots = 8);
	make_plan(TROUPE_HOLD, 500);
	for (unsigned i = 0; i < 500; i += 5)
		plan.numbers[i] = 1;
	cr_assert_eq(MAP(.ordered = true, .tick = open_gate_later, .tick_ns = 5000000), 0);
	cr_assert_eq(plan.results, 500);
	for (uint64_t i = 0; i < 500; i++)
		cr_assert_eq(plan.order[i], i);
	cr_assert_eq(plan.wrong, 0);
}

Test(map, as_they_come_does_not_wait_for_the_first)
{
	START(.workers_min = 2, .workers_max = 2, .window_slots = 8);
	make_plan(TROUPE_HOLD, 50);
	plan.numbers[0] = 1;
	plan.stop_at_result = 49; /* all but the one at the gate */
	plan.stop_with = 3;
	cr_assert_eq(MAP(0), 3);
	for (uint64_t i = 0; i < 49; i++)
		cr_assert_neq(plan.order[i], 0);
	open_gate(1);
}

Test(map, of_nothing_is_done_at_once)
{
	START(ONE_WORKER);
	make_plan(TROUPE_ECHO, 0);
	cr_assert_eq(MAP(0), 0);
	cr_assert_eq(plan.results, 0);
	cr_assert_eq(plan.asked, 1);
}

Test(map, carries_payloads_of_any_size)
{
	static const uint32_t lengths[] = { 1, 88, 89, 5000, 200000 };

	START(.workers_min = 2, .workers_max = 2, .payload_max = 1 << 18,
	      .block_bytes = 8 << 20);
	plan.bytes = malloc(200000);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		make_plan(TROUPE_ECHO, 60);
		plan.length = lengths[i];
		plan.results = 0;
		cr_assert_eq(MAP(.ordered = i % 2), 0);
		cr_assert_eq(plan.results, 60);
		cr_assert_eq(plan.wrong, 0, "%u bytes", lengths[i]);
	}
	free(plan.bytes);
}

static int write_in_place(uint64_t index, struct cadre_map_input *input, void *context)
{
	struct plan *const told = context;
	int r;

	if (index == told->inputs)
		return 0;
	r = cadre_try_draft(troupe.client, told->length, &input->draft);
	/* No slot: as if there were no input yet. */
	if (r < 0)
		return r == -ENOBUFS ? -EAGAIN : r;
	troupe_fill(input->draft.data, told->length, (uint32_t)index);
	input->request = (struct cadre_request){ .operation = told->operation,
						 .length = told->length };
	input->item = &told->numbers[index];
	return 1;
}

Test(map, takes_payloads_that_were_written_in_place)
{
	const struct cadre_map_options options = { .size = sizeof(options),
						   .in_flight = 4 };

	START(ONE_WORKER);
	make_plan(TROUPE_ECHO, 100);
	plan.length = 5000;
	cr_assert_eq(cadre_map(troupe.client, write_in_place, take, &plan, &options, NULL),
		     0);
	cr_assert_eq(plan.results, 100);
	cr_assert_eq(plan.wrong, 0);
}

Test(map, failed_jobs_are_results_like_others)
{
	START(.workers_min = 2, .workers_max = 2);
	make_plan(TROUPE_SILENT, 50);
	cr_assert_eq(MAP(0), 0);
	for (unsigned i = 0; i < 50; i++)
		cr_assert_eq(plan.outcomes[i], CADRE_FAILED);
}

static void *kill_a_worker(void *context)
{
	(void)context;
	while (atomic_load(&troupe.board->waiting) == 0)
		child_pause_ms(1);
	kill(troupe_worker(troupe.scene.pool, 0), SIGKILL);
	open_gate(1);
	return NULL;
}

Test(map, goes_on_when_a_worker_dies_and_says_which_input_it_took_along)
{
	unsigned lost = 0;
	pthread_t killer;

	START(ONE_WORKER);
	make_plan(TROUPE_HOLD, 20);
	plan.numbers[10] = 1;
	pthread_create(&killer, NULL, kill_a_worker, NULL);
	cr_assert_eq(MAP(0), 0);
	pthread_join(killer, NULL);
	cr_assert_eq(plan.results, 20);
	for (unsigned i = 0; i < 20; i++)
		lost += plan.outcomes[i] == CADRE_LOST;
	cr_assert_eq(lost, 1);
	cr_assert_eq(plan.outcomes[10], CADRE_LOST);
}

/* ---- the bound ---- */

Test(map, has_no_more_under_way_than_was_asked_for)
{
	START(.workers_min = 2, .workers_max = 2, .window_slots = 64);
	make_plan(TROUPE_ECHO, 500);
	cr_assert_eq(MAP(.in_flight = 3), 0);
	cr_assert_leq(plan.most_under_way, 3);
	plan.results = 0;
	plan.most_under_way = 0;
	cr_assert_eq(MAP(.in_flight = 3, .ordered = true), 0);
	cr_assert_leq(plan.most_under_way, 3);
	cr_assert_eq(plan.results, 500);
}

Test(map, waits_for_room_that_others_have)
{
	struct cadre_ticket held[4];

	START(ONE_WORKER, .window_slots = 4);
	held[0] = occupy_worker();
	for (unsigned i = 1; i < 4; i++)
		held[i] = submit(ASK(TROUPE_ECHO, i));
	make_plan(TROUPE_ECHO, 20);
	/* There is no slot left for the map, and none comes back before its time is over. */
	cr_assert_eq(MAP(.until_ns = cadre_in_ms(20)), -ETIMEDOUT);
	cr_assert_eq(sums.accepted, 0);
	open_gate(1);
	for (unsigned i = 0; i < 4; i++)
		expect(held[i], CADRE_OK);
	cr_assert_eq(MAP(0), 0);
	cr_assert_eq(plan.results, 20);
}

/* ---- early ends ---- */

/* Every slot of the window can be had: nothing of the map is left in its hands. */
static void expect_whole_window(void)
{
	const uint32_t window = cadre_client_window(troupe.client);
	struct cadre_ticket tickets[256];

	for (uint32_t i = 0; i < window; i++)
		tickets[i] = submit(ASK(TROUPE_ECHO, i));
	for (uint32_t i = 0; i < window; i++)
		expect(tickets[i], CADRE_OK);
}

Test(map, ended_by_a_result_cancels_what_is_under_way_and_hands_out_no_more)
{
	START(ONE_WORKER, .window_slots = 16);
	make_plan(TROUPE_HOLD, 1000);
	for (unsigned i = 0; i < 5; i++)
		plan.numbers[i] = 1;
	for (unsigned i = 5; i < 1000; i++)
		plan.numbers[i] = 2;
	plan.stop_at_result = 5;
	plan.stop_with = -ECANCELED;
	open_gate(1);
	cr_assert_eq(MAP(0), -ECANCELED);
	cr_assert_eq(plan.results, 5);
	cr_assert_eq(sums.delivered, 5);
	cr_assert_eq(sums.accepted - sums.delivered, sums.cancelled);
	cr_assert_gt(sums.cancelled, 0);
	open_gate(2);
	expect_whole_window();
	cr_assert_leq(atomic_load(&troupe.board->begun), 6,
		      "those that were pending never ran");
}

Test(map, ended_by_an_input_cancels_what_is_under_way)
{
	START(ONE_WORKER, .window_slots = 16);
	make_plan(TROUPE_HOLD, 1000);
	for (unsigned i = 0; i < 20; i++)
		plan.numbers[i] = 1;
	plan.stop_at_input = 8;
	plan.stop_with = -EIO;
	cr_assert_eq(MAP(0), -EIO);
	cr_assert_eq(plan.results, 0);
	cr_assert_eq(sums.accepted, 7);
	cr_assert_eq(sums.cancelled, 7);
	open_gate(1);
	expect_whole_window();
}

Test(map, ends_at_its_deadline)
{
	START(ONE_WORKER);
	make_plan(TROUPE_HOLD, 3);
	for (unsigned i = 0; i < 3; i++)
		plan.numbers[i] = 1;
	cr_assert_eq(MAP(.until_ns = cadre_in_ms(30)), -ETIMEDOUT);
	cr_assert_eq(sums.cancelled, 3);
	open_gate(1);
	expect_whole_window();
}

Test(map, ends_with_why_an_input_was_refused)
{
	START(ONE_WORKER, .payload_max = 1000);
	plan.bytes = malloc(2000);
	make_plan(TROUPE_ECHO, 10);
	plan.length = 2000;
	cr_assert_eq(MAP(0), -EMSGSIZE);
	free(plan.bytes);
	plan.length = 0;
	plan.flags = CADRE_DETACHED;
	cr_assert_eq(MAP(0), -EINVAL);
	plan.flags = 0;
	cr_assert_eq(MAP(.tick_ns = -1), -EINVAL);
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(MAP(0), -ESHUTDOWN);
}

static int tick_twice(void *context)
{
	struct plan *const told = context;

	return ++told->ticks == 2 ? 7 : 0;
}

static int stop_pool(void *context)
{
	struct plan *const told = context;

	if (told->ticks++ == 0 && troupe_stop(&troupe) == 0)
		open_gate(1);
	return 0;
}

Test(map, of_a_pool_that_is_stopped_hands_out_what_was_accepted)
{
	START(ONE_WORKER, .window_slots = 8);
	make_plan(TROUPE_HOLD, 1000);
	for (unsigned i = 0; i < 1000; i++)
		plan.numbers[i] = 1;
	cr_assert_eq(MAP(.tick = stop_pool, .tick_ns = 1000000), -ESHUTDOWN);
	cr_assert_geq(plan.results, 8);
	cr_assert_eq(plan.results, sums.accepted);
	cr_assert_eq(sums.cancelled, 0);
	for (uint64_t i = 0; i < plan.results; i++)
		cr_assert_eq(plan.outcomes[i], CADRE_OK);
}

Test(map, ended_by_a_tick_though_nothing_happens)
{
	START(ONE_WORKER);
	make_plan(TROUPE_HOLD, 2);
	plan.numbers[0] = 1;
	plan.numbers[1] = 1;
	cr_assert_eq(MAP(.tick = tick_twice, .tick_ns = 1000000), 7);
	cr_assert_eq(plan.ticks, 2);
	open_gate(1);
}

/* ---- inputs that come late ---- */

static int write_slowly(void *context)
{
	const int fd = *(const int *)context;

	for (int i = 0; i < 10; i++) {
		child_pause_ms(3);
		if (write(fd, "x", 1) != 1)
			return CHILD_FAILED;
	}
	return CHILD_FINE;
}

Test(map, waits_for_inputs_that_come_late_and_for_results_meanwhile)
{
	pid_t writer;
	int pair[2];

	START(ONE_WORKER);
	cr_assert_eq(pipe2(pair, O_NONBLOCK | O_CLOEXEC), 0);
	writer = child_start(write_slowly, &pair[1]);
	close(pair[1]);
	make_plan(TROUPE_ECHO, 1000);
	plan.fd = pair[0];
	cr_assert_eq(MAP(.has_input_fd = true, .input_fd = pair[0]), 0);
	cr_assert_eq(plan.results, 10);
	cr_assert_eq(child_end(writer), CHILD_FINE);
	close(pair[0]);
}

/* ---- batches ---- */

#define BATCH 32

static void submit_batch(struct cadre_ticket tickets[BATCH], uint32_t numbers[BATCH],
			 int32_t operation)
{
	struct cadre_request requests[BATCH];

	for (uint32_t i = 0; i < BATCH; i++)
		requests[i] = (struct cadre_request){ .operation = operation,
						      .data = &numbers[i],
						      .length = sizeof(numbers[i]) };
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests, BATCH, tickets),
		     BATCH);
}

Test(map, a_batch_is_submitted_and_reaped_in_one_call_each)
{
	struct cadre_ticket tickets[BATCH];
	struct cadre_result results[BATCH];
	uint32_t numbers[BATCH];
	size_t indices[BATCH];

	START(ONE_WORKER);
	for (uint32_t i = 0; i < BATCH; i++)
		numbers[i] = 100 + i;
	submit_batch(tickets, numbers, TROUPE_ECHO);
	cr_assert_eq(cadre_await_some(troupe.client, tickets, BATCH, BATCH, GENEROUS,
				      results, indices),
		     BATCH);
	for (uint32_t i = 0; i < BATCH; i++) {
		cr_assert_eq(number_in(&results[i]), 100 + indices[i]);
		cr_assert_eq(tickets[i].id, 0);
	}
	cr_assert_eq(cadre_release_batch(troupe.client, results, BATCH), 0);
	cr_assert_eq(cadre_release_batch(troupe.client, results, BATCH), -ESTALE);
	cr_assert_eq(cadre_await_some(troupe.client, tickets, BATCH, 1, GENEROUS, results,
				      NULL),
		     -ENOENT);
}

Test(map, a_batch_is_reaped_as_far_as_it_has_ended)
{
	struct cadre_ticket tickets[BATCH];
	struct cadre_result results[BATCH];
	uint32_t numbers[BATCH];

	START(ONE_WORKER);
	for (uint32_t i = 0; i < BATCH; i++)
		numbers[i] = i < 10 ? 0 : 1;
	submit_batch(tickets, numbers, TROUPE_HOLD);
	cr_assert_eq(cadre_await_some(troupe.client, tickets, BATCH, 10, GENEROUS,
				      results, NULL),
		     10);
	cr_assert_eq(cadre_release_batch(troupe.client, results, 10), 0);
	cr_assert_eq(cadre_await_some(troupe.client, tickets, BATCH, 0, GENEROUS, results,
				      NULL),
		     -EAGAIN);
	cr_assert_eq(cadre_await_some(troupe.client, tickets, BATCH, 5, cadre_in_ms(5),
				      results, NULL),
		     -ETIMEDOUT);
	open_gate(1);
	cr_assert_eq(cadre_await_some(troupe.client, tickets, BATCH, 1000, GENEROUS,
				      results, NULL),
		     BATCH - 10, "fewer are left");
	cr_assert_eq(cadre_release_batch(troupe.client, results, BATCH - 10), 0);
}

Test(map, a_ticket_that_is_none_is_an_error_of_the_reaping)
{
	struct cadre_ticket ticket;
	struct cadre_result result;

	START(ONE_WORKER);
	ticket = submit(ASK(TROUPE_ECHO, 1));
	expect(ticket, CADRE_OK);
	cr_assert_eq(cadre_await_some(troupe.client, &ticket, 1, 1, GENEROUS, &result,
				      NULL),
		     -ESTALE);
}
