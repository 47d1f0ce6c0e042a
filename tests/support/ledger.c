#include "ledger.h"
#include "child.h"
#include "clock.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX (1u << 22)
#define DEPARTED_MAX 256u
#define RETRIES 3
#define OUT_AT_ONCE 4
#define PATIENCE_NS (20 * CADRE_NS_PER_S)
#define LULL_NS (3 * CADRE_NS_PER_MS)
#define OPERATION 1

struct line {
	/* The client, before it submits. */
	uint8_t flags;
	bool mortal, deadly;
	/* The client. */
	_Atomic bool accepted, refused;
	_Atomic uint8_t ended, outcome, attempt;
	/* Handlers. */
	_Atomic uint8_t begun, finished;
};

static struct ledger {
	_Atomic uint32_t next;
	_Atomic bool has_complaint;
	char complaint[400];
	_Atomic uint32_t departures;
	_Atomic int32_t departed[DEPARTED_MAX]; /* pids */
	struct line lines[LINES_MAX];
} * ledger;

/* What stands at the beginning of each request; the rest is its number again and again. */
struct request_head {
	uint32_t number, reply_length, work_us, deadly;
};

void ledger_open(void)
{
	ledger = child_share(sizeof(*ledger));
	atomic_store(&ledger->next, 1);
}

void ledger_complain(const char *format, ...)
{
	va_list arguments;

	if (atomic_exchange(&ledger->has_complaint, true))
		return;
	va_start(arguments, format);
	vsnprintf(ledger->complaint, sizeof(ledger->complaint), format, arguments);
	va_end(arguments);
}

const char *ledger_complaint(void)
{
	return atomic_load(&ledger->has_complaint) ? ledger->complaint : NULL;
}

static struct line *line_of(uint32_t number)
{
	return &ledger->lines[number < LINES_MAX ? number : 0];
}

/* ---- bytes ---- */

static void fill(unsigned char *bytes, size_t from, size_t length, uint32_t number)
{
	memset(bytes + from, (int)(number & 0xff), length - from);
}

static bool is_filled(const unsigned char *bytes, size_t from, size_t length,
		      uint32_t number)
{
	for (size_t i = from; i < length; i++) {
		if (bytes[i] != (unsigned char)number)
			return false;
	}
	return true;
}

/* ---- the service ---- */

static void (*before_work)(void);

_Noreturn static void depart(void)
{
	const uint32_t turn = atomic_fetch_add(&ledger->departures, 1);

	atomic_store(&ledger->departed[turn % DEPARTED_MAX], getpid());
	kill(getpid(), SIGKILL);
	child_idle();
}

unsigned ledger_departures(void)
{
	return atomic_load(&ledger->departures);
}

bool ledger_has_departed(int32_t pid)
{
	for (uint32_t i = 0; i < DEPARTED_MAX; i++) {
		if (atomic_load(&ledger->departed[i]) == pid)
			return true;
	}
	return false;
}

static void hear_of_cancel(struct cadre_job *job, void *context)
{
	if (context != line_of(0) || !cadre_job_cancelled(job))
		ledger_complain("a handler was told of a cancellation that was none");
}

static void handle(struct cadre_job *job, void *state)
{
	unsigned char reply[4096];
	struct request_head head;
	size_t length;
	const unsigned char *const data = cadre_job_data(job, &length);
	struct timespec work = { 0 };
	struct line *line;

	(void)state;
	if (before_work)
		before_work();
	if (length < sizeof(head)) {
		ledger_complain("a handler got a request of %zu bytes", length);
		cadre_job_fail(job, 1, "short");
		return;
	}
	memcpy(&head, data, sizeof(head));
	if (!is_filled(data, sizeof(head), length, head.number) ||
	    head.number >= LINES_MAX || head.reply_length > sizeof(reply))
		ledger_complain("a handler got a request that nobody sent: job %u",
				head.number);
	line = line_of(head.number);
	atomic_fetch_add(&line->begun, 1);
	if (head.deadly && cadre_job_attempt(job) == 0)
		depart();
	if (head.work_us && cadre_job_on_cancel(job, hear_of_cancel, line_of(0)) < 0)
		ledger_complain("job %u could not ask to be told", head.number);
	work.tv_nsec = (long)head.work_us * 1000;
	nanosleep(&work, NULL);
	memcpy(reply, &head, sizeof(head));
	fill(reply, sizeof(head), head.reply_length, head.number);
	atomic_fetch_add(&line->finished, 1);
	if (cadre_job_reply(job, reply, head.reply_length) < 0)
		cadre_job_fail(job, 2, "no room for the reply");
}

