/*
 * report.c - one look at a whole pool, through a mapping that cannot be written.
 *
 * Everything read here is what other processes wrote, and perhaps what a broken one
 * scribbled. So each word is read once; counts and loops are bounded by the limits that
 * were checked when the segment was opened; what cannot be is shown as '?' or cut to what
 * can. Numbers that belong together may be a moment apart: nobody stops for a reader.
 *
 * It asks no process and writes nothing. It does not say what should be done about what
 * it saw; that is the business of the tools.
 */
#include "clock.h"
#include "diag.h"
#include "layout.h"
#include "process.h"

#include <cadre/report.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct operation {
	int32_t id;
	char name[sizeof(((struct cadre_operation_line *)NULL)->name)];
};

/* What the slots say about one worker. */
struct burden {
	int64_t running_ns; /* of its oldest job */
	bool overdue;       /* one of its jobs is past its deadline */
};

struct cadre_report {
	struct cadre_view view;
	char name[CADRE_NAME_MAX + 1];
	int64_t now_ns; /* of the present read */
	struct cadre_pool_snapshot pool;
	struct cadre_worker_snapshot workers[CADRE_WORKERS_MAX];
	struct cadre_client_snapshot clients[CADRE_CLIENTS_MAX];
	struct burden burdens[CADRE_WORKERS_MAX];
	struct operation operations[CADRE_OPERATIONS_MAX];
};

/* ---- what the counters are ---- */

#define KIND_COUNTER CADRE_COUNTER_TOTAL
#define KIND_LEVEL CADRE_COUNTER_LEVEL
#define KIND_PEAK CADRE_COUNTER_PEAK

#define SAID(name, kind, unit, sentence) { #name, KIND_##kind, unit, sentence },
#define UNSAID(name, kind, unit, sentence)
#define CADRE_COUNTER(scope, name, kind, unit, sentence) \
	SAY_##scope(name, kind, unit, sentence)

#define SAY_WORKER SAID
#define SAY_PLACE UNSAID
#define SAY_CLIENT UNSAID
#define SAY_POOL UNSAID
static const struct cadre_counter_description worker_counters[] = {
#include "counters.def"
};

#undef SAY_WORKER
#undef SAY_PLACE
#define SAY_WORKER UNSAID
#define SAY_PLACE SAID
static const struct cadre_counter_description place_counters[] = {
#include "counters.def"
};

#undef SAY_PLACE
#undef SAY_CLIENT
#define SAY_PLACE UNSAID
#define SAY_CLIENT SAID
static const struct cadre_counter_description client_counters[] = {
#include "counters.def"
};

#undef SAY_CLIENT
#undef SAY_POOL
#define SAY_CLIENT UNSAID
#define SAY_POOL SAID
static const struct cadre_counter_description pool_counters[] = {
#include "counters.def"
};

#undef CADRE_COUNTER

/* read_counters takes each of these structs for an array. */
#define ASSERT_COUNTERS(described, counters)                                            \
	static_assert(sizeof(counters) == CADRE_COUNT_OF(described) * sizeof(uint64_t), \
		      "a counter is not an _Atomic uint64_t");                          \
	static_assert(CADRE_COUNT_OF(described) <= CADRE_SNAPSHOT_COUNTERS_MAX,         \
		      "the snapshots have no room for so many counters")

ASSERT_COUNTERS(worker_counters, struct cadre_worker_counters);
ASSERT_COUNTERS(place_counters, struct cadre_place_counters);
ASSERT_COUNTERS(client_counters, struct cadre_client_counters);
ASSERT_COUNTERS(pool_counters, struct cadre_pool_counters);

const struct cadre_counter_description *cadre_counter_describe(
	enum cadre_counter_scope scope, size_t *ret_count)
{
	static const struct {
		const struct cadre_counter_description *counters;
		size_t count;
	} scopes[CADRE_SCOPE_COUNT] = {
		[CADRE_SCOPE_WORKER] = { worker_counters, CADRE_COUNT_OF(worker_counters) },
		[CADRE_SCOPE_PLACE] = { place_counters, CADRE_COUNT_OF(place_counters) },
		[CADRE_SCOPE_CLIENT] = { client_counters, CADRE_COUNT_OF(client_counters) },
		[CADRE_SCOPE_POOL] = { pool_counters, CADRE_COUNT_OF(pool_counters) },
	};

