/*
 * guest.c - the supervisor's guests: places of local workers, leased to processes that are
 * not its children.
 *
 * Leased as windows are (lease.c): a pidfd stands, the start time is what it said, and the
 * process is alive, in this order; asked again with the same nonce it gets the same place.
 * Reaped as workers are (rule D), when the pidfd says that it died, or when it says goodbye,
 * which it does last. Nobody starts it again, and nobody kills it: it is not ours.
 */
#include "clock.h"
#include "supervisor.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cadre_guest_init(struct cadre_supervisor *supervisor)
{
	const unsigned locals = supervisor->view.limits.locals;

	supervisor->guests = calloc(locals ? locals : 1, sizeof(*supervisor->guests));
	if (!supervisor->guests)
		return -ENOMEM;
	for (unsigned guest = 0; guest < locals; guest++)
		supervisor->guests[guest].pidfd = -1;
	return 0;
}

void cadre_guest_fini(struct cadre_supervisor *supervisor)
{
	for (unsigned guest = 0;
	     supervisor->guests && guest < supervisor->view.limits.locals; guest++) {
		if (supervisor->guests[guest].pidfd >= 0)
			close(supervisor->guests[guest].pidfd);
	}
	free(supervisor->guests);
	supervisor->guests = NULL;
}

static unsigned seat_of(const struct cadre_supervisor *supervisor, unsigned guest)
{
	return supervisor->view.limits.workers + guest;
}

static struct cadre_place *place_of(const struct cadre_supervisor *supervisor,
				    unsigned guest)
{
	return &supervisor->view.worker_places[seat_of(supervisor, guest)];
}

/* Nobody but the supervisor moves it, unless there is none. */
static void move_place(struct cadre_place *place, enum cadre_place_state state,
		       uint32_t incarnation, pid_t pid)
{
	/* P1, pairs with cadre_place_look. */
	atomic_exchange_explicit(&place->state,
				 cadre_place_pack_owned(state, incarnation, pid),
				 memory_order_seq_cst);
}

/* ---- what is written down ---- */

static struct cadre_event event_of(const struct cadre_supervisor *supervisor,
				   unsigned guest, enum cadre_event_kind kind)
{
	const struct cadre_place *const place = place_of(supervisor, guest);
	const int64_t since_ns = atomic_load_explicit(&place->since_ns,
						      memory_order_relaxed);
	struct cadre_event event = cadre_event_now(kind);

	event.place = (int32_t)guest;
	event.incarnation = cadre_place_incarnation_of(cadre_place_look(place));
	event.pid = supervisor->guests[guest].pid;
	if (since_ns > 0 && event.when_ns > since_ns)
		event.duration_ns = event.when_ns - since_ns;
	return event;
}

/* Before it is buried, while its place still says UP; so a successor that finds it so asks
 * whether this was written. */
static void tell_of_death(const struct cadre_supervisor *supervisor, unsigned guest)
{
	struct cadre_event event = event_of(supervisor, guest, CADRE_EVENT_local_died);

	if (supervisor->inherited &&
	    cadre_event_knows_of(&supervisor->view.events, CADRE_EVENT_local_died,
				 event.place, event.incarnation))
		return;
	event.code = CADRE_STATUS_UNKNOWN;
	cadre_reap_list(&supervisor->view, seat_of(supervisor, guest), &event);
	cadre_count_add(
		&supervisor->view.worker_stats[seat_of(supervisor, guest)].place.deaths,
		1);
	cadre_supervisor_tell(supervisor, &event);
}

/* ---- the end ---- */

/* Rule D, in its order, for one that is dead or has left for good. How it ended, only its
 * parent knows. */
static void bury(struct cadre_supervisor *supervisor, unsigned guest)
{
	struct cadre_lease *const lease = &supervisor->guests[guest];
	struct cadre_place *const place = place_of(supervisor, guest);
	const unsigned seat = seat_of(supervisor, guest);
	const uint32_t incarnation = cadre_place_incarnation_of(cadre_place_look(place));

	move_place(place, CADRE_PLACE_DEAD, incarnation, lease->pid);
	cadre_reap_worker(&supervisor->view, seat,
			  (struct cadre_obituary){ .pid = lease->pid,
						   .code = CADRE_STATUS_UNKNOWN },
			  NULL);
	cadre_stats_bury(&supervisor->view.worker_stats[seat], cadre_clock_ns());
	CADRE_KILL_POINT("P8");
	move_place(place, CADRE_PLACE_VACANT, incarnation, 0);
	if (lease->pidfd >= 0)
		close(lease->pidfd);
	*lease = (struct cadre_lease){ .pidfd = -1 };
}

void cadre_guest_died(struct cadre_supervisor *supervisor, unsigned guest)
{
	const struct cadre_lease *const lease = &supervisor->guests[guest];

	if (lease->pidfd < 0 || !cadre_process_is_dead(lease->pidfd))
		return;
	tell_of_death(supervisor, guest);
	bury(supervisor, guest);
}

