/*
 * courier.c - the client's side of descriptors: kept with their job until a worker asks.
 *
 *   client's process                    supervisor                  worker
 *   courier ---- COURIER -------------> keeps the connection
 *           <--- MEET + a connection -- <-------------- MEET ------ wants descriptors
 *           <------------------------------- FETCH ---------------- over that connection
 *           -------------------------------- ANSWER + descriptors -> keeps it for the next job
 *
 * The courier is a thread. What it gives away it closes here in the same breath, under the
 * lock that the rest of the client takes to give up descriptors, so each has one owner. Nothing
 * of this stands in the segment, and the kernel closes what a dead process had: in this
 * table, or in a message that nobody received. A supervisor's successor finds its couriers
 * again because they come to it when the connection to its predecessor breaks.
 */
#include "client.h"
#include "clock.h"
#include "control.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ENLIST_NS (200 * CADRE_NS_PER_MS)
#define ENLIST_AGAIN_MS 10
#define LOOK_AGAIN_MS 1000
#define PEERS_MAX 1024

/* The descriptors of one slot's job. */
struct luggage {
	uint64_t generation; /* of the job that they are of */
	uint32_t count;      /* 0: none, or given away */
	bool given;
	int fds[CADRE_DESCRIPTORS_MAX];
};

enum { LOOK_END, LOOK_SUPERVISOR, LOOK_PEERS };

struct cadre_courier {
	struct cadre_client *client;
	pthread_mutex_t lock;    /* over the luggage */
	struct luggage *luggage; /* one per slot */
	pthread_t thread;
	_Atomic bool ends;
	/* The thread's own: who is listened to. */
	nfds_t looks_count;
	struct pollfd looks[LOOK_PEERS + PEERS_MAX];
};

/* ---- the conversation ---- */

/* Makes ourselves known to the supervisor. It may be dead or busy: again later. */
static void enlist(struct cadre_courier *courier)
{
	const struct cadre_client *const client = courier->client;
	struct cadre_control message = cadre_control_message(CADRE_CONTROL_COURIER);
	const int64_t until_ns = cadre_clock_in_ns(ENLIST_NS);
	const int fd = cadre_control_connect(client->pool, until_ns);

	if (fd < 0)
		return;
	message.place = client->window;
	message.nonce = client->nonce;
	if (cadre_control_send(fd, &message) == 0 &&
	    cadre_control_await(fd, until_ns) == 0 &&
	    cadre_control_receive(fd, &message, NULL) == 1 &&
	    message.kind == CADRE_CONTROL_ANSWER && message.error == 0)
		courier->looks[LOOK_SUPERVISOR].fd = fd;
	else
		close(fd);
}

static void dismiss_peer(struct cadre_courier *courier, nfds_t peer)
{
	close(courier->looks[peer].fd);
	courier->looks[peer] = courier->looks[--courier->looks_count];
}

static void add_peer(struct cadre_courier *courier, int fd)
{
	/* More than ever talk at once: somebody holds on to lines that it does not use. */
	if (courier->looks_count == LOOK_PEERS + PEERS_MAX)
		dismiss_peer(courier, LOOK_PEERS);
	courier->looks[courier->looks_count++] = (struct pollfd){ .fd = fd,
								  .events = POLLIN };
}

static void hear_supervisor(struct cadre_courier *courier)
{
	struct pollfd *const look = &courier->looks[LOOK_SUPERVISOR];
	struct cadre_control message;
	size_t count = 0;
	int peer;
	const int r = cadre_control_receive_with(look->fd, &message, NULL, &peer, 1,
						 &count);

	if (r == 1 && count == 1) {
		add_peer(courier, peer);
	} else if (r != -EAGAIN && r != -EMFILE) {
		close(look->fd);
		look->fd = -1;
	}
}

/* Is that job in the hands of that worker, and does anybody still wait for it? */
static bool is_with(const struct cadre_client *client, uint32_t index,
		    const struct cadre_control *fetch)
{
	const uint64_t word = cadre_slot_look(&client->slots[index]);

	return (word | (uint64_t)CADRE_FLAG_WAITING << 3) ==
		       (fetch->nonce | (uint64_t)CADRE_FLAG_WAITING << 3) &&
	       cadre_word_phase(word) == CADRE_RUNNING &&
	       !(cadre_word_flags(word) & CADRE_FLAG_DECIDED);
}

