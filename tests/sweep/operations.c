#include "operations.h"
#include "clock.h"
#include "whereabouts.h"
#include "world.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- parts of scenes ---- */

static struct cadre_client *client_0(void)
{
	return &world.clients[0];
}

/* A job of the other client, so that there is always somebody else's. */
static void others(void)
{
	world_submit(1, WORLD_ECHO, WORLD_LONG, 0);
}

/* One job of client 0, run to its end. */
static void ended_job(int32_t operation, uint32_t length)
{
	world_submit(0, operation, length, 0);
	world_work(1);
}

/* Keeps a job in the hands of a worker. */
static void held_job(unsigned worker, uint32_t length, unsigned flags)
{
	world_submit(0, WORLD_HOLD, length, flags);
	world_work(worker);
}

static void dead_worker_0(void)
{
	world_seat_worker(0, world.corpse);
	world.worker_away[0] = true;
	world_supervise(&world.corpse);
}

static void dead_client_0(void)
{
	world_seat_client(0, world.corpse);
	world.client_away[0] = true;
	world_supervise(&world.corpse);
}

/* A thread of the client whose job was the first sleeps until it ends. */
static void await_first_job(void)
{
	const struct world_errand *const errand = &world.errands[0];

	cadre_slot_await(&world.clients[errand->client].slots[errand->ticket.id & 0xffff],
			 errand->ticket.id >> 16);
}

static int take_all(void)
{
	return world_take(0) < 0 || world_is_waiting(0);
}

/* ---- submit ---- */

static void quiet_scene(void)
{
	others();
}

static void asleep_scene(void)
{
	world_lie_down(0);
	world_lie_down(1);
}

static int submit_inline(void)
{
	return world_submit(0, WORLD_ECHO, WORLD_SHORT, 0);
}

static int submit_block(void)
{
	return world_submit(0, WORLD_ECHO, WORLD_LONGER, 0);
}

static int submit_detached(void)
{
	return world_submit(0, WORLD_ECHO, WORLD_LONG, CADRE_DETACHED);
}

static int submit_batch(void)
{
	static const uint32_t lengths[] = { WORLD_SHORT, WORLD_LONG, 1 };
	static unsigned char data[3][WORLD_LONG];
	struct cadre_request requests[3];
	struct cadre_ticket tickets[3];

	for (unsigned i = 0; i < 3; i++) {
		/* world_payload has room for one at a time. */
		memcpy(data[i], world_payload(lengths[i]), lengths[i]);
		requests[i] = (struct cadre_request){ .operation = WORLD_ECHO,
						      .data = data[i],
						      .length = lengths[i] };
	}
	if (cadre_try_submit_batch(client_0(), requests, 3, tickets) != 3)
		return 1;
	for (unsigned i = 0; i < 3; i++)
		world_errand(0, lengths[i])->ticket = tickets[i];
	return 0;
}

/* A slot of which nobody wants to know any more, and whose job has ended meanwhile. */
static void left_scene(void)
{
	held_job(1, WORLD_LONG, 0);
	cadre_cancel(client_0(), world.errands[0].ticket);
	world_take(0);
	world_finish_held(1);
	for (unsigned i = 1; i < WORLD_SLOTS; i++)
		ended_job(WORLD_ECHO, WORLD_SHORT);
}

static void drafted_scene(void)
{
	others();
	if (cadre_try_draft(client_0(), WORLD_LONG, &world.draft) < 0)
		abort();
}

static int draft_submit(void)
{
	struct cadre_request request = { .operation = WORLD_ECHO, .length = WORLD_LONG };
	struct cadre_draft draft;
	struct cadre_ticket ticket;
	int r = cadre_try_draft(client_0(), WORLD_LONG, &draft);

	if (r < 0)
		return r;
	memcpy(draft.data, world_payload(WORLD_LONG), WORLD_LONG);
	r = cadre_draft_submit(client_0(), &draft, &request, &ticket);
	if (r == 0)
		world_errand(0, WORLD_LONG)->ticket = ticket;
	return r;
}

