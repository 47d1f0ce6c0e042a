/*
 * check.c - does what stands in a segment fit together?
 *
 * Each look goes once over places, slots, books and blocks, and suspects whatever could not
 * stay like that. Nobody stops for it: what it sees may be the middle of somebody's step.
 * So a suspicion becomes a finding only when look after look finds the same thing wrong with
 * the same evidence, for a while that depends on what it is:
 *
 *   - what the order of steps forbids at any instant, for a tenth of a second, and only
 *     because two words cannot be read at once;
 *   - what a living supervisor or worker is about to mend, for longer than they may take.
 *     On a dead pool that is no finding: the next supervisor does it.
 *
 * Everything read here is what other processes wrote, and perhaps what a broken one
 * scribbled: each word is read once, each number is checked before it is followed, and the
 * list of suspicions has an end. It writes nothing and mends nothing.
 */
#include "clock.h"
#include "diag.h"
#include "layout.h"

#include <cadre/check.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SUSPICIONS_MAX 256
#define LOOKS_LEAST 3
#define LOOK_EVERY_NS (20 * CADRE_NS_PER_MS)
#define NEVER_NS (100 * CADRE_NS_PER_MS)
#define DUE_NS (2 * CADRE_NS_PER_S)
#define FRESH_LISTS_MAX 4
#define STILL_TRIES 64
#define PENDING_LONG_NS CADRE_NS_PER_S

enum kind {
	/* No order of steps leads there. The subject is a slot ... */
	KIND_WORD,
	KIND_BOOKS,
	KIND_REQUEST,
	KIND_STREAM,
	KIND_HOMELESS,
	KIND_OUTLIVED,
	KIND_UNLEASED_SLOT,
	/* ... a block, a place, a window, a bit of a mask, the pool. */
	KIND_BLOCK,
	KIND_TOKEN,
	KIND_WORKER_STATE,
	KIND_WORKER_BITS,
	KIND_CLIENT_STATE,
	KIND_WINDOW,
	KIND_UNLEASED_CLIENT,
	KIND_STRAY_CREW,
	KIND_STRAY_GUEST,
	KIND_STRAY_LEASE,
	KIND_POOL_STATE,
	KIND_EVENT,
	KIND_CRASH,
	KIND_KEPT,
	/* Somebody who lives is about to mend these. */
	KIND_DUE,
	KIND_WORKER_DEAD = KIND_DUE,
	KIND_WORKER_BURIED,
	KIND_WORKER_DEAD_BITS,
	KIND_CLIENT_DEAD,
	KIND_LEASE_LEFT,
	KIND_SLOT_OF_DEAD,
	KIND_WAKE_LOST,
	KIND_TOKEN_LEFT,
	KIND_EVENT_UNFINISHED,
	KIND_CRASH_UNFINISHED,
	KIND_KEPT_UNFINISHED,
};

/* Something wrong with a subject. The evidence is what must not have moved on. */
struct suspicion {
	enum kind kind;
	uint32_t subject;
	uint64_t evidence;
	bool seen; /* in the present look */
	char sentence[400];
};

struct check {
	struct cadre_view view;
	const char *pool;

	/* Of the present look. */
	int64_t now_ns;
	pid_t supervisor; /* as cadre_lock_holder says */
	bool first;       /* whatever it sees is suspicious */
	bool sleeps[CADRE_WORKERS_MAX];
	struct cadre_balance balance;
	uint32_t left_out; /* suspicions for which the list had no room */

	uint32_t count;
	struct suspicion suspicions[SUSPICIONS_MAX];
};

/* ---- suspicions ---- */

static struct suspicion *find(struct check *check, enum kind kind, uint32_t subject,
			      uint64_t evidence)
{
	for (uint32_t i = 0; i < check->count; i++) {
		struct suspicion *const suspicion = &check->suspicions[i];

		if (suspicion->subject == subject && suspicion->kind == kind &&
		    suspicion->evidence == evidence)
			return suspicion;
	}
	return NULL;
}

static struct suspicion *add(struct check *check, enum kind kind, uint32_t subject,
			     uint64_t evidence)
{
	struct suspicion *const suspicion = &check->suspicions[check->count];

	if (check->count == SUSPICIONS_MAX) {
		check->left_out++;
		return NULL;
	}
	check->count++;
	suspicion->kind = kind;
	suspicion->subject = subject;
	suspicion->evidence = evidence;
	return suspicion;
}

