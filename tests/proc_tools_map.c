/*
 * proc_tools_map.c - claims about `cadre map`, made to the program itself. What the library's
 * map does: proc_map.c.
 */
#include "commands.h"

Test(map, results_come_in_the_order_of_the_inputs, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("200\n0\n100\n50\n", "map", pool, "sleep", NULL);

	expect_status(&run, 0);
	expect_output(&run, "200\n0\n100\n50\n");
	cr_expect_eq(run.err.length, 0, "%s", run.err.data);
}

Test(map, unordered_results_come_as_they_are_ready, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("500\n0\n", "map", pool, "sleep", "--unordered",
				     NULL);

	expect_status(&run, 0);
	expect_output(&run, "0\n500\n");
}

Test(map, many_more_inputs_than_slots_keep_their_order, .init = prepare_demo,
     .fini = clean_up)
{
	struct bytes input = empty();
	char *end;

	input.data = resize(input.data, 20000 * 8);
	end = input.data;
	for (int i = 0; i < 20000; i++)
		end += sprintf(end, "%d\n", i);
	{
		const struct run run = cadre(input.data, "map", pool, "echo", NULL);

		expect_status(&run, 0);
		cr_expect(strcmp(run.out.data, input.data) == 0, "the order is lost");
	}
}

Test(map, a_last_line_without_newline_and_empty_lines_count, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("a\n\nb", "map", pool, "echo", "--in-flight", "1",
				     NULL);

	expect_status(&run, 0);
	expect_output(&run, "a\n\nb\n");
}

Test(map, no_input_is_no_job, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "map", pool, "echo", "--summary", NULL);

	expect_status(&run, 0);
	expect_output(&run, "");
	expect_mention(&run, "0 jobs: 0 ok");
}

Test(map, a_job_that_fails_is_named_and_the_others_go_on, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("1\nx\n2\n", "map", pool, "sleep", "--summary", NULL);

	expect_status(&run, 1);
	expect_output(&run, "1\n2\n");
	expect_mention(&run, "cadre map: input 2 \"x\" failed: ");
	expect_mention(&run, "3 jobs: 2 ok, 1 failed, 0 lost");
}

Test(map, a_line_that_is_too_long_is_named_and_the_others_go_on, .init = prepare_demo,
     .fini = clean_up)
{
	const size_t length = 300 * 1024;
	char *const input = resize(NULL, length + 8);
	struct run run;

	memset(input, 'x', length);
	input[0] = 'a';
	input[1] = '\n';
	snprintf(input + length, 8, "\nb\n");
	run = cadre(input, "map", pool, "echo", NULL);
	expect_status(&run, 1);
	expect_output(&run, "a\nb\n");
	expect_sentence(&run, "cadre map: input 2 ", "262144 bytes");
}

Test(map, results_may_carry_their_inputs, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("5\n7\n", "map", pool, "sleep", "--with-input", NULL);

	expect_status(&run, 0);
	expect_output(&run, "5  5\n7  7\n");
}

Test(map, inputs_and_results_may_end_in_nul, .init = prepare_demo, .fini = clean_up)
{
	char *const arguments[] = { program,  "map",      pool, "echo",
				    "--null", "--print0", NULL };
	const struct run run = run_arguments("a\nb\0c\0", 6, arguments);

	expect_status(&run, 0);
	cr_assert_eq(run.out.length, 6);
	cr_expect_eq(memcmp(run.out.data, "a\nb\0c\0", 6), 0);
}

Test(map, files_are_payloads_and_those_that_cannot_be_read_are_named,
     .init = prepare_demo, .fini = clean_up)
{
	char *const large = copy(write_file("large", pattern(300000), 300000));
	char *const one = copy(write_file("one", "first", 5));
	char *const two = copy(write_file("two", "second", 6));
	const struct run run = cadre("", "map", pool, "echo", one, "/no/such/file",
				     directory, two, large, "--with-input", NULL);
	char expected[600];

	expect_status(&run, 1);
	snprintf(expected, sizeof(expected), "first  %s\nsecond  %s\n", one, two);
	expect_output(&run, expected);
	expect_mention(&run, "file \"/no/such/file\" cannot be read: No such file");
	expect_mention(&run, "\" cannot be read: Is a directory");
	expect_mention(&run, "/large\" is longer than the pool takes");
}

Test(map, large_files_go_through_a_small_pool, .init = prepare_demo, .fini = clean_up)
{
	char *const bytes = pattern(256 * 1024);
	char *const path = copy(write_file("large", bytes, 256 * 1024));
	char *arguments[4 + 30 + 1] = { program, "map", pool, "echo" };
	struct run run;

	for (size_t i = 0; i < 30; i++)
		arguments[4 + i] = path;
	run = run_arguments("", 0, arguments);
	expect_status(&run, 0);
	cr_assert_eq(run.out.length, 30 * (256 * 1024 + 1));
	for (size_t i = 0; i < 30; i++)
		cr_expect_eq(memcmp(run.out.data + i * (256 * 1024 + 1), bytes, 256 * 1024),
			     0);
}

Test(map, jobs_whose_worker_died_are_tried_again, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("KILL\n", "map", pool, "crash-once", "--summary",
				     NULL);

	expect_status(&run, 0);
	expect_output(&run, "1\n");
	expect_mention(&run, "1 jobs: 1 ok, 0 failed, 0 lost, 1 tried again");
}

