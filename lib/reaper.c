#include "reaper.h"
#include "notice.h"

#include <signal.h>
#include <string.h>

#include <cadre/client.h>

#include "clock.h"

#define OLD_AIMED_NS (10 * CADRE_NS_PER_MS)

/* Did the worker die of what it did, or of somebody's wish? A SIGKILL comes from outside,
 * as do the polite signals; what nobody saw is not held against the job. */
static bool is_fault(struct cadre_obituary obituary)
{
	switch (obituary.code) {
	case CADRE_STATUS_UNKNOWN:
	case SIGKILL:
	case SIGTERM:
	case SIGINT:
	case SIGHUP:
		return false;
	default:
		return true;
	}
}

/* It was for this worker and nobody else; it has a target where others count faults. */
static bool is_aimed(const struct cadre_slot *slot)
{
	return CADRE_READ_ONCE(slot->request.with) & CADRE_WITH_TARGET;
}

/* A consumer that has seen items must not see them twice: a stream that has begun is not
 * tried again. Nor is one whose ring cannot be found. */
static bool has_emitted(const struct cadre_view *view, uint32_t number, uint64_t bits)
{
	const struct cadre_stream *stream;
	uint64_t size;

	if (!(CADRE_READ_ONCE(view->slots[number].request.with) & CADRE_WITH_STREAM))
		return false;
	stream = cadre_view_stream(view, number, bits, &size);
	return !stream || !cadre_stream_is_untouched(stream);
}

static bool may_run_again(const struct cadre_view *view, uint32_t number, uint64_t bits)
{
	const struct cadre_slot *const slot = &view->slots[number];
	const struct cadre_word word = cadre_word_unpack(bits);
	const unsigned retries = slot->request.retries;

	return !is_aimed(slot) && word.flags & CADRE_FLAG_IDEMPOTENT &&
	       !(word.flags & CADRE_FLAG_DECIDED) && word.attempt < retries &&
	       word.attempt < CADRE_ATTEMPT_MAX &&
	       slot->request.faults < CADRE_FAULTS_MAX && !has_emitted(view, number, bits);
}

/* The worker is dead, so the reply is ours to write. */
static void write_reply(struct cadre_slot *slot, struct cadre_obituary obituary)
{
	slot->reply.code = obituary.code;
	slot->reply.worker_pid = obituary.pid;
	slot->reply.length = 0;
	if (obituary.words) {
		slot->reply.length = (uint32_t)strnlen(obituary.words, CADRE_INLINE_MAX);
		memcpy(slot->reply.payload, obituary.words, slot->reply.length);
	}
	slot->reply.block = CADRE_NO_BLOCK;
	slot->reply.taken_ns = slot->request.submitted_ns;
	slot->reply.ended_ns = slot->request.submitted_ns;
}

static void count_buried(struct cadre_place_counters *counters, struct cadre_word word,
			 enum cadre_outcome outcome)
{
	if (word.flags & CADRE_FLAG_DECIDED)
		cadre_count_add(&counters->jobs_buried, 1);
	else if (outcome == CADRE_REFUSED)
		cadre_count_add(&counters->jobs_refused, 1);
	else
		cadre_count_add(&counters->jobs_lost, 1);
}

static struct cadre_event_job job_of(const struct cadre_view *view, uint32_t number,
				     struct cadre_word word)
{
	return (struct cadre_event_job){
		.id = word.generation * view->slot_count + number,
		.operation = CADRE_READ_ONCE(view->slots[number].request.operation),
		.attempt = word.attempt,
	};
}

static void list_slot(const struct cadre_view *view, unsigned worker, uint32_t number,
		      struct cadre_event *event)
{
	const struct cadre_word word = cadre_word_unpack(
		cadre_slot_look(&view->slots[number]));

	if (word.phase == CADRE_RUNNING && word.owner == worker + 1)
		cadre_event_add_job(event, job_of(view, number, word));
}

