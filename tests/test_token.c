/*
 * Claims about token.c: which state of a token follows from which, what composites and
 * clocks make of their members, and that nothing that stands in the cells leads it astray.
 *
 * Everything runs on a table in private memory; two parties that race are built by putting
 * the word of the other one in between.
 */
#include "token.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#define CELLS 12u
#define WORDS (sizeof(struct cadre_token_cell) / 8)
#define ME 3u
#define NOW INT64_C(1000)

static struct cadre_token_cell cells[CELLS];
static _Atomic uint32_t high;
static const struct cadre_token_table table = { .cells = cells,
						.count = CELLS,
						.high = &high };

static void fresh(void)
{
	memset(cells, 0, sizeof(cells));
	atomic_store(&high, 0);
}

TestSuite(token, .init = fresh);

static uint64_t make(struct cadre_token_plan plan)
{
	const uint64_t id = cadre_token_make(&table, ME, &plan);

	cr_assert_neq(id, 0);
	return id;
}

#define MAKE(...) make((struct cadre_token_plan){ __VA_ARGS__ })
#define HAND(...) MAKE(.kind = CADRE_TOKEN_CANCELLABLE, __VA_ARGS__)
#define TIME(ns, ...) MAKE(.kind = CADRE_TOKEN_TIMEOUT, .duration_ns = (ns), __VA_ARGS__)
#define PAIR(kind_, a, b, ...) \
	MAKE(.kind = (kind_), .members = { (a), (b) }, .member_count = 2, .depth = 1)

static enum cadre_token_phase phase_at(uint64_t id, int64_t now_ns)
{
	return cadre_token_view(&table, id, now_ns).phase;
}

static enum cadre_token_phase phase(uint64_t id)
{
	return phase_at(id, NOW);
}

static uint64_t word_of(uint64_t id)
{
	return atomic_load(&cadre_token_cell(&table, id)->word);
}

static void collect(uint64_t id)
{
	cr_assert(cadre_token_vacate(cadre_token_cell(&table, id), word_of(id)));
}

/* ---- the word ---- */

Test(token, a_word_survives_packing_whatever_its_parts_are)
{
	const struct cadre_token_word words[] = {
		{ 0 },
		{ .phase = CADRE_TOKEN_TIMED_OUT,
		  .released = true,
		  .kind = CADRE_TOKEN_ALL,
		  .depth = 3,
		  .reason = 7,
		  .owner = 511,
		  .generation = CADRE_TOKEN_GENERATION_MAX },
		{ .phase = CADRE_TOKEN_LIVE, .kind = CADRE_TOKEN_ANY, .generation = 1 },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const struct cadre_token_word back = cadre_token_unpack(
			cadre_token_pack(words[i]));

		cr_assert_eq(back.phase, words[i].phase);
		cr_assert_eq(back.released, words[i].released);
		cr_assert_eq(back.kind, words[i].kind);
		cr_assert_eq(back.depth, words[i].depth);
		cr_assert_eq(back.reason, words[i].reason);
		cr_assert_eq(back.owner, words[i].owner);
		cr_assert_eq(back.generation, words[i].generation);
	}
}

Test(token, every_bit_of_a_word_belongs_to_at_most_one_part)
{
	const struct cadre_token_word parts[] = {
		{ .phase = 7 },
		{ .released = true },
		{ .kind = 3 },
		{ .depth = 3 },
		{ .reason = 7 },
		{ .owner = 1023 },
		{ .generation = CADRE_TOKEN_GENERATION_MAX },
	};
	uint64_t all = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const uint64_t bits = cadre_token_pack(parts[i]);

		cr_assert_eq(all & bits, 0);
		all |= bits;
	}
}

/* ---- life ---- */

Test(token, zeroed_memory_holds_no_token)
{
	cr_assert_eq(cadre_token_count(&table), 0);
	for (uint32_t index = 0; index < CELLS; index++)
		cr_assert_eq(phase(cadre_token_id(index, 0)), CADRE_TOKEN_VACANT);
	cr_assert_null(cadre_token_cell(&table, 0));
	cr_assert_null(cadre_token_cell(&table, cadre_token_id(CELLS, 1)));
}

