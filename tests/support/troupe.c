#include "troupe.h"
#include "layout.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct troupe_board *board;

/* ---- handlers ---- */

/* What a worker knows of itself. */
struct actor {
	uint32_t worker;
	uint32_t incarnation;
	size_t length;
	char data[4096];
};

static int start_actor(const struct cadre_start *start, void **ret_state,
		       struct cadre_diag *diag)
{
	struct actor *actor;

	if (start->length > sizeof(actor->data)) {
		snprintf(diag->text, sizeof(diag->text),
			 "an actor learns no more by heart");
		return -EMSGSIZE;
	}
	actor = calloc(1, sizeof(*actor));
	if (!actor)
		return -ENOMEM;
	actor->worker = start->worker;
	actor->incarnation = start->incarnation;
	actor->length = start->length;
	if (start->length)
		memcpy(actor->data, start->data, start->length);
	*ret_state = actor;
	atomic_fetch_add(&board->inits, 1);
	return 0;
}

static int end_actor(void *state)
{
	free(state);
	atomic_fetch_add(&board->finis, 1);
	return 0;
}

static void tell(int first, int second)
{
	atomic_store(&board->told[0], first);
	atomic_store(&board->told[1], second);
	atomic_fetch_add(&board->has_told, 1);
}

uint32_t troupe_number_of(const struct cadre_job *job)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);
	uint32_t number = 0;

	if (length == sizeof(number))
		memcpy(&number, data, sizeof(number));
	return number;
}

static void reply_with_number(struct cadre_job *job, uint32_t number)
{
	cadre_job_reply(job, &number, sizeof(number));
}

static void echo(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);
	const int r = cadre_job_reply(job, data, length);

	(void)state;
	if (r < 0)
		cadre_job_fail(job, -r, "%s", strerror(-r));
}

/* `job` is NULL when it is somebody else's already. */
static void wait_at_gate(const struct cadre_job *job, uint32_t height)
{
	bool saw_cancel = false;

	atomic_fetch_add(&board->waiting, 1);
	atomic_fetch_add(&board->begun, 1);
	while (atomic_load(&board->gate) < height) {
		if (job && !saw_cancel && cadre_job_cancelled(job)) {
			saw_cancel = true;
			atomic_fetch_add(&board->cancels, 1);
		}
		child_pause_ms(1);
	}
	atomic_fetch_sub(&board->waiting, 1);
	atomic_fetch_add(&board->passed, 1);
}

static void hold(struct cadre_job *job, void *state)
{
	const uint32_t number = troupe_number_of(job);

	(void)state;
	wait_at_gate(job, number);
	reply_with_number(job, number);
}

static void *hold_on_thread(void *job)
{
	hold(job, NULL);
	return NULL;
}

static void later(struct cadre_job *job, void *state)
{
	pthread_t thread;

	(void)state;
	cadre_job_defer(job);
	if (pthread_create(&thread, NULL, hold_on_thread, job) != 0)
		cadre_job_fail(job, 1, "no thread");
	else
		pthread_detach(thread);
}

static void linger(struct cadre_job *job, void *state)
{
	const uint32_t number = troupe_number_of(job);

	(void)state;
	reply_with_number(job, number);
	wait_at_gate(NULL, number);
}

static void who(struct cadre_job *job, void *state)
{
	const struct actor *const actor = state;
	const struct troupe_who reply = {
		.pid = getpid(),
		.worker = actor->worker,
		.incarnation = actor->incarnation,
		.attempt = cadre_job_attempt(job),
		.deadline_ns = cadre_job_deadline_ns(job),
		.operation = cadre_job_operation(job),
	};

	cadre_job_reply(job, &reply, sizeof(reply));
}

static void die(struct cadre_job *job, void *state)
{
	struct troupe_death death;
	size_t length;

	memcpy(&death, cadre_job_data(job, &length), sizeof(death));
	if (cadre_job_attempt(job) >= death.times) {
		who(job, state);
		return;
	}
	atomic_fetch_add(&board->deaths, 1);
	if (death.how <= 0)
		_exit(-death.how);
	kill(getpid(), death.how);
	for (;;)
		pause();
}

/* Grows by a small step each time and writes only what is new: what was written before
 * must still be there. */
