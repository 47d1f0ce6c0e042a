/*
 * staff_heirs.c - the heirs of workers that died (heir.h): the supervisor knows them by the pidfds
 * that their workers sent, collects those that became its children (it is process 1, or a
 * subreaper), and does not end before they have.
 *
 * Not known are the heirs of workers that were taken over from a dead supervisor, or that died
 * before they had sent it: those are left to whoever collects orphans.
 */
#include "clock.h"
#include "staff.h"

#include <poll.h>
#include <sys/wait.h>

#define END_PATIENCE_NS (50 * CADRE_NS_PER_MS) /* somebody may have stopped one */

void cadre_staff_know_heir(struct cadre_member *member, int pidfd)
{
	cadre_staff_close(&member->heir);
	member->heir = pidfd;
}

void cadre_staff_leave_heir(struct cadre_member *member)
{
	/* The one before had at least the time that a worker takes to start. */
	cadre_staff_close(&member->bereaved_heir);
	member->bereaved_heir = member->heir;
	member->heir = -1;
}

/* Not our child: then somebody else collects it. */
static void collect(struct cadre_member *member)
{
	waitid(P_PIDFD, (id_t)member->bereaved_heir, NULL, WEXITED | WNOHANG);
	cadre_staff_close(&member->bereaved_heir);
}

void cadre_staff_collect_heirs(struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		struct cadre_member *const member = &supervisor->members[worker];

		if (member->bereaved_heir >= 0 &&
		    cadre_process_is_dead(member->bereaved_heir))
			collect(member);
	}
}

void cadre_staff_await_heirs(struct cadre_supervisor *supervisor)
{
	const int64_t until_ns = cadre_clock_in_ns(END_PATIENCE_NS);

	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		struct cadre_member *const member = &supervisor->members[worker];
		struct pollfd end = { .fd = member->bereaved_heir, .events = POLLIN };
		const int64_t left_ns = cadre_clock_left_ns(until_ns, END_PATIENCE_NS);

		if (member->bereaved_heir < 0)
			continue;
		(void)poll(&end, 1, (int)(left_ns / CADRE_NS_PER_MS));
		collect(member);
	}
}
