/*
 * progress.h - how far a run is, on standard error: a bar on a terminal, a line now and
 * then elsewhere.
 *
 *     [=========>                ] 12345/45678  8123 jobs/s  2 tried again  0 failed
 *
 * The bar stands on the last line of the terminal and has no newline: whoever else prints
 * there calls cadre_progress_clear first. Drawing costs a look at the clock unless a tenth
 * of a second went by.
 */
#ifndef CADRE_PROGRESS_H
#define CADRE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* What is shown. `total` 0: not known. */
struct cadre_progress_counts {
	uint64_t done;
	uint64_t total;
	uint64_t retried;
	uint64_t failed;
};

struct cadre_progress {
	bool enabled;
	bool terminal;
	bool drawn; /* a bar stands on the terminal */
	int64_t start_ns;
	int64_t drawn_ns;
	unsigned tenths; /* of the total that a line has told of */
};

/* Shows nothing at all when not `enabled`. */
void cadre_progress_start(struct cadre_progress *progress, bool enabled);

/* Draws, if it is time to. */
void cadre_progress_show(struct cadre_progress *progress,
			 const struct cadre_progress_counts *counts);

/* Takes the bar off the terminal; the next show puts it back at once. */
void cadre_progress_clear(struct cadre_progress *progress);

/* Draws the last state and leaves it there. */
void cadre_progress_finish(struct cadre_progress *progress,
			   const struct cadre_progress_counts *counts);

/* Jobs per second since the start. */
double cadre_progress_rate(const struct cadre_progress *progress, uint64_t done);

#endif