static void grow(struct cadre_job *job, void *state)
{
	const uint32_t length = troupe_number_of(job);
	unsigned char *pattern = malloc(length + 1), *room = NULL;
	uint32_t size = 0;
	int r = pattern ? 0 : -1;

	(void)state;
	if (pattern)
		troupe_fill(pattern, length, length);
	while (r == 0 && (size < length || !room)) {
		const uint32_t step = size / 3 + 50;
		const uint32_t next = length - size < step ? length : size + step;

		r = cadre_job_reply_room(job, next, (void **)&room);
		if (r == 0)
			memcpy(room + size, pattern + size, next - size);
		size = next;
	}
	free(pattern);
	if (r == 0)
		r = cadre_job_reply_commit(job, length);
	if (r < 0)
		cadre_job_fail(job, -r, "grown to %u bytes", size);
}

static void be_silent(struct cadre_job *job, void *state)
{
	(void)job;
	(void)state;
}

static void reply_twice(struct cadre_job *job, void *state)
{
	int again;

	echo(job, state);
	again = cadre_job_reply(job, "again", 5);
	tell(again, cadre_job_fail(job, 1, "again"));
}

/* Longer than any payload_max that a test gives its pool. */
static void reply_too_long(struct cadre_job *job, void *state)
{
	const size_t length = 64u << 20;
	void *room;
	int r;

	(void)state;
	r = cadre_job_reply(job, "", length);
	tell(r, cadre_job_reply_room(job, length, &room));
	cadre_job_fail(job, -r, "it would be %zu bytes", length);
}

static void fail(struct cadre_job *job, void *state)
{
	size_t length;
	const char *const text = cadre_job_data(job, &length);

	(void)state;
	cadre_job_fail(job, 7, "%.*s", (int)length, text);
}

static void write_log(struct cadre_job *job, void *state)
{
	const uint32_t number = troupe_number_of(job);
	const uint32_t line = atomic_fetch_add(&board->logged, 1);

	(void)state;
	if (line < TROUPE_LOG_MAX)
		atomic_store(&board->log[line], number);
	reply_with_number(job, number);
}

static void show_start(struct cadre_job *job, void *state)
{
	const struct actor *const actor = state;

	cadre_job_reply(job, actor->data, actor->length);
}

static void overdraw(struct cadre_job *job, void *state)
{
	void *room;
	int first;

	(void)state;
	first = cadre_job_reply_commit(job, 1);
	cadre_job_reply_room(job, 10, &room);
	tell(first, cadre_job_reply_commit(job, 11));
	cadre_job_reply(job, "", 0);
}

static const struct cadre_operation operations[] = {
	{ TROUPE_ECHO, "echo", echo },
	{ TROUPE_HOLD, "hold", hold },
	{ TROUPE_DIE, "die", die },
	{ TROUPE_WHO, "who", who },
	{ TROUPE_GROW, "grow", grow },
	{ TROUPE_SILENT, "silent", be_silent },
	{ TROUPE_TWICE, "twice", reply_twice },
	{ TROUPE_TOO_LONG, "too-long", reply_too_long },
	{ TROUPE_FAIL, "fail", fail },
	{ TROUPE_LATER, "later", later },
	{ TROUPE_LOG, "log", write_log },
	{ TROUPE_START, "start", show_start },
	{ TROUPE_LINGER, "linger", linger },
	{ TROUPE_OVERDRAW, "overdraw", overdraw },
};

const struct cadre_service troupe_service = {
	.size = sizeof(troupe_service),
	.name = "stage",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.init = start_actor,
	.fini = end_actor,
};

_Atomic int *troupe_refusal;

int troupe_begin_unless_refused(const struct cadre_start *start, void **ret_state,
				struct cadre_diag *diag)
{
	if (atomic_load(troupe_refusal))
		return atomic_load(troupe_refusal);
	return start_actor(start, ret_state, diag);
}

/* ---- the program ---- */

enum wish { WISH_STOP, WISH_TERMINATE, WISH_AWAIT_END };

struct order {
	enum wish wish;
	int64_t until_ns;
};

struct answer {
	int result;
	struct cadre_diag diag; /* of the start */
};

static int obey(struct cadre_pool *pool, const struct order *order)
{
	switch (order->wish) {
	case WISH_STOP:
		return cadre_pool_stop(pool);
	case WISH_TERMINATE:
		return cadre_pool_terminate(pool);
	case WISH_AWAIT_END:
		return cadre_pool_await_end(pool, order->until_ns);
	}
	return -EINVAL;
}

