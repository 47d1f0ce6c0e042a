/*
 * check_records.c - events, crashes and kept requests: rings of records that are written in
 * steps, so that each is whole, or says that it is not.
 */
#include "check.h"

/* The rule of an unfinished one follows that of an impossible one in the same order. */
static void look_at_annals(struct cadre_check *check, const struct cadre_annals *annals,
			   enum cadre_rule impossible, const char *what)
{
	const enum cadre_rule unfinished = impossible + CADRE_RULE_EVENT_UNFINISHED -
					   CADRE_RULE_EVENT;

	for (uint32_t place = 0; place < annals->count; place++) {
		switch (cadre_annals_look(annals, place)) {
		case CADRE_ANNALS_FINE:
			break;
		case CADRE_ANNALS_UNFINISHED:
			/* Of a dead pool the next supervisor writes over it. */
			if (check->supervisor != 0)
				cadre_check_suspect(
					check, unfinished, place, 0,
					"%s %u: it is being written and is not finished",
					what, place);
			break;
		case CADRE_ANNALS_IMPOSSIBLE:
			cadre_check_suspect(
				check, impossible, place, 0,
				"%s %u: its sequence cannot be, beside what was written",
				what, place);
			break;
		}
	}
}

/* Records that stand must hold what can be shown. */
void cadre_check_records(struct cadre_check *check)
{
	const struct cadre_annals *const events = &check->view.events;
	const struct cadre_annals_span span = cadre_annals_span(events);
	struct cadre_event event;

	look_at_annals(check, events, CADRE_RULE_EVENT, "place of events");
	look_at_annals(check, &check->view.crashes, CADRE_RULE_CRASH, "place of crashes");
	look_at_annals(check, &check->view.kept, CADRE_RULE_KEPT,
		       "place of kept requests");
	for (uint64_t number = span.from; number != span.to; number++) {
		if (cadre_annals_read(events, number, &event, sizeof(event)) &&
		    !cadre_event_bound(&event))
			cadre_check_suspect(check, CADRE_RULE_EVENT,
					    (uint32_t)(number % events->count), 1,
					    "event %llu: there is no kind %u",
					    (unsigned long long)number, event.kind);
	}
}
