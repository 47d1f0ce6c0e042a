/*
 * proc_fork_server.c - claims about pools that are forked by a fork server: small whatever
 * their program has become, and otherwise like any other; what the server does not have is
 * refused with a sentence; and nothing of it stays. (Deaths at a chosen line:
 * kill_fork_server.c.)
 */
#include "claims.h"

#include "control.h"
#include "fork_server.h"
#include "process.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define BIG (100u << 20)

/* What test and program tell each other. */
static struct {
	_Atomic pid_t server;
	_Atomic int may_end;
} * told;

static void enter(void)
{
	troupe_enter();
	told = child_share(sizeof(*told));
}

/* A server notices by itself that its program has ended. */
static void leave(void)
{
	if (!troupe_close(&troupe) || !eventually(troupe_living() == 0))
		abort();
	troupe_leave();
}

TestSuite(fork_server, .init = enter, .fini = leave, .timeout = 60);

static const char *pool(void)
{
	return troupe.scene.pool;
}

/* ---- programs ---- */

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

static int start_server(struct cadre_diag *diag)
{
	const int r = cadre_fork_server_start(diag);

	atomic_store(&told->server, cadre_fork_server_pid());
	return r;
}

static int start_server_and_grow(struct cadre_diag *diag)
{
	const int r = start_server(diag);

	return r == 0 ? touch(BIG) : r;
}

static void start_with(int (*prepare)(struct cadre_diag *diag),
		       const struct cadre_service *service,
		       struct cadre_pool_options options)
{
	int r;

	troupe.prepare = prepare;
	r = troupe_start(&troupe, service, options);
	cr_assert_eq(r, 0, "%d: %s", r, troupe.diag.text);
}

#define START_WITH(prepare, ...) \
	start_with(prepare, &troupe_service, (struct cadre_pool_options){ __VA_ARGS__ })

static int64_t start_timeout_ns; /* of use_pool */

/* For a program that is a child of the test: starts a pool with one worker, calls it, closes
 * it. 0 or what the start returned. */
static int use_pool(struct cadre_diag *diag)
{
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = pool(),
						    .start_timeout_ns = start_timeout_ns,
						    ONE_WORKER };
	const struct cadre_request request = ASK(TROUPE_LOG, 1);
	struct cadre_pool *started;
	struct cadre_result result;
	int r;

	diag->text[0] = '\0';
	r = cadre_pool_start(&troupe_service, &options, &started, diag);
	if (r < 0)
		return r;
	r = cadre_call(cadre_pool_client(started), &request, &result);
	if (r == 0 && result.outcome != CADRE_OK)
		r = -EBADMSG;
	cadre_pool_close(started);
	return r;
}

/* ---- small ---- */

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
	cr_assert(is_small(told->server));
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

static int overwrite_what_it_started_with(void *context)
{
	static struct cadre_operation operations[1];
	static struct cadre_service service;
	static char name[8];
	struct cadre_pool_options options = { .size = sizeof(options), ONE_WORKER };
	const struct cadre_request request = ASK(TROUPE_LOG, 1);
	struct cadre_result result;
	struct cadre_diag diag;
	struct cadre_pool *started;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	for (size_t i = 0; i < troupe_service.operation_count; i++) {
		if (troupe_service.operations[i].id == TROUPE_LOG)
			operations[0] = troupe_service.operations[i];
	}
	memcpy(name, "journal", sizeof(name));
	operations[0].name = name;
	service = troupe_service;
	service.name = name;
	service.operations = operations;
	service.operation_count = 1;
	options.name = pool();
	CHILD_CHECK(cadre_pool_start(&service, &options, &started, &diag) == 0);
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
	return CHILD_FINE;
}

