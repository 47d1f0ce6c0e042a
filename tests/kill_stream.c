/*
 * kill_stream.c - claims about producers and consumers that die, or are stopped, at each line
 * of a stream, while another stream goes on.
 *
 * Two workers emit into small rings; two clients read, pausing now and then. Nobody spins, so
 * each waits for the other all the time. The wish is borne by the worker in place 1, or by
 * the first client. Whoever reads looks at each item: the next of its stream, none twice,
 * none left out; a stream that ends before its last item is lost with its worker.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "ledger.h"
#include "stories.h"

#include <cadre/stream.h>

#define VICTIM 1u
#define ITEMS 40u
#define LENGTH 24u

enum { EMIT = 1 };

struct story {
	struct killing killing;
	bool producer; /* who bears the wish */
};

static struct killing_wish *wish;
static bool producer_dies;
static atomic_bool *enough;
static atomic_uint *progress; /* streams that came to an end, by client */
static atomic_uint *lost;

/* ---- the workers ---- */

static bool is_victim;

static int begin_worker(const struct cadre_start *start, void **ret_state,
			struct cadre_diag *diag)
{
	(void)ret_state;
	(void)diag;
	is_victim = producer_dies && start->worker == VICTIM;
	return 0;
}

static void emit(struct cadre_job *job, void *state)
{
	uint32_t item[LENGTH / 4] = { 0 };
	int r = 0;

	(void)state;
	/* Not from its start on: a pool whose worker dies at its start does not start. */
	if (is_victim)
		killing_bear(wish);
	is_victim = false;
	for (uint32_t number = 1; r == 0 && number <= ITEMS; number++) {
		for (uint32_t i = 0; i < LENGTH / 4; i++)
			item[i] = number;
		r = cadre_job_emit(job, item, LENGTH);
	}
	if (r == 0)
		cadre_job_reply(job, "", 0);
	else
		cadre_job_fail(job, -r, "%s", strerror(-r));
}

static const struct cadre_operation operations[] = { { EMIT, "emit", emit } };

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "emitters",
	.operations = operations,
	.operation_count = 1,
	.init = begin_worker,
};

/* ---- the clients ---- */

static bool is_whole(const struct cadre_item *item, uint32_t number)
{
	const uint32_t *const words = item->data;

	if (item->is_error || item->length != LENGTH)
		return false;
	for (uint32_t i = 0; i < LENGTH / 4; i++) {
		if (words[i] != number)
			return false;
	}
	return true;
}

static void take_end(struct cadre_client *client, struct cadre_ticket ticket,
		     uint32_t items)
{
	struct cadre_result result;

	if (cadre_await(client, ticket, cadre_in_ms(20000), &result) < 0) {
		ledger_complain("a stream that has ended has no outcome");
		return;
	}
	if (result.outcome == CADRE_LOST)
		atomic_fetch_add(lost, 1);
	else if (result.outcome != CADRE_OK || items != ITEMS)
		ledger_complain("%s after %u items: %s",
				cadre_outcome_name(result.outcome), items,
				result.sentence);
	cadre_release(client, &result);
}

/* Every third item a pause, so that the producer waits for that too. */
static void read_one(struct cadre_client *client)
{
	const struct cadre_request request = { .operation = EMIT,
					       .flags = CADRE_STREAM,
					       .stream_room = 128 };
	struct cadre_ticket ticket;
	struct cadre_item item;
	uint32_t items = 0;
	int r = cadre_submit(client, &request, cadre_in_ms(20000), &ticket);

	if (r < 0) {
		ledger_complain("a stream was not accepted: %d", r);
		return;
	}
	while ((r = cadre_stream_next(client, ticket, cadre_in_ms(20000), &item)) == 1) {
		if (!is_whole(&item, ++items))
			ledger_complain("item %u is not the next of its stream", items);
		if (items % 3 == 0 && cadre_stream_pause(client, ticket) == 0)
			cadre_stream_resume(client, ticket);
	}
	if (r < 0)
		ledger_complain("no item after %u: %d", items, r);
	else
		take_end(client, ticket, items);
}

static void be_client(void *context)
{
	const struct cadre_client_options options = { .size = sizeof(options),
						      .spin_ns = -1 };
	const unsigned number = *(const unsigned *)context;
	struct cadre_diag diag = { "" };
	struct cadre_client *client;

	if (cadre_client_attach(stage_pool, &options, &client, &diag) < 0) {
		ledger_complain("%s", diag.text);
		return;
	}
	if (!producer_dies && number == 0)
		killing_bear(wish);
	while (!atomic_load(enough) && !ledger_complaint()) {
		read_one(client);
		atomic_fetch_add(&progress[number], 1);
	}
	cadre_client_detach(client);
}