/* The next slot of a window that is leased, from `number` on; view->slot_count when there is
 * none. In all other windows every slot is FREE: a lease ends after the last one is, and
 * nobody who was not leased a window fills a slot. To look at all of them took a dead worker's
 * caller 3 ms. */
static uint32_t next_leased(const struct cadre_view *view, uint32_t number)
{
	const uint32_t slots = view->limits.slots;
	const unsigned clients = view->limits.clients;
	const unsigned window = number / slots;
	unsigned next;

	if (window >= clients)
		return view->slot_count;
	next = cadre_mask_next(&view->header->leased, window, clients);
	return next == window ? number : next < clients ? next * slots : view->slot_count;
}

void cadre_reap_list(const struct cadre_view *view, unsigned worker,
		     struct cadre_event *event)
{
	for (uint32_t number = 0; (number = next_leased(view, number)) < view->slot_count;
	     number++)
		list_slot(view, worker, number, event);
}

/* ---- jobs that are refused ---- */

/* The request's bytes, and how many are certainly there. */
static const void *request_of(const struct cadre_view *view, uint32_t number,
			      struct cadre_word word, uint64_t *ret_length)
{
	const void *const bytes = cadre_view_request(view, number, cadre_word_pack(word),
						     ret_length);

	if (!bytes)
		*ret_length = 0;
	return bytes ? bytes : "";
}

/* Keeps the request of a job, while it is there, and prepares what is said of it. */
static struct cadre_event keep(const struct cadre_view *view, unsigned worker,
			       uint32_t number, struct cadre_word word,
			       struct cadre_obituary obituary)
{
	struct cadre_event event = cadre_event_now(CADRE_EVENT_job_refused);
	const struct cadre_event_job job = job_of(view, number, word);
	const unsigned window = cadre_view_window_of(view, number);
	uint64_t length;
	const void *const request = request_of(view, number, word, &length);
	const struct cadre_kept head = {
		.job = job.id,
		.length = length,
		.when_unix_ns = event.when_unix_ns,
		.operation = job.operation,
		.attempt = job.attempt,
		.window = (int32_t)window,
		.client_pid = cadre_place_who(&view->client_places[window]).pid,
		.worker = (int32_t)worker,
		.worker_pid = obituary.pid,
		.code = obituary.code,
	};

	event.place = (int32_t)worker;
	event.pid = head.client_pid;
	event.window = head.window;
	event.code = obituary.code;
	event.length = length;
	event.kept = 1 + cadre_kept_write(&view->kept, &head, request);
	cadre_event_add_job(&event, job);
	cadre_event_add_victims(&view->events, job.id, &event);
	cadre_event_add_pid(&event, obituary.pid);
	cadre_event_add_data(&event, request, length);
	cadre_count_peak(&view->header->counters.requests_kept, event.kept);
	return event;
}

/* A predecessor may have died between the refusal and the event. */
static void tell_if_untold(const struct cadre_view *view, unsigned worker,
			   uint32_t number, struct cadre_word word)
{
	const struct cadre_annals_span span = cadre_annals_span(&view->kept);
	const uint64_t job = job_of(view, number, word).id;
	struct cadre_kept head;

	for (uint64_t kept = span.from; kept != span.to; kept++) {
		struct cadre_event event;

		if (!cadre_kept_read(&view->kept, kept, &head, NULL) || head.job != job ||
		    cadre_event_forgot(&view->events, head.when_unix_ns) ||
		    cadre_event_knows_job(&view->events, CADRE_EVENT_job_refused, job))
			continue;
		event = keep(view, worker, number, word,
			     (struct cadre_obituary){ .pid = head.worker_pid,
						      .code = head.code });
		cadre_event_write(&view->events, &event);
	}
}

