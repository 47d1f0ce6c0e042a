/*
 * kill_supervisor.c - claims about supervisors that die at each line where it may matter,
 * and about those who die while they mend what their predecessor left.
 *
 * The pool is served by a child of the story, which therefore sees how the supervisor
 * ended. Around it is turmoil: a resident client that keeps jobs of all kinds out, others
 * that come and leave or die, and jobs that kill their workers. Between two supervisors the
 * workers go on; the last one finds all that the others left behind.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "control.h"
#include "ledger.h"
#include "stories.h"

#define WORKERS 3u
#define PATIENCE_NS (20 * CADRE_NS_PER_S)
#define PASSERS_BY_MAX 4u

static struct killing_wish *wish;

/* What the processes of a story tell each other. */
static struct {
	atomic_bool enough;
	atomic_uint progress; /* outcomes that the resident took */
} * shared;

struct turmoil {
	pid_t passers_by[PASSERS_BY_MAX];
	unsigned turn;
	pid_t alive[WORKERS]; /* workers between two supervisors */
};

/* ---- supervisors ---- */

static int begin_worker(const struct cadre_start *start, void **ret_state,
			struct cadre_diag *diag)
{
	(void)start;
	(void)ret_state;
	(void)diag;
	killing_spare();
	/* Slow enough to find its place given away, or its segment gone. */
	if (strcmp(wish->killing.label, "P4") == 0)
		child_pause_ms(30);
	return 0;
}

static void print_notice(const char *sentence, void *context)
{
	(void)context;
	fprintf(stderr, "%s\n", sentence);
}

/* Workers come and go while they are well, too. */
static bool is_about_change(void)
{
	return strchr("UM", wish->killing.label[0]) != NULL;
}

static void be_supervisor(void *context)
{
	const struct cadre_service service = ledger_service(begin_worker, NULL);
	const struct cadre_source source = { .service = &service };
	struct cadre_pool_options options = ledger_pool(stage_pool, WORKERS, WORKERS);
	struct cadre_diag diag = { "" };

	if (wish->killing.label[0] == 'U')
		options.max_jobs = 20;

	(void)context;
	killing_bear(wish);
	if (cadre_serve(&source, &options, getenv("CADRE_VERBOSE") ? print_notice : NULL,
			NULL, &diag) == 0)
		return;
	ledger_complain("a supervisor could not begin: %s", diag.text);
	_exit(CHILD_FAILED);
}

static bool has_died_of_it(pid_t supervisor)
{
	int status;

	if (!stage_has_ended(supervisor, &status))
		return false;
	if (status != 128 + SIGKILL)
		ledger_complain("the supervisor ended with status %d", status);
	return true;
}

/* ---- workers ---- */

/* Who is up and alive just now. The segment may be gone. */
static unsigned look_at_workers(pid_t pids[WORKERS])
{
	struct cadre_view view;
	unsigned alive = 0;

	memset(pids, 0, WORKERS * sizeof(*pids));
	if (cadre_layout_open(stage_pool, false, &view, NULL) < 0)
		return 0;
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		const struct cadre_place *const place = &view.worker_places[worker];
		const pid_t pid = cadre_place_who(place).pid;

		if (cadre_place_state_of(cadre_place_look(place)) != CADRE_PLACE_UP ||
		    pid <= 0 || stage_is_gone(pid))
			continue;
		pids[worker] = pid;
		alive++;
	}
	cadre_layout_close(&view);
	return alive;
}

/* Whoever was up when the supervisor was dead sits where it sat, but for those who died of
 * a job. */
static void check_adoption(const struct turmoil *turmoil)
{
	pid_t now[WORKERS];

	look_at_workers(now);
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		const pid_t pid = turmoil->alive[worker];

		if (pid && pid != now[worker] && !ledger_has_departed(pid))
			ledger_complain("worker %u (pid %d) was not taken over", worker,
					(int)pid);
	}
}

/* ---- clients ---- */

