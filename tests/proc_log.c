/*
 * proc_log.c - claims about the log of real pools: what is written, what is not, who reads it,
 * and what becomes of it when somebody dies.
 */
#include "errors.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(log, HEARD);

enum { SAY = 1, DARE, SAY_AND_DIE, AWAIT_LEVEL, SAY_LATER };

struct order {
	int32_t level;
	uint32_t lines;
};

static unsigned evaluated;

static unsigned evaluate(void)
{
	return ++evaluated;
}

static struct order order_of(const struct cadre_job *job)
{
	struct order order;
	size_t length;

	memcpy(&order, cadre_job_data(job, &length), sizeof(order));
	return order;
}

static void say(const struct order *order)
{
	for (uint32_t i = 0; i < order->lines; i++)
		cadre_log((enum cadre_log_level)order->level, "line %u of %u", i,
			  order->lines);
}

static void reply_number(struct cadre_job *job, uint32_t number)
{
	cadre_job_reply(job, &number, sizeof(number));
}

static void do_say(struct cadre_job *job, void *state)
{
	const struct order order = order_of(job);

	(void)state;
	say(&order);
	reply_number(job, 0);
}

/* Replies with how many arguments were evaluated. */
static void do_dare(struct cadre_job *job, void *state)
{
	const struct order order = order_of(job);

	(void)state;
	evaluated = 0;
	cadre_log((enum cadre_log_level)order.level, "%u", evaluate());
	cadre_job_log(job, (enum cadre_log_level)order.level, "%u", evaluate());
	reply_number(job, evaluated);
}

static void do_die(struct cadre_job *job, void *state)
{
	const struct order order = order_of(job);

	(void)state;
	say(&order);
	kill(getpid(), SIGKILL);
	pause();
}

static void do_await_level(struct cadre_job *job, void *state)
{
	const struct order order = order_of(job);

	(void)state;
	while (!cadre_log_enabled((enum cadre_log_level)order.level))
		child_pause_ms(1);
	say(&order);
	reply_number(job, 0);
}

static void *say_of_job(void *job)
{
	cadre_job_log(job, CADRE_LOG_INFO, "of job %llu",
		      (unsigned long long)cadre_job_id(job));
	reply_number(job, 0);
	return NULL;
}

static void do_later(struct cadre_job *job, void *state)
{
	pthread_t thread;

	(void)state;
	cadre_job_defer(job);
	if (pthread_create(&thread, NULL, say_of_job, job) == 0)
		pthread_detach(thread);
}

static int log_in_init(const struct cadre_start *start, void **ret_state,
		       struct cadre_diag *diag)
{
	(void)ret_state;
	(void)diag;
	cadre_log(CADRE_LOG_DEBUG, "init of %u", start->worker);
	return 0;
}

static const struct cadre_operation operations[] = {
	{ SAY, "say", do_say },           { DARE, "dare", do_dare },
	{ SAY_AND_DIE, "die", do_die },   { AWAIT_LEVEL, "await", do_await_level },
	{ SAY_LATER, "later", do_later },
};

static const struct cadre_service chatter = {
	.size = sizeof(chatter),
	.name = "chatter",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.init = log_in_init,
};

#define OPEN(...) START_AND_HEAR(&chatter, ONE_WORKER, __VA_ARGS__)

static struct cadre_request order(int32_t operation, enum cadre_log_level level,
				  uint32_t lines)
{
	static struct order orders[64];
	static unsigned turn;
	struct order *const at = &orders[turn++ % 64];

	*at = (struct order){ .level = (int32_t)level, .lines = lines };
	return (struct cadre_request){ .operation = operation,
				       .data = at,
				       .length = sizeof(*at) };
}

static void set_level(enum cadre_log_level level)
{
	struct cadre_diag diag;
	const int r = cadre_log_set_level(troupe.scene.pool, level, &diag);

	cr_assert_eq(r, 0, "%d: %s", r, diag.text);
}