CADRE_PRINTF(5, 6)
static void suspect(struct check *check, enum kind kind, uint32_t subject,
		    uint64_t evidence, const char *format, ...)
{
	struct suspicion *suspicion = find(check, kind, subject, evidence);
	va_list arguments;

	if (!suspicion && check->first)
		suspicion = add(check, kind, subject, evidence);
	if (!suspicion)
		return;
	suspicion->seen = true;
	va_start(arguments, format);
	vsnprintf(suspicion->sentence, sizeof(suspicion->sentence), format, arguments);
	va_end(arguments);
}

/* Keeps those that were seen again. */
static void drop_unseen(struct check *check)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < check->count; i++) {
		if (!check->suspicions[i].seen)
			continue;
		if (kept != i)
			check->suspicions[kept] = check->suspicions[i];
		check->suspicions[kept++].seen = false;
	}
	check->count = kept;
}

static int64_t patience_ns(const struct check *check)
{
	for (uint32_t i = 0; i < check->count; i++) {
		if (check->suspicions[i].kind >= KIND_DUE)
			return DUE_NS;
	}
	return NEVER_NS;
}

/* ---- one slot, standing still ---- */

struct still {
	uint32_t number;
	struct cadre_word word;
	uint64_t bits; /* the same */
	uint64_t ended[CADRE_OUTCOME_COUNT];
	uint64_t sum;
	int64_t submitted_ns;
	int64_t taken_ns;
	uint32_t length;
	bool has_request; /* its bytes lie where they must */
	bool has_stream;  /* one that fits into its block; then */
	uint64_t head, tail;
};

static uint64_t sum_of(const uint64_t ended[CADRE_OUTCOME_COUNT])
{
	uint64_t sum = 0;

	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
		sum += ended[outcome];
	return sum & CADRE_GENERATION_MAX;
}

/* The head first: it never passes a tail that is read later. */
static void read_stream(const struct check *check, struct still *still)
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
static bool read_still(const struct check *check, uint32_t number, struct still *ret_still)
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
		ret_still->taken_ns = CADRE_READ_ONCE(slot->reply.taken_ns);
		ret_still->length = CADRE_READ_ONCE(slot->request.length);
		ret_still->has_request = cadre_view_request(&check->view, number,
							    ret_still->bits, &length);
		read_stream(check, ret_still);
		/* F7, pairs with F1: all of it was read before the word is read again. */
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

#define SLOT_FORMAT "slot %u of window %u"
#define SLOT_ARGUMENTS(check, still)                  \
	(still)->number % (check)->view.limits.slots, \
		cadre_view_window_of(&(check)->view, (still)->number)

/* ---- what a slot may hold ---- */

/* Why no step writes such a word; NULL when one does. */
static const char *why_impossible(const struct check *check, struct cadre_word word)
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

static void look_at_word(struct check *check, const struct still *still)
{
	const char *const why = why_impossible(check, still->word);

	if (why)
		suspect(check, KIND_WORD, still->number, 0,
			SLOT_FORMAT ": its word %#llx cannot be: %s",
			SLOT_ARGUMENTS(check, still), (unsigned long long)still->bits,
			why);
}

static bool is_booked(const struct still *still)
{
	return still->sum == still->word.generation;
}

static bool is_in_flight(const struct still *still)
{
	return still->word.phase == CADRE_QUEUED || still->word.phase == CADRE_RUNNING;
}

static void look_at_books(struct check *check, const struct still *still)
{
	if (!cadre_books_balance(still->bits, still->sum))
		suspect(check, KIND_BOOKS, still->number, 0,
			SLOT_FORMAT
			": %llu jobs are booked, which cannot stand beside job %llu, %s",
			SLOT_ARGUMENTS(check, still), (unsigned long long)still->sum,
			(unsigned long long)still->word.generation,
			phase_name(still->word.phase));
	else if (is_in_flight(still) && is_booked(still))
		suspect(check, KIND_BOOKS, still->number, 0,
			SLOT_FORMAT ": job %llu is booked as ended and is still %s",
			SLOT_ARGUMENTS(check, still),
			(unsigned long long)still->word.generation,
			phase_name(still->word.phase));
}