	if ((unsigned)scope >= CADRE_SCOPE_COUNT) {
		*ret_count = 0;
		return NULL;
	}
	*ret_count = scopes[scope].count;
	return scopes[scope].counters;
}

/* Copies a struct of counters into a snapshot. */
#define READ_COUNTERS(into, counters)                                             \
	read_counters((into), (const _Atomic uint64_t *)(const void *)(counters), \
		      sizeof(*(counters)) / sizeof(uint64_t))

static void read_counters(uint64_t *into, const _Atomic uint64_t *counters, size_t count)
{
	for (size_t i = 0; i < count; i++)
		into[i] = cadre_count_read(&counters[i]);
}

/* ---- numbers that may be anything ---- */

static void add(uint64_t *sum, uint64_t amount)
{
	if (__builtin_add_overflow(*sum, amount, sum))
		*sum = UINT64_MAX;
}

/* How long ago that was; 0 for never, and for what has not come yet. */
static int64_t since(const struct cadre_report *report, int64_t then_ns)
{
	return then_ns > 0 && then_ns < report->now_ns ? report->now_ns - then_ns : 0;
}

static int64_t at_least_0(int64_t ns)
{
	return ns > 0 ? ns : 0;
}

/* Copies a name out of the segment: ended, and without what a terminal would obey. */
static void copy_name(char *into, const char *from, size_t size)
{
	memcpy(into, from, size);
	into[size - 1] = '\0';
	for (char *c = into; *c; c++) {
		if (!isgraph((unsigned char)*c))
			*c = '?';
	}
}

/* ---- histograms ---- */

/* The highest value that falls into a bucket. */
static int64_t ceiling_ns(unsigned bucket)
{
	return cadre_histogram_floor_ns(bucket + 1) - 1;
}

/* How many of `total` are so many per mille of it, rounded up, without overflow. */
static uint64_t share(uint64_t total, uint64_t per_mille)
{
	return total / 1000 * per_mille + (total % 1000 * per_mille + 999) / 1000;
}

/* The ceiling of the bucket in which the count reaches `jobs`. */
static int64_t reached_ns(const uint64_t count[CADRE_HISTOGRAM_BUCKETS], uint64_t jobs)
{
	uint64_t sum = 0;

	for (unsigned bucket = 0; bucket < CADRE_HISTOGRAM_BUCKETS; bucket++) {
		sum += count[bucket];
		if (sum >= jobs)
			return ceiling_ns(bucket);
	}
	return ceiling_ns(CADRE_HISTOGRAM_BUCKETS - 1);
}

static struct cadre_percentiles read_histogram(const struct cadre_histogram *histogram)
{
	/* So that the sum of all buckets cannot overflow, whatever they hold. */
	const uint64_t most = UINT64_MAX / CADRE_HISTOGRAM_BUCKETS;
	uint64_t count[CADRE_HISTOGRAM_BUCKETS], jobs = 0;

	for (unsigned bucket = 0; bucket < CADRE_HISTOGRAM_BUCKETS; bucket++) {
		count[bucket] = cadre_count_read(&histogram->count[bucket]);
		if (count[bucket] > most)
			count[bucket] = most;
		jobs += count[bucket];
	}
	if (jobs == 0)
		return (struct cadre_percentiles){ 0 };
	return (struct cadre_percentiles){
		.jobs = jobs,
		.p50_ns = reached_ns(count, share(jobs, 500)),
		.p90_ns = reached_ns(count, share(jobs, 900)),
		.p99_ns = reached_ns(count, share(jobs, 990)),
		.p999_ns = reached_ns(count, share(jobs, 999)),
		.max_ns = reached_ns(count, jobs),
	};
}

/* ---- slots, books, windows ---- */

static void note_pending(struct cadre_report *report, const struct cadre_slot *slot,
			 uint64_t word)
{
	const int64_t age_ns = since(report, CADRE_READ_ONCE(slot->request.submitted_ns));

	/* Acquire, so that the field was read before the word is read again. Then they
	 * belong together: a new job would have brought a new generation. */
	atomic_thread_fence(memory_order_acquire);
	if (cadre_word_generation(cadre_slot_peek(slot)) != cadre_word_generation(word))
		return;
	if (age_ns > report->pool.oldest_pending_ns)
		report->pool.oldest_pending_ns = age_ns;
}

