/*
 * supervisor_phases.c - what the pool as a whole is about: it opens, drains, is stopped and
 * starts again, ends.
 *
 *   phase      state of the pool   event                   and then
 *   ---------  ------------------  ----------------------  ------------------------------
 *   BEGINNING  STARTING            min workers are up      SERVING
 *                                  a worker died           ENDING
 *   SERVING    OPEN                stop; drain, it stays   STOPPING
 *   STOPPING   STOPPING; DRAINING  nothing pends or runs   DRAINING: the workers leave
 *              when it stays       its time is over        ENDING; DRAINING when it stays
 *   DRAINING   the same            its workers have left   over; STOPPED when it stays
 *                                  its time is over        as above
 *   STOPPED    STOPPED             start; stop             SERVING; STOPPING
 *   ENDING     TERMINATED          its workers have died   over
 *   any that stays                 start                   SERVING
 *   any                            terminate               ENDING
 *
 * The state is said in the segment before what follows from it is done, so a successor goes on
 * in the same direction.
 */
#include "clock.h"
#include "diag.h"
#include "supervisor.h"

#include <unistd.h>

void cadre_supervisor_tell_of_self(const struct cadre_supervisor *supervisor,
				   enum cadre_event_kind kind, int32_t other)
{
	struct cadre_event event = cadre_event_now(kind);

	event.pid = getpid();
	event.count = cadre_staff_count(supervisor, CADRE_POST_UP);
	if (other > 0)
		cadre_event_add_pid(&event, other);
	cadre_supervisor_tell(supervisor, &event);
}

/* ---- what it is told ---- */

static enum cadre_pool_state state_of(const struct cadre_supervisor *supervisor)
{
	return atomic_load_explicit(&supervisor->view.header->state, memory_order_relaxed);
}

static void begin_to_stop(struct cadre_supervisor *supervisor, bool stays)
{
	supervisor->stays = stays;
	supervisor->phase = CADRE_STOPPING;
	supervisor->stop_until_ns = cadre_clock_in_ns(supervisor->options.stop_timeout_ns);
	/* A predecessor may have said so. */
	if (state_of(supervisor) != (stays ? CADRE_POOL_DRAINING : CADRE_POOL_STOPPING))
		cadre_supervisor_tell_of_self(supervisor,
					      stays ? CADRE_EVENT_pool_draining :
						      CADRE_EVENT_pool_stopping,
					      0);
	cadre_supervisor_set_state(supervisor,
				   stays ? CADRE_POOL_DRAINING : CADRE_POOL_STOPPING);
	CADRE_KILL_POINT("M2");
	cadre_reload_cancel(supervisor, "the pool is stopped");
	cadre_supervisor_say(supervisor, "%s: running what was accepted",
			     stays ? "draining" : "stopping");
}

void cadre_supervisor_stop(struct cadre_supervisor *supervisor)
{
	if (supervisor->phase < CADRE_STOPPING || supervisor->stays)
		begin_to_stop(supervisor, false);
}

bool cadre_supervisor_drain(struct cadre_supervisor *supervisor)
{
	if (supervisor->phase == CADRE_SERVING)
		begin_to_stop(supervisor, true);
	return supervisor->phase == CADRE_STOPPED || supervisor->stays;
}

bool cadre_supervisor_start(struct cadre_supervisor *supervisor)
{
	if (supervisor->phase == CADRE_SERVING)
		return true;
	if (supervisor->phase != CADRE_STOPPED && !supervisor->stays)
		return false;
	supervisor->stays = false;
	supervisor->phase = CADRE_SERVING;
	cadre_supervisor_set_state(supervisor, CADRE_POOL_OPEN);
	cadre_supervisor_tell_of_self(supervisor, CADRE_EVENT_pool_reopened, 0);
	cadre_supervisor_say(supervisor, "open again");
	/* Those that are leaving leave; the next tick fills their places. */
	cadre_size_hire(supervisor, supervisor->size.min);
	return true;
}

void cadre_supervisor_terminate(struct cadre_supervisor *supervisor)
{
	if (supervisor->phase == CADRE_ENDING)
		return;
	supervisor->phase = CADRE_ENDING;
	supervisor->stays = false;
	cadre_reload_cancel(supervisor, "the pool is terminated");
	if (state_of(supervisor) != CADRE_POOL_TERMINATED)
		cadre_supervisor_tell_of_self(supervisor, CADRE_EVENT_pool_terminated, 0);
	/* Flags first, then kills: a flag beats a retry. */
	cadre_supervisor_set_state(supervisor, CADRE_POOL_TERMINATED);
	cadre_terminate_jobs(&supervisor->view);
	CADRE_KILL_POINT("T1");
	cadre_staff_kill_all(supervisor);
}

