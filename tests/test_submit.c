/*
 * test_submit.c - claims about submit.c: a slot that a detached job has left is used again when
 * that job has ended, and not before.
 */
#include "seating.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define SLOTS 8
#define INDEX 3
#define JOB 6 /* its generation */

static struct seating seating;

static void begin(void)
{
	seating_open(&seating, 1, 1, SLOTS);
}

static void end(void)
{
	cadre_completion_fini(seating.client);
	cadre_consume_fini(seating.client);
	cadre_forkguard_fini(&seating.client->guard);
	free(seating.client->pending);
	free(seating.client);
	cadre_layout_close(&seating.view);
	cadre_segment_remove(seating.scene.pool);
	scene_end(&seating.scene);
}

TestSuite(submit, .init = begin, .fini = end, .timeout = 60);

/* The client has left JOB to itself. The word is of that generation, and the jobs before JOB are
 * booked. */
static void leave(enum cadre_phase phase, uint64_t generation)
{
	struct cadre_client *const client = seating.client;

	atomic_store(&client->slots[INDEX].request.word,
		     cadre_word_pack((struct cadre_word){
			     .phase = phase, .generation = generation, .owner = 1 }));
	atomic_store(&client->books[INDEX].ended[CADRE_OK], JOB - 1);
	client->pending[INDEX].request_block = CADRE_NO_BLOCK;
	client->slots[INDEX].reply.block = CADRE_NO_BLOCK;
	atomic_store(&client->pending[INDEX].word,
		     cadre_pending_pack(CADRE_PENDING_LEFT, JOB));
	atomic_store(&client->in_use, 1);
}

static void expect_left(void)
{
	cr_expect_eq(atomic_load(&seating.client->pending[INDEX].word),
		     cadre_pending_pack(CADRE_PENDING_LEFT, JOB));
	cr_expect_eq(cadre_books_sum(&seating.client->books[INDEX]), JOB - 1);
	cr_expect_eq(atomic_load(&seating.client->in_use), 1);
}

Test(submit, a_job_that_was_left_is_booked_when_it_has_ended)
{
	leave(CADRE_DONE, JOB);
	cadre_client_reclaim_all(seating.client);
	cr_expect_eq(atomic_load(&seating.client->pending[INDEX].word),
		     CADRE_PENDING_VACANT);
	cr_expect_eq(cadre_books_sum(&seating.client->books[INDEX]), JOB);
	cr_expect_eq(atomic_load(&seating.client->in_use), 0);
}

Test(submit, a_job_that_was_left_keeps_its_slot_until_it_has_ended)
{
	leave(CADRE_QUEUED, JOB);
	cadre_client_reclaim_all(seating.client);
	expect_left();
	leave(CADRE_RUNNING, JOB);
	cadre_client_reclaim_all(seating.client);
	expect_left();
}

/* Another thread of the client is between V3 and S3: the word is still that of the job before,
 * which has ended and is booked. */
Test(submit, a_job_that_is_about_to_be_published_is_not_taken_for_the_one_before_it)
{
	leave(CADRE_DONE, JOB - 1);
	cadre_client_reclaim_all(seating.client);
	expect_left();
}
