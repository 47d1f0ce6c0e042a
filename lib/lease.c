/*
 * lease.c - the supervisor's clients: leases of windows, and the control socket.
 *
 * A client is leased a window when a pidfd of it stands, its start time is what it said,
 * and it is alive, in this order. When the pidfd says that it died, or when it says
 * goodbye, its window drains: freed slot by slot, leased again when every slot is FREE.
 */
#include "clock.h"
#include "supervisor.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CONNECTION_IDLE_NS (5 * CADRE_NS_PER_S)

int cadre_lease_init(struct cadre_supervisor *supervisor)
{
	const unsigned clients = supervisor->view.limits.clients;

	supervisor->leases = calloc(clients, sizeof(*supervisor->leases));
	if (!supervisor->leases)
		return -ENOMEM;
	for (unsigned client = 0; client < clients; client++)
		supervisor->leases[client] = (struct cadre_lease){ .pidfd = -1,
								   .courier = -1 };
	return cadre_guest_init(supervisor);
}

static void hang_up(struct cadre_supervisor *supervisor, unsigned connection)
{
	if (supervisor->connections[connection] >= 0)
		close(supervisor->connections[connection]);
	supervisor->connections[connection] = -1;
	if (supervisor->reload.asker == connection)
		supervisor->reload.asker = CADRE_NOBODY;
}

void cadre_lease_fini(struct cadre_supervisor *supervisor)
{
	for (unsigned client = 0;
	     supervisor->leases && client < supervisor->view.limits.clients; client++) {
		if (supervisor->leases[client].pidfd >= 0)
			close(supervisor->leases[client].pidfd);
		if (supervisor->leases[client].courier >= 0)
			close(supervisor->leases[client].courier);
	}
	for (unsigned i = 0; i < CADRE_CONNECTIONS_MAX; i++)
		hang_up(supervisor, i);
	free(supervisor->leases);
	supervisor->leases = NULL;
	cadre_guest_fini(supervisor);
}

static void dismiss_courier(struct cadre_lease *lease)
{
	if (lease->courier >= 0)
		close(lease->courier);
	lease->courier = -1;
}

static struct cadre_place *place_of(const struct cadre_supervisor *supervisor,
				    unsigned client)
{
	return &supervisor->view.client_places[client];
}

/* Nobody else moves a client's place. */
static void move_place(struct cadre_place *place, enum cadre_place_state state,
		       uint32_t incarnation, pid_t pid)
{
	/* P1, pairs with cadre_place_look. */
	atomic_exchange_explicit(&place->state,
				 cadre_place_pack_owned(state, incarnation, pid),
				 memory_order_seq_cst);
}

static uint32_t incarnation_of(const struct cadre_place *place)
{
	return cadre_place_incarnation_of(cadre_place_look(place));
}

/* ---- draining ---- */

static void drain_once(struct cadre_supervisor *supervisor, unsigned client)
{
	const struct cadre_view *const view = &supervisor->view;
	struct cadre_place *const place = place_of(supervisor, client);

	if (cadre_reap_client(view, client) > 0)
		return;
	supervisor->leases[client].draining = false;
	supervisor->leases[client].nonce = 0;
	cadre_mask_clear(&view->header->active, client);
	cadre_mask_clear(&view->header->leased, client);
	CADRE_KILL_POINT("D8");
	move_place(place, CADRE_PLACE_VACANT, incarnation_of(place), 0);
}

static void begin_draining(struct cadre_supervisor *supervisor, unsigned client)
{
	struct cadre_lease *const lease = &supervisor->leases[client];
	struct cadre_place *const place = place_of(supervisor, client);

	if (lease->pidfd >= 0)
		close(lease->pidfd);
	lease->pidfd = -1;
	lease->draining = true;
	dismiss_courier(lease);
	move_place(place, CADRE_PLACE_DRAINING, incarnation_of(place), lease->pid);
	drain_once(supervisor, client);
	/* It may have died between accepting a detached job and waking somebody for it. */
	cadre_wake_sleepers(&supervisor->view);
}

