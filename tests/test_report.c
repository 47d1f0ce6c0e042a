/*
 * test_report.c - claims about what a report says of a segment, and about bytes that no
 * pool would write.
 *
 * The pool is a segment that the test fills by hand: what a report shows must follow from
 * the bytes alone. Since no supervisor holds the lock, places say the truth only if their
 * process lives; so the living ones are all this process.
 */
#include "backdrop.h"
#include "child.h"
#include "clock.h"

#include <cadre/report.h>

#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 5u
#define CLIENTS 3u
#define LOCALS 2u
#define SLOTS 8u

static const struct cadre_limits small = {
	.workers = WORKERS,
	.locals = LOCALS,
	.workers_min = 2,
	.parallel = 2,
	.clients = CLIENTS,
	.slots = SLOTS,
	.payload_max = 4096,
	.block_bytes = 65536,
};

static struct scene scene;
static struct cadre_view view;
static struct cadre_report *report;
static struct cadre_sampler *sampler;

static void make_pool(const struct cadre_limits *limits)
{
	struct cadre_diag diag = { "" };

	backdrop_paint(&scene, limits, &view);
	cr_assert_eq(cadre_report_open(scene.pool, &report, &diag), 0, "%s", diag.text);
	cr_assert_eq(cadre_sampler_open(&sampler), 0);
}

static void begin(void)
{
	make_pool(&small);
}

static void end(void)
{
	cadre_sampler_close(sampler);
	cadre_report_close(report);
	backdrop_remove(&scene, &view);
}

TestSuite(report, .init = begin, .fini = end);

/* ---- building what a report should see ---- */

static void seat_worker(uint32_t index, enum cadre_place_state state,
			enum cadre_activity activity)
{
	backdrop_seat(&view.worker_places[index], state, cadre_process_self());
	cadre_stats_turn_to(&view.worker_stats[index], activity, cadre_clock_ns());
}

static void seat_client(uint32_t window)
{
	backdrop_seat(&view.client_places[window], CADRE_PLACE_UP, cadre_process_self());
	cadre_mask_set(&view.header->leased, window);
}

static struct cadre_slot *put(uint32_t window, uint32_t index, struct cadre_word word)
{
	struct cadre_slot *const slot = cadre_view_slot(&view, window, index);

	atomic_store(&slot->request.word, cadre_word_pack(word));
	return slot;
}

static void put_queued(uint32_t window, uint32_t index, int64_t submitted_ns)
{
	put(window, index, (struct cadre_word){ .phase = CADRE_QUEUED, .generation = 1 })
		->request.submitted_ns = submitted_ns;
}

static struct cadre_slot *put_running(uint32_t window, uint32_t index, uint32_t worker,
				      int64_t taken_ns)
{
	struct cadre_slot *const slot = put(window, index,
					    (struct cadre_word){ .phase = CADRE_RUNNING,
								 .owner = worker + 1,
								 .generation = 1 });

	slot->reply.taken_ns = taken_ns;
	return slot;
}

static struct cadre_books *books_of(uint32_t window, uint32_t index)
{
	return &view.books[window * SLOTS + index];
}

/* As the worker would find it. */
static struct cadre_latency_line *line_of(uint32_t worker, int32_t operation)
{
	return cadre_stats_line(cadre_view_latencies(&view, worker), view.latency_lines,
				operation);
}

static const struct cadre_worker_snapshot *worker_after_read(uint32_t index)
{
	cadre_report_read(report);
	return cadre_report_worker(report, index);
}

/* ---- local workers ---- */

static const struct cadre_guest_snapshot *guest_after_read(uint32_t index)
{
	cadre_report_read(report);
	return cadre_report_guest(report, index);
}

Test(report, a_local_worker_past_its_deadline_or_without_a_living_owner_is_shown_so)
{
	struct cadre_slot *slot;

	seat_worker(WORKERS + 1, CADRE_PLACE_UP, CADRE_ACTIVITY_BUSY);
	seat_client(0);
	cr_assert_eq(guest_after_read(0)->letter, '.');
	cr_assert_eq(guest_after_read(1)->letter, 'W');
	cr_assert_eq(guest_after_read(1)->worker, WORKERS + 1);
	slot = put_running(0, 0, WORKERS + 1, cadre_clock_ns() - CADRE_NS_PER_S);
	cr_assert_geq(guest_after_read(1)->running_ns, CADRE_NS_PER_S);
	slot->request.with = CADRE_WITH_DEADLINE;
	slot->request.deadline_ns = cadre_clock_ns() - 1;
	cr_assert_eq(guest_after_read(1)->letter, 'H');
	cr_assert_eq(cadre_report_read(report)->workers_ready, 0);
	cr_assert_eq(cadre_report_read(report)->workers_busy, 0);
	cr_assert_eq(cadre_report_read(report)->operation_count, 0);
	cr_assert_eq(cadre_report_read(report)->locals, 1);

	backdrop_seat(&view.worker_places[WORKERS + 1], CADRE_PLACE_UP,
		      backdrop_somebody_dead());
	cr_assert_eq(guest_after_read(1)->letter, 'X');
	cr_assert_eq(guest_after_read(1)->workload, 0);
	cr_assert_str_eq(guest_after_read(1)->program, "");
	cr_assert_eq(cadre_report_read(report)->locals, 0);
	/* What left without a supervisor to tell. */
	backdrop_seat(&view.worker_places[WORKERS + 1], CADRE_PLACE_DRAINING,
		      cadre_process_self());
	slot->request.with = 0;
	cr_assert_eq(guest_after_read(1)->letter, 'G');
	cr_assert_null(cadre_report_guest(report, LOCALS));
}

