/*
 * proc_fork_server_pools.c - claims about pools that are forked by a fork server: small whatever
 * their program has become, and otherwise like any other.
 */
#include "fork_servers.h"

#include "process.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(fork_server, FORK_SERVERS);

/* ---- small ---- */

#define BIG (100u << 20)

static int touch(size_t bytes)
{
	void *const memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	memset(memory, 1, bytes);
	return 0;
}

static int start_server_and_grow(struct cadre_diag *diag)
{
	const int r = start_server(diag);

	return r == 0 ? touch(BIG) : r;
}

/* Of a program that has touched BIG bytes only what it had before. */
static bool is_small(pid_t pid)
{
	return cadre_process_memory(pid) > 0 &&
	       cadre_process_memory(pid) + BIG / 4 * 3 <
		       cadre_process_memory(troupe.program);
}

Test(fork_server, keeper_supervisor_and_workers_are_as_small_as_the_program_was)
{
	START_WITH(start_server_and_grow, ONE_WORKER);
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_gt(cadre_process_memory(troupe.program), BIG);
	cr_assert(is_small(agreed->server));
	cr_assert(is_small(troupe_keeper(pool())));
	cr_assert(is_small(troupe_supervisor(pool())));
	cr_assert(is_small(troupe_worker(pool(), 0)));
}

Test(fork_server, without_one_a_worker_is_as_large_as_its_program)
{
	START_WITH(NULL, ONE_WORKER);
	cr_assert_not(is_small(troupe_worker(pool(), 0)));
}

Test(fork_server, who_replaces_a_killed_worker_is_small_too)
{
	pid_t pid;

	START_WITH(start_server_and_grow, ONE_WORKER);
	pid = troupe_worker(pool(), 0);
	kill(pid, SIGKILL);
	cr_assert(eventually(troupe_worker(pool(), 0) != pid &&
			     troupe_look(pool()).workers_ready == 1));
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert(is_small(troupe_worker(pool(), 0)));
}

Test(fork_server, a_supervisor_that_is_killed_has_a_small_successor)
{
	struct cadre_ticket running;
	pid_t before, worker;

	START_WITH(start_server_and_grow, ONE_WORKER);
	running = occupy_worker();
	before = troupe_supervisor(pool());
	worker = troupe_worker(pool(), 0);
	kill(before, SIGKILL);
	cr_assert(eventually(troupe_look(pool()).alive &&
			     troupe_supervisor(pool()) != before));
	cr_assert(is_small(troupe_supervisor(pool())));
	open_gate(1);
	expect(running, CADRE_OK);
	cr_assert_eq(ask_who().pid, worker);
}

/* ---- like any other ---- */

Test(fork_server, what_a_pool_is_asked_to_be_arrives)
{
	static const char data[] = "a\0b";
	struct cadre_request request = { .operation = TROUPE_START };
	struct cadre_result result;

	START_WITH(start_server, .workers_min = 2, .workers_max = 3, .parallel = 2,
		   .start_data = data, .start_length = sizeof(data));
	cr_assert_eq(troupe_look(pool()).workers_max, 3);
	cr_assert_eq(troupe_look(pool()).parallel, 2);
	cr_assert_eq(troupe.board->inits, 2);
	result = await(submit(request));
	cr_assert_eq(result.length, sizeof(data));
	cr_assert_arr_eq(result.data, data, sizeof(data));
	release(&result);
	cr_assert_eq(cadre_client_operation(troupe.client, "linger"), TROUPE_LINGER);
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(troupe.board->finis, 2);
	cr_assert_eq(scene_files(pool()), 0);
}

TestInChild(fork_server, the_service_need_not_outlive_the_start)
{
	struct cadre_operation operations[1] = { { .id = 0 } };
	struct cadre_service service = troupe_service;
	char name[] = "journal";
	const struct cadre_request request = ASK(TROUPE_LOG, 1);
	struct cadre_result result;
	struct cadre_pool *started;

	have_server();
	for (size_t i = 0; i < troupe_service.operation_count; i++) {
		if (troupe_service.operations[i].id == TROUPE_LOG)
			operations[0] = troupe_service.operations[i];
	}
	operations[0].name = name;
	service.name = name;
	service.operations = operations;
	service.operation_count = 1;
	CHILD_CHECK(start_pool(&service, one_worker(), &started) == 0);
	memset(name, '?', sizeof(name) - 1);
	memset(operations, 0, sizeof(operations));
	memset(&service, 0, sizeof(service));
	/* Nor does a replacement need it. */
	kill(troupe_worker(pool(), 0), SIGKILL);
	for (int i = 0; i < 2; i++) {
		CHILD_CHECK(cadre_call(cadre_pool_client(started), &request, &result) == 0);
		cadre_release(cadre_pool_client(started), &result);
	}
	CHILD_CHECK(result.outcome == CADRE_OK);
	CHILD_CHECK(cadre_client_operation(cadre_pool_client(started), "journal") ==
		    TROUPE_LOG);
	cadre_pool_close(started);
}

