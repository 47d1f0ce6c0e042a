/*
 * staff.c - the supervisor's workers: start, greet, dismiss. What becomes of their deaths
 * stands in staff_deaths.c, of those who do not end in staff_verdicts.c, of those whom a dead
 * supervisor left in staff_adoption.c. How many there are is the business of size.c; who is
 * replaced alive, that of relief.c.
 *
 *   post       event            what follows
 *   ---------  ---------------  -----------------------------------------------------
 *   EMPTY      hire             place STARTING(i + 1), fork                -> STARTING
 *   STARTING   "started"        (the worker moved its place to UP itself)  -> UP
 *              "failed"         remember its words; its death follows
 *              late             kill; its death follows
 *   UP         idle, over min   place DRAINING, ring                       -> LEAVING
 *              overdue job      ABRT, then KILL; its death follows
 *   LEAVING    death            reap                                       -> EMPTY
 *   any        death            reap; back-off                             -> WAITING
 *              with status 78   reap                                       -> DISABLED
 *   WAITING    retry is due     needed: as EMPTY; else                     -> EMPTY
 */
#include "staff.h"
#include "clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORK_AGAIN_NS (100 * CADRE_NS_PER_MS) /* after one that failed */
#define ROUNDS_MAX 64 /* a worker moves its place once, so the second round is the last */

/* ---- what its files share ---- */

struct cadre_place *cadre_staff_place(const struct cadre_supervisor *supervisor,
				      unsigned worker)
{
	return &supervisor->view.worker_places[worker];
}

void cadre_staff_move_place(struct cadre_place *place, enum cadre_place_state state,
			    uint32_t incarnation)
{
	const bool owned = state == CADRE_PLACE_DRAINING || state == CADRE_PLACE_DEAD;
	uint64_t seen, next = 0;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		seen = cadre_place_look(place);
		next = cadre_place_pack_owned(state, incarnation,
					      owned ? cadre_place_pid_of(seen) : 0);
		if (cadre_place_move(place, seen, next))
			return;
	}
	/* P1, pairs with cadre_place_look. It does not depend on whoever scribbles there. */
	atomic_store_explicit(&place->state, next, memory_order_seq_cst);
}

struct cadre_event cadre_staff_event(const struct cadre_supervisor *supervisor,
				     unsigned worker, enum cadre_event_kind kind)
{
	const struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_event event = cadre_event_now(kind);

	event.place = (int32_t)worker;
	event.incarnation = member->incarnation;
	event.pid = member->child.pid;
	if (event.when_ns > member->started_ns)
		event.duration_ns = event.when_ns - member->started_ns;
	return event;
}

void cadre_staff_tell(const struct cadre_supervisor *supervisor, unsigned worker,
		      enum cadre_event_kind kind)
{
	const struct cadre_event event = cadre_staff_event(supervisor, worker, kind);

	cadre_supervisor_tell(supervisor, &event);
}

void cadre_staff_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- posts ---- */

int cadre_staff_init(struct cadre_supervisor *supervisor)
{
	const unsigned workers = supervisor->view.limits.workers;

	supervisor->members = calloc(workers ? workers : 1, sizeof(*supervisor->members));
	if (!supervisor->members)
		return -ENOMEM;
	cadre_relief_init(supervisor);
	cadre_reload_init(supervisor);
	supervisor->size = cadre_view_size(&supervisor->view);
	for (unsigned worker = 0; worker < workers; worker++) {
		supervisor->members[worker].child.pidfd = -1;
		supervisor->members[worker].child.start_fd = -1;
		supervisor->members[worker].remains = -1;
	}
	return 0;
}

void cadre_staff_fini(struct cadre_supervisor *supervisor)
{
	if (supervisor->members) {
		cadre_staff_collect(supervisor);
		cadre_staff_await_heirs(supervisor);
	}
	for (unsigned worker = 0;
	     supervisor->members && worker < supervisor->view.limits.workers; worker++) {
		cadre_staff_close(&supervisor->members[worker].child.pidfd);
		cadre_staff_close(&supervisor->members[worker].child.start_fd);
	}
	free(supervisor->members);
	supervisor->members = NULL;
}

