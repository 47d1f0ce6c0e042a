/*
 * client.c - attaching to a pool, leaving it, and noticing that it died.
 *
 * The supervisor leases the window: it opens a pidfd of this process, so it learns of our
 * death from the kernel. Nothing here declares anybody dead by timeout but ourselves: a
 * pool without a supervisor for longer than its workers bear is a pool that nobody serves.
 */
#include "client.h"
#include "clock.h"
#include "control.h"
#include "diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define ATTACH_TIMEOUT_NS (5 * CADRE_NS_PER_S)
#define DETACH_TIMEOUT_NS (2 * CADRE_NS_PER_S)
#define LOOK_AFTER_POOL_NS (1 * CADRE_NS_PER_S)
#define ASK_AGAIN_NS (5 * CADRE_NS_PER_MS)

/* Workers leave orphan_ns after their supervisor; this much later they are gone. */
#define ORPHANS_GONE_NS (5 * CADRE_NS_PER_S)

int cadre_client_refuse_attach(const char *pool, int error, struct cadre_diag *diag)
{
	const pid_t holder = cadre_lock_holder(pool);

	if (error == -ETIMEDOUT && holder > 0)
		return cadre_refuse(diag, -ETIMEDOUT,
				    "cannot attach to pool \"%s\": its supervisor (pid %d) does "
				    "not answer",
				    pool, (int)holder);
	if (holder == 0)
		return cadre_refuse(
			diag, -ECONNREFUSED,
			"cannot attach to pool \"%s\": its supervisor is dead "
			"(\"cadre serve\" takes it over, \"cadre gc\" removes it)",
			pool);
	if (error == -ECONNREFUSED)
		return cadre_refuse(
			diag, -ECONNREFUSED,
			"cannot attach to pool \"%s\": it is still being started, or "
			"about to end (supervisor: pid %d)",
			pool, (int)holder);
	if (error == -EACCES)
		return cadre_refuse(
			diag, -EACCES,
			"cannot attach to pool \"%s\": its control socket belongs to "
			"another user",
			pool);
	return cadre_refuse(diag, error, "cannot attach to pool \"%s\": %s", pool,
			    strerror(-error));
}

/* The window is ours in the very segment that we have opened. */
static bool is_leased_here(const struct cadre_client *client, uint32_t window)
{
	const struct cadre_place *place;

	if (window >= client->view.limits.clients)
		return false;
	place = &client->view.client_places[window];
	/* Relaxed: the answer came behind it. */
	return cadre_place_state_of(cadre_place_look(place)) == CADRE_PLACE_UP &&
	       atomic_load_explicit(&place->nonce, memory_order_relaxed) == client->nonce;
}

/* Our hello may be answered when we no longer listen: then a window would be leased to a
 * living process that does not know of it. Waits for nothing. */
static void take_hello_back(const struct cadre_client *client)
{
	struct cadre_control goodbye = cadre_control_message(CADRE_CONTROL_GOODBYE);

	goodbye.place = CADRE_CONTROL_ANY_PLACE;
	goodbye.nonce = client->nonce;
	(void)cadre_control_ask(client->pool, &goodbye, cadre_clock_ns(), NULL);
}

/* -ESTALE: the segment that was opened is that of a dead pool, and the supervisor who
 * answered has another one. */
static int lease(struct cadre_client *client, int64_t until_ns, struct cadre_diag *diag)
{
	struct cadre_control hello = cadre_control_message(CADRE_CONTROL_HELLO);
	struct cadre_control answer;
	int r;

	hello.nonce = client->nonce;
	hello.start_time = cadre_process_self().start_time;

	/* The nonce stays the same, so that a window which a supervisor leased with its last
	 * breath is found again. */
	r = cadre_control_ask_patiently(client->pool, &hello, until_ns, &answer);
	if (r == -ETIMEDOUT)
		take_hello_back(client);
	if (r < 0)
		return cadre_client_refuse_attach(client->pool, r, diag);
	if (answer.error < 0)
		return cadre_refuse(diag, answer.error,
				    "cannot attach to pool \"%s\": %.400s", client->pool,
				    answer.text);
	if (!is_leased_here(client, answer.place))
		return -ESTALE;
	client->window = answer.place;
	client->incarnation = answer.incarnation;
	return 0;
}

