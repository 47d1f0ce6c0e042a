/*
 * stat_events.c - what happened to a pool: deaths, restarts, refusals, successions, with the
 * backtrace of a worker that crashed where there is one.
 */
#include "stat.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- backtraces ---- */

/* A text that the caller frees; NULL: it left none, or there is no memory. */
static char *backtrace_of(const struct cadre_stat_pool *pool,
			  const struct cadre_event_info *event)
{
	const struct cadre_backtrace *const backtrace =
		event->crash < 0 ? NULL : cadre_report_crash(pool->report, event);
	size_t size;
	char *text;

	if (!backtrace)
		return NULL;
	size = cadre_backtrace_format(backtrace, 0, NULL, 0) + 1;
	text = malloc(size);
	if (text)
		cadre_backtrace_format(backtrace, 0, text, size);
	return text;
}

/* Each line of it under the event. */
static void print_backtrace(const char *text)
{
	while (*text) {
		const size_t length = strcspn(text, "\n");

		printf("    %.*s\n", (int)length, text);
		text += length + (text[length] == '\n');
	}
}

/* ---- which ---- */

static uint32_t first_of(const struct cadre_stat_pool *pool, uint32_t most)
{
	const uint32_t count = pool->pool->event_count;

	return count > most ? count - most : 0;
}

/* Places of clients and of local workers have numbers of their own. */
static bool is_about_worker(const struct cadre_event_info *event)
{
	return strcmp(event->name, "client_died") != 0 &&
	       strncmp(event->name, "local_", strlen("local_")) != 0;
}

static bool is_wanted(const struct cadre_stat_choice *choice,
		      const struct cadre_event_info *event)
{
	return !choice->chooses_workers ||
	       (event->place >= 0 && event->place < CADRE_WORKERS_MAX &&
		is_about_worker(event) && choice->workers[event->place]);
}

/* ---- for people ---- */

static void print_moment(int64_t unix_ns)
{
	const time_t seconds = (time_t)(unix_ns / 1000000000);
	struct tm parts;
	char text[32];

	if (unix_ns < 0 || !localtime_r(&seconds, &parts))
		memset(&parts, 0, sizeof(parts));
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
	printf("%s.%03d  ", text, (int)(unix_ns / 1000000 % 1000));
}

/* A worker's last words may hold anything; a terminal would obey some of it. */
static void print_plain(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < ' ' || *text == 127 ? '?' : *text);
	putchar('\n');
}

void cadre_stat_print_events(struct cadre_stat_pool *pool,
			     const struct cadre_stat_choice *choice, uint32_t most)
{
	const struct cadre_event_info *event;

	for (uint32_t i = first_of(pool, most);
	     (event = cadre_report_event(pool->report, i)); i++) {
		char *backtrace;

		if (event->number < pool->events_seen)
			continue;
		pool->events_seen = event->number + 1;
		if (!is_wanted(choice, event))
			continue;
		print_moment(event->unix_ns);
		print_plain(event->sentence);
		backtrace = backtrace_of(pool, event);
		if (backtrace)
			print_backtrace(backtrace);
		free(backtrace);
	}
}

/* ---- for programs ---- */

static json_t *jobs_of(const struct cadre_event_info *event)
{
	json_t *const array = json_array();

	for (uint32_t i = 0; i < event->job_count && i < CADRE_EVENT_JOBS_MAX; i++)
		json_array_append_new(array,
				      json_pack("{sI si si}", "job",
						(json_int_t)event->jobs[i].id,
						"operation_id",
						(int)event->jobs[i].operation, "attempt",
						(int)event->jobs[i].attempt));
	return array;
}

/* What is no UTF-8 is shown as far as it is ASCII. */
static json_t *string_of(const char *text)
{
	json_t *const string = json_string(text);
	char plain[1024];
	size_t length = 0;

	if (string)
		return string;
	for (; *text && length + 1 < sizeof(plain); text++)
		plain[length++] = (unsigned char)*text < 128 ? *text : '?';
	plain[length] = '\0';
	return json_string(plain);
}

static json_t *text_or_null(const char *text)
{
	return text && text[0] ? string_of(text) : json_null();
}

static json_t *object_of(const struct cadre_stat_pool *pool,
			 const struct cadre_event_info *event)
{
	char *const backtrace = backtrace_of(pool, event);
	json_t *const object = json_pack(
		"{sI ss sI sI si sI si si sI sI so so so so}", "number",
		(json_int_t)event->number, "event", event->name, "unix_ns",
		(json_int_t)event->unix_ns, "age_ns", (json_int_t)event->age_ns, "place",
		(int)event->place, "incarnation", (json_int_t)event->incarnation, "pid",
		(int)event->pid, "code", (int)event->code, "duration_ns",
		(json_int_t)event->duration_ns, "count", (json_int_t)event->count,
		"sentence", string_of(event->sentence), "jobs", jobs_of(event), "words",
		text_or_null(event->words), "backtrace", text_or_null(backtrace));

	free(backtrace);
	return object;
}

int cadre_stat_print_events_json(struct cadre_stat_pool *pool,
				 const struct cadre_stat_choice *choice, uint32_t most)
{
	const struct cadre_event_info *event;

	for (uint32_t i = first_of(pool, most);
	     (event = cadre_report_event(pool->report, i)); i++) {
		json_t *object;

		if (event->number < pool->events_seen)
			continue;
		pool->events_seen = event->number + 1;
		if (!is_wanted(choice, event))
			continue;
		object = object_of(pool, event);
		if (!object)
			return -1;
		json_object_set_new(object, "schema", json_integer(1));
		json_object_set_new(object, "pool", json_string(pool->name));
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(object);
	}
	return 0;
}
