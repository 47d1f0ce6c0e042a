/*
 * watch.h - a thread of the worker's own that tells handlers of cancellations.
 *
 * The handler may be in the midst of a long computation on the worker's only thread, so
 * somebody else has to look. The watcher is started by the first job that wants to be told;
 * it sleeps on the notices of the worker's bell and looks at the jobs in its list, and only
 * at those. A job leaves the list before it is ended (W5), so none in it can be another's.
 */
#ifndef CADRE_WATCH_H
#define CADRE_WATCH_H

#include <pthread.h>

#include <cadre/service.h>

#include "bell.h"

enum cadre_watch_state {
	CADRE_UNWATCHED = 0,
	CADRE_WATCHED, /* in the list */
	CADRE_CALLING, /* somebody calls it back just now */
	CADRE_CALLED_BACK,
};

/* A job's part; `state` is read without the lock to see whether there is anything to do. */
struct cadre_watched {
	_Atomic uint32_t state;
	struct cadre_job *next;
	struct cadre_job **previous;
	cadre_cancel_fn *cancelled;
	void *context;
	pthread_t caller; /* CALLING: who */
};

/* One per worker, and per local worker. */
struct cadre_watch {
	struct cadre_bell *bell;
	pthread_mutex_t lock;
	pthread_cond_t called; /* a call came back */
	struct cadre_job *first;
	pthread_t thread;
	bool runs;
	_Atomic bool ends;
};

void cadre_watch_init(struct cadre_watch *watch, struct cadre_bell *bell);

/* Stops the thread. Every job has been ended. */
void cadre_watch_fini(struct cadre_watch *watch);

/* Takes the job out of the list, if it is there, and waits for a call that is under way in
 * another thread. */
void cadre_watch_drop(struct cadre_job *job);

#endif
