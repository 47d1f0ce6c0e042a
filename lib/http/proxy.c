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
#include "front.h"
#include "packed.h"

#include <cadre/descriptors.h>
#include <cadre/http.h>
#include <cadre/stream.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define GATHER_BODY_MAX (48u * 1024) /* fits a pipe, which holds 64 KiB */
#define READ_STEP (16u * 1024)
#define STREAM_ROOM (56u * 1024)
#define UNSENT_MAX (256u * 1024)
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static void go_on(struct cadre_http_connection *connection);

/* ---- endings ---- */

static void close_pipe(struct cadre_http_connection *connection)
{
	if (connection->pipe >= 0)
		close(connection->pipe);
	connection->pipe = -1;
}

static void close_way(struct cadre_http_connection *connection)
{
	/* A job whose body is cut off must know that before it sees the end of the pipe. */
	if (connection->has_job)
		cadre_cancel(connection->front->client, connection->ticket);
	close_pipe(connection);
}

/* The response is out, as far as it will go. */
static void finish_response(struct cadre_http_connection *connection)
{
	struct cadre_http_front *const front = connection->front;

	cadre_http_log_request(connection);
	if (connection->state == CADRE_HTTP_GONE)
		return;
	if (!connection->keep_alive || front->draining || connection->pipe >= 0) {
		cadre_http_connection_part(connection);
		close_pipe(connection);
		return;
	}
	connection->state = CADRE_HTTP_IDLE;
	connection->due_ns = front->now_ns + front->options.idle_timeout_ns;
	connection->begun = false;
}

static void sent_some(struct cadre_http_connection *connection, int r)
{
	if (r < 0) {
		cadre_http_connection_close(connection);
		return;
	}
	if (connection->state != CADRE_HTTP_GONE &&
	    cadre_http_connection_unsent(connection) > 0)
		cadre_http_connection_await(connection, EPOLLIN | EPOLLOUT);
}

/* The last byte was handed to write; what the socket did not take follows when it can. */
static void complete_response(struct cadre_http_connection *connection)
{
	connection->state = CADRE_HTTP_SENDING;
	connection->due_ns = connection->front->now_ns +
			     connection->front->options.write_timeout_ns;
	if (cadre_http_connection_unsent(connection) == 0)
		finish_response(connection);
}

static void refuse(struct cadre_http_connection *connection, int status,
		   const char *sentence, bool keep_alive)
{
	char *const data = connection->front->scratch;
	struct iovec part = { .iov_base = data };

	connection->keep_alive = connection->keep_alive && keep_alive &&
				 !connection->front->draining;
	part.iov_len = cadre_http_answer_error(status, sentence, connection->minor,
					       connection->keep_alive,
					       connection->is_head, data);
	connection->entry.status = status;
	connection->entry.bytes = 0;
	sent_some(connection, cadre_http_connection_write(connection, &part, 1));
	if (connection->state != CADRE_HTTP_GONE)
		complete_response(connection);
}

/* ---- the response ---- */

/* Copies the head of a response out of shared memory and checks the copy. The body that
 * follows it, if any, is what is left of data. */
static bool take_head(struct cadre_http_connection *connection, const char *data,
		      size_t length, struct cadre_http_packed_response *ret_fixed,
		      size_t *ret_taken)
{
	struct cadre_http_front *const front = connection->front;
	char *const lines = front->scratch + CADRE_HTTP_SCRATCH_SIZE -
			    CADRE_HTTP_LINES_MAX;

	if (length < sizeof(*ret_fixed))
		return false;
	memcpy(ret_fixed, data, sizeof(*ret_fixed));
	if (ret_fixed->lines_length > CADRE_HTTP_LINES_MAX ||
	    ret_fixed->lines_length > length - sizeof(*ret_fixed))
		return false;
	memcpy(lines, data + sizeof(*ret_fixed), ret_fixed->lines_length);
	if (!cadre_http_response_is_sound(ret_fixed, lines))
		return false;
	*ret_taken = sizeof(*ret_fixed) + ret_fixed->lines_length;
	connection->answer = (struct cadre_http_answer){
		.status = ret_fixed->status,
		.lines = lines,
		.lines_length = ret_fixed->lines_length,
		.body_length = ret_fixed->body_length,
		.minor = connection->minor,
		.keep_alive = connection->keep_alive && !connection->front->draining &&
			      !(ret_fixed->flags & CADRE_HTTP_RESPONSE_CLOSE) &&
			      connection->pipe < 0,
		.is_head = connection->is_head,
	};
	return true;
}

static bool has_no_body(const struct cadre_http_connection *connection)
{
	return connection->is_head || cadre_http_answer_is_bare(&connection->answer);
}

static int write_answer(struct cadre_http_connection *connection, const char *body,
			size_t length)
{
	struct iovec parts[2] = { { .iov_base = connection->front->scratch },
				  { .iov_base = (void *)body, .iov_len = length } };

	parts[0].iov_len = cadre_http_answer_head(&connection->answer, parts[0].iov_base);
	connection->keep_alive = connection->answer.keep_alive;
	connection->entry.status = connection->answer.status;
	return cadre_http_connection_write(connection, parts, 2);
}

