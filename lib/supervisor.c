/*
 * supervisor.c - the pool as a whole: take the name, begin or take over, wait, end. What the
 * pool does meanwhile, from open to stopped, stands in supervisor_phases.c; whose segment it
 * is, in supervisor_segment.c.
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

void cadre_supervisor_set_state(const struct cadre_supervisor *supervisor,
				enum cadre_pool_state state)
{
	/* F4, pairs with F2 in submit.c: the state stands before any slot is looked at. */
	atomic_store_explicit(&supervisor->view.header->state, state,
			      memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst);
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

	while (!cadre_supervisor_is_over(supervisor)) {
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
		cadre_supervisor_turn_phase(supervisor, now_ns, embedding);
		cadre_staff_collect(supervisor);
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

static void sign_header(const struct cadre_supervisor *supervisor)
{
	struct cadre_header *const header = supervisor->view.header;
	const struct cadre_identity self = cadre_process_self();

	atomic_store(&header->supervisor_pid, self.pid);
	atomic_store(&header->supervisor_start_time, self.start_time);
	atomic_store(&header->heartbeat_ns, cadre_clock_ns());
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
	int r = cadre_supervisor_open_segment(supervisor);
	int32_t predecessor = 0;

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
	if (supervisor->inherited) {
		predecessor = atomic_load_explicit(&supervisor->view.header->supervisor_pid,
						   memory_order_relaxed);
		/* Before its pid stands there: who sees that finds the succession counted. */
		cadre_count_add(&supervisor->view.header->counters.successions, 1);
	}
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
		cadre_annals_resume(&supervisor->view.events);
		cadre_annals_resume(&supervisor->view.crashes);
		cadre_annals_resume(&supervisor->view.kept);
		cadre_staff_adopt(supervisor);
		cadre_lease_adopt(supervisor);
		cadre_supervisor_tell_of_self(supervisor, CADRE_EVENT_succession,
					      predecessor);
		cadre_supervisor_go_on(supervisor, embedding);
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
		cadre_supervisor_set_state(supervisor, CADRE_POOL_TERMINATED);
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

void cadre_supervisor_init(struct cadre_supervisor *supervisor)
{
	*supervisor = (struct cadre_supervisor){
		.epoll_fd = -1,
		.signal_fd = -1,
		.listener = -1,
		.owner_pidfd = -1,
		.random = (uint64_t)cadre_clock_ns() | 1,
	};
	for (unsigned i = 0; i < CADRE_CONNECTIONS_MAX; i++)
		supervisor->connections[i] = -1;
	cadre_relief_init(supervisor);
	cadre_reload_init(supervisor);
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
	cadre_supervisor_init(supervisor);
	supervisor->source = source;
	supervisor->options = *options;
	supervisor->notice = notice;
	supervisor->notice_context = notice_context;
	supervisor->diag = diag;
	supervisor->owner_pidfd = embedding->owner_pidfd;

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
