/*
 * proc_top.c - claims about `cadre top`, on a real terminal: tmux draws what the program
 * sends, types keys, and tells what stands on the screen.
 */
#include "claims.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the terminal ---- */

static char terminal[80]; /* the path of tmux's socket; "" when there is none */

/* Runs a command of tmux. True when it went well. */
__attribute__((format(printf, 1, 2))) static bool tmux(const char *format, ...)
{
	char command[1200], arguments[1000];
	va_list list;

	va_start(list, format);
	vsnprintf(arguments, sizeof(arguments), format, list);
	va_end(list);
	snprintf(command, sizeof(command), "tmux -S %s -f /dev/null %s 2>/dev/null",
		 terminal, arguments);
	return system(command) == 0;
}

static unsigned living_before;

/* tmux and what it ran are children of ours, since they lost their parents; they take a moment
 * to go. */
static void close_terminal(void)
{
	if (terminal[0] && tmux("kill-server"))
		(void)eventually(troupe_living() <= living_before);
	unlink(terminal);
	terminal[0] = '\0';
}

static void leave(void)
{
	close_terminal();
	troupe_leave();
}

TestSuite(top, .init = troupe_enter, .fini = leave, .timeout = 60);

/* Runs a shell command on a new terminal; what it ended with stands on the screen then. */
static void open_terminal(int columns, int lines, const char *command)
{
	static unsigned turn;

	living_before = troupe_living();
	snprintf(terminal, sizeof(terminal), "/tmp/cadre-test-%d-%u", (int)getpid(),
		 turn++);
	cr_assert(tmux("new-session -d -x %d -y %d '%s; echo status $?; sleep 1000'",
		       columns, lines, command),
		  "tmux does not start");
}

static const char *tool(void)
{
	static char path[4096];
	const char *const directory = getenv("CADRE_BIN_DIR");

	snprintf(path, sizeof(path), "%s/cadre", directory ? directory : "build/bin");
	return path;
}

static void open_top(int columns, int lines, const char *options)
{
	char command[4400];

	snprintf(command, sizeof(command), "%s top --interval 100ms %s %s", tool(),
		 options, troupe.scene.pool);
	open_terminal(columns, lines, command);
}

static void type(const char *keys)
{
	cr_assert(tmux("send-keys %s", keys));
}

static const char *screen(void)
{
	static char text[40000];
	char command[200];
	size_t length;
	FILE *pipe;

	snprintf(command, sizeof(command), "tmux -S %s capture-pane -p", terminal);
	pipe = popen(command, "re");
	cr_assert_not_null(pipe);
	length = fread(text, 1, sizeof(text) - 1, pipe);
	pclose(pipe);
	text[length] = '\0';
	return text;
}

static bool shows(const char *text)
{
	return strstr(screen(), text) != NULL;
}

#define EXPECT(text) \
	cr_assert(eventually(shows(text)), "no \"%s\" on the screen:\n%s", text, screen())
#define EXPECT_NO_MORE(text)                                                         \
	cr_assert(eventually(!shows(text)), "still \"%s\" on the screen:\n%s", text, \
		  screen())

/* ---- what is seen ---- */

Test(top, it_shows_the_pool_its_map_and_a_row_for_each_worker)
{
	char pid[32];

	START(.workers_min = 2, .workers_max = 3);
	snprintf(pid, sizeof(pid), " %d _ ", (int)troupe_worker(troupe.scene.pool, 1));
	open_top(140, 40, "");
	EXPECT(troupe.scene.pool);
	EXPECT("map  __.");
	EXPECT("workers 2/2..3 busy 0");
	EXPECT(pid);
}

Test(top, a_job_that_never_ends_is_seen_with_its_worker_its_time_and_its_load)
{
	struct cadre_ticket ticket;

	START(ONE_WORKER);
	ticket = occupy_worker();
	open_top(160, 40, "");
	EXPECT("map  W");
	EXPECT("hold");
	EXPECT(" 100.0 ");
	EXPECT("in flight 1");
	open_gate(1);
	expect(ticket, CADRE_OK);
	EXPECT("map  _");
	EXPECT("in flight 0");
}

Test(top, keys_choose_the_view)
{
	START(ONE_WORKER);
	call_ok(ASK(TROUPE_LOG, 1));
	open_top(140, 40, "");
	EXPECT("WORKER");
	type("o");
	EXPECT("OPERATION");
	EXPECT("log ");
	type("c");
	EXPECT("SUBMITTED");
	type("e");
	EXPECT("WHAT HAPPENED");
	EXPECT("pool_ready");
	type("h");
	EXPECT("sort by the column");
	type("Escape");
	EXPECT("WHAT HAPPENED");
	type("w");
	EXPECT("WORKER");
}