/* Asks until a supervisor lets it in: one may be dead, its successor not there yet. */
static struct cadre_client *attach(void)
{
	const int64_t late_ns = cadre_clock_in_ns(PATIENCE_NS);
	struct cadre_client *client = NULL;

	while (cadre_client_attach(stage_pool, NULL, &client, NULL) < 0) {
		if (cadre_clock_ns() > late_ns) {
			ledger_complain("nobody lets a client in");
			return NULL;
		}
		child_pause_ms(1);
	}
	return client;
}

/* One at a time, as long as another worker is there. */
static bool submit_deadly(struct ledger_party *party, unsigned turn)
{
	const struct ledger_wish deadly = {
		.length = 100,
		.reply_length = 16,
		.deadly = true,
		.flags = turn % 2 ? CADRE_IDEMPOTENT : 0,
	};
	pid_t pids[WORKERS];

	return look_at_workers(pids) > 1 && ledger_party_submit(party, &deadly) == 0;
}

static void be_resident(void *context)
{
	struct cadre_client *const client = attach();
	struct ledger_party party = ledger_party(client, false);
	unsigned deadly = 0;
	int r = 0;

	(void)context;
	while (client && !atomic_load(&shared->enough) && !ledger_complaint()) {
		if (ledger_departures() == deadly)
			deadly += submit_deadly(&party, deadly);
		/* Room for the next, whatever the dead hold. */
		while (ledger_party_out(&party) < LEDGER_WINDOW_SLOTS - 1 && r == 0)
			r = ledger_party_submit(&party, ledger_party_next_wish(&party));
		if (r < 0)
			ledger_complain("the resident was refused: %s", strerror(-r));
		while (ledger_party_take(&party, 2 * CADRE_NS_PER_MS) &&
		       party.turn % 3 == 0) {
		}
		atomic_store(&shared->progress, party.taken);
	}
	ledger_party_finish(&party);
	ledger_party_call(&party);
	cadre_client_detach(client);
}

/* Leaves with jobs out; every second one without a word. */
static void be_passer_by(void *context)
{
	const unsigned turn = *(const unsigned *)context;
	struct cadre_client *const client = attach();
	struct ledger_party party = ledger_party(client, true);

	if (!client)
		return;
	party.turn = turn;
	for (unsigned i = 0; i < 5; i++) {
		if (ledger_party_submit(&party, ledger_party_next_wish(&party)) < 0)
			break;
	}
	if (turn % 3 == 0)
		ledger_party_take(&party, CADRE_NS_PER_MS);
	if (turn % 2 == 0)
		cadre_client_detach(client);
}

static void send_passer_by(struct turmoil *turmoil)
{
	const unsigned turn = turmoil->turn++;
	pid_t *const pid = &turmoil->passers_by[turn % PASSERS_BY_MAX];
	int status;

	if (*pid == 0 || stage_has_ended(*pid, &status))
		*pid = stage_fork(be_passer_by, &(unsigned){ turn });
}

static void await_passers_by(struct turmoil *turmoil)
{
	for (unsigned i = 0; i < PASSERS_BY_MAX; i++) {
		if (turmoil->passers_by[i] &&
		    stage_await_end(turmoil->passers_by[i]) != CHILD_FINE)
			ledger_complain("a passer-by did not come to its end");
		turmoil->passers_by[i] = 0;
	}
}

/* ---- turmoil ---- */

/* Without waiting for an answer, which may never come. */
static void send_order(enum cadre_control_kind kind, uint32_t min, uint32_t max)
{
	struct cadre_control order = cadre_control_message(kind);

	order.place = min;
	order.incarnation = max;
	(void)cadre_control_ask(stage_pool, &order, cadre_clock_in_ns(CADRE_NS_PER_S),
				NULL);
}

