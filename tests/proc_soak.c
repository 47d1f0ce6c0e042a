/*
 * proc_soak.c - some seconds of random deaths: workers, clients and now and then the
 * supervisor are killed or stopped for a while, and the ledger must balance afterwards.
 *
 * CADRE_SEED repeats the choices of a run (not its timing), CADRE_SOAK_SECONDS makes it
 * longer; `./dev soak` sets both. A long soak is round after round of half a minute at most,
 * each with the next seed and with a pool and a ledger of its own. Supervisors die so
 * seldom that their keeper does not give the pool up, and workers so seldom that their
 * back-off lets the pool work.
 */
#include <criterion/criterion.h>

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "child.h"
#include "ledger.h"
#include "process.h"
#include "stage.h"

#include <cadre/check.h>

#define WORKERS 3u
#define CLIENTS 3u /* the first of them is never killed */
#define SECONDS_DEFAULT 8
#define SECONDS_MAX 30 /* of a round */
#define PAUSE_MOST_MS 80u
#define STOP_MOST_MS 60u
#define SUPERVISORS_PER_10_S 5
#define WORKERS_PER_10_S 14

static atomic_bool *enough;

/* What the rounds of a soak add up to; shared with the processes that play them. */
static struct sums {
	uint64_t accepted, booked, executions, outcomes_lost, repeated;
	uint64_t workers, clients, supervisors, stops;
	uint64_t rounds;
} * sums_of_all;

struct soak {
	uint64_t seed;
	uint64_t random;
	int64_t end_ns, start_ns;
	struct cadre_view view;
	pid_t clients[CLIENTS];
	unsigned worker_deaths, client_deaths, supervisor_deaths, stops;
};

/* xorshift64 by G. Marsaglia */
static uint64_t draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random >> 8;
}

/* ---- clients ---- */

struct part {
	uint64_t random;
	bool mortal;
};

static void be_client(void *context)
{
	struct part *const part = context;
	struct cadre_client *client;
	struct cadre_diag diag = { "" };
	struct ledger_party party;
	int r;

	/* Windows of the dead come back soon, but not at once. */
	while ((r = cadre_client_attach(stage_pool, NULL, &client, &diag)) == -EUSERS)
		child_pause_ms(5);
	if (r < 0) {
		ledger_complain("%s", diag.text);
		return;
	}
	party = ledger_party(client, part->mortal);
	while (!atomic_load(enough) && !ledger_complaint()) {
		party.turn = (unsigned)(draw(&part->random) % 1000);
		ledger_party_work(&party, 1 + (unsigned)(draw(&part->random) % 20));
	}
	ledger_party_finish(&party);
	cadre_client_detach(client);
}

static void send_client(struct soak *soak, unsigned i)
{
	struct part part = { .random = draw(&soak->random) | 1, .mortal = i > 0 };

	soak->clients[i] = stage_fork(be_client, &part);
}

/* ---- deaths ---- */

static int64_t share(const struct soak *soak, int64_t per_10_s)
{
	return 1 + (cadre_clock_ns() - soak->start_ns) * per_10_s / (10 * CADRE_NS_PER_S);
}

/* Whoever is meant, and nobody else: found in the segment, sent through a pidfd. */
static bool send_signal(struct cadre_identity who, int signal_number)
{
	const int pidfd = who.pid > 0 ? cadre_process_open(who) : -1;
	int r;

	if (pidfd < 0)
		return false;
	r = cadre_process_kill(pidfd, signal_number);
	close(pidfd);
	return r == 0;
}

static struct cadre_identity some_worker(struct soak *soak)
{
	return cadre_place_who(&soak->view.worker_places[draw(&soak->random) % WORKERS]);
}

static void kill_worker(struct soak *soak)
{
	if (soak->worker_deaths < share(soak, WORKERS_PER_10_S))
		soak->worker_deaths += send_signal(some_worker(soak), SIGKILL);
}

