/*
 * take.c - the client's way out: wait for jobs that are out, take their results, let go.
 *
 * Step C1 of the life of a job. A job has ended for its caller when its word is DONE, or
 * when its outcome is decided while its worker still runs; in the second case the caller
 * has its answer at once and the slot comes back later.
 */
#include "client.h"
#include "clock.h"
#include "trace.h"
#include "whereabouts.h"

#include <stdio.h>
#include <string.h>

/* Of so many looks one is at the word itself, for a job whose worker died before the stamp; it
 * takes the word's line from a worker. Who spins looks every 50 ns. */
#define WORD_LOOK_EVERY 16
#define WORD_LOOK_EVERY_SPINNING 128
#define PAUSES_PER_CLOCK 64
#define PAUSES_PER_LOOK 2  /* and job that is out */
#define LOOKS_AT_ONCE 1000 /* for the only job that is out: a microsecond */
#define PAUSES_MAX 256
#define TRY_AGAIN_NS 50 /* and job that is out besides */
#define TRY_AGAIN_MOST_NS (4 * CADRE_NS_PER_US)

bool cadre_client_has_ended(const struct cadre_client *client, uint32_t index,
			    uint64_t generation, bool at_word)
{
	const struct cadre_slot *const slot = &client->slots[index];
	const struct cadre_pending *const pending = &client->pending[index];
	bool stamped, published;
	uint64_t word;

	/* The stamp is on the reply's line, which the worker writes and nobody else reads:
	 * watching the word instead would take its line away from the worker's CAS. Relaxed:
	 * a hint, the word decides. */
	stamped = cadre_slot_is_stamped(slot, generation);
	if (!at_word && !stamped && !cadre_pending_has(pending, CADRE_MARK_DECIDED))
		return false;
	/* V6: acquire, pairs with V5 in submit.c. */
	published = atomic_load_explicit(&pending->published, memory_order_acquire) ==
		    generation;
	word = cadre_slot_look_at_end(slot, generation);
	/* Who waits for a word that somebody scribbled over would wait for ever. */
	if (cadre_word_is_spoiled(word, generation))
		return published;
	return cadre_word_has_ended(word);
}

bool cadre_client_decide(struct cadre_client *client, uint32_t index, uint64_t generation,
			 enum cadre_outcome outcome)
{
	uint64_t replaced;

	if (!cadre_slot_decide(&client->slots[index], generation, outcome, &replaced))
		return false;
	/* It makes the next look one at the word, and a look at all. */
	cadre_pending_mark(&client->pending[index], CADRE_MARK_DECIDED);
	atomic_store_explicit(&client->missed_until_ns, 0, memory_order_relaxed);
	cadre_view_tell_decided(&client->view, client->slot_base + index, replaced);
	return true;
}

int64_t cadre_client_look_at_time(struct cadre_client *client, uint32_t index,
				  uint64_t generation, int64_t now_ns)
{
	struct cadre_pending *const pending = &client->pending[index];
	/* Relaxed: of another job by now, perhaps; then the generation tells. */
	const int64_t deadline_ns = atomic_load_explicit(&pending->deadline_ns,
							 memory_order_relaxed);
	int64_t due_ns = INT64_MAX;
	uint64_t token;

	if (deadline_ns && now_ns >= deadline_ns)
		cadre_client_decide(client, index, generation, CADRE_TIMED_OUT);
	else if (deadline_ns)
		due_ns = deadline_ns;
	if (!cadre_pending_has(pending, CADRE_MARK_TOKEN))
		return due_ns;
	token = cadre_request_token(&client->slots[index].request);
	if (token && cadre_notice_job(&client->view, client->slot_base + index,
				      generation, token, now_ns, &due_ns))
		cadre_pending_mark(pending, CADRE_MARK_DECIDED);
	return due_ns;
}