static const struct cadre_operation operations[] = { { OPERATION, "work", handle } };

struct cadre_service ledger_service(int (*init)(const struct cadre_start *start,
						void **ret_state, struct cadre_diag *diag),
				    void (*before)(void))
{
	before_work = before;
	return (struct cadre_service){
		.size = sizeof(struct cadre_service),
		.name = "ledger",
		.operations = operations,
		.operation_count = 1,
		.init = init,
	};
}

struct cadre_pool_options ledger_pool(const char *name, uint32_t workers_min,
				      uint32_t workers_max)
{
	return (struct cadre_pool_options){
		.size = sizeof(struct cadre_pool_options),
		.name = name,
		.workers_min = workers_min,
		.workers_max = workers_max,
		.clients_max = LEDGER_CLIENTS_MAX,
		.window_slots = LEDGER_WINDOW_SLOTS,
		.tokens_max = LEDGER_TOKENS_MAX,
		.payload_max = 4096,
		.block_bytes = 256 << 10,
		/* A worker that a test has stopped is not late. */
		.grace_ns = 10 * PATIENCE_NS,
	};
}

/* ---- clients ---- */

struct ledger_party ledger_party(struct cadre_client *client, bool mortal)
{
	return (struct ledger_party){ .client = client, .mortal = mortal };
}

unsigned ledger_party_out(const struct ledger_party *party)
{
	unsigned out = 0;

	for (unsigned i = 0; i < LEDGER_WINDOW_SLOTS; i++)
		out += party->tickets[i].id != 0;
	return out;
}

static uint32_t new_line(const struct ledger_party *party, const struct ledger_wish *wish)
{
	const uint32_t number = atomic_fetch_add(&ledger->next, 1);
	struct line *const line = line_of(number);

	if (number >= LINES_MAX)
		ledger_complain("the ledger is full");
	line->flags = (uint8_t)wish->flags;
	line->mortal = party->mortal;
	line->deadly = wish->deadly;
	return number;
}

static unsigned vacant_place(const struct ledger_party *party)
{
	unsigned place = 0;

	while (place < LEDGER_WINDOW_SLOTS - 1 && party->tickets[place].id != 0)
		place++;
	return place;
}

/* The last one is kept until now, so that who dies leaves one behind. NULL when each token of
 * the pool is in use: then the job goes without. */
static struct cadre_token *new_token(struct ledger_party *party, enum ledger_token kind)
{
	struct cadre_token *members[2] = { NULL, NULL };
	struct cadre_client *const client = party->client;
	int r = 0;

	if (kind == LEDGER_NO_TOKEN)
		return NULL;
	cadre_token_release(party->token);
	party->token = NULL;
	if (kind == LEDGER_CANCELLED) {
		r = cadre_token_create(client, "by token", &party->token);
	} else if (kind == LEDGER_TIMEOUT) {
		r = cadre_token_create_timeout(client, 150000, NULL, &party->token);
	} else {
		r = cadre_token_create(client, NULL, &members[0]);
		if (r == 0)
			r = cadre_token_create_timeout(client, 100 * PATIENCE_NS, NULL,
						       &members[1]);
		if (r == 0)
			r = cadre_token_create_any(client, members, 2, NULL,
						   &party->token);
		cadre_token_release(members[0]);
		cadre_token_release(members[1]);
	}
	if (r < 0 && r != -EMFILE)
		ledger_complain("a token could not be made: %s", strerror(-r));
	return party->token;
}

