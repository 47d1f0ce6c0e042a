/*
 * Claims about block.c: a block is free exactly when no living job owns it, and a number
 * out of the segment is looked at before it is followed.
 */
#include "block.h"

#include <criterion/criterion.h>
#include <string.h>

#define SLOTS 4u
#define PAYLOAD 20000u /* classes of 1024, 8192 and 20032 bytes */
#define BUDGET (3u * 4u * 20032u)

static struct cadre_books books[SLOTS];
static struct cadre_block_plan plan;
static struct cadre_block_owner owners[256];
static unsigned char arena[512 * 1024];
static struct cadre_block_pool pool;

static void fresh(void)
{
	memset(books, 0, sizeof(books));
	memset(owners, 0, sizeof(owners));
	plan = cadre_block_plan(PAYLOAD, BUDGET);
	cr_assert_leq(plan.total, CADRE_COUNT_OF(owners));
	cr_assert_leq(plan.bytes, sizeof(arena));
	pool = (struct cadre_block_pool){ .plan = &plan,
					  .owners = owners,
					  .arena = arena,
					  .books = books,
					  .slot_count = SLOTS };
}

TestSuite(block, .init = fresh);

/* So many jobs of that slot are booked. */
static void put_booked(uint32_t slot, uint64_t jobs)
{
	memset(&books[slot], 0, sizeof(books[slot]));
	atomic_store(&books[slot].ended[CADRE_OK], jobs / 2);
	atomic_store(&books[slot].ended[CADRE_LOST], jobs - jobs / 2);
}

static void put_owner(uint32_t block, uint64_t slot_plus_one, uint64_t generation)
{
	atomic_store(&owners[block].word, slot_plus_one << 40 | generation);
}

/* A job of generation 5 in that slot. */
static void put_job(uint32_t slot)
{
	put_booked(slot, 4);
}

static void end_job(uint32_t slot)
{
	cadre_slot_vacate(&books[slot], CADRE_FAILED);
}

static uint32_t used(uint32_t size_class)
{
	uint32_t counts[CADRE_BLOCK_CLASSES];

	cadre_block_count_used(&pool, counts);
	return counts[size_class];
}

/* Whether the first block of the first class can be had, with all others taken. */
static bool can_take_block_zero(void)
{
	uint64_t before = atomic_load(&owners[0].word);
	bool taken;

	put_job(3);
	for (uint32_t block = 1; block < plan.total; block++)
		put_owner(block, 4, 5);
	taken = cadre_block_take(&pool, 1, 3, 5) == 0;
	if (!taken)
		cr_assert_eq(atomic_load(&owners[0].word), before);
	return taken;
}

/* ---- who owns a block ---- */

Test(block, a_block_that_nobody_ever_had_is_free)
{
	cr_assert(can_take_block_zero());
}

Test(block, an_owner_that_names_no_slot_of_the_pool_owns_nothing)
{
	put_owner(0, SLOTS + 1, 5);
	cr_assert(can_take_block_zero());

	put_owner(0, 0, 5);
	cr_assert(can_take_block_zero());

	put_owner(0, (1u << 24) - 1, CADRE_GENERATION_MAX);
	cr_assert(can_take_block_zero());
}

Test(block, the_block_of_a_job_that_is_not_booked_is_taken)
{
	put_owner(0, 1, 5);
	put_job(0);
	cr_assert_not(can_take_block_zero());
}

Test(block, the_block_of_a_job_that_was_booked_is_free_although_nobody_gave_it_back)
{
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++) {
		put_owner(0, 1, 5);
		put_job(0);
		cadre_slot_vacate(&books[0], (enum cadre_outcome)outcome);
		cr_assert(can_take_block_zero(), "outcome %u", outcome);
	}
}

Test(block, the_block_of_an_earlier_job_is_free_however_many_came_behind_it)
{
	for (uint64_t jobs = 5; jobs < CADRE_GENERATION_MAX / 2; jobs *= 3) {
		put_owner(0, 1, 5);
		put_booked(0, jobs);
		cr_assert(can_take_block_zero(), "%llu jobs", (unsigned long long)jobs);
	}
}

/* The job before was booked before this one took its block, so who sees less looks at an old
 * value. */
