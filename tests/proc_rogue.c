/*
 * proc_rogue.c - claims about a process that writes over the segment at full speed while
 * everybody else goes on: nobody faults, nobody hangs, the pool ends in order, and nothing
 * is left behind.
 *
 * What becomes of the jobs is nobody's concern here. A supervisor that sees words that cannot
 * be terminates its pool and says -EBADMSG; workers may be aborted for a deadline that the
 * rogue wrote, but never die of what they read.
 */
#include <criterion/criterion.h>

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <cadre/cadre.h>

#include "child.h"
#include "clock.h"
#include "layout.h"
#include "ledger.h"
#include "stage.h"

#define ROGUE_NS (600 * CADRE_NS_PER_MS)
#define DEADLINE_MS 20
#define LATE_NS (5 * CADRE_NS_PER_S) /* a call may take its deadline, and not this long */
#define CLIENTS 2

static atomic_bool *over;

/* ---- the rogue ---- */

/* What it writes over. */
struct part {
	size_t offset;
	size_t length; /* of one piece, in bytes */
	size_t stride; /* from one piece to the next */
	size_t count;
};

typedef struct part choose_fn(const struct cadre_view *view);

/* xorshift64 by G. Marsaglia. */
static uint64_t draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* Any bits, or such as somebody might believe. */
static uint64_t draw_value(uint64_t *random, uint64_t before)
{
	const uint64_t bits = draw(random);

	switch (bits >> 60) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX - (bits & 7);
	case 2:
		return (UINT64_C(1) << 63) - (bits & 7);
	case 3:
	case 4: /* A slot's word. */
		return (before & ~UINT64_C(0xffffff)) | (bits & 0xffff);
	case 5:
	case 6:
	case 7:
		return before ^ UINT64_C(1) << (bits & 63);
	case 8:
		return bits & 0xffff;
	default:
		return bits;
	}
}

static void be_rogue(void *context)
{
	choose_fn *const choose = *(choose_fn *const *)context;
	const int64_t until_ns = cadre_clock_in_ns(ROGUE_NS);
	uint64_t random = (uint64_t)until_ns | 1;
	struct cadre_diag diag = { "" };
	struct cadre_view view;
	struct part part;

	if (cadre_layout_open(stage_pool, true, &view, &diag) < 0) {
		ledger_complain("rogue: %s", diag.text);
		return;
	}
	part = choose(&view);
	while (cadre_clock_ns() < until_ns) {
		for (unsigned i = 0; i < 1000; i++) {
			const size_t at = part.offset +
					  draw(&random) % part.count * part.stride +
					  draw(&random) % (part.length / 8) * 8;
			_Atomic uint64_t *const word = (void *)(view.segment.base + at);

			atomic_store(word, draw_value(&random, atomic_load(word)));
		}
	}
	cadre_layout_close(&view);
}

static struct part all_of(const struct cadre_view *view, const void *start, size_t length,
			  size_t stride, size_t count)
{
	return (struct part){
		.offset = (size_t)((const unsigned char *)start - view->segment.base),
		.length = length,
		.stride = stride,
		.count = count,
	};
}

static struct part everything(const struct cadre_view *view)
{
	return all_of(view, view->segment.base, view->size, view->size, 1);
}

static struct part header(const struct cadre_view *view)
{
	return all_of(view, view->header, sizeof(*view->header), 0, 1);
}

static struct part masks(const struct cadre_view *view)
{
	return all_of(view, &view->header->crew, 5 * sizeof(struct cadre_mask), 0, 1);
}

static struct part slots(const struct cadre_view *view)
{
	return all_of(view, view->slots, sizeof(*view->slots), sizeof(*view->slots),
		      view->slot_count);
}

static struct part words(const struct cadre_view *view)
{
	return all_of(view, view->slots, sizeof(uint64_t), sizeof(*view->slots),
		      view->slot_count);
}

/* Length, operation, deadline, block: what stands beside the word and the payload. */
static struct part descriptors(const struct cadre_view *view)
{
	return all_of(view, &view->slots[0].request.submitted_ns, 16, 128,
		      2 * (size_t)view->slot_count - 1);
}

static struct part hints(const struct cadre_view *view)
{
	return all_of(view, view->client_lines, sizeof(struct cadre_hints),
		      sizeof(*view->client_lines), view->limits.clients);
}

static struct part books_and_owners(const struct cadre_view *view)
{
	return all_of(view, view->books,
		      (size_t)((const unsigned char *)(view->block_owners +
						       view->plan.total) -
			       (const unsigned char *)view->books),
		      0, 1);
}

static struct part places(const struct cadre_view *view)
{
	return all_of(view, view->worker_places,
		      (size_t)((const unsigned char *)view->slots -
			       (const unsigned char *)view->worker_places),
		      0, 1);
}

