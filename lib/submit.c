/*
 * submit.c - the client's way in: take a slot, write the request, publish, look who wakes.
 *
 * Steps S1 to S4 of the life of a job. Between S1 and S3 the job is nobody's but ours; at
 * S3 it is accepted; everything after S3 is about somebody noticing soon.
 */
#include "submit.h"
#include "channel.h"
#include "clock.h"
#include "control.h"
#include "dispatch.h"
#include "trace.h"
#include "whereabouts.h"

#include <poll.h>
#include <string.h>

#define RETRIES_DEFAULT 3

static void count(_Atomic uint64_t *counter)
{
	/* Relaxed: a counter. An addition, because threads of this client share it. */
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void cadre_client_vacate_slot(struct cadre_client *client, uint32_t index, uint64_t word)
{
	const struct cadre_slot *const slot = &client->slots[index];
	/* They are free with it. That of the reply was read here, so it is the hottest. Of a job
	 * that no worker has ended, it is that of an older one, which does no harm. */
	const uint32_t request_block = client->pending[index].request_block,
		       reply_block = slot->reply.block;

	if (request_block != CADRE_NO_BLOCK)
		cadre_block_remember(&client->blocks, request_block);
	if (reply_block != CADRE_NO_BLOCK && reply_block != request_block)
		cadre_block_remember(&client->blocks, reply_block);
	cadre_slot_vacate(&client->books[index], cadre_word_unpack(word).outcome);
}

static void unhold(struct cadre_client *client, uint32_t index)
{
	/* V1: release, pairs with V2 in hold: our last look at the slot is over. */
	atomic_store_explicit(&client->pending[index].word, CADRE_PENDING_VACANT,
			      memory_order_release);
}

static void vacate(struct cadre_client *client, uint32_t index)
{
	cadre_client_use_slots(client, UINT32_MAX);
	unhold(client, index);
}

/* LEFT and DONE by now: vacate it, and keep it for the caller. */
CADRE_RARELY static bool reclaim(struct cadre_client *client, uint32_t index,
				 uint64_t left)
{
	struct cadre_pending *const pending = &client->pending[index];
	uint64_t word = cadre_slot_peek(&client->slots[index]);

	/* Until it is published the word is that of the job before, which is DONE as well. */
	if (cadre_word_phase(word) != CADRE_DONE ||
	    cadre_word_generation(word) != cadre_pending_generation(left))
		return false;
	/* V2 as well, pairs with V1 in take.c and, of a detached job, with V3. */
	if (!cadre_pending_move(pending, left, CADRE_PENDING_HELD))
		return false;
	word = cadre_slot_look(&client->slots[index]);
	cadre_client_vacate_slot(client, index, word);
	cadre_client_use_slots(client, UINT32_MAX);
	return true;
}

void cadre_client_reclaim_all(struct cadre_client *client)
{
	for (uint32_t index = 0; index < client->slot_count; index++) {
		const uint64_t word = atomic_load_explicit(&client->pending[index].word,
							   memory_order_relaxed);

		if (cadre_pending_state(word) == CADRE_PENDING_LEFT &&
		    reclaim(client, index, word))
			unhold(client, index);
	}
}

static bool hold(struct cadre_client *client, uint32_t index)
{
	struct cadre_pending *const pending = &client->pending[index];
	const uint64_t word = atomic_load_explicit(&pending->word, memory_order_relaxed);

	if (word != CADRE_PENDING_VACANT)
		return cadre_pending_state(word) == CADRE_PENDING_LEFT &&
		       reclaim(client, index, word);
	/* V2: acquire, pairs with V1 in unhold. */
	return cadre_pending_move(pending, word, CADRE_PENDING_HELD);
}

/* The slot that comes next is going to be written: its lines are the worker's that had it
 * last. */
static void prefetch(const struct cadre_client *client, uint64_t position)
{
	const uint32_t index = (uint32_t)position & (client->slot_count - 1);
	const struct cadre_slot *const slot = &client->slots[index];

	if (atomic_load_explicit(&client->pending[index].word, memory_order_relaxed) !=
	    CADRE_PENDING_VACANT)
		return;
	cadre_prefetch_to_write(&slot->request);
	cadre_prefetch_to_write((const char *)&slot->request + CADRE_CACHE_LINE);
}

/* What can wait until a slot that was held is published. */
static void count_held(struct cadre_client *client, const struct cadre_berth *berth)
{
	cadre_count_peak(&client->lines->counters.in_flight_max,
			 cadre_client_use_slots(client, 1));
	prefetch(client, berth->position + 1);
}

/* Holds the next slot in order of position; one in use is skipped, not waited for. False when
 * each is in use. It is not counted yet. */
static bool hold_next(struct cadre_client *client, struct cadre_berth *ret_berth)
{
	/* Relaxed, load and store: which thread gets which slot is decided in hold. */
	uint64_t position = atomic_load_explicit(&client->next, memory_order_relaxed);

	for (uint32_t tried = 0; tried < client->slot_count; tried++, position++) {
		const uint32_t index = (uint32_t)position & (client->slot_count - 1);

		if (!hold(client, index))
			continue;
		atomic_store_explicit(&client->next, position + 1, memory_order_relaxed);
		ret_berth->position = position;
		ret_berth->index = index;
		return true;
	}
	count(&client->lines->counters.window_full);
	return false;
}

static bool take_slot(struct cadre_client *client, struct cadre_berth *ret_berth)
{
	if (!hold_next(client, ret_berth))
		return false;
	count_held(client, ret_berth);
	return true;
}

int cadre_client_check_open(struct cadre_client *client)
{
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	if (atomic_load_explicit(&client->dead, memory_order_relaxed))
		return -EOWNERDEAD;
	/* Relaxed: a pool that stops just now is noticed behind the fence. */
	if (atomic_load_explicit(&client->view.header->state, memory_order_relaxed) !=
	    CADRE_POOL_OPEN)
		return -ESHUTDOWN;
	return 0;
}

/* Names the job that the held slot is going to be. Relaxed: still nobody's but ours. */
static void name_job(struct cadre_client *client, uint32_t index, uint64_t generation)
{
	atomic_store_explicit(&client->pending[index].word,
			      cadre_pending_pack(CADRE_PENDING_HELD, generation),
			      memory_order_relaxed);
}

/* S1 for a payload that does not fit its slot, into a block. */
static int prepare_block(struct cadre_client *client, size_t length,
			 struct cadre_berth *berth)
{
	const uint32_t index = berth->index, number = client->slot_base + index;
	struct cadre_slot *const slot = &client->slots[index];
	struct cadre_pending *const pending = &client->pending[index];
	const uint64_t word = cadre_slot_fill(slot);
	uint64_t size;

	if (word == 0)
		return -EBADMSG;
	berth->generation = cadre_word_generation(word);
	name_job(client, index, berth->generation);
	pending->request_block = cadre_block_take(&client->blocks, length, number,
						  berth->generation);
	CADRE_KILL_POINT("B1");
	if (pending->request_block == CADRE_NO_BLOCK) {
		count(&client->lines->counters.no_block);
		cadre_slot_unfill(slot, &client->books[index]);
		return -ENOBUFS;
	}
	berth->data = cadre_block_room(&client->blocks, pending->request_block, &size);
	return 0;
}

/* S1 for a payload that fits its slot. */
static void prepare_plain(struct cadre_client *client, struct cadre_berth *berth)
{
	struct cadre_slot *const slot = &client->slots[berth->index];

	client->pending[berth->index].request_block = CADRE_NO_BLOCK;
	berth->generation = (cadre_word_generation(cadre_slot_peek(slot)) + 1) &
			    CADRE_GENERATION_MAX;
	berth->data = slot->request.payload;
}

int cadre_berth_prepare(struct cadre_client *client, size_t length, uint32_t inline_max,
			struct cadre_berth *berth)
{
	prepare_plain(client, berth);
	if (length > inline_max)
		return prepare_block(client, length, berth);
	name_job(client, berth->index, berth->generation);
	return 0;
}

int cadre_berth_prepare_stream(struct cadre_client *client,
			       const struct cadre_request *request,
			       struct cadre_berth *berth)
{
	const int r = cadre_client_prepare_stream(client, berth->index, request,
						  &berth->data);

	berth->generation = cadre_client_generation(client, berth->index);
	return r;
}

int cadre_berth_take(struct cadre_client *client, size_t length, uint32_t inline_max,
		     struct cadre_berth *ret_berth)
{
	int r;

	if (!take_slot(client, ret_berth))
		return -EAGAIN;
	r = cadre_berth_prepare(client, length, inline_max, ret_berth);
	if (r < 0)
		vacate(client, ret_berth->index);
	return r;
}

/* What this process keeps of each job, of a plain one no more. */
static void note_plain(struct cadre_pending *pending, const struct cadre_request *request,
		       int64_t now_ns)
{
	pending->submitted_ns = now_ns;
	pending->operation = request->operation;
	pending->context = request->context;
	pending->counter = 0;
	/* Relaxed: published with the state. */
	atomic_store_explicit(&pending->deadline_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&pending->ended, NULL, memory_order_relaxed);
	atomic_store_explicit(&pending->marks, 0, memory_order_relaxed);
}

static void note(struct cadre_client *client, const struct cadre_berth *berth,
		 const struct cadre_request *request, int64_t now_ns)
{
	struct cadre_pending *const pending = &client->pending[berth->index];

	note_plain(pending, request, now_ns);
	if (request->counter)
		pending->counter = 1 + (uint32_t)(request->counter - client->counters);
	/* Relaxed, as above. */
	atomic_store_explicit(&pending->deadline_ns, request->deadline_ns,
			      memory_order_relaxed);
	atomic_store_explicit(&pending->ended, request->ended, memory_order_relaxed);
	atomic_store_explicit(&pending->marks,
			      (request->flags & CADRE_STREAM ? CADRE_MARK_STREAM : 0u) |
				      (request->token ? CADRE_MARK_TOKEN : 0u),
			      memory_order_relaxed);
}

/* S2: all of the request. A worker may be watching the line of the word, which is this one:
 * so everything is written in one go, and the word right behind it (publish). */
static void describe_plain(struct cadre_client *client, const struct cadre_berth *berth,
			   const struct cadre_request *request, unsigned has,
			   int64_t now_ns)
{
	struct cadre_request_lines *const lines = &client->slots[berth->index].request;

	if (request->length && berth->data != request->data)
		memcpy(berth->data, request->data, request->length);
	lines->submitted_ns = now_ns;
	lines->length = (uint32_t)request->length;
	lines->operation = (uint16_t)request->operation;
	lines->retries = (uint8_t)(request->retries ? request->retries : RETRIES_DEFAULT);
	/* Relaxed, but atomic: a thread that decided the job before may still look whether that
	 * was a stream (cadre_view_tell_producer). What it reads of ours costs a ring. */
	__atomic_store_n(&lines->with, (uint8_t)has, __ATOMIC_RELAXED);
}

static void point_at_block(struct cadre_client *client, const struct cadre_berth *berth)
{
	struct cadre_request_lines *const lines = &client->slots[berth->index].request;

	lines->block = client->pending[berth->index].request_block;
	lines->seal = cadre_block_seal(lines->block, client->slot_base + berth->index,
				       berth->generation);
}

static void describe(struct cadre_client *client, const struct cadre_berth *berth,
		     const struct cadre_request *request, const struct cadre_aim *aim,
		     int64_t now_ns)
{
	struct cadre_request_lines *const lines = &client->slots[berth->index].request;
	const unsigned has = cadre_request_has(request);

	if (request->length > cadre_request_inline_max(has) ||
	    request->flags & CADRE_STREAM)
		point_at_block(client, berth);
	/* Relaxed: published with the word. */
	if (request->token)
		atomic_store_explicit(&lines->token, cadre_handle_id(request->token),
				      memory_order_relaxed);
	if (aim->owner != CADRE_OWNER_NONE)
		lines->target = aim->incarnation;
	else if (request->flags & CADRE_IDEMPOTENT)
		lines->faults = 0;
	if (request->deadline_ns)
		lines->deadline_ns = request->deadline_ns;
	describe_plain(client, berth, request,
		       has | (aim->owner != CADRE_OWNER_NONE ? CADRE_WITH_TARGET : 0u),
		       now_ns);
}

static int pack(struct cadre_client *client, uint32_t index,
		const struct cadre_request *request)
{
	return request->descriptor_count ?
		       cadre_courier_pack(client, index, request->descriptors,
					  request->descriptor_count) :
		       0;
}

int cadre_berth_write(struct cadre_client *client, const struct cadre_berth *berth,
		      const struct cadre_request *request, const struct cadre_aim *aim,
		      int64_t now_ns)
{
	const int r = pack(client, berth->index, request);

	if (r < 0)
		return r;
	note(client, berth, request, now_ns);
	describe(client, berth, request, aim, now_ns);
	return 0;
}

static unsigned word_flags(const struct cadre_client *client,
			   const struct cadre_request *request)
{
	unsigned flags = 0;

	if (request->flags & CADRE_IDEMPOTENT)
		flags |= CADRE_FLAG_IDEMPOTENT;
	if (request->flags & CADRE_DETACHED)
		flags |= CADRE_FLAG_DETACHED;
	/* Somebody sleeps for callbacks: the notifier. */
	if (request->ended &&
	    atomic_load_explicit(&client->notifier_runs, memory_order_relaxed))
		flags |= CADRE_FLAG_WAITING;
	return flags;
}

/* S3. From here on another thread, or the notifier, may take the result, and the slot may be
 * another job's. */
static void publish_as(struct cadre_client *client, const struct cadre_berth *berth,
		       const struct cadre_request *request,
		       enum cadre_pending_state state, unsigned flags, unsigned owner)
{
	struct cadre_pending *const pending = &client->pending[berth->index];

	/* V3: release, pairs with V4 in take.c: the fields of the pending are there. */
	atomic_store_explicit(&pending->word, cadre_pending_pack(state, berth->generation),
			      memory_order_release);
	cadre_slot_publish(&client->slots[berth->index], flags, owner);
	CADRE_TRACE(submit, client->slot_base, berth->index, berth->generation,
		    request->operation, request->length);
	/* V5: release, pairs with V6 in take.c: before that, a word that is not ours may only be
	 * one that we are about to replace. */
	atomic_store_explicit(&pending->published, berth->generation,
			      memory_order_release);
}

static void publish(struct cadre_client *client, const struct cadre_berth *berth,
		    const struct cadre_request *request, const struct cadre_aim *aim)
{
	if (request->ended)
		atomic_fetch_add_explicit(&client->callbacks, 1, memory_order_relaxed);
	publish_as(client, berth, request,
		   request->flags & CADRE_DETACHED ? CADRE_PENDING_LEFT :
						     CADRE_PENDING_OUT,
		   word_flags(client, request), aim->owner);
	if (request->token)
		cadre_handle_look_again(client, berth->index, berth->generation,
					cadre_handle_id(request->token));
}

static void move_tail(struct cadre_client *client, uint64_t tail)
{
	struct cadre_hints *const hints = &client->lines->hints;

	/* A thread that was slow finds the tail beyond its job, and perhaps the workers too. */
	if (atomic_load_explicit(&hints->tail, memory_order_relaxed) < tail)
		cadre_window_publish(hints, tail);
	else
		cadre_window_look_back(hints, tail - 1);
}

CADRE_RARELY static void ask_for_workers(struct cadre_client *client)
{
	const struct cadre_control knock = cadre_control_message(CADRE_CONTROL_KNOCK);
	struct cadre_header *const header = client->view.header;

	/* Relaxed: a wish. The first who has it says so; should it die in between, the
	 * supervisor's tick sees the queue. */
	if (atomic_load_explicit(&header->wish_to_grow, memory_order_relaxed) ||
	    atomic_exchange_explicit(&header->wish_to_grow, 1, memory_order_relaxed))
		return;
	CADRE_KILL_POINT("S5");
	(void)cadre_control_ask(client->pool, &knock, 0, NULL);
}

CADRE_RARELY static void wake_one(struct cadre_client *client)
{
	unsigned turn = atomic_load_explicit(&client->crew_turn, memory_order_relaxed);

	/* For the one that wakes, and for clients that never wait but look. */
	(void)cadre_whereabouts_say(client->bell);
	cadre_dispatch_wake(&client->view, &turn);
	atomic_store_explicit(&client->crew_turn, turn, memory_order_relaxed);
	count(&client->lines->counters.wakes_sent);
}

/* S4: after a burst was published. The drawing stands in crew.h. What is aimed at one worker
 * is no work for the crew: that worker was told. */
static void announce(struct cadre_client *client, uint64_t tail, bool for_anyone,
		     int64_t now_ns)
{
	struct cadre_header *const header = client->view.header;

	move_tail(client, tail);
	atomic_thread_fence(memory_order_seq_cst); /* F2, pairs with F3 in look.c and F4 in
						    * supervisor.c */
	CADRE_KILL_POINT("S4");
	if (!for_anyone)
		return;
	if (!cadre_mask_has(&header->active, client->window))
		cadre_mask_set(&header->active, client->window);

	switch (cadre_crew_look(&header->crew, client->view.limits.workers)) {
	case CADRE_CREW_LOOKING:
		break;
	case CADRE_CREW_ASLEEP:
		if (cadre_crew_roused(&header->crew, client->view.worker_bells,
				      client->view.limits.workers,
				      now_ns) < client->roused_most)
			wake_one(client);
		break;
	case CADRE_CREW_ENGAGED:
		ask_for_workers(client);
		break;
	}
}

static void nudge(struct cadre_client *client)
{
	struct cadre_header *const header = client->view.header;

	/* F2 as well, pairs with F3: the job is still pending, and we are about to sleep. */
	atomic_thread_fence(memory_order_seq_cst);
	if (cadre_mask_next(&header->crew.sleepers, 0, client->view.limits.workers) <
	    client->view.limits.workers)
		wake_one(client);
	else if (cadre_crew_look(&header->crew, client->view.limits.workers) ==
		 CADRE_CREW_ENGAGED)
		ask_for_workers(client);
}

void cadre_client_nudge_once(struct cadre_client *client, uint32_t index, uint64_t word)
{
	struct cadre_pending *const pending = &client->pending[index];

	/* Twice would do no harm. */
	if (cadre_word_phase(word) != CADRE_QUEUED ||
	    cadre_pending_has(pending, CADRE_MARK_NUDGED))
		return;
	cadre_pending_mark(pending, CADRE_MARK_NUDGED);
	if (cadre_word_owner(word) == CADRE_OWNER_NONE)
		nudge(client);
	else if (cadre_word_owner(word) <= client->view.seat_count)
		cadre_aim_wake(&client->view, cadre_word_owner(word) - 1);
}

/* A job that nobody may have seen and nobody may ever run: ours to take back, as long as it
 * has not been claimed. */
CADRE_RARELY static bool take_back(struct cadre_client *client, uint32_t index,
				   uint64_t generation)
{
	struct cadre_pending *const pending = &client->pending[index];
	const uint64_t taken = cadre_pending_pack(CADRE_PENDING_TAKEN, generation);
	const uint64_t left = cadre_pending_pack(CADRE_PENDING_LEFT, generation);
	uint64_t seen = cadre_pending_pack(CADRE_PENDING_OUT, generation);
	uint64_t word;

	/* Keep other threads of this client away from it first. A detached one is LEFT. */
	if (!atomic_compare_exchange_strong(&pending->word, &seen, taken) &&
	    (seen != left || !atomic_compare_exchange_strong(&pending->word, &seen, taken)))
		return false;

	word = cadre_slot_look(&client->slots[index]);
	if (cadre_word_generation(word) != generation ||
	    !cadre_slot_withdraw(&client->slots[index], word)) {
		atomic_store(&pending->word, seen);
		return false;
	}
	if (atomic_load_explicit(&pending->ended, memory_order_relaxed))
		atomic_fetch_sub(&client->callbacks, 1);
	cadre_courier_unpack(client, index);
	cadre_client_let_go(client, index);
	return true;
}

/* Tells the worker that the job is aimed at. True when that has gone meanwhile, without
 * having seen the job. */
static bool withdraw_if_gone(struct cadre_client *client, const struct cadre_berth *berth,
			     const struct cadre_aim *aim)
{
	return aim->owner != CADRE_OWNER_NONE &&
	       !cadre_aim_tell(&client->view, *aim, client->window) &&
	       take_back(client, berth->index, berth->generation);
}

/* Behind the fence of `announce`: a pool that stopped meanwhile may not have seen these jobs. A
 * single one is withdrawn; those of a batch were accepted, and a pool that has ended runs none
 * of them, so they end as terminated. True when there was nothing else than that one. */
CADRE_RARELY static bool withdraw(struct cadre_client *client,
				  const struct cadre_berth *only)
{
	const bool withdrawn = only && take_back(client, only->index, only->generation);

	if (!withdrawn &&
	    atomic_load_explicit(&client->view.header->state, memory_order_relaxed) ==
		    CADRE_POOL_TERMINATED)
		cadre_client_end_everything(client);
	return withdrawn;
}

static bool withdraw_if_stopped(struct cadre_client *client,
				const struct cadre_berth *only)
{
	return atomic_load_explicit(&client->view.header->state, memory_order_relaxed) !=
		       CADRE_POOL_OPEN &&
	       withdraw(client, only);
}

int cadre_berth_publish(struct cadre_client *client, const struct cadre_berth *berth,
			const struct cadre_request *request, const struct cadre_aim *aim)
{
	publish(client, berth, request, aim);
	return withdraw_if_gone(client, berth, aim) ? -EHOSTDOWN : 0;
}

int cadre_berth_announce(struct cadre_client *client, const struct cadre_berth *berth,
			 bool for_anyone, int64_t now_ns)
{
	announce(client, berth->position + 1, for_anyone, now_ns);
	return withdraw_if_stopped(client, berth) ? -ESHUTDOWN : 0;
}

CADRE_RARELY void cadre_berth_abandon(struct cadre_client *client, uint32_t index)
{
	struct cadre_slot *const slot = &client->slots[index];
	const uint64_t word = cadre_slot_peek(slot);

	/* A short request has not touched the word. */
	if (cadre_word_phase(word) == CADRE_FILLING) {
		cadre_block_give(&client->blocks, client->pending[index].request_block,
				 client->slot_base + index, cadre_word_generation(word));
		cadre_slot_unfill(slot, &client->books[index]);
	}
	vacate(client, index);
}

/* Takes a slot and fills it; does not announce it. */
static int submit_quietly(struct cadre_client *client, const struct cadre_request *request,
			  const struct cadre_aim *aim, int64_t now_ns,
			  struct cadre_berth *ret_berth)
{
	int r;

	if (!take_slot(client, ret_berth))
		return -EAGAIN;
	r = request->flags & CADRE_STREAM ?
		    cadre_berth_prepare_stream(client, request, ret_berth) :
		    cadre_berth_prepare(client, request->length,
					cadre_request_inline_max(
						cadre_request_has(request)),
					ret_berth);
	if (r < 0) {
		vacate(client, ret_berth->index);
		return r;
	}
	r = cadre_berth_write(client, ret_berth, request, aim, now_ns);
	if (r < 0)
		cadre_berth_abandon(client, ret_berth->index);
	return r;
}

/* The last job that was accepted in a burst. */
struct accepted {
	struct cadre_berth berth;
	bool for_anyone; /* any job of the burst is */
};

CADRE_RARELY static int accept_any(struct cadre_client *client,
				   const struct cadre_request *request, int64_t now_ns,
				   struct cadre_ticket *ret_ticket, struct accepted *last)
{
	struct cadre_aim aim;
	struct cadre_berth berth;
	int r = cadre_request_check(client, request, &aim);

	if (r == 0 && !cadre_request_is_heard(request, ret_ticket))
		r = -EINVAL;
	if (r == 0)
		r = submit_quietly(client, request, &aim, now_ns, &berth);
	if (r != 0)
		return r;
	if (ret_ticket)
		*ret_ticket = cadre_ticket_make(berth.index, berth.generation);
	r = cadre_berth_publish(client, &berth, request, &aim);
	if (r < 0)
		return r;
	last->berth = berth;
	last->for_anyone |= aim.owner == CADRE_OWNER_NONE;
	return 0;
}

/* A payload that fits its slot, and nothing else that a request may have: as most are. */
static bool is_plain(const struct cadre_client *client,
		     const struct cadre_request *request)
{
	const uint64_t more = request->flags | request->retries |
			      (uint64_t)request->deadline_ns | (uintptr_t)request->token |
			      (uintptr_t)request->ended | (uintptr_t)request->item |
			      request->stream_room | request->descriptor_count |
			      (uintptr_t)request->counter | (uintptr_t)request->to;

	return more == 0 && (uint32_t)request->operation - 1 < CADRE_OPERATION_ID_MAX &&
	       (int64_t)request->length <= client->plain_max && request->data;
}

/* The same as accept_any, of a plain request. */
static int accept_plain(struct cadre_client *client, const struct cadre_request *request,
			int64_t now_ns, struct cadre_ticket *ret_ticket,
			struct accepted *last)
{
	struct cadre_berth berth;

	if (!hold_next(client, &berth))
		return -EAGAIN;
	prepare_plain(client, &berth);
	note_plain(&client->pending[berth.index], request, now_ns);
	describe_plain(client, &berth, request, 0, now_ns);
	*ret_ticket = cadre_ticket_make(berth.index, berth.generation);
	publish_as(client, &berth, request, CADRE_PENDING_OUT, 0, CADRE_OWNER_NONE);
	/* Before its ticket is known, so before it may be released. */
	count_held(client, &berth);
	last->berth = berth;
	last->for_anyone = true;
	return 0;
}

/* Accepts one job, and does not announce it to the crew. */
static int accept_one(struct cadre_client *client, const struct cadre_request *request,
		      int64_t now_ns, struct cadre_ticket *ret_ticket,
		      struct accepted *last)
{
	return ret_ticket && is_plain(client, request) ?
		       accept_plain(client, request, now_ns, ret_ticket, last) :
		       accept_any(client, request, now_ns, ret_ticket, last);
}

CADRE_EACH_JOB int cadre_try_submit_batch(struct cadre_client *client,
					  const struct cadre_request *requests,
					  size_t count_wanted,
					  struct cadre_ticket *ret_tickets)
{
	const int64_t now_ns = cadre_clock_ns();
	struct accepted last = { .for_anyone = false };
	size_t accepted;
	int r = cadre_client_check_open(client);

	if (r < 0)
		return r;
	if (count_wanted > INT32_MAX)
		return -EINVAL;
	for (accepted = 0; accepted < count_wanted; accepted++) {
		r = accept_one(client, &requests[accepted], now_ns,
			       ret_tickets ? &ret_tickets[accepted] : NULL, &last);
		if (r < 0)
			break;
	}
	if (accepted == 0)
		return r;

	announce(client, last.berth.position + 1, last.for_anyone, now_ns);
	return withdraw_if_stopped(client, accepted == 1 ? &last.berth : NULL) ?
		       -ESHUTDOWN :
		       (int)accepted;
}

CADRE_EACH_JOB int cadre_try_submit(struct cadre_client *client,
				    const struct cadre_request *request,
				    struct cadre_ticket *ret_ticket)
{
	const int64_t now_ns = cadre_clock_ns();
	struct accepted last;
	int r = cadre_client_check_open(client);

	if (r < 0)
		return r;
	last.for_anyone = false;
	r = accept_one(client, request, now_ns, ret_ticket, &last);
	if (r != 0)
		return r;
	return cadre_berth_announce(client, &last.berth, last.for_anyone, now_ns);
}

/* Sleeps until something of this client ends, or a while has passed. Rooms come back when
 * a thread of ours releases a result, which rings no bell: hence the short while. */
CADRE_RARELY static void await_room(struct cadre_client *client, int64_t until_ns)
{
	const int64_t left_ns = cadre_clock_left_ns(until_ns, CADRE_NS_PER_MS);
	const struct timespec nap = cadre_clock_timespec(left_ns);

	cadre_client_look_after_pool(client, cadre_clock_ns());
	ppoll(NULL, 0, &nap, NULL);
}

int cadre_submit(struct cadre_client *client, const struct cadre_request *request,
		 int64_t until_ns, struct cadre_ticket *ret_ticket)
{
	for (;;) {
		const int r = cadre_try_submit(client, request, ret_ticket);

		if (r != -EAGAIN && r != -ENOBUFS)
			return r;
		if (cadre_clock_left_ns(until_ns, 1) == 0)
			return -ETIMEDOUT;
		await_room(client, until_ns);
	}
}
