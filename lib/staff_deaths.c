/*
 * staff_deaths.c - a worker's death: what it had is mended (rule D), its end is written down,
 * and its post is filled again, after a back-off when it dies again and again. Many deaths
 * within a short while are said aloud.
 *
 * A death is what the pidfd says, and nothing else. Place DEAD, then the scan, then the
 * place is used again: in this order, so that a successor can repeat it from the start.
 */
#include "clock.h"
#include "diag.h"
#include "staff.h"
#include "trace.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#define HEALTHY_NS (10 * CADRE_NS_PER_S)
#define BACKOFF_LEAST_NS (100 * CADRE_NS_PER_MS)
#define BACKOFF_MOST_NS (30 * CADRE_NS_PER_S)
#define DEGRADED_WINDOW_NS (60 * CADRE_NS_PER_S)
#define EXIT_DO_NOT_RESTART 78

/* ---- rule D ---- */

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

/* What the worker left of its last moment. */
static void add_last_moment(const struct cadre_supervisor *supervisor, unsigned worker,
			    struct cadre_event *death)
{
	const struct cadre_view *const view = &supervisor->view;
	const struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_backtrace trace;

	cadre_event_add_text(death, member->last_words);
	/* A copy: the worker that sits there next may crash as well. */
	if (cadre_crash_read(&view->worker_crashes[worker], death->pid, &trace) == 0 &&
	    trace.incarnation == member->incarnation)
		death->crash = 1 + cadre_annals_write(&view->crashes, &trace,
						      sizeof(trace), NULL, 0);
}

/* First its callers, who wait, then the rest. The event is written before the place is used
 * again, so that a successor that repeats this knows whether it was. */
void cadre_staff_reap(struct cadre_supervisor *supervisor, unsigned worker,
		      enum cadre_event_kind kind, struct cadre_obituary obituary)
{
	const struct cadre_view *const view = &supervisor->view;
	struct cadre_place *const place = cadre_staff_place(supervisor, worker);
	struct cadre_place_stats *const stats = &view->worker_stats[worker];
	const uint32_t incarnation = cadre_place_incarnation_of(cadre_place_look(place));
	struct cadre_event death = cadre_staff_event(supervisor, worker, kind);

	death.pid = obituary.pid;
	death.code = obituary.code;
	cadre_staff_move_place(place, CADRE_PLACE_DEAD, incarnation);
	cadre_reap_worker(view, worker, obituary, &death);
	add_last_moment(supervisor, worker, &death);
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
	cadre_staff_move_place(place, CADRE_PLACE_VACANT, incarnation);
}

/* ---- too many of them ---- */

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

void cadre_staff_recover(struct cadre_supervisor *supervisor, int64_t now_ns)
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

/* ---- what becomes of the post ---- */

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

/* What becomes of the post of a worker that nobody asked to leave. */
static void plan_replacement(struct cadre_supervisor *supervisor, unsigned worker,
			     const siginfo_t *end, const char *how, int64_t now_ns)
{
	struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_place *const place = cadre_staff_place(supervisor, worker);
	const bool had_started = member->post == CADRE_POST_UP;
	const bool healthy = had_started && now_ns - member->started_ns >= HEALTHY_NS;
	const char *const because = member->last_words[0] ? ": " : "";
	struct cadre_event plan = cadre_staff_event(supervisor, worker,
						    CADRE_EVENT_restart_scheduled);
	int64_t wait_ns = 0;

	if (end->si_code == CLD_EXITED && end->si_status == EXIT_DO_NOT_RESTART) {
		member->post = CADRE_POST_DISABLED;
		cadre_staff_move_place(place, CADRE_PLACE_DISABLED, member->incarnation);
		cadre_staff_tell(supervisor, worker, CADRE_EVENT_worker_disabled);
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
	cadre_staff_move_place(place, CADRE_PLACE_WAITING, member->incarnation);
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

/* The kernel takes as long to collect a process as we for all the rest, so that comes later. Until
 * then nobody hears of this pidfd again: a process that is being forked has it as well, and epoll
 * would tell of it until that lets it go. */
static void leave_remains(struct cadre_supervisor *supervisor, struct cadre_member *member)
{
	epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_DEL, member->child.pidfd, NULL);
	member->remains = member->child.pidfd;
	member->child.pidfd = -1;
	supervisor->owes_collecting = true;
	cadre_staff_close(&member->child.start_fd);
}

void cadre_staff_collect(struct cadre_supervisor *supervisor)
{
	if (!supervisor->owes_collecting)
		return;
	supervisor->owes_collecting = false;
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		int *const remains = &supervisor->members[worker].remains;

		if (*remains >= 0)
			waitid(P_PIDFD, (id_t)*remains, NULL, WEXITED | WNOHANG);
		cadre_staff_close(remains);
	}
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
	if (waitid(P_PIDFD, (id_t)member->child.pidfd, &end,
		   WEXITED | WNOHANG | WNOWAIT) < 0)
		memset(&end, 0, sizeof(end));
	CADRE_TRACE(worker_death, worker, member->child.pid, end.si_code, end.si_status);
	cadre_spawn_say_end(&end, how, sizeof(how));
	/* Its last lines come before the notice of its death. */
	cadre_clerk_drain(&supervisor->clerk);
	cadre_staff_reap(supervisor, worker, kind_of_end(supervisor, member),
			 write_obituary(member, &end));
	leave_remains(supervisor, member);
	cadre_staff_leave_heir(member);

	if (member->post == CADRE_POST_LEAVING || supervisor->phase >= CADRE_DRAINING) {
		member->post = CADRE_POST_EMPTY;
		member->failures = 0;
		return;
	}
	cadre_count_add(&counters->deaths, 1);
	cadre_count_add(&supervisor->view.header->counters.workers_died, 1);
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
