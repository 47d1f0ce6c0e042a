/*
 * by_connection.c - a request that is read from the connection itself, by its worker.
 *
 * One job is one request. Its head is looked at without being taken out of the socket
 * (MSG_PEEK), and taken out only when the response begins, or when the handler wants the body
 * behind it. So nothing of the next request is ever read by accident, a head that has not
 * come whole holds no worker, and when the worker dies before it said anything, the request
 * is still in the socket: the front reads it there and answers for it.
 */
#include "kept.h"
#include "packed.h"
#include "parser.h"
#include "passed.h"

#include <cadre/client.h>
#include <cadre/descriptors.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOOK_AGAIN_MS 100
#define STEP (16u * 1024)
#define SENDFILE_STEP (1u << 20)
#define DRAIN_MAX (256u * 1024)
#define NS_PER_MS INT64_C(1000000)
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* ---- one request ---- */

struct by_connection {
	struct cadre_http http;
	struct cadre_http_passed passed;
	struct cadre_http_head head;
	struct cadre_http_parser *parser;
	int fd;
	char *text;  /* the head, and what else was seen behind it */
	size_t seen; /* bytes in text, as they came */
	size_t head_length;
	bool took_head;      /* out of the socket */
	bool asked_for_body; /* said 100 Continue */
	uint64_t body_left;  /* with a length */
	bool body_done;
	char *piece; /* of a chunked body, parsed and not handed over */
	size_t piece_start, piece_end;
	uint64_t body_seen;
	char *pending; /* the response's head, to go out with what follows it */
	size_t pending_length;
	struct cadre_http_answer answer;
	bool keep_alive;
	bool is_broken;
	uint64_t sent;
	uint64_t body_sent;
	int status;
};

static struct by_connection *by_connection_of(const struct cadre_http *http)
{
	return (struct by_connection *)(void *)http;
}

/* Waits until the socket is ready. -ETIMEDOUT; -EPIPE when nobody waits for the response. */
static int await(struct by_connection *by, short events, int64_t timeout_ns)
{
	const int64_t until_ns = cadre_now_ns() + timeout_ns;
	struct pollfd look = { .fd = by->fd, .events = events };

	while (poll(&look, 1, LOOK_AGAIN_MS) <= 0) {
		if (cadre_job_cancelled(by->http.job))
			return -EPIPE;
		if (cadre_now_ns() >= until_ns)
			return -ETIMEDOUT;
	}
	return 0;
}

/* Drops `length` bytes that are known to be there. */
static int take_out(struct by_connection *by, size_t length)
{
	while (length > 0) {
		char nowhere[4096];
		const ssize_t taken = recv(by->fd, nowhere,
					   length < sizeof(nowhere) ? length :
								      sizeof(nowhere),
					   MSG_DONTWAIT);

		if (taken < 0 && errno == EINTR)
			continue;
		if (taken <= 0)
			return -EPIPE;
		length -= (size_t)taken;
	}
	return 0;
}

static int take_head_out(struct by_connection *by)
{
	int r;

	if (by->took_head)
		return 0;
	r = take_out(by, by->head_length);
	by->took_head = true;
	if (r < 0)
		by->is_broken = true;
	return r;
}

/* ---- writing ---- */

static int broken(struct by_connection *by, int r)
{
	by->is_broken = true;
	by->keep_alive = false;
	return r;
}

static int write_parts(struct by_connection *by, struct iovec *parts, int count, int flags)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = (size_t)count };
	int r = take_head_out(by);

	if (r < 0 || by->is_broken)
		return -EPIPE;
	while (message.msg_iovlen > 0) {
		ssize_t sent = sendmsg(by->fd, &message,
				       MSG_NOSIGNAL | MSG_DONTWAIT | flags);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno != EAGAIN)
			return broken(by, -EPIPE);
		if (sent < 0) {
			r = await(by, POLLOUT, by->passed.write_timeout_ns);
			if (r < 0)
				return broken(by, r);
			continue;
		}
		by->sent += (uint64_t)sent;
		while (message.msg_iovlen > 0 && (size_t)sent >= message.msg_iov->iov_len) {
			sent -= (ssize_t)message.msg_iov->iov_len;
			message.msg_iov++;
			message.msg_iovlen--;
		}
		if (message.msg_iovlen > 0) {
			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base +
						    sent;
			message.msg_iov->iov_len -= (size_t)sent;
		}
	}
	return 0;
}

