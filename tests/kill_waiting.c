/*
 * kill_waiting.c - claims about jobs to which no hint leads and for which nobody was woken:
 * beside a worker that sleeps they wait for a bounded time, whatever was lost on the way.
 *
 * A client is stopped between S3 and S4: its job is accepted, and neither the tail nor the
 * active bit nor a wake says so. From there each state is built by hand in which one hint is
 * wrong and the others are right. How long a job waited stands in its slot.
 *
 * The bound: a worker sleeps for 1 s at most, then looks through everything; and once in
 * 1 s the supervisor looks for old jobs beside sleepers.
 */
#include "claims.h"

#include "clock.h"
#include "killpoint.h"
#include "layout.h"
#include "stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BOUND_NS CADRE_NS_PER_S
#define SCHEDULING_NS (2 * CADRE_NS_PER_S) /* on a machine that has other things to do */
#define WORKERS 2u

TestSuite(waiting, TROUPE);

static struct cadre_view view;

/* ---- the client ---- */

/* Its first job goes all the way, so that the window is as in ordinary life. */
static int submit_and_stop(void *context)
{
	const struct cadre_request request = ASK(TROUPE_LOG, 7, .flags = CADRE_DETACHED);
	struct cadre_client *client;

	(void)context;
	CHILD_CHECK(cadre_client_attach(troupe.scene.pool, NULL, &client, NULL) == 0);
	cadre_kill_at("S3", 1, SIGSTOP);
	CHILD_CHECK(cadre_submit(client, &request, GENEROUS, NULL) == 0);
	cadre_kill_at("", 0, SIGSTOP);
	cadre_client_detach(client);
	return CHILD_FINE;
}

/* The slot of its job; the number of slots when there is none. */
static uint32_t find_slot(void)
{
	uint32_t slot = 0;

	while (slot < view.slot_count &&
	       cadre_word_phase(cadre_slot_peek(&view.slots[slot])) == CADRE_FREE)
		slot++;
	return slot;
}

/* ---- what may be wrong ---- */

struct loss {
	const char *what;
	bool tail_back;      /* the tail does not count it */
	bool cursor_beyond;  /* workers were told to look behind it */
	bool active_cleared; /* nobody looks into the window */
	bool wake_eaten;     /* one was woken, and it is stopped */
};

static const struct loss losses[] = {
	{ .what = "nothing but the wake" },
	{ "all of it: the client stopped after S3", .tail_back = true,
	  .active_cleared = true },
	{ "the active bit", .active_cleared = true },
	{ "the tail moved back", .tail_back = true },
	{ "the cursor beyond the job", .cursor_beyond = true },
	{ "the wake, eaten by a worker that is stopped", .wake_eaten = true },
};

static void lose(const struct loss *loss, uint32_t slot)
{
	const unsigned window = cadre_view_window_of(&view, slot);
	struct cadre_hints *const hints = &view.client_lines[window].hints;

	if (!loss->tail_back)
		cadre_window_publish(hints, slot % view.limits.slots + 1);
	if (loss->cursor_beyond)
		atomic_store(&hints->cursor, slot % view.limits.slots + 1);
	if (loss->active_cleared)
		cadre_mask_clear(&view.header->active, window);
	else
		cadre_mask_set(&view.header->active, window);
	if (loss->wake_eaten)
		cadre_bell_ring(&view.worker_bells[0], CADRE_BELL_EVERYONE, INT32_MAX);
}

/* ---- the wait ---- */

static void await_all_asleep(void)
{
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		cr_assert(eventually(cadre_mask_has(&view.header->crew.sleepers, worker)));
		child_await_asleep(troupe_worker(troupe.scene.pool, worker));
	}
}

/* Returns how long the job was pending. */
static int64_t measure(const struct loss *loss)
{
	const struct cadre_slot *slot;
	int64_t waited_ns;
	uint32_t number;
	pid_t client;

	await_all_asleep();
	if (loss->wake_eaten)
		child_stop(troupe_worker(troupe.scene.pool, 0));
	client = child_start(submit_and_stop, NULL);
	cr_assert(eventually(child_is_stopped(client)));
	number = find_slot();
	cr_assert_lt(number, view.slot_count, "%s: it was never published", loss->what);
	lose(loss, number);

	slot = &view.slots[number];
	cr_assert(eventually(cadre_word_phase(cadre_slot_look(slot)) == CADRE_DONE), "%s",
		  loss->what);
	waited_ns = slot->reply.taken_ns - slot->request.submitted_ns;
	kill(client, SIGCONT);
	kill(troupe_worker(troupe.scene.pool, 0), SIGCONT);
	cr_assert_eq(child_end(client), CHILD_FINE);
	cr_assert(eventually(find_slot() == view.slot_count));
	return waited_ns;
}

static uint64_t found(void)
{
	return cadre_count_read(&view.header->counters.jobs_found);
}

Test(waiting, no_job_waits_beside_a_sleeper_for_longer_than_the_bound_whatever_was_lost)
{
	int64_t longest_ns = 0;

	START(.workers_min = WORKERS, .workers_max = WORKERS, .spin_ns = -1,
	      .window_slots = 8);
	/* Nobody but the clients of this test submits, and nothing is in flight. */
	cr_assert_eq(cadre_layout_open(troupe.scene.pool, true, &view, NULL), 0);
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < CADRE_COUNT_OF(losses); i++) {
			const int64_t waited_ns = measure(&losses[i]);

			cr_assert_leq(waited_ns, BOUND_NS + SCHEDULING_NS,
				      "%s was lost, and the job waited for %lld ms",
				      losses[i].what,
				      (long long)(waited_ns / CADRE_NS_PER_MS));
			if (waited_ns > longest_ns)
				longest_ns = waited_ns;
		}
	}
	fprintf(stderr, "lost hints: 12 jobs waited for %lld ms at most\n",
		(long long)(longest_ns / CADRE_NS_PER_MS));
	cadre_layout_close(&view);
}

static bool is_any_pending(void)
{
	for (uint32_t slot = 0; slot < view.slot_count; slot++) {
		if (cadre_word_phase(cadre_slot_peek(&view.slots[slot])) == CADRE_QUEUED)
			return true;
	}
	return false;
}

/* Beside a job in flight the tick comes every 100 ms, long before a sleeper wakes by itself.
 * A job that is just submitted when it comes is woken for, but was not overlooked: so that
 * it is older is a matter of the tick's moment, which nobody here chooses. */
Test(waiting, what_the_tick_finds_beside_a_sleeper_is_counted)
{
	struct cadre_ticket holding;
	unsigned tries = 0;

	START(.workers_min = WORKERS, .workers_max = WORKERS, .spin_ns = -1,
	      .window_slots = 8);
	cr_assert_eq(cadre_layout_open(troupe.scene.pool, true, &view, NULL), 0);
	holding = occupy_worker();
	while (found() == 0 && tries++ < 30) {
		const pid_t client = child_start(submit_and_stop, NULL);

		cr_assert(eventually(child_is_stopped(client)));
		cr_assert(eventually(!is_any_pending()));
		kill(client, SIGCONT);
		cr_assert_eq(child_end(client), CHILD_FINE);
	}
	cr_assert_gt(found(), 0, "the tick found none of %u jobs", tries);
	open_gate(1);
	expect(holding, CADRE_OK);
	cadre_layout_close(&view);
}
