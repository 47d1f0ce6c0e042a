/*
 * worker.c - the life of a worker in its seat: look, run, sleep, until it is to leave. How it
 * comes to the seat and leaves it stands in worker_seat.c.
 *
 * A worker owns nothing in the segment but its own place's lines and the slots whose words
 * name it. It may be killed anywhere; what it leaves behind, the supervisor reads from
 * those words.
 */
#include "worker.h"
#include "clock.h"
#include "diag.h"
#include "whereabouts.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SLEEP_MOST_NS CADRE_NS_PER_S
#define LOOKS_PER_CLOCK 32
#define LOOKS_BRIEFLY 10 /* after a job: a caller that waits for each soon has the next */
#define LOOKS_PER_HINT 16 /* the others are next door */

/* Set by SIGTERM: finish what there is, then leave. */
static volatile sig_atomic_t leave_wished;

static void wish_to_leave(int signal_number)
{
	(void)signal_number;
	leave_wished = 1;
}

void cadre_worker_heed_sigterm(void)
{
	const struct sigaction leave = { .sa_handler = wish_to_leave };

	sigaction(SIGTERM, &leave, NULL);
}

static bool is_guest(const struct cadre_worker *worker)
{
	return worker->host.worker >= worker->view.limits.workers;
}

static void leave_soon(struct cadre_worker *worker)
{
	if (is_guest(worker))
		atomic_store_explicit(&worker->leaves, true, memory_order_relaxed);
	else
		leave_wished = 1;
}

static bool told_to_leave(const struct cadre_worker *worker)
{
	/* Relaxed: noticed sooner or later, and each sleep is bounded. */
	const bool wished = is_guest(worker) ? atomic_load_explicit(&worker->leaves,
								    memory_order_relaxed) :
					       leave_wished != 0;

	return wished || cadre_place_look(worker->place) != worker->up ||
	       atomic_load_explicit(&worker->view.header->state, memory_order_relaxed) ==
		       CADRE_POOL_TERMINATED;
}

/* A worker without a supervisor goes on for orphan_ns, in the hope of a successor. */
bool cadre_worker_is_alone(struct cadre_worker *worker, int64_t *since_ns)
{
	const int64_t now_ns = cadre_clock_ns();

	if (cadre_lock_holder(worker->pool) != 0) {
		*since_ns = 0;
		return false;
	}
	if (*since_ns == 0)
		*since_ns = now_ns;
	return now_ns - *since_ns > worker->view.limits.orphan_ns;
}

static bool is_orphan_for_long(struct cadre_worker *worker)
{
	return cadre_worker_is_alone(worker, &worker->orphan_since_ns);
}

/* ---- look and sleep ---- */

/* Sleeps until at most `most` jobs are under way, or for a while. The drawing stands in
 * run.c. */
