/*
 * proc_refusal.c - claims about what does not start and who does not get in: an error, one
 * sentence that says why, and nothing left behind.
 */
#include "claims.h"

#include "control.h"
#include "layout.h"
#include "process.h"
#include "room.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(refusal, TROUPE);

#define MS INT64_C(1000000)

static const char *pool(void)
{
	return troupe.scene.pool;
}

static void expect_sentence(const char *words)
{
	cr_assert_not_null(strstr(troupe.diag.text, words), "\"%s\" is not in \"%s\"",
			   words, troupe.diag.text);
}

/* ---- starting ---- */

static void refuse_start(struct cadre_pool_options options, int error, const char *words)
{
	troupe.diag.text[0] = '\0';
	cr_assert_eq(troupe_start(&troupe, &troupe_service, options), error, "%s: %s",
		     words, troupe.diag.text);
	expect_sentence(words);
}

#define REFUSE(words, ...) \
	refuse_start((struct cadre_pool_options){ __VA_ARGS__ }, -EINVAL, words)

Test(refusal, options_that_cannot_be_are_refused_each_with_its_sentence)
{
	static const char long_name[] =
		"a-name-of-sixty-four-bytes-is-one-byte-longer-than-what-can-be-x";

	REFUSE("workers_min 3: is more than workers_max 2", .workers_min = 3,
	       .workers_max = 2);
	REFUSE("workers_max 513", .workers_max = 513);
	REFUSE("parallel 4097", .parallel = 4097);
	REFUSE("clients_max 513", .clients_max = 513);
	REFUSE("window_slots 3: must be a power of two", .window_slots = 3);
	REFUSE("window_slots 131072", .window_slots = 131072);
	REFUSE("clients_max 512 x window_slots 65536", .clients_max = 512,
	       .window_slots = 65536);
	REFUSE("payload_max", .payload_max = SIZE_MAX);
	REFUSE("block_bytes", .block_bytes = SIZE_MAX);
	REFUSE("start_length 4097", .start_data = "", .start_length = 4097);
	REFUSE("start_length 1", .start_length = 1);
	REFUSE("time-out", .start_timeout_ns = -1);
	REFUSE("time-out", .idle_timeout_ns = -1);
	REFUSE("time-out", .stop_timeout_ns = -1);
	REFUSE("time-out", .grace_ns = -1);
	REFUSE("time-out", .orphan_ns = -1);
	REFUSE("\"a/b\"", .name = "a/b");
	REFUSE("name", .name = "");
	REFUSE("name", .name = long_name);
}

Test(refusal, options_of_another_version_are_refused)
{
	const struct cadre_pool_options options = { .size = sizeof(options) - 1 };
	const struct cadre_client_options wishes = { .size = sizeof(wishes) + 1 };
	struct cadre_client *client;
	struct cadre_pool *started;

	cr_assert_eq(cadre_pool_start(&troupe_service, &options, &started, &troupe.diag),
		     -EINVAL);
	expect_sentence("cadre_pool_options has size");
	cr_assert_eq(cadre_client_attach(pool(), &wishes, &client, &troupe.diag), -EINVAL);
	expect_sentence("cadre_client_options has size");
}

Test(refusal, a_service_that_cannot_be_served_starts_no_pool)
{
	struct cadre_service service = troupe_service;

	service.operation_count = 0;
	cr_assert_eq(troupe_start(&troupe, &service, (struct cadre_pool_options){ 0 }),
		     -EINVAL);
	expect_sentence("has no operations");
}

/* The test itself has a second thread, which Criterion keeps. */
Test(refusal, a_program_that_has_threads_starts_no_pool)
{
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = pool() };
	struct cadre_pool *started;

	cr_assert_eq(cadre_pool_start(&troupe_service, &options, &started, &troupe.diag),
		     -ENOTSUP);
	expect_sentence("threads");
}

Test(refusal, the_name_of_a_living_pool_is_taken)
{
	struct cadre_pool_options options = { .size = sizeof(options), ONE_WORKER };
	struct troupe other = { .line = -1 };

	START(ONE_WORKER);
	options.name = pool();
	cr_assert_eq(troupe_start(&other, &troupe_service, options), -EEXIST, "%s",
		     other.diag.text);
	troupe.diag = other.diag;
	expect_sentence(pool());
	call_ok(ASK(TROUPE_LOG, 1));
}

Test(refusal, the_name_of_a_dead_pool_is_taken_over)
{
	pid_t family[3];

	START(ONE_WORKER);
	family[0] = troupe_keeper(pool());
	family[1] = troupe_supervisor(pool());
	family[2] = troupe_worker(pool(), 0);
	for (int i = 0; i < 3; i++)
		child_stop(family[i]);
	troupe_kill_program(&troupe);
	for (int i = 0; i < 3; i++)
		kill(family[i], SIGKILL);
	cr_assert(eventually(troupe_living() == 0));
	cr_assert_geq(scene_files(pool()), 2);
	troupe_close(&troupe);

	START(ONE_WORKER);
	call_ok(ASK(TROUPE_LOG, 1));
}

