/*
 * staff.c - the supervisor's workers: start, greet, mourn, dismiss. How many there are is
 * the business of size.c; who is replaced alive, that of relief.c.
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
 *
 * A death is what the pidfd says, and nothing else. Place DEAD, then the scan, then the
 * place is used again: in this order, so that a successor can repeat it from the start.
 */
#include "clock.h"
#include "diag.h"
#include "supervisor.h"
#include "trace.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEALTHY_NS (10 * CADRE_NS_PER_S)
#define BACKOFF_LEAST_NS (100 * CADRE_NS_PER_MS)
#define BACKOFF_MOST_NS (30 * CADRE_NS_PER_S)
#define DEGRADED_WINDOW_NS (60 * CADRE_NS_PER_S)
#define ABORT_NS (500 * CADRE_NS_PER_MS) /* from ABRT to KILL */
#define EXIT_DO_NOT_RESTART 78
#define ROUNDS_MAX 64 /* a worker moves its place once, so the second round is the last */

struct cadre_place *cadre_staff_place(const struct cadre_supervisor *supervisor,
				      unsigned worker)
{
	return &supervisor->view.worker_places[worker];
}

static struct cadre_pool_counters *counters_of(const struct cadre_supervisor *supervisor)
{
	return &supervisor->view.header->counters;
}

/* An event about the worker that sits there, for as long as it did. */
static struct cadre_event event_of(const struct cadre_supervisor *supervisor,
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

static void tell_of(const struct cadre_supervisor *supervisor, unsigned worker,
		    enum cadre_event_kind kind)
{
	const struct cadre_event event = event_of(supervisor, worker, kind);

	cadre_supervisor_tell(supervisor, &event);
}

/* Moves a place whatever its state is; nobody else moves it but a worker to UP. Its owner
 * is named as long as there may be one. */
static void force_place(struct cadre_place *place, enum cadre_place_state state,
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
	}
	return 0;
}