int ledger_party_submit(struct ledger_party *party, const struct ledger_wish *wish)
{
	const uint32_t number = new_line(party, wish);
	struct line *const line = line_of(number);
	const struct request_head head = {
		.number = number,
		.reply_length = wish->reply_length,
		.work_us = wish->work_us,
		.deadly = wish->deadly,
	};
	unsigned char data[4096];
	const struct cadre_request request = {
		.operation = OPERATION,
		.flags = wish->flags,
		.retries = RETRIES,
		.data = data,
		.length = wish->length,
		.token = new_token(party, wish->token),
		.deadline_ns = wish->timeout_ns ? cadre_clock_in_ns(wish->timeout_ns) : 0,
	};
	const unsigned place = vacant_place(party);
	struct cadre_ticket ticket = { 0 };
	int r;

	memcpy(data, &head, sizeof(head));
	fill(data, sizeof(head), wish->length, number);
	r = cadre_submit(party->client, &request, cadre_clock_in_ns(PATIENCE_NS), &ticket);
	if (r < 0) {
		atomic_store(&line->refused, true);
		return r;
	}
	atomic_store(&line->accepted, true);
	if (wish->token == LEDGER_CANCELLED && request.token &&
	    cadre_token_cancel(request.token) < 0)
		ledger_complain("the token of job %u could not be cancelled", number);
	if (wish->flags & CADRE_DETACHED)
		return 0;
	party->tickets[place] = ticket;
	party->numbers[place] = number;
	if (wish->cancel && cadre_cancel(party->client, ticket) < 0)
		ledger_complain("job %u could not be cancelled", number);
	if (wish->force && cadre_cancel_forced(party->client, ticket, 10 * PATIENCE_NS) < 0)
		ledger_complain("job %u could not be cancelled by force", number);
	return 0;
}

/* What a result says must be possible. */
static void look_at(const struct cadre_result *result, uint32_t number)
{
	struct line *const line = line_of(number);
	const unsigned begun = atomic_load(&line->begun);

	atomic_store(&line->outcome, (uint8_t)result->outcome);
	atomic_store(&line->attempt, (uint8_t)result->attempt);
	if (atomic_fetch_add(&line->ended, 1) > 0)
		ledger_complain("job %u ended twice", number);
	if (result->outcome == CADRE_OK) {
		if (begun == 0)
			ledger_complain("job %u has a reply and was never run", number);
		if (result->length < sizeof(struct request_head) ||
		    memcmp(result->data, &number, sizeof(number)) != 0 ||
		    !is_filled(result->data, sizeof(struct request_head), result->length,
			       number))
			ledger_complain("job %u has a reply that is not its own", number);
	}
	if (result->outcome == CADRE_FAILED)
		ledger_complain("job %u failed: %s", number, result->sentence);
}

bool ledger_party_take(struct ledger_party *party, int64_t timeout_ns)
{
	struct cadre_result result;
	const int i = cadre_await_any(party->client, party->tickets, LEDGER_WINDOW_SLOTS,
				      cadre_clock_in_ns(timeout_ns), &result);

	if (i == -ETIMEDOUT || i == -ENOENT)
		return false;
	if (i < 0) {
		ledger_complain("waiting for several jobs failed: %s", strerror(-i));
		return false;
	}
	look_at(&result, party->numbers[i]);
	party->tickets[i].id = 0;
	party->taken++;
	if (cadre_release(party->client, &result) < 0)
		ledger_complain("job %u could not be released", party->numbers[i]);
	return true;
}

static const struct ledger_wish wishes[] = {
	{ .length = 16, .reply_length = 16, .work_us = 200 },
	{ .length = 1500, .reply_length = 16 },
	{ .length = 16, .reply_length = 300, .flags = CADRE_IDEMPOTENT },
	{ .length = 600, .reply_length = 900, .work_us = 100, .flags = CADRE_IDEMPOTENT },
	{ .length = 64, .reply_length = 16, .flags = CADRE_DETACHED },
	{ .length = 88, .reply_length = 88, .work_us = 300, .cancel = true },
	{ .length = 700, .reply_length = 16, .flags = CADRE_DETACHED | CADRE_IDEMPOTENT },
	{ .length = 16, .reply_length = 2000, .work_us = 150 },
	{ .length = 2000, .reply_length = 700, .cancel = true },
	{ .length = 16, .reply_length = 16, .work_us = 400, .timeout_ns = 200000 },
	{ .length = 16, .reply_length = 16, .work_us = 500, .force = true },
	{ .length = 84, .reply_length = 16, .work_us = 500, .token = LEDGER_TIMEOUT },
	{ .length = 80, .reply_length = 88, .work_us = 300, .token = LEDGER_CANCELLED },
	{ .length = 64,
	  .reply_length = 16,
	  .flags = CADRE_DETACHED,
	  .token = LEDGER_PATIENT },
};