/* Until the test hangs up. Exit status: was anything left in this process? */
static int be_program(const struct troupe *troupe, int line,
		      const struct cadre_service *service,
		      const struct cadre_pool_options *options)
{
	const unsigned descriptors = scene_descriptors();
	struct answer answer = { .diag.text = "" };
	struct cadre_pool *pool = NULL;
	struct order order;

	if (troupe->prepare)
		answer.result = troupe->prepare(&answer.diag);
	if (answer.result == 0)
		answer.result = cadre_pool_start(service, options, &pool, &answer.diag);
	do {
		if (send(line, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
			break;
		if (recv(line, &order, sizeof(order), 0) != sizeof(order))
			break;
		answer.result = obey(pool, &order);
	} while (pool);

	cadre_pool_close(pool);
	cadre_fork_server_stop();
	return scene_descriptors() == descriptors ? CHILD_FINE : CHILD_FAILED;
}

static int hear(const struct troupe *troupe, struct answer *ret_answer)
{
	const ssize_t length = recv(troupe->line, ret_answer, sizeof(*ret_answer), 0);

	return length == (ssize_t)sizeof(*ret_answer) ? ret_answer->result : -ESRCH;
}

static int order(const struct troupe *troupe, enum wish wish, int64_t until_ns)
{
	const struct order order = { .wish = wish, .until_ns = until_ns };
	struct answer answer;

	if (send(troupe->line, &order, sizeof(order), MSG_NOSIGNAL) < 0)
		return -ESRCH;
	return hear(troupe, &answer);
}

int troupe_stop(const struct troupe *troupe)
{
	return order(troupe, WISH_STOP, 0);
}

int troupe_terminate(const struct troupe *troupe)
{
	return order(troupe, WISH_TERMINATE, 0);
}

int troupe_await_end(const struct troupe *troupe, int64_t until_ns)
{
	return order(troupe, WISH_AWAIT_END, until_ns);
}

static void hang_up(struct troupe *troupe)
{
	cadre_client_detach(troupe->client);
	troupe->client = NULL;
	if (troupe->line >= 0)
		close(troupe->line);
	troupe->line = -1;
}

bool troupe_close(struct troupe *troupe)
{
	bool clean = true;

	if (troupe->program && troupe->line < 0)
		kill(troupe->program, SIGTERM);
	hang_up(troupe);
	if (troupe->program)
		clean = child_end(troupe->program) == CHILD_FINE;
	troupe->program = 0;
	return clean;
}

void troupe_kill_program(struct troupe *troupe)
{
	child_kill(troupe->program);
	troupe->program = 0;
}

/* ---- begin and end ---- */

void troupe_begin(struct troupe *troupe)
{
	*troupe = (struct troupe){ .line = -1 };
	troupe->board = child_share(sizeof(*troupe->board));
	board = troupe->board;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	scene_begin(&troupe->scene);
}

int troupe_start(struct troupe *troupe, const struct cadre_service *service,
		 struct cadre_pool_options options)
{
	struct answer answer;
	int line[2];

	options.size = sizeof(options);
	if (!options.name)
		options.name = troupe->scene.pool;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) < 0)
		abort();
	troupe->program = fork();
	if (troupe->program < 0)
		abort();
	if (troupe->program == 0) {
		close(line[0]);
		_exit(be_program(troupe, line[1], service, &options));
	}
	close(line[1]);
	troupe->line = line[0];
	hear(troupe, &answer);
	troupe->diag = answer.diag;
	if (answer.result == 0)
		answer.result = cadre_client_attach(options.name, NULL, &troupe->client,
						    &troupe->diag);
	if (answer.result < 0)
		troupe_close(troupe);
	return answer.result;
}

static int be_server(const struct cadre_source *source,
		     const struct cadre_pool_options *options)
{
	const unsigned descriptors = scene_descriptors();
	struct cadre_diag diag;

	if (cadre_serve(source, options, NULL, NULL, &diag) < 0) {
		fprintf(stderr, "in a server: %s\n", diag.text);
		return CHILD_FAILED;
	}
	return scene_descriptors() == descriptors ? CHILD_FINE : CHILD_FAILED;
}

int troupe_serve(struct troupe *troupe, const struct cadre_source *source,
		 struct cadre_pool_options options)
{
	int r = -EAGAIN;

	options.size = sizeof(options);
	if (!options.name)
		options.name = troupe->scene.pool;
	troupe->program = fork();
	if (troupe->program < 0)
		abort();
	if (troupe->program == 0)
		_exit(be_server(source, &options));
	while (r < 0 && !troupe_is_gone(troupe->program)) {
		r = cadre_client_attach(options.name, NULL, &troupe->client,
					&troupe->diag);
		child_pause_ms(1);
	}
	if (r == 0)
		return 0;
	troupe->program = 0;
	return -ESRCH;
}