Test(fork_server, the_service_need_not_outlive_the_start)
{
	cr_assert_eq(child_run(overwrite_what_it_started_with, NULL), CHILD_FINE);
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

static int have_two_pools(void *context)
{
	const struct cadre_pool_options hub = { .size = sizeof(hub),
						.workers_max = CADRE_NONE };
	struct cadre_pool *without_workers;
	struct cadre_diag diag;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(cadre_pool_start(NULL, &hub, &without_workers, &diag) == 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	cadre_pool_close(without_workers);
	return CHILD_FINE;
}

Test(fork_server, it_forks_any_number_of_pools_also_one_without_workers)
{
	cr_assert_eq(child_run(have_two_pools, NULL), CHILD_FINE);
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
	start_with(change_number, &looker, (struct cadre_pool_options){ ONE_WORKER });
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
	start_with(move, &looker,
		   (struct cadre_pool_options){ ONE_WORKER, .log_level = CADRE_LOG_INFO });
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

/* ---- what is refused ---- */

/* The test itself has a second thread, which Criterion keeps. */
Test(fork_server, a_program_that_has_threads_starts_none)
{
	cr_assert_eq(cadre_fork_server_start(&troupe.diag), -ENOTSUP);
	cr_assert_not_null(strstr(troupe.diag.text, "threads"), "%s", troupe.diag.text);
	cr_assert_eq(cadre_fork_server_pid(), 0);
}

/* With no room for another descriptor, or for one. */
static int have_few_descriptors(void *context)
{
	const int next = dup(STDERR_FILENO);
	struct rlimit few = { .rlim_cur = (rlim_t)next, .rlim_max = RLIM_INFINITY };
	struct cadre_diag diag = { "" };

	(void)context;
	close(next);
	CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &few) == 0);
	few.rlim_cur = (rlim_t)next;
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHILD_CHECK(cadre_fork_server_start(&diag) == -EMFILE);
	CHILD_CHECK(strstr(diag.text, "socket pair"));

	few.rlim_cur = 1024;
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHILD_CHECK(cadre_fork_server_start(&diag) == 0);
	/* The server has one; a pair fits, the directory does not. */
	few.rlim_cur = (rlim_t)next + 1;
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHILD_CHECK(use_pool(&diag) == -EMFILE);
	few.rlim_cur = (rlim_t)next + 3;
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHILD_CHECK(use_pool(&diag) == -EMFILE);
	CHILD_CHECK(strstr(diag.text, "working directory"));
	few.rlim_cur = 1024;
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, without_descriptors_neither_a_server_nor_a_pool_starts)
{
	cr_assert_eq(child_run(have_few_descriptors, NULL), CHILD_FINE);
}

static void *load(int version)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/version%d.so", getenv("CADRE_TEST_SERVICE_DIR"),
		 version);
	return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static int start_loaded(void *object, struct cadre_diag *diag)
{
	const struct cadre_service *const service = dlsym(object, CADRE_SERVICE_SYMBOL);
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = pool(),
						    ONE_WORKER };
	struct cadre_pool *started;
	const int r = cadre_pool_start(service, &options, &started, diag);

	if (r == 0)
		cadre_pool_close(started);
	return r;
}