static void close_all(struct luggage *luggage)
{
	for (uint32_t i = 0; i < luggage->count; i++)
		close(luggage->fds[i]);
	luggage->count = 0;
}

/* The caller has the lock. */
static int give(struct cadre_courier *courier, const struct cadre_control *fetch, int peer)
{
	const struct cadre_client *const client = courier->client;
	const uint32_t index = fetch->place - client->slot_base;
	struct cadre_control answer = cadre_control_message(CADRE_CONTROL_ANSWER);
	struct luggage *luggage;
	int r;

	if (fetch->place < client->slot_base || index >= client->slot_count ||
	    !is_with(client, index, fetch))
		return -ECANCELED;
	luggage = &courier->luggage[index];
	if (luggage->generation != cadre_word_generation(fetch->nonce))
		return -ECANCELED;
	if (luggage->given)
		return -EOWNERDEAD;
	answer.place = luggage->count;
	r = cadre_control_send_with(peer, &answer, luggage->fds, luggage->count);
	CADRE_KILL_POINT("G1");
	/* Too many are under way, say: the worker asks again. One that is not open any more was
	 * closed by whoever gave it to us. */
	if (r < 0)
		return r == -EBADF ? r : -EAGAIN;
	luggage->given = true;
	close_all(luggage);
	return 0;
}

static void hear_peer(struct cadre_courier *courier, nfds_t peer)
{
	const int fd = courier->looks[peer].fd;
	struct cadre_control message;
	int r = cadre_control_receive(fd, &message, NULL);

	if (r == -EAGAIN)
		return;
	if (r != 1 || message.kind != CADRE_CONTROL_FETCH) {
		dismiss_peer(courier, peer);
		return;
	}
	pthread_mutex_lock(&courier->lock);
	r = give(courier, &message, fd);
	pthread_mutex_unlock(&courier->lock);
	if (r < 0) {
		message = cadre_control_message(CADRE_CONTROL_ANSWER);
		message.error = r;
		if (cadre_control_send(fd, &message) < 0)
			dismiss_peer(courier, peer);
	}
}

static void *deliver(void *argument)
{
	struct cadre_courier *const courier = argument;
	struct pollfd *const looks = courier->looks;
	int again_ms = ENLIST_AGAIN_MS;

	while (!atomic_load(&courier->ends)) {
		if (looks[LOOK_SUPERVISOR].fd < 0)
			enlist(courier);
		/* A successor comes at once, or much later, or never. */
		if (looks[LOOK_SUPERVISOR].fd >= 0)
			again_ms = ENLIST_AGAIN_MS;
		else if (again_ms < LOOK_AGAIN_MS)
			again_ms *= 2;
		if (poll(looks, courier->looks_count,
			 looks[LOOK_SUPERVISOR].fd < 0 ? again_ms : LOOK_AGAIN_MS) <= 0)
			continue;
		/* From the last: one that goes is replaced by one that was heard. */
		for (nfds_t peer = courier->looks_count; peer-- > LOOK_PEERS;) {
			if (looks[peer].revents)
				hear_peer(courier, peer);
		}
		if (looks[LOOK_SUPERVISOR].fd >= 0 && looks[LOOK_SUPERVISOR].revents)
			hear_supervisor(courier);
	}
	return NULL;
}

/* ---- its life ---- */

/* The courier gets no signals of the program's. */
static int start_thread(struct cadre_courier *courier)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&courier->thread, NULL, deliver, courier);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static struct cadre_courier *make(struct cadre_client *client)
{
	struct cadre_courier *const courier = calloc(1, sizeof(*courier));

	if (!courier)
		return NULL;
	courier->client = client;
	courier->luggage = calloc(client->slot_count, sizeof(*courier->luggage));
	courier->looks[LOOK_END] = (struct pollfd){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.events = POLLIN,
	};
	courier->looks[LOOK_SUPERVISOR] = (struct pollfd){ .fd = -1, .events = POLLIN };
	courier->looks_count = LOOK_PEERS;
	pthread_mutex_init(&courier->lock, NULL);
	return courier;
}

static void discard(struct cadre_courier *courier)
{
	for (uint32_t i = 0; courier->luggage && i < courier->client->slot_count; i++)
		close_all(&courier->luggage[i]);
	for (nfds_t i = 0; i < courier->looks_count; i++) {
		if (courier->looks[i].fd >= 0)
			close(courier->looks[i].fd);
	}
	pthread_mutex_destroy(&courier->lock);
	free(courier->luggage);
	free(courier);
}