static void send_orders(const struct turmoil *turmoil)
{
	if (strcmp(wish->killing.label, "U2") == 0)
		send_order(CADRE_CONTROL_RELOAD, 0, 0);
	else if (strcmp(wish->killing.label, "M1") == 0)
		send_order(CADRE_CONTROL_SCALE, 1 + turmoil->turn % 2, WORKERS - 1);
}

static void await_death(struct turmoil *turmoil, pid_t supervisor)
{
	const int64_t late_ns = cadre_clock_in_ns(PATIENCE_NS);

	while (!has_died_of_it(supervisor) && !ledger_complaint()) {
		send_passer_by(turmoil);
		send_orders(turmoil);
		child_pause_ms(2);
		if (cadre_clock_ns() > late_ns)
			ledger_complain("no supervisor passed %s for the %u. time",
					wish->killing.label, wish->killing.pass);
	}
}

/* Nobody supervises: what is accepted is done nevertheless, if there is anybody to do it. */
static void go_on_alone(struct turmoil *turmoil)
{
	const unsigned before = atomic_load(&shared->progress);
	const int64_t late_ns = cadre_clock_in_ns(PATIENCE_NS);

	if (before == 0)
		return; /* the resident was not let in yet */
	while (look_at_workers(turmoil->alive) > 0 && !ledger_complaint() &&
	       atomic_load(&shared->progress) < before + 2) {
		child_pause_ms(1);
		if (cadre_clock_ns() > late_ns)
			ledger_complain("nothing goes on without a supervisor");
	}
}

/* However many died while they wrote it down: each number that counts is there, whole, and
 * nobody was said to be dead twice. */
static void check_events(const struct cadre_view *view)
{
	const struct cadre_annals_span span = cadre_annals_span(&view->events);
	struct cadre_event event, other;

	for (uint64_t number = span.from; number != span.to; number++) {
		if (!cadre_event_read(&view->events, number, &event))
			ledger_complain("event %llu of %llu is not there",
					(unsigned long long)number,
					(unsigned long long)span.to);
		if (event.kind != CADRE_EVENT_worker_died)
			continue;
		for (uint64_t later = number + 1; later < span.to; later++) {
			if (cadre_event_read(&view->events, later, &other) &&
			    other.kind == event.kind && other.place == event.place &&
			    other.incarnation == event.incarnation)
				ledger_complain("pid %d died twice", (int)event.pid);
		}
	}
}

/* The resident is done, the others have left: now nothing may be out any more. */
static void await_peace(struct turmoil *turmoil, pid_t resident)
{
	const unsigned before = atomic_load(&shared->progress);
	const int64_t late_ns = cadre_clock_in_ns(PATIENCE_NS);
	struct cadre_view view;

	await_passers_by(turmoil);
	while (atomic_load(&shared->progress) < before + 8 && !ledger_complaint()) {
		child_pause_ms(1);
		if (cadre_clock_ns() > late_ns)
			ledger_complain("nothing goes on under the last supervisor");
	}
	atomic_store(&shared->enough, true);
	if (stage_await_end(resident) != CHILD_FINE)
		ledger_complain("the resident did not come to its end");
	view = stage_view();
	stage_await_rest(&view, NULL);
	check_events(&view);
	cadre_layout_close(&view);
}

static bool has_its_size(const void *context)
{
	const struct cadre_view *const view = context;
	const struct cadre_size size = cadre_view_size(view);
	unsigned up = 0, others = 0;

	for (unsigned worker = 0; worker < view->limits.workers; worker++) {
		const enum cadre_place_state state = cadre_place_state_of(
			cadre_place_look(&view->worker_places[worker]));

		up += state == CADRE_PLACE_UP;
		others += state != CADRE_PLACE_UP && state != CADRE_PLACE_VACANT;
	}
	return up >= size.min && up <= size.max && others == 0;
}

/* Whatever a predecessor was about to change. */
static void check_size(void)
{
	struct cadre_view view = stage_view();

	stage_await(has_its_size, &view, "the pool never has the size that it shall have");
	cadre_layout_close(&view);
}

