/*
 * staff_adoption.c - a supervisor takes over the workers that a dead one left: those who live go
 * on as if nothing had happened, those who died are reaped, and a place where somebody may be
 * about to sit down moves on.
 */
#include "staff.h"

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
	cadre_staff_reap(supervisor, worker,
			 cadre_place_state_of(state) == CADRE_PLACE_DRAINING ?
				 CADRE_EVENT_worker_left :
				 CADRE_EVENT_worker_died,
			 (struct cadre_obituary){ .pid = pid,
						  .code = CADRE_STATUS_UNKNOWN });
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
		cadre_staff_reap(supervisor, worker, CADRE_EVENT_start_failed,
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
		cadre_staff_move_place(place, CADRE_PLACE_VACANT, member->incarnation);
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
