/*
 * proc_reload.c - SPEC section 11, reload: a new version of the service replaces the old one
 * worker by worker without losing a job; one that does not start is left alone. Also what
 * becomes of the table of operations (section 2.1).
 */
#include "claims.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <urcu/urcu-bp.h>

enum { VERSION = 1, HOLD = 2, OLD = 3, NEW = 4, LATER = 5 };

static char directory[64];
static char file[80]; /* of the service */

static void begin(void)
{
	troupe_begin(&troupe);
	snprintf(directory, sizeof(directory), "/tmp/cadre-reload-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(file, sizeof(file), "%s/service.so", directory);
}

static void end(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	scene_insist(system(command) == 0 ? NULL : "left behind: a directory");
	troupe_leave();
}

TestSuite(reload, .init = begin, .fini = end, .timeout = 60);

/* By renaming, as install(1) does: whoever has the old file mapped keeps it. */
static void install(int version)
{
	const char *const services = getenv("CADRE_TEST_SERVICE_DIR");
	char command[400];

	cr_assert_not_null(services, "CADRE_TEST_SERVICE_DIR must be set");
	snprintf(command, sizeof(command), "cp %s/version%d.so %s.new && mv %s.new %s",
		 services, version, file, file, file);
	cr_assert_eq(system(command), 0);
}

static void serve(struct cadre_pool_options options)
{
	const struct cadre_source source = { .file = file };

	install(1);
	cr_assert_eq(troupe_serve(&troupe, &source, options), 0, "%s", troupe.diag.text);
}

static int reload(struct cadre_diag *said)
{
	const struct cadre_order order = { .kind = CADRE_ORDER_RELOAD };

	return cadre_order(troupe.scene.pool, &order, GENEROUS, said);
}

static void expect_reload(void)
{
	struct cadre_diag said = { "" };

	cr_assert_eq(reload(&said), 0, "%s", said.text);
}

static uint32_t ask_version(void)
{
	const struct cadre_result result = await(
		submit((struct cadre_request){ .operation = VERSION }));
	const uint32_t version = number_in(&result);

	release(&result);
	return version;
}

static uint64_t about_pool(const char *counter)
{
	return troupe_counter(CADRE_SCOPE_POOL, troupe_look(troupe.scene.pool).counters,
			      counter);
}

static struct cadre_ticket hold(const char *gate)
{
	return submit((struct cadre_request){
		.operation = HOLD, .data = gate, .length = strlen(gate) + 1 });
}

static void open_file(const char *path)
{
	FILE *const gate = fopen(path, "we");

	cr_assert_not_null(gate);
	fclose(gate);
}

/* ---- a version that starts ---- */

Test(reload, each_worker_is_replaced_by_one_of_the_new_version)
{
	pid_t before[3];

	serve((struct cadre_pool_options){ .workers_min = 3, .workers_max = 3 });
	for (uint32_t i = 0; i < 3; i++)
		before[i] = troupe_worker(troupe.scene.pool, i);
	cr_assert_eq(ask_version(), 1);
	install(2);
	cr_assert_eq(ask_version(), 1, "a new file changes nothing by itself");
	expect_reload();
	for (int i = 0; i < 20; i++)
		cr_assert_eq(ask_version(), 2);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert(eventually(troupe_is_gone(before[i])));
	cr_assert_eq(troupe_look(troupe.scene.pool).workers_ready, 3);
	cr_assert_eq(troupe_look(troupe.scene.pool).version, 1);
	cr_assert_eq(about_pool("reloads"), 1);
	cr_assert_eq(about_pool("workers_died"), 0);
}

struct load {
	atomic_bool over;
	atomic_uint seen[3]; /* replies by version */
};

/* One job after the other, until it is told to end; each must be replied to. */
static void *make_load(void *context)
{
	struct load *const load = context;
	struct cadre_client *client;

	if (cadre_client_attach(troupe.scene.pool, NULL, &client, NULL) < 0)
		return "a client could not attach";
	while (!atomic_load(&load->over)) {
		const struct cadre_request request = { .operation = VERSION };
		struct cadre_result result;
		uint32_t version = 0;

		if (cadre_call(client, &request, &result) < 0)
			return "a call was refused";
		if (result.outcome == CADRE_OK)
			memcpy(&version, result.data, sizeof(version));
		cadre_release(client, &result);
		if (version != 1 && version != 2)
			return "a call failed";
		atomic_fetch_add(&load->seen[version], 1);
	}
	cadre_client_detach(client);
	return NULL;
}

Test(reload, under_load_no_request_fails_or_is_lost)
{
	enum { CLIENTS = 2, RELOADS = 4 };
	struct load load = { .over = false };
	pthread_t threads[CLIENTS];
	void *complaint;

	serve((struct cadre_pool_options){ .workers_min = 2, .workers_max = 2 });
	for (int i = 0; i < CLIENTS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, make_load, &load), 0);
	for (int i = 1; i <= RELOADS; i++) {
		const uint32_t version = i % 2 ? 2 : 1;
		uint32_t before;

		install((int)version);
		expect_reload();
		before = atomic_load(&load.seen[version]);
		cr_assert(eventually(atomic_load(&load.seen[version]) > before + 100));
	}
	atomic_store(&load.over, true);
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], &complaint);
		cr_assert_null(complaint, "%s", (const char *)complaint);
	}
	cr_assert_eq(about_pool("reloads"), RELOADS);
	cr_assert_eq(about_pool("workers_died"), 0);
}

