/*
 * proc_worker.c - SPEC section 2: claims about workers of a real pool: how they start and
 * leave, what their handlers may do, how many jobs they have at once, and worker programs.
 * (2.1, tables that cannot be served: test_service.c, proc_refusal.c; 2.5, 2.6: proc_pool.c.)
 *
 * Called with an argument, this program is such a worker program itself.
 */
#include "errors.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

TestSuite(worker, HEARD);

static struct cadre_result call(struct cadre_request request)
{
	struct cadre_result result;

	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	return result;
}

static bool all_wait(uint32_t count)
{
	return atomic_load(&troupe.board->waiting) == count;
}

static uint64_t pending_jobs(void)
{
	return troupe_look(troupe.scene.pool).queue_length;
}

/* ---- init and fini ---- */

Test(worker, init_is_told_the_start_arguments_and_the_place)
{
	static const char arguments[] = "any\0bytes\n";
	struct cadre_result result;
	struct troupe_who first, second;

	START(ONE_WORKER, .start_data = arguments, .start_length = sizeof(arguments));
	result = call((struct cadre_request){ .operation = TROUPE_START });
	cr_assert_eq(result.length, sizeof(arguments));
	cr_assert_arr_eq(result.data, arguments, sizeof(arguments));
	release(&result);

	first = ask_who();
	cr_assert_eq(first.worker, 0);
	cr_assert_eq(first.incarnation, 1);
	kill(first.pid, SIGKILL);
	cr_assert(eventually(troupe_is_gone(first.pid)));
	second = ask_who();
	cr_assert_eq(second.worker, 0);
	cr_assert_eq(second.incarnation, 2);
}

Test(worker, each_worker_starts_once_and_in_its_own_place)
{
	START(.workers_min = 3, .workers_max = 3);
	cr_assert_eq(troupe.board->inits, 3);
	for (uint32_t place = 0; place < 3; place++) {
		cr_assert_gt(troupe_worker(troupe.scene.pool, place), 0);
		for (uint32_t other = 0; other < place; other++)
			cr_assert_neq(troupe_worker(troupe.scene.pool, place),
				      troupe_worker(troupe.scene.pool, other));
	}
}

static int fail_in_words(const struct cadre_start *start, void **ret_state,
			 struct cadre_diag *diag)
{
	(void)ret_state;
	snprintf(diag->text, sizeof(diag->text), "no flour in the kitchen of %s",
		 start->pool);
	return -1;
}

static int fail_by_number(const struct cadre_start *start, void **ret_state,
			  struct cadre_diag *diag)
{
	(void)start;
	(void)ret_state;
	(void)diag;
	return -ENETDOWN;
}

static int leave_in_init(const struct cadre_start *start, void **ret_state,
			 struct cadre_diag *diag)
{
	(void)start;
	(void)ret_state;
	(void)diag;
	_exit(5);
}

static int crash_in_init(const struct cadre_start *start, void **ret_state,
			 struct cadre_diag *diag)
{
	(void)start;
	(void)ret_state;
	(void)diag;
	kill(getpid(), SIGKILL);
	return 0;
}

static int hang_in_init(const struct cadre_start *start, void **ret_state,
			struct cadre_diag *diag)
{
	(void)start;
	(void)ret_state;
	(void)diag;
	child_idle();
}

/* A pool whose workers cannot start does not start, and says why. */
static void expect_no_start(int (*init)(const struct cadre_start *, void **,
					struct cadre_diag *),
			    const char *words)
{
	const struct cadre_pool_options options = {
		.workers_min = 2,
		.workers_max = 2,
		.start_timeout_ns = INT64_C(200000000),
	};
	struct cadre_service service = troupe_service;

	service.init = init;
	cr_assert_eq(troupe_start(&troupe, &service, options), -ENOEXEC, "%s",
		     troupe.diag.text);
	cr_assert_not_null(strstr(troupe.diag.text, words), "\"%s\" is not in \"%s\"",
			   words, troupe.diag.text);
	cr_assert_not_null(strstr(troupe.diag.text, troupe.scene.pool), "%s",
			   troupe.diag.text);
	cr_assert_eq(scene_files(troupe.scene.pool), 0);
}

