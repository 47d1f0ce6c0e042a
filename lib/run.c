/*
 * run.c - what a worker does with a job: claim, check, run, account, give the room back.
 */
#include "capture.h"
#include "clock.h"
#include "dispatch.h"
#include "notice.h"
#include "trace.h"
#include "worker.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The bench asks what it costs to count each job; nothing else is built like this. */
#ifdef CADRE_UNCOUNTED
#define cadre_count_add(counter, amount) ((void)(counter))
#define cadre_count_add_ns(counter, ns) ((void)(counter), (void)(ns))
#define cadre_count_set(counter, value) ((void)(counter), (void)(value))
#define cadre_count_peak(counter, value) ((void)(counter))
#define cadre_histogram_add(histogram, ns) ((void)(histogram), (void)(ns))
#endif

/* A handler that is expected to run longer than this makes its worker engaged: nobody
 * counts on it to look for jobs meanwhile. Until an operation was seen, it is. */
#define LONG_NS (20 * CADRE_NS_PER_US)

static struct cadre_worker *worker_of(struct cadre_job_host *host)
{
	return (struct cadre_worker *)(void *)host;
}

static struct cadre_task *task_of(struct cadre_job *job)
{
	return (struct cadre_task *)(void *)job;
}

static void lock_stats(struct cadre_worker *worker)
{
	if (worker->shares_stats)
		pthread_mutex_lock(&worker->stats_lock);
}

static void unlock_stats(struct cadre_worker *worker)
{
	if (worker->shares_stats)
		pthread_mutex_unlock(&worker->stats_lock);
}

/* Nobody but the dispatcher has to do with it. */
static bool is_alone(const struct cadre_worker *worker, const struct cadre_job *job)
{
	return !worker->shares_stats && cadre_job_is_private(job);
}

/* With stats_lock, where there is one. Operations that the service does not know share the
 * last line. */
CADRE_RARELY static struct cadre_latency_line *find_line(const struct cadre_worker *worker,
							 struct cadre_duty *duty)
{
	struct cadre_latency_line *const lines = cadre_view_latencies(&worker->view,
								      worker->host.worker);
	const uint32_t count = cadre_view_latency_lines(&worker->view,
							worker->host.worker);

	if (!duty)
		return &lines[count - 1];
	duty->line = cadre_stats_line(lines, count, duty->operation->id);
	return duty->line;
}

static void count_waiting(const struct cadre_task *task)
{
	const int64_t waited_ns = task->job.taken_ns - task->job.submitted_ns;

	cadre_histogram_add(&task->line->waiting, waited_ns);
	cadre_count_add_ns(&task->line->waiting_ns, waited_ns);
}

/* Its caller waits for each instruction between here and the reply, so what can wait does: but
 * not for a handler that runs for long, and not beside other threads. */
static bool is_short(const struct cadre_worker *worker, const struct cadre_task *task)
{
	/* Relaxed: a guess. */
	return !worker->shares_stats && task->duty &&
	       atomic_load_explicit(&task->duty->expected_ns, memory_order_relaxed) <=
		       LONG_NS;
}

/* With stats_lock, where there is one. */
static void count_taken(struct cadre_worker *worker, struct cadre_task *task,
			uint32_t workload)
{
	const struct cadre_job *const job = &task->job;
	struct cadre_worker_counters *const counters = &worker->stats->worker;

	if (!worker->busy || worker->says_blocked) {
		worker->busy = true;
		worker->says_blocked = false;
		cadre_stats_turn_to(worker->stats, CADRE_ACTIVITY_BUSY, job->taken_ns);
	}
	cadre_count_add(&counters->jobs_taken, 1);
	cadre_count_set(&counters->workload, workload);
	cadre_count_peak(&counters->workload_max, workload);
	atomic_store_explicit(&worker->stats->operation, job->operation,
			      memory_order_relaxed);
	atomic_store_explicit(&worker->stats->taken_ns, job->taken_ns,
			      memory_order_relaxed);
	atomic_store_explicit(&worker->stats->slot, job->number, memory_order_relaxed);
	task->line = task->duty && task->duty->line ? task->duty->line :
						      find_line(worker, task->duty);
	task->owes_waiting = is_short(worker, task);
	if (!task->owes_waiting)
		count_waiting(task);
}

