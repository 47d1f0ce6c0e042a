/*
 * proc_tokens.c - the claim that no token leaks: a million of them are made, used and let go
 * of, by clients that live and by some that die.
 */
#include "tokens.h"

#define HOUR_NS INT64_C(3600000000000)

#if defined(__SANITIZE_ADDRESS__)
#define USES 100000u
#else
#define USES 1000000u
#endif
#define OUT 32u

TestSuite(tokens, .init = enter, .fini = troupe_leave, .timeout = 110);

/* Of one member, which is let go of before its first use, and now and then has ended. */
static struct cadre_token *composite(compose_fn *create, bool ended)
{
	struct cadre_token *const member = cancellable("one of many");
	struct cadre_token *const token = compose(create, 1, &member);

	if (ended)
		cancel(member);
	cadre_token_release(member);
	return token;
}

static struct cadre_token *token_of_kind(uint32_t i)
{
	switch (i % 4) {
	case 0:
		return cancellable("one of many");
	case 1:
		return timeout(i % 8 < 4 ? HOUR_NS : 0, NULL);
	case 2:
		return composite(cadre_token_create_any, i % 16 == 2);
	default:
		return composite(cadre_token_create_all, false);
	}
}

/* Owns a few, has jobs with one out, and is killed. */
static int own_and_die(void *context)
{
	struct cadre_client *const client = attach_elsewhere();
	struct cadre_token *const theirs = open_elsewhere(client);
	struct cadre_token *mine, *both[2];
	struct cadre_ticket ticket;

	(void)context;
	CHILD_CHECK(cadre_token_create(client, NULL, &mine) == 0);
	both[0] = mine;
	both[1] = theirs;
	CHILD_CHECK(cadre_token_create_any(client, both, 2, NULL, &mine) == 0);
	CHILD_CHECK(cadre_try_submit(client, &ASK(TROUPE_ECHO, 1, .token = mine),
				     &ticket) == 0);
	CHILD_CHECK(cadre_try_submit(client, &ASK(TROUPE_ECHO, 1, .token = theirs),
				     &ticket) == 0);
	say_ready();
	child_idle();
}

static void let_one_die(struct cadre_token *token)
{
	pid_t child;

	name_for_children(token);
	child = child_start(own_and_die, NULL);
	await_ready();
	child_kill(child);
}

static void take_all(struct cadre_ticket tickets[OUT])
{
	struct cadre_result result;
	int i;

	while ((i = cadre_await_any(troupe.client, tickets, OUT, GENEROUS, &result)) >= 0) {
		tickets[i].id = 0;
		release(&result);
	}
	cr_assert_eq(i, -ENOENT);
}

Test(tokens, none_is_left_after_a_million_uses_and_the_deaths_of_owners_and_users)
{
	struct cadre_ticket tickets[OUT] = { { 0 } };

	START(ONE_WORKER);
	for (uint32_t i = 0; i < USES; i++) {
		struct cadre_token *const token = token_of_kind(i);
		struct cadre_ticket *const ticket = &tickets[i % OUT];
		const int r = cadre_try_submit(troupe.client,
					       &ASK(TROUPE_ECHO, i, .token = token),
					       ticket);

		cr_assert(r == 0 || (r == -ECANCELED && look(token).ended), "%d", r);
		if (r < 0)
			ticket->id = 0;
		if (i % (USES / 8) == 3)
			let_one_die(token);
		if (i % 8 == 0)
			cancel(token);
		cadre_token_release(token);
		if (i % OUT == OUT - 1)
			take_all(tickets);
	}
	cr_assert(eventually(troupe_tokens(troupe.scene.pool) == 0), "%u are left",
		  troupe_tokens(troupe.scene.pool));
}
