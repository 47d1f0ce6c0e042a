/*
 * handoff.c - the front waits for connections to have something to read, and lets a worker
 * do the rest.
 *
 *	IDLE -> WAITING -> IDLE        a job per request; the worker read and answered it
 *	        WAITING -> HEAD -> WAITING     what came was not a whole head yet
 *	        WAITING -> SENDING -> IDLE     the front answers, and the client takes its time
 *
 * The front keeps a descriptor of each connection, so the connection outlives a worker. What
 * a dead worker has done is asked of the kernel: bytes written are those acknowledged plus
 * those still queued. If none were written, the request is answered 502 here; and if its head
 * still stands in the socket and has no body behind it, the connection goes on.
 *
 * epoll watches edges: each arrival is told once. One that is told while a worker has the
 * connection is remembered, and looked at when the worker is done.
 */
#include "front.h"
#include "passed.h"

#include <cadre/descriptors.h>
#include <cadre/http.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <linux/tcp.h>

#define WATCHED (EPOLLIN | EPOLLRDHUP | EPOLLET)

static void pass(struct cadre_http_connection *connection);

/* ---- what the kernel knows ---- */

static size_t unread(const struct cadre_http_connection *connection)
{
	int length = 0;

	return ioctl(connection->fd, FIONREAD, &length) < 0 ? 0 : (size_t)length;
}

/* Bytes ever written to the connection, by whomever. UINT64_MAX when it cannot be known, as
 * for a Unix socket. The queue is read on both sides of the counter, since an
 * acknowledgement moves bytes from one to the other. */
static uint64_t written(const struct cadre_http_connection *connection)
{
	for (int i = 0; i < 10; i++) {
		struct tcp_info info = { 0 };
		socklen_t length = sizeof(info);
		int before = 0, after = 0;

		if (ioctl(connection->fd, SIOCOUTQ, &before) < 0 ||
		    getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
		    length < offsetof(struct tcp_info, tcpi_bytes_acked) + 8 ||
		    ioctl(connection->fd, SIOCOUTQ, &after) < 0)
			return UINT64_MAX;
		if (before == after)
			return (uint64_t)info.tcpi_bytes_acked + (uint64_t)after;
	}
	return UINT64_MAX;
}

/* Progress is looked for twice in a request's time. */
static int64_t half_time(const struct cadre_http_front *front)
{
	return front->now_ns + front->options.request_timeout_ns / 2;
}

/* A number that changes whenever something is written or taken out. */
static uint64_t moved(const struct cadre_http_connection *connection)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	return info.tcpi_bytes_acked + info.tcpi_bytes_received - unread(connection);
}

/* ---- answering for a worker ---- */

static void be_idle(struct cadre_http_connection *connection)
{
	connection->state = CADRE_HTTP_IDLE;
	connection->head_due_ns = 0;
	connection->due_ns = connection->front->now_ns +
			     connection->front->options.idle_timeout_ns;
}