/* The level inside of the lock, so that the one that is published last is the true one. */
CADRE_RARELY static void account_taken_among_threads(struct cadre_worker *worker,
						     struct cadre_task *task)
{
	/* Another job's may stand in our place soon. */
	task->job.slot->reply.taken_ns = task->job.taken_ns;
	lock_stats(worker);
	count_taken(worker, task,
		    1 + atomic_fetch_add_explicit(&worker->workload, 1,
						  memory_order_relaxed));
	unlock_stats(worker);
}

static void account_taken(struct cadre_worker *worker, struct cadre_task *task)
{
	if (worker->shares_stats) {
		account_taken_among_threads(worker, task);
		return;
	}
	/* A worker that has one job at a time has none now, and nobody to count beside it. */
	atomic_store_explicit(&worker->workload, 1, memory_order_relaxed);
	count_taken(worker, task, 1);
}

static _Atomic uint64_t *counter_of(struct cadre_worker_counters *counters,
				    enum cadre_outcome outcome)
{
	if (outcome == CADRE_OK)
		return &counters->jobs_ok;
	return outcome == CADRE_TIMED_OUT ? &counters->jobs_timed_out :
					    &counters->jobs_failed;
}

/* With stats_lock, where there is one. */
static void count_ended(struct cadre_worker *worker, const struct cadre_task *task,
			enum cadre_outcome outcome, bool late)
{
	const struct cadre_job *const job = &task->job;
	struct cadre_worker_counters *const counters = &worker->stats->worker;
	struct cadre_latency_line *const line = task->line;
	const int64_t ran_ns = job->ended_ns - job->taken_ns;

	cadre_count_add(late ? &counters->jobs_late : counter_of(counters, outcome), 1);
	if (late || outcome != CADRE_OK)
		cadre_count_add(&line->failed, 1);
	if (task->owes_waiting)
		count_waiting(task);
	cadre_histogram_add(&line->service, ran_ns);
	cadre_histogram_add(&line->total, job->ended_ns - job->submitted_ns);
	cadre_count_add_ns(&line->service_ns, ran_ns);
	if (job->emitter.stream)
		cadre_count_add(&counters->items_emitted, job->emitter.count);
}

static void expect(struct cadre_duty *duty, int64_t ran_ns)
{
	/* Relaxed: a guess. */
	const int64_t expected_ns = atomic_load_explicit(&duty->expected_ns,
							 memory_order_relaxed);

	atomic_store_explicit(&duty->expected_ns, (expected_ns + ran_ns) >> 1,
			      memory_order_relaxed);
}

/* Without threads what is private ends on the dispatcher, whose rings these are. */
CADRE_RARELY static void ring(struct cadre_worker *worker, const struct cadre_job *job,
			      uint64_t replaced)
{
	if (is_alone(worker, job) && worker->holds_rings && !job->emitter.stream)
		cadre_held_ring(&worker->held, &worker->view, job->number, replaced,
				job->ended_ns);
	else
		cadre_view_ring_if_awaited(&worker->view, job->number, replaced);
}

CADRE_RARELY static void count_ended_among_threads(struct cadre_worker *worker,
						   const struct cadre_task *task,
						   enum cadre_outcome outcome, bool late)
{
	lock_stats(worker);
	count_ended(worker, task, outcome, late);
	unlock_stats(worker);
}

/* Accounted for first: a ring may take this CPU away, and the worker be killed then. */
static void ended(struct cadre_job_host *host, struct cadre_job *job,
		  enum cadre_outcome outcome, uint64_t replaced)
{
	struct cadre_worker *const worker = worker_of(host);
	struct cadre_task *const task = task_of(job);
	const unsigned flags = cadre_word_flags(replaced);
	/* 0: the word is not ours any more, so the segment is damaged. Nobody waits for what we
	 * say; the supervisor's tick counts words that cannot be. */
	const bool late = replaced == 0 || flags & CADRE_FLAG_DECIDED;