static void note_running(struct cadre_report *report, const struct cadre_slot *slot,
			 uint64_t word)
{
	const unsigned owner = cadre_word_unpack(word).owner;
	const int64_t submitted_ns = CADRE_READ_ONCE(slot->request.submitted_ns);
	const int64_t taken_ns = CADRE_READ_ONCE(slot->reply.taken_ns);
	const bool has_deadline = CADRE_READ_ONCE(slot->request.with) &
				  CADRE_WITH_DEADLINE;
	const int64_t deadline_ns = CADRE_READ_ONCE(slot->request.deadline_ns);
	struct burden *burden;

	/* As in note_pending. */
	atomic_thread_fence(memory_order_acquire);
	if (cadre_word_generation(cadre_slot_peek(slot)) != cadre_word_generation(word))
		return;
	if (owner == CADRE_OWNER_NONE || owner > report->view.limits.workers)
		return;
	burden = &report->burdens[owner - 1];

	if (has_deadline && since(report, deadline_ns) > 0)
		burden->overdue = true;
	/* A job cannot be taken before it was submitted: what stands there is left from the
	 * job before, and this one was taken a moment ago. */
	if (taken_ns >= submitted_ns && since(report, taken_ns) > burden->running_ns)
		burden->running_ns = since(report, taken_ns);
}

/* A job that has ended and waits to be taken by its client is not in the books yet. The
 * word was read before them, so it is not counted twice. */
static void note_done(struct cadre_client_snapshot *client,
		      const struct cadre_books *books, uint64_t word)
{
	const uint64_t booked = (cadre_books_sum(books) + 1) & CADRE_GENERATION_MAX;

	if (booked == cadre_word_generation(word))
		add(&client->jobs[cadre_word_unpack(word).outcome], 1);
}

static void read_slot(struct cadre_report *report, struct cadre_client_snapshot *client,
		      const struct cadre_slot *slot, const struct cadre_books *books)
{
	const uint64_t word = cadre_slot_look(slot);

	if (cadre_word_phase(word) != CADRE_FREE)
		client->slots_used++;
	switch (cadre_word_phase(word)) {
	case CADRE_QUEUED:
		client->queued++;
		note_pending(report, slot, word);
		break;
	case CADRE_RUNNING:
		client->running++;
		note_running(report, slot, word);
		break;
	case CADRE_DONE:
		note_done(client, books, word);
		break;
	default: /* FREE, FILLING, impossible: no job. */
		break;
	}
}

static void read_window(struct cadre_report *report, uint32_t window,
			struct cadre_client_snapshot *client)
{
	const struct cadre_view *const view = &report->view;
	const bool leased = cadre_mask_has(&view->header->leased, window);

	for (uint32_t i = 0; i < view->limits.slots; i++) {
		const uint32_t slot = window * view->limits.slots + i;

		/* In a window without a lease every slot is FREE; its books remain. */
		if (leased)
			read_slot(report, client, &view->slots[slot], &view->books[slot]);
		for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
			add(&client->jobs[outcome],
			    cadre_count_read(&view->books[slot].ended[outcome]));
	}
}

/* ---- clients ---- */

/* While a supervisor reigns, a place says the truth about its process. When there is
 * none, nobody has looked since: look whether it lives. */
static bool is_left_behind(const struct cadre_report *report,
			   const struct cadre_place *place)
{
	int pidfd;

	if (report->pool.alive)
		return false;
	pidfd = cadre_process_open(cadre_place_who(place));
	if (pidfd >= 0)
		close(pidfd);
	return pidfd == -ESRCH;
}

static const char *client_state(enum cadre_place_state state, bool left_behind)
{
	switch (state) {
	case CADRE_PLACE_VACANT:
		return "vacant";
	case CADRE_PLACE_STARTING:
		return "starting";
	case CADRE_PLACE_UP:
		return left_behind ? "gone" : "up";
	case CADRE_PLACE_DRAINING:
		return "draining";
	case CADRE_PLACE_DEAD:
		return "dead";
	default:
		return "?";
	}
}