/* ---- everybody else ---- */

static unsigned char payload[3000];

static void look_at(const struct cadre_result *result)
{
	const volatile unsigned char *const bytes = result->data;

	if (result->outcome == CADRE_OK)
		for (size_t i = 0; i < result->length; i++)
			(void)bytes[i];
}

static void ended(const struct cadre_result *result, void *context)
{
	(void)context;
	look_at(result);
}

static struct cadre_request a_request(unsigned turn)
{
	return (struct cadre_request){
		.operation = 1,
		.flags = turn % 3 == 0 ? CADRE_IDEMPOTENT : 0,
		.data = payload,
		.length = turn % 2 ? turn % 80 : turn * 37 % sizeof(payload),
		.deadline_ns = cadre_in_ms(DEADLINE_MS),
	};
}

static void call(struct cadre_client *client, unsigned turn)
{
	const struct cadre_request request = a_request(turn);
	struct cadre_result result;

	if (cadre_call(client, &request, &result) < 0)
		return;
	look_at(&result);
	cadre_release(client, &result);
}

static void call_later(struct cadre_client *client, unsigned turn)
{
	struct cadre_request request = a_request(turn);

	request.ended = ended;
	cadre_try_submit(client, &request, NULL);
	request.length %= 80;
	cadre_try_submit(client, &request, NULL);
	cadre_client_await_dispatch(client, cadre_in_ms(2 * DEADLINE_MS));
}

static void draft_and_cancel(struct cadre_client *client, unsigned turn)
{
	const struct cadre_request request = a_request(turn);
	struct cadre_result result;
	struct cadre_ticket ticket;
	struct cadre_draft draft;

	if (cadre_try_draft(client, request.length, &draft) < 0)
		return;
	memcpy(draft.data, payload, request.length);
	if (cadre_draft_submit(client, &draft, &request, &ticket) < 0)
		return;
	cadre_cancel(client, ticket);
	if (cadre_await(client, ticket, cadre_in_ms(DEADLINE_MS), &result) == 0) {
		look_at(&result);
		cadre_release(client, &result);
	}
}

static void be_client(void *context)
{
	struct cadre_client *const client = context;

	for (unsigned turn = 0; !atomic_load(over); turn++) {
		const int64_t began_ns = cadre_clock_ns();

		call(client, turn);
		call_later(client, turn);
		draft_and_cancel(client, turn);
		if (cadre_clock_ns() - began_ns > LATE_NS)
			ledger_complain("three calls took %lld ms",
					(long long)(cadre_clock_ns() - began_ns) / 1000000);
		/* Of a pool that has ended, calls return at once. */
		if (cadre_try_submit(client,
				     &(struct cadre_request){ .operation = 1,
							      .flags = CADRE_DETACHED },
				     NULL) == -ESHUTDOWN)
			child_pause_ms(1);
	}
	cadre_client_detach(client);
}

/* Attaches before the rogue comes, which is not what is to be seen here. */
static void attach_and_be_client(void *context)
{
	atomic_int *const attached = context;
	struct cadre_client *client;
	struct cadre_diag diag = { "" };

	if (cadre_client_attach(stage_pool, NULL, &client, &diag) < 0) {
		ledger_complain("client: %s", diag.text);
		return;
	}
	atomic_fetch_add(attached, 1);
	be_client(client);
}

static void be_reader(void *context)
{
	atomic_int *const attached = context;
	struct cadre_report *report;
	struct cadre_diag diag = { "" };

	if (cadre_report_open(stage_pool, &report, &diag) < 0) {
		ledger_complain("reader: %s", diag.text);
		return;
	}
	atomic_fetch_add(attached, 1);
	while (!atomic_load(over)) {
		cadre_report_read(report);
		cadre_collect_garbage(stage_pool, CADRE_GC_DRY_RUN, NULL, NULL);
	}
	cadre_report_close(report);
}

/* ---- the pool ---- */

static void echo(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	if (cadre_job_reply(job, data, length) < 0)
		cadre_job_fail(job, 1, "no room");
}

static const struct cadre_operation operations[] = { { 1, "echo", echo } };

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "echo",
	.operations = operations,
	.operation_count = 1,
};

static struct cadre_pool_options small_pool(void)
{
	return (struct cadre_pool_options){
		.size = sizeof(struct cadre_pool_options),
		.name = stage_pool,
		.workers_min = 1,
		.workers_max = 2,
		.clients_max = CLIENTS + 2,
		.window_slots = 8,
		.payload_max = 4096,
		.block_bytes = 256 << 10,
		.idle_timeout_ns = 50 * CADRE_NS_PER_MS,
		.grace_ns = 50 * CADRE_NS_PER_MS,
		.stop_timeout_ns = 1 * CADRE_NS_PER_S,
		.orphan_ns = 1 * CADRE_NS_PER_S,
	};
}