static uint32_t dare(enum cadre_log_level level)
{
	const struct cadre_result result = await(submit(order(DARE, level, 1)));
	const uint32_t number = number_in(&result);

	release(&result);
	return number;
}

/* ---- what is written ---- */

Test(log, is_off_by_default_and_then_no_argument_is_evaluated)
{
	OPEN(0);
	cr_assert_eq(dare(CADRE_LOG_EMERGENCY), 0);
	cr_assert_str_eq(read_errors(), "");
}

Test(log, a_message_above_the_level_is_not_formatted_and_one_at_it_is)
{
	OPEN(.log_level = CADRE_LOG_INFO);
	cr_assert_eq(dare(CADRE_LOG_DEBUG), 0);
	cr_assert_eq(dare(CADRE_LOG_INFO), 2);
	cr_assert_eq(dare(CADRE_LOG_ERROR), 2);
}

/* This process is no worker: nothing to write into, and nothing happens. */
Test(log, outside_of_a_worker_is_off)
{
	OPEN(.log_level = CADRE_LOG_TRACE);
	evaluated = 0;
	cadre_log(CADRE_LOG_EMERGENCY, "%u", evaluate());
	cr_assert_eq(evaluated, 0);
	cr_assert_not(cadre_log_enabled(CADRE_LOG_EMERGENCY));
}

Test(log, lines_carry_time_level_pool_worker_and_job)
{
	char expected[200];
	const char *line;
	struct cadre_ticket ticket;

	OPEN(.log_level = CADRE_LOG_INFO);
	ticket = submit(order(SAY, CADRE_LOG_INFO, 1));
	expect(ticket, CADRE_OK);
	cr_assert(eventually(count_of("line 0 of 1\n") == 1), "%s", said);
	line = strstr(said, " info ");
	snprintf(expected, sizeof(expected), " info %s worker 0 (pid %d) job ",
		 troupe.scene.pool, (int)troupe_worker(troupe.scene.pool, 0));
	cr_assert_not_null(line);
	cr_assert_eq(strncmp(line, expected, strlen(expected)), 0, "%s", line);
	/* "2026-11-22T08:30:00.123456Z": to the microsecond, in UTC. */
	cr_assert_geq(line - said, 27);
	cr_assert_eq(line[-1], 'Z');
	cr_assert_eq(line[-27 + 10], 'T');
}

Test(log, of_an_init_comes_before_the_worker_is_ready)
{
	OPEN(.log_level = CADRE_LOG_DEBUG);
	cr_assert(eventually(count_of(": init of 0\n") == 1));
	cr_assert(eventually(count_of(" is ready with 1 worker\n") == 1));
	cr_assert_lt(strstr(said, "init of 0"), strstr(said, " is ready with"));
}

Test(log, of_a_deferred_job_is_that_jobs_on_whatever_thread)
{
	char *line, *end;
	unsigned long long first, second;

	OPEN(.log_level = CADRE_LOG_INFO);
	expect(submit(order(SAY_LATER, CADRE_LOG_INFO, 1)), CADRE_OK);
	cr_assert(eventually(count_of(": of job ") == 1));
	line = strstr(said, ") job ");
	cr_assert_not_null(line);
	first = strtoull(line + strlen(") job "), &end, 10);
	second = strtoull(end + strlen(": of job "), NULL, 10);
	cr_assert_eq(first, second, "%s", said);
}

/* ---- the level ---- */

Test(log, level_changed_at_run_time_reaches_a_handler_that_runs)
{
	struct cadre_ticket ticket;

	OPEN(0);
	ticket = submit(order(AWAIT_LEVEL, CADRE_LOG_DEBUG, 2));
	cr_assert(eventually(troupe_look(troupe.scene.pool).in_flight == 1));
	set_level(CADRE_LOG_INFO);
	cr_assert_eq(count_of("line 1 of 2"), 0);
	set_level(CADRE_LOG_DEBUG);
	expect(ticket, CADRE_OK);
	cr_assert(eventually(count_of("line 1 of 2\n") == 1));
	set_level(CADRE_LOG_OFF);
	cr_assert_eq(dare(CADRE_LOG_EMERGENCY), 0);
}

