/*
 * supervisor.c - the pool as a whole: take the name, begin or take over, wait, end.
 *
 * It may be killed at any line: what it was about to do it does in steps that a successor
 * repeats. What it must not do is to stay unnoticed: its lock ends with it.
 */
#include "supervisor.h"
#include "clock.h"
#include "diag.h"
#include "notice.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_BUSY_NS (100 * CADRE_NS_PER_MS)
#define TICK_IDLE_NS CADRE_NS_PER_S
#define TICK_ENDING_NS (5 * CADRE_NS_PER_MS)
#define LOCK_PATIENCE_NS (200 * CADRE_NS_PER_MS)

static void tell(struct cadre_supervisor *supervisor, enum cadre_log_level level,
		 const char *format, va_list arguments)
{
	char sentence[600];

	vsnprintf(sentence, sizeof(sentence), format, arguments);
	if (!cadre_clerk_write(&supervisor->clerk, level, sentence) && supervisor->notice)
		supervisor->notice(sentence, supervisor->notice_context);
}

void cadre_supervisor_say(struct cadre_supervisor *supervisor, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(supervisor, CADRE_LOG_NOTICE, format, arguments);
	va_end(arguments);
}

void cadre_supervisor_warn(struct cadre_supervisor *supervisor, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(supervisor, CADRE_LOG_WARNING, format, arguments);
	va_end(arguments);
}

void cadre_supervisor_tell(const struct cadre_supervisor *supervisor,
			   const struct cadre_event *event)
{
	cadre_event_write(&supervisor->view.events, event);
}

int cadre_supervisor_watch(const struct cadre_supervisor *supervisor, int fd,
			   enum cadre_heard what, uint32_t index)
{
	struct epoll_event interest = {
		.events = EPOLLIN,
		.data.u64 = (uint64_t)what << 32 | index,
	};

	return epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_ADD, fd, &interest) < 0 ? -errno :
										   0;
}

static void set_state(const struct cadre_supervisor *supervisor,
		      enum cadre_pool_state state)
{
	/* F4, pairs with F2 in submit.c: the state stands before any slot is looked at. */
	atomic_store_explicit(&supervisor->view.header->state, state,
			      memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst);
}

/* ---- the segment: new, or a dead predecessor's ---- */

static bool is_alive(const struct cadre_place *place)
{
	const int pidfd = cadre_process_open(cadre_place_who(place));

	if (pidfd >= 0)
		close(pidfd);
	return pidfd >= 0;
}

/* A client, or a guest, that left without a supervisor lives on, but not as a client. */
static bool is_attached(const struct cadre_place *place)
{
	return cadre_place_state_of(cadre_place_look(place)) == CADRE_PLACE_UP &&
	       is_alive(place);
}

/* Does anybody still work with this segment? */
static bool is_populated(const struct cadre_view *view)
{
	if (view->header->boot_id != cadre_process_boot_id())
		return false;
	for (unsigned worker = 0; worker < view->limits.workers; worker++) {
		if (is_alive(&view->worker_places[worker]))
			return true;
	}
	for (unsigned seat = view->limits.workers; seat < view->seat_count; seat++) {
		if (is_attached(&view->worker_places[seat]))
			return true;
	}
	for (unsigned client = 0; client < view->limits.clients; client++) {
		if (is_attached(&view->client_places[client]))
			return true;
	}
	return false;
}

/* A segment of this name stands although nobody held the lock. 1: it is ours now; 0: it
 * was removed; or why neither is possible. */
static int inherit(struct cadre_supervisor *supervisor)
{
	struct cadre_diag diag = { "" };
	const int r = cadre_layout_open(supervisor->pool, true, &supervisor->view, &diag);

	if (r == -ENOENT)
		return 0;
	if (r == -EPROTONOSUPPORT || r == -EACCES)
		return cadre_refuse(supervisor->diag, r, "%s (\"cadre gc\" removes it)",
				    diag.text);
	if (r < 0) {
		cadre_supervisor_say(supervisor,
				     "removed what a dead supervisor left: %s", diag.text);
	} else if (is_populated(&supervisor->view)) {
		return 1;
	} else {
		/* A worker that was forked and has not sat down yet still will: then it finds
		 * that it is not needed, instead of serving a segment without a name. */
		set_state(supervisor, CADRE_POOL_TERMINATED);
		cadre_layout_close(&supervisor->view);
		cadre_supervisor_say(supervisor,
				     "removed the segment of a dead pool of this name");
	}
	cadre_segment_remove(supervisor->pool);
	return 0;
}

