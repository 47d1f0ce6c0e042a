#include "stat_check.h"
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const status_names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };

bool cadre_stat_check_parse(const char *name, enum cadre_stat_check *ret_check)
{
	if (!name)
		*ret_check = CADRE_STAT_CHECK_HEALTH;
	else if (strcmp(name, "live") == 0)
		*ret_check = CADRE_STAT_CHECK_LIVE;
	else if (strcmp(name, "ready") == 0)
		*ret_check = CADRE_STAT_CHECK_READY;
	else
		return false;
	return true;
}

/* ---- limits ---- */

static int find_measure(const char *name, size_t length)
{
	for (int i = 0; i < CADRE_HEALTH_MEASURES; i++) {
		const char *const known =
			cadre_health_describe((enum cadre_health_measure_id)i)->name;

		if (strlen(known) == length && strncmp(known, name, length) == 0)
			return i;
	}
	return -1;
}

/* A number; with % for shares, a duration for times. */
static bool parse_value(const char *text, const char *unit, double *ret_value)
{
	int64_t ns;
	char *end;
	double value;

	if (text[0] == '\0') {
		*ret_value = -1;
		return true;
	}
	if (unit[0] == 's' && cadre_parse_duration(text, &ns)) {
		*ret_value = (double)ns / 1e9;
		return true;
	}
	if (text[0] < '0' || text[0] > '9' || strpbrk(text, "xX"))
		return false;
	value = strtod(text, &end);
	if (*end == '%' && unit[0] == '%')
		end++;
	if (*end != '\0' || !(value <= 1e15))
		return false;
	*ret_value = value;
	return true;
}

bool cadre_stat_limit_parse(const char *text, struct cadre_health_limits *limits,
			    struct cadre_diag *diag)
{
	const size_t length = strcspn(text, "=");
	const int measure = find_measure(text, length);
	double warning = -1, critical = -1;
	const char *unit;
	char both[64];
	char *colon;

	if (measure < 0) {
		snprintf(diag->text, sizeof(diag->text),
			 "there is no measure \"%.*s\" (see --check --list)", (int)length,
			 text);
		return false;
	}
	unit = cadre_health_describe((enum cadre_health_measure_id)measure)->unit;
	snprintf(both, sizeof(both), "%s", text[length] ? text + length + 1 : "");
	colon = strchr(both, ':');
	if (colon)
		*colon = '\0';
	if (text[length] == '\0' || !parse_value(both, unit, &warning) ||
	    (colon && !parse_value(colon + 1, unit, &critical))) {
		snprintf(diag->text, sizeof(diag->text),
			 "must be NAME=WARNING[:CRITICAL], such as oldest=100ms:1s, "
			 "ready=8:4 or window=90%%");
		return false;
	}
	limits->warning[measure] = warning;
	limits->critical[measure] = critical;
	return true;
}

void cadre_stat_check_list(void)
{
	for (int i = 0; i < CADRE_HEALTH_MEASURES; i++) {
		const struct cadre_health_measure *const measure = cadre_health_describe(
			(enum cadre_health_measure_id)i);

		printf("%-10s %-8s %s", measure->name, measure->unit, measure->sentence);
		if (measure->warning >= 0)
			printf("; warning at %g", measure->warning);
		if (measure->critical >= 0)
			printf("; critical at %g", measure->critical);
		putchar('\n');
	}
}

/* ---- the line ---- */

/* Of a falling measure, "8:" alerts below 8, as the plugins' guidelines write it. */
static void print_limit(double limit, bool falling)
{
	putchar(';');
	if (limit >= 0)
		printf(falling ? "%g:" : "%g", limit);
}

static void print_perfdata(const struct cadre_health *health)
{
	fputs(" |", stdout);
	for (int i = 0; i < CADRE_HEALTH_MEASURES; i++) {
		const struct cadre_health_measure *const measure = cadre_health_describe(
			(enum cadre_health_measure_id)i);
		const bool has_unit = measure->unit[0] == 's' || measure->unit[0] == '%';

		printf(" %s=%.6g%s", measure->name, health->value[i],
		       has_unit ? measure->unit : "");
		print_limit(health->limits.warning[i], measure->falling);
		print_limit(health->limits.critical[i], measure->falling);
		fputs(";0", stdout);
	}
	putchar('\n');
}

static int print_probe(const char *pool, bool well, const char *what)
{
	printf("cadre %s: pool \"%s\" is%s %s\n", well ? "OK" : "FAILED", pool,
	       well ? "" : " not", what);
	return well ? 0 : 1;
}

int cadre_stat_check(enum cadre_stat_check check, const struct cadre_report *report,
		     const struct cadre_pool_snapshot *pool,
		     const struct cadre_health_limits *limits)
{
	const double silent_s = limits->critical[CADRE_HEALTH_HEARTBEAT];
	struct cadre_health health;

	if (check == CADRE_STAT_CHECK_LIVE)
		return print_probe(pool->name,
				   cadre_report_is_live(report,
							silent_s >= 0 ?
								(int64_t)(silent_s * 1e9) :
								INT64_MAX),
				   "live");
	if (check == CADRE_STAT_CHECK_READY)
		return print_probe(pool->name, cadre_report_is_ready(report), "ready");
	cadre_report_health(report, limits, &health);
	printf("cadre %s: pool \"%s\": %s", status_names[health.status], pool->name,
	       health.sentence);
	print_perfdata(&health);
	return (int)health.status;
}

int cadre_stat_check_unreadable(enum cadre_stat_check check, const char *pool, int error,
				const char *sentence)
{
	/* That it is not there is an answer; that we may not look is none. */
	const enum cadre_health_status status = error == -ENOENT ||
								error == -ECONNREFUSED ?
							CADRE_HEALTH_CRITICAL :
							CADRE_HEALTH_UNKNOWN;

	(void)pool;
	if (check != CADRE_STAT_CHECK_HEALTH) {
		printf("cadre FAILED: %s\n", sentence);
		return 1;
	}
	printf("cadre %s: %s\n", status_names[status], sentence);
	return (int)status;
}