Test(log, level_that_does_not_exist_or_of_no_pool_is_refused)
{
	struct cadre_diag diag;

	OPEN(0);
	cr_assert_eq(cadre_log_set_level(troupe.scene.pool, (enum cadre_log_level)99,
					 &diag),
		     -EINVAL);
	cr_assert_not_null(strstr(diag.text, "99"), "%s", diag.text);
	cr_assert_lt(cadre_log_set_level("no-such-pool", CADRE_LOG_INFO, &diag), 0);
	cr_assert_lt(cadre_log_set_level("no/name", CADRE_LOG_INFO, NULL), 0);
}

/* ---- deaths ---- */

Test(log, last_lines_of_a_worker_that_is_killed_come_out_before_the_notice_of_its_death)
{
	OPEN(.log_level = CADRE_LOG_INFO);
	expect(submit(order(SAY_AND_DIE, CADRE_LOG_INFO, 20)), CADRE_LOST);
	cr_assert(eventually(count_of(" warning ") == 1), "%s", said);
	for (unsigned i = 0; i < 20; i++) {
		char line[40];

		snprintf(line, sizeof(line), ": line %u of 20\n", i);
		cr_assert_eq(count_of(line), 1, "%s", line);
	}
	cr_assert_lt(strstr(said, "line 19 of 20"), strstr(said, "was killed by SIGKILL"));
	cr_assert_not_null(strstr(said, " supervisor (pid "));
}

Test(log, of_a_worker_whose_supervisor_died_goes_on_and_its_successor_tells_it)
{
	pid_t supervisor;

	OPEN(.log_level = CADRE_LOG_INFO);
	expect(submit(order(SAY, CADRE_LOG_INFO, 3)), CADRE_OK);
	cr_assert(eventually(count_of(" of 3\n") == 3));
	supervisor = troupe_supervisor(troupe.scene.pool);
	child_stop(supervisor);
	expect(submit(order(SAY, CADRE_LOG_INFO, 4)), CADRE_OK);
	kill(supervisor, SIGKILL);
	expect(submit(order(SAY, CADRE_LOG_INFO, 5)), CADRE_OK);
	cr_assert(eventually(count_of(" of 4\n") >= 4 && count_of(" of 5\n") >= 5), "%s",
		  said);
	cr_assert_eq(count_of(" of 3\n"), 3, "what was told is not told again");
}

/* ---- more than the ring holds ---- */

Test(log, who_falls_behind_is_told_how_many_lines_were_overwritten)
{
	pid_t supervisor;

	OPEN(.log_level = CADRE_LOG_INFO);
	cr_assert(eventually(count_of(" is ready with 1 worker\n") == 1));
	supervisor = troupe_supervisor(troupe.scene.pool);
	child_stop(supervisor);
	expect(submit(order(SAY, CADRE_LOG_INFO, CADRE_LOG_LINES + 10)), CADRE_OK);
	kill(supervisor, SIGCONT);
	/* The last of them comes out last. */
	cr_assert(eventually(count_of(": line 41 of 42\n") == 1), "%s", said);
	cr_assert_eq(count_of(" of 42\n"), CADRE_LOG_LINES, "%s", said);
	cr_assert_eq(count_of(": 10 lines were overwritten before they were read\n"), 1,
		     "%s", said);
}

/* ---- who reads ---- */

struct heard {
	unsigned lines;
	struct cadre_log_line last;
	char text[CADRE_LOG_TEXT_MAX + 1];
	char pool[CADRE_NAME_MAX + 1];
};

