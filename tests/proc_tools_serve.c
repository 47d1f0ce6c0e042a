/*
 * proc_tools_serve.c - claims about `cadre serve`, made to the program itself.
 */
#include "child.h"
#include "commands.h"

Test(serve, sigterm_ends_it_in_order_and_leaves_nothing, .init = prepare_demo,
     .fini = clean_up)
{
	cr_expect_eq(stop_server(), 0);
	cr_expect_eq(scene_files(pool), 0);
	cr_expect_eq(scene_children(), 0);
}

Test(serve, sigint_does_the_same, .init = prepare_demo, .fini = clean_up)
{
	kill(server, SIGINT);
	cr_expect_eq(wait_for(server), 0);
	server = 0;
}

Test(serve, a_worker_program_serves_as_well, .init = prepare, .fini = clean_up)
{
	char worker[4200];
	struct run run;

	snprintf(worker, sizeof(worker), "%s/demo-worker", folder("CADRE_BIN_DIR"));
	server = cadre_behind(-1, -1, -1, "serve", "--name", pool, "--workers", "2", "--",
			      worker, NULL);
	await_workers(2);
	run = cadre("hello", "call", pool, "echo", NULL);
	expect_status(&run, 0);
	expect_output(&run, "hello");
}

Test(serve, a_worker_program_started_by_hand_says_so, .init = prepare, .fini = clean_up)
{
	char worker[4200];
	char *const arguments[] = { worker, NULL };
	struct run run;

	snprintf(worker, sizeof(worker), "%s/demo-worker", folder("CADRE_BIN_DIR"));
	run = run_arguments("", 0, arguments);
	expect_status(&run, 64);
	cr_expect_gt(run.err.length, 0);
}

Test(serve, notices_are_lines_and_quiet_means_none, .init = prepare, .fini = clean_up)
{
	struct bytes notices = empty();
	int ends[2];

	for (int quiet = 0; quiet < 2; quiet++) {
		make_pipe(ends);
		server = cadre_behind(-1, -1, ends[1], "serve", "--name", pool,
				      "--workers", "1", service("demo.so"),
				      quiet ? "--quiet" : NULL, NULL);
		close(ends[1]);
		await_workers(1);
		cr_expect_eq(stop_server(), 0);
		notices.length = 0;
		notices.data[0] = '\0';
		while (append(&notices, ends[0]))
			;
		close(ends[0]);
		if (quiet)
			cr_expect_str_eq(notices.data, "");
		else
			cr_expect_eq(strncmp(notices.data, "cadre serve: ", 13), 0, "%s",
				     notices.data);
	}
}

Test(serve, it_goes_on_when_nobody_reads_its_lines_any_more, .init = prepare,
     .fini = clean_up)
{
	struct run run;
	int ends[2];

	make_pipe(ends);
	server = cadre_behind(-1, -1, ends[1], "serve", "--name", pool, "--workers", "1",
			      "--log-level", "debug", service("demo.so"), NULL);
	close(ends[1]);
	await_workers(1);
	close(ends[0]);
	/* Both are worth a line. */
	run = cadre("", "ctl", pool, "scale", "2", NULL);
	expect_status(&run, 0);
	await_workers(2);
	run = cadre("", "call", pool, "crash", NULL);
	expect_status(&run, 1);
	await_workers(2);
	cr_expect_eq(stop_server(), 0);
}

Test(serve, a_service_that_cannot_be_loaded_is_named, .init = prepare, .fini = clean_up)
{
	char library[4200];
	char *const text = copy(write_file("text.so", "no code", 7));
	struct run run;

	run = cadre("", "serve", "--name", pool, "--workers", "1", "/no/such/file.so",
		    NULL);
	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "/no/such/file.so");

	run = cadre("", "serve", "--name", pool, "--workers", "1", "--quiet", text, NULL);
	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "text.so");

	snprintf(library, sizeof(library), "%s/../lib/libcadre.so",
		 folder("CADRE_BIN_DIR"));
	run = cadre("", "serve", "--name", pool, "--workers", "1", "--quiet", library,
		    NULL);
	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "cadre_service");

	run = cadre("", "serve", "--name", pool, "--workers", "1", "--quiet", "--",
		    "/no/such/program", NULL);
	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "/no/such/program");
}

Test(serve, a_worker_that_cannot_start_tells_why, .init = prepare, .fini = clean_up)
{
	static const struct {
		const char *start;
		const char *words;
	} cases[] = {
		{ "fail-init", "demo was told to fail in init" },
		{ "exit-init 3", "status 3" },
		{ "crash-init", "SIGSEGV" },
	};

	for (size_t i = 0; i < 3; i++) {
		const struct run run = cadre("", "serve", "--name", pool, "--workers",
					     "1", "--quiet", "--start", cases[i].start,
					     service("demo.so"), NULL);

		expect_status(&run, 1);
		expect_sentence(&run, "cadre serve: ", cases[i].words);
		cr_expect_eq(scene_files(pool), 0);
	}
}

