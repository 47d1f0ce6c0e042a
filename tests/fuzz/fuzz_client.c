/*
 * fuzz_client.c - a client's whole life over a segment that may change between and during
 * its calls: attach, submit, draft, await, take, cancel, release, dispatch, detach.
 */
#include "fuzz.h"

#include <cadre/stream.h>

#include "client.h"

#include <stdlib.h>
#include <string.h>

#define KEPT 8

/* What a program remembers between its calls. */
struct memory {
	struct fuzz_script script;
	struct cadre_client *client;
	struct cadre_ticket tickets[KEPT];
	struct cadre_result results[KEPT];
	bool has_result[KEPT];
	struct cadre_draft draft;
};

static unsigned char payload[4096];

static void read_result(const struct cadre_result *result)
{
	FUZZ_CHECK((unsigned)result->outcome < CADRE_OUTCOME_COUNT);
	FUZZ_CHECK(memchr(result->sentence, 0, sizeof(result->sentence)));
	if (result->outcome == CADRE_OK)
		fuzz_read(result->data, result->length);
}

static void ended(const struct cadre_result *result, void *context)
{
	struct memory *const memory = context;

	read_result(result);
	/* What happens meanwhile. */
	if (fuzz_byte(&memory->script) & 1) {
		struct cadre_request again = { .operation = 1, .flags = CADRE_DETACHED };

		cadre_try_submit(memory->client, &again, NULL);
	}
}

static int64_t a_time(struct fuzz_script *script)
{
	switch (fuzz_byte(script) & 3) {
	case 0:
		return 0;
	case 1:
		return cadre_now_ns() + fuzz_byte(script) * 1000000;
	case 2:
		return (int64_t)fuzz_value(script, 4);
	default:
		return (int64_t)fuzz_value(script, 3);
	}
}

static struct cadre_request a_request(struct memory *memory)
{
	struct fuzz_script *const script = &memory->script;
	const uint8_t kind = fuzz_byte(script);
	const uint8_t length = fuzz_byte(script);
	struct cadre_request request = {
		.operation = 1 + (kind & 3),
		.flags = kind >> 2 & 3,
		.retries = kind >> 4 & 1,
		.data = payload,
		.length = length < 96 ? length : (size_t)(length - 95) * 19,
	};

	if (kind & 0x40)
		request.deadline_ns = a_time(script);
	if (kind & 0x20) {
		request.ended = ended;
		request.context = memory;
	}
	return request;
}

static void keep(struct memory *memory, unsigned at, const struct cadre_result *result)
{
	read_result(result);
	memory->results[at] = *result;
	memory->has_result[at] = true;
}

static void submit(struct memory *memory, unsigned at)
{
	const struct cadre_request request = a_request(memory);

	cadre_try_submit(memory->client, &request, &memory->tickets[at]);
}

static void submit_patiently(struct memory *memory, unsigned at)
{
	const struct cadre_request request = a_request(memory);

	cadre_submit(memory->client, &request, cadre_in_ms(5), &memory->tickets[at]);
}

static void submit_batch(struct memory *memory)
{
	struct cadre_request requests[3];

	for (unsigned i = 0; i < CADRE_COUNT_OF(requests); i++)
		requests[i] = a_request(memory);
	cadre_try_submit_batch(memory->client, requests, CADRE_COUNT_OF(requests),
			       memory->tickets);
}

static void draft(struct memory *memory)
{
	const size_t capacity = (size_t)fuzz_byte(&memory->script) * 12;

	if (memory->draft.id == 0 &&
	    cadre_try_draft(memory->client, capacity, &memory->draft) == 0)
		memset(memory->draft.data, 7, capacity);
}

static void submit_draft(struct memory *memory, unsigned at)
{
	struct cadre_request request = a_request(memory);

	if (memory->draft.id == 0)
		return;
	memset(memory->draft.data, 9, memory->draft.capacity);
	if (cadre_draft_submit(memory->client, &memory->draft, &request,
			       &memory->tickets[at]) != -EINVAL)
		memory->draft.id = 0;
}

static void take(struct memory *memory, unsigned at)
{
	struct cadre_result result;

	if (cadre_try_take(memory->client, memory->tickets[at], &result) == 0)
		keep(memory, at, &result);
}

static void await(struct memory *memory, unsigned at)
{
	struct cadre_result result;

	if (cadre_await(memory->client, memory->tickets[at],
			cadre_in_ms(fuzz_byte(&memory->script)), &result) == 0)
		keep(memory, at, &result);
}

static void await_any(struct memory *memory)
{
	struct cadre_result result;
	const int at = cadre_await_any(memory->client, memory->tickets, KEPT,
				       cadre_in_ms(1), &result);

	FUZZ_CHECK(at < KEPT);
	if (at >= 0)
		keep(memory, (unsigned)at, &result);
}

/* A call with a deadline comes back, whatever stands in the segment. */
static void call(struct memory *memory)
{
	struct cadre_request request = a_request(memory);
	struct cadre_result result;

	request.ended = NULL;
	request.flags &= CADRE_IDEMPOTENT;
	request.deadline_ns = cadre_in_ms(1000);
	if (cadre_call(memory->client, &request, &result) == 0) {
		read_result(&result);
		cadre_release(memory->client, &result);
	}
}