Test(map, jobs_that_must_not_be_repeated_are_lost, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("KILL\n", "map", pool, "crash-once", "--once",
				     "--summary", NULL);

	expect_status(&run, 1);
	expect_output(&run, "");
	expect_mention(&run, "cadre map: input 1 \"KILL\" lost");
	expect_mention(&run, "1 jobs: 0 ok, 0 failed, 1 lost, 0 tried again");
}

Test(map, a_reply_does_not_wait_for_the_next_input, .init = prepare_demo, .fini = clean_up)
{
	struct bytes reply = empty();
	int in[2], out[2];
	pid_t pid;

	make_pipe(in);
	make_pipe(out);
	pid = cadre_behind(in[0], out[1], -1, "map", pool, "sleep", NULL);
	close(in[0]);
	close(out[1]);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(write(in[1], "20\n", 3), 3);
		while (reply.length < 3 * ((size_t)i + 1))
			cr_assert(append(&reply, out[0]));
	}
	close(in[1]);
	close(out[0]);
	cr_expect_eq(wait_for(pid), 0);
	cr_expect_str_eq(reply.data, "20\n20\n20\n");
}

Test(map, sigint_gives_up_what_is_under_way, .init = prepare_demo, .fini = clean_up)
{
	struct cadre_pool_snapshot snapshot;
	const int64_t start_ns = cadre_now_ns();
	int in[2];
	pid_t pid;

	make_pipe(in);
	pid = cadre_behind(in[0], -1, -1, "map", pool, "sleep", NULL);
	cr_assert_eq(write(in[1], "60000\n60000\n60000\n", 18), 18);
	do {
		nap();
		cr_assert(look(&snapshot));
	} while (snapshot.in_flight < 3);
	kill(pid, SIGINT);
	cr_expect_eq(wait_for(pid), 130);
	close(in[0]);
	close(in[1]);
	cr_expect_lt(cadre_now_ns() - start_ns, INT64_C(10000000000));
}

Test(map, a_reader_that_leaves_ends_it_without_a_word, .init = prepare_demo,
     .fini = clean_up)
{
	const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct bytes err = empty();
	int out[2], ends[2];
	pid_t pid;

	make_pipe(out);
	make_pipe(ends);
	pid = cadre_behind(zeros, out[1], ends[1], "map", pool, "echo", "--null", NULL);
	close(out[1]);
	close(ends[1]);
	close(out[0]);
	while (append(&err, ends[0]))
		;
	close(ends[0]);
	close(zeros);
	cr_expect_eq(wait_for(pid), 141);
	cr_expect_str_eq(err.data, "");
}

Test(map, progress_without_a_terminal_is_a_few_lines, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("1\n2\n3\n", "map", pool, "echo",
				     "--progress=always", NULL);

	expect_status(&run, 0);
	expect_mention(&run, "jobs/s");
	cr_expect_null(strchr(run.err.data, '\r'));
}

Test(map, a_missing_pool_and_a_missing_operation_are_named, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run no_pool = cadre("x\n", "map", "no-such-pool", "echo", NULL);
	const struct run no_operation = cadre("x\n", "map", pool, "frobnicate", NULL);

	expect_status(&no_pool, 2);
	expect_sentence(&no_pool, "cadre map: ", "\"no-such-pool\"");
	expect_status(&no_operation, 2);
	expect_sentence(&no_operation, "cadre map: ", "\"frobnicate\"");
}

Test(map, wrong_arguments_are_refused_in_one_sentence, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run runs[] = {
		cadre("", "map", NULL),
		cadre("", "map", pool, NULL),
		cadre("", "map", pool, "echo", "--in-flight", "0", NULL),
		cadre("", "map", pool, "echo", "--in-flight", "17", NULL),
		cadre("", "map", pool, "echo", "--progress=sometimes", NULL),
		cadre("", "map", pool, "echo", "--once", "--retries", "2", NULL),
		cadre("", "map", pool, "echo", "--timeout", "-1s", NULL),
	};

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		expect_status(&runs[i], 64);
		expect_sentence(&runs[i], "cadre map: ", "");
	}
}

Test(map, a_pool_that_dies_is_told, .init = prepare, .fini = clean_up)
{
	struct run run = { .err = empty() };
	struct cadre_pool_snapshot snapshot;
	int in[2], err[2];
	pid_t pid;

	server = cadre_behind(-1, -1, -1, "serve", "--name", pool, "--workers", "1",
			      "--stop-timeout", "100ms", service("demo.so"), NULL);
	await_workers(1);
	make_pipe(in);
	make_pipe(err);
	pid = cadre_behind(in[0], -1, err[1], "map", pool, "sleep", NULL);
	close(err[1]);
	cr_assert_eq(write(in[1], "60000\n", 6), 6);
	do {
		nap();
		cr_assert(look(&snapshot));
	} while (snapshot.in_flight == 0);
	stop_server();
	close(in[0]);
	close(in[1]);
	while (append(&run.err, err[0]))
		;
	close(err[0]);
	run.status = wait_for(pid);
	cr_expect(run.status == 1 || run.status == 2, "exit status %d", run.status);
	cr_expect_gt(run.err.length, 0);
}
