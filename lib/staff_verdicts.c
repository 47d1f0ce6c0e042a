/*
 * staff_verdicts.c - workers that do not end a job that they have to: past its deadline, or
 * cancelled by force, or hung. They are told so, then killed.
 */
#include "clock.h"
#include "staff.h"

#include <signal.h>
#include <stdio.h>

#define ABORT_NS (500 * CADRE_NS_PER_MS) /* from ABRT to KILL */

/* Why a worker does not end a job that it has to. */
struct verdict {
	enum cadre_event_kind kind;
	int64_t limit_ns;
	const char *words;
};

static struct verdict judge(const struct cadre_supervisor *supervisor, unsigned worker)
{
	const struct cadre_survey *const survey = &supervisor->survey;
	struct verdict verdict = { .limit_ns = supervisor->view.limits.grace_ns };

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
			  struct verdict verdict)
{
	struct cadre_member *const member = &supervisor->members[worker];
	struct cadre_event event = cadre_staff_event(supervisor, worker, verdict.kind);

	event.duration_ns = verdict.limit_ns;
	cadre_reap_list(&supervisor->view, worker, &event);
	cadre_supervisor_tell(supervisor, &event);
	cadre_count_add(&supervisor->view.header->counters.workers_killed, 1);
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
			   struct verdict verdict, int64_t now_ns)
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

void cadre_staff_judge_all(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		struct cadre_member *const member = &supervisor->members[worker];
		const struct verdict verdict = judge(supervisor, worker);

		if (!verdict.words)
			pardon(member);
		else if (member->child.pidfd >= 0 &&
			 !cadre_process_is_dead(member->child.pidfd))
			kill_in_stages(supervisor, worker, verdict, now_ns);
	}
}

int64_t cadre_staff_kill_due_ns(const struct cadre_member *member)
{
	return member->abort_ns && member->child.pidfd >= 0 ? member->abort_ns + ABORT_NS :
							      INT64_MAX;
}