static void play(const void *context)
{
	const struct killing *const killing = context;
	struct turmoil turmoil = { .turn = 0 };
	pid_t supervisor, resident;

	wish = killing_wish(killing);
	shared = child_share(sizeof(*shared));
	resident = stage_fork(be_resident, NULL);
	for (unsigned i = 0; i < killing->victims; i++) {
		supervisor = stage_fork(be_supervisor, NULL);
		await_death(&turmoil, supervisor);
		go_on_alone(&turmoil);
	}
	supervisor = stage_fork(be_supervisor, NULL);
	await_peace(&turmoil, resident);
	if (is_about_change())
		check_size();
	else
		check_adoption(&turmoil);
	ledger_audit(true);
	kill(supervisor, SIGTERM);
	if (stage_await_end(supervisor) != CHILD_FINE)
		ledger_complain("the last supervisor did not end in order");
}

/* ---- pools that come to their end ---- */

/* Terminated: whatever was out has an outcome, even before there is a successor. */
static void play_termination(const void *context)
{
	const struct cadre_control terminate = cadre_control_message(
		CADRE_CONTROL_TERMINATE);
	struct ledger_party party;
	struct cadre_client *client;
	struct cadre_control answer;
	pid_t supervisor;

	wish = killing_wish(context);
	supervisor = stage_fork(be_supervisor, NULL);
	client = attach();
	if (!client)
		return;
	party = ledger_party(client, false);
	ledger_party_work(&party, 8);
	cadre_control_ask(stage_pool, &terminate, cadre_clock_in_ns(PATIENCE_NS), &answer);
	if (stage_await_end(supervisor) != 128 + SIGKILL)
		ledger_complain("the supervisor did not die of it");
	ledger_party_finish(&party);
	cadre_client_detach(client);

	supervisor = stage_fork(be_supervisor, NULL);
	client = attach();
	if (!client)
		return;
	party = ledger_party(client, false);
	ledger_party_call(&party);
	cadre_client_detach(client);
	ledger_audit(true);
	kill(supervisor, SIGTERM);
	if (stage_await_end(supervisor) != CHILD_FINE)
		ledger_complain("the last supervisor did not end in order");
}

static void bear_if_supervisor(void)
{
	killing_bear_if_supervisor(wish);
}

/* What was said to an embedded pool holds for each supervisor that it will have. */
static void play_embedded_end(const void *context)
{
	const struct killing *const killing = context;
	const bool stops = strcmp(killing->label, "T1") != 0;
	const struct cadre_service service = ledger_service(NULL, NULL);
	const struct cadre_pool_options options = ledger_pool(stage_pool, 2, 2);
	struct cadre_diag diag = { "" };
	struct ledger_party party;
	struct cadre_pool *pool;
	struct cadre_view view;

	wish = killing_wish(killing);
	pthread_atfork(NULL, NULL, bear_if_supervisor);
	if (cadre_pool_start(&service, &options, &pool, &diag) < 0) {
		ledger_complain("%s", diag.text);
		return;
	}
	view = stage_view();
	party = ledger_party(cadre_pool_client(pool), false);
	ledger_party_work(&party, 8);
	if ((stops ? cadre_pool_stop(pool) : cadre_pool_terminate(pool)) < 0)
		ledger_complain("the pool does not listen");
	ledger_party_finish(&party);
	if (cadre_pool_await_end(pool, cadre_clock_in_ns(PATIENCE_NS)) < 0)
		ledger_complain("the pool does not end");
	if (cadre_count_read(&view.header->counters.successions) != killing->victims)
		ledger_complain("%llu supervisors died, not %u",
				(unsigned long long)cadre_count_read(
					&view.header->counters.successions),
				killing->victims);
	ledger_audit(false);
	cadre_layout_close(&view);
	cadre_pool_close(pool);
}

