/*
 * Claims about slot.c: which word follows from which, and that nothing else ever does.
 *
 * Everything runs on one slot in private memory; two parties that race are built by
 * putting the word of the other one in between.
 */
#include "slot.h"

#include <criterion/criterion.h>
#include <string.h>

#define WORKER 7u /* an owner, that is worker 6 */
#define OTHER 8u

static struct cadre_slot slot;
static struct cadre_books books;

static void fresh(void)
{
	memset(&slot, 0, sizeof(slot));
	memset(&books, 0, sizeof(books));
}

TestSuite(slot, .init = fresh);

static void put(struct cadre_word word)
{
	atomic_store(&slot.request.word, cadre_word_pack(word));
}

static struct cadre_word get(void)
{
	return cadre_word_unpack(cadre_slot_peek(&slot));
}

/* A slot in which `jobs` jobs have lived and were booked. */
static void put_free(uint64_t jobs)
{
	put((struct cadre_word){ .phase = CADRE_FREE, .generation = jobs });
	atomic_store(&books.ended[CADRE_OK], jobs);
}

/* Queued as generation 1. */
static uint64_t queue(unsigned flags)
{
	cr_assert_neq(cadre_slot_fill(&slot), 0);
	return cadre_slot_publish(&slot, flags, CADRE_OWNER_NONE);
}

/* Queued and claimed by WORKER. */
static uint64_t run(unsigned flags)
{
	uint64_t claimed = 0;

	cr_assert(cadre_slot_claim(&slot, queue(flags), WORKER, &claimed));
	return claimed;
}

/* ---- the word ---- */

Test(slot, a_word_survives_packing_whatever_its_parts_are)
{
	static const enum cadre_phase phases[] = { CADRE_FREE, CADRE_DONE,
						   (enum cadre_phase)7 };
	static const unsigned flags[] = { 0, 1, 8, 15 };
	static const unsigned outcomes[] = { CADRE_OK, CADRE_WITHDRAWN };
	static const unsigned attempts[] = { 0, 1, CADRE_ATTEMPT_MAX };
	static const unsigned owners[] = { CADRE_OWNER_NONE, 1, 512, 1023 };
	static const uint64_t generations[] = { 0, 1, UINT64_C(1) << 39,
						CADRE_GENERATION_MAX };

	for (unsigned i = 0; i < 3 * 4 * 2 * 3 * 4 * 4; i++) {
		const struct cadre_word word = {
			.phase = phases[i % 3],
			.flags = flags[i / 3 % 4],
			.outcome = (enum cadre_outcome)outcomes[i / 12 % 2],
			.attempt = attempts[i / 24 % 3],
			.owner = owners[i / 72 % 4],
			.generation = generations[i / 288 % 4],
		};
		const uint64_t bits = cadre_word_pack(word);
		const struct cadre_word back = cadre_word_unpack(bits);

		cr_assert_eq(back.phase, word.phase);
		cr_assert_eq(back.flags, word.flags);
		cr_assert_eq(back.outcome, word.outcome);
		cr_assert_eq(back.attempt, word.attempt);
		cr_assert_eq(back.owner, word.owner);
		cr_assert_eq(back.generation, word.generation);

		cr_assert_eq(cadre_word_phase(bits), word.phase);
		cr_assert_eq(cadre_word_flags(bits), word.flags);
		cr_assert_eq(cadre_word_generation(bits), word.generation);
	}
}

Test(slot, every_bit_of_a_word_belongs_to_exactly_one_part)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		const uint64_t bits = UINT64_C(1) << bit;
		const struct cadre_word word = cadre_word_unpack(bits);

		cr_assert_eq(cadre_word_pack(word), bits, "bit %u is lost", bit);
		cr_assert_eq((word.phase != 0) + (word.flags != 0) + (word.outcome != 0) +
				     (word.attempt != 0) + (word.owner != 0) +
				     (word.generation != 0),
			     1, "bit %u is in two parts", bit);
	}
}

Test(slot, zeroed_memory_is_a_free_slot_with_balanced_books)
{
	cr_assert_eq(get().phase, CADRE_FREE);
	cr_assert(cadre_books_balance(cadre_slot_peek(&slot), cadre_books_sum(&books)));
}

/* ---- the ordinary life ---- */