Test(reload, a_job_that_runs_ends_under_the_version_that_began_it)
{
	const struct cadre_order order = { .kind = CADRE_ORDER_RELOAD };
	struct cadre_diag said;
	struct cadre_ticket held;
	struct cadre_result result;
	char gate[100];

	snprintf(gate, sizeof(gate), "%s/gate", directory);
	serve((struct cadre_pool_options){ ONE_WORKER });
	held = hold(gate);
	cr_assert(eventually(troupe_look_worker(troupe.scene.pool, 0).letter == 'W'));
	install(2);
	/* The answer waits for the last old worker; what was begun goes on. */
	cr_assert_eq(cadre_order(troupe.scene.pool, &order, cadre_in_ms(50), &said),
		     -ETIMEDOUT);
	cr_assert_eq(ask_version(), 2, "the newcomer is there");
	cr_assert_eq(reload(&said), -EBUSY, "%s", said.text);
	open_file(gate);
	result = await(held);
	cr_assert_eq(number_in(&result), 1);
	release(&result);
	cr_assert(eventually(about_pool("reloads") == 1));
}

Test(reload, a_server_that_is_sent_a_sighup_reloads)
{
	serve((struct cadre_pool_options){ ONE_WORKER });
	install(2);
	kill(troupe.program, SIGHUP);
	cr_assert(eventually(about_pool("reloads") == 1));
	cr_assert_eq(ask_version(), 2);
}

Test(reload, a_pool_without_workers_is_reloaded_too)
{
	serve((struct cadre_pool_options){ .workers_min = 0, .workers_max = 1 });
	install(2);
	expect_reload();
	cr_assert_eq(ask_version(), 2);
}

Test(reload, a_worker_that_asked_not_to_be_started_again_has_another_chance)
{
	const struct troupe_death death = { .how = -78, .times = UINT32_MAX };
	struct cadre_diag said = { "" };

	START(ONE_WORKER);
	expect(submit((struct cadre_request){
		       .operation = TROUPE_DIE, .data = &death, .length = sizeof(death) }),
	       CADRE_LOST);
	cr_assert(eventually(troupe_look_worker(troupe.scene.pool, 0).letter == 'D'));
	cr_assert_eq(reload(&said), 0, "%s", said.text);
	call_ok(ASK(TROUPE_LOG, 1));
}

/* ---- a version that does not ---- */

static void expect_undone(int version, const char *words)
{
	const pid_t pid = troupe_worker(troupe.scene.pool, 0);
	const uint64_t undone = about_pool("reloads_undone");
	struct cadre_diag said = { "" };

	if (version)
		install(version);
	cr_assert_eq(reload(&said), -ENOEXEC, "%s", said.text);
	cr_assert_not_null(strstr(said.text, words), "%s", said.text);
	cr_assert_not_null(strstr(said.text, "version 0 goes on"), "%s", said.text);
	cr_assert_eq(troupe_worker(troupe.scene.pool, 0), pid);
	cr_assert_eq(ask_version(), 1);
	cr_assert_eq(about_pool("reloads_undone"), undone + 1);
	cr_assert_eq(about_pool("reloads"), 0);
	cr_assert_eq(troupe_look(troupe.scene.pool).version, 0);
}

Test(reload, a_version_whose_init_fails_is_undone_with_its_reason_and_the_old_goes_on)
{
	serve((struct cadre_pool_options){ ONE_WORKER });
	expect_undone(3, "version 3 never starts");
}

Test(reload, a_version_that_crashes_when_it_is_loaded_is_undone)
{
	serve((struct cadre_pool_options){ ONE_WORKER });
	expect_undone(5, "SIGABRT");
}

