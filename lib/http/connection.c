/*
 * connection.c - what both ways need of a connection: writing without waiting, and closing
 * in such a manner that the client can still read what it was told.
 */
#include "front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>

#define PARTING_NS INT64_C(2000000000)
#define DROP_MAX (256u * 1024) /* in one turn */

/* ---- coming ---- */

static void name_peer(struct cadre_http_connection *connection,
		      const struct sockaddr_storage *address)
{
	char *const peer = connection->peer;

	if (address->ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, peer,
			  CADRE_HTTP_PEER_SIZE);
	else if (address->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr,
			  peer, CADRE_HTTP_PEER_SIZE);
	else
		snprintf(peer, CADRE_HTTP_PEER_SIZE, "unix");
	/* A v4 client of a v6 listener. */
	if (strncmp(peer, "::ffff:", 7) == 0 && strchr(peer, '.'))
		memmove(peer, peer + 7, strlen(peer + 7) + 1);
}

static void watch_connection(struct cadre_http_front *front,
			     struct cadre_http_watch *watch, uint32_t events)
{
	struct cadre_http_connection *const connection =
		(struct cadre_http_connection *)(void *)watch;

	if (connection->state == CADRE_HTTP_GONE)
		return;
	if (connection->state == CADRE_HTTP_PARTING)
		cadre_http_connection_drop_input(connection);
	else
		cadre_http_way(front)->ready(connection, events);
}

struct cadre_http_connection *cadre_http_connection_new(struct cadre_http_front *front,
							int fd)
{
	struct cadre_http_connection *const connection = calloc(1, sizeof(*connection));
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof(address);
	const int on = 1;

	if (!connection) {
		close(fd);
		return NULL;
	}
	getpeername(fd, (struct sockaddr *)&address, &length);
	name_peer(connection, &address);
	/* Responses are written whole; waiting for more of them gains nothing. */
	if (address.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	connection->watch.ready = watch_connection;
	connection->front = front;
	connection->fd = fd;
	connection->pipe = -1;
	connection->spare = -1;
	connection->serial = ++front->serial;
	connection->state = CADRE_HTTP_IDLE;
	connection->due_ns = front->now_ns + front->options.idle_timeout_ns;

	connection->next = front->connections;
	if (connection->next)
		connection->next->previous = connection;
	front->connections = connection;
	front->connection_count++;
	if (cadre_http_way(front)->open(connection) < 0) {
		cadre_http_connection_close(connection);
		return NULL;
	}
	return connection;
}

void cadre_http_connection_await(struct cadre_http_connection *connection, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = &connection->watch };

	if (connection->is_watched && connection->events == events)
		return;
	epoll_ctl(connection->front->epoll,
		  connection->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, connection->fd,
		  &event);
	connection->events = events;
	connection->is_watched = true;
}

/* ---- going ---- */

static void unlink_connection(struct cadre_http_connection *connection)
{
	struct cadre_http_front *const front = connection->front;

	if (connection->previous)
		connection->previous->next = connection->next;
	else
		front->connections = connection->next;
	if (connection->next)
		connection->next->previous = connection->previous;
	front->connection_count--;
}

static void inter(struct cadre_http_connection *connection)
{
	connection->next = connection->front->closed;
	connection->front->closed = connection;
}

/* Nobody waits any more. A handler that does not look may go on for as long as it might
 * have otherwise, and no longer. */
static void cancel(struct cadre_http_connection *connection)
{
	const struct cadre_http_front *const front = connection->front;

	cadre_cancel_forced(front->client, connection->ticket,
			    front->options.request_timeout_ns + CADRE_HTTP_GRACE_NS);
}

