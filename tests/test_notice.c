/*
 * test_notice.c - claims about notice.c: whose name keeps a token that was released. What ends
 * with a token is shown by the proc_token tests.
 */
#include "backdrop.h"
#include "notice.h"

#include <criterion/criterion.h>

#define SLOT 5u
#define JOB 7u /* its generation */

static struct scene scene;
static struct cadre_view view;
static uint64_t token;

static void begin(void)
{
	const struct cadre_limits limits = { .workers = 1,
					     .parallel = 1,
					     .clients = 2,
					     .slots = 8,
					     .tokens = 4,
					     .payload_max = 4096,
					     .block_bytes = 65536 };
	const struct cadre_token_plan plan = { .kind = CADRE_TOKEN_CANCELLABLE };

	backdrop_paint(&scene, &limits, &view);
	cadre_mask_set(&view.header->leased, 0);
	token = cadre_token_make(&view.tokens, 0, &plan);
	cr_assert_neq(token, 0);
	cadre_token_let_go(&view.tokens, token);
	atomic_store(&view.books[SLOT].ended[CADRE_OK], JOB - 1);
}

static void end(void)
{
	backdrop_remove(&scene, &view);
}

TestSuite(notice, .init = begin, .fini = end, .timeout = 60);

/* A job in that phase names the token. Is its cell given back? */
static bool is_collected(enum cadre_phase phase)
{
	struct cadre_slot *const slot = &view.slots[SLOT];

	slot->request.with = CADRE_WITH_TOKEN;
	atomic_store(&slot->request.token, token);
	atomic_store(&slot->request.word, cadre_word_pack((struct cadre_word){
						  .phase = phase, .generation = JOB }));
	return cadre_notice_collect(&view) == 1;
}

Test(notice, a_token_is_kept_by_a_job_that_its_client_may_ask_about)
{
	for (unsigned phase = CADRE_QUEUED; phase <= CADRE_DONE; phase++)
		cr_expect_not(is_collected((enum cadre_phase)phase), "phase %u", phase);
}

Test(notice, a_token_is_not_kept_by_a_job_that_its_client_is_done_with)
{
	cadre_slot_vacate(&view.books[SLOT], CADRE_OK);
	cr_expect(is_collected(CADRE_DONE));
}

Test(notice, a_token_is_not_kept_by_what_stands_in_a_slot_without_a_job)
{
	cr_expect(is_collected(CADRE_FREE));
}
