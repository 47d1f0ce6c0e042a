#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert(CADRE_EVENT_JOBS_MAX == CADRE_EVENT_JOBS, "report.h");
static_assert(CADRE_EVENT_OTHERS_MAX == CADRE_EVENT_PIDS, "report.h");
static_assert(CADRE_EVENT_ROOM_MAX == CADRE_EVENT_ROOM, "report.h");

const struct cadre_event_description *cadre_event_describe(size_t *ret_count)
{
	static const struct cadre_event_description kinds[] = {
#define CADRE_EVENT(name, sentence) { #name, sentence },
#include "events.def"
#undef CADRE_EVENT
	};

	*ret_count = CADRE_COUNT_OF(kinds);
	return kinds;
}

/* ---- events ---- */

/* The number of a record, as events hold it; -1 for none. */
static int64_t number_of(uint64_t one_more)
{
	return one_more > 0 && one_more <= INT64_MAX ? (int64_t)(one_more - 1) : -1;
}

static void copy_jobs(struct cadre_event_info *info, const struct cadre_event *event)
{
	info->job_count = event->job_count;
	for (unsigned i = 0; i < CADRE_EVENT_JOBS && i < event->job_count; i++) {
		info->jobs[i].id = event->jobs[i].id;
		info->jobs[i].operation = event->jobs[i].operation;
		info->jobs[i].attempt = event->jobs[i].attempt;
	}
}

/* The event is bounded. */
static void write_info(struct cadre_event_info *info, uint64_t number,
		       const struct cadre_event *event, int64_t now_ns)
{
	*info = (struct cadre_event_info){
		.number = number,
		.name = cadre_event_name(event->kind),
		.unix_ns = event->when_unix_ns,
		.age_ns = event->when_ns > 0 && event->when_ns < now_ns ?
				  now_ns - event->when_ns :
				  0,
		.place = event->place,
		.incarnation = event->incarnation,
		.pid = event->pid,
		.code = event->code,
		.duration_ns = event->duration_ns,
		.count = event->count,
		.window = event->window,
		.length = event->length,
		.refused = number_of(event->kept),
		.crash = number_of(event->crash),
		.other_count = event->pid_count,
		.data_length = event->data_length,
	};
	memcpy(info->others, event->pids, sizeof(info->others));
	copy_jobs(info, event);
	memcpy(info->words, event->room, event->text_length);
	memcpy(info->data, event->room + event->text_length, event->data_length);
	cadre_event_say(event, info->sentence, sizeof(info->sentence));
}

static void read_events(struct cadre_chronicle *chronicle, const struct cadre_view *view,
			int64_t now_ns)
{
	const struct cadre_annals_span span = cadre_annals_span(&view->events);
	struct cadre_event event;

	chronicle->events = span.to;
	chronicle->event_count = 0;
	for (uint64_t number = span.from; number != span.to; number++) {
		if (cadre_event_read(&view->events, number, &event))
			write_info(&chronicle->infos[chronicle->event_count++], number,
				   &event, now_ns);
	}
}

/* ---- crashes ---- */

static void read_crashes(struct cadre_chronicle *chronicle, const struct cadre_view *view)
{
	const struct cadre_annals_span span = cadre_annals_span(&view->crashes);

	chronicle->crash_count = 0;
	for (uint64_t number = span.from; number != span.to; number++) {
		struct cadre_backtrace *const trace =
			&chronicle->crashes[chronicle->crash_count];

		if (!cadre_annals_read(&view->crashes, number, trace, sizeof(*trace)))
			continue;
		cadre_crash_make_possible(trace);
		chronicle->crash_numbers[chronicle->crash_count++] = number;
	}
}

const struct cadre_backtrace *cadre_chronicle_crash(const struct cadre_chronicle *chronicle,
						    int64_t number)
{
	for (uint32_t i = 0; number >= 0 && i < chronicle->crash_count; i++) {
		if (chronicle->crash_numbers[i] == (uint64_t)number)
			return &chronicle->crashes[i];
	}
	return NULL;
}

/* ---- refused requests ---- */

static void read_refused(struct cadre_chronicle *chronicle, const struct cadre_view *view)
{
	const struct cadre_annals_span span = cadre_annals_span(&view->kept);
	struct cadre_kept head;

	chronicle->refused_count = 0;
	for (uint64_t number = span.from; number != span.to; number++) {
		if (!cadre_kept_read(&view->kept, number, &head, NULL))
			continue;
		chronicle->refused[chronicle->refused_count++] = (struct cadre_refused_info){
			.id = number,
			.job = head.job,
			.unix_ns = head.when_unix_ns,
			.length = head.length,
			.kept_length = head.kept_length,
			.operation = head.operation,
			.attempts = head.attempt + 1,
			.window = head.window,
			.client_pid = head.client_pid,
			.worker = head.worker,
			.worker_pid = head.worker_pid,
			.code = head.code,
		};
	}
}

int64_t cadre_chronicle_request(const struct cadre_view *view, uint64_t id, void *buffer,
				size_t size)
{
	unsigned char *const bytes = malloc(view->kept.body_size);
	struct cadre_kept head;
	int64_t length = -ENOENT;

	if (!bytes)
		return -ENOMEM;
	if (cadre_kept_read(&view->kept, id, &head, bytes)) {
		if (size > head.kept_length)
			size = head.kept_length;
		memcpy(buffer, bytes, size);
		length = (int64_t)size;
	}
	free(bytes);
	return length;
}

void cadre_chronicle_read(struct cadre_chronicle *chronicle,
			  const struct cadre_view *view, int64_t now_ns)
{
	read_events(chronicle, view, now_ns);
	read_crashes(chronicle, view);
	read_refused(chronicle, view);
}

/* ---- the public calls ---- */

const struct cadre_event_info *cadre_report_event(const struct cadre_report *report,
						  uint32_t index)
{
	return index < report->pool.event_count ? &report->chronicle.infos[index] : NULL;
}

const struct cadre_backtrace *cadre_report_crash(const struct cadre_report *report,
						 const struct cadre_event_info *event)
{
	return cadre_chronicle_crash(&report->chronicle, event->crash);
}

const struct cadre_refused_info *cadre_report_refused(const struct cadre_report *report,
						      uint32_t index)
{
	return index < report->pool.refused_count ? &report->chronicle.refused[index] :
						    NULL;
}

int64_t cadre_report_refused_request(const struct cadre_report *report, uint64_t id,
				     void *buffer, size_t size)
{
	return cadre_chronicle_request(&report->view, id, buffer, size);
}
