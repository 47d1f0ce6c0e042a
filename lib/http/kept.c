/*
 * kept.c - a table with a place per serial number, modulo its size: whatever comes to a place
 * that is taken closes what was there.
 */
#include "kept.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <cadre/client.h>

#define KEPT_MAX 256u /* a power of two */
#define KEEP_NS INT64_C(20000000000)

struct kept {
	int fd; /* -1: free */
	uint64_t nonce, serial;
	int64_t since_ns;
};

struct cadre_http_connections {
	pthread_mutex_t lock;
	struct kept kept[KEPT_MAX];
	unsigned next; /* to be looked at for age */
};

int cadre_http_connections_init(struct cadre_http_site_state *site)
{
	struct cadre_http_connections *const connections = calloc(1, sizeof(*connections));

	if (!connections)
		return -ENOMEM;
	pthread_mutex_init(&connections->lock, NULL);
	for (unsigned i = 0; i < KEPT_MAX; i++)
		connections->kept[i].fd = -1;
	site->connections = connections;
	return 0;
}

void cadre_http_connections_fini(struct cadre_http_site_state *site)
{
	struct cadre_http_connections *const connections = site->connections;

	for (unsigned i = 0; connections && i < KEPT_MAX; i++)
		if (connections->kept[i].fd >= 0)
			close(connections->kept[i].fd);
	if (connections)
		pthread_mutex_destroy(&connections->lock);
	free(connections);
	site->connections = NULL;
}

int cadre_http_take_kept(struct cadre_http_connections *connections,
			 const struct cadre_http_passed *passed)
{
	struct kept *const kept = &connections->kept[passed->serial % KEPT_MAX];
	int fd = -1;

	pthread_mutex_lock(&connections->lock);
	if (kept->fd >= 0 && kept->nonce == passed->nonce &&
	    kept->serial == passed->serial) {
		fd = kept->fd;
		kept->fd = -1;
	}
	pthread_mutex_unlock(&connections->lock);
	return fd;
}

static void close_kept(struct kept *kept)
{
	if (kept->fd >= 0)
		close(kept->fd);
	kept->fd = -1;
}

void cadre_http_keep(struct cadre_http_connections *connections,
		     const struct cadre_http_passed *passed, int fd)
{
	struct kept *const kept = &connections->kept[passed->serial % KEPT_MAX];
	const int64_t now_ns = cadre_now_ns();

	pthread_mutex_lock(&connections->lock);
	close_kept(kept);
	*kept = (struct kept){ fd, passed->nonce, passed->serial, now_ns };
	for (unsigned i = 0; i < 2; i++) {
		struct kept *const old = &connections->kept[connections->next++ % KEPT_MAX];

		if (now_ns - old->since_ns > KEEP_NS)
			close_kept(old);
	}
	pthread_mutex_unlock(&connections->lock);
}
