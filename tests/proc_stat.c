/*
 * proc_stat.c - claims about `cadre stat` and `cadre gc`, made to the program itself, on
 * pools that live, are saturated, do not move, or are dead. What its numbers mean is in
 * proc_numbers.c.
 */
#include "child.h"
#include "showing.h"

#include <cadre/local.h>
#include <cadre/service.h>

TestSuite(stat, .init = begin, .fini = end);
TestSuite(gc, .init = begin, .fini = end);

/* ---- a pool that works ---- */

Test(stat, an_idle_pool_shows_its_workers_idle_and_nothing_in_flight)
{
	serve();
	look();

	cr_assert_eq(number(shown, "schema"), 1);
	cr_assert_str_eq(text(pool_part(), "name"), scene.pool);
	cr_assert_str_eq(text(pool_part(), "state"), "open");
	cr_assert(json_is_true(json_object_get(pool_part(), "alive")));
	cr_assert_eq(number(pool_part(), "supervisor_pid"), server);
	cr_assert_eq(number(pool_part(), "workers_ready"), 2);
	cr_assert_eq(number(pool_part(), "in_flight"), 0);
	cr_assert_str_eq(text(part("workers", 0), "letter"), "_");
	cr_assert_gt(number(part("workers", 0), "idle_ns"), 0);
	cr_assert_gt(number(part("workers", 0), "uptime_ns"), 0);
	cr_assert_str_eq(text(part("workers", 2), "letter"), ".");
	cr_assert_eq(json_array_size(json_object_get(shown, "workers")), 4);

	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "workers 2 ready of 2..3"), "%s", run.out);
	cr_assert(says(run.out, "2 places of workers unused"), "%s", run.out);
	cr_assert_str_eq(run.err, "");
}

Test(stat, jobs_are_shown_by_their_outcomes)
{
	serve();
	attach();
	cr_assert_eq(call("echo", "a"), CADRE_OK);
	cr_assert_eq(call("echo", "b"), CADRE_OK);
	cr_assert_eq(call("fail", "no"), CADRE_FAILED);
	cr_assert_eq(call("crash", "9"), CADRE_LOST);
	await_workers(2);
	look();

	cr_assert_eq(ended(pool_part(), "ok"), 2);
	cr_assert_eq(ended(pool_part(), "failed"), 1);
	cr_assert_eq(ended(pool_part(), "lost"), 1);
	cr_assert_eq(number(pool_part(), "submitted"), 4);
	cr_assert_eq(counter(pool_part(), "workers_died"), 1);
	cr_assert_eq(ended(part("workers", 0), "lost") + ended(part("workers", 1), "lost"),
		     1);
	cr_assert_eq(ended(part("workers", 0), "ok") + ended(part("workers", 1), "ok"), 2);
	cr_assert_eq(counter(part("workers", 0), "restarts") +
			     counter(part("workers", 1), "restarts"),
		     1);
	cr_assert_eq(number(part("clients", 0), "submitted"), 4);

	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "ok 2  failed 1  cancelled 0  timed out 0  lost 1"), "%s",
		  run.out);
}

Test(stat, a_saturated_pool_is_shown_at_once_and_asks_nobody)
{
	const struct cadre_request one_more = { .operation = 1 };
	int64_t start_ns;

	serve();
	attach();
	for (unsigned i = 0; i < SLOTS; i++)
		submit("sleep", "3600000");
	cr_assert_eq(cadre_try_submit(client, &one_more, NULL), -EINVAL);
	cr_assert_eq(cadre_try_submit(client, &one_more, &(struct cadre_ticket){ 0 }),
		     -EAGAIN);
	await_running(3); /* The crew grows to its maximum, and does not do more. */

	cr_assert_eq(number(pool_part(), "queue_length"), SLOTS - 3);
	cr_assert_gt(number(pool_part(), "oldest_pending_ns"), 0);
	cr_assert_str_eq(text(part("workers", 1), "letter"), "W");
	cr_assert_eq(number(part("workers", 1), "idle_ns"), 0);
	cr_assert_gt(number(part("workers", 1), "running_ns"), 0);
	cr_assert_str_eq(text(part("workers", 1), "operation"), "sleep");
	cr_assert_eq(counter(part("workers", 1), "workload"), 1);
	cr_assert_eq(number(part("clients", 0), "slots_used"), SLOTS);
	cr_assert_eq(counter(part("clients", 0), "window_full"), 1);

	/* Nobody of the pool can run, and the answer is the same. */
	for (size_t i = 0; i < 3; i++)
		child_stop(worker_pid(i));
	child_stop(server);
	start_ns = cadre_now_ns();
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert_lt(cadre_now_ns() - start_ns, INT64_C(2000000000));
	cr_assert(says(run.out, "queued 13  in flight 16"), "%s", run.out);
	cr_assert(says(run.out, "sleep "), "%s", run.out);
	for (size_t i = 0; i < 3; i++)
		kill(worker_pid(i), SIGCONT);
}