void cadre_guest_adopt(struct cadre_supervisor *supervisor)
{
	for (unsigned guest = 0; guest < supervisor->view.limits.locals; guest++) {
		struct cadre_lease *const lease = &supervisor->guests[guest];
		const struct cadre_place *const place = place_of(supervisor, guest);
		const enum cadre_place_state state = cadre_place_state_of(
			cadre_place_look(place));
		const struct cadre_identity who = cadre_place_who(place);

		if (state == CADRE_PLACE_VACANT)
			continue;
		lease->pid = who.pid;
		if (state == CADRE_PLACE_UP)
			lease->pidfd = cadre_process_open(who);
		/* Dead, or gone without a supervisor to tell. */
		if (lease->pidfd < 0) {
			if (state == CADRE_PLACE_UP)
				tell_of_death(supervisor, guest);
			bury(supervisor, guest);
			continue;
		}
		lease->nonce = atomic_load_explicit(&place->nonce, memory_order_relaxed);
		cadre_supervisor_watch(supervisor, lease->pidfd, CADRE_HEARD_GUEST, guest);
	}
}

/* ---- conversations ---- */

static struct cadre_control welcome(const struct cadre_supervisor *supervisor,
				    unsigned guest)
{
	struct cadre_control answer = cadre_control_message(CADRE_CONTROL_ANSWER);

	answer.place = seat_of(supervisor, guest);
	answer.incarnation = cadre_place_incarnation_of(
		cadre_place_look(place_of(supervisor, guest)));
	return answer;
}

static struct cadre_control seat_guest(struct cadre_supervisor *supervisor,
				       unsigned guest, struct cadre_identity who,
				       uint64_t nonce, int pidfd)
{
	struct cadre_place *const place = place_of(supervisor, guest);
	struct cadre_place_stats *const stats =
		&supervisor->view.worker_stats[seat_of(supervisor, guest)];
	const uint32_t incarnation = cadre_place_incarnation_of(cadre_place_look(place));
	struct cadre_event opened;

	supervisor->guests[guest] = (struct cadre_lease){
		.pidfd = pidfd,
		.pid = who.pid,
		.nonce = nonce,
	};
	cadre_place_set_start_time(place, who.start_time);
	atomic_store_explicit(&place->nonce, nonce, memory_order_relaxed);
	atomic_store_explicit(&place->since_ns, cadre_clock_ns(), memory_order_relaxed);
	cadre_count_add(&stats->place.starts, 1);
	move_place(place, CADRE_PLACE_UP, incarnation + 1, who.pid);
	CADRE_KILL_POINT("P7");
	opened = event_of(supervisor, guest, CADRE_EVENT_local_opened);
	cadre_supervisor_tell(supervisor, &opened);
	cadre_supervisor_watch(supervisor, pidfd, CADRE_HEARD_GUEST, guest);
	return welcome(supervisor, guest);
}

static bool has_place(const struct cadre_supervisor *supervisor, unsigned guest,
		      uint64_t nonce, pid_t sender)
{
	const struct cadre_lease *const lease = &supervisor->guests[guest];

	return lease->pidfd >= 0 && lease->pid == sender && lease->nonce == nonce;
}

struct cadre_control cadre_guest_greet(struct cadre_supervisor *supervisor,
				       const struct cadre_control *hello, pid_t sender)
{
	const unsigned locals = supervisor->view.limits.locals;
	const struct cadre_identity who = { .pid = sender,
					    .start_time = hello->start_time };
	unsigned vacant = locals;
	int pidfd;

	if (supervisor->phase > CADRE_SERVING)
		return cadre_order_no(-ESHUTDOWN,
				      "the pool is stopped and takes no local workers");
	if (hello->start_time == 0)
		return cadre_order_no(-EBADMSG,
				      "its hello does not say when it was started");
	if (sender <= 0 || sender > CADRE_PLACE_PID_MAX)
		return cadre_order_no(-EACCES, "the kernel does not name its sender "
					       "(another pid namespace?)");
	for (unsigned guest = locals; guest-- > 0;) {
		const struct cadre_lease *const lease = &supervisor->guests[guest];

		if (lease->pidfd < 0)
			vacant = guest;
		else if (has_place(supervisor, guest, hello->nonce, sender))
			return welcome(supervisor, guest);
	}
	if (vacant == locals)
		return cadre_order_no(-EUSERS,
				      "all %u places for local workers are taken (the "
				      "pool's locals_max says how many there are)",
				      locals);
	pidfd = cadre_process_open(who);
	if (pidfd < 0)
		return cadre_order_no(-EACCES,
				      "process %d is not the one that it says it is: %s",
				      (int)sender, strerror(-pidfd));
	return seat_guest(supervisor, vacant, who, hello->nonce, pidfd);
}

/* Which guest says goodbye; the number of guests for none. */
static unsigned find_parting(const struct cadre_supervisor *supervisor,
			     const struct cadre_control *goodbye, pid_t sender)
{
	unsigned guest = 0;

	/* One that gave up before it read which place it has names none. */
	while (guest < supervisor->view.limits.locals &&
	       !((goodbye->place == CADRE_CONTROL_ANY_PLACE ||
		  goodbye->place == seat_of(supervisor, guest)) &&
		 has_place(supervisor, guest, goodbye->nonce, sender)))
		guest++;
	return guest;
}

struct cadre_control cadre_guest_part(struct cadre_supervisor *supervisor,
				      const struct cadre_control *goodbye, pid_t sender)
{
	const unsigned guest = find_parting(supervisor, goodbye, sender);

	if (guest == supervisor->view.limits.locals)
		return cadre_order_no(-ESTALE, "place %u is not leased to process %d",
				      goodbye->place, (int)sender);
	bury(supervisor, guest);
	return cadre_control_message(CADRE_CONTROL_ANSWER);
}

void cadre_guest_forget(struct cadre_supervisor *supervisor, unsigned seat_number)
{
	bury(supervisor, seat_number - supervisor->view.limits.workers);
}
