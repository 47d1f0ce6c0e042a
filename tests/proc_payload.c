/*
 * proc_payload.c - claims about the bytes of a job on their way through a real pool: any
 * size, both ways, in place, and the blocks that the long ones need.
 */
#include "claims.h"
#include "layout.h"

#include <stdlib.h>

TestSuite(payload, TROUPE);

#define PAYLOAD_MAX (256u << 10)

static void expect_payload(const struct cadre_result *result, size_t length)
{
	cr_assert_eq(result->outcome, CADRE_OK, "%zu bytes: %s", length, result->sentence);
	cr_assert_eq(result->length, length);
	cr_assert_not_null(result->data);
	cr_assert_eq((uintptr_t)result->data % 8, 0, "%zu bytes", length);
	cr_assert(troupe_holds(result->data, length, (uint32_t)length), "%zu bytes",
		  length);
}

static void expect_echo(size_t length)
{
	unsigned char *const bytes = malloc(length + 1);
	const struct cadre_request request = { .operation = TROUPE_ECHO,
					       .data = bytes,
					       .length = length };
	struct cadre_result result;

	troupe_fill(bytes, length, (uint32_t)length);
	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	free(bytes);
	expect_payload(&result, length);
	release(&result);
}

Test(payload, payloads_of_any_size_come_back_intact)
{
	START(ONE_WORKER, .payload_max = PAYLOAD_MAX);
	cr_assert_eq(cadre_client_payload_max(troupe.client), PAYLOAD_MAX);

	for (size_t length = 0; length <= 200; length++)
		expect_echo(length);
	for (size_t length = 256; length <= PAYLOAD_MAX; length *= 2) {
		expect_echo(length - 1);
		expect_echo(length);
		if (length < PAYLOAD_MAX)
			expect_echo(length + 1);
	}
}

Test(payload, a_payload_longer_than_payload_max_is_refused_and_takes_nothing)
{
	const size_t length = PAYLOAD_MAX + 1;
	unsigned char *const bytes = calloc(1, length);
	const struct cadre_request request = { .operation = TROUPE_ECHO,
					       .data = bytes,
					       .length = length };
	struct cadre_draft draft;

	START(ONE_WORKER, .payload_max = PAYLOAD_MAX, .window_slots = 1);
	cr_assert_eq(try_submit(request), -EMSGSIZE);
	cr_assert_eq(cadre_try_draft(troupe.client, length, &draft), -EMSGSIZE);
	call_ok(ASK(TROUPE_LOG, 1));
	free(bytes);
}

Test(payload, a_payload_max_below_the_room_of_a_slot_is_kept_to)
{
	const struct cadre_request fits = { .operation = TROUPE_ECHO,
					    .data = "0123456789",
					    .length = 10 };
	struct cadre_request too_long = fits;

	too_long.length = 11;
	START(ONE_WORKER, .payload_max = 10);
	call_ok(fits);
	cr_assert_eq(try_submit(too_long), -EMSGSIZE);
	expect(submit(ASK(TROUPE_GROW, 11)), CADRE_FAILED);
}

Test(payload, a_reply_of_a_size_that_nobody_knew_grows_in_place)
{
	static const uint32_t lengths[] = { 0,   1,    87,    88,         89,
					    200, 5000, 70000, PAYLOAD_MAX };

	START(ONE_WORKER, .payload_max = PAYLOAD_MAX);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		const struct cadre_result result = await(
			submit(ASK(TROUPE_GROW, lengths[i])));

		expect_payload(&result, lengths[i]);
		release(&result);
	}
}

static struct cadre_draft draft_of(size_t capacity)
{
	struct cadre_draft draft;

	cr_assert_eq(cadre_try_draft(troupe.client, capacity, &draft), 0);
	cr_assert_eq(draft.capacity, capacity);
	cr_assert_eq((uintptr_t)draft.data % 8, 0);
	return draft;
}

/* Writes and submits `length` bytes of a draft of `capacity`; they must come back. */
static void send_draft(size_t capacity, size_t length)
{
	struct cadre_draft draft = draft_of(capacity);
	const struct cadre_request request = { .operation = TROUPE_ECHO,
					       .length = length };
	struct cadre_ticket ticket;
	struct cadre_result result;

	troupe_fill(draft.data, length, (uint32_t)length);
	cr_assert_eq(cadre_draft_submit(troupe.client, &draft, &request, &ticket), 0);
	result = await(ticket);
	expect_payload(&result, length);
	release(&result);
}

