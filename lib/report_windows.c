/*
 * report_windows.c - what the slots say: jobs pending, running and ended, window by window,
 * and what burdens each worker.
 */
#include "process.h"
#include "report.h"

#include <stdio.h>

/* ---- slots, books, windows ---- */

/* Does what was read of the slot belong to the job of that word, which was in flight? The next
 * one's request is written while this one is DONE, still with its generation. */
static bool is_still_in_flight(const struct cadre_slot *slot, uint64_t word)
{
	uint64_t now;

	/* F7, pairs with W6: the fields were read before the word is read again. */
	atomic_thread_fence(memory_order_acquire);
	now = cadre_slot_peek(slot);
	return cadre_word_generation(now) == cadre_word_generation(word) &&
	       (cadre_word_phase(now) == CADRE_QUEUED ||
		cadre_word_phase(now) == CADRE_RUNNING);
}

static void note_pending(struct cadre_report *report, const struct cadre_slot *slot,
			 uint64_t word)
{
	const int64_t age_ns =
		cadre_report_since(report, CADRE_READ_ONCE(slot->request.submitted_ns));

	if (!is_still_in_flight(slot, word))
		return;
	if (age_ns > report->pool.oldest_pending_ns)
		report->pool.oldest_pending_ns = age_ns;
}

static void note_running(struct cadre_report *report, uint32_t number, uint64_t word)
{
	const struct cadre_slot *const slot = &report->view.slots[number];
	const unsigned owner = cadre_word_unpack(word).owner;
	const int64_t submitted_ns = CADRE_READ_ONCE(slot->request.submitted_ns);
	const int64_t taken_ns = cadre_view_taken_ns(&report->view, number, word);
	const bool has_deadline = CADRE_READ_ONCE(slot->request.with) &
				  CADRE_WITH_DEADLINE;
	const int64_t deadline_ns = CADRE_READ_ONCE(slot->request.deadline_ns);
	const int32_t operation = CADRE_READ_ONCE(slot->request.operation);
	struct cadre_burden *burden;
	int64_t running_ns;

	if (!is_still_in_flight(slot, word))
		return;
	if (owner == CADRE_OWNER_NONE || owner > report->view.seat_count)
		return;
	burden = &report->burdens[owner - 1];

	if (has_deadline && cadre_report_since(report, deadline_ns) > 0)
		burden->overdue = true;
	/* A local worker's operations are not those of the pool. */
	if (owner <= report->view.limits.workers)
		cadre_report_count_operation(report, operation)->running++;
	/* A job cannot be taken before it was submitted: what stands there is left from the
	 * job before, and this one was taken a moment ago. */
	running_ns = taken_ns >= submitted_ns ? cadre_report_since(report, taken_ns) : 0;
	if (running_ns > burden->running_ns)
		burden->running_ns = running_ns;
	if (running_ns > report->pool.oldest_running_ns)
		report->pool.oldest_running_ns = running_ns;
}

/* A job that has ended and waits to be taken by its client is not in the books yet. The
 * word was read before them, so it is not counted twice. */
static void note_done(struct cadre_client_snapshot *client,
		      const struct cadre_books *books, uint64_t word)
{
	const uint64_t booked = (cadre_books_sum(books) + 1) & CADRE_GENERATION_MAX;

	if (booked != cadre_word_generation(word))
		return;
	client->slots_used++;
	cadre_report_add(&client->jobs[cadre_word_unpack(word).outcome], 1);
}

static void read_slot(struct cadre_report *report, struct cadre_client_snapshot *client,
		      uint32_t number)
{
	const struct cadre_slot *const slot = &report->view.slots[number];
	const struct cadre_books *const books = &report->view.books[number];
	const uint64_t word = cadre_slot_look(slot);

	switch (cadre_word_phase(word)) {
	case CADRE_FREE:
		break;
	case CADRE_QUEUED:
		client->slots_used++;
		client->queued++;
		note_pending(report, slot, word);
		break;
	case CADRE_RUNNING:
		client->slots_used++;
		client->running++;
		note_running(report, number, word);
		break;
	case CADRE_DONE:
		note_done(client, books, word);
		break;
	default: /* FILLING, impossible: no job. */
		client->slots_used++;
		break;
	}
}

static void read_window(struct cadre_report *report, uint32_t window,
			struct cadre_client_snapshot *client)
{
	const struct cadre_view *const view = &report->view;
	const bool leased = cadre_mask_has(&view->header->leased, window);

	for (uint32_t i = 0; i < view->limits.slots; i++) {
		const uint32_t slot = window * view->limits.slots + i;

		/* In a window without a lease every slot is FREE; its books remain. */
		if (leased)
			read_slot(report, client, slot);
		for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
			cadre_report_add(&client->jobs[outcome],
					 cadre_count_read(
						 &view->books[slot].ended[outcome]));
	}
}

/* ---- clients ---- */

static const char *client_state(enum cadre_place_state state, bool left_behind)
{
	switch (state) {
	case CADRE_PLACE_VACANT:
		return "vacant";
	case CADRE_PLACE_STARTING:
		return "starting";
	case CADRE_PLACE_UP:
		return left_behind ? "gone" : "up";
	case CADRE_PLACE_DRAINING:
		return "draining";
	case CADRE_PLACE_DEAD:
		return "dead";
	default:
		return "?";
	}
}

void cadre_report_read_window(struct cadre_report *report, uint32_t window)
{
	const struct cadre_place *const place = &report->view.client_places[window];
	const uint64_t bits = cadre_place_look(place);
	const enum cadre_place_state state = cadre_place_state_of(bits);
	struct cadre_client_snapshot client = { .place = window };
	bool left_behind;

	static_assert(CADRE_WITHDRAWN == CADRE_OUTCOME_COUNT - 1,
		      "all others were accepted");
	read_window(report, window, &client);
	client.submitted = client.queued + client.running;
	for (unsigned outcome = 0; outcome < CADRE_WITHDRAWN; outcome++)
		cadre_report_add(&client.submitted, client.jobs[outcome]);

	cadre_report_add(&report->pool.submitted, client.submitted);
	report->pool.queue_length += client.queued;
	report->pool.in_flight += client.queued + client.running;
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
		cadre_report_add(&report->pool.jobs[outcome], client.jobs[outcome]);

	if (cadre_place_incarnation_of(bits) == 0)
		return;
	left_behind = state == CADRE_PLACE_UP &&
		      cadre_report_is_left_behind(report, place);
	snprintf(client.state, sizeof(client.state), "%s",
		 client_state(state, left_behind));
	if (state != CADRE_PLACE_VACANT)
		client.pid = cadre_place_who(place).pid;
	report->pool.clients += state == CADRE_PLACE_UP && !left_behind;
	report->pool.windows_full += client.slots_used == report->view.limits.slots;
	CADRE_READ_COUNTERS(client.counters, &report->view.client_lines[window].counters);
	report->clients[report->pool.client_count++] = client;
}