Test(slot, a_job_goes_through_its_life_and_leaves_a_vacant_slot)
{
	uint64_t claimed, replaced;

	cr_assert_eq(cadre_slot_fill(&slot), cadre_slot_peek(&slot));
	cr_assert_eq(get().phase, CADRE_FILLING);
	cr_assert_eq(get().generation, 1);

	const uint64_t queued = cadre_slot_publish(&slot, CADRE_FLAG_IDEMPOTENT, 0);
	cr_assert_eq(queued, cadre_slot_peek(&slot));
	cr_assert_eq(get().phase, CADRE_QUEUED);
	cr_assert_eq(get().generation, 1);

	cr_assert(cadre_slot_claim(&slot, queued, WORKER, &claimed));
	cr_assert_eq(claimed, cadre_slot_peek(&slot));
	cr_assert_eq(get().phase, CADRE_RUNNING);
	cr_assert_eq(get().owner, WORKER);

	replaced = cadre_slot_finish(&slot, claimed, CADRE_FAILED);
	cr_assert_eq(replaced, claimed);
	cr_assert_eq(get().phase, CADRE_DONE);
	cr_assert_eq(get().outcome, CADRE_FAILED);
	cr_assert_eq(get().owner, WORKER, "the reaper needs to know who had it");
	cr_assert_eq(atomic_load(&slot.reply.stamp), cadre_slot_peek(&slot));

	const uint64_t done = cadre_slot_peek(&slot);

	cr_assert_not(cadre_slot_is_vacant(done, &books), "its client has yet to take it");
	cadre_slot_vacate(&books, CADRE_FAILED);
	cr_assert_eq(atomic_load(&books.ended[CADRE_FAILED]), 1);
	cr_assert(cadre_slot_is_vacant(done, &books));
	cr_assert_eq(cadre_slot_peek(&slot), done,
		     "the word's line stays with the worker that wrote it");
}

Test(slot, nothing_of_a_job_is_left_in_the_word_of_the_next)
{
	uint64_t claimed = run(CADRE_FLAG_IDEMPOTENT);

	cadre_slot_finish(&slot, claimed, CADRE_FAILED);
	cadre_slot_vacate(&books, CADRE_FAILED);
	cr_assert_eq(cadre_slot_publish(&slot, 0, CADRE_OWNER_NONE),
		     cadre_word_pack((struct cadre_word){ .phase = CADRE_QUEUED,
							  .generation = 2 }));

	cr_assert(cadre_slot_claim(&slot, cadre_slot_peek(&slot), WORKER, &claimed));
	cadre_slot_finish(&slot, claimed, CADRE_FAILED);
	cadre_slot_vacate(&books, CADRE_FAILED);
	cr_assert_eq(cadre_slot_fill(&slot),
		     cadre_word_pack((struct cadre_word){ .phase = CADRE_FILLING,
							  .generation = 3 }));
}

Test(slot, a_slot_is_vacant_when_it_is_free_or_its_last_job_is_booked)
{
	static const bool vacant[][2] = {
		[CADRE_FREE] = { true, true },     [CADRE_FILLING] = { false, false },
		[CADRE_QUEUED] = { false, false }, [CADRE_RUNNING] = { false, false },
		[CADRE_DONE] = { false, true },
	};

	for (unsigned phase = CADRE_FREE; phase <= CADRE_DONE; phase++) {
		const uint64_t word = cadre_word_pack((struct cadre_word){
			.phase = (enum cadre_phase)phase, .generation = 10 });

		cr_assert_eq(cadre_word_is_vacant(word, 9), vacant[phase][0], "phase %u",
			     phase);
		cr_assert_eq(cadre_word_is_vacant(word, 10), vacant[phase][1], "phase %u",
			     phase);
	}
}

Test(slot, a_request_that_is_not_published_after_all_is_booked_as_withdrawn)
{
	cr_assert_neq(cadre_slot_fill(&slot), 0);
	cadre_slot_unfill(&slot, &books);

	cr_assert_eq(cadre_slot_peek(&slot),
		     cadre_word_pack((struct cadre_word){ .phase = CADRE_FREE,
							  .generation = 1 }));
	cr_assert_eq(atomic_load(&books.ended[CADRE_WITHDRAWN]), 1);
	cr_assert(cadre_books_balance(cadre_slot_peek(&slot), cadre_books_sum(&books)));
}

