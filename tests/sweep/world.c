#include "world.h"
#include "clock.h"
#include "clockwork.h"
#include "trouble.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 32

struct world world;
struct world_ledger *world_ledger;

static unsigned char *pristine; /* the segment as it was created */
static struct cadre_lock lock;

/* ---- the service ---- */

static void note(struct cadre_job *job)
{
	const uint64_t id = cadre_job_id(job) % WORLD_JOBS_MAX;
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	atomic_fetch_add(&world_ledger->runs[id], 1);
	atomic_fetch_or(&world_ledger->attempts[id], 1u << cadre_job_attempt(job));
	if (length > WORLD_LONGER ||
	    memcmp(data, world_payload((uint32_t)length), length) != 0)
		atomic_fetch_add(&world_ledger->damaged, 1);
}

static void echo(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	note(job);
	cadre_job_reply(job, data, length);
}

static void hold(struct cadre_job *job, void *state)
{
	struct cadre_job **const held = state;

	note(job);
	*held = job;
	cadre_job_defer(job);
}

static void fail(struct cadre_job *job, void *state)
{
	(void)state;
	note(job);
	cadre_job_fail(job, 7, "as it was asked to");
}

/* Whoever finds the request in between finds it damaged. */
static void turn(struct cadre_job *job, void *state)
{
	unsigned char *room;
	size_t length;

	(void)state;
	note(job);
	cadre_job_data(job, &length);
	if (cadre_job_reply_over_request(job, length, (void **)&room) < 0)
		return;
	room[0] ^= 0xff;
	room[length - 1] ^= 0xff;
	/* Each store changes the segment: the compiler must not leave them out. */
	__asm__ volatile("" ::"r"(room) : "memory");
	room[0] ^= 0xff;
	room[length - 1] ^= 0xff;
	cadre_job_reply_commit(job, length);
}

/* With room for all items, whoever reads them. */
static void stream(struct cadre_job *job, void *state)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	note(job);
	for (uint32_t item = 0; item < WORLD_ITEMS; item++) {
		if (cadre_job_try_emit(job, &item, sizeof(item)) < 0)
			break;
	}
	cadre_job_reply(job, data, length);
}

static const struct cadre_operation operations[] = {
	{ .id = WORLD_ECHO, .name = "echo", .handler = echo },
	{ .id = WORLD_HOLD, .name = "hold", .handler = hold },
	{ .id = WORLD_FAIL, .name = "fail", .handler = fail },
	{ .id = WORLD_TURN, .name = "turn", .handler = turn },
	{ .id = WORLD_STREAM, .name = "stream", .handler = stream },
};

const struct cadre_service world_service = {
	.size = sizeof(struct cadre_service),
	.name = "world",
	.operations = operations,
	.operation_count = CADRE_COUNT_OF(operations),
};

const unsigned char *world_payload(uint32_t length)
{
	static unsigned char bytes[WORLD_LONGER + 1];

	/* Depends on the length, so that one job's bytes are not another's. */
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)(length * 7 + i);
	return bytes;
}

/* ---- opening and closing ---- */

static char paths[3][CADRE_PATH_SIZE];

/* A sweep that is interrupted leaves no file behind; its subjects die with it. */
static void interrupted(int signal_number)
{
	for (unsigned i = 0; i < CADRE_COUNT_OF(paths); i++)
		unlink(paths[i]);
	_exit(128 + signal_number);
}

static void expect_interruption(const char *pool)
{
	cadre_path(pool, CADRE_FILE_SEGMENT, paths[0]);
	cadre_path(pool, CADRE_FILE_SOCKET, paths[1]);
	cadre_path(pool, CADRE_FILE_LOCK, paths[2]);
	signal(SIGINT, interrupted);
	signal(SIGTERM, interrupted);
}