/* The head that waits, and up to three parts behind it. */
static int write_behind_head(struct by_connection *by, const struct iovec *parts,
			     int count, int flags)
{
	struct iovec all[4] = { { by->pending, by->pending_length } };
	int r;

	memcpy(all + 1, parts, (size_t)count * sizeof(*parts));
	r = write_parts(by, all, count + 1, flags);
	by->pending_length = 0;
	return r;
}

/* ---- the request's body ---- */

static void keep_piece(void *context, const char *data, size_t length)
{
	struct by_connection *const by = context;

	memcpy(by->piece + by->piece_end, data, length);
	by->piece_end += length;
	by->body_seen += length;
}

static int ask_for_body(struct by_connection *by)
{
	struct iovec part = { (void *)CONTINUE, sizeof(CONTINUE) - 1 };

	if (by->asked_for_body)
		return 0;
	by->asked_for_body = true;
	if (take_head_out(by) < 0)
		return -EPIPE;
	if (!(by->head.flags & CADRE_HTTP_EXPECTS_CONTINUE) || by->seen > by->head_length)
		return 0;
	return write_parts(by, &part, 1, 0);
}

/* Receives what is there, or waits for it. */
static ssize_t receive(struct by_connection *by, void *data, size_t size, int flags)
{
	for (;;) {
		const ssize_t length = recv(by->fd, data, size, MSG_DONTWAIT | flags);
		int r;

		if (length > 0)
			return length;
		if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
			broken(by, 0);
			return -ECONNRESET;
		}
		r = await(by, POLLIN, by->passed.body_timeout_ns);
		if (r < 0) {
			by->keep_alive = false;
			return r == -EPIPE ? -ECONNRESET : r;
		}
	}
}

/* The next chunks: looked at first, so that nothing behind the body is taken. */
static int read_chunks(struct by_connection *by)
{
	char raw[STEP];
	enum cadre_http_progress progress;
	bool keep_alive = true;
	size_t used = 0;
	ssize_t length;

	if (!by->piece)
		by->piece = malloc(STEP);
	if (!by->piece)
		return -ENOMEM;
	by->piece_start = by->piece_end = 0;
	length = receive(by, raw, sizeof(raw), MSG_PEEK);
	if (length < 0)
		return (int)length;
	progress = cadre_http_parse_body(by->parser, raw, (size_t)length, keep_piece, by,
					 &used, &keep_alive);
	if (!keep_alive)
		by->keep_alive = false;
	if (progress == CADRE_HTTP_BAD) {
		by->keep_alive = false;
		return -EBADMSG;
	}
	by->body_done = progress == CADRE_HTTP_DONE;
	if (take_out(by, used) < 0)
		return -ECONNRESET;
	return by->body_seen > by->passed.body_max ? -EMSGSIZE : 0;
}

static ssize_t read_chunked(struct by_connection *by, void *data, size_t size)
{
	size_t length;

	while (by->piece_start == by->piece_end && !by->body_done) {
		const int r = read_chunks(by);

		if (r < 0)
			return r;
	}
	length = by->piece_end - by->piece_start;
	if (length > size)
		length = size;
	if (length > 0)
		memcpy(data, by->piece + by->piece_start, length);
	by->piece_start += length;
	return (ssize_t)length;
}

static ssize_t read_body(struct cadre_http *http, void *data, size_t size)
{
	struct by_connection *const by = by_connection_of(http);
	ssize_t length;

	if (!cadre_http_head_has_body(&by->head))
		return 0;
	if (ask_for_body(by) < 0)
		return -ECONNRESET;
	if (by->head.flags & CADRE_HTTP_CHUNKED)
		return read_chunked(by, data, size);
	if (by->body_left == 0 || size == 0)
		return 0;
	length = receive(by, data, size < by->body_left ? size : (size_t)by->body_left, 0);
	if (length > 0)
		by->body_left -= (uint64_t)length;
	by->body_done = by->body_left == 0;
	return length;
}

/* A body that the handler did not read is dropped when that is quickly done; otherwise the
 * connection ends with this response. */