Test(stat, a_supervisor_that_does_not_move_is_called_silent_and_not_dead)
{
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);

	serve();
	child_stop(server);
	do {
		cr_assert_lt(cadre_now_ns(), until_ns);
		nap();
		look();
	} while (number(pool_part(), "heartbeat_age_ns") < INT64_C(3100000000));

	cr_assert(json_is_true(json_object_get(pool_part(), "alive")));
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "SILENT"), "%s", run.out);
	cr_assert_not(says(run.out, "dead"), "%s", run.out);
}

Test(stat, the_json_holds_each_counter_by_its_name)
{
	static const char *const lists[CADRE_SCOPE_COUNT] = {
		[CADRE_SCOPE_WORKER] = "workers",
		[CADRE_SCOPE_PLACE] = "workers",
		[CADRE_SCOPE_CLIENT] = "clients",
	};

	serve();
	attach();
	look();
	for (unsigned scope = 0; scope < CADRE_SCOPE_COUNT; scope++) {
		json_t *const where = lists[scope] ? part(lists[scope], 0) : pool_part();
		size_t count;
		const struct cadre_counter_description *const counters =
			cadre_counter_describe((enum cadre_counter_scope)scope, &count);

		for (size_t i = 0; i < count; i++)
			cr_assert_geq(counter(where, counters[i].name), 0);
	}
}

/* ---- local workers ---- */

static void answer(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_reply(job, "", 0);
}

static const struct cadre_operation local_operations[] = { { 1, "answer", answer } };
static const struct cadre_service local_service = {
	.size = sizeof(local_service),
	.name = "local",
	.operations = local_operations,
	.operation_count = 1,
};

Test(stat, a_local_worker_is_shown_with_whose_it_is)
{
	struct cadre_local *local;
	char row[64];

	serve();
	look();
	cr_assert_str_eq(text(part("guests", 0), "letter"), ".");
	cr_assert(json_is_null(json_object_get(part("guests", 0), "program")));
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert_not(says(run.out, "PROGRAM"), "%s", run.out);

	cr_assert_eq(cadre_local_open(scene.pool, &local_service, NULL, &local, NULL), 0);
	look();
	cr_assert_eq(number(pool_part(), "locals"), 1);
	cr_assert_eq((int64_t)json_array_size(json_object_get(shown, "guests")),
		     number(pool_part(), "locals_max"));
	cr_assert_eq(number(part("guests", 0), "pid"), getpid());
	cr_assert_eq(number(part("guests", 0), "worker"),
		     (int64_t)json_array_size(json_object_get(shown, "workers")));
	snprintf(row, sizeof(row), " %d %s ", (int)getpid(),
		 text(part("guests", 0), "program"));
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "PROGRAM"), "%s", run.out);
	cr_assert(says(run.out, "%s", row), "%s", run.out);

	cr_assert_eq(cadre("stat", "--prometheus", scene.pool, NULL), 0);
	cr_assert(says(run.out, "cadre_guest_opened_total{pool=\"%s\",guest=\"0\"} 1\n",
		       scene.pool),
		  "%s", run.out);
	cr_assert_eq(cadre("stat", "--fields", "guest.letter", scene.pool, NULL), 0);
	cr_assert(says(run.out, "guest letter\n"), "%s", run.out);
	/* Its place is not that of the worker of the same number. */
	cr_assert_eq(cadre("stat", "--events", scene.pool, NULL), 0);
	cr_assert(says(run.out, "took place 0 for a local worker"), "%s", run.out);
	cr_assert_eq(cadre("stat", "--events", "--worker", "0", scene.pool, NULL), 0);
	cr_assert_not(says(run.out, "local worker"), "%s", run.out);
	cadre_local_close(local);
}

/* ---- a pool that is dead ---- */