/* ---- open, or again ---- */

static void watch_listener(const struct cadre_supervisor *supervisor)
{
	cadre_supervisor_watch(supervisor, supervisor->listener, CADRE_HEARD_LISTENER, 0);
}

static void open_pool(struct cadre_supervisor *supervisor,
		      const struct cadre_embedding *embedding)
{
	const unsigned up = cadre_staff_count(supervisor, CADRE_POST_UP);

	supervisor->phase = CADRE_SERVING;
	cadre_supervisor_set_state(supervisor, CADRE_POOL_OPEN);
	watch_listener(supervisor);
	if (!supervisor->inherited)
		cadre_supervisor_tell_of_self(supervisor, CADRE_EVENT_pool_ready, 0);
	cadre_supervisor_say(supervisor, "pool \"%s\" is ready with %u worker%s",
			     supervisor->pool, up, cadre_plural(up));
	if (embedding->ready)
		embedding->ready(embedding->context);
}

/* A pool that was open stays open, whoever of its workers may have died. What an embedded pool
 * was told, it was told for good; a server that takes over was started to serve. */
void cadre_supervisor_go_on(struct cadre_supervisor *supervisor,
			    const struct cadre_embedding *embedding)
{
	const enum cadre_pool_state state = atomic_load(&supervisor->view.header->state);
	const bool is_embedded = supervisor->owner_pidfd >= 0;

	if (state == CADRE_POOL_STARTING)
		return;
	if (!is_embedded || state == CADRE_POOL_OPEN) {
		open_pool(supervisor, embedding);
		return;
	}
	watch_listener(supervisor);
	if (state == CADRE_POOL_STOPPING)
		cadre_supervisor_stop(supervisor);
	else if (state == CADRE_POOL_DRAINING || state == CADRE_POOL_STOPPED)
		begin_to_stop(supervisor, true);
	else
		cadre_supervisor_terminate(supervisor);
}

/* ---- from one to the next ---- */

static bool anybody_left(const struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		if (supervisor->members[worker].child.pidfd >= 0)
			return true;
	}
	return false;
}

/* They had their time. A pool that stays does without them, any other ends. */
static void end_late_jobs(struct cadre_supervisor *supervisor)
{
	cadre_supervisor_warn(supervisor,
			      "the time to stop is over: killing what is left");
	if (!supervisor->stays) {
		cadre_supervisor_terminate(supervisor);
		return;
	}
	supervisor->phase = CADRE_DRAINING;
	cadre_terminate_jobs(&supervisor->view);
	cadre_staff_kill_all(supervisor);
}

void cadre_supervisor_turn_phase(struct cadre_supervisor *supervisor, int64_t now_ns,
				 const struct cadre_embedding *embedding)
{
	const struct cadre_survey *const survey = &supervisor->survey;

	switch (supervisor->phase) {
	case CADRE_BEGINNING:
		if (supervisor->error) {
			cadre_supervisor_terminate(supervisor);
		} else if (cadre_staff_count(supervisor, CADRE_POST_UP) >=
			   supervisor->size.min) {
			open_pool(supervisor, embedding);
		}
		break;
	case CADRE_SERVING:
		cadre_relief_step(supervisor, now_ns);
		cadre_reload_step(supervisor, now_ns);
		break;
	case CADRE_STOPPED:
		break;
	case CADRE_STOPPING:
		/* A newcomer that was on its way leaves with the others. */
		supervisor->relief.newcomer = CADRE_NOBODY;
		if (survey->queued == 0 && survey->running == 0) {
			supervisor->phase = CADRE_DRAINING;
			cadre_staff_dismiss_all(supervisor);
		}
		/* fall through */
	case CADRE_DRAINING:
		if (supervisor->phase == CADRE_DRAINING && supervisor->stays &&
		    !anybody_left(supervisor)) {
			supervisor->phase = CADRE_STOPPED;
			supervisor->stays = false;
			cadre_supervisor_set_state(supervisor, CADRE_POOL_STOPPED);
			cadre_supervisor_say(supervisor, "stopped");
		} else if (now_ns >= supervisor->stop_until_ns &&
			   anybody_left(supervisor)) {
			end_late_jobs(supervisor);
		}
		break;
	case CADRE_ENDING:
		cadre_staff_kill_all(supervisor);
		break;
	}
}

bool cadre_supervisor_is_over(const struct cadre_supervisor *supervisor)
{
	return supervisor->phase >= CADRE_DRAINING && !supervisor->stays &&
	       !anybody_left(supervisor);
}