static void read_client(struct cadre_report *report, uint32_t window)
{
	const struct cadre_place *const place = &report->view.client_places[window];
	const uint64_t bits = cadre_place_look(place);
	const enum cadre_place_state state = cadre_place_state_of(bits);
	struct cadre_client_snapshot client = { .place = window };
	bool left_behind;

	static_assert(CADRE_WITHDRAWN == CADRE_OUTCOME_COUNT - 1,
		      "all others were accepted");
	read_window(report, window, &client);
	client.submitted = client.queued + client.running;
	for (unsigned outcome = 0; outcome < CADRE_WITHDRAWN; outcome++)
		add(&client.submitted, client.jobs[outcome]);

	add(&report->pool.submitted, client.submitted);
	report->pool.queue_length += client.queued;
	report->pool.in_flight += client.queued + client.running;
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
		add(&report->pool.jobs[outcome], client.jobs[outcome]);

	if (cadre_place_incarnation_of(bits) == 0)
		return;
	left_behind = state == CADRE_PLACE_UP && is_left_behind(report, place);
	snprintf(client.state, sizeof(client.state), "%s",
		 client_state(state, left_behind));
	if (state != CADRE_PLACE_VACANT)
		client.pid = cadre_place_who(place).pid;
	report->pool.clients += state == CADRE_PLACE_UP && !left_behind;
	READ_COUNTERS(client.counters, &report->view.client_lines[window].counters);
	report->clients[report->pool.client_count++] = client;
}

/* ---- workers ---- */

static bool has_process(enum cadre_place_state state)
{
	return state == CADRE_PLACE_STARTING || state == CADRE_PLACE_UP ||
	       state == CADRE_PLACE_DRAINING;
}

static char letter_of_activity(enum cadre_activity activity)
{
	switch (activity) {
	case CADRE_ACTIVITY_IDLE:
		return '_';
	case CADRE_ACTIVITY_BUSY:
		return 'W';
	case CADRE_ACTIVITY_BLOCKED:
		return 'B';
	default: /* It is up, and about to say that it is idle. */
		return 'S';
	}
}

static char letter_of(enum cadre_place_state state, enum cadre_activity activity,
		      bool overdue)
{
	switch (state) {
	case CADRE_PLACE_VACANT:
		return '.';
	case CADRE_PLACE_STARTING:
		return 'S';
	case CADRE_PLACE_UP:
		return overdue ? 'H' : letter_of_activity(activity);
	case CADRE_PLACE_DRAINING:
		return overdue ? 'H' : 'G';
	case CADRE_PLACE_DEAD:
	case CADRE_PLACE_WAITING:
		return 'X';
	case CADRE_PLACE_DISABLED:
		return 'D';
	default:
		return '?';
	}
}

static void read_times(struct cadre_report *report, const struct cadre_place_stats *stats,
		       struct cadre_worker_snapshot *worker,
		       enum cadre_activity *ret_activity)
{
	int64_t since_ns, spent_ns[CADRE_ACTIVITY_COUNT];

	worker->torn = !cadre_stats_times(stats, report->now_ns, ret_activity, &since_ns,
					  spent_ns);
	worker->spent_idle_ns = at_least_0(spent_ns[CADRE_ACTIVITY_IDLE]);
	worker->spent_busy_ns = at_least_0(spent_ns[CADRE_ACTIVITY_BUSY]);
	worker->spent_blocked_ns = at_least_0(spent_ns[CADRE_ACTIVITY_BLOCKED]);
	if (*ret_activity == CADRE_ACTIVITY_IDLE)
		worker->idle_ns = since(report, since_ns);
}

/* What a worker saw end, as report.h explains it. */
static void read_outcomes(const struct cadre_place_stats *stats,
			  uint64_t jobs[CADRE_OUTCOME_COUNT])
{
	jobs[CADRE_OK] = cadre_count_read(&stats->worker.jobs_ok);
	jobs[CADRE_FAILED] = cadre_count_read(&stats->worker.jobs_failed);
	jobs[CADRE_TIMED_OUT] = cadre_count_read(&stats->worker.jobs_timed_out);
	jobs[CADRE_LOST] = cadre_count_read(&stats->place.jobs_lost);
	jobs[CADRE_REFUSED] = cadre_count_read(&stats->place.jobs_refused);
	jobs[CADRE_CANCELLED] = cadre_count_read(&stats->worker.jobs_late);
	add(&jobs[CADRE_CANCELLED], cadre_count_read(&stats->place.jobs_buried));
}