Test(slot, a_small_job_goes_from_free_to_queued_at_once_and_counts_as_one_generation)
{
	put_free(41);

	cadre_slot_publish(&slot, 0, CADRE_OWNER_NONE);

	cr_assert_eq(get().phase, CADRE_QUEUED);
	cr_assert_eq(get().generation, 42);
}

Test(slot, a_job_for_one_worker_alone_waits_with_its_target_in_the_word)
{
	cadre_slot_publish(&slot, 0, WORKER);

	cr_assert_eq(get().phase, CADRE_QUEUED);
	cr_assert_eq(get().owner, WORKER);
}

/* ---- refusals: wrong phase ---- */

Test(slot, fill_refuses_every_slot_whose_job_has_not_ended)
{
	for (unsigned phase = 1; phase <= 7; phase++) {
		if (phase == CADRE_DONE)
			continue;
		put((struct cadre_word){ .phase = (enum cadre_phase)phase,
					 .generation = 5 });
		const uint64_t before = cadre_slot_peek(&slot);

		cr_assert_eq(cadre_slot_fill(&slot), 0, "phase %u", phase);
		cr_assert_eq(cadre_slot_peek(&slot), before, "phase %u", phase);
	}
}

Test(slot, claim_refuses_when_the_word_is_not_exactly_the_one_that_was_seen)
{
	const struct cadre_word seen = { .phase = CADRE_QUEUED, .generation = 5 };

	for (unsigned bit = 0; bit < 64; bit++) {
		const uint64_t before = cadre_word_pack(seen) ^ UINT64_C(1) << bit;
		uint64_t claimed = 99;

		atomic_store(&slot.request.word, before);

		cr_assert_not(cadre_slot_claim(&slot, cadre_word_pack(seen), WORKER,
					       &claimed),
			      "bit %u differs", bit);
		cr_assert_eq(cadre_slot_peek(&slot), before);
		cr_assert_eq(claimed, 99, "claim must not touch its result on failure");
	}
}

Test(slot, two_workers_that_saw_the_same_word_do_not_both_claim_it)
{
	const uint64_t seen = queue(0);
	uint64_t claimed;

	cr_assert(cadre_slot_claim(&slot, seen, WORKER, &claimed));
	cr_assert_not(cadre_slot_claim(&slot, seen, OTHER, &claimed));
	cr_assert_eq(get().owner, WORKER);
}

Test(slot, a_claim_of_last_times_job_does_not_take_this_times)
{
	const uint64_t seen = queue(0);
	uint64_t claimed;

	/* Meanwhile the job ended and the slot holds the next one. */
	put_free(1);
	queue(0);

	cr_assert_not(cadre_slot_claim(&slot, seen, WORKER, &claimed));
	cr_assert_eq(get().phase, CADRE_QUEUED);
	cr_assert_eq(get().generation, 2);
}

Test(slot,
     an_end_is_told_by_its_own_stamp_or_by_the_word_and_never_by_the_stamp_of_another)
{
	const uint64_t claimed = run(0);
	const uint64_t generation = cadre_word_generation(claimed);

	cr_assert_not(cadre_slot_is_stamped(&slot, generation));
	cr_assert_eq(cadre_slot_look_at_end(&slot, generation), claimed);

	cr_assert_eq(cadre_slot_finish(&slot, claimed, CADRE_FAILED), claimed);
	cr_assert(cadre_slot_is_stamped(&slot, generation));
	cr_assert_eq(cadre_slot_look_at_end(&slot, generation), cadre_slot_peek(&slot));

	/* Killed between word and stamp. */
	atomic_store(&slot.reply.stamp, 0);
	cr_assert_not(cadre_slot_is_stamped(&slot, generation));
	cr_assert_eq(cadre_slot_look_at_end(&slot, generation), cadre_slot_peek(&slot));

	/* Stopped there, and back when the slot is another job's. */
	atomic_store(&slot.reply.stamp,
		     cadre_word_pack((struct cadre_word){
			     .phase = CADRE_DONE, .generation = generation - 1 }));
	cr_assert_not(cadre_slot_is_stamped(&slot, generation));
	cr_assert_eq(cadre_slot_look_at_end(&slot, generation), cadre_slot_peek(&slot));
}

