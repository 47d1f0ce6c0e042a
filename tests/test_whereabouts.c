/*
 * Claims about whereabouts.h: nobody spins for somebody who needs the very same CPU, and what
 * is not known keeps nobody from spinning.
 */
#include "whereabouts.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>

#define WORKERS 130u /* more than two words of a mask */
#define HERE 3u
#define ELSEWHERE 4u

static struct cadre_crew crew;
static struct cadre_bell bells[WORKERS];

static void begin(void)
{
	memset(&crew, 0, sizeof(crew));
	memset(bells, 0, sizeof(bells));
}

TestSuite(whereabouts, .init = begin, .timeout = 60);

static void be_awake(unsigned worker, uint32_t cpu)
{
	cadre_mask_set(&crew.up, worker);
	atomic_store(&bells[worker].cpu, cpu);
}

static void be_asleep(unsigned worker, uint32_t cpu)
{
	be_awake(worker, cpu);
	cadre_mask_set(&crew.sleepers, worker);
}

static bool may_await(void)
{
	return cadre_whereabouts_may_await(&crew, bells, WORKERS, HERE);
}

Test(whereabouts, who_says_where_he_is_says_the_truth)
{
	const int cpu = sched_getcpu();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)cpu, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);

	cr_assert_eq(cadre_whereabouts_say(&bells[0]), (uint32_t)cpu + 1);
	cr_assert_eq(atomic_load(&bells[0].cpu), (uint32_t)cpu + 1);
}

Test(whereabouts, a_client_spins_for_a_worker_on_another_cpu)
{
	be_awake(0, ELSEWHERE);
	cr_assert(may_await());
}

Test(whereabouts, a_client_does_not_spin_while_a_worker_that_is_awake_needs_its_cpu)
{
	be_awake(0, ELSEWHERE);
	be_awake(WORKERS - 1, HERE);
	cr_assert_not(may_await());
}

Test(whereabouts, a_sleeper_needs_no_cpu_while_others_are_awake)
{
	be_awake(0, ELSEWHERE);
	be_asleep(1, HERE);
	cr_assert(may_await());
}

Test(whereabouts, a_worker_that_was_just_woken_is_expected_where_it_slept)
{
	be_asleep(70, HERE);
	cr_assert_not(may_await());
	begin();
	be_asleep(70, ELSEWHERE);
	cr_assert(may_await());
}

Test(whereabouts, who_is_not_known_to_be_here_keeps_nobody_from_spinning)
{
	cr_assert(may_await());
	be_awake(0, 0);
	cr_assert(may_await());
	cr_assert(cadre_whereabouts_may_await(&crew, bells, WORKERS, 0));
	cr_assert_not(cadre_whereabouts_any_here(&crew.up, bells, WORKERS, 0));
	cr_assert_not(cadre_whereabouts_worker_here(&crew, bells, WORKERS, 0));
}

Test(whereabouts, only_those_that_are_listed_count)
{
	struct cadre_mask active = { .words = { 0 } };

	atomic_store(&bells[5].cpu, HERE);
	cr_assert_not(cadre_whereabouts_any_here(&active, bells, WORKERS, HERE));
	cadre_mask_set(&active, 5);
	cr_assert(cadre_whereabouts_any_here(&active, bells, WORKERS, HERE));
	cr_assert_not(cadre_whereabouts_any_here(&active, bells, WORKERS, ELSEWHERE));
}

Test(whereabouts, of_two_workers_on_one_cpu_the_first_goes_on_looking)
{
	be_awake(2, HERE);
	be_awake(100, HERE);
	cr_assert_not(cadre_whereabouts_worker_here(&crew, bells, 2, HERE));
	cr_assert(cadre_whereabouts_worker_here(&crew, bells, 100, HERE));
	cadre_mask_set(&crew.sleepers, 2);
	cr_assert_not(cadre_whereabouts_worker_here(&crew, bells, 100, HERE));
}