#define WISHES (sizeof(wishes) / sizeof(wishes[0]))

const struct ledger_wish *ledger_party_next_wish(struct ledger_party *party)
{
	return &wishes[party->turn++ % WISHES];
}

void ledger_party_work(struct ledger_party *party, unsigned outcomes)
{
	const uint32_t until = party->taken + outcomes;
	const int64_t late_ns = cadre_clock_in_ns(PATIENCE_NS);

	while (party->taken < until) {
		int r = 0;

		while (r == 0 && ledger_party_out(party) < OUT_AT_ONCE)
			r = ledger_party_submit(party, ledger_party_next_wish(party));
		if (r < 0)
			ledger_complain("a job was refused: %s", strerror(-r));
		ledger_party_take(party, PATIENCE_NS);
		/* Now and then all that will end soon: workers find nothing and fall asleep. */
		while (party->turn % 3 == 0 && ledger_party_take(party, LULL_NS)) {
		}
		if (cadre_clock_ns() > late_ns)
			ledger_complain("%u outcomes are missing", until - party->taken);
		if (ledger_complaint())
			return;
	}
}

void ledger_party_finish(struct ledger_party *party)
{
	cadre_token_release(party->token);
	party->token = NULL;
	while (ledger_party_out(party) > 0) {
		if (!ledger_party_take(party, PATIENCE_NS)) {
			ledger_complain("%u jobs never ended", ledger_party_out(party));
			return;
		}
	}
}

void ledger_party_call(struct ledger_party *party)
{
	static const struct ledger_wish plain = { .length = 600, .reply_length = 600 };
	const int64_t late_ns = cadre_clock_in_ns(PATIENCE_NS);

	while (cadre_clock_ns() < late_ns && !ledger_complaint()) {
		const unsigned place = vacant_place(party);

		if (ledger_party_submit(party, &plain) < 0)
			break;
		while (party->tickets[place].id != 0 &&
		       ledger_party_take(party, PATIENCE_NS)) {
		}
		if (atomic_load(&line_of(party->numbers[place])->outcome) == CADRE_OK &&
		    party->tickets[place].id == 0)
			return;
	}
	ledger_complain("the pool does not serve any more");
}

/* ---- the audit ---- */

static void audit_line(uint32_t number, bool workers_died)
{
	const struct line *const line = line_of(number);
	const unsigned begun = atomic_load(&line->begun);
	const unsigned ended = atomic_load(&line->ended);
	const unsigned attempt = atomic_load(&line->attempt);
	const bool idempotent = line->flags & CADRE_IDEMPOTENT;
	const bool detached = line->flags & CADRE_DETACHED;

	if (begun > (idempotent ? 1u + RETRIES : 1u))
		ledger_complain("job %u (%s) was executed %u times", number,
				idempotent ? "idempotent" : "not idempotent", begun);
	if (ended == 1 && begun > attempt + 1)
		ledger_complain("job %u was executed %u times and reports attempt %u",
				number, begun, attempt);
	if (atomic_load(&line->accepted) && !detached && !line->mortal && ended != 1)
		ledger_complain("job %u was accepted and ended %u times", number, ended);
	if (atomic_load(&line->refused) && (begun || ended))
		ledger_complain("job %u was refused and executed %u times", number, begun);
	if (atomic_load(&line->accepted) && detached && begun == 0 && !workers_died)
		ledger_complain("detached job %u was never run", number);
	if (ended == 1 && atomic_load(&line->outcome) == CADRE_LOST && !workers_died)
		ledger_complain("job %u was lost though no worker died", number);
}

struct ledger_sums ledger_audit(bool workers_died)
{
	const uint32_t next = atomic_load(&ledger->next);
	struct ledger_sums sums = { .offered = next - 1 };

	for (uint32_t number = 1; number < next && number < LINES_MAX; number++) {
		const struct line *const line = line_of(number);

		audit_line(number, workers_died);
		sums.accepted += atomic_load(&line->accepted);
		sums.ended += atomic_load(&line->ended);
		sums.lost += atomic_load(&line->ended) &&
			     atomic_load(&line->outcome) == CADRE_LOST;
		sums.executions += atomic_load(&line->begun);
		sums.repeated += atomic_load(&line->begun) > 1;
	}
	return sums;
}