static void close_if_open(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void cadre_staff_fini(struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0;
	     supervisor->members && worker < supervisor->view.limits.workers; worker++) {
		close_if_open(&supervisor->members[worker].child.pidfd);
		close_if_open(&supervisor->members[worker].child.start_fd);
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
	force_place(place, CADRE_PLACE_STARTING, seat.incarnation);
	CADRE_KILL_POINT("P3");
	r = cadre_spawn_worker(supervisor->source, &supervisor->view, &seat,
			       &member->child);
	CADRE_KILL_POINT("P4");
	if (r < 0) {
		cadre_supervisor_warn(supervisor, "cannot fork worker %u: %s", worker,
				      strerror(-r));
		force_place(place, CADRE_PLACE_VACANT, seat.incarnation);
		member->post = CADRE_POST_WAITING;
		member->retry_ns = now_ns + BACKOFF_LEAST_NS;
		return;
	}
	member->post = CADRE_POST_STARTING;
	cadre_count_add(&stats->place.starts, 1);
	if (member->replaces)
		cadre_count_add(&stats->place.restarts, 1);
	member->replaces = false;
	cadre_count_add(&counters_of(supervisor)->workers_started, 1);
	cadre_supervisor_watch(supervisor, member->child.start_fd,
			       CADRE_HEARD_WORKER_START, worker);
	cadre_supervisor_watch(supervisor, member->child.pidfd, CADRE_HEARD_WORKER,
			       worker);
}

void cadre_staff_start_spoke(struct cadre_supervisor *supervisor, unsigned worker)
{
	struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_control message;
	int r;

	if (member->child.start_fd < 0)
		return;
	r = cadre_control_receive(member->child.start_fd, &message, NULL);
	if (r == -EAGAIN)
		return;
	if (r == 1 && message.kind == CADRE_CONTROL_FAILED)
		snprintf(member->last_words, sizeof(member->last_words), "%.239s",
			 message.text);
	if (r == 1 && message.kind == CADRE_CONTROL_STARTED) {
		tell_of(supervisor, worker, CADRE_EVENT_worker_started);
		if (member->post == CADRE_POST_STARTING)
			member->post = CADRE_POST_UP;
	}
	/* It has said all that it will say; or it died, and the pidfd tells how. */
	close_if_open(&member->child.start_fd);
}

/* ---- deaths ---- */

static struct cadre_obituary write_obituary(const struct cadre_member *member,
					    const siginfo_t *end)
{
	struct cadre_obituary obituary = {
		.pid = member->child.pid,
		.code = CADRE_STATUS_UNKNOWN,
		.words = member->last_words[0] ? member->last_words : NULL,
	};

	if (end->si_code == CLD_EXITED)
		obituary.code = -end->si_status;
	else if (end->si_code == CLD_KILLED || end->si_code == CLD_DUMPED)
		obituary.code = end->si_status;
	return obituary;
}

/* Was that written by a predecessor, who died before the place was used again? */
static bool is_told(const struct cadre_supervisor *supervisor, unsigned worker)
{
	static const enum cadre_event_kind ends[] = { CADRE_EVENT_worker_died,
						      CADRE_EVENT_worker_left,
						      CADRE_EVENT_start_failed };
	const uint32_t incarnation = supervisor->members[worker].incarnation;

	for (unsigned i = 0; supervisor->inherited && i < CADRE_COUNT_OF(ends); i++) {
		if (cadre_event_knows_of(&supervisor->view.events, ends[i],
					 (int32_t)worker, incarnation))
			return true;
	}
	return false;
}

/* What the worker had, and what it left of its last moment. */
static struct cadre_event compose_death(const struct cadre_supervisor *supervisor,
					unsigned worker, enum cadre_event_kind kind,
					struct cadre_obituary obituary)
{
	const struct cadre_view *const view = &supervisor->view;
	const struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_event death = event_of(supervisor, worker, kind);
	struct cadre_backtrace trace;

	death.pid = obituary.pid;
	death.code = obituary.code;
	cadre_event_add_text(&death, member->last_words);
	cadre_reap_list(view, worker, &death);
	/* A copy: the worker that sits there next may crash as well. */
	if (cadre_crash_read(&view->worker_crashes[worker], obituary.pid, &trace) == 0 &&
	    trace.incarnation == member->incarnation)
		death.crash = 1 + cadre_annals_write(&view->crashes, &trace,
						     sizeof(trace), NULL, 0);
	return death;
}

/* Rule D, in its order. The event is written before the place is used again, so that a
 * successor that repeats this knows whether it was. */
static void reap(struct cadre_supervisor *supervisor, unsigned worker,
		 enum cadre_event_kind kind, struct cadre_obituary obituary)
{
	const struct cadre_view *const view = &supervisor->view;
	struct cadre_place *const place = cadre_staff_place(supervisor, worker);
	struct cadre_place_stats *const stats = &view->worker_stats[worker];
	const uint32_t incarnation = cadre_place_incarnation_of(cadre_place_look(place));
	struct cadre_event death;

	force_place(place, CADRE_PLACE_DEAD, incarnation);
	death = compose_death(supervisor, worker, kind, obituary);
	cadre_reap_worker(view, worker, obituary);
	/* A place that nobody ever took has nobody who died. */
	if (death.pid > 0 && !is_told(supervisor, worker))
		cadre_supervisor_tell(supervisor, &death);
	cadre_stats_bury(stats, cadre_clock_ns());
	atomic_store_explicit(&stats->last_signal, obituary.code > 0 ? obituary.code : 0,
			      memory_order_relaxed);
	atomic_store_explicit(&stats->last_exit_status,
			      obituary.code <= 0 && obituary.code != CADRE_STATUS_UNKNOWN ?
				      -obituary.code :
				      0,
			      memory_order_relaxed);
	CADRE_KILL_POINT("D7");
	force_place(place, CADRE_PLACE_VACANT, incarnation);
}

int64_t cadre_staff_backoff_ns(struct cadre_supervisor *supervisor, unsigned failures)
{
	int64_t wait_ns = BACKOFF_LEAST_NS;

	for (unsigned i = 1; i < failures && wait_ns < BACKOFF_MOST_NS; i++)
		wait_ns *= 2;
	if (wait_ns > BACKOFF_MOST_NS)
		wait_ns = BACKOFF_MOST_NS;
	/* Jitter of a quarter (xorshift64 by G. Marsaglia): many pools need not fork at once. */
	supervisor->random ^= supervisor->random << 13;
	supervisor->random ^= supervisor->random >> 7;
	supervisor->random ^= supervisor->random << 17;
	return wait_ns - (int64_t)(supervisor->random % (uint64_t)(wait_ns / 4));
}

/* Many deaths in a short while: said aloud, once, and shown until it is over. */
static void remember_death(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	struct cadre_header *const header = supervisor->view.header;
	int64_t *const oldest_ns =
		&supervisor->deaths_ns[supervisor->death_turn++ % CADRE_DEATHS_REMEMBERED];
	const bool many = *oldest_ns != 0 && now_ns - *oldest_ns < DEGRADED_WINDOW_NS;
	struct cadre_event event = cadre_event_now(CADRE_EVENT_pool_degraded);

	event.count = CADRE_DEATHS_REMEMBERED + 1;
	event.duration_ns = now_ns - *oldest_ns;
	*oldest_ns = now_ns;
	if (!many || atomic_exchange(&header->degraded, 1))
		return;
	cadre_supervisor_tell(supervisor, &event);
	cadre_supervisor_warn(supervisor,
			      "the pool is degraded: %d workers died within %lld s",
			      CADRE_DEATHS_REMEMBERED + 1,
			      (long long)(DEGRADED_WINDOW_NS / CADRE_NS_PER_S));
}

static void recover_from_degradation(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	struct cadre_header *const header = supervisor->view.header;
	const int64_t oldest_ns =
		supervisor->deaths_ns[supervisor->death_turn % CADRE_DEATHS_REMEMBERED];

	if (atomic_load_explicit(&header->degraded, memory_order_relaxed) &&
	    now_ns - oldest_ns >= DEGRADED_WINDOW_NS) {
		const struct cadre_event event = cadre_event_now(
			CADRE_EVENT_pool_recovered);

		atomic_store(&header->degraded, 0);
		cadre_supervisor_tell(supervisor, &event);
		cadre_supervisor_say(supervisor, "the pool is no longer degraded");
	}
}

/* What becomes of the post of a worker that nobody asked to leave. */
static void plan_replacement(struct cadre_supervisor *supervisor, unsigned worker,
			     const siginfo_t *end, const char *how, int64_t now_ns)
{
	struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_place *const place = cadre_staff_place(supervisor, worker);
	const bool had_started = member->post == CADRE_POST_UP;
	const bool healthy = had_started && now_ns - member->started_ns >= HEALTHY_NS;
	const char *const because = member->last_words[0] ? ": " : "";
	struct cadre_event plan = event_of(supervisor, worker,
					   CADRE_EVENT_restart_scheduled);
	int64_t wait_ns = 0;

	if (end->si_code == CLD_EXITED && end->si_status == EXIT_DO_NOT_RESTART) {
		member->post = CADRE_POST_DISABLED;
		force_place(place, CADRE_PLACE_DISABLED, member->incarnation);
		tell_of(supervisor, worker, CADRE_EVENT_worker_disabled);
		cadre_supervisor_warn(
			supervisor,
			"worker %u (pid %d) %s%s%s; it asked not to be started again",
			worker, (int)member->child.pid, how, because, member->last_words);
		return;
	}
	member->failures = healthy ? 0 : member->failures + 1;
	/* A single death costs nobody any time; what dies again, or does not even start, must
	 * not keep the machine busy with forks. */
	if (member->failures > had_started)
		wait_ns = cadre_staff_backoff_ns(supervisor,
						 member->failures - had_started);
	member->post = CADRE_POST_WAITING;
	member->replaces = true;
	member->retry_ns = now_ns + wait_ns;
	atomic_store_explicit(&place->until_ns, member->retry_ns, memory_order_relaxed);
	force_place(place, CADRE_PLACE_WAITING, member->incarnation);
	plan.duration_ns = wait_ns;
	plan.count = member->failures;
	cadre_supervisor_tell(supervisor, &plan);
	cadre_supervisor_warn(supervisor,
			      "worker %u (pid %d) %s%s%s; restarting in %lld ms", worker,
			      (int)member->child.pid, how, because, member->last_words,
			      (long long)(wait_ns / CADRE_NS_PER_MS));
}

/* A worker that died while the pool begins: the beginning has failed. */
static void fail_beginning(struct cadre_supervisor *supervisor, unsigned worker,
			   const char *how)
{
	const struct cadre_member *const member = &supervisor->members[worker];

	if (supervisor->error)
		return;
	supervisor->error =
		cadre_refuse(supervisor->diag, -ENOEXEC,
			     "cannot start pool \"%s\": worker %u (pid %d) %s %s%s%s",
			     supervisor->pool, worker, (int)member->child.pid, how,
			     member->post == CADRE_POST_UP ?
				     "after it had started, before the others had" :
				     "before it had started",
			     member->last_words[0] ? ": " : "", member->last_words);
}

static enum cadre_event_kind kind_of_end(const struct cadre_supervisor *supervisor,
					 const struct cadre_member *member)
{
	if (member->post == CADRE_POST_LEAVING || supervisor->phase >= CADRE_DRAINING)
		return CADRE_EVENT_worker_left;
	return member->post == CADRE_POST_STARTING ? CADRE_EVENT_start_failed :
						     CADRE_EVENT_worker_died;
}

void cadre_staff_died(struct cadre_supervisor *supervisor, unsigned worker)
{
	struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_place_counters *const counters =
		&supervisor->view.worker_stats[worker].place;
	const int64_t now_ns = cadre_clock_ns();
	siginfo_t end = { 0 };
	char how[64];

	if (member->child.pidfd < 0 || !cadre_process_is_dead(member->child.pidfd))
		return;
	/* Its last words may still be in the pipe. */
	cadre_staff_start_spoke(supervisor, worker);
	/* An adopted worker is not our child: then nobody can tell how it ended. */
	if (waitid(P_PIDFD, (id_t)member->child.pidfd, &end, WEXITED | WNOHANG) < 0)
		memset(&end, 0, sizeof(end));
	CADRE_TRACE(worker_death, worker, member->child.pid, end.si_code, end.si_status);
	close_if_open(&member->child.pidfd);
	close_if_open(&member->child.start_fd);
	cadre_spawn_say_end(&end, how, sizeof(how));
	/* Its last lines come before the notice of its death. */
	cadre_clerk_drain(&supervisor->clerk);
	reap(supervisor, worker, kind_of_end(supervisor, member),
	     write_obituary(member, &end));

	if (member->post == CADRE_POST_LEAVING || supervisor->phase >= CADRE_DRAINING) {
		member->post = CADRE_POST_EMPTY;
		member->failures = 0;
		return;
	}
	cadre_count_add(&counters->deaths, 1);
	cadre_count_add(&counters_of(supervisor)->workers_died, 1);
	if (supervisor->phase == CADRE_BEGINNING) {
		fail_beginning(supervisor, worker, how);
		member->post = CADRE_POST_EMPTY;
		return;
	}
	remember_death(supervisor, now_ns);
	if (cadre_relief_is_newcomer(supervisor, worker)) {
		/* relief.c learns of it by its post, and of the reason by its words. */
		member->post = CADRE_POST_EMPTY;
		if (!member->last_words[0])
			snprintf(member->last_words, sizeof(member->last_words),
				 "it %s before it had started", how);
		return;
	}
	plan_replacement(supervisor, worker, &end, how, now_ns);
}

/* ---- what time brings ---- */

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

void cadre_staff_dismiss(struct cadre_supervisor *supervisor, unsigned worker)
{
	struct cadre_member *const member = &supervisor->members[worker];

	member->post = CADRE_POST_LEAVING;
	force_place(cadre_staff_place(supervisor, worker), CADRE_PLACE_DRAINING,
		    member->incarnation);
	cadre_bell_ring(&supervisor->view.worker_bells[worker], CADRE_BELL_EVERYONE,
			INT32_MAX);
}

void cadre_staff_vacate(struct cadre_supervisor *supervisor, unsigned worker)
{
	struct cadre_member *const member = &supervisor->members[worker];

	member->post = CADRE_POST_EMPTY;
	force_place(cadre_staff_place(supervisor, worker), CADRE_PLACE_VACANT,
		    member->incarnation);
}

/* Why a worker does not end a job that it has to. */
struct cadre_verdict {
	enum cadre_event_kind kind;
	int64_t limit_ns;
	const char *words;
};

static struct cadre_verdict judge(const struct cadre_supervisor *supervisor,
				  unsigned worker)
{
	const struct cadre_survey *const survey = &supervisor->survey;
	struct cadre_verdict verdict = { .limit_ns = supervisor->view.limits.grace_ns };

	if (cadre_mask_has(&survey->condemned, worker)) {
		verdict.kind = CADRE_EVENT_worker_condemned;
		verdict.words = "it went on with a job that was cancelled by force";
	} else if (cadre_mask_has(&survey->overdue, worker)) {
		verdict.kind = CADRE_EVENT_worker_overdue;
		verdict.words = "it went on with a job past its deadline";
	} else if (cadre_mask_has(&supervisor->vigil.hung, worker)) {
		verdict.kind = CADRE_EVENT_worker_hung;
		verdict.limit_ns = supervisor->vigil.hang_ns;
		verdict.words = "it hung: it was busy with one job for too long";
	}
	return verdict;
}

/* Tells it, and lets callers and events know why it is about to die. */
static void announce_kill(struct cadre_supervisor *supervisor, unsigned worker,
			  struct cadre_verdict verdict)
{
	struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_event event = event_of(supervisor, worker, verdict.kind);

	event.duration_ns = verdict.limit_ns;
	cadre_reap_list(&supervisor->view, worker, &event);
	cadre_supervisor_tell(supervisor, &event);
	cadre_count_add(&counters_of(supervisor)->workers_killed, 1);
	snprintf(member->last_words, sizeof(member->last_words), "%s", verdict.words);
	switch (verdict.kind) {
	case CADRE_EVENT_worker_condemned:
		cadre_supervisor_warn(supervisor,
				      "worker %u (pid %d) still runs a job that was cancelled "
				      "by force, past its grace: aborting it",
				      worker, (int)member->child.pid);
		break;
	case CADRE_EVENT_worker_overdue:
		cadre_supervisor_warn(supervisor,
				      "worker %u (pid %d) is more than %lld ms past the "
				      "deadline of its job: aborting it",
				      worker, (int)member->child.pid,
				      (long long)(verdict.limit_ns / CADRE_NS_PER_MS));
		break;
	default:
		cadre_supervisor_warn(supervisor,
				      "worker %u (pid %d) hung: it has run a job for more than "
				      "%lld ms: aborting it",
				      worker, (int)member->child.pid,
				      (long long)(verdict.limit_ns / CADRE_NS_PER_MS));
		break;
	}
}

/* In stages: ABRT first, whose core dump or handler tells where it hung; then KILL, which
 * also ends one that is stopped. */
static void kill_in_stages(struct cadre_supervisor *supervisor, unsigned worker,
			   struct cadre_verdict verdict, int64_t now_ns)
{
	struct cadre_member *const member = &supervisor->members[worker];

	if (member->abort_ns == 0) {
		announce_kill(supervisor, worker, verdict);
		member->abort_ns = now_ns;
		cadre_process_kill(member->child.pidfd, SIGABRT);
	} else if (now_ns - member->abort_ns >= ABORT_NS) {
		cadre_process_kill(member->child.pidfd, SIGKILL);
	}
}

/* It ended its job after all. */
static void pardon(struct cadre_member *member)
{
	if (member->abort_ns)
		member->last_words[0] = '\0';
	member->abort_ns = 0;
}

static void kill_those_who_do_not_end(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		struct cadre_member *const member = &supervisor->members[worker];
		const struct cadre_verdict verdict = judge(supervisor, worker);

		if (!verdict.words)
			pardon(member);
		else if (member->child.pidfd >= 0 &&
			 !cadre_process_is_dead(member->child.pidfd))
			kill_in_stages(supervisor, worker, verdict, now_ns);
	}
}