Test(reload, a_file_that_is_no_service_is_undone)
{
	serve((struct cadre_pool_options){ ONE_WORKER });
	/* Not in place: the worker has it mapped. */
	cr_assert_eq(unlink(file), 0);
	open_file(file);
	expect_undone(0, "cannot load the service");
}

Test(reload, a_version_that_gives_an_id_another_name_is_undone)
{
	serve((struct cadre_pool_options){ ONE_WORKER });
	expect_undone(4, "an id keeps its name");
}

Test(reload, a_good_version_after_a_bad_one_is_put_in_place)
{
	serve((struct cadre_pool_options){ ONE_WORKER });
	expect_undone(3, "");
	install(2);
	expect_reload();
	cr_assert_eq(ask_version(), 2);
}

/* ---- the table ---- */

static int32_t id_of(const char *name)
{
	return cadre_client_operation(troupe.client, name);
}

Test(reload, new_operations_are_named_and_those_that_are_gone_are_not)
{
	serve((struct cadre_pool_options){ ONE_WORKER });
	cr_assert_eq(id_of("old"), OLD);
	cr_assert_eq(id_of("new"), -ENOENT);
	install(2);
	expect_reload();
	cr_assert_eq(id_of("version"), VERSION);
	cr_assert_eq(id_of("new"), NEW);
	cr_assert_eq(id_of("old"), -ENOENT);
	call_ok((struct cadre_request){ .operation = NEW });
	expect(submit((struct cadre_request){ .operation = OLD }), CADRE_FAILED);

	/* And back. */
	install(1);
	expect_reload();
	cr_assert_eq(id_of("old"), OLD);
	cr_assert_eq(id_of("new"), -ENOENT);
	call_ok((struct cadre_request){ .operation = OLD });
}

/* ---- an embedded pool ---- */

TestInChild(reload, the_workers_of_an_embedded_pool_are_made_anew)
{
	const struct cadre_pool_options options = { .size = sizeof(options), ONE_WORKER };
	const struct cadre_request request = { .operation = TROUPE_WHO };
	struct cadre_pool *pool;
	struct cadre_result result;
	int32_t pid;

	CHILD_CHECK(cadre_pool_start(&troupe_service, &options, &pool, NULL) == 0);
	CHILD_CHECK(cadre_call(cadre_pool_client(pool), &request, &result) == 0);
	pid = result.worker_pid;
	cadre_release(cadre_pool_client(pool), &result);
	CHILD_CHECK(cadre_pool_reload(pool, GENEROUS, NULL) == 0);
	CHILD_CHECK(cadre_call(cadre_pool_client(pool), &request, &result) == 0);
	CHILD_CHECK(result.outcome == CADRE_OK && result.worker_pid != pid);
	cadre_release(cadre_pool_client(pool), &result);
	cadre_pool_close(pool);
}

/* ---- in place: a worker that replaces its service while its handlers run ---- */

static struct cadre_worker *worker;
static void *_Atomic code; /* of the present service */
static const char *places; /* directory of the test */

static const struct cadre_service *load(int version)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/version%d.so", getenv("CADRE_TEST_SERVICE_DIR"),
		 version);
	atomic_store(&code, dlopen(path, RTLD_NOW | RTLD_LOCAL));
	return dlsym(atomic_load(&code), CADRE_SERVICE_SYMBOL);
}

static void leave_note(const char *name, int number)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s%d", places, name, number);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static bool has_note(const char *name, int number)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s%d", places, name, number);
	return access(path, F_OK) == 0;
}

static int released;

static void unload(const struct cadre_service *service, void *old_code)
{
	(void)service;
	if (dlclose(old_code) == 0)
		leave_note("released", ++released);
}

/* The first callback drops what held a service for being present, and asks for the second,
 * which gives it back: who nobody holds has been given back when this returns. */
static void await_releases(void)
{
	urcu_bp_barrier();
	urcu_bp_barrier();
}

/* Odd versions are 1, even ones 2. Each is put in place when the test leaves a note. */
static int be_reloader(void)
{
	int present = 1;

	if (cadre_worker_open(load(1), &worker, NULL) < 0)
		return 1;
	for (;;) {
		struct pollfd look = { .fd = cadre_worker_fd(worker), .events = POLLIN };

		poll(&look, 1, 1);
		if (cadre_worker_step(worker) == -ESHUTDOWN)
			break;
		/* One object is loaded once only: the last but one must be gone. */
		if (has_note("swap", present + 1) &&
		    (present == 1 || has_note("released", present - 1))) {
			void *const old_code = atomic_load(&code);

			present++;
			if (cadre_worker_reload(worker, load(present % 2 ? 1 : 2), unload,
						old_code, NULL) < 0)
				return 1;
			/* Turns the page: from now on only its jobs hold the old one. */
			cadre_worker_step(worker);
			await_releases();
			leave_note("swapped", present);
		}
	}
	cadre_worker_close(worker);
	leave_note("closed", 1);
	return 0;
}