/* Where a reply lies: in the slot or in a block. False when the numbers cannot be. */
static bool find_reply(struct cadre_client *client, uint32_t index, uint64_t generation,
		       struct cadre_result *result)
{
	const struct cadre_reply_lines *const reply = &client->slots[index].reply;
	const uint32_t length = CADRE_READ_ONCE(reply->length);
	uint64_t size = 0;

	if (length <= CADRE_INLINE_MAX) {
		result->data = reply->payload;
	} else {
		/* It is going to be booked, in a line that workers have who look whether the
		 * block of a job before is free. */
		cadre_prefetch_to_write(&client->books[index]);
		result->data = cadre_block_unseal(&client->blocks,
						  CADRE_READ_ONCE(reply->block),
						  CADRE_READ_ONCE(reply->seal),
						  client->slot_base + index, generation,
						  &size);
		if (!result->data || length > size) {
			result->data = NULL;
			return false;
		}
	}
	result->length = length;
	return true;
}

/* Why its worker was killed, if the supervisor did it. */
static void say_lost(const struct cadre_reply_lines *reply, struct cadre_result *result)
{
	const uint32_t length = CADRE_READ_ONCE(reply->length);
	const int shown = (int)(length < CADRE_INLINE_MAX ? length : CADRE_INLINE_MAX);
	char how[48] = "died";

	if (result->code == CADRE_STATUS_NOT_BEGUN) {
		strcpy(result->sentence,
		       "the worker that it was for was gone before it had begun");
		return;
	}
	if (result->code > 0)
		snprintf(how, sizeof(how), "was killed by SIG%s",
			 sigabbrev_np(result->code) ? sigabbrev_np(result->code) : "?");
	else if (result->code != CADRE_STATUS_UNKNOWN)
		snprintf(how, sizeof(how), "exited with status %d", -result->code);
	snprintf(result->sentence, sizeof(result->sentence),
		 "worker %d (pid %d) %s while running it (attempt %u)%s%.*s",
		 result->worker, result->worker_pid, how, result->attempt + 1,
		 shown ? ": " : "", shown, (const char *)reply->payload);
}

static void say_failed(const struct cadre_reply_lines *reply, struct cadre_result *result)
{
	const uint32_t length = CADRE_READ_ONCE(reply->length);

	result->code = reply->code;
	snprintf(result->sentence, sizeof(result->sentence), "%.*s",
		 (int)(length < CADRE_INLINE_MAX ? length : CADRE_INLINE_MAX),
		 (const char *)reply->payload);
}

/* By its token, if that has ended so, and nobody did it by hand. */
static void say_decided(struct cadre_client *client, uint32_t index,
			struct cadre_result *result)
{
	const bool is_late = result->outcome == CADRE_TIMED_OUT;
	const uint64_t token = cadre_pending_has(&client->pending[index],
						 CADRE_MARK_TOKEN) ?
				       cadre_request_token(&client->slots[index].request) :
				       0;
	enum cadre_token_phase phase;

	snprintf(result->sentence, sizeof(result->sentence), "%s",
		 is_late ? "its deadline passed" : "it was cancelled");
	if (!token)
		return;
	phase = cadre_token_view(&client->view.tokens, token, 0).phase;
	if (phase == CADRE_TOKEN_VACANT) {
		strcpy(result->sentence, "its token was released before it was submitted");
	} else if (phase == (is_late ? CADRE_TOKEN_TIMED_OUT : CADRE_TOKEN_CANCELLED)) {
		cadre_token_say(&client->view.tokens, token, result->sentence,
				sizeof(result->sentence));
		if (!result->sentence[0])
			snprintf(result->sentence, sizeof(result->sentence), "%s",
				 is_late ? "the time of its token is over" :
					   "its token was cancelled");
	}
}

/* A reply is looked at only where it is finished: not when the outcome was decided while
 * its worker runs. */
CADRE_RARELY static void say_why(struct cadre_client *client, uint32_t index,
				 struct cadre_result *result)
{
	const struct cadre_reply_lines *const reply = &client->slots[index].reply;

