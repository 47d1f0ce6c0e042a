/*
 * local.c - a local worker from its owner's side: take a guest's place, be driven, leave.
 *
 * The supervisor leases the place and watches this process by a pidfd, as it does for
 * clients; everything else is the worker of worker.c, in somebody else's process. The place
 * is given back last, when nothing of the worker touches its lines any more: the next guest
 * may sit there at once.
 */
#include "client.h"
#include "clock.h"
#include "control.h"
#include "diag.h"
#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <cadre/local.h>

#define OPEN_TIMEOUT_NS (5 * CADRE_NS_PER_S)
#define GOODBYE_TIMEOUT_NS (2 * CADRE_NS_PER_S)
#define ASK_AGAIN_NS (5 * CADRE_NS_PER_MS)
#define PARALLEL_MAX 4096

struct cadre_local {
	struct cadre_worker *worker;
	struct cadre_view view;
	struct cadre_forkguard guard;
	struct cadre_channel channel;
	char pool[CADRE_NAME_MAX + 1];
	unsigned seat;
	uint32_t incarnation;
	uint64_t nonce;
	bool has_thread;
	pthread_t thread;
};

/* ---- the place ---- */

static bool is_seated_here(const struct cadre_local *local, uint32_t seat,
			   uint32_t incarnation)
{
	const struct cadre_place *place;

	if (seat < local->view.limits.workers || seat >= local->view.seat_count)
		return false;
	place = &local->view.worker_places[seat];
	/* Relaxed: the answer came behind it. */
	return cadre_place_look(place) ==
		       cadre_place_pack_owned(CADRE_PLACE_UP, incarnation, getpid()) &&
	       atomic_load_explicit(&place->nonce, memory_order_relaxed) == local->nonce;
}

/* Our question may be answered when we no longer listen: then a place would be leased to a
 * living process that does not know of it. Waits for nothing. */
static void take_question_back(const struct cadre_local *local)
{
	struct cadre_control goodbye = cadre_control_message(CADRE_CONTROL_GUEST_GOODBYE);

	goodbye.place = CADRE_CONTROL_ANY_PLACE;
	goodbye.nonce = local->nonce;
	(void)cadre_control_ask(local->pool, &goodbye, cadre_clock_ns(), NULL);
}

/* -ESTALE: the segment that was opened is that of a dead pool, and the supervisor who
 * answered has another one. */
static int take_place(struct cadre_local *local, int64_t until_ns, struct cadre_diag *diag)
{
	struct cadre_control question = cadre_control_message(CADRE_CONTROL_GUEST);
	struct cadre_control answer;
	int r;

	question.nonce = local->nonce;
	question.start_time = cadre_process_self().start_time;
	r = cadre_control_ask_patiently(local->pool, &question, until_ns, &answer);
	if (r == -ETIMEDOUT)
		take_question_back(local);
	if (r < 0)
		return cadre_client_refuse_attach(local->pool, r, diag);
	if (answer.error < 0)
		return cadre_refuse(diag, answer.error,
				    "cannot open a local worker in pool \"%s\": %.400s",
				    local->pool, answer.text);
	if (!is_seated_here(local, answer.place, answer.incarnation))
		return -ESTALE;
	local->seat = answer.place;
	local->incarnation = answer.incarnation;
	return 0;
}

static int open_place(struct cadre_local *local, int64_t until_ns, struct cadre_diag *diag)
{
	int r = cadre_layout_open(local->pool, true, &local->view, diag);

	if (r < 0)
		return r;
	r = take_place(local, until_ns, diag);
	if (r < 0)
		cadre_layout_close(&local->view);
	if (r == -ESTALE && cadre_clock_left_ns(until_ns, 1) == 0)
		return cadre_refuse(diag, -EBADMSG,
				    "cannot open a local worker in pool \"%s\": its "
				    "supervisor leases places that are not in its segment",
				    local->pool);
	return r;
}

/* Without a supervisor to tell, the place itself says so: a successor reaps it. */
static void leave_place(const struct cadre_local *local)
{
	const int32_t pid = getpid();

	cadre_place_move(&local->view.worker_places[local->seat],
			 cadre_place_pack_owned(CADRE_PLACE_UP, local->incarnation, pid),
			 cadre_place_pack_owned(CADRE_PLACE_DRAINING, local->incarnation,
						pid));
}

static void give_place_back(const struct cadre_local *local)
{
	struct cadre_control goodbye = cadre_control_message(CADRE_CONTROL_GUEST_GOODBYE);
	struct cadre_control answer;

	goodbye.place = local->seat;
	goodbye.nonce = local->nonce;
	if (cadre_control_ask(local->pool, &goodbye,
			      cadre_clock_in_ns(GOODBYE_TIMEOUT_NS), &answer) < 0)
		leave_place(local);
}

/* ---- open ---- */