static void kill_client(struct soak *soak)
{
	const unsigned i = 1 + (unsigned)(draw(&soak->random) % (CLIENTS - 1));

	kill(soak->clients[i], SIGKILL);
	if (stage_await_end(soak->clients[i]) == 128 + SIGKILL)
		soak->client_deaths++;
	else
		ledger_complain("a client ended before it was killed");
	send_client(soak, i);
}

static void kill_supervisor(struct soak *soak)
{
	const struct cadre_header *const header = soak->view.header;
	const struct cadre_identity who = {
		.pid = atomic_load(&header->supervisor_pid),
		.start_time = atomic_load(&header->supervisor_start_time),
	};

	if (soak->supervisor_deaths < share(soak, SUPERVISORS_PER_10_S))
		soak->supervisor_deaths += send_signal(who, SIGKILL);
}

static void stop_somebody(struct soak *soak)
{
	const pid_t client = soak->clients[draw(&soak->random) % CLIENTS];
	const struct cadre_identity who =
		draw(&soak->random) % 2 ?
			some_worker(soak) :
			(struct cadre_identity){
				.pid = client,
				.start_time = cadre_process_start_time(client),
			};

	soak->stops += send_signal(who, SIGSTOP);
	child_pause_ms((unsigned)(draw(&soak->random) % STOP_MOST_MS));
	send_signal(who, SIGCONT);
}

static void strike(struct soak *soak)
{
	const unsigned die = (unsigned)(draw(&soak->random) % 16);

	if (die < 6)
		kill_worker(soak);
	else if (die < 11)
		kill_client(soak);
	else if (die < 13)
		kill_supervisor(soak);
	else
		stop_somebody(soak);
	child_pause_ms((unsigned)(draw(&soak->random) % PAUSE_MOST_MS));
}

/* ---- the books and the ledger ---- */

static void add_up(const struct soak *soak, const struct ledger_sums *sums,
		   uint64_t booked)
{
	sums_of_all->accepted += sums->accepted;
	sums_of_all->booked += booked;
	sums_of_all->executions += sums->executions;
	sums_of_all->outcomes_lost += sums->lost;
	sums_of_all->repeated += sums->repeated;
	sums_of_all->workers += soak->worker_deaths;
	sums_of_all->clients += soak->client_deaths;
	sums_of_all->supervisors += soak->supervisor_deaths;
	sums_of_all->stops += soak->stops;
	sums_of_all->rounds++;
}

/* Each accepted job was booked once: as many as the clients know to have been accepted, or
 * more by those whose clients died before they could say so. */
static void compare(const struct soak *soak, const struct ledger_sums *sums)
{
	uint64_t booked = 0;

	for (uint32_t number = 0; number < soak->view.slot_count; number++) {
		for (unsigned outcome = 0; outcome < CADRE_WITHDRAWN; outcome++)
			booked += atomic_load(&soak->view.books[number].ended[outcome]);
	}
	if (booked < sums->accepted || booked > sums->accepted + soak->client_deaths)
		ledger_complain("%" PRIu64 " jobs were booked, %u accepted, and %u clients "
				"died",
				booked, sums->accepted, soak->client_deaths);
	printf("soak: seed %" PRIu64 ": %u jobs accepted, %" PRIu64
	       " booked, %u executions, "
	       "%u lost, %u repeated; killed: %u workers, %u clients, %u supervisors; "
	       "stopped: %u\n",
	       soak->seed, sums->accepted, booked, sums->executions, sums->lost,
	       sums->repeated, soak->worker_deaths, soak->client_deaths,
	       soak->supervisor_deaths, soak->stops);
	fflush(stdout);
	add_up(soak, sums, booked);
}

static void complain_of(const char *finding, void *context)
{
	(void)context;
	ledger_complain("cadre_check: %s", finding);
}

static void end_clients(const struct soak *soak)
{
	atomic_store(enough, true);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (stage_await_end(soak->clients[i]) != CHILD_FINE)
			ledger_complain("client %u did not come to its end", i);
	}
}