static int load_before_and_after(void *context)
{
	void *const before = load(1);
	struct cadre_diag diag = { "" };
	void *after;

	(void)context;
	CHILD_CHECK(before);
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(start_loaded(before, &diag) == 0);
	after = load(2);
	CHILD_CHECK(after);
	CHILD_CHECK(start_loaded(after, &diag) == -EINVAL);
	CHILD_CHECK(strstr(diag.text, "version2.so"));
	CHILD_CHECK(strstr(diag.text, "loaded after the fork server was started"));
	/* Where the server has the other one still, as likely as not. */
	dlclose(after);
	dlclose(before);
	after = load(2);
	CHILD_CHECK(start_loaded(after, &diag) == -EINVAL);
	CHILD_CHECK(use_pool(&diag) == 0);

	cadre_fork_server_stop();
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(start_loaded(after, &diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, a_service_that_was_loaded_after_it_is_refused_by_name)
{
	cr_assert_eq(child_run(load_before_and_after, NULL), CHILD_FINE);
}

static int serve_strange_things(void *context)
{
	struct cadre_operation strange[] = { { 1, "stray", NULL } };
	struct cadre_service service = troupe_service;
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = pool() };
	static char data[64], name[1000001];
	void *const nowhere = data;
	struct cadre_diag diag;
	struct cadre_pool *started;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	memcpy(&strange[0].handler, &nowhere, sizeof(nowhere));
	service.operations = strange;
	service.operation_count = 1;
	CHILD_CHECK(cadre_pool_start(&service, &options, &started, &diag) == -EINVAL);
	CHILD_CHECK(strstr(diag.text, "\"stray\" lies in no object"));

	service = troupe_service;
	memset(name, 'n', 1000000);
	service.name = name;
	CHILD_CHECK(cadre_pool_start(&service, &options, &started, &diag) == -EINVAL);
	CHILD_CHECK(strstr(diag.text, "too long"));
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, functions_that_lie_nowhere_and_endless_names_are_refused)
{
	cr_assert_eq(child_run(serve_strange_things, NULL), CHILD_FINE);
}

static int give_up_privileges(void *context)
{
	struct cadre_diag diag;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHILD_CHECK(use_pool(&diag) == -EPERM);
	CHILD_CHECK(strstr(diag.text, "NoNewPrivs"));
	cadre_fork_server_stop();
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, a_program_with_other_rights_than_it_gets_no_pool_of_it)
{
	cr_assert_eq(child_run(give_up_privileges, NULL), CHILD_FINE);
}

static int have_few_processes(void *context)
{
	const struct rlimit none = { 0 };
	struct rlimit usual;
	struct cadre_diag diag;

	(void)context;
	if (setgid(65534) < 0 || setuid(65534) < 0)
		return CHILD_SKIPPED;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(prlimit(cadre_fork_server_pid(), RLIMIT_NPROC, NULL, &usual) == 0);
	CHILD_CHECK(prlimit(cadre_fork_server_pid(), RLIMIT_NPROC, &none, NULL) == 0);
	CHILD_CHECK(use_pool(&diag) == -EAGAIN);
	CHILD_CHECK(strstr(diag.text, "the fork server cannot fork"));
	return CHILD_FINE;
}

Test(fork_server, one_that_cannot_fork_says_so)
{
	const int status = child_run(have_few_processes, NULL);

	if (status == CHILD_SKIPPED)
		cr_skip_test("only root can become another user");
	cr_assert_eq(status, CHILD_FINE);
}

static int fail_in_other_ways(void *context)
{
	struct cadre_service service = troupe_service;
	struct cadre_pool_options options = { .size = sizeof(options),
					      .name = pool(),
					      ONE_WORKER };
	struct cadre_pool *started, *second;
	struct cadre_diag diag;

	(void)context;
	service.init = troupe_begin_unless_refused;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(cadre_pool_start(&service, &options, &started, &diag) == -ENOEXEC);
	CHILD_CHECK(strstr(diag.text, strerror(EDOM)));
	*troupe_refusal = 0;
	CHILD_CHECK(cadre_pool_start(&service, &options, &started, &diag) == 0);
	CHILD_CHECK(cadre_pool_start(&service, &options, &second, &diag) == -EEXIST);
	CHILD_CHECK(strstr(diag.text, pool()));
	cadre_pool_close(started);
	return CHILD_FINE;
}

Test(fork_server, errors_of_a_pools_start_are_heard_in_their_own_words)
{
	troupe_refusal = child_share(sizeof(*troupe_refusal));
	*troupe_refusal = -EDOM;
	cr_assert_eq(child_run(fail_in_other_ways, NULL), CHILD_FINE);
}

/* ---- its death, and others' ---- */

static int lose_server(void *context)
{
	struct cadre_diag diag;
	pid_t server;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	server = cadre_fork_server_pid();
	kill(server, SIGKILL);
	CHILD_CHECK(eventually(cadre_fork_server_pid() == 0));
	CHILD_CHECK(use_pool(&diag) == -ECONNREFUSED);
	CHILD_CHECK(strstr(diag.text, "is dead"));
	CHILD_CHECK(strstr(diag.text, "cadre_fork_server_start"));
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(cadre_fork_server_pid() > 0 && cadre_fork_server_pid() != server);
	CHILD_CHECK(use_pool(&diag) == 0);

	kill(cadre_fork_server_pid(), SIGKILL);
	CHILD_CHECK(eventually(cadre_fork_server_pid() == 0));
	cadre_fork_server_stop();
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, a_pool_is_refused_when_it_is_dead_until_there_is_another_or_none)
{
	cr_assert_eq(child_run(lose_server, NULL), CHILD_FINE);
}

Test(fork_server, pools_that_it_forked_go_on_without_it)
{
	struct cadre_ticket running;
	pid_t worker, supervisor;

	START_WITH(start_server, ONE_WORKER);
	running = occupy_worker();
	kill(told->server, SIGKILL);
	cr_assert(eventually(troupe_is_gone(told->server)));
	open_gate(1);
	expect(running, CADRE_OK);
	worker = troupe_worker(pool(), 0);
	kill(worker, SIGKILL);
	cr_assert(eventually(troupe_worker(pool(), 0) != worker &&
			     troupe_look(pool()).workers_ready == 1));
	supervisor = troupe_supervisor(pool());
	kill(supervisor, SIGKILL);
	cr_assert(eventually(troupe_look(pool()).alive &&
			     troupe_supervisor(pool()) != supervisor));
	call_ok(ASK(TROUPE_LOG, 1));
	cr_assert_eq(troupe_stop(&troupe), 0);
	cr_assert_eq(troupe_await_end(&troupe, GENEROUS), 0);
	cr_assert_eq(scene_files(pool()), 0);
}

static bool is_stopped(pid_t pid)
{
	return cadre_process_is_stopped(pid);
}

static int stop_server(void *context)
{
	struct cadre_diag diag;
	pid_t server;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	server = cadre_fork_server_pid();
	kill(server, SIGSTOP);
	CHILD_CHECK(eventually(is_stopped(server)));
	start_timeout_ns = 20 * MS;
	CHILD_CHECK(use_pool(&diag) == -ETIMEDOUT);
	CHILD_CHECK(strstr(diag.text, "is stopped"));
	start_timeout_ns = 0;
	kill(server, SIGCONT);
	/* It finds a question whose asker has left, and then ours: the name is free. */
	CHILD_CHECK(use_pool(&diag) == 0);
	CHILD_CHECK(scene_files(pool()) == 0);
	return CHILD_FINE;
}

Test(fork_server, one_that_is_stopped_starts_no_pool_and_none_later)
{
	cr_assert_eq(child_run(stop_server, NULL), CHILD_FINE);
}

static int fill_its_line(void *context)
{
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = pool(),
						    .start_timeout_ns = MS };
	struct cadre_pool *started;
	struct cadre_diag diag;
	pid_t server;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	server = cadre_fork_server_pid();
	kill(server, SIGSTOP);
	CHILD_CHECK(eventually(is_stopped(server)));
	/* More than its socket holds. */
	for (int i = 0; i < 600; i++)
		CHILD_CHECK(cadre_pool_start(&troupe_service, &options, &started,
					     &diag) == -ETIMEDOUT);
	kill(server, SIGCONT);
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, however_often_it_was_asked_in_vain_it_answers_who_still_waits)
{
	cr_assert_eq(child_run(fill_its_line, NULL), CHILD_FINE);
}