Test(block, books_that_do_not_have_the_job_before_mean_taken)
{
	for (uint64_t jobs = 0; jobs < 4; jobs++) {
		put_owner(0, 1, 5);
		put_booked(0, jobs);
		cr_assert_not(can_take_block_zero(), "%llu jobs",
			      (unsigned long long)jobs);
	}
}

/* No test can afford 2^40 jobs. */
Test(block, the_rule_holds_when_the_generation_passes_zero)
{
	for (uint64_t more = 0; more < 4; more++) {
		const uint64_t job = (CADRE_GENERATION_MAX - 1 + more) &
				     CADRE_GENERATION_MAX;

		put_owner(0, 1, job);
		put_booked(0, CADRE_GENERATION_MAX - 2 + more);
		cr_assert_not(can_take_block_zero(), "job %llu", (unsigned long long)job);
		end_job(0);
		cr_assert(can_take_block_zero(), "job %llu", (unsigned long long)job);
	}
}

Test(block, what_is_counted_as_used_is_what_cannot_be_taken)
{
	put_job(0);
	put_job(1);
	cr_assert_eq(used(0), 0);

	const uint32_t small = cadre_block_take(&pool, 1024, 0, 5);
	const uint32_t large = cadre_block_take(&pool, PAYLOAD, 1, 5);

	cr_assert_eq(used(0), 1);
	cr_assert_eq(used(1), 0);
	cr_assert_eq(used(2), 1);

	cadre_block_give(&pool, small, 0, 5);
	end_job(1);
	cr_assert_eq(used(0), 0);
	cr_assert_eq(used(2), 0, "block %u died with its job", large);
}

/* ---- taking ---- */

Test(block, a_payload_gets_the_smallest_class_that_holds_it)
{
	put_job(0);

	cr_assert_eq(cadre_block_take(&pool, 1, 0, 5), plan.first[0]);
	cr_assert_eq(cadre_block_take(&pool, 1024, 0, 5), plan.first[0] + 1);
	cr_assert_eq(cadre_block_take(&pool, 1025, 0, 5), plan.first[1]);
	cr_assert_eq(cadre_block_take(&pool, 8192, 0, 5), plan.first[1] + 1);
	cr_assert_eq(cadre_block_take(&pool, 8193, 0, 5), plan.first[2]);
	cr_assert_eq(cadre_block_take(&pool, PAYLOAD, 0, 5), plan.first[2] + 1);
}

Test(block, whatever_was_taken_before_each_size_gets_its_class_and_its_bytes)
{
	static const uint64_t sizes[] = { 20000, 1, 1024, 1025, 8192, 8193, 20001, 500 };
	static const uint64_t expected[] = { 20032, 1024,  1024,  8192,
					     8192,  20032, 20032, 1024 };

	put_job(0);
	for (size_t i = 0; i < CADRE_COUNT_OF(sizes) * CADRE_COUNT_OF(sizes); i++) {
		const size_t first = i / CADRE_COUNT_OF(sizes);
		const size_t second = i % CADRE_COUNT_OF(sizes);
		uint64_t size, size_again;
		uint32_t block;

		cadre_block_give(&pool, cadre_block_take(&pool, sizes[first], 0, 5), 0, 5);
		block = cadre_block_take(&pool, sizes[second], 0, 5);
		cr_assert_lt(block, plan.total);
		cr_assert_eq(cadre_block_room(&pool, block, &size),
			     cadre_block_bytes(&pool, block, 0, 5, &size_again));
		cr_assert_eq(size, expected[second]);
		cr_assert_eq(size_again, size);
		cadre_block_give(&pool, block, 0, 5);
	}
}

Test(block, an_exhausted_class_is_helped_out_by_the_next)
{
	put_job(0);
	for (uint32_t n = 0; n < plan.count[0]; n++)
		cr_assert_lt(cadre_block_take(&pool, 1000, 0, 5), plan.first[1]);

	cr_assert_eq(cadre_block_take(&pool, 1000, 0, 5), plan.first[1]);
}