Test(slot, whoever_ends_a_job_in_place_of_its_worker_leaves_a_stamp_too)
{
	uint64_t claimed = run(0), replaced;

	cr_assert(cadre_slot_bury(&slot, claimed, CADRE_LOST));
	cr_assert_eq(atomic_load(&slot.reply.stamp), cadre_slot_peek(&slot));
	cr_assert(cadre_slot_is_stamped(&slot, cadre_word_generation(claimed)));

	cadre_slot_vacate(&books, CADRE_LOST);
	cadre_slot_publish(&slot, 0, 0);
	cr_assert(cadre_slot_decide(&slot, get().generation, CADRE_TERMINATED, &replaced));
	cr_assert_eq(atomic_load(&slot.reply.stamp), cadre_slot_peek(&slot));

	cadre_slot_vacate(&books, CADRE_TERMINATED);
	cr_assert(cadre_slot_strand(&slot, cadre_slot_publish(&slot, 0, WORKER)));
	cr_assert_eq(atomic_load(&slot.reply.stamp), cadre_slot_peek(&slot));
}

Test(slot, an_outcome_that_is_decided_while_its_worker_runs_is_no_end_of_the_reply)
{
	const uint64_t claimed = run(0);
	uint64_t replaced;

	cr_assert(cadre_slot_decide(&slot, cadre_word_generation(claimed),
				    CADRE_CANCELLED, &replaced));
	cr_assert_not(cadre_slot_is_stamped(&slot, cadre_word_generation(claimed)));
	cr_assert_eq(cadre_slot_look_at_end(&slot, cadre_word_generation(claimed)),
		     cadre_slot_peek(&slot));
}

Test(slot, finish_refuses_every_phase_but_running)
{
	const uint64_t claimed = run(0);

	for (unsigned phase = 0; phase <= 7; phase++) {
		if (phase == CADRE_RUNNING)
			continue;
		const uint64_t before = (claimed & ~UINT64_C(7)) | phase;

		atomic_store(&slot.request.word, before);
		atomic_store(&slot.reply.stamp, 77);

		cr_assert_eq(cadre_slot_finish(&slot, claimed, CADRE_OK), 0, "phase %u",
			     phase);
		cr_assert_eq(cadre_slot_peek(&slot), before, "phase %u", phase);
		cr_assert_eq(atomic_load(&slot.reply.stamp), 77, "phase %u", phase);
	}
}

Test(slot, finish_by_another_generation_owner_or_attempt_changes_nothing)
{
	const uint64_t claimed = run(0);
	const struct cadre_word mine = cadre_word_unpack(claimed);
	struct cadre_word theirs[] = { mine, mine, mine };

	theirs[0].generation++;
	theirs[1].owner = OTHER;
	theirs[2].attempt++;

	for (unsigned i = 0; i < CADRE_COUNT_OF(theirs); i++) {
		put(theirs[i]);

		cr_assert_eq(cadre_slot_finish(&slot, claimed, CADRE_OK), 0, "case %u", i);
		cr_assert_eq(cadre_slot_peek(&slot), cadre_word_pack(theirs[i]),
			     "case %u", i);
		cr_assert_eq(atomic_load(&slot.reply.stamp), 0, "case %u", i);
	}
}

Test(slot, await_leaves_alone_what_has_nothing_to_wait_for)
{
	static const enum cadre_phase phases[] = { CADRE_FREE, CADRE_FILLING, CADRE_DONE };

	for (unsigned i = 0; i < CADRE_COUNT_OF(phases); i++) {
		put((struct cadre_word){ .phase = phases[i], .generation = 3 });
		const uint64_t before = cadre_slot_peek(&slot);

		cr_assert_eq(cadre_slot_await(&slot, 3), before);
		cr_assert_eq(cadre_slot_peek(&slot), before);
	}
}

Test(slot, await_of_another_generation_does_not_mark_the_word)
{
	const uint64_t queued = queue(0);

	cr_assert_eq(cadre_slot_await(&slot, 2), queued);
	cr_assert_eq(cadre_slot_peek(&slot), queued);
}

Test(slot, await_of_a_decided_job_does_not_wait_for_its_handler)
{
	uint64_t replaced;

	run(0);
	cr_assert(cadre_slot_decide(&slot, 1, CADRE_CANCELLED, &replaced));

	const uint64_t word = cadre_slot_await(&slot, 1);

	cr_assert_eq(cadre_word_flags(word), CADRE_FLAG_DECIDED);
	cr_assert_eq(cadre_slot_peek(&slot), word);
}

