#include "watch.h"
#include "clock.h"
#include "job.h"

#include <signal.h>

/* A decision whose maker died before it told of it is found this much later; so is one that
 * time makes. */
#define LOOK_AGAIN_NS (200 * CADRE_NS_PER_MS)
#define LOOK_IDLE_NS CADRE_NS_PER_S

static void set_state(struct cadre_job *job, enum cadre_watch_state state)
{
	/* Relaxed: changed under the lock; who looks without it is the job's own thread. */
	atomic_store_explicit(&job->watched.state, state, memory_order_relaxed);
}

static uint32_t state_of(const struct cadre_job *job)
{
	return atomic_load_explicit(&job->watched.state, memory_order_relaxed);
}

static void enlist(struct cadre_watch *watch, struct cadre_job *job)
{
	job->watched.next = watch->first;
	job->watched.previous = &watch->first;
	if (watch->first)
		watch->first->watched.previous = &job->watched.next;
	watch->first = job;
	cadre_job_share(job);
	set_state(job, CADRE_WATCHED);
}

static void strike(struct cadre_job *job)
{
	*job->watched.previous = job->watched.next;
	if (job->watched.next)
		job->watched.next->watched.previous = job->watched.previous;
}

/* With the lock held; lets it go meanwhile. The callback may end the job, and with it the
 * struct: whether it did so is what `caller` was told, not what stands in the job. */
static void call_back(struct cadre_watch *watch, struct cadre_job *job)
{
	cadre_cancel_fn *const cancelled = job->watched.cancelled;
	void *const context = job->watched.context;

	strike(job);
	job->watched.caller = pthread_self();
	set_state(job, CADRE_CALLING);
	/* The struct stays until we are out: who ends the job waits, and a callback that ends
	 * it itself is one party among two. */
	cadre_job_hold(job);
	pthread_mutex_unlock(&watch->lock);
	cancelled(job, context);
	pthread_mutex_lock(&watch->lock);
	set_state(job, CADRE_CALLED_BACK);
	pthread_cond_broadcast(&watch->called);
	pthread_mutex_unlock(&watch->lock);
	cadre_job_let_go(job);
	pthread_mutex_lock(&watch->lock);
}

/* The first that was cancelled, by time or by anybody; else when to look again. */
static struct cadre_job *find_cancelled(const struct cadre_watch *watch, int64_t now_ns,
					int64_t *due_ns)
{
	for (struct cadre_job *job = watch->first; job; job = job->watched.next) {
		const int64_t job_due_ns = cadre_job_look_at_time(job, now_ns);

		if (cadre_job_cancelled(job))
			return job;
		if (job_due_ns < *due_ns)
			*due_ns = job_due_ns;
	}
	return NULL;
}

static void *watch_jobs(void *argument)
{
	struct cadre_watch *const watch = argument;

	while (!atomic_load(&watch->ends)) {
		/* Remembered before the look, as with L1. */
		const uint32_t notices = cadre_bell_remember_notices(watch->bell);
		const int64_t now_ns = cadre_clock_ns();
		int64_t due_ns = now_ns + LOOK_IDLE_NS;
		struct cadre_job *job;

		pthread_mutex_lock(&watch->lock);
		while ((job = find_cancelled(watch, now_ns, &due_ns)) != NULL)
			call_back(watch, job);
		if (watch->first && due_ns > now_ns + LOOK_AGAIN_NS)
			due_ns = now_ns + LOOK_AGAIN_NS;
		pthread_mutex_unlock(&watch->lock);
		if (due_ns > now_ns)
			cadre_bell_sleep_for_notices(watch->bell, notices,
						     due_ns - now_ns);
	}
	return NULL;
}

/* With the lock held. The thread gets no signals of the program's. */
static int start_thread(struct cadre_watch *watch)
{
	sigset_t all, before;
	int r;

	if (watch->runs)
		return 0;
	cadre_bell_listen(watch->bell, true); /* N2 */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&watch->thread, NULL, watch_jobs, watch);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	watch->runs = r == 0;
	if (r < 0)
		cadre_bell_listen(watch->bell, false);
	return r;
}

int cadre_job_on_cancel(struct cadre_job *job, cadre_cancel_fn *cancelled, void *context)
{
	struct cadre_watch *const watch = &job->host->watch;
	bool is_news;
	int r;

	if (!cancelled)
		return -EINVAL;
	if (state_of(job) != CADRE_UNWATCHED || cadre_job_has_reply(job))
		return -EALREADY;
	pthread_mutex_lock(&watch->lock);
	r = start_thread(watch);
	if (r == 0) {
		is_news = !watch->first || job->token || job->deadline_ns;
		job->watched.cancelled = cancelled;
		job->watched.context = context;
		enlist(watch, job);
		atomic_thread_fence(memory_order_seq_cst); /* N2, pairs with N1 */
		if (cadre_job_cancelled(job))
			call_back(watch, job);
		else if (is_news) /* It may nap for longer than it may from now on. */
			cadre_bell_notify(watch->bell);
	}
	pthread_mutex_unlock(&watch->lock);
	return r;
}

void cadre_watch_drop(struct cadre_job *job)
{
	struct cadre_watch *const watch = &job->host->watch;

	if (state_of(job) == CADRE_UNWATCHED)
		return;
	pthread_mutex_lock(&watch->lock);
	if (state_of(job) == CADRE_WATCHED) {
		strike(job);
		set_state(job, CADRE_CALLED_BACK);
	}
	while (state_of(job) == CADRE_CALLING &&
	       !pthread_equal(job->watched.caller, pthread_self()))
		pthread_cond_wait(&watch->called, &watch->lock);
	pthread_mutex_unlock(&watch->lock);
}

void cadre_watch_init(struct cadre_watch *watch, struct cadre_bell *bell)
{
	*watch = (struct cadre_watch){ .bell = bell };
	pthread_mutex_init(&watch->lock, NULL);
	pthread_cond_init(&watch->called, NULL);
}

void cadre_watch_fini(struct cadre_watch *watch)
{
	if (watch->runs) {
		atomic_store(&watch->ends, true);
		cadre_bell_notify(watch->bell);
		pthread_join(watch->thread, NULL);
		cadre_bell_listen(watch->bell, false);
	}
	pthread_cond_destroy(&watch->called);
	pthread_mutex_destroy(&watch->lock);
}
