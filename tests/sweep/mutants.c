#include "mutants.h"
#include "job.h"
#include "layout.h"
#include "reaper.h"
#include "world.h"

#include <string.h>

enum {
	NONE,
	FREES_BEFORE_IT_BOOKS,
	BOOKS_TWICE,
	ACCEPTS_BEFORE_IT_WRITES,
	CLAIMS_WITHOUT_A_CAS,
	FINISH_OVERRULES_DECISIONS,
	REQUEUE_KEEPS_THE_ATTEMPT,
	REQUEUES_EVERYTHING,
	BURIES_OVER_DECISIONS,
	NEVER_REAPS_WORKERS,
	NEVER_REAPS_CLIENTS,
	REAPER_SKIPS_DONE,
	REAPER_CANCELS_DETACHED,
	REAPER_WAKES_NOBODY,
	REAPER_KEEPS_CREW_BITS,
	NOBODY_RINGS,
	BLOCKS_OF_THE_NEXT_JOB,
	STEALS_BLOCKS,
	CHANGES_WHAT_IS_TRIED_AGAIN,
};

const struct mutant mutants[] = {
	{ FREES_BEFORE_IT_BOOKS,
	  "a slot is freed first and booked afterwards",
	  { "take, release" } },
	{ BOOKS_TWICE,
	  "freeing books again what was booked before a death",
	  { "take, release" } },
	{ ACCEPTS_BEFORE_IT_WRITES,
	  "a job is accepted before its request is written",
	  { "submit with a block" } },
	{ CLAIMS_WITHOUT_A_CAS,
	  "a job is claimed by a load and a store",
	  { "claim, finish inline" } },
	{ FINISH_OVERRULES_DECISIONS,
	  "a result overrules the cancellation",
	  { "finish a decided" } },
	{ REQUEUE_KEEPS_THE_ATTEMPT,
	  "a requeued job keeps its attempt",
	  { "claim, finish idempotent", "reap worker: requeue" } },
	{ REQUEUES_EVERYTHING,
	  "jobs that may have run are run again, idempotent or not",
	  { "reap worker: lost" } },
	{ BURIES_OVER_DECISIONS,
	  "a death overrules the cancellation",
	  { "finish a decided" } },
	{ NEVER_REAPS_WORKERS, "nothing is recovered from a worker", { "claim" } },
	{ NEVER_REAPS_CLIENTS, "nothing is recovered from a client", { "submit inline" } },
	{ REAPER_SKIPS_DONE,
	  "the reaper of a client passes over jobs that have ended",
	  { "take, release" } },
	{ REAPER_CANCELS_DETACHED,
	  "detached jobs die with their client",
	  { "submit detached" } },
	{ REAPER_WAKES_NOBODY,
	  "sleepers are not woken after a death",
	  { "submit detached", "reap worker: lost" } },
	{ REAPER_KEEPS_CREW_BITS, "the bits of a dead worker stay", { "engage" } },
	{ NOBODY_RINGS, "recovery moves jobs and rings no bell", { "reap worker: lost" } },
	{ BLOCKS_OF_THE_NEXT_JOB,
	  "blocks are taken for the generation to come",
	  { "submit with a block" } },
	{ STEALS_BLOCKS,
	  "a block is taken without a look at its owner",
	  { "submit with a block", "draft" } },
	{ CHANGES_WHAT_IS_TRIED_AGAIN,
	  "a request that may be tried again is changed in its place",
	  { "change a copy" } },
};

const size_t mutant_count = CADRE_COUNT_OF(mutants);

static int chosen, kept;

void mutant_choose(const struct mutant *mutant)
{
	kept = mutant ? mutant->id : NONE;
	chosen = kept;
}

void mutant_suspend(bool suspended)
{
	chosen = suspended ? NONE : kept;
}

bool mutant_concerns(const struct mutant *mutant, const char *operation)
{
	for (size_t i = 0; i < CADRE_COUNT_OF(mutant->concerns); i++) {
		if (mutant->concerns[i] && strstr(operation, mutant->concerns[i]))
			return true;
	}
	return false;
}

/* What the linker calls the library's own functions, and ours in their place. */
uint64_t __real_cadre_slot_fill(struct cadre_slot *slot);
uint64_t __wrap_cadre_slot_fill(struct cadre_slot *slot);
void __real_cadre_slot_vacate(struct cadre_books *books, enum cadre_outcome outcome);
void __wrap_cadre_slot_vacate(struct cadre_books *books, enum cadre_outcome outcome);
void __real_cadre_slot_free_after_death(struct cadre_slot *slot, struct cadre_books *books,
					uint64_t generation, enum cadre_outcome outcome);
void __wrap_cadre_slot_free_after_death(struct cadre_slot *slot, struct cadre_books *books,
					uint64_t generation, enum cadre_outcome outcome);
bool __real_cadre_slot_claim(struct cadre_slot *slot, uint64_t seen, unsigned owner,
			     uint64_t *ret_claimed);
