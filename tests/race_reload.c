/*
 * race_reload.c - the service of workers is replaced under running handlers, under
 * ThreadSanitizer: SPEC section 11, DESIGN's use of RCU.
 *
 *   worker 0  runs its handlers on threads      two threads that call, two that replace the
 *   worker 1  defers jobs, which an ender ends  services of both workers, over and over
 *
 * Each handler stays inside, and the ender keeps each job, until a later service of the same
 * worker has come and gone: only its own hold can have kept its service.
 *
 * Each service is a piece of memory of its own that is overwritten when the worker gives it
 * back: whoever still works with it sees that, and so does the sanitizer. Each that was
 * replaced is given back once, its fini before that.
 * Exit status 0, or 1 with a sentence.
 */
#include "clock.h"
#include "seating.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS 2u
#define PARALLEL 2u
#define CALLERS 2u
#define CALLS 4000u /* of each caller */
#define REPLACERS 2u
#define REPLACEMENTS 300u /* by each replacer, of each worker, at least */
#define REPLACEMENTS_MAX (20 * REPLACEMENTS)

#define MAGIC UINT64_C(0xfeedc0de)

static struct seating seating;
static struct cadre_worker *_Atomic workers[WORKERS];
static atomic_uint made, ended, freed, ok;
static atomic_uint replacers; /* that are not done */
static atomic_bool over;

static void expect(bool condition, const char *sentence)
{
	seating_expect(condition, sentence);
}

/* ---- a service that can be made and freed ---- */

enum { AT_ONCE = 1, LATER = 2 };

struct version {
	uint64_t magic; /* of living ones */
	unsigned number;
	unsigned worker;
	bool ended;
	struct cadre_operation operations[2];
	struct cadre_service service;
};

static struct version *_Atomic all[WORKERS + REPLACERS * REPLACEMENTS_MAX * WORKERS];

static void reply(struct cadre_job *job, const struct version *version)
{
	expect(version->magic == MAGIC && !version->ended,
	       "a handler ran in a service that was given back");
	cadre_job_reply(job, &version->magic, sizeof(version->magic));
}

static void reveal_worker(const struct cadre_job *job)
{
	struct cadre_worker *const worker = (struct cadre_worker *)(void *)job->host;

	atomic_store(&workers[worker->host.worker], worker);
}

static atomic_uint latest_freed[WORKERS]; /* number of a service of that worker */
/* Jobs for which a later service went first. */
static atomic_uint held_threads, held_dispatcher, held_deferred;

/* The number apart: the service must not be looked at before. */
static void outlive_successor(unsigned worker, unsigned number, atomic_uint *held)
{
	/* The replacers wait for both workers, so who holds on before would wait for ever. */
	if (!atomic_load(&workers[0]) || !atomic_load(&workers[1]))
		return;
	while (atomic_load(&latest_freed[worker]) <= number && atomic_load(&replacers) > 0)
		sched_yield();
	if (atomic_load(&latest_freed[worker]) > number)
		atomic_fetch_add(held, 1);
}

static void do_at_once(struct cadre_job *job, void *state)
{
	static atomic_uint turns;
	const struct version *const version = state;

	reveal_worker(job);
	if (version->worker == 0)
		outlive_successor(0, version->number, &held_threads);
	else if (turns++ % 2 == 0) /* The dispatcher has jobs to defer, too. */
		outlive_successor(1, version->number, &held_dispatcher);
	reply(job, version);
	/* Still inside, although the job has ended. */
	sched_yield();
	expect(version->magic == MAGIC, "a handler was pulled away");
}

static struct {
	struct cadre_job *job;
	struct version *version;
	unsigned number;
} deferred[2 * PARALLEL];
static unsigned deferred_count;
static pthread_mutex_t deferred_lock = PTHREAD_MUTEX_INITIALIZER;

static void do_later(struct cadre_job *job, void *state)
{
	reveal_worker(job);
	cadre_job_defer(job);
	pthread_mutex_lock(&deferred_lock);
	deferred[deferred_count].job = job;
	deferred[deferred_count].number = ((struct version *)state)->number;
	deferred[deferred_count++].version = state;
	pthread_mutex_unlock(&deferred_lock);
}

static void *run_ender(void *unused)
{
	while (!atomic_load(&over)) {
		struct cadre_job *job = NULL;
		struct version *version = NULL;
		unsigned number = 0;

		pthread_mutex_lock(&deferred_lock);
		if (deferred_count > 0) {
			job = deferred[--deferred_count].job;
			version = deferred[deferred_count].version;
			number = deferred[deferred_count].number;
		}
		pthread_mutex_unlock(&deferred_lock);
		if (!job) {
			sched_yield();
			continue;
		}
		outlive_successor(1, number, &held_deferred);
		reply(job, version);
	}
	return unused;
}

static int end(void *state)
{
	struct version *const version = state;

	expect(version->magic == MAGIC && !version->ended, "a service was ended twice");
	version->ended = true;
	atomic_fetch_add(&ended, 1);
	return 0;
}

