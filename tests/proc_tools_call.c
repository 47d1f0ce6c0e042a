/*
 * proc_tools_call.c - claims about `cadre call`, made to the program itself.
 */
#include "commands.h"

Test(call, a_reply_is_printed_byte_for_byte, .init = prepare_demo, .fini = clean_up)
{
	char *const bytes = pattern(1000);
	char *const arguments[] = { program, "call", pool, "echo", NULL };
	const struct run run = run_arguments(bytes, 1000, arguments);

	expect_status(&run, 0);
	cr_assert_eq(run.out.length, 1000);
	cr_expect_eq(memcmp(run.out.data, bytes, 1000), 0);
}

Test(call, a_pipe_may_hold_as_much_as_the_pool_takes, .init = prepare_demo,
     .fini = clean_up)
{
	char *const bytes = pattern(256 * 1024);
	char *const arguments[] = { program, "call", pool, "echo", NULL };
	const struct run run = run_arguments(bytes, 256 * 1024, arguments);

	expect_status(&run, 0);
	cr_assert_eq(run.out.length, 256 * 1024);
	cr_expect_eq(memcmp(run.out.data, bytes, run.out.length), 0);
}

Test(call, one_byte_more_is_a_sentence, .init = prepare_demo, .fini = clean_up)
{
	char *const bytes = pattern(256 * 1024 + 1);
	char *const arguments[] = { program, "call", pool, "echo", NULL };
	const struct run run = run_arguments(bytes, 256 * 1024 + 1, arguments);

	expect_status(&run, 1);
	expect_output(&run, "");
	expect_sentence(&run, "cadre call: ", "262144 bytes");
}

/* ---- streams ---- */

static struct run call_stream(const char *format, const char *operation, const char *data,
			      const char *option)
{
	char *const arguments[] = { program,
				    copy("call"),
				    pool,
				    copy(operation),
				    copy("--data"),
				    copy(data),
				    copy(format),
				    option ? copy(option) : NULL,
				    NULL };

	return run_arguments("", 0, arguments);
}

Test(call, items_of_a_stream_are_lines_or_raw_or_netstrings, .init = prepare_demo,
     .fini = clean_up)
{
	static const struct {
		const char *option, *output;
	} formats[] = {
		{ "--stream", "8\n9\n10\n" },
		{ "--stream=lines", "8\n9\n10\n" },
		{ "--stream=raw", "8910" },
		{ "--stream=netstrings", "1:8,1:9,2:10," },
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		const struct run run = call_stream(formats[i].option, "count", "10", NULL);
		const size_t length = strlen(formats[i].output);

		expect_status(&run, 0);
		cr_assert_geq(run.out.length, length);
		cr_expect_str_eq(run.out.data + run.out.length - length,
				 formats[i].output);
	}
}

Test(call, errors_among_the_items_are_told_and_the_stream_goes_on, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = call_stream("--stream", "odds", "5", NULL);

	expect_status(&run, 1);
	expect_output(&run, "1\n3\n5\n");
	cr_expect_str_eq(run.err.data, "cadre call: item 2 failed: 2 is even (code 33)\n"
				       "cadre call: item 4 failed: 4 is even (code 33)\n");
}

Test(call, who_wishes_stops_at_the_first_error, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = call_stream("--stream", "odds", "1000000000", "--stop");

	expect_status(&run, 1);
	expect_output(&run, "1\n");
	expect_sentence(&run, "cadre call: ", "2 is even");
}

Test(call, a_stream_whose_reader_leaves_is_left, .init = prepare_demo, .fini = clean_up)
{
	size_t read_bytes = 0;
	char piece[4];
	int ends[2];
	pid_t pid;

	make_pipe(ends);
	pid = cadre_behind(-1, ends[1], -1, "call", pool, "count", "--stream", "--data",
			   "1000000000", NULL);
	close(ends[1]);
	/* Items are written as they come: the first may come alone. */
	while (read_bytes < sizeof(piece)) {
		const ssize_t more = read(ends[0], piece, sizeof(piece) - read_bytes);

		cr_assert_gt(more, 0);
		read_bytes += (size_t)more;
	}
	close(ends[0]);
	cr_expect_eq(wait_for(pid), 0, "it has done what was asked of it");
}

