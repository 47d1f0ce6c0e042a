/*
 * Claims about event.c: each kind becomes a sentence, and what comes out of a segment is
 * bounded before it is used.
 */
#include "clock.h"
#include "event.h"

#include <cadre/client.h>
#include <cadre/report.h>

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct cadre_annals_head head;
static alignas(CADRE_CACHE_LINE) unsigned char records[CADRE_EVENTS * 512];

static const struct cadre_annals events = {
	.head = &head,
	.records = records,
	.count = CADRE_EVENTS,
	.body_size = sizeof(struct cadre_event),
};

static const char *say(const struct cadre_event *event)
{
	static char text[600];

	cadre_event_say(event, text, sizeof(text));
	return text;
}

static struct cadre_event death(void)
{
	struct cadre_event event = cadre_event_now(CADRE_EVENT_worker_died);

	event.place = 3;
	event.pid = 4211;
	event.incarnation = 2;
	event.code = SIGSEGV;
	event.duration_ns = 12340 * CADRE_NS_PER_MS;
	return event;
}

Test(event, a_death_is_told_with_how_and_when_and_what_it_had)
{
	struct cadre_event event = death();

	cr_assert_str_eq(say(&event),
			 "worker 3 (pid 4211) was killed by SIGSEGV after 12.3 s");
	cadre_event_add_job(&event, (struct cadre_event_job){ 98112, 7, 1 });
	cr_assert_str_eq(say(&event),
			 "worker 3 (pid 4211) was killed by SIGSEGV after 12.3 s, "
			 "while it had job 98112 (operation 7, attempt 1)");
	cadre_event_add_job(&event, (struct cadre_event_job){ 98113, 7, 0 });
	cadre_event_add_text(&event, "no memory");
	event.crash = 5;
	cr_assert_str_eq(
		say(&event),
		"worker 3 (pid 4211) was killed by SIGSEGV after 12.3 s, while it had "
		"job 98112 (operation 7, attempt 1) and 1 more: no memory; its backtrace "
		"was kept");
}

Test(event, every_way_to_end_has_its_words)
{
	struct cadre_event event = death();

	event.code = -3;
	cr_assert(strstr(say(&event), "exited with status 3"));
	event.code = 0;
	cr_assert(strstr(say(&event), "exited with status 0"));
	event.code = CADRE_STATUS_UNKNOWN;
	cr_assert(strstr(say(&event), "how, only its dead parent knew"));
	event.code = 4000;
	cr_assert(strstr(say(&event), "signal 4000"));
	event.code = INT32_MIN + 1;
	cr_assert(strstr(say(&event), "2147483647"));
}

Test(event, every_kind_has_a_name_of_its_own_and_fields_that_exist)
{
	struct cadre_event event = death();

	for (uint32_t kind = 1; kind < CADRE_EVENT_KINDS; kind++) {
		for (uint32_t other = 1; other < kind; other++)
			cr_assert_str_neq(cadre_event_name(kind), cadre_event_name(other));
		event.kind = kind;
		cr_assert_gt(strlen(say(&event)), 10u);
		cr_assert_null(strpbrk(say(&event), "{}"), "%s", say(&event));
	}
	cr_assert_str_eq(cadre_event_name(CADRE_EVENT_KINDS), "?");
	cr_assert_str_eq(cadre_event_template(UINT32_MAX), "?");
}

Test(event, one_of_a_kind_is_said_in_the_singular)
{
	struct cadre_event event = death();

	event.kind = CADRE_EVENT_pool_ready;
	event.count = 1;
	cr_assert(strstr(say(&event), "opened the pool with 1 worker"));
	cr_assert_null(strstr(say(&event), "workers"), "%s", say(&event));
	event.count = 0;
	cr_assert(strstr(say(&event), "with 0 workers"), "%s", say(&event));
	event.kind = CADRE_EVENT_restart_scheduled;
	event.count = 2;
	cr_assert(strstr(say(&event), "after 2 deaths in a row"), "%s", say(&event));
}

Test(event, a_short_buffer_cuts_the_sentence_and_nothing_else)
{
	const struct cadre_event event = death();
	const size_t whole = strlen(say(&event));
	char text[64];

	for (size_t size = 0; size < sizeof(text); size++) {
		memset(text, 'x', sizeof(text));
		cadre_event_say(&event, text, size);
		cr_assert_eq(text[size], 'x');
		if (size)
			cr_assert_eq(strlen(text), size - 1 < whole ? size - 1 : whole);
	}
}

Test(event, more_jobs_and_pids_than_fit_are_only_counted)
{
	struct cadre_event event = death();

	for (unsigned i = 0; i < 3 * CADRE_EVENT_JOBS; i++) {
		cadre_event_add_job(&event, (struct cadre_event_job){ i + 1, 1, 0 });
		cadre_event_add_pid(&event, (int32_t)i / 2 + 1);
	}
	cr_assert_eq(event.job_count, 3 * CADRE_EVENT_JOBS);
	cr_assert_eq(event.jobs[CADRE_EVENT_JOBS - 1].id, CADRE_EVENT_JOBS);
	cr_assert_eq(event.pid_count, CADRE_EVENT_PIDS);
	cr_assert_eq(event.pids[1], 2, "no pid is named twice");
}

