/*
 * proc_supervision.c - SPEC section 11: claims about deaths around a real pool: of workers,
 * of the program that started it, of its supervisor and of its keeper. (Recycling:
 * proc_recycle.c; reload: proc_reload.c; poisonous jobs: proc_refused.c.)
 */
#include "child.h"
#include "claims.h"

#include "layout.h"
#include "process.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

TestSuite(supervision, TROUPE);

#define MS INT64_C(1000000)

static const char *pool(void)
{
	return troupe.scene.pool;
}

static void kill_and_await(pid_t pid)
{
	cr_assert_gt(pid, 1);
	kill(pid, SIGKILL);
	cr_assert(eventually(troupe_is_gone(pid)));
}

static uint64_t about_place(uint32_t place, const char *counter)
{
	return troupe_counter(CADRE_SCOPE_PLACE, troupe_look_worker(pool(), place).about,
			      counter);
}

static uint64_t about_pool(const char *counter)
{
	return troupe_counter(CADRE_SCOPE_POOL, troupe_look(pool()).counters, counter);
}

/* ---- workers ---- */

Test(supervision, a_worker_that_is_killed_while_it_idles_is_replaced)
{
	pid_t pid;

	START(ONE_WORKER);
	pid = troupe_worker(pool(), 0);
	kill_and_await(pid);
	cr_assert(eventually(troupe_look(pool()).workers_ready == 1));
	cr_assert_neq(troupe_worker(pool(), 0), pid);
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(about_place(0, "restarts"), 1);
	cr_assert_eq(about_place(0, "deaths"), 1);
	cr_assert_eq(troupe_look_worker(pool(), 0).last_signal, SIGKILL);
}

Test(supervision, a_worker_that_is_killed_while_it_runs_is_replaced_and_others_go_on)
{
	struct cadre_ticket tickets[2];
	struct cadre_result lost;
	pid_t pid;

	START(.workers_min = 2, .workers_max = 2);
	tickets[0] = submit(ASK(TROUPE_HOLD, 1));
	tickets[1] = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 2));
	pid = troupe_worker(pool(), 0);
	kill(pid, SIGKILL);
	cr_assert_geq(cadre_await_any(troupe.client, tickets, 2, GENEROUS, &lost), 0);
	cr_assert_eq(lost.outcome, CADRE_LOST);
	cr_assert_eq(lost.worker_pid, pid);

	cr_assert(eventually(troupe_look(pool()).workers_ready == 2));
	open_gate(1);
	expect(tickets[lost.ticket.id == tickets[0].id ? 1 : 0], CADRE_OK);
	release(&lost);
}

Test(supervision, a_worker_that_was_killed_is_collected)
{
	pid_t pid;

	START(ONE_WORKER);
	pid = troupe_worker(pool(), 0);
	kill(pid, SIGKILL);
	cr_assert(eventually(child_state(pid) == 'X'));
	cr_assert(eventually(troupe_look(pool()).workers_ready == 1));
}

/* In a child that was just forked: it has all that its parent has, the pidfd of the dead one. */
static _Atomic bool *forks_hang;

static void hang_in_fork(void)
{
	while (atomic_load(forks_hang))
		child_pause_ms(1);
}

static int64_t cpu_ns_of(pid_t pid)
{
	const struct cadre_identity who = { pid, cadre_process_start_time(pid) };
	struct cadre_usage usage = { 0 };

	cr_assert_eq(cadre_process_usage(who, &usage), 0);
	return usage.cpu_ns;
}

Test(supervision, a_supervisor_rests_while_a_replacement_is_slow_to_begin)
{
	int64_t before_ns;
	pid_t pid;

	forks_hang = child_share(sizeof(*forks_hang));
	pthread_atfork(NULL, NULL, hang_in_fork);
	START(ONE_WORKER);
	pid = troupe_worker(pool(), 0);
	atomic_store(forks_hang, true);
	kill(pid, SIGKILL);
	cr_assert(eventually(child_state(pid) == 'X'));
	before_ns = cpu_ns_of(troupe_supervisor(pool()));
	child_pause_ms(400);
	/* Half of it, where a descriptor that is told of again and again takes all. */
	cr_expect_lt(cpu_ns_of(troupe_supervisor(pool())) - before_ns, 200 * MS);
	atomic_store(forks_hang, false);
	cr_assert(eventually(troupe_look(pool()).workers_ready == 1));
	call_ok(ASK(TROUPE_LOG, 1));
}