Test(serve, a_worker_that_never_gets_ready_is_given_up, .init = prepare, .fini = clean_up)
{
	const struct run run = cadre("", "serve", "--name", pool, "--workers", "1",
				     "--quiet", "--start-timeout", "200ms", "--start",
				     "slow-init 60000", service("demo.so"), NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "");
}

Test(serve, the_start_argument_may_come_from_a_file, .init = prepare, .fini = clean_up)
{
	char *const file = copy(write_file("start", "fail-init", 9));
	const struct run run = cadre("", "serve", "--name", pool, "--workers", "1",
				     "--quiet", "--start-file", file, service("demo.so"),
				     NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre serve: ", "demo was told to fail in init");
}

Test(serve, a_name_that_is_taken_is_refused_and_its_owner_goes_on, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run second = cadre("", "serve", "--name", pool, "--workers", "1",
					service("demo.so"), NULL);
	const struct run call = cadre("still here", "call", pool, "echo", NULL);

	expect_status(&second, 2);
	expect_mention(&second, pool);
	expect_status(&call, 0);
	expect_output(&call, "still here");
}

Test(serve, a_stopped_supervisor_holds_its_lock_and_a_second_serve_refuses_with_a_sentence,
     .init = prepare_demo, .fini = clean_up)
{
	struct cadre_pool_snapshot before, after;
	struct run second, call;

	cr_assert(look(&before));
	child_stop(server);
	second = cadre("", "serve", "--name", pool, "--workers", "1", service("demo.so"),
		       NULL);
	/* Without it the pool goes on. */
	kill(server, SIGCONT);
	call = cadre("still here", "call", pool, "echo", NULL);

	expect_status(&second, 2);
	expect_sentence(&second, "cadre serve: ", "has a supervisor already");
	expect_mention(&second, "which is stopped");
	expect_status(&call, 0);
	cr_assert(look(&after));
	cr_expect_eq(after.supervisor_pid, server);
	cr_expect_eq(after.created_unix_s, before.created_unix_s);
}

Test(serve, a_dev_shm_that_is_too_small_is_told, .init = prepare, .fini = clean_up)
{
	struct run run;

	room = "size=4m";
	run = cadre("", "serve", "--name", pool, "--workers", "1", service("demo.so"),
		    NULL);
	room = NULL;
	if (run.status == NO_ROOM)
		cr_skip(ROOM_SKIPPED);
	expect_status(&run, 2);
	expect_sentence(&run, "cadre serve: ", "/dev/shm");
}

Test(serve, two_pools_serve_at_once, .init = prepare_demo, .fini = clean_up)
{
	char second[CADRE_NAME_MAX + 1];
	const pid_t first = server;
	struct run run;

	scene_name(second);
	pool = second;
	serve_demo();
	run = cadre("second", "call", pool, "echo", NULL);
	expect_output(&run, "second");
	cr_expect_eq(stop_server(), 0);
	cr_expect_eq(scene_files(second), 0);

	pool = scene.pool;
	server = first;
	run = cadre("first", "call", pool, "echo", NULL);
	expect_output(&run, "first");
}

Test(serve, wrong_arguments_are_refused_in_one_sentence, .init = prepare, .fini = clean_up)
{
	const char *const demo = service("demo.so");
	const struct run runs[] = {
		cadre("", "serve", NULL),
		cadre("", "serve", "--name", pool, NULL),
		cadre("", "serve", demo, NULL),
		cadre("", "serve", "--name", "not/a/name", demo, NULL),
		cadre("", "serve", "--name", pool, demo, "more", NULL),
		cadre("", "serve", "--name", pool, demo, "--", "/bin/true", NULL),
		cadre("", "serve", "--name", pool, "--workers", "0", demo, NULL),
		cadre("", "serve", "--name", pool, "--workers", "3..2", demo, NULL),
		cadre("", "serve", "--name", pool, "--workers", "two", demo, NULL),
		cadre("", "serve", "--name", pool, "--parallel", "0", demo, NULL),
		cadre("", "serve", "--name", pool, "--slots", "1000", demo, NULL),
		cadre("", "serve", "--name", pool, "--payload-max", "1X", demo, NULL),
		cadre("", "serve", "--name", pool, "--payload-max", "99999999999G", demo,
		      NULL),
		cadre("", "serve", "--name", pool, "--start-timeout", "0", demo, NULL),
		cadre("", "serve", "--name", pool, "--mode", "999", demo, NULL),
		cadre("", "serve", "--name", pool, "--start", "a", "--start", "b", demo,
		      NULL),
		cadre("", "serve", "--name", pool, "--start-file", "/no/such/file", demo,
		      NULL),
	};

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		expect_status(&runs[i], 64);
		expect_sentence(&runs[i], "cadre serve: ", "");
	}
}