static void read_place(struct cadre_report *report, uint32_t index, uint64_t bits,
		       struct cadre_worker_snapshot *worker, enum cadre_activity activity)
{
	const struct cadre_place *const place = &report->view.worker_places[index];
	const struct burden *const burden = &report->burdens[index];
	const enum cadre_place_state state = cadre_place_state_of(bits);

	worker->incarnation = cadre_place_incarnation_of(bits);
	worker->letter = letter_of(state, activity, burden->overdue);
	if (state == CADRE_PLACE_WAITING)
		/* Relaxed, here and below: the state was read with acquire. */
		worker->retry_in_ns = at_least_0(
			at_least_0(atomic_load_explicit(&place->until_ns,
							memory_order_relaxed)) -
			report->now_ns);
	if (!has_process(state))
		return;
	worker->pid = cadre_place_who(place).pid;
	if (is_left_behind(report, place)) {
		worker->letter = 'X';
		worker->idle_ns = 0;
		return;
	}
	worker->uptime_ns = since(report, atomic_load_explicit(&place->since_ns,
							       memory_order_relaxed));
	worker->running_ns = burden->running_ns;
	report->pool.workers_ready += state == CADRE_PLACE_UP;
}

static void read_worker(struct cadre_report *report, uint32_t index)
{
	const struct cadre_place_stats *const stats = &report->view.worker_stats[index];
	const uint64_t bits = cadre_place_look(&report->view.worker_places[index]);
	struct cadre_worker_snapshot worker = { .place = index };
	enum cadre_activity activity;

	read_times(report, stats, &worker, &activity);
	read_place(report, index, bits, &worker, activity);
	worker.operation = atomic_load_explicit(&stats->operation, memory_order_relaxed);
	worker.last_signal = atomic_load_explicit(&stats->last_signal,
						  memory_order_relaxed);
	worker.last_exit_status = atomic_load_explicit(&stats->last_exit_status,
						       memory_order_relaxed);
	read_outcomes(stats, worker.jobs);
	READ_COUNTERS(worker.worker, &stats->worker);
	READ_COUNTERS(worker.about, &stats->place);
	worker.waiting = read_histogram(&stats->waiting);
	worker.service = read_histogram(&stats->service);
	worker.total = read_histogram(&stats->total);
	report->workers[index] = worker;
}

/* ---- the pool ---- */

static const char *pool_state(uint32_t state)
{
	static const char *const names[] = {
		[CADRE_POOL_STARTING] = "starting",
		[CADRE_POOL_OPEN] = "open",
		[CADRE_POOL_STOPPING] = "stopping",
		[CADRE_POOL_TERMINATED] = "terminated",
	};

	return state < CADRE_COUNT_OF(names) ? names[state] : "?";
}

static void read_blocks(const struct cadre_view *view, struct cadre_pool_snapshot *pool)
{
	const struct cadre_block_pool blocks = cadre_layout_blocks(view);

	static_assert(CADRE_COUNT_OF(pool->block_used) == CADRE_BLOCK_CLASSES, "report.h");
	pool->block_classes = view->plan.classes;
	cadre_block_count_used(&blocks, pool->block_used);
	for (uint32_t size_class = 0; size_class < view->plan.classes; size_class++) {
		pool->block_size[size_class] = view->plan.size[size_class];
		pool->block_count[size_class] = view->plan.count[size_class];
	}
}