int world_open(void)
{
	const struct cadre_limits limits = {
		.workers = WORLD_WORKERS,
		.parallel = 1,
		.clients = WORLD_CLIENTS,
		.slots = WORLD_SLOTS,
		.payload_max = 4096,
		.block_bytes = 16384,
		.grace_ns = CADRE_NS_PER_S,
		.orphan_ns = CADRE_NS_PER_S,
		.spin_ns = -1,
	};
	struct cadre_diag diag = { "" };
	char pool[CADRE_NAME_MAX + 1];
	pid_t holder;

	snprintf(pool, sizeof(pool), "sweep-%d", (int)getpid());
	expect_interruption(pool);
	if (cadre_lock_take(pool, 0600, &lock, &holder, &diag) < 0 ||
	    cadre_layout_create(pool, &limits, 0600, &world.view, &diag) < 0) {
		fprintf(stderr, "sweep: %s\n", diag.text);
		return -1;
	}
	atomic_store(&world.view.header->ready, 1);
	atomic_store(&world.view.header->state, CADRE_POOL_OPEN);
	world.listener = cadre_control_listen(pool, 0600, &diag);
	pristine = malloc(world.view.size);
	world_ledger = mmap(NULL, sizeof(*world_ledger), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!pristine || world_ledger == MAP_FAILED || world.listener < 0)
		abort();
	memcpy(pristine, world.view.segment.base, world.view.size);

	world.self.pid = getpid();
	world.self.start_time = cadre_process_self().start_time;
	world.self.pidfd = cadre_process_open_child(getpid());
	world.corpse = world_make_corpse();
	snprintf(world.supervisor.pool, sizeof(world.supervisor.pool), "%s", pool);
	return 0;
}

static void forget_everybody(void)
{
	for (unsigned worker = 0; worker < WORLD_WORKERS; worker++) {
		if (!world.workers[worker].serving)
			continue;
		cadre_run_fini(&world.workers[worker]);
		cadre_looker_fini(&world.workers[worker].looker);
		world.workers[worker].serving = NULL;
	}
	for (unsigned client = 0; client < WORLD_CLIENTS; client++) {
		if (!world.clients[client].pending)
			continue;
		cadre_completion_fini(&world.clients[client]);
		cadre_consume_fini(&world.clients[client]);
		cadre_forkguard_fini(&world.clients[client].guard);
		free(world.clients[client].pending);
		world.clients[client].pending = NULL;
	}
}

void world_forget_supervisor(void)
{
	if (world.supervisor.members)
		cadre_staff_fini(&world.supervisor);
	if (world.supervisor.leases)
		cadre_lease_fini(&world.supervisor);
}

void world_close(void)
{
	forget_everybody();
	world_forget_supervisor();
	close(world.listener);
	close(world.corpse.pidfd);
	close(world.self.pidfd);
	free(pristine);
	cadre_segment_remove(world.supervisor.pool);
	cadre_layout_close(&world.view);
	cadre_lock_release(&lock);
}

struct world_person world_make_corpse(void)
{
	struct world_person corpse = { .pid = fork() };

	if (corpse.pid == 0) {
		pause();
		_exit(0);
	}
	corpse.pidfd = cadre_process_open_child(corpse.pid);
	corpse.start_time = cadre_process_start_time(corpse.pid);
	kill(corpse.pid, SIGKILL);
	waitpid(corpse.pid, NULL, 0);
	return corpse;
}

/* ---- seats ---- */

static void make_worker(unsigned worker, uint32_t incarnation)
{
	struct cadre_worker *const self = &world.workers[worker];

	memset(self, 0, sizeof(*self));
	self->view = world.view;
	/* The second one has room for a job that it holds, and for others beside it. */
	self->view.limits.parallel = 1 + worker;
	self->host.view = &self->view;
	self->host.blocks = cadre_layout_blocks(&self->view);
	self->host.inline_max = cadre_limits_inline_max(&self->view.limits);
	self->host.pid = getpid();
	self->host.worker = worker;
	self->host.incarnation = incarnation;
	self->host.channel = &self->channel;
	self->incarnation = incarnation;
	self->parallel = self->view.limits.parallel;
	self->crew = &world.view.header->crew;
	self->bell = &world.view.worker_bells[worker];
	self->place = &world.view.worker_places[worker];
	self->stats = &world.view.worker_stats[worker];
	self->event_fd = -1;
	memcpy(self->pool, world.supervisor.pool, sizeof(self->pool));
	if (cadre_looker_init(&self->looker, &self->view, worker) < 0 ||
	    cadre_run_init(self, &world_service) < 0)
		abort();
	self->serving->state = &world.held[worker];
	cadre_mask_set(&world.view.header->crew.up, worker);
	world.worker_away[worker] = false;
}