static void reap_running(const struct cadre_view *view, unsigned worker, uint32_t number,
			 uint64_t word, struct cadre_obituary obituary)
{
	struct cadre_slot *const slot = &view->slots[number];
	struct cadre_place_counters *const counters = &view->worker_stats[worker].place;
	const struct cadre_word parts = cadre_word_unpack(word);
	const unsigned window = cadre_view_window_of(view, number);
	struct cadre_event refusal;
	enum cadre_outcome outcome;

	if (may_run_again(view, number, word)) {
		if (!cadre_slot_requeue(slot, word))
			return;
		CADRE_KILL_POINT("D3");
		cadre_count_add(&counters->jobs_requeued, 1);
		cadre_window_point_at(&view->client_lines[window].hints,
				      number % view->limits.slots, view->limits.slots);
		cadre_mask_set(&view->header->active, window);
		return;
	}
	outcome = !is_aimed(slot) && slot->request.faults >= CADRE_FAULTS_MAX &&
				  parts.flags & CADRE_FLAG_IDEMPOTENT ?
			  CADRE_REFUSED :
			  CADRE_LOST;
	if (parts.flags & CADRE_FLAG_DECIDED)
		outcome = CADRE_LOST; /* what was decided stands, and nobody refuses it */
	/* Once it is buried its client may free it. */
	if (outcome == CADRE_REFUSED)
		refusal = keep(view, worker, number, parts, obituary);
	write_reply(slot, obituary);
	if (!cadre_slot_bury(slot, word, outcome))
		return;
	CADRE_KILL_POINT("D4");
	if (outcome == CADRE_REFUSED)
		cadre_event_write(&view->events, &refusal);
	count_buried(counters, parts, outcome);
	cadre_view_ring_if_awaited(view, number, word);
}

/* A job that waited for this worker alone. */
static void reap_aimed(const struct cadre_view *view, unsigned worker, uint32_t number,
		       uint64_t word)
{
	if (!cadre_slot_strand(&view->slots[number], word))
		return;
	cadre_count_add(&view->worker_stats[worker].place.jobs_lost, 1);
	cadre_view_ring_if_awaited(view, number, word);
}

/* A job that this worker ended: it may have died between its last step and the ring, and a
 * predecessor of ours between the refusal and the event. */
static void reap_done(const struct cadre_view *view, unsigned worker, uint32_t number,
		      uint64_t word)
{
	const struct cadre_word parts = cadre_word_unpack(word);
	const bool is_refused = parts.outcome == CADRE_REFUSED;

	/* What its client is done with is over, though the word still names who ran it. The books
	 * last, which are on a line of their own. */
	if ((!is_refused && !(parts.flags & CADRE_FLAG_WAITING)) ||
	    cadre_slot_is_vacant(word, &view->books[number]))
		return;
	cadre_view_ring_if_awaited(view, number, word);
	if (is_refused)
		tell_if_untold(view, worker, number, parts);
}

static void reap_slot(const struct cadre_view *view, unsigned worker, uint32_t number,
		      struct cadre_obituary obituary)
{
	bool counted = false;

	/* A flag may be set between look and move: then look again. */
	for (int round = 0; round < 8; round++) {
		const uint64_t word = cadre_slot_look(&view->slots[number]);
		const struct cadre_word parts = cadre_word_unpack(word);

		if (parts.owner != worker + 1)
			return;
		if (parts.phase == CADRE_DONE)
			reap_done(view, worker, number, word);
		if (parts.phase == CADRE_QUEUED)
			reap_aimed(view, worker, number, word);
		if (parts.phase != CADRE_RUNNING && parts.phase != CADRE_QUEUED)
			return;
		if (parts.phase == CADRE_QUEUED)
			continue;
		/* A successor that repeats this may count one death twice: then the job is refused
		 * early, which is the safe side. */
		if (!counted && is_fault(obituary) && !is_aimed(&view->slots[number]))
			view->slots[number].request.faults++;
		counted = true;
		reap_running(view, worker, number, word, obituary);
	}
}

