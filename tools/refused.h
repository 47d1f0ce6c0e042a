/*
 * refused.h - shows the requests of refused jobs that a pool has kept: `cadre check
 * --refused`. Read-only, like all of that command.
 */
#ifndef CADRE_REFUSED_H
#define CADRE_REFUSED_H

#include <stdint.h>

/* One line for each, oldest first. Returns an exit status, having said why when it is not
 * 0. */
int cadre_list_refused(const char *command, const char *pool);

/* Writes what was kept of that request to standard output, and nothing else; says on
 * standard error when it was cut. */
int cadre_write_refused(const char *command, const char *pool, uint64_t id);

#endif