static unsigned look_at_living(char who[SCENE_CHILD_BYTES])
{
	while (waitpid(-1, NULL, WNOHANG) > 0) {
	}
	return scene_look_at_children(who);
}

const char *troupe_end(struct troupe *troupe)
{
	const bool clean = troupe_close(troupe);
	char who[SCENE_CHILD_BYTES] = "";
	unsigned living;

	living = look_at_living(who);
	munmap(troupe->board, sizeof(*troupe->board));
	if (living == 0 && clean)
		return scene_leftovers(&troupe->scene);
	snprintf(troupe->scene.sentence, sizeof(troupe->scene.sentence),
		 "left behind: %u living processes of pool \"%s\" %s%s", living,
		 troupe->scene.pool, who, clean ? "" : ", and something in its program");
	return troupe->scene.sentence;
}

void troupe_open_gate(struct troupe *troupe, uint32_t height)
{
	atomic_store(&troupe->board->gate, height);
}

/* ---- reports ---- */

struct cadre_pool_snapshot troupe_look(const char *pool)
{
	struct cadre_pool_snapshot snapshot = { 0 };
	struct cadre_report *report;

	if (cadre_report_open(pool, &report, NULL) < 0)
		return snapshot;
	snapshot = *cadre_report_read(report);
	cadre_report_close(report);
	return snapshot;
}

struct cadre_worker_snapshot troupe_look_worker(const char *pool, uint32_t place)
{
	struct cadre_worker_snapshot snapshot = { 0 };
	const struct cadre_worker_snapshot *found;
	struct cadre_report *report;

	if (cadre_report_open(pool, &report, NULL) < 0)
		return snapshot;
	cadre_report_read(report);
	found = cadre_report_worker(report, place);
	if (found)
		snapshot = *found;
	cadre_report_close(report);
	return snapshot;
}

struct cadre_client_snapshot troupe_look_client(const char *pool, uint32_t index)
{
	struct cadre_client_snapshot snapshot = { 0 };
	const struct cadre_client_snapshot *found;
	struct cadre_report *report;

	if (cadre_report_open(pool, &report, NULL) < 0)
		return snapshot;
	cadre_report_read(report);
	found = cadre_report_client(report, index);
	if (found)
		snapshot = *found;
	cadre_report_close(report);
	return snapshot;
}

uint64_t troupe_counter(enum cadre_counter_scope scope, const uint64_t *counters,
			const char *name)
{
	const struct cadre_counter_description *descriptions;
	size_t count;

	descriptions = cadre_counter_describe(scope, &count);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(descriptions[i].name, name) == 0)
			return counters[i];
	}
	return UINT64_MAX;
}

/* ---- processes ---- */

static pid_t parent_of(pid_t pid)
{
	char path[32], line[128];
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "PPid: %d", &parent) == 1)
			break;
	}
	fclose(file);
	return parent;
}

uint32_t troupe_tokens(const char *pool)
{
	struct cadre_view view;
	uint32_t count;

	if (cadre_layout_open(pool, false, &view, NULL) < 0)
		abort();
	count = cadre_token_count(&view.tokens);
	cadre_layout_close(&view);
	return count;
}

pid_t troupe_supervisor(const char *pool)
{
	return troupe_look(pool).supervisor_pid;
}

pid_t troupe_keeper(const char *pool)
{
	return parent_of(troupe_supervisor(pool));
}

pid_t troupe_worker(const char *pool, uint32_t place)
{
	return troupe_look_worker(pool, place).pid;
}

unsigned troupe_living(void)
{
	char who[SCENE_CHILD_BYTES];

	return look_at_living(who);
}

bool troupe_is_gone(pid_t pid)
{
	waitpid(pid, NULL, WNOHANG);
	return kill(pid, 0) < 0;
}

/* ---- payloads ---- */

static unsigned char byte_at(size_t position, uint32_t seed)
{
	const uint64_t mixed = (position + 1) * UINT64_C(0x9e3779b97f4a7c15) + seed;

	return (unsigned char)((mixed >> 32) ^ seed);
}

void troupe_fill(void *bytes, size_t length, uint32_t seed)
{
	unsigned char *const out = bytes;

	for (size_t i = 0; i < length; i++)
		out[i] = byte_at(i, seed);
}

bool troupe_holds(const void *bytes, size_t length, uint32_t seed)
{
	const unsigned char *const in = bytes;

	for (size_t i = 0; i < length; i++) {
		if (in[i] != byte_at(i, seed))
			return false;
	}
	return true;
}
