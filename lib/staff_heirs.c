/*
 * staff_heirs.c - the heirs of workers that died (heir.h): the supervisor collects those that
 * became its children (it is process 1, or a subreaper), and does not end before they have.
 *
 * It knows them by pid and start time, which their workers sent, and so holds no descriptor for
 * each. Not known are the heirs of workers that were taken over from a dead supervisor, or that
 * died before they had sent it: those are left to whoever collects orphans.
 */
#include "clock.h"
#include "staff.h"

#include <poll.h>
#include <sys/wait.h>

#define END_PATIENCE_NS (50 * CADRE_NS_PER_MS) /* somebody may have stopped one */

void cadre_staff_know_heir(struct cadre_member *member, struct cadre_identity heir)
{
	member->heir = heir;
}

void cadre_staff_leave_heir(struct cadre_member *member)
{
	/* The one before had at least the time that a worker takes to start. */
	member->bereaved_heir = member->heir;
	member->heir = (struct cadre_identity){ .pid = 0 };
}

/* Of one that has ended. Not our child: then somebody else collects it. */
static void collect(struct cadre_identity *heir)
{
	/* A zombie keeps its pid, so this is the heir and no other child. */
	if (cadre_process_start_time(heir->pid) == heir->start_time)
		waitid(P_PID, (id_t)heir->pid, NULL, WEXITED | WNOHANG);
	*heir = (struct cadre_identity){ .pid = 0 };
}

void cadre_staff_collect_heirs(struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		struct cadre_identity *const heir =
			&supervisor->members[worker].bereaved_heir;

		if (heir->pid > 0 && cadre_process_is_gone(*heir))
			collect(heir);
	}
}

static void await(struct cadre_identity heir, int64_t until_ns)
{
	const int64_t left_ns = cadre_clock_left_ns(until_ns, END_PATIENCE_NS);
	struct pollfd end = { .fd = cadre_process_open(heir), .events = POLLIN };

	if (end.fd < 0)
		return;
	(void)poll(&end, 1, (int)(left_ns / CADRE_NS_PER_MS));
	cadre_staff_close(&end.fd);
}

void cadre_staff_await_heirs(struct cadre_supervisor *supervisor)
{
	const int64_t until_ns = cadre_clock_in_ns(END_PATIENCE_NS);

	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		struct cadre_identity *const heir =
			&supervisor->members[worker].bereaved_heir;

		if (heir->pid <= 0)
			continue;
		await(*heir, until_ns);
		collect(heir);
	}
}