Test(top, the_column_that_sorts_is_marked_moved_and_turned)
{
	START(.workers_min = 2, .workers_max = 2);
	open_top(140, 40, "");
	EXPECT("WORKER<");
	type("'>'");
	EXPECT("PID<");
	type("r");
	EXPECT("PID>");
	type("'<'");
	EXPECT("WORKER>");
	cr_assert(eventually(strstr(screen(), "\n     1 ") < strstr(screen(), "\n     0 ")),
		  "%s", screen());
}

/* The first text stands above the second one. */
static bool is_above(const char *first, const char *second)
{
	const char *const text = screen(), *const at = strstr(text, first);

	return at && strstr(at, second);
}

Test(top, texts_are_sorted_as_texts)
{
	START(ONE_WORKER);
	open_top(140, 40, "");
	type("o");
	EXPECT("JOBS/s>");
	type("'<' '<'");
	EXPECT("OPERATION>");
	cr_assert(eventually(is_above("\nwho ", "\ndie ")), "%s", screen());
	type("r");
	EXPECT("OPERATION<");
	cr_assert(eventually(is_above("\ndie ", "\nwho ")), "%s", screen());
}

Test(top, events_stand_with_the_newest_above_or_the_oldest)
{
	START(ONE_WORKER);
	open_top(140, 40, "");
	type("e");
	EXPECT("AGO<");
	cr_assert(eventually(is_above("pool_ready", "worker_started")), "%s", screen());
	type("r");
	EXPECT("AGO>");
	cr_assert(eventually(is_above("worker_started", "pool_ready")), "%s", screen());
}

Test(top, enter_shows_one_worker_with_the_histogram_that_the_key_chose)
{
	START(ONE_WORKER);
	for (uint32_t i = 0; i < 20; i++)
		call_ok(ASK(TROUPE_LOG, i));
	open_top(140, 40, "");
	EXPECT("map  _");
	type("Enter");
	EXPECT("service of 20 jobs");
	EXPECT("#");
	EXPECT("counters.jobs_taken");
	EXPECT("letter                               _");
	type("L");
	EXPECT("total of 20 jobs");
	type("q");
	EXPECT("WORKER<");
}

Test(top, help_is_longer_than_a_small_screen_and_can_be_scrolled_to_its_end)
{
	START(ONE_WORKER);
	open_top(80, 24, "");
	EXPECT("map  _");
	type("h");
	EXPECT("w o c e ");
	cr_assert_not(shows("cadre stat --list"), "%s", screen());
	type("End");
	EXPECT("cadre stat --list");
	EXPECT_NO_MORE("w o c e ");
	/* There was nothing behind the end: each key counts at once. */
	type("Up");
	EXPECT_NO_MORE("cadre stat --list");
	type("Down");
	EXPECT("cadre stat --list");
	type("Home");
	EXPECT("w o c e ");
}

Test(top, a_death_is_among_the_events_with_the_place_where_it_happened)
{
	struct cadre_result result;
	const struct troupe_death death = { .how = SIGSEGV, .times = 1 };
	const struct cadre_request request = { .operation = TROUPE_DIE,
					       .data = &death,
					       .length = sizeof(death) };

	START(ONE_WORKER);
	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	cr_assert_eq(result.outcome, CADRE_LOST);
	release(&result);
	open_top(140, 40, "");
	type("e");
	EXPECT("worker_died");
	EXPECT("was killed by SIGSEGV");
	for (int row = 0; row < 10 && !shows("worker_died, "); row++) {
		type("Enter");
		cr_assert(eventually(shows(" ago\n")));
		if (!shows("worker_died, ")) {
			type("Escape");
			EXPECT("WHAT HAPPENED");
			type("Down");
		}
	}
	EXPECT("worker_died, ");
}

Test(top, what_is_idle_can_be_hidden)
{
	START(.workers_min = 1, .workers_max = 3);
	open_top(140, 40, "");
	EXPECT("\n     2 ");
	type("i");
	EXPECT("no workers to show");
	type("i");
	EXPECT("\n     2 ");
}

Test(top, it_fits_itself_into_a_terminal_that_changes_its_size)
{
	START(.workers_min = 2, .workers_max = 2);
	open_top(160, 40, "");
	EXPECT(" RSS ");
	tmux("resize-window -x 60 -y 12");
	EXPECT_NO_MORE(" RSS ");
	EXPECT("map  __");
	tmux("resize-window -x 20 -y 3");
	EXPECT_NO_MORE("map");
	tmux("resize-window -x 1 -y 1");
	for (const char *view = "wocehw"; *view; view++) {
		const char keys[] = { *view, '\0' };

		type(keys);
		type("Enter Down End Escape");
	}
	tmux("resize-window -x 160 -y 40");
	EXPECT(" RSS ");
	EXPECT("h help");
}