Test(worker, an_init_that_fails_is_heard_by_who_starts_the_pool_in_its_own_words)
{
	expect_no_start(fail_in_words, "no flour in the kitchen of");
}

Test(worker, an_init_that_fails_without_words_is_heard_by_its_error)
{
	expect_no_start(fail_by_number, "Network is down");
}

Test(worker, an_init_that_exits_is_heard_by_its_status)
{
	expect_no_start(leave_in_init, "exited with status 5");
}

Test(worker, an_init_that_crashes_is_heard_by_its_signal)
{
	expect_no_start(crash_in_init, "was killed by SIGKILL");
}

Test(worker, an_init_that_takes_too_long_is_ended)
{
	expect_no_start(hang_in_init, "took longer than 200 ms");
}

Test(worker, a_service_needs_neither_init_nor_fini)
{
	struct cadre_service service = troupe_service;

	service.init = NULL;
	service.fini = NULL;
	cr_assert_eq(troupe_start(&troupe, &service,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0);
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
}

Test(worker, fini_runs_at_an_orderly_end)
{
	START(.workers_min = 2, .workers_max = 2);
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(troupe.board->inits, 2);
	cr_assert_eq(troupe.board->finis, 2);
}

Test(worker, fini_does_not_run_when_a_worker_is_killed)
{
	pid_t pid;

	START(ONE_WORKER);
	pid = ask_who().pid;
	kill(pid, SIGKILL);
	cr_assert(eventually(troupe_is_gone(pid)));
	cr_assert_neq(ask_who().pid, pid);
	cr_assert_eq(troupe_terminate(&troupe), 0);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(troupe.board->inits, 2);
	cr_assert_eq(troupe.board->finis, 0);
}

static int fail_in_fini(void *state)
{
	free(state);
	return -ENETDOWN;
}

Test(worker, a_fini_that_fails_is_logged_and_not_raised)
{
	struct cadre_service service = troupe_service;

	service.fini = fail_in_fini;
	START_AND_HEAR(&service, ONE_WORKER, .log_level = CADRE_LOG_WARNING);
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(count_of("fini of service \"stage\" failed: Network is down"), 1,
		     "%s", said);
}

/* ---- what a handler says ---- */

Test(worker, an_unknown_operation_fails_and_the_worker_lives)
{
	struct cadre_result result;
	pid_t pid;

	START(ONE_WORKER);
	pid = ask_who().pid;
	result = call((struct cadre_request){ .operation = TROUPE_NEVER_SERVED });
	cr_assert_eq(result.outcome, CADRE_FAILED);
	cr_assert_eq(result.code, ENOENT);
	cr_assert_str_eq(result.sentence, "unknown operation 99");
	release(&result);
	cr_assert_eq(ask_who().pid, pid);
}

Test(worker, a_failure_carries_the_code_and_the_sentence_of_the_handler)
{
	static const char long_sentence[] =
		"this sentence is meant to be longer than what fits a slot, so that it is cut "
		"somewhere behind this word or the next";
	struct cadre_result result;

	START(ONE_WORKER);
	result = call((struct cadre_request){
		.operation = TROUPE_FAIL, .data = "no eggs", .length = 7 });
	cr_assert_eq(result.outcome, CADRE_FAILED);
	cr_assert_eq(result.code, 7);
	cr_assert_str_eq(result.sentence, "no eggs");
	cr_assert_null(result.data);
	release(&result);

	result = call((struct cadre_request){ .operation = TROUPE_FAIL,
					      .data = long_sentence,
					      .length = strlen(long_sentence) });
	cr_assert_eq(strlen(result.sentence), CADRE_SENTENCE_MAX);
	cr_assert_arr_eq(result.sentence, long_sentence, CADRE_SENTENCE_MAX);
	release(&result);
}

Test(worker, a_handler_that_returns_without_a_reply_fails_its_job)
{
	struct cadre_result result;

	START(ONE_WORKER);
	result = call((struct cadre_request){ .operation = TROUPE_SILENT });
	cr_assert_eq(result.outcome, CADRE_FAILED);
	cr_assert_eq(result.code, ENOMSG);
	release(&result);
}

static void second_reply_is_refused(size_t length)
{
	char bytes[1000];
	struct cadre_result result;

	troupe_fill(bytes, length, 1);
	START(ONE_WORKER);
	result = call((struct cadre_request){
		.operation = TROUPE_TWICE, .data = bytes, .length = length });
	cr_assert(eventually(atomic_load(&troupe.board->has_told) == 1));
	cr_assert_eq(troupe.board->told[0], -EALREADY);
	cr_assert_eq(troupe.board->told[1], -EALREADY);
	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	cr_assert_eq(result.length, length);
	cr_assert(troupe_holds(result.data, length, 1));
	release(&result);
}

Test(worker, a_second_reply_is_refused_and_leaves_a_short_first_one_alone)
{
	second_reply_is_refused(20);
}

Test(worker, a_second_reply_is_refused_and_leaves_a_long_first_one_alone)
{
	second_reply_is_refused(1000);
}

Test(worker, a_reply_that_is_too_long_is_refused_and_the_job_can_still_fail)
{
	struct cadre_result result;

	START(ONE_WORKER);
	result = call((struct cadre_request){ .operation = TROUPE_TOO_LONG });
	cr_assert_eq(troupe.board->told[0], -EMSGSIZE);
	cr_assert_eq(troupe.board->told[1], -EMSGSIZE);
	cr_assert_eq(result.outcome, CADRE_FAILED);
	cr_assert_eq(result.code, EMSGSIZE);
	release(&result);
}

Test(worker, no_more_can_be_committed_than_room_was_asked_for)
{
	START(ONE_WORKER);
	call_ok((struct cadre_request){ .operation = TROUPE_OVERDRAW });
	cr_assert_eq(troupe.board->told[0], -EINVAL);
	cr_assert_eq(troupe.board->told[1], -EINVAL);
}

Test(worker, a_deferred_job_is_ended_by_another_thread)
{
	struct cadre_ticket ticket;
	struct cadre_result result;

	START(ONE_WORKER);
	ticket = submit(ASK(TROUPE_LATER, 1));
	cr_assert(eventually(all_wait(1)));
	cr_assert_eq(cadre_try_take(troupe.client, ticket, &result), -EAGAIN);
	open_gate(1);
	result = await(ticket);
	cr_assert_eq(number_in(&result), 1);
	release(&result);
}

/* ---- how many at once ---- */

/* One worker with room for three, and four jobs: three begin, the fourth when one ends. */
static void three_of_four_run(const struct cadre_service *service,
			      enum troupe_operation operation)
{
	struct cadre_ticket tickets[4];

	cr_assert_eq(troupe_start(&troupe, service,
				  (struct cadre_pool_options){ ONE_WORKER, .parallel = 3 }),
		     0);
	for (uint32_t i = 0; i < 4; i++)
		tickets[i] = submit(ASK(operation, i + 1));
	cr_assert(eventually(all_wait(3)));
	cr_assert_eq(pending_jobs(), 1);
	cr_assert_eq(troupe_look_worker(troupe.scene.pool, 0).letter, 'W');

	open_gate(1);
	expect(tickets[0], CADRE_OK);
	cr_assert(eventually(troupe.board->begun == 4));
	cr_assert(all_wait(3));
	open_gate(4);
	for (int i = 1; i < 4; i++)
		expect(tickets[i], CADRE_OK);
	cr_assert_eq(troupe_counter(CADRE_SCOPE_WORKER,
				    troupe_look_worker(troupe.scene.pool, 0).worker,
				    "workload_max"),
		     3);
}

Test(worker, blocking_handlers_run_on_as_many_threads_as_parallel_says)
{
	struct cadre_service service = troupe_service;

	service.flags = CADRE_SERVICE_THREADS;
	three_of_four_run(&service, TROUPE_HOLD);
}

Test(worker, threads_that_depend_on_parallel_are_there_when_it_is_more_than_1)
{
	struct cadre_service service = troupe_service;

	service.flags = CADRE_SERVICE_THREADS_IF_PARALLEL;
	three_of_four_run(&service, TROUPE_HOLD);
}

static unsigned threads_of(int32_t pid)
{
	char path[64];
	DIR *tasks;
	unsigned count = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	cr_assert_not_null(tasks);
	while (readdir(tasks))
		count++;
	closedir(tasks);
	return count - 2; /* "." and ".." */
}

static unsigned threads_of_a_worker(unsigned flags)
{
	struct cadre_service service = troupe_service;

	service.flags = flags;
	cr_assert_eq(troupe_start(&troupe, &service,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0);
	return threads_of(troupe_look_worker(troupe.scene.pool, 0).pid);
}

Test(worker, threads_that_depend_on_parallel_are_not_there_when_it_is_1)
{
	cr_assert_eq(threads_of_a_worker(CADRE_SERVICE_THREADS_IF_PARALLEL), 1);
}

Test(worker, deferred_jobs_overlap_as_far_as_parallel_says)
{
	three_of_four_run(&troupe_service, TROUPE_LATER);
}

Test(worker, deferred_jobs_of_threads_overlap_as_far_as_parallel_says)
{
	struct cadre_service service = troupe_service;

	service.flags = CADRE_SERVICE_THREADS;
	three_of_four_run(&service, TROUPE_LATER);
}

Test(worker, without_threads_blocking_handlers_run_one_at_a_time_whatever_parallel_says)
{
	struct cadre_ticket tickets[2];

	START(ONE_WORKER, .parallel = 3);
	tickets[0] = submit(ASK(TROUPE_HOLD, 1));
	tickets[1] = submit(ASK(TROUPE_HOLD, 1));
	cr_assert(eventually(all_wait(1)));
	cr_assert_eq(pending_jobs(), 1);
	open_gate(1);
	expect(tickets[0], CADRE_OK);
	expect(tickets[1], CADRE_OK);
}

/* The caller has its answer; the worker has no room yet. */
static void room_is_kept_while_the_handler_runs(void)
{
	struct cadre_ticket ticket;

	expect(submit(ASK(TROUPE_LINGER, 1)), CADRE_OK);
	cr_assert(eventually(all_wait(1)));
	ticket = submit(ASK(TROUPE_LOG, 2));
	cr_assert_eq(pending_jobs(), 1);
	cr_assert_eq(troupe_look_worker(troupe.scene.pool, 0).letter, 'W');
	open_gate(1);
	expect(ticket, CADRE_OK);
}

Test(worker, a_reply_gives_no_room_back_before_its_handler_is_back)
{
	START(ONE_WORKER);
	room_is_kept_while_the_handler_runs();
}

Test(worker, a_reply_gives_no_room_back_before_its_thread_is_back)
{
	struct cadre_service service = troupe_service;

	service.flags = CADRE_SERVICE_THREADS;
	cr_assert_eq(troupe_start(&troupe, &service,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0);
	room_is_kept_while_the_handler_runs();
}

/* ---- leaving ---- */

/* What it has when the signal comes, it finishes; what comes later, others do. */
static void sigterm_drains(const struct cadre_service *service,
			   enum troupe_operation operation, uint32_t parallel)
{
	const struct cadre_pool_options options = { ONE_WORKER, .parallel = parallel };
	struct cadre_ticket tickets[2], later;
	pid_t pid;

	cr_assert_eq(troupe_start(&troupe, service, options), 0);
	pid = ask_who().pid;
	for (uint32_t i = 0; i < parallel; i++)
		tickets[i] = submit(ASK(operation, 1));
	cr_assert(eventually(all_wait(parallel)));
	kill(pid, SIGTERM);
	later = submit(ASK(TROUPE_LOG, 1));
	open_gate(1);

	for (uint32_t i = 0; i < parallel; i++)
		expect(tickets[i], CADRE_OK);
	cr_assert(eventually(troupe_is_gone(pid)));
	cr_assert_eq(atomic_load(&troupe.board->finis), 1);
	expect(later, CADRE_OK);
	cr_assert_neq(ask_who().pid, pid);
}

Test(worker, sigterm_lets_a_worker_finish_what_it_has)
{
	sigterm_drains(&troupe_service, TROUPE_HOLD, 1);
}

Test(worker, sigterm_lets_threads_finish_what_they_have)
{
	struct cadre_service service = troupe_service;

	service.flags = CADRE_SERVICE_THREADS;
	sigterm_drains(&service, TROUPE_HOLD, 2);
}

Test(worker, sigterm_lets_deferred_jobs_end)
{
	sigterm_drains(&troupe_service, TROUPE_LATER, 2);
}

Test(worker, sigterm_ends_a_worker_that_sleeps)
{
	pid_t pid;

	START(ONE_WORKER);
	pid = ask_who().pid;
	kill(pid, SIGTERM);
	cr_assert(eventually(troupe_is_gone(pid)));
	cr_assert_eq(atomic_load(&troupe.board->finis), 1);
	cr_assert_neq(ask_who().pid, pid);
}

/* ---- worker programs: this one, called with an argument ---- */

enum { PROGRAM_ECHO = 1, PROGRAM_LATER = 2, PROGRAM_PID = 3, PROGRAM_TOO_LATE = 4 };

static void program_echo(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	cadre_job_reply(job, data, length);
}

static void program_pid(struct cadre_job *job, void *state)
{
	const pid_t pid = getpid();

	(void)state;
	cadre_job_reply(job, &pid, sizeof(pid));
}

/* The jobs that the event loop ends, one each time its timer expires. */
static struct cadre_job *deferred[8];
static unsigned deferred_count;

static void program_later(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_defer(job);
	deferred[deferred_count++] = job;
}

/* A reply, and then the wish to owe it. */
static void program_too_late(struct cadre_job *job, void *state)
{
	program_echo(job, state);
	cadre_job_defer(job);
}

static const struct cadre_operation program_operations[] = {
	{ PROGRAM_ECHO, "echo", program_echo },
	{ PROGRAM_LATER, "later", program_later },
	{ PROGRAM_PID, "pid", program_pid },
	{ PROGRAM_TOO_LATE, "too-late", program_too_late },
};

static const struct cadre_service program_service = {
	.size = sizeof(program_service),
	.name = "program",
	.operations = program_operations,
	.operation_count = 4,
};

/* An event loop with two things in it: the worker, and a timer that ends deferred jobs. */
static int run_event_loop(void)
{
	const struct itimerspec each_ms = { .it_interval.tv_nsec = 1000000,
					    .it_value.tv_nsec = 1000000 };
	const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct cadre_worker *worker;
	uint64_t expired;

	if (cadre_worker_open(&program_service, &worker, NULL) < 0)
		return 1;
	timerfd_settime(timer, 0, &each_ms, NULL);
	for (;;) {
		struct pollfd looks[] = {
			{ .fd = cadre_worker_fd(worker), .events = POLLIN },
			{ .fd = timer, .events = POLLIN },
		};

		poll(looks, 2, -1);
		if (looks[1].revents && read(timer, &expired, sizeof(expired)) > 0 &&
		    deferred_count > 0)
			program_echo(deferred[--deferred_count], NULL);
		if (looks[0].revents && cadre_worker_step(worker) == -ESHUTDOWN)
			break;
	}
	cadre_worker_close(worker);
	close(timer);
	return deferred_count == 0 ? 0 : 1;
}

static char *const event_loop_program[] = { (char[]){ "/proc/self/exe" },
					    (char[]){ "--event-loop" }, NULL };
static char *const simple_program[] = { (char[]){ "/proc/self/exe" },
					(char[]){ "--simple" }, NULL };

static void serve_program(char *const program[])
{
	const struct cadre_source source = { .program = program };
	const struct cadre_pool_options options = { .workers_min = 2,
						    .workers_max = 2,
						    .parallel = 4 };

	cr_assert_eq(troupe_serve(&troupe, &source, options), 0, "%s", troupe.diag.text);
}

Test(worker, a_program_serves_its_own_table)
{
	serve_program(simple_program);
	cr_assert_eq(cadre_client_operation(troupe.client, "later"), PROGRAM_LATER);
	call_ok(ASK(PROGRAM_ECHO, 1));
	cr_assert_eq(scene_children(), 1, "the supervisor alone is our child");
}

Test(worker, a_handler_that_defers_a_job_after_its_reply_gives_its_room_back)
{
	serve_program(simple_program);
	/* More than there are rooms in all workers. */
	for (uint32_t i = 0; i < 100; i++)
		call_ok(ASK(PROGRAM_TOO_LATE, i));
	call_ok(ASK(PROGRAM_ECHO, 1));
}

Test(worker, a_program_with_an_event_loop_serves_jobs_at_once_and_later)
{
	enum { JOBS = 200 };
	static struct cadre_ticket tickets[JOBS];

	serve_program(event_loop_program);
	for (uint32_t i = 0; i < JOBS; i++)
		tickets[i] = submit(ASK(i % 4 ? PROGRAM_ECHO : PROGRAM_LATER, i));
	for (uint32_t i = 0; i < JOBS; i++) {
		const struct cadre_result result = await(tickets[i]);

		cr_assert_eq(number_in(&result), i);
		release(&result);
	}
}

Test(worker, a_program_with_an_event_loop_that_dies_is_started_again)
{
	struct cadre_result result;
	pid_t pid;

	serve_program(event_loop_program);
	result = call((struct cadre_request){ .operation = PROGRAM_PID });
	pid = *(const pid_t *)result.data;
	cr_assert_eq(pid, result.worker_pid);
	kill(pid, SIGKILL);
	release(&result);
	cr_assert(eventually(troupe_is_gone(pid)));
	cr_assert(eventually(troupe_look(troupe.scene.pool).workers_ready == 2));
	call_ok(ASK(PROGRAM_LATER, 1));
}

Test(worker, a_program_with_an_event_loop_ends_what_it_has_when_the_pool_stops)
{
	struct cadre_ticket tickets[8];

	serve_program(event_loop_program);
	for (uint32_t i = 0; i < 8; i++)
		tickets[i] = submit(ASK(PROGRAM_LATER, i));
	kill(troupe.program, SIGTERM);
	for (uint32_t i = 0; i < 8; i++)
		expect(tickets[i], CADRE_OK);
}

static int start_by_hand(void *context)
{
	struct cadre_diag diag;
	struct cadre_worker *worker;

	(void)context;
	CHILD_CHECK(cadre_worker_open(&program_service, &worker, &diag) == -ENOENT);
	CHILD_CHECK(strstr(diag.text, "cadre serve"));
	close(STDERR_FILENO);
	return cadre_worker_main(&program_service);
}

Test(worker, a_worker_program_that_no_supervisor_started_says_so)
{
	cr_assert_eq(child_run(start_by_hand, NULL), 64);
}

/* Before Criterion's main, which starts no test twice. */
__attribute__((constructor)) static void be_worker_program(int argc, char *argv[])
{
	if (argc == 2 && strcmp(argv[1], event_loop_program[1]) == 0)
		exit(run_event_loop());
	if (argc == 2 && strcmp(argv[1], simple_program[1]) == 0)
		exit(cadre_worker_main(&program_service));
}