static int draft_discard(void)
{
	struct cadre_draft draft;
	const int r = cadre_try_draft(client_0(), WORLD_LONG, &draft);

	if (r == 0)
		cadre_draft_discard(client_0(), &draft);
	return r;
}

/* The pool stops after the client has looked at its state, and before it publishes. */
static void stopping_scene(void)
{
	drafted_scene();
	atomic_store(&world.view.header->state, CADRE_POOL_STOPPING);
}

static int submit_too_late(void)
{
	const struct cadre_request request = { .operation = WORLD_ECHO,
					       .length = WORLD_LONG };
	struct cadre_ticket ticket;
	int r;

	memcpy(world.draft.data, world_payload(WORLD_LONG), WORLD_LONG);
	r = cadre_draft_submit(client_0(), &world.draft, &request, &ticket);
	/* Somebody has run it meanwhile. */
	if (r == 0)
		world_errand(0, WORLD_LONG)->ticket = ticket;
	return r == -ESHUTDOWN ? 0 : r;
}

/* ---- streams ---- */

static int submit_stream(void)
{
	return world_submit(0, WORLD_STREAM, WORLD_SHORT, CADRE_STREAM);
}

/* Its consumer has not read anything yet. */
static void stream_scene(void)
{
	world_submit(1, WORLD_STREAM, WORLD_SHORT, CADRE_STREAM);
	await_first_job();
}

static void emitted_scene(void)
{
	world_submit(0, WORLD_STREAM, WORLD_SHORT, CADRE_STREAM);
	world_work(1);
	others();
}

static void unread_scene(void)
{
	world_submit(0, WORLD_HOLD, WORLD_SHORT, CADRE_STREAM);
	world_work(1);
	others();
}

static int leave_stream(void)
{
	world.errands[0].out = false;
	return cadre_stream_leave(client_0(), world.errands[0].ticket);
}

/* ---- callbacks ---- */

static void callback_scene(void)
{
	world_submit_for_callback(0, WORLD_LONG);
	world_submit_for_callback(0, WORLD_SHORT);
	world_work(1);
	world_work(1);
	others();
}

static int dispatch(void)
{
	const int called = cadre_client_dispatch(client_0(), 0);

	return called < 0 ? called : 0;
}

static int dispatch_all(void)
{
	return dispatch() < 0 || atomic_load(&world_ledger->called_back) != 2;
}

/* ---- take, wait, cancel ---- */

static void ended_inline_scene(void)
{
	ended_job(WORLD_ECHO, WORLD_SHORT);
	others();
}

static void ended_block_scene(void)
{
	ended_job(WORLD_ECHO, WORLD_LONGER);
	others();
}

static int take_release(void)
{
	return world_take(0) != 1;
}

static void pending_scene(void)
{
	world_submit(0, WORLD_ECHO, WORLD_LONG, 0);
	world_lie_down(1);
}

static int await_in_vain(void)
{
	struct cadre_result result;
	const int r = cadre_await(client_0(), world.errands[0].ticket, 0, &result);

	if (r == -ETIMEDOUT)
		return 0;
	/* While we were frozen it ended. */
	world.errands[0].out = false;
	return r < 0 ? r : cadre_release(client_0(), &result);
}

static void running_scene(void)
{
	held_job(1, WORLD_LONG, 0);
	await_first_job();
	others();
}

static int cancel(void)
{
	return cadre_cancel(client_0(), world.errands[0].ticket);
}

static int cancel_and_take(void)
{
	return cancel() || world_take(0) != 1;
}

/* ---- attach, detach ---- */

static void vacate_window(unsigned client)
{
	atomic_store(&world.view.client_places[client].state,
		     cadre_place_pack(CADRE_PLACE_VACANT, 1));
	cadre_mask_clear(&world.view.header->leased, client);
}