	switch (result->outcome) {
	case CADRE_FAILED:
		say_failed(reply, result);
		break;
	case CADRE_LOST:
		/* Of a job that nobody had, nobody wrote a reply. */
		result->code = result->worker < 0 ? CADRE_STATUS_NOT_BEGUN : reply->code;
		say_lost(reply, result);
		break;
	case CADRE_CANCELLED:
	case CADRE_TIMED_OUT:
		say_decided(client, index, result);
		break;
	case CADRE_TERMINATED:
		strcpy(result->sentence, "the pool was terminated");
		break;
	case CADRE_REFUSED:
		result->code = reply->code;
		snprintf(result->sentence, sizeof(result->sentence),
			 "it has killed %d workers, the last one just now (pid %d), and is not run "
			 "again",
			 CADRE_FAULTS_MAX, result->worker_pid);
		break;
	case CADRE_OK:
	case CADRE_WITHDRAWN:
		break;
	}
}

/* Between two times that stand in the segment; no clock was ever below 0. */
static int64_t between_ns(int64_t from_ns, int64_t to_ns)
{
	return from_ns >= 0 && to_ns > from_ns ? to_ns - from_ns : 0;
}

static void read_times(const struct cadre_pending *pending, const struct cadre_slot *slot,
		       struct cadre_result *result)
{
	const int64_t taken_ns = CADRE_READ_ONCE(slot->reply.taken_ns);

	result->waiting_ns = between_ns(pending->submitted_ns, taken_ns);
	result->running_ns = between_ns(taken_ns, CADRE_READ_ONCE(slot->reply.ended_ns));
}

/* What a spoiled word, or one that has not ended, says. */
CADRE_RARELY static void say_spoiled(struct cadre_result *result, const char *sentence)
{
	result->outcome = CADRE_LOST;
	result->code = CADRE_STATUS_UNKNOWN;
	snprintf(result->sentence, sizeof(result->sentence), "%s", sentence);
}

/* From the word of a job that is DONE, or decided. */
static void fill_in(struct cadre_client *client, uint32_t index, uint64_t bits,
		    struct cadre_result *result)
{
	const struct cadre_slot *const slot = &client->slots[index];
	const struct cadre_pending *const pending = &client->pending[index];
	const unsigned owner = cadre_word_owner(bits);
	const struct cadre_word word = cadre_word_unpack(bits);

	/* Field by field: clearing the sentence as a whole would cost more than the rest. */
	result->ticket = cadre_ticket_make(index, word.generation);
	result->outcome = word.outcome;
	result->code = 0;
	result->operation = pending->operation;
	result->attempt = word.attempt;
	result->worker = (int32_t)owner - 1;
	result->worker_pid = 0;
	result->waiting_ns = 0;
	result->running_ns = 0;
	result->data = NULL;
	result->length = 0;
	result->sentence[0] = '\0';
	/* Decided while it runs: what stands in the reply is not finished. */
	if (word.phase == CADRE_DONE && owner != CADRE_OWNER_NONE) {
		result->worker_pid = slot->reply.worker_pid;
		read_times(pending, slot, result);
	}
	if (cadre_pending_has(pending, CADRE_MARK_STREAM) &&
	    cadre_client_stream_is_damaged(client, index))
		say_spoiled(result, "somebody has written over its ring");
	else if (word.outcome != CADRE_OK)
		say_why(client, index, result);
	else if (!find_reply(client, index, word.generation, result))
		say_spoiled(result, "its reply lies outside of the segment");
}

void cadre_client_result(struct cadre_client *client, uint32_t index,
			 struct cadre_result *ret_result)
{
	const struct cadre_slot *const slot = &client->slots[index];
	const uint64_t generation = cadre_client_generation(client, index);
	const uint64_t bits = cadre_slot_look_at_end(slot, generation);

	if (!cadre_word_is_spoiled(bits, generation) && cadre_word_has_ended(bits)) {
		fill_in(client, index, bits, ret_result);
		return;
	}
	memset(ret_result, 0, offsetof(struct cadre_result, sentence));
	ret_result->ticket = cadre_ticket_make(index, generation);
	ret_result->operation = client->pending[index].operation;
	ret_result->worker = -1;
	say_spoiled(ret_result, "somebody has written over its slot");
}

