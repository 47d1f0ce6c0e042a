/*
 * undertaker.c - who takes the lock of a pool without a supervisor is its supervisor, if
 * only to end it. It may be killed at any line like any other: the next one, or garbage
 * collection, begins again.
 */
#include "undertaker.h"
#include "clock.h"
#include "reaper.h"

#include <signal.h>
#include <unistd.h>

#define LEAVE_NS (2 * CADRE_NS_PER_S) /* until who has not left is killed */
#define WAIT_MOST_NS (4 * CADRE_NS_PER_S)

/* Sees to a worker; true while it lives. */
static bool lives(struct cadre_place *place, bool kills)
{
	const struct cadre_identity who = cadre_place_who(place);
	/* Without a start time it may be anybody's pid by now. */
	const int pidfd = who.start_time ? cadre_process_open(who) : -ESRCH;

	if (pidfd < 0)
		return false;
	if (kills)
		cadre_process_kill(pidfd, SIGKILL);
	close(pidfd);
	return true;
}

static void send_workers_away(const struct cadre_view *view)
{
	const struct timespec nap = cadre_clock_timespec(2 * CADRE_NS_PER_MS);
	const int64_t leave_ns = cadre_clock_in_ns(LEAVE_NS);
	const int64_t until_ns = cadre_clock_in_ns(WAIT_MOST_NS);
	bool anybody = true;

	while (anybody && cadre_clock_left_ns(until_ns, 1) > 0) {
		const bool kills = cadre_clock_left_ns(leave_ns, 1) == 0;

		anybody = false;
		for (unsigned worker = 0; worker < view->limits.workers; worker++)
			anybody |= lives(&view->worker_places[worker], kills);
		if (anybody)
			nanosleep(&nap, NULL);
	}
}

static void bury(const char *pool, const struct cadre_view *view)
{
	/* F4, as at the end of a supervisor: the state stands before a slot is looked at. */
	atomic_store_explicit(&view->header->state, CADRE_POOL_TERMINATED,
			      memory_order_seq_cst);
	cadre_terminate_jobs(view);
	cadre_ring_everyone(view);
	send_workers_away(view);
	cadre_segment_remove(pool);
}

void cadre_bury_pool(const char *pool, int64_t created_ns)
{
	char path[CADRE_PATH_SIZE];
	struct cadre_view view;
	struct cadre_lock lock;
	pid_t holder;

	cadre_path(pool, CADRE_FILE_SEGMENT, path);
	if (access(path, F_OK) < 0 ||
	    cadre_lock_take(pool, 0600, &lock, &holder, NULL) < 0)
		return;
	if (cadre_layout_open(pool, true, &view, NULL) == 0) {
		if (view.header->created_ns == created_ns)
			bury(pool, &view);
		cadre_layout_close(&view);
	}
	cadre_lock_release(&lock);
}
