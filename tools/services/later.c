#include "later.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

struct entry {
	struct entry *next;
	struct cadre_job *job;
	uint64_t ms;
	struct timespec due;
};

struct demo_later {
	demo_later_fn *end;
	pthread_mutex_t lock;   /* guards all below */
	pthread_cond_t changed; /* an earlier entry, or the end; CLOCK_MONOTONIC */
	struct entry *first;    /* by time due */
	bool running;
	bool stopping;
	pthread_t thread;
};

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* With the lock held. */
static bool has_due(const struct demo_later *later)
{
	struct timespec now;

	if (!later->first)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return later->stopping || !is_before(&now, &later->first->due);
}

/* With the lock held, which it lets go while the job is ended. */
static void end_first(struct demo_later *later)
{
	struct entry *const entry = later->first;

	later->first = entry->next;
	pthread_mutex_unlock(&later->lock);
	later->end(entry->job, entry->ms);
	free(entry);
	pthread_mutex_lock(&later->lock);
}

static void *run(void *context)
{
	struct demo_later *const later = context;

	pthread_mutex_lock(&later->lock);
	while (!later->stopping || later->first) {
		if (has_due(later))
			end_first(later);
		else if (later->first)
			pthread_cond_timedwait(&later->changed, &later->lock,
					       &later->first->due);
		else
			pthread_cond_wait(&later->changed, &later->lock);
	}
	pthread_mutex_unlock(&later->lock);
	return NULL;
}

int demo_later_start(demo_later_fn *end, void **ret_later)
{
	struct demo_later *const later = calloc(1, sizeof(*later));
	pthread_condattr_t monotonic;

	if (!later)
		return -ENOMEM;
	later->end = end;
	pthread_mutex_init(&later->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&later->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*ret_later = later;
	return 0;
}

static void insert(struct demo_later *later, struct entry *entry)
{
	struct entry **place = &later->first;

	while (*place && !is_before(&entry->due, &(*place)->due))
		place = &(*place)->next;
	entry->next = *place;
	*place = entry;
}

static struct timespec due_in(uint64_t ms)
{
	struct timespec due;

	clock_gettime(CLOCK_MONOTONIC, &due);
	due.tv_sec += (time_t)(ms / 1000);
	due.tv_nsec += (long)(ms % 1000) * 1000000;
	if (due.tv_nsec >= 1000000000) {
		due.tv_sec++;
		due.tv_nsec -= 1000000000;
	}
	return due;
}

int demo_later_add(struct demo_later *later, struct cadre_job *job, uint64_t ms)
{
	struct entry *const entry = malloc(sizeof(*entry));
	int r = 0;

	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){ .job = job, .ms = ms, .due = due_in(ms) };

	pthread_mutex_lock(&later->lock);
	if (!later->running)
		r = pthread_create(&later->thread, NULL, run, later);
	if (r == 0) {
		later->running = true;
		insert(later, entry);
		pthread_cond_signal(&later->changed);
	}
	pthread_mutex_unlock(&later->lock);

	if (r != 0)
		free(entry);
	return -r;
}

void demo_later_stop(struct demo_later *later)
{
	bool running;

	pthread_mutex_lock(&later->lock);
	later->stopping = true;
	running = later->running;
	pthread_cond_signal(&later->changed);
	pthread_mutex_unlock(&later->lock);

	if (running)
		pthread_join(later->thread, NULL);
	pthread_cond_destroy(&later->changed);
	pthread_mutex_destroy(&later->lock);
	free(later);
}