Test(block, when_every_class_is_exhausted_there_is_none)
{
	put_job(0);
	for (uint32_t n = 0; n < plan.total; n++)
		cr_assert_neq(cadre_block_take(&pool, 1, 0, 5), CADRE_NO_BLOCK);

	cr_assert_eq(cadre_block_take(&pool, 1, 0, 5), CADRE_NO_BLOCK);
	cr_assert_eq(used(0) + used(1) + used(2), plan.total);
}

Test(block, what_is_larger_than_the_largest_class_gets_none)
{
	put_job(0);

	cr_assert_eq(cadre_block_take(&pool, plan.size[2] + 1, 0, 5), CADRE_NO_BLOCK);
	cr_assert_eq(cadre_block_take(&pool, UINT64_MAX, 0, 5), CADRE_NO_BLOCK);
}

Test(block, a_smaller_class_never_helps_out_a_larger_one)
{
	put_job(0);
	for (uint32_t n = 0; n < plan.count[2]; n++)
		cr_assert_neq(cadre_block_take(&pool, PAYLOAD, 0, 5), CADRE_NO_BLOCK);

	cr_assert_eq(cadre_block_take(&pool, PAYLOAD, 0, 5), CADRE_NO_BLOCK);
	cr_assert_eq(used(0), 0);
}

Test(block, no_two_jobs_have_the_same_block)
{
	bool seen[CADRE_COUNT_OF(owners)] = { false };
	uint32_t block;

	put_job(0);
	put_job(1);
	for (uint32_t n = 0; n < plan.total; n++) {
		block = cadre_block_take(&pool, 1, n % 2, 5);
		cr_assert_lt(block, plan.total);
		cr_assert_not(seen[block]);
		seen[block] = true;
	}
}

Test(block, requests_that_wait_leave_a_reply_of_every_size_its_block)
{
	struct cadre_block_pool worker = pool;

	put_job(0);
	put_job(1);
	pool.for_requests = true;
	while (cadre_block_take(&pool, 1, 0, 5) != CADRE_NO_BLOCK)
		continue;

	for (uint32_t i = 0; i < plan.classes; i++) {
		cr_assert_leq(used(i), plan.count[i] - 1, "class %u", i);
		cr_assert_neq(cadre_block_take(&worker, plan.size[i], 1, 5),
			      CADRE_NO_BLOCK, "class %u", i);
	}
}

Test(block, a_pool_with_the_fewest_blocks_still_has_one_for_a_request_and_one_for_a_reply)
{
	struct cadre_block_pool worker;

	plan = cadre_block_plan(PAYLOAD, 0);
	worker = pool;
	pool.for_requests = true;
	put_job(0);

	cr_assert_neq(cadre_block_take(&pool, PAYLOAD, 0, 5), CADRE_NO_BLOCK);
	cr_assert_eq(cadre_block_take(&pool, PAYLOAD, 0, 5), CADRE_NO_BLOCK);
	cr_assert_neq(cadre_block_take(&worker, PAYLOAD, 0, 5), CADRE_NO_BLOCK);
	cr_assert_eq(cadre_block_take(&worker, PAYLOAD, 0, 5), CADRE_NO_BLOCK);
}

Test(block, a_reply_that_a_client_gives_back_does_not_lead_its_requests_astray)
{
	struct cadre_block_pool worker = pool;
	uint32_t reply = 0;

	/* A reply in the half that requests never touch. */
	put_job(0);
	while (reply < plan.count[0] - 1)
		reply = cadre_block_take(&worker, 1, 0, 5);
	pool.for_requests = true;
	cadre_block_give(&pool, reply, 0, 5);

	cr_assert_geq(cadre_block_take(&pool, 1, 0, 5), plan.first[1],
		      "only that block is free in its class, and it is not for requests");
}

Test(block, a_search_may_begin_at_any_hint)
{
	put_job(0);
	atomic_store(&pool.hot[0], UINT32_MAX);

	for (uint32_t n = 0; n < plan.count[0]; n++)
		cr_assert_lt(cadre_block_take(&pool, 1, 0, 5), plan.first[1]);
}

/* ---- giving back ---- */

Test(block, the_block_given_back_last_is_taken_first)
{
	uint32_t blocks[5];

	put_job(0);
	for (unsigned i = 0; i < CADRE_COUNT_OF(blocks); i++)
		blocks[i] = cadre_block_take(&pool, 1, 0, 5);

	cadre_block_give(&pool, blocks[1], 0, 5);
	cadre_block_give(&pool, blocks[3], 0, 5);

	cr_assert_eq(cadre_block_take(&pool, 1, 0, 5), blocks[3]);
}

