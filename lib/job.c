#include "job.h"
#include "clock.h"
#include "notice.h"
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ROOM_WAIT_NS CADRE_NS_PER_S
#define ROOM_NAP_NS (200 * CADRE_NS_PER_US)

_Thread_local const struct cadre_job *cadre_job_current
	__attribute__((tls_model("initial-exec")));

/* A worker that looks for its next job reads the clock within microseconds of the last one's
 * end, or goes to sleep. */
#define BETWEEN_JOBS_NS (20 * CADRE_NS_PER_US)

/* The time of submission is the client's word for it: no clock was below 0, and none is ahead
 * of ours by more than what a worker takes from one look at its clock to the next. */
static int64_t credible(int64_t submitted_ns, int64_t taken_ns)
{
	int64_t now_ns;

	if (submitted_ns < 0)
		return 0;
	if (submitted_ns <= taken_ns || submitted_ns - taken_ns < BETWEEN_JOBS_NS)
		return submitted_ns;
	now_ns = cadre_clock_ns();
	return submitted_ns < now_ns ? submitted_ns : now_ns;
}

static void be_plain(struct cadre_job *job, bool plain)
{
	atomic_store_explicit(&job->is_plain, plain, memory_order_relaxed);
}

/* The struct is new, or the job before was not plain. */
CADRE_RARELY static void wipe(struct cadre_job *job, struct cadre_job_host *host)
{
	job->host = host;
	job->deadline_ns = 0;
	job->token = 0;
	job->room = NULL;
	job->room_size = 0;
	job->room_asked = 0;
	job->room_block = CADRE_NO_BLOCK;
	job->request_block = CADRE_NO_BLOCK;
	job->fd_count = 0;
	job->fetched = false;
	job->emitter.stream = NULL;
	/* Relaxed: no other thread knows of the job yet. */
	atomic_store_explicit(&job->deferred, false, memory_order_relaxed);
	atomic_store_explicit(&job->shared, false, memory_order_relaxed);
	atomic_store_explicit(&job->watched.state, CADRE_UNWATCHED, memory_order_relaxed);
}

/* What a plain job does not have. */
CADRE_RARELY static int open_any(struct cadre_job *job, unsigned with)
{
	const struct cadre_job_host *const host = job->host;
	const struct cadre_request_lines *const lines = &job->slot->request;

	if (with & CADRE_WITH_DEADLINE)
		job->deadline_ns = lines->deadline_ns;
	if (with & CADRE_WITH_TOKEN)
		job->token = atomic_load_explicit(&lines->token, memory_order_relaxed);
	/* Aimed at the worker that sat here before us. */
	if (with & CADRE_WITH_TARGET && CADRE_READ_ONCE(lines->target) != host->incarnation)
		return -EHOSTDOWN;
	if (with & CADRE_WITH_STREAM)
		return cadre_job_open_stream(job);
	if (job->length <= cadre_request_inline_max(with))
		return 0;
	/* The reply is as long, perhaps. */
	cadre_block_foresee(&host->blocks);
	job->request_block = CADRE_READ_ONCE(lines->block);
	job->data = cadre_block_unseal(&host->blocks, job->request_block,
				       CADRE_READ_ONCE(lines->seal), job->number,
				       cadre_word_generation(job->claimed),
				       &job->request_size);
	if (job->data && job->length <= job->request_size)
		return 0;
	job->data = "";
	job->length = 0;
	return -EBADMSG;
}

int cadre_job_open(struct cadre_job *job, struct cadre_job_host *host, uint32_t slot,
		   uint64_t claimed, int64_t taken_ns)
{
	struct cadre_slot *const at = &host->view->slots[slot];
	const struct cadre_request_lines *const lines = &at->request;
	const unsigned with = CADRE_READ_ONCE(lines->with);

	if (!cadre_job_is_plain(job))
		wipe(job, host);
	job->slot = at;
	job->number = slot;
	job->claimed = claimed;
	job->data = lines->payload;
	job->length = CADRE_READ_ONCE(lines->length);
	job->operation = lines->operation;
	job->submitted_ns = credible(CADRE_READ_ONCE(lines->submitted_ns), taken_ns);
	/* A job is not taken before it is submitted, even when the clock was read before it
	 * was looked for. */
	job->taken_ns = taken_ns > job->submitted_ns ? taken_ns : job->submitted_ns;
	/* Relaxed: no other thread knows of the job yet. */
	atomic_store_explicit(&job->ended, false, memory_order_relaxed);
	if (with == 0 && job->length <= CADRE_INLINE_MAX) {
		be_plain(job, true);
		return 0;
	}
	be_plain(job, false);
	return open_any(job, with);
}

