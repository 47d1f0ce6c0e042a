/*
 * proxy.c - the front reads the request, a job carries it, the front writes the response.
 *
 *	IDLE -> HEAD -> (BODY ->) WAITING -> SENDING -> IDLE
 *	                 BODY -> UPLOAD -> WAITING            (a body too long for a job)
 *
 * One request of a connection is handled at a time; those that a client sends behind it wait
 * in its input. A response is either the job's reply, or comes as items of its stream. Items
 * that the client does not take pause the stream; a body that the worker does not read
 * stops the reading: so no body is ever here as a whole, in neither direction.
 */
#include "proxy.h"

#include <cadre/http.h>
#include <cadre/stream.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define UNSENT_MAX CADRE_HTTP_PROXY_UNSENT_MAX

static bool wants_input(const struct cadre_http_connection *connection)
{
	switch (connection->state) {
	case CADRE_HTTP_IDLE:
	case CADRE_HTTP_HEAD:
	case CADRE_HTTP_BODY:
		return true;
	case CADRE_HTTP_UPLOAD:
		return connection->pipe_start == connection->packed_length;
	default:
		return false;
	}
}

static void use_input(struct cadre_http_connection *connection)
{
	for (;;) {
		switch (connection->state) {
		case CADRE_HTTP_IDLE:
		case CADRE_HTTP_HEAD:
			if (connection->in_start == connection->in_end)
				return;
			cadre_http_proxy_look_for_head(connection);
			if (connection->state == CADRE_HTTP_HEAD)
				return;
			break;
		case CADRE_HTTP_BODY:
		case CADRE_HTTP_UPLOAD:
			if (!cadre_http_proxy_take_body(connection))
				return;
			break;
		default:
			return;
		}
	}
}

/* Uses what there is and says what to watch for. */
void cadre_http_proxy_go_on(struct cadre_http_connection *connection)
{
	uint32_t events = 0;

	use_input(connection);
	if (connection->state == CADRE_HTTP_GONE ||
	    connection->state == CADRE_HTTP_PARTING)
		return;
	/* While a job runs, input is watched for its end; what comes is kept until there is
	 * no room for more. */
	if (wants_input(connection) || connection->in_end - connection->in_start <
					       connection->front->options.head_max)
		events |= EPOLLIN | EPOLLRDHUP;
	if (cadre_http_connection_unsent(connection) > 0)
		events |= EPOLLOUT;
	cadre_http_connection_await(connection, events);
}

/* The client is gone. Nobody waits for what its job computes. */
static void leave(struct cadre_http_connection *connection)
{
	if (connection->has_job || connection->state == CADRE_HTTP_BODY) {
		connection->entry.status = 499;
		cadre_http_log_request(connection);
	}
	cadre_http_connection_close(connection);
}

/* False when nothing came. */
static bool receive(struct cadre_http_connection *connection)
{
	const size_t size = connection->front->options.head_max;
	ssize_t length;

	if (connection->in_start > 0 && connection->in_end == size) {
		memmove(connection->in, connection->in + connection->in_start,
			connection->in_end - connection->in_start);
		connection->in_end -= connection->in_start;
		connection->in_start = 0;
	}
	if (connection->in_end == size)
		return true;
	length = recv(connection->fd, connection->in + connection->in_end,
		      size - connection->in_end, MSG_DONTWAIT);
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (length > 0) {
		connection->in_end += (size_t)length;
		return true;
	}
	leave(connection);
	return false;
}

static void resume(struct cadre_http_connection *connection)
{
	if (!connection->is_paused ||
	    cadre_http_connection_unsent(connection) > UNSENT_MAX / 2)
		return;
	connection->is_paused = false;
	cadre_stream_resume(connection->front->client, connection->ticket);
}

static void ready(struct cadre_http_connection *connection, uint32_t events)
{
	if (events & EPOLLOUT) {
		const int r = cadre_http_connection_flush(connection);

		if (r == -EPIPE) {
			cadre_http_connection_close(connection);
			return;
		}
		resume(connection);
		if (r == 0 && connection->has_job && connection->begun)
			cadre_http_proxy_await_progress(connection);
		if (r == 0 && connection->state == CADRE_HTTP_SENDING &&
		    !connection->has_job)
			cadre_http_proxy_finish_response(connection);
	}
	if (connection->state == CADRE_HTTP_GONE ||
	    connection->state == CADRE_HTTP_PARTING)
		return;
	if (events & (EPOLLHUP | EPOLLERR)) {
		leave(connection);
		return;
	}
	if (events & (EPOLLIN | EPOLLRDHUP))
		receive(connection);
	cadre_http_proxy_go_on(connection);
}

static void late(struct cadre_http_connection *connection)
{
	switch (connection->state) {
	case CADRE_HTTP_IDLE:
		cadre_http_connection_close(connection);
		return;
	case CADRE_HTTP_HEAD:
		snprintf(connection->entry.line, sizeof(connection->entry.line), "-");
		connection->entry.worker = -1;
		cadre_http_proxy_refuse(connection, 408, "the request came too slowly",
					false);
		return;
	case CADRE_HTTP_BODY:
		cadre_http_proxy_break_off(connection, 408, "the body came too slowly");
		return;
	case CADRE_HTTP_UPLOAD:
		/* Not the client's fault as long as the worker does not read. */
		if (wants_input(connection))
			cadre_http_proxy_break_off(connection, 408,
						   "the body came too slowly");
		else
			cadre_http_connection_give_up(connection);
		return;
	default:
		if (cadre_http_connection_unsent(connection) > 0 || !connection->has_job)
			cadre_http_connection_close(connection);
		else
			cadre_http_connection_give_up(connection);
	}
}

static void close_way(struct cadre_http_connection *connection)
{
	/* A job whose body is cut off must know that before it sees the end of the pipe. */
	if (connection->has_job)
		cadre_cancel(connection->front->client, connection->ticket);
	cadre_http_proxy_close_pipe(connection);
}

static bool may_close(const struct cadre_http_connection *connection)
{
	return connection->state == CADRE_HTTP_IDLE &&
	       connection->in_start == connection->in_end;
}

static int open_way(struct cadre_http_connection *connection)
{
	connection->in = malloc(connection->front->options.head_max);
	connection->parser = cadre_http_parser_new();
	connection->head = malloc(sizeof(*connection->head));
	if (!connection->in || !connection->parser || !connection->head)
		return -ENOMEM;
	cadre_http_connection_await(connection, EPOLLIN | EPOLLRDHUP);
	/* Most clients have said what they want by now. */
	ready(connection, EPOLLIN);
	return 0;
}

const struct cadre_http_way_of cadre_http_by_proxy = {
	.open = open_way,
	.ready = ready,
	.late = late,
	.close = close_way,
	.may_close = may_close,
	.operation = CADRE_HTTP_REQUEST,
};