/* A pool that was told to drain is drained, whoever dies, and can be started again. */
static void play_drain(const void *context)
{
	const struct killing *const killing = context;
	const struct cadre_service service = ledger_service(NULL, NULL);
	const struct cadre_pool_options options = ledger_pool(stage_pool, 2, 2);
	struct cadre_diag diag = { "" };
	struct ledger_party party;
	struct cadre_pool *pool;

	wish = killing_wish(killing);
	pthread_atfork(NULL, NULL, bear_if_supervisor);
	if (cadre_pool_start(&service, &options, &pool, &diag) < 0) {
		ledger_complain("%s", diag.text);
		return;
	}
	party = ledger_party(cadre_pool_client(pool), false);
	ledger_party_work(&party, 8);
	if (cadre_pool_drain(pool) < 0)
		ledger_complain("the pool does not listen");
	ledger_party_finish(&party);
	if (cadre_pool_await_drained(pool, cadre_clock_in_ns(PATIENCE_NS)) < 0)
		ledger_complain("the pool is never drained");
	if (cadre_pool_start_again(pool) < 0)
		ledger_complain("the pool does not start again");
	ledger_party_call(&party);
	ledger_audit(false);
	if (atomic_load(&wish->victims_left) > 0)
		ledger_complain("no supervisor died");
	cadre_pool_close(pool);
}

/* ---- the points ---- */

#define POINTS(X) \
	X(P3)     \
	X(P4)     \
	X(P5)     \
	X(P6)     \
	X(D1)     \
	X(D3)     \
	X(D4)     \
	X(D5)     \
	X(D6)     \
	X(D7)     \
	X(D8)     \
	X(E1)     \
	X(E2)     \
	X(X1)     \
	X(C1)     \
	X(C2)     \
	X(C3)     \
	X(L2)     \
	X(U1)     \
	X(U2)     \
	X(U3)     \
	X(M1)     \
	X(N1)     \
	X(O4)     \
	X(O5)

#define NAME(label) #label,

static const char *const told[] = { POINTS(NAME) "M2", "T1" };

/* The last time two of them die, one after the other. */
static void tell_all(const char *label)
{
	static const unsigned passes[] = { 1, 2, 5, 1 };

	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
		const struct killing killing = {
			.label = label,
			.pass = passes[i],
			.victims = i == 3 ? 2 : 1,
			.signal_number = SIGKILL,
		};

		tell(play, &killing);
	}
}

#define STORY(label)                                                     \
	Test(kill_supervisor, a_successor_mends_what_is_left_at_##label) \
	{                                                                \
		tell_all(#label);                                        \
	}

POINTS(STORY)

Test(kill_supervisor, jobs_of_a_terminated_pool_have_ended_whoever_dies)
{
	tell(play_termination,
	     &(struct killing){ "T1", .pass = 1, .signal_number = SIGKILL, .victims = 1 });
}

Test(kill_supervisor, an_embedded_pool_that_was_told_to_stop_stops_under_a_successor)
{
	tell(play_embedded_end,
	     &(struct killing){ "D7", .pass = 1, .signal_number = SIGKILL, .victims = 1 });
	tell(play_embedded_end,
	     &(struct killing){ "D5", .pass = 1, .signal_number = SIGKILL, .victims = 3 });
}

Test(kill_supervisor, an_embedded_pool_that_was_told_to_terminate_does)
{
	tell(play_embedded_end,
	     &(struct killing){ "T1", .pass = 1, .signal_number = SIGKILL, .victims = 2 });
}

Test(kill_supervisor, an_embedded_pool_that_was_told_to_drain_does_and_starts_again)
{
	tell(play_drain,
	     &(struct killing){ "M2", .pass = 1, .signal_number = SIGKILL, .victims = 2 });
	tell(play_drain,
	     &(struct killing){ "D5", .pass = 1, .signal_number = SIGKILL, .victims = 2 });
}

Test(kill_supervisor, every_point_that_a_supervisor_passes_has_its_story)
{
	EXPECT_STORIES(told, KILLING_SUPERVISOR);
}