Test(call, a_stream_that_is_asked_for_wrongly_is_refused, .init = prepare_demo,
     .fini = clean_up)
{
	struct run run = call_stream("--stream=words", "count", "1", NULL);

	expect_status(&run, 64);
	expect_sentence(&run, "cadre call: ", "netstrings");
	run = call_stream("--stop", "count", "1", NULL);
	expect_status(&run, 64);
	expect_sentence(&run, "cadre call: ", "--stream");
	run = call_stream("--stream", "count", "1", "--detached");
	expect_status(&run, 64);
	expect_sentence(&run, "cadre call: ", "--detached");
	run = call_stream("--stream", "count", "1", "--room=63");
	expect_status(&run, 64);
	expect_sentence(&run, "cadre call: ", "64");
}

Test(call, a_file_is_a_payload_too_also_from_its_middle_on, .init = prepare_demo,
     .fini = clean_up)
{
	char *const bytes = pattern(200000);
	const int file = open(write_file("payload", bytes, 200000), O_RDONLY | O_CLOEXEC);
	struct bytes out = empty();
	int ends[2];
	pid_t pid;

	make_pipe(ends);
	cr_assert_eq(lseek(file, 1000, SEEK_SET), 1000);
	pid = cadre_behind(file, ends[1], -1, "call", pool, "echo", NULL);
	close(ends[1]);
	while (append(&out, ends[0]))
		;
	close(ends[0]);
	close(file);
	cr_expect_eq(wait_for(pid), 0);
	cr_assert_eq(out.length, 199000);
	cr_expect_eq(memcmp(out.data, bytes + 1000, out.length), 0);
}

Test(call, an_operation_may_be_named_by_its_number, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "1", "--data", "hello", NULL);

	expect_status(&run, 0);
	expect_output(&run, "hello");
}

Test(call, a_reply_may_have_a_size_that_nobody_knew, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "spool", "--data", "200000", NULL);

	expect_status(&run, 0);
	cr_assert_eq(run.out.length, 200000);
	for (size_t i = 0; i < run.out.length; i++)
		cr_assert_eq(run.out.data[i], (char)('a' + i % 26));
}

Test(call, a_deferred_job_is_answered_later, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "later", "--data", "30", NULL);

	expect_status(&run, 0);
	expect_output(&run, "30");
}

Test(call, a_failed_job_is_told_with_its_code_and_sentence, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("no such order\n", "call", pool, "fail", NULL);

	expect_status(&run, 1);
	expect_output(&run, "");
	expect_sentence(&run, "cadre call: job failed: no such order (code 42, worker ",
			"pid ");
}

Test(call, a_worker_that_crashes_makes_its_job_lost_and_is_named, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "crash", "--data", "ABRT",
				     "--no-backtrace", NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre call: job lost: worker ", "ABRT");
	expect_mention(&run, "pid ");
}

static void count_line(const struct cadre_log_line *line, void *context)
{
	unsigned *const heard = context;

	*heard += strcmp(line->text, "heard") == 0 ? 1 : 100;
}

Test(call, lines_of_handlers_come_out_at_the_level_that_ctl_sets, .init = prepare_demo,
     .fini = clean_up)
{
	struct run run = cadre("", "call", pool, "log", "--data", "info unheard", NULL);
	struct cadre_log *log;
	unsigned heard = 0;

	expect_status(&run, 0);
	run = cadre("", "ctl", pool, "log-level", "info", NULL);
	expect_status(&run, 0);
	expect_mention_in_output(&run, "the log level is \"info\"");
	cr_assert_eq(cadre_log_open(pool, true, &log, NULL), 0);
	run = cadre("", "call", pool, "log", "--data", "info heard", NULL);
	expect_status(&run, 0);
	cadre_log_read(log, count_line, &heard);
	cr_expect_eq(heard, 1, "%u", heard);
	cadre_log_close(log);
}

