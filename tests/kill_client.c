/*
 * kill_client.c - claims about clients that die, or are stopped, at each line where it may
 * matter, while another client and the workers go on.
 *
 * Each victim is a child of the story, which therefore sees how it ended. What it had
 * submitted is cancelled, but for detached jobs: these are run although nobody asked for
 * them any more.
 */
#include <signal.h>
#include <string.h>

#include "child.h"
#include "ledger.h"
#include "stories.h"

static struct killing_wish *wish;
static atomic_bool *enough;

/* The point that is passed only when every worker is engaged and more are to be had. */
static bool is_about_growth(void)
{
	return strcmp(wish->killing.label, "S5") == 0;
}

static bool is_stop(void)
{
	return wish->killing.signal_number == SIGSTOP;
}

/* ---- clients ---- */

/* Windows of the dead come back with the next tick: that is not at once, but soon. */
static struct cadre_client *attach(void)
{
	const int64_t late_ns = cadre_clock_in_ns(5 * CADRE_NS_PER_S);
	struct cadre_client *client = NULL;
	struct cadre_diag diag = { "" };
	int r;

	while ((r = cadre_client_attach(stage_pool, NULL, &client, &diag)) == -EUSERS &&
	       cadre_clock_ns() < late_ns)
		child_pause_ms(1);
	if (r < 0)
		ledger_complain("%s", diag.text);
	return client;
}

static void be_victim(void *context)
{
	struct cadre_client *const client = attach();
	struct ledger_party party = ledger_party(client, !is_stop());

	(void)context;
	if (!client)
		return;
	killing_bear(wish);
	while (!atomic_load(enough) && !ledger_complaint())
		ledger_party_work(&party, 4);
	ledger_party_finish(&party);
	cadre_client_detach(client);
}

static void be_late_comer(void *context)
{
	struct cadre_client *const client = attach();
	struct ledger_party party = ledger_party(client, false);

	(void)context;
	if (!client)
		return;
	ledger_party_work(&party, 8);
	ledger_party_finish(&party);
	cadre_client_detach(client);
}

/* ---- the story ---- */

/* Whoever has idled for less long than the others stays, in whichever place. */
static bool has_shrunk(const void *context)
{
	const struct cadre_view *const view = context;
	unsigned taken = 0;

	for (unsigned worker = 0; worker < view->limits.workers; worker++)
		taken += cadre_place_state_of(cadre_place_look(
				 &view->worker_places[worker])) != CADRE_PLACE_VACANT;
	return taken <= 1 && atomic_load(&view->header->wish_to_grow) == 0;
}

/* The pool is small and nobody else submits, so that the victim will want it to grow. */
static void prepare_growth(const struct cadre_view *view)
{
	stage_await(has_shrunk, view, "the pool does not shrink");
}

static bool wish_came_true(pid_t victim)
{
	int status;

	if (is_stop())
		return child_is_stopped(victim);
	if (!stage_has_ended(victim, &status))
		return false;
	if (status != 128 + SIGKILL)
		ledger_complain("the victim ended with status %d", status);
	return true;
}

static void await_victim(pid_t victim, struct ledger_party *party,
			 const struct cadre_view *view)
{
	const int64_t late_ns = cadre_clock_in_ns(20 * CADRE_NS_PER_S);

	while (!wish_came_true(victim) && !ledger_complaint()) {
		if (is_about_growth())
			child_pause_ms(1);
		else
			ledger_party_work(party, 4);
		stage_check(view);
		if (cadre_clock_ns() > late_ns)
			ledger_complain("the victim did not pass %s for the %u. time",
					wish->killing.label, wish->killing.pass);
	}
}

static void tell_of_one(struct ledger_party *party, const struct cadre_view *view)
{
	pid_t victim, late_comer;

	if (is_about_growth())
		prepare_growth(view);
	victim = stage_fork(be_victim, NULL);
	await_victim(victim, party, view);

	late_comer = stage_fork(be_late_comer, NULL);
	ledger_party_work(party, 12);
	if (stage_await_end(late_comer) != CHILD_FINE)
		ledger_complain("the late comer did not come to its end");
	ledger_party_finish(party);
	if (!is_stop())
		return;
	atomic_store(enough, true);
	kill(victim, SIGCONT);
	if (stage_await_end(victim) != CHILD_FINE)
		ledger_complain("the victim did not go on after its stop");
}

static void play(const void *context)
{
	const struct killing *const killing = context;
	const struct cadre_service service = ledger_service(NULL, NULL);
	struct cadre_pool_options options = ledger_pool(stage_pool, 2, 2);
	struct cadre_diag diag = { "" };
	struct ledger_party party;
	struct cadre_pool *pool;
	struct cadre_view view;

	wish = killing_wish(killing);
	enough = child_share(sizeof(*enough));
	if (is_about_growth()) {
		options.workers_min = 1;
		options.workers_max = 6;
		options.idle_timeout_ns = 20 * CADRE_NS_PER_MS;
	}
	if (cadre_pool_start(&service, &options, &pool, &diag) < 0) {
		ledger_complain("%s", diag.text);
		return;
	}
	view = stage_view();
	party = ledger_party(cadre_pool_client(pool), false);
	for (unsigned i = 0; i < killing->victims && !ledger_complaint(); i++)
		tell_of_one(&party, &view);

	ledger_party_call(&party);
	stage_await_rest(&view, &party);
	ledger_audit(false);
	if (!is_stop() &&
	    cadre_count_read(&view.header->counters.clients_died) != killing->victims)
		ledger_complain("the supervisor saw another number of clients die");
	cadre_layout_close(&view);
	cadre_pool_close(pool);
}

/* ---- the points ---- */

#define POINTS(X) \
	X(S1)     \
	X(S2)     \
	X(S3)     \
	X(S4)     \
	X(S5)     \
	X(B1)     \
	X(X1)     \
	X(C1)     \
	X(C2)     \
	X(L2)     \
	X(N1)     \
	X(X3)     \
	X(O1)     \
	X(O2)     \
	X(O3)     \
	X(O4)     \
	X(O5)

#define NAME(label) #label,

static const char *const told[] = { POINTS(NAME) };

/* The wish to grow is said once, until the pool has grown: there each death takes another
 * client. More victims than the pool has windows: each comes back. */
static void tell_all(const char *label)
{
	static const unsigned passes[] = { 1, 2, 5 };
	const bool about_growth = strcmp(label, "S5") == 0;

	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
		struct killing killing = {
			.label = label,
			.pass = about_growth ? 1 : passes[i],
			.victims = about_growth || i < 2 ? 1 : LEDGER_CLIENTS_MAX + 1,
			.signal_number = SIGKILL,
		};

		if (about_growth)
			killing.victims = 1 + (unsigned)i / 2;
		tell(play, &killing);
		killing.signal_number = SIGSTOP;
		killing.victims = 1;
		tell(play, &killing);
	}
}

#define STORY(label)                                        \
	Test(kill_client, nobody_else_suffers_from_##label) \
	{                                                   \
		tell_all(#label);                           \
	}

POINTS(STORY)

Test(kill_client, every_point_of_the_library_is_known_to_the_tests)
{
	const char *const sentence = killing_unknown_label();

	cr_assert_null(sentence, "%s", sentence);
}

Test(kill_client, every_point_that_a_client_passes_has_its_story)
{
	EXPECT_STORIES(told, KILLING_CLIENT);
}