/* ---- waiting ---- */

Test(slot, whoever_finishes_reads_in_the_replaced_word_that_somebody_waits)
{
	const uint64_t claimed = run(0);

	cr_assert(cadre_word_flags(cadre_slot_await(&slot, 1)) & CADRE_FLAG_WAITING);

	const uint64_t replaced = cadre_slot_finish(&slot, claimed, CADRE_OK);

	cr_assert(cadre_word_flags(replaced) & CADRE_FLAG_WAITING);
	cr_assert_eq(get().phase, CADRE_DONE);
	cr_assert_eq(get().outcome, CADRE_OK);
}

Test(slot, a_waiter_that_came_while_the_job_was_queued_is_carried_through_the_claim)
{
	uint64_t claimed;

	queue(0);
	const uint64_t seen = cadre_slot_await(&slot, 1);

	cr_assert(cadre_slot_claim(&slot, seen, WORKER, &claimed));
	cr_assert(cadre_word_flags(claimed) & CADRE_FLAG_WAITING);
}

Test(slot, nobody_waits_then_the_replaced_word_says_so)
{
	const uint64_t replaced = cadre_slot_finish(&slot, run(0), CADRE_OK);

	cr_assert_not(cadre_word_flags(replaced) & CADRE_FLAG_WAITING);
}

Test(slot, waiting_twice_is_the_same_as_once)
{
	run(0);

	const uint64_t once = cadre_slot_await(&slot, 1);

	cr_assert_eq(cadre_slot_await(&slot, 1), once);
	cr_assert_eq(cadre_slot_peek(&slot), once);
}

/* ---- deciding: X1 and X2 ---- */

Test(slot, deciding_a_queued_job_ends_it_unrun)
{
	const uint64_t queued = queue(0);
	uint64_t replaced, claimed;

	cr_assert(cadre_slot_decide(&slot, 1, CADRE_TIMED_OUT, &replaced));

	cr_assert_eq(replaced, queued);
	cr_assert_eq(get().phase, CADRE_DONE);
	cr_assert_eq(get().outcome, CADRE_TIMED_OUT);
	cr_assert_not(cadre_slot_claim(&slot, queued, WORKER, &claimed));
}

Test(slot, deciding_a_running_job_leaves_the_slot_to_its_worker)
{
	const uint64_t claimed = run(0);
	uint64_t replaced;

	cr_assert(cadre_slot_decide(&slot, 1, CADRE_CANCELLED, &replaced));

	cr_assert_eq(replaced, claimed);
	cr_assert_eq(get().phase, CADRE_RUNNING);
	cr_assert_eq(get().owner, WORKER);
	cr_assert_eq(get().outcome, CADRE_CANCELLED);
	cr_assert_eq(get().flags, CADRE_FLAG_DECIDED);
}

Test(slot, deciding_a_job_that_ended_is_refused_and_keeps_its_outcome)
{
	uint64_t replaced = 99;

	cadre_slot_finish(&slot, run(0), CADRE_OK);
	const uint64_t before = cadre_slot_peek(&slot);

	cr_assert_not(cadre_slot_decide(&slot, 1, CADRE_CANCELLED, &replaced));
	cr_assert_eq(cadre_slot_peek(&slot), before);
	cr_assert_eq(replaced, 99, "decide must not touch its result on failure");
}

Test(slot, deciding_is_refused_in_every_phase_without_a_pending_or_running_job)
{
	for (unsigned phase = 0; phase <= 7; phase++) {
		uint64_t replaced;

		if (phase == CADRE_QUEUED || phase == CADRE_RUNNING)
			continue;
		put((struct cadre_word){ .phase = (enum cadre_phase)phase,
					 .generation = 3 });
		const uint64_t before = cadre_slot_peek(&slot);

		cr_assert_not(cadre_slot_decide(&slot, 3, CADRE_CANCELLED, &replaced),
			      "phase %u", phase);
		cr_assert_eq(cadre_slot_peek(&slot), before, "phase %u", phase);
	}
}