static void die_in_a_job(int32_t how)
{
	const struct troupe_death death = { .how = how, .times = UINT32_MAX };

	expect(submit((struct cadre_request){
		       .operation = TROUPE_DIE, .data = &death, .length = sizeof(death) }),
	       CADRE_LOST);
}

Test(supervision, a_worker_that_exits_with_78_is_not_started_again)
{
	START(ONE_WORKER);
	die_in_a_job(-78);
	cr_assert(eventually(troupe_look_worker(pool(), 0).letter == 'D'));
	expect(submit(ASK(TROUPE_LOG, 1, .deadline_ns = cadre_in_ms(300))),
	       CADRE_TIMED_OUT);
	cr_assert_eq(about_place(0, "starts"), 1);
	cr_assert_eq(troupe_look_worker(pool(), 0).last_exit_status, 78);
}

Test(supervision, a_worker_that_dies_again_and_again_is_started_less_and_less_often)
{
	const int64_t begin_ns = cadre_now_ns();

	START(ONE_WORKER);
	for (int i = 0; i < 4; i++)
		die_in_a_job(SIGKILL);
	/* The waits between: none, 100 and 200 ms, each less a jitter of a quarter. */
	cr_assert_geq(cadre_now_ns() - begin_ns, 225 * MS);
	cr_assert_eq(about_place(0, "restarts"), 3);
	cr_assert_not(troupe_look(pool()).degraded);
}

Test(supervision, a_pool_whose_workers_die_in_numbers_is_degraded)
{
	START(.workers_min = 4, .workers_max = 4);
	for (int i = 0; i < 8; i++)
		die_in_a_job(SIGKILL);
	cr_assert_not(troupe_look(pool()).degraded);
	die_in_a_job(SIGKILL);
	cr_assert(eventually(troupe_look(pool()).degraded));
	cr_assert_eq(about_pool("workers_died"), 9);
	call_ok(ASK(TROUPE_LOG, 1));
}

/* ---- the program ---- */

/* Workers alone would stay for orphan_ns, 30 s, which is longer than our patience. */
Test(supervision, a_program_that_is_killed_leaves_nothing)
{
	struct cadre_ticket running, waiting;

	START(ONE_WORKER);
	running = occupy_worker();
	waiting = submit(ASK(TROUPE_LOG, 1));
	troupe_kill_program(&troupe);
	expect(running, CADRE_TERMINATED);
	expect(waiting, CADRE_TERMINATED);
	cr_assert(eventually(troupe_living() == 0));
	cr_assert_eq(scene_files(pool()), 0);
	cr_assert_eq(troupe.board->logged, 0);
}

Test(supervision, a_program_that_is_killed_while_its_pool_starts_leaves_nothing)
{
	const struct cadre_pool_options options = {
		.size = sizeof(options), .name = pool(), .workers_min = 4, .workers_max = 4
	};

	/* At a moment that is another one each time. */
	for (unsigned round = 0; round < 8; round++) {
		const pid_t program = fork();
		struct cadre_pool *never_used;

		if (program == 0) {
			cadre_pool_start(&troupe_service, &options, &never_used, NULL);
			child_idle();
		}
		child_pause_ms(2 * round);
		child_kill(program);
		cr_assert(eventually(troupe_living() == 0), "round %u", round);
		cr_assert_eq(scene_files(pool()), 0, "round %u", round);
	}
}

Test(supervision, a_program_that_ends_without_closing_leaves_nothing)
{
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = pool(),
						    ONE_WORKER };
	const pid_t program = fork();
	struct cadre_pool *never_closed;

	if (program == 0)
		_exit(cadre_pool_start(&troupe_service, &options, &never_closed, NULL));
	cr_assert_eq(child_end(program), 0);
	cr_assert(eventually(troupe_living() == 0));
	cr_assert_eq(scene_files(pool()), 0);
}

