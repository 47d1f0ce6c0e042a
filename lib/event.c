#include "event.h"
#include "clock.h"

#include <cadre/client.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- writing ---- */

struct cadre_event cadre_event_now(enum cadre_event_kind kind)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (struct cadre_event){
		.when_ns = cadre_clock_ns(),
		.when_unix_ns = (int64_t)now.tv_sec * CADRE_NS_PER_S + now.tv_nsec,
		.kind = kind,
		.place = -1,
		.window = -1,
	};
}

void cadre_event_add_text(struct cadre_event *event, const char *text)
{
	const size_t all = strlen(text);
	const size_t length = all < CADRE_EVENT_ROOM ? all : CADRE_EVENT_ROOM;

	memcpy(event->room, text, length);
	event->text_length = (uint16_t)length;
}

void cadre_event_add_data(struct cadre_event *event, const void *data, size_t length)
{
	const size_t room = CADRE_EVENT_ROOM - event->text_length;

	if (length > room)
		length = room;
	memcpy(event->room + event->text_length, data, length);
	event->data_length = (uint16_t)length;
}

void cadre_event_add_job(struct cadre_event *event, struct cadre_event_job job)
{
	if (event->job_count < CADRE_EVENT_JOBS)
		event->jobs[event->job_count] = job;
	event->job_count++;
}

void cadre_event_add_pid(struct cadre_event *event, int32_t pid)
{
	for (uint32_t i = 0; i < event->pid_count; i++) {
		if (event->pids[i] == pid)
			return;
	}
	if (event->pid_count < CADRE_EVENT_PIDS)
		event->pids[event->pid_count++] = pid;
}

uint64_t cadre_event_write(const struct cadre_annals *events,
			   const struct cadre_event *event)
{
	return cadre_annals_write(events, event, sizeof(*event), NULL, 0);
}

/* ---- reading ---- */

bool cadre_event_bound(struct cadre_event *event)
{
	if (event->pid_count > CADRE_EVENT_PIDS)
		event->pid_count = CADRE_EVENT_PIDS;
	if (event->text_length > CADRE_EVENT_ROOM)
		event->text_length = CADRE_EVENT_ROOM;
	if (event->data_length > CADRE_EVENT_ROOM - event->text_length)
		event->data_length = (uint16_t)(CADRE_EVENT_ROOM - event->text_length);
	/* Words are shown on terminals. */
	for (unsigned i = 0; i < event->text_length; i++) {
		if (iscntrl((unsigned char)event->room[i]))
			event->room[i] = ' ';
	}
	return event->kind > CADRE_EVENT_NONE && event->kind < CADRE_EVENT_KINDS;
}

bool cadre_event_read(const struct cadre_annals *events, uint64_t number,
		      struct cadre_event *ret_event)
{
	return cadre_annals_read(events, number, ret_event, sizeof(*ret_event)) &&
	       cadre_event_bound(ret_event);
}

static unsigned jobs_of(const struct cadre_event *event)
{
	return event->job_count < CADRE_EVENT_JOBS ? event->job_count : CADRE_EVENT_JOBS;
}

static bool names_job(const struct cadre_event *event, uint64_t job)
{
	for (unsigned i = 0; i < jobs_of(event); i++) {
		if (event->jobs[i].id == job)
			return true;
	}
	return false;
}

bool cadre_event_knows_of(const struct cadre_annals *events, enum cadre_event_kind kind,
			  int32_t place, uint32_t incarnation)
{
	const struct cadre_annals_span span = cadre_annals_span(events);
	struct cadre_event event;

	for (uint64_t number = span.from; number != span.to; number++) {
		if (cadre_event_read(events, number, &event) && event.kind == kind &&
		    event.place == place && event.incarnation == incarnation)
			return true;
	}
	return false;
}

bool cadre_event_knows_job(const struct cadre_annals *events, enum cadre_event_kind kind,
			   uint64_t job)
{
	const struct cadre_annals_span span = cadre_annals_span(events);
	struct cadre_event event;

	for (uint64_t number = span.from; number != span.to; number++) {
		if (cadre_event_read(events, number, &event) && event.kind == kind &&
		    names_job(&event, job))
			return true;
	}
	return false;
}

bool cadre_event_forgot(const struct cadre_annals *events, int64_t when_unix_ns)
{
	const struct cadre_annals_span span = cadre_annals_span(events);
	struct cadre_event oldest;

	return span.from > 0 && (!cadre_event_read(events, span.from, &oldest) ||
				 oldest.when_unix_ns > when_unix_ns);
}

void cadre_event_add_victims(const struct cadre_annals *events, uint64_t job,
			     struct cadre_event *event)
{
	const struct cadre_annals_span span = cadre_annals_span(events);
	struct cadre_event other;

	for (uint64_t number = span.from; number != span.to; number++) {
		if (cadre_event_read(events, number, &other) &&
		    other.kind == CADRE_EVENT_worker_died && names_job(&other, job))
			cadre_event_add_pid(event, other.pid);
	}
}

/* ---- words ---- */

static const struct {
	const char *name;
	const char *sentence;
} kinds[CADRE_EVENT_KINDS] = {
	[CADRE_EVENT_NONE] = { "?", "?" },
#define CADRE_EVENT(name, sentence) [CADRE_EVENT_##name] = { #name, sentence },
#include "events.def"
#undef CADRE_EVENT
};

const char *cadre_event_name(uint32_t kind)
{
	return kinds[kind < CADRE_EVENT_KINDS ? kind : CADRE_EVENT_NONE].name;
}