static void hear(const struct cadre_log_line *line, void *context)
{
	struct heard *const heard = context;

	heard->lines++;
	heard->last = *line;
	snprintf(heard->text, sizeof(heard->text), "%s", line->text);
	snprintf(heard->pool, sizeof(heard->pool), "%s", line->pool);
}

/* Any process that may map the segment; the one that started an embedded pool, say. */
Test(log, is_read_by_any_number_of_programs_each_from_where_it_is)
{
	struct heard first = { 0 }, second = { 0 };
	struct cadre_log *early, *late;

	OPEN(.log_level = CADRE_LOG_INFO, .log_sinks = CADRE_LOG_TO_NOBODY);
	cr_assert_eq(cadre_log_open(troupe.scene.pool, false, &early, NULL), 0);
	cr_assert_eq(cadre_log_read(early, hear, &first), 0);
	expect(submit(order(SAY, CADRE_LOG_INFO, 3)), CADRE_OK);
	cr_assert_eq(cadre_log_read(early, hear, &first), 3);
	cr_assert_str_eq(first.text, "line 2 of 3");
	cr_assert_str_eq(first.pool, troupe.scene.pool);
	cr_assert_eq(first.last.worker, 0);
	cr_assert_eq(first.last.level, CADRE_LOG_INFO);
	cr_assert_neq(first.last.job, 0);
	cr_assert_eq(cadre_log_open(troupe.scene.pool, true, &late, NULL), 0);
	cr_assert_geq(cadre_log_read(late, hear, &second), 3, "with what was kept");
	cr_assert_eq(cadre_log_read(early, hear, &first), 0);
	cadre_log_close(early);
	cadre_log_close(late);
	cr_assert_str_eq(read_errors(), "", "no sink was asked for");
}

Test(log, of_a_pool_that_is_not_there_cannot_be_read)
{
	struct cadre_diag diag;
	struct cadre_log *log;

	cr_assert_eq(cadre_log_open("no-such-pool", true, &log, &diag), -ENOENT);
	cadre_log_close(NULL);
}

/* In the server's own process; the board is shared with it. */
static void tell_board(const struct cadre_log_line *line, void *context)
{
	struct troupe_board *const board = context;

	if (strstr(line->text, "line ") && line->job)
		atomic_fetch_add(&board->logged, 1);
}

Test(log, callback_of_a_server_gets_each_line_in_its_own_process)
{
	const struct cadre_source source = { .service = &chatter };

	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){
					  ONE_WORKER, .log_level = CADRE_LOG_INFO,
					  .log_sinks = CADRE_LOG_TO_NOBODY,
					  .log = tell_board, .log_context = troupe.board }),
		     0);
	expect(submit(order(SAY, CADRE_LOG_INFO, 7)), CADRE_OK);
	cr_assert(eventually(atomic_load(&troupe.board->logged) == 7));
}

Test(log, callback_of_an_embedded_pool_is_refused_with_what_to_do_instead)
{
	const struct cadre_pool_options options = { .log = tell_board };

	cr_assert_eq(troupe_start(&troupe, &chatter, options), -EINVAL);
	cr_assert_not_null(strstr(troupe.diag.text, "cadre_log_open"), "%s",
			   troupe.diag.text);
}

Test(log, levels_and_sinks_that_do_not_exist_are_refused)
{
	const struct cadre_pool_options level = { .log_level = (enum cadre_log_level)10 };
	const struct cadre_pool_options sink = { .log_sinks = 1u << 9 };

	cr_assert_eq(troupe_start(&troupe, &chatter, level), -EINVAL);
	cr_assert_not_null(strstr(troupe.diag.text, "log_level 10"), "%s",
			   troupe.diag.text);
	cr_assert_eq(troupe_start(&troupe, &chatter, sink), -EINVAL);
	cr_assert_not_null(strstr(troupe.diag.text, "log_sinks"), "%s", troupe.diag.text);
}
