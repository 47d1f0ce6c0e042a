/*
 * proc_check.c - claims about `cadre check` on pools that are busy, stopped and dead: what
 * is in motion is no finding, what stands still and should not is one, and the program says
 * so with its exit status.
 */
#include "claims.h"

#include <cadre/check.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave(void)
{
	/* A claim that failed may have left it stopped. */
	if (troupe.program)
		kill(troupe.program, SIGCONT);
	troupe_leave();
}

TestSuite(check, .init = troupe_enter, .fini = leave, .timeout = 60);

/* ---- checking ---- */

static struct cadre_balance balance;
static char first_finding[420];

static void listen(const char *sentence, void *context)
{
	(void)context;
	if (!first_finding[0])
		snprintf(first_finding, sizeof(first_finding), "%s", sentence);
}

static int check(void)
{
	struct cadre_diag diag = { "" };
	int findings;

	first_finding[0] = '\0';
	findings = cadre_check_balance(troupe.scene.pool, &balance, listen, NULL, &diag);
	cr_assert_geq(findings, 0, "%s", diag.text);
	cr_assert_eq(balance.accepted, balance.ended + balance.in_flight);
	return findings;
}

static void expect_nothing(void)
{
	cr_assert_eq(check(), 0, "%s", first_finding);
}

/* ---- a pool that does not stand still ---- */

/* Keeps jobs of several kinds out: short and long, cancelled, late, and, of those that
 * `deadly` clients submit, some that kill their worker. */
static void submit_one(struct cadre_client *client, bool deadly, unsigned turn)
{
	static unsigned char bytes[3000];
	const struct troupe_death death = { .how = SIGKILL, .times = 1 };
	struct cadre_request request = {
		.operation = TROUPE_ECHO,
		.data = bytes,
		.length = turn % 3 == 0 ? sizeof(bytes) : turn % 80,
		.deadline_ns = turn % 5 == 0 ? cadre_in_ms(1) : 0,
	};
	struct cadre_ticket ticket;
	struct cadre_result result;

	if (deadly && turn % 200 == 0) {
		request = (struct cadre_request){
			.operation = TROUPE_DIE,
			.flags = CADRE_IDEMPOTENT,
			.data = &death,
			.length = sizeof(death),
		};
	}
	if (cadre_submit(client, &request, GENEROUS, &ticket) < 0)
		return;
	if (turn % 7 == 0)
		cadre_cancel(client, ticket);
	if (cadre_await(client, ticket, GENEROUS, &result) == 0)
		cadre_release(client, &result);
}

static int be_busy(void *context)
{
	const bool *const deadly = context;
	struct cadre_client *client;

	if (cadre_client_attach(troupe.scene.pool, NULL, &client, NULL) < 0)
		return CHILD_FAILED;
	for (unsigned turn = 1; getppid() > 1; turn++)
		submit_one(client, *deadly, turn);
	return CHILD_FINE;
}

static void check_beside(unsigned clients, bool deadly)
{
	pid_t client[4];

	for (unsigned i = 0; i < clients; i++)
		client[i] = child_start(be_busy, &deadly);
	cr_assert(eventually(troupe_look(troupe.scene.pool).submitted > 20 * clients));
	for (int round = 0; round < 50; round++) {
		expect_nothing();
		child_pause_ms(5);
	}
	cr_assert_gt(balance.ended, 0);
	/* Those whose clients are killed are reaped while it looks. */
	for (unsigned i = 0; i < clients; i++) {
		child_kill(client[i]);
		expect_nothing();
	}
	cr_assert(eventually(check() == 0 && balance.in_flight == 0 &&
			     balance.blocks_used == 0));
}

Test(check, a_busy_pool_checked_50_times_has_no_findings)
{
	START(.workers_min = 2, .workers_max = 3, .payload_max = 4096,
	      .block_bytes = 64 << 10, .window_slots = 16);
	check_beside(4, false);
}

Test(check, a_pool_whose_workers_die_checked_50_times_has_no_findings)
{
	START(.workers_min = 2, .workers_max = 2, .payload_max = 4096,
	      .block_bytes = 64 << 10, .window_slots = 16);
	check_beside(2, true);
	cr_assert_gt(troupe_counter(CADRE_SCOPE_POOL,
				    troupe_look(troupe.scene.pool).counters,
				    "workers_died"),
		     0);
}

