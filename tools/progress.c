#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cadre/client.h>

#define NARROWEST_BAR 10
#define WIDEST_BAR 40

static const int64_t bar_period_ns = 100 * 1000 * 1000;
static const int64_t line_period_ns = INT64_C(5) * 1000 * 1000 * 1000;

void cadre_progress_start(struct cadre_progress *progress, bool enabled)
{
	*progress = (struct cadre_progress){
		.enabled = enabled,
		.terminal = isatty(STDERR_FILENO) == 1,
		.start_ns = cadre_now_ns(),
	};
	progress->drawn_ns = progress->start_ns;
}

double cadre_progress_rate(const struct cadre_progress *progress, uint64_t done)
{
	const double seconds = (double)(cadre_now_ns() - progress->start_ns) / 1e9;

	return seconds > 0 ? (double)done / seconds : 0;
}

static int terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

static void write_numbers(const struct cadre_progress *progress,
			  const struct cadre_progress_counts *counts, char *text,
			  size_t size)
{
	char total[24] = "";

	if (counts->total > 0)
		snprintf(total, sizeof(total), "/%llu", (unsigned long long)counts->total);
	snprintf(text, size, "%llu%s  %.0f jobs/s  %llu tried again  %llu failed",
		 (unsigned long long)counts->done, total,
		 cadre_progress_rate(progress, counts->done),
		 (unsigned long long)counts->retried, (unsigned long long)counts->failed);
}

/* "[====>     ] ", or nothing when the total is unknown or the terminal narrow. */
static void write_bar(const struct cadre_progress_counts *counts, int room, char *text)
{
	const int width = room > WIDEST_BAR ? WIDEST_BAR : room;
	int filled;

	text[0] = '\0';
	if (counts->total == 0 || width < NARROWEST_BAR)
		return;
	filled = (int)((double)counts->done / (double)counts->total * width);
	if (filled > width)
		filled = width;

	text[0] = '[';
	memset(text + 1, ' ', (size_t)width);
	memset(text + 1, '=', (size_t)filled);
	if (filled < width)
		text[1 + filled] = '>';
	memcpy(text + 1 + width, "] ", sizeof("] "));
}

static void draw_bar(struct cadre_progress *progress,
		     const struct cadre_progress_counts *counts)
{
	char numbers[160], bar[WIDEST_BAR + 8];
	const int width = terminal_width();

	write_numbers(progress, counts, numbers, sizeof(numbers));
	write_bar(counts, width - (int)strlen(numbers) - 5, bar);
	/* Cut to the width: a line that wraps cannot be drawn over. */
	fprintf(stderr, "\r%s%.*s\033[K", bar, width - 1 - (int)strlen(bar), numbers);
	progress->drawn = true;
}

static void print_line(const struct cadre_progress *progress,
		       const struct cadre_progress_counts *counts)
{
	char numbers[160];

	write_numbers(progress, counts, numbers, sizeof(numbers));
	fprintf(stderr, "%s\n", numbers);
}

/* A line for each tenth of the way; where the way's end is unknown, every few seconds. */
static bool is_time_for_line(struct cadre_progress *progress,
			     const struct cadre_progress_counts *counts, int64_t now_ns)
{
	unsigned tenths;

	if (counts->total == 0)
		return now_ns - progress->drawn_ns >= line_period_ns;
	tenths = (unsigned)(counts->done * 10 / counts->total);
	if (tenths <= progress->tenths)
		return false;
	progress->tenths = tenths;
	return true;
}

void cadre_progress_show(struct cadre_progress *progress,
			 const struct cadre_progress_counts *counts)
{
	int64_t now_ns;

	if (!progress->enabled)
		return;
	now_ns = cadre_now_ns();
	if (progress->terminal) {
		if (now_ns - progress->drawn_ns < bar_period_ns)
			return;
		draw_bar(progress, counts);
	} else {
		if (!is_time_for_line(progress, counts, now_ns))
			return;
		print_line(progress, counts);
	}
	progress->drawn_ns = now_ns;
}

void cadre_progress_clear(struct cadre_progress *progress)
{
	if (!progress->drawn)
		return;
	fputs("\r\033[K", stderr);
	progress->drawn = false;
	progress->drawn_ns = 0;
}

void cadre_progress_finish(struct cadre_progress *progress,
			   const struct cadre_progress_counts *counts)
{
	if (!progress->enabled)
		return;
	if (!progress->terminal) {
		/* The last tenth was a line already. */
		if (progress->tenths < 10)
			print_line(progress, counts);
		return;
	}
	draw_bar(progress, counts);
	fputc('\n', stderr);
	progress->drawn = false;
}
