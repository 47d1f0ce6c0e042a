/*
 * worker_seat.c - a worker takes its seat, starts its service, and gives both back: what comes
 * before the first look for a job and after the last.
 *
 * The seat is taken last: whoever starts slowly, or not at all, has not been UP.
 */
#include "capture.h"
#include "clock.h"
#include "diag.h"
#include "log.h"
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- its service ---- */

int cadre_worker_start_service(struct cadre_worker *worker, const struct cadre_seat *seat,
			       const struct cadre_service *service, void **ret_state,
			       struct cadre_diag *diag)
{
	const struct cadre_start start = {
		.pool = worker->pool,
		.worker = worker->host.worker,
		.incarnation = worker->incarnation,
		.data = seat->is_guest ? seat->start_data : worker->view.start_data,
		.length = seat->is_guest ? seat->start_length :
					   worker->view.limits.start_length,
		.channel = &worker->channel,
	};
	struct cadre_diag reason = { "" };
	int r;

	if (!service->init)
		return 0;
	r = service->init(&start, ret_state, &reason);
	if (r == 0)
		return 0;
	return cadre_refuse(diag, -ENOEXEC, "init of service \"%s\" failed: %.400s",
			    service->name ? service->name : "",
			    reason.text[0] ? reason.text : strerror(r < 0 ? -r : r));
}

/* ---- should it crash ---- */

/* In a signal handler. A forked worker that nobody recorded may find another one's place. */
static bool crash_is_ours(const void *context)
{
	const struct cadre_worker *const worker = context;

	return cadre_place_incarnation_of(cadre_place_look(worker->place)) ==
	       worker->incarnation;
}

/* Which of two jobs is more likely to hang: the one whose deadline is earlier; without
 * deadlines, the one that has run for longer. */
static bool is_worse(const struct cadre_job *job, const struct cadre_job *other)
{
	const int64_t due_ns = job->deadline_ns ? job->deadline_ns : INT64_MAX;
	const int64_t other_ns = other->deadline_ns ? other->deadline_ns : INT64_MAX;

	return due_ns != other_ns ? due_ns < other_ns : job->taken_ns < other->taken_ns;
}

/* In a signal handler. */
static pid_t find_hung_thread(const void *context)
{
	const struct cadre_worker *const worker = context;
	const struct cadre_task *worst = NULL;
	pid_t found = 0;

	for (uint32_t i = 0; i < worker->parallel && worker->thread_count > 0; i++) {
		const struct cadre_task *const task = &worker->tasks[i];
		/* Relaxed: the thread has hung for long, or it does not matter. */
		const pid_t thread = atomic_load_explicit(&task->thread,
							  memory_order_relaxed);

		if (thread == 0 ||
		    !atomic_load_explicit(&task->taken, memory_order_relaxed) ||
		    (worst && !is_worse(&task->job, &worst->job)))
			continue;
		worst = task;
		found = thread;
	}
	return found;
}

static struct cadre_occupation occupation_of_thread(void)
{
	const struct cadre_job *const job = cadre_job_current;

	return (struct cadre_occupation){
		.job = job ? cadre_job_id(job) : 0,
		.operation = job ? job->operation : 0,
	};
}

static int prepare_for_the_worst(struct cadre_worker *worker)
{
	const struct cadre_capture capture = {
		.crash = &worker->view.worker_crashes[worker->host.worker],
		.incarnation = worker->incarnation,
		.is_ours = crash_is_ours,
		.find_hung = find_hung_thread,
		.occupation = occupation_of_thread,
		.context = worker,
	};

	return cadre_capture_begin(&capture);
}

/* ---- the seat ---- */

/* STARTING -> UP. False when the supervisor that started us is gone and its successor did
 * not know of us: then somebody else sits here, or will. */
static bool take_seat(struct cadre_worker *worker)
{
	if (!cadre_place_move(worker->place,
			      cadre_place_pack(CADRE_PLACE_STARTING, worker->incarnation),
			      worker->up))
		return false;
	CADRE_KILL_POINT("P1");
	cadre_place_set_start_time(worker->place, cadre_process_self().start_time);
	CADRE_KILL_POINT("P2");
	cadre_stats_turn_to(worker->stats, CADRE_ACTIVITY_IDLE, cadre_clock_ns());
	cadre_mask_set(&worker->crew->up, worker->host.worker);
	return true;
}

/* The supervisor has leased it the place, UP, and watches its process. */
static bool take_guest_seat(struct cadre_worker *worker)
{
	if (cadre_place_look(worker->place) != worker->up)
		return false;
	cadre_stats_turn_to(worker->stats, CADRE_ACTIVITY_IDLE, cadre_clock_ns());
	cadre_mask_set(&worker->crew->up, worker->host.worker);
	return true;
}

