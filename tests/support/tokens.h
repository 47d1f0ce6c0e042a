/*
 * tokens.h - what tests of tokens in real pools share, for Criterion.
 *
 *	TestSuite(token, TOKENS);
 *
 * One worker, first in, first out: once a later job has ended, an earlier one that has not
 * run never will.
 */
#ifndef TOKENS_H
#define TOKENS_H

#include "claims.h"

#include <pthread.h>
#include <stdio.h>

#define MS INT64_C(1000000)

/* What listeners tell, those in children too. */
static struct heard {
	_Atomic uint32_t calls;
	_Atomic int32_t outcome;
	_Atomic bool ended;
	char message[160];
	pthread_t thread;
} * heard;

/* Between the test and one child at a time. */
static struct {
	_Atomic bool is_ready;
	struct cadre_token_name name;
} * agreed;

static inline void enter(void)
{
	troupe_enter();
	heard = child_share(sizeof(*heard));
	agreed = child_share(sizeof(*agreed));
}

#define TOKENS .init = enter, .fini = troupe_leave, .timeout = 60

static inline void hear(struct cadre_token *token,
			const struct cadre_token_status *status, void *context)
{
	struct heard *const what = context;

	(void)token;
	what->thread = pthread_self();
	snprintf(what->message, sizeof(what->message), "%s", status->message);
	atomic_store(&what->outcome, (int32_t)status->outcome);
	atomic_store(&what->ended, status->ended);
	atomic_fetch_add(&what->calls, 1);
}

static inline struct cadre_token *cancellable(const char *message)
{
	struct cadre_token *token = NULL;

	cr_assert_eq(cadre_token_create(troupe.client, message, &token), 0);
	return token;
}

static inline struct cadre_token *timeout(int64_t duration_ns, const char *message)
{
	struct cadre_token *token = NULL;

	cr_assert_eq(cadre_token_create_timeout(troupe.client, duration_ns, message,
						&token),
		     0);
	return token;
}

typedef int compose_fn(struct cadre_client *, struct cadre_token *const *, size_t,
		       const char *, struct cadre_token **);

static inline struct cadre_token *compose(compose_fn *create, size_t count,
					  struct cadre_token *const *members)
{
	struct cadre_token *token = NULL;

	cr_assert_eq(create(troupe.client, members, count, NULL, &token), 0);
	return token;
}

static inline struct cadre_token *pair(compose_fn *create, struct cadre_token *first,
				       struct cadre_token *second)
{
	return compose(create, 2, (struct cadre_token *const[]){ first, second });
}

static inline struct cadre_token_status look(struct cadre_token *token)
{
	struct cadre_token_status status;

	cr_assert_eq(cadre_token_look(token, &status), 0);
	return status;
}

static inline void cancel(struct cadre_token *token)
{
	cr_assert_eq(cadre_token_cancel(token), 0);
}

static inline void expect_with(struct cadre_ticket ticket, enum cadre_outcome outcome,
			       const char *sentence)
{
	const struct cadre_result result = await(ticket);

	cr_assert_eq(result.outcome, outcome, "%s: %s",
		     cadre_outcome_name(result.outcome), result.sentence);
	cr_assert_str_eq(result.sentence, sentence);
	release(&result);
}

static inline struct cadre_ticket hold(uint32_t gate, struct cadre_token *token)
{
	const uint32_t before = atomic_load(&troupe.board->waiting);
	const struct cadre_ticket ticket = submit(ASK(TROUPE_HOLD, gate, .token = token));

	cr_assert(eventually(atomic_load(&troupe.board->waiting) == before + 1));
	return ticket;
}

/* ---- tokens in other processes ---- */

static inline void name_for_children(struct cadre_token *token)
{
	cadre_token_name(token, &agreed->name);
}

static inline struct cadre_client *attach_elsewhere(void)
{
	struct cadre_client *client;

	CHILD_CHECK(cadre_client_attach(troupe.scene.pool, NULL, &client, NULL) == 0);
	return client;
}

/* By its name. */
static inline struct cadre_token *open_elsewhere(struct cadre_client *client)
{
	struct cadre_token *token;

	CHILD_CHECK(cadre_token_open(client, &agreed->name, &token) == 0);
	return token;
}

static inline void say_ready(void)
{
	atomic_store(&agreed->is_ready, true);
}

/* Of a child, which said so. */
static inline void await_ready(void)
{
	cr_assert(eventually(atomic_exchange(&agreed->is_ready, false)));
}

#endif
