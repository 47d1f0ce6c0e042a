#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct text {
	char bytes[32];
};

#define ROOM sizeof(((struct text *)0)->bytes)

static char *next_text(void)
{
	static struct text texts[16];
	static unsigned turn;

	return texts[turn++ % COUNT_OF(texts)].bytes;
}

const char *cadre_text_duration(int64_t ns)
{
	const int64_t us = ns / 1000, ms = us / 1000, s = ms / 1000;
	char *const text = next_text();

	if (us < 1)
		snprintf(text, ROOM, "%" PRId64 "ns", ns);
	else if (ms < 1)
		snprintf(text, ROOM, "%" PRId64 ".%" PRId64 "us", us, ns / 100 % 10);
	else if (s < 1)
		snprintf(text, ROOM, "%" PRId64 ".%" PRId64 "ms", ms, us / 100 % 10);
	else if (s < 60)
		snprintf(text, ROOM, "%" PRId64 ".%" PRId64 "s", s, ms / 100 % 10);
	else if (s < 3600)
		snprintf(text, ROOM, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, ROOM, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(text, ROOM, "%" PRId64 "d%02" PRId64 "h", s / 86400,
			 s / 3600 % 24);
	return text;
}

const char *cadre_text_duration_or_dash(int64_t ns)
{
	return ns > 0 ? cadre_text_duration(ns) : "-";
}

const char *cadre_text_size(uint64_t bytes)
{
	static const char *const units[] = { "", "K", "M", "G" };
	char *const text = next_text();
	unsigned unit = 0;

	while (unit + 1 < COUNT_OF(units) && bytes >= 1024 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, ROOM, "%" PRIu64 "%s", bytes, units[unit]);
	return text;
}

/* With one digit behind the point where there is room for it. */
static const char *scale(double number, double step, const char *const *units,
			 size_t count)
{
	char *const text = next_text();
	size_t unit = 0;

	while (unit + 1 < count && number >= step) {
		number /= step;
		unit++;
	}
	snprintf(text, ROOM,
		 number < 100 && (unit > 0 || number < 10) ? "%.1f%s" : "%.0f%s", number,
		 units[unit]);
	return text;
}

const char *cadre_text_memory(uint64_t bytes)
{
	static const char *const units[] = { "", "K", "M", "G", "T" };

	return bytes ? scale((double)bytes, 1024, units, COUNT_OF(units)) : "-";
}

const char *cadre_text_rate(double per_s)
{
	static const char *const units[] = { "", "k", "M", "G" };

	return per_s > 0 ? scale(per_s, 1000, units, COUNT_OF(units)) : "0";
}

const char *cadre_text_percent(double ratio)
{
	char *const text = next_text();

	snprintf(text, ROOM, "%.1f%%", 100 * ratio);
	return text;
}

const char *cadre_text_moment(int64_t unix_s)
{
	const time_t then = (time_t)unix_s, now = time(NULL);
	char *const text = next_text();
	struct tm parts, today;

	if (!localtime_r(&then, &parts) || !localtime_r(&now, &today))
		return "?";
	strftime(text, ROOM,
		 parts.tm_yday == today.tm_yday && parts.tm_year == today.tm_year ?
			 "%H:%M:%S" :
			 "%Y-%m-%d %H:%M:%S",
		 &parts);
	return text;
}