Test(event, words_and_bytes_share_the_room)
{
	char much[2 * CADRE_EVENT_ROOM];
	struct cadre_event event = death();

	memset(much, 'm', sizeof(much));
	cadre_event_add_text(&event, "word");
	cadre_event_add_data(&event, much, sizeof(much));
	cr_assert_eq(event.data_length, CADRE_EVENT_ROOM - 4);
	cr_assert_eq(memcmp(event.room, "wordmmm", 7), 0);

	event = death();
	much[sizeof(much) - 1] = '\0';
	cadre_event_add_text(&event, much);
	cadre_event_add_data(&event, much, sizeof(much));
	cr_assert_eq(event.text_length, CADRE_EVENT_ROOM);
	cr_assert_eq(event.data_length, 0);
}

Test(event, what_was_written_is_read_and_remembered)
{
	struct cadre_event event = death(), other;

	cadre_event_add_job(&event, (struct cadre_event_job){ 77, 1, 0 });
	cr_assert_eq(cadre_event_write(&events, &event), 0);
	cr_assert(cadre_event_read(&events, 0, &other));
	cr_assert_eq(memcmp(&event, &other, sizeof(event)), 0);
	cr_assert_not(cadre_event_read(&events, 1, &other));

	cr_assert(cadre_event_knows_of(&events, CADRE_EVENT_worker_died, 3, 2));
	cr_assert_not(cadre_event_knows_of(&events, CADRE_EVENT_worker_died, 3, 1));
	cr_assert_not(cadre_event_knows_of(&events, CADRE_EVENT_worker_died, 2, 2));
	cr_assert_not(cadre_event_knows_of(&events, CADRE_EVENT_worker_left, 3, 2));
	cr_assert(cadre_event_knows_job(&events, CADRE_EVENT_worker_died, 77));
	cr_assert_not(cadre_event_knows_job(&events, CADRE_EVENT_worker_died, 78));
	cr_assert_not(cadre_event_knows_job(&events, CADRE_EVENT_job_refused, 77));

	event.pid = 4300;
	cadre_event_write(&events, &event);
	other = cadre_event_now(CADRE_EVENT_job_refused);
	cadre_event_add_victims(&events, 77, &other);
	cr_assert_eq(other.pid_count, 2);
	cr_assert_eq(other.pids[0], 4211);
	cr_assert_eq(other.pids[1], 4300);
}

Test(event, it_is_known_from_when_on_nothing_was_forgotten)
{
	struct cadre_event event = death();

	for (unsigned i = 0; i < CADRE_EVENTS; i++) {
		event.when_unix_ns = 1000 + i;
		cadre_event_write(&events, &event);
		cr_assert_not(cadre_event_forgot(&events, 0),
			      "nothing was written over yet");
	}
	event.when_unix_ns = 9999;
	cadre_event_write(&events, &event);
	cr_assert(cadre_event_forgot(&events, 1000));
	cr_assert_not(cadre_event_forgot(&events, 1001));
}

Test(event, bytes_that_nobody_wrote_are_bounded)
{
	struct cadre_event event;

	memset(&event, 0xff, sizeof(event));
	cr_assert_not(cadre_event_bound(&event), "there is no such kind");
	event.kind = CADRE_EVENT_worker_died;
	cr_assert(cadre_event_bound(&event));
	cr_assert_leq(event.pid_count, CADRE_EVENT_PIDS);
	cr_assert_leq(event.text_length + event.data_length, CADRE_EVENT_ROOM);
	cr_assert_gt(strlen(say(&event)), 0u);

	event.room[0] = '\x1b';
	cadre_event_bound(&event);
	cr_assert_null(strchr(say(&event), '\x1b'), "no terminal obeys it");

	memset(records, 0xff, sizeof(records));
	atomic_store(&head.written, 1);
	cr_assert_not(cadre_event_read(&events, 0, &event));
	cr_assert_not(cadre_event_knows_of(&events, CADRE_EVENT_worker_died, -1, 0));
}

Test(event, each_kind_is_described_by_a_name_and_a_sentence)
{
	size_t count = 0;
	const struct cadre_event_description *const kinds = cadre_event_describe(&count);

	cr_assert_gt(count, 0);
	for (size_t i = 0; i < count; i++) {
		cr_assert_gt(strlen(kinds[i].name), 0);
		cr_assert_gt(strlen(kinds[i].sentence), 0, "%s", kinds[i].name);
		for (size_t j = 0; j < i; j++)
			cr_assert_str_neq(kinds[i].name, kinds[j].name);
	}
}