static void serve_reloader(struct cadre_pool_options options)
{
	static char self[] = "/proc/self/exe", mode[] = "--reloader";
	static char *program[] = { self, mode, directory, NULL };
	const struct cadre_source source = { .program = program };

	places = directory;
	cr_assert_eq(troupe_serve(&troupe, &source, options), 0, "%s", troupe.diag.text);
}

static void swap_to(int number)
{
	leave_note("swap", number);
	cr_assert(eventually(has_note("swapped", number)));
}

static bool has_mapped(int version)
{
	char command[200];

	snprintf(command, sizeof(command), "grep -q version%d.so /proc/%d/maps", version,
		 (int)troupe_worker(troupe.scene.pool, 0));
	return system(command) == 0;
}

static struct cadre_ticket defer(const char *gate)
{
	return submit((struct cadre_request){
		.operation = LATER, .data = gate, .length = strlen(gate) + 1 });
}

Test(reload, in_place_the_old_code_is_unloaded_when_its_last_deferred_job_has_ended)
{
	struct cadre_result result;
	struct cadre_ticket held;
	char gate[100];

	snprintf(gate, sizeof(gate), "%s/gate", directory);
	serve_reloader((struct cadre_pool_options){ ONE_WORKER, .parallel = 4 });
	held = defer(gate);
	cr_assert(eventually(troupe_look_worker(troupe.scene.pool, 0).letter == 'W'));
	swap_to(2);
	cr_assert(eventually(ask_version() == 2));
	cr_assert(has_mapped(1) && has_mapped(2), "somebody is still inside");
	cr_assert_not(has_note("released", 1));
	cr_assert_eq(about_pool("workers_died"), 0, "its fini was called before its time");
	open_file(gate);
	result = await(held);
	cr_assert_eq(number_in(&result), 1);
	release(&result);
	cr_assert(eventually(has_note("released", 1)));
	cr_assert_not(has_mapped(1));
	cr_assert_eq(ask_version(), 2);
}

Test(reload, in_place_under_load_no_job_fails_and_nobody_is_in_code_that_is_gone)
{
	enum { SWAPS = 30, AT_ONCE = 4 };
	struct cadre_ticket tickets[AT_ONCE] = { 0 };
	int32_t pid = 0;

	serve_reloader((struct cadre_pool_options){ ONE_WORKER, .parallel = 4 });
	for (int number = 2; number <= SWAPS + 1; number++) {
		leave_note("swap", number);
		/* Those that are out are of both versions. `later` ends at once: its gate is
		 * the directory. */
		for (unsigned job = 0; job < 200 || !has_note("swapped", number); job++) {
			struct cadre_ticket *const ticket = &tickets[job % AT_ONCE];

			if (ticket->id) {
				const struct cadre_result result = await(*ticket);

				cr_assert_eq(result.outcome, CADRE_OK, "%s",
					     result.sentence);
				pid = pid ? pid : result.worker_pid;
				cr_assert_eq(result.worker_pid, pid);
				release(&result);
			}
			*ticket = job % 16 == 3 ? defer(directory) :
						  submit((struct cadre_request){
							  .operation = VERSION });
		}
	}
	for (int i = 0; i < AT_ONCE; i++)
		expect(tickets[i], CADRE_OK);
	cr_assert(eventually(has_note("released", SWAPS)));
	cr_assert_eq(about_pool("workers_died"), 0);
}

Test(reload, in_place_close_waits_until_the_old_code_is_unloaded)
{
	serve_reloader((struct cadre_pool_options){ ONE_WORKER, .parallel = 4 });
	swap_to(2);
	swap_to(3);
	kill(troupe.program, SIGTERM);
	cr_assert(eventually(has_note("closed", 1)));
	cr_assert(has_note("released", 1) && has_note("released", 2));
	cr_assert_eq(child_end(troupe.program), CHILD_FINE);
	troupe.program = 0;
}

/* Before Criterion's main, which starts no test twice. */
__attribute__((constructor)) static void be_worker_program(int argc, char *argv[])
{
	if (argc != 3 || strcmp(argv[1], "--reloader") != 0)
		return;
	places = argv[2];
	exit(be_reloader());
}