/* ---- the pool ---- */

Test(report, a_fresh_pool_shows_its_limits_and_nothing_else)
{
	const struct cadre_pool_snapshot *const pool = cadre_report_read(report);

	cr_assert_str_eq(pool->name, scene.pool);
	cr_assert_str_eq(pool->state, "open");
	cr_assert_eq(pool->workers_min, 2);
	cr_assert_eq(pool->workers_max, WORKERS);
	cr_assert_eq(pool->worker_count, WORKERS);
	cr_assert_eq(pool->clients_max, CLIENTS);
	cr_assert_eq(pool->window_slots, SLOTS);
	cr_assert_eq(pool->client_count, 0);
	cr_assert_eq(pool->queue_length, 0);
	cr_assert_eq(pool->in_flight, 0);
	cr_assert_eq(pool->oldest_pending_ns, 0);
	cr_assert_eq(pool->segment_bytes, view.size);
	for (uint32_t index = 0; index < WORKERS; index++)
		cr_assert_eq(cadre_report_worker(report, index)->letter, '.');
	cr_assert_null(cadre_report_worker(report, WORKERS));
	cr_assert_null(cadre_report_client(report, 0));
}

Test(report, queue_and_flight_are_counted_over_all_windows)
{
	const int64_t now_ns = cadre_clock_ns();
	const struct cadre_pool_snapshot *pool;

	seat_client(0);
	seat_client(2);
	put_queued(0, 0, now_ns - 5 * CADRE_NS_PER_MS);
	put_queued(0, 7, now_ns - 2 * CADRE_NS_PER_MS);
	put_queued(2, 3, now_ns - 1 * CADRE_NS_PER_MS);
	put_running(2, 4, 1, now_ns);
	put(2, 5, (struct cadre_word){ .phase = CADRE_FILLING, .generation = 1 });

	pool = cadre_report_read(report);
	cr_assert_eq(pool->queue_length, 3);
	cr_assert_eq(pool->in_flight, 4);
	cr_assert_geq(pool->oldest_pending_ns, 5 * CADRE_NS_PER_MS);
	cr_assert_lt(pool->oldest_pending_ns, 5 * CADRE_NS_PER_S);

	cr_assert_eq(pool->client_count, 2);
	cr_assert_eq(pool->clients, 2);
	cr_assert_eq(cadre_report_client(report, 0)->place, 0);
	cr_assert_eq(cadre_report_client(report, 0)->queued, 2);
	cr_assert_eq(cadre_report_client(report, 1)->place, 2);
	cr_assert_eq(cadre_report_client(report, 1)->running, 1);
	cr_assert_eq(cadre_report_client(report, 1)->slots_used, 3,
		     "the draft has a slot too");
}

Test(report, outcomes_are_the_sums_of_all_books_those_of_clients_that_left_included)
{
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++) {
		atomic_store(&books_of(0, 0)->ended[outcome], outcome + 1);
		atomic_store(&books_of(1, 5)->ended[outcome], 100);
	}
	seat_client(0);

	cadre_report_read(report);
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++) {
		cr_assert_eq(cadre_report_read(report)->jobs[outcome], outcome + 101);
		cr_assert_eq(cadre_report_client(report, 0)->jobs[outcome], outcome + 1);
	}
}

Test(report, a_job_that_ended_and_was_not_taken_is_counted_once_booked_or_not)
{
	seat_client(0);
	put(0, 0,
	    (struct cadre_word){
		    .phase = CADRE_DONE, .outcome = CADRE_FAILED, .generation = 7 });
	atomic_store(&books_of(0, 0)->ended[CADRE_OK], 6);
	cr_assert_eq(cadre_report_read(report)->jobs[CADRE_FAILED], 1);

	cadre_books_enter(books_of(0, 0), CADRE_FAILED);
	cr_assert_eq(cadre_report_read(report)->jobs[CADRE_FAILED], 1);
	cr_assert_eq(cadre_report_read(report)->jobs[CADRE_OK], 6);
}

Test(report, blocks_in_use_are_counted_by_class)
{
	struct cadre_block_pool blocks = cadre_layout_blocks(&view);
	const struct cadre_pool_snapshot *pool;

	put(0, 3, (struct cadre_word){ .phase = CADRE_FILLING, .generation = 1 });
	cr_assert_neq(cadre_block_take(&blocks, 100, 3, 1), CADRE_NO_BLOCK);
	cr_assert_neq(cadre_block_take(&blocks, 4000, 3, 1), CADRE_NO_BLOCK);
	cr_assert_neq(cadre_block_take(&blocks, 4000, 3, 1), CADRE_NO_BLOCK);

	pool = cadre_report_read(report);
	cr_assert_eq(pool->block_classes, view.plan.classes);
	cr_assert_eq(pool->block_used[0], 1);
	cr_assert_eq(pool->block_used[pool->block_classes - 1], 2);
}