static void vacant_scene(void)
{
	others();
	vacate_window(0);
	world_supervise(NULL);
}

static struct cadre_client *attached;

static int attach(void)
{
	struct cadre_diag diag;

	return cadre_client_attach(world.supervisor.pool, NULL, &attached, &diag);
}

static int detach_attached(void)
{
	cadre_client_detach(attached);
	return 0;
}

static int detach_from(const char *pool)
{
	/* On the heap, where cadre_client_detach expects it. */
	struct cadre_client *const own = aligned_alloc(alignof(struct cadre_client),
						       sizeof(*own));

	if (!own)
		return 1;
	memcpy(own, client_0(), sizeof(*own));
	snprintf(own->pool, sizeof(own->pool), "%s", pool);
	cadre_client_detach(own);
	return 0;
}

static int detach(void)
{
	return detach_from(client_0()->pool);
}

/* Nobody answers there. */
static int detach_unheard(void)
{
	return detach_from("nobody");
}

/* Everything that a client may have in its window when it leaves or dies: pending,
 * running, ended, detached. */
static void full_window_scene(void)
{
	ended_job(WORLD_ECHO, WORLD_LONG);
	held_job(1, WORLD_SHORT, 0);
	world_submit(0, WORLD_ECHO, WORLD_LONG, CADRE_DETACHED);
	world_submit(0, WORLD_ECHO, WORLD_LONG, 0);
	others();
}

/* ---- the worker ---- */

static void short_job_scene(void)
{
	for (size_t i = 0; i < world_service.operation_count; i++)
		atomic_store(&world.workers[0].serving->duties[i].expected_ns,
			     CADRE_NS_PER_US);
	world_submit(1, WORLD_ECHO, WORLD_SHORT, 0);
	await_first_job();
}

static void long_job_scene(void)
{
	world_submit(1, WORLD_ECHO, WORLD_LONGER, 0);
	await_first_job();
	world_submit(0, WORLD_ECHO, WORLD_LONG, CADRE_DETACHED);
	world_lie_down(1);
}

static void idempotent_scene(void)
{
	world_submit(1, WORLD_ECHO, WORLD_LONG, CADRE_IDEMPOTENT);
	await_first_job();
}

static void turned_scene(void)
{
	world_submit(1, WORLD_TURN, WORLD_LONG, 0);
	await_first_job();
	others();
}

static void turned_again_scene(void)
{
	world_submit(1, WORLD_TURN, WORLD_LONG, CADRE_IDEMPOTENT);
	await_first_job();
}

static void failing_scene(void)
{
	world_submit(1, WORLD_FAIL, WORLD_SHORT, 0);
	await_first_job();
}

/* Its client waits on the worker's own CPU. */
static void near_scene(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((unsigned)sched_getcpu(), &here);
	if (sched_setaffinity(0, sizeof(here), &here) < 0)
		abort();
	short_job_scene();
	cadre_whereabouts_say(&world.view.client_bells[1]);
	world.workers[0].holds_rings = true;
}

/* One that was frozen may find that another was faster. */
static int run_along_hints(void)
{
	cadre_run_one(&world.workers[0], false);
	return 0;
}

static int run_and_hold_the_ring(void)
{
	cadre_run_one(&world.workers[0], false);
	cadre_held_let_go(&world.workers[0].held, &world.view);
	return 0;
}

static int run_everywhere(void)
{
	cadre_run_one(&world.workers[0], true);
	return 0;
}

static int claim(void)
{
	struct cadre_found found;

	cadre_look_along_hints(&world.workers[0].looker, &found);
	return 0;
}

/* No hint leads to it. */
static void hidden_scene(void)
{
	short_job_scene();
	cadre_mask_clear(&world.view.header->active, 1);
	atomic_store(&world.view.client_lines[1].hints.tail, 0);
}