static void make_client(unsigned window, uint32_t incarnation)
{
	struct cadre_client *const self = &world.clients[window];
	const struct cadre_view *const view = &world.view;

	memset(self, 0, sizeof(*self));
	self->view = *view;
	memcpy(self->pool, world.supervisor.pool, sizeof(self->pool));
	self->window = window;
	self->incarnation = incarnation;
	self->nonce = 100 + window;
	self->event_fd = -1;
	self->roused_most = 1;
	cadre_client_find_window(self);
	self->pending = aligned_alloc(alignof(struct cadre_pending),
				      WORLD_SLOTS * sizeof(*self->pending));
	if (!self->pending || cadre_forkguard_init(&self->guard) < 0 ||
	    cadre_consume_init(self) < 0 || cadre_completion_init(self) < 0)
		abort();
	memset(self->pending, 0, WORLD_SLOTS * sizeof(*self->pending));
	world.client_away[window] = false;
}

void world_seat_worker(unsigned worker, struct world_person who)
{
	struct cadre_place *const place = &world.view.worker_places[worker];
	const uint32_t incarnation = cadre_place_incarnation_of(cadre_place_look(place));

	atomic_store(&place->state,
		     cadre_place_pack_owned(CADRE_PLACE_UP, incarnation, who.pid));
	cadre_place_set_start_time(place, who.start_time);
}

void world_seat_client(unsigned client, struct world_person who)
{
	struct cadre_place *const place = &world.view.client_places[client];
	const uint32_t incarnation = cadre_place_incarnation_of(cadre_place_look(place));

	atomic_store(&place->state,
		     cadre_place_pack_owned(CADRE_PLACE_UP, incarnation, who.pid));
	cadre_place_set_start_time(place, who.start_time);
	atomic_store(&place->nonce, 100 + client);
	cadre_mask_set(&world.view.header->leased, client);
}

static void build(void)
{
	forget_everybody();
	memcpy(world.view.segment.base, pristine, world.view.size);
	memset(world_ledger, 0, sizeof(*world_ledger));
	memset(world.errands, 0, sizeof(world.errands));
	memset(world.held, 0, sizeof(world.held));
	world.draft = (struct cadre_draft){ 0 };
	world.supervisor_away = false;
	world.lost_code = 0;
	clock_restart();
	for (unsigned worker = 0; worker < WORLD_WORKERS; worker++) {
		atomic_store(&world.view.worker_places[worker].state,
			     cadre_place_pack(CADRE_PLACE_UP, 1));
		world_seat_worker(worker, world.self);
		make_worker(worker, 1);
	}
	for (unsigned client = 0; client < WORLD_CLIENTS; client++) {
		atomic_store(&world.view.client_places[client].state,
			     cadre_place_pack(CADRE_PLACE_UP, 1));
		world_seat_client(client, world.self);
		make_client(client, 1);
	}
	world_supervise(NULL);
}

static int pidfd_of(pid_t pid, const struct world_person *dead)
{
	if (dead && pid == dead->pid)
		return dup(dead->pidfd);
	if (pid == world.corpse.pid)
		return dup(world.corpse.pidfd);
	return pid == world.self.pid ? dup(world.self.pidfd) : -1;
}

static void know_worker(unsigned worker, const struct world_person *dead)
{
	struct cadre_member *const member = &world.supervisor.members[worker];
	const uint64_t state = cadre_place_look(&world.view.worker_places[worker]);
	pid_t pid = cadre_place_pid_of(state);

	/* One that has not taken its seat yet is known to who forked it. */
	if (cadre_place_state_of(state) == CADRE_PLACE_STARTING && dead)
		pid = dead->pid;
	member->incarnation = cadre_place_incarnation_of(state);
	member->child = (struct cadre_child){ .pid = pid, .pidfd = -1, .start_fd = -1 };
	if (cadre_place_state_of(state) != CADRE_PLACE_UP &&
	    cadre_place_state_of(state) != CADRE_PLACE_STARTING)
		return;
	member->post = CADRE_POST_UP;
	member->child.pidfd = pidfd_of(pid, dead);
}