static void tell_of_death(const struct cadre_supervisor *supervisor, unsigned client,
			  pid_t pid)
{
	struct cadre_event event = cadre_event_now(CADRE_EVENT_client_died);

	event.place = (int32_t)client;
	event.incarnation = incarnation_of(place_of(supervisor, client));
	event.pid = pid;
	cadre_count_add(&supervisor->view.header->counters.clients_died, 1);
	cadre_supervisor_tell(supervisor, &event);
}

void cadre_lease_client_died(struct cadre_supervisor *supervisor, unsigned client)
{
	const struct cadre_lease *const lease = &supervisor->leases[client];

	if (lease->pidfd < 0 || !cadre_process_is_dead(lease->pidfd))
		return;
	CADRE_TRACE(client_death, client, lease->pid);
	tell_of_death(supervisor, client, lease->pid);
	begin_draining(supervisor, client);
}

bool cadre_lease_is_draining(const struct cadre_supervisor *supervisor)
{
	for (unsigned client = 0; client < supervisor->view.limits.clients; client++) {
		if (supervisor->leases[client].draining)
			return true;
	}
	return false;
}

/* It said so in its place, since we did not hear it in time (leave_place in client.c). */
static bool has_left(const struct cadre_supervisor *supervisor, unsigned client)
{
	return supervisor->leases[client].pidfd >= 0 &&
	       cadre_place_state_of(cadre_place_look(place_of(supervisor, client))) ==
		       CADRE_PLACE_DRAINING;
}

void cadre_lease_tick(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	for (unsigned client = 0; client < supervisor->view.limits.clients; client++) {
		if (supervisor->leases[client].draining)
			drain_once(supervisor, client);
		else if (has_left(supervisor, client))
			begin_draining(supervisor, client);
	}
	for (unsigned i = 0; i < CADRE_CONNECTIONS_MAX; i++) {
		/* Who waits for the end of a reload has all the time that it takes. */
		if (supervisor->connections[i] >= 0 && supervisor->reload.asker != i &&
		    now_ns - supervisor->connected_ns[i] > CONNECTION_IDLE_NS)
			hang_up(supervisor, i);
	}
}

void cadre_lease_adopt(struct cadre_supervisor *supervisor)
{
	for (unsigned client = 0; client < supervisor->view.limits.clients; client++) {
		struct cadre_lease *const lease = &supervisor->leases[client];
		struct cadre_place *const place = place_of(supervisor, client);
		const enum cadre_place_state state = cadre_place_state_of(
			cadre_place_look(place));
		const struct cadre_identity who = cadre_place_who(place);

		if (state == CADRE_PLACE_VACANT) {
			/* A predecessor may have died between the bit and the place. */
			cadre_mask_clear(&supervisor->view.header->leased, client);
			continue;
		}
		/* Whatever a predecessor was about to write: leased it is, until it is drained. */
		cadre_mask_set(&supervisor->view.header->leased, client);
		if (state == CADRE_PLACE_UP)
			lease->pidfd = cadre_process_open(who);
		if (lease->pidfd < 0) {
			if (state == CADRE_PLACE_UP)
				tell_of_death(supervisor, client, who.pid);
			begin_draining(supervisor, client);
			continue;
		}
		lease->pid = who.pid;
		lease->nonce = atomic_load_explicit(&place->nonce, memory_order_relaxed);
		cadre_supervisor_watch(supervisor, lease->pidfd, CADRE_HEARD_CLIENT,
				       client);
	}
	cadre_guest_adopt(supervisor);
}

/* ---- conversations ---- */

static struct cadre_control welcome(const struct cadre_supervisor *supervisor,
				    unsigned client)
{
	struct cadre_control answer = cadre_control_message(CADRE_CONTROL_ANSWER);

	answer.place = client;
	answer.incarnation = incarnation_of(place_of(supervisor, client));
	return answer;
}