Test(slot, deciding_a_job_of_another_generation_is_refused)
{
	const uint64_t claimed = run(0);
	uint64_t replaced;

	cr_assert_not(cadre_slot_decide(&slot, 0, CADRE_CANCELLED, &replaced));
	cr_assert_not(cadre_slot_decide(&slot, 2, CADRE_CANCELLED, &replaced));
	cr_assert_eq(cadre_slot_peek(&slot), claimed);
}

Test(slot, the_first_decision_stands)
{
	uint64_t replaced;

	run(0);
	cr_assert(cadre_slot_decide(&slot, 1, CADRE_TIMED_OUT, &replaced));
	cr_assert_not(cadre_slot_decide(&slot, 1, CADRE_CANCELLED, &replaced));

	cr_assert_eq(get().outcome, CADRE_TIMED_OUT);
}

Test(slot, finish_keeps_a_decided_outcome_and_tells_the_worker_that_it_was_late)
{
	const uint64_t claimed = run(0);
	uint64_t replaced;

	cr_assert(cadre_slot_decide(&slot, 1, CADRE_CANCELLED, &replaced));

	const uint64_t late = cadre_slot_finish(&slot, claimed, CADRE_OK);

	cr_assert(cadre_word_flags(late) & CADRE_FLAG_DECIDED);
	cr_assert_eq(get().phase, CADRE_DONE);
	cr_assert_eq(get().outcome, CADRE_CANCELLED);
}

Test(slot, a_decision_tells_that_somebody_waits_so_that_he_can_be_woken)
{
	uint64_t replaced;

	run(0);
	cadre_slot_await(&slot, 1);

	cr_assert(cadre_slot_decide(&slot, 1, CADRE_TERMINATED, &replaced));
	cr_assert(cadre_word_flags(replaced) & CADRE_FLAG_WAITING);
}

Test(slot, flags_given_at_submission_survive_until_the_end)
{
	const uint64_t claimed = run(CADRE_FLAG_DETACHED | CADRE_FLAG_IDEMPOTENT);
	uint64_t replaced;

	cr_assert(cadre_slot_decide(&slot, 1, CADRE_CANCELLED, &replaced));
	cadre_slot_finish(&slot, claimed, CADRE_OK);

	cr_assert_eq(get().flags,
		     CADRE_FLAG_DETACHED | CADRE_FLAG_IDEMPOTENT | CADRE_FLAG_DECIDED);
}

Test(slot, a_client_withdraws_its_own_job_while_nobody_has_it)
{
	const uint64_t queued = queue(CADRE_FLAG_IDEMPOTENT);
	uint64_t claimed;

	cr_assert(cadre_slot_withdraw(&slot, queued));
	cr_assert_eq(get().phase, CADRE_DONE);
	cr_assert_eq(get().outcome, CADRE_WITHDRAWN);
	cr_assert_not(cadre_slot_claim(&slot, queued, WORKER, &claimed));
}

Test(slot, a_job_that_was_claimed_decided_or_awaited_meanwhile_is_not_withdrawn)
{
	const uint64_t queued = queue(0);
	const uint64_t others[] = {
		cadre_slot_await(&slot, 1),
		queued ^ CADRE_QUEUED ^ CADRE_RUNNING,
		queued ^ CADRE_QUEUED ^ CADRE_DONE,
	};

	for (unsigned i = 0; i < CADRE_COUNT_OF(others); i++) {
		atomic_store(&slot.request.word, others[i]);
		cr_assert_not(cadre_slot_withdraw(&slot, queued), "case %u", i);
		cr_assert_eq(cadre_slot_peek(&slot), others[i], "case %u", i);
	}
}

Test(slot, only_a_queued_job_is_withdrawn)
{
	for (unsigned phase = 0; phase <= 7; phase++) {
		put((struct cadre_word){ .phase = (enum cadre_phase)phase,
					 .generation = 1 });
		const uint64_t seen = cadre_slot_peek(&slot);

		cr_assert_eq(cadre_slot_withdraw(&slot, seen), phase == CADRE_QUEUED,
			     "phase %u", phase);
	}
}

/* ---- after the death of a worker ---- */

Test(slot, requeue_raises_the_attempt_and_frees_the_job_of_its_owner)
{
	const uint64_t claimed = run(CADRE_FLAG_IDEMPOTENT);

	cr_assert(cadre_slot_requeue(&slot, claimed));

	cr_assert_eq(get().phase, CADRE_QUEUED);
	cr_assert_eq(get().attempt, 1);
	cr_assert_eq(get().owner, CADRE_OWNER_NONE);
	cr_assert_eq(get().generation, 1);
	cr_assert_eq(get().flags, CADRE_FLAG_IDEMPOTENT);
}

