/*
 * completion.c - results by callback, and the descriptor that tells of them.
 *
 * Whoever looks through the window and finds a job with a callback that has ended takes
 * it and queues it (wfcqueue of liburcu: any thread may queue, wait-free); dispatch calls
 * the callbacks. A program that asked for the descriptor has a notifier: a thread that
 * sleeps on the client's bell, looks through the window when it rings, and makes the
 * descriptor readable. Without it, dispatch looks for itself.
 */
#include "client.h"
#include "clock.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int cadre_completion_init(struct cadre_client *client)
{
	cds_wfcq_init(&client->completed_head, &client->completed_tail);
	return -pthread_mutex_init(&client->notifier_lock, NULL);
}

static void enqueue(struct cadre_client *client, struct cadre_pending *pending)
{
	cds_wfcq_node_init(&pending->node);
	cds_wfcq_enqueue(&client->completed_head, &client->completed_tail, &pending->node);
}

/* Takes every job with a callback that has ended, keeps every stream with one that has
 * something to deliver, and queues it. With `wait` it marks the
 * others as awaited, and tells when the next of them is due. Returns how many it took. */
static unsigned harvest(struct cadre_client *client, bool wait, int64_t *due_ns)
{
	const int64_t now_ns = cadre_clock_ns();
	unsigned taken = 0;

	for (uint32_t index = 0; index < client->slot_count; index++) {
		struct cadre_pending *const pending = &client->pending[index];
		/* V4, pairs with V3 in submit.c. */
		uint64_t out = atomic_load_explicit(&pending->word, memory_order_acquire);
		const uint64_t generation = cadre_pending_generation(out);
		int64_t job_due_ns;
		uint64_t word = 0;

		if (cadre_pending_state(out) != CADRE_PENDING_OUT ||
		    !atomic_load_explicit(&pending->ended, memory_order_relaxed))
			continue;
		/* Behind WAITING: who starts the clock of its token rings, or is seen. */
		if (wait)
			word = cadre_slot_await(&client->slots[index], generation);
		job_due_ns = cadre_client_look_at_time(client, index, generation, now_ns);
		if (wait && job_due_ns < *due_ns)
			*due_ns = job_due_ns;
		if (cadre_client_is_stream(client, index)) {
			if (!cadre_client_keep_stream(client, index, generation, wait))
				continue;
			enqueue(client, pending);
			taken++;
			continue;
		}
		if (wait)
			cadre_client_nudge_once(client, index, word);
		/* V7: release, pairs with V8 in call_back, which another thread may do: the
		 * queue's own order is not one that the language or a sanitizer knows. */
		if (!cadre_client_has_ended(client, index, generation, true) ||
		    !atomic_compare_exchange_strong_explicit(
			    &pending->word, &out,
			    cadre_pending_pack(CADRE_PENDING_TAKEN, generation),
			    memory_order_acq_rel, memory_order_relaxed))
			continue;
		enqueue(client, pending);
		taken++;
	}
	return taken;
}

static void signal_fd(const struct cadre_client *client)
{
	const uint64_t one = 1;

	/* Fails only when 2^64 - 1 signals are pending: readable it is. */
	if (write(client->event_fd, &one, sizeof(one)) < 0)
		return;
}

static void *notify(void *argument)
{
	struct cadre_client *const client = argument;

	bool soon = false;

	while (!atomic_load(&client->notifier_ends)) {
		/* L1: remembered before WAITING is set and the window is looked through. */
		const uint32_t rings = cadre_bell_remember(client->bell);
		const int64_t now_ns = cadre_clock_ns();
		int64_t due_ns = now_ns +
				 (soon ? CADRE_LOOK_SOON_NS : CADRE_LOOK_AGAIN_NS);

		if (harvest(client, true, &due_ns) ||
		    cadre_handle_has_news(client, now_ns, &due_ns))
			signal_fd(client);
		cadre_client_look_after_pool(client, now_ns);
		if (due_ns > now_ns)
			soon = cadre_bell_sleep(client->bell, rings, CADRE_BELL_EVERYONE,
						due_ns - now_ns) &&
			       !cadre_client_may_spin(client);
	}
	return NULL;
}

/* The notifier gets no signals of the program's. */
static int start_notifier(struct cadre_client *client)
{
	sigset_t all, before;
	int r;

	client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->event_fd < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_store(&client->notifier_runs, true);
	r = -pthread_create(&client->notifier, NULL, notify, client);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		atomic_store(&client->notifier_runs, false);
		close(client->event_fd);
		client->event_fd = -1;
	}
	return r;
}

int cadre_client_fd(struct cadre_client *client)
{
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	pthread_mutex_lock(&client->notifier_lock);
	if (client->event_fd < 0)
		r = start_notifier(client);
	if (r == 0)
		r = client->event_fd;
	pthread_mutex_unlock(&client->notifier_lock);
	return r;
}