static void find_place(struct cadre_worker *worker, const struct cadre_seat *seat)
{
	struct cadre_view *const view = &worker->view;

	worker->host.view = view;
	worker->host.blocks = cadre_layout_blocks(view);
	worker->host.inline_max = cadre_limits_inline_max(&view->limits);
	worker->host.pid = getpid();
	worker->host.worker = seat->worker;
	worker->host.pool = worker->pool;
	cadre_fetcher_init(&worker->host.fetcher);
	worker->host.incarnation = seat->incarnation;
	worker->incarnation = seat->incarnation;
	worker->up = cadre_place_pack_owned(CADRE_PLACE_UP, seat->incarnation,
					    worker->host.pid);
	worker->crew = cadre_view_crew(view, seat->worker);
	worker->bell = &view->worker_bells[seat->worker];
	worker->place = &view->worker_places[seat->worker];
	worker->stats = &view->worker_stats[seat->worker];
	worker->event_fd = -1;
	worker->heir.pidfd = -1;
	cadre_watch_init(&worker->host.watch, worker->bell);
	worker->parallel = seat->is_guest ? seat->parallel : view->limits.parallel;
	view->limits.spin_ns = cadre_process_spin_ns(
		seat->is_guest ? seat->spin_ns : view->limits.spin_ns);
	snprintf(worker->pool, sizeof(worker->pool), "%s", seat->pool);
	cadre_channel_name_worker(&worker->channel, worker->pool,
				  CADRE_READ_ONCE(view->header->created_ns), seat->worker,
				  seat->incarnation);
	worker->host.channel = &worker->channel;
}

static void release(struct cadre_worker *worker)
{
	cadre_run_fini(worker);
	cadre_capture_end(worker);
	cadre_log_end(&worker->view);
	cadre_fetcher_fini(&worker->host.fetcher);
	cadre_looker_fini(&worker->looker);
	cadre_heir_dismiss(&worker->heir);
	if (worker->owns_view)
		cadre_layout_close(&worker->view);
	free(worker);
}

/* The supervisor does not end before the heirs of those who died. */
static void appoint_heir(struct cadre_worker *worker, int start_fd)
{
	struct cadre_control message = cadre_control_message(CADRE_CONTROL_HEIR);

	cadre_heir_appoint(&worker->heir);
	if (worker->heir.pidfd < 0)
		return;
	message.place = (uint32_t)worker->heir.pid;
	message.start_time = cadre_process_start_time(worker->heir.pid);
	(void)cadre_control_send(start_fd, &message);
}

/* ---- in and out ---- */

int cadre_worker_sit_down(const struct cadre_service *service,
			  const struct cadre_view *view, bool owns_view,
			  const struct cadre_seat *seat, struct cadre_worker **ret_worker,
			  struct cadre_diag *diag)
{
	struct cadre_worker *const worker = calloc(1, sizeof(*worker));
	int r;

	if (!worker)
		return cadre_refuse(diag, -ENOMEM, "out of memory");
	worker->view = *view;
	worker->owns_view = owns_view;
	find_place(worker, seat);
	r = cadre_looker_init(&worker->looker, &worker->view, seat->worker);
	/* Before init: what the service installs itself is not overridden. */
	if (r == 0 && !seat->is_guest)
		r = prepare_for_the_worst(worker);
	if (r == 0 && !seat->is_guest)
		appoint_heir(worker, seat->start_fd);
	if (r == 0 && !seat->is_guest)
		cadre_log_begin(&worker->view, worker->pool, seat->worker);
	if (r == 0)
		r = cadre_run_init(worker, service);
	if (r < 0)
		cadre_refuse(diag, r, "%s", strerror(-r));
	if (r == 0)
		r = cadre_worker_start_service(worker, seat, service,
					       &worker->serving->state, diag);
	/* The signals of a guest's process are its owner's. */
	if (!seat->is_guest)
		cadre_worker_heed_sigterm();
	if (r == 0 && !(seat->is_guest ? take_guest_seat(worker) : take_seat(worker)))
		r = cadre_refuse(diag, -ECONNREFUSED,
				 "the place of this worker was given away");
	if (r < 0) {
		if (!seat->is_guest)
			cadre_worker_tell(seat->start_fd, CADRE_CONTROL_FAILED,
					  diag->text);
		release(worker);
		return r;
	}
	if (!seat->is_guest)
		cadre_worker_tell(seat->start_fd, CADRE_CONTROL_STARTED, "");
	*ret_worker = worker;
	return 0;
}

void cadre_worker_stand_up(struct cadre_worker *worker)
{
	const struct cadre_service *service;
	int r = 0;

	cadre_crew_forget(worker->crew, worker->host.worker);
	cadre_run_turn_page(worker);
	/* Services before this one have their ends behind them. */
	cadre_table_await_released(&worker->replaced);
	service = worker->serving->service;
	/* A pool that was terminated gives no time to end in order. */
	if (service->fini &&
	    atomic_load_explicit(&worker->view.header->state, memory_order_relaxed) !=
		    CADRE_POOL_TERMINATED)
		r = service->fini(worker->serving->state);
	if (r != 0)
		cadre_log(CADRE_LOG_WARNING, "fini of service \"%s\" failed: %s",
			  service->name ? service->name : "", strerror(r < 0 ? -r : r));
	release(worker);
}
