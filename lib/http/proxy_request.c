/*
 * proxy_request.c - from a client's bytes to a job.
 *
 * A body that fits is gathered first, so that a slow client holds no worker. A longer one goes
 * through a pipe while its job runs; when the worker does not read it, nobody reads from the
 * client.
 */
#include "packed.h"
#include "proxy.h"

#include <cadre/descriptors.h>
#include <cadre/http.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#define GATHER_BODY_MAX (48u * 1024) /* fits a pipe, which holds 64 KiB */
#define READ_STEP (16u * 1024)
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* ---- the request ---- */

/* Room for the items of a response that is long, should it be: what there is. A short
 * response needs none, and a long one comes through any, only slower. */
static int submit_with_room(struct cadre_http_connection *connection,
			    struct cadre_request *request)
{
	static const size_t rooms[] = { 56 * 1024, 7 * 1024, 512 };
	int r = -ENOBUFS;

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		request->stream_room = rooms[i];
		r = cadre_http_submit(connection->front, connection, request);
		/* A pool may have a small payload_max. */
		if (r != -ENOBUFS && r != -EMSGSIZE && r != -EINVAL)
			return r;
	}
	return r;
}

static void submit(struct cadre_http_connection *connection, const void *data,
		   size_t length, const int *descriptor)
{
	struct cadre_request request = {
		.operation = CADRE_HTTP_REQUEST,
		.flags = CADRE_STREAM,
		.data = data,
		.length = length,
		.ended = cadre_http_proxy_got_result,
		.item = cadre_http_proxy_got_item,
		.descriptors = descriptor,
		.descriptor_count = descriptor ? 1 : 0,
	};
	const int r = submit_with_room(connection, &request);

	if (r < 0) {
		const char *sentence;
		const int status = cadre_http_status_of_refusal(r, &sentence);

		if (descriptor)
			close(*descriptor);
		cadre_http_proxy_refuse(connection, status, sentence, !descriptor);
		return;
	}
	connection->state = descriptor ? CADRE_HTTP_UPLOAD : CADRE_HTTP_WAITING;
}

static void copy_word(char *target, size_t size, const char *text)
{
	snprintf(target, size, "%s", text ? text : "");
}

static void begin_entry(struct cadre_http_connection *connection)
{
	const struct cadre_http_head *const head = connection->head;
	const char *const text = connection->in + connection->in_start;
	struct cadre_http_entry *const entry = &connection->entry;

	entry->status = 0;
	entry->bytes = 0;
	entry->worker = -1;
	entry->running_ns = 0;
	entry->referrer[0] = '\0';
	entry->agent[0] = '\0';
	snprintf(entry->line, sizeof(entry->line), "%.32s %.440s HTTP/1.%u",
		 head->method.length ? text + head->method.at : "-",
		 head->target.length ? text + head->target.at : "-", head->minor);
	if (connection->front->log_fd < 0 || head->field_count == 0)
		return;
	copy_word(entry->referrer, sizeof(entry->referrer),
		  cadre_http_head_field(head, text, "referer"));
	copy_word(entry->agent, sizeof(entry->agent),
		  cadre_http_head_field(head, text, "user-agent"));
}

static void drop_input(struct cadre_http_connection *connection, size_t length)
{
	connection->in_start += length;
	connection->scanned = 0;
	if (connection->in_start == connection->in_end)
		connection->in_start = connection->in_end = 0;
}

/* A body begins: what carries it grows with it. */
static bool pack_head(struct cadre_http_connection *connection, const char *text)
{
	const size_t size = cadre_http_packed_size(connection->head, connection->peer);
	const uint64_t announced = connection->head->body_length;
	const size_t body = announced < GATHER_BODY_MAX ? (size_t)announced :
							  GATHER_BODY_MAX;

	connection->packed_size = size + body + READ_STEP;
	connection->packed = malloc(connection->packed_size);
	if (!connection->packed)
		return false;
	cadre_http_pack_request(connection->head, text, connection->peer,
				connection->packed);
	connection->packed_length = size;
	return true;
}

static bool ask_for_body(struct cadre_http_connection *connection)
{
	struct iovec part = { .iov_base = (void *)CONTINUE,
			      .iov_len = sizeof(CONTINUE) - 1 };

	if (!(connection->head->flags & CADRE_HTTP_EXPECTS_CONTINUE) ||
	    connection->in_end > connection->in_start)
		return true;
	cadre_http_proxy_sent_some(connection,
				   cadre_http_connection_write(connection, &part, 1));
	return connection->state != CADRE_HTTP_GONE;
}