/* A death that the supervisor tells of, and that it did not bring about. */
static void hear(const char *sentence, void *context)
{
	static const char *const faults[] = { "SIGSEGV", "SIGBUS",        "SIGFPE",
					      "SIGILL",  "with status 1", "cannot fork" };

	(void)context;
	for (size_t i = 0; i < CADRE_COUNT_OF(faults); i++) {
		if (strstr(sentence, faults[i]))
			ledger_complain("%s", sentence);
	}
}

static void be_supervisor(void *context)
{
	const struct cadre_source source = { .service = &service };
	const struct cadre_pool_options options = small_pool();
	struct cadre_diag diag = { "" };
	sigset_t signals;
	int r;

	(void)context;
	/* It may have ended by itself when it is asked to. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	r = cadre_serve(&source, &options, hear, NULL, &diag);
	if (r < 0 && r != -EBADMSG)
		ledger_complain("the pool ended with %d: %s", r, diag.text);
}

static bool is_open(const void *context)
{
	struct cadre_report *report;
	bool open;

	(void)context;
	if (cadre_report_open(stage_pool, &report, NULL) < 0)
		return false;
	open = strcmp(cadre_report_read(report)->state, "open") == 0;
	cadre_report_close(report);
	return open;
}

static bool is_everybody_there(const void *context)
{
	return atomic_load((const atomic_int *)context) == CLIENTS + 1;
}

static void expect_fine(pid_t pid, const char *who)
{
	const int status = stage_await_end(pid);

	if (status != CHILD_FINE)
		ledger_complain("the %s ended with status %d", who, status);
}

/* Clients and a reader, and the rogue among them; until it has had enough. */
static void suffer(const void *context)
{
	choose_fn *choose = *(choose_fn *const *)context;
	atomic_int *const attached = child_share(sizeof(*attached));
	pid_t clients[CLIENTS], reader;

	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = stage_fork(attach_and_be_client, attached);
	reader = stage_fork(be_reader, attached);
	if (stage_await(is_everybody_there, attached, "somebody did not attach"))
		expect_fine(stage_fork(be_rogue, &choose), "rogue");
	atomic_store(over, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		expect_fine(clients[i], "client");
	expect_fine(reader, "reader");
}

static void serve_and_suffer(const void *context)
{
	const pid_t supervisor = stage_fork(be_supervisor, NULL);

	if (stage_await(is_open, NULL, "the pool did not open"))
		suffer(context);
	kill(supervisor, SIGTERM);
	expect_fine(supervisor, "supervisor");
}

static void embed_and_suffer(const void *context)
{
	const struct cadre_pool_options options = small_pool();
	struct cadre_diag diag = { "" };
	struct cadre_pool *pool;

	if (cadre_pool_start(&service, &options, &pool, &diag) < 0) {
		ledger_complain("%s", diag.text);
		return;
	}
	suffer(context);
	for (unsigned turn = 0; turn < 3; turn++)
		call(cadre_pool_client(pool), turn);
	cadre_pool_close(pool);
}

static void begin(void)
{
	over = child_share(sizeof(*over));
	memset(payload, 'x', sizeof(payload));
}

TestSuite(rogue, .init = begin, .timeout = 90);

#define CLAIM(name, story, part)                                          \
	Test(rogue, name)                                                 \
	{                                                                 \
		choose_fn *const choose = part;                           \
		const char *const complaint = stage_play(story, &choose); \
                                                                          \
		cr_assert_null(complaint, "%s", complaint);               \
	}

CLAIM(nobody_faults_or_hangs_when_the_whole_segment_is_overwritten, serve_and_suffer,
      everything)
CLAIM(nobody_faults_or_hangs_when_the_header_is_overwritten, serve_and_suffer, header)
CLAIM(nobody_faults_or_hangs_when_the_masks_are_overwritten, serve_and_suffer, masks)
CLAIM(nobody_faults_or_hangs_when_slots_are_overwritten, serve_and_suffer, slots)
CLAIM(nobody_faults_or_hangs_when_slot_words_are_overwritten, serve_and_suffer, words)
CLAIM(nobody_faults_or_hangs_when_requests_and_replies_are_overwritten, serve_and_suffer,
      descriptors)
CLAIM(nobody_faults_or_hangs_when_hints_are_overwritten, serve_and_suffer, hints)
CLAIM(nobody_faults_or_hangs_when_books_and_block_owners_are_overwritten,
      serve_and_suffer, books_and_owners)
CLAIM(nobody_faults_or_hangs_when_places_and_statistics_are_overwritten, serve_and_suffer,
      places)
CLAIM(a_program_survives_its_embedded_pool, embed_and_suffer, everything)
CLAIM(a_program_survives_places_that_anybody_wrote, embed_and_suffer, places)
