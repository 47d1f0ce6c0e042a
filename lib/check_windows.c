/*
 * check_windows.c - what a slot may hold, and whether the sums of a window add up: every job
 * that was accepted has ended, or is in flight. Who looks after a job is the business of
 * check_jobs.c.
 */
#include "check.h"

#include <stdio.h>

#define STILL_TRIES 64

/* ---- one slot, standing still ---- */

static uint64_t sum_of(const uint64_t ended[CADRE_OUTCOME_COUNT])
{
	uint64_t sum = 0;

	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
		sum += ended[outcome];
	return sum & CADRE_GENERATION_MAX;
}

/* The head first: it never passes a tail that is read later. */
static void read_stream(const struct cadre_check *check, struct cadre_still *still)
{
	uint64_t size;
	const struct cadre_stream *const stream = cadre_view_stream(&check->view,
								    still->number,
								    still->bits, &size);

	still->has_stream = stream && still->has_request;
	if (!still->has_stream)
		return;
	/* I4 as well, pairs with I3: the tail that is read next is no older than the one that the
	 * reader had seen when it wrote the head. */
	still->head = atomic_load_explicit(&stream->head, memory_order_acquire);
	still->tail = atomic_load_explicit(&stream->tail, memory_order_relaxed);
}

/* Reads word, books, fields, and the word again. False when that changed each time. */
static bool read_still(const struct cadre_check *check, uint32_t number,
		       struct cadre_still *ret_still)
{
	const struct cadre_slot *const slot = &check->view.slots[number];
	const struct cadre_books *const books = &check->view.books[number];
	uint64_t length;

	ret_still->number = number;
	for (unsigned tries = 0; tries < STILL_TRIES; tries++) {
		ret_still->bits = cadre_slot_look(slot);
		for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
			ret_still->ended[outcome] = cadre_count_read(
				&books->ended[outcome]);
		ret_still->submitted_ns = CADRE_READ_ONCE(slot->request.submitted_ns);
		ret_still->taken_ns = cadre_view_taken_ns(&check->view, number,
							  ret_still->bits);
		ret_still->length = CADRE_READ_ONCE(slot->request.length);
		ret_still->has_request = cadre_view_request(&check->view, number,
							    ret_still->bits, &length);
		read_stream(check, ret_still);
		/* F7, pairs with W6: all of it was read before the word is read again. Of a job
		 * in flight it is: the next request is written when that is DONE. */
		atomic_thread_fence(memory_order_acquire);
		if (cadre_slot_peek(slot) != ret_still->bits)
			continue;
		ret_still->word = cadre_word_unpack(ret_still->bits);
		ret_still->sum = sum_of(ret_still->ended);
		return true;
	}
	return false;
}

static const char *phase_name(enum cadre_phase phase)
{
	static const char *const names[] = {
		[CADRE_FREE] = "free",      [CADRE_FILLING] = "being filled",
		[CADRE_QUEUED] = "pending", [CADRE_RUNNING] = "running",
		[CADRE_DONE] = "ended",
	};

	return (unsigned)phase < CADRE_COUNT_OF(names) ? names[phase] : "?";
}

/* ---- what a slot may hold ---- */

/* Why no step writes such a word; NULL when one does. */
static const char *why_impossible(const struct cadre_check *check, struct cadre_word word)
{
	const bool in_flight = word.phase == CADRE_QUEUED || word.phase == CADRE_RUNNING;

	if (word.phase > CADRE_DONE)
		return "there is no such phase";
	if (word.owner > check->view.seat_count)
		return "its owner is no worker of this pool";
	if (word.phase == CADRE_RUNNING && word.owner == CADRE_OWNER_NONE)
		return "running without an owner";
	if ((word.phase == CADRE_FREE || word.phase == CADRE_FILLING) &&
	    (word.flags || word.outcome || word.attempt || word.owner))
		return "without a job, yet with what only a job has";
	if (word.phase == CADRE_QUEUED && word.flags & CADRE_FLAG_DECIDED)
		return "decided while it was pending";
	if (in_flight && word.outcome && !(word.flags & CADRE_FLAG_DECIDED))
		return "an outcome before it has ended";
	return NULL;
}

static void look_at_word(struct cadre_check *check, const struct cadre_still *still)
{
	const char *const why = why_impossible(check, still->word);

	if (why)
		cadre_check_suspect(check, CADRE_RULE_WORD, still->number, 0,
				    CADRE_SLOT_FORMAT ": its word %#llx cannot be: %s",
				    CADRE_SLOT_ARGUMENTS(check, still),
				    (unsigned long long)still->bits, why);
}

static bool is_booked(const struct cadre_still *still)
{
	return still->sum == still->word.generation;
}

static bool is_in_flight(const struct cadre_still *still)
{
	return still->word.phase == CADRE_QUEUED || still->word.phase == CADRE_RUNNING;
}