static void *idle(void *unused)
{
	(void)unused;
	child_idle();
}

static int start_server_and_thread(struct cadre_diag *diag)
{
	pthread_t thread;
	const int r = start_server(diag);

	return r == 0 ? -pthread_create(&thread, NULL, idle, NULL) : r;
}

Test(fork_server, a_program_that_has_threads_by_now_starts_its_pool)
{
	START_WITH(start_server_and_thread, ONE_WORKER);
	call_ok(ASK(TROUPE_LOG, 1));
}

TestInChild(fork_server, it_forks_any_number_of_pools_also_one_without_workers)
{
	const struct cadre_pool_options hub = { .size = sizeof(hub),
						.workers_max = CADRE_NONE };
	struct cadre_pool *without_workers;

	have_server();
	CHILD_CHECK(start_pool(NULL, hub, &without_workers) == 0);
	CHILD_CHECK(use_pool() == 0);
	CHILD_CHECK(use_pool() == 0);
	cadre_pool_close(without_workers);
}

/* ---- what handlers see ---- */

static uint32_t number = 1;

static int change_number(struct cadre_diag *diag)
{
	const int r = start_server(diag);

	number = 2;
	return r;
}

/* What the worker is surrounded by. */
struct surroundings {
	uint32_t number;
	uint32_t umask;
	uint64_t directory; /* its inode */
};

static void look_around(struct cadre_job *job, void *state)
{
	struct surroundings seen = { .number = number };
	struct stat status;

	(void)state;
	seen.umask = umask(0);
	umask(seen.umask);
	if (stat(".", &status) == 0)
		seen.directory = status.st_ino;
	cadre_log(CADRE_LOG_INFO, "looked around");
	cadre_job_reply(job, &seen, sizeof(seen));
}

static const struct cadre_operation looks[] = { { 1, "look", look_around } };

static const struct cadre_service looker = {
	.size = sizeof(looker),
	.name = "looker",
	.operations = looks,
	.operation_count = 1,
};

static struct surroundings ask_surroundings(void)
{
	const struct cadre_request request = { .operation = 1 };
	struct surroundings seen = { 0 };
	struct cadre_result result = await(submit(request));

	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	memcpy(&seen, result.data, sizeof(seen));
	release(&result);
	return seen;
}

Test(fork_server, handlers_see_the_programs_memory_as_it_was_when_the_server_was_started)
{
	START_SERVICE_WITH(change_number, &looker, ONE_WORKER);
	cr_assert_eq(ask_surroundings().number, 1);
}

static int out = -1;

static int move(struct cadre_diag *diag)
{
	const int r = start_server(diag);

	umask(0137);
	dup2(out, STDERR_FILENO);
	return r < 0 || chdir("/proc/self") < 0 ? -EIO : 0;
}

static bool has_said(const char *words)
{
	char text[4096] = "";

	return pread(out, text, sizeof(text) - 1, 0) > 0 && strstr(text, words);
}

Test(fork_server,
     a_worker_has_the_directory_umask_and_standard_error_that_the_program_has_now)
{
	struct surroundings seen;
	struct stat status;
	char path[40];

	out = memfd_create("out", MFD_CLOEXEC);
	START_SERVICE_WITH(move, &looker, ONE_WORKER, .log_level = CADRE_LOG_INFO);
	seen = ask_surroundings();
	snprintf(path, sizeof(path), "/proc/%d", (int)troupe.program);
	cr_assert_eq(stat(path, &status), 0);
	cr_assert_eq(seen.directory, status.st_ino);
	cr_assert_eq(seen.umask, 0137);
	cr_assert(eventually(has_said("looked around")));
	close(out);
}

static int close_streams(struct cadre_diag *diag)
{
	const int r = start_server(diag);

	for (int stream = 0; stream < 3; stream++)
		close(stream);
	return r;
}

Test(fork_server, a_program_without_standard_streams_has_a_pool_all_the_same)
{
	const int usual = dup(STDERR_FILENO);
	struct cadre_ticket running;

	START_WITH(close_streams, ONE_WORKER, .log_level = CADRE_LOG_DEBUG);
	running = occupy_worker();
	kill(troupe_supervisor(pool()), SIGKILL);
	open_gate(1);
	expect(running, CADRE_OK);
	call_ok(ASK(TROUPE_LOG, 1));
	/* Its end counts descriptors, of which it has closed three. */
	troupe_kill_program(&troupe);
	close(usual);
}