/* Opens the segment and leases a window of it. */
static int open_and_lease(struct cadre_client *client, int64_t until_ns,
			  struct cadre_diag *diag)
{
	int r = cadre_layout_open(client->pool, true, &client->view, diag);

	if (r < 0)
		return r;
	r = lease(client, until_ns, diag);
	if (r < 0)
		cadre_layout_close(&client->view);
	if (r == -ESTALE && cadre_clock_left_ns(until_ns, 1) == 0)
		return cadre_refuse(diag, -EBADMSG,
				    "cannot attach to pool \"%s\": its supervisor leases "
				    "windows that are not in its segment",
				    client->pool);
	return r;
}

void cadre_client_find_window(struct cadre_client *client)
{
	const struct cadre_view *const view = &client->view;

	client->created_ns = CADRE_READ_ONCE(view->header->created_ns);
	client->plain_max = view->limits.workers == 0 ?
				    -1 :
				    (int64_t)cadre_limits_inline_max(&view->limits);
	client->slot_count = view->limits.slots;
	client->slot_base = client->window * view->limits.slots;
	client->slots = &view->slots[client->slot_base];
	client->books = &view->books[client->slot_base];
	client->lines = &view->client_lines[client->window];
	client->bell = &view->client_bells[client->window];
	client->blocks = cadre_layout_blocks(view);
	client->blocks.for_requests = true;
	/* What stands there is the last client's. */
	cadre_perf_clear(&view->client_perfs[client->window]);

	/* Go on where the last client of this window stopped, so that the cursor fits. */
	atomic_store(&client->next, atomic_load_explicit(&client->lines->hints.tail,
							 memory_order_relaxed));
	atomic_store(&client->crew_turn, client->window);
}

static int make_private(struct cadre_client *client)
{
	int r;

	/* aligned_alloc wants a multiple of the alignment, which the struct's size is. */
	client->pending = aligned_alloc(alignof(struct cadre_pending),
					client->slot_count * sizeof(*client->pending));
	if (!client->pending)
		return -ENOMEM;
	memset(client->pending, 0, client->slot_count * sizeof(*client->pending));
	r = -pthread_mutex_init(&client->warrant_lock, NULL);
	if (r == 0)
		r = cadre_handle_init(client);
	if (r == 0)
		r = cadre_forkguard_init(&client->guard);
	if (r == 0)
		r = cadre_consume_init(client);
	return r < 0 ? r : cadre_completion_init(client);
}

/* Without a supervisor that hears it: says in the place itself that its window may be drained. A
 * successor, garbage collection, or a supervisor that was slow, would take us for a client as
 * long as we live. */
static void leave_place(const struct cadre_client *client)
{
	struct cadre_place *const place = &client->view.client_places[client->window];
	const int32_t pid = getpid();

	cadre_place_move(place,
			 cadre_place_pack_owned(CADRE_PLACE_UP, client->incarnation, pid),
			 cadre_place_pack_owned(CADRE_PLACE_DRAINING, client->incarnation,
						pid));
}

static void say_goodbye(const struct cadre_client *client)
{
	struct cadre_control goodbye = cadre_control_message(CADRE_CONTROL_GOODBYE);
	struct cadre_control answer;

	goodbye.place = client->window;
	goodbye.nonce = client->nonce;
	if (cadre_control_ask(client->pool, &goodbye,
			      cadre_clock_in_ns(DETACH_TIMEOUT_NS), &answer) < 0)
		leave_place(client);
}

int cadre_client_attach(const char *pool, const struct cadre_client_options *options,
			struct cadre_client **ret_client, struct cadre_diag *diag)
{
	const struct cadre_client_options defaults = { .size = sizeof(defaults) };
	const struct timespec nap = cadre_clock_timespec(ASK_AGAIN_NS);
	struct cadre_client *client;
	int64_t until_ns;
	int r;

	if (!options)
		options = &defaults;
	if (options->size != sizeof(*options))
		return cadre_refuse(diag, -EINVAL,
				    "cadre_client_options has size %zu: must be %zu",
				    options->size, sizeof(*options));
	until_ns = cadre_clock_in_ns(options->timeout_ns > 0 ? options->timeout_ns :
							       ATTACH_TIMEOUT_NS);
	client = aligned_alloc(alignof(struct cadre_client), sizeof(*client));
	if (!client)
		return cadre_refuse(diag, -ENOMEM, "out of memory");
	memset(client, 0, sizeof(*client));
	pthread_mutex_init(&client->counters_lock, NULL);
	client->event_fd = -1;
	client->spin_ns = cadre_process_spin_ns(options->spin_ns);
	client->roused_most = cadre_process_cpus() > 2 ? cadre_process_cpus() - 1 : 1;