Test(block, the_block_that_is_remembered_is_taken_first_as_soon_as_its_slot_is_free)
{
	uint32_t blocks[5];

	put_job(0);
	for (unsigned i = 0; i < CADRE_COUNT_OF(blocks); i++)
		blocks[i] = cadre_block_take(&pool, 1, 0, 5);
	put_job(1);

	cadre_block_remember(&pool, blocks[3]);
	cr_assert_neq(cadre_block_take(&pool, 1, 1, 5), blocks[3], "job 0 still has it");
	end_job(0);
	cadre_block_remember(&pool, blocks[3]);
	cr_assert_eq(cadre_block_take(&pool, 1, 1, 5), blocks[3]);
}

Test(block, what_is_remembered_must_be_a_block_that_this_process_may_take)
{
	const uint32_t first = plan.first[0], half = plan.count[0] - plan.count[0] / 2;
	const uint32_t numbers[] = { first + half + 1, first + plan.count[0] - 1,
				     plan.total, CADRE_NO_BLOCK };

	pool.for_requests = true;
	put_job(0);
	for (size_t i = 0; i < CADRE_COUNT_OF(numbers); i++) {
		cadre_block_remember(&pool, first);
		cadre_block_remember(&pool, numbers[i]);
		cr_assert_eq(cadre_block_take(&pool, 1, 0, 5), first);
		cadre_block_give(&pool, first, 0, 5);
	}
}

Test(block, a_job_that_takes_and_gives_in_turn_always_has_the_same_hot_block)
{
	put_job(0);
	const uint32_t first = cadre_block_take(&pool, 9000, 0, 5);

	for (unsigned round = 0; round < 100; round++) {
		cadre_block_give(&pool, first, 0, 5);
		cr_assert_eq(cadre_block_take(&pool, 9000, 0, 5), first);
	}
}

Test(block, the_block_that_was_read_last_is_taken_next_once_it_is_free)
{
	put_job(0);
	put_job(1);
	put_owner(3, 1, 5);
	cadre_block_prefer(&pool, 3);

	cr_assert_neq(cadre_block_take(&pool, 1, 1, 5), 3, "job 0 still has it");
	end_job(0);
	cr_assert_eq(cadre_block_take(&pool, 1, 1, 5), 3);
}

Test(block, what_is_preferred_has_to_be_of_the_size_that_is_asked_for)
{
	put_job(0);
	cadre_block_prefer(&pool, 0);
	cr_assert_eq(cadre_block_take(&pool, 5000, 0, 5), plan.first[1]);
}

Test(block, whatever_number_is_preferred_a_block_of_the_pool_is_taken)
{
	const uint32_t numbers[] = { plan.total, plan.total + 1, CADRE_NO_BLOCK - 1,
				     CADRE_NO_BLOCK };

	put_job(0);
	for (size_t i = 0; i < CADRE_COUNT_OF(numbers); i++) {
		cadre_block_prefer(&pool, numbers[i]);
		cr_assert_lt(cadre_block_take(&pool, 1, 0, 5), plan.total);
	}
}

Test(block, a_request_does_not_get_a_block_for_replies_although_it_is_preferred)
{
	put_job(0);
	pool.for_requests = true;
	cadre_block_prefer(&pool, plan.count[0] - 1);
	cr_assert_lt(cadre_block_take(&pool, 1, 0, 5), plan.count[0] - plan.count[0] / 2);
}

Test(block, giving_back_what_belongs_to_another_job_does_nothing)
{
	put_job(0);
	put_job(1);
	const uint32_t block = cadre_block_take(&pool, 1, 0, 5);
	const uint64_t before = atomic_load(&owners[block].word);

	cadre_block_give(&pool, block, 0, 4);
	cadre_block_give(&pool, block, 0, 6);
	cadre_block_give(&pool, block, 1, 5);

	cr_assert_eq(atomic_load(&owners[block].word), before);
	cr_assert_eq(used(0), 1);
}