Test(slot, a_worker_that_was_only_thought_dead_cannot_finish_a_requeued_job)
{
	const uint64_t claimed = run(CADRE_FLAG_IDEMPOTENT);
	uint64_t again;

	cr_assert(cadre_slot_requeue(&slot, claimed));
	cr_assert_eq(cadre_slot_finish(&slot, claimed, CADRE_OK), 0);

	/* Even when the same place has claimed it again. */
	cr_assert(cadre_slot_claim(&slot, cadre_slot_peek(&slot), WORKER, &again));
	cr_assert_eq(cadre_slot_finish(&slot, claimed, CADRE_OK), 0);
	cr_assert_eq(get().phase, CADRE_RUNNING);
	cr_assert_eq(cadre_slot_finish(&slot, again, CADRE_OK), again);
}

Test(slot, requeue_keeps_the_waiter)
{
	run(CADRE_FLAG_IDEMPOTENT);
	cr_assert(cadre_slot_requeue(&slot, cadre_slot_await(&slot, 1)));

	cr_assert(get().flags & CADRE_FLAG_WAITING);
}

Test(slot, requeue_and_burial_refuse_a_word_that_changed_since_it_was_seen)
{
	const uint64_t seen = run(0);
	const uint64_t now = cadre_slot_await(&slot, 1);

	cr_assert_not(cadre_slot_requeue(&slot, seen));
	cr_assert_not(cadre_slot_bury(&slot, seen, CADRE_LOST));
	cr_assert_eq(cadre_slot_peek(&slot), now);
}

Test(slot, there_is_no_attempt_beyond_the_last_that_the_word_can_hold)
{
	const struct cadre_word last = { .phase = CADRE_RUNNING,
					 .owner = WORKER,
					 .attempt = CADRE_ATTEMPT_MAX,
					 .generation = 9 };

	/* One more would run over into the owner and make it a job for worker 0 alone. */
	put(last);

	cr_assert_not(cadre_slot_requeue(&slot, cadre_word_pack(last)));
	cr_assert_eq(cadre_slot_peek(&slot), cadre_word_pack(last));
}

Test(slot, burial_ends_the_job_as_lost)
{
	cr_assert(cadre_slot_bury(&slot, run(0), CADRE_LOST));

	cr_assert_eq(get().phase, CADRE_DONE);
	cr_assert_eq(get().outcome, CADRE_LOST);
	cr_assert_eq(get().owner, WORKER);
}

Test(slot, burial_keeps_an_outcome_that_was_decided_before_the_death)
{
	uint64_t replaced;

	run(0);
	cr_assert(cadre_slot_decide(&slot, 1, CADRE_TIMED_OUT, &replaced));
	cr_assert(cadre_slot_bury(&slot, cadre_slot_peek(&slot), CADRE_LOST));

	cr_assert_eq(get().outcome, CADRE_TIMED_OUT);
}

/* ---- the books ---- */

Test(slot, vacating_books_the_outcome_once)
{
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++) {
		uint64_t claimed;

		cr_assert(cadre_slot_claim(&slot, cadre_slot_publish(&slot, 0, 0), WORKER,
					   &claimed));
		cadre_slot_finish(&slot, claimed, (enum cadre_outcome)outcome);
		cadre_slot_vacate(&books, (enum cadre_outcome)outcome);

		cr_assert_eq(atomic_load(&books.ended[outcome]), 1);
		cr_assert_eq(cadre_books_sum(&books), outcome + 1);
		cr_assert_eq(get().generation, outcome + 1);
	}
}

Test(slot, freeing_does_not_book_again_what_was_booked_before_a_death)
{
	cadre_slot_finish(&slot, run(0), CADRE_OK);

	/* The client died behind the booking; its reaper frees. */
	cadre_slot_vacate(&books, CADRE_OK);
	cadre_slot_free_after_death(&slot, &books,
				    cadre_word_generation(cadre_slot_peek(&slot)),
				    CADRE_OK);

	cr_assert_eq(atomic_load(&books.ended[CADRE_OK]), 1);
	cr_assert_eq(get().phase, CADRE_FREE);
}