static void await_room(struct cadre_worker *worker, uint32_t most, bool draining)
{
	const uint32_t rings = cadre_bell_remember(worker->bell);

	cadre_run_engage(worker);
	atomic_store_explicit(&worker->waits_for_room, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* R3, pairs with R2 */
	cadre_run_call_back(worker);
	if (atomic_load_explicit(&worker->workload, memory_order_relaxed) > most &&
	    (draining || !told_to_leave(worker)))
		cadre_bell_sleep(worker->bell, rings, cadre_worker_bell_bits(worker),
				 SLEEP_MOST_NS);
	atomic_store_explicit(&worker->waits_for_room, false, memory_order_relaxed);
	cadre_run_disengage(worker);
}

/* Nobody who may give us a job, and no other worker that looks for one, is on our CPU. */
static bool has_cpu_to_itself(struct cadre_worker *worker)
{
	const struct cadre_view *const view = &worker->view;
	const uint32_t here = cadre_whereabouts_say(worker->bell);

	if (cadre_whereabouts_worker_here(worker->crew, view->worker_bells,
					  worker->host.worker, here))
		return false;
	if (!cadre_whereabouts_any_here(&view->header->active, view->client_bells,
					view->limits.clients, here))
		return true;
	return worker->may_migrate &&
	       cadre_migration_sight(&worker->migration, here, cadre_clock_ns());
}

/* A client on our CPU may be in the midst of submitting: it goes on before we sleep, and have
 * to be woken. When it has nothing to do, we are back at once. */
static bool look_without_spinning(struct cadre_worker *worker)
{
	bool ran = cadre_run_one(worker, false);

	/* Or it runs as soon as it is rung for, and has left us its next job. */
	if (!ran && cadre_held_let_go(&worker->held, &worker->view) > 0)
		ran = cadre_run_one(worker, false);
	if (!ran && !worker->looker.left && !has_cpu_to_itself(worker)) {
		cadre_run_idle(worker);
		sched_yield();
		ran = cadre_run_one(worker, false);
	}
	/* Whom a job was left to needs this CPU, perhaps. */
	while (!ran && worker->looker.left && !told_to_leave(worker)) {
		sched_yield();
		ran = cadre_run_one(worker, false);
	}
	return ran;
}

/* A look for a job, now and then along the hints, which begin next door. */
static bool look_once(struct cadre_worker *worker, unsigned look)
{
	if (cadre_run_next_door(worker) ||
	    (look % LOOKS_PER_HINT == 0 && cadre_run_one(worker, false)))
		return true;
	cadre_held_let_go(&worker->held, &worker->view);
	return false;
}

static bool spin(struct cadre_worker *worker)
{
	const int64_t spin_ns = worker->view.limits.spin_ns;
	const unsigned ask_every = CADRE_LOOKS_BEFORE_ASKING(worker->shares_cpu);
	int64_t until_ns = 0;
	unsigned look = 0;

	if (spin_ns == 0)
		return look_without_spinning(worker);
	for (;;) {
		bool gives_way = false;

		do {
			if (look_once(worker, look++))
				return true;
			if (look % ask_every == 0 && !worker->looker.left)
				gives_way = worker->shares_cpu = !has_cpu_to_itself(worker);
			if (look <= LOOKS_BRIEFLY)
				cadre_pause_briefly();
			else
				cadre_pause();
		} while (look % LOOKS_PER_CLOCK && !gives_way);
		cadre_run_call_back(worker);
		/* The clock is read now and then only; a busy worker never gets here. */
		cadre_run_idle(worker);
		if (until_ns == 0)
			until_ns = cadre_clock_in_ns(spin_ns);
		/* As in look_without_spinning. */
		if (gives_way)
			sched_yield();
		/* A job that was left to somebody is taken by him, or soon by us. */
		if ((cadre_clock_ns() >= until_ns && !worker->looker.left) ||
		    told_to_leave(worker))
			return false;
		if (gives_way)
			return look_once(worker, 0);
	}
}

/* Says that we sleep, and looks once more, through everything. True when there was a job
 * after all; it has been run. The drawing stands in crew.h. */
static bool lie_down(struct cadre_worker *worker)
{
	cadre_run_idle(worker);
	cadre_look_settle(&worker->looker);
	worker->asleep = true;
	cadre_crew_take_nap(worker->bell);
	cadre_mask_set(&worker->crew->sleepers, worker->host.worker); /* K1 */
	atomic_thread_fence(memory_order_seq_cst); /* F3, pairs with F2 */
	CADRE_KILL_POINT("K1");
	return cadre_run_one(worker, true);
}

static void sleep_until_rung(struct cadre_worker *worker)
{
	/* L1: remembered before the bit is set and the last look is made. */
	const uint32_t rings = cadre_bell_remember(worker->bell);
	bool rung = true;

	if (lie_down(worker))
		return;
	/* Left to somebody who is rung for: it is ours again in a moment, unless he takes it. */
	if (worker->looker.left) {
		cadre_run_get_up(worker);
		return;
	}
	cadre_run_call_back(worker);
	if (!told_to_leave(worker)) {
		cadre_count_add(&worker->stats->worker.sleeps, 1);
		rung = cadre_bell_sleep(worker->bell, rings,
					cadre_worker_bell_bits(worker), SLEEP_MOST_NS);
	}
	cadre_run_get_up(worker);
	CADRE_KILL_POINT("K2");
	if (!rung && is_orphan_for_long(worker))
		leave_soon(worker);
	/* What we were woken for may be where no hint points; but mostly one does, and a look
	 * through everything costs as much as the wake-up. What is passed over now is found
	 * before the next sleep, or by the supervisor's tick. */
	if (!cadre_run_one(worker, false))
		cadre_run_one(worker, true);
}

/* Nobody may take for us what is aimed at us. A client that saw us UP behind its fence (F2)
 * published before our place moved on, so that this look, behind a fence of ours, sees it:
 * what was accepted is run. One that comes later sees that we leave. */
static unsigned run_what_is_aimed(struct cadre_worker *worker, bool wait)
{
	const uint64_t leaving = cadre_place_pack_owned(CADRE_PLACE_DRAINING,
							worker->incarnation,
							worker->host.pid);
	unsigned ran = 0;

	if (is_guest(worker) || cadre_place_look(worker->place) != leaving)
		return 0;
	atomic_thread_fence(memory_order_seq_cst); /* F6, pairs with F2 */
	cadre_looker_narrow(&worker->looker);
	/* At most as many as there can be, whatever a broken client does. */
	while (ran < worker->view.slot_count) {
		while (wait && !cadre_worker_has_room(worker))
			await_room(worker, worker->parallel - 1, true);
		if (!cadre_worker_has_room(worker) || !cadre_run_one(worker, true))
			break;
		ran++;
	}
	return ran;
}

/* A guest may be driven by another thread than the one that opened it. */
static void be_dispatcher(struct cadre_worker *worker)
{
	if (!pthread_equal(worker->dispatcher, pthread_self()))
		worker->dispatcher = pthread_self();
}

void cadre_worker_go_on(struct cadre_worker *worker)
{
	be_dispatcher(worker);
	worker->holds_rings = !worker->shares_stats;
	while (!told_to_leave(worker)) {
		cadre_run_turn_page(worker);
		cadre_run_call_back(worker);
		if (!cadre_worker_has_room(worker)) {
			cadre_held_let_go(&worker->held, &worker->view);
			await_room(worker, worker->parallel - 1, false);
			/* Long handlers keep us from sleeping; look after the supervisor here too. */
			if (is_orphan_for_long(worker))
				leave_soon(worker);
		} else if (!spin(worker)) {
			sleep_until_rung(worker);
		}
	}
	worker->holds_rings = false;
	cadre_held_let_go(&worker->held, &worker->view);
	run_what_is_aimed(worker, true);
	while (atomic_load(&worker->workload) > 0)
		await_room(worker, 0, true);
}

void cadre_worker_bid_leave(struct cadre_worker *worker)
{
	leave_soon(worker);
	cadre_bell_ring(worker->bell, CADRE_BELL_EVERYONE, INT32_MAX);
}

int cadre_worker_reload(struct cadre_worker *worker, const struct cadre_service *service,
			cadre_released_fn *released, void *context,
			struct cadre_diag *diag)
{
	const struct cadre_seat seat = { .is_guest = is_guest(worker) };
	struct cadre_table *table;
	int r = cadre_service_check(service, diag);

	if (r < 0)
		return r;
	if (cadre_run_wants_threads(worker, service) != (worker->thread_count > 0))
		return cadre_refuse(diag, -EINVAL,
				    "service \"%s\": CADRE_SERVICE_THREADS cannot change while "
				    "its worker runs",
				    service->name ? service->name : "");
	table = cadre_table_make(service);
	if (!table)
		return cadre_refuse(diag, -ENOMEM, "out of memory");
	r = cadre_worker_start_service(worker, &seat, service, &table->state, diag);
	if (r < 0) {
		cadre_table_free(table);
		return r;
	}
	cadre_table_replace(&worker->table, table, released, context, &worker->replaced);
	/* One that sleeps holds the old one. */
	cadre_bell_ring(worker->bell, CADRE_BELL_DISPATCHER, INT32_MAX);
	return 0;
}

int cadre_worker_serve(const struct cadre_service *service, const struct cadre_view *view,
		       const struct cadre_seat *seat)
{
	struct cadre_diag diag = { "" };
	struct cadre_worker *worker = NULL;
	const int r = cadre_worker_sit_down(service, view, false, seat, &worker, &diag);

	close(seat->start_fd);
	if (r < 0 || !worker)
		return r == -ECONNREFUSED ? EXIT_SUCCESS : CADRE_WORKER_START_FAILED;
	worker->may_migrate = true;
	cadre_worker_go_on(worker);
	cadre_worker_stand_up(worker);
	return EXIT_SUCCESS;
}

/* ---- driven by an event loop of the program's own ---- */

static void signal_fd(const struct cadre_worker *worker)
{
	const uint64_t one = 1;

	/* Fails only when 2^64 - 1 signals are pending: readable it is. */
	if (worker->event_fd >= 0 && write(worker->event_fd, &one, sizeof(one)) < 0)
		return;
}

static void *notify(void *argument)
{
	struct cadre_worker *const worker = argument;

	while (!atomic_load(&worker->notifier_ends)) {
		const uint32_t rings = cadre_bell_remember(worker->bell);

		signal_fd(worker);
		cadre_bell_sleep(worker->bell, rings, CADRE_BELL_EVERYONE, SLEEP_MOST_NS);
	}
	return NULL;
}

int cadre_worker_fd(struct cadre_worker *worker)
{
	sigset_t all, before;
	int error;

	if (worker->event_fd >= 0)
		return worker->event_fd;
	worker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->event_fd < 0)
		return -errno;
	/* The notifier gets no signals of the program's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&worker->notifier, NULL, notify, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		close(worker->event_fd);
		worker->event_fd = -1;
		return -error;
	}
	return worker->event_fd;
}

int cadre_worker_step_most(struct cadre_worker *worker, unsigned most)
{
	uint64_t signals;
	unsigned ran = 0;

	if (worker->event_fd >= 0 &&
	    read(worker->event_fd, &signals, sizeof(signals)) < 0 && errno != EAGAIN)
		return -errno;
	be_dispatcher(worker);
	cadre_run_get_up(worker);
	if (is_orphan_for_long(worker))
		leave_soon(worker);
	cadre_run_call_back(worker);
	for (;;) {
		cadre_run_turn_page(worker);
		/* Without room, whoever ends a job rings, and the notifier tells of it. */
		atomic_store_explicit(&worker->waits_for_room, true, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst); /* R3, pairs with R2 */
		if (told_to_leave(worker) || !cadre_worker_has_room(worker))
			break;
		if (most != 0 && ran == most) {
			/* There may be more, and we are not asleep: nobody will ring. */
			signal_fd(worker);
			return (int)ran;
		}
		if (cadre_run_one(worker, false)) {
			ran++;
			continue;
		}
		/* Left to a lighter worker for a moment: the program's loop comes back. */
		if (worker->looker.left && worker->event_fd >= 0) {
			signal_fd(worker);
			return (int)ran;
		}
		/* lie_down leaves us asleep in the program's own loop; the notifier listens. */
		if (!lie_down(worker)) {
			if (worker->looker.left) {
				cadre_run_get_up(worker);
				signal_fd(worker);
			}
			return (int)ran;
		}
		ran++;
	}
	if (told_to_leave(worker) && ran == 0) {
		ran = run_what_is_aimed(worker, false);
		if (ran == 0 && atomic_load(&worker->workload) == 0)
			return -ESHUTDOWN;
	}
	return (int)ran;
}

int cadre_worker_step(struct cadre_worker *worker)
{
	return cadre_worker_step_most(worker, 0);
}

void cadre_worker_close(struct cadre_worker *worker)
{
	if (worker->event_fd >= 0) {
		atomic_store(&worker->notifier_ends, true);
		cadre_bell_ring(worker->bell, CADRE_BELL_EVERYONE, INT32_MAX);
		pthread_join(worker->notifier, NULL);
		close(worker->event_fd);
	}
	cadre_worker_stand_up(worker);
}
