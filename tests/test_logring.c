/*
 * Claims about logring.c and logread.c: what is written is read, in order and once by each
 * reader; what was overwritten is counted; whatever bytes stand there, text comes out.
 */
#include "clock.h"
#include "logread.h"
#include "logring.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(logring, .timeout = 60);

static struct cadre_log_ring ring;
static struct cadre_log_cursor cursor;
static struct cadre_log_record record;

static void say(unsigned number)
{
	struct cadre_log_record line = {
		.time_ns = number, .job = number, .pid = 7, .level = CADRE_LOG_INFO
	};

	snprintf(line.text, sizeof(line.text), "line %u", number);
	cadre_log_ring_write(&ring, &line);
}

static bool hear(void)
{
	return cadre_log_ring_read(&ring, &cursor, cadre_clock_ns(), &record);
}

Test(logring, lines_are_read_once_and_in_order)
{
	char expected[32];

	cr_assert_not(hear());
	for (unsigned i = 0; i < 3 * CADRE_LOG_LINES; i++) {
		say(i);
		cr_assert(hear());
		snprintf(expected, sizeof(expected), "line %u", i);
		cr_assert_str_eq(record.text, expected);
		cr_assert_eq(record.job, i);
		cr_assert_eq(record.pid, 7);
		cr_assert_eq(record.level, CADRE_LOG_INFO);
		cr_assert_not(hear());
	}
	cr_assert_eq(cursor.lost, 0);
}

Test(logring, who_falls_behind_loses_the_oldest_and_knows_how_many)
{
	unsigned heard = 0;

	for (unsigned i = 0; i < CADRE_LOG_LINES + 5; i++)
		say(i);
	for (; hear(); heard++)
		cr_assert_eq(record.job, 5 + heard);
	cr_assert_eq(heard, CADRE_LOG_LINES);
	cr_assert_eq(cursor.lost, 5);
}

Test(logring, the_longest_line_is_whole_and_none_is_longer)
{
	struct cadre_log_record line = { .level = CADRE_LOG_INFO };

	memset(line.text, 'x', sizeof(line.text) - 1);
	cadre_log_ring_write(&ring, &line);
	cr_assert(hear());
	cr_assert_eq(strlen(record.text), CADRE_LOG_TEXT_MAX);
	line.text[13] = '\0';
	cadre_log_ring_write(&ring, &line);
	cr_assert(hear());
	cr_assert_eq(strlen(record.text), 13);
}

Test(logring, a_line_that_its_writer_did_not_live_to_finish_is_passed_over_after_a_while)
{
	const int64_t now_ns = cadre_clock_ns();

	say(0);
	/* What is left of a writer that died after it took its position. */
	atomic_fetch_add(&ring.tail, 1);
	say(2);
	cr_assert(cadre_log_ring_read(&ring, &cursor, now_ns, &record));
	cr_assert_not(cadre_log_ring_read(&ring, &cursor, now_ns, &record));
	cr_assert(cadre_log_ring_read(&ring, &cursor, now_ns + CADRE_NS_PER_S, &record));
	cr_assert_str_eq(record.text, "line 2");
	cr_assert_eq(cursor.lost, 1);
}

Test(logring, nothing_that_a_terminal_obeys_comes_out)
{
	struct cadre_log_record line = { .level = CADRE_LOG_INFO };

	strcpy(line.text, "a\nb\tc\033[2Jd\177");
	cadre_log_ring_write(&ring, &line);
	cr_assert(hear());
	cr_assert_str_eq(record.text, "a b c?[2Jd?");
}

Test(logring, whatever_bytes_stand_there_reading_ends_and_stays_within)
{
	srandom(3);
	for (int round = 0; round < 500; round++) {
		unsigned char *const bytes = (unsigned char *)&ring;
		unsigned heard = 0;

		for (size_t i = 0; i < sizeof(ring); i++)
			bytes[i] = (unsigned char)random();
		if (round % 2)
			atomic_store(&ring.tail, cursor.position + CADRE_LOG_LINES);
		for (unsigned i = 0; i < CADRE_LOG_LINES; i++)
			if (round % 4 == 3)
				atomic_store(&ring.entries[i].stamp,
					     2 * (cursor.position + i) + 2);
		while (hear()) {
			cr_assert_lt(++heard, CADRE_LOG_LINES + 1);
			cr_assert_leq(strlen(record.text), CADRE_LOG_TEXT_MAX);
			cr_assert(record.level >= CADRE_LOG_EMERGENCY &&
				  record.level <= CADRE_LOG_TRACE);
		}
	}
}

Test(logring, levels_have_names_and_unambiguous_beginnings)
{
	cr_assert_eq(cadre_log_level_of("off"), CADRE_LOG_OFF);
	cr_assert_eq(cadre_log_level_of("err"), CADRE_LOG_ERROR);
	cr_assert_eq(cadre_log_level_of("warn"), CADRE_LOG_WARNING);
	cr_assert_eq(cadre_log_level_of("trace"), CADRE_LOG_TRACE);
	cr_assert_eq(cadre_log_level_of("7"), CADRE_LOG_INFO);
	cr_assert_eq(cadre_log_level_of("e"), -EINVAL);
	cr_assert_eq(cadre_log_level_of(""), -EINVAL);
	cr_assert_eq(cadre_log_level_of("loud"), -EINVAL);
	for (int level = CADRE_LOG_OFF; level <= CADRE_LOG_TRACE; level++)
		cr_assert_eq(cadre_log_level_of(
				     cadre_log_level_name((enum cadre_log_level)level)),
			     level);
	cr_assert_str_eq(cadre_log_level_name((enum cadre_log_level)77), "?");
}

Test(logring, a_line_as_text_has_time_level_pool_worker_and_job)
{
	struct cadre_log_line line = { .time_ns = INT64_C(1795336200123456789),
				       .level = CADRE_LOG_WARNING,
				       .pool = "orders",
				       .worker = 3,
				       .pid = 4711,
				       .job = 81,
				       .text = "slow" };
	char text[200], little[10];
	size_t length;

	length = cadre_log_format(&line, text, sizeof(text));
	cr_assert_str_eq(text, "2026-11-22T08:30:00.123456Z warning orders worker 3 (pid "
			       "4711) job 81: slow");
	cr_assert_eq(length, strlen(text));
	cr_assert_eq(cadre_log_format(&line, little, sizeof(little)), length);
	cr_assert_str_eq(little, "2026-11-2");
	line.worker = -1;
	line.job = 0;
	cadre_log_format(&line, text, sizeof(text));
	cr_assert_not_null(strstr(text, " orders supervisor (pid 4711): slow"));
}