static void held_scene(void)
{
	world_submit(1, WORLD_HOLD, WORLD_LONG, 0);
	await_first_job();
	world_work(0);
}

static void decided_scene(void)
{
	held_scene();
	cadre_cancel(&world.clients[1], world.errands[0].ticket);
}

static int finish_held(void)
{
	return world_finish_held(0);
}

static int engage_disengage(void)
{
	cadre_run_engage(&world.workers[0]);
	cadre_run_disengage(&world.workers[0]);
	return 0;
}

static void engage_scene(void)
{
	others();
	world_lie_down(1);
	world_submit(0, WORLD_ECHO, WORLD_SHORT, CADRE_DETACHED);
}

static void idle_scene(void)
{
}

/* A step that finds nothing lies down; the next one gets up, and lies down again. */
static int lie_down_get_up(void)
{
	int r = cadre_worker_step(&world.workers[0]);

	if (r >= 0)
		r = cadre_worker_step(&world.workers[0]);
	return r < 0;
}

static void starting_scene(void)
{
	char seat[2 * CADRE_NAME_MAX];

	others();
	cadre_crew_forget(&world.view.header->crew, 0);
	atomic_store(&world.view.worker_places[0].state,
		     cadre_place_pack(CADRE_PLACE_STARTING, 2));
	cadre_place_set_start_time(&world.view.worker_places[0], 0);
	/* Nobody listens to how its start goes. */
	snprintf(seat, sizeof(seat), "%s:0:2:%d", world.supervisor.pool, 0);
	setenv("CADRE_WORKER", seat, 1);
}

static int sit_down(void)
{
	struct cadre_worker *worker;
	struct cadre_diag diag;
	const int r = cadre_worker_open(&world_service, &worker, &diag);

	/* While it was frozen, a successor gave its place away. */
	return r == -ECONNREFUSED ? 0 : r;
}

/* ---- the supervisor ---- */

static void ask(struct cadre_control question)
{
	static int asker = -1;
	int pair[2];

	if (asker >= 0)
		close(asker);
	world_connect(pair);
	question.start_time = world.self.start_time;
	cadre_control_send(pair[1], &question);
	world.supervisor.connections[0] = pair[0];
	asker = pair[1];
}

static void hello_scene(void)
{
	struct cadre_control hello = cadre_control_message(CADRE_CONTROL_HELLO);

	vacant_scene();
	world.client_away[0] = true;
	hello.nonce = 77;
	ask(hello);
}

static void goodbye_scene(void)
{
	struct cadre_control goodbye = cadre_control_message(CADRE_CONTROL_GOODBYE);

	full_window_scene();
	world.client_away[0] = true;
	world_supervise(NULL);
	goodbye.place = 0;
	goodbye.nonce = 100;
	ask(goodbye);
}

static int hear(void)
{
	cadre_lease_heard(&world.supervisor, 0);
	return 0;
}

static void dead_worker_scene(unsigned flags)
{
	world_submit(1, WORLD_HOLD, WORLD_LONG, flags);
	await_first_job();
	world_work(0);
	/* The dead one was awake, so nobody was woken for this. */
	world_lie_down(1);
	world_submit(0, WORLD_ECHO, WORLD_LONG, 0);
	dead_worker_0();
}

static void lost_scene(void)
{
	dead_worker_scene(0);
}

static void requeue_scene(void)
{
	dead_worker_scene(CADRE_IDEMPOTENT);
}

/* It ended the job, and died before it rang. */
static void unheard_scene(void)
{
	world_submit(1, WORLD_ECHO, WORLD_LONG, 0);
	world_work(0);
	atomic_fetch_or(&world.view.slots[WORLD_SLOTS].request.word,
			(uint64_t)CADRE_FLAG_WAITING << 3);
	world_lie_down(1);
	dead_worker_0();
}

/* Two workers have died of it before. */
static void poison_scene(void)
{
	requeue_scene();
	world.view.slots[WORLD_SLOTS].request.faults = CADRE_FAULTS_MAX;
}