bool __wrap_cadre_slot_claim(struct cadre_slot *slot, uint64_t seen, unsigned owner,
			     uint64_t *ret_claimed);
uint64_t __real_cadre_slot_finish(struct cadre_slot *slot, uint64_t claimed,
				  enum cadre_outcome outcome);
uint64_t __wrap_cadre_slot_finish(struct cadre_slot *slot, uint64_t claimed,
				  enum cadre_outcome outcome);
bool __real_cadre_slot_requeue(struct cadre_slot *slot, uint64_t seen);
bool __wrap_cadre_slot_requeue(struct cadre_slot *slot, uint64_t seen);
bool __real_cadre_slot_bury(struct cadre_slot *slot, uint64_t seen,
			    enum cadre_outcome outcome);
bool __wrap_cadre_slot_bury(struct cadre_slot *slot, uint64_t seen,
			    enum cadre_outcome outcome);
void __real_cadre_reap_worker(const struct cadre_view *view, unsigned worker,
			      struct cadre_obituary obituary, struct cadre_event *event);
void __wrap_cadre_reap_worker(const struct cadre_view *view, unsigned worker,
			      struct cadre_obituary obituary, struct cadre_event *event);
uint32_t __real_cadre_reap_client(const struct cadre_view *view, unsigned client);
uint32_t __wrap_cadre_reap_client(const struct cadre_view *view, unsigned client);
int __real_cadre_crew_wake_all(const struct cadre_crew *crew, struct cadre_bell *bells,
			       unsigned workers);
int __wrap_cadre_crew_wake_all(const struct cadre_crew *crew, struct cadre_bell *bells,
			       unsigned workers);
void __real_cadre_crew_forget(struct cadre_crew *crew, unsigned worker);
void __wrap_cadre_crew_forget(struct cadre_crew *crew, unsigned worker);
int __real_cadre_bell_ring(struct cadre_bell *bell, uint32_t bits, int most);
int __wrap_cadre_bell_ring(struct cadre_bell *bell, uint32_t bits, int most);
int __real_cadre_job_reply_over_request(struct cadre_job *job, size_t size,
					void **ret_room);
int __wrap_cadre_job_reply_over_request(struct cadre_job *job, size_t size,
					void **ret_room);
uint32_t __real_cadre_block_take(struct cadre_block_pool *pool, uint64_t size,
				 uint32_t slot, uint64_t generation);
uint32_t __wrap_cadre_block_take(struct cadre_block_pool *pool, uint64_t size,
				 uint32_t slot, uint64_t generation);

/* ---- slot ---- */

uint64_t __wrap_cadre_slot_fill(struct cadre_slot *slot)
{
	uint64_t word;

	if (chosen != ACCEPTS_BEFORE_IT_WRITES)
		return __real_cadre_slot_fill(slot);
	word = cadre_word_pack((struct cadre_word){
		.phase = CADRE_QUEUED,
		.generation = cadre_word_generation(cadre_slot_peek(slot)) + 1 });
	atomic_store(&slot->request.word, word);
	return word;
}

static void free_slot(struct cadre_slot *slot, uint64_t generation)
{
	atomic_store(&slot->request.word,
		     cadre_word_pack((struct cadre_word){ .generation = generation }));
}

void __wrap_cadre_slot_vacate(struct cadre_books *books, enum cadre_outcome outcome)
{
	struct cadre_slot *const slot = &world.view.slots[books - world.view.books];

	if (chosen == FREES_BEFORE_IT_BOOKS)
		free_slot(slot, cadre_word_generation(cadre_slot_peek(slot)));
	__real_cadre_slot_vacate(books, outcome);
}

void __wrap_cadre_slot_free_after_death(struct cadre_slot *slot, struct cadre_books *books,
					uint64_t generation, enum cadre_outcome outcome)
{
	if (chosen == BOOKS_TWICE) {
		__real_cadre_slot_vacate(books, outcome);
		free_slot(slot, generation);
	} else {
		__real_cadre_slot_free_after_death(slot, books, generation, outcome);
	}
}

bool __wrap_cadre_slot_claim(struct cadre_slot *slot, uint64_t seen, unsigned owner,
			     uint64_t *ret_claimed)
{
	struct cadre_word word = cadre_word_unpack(seen);

	if (chosen != CLAIMS_WITHOUT_A_CAS)
		return __real_cadre_slot_claim(slot, seen, owner, ret_claimed);
	if (cadre_slot_peek(slot) != seen)
		return false;
	word.phase = CADRE_RUNNING;
	word.owner = owner;
	*ret_claimed = cadre_word_pack(word);
	atomic_store(&slot->request.word, *ret_claimed);
	return true;
}

uint64_t __wrap_cadre_slot_finish(struct cadre_slot *slot, uint64_t claimed,
				  enum cadre_outcome outcome)
{
	struct cadre_word word = cadre_word_unpack(cadre_slot_peek(slot));

	if (chosen != FINISH_OVERRULES_DECISIONS)
		return __real_cadre_slot_finish(slot, claimed, outcome);
	word.phase = CADRE_DONE;
	word.outcome = outcome;
	return atomic_exchange(&slot->request.word, cadre_word_pack(word));
}