static void read_header(struct cadre_report *report)
{
	const struct cadre_header *const header = report->view.header;
	const struct cadre_limits *const limits = &report->view.limits;
	/* Relaxed, all of these: each says something by itself. */
	report->pool = (struct cadre_pool_snapshot){
		/* One that cannot be seen is none that is known to be dead. */
		.alive = cadre_lock_holder(report->name) != 0,
		.degraded = atomic_load_explicit(&header->degraded,
						 memory_order_relaxed) != 0,
		.supervisor_pid = atomic_load_explicit(&header->supervisor_pid,
						       memory_order_relaxed),
		.heartbeat_age_ns = since(report,
					  atomic_load_explicit(&header->heartbeat_ns,
							       memory_order_relaxed)),
		.uptime_ns = since(report, CADRE_READ_ONCE(header->created_ns)),
		.created_unix_s = CADRE_READ_ONCE(header->created_unix_s),
		.workers_min = limits->workers_min,
		.workers_max = limits->workers,
		.parallel = limits->parallel,
		.clients_max = limits->clients,
		.window_slots = limits->slots,
		.payload_max = limits->payload_max,
		.segment_bytes = report->view.size,
		.worker_count = limits->workers,
	};
	memcpy(report->pool.name, report->name, sizeof(report->pool.name));
	snprintf(report->pool.state, sizeof(report->pool.state), "%s",
		 pool_state(atomic_load_explicit(&header->state, memory_order_relaxed)));
	READ_COUNTERS(report->pool.counters, &header->counters);
}

static void read_operations(struct cadre_report *report)
{
	for (unsigned i = 0; i < CADRE_OPERATIONS_MAX; i++) {
		const struct cadre_operation_line *const line =
			&report->view.header->operations[i];
		struct operation *const operation = &report->operations[i];

		operation->id = CADRE_READ_ONCE(line->id);
		copy_name(operation->name, line->name, sizeof(operation->name));
	}
}

/* ---- the public calls ---- */

int cadre_report_open(const char *pool, struct cadre_report **ret_report,
		      struct cadre_diag *diag)
{
	struct cadre_report *const report = calloc(1, sizeof(*report));
	int r;

	if (!report)
		return cadre_refuse(diag, -ENOMEM,
				    "cannot open pool \"%s\": no memory left", pool);
	r = cadre_layout_open(pool, false, &report->view, diag);
	if (r < 0) {
		free(report);
		return r;
	}
	strncpy(report->name, pool, sizeof(report->name) - 1);
	*ret_report = report;
	return 0;
}

void cadre_report_close(struct cadre_report *report)
{
	if (!report)
		return;
	cadre_layout_close(&report->view);
	free(report);
}

const struct cadre_pool_snapshot *cadre_report_read(struct cadre_report *report)
{
	report->now_ns = cadre_clock_ns();
	memset(report->burdens, 0, sizeof(report->burdens));
	read_header(report);
	read_operations(report);
	read_blocks(&report->view, &report->pool);
	/* Clients first: their slots say what burdens the workers. */
	for (uint32_t window = 0; window < report->view.limits.clients; window++)
		read_client(report, window);
	for (uint32_t index = 0; index < report->view.limits.workers; index++)
		read_worker(report, index);
	return &report->pool;
}

const struct cadre_worker_snapshot *cadre_report_worker(const struct cadre_report *report,
							uint32_t index)
{
	return index < report->pool.worker_count ? &report->workers[index] : NULL;
}

const struct cadre_client_snapshot *cadre_report_client(const struct cadre_report *report,
							uint32_t index)
{
	return index < report->pool.client_count ? &report->clients[index] : NULL;
}

int cadre_report_backtrace(const struct cadre_report *report, uint32_t worker,
			   int32_t pid, struct cadre_backtrace *ret_backtrace)
{
	if (worker >= report->view.limits.workers)
		return -ENOENT;
	return cadre_crash_read(&report->view.worker_crashes[worker], pid, ret_backtrace);
}

const char *cadre_report_operation(const struct cadre_report *report, int32_t id)
{
	for (unsigned i = 0; id > 0 && i < CADRE_OPERATIONS_MAX; i++) {
		if (report->operations[i].id == id)
			return report->operations[i].name;
	}
	return NULL;
}

struct each {
	void (*visit)(const char *pool, void *context);
	void *context;
};

static void visit_segment(const char *pool, void *context)
{
	const struct each *const each = context;
	char path[CADRE_PATH_SIZE];

	cadre_path(pool, CADRE_FILE_SEGMENT, path);
	if (access(path, F_OK) == 0)
		each->visit(pool, each->context);
}

void cadre_report_each_pool(void (*visit)(const char *pool, void *context), void *context)
{
	struct each each = { .visit = visit, .context = context };

	cadre_each_pool(visit_segment, &each);
}
