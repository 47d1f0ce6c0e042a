/*
 * test_reaper.c - claims about reaper.c: what a worker's death means for jobs that have ended. What
 * becomes of all others, instruction by instruction, is shown by the sweep.
 */
#include "backdrop.h"
#include "reaper.h"

#include <criterion/criterion.h>

#define SLOT 5u
#define JOB 7u /* its generation */
#define OWNER 2u

static struct scene scene;
static struct cadre_view view;

static void begin(void)
{
	const struct cadre_limits limits = { .workers = 3,
					     .parallel = 1,
					     .clients = 2,
					     .slots = 8,
					     .tokens = 4,
					     .payload_max = 4096,
					     .block_bytes = 65536 };

	backdrop_paint(&scene, &limits, &view);
	cadre_mask_set(&view.header->leased, 0);
}

static void end(void)
{
	backdrop_remove(&scene, &view);
}

TestSuite(reaper, .init = begin, .fini = end, .timeout = 60);

/* Somebody sleeps, or slept, for a job that this worker ended. How often his bell is rung when
 * the worker is reaped. */
static uint32_t rings_at_death(unsigned owner)
{
	const struct cadre_obituary obituary = { .pid = 1 };
	const uint32_t before = view.client_bells[0].rings;

	atomic_store(&view.slots[SLOT].request.word,
		     cadre_word_pack((struct cadre_word){ .phase = CADRE_DONE,
							  .flags = CADRE_FLAG_WAITING,
							  .owner = owner,
							  .generation = JOB }));
	cadre_reap_worker(&view, OWNER - 1, obituary, NULL);
	return view.client_bells[0].rings - before;
}

Test(reaper, rings_for_a_job_that_ended_since_its_worker_may_have_died_before_it_did)
{
	atomic_store(&view.books[SLOT].ended[CADRE_OK], JOB - 1);
	cr_expect_eq(rings_at_death(OWNER), 1);
	cr_expect_eq(rings_at_death(OWNER + 1), 0, "somebody else ended it, and lives");
}

Test(reaper, rings_for_no_job_that_its_client_is_done_with)
{
	atomic_store(&view.books[SLOT].ended[CADRE_OK], JOB - 1);
	cadre_slot_vacate(&view.books[SLOT], CADRE_OK);
	cr_expect_eq(rings_at_death(OWNER), 0);
}

Test(reaper, frees_every_slot_of_a_client_and_books_each_job_once)
{
	struct cadre_books *const booked = &view.books[SLOT], *const open = booked + 1;

	for (struct cadre_books *books = booked; books <= open; books++) {
		atomic_store(&view.slots[books - view.books].request.word,
			     cadre_word_pack((struct cadre_word){ .phase = CADRE_DONE,
								  .outcome = CADRE_FAILED,
								  .owner = OWNER,
								  .generation = JOB }));
		atomic_store(&books->ended[CADRE_OK], JOB - 1);
	}
	cadre_slot_vacate(booked, CADRE_FAILED);

	for (unsigned pass = 0; pass < 2; pass++) {
		cr_expect_eq(cadre_reap_client(&view, 0), 0);
		for (struct cadre_books *books = booked; books <= open; books++) {
			cr_expect_eq(cadre_slot_peek(&view.slots[books - view.books]),
				     cadre_word_pack((struct cadre_word){
					     .phase = CADRE_FREE, .generation = JOB }));
			cr_expect_eq(cadre_books_sum(books), JOB);
			cr_expect_eq(atomic_load(&books->ended[CADRE_FAILED]), 1);
		}
	}
}