static int create(struct cadre_supervisor *supervisor)
{
	const struct cadre_pool_options *const options = &supervisor->options;
	const struct cadre_limits limits = cadre_pool_limits(options);
	int r = cadre_layout_create(supervisor->pool, &limits, options->mode,
				    &supervisor->view, supervisor->diag);

	if (r < 0)
		return r;
	cadre_view_set_size(&supervisor->view,
			    (struct cadre_size){ .min = options->workers_min,
						 .max = options->workers_max });
	if (options->start_length)
		memcpy(supervisor->view.start_data, options->start_data,
		       options->start_length);
	return 0;
}

static void sign_header(const struct cadre_supervisor *supervisor)
{
	struct cadre_header *const header = supervisor->view.header;
	const struct cadre_identity self = cadre_process_self();

	atomic_store(&header->supervisor_pid, self.pid);
	atomic_store(&header->supervisor_start_time, self.start_time);
	atomic_store(&header->heartbeat_ns, cadre_clock_ns());
}

/* ---- phases ---- */

/* The supervisor itself did something. `others` is another's pid, 0 for none. */
static void tell_of_self(const struct cadre_supervisor *supervisor,
			 enum cadre_event_kind kind, int32_t other)
{
	struct cadre_event event = cadre_event_now(kind);

	event.pid = getpid();
	event.count = cadre_staff_count(supervisor, CADRE_POST_UP);
	if (other > 0)
		cadre_event_add_pid(&event, other);
	cadre_supervisor_tell(supervisor, &event);
}

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
		tell_of_self(supervisor,
			     stays ? CADRE_EVENT_pool_draining : CADRE_EVENT_pool_stopping,
			     0);
	set_state(supervisor, stays ? CADRE_POOL_DRAINING : CADRE_POOL_STOPPING);
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
	set_state(supervisor, CADRE_POOL_OPEN);
	tell_of_self(supervisor, CADRE_EVENT_pool_reopened, 0);
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
		tell_of_self(supervisor, CADRE_EVENT_pool_terminated, 0);
	/* Flags first, then kills: a flag beats a retry. */
	set_state(supervisor, CADRE_POOL_TERMINATED);
	cadre_terminate_jobs(&supervisor->view);
	CADRE_KILL_POINT("T1");
	cadre_staff_kill_all(supervisor);
}

static bool anybody_left(const struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		if (supervisor->members[worker].child.pidfd >= 0)
			return true;
	}
	return false;
}

static void watch_listener(const struct cadre_supervisor *supervisor)
{
	cadre_supervisor_watch(supervisor, supervisor->listener, CADRE_HEARD_LISTENER, 0);
}

static void open_pool(struct cadre_supervisor *supervisor,
		      const struct cadre_embedding *embedding)
{
	const unsigned up = cadre_staff_count(supervisor, CADRE_POST_UP);

	supervisor->phase = CADRE_SERVING;
	set_state(supervisor, CADRE_POOL_OPEN);
	watch_listener(supervisor);
	if (!supervisor->inherited)
		tell_of_self(supervisor, CADRE_EVENT_pool_ready, 0);
	cadre_supervisor_say(supervisor, "pool \"%s\" is ready with %u worker%s",
			     supervisor->pool, up, cadre_plural(up));
	if (embedding->ready)
		embedding->ready(embedding->context);
}

/* A successor goes on where its predecessor was: a pool that was open stays open, whoever
 * of its workers may have died. What an embedded pool was told, it was told for good; a
 * server that takes over was started to serve. */