/* Whoever sits there next begins with none; what a client says from now on is of it. */
static void forget_aims(const struct cadre_view *view, unsigned worker)
{
	struct cadre_mask *const aims = &view->worker_aims[worker];

	for (unsigned window = 0;
	     (window = cadre_mask_next(aims, window, CADRE_MASK_BITS)) < CADRE_MASK_BITS;
	     window++)
		cadre_mask_clear(aims, window);
}

void cadre_wake_sleepers(const struct cadre_view *view)
{
	cadre_crew_wake_all(&view->header->crew, view->worker_bells, view->limits.workers);
	cadre_crew_wake_all(&view->header->guests, view->worker_bells, view->seat_count);
}

static void reap_and_list(const struct cadre_view *view, unsigned worker, uint32_t number,
			  struct cadre_obituary obituary, struct cadre_event *event)
{
	if (event)
		list_slot(view, worker, number, event);
	reap_slot(view, worker, number, obituary);
}

/* The caller of the job that it took last need not wait for the look at all the others. */
static void reap_last_taken(const struct cadre_view *view, unsigned worker,
			    struct cadre_obituary obituary, struct cadre_event *event)
{
	/* Relaxed: a hint. Whatever stands there, the slot's own word decides. */
	const uint32_t number = atomic_load_explicit(&view->worker_stats[worker].slot,
						     memory_order_relaxed);

	if (number < view->slot_count && next_leased(view, number) == number)
		reap_and_list(view, worker, number, obituary, event);
}

void cadre_reap_worker(const struct cadre_view *view, unsigned worker,
		       struct cadre_obituary obituary, struct cadre_event *event)
{
	CADRE_KILL_POINT("D1");
	/* F5: the place is DEAD before any slot is looked at. */
	atomic_thread_fence(memory_order_seq_cst);
	reap_last_taken(view, worker, obituary, event);
	for (uint32_t number = 0; (number = next_leased(view, number)) < view->slot_count;
	     number++)
		reap_and_list(view, worker, number, obituary, event);
	CADRE_KILL_POINT("D5");
	cadre_crew_forget(cadre_view_crew(view, worker), worker);
	forget_aims(view, worker);
	/* It may have died between a ring and a wake, or with a job's wake in its hands. */
	cadre_wake_sleepers(view);
}

/* One step towards FREE for a slot of a dead client. */
static void reap_client_slot(const struct cadre_view *view, uint32_t number)
{
	struct cadre_slot *const slot = &view->slots[number];
	struct cadre_books *const books = &view->books[number];
	const uint64_t word = cadre_slot_look(slot);
	const struct cadre_word parts = cadre_word_unpack(word);
	uint64_t replaced;

	switch (parts.phase) {
	case CADRE_FILLING:
		cadre_slot_free_after_death(slot, books, parts.generation,
					    CADRE_WITHDRAWN);
		break;
	case CADRE_DONE:
		/* Blocks become free with the slot. */
		cadre_slot_free_after_death(slot, books, parts.generation, parts.outcome);
		break;
	case CADRE_QUEUED:
	case CADRE_RUNNING:
		if (!(parts.flags & CADRE_FLAG_DETACHED) &&
		    cadre_slot_decide(slot, parts.generation, CADRE_CANCELLED, &replaced))
			cadre_view_tell_decided(view, number, replaced);
		break;
	case CADRE_FREE:
		break;
	}
}

uint32_t cadre_reap_client(const struct cadre_view *view, unsigned client)
{
	const uint32_t base = client * view->limits.slots;
	uint32_t left = 0;

	/* Nobody uses their names any more; jobs that have them keep them. */
	cadre_token_let_go_of_all(&view->tokens, client);
	for (uint32_t number = base; number < base + view->limits.slots; number++) {
		/* Twice: a pending job is cancelled by the first and freed by the second. */
		reap_client_slot(view, number);
		CADRE_KILL_POINT("D6");
		reap_client_slot(view, number);
		left += cadre_word_phase(cadre_slot_peek(&view->slots[number])) !=
			CADRE_FREE;
	}
	return left;
}