static int terminate_jobs(void)
{
	cadre_terminate_jobs(&world.view);
	return 0;
}

/* Nobody sits in the first place. */
static void short_of_staff_scene(void)
{
	others();
	cadre_crew_forget(&world.view.header->crew, 0);
	atomic_store(&world.view.worker_places[0].state,
		     cadre_place_pack(CADRE_PLACE_VACANT, 1));
	world.worker_away[0] = true;
	world_supervise(NULL);
}

static int hire(void)
{
	cadre_staff_start(&world.supervisor, 0, 0, cadre_clock_ns());
	return 0;
}

static int hear_of_its_death(void)
{
	cadre_staff_died(&world.supervisor, 0);
	return 0;
}

static int reap_worker(void)
{
	cadre_staff_died(&world.supervisor, 0);
	return 0;
}

static void dead_client_scene(void)
{
	full_window_scene();
	dead_client_0();
}

/* It died while it filled its window. */
static void dead_writer_scene(void)
{
	ended_job(WORLD_ECHO, WORLD_SHORT);
	drafted_scene();
	dead_client_0();
}

static int reap_client(void)
{
	cadre_lease_client_died(&world.supervisor, 0);
	return 0;
}

/* Client 0 and worker 0 died, and then the supervisor. */
static void orphan_scene(void)
{
	world_submit(0, WORLD_HOLD, WORLD_LONG, CADRE_IDEMPOTENT | CADRE_DETACHED);
	world_work(0);
	ended_job(WORLD_ECHO, WORLD_LONG);
	world_submit(0, WORLD_ECHO, WORLD_SHORT, 0);
	world_submit(1, WORLD_ECHO, WORLD_LONG, 0);
	if (cadre_try_draft(client_0(), WORLD_LONG, &world.draft) < 0)
		abort();
	dead_client_0();
	dead_worker_0();
}

int operation_succeed(void)
{
	world_forget_supervisor();
	world.supervisor.inherited = true;
	cadre_annals_resume(&world.view.events);
	cadre_annals_resume(&world.view.crashes);
	cadre_annals_resume(&world.view.kept);
	if (cadre_staff_init(&world.supervisor) < 0 ||
	    cadre_lease_init(&world.supervisor) < 0)
		return 1;
	cadre_staff_adopt(&world.supervisor);
	cadre_lease_adopt(&world.supervisor);
	cadre_ring_everyone(&world.view);
	return 0;
}

static int tick(void)
{
	for (unsigned round = 0; round < WORLD_SLOTS; round++)
		cadre_lease_tick(&world.supervisor, cadre_clock_ns());
	return 0;
}

#define OPERATION(what, who, scene, does, then, ...)                              \
	{                                                                         \
		.name = (what), .subject = SUBJECT_##who, .setup = scene##_scene, \
		.act = (does), .after = (then), __VA_ARGS__                       \
	}
#define MAY(outcome) .outcomes = 1u << CADRE_##outcome

