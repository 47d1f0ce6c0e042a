/*
 * test_health.c - claims about what is well and what is not. The pool is a segment that the
 * test writes itself, and this process is its supervisor as far as a lock can say.
 */
#include "backdrop.h"
#include "clock.h"

#include <cadre/report.h>

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static struct scene scene;
static struct cadre_view view;
static struct cadre_report *report;
static struct cadre_health_limits limits;
static struct cadre_health health;

static void seat(uint32_t worker, enum cadre_place_state state)
{
	backdrop_seat(&view.worker_places[worker], state, cadre_process_self());
}

/* A pool of two workers that is well. */
static void begin(void)
{
	const struct cadre_limits small = { .workers = 4,
					    .workers_min = 2,
					    .parallel = 1,
					    .clients = 2,
					    .slots = 4,
					    .payload_max = 4096,
					    .block_bytes = 65536 };
	struct cadre_diag diag = { "" };

	backdrop_paint(&scene, &small, &view);
	atomic_store(&view.header->heartbeat_ns, cadre_clock_ns());
	seat(0, CADRE_PLACE_UP);
	seat(1, CADRE_PLACE_UP);
	backdrop_start_supervisor(&scene);
	cr_assert_eq(cadre_report_open(scene.pool, &report, &diag), 0, "%s", diag.text);
	cadre_health_limits_default(&limits);
}

static void end(void)
{
	cadre_report_close(report);
	backdrop_remove(&scene, &view);
}

TestSuite(health, .init = begin, .fini = end);

static enum cadre_health_status judge(void)
{
	cadre_report_read(report);
	cadre_report_health(report, &limits, &health);
	return health.status;
}

static bool says(const char *words)
{
	return strstr(health.sentence, words) != NULL;
}

Test(health, a_pool_at_rest_is_well_and_says_what_it_has)
{
	cr_assert_eq(judge(), CADRE_HEALTH_OK, "%s", health.sentence);
	cr_assert(says("2 workers ready"));
	cr_assert_eq(health.value[CADRE_HEALTH_READY], 2);
	cr_assert(cadre_report_is_live(report, CADRE_NS_PER_S * 10));
	cr_assert(cadre_report_is_ready(report));
}

Test(health, without_supervisor_it_is_critical_neither_live_nor_ready)
{
	backdrop_kill_supervisor();
	cr_assert_eq(judge(), CADRE_HEALTH_CRITICAL);
	cr_assert(says("is gone"), "%s", health.sentence);
	cr_assert_not(cadre_report_is_live(report, INT64_MAX));
	cr_assert_not(cadre_report_is_ready(report));
}

Test(health, a_supervisor_that_does_not_move_is_a_warning_then_critical)
{
	atomic_store(&view.header->heartbeat_ns, cadre_clock_ns() - 4 * CADRE_NS_PER_S);
	cr_assert_eq(judge(), CADRE_HEALTH_WARNING);
	cr_assert(says("heartbeat"), "%s", health.sentence);
	atomic_store(&view.header->heartbeat_ns, cadre_clock_ns() - 11 * CADRE_NS_PER_S);
	cr_assert_eq(judge(), CADRE_HEALTH_CRITICAL);
	cr_assert_not(cadre_report_is_live(report, 10 * CADRE_NS_PER_S));
}

Test(health, fewer_ready_than_the_minimum_are_critical_without_being_asked)
{
	seat(1, CADRE_PLACE_WAITING);
	cr_assert_eq(judge(), CADRE_HEALTH_CRITICAL);
	cr_assert(says("ready 1, which is below 2"), "%s", health.sentence);
	cr_assert_not(says("restarted"), "the worst stands alone: %s", health.sentence);

	limits.critical[CADRE_HEALTH_READY] = 1;
	cr_assert_eq(judge(), CADRE_HEALTH_WARNING);
	cr_assert(says("1 worker is dead or waiting to be restarted"), "%s",
		  health.sentence);
}

Test(health, degraded_is_critical_and_so_is_a_pool_that_takes_no_jobs)
{
	atomic_store(&view.header->degraded, 1);
	cr_assert_eq(judge(), CADRE_HEALTH_CRITICAL);
	cr_assert(says("degraded"), "%s", health.sentence);

	atomic_store(&view.header->degraded, 0);
	atomic_store(&view.header->state, CADRE_POOL_STOPPING);
	cr_assert_eq(judge(), CADRE_HEALTH_CRITICAL);
	cr_assert(says("it is stopping"), "%s", health.sentence);
	cr_assert_not(cadre_report_is_ready(report));
	cr_assert(cadre_report_is_live(report, CADRE_NS_PER_S * 10), "it still lives");

	atomic_store(&view.header->state, CADRE_POOL_STARTING);
	cr_assert_eq(judge(), CADRE_HEALTH_WARNING);
}

static void put_queued(uint32_t slot, int64_t age_ns)
{
	cadre_mask_set(&view.header->leased, 0);
	view.slots[slot].request.submitted_ns = cadre_clock_ns() - age_ns;
	atomic_store(&view.slots[slot].request.word,
		     cadre_word_pack((struct cadre_word){ .phase = CADRE_QUEUED,
							  .generation = 1 }));
}

static void seat_client(void)
{
	const struct cadre_identity self = cadre_process_self();

	atomic_store(&view.client_places[0].state,
		     cadre_place_pack_owned(CADRE_PLACE_UP, 1, self.pid));
}

Test(health, an_old_pending_job_is_measured_against_the_limit)
{
	put_queued(0, 2 * CADRE_NS_PER_S);
	cr_assert_eq(judge(), CADRE_HEALTH_WARNING);
	cr_assert(says("oldest 2"), "%s", health.sentence);
	limits.critical[CADRE_HEALTH_OLDEST] = 1.5;
	cr_assert_eq(judge(), CADRE_HEALTH_CRITICAL);
	limits.warning[CADRE_HEALTH_OLDEST] = limits.critical[CADRE_HEALTH_OLDEST] = -1;
	cr_assert_eq(judge(), CADRE_HEALTH_OK, "%s", health.sentence);
}

Test(health, an_exhausted_window_is_a_warning)
{
	seat_client();
	for (uint32_t slot = 0; slot < 4; slot++) {
		cr_assert_eq(judge(), CADRE_HEALTH_OK, "%s", health.sentence);
		put_queued(slot, 0);
	}
	cr_assert_eq(judge(), CADRE_HEALTH_WARNING);
	cr_assert(says("window 100%"), "%s", health.sentence);
}

Test(health, a_worker_past_the_deadline_of_its_job_is_a_warning)
{
	struct cadre_slot *const slot = &view.slots[0];

	seat_client();
	cadre_mask_set(&view.header->leased, 0);
	slot->request.with = CADRE_WITH_DEADLINE;
	slot->request.deadline_ns = cadre_clock_ns() - CADRE_NS_PER_MS;
	atomic_store(&slot->request.word,
		     cadre_word_pack((struct cadre_word){
			     .phase = CADRE_RUNNING, .owner = 1, .generation = 1 }));
	cr_assert_eq(judge(), CADRE_HEALTH_WARNING);
	cr_assert(says("1 worker is past the deadline of a job"), "%s", health.sentence);
}

Test(health, each_measure_is_described)
{
	for (int i = 0; i < CADRE_HEALTH_MEASURES; i++) {
		const struct cadre_health_measure *const measure = cadre_health_describe(
			(enum cadre_health_measure_id)i);

		cr_assert_not_null(measure);
		cr_assert_neq(measure->sentence[0], '\0');
	}
	cr_assert_null(cadre_health_describe(CADRE_HEALTH_MEASURES));
}