Test(payload, a_draft_is_written_in_place_and_may_be_submitted_shorter)
{
	START(ONE_WORKER, .payload_max = PAYLOAD_MAX, .window_slots = 1);
	send_draft(0, 0);
	send_draft(40, 40);
	send_draft(88, 10);
	send_draft(1000, 1000);
	send_draft(PAYLOAD_MAX, PAYLOAD_MAX);
	send_draft(PAYLOAD_MAX, 1000);
	/* In a block, and short enough for the slot: */
	send_draft(1000, 88);
	send_draft(1000, 1);
	send_draft(1000, 0);
}

Test(payload, a_draft_that_is_discarded_gives_slot_and_block_back)
{
	enum { ROUNDS = 200 };

	START(ONE_WORKER, .payload_max = 4096, .block_bytes = 8192, .window_slots = 2);
	for (int i = 0; i < ROUNDS; i++) {
		struct cadre_draft small = draft_of(10), large = draft_of(4096);

		cr_assert_eq(try_submit(ASK(TROUPE_LOG, 1)), -EAGAIN);
		cadre_draft_discard(troupe.client, &small);
		cadre_draft_discard(troupe.client, &large);
		cadre_draft_discard(troupe.client, &large);
	}
	send_draft(4096, 4096);
}

Test(payload, a_draft_outlives_a_request_that_is_wrong)
{
	const struct cadre_request longer = { .operation = TROUPE_ECHO, .length = 101 };
	const struct cadre_request unknown = { .operation = 0, .length = 1 };
	const struct cadre_request right = { .operation = TROUPE_ECHO, .length = 100 };
	struct cadre_draft draft;
	struct cadre_ticket ticket;

	START(ONE_WORKER, .window_slots = 1);
	draft = draft_of(100);
	cr_assert_eq(cadre_draft_submit(troupe.client, &draft, &longer, &ticket), -EINVAL);
	cr_assert_eq(cadre_draft_submit(troupe.client, &draft, &unknown, &ticket),
		     -EINVAL);
	cr_assert_eq(cadre_draft_submit(troupe.client, &draft, &right, NULL), -EINVAL);
	cr_assert_eq(cadre_draft_submit(troupe.client, &draft, &right, &ticket), 0);
	expect(ticket, CADRE_OK);
	cr_assert_eq(cadre_draft_submit(troupe.client, &draft, &right, &ticket), -EINVAL,
		     "it is gone");
}

Test(payload, blocks_that_are_all_in_use_come_back)
{
	enum { MOST = 64 };
	unsigned char bytes[4096] = { 0 };
	const struct cadre_request large = { .operation = TROUPE_SILENT,
					     .data = bytes,
					     .length = sizeof(bytes) };
	struct cadre_ticket tickets[MOST], first;
	int accepted = 0, r = 0;

	START(ONE_WORKER, .payload_max = 4096, .block_bytes = 32768, .window_slots = MOST);
	first = occupy_worker();
	while (r == 0 && accepted < MOST - 1) {
		r = cadre_try_submit(troupe.client, &large, &tickets[accepted]);
		accepted += r == 0;
	}
	cr_assert_eq(r, -ENOBUFS);
	cr_assert_gt(accepted, 0);
	/* No slot went with it, and what needs no block is accepted. */
	expect(submit(ASK(TROUPE_LOG, 1, .deadline_ns = 1)), CADRE_TIMED_OUT);

	open_gate(1);
	expect(first, CADRE_OK);
	for (int i = 0; i < accepted; i++)
		expect(tickets[i], CADRE_FAILED);
	for (int i = 0; i < accepted; i++)
		tickets[i] = submit(large);
	for (int i = 0; i < accepted; i++)
		expect(tickets[i], CADRE_FAILED);
}

Test(payload, a_handler_that_finds_no_block_for_its_reply_can_say_so)
{
	enum { MOST = 64 };
	struct cadre_result held[MOST];
	int count = 0;

	START(ONE_WORKER, .payload_max = 4096, .block_bytes = 32768, .window_slots = MOST);
	/* Results that are not released keep their blocks. */
	for (; count < MOST; count++) {
		held[count] = await(submit(ASK(TROUPE_GROW, 4096)));
		if (held[count].outcome != CADRE_OK)
			break;
	}
	cr_assert_gt(count, 0);
	cr_assert_lt(count, MOST);
	cr_assert_eq(held[count].outcome, CADRE_FAILED);
	cr_assert_eq(held[count].code, ENOBUFS);

	for (int i = 0; i <= count; i++)
		release(&held[i]);
	call_ok(ASK(TROUPE_GROW, 4096));
}