const struct operation operations[] = {
	OPERATION("attach (client)", CLIENT, vacant, attach, detach_attached,
		  .desk = true, .seatless = true),
	OPERATION("attach (supervisor)", SUPERVISOR, hello, hear, tick, ),
	OPERATION("submit inline", CLIENT, quiet, submit_inline, take_all, ),
	OPERATION("submit inline, all asleep", CLIENT, asleep, submit_inline, take_all, ),
	OPERATION("submit with a block", CLIENT, quiet, submit_block, take_all, ),
	OPERATION("submit detached", CLIENT, asleep, submit_detached, take_all, ),
	OPERATION("submit a batch", CLIENT, quiet, submit_batch, take_all, ),
	OPERATION("submit over a left slot", CLIENT, left, submit_block, take_all, ),
	OPERATION("draft, submit", CLIENT, quiet, draft_submit, take_all, ),
	OPERATION("draft, discard", CLIENT, quiet, draft_discard, take_all, ),
	OPERATION("submit, withdraw", CLIENT, stopping, submit_too_late, take_all,
		  MAY(WITHDRAWN)),
	OPERATION("submit a stream", CLIENT, quiet, submit_stream, take_all, ),
	OPERATION("read a stream, take", CLIENT, emitted, take_release, take_all, ),
	OPERATION("leave a stream", CLIENT, unread, leave_stream, take_all, MAY(CANCELLED)),
	OPERATION("dispatch callbacks", CLIENT, callback, dispatch, dispatch_all, ),
	OPERATION("take, release", CLIENT, ended_inline, take_release, take_all, ),
	OPERATION("take, release with blocks", CLIENT, ended_block, take_release,
		  take_all, ),
	OPERATION("await in vain", CLIENT, pending, await_in_vain, take_all, ),
	OPERATION("cancel pending", CLIENT, pending, cancel, take_all, MAY(CANCELLED)),
	OPERATION("cancel running, take", CLIENT, running, cancel_and_take, take_all,
		  MAY(CANCELLED)),
	OPERATION("detach (client)", CLIENT, full_window, detach, NULL, MAY(CANCELLED),
		  .desk = true),
	OPERATION("detach, unheard", CLIENT, full_window, detach_unheard, NULL,
		  MAY(CANCELLED)),
	OPERATION("detach (supervisor)", SUPERVISOR, goodbye, hear, tick, ),
	OPERATION("claim", WORKER, short_job, claim, NULL, MAY(LOST)),
	OPERATION("claim, finish inline", WORKER, short_job, run_along_hints, NULL, ),
	OPERATION("claim, finish, ring late", WORKER, near, run_and_hold_the_ring, NULL, ),
	OPERATION("claim, finish with blocks", WORKER, long_job, run_along_hints, NULL, ),
	OPERATION("claim, change the request", WORKER, turned, run_along_hints, NULL, ),
	OPERATION("claim, change a copy of it", WORKER, turned_again, run_along_hints,
		  NULL, ),
	OPERATION("claim, finish idempotent", WORKER, idempotent, run_along_hints, NULL, ),
	OPERATION("claim, fail", WORKER, failing, run_along_hints, NULL, ),
	OPERATION("claim what no hint shows", WORKER, hidden, run_everywhere, NULL, ),
	OPERATION("claim, emit, finish", WORKER, stream, run_along_hints, NULL, ),
	OPERATION("finish a deferred job", WORKER, held, finish_held, NULL, ),
	OPERATION("finish a decided job", WORKER, decided, finish_held, NULL, ),
	OPERATION("engage, disengage", WORKER, engage, engage_disengage, NULL, ),
	OPERATION("lie down, get up", WORKER, idle, lie_down_get_up, NULL, ),
	OPERATION("sit down", WORKER, starting, sit_down, NULL, .seatless = true),
	OPERATION("reap worker: lost", SUPERVISOR, lost, reap_worker, tick, ),
	OPERATION("reap worker: requeue", SUPERVISOR, requeue, reap_worker, tick, ),
	OPERATION("reap worker: refused", SUPERVISOR, poison, reap_worker, tick, ),
	OPERATION("terminate", SUPERVISOR, full_window, terminate_jobs, tick,
		  MAY(TERMINATED)),
	OPERATION("hire", SUPERVISOR, short_of_staff, hire, hear_of_its_death, ),
	OPERATION("reap worker: unheard", SUPERVISOR, unheard, reap_worker, tick, ),
	OPERATION("reap client: full window", SUPERVISOR, dead_client, reap_client, tick, ),
	OPERATION("reap client: half filled", SUPERVISOR, dead_writer, reap_client, tick, ),
	OPERATION("adopt", SUPERVISOR, orphan, operation_succeed, tick, ),
};

const size_t operation_count = CADRE_COUNT_OF(operations);