/* ---- the supervisor ---- */

static bool is_supervised_by_other_than(pid_t before)
{
	const struct cadre_pool_snapshot look = troupe_look(pool());

	return look.alive && look.supervisor_pid != before &&
	       strcmp(look.state, "open") == 0;
}

static void kill_supervisor(void)
{
	const pid_t before = troupe_supervisor(pool());

	kill_and_await(before);
	cr_assert(eventually(is_supervised_by_other_than(before)));
}

Test(supervision, a_supervisor_that_is_killed_has_a_successor_who_keeps_the_workers)
{
	struct cadre_ticket tickets[4];
	struct cadre_client *other;
	pid_t pids[2];

	START(.workers_min = 2, .workers_max = 2);
	for (int i = 0; i < 4; i++)
		tickets[i] = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 2));
	for (uint32_t place = 0; place < 2; place++)
		pids[place] = troupe_worker(pool(), place);

	kill_supervisor();
	open_gate(1);
	for (int i = 0; i < 4; i++)
		expect(tickets[i], CADRE_OK);
	for (uint32_t place = 0; place < 2; place++)
		cr_assert_eq(troupe_worker(pool(), place), pids[place]);
	cr_assert_eq(about_pool("successions"), 1);
	cr_assert_eq(troupe.board->inits, 2);

	/* It does what its predecessor did. */
	cr_assert_eq(cadre_client_attach(pool(), NULL, &other, NULL), 0);
	cadre_client_detach(other);
	kill_and_await(pids[0]);
	cr_assert(eventually(troupe_worker(pool(), 0) > 0 &&
			     troupe_worker(pool(), 0) != pids[0]));
	/* One that is stopped before its init has no fini either. */
	cr_assert(eventually(troupe.board->inits == 3));
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(troupe.board->finis, 2);
}

Test(supervision, no_job_is_lost_while_supervisors_are_killed_under_load)
{
	enum { JOBS = 3000, DEATHS = 3, IN_FLIGHT = 32 };
	struct cadre_ticket tickets[IN_FLIGHT] = { { 0 } };

	START(.workers_min = 2, .workers_max = 2);
	for (uint32_t i = 0; i < JOBS + IN_FLIGHT; i++) {
		struct cadre_ticket *const ticket = &tickets[i % IN_FLIGHT];

		if (ticket->id)
			expect(*ticket, CADRE_OK);
		if (i < JOBS)
			*ticket = submit(ASK(TROUPE_LOG, i));
		if (i % (JOBS / DEATHS) == JOBS / DEATHS / 2)
			kill_supervisor();
	}
	cr_assert_eq(troupe.board->logged, JOBS);
	cr_assert_eq(about_pool("successions"), DEATHS);
	cr_assert_eq(troupe.board->inits, 2);
}

Test(supervision, a_successor_finds_the_worker_and_the_client_that_died_meanwhile)
{
	struct cadre_ticket running;
	pid_t supervisor, visitor, worker;

	START(ONE_WORKER);
	visitor = fork();
	if (visitor == 0) {
		struct cadre_client *client;

		cadre_client_attach(pool(), NULL, &client, NULL);
		child_idle();
	}
	running = occupy_worker();
	cr_assert(eventually(troupe_look(pool()).clients == 3));
	supervisor = troupe_supervisor(pool());
	worker = troupe_worker(pool(), 0);
	/* It sleeps on while they die, and never wakes again. */
	child_stop(supervisor);
	kill(worker, SIGKILL);
	child_kill(visitor);
	kill_and_await(supervisor);

	expect(running, CADRE_LOST);
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert(eventually(troupe_look(pool()).clients == 2));
}

/* Shared with the workers: while it is set, an init does not return. */
static _Atomic bool *init_hangs;

static int hang_in_init(const struct cadre_start *start, void **ret_state,
			struct cadre_diag *diag)
{
	while (atomic_load(init_hangs))
		child_pause_ms(1);
	return troupe_service.init(start, ret_state, diag);
}