Test(block, giving_back_twice_does_not_take_it_from_its_next_owner)
{
	put_job(0);
	put_job(1);
	const uint32_t block = cadre_block_take(&pool, 1, 0, 5);

	cadre_block_give(&pool, block, 0, 5);
	cr_assert_eq(cadre_block_take(&pool, 1, 1, 5), block);
	cadre_block_give(&pool, block, 0, 5);

	cr_assert_eq(used(0), 1);
}

Test(block, giving_back_a_number_out_of_range_touches_nothing)
{
	uint64_t sum = 0;

	put_job(0);
	for (uint32_t block = 0; block < CADRE_COUNT_OF(owners); block++)
		put_owner(block, 1, 5);

	cadre_block_give(&pool, plan.total, 0, 5);
	cadre_block_give(&pool, CADRE_NO_BLOCK, 0, 5);

	for (uint32_t block = 0; block < CADRE_COUNT_OF(owners); block++)
		sum += atomic_load(&owners[block].word) != 0;
	cr_assert_eq(sum, CADRE_COUNT_OF(owners));
}

/* ---- following a number out of the segment ---- */

Test(block, a_number_out_of_range_leads_nowhere)
{
	uint64_t size = 99;

	cr_assert_null(cadre_block_bytes(&pool, plan.total, 0, 5, &size));
	cr_assert_null(cadre_block_bytes(&pool, CADRE_NO_BLOCK, 0, 5, &size));
	cr_assert_eq(size, 99, "the size must not be touched on failure");
}

Test(block, a_block_of_another_job_leads_nowhere)
{
	uint64_t size = 99;

	put_job(0);
	put_job(1);
	const uint32_t block = cadre_block_take(&pool, 1, 0, 5);

	cr_assert_null(cadre_block_bytes(&pool, block, 1, 5, &size));
	cr_assert_null(cadre_block_bytes(&pool, block, 0, 4, &size));
	cr_assert_null(cadre_block_bytes(&pool, block, 0, 6, &size));
	cr_assert_eq(size, 99);
}

Test(block, a_seal_opens_its_own_block_of_its_own_job_and_nothing_else)
{
	const uint32_t seal = cadre_block_seal(1, 0, 5);
	uint64_t size = 99, expected;

	put_owner(1, 1, 5);
	cr_assert_null(cadre_block_unseal(&pool, 2, seal, 0, 5, &size));
	cr_assert_null(cadre_block_unseal(&pool, 1, seal + 1, 0, 5, &size));
	cr_assert_null(cadre_block_unseal(&pool, 1, seal, 1, 5, &size));
	cr_assert_null(cadre_block_unseal(&pool, 1, seal, 0, 6, &size));
	cr_assert_null(cadre_block_unseal(&pool, plan.total,
					  cadre_block_seal(plan.total, 0, 5), 0, 5, &size));
	cr_assert_eq(size, 99, "the size must not be touched on failure");

	cr_assert_eq(cadre_block_unseal(&pool, 1, seal, 0, 5, &size),
		     cadre_block_bytes(&pool, 1, 0, 5, &expected));
	cr_assert_eq(size, expected);
}

/* Numbers and generations that lie beside each other are what a slot's lines hold by mistake. */
Test(block, seals_of_neighbours_differ)
{
	enum { NEAR = 64 };
	static uint32_t seals[NEAR * NEAR];
	unsigned alike = 0;

	for (uint32_t block = 0; block < NEAR; block++) {
		for (uint32_t generation = 0; generation < NEAR; generation++)
			seals[block * NEAR + generation] = cadre_block_seal(block, 0,
									    generation);
	}
	for (size_t i = 0; i < CADRE_COUNT_OF(seals); i++) {
		for (size_t j = i + 1; j < CADRE_COUNT_OF(seals); j++)
			alike += seals[i] == seals[j];
	}
	/* Of 8.4 million pairs two in a thousand times two are alike by chance. */
	cr_assert_eq(alike, 0);
}