/* One of the two parties is done. */
static void leave(struct cadre_job *job)
{
	/* J1: acquire and release: the last one sees what the other did with the job. */
	if (atomic_fetch_sub_explicit(&job->parties, 1, memory_order_acq_rel) == 1)
		job->host->over(job->host, job);
}

void cadre_job_share(struct cadre_job *job)
{
	/* Of a private job the handler was both parties. Who owed the reply may be done. */
	if (cadre_job_is_private(job))
		atomic_store_explicit(&job->parties, cadre_job_has_reply(job) ? 1 : 2,
				      memory_order_relaxed);
	be_plain(job, false);
	atomic_store_explicit(&job->shared, true, memory_order_relaxed);
}

void cadre_job_hold(struct cadre_job *job)
{
	/* Relaxed: the caller knows of a party that is not done. */
	atomic_fetch_add_explicit(&job->parties, 1, memory_order_relaxed);
}

void cadre_job_let_go(struct cadre_job *job)
{
	leave(job);
}

/* W5 is done; W6: the word changes hands, and whoever waits is rung for. */
static void end(struct cadre_job *job, enum cadre_outcome outcome, int32_t code,
		uint32_t length, uint32_t block)
{
	struct cadre_job_host *const host = job->host;
	struct cadre_reply_lines *const reply = &job->slot->reply;
	uint64_t replaced;

	reply->length = length;
	reply->code = code;
	reply->block = block;
	if (block != CADRE_NO_BLOCK)
		reply->seal = cadre_block_seal(block, job->number,
					       cadre_word_generation(job->claimed));
	reply->worker_pid = host->pid;
	/* Apart: as one load of both it would wait until the second, which was just written, is
	 * in the cache, and so for every line that stores before it wait for. */
	reply->taken_ns = CADRE_READ_ONCE(job->taken_ns);
	reply->ended_ns = CADRE_READ_ONCE(job->ended_ns);

	replaced = cadre_slot_finish(job->slot, job->claimed, outcome);
	CADRE_TRACE(finish, host->worker, job->number, job->claimed, outcome,
		    job->taken_ns, job->ended_ns);
	host->ended(host, job, outcome, replaced);
	if (!cadre_job_is_private(job))
		leave(job);
}

/* As begin_end, of a job that is not plain. */
static bool begin_end_of_any(struct cadre_job *job)
{
	if (cadre_job_is_private(job)) {
		if (atomic_load_explicit(&job->ended, memory_order_relaxed))
			return false;
		atomic_store_explicit(&job->ended, true, memory_order_relaxed);
	} else {
		/* J8: release, pairs with J9; acquire, so that who comes too late has the
		 * first's steps before his own. */
		if (atomic_exchange_explicit(&job->ended, true, memory_order_acq_rel))
			return false;
	}
	if (job->fd_count)
		cadre_job_close_descriptors(job);
	cadre_watch_drop(job);
	/* Its room in the worker is soon another's, which asked for nothing. Relaxed: written by
	 * whoever produces its items, which is us, or somebody who told us. */
	if (atomic_load_explicit(&job->wants_room, memory_order_relaxed))
		job->host->wants_none(job->host, job);
	return true;
}

/* True for the one call that may end the job. */
static bool begin_end(struct cadre_job *job)
{
	if (!cadre_job_is_plain(job)) {
		if (!begin_end_of_any(job))
			return false;
	} else if (cadre_job_has_reply(job)) {
		return false;
	} else {
		atomic_store_explicit(&job->ended, true, memory_order_relaxed);
	}
	/* The reply is written behind this in one go: its client watches that line. */
	job->ended_ns = cadre_clock_ns();
	return true;
}

static uint32_t try_take_block(struct cadre_job *job, size_t size)
{
	const uint32_t block = cadre_block_take(&job->host->blocks, size, job->number,
						cadre_word_generation(job->claimed));

	CADRE_KILL_POINT("B2");
	return block;
}

/* All are in use: waits a moment. */
CADRE_RARELY static uint32_t await_block(struct cadre_job *job, size_t size)
{
	const int64_t until_ns = cadre_clock_in_ns(ROOM_WAIT_NS);
	const struct timespec nap = cadre_clock_timespec(ROOM_NAP_NS);
	uint32_t block = CADRE_NO_BLOCK;

	while (block == CADRE_NO_BLOCK && cadre_clock_left_ns(until_ns, 1) > 0 &&
	       !cadre_job_cancelled(job)) {
		nanosleep(&nap, NULL);
		block = try_take_block(job, size);
	}
	return block;
}