Test(token, one_is_made_ended_released_and_vacated)
{
	const uint64_t id = HAND(.message = "why");
	char text[100];

	cr_assert_eq(phase(id), CADRE_TOKEN_LIVE);
	cr_assert(cadre_token_end(&table, id));
	cr_assert_not(cadre_token_end(&table, id));
	cr_assert_eq(phase(id), CADRE_TOKEN_CANCELLED);
	cadre_token_say(&table, id, text, sizeof(text));
	cr_assert_str_eq(text, "why");

	cr_assert(cadre_token_let_go(&table, id));
	cr_assert_not(cadre_token_let_go(&table, id));
	cr_assert(cadre_token_view(&table, id, NOW).released);
	cr_assert_eq(cadre_token_count(&table), 1);
	collect(id);
	cr_assert_eq(cadre_token_count(&table), 0);
	cr_assert_eq(phase(id), CADRE_TOKEN_VACANT);
	cadre_token_say(&table, id, text, sizeof(text));
	cr_assert_str_empty(text);
}

Test(token, an_id_of_last_time_does_nothing_to_this_times_token)
{
	const uint64_t old = HAND();
	uint64_t new;

	cadre_token_let_go(&table, old);
	collect(old);
	new = HAND();
	cr_assert_eq(cadre_token_index(new), cadre_token_index(old));
	cr_assert_neq(new, old);
	cr_assert_not(cadre_token_end(&table, old));
	cr_assert_not(cadre_token_let_go(&table, old));
	cr_assert_not(cadre_token_start(&table, old, NOW));
	cr_assert_eq(phase(old), CADRE_TOKEN_VACANT);
	cr_assert_eq(phase(new), CADRE_TOKEN_LIVE);
}

Test(token, a_full_table_makes_no_more_until_one_is_vacated)
{
	uint64_t ids[CELLS];

	for (uint32_t i = 0; i < CELLS; i++)
		ids[i] = HAND();
	cr_assert_eq(cadre_token_make(&table, ME, &(struct cadre_token_plan){ 0 }), 0);
	cr_assert_eq(cadre_token_high(&table), CELLS);
	cadre_token_let_go(&table, ids[5]);
	collect(ids[5]);
	cr_assert_eq(cadre_token_index(HAND()), 5);
}

Test(token, one_that_changed_since_it_was_seen_is_not_vacated)
{
	const uint64_t id = HAND();
	const uint64_t seen = word_of(id);

	cadre_token_end(&table, id);
	cr_assert_not(cadre_token_vacate(cadre_token_cell(&table, id), seen));
	cr_assert_eq(phase(id), CADRE_TOKEN_CANCELLED);
}

Test(token, generations_pass_their_end_without_an_id_of_zero)
{
	atomic_store(&cells[0].word, cadre_token_pack((struct cadre_token_word){
					     .generation = CADRE_TOKEN_GENERATION_MAX }));
	cr_assert_eq(HAND(), cadre_token_id(0, 1));
	cr_assert_eq(phase(cadre_token_id(0, 1)), CADRE_TOKEN_LIVE);
}

Test(token, what_a_dead_client_had_is_released_and_what_it_was_making_is_vacated)
{
	const uint64_t live = HAND(), ended = HAND(), making = HAND();
	const struct cadre_token_plan plan = { 0 };
	const uint64_t other = cadre_token_make(&table, ME + 1, &plan);

	cadre_token_end(&table, ended);
	atomic_store(&cadre_token_cell(&table, making)->word,
		     cadre_token_pack((struct cadre_token_word){
			     .phase = CADRE_TOKEN_MAKING, .owner = ME, .generation = 1 }));
	cr_assert_eq(phase(making), CADRE_TOKEN_VACANT, "it is nobody's yet");
	/* Twice: a successor repeats it. */
	for (int round = 0; round < 2; round++) {
		cadre_token_let_go_of_all(&table, ME);
		cr_assert(cadre_token_view(&table, live, NOW).released);
		cr_assert(cadre_token_view(&table, ended, NOW).released);
		cr_assert_eq(phase(live), CADRE_TOKEN_LIVE);
		cr_assert_not(cadre_token_view(&table, other, NOW).released);
		cr_assert_eq(cadre_token_count(&table), 3);
	}
}

/* ---- clocks ---- */