Test(stat, a_dead_pool_is_shown_and_said_to_be_dead)
{
	pid_t caller;

	serve();
	caller = call_behind();
	await_running(1);
	kill_pool();
	kill(caller, SIGKILL);
	await_exit(caller);
	look();

	cr_assert(json_is_false(json_object_get(pool_part(), "alive")));
	cr_assert_eq(number(pool_part(), "workers_ready"), 0);
	cr_assert_eq(number(pool_part(), "clients"), 0);
	cr_assert_str_eq(text(part("clients", 0), "state"), "gone");
	cr_assert_eq(number(pool_part(), "in_flight"), 1,
		     "what it was doing is still there");
	cr_assert_str_eq(text(part("workers", 0), "letter"), "X");
	cr_assert_str_eq(text(part("workers", 1), "letter"), "X");

	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert_eq(strncmp(run.out, "pool \"", 6), 0, "the first line says it: %s",
		     run.out);
	cr_assert(says(run.out, "\" is dead"), "%s", run.out);
	cr_assert(says(run.out, "cadre gc"), "%s", run.out);
	cr_assert(says(run.out, "cadre serve --name %s", scene.pool), "%s", run.out);
}

Test(gc, a_dead_pool_is_removed_once_nobody_uses_it)
{
	pid_t caller;

	serve();
	caller = call_behind();
	await_running(1);
	kill_pool();

	cr_assert_eq(cadre("gc", scene.pool, NULL), 0);
	cr_assert(says(run.out, "kept pool \"%s\"", scene.pool), "%s", run.out);
	cr_assert(says(run.out, "client 0 (pid %d) lives", (int)caller), "%s", run.out);
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "once its clients have left"), "%s", run.out);
	kill(caller, SIGKILL);
	await_exit(caller);

	cr_assert_eq(cadre("gc", "--dry-run", scene.pool, NULL), 0);
	cr_assert(says(run.out, "would remove pool \"%s\"", scene.pool), "%s", run.out);
	cr_assert_gt(scene_files(scene.pool), 0);

	cr_assert_eq(cadre("gc", scene.pool, NULL), 0);
	cr_assert(says(run.out, "removed pool \"%s\"", scene.pool), "%s", run.out);
	cr_assert_eq(scene_files(scene.pool), 0);

	cr_assert_eq(cadre("stat", scene.pool, NULL), 2);
	cr_assert_eq(cadre("gc", scene.pool, NULL), 2);
}

Test(gc, a_living_pool_is_left_alone_and_works_on)
{
	serve();
	cr_assert_eq(cadre("gc", scene.pool, NULL), 0);
	cr_assert(says(run.out, "kept pool"), "%s", run.out);
	cr_assert(says(run.out, "nothing to remove"), "%s", run.out);
	cr_assert_eq(scene_files(scene.pool), 3);

	attach();
	cr_assert_eq(call("echo", "still here"), CADRE_OK);
}

Test(gc, a_pool_whose_workers_outlived_the_supervisor_is_left_to_the_next_one)
{
	pid_t workers[2];

	serve();
	workers[0] = worker_pid(0);
	workers[1] = worker_pid(1);
	kill(server, SIGKILL);
	await_exit(server);
	server = 0;

	cr_assert_eq(cadre("gc", scene.pool, NULL), 0);
	cr_assert(says(run.out, "kept pool"), "%s", run.out);
	cr_assert(says(run.out, "worker 0 (pid %d) lives", (int)workers[0]), "%s",
		  run.out);
	cr_assert_eq(cadre("stat", scene.pool, NULL), 0);
	cr_assert(says(run.out, "has no supervisor"), "%s", run.out);
	cr_assert(says(run.out, "2 of its workers still live"), "%s", run.out);

	for (size_t i = 0; i < 2; i++) {
		kill(workers[i], SIGKILL);
		await_exit(workers[i]);
	}
}

Test(gc, wrong_arguments_are_refused)
{
	cr_assert_eq(cadre("gc", "no/name", NULL), 64);
	cr_assert_eq(cadre("gc", "--no-such-option", NULL), 64);
	cr_assert_eq(cadre("gc", "a", "b", NULL), 64);
	cr_assert_str_eq(run.out, "");
}

/* ---- which pool ---- */