/* Of a job that may have a stream or descriptors, or whose worker still runs. True when its slot
 * is to be vacated now. */
CADRE_RARELY static bool leave(struct cadre_client *client, uint32_t index, uint64_t word)
{
	const uint64_t left = cadre_pending_pack(CADRE_PENDING_LEFT,
						 cadre_client_generation(client, index));

	cadre_courier_close(client, index);
	if (cadre_client_is_stream(client, index))
		cadre_client_close_stream(client);
	if (cadre_word_phase(word) == CADRE_DONE)
		return true;
	/* Its outcome is decided and known: nobody needs the token on its account. */
	if (cadre_request_token(&client->slots[index].request))
		cadre_request_drop_token(&client->slots[index].request);
	/* V1 as well, for who reclaims it. */
	atomic_store_explicit(&client->pending[index].word, left, memory_order_release);
	return false;
}

void cadre_client_let_go(struct cadre_client *client, uint32_t index)
{
	struct cadre_pending *const pending = &client->pending[index];
	const uint64_t word = cadre_slot_look_at_end(&client->slots[index],
						     cadre_client_generation(client,
									     index));

	/* Relaxed: if the job had descriptors, it was set before V3. */
	if ((atomic_load_explicit(&client->courier, memory_order_relaxed) ||
	     cadre_client_is_stream(client, index) ||
	     cadre_word_phase(word) != CADRE_DONE) &&
	    !leave(client, index, word))
		return;
	cadre_client_vacate_slot(client, index, word);
	cadre_client_use_slots(client, UINT32_MAX);
	/* V1, pairs with V2 in submit.c. */
	atomic_store_explicit(&pending->word, CADRE_PENDING_VACANT, memory_order_release);
}

int cadre_client_find(const struct cadre_client *client, struct cadre_ticket ticket,
		      uint32_t *ret_index)
{
	const uint32_t index = cadre_ticket_index(ticket);
	const struct cadre_pending *pending;
	enum cadre_pending_state state;
	uint64_t word;

	if (ticket.id == 0 || index >= client->slot_count)
		return -ESTALE;
	pending = &client->pending[index];
	/* V4: acquire, pairs with V3 in submit.c. */
	word = atomic_load_explicit(&pending->word, memory_order_acquire);
	state = cadre_pending_state(word);
	if (cadre_pending_generation(word) != cadre_ticket_generation(ticket) ||
	    (state != CADRE_PENDING_OUT && state != CADRE_PENDING_TAKEN))
		return -ESTALE;
	if (state != CADRE_PENDING_OUT)
		return -EBUSY;
	*ret_index = index;
	return 0;
}

/* The same for who takes a result: a job with a callback is -EBUSY, and so is a stream that
 * was not read to its end, since it might wait for its reader for ever. */
static int find(const struct cadre_client *client, struct cadre_ticket ticket,
		uint32_t *ret_index)
{
	const int r = cadre_client_find(client, ticket, ret_index);

	if (r < 0)
		return r;
	if (atomic_load_explicit(&client->pending[*ret_index].ended, memory_order_relaxed) ||
	    (cadre_client_is_stream(client, *ret_index) &&
	     cadre_client_stream_goes_on(client, *ret_index,
					 cadre_ticket_generation(ticket))))
		return -EBUSY;
	return 0;
}

bool cadre_client_accept(struct cadre_client *client, uint32_t index, uint64_t generation)
{
	/* V4 as well, pairs with V3. */
	return cadre_pending_move(&client->pending[index],
				  cadre_pending_pack(CADRE_PENDING_OUT, generation),
				  cadre_pending_pack(CADRE_PENDING_TAKEN, generation));
}

