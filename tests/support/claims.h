/*
 * claims.h - what tests of real pools share, for Criterion: the troupe of the test, and
 * short forms of submit, await and check that fail the test when something is amiss.
 *
 *	TestSuite(client, TROUPE);
 */
#ifndef CLAIMS_H
#define CLAIMS_H

#include "in_child.h"
#include "troupe.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

static struct troupe troupe;

static inline void troupe_enter(void)
{
	troupe_begin(&troupe);
}

static inline void troupe_leave(void)
{
	scene_insist(troupe_end(&troupe));
}

static inline void start_service(const struct cadre_service *service,
				 struct cadre_pool_options options)
{
	const int r = troupe_start(&troupe, service, options);

	cr_assert_eq(r, 0, "%d: %s", r, troupe.diag.text);
}

#define TROUPE .init = troupe_enter, .fini = troupe_leave, .timeout = 60
#define START_SERVICE(service, ...) \
	start_service(service, (struct cadre_pool_options){ __VA_ARGS__ })
#define START(...) START_SERVICE(&troupe_service, __VA_ARGS__)
#define ONE_WORKER .workers_min = 1, .workers_max = 1
#define GENEROUS cadre_in_ms(TROUPE_PATIENCE_MS)

static inline struct cadre_ticket submit(struct cadre_request request)
{
	struct cadre_ticket ticket = { 0 };

	cr_assert_eq(cadre_submit(troupe.client, &request, GENEROUS, &ticket), 0);
	return ticket;
}

static inline int try_submit(struct cadre_request request)
{
	struct cadre_ticket ticket;

	return cadre_try_submit(troupe.client, &request, &ticket);
}

/* For a child: a client that is killed while its only job, a struct cadre_request, is out. */
static inline int submit_and_idle(void *request)
{
	struct cadre_client *client;
	struct cadre_ticket ticket;

	CHILD_CHECK(cadre_client_attach(troupe.scene.pool, NULL, &client, NULL) == 0);
	CHILD_CHECK(cadre_try_submit(client, request, &ticket) == 0);
	child_idle();
}

static inline struct cadre_result await(struct cadre_ticket ticket)
{
	struct cadre_result result;

	cr_assert_eq(cadre_await(troupe.client, ticket, GENEROUS, &result), 0);
	return result;
}

static inline void release(const struct cadre_result *result)
{
	cr_assert_eq(cadre_release(troupe.client, result), 0);
}

/* Awaits, checks and releases. */
static inline void expect(struct cadre_ticket ticket, enum cadre_outcome outcome)
{
	const struct cadre_result result = await(ticket);

	cr_assert_eq(result.outcome, outcome, "%s: %s",
		     cadre_outcome_name(result.outcome), result.sentence);
	release(&result);
}

static inline uint32_t number_in(const struct cadre_result *result)
{
	uint32_t number;

	cr_assert_eq(result->outcome, CADRE_OK, "%s", result->sentence);
	cr_assert_eq(result->length, sizeof(number));
	memcpy(&number, result->data, sizeof(number));
	return number;
}

static inline void call_ok(struct cadre_request request)
{
	expect(submit(request), CADRE_OK);
}

/* NULL: any worker. */
static inline struct troupe_who ask_who_at(const struct cadre_channel *channel)
{
	const struct cadre_request request = { .operation = TROUPE_WHO, .to = channel };
	struct cadre_result result;
	struct troupe_who who;

	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	cr_assert_eq(result.outcome, CADRE_OK, "%s", result.sentence);
	memcpy(&who, result.data, sizeof(who));
	release(&result);
	return who;
}

static inline struct troupe_who ask_who(void)
{
	return ask_who_at(NULL);
}

static inline void open_gate(uint32_t height)
{
	troupe_open_gate(&troupe, height);
}

/* Keeps the only worker busy until the gate opens. */
static inline struct cadre_ticket occupy_worker(void)
{
	const struct cadre_ticket ticket = submit(ASK(TROUPE_HOLD, 1));

	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	return ticket;
}

#endif
