/*
 * tell.c - what a client can say of its jobs without disturbing them: how far one is, and the
 * named counters of those whose results were taken.
 */
#include "client.h"
#include "clock.h"
#include "diag.h"

#include <stdio.h>
#include <string.h>

#define LOOKS_MAX 8

/* ---- one job ---- */

/* Between two times that stand in the segment; no clock was ever below 0. */
static int64_t between_ns(int64_t from_ns, int64_t to_ns)
{
	return from_ns >= 0 && to_ns > from_ns ? to_ns - from_ns : 0;
}

/* Fills in what a word and the times beside it say. */
static void tell_job(const struct cadre_client *client, uint32_t index, uint64_t bits,
		     struct cadre_job_info *info)
{
	const struct cadre_slot *const slot = &client->slots[index];
	const struct cadre_word word = cadre_word_unpack(bits);
	const int64_t now_ns = cadre_clock_ns();
	const int64_t submitted_ns = CADRE_READ_ONCE(slot->request.submitted_ns);
	/* Until the worker has written it, that of the job before, which is earlier. */
	const int64_t taken_ns = cadre_view_taken_ns(&client->view,
						     client->slot_base + index, bits);
	const bool is_taken = word.owner != CADRE_OWNER_NONE && taken_ns >= submitted_ns;

	info->operation = CADRE_READ_ONCE(slot->request.operation);
	info->attempt = word.attempt;
	info->worker = -1;
	info->outcome = CADRE_OK;
	info->waiting_ns = between_ns(submitted_ns, is_taken ? taken_ns : now_ns);
	info->running_ns = 0;
	if (word.owner != CADRE_OWNER_NONE)
		info->worker = (int32_t)word.owner - 1;
	switch (word.phase) {
	case CADRE_RUNNING:
		info->state = CADRE_JOB_RUNNING;
		info->running_ns = is_taken ? between_ns(taken_ns, now_ns) : 0;
		break;
	case CADRE_DONE:
		info->state = CADRE_JOB_FINISHED;
		if (is_taken)
			info->running_ns = between_ns(taken_ns,
						      CADRE_READ_ONCE(
							      slot->reply.ended_ns));
		else if (word.owner == CADRE_OWNER_NONE)
			info->waiting_ns = 0;
		break;
	default:
		info->state = CADRE_JOB_PENDING;
		info->worker = -1;
		info->waiting_ns = between_ns(submitted_ns, now_ns);
		break;
	}
	/* Ended for its caller, though its worker may still be at it. */
	if (word.phase == CADRE_DONE || word.flags & CADRE_FLAG_DECIDED) {
		info->state = CADRE_JOB_FINISHED;
		info->outcome = word.outcome;
	}
}

int cadre_job_info(struct cadre_client *client, struct cadre_ticket ticket,
		   struct cadre_job_info *ret_info)
{
	const uint32_t index = cadre_ticket_index(ticket);
	const uint64_t generation = cadre_ticket_generation(ticket);
	const struct cadre_slot *slot;
	struct cadre_job_info info = { .worker = -1 };
	uint64_t pending, word;
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	if (ticket.id == 0 || index >= client->slot_count)
		return -ESTALE;
	slot = &client->slots[index];
	for (int look = 0; look < LOOKS_MAX; look++) {
		/* V4, pairs with V3 in submit.c. */
		pending = atomic_load_explicit(&client->pending[index].word,
					       memory_order_acquire);
		if (cadre_pending_generation(pending) != generation ||
		    (cadre_pending_state(pending) != CADRE_PENDING_OUT &&
		     cadre_pending_state(pending) != CADRE_PENDING_TAKEN))
			return -ESTALE;
		word = cadre_slot_look(slot);
		if (cadre_word_is_spoiled(word, generation)) {
			/* Not published yet by the thread that submits it, or damaged. */
			info.state = CADRE_JOB_PENDING;
			*ret_info = info;
			continue;
		}
		tell_job(client, index, word, &info);
		*ret_info = info;
		/* The times are of this word when it still stands. */
		if (cadre_slot_look(slot) == word)
			break;
	}
	return 0;
}

const char *cadre_job_state_name(enum cadre_job_state state)
{
	static const char *const names[] = { "pending", "running", "finished" };

	return (unsigned)state < CADRE_COUNT_OF(names) ? names[state] : "?";
}

/* ---- named counters ---- */

static struct cadre_perf_table *table_of(const struct cadre_client *client)
{
	return &client->view.client_perfs[client->window];
}

static bool is_name(const char *name)
{
	size_t length = 0;

	for (; name[length]; length++) {
		if ((unsigned char)name[length] <= ' ' || name[length] == 127 ||
		    length == CADRE_PERF_NAME_MAX)
			return false;
	}
	return length > 0;
}

static int find_or_name(struct cadre_client *client, const char *name,
			struct cadre_perf_counter **ret_counter)
{
	for (uint32_t i = 0; i < client->counter_count; i++) {
		if (strcmp(client->counters[i].name, name) == 0) {
			*ret_counter = &client->counters[i];
			return 0;
		}
	}
	if (client->counter_count == CADRE_PERF_COUNTERS_MAX)
		return -EMFILE;
	*ret_counter = &client->counters[client->counter_count];
	(*ret_counter)->client = client;
	(*ret_counter)->line = &table_of(client)->lines[client->counter_count++];
	snprintf((*ret_counter)->name, sizeof((*ret_counter)->name), "%s", name);
	cadre_perf_name((*ret_counter)->line, name);
	return 0;
}

int cadre_perf_counter_open(struct cadre_client *client, const char *name,
			    struct cadre_perf_counter **ret_counter)
{
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	if (!name || !is_name(name))
		return -EINVAL;
	pthread_mutex_lock(&client->counters_lock);
	r = find_or_name(client, name, ret_counter);
	pthread_mutex_unlock(&client->counters_lock);
	return r;
}

void cadre_perf_counter_read(const struct cadre_perf_counter *counter,
			     struct cadre_perf *ret_perf)
{
	if (!cadre_perf_read(counter->line, ret_perf))
		*ret_perf = (struct cadre_perf){ 0 };
	/* The name is ours, whatever stands in the segment. */
	snprintf(ret_perf->name, sizeof(ret_perf->name), "%s", counter->name);
}

void cadre_client_count(struct cadre_client *client, uint32_t index,
			const struct cadre_result *result)
{
	const struct cadre_pending *const pending = &client->pending[index];
	const struct cadre_slot *const slot = &client->slots[index];
	int64_t took_ns = result->waiting_ns + result->running_ns;

	/* No worker has seen it to its end: then it took until now. */
	if (result->outcome != CADRE_OK && result->outcome != CADRE_FAILED)
		took_ns = between_ns(CADRE_READ_ONCE(slot->request.submitted_ns),
				     cadre_clock_ns());
	cadre_perf_add(client->counters[pending->counter - 1].line,
		       result->outcome != CADRE_OK, took_ns);
}