	if (task->duty)
		expect(task->duty, job->ended_ns - job->taken_ns);
	if (worker->shares_stats)
		count_ended_among_threads(worker, task, outcome, late);
	else
		count_ended(worker, task, outcome, late);
	if (flags & CADRE_FLAG_WAITING)
		ring(worker, job, replaced);
}

/* Blocked is a worker all of whose jobs wait for the consumers of their streams. */
static void say_blocked(struct cadre_worker *worker, uint32_t workload, int64_t now_ns)
{
	const bool blocked = workload > 0 && worker->blocked >= workload;

	if (!worker->busy || blocked == worker->says_blocked)
		return;
	worker->says_blocked = blocked;
	cadre_stats_turn_to(worker->stats,
			    blocked ? CADRE_ACTIVITY_BLOCKED : CADRE_ACTIVITY_BUSY,
			    now_ns);
}

static void account_blocked(struct cadre_job_host *host, struct cadre_job *job,
			    bool begins)
{
	struct cadre_worker *const worker = worker_of(host);

	(void)job;
	if (begins && pthread_equal(pthread_self(), worker->dispatcher))
		cadre_held_let_go(&worker->held, &worker->view);
	/* Whoever counted on us to look for jobs soon must not. The rest is for the dispatcher's
	 * eyes only: a job that was deferred is emitted for by other threads. */
	if (begins && !worker->thread_count &&
	    pthread_equal(pthread_self(), worker->dispatcher) && worker->handles &&
	    !worker->engaged)
		cadre_run_engage(worker);
	lock_stats(worker);
	worker->blocked += begins ? 1 : UINT32_MAX;
	if (begins)
		cadre_count_add(&worker->stats->worker.emit_waits, 1);
	say_blocked(worker, atomic_load_explicit(&worker->workload, memory_order_relaxed),
		    cadre_clock_ns());
	unlock_stats(worker);
}

static bool is_deserted(struct cadre_job_host *host, int64_t *alone_since_ns)
{
	return cadre_worker_is_alone(worker_of(host), alone_since_ns);
}

/* The job keeps the code that it runs. */
static void hold_table(struct cadre_task *task)
{
	cadre_table_hold(task->table);
	task->holds_table = true;
}

void cadre_run_turn_page(struct cadre_worker *worker)
{
	struct cadre_table *const old = worker->serving;

	/* Relaxed: only the question whether there is another one. */
	if (atomic_load_explicit(&worker->table, memory_order_relaxed) == old)
		return;
	worker->serving = cadre_table_hold_present(&worker->table);
	cadre_table_let_go(old);
}

/* The one job of a worker without threads is done, and nobody has heard of it. */
static void give_only_room_back(struct cadre_worker *worker, struct cadre_task *task)
{
	worker->last_ended_ns = task->job.ended_ns;
	cadre_count_set(&worker->stats->worker.workload, 0);
	if (worker->blocked)
		say_blocked(worker, 0, task->job.ended_ns);
	/* Relaxed, both: the thread that takes them next is this one. */
	atomic_store_explicit(&task->taken, false, memory_order_relaxed);
	atomic_store_explicit(&worker->workload, 0, memory_order_relaxed);
}