/* A pool without processes: enough for what is refused, or only counted. */
static void make_remains(const char *name, uint32_t layout)
{
	const struct cadre_limits limits = {
		.workers = 1, .parallel = 1, .clients = 1, .slots = 1
	};
	struct cadre_view view;

	cr_assert_eq(cadre_layout_create(name, &limits, 0600, &view, NULL), 0);
	view.header->layout = layout;
	atomic_store(&view.header->ready, 1);
	cadre_layout_close(&view);
}

Test(stat, among_several_pools_one_must_be_named_or_all_asked_for)
{
	char other[CADRE_NAME_MAX + 1];
	unsigned found = 0;

	make_remains(scene.pool, CADRE_LAYOUT_NUMBER);
	scene_name(other);
	make_remains(other, CADRE_LAYOUT_NUMBER);

	cr_assert_eq(cadre("stat", NULL), 2);
	cr_assert_str_eq(run.out, "");
	cr_assert(says(run.err, "name one or use --all"), "%s", run.err);
	cr_assert(says(run.err, " %s", scene.pool), "%s", run.err);
	cr_assert(says(run.err, " %s", other), "%s", run.err);

	/* The status depends on what pools of other tests may come and go meanwhile. */
	cadre("stat", "--all", "--json", NULL);
	for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *const object = json_loads(line, 0, NULL);
		const char *const name = text(json_object_get(object, "pool"), "name");

		found += strcmp(name, scene.pool) == 0 || strcmp(name, other) == 0;
		json_decref(object);
	}
	cr_assert_eq(found, 2);
	cr_assert_eq(cadre_collect_garbage(other, 0, NULL, NULL), 1);
}

Test(stat, a_pool_that_is_missing_or_of_another_build_is_refused_with_a_sentence)
{
	cr_assert_eq(cadre("stat", scene.pool, NULL), 2);
	cr_assert(says(run.err, "cadre stat: "), "%s", run.err);
	cr_assert(says(run.err, "is the pool running?"), "%s", run.err);

	make_remains(scene.pool, CADRE_LAYOUT_NUMBER + 1);
	cr_assert_eq(cadre("stat", "--json", scene.pool, NULL), 2);
	cr_assert(says(run.err, "layout %u", CADRE_LAYOUT_NUMBER + 1), "%s", run.err);
	cr_assert_str_eq(run.out, "");
}

Test(stat, wrong_arguments_are_refused)
{
	cr_assert_eq(cadre("stat", "no/name", NULL), 64);
	cr_assert_eq(cadre("stat", "--no-such-option", NULL), 64);
	cr_assert_eq(cadre("stat", "a", "b", NULL), 64);
	cr_assert_eq(cadre("stat", "--all", "a", NULL), 64);
	cr_assert_str_eq(run.out, "");
}

/* ---- the list, and where it is written ---- */

Test(stat, the_list_has_a_line_for_each_counter_and_needs_no_pool)
{
	cr_assert_eq(cadre("stat", "--list", NULL), 0);
	for (unsigned scope = 0; scope < CADRE_SCOPE_COUNT; scope++) {
		size_t count;
		const struct cadre_counter_description *const counters =
			cadre_counter_describe((enum cadre_counter_scope)scope, &count);

		for (size_t i = 0; i < count; i++) {
			cr_assert(says(run.out, " %s ", counters[i].name));
			cr_assert(says(run.out, "%.60s", counters[i].sentence));
		}
	}
}

Test(stat, the_list_is_also_json)
{
	json_t *list;

	cr_assert_eq(cadre("stat", "--list", "--json", NULL), 0);
	list = json_loads(run.out, 0, NULL);
	cr_assert_str_eq(text(json_array_get(json_object_get(list, "counters"), 0), "name"),
			 "jobs_taken");
	json_decref(list);
}

Test(stat, a_full_disk_is_an_error)
{
	const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char *arguments[] = { NULL, "stat", "--list", NULL };

	run_into(full, arguments);
	close(full);
	cr_assert_eq(run.status, 1);
	cr_assert(says(run.err, "cannot write the report"), "%s", run.err);
}

Test(stat, a_reader_that_leaves_early_is_no_matter)
{
	char *arguments[] = { NULL, "stat", "--list", NULL };
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN); /* It must not depend on what it inherits. */
	run_into(ends[1], arguments);
	close(ends[1]);
	cr_assert_eq(run.status, 128 + SIGPIPE);
	cr_assert_str_eq(run.err, "");
}
