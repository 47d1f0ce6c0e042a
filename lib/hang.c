/*
 * hang.c - workers that run a job without a deadline for too long, if the pool was asked to
 * mind (hang_ns).
 *
 * A job's time counts from the supervisor's own first sight of it, and only while the
 * supervisor looked: no number that stands in the segment is believed, and a step between
 * two looks counts for STEP_MOST_NS at most. So whoever was stopped (the supervisor, the
 * workers, the whole machine) is not held to have hung, and a successor begins to count
 * anew. A kill may thereby come late, and never early.
 */
#include "clock.h"
#include "supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MOST_NS (250 * CADRE_NS_PER_MS)

int cadre_hang_init(struct cadre_vigil *vigil, const struct cadre_view *view,
		    int64_t hang_ns)
{
	*vigil = (struct cadre_vigil){ .hang_ns = hang_ns };
	if (hang_ns == 0)
		return 0;
	vigil->sights = calloc(view->slot_count, sizeof(*vigil->sights));
	return vigil->sights ? 0 : -ENOMEM;
}

void cadre_hang_fini(struct cadre_vigil *vigil)
{
	free(vigil->sights);
	vigil->sights = NULL;
}

static bool has_deadline(const struct cadre_slot *slot)
{
	return CADRE_READ_ONCE(slot->request.with) & CADRE_WITH_DEADLINE;
}

static void look_at_slot(struct cadre_vigil *vigil, const struct cadre_view *view,
			 uint32_t number, int64_t step_ns)
{
	const struct cadre_slot *const slot = &view->slots[number];
	struct cadre_sight *const sight = &vigil->sights[number];
	const uint64_t bits = cadre_slot_look(slot);
	const struct cadre_word word = cadre_word_unpack(bits);
	/* Generation, owner and attempt: flags and outcome may come while it runs. */
	const uint64_t job = bits >> 10;

	if (word.phase != CADRE_RUNNING || has_deadline(slot) || word.owner < 1 ||
	    word.owner > view->limits.workers) {
		sight->job = 0;
		return;
	}
	if (sight->job != job) {
		*sight = (struct cadre_sight){ .job = job };
		return;
	}
	sight->watched_ns += step_ns;
	if (sight->watched_ns >= vigil->hang_ns)
		cadre_mask_set(&vigil->hung, word.owner - 1);
}

void cadre_hang_look(struct cadre_vigil *vigil, const struct cadre_view *view,
		     int64_t now_ns)
{
	const unsigned clients = view->limits.clients;
	const uint32_t slots = view->limits.slots;
	int64_t step_ns = now_ns - vigil->looked_ns;

	if (vigil->hang_ns == 0)
		return;
	if (step_ns > STEP_MOST_NS)
		step_ns = STEP_MOST_NS;
	vigil->looked_ns = now_ns;
	memset(&vigil->hung, 0, sizeof(vigil->hung));
	for (unsigned window = 0;
	     (window = cadre_mask_next(&view->header->leased, window, clients)) < clients;
	     window++) {
		for (uint32_t index = 0; index < slots; index++)
			look_at_slot(vigil, view, window * slots + index, step_ns);
	}
}