Test(fork_server, it_and_its_pool_leave_nothing_when_the_program_is_killed)
{
	struct cadre_ticket running;

	START_WITH(start_server, ONE_WORKER);
	running = occupy_worker();
	troupe_kill_program(&troupe);
	expect(running, CADRE_TERMINATED);
	cr_assert(eventually(troupe_living() == 0));
	cr_assert_eq(scene_files(pool()), 0);
}

Test(fork_server, it_ends_with_a_program_that_never_stopped_it)
{
	const pid_t program = fork();

	if (program == 0)
		_exit(cadre_fork_server_start(NULL));
	cr_assert_eq(child_end(program), 0);
	cr_assert(eventually(troupe_living() == 0));
}

Test(fork_server, a_program_that_is_killed_while_it_asks_leaves_nothing)
{
	const struct cadre_pool_options options = {
		.size = sizeof(options), .name = pool(), .workers_min = 4, .workers_max = 4
	};

	/* At a moment that is another one each time. */
	for (unsigned round = 0; round < 8; round++) {
		const pid_t program = fork();
		struct cadre_pool *never_used;

		if (program == 0) {
			cadre_fork_server_start(NULL);
			atomic_store(&told->may_end, 1);
			cadre_pool_start(&troupe_service, &options, &never_used, NULL);
			child_idle();
		}
		cr_assert(eventually(atomic_exchange(&told->may_end, 0) == 1));
		child_pause_ms(round);
		child_kill(program);
		cr_assert(eventually(troupe_living() == 0), "round %u", round);
		cr_assert_eq(scene_files(pool()), 0, "round %u", round);
	}
}

