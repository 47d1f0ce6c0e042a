/*
 * proxy_response.c - from a job's items and result to what the client reads.
 *
 * A response is either the job's reply, or comes as items of its stream. Items that the client
 * does not take pause the stream, so that no body is ever here as a whole.
 */
#include "packed.h"
#include "proxy.h"

#include <cadre/stream.h>

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#define UNSENT_MAX CADRE_HTTP_PROXY_UNSENT_MAX

/* ---- endings ---- */

void cadre_http_proxy_close_pipe(struct cadre_http_connection *connection)
{
	if (connection->pipe >= 0)
		close(connection->pipe);
	connection->pipe = -1;
}

/* The response is out, as far as it will go. */
void cadre_http_proxy_finish_response(struct cadre_http_connection *connection)
{
	struct cadre_http_front *const front = connection->front;

	cadre_http_log_request(connection);
	if (connection->state == CADRE_HTTP_GONE)
		return;
	if (!connection->keep_alive || front->draining || connection->pipe >= 0) {
		cadre_http_connection_part(connection);
		cadre_http_proxy_close_pipe(connection);
		return;
	}
	connection->state = CADRE_HTTP_IDLE;
	connection->due_ns = front->now_ns + front->options.idle_timeout_ns;
	connection->begun = false;
}

void cadre_http_proxy_sent_some(struct cadre_http_connection *connection, int r)
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
		cadre_http_proxy_finish_response(connection);
}

void cadre_http_proxy_refuse(struct cadre_http_connection *connection, int status,
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
	cadre_http_proxy_sent_some(connection,
				   cadre_http_connection_write(connection, &part, 1));
	if (connection->state != CADRE_HTTP_GONE)
		complete_response(connection);
}

/* Part of a response is out: what follows would be taken for more of it. */
void cadre_http_proxy_cut_off(struct cadre_http_connection *connection, const char *why)
{
	cadre_http_notice(connection->front, "%s: cut off: %s", connection->entry.line,
			  why);
	cadre_http_log_request(connection);
	cadre_http_connection_close(connection);
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
		cadre_http_proxy_refuse(connection, 500, NULL, true);
		return;
	}
	length = has_no_body(connection) ? 0 : result->length - taken;
	connection->entry.bytes = length;
	cadre_http_proxy_sent_some(connection,
				   write_answer(connection,
						(const char *)result->data + taken,
						length));
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

/* Whoever has to do something next gets his time for it. */
void cadre_http_proxy_await_progress(struct cadre_http_connection *connection)
{
	const struct cadre_http_front *const front = connection->front;
	const bool client_is_next = cadre_http_connection_unsent(connection) > 0;

	connection->due_ns = front->now_ns + (client_is_next ?
						      front->options.write_timeout_ns :
						      front->options.request_timeout_ns);
}

/* The front has answered in the worker's place, or nobody is there to hear it: what the job
 * still says is dropped. */
static bool is_answered(const struct cadre_http_connection *connection)
{
	return connection->state == CADRE_HTTP_GONE ||
	       connection->state == CADRE_HTTP_PARTING ||
	       (connection->state == CADRE_HTTP_SENDING && !connection->begun);
}

/* The first item is the response's head; each further one a piece of its body. */
void cadre_http_proxy_got_item(const struct cadre_item *item, void *context)
{
	struct cadre_http_connection *const connection = context;
	struct cadre_http_packed_response fixed;
	size_t taken;
	int r = 0;

	if (is_answered(connection))
		return;
	if (item->is_error) {
		cadre_http_proxy_cut_off(connection, "the worker's stream has an error");
		return;
	}
	if (!connection->begun) {
		if (!take_head(connection, item->data, item->length, &fixed, &taken)) {
			cadre_http_proxy_cut_off(connection,
						 "the worker's reply is no response");
			return;
		}
		connection->begun = true;
		connection->body_left = connection->answer.body_length;
		r = write_answer(connection, NULL, 0);
	} else if (item->length > connection->body_left) {
		cadre_http_proxy_cut_off(connection,
					 "the worker sends more than it announced");
		return;
	} else if (!has_no_body(connection) && item->length > 0) {
		if (connection->body_left != CADRE_HTTP_LENGTH_UNKNOWN)
			connection->body_left -= item->length;
		r = write_piece(connection, item->data, item->length);
	}
	if (connection->state == CADRE_HTTP_WAITING)
		connection->state = CADRE_HTTP_SENDING;
	cadre_http_proxy_sent_some(connection, r);
	cadre_http_proxy_await_progress(connection);
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
		cadre_http_proxy_cut_off(connection, result->sentence);
		return;
	}
	if (!has_no_body(connection) && connection->body_left > 0 &&
	    connection->body_left != CADRE_HTTP_LENGTH_UNKNOWN) {
		cadre_http_proxy_cut_off(connection,
					 "the worker sent less than it announced");
		return;
	}
	if (!has_no_body(connection) && cadre_http_answer_is_chunked(&connection->answer))
		r = cadre_http_connection_write(connection, &last, 1);
	cadre_http_proxy_sent_some(connection, r);
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

void cadre_http_proxy_got_result(const struct cadre_result *result, void *context)
{
	struct cadre_http_connection *const connection = context;

	cadre_http_connection_job_ended(connection);
	if (is_answered(connection)) {
		if (connection->state == CADRE_HTTP_SENDING &&
		    cadre_http_connection_unsent(connection) == 0)
			cadre_http_proxy_finish_response(connection);
		return;
	}
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
		cadre_http_proxy_refuse(connection, status, sentence,
					connection->pipe < 0);
	}
	cadre_http_proxy_go_on(connection);
}