static void play(const void *context)
{
	const struct cadre_service service = ledger_service(NULL, NULL);
	const struct cadre_pool_options options = ledger_pool(stage_pool, WORKERS,
							      WORKERS);
	struct soak soak = *(const struct soak *)context;
	struct cadre_diag diag = { "" };
	struct ledger_party party;
	struct ledger_sums sums;
	struct cadre_pool *pool;

	enough = child_share(sizeof(*enough));
	if (cadre_pool_start(&service, &options, &pool, &diag) < 0) {
		ledger_complain("%s", diag.text);
		return;
	}
	soak.view = stage_view();
	for (unsigned i = 0; i < CLIENTS; i++)
		send_client(&soak, i);
	soak.start_ns = cadre_clock_ns();
	soak.end_ns += soak.start_ns;
	while (cadre_clock_ns() < soak.end_ns && !ledger_complaint()) {
		strike(&soak);
		stage_check(&soak.view);
	}

	end_clients(&soak);
	party = ledger_party(cadre_pool_client(pool), false);
	ledger_party_call(&party);
	stage_await_rest(&soak.view, &party);
	if (cadre_check(stage_pool, complain_of, NULL, &diag) < 0)
		ledger_complain("cadre_check: %s", diag.text);
	sums = ledger_audit(true);
	compare(&soak, &sums);
	if (cadre_count_read(&soak.view.header->counters.successions) !=
	    soak.supervisor_deaths)
		ledger_complain("not each supervisor had a successor");
	cadre_layout_close(&soak.view);
	cadre_pool_close(pool);
}

/* One round. NULL, or the first complaint. */
static const char *soak_once(uint64_t seed, uint64_t seconds)
{
	struct soak soak = {
		.seed = seed,
		.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1,
		.end_ns = (int64_t)(seconds < SECONDS_MAX ? seconds : SECONDS_MAX) *
			  CADRE_NS_PER_S,
	};

	return stage_play(play, &soak);
}

struct round {
	uint64_t seed, seconds;
};

/* In a process of its own, with which the ledger goes. */
static int play_round(void *context)
{
	const struct round *const round = context;
	const char *const complaint = soak_once(round->seed, round->seconds);

	if (!complaint)
		return CHILD_FINE;
	printf("soak: seed %" PRIu64 ": violation: %s\n", round->seed, complaint);
	fflush(stdout);
	return CHILD_FAILED;
}

static void print_sums(unsigned violations)
{
	const struct sums *const all = sums_of_all;

	printf("soak: rounds %" PRIu64 ": %" PRIu64 " jobs accepted, %" PRIu64
	       " booked, %" PRIu64 " executions; outcome lost with its worker %" PRIu64
	       ", repeated and reported %" PRIu64 "; killed: %" PRIu64 " workers, %" PRIu64
	       " clients, %" PRIu64 " supervisors; stopped: %" PRIu64 "\n",
	       all->rounds, all->accepted, all->booked, all->executions,
	       all->outcomes_lost, all->repeated, all->workers, all->clients,
	       all->supervisors, all->stops);
	if (violations)
		printf("soak: %u rounds with a violation\n", violations);
	else
		printf("soak: 0 lost, 0 unreported duplicates, 0 leaks\n");
	fflush(stdout);
}

static uint64_t number_from(const char *variable, uint64_t standard)
{
	const char *const text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : standard;
}

Test(proc_soak, the_ledger_balances_whoever_dies)
{
	uint64_t seconds = number_from("CADRE_SOAK_SECONDS", SECONDS_DEFAULT);
	struct round round = { .seed = number_from("CADRE_SEED",
						   (uint64_t)cadre_clock_ns()) };
	unsigned violations = 0;

	sums_of_all = child_share(sizeof(*sums_of_all));
	printf("soak: %" PRIu64 " s, CADRE_SEED=%" PRIu64 "\n", seconds, round.seed);
	fflush(stdout);
	for (; seconds > 0; seconds -= round.seconds, round.seed++) {
		round.seconds = seconds < SECONDS_MAX ? seconds : SECONDS_MAX;
		violations += child_run(play_round, &round) != CHILD_FINE;
	}
	print_sums(violations);
	cr_assert_eq(violations, 0, "the violations are printed above");
}