/* The pending is TAKEN by this thread, and the result filled in. */
static void took(struct cadre_client *client, uint32_t index,
		 const struct cadre_result *result)
{
	CADRE_TRACE(take, client->slot_base, index,
		    cadre_ticket_generation(result->ticket), result->outcome);
	if (client->pending[index].counter)
		cadre_client_count(client, index, result);
}

/* One look at whatever job, and takes its result. 0, -EAGAIN, -ESTALE, -EBUSY. */
CADRE_RARELY static int look_at_any(struct cadre_client *client,
				    struct cadre_ticket ticket, bool at_word,
				    struct cadre_result *ret_result)
{
	const uint64_t generation = cadre_ticket_generation(ticket);
	uint32_t index;
	const int r = find(client, ticket, &index);

	if (r < 0)
		return r;
	if (!cadre_client_has_ended(client, index, generation, at_word))
		return -EAGAIN;
	if (!cadre_client_accept(client, index, generation))
		return -EBUSY;
	cadre_client_result(client, index, ret_result);
	took(client, index, ret_result);
	return 0;
}

/* A job that is out, and whose stamp is all that there is to watch: streams, callbacks and
 * what was decided here have rules of their own. */
static bool has_only_a_stamp(const struct cadre_client *client, struct cadre_ticket ticket)
{
	const uint32_t index = cadre_ticket_index(ticket);
	const uint64_t out = cadre_pending_pack(CADRE_PENDING_OUT,
						cadre_ticket_generation(ticket));
	const struct cadre_pending *const pending = &client->pending[index];

	/* V4: acquire, pairs with V3 in submit.c. */
	return index < client->slot_count &&
	       atomic_load_explicit(&pending->word, memory_order_acquire) == out &&
	       !cadre_pending_has(pending, CADRE_MARK_STREAM | CADRE_MARK_DECIDED) &&
	       !atomic_load_explicit(&pending->ended, memory_order_relaxed);
}

/* Takes the result of such a job, of which the stamp has told. 0, -EBUSY. */
static int take_stamped(struct cadre_client *client, struct cadre_ticket ticket,
			uint64_t told, struct cadre_result *ret_result)
{
	const uint32_t index = cadre_ticket_index(ticket);
	const uint64_t generation = cadre_ticket_generation(ticket);
	struct cadre_slot *const slot = &client->slots[index];

	/* What the reply goes on with: a line that its worker has. */
	__builtin_prefetch((const char *)&slot->reply + CADRE_CACHE_LINE);
	if (!cadre_client_accept(client, index, generation))
		return -EBUSY;
	fill_in(client, index, told, ret_result);
	took(client, index, ret_result);
	return 0;
}

/* As look_at_any, and short for a job that has a stamp, or none yet. */
static int look_at(struct cadre_client *client, struct cadre_ticket ticket, bool at_word,
		   struct cadre_result *ret_result)
{
	uint64_t told;

	if (!has_only_a_stamp(client, ticket))
		return look_at_any(client, ticket, at_word, ret_result);
	told = cadre_slot_stamp(&client->slots[cadre_ticket_index(ticket)]);
	if (cadre_stamp_tells(told, cadre_ticket_generation(ticket)))
		return take_stamped(client, ticket, told, ret_result);
	return at_word ? look_at_any(client, ticket, true, ret_result) : -EAGAIN;
}

/* Each look in vain takes the line from the worker that writes it next: who asks for the same job
 * again and again, while more of them are out, slows it down by a third. So he is told the same
 * for a while, without a look. */
static bool was_just_missed(const struct cadre_client *client, struct cadre_ticket ticket)
{
	/* Relaxed, here and below: a look more or less. */
	return atomic_load_explicit(&client->missed_id, memory_order_relaxed) ==
		       ticket.id &&
	       cadre_clock_ns() < atomic_load_explicit(&client->missed_until_ns,
						       memory_order_relaxed);
}