Test(supervision, a_successor_bears_the_death_of_a_worker_while_another_starts)
{
	struct cadre_service service = troupe_service;
	pid_t supervisor, pids[2];

	init_hangs = child_share(sizeof(*init_hangs));
	service.init = hang_in_init;
	cr_assert_eq(troupe_start(&troupe, &service,
				  (struct cadre_pool_options){ .workers_min = 2,
							       .workers_max = 2 }),
		     0);
	for (uint32_t place = 0; place < 2; place++)
		pids[place] = troupe_worker(pool(), place);
	supervisor = troupe_supervisor(pool());

	atomic_store(init_hangs, true);
	child_stop(supervisor);
	kill(pids[0], SIGKILL);
	kill_and_await(supervisor);
	cr_assert(eventually(troupe_look_worker(pool(), 0).letter == 'S'));
	kill_and_await(pids[1]);
	atomic_store(init_hangs, false);
	cr_assert(eventually(troupe_look(pool()).workers_ready == 2));
	call_ok(ASK(TROUPE_LOG, 1));
}

Test(supervision, a_stop_is_carried_out_by_the_successor)
{
	struct cadre_ticket running;

	START(ONE_WORKER);
	running = occupy_worker();
	cr_assert_eq(troupe_stop(&troupe), 0);
	kill_and_await(troupe_supervisor(pool()));
	cr_assert(eventually(about_pool("successions") == 1));
	open_gate(1);
	expect(running, CADRE_OK);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(troupe.board->finis, 1);
}

/* ---- the keeper ---- */

Test(supervision, a_pool_goes_on_without_its_keeper_and_ends_in_order)
{
	START(ONE_WORKER);
	kill_and_await(troupe_keeper(pool()));
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(scene_files(pool()), 0);
	cr_assert_eq(troupe_living(), 1, "the program alone is left");
	cr_assert_eq(troupe.board->finis, 1);
}

Test(supervision, a_program_ends_a_pool_whose_keeper_and_supervisor_were_both_killed)
{
	struct cadre_ticket running;

	START(.workers_min = 2, .workers_max = 2);
	running = occupy_worker();
	kill_and_await(troupe_keeper(pool()));
	kill_and_await(troupe_supervisor(pool()));
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(scene_files(pool()), 0);
	cr_assert(eventually(troupe_living() == 1), "the program alone is left");
	expect(running, CADRE_TERMINATED);
}

Test(supervision, a_pool_without_its_keeper_ends_with_its_program)
{
	struct cadre_ticket running;

	START(ONE_WORKER);
	running = occupy_worker();
	kill_and_await(troupe_keeper(pool()));
	troupe_kill_program(&troupe);
	expect(running, CADRE_TERMINATED);
	cr_assert(eventually(troupe_living() == 0));
	cr_assert_eq(scene_files(pool()), 0);
}

/* ---- a served pool, which nobody keeps ---- */

static void serve(struct cadre_pool_options options)
{
	const struct cadre_source source = { .service = &troupe_service };

	cr_assert_eq(troupe_serve(&troupe, &source, options), 0, "%s", troupe.diag.text);
}

Test(supervision, the_next_server_takes_over_the_workers_of_one_that_was_killed)
{
	const struct cadre_source source = { .service = &troupe_service };
	struct cadre_ticket running, waiting;
	struct cadre_client *client;
	pid_t worker;

	serve((struct cadre_pool_options){ ONE_WORKER });
	client = troupe.client;
	running = occupy_worker();
	waiting = submit(ASK(TROUPE_LOG, 1));
	worker = troupe_worker(pool(), 0);
	troupe_kill_program(&troupe);

	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0, "%s", troupe.diag.text);
	cadre_client_detach(troupe.client);
	troupe.client = client;
	open_gate(1);
	expect(running, CADRE_OK);
	expect(waiting, CADRE_OK);
	cr_assert_eq(ask_who().pid, worker);
	cr_assert_eq(troupe.board->inits, 1);
}

