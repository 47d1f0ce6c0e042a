/*
 * proc_dispatch.c - SPEC section 3.2: who takes a job. First in, first out for each client and
 * clients in turn: proc_client.c. Here: the least workload, with parallel > 1.
 *
 * spread_ns, for which a worker that has jobs leaves a fresh one to a lighter worker, is 20 s
 * in tests of where jobs go, so that no busy machine decides them; and as it is by default
 * where nobody may wait.
 */
#include "claims.h"

#include <signal.h>
#include <unistd.h>

TestSuite(dispatch, TROUPE);

#define S INT64_C(1000000000)
#define FOREVER_AND_A_DAY (20 * S)

enum { WORKERS = 3 };

static uint64_t level(uint32_t place, const char *counter)
{
	return troupe_counter(CADRE_SCOPE_WORKER,
			      troupe_look_worker(troupe.scene.pool, place).worker,
			      counter);
}

static bool all_sleep(uint64_t *sleeps)
{
	for (uint32_t place = 0; place < WORKERS; place++) {
		if (level(place, "sleeps") <= sleeps[place])
			return false;
	}
	return true;
}

/* A job that was answered counts until its thread, which nobody waits for, has given its room
 * back; its worker may sleep all that time. */
static bool none_works(void)
{
	for (uint32_t place = 0; place < WORKERS; place++) {
		if (level(place, "workload") > 0)
			return false;
	}
	return true;
}

/* Jobs that wait at the gate; later: by threads of their own, so that their worker has
 * room for others. */
static void burst(struct cadre_ticket *tickets, size_t count, uint32_t gate)
{
	struct cadre_request requests[WORKERS * 4];

	for (size_t i = 0; i < count; i++)
		requests[i] = (struct cadre_request){ .operation = TROUPE_LATER,
						      .data = &gate,
						      .length = sizeof(gate) };
	cr_assert_eq(cadre_try_submit_batch(troupe.client, requests, count, tickets),
		     (int)count);
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == count));
}

static void expect_each(uint64_t workload)
{
	for (uint32_t place = 0; place < WORKERS; place++)
		cr_assert_eq(level(place, "workload"), workload, "worker %u: %lu", place,
			     (unsigned long)level(place, "workload"));
}

static void finish(struct cadre_ticket *tickets, size_t count, uint32_t gate)
{
	open_gate(gate);
	for (size_t i = 0; i < count; i++)
		expect(tickets[i], CADRE_OK);
}

/* What Squadron's scheduler does in rounds: k workers, k jobs, one each. */
Test(dispatch, a_burst_of_as_many_jobs_as_workers_is_one_job_each)
{
	struct cadre_ticket tickets[WORKERS];
	uint64_t sleeps[WORKERS] = { 0 };

	START(.workers_min = WORKERS, .workers_max = WORKERS, .parallel = 4,
	      .spread_ns = FOREVER_AND_A_DAY);
	for (uint32_t round = 1; round <= 5; round++) {
		cr_assert(eventually(all_sleep(sleeps) && none_works()),
			  "all of them, and not only one");
		for (uint32_t place = 0; place < WORKERS; place++)
			sleeps[place] = level(place, "sleeps");
		burst(tickets, WORKERS, round);
		expect_each(1);
		finish(tickets, WORKERS, round);
	}
}

Test(dispatch, a_burst_that_fills_the_pool_is_parallel_jobs_each)
{
	enum { PARALLEL = 4 };
	struct cadre_ticket tickets[WORKERS * PARALLEL];

	START(.workers_min = WORKERS, .workers_max = WORKERS, .parallel = PARALLEL,
	      .spread_ns = FOREVER_AND_A_DAY);
	burst(tickets, WORKERS * PARALLEL, 1);
	expect_each(PARALLEL);
	finish(tickets, WORKERS * PARALLEL, 1);
}

Test(dispatch, one_job_after_the_other_goes_to_the_least_loaded)
{
	struct cadre_ticket tickets[2 * WORKERS];

	START(.workers_min = WORKERS, .workers_max = WORKERS, .parallel = 4,
	      .spread_ns = FOREVER_AND_A_DAY);
	for (uint32_t i = 0; i < 2 * WORKERS; i++) {
		tickets[i] = submit(ASK(TROUPE_LATER, 1));
		cr_assert(eventually(atomic_load(&troupe.board->waiting) == i + 1));
		for (uint32_t place = 0; place < WORKERS; place++)
			cr_assert_leq(level(place, "workload"), i / WORKERS + 1);
	}
	expect_each(2);
	finish(tickets, 2 * WORKERS, 1);
}

Test(dispatch, threads_of_several_workers_share_a_burst)
{
	struct cadre_service service = troupe_service;
	struct cadre_ticket tickets[WORKERS];
	uint64_t sleeps[WORKERS] = { 0 };

	service.flags = CADRE_SERVICE_THREADS;
	cr_assert_eq(troupe_start(&troupe, &service,
				  (struct cadre_pool_options){
					  .workers_min = WORKERS,
					  .workers_max = WORKERS,
					  .parallel = 4,
					  .spread_ns = FOREVER_AND_A_DAY }),
		     0);
	cr_assert(eventually(all_sleep(sleeps)));
	for (uint32_t i = 0; i < WORKERS; i++)
		tickets[i] = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(all_sleep(sleeps) &&
			     atomic_load(&troupe.board->waiting) == WORKERS));
	expect_each(1);
	finish(tickets, WORKERS, 1);
}

/* The lighter ones are stopped: they count as asleep, are woken, and do not come. */
Test(dispatch, nobody_waits_for_a_lighter_worker_that_does_not_come)
{
	struct cadre_ticket tickets[4];
	uint64_t sleeps[WORKERS] = { 0 };
	pid_t stopped[WORKERS];
	struct cadre_result first;

	START(.workers_min = WORKERS, .workers_max = WORKERS, .parallel = 4);
	cr_assert(eventually(all_sleep(sleeps)));
	tickets[0] = submit(ASK(TROUPE_LATER, 1));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	for (uint32_t place = 0; place < WORKERS; place++) {
		stopped[place] = level(place, "workload") == 0 ?
					 troupe_worker(troupe.scene.pool, place) :
					 0;
		if (stopped[place])
			child_stop(stopped[place]);
	}
	for (int i = 1; i < 4; i++)
		tickets[i] = submit(ASK(TROUPE_LATER, 1));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 4));
	open_gate(1);
	first = await(tickets[0]);
	for (int i = 1; i < 4; i++) {
		const struct cadre_result other = await(tickets[i]);

		cr_assert_eq(other.outcome, CADRE_OK);
		cr_assert_eq(other.worker, first.worker);
		release(&other);
	}
	release(&first);
	for (uint32_t place = 0; place < WORKERS; place++) {
		if (stopped[place])
			kill(stopped[place], SIGCONT);
	}
}

/* A worker that can have one job only is never lighter: nobody leaves it anything. */
Test(dispatch, with_parallel_1_each_takes_what_it_finds)
{
	struct cadre_ticket tickets[WORKERS];

	START(.workers_min = WORKERS, .workers_max = WORKERS,
	      .spread_ns = FOREVER_AND_A_DAY);
	for (int i = 0; i < WORKERS; i++)
		tickets[i] = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == WORKERS));
	expect_each(1);
	finish(tickets, WORKERS, 1);
}