static struct cadre_control lease_to(struct cadre_supervisor *supervisor, unsigned client,
				     struct cadre_identity who, uint64_t nonce, int pidfd)
{
	struct cadre_lease *const lease = &supervisor->leases[client];
	struct cadre_place *const place = place_of(supervisor, client);
	struct cadre_hints *const hints = &supervisor->view.client_lines[client].hints;

	*lease = (struct cadre_lease){
		.pidfd = pidfd,
		.pid = who.pid,
		.nonce = nonce,
		.courier = -1,
	};
	cadre_place_set_start_time(place, who.start_time);
	atomic_store_explicit(&place->nonce, nonce, memory_order_relaxed);
	atomic_store_explicit(&place->since_ns, cadre_clock_ns(), memory_order_relaxed);
	/* The last client may have died between a burst and its tail: workers are ahead of it. */
	cadre_window_look_back(hints,
			       atomic_load_explicit(&hints->tail, memory_order_relaxed));
	cadre_mask_set(&supervisor->view.header->leased, client);
	CADRE_KILL_POINT("P5");
	move_place(place, CADRE_PLACE_UP, incarnation_of(place) + 1, who.pid);
	CADRE_KILL_POINT("P6");
	cadre_count_add(&supervisor->view.header->counters.clients_attached, 1);
	cadre_supervisor_watch(supervisor, pidfd, CADRE_HEARD_CLIENT, client);
	return welcome(supervisor, client);
}

/* A window that nobody has, or the number of clients. Those that drain may be done by now:
 * between two ticks nobody looked. */
static unsigned find_vacant(struct cadre_supervisor *supervisor)
{
	const unsigned clients = supervisor->view.limits.clients;

	for (unsigned client = 0; client < clients; client++) {
		const struct cadre_lease *const lease = &supervisor->leases[client];

		if (lease->pidfd < 0 && !lease->draining)
			return client;
	}
	for (unsigned client = 0; client < clients; client++) {
		if (!supervisor->leases[client].draining)
			continue;
		drain_once(supervisor, client);
		if (!supervisor->leases[client].draining)
			return client;
	}
	return clients;
}

static struct cadre_control greet(struct cadre_supervisor *supervisor,
				  const struct cadre_control *hello, pid_t sender)
{
	const unsigned clients = supervisor->view.limits.clients;
	const struct cadre_identity who = { .pid = sender,
					    .start_time = hello->start_time };
	unsigned vacant;
	int pidfd;

	if (supervisor->phase > CADRE_SERVING)
		return cadre_order_no(-ESHUTDOWN,
				      "the pool is stopped and takes no new clients");
	if (hello->start_time == 0)
		return cadre_order_no(-EBADMSG,
				      "its hello does not say when it was started");
	if (sender <= 0 || sender > CADRE_PLACE_PID_MAX)
		return cadre_order_no(
			-EACCES,
			"the kernel does not name its sender (another pid namespace?)");
	for (unsigned client = 0; client < clients; client++) {
		const struct cadre_lease *const lease = &supervisor->leases[client];

		/* Asked again, since our answer went astray with a predecessor, say. */
		if (lease->pidfd >= 0 && lease->pid == sender &&
		    lease->nonce == hello->nonce)
			return welcome(supervisor, client);
	}
	vacant = find_vacant(supervisor);
	if (vacant == clients)
		return cadre_order_no(
			-EUSERS,
			"all %u client places are taken (the pool's clients_max, or --clients, "
			"sets how many there are)",
			clients);
	pidfd = cadre_process_open(who);
	if (pidfd < 0)
		return cadre_order_no(-EACCES,
				      "process %d is not the one that it says it is: %s",
				      (int)sender, strerror(-pidfd));
	return lease_to(supervisor, vacant, who, hello->nonce, pidfd);
}