/* So does one without, once the pool is dead. */
static void call_the_dead(struct memory *memory)
{
	struct cadre_request request = a_request(memory);
	struct cadre_result result;

	request.ended = NULL;
	request.flags &= CADRE_IDEMPOTENT;
	request.deadline_ns = 0;
	fuzz_machine.alone = true;
	if (cadre_call(memory->client, &request, &result) == 0) {
		read_result(&result);
		cadre_release(memory->client, &result);
	}
	cadre_client_await_dispatch(memory->client, CADRE_FOREVER);
	fuzz_machine.alone = false;
}

static void release(struct memory *memory, unsigned at)
{
	if (!memory->has_result[at])
		return;
	/* Until then what it points at must stay readable. */
	read_result(&memory->results[at]);
	cadre_release(memory->client, &memory->results[at]);
	memory->has_result[at] = false;
}

static void read_item(const struct cadre_item *item, void *context)
{
	(void)context;
	FUZZ_CHECK(item->length <= 4096);
	fuzz_read(item->data, item->length);
}

static void submit_stream(struct memory *memory, unsigned at)
{
	struct cadre_request request = a_request(memory);

	request.flags = (request.flags & CADRE_IDEMPOTENT) | CADRE_STREAM;
	request.stream_room = 64u * (fuzz_byte(&memory->script) & 7u);
	request.item = request.ended ? read_item : NULL;
	cadre_try_submit(memory->client, &request, &memory->tickets[at]);
}

static void read_stream(struct memory *memory, unsigned at, int64_t until_ns)
{
	struct cadre_item item;
	int r = 1;

	for (int i = 0; r == 1 && i < 4; i++) {
		r = cadre_stream_next(memory->client, memory->tickets[at], until_ns,
				      &item);
		if (r == 1)
			read_item(&item, NULL);
	}
}

static void stream(struct memory *memory, unsigned at)
{
	switch (fuzz_byte(&memory->script) & 7) {
	case 0:
		cadre_client_operation(memory->client, "operation-2");
		break;
	case 1:
	case 2:
		submit_stream(memory, at);
		break;
	case 3:
		read_stream(memory, at, 0);
		break;
	case 4:
		read_stream(memory, at, cadre_in_ms(5));
		break;
	case 5:
		cadre_stream_pause(memory->client, memory->tickets[at]);
		break;
	case 6:
		cadre_stream_resume(memory->client, memory->tickets[at]);
		break;
	case 7:
		cadre_stream_leave(memory->client, memory->tickets[at]);
		break;
	}
}

static void operate(struct memory *memory, uint8_t operation)
{
	struct cadre_client *const client = memory->client;
	const unsigned at = operation >> 4 & (KEPT - 1);

	switch (operation & 15) {
	case 0:
		submit(memory, at);
		break;
	case 1:
		submit_batch(memory);
		break;
	case 2:
		draft(memory);
		break;
	case 3:
		submit_draft(memory, at);
		break;
	case 4:
		if (memory->draft.id)
			cadre_draft_discard(client, &memory->draft);
		break;
	case 5:
		take(memory, at);
		break;
	case 6:
		await(memory, at);
		break;
	case 7:
		await_any(memory);
		break;
	case 8:
		release(memory, at);
		break;
	case 9:
		cadre_cancel(client, memory->tickets[at]);
		break;
	case 10:
		cadre_client_dispatch(client, at);
		break;
	case 11:
		cadre_client_await_dispatch(client, cadre_in_ms(1));
		break;
	case 12:
		call(memory);
		break;
	case 13:
		call_the_dead(memory);
		break;
	case 14:
		stream(memory, at);
		break;
	case 15:
		submit_patiently(memory, at);
		break;
	}
}

/* While a client sleeps, others write. */
static void slept(void *context)
{
	struct memory *const memory = context;
	const uint8_t *const before = memory->script.next;
	uint8_t operation;

	if (fuzz_next(&memory->script, &operation) && memory->script.next > before)
		memory->script.next--; /* the operation waits its turn */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory memory = { .script = { .next = data, .end = data + size } };
	const struct cadre_client_options options = { .size = sizeof(options),
						      .spin_ns = -1,
						      .timeout_ns = 10000 };
	struct cadre_view *view;
	struct cadre_diag diag = { "" };
	uint8_t operation;

	view = fuzz_segment(&memory.script);
	/* Or few would ever get in. */
	fuzz_leash_rogue(true);
	/* Mostly its first window; or one that is not leased, or one that is not there. */
	switch (fuzz_byte(&memory.script) & 7) {
	case 1:
		fuzz_machine.answer_place = 1;
		break;
	case 2:
		fuzz_machine.answer_place = 2;
		break;
	default:
		fuzz_machine.leased_place = &view->client_places[0];
		break;
	}
	if (cadre_client_attach(FUZZ_POOL, &options, &memory.client, &diag) < 0)
		return 0;
	fuzz_leash_rogue(false);
	fuzz_machine.slept = slept;
	fuzz_machine.context = &memory;
	for (unsigned i = 0; i < 100 && fuzz_next(&memory.script, &operation); i++)
		operate(&memory, operation);
	fuzz_machine.slept = NULL;
	cadre_client_detach(memory.client);
	return 0;
}