static void answer_whole(struct cadre_http_connection *connection,
			 const struct cadre_result *result)
{
	struct cadre_http_packed_response fixed;
	size_t taken, length;

	if (!take_head(connection, result->data, result->length, &fixed, &taken) ||
	    !(fixed.flags & CADRE_HTTP_RESPONSE_WHOLE) ||
	    (!has_no_body(connection) && result->length - taken != fixed.body_length)) {
		cadre_http_notice(connection->front,
				  "%s: the worker's reply is no response",
				  connection->entry.line);
		refuse(connection, 500, NULL, true);
		return;
	}
	length = has_no_body(connection) ? 0 : result->length - taken;
	connection->entry.bytes = length;
	sent_some(connection,
		  write_answer(connection, (const char *)result->data + taken, length));
	if (connection->state != CADRE_HTTP_GONE)
		complete_response(connection);
}

static int write_piece(struct cadre_http_connection *connection, const char *data,
		       size_t length)
{
	char size[24];
	struct iovec parts[3] = { { .iov_base = size },
				  { .iov_base = (void *)data, .iov_len = length },
				  { .iov_base = (void *)"\r\n", .iov_len = 2 } };

	connection->entry.bytes += length;
	if (!cadre_http_answer_is_chunked(&connection->answer))
		return cadre_http_connection_write(connection, parts + 1, 1);
	parts[0].iov_len = (size_t)sprintf(size, "%zx\r\n", length);
	return cadre_http_connection_write(connection, parts, 3);
}

static void abort_response(struct cadre_http_connection *connection, const char *why)
{
	cadre_http_notice(connection->front, "%s: cut off: %s", connection->entry.line,
			  why);
	cadre_http_log_request(connection);
	cadre_http_connection_close(connection);
}

/* Whoever has to do something next gets his time for it. */
static void await_progress(struct cadre_http_connection *connection)
{
	const struct cadre_http_front *const front = connection->front;
	const bool client_is_next = cadre_http_connection_unsent(connection) > 0;

	connection->due_ns = front->now_ns + (client_is_next ?
						      front->options.write_timeout_ns :
						      front->options.request_timeout_ns);
}

/* The first item is the response's head; each further one a piece of its body. */
static void got_item(const struct cadre_item *item, void *context)
{
	struct cadre_http_connection *const connection = context;
	struct cadre_http_packed_response fixed;
	size_t taken;
	int r = 0;

	if (connection->state == CADRE_HTTP_GONE ||
	    connection->state == CADRE_HTTP_PARTING)
		return;
	if (item->is_error) {
		abort_response(connection, "the worker's stream has an error");
		return;
	}
	if (!connection->begun) {
		if (!take_head(connection, item->data, item->length, &fixed, &taken)) {
			abort_response(connection, "the worker's reply is no response");
			return;
		}
		connection->begun = true;
		connection->body_left = connection->answer.body_length;
		r = write_answer(connection, NULL, 0);
	} else if (item->length > connection->body_left) {
		abort_response(connection, "the worker sends more than it announced");
		return;
	} else if (!has_no_body(connection) && item->length > 0) {
		if (connection->body_left != CADRE_HTTP_LENGTH_UNKNOWN)
			connection->body_left -= item->length;
		r = write_piece(connection, item->data, item->length);
	}
	if (connection->state == CADRE_HTTP_WAITING)
		connection->state = CADRE_HTTP_SENDING;
	sent_some(connection, r);
	await_progress(connection);
	if (connection->state != CADRE_HTTP_GONE && !connection->is_paused &&
	    cadre_http_connection_unsent(connection) > UNSENT_MAX)
		connection->is_paused = cadre_stream_pause(connection->front->client,
							   item->ticket) == 0;
}

static void end_stream(struct cadre_http_connection *connection,
		       const struct cadre_result *result)
{
	struct iovec last = { .iov_base = (void *)"0\r\n\r\n", .iov_len = 5 };
	int r = 0;

	if (result->outcome != CADRE_OK) {
		abort_response(connection, result->sentence);
		return;
	}
	if (!has_no_body(connection) && connection->body_left > 0 &&
	    connection->body_left != CADRE_HTTP_LENGTH_UNKNOWN) {
		abort_response(connection, "the worker sent less than it announced");
		return;
	}
	if (!has_no_body(connection) && cadre_http_answer_is_chunked(&connection->answer))
		r = cadre_http_connection_write(connection, &last, 1);
	sent_some(connection, r);
	if (connection->state != CADRE_HTTP_GONE)
		complete_response(connection);
}

/* An exclamation that somebody reads at night: which request, what became of it, and why. */
static void tell_failure(struct cadre_http_connection *connection,
			 const struct cadre_result *result, int status)
{
	cadre_http_notice(connection->front, "%s from %s: %d: job %s: %s",
			  connection->entry.line, connection->peer, status,
			  cadre_outcome_name(result->outcome), result->sentence);
}

