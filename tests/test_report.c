/*
 * test_report.c - claims about what a report says of a pool as a whole, what its counters are, and
 * which pools have one. More of them: test_report_workers.c, test_report_latencies.c,
 * test_report_rogue.c (bytes that no pool would write), test_report_large.c (how long a read
 * takes).
 */
#include "child.h"
#include "reports.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(report, REPORTS);

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
	cr_assert_eq(cadre_report_client(report, 0)->slots_used, 1);

	cadre_slot_vacate(books_of(0, 0), CADRE_FAILED);
	cr_assert_eq(cadre_report_read(report)->jobs[CADRE_FAILED], 1);
	cr_assert_eq(cadre_report_client(report, 0)->slots_used, 0);
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

/* ---- opening ---- */

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