void cadre_staff_tick(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	kill_late_starters(supervisor, now_ns);
	if (supervisor->phase != CADRE_SERVING && supervisor->phase != CADRE_STOPPING)
		return;
	kill_those_who_do_not_end(supervisor, now_ns);
	cadre_size_tick(supervisor, now_ns);
	cadre_relief_tick(supervisor, now_ns);
	recover_from_degradation(supervisor, now_ns);
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
		if (member->abort_ns && member->child.pidfd >= 0 &&
		    member->abort_ns + ABORT_NS < next_ns)
			next_ns = member->abort_ns + ABORT_NS;
	}
	return next_ns;
}

/* ---- ends ---- */

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

/* ---- succession ---- */

/* Opens the worker that sits in a place. It moves its place to UP before it writes its start
 * time, so one that died in between may have left its pid to a stranger: who has not mapped
 * the segment is no worker of it. */
static int open_worker(const struct cadre_supervisor *supervisor,
		       struct cadre_place *place, struct cadre_identity *who)
{
	char path[CADRE_PATH_SIZE];
	uint64_t start_time;
	int pidfd;

	if (who->start_time)
		return cadre_process_open(*who);
	cadre_path(supervisor->pool, CADRE_FILE_SEGMENT, path);
	start_time = cadre_process_start_time(who->pid);
	if (start_time == 0 || !cadre_process_maps(who->pid, path))
		return -ESRCH;
	/* The pidfd is of the process that had it mapped, or it is none. */
	who->start_time = start_time;
	pidfd = cadre_process_open(*who);
	if (pidfd >= 0)
		cadre_place_set_start_time(place, start_time);
	return pidfd;
}