static int attach_and_call(void *context)
{
	const struct cadre_request request = ASK(TROUPE_LOG, 1);
	struct cadre_client *client;
	struct cadre_result result;
	int r;

	(void)context;
	/* It has the segment of the dead pool open while it asks for its supervisor. */
	while ((r = cadre_client_attach(pool(), NULL, &client, NULL)) == -ECONNREFUSED) {
	}
	CHILD_CHECK(r == 0);
	CHILD_CHECK(cadre_call(client, &request, &result) == 0);
	CHILD_CHECK(result.outcome == CADRE_OK);
	cadre_client_detach(client);
	return CHILD_FINE;
}

static const char *view_path(const char *name)
{
	static char path[CADRE_PATH_SIZE];

	cadre_path(name, CADRE_FILE_SEGMENT, path);
	return path;
}

/* The worker had moved its place, and died before it wrote its start time; then its pid went
 * to somebody who has nothing to do with us. */
Test(supervision, a_stranger_with_the_pid_of_a_worker_without_a_start_time_is_not_adopted)
{
	const struct cadre_source source = { .service = &troupe_service };
	struct cadre_view view;
	struct cadre_client *client;
	pid_t stranger, worker;

	serve((struct cadre_pool_options){ ONE_WORKER });
	client = troupe.client;
	worker = troupe_worker(pool(), 0);
	cr_assert_eq(cadre_layout_open(pool(), true, &view, NULL), 0);
	stranger = fork();
	if (stranger == 0) {
		execlp("sleep", "sleep", "60", NULL);
		_exit(127);
	}
	cr_assert(eventually(!cadre_process_maps(stranger, view_path(pool()))));
	troupe_kill_program(&troupe);
	kill(worker, SIGKILL);
	cr_assert(eventually(troupe_is_gone(worker)));
	cadre_place_set_start_time(&view.worker_places[0], 0);
	atomic_store(&view.worker_places[0].state,
		     cadre_place_pack_owned(CADRE_PLACE_UP, 1, stranger));

	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0, "%s", troupe.diag.text);
	cadre_client_detach(troupe.client);
	troupe.client = client;
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_neq(troupe_worker(pool(), 0), stranger);
	cr_assert_eq(kill(stranger, 0), 0, "nobody killed it");
	child_kill(stranger);
	cadre_layout_close(&view);
}

Test(supervision, a_client_that_waits_for_a_dead_pool_attaches_to_the_new_one_of_its_name)
{
	pid_t worker, visitor;

	serve((struct cadre_pool_options){ ONE_WORKER });
	worker = troupe_worker(pool(), 0);
	troupe_kill_program(&troupe);
	kill_and_await(worker);
	cadre_client_detach(troupe.client);

	visitor = child_start(attach_and_call, NULL);
	child_await_asleep(visitor);
	serve((struct cadre_pool_options){ ONE_WORKER, .window_slots = 2 });
	cr_assert_eq(child_end(visitor), CHILD_FINE);
}

Test(supervision, the_workers_of_a_dead_server_leave_and_its_clients_are_told)
{
	const struct cadre_request request = ASK(TROUPE_LOG, 2);
	struct cadre_ticket running, waiting, none;

	serve((struct cadre_pool_options){ ONE_WORKER, .window_slots = 2,
					   .orphan_ns = 50 * MS });
	running = occupy_worker();
	waiting = submit(ASK(TROUPE_LOG, 1));
	troupe_kill_program(&troupe);

	/* The one that is running ends, since its worker waits for it. */
	cr_assert_eq(cadre_submit(troupe.client, &request, GENEROUS, &none), -EOWNERDEAD);
	cr_assert_eq(cadre_client_dispatch(troupe.client, 0), -EOWNERDEAD);
	expect(running, CADRE_TERMINATED);
	expect(waiting, CADRE_TERMINATED);
	open_gate(1);
	cr_assert(eventually(troupe_living() == 0));

	/* Its files wait for the next server, or for "cadre gc". */
	cr_assert_gt(scene_files(pool()), 0);
	cadre_client_detach(troupe.client);
	serve((struct cadre_pool_options){ ONE_WORKER });
	call_ok(ASK(TROUPE_LOG, 3));
	cr_assert_eq(troupe.board->logged, 1);
}