	r = cadre_name_check(pool, diag);
	if (r < 0)
		goto free_client;
	snprintf(client->pool, sizeof(client->pool), "%s", pool);
	if (getrandom(&client->nonce, sizeof(client->nonce), 0) != sizeof(client->nonce)) {
		r = cadre_refuse(diag, -errno, "cannot draw a random number: %s",
				 strerror(errno));
		goto free_client;
	}
	while ((r = open_and_lease(client, until_ns, diag)) == -ESTALE)
		nanosleep(&nap, NULL);
	if (r < 0)
		goto free_client;
	cadre_client_find_window(client);
	r = make_private(client);
	if (r < 0) {
		say_goodbye(client);
		cadre_refuse(diag, r, "cannot attach to pool \"%s\": %s", pool,
			     strerror(-r));
		goto free_private;
	}
	*ret_client = client;
	return 0;

free_private:
	cadre_forkguard_fini(&client->guard);
	cadre_consume_fini(client);
	free(client->pending);
	cadre_layout_close(&client->view);
free_client:
	free(client);
	return r;
}

void cadre_client_detach(struct cadre_client *client)
{
	if (!client)
		return;
	if (cadre_client_enter(client) == 0) {
		cadre_completion_fini(client);
		cadre_handle_fini(client);
		say_goodbye(client);
	} else {
		if (client->event_fd >= 0)
			close(client->event_fd);
		cadre_handle_fini(client);
	}
	cadre_courier_fini(client);
	cadre_forkguard_fini(&client->guard);
	cadre_consume_fini(client);
	free(client->pending);
	cadre_layout_close(&client->view);
	free(client);
}

size_t cadre_client_payload_max(const struct cadre_client *client)
{
	return (size_t)client->view.limits.payload_max;
}

uint32_t cadre_client_window(const struct cadre_client *client)
{
	return client->slot_count;
}

int32_t cadre_client_operation(const struct cadre_client *client, const char *name)
{
	const struct cadre_header *const header = client->view.header;

	for (unsigned i = 0; i < CADRE_OPERATIONS_MAX; i++) {
		const struct cadre_operation_line *const line = &header->operations[i];
		/* H4: acquire, pairs with H3 in reload.c: a name that is compared is whole. */
		const int32_t id = __atomic_load_n(&line->id, __ATOMIC_ACQUIRE);

		if (id > 0 && strncmp(line->name, name, sizeof(line->name)) == 0)
			return id;
	}
	return -ENOENT;
}

void cadre_client_end_everything(struct cadre_client *client)
{
	for (uint32_t index = 0; index < client->slot_count; index++)
		cadre_client_decide(client, index,
				    cadre_word_generation(
					    cadre_slot_peek(&client->slots[index])),
				    CADRE_TERMINATED);
}

bool cadre_client_has_supervisor(const struct cadre_client *client)
{
	const struct cadre_header *const header = client->view.header;
	const struct cadre_identity who = {
		.pid = atomic_load(&header->supervisor_pid),
		.start_time = atomic_load(&header->supervisor_start_time),
	};

	return cadre_process_lives(who);
}

bool cadre_client_look_after_pool(struct cadre_client *client, int64_t now_ns)
{
	int64_t due_ns = atomic_load_explicit(&client->next_look_ns, memory_order_relaxed);
	int64_t alone_since_ns;

	if (atomic_load_explicit(&client->dead, memory_order_relaxed))
		return true;
	if (now_ns < due_ns ||
	    !atomic_compare_exchange_strong(&client->next_look_ns, &due_ns,
					    now_ns + LOOK_AFTER_POOL_NS))
		return false;

	if (cadre_lock_holder(client->pool) != 0) {
		atomic_store(&client->alone_since_ns, 0);
		return false;
	}
	alone_since_ns = atomic_load(&client->alone_since_ns);
	if (alone_since_ns == 0) {
		atomic_store(&client->alone_since_ns, now_ns);
		return false;
	}
	if (now_ns - alone_since_ns - ORPHANS_GONE_NS < client->view.limits.orphan_ns)
		return false;
	atomic_store(&client->dead, true);
	cadre_client_end_everything(client);
	return true;
}