/* The client's courier, which starts now if there is none. */
static int hire(struct cadre_client *client, struct cadre_courier **ret_courier)
{
	struct cadre_courier *courier;
	int r = 0;

	pthread_mutex_lock(&client->notifier_lock);
	/* Relaxed: whoever hires has the lock. */
	courier = atomic_load_explicit(&client->courier, memory_order_relaxed);
	if (!courier) {
		courier = make(client);
		if (!courier || !courier->luggage)
			r = -ENOMEM;
		else if (courier->looks[LOOK_END].fd < 0)
			r = -EMFILE;
		else if (start_thread(courier) < 0)
			/* Not -EAGAIN, which would have the submitter wait for a free slot. */
			r = -ENOMEM;
		if (r < 0 && courier)
			discard(courier);
		if (r == 0)
			/* V9: release, pairs with V10. */
			atomic_store_explicit(&client->courier, courier,
					      memory_order_release);
	}
	pthread_mutex_unlock(&client->notifier_lock);
	if (r == 0)
		*ret_courier = courier;
	return r;
}

void cadre_courier_fini(struct cadre_client *client)
{
	/* V10, as in courier_of. */
	struct cadre_courier *const courier = atomic_load_explicit(&client->courier,
								   memory_order_acquire);
	const uint64_t one = 1;

	if (!courier)
		return;
	/* A forked child has copies of the descriptors and no such thread. */
	if (cadre_client_enter(client) == 0) {
		atomic_store(&courier->ends, true);
		if (write(courier->looks[LOOK_END].fd, &one, sizeof(one)) == sizeof(one))
			pthread_join(courier->thread, NULL);
	}
	discard(courier);
}

/* ---- what the rest of the client asks for ---- */

static struct cadre_courier *courier_of(const struct cadre_client *client)
{
	/* V10: acquire, pairs with V9 in hire. */
	return atomic_load_explicit(&client->courier, memory_order_acquire);
}

int cadre_courier_pack(struct cadre_client *client, uint32_t index, const int *fds,
		       size_t count)
{
	struct cadre_courier *courier = NULL;
	struct luggage *luggage;
	int r;

	for (size_t i = 0; i < count; i++) {
		if (fcntl(fds[i], F_GETFD) < 0)
			return -EBADF;
	}
	r = hire(client, &courier);
	if (r != 0)
		return r;
	luggage = &courier->luggage[index];
	pthread_mutex_lock(&courier->lock);
	luggage->generation = cadre_client_generation(client, index);
	luggage->count = (uint32_t)count;
	luggage->given = false;
	memcpy(luggage->fds, fds, count * sizeof(*fds));
	pthread_mutex_unlock(&courier->lock);
	return 0;
}

void cadre_courier_unpack(struct cadre_client *client, uint32_t index)
{
	struct cadre_courier *const courier = courier_of(client);

	if (!courier)
		return;
	pthread_mutex_lock(&courier->lock);
	courier->luggage[index].count = 0;
	pthread_mutex_unlock(&courier->lock);
}

void cadre_courier_close(struct cadre_client *client, uint32_t index)
{
	struct cadre_courier *const courier = courier_of(client);

	if (!courier)
		return;
	pthread_mutex_lock(&courier->lock);
	close_all(&courier->luggage[index]);
	courier->luggage[index].generation = 0;
	pthread_mutex_unlock(&courier->lock);
}

int cadre_take_back(struct cadre_client *client, const struct cadre_result *result,
		    int *ret_fds, size_t most)
{
	const uint32_t index = cadre_ticket_index(result->ticket);
	struct cadre_courier *courier;
	struct luggage *luggage;
	int count = 0;
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	courier = courier_of(client);
	if (!courier || index >= client->slot_count)
		return 0;
	luggage = &courier->luggage[index];
	pthread_mutex_lock(&courier->lock);
	if (luggage->generation == cadre_ticket_generation(result->ticket))
		count = (int)luggage->count;
	if ((size_t)count > most) {
		count = -EINVAL;
	} else if (count) {
		memcpy(ret_fds, luggage->fds, (size_t)count * sizeof(*ret_fds));
		luggage->count = 0;
	}
	pthread_mutex_unlock(&courier->lock);
	return count;
}
