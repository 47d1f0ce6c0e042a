#include "fate.h"
#include "trouble.h"

#include <string.h>

#define BIT(outcome) (1u << (outcome))
#define RETRIES 3u /* of an idempotent job, when it does not say */

static bool is_away(unsigned owner)
{
	return owner >= 1 && owner <= WORLD_WORKERS && world.worker_away[owner - 1];
}

/* How it ends when a handler gets it. */
static unsigned deserved(uint32_t number)
{
	return world.view.slots[number].request.operation == WORLD_FAIL ?
		       BIT(CADRE_FAILED) :
		       BIT(CADRE_OK);
}

static void tell_queued(struct fate *fate, uint32_t number, bool orphan, bool frozen)
{
	fate->outcomes = orphan ? BIT(CADRE_CANCELLED) : deserved(number);
	/* Before a supervisor that is frozen comes to cancel it, somebody may run it. */
	if (orphan && frozen)
		fate->outcomes |= deserved(number);
	fate->runs_least = orphan ? 0 : 1;
	fate->runs_most = orphan && !frozen ? 0 : 1;
}

static void tell_running(struct fate *fate, uint32_t number, struct cadre_word word,
			 bool orphan, bool frozen, bool owner_lives)
{
	const bool idempotent = word.flags & CADRE_FLAG_IDEMPOTENT;
	const bool deadly = world.view.slots[number].request.faults >= CADRE_FAULTS_MAX;
	const bool again = idempotent && !deadly && word.attempt < RETRIES;

	if (word.flags & CADRE_FLAG_DECIDED) {
		fate->outcomes = BIT(word.outcome);
		/* Its handler may not have started yet. */
		fate->runs_most = owner_lives;
		return;
	}
	if (owner_lives) {
		fate->outcomes = orphan ? BIT(CADRE_CANCELLED) : deserved(number);
		if (orphan && frozen)
			fate->outcomes |= deserved(number);
		fate->runs_most = 1;
		return;
	}
	/* Who may run it twice does: its worker is dead. */
	fate->attempts = 1u << (word.attempt + 1);
	fate->runs_least = again && !orphan;
	fate->runs_most = again && !orphan;
	fate->outcomes = again                ? deserved(number) :
			 idempotent && deadly ? BIT(CADRE_REFUSED) :
						BIT(CADRE_LOST);
	if (orphan)
		fate->outcomes = BIT(CADRE_CANCELLED) | BIT(CADRE_LOST);
}

static void tell_slot(struct fate *fate, uint32_t number,
		      const struct operation *operation, bool frozen)
{
	const uint64_t bits = cadre_slot_peek(&world.view.slots[number]);
	const struct cadre_word word = cadre_word_unpack(bits);
	const unsigned window = cadre_view_window_of(&world.view, number);
	const bool acts = frozen && operation->subject == SUBJECT_CLIENT && window == 0;
	const bool owner_lives = !is_away(word.owner) ||
				 (frozen && operation->subject == SUBJECT_WORKER);
	const bool orphan = world.client_away[window] && !acts &&
			    !(word.flags & CADRE_FLAG_DETACHED);

	*fate = (struct fate){ .generation = word.generation,
			       .attempts = 1u << word.attempt };
	for (unsigned i = 0; i < CADRE_OUTCOME_COUNT; i++)
		fate->ended[i] = world.view.books[number].ended[i];
	fate->booked = cadre_books_sum(&world.view.books[number]) == word.generation;
	fate->open = acts && word.phase != CADRE_QUEUED && word.phase != CADRE_RUNNING;

	if (word.phase == CADRE_FILLING)
		fate->outcomes = BIT(CADRE_WITHDRAWN);
	else if (word.phase == CADRE_DONE)
		fate->outcomes = BIT(word.outcome);
	else if (word.phase == CADRE_QUEUED)
		tell_queued(fate, number, orphan, frozen);
	else if (word.phase == CADRE_RUNNING)
		tell_running(fate, number, word, orphan, frozen, owner_lives);
	/* What a supervisor does it may have done to some when it dies. */
	if ((frozen || operation->subject == SUBJECT_SUPERVISOR) &&
	    word.phase != CADRE_DONE)
		fate->outcomes |= operation->outcomes;
	if (fate->outcomes & (BIT(CADRE_CANCELLED) | BIT(CADRE_LOST) |
			      BIT(CADRE_TERMINATED) | BIT(CADRE_WITHDRAWN)))
		fate->runs_least = 0;
}

struct fates fates_tell(const struct operation *operation, bool frozen)
{
	struct fates fates;

	memset(world_ledger->runs, 0, sizeof(world_ledger->runs));
	memset(world_ledger->attempts, 0, sizeof(world_ledger->attempts));

	for (uint32_t number = 0; number < WORLD_SLOTS_ALL; number++)
		tell_slot(&fates.slots[number], number, operation, frozen);
	for (unsigned worker = 0; worker < WORLD_WORKERS; worker++)
		fates.worker_rings[worker] = world.view.worker_bells[worker].rings;
	for (unsigned client = 0; client < WORLD_CLIENTS; client++)
		fates.client_rings[client] = world.view.client_bells[client].rings;
	return fates;
}