Test(block, blocks_lie_in_the_arena_are_aligned_and_do_not_overlap)
{
	const unsigned char *end = arena;

	for (uint32_t block = 0; block < plan.total; block++) {
		uint64_t size = 0;

		put_owner(block, 1, 5);
		const unsigned char *const bytes = cadre_block_bytes(&pool, block, 0, 5,
								     &size);

		cr_assert_not_null(bytes);
		cr_assert_eq(bytes, end, "block %u begins where the last one ends", block);
		cr_assert_eq((bytes - arena) % CADRE_CACHE_LINE, 0);
		end = bytes + size;
	}
	cr_assert_eq(end, arena + plan.bytes);
}

Test(block, the_block_of_a_slot_beyond_the_first_million_keeps_its_owner_apart)
{
	/* 2^22 slots are the most that limits allow. */
	static const uint32_t slot = (1u << 22) - 1;
	uint64_t size;

	put_owner(0, (uint64_t)slot + 1, CADRE_GENERATION_MAX);

	cr_assert_not_null(cadre_block_bytes(&pool, 0, slot, CADRE_GENERATION_MAX, &size));
	cr_assert_null(cadre_block_bytes(&pool, 0, slot - 1, CADRE_GENERATION_MAX, &size));
}

/* ---- the plan ---- */

static void check_plan(uint64_t payload_max, uint64_t budget)
{
	const struct cadre_block_plan p = cadre_block_plan(payload_max, budget);
	uint64_t bytes = 0;
	uint32_t total = 0;

	cr_assert_leq(p.classes, CADRE_BLOCK_CLASSES);
	for (uint32_t size_class = 0; size_class < p.classes; size_class++) {
		cr_assert_geq(p.count[size_class], 2, "a request and its reply");
		cr_assert_eq(p.first[size_class], total);
		cr_assert_eq(p.offset[size_class], bytes);
		cr_assert_eq(p.size[size_class] % CADRE_CACHE_LINE, 0);
		cr_assert(size_class == 0 || p.size[size_class] > p.size[size_class - 1]);
		total += p.count[size_class];
		bytes += p.count[size_class] * p.size[size_class];
	}
	cr_assert_eq(p.total, total);
	cr_assert_eq(p.bytes, bytes);
	if (payload_max > CADRE_INLINE_MAX) {
		cr_assert_gt(p.classes, 0);
		cr_assert_geq(p.size[p.classes - 1], payload_max);
		cr_assert_lt(p.size[p.classes - 1] - payload_max, CADRE_CACHE_LINE);
	}
}

Test(block, a_plan_is_consistent_for_odd_payloads_and_tiny_budgets)
{
	static const uint64_t payloads[] = {
		0,
		1,
		CADRE_INLINE_MAX,
		CADRE_INLINE_MAX + 1,
		1000,
		1023,
		1024,
		1025,
		1087,
		1088,
		8191,
		8192,
		8193,
		65537,
		99999,
		(1u << 20) - 1,
		1u << 20,
		(1u << 20) + 1,
		1u << 30,
	};
	static const uint64_t budgets[] = { 0, 1, 1023, 20u << 20, UINT64_C(1) << 38 };

	for (unsigned p = 0; p < CADRE_COUNT_OF(payloads); p++) {
		for (unsigned b = 0; b < CADRE_COUNT_OF(budgets); b++)
			check_plan(payloads[p], budgets[b]);
	}
}

Test(block, a_pool_whose_payloads_fit_the_slot_has_no_blocks)
{
	cr_assert_eq(cadre_block_plan(CADRE_INLINE_MAX, 20u << 20).total, 0);
	cr_assert_eq(cadre_block_plan(0, 20u << 20).bytes, 0);
}

Test(block, a_plan_keeps_to_its_budget_when_that_allows_two_of_each)
{
	cr_assert_leq(cadre_block_plan(1u << 20, 20u << 20).bytes, 20u << 20);
	cr_assert_leq(cadre_block_plan(65536, 1u << 20).bytes, 1u << 20);
}

Test(block, a_pool_without_blocks_gives_none_and_follows_none)
{
	uint64_t size;

	plan = cadre_block_plan(0, 0);
	put_job(0);

	cr_assert_eq(cadre_block_take(&pool, 1, 0, 5), CADRE_NO_BLOCK);
	cr_assert_null(cadre_block_bytes(&pool, 0, 0, 5, &size));
	cadre_block_give(&pool, 0, 0, 5);
	cr_assert_eq(used(0), 0);
}