static void look_at_books(struct cadre_check *check, const struct cadre_still *still)
{
	if (!cadre_books_balance(still->bits, still->sum))
		cadre_check_suspect(
			check, CADRE_RULE_BOOKS, still->number, 0,
			CADRE_SLOT_FORMAT
			": %llu jobs are booked, which cannot stand beside job %llu, %s",
			CADRE_SLOT_ARGUMENTS(check, still), (unsigned long long)still->sum,
			(unsigned long long)still->word.generation,
			phase_name(still->word.phase));
	else if (is_in_flight(still) && is_booked(still))
		cadre_check_suspect(check, CADRE_RULE_BOOKS, still->number, 0,
				    CADRE_SLOT_FORMAT
				    ": job %llu is booked as ended and is still %s",
				    CADRE_SLOT_ARGUMENTS(check, still),
				    (unsigned long long)still->word.generation,
				    phase_name(still->word.phase));
}

static void look_at_request(struct cadre_check *check, const struct cadre_still *still)
{
	if (is_in_flight(still) && !still->has_request)
		cadre_check_suspect(
			check, CADRE_RULE_REQUEST, still->number, still->word.generation,
			CADRE_SLOT_FORMAT
			": the %u bytes of its request do not lie in a block of its own",
			CADRE_SLOT_ARGUMENTS(check, still), still->length);
}

/* Both move while one looks, the tail perhaps far: only a head beyond it cannot be. */
static void look_at_stream(struct cadre_check *check, const struct cadre_still *still)
{
	if (is_in_flight(still) && still->has_stream && still->head > still->tail)
		cadre_check_suspect(
			check, CADRE_RULE_STREAM, still->number, still->word.generation,
			CADRE_SLOT_FORMAT
			": %llu bytes of its stream were read, and only %llu emitted",
			CADRE_SLOT_ARGUMENTS(check, still),
			(unsigned long long)still->head, (unsigned long long)still->tail);
}

static void look_at_slot(struct cadre_check *check, const struct cadre_still *still,
			 bool leased)
{
	look_at_word(check, still);
	look_at_books(check, still);
	if (why_impossible(check, still->word))
		return;
	if (!leased && still->word.phase != CADRE_FREE)
		cadre_check_suspect(check, CADRE_RULE_UNLEASED_SLOT, still->number,
				    CADRE_JOB_OF(still),
				    CADRE_SLOT_FORMAT
				    ": %s, in a window that nobody has leased",
				    CADRE_SLOT_ARGUMENTS(check, still),
				    phase_name(still->word.phase));
	look_at_request(check, still);
	look_at_stream(check, still);
	cadre_check_job(check, still);
}

/* ---- the sums of a window ---- */

/* What one slot adds: begun says the generation, ended say books and word. */
static void count_slot(struct cadre_balance *balance, const struct cadre_still *still)
{
	const bool booked = is_booked(still);
	uint64_t withdrawn = still->ended[CADRE_WITHDRAWN];

	if (still->word.phase > CADRE_DONE)
		return;
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
		balance->jobs[outcome] += still->ended[outcome];
	if (still->word.phase == CADRE_DONE && !booked) {
		balance->jobs[still->word.outcome]++;
		withdrawn += still->word.outcome == CADRE_WITHDRAWN;
	}
	/* A request that is being filled is not accepted yet, or never will be. */
	withdrawn += still->word.phase == CADRE_FILLING && !booked;
	balance->accepted += still->word.generation - withdrawn;
	balance->in_flight += is_in_flight(still);
}

static void say_balance(const struct cadre_balance *balance, char *text, size_t size)
{
	size_t length = 0;

	for (unsigned outcome = 0; outcome < CADRE_WITHDRAWN && length < size; outcome++)
		length += (size_t)snprintf(text + length, size - length, "%s %llu + ",
					   cadre_outcome_name(outcome),
					   (unsigned long long)balance->jobs[outcome]);
	if (length < size)
		snprintf(text + length, size - length, "in flight %llu",
			 (unsigned long long)balance->in_flight);
}

static void look_at_sums(struct cadre_check *check, uint32_t window,
			 struct cadre_balance *balance)
{
	char text[300];

	for (unsigned outcome = 0; outcome < CADRE_WITHDRAWN; outcome++)
		balance->ended += balance->jobs[outcome];
	if (balance->accepted == balance->ended + balance->in_flight)
		return;
	say_balance(balance, text, sizeof(text));
	cadre_check_suspect(check, CADRE_RULE_SUMS, window, 0,
			    "window %u: accepted %llu is not %s", window,
			    (unsigned long long)balance->accepted, text);
}

static void look_at_window(struct cadre_check *check, uint32_t window)
{
	const uint32_t slots = check->view.limits.slots;
	const bool leased = cadre_mask_has(&check->view.header->leased, window);
	struct cadre_balance balance = { 0 }, *const total = &check->balance;

	for (uint32_t index = 0; index < slots; index++) {
		struct cadre_still still = { 0 };

		if (!read_still(check, window * slots + index, &still))
			continue;
		look_at_slot(check, &still, leased);
		count_slot(&balance, &still);
	}
	look_at_sums(check, window, &balance);
	total->accepted += balance.accepted;
	total->ended += balance.ended;
	total->in_flight += balance.in_flight;
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
		total->jobs[outcome] += balance.jobs[outcome];
}

void cadre_check_windows(struct cadre_check *check)
{
	for (uint32_t window = 0; window < check->view.limits.clients; window++)
		look_at_window(check, window);
}
