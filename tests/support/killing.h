/*
 * killing.h - the kill points of the library: who passes which, and what a test wishes to
 * happen there.
 */
#ifndef KILLING_H
#define KILLING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	KILLING_ELSEWHERE = 0, /* has a story of its own */
	KILLING_WORKER = 1u << 0,
	KILLING_CLIENT = 1u << 1,
	KILLING_SUPERVISOR = 1u << 2,
	KILLING_WRECK = 1u << 3, /* a worker that is dying of a fault */
	KILLING_LOG = 1u << 4,   /* who writes a line or collects lines */
	/* in stories about channels and local workers: kill_channel.c */
	KILLING_AIMED_WORKER = 1u << 8,
	KILLING_AIMING_CLIENT = 1u << 9,
	KILLING_AIMED_SUPERVISOR = 1u << 10,
	KILLING_HOST_SUPERVISOR = 1u << 11,
	KILLING_FORK_SERVER = 1u
			      << 12, /* it, its program, its keepers: kill_fork_server.c */
};

struct killing_point {
	const char *label;
	unsigned roles; /* that pass it */
};

extern const struct killing_point killing_points[];
extern const size_t killing_point_count;

/* NULL when the labels in CADRE_SOURCE_DIR/lib are exactly those of the table; else a
 * sentence that names one of the others. */
const char *killing_unknown_label(void);

/* One story: at which pass of which label, and by what. */
struct killing {
	const char *label;
	unsigned pass;
	int signal_number;
	unsigned victims; /* so many processes, one after the other */
};

/* The role passes it. */
bool killing_is_passed(const char *label, unsigned role);

/* It is among the labels that a file tells stories of. */
bool killing_is_told(const char *label, const char *const *told, size_t count);

/* NULL when a file tells stories of exactly those that the role passes; else another one. */
const char *killing_missing_story(const char *const *told, size_t count, unsigned role);

/* "W6, pass 5, SIGKILL" */
const char *killing_describe(const struct killing *killing);

/* The wish, shared by all processes of a story. */
struct killing_wish {
	struct killing killing;
	_Atomic int victims_left;
	_Atomic pid_t victim; /* the latest that bears the wish */
};

struct killing_wish *killing_wish(const struct killing *killing);

/* This process bears the wish from now on, if victims are left. */
void killing_bear(struct killing_wish *wish);

/* This process, which may have inherited the wish by a fork, does not bear it. */
void killing_spare(void);

/* The one or the other, by the name of our parent: only supervisors bear it. Those of an
 * embedded pool are the keeper's children, not ours, so each finds out what it is. */
void killing_bear_if_supervisor(struct killing_wish *wish);

#endif
