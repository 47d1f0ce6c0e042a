/*
 * proc_task.c - claims about what a client can learn of its jobs: how far each is, and the
 * sums of those that name a counter.
 */
#include "claims.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

TestSuite(task, TROUPE);

static struct cadre_job_info look_at(struct cadre_ticket ticket)
{
	struct cadre_job_info info;
	const int r = cadre_job_info(troupe.client, ticket, &info);

	cr_assert_eq(r, 0, "%d", r);
	return info;
}

static struct cadre_perf_counter *counter_named(const char *name)
{
	struct cadre_perf_counter *counter;
	const int r = cadre_perf_counter_open(troupe.client, name, &counter);

	cr_assert_eq(r, 0, "%d", r);
	return counter;
}

static struct cadre_perf read_counter(const struct cadre_perf_counter *counter)
{
	struct cadre_perf perf;

	cadre_perf_counter_read(counter, &perf);
	return perf;
}

/* ---- how far is it? ---- */

Test(task, a_job_is_pending_then_running_then_finished_and_its_times_grow)
{
	struct cadre_ticket first, second;
	struct cadre_job_info info, later;

	START(ONE_WORKER);
	first = occupy_worker();
	second = submit(ASK(TROUPE_HOLD, 2));

	info = look_at(first);
	cr_assert_eq(info.state, CADRE_JOB_RUNNING, "%s",
		     cadre_job_state_name(info.state));
	cr_assert_eq(info.worker, 0);
	cr_assert_eq(info.operation, TROUPE_HOLD);
	cr_assert_eq(info.attempt, 0);
	info = look_at(second);
	cr_assert_eq(info.state, CADRE_JOB_PENDING);
	cr_assert_eq(info.worker, -1);
	cr_assert_eq(info.running_ns, 0);
	child_pause_ms(5);
	later = look_at(second);
	cr_assert_geq(later.waiting_ns, info.waiting_ns + 5000000);
	later = look_at(first);
	cr_assert_geq(later.running_ns, 5000000);

	open_gate(1);
	cr_assert(eventually(look_at(first).state == CADRE_JOB_FINISHED));
	info = look_at(first);
	cr_assert_eq(info.outcome, CADRE_OK);
	cr_assert_geq(info.running_ns, later.running_ns);
	cr_assert(eventually(look_at(second).state == CADRE_JOB_RUNNING));
	open_gate(2);
	expect(first, CADRE_OK);
	expect(second, CADRE_OK);
}

Test(task, what_is_said_of_a_finished_job_is_what_its_result_says)
{
	struct cadre_ticket ticket;
	struct cadre_job_info info;
	struct cadre_result result;

	START(ONE_WORKER);
	ticket = submit(ASK(TROUPE_ECHO, 1));
	cr_assert(eventually(look_at(ticket).state == CADRE_JOB_FINISHED));
	result = await(ticket);
	info = look_at(ticket);
	cr_assert_eq(info.state, CADRE_JOB_FINISHED);
	cr_assert_eq(info.waiting_ns, result.waiting_ns);
	cr_assert_eq(info.running_ns, result.running_ns);
	cr_assert_eq(info.worker, result.worker);
	cr_assert_eq(info.operation, result.operation);
	release(&result);
	cr_assert_eq(cadre_job_info(troupe.client, ticket, &info), -ESTALE);
}

Test(task, a_cancelled_job_is_finished_at_once_though_its_worker_goes_on)
{
	struct cadre_ticket ticket;
	struct cadre_job_info info;

	START(ONE_WORKER);
	ticket = occupy_worker();
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	info = look_at(ticket);
	cr_assert_eq(info.state, CADRE_JOB_FINISHED);
	cr_assert_eq(info.outcome, CADRE_CANCELLED);
	cr_assert_eq(info.worker, 0);
	open_gate(1);
	expect(ticket, CADRE_CANCELLED);
}

Test(task, a_job_that_was_tried_again_says_its_attempt)
{
	const struct troupe_death death = { .how = SIGKILL, .times = 1 };
	const struct cadre_request request = { .operation = TROUPE_DIE,
					       .flags = CADRE_IDEMPOTENT,
					       .data = &death,
					       .length = sizeof(death) };
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	ticket = submit(request);
	cr_assert(eventually(look_at(ticket).state == CADRE_JOB_FINISHED));
	cr_assert_eq(look_at(ticket).attempt, 1);
	expect(ticket, CADRE_OK);
}

Test(task, a_look_takes_nothing_from_who_waits)
{
	struct cadre_ticket ticket;
	struct cadre_job_info info;

	START(ONE_WORKER);
	for (uint32_t i = 0; i < 200; i++) {
		ticket = submit(ASK(TROUPE_ECHO, i));
		for (int look = 0; look < 20; look++)
			cr_assert_eq(cadre_job_info(troupe.client, ticket, &info), 0);
		expect(ticket, CADRE_OK);
		cr_assert_eq(cadre_job_info(troupe.client, ticket, &info), -ESTALE);
	}
}