/* Takes a block for the reply. */
static uint32_t take_block(struct cadre_job *job, size_t size)
{
	const uint32_t block = try_take_block(job, size);

	return block != CADRE_NO_BLOCK ? block : await_block(job, size);
}

/* The room was in this block. The request's own stays: its handler may still read it. */
static void leave_block(struct cadre_job *job, uint32_t block)
{
	if (block != CADRE_NO_BLOCK && block != job->request_block)
		cadre_block_give(&job->host->blocks, block, job->number,
				 cadre_word_generation(job->claimed));
}

static void drop_room(struct cadre_job *job)
{
	if (!job->room)
		return;
	leave_block(job, job->room_block);
	job->room_block = CADRE_NO_BLOCK;
	job->room = NULL;
	job->room_size = 0;
	job->room_asked = 0;
}

static void move_into(struct cadre_job *job, void *room, uint32_t block,
		      uint64_t block_size, size_t asked)
{
	const uint64_t most = job->host->view->limits.payload_max;

	job->room = room;
	/* All of the block, so that growing in small steps does not copy each time. */
	job->room_size = (size_t)(block_size < most ? block_size : most);
	job->room_asked = asked;
	job->room_block = block;
}

CADRE_EACH_JOB int cadre_job_reply_room(struct cadre_job *job, size_t size,
					void **ret_room)
{
	const size_t kept = job->room_size;
	void *const before = job->room;
	const uint32_t block_before = job->room_block;
	uint64_t block_size = CADRE_INLINE_MAX;
	uint32_t block = CADRE_NO_BLOCK;
	void *room = job->slot->reply.payload;

	if (atomic_load_explicit(&job->ended, memory_order_relaxed))
		return -EALREADY;
	if (size > job->host->view->limits.payload_max)
		return -EMSGSIZE;
	if (before && size <= kept) {
		if (size > job->room_asked)
			job->room_asked = size;
		*ret_room = before;
		return 0;
	}
	if (size > CADRE_INLINE_MAX) {
		block = take_block(job, size);
		if (block == CADRE_NO_BLOCK)
			return -ENOBUFS;
		cadre_block_prefer(&job->host->blocks, job->request_block);
		room = cadre_block_room(&job->host->blocks, block, &block_size);
	}
	if (before && before != room)
		memcpy(room, before, kept);
	leave_block(job, block_before);
	be_plain(job, false);
	move_into(job, room, block, block_size, size);
	*ret_room = room;
	return 0;
}

/* The request lies in a block that is long enough, and nobody else is ever going to read it. */
static bool may_be_overwritten(const struct cadre_job *job, size_t size)
{
	return !cadre_job_is_plain(job) && job->request_block != CADRE_NO_BLOCK &&
	       !job->room && size <= job->request_size &&
	       !(cadre_word_flags(job->claimed) & CADRE_FLAG_IDEMPOTENT);
}

CADRE_EACH_JOB int cadre_job_reply_over_request(struct cadre_job *job, size_t size,
						void **ret_room)
{
	int r;

	if (may_be_overwritten(job, size) &&
	    size <= job->host->view->limits.payload_max && !cadre_job_has_reply(job)) {
		/* A block of this pool, which is not const. */
		move_into(job, (void *)(uintptr_t)job->data, job->request_block,
			  job->request_size, size);
		*ret_room = job->room;
		return 0;
	}
	r = cadre_job_reply_room(job, size, ret_room);
	/* It may be there already, when this is not the first time. */
	if (r == 0 && job->length)
		memmove(*ret_room, job->data, job->length < size ? job->length : size);
	return r;
}

CADRE_EACH_JOB int cadre_job_reply_commit(struct cadre_job *job, size_t length)
{
	if (atomic_load_explicit(&job->ended, memory_order_relaxed))
		return -EALREADY;
	if (length > job->room_asked)
		return -EINVAL;
	if (!begin_end(job))
		return -EALREADY;
	/* Readers decide by length where a reply lies. */
	if (length <= CADRE_INLINE_MAX && job->room_block != CADRE_NO_BLOCK) {
		memcpy(job->slot->reply.payload, job->room, length);
		drop_room(job);
	}
	end(job, CADRE_OK, 0, (uint32_t)length, job->room_block);
	return 0;
}

/* One that does not fit the slot. */
CADRE_RARELY static int reply_in_block(struct cadre_job *job, const void *data,
				       size_t length)
{
	void *room;
	int r;

	/* First of all: the room of a job that has ended is its caller's. */
	if (atomic_load_explicit(&job->ended, memory_order_relaxed))
		return -EALREADY;
	drop_room(job);
	r = cadre_job_reply_room(job, length, &room);
	if (r < 0)
		return r;
	/* Written before the end, what lies in the slot's lines behind it. */
	memcpy(room, data, length);
	if (!begin_end(job))
		return -EALREADY;
	end(job, CADRE_OK, 0, (uint32_t)length, job->room_block);
	return 0;
}