/* init learns which version it is of by what its replacer left here. */
static _Thread_local struct version *made_last;
static struct version *firsts[WORKERS];

static int begin(const struct cadre_start *start, void **ret_state,
		 struct cadre_diag *diag)
{
	(void)diag;
	/* A worker's own thread has made none. */
	*ret_state = made_last ? made_last : firsts[start->worker];
	return 0;
}

static struct version *make_version(unsigned worker)
{
	struct version *const version = calloc(1, sizeof(*version));

	expect(version, "no memory");
	version->magic = MAGIC;
	version->worker = worker;
	version->operations[0] = (struct cadre_operation){ AT_ONCE, "at-once",
							   do_at_once };
	version->operations[1] = (struct cadre_operation){ LATER, "later", do_later };
	if (worker == 0)
		version->operations[1].handler = do_at_once;
	version->service = (struct cadre_service){
		.size = sizeof(version->service),
		.name = "version",
		.operations = version->operations,
		.operation_count = 2,
		.init = begin,
		.fini = end,
		.flags = worker == 0 ? CADRE_SERVICE_THREADS : 0,
	};
	version->number = atomic_fetch_add(&made, 1);
	atomic_store(&all[version->number], version);
	return version;
}

/* What a dlclose would do; but its memory is nobody else's, so that it shows for ever. */
static void bury_version(const struct cadre_service *service, void *context)
{
	struct version *const version =
		(struct version *)(void *)((char *)(uintptr_t)service -
					   offsetof(struct version, service));
	const unsigned number = version->number, worker = version->worker;

	(void)context;
	expect(version->ended, "a service was given back before its end");
	memset(version, 0xdd, sizeof(*version));
	/* One thread gives them all back. */
	if (number > atomic_load(&latest_freed[worker]))
		atomic_store(&latest_freed[worker], number);
	atomic_fetch_add(&freed, 1);
}

/* A corner that was not reached proves nothing. */
static bool has_each_corner(void)
{
	return held_threads > 0 && held_dispatcher > 0 && held_deferred > 0;
}

static bool goes_on(unsigned turn)
{
	return turn < REPLACEMENTS * WORKERS ||
	       (turn < REPLACEMENTS_MAX * WORKERS && !has_each_corner());
}

static void *run_replacer(void *unused)
{
	for (unsigned turn = 0; goes_on(turn); turn++) {
		const unsigned worker = turn % WORKERS;
		struct cadre_diag diag;

		while (!atomic_load(&workers[worker]))
			sched_yield();
		made_last = make_version(worker);
		expect(cadre_worker_reload(atomic_load(&workers[worker]),
					   &made_last->service, bury_version, NULL,
					   &diag) == 0,
		       "a service was not replaced");
		/* So that the workers see some of them. */
		nanosleep(&(const struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	atomic_fetch_sub(&replacers, 1);
	return unused;
}

/* ---- clients ---- */

static void *run_caller(void *number)
{
	for (unsigned call = 0; call < CALLS || atomic_load(&replacers) > 0; call++) {
		const struct cadre_request request = {
			.operation = call % 3 == 0 ? LATER : AT_ONCE,
		};
		struct cadre_result result;

		expect(cadre_call(seating.client, &request, &result) == 0,
		       "a call was refused");
		expect(result.outcome == CADRE_OK, "a call failed");
		cadre_release(seating.client, &result);
		atomic_fetch_add(&ok, 1);
	}
	return number;
}

static void serve(unsigned worker)
{
	firsts[worker] = make_version(worker);
	seating_serve(&seating, &firsts[worker]->service);
}

int main(void)
{
	pthread_t threads[CALLERS + REPLACERS], ender;

	seating_open(&seating, WORKERS, PARALLEL, 16);
	serve(0);
	serve(1);
	atomic_store(&replacers, REPLACERS);
	ender = seating_start(run_ender, NULL);
	for (unsigned i = 0; i < CALLERS; i++)
		threads[i] = seating_start(run_caller, NULL);
	for (unsigned i = 0; i < REPLACERS; i++)
		threads[CALLERS + i] = seating_start(run_replacer, NULL);
	for (unsigned i = 0; i < CALLERS + REPLACERS; i++)
		pthread_join(threads[i], NULL);
	seating_dismiss(&seating);
	atomic_store(&over, true);
	pthread_join(ender, NULL);

	/* All but the two that were present at the end. */
	expect(made >= WORKERS + REPLACERS * REPLACEMENTS * WORKERS, "too few were made");
	expect(freed == made - WORKERS, "a service was not given back");
	expect(has_each_corner(), "nothing outlived the service that replaced its own");
	for (unsigned i = 0; i < made; i++)
		free(atomic_load(&all[i]));
	printf("%u calls, %u services, %u given back while they ran; kept by %u handlers on "
	       "threads, %u of a dispatcher, %u deferred jobs\n",
	       ok, made, freed, held_threads, held_dispatcher, held_deferred);
	seating_close(&seating);
	return 0;
}