static void look_at_request(struct check *check, const struct still *still)
{
	if (is_in_flight(still) && !still->has_request)
		suspect(check, KIND_REQUEST, still->number, still->word.generation,
			SLOT_FORMAT
			": the %u bytes of its request do not lie in a block of its own",
			SLOT_ARGUMENTS(check, still), still->length);
}

/* Both move while one looks, the tail perhaps far: only a head beyond it cannot be. */
static void look_at_stream(struct check *check, const struct still *still)
{
	if (is_in_flight(still) && still->has_stream && still->head > still->tail)
		suspect(check, KIND_STREAM, still->number, still->word.generation,
			SLOT_FORMAT
			": %llu bytes of its stream were read, and only %llu emitted",
			SLOT_ARGUMENTS(check, still), (unsigned long long)still->head,
			(unsigned long long)still->tail);
}

/* ---- whether somebody looks after it ---- */

/* Evidence below is generation and owner: flags may come while one looks. */
#define JOB_OF(still) ((still)->bits >> 14)

static void look_at_owner(struct check *check, const struct still *still)
{
	const unsigned worker = still->word.owner - 1;
	const struct cadre_place *const place = &check->view.worker_places[worker];
	const enum cadre_place_state state = cadre_place_state_of(cadre_place_look(place));
	/* Relaxed: the state was read with acquire. */
	const int64_t since_ns = atomic_load_explicit(&place->since_ns,
						      memory_order_relaxed);

	if (state == CADRE_PLACE_DEAD && check->supervisor != 0)
		suspect(check, KIND_SLOT_OF_DEAD, still->number, JOB_OF(still),
			SLOT_FORMAT
			": its job runs in worker %u, which is dead, and nobody reaps it",
			SLOT_ARGUMENTS(check, still), worker);
	else if (state == CADRE_PLACE_VACANT || state == CADRE_PLACE_STARTING ||
		 state == CADRE_PLACE_WAITING || state == CADRE_PLACE_DISABLED)
		suspect(check, KIND_HOMELESS, still->number, JOB_OF(still),
			SLOT_FORMAT ": its job runs in worker %u, where nobody sits",
			SLOT_ARGUMENTS(check, still), worker);
	/* A second attempt may, for a moment, show when the first was taken. */
	else if (state == CADRE_PLACE_UP && still->word.attempt == 0 &&
		 still->taken_ns >= still->submitted_ns && still->submitted_ns > 0 &&
		 still->taken_ns < since_ns)
		suspect(check, KIND_OUTLIVED, still->number, JOB_OF(still),
			SLOT_FORMAT
			": its job was taken %lld ms before the worker %u that now sits "
			"there was started",
			SLOT_ARGUMENTS(check, still),
			(long long)((since_ns - still->taken_ns) / CADRE_NS_PER_MS),
			worker);
}

/* The lowest worker that sleeps and may take the job; the number of workers for none. */
static uint32_t find_sleeper(const struct check *check, struct cadre_word word)
{
	const uint32_t seats = check->view.seat_count;

	for (uint32_t worker = 0; worker < seats; worker++) {
		/* A guest takes nothing but what is aimed at it. */
		if (check->sleeps[worker] && ((word.owner == CADRE_OWNER_NONE &&
					       worker < check->view.limits.workers) ||
					      word.owner == worker + 1))
			return worker;
	}
	return seats;
}

/* Aimed at a worker that is not there: the supervisor ends it. */
static void look_at_target(struct check *check, const struct still *still)
{
	const unsigned seat = still->word.owner - 1;
	const enum cadre_place_state state = cadre_place_state_of(
		cadre_place_look(&check->view.worker_places[seat]));

	if (check->supervisor != 0 && state != CADRE_PLACE_STARTING &&
	    state != CADRE_PLACE_UP && state != CADRE_PLACE_DRAINING)
		suspect(check, KIND_SLOT_OF_DEAD, still->number, JOB_OF(still),
			SLOT_FORMAT
			": its job waits for worker %u, where nobody sits, and nobody ends it",
			SLOT_ARGUMENTS(check, still), seat);
}

