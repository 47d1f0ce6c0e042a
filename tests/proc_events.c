/*
 * Claims about what can be read of a pool's past: who died, how, with which job, and what
 * came of it; and about the requests of jobs that were refused.
 */
#include "claims.h"

#include "layout.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(events, TROUPE);

static struct cadre_report *report;

/* Reads again. The report stays open for what the test looks at. */
static void read_report(void)
{
	struct cadre_diag diag = { "" };

	if (!report)
		cr_assert_eq(cadre_report_open(troupe.scene.pool, &report, &diag), 0,
			     "%s", diag.text);
	cr_assert_not_null(cadre_report_read(report));
}

static void close_report(void)
{
	cadre_report_close(report);
	report = NULL;
}

/* The last event of that name, NULL for none. */
static const struct cadre_event_info *last(const char *name)
{
	const struct cadre_event_info *found = NULL, *event;

	read_report();
	for (uint32_t i = 0; (event = cadre_report_event(report, i)); i++) {
		if (strcmp(event->name, name) == 0)
			found = event;
	}
	return found;
}

static unsigned count(const char *name)
{
	const struct cadre_event_info *event;
	unsigned found = 0;

	read_report();
	for (uint32_t i = 0; (event = cadre_report_event(report, i)); i++)
		found += strcmp(event->name, name) == 0;
	return found;
}

static struct cadre_request deadly(int how, uint32_t times, unsigned flags)
{
	static struct troupe_death death;

	death = (struct troupe_death){ .how = how, .times = times };
	return (struct cadre_request){
		.operation = TROUPE_DIE,
		.data = &death,
		.length = sizeof(death),
		.flags = flags,
	};
}

Test(events, a_death_names_worker_reason_and_job)
{
	struct troupe_who who;
	const struct cadre_event_info *event;
	const struct cadre_backtrace *trace;

	START(ONE_WORKER);
	who = ask_who();
	expect(submit(deadly(SIGSEGV, 1, 0)), CADRE_LOST);
	cr_assert(eventually(last("restart_scheduled")));

	event = last("worker_died");
	cr_assert_not_null(event);
	cr_assert_eq(event->pid, who.pid);
	cr_assert_eq(event->place, 0);
	cr_assert_eq(event->incarnation, who.incarnation);
	cr_assert_eq(event->code, SIGSEGV);
	cr_assert_eq(event->job_count, 1);
	cr_assert_eq(event->jobs[0].operation, TROUPE_DIE);
	cr_assert_eq(event->jobs[0].attempt, 0);
	cr_assert(strstr(event->sentence, "was killed by SIGSEGV"), "%s", event->sentence);
	trace = cadre_report_crash(report, event);
	cr_assert_eq(event->crash >= 0, trace != NULL);
	cr_assert(!trace || trace->pid == who.pid);

	event = last("restart_scheduled");
	cr_assert_eq(event->duration_ns, 0, "a single death is answered at once");
	cr_assert_eq(event->count, 1);
	cr_assert(eventually(count("worker_started") == 2));
	event = last("worker_started");
	cr_assert_eq(event->incarnation, who.incarnation + 1);
	close_report();
}

Test(events, they_are_in_order_and_of_now)
{
	const struct cadre_event_info *event;
	uint64_t number = 0;

	START(ONE_WORKER);
	expect(submit(deadly(-3, 1, 0)), CADRE_LOST);
	cr_assert(eventually(count("worker_started") == 2));
	for (uint32_t i = 0; (event = cadre_report_event(report, i)); i++) {
		cr_assert_eq(event->number, number++);
		cr_assert_geq(event->age_ns, 0);
		cr_assert_lt(event->age_ns, (int64_t)60 * 1000000000);
	}
	cr_assert_eq(cadre_report_read(report)->events, number);
	cr_assert_str_eq(cadre_report_event(report, 0)->name, "worker_started");
	cr_assert_str_eq(cadre_report_event(report, 1)->name, "pool_ready");
	cr_assert_null(cadre_report_event(report, UINT32_MAX));
	close_report();
}