static void tell_wait(struct cadre_job *job, void *state)
{
	const int64_t waited_ns = cadre_job_waited_ns(job);

	(void)state;
	child_pause_ms(20);
	cadre_job_reply(job, &waited_ns, sizeof(waited_ns));
}

Test(task, a_handler_knows_how_long_its_job_has_waited)
{
	static const struct cadre_operation operation = { 1, "wait", tell_wait };
	struct cadre_service service = troupe_service;
	const struct cadre_request request = { .operation = 1 };
	struct cadre_ticket first, second;
	struct cadre_result result;
	int64_t waited_ns;

	service.operations = &operation;
	service.operation_count = 1;
	cr_assert_eq(troupe_start(&troupe, &service,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0);
	first = submit(request);
	second = submit(request);
	expect(first, CADRE_OK);
	result = await(second);
	memcpy(&waited_ns, result.data, sizeof(waited_ns));
	cr_assert_eq(waited_ns, result.waiting_ns);
	cr_assert_geq(waited_ns, 10000000, "it waited for the first one's handler");
	release(&result);
}

/* ---- named counters ---- */

Test(task, a_counter_has_the_jobs_that_name_it_and_no_others)
{
	struct cadre_perf_counter *counter;
	struct cadre_perf perf;

	START(ONE_WORKER);
	counter = counter_named("mails");
	for (uint32_t i = 0; i < 5; i++)
		call_ok(ASK(TROUPE_ECHO, i, .counter = counter));
	expect(submit(ASK(TROUPE_SILENT, 1, .counter = counter)), CADRE_FAILED);
	call_ok(ASK(TROUPE_ECHO, 9));

	perf = read_counter(counter);
	cr_assert_str_eq(perf.name, "mails");
	cr_assert_eq(perf.count, 6);
	cr_assert_eq(perf.errors, 1);
	cr_assert_gt(perf.max_ns, 0);
	cr_assert_geq(perf.total_ns, perf.max_ns);
	cr_assert_leq(perf.total_ns, 6 * perf.max_ns);
}

Test(task, a_counter_counts_a_job_when_its_result_is_taken_and_not_before)
{
	struct cadre_perf_counter *counter;
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	counter = counter_named("late");
	ticket = submit(ASK(TROUPE_ECHO, 1, .counter = counter));
	cr_assert(eventually(look_at(ticket).state == CADRE_JOB_FINISHED));
	cr_assert_eq(read_counter(counter).count, 0);
	expect(ticket, CADRE_OK);
	cr_assert_eq(read_counter(counter).count, 1);
}

Test(task, the_time_of_a_counted_job_is_from_submission_to_end)
{
	struct cadre_perf_counter *counter;
	struct cadre_ticket first, second;
	struct cadre_result result;
	struct cadre_perf perf;

	START(ONE_WORKER);
	counter = counter_named("slow");
	first = occupy_worker();
	second = submit(ASK(TROUPE_ECHO, 2, .counter = counter));
	child_pause_ms(20);
	open_gate(1);
	expect(first, CADRE_OK);
	result = await(second);
	perf = read_counter(counter);
	cr_assert_eq(perf.total_ns, (uint64_t)(result.waiting_ns + result.running_ns));
	cr_assert_geq(perf.max_ns, 20000000);
	release(&result);
}

static void count_up(const struct cadre_result *result, void *context)
{
	(void)result;
	++*(unsigned *)context;
}

Test(task, jobs_that_are_called_back_and_lost_ones_are_counted_too)
{
	const struct troupe_death death = { .how = SIGKILL, .times = 9 };
	struct cadre_perf_counter *counter;
	struct cadre_request request = { .operation = TROUPE_DIE,
					 .data = &death,
					 .length = sizeof(death) };
	unsigned called = 0;

	START(ONE_WORKER);
	counter = counter_named("calls");
	request.counter = counter;
	request.ended = count_up;
	request.context = &called;
	cr_assert_eq(cadre_submit(troupe.client, &request, GENEROUS, NULL), 0);
	while (called == 0)
		cr_assert_geq(cadre_client_await_dispatch(troupe.client, GENEROUS), 0);
	cr_assert_eq(read_counter(counter).count, 1);
	cr_assert_eq(read_counter(counter).errors, 1);
	cr_assert_gt(read_counter(counter).total_ns, 0);
}

#define CALLS 2000

static void *call_often(void *counter)
{
	for (uint32_t i = 0; i < CALLS; i++) {
		const struct cadre_request request = ASK(TROUPE_ECHO, i,
							 .counter = counter);
		struct cadre_result result;

		if (cadre_call(troupe.client, &request, &result) < 0)
			return counter;
		cadre_release(troupe.client, &result);
	}
	return NULL;
}

Test(task, threads_that_share_a_counter_lose_no_job_of_it)
{
	struct cadre_perf_counter *counter;
	pthread_t threads[4];
	void *failed;

	START(.workers_min = 1, .workers_max = 2);
	counter = counter_named("shared");
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, call_often, counter);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		cr_assert_null(failed);
	}
	cr_assert_eq(read_counter(counter).count, 4 * CALLS);
	cr_assert_eq(read_counter(counter).errors, 0);
}