bool __wrap_cadre_slot_requeue(struct cadre_slot *slot, uint64_t seen)
{
	struct cadre_word word = cadre_word_unpack(seen);

	if (chosen != REQUEUE_KEEPS_THE_ATTEMPT)
		return __real_cadre_slot_requeue(slot, seen);
	word.phase = CADRE_QUEUED;
	word.owner = CADRE_OWNER_NONE;
	return atomic_compare_exchange_strong(&slot->request.word, &seen,
					      cadre_word_pack(word));
}

bool __wrap_cadre_slot_bury(struct cadre_slot *slot, uint64_t seen,
			    enum cadre_outcome outcome)
{
	struct cadre_word word = cadre_word_unpack(seen);

	if (chosen == REQUEUES_EVERYTHING)
		return __real_cadre_slot_requeue(slot, seen);
	if (chosen != BURIES_OVER_DECISIONS)
		return __real_cadre_slot_bury(slot, seen, outcome);
	word.phase = CADRE_DONE;
	word.outcome = outcome;
	return atomic_compare_exchange_strong(&slot->request.word, &seen,
					      cadre_word_pack(word));
}

/* ---- reaper ---- */

void __wrap_cadre_reap_worker(const struct cadre_view *view, unsigned worker,
			      struct cadre_obituary obituary, struct cadre_event *event)
{
	if (chosen != NEVER_REAPS_WORKERS)
		__real_cadre_reap_worker(view, worker, obituary, event);
}

static uint32_t skip_done(const struct cadre_view *view, unsigned client)
{
	for (uint32_t index = 0; index < view->limits.slots; index++) {
		struct cadre_slot *const slot = cadre_view_slot(view, client, index);
		const struct cadre_word word = cadre_word_unpack(cadre_slot_look(slot));
		uint64_t replaced;

		if (word.phase == CADRE_FILLING)
			__real_cadre_slot_free_after_death(
				slot, &view->books[client * view->limits.slots + index],
				word.generation, CADRE_WITHDRAWN);
		else if (!(word.flags & CADRE_FLAG_DETACHED))
			cadre_slot_decide(slot, word.generation, CADRE_CANCELLED,
					  &replaced);
	}
	return 0;
}

static void cancel_all(const struct cadre_view *view, unsigned client)
{
	for (uint32_t index = 0; index < view->limits.slots; index++) {
		struct cadre_slot *const slot = cadre_view_slot(view, client, index);
		uint64_t replaced;

		cadre_slot_decide(slot, cadre_word_generation(cadre_slot_look(slot)),
				  CADRE_CANCELLED, &replaced);
	}
}

uint32_t __wrap_cadre_reap_client(const struct cadre_view *view, unsigned client)
{
	if (chosen == NEVER_REAPS_CLIENTS)
		return 0;
	if (chosen == REAPER_SKIPS_DONE)
		return skip_done(view, client);
	if (chosen == REAPER_CANCELS_DETACHED)
		cancel_all(view, client);
	return __real_cadre_reap_client(view, client);
}

/* ---- crew, bell, block ---- */

int __wrap_cadre_crew_wake_all(const struct cadre_crew *crew, struct cadre_bell *bells,
			       unsigned workers)
{
	return chosen == REAPER_WAKES_NOBODY ?
		       0 :
		       __real_cadre_crew_wake_all(crew, bells, workers);
}

void __wrap_cadre_crew_forget(struct cadre_crew *crew, unsigned worker)
{
	if (chosen != REAPER_KEEPS_CREW_BITS)
		__real_cadre_crew_forget(crew, worker);
}

int __wrap_cadre_bell_ring(struct cadre_bell *bell, uint32_t bits, int most)
{
	return chosen == NOBODY_RINGS ? 0 : __real_cadre_bell_ring(bell, bits, most);
}

uint32_t __wrap_cadre_block_take(struct cadre_block_pool *pool, uint64_t size,
				 uint32_t slot, uint64_t generation)
{
	if (chosen == STEALS_BLOCKS) {
		const uint32_t block = size <= pool->plan->size[0] ? 0 :
								     pool->plan->first[1];

		atomic_store(&pool->owners[block].word,
			     ((uint64_t)slot + 1) << 40 | generation);
		return block;
	}
	return __real_cadre_block_take(pool, size, slot,
				       generation + (chosen == BLOCKS_OF_THE_NEXT_JOB));
}

/* ---- job ---- */

int __wrap_cadre_job_reply_over_request(struct cadre_job *job, size_t size,
					void **ret_room)
{
	const uint64_t claimed = job->claimed;
	int r;

	if (chosen == CHANGES_WHAT_IS_TRIED_AGAIN)
		job->claimed &= ~((uint64_t)CADRE_FLAG_IDEMPOTENT << 3);
	r = __real_cadre_job_reply_over_request(job, size, ret_room);
	job->claimed = claimed;
	return r;
}
