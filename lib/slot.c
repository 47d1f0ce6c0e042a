#include "slot.h"

/* A loop below goes round again only because somebody set a flag meanwhile, and there are
 * four flags. More rounds mean that something scribbles over the word. */
#define ROUNDS_MAX 64

static uint64_t with_phase(uint64_t word, enum cadre_phase phase)
{
	return (word & ~UINT64_C(7)) | phase;
}

static uint64_t with_flags(uint64_t word, unsigned flags)
{
	return word | (uint64_t)flags << 3;
}

static uint64_t with_outcome(uint64_t word, enum cadre_outcome outcome)
{
	return (word & ~(UINT64_C(7) << 7)) | (uint64_t)outcome << 7;
}

static uint64_t without_owner(uint64_t word)
{
	return word & ~(UINT64_C(1023) << 14);
}

static uint64_t free_word(uint64_t generation)
{
	return cadre_word_pack(
		(struct cadre_word){ .phase = CADRE_FREE, .generation = generation });
}

static uint64_t next_generation(uint64_t word)
{
	return (cadre_word_generation(word) + 1) & CADRE_GENERATION_MAX;
}

/* The word is DONE, and its client looks here. Who has just made it so is the only one to say
 * so, and may be late: then the slot is another job's, and this the stamp of none. */
static void stamp(struct cadre_slot *slot, uint64_t done)
{
	/* W7: release, pairs with C1 in cadre_slot_look_at_end. */
	atomic_store_explicit(&slot->reply.stamp, done, memory_order_release);
	CADRE_KILL_POINT("W7");
}

uint64_t cadre_slot_fill(struct cadre_slot *slot)
{
	const uint64_t word = cadre_slot_peek(slot);
	const uint64_t filling = cadre_word_pack((struct cadre_word){
		.phase = CADRE_FILLING,
		.generation = next_generation(word),
	});

	if (cadre_word_phase(word) != CADRE_FREE && cadre_word_phase(word) != CADRE_DONE)
		return 0;

	/* S1. A plain store suffices: only this client changes such a word. Relaxed: a block
	 * that names this generation is taken behind it, with release (B4). */
	atomic_store_explicit(&slot->request.word, filling, memory_order_relaxed);
	CADRE_KILL_POINT("S1");
	return filling;
}

uint64_t cadre_slot_publish(struct cadre_slot *slot, unsigned flags, unsigned target_owner)
{
	const uint64_t word = cadre_slot_peek(slot);
	const uint64_t queued = cadre_word_pack((struct cadre_word){
		.phase = CADRE_QUEUED,
		.flags = flags,
		.owner = target_owner,
		.generation = cadre_word_phase(word) == CADRE_FILLING ?
				      cadre_word_generation(word) :
				      next_generation(word),
	});

	CADRE_KILL_POINT("S2");
	/* S3, pairs with W2 in cadre_slot_claim: whoever claims the job reads its request
	 * whole. Whoever sees it sees the job before booked, too. A store, not a CAS: only
	 * this client changes a word that is FREE, FILLING or DONE. */
	atomic_store_explicit(&slot->request.word, queued, memory_order_release);
	CADRE_KILL_POINT("S3");
	return queued;
}

uint64_t cadre_slot_look(const struct cadre_slot *slot)
{
	/* C1, pairs with W6 in cadre_slot_finish: a DONE word is seen with its reply. */
	return atomic_load_explicit(&slot->request.word, memory_order_acquire);
}

uint64_t cadre_slot_look_at_end(const struct cadre_slot *slot, uint64_t generation)
{
	const uint64_t told = cadre_slot_stamp(slot);

	/* From DONE on only the client changes the word: it stands there as here. */
	return cadre_stamp_tells(told, generation) ? told : cadre_slot_look(slot);
}

uint64_t cadre_slot_await(struct cadre_slot *slot, uint64_t generation)
{
	uint64_t word = cadre_slot_look(slot);

	for (int round = 0; round < ROUNDS_MAX; round++) {
		const enum cadre_phase phase = cadre_word_phase(word);
		const unsigned flags = cadre_word_flags(word);

		if ((phase != CADRE_QUEUED && phase != CADRE_RUNNING) ||
		    cadre_word_generation(word) != generation ||
		    flags & (CADRE_FLAG_WAITING | CADRE_FLAG_DECIDED))
			return word;
		/* Acquire and release: it comes after the load of the bell (L1 in bell.c), and
		 * whoever ends the job reads WAITING in the word that it replaces. */
		if (atomic_compare_exchange_strong_explicit(
			    &slot->request.word, &word,
			    with_flags(word, CADRE_FLAG_WAITING), memory_order_acq_rel,
			    memory_order_acquire))
			return with_flags(word, CADRE_FLAG_WAITING);
	}
	return word;
}

