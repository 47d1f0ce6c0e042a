/*
 * detail.c - one worker: each field of the report, and how long its jobs took.
 */
#include "../text.h"
#include "screen.h"
#include "top.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FIELD_WIDTH 40
#define BUCKETS_PER_OCTAVE 8

static bool ends_with(const char *text, const char *ending)
{
	const size_t length = strlen(text), tail = strlen(ending);

	return length >= tail && strcmp(text + length - tail, ending) == 0;
}

static void write_value(const struct cadre_field *field,
			const struct cadre_worker_snapshot *worker, char *text,
			size_t size)
{
	const double number = cadre_field_number(field, worker);

	if (field->type == CADRE_TYPE_TEXT)
		snprintf(text, size, "%s", cadre_field_text(field, worker));
	else if (field->type == CADRE_TYPE_LETTER)
		snprintf(text, size, "%c", *((const char *)worker + field->offset));
	else if (ends_with(field->name, "_ns"))
		snprintf(text, size, "%s", cadre_text_duration_or_dash((int64_t)number));
	else if (strcmp(field->unit, "ppm") == 0)
		snprintf(text, size, "%.1f%%", number / 1e4);
	else if (strcmp(field->unit, "bytes") == 0)
		snprintf(text, size, "%s", cadre_text_memory((uint64_t)number));
	else
		snprintf(text, size, "%" PRId64, cadre_field_integer(field, worker));
}

/* The percentiles stand in the histogram. */
static bool is_percentile(const struct cadre_field *field)
{
	for (int kind = 0; kind < CADRE_LATENCY_KINDS; kind++) {
		const char *const name = cadre_latency_name((enum cadre_latency_kind)kind);

		if (strncmp(field->name, name, strlen(name)) == 0 &&
		    field->name[strlen(name)] == '.')
			return true;
	}
	return false;
}

/* In as many columns as the screen has room for. Returns the line behind. */
static int draw_fields(const struct cadre_worker_snapshot *worker, int line)
{
	size_t count;
	const struct cadre_field *const fields = cadre_fields(CADRE_FIELDS_WORKER, &count);
	const int columns = screen_columns() >= 2 * FIELD_WIDTH ?
				    screen_columns() / FIELD_WIDTH :
				    1;
	int shown = 0;

	for (size_t i = 0; i < count; i++) {
		char value[80];

		if (is_percentile(&fields[i]))
			continue;
		write_value(&fields[i], worker, value, sizeof(value));
		screen_write(line + shown / columns, shown % columns * FIELD_WIDTH,
			     SCREEN_PLAIN, "%-26.26s%12.12s", fields[i].name, value);
		shown++;
	}
	return line + (shown + columns - 1) / columns;
}

/* Jobs of the eight buckets that make a power of two. */
static uint64_t octave(const struct cadre_latency *latency, unsigned first)
{
	uint64_t sum = 0;

	for (unsigned i = first;
	     i < first + BUCKETS_PER_OCTAVE && i < CADRE_LATENCY_BUCKETS; i++)
		sum += latency->count[i];
	return sum;
}

struct octaves {
	unsigned from, to; /* buckets: the first with jobs, the last with jobs */
	uint64_t most;
};

static struct octaves find_octaves(const struct cadre_latency *latency)
{
	struct octaves found = { .from = CADRE_LATENCY_BUCKETS };

	for (unsigned first = 0; first < CADRE_LATENCY_BUCKETS;
	     first += BUCKETS_PER_OCTAVE) {
		const uint64_t jobs = octave(latency, first);

		if (jobs == 0)
			continue;
		if (found.from == CADRE_LATENCY_BUCKETS)
			found.from = first;
		found.to = first;
		if (jobs > found.most)
			found.most = jobs;
	}
	return found;
}

static void draw_bar(int line, const struct cadre_latency *latency, unsigned first,
		     uint64_t most)
{
	static const char hashes[] = "########################################"
				     "########################################";
	const uint64_t jobs = octave(latency, first);
	const int room = screen_columns() > 40 ? screen_columns() - 30 : 10;
	const int width = room < (int)sizeof(hashes) ? room : (int)sizeof(hashes) - 1;
	const int length = most ? (int)((double)jobs / (double)most * width + 0.5) : 0;

	screen_write(line, 0, SCREEN_PLAIN, "  <= %-9s %9s %.*s",
		     cadre_text_duration(cadre_latency_ceiling_ns(
			     first + BUCKETS_PER_OCTAVE - 1 < CADRE_LATENCY_BUCKETS ?
				     first + BUCKETS_PER_OCTAVE - 1 :
				     CADRE_LATENCY_BUCKETS - 1)),
		     cadre_text_rate((double)jobs), jobs && length == 0 ? 1 : length,
		     hashes);
}

/* Returns the line behind. */
static int draw_histogram(const struct top *top,
			  const struct cadre_worker_snapshot *worker, int line)
{
	const struct cadre_latency *const latency = &worker->latency[top->latency];
	const struct cadre_percentiles it = cadre_latency_percentiles(latency);
	const struct octaves found = find_octaves(latency);

	screen_write(line++, 0, SCREEN_BOLD,
		     "%s of %" PRIu64 " jobs (L chooses another): p50 %s  p90 %s  p99 %s  "
		     "p99.9 %s  max %s",
		     cadre_latency_name(top->latency), it.jobs,
		     cadre_text_duration_or_dash(it.p50_ns),
		     cadre_text_duration_or_dash(it.p90_ns),
		     cadre_text_duration_or_dash(it.p99_ns),
		     cadre_text_duration_or_dash(it.p999_ns),
		     cadre_text_duration_or_dash(it.max_ns));
	for (unsigned first = found.from; first <= found.to && it.jobs;
	     first += BUCKETS_PER_OCTAVE)
		draw_bar(line++, latency, first, found.most);
	return line;
}

int top_draw_detail(const struct top *top, int line)
{
	const struct cadre_worker_snapshot *const worker =
		cadre_report_worker(top->report, top->worker);
	char title[64];

	snprintf(title, sizeof(title), "worker %u", top->worker);
	screen_write_line(line++, SCREEN_MARKED, title);
	if (!worker) {
		screen_write(line, 0, SCREEN_DIM,
			     "it was in the pool before this one, which has no such place");
		return line + 1;
	}
	screen_clip(line);
	line = draw_histogram(top, worker, line - top->scroll);
	return draw_fields(worker, line + 1);
}