/* ---- the story ---- */

static unsigned ends(void)
{
	return atomic_load(&progress[0]) + atomic_load(&progress[1]);
}

static bool has_stopped(void)
{
	const pid_t victim = atomic_load(&wish->victim);

	return victim && child_is_stopped(victim);
}

static bool came_true(const struct cadre_view *view, pid_t client, bool *client_died)
{
	int status;

	if (wish->killing.signal_number == SIGSTOP)
		return has_stopped();
	if (producer_dies)
		return cadre_count_read(&view->worker_stats[VICTIM].place.deaths) >= 1;
	if (!stage_has_ended(client, &status))
		return false;
	*client_died = true;
	if (status != 128 + SIGKILL)
		ledger_complain("the client ended with status %d", status);
	return true;
}

struct count {
	unsigned before, more;
};

static bool have_ended(const void *context)
{
	const struct count *const count = context;

	return ends() >= count->before + count->more;
}

static void await_ends(unsigned more)
{
	const struct count count = { ends(), more };

	stage_await(have_ended, &count, "streams do not come to their end");
}

static void play(const void *context)
{
	const struct story *const story = context;
	static unsigned numbers[] = { 0, 1 };
	const int64_t late_ns = cadre_clock_in_ns(20 * CADRE_NS_PER_S);
	struct cadre_pool_options options = ledger_pool(stage_pool, 2, 2);
	struct cadre_diag diag = { "" };
	bool client_died = false;
	struct cadre_pool *pool;
	struct cadre_view view;
	pid_t clients[2];

	producer_dies = story->producer;
	wish = killing_wish(&story->killing);
	enough = child_share(sizeof(*enough));
	progress = child_share(2 * sizeof(*progress));
	lost = child_share(sizeof(*lost));
	options.spin_ns = -1;
	if (cadre_pool_start(&service, &options, &pool, &diag) < 0) {
		ledger_complain("%s", diag.text);
		return;
	}
	view = stage_view();
	for (unsigned i = 0; i < 2; i++)
		clients[i] = stage_fork(be_client, &numbers[i]);

	while (!came_true(&view, clients[0], &client_died) && !ledger_complaint()) {
		stage_check(&view);
		if (cadre_clock_ns() > late_ns)
			ledger_complain("nobody passed %s for the %u. time",
					story->killing.label, story->killing.pass);
	}
	/* The other stream, at least, goes on. */
	await_ends(10);
	if (story->killing.signal_number == SIGSTOP)
		kill(atomic_load(&wish->victim), SIGCONT);
	if (client_died)
		clients[0] = stage_fork(be_client, &numbers[0]);
	await_ends(20);
	atomic_store(enough, true);
	for (unsigned i = 0; i < 2; i++) {
		if (stage_await_end(clients[i]) != CHILD_FINE)
			ledger_complain("a client did not come to its end");
	}
	stage_await_rest(&view, NULL);
	if (atomic_load(lost) > (producer_dies ? 1u : 0u))
		ledger_complain("%u streams were lost", atomic_load(lost));
	cadre_layout_close(&view);
	cadre_pool_close(pool);
}

static void tell_all(const char *label, bool producer)
{
	static const unsigned passes[] = { 1, 2, 7, 60 };

	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
		struct story story = {
			.killing = { .label = label,
				     .pass = passes[i],
				     .victims = 1,
				     .signal_number = SIGKILL },
			.producer = producer,
		};

		tell(play, &story.killing);
		story.killing.signal_number = SIGSTOP;
		tell(play, &story.killing);
	}
}

#define PRODUCER(X) X(I0) X(I1) X(I5) X(L2)
#define CONSUMER(X) X(I3) X(I6) X(I7) X(L2)

#define OF_PRODUCER(label)                                             \
	Test(kill_stream, no_consumer_suffers_from_a_death_at_##label) \
	{                                                              \
		tell_all(#label, true);                                \
	}

#define OF_CONSUMER(label)                                             \
	Test(kill_stream, no_producer_suffers_from_a_death_at_##label) \
	{                                                              \
		tell_all(#label, false);                               \
	}

PRODUCER(OF_PRODUCER)
CONSUMER(OF_CONSUMER)

#define NAME(label) #label,

Test(kill_stream, every_point_of_a_stream_has_its_story)
{
	static const char *const told[] = { PRODUCER(NAME) CONSUMER(NAME) };

	for (size_t i = 0; i < killing_point_count; i++) {
		const char *const label = killing_points[i].label;

		cr_expect(label[0] != 'I' ||
				  killing_is_told(label, told,
						  sizeof(told) / sizeof(told[0])),
			  "%s", label);
	}
}