static void know_client(unsigned client, const struct world_person *dead)
{
	struct cadre_lease *const lease = &world.supervisor.leases[client];
	struct cadre_place *const place = &world.view.client_places[client];
	const uint64_t state = cadre_place_look(place);
	/* It said so itself, and died before the supervisor looked. */
	const bool has_left = cadre_place_state_of(state) == CADRE_PLACE_DRAINING &&
			      world.client_away[client];

	if (cadre_place_state_of(state) == CADRE_PLACE_DRAINING && !has_left)
		lease->draining = true;
	if (cadre_place_state_of(state) != CADRE_PLACE_UP && !has_left)
		return;
	lease->pid = cadre_place_pid_of(state);
	lease->nonce = atomic_load(&place->nonce);
	lease->pidfd = pidfd_of(lease->pid, dead);
}

void world_supervise(const struct world_person *dead)
{
	struct cadre_supervisor *const supervisor = &world.supervisor;

	world_forget_supervisor();
	supervisor->view = world.view;
	supervisor->phase = CADRE_SERVING;
	supervisor->epoll_fd = -1;
	supervisor->signal_fd = -1;
	supervisor->owner_pidfd = -1;
	supervisor->listener = world.listener;
	supervisor->random = 1;
	supervisor->inherited = false;
	supervisor->options.idle_timeout_ns = INT64_MAX;
	supervisor->options.start_timeout_ns = INT64_MAX;
	for (unsigned i = 0; i < CADRE_CONNECTIONS_MAX; i++)
		supervisor->connections[i] = -1;
	if (cadre_staff_init(supervisor) < 0 || cadre_lease_init(supervisor) < 0)
		abort();
	for (unsigned worker = 0; worker < WORLD_WORKERS; worker++)
		know_worker(worker, dead);
	for (unsigned client = 0; client < WORLD_CLIENTS; client++)
		know_client(client, dead);
}

/* Nobody is forked here: whoever is started is dead at once. */
int __wrap_cadre_spawn_worker(const struct cadre_source *source,
			      const struct cadre_view *view, const struct cadre_seat *seat,
			      struct cadre_child *ret_child);
int __wrap_cadre_spawn_worker(const struct cadre_source *source,
			      const struct cadre_view *view,
			      const struct cadre_seat *seat, struct cadre_child *ret_child)
{
	(void)source;
	(void)view;
	(void)seat;
	*ret_child = (struct cadre_child){
		.pid = world.corpse.pid,
		.start_time = world.corpse.start_time,
		.pidfd = dup(world.corpse.pidfd),
		.start_fd = -1,
	};
	return 0;
}

/* ---- acts ---- */

struct world_errand *world_errand(unsigned client, uint32_t length)
{
	for (unsigned i = 0; i < WORLD_ERRANDS_MAX; i++) {
		struct world_errand *const errand = &world.errands[i];

		if (errand->out)
			continue;
		*errand = (struct world_errand){ .client = client,
						 .length = length,
						 .out = true };
		return errand;
	}
	abort();
}

int world_submit(unsigned client, int32_t operation, uint32_t length, unsigned flags)
{
	const struct cadre_request request = {
		.operation = operation,
		.data = world_payload(length),
		.length = length,
		.flags = flags,
		.stream_room = flags & CADRE_STREAM ? WORLD_STREAM_ROOM : 0,
	};
	struct cadre_ticket ticket;
	struct world_errand *errand;
	const int r = cadre_try_submit(&world.clients[client], &request, &ticket);

	if (r < 0 || flags & CADRE_DETACHED)
		return r;
	errand = world_errand(client, length);
	errand->ticket = ticket;
	errand->is_stream = flags & CADRE_STREAM;
	return 0;
}

static void be_called(const struct cadre_result *result, void *context)
{
	const uint32_t *const length = context;

	atomic_fetch_add(&world_ledger->called_back, 1);
	if (result->outcome == CADRE_OK &&
	    (result->length != *length ||
	     memcmp(result->data, world_payload(*length), *length) != 0))
		atomic_fetch_add(&world_ledger->damaged, 1);
}

int world_submit_for_callback(unsigned client, uint32_t length)
{
	static uint32_t lengths[WORLD_SLOTS];
	static unsigned turn;
	uint32_t *const kept = &lengths[turn++ % WORLD_SLOTS];
	const struct cadre_request request = {
		.operation = WORLD_ECHO,
		.data = world_payload(length),
		.length = length,
		.ended = be_called,
		.context = kept,
	};

	*kept = length;
	return cadre_try_submit(&world.clients[client], &request, NULL);
}