static void drop_body(struct by_connection *by)
{
	char nowhere[STEP];
	size_t dropped = 0;

	if (!cadre_http_head_has_body(&by->head) || by->body_done || !by->keep_alive)
		return;
	if (by->head.flags & CADRE_HTTP_EXPECTS_CONTINUE && !by->asked_for_body) {
		by->keep_alive = false;
		return;
	}
	while (!by->body_done && dropped < DRAIN_MAX) {
		struct pollfd look = { .fd = by->fd, .events = POLLIN };
		ssize_t length = -1;

		if (by->piece_start < by->piece_end || poll(&look, 1, 0) > 0)
			length = read_body(&by->http, nowhere, sizeof(nowhere));
		if (length <= 0)
			break;
		dropped += (size_t)length;
	}
	if (!by->body_done)
		by->keep_alive = false;
}

/* ---- the response ---- */

static size_t prepare(struct by_connection *by, struct cadre_http_answer *answer,
		      char *head)
{
	size_t length;

	answer->keep_alive = answer->keep_alive && by->keep_alive &&
			     !(by->passed.flags & CADRE_HTTP_PASSED_LAST);
	length = cadre_http_answer_head(answer, head);
	by->keep_alive = answer->keep_alive;
	by->status = answer->status;
	by->answer = *answer;
	return length;
}

static int respond(struct cadre_http *http, struct cadre_http_answer *answer,
		   const void *body, size_t length)
{
	struct by_connection *const by = by_connection_of(http);
	char head[CADRE_HTTP_ANSWER_HEAD_MAX];
	struct iovec parts[2] = { { head, 0 }, { (void *)body, length } };

	/* Who was cancelled has been answered for. */
	if (cadre_job_cancelled(http->job))
		return broken(by, -EPIPE);
	drop_body(by);
	parts[0].iov_len = prepare(by, answer, head);
	by->body_sent = length;
	return write_parts(by, parts, length > 0 ? 2 : 1, 0);
}

static int begin(struct cadre_http *http, struct cadre_http_answer *answer)
{
	struct by_connection *const by = by_connection_of(http);

	if (cadre_job_cancelled(http->job))
		return broken(by, -EPIPE);
	if (cadre_http_head_has_body(&by->head) && !by->body_done)
		by->keep_alive = false;
	by->pending = malloc(CADRE_HTTP_ANSWER_HEAD_MAX);
	if (!by->pending)
		return broken(by, -ENOMEM);
	by->pending_length = prepare(by, answer, by->pending);
	return 0;
}

static int send_body(struct cadre_http *http, const void *data, size_t length)
{
	struct by_connection *const by = by_connection_of(http);
	char size[24];
	struct iovec parts[3] = { { size, 0 },
				  { (void *)data, length },
				  { (void *)"\r\n", 2 } };

	if (length == 0)
		return write_behind_head(by, parts, 0, 0);
	by->body_sent += length;
	if (!cadre_http_answer_is_chunked(&by->answer))
		return write_behind_head(by, parts + 1, 1, 0);
	parts[0].iov_len = (size_t)sprintf(size, "%zx\r\n", length);
	return write_behind_head(by, parts, 3, 0);
}

static int copy_from_file(struct by_connection *by, int fd, uint64_t offset,
			  uint64_t length)
{
	off_t at = (off_t)offset;

	while (length > 0) {
		const ssize_t sent = sendfile(by->fd, fd, &at,
					      length < SENDFILE_STEP ? (size_t)length :
								       SENDFILE_STEP);
		int r;

		if (sent > 0) {
			length -= (uint64_t)sent;
			by->sent += (uint64_t)sent;
			continue;
		}
		if (sent == 0)
			return broken(by, -EIO);
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return broken(by, errno == EPIPE || errno == ECONNRESET ? -EPIPE :
										  -errno);
		r = await(by, POLLOUT, by->passed.write_timeout_ns);
		if (r < 0)
			return broken(by, r);
	}
	return 0;
}

