/*
 * draft.c - a payload that its client writes where it will be read: the slot, or its block,
 * is taken before the request is known.
 *
 * A draft is a berth (submit.h) that lies in its caller's hands between S1 and S2. Its id is its
 * position, plus one so that zero is none.
 */
#include "clock.h"
#include "submit.h"

#include <string.h>

CADRE_EACH_JOB int cadre_try_draft(struct cadre_client *client, size_t capacity,
				   struct cadre_draft *ret_draft)
{
	struct cadre_berth berth;
	int r = cadre_client_check_open(client);

	if (r < 0)
		return r;
	if (capacity > client->view.limits.payload_max)
		return -EMSGSIZE;
	r = cadre_berth_take(client, capacity, CADRE_INLINE_MAX, &berth);
	if (r < 0)
		return r;
	*ret_draft = (struct cadre_draft){
		.data = berth.data,
		.capacity = capacity,
		.id = berth.position + 1,
	};
	return 0;
}

/* Workers decide by length where a payload lies. One in a block that is short enough for the
 * slot moves there; one in the slot that leaves no room for its token moves into a block. */
static int settle(struct cadre_client *client, const struct cadre_draft *draft,
		  size_t length, uint32_t inline_max, struct cadre_berth *berth)
{
	uint8_t bytes[CADRE_INLINE_MAX];
	int r;

	if (client->pending[berth->index].request_block != CADRE_NO_BLOCK) {
		if (length && length <= inline_max)
			memcpy(client->slots[berth->index].request.payload, draft->data,
			       length);
		return 0;
	}
	if (length <= inline_max)
		return 0;
	memcpy(bytes, draft->data, length);
	r = cadre_berth_prepare(client, length, inline_max, berth);
	if (r < 0)
		return r;
	memcpy(berth->data, bytes, length);
	return 0;
}

/* The ring lies in front of the payload, so a draft is copied behind a ring. */
static int turn_into_stream(struct cadre_client *client, const struct cadre_draft *draft,
			    const struct cadre_request *request, struct cadre_berth *berth)
{
	const uint32_t block = client->pending[berth->index].request_block;
	const int r = cadre_berth_prepare_stream(client, request, berth);

	if (r < 0)
		return r;
	if (request->length)
		memcpy(berth->data, draft->data, request->length);
	cadre_block_give(&client->blocks, block, client->slot_base + berth->index,
			 berth->generation);
	return 0;
}

/* The slot of a draft, as it was prepared. */
static struct cadre_berth berth_of(const struct cadre_client *client,
				   const struct cadre_draft *draft)
{
	const uint64_t position = draft->id - 1;
	const uint32_t index = (uint32_t)position & (client->slot_count - 1);

	return (struct cadre_berth){
		.position = position,
		.generation = cadre_client_generation(client, index),
		.data = draft->data,
		.index = index,
	};
}

CADRE_EACH_JOB int cadre_draft_submit(struct cadre_client *client,
				      struct cadre_draft *draft,
				      const struct cadre_request *request,
				      struct cadre_ticket *ret_ticket)
{
	struct cadre_request filled = *request;
	struct cadre_berth berth;
	struct cadre_aim aim;
	int64_t now_ns;
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	filled.data = draft->data;
	if (draft->id == 0 || filled.length > draft->capacity)
		return -EINVAL;
	r = cadre_request_check(client, &filled, &aim);
	if (r == -EHOSTDOWN)
		cadre_draft_discard(client, draft);
	if (r < 0)
		return r;
	if (!cadre_request_is_heard(&filled, ret_ticket))
		return -EINVAL;
	berth = berth_of(client, draft);
	r = cadre_client_check_open(client);
	if (r == 0 && !(filled.flags & CADRE_STREAM))
		r = settle(client, draft, filled.length,
			   cadre_request_inline_max(cadre_request_has(&filled)), &berth);
	if (r < 0) {
		cadre_draft_discard(client, draft);
		return r;
	}
	if (filled.flags & CADRE_STREAM)
		r = turn_into_stream(client, draft, &filled, &berth);
	if (r < 0)
		return r;
	now_ns = cadre_clock_ns();
	/* It is written already. */
	berth.data = draft->data;
	r = cadre_berth_write(client, &berth, &filled, &aim, now_ns);
	if (r < 0) {
		cadre_draft_discard(client, draft);
		return r;
	}
	if (ret_ticket)
		*ret_ticket = cadre_ticket_make(berth.index, berth.generation);
	draft->id = 0;
	r = cadre_berth_publish(client, &berth, &filled, &aim);
	return r < 0 ? r :
		       cadre_berth_announce(client, &berth, aim.owner == CADRE_OWNER_NONE,
					    now_ns);
}

void cadre_draft_discard(struct cadre_client *client, struct cadre_draft *draft)
{
	const uint32_t index = (uint32_t)(draft->id - 1) & (client->slot_count - 1);

	if (draft->id == 0 || cadre_client_enter(client) < 0)
		return;
	draft->id = 0;
	cadre_berth_abandon(client, index);
}