Test(call, a_log_level_that_does_not_exist_is_refused, .init = prepare_demo,
     .fini = clean_up)
{
	struct run run = cadre("", "ctl", pool, "log-level", "loud", NULL);

	expect_status(&run, 64);
	expect_sentence(&run, "cadre ctl: log-level loud: must be ", "trace");
	run = cadre("", "serve", "--name", "x", "--log-to", "nowhere", "y.so", NULL);
	expect_status(&run, 64);
	expect_sentence(&run, "cadre serve: --log-to nowhere: must be ", "syslog");
}

Test(call, where_a_worker_crashed_is_shown, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "crash", "--data", "SEGV", NULL);

	expect_status(&run, 1);
	expect_mention(&run, "SIGSEGV (raised by itself), job ");
	expect_mention(&run, " of operation 5\n");
	expect_mention(&run, " crash at ");
	expect_mention(&run, "demo.c:");
	expect_mention(&run, "(demo.so+0x");
}

Test(call, where_a_worker_crashed_is_not_shown_to_who_does_not_want_it,
     .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "crash", "--data", "SEGV",
				     "--no-backtrace", NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre call: job lost: worker ", "SEGV");
}

Test(call, a_worker_that_exits_makes_its_job_lost_with_its_status, .init = prepare_demo,
     .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "exit", "--data", "3", NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre call: job lost: worker ", "status 3");
}

Test(call, an_idempotent_job_survives_its_worker, .init = prepare_demo, .fini = clean_up)
{
	const struct run run = cadre("", "call", pool, "crash-once", "--data", "KILL",
				     "--idempotent", NULL);

	expect_status(&run, 0);
	expect_output(&run, "1");
}

Test(call, past_its_timeout_a_job_has_timed_out, .init = prepare_demo, .fini = clean_up)
{
	const int64_t start_ns = cadre_now_ns();
	const struct run run = cadre("", "call", pool, "sleep", "--data", "9000",
				     "--timeout", "50ms", NULL);

	expect_status(&run, 1);
	expect_sentence(&run, "cadre call: job timed out", "");
	cr_expect_lt(cadre_now_ns() - start_ns, INT64_C(5000000000));
}

Test(call, a_detached_job_goes_on_without_its_client, .init = prepare_demo,
     .fini = clean_up)
{
	struct cadre_pool_snapshot snapshot;
	const int64_t until_ns = cadre_in_ms(PATIENCE_MS);
	const struct run run = cadre("", "call", pool, "sleep", "--data", "300",
				     "--detached", NULL);

	expect_status(&run, 0);
	expect_output(&run, "");
	do {
		cr_assert_lt(cadre_now_ns(), until_ns, "the job did not end");
		nap();
		cr_assert(look(&snapshot));
	} while (snapshot.jobs[CADRE_OK] == 0);
}

Test(call, an_unknown_operation_is_named, .init = prepare_demo, .fini = clean_up)
{
	const struct run by_name = cadre("", "call", pool, "frobnicate", NULL);
	const struct run by_number = cadre("", "call", pool, "999", NULL);

	expect_status(&by_name, 2);
	expect_sentence(&by_name, "cadre call: ", "has no operation \"frobnicate\"");
	expect_status(&by_number, 1);
	expect_sentence(&by_number, "cadre call: job failed: ", "unknown operation");
}

Test(call, a_pool_that_does_not_exist_is_named, .init = prepare, .fini = clean_up)
{
	const struct run run = cadre("", "call", "no-such-pool", "echo", NULL);

	expect_status(&run, 2);
	expect_sentence(&run, "cadre call: ", "\"no-such-pool\"");
}

Test(call, wrong_arguments_are_refused_in_one_sentence, .init = prepare, .fini = clean_up)
{
	const struct run runs[] = {
		cadre("", "call", NULL),
		cadre("", "call", pool, NULL),
		cadre("", "call", pool, "echo", "more", NULL),
		cadre("", "call", pool, "echo", "--timeout", "soon", NULL),
		cadre("", "call", pool, "echo", "--timeout", "5", NULL),
		cadre("", "call", pool, "echo", "--retries", "2", NULL),
		cadre("", "call", pool, "echo", "--idempotent", "--retries", "16", NULL),
		cadre("", "call", "not/a/name", "echo", NULL),
	};

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		expect_status(&runs[i], 64);
		expect_sentence(&runs[i], "cadre call: ", "");
	}
}