static int send_file(struct cadre_http *http, int fd, uint64_t offset, uint64_t length)
{
	struct by_connection *const by = by_connection_of(http);
	const bool chunked = cadre_http_answer_is_chunked(&by->answer);
	char size[24];
	struct iovec front = { size, 0 }, back = { (void *)"\r\n", 2 };
	int r;

	by->body_sent += length;
	if (chunked)
		front.iov_len = (size_t)sprintf(size, "%llx\r\n",
						(unsigned long long)length);
	/* More follows: the head goes out in one packet with the file's first bytes. */
	r = write_behind_head(by, &front, 1, MSG_MORE);
	if (r == 0)
		r = copy_from_file(by, fd, offset, length);
	return r == 0 && chunked ? write_parts(by, &back, 1, 0) : r;
}

static int end(struct cadre_http *http, bool whole)
{
	struct by_connection *const by = by_connection_of(http);
	const bool has_body = !by->answer.is_head &&
			      !cadre_http_answer_is_bare(&by->answer);
	struct iovec last = { (void *)"0\r\n\r\n", 5 };

	if (!whole)
		return broken(by, -EPIPE);
	return write_behind_head(by, &last,
				 has_body && cadre_http_answer_is_chunked(&by->answer), 0);
}

/* Besides the job's own end: the client closed its side. */
static bool is_cancelled(const struct cadre_http *http)
{
	struct pollfd look = { .fd = by_connection_of(http)->fd, .events = POLLRDHUP };

	return cadre_job_cancelled(http->job) || poll(&look, 1, 0) > 0;
}

static const struct cadre_http_carrier carrier = {
	.read = read_body,
	.respond = respond,
	.begin = begin,
	.send = send_body,
	.send_file = send_file,
	.end = end,
	.is_cancelled = is_cancelled,
};

/* ---- the turn ---- */

static void refuse(struct by_connection *by, int status)
{
	char data[CADRE_HTTP_ANSWER_HEAD_MAX + CADRE_HTTP_SENTENCE_MAX];
	struct iovec part = { data, 0 };

	by->keep_alive = false;
	by->status = status;
	by->took_head = true; /* nobody reads on */
	part.iov_len = cadre_http_answer_error(status, NULL, by->head.minor, false,
					       by->head.flags & CADRE_HTTP_IS_HEAD, data);
	write_parts(by, &part, 1, 0);
}

/* Text, and the peer behind it, with a NUL between. */
static void add_peer(struct by_connection *by)
{
	const size_t length = strnlen(by->passed.peer, sizeof(by->passed.peer) - 1);

	by->head.peer = (struct cadre_http_span){ (uint32_t)by->seen, (uint32_t)length };
	memcpy(by->text + by->seen, by->passed.peer, length);
	by->text[by->seen + length] = '\0';
}

static enum cadre_http_verdict answer(struct by_connection *by,
				      const struct cadre_http_site_state *site)
{
	int status = cadre_http_parse_head(by->parser, by->text, by->head_length,
					   &by->head);

	if (status == 0 && by->head.body_length != CADRE_HTTP_LENGTH_UNKNOWN &&
	    by->head.body_length > by->passed.body_max)
		status = 413;
	if (status) {
		refuse(by, status);
		return by->is_broken ? CADRE_HTTP_BROKEN : CADRE_HTTP_LAST;
	}
	add_peer(by);
	by->keep_alive = by->head.flags & CADRE_HTTP_KEEP_ALIVE;
	by->body_left = by->head.body_length;
	cadre_http_open(&by->http, by->http.job, &carrier, &by->head, by->text);
	cadre_http_run(&by->http, site->site, site->state);
	cadre_http_close(&by->http);
	if (by->is_broken)
		return CADRE_HTTP_BROKEN;
	return by->keep_alive ? CADRE_HTTP_KEPT : CADRE_HTTP_LAST;
}

/* Looks what there is, and answers it if it is a whole head. */
static enum cadre_http_verdict look(struct by_connection *by,
				    const struct cadre_http_site_state *site)
{
	const ssize_t seen = recv(by->fd, by->text, by->passed.head_max,
				  MSG_PEEK | MSG_DONTWAIT);
	size_t scanned = 0;
	int64_t length;

	if (seen < 0 && (errno == EAGAIN || errno == EINTR))
		return CADRE_HTTP_PARTIAL;
	if (seen <= 0)
		return CADRE_HTTP_BROKEN;
	by->seen = (size_t)seen;
	by->head.minor = 1;
	length = cadre_http_find_head(by->text, by->seen, &scanned);
	if (length == 0 && by->seen < by->passed.head_max)
		return CADRE_HTTP_PARTIAL;
	if (length <= 0) {
		refuse(by, length < 0                       ? (int)-length :
			   memchr(by->text, '\n', by->seen) ? 431 :
							      414);
		return CADRE_HTTP_LAST;
	}
	by->head_length = (size_t)length;
	return answer(by, site);
}