static void serve(uint32_t workers)
{
	const struct cadre_source source = { .service = &troupe_service };

	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){ .workers_min = workers,
							       .workers_max = workers,
							       .orphan_ns = 50 * 1000000 }),
		     0);
}

/* Ends the pool as a crash would. Its workers leave, so that the successor begins anew. */
static void kill_pool_of(uint32_t workers)
{
	pid_t pids[4];

	for (uint32_t i = 0; i < workers; i++)
		pids[i] = troupe_worker(troupe.scene.pool, i);
	troupe_kill_program(&troupe);
	for (uint32_t i = 0; i < workers; i++)
		cr_assert(eventually(troupe_is_gone(pids[i])));
	cadre_client_detach(troupe.client);
	troupe.client = NULL;
}

Test(top, a_pool_without_supervisor_says_so_and_the_next_one_of_its_name_is_shown)
{
	char supervisor[40];

	serve(1);
	open_top(140, 40, "");
	EXPECT("map  _");
	kill_pool_of(1);
	EXPECT("NO SUPERVISOR");
	EXPECT("map  X");
	serve(1);
	snprintf(supervisor, sizeof(supervisor), "supervisor %d ",
		 (int)troupe_supervisor(troupe.scene.pool));
	EXPECT(supervisor);
	EXPECT("map  _");
}

Test(top, a_worker_whose_place_is_gone_with_its_pool_is_not_another_one)
{
	serve(3);
	open_top(140, 40, "");
	EXPECT("map  ___");
	type("End Enter");
	EXPECT("\nworker 3"); /* The place for a replacement. */
	kill_pool_of(3);
	serve(1);
	EXPECT("it was in the pool before this one, which has no such place");
	type("Escape");
	EXPECT("WORKER<");
}

Test(top, an_event_of_the_pool_before_is_not_the_one_of_its_number_in_the_next)
{
	serve(1);
	open_top(140, 40, "");
	type("e End Enter");
	EXPECT("worker_started, ");
	kill_pool_of(1);
	serve(1);
	EXPECT("it was in the pool before this one");
	type("Escape");
	EXPECT("WHAT HAPPENED");
}

Test(top, a_paused_screen_stands_still_and_says_so)
{
	START(ONE_WORKER);
	open_top(140, 40, "");
	EXPECT("map  _");
	type("p");
	EXPECT("paused");
	call_ok(ASK(TROUPE_LOG, 1));
	type("o");
	EXPECT("OPERATION");
	type("p");
	EXPECT_NO_MORE("paused");
	EXPECT("log ");
}

/* ---- how it ends, and when it does not begin ---- */

Test(top, the_key_q_and_a_signal_end_it_well_and_leave_the_terminal_as_it_was)
{
	START(ONE_WORKER);
	open_top(140, 40, "");
	EXPECT("map  _");
	type("q");
	EXPECT("status 0");
	close_terminal();
	open_top(140, 40, "");
	EXPECT("map  _");
	type("C-c");
	EXPECT("status 0");
}

Test(top, a_pool_that_is_not_there_is_a_sentence)
{
	char command[4300];

	snprintf(command, sizeof(command), "%s top no-such-pool", tool());
	open_terminal(120, 10, command);
	EXPECT("no segment");
	EXPECT("status 2");
}

Test(top, a_terminal_of_an_unknown_type_is_a_sentence)
{
	char command[4300];

	START(ONE_WORKER);
	snprintf(command, sizeof(command), "TERM=nonsense %s top %s", tool(),
		 troupe.scene.pool);
	open_terminal(120, 10, command);
	EXPECT("its type (TERM) is unknown");
	EXPECT("status 1");
}

/* Output of a command that has no terminal. */
static const char *output_of(const char *command, int *ret_status)
{
	static char text[4000];
	FILE *const pipe = popen(command, "re");
	size_t length;
	int status;

	cr_assert_not_null(pipe);
	length = fread(text, 1, sizeof(text) - 1, pipe);
	text[length] = '\0';
	status = pclose(pipe);
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return text;
}

Test(top, without_a_terminal_it_says_so_and_sends_no_escape_sequence)
{
	char command[4300];
	const char *output;
	int status;

	START(ONE_WORKER);
	snprintf(command, sizeof(command), "%s top %s 2>&1 </dev/null", tool(),
		 troupe.scene.pool);
	output = output_of(command, &status);
	cr_assert_eq(status, 1);
	cr_assert_not_null(strstr(output, "there is no terminal to draw on"));
	cr_assert_null(strchr(output, 27), "an escape sequence");
}

Test(top, an_interval_that_cannot_be_is_refused_with_a_sentence)
{
	char command[4300];
	int status;

	snprintf(command, sizeof(command), "%s top --interval 1ms 2>&1", tool());
	cr_assert_not_null(strstr(output_of(command, &status), "must be from 100ms to 1m"));
	cr_assert_eq(status, 64);
}