static bool has_window(const struct cadre_supervisor *supervisor,
		       const struct cadre_control *question, pid_t sender)
{
	const unsigned client = question->place;

	return client < supervisor->view.limits.clients &&
	       supervisor->leases[client].pidfd >= 0 &&
	       supervisor->leases[client].pid == sender &&
	       supervisor->leases[client].nonce == question->nonce;
}

static struct cadre_control part(struct cadre_supervisor *supervisor,
				 const struct cadre_control *goodbye, pid_t sender)
{
	struct cadre_control window = *goodbye;

	/* It gave up before it read which window it has. */
	if (goodbye->place == CADRE_CONTROL_ANY_PLACE) {
		window.place = 0;
		while (window.place < supervisor->view.limits.clients &&
		       !has_window(supervisor, &window, sender))
			window.place++;
	}
	if (!has_window(supervisor, &window, sender))
		return cadre_order_no(-ESTALE, "window %u is not leased to process %d",
				      goodbye->place, (int)sender);
	begin_draining(supervisor, window.place);
	return cadre_control_message(CADRE_CONTROL_ANSWER);
}

/* ---- descriptors: bringing workers and couriers together ---- */

static void unwatch(const struct cadre_supervisor *supervisor, int fd)
{
	epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* The connection stays, as that of the window's courier. */
static struct cadre_control keep_courier(struct cadre_supervisor *supervisor,
					 const struct cadre_control *question,
					 pid_t sender, unsigned connection)
{
	struct cadre_lease *lease;
	const int fd = supervisor->connections[connection];

	if (!has_window(supervisor, question, sender))
		return cadre_order_no(-ESTALE, "window %u is not leased to process %d",
				      question->place, (int)sender);
	lease = &supervisor->leases[question->place];
	dismiss_courier(lease);
	supervisor->connections[connection] = -1;
	lease->courier = fd;
	unwatch(supervisor, fd);
	cadre_supervisor_watch(supervisor, fd, CADRE_HEARD_COURIER, question->place);
	return cadre_control_message(CADRE_CONTROL_ANSWER);
}

/* Couriers are spoken to; they have nothing to say but that they are gone. */
void cadre_lease_courier_spoke(struct cadre_supervisor *supervisor, unsigned client)
{
	struct cadre_lease *const lease = &supervisor->leases[client];
	struct cadre_control message;

	if (lease->courier >= 0 &&
	    cadre_control_receive(lease->courier, &message, NULL) != -EAGAIN)
		dismiss_courier(lease);
}

/* Descriptors are for workers of this pool only. */
static bool is_worker(const struct cadre_supervisor *supervisor, pid_t sender)
{
	const struct cadre_view *const view = &supervisor->view;

	for (unsigned worker = 0; worker < view->seat_count; worker++) {
		if (cadre_place_who(&view->worker_places[worker]).pid == sender)
			return sender > 0;
	}
	return false;
}

/* Hands the worker's connection to the courier, who answers from then on. */
static struct cadre_control meet(struct cadre_supervisor *supervisor,
				 const struct cadre_control *question, pid_t sender,
				 unsigned connection)
{
	const struct cadre_control message = cadre_control_message(CADRE_CONTROL_MEET);
	int r;

	if (!is_worker(supervisor, sender))
		return cadre_order_no(-EACCES, "process %d is no worker of this pool",
				      (int)sender);
	if (question->place >= supervisor->view.limits.clients ||
	    supervisor->leases[question->place].courier < 0)
		return cadre_order_no(-EAGAIN, "window %u has no courier",
				      question->place);
	r = cadre_control_send_with(supervisor->leases[question->place].courier, &message,
				    &supervisor->connections[connection], 1);
	if (r < 0)
		return cadre_order_no(-EAGAIN,
				      "the courier of window %u does not listen: %s",
				      question->place, strerror(-r));
	/* To close it does not end the watch while the courier has it open (epoll(7), question
	 * 6), and we would wake for every question that is meant for him. */
	unwatch(supervisor, supervisor->connections[connection]);
	hang_up(supervisor, connection);
	return cadre_control_message(CADRE_CONTROL_ANSWER);
}

/* Should a worker die, its callers wait while we look at their slots and ring. */
static void map_window(const struct cadre_view *view, unsigned client)
{
	cadre_segment_map_now(cadre_view_slot(view, client, 0),
			      view->limits.slots * sizeof(struct cadre_slot));
	cadre_segment_map_now(&view->client_bells[client],
			      sizeof(view->client_bells[client]));
}

void cadre_lease_heard(struct cadre_supervisor *supervisor, unsigned connection)
{
	const int fd = supervisor->connections[connection];
	struct cadre_control question,
		answer = cadre_control_message(CADRE_CONTROL_ANSWER);
	pid_t sender = 0;
	const int r = fd < 0 ? -EBADF : cadre_control_receive(fd, &question, &sender);

	if (r == -EAGAIN)
		return;
	if (r != 1) {
		hang_up(supervisor, connection);
		return;
	}
	switch (question.kind) {
	case CADRE_CONTROL_HELLO:
		answer = greet(supervisor, &question, sender);
		break;
	case CADRE_CONTROL_GOODBYE:
		answer = part(supervisor, &question, sender);
		break;
	case CADRE_CONTROL_GUEST:
		answer = cadre_guest_greet(supervisor, &question, sender);
		break;
	case CADRE_CONTROL_GUEST_GOODBYE:
		answer = cadre_guest_part(supervisor, &question, sender);
		break;
	case CADRE_CONTROL_KNOCK:
		supervisor->knocked = true;
		return;
	case CADRE_CONTROL_LOG:
		cadre_clerk_drain(&supervisor->clerk);
		return;
	case CADRE_CONTROL_COURIER:
		answer = keep_courier(supervisor, &question, sender, connection);
		break;
	case CADRE_CONTROL_MEET:
		answer = meet(supervisor, &question, sender, connection);
		if (answer.error == 0)
			return;
		break;
	default:
		if (!cadre_order_obey(supervisor, connection, &question, &answer))
			return;
		break;
	}
	/* Who does not read its answer asks again. One who has hung up meanwhile has given up:
	 * its window would be leased to a living process that does not know of it. */
	if (cadre_control_send(fd, &answer) == 0 || answer.error < 0) {
		if (question.kind == CADRE_CONTROL_HELLO && answer.error == 0)
			map_window(&supervisor->view, answer.place);
		return;
	}
	if (question.kind == CADRE_CONTROL_HELLO)
		begin_draining(supervisor, answer.place);
	if (question.kind == CADRE_CONTROL_GUEST)
		cadre_guest_forget(supervisor, answer.place);
}

void cadre_lease_answer(struct cadre_supervisor *supervisor, unsigned connection,
			const struct cadre_control *answer)
{
	/* Who does not read it may look at the pool instead. */
	if (connection < CADRE_CONNECTIONS_MAX && supervisor->connections[connection] >= 0)
		(void)cadre_control_send(supervisor->connections[connection], answer);
}

/* A free place among the connections; when all are taken, that of the oldest, which had its
 * time. */
static unsigned make_room_for_connection(struct cadre_supervisor *supervisor)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < CADRE_CONNECTIONS_MAX; i++) {
		if (supervisor->connections[i] < 0)
			return i;
		if (supervisor->connected_ns[i] < supervisor->connected_ns[oldest])
			oldest = i;
	}
	hang_up(supervisor, oldest);
	return oldest;
}

void cadre_lease_accept(struct cadre_supervisor *supervisor)
{
	const int fd = cadre_control_accept(supervisor->listener);
	unsigned connection;

	if (fd < 0)
		return;
	connection = make_room_for_connection(supervisor);
	supervisor->connections[connection] = fd;
	supervisor->connected_ns[connection] = cadre_clock_ns();
	cadre_supervisor_watch(supervisor, fd, CADRE_HEARD_CONNECTION, connection);
}