static size_t describe(const struct by_connection *by, char *text)
{
	const struct cadre_http_head *const head = &by->head;
	const char *const referrer = cadre_http_head_field(head, by->text, "referer");
	const char *const agent = cadre_http_head_field(head, by->text, "user-agent");
	int length;

	if (!(by->passed.flags & CADRE_HTTP_PASSED_LOG) || by->status == 0)
		return 0;
	length = snprintf(text, CADRE_HTTP_RETURNED_TEXT_MAX,
			  "%.32s %.440s HTTP/1.%u%c%.150s%c%.150s",
			  head->method.length ? by->text + head->method.at : "-",
			  head->target.length ? by->text + head->target.at : "-",
			  head->minor, '\0', referrer ? referrer : "", '\0',
			  agent ? agent : "");
	return (size_t)length + 1;
}

static void report(struct by_connection *by, enum cadre_http_verdict verdict)
{
	char data[sizeof(struct cadre_http_returned) + CADRE_HTTP_RETURNED_TEXT_MAX];
	const size_t text_length = describe(by, data + sizeof(struct cadre_http_returned));
	const size_t taken = by->took_head ? by->head_length : 0;
	const struct cadre_http_returned returned = {
		.magic = CADRE_HTTP_RETURNED_MAGIC,
		.verdict = (uint16_t)verdict,
		.status = (uint16_t)by->status,
		.unread = (uint32_t)(by->seen - taken),
		.text_length = (uint32_t)text_length,
		.sent = by->sent,
		.body_bytes = by->body_sent,
	};

	memcpy(data, &returned, sizeof(returned));
	if (cadre_job_reply(by->http.job, data, sizeof(returned) + text_length) < 0)
		cadre_job_fail(by->http.job, ENOBUFS,
			       "the report finds no room in the pool");
}

static bool unpack(struct cadre_job *job, struct cadre_http_passed *passed)
{
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	if (length != sizeof(*passed))
		return false;
	memcpy(passed, data, sizeof(*passed));
	passed->peer[sizeof(passed->peer) - 1] = '\0';
	return passed->magic == CADRE_HTTP_PASSED_MAGIC && passed->head_max > 0 &&
	       passed->head_max <= CADRE_HTTP_TEXT_MAX;
}

static bool get_connection(struct by_connection *by,
			   struct cadre_http_connections *connections)
{
	int r;

	by->fd = cadre_http_take_kept(connections, &by->passed);
	if (by->fd >= 0)
		return true;
	r = cadre_job_descriptors(by->http.job, &by->fd, 1);
	if (r == 1)
		return true;
	cadre_job_fail(by->http.job, r < 0 ? -r : EBADF,
		       "the connection did not come with the job");
	return false;
}

void cadre_http_serve_connection(struct cadre_job *job, void *state)
{
	const struct cadre_http_site_state *const site = state;
	struct by_connection *const by = calloc(1, sizeof(*by));
	enum cadre_http_verdict verdict;

	if (!by || !unpack(job, &by->passed)) {
		cadre_job_fail(job, by ? EBADMSG : ENOMEM, "this is no passed connection");
		free(by);
		return;
	}
	by->http.job = job;
	if (!get_connection(by, site->connections)) {
		free(by);
		return;
	}
	by->parser = cadre_http_parser_new();
	by->text = malloc(by->passed.head_max + sizeof(by->passed.peer) + 1);
	verdict = by->parser && by->text ? look(by, site) : CADRE_HTTP_BROKEN;
	if (verdict == CADRE_HTTP_KEPT || verdict == CADRE_HTTP_PARTIAL)
		cadre_http_keep(site->connections, &by->passed, by->fd);
	else
		close(by->fd);
	report(by, verdict);
	cadre_http_parser_free(by->parser);
	free(by->pending);
	free(by->piece);
	free(by->text);
	free(by);
}
