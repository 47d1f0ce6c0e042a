/*
 * proc_ctl.c - SPEC section 13, `cadre ctl`: what it prints, its exit statuses, and who may
 * give orders. What the orders do to a pool: proc_pool.c, proc_reload.c.
 */
#include "claims.h"

#include "control.h"

#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static char said[4000]; /* by the last command: both of its outputs */

static void begin(void)
{
	troupe_begin(&troupe);
	snprintf(directory, sizeof(directory), "/tmp/cadre-ctl-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
}

static void end(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	scene_insist(system(command) == 0 ? NULL : "left behind: a directory");
	troupe_leave();
}

TestSuite(ctl, .init = begin, .fini = end, .timeout = 60);

/* Runs `cadre ARGUMENTS`; its exit status. */
static int cadre(const char *arguments)
{
	const char *const programs = getenv("CADRE_BIN_DIR");
	char command[1000], path[100];
	FILE *out;
	int status;

	cr_assert_not_null(programs, "CADRE_BIN_DIR must be set");
	snprintf(path, sizeof(path), "%s/said", directory);
	snprintf(command, sizeof(command), "%s/cadre %s >%s 2>&1 </dev/null", programs,
		 arguments, path);
	status = system(command);
	out = fopen(path, "re");
	cr_assert_not_null(out);
	memset(said, 0, sizeof(said));
	cr_assert_geq(fread(said, 1, sizeof(said) - 1, out), 0);
	fclose(out);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* `cadre ctl POOL ARGUMENTS` of the test's pool. */
static int ctl(const char *arguments)
{
	char text[400];

	snprintf(text, sizeof(text), "ctl %s %s", troupe.scene.pool, arguments);
	return cadre(text);
}

static bool says(const char *words)
{
	return strstr(said, words) != NULL;
}

static unsigned lines(void)
{
	unsigned count = 0;

	for (const char *c = said; *c; c++)
		count += *c == '\n';
	return count;
}

#define EXPECT(status, words, arguments)                                                 \
	do {                                                                             \
		const int status_ = ctl(arguments);                                      \
                                                                                         \
		cr_assert_eq(status_, (status), "%s: %d: %s", arguments, status_, said); \
		cr_assert(says(words), "%s: %s", arguments, said);                       \
	} while (0)

static void serve(struct cadre_pool_options options)
{
	const struct cadre_source source = { .service = &troupe_service };

	cr_assert_eq(troupe_serve(&troupe, &source, options), 0, "%s", troupe.diag.text);
}

/* ---- orders ---- */

Test(ctl, status_is_one_line_and_changes_nothing)
{
	serve((struct cadre_pool_options){ .workers_min = 2, .workers_max = 3 });
	EXPECT(0, "open, 2 workers of 2..3, parallel 1, 0 jobs waiting and 0 running",
	       "status");
	cr_assert_eq(lines(), 1);
	cr_assert_eq(strncmp(said, troupe.scene.pool, strlen(troupe.scene.pool)), 0);
}

Test(ctl, drain_and_start_with_wait_return_when_it_is_so)
{
	serve((struct cadre_pool_options){ .workers_min = 2, .workers_max = 2 });
	EXPECT(0, "draining", "drain --wait");
	EXPECT(0, "stopped, 0 workers", "status");
	EXPECT(0, "open", "start --wait");
	EXPECT(0, "open, 2 workers", "status");
	EXPECT(0, "open already", "start");
	call_ok(ASK(TROUPE_LOG, 1));
}

Test(ctl, what_does_not_come_in_time_goes_on_and_is_status_1)
{
	struct cadre_ticket held;

	serve((struct cadre_pool_options){ ONE_WORKER });
	held = occupy_worker();
	EXPECT(1, "not come to it in time", "drain --wait --timeout 50ms");
	EXPECT(0, "draining", "status");
	open_gate(1);
	expect(held, CADRE_OK);
}

Test(ctl, scale_with_wait_returns_when_the_workers_are_there)
{
	serve((struct cadre_pool_options){ ONE_WORKER, .workers_limit = 4 });
	EXPECT(0, "scaled to 3..4 workers", "scale 3..4 --wait");
	EXPECT(0, "3 workers of 3..4", "status");
	EXPECT(0, "", "scale 1 --wait --quiet");
	cr_assert_str_eq(said, "");
}

Test(ctl, stop_idle_lets_workers_leave_down_to_min)
{
	serve((struct cadre_pool_options){ .workers_min = 3, .workers_max = 3 });
	EXPECT(0, "scaled", "scale 1..3");
	EXPECT(0, "0 workers leave", "stop-idle 1h");
	EXPECT(0, "2 workers leave", "stop-idle 1ns");
	EXPECT(0, "0 workers leave", "stop-idle 1ns");
}

Test(ctl, cancel_ends_every_job_and_the_pool_goes_on)
{
	struct cadre_ticket held, waiting;

	serve((struct cadre_pool_options){ ONE_WORKER });
	held = occupy_worker();
	waiting = submit(ASK(TROUPE_LOG, 1));
	EXPECT(0, "cancelled 2 jobs", "cancel");
	expect(held, CADRE_CANCELLED);
	expect(waiting, CADRE_CANCELLED);
	open_gate(1);
	call_ok(ASK(TROUPE_LOG, 2));
}

Test(ctl, reload_replaces_the_workers)
{
	pid_t pid;

	serve((struct cadre_pool_options){ ONE_WORKER });
	pid = ask_who().pid;
	EXPECT(0, "reloaded: version 1 is served by 1 worker\n", "reload");
	cr_assert_neq(ask_who().pid, pid);
	EXPECT(0, "version 1", "status");
}

Test(ctl, a_reload_that_is_undone_is_status_1_and_says_why)
{
	struct cadre_service service = troupe_service;
	const struct cadre_source source = { .service = &service };
	pid_t pid;

	troupe_refusal = child_share(sizeof(*troupe_refusal));
	service.init = troupe_begin_unless_refused;
	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0);
	pid = ask_who().pid;
	atomic_store(troupe_refusal, -EIO);
	EXPECT(1, "not reloaded, version 0 goes on", "reload");
	cr_assert(says("Input/output error"), "%s", said);
	cr_assert_eq(ask_who().pid, pid);
}

Test(ctl, stop_with_wait_returns_when_the_pool_is_gone)
{
	serve((struct cadre_pool_options){ ONE_WORKER });
	call_ok(ASK(TROUPE_LOG, 1));
	EXPECT(0, "stopping", "stop --wait");
	cr_assert_eq(child_end(troupe.program), CHILD_FINE);
	troupe.program = 0;
	cr_assert_eq(troupe.board->finis, 1);
	EXPECT(2, "no segment", "status");
}

Test(ctl, terminate_ends_jobs_as_terminated)
{
	struct cadre_ticket held;

	serve((struct cadre_pool_options){ ONE_WORKER });
	held = occupy_worker();
	EXPECT(0, "terminated", "terminate --wait");
	expect(held, CADRE_TERMINATED);
	cr_assert_eq(child_end(troupe.program), CHILD_FINE);
	troupe.program = 0;
}

/* ---- what is wrong ---- */

Test(ctl, a_pool_that_is_not_there_or_dead_is_status_2)
{
	EXPECT(2, "no segment", "status");
	EXPECT(2, "no supervisor", "drain");
	EXPECT(2, "no segment", "stop-idle 1s");

	serve((struct cadre_pool_options){ ONE_WORKER, .orphan_ns = 1 });
	troupe_kill_program(&troupe);
	EXPECT(2, "no supervisor", "drain");
	EXPECT(2, "without a supervisor", "status");
	cr_assert(eventually(troupe_living() == 0));
	cadre_client_detach(troupe.client);
	troupe.client = NULL;
	cr_assert_eq(cadre_collect_garbage(troupe.scene.pool, 0, NULL, NULL), 1);
}

Test(ctl, an_order_to_a_pool_that_is_about_to_end_is_status_1)
{
	struct cadre_ticket held;

	serve((struct cadre_pool_options){ ONE_WORKER });
	held = occupy_worker();
	EXPECT(0, "stopping", "stop");
	EXPECT(1, "about to end", "start");
	EXPECT(1, "about to end", "drain");
	EXPECT(1, "about to end", "scale 1");
	EXPECT(1, "not open", "reload");
	open_gate(1);
	expect(held, CADRE_OK);
	cr_assert_eq(child_end(troupe.program), CHILD_FINE);
	troupe.program = 0;
}

Test(ctl, wrong_arguments_are_status_64_and_one_sentence)
{
	static const struct {
		const char *arguments, *words;
	} wrong[] = {
		{ "", "a pool and a verb must be given" },
		{ "dance", "no verb \"dance\"" },
		{ "scale", "scale needs MIN..MAX" },
		{ "scale 3..1", "the first number is the smaller one" },
		{ "scale 1..999", "scale 1..999: must be MIN..MAX" },
		{ "stop-idle", "stop-idle needs a duration" },
		{ "stop-idle soon", "stop-idle soon" },
		{ "drain now", "one argument too many" },
		{ "drain --timeout never", "--timeout never" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		EXPECT(64, wrong[i].words, wrong[i].arguments);
		cr_assert_eq(lines(), 1, "%s", said);
		cr_assert_eq(strncmp(said, "cadre ctl: ", 11), 0, "%s", said);
	}
	cr_assert_eq(cadre("ctl ../etc drain"), 64);
}

Test(ctl, help_shows_verbs_examples_and_exit_statuses)
{
	cr_assert_eq(cadre("ctl --help"), 0);
	cr_assert(says("Exit status:") && says("Examples:") && says("reload") &&
		  says("stop-idle"));
}

/* ---- who may ---- */

static int drain_as_somebody_else(void *context)
{
	const gid_t group = *(const gid_t *)context;
	const struct cadre_order order = { .kind = CADRE_ORDER_DRAIN };
	struct cadre_diag diag = { "" };
	int r;

	if (setgroups(0, NULL) < 0 || setresgid(group, group, group) < 0 ||
	    setresuid(65534, 65534, 65534) < 0)
		return CHILD_SKIPPED;
	r = cadre_order(troupe.scene.pool, &order, GENEROUS, &diag);
	if (r == -EACCES && strstr(diag.text, "takes no orders from this user"))
		return 2;
	return r == 0 ? CHILD_FINE : CHILD_FAILED;
}

Test(ctl, only_the_owner_may_give_orders)
{
	const gid_t group = getgid();
	int r;

	if (geteuid() != 0)
		cr_skip_test("needs to become somebody else");
	serve((struct cadre_pool_options){ ONE_WORKER });
	r = child_run(drain_as_somebody_else, (void *)&group);
	cr_assert_eq(r, 2, "%d", r);
	call_ok(ASK(TROUPE_LOG, 1));
}

Test(ctl, its_group_may_when_the_mode_says_so)
{
	const gid_t group = getgid(), other = 65534;

	if (geteuid() != 0)
		cr_skip_test("needs to become somebody else");
	serve((struct cadre_pool_options){ ONE_WORKER, .mode = 0660 });
	cr_assert_eq(child_run(drain_as_somebody_else, (void *)&other), 2);
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(child_run(drain_as_somebody_else, (void *)&group), CHILD_FINE);
	cr_assert(eventually(strcmp(troupe_look(troupe.scene.pool).state, "stopped") == 0));
}

/* ---- on the wire ---- */

Test(ctl, a_question_of_an_unknown_kind_is_answered_with_no)
{
	const struct cadre_control odd = cadre_control_message(
		(enum cadre_control_kind)9999);
	struct cadre_control answer;

	serve((struct cadre_pool_options){ ONE_WORKER });
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &odd, GENEROUS, &answer), 0);
	cr_assert_eq(answer.error, -EBADMSG);
	cr_assert_not_null(strstr(answer.text, "unknown kind 9999"));
}

Test(ctl, a_question_of_another_version_is_not_answered)
{
	struct cadre_control odd = cadre_control_message(CADRE_CONTROL_TERMINATE);
	struct cadre_control answer;

	serve((struct cadre_pool_options){ ONE_WORKER });
	odd.version++;
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &odd, GENEROUS, &answer),
		     -ECONNREFUSED);
	call_ok(ASK(TROUPE_LOG, 1));
}