bool cadre_slot_decide(struct cadre_slot *slot, uint64_t generation,
		       enum cadre_outcome outcome, uint64_t *ret_replaced)
{
	uint64_t word = cadre_slot_look(slot);

	for (int round = 0; round < ROUNDS_MAX; round++) {
		const enum cadre_phase phase = cadre_word_phase(word);
		uint64_t next = with_outcome(word, outcome);

		if (cadre_word_generation(word) != generation ||
		    cadre_word_flags(word) & CADRE_FLAG_DECIDED)
			return false;
		if (phase == CADRE_QUEUED)
			/* X1. Whom it was aimed at has not had it. */
			next = without_owner(with_phase(next, CADRE_DONE));
		else if (phase == CADRE_RUNNING)
			next = with_flags(next, CADRE_FLAG_DECIDED); /* X2 */
		else
			return false;
		/* X1, X2: acquire and release, as a link in the chain from S3 to whoever frees. */
		if (atomic_compare_exchange_strong_explicit(&slot->request.word, &word,
							    next, memory_order_acq_rel,
							    memory_order_acquire)) {
			CADRE_KILL_POINT("X1");
			if (phase == CADRE_QUEUED)
				stamp(slot, next);
			*ret_replaced = word;
			return true;
		}
	}
	return false;
}

bool cadre_slot_withdraw(struct cadre_slot *slot, uint64_t seen)
{
	/* X1 as well: acquire and release, as in cadre_slot_decide. */
	return cadre_word_phase(seen) == CADRE_QUEUED &&
	       atomic_compare_exchange_strong_explicit(
		       &slot->request.word, &seen,
		       without_owner(with_phase(with_outcome(seen, CADRE_WITHDRAWN),
						CADRE_DONE)),
		       memory_order_acq_rel, memory_order_relaxed);
}

void cadre_warrant_issue(struct cadre_warrant *warrant, uint64_t generation,
			 int64_t kill_ns)
{
	/* Relaxed: seen by whoever sees the generation. */
	atomic_store_explicit(&warrant->kill_ns, kill_ns, memory_order_relaxed);
	CADRE_KILL_POINT("X3");
	/* X4: release, pairs with X5: the time is there. */
	atomic_store_explicit(&warrant->generation, generation, memory_order_release);
}

int64_t cadre_warrant_due_ns(const struct cadre_warrant *warrant, uint64_t generation)
{
	/* X5: acquire, pairs with X4. */
	if (atomic_load_explicit(&warrant->generation, memory_order_acquire) != generation)
		return INT64_MAX;
	return atomic_load_explicit(&warrant->kill_ns, memory_order_relaxed);
}

bool cadre_slot_strand(struct cadre_slot *slot, uint64_t seen)
{
	const uint64_t lost = without_owner(
		with_phase(with_outcome(seen, CADRE_LOST), CADRE_DONE));

	/* X1 as well: acquire and release, as in cadre_slot_decide. */
	if (cadre_word_phase(seen) != CADRE_QUEUED ||
	    !atomic_compare_exchange_strong_explicit(&slot->request.word, &seen, lost,
						     memory_order_acq_rel,
						     memory_order_relaxed))
		return false;
	CADRE_KILL_POINT("X4");
	stamp(slot, lost);
	return true;
}

void cadre_slot_vacate(struct cadre_books *books, enum cadre_outcome outcome)
{
	_Atomic uint64_t *const count = &books->ended[outcome];

	CADRE_KILL_POINT("C1");
	/* F1: release, pairs with B1: our reads of the reply are over before somebody may take
	 * its block, or a worker may write the next. A relaxed load and a store instead of an
	 * addition: one writer at a time. */
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
			      memory_order_release);
	CADRE_KILL_POINT("C2");
}

static void set_free(struct cadre_slot *slot, uint64_t generation)
{
	/* F1 as well: release, the booking is seen by whoever sees the slot FREE. */
	atomic_store_explicit(&slot->request.word, free_word(generation),
			      memory_order_release);
	CADRE_KILL_POINT("C3");
}