/* The whole head is there. */
static void take_request(struct cadre_http_connection *connection, size_t length)
{
	struct cadre_http_front *const front = connection->front;
	struct cadre_http_head *const head = connection->head;
	char *const text = connection->in + connection->in_start;
	const int status = cadre_http_parse_head(connection->parser, text, length, head);
	bool unused;
	size_t used;

	connection->minor = head->minor;
	connection->is_head = head->flags & CADRE_HTTP_IS_HEAD;
	connection->keep_alive = head->flags & CADRE_HTTP_KEEP_ALIVE;
	begin_entry(connection);
	if (status) {
		cadre_http_proxy_refuse(connection, status, NULL, false);
		return;
	}
	if (head->body_length != CADRE_HTTP_LENGTH_UNKNOWN &&
	    head->body_length > front->options.body_max) {
		cadre_http_proxy_refuse(connection, 413,
					"the body is longer than this server takes",
					false);
		return;
	}
	if (!cadre_http_head_has_body(head)) {
		cadre_http_parse_body(connection->parser, text + length, 0, NULL, NULL,
				      &used, &unused);
		cadre_http_pack_request(head, text, connection->peer, front->scratch);
		drop_input(connection, length);
		submit(connection, front->scratch,
		       cadre_http_packed_size(head, connection->peer), NULL);
		return;
	}
	connection->state = CADRE_HTTP_BODY;
	connection->body_seen = 0;
	connection->body_done = false;
	connection->due_ns = front->now_ns + front->options.body_timeout_ns;
	if (!pack_head(connection, text)) {
		cadre_http_proxy_refuse(connection, 503, "memory is short", false);
		return;
	}
	drop_input(connection, length);
	ask_for_body(connection);
}

void cadre_http_proxy_look_for_head(struct cadre_http_connection *connection)
{
	struct cadre_http_front *const front = connection->front;
	const char *const data = connection->in + connection->in_start;
	const size_t there = connection->in_end - connection->in_start;
	const int64_t length = cadre_http_find_head(data, there, &connection->scanned);

	if (connection->state == CADRE_HTTP_IDLE && there > 0) {
		connection->state = CADRE_HTTP_HEAD;
		connection->entry.began_ns = front->now_ns;
		connection->due_ns = front->now_ns + front->options.head_timeout_ns;
		connection->minor = 1;
		connection->is_head = false;
		connection->keep_alive = false;
	}
	if (length > 0) {
		take_request(connection, (size_t)length);
		return;
	}
	if (length == 0 && there < front->options.head_max)
		return;
	snprintf(connection->entry.line, sizeof(connection->entry.line), "-");
	connection->entry.worker = -1;
	connection->entry.running_ns = 0;
	if (length < 0)
		cadre_http_proxy_refuse(connection, (int)-length, NULL, false);
	else
		cadre_http_proxy_refuse(connection, memchr(data, '\n', there) ? 431 : 414,
					NULL, false);
}

/* ---- a body ---- */

static void keep_body(void *context, const char *data, size_t length)
{
	struct cadre_http_connection *const connection = context;

	connection->body_seen += length;
	/* There is always room for one more piece of input: see take_body. */
	memcpy(connection->packed + connection->packed_length, data, length);
	connection->packed_length += length;
}

static bool make_room(struct cadre_http_connection *connection)
{
	const size_t wanted = connection->packed_length +
			      connection->front->options.head_max;
	char *room;

	if (wanted <= connection->packed_size)
		return true;
	room = realloc(connection->packed, wanted + READ_STEP);
	if (!room)
		return false;
	connection->packed = room;
	connection->packed_size = wanted + READ_STEP;
	return true;
}

static void pour(struct cadre_http_connection *connection);

static void watch_pipe(struct cadre_http_front *front, struct cadre_http_watch *watch,
		       uint32_t events)
{
	struct cadre_http_connection *const connection =
		(void *)((char *)watch -
			 offsetof(struct cadre_http_connection, pipe_watch));

	(void)front;
	(void)events;
	if (connection->pipe < 0 || connection->state != CADRE_HTTP_UPLOAD)
		return;
	pour(connection);
	cadre_http_proxy_go_on(connection);
}