/* ---- it is in nobody's way ---- */

static int wait_for_all(void *context)
{
	const struct cadre_pool_options options = { .size = sizeof(options), ONE_WORKER };
	struct cadre_pool *started;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	CHILD_CHECK(cadre_pool_start(&troupe_service, &options, &started, NULL) == 0);
	CHILD_CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	kill(cadre_fork_server_pid(), SIGKILL);
	CHILD_CHECK(eventually(cadre_fork_server_pid() == 0));
	CHILD_CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	cadre_pool_close(started);
	CHILD_CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	return CHILD_FINE;
}

Test(fork_server, it_is_no_child_of_a_program_that_waits_for_all_of_its_own)
{
	cr_assert_eq(child_run(wait_for_all, NULL), CHILD_FINE);
}

/* Children of a process by the table of processes, dead ones included. */
static unsigned children_of(pid_t parent)
{
	char path[64], text[4096] = "";
	unsigned count = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent,
		 (int)parent);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 1000;
	if (read(fd, text, sizeof(text) - 1) > 0) {
		for (const char *at = text; *at; at++)
			count += *at == ' ';
	}
	close(fd);
	return count;
}

static int look_for_zombies(void *context)
{
	struct cadre_diag diag;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	for (int i = 0; i < 3; i++)
		CHILD_CHECK(use_pool(&diag) == 0);
	CHILD_CHECK(eventually(children_of(cadre_fork_server_pid()) == 0));
	return CHILD_FINE;
}

Test(fork_server, it_keeps_no_dead_keepers)
{
	cr_assert_eq(child_run(look_for_zombies, NULL), CHILD_FINE);
}

static unsigned descriptors_of(pid_t pid)
{
	char path[40];
	unsigned count = 0;
	DIR *entries;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	entries = opendir(path);
	if (!entries)
		return 0;
	for (const struct dirent *entry; (entry = readdir(entries));)
		count += entry->d_name[0] != '.';
	closedir(entries);
	return count;
}

static int look_at_server(void *context)
{
	int *const ends = context;
	struct cadre_diag diag;
	char path[40], there[100] = "";
	pid_t server;

	dup2(ends[1], STDOUT_FILENO);
	CHILD_CHECK(chdir("/dev/shm") == 0);
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	server = cadre_fork_server_pid();
	CHILD_CHECK(use_pool(&diag) == 0);
	/* 0, 1, 2, its socket, the program's pidfd. */
	CHILD_CHECK(eventually(descriptors_of(server) == 5));
	snprintf(path, sizeof(path), "/proc/%d/cwd", (int)server);
	CHILD_CHECK(readlink(path, there, sizeof(there) - 1) > 0);
	CHILD_CHECK(strcmp(there, "/") == 0);
	CHILD_CHECK(getsid(server) == server);
	/* Whoever reads what the program prints reads its end now. */
	close(ends[1]);
	close(STDOUT_FILENO);
	while (!atomic_load(&told->may_end))
		child_pause_ms(1);
	CHILD_CHECK(cadre_fork_server_pid() == server);
	return CHILD_FINE;
}