Test(token, a_timeout_ends_its_duration_after_it_was_started_and_not_before)
{
	const uint64_t id = TIME(50);

	cr_assert_eq(phase_at(id, INT64_MAX - 1), CADRE_TOKEN_LIVE);
	cr_assert_eq(cadre_token_view(&table, id, NOW).due_ns, INT64_MAX);
	cr_assert(cadre_token_start(&table, id, NOW));
	cr_assert_not(cadre_token_start(&table, id, NOW + 20), "once");
	cr_assert_eq(cadre_token_view(&table, id, NOW).due_ns, NOW + 50);
	cr_assert_eq(phase_at(id, NOW + 49), CADRE_TOKEN_LIVE);
	cr_assert_eq(phase_at(id, NOW + 50), CADRE_TOKEN_TIMED_OUT);
	/* Written down: an older clock does not revive it. */
	cr_assert_eq(phase_at(id, NOW), CADRE_TOKEN_TIMED_OUT);
}

Test(token, the_first_look_after_the_end_and_no_other_says_that_it_wrote_it_down)
{
	const uint64_t id = TIME(50);

	cadre_token_start(&table, id, NOW);
	cr_assert_not(cadre_token_view(&table, id, NOW).changed);
	cr_assert(cadre_token_view(&table, id, NOW + 50).changed);
	cr_assert_not(cadre_token_view(&table, id, NOW + 50).changed);
}

Test(token, only_a_cancellable_one_ends_by_hand_and_only_a_timeout_has_a_clock)
{
	const uint64_t by_hand = HAND(), by_time = TIME(50);
	const uint64_t any = PAIR(CADRE_TOKEN_ANY, by_hand, by_hand);

	cr_assert_not(cadre_token_end(&table, by_time));
	cr_assert_not(cadre_token_end(&table, any));
	cr_assert_not(cadre_token_start(&table, by_hand, NOW));
	cr_assert_not(cadre_token_start(&table, any, NOW));
}

Test(token, a_duration_of_zero_is_over_at_once_and_one_without_end_never)
{
	const uint64_t none = TIME(0), forever = TIME(INT64_MAX);

	cr_assert_eq(phase(none), CADRE_TOKEN_TIMED_OUT);
	cr_assert(cadre_token_start(&table, forever, NOW));
	cr_assert_eq(cadre_token_view(&table, forever, NOW).due_ns, INT64_MAX);
}

Test(token, a_worker_that_was_stopped_does_not_start_the_clock_of_the_cells_next_token)
{
	const uint64_t old = TIME(50);
	const int64_t not_started = atomic_load(&cadre_token_cell(&table, old)->due_ns);
	uint64_t new;

	cadre_token_let_go(&table, old);
	collect(old);
	new = TIME(50);
	cr_assert_lt(not_started, 0);
	cr_assert_neq(atomic_load(&cadre_token_cell(&table, new)->due_ns), not_started);
}

/* ---- composites ---- */

Test(token, any_follows_its_first_member_and_all_its_last)
{
	const uint64_t a = HAND(.message = "a"), b = TIME(50, .message = "b");
	const uint64_t any = PAIR(CADRE_TOKEN_ANY, a, b);
	const uint64_t all = PAIR(CADRE_TOKEN_ALL, a, b);
	char text[100];

	cr_assert_eq(phase(any), CADRE_TOKEN_LIVE);
	cr_assert_eq(phase(all), CADRE_TOKEN_LIVE);
	cr_assert(cadre_token_start(&table, any, NOW), "it starts what is in it");
	cr_assert_not(cadre_token_start(&table, all, NOW), "once for all");
	cr_assert_eq(cadre_token_view(&table, any, NOW).due_ns, NOW + 50);
	cr_assert_eq(cadre_token_view(&table, all, NOW).due_ns, INT64_MAX);

	cr_assert_eq(phase_at(any, NOW + 50), CADRE_TOKEN_TIMED_OUT);
	cr_assert_eq(phase_at(all, NOW + 50), CADRE_TOKEN_LIVE);
	cadre_token_end(&table, a);
	cr_assert_eq(phase(any), CADRE_TOKEN_TIMED_OUT, "it has its reason");
	cr_assert_eq(phase(all), CADRE_TOKEN_CANCELLED);
	cadre_token_say(&table, any, text, sizeof(text));
	cr_assert_str_eq(text, "b");
	cadre_token_say(&table, all, text, sizeof(text));
	cr_assert_str_eq(text, "a; b");
}

Test(token, settling_writes_down_the_order_in_which_members_end)
{
	const uint64_t a = HAND(.message = "a"), b = HAND(.message = "b");
	const uint64_t any = PAIR(CADRE_TOKEN_ANY, a, b);
	char text[100];

	cadre_token_end(&table, b);
	cadre_token_settle(&table, NOW);
	cadre_token_end(&table, a);
	cadre_token_settle(&table, NOW);
	cadre_token_say(&table, any, text, sizeof(text));
	cr_assert_str_eq(text, "b");
}

