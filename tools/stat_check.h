/*
 * stat_check.h - `cadre stat --check`: one line and an exit status for a monitor. What is
 * well and what is not, the library judges (cadre_report_health).
 */
#ifndef CADRE_STAT_CHECK_H
#define CADRE_STAT_CHECK_H

#include <cadre/report.h>

enum cadre_stat_check {
	CADRE_STAT_NO_CHECK,
	CADRE_STAT_CHECK_HEALTH, /* 0, 1, 2, 3 as Nagios and Icinga want it */
	CADRE_STAT_CHECK_LIVE,   /* 0 or 1, for a container platform */
	CADRE_STAT_CHECK_READY,
};

/* False: there is no check of that name. NULL is the health check. */
bool cadre_stat_check_parse(const char *name, enum cadre_stat_check *ret_check);

/* Reads NAME=WARNING[:CRITICAL] into limits; an empty side sets no limit. False, with a
 * sentence. */
bool cadre_stat_limit_parse(const char *text, struct cadre_health_limits *limits,
			    struct cadre_diag *diag);

/* Prints the line and returns the exit status. */
int cadre_stat_check(enum cadre_stat_check check, const struct cadre_report *report,
		     const struct cadre_pool_snapshot *pool,
		     const struct cadre_health_limits *limits);

/* The same for a pool that cannot be read. */
int cadre_stat_check_unreadable(enum cadre_stat_check check, const char *pool, int error,
				const char *sentence);

/* A line for each measure: name, unit, defaults, sentence. */
void cadre_stat_check_list(void);

#endif