static void note_missed(struct cadre_client *client, struct cadre_ticket ticket)
{
	const uint32_t out = atomic_load_explicit(&client->in_use, memory_order_relaxed);
	const int64_t wished_ns = out > 1 ? TRY_AGAIN_NS * (int64_t)(out - 1) : 0;
	const int64_t for_ns = wished_ns < TRY_AGAIN_MOST_NS ? wished_ns :
							       TRY_AGAIN_MOST_NS;

	atomic_store_explicit(&client->missed_until_ns, cadre_clock_in_ns(for_ns),
			      memory_order_relaxed);
	atomic_store_explicit(&client->missed_id, ticket.id, memory_order_relaxed);
}

/* Not yet: now and then a look at the word, and at the clock where time may end it. */
CADRE_RARELY static int look_again(struct cadre_client *client, struct cadre_ticket ticket,
				   struct cadre_result *ret_result)
{
	static _Thread_local unsigned look;
	const uint32_t index = cadre_ticket_index(ticket);
	const struct cadre_pending *const pending = &client->pending[index];

	if (cadre_pending_has(pending, CADRE_MARK_TOKEN) ||
	    atomic_load_explicit(&pending->deadline_ns, memory_order_relaxed)) {
		cadre_client_look_at_time(client, index, cadre_ticket_generation(ticket),
					  cadre_clock_ns());
	} else {
		note_missed(client, ticket);
		if (look++ % WORD_LOOK_EVERY != 0)
			return -EAGAIN;
	}
	return look_at_any(client, ticket, true, ret_result);
}

CADRE_EACH_JOB int cadre_try_take(struct cadre_client *client, struct cadre_ticket ticket,
				  struct cadre_result *ret_result)
{
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	if (was_just_missed(client, ticket))
		return -EAGAIN;
	r = look_at(client, ticket, false, ret_result);
	return r == -EAGAIN ? look_again(client, ticket, ret_result) : r;
}

CADRE_EACH_JOB int cadre_release(struct cadre_client *client,
				 const struct cadre_result *result)
{
	const uint32_t index = cadre_ticket_index(result->ticket);
	const uint64_t taken = cadre_pending_pack(CADRE_PENDING_TAKEN,
						  cadre_ticket_generation(result->ticket));
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	/* V4 as well: whoever took it has added to V3. */
	if (result->ticket.id == 0 || index >= client->slot_count ||
	    atomic_load_explicit(&client->pending[index].word, memory_order_acquire) !=
		    taken)
		return -ESTALE;
	cadre_client_let_go(client, index);
	return 0;
}

int cadre_result_backtrace(const struct cadre_client *client,
			   const struct cadre_result *result,
			   struct cadre_backtrace *ret_backtrace)
{
	const int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	if ((result->outcome != CADRE_LOST && result->outcome != CADRE_REFUSED) ||
	    result->worker < 0 || (uint32_t)result->worker >= client->view.seat_count ||
	    result->worker_pid <= 0)
		return -ENOENT;
	return cadre_crash_read(&client->view.worker_crashes[result->worker],
				result->worker_pid, ret_backtrace);
}

/* ---- waiting: spin, then sleep, for one or several ---- */

/* The jobs of a wait, found once. An index of NOT_OURS is passed over. */
struct wait {
	struct cadre_client *client;
	const struct cadre_ticket *tickets;
	size_t count;
	bool at_word;         /* the next look is at the words themselves */
	bool has_worker_here; /* on our CPU, as far as we know */
};

/* Looks at each once. The first that has ended and was accepted by us: its place in the
 * list; -EAGAIN: none has; -ENOENT: there is none to wait for; -ESTALE, -EBUSY. */
static int look_once(struct wait *wait, struct cadre_result *ret_result)
{
	size_t out = 0;

	for (size_t i = 0; i < wait->count; i++) {
		int r;

		if (wait->tickets[i].id == 0)
			continue;
		r = look_at(wait->client, wait->tickets[i], wait->at_word, ret_result);
		if (r != -EAGAIN)
			return r < 0 ? r : (int)i;
		out++;
	}
	return out ? -EAGAIN : -ENOENT;
}