static void got_result(const struct cadre_result *result, void *context)
{
	struct cadre_http_connection *const connection = context;

	cadre_http_connection_job_ended(connection);
	if (connection->state == CADRE_HTTP_GONE ||
	    connection->state == CADRE_HTTP_PARTING)
		return;
	connection->entry.worker = result->worker;
	connection->entry.running_ns = result->running_ns;
	if (connection->begun) {
		end_stream(connection, result);
	} else if (result->outcome == CADRE_OK) {
		answer_whole(connection, result);
	} else {
		const char *sentence;
		const int status = cadre_http_status_of_outcome(
			cadre_http_outcome(connection, result), &sentence);

		tell_failure(connection, result, status);
		refuse(connection, status, sentence, connection->pipe < 0);
	}
	go_on(connection);
}

/* ---- the request ---- */

static void submit(struct cadre_http_connection *connection, const void *data,
		   size_t length, const int *descriptor)
{
	struct cadre_request request = {
		.operation = CADRE_HTTP_REQUEST,
		.flags = CADRE_STREAM,
		.data = data,
		.length = length,
		.ended = got_result,
		.item = got_item,
		.stream_room = STREAM_ROOM,
		.descriptors = descriptor,
		.descriptor_count = descriptor ? 1 : 0,
	};
	int r = cadre_http_submit(connection->front, connection, &request);

	/* A small ring serves as well, only slower. */
	if (r == -ENOBUFS || r == -EMSGSIZE || r == -EINVAL) {
		request.stream_room = 0;
		r = cadre_http_submit(connection->front, connection, &request);
	}
	if (r < 0) {
		const char *sentence;
		const int status = cadre_http_status_of_refusal(r, &sentence);

		if (descriptor)
			close(*descriptor);
		refuse(connection, status, sentence, !descriptor);
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
	sent_some(connection, cadre_http_connection_write(connection, &part, 1));
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
		refuse(connection, status, NULL, false);
		return;
	}
	if (head->body_length != CADRE_HTTP_LENGTH_UNKNOWN &&
	    head->body_length > front->options.body_max) {
		refuse(connection, 413, "the body is longer than this server takes",
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
		refuse(connection, 503, "memory is short", false);
		return;
	}
	drop_input(connection, length);
	ask_for_body(connection);
}

static void look_for_head(struct cadre_http_connection *connection)
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
	strcpy(connection->entry.line, "-");
	connection->entry.worker = -1;
	connection->entry.running_ns = 0;
	if (length < 0)
		refuse(connection, (int)-length, NULL, false);
	else
		refuse(connection, memchr(data, '\n', there) ? 431 : 414, NULL, false);
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
	go_on(connection);
}

/* The body is too long to be gathered: the job begins, and reads the rest as it comes. */
static void begin_upload(struct cadre_http_connection *connection)
{
	const size_t head = cadre_http_packed_size(connection->head, connection->peer);
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET,
				     .data.ptr = &connection->pipe_watch };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		refuse(connection, 503, "descriptors are short", false);
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
		close_pipe(connection);
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

static void break_off(struct cadre_http_connection *connection, int status,
		      const char *sentence)
{
	/* The job must not take what it got for the whole. Its response is not waited for. */
	if (connection->has_job)
		cadre_cancel(connection->front->client, connection->ticket);
	close_pipe(connection);
	refuse(connection, status, sentence, false);
}

/* Uses the input there is. False when nothing more can be done with it now. */
static bool take_body(struct cadre_http_connection *connection)
{
	struct cadre_http_front *const front = connection->front;
	enum cadre_http_progress progress;
	size_t used = 0;

	if (connection->in_start == connection->in_end || connection->body_done ||
	    (connection->state == CADRE_HTTP_UPLOAD &&
	     connection->pipe_start < connection->packed_length))
		return false;
	if (!make_room(connection)) {
		break_off(connection, 503, "memory is short");
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
		break_off(connection, 400, "the body's chunks make no sense");
	} else if (connection->body_seen > front->options.body_max) {
		break_off(connection, 413, "the body is longer than this server takes");
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

/* ---- the connection ---- */

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
			look_for_head(connection);
			if (connection->state == CADRE_HTTP_HEAD)
				return;
			break;
		case CADRE_HTTP_BODY:
		case CADRE_HTTP_UPLOAD:
			if (!take_body(connection))
				return;
			break;
		default:
			return;
		}
	}
}

/* Uses what there is and says what to watch for. */
static void go_on(struct cadre_http_connection *connection)
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
			await_progress(connection);
		if (r == 0 && connection->state == CADRE_HTTP_SENDING &&
		    !connection->has_job)
			finish_response(connection);
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
	go_on(connection);
}

static void late(struct cadre_http_connection *connection)
{
	switch (connection->state) {
	case CADRE_HTTP_IDLE:
		cadre_http_connection_close(connection);
		return;
	case CADRE_HTTP_HEAD:
		strcpy(connection->entry.line, "-");
		connection->entry.worker = -1;
		refuse(connection, 408, "the request came too slowly", false);
		return;
	case CADRE_HTTP_BODY:
		break_off(connection, 408, "the body came too slowly");
		return;
	case CADRE_HTTP_UPLOAD:
		/* Not the client's fault as long as the worker does not read. */
		if (wants_input(connection))
			break_off(connection, 408, "the body came too slowly");
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
