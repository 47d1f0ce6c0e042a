/*
 * head.c - the lines above every view: how the pool is, and its map of letters.
 */
#include "../text.h"
#include "screen.h"
#include "top.h"

#include <inttypes.h>
#include <stdio.h>

/* A supervisor ticks several times a second, or once when it is idle. */
#define SILENT_NS INT64_C(3000000000)

static int draw_supervisor(int line, int column, const struct cadre_pool_snapshot *pool)
{
	if (!pool->alive)
		return screen_write(line, column, SCREEN_BAD, "  NO SUPERVISOR");
	if (pool->heartbeat_age_ns > SILENT_NS)
		return screen_write(line, column, SCREEN_BAD, "  supervisor %d SILENT %s",
				    pool->supervisor_pid,
				    cadre_text_duration(pool->heartbeat_age_ns));
	return screen_write(line, column, SCREEN_PLAIN, "  supervisor %d",
			    pool->supervisor_pid);
}

static int draw_state(const struct top *top)
{
	const struct cadre_pool_snapshot *const pool = top->snapshot;
	int column = screen_write(0, 0, SCREEN_BOLD, "%s", pool->name);

	column = screen_write(0, column, SCREEN_PLAIN, "  %s  up %s", pool->state,
			      cadre_text_duration(pool->uptime_ns));
	column = draw_supervisor(0, column, pool);
	column = screen_write(0, column, SCREEN_PLAIN, "  workers %u/%u..%u busy %u",
			      pool->workers_ready, pool->workers_min, pool->workers_max,
			      pool->workers_busy);
	if (pool->degraded)
		column = screen_write(0, column, SCREEN_BAD, "  DEGRADED");
	if (top->paused)
		screen_write(0, column, SCREEN_MARKED, "  paused");
	return 1;
}

static uint64_t failed(const struct cadre_pool_snapshot *pool)
{
	uint64_t sum = 0;

	for (int outcome = CADRE_FAILED; outcome <= CADRE_REFUSED; outcome++)
		sum += pool->jobs[outcome];
	return sum;
}

static int draw_jobs(const struct top *top)
{
	const struct cadre_pool_snapshot *const pool = top->snapshot;
	const struct cadre_rates *const rates = cadre_sampler_pool(top->sampler);
	int column = screen_write(1, 0, SCREEN_PLAIN, "jobs %s/s  not ok %s/s (%s)",
				  cadre_text_rate(rates->jobs_per_s),
				  cadre_text_rate(rates->failed_per_s),
				  cadre_text_rate((double)failed(pool)));

	column = screen_write(1, column, SCREEN_PLAIN,
			      "  in flight %" PRIu64 "  queued %" PRIu64 " (max %" PRIu64
			      ")  oldest %s",
			      pool->in_flight, pool->queue_length,
			      top_counter(CADRE_SCOPE_POOL, pool->counters,
					  "queue_length_max"),
			      cadre_text_duration_or_dash(pool->oldest_pending_ns));
	screen_write(1, column, SCREEN_PLAIN, "  load %.1f%% (max %.1f%%)",
		     100 * rates->load,
		     (double)top_counter(CADRE_SCOPE_POOL, pool->counters, "load_max") /
			     1e4);
	return 2;
}

static int draw_percentiles(int line, int column, const char *name,
			    const struct cadre_percentiles *percentiles)
{
	return screen_write(line, column, SCREEN_PLAIN, "%s p50 %s p99 %s p99.9 %s  ",
			    name, cadre_text_duration_or_dash(percentiles->p50_ns),
			    cadre_text_duration_or_dash(percentiles->p99_ns),
			    cadre_text_duration_or_dash(percentiles->p999_ns));
}

static int draw_latency(const struct top *top)
{
	const struct cadre_rates *const rates = cadre_sampler_pool(top->sampler);
	int column = draw_percentiles(2, 0, "waiting", &rates->waiting);

	draw_percentiles(2, column, "service", &rates->service);
	return 3;
}

static int draw_room(const struct top *top)
{
	const struct cadre_pool_snapshot *const pool = top->snapshot;
	int column = screen_write(3, 0, SCREEN_PLAIN, "clients %u of %u  blocks %s of %s",
				  pool->clients, pool->clients_max,
				  cadre_text_memory(pool->block_bytes_used),
				  cadre_text_memory(pool->block_bytes));

	if (pool->windows_full)
		screen_write(3, column, SCREEN_BAD, "  %u WINDOWS FULL",
			     pool->windows_full);
	return 4;
}

static enum screen_style style_of(char letter)
{
	switch (letter) {
	case 'W':
		return SCREEN_GOOD;
	case 'X':
	case 'H':
	case 'D':
	case '?':
		return SCREEN_BAD;
	default:
		return SCREEN_PLAIN;
	}
}

/* As many lines as it takes, but not more than a third of the screen. */
static int draw_map(const struct top *top, int line)
{
	const int columns = screen_columns(), third = screen_lines() / 3;
	const int width = columns > 20 ? columns - 6 : 14;
	const int most = third > 1 ? third : 1;
	const uint32_t room = (uint32_t)(width * most);
	uint32_t index = 0;

	screen_write(line, 0, SCREEN_PLAIN, "map");
	for (; index < top->snapshot->worker_count && index < room; index++) {
		const char letter = cadre_report_worker(top->report, index)->letter;

		screen_write(line + (int)index / width, 5 + (int)index % width,
			     style_of(letter), "%c", letter);
	}
	if (index < top->snapshot->worker_count)
		screen_write(line + most - 1, 1, SCREEN_DIM, "...");
	return line + (int)(index > 0 ? index - 1 : 0) / width + 1;
}

int top_draw_head(const struct top *top)
{
	draw_state(top);
	draw_jobs(top);
	draw_latency(top);
	return draw_map(top, draw_room(top)) + 1;
}
