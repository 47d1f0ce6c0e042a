#include "instructions.h"
#include "echo.h"
#include "peer.h"
#include "seating.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 512
#define TRIPS 500u

static_assert(offsetof(struct cadre_reply_lines, payload) + ECHO_SHORT == CADRE_CACHE_LINE,
	      "a short payload ends where the line of its stamp does");

static struct {
	struct seating seating;
	struct cadre_worker *worker;
} scene;

/* What the process that plays both leaves for the one that asked. */
struct answer {
	const struct bench *bench;
	double values[2];
	bool is_complete;
};

static void trip(void *context)
{
	struct cadre_client *const client = scene.seating.client;
	unsigned char payload[PAYLOAD] = "job";
	const struct cadre_request request = { .operation = ECHO_OPERATION,
					       .data = payload,
					       .length = sizeof(payload) };
	struct cadre_ticket ticket;
	struct cadre_result result;
	bool done;

	(void)context;
	done = cadre_try_submit(client, &request, &ticket) == 0 &&
	       (cadre_run_next_door(scene.worker) || cadre_run_one(scene.worker, false)) &&
	       cadre_try_take(client, ticket, &result) == 0 &&
	       result.outcome == CADRE_OK && result.length == PAYLOAD;
	seating_expect(done, "a job was not done");
	if (!done)
		return;
	memcpy(payload, result.data, sizeof(payload));
	__asm__ volatile("" ::"r"(payload) : "memory"); /* the copy is wanted */
	cadre_release(client, &result);
}

static double trips(void *context)
{
	const int64_t start_ns = bench_now_ns();

	for (unsigned i = 0; i < TRIPS; i++)
		trip(context);
	return (double)(bench_now_ns() - start_ns) / TRIPS;
}

static void play_both(void *shared)
{
	struct answer *const answer = shared;
	const struct cadre_seat seat = { .pool = scene.seating.scene.pool,
					 .incarnation = 1,
					 .start_fd = -1 };

	seating_open(&scene.seating, 1, 1, SLOTS);
	seating_expect(cadre_worker_sit_down(&echo_service, &scene.seating.view, false,
					     &seat, &scene.worker, NULL) == 0,
		       "the worker cannot sit down");
	answer->values[0] = bench_median_batch(answer->bench, trips, NULL);
	answer->values[1] = bench_quantile_trip(answer->bench, trip, NULL, 0.999);
	answer->is_complete = true;
	cadre_worker_stand_up(scene.worker);
	cadre_layout_close(&scene.seating.view);
	cadre_segment_remove(scene.seating.scene.pool);
}

int instructions_round_trip(const struct bench *bench, const void *with,
			    double *ret_values)
{
	struct answer *const answer = peer_share(sizeof(*answer));
	pid_t peer;
	int r;

	(void)with;
	if (!answer)
		return -ENOMEM;
	answer->bench = bench;
	/* A process of its own: a worker heeds signals, and this thread is to be the only one. */
	peer = peer_start(bench, play_both, answer);
	r = peer < 0 ? peer : peer_await(peer);
	if (r == 0 && !answer->is_complete)
		r = -ECANCELED;
	memcpy(ret_values, answer->values, sizeof(answer->values));
	peer_unshare(answer, sizeof(*answer));
	return r;
}
