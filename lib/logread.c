#include "logread.h"
#include "clock.h"
#include "diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- names ---- */

static const char *const names[] = { "off",     "emergency", "alert", "critical", "error",
				     "warning", "notice",    "info",  "debug",    "trace" };

const char *cadre_log_level_name(enum cadre_log_level level)
{
	return (unsigned)level < CADRE_COUNT_OF(names) ? names[level] : "?";
}

int cadre_log_level_of(const char *name)
{
	const size_t length = strlen(name);
	int found = -EINVAL;

	if (length == 1 && name[0] >= '0' && name[0] <= '9')
		return name[0] - '0';
	for (unsigned i = 0; i < CADRE_COUNT_OF(names) && length > 0; i++) {
		if (strcmp(names[i], name) == 0)
			return (int)i;
		if (strncmp(names[i], name, length) != 0)
			continue;
		if (found >= 0)
			return -EINVAL; /* "e": emergency or error? */
		found = (int)i;
	}
	return found;
}

/* ---- text ---- */

static size_t append(char *text, size_t size, size_t length, const char *what)
{
	const size_t more = strlen(what);

	if (length < size)
		snprintf(text + length, size - length, "%s", what);
	return length + more;
}

size_t cadre_log_format(const struct cadre_log_line *line, char *text, size_t size)
{
	const time_t second = (time_t)(line->time_ns / CADRE_NS_PER_S);
	char part[CADRE_NAME_MAX + 96];
	char when[32] = "?";
	struct tm utc;
	size_t length = 0;

	if (line->time_ns >= 0 && gmtime_r(&second, &utc))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(part, sizeof(part), "%s.%06dZ %s %s ", when,
		 (int)(line->time_ns >= 0 ? line->time_ns % CADRE_NS_PER_S / 1000 : 0),
		 cadre_log_level_name(line->level), line->pool);
	length = append(text, size, length, part);
	if (line->worker >= 0)
		snprintf(part, sizeof(part), "worker %d (pid %d)", line->worker,
			 line->pid);
	else
		snprintf(part, sizeof(part), "supervisor (pid %d)", line->pid);
	length = append(text, size, length, part);
	if (line->job) {
		snprintf(part, sizeof(part), " job %llu", (unsigned long long)line->job);
		length = append(text, size, length, part);
	}
	length = append(text, size, length, ": ");
	return append(text, size, length, line->text);
}

/* ---- many rings, one log ---- */

int cadre_log_merge_init(struct cadre_log_merge *merge, const char *pool,
			 const struct cadre_view *view)
{
	merge->view = view;
	merge->count = view->limits.workers + 1;
	snprintf(merge->pool, sizeof(merge->pool), "%s", pool);
	merge->sources = calloc(merge->count, sizeof(*merge->sources));
	return merge->sources ? 0 : -ENOMEM;
}

void cadre_log_merge_fini(struct cadre_log_merge *merge)
{
	free(merge->sources);
	merge->sources = NULL;
}

void cadre_log_merge_skip(struct cadre_log_merge *merge)
{
	for (uint32_t i = 0; i < merge->count; i++)
		merge->sources[i].cursor.position = atomic_load_explicit(
			&merge->view->log_rings[i].tail, memory_order_relaxed);
}

static int32_t worker_of(const struct cadre_log_merge *merge, uint32_t ring)
{
	return ring + 1 < merge->count ? (int32_t)ring : -1;
}

static int64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * CADRE_NS_PER_S + now.tv_nsec;
}

static void tell_lost(struct cadre_log_merge *merge, uint32_t ring, cadre_log_fn *call,
		      void *context)
{
	struct cadre_log_source *const source = &merge->sources[ring];
	char text[80];
	const struct cadre_log_line line = {
		.time_ns = realtime_ns(),
		.level = CADRE_LOG_WARNING,
		.pool = merge->pool,
		.worker = worker_of(merge, ring),
		.pid = (int32_t)getpid(),
		.text = text,
	};

	snprintf(text, sizeof(text), "%llu line%s",
		 (unsigned long long)source->cursor.lost,
		 source->cursor.lost == 1 ? " was overwritten before it was read" :
					    "s were overwritten before they were read");
	source->cursor.lost = 0;
	call(&line, context);
}

static void tell(struct cadre_log_merge *merge, uint32_t ring, cadre_log_fn *call,
		 void *context)
{
	const struct cadre_log_record *const record = &merge->sources[ring].next;
	const struct cadre_log_line line = {
		.time_ns = record->time_ns,
		.level = record->level,
		.pool = merge->pool,
		.worker = worker_of(merge, ring),
		.pid = record->pid,
		.job = record->job,
		.text = record->text,
	};

	call(&line, context);
}

unsigned cadre_log_merge_read(struct cadre_log_merge *merge, cadre_log_fn *call,
			      void *context)
{
	const int64_t now_ns = cadre_clock_ns();
	const unsigned most = merge->count * CADRE_LOG_LINES;
	unsigned told = 0;

	for (;;) {
		uint32_t first = merge->count;

		for (uint32_t i = 0; i < merge->count; i++) {
			struct cadre_log_source *const source = &merge->sources[i];

			if (!source->has_next)
				source->has_next = cadre_log_ring_read(
					&merge->view->log_rings[i], &source->cursor,
					now_ns, &source->next);
			if (source->cursor.lost) {
				tell_lost(merge, i, call, context);
				told++;
			}
			if (source->has_next &&
			    (first == merge->count ||
			     source->next.time_ns < merge->sources[first].next.time_ns))
				first = i;
		}
		if (first == merge->count || told >= most)
			return told;
		tell(merge, first, call, context);
		merge->sources[first].has_next = false;
		told++;
	}
}

/* ---- for everybody ---- */

struct cadre_log {
	struct cadre_view view;
	struct cadre_log_merge merge;
};

int cadre_log_open(const char *pool, bool kept, struct cadre_log **ret_log,
		   struct cadre_diag *diag)
{
	struct cadre_log *const log = calloc(1, sizeof(*log));
	int r;

	if (!log)
		return cadre_refuse(diag, -ENOMEM, "out of memory");
	r = cadre_layout_open(pool, false, &log->view, diag);
	if (r < 0) {
		free(log);
		return r;
	}
	r = cadre_log_merge_init(&log->merge, pool, &log->view);
	if (r < 0) {
		cadre_refuse(diag, r, "out of memory");
		cadre_log_close(log);
		return r;
	}
	if (!kept)
		cadre_log_merge_skip(&log->merge);
	*ret_log = log;
	return 0;
}

void cadre_log_close(struct cadre_log *log)
{
	if (!log)
		return;
	cadre_log_merge_fini(&log->merge);
	cadre_layout_close(&log->view);
	free(log);
}

int cadre_log_read(struct cadre_log *log, cadre_log_fn *call, void *context)
{
	return (int)cadre_log_merge_read(&log->merge, call, context);
}