bool world_work(unsigned worker)
{
	return cadre_run_one(&world.workers[worker], true);
}

int world_finish_held(unsigned worker)
{
	struct cadre_job *const job = world.held[worker];
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	world.held[worker] = NULL;
	return cadre_job_reply(job, data, length);
}

void world_lie_down(unsigned worker)
{
	world.workers[worker].asleep = true;
	cadre_mask_set(&world.view.header->crew.sleepers, worker);
}

/* Every look at a job that is out passes here. The library looks harder every sixteenth
 * time, so that the count is part of the state from which a subject starts. */
static unsigned looks;

static int try_take(struct cadre_client *client, struct cadre_ticket ticket,
		    struct cadre_result *ret_result)
{
	const int r = cadre_try_take(client, ticket, ret_result);

	looks += r == 0 || r == -EAGAIN;
	return r;
}

/* Reads what is there of a stream, in its order. True at its end. */
static bool read_to_the_end(struct world_errand *errand)
{
	struct cadre_client *const client = &world.clients[errand->client];
	struct cadre_item item;
	uint32_t number;
	int r;

	while ((r = cadre_stream_try_next(client, errand->ticket, &item)) == 1) {
		if (item.length != sizeof(number) || item.is_error)
			complain("an item is not what was emitted");
		memcpy(&number, item.data, sizeof(number));
		if (number != errand->items++)
			complain("item %u came as number %u", number, errand->items - 1);
	}
	return r != -EAGAIN;
}

/* Takes one errand's result. 1 when it is done with; 0: not yet; -1: it is damaged. */
static int take(struct world_errand *errand)
{
	struct cadre_client *const client = &world.clients[errand->client];
	struct cadre_result result;
	int r = -EAGAIN;

	if (errand->is_stream && !read_to_the_end(errand))
		return 0;
	r = try_take(client, errand->ticket, &result);
	/* The second look is at the word itself. */
	for (int look = 0; r == -EAGAIN && look < 20; look++)
		r = try_take(client, errand->ticket, &result);
	if (r == -EAGAIN)
		return 0;
	errand->out = false;
	if (r < 0)
		return -1;
	if (result.outcome == CADRE_OK &&
	    (result.length != errand->length ||
	     memcmp(result.data, world_payload(errand->length), errand->length) != 0))
		atomic_fetch_add(&world_ledger->damaged, 1);
	if (errand->is_stream &&
	    (errand->items > WORLD_ITEMS ||
	     (result.outcome == CADRE_OK && errand->items != WORLD_ITEMS)))
		complain("a stream of outcome %d had %u items", (int)result.outcome,
			 errand->items);
	if (result.outcome == CADRE_LOST && world.lost_code &&
	    result.code != world.lost_code)
		complain("a job was lost by code %d instead of %d", result.code,
			 world.lost_code);
	return cadre_release(client, &result) == 0 &&
			       try_take(client, errand->ticket, &result) == -ESTALE ?
		       1 :
		       -1;
}

int world_take(unsigned client)
{
	int taken = 0;

	for (unsigned i = 0; i < WORLD_ERRANDS_MAX; i++) {
		struct world_errand *const errand = &world.errands[i];
		const int r = errand->out && errand->client == client ? take(errand) : 0;

		if (r < 0)
			return -1;
		taken += r;
	}
	return taken;
}

bool world_is_waiting(unsigned client)
{
	for (unsigned i = 0; i < WORLD_ERRANDS_MAX; i++) {
		if (world.errands[i].out && world.errands[i].client == client)
			return true;
	}
	return false;
}

void world_rebuild(void)
{
	struct cadre_result result;

	build();
	if (looks % 16 == 0)
		return;
	world_submit(0, WORLD_ECHO, WORLD_SHORT, 0);
	while (looks % 16 != 0)
		try_take(&world.clients[0], world.errands[0].ticket, &result);
	build();
}

/* Holds every slot of the window for a moment, so that those of jobs which nobody asks
 * for any more come back. */
