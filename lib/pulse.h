/*
 * pulse.h - how busy the workers are, felt once a second by the supervisor.
 *
 * A reader that comes once cannot tell a rate, and one that averages over all time misses
 * the second in which everything was full. So the supervisor looks at the sums of each
 * place once a second and writes beside them what happened in between: utilisation and
 * jobs per second of the last second, means that forget, and the highest second of all.
 *
 * It reads what workers write and writes its own lines only; where they end is counters.def
 * (load_..., rate_...). A successor goes on from what stands there.
 */
#ifndef CADRE_PULSE_H
#define CADRE_PULSE_H

#include "layout.h"

/* What a place, or the pool, had done at the last beat, and its means. */
struct cadre_pulse_point {
	bool known; /* the sums are those of the last beat */
	int64_t busy_ns;
	int64_t all_ns; /* busy, idle and blocked */
	uint64_t jobs;
	double load[2]; /* the means that forget, within 10 s and 60 s */
	double rate[2];
};

struct cadre_pulse {
	const struct cadre_view *view;
	int64_t last_ns;                  /* of the last beat; 0: there was none */
	struct cadre_pulse_point *places; /* one per worker */
	struct cadre_pulse_point pool;
};

int cadre_pulse_init(struct cadre_pulse *pulse, const struct cadre_view *view);
void cadre_pulse_fini(struct cadre_pulse *pulse);

/* Looks, if a second has passed since it last did. */
void cadre_pulse_beat(struct cadre_pulse *pulse, int64_t now_ns);

/* When the next look is due. */
static inline int64_t cadre_pulse_next_ns(const struct cadre_pulse *pulse)
{
	return pulse->last_ns + INT64_C(1000000000);
}

#endif