Test(report, a_pool_is_alive_exactly_as_long_as_somebody_holds_its_lock)
{
	cr_assert_not(cadre_report_read(report)->alive);
	backdrop_start_supervisor(&scene);
	cr_assert(cadre_report_read(report)->alive);

	backdrop_kill_supervisor();
	cr_assert_not(cadre_report_read(report)->alive);
}

/* 0: seen as alive. 1: seen as dead. 77: not permitted here. */
static int look_from_another_pid_namespace(void *context)
{
	int status;
	pid_t child;

	(void)context;
	if (unshare(CLONE_NEWPID) < 0)
		return 77;
	child = fork(); /* The first one that is in it. */
	if (child == 0)
		_exit(cadre_lock_holder(scene.pool) != -1 ||
		      !cadre_report_read(report)->alive);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

Test(report, a_supervisor_in_a_pid_namespace_that_we_do_not_see_is_alive)
{
	int status;

	backdrop_start_supervisor(&scene);
	status = child_run(look_from_another_pid_namespace, NULL);
	if (status == 77)
		cr_skip_test("a pid namespace of one's own is not permitted here");
	cr_assert_eq(status, 0);
}

Test(report, operations_are_known_by_their_ids)
{
	view.header->operations[1] = (struct cadre_operation_line){ .id = 7,
								    .name = "burn" };
	view.header->operations[2] = (struct cadre_operation_line){ .id = 8,
								    .name = "a\033[2J" };

	cadre_report_read(report);
	cr_assert_str_eq(cadre_report_operation(report, 7), "burn");
	cr_assert_str_eq(cadre_report_operation(report, 8), "a?[2J",
			 "what a terminal would obey is not shown");
	cr_assert_null(cadre_report_operation(report, 0));
	cr_assert_null(cadre_report_operation(report, 9));
	cr_assert_null(cadre_report_operation(report, -1));
}

/* ---- workers ---- */

Test(report, the_letter_of_a_place_follows_from_its_state_and_activity)
{
	static const struct {
		enum cadre_place_state state;
		enum cadre_activity activity;
		char letter;
	} cases[] = {
		{ CADRE_PLACE_VACANT, CADRE_ACTIVITY_ABSENT, '.' },
		{ CADRE_PLACE_STARTING, CADRE_ACTIVITY_ABSENT, 'S' },
		{ CADRE_PLACE_UP, CADRE_ACTIVITY_ABSENT, 'S' },
		{ CADRE_PLACE_UP, CADRE_ACTIVITY_IDLE, '_' },
		{ CADRE_PLACE_UP, CADRE_ACTIVITY_BUSY, 'W' },
		{ CADRE_PLACE_UP, CADRE_ACTIVITY_BLOCKED, 'B' },
		{ CADRE_PLACE_DRAINING, CADRE_ACTIVITY_BUSY, 'G' },
		{ CADRE_PLACE_DEAD, CADRE_ACTIVITY_BUSY, 'X' },
		{ CADRE_PLACE_WAITING, CADRE_ACTIVITY_ABSENT, 'X' },
		{ CADRE_PLACE_DISABLED, CADRE_ACTIVITY_ABSENT, 'D' },
		{ (enum cadre_place_state)77, CADRE_ACTIVITY_IDLE, '?' },
	};

	for (size_t i = 0; i < CADRE_COUNT_OF(cases); i++) {
		seat_worker(0, cases[i].state, cases[i].activity);
		cr_assert_eq(worker_after_read(0)->letter, cases[i].letter,
			     "case %zu: '%c'", i, cadre_report_worker(report, 0)->letter);
	}
}

Test(report, a_worker_whose_job_is_past_its_deadline_is_shown_as_hung)
{
	struct cadre_slot *slot;

	seat_client(1);
	seat_worker(3, CADRE_PLACE_UP, CADRE_ACTIVITY_BUSY);
	slot = put_running(1, 2, 3, cadre_clock_ns());
	slot->request.with = CADRE_WITH_DEADLINE;
	slot->request.deadline_ns = cadre_clock_in_ns(CADRE_NS_PER_S * 60);
	cr_assert_eq(worker_after_read(3)->letter, 'W');

	slot->request.deadline_ns = cadre_clock_ns() - CADRE_NS_PER_MS;
	cr_assert_eq(worker_after_read(3)->letter, 'H');

	slot->request.with = 0;
	cr_assert_eq(worker_after_read(3)->letter, 'W', "what stands there means nothing");
}

Test(report, a_worker_is_idle_since_its_last_job_and_not_while_it_works)
{
	const int64_t now_ns = cadre_clock_ns();
	struct cadre_place_stats *const stats = &view.worker_stats[0];

	seat_worker(0, CADRE_PLACE_UP, CADRE_ACTIVITY_ABSENT);
	atomic_store(&stats->since_ns, 0);
	cadre_stats_turn_to(stats, CADRE_ACTIVITY_BUSY, now_ns - 30 * CADRE_NS_PER_MS);
	cr_assert_eq(worker_after_read(0)->idle_ns, 0);
	cr_assert_geq(worker_after_read(0)->spent_busy_ns, 30 * CADRE_NS_PER_MS);

	cadre_stats_turn_to(stats, CADRE_ACTIVITY_IDLE, now_ns - 10 * CADRE_NS_PER_MS);
	cr_assert_geq(worker_after_read(0)->idle_ns, 10 * CADRE_NS_PER_MS);
	cr_assert_eq(worker_after_read(0)->spent_busy_ns, 20 * CADRE_NS_PER_MS);
	cr_assert_geq(worker_after_read(0)->uptime_ns, CADRE_NS_PER_S);
}

Test(report, the_running_time_is_that_of_the_oldest_job_of_this_worker)
{
	const int64_t now_ns = cadre_clock_ns();

	seat_client(0);
	seat_worker(1, CADRE_PLACE_UP, CADRE_ACTIVITY_BUSY);
	seat_worker(2, CADRE_PLACE_UP, CADRE_ACTIVITY_BUSY);
	put_running(0, 0, 1, now_ns - 3 * CADRE_NS_PER_S);
	put_running(0, 1, 1, now_ns - 1 * CADRE_NS_PER_S);
	put_running(0, 2, 2, now_ns - 9 * CADRE_NS_PER_S);

	cr_assert_geq(worker_after_read(1)->running_ns, 3 * CADRE_NS_PER_S);
	cr_assert_lt(worker_after_read(1)->running_ns, 9 * CADRE_NS_PER_S);
	cr_assert_eq(worker_after_read(3)->running_ns, 0);
}

Test(report, a_time_left_from_the_job_before_is_not_taken_for_that_of_this_one)
{
	const int64_t now_ns = cadre_clock_ns();

	seat_client(0);
	seat_worker(1, CADRE_PLACE_UP, CADRE_ACTIVITY_BUSY);
	put_running(0, 0, 1, now_ns - CADRE_NS_PER_S)->request.submitted_ns = now_ns;

	cr_assert_eq(worker_after_read(1)->running_ns, 0);
}

Test(report, the_outcomes_of_a_place_come_from_the_worker_and_from_the_supervisor)
{
	struct cadre_place_stats *const stats = &view.worker_stats[4];
	const struct cadre_worker_snapshot *worker;

	cadre_count_set(&stats->worker.jobs_ok, 10);
	cadre_count_set(&stats->worker.jobs_failed, 20);
	cadre_count_set(&stats->worker.jobs_timed_out, 30);
	cadre_count_set(&stats->worker.jobs_late, 40);
	cadre_count_set(&stats->place.jobs_buried, 2);
	cadre_count_set(&stats->place.jobs_lost, 50);

	worker = worker_after_read(4);
	cr_assert_eq(worker->jobs[CADRE_OK], 10);
	cr_assert_eq(worker->jobs[CADRE_FAILED], 20);
	cr_assert_eq(worker->jobs[CADRE_TIMED_OUT], 30);
	cr_assert_eq(worker->jobs[CADRE_CANCELLED], 42);
	cr_assert_eq(worker->jobs[CADRE_LOST], 50);
	cr_assert_eq(worker->jobs[CADRE_TERMINATED], 0);
}

Test(report, percentiles_are_never_too_small_and_at_most_an_eighth_too_large)
{
	struct cadre_histogram *const service = &line_of(0, 1)->service;
	struct cadre_percentiles read;

	for (int64_t us = 1; us <= 1000; us++) {
		cadre_histogram_add(&line_of(0, 1)->waiting, 0);
		cadre_histogram_add(service, us * CADRE_NS_PER_US);
	}
	read = worker_after_read(0)->service;

	cr_assert_eq(read.jobs, 1000);
	cr_assert_geq(read.p50_ns, 500000);
	cr_assert_leq(read.p50_ns, 500000 * 9 / 8);
	cr_assert_geq(read.p99_ns, 990000);
	cr_assert_leq(read.p99_ns, 990000 * 9 / 8);
	cr_assert_geq(read.max_ns, 1000000);
	cr_assert_leq(read.max_ns, 1000000 * 9 / 8);
	cr_assert_eq(worker_after_read(1)->waiting.jobs, 0);
	cr_assert_eq(worker_after_read(1)->waiting.max_ns, 0);
}

Test(report, the_only_job_is_every_percentile)
{
	struct cadre_latency_line *const line = line_of(0, 1);

	cadre_histogram_add(&line->waiting, 0);
	cadre_histogram_add(&line->total, 9);

	cr_assert_eq(worker_after_read(0)->total.p50_ns, 9);
	cr_assert_eq(worker_after_read(0)->total.p999_ns, 9);
	cr_assert_eq(worker_after_read(0)->total.max_ns, 9);
}

static const struct cadre_operation_snapshot *operation_after_read(int32_t id)
{
	const struct cadre_operation_snapshot *operation;

	cadre_report_read(report);
	for (uint32_t i = 0; (operation = cadre_report_operation_at(report, i)); i++) {
		if (operation->id == id)
			return operation;
	}
	cr_assert_not_null(operation, "the report does not list operation %d", (int)id);
	return NULL;
}

static void end_job(struct cadre_latency_line *line, int64_t waited_ns, int64_t ran_ns)
{
	cadre_histogram_add(&line->waiting, waited_ns);
	cadre_histogram_add(&line->service, ran_ns);
	cadre_histogram_add(&line->total, waited_ns + ran_ns);
	cadre_count_add_ns(&line->waiting_ns, waited_ns);
	cadre_count_add_ns(&line->service_ns, ran_ns);
}

Test(report, an_operation_is_the_sum_over_all_places_and_the_pool_that_of_all_operations)
{
	view.header->operations[0] = (struct cadre_operation_line){ .id = 7,
								    .name = "burn" };
	end_job(line_of(0, 7), 100, 1000);
	end_job(line_of(3, 7), 200, 3000);
	end_job(line_of(3, 9), 400, 5000);
	cadre_count_add(&line_of(3, 9)->failed, 1);

	cr_assert_str_eq(operation_after_read(7)->name, "burn");
	cr_assert_eq(operation_after_read(7)->jobs, 2);
	cr_assert_eq(operation_after_read(7)->failed, 0);
	cr_assert_eq(operation_after_read(7)->latency[CADRE_LATENCY_WAITING].sum_ns, 300);
	cr_assert_eq(operation_after_read(7)->latency[CADRE_LATENCY_SERVICE].sum_ns, 4000);
	cr_assert_eq(operation_after_read(7)->latency[CADRE_LATENCY_TOTAL].sum_ns, 4300);
	cr_assert_geq(operation_after_read(7)->service.max_ns, 3000);
	cr_assert_leq(operation_after_read(7)->service.max_ns, 3000 * 9 / 8);

	cr_assert_str_eq(operation_after_read(9)->name, "?", "nobody names it any more");
	cr_assert_eq(operation_after_read(9)->failed, 1);
	cr_assert_eq(cadre_report_worker(report, 3)->service.jobs, 2);
	cr_assert_eq(cadre_report_read(report)->service.jobs, 3);
	cr_assert_eq(cadre_report_read(report)->latency[CADRE_LATENCY_TOTAL].sum_ns, 9700);
}

Test(report, operations_that_find_no_line_of_their_own_are_counted_together)
{
	for (int32_t id = 1; id <= (int32_t)view.latency_lines + 1; id++)
		end_job(line_of(0, id), 1, 1);

	cr_assert_eq(operation_after_read((int32_t)view.latency_lines - 1)->jobs, 1);
	cr_assert_eq(operation_after_read(0)->jobs, 2);
	cr_assert_str_eq(operation_after_read(0)->name, "others");
	cr_assert_eq(cadre_report_read(report)->total.jobs, view.latency_lines + 1);
}

Test(report, the_jobs_that_run_are_counted_by_operation)
{
	const int64_t now_ns = cadre_clock_ns();

	seat_client(0);
	seat_worker(1, CADRE_PLACE_UP, CADRE_ACTIVITY_BUSY);
	put_running(0, 0, 1, now_ns - 3 * CADRE_NS_PER_S)->request.operation = 7;
	put_running(0, 1, 1, now_ns - 2 * CADRE_NS_PER_S)->request.operation = 7;

	cr_assert_eq(operation_after_read(7)->running, 2);
	cr_assert_geq(cadre_report_read(report)->oldest_running_ns, 3 * CADRE_NS_PER_S);
	cr_assert_eq(cadre_report_read(report)->workers_busy, 1);
}

Test(report, memory_and_cpu_time_are_those_of_the_process_that_sits_there)
{
	seat_worker(0, CADRE_PLACE_UP, CADRE_ACTIVITY_IDLE);
	cr_assert_gt(worker_after_read(0)->resident_bytes, 100000);
	while (worker_after_read(0)->cpu_ns == 0) { /* It is we who use it. */
	}

	cadre_place_set_start_time(&view.worker_places[0], 1);
	cr_assert_eq(worker_after_read(0)->resident_bytes, 0,
		     "another process has this pid now");
	cr_assert_eq(worker_after_read(0)->cpu_ns, 0);
}

Test(report, the_reason_of_the_last_death_is_said_in_a_word)
{
	struct cadre_place_stats *const stats = &view.worker_stats[0];

	cr_assert_str_eq(worker_after_read(0)->last_reason, "");
	cadre_count_set(&stats->place.recycled_age, 1);
	cr_assert_str_eq(worker_after_read(0)->last_reason, "max_age");
	atomic_store(&stats->last_signal, SIGSEGV);
	cr_assert_str_eq(worker_after_read(0)->last_reason, "SIGSEGV");
	atomic_store(&stats->last_signal, 0);
	atomic_store(&stats->last_exit_status, 3);
	cr_assert_str_eq(worker_after_read(0)->last_reason, "exit 3");
	atomic_store(&stats->last_signal, 12345);
	cr_assert_str_eq(worker_after_read(0)->last_reason, "SIG?");
}

Test(report, a_worker_that_waits_for_its_restart_says_how_long)
{
	seat_worker(0, CADRE_PLACE_WAITING, CADRE_ACTIVITY_ABSENT);
	atomic_store(&view.worker_places[0].until_ns, cadre_clock_in_ns(CADRE_NS_PER_S));
	cr_assert_gt(worker_after_read(0)->retry_in_ns, 0);
	cr_assert_leq(worker_after_read(0)->retry_in_ns, CADRE_NS_PER_S);
	cr_assert_eq(worker_after_read(0)->pid, 0, "a place that waits has no process");

	atomic_store(&view.worker_places[0].until_ns, 1);
	cr_assert_eq(worker_after_read(0)->retry_in_ns, 0);
}

Test(report, a_torn_time_is_said)
{
	seat_worker(0, CADRE_PLACE_UP, CADRE_ACTIVITY_BUSY);
	cr_assert_not(worker_after_read(0)->torn);
	atomic_fetch_or(&view.worker_stats[0].sequence, 1);
	cr_assert(worker_after_read(0)->torn);
}

Test(report, in_a_dead_pool_processes_that_died_with_it_are_shown_as_dead)
{
	const struct cadre_identity dead = backdrop_somebody_dead();

	backdrop_seat(&view.worker_places[0], CADRE_PLACE_UP, dead);
	backdrop_seat(&view.client_places[0], CADRE_PLACE_UP, dead);
	seat_worker(1, CADRE_PLACE_UP, CADRE_ACTIVITY_IDLE);

	cr_assert_eq(cadre_report_read(report)->workers_ready, 1);
	cr_assert_eq(cadre_report_read(report)->clients, 0);
	cr_assert_eq(cadre_report_worker(report, 0)->letter, 'X');
	cr_assert_eq(cadre_report_worker(report, 0)->pid, dead.pid);
	cr_assert_eq(cadre_report_worker(report, 0)->uptime_ns, 0);
	cr_assert_eq(cadre_report_worker(report, 1)->letter, '_');
	cr_assert_str_eq(cadre_report_client(report, 0)->state, "gone");
}

/* ---- what the counters are ---- */

Test(report, each_counter_is_described_in_the_order_of_the_snapshots)
{
	const struct cadre_counter_description *counters;
	size_t count;

	cadre_count_set(&view.worker_stats[0].worker.workload_max, 11);
	cadre_count_set(&view.worker_stats[0].place.restarts, 12);
	cadre_count_set(&view.client_lines[0].counters.window_full, 13);
	cadre_count_set(&view.header->counters.successions, 14);
	seat_client(0);
	cadre_report_read(report);

	counters = cadre_counter_describe(CADRE_SCOPE_WORKER, &count);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(cadre_report_worker(report, 0)->worker[i],
			     strcmp(counters[i].name, "workload_max") ? 0 : 11);
	counters = cadre_counter_describe(CADRE_SCOPE_PLACE, &count);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(cadre_report_worker(report, 0)->about[i],
			     strcmp(counters[i].name, "restarts") ? 0 : 12);
	counters = cadre_counter_describe(CADRE_SCOPE_CLIENT, &count);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(cadre_report_client(report, 0)->counters[i],
			     strcmp(counters[i].name, "window_full") ? 0 : 13);
	counters = cadre_counter_describe(CADRE_SCOPE_POOL, &count);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(cadre_report_read(report)->counters[i],
			     strcmp(counters[i].name, "successions") ? 0 : 14);
	cr_assert_null(cadre_counter_describe(CADRE_SCOPE_COUNT, &count));
	cr_assert_eq(count, 0);
}

/* ---- bytes that no pool would write ---- */

static bool is_printable(const char *text, size_t size)
{
	const size_t length = strnlen(text, size);

	for (size_t i = 0; i < length; i++) {
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return length < size;
}

static void assert_possible_worker(const struct cadre_worker_snapshot *worker)
{
	const char *name;

	cr_assert_not_null(strchr("_SWBGHXD.?", worker->letter));
	cr_assert_geq(worker->uptime_ns, 0);
	cr_assert_geq(worker->idle_ns, 0);
	cr_assert_geq(worker->running_ns, 0);
	cr_assert_geq(worker->retry_in_ns, 0);
	cr_assert_geq(worker->spent_idle_ns, 0);
	cr_assert_geq(worker->spent_busy_ns, 0);
	cr_assert_geq(worker->spent_blocked_ns, 0);
	cr_assert_leq(worker->total.p50_ns, worker->total.max_ns);
	name = cadre_report_operation(report, worker->operation);
	cr_assert(!name || is_printable(name, 64));
	cr_assert(is_printable(worker->last_reason, sizeof(worker->last_reason)));
	cr_assert(is_printable(worker->operation_name, sizeof(worker->operation_name)));
}

static void assert_possible_guest(const struct cadre_guest_snapshot *guest)
{
	cr_assert_not_null(strchr("_SWBGHXD.?", guest->letter));
	cr_assert_geq(guest->uptime_ns, 0);
	cr_assert_geq(guest->idle_ns, 0);
	cr_assert_geq(guest->running_ns, 0);
	cr_assert_geq(guest->spent_idle_ns, 0);
	cr_assert_geq(guest->spent_busy_ns, 0);
	cr_assert_leq(guest->total.p50_ns, guest->total.max_ns);
	cr_assert(is_printable(guest->program, sizeof(guest->program)));
}

static void assert_possible_operation(const struct cadre_operation_snapshot *operation)
{
	cr_assert(is_printable(operation->name, sizeof(operation->name)));
	cr_assert_leq(operation->running, CLIENTS * SLOTS);
	cr_assert_geq(operation->service.p50_ns, 0);
	cr_assert_leq(operation->service.p50_ns, operation->service.max_ns);
}

/* Reads, and looks at everything that a tool would show. */
static void assert_possible(void)
{
	const struct cadre_pool_snapshot *const pool = cadre_report_read(report);

	cr_assert(is_printable(pool->state, sizeof(pool->state)));
	cr_assert_leq(pool->queue_length, CLIENTS * SLOTS);
	cr_assert_leq(pool->in_flight, CLIENTS * SLOTS);
	cr_assert_leq(pool->workers_ready, WORKERS);
	cr_assert_leq(pool->client_count, CLIENTS);
	cr_assert_geq(pool->oldest_pending_ns, 0);
	cr_assert_geq(pool->heartbeat_age_ns, 0);
	cr_assert_geq(pool->uptime_ns, 0);
	for (uint32_t size_class = 0; size_class < pool->block_classes; size_class++)
		cr_assert_leq(pool->block_used[size_class], pool->block_count[size_class]);
	for (uint32_t index = 0; index < pool->worker_count; index++)
		assert_possible_worker(cadre_report_worker(report, index));
	for (uint32_t index = 0; index < pool->client_count; index++) {
		const struct cadre_client_snapshot *const client =
			cadre_report_client(report, index);

		cr_assert(is_printable(client->state, sizeof(client->state)));
		cr_assert_leq(client->slots_used, SLOTS);
	}
	cr_assert_eq(pool->locals_max, LOCALS);
	cr_assert_leq(pool->locals, LOCALS);
	for (uint32_t index = 0; index < pool->locals_max; index++)
		assert_possible_guest(cadre_report_guest(report, index));
	for (int32_t id = -1; id < 3; id++)
		cadre_report_operation(report, id);
	for (uint32_t index = 0; index < pool->operation_count; index++)
		assert_possible_operation(cadre_report_operation_at(report, index));
	cr_assert_null(cadre_report_operation_at(report, pool->operation_count));
	cr_assert_eq(cadre_sampler_take(sampler, report), 0);
	cr_assert_geq(cadre_sampler_pool(sampler)->jobs_per_s, 0);
	cr_assert_leq(cadre_sampler_pool(sampler)->load, 1);
}

static const struct part {
	const char *name;
	size_t from, to;
} * parts(size_t *ret_count)
{
	static struct part all[9];
	unsigned char *const base = view.segment.base;
	const size_t at[] = {
		0,
		(size_t)((unsigned char *)view.worker_places - base),
		(size_t)((unsigned char *)view.worker_stats - base),
		(size_t)((unsigned char *)view.latencies - base),
		(size_t)((unsigned char *)view.client_places - base),
		(size_t)((unsigned char *)view.slots - base),
		(size_t)((unsigned char *)view.books - base),
		(size_t)((unsigned char *)view.block_owners - base),
		(size_t)(view.arena - base),
		view.size,
	};
	static const char *const names[] = { "header",    "worker places", "worker stats",
					     "latencies", "clients",       "slots",
					     "books",     "blocks",        "arena" };

	for (size_t i = 0; i < CADRE_COUNT_OF(all); i++)
		all[i] = (struct part){ names[i], at[i], at[i + 1] };
	*ret_count = CADRE_COUNT_OF(all);
	return all;
}

Test(report, a_part_full_of_ones_is_shown_not_followed)
{
	unsigned char *const whole = malloc(view.size);
	size_t count;
	const struct part *const part = parts(&count);

	memcpy(whole, view.segment.base, view.size);
	for (size_t i = 0; i < count; i++) {
		memset(view.segment.base + part[i].from, 0xff, part[i].to - part[i].from);
		assert_possible();
		memcpy(view.segment.base, whole, view.size);
	}
	memset(view.segment.base, 0xff, view.size);
	assert_possible();
	free(whole);
}

Test(report, random_bytes_are_shown_not_followed)
{
	size_t count;
	const struct part *const part = parts(&count);

	for (unsigned round = 0; round < 400; round++) {
		const struct part *const hit = &part[round % count];
		unsigned seed = round;

		for (size_t at = hit->from; at + 8 <= hit->to && at < hit->from + 65536;
		     at += 8) {
			const uint64_t word = backdrop_random_word(&seed);

			memcpy(view.segment.base + at, &word, sizeof(word));
		}
		assert_possible();
	}
}

Test(report, limits_are_those_that_were_checked_when_it_was_opened)
{
	view.header->limits.workers = UINT32_MAX;
	view.header->limits.clients = UINT32_MAX;
	view.header->limits.slots = UINT32_MAX;
	view.header->limits.block_bytes = UINT64_MAX;

	cr_assert_eq(cadre_report_read(report)->workers_max, WORKERS);
	assert_possible();
}

Test(report, sums_of_impossible_counts_stop_at_the_highest_number)
{
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		atomic_store(&books_of(0, slot)->ended[CADRE_OK], UINT64_MAX / 2);

	cr_assert_eq(cadre_report_read(report)->jobs[CADRE_OK], UINT64_MAX);
}

/* ---- opening, and how long it takes ---- */

Test(report, a_pool_that_is_not_there_or_not_ready_is_refused_with_a_sentence)
{
	struct cadre_report *none = NULL;
	struct cadre_diag diag = { "" };

	cr_assert_eq(cadre_report_open("no-such-pool", &none, &diag), -ENOENT);
	cr_assert_neq(diag.text[0], '\0');
	cr_assert_eq(cadre_report_open("no such name", &none, &diag), -EINVAL);
	cr_assert_eq(cadre_report_open(NULL, &none, &diag), -EINVAL);
	atomic_store(&view.header->ready, 0);
	cr_assert_eq(cadre_report_open(scene.pool, &none, &diag), -ECONNREFUSED);
	view.header->layout++;
	cr_assert_eq(cadre_report_open(scene.pool, &none, &diag), -EPROTONOSUPPORT);
	view.header->magic++;
	cr_assert_eq(cadre_report_open(scene.pool, &none, NULL), -EBADMSG);
	cr_assert_null(none, "a result is stored only on success");
}

static void remember_name(const char *pool, void *context)
{
	bool *const seen = context;

	*seen = *seen || strcmp(pool, scene.pool) == 0;
}

Test(report, each_pool_with_a_segment_is_visited_and_a_lock_file_alone_is_none)
{
	char lock[CADRE_PATH_SIZE];
	bool seen = false;

	cadre_report_each_pool(remember_name, &seen);
	cr_assert(seen);

	seen = false;
	cadre_segment_remove(scene.pool);
	cadre_path(scene.pool, CADRE_FILE_LOCK, lock);
	fclose(fopen(lock, "w"));
	cadre_report_each_pool(remember_name, &seen);
	cr_assert_not(seen);
}

static void begin_default(void)
{
	const struct cadre_limits limits = {
		.workers = 16,
		.parallel = 1,
		.clients = 64,
		.slots = 256,
		.payload_max = 1 << 20,
		.block_bytes = 20 << 20,
	};

	make_pool(&limits);
}

TestSuite(report_of_default_size, .init = begin_default, .fini = end);

/* Of this process: the machine may have other things to do as well. */
static int64_t cpu_ns(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
	return (int64_t)spent.tv_sec * CADRE_NS_PER_S + spent.tv_nsec;
}

static void begin_huge(void)
{
	const struct cadre_limits limits = {
		.workers = CADRE_WORKERS_MAX,
		.parallel = 1,
		.clients = 1,
		.slots = 8,
	};

	make_pool(&limits);
}

TestSuite(report_of_many_workers, .init = begin_huge, .fini = end);

Test(report_of_many_workers, a_read_of_512_that_all_did_everything_takes_less_than_100_ms)
{
	const struct cadre_pool_snapshot *pool;
	int64_t start_ns;

	for (uint32_t worker = 0; worker < CADRE_WORKERS_MAX; worker++) {
		seat_worker(worker, CADRE_PLACE_UP, CADRE_ACTIVITY_IDLE);
		for (int32_t id = 1; id <= (int32_t)view.latency_lines; id++)
			end_job(line_of(worker, id), 100, 1000);
	}
	cadre_report_read(report);
	start_ns = cpu_ns();
	pool = cadre_report_read(report);
	cr_assert_lt(cpu_ns() - start_ns, 100 * CADRE_NS_PER_MS);
	cr_assert_eq(pool->workers_ready, CADRE_WORKERS_MAX);
	cr_assert_eq(pool->total.jobs, CADRE_WORKERS_MAX * view.latency_lines);
}

Test(report_of_default_size, a_read_of_full_windows_takes_less_than_100_ms)
{
	int64_t start_ns;

	for (uint32_t window = 0; window < 64; window++) {
		seat_client(window);
		for (uint32_t index = 0; index < 256; index++)
			put_queued(window, index, 1);
	}
	cadre_report_read(report);
	start_ns = cadre_clock_ns();
	cr_assert_eq(cadre_report_read(report)->queue_length, 64 * 256);
	cr_assert_lt(cadre_clock_ns() - start_ns, 100 * CADRE_NS_PER_MS);
}