static void look_for_room(struct cadre_client *client)
{
	struct cadre_draft drafts[WORLD_SLOTS];
	unsigned held = 0;

	while (held < WORLD_SLOTS && cadre_try_draft(client, 1, &drafts[held]) == 0)
		held++;
	while (held-- > 0)
		cadre_draft_discard(client, &drafts[held]);
}

static unsigned let_work(void)
{
	unsigned done = 0;

	for (unsigned worker = 0; worker < WORLD_WORKERS; worker++) {
		if (world.worker_away[worker])
			continue;
		do {
			if (world.held[worker]) {
				world_finish_held(worker);
				done++;
			}
			if (done > ROUNDS_MAX)
				return done;
		} while (world_work(worker) && ++done);
	}
	return done;
}

void world_finish_all(void)
{
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		unsigned done = let_work();

		for (unsigned client = 0; client < WORLD_CLIENTS; client++) {
			const int taken = world.client_away[client] ? 0 :
								      world_take(client);

			if (taken < 0)
				complain("client %u cannot take a result", client);
			done += taken > 0;
			if (!world.client_away[client])
				look_for_room(&world.clients[client]);
		}
		if (!world.supervisor_away) {
			done += cadre_lease_is_draining(&world.supervisor);
			cadre_lease_tick(&world.supervisor, cadre_clock_ns());
		}
		if (done == 0)
			return;
	}
	complain("the others do not come to an end");
}

/* ---- those who come after ---- */

static void replace_worker(unsigned worker)
{
	struct cadre_place *const place = &world.view.worker_places[worker];
	const uint32_t incarnation = cadre_place_incarnation_of(cadre_place_look(place)) +
				     1;

	if (world.workers[worker].serving) {
		cadre_run_fini(&world.workers[worker]);
		cadre_looker_fini(&world.workers[worker].looker);
	}
	world.held[worker] = NULL;
	atomic_store(&place->state, cadre_place_pack(CADRE_PLACE_UP, incarnation));
	world_seat_worker(worker, world.self);
	make_worker(worker, incarnation);
}

void world_connect(int pair[2])
{
	const int on = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) <
		    0 ||
	    setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		abort();
}

/* A hello of this process, as if it came in over the control socket. */
static bool greet(uint64_t nonce)
{
	struct cadre_control hello = cadre_control_message(CADRE_CONTROL_HELLO), answer;
	int pair[2], r;

	world_connect(pair);
	hello.nonce = nonce;
	hello.start_time = world.self.start_time;
	cadre_control_send(pair[1], &hello);
	world.supervisor.connections[0] = pair[0];
	cadre_lease_heard(&world.supervisor, 0);
	r = cadre_control_receive(pair[1], &answer, NULL);
	close(pair[0]);
	close(pair[1]);
	world.supervisor.connections[0] = -1;
	return r == 1 && answer.error == 0;
}

static void replace_client(unsigned client)
{
	if (world.clients[client].pending) {
		cadre_completion_fini(&world.clients[client]);
		cadre_consume_fini(&world.clients[client]);
		cadre_forkguard_fini(&world.clients[client].guard);
		free(world.clients[client].pending);
	}
	world.clients[client].pending = NULL;
	if (!greet(500 + client) || world.supervisor.leases[client].nonce != 500 + client)
		complain("window %u is not leased again", client);
	make_client(client, 2);
}

static void drop_errands(unsigned client)
{
	for (unsigned i = 0; i < WORLD_ERRANDS_MAX; i++) {
		if (world.errands[i].client == client)
			world.errands[i].out = false;
	}
}

void world_go_on(void)
{
	/* One that was stopped is opened again. */
	atomic_store(&world.view.header->state, CADRE_POOL_OPEN);
	for (unsigned worker = 0; worker < WORLD_WORKERS; worker++) {
		if (world.worker_away[worker])
			replace_worker(worker);
	}
	for (unsigned client = 0; client < WORLD_CLIENTS; client++) {
		if (world.client_away[client]) {
			drop_errands(client);
			replace_client(client);
		}
		for (unsigned job = 0; job < WORLD_SLOTS; job++) {
			if (world_submit(client, WORLD_ECHO, WORLD_LONG, 0) < 0)
				complain("window %u has no room for job %u", client, job);
		}
		world_finish_all();
	}
}