static void look_at_pending(struct check *check, const struct still *still)
{
	const uint32_t sleeper = find_sleeper(check, still->word);
	const int64_t age_ns = still->submitted_ns > 0 &&
					       still->submitted_ns < check->now_ns ?
				       check->now_ns - still->submitted_ns :
				       0;

	if (still->word.owner != CADRE_OWNER_NONE)
		look_at_target(check, still);
	if (age_ns > PENDING_LONG_NS && sleeper < check->view.seat_count)
		suspect(check, KIND_WAKE_LOST, still->number, JOB_OF(still),
			SLOT_FORMAT
			": its job has been pending for %lld ms beside worker %u, which "
			"sleeps and does not get up",
			SLOT_ARGUMENTS(check, still),
			(long long)(age_ns / CADRE_NS_PER_MS), sleeper);
}

static void look_at_slot(struct check *check, const struct still *still, bool leased)
{
	look_at_word(check, still);
	look_at_books(check, still);
	if (why_impossible(check, still->word))
		return;
	if (!leased && still->word.phase != CADRE_FREE)
		suspect(check, KIND_UNLEASED_SLOT, still->number, JOB_OF(still),
			SLOT_FORMAT ": %s, in a window that nobody has leased",
			SLOT_ARGUMENTS(check, still), phase_name(still->word.phase));
	look_at_request(check, still);
	look_at_stream(check, still);
	if (still->word.phase == CADRE_RUNNING)
		look_at_owner(check, still);
	if (still->word.phase == CADRE_QUEUED)
		look_at_pending(check, still);
}

/* ---- windows ---- */

/* What one slot adds: begun says the generation, ended say books and word. */
static void count_slot(struct cadre_balance *balance, const struct still *still)
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

static void look_at_sums(struct check *check, uint32_t window,
			 struct cadre_balance *balance)
{
	char text[300];

	for (unsigned outcome = 0; outcome < CADRE_WITHDRAWN; outcome++)
		balance->ended += balance->jobs[outcome];
	if (balance->accepted == balance->ended + balance->in_flight)
		return;
	say_balance(balance, text, sizeof(text));
	suspect(check, KIND_WINDOW, window, 0, "window %u: accepted %llu is not %s",
		window, (unsigned long long)balance->accepted, text);
}