Test(payload, requests_that_wait_leave_half_of_the_blocks_to_replies)
{
	enum { MOST = 64 };
	struct cadre_draft drafts[MOST];
	int count = 0;

	START(ONE_WORKER, .payload_max = 4096, .block_bytes = 32768, .window_slots = MOST);
	while (count < MOST && cadre_try_draft(troupe.client, 4096, &drafts[count]) == 0)
		count++;
	cr_assert_gt(count, 0);
	cr_assert_lt(count, MOST);

	call_ok(ASK(TROUPE_GROW, 4096));
	while (count > 0)
		cadre_draft_discard(troupe.client, &drafts[--count]);
}

/* ---- what says where a payload lies was written over ---- */

static struct cadre_ticket send_long(const struct cadre_view *view, size_t length,
				     struct cadre_slot **ret_slot)
{
	static const unsigned char bytes[8192];
	const struct cadre_ticket ticket = submit((struct cadre_request){
		.operation = TROUPE_ECHO, .data = bytes, .length = length });
	uint32_t slot = 0;

	while (slot < view->slot_count && view->slots[slot].request.length != length)
		slot++;
	cr_assert_lt(slot, view->slot_count, "no slot has a request of %zu bytes", length);
	*ret_slot = &view->slots[slot];
	return ticket;
}

static void expect_damage(struct cadre_ticket ticket, enum cadre_outcome outcome,
			  int code, const char *sentence)
{
	const struct cadre_result result = await(ticket);

	cr_assert_eq(result.outcome, outcome, "%s", cadre_outcome_name(result.outcome));
	cr_assert_eq(result.code, code, "%d", result.code);
	cr_assert_str_eq(result.sentence, sentence);
	cr_assert_null(result.data);
	release(&result);
}

Test(payload,
     a_request_whose_block_is_not_its_own_fails_with_a_sentence_and_nothing_else_does)
{
	static const char sentence[] = "its request lies outside of the segment";
	struct cadre_slot *another_number, *no_number, *another_seal, *intact;
	struct cadre_ticket running, tickets[4];
	struct cadre_view view;

	START(ONE_WORKER, .payload_max = PAYLOAD_MAX);
	cr_assert_eq(cadre_layout_open(troupe.scene.pool, true, &view, NULL), 0);
	running = occupy_worker();
	tickets[0] = send_long(&view, 5000, &another_number);
	tickets[1] = send_long(&view, 5001, &no_number);
	tickets[2] = send_long(&view, 5002, &another_seal);
	tickets[3] = send_long(&view, 5003, &intact);
	another_number->request.block = intact->request.block;
	no_number->request.block = view.plan.total;
	another_seal->request.seal++;
	open_gate(1);

	expect(running, CADRE_OK);
	for (int i = 0; i < 3; i++)
		expect_damage(tickets[i], CADRE_FAILED, EBADMSG, sentence);
	expect(tickets[3], CADRE_OK);
	cadre_layout_close(&view);
}

Test(payload, a_reply_whose_block_is_not_its_own_is_lost_with_a_sentence)
{
	struct cadre_ticket ticket;
	struct cadre_slot *slot;
	struct cadre_view view;

	START(ONE_WORKER, .payload_max = PAYLOAD_MAX);
	cr_assert_eq(cadre_layout_open(troupe.scene.pool, true, &view, NULL), 0);
	for (int damage = 0; damage < 3; damage++) {
		ticket = send_long(&view, 5000 + (size_t)damage, &slot);
		cr_assert(eventually(cadre_word_phase(cadre_slot_look(slot)) ==
				     CADRE_DONE));
		if (damage == 0)
			slot->reply.block = slot->request.block;
		else if (damage == 1)
			slot->reply.block = view.plan.total;
		else
			slot->reply.seal++;
		expect_damage(ticket, CADRE_LOST, CADRE_STATUS_UNKNOWN,
			      "its reply lies outside of the segment");
	}
	call_ok(ASK(TROUPE_GROW, 5000));
	cadre_layout_close(&view);
}
