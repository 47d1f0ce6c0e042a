/*
 * Claims about crash.c: a record is read when it is whole and whose it says it is, and what
 * a reader gets is something that can be, whatever bytes stand there.
 */
#include "crash.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

TestSuite(crash, .timeout = 60);

static struct cadre_crash crash;
static struct cadre_backtrace trace;

static void leave(uint32_t incarnation, int32_t pid)
{
	cadre_crash_begin(&crash, incarnation, pid);
	crash.trace.signal_number = 11;
	crash.trace.frame_count = 1;
	crash.trace.frames[0].module = CADRE_NO_MODULE;
	crash.trace.frames[0].offset = 0x123;
	cadre_crash_complete(&crash, incarnation, pid);
}

Test(crash, a_place_where_nobody_crashed_has_no_record)
{
	cr_assert_eq(cadre_crash_read(&crash, 0, &trace), -ENOENT);
}

Test(crash, a_record_is_read_by_whoever_names_its_pid_or_none)
{
	leave(7, 4711);
	cr_assert_eq(cadre_crash_read(&crash, 4711, &trace), 0);
	cr_assert_eq(trace.incarnation, 7);
	cr_assert_eq(trace.pid, 4711);
	cr_assert_eq(cadre_crash_read(&crash, 0, &trace), 0);
	cr_assert_eq(cadre_crash_read(&crash, 4712, &trace), -ENOENT);
}

Test(crash, a_record_that_is_being_written_is_none)
{
	leave(7, 4711);
	cadre_crash_begin(&crash, 8, 4712);
	cr_assert_eq(cadre_crash_read(&crash, 0, &trace), -ENOENT);
	cr_assert_eq(cadre_crash_read(&crash, 4711, &trace), -ENOENT);
}

Test(crash, whatever_bytes_stand_in_a_record_text_is_made_of_it_within_bounds)
{
	static char text[65536];

	srandom(1);
	for (int round = 0; round < 2000; round++) {
		unsigned char *const bytes = (unsigned char *)&crash.trace;

		for (size_t i = 0; i < sizeof(crash.trace); i++)
			bytes[i] = (unsigned char)random();
		cadre_crash_complete(&crash, 1, 2);
		cr_assert_eq(cadre_crash_read(&crash, 2, &trace), 0);
		cr_assert_leq(trace.frame_count, CADRE_BACKTRACE_FRAMES);
		cr_assert_leq(trace.module_count, CADRE_BACKTRACE_MODULES);
		for (uint32_t i = 0; i < trace.frame_count; i++)
			cr_assert(trace.frames[i].module == CADRE_NO_MODULE ||
				  trace.frames[i].module < trace.module_count);
		cr_assert_lt(cadre_backtrace_format(&trace, 0, text, sizeof(text)),
			     sizeof(text));
		for (const char *c = text; *c; c++)
			cr_assert(*c == '\n' || (unsigned char)*c >= ' ',
				  "a terminal would obey");
	}
}

/* A device or a pipe would block whoever opens it, or worse. */
Test(crash, paths_that_are_no_regular_files_are_not_waited_for)
{
	static const char *const paths[] = { "/dev/zero", "/proc/self/mem",
					     "/",         "relative",
					     "/dev/null", "/etc/passwd",
					     "[vdso]",    "" };
	char text[1000];

	leave(1, 2);
	crash.trace.module_count = 1;
	crash.trace.frames[0].module = 0;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		strcpy(crash.trace.modules[0].path, paths[i]);
		cadre_crash_complete(&crash, 1, 2);
		cr_assert_eq(cadre_crash_read(&crash, 2, &trace), 0);
		cadre_backtrace_format(&trace, 0, text, sizeof(text));
		cr_assert_not_null(strstr(text, "+0x123\n"), "%s", text);
	}
}
