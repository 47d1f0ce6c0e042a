/*
 * check_places.c - who sits where: the places of workers and clients, and the masks of the
 * header that name them.
 */
#include "check.h"
#include "process.h"

/* ---- workers ---- */

/* A place whose word names nobody says nothing. */
static bool is_gone(const struct cadre_place *place)
{
	const struct cadre_identity who = cadre_place_who(place);

	return who.pid > 0 && cadre_process_is_gone(who);
}

/* Only who sees the supervisor's pid can tell by a pid who lives in its pool. */
static bool sees_processes(const struct cadre_check *check)
{
	return check->supervisor > 0;
}

static void look_at_crew_bits(struct cadre_check *check, uint32_t worker, uint64_t bits)
{
	const struct cadre_crew *const crew = cadre_view_crew(&check->view, worker);
	const enum cadre_place_state state = cadre_place_state_of(bits);
	const bool up = cadre_mask_has(&crew->up, worker);
	const bool asleep = cadre_mask_has(&crew->sleepers, worker);
	const bool engaged = cadre_mask_has(&crew->engaged, worker);

	if ((!up && !asleep && !engaged) || state == CADRE_PLACE_UP ||
	    state == CADRE_PLACE_DRAINING ||
	    (state == CADRE_PLACE_DEAD && check->supervisor == 0))
		return;
	cadre_check_suspect(check,
			    state == CADRE_PLACE_DEAD ? CADRE_RULE_WORKER_DEAD_BITS :
							CADRE_RULE_WORKER_BITS,
			    worker, bits,
			    "worker %u: nobody sits there who could be%s%s%s", worker,
			    up ? " up" : "", asleep ? " asleep" : "",
			    engaged ? " engaged" : "");
}

static void look_at_worker(struct cadre_check *check, uint32_t worker)
{
	const struct cadre_place *const place = &check->view.worker_places[worker];
	const uint64_t bits = cadre_place_look(place);
	const enum cadre_place_state state = cadre_place_state_of(bits);
	const int pid = cadre_place_pid_of(bits);
	const bool occupied = state == CADRE_PLACE_UP || state == CADRE_PLACE_DRAINING;
	const bool gone = occupied && sees_processes(check) && is_gone(place);

	check->sleeps[worker] =
		state == CADRE_PLACE_UP &&
		cadre_mask_has(&cadre_view_crew(&check->view, worker)->sleepers, worker) &&
		!gone && !(check->supervisor == 0 && is_gone(place));
	if ((unsigned)state >= CADRE_PLACE_STATES)
		cadre_check_suspect(check, CADRE_RULE_WORKER_STATE, worker, bits,
				    "worker %u: state %u of its place cannot be", worker,
				    (unsigned)state);
	else if (state == CADRE_PLACE_UP && pid <= 0)
		cadre_check_suspect(check, CADRE_RULE_WORKER_STATE, worker, bits,
				    "worker %u: it is up, and its place names no process",
				    worker);
	else if (gone)
		cadre_check_suspect(
			check, CADRE_RULE_WORKER_DEAD, worker, bits,
			"worker %u (pid %d) is dead, and the supervisor (pid %d) has not "
			"reaped it",
			worker, pid, (int)check->supervisor);
	else if (state == CADRE_PLACE_DEAD && check->supervisor != 0)
		cadre_check_suspect(
			check, CADRE_RULE_WORKER_BURIED, worker, bits,
			"worker %u (pid %d) is dead, and its reaping does not come to an end",
			worker, pid);
	look_at_crew_bits(check, worker, bits);
}

/* ---- clients ---- */

static void look_at_client(struct cadre_check *check, uint32_t client)
{
	const struct cadre_place *const place = &check->view.client_places[client];
	const uint64_t bits = cadre_place_look(place);
	const enum cadre_place_state state = cadre_place_state_of(bits);
	const int pid = cadre_place_pid_of(bits);
	const bool leased = cadre_mask_has(&check->view.header->leased, client);

	if (state != CADRE_PLACE_VACANT && state != CADRE_PLACE_UP &&
	    state != CADRE_PLACE_DRAINING)
		cadre_check_suspect(check, CADRE_RULE_CLIENT_STATE, client, bits,
				    "window %u: state %u of its client's place cannot be",
				    client, (unsigned)state);
	else if (state == CADRE_PLACE_UP && pid <= 0)
		cadre_check_suspect(
			check, CADRE_RULE_CLIENT_STATE, client, bits,
			"window %u: its client is up, and its place names no process",
			client);
	else if (state == CADRE_PLACE_UP && !leased)
		cadre_check_suspect(
			check, CADRE_RULE_UNLEASED_CLIENT, client, bits,
			"window %u: its client (pid %d) is up, and it is not leased, so no "
			"worker looks there",
			client, pid);
	else if (state == CADRE_PLACE_UP && sees_processes(check) && is_gone(place))
		cadre_check_suspect(
			check, CADRE_RULE_CLIENT_DEAD, client, bits,
			"window %u: its client (pid %d) is dead, and the supervisor (pid %d) "
			"has not noticed",
			client, pid, (int)check->supervisor);
	else if (state == CADRE_PLACE_VACANT && leased && check->supervisor != 0)
		cadre_check_suspect(
			check, CADRE_RULE_LEASE_LEFT, client, bits,
			"window %u: it is leased, and its client's place is vacant",
			client);
}

/* ---- the pool, and masks that name nobody ---- */

static bool has_bit(const struct cadre_crew *crew, unsigned bit)
{
	return cadre_mask_has(&crew->up, bit) || cadre_mask_has(&crew->sleepers, bit) ||
	       cadre_mask_has(&crew->engaged, bit);
}

static void look_at_stray_bits(struct cadre_check *check)
{
	const struct cadre_header *const header = check->view.header;

	for (unsigned bit = 0; bit < CADRE_MASK_BITS; bit++) {
		if (bit >= check->view.limits.workers && has_bit(&header->crew, bit))
			cadre_check_suspect(check, CADRE_RULE_STRAY_CREW, bit, 0,
					    "the masks of the crew name worker %u of %u",
					    bit, check->view.limits.workers);
		if ((bit < check->view.limits.workers || bit >= check->view.seat_count) &&
		    has_bit(&header->guests, bit))
			cadre_check_suspect(
				check, CADRE_RULE_STRAY_GUEST, bit, 0,
				"the masks of local workers name place %u, which is not theirs",
				bit);
	}
	for (unsigned bit = check->view.limits.clients; bit < CADRE_MASK_BITS; bit++) {
		if (cadre_mask_has(&header->leased, bit))
			cadre_check_suspect(check, CADRE_RULE_STRAY_LEASE, bit, 0,
					    "the mask of leases names window %u of %u",
					    bit, check->view.limits.clients);
	}
}

static void look_at_header(struct cadre_check *check)
{
	/* Relaxed: it says something by itself. */
	const uint32_t state = atomic_load_explicit(&check->view.header->state,
						    memory_order_relaxed);

	if (state >= CADRE_POOL_STATES)
		cadre_check_suspect(check, CADRE_RULE_POOL_STATE, 0, 0,
				    "state %u of the pool cannot be", state);
	look_at_stray_bits(check);
}

void cadre_check_places(struct cadre_check *check)
{
	look_at_header(check);
	for (uint32_t worker = 0; worker < check->view.seat_count; worker++)
		look_at_worker(check, worker);
	for (uint32_t client = 0; client < check->view.limits.clients; client++)
		look_at_client(check, client);
}
