/*
 * proc_one_cpu.c - claims about a worker that never spins (spin_ns below 0, which is what one has
 * where there is one CPU): before it sleeps it gives way to a client of its own CPU, for which it
 * would have to be woken else, and to nobody else.
 */
#include "claims.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Shared by test and workers, from before the pool starts. */
static struct {
	_Atomic unsigned worker_cpu;
	_Atomic uint64_t yields; /* of workers */
} * seen;

static bool is_worker;

/* In place of the C library's, for all that is linked into this program. */
int sched_yield(void)
{
	if (is_worker)
		atomic_fetch_add(&seen->yields, 1);
	return (int)syscall(SYS_sched_yield);
}

static void pin(unsigned cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	cr_assert_eq(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

#define NO_CPU CPU_SETSIZE

/* The number of the nth CPU that we may use, NO_CPU when there are not so many. */
static unsigned own_cpu(unsigned nth)
{
	cpu_set_t cpus;

	cr_assert_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &cpus) && nth-- == 0)
			return cpu;
	}
	return NO_CPU;
}

static int begin_worker(const struct cadre_start *start, void **ret_state,
			struct cadre_diag *diag)
{
	is_worker = true;
	pin(atomic_load(&seen->worker_cpu));
	return troupe_service.init(start, ret_state, diag);
}

static void start_on(unsigned client_cpu, unsigned worker_cpu)
{
	struct cadre_service service = troupe_service;

	service.init = begin_worker;
	seen = child_share(sizeof(*seen));
	atomic_store(&seen->worker_cpu, worker_cpu);
	pin(client_cpu);
	start_service(&service, (struct cadre_pool_options){ ONE_WORKER, .spin_ns = -1 });
}

static uint64_t sleeps(void)
{
	return troupe_counter(CADRE_SCOPE_WORKER,
			      troupe_look_worker(troupe.scene.pool, 0).worker, "sleeps");
}

/* It has made its way to its sleep behind each of them. */
static void call_and_let_sleep(unsigned times)
{
	cr_assert(eventually(sleeps() > 0));
	while (times--) {
		const uint64_t before = sleeps();

		call_ok(ASK(TROUPE_LOG, times));
		cr_assert(eventually(sleeps() > before));
	}
}

TestSuite(one_cpu, TROUPE);

Test(one_cpu, a_worker_gives_way_to_a_client_of_its_cpu_before_it_sleeps)
{
	const unsigned cpu = own_cpu(0);

	start_on(cpu, cpu);
	call_and_let_sleep(3);
	cr_assert_geq(atomic_load(&seen->yields), 3);
}

Test(one_cpu, a_worker_whose_clients_are_elsewhere_sleeps_at_once)
{
	const unsigned other = own_cpu(1);

	if (other == NO_CPU)
		cr_skip_test("there is one CPU");
	start_on(own_cpu(0), other);
	call_and_let_sleep(3);
	cr_assert_eq(atomic_load(&seen->yields), 0);
}