/* ---- images ---- */

/* What is yet to be run, or runs, has the block of its request for itself. */
static void check_request(uint32_t number, uint64_t word)
{
	const enum cadre_phase phase = cadre_word_phase(word);
	uint64_t length;

	if ((phase == CADRE_QUEUED || phase == CADRE_RUNNING) &&
	    !cadre_view_request(&world.view, number, word, &length))
		complain("slot %u: the block of its request is another job's", number);
}

void fates_check_image(void)
{
	for (uint32_t number = 0; number < WORLD_SLOTS_ALL; number++) {
		const uint64_t word = cadre_slot_peek(&world.view.slots[number]);
		const uint64_t sum = cadre_books_sum(&world.view.books[number]);

		if (cadre_word_phase(word) > CADRE_DONE)
			complain("slot %u: phase %d cannot be", number,
				 cadre_word_phase(word));
		check_request(number, word);
		if (!cadre_books_balance(word, sum))
			complain("slot %u: word %#llx beside books of %llu", number,
				 (unsigned long long)word, (unsigned long long)sum);
	}
}

void fates_check_step(const struct fates *before)
{
	for (uint32_t number = 0; number < WORLD_SLOTS_ALL; number++) {
		const struct fate *const was = &before->slots[number];
		const uint64_t word = cadre_slot_peek(&world.view.slots[number]);
		uint64_t more = 0;

		if (cadre_word_generation(word) - was->generation > 1)
			complain("slot %u: from generation %llu to word %#llx", number,
				 (unsigned long long)was->generation,
				 (unsigned long long)word);
		for (unsigned i = 0; i < CADRE_OUTCOME_COUNT; i++)
			more += world.view.books[number].ended[i] - was->ended[i];
		if (more > 1)
			complain("slot %u: %llu outcomes were booked at once", number,
				 (unsigned long long)more);
	}
}

/* ---- after recovery ---- */

static bool is_anything_pending(void)
{
	for (uint32_t number = 0; number < WORLD_SLOTS_ALL; number++) {
		if (cadre_word_phase(cadre_slot_peek(&world.view.slots[number])) ==
		    CADRE_QUEUED)
			return true;
	}
	return false;
}

/* Its waiter remembered the bell before the image: it sleeps unless it was rung since. */
static void check_waiter(const struct fates *fates, uint32_t number, bool supervisor_died)
{
	const uint64_t bits = cadre_slot_peek(&world.view.slots[number]);
	const struct cadre_word word = cadre_word_unpack(bits);
	const unsigned window = cadre_view_window_of(&world.view, number);
	const bool ended = (word.phase == CADRE_DONE || word.flags & CADRE_FLAG_DECIDED) &&
			   !cadre_slot_is_vacant(bits, &world.view.books[number]);

	if (!ended || !(word.flags & CADRE_FLAG_WAITING) || world.client_away[window] ||
	    (!is_away(word.owner) && !supervisor_died))
		return;
	if (world.view.client_bells[window].rings == fates->client_rings[window])
		complain("slot %u has ended, and its waiter was not rung for", number);
}

static void check_worker(const struct fates *fates, unsigned worker, bool pending)
{
	const struct cadre_crew *const crew = &world.view.header->crew;
	const enum cadre_place_state state = cadre_place_state_of(
		cadre_place_look(&world.view.worker_places[worker]));

	if (!world.worker_away[worker]) {
		if (pending && cadre_mask_has(&crew->sleepers, worker) &&
		    world.view.worker_bells[worker].rings == fates->worker_rings[worker])
			complain("a job is pending beside worker %u, which sleeps",
				 worker);
		return;
	}
	if (cadre_mask_has(&crew->up, worker) || cadre_mask_has(&crew->sleepers, worker) ||
	    cadre_mask_has(&crew->engaged, worker))
		complain("the crew still counts on worker %u, which is dead", worker);
	if (state != CADRE_PLACE_VACANT && state != CADRE_PLACE_WAITING)
		complain("the place of worker %u, which is dead, is in state %d", worker,
			 (int)state);
}

void fates_check_sleepers(const struct fates *fates)
{
	const bool pending = is_anything_pending();

	for (unsigned worker = 0; worker < WORLD_WORKERS; worker++) {
		if (!world.worker_away[worker])
			check_worker(fates, worker, pending);
	}
}

void fates_check_recovery(const struct fates *fates, bool supervisor_died)
{
	const bool pending = is_anything_pending();

	for (uint32_t number = 0; number < WORLD_SLOTS_ALL; number++) {
		const struct cadre_word word = cadre_word_unpack(
			cadre_slot_peek(&world.view.slots[number]));

		if (word.phase == CADRE_RUNNING && is_away(word.owner))
			complain("slot %u still runs in worker %u, which is dead", number,
				 word.owner - 1);
		check_waiter(fates, number, supervisor_died);
	}
	for (unsigned worker = 0; worker < WORLD_WORKERS; worker++)
		check_worker(fates, worker, pending);
}

/* ---- at the end ---- */

