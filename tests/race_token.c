/*
 * race_token.c - claims about token.c under threads that make, name, end, release and collect
 * tokens at once; meant for ThreadSanitizer, and useful without.
 *
 * Users name a token as a job does: they write its id where the collector looks, fence, and
 * look whether it was released meanwhile. From then on, as long as they name it, it is not
 * collected, and its end stands.
 */
#include "token.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELLS 64u
#define OWNERS 2u
#define USERS 2u
#define ROUNDS 3000u
#define HELD 8

static struct cadre_token_cell cells[CELLS];
static _Atomic uint32_t high;
static const struct cadre_token_table table = { .cells = cells,
						.count = CELLS,
						.high = &high };

/* What owners offer, and what users name. */
static _Atomic uint64_t offered[OWNERS];
static _Atomic uint64_t named[USERS];
static _Atomic unsigned owners_left = OWNERS;
static _Atomic uint64_t held, collected;
static _Atomic int64_t now_ns = 1;

static void check(bool holds, const char *claim)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", claim);
	exit(1);
}

static int64_t tick(void)
{
	return atomic_fetch_add_explicit(&now_ns, 1, memory_order_relaxed);
}

static void *own(void *argument)
{
	const unsigned me = (unsigned)(uintptr_t)argument;

	for (uint32_t round = 0; round < ROUNDS;) {
		const uint64_t other = atomic_load_explicit(&offered[(me + 1) % OWNERS],
							    memory_order_acquire);
		struct cadre_token_plan plan = { .kind = (enum cadre_token_kind)(round % 3),
						 .duration_ns = 50,
						 .message = "of a race" };
		uint64_t id;

		if (plan.kind == CADRE_TOKEN_ANY) {
			plan.members[0] = other;
			plan.member_count = 1;
			plan.depth = 1;
		}
		id = cadre_token_make(&table, me, &plan);
		if (id == 0) {
			sched_yield();
			continue;
		}
		atomic_store_explicit(&offered[me], id, memory_order_release);
		if (round % 4 == 0)
			sched_yield();
		if (round % 2)
			cadre_token_end(&table, id);
		check(cadre_token_let_go(&table, id), "only its owner releases a token");
		round++;
	}
	atomic_fetch_sub(&owners_left, 1);
	return NULL;
}

/* As long as it is named. */
static void hold(uint64_t id)
{
	enum cadre_token_phase before = CADRE_TOKEN_LIVE;
	char text[160];

	cadre_token_start(&table, id, tick());
	for (int look = 0; look < HELD; look++) {
		const enum cadre_token_phase phase =
			cadre_token_view(&table, id, tick()).phase;

		check(phase != CADRE_TOKEN_VACANT,
		      "a token that is named is not collected");
		check(before == CADRE_TOKEN_LIVE || phase == before,
		      "a token that has ended stays as it ended");
		before = phase;
		cadre_token_say(&table, id, text, sizeof(text));
		check(strcmp(text, "of a race") == 0, "its message is its own");
		sched_yield();
	}
	atomic_fetch_add_explicit(&held, 1, memory_order_relaxed);
}

static void *use(void *argument)
{
	const unsigned me = (unsigned)(uintptr_t)argument;
	unsigned turn = me;

	while (atomic_load(&owners_left) > 0) {
		const uint64_t id = atomic_load_explicit(&offered[turn++ % OWNERS],
							 memory_order_acquire);
		struct cadre_token_view seen;

		atomic_store_explicit(&named[me], id, memory_order_release);
		/* ThreadSanitizer knows no fences; what they order here are atomics. */
		atomic_thread_fence(memory_order_seq_cst); /* O3, pairs with O5 */
		seen = cadre_token_view(&table, id, tick());
		if (seen.phase != CADRE_TOKEN_VACANT && !seen.released)
			hold(id);
		atomic_store_explicit(&named[me], 0, memory_order_release);
		sched_yield();
	}
	return NULL;
}

static bool is_named(uint64_t id)
{
	for (unsigned user = 0; user < USERS; user++) {
		if (atomic_load_explicit(&named[user], memory_order_acquire) == id)
			return true;
	}
	return false;
}

static void collect(void)
{
	for (uint32_t index = 0; index < CELLS; index++) {
		const uint64_t bits = atomic_load_explicit(&cells[index].word,
							   memory_order_acquire);
		const struct cadre_token_word word = cadre_token_unpack(bits);

		if (word.phase < CADRE_TOKEN_LIVE || !word.released)
			continue;
		atomic_thread_fence(memory_order_seq_cst); /* O5, pairs with O3 */
		if (is_named(cadre_token_id(index, word.generation)))
			continue;
		/* Time for somebody to name it just now: he must see that it was released. */
		sched_yield();
		if (cadre_token_vacate(&cells[index], bits))
			atomic_fetch_add_explicit(&collected, 1, memory_order_relaxed);
	}
}

static void *collect_all(void *argument)
{
	(void)argument;
	while (atomic_load(&owners_left) > 0) {
		collect();
		cadre_token_settle(&table, tick());
		sched_yield();
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[OWNERS + USERS + 2];
	size_t count = 0;

	for (uintptr_t i = 0; i < OWNERS; i++)
		pthread_create(&threads[count++], NULL, own, (void *)i);
	for (uintptr_t i = 0; i < USERS; i++)
		pthread_create(&threads[count++], NULL, use, (void *)i);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[count++], NULL, collect_all, NULL);
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	collect();
	check(cadre_token_count(&table) == 0, "none is left");
	check(atomic_load(&collected) == (uint64_t)OWNERS * ROUNDS,
	      "each that was made was collected once");
	check(atomic_load(&held) > 0, "some were held");
	printf("%llu held, %llu collected\n", (unsigned long long)atomic_load(&held),
	       (unsigned long long)atomic_load(&collected));
	return 0;
}
