/*
 * rhythm.h - when is the next job going to be there, of a client that has one out at a time?
 *
 * Each look in vain takes the line of the next slot away from the client that is about to write
 * it, and a reply tells quite well when that is: the caller reads it, and calls again. So a
 * worker leaves the slot alone for as long as it takes, and looks then. How long that is it
 * learns from its looks: one that came too early adds STEP turns to the pause, one that did
 * not takes off one, so the pause settles where one look in STEP + 1 is too early (a quantile,
 * found by unequal steps: Robbins and Monro 1951). Linux's block layer polls its devices
 * likewise (hybrid polling), but sleeps for half of the mean.
 *
 * A turn is a cycle or two; no clock is read. Who needs more turns than MOST has no rhythm worth
 * following, and is left alone for the next REST jobs. Private to a thread; nothing is shared.
 */
#ifndef CADRE_RHYTHM_H
#define CADRE_RHYTHM_H

#include <stdbool.h>
#include <stdint.h>

#define CADRE_RHYTHM_STEP 8u
#define CADRE_RHYTHM_MOST 2000u /* turns: about a microsecond */
#define CADRE_RHYTHM_REST 4096u /* jobs */

/* Zero to begin with. */
struct cadre_rhythm {
	uint32_t pause; /* turns */
	uint32_t rest;  /* jobs until it is tried again */
};

/* Until the next job may be there. */
static inline void cadre_rhythm_await(const struct cadre_rhythm *rhythm)
{
	for (uint32_t turn = 0; turn < rhythm->pause; turn++)
		__asm__ volatile("" : "+r"(turn)); /* is not left out */
}

/* What the look behind it saw. */
static inline void cadre_rhythm_learn(struct cadre_rhythm *rhythm, bool was_there)
{
	if (rhythm->rest > 0) {
		rhythm->rest--;
	} else if (was_there) {
		rhythm->pause -= rhythm->pause > 0;
	} else if (rhythm->pause < CADRE_RHYTHM_MOST) {
		rhythm->pause += CADRE_RHYTHM_STEP;
	} else {
		rhythm->pause = 0;
		rhythm->rest = CADRE_RHYTHM_REST;
	}
}

#endif