Test(slot, freeing_twice_after_a_death_books_once)
{
	cadre_slot_finish(&slot, run(0), CADRE_OK);

	cadre_slot_free_after_death(&slot, &books,
				    cadre_word_generation(cadre_slot_peek(&slot)),
				    CADRE_OK);
	cadre_slot_free_after_death(&slot, &books,
				    cadre_word_generation(cadre_slot_peek(&slot)),
				    CADRE_OK);

	cr_assert_eq(cadre_books_sum(&books), 1);
	cr_assert_eq(get().generation, 1);
}

Test(slot, books_of_a_free_slot_balance_only_when_every_job_is_booked)
{
	const uint64_t word = cadre_word_pack(
		(struct cadre_word){ .phase = CADRE_FREE, .generation = 10 });

	cr_assert(cadre_books_balance(word, 10));
	cr_assert_not(cadre_books_balance(word, 9), "freed first, booked afterwards");
	cr_assert_not(cadre_books_balance(word, 11), "booked twice");
}

Test(slot, books_of_a_slot_in_use_balance_with_the_present_job_booked_or_not)
{
	for (unsigned phase = CADRE_FILLING; phase <= CADRE_DONE; phase++) {
		const uint64_t word = cadre_word_pack((struct cadre_word){
			.phase = (enum cadre_phase)phase, .generation = 10 });

		cr_assert(cadre_books_balance(word, 9), "phase %u", phase);
		cr_assert(cadre_books_balance(word, 10), "phase %u", phase);
		cr_assert_not(cadre_books_balance(word, 8), "phase %u", phase);
		cr_assert_not(cadre_books_balance(word, 11), "phase %u", phase);
	}
}

/* No test can afford 2^40 jobs: start just below. */
Test(slot, life_and_books_go_on_when_the_generation_passes_zero)
{
	put_free(CADRE_GENERATION_MAX - 1);

	for (uint64_t job = 0; job < 4; job++) {
		const uint64_t generation = (CADRE_GENERATION_MAX + job) &
					    CADRE_GENERATION_MAX;
		uint64_t claimed;

		cr_assert(cadre_books_balance(cadre_slot_peek(&slot),
					      cadre_books_sum(&books)));
		cr_assert_neq(cadre_slot_fill(&slot), 0);
		cr_assert_eq(get().generation, generation);
		cr_assert(cadre_books_balance(cadre_slot_peek(&slot),
					      cadre_books_sum(&books)),
			  "job %u is filling", (unsigned)job);

		cr_assert(cadre_slot_claim(&slot, cadre_slot_publish(&slot, 0, 0), WORKER,
					   &claimed));
		cr_assert_eq(cadre_slot_finish(&slot, claimed, CADRE_OK), claimed);
		cadre_slot_vacate(&books, CADRE_OK);
		cr_assert(cadre_slot_is_vacant(cadre_slot_peek(&slot), &books));
		cr_assert_eq(get().generation, generation);
	}
	cr_assert_eq(atomic_load(&books.ended[CADRE_OK]), CADRE_GENERATION_MAX + 3);
}

/* A small job goes around the phase FILLING, and so around the place where the generation
 * is counted there. */
Test(slot, a_small_job_passes_zero_too)
{
	put_free(CADRE_GENERATION_MAX);

	cadre_slot_publish(&slot, CADRE_FLAG_IDEMPOTENT, WORKER);

	cr_assert_eq(get().generation, 0);
	cr_assert_eq(get().owner, WORKER);
	cr_assert_eq(get().flags, CADRE_FLAG_IDEMPOTENT);
}

/* ---- warrants ---- */

Test(slot, a_warrant_is_for_one_generation_only)
{
	struct cadre_warrant warrant = { 0 };

	cr_assert_eq(cadre_warrant_due_ns(&warrant, 1), INT64_MAX);
	cadre_warrant_issue(&warrant, 7, 1234);
	cr_assert_eq(cadre_warrant_due_ns(&warrant, 7), 1234);
	cr_assert_eq(cadre_warrant_due_ns(&warrant, 6), INT64_MAX);
	cr_assert_eq(cadre_warrant_due_ns(&warrant, 8), INT64_MAX);

	/* The last one counts. */
	cadre_warrant_issue(&warrant, 7, 99);
	cr_assert_eq(cadre_warrant_due_ns(&warrant, 7), 99);
}