CADRE_EACH_JOB int cadre_job_reply(struct cadre_job *job, const void *data, size_t length)
{
	if (length > job->host->inline_max)
		return reply_in_block(job, data, length);
	if (!begin_end(job))
		return -EALREADY;
	/* It may be what was written into its room. */
	if (length)
		memmove(job->slot->reply.payload, data, length);
	if (!cadre_job_is_plain(job))
		drop_room(job);
	end(job, CADRE_OK, 0, (uint32_t)length, CADRE_NO_BLOCK);
	return 0;
}

int cadre_job_fail(struct cadre_job *job, int32_t code, const char *format, ...)
{
	char sentence[CADRE_SENTENCE_MAX + 1];
	va_list arguments;

	if (!begin_end(job))
		return -EALREADY;
	drop_room(job);
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	memcpy(job->slot->reply.payload, sentence, strlen(sentence));
	end(job, CADRE_FAILED, code, (uint32_t)strlen(sentence), CADRE_NO_BLOCK);
	return 0;
}

void cadre_job_refuse(struct cadre_job *job, enum cadre_outcome outcome, int32_t code,
		      const char *sentence)
{
	if (outcome == CADRE_FAILED)
		cadre_job_fail(job, code, "%s", sentence);
	else if (begin_end(job))
		end(job, outcome, code, 0, CADRE_NO_BLOCK);
	job->host->over(job->host, job);
}

CADRE_RARELY static void fail_without_reply(struct cadre_job *job)
{
	cadre_job_fail(job, ENOMSG, "its handler returned without a reply");
}

void cadre_job_handler_returned(struct cadre_job *job)
{
	if (cadre_job_is_private(job)) {
		if (!cadre_job_has_reply(job))
			fail_without_reply(job);
		job->host->over(job->host, job);
		return;
	}
	/* J9: acquire, pairs with J8 in cadre_job_defer and begin_end. */
	if (!atomic_load_explicit(&job->deferred, memory_order_acquire) &&
	    !atomic_load_explicit(&job->ended, memory_order_acquire))
		fail_without_reply(job);
	leave(job);
}

void cadre_job_defer(struct cadre_job *job)
{
	cadre_job_share(job);
	/* J8: release, pairs with J9. */
	atomic_store_explicit(&job->deferred, true, memory_order_release);
}

const void *cadre_job_data(const struct cadre_job *job, size_t *ret_length)
{
	*ret_length = job->length;
	return job->data;
}

int32_t cadre_job_operation(const struct cadre_job *job)
{
	return job->operation;
}

uint64_t cadre_job_id(const struct cadre_job *job)
{
	return cadre_word_generation(job->claimed) * job->host->view->slot_count +
	       job->number;
}

uint32_t cadre_job_attempt(const struct cadre_job *job)
{
	return cadre_word_unpack(job->claimed).attempt;
}

int64_t cadre_job_waited_ns(const struct cadre_job *job)
{
	return job->taken_ns - job->submitted_ns;
}

int64_t cadre_job_deadline_ns(const struct cadre_job *job)
{
	return job->deadline_ns;
}

bool cadre_job_cancelled(const struct cadre_job *job)
{
	int64_t due_ns = INT64_MAX;

	/* Relaxed: a notice; nothing is read on account of it. */
	if (cadre_word_flags(cadre_slot_peek(job->slot)) & CADRE_FLAG_DECIDED)
		return true;
	return job->token && cadre_notice_job(job->host->view, job->number,
					      cadre_word_generation(job->claimed),
					      job->token, cadre_clock_ns(), &due_ns);
}

int64_t cadre_job_look_at_time(const struct cadre_job *job, int64_t now_ns)
{
	const uint64_t generation = cadre_word_generation(job->claimed);
	int64_t due_ns = job->deadline_ns ? job->deadline_ns : INT64_MAX;
	uint64_t replaced;

	if (now_ns >= due_ns &&
	    cadre_slot_decide(job->slot, generation, CADRE_TIMED_OUT, &replaced))
		cadre_view_tell_decided(job->host->view, job->number, replaced);
	if (job->token)
		cadre_notice_job(job->host->view, job->number, generation, job->token,
				 now_ns, &due_ns);
	return due_ns;
}

int cadre_job_token(const struct cadre_job *job, struct cadre_token_name *ret_name)
{
	if (!job->token)
		return -ENOENT;
	*ret_name = cadre_view_token_name(job->host->view, job->token);
	return 0;
}