void cadre_http_connection_close(struct cadre_http_connection *connection)
{
	if (connection->state == CADRE_HTTP_GONE)
		return;
	connection->state = CADRE_HTTP_GONE;
	unlink_connection(connection);
	cadre_http_way(connection->front)->close(connection);
	/* A worker may still have it open: what ends is the connection, not a descriptor; and
	 * epoll would go on to watch it. */
	epoll_ctl(connection->front->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
	shutdown(connection->fd, SHUT_RDWR);
	close(connection->fd);
	connection->fd = -1;
	if (connection->has_job)
		cancel(connection);
	else
		inter(connection);
}

void cadre_http_connection_give_up(struct cadre_http_connection *connection)
{
	connection->is_overdue = true;
	connection->due_ns = INT64_MAX;
	cadre_cancel_forced(connection->front->client, connection->ticket,
			    CADRE_HTTP_GRACE_NS);
}

void cadre_http_connection_job_ended(struct cadre_http_connection *connection)
{
	connection->has_job = false;
	connection->is_paused = false;
	connection->front->jobs--;
	if (connection->state == CADRE_HTTP_GONE)
		inter(connection);
}

void cadre_http_bury(struct cadre_http_front *front)
{
	while (front->closed) {
		struct cadre_http_connection *const connection = front->closed;

		front->closed = connection->next;
		cadre_http_parser_free(connection->parser);
		free(connection->head);
		free(connection->in);
		free(connection->out);
		free(connection->packed);
		free(connection);
	}
}

void cadre_http_connection_part(struct cadre_http_connection *connection)
{
	if (shutdown(connection->fd, SHUT_WR) < 0) {
		cadre_http_connection_close(connection);
		return;
	}
	connection->state = CADRE_HTTP_PARTING;
	connection->due_ns = connection->front->now_ns + PARTING_NS;
	cadre_http_connection_await(connection, EPOLLIN);
	cadre_http_connection_drop_input(connection);
}

void cadre_http_connection_drop_input(struct cadre_http_connection *connection)
{
	/* For TCP, MSG_TRUNC drops without copying. */
	static char nowhere[16 * 1024];
	size_t dropped = 0;

	while (dropped < DROP_MAX) {
		const ssize_t length = recv(connection->fd, nowhere, sizeof(nowhere),
					    MSG_DONTWAIT);

		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (length <= 0) {
			cadre_http_connection_close(connection);
			return;
		}
		dropped += (size_t)length;
	}
}

/* ---- writing ---- */

static int keep_rest(struct cadre_http_connection *connection, const struct iovec *parts,
		     int count, size_t skip)
{
	size_t total = 0;

	for (int i = 0; i < count; i++)
		total += parts[i].iov_len;
	if (total == skip)
		return 0;
	if (connection->out_start == connection->out_end)
		connection->out_start = connection->out_end = 0;
	if (connection->out_end + total - skip > connection->out_size) {
		const size_t size = connection->out_end + total - skip + 4096;
		char *const room = realloc(connection->out, size);

		if (!room)
			return -ENOMEM;
		connection->out = room;
		connection->out_size = size;
	}
	for (int i = 0; i < count; i++) {
		const size_t skipped = skip < parts[i].iov_len ? skip : parts[i].iov_len;

		skip -= skipped;
		if (parts[i].iov_len == skipped)
			continue;
		memcpy(connection->out + connection->out_end,
		       (const char *)parts[i].iov_base + skipped,
		       parts[i].iov_len - skipped);
		connection->out_end += parts[i].iov_len - skipped;
	}
	return 0;
}

int cadre_http_connection_write(struct cadre_http_connection *connection,
				const struct iovec *parts, int count)
{
	const struct msghdr message = { .msg_iov = (struct iovec *)parts,
					.msg_iovlen = (size_t)count };
	ssize_t sent = 0;

	if (connection->state == CADRE_HTTP_GONE)
		return -EPIPE;
	if (cadre_http_connection_unsent(connection) == 0) {
		sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -EPIPE;
		if (sent < 0)
			sent = 0;
	}
	return keep_rest(connection, parts, count, (size_t)sent);
}

int cadre_http_connection_flush(struct cadre_http_connection *connection)
{
	while (cadre_http_connection_unsent(connection) > 0) {
		const ssize_t sent = send(connection->fd,
					  connection->out + connection->out_start,
					  cadre_http_connection_unsent(connection),
					  MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? -EAGAIN : -EPIPE;
		connection->out_start += (size_t)sent;
		connection->due_ns = connection->front->now_ns +
				     connection->front->options.write_timeout_ns;
	}
	return 0;
}