Test(token, a_composites_own_message_stands_for_those_of_its_members)
{
	const uint64_t a = HAND(.message = "a");
	const uint64_t any = MAKE(.kind = CADRE_TOKEN_ANY, .members = { a },
				  .member_count = 1, .depth = 1, .message = "mine");
	char text[100];

	cadre_token_end(&table, a);
	cr_assert_eq(phase(any), CADRE_TOKEN_CANCELLED);
	cadre_token_say(&table, any, text, sizeof(text));
	cr_assert_str_eq(text, "mine");
}

Test(token, messages_are_cut_and_never_run_over)
{
	char longer[CADRE_SENTENCE_MAX + 20], text[CADRE_SENTENCE_MAX + 20], small[8];
	uint64_t id, all;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	id = HAND(.message = longer);
	all = PAIR(CADRE_TOKEN_ALL, id, id);
	cadre_token_end(&table, id);
	cr_assert_eq(phase(all), CADRE_TOKEN_CANCELLED);
	cadre_token_say(&table, id, text, sizeof(text));
	cr_assert_eq(strlen(text), CADRE_SENTENCE_MAX);
	cadre_token_say(&table, all, small, sizeof(small));
	cr_assert_eq(strlen(small), sizeof(small) - 1);
}

/* ---- whatever stands there ---- */

Test(token, a_composite_that_is_its_own_member_ends_every_look)
{
	const uint64_t a = HAND();
	const uint64_t any = PAIR(CADRE_TOKEN_ANY, a, a);
	struct cadre_token_cell *const cell = cadre_token_cell(&table, any);
	char text[100];

	atomic_store(&cell->members[0], any);
	atomic_store(&cell->member_count, UINT64_MAX);
	cr_assert_eq(phase(any), CADRE_TOKEN_LIVE);
	cadre_token_say(&table, any, text, sizeof(text));
	cadre_token_start(&table, any, NOW);
}

Test(token, cells_full_of_nonsense_are_looked_at_and_end_every_look)
{
	uint64_t random = 0x9e3779b97f4a7c15u;
	char text[160];

	atomic_store(&high, UINT32_MAX);
	for (int round = 0; round < 20000; round++) {
		uint64_t *const words = (uint64_t *)(void *)cells;

		for (size_t i = 0; i < CELLS * WORDS; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			words[i] = random;
			/* Mostly such as may lead on: live composites of small generations. */
			if (i % WORDS == 0 && random % 4)
				words[i] = (random & 0xff0) | CADRE_TOKEN_LIVE |
					   (random & 1) << 24;
			else if (random % 4)
				words[i] = random % 16 | (random & 1) << 24;
		}
		for (uint32_t index = 0; index < CELLS; index++) {
			const uint64_t id = cadre_token_id(
				index, atomic_load(&cells[index].word) >> 24);

			phase(id);
			cadre_token_start(&table, id, NOW);
			cadre_token_say(&table, id, text, sizeof(text));
			cr_assert_lt(strlen(text), sizeof(text));
		}
		cadre_token_settle(&table, NOW);
		cadre_token_let_go_of_all(&table, (unsigned)round % 1024);
	}
}

static _Atomic bool scribbles;

/* Each phase that the word can name, and between them that of a token whose time is over. */
static void *scribble(void *context)
{
	struct cadre_token_cell *const cell = context;
	const uint64_t word = atomic_load(&cell->word);

	for (int round = 0; round < 300000; round++) {
		atomic_store(&cell->word, (word & ~UINT64_C(7)) | (round & 7));
		atomic_store(&cell->word, word);
	}
	atomic_store(&scribbles, false);
	return NULL;
}

Test(token, whatever_is_scribbled_over_it_meanwhile_a_look_says_what_it_can_be)
{
	const uint64_t id = TIME(5);
	pthread_t thread;

	cadre_token_start(&table, id, NOW);
	atomic_store(&scribbles, true);
	cr_assert_eq(pthread_create(&thread, NULL, scribble, cadre_token_cell(&table, id)),
		     0);
	while (atomic_load(&scribbles)) {
		const enum cadre_token_phase seen = phase_at(id, NOW + 5);

		cr_assert(seen == CADRE_TOKEN_VACANT || (seen >= CADRE_TOKEN_LIVE &&
							 seen <= CADRE_TOKEN_TIMED_OUT),
			  "%d", (int)seen);
	}
	pthread_join(thread, NULL);
}