/* Handler and reply are both done: the room is free again. */
static void give_room_back(struct cadre_job_host *host, struct cadre_job *job)
{
	struct cadre_worker *const worker = worker_of(host);
	const int64_t ended_ns = job->ended_ns;
	uint32_t workload;

	if (is_alone(worker, job)) {
		give_only_room_back(worker, task_of(job));
		return;
	}
	lock_stats(worker);
	worker->last_ended_ns = ended_ns;
	workload = atomic_load_explicit(&worker->workload, memory_order_relaxed) - 1;
	cadre_count_set(&worker->stats->worker.workload, workload);
	if (workload == 0 && worker->busy) {
		worker->busy = false;
		worker->says_blocked = false;
		cadre_stats_turn_to(worker->stats, CADRE_ACTIVITY_IDLE, ended_ns);
	}
	if (worker->blocked)
		say_blocked(worker, workload, ended_ns);
	if (task_of(job)->holds_table)
		cadre_table_let_go(task_of(job)->table);
	/* R1: release, pairs with R9 in take_task: the struct is done with. */
	atomic_store_explicit(&task_of(job)->taken, false, memory_order_release);

	/* Relaxed: the step at R2 makes it seen by whoever sees that. */
	atomic_fetch_add_explicit(&worker->givers, 1, memory_order_relaxed);
	/*
	 *     whoever ends a job                 dispatcher without room
	 *     workload--           (R2)          waits_for_room = true   (R3)
	 *     full fence                         full fence
	 *     if (waits_for_room) ring           if (workload < parallel) go on; else sleep
	 */
	atomic_fetch_sub_explicit(&worker->workload, 1, memory_order_seq_cst);
	unlock_stats(worker);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&worker->waits_for_room, memory_order_relaxed))
		cadre_bell_ring(worker->bell, CADRE_BELL_DISPATCHER, 1);
	/* R4: release, pairs with R5 in cadre_run_fini: our last look at the worker. */
	atomic_fetch_sub_explicit(&worker->givers, 1, memory_order_release);
}

void cadre_run_idle(struct cadre_worker *worker)
{
	lock_stats(worker);
	/* R8, as in cadre_worker_has_room. */
	if (worker->busy &&
	    atomic_load_explicit(&worker->workload, memory_order_acquire) == 0) {
		worker->busy = false;
		/* Now, and not when the last job ended: a reader may have counted what came since. */
		cadre_stats_turn_to(worker->stats, CADRE_ACTIVITY_IDLE, cadre_clock_ns());
	}
	unlock_stats(worker);
}

/* ---- being engaged ---- */

void cadre_run_engage(struct cadre_worker *worker)
{
	struct cadre_crew *const crew = worker->crew;
	const unsigned workers = worker->view.limits.workers;

	worker->engaged = true;
	cadre_mask_set(&crew->engaged, worker->host.worker); /* K1 */
	atomic_thread_fence(memory_order_seq_cst);           /* F3, pairs with F2 */
	CADRE_KILL_POINT("W3");
	/* What only a guest may do nobody can do for it. */
	if (worker->host.worker >= workers ||
	    cadre_mask_next(&crew->sleepers, 0, workers) == workers ||
	    !cadre_look_for_more(&worker->looker))
		return;
	cadre_dispatch_wake(&worker->view, &worker->looker.crew_turn);
	lock_stats(worker);
	cadre_count_add(&worker->stats->worker.wakes_sent, 1);
	unlock_stats(worker);
}

void cadre_run_disengage(struct cadre_worker *worker)
{
	worker->engaged = false;
	cadre_mask_clear(&worker->crew->engaged, worker->host.worker);
}

void cadre_run_get_up(struct cadre_worker *worker)
{
	if (worker->asleep)
		cadre_mask_clear(&worker->crew->sleepers, worker->host.worker);
	worker->asleep = false;
}

/* ---- running ---- */

/* With one room there is one task, and whoever has the room has that. */
static struct cadre_task *take_only_task(struct cadre_worker *worker)
{
	atomic_store_explicit(&worker->tasks[0].taken, true, memory_order_relaxed);
	return &worker->tasks[0];
}

CADRE_RARELY static struct cadre_task *take_task(struct cadre_worker *worker)
{
	for (uint32_t tried = 0; tried < worker->parallel; tried++) {
		struct cadre_task *const task = &worker->tasks[worker->task_turn];

		if (++worker->task_turn >= worker->parallel)
			worker->task_turn = 0;
		/* R9: acquire, pairs with R1. */
		if (!atomic_load_explicit(&task->taken, memory_order_acquire)) {
			atomic_store_explicit(&task->taken, true, memory_order_relaxed);
			return task;
		}
	}
	return NULL;
}

CADRE_RARELY static void handler_left_something(struct cadre_worker *worker,
						struct cadre_task *task)
{
	/* Somebody else may end it, or be called back for it, when the dispatcher has gone on
	 * to another table. Our party is still counted, so nobody has looked at this yet. */
	if (!task->holds_table && !is_alone(worker, &task->job))
		hold_table(task);
	cadre_job_handler_returned(&task->job);
}