/* The body is too long to be gathered: the job begins, and reads the rest as it comes. */
static void begin_upload(struct cadre_http_connection *connection)
{
	const size_t head = cadre_http_packed_size(connection->head, connection->peer);
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET,
				     .data.ptr = &connection->pipe_watch };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		cadre_http_proxy_refuse(connection, 503, "descriptors are short", false);
		return;
	}
	/* Only this end must not wait. */
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	cadre_http_pack_by_pipe(connection->packed);
	connection->pipe = ends[1];
	connection->pipe_start = head;
	connection->pipe_watch.ready = watch_pipe;
	epoll_ctl(connection->front->epoll, EPOLL_CTL_ADD, ends[1], &event);
	submit(connection, connection->packed, head, &ends[0]);
	if (connection->state == CADRE_HTTP_UPLOAD)
		pour(connection);
}

/* Gives the pipe what it takes. */
static void pour(struct cadre_http_connection *connection)
{
	while (connection->pipe_start < connection->packed_length) {
		const ssize_t written = write(connection->pipe,
					      connection->packed + connection->pipe_start,
					      connection->packed_length -
						      connection->pipe_start);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno == EAGAIN)
			return;
		if (written < 0) {
			/* The handler wants no more of it; its response ends the connection. */
			connection->state = CADRE_HTTP_WAITING;
			connection->keep_alive = false;
			return;
		}
		connection->pipe_start += (size_t)written;
		connection->due_ns = connection->front->now_ns +
				     connection->front->options.request_timeout_ns;
	}
	connection->pipe_start = connection->packed_length =
		cadre_http_packed_size(connection->head, connection->peer);
	if (connection->body_done) {
		cadre_http_proxy_close_pipe(connection);
		connection->state = CADRE_HTTP_WAITING;
		free(connection->packed);
		connection->packed = NULL;
	} else {
		connection->due_ns = connection->front->now_ns +
				     connection->front->options.body_timeout_ns;
	}
}

static void end_body(struct cadre_http_connection *connection)
{
	connection->body_done = true;
	if (connection->state == CADRE_HTTP_UPLOAD) {
		pour(connection);
		return;
	}
	submit(connection, connection->packed, connection->packed_length, NULL);
	free(connection->packed);
	connection->packed = NULL;
}

void cadre_http_proxy_break_off(struct cadre_http_connection *connection, int status,
				const char *sentence)
{
	/* The job must not take what it got for the whole. Its response is not waited for. */
	if (connection->has_job)
		cadre_cancel(connection->front->client, connection->ticket);
	cadre_http_proxy_close_pipe(connection);
	if (connection->begun)
		cadre_http_proxy_cut_off(connection, sentence);
	else
		cadre_http_proxy_refuse(connection, status, sentence, false);
}

/* Uses the input there is. False when nothing more can be done with it now. */
bool cadre_http_proxy_take_body(struct cadre_http_connection *connection)
{
	struct cadre_http_front *const front = connection->front;
	enum cadre_http_progress progress;
	size_t used = 0;

	if (connection->in_start == connection->in_end || connection->body_done ||
	    (connection->state == CADRE_HTTP_UPLOAD &&
	     connection->pipe_start < connection->packed_length))
		return false;
	if (!make_room(connection)) {
		cadre_http_proxy_break_off(connection, 503, "memory is short");
		return false;
	}
	progress = cadre_http_parse_body(connection->parser,
					 connection->in + connection->in_start,
					 connection->in_end - connection->in_start,
					 keep_body, connection, &used,
					 &connection->keep_alive);
	drop_input(connection, used);
	if (connection->state == CADRE_HTTP_BODY)
		connection->due_ns = front->now_ns + front->options.body_timeout_ns;
	if (progress == CADRE_HTTP_BAD) {
		cadre_http_proxy_break_off(connection, 400,
					   "the body's chunks make no sense");
	} else if (connection->body_seen > front->options.body_max) {
		cadre_http_proxy_break_off(connection, 413,
					   "the body is longer than this server takes");
	} else if (progress == CADRE_HTTP_DONE) {
		end_body(connection);
	} else if (connection->state == CADRE_HTTP_UPLOAD) {
		pour(connection);
	} else if (connection->packed_length -
			   cadre_http_packed_size(connection->head, connection->peer) >
		   GATHER_BODY_MAX - READ_STEP) {
		begin_upload(connection);
	}
	return true;
}
