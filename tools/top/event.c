/*
 * event.c - one event: its sentence in full, and, when a worker crashed, where it was.
 */
#include "../text.h"
#include "screen.h"
#include "top.h"

#include <string.h>

#define TRACE_MAX 16384

/* Events move as new ones come: by number. */
static const struct cadre_event_info *find(const struct top *top)
{
	/* Those of a successor count from 0 again. */
	if (top->event_of != top->pools.pool[0].successors)
		return NULL;
	for (uint32_t i = 0; i < top->snapshot->event_count; i++) {
		const struct cadre_event_info *const event = cadre_report_event(top->report,
										i);

		if (event && event->number == top->event)
			return event;
	}
	return NULL;
}

/* Words go to the next line where they do not fit. Returns the line behind. */
static int draw_text(int line, const char *text)
{
	const size_t width = screen_columns() > 20 ? (size_t)screen_columns() - 2 : 20;

	while (*text) {
		size_t length = strcspn(text, "\n");

		if (length > width) {
			length = width;
			while (length > 1 && text[length] != ' ')
				length--;
			if (length == 1)
				length = width;
		}
		screen_write(line++, 0, SCREEN_PLAIN, "%.*s", (int)length, text);
		text += length;
		text += *text == ' ' || *text == '\n';
	}
	return line;
}

/* Finding names and lines may take a while, so it is done once for each event. */
static const char *trace_of(const struct top *top, const struct cadre_event_info *event)
{
	static char text[TRACE_MAX];
	static uint64_t whose = UINT64_MAX;
	static unsigned of;
	const struct cadre_backtrace *const crash = cadre_report_crash(top->report, event);

	if (!crash)
		return "";
	if (whose != event->number || of != top->event_of)
		cadre_backtrace_format(crash, 0, text, sizeof(text));
	whose = event->number;
	of = top->event_of;
	return text;
}

int top_draw_event(const struct top *top, int line)
{
	const struct cadre_event_info *const event = find(top);

	screen_write_line(line++, SCREEN_MARKED, "event");
	if (!event) {
		screen_write(line, 0, SCREEN_DIM,
			     top->event_of == top->pools.pool[0].successors ?
				     "it was long ago: others took its place" :
				     "it was in the pool before this one");
		return line + 1;
	}
	screen_clip(line);
	line -= top->scroll;
	screen_write(line++, 0, SCREEN_BOLD, "%s, %s ago", event->name,
		     cadre_text_duration(event->age_ns));
	line = draw_text(line, event->sentence);
	return draw_text(line + 1, trace_of(top, event));
}