/* Of one who died before we looked nobody knows how. */
static void reap_unseen(struct cadre_supervisor *supervisor, unsigned worker,
			uint64_t state, pid_t pid)
{
	reap(supervisor, worker,
	     cadre_place_state_of(state) == CADRE_PLACE_DRAINING ?
		     CADRE_EVENT_worker_left :
		     CADRE_EVENT_worker_died,
	     (struct cadre_obituary){ .pid = pid, .code = CADRE_STATUS_UNKNOWN });
}

static void adopt_one(struct cadre_supervisor *supervisor, unsigned worker)
{
	struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_place *const place = cadre_staff_place(supervisor, worker);
	uint64_t state = cadre_place_look(place);
	struct cadre_identity who;

	member->incarnation = cadre_place_incarnation_of(state);
	member->started_ns = atomic_load_explicit(&place->since_ns, memory_order_relaxed);
	member->version = atomic_load_explicit(&place->version, memory_order_relaxed);
	member->jobs_before = atomic_load_explicit(&place->jobs_before,
						   memory_order_relaxed);
	/* No clock was ever below 0, and no age may overflow. */
	if (member->started_ns < 0)
		member->started_ns = 0;

	/* One that is just starting may be a process that nobody recorded: its place moves on,
	 * so it will leave. Its own move to UP may come first: then it is one of ours. */
	if (cadre_place_state_of(state) == CADRE_PLACE_STARTING &&
	    cadre_place_move(place, state,
			     cadre_place_pack(CADRE_PLACE_DEAD, member->incarnation))) {
		reap(supervisor, worker, CADRE_EVENT_start_failed,
		     (struct cadre_obituary){ .code = CADRE_STATUS_UNKNOWN });
		return;
	}
	state = cadre_place_look(place);
	who = cadre_place_who(place);
	switch (cadre_place_state_of(state)) {
	case CADRE_PLACE_UP:
	case CADRE_PLACE_DRAINING:
		member->child.pid = who.pid;
		member->child.pidfd = open_worker(supervisor, place, &who);
		member->child.start_time = who.start_time;
		if (member->child.pidfd >= 0) {
			member->post = cadre_place_state_of(state) == CADRE_PLACE_UP ?
					       CADRE_POST_UP :
					       CADRE_POST_LEAVING;
			cadre_supervisor_watch(supervisor, member->child.pidfd,
					       CADRE_HEARD_WORKER, worker);
			return;
		}
		reap_unseen(supervisor, worker, state, who.pid);
		break;
	case CADRE_PLACE_DEAD:
		reap_unseen(supervisor, worker, state, who.pid);
		break;
	default:
		force_place(place, CADRE_PLACE_VACANT, member->incarnation);
		break;
	}
	member->child.pidfd = -1;
}

void cadre_staff_adopt(struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++)
		adopt_one(supervisor, worker);
	cadre_supervisor_say(supervisor, "took over %u living workers",
			     cadre_staff_count(supervisor, CADRE_POST_UP));
}