static void handle(struct cadre_worker *worker, struct cadre_task *task)
{
	CADRE_KILL_POINT("W4");
	cadre_job_current = &task->job;
	task->duty->operation->handler(&task->job, task->table->state);
	cadre_job_current = NULL;
	if (is_alone(worker, &task->job) && cadre_job_has_reply(&task->job))
		give_only_room_back(worker, task);
	else
		handler_left_something(worker, task);
}

/* The job is to be called back, or not any more: whoever takes the wish back calls back, or
 * is about to end the job. */
static bool take_wish_back(struct cadre_job_host *host, struct cadre_job *job)
{
	/* R7, as below. */
	if (!atomic_exchange_explicit(&job->wants_room, false, memory_order_acquire))
		return false;
	atomic_fetch_sub_explicit(&worker_of(host)->room_wanted, 1, memory_order_relaxed);
	cadre_emitter_say_awake(&job->emitter);
	account_blocked(host, job, false);
	return true;
}

static void want_room(struct cadre_job_host *host, struct cadre_job *job)
{
	struct cadre_worker *const worker = worker_of(host);

	/* Counted first, so that whoever finds it wanted may count down. */
	atomic_fetch_add_explicit(&worker->room_wanted, 1, memory_order_relaxed);
	/* R6: release, pairs with R7: the emitter is the dispatcher's from now on. */
	atomic_store_explicit(&job->wants_room, true, memory_order_release);
	/* Room that came before we said that we wait is rung for by nobody else, and a program
	 * with a loop of its own looks when it is rung. */
	if (!pthread_equal(pthread_self(), worker->dispatcher) || cadre_job_has_room(job))
		cadre_bell_ring(worker->bell, CADRE_BELL_DISPATCHER, INT32_MAX);
}

static void call_back_if_ready(struct cadre_worker *worker, struct cadre_job *job)
{
	/* R7: acquire, pairs with R6. */
	if (!atomic_load_explicit(&job->wants_room, memory_order_acquire) ||
	    !cadre_job_has_room(job) || !take_wish_back(&worker->host, job))
		return;
	/* It may end the job, and the job's room be another's. */
	job->on_room(job, job->on_room_context);
}

void cadre_run_call_back(struct cadre_worker *worker)
{
	if (atomic_load_explicit(&worker->room_wanted, memory_order_relaxed) == 0)
		return;
	for (uint32_t i = 0; i < worker->parallel; i++)
		call_back_if_ready(worker, &worker->tasks[i].job);
}

static void *handle_queued(void *argument)
{
	struct cadre_worker *const worker = argument;
	const pid_t self = gettid();

	/* Without one a stack overflow in a handler dies silently. */
	(void)cadre_capture_thread_begin();
	for (;;) {
		struct cds_wfcq_node *node;
		struct cadre_task *task;

		while (sem_wait(&worker->queued) < 0) {
		}
		node = cds_wfcq_dequeue_blocking(&worker->queue_head, &worker->queue_tail);
		if (node) {
			task = (void *)((char *)node - offsetof(struct cadre_task, node));
			/* Relaxed: for the handler of a signal. */
			atomic_store_explicit(&task->thread, self, memory_order_relaxed);
			handle(worker, task);
		} else if (atomic_load(&worker->threads_end)) {
			break;
		}
	}
	cadre_capture_thread_end();
	return NULL;
}

static void hand_to_thread(struct cadre_worker *worker, struct cadre_task *task)
{
	atomic_store_explicit(&task->thread, 0, memory_order_relaxed);
	cds_wfcq_node_init(&task->node);
	cds_wfcq_enqueue(&worker->queue_head, &worker->queue_tail, &task->node);
	sem_post(&worker->queued);
}

/* Before a job is begun while a ring is held back: it goes out when its client has waited for
 * long enough, and when that has no more jobs and this is another's. */
static void look_at_held_ring(struct cadre_worker *worker, const struct cadre_job *job,
			      int64_t expected_ns)
{
	const unsigned window = worker->held.window;

	if (cadre_held_is_due(&worker->held, job->taken_ns + expected_ns) ||
	    (cadre_view_window_of(&worker->view, job->number) != window &&
	     cadre_look_is_dry(&worker->looker, window)))
		cadre_held_give_way(&worker->held, &worker->view);
}