/* A look that failed, with more jobs out, is repeated later: it takes the line from the worker
 * that writes it next. How many pauses it was. */
static unsigned pause_for(uint32_t out)
{
	/* Never none: pauses are what the clock is read by. */
	const uint64_t wished = PAUSES_PER_LOOK * (uint64_t)(out ? out : 1);
	const unsigned pauses = wished < PAUSES_MAX ? (unsigned)wished : PAUSES_MAX;

	for (unsigned i = 0; i < pauses; i++)
		cadre_pause();
	return pauses;
}

bool cadre_client_may_spin(const struct cadre_client *client)
{
	return cadre_whereabouts_may_await(&client->view.header->crew,
					   client->view.worker_bells,
					   client->view.limits.workers,
					   cadre_whereabouts_say(client->bell));
}

static int spin(struct wait *wait, int64_t until_ns, struct cadre_result *ret_result)
{
	struct cadre_client *const client = wait->client;
	const int64_t spin_ns = client->spin_ns;
	/* Relaxed, all of them: hints. */
	const bool shares_cpu = atomic_load_explicit(&client->shares_cpu,
						     memory_order_relaxed);
	const unsigned ask_after = PAUSES_PER_LOOK * CADRE_LOOKS_BEFORE_ASKING(shares_cpu);
	const uint32_t out = atomic_load_explicit(&client->in_use, memory_order_relaxed);
	int64_t spin_until_ns = 0;
	unsigned pauses = 0, unasked = 0;

	for (unsigned round = 1;; round++) {
		unsigned paused;
		int r;

		wait->at_word = round % WORD_LOOK_EVERY_SPINNING == 0;
		r = look_once(wait, ret_result);
		if (r != -EAGAIN)
			return r;
		if (spin_ns == 0)
			return -EAGAIN;
		/* The clock is read now and then only; most answers come before the first time. */
		if (pauses >= PAUSES_PER_CLOCK) {
			const int64_t now_ns = cadre_clock_ns();

			if (spin_until_ns == 0)
				spin_until_ns = now_ns + spin_ns;
			if (now_ns >= spin_until_ns || now_ns >= until_ns)
				return -EAGAIN;
			pauses = 0;
		}
		if (unasked >= ask_after) {
			unasked = 0;
			wait->has_worker_here = !cadre_client_may_spin(client);
			/* Relaxed: a hint for the next wait. */
			atomic_store_explicit(&client->shares_cpu, wait->has_worker_here,
					      memory_order_relaxed);
			if (wait->has_worker_here)
				return -EAGAIN;
		}
		paused = pause_for(out);
		pauses += paused;
		unasked += paused;
	}
}

/* Before a sleep: what is old and still pending gets a worker woken for it, once. What is
 * past its deadline ends. Says until when we may sleep, and for which bits. */
CADRE_RARELY static void prepare_sleep(struct wait *wait, int64_t now_ns,
				       int64_t *wake_ns, uint32_t *ret_bits)
{
	struct cadre_client *const client = wait->client;

	*ret_bits = 0;
	for (size_t i = 0; i < wait->count; i++) {
		const uint64_t generation = cadre_ticket_generation(wait->tickets[i]);
		int64_t due_ns;
		uint64_t word;
		uint32_t index;

		if (wait->tickets[i].id == 0 || find(client, wait->tickets[i], &index) < 0)
			continue;
		word = cadre_slot_await(&client->slots[index], generation);
		/* Behind WAITING: who starts the clock of its token rings, or is seen. */
		due_ns = cadre_client_look_at_time(client, index, generation, now_ns);
		if (cadre_word_has_ended(word))
			*wake_ns = now_ns;
		cadre_client_nudge_once(client, index, word);
		if (due_ns < *wake_ns)
			*wake_ns = due_ns;
		*ret_bits |= cadre_view_bell_bit(client->slot_base + index);
	}
}

CADRE_RARELY static int sleep_until_ended(struct wait *wait, int64_t until_ns,
					  struct cadre_result *ret_result)
{
	struct cadre_client *const client = wait->client;