static void look_at_window(struct check *check, uint32_t window)
{
	const uint32_t slots = check->view.limits.slots;
	const bool leased = cadre_mask_has(&check->view.header->leased, window);
	struct cadre_balance balance = { 0 }, *const total = &check->balance;

	for (uint32_t index = 0; index < slots; index++) {
		struct still still = { 0 };

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

/* ---- blocks ---- */

static void look_at_block(struct check *check, uint32_t block)
{
	const struct cadre_view *const view = &check->view;
	/* B5: acquire, pairs with B4: a slot gets its generation before one of its blocks does,
	 * and so the generation that is read next is not smaller. */
	const uint64_t owner = atomic_load_explicit(&view->block_owners[block].word,
						    memory_order_acquire);
	const uint64_t number = (owner >> 40) - 1;
	const uint64_t generation = owner & CADRE_GENERATION_MAX;
	uint64_t bits;

	/* The rule stands in block.h. */
	if (owner >> 40 == 0 || number >= view->slot_count)
		return;
	bits = cadre_slot_look(&view->slots[number]);
	if (cadre_word_generation(bits) > generation ||
	    (cadre_word_generation(bits) == generation &&
	     cadre_word_phase(bits) == CADRE_FREE))
		return;
	check->balance.blocks_used++;
	if (cadre_word_generation(bits) < generation)
		suspect(check, KIND_BLOCK, block, owner,
			"block %u: it belongs to job %llu of slot %u of window %u, which is "
			"only at job %llu",
			block, (unsigned long long)generation,
			(unsigned)number % view->limits.slots,
			cadre_view_window_of(view, (uint32_t)number),
			(unsigned long long)cadre_word_generation(bits));
}

/* ---- places ---- */

/* True only when that is certain. A place whose word names nobody says nothing. */
static bool is_gone(const struct cadre_place *place)
{
	const struct cadre_identity who = cadre_place_who(place);
	int pidfd;

	if (who.pid <= 0)
		return false;
	pidfd = cadre_process_open(who);
	if (pidfd >= 0)
		close(pidfd);
	return pidfd == -ESRCH;
}

/* Only who sees the supervisor's pid can tell by a pid who lives in its pool. */
static bool sees_processes(const struct check *check)
{
	return check->supervisor > 0;
}

static void look_at_crew_bits(struct check *check, uint32_t worker, uint64_t bits)
{
	const struct cadre_crew *const crew = cadre_view_crew(&check->view, worker);
	const enum cadre_place_state state = cadre_place_state_of(bits);
	const bool up = cadre_mask_has(&crew->up, worker);
	const bool asleep = cadre_mask_has(&crew->sleepers, worker);
	const bool engaged = cadre_mask_has(&crew->engaged, worker);

	if ((!up && !asleep && !engaged) || state == CADRE_PLACE_UP ||
	    state == CADRE_PLACE_DRAINING ||
	    (state == CADRE_PLACE_DEAD && check->supervisor == 0))
		return;
	suspect(check,
		state == CADRE_PLACE_DEAD ? KIND_WORKER_DEAD_BITS : KIND_WORKER_BITS,
		worker, bits, "worker %u: nobody sits there who could be%s%s%s", worker,
		up ? " up" : "", asleep ? " asleep" : "", engaged ? " engaged" : "");
}

static void look_at_worker(struct check *check, uint32_t worker)
{
	const struct cadre_place *const place = &check->view.worker_places[worker];
	const uint64_t bits = cadre_place_look(place);
	const enum cadre_place_state state = cadre_place_state_of(bits);
	const int pid = cadre_place_pid_of(bits);
	const bool occupied = state == CADRE_PLACE_UP || state == CADRE_PLACE_DRAINING;
	const bool gone = occupied && sees_processes(check) && is_gone(place);

	check->sleeps[worker] =
		state == CADRE_PLACE_UP &&
		cadre_mask_has(&cadre_view_crew(&check->view, worker)->sleepers, worker) &&
		!gone && !(check->supervisor == 0 && is_gone(place));
	if ((unsigned)state >= CADRE_PLACE_STATES)
		suspect(check, KIND_WORKER_STATE, worker, bits,
			"worker %u: state %u of its place cannot be", worker,
			(unsigned)state);
	else if (state == CADRE_PLACE_UP && pid <= 0)
		suspect(check, KIND_WORKER_STATE, worker, bits,
			"worker %u: it is up, and its place names no process", worker);
	else if (gone)
		suspect(check, KIND_WORKER_DEAD, worker, bits,
			"worker %u (pid %d) is dead, and the supervisor (pid %d) has not "
			"reaped it",
			worker, pid, (int)check->supervisor);
	else if (state == CADRE_PLACE_DEAD && check->supervisor != 0)
		suspect(check, KIND_WORKER_BURIED, worker, bits,
			"worker %u (pid %d) is dead, and its reaping does not come to an end",
			worker, pid);
	look_at_crew_bits(check, worker, bits);
}

static void look_at_client(struct check *check, uint32_t client)
{
	const struct cadre_place *const place = &check->view.client_places[client];
	const uint64_t bits = cadre_place_look(place);
	const enum cadre_place_state state = cadre_place_state_of(bits);
	const int pid = cadre_place_pid_of(bits);
	const bool leased = cadre_mask_has(&check->view.header->leased, client);

	if (state != CADRE_PLACE_VACANT && state != CADRE_PLACE_UP &&
	    state != CADRE_PLACE_DRAINING)
		suspect(check, KIND_CLIENT_STATE, client, bits,
			"window %u: state %u of its client's place cannot be", client,
			(unsigned)state);
	else if (state == CADRE_PLACE_UP && pid <= 0)
		suspect(check, KIND_CLIENT_STATE, client, bits,
			"window %u: its client is up, and its place names no process",
			client);
	else if (state == CADRE_PLACE_UP && !leased)
		suspect(check, KIND_UNLEASED_CLIENT, client, bits,
			"window %u: its client (pid %d) is up, and it is not leased, so no "
			"worker looks there",
			client, pid);
	else if (state == CADRE_PLACE_UP && sees_processes(check) && is_gone(place))
		suspect(check, KIND_CLIENT_DEAD, client, bits,
			"window %u: its client (pid %d) is dead, and the supervisor (pid %d) "
			"has not noticed",
			client, pid, (int)check->supervisor);
	else if (state == CADRE_PLACE_VACANT && leased && check->supervisor != 0)
		suspect(check, KIND_LEASE_LEFT, client, bits,
			"window %u: it is leased, and its client's place is vacant",
			client);
}

/* ---- tokens ---- */

/* One that nobody owns any more is released by the reaper of its client, at the latest. */
static void look_at_token(struct check *check, uint32_t index)
{
	const struct cadre_view *const view = &check->view;
	/* O2, pairs with O1: its maker was UP then, and so a place that is read next as vacant
	 * has been left since. */
	const uint64_t bits = atomic_load_explicit(&view->tokens.cells[index].word,
						   memory_order_acquire);
	const struct cadre_token_word word = cadre_token_unpack(bits);

	if (word.phase == CADRE_TOKEN_VACANT)
		return;
	if (word.phase > CADRE_TOKEN_TIMED_OUT || word.owner >= view->limits.clients) {
		suspect(check, KIND_TOKEN, index, bits,
			"token %u: phase %u of client %u cannot be", index,
			(unsigned)word.phase, word.owner);
		return;
	}
	if (!word.released && check->supervisor != 0 &&
	    cadre_place_state_of(cadre_place_look(&view->client_places[word.owner])) ==
		    CADRE_PLACE_VACANT)
		suspect(check, KIND_TOKEN_LEFT, index, bits,
			"token %u: it belongs to client %u, which is gone", index,
			word.owner);
}

/* ---- the pool ---- */

static bool has_bit(const struct cadre_crew *crew, unsigned bit)
{
	return cadre_mask_has(&crew->up, bit) || cadre_mask_has(&crew->sleepers, bit) ||
	       cadre_mask_has(&crew->engaged, bit);
}

static void look_at_stray_bits(struct check *check)
{
	const struct cadre_header *const header = check->view.header;

	for (unsigned bit = 0; bit < CADRE_MASK_BITS; bit++) {
		if (bit >= check->view.limits.workers && has_bit(&header->crew, bit))
			suspect(check, KIND_STRAY_CREW, bit, 0,
				"the masks of the crew name worker %u of %u", bit,
				check->view.limits.workers);
		if ((bit < check->view.limits.workers || bit >= check->view.seat_count) &&
		    has_bit(&header->guests, bit))
			suspect(check, KIND_STRAY_GUEST, bit, 0,
				"the masks of local workers name place %u, which is not theirs",
				bit);
	}
	for (unsigned bit = check->view.limits.clients; bit < CADRE_MASK_BITS; bit++) {
		if (cadre_mask_has(&header->leased, bit))
			suspect(check, KIND_STRAY_LEASE, bit, 0,
				"the mask of leases names window %u of %u", bit,
				check->view.limits.clients);
	}
}

/* ---- events, crashes, kept requests ---- */

/* The kind of an unfinished one follows that of an impossible one in the same order. */
static void look_at_annals(struct check *check, const struct cadre_annals *annals,
			   enum kind impossible, const char *what)
{
	const enum kind unfinished = impossible + KIND_EVENT_UNFINISHED - KIND_EVENT;

	for (uint32_t place = 0; place < annals->count; place++) {
		switch (cadre_annals_look(annals, place)) {
		case CADRE_ANNALS_FINE:
			break;
		case CADRE_ANNALS_UNFINISHED:
			/* Of a dead pool the next supervisor writes over it. */
			if (check->supervisor != 0)
				suspect(check, unfinished, place, 0,
					"%s %u: it is being written and is not finished",
					what, place);
			break;
		case CADRE_ANNALS_IMPOSSIBLE:
			suspect(check, impossible, place, 0,
				"%s %u: its sequence cannot be, beside what was written",
				what, place);
			break;
		}
	}
}

/* Records that stand must hold what can be shown. */
static void look_at_events(struct check *check)
{
	const struct cadre_annals *const events = &check->view.events;
	const struct cadre_annals_span span = cadre_annals_span(events);
	struct cadre_event event;

	look_at_annals(check, events, KIND_EVENT, "place of events");
	look_at_annals(check, &check->view.crashes, KIND_CRASH, "place of crashes");
	look_at_annals(check, &check->view.kept, KIND_KEPT, "place of kept requests");
	for (uint64_t number = span.from; number != span.to; number++) {
		if (cadre_annals_read(events, number, &event, sizeof(event)) &&
		    !cadre_event_bound(&event))
			suspect(check, KIND_EVENT, (uint32_t)(number % events->count), 1,
				"event %llu: there is no kind %u",
				(unsigned long long)number, event.kind);
	}
}

static void look_at_header(struct check *check)
{
	/* Relaxed: it says something by itself. */
	const uint32_t state = atomic_load_explicit(&check->view.header->state,
						    memory_order_relaxed);

	if (state >= CADRE_POOL_STATES)
		suspect(check, KIND_POOL_STATE, 0, 0, "state %u of the pool cannot be",
			state);
	look_at_stray_bits(check);
}

static void look(struct check *check, bool first)
{
	check->first = first;
	check->left_out = 0;
	check->now_ns = cadre_clock_ns();
	check->supervisor = cadre_lock_holder(check->pool);
	check->balance = (struct cadre_balance){
		.slots = check->view.slot_count,
		.blocks = check->view.plan.total,
		.alive = check->supervisor != 0,
	};
	look_at_header(check);
	/* Workers first: who sleeps matters to the slots. */
	for (uint32_t worker = 0; worker < check->view.seat_count; worker++)
		look_at_worker(check, worker);
	for (uint32_t client = 0; client < check->view.limits.clients; client++)
		look_at_client(check, client);
	for (uint32_t window = 0; window < check->view.limits.clients; window++)
		look_at_window(check, window);
	for (uint32_t block = 0; block < check->view.plan.total; block++)
		look_at_block(check, block);
	for (uint32_t index = 0; index < check->view.tokens.count; index++)
		look_at_token(check, index);
	look_at_events(check);
	drop_unseen(check);
}

/* Looks until what is suspicious has been so for long enough. Returns how much found no
 * room in the list. */
static uint32_t look_for_long(struct check *check)
{
	const struct timespec nap = cadre_clock_timespec(LOOK_EVERY_NS);
	const int64_t begin_ns = cadre_clock_ns();
	uint32_t left_out;

	look(check, true);
	left_out = check->left_out;
	for (unsigned looks = 1; check->count > 0; looks++) {
		if (looks >= LOOKS_LEAST &&
		    cadre_clock_ns() - begin_ns >= patience_ns(check))
			break;
		nanosleep(&nap, NULL);
		look(check, false);
	}
	return left_out;
}

/* A list that was full, and none of which was true, kept others out: a fresh one. */
static uint32_t look_at_all(struct check *check)
{
	uint32_t left_out = 0;

	for (unsigned list = 0; list < FRESH_LISTS_MAX; list++) {
		left_out = look_for_long(check);
		if (left_out == 0 || check->count > 0)
			break;
	}
	return left_out;
}

static int tell(const struct check *check, uint32_t left_out, cadre_notice_fn *finding,
		void *context)
{
	char sentence[100];

	for (uint32_t i = 0; finding && i < check->count; i++)
		finding(check->suspicions[i].sentence, context);
	if (left_out == 0)
		return (int)check->count;
	snprintf(sentence, sizeof(sentence),
		 "%u more things looked wrong and were not looked at again", left_out);
	if (finding)
		finding(sentence, context);
	return (int)check->count + 1;
}

int cadre_check_balance(const char *pool, struct cadre_balance *ret_balance,
			cadre_notice_fn *finding, void *context, struct cadre_diag *diag)
{
	struct check *const check = calloc(1, sizeof(*check));
	uint32_t left_out;
	int r;

	if (!check)
		return cadre_refuse(diag, -ENOMEM,
				    "cannot check pool \"%s\": no memory left", pool);
	r = cadre_layout_open(pool, false, &check->view, diag);
	if (r < 0) {
		free(check);
		return r;
	}
	check->pool = pool;
	left_out = look_at_all(check);
	r = tell(check, left_out, finding, context);
	if (ret_balance)
		*ret_balance = check->balance;
	cadre_layout_close(&check->view);
	free(check);
	return r;
}

int cadre_check(const char *pool, cadre_notice_fn *finding, void *context,
		struct cadre_diag *diag)
{
	return cadre_check_balance(pool, NULL, finding, context, diag);
}
