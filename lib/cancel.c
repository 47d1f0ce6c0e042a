/*
 * cancel.c - ending jobs before their time: one, all of a client, all of a pool, by force.
 *
 * A decision is one CAS on the slot's word (X1, X2); whoever makes it rings the waiter and
 * tells the worker. Force goes further: it leaves a warrant beside the slot, by which the
 * supervisor, or its successor, kills a worker that is not back in time. From then on
 * nobody needs the client that asked.
 */
#include "client.h"
#include "clock.h"
#include "control.h"
#include "diag.h"

#include <string.h>

#define ASK_POOL_NS (5 * CADRE_NS_PER_S)

/* The slot of a job that may be cancelled: out, or taken and not released, or detached. */
static int find(const struct cadre_client *client, struct cadre_ticket ticket,
		uint32_t *ret_index)
{
	const uint32_t index = cadre_ticket_index(ticket);
	enum cadre_pending_state state;
	uint64_t word;

	if (ticket.id == 0 || index >= client->slot_count)
		return -ESTALE;
	/* V4: acquire, pairs with V3 in submit.c. */
	word = atomic_load_explicit(&client->pending[index].word, memory_order_acquire);
	state = cadre_pending_state(word);
	if (state == CADRE_PENDING_VACANT || state == CADRE_PENDING_HELD ||
	    cadre_pending_generation(word) != cadre_ticket_generation(ticket))
		return -ESTALE;
	/* Released before its worker was through; a detached one is never released. */
	if (state == CADRE_PENDING_LEFT &&
	    !(cadre_word_flags(cadre_slot_peek(&client->slots[index])) &
	      CADRE_FLAG_DETACHED))
		return -ESTALE;
	*ret_index = index;
	return 0;
}

/* By hand: what its token may say as well is not the reason. */
static bool cancel(struct cadre_client *client, uint32_t index, uint64_t generation)
{
	const bool decided = cadre_client_decide(client, index, generation,
						 CADRE_CANCELLED);

	if (decided)
		cadre_pending_unmark(&client->pending[index], CADRE_MARK_TOKEN);
	cadre_client_stream_was_cancelled(client, index, generation);
	return decided;
}

int cadre_cancel(struct cadre_client *client, struct cadre_ticket ticket)
{
	uint32_t index;
	int r = cadre_client_enter(client);

	if (r == 0)
		r = find(client, ticket, &index);
	if (r < 0)
		return r;
	cancel(client, index, cadre_ticket_generation(ticket));
	return 0;
}

static int cancel_each(struct cadre_client *client, bool pending_only)
{
	int ended = 0;

	for (uint32_t index = 0; index < client->slot_count; index++) {
		/* V4, as above. A job that is released meanwhile has another generation. */
		const uint64_t word = atomic_load_explicit(&client->pending[index].word,
							   memory_order_acquire);
		const enum cadre_pending_state state = cadre_pending_state(word);

		if ((state == CADRE_PENDING_OUT || state == CADRE_PENDING_LEFT) &&
		    (!pending_only || cadre_word_phase(cadre_slot_peek(
					      &client->slots[index])) == CADRE_QUEUED))
			ended += cancel(client, index, cadre_pending_generation(word));
	}
	return ended;
}

int cadre_cancel_all(struct cadre_client *client)
{
	int ended;
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	/* Pending ones first: a worker whose job was cancelled would take the next. */
	ended = cancel_each(client, true);
	return ended + cancel_each(client, false);
}

/* ---- by force ---- */

/* One thread at a time, so that two cannot mix their warrants for two jobs of one slot. The
 * slot may become another job's behind our look: then the warrant is stale. */
static void issue_warrant(struct cadre_client *client, uint32_t index,
			  uint64_t generation, int64_t kill_ns)
{
	uint64_t word;

	pthread_mutex_lock(&client->warrant_lock);
	word = cadre_slot_look(&client->slots[index]);
	if (cadre_word_phase(word) != CADRE_DONE &&
	    cadre_word_generation(word) == generation)
		cadre_warrant_issue(&client->view.warrants[client->slot_base + index],
				    generation, kill_ns);
	pthread_mutex_unlock(&client->warrant_lock);
}

int cadre_cancel_forced(struct cadre_client *client, struct cadre_ticket ticket,
			int64_t grace_ns)
{
	const struct cadre_control knock = cadre_control_message(CADRE_CONTROL_KNOCK);
	const int64_t now_ns = cadre_clock_ns();
	const uint64_t generation = cadre_ticket_generation(ticket);
	uint32_t index;
	int r = cadre_client_enter(client);

	if (grace_ns < 0)
		return -EINVAL;
	if (r == 0)
		r = find(client, ticket, &index);
	if (r < 0)
		return r;
	/* First the warrant, which means nothing before the job is decided. Who dies behind it
	 * has its jobs decided by the reaper, and is obeyed. */
	issue_warrant(client, index, generation,
		      grace_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + grace_ns);
	cancel(client, index, generation);
	/* So that the supervisor looks in time. Unheard, its next tick is soon: a job runs. */
	(void)cadre_control_ask(client->pool, &knock, 0, NULL);
	return 0;
}

/* ---- the whole pool ---- */

int cadre_cancel_pool(const char *pool, struct cadre_diag *diag)
{
	const struct cadre_control question = cadre_control_message(CADRE_CONTROL_CANCEL);
	struct cadre_control answer;
	int r = cadre_name_check(pool, diag);

	if (r < 0)
		return r;
	r = cadre_control_ask(pool, &question, cadre_clock_in_ns(ASK_POOL_NS), &answer);
	if (r == 0)
		r = answer.error;
	if (r < 0)
		return cadre_refuse(
			diag, r,
			"cannot cancel the jobs of pool \"%s\": its supervisor %s", pool,
			r == -ECONNREFUSED ? "is not there" :
			r == -ETIMEDOUT    ? "does not answer" :
					     strerror(-r));
	return answer.count > INT32_MAX ? INT32_MAX : (int)answer.count;
}