static void survey_deadline(const struct cadre_view *view, uint32_t number, uint64_t word,
			    int64_t now_ns, struct cadre_survey *survey)
{
	struct cadre_slot *const slot = &view->slots[number];
	const struct cadre_word parts = cadre_word_unpack(word);
	const int64_t deadline_ns = CADRE_READ_ONCE(slot->request.deadline_ns);
	const int64_t grace_ns = view->limits.grace_ns;
	uint64_t replaced;
	int64_t next_ns = deadline_ns;

	if (!(CADRE_READ_ONCE(slot->request.with) & CADRE_WITH_DEADLINE) ||
	    deadline_ns <= 0)
		return;
	if (now_ns >= deadline_ns) {
		if (cadre_slot_decide(slot, parts.generation, CADRE_TIMED_OUT, &replaced))
			cadre_view_tell_decided(view, number, replaced);
		if (parts.phase != CADRE_RUNNING)
			return;
		next_ns = deadline_ns > INT64_MAX - grace_ns ? INT64_MAX :
							       deadline_ns + grace_ns;
		if (now_ns >= next_ns && parts.owner >= 1 &&
		    parts.owner <= view->limits.workers)
			cadre_mask_set(&survey->overdue, parts.owner - 1);
	}
	if (next_ns > now_ns && next_ns < survey->next_deadline_ns)
		survey->next_deadline_ns = next_ns;
}

static void survey_token(const struct cadre_view *view, uint32_t number,
			 struct cadre_word word, int64_t now_ns,
			 struct cadre_survey *survey)
{
	const uint64_t token = cadre_request_token(&view->slots[number].request);

	if (token && !(word.flags & CADRE_FLAG_DECIDED))
		cadre_notice_job(view, number, word.generation, token, now_ns,
				 &survey->next_deadline_ns);
}

/* A job that was cancelled by force, and its worker is not back. */
static void survey_warrant(const struct cadre_view *view, uint32_t number,
			   struct cadre_word word, int64_t now_ns,
			   struct cadre_survey *survey)
{
	int64_t kill_ns;

	if (word.phase != CADRE_RUNNING || !(word.flags & CADRE_FLAG_DECIDED))
		return;
	kill_ns = cadre_warrant_due_ns(&view->warrants[number], word.generation);
	if (now_ns >= kill_ns)
		cadre_mask_set(&survey->condemned, word.owner - 1);
	else if (kill_ns < survey->next_deadline_ns)
		survey->next_deadline_ns = kill_ns;
}

/* A job that has been aimed at one worker for long. Its client may be stopped, or have died
 * and left it detached, before it told the worker or saw that it is gone. */
static void survey_aimed(const struct cadre_view *view, uint32_t number, uint64_t word)
{
	struct cadre_slot *const slot = &view->slots[number];
	const unsigned seat = cadre_word_owner(word) - 1;
	const unsigned window = cadre_view_window_of(view, number);
	const uint32_t target = CADRE_READ_ONCE(slot->request.target);
	const uint64_t place = cadre_place_look(&view->worker_places[seat]);
	const enum cadre_place_state state = cadre_place_state_of(place);

	/* What dies now its reaper buries; what leaves looks once more. That the target is the
	 * job's, the compare-and-swap tells. */
	if (cadre_place_incarnation_of(place) != target ||
	    (state != CADRE_PLACE_STARTING && state != CADRE_PLACE_UP &&
	     state != CADRE_PLACE_DRAINING && state != CADRE_PLACE_DEAD)) {
		if (cadre_slot_strand(slot, word))
			cadre_view_ring_if_awaited(view, number, word);
		return;
	}
	cadre_window_point_at(&view->client_lines[window].hints,
			      number % view->limits.slots, view->limits.slots);
	if (!cadre_mask_has(&view->worker_aims[seat], window))
		cadre_mask_set(&view->worker_aims[seat], window);
	if (cadre_mask_has(&cadre_view_crew(view, seat)->sleepers, seat))
		cadre_crew_rouse(&view->worker_bells[seat]);
}