static void start(struct cadre_worker *worker, struct cadre_task *task)
{
	int64_t expected_ns;

	if (worker->thread_count) {
		hold_table(task);
		hand_to_thread(worker, task);
		return;
	}
	/* Relaxed: a guess. */
	expected_ns = atomic_load_explicit(&task->duty->expected_ns, memory_order_relaxed);
	if (worker->held.bits)
		look_at_held_ring(worker, &task->job, expected_ns);
	if (expected_ns > LONG_NS)
		cadre_run_engage(worker);
	worker->handles = true;
	handle(worker, task);
	worker->handles = false;
	if (worker->engaged)
		cadre_run_disengage(worker);
}

/* True when its token ended before it was taken: then so has the job. Else the clocks in the
 * token run from now on. */
static bool has_lost_token(struct cadre_worker *worker, const struct cadre_job *job)
{
	cadre_notice_start(&worker->view, job->token, job->taken_ns);
	return cadre_job_cancelled(job);
}

/* True when the job was ended in place of being run, because of what came out of its opening
 * or what its client wishes. */
CADRE_RARELY static bool refuse(struct cadre_worker *worker, struct cadre_task *task,
				int opened, int64_t taken_ns)
{
	struct cadre_job *const job = &task->job;
	char sentence[CADRE_SENTENCE_MAX + 1];

	if (opened == -EHOSTDOWN) {
		cadre_job_refuse(job, CADRE_LOST, CADRE_STATUS_NOT_BEGUN, "");
	} else if (opened < 0) {
		cadre_job_refuse(job, CADRE_FAILED, -opened,
				 "its request lies outside of the segment");
	} else if (job->deadline_ns && taken_ns >= job->deadline_ns) {
		cadre_job_refuse(job, CADRE_TIMED_OUT, 0, "");
	} else if (job->token && has_lost_token(worker, job)) {
		cadre_job_refuse(job, CADRE_CANCELLED, 0, "");
	} else if (!task->duty) {
		snprintf(sentence, sizeof(sentence), "unknown operation %d",
			 (int)job->operation);
		cadre_job_refuse(job, CADRE_FAILED, ENOENT, sentence);
	} else {
		return false;
	}
	return true;
}

static void run(struct cadre_worker *worker, const struct cadre_found *found,
		int64_t taken_ns)
{
	struct cadre_task *const task = worker->parallel == 1 ? take_only_task(worker) :
								take_task(worker);
	struct cadre_job *const job = &task->job;
	const int r = cadre_job_open(job, &worker->host, found->slot, found->claimed,
				     taken_ns);

	/* There was room, so there is a task. */
	task->table = worker->serving;
	task->holds_table = false;
	task->duty = cadre_table_find(task->table, job->operation);
	account_taken(worker, task);
	CADRE_TRACE(claim, worker->host.worker, found->slot, found->claimed,
		    job->operation, job->submitted_ns, job->taken_ns);
	if ((!task->duty ||
	     (!cadre_job_is_plain(job) && (r < 0 || job->deadline_ns || job->token))) &&
	    refuse(worker, task, r, taken_ns))
		return;
	start(worker, task);
}

/* The end of one job is the start of the next that is found at once. 0: there was none. */
static int64_t ended_just_now(const struct cadre_worker *worker)
{
	return !worker->shares_stats && worker->busy ? worker->last_ended_ns : 0;
}

static void take(struct cadre_worker *worker, const struct cadre_found *found,
		 int64_t ended_ns)
{
	cadre_run_get_up(worker);
	run(worker, found, ended_ns ? ended_ns : cadre_clock_ns());
}