/* Whatever arrived meanwhile goes to a worker at once. */
static void look_again(struct cadre_http_connection *connection, size_t seen)
{
	char nothing;

	if (!connection->arrived)
		return;
	connection->arrived = false;
	if (unread(connection) > seen)
		pass(connection);
	else if (seen == 0 &&
		 recv(connection->fd, &nothing, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		cadre_http_connection_close(connection);
}

/* The front's answer is out. What the client sent behind its request is told once more by
 * epoll, in the next turn: there may be any number of requests that nobody but the front
 * answers, and one that called for the next would be a recursion as long as the client likes. */
static void finish_saying(struct cadre_http_connection *connection)
{
	connection->sent_before = written(connection);
	if (!connection->keep_alive) {
		cadre_http_connection_part(connection);
		return;
	}
	be_idle(connection);
	connection->events = 0;
	cadre_http_connection_await(connection, WATCHED);
}

static void say_on(struct cadre_http_connection *connection)
{
	const int r = cadre_http_connection_flush(connection);

	if (r == 0)
		finish_saying(connection);
	else if (r != -EAGAIN)
		cadre_http_connection_close(connection);
}

static void say(struct cadre_http_connection *connection, int status,
		const char *sentence, bool keep_alive)
{
	char *const data = connection->front->scratch;
	struct iovec part = { .iov_base = data };
	int r;

	connection->keep_alive = keep_alive && !connection->front->draining;
	part.iov_len = cadre_http_answer_error(status, sentence, connection->minor,
					       connection->keep_alive,
					       connection->is_head, data);
	connection->entry.status = status;
	connection->entry.bytes = 0;
	r = cadre_http_connection_write(connection, &part, 1);
	cadre_http_log_request(connection);
	if (r < 0) {
		cadre_http_connection_close(connection);
		return;
	}
	if (cadre_http_connection_unsent(connection) == 0) {
		finish_saying(connection);
		return;
	}
	connection->state = CADRE_HTTP_SENDING;
	connection->due_ns = connection->front->now_ns +
			     connection->front->options.write_timeout_ns;
	cadre_http_connection_await(connection, WATCHED | EPOLLOUT);
}

/* Reads the request that nobody answered, if it still stands in the socket: what it was, for
 * the log, and whether the connection can go on behind it. */
static bool take_request(struct cadre_http_connection *connection)
{
	struct cadre_http_front *const front = connection->front;
	char *const text = front->scratch + CADRE_HTTP_SCRATCH_SIZE / 2;
	struct cadre_http_parser *const parser = cadre_http_parser_new();
	struct cadre_http_head *const head = malloc(sizeof(*head));
	bool can_go_on = false;
	size_t scanned = 0;
	int64_t length = 0;
	ssize_t seen;

	seen = recv(connection->fd, text, front->options.head_max,
		    MSG_PEEK | MSG_DONTWAIT);
	if (parser && head && seen > 0)
		length = cadre_http_find_head(text, (size_t)seen, &scanned);
	if (length > 0 && cadre_http_parse_head(parser, text, (size_t)length, head) == 0) {
		connection->minor = head->minor;
		connection->is_head = head->flags & CADRE_HTTP_IS_HEAD;
		snprintf(connection->entry.line, sizeof(connection->entry.line),
			 "%.32s %.440s HTTP/1.%u", text + head->method.at,
			 text + head->target.at, head->minor);
		can_go_on = head->flags & CADRE_HTTP_KEEP_ALIVE &&
			    !cadre_http_head_has_body(head) &&
			    recv(connection->fd, text, (size_t)length, MSG_DONTWAIT) ==
				    length;
	}
	cadre_http_parser_free(parser);
	free(head);
	return can_go_on;
}

static void begin_entry(struct cadre_http_connection *connection)
{
	snprintf(connection->entry.line, sizeof(connection->entry.line), "-");
	connection->entry.referrer[0] = '\0';
	connection->entry.agent[0] = '\0';
	connection->entry.status = 0;
	connection->entry.bytes = 0;
	connection->minor = 1;
	connection->is_head = false;
}

/* The job ended without a word from its worker. */
static void answer_failure(struct cadre_http_connection *connection,
			   const struct cadre_result *result)
{
	const char *sentence;
	const enum cadre_outcome outcome = cadre_http_outcome(connection, result);
	int status = cadre_http_status_of_outcome(outcome, &sentence);
	const uint64_t sent = written(connection);
	/* One that is late is still at it: after this answer nobody may write any more. */
	const bool has_left = outcome == CADRE_LOST || outcome == CADRE_FAILED;
	const bool is_silent = sent != UINT64_MAX && sent == connection->sent_before;
	const bool can_go_on = is_silent && take_request(connection) && has_left;

	if (!is_silent)
		status = 0;
	cadre_http_notice(connection->front, "%s from %s: %d: job %s: %s",
			  connection->entry.line, connection->peer, status,
			  cadre_outcome_name(result->outcome), result->sentence);
	if (is_silent) {
		say(connection, status, sentence, can_go_on);
		return;
	}
	/* Part of a response is out: its end would be a lie. */
	connection->entry.status = status;
	cadre_http_log_request(connection);
	cadre_http_connection_close(connection);
}

/* ---- what comes back ---- */

static void take_text(struct cadre_http_connection *connection, const char *text,
		      size_t length)
{
	char *const targets[] = { connection->entry.line, connection->entry.referrer,
				  connection->entry.agent };
	const size_t sizes[] = { sizeof(connection->entry.line),
				 sizeof(connection->entry.referrer),
				 sizeof(connection->entry.agent) };

	for (int i = 0; i < 3 && length > 0; i++) {
		const size_t part = strnlen(text, length);

		snprintf(targets[i], sizes[i], "%.*s", (int)part, text);
		if (part == length)
			return;
		text += part + 1;
		length -= part + 1;
	}
}

static bool unpack(const struct cadre_result *result, struct cadre_http_returned *returned)
{
	if (result->length < sizeof(*returned))
		return false;
	memcpy(returned, result->data, sizeof(*returned));
	return returned->magic == CADRE_HTTP_RETURNED_MAGIC &&
	       returned->text_length <= CADRE_HTTP_RETURNED_TEXT_MAX &&
	       returned->text_length == result->length - sizeof(*returned);
}

static void wait_for_rest(struct cadre_http_connection *connection, size_t seen)
{
	struct cadre_http_front *const front = connection->front;

	/* Empty lines in front of a request are none. */
	connection->state = seen > 0 ? CADRE_HTTP_HEAD : CADRE_HTTP_IDLE;
	if (seen > 0 && connection->head_due_ns == 0)
		connection->head_due_ns = front->now_ns + front->options.head_timeout_ns;
	connection->due_ns = seen > 0 ? connection->head_due_ns :
					front->now_ns + front->options.idle_timeout_ns;
	look_again(connection, seen);
}

static void take_verdict(struct cadre_http_connection *connection,
			 const struct cadre_http_returned *returned, const char *text)
{
	connection->sent_before += returned->sent;
	if (returned->status != 0) {
		connection->entry.status = returned->status;
		connection->entry.bytes = returned->body_bytes;
		take_text(connection, text, returned->text_length);
		cadre_http_log_request(connection);
	}
	switch (returned->verdict) {
	case CADRE_HTTP_KEPT:
		if (connection->front->draining) {
			cadre_http_connection_part(connection);
			return;
		}
		be_idle(connection);
		connection->arrived = connection->arrived || returned->unread > 0;
		look_again(connection, 0);
		return;
	case CADRE_HTTP_LAST:
		cadre_http_connection_part(connection);
		return;
	case CADRE_HTTP_PARTIAL:
		wait_for_rest(connection, returned->unread);
		return;
	default:
		cadre_http_connection_close(connection);
	}
}

static void got_result(const struct cadre_result *result, void *context)
{
	struct cadre_http_connection *const connection = context;
	struct cadre_http_front *const front = connection->front;
	struct cadre_http_returned returned;

	cadre_http_connection_job_ended(connection);
	if (cadre_take_back(front->client, result, &connection->spare, 1) != 1)
		connection->spare = -1;
	if (connection->state == CADRE_HTTP_GONE) {
		if (connection->spare >= 0)
			close(connection->spare);
		connection->spare = -1;
		return;
	}
	if (connection->state == CADRE_HTTP_PARTING)
		return;
	connection->entry.worker = result->worker;
	connection->entry.running_ns = result->running_ns;
	if (result->outcome != CADRE_OK)
		answer_failure(connection, result);
	else if (unpack(result, &returned))
		take_verdict(connection, &returned,
			     (const char *)result->data + sizeof(returned));
	else
		cadre_http_connection_close(connection);
}

/* ---- passing it on ---- */

static void pass(struct cadre_http_connection *connection)
{
	struct cadre_http_front *const front = connection->front;
	struct cadre_http_passed passed = {
		.magic = CADRE_HTTP_PASSED_MAGIC,
		.flags = (front->draining ? CADRE_HTTP_PASSED_LAST : 0) |
			 (front->log_fd >= 0 ? CADRE_HTTP_PASSED_LOG : 0),
		.nonce = front->nonce,
		.serial = connection->serial,
		.body_max = front->options.body_max,
		.body_timeout_ns = front->options.body_timeout_ns,
		.write_timeout_ns = front->options.write_timeout_ns,
		.head_max = front->options.head_max,
	};
	struct cadre_request request = {
		.operation = CADRE_HTTP_CONNECTION,
		.data = &passed,
		.length = sizeof(passed),
		.ended = got_result,
		.descriptors = &connection->spare,
		.descriptor_count = 1,
	};
	const char *sentence;
	int r, status;

	memcpy(passed.peer, connection->peer, sizeof(passed.peer));
	begin_entry(connection);
	connection->entry.began_ns = front->now_ns;
	if (connection->spare < 0)
		connection->spare = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
	r = connection->spare < 0 ? -ENOBUFS :
				    cadre_http_submit(front, connection, &request);
	if (r == 0) {
		connection->spare = -1;
		connection->arrived = false;
		connection->state = CADRE_HTTP_WAITING;
		connection->moved = UINT64_MAX;
		connection->due_ns = half_time(front);
		return;
	}
	status = cadre_http_status_of_refusal(r, &sentence);
	connection->entry.worker = -1;
	say(connection, status, sentence, take_request(connection));
}

static void ready(struct cadre_http_connection *connection, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR)) {
		cadre_http_connection_close(connection);
		return;
	}
	connection->arrived = true;
	if (connection->state == CADRE_HTTP_SENDING)
		say_on(connection);
	else if (!connection->has_job)
		look_again(connection, 0);
}