static void survey_slot(const struct cadre_view *view, uint32_t number, int64_t now_ns,
			struct cadre_survey *survey)
{
	const struct cadre_slot *const slot = &view->slots[number];
	const uint64_t word = cadre_slot_look(slot);
	const struct cadre_word parts = cadre_word_unpack(word);

	if (parts.phase > CADRE_DONE || parts.owner > view->seat_count ||
	    (parts.phase == CADRE_RUNNING && parts.owner == CADRE_OWNER_NONE)) {
		survey->impossible++;
		return;
	}
	if (parts.phase == CADRE_QUEUED) {
		const int64_t submitted_ns = CADRE_READ_ONCE(slot->request.submitted_ns);

		survey->queued++;
		if (parts.owner != CADRE_OWNER_NONE) {
			if (now_ns - (submitted_ns > 0 ? submitted_ns : 0) > OLD_AIMED_NS)
				survey_aimed(view, number, word);
		} else {
			survey->for_anyone++;
			/* No clock was ever below 0, and no age may overflow. */
			if (submitted_ns < survey->oldest_queued_ns)
				survey->oldest_queued_ns = submitted_ns > 0 ?
								   submitted_ns :
								   0;
		}
	} else if (parts.phase == CADRE_RUNNING) {
		survey->running++;
	} else {
		return;
	}
	survey_deadline(view, number, word, now_ns, survey);
	survey_token(view, number, parts, now_ns, survey);
	survey_warrant(view, number, parts, now_ns, survey);
}

void cadre_survey(const struct cadre_view *view, int64_t now_ns,
		  struct cadre_survey *ret_survey)
{
	const unsigned clients = view->limits.clients;
	const uint32_t slots = view->limits.slots;

	memset(ret_survey, 0, sizeof(*ret_survey));
	ret_survey->oldest_queued_ns = INT64_MAX;
	ret_survey->next_deadline_ns = INT64_MAX;
	for (unsigned window = 0;
	     (window = cadre_mask_next(&view->header->leased, window, clients)) < clients;
	     window++) {
		for (uint32_t index = 0; index < slots; index++)
			survey_slot(view, window * slots + index, now_ns, ret_survey);
	}
}

/* Returns whether it was this call that ended it. */
static bool end_job(const struct cadre_view *view, uint32_t number,
		    enum cadre_outcome outcome)
{
	struct cadre_slot *const slot = &view->slots[number];
	uint64_t replaced;

	if (!cadre_slot_decide(slot, cadre_word_generation(cadre_slot_look(slot)),
			       outcome, &replaced))
		return false;
	cadre_view_tell_decided(view, number, replaced);
	return true;
}

void cadre_terminate_jobs(const struct cadre_view *view)
{
	/* F4: the pool's state says so before any slot is looked at: a client that publishes
	 * later sees the state behind F2. */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t number = 0; number < view->slot_count; number++)
		end_job(view, number, CADRE_TERMINATED);
}

uint32_t cadre_cancel_jobs(const struct cadre_view *view)
{
	uint32_t cancelled = 0;

	/* Pending ones first: a worker whose job was cancelled would take the next. */
	for (uint32_t number = 0; number < view->slot_count; number++) {
		if (cadre_word_phase(cadre_slot_peek(&view->slots[number])) == CADRE_QUEUED)
			cancelled += end_job(view, number, CADRE_CANCELLED);
	}
	for (uint32_t number = 0; number < view->slot_count; number++)
		cancelled += end_job(view, number, CADRE_CANCELLED);
	return cancelled;
}

void cadre_ring_everyone(const struct cadre_view *view)
{
	for (unsigned client = 0; client < view->limits.clients; client++) {
		if (cadre_mask_has(&view->header->leased, client))
			cadre_bell_ring(&view->client_bells[client], CADRE_BELL_EVERYONE,
					INT32_MAX);
	}
	cadre_wake_sleepers(view);
}
