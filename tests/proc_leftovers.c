/*
 * proc_leftovers.c - claims that a job finds nothing of the job before in its worker: most jobs
 * have no more than a payload that fits their slot, and of those the worker writes down no more
 * than that, wherever the struct was used before.
 */
#include "claims.h"
#include "pipes.h"

#include <pthread.h>

TestSuite(leftovers, TROUPE);

enum {
	LOOK = 1,     /* replies with what it finds of what it has not got */
	OVERDRAW,     /* commits a reply without room; replies with what that returned */
	DRAW,         /* a number: replies in room of so many bytes */
	DRAW_IN_VAIN, /* asks for so much room, then replies without */
	WATCH,        /* asks to be told of its cancellation, and replies */
	LATER,        /* replies by another thread, after the handler has returned */
	ITEM,         /* emits an item */
};

struct found {
	int64_t deadline_ns;
	int32_t token, descriptors, emitted;
	bool is_cancelled, is_stream;
};

static void look(struct cadre_job *job, void *state)
{
	struct cadre_token_name name;
	int fd;
	const struct found found = {
		.deadline_ns = cadre_job_deadline_ns(job),
		.token = cadre_job_token(job, &name),
		.descriptors = cadre_job_descriptors(job, &fd, 1),
		.emitted = cadre_job_emit(job, "x", 1),
		.is_cancelled = cadre_job_cancelled(job),
		.is_stream = cadre_job_is_stream(job),
	};

	(void)state;
	cadre_job_reply(job, &found, sizeof(found));
}

static void overdraw(struct cadre_job *job, void *state)
{
	const int32_t r = cadre_job_reply_commit(job, 4);

	(void)state;
	cadre_job_reply(job, &r, sizeof(r));
}

static void draw(struct cadre_job *job, void *state)
{
	const uint32_t length = troupe_number_of(job);
	void *room;

	(void)state;
	if (cadre_job_reply_room(job, length, &room) < 0)
		return;
	troupe_fill(room, length, length);
	cadre_job_reply_commit(job, length);
}

static void draw_in_vain(struct cadre_job *job, void *state)
{
	void *room;

	(void)state;
	if (cadre_job_reply_room(job, troupe_number_of(job), &room) == 0)
		cadre_job_reply(job, "", 0);
}

static void ignore(struct cadre_job *job, void *context)
{
	(void)job;
	(void)context;
}

static void watch(struct cadre_job *job, void *state)
{
	(void)state;
	if (cadre_job_on_cancel(job, ignore, NULL) == 0)
		cadre_job_reply(job, "", 0);
}

static void *reply_later(void *job)
{
	child_pause_ms(2);
	cadre_job_reply(job, "", 0);
	return NULL;
}

static void later(struct cadre_job *job, void *state)
{
	pthread_t thread;

	(void)state;
	cadre_job_defer(job);
	if (pthread_create(&thread, NULL, reply_later, job) == 0)
		pthread_detach(thread);
}

static void emit(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_emit(job, "item", 4);
	cadre_job_reply(job, "", 0);
}

static const struct cadre_operation operations[] = {
	{ LOOK, "look", look },    { OVERDRAW, "overdraw", overdraw },
	{ DRAW, "draw", draw },    { DRAW_IN_VAIN, "draw-in-vain", draw_in_vain },
	{ WATCH, "watch", watch }, { LATER, "later", later },
	{ ITEM, "item", emit },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "leftovers",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
};

/* Three times, so that a plain job comes after a plain one, too. */
static void expect_nothing_left(void)
{
	for (int turn = 0; turn < 3; turn++) {
		struct cadre_result result = await(submit(ASK(LOOK, 0)));
		struct found found;
		int32_t told;

		cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
		cr_assert_eq(result.length, sizeof(found));
		memcpy(&found, result.data, sizeof(found));
		release(&result);
		cr_expect_eq(found.deadline_ns, 0);
		cr_expect_eq(found.token, -ENOENT, "%d", found.token);
		cr_expect_eq(found.descriptors, 0, "%d", found.descriptors);
		cr_expect_lt(found.emitted, 0);
		cr_expect_not(found.is_cancelled);
		cr_expect_not(found.is_stream);

		result = await(submit(ASK(OVERDRAW, 0)));
		cr_assert_eq(result.length, sizeof(told), "%s", result.sentence);
		memcpy(&told, result.data, sizeof(told));
		release(&result);
		cr_expect_eq(told, -EINVAL, "%d", told);
	}
}

static void expect_drawn(uint32_t length)
{
	const struct cadre_result result = await(submit(ASK(DRAW, length)));

	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	cr_assert_eq(result.length, length);
	cr_assert(troupe_holds(result.data, length, length));
	release(&result);
}

Test(leftovers, of_a_deadline_nothing_is_left)
{
	START_SERVICE(&service, ONE_WORKER);
	expect_nothing_left();
	call_ok(ASK(LOOK, 0, .deadline_ns = GENEROUS));
	expect_nothing_left();
}

Test(leftovers, of_a_token_nothing_is_left)
{
	struct cadre_token *token;

	START_SERVICE(&service, ONE_WORKER);
	cr_assert_eq(cadre_token_create(troupe.client, "enough", &token), 0);
	call_ok(ASK(LOOK, 0, .token = token));
	cadre_token_cancel(token);
	cadre_token_release(token);
	expect_nothing_left();
}

Test(leftovers, of_descriptors_that_were_not_fetched_nothing_is_left)
{
	struct line line;

	START_SERVICE(&service, ONE_WORKER);
	line = open_pipe();
	call_ok(SEND(DRAW, 10, line));
	expect_nothing_left();
	expect_end(&line);
}

Test(leftovers, of_a_reply_in_place_nothing_is_left)
{
	static const uint32_t lengths[] = { 1, 40, 4096, 100000, 2 };

	START_SERVICE(&service, ONE_WORKER);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		expect_drawn(lengths[i]);
		expect_nothing_left();
		call_ok(ASK(DRAW_IN_VAIN, lengths[i]));
		expect_nothing_left();
	}
}

Test(leftovers, of_a_block_that_a_request_came_in_nothing_is_left)
{
	static unsigned char bytes[5000];
	const uint32_t length = 30;

	START_SERVICE(&service, ONE_WORKER);
	memcpy(bytes, &length, sizeof(length));
	expect(submit((struct cadre_request){
		       .operation = DRAW, .data = bytes, .length = sizeof(bytes) }),
	       CADRE_OK);
	expect_nothing_left();
}

Test(leftovers, of_a_cancellation_that_a_job_asked_to_be_told_of_nothing_is_left)
{
	START_SERVICE(&service, ONE_WORKER);
	call_ok(ASK(WATCH, 0));
	expect_nothing_left();
}

Test(leftovers, of_another_thread_nothing_is_left)
{
	START_SERVICE(&service, ONE_WORKER);
	call_ok(ASK(LATER, 0));
	expect_nothing_left();
}

Test(leftovers, of_a_stream_nothing_is_left)
{
	struct cadre_ticket ticket;
	struct cadre_item item;

	START_SERVICE(&service, ONE_WORKER);
	ticket = submit(ASK(ITEM, 0, .flags = CADRE_STREAM));
	cr_assert_eq(cadre_stream_next(troupe.client, ticket, GENEROUS, &item), 1);
	cr_assert_eq(cadre_stream_next(troupe.client, ticket, GENEROUS, &item), 0);
	expect(ticket, CADRE_OK);
	expect_nothing_left();
}