/* A long body takes its time, in either direction: what moves goes on. The worker sees to it
 * that a client does not stop. */
static void look_for_progress(struct cadre_http_connection *connection)
{
	const uint64_t before = connection->moved;

	connection->moved = moved(connection);
	if (before == connection->moved)
		cadre_http_connection_give_up(connection);
	else
		connection->due_ns = half_time(connection->front);
}

static void late(struct cadre_http_connection *connection)
{
	if (connection->has_job) {
		look_for_progress(connection);
	} else if (connection->state == CADRE_HTTP_HEAD) {
		begin_entry(connection);
		connection->entry.worker = -1;
		say(connection, 408, "the request came too slowly", false);
	} else {
		cadre_http_connection_close(connection);
	}
}

static void close_way(struct cadre_http_connection *connection)
{
	if (connection->spare >= 0)
		close(connection->spare);
	connection->spare = -1;
}

static bool may_close(const struct cadre_http_connection *connection)
{
	return connection->state == CADRE_HTTP_IDLE && unread(connection) == 0;
}

static int open_way(struct cadre_http_connection *connection)
{
	connection->sent_before = written(connection);
	cadre_http_connection_await(connection, WATCHED);
	return 0;
}

const struct cadre_http_way_of cadre_http_by_handoff = {
	.open = open_way,
	.ready = ready,
	.late = late,
	.close = close_way,
	.may_close = may_close,
	.operation = CADRE_HTTP_CONNECTION,
};