/* ---- pools that stand still ---- */

static void serve(void)
{
	static const struct cadre_source source = { .service = &troupe_service };

	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){ .workers_min = 2,
							       .workers_max = 2 }),
		     0);
}

/* Two jobs run until the gate opens, and three wait behind them. */
static void occupy(struct cadre_ticket tickets[5])
{
	for (unsigned i = 0; i < 5; i++)
		tickets[i] = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 2));
}

/* All at once: nobody is left to write down what happened. */
static void kill_pool(void)
{
	const pid_t workers[] = { troupe_worker(troupe.scene.pool, 0),
				  troupe_worker(troupe.scene.pool, 1) };

	troupe_kill_program(&troupe);
	for (unsigned i = 0; i < 2; i++) {
		kill(workers[i], SIGKILL);
		cr_assert(eventually(troupe_is_gone(workers[i])));
	}
}

/* Removes a dead pool, of which this process is the last client. */
static void remove_pool(void)
{
	cadre_client_detach(troupe.client);
	troupe.client = NULL;
	cr_assert_eq(cadre_collect_garbage(troupe.scene.pool, 0, NULL, NULL), 1);
}

Test(check, a_dead_pool_with_jobs_in_flight_balances)
{
	struct cadre_ticket tickets[5];

	serve();
	call_ok(ASK(TROUPE_LOG, 1));
	occupy(tickets);
	kill_pool();

	expect_nothing();
	cr_assert_not(balance.alive);
	cr_assert_eq(balance.accepted, 6);
	cr_assert_eq(balance.ended, 1);
	cr_assert_eq(balance.in_flight, 5);
	remove_pool();
}

Test(check, a_worker_that_dies_under_a_stopped_supervisor_is_found_until_it_goes_on)
{
	struct cadre_ticket tickets[5];
	pid_t worker;

	serve();
	occupy(tickets);
	worker = troupe_worker(troupe.scene.pool, 1);
	child_stop(troupe.program);
	kill(worker, SIGKILL);
	cr_assert(eventually(check() == 1), "%s", first_finding);
	cr_assert(strstr(first_finding, "worker 1"), "%s", first_finding);
	cr_assert(strstr(first_finding, "has not reaped it"), "%s", first_finding);

	kill(troupe.program, SIGCONT);
	expect_nothing();
	open_gate(1);
	for (unsigned i = 0; i < 5; i++) {
		const struct cadre_result result = await(tickets[i]);

		cr_assert(result.outcome == CADRE_OK || result.outcome == CADRE_LOST);
		release(&result);
	}
}

/* ---- the program ---- */

/* How it ended, exit status or 128 + signal, and what it said. */
static struct {
	int status;
	char out[8000];
	size_t length; /* of out */
	char err[2000];
} run;

static size_t read_back(int fd, char *text, size_t size)
{
	const ssize_t length = pread(fd, text, size - 1, 0);

	cr_assert_geq(length, 0);
	text[length] = '\0';
	close(fd);
	return (size_t)length;
}

/* Runs "cadre check" with up to two arguments. */
static int cadre_check_says(const char *first, const char *second)
{
	const char *const folder = getenv("CADRE_BIN_DIR");
	const int out = memfd_create("out", MFD_CLOEXEC);
	const int err = memfd_create("err", MFD_CLOEXEC);
	char program[4096];
	pid_t pid;

	cr_assert_not_null(folder, "CADRE_BIN_DIR must be set; `./dev test` does it");
	snprintf(program, sizeof(program), "%s/cadre", folder);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		execl(program, program, "check", first, second, NULL);
		_exit(127);
	}
	run.status = child_end(pid);
	run.length = read_back(out, run.out, sizeof(run.out));
	read_back(err, run.err, sizeof(run.err));
	return run.status;
}

Test(check, the_program_says_the_sums_and_exits_with_0)
{
	START(ONE_WORKER, .clients_max = 2, .window_slots = 8);
	for (unsigned i = 0; i < 5; i++)
		call_ok(ASK(TROUPE_LOG, i));

	cr_assert_eq(cadre_check_says(troupe.scene.pool, NULL), 0, "%s%s", run.out,
		     run.err);
	cr_assert(strstr(run.out, "16 slots: all books balance; accepted 5 = ended 5 + in "
				  "flight 0; 0 of "),
		  "%s", run.out);
	cr_assert_str_eq(run.err, "");

	cr_assert_eq(cadre_check_says("--quiet", troupe.scene.pool), 0);
	cr_assert_str_eq(run.out, "");
}