unsigned cadre_staff_count(const struct cadre_supervisor *supervisor, enum cadre_post post)
{
	unsigned count = 0;

	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++)
		count += supervisor->members[worker].post == post;
	return count;
}

/* ---- hiring ---- */

void cadre_staff_start(struct cadre_supervisor *supervisor, unsigned worker,
		       uint32_t version, int64_t now_ns)
{
	struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_place *const place = cadre_staff_place(supervisor, worker);
	struct cadre_place_stats *const stats = &supervisor->view.worker_stats[worker];
	const struct cadre_seat seat = {
		.pool = supervisor->pool,
		.worker = worker,
		.created_ns = supervisor->view.header->created_ns,
		.incarnation = cadre_place_incarnation_of(cadre_place_look(place)) + 1,
	};
	int r;

	member->incarnation = seat.incarnation;
	member->last_words[0] = '\0';
	member->abort_ns = 0;
	member->started_ns = now_ns;
	member->start_until_ns = now_ns + supervisor->options.start_timeout_ns;
	member->version = version;
	member->jobs_before = cadre_count_read(&stats->worker.jobs_taken);
	member->memory_due_ns = 0;
	/* For a successor, which asks the same questions. */
	atomic_store_explicit(&place->version, version, memory_order_relaxed);
	atomic_store_explicit(&place->jobs_before, member->jobs_before,
			      memory_order_relaxed);
	atomic_store_explicit(&place->since_ns, now_ns, memory_order_relaxed);
	/* The place is ready before the fork: a worker that nobody recorded leaves again when
	 * its place has moved on. An old start time would condemn the new owner. */
	cadre_place_set_start_time(place, 0);
	cadre_staff_move_place(place, CADRE_PLACE_STARTING, seat.incarnation);
	CADRE_KILL_POINT("P3");
	r = cadre_spawn_worker(supervisor->source, &supervisor->view, &seat,
			       &member->child);
	CADRE_KILL_POINT("P4");
	if (r < 0) {
		cadre_supervisor_warn(supervisor, "cannot fork worker %u: %s", worker,
				      strerror(-r));
		cadre_staff_move_place(place, CADRE_PLACE_VACANT, seat.incarnation);
		member->post = CADRE_POST_WAITING;
		member->retry_ns = now_ns + FORK_AGAIN_NS;
		return;
	}
	member->post = CADRE_POST_STARTING;
	cadre_count_add(&stats->place.starts, 1);
	if (member->replaces)
		cadre_count_add(&stats->place.restarts, 1);
	member->replaces = false;
	cadre_count_add(&supervisor->view.header->counters.workers_started, 1);
	cadre_supervisor_watch(supervisor, member->child.start_fd,
			       CADRE_HEARD_WORKER_START, worker);
	cadre_supervisor_watch(supervisor, member->child.pidfd, CADRE_HEARD_WORKER,
			       worker);
}

/* As cadre_control_receive, past the heir, which comes first if there is one. */
static int hear_start(struct cadre_member *member, struct cadre_control *ret_message)
{
	for (;;) {
		const int r = cadre_control_receive(member->child.start_fd, ret_message,
						    NULL);

		if (r != 1 || ret_message->kind != CADRE_CONTROL_HEIR)
			return r;
		cadre_staff_know_heir(member,
				      (struct cadre_identity){
					      .pid = (pid_t)ret_message->place,
					      .start_time = ret_message->start_time,
				      });
	}
}

