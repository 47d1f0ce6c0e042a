/*
 * test_report_workers.c - claims about what a report says of a worker, of its place, and of a
 * local worker.
 */
#include "reports.h"

#include <signal.h>

TestSuite(report, REPORTS);

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