static int fail_init(const struct cadre_start *start, void **ret_state,
		     struct cadre_diag *diag)
{
	(void)ret_state;
	if (start->incarnation == 1)
		return 0;
	snprintf(diag->text, sizeof(diag->text), "the licence has expired");
	return -EPERM;
}

Test(events, a_failed_start_has_its_last_words)
{
	struct cadre_service service = troupe_service;
	const struct cadre_event_info *event;

	service.init = fail_init;
	cr_assert_eq(troupe_start(&troupe, &service,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0);
	submit(deadly(SIGABRT, 1, 0));
	cr_assert(eventually(last("start_failed")));
	event = last("start_failed");
	cr_assert(strstr(event->words, "the licence has expired"), "%s", event->words);
	cr_assert(strstr(event->sentence, "the licence has expired"), "%s",
		  event->sentence);
	cr_assert_eq(event->code, -1);
	close_report();
}

Test(events, who_asked_not_to_be_started_again_is_disabled)
{
	START(.workers_min = 2, .workers_max = 2);
	expect(submit(deadly(-78, 1, 0)), CADRE_LOST);
	cr_assert(eventually(last("worker_disabled")));
	cr_assert_eq(last("worker_died")->code, -78);
	cr_assert_null(last("restart_scheduled"));
	close_report();
}

static int attach_and_die(void *context)
{
	struct cadre_client *client = NULL;

	if (cadre_client_attach(context, NULL, &client, NULL) < 0)
		return CHILD_FAILED;
	raise(SIGKILL);
	return CHILD_FAILED;
}

Test(events, the_death_of_a_client_is_one)
{
	const pid_t client = (START(ONE_WORKER),
			      child_start(attach_and_die, troupe.scene.pool));

	cr_assert_eq(child_end(client), 128 + SIGKILL);
	cr_assert(eventually(last("client_died")));
	cr_assert_eq(last("client_died")->pid, client);
	close_report();
}

Test(events, a_succession_names_both_and_what_was_written_before_stays)
{
	const struct cadre_event_info *event;
	pid_t dead;

	START(.workers_min = 2, .workers_max = 2);
	dead = troupe_supervisor(troupe.scene.pool);
	kill(dead, SIGKILL);
	cr_assert(eventually(last("succession")));
	event = last("succession");
	cr_assert_eq(event->other_count, 1);
	cr_assert_eq(event->others[0], dead);
	cr_assert_eq(event->pid, troupe_supervisor(troupe.scene.pool));
	cr_assert_eq(event->count, 2);
	cr_assert_eq(count("pool_ready"), 1);
	cr_assert_eq(count("worker_started"), 2);
	close_report();
}

Test(events, many_deaths_are_a_degradation)
{
	START(.workers_min = 1, .workers_max = 1);
	for (unsigned i = 0; i < 10 && !last("pool_degraded"); i++) {
		const pid_t pid = ask_who().pid;

		kill(pid, SIGKILL);
		cr_assert(eventually(troupe_worker(troupe.scene.pool, 0) != pid));
	}
	cr_assert(eventually(last("pool_degraded")));
	cr_assert_eq(last("pool_degraded")->count, 9);
	close_report();
}

Test(events, a_pool_that_stops_says_so)
{
	START(ONE_WORKER);
	read_report();
	cr_assert_eq(troupe_stop(&troupe), 0);
	/* The segment is unlinked by then; the report has it still. */
	cr_assert(eventually(last("worker_left")));
	cr_assert_not_null(last("pool_stopping"));
	cr_assert_null(last("worker_died"));
	close_report();
}

/* ---- refused jobs ---- */

#define LONG (100u << 10)

static struct cadre_request poisonous(const unsigned char *bytes, size_t length)
{
	struct cadre_request request = deadly(SIGSEGV, 99, CADRE_IDEMPOTENT);

	request.data = bytes;
	request.length = length;
	return request;
}

/* A request that kills, and then some. */
static unsigned char *make_poison(size_t length, uint32_t seed)
{
	const struct troupe_death death = { .how = SIGSEGV, .times = 99 };
	unsigned char *const bytes = malloc(length);

	cr_assert_not_null(bytes);
	troupe_fill(bytes, length, seed);
	memcpy(bytes, &death, sizeof(death));
	return bytes;
}

static void check_kept(const struct cadre_refused_info *refused,
		       const unsigned char *bytes, size_t length, size_t kept)
{
	unsigned char *const copy = malloc(length);

	cr_assert_not_null(refused);
	cr_assert_eq(refused->length, length);
	cr_assert_eq(refused->kept_length, kept);
	cr_assert_eq(cadre_report_refused_request(report, refused->id, copy, length),
		     (int64_t)kept);
	cr_assert_eq(memcmp(copy, bytes, kept), 0);
	free(copy);
}

Test(events, a_refused_job_is_kept_when_its_slot_has_long_had_others)
{
	unsigned char *const bytes = make_poison(LONG, 1);
	const struct cadre_event_info *event;
	const struct cadre_refused_info *refused;

	START(.workers_min = 2, .workers_max = 2, .window_slots = 2);
	expect(submit(poisonous(bytes, LONG)), CADRE_REFUSED);
	for (unsigned i = 0; i < 20; i++)
		ask_who();

	event = last("job_refused");
	cr_assert_not_null(event);
	refused = cadre_report_refused(report, 0);
	check_kept(refused, bytes, LONG, LONG);
	cr_assert_eq(refused->operation, TROUPE_DIE);
	cr_assert_eq(refused->attempts, 2);
	cr_assert_eq(refused->client_pid, getpid());
	cr_assert_eq(refused->code, SIGSEGV);

	cr_assert_eq(event->refused, (int64_t)refused->id);
	cr_assert_eq(event->length, LONG);
	cr_assert_eq(event->jobs[0].id, refused->job);
	cr_assert_eq(event->other_count, 2, "two workers died of it");
	cr_assert_neq(event->others[0], event->others[1]);
	cr_assert_eq(event->others[1], refused->worker_pid);
	cr_assert_gt(event->data_length, 200u);
	cr_assert_eq(memcmp(event->data, bytes, event->data_length), 0);
	cr_assert_eq(troupe_counter(CADRE_SCOPE_POOL, cadre_report_read(report)->counters,
				    "requests_kept"),
		     1);
	free(bytes);
	close_report();
}

Test(events, one_too_long_to_be_kept_whole_is_cut_and_says_so)
{
	const size_t length = 300u << 10;
	unsigned char *const bytes = make_poison(length, 2);

	START(.workers_min = 2, .workers_max = 2);
	expect(submit(poisonous(bytes, length)), CADRE_REFUSED);
	cr_assert_not_null(last("job_refused"));
	check_kept(cadre_report_refused(report, 0), bytes, length, CADRE_KEPT_BYTES_MAX);
	free(bytes);
	close_report();
}

Test(events, refused_jobs_are_kept_when_the_pool_is_dead)
{
	unsigned char *const bytes = make_poison(500, 3);

	START(.workers_min = 2, .workers_max = 2);
	expect(submit(poisonous(bytes, 500)), CADRE_REFUSED);
	cr_assert(eventually(last("job_refused")));
	troupe_kill_program(&troupe);
	cr_assert(eventually(troupe_living() == 0));
	check_kept((read_report(), cadre_report_refused(report, 0)), bytes, 500, 500);
	cr_assert_null(cadre_report_refused(report, 1));
	cr_assert_eq(cadre_report_refused_request(report, 1, bytes, 500), -ENOENT);
	free(bytes);
	close_report();
}