Test(check, the_program_exits_with_1_when_something_is_wrong)
{
	struct cadre_ticket tickets[5];

	serve();
	occupy(tickets);
	child_stop(troupe.program);
	kill(troupe_worker(troupe.scene.pool, 0), SIGKILL);
	cr_assert(eventually(check() == 1), "%s", first_finding);

	cr_assert_eq(cadre_check_says(troupe.scene.pool, NULL), 1, "%s%s", run.out,
		     run.err);
	cr_assert_eq(strncmp(run.out, "worker 0 (pid ", 14), 0, "%s", run.out);
	cr_assert(strstr(run.out, " slots: 1 finding; accepted 5 = ended 0 + in flight 5;"),
		  "%s", run.out);
	cr_assert_str_eq(run.err, "");

	cr_assert_eq(cadre_check_says("--quiet", troupe.scene.pool), 1);
	cr_assert_null(strstr(run.out, "slots"), "%s", run.out);
	kill(troupe.program, SIGCONT);
	open_gate(1);
	for (unsigned i = 0; i < 5; i++) {
		const struct cadre_result result = await(tickets[i]);

		release(&result);
	}
}

Test(check, the_program_says_of_a_dead_pool_that_nobody_supervises_it)
{
	struct cadre_ticket tickets[5];

	serve();
	occupy(tickets);
	kill_pool();
	cr_assert_eq(cadre_check_says(troupe.scene.pool, NULL), 0, "%s%s", run.out,
		     run.err);
	cr_assert(strstr(run.out, "slots of a pool without a supervisor: all books balance; "
				  "accepted 5 = ended 0 + in flight 5"),
		  "%s", run.out);
	remove_pool();
}

Test(check, the_program_lists_refused_jobs_and_writes_their_requests)
{
	struct {
		struct troupe_death death;
		char rest[5000];
	} poison = { .death = { .how = SIGSEGV, .times = 99 } };

	START(.workers_min = 2, .workers_max = 2);
	cr_assert_eq(cadre_check_says("--refused", troupe.scene.pool), 0);
	cr_assert_str_eq(run.out, "");
	troupe_fill(poison.rest, sizeof(poison.rest), 5);
	expect(submit((struct cadre_request){ .operation = TROUPE_DIE,
					      .data = &poison,
					      .length = sizeof(poison),
					      .flags = CADRE_IDEMPOTENT }),
	       CADRE_REFUSED);
	cr_assert_eq(cadre_check_says("--refused", troupe.scene.pool), 0, "%s", run.err);
	cr_assert(strncmp(run.out, "0: 20", 5) == 0, "%s", run.out);
	cr_assert(strstr(run.out, "tried 2 times"), "%s", run.out);
	cr_assert(strstr(run.out, "SIGSEGV"), "%s", run.out);
	cr_assert_eq(cadre_check_says("--refused=0", troupe.scene.pool), 0, "%s", run.err);
	cr_assert_eq(run.length, sizeof(poison));
	cr_assert_eq(memcmp(run.out, &poison, sizeof(poison)), 0);
	cr_assert_eq(cadre_check_says("--refused=1", troupe.scene.pool), 1, "%s", run.err);
	cr_assert_eq(run.length, 0);
	cr_assert_eq(cadre_check_says("--refused=x", troupe.scene.pool), 64, "%s",
		     run.err);
}

Test(check, the_program_exits_with_2_without_a_pool_and_64_with_wrong_arguments)
{
	cr_assert_eq(cadre_check_says("no-such-pool", NULL), 2);
	cr_assert(strstr(run.err, "cadre check: cannot open pool \"no-such-pool\""), "%s",
		  run.err);
	cr_assert_str_eq(run.out, "");
	cr_assert_eq(cadre_check_says("no/name", NULL), 64);
	cr_assert_eq(cadre_check_says("a", "b"), 64);
	cr_assert_eq(cadre_check_says("--no-such-option", "a"), 64);
	cr_assert_eq(cadre_check_says(NULL, NULL), 64);
	cr_assert(strstr(run.err, "POOL is missing"), "%s", run.err);
}
