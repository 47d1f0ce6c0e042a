/*
 * migrate.h - a worker that shares its CPU with the client it works for goes to an idle one.
 *
 * The two take turns then, so that never more than one of them can run: the kernel sees a
 * CPU with one runnable process at a time, and lets them be, beside an idle CPU. A call
 * takes two switches (8 us) instead of a spin on either side (0.3 us).
 *
 * Nobody moves on a guess: the worker has been about to sleep beside a client of its own CPU
 * for so long, so often, and another CPU was idle meanwhile by the kernel's own count
 * (/proc/stat, in steps of 10 ms). It moves itself, never a client. Whoever was moved and
 * is back where it was waits twice as long the next time.
 *
 * Private to a worker's dispatching thread.
 */
#ifndef CADRE_MIGRATE_H
#define CADRE_MIGRATE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/* Only CPUs below this are gone to. */
#define CADRE_MIGRATE_CPUS 256

/* How long each CPU was idle since the machine began, in ticks of sysconf(_SC_CLK_TCK). */
struct cadre_idleness {
	int64_t at_ns;
	uint32_t ticks[CADRE_MIGRATE_CPUS];
};

/* Zeros to begin with. */
struct cadre_migration {
	uint32_t here;     /* the CPU that is shared, from 1 */
	unsigned sighted;  /* times that it was, without a break */
	int64_t last_ns;   /* the last of them */
	int64_t resume_ns; /* nothing is considered before */
	int64_t pause_ns;  /* after the next move */
	bool has_before;
	struct cadre_idleness before;
};

/* The worker is about to sleep beside a client on the CPU `here`, from 1. May move it to
 * another, which takes some 20 us; mostly counts only. True when it has moved. */
bool cadre_migration_sight(struct cadre_migration *migration, uint32_t here,
			   int64_t now_ns);

/* 0, or negative errno: there is no such count. */
int cadre_idleness_read(struct cadre_idleness *ret_idleness);

/* The CPU of a set, not `here`, that was idle nearly all the time between; from 1; 0: none. */
uint32_t cadre_idleness_choose(const struct cadre_idleness *before,
			       const struct cadre_idleness *after,
			       const cpu_set_t *allowed, uint32_t here);

/* Moves this thread to a CPU, from 1, and leaves its affinity as it was; that takes some 20 us.
 * 0, -EINVAL (no CPU that this thread may run on), or another negative errno. */
int cadre_migrate_to(uint32_t cpu);

#endif
