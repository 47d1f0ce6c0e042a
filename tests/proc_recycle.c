/*
 * proc_recycle.c - SPEC section 11, recycling: a worker that has done its number of jobs,
 * reached its age or grown too large is replaced, the replacement first, and no job is lost.
 */
#include "claims.h"

#include <signal.h>
#include <stdlib.h>

TestSuite(recycle, TROUPE);

#define MS INT64_C(1000000)
#define MIB (INT64_C(1) << 20)

static uint64_t about_places(const char *counter)
{
	const uint32_t places = troupe_look(troupe.scene.pool).worker_count;
	uint64_t sum = 0;

	for (uint32_t place = 0; place < places; place++)
		sum += troupe_counter(CADRE_SCOPE_PLACE,
				      troupe_look_worker(troupe.scene.pool, place).about,
				      counter);
	return sum;
}

static uint64_t lost_jobs(void)
{
	const struct cadre_pool_snapshot pool = troupe_look(troupe.scene.pool);

	return pool.jobs[CADRE_LOST] + pool.jobs[CADRE_TERMINATED] +
	       pool.jobs[CADRE_CANCELLED];
}

/* Calls until a worker of another pid answers. */
static bool somebody_else_answers(int32_t pid)
{
	return eventually(ask_who().pid != pid);
}

Test(recycle, a_worker_that_has_taken_max_jobs_is_replaced_and_no_job_is_lost)
{
	enum { ROUNDS = 3, JOBS = 50 };
	int32_t pid;

	START(ONE_WORKER, .max_jobs = 10);
	for (int round = 0; round < ROUNDS; round++) {
		pid = ask_who().pid;
		for (int i = 0; i < JOBS; i++)
			call_ok(ASK(TROUPE_ECHO, 1));
		cr_assert(somebody_else_answers(pid));
	}
	cr_assert(eventually((ask_who(), about_places("recycled_jobs") >= ROUNDS)));
	cr_assert_eq(about_places("recycled_age"), 0);
	cr_assert_eq(about_places("recycled_memory"), 0);
	cr_assert_eq(about_places("deaths"), 0);
	cr_assert_eq(lost_jobs(), 0);
	/* They left in order. */
	cr_assert(eventually(troupe.board->finis + 1 == troupe.board->inits));
}

/* The pool has one worker, which is busy; somebody else answers all the same. */
Test(recycle, the_replacement_is_up_before_the_other_leaves)
{
	struct cadre_ticket held;
	int32_t pid;

	START(ONE_WORKER, .max_jobs = 1);
	pid = ask_who().pid;
	held = occupy_worker();
	cr_assert(somebody_else_answers(pid));
	open_gate(1);
	expect(held, CADRE_OK);
	cr_assert_eq(about_places("jobs_lost"), 0);
}

Test(recycle, jobs_of_the_workers_before_do_not_count)
{
	START(ONE_WORKER, .max_jobs = 100);
	for (int i = 0; i < 99; i++)
		call_ok(ASK(TROUPE_ECHO, 1));
	kill(troupe_worker(troupe.scene.pool, 0), SIGKILL);
	cr_assert(eventually(troupe.board->inits == 2));
	/* A hundredth job of that place, and the first of its worker. */
	for (int i = 0; i < 50; i++)
		call_ok(ASK(TROUPE_ECHO, 1));
	cr_assert_eq(about_places("recycled_jobs"), 0);
}

Test(recycle, a_worker_that_has_reached_max_age_is_replaced_though_it_idles)
{
	START(ONE_WORKER, .max_age_ns = 20 * MS);
	cr_assert(eventually(about_places("recycled_age") >= 2));
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(about_places("recycled_jobs"), 0);
	cr_assert_eq(about_places("deaths"), 0);
}

static void eat(struct cadre_job *job, void *state)
{
	const size_t size = 160 * MIB;
	char *const food = malloc(size);

	(void)state;
	for (size_t i = 0; food && i < size; i += 1024)
		food[i] = (char)i;
	/* Not given back. */
	cadre_job_reply(job, &food, sizeof(food));
}

Test(recycle, a_worker_that_has_grown_past_max_rss_is_replaced_and_a_small_one_is_not)
{
	struct cadre_operation operations[2] = { { TROUPE_ECHO, "eat", eat } };
	struct cadre_service service = troupe_service;

	for (size_t i = 0; i < service.operation_count; i++) {
		if (service.operations[i].id == TROUPE_WHO)
			operations[1] = service.operations[i];
	}
	service.operations = operations;
	service.operation_count = 2;
	cr_assert_eq(troupe_start(&troupe, &service,
				  (struct cadre_pool_options){ ONE_WORKER,
							       .max_rss = 140 * MIB }),
		     0);
	call_ok((struct cadre_request){ .operation = TROUPE_ECHO });
	cr_assert(eventually(about_places("recycled_memory") == 1));
	cr_assert(somebody_else_answers(0));
	cr_assert(eventually(troupe.board->finis == 1));
	/* The memory of each is looked at once a second: of the newcomer, too. */
	child_pause_ms(1500);
	cr_assert_eq(about_places("recycled_memory"), 1);
}

/* ---- a replacement that does not start ---- */

Test(recycle, a_worker_whose_replacement_does_not_start_goes_on)
{
	struct cadre_service service = troupe_service;
	int32_t pid;

	troupe_refusal = child_share(sizeof(*troupe_refusal));
	service.init = troupe_begin_unless_refused;
	cr_assert_eq(troupe_start(&troupe, &service,
				  (struct cadre_pool_options){ ONE_WORKER, .max_jobs = 1 }),
		     0);
	atomic_store(troupe_refusal, -EIO);
	pid = ask_who().pid;
	cr_assert(eventually(about_places("deaths") >= 2), "it is tried again");
	cr_assert_eq(ask_who().pid, pid);
	cr_assert_eq(about_places("recycled_jobs"), 0);
	cr_assert_eq(troupe_look(troupe.scene.pool).workers_ready, 1);

	atomic_store(troupe_refusal, 0);
	cr_assert(somebody_else_answers(pid));
	cr_assert(eventually(about_places("recycled_jobs") >= 1));
}