static void go_on(struct cadre_supervisor *supervisor,
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

static void turn_phase(struct cadre_supervisor *supervisor, int64_t now_ns,
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
			set_state(supervisor, CADRE_POOL_STOPPED);
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

static bool is_over(const struct cadre_supervisor *supervisor)
{
	return supervisor->phase >= CADRE_DRAINING && !supervisor->stays &&
	       !anybody_left(supervisor);
}

/* ---- the loop ---- */

/* Somebody scribbled over the segment: what stands there means nothing any more. */
static void end_damaged(struct cadre_supervisor *supervisor)
{
	struct cadre_header *const header = supervisor->view.header;

	if (supervisor->error)
		return;
	cadre_count_set(&header->counters.impossible_words, supervisor->survey.impossible);
	supervisor->error = cadre_refuse(
		supervisor->diag, -EBADMSG,
		"pool \"%s\": %llu slot words cannot be, so a process has "
		"written where it must not; the pool was terminated",
		supervisor->pool, (unsigned long long)supervisor->survey.impossible);
	cadre_supervisor_warn(supervisor,
			      "%llu slot words cannot be: terminating the pool",
			      (unsigned long long)supervisor->survey.impossible);
	cadre_supervisor_terminate(supervisor);
}

static void tick(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	struct cadre_header *const header = supervisor->view.header;

	atomic_store_explicit(&header->heartbeat_ns, now_ns, memory_order_relaxed);
	cadre_survey(&supervisor->view, now_ns, &supervisor->survey);
	cadre_count_peak(&header->counters.queue_length_max, supervisor->survey.queued);
	cadre_hang_look(&supervisor->vigil, &supervisor->view, now_ns);
	cadre_pulse_beat(&supervisor->pulse, now_ns);
	if (supervisor->survey.impossible > 0)
		end_damaged(supervisor);
	cadre_staff_tick(supervisor, now_ns);
	cadre_lease_tick(supervisor, now_ns);
	cadre_clerk_drain(&supervisor->clerk);
	cadre_notice_collect(&supervisor->view);
	cadre_count_set(&header->counters.tokens_used,
			cadre_token_count(&supervisor->view.tokens));
	cadre_count_set(&header->counters.tokens_max, supervisor->view.tokens.count);
	supervisor->knocked = false;
	/* With all the workers that there may be, more knocks would help nobody. */
	if (cadre_size_present(supervisor) < supervisor->size.max)
		atomic_store_explicit(&header->wish_to_grow, 0, memory_order_relaxed);
}

static int64_t tick_interval_ns(const struct cadre_supervisor *supervisor)
{
	if (supervisor->phase >= CADRE_STOPPING)
		return TICK_ENDING_NS;
	if (supervisor->survey.queued || supervisor->survey.running ||
	    cadre_lease_is_draining(supervisor))
		return TICK_BUSY_NS;
	return TICK_IDLE_NS;
}

static int64_t next_tick_ns(const struct cadre_supervisor *supervisor, int64_t now_ns)
{
	const int64_t staff_ns = cadre_staff_next_ns(supervisor);
	const int64_t pulse_ns = cadre_pulse_next_ns(&supervisor->pulse);
	int64_t next_ns = now_ns + tick_interval_ns(supervisor);

	if (supervisor->survey.next_deadline_ns < next_ns)
		next_ns = supervisor->survey.next_deadline_ns;
	if (staff_ns < next_ns)
		next_ns = staff_ns;
	if (pulse_ns < next_ns)
		next_ns = pulse_ns;
	/* What is overdue already may take its time to happen. */
	return next_ns > now_ns + TICK_ENDING_NS ? next_ns : now_ns + TICK_ENDING_NS;
}

static void heard_signal(struct cadre_supervisor *supervisor)
{
	struct signalfd_siginfo info;

	if (read(supervisor->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP) {
		struct cadre_diag diag;

		if (cadre_reload_begin(supervisor, CADRE_NOBODY, &diag) < 0)
			cadre_supervisor_warn(supervisor, "not reloaded: %s", diag.text);
		return;
	}
	if (supervisor->phase == CADRE_BEGINNING) {
		cadre_supervisor_say(supervisor, "told to end before the pool was ready");
		cadre_supervisor_terminate(supervisor);
	} else if (supervisor->phase < CADRE_STOPPING || supervisor->stays) {
		cadre_supervisor_stop(supervisor);
	} else {
		cadre_supervisor_terminate(supervisor);
	}
}

static void handle(struct cadre_supervisor *supervisor, uint64_t what)
{
	const uint32_t index = (uint32_t)what;

	switch ((enum cadre_heard)(what >> 32)) {
	case CADRE_HEARD_SIGNAL:
		heard_signal(supervisor);
		break;
	case CADRE_HEARD_LISTENER:
		cadre_lease_accept(supervisor);
		break;
	case CADRE_HEARD_OWNER:
		if (supervisor->phase != CADRE_ENDING)
			cadre_supervisor_say(supervisor,
					     "the program that started the pool has ended");
		cadre_supervisor_terminate(supervisor);
		break;
	case CADRE_HEARD_CONNECTION:
		cadre_lease_heard(supervisor, index);
		break;
	case CADRE_HEARD_WORKER:
		cadre_staff_died(supervisor, index);
		break;
	case CADRE_HEARD_WORKER_START:
		cadre_staff_start_spoke(supervisor, index);
		break;
	case CADRE_HEARD_CLIENT:
		cadre_lease_client_died(supervisor, index);
		break;
	case CADRE_HEARD_COURIER:
		cadre_lease_courier_spoke(supervisor, index);
		break;
	case CADRE_HEARD_PROBE:
		cadre_reload_probe_spoke(supervisor);
		break;
	case CADRE_HEARD_GUEST:
		cadre_guest_died(supervisor, index);
		break;
	}
}

static void loop(struct cadre_supervisor *supervisor,
		 const struct cadre_embedding *embedding)
{
	int64_t due_ns = 0;

	while (!is_over(supervisor)) {
		struct epoll_event events[16];
		const int64_t log_ns = supervisor->clerk.next_ns;
		const int64_t left_ns = cadre_clock_left_ns(log_ns < due_ns ? log_ns :
									      due_ns,
							    TICK_IDLE_NS);
		const int n = epoll_wait(supervisor->epoll_fd, events,
					 CADRE_COUNT_OF(events),
					 (int)((left_ns + CADRE_NS_PER_MS - 1) /
					       CADRE_NS_PER_MS));
		int64_t now_ns;

		for (int i = 0; i < n; i++)
			handle(supervisor, events[i].data.u64);
		now_ns = cadre_clock_ns();
		if (now_ns >= supervisor->clerk.next_ns)
			cadre_clerk_drain(&supervisor->clerk);
		if (n > 0) {
			/* What happened may have brought something forward: a retry, a late start. */
			const int64_t staff_ns = cadre_staff_next_ns(supervisor);

			due_ns = staff_ns < due_ns ? staff_ns : due_ns;
		}
		if (now_ns >= due_ns || supervisor->knocked ||
		    supervisor->phase == CADRE_STOPPING) {
			tick(supervisor, now_ns);
			due_ns = next_tick_ns(supervisor, now_ns);
		}
		turn_phase(supervisor, now_ns, embedding);
	}
}

/* ---- begin and end ---- */

static int open_descriptors(struct cadre_supervisor *supervisor, const sigset_t *signals)
{
	supervisor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	supervisor->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (supervisor->epoll_fd < 0 || supervisor->signal_fd < 0)
		return cadre_refuse(supervisor->diag, -errno, "cannot supervise: %s",
				    strerror(errno));
	cadre_supervisor_watch(supervisor, supervisor->signal_fd, CADRE_HEARD_SIGNAL, 0);
	if (supervisor->owner_pidfd >= 0)
		cadre_supervisor_watch(supervisor, supervisor->owner_pidfd,
				       CADRE_HEARD_OWNER, 0);
	return 0;
}

static void close_descriptors(struct cadre_supervisor *supervisor)
{
	if (supervisor->listener >= 0)
		close(supervisor->listener);
	if (supervisor->signal_fd >= 0)
		close(supervisor->signal_fd);
	if (supervisor->epoll_fd >= 0)
		close(supervisor->epoll_fd);
}

static int open_log(struct cadre_supervisor *supervisor)
{
	const struct cadre_pool_options *const options = &supervisor->options;
	struct cadre_sink sink;

	if (options->log_level != CADRE_LOG_OFF || !supervisor->inherited)
		atomic_store_explicit(&supervisor->view.header->log_level,
				      (int32_t)options->log_level, memory_order_relaxed);
	cadre_sink_init(&sink, options->log_sinks, options->log, options->log_context);
	return cadre_clerk_init(&supervisor->clerk, supervisor->pool, &supervisor->view,
				&sink);
}

/* Everything up to the first worker. On failure the caller undoes it. */
static int begin(struct cadre_supervisor *supervisor,
		 const struct cadre_embedding *embedding)
{
	int r = inherit(supervisor);
	int32_t predecessor = 0;

	supervisor->inherited = r == 1;
	if (r == 0)
		r = create(supervisor);
	if (r < 0)
		return r;
	r = open_log(supervisor);
	if (r == 0)
		r = cadre_staff_init(supervisor);
	if (r == 0)
		r = cadre_lease_init(supervisor);
	if (r == 0)
		r = cadre_pulse_init(&supervisor->pulse, &supervisor->view);
	if (r == 0)
		r = cadre_hang_init(&supervisor->vigil, &supervisor->view,
				    supervisor->options.hang_ns);
	if (r < 0)
		return cadre_refuse(supervisor->diag, r, "%s", strerror(-r));
	supervisor->size = cadre_view_size(&supervisor->view);
	if (supervisor->inherited)
		predecessor = atomic_load_explicit(&supervisor->view.header->supervisor_pid,
						   memory_order_relaxed);
	sign_header(supervisor);
	if (!supervisor->inherited) {
		if (supervisor->view.limits.workers > 0)
			r = cadre_probe_operations(supervisor);
		if (r < 0)
			return r;
		/* H2: release, pairs with H1 in layout.c. */
		atomic_store_explicit(&supervisor->view.header->ready, 1,
				      memory_order_release);
	}
	supervisor->listener = cadre_control_listen(supervisor->pool,
						    supervisor->options.mode,
						    supervisor->diag);
	if (supervisor->listener < 0)
		return supervisor->listener;
	if (supervisor->inherited) {
		cadre_count_add(&supervisor->view.header->counters.successions, 1);
		cadre_annals_resume(&supervisor->view.events);
		cadre_annals_resume(&supervisor->view.crashes);
		cadre_annals_resume(&supervisor->view.kept);
		cadre_staff_adopt(supervisor);
		cadre_lease_adopt(supervisor);
		tell_of_self(supervisor, CADRE_EVENT_succession, predecessor);
		go_on(supervisor, embedding);
		cadre_reload_adopt(supervisor);
		cadre_ring_everyone(&supervisor->view);
	}
	if (supervisor->phase <= CADRE_SERVING)
		cadre_size_hire(supervisor, supervisor->size.min);
	return 0;
}

/* Nobody works any more: every job has its end, and the name is free again. */
static void end(struct cadre_supervisor *supervisor)
{
	/* A pool that we could not take over is left to the next who tries. */
	if (supervisor->view.header && !(supervisor->inherited && !supervisor->began)) {
		set_state(supervisor, CADRE_POOL_TERMINATED);
		cadre_terminate_jobs(&supervisor->view);
		cadre_segment_remove(supervisor->pool);
	}
	cadre_reload_cancel(supervisor, "the pool ends");
	cadre_hang_fini(&supervisor->vigil);
	cadre_staff_fini(supervisor);
	cadre_lease_fini(supervisor);
	cadre_pulse_fini(&supervisor->pulse);
	cadre_clerk_fini(&supervisor->clerk);
	close_descriptors(supervisor);
	cadre_layout_close(&supervisor->view);
	cadre_lock_release(&supervisor->lock);
}

/* Garbage collection holds the lock for an instant; a supervisor keeps it. */
static int take_lock(struct cadre_supervisor *supervisor)
{
	const int64_t until_ns = cadre_clock_in_ns(LOCK_PATIENCE_NS);
	const struct timespec nap = cadre_clock_timespec(LOCK_PATIENCE_NS / 20);
	pid_t holder;
	int r;

	while ((r = cadre_lock_take(supervisor->pool, supervisor->options.mode,
				    &supervisor->lock, &holder, supervisor->diag)) ==
		       -EEXIST &&
	       cadre_clock_left_ns(until_ns, 1) > 0)
		nanosleep(&nap, NULL);
	return r;
}

static int supervise(struct cadre_supervisor *supervisor,
		     const struct cadre_embedding *embedding, const sigset_t *signals)
{
	int r;

	r = take_lock(supervisor);
	if (r < 0)
		return r;
	r = open_descriptors(supervisor, signals);
	if (r == 0)
		r = begin(supervisor, embedding);
	if (r == 0) {
		supervisor->began = true;
		loop(supervisor, embedding);
		r = supervisor->error;
		if (r == 0)
			cadre_supervisor_say(supervisor, "pool \"%s\" has ended",
					     supervisor->pool);
	}
	end(supervisor);
	return r;
}

/* Those that came when nobody read them any more: they asked the pool to end, which it has.
 * Unblocked, they would end the process. */
static void forget_signals(const sigset_t *signals)
{
	const struct timespec none = { 0 };

	while (sigtimedwait(signals, NULL, &none) > 0)
		continue;
}

int cadre_supervise(const struct cadre_source *source,
		    const struct cadre_pool_options *options,
		    const struct cadre_embedding *embedding, cadre_notice_fn *notice,
		    void *notice_context, struct cadre_diag *diag)
{
	struct cadre_supervisor *const supervisor = calloc(1, sizeof(*supervisor));
	struct cadre_limits limits;
	sigset_t signals, before;
	int r;

	if (!supervisor)
		return cadre_refuse(diag, -ENOMEM, "out of memory");
	*supervisor = (struct cadre_supervisor){
		.source = source,
		.options = *options,
		.notice = notice,
		.notice_context = notice_context,
		.diag = diag,
		.epoll_fd = -1,
		.signal_fd = -1,
		.listener = -1,
		.owner_pidfd = embedding->owner_pidfd,
		.random = (uint64_t)cadre_clock_ns() | 1,
	};
	for (unsigned i = 0; i < CADRE_CONNECTIONS_MAX; i++)
		supervisor->connections[i] = -1;
	cadre_relief_init(supervisor);
	cadre_reload_init(supervisor);

	r = cadre_name_check(options->name, diag);
	if (r == 0)
		r = cadre_pool_options_complete(&supervisor->options, diag);
	limits = cadre_pool_limits(&supervisor->options);
	if (r == 0)
		r = cadre_limits_check(&limits, diag);
	if (r == 0)
		r = cadre_source_check(source, &supervisor->options, diag);
	if (r == 0) {
		snprintf(supervisor->pool, sizeof(supervisor->pool), "%s", options->name);
		sigemptyset(&signals);
		sigaddset(&signals, SIGTERM);
		sigaddset(&signals, SIGINT);
		sigaddset(&signals, SIGHUP);
		sigprocmask(SIG_BLOCK, &signals, &before);
		signal(SIGCHLD, SIG_DFL);
		/* Whoever read its lines may have left: that ends no pool. */
		signal(SIGPIPE, SIG_IGN);
		r = supervise(supervisor, embedding, &signals);
		forget_signals(&signals);
		sigprocmask(SIG_SETMASK, &before, NULL);
	}
	free(supervisor);
	return r;
}

int cadre_serve(const struct cadre_source *source,
		const struct cadre_pool_options *options, cadre_notice_fn *notice,
		void *context, struct cadre_diag *diag)
{
	const struct cadre_embedding none = { .owner_pidfd = -1 };

	return cadre_supervise(source, options, &none, notice, context, diag);
}
