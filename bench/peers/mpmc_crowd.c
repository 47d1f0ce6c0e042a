#include "mpmc_crowd.h"
#include "mpmc_ring.h"
#include "peer.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#define LOOKS_BEFORE_YIELDING 1000u

struct crowd {
	struct ring requests;
	struct ring replies[RACERS_MAX];
	alignas(128) _Atomic bool end; /* the starter */
	uint32_t in_flight;            /* the starter, before anybody starts */
};

/* What the first bytes of a payload say. */
struct mark {
	uint32_t client, job;
};

/* Lets others run now and then while there is nothing to do. */
static void idle(unsigned *looks)
{
	if (++*looks % LOOKS_BEFORE_YIELDING == 0)
		sched_yield();
}

static void serve(struct crowd *crowd)
{
	unsigned char payload[PAYLOAD];
	unsigned looks = 0;
	struct mark mark;

	while (!atomic_load_explicit(&crowd->end, memory_order_relaxed)) {
		if (!ring_pop(&crowd->requests, payload)) {
			idle(&looks);
			continue;
		}
		memcpy(&mark, payload, sizeof(mark));
		/* There is room for all that a client has under way. */
		while (!ring_push(&crowd->replies[mark.client % RACERS_MAX], payload))
			idle(&looks);
	}
}

static int run_client(struct race *race, struct lane *lane, const void *with)
{
	struct crowd *const crowd = *(struct crowd *const *)with;
	struct mark mark = { .client = (uint32_t)(lane - race->lanes) };
	struct ring *const replies = &crowd->replies[mark.client];
	unsigned char payload[PAYLOAD] = "job";
	uint32_t under_way = 0;
	unsigned looks = 0;
	int64_t now_ns;

	race_await_start(race);
	while ((now_ns = bench_now_ns()) < race->end_ns) {
		for (; under_way < crowd->in_flight; under_way++, mark.job++) {
			memcpy(payload, &mark, sizeof(mark));
			if (!ring_push(&crowd->requests, payload))
				break;
		}
		if (!ring_pop(replies, payload)) {
			idle(&looks);
			continue;
		}
		do {
			under_way--;
			lane->jobs += now_ns >= race->start_ns;
		} while (ring_pop(replies, payload));
	}
	return 0;
}

static pid_t start_worker(struct crowd *crowd)
{
	const pid_t pid = bench_fork();

	if (pid != 0)
		return pid;
	serve(crowd);
	_exit(0);
}

static int run(struct crowd *crowd, unsigned clients, unsigned workers,
	       int64_t duration_ns, struct lane ret_lanes[RACERS_MAX])
{
	pid_t pids[SERVERS_MAX];
	unsigned started = 0;
	int r = 0;

	while (started < workers && r == 0) {
		pids[started] = start_worker(crowd);
		r = pids[started] < 0 ? -errno : 0;
		started += r == 0;
	}
	if (r == 0)
		r = race_run(clients, duration_ns, run_client, &crowd, ret_lanes);
	atomic_store(&crowd->end, true);
	while (started > 0) {
		const int ended = peer_await(pids[--started]);

		r = r < 0 ? r : ended;
	}
	return r;
}

int mpmc_crowd_run(unsigned clients, unsigned workers, uint32_t in_flight,
		   int64_t duration_ns, struct lane ret_lanes[RACERS_MAX])
{
	struct crowd *const crowd = peer_share(sizeof(*crowd));
	int r;

	if (!crowd)
		return -ENOMEM;
	ring_init(&crowd->requests);
	for (unsigned n = 0; n < RACERS_MAX; n++)
		ring_init(&crowd->replies[n]);
	crowd->in_flight = in_flight;
	r = run(crowd, clients, workers, duration_ns, ret_lanes);
	peer_unshare(crowd, sizeof(*crowd));
	return r;
}