Test(task, a_client_with_every_counter_named_gets_no_more_but_finds_the_old_ones)
{
	struct cadre_perf_counter *counters[CADRE_PERF_COUNTERS_MAX], *again;
	char name[16];

	START(ONE_WORKER);
	for (unsigned i = 0; i < CADRE_PERF_COUNTERS_MAX; i++) {
		snprintf(name, sizeof(name), "counter-%u", i);
		counters[i] = counter_named(name);
	}
	cr_assert_eq(cadre_perf_counter_open(troupe.client, "more", &again), -EMFILE);
	cr_assert_eq(counter_named("counter-3"), counters[3]);
}

Test(task, a_counter_needs_a_name_without_blanks_that_fits)
{
	struct cadre_perf_counter *counter;
	char longest[CADRE_PERF_NAME_MAX + 2];

	START(ONE_WORKER);
	memset(longest, 'x', sizeof(longest));
	longest[CADRE_PERF_NAME_MAX + 1] = '\0';
	cr_assert_eq(cadre_perf_counter_open(troupe.client, "", &counter), -EINVAL);
	cr_assert_eq(cadre_perf_counter_open(troupe.client, NULL, &counter), -EINVAL);
	cr_assert_eq(cadre_perf_counter_open(troupe.client, "a b", &counter), -EINVAL);
	cr_assert_eq(cadre_perf_counter_open(troupe.client, longest, &counter), -EINVAL);
	longest[CADRE_PERF_NAME_MAX] = '\0';
	cr_assert_eq(cadre_perf_counter_open(troupe.client, longest, &counter), 0);
	cr_assert_str_eq(read_counter(counter).name, longest);
}

Test(task, a_counter_of_another_client_or_a_detached_job_is_refused)
{
	struct cadre_perf_counter *counter;
	struct cadre_client *other;

	START(ONE_WORKER);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &other, NULL), 0);
	cr_assert_eq(cadre_perf_counter_open(other, "theirs", &counter), 0);
	cr_assert_eq(try_submit(ASK(TROUPE_ECHO, 1, .counter = counter)), -EINVAL);
	cadre_client_detach(other);
	cr_assert_eq(try_submit(ASK(TROUPE_ECHO, 1, .counter = counter_named("ours"),
				    .flags = CADRE_DETACHED)),
		     -EINVAL);
}

/* Everybody can read it, and a next client of the window begins anew. */
Test(task, counters_are_seen_by_a_report_until_the_next_client_has_the_window)
{
	struct cadre_client *visitor;
	struct cadre_perf_counter *counter;
	struct cadre_request request = ASK(TROUPE_ECHO, 1);
	struct cadre_result result;
	struct cadre_report *report;
	struct cadre_perf perf;

	START(ONE_WORKER, .clients_max = 3);
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &visitor, NULL), 0);
	cr_assert_eq(cadre_perf_counter_open(visitor, "visits", &counter), 0);
	request.counter = counter;
	cr_assert_eq(cadre_call(visitor, &request, &result), 0);
	cadre_release(visitor, &result);

	cr_assert_eq(cadre_report_open(troupe.scene.pool, &report, NULL), 0);
	cr_assert_eq(cadre_report_perf(report, 2, 0, &perf), 0);
	cr_assert_str_eq(perf.name, "visits");
	cr_assert_eq(perf.count, 1);
	cr_assert_eq(cadre_report_perf(report, 2, 1, &perf), -ENOENT);
	cr_assert_eq(cadre_report_perf(report, 3, 0, &perf), -ENOENT);
	cadre_client_detach(visitor);
	cr_assert_eq(cadre_report_perf(report, 2, 0, &perf), 0, "it stays");
	cr_assert(eventually(
		cadre_client_attach(troupe.scene.pool, NULL, &visitor, NULL) == 0));
	cr_assert_eq(cadre_report_perf(report, 2, 0, &perf), -ENOENT);
	cadre_client_detach(visitor);
	cadre_report_close(report);
}