static int check(const struct cadre_service *service,
		 const struct cadre_local_options *options, struct cadre_diag *diag)
{
	int r = cadre_service_check(service, diag);

	if (r == 0 && options->size != sizeof(*options))
		r = cadre_refuse(diag, -EINVAL,
				 "cadre_local_options has size %zu: must be %zu",
				 options->size, sizeof(*options));
	if (r == 0 && options->parallel > PARALLEL_MAX)
		r = cadre_refuse(diag, -EINVAL, "parallel %u: must be 1 to %d",
				 options->parallel, PARALLEL_MAX);
	if (r == 0 && options->start_length && !options->start_data)
		r = cadre_refuse(diag, -EINVAL,
				 "start_length %zu: start_data must not be NULL then",
				 options->start_length);
	return r;
}

static int begin(struct cadre_local *local, const struct cadre_service *service,
		 const struct cadre_local_options *options, int64_t until_ns,
		 struct cadre_diag *diag)
{
	const struct timespec nap = cadre_clock_timespec(ASK_AGAIN_NS);
	struct cadre_diag reason = { "" };
	struct cadre_seat seat = {
		.pool = local->pool,
		.start_fd = -1,
		.is_guest = true,
		.parallel = options->parallel ? options->parallel : 1,
		.spin_ns = options->spin_ns,
		.start_data = options->start_data,
		.start_length = options->start_length,
	};
	int r;

	while ((r = open_place(local, until_ns, diag)) == -ESTALE)
		nanosleep(&nap, NULL);
	if (r < 0)
		return r;
	seat.worker = local->seat;
	seat.incarnation = local->incarnation;
	r = cadre_worker_sit_down(service, &local->view, false, &seat, &local->worker,
				  &reason);
	if (r < 0) {
		give_place_back(local);
		cadre_layout_close(&local->view);
		return cadre_refuse(diag, r,
				    "cannot open a local worker in pool \"%s\": %.400s",
				    local->pool, reason.text);
	}
	local->channel = local->worker->channel;
	return 0;
}

int cadre_local_open(const char *pool, const struct cadre_service *service,
		     const struct cadre_local_options *options,
		     struct cadre_local **ret_local, struct cadre_diag *diag)
{
	const struct cadre_local_options defaults = { .size = sizeof(defaults) };
	const int64_t timeout_ns = options && options->timeout_ns > 0 ?
					   options->timeout_ns :
					   OPEN_TIMEOUT_NS;
	struct cadre_local *local;
	int r;

	options = options ? options : &defaults;
	r = check(service, options, diag);
	if (r == 0)
		r = cadre_name_check(pool, diag);
	if (r < 0)
		return r;
	local = calloc(1, sizeof(*local));
	if (!local)
		return cadre_refuse(diag, -ENOMEM, "out of memory");
	snprintf(local->pool, sizeof(local->pool), "%s", pool);
	r = cadre_forkguard_init(&local->guard);
	if (r == 0 &&
	    getrandom(&local->nonce, sizeof(local->nonce), 0) != sizeof(local->nonce))
		r = -errno;
	if (r < 0)
		cadre_refuse(diag, r, "cannot open a local worker in pool \"%s\": %s",
			     pool, strerror(-r));
	else
		r = begin(local, service, options, cadre_clock_in_ns(timeout_ns), diag);
	if (r < 0) {
		cadre_forkguard_fini(&local->guard);
		free(local);
		return r;
	}
	*ret_local = local;
	return 0;
}

void cadre_local_channel(const struct cadre_local *local,
			 struct cadre_channel *ret_channel)
{
	*ret_channel = local->channel;
}

/* ---- being driven ---- */

int cadre_local_fd(struct cadre_local *local)
{
	return cadre_forkguard_is_child(&local->guard) ? -ECHILD :
							 cadre_worker_fd(local->worker);
}

int cadre_local_step(struct cadre_local *local, unsigned most)
{
	return cadre_forkguard_is_child(&local->guard) ?
		       -ECHILD :
		       cadre_worker_step_most(local->worker, most);
}

static void *drive(void *argument)
{
	struct cadre_local *const local = argument;

	cadre_worker_go_on(local->worker);
	return NULL;
}

int cadre_local_start_thread(struct cadre_local *local)
{
	sigset_t all, before;
	int r;

	if (cadre_forkguard_is_child(&local->guard))
		return -ECHILD;
	if (local->has_thread)
		return -EALREADY;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&local->thread, NULL, drive, local);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	local->has_thread = r == 0;
	return r;
}

/* ---- the end ---- */

void cadre_local_stop(struct cadre_local *local)
{
	if (!cadre_forkguard_is_child(&local->guard))
		cadre_worker_bid_leave(local->worker);
}

void cadre_local_close(struct cadre_local *local)
{
	if (!local)
		return;
	if (!cadre_forkguard_is_child(&local->guard)) {
		cadre_local_stop(local);
		if (local->has_thread)
			pthread_join(local->thread, NULL);
		else
			cadre_worker_go_on(local->worker);
		cadre_worker_close(local->worker);
		give_place_back(local);
	}
	/* In a child its threads are not there, so that what they share is left alone. */
	cadre_layout_close(&local->view);
	cadre_forkguard_fini(&local->guard);
	free(local);
}