Test(fork_server, it_keeps_neither_descriptors_nor_directory_nor_terminal_of_the_program)
{
	struct pollfd look = { .events = POLLIN };
	int ends[2];
	pid_t program;
	char byte;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	program = child_start(look_at_server, ends);
	close(ends[1]);
	look.fd = ends[0];
	cr_assert_eq(poll(&look, 1, TROUPE_PATIENCE_MS), 1);
	cr_assert_eq(read(ends[0], &byte, 1), 0);
	atomic_store(&told->may_end, 1);
	cr_assert_eq(child_end(program), CHILD_FINE);
	close(ends[0]);
}

static int send_signals(void *context)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGPIPE, SIGCHLD };
	struct cadre_diag diag;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		kill(cadre_fork_server_pid(), signals[i]);
	CHILD_CHECK(use_pool(&diag) == 0);
	/* And a program that ignores its children, or blocks signals, has its pools. */
	signal(SIGCHLD, SIG_IGN);
	cadre_fork_server_stop();
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, it_does_not_end_by_the_signals_of_a_terminal_or_a_shutdown)
{
	cr_assert_eq(child_run(send_signals, NULL), CHILD_FINE);
}

static int close_all_descriptors(void *context)
{
	struct cadre_diag diag;
	pid_t server;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	server = cadre_fork_server_pid();
	close_range(3, ~0u, 0);
	CHILD_CHECK(cadre_fork_server_pid() == 0);
	CHILD_CHECK(use_pool(&diag) == -ECONNREFUSED);
	CHILD_CHECK(strstr(diag.text, "out of reach"));
	CHILD_CHECK(eventually(kill(server, 0) < 0 || cadre_process_memory(server) == 0));
	/* Its number is another's now, who keeps it. */
	for (int fd = 3; fd < 64; fd++)
		CHILD_CHECK(dup2(STDERR_FILENO, fd) == fd);
	CHILD_CHECK(use_pool(&diag) == -ECONNREFUSED);
	cadre_fork_server_stop();
	for (int fd = 3; fd < 64; fd++)
		CHILD_CHECK(fcntl(fd, F_GETFD) >= 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, a_program_that_closed_its_descriptor_is_told_and_loses_no_other)
{
	cr_assert_eq(child_run(close_all_descriptors, NULL), CHILD_FINE);
}

/* ---- a second one, and forks of the program ---- */

static int start_twice(void *context)
{
	struct cadre_diag diag;
	unsigned descriptors;
	pid_t server;

	(void)context;
	cadre_fork_server_stop();
	descriptors = scene_descriptors();
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	server = cadre_fork_server_pid();
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(cadre_fork_server_pid() == server);
	CHILD_CHECK(scene_descriptors() == descriptors + 1);
	cadre_fork_server_stop();
	CHILD_CHECK(cadre_fork_server_pid() == 0);
	cadre_fork_server_stop();
	CHILD_CHECK(scene_descriptors() == descriptors);
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, there_is_one_at_a_time_and_none_after_a_stop)
{
	cr_assert_eq(child_run(start_twice, NULL), CHILD_FINE);
}

static int be_fork_of_program(void *context)
{
	struct cadre_diag diag;

	(void)context;
	CHILD_CHECK(cadre_fork_server_pid() == 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(use_pool(&diag) == 0);
	cadre_fork_server_stop();
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

static int fork_program(void *context)
{
	struct cadre_diag diag;
	pid_t server;

	(void)context;
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	server = cadre_fork_server_pid();
	CHILD_CHECK(child_run(be_fork_of_program, NULL) == CHILD_FINE);
	CHILD_CHECK(cadre_fork_server_pid() == server);
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, a_fork_of_the_program_has_none_and_does_not_take_it_away)
{
	cr_assert_eq(child_run(fork_program, NULL), CHILD_FINE);
}

static int leave_a_fork_behind(void *context)
{
	pid_t *const heir = context;
	pid_t pid;

	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	atomic_store(&told->server, cadre_fork_server_pid());
	pid = fork();
	if (pid == 0)
		child_idle();
	*heir = pid;
	return CHILD_FINE;
}

Test(fork_server, it_ends_with_the_program_though_a_fork_of_that_lives_on)
{
	pid_t *const heir = child_share(sizeof(*heir));

	cr_assert_eq(child_run(leave_a_fork_behind, heir), CHILD_FINE);
	cr_assert(eventually(troupe_is_gone(told->server)));
	child_kill(*heir);
}

/* By hand, past the library, which would not. */
static int ask_for_another(void *context)
{
	struct cadre_control message = cadre_control_message(CADRE_CONTROL_FORK), answer;
	const int socket = *(int *)context;
	int pair[2], fds[2];

	CHILD_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	fds[0] = pair[1];
	fds[1] = open(".", O_PATH | O_CLOEXEC);
	CHILD_CHECK(cadre_control_send_with(socket, &message, fds, 2) == 0);
	close(pair[1]);
	CHILD_CHECK(cadre_control_await(pair[0], GENEROUS) == 0);
	CHILD_CHECK(cadre_control_receive(pair[0], &answer, NULL) == 1);
	CHILD_CHECK(answer.kind == CADRE_CONTROL_FAILED);
	CHILD_CHECK(answer.error == -ECHILD);
	return CHILD_FINE;
}

static int ask_without_sense(int socket)
{
	struct cadre_control message = cadre_control_message(CADRE_CONTROL_FORK), answer;
	int pair[2], fds[2];

	CHILD_CHECK(send(socket, "?", 1, 0) == 1);
	CHILD_CHECK(cadre_control_send(socket, &message) == 0);
	message.kind = CADRE_CONTROL_STOP;
	CHILD_CHECK(cadre_control_send(socket, &message) == 0);
	/* Without a parcel. */
	CHILD_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	fds[0] = pair[1];
	fds[1] = open(".", O_PATH | O_CLOEXEC);
	message.kind = CADRE_CONTROL_FORK;
	CHILD_CHECK(cadre_control_send_with(socket, &message, fds, 2) == 0);
	close(pair[1]);
	CHILD_CHECK(cadre_control_await(pair[0], GENEROUS) == 0);
	CHILD_CHECK(cadre_control_receive(pair[0], &answer, NULL) == 1);
	CHILD_CHECK(answer.error == -EBADMSG);
	/* More or fewer than it says. */
	message.count = 7;
	CHILD_CHECK(cadre_control_send_with(socket, &message, fds + 1, 1) == 0);
	close(pair[0]);
	close(fds[1]);
	return CHILD_FINE;
}

static int let_others_ask(void *context)
{
	struct cadre_diag diag;
	int socket = dup(STDERR_FILENO);

	(void)context;
	close(socket);
	CHILD_CHECK(cadre_fork_server_start(NULL) == 0);
	CHILD_CHECK(child_run(ask_for_another, &socket) == CHILD_FINE);
	CHILD_CHECK(ask_without_sense(socket) == CHILD_FINE);
	CHILD_CHECK(use_pool(&diag) == 0);
	return CHILD_FINE;
}

Test(fork_server, nobody_but_the_program_gets_a_process_and_nonsense_gets_none)
{
	cr_assert_eq(child_run(let_others_ask, NULL), CHILD_FINE);
}
