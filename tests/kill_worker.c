/*
 * kill_worker.c - claims about workers that die, or are stopped, at each line where it may
 * matter, while two clients and another worker go on.
 *
 * The wish is borne by whoever sits in place 1. That it came true is read off the counters
 * of the place: nobody but the kill point sends a SIGKILL here.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "ledger.h"
#include "stories.h"

#define VICTIM 1u

static struct killing_wish *wish;
static atomic_bool *enough;
static atomic_uint *progress; /* outcomes that the other client took */

static bool is_victim;

static bool is_about_start(void)
{
	return wish->killing.label[0] == 'P';
}

static int begin_worker(const struct cadre_start *start, void **ret_state,
			struct cadre_diag *diag)
{
	(void)ret_state;
	(void)diag;
	is_victim = start->worker == VICTIM;
	if (is_victim && is_about_start())
		killing_bear(wish);
	return 0;
}

/* Not from its start on: a worker that dies before the others have started would make the
 * start of the pool fail. */
static void before_work(void)
{
	if (is_victim && !is_about_start())
		killing_bear(wish);
	is_victim = false;
}

/* Works until the story has seen enough. */
static void be_other_client(void *context)
{
	struct cadre_diag diag = { "" };
	struct cadre_client *client;
	struct ledger_party party;

	(void)context;
	if (cadre_client_attach(stage_pool, NULL, &client, &diag) < 0) {
		ledger_complain("%s", diag.text);
		return;
	}
	party = ledger_party(client, false);
	while (!atomic_load(enough) && !ledger_complaint()) {
		ledger_party_work(&party, 4);
		atomic_store(progress, party.taken);
	}
	ledger_party_finish(&party);
	cadre_client_detach(client);
}

static bool wish_came_true(const struct cadre_view *view)
{
	const struct cadre_place_stats *const stats = &view->worker_stats[VICTIM];

	if (wish->killing.signal_number == SIGSTOP)
		return atomic_load(&wish->victim) &&
		       child_is_stopped(atomic_load(&wish->victim));
	return cadre_count_read(&stats->place.deaths) >= wish->killing.victims &&
	       atomic_load(&stats->last_signal) == SIGKILL;
}

/* Jobs of all kinds until somebody died of them. */
static void work_until_it_comes_true(struct ledger_party *party,
				     const struct cadre_view *view)
{
	const int64_t late_ns = cadre_clock_in_ns(20 * CADRE_NS_PER_S);

	while (!wish_came_true(view) && !ledger_complaint()) {
		ledger_party_work(party, 4);
		stage_check(view);
		if (cadre_clock_ns() > late_ns)
			ledger_complain("nobody passed %s for the %u. time",
					wish->killing.label, wish->killing.pass);
	}
	stage_check(view);
}

/* While one worker stands still, both clients get on, and it holds no more than one job. */
static void go_on_beside_a_stopped_worker(struct ledger_party *party)
{
	const unsigned before = atomic_load(progress);
	const int64_t late_ns = cadre_clock_in_ns(20 * CADRE_NS_PER_S);

	ledger_party_work(party, 12);
	while (atomic_load(progress) < before + 12 && !ledger_complaint()) {
		child_pause_ms(1);
		if (cadre_clock_ns() > late_ns)
			ledger_complain("the other client waits for a stopped worker");
	}
	kill(atomic_load(&wish->victim), SIGCONT);
}

static bool has_min_workers(const void *context)
{
	const struct cadre_view *const view = context;
	unsigned up = 0;

	for (unsigned worker = 0; worker < view->limits.workers; worker++)
		up += cadre_place_state_of(cadre_place_look(
			      &view->worker_places[worker])) == CADRE_PLACE_UP;
	return up >= view->limits.workers_min;
}

static void play(const void *context)
{
	const struct killing *const killing = context;
	const struct cadre_service service = ledger_service(begin_worker, before_work);
	struct cadre_pool_options options;
	struct cadre_diag diag = { "" };
	struct ledger_party party;
	struct cadre_pool *pool;
	struct cadre_view view;
	pid_t other;

	wish = killing_wish(killing);
	enough = child_share(sizeof(*enough));
	progress = child_share(sizeof(*progress));
	/* Who dies at its start does so when the pool grows. */
	options = ledger_pool(stage_pool, is_about_start() ? 1 : 2, 2);
	if (cadre_pool_start(&service, &options, &pool, &diag) < 0) {
		ledger_complain("%s", diag.text);
		return;
	}
	view = stage_view();
	party = ledger_party(cadre_pool_client(pool), false);
	other = stage_fork(be_other_client, NULL);

	work_until_it_comes_true(&party, &view);
	if (killing->signal_number == SIGSTOP)
		go_on_beside_a_stopped_worker(&party);
	ledger_party_work(&party, 12);
	ledger_party_finish(&party);
	atomic_store(enough, true);
	if (stage_await_end(other) != CHILD_FINE)
		ledger_complain("the other client did not come to its end");

	stage_await(has_min_workers, &view, "the dead worker has no successor");
	ledger_party_call(&party);
	stage_await_rest(&view, &party);
	ledger_audit(killing->signal_number == SIGKILL);
	if (killing->signal_number == SIGSTOP &&
	    cadre_count_read(&view.header->counters.workers_died))
		ledger_complain("a worker died that was only stopped");
	cadre_layout_close(&view);
	cadre_pool_close(pool);
}

/* ---- the points ---- */

#define POINTS(X) \
	X(P1)     \
	X(P2)     \
	X(K1)     \
	X(K2)     \
	X(W2)     \
	X(W3)     \
	X(W4)     \
	X(W5)     \
	X(W6)     \
	X(W7)     \
	X(B2)     \
	X(L2)     \
	X(N1)     \
	X(O3)     \
	X(O6)

#define NAME(label) #label,

static const char *const told[] = { POINTS(NAME) };

/* A worker starts once in its life: instead of its passes count its incarnations. One that
 * is stopped has no successor. */
static void tell_all(const char *label)
{
	static const unsigned passes[] = { 1, 2, 5 };
	const bool at_start = label[0] == 'P';

	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
		struct killing killing = {
			.label = label,
			.pass = at_start ? 1 : passes[i],
			.victims = at_start ? 1 + (unsigned)i : 1,
			.signal_number = SIGKILL,
		};

		tell(play, &killing);
		killing.signal_number = SIGSTOP;
		if (killing.victims == 1)
			tell(play, &killing);
	}
}

#define STORY(label)                                        \
	Test(kill_worker, nobody_else_suffers_from_##label) \
	{                                                   \
		tell_all(#label);                           \
	}

POINTS(STORY)

Test(kill_worker, every_point_that_a_worker_passes_has_its_story)
{
	EXPECT_STORIES(told, KILLING_WORKER);
}