void cadre_staff_start_spoke(struct cadre_supervisor *supervisor, unsigned worker)
{
	struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_control message;
	int r;

	if (member->child.start_fd < 0)
		return;
	r = hear_start(member, &message);
	if (r == -EAGAIN)
		return;
	if (r == 1 && message.kind == CADRE_CONTROL_FAILED)
		snprintf(member->last_words, sizeof(member->last_words), "%.239s",
			 message.text);
	if (r == 1 && message.kind == CADRE_CONTROL_STARTED) {
		cadre_staff_tell(supervisor, worker, CADRE_EVENT_worker_started);
		if (member->post == CADRE_POST_STARTING)
			member->post = CADRE_POST_UP;
	}
	/* It has said all that it will say; or it died, and the pidfd tells how. */
	cadre_staff_close(&member->child.start_fd);
}

static void kill_late_starters(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		struct cadre_member *const member = &supervisor->members[worker];

		if (member->post != CADRE_POST_STARTING || now_ns < member->start_until_ns)
			continue;
		snprintf(member->last_words, sizeof(member->last_words),
			 "its init took longer than %lld ms",
			 (long long)(supervisor->options.start_timeout_ns /
				     CADRE_NS_PER_MS));
		cadre_process_kill(member->child.pidfd, SIGKILL);
	}
}

/* ---- leaving ---- */

void cadre_staff_dismiss(struct cadre_supervisor *supervisor, unsigned worker)
{
	struct cadre_member *const member = &supervisor->members[worker];

	member->post = CADRE_POST_LEAVING;
	cadre_staff_move_place(cadre_staff_place(supervisor, worker),
			       CADRE_PLACE_DRAINING, member->incarnation);
	cadre_bell_ring(&supervisor->view.worker_bells[worker], CADRE_BELL_EVERYONE,
			INT32_MAX);
}

void cadre_staff_vacate(struct cadre_supervisor *supervisor, unsigned worker)
{
	struct cadre_member *const member = &supervisor->members[worker];

	member->post = CADRE_POST_EMPTY;
	cadre_staff_move_place(cadre_staff_place(supervisor, worker), CADRE_PLACE_VACANT,
			       member->incarnation);
}

void cadre_staff_dismiss_all(struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		struct cadre_member *const member = &supervisor->members[worker];

		if (member->post == CADRE_POST_UP)
			cadre_staff_dismiss(supervisor, worker);
		else if (member->post == CADRE_POST_STARTING)
			/* Its place is moved on, so it leaves at once when its init is done. */
			cadre_staff_dismiss(supervisor, worker);
		else if (member->post == CADRE_POST_WAITING)
			member->post = CADRE_POST_EMPTY;
	}
}

void cadre_staff_kill_all(struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		struct cadre_member *const member = &supervisor->members[worker];

		if (member->child.pidfd >= 0)
			cadre_process_kill(member->child.pidfd, SIGKILL);
		else if (member->post == CADRE_POST_WAITING)
			member->post = CADRE_POST_EMPTY;
	}
}

/* ---- what time brings ---- */

void cadre_staff_tick(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	kill_late_starters(supervisor, now_ns);
	cadre_staff_collect_heirs(supervisor);
	if (supervisor->phase != CADRE_SERVING && supervisor->phase != CADRE_STOPPING)
		return;
	cadre_staff_judge_all(supervisor, now_ns);
	cadre_size_tick(supervisor, now_ns);
	cadre_relief_tick(supervisor, now_ns);
	cadre_staff_recover(supervisor, now_ns);
}

int64_t cadre_staff_next_ns(const struct cadre_supervisor *supervisor)
{
	int64_t next_ns = INT64_MAX;

	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		const struct cadre_member *const member = &supervisor->members[worker];

		if (member->post == CADRE_POST_STARTING && member->start_until_ns < next_ns)
			next_ns = member->start_until_ns;
		if (member->post == CADRE_POST_WAITING && member->retry_ns < next_ns)
			next_ns = member->retry_ns;
		if (cadre_staff_kill_due_ns(member) < next_ns)
			next_ns = cadre_staff_kill_due_ns(member);
	}
	return next_ns;
}