CADRE_EACH_JOB bool cadre_run_next_door(struct cadre_worker *worker)
{
	const bool one_by_one = worker->looker.waited;
	int64_t ended_ns = ended_just_now(worker);
	struct cadre_found found;
	int64_t until_ns;

	if (worker->shares_stats || !cadre_look_next_door(&worker->looker, &found))
		return false;
	take(worker, &found, ended_ns);
	/* Short ones in a row. What else the dispatcher looks at between two jobs, and who waits
	 * for that, can wait for as long as for a job that is not called long. */
	until_ns = worker->last_ended_ns + LONG_NS;
	while (cadre_worker_has_room(worker) &&
	       (ended_ns = ended_just_now(worker)) != 0 && ended_ns < until_ns) {
		cadre_run_turn_page(worker);
		if (one_by_one ? !cadre_look_in_rhythm(&worker->looker, &found) :
				 !cadre_look_next_door(&worker->looker, &found))
			break;
		take(worker, &found, ended_ns);
	}
	return true;
}

bool cadre_run_one(struct cadre_worker *worker, bool everywhere)
{
	const int64_t ended_ns = ended_just_now(worker);
	struct cadre_found found;

	/* Relaxed: a hint. */
	if (worker->shares_stats) {
		worker->looker.left = false;
		worker->looker.burden = atomic_load_explicit(&worker->workload,
							     memory_order_relaxed);
	}
	if (everywhere ? !cadre_look_everywhere(&worker->looker, &found) :
			 !cadre_look_along_hints(&worker->looker, &found))
		return false;
	take(worker, &found, ended_ns);
	return true;
}

/* ---- init, fini ---- */

static int start_threads(struct cadre_worker *worker)
{
	worker->threads = calloc(worker->parallel, sizeof(*worker->threads));
	if (!worker->threads)
		return -ENOMEM;
	while (worker->thread_count < worker->parallel) {
		const int error = pthread_create(&worker->threads[worker->thread_count],
						 NULL, handle_queued, worker);

		if (error)
			return -error;
		worker->thread_count++;
	}
	return 0;
}

bool cadre_run_wants_threads(const struct cadre_worker *worker,
			     const struct cadre_service *service)
{
	return service->flags & CADRE_SERVICE_THREADS ||
	       (service->flags & CADRE_SERVICE_THREADS_IF_PARALLEL && worker->parallel > 1);
}

int cadre_run_init(struct cadre_worker *worker, const struct cadre_service *service)
{
	worker->host.ended = ended;
	worker->host.over = give_room_back;
	worker->host.blocked = account_blocked;
	worker->host.deserted = is_deserted;
	worker->host.wants_room = want_room;
	worker->host.wants_none = take_wish_back;
	worker->dispatcher = pthread_self();
	worker->host.rooms = cadre_run_wants_threads(worker, service) ? worker->parallel :
									1;
	worker->shares_stats = worker->parallel > 1 ||
			       cadre_run_wants_threads(worker, service);
	worker->serving = cadre_table_make(service);
	worker->tasks = calloc(worker->parallel, sizeof(*worker->tasks));
	if (!worker->serving || !worker->tasks)
		return -ENOMEM;
	/* One hold for being present, one of the dispatcher. */
	cadre_table_hold(worker->serving);
	atomic_init(&worker->table, worker->serving);
	pthread_mutex_init(&worker->stats_lock, NULL);
	sem_init(&worker->queued, 0, 0);
	cds_wfcq_init(&worker->queue_head, &worker->queue_tail);
	return cadre_run_wants_threads(worker, service) ? start_threads(worker) : 0;
}

void cadre_run_fini(struct cadre_worker *worker)
{
	atomic_store(&worker->threads_end, true);
	for (uint32_t i = 0; i < worker->thread_count; i++)
		sem_post(&worker->queued);
	for (uint32_t i = 0; i < worker->thread_count; i++)
		pthread_join(worker->threads[i], NULL);
	/* R5: acquire, pairs with R4: the workload is 0, but who ended the last job may still
	 * be about to ring. */
	while (atomic_load_explicit(&worker->givers, memory_order_acquire) > 0)
		sched_yield();
	cadre_watch_fini(&worker->host.watch);
	free(worker->threads);
	cadre_table_free(worker->serving);
	free(worker->tasks);
	sem_destroy(&worker->queued);
	pthread_mutex_destroy(&worker->stats_lock);
	cds_wfcq_destroy(&worker->queue_head, &worker->queue_tail);
}