void cadre_completion_fini(struct cadre_client *client)
{
	if (atomic_load(&client->notifier_runs)) {
		atomic_store(&client->notifier_ends, true);
		cadre_bell_ring(client->bell, CADRE_BELL_EVERYONE, INT32_MAX);
		pthread_join(client->notifier, NULL);
		close(client->event_fd);
	}
	cds_wfcq_destroy(&client->completed_head, &client->completed_tail);
	pthread_mutex_destroy(&client->notifier_lock);
}

static void call_back(struct cadre_client *client, struct cadre_pending *pending)
{
	const uint32_t index = (uint32_t)(pending - client->pending);
	cadre_ended_fn *ended;
	struct cadre_result result;
	void *context;

	/* V8: acquire, pairs with V7 in harvest. */
	atomic_load_explicit(&pending->word, memory_order_acquire);
	ended = atomic_load_explicit(&pending->ended, memory_order_relaxed);
	context = pending->context;
	cadre_client_result(client, index, &result);
	if (pending->counter)
		cadre_client_count(client, index, &result);
	ended(&result, context);
	cadre_client_let_go(client, index);
	atomic_fetch_sub_explicit(&client->callbacks, 1, memory_order_relaxed);
}

/* Delivers what one queued job has. Returns how many callbacks it called. A stream that has
 * more to deliver goes to the end of the queue, so that each gets its turn. */
static size_t deliver(struct cadre_client *client, struct cds_wfcq_node *node, size_t most)
{
	struct cadre_pending *const pending =
		(void *)((char *)node - offsetof(struct cadre_pending, node));
	const uint32_t index = (uint32_t)(pending - client->pending);
	size_t called = 0;

	if (cadre_client_is_stream(client, index)) {
		switch (cadre_client_deliver(client, index, most, &called)) {
		case CADRE_DELIVERY_LATER:
			return called;
		case CADRE_DELIVERY_AGAIN:
			enqueue(client, pending);
			return called;
		case CADRE_DELIVERY_ENDED:
			break;
		}
	}
	call_back(client, pending);
	return called + 1;
}

int cadre_client_dispatch(struct cadre_client *client, size_t most)
{
	const bool notified = atomic_load(&client->notifier_runs);
	size_t called;
	uint32_t turns = 0;
	uint64_t signals;
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	/* Cleared first: what is queued from now on signals again. */
	if (notified && read(client->event_fd, &signals, sizeof(signals)) < 0 &&
	    errno != EAGAIN)
		return -errno;
	if (!notified)
		harvest(client, false, NULL);

	called = cadre_handle_dispatch(client, most);
	/* Streams come again and again; no more turns than there can be jobs. */
	while ((most == 0 || called < most) && turns++ < client->slot_count) {
		struct cds_wfcq_node *const node = cds_wfcq_dequeue_blocking(
			&client->completed_head, &client->completed_tail);

		if (!node)
			break;
		called += deliver(client, node, most == 0 ? SIZE_MAX : most - called);
	}
	if (notified && !cds_wfcq_empty(&client->completed_head, &client->completed_tail))
		signal_fd(client);
	if (called == 0 && atomic_load(&client->dead) &&
	    atomic_load(&client->callbacks) == 0)
		return -EOWNERDEAD;
	return (int)called;
}

/* The notifier takes what ends, so its signal is what to wait for. */
static void await_fd(const struct cadre_client *client, int64_t timeout_ns)
{
	struct pollfd look = { .fd = client->event_fd, .events = POLLIN };
	const struct timespec timeout = cadre_clock_timespec(timeout_ns);

	ppoll(&look, 1, &timeout, NULL);
}

int cadre_client_await_dispatch(struct cadre_client *client, int64_t until_ns)
{
	const int64_t spin_until_ns = cadre_clock_ns() + client->spin_ns;

	for (;;) {
		const uint32_t rings = cadre_bell_remember(client->bell);
		const int called = cadre_client_dispatch(client, 0);
		int64_t now_ns, due_ns;

		if (called != 0)
			return called;
		if (atomic_load(&client->callbacks) == 0)
			return 0;
		now_ns = cadre_clock_ns();
		if (now_ns >= until_ns)
			return -ETIMEDOUT;
		if (now_ns < spin_until_ns)
			continue;
		due_ns = now_ns + CADRE_LOOK_AGAIN_NS;
		if (until_ns < due_ns)
			due_ns = until_ns;
		cadre_client_look_after_pool(client, now_ns);
		if (atomic_load(&client->notifier_runs))
			await_fd(client, due_ns - now_ns);
		else if (harvest(client, true, &due_ns) == 0 &&
			 !cadre_handle_has_news(client, now_ns, &due_ns) &&
			 due_ns > now_ns)
			cadre_bell_sleep(client->bell, rings, CADRE_BELL_EVERYONE,
					 due_ns - now_ns);
	}
}