const char *cadre_event_template(uint32_t kind)
{
	return kinds[kind < CADRE_EVENT_KINDS ? kind : CADRE_EVENT_NONE].sentence;
}

/* A sentence under construction; what does not fit is cut. */
struct text {
	char *at;
	size_t left; /* the final zero byte included */
};

CADRE_PRINTF(2, 3)
static void add(struct text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text->at, text->left, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if ((size_t)length >= text->left)
		length = (int)text->left - 1;
	text->at += length;
	text->left -= (size_t)length;
}

static void add_how(struct text *text, const struct cadre_event *event)
{
	const int32_t code = event->code;
	const char *const signal_name = code > 0 ? sigabbrev_np(code) : NULL;

	if (code == CADRE_STATUS_UNKNOWN)
		add(text, "died (how, only its dead parent knew)");
	else if (signal_name)
		add(text, "was killed by SIG%s", signal_name);
	else if (code > 0)
		add(text, "was killed by signal %d", (int)code);
	else
		add(text, "exited with status %d", -(int)code);
}

static void add_duration(struct text *text, const struct cadre_event *event)
{
	const int64_t ns = event->duration_ns;

	if (ns < CADRE_NS_PER_S)
		add(text, "%" PRId64 " ms", ns / CADRE_NS_PER_MS);
	else if (ns < 100 * CADRE_NS_PER_S)
		add(text, "%.1f s", (double)ns / (double)CADRE_NS_PER_S);
	else
		add(text, "%" PRId64 " s", ns / CADRE_NS_PER_S);
}

static void add_job(struct text *text, const struct cadre_event *event)
{
	add(text, "job %" PRIu64 " (operation %d, attempt %u)", event->jobs[0].id,
	    (int)event->jobs[0].operation, event->jobs[0].attempt);
}

static void add_jobs(struct text *text, const struct cadre_event *event)
{
	if (event->job_count == 0)
		return;
	add(text, ", while it had ");
	add_job(text, event);
	if (event->job_count > 1)
		add(text, " and %u more", event->job_count - 1);
}

static void add_others(struct text *text, const struct cadre_event *event)
{
	for (uint32_t i = 0; i < event->pid_count; i++)
		add(text, "%s%d", i ? ", " : "", (int)event->pids[i]);
	if (event->pid_count == 0)
		add(text, "unknown");
}

static void add_words(struct text *text, const struct cadre_event *event)
{
	if (event->text_length)
		add(text, ": %.*s", (int)event->text_length, event->room);
}

static void add_trace(struct text *text, const struct cadre_event *event)
{
	if (event->crash)
		add(text, "; its backtrace was kept");
}

static void add_kept(struct text *text, const struct cadre_event *event)
{
	if (event->kept)
		add(text, "; its request was kept as %" PRIu64, event->kept - 1);
}

static void add_place(struct text *text, const struct cadre_event *event)
{
	add(text, "%d", (int)event->place);
}

static void add_window(struct text *text, const struct cadre_event *event)
{
	add(text, "%d", (int)event->window);
}

static void add_pid(struct text *text, const struct cadre_event *event)
{
	add(text, "%d", (int)event->pid);
}

static void add_count(struct text *text, const struct cadre_event *event)
{
	add(text, "%u", event->count);
}

static void add_length(struct text *text, const struct cadre_event *event)
{
	add(text, "%" PRIu64, event->length);
}

/* What may stand between braces. */
static const struct {
	const char *name;
	void (*add)(struct text *text, const struct cadre_event *event);
} fields[] = {
	{ "place", add_place },   { "window", add_window },     { "pid", add_pid },
	{ "others", add_others }, { "count", add_count },       { "length", add_length },
	{ "how", add_how },       { "duration", add_duration }, { "job", add_job },
	{ "jobs", add_jobs },     { "words", add_words },       { "trace", add_trace },
	{ "kept", add_kept },
};

/* The noun behind a number that was just written at `number`. */
static void add_noun(struct text *text, const char *number, const char *noun,
		     size_t length)
{
	const bool is_one = text->at - number == 1 && *number == '1';

	add(text, " %.*s%s", (int)length, noun, is_one ? "" : "s");
}

/* Adds the field whose name begins there, and returns what is behind its brace. */
static const char *add_field(struct text *text, const struct cadre_event *event,
			     const char *name)
{
	const size_t length = strcspn(name, "|}"), whole = strcspn(name, "}");
	const char *const behind = name[whole] ? name + whole + 1 : name + whole;
	const char *const before = text->at;

	for (size_t i = 0; i < CADRE_COUNT_OF(fields); i++) {
		if (strlen(fields[i].name) == length &&
		    strncmp(fields[i].name, name, length) == 0) {
			fields[i].add(text, event);
			if (length < whole)
				add_noun(text, before, name + length + 1,
					 whole - length - 1);
			return behind;
		}
	}
	add(text, "{%.*s}", (int)whole, name);
	return behind;
}

void cadre_event_say(const struct cadre_event *event, char *text, size_t size)
{
	struct text sentence = { .at = text, .left = size };
	const char *from = cadre_event_template(event->kind);

	if (size == 0)
		return;
	*text = '\0';
	while (*from) {
		const size_t plain = strcspn(from, "{");

		add(&sentence, "%.*s", (int)plain, from);
		from += plain;
		if (*from == '{')
			from = add_field(&sentence, event, from + 1);
	}
}