void cadre_slot_unfill(struct cadre_slot *slot, struct cadre_books *books)
{
	const uint64_t generation = cadre_word_generation(cadre_slot_peek(slot));

	cadre_slot_vacate(books, CADRE_WITHDRAWN);
	set_free(slot, generation);
}

void cadre_slot_free_after_death(struct cadre_slot *slot, struct cadre_books *books,
				 uint64_t generation, enum cadre_outcome outcome)
{
	/* Whoever died here may have done so behind the booking. */
	if (cadre_books_sum(books) != generation)
		cadre_slot_vacate(books, outcome);
	set_free(slot, generation);
}

bool cadre_slot_claim(struct cadre_slot *slot, uint64_t seen, unsigned owner,
		      uint64_t *ret_claimed)
{
	struct cadre_word word = cadre_word_unpack(seen);
	uint64_t claimed;

	word.phase = CADRE_RUNNING;
	word.owner = owner;
	claimed = cadre_word_pack(word);

	/* W2, pairs with S3 in cadre_slot_publish and with D1 in cadre_slot_requeue. */
	if (!atomic_compare_exchange_strong_explicit(&slot->request.word, &seen, claimed,
						     memory_order_acquire,
						     memory_order_relaxed))
		return false;
	CADRE_KILL_POINT("W2");
	*ret_claimed = claimed;
	return true;
}

uint64_t cadre_slot_finish(struct cadre_slot *slot, uint64_t claimed,
			   enum cadre_outcome outcome)
{
	const uint64_t mine = claimed & ~(UINT64_C(15) << 3 | UINT64_C(7) << 7);
	uint64_t word = claimed;

	CADRE_KILL_POINT("W5");
	for (int round = 0; round < ROUNDS_MAX; round++) {
		const bool decided = cadre_word_flags(word) & CADRE_FLAG_DECIDED;
		const uint64_t done = decided ? word : with_outcome(word, outcome);

		/* Flags and a decided outcome may have changed; nothing else can have. */
		if ((word & ~(UINT64_C(15) << 3 | UINT64_C(7) << 7)) != mine)
			return 0;
		/* W6, pairs with C1 in cadre_slot_look. */
		if (atomic_compare_exchange_strong_explicit(&slot->request.word, &word,
							    with_phase(done, CADRE_DONE),
							    memory_order_release,
							    memory_order_relaxed)) {
			CADRE_KILL_POINT("W6");
			stamp(slot, with_phase(done, CADRE_DONE));
			return word;
		}
	}
	return 0;
}

bool cadre_slot_requeue(struct cadre_slot *slot, uint64_t seen)
{
	struct cadre_word word = cadre_word_unpack(seen);

	/* One more would run over into the owner. */
	if (word.attempt >= CADRE_ATTEMPT_MAX)
		return false;
	word.phase = CADRE_QUEUED;
	word.owner = CADRE_OWNER_NONE;
	word.attempt++;
	/* D1, pairs with W2. */
	return atomic_compare_exchange_strong_explicit(&slot->request.word, &seen,
						       cadre_word_pack(word),
						       memory_order_acq_rel,
						       memory_order_relaxed);
}

bool cadre_slot_bury(struct cadre_slot *slot, uint64_t seen, enum cadre_outcome outcome)
{
	const bool decided = cadre_word_flags(seen) & CADRE_FLAG_DECIDED;
	const uint64_t done = with_phase(decided ? seen : with_outcome(seen, outcome),
					 CADRE_DONE);

	/* D2, pairs with C1: the reason of the death stands in the reply by then. */
	if (!atomic_compare_exchange_strong_explicit(&slot->request.word, &seen, done,
						     memory_order_acq_rel,
						     memory_order_relaxed))
		return false;
	stamp(slot, done);
	return true;
}

uint64_t cadre_books_sum(const struct cadre_books *books)
{
	uint64_t sum = 0;

	/* B1: acquire, pairs with F1. One writer at a time; a sum may be a moment old, and
	 * lies between those at its beginning and at its end. */
	for (unsigned i = 0; i < CADRE_OUTCOME_COUNT; i++)
		sum += atomic_load_explicit(&books->ended[i], memory_order_acquire);
	return sum & CADRE_GENERATION_MAX;
}

bool cadre_books_balance(uint64_t word, uint64_t sum)
{
	const uint64_t generation = cadre_word_generation(word);

	if (sum == generation)
		return true;
	return cadre_word_phase(word) != CADRE_FREE &&
	       sum == ((generation - 1) & CADRE_GENERATION_MAX);
}