TestInChild(refusal, a_pool_that_is_larger_than_what_is_free_does_not_start)
{
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = pool() };
	struct cadre_pool *started;
	struct cadre_diag diag;

	if (room_make("size=1m") < 0)
		child_skip(ROOM_SKIPPED);
	CHILD_CHECK(cadre_pool_start(&troupe_service, &options, &started, &diag) ==
		    -ENOSPC);
	CHILD_CHECK(strstr(diag.text, "KiB are free"));
	CHILD_CHECK(scene_files(pool()) == 0);
}

/* ---- attaching ---- */

static void refuse_attach(const char *name, int error, const char *words)
{
	const struct cadre_client_options brief = { .size = sizeof(brief),
						    .timeout_ns = 50 * MS };
	struct cadre_client *client;
	const int r = cadre_client_attach(name, &brief, &client, &troupe.diag);

	cr_assert_eq(r, error, "%d: %s", r, troupe.diag.text);
	expect_sentence(words);
}

Test(refusal, a_pool_that_does_not_exist_lets_nobody_in)
{
	refuse_attach(pool(), -ENOENT, "no segment");
	expect_sentence(pool());
	refuse_attach("no/name", -EINVAL, "no/name");
}

static void overwrite(const char *name, size_t offset, uint64_t value, size_t size)
{
	char path[CADRE_PATH_SIZE];
	int fd;

	cadre_path(name, CADRE_FILE_SEGMENT, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_eq(pwrite(fd, &value, size, (off_t)offset), (ssize_t)size);
	close(fd);
}

Test(refusal, a_pool_of_another_layout_lets_nobody_in)
{
	START(ONE_WORKER);
	overwrite(pool(), offsetof(struct cadre_header, layout), CADRE_LAYOUT_NUMBER + 1,
		  sizeof(uint32_t));
	refuse_attach(pool(), -EPROTONOSUPPORT, "layout 3");
	overwrite(pool(), offsetof(struct cadre_header, layout), CADRE_LAYOUT_NUMBER,
		  sizeof(uint32_t));
	overwrite(pool(), offsetof(struct cadre_header, fingerprint), 1, sizeof(uint64_t));
	refuse_attach(pool(), -EPROTONOSUPPORT, "another build");
}

Test(refusal, a_dead_pool_of_another_layout_is_not_replaced)
{
	const struct cadre_limits limits = {
		.workers = 1, .parallel = 1, .clients = 1, .slots = 1
	};
	struct cadre_view view;

	cr_assert_eq(cadre_layout_create(pool(), &limits, 0600, &view, NULL), 0);
	view.header->layout++;
	cadre_layout_close(&view);
	refuse_start((struct cadre_pool_options){ ONE_WORKER }, -EPROTONOSUPPORT,
		     "cadre gc");
	cr_assert_eq(scene_files(pool()), 1);
	cadre_segment_remove(pool());
}

Test(refusal, a_segment_that_is_damaged_lets_nobody_in)
{
	char name[CADRE_NAME_MAX + 1], path[CADRE_PATH_SIZE];
	const struct cadre_limits limits = {
		.workers = 1, .parallel = 1, .clients = 1, .slots = 1
	};
	struct cadre_view view;

	scene_name(name);
	cr_assert_eq(cadre_layout_create(name, &limits, 0600, &view, NULL), 0);
	atomic_store(&view.header->ready, 1);
	cadre_layout_close(&view);
	cadre_path(name, CADRE_FILE_SEGMENT, path);

	overwrite(name, offsetof(struct cadre_header, limits.workers), 99999,
		  sizeof(uint32_t));
	refuse_attach(name, -EBADMSG, "limits");
	overwrite(name, offsetof(struct cadre_header, limits.workers), 2,
		  sizeof(uint32_t));
	refuse_attach(name, -EBADMSG, "its header asks for");
	cr_assert_eq(truncate(path, sizeof(struct cadre_header) - 1), 0);
	refuse_attach(name, -EBADMSG, "holds no header");
	cr_assert_eq(truncate(path, 0), 0);
	refuse_attach(name, -EBADMSG, "not a finished segment");
	cr_assert_eq(truncate(path, sizeof(struct cadre_header)), 0);
	refuse_attach(name, -EBADMSG, "not made by Cadre");
	cadre_segment_remove(name);
}

static int attach_without_memory(void *context)
{
	const struct rlimit none = { .rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY };
	struct cadre_client *client;
	struct cadre_diag diag = { "" };

	CHILD_CHECK(setrlimit(RLIMIT_AS, &none) == 0);
	CHILD_CHECK(cadre_client_attach(context, NULL, &client, &diag) == -ENOMEM);
	CHILD_CHECK(diag.text[0] != '\0');
	return CHILD_FINE;
}

Test(refusal, a_process_without_memory_does_not_get_in)
{
#ifdef __SANITIZE_ADDRESS__
	cr_skip_test("the address sanitizer itself needs memory without bound");
#endif
	START(ONE_WORKER);
	cr_assert_eq(child_run(attach_without_memory, troupe.scene.pool), CHILD_FINE);
}

static int attach_as_nobody(void *context)
{
	struct cadre_client *client;
	struct cadre_diag diag;

	if (setgid(65534) < 0 || setuid(65534) < 0)
		return CHILD_SKIPPED;
	CHILD_CHECK(cadre_client_attach(context, NULL, &client, &diag) == -EACCES);
	CHILD_CHECK(strstr(diag.text, "belongs to another user"));
	return CHILD_FINE;
}

Test(refusal, the_pool_of_another_user_lets_nobody_in)
{
	int status;

	START(ONE_WORKER);
	status = child_run(attach_as_nobody, troupe.scene.pool);
	if (status == CHILD_SKIPPED)
		cr_skip_test("only root can become another user");
	cr_assert_eq(status, CHILD_FINE);
}

Test(refusal, a_pool_whose_windows_are_all_taken_lets_nobody_in_until_one_is_vacant)
{
	struct cadre_client *other;

	/* One for the program, one for the test, one for the other. */
	START(ONE_WORKER, .clients_max = 3);
	cr_assert_eq(cadre_client_attach(pool(), NULL, &other, NULL), 0);
	refuse_attach(pool(), -EUSERS, "all 3 client places are taken");
	cadre_client_detach(other);
	cr_assert(eventually(cadre_client_attach(pool(), NULL, &other, NULL) == 0));
	cadre_client_detach(other);
}

/* However late the supervisor's answer comes, or how little of it was read. */
Test(refusal, a_client_that_gives_up_attaching_keeps_no_window)
{
	struct cadre_client *client;
	uint32_t before;

	START(ONE_WORKER, .clients_max = 3);
	before = troupe_look(troupe.scene.pool).clients;
	for (unsigned i = 0; i < 300; i++) {
		const struct cadre_client_options hasty = { .size = sizeof(hasty),
							    .timeout_ns = 1 + i * 2000 };

		if (cadre_client_attach(troupe.scene.pool, &hasty, &client, NULL) == 0)
			cadre_client_detach(client);
	}
	cr_assert(eventually(troupe_look(troupe.scene.pool).clients == before));
	cr_assert_eq(cadre_client_attach(troupe.scene.pool, NULL, &client, NULL), 0);
	cadre_client_detach(client);
}

/* It was told which window it has, and never looked. */
Test(refusal, a_goodbye_of_whichever_window_gives_back_that_of_its_nonce)
{
	struct cadre_control hello = cadre_control_message(CADRE_CONTROL_HELLO);
	struct cadre_control goodbye = cadre_control_message(CADRE_CONTROL_GOODBYE);
	struct cadre_control answer;
	uint32_t before;

	START(ONE_WORKER, .clients_max = 4);
	before = troupe_look(troupe.scene.pool).clients;
	hello.nonce = goodbye.nonce = 4711;
	hello.start_time = cadre_process_self().start_time;
	goodbye.place = CADRE_CONTROL_ANY_PLACE;
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &hello, GENEROUS, &answer), 0);
	cr_assert_eq(troupe_look(troupe.scene.pool).clients, before + 1);
	goodbye.nonce++;
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &goodbye, GENEROUS, &answer), 0);
	cr_assert_eq(answer.error, -ESTALE);
	cr_assert_eq(troupe_look(troupe.scene.pool).clients, before + 1);
	goodbye.nonce--;
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &goodbye, GENEROUS, &answer), 0);
	cr_assert_eq(answer.error, 0);
	cr_assert_eq(troupe_look(troupe.scene.pool).clients, before);
	call_ok(ASK(TROUPE_LOG, 1));
}

Test(refusal, a_pool_whose_supervisor_does_not_answer_lets_nobody_in)
{
	pid_t supervisor;

	START(ONE_WORKER);
	supervisor = troupe_supervisor(pool());
	child_stop(supervisor);
	refuse_attach(pool(), -ETIMEDOUT, "does not answer");
	kill(supervisor, SIGCONT);
	call_ok(ASK(TROUPE_LOG, 1));
}

Test(refusal, a_pool_whose_supervisor_is_dead_lets_nobody_in)
{
	const struct cadre_source source = { .service = &troupe_service };

	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0);
	troupe_kill_program(&troupe);
	refuse_attach(pool(), -ECONNREFUSED, "its supervisor is dead");
	/* So that somebody cleans up. */
	cadre_client_detach(troupe.client);
	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){ ONE_WORKER }),
		     0);
}
