/*
 * Claims about migrate.h: who moves, when, and where to.
 */
#include "child.h"
#include "clock.h"
#include "migrate.h"
#include "process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HERE 3u /* CPU 2 */

static struct cadre_idleness before, after;
static cpu_set_t allowed;

/* CPUs 0 to 7, all busy; 100 ms between the two looks. */
static void begin(void)
{
	memset(&before, 0, sizeof(before));
	for (unsigned cpu = 0; cpu < CADRE_MIGRATE_CPUS; cpu++)
		before.ticks[cpu] = UINT32_MAX - 2; /* they may run over meanwhile */
	after = before;
	after.at_ns = before.at_ns + 100 * CADRE_NS_PER_MS;
	CPU_ZERO(&allowed);
	for (unsigned cpu = 0; cpu < 8; cpu++)
		CPU_SET(cpu, &allowed);
}

TestSuite(migrate, .init = begin, .timeout = 60);

static void be_idle(unsigned cpu, unsigned percent)
{
	after.ticks[cpu] += (uint32_t)(sysconf(_SC_CLK_TCK) * percent / 1000);
}

static uint32_t choose(void)
{
	return cadre_idleness_choose(&before, &after, &allowed, HERE);
}

Test(migrate, where_all_are_busy_nobody_goes)
{
	cr_assert_eq(choose(), 0);
}

Test(migrate, an_idle_cpu_is_gone_to)
{
	be_idle(5, 100);
	cr_assert_eq(choose(), 6);
}

Test(migrate, the_idlest_of_several_is_gone_to)
{
	be_idle(1, 80);
	be_idle(4, 100);
	be_idle(6, 90);
	cr_assert_eq(choose(), 5);
}

Test(migrate, one_that_was_idle_for_half_of_the_time_is_not)
{
	be_idle(5, 50);
	cr_assert_eq(choose(), 0);
}

Test(migrate, neither_ones_own_nor_a_forbidden_cpu_is_gone_to)
{
	be_idle(HERE - 1, 100);
	be_idle(9, 100);
	cr_assert_eq(choose(), 0);
}

Test(migrate, too_short_a_look_says_nothing)
{
	after.at_ns = before.at_ns + 1;
	be_idle(5, 100);
	cr_assert_eq(choose(), 0);
}

Test(migrate, the_kernel_counts_and_the_count_does_not_go_back)
{
	struct cadre_idleness first, second;

	cr_assert_eq(cadre_idleness_read(&first), 0);
	cr_assert_eq(cadre_idleness_read(&second), 0);
	cr_assert_geq(second.at_ns, first.at_ns);
	for (unsigned cpu = 0; cpu < CADRE_MIGRATE_CPUS; cpu++)
		cr_assert_geq(second.ticks[cpu], first.ticks[cpu]);
}

Test(migrate, whoever_moves_is_there_and_may_go_wherever_he_might_before)
{
	cpu_set_t present;

	cr_assert_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (uint32_t cpu = 1; cpu <= CADRE_MIGRATE_CPUS; cpu++) {
		if (!CPU_ISSET(cpu - 1, &allowed))
			continue;
		cr_assert_eq(cadre_migrate_to(cpu), 0);
		cr_assert_eq(sched_getaffinity(0, sizeof(present), &present), 0);
		cr_assert(CPU_EQUAL(&present, &allowed));
	}
	cr_assert_eq(cadre_migrate_to(0), -EINVAL);
	cr_assert_eq(cadre_migrate_to(CADRE_MIGRATE_CPUS + 1), -EINVAL);
}

static int stay_where_we_may_run(void *unused)
{
	cpu_set_t only, present;

	(void)unused;
	CPU_ZERO(&only);
	CPU_SET(0, &only);
	if (sched_setaffinity(0, sizeof(only), &only) < 0)
		child_skip("CPU 0 is not ours");
	CHILD_CHECK(cadre_migrate_to(2) == -EINVAL);
	CHILD_CHECK(cadre_process_cpu() == 1);
	CHILD_CHECK(sched_getaffinity(0, sizeof(present), &present) == 0);
	CHILD_CHECK(CPU_EQUAL(&present, &only));
	return CHILD_FINE;
}

Test(migrate, nobody_goes_where_its_affinity_does_not_let_it)
{
	const int status = child_run(stay_where_we_may_run, NULL);

	if (status == CHILD_SKIPPED)
		cr_skip_test("CPU 0 is not ours");
	cr_assert_eq(status, CHILD_FINE);
}

/* Sightings a millisecond apart, from `from_ns` on. True when one of them led to a move. */
static bool sight(struct cadre_migration *migration, int64_t from_ns, unsigned times)
{
	bool moved = false;

	for (unsigned i = 0; i < times; i++)
		moved |= cadre_migration_sight(migration, HERE,
					       from_ns + i * CADRE_NS_PER_MS);
	return moved;
}

Test(migrate, a_few_sightings_move_nobody_and_ask_nobody)
{
	struct cadre_migration migration = { 0 };

	cr_assert_not(sight(&migration, 1, 20));
	cr_assert_not(migration.has_before);
}

Test(migrate, after_a_break_the_count_begins_anew)
{
	struct cadre_migration migration = { 0 };

	sight(&migration, 1, 40);
	sight(&migration, CADRE_NS_PER_S, 40);
	cr_assert_eq(migration.sighted, 40);
	cr_assert_not(migration.has_before);
}

Test(migrate, after_each_try_the_pause_is_twice_as_long)
{
	struct cadre_migration migration = { 0 };
	int64_t now_ns = cadre_clock_ns(), pause_ns = 0;

	for (int i = 0; i < 20; i++) {
		/* Whether it moves is the machine's affair. */
		(void)sight(&migration, now_ns, 1000);
		cr_assert(migration.pause_ns > pause_ns ||
			  migration.pause_ns == 10 * CADRE_NS_PER_S);
		pause_ns = migration.pause_ns;
		now_ns += CADRE_NS_PER_S + pause_ns;
		cr_assert_gt(migration.resume_ns, 0);
	}
}