	for (;;) {
		/* L1: remembered before WAITING is set and before the last look. */
		const uint32_t rings = cadre_bell_remember(client->bell);
		const int64_t now_ns = cadre_clock_ns();
		int64_t wake_ns = now_ns + (wait->has_worker_here ? CADRE_LOOK_SOON_NS :
								    CADRE_LOOK_AGAIN_NS);
		uint32_t bits;
		int r;

		if (until_ns < wake_ns)
			wake_ns = until_ns;
		wait->has_worker_here = false;
		prepare_sleep(wait, now_ns, &wake_ns, &bits);
		wait->at_word = true;
		r = look_once(wait, ret_result);
		if (r != -EAGAIN)
			return r;
		if (now_ns >= until_ns)
			return -ETIMEDOUT;
		cadre_client_look_after_pool(client, now_ns);
		if (wake_ns > now_ns) {
			atomic_fetch_add_explicit(&client->lines->counters.sleeps, 1,
						  memory_order_relaxed);
			cadre_bell_sleep(client->bell, rings, bits, wake_ns - now_ns);
		}
	}
}

static int await_any(struct cadre_client *client, const struct cadre_ticket *tickets,
		     size_t count, int64_t until_ns, struct cadre_result *ret_result)
{
	struct wait wait = { .client = client, .tickets = tickets, .count = count };
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	if (count > INT32_MAX)
		return -EINVAL;
	r = spin(&wait, until_ns, ret_result);
	return r == -EAGAIN ? sleep_until_ended(&wait, until_ns, ret_result) : r;
}

CADRE_EACH_JOB int cadre_await_any(struct cadre_client *client,
				   const struct cadre_ticket *tickets, size_t count,
				   int64_t until_ns, struct cadre_result *ret_result)
{
	return await_any(client, tickets, count, until_ns, ret_result);
}

/* The only job that is out is waited for at nothing but its stamp, without a pause: the time
 * between a look and the next is one that its caller waits. -EAGAIN when that is not enough. */
static int watch_only(struct cadre_client *client, struct cadre_ticket ticket,
		      struct cadre_result *ret_result)
{
	/* Relaxed, both: hints. */
	const bool is_only = atomic_load_explicit(&client->in_use,
						  memory_order_relaxed) <= 1 &&
			     !atomic_load_explicit(&client->shares_cpu,
						   memory_order_relaxed);
	const struct cadre_slot *slot;

	if (!is_only || client->spin_ns == 0 || !has_only_a_stamp(client, ticket))
		return -EAGAIN;
	slot = &client->slots[cadre_ticket_index(ticket)];
	for (unsigned look = 0; look < LOOKS_AT_ONCE; look++) {
		const uint64_t told = cadre_slot_stamp(slot);

		if (cadre_stamp_tells(told, cadre_ticket_generation(ticket)))
			return take_stamped(client, ticket, told, ret_result);
	}
	return -EAGAIN;
}

CADRE_EACH_JOB int cadre_await(struct cadre_client *client, struct cadre_ticket ticket,
			       int64_t until_ns, struct cadre_result *ret_result)
{
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	r = watch_only(client, ticket, ret_result);
	if (r == -EAGAIN)
		r = await_any(client, &ticket, 1, until_ns, ret_result);
	return r == -ENOENT ? -ESTALE : r;
}

CADRE_EACH_JOB int cadre_call(struct cadre_client *client,
			      const struct cadre_request *request,
			      struct cadre_result *ret_result)
{
	const int64_t until_ns = request->deadline_ns ? request->deadline_ns :
							CADRE_FOREVER;
	struct cadre_ticket ticket;
	int r;

	if (request->ended || request->flags & (CADRE_DETACHED | CADRE_STREAM))
		return -EINVAL;
	r = cadre_submit(client, request, until_ns, &ticket);
	return r < 0 ? r : cadre_await(client, ticket, CADRE_FOREVER, ret_result);
}