/* Whoever was refused is kept, and told of, once. */
static void check_refusal(uint32_t number, uint64_t generation)
{
	const uint64_t job = generation * WORLD_SLOTS_ALL + number;
	const struct cadre_annals_span span = cadre_annals_span(&world.view.kept);
	struct cadre_kept kept;
	unsigned found = 0;

	for (uint64_t id = span.from; id != span.to; id++)
		found += cadre_kept_read(&world.view.kept, id, &kept, NULL) &&
			 kept.job == job;
	if (found != 1)
		complain("slot %u was refused, and its request is kept %u times", number,
			 found);
	if (!cadre_event_knows_job(&world.view.events, CADRE_EVENT_job_refused, job))
		complain("slot %u was refused, and no event says so", number);
}

/* Each number that counts is there, and nobody has died twice. */
static void check_events(void)
{
	const struct cadre_annals_span span = cadre_annals_span(&world.view.events);
	struct cadre_event event, other;

	for (uint64_t number = span.from; number != span.to; number++) {
		if (!cadre_event_read(&world.view.events, number, &event))
			complain("event %llu is not there", (unsigned long long)number);
		if (event.kind != CADRE_EVENT_worker_died)
			continue;
		for (uint64_t later = number + 1; later < span.to; later++) {
			if (cadre_event_read(&world.view.events, later, &other) &&
			    other.kind == event.kind && other.place == event.place &&
			    other.incarnation == event.incarnation)
				complain("worker %d has died twice", event.place);
		}
	}
}

static void check_slot(const struct fate *fate, uint32_t number)
{
	const uint64_t word = cadre_slot_peek(&world.view.slots[number]);
	const uint64_t id = (fate->generation * WORLD_SLOTS_ALL + number) % WORLD_JOBS_MAX;
	const uint32_t runs = world_ledger->runs[id];
	unsigned booked = 0, count = 0;

	for (unsigned i = 0; i < CADRE_OUTCOME_COUNT; i++) {
		const uint64_t more = world.view.books[number].ended[i] - fate->ended[i];

		count += (unsigned)more;
		booked |= more ? BIT(i) : 0;
	}
	if (cadre_word_generation(word) != fate->generation)
		complain("slot %u: a job of generation %llu appeared from nowhere",
			 number, (unsigned long long)cadre_word_generation(word));
	if (count != !fate->booked)
		complain("slot %u: %u outcomes were booked instead of %d", number, count,
			 !fate->booked);
	if (booked & BIT(CADRE_REFUSED))
		check_refusal(number, fate->generation);
	if (booked & ~fate->outcomes)
		complain("slot %u: outcomes %#x were booked instead of %#x", number,
			 booked, fate->outcomes);
	if (runs < fate->runs_least || runs > fate->runs_most)
		complain("slot %u: its handler started %u times instead of %u to %u",
			 number, runs, fate->runs_least, fate->runs_most);
	if (world_ledger->attempts[id] & ~fate->attempts)
		complain("slot %u: ran as attempts %#x instead of %#x", number,
			 world_ledger->attempts[id], fate->attempts);
}

void fates_check_end(const struct fates *fates)
{
	for (uint32_t number = 0; number < WORLD_SLOTS_ALL; number++) {
		if (!fates->slots[number].open)
			check_slot(&fates->slots[number], number);
	}
}

static void check_client_place(unsigned client)
{
	const struct cadre_header *const header = world.view.header;
	const enum cadre_place_state state = cadre_place_state_of(
		cadre_place_look(&world.view.client_places[client]));

	if (world.client_away[client] ?
		    state != CADRE_PLACE_VACANT || cadre_mask_has(&header->leased, client) :
		    state != CADRE_PLACE_UP || !cadre_mask_has(&header->leased, client))
		complain("window %u: its place is in state %d, it is %sleased", client,
			 (int)state,
			 cadre_mask_has(&header->leased, client) ? "" : "not ");
}

void fates_check_rest(void)
{
	const struct cadre_block_pool blocks = cadre_layout_blocks(&world.view);
	uint32_t used[CADRE_BLOCK_CLASSES];

	for (uint32_t number = 0; number < WORLD_SLOTS_ALL; number++) {
		const uint64_t word = cadre_slot_peek(&world.view.slots[number]);
		const uint64_t sum = cadre_books_sum(&world.view.books[number]);

		if (!cadre_word_is_vacant(word, sum) || cadre_word_generation(word) != sum)
			complain("slot %u: word %#llx beside books of %llu at the end",
				 number, (unsigned long long)word,
				 (unsigned long long)sum);
	}
	cadre_block_count_used(&blocks, used);
	for (uint32_t class = 0; class < world.view.plan.classes; class ++) {
		if (used[class])
			complain("%u blocks of %llu bytes are in use at the end",
				 used[class],
				 (unsigned long long)world.view.plan.size[class]);
	}
	for (unsigned client = 0; client < WORLD_CLIENTS; client++) {
		check_client_place(client);
		if (!world.client_away[client] && world_is_waiting(client))
			complain("client %u waits for ever", client);
	}
	check_events();
	if (world_ledger->damaged)
		complain("%u requests or replies were not what was sent",
			 world_ledger->damaged);
}
