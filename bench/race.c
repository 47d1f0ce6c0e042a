#include "race.h"
#include "peers/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define READY_WITHIN_NS (10000 * MS)
#define NAP_NS (MS / 5)
/* From everybody being ready to the first job that counts: those in between warm up. */
#define WARM_UP_NS (30 * MS)

static void nap(int64_t ns)
{
	const struct timespec time = { .tv_sec = ns / (1000 * MS),
				       .tv_nsec = ns % (1000 * MS) };

	nanosleep(&time, NULL);
}

void race_await_start(struct race *race)
{
	atomic_fetch_add(&race->ready, 1);
	while (atomic_load(&race->start_ns) == 0)
		nap(NAP_NS);
}

static pid_t start_racer(struct race *race, unsigned number, racer_fn *racer,
			 const void *with)
{
	const pid_t pid = bench_fork();

	if (pid != 0)
		return pid;
	race->lanes[number].error = racer(race, &race->lanes[number], with);
	_exit(race->lanes[number].error ? 1 : 0);
}

/* 0; -ETIMEDOUT when one is not ready in time; or the error of one that has ended before. */
static int await_ready(struct race *race, unsigned racers)
{
	const int64_t until_ns = bench_now_ns() + READY_WITHIN_NS;

	while (atomic_load(&race->ready) < racers) {
		for (unsigned n = 0; n < racers; n++) {
			if (race->lanes[n].error)
				return race->lanes[n].error;
		}
		if (bench_now_ns() > until_ns)
			return -ETIMEDOUT;
		nap(NAP_NS);
	}
	return 0;
}

static void begin(struct race *race, int64_t duration_ns)
{
	const int64_t start_ns = bench_now_ns() + WARM_UP_NS;

	race->end_ns = start_ns + duration_ns;
	atomic_store(&race->start_ns, start_ns);
}

static int end(struct race *race, const pid_t pids[], unsigned racers)
{
	int r = 0;

	for (unsigned n = 0; n < racers; n++) {
		const int ended = peer_await(pids[n]);

		if (r == 0 && ended < 0)
			r = race->lanes[n].error ? race->lanes[n].error : ended;
	}
	return r;
}

static int run(struct race *race, unsigned racers, int64_t duration_ns, racer_fn *racer,
	       const void *with)
{
	pid_t pids[RACERS_MAX];
	unsigned started = 0;
	int r = 0;

	while (started < racers && r == 0) {
		pids[started] = start_racer(race, started, racer, with);
		if (pids[started] < 0)
			r = -errno;
		else
			started++;
	}
	if (r == 0)
		r = await_ready(race, racers);
	if (r == 0) {
		begin(race, duration_ns);
		return end(race, pids, racers);
	}
	for (unsigned n = 0; n < started; n++)
		peer_end(pids[n]);
	return r;
}

int race_run(unsigned racers, int64_t duration_ns, racer_fn *racer, const void *with,
	     struct lane ret_lanes[RACERS_MAX])
{
	struct race *const race = peer_share(sizeof(*race));
	int r;

	if (!race)
		return -ENOMEM;
	r = run(race, racers, duration_ns, racer, with);
	if (r < 0)
		fprintf(stderr, "cadre-bench: %u processes did not run together: %s\n",
			racers, strerror(-r));
	else
		memcpy(ret_lanes, race->lanes, sizeof(race->lanes));
	peer_unshare(race, sizeof(*race));
	return r;
}
