/*
 * by_job.c - a request that came through the rings, and whose response goes back there.
 *
 * A whole response is the job's reply. A longer one goes as items of the job's stream: its
 * head first, then the body as it comes, and an empty reply at the end, or a failure when
 * less came than the head promised: the front then ends the connection.
 */
#include "exchange.h"
#include "packed.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cadre/client.h>
#include <cadre/descriptors.h>
#include <cadre/stream.h>

#define LOOK_AGAIN_MS 100

struct by_job {
	struct cadre_http http;
	struct cadre_http_unpacked request;
	size_t body_used;
	int pipe; /* -1 until it is asked for */
	bool ended;
};

static struct by_job *by_job_of(const struct cadre_http *http)
{
	return (struct by_job *)(void *)http;
}

/* ---- the body of the request ---- */

/* Its end is the front's doing: it says so by cancelling before it closes the pipe early. */
static ssize_t pipe_ended(const struct by_job *by)
{
	const uint64_t announced = by->request.head.body_length;

	if (cadre_job_cancelled(by->http.job) ||
	    (announced != CADRE_HTTP_LENGTH_UNKNOWN && by->http.body_read < announced))
		return -ECONNRESET;
	return 0;
}

static ssize_t read_pipe(struct by_job *by, void *data, size_t size)
{
	struct pollfd look = { .events = POLLIN };
	ssize_t length;

	if (by->pipe < 0) {
		const int r = cadre_job_descriptors(by->http.job, &by->pipe, 1);

		if (r != 1)
			return r == -ETIMEDOUT || r == -ENOMEM ? r : -ECONNRESET;
	}
	look.fd = by->pipe;
	while (poll(&look, 1, LOOK_AGAIN_MS) <= 0)
		if (cadre_job_cancelled(by->http.job))
			return -ECONNRESET;
	length = read(by->pipe, data, size);
	if (length < 0)
		return -ECONNRESET;
	return length > 0 ? length : pipe_ended(by);
}

static ssize_t read_body(struct cadre_http *http, void *data, size_t size)
{
	struct by_job *const by = by_job_of(http);
	const size_t left = by->request.body_length - by->body_used;

	if (by->request.by_pipe)
		return read_pipe(by, data, size);
	if (size > left)
		size = left;
	memcpy(data, by->request.body + by->body_used, size);
	by->body_used += size;
	return (ssize_t)size;
}

/* ---- the response ---- */

static struct cadre_http_packed_response pack_answer(const struct cadre_http_answer *answer,
						     bool whole)
{
	return (struct cadre_http_packed_response){
		.magic = CADRE_HTTP_RESPONSE_MAGIC,
		.status = (uint16_t)answer->status,
		.flags = (uint16_t)((whole ? CADRE_HTTP_RESPONSE_WHOLE : 0) |
				    (answer->keep_alive ? 0 : CADRE_HTTP_RESPONSE_CLOSE)),
		.lines_length = (uint32_t)answer->lines_length,
		.body_length = answer->body_length,
	};
}

static int respond(struct cadre_http *http, struct cadre_http_answer *answer,
		   const void *body, size_t length)
{
	const struct cadre_http_packed_response fixed = pack_answer(answer, true);
	const size_t size = sizeof(fixed) + answer->lines_length + length;
	struct by_job *const by = by_job_of(http);
	char *room;
	int r = cadre_job_reply_room(http->job, size, (void **)&room);

	if (r == 0) {
		room = mempcpy(room, &fixed, sizeof(fixed));
		room = mempcpy(room, answer->lines, answer->lines_length);
		if (length > 0)
			memcpy(room, body, length);
		r = cadre_job_reply_commit(http->job, size);
	}
	if (r < 0)
		cadre_job_fail(http->job, -r, "the response finds no room in the pool");
	by->ended = true;
	return r;
}

static int emitted(int r)
{
	return r == -ECANCELED || r == -EALREADY ? -EPIPE : r;
}

static int begin(struct cadre_http *http, struct cadre_http_answer *answer)
{
	const struct cadre_http_packed_response fixed = pack_answer(answer, false);
	const size_t size = sizeof(fixed) + answer->lines_length;
	void *room;
	int r;

	if (!cadre_job_is_stream(http->job))
		return -EMSGSIZE;
	r = cadre_job_emit_room(http->job, size, &room);
	if (r < 0)
		return emitted(r);
	memcpy(mempcpy(room, &fixed, sizeof(fixed)), answer->lines, answer->lines_length);
	return emitted(cadre_job_emit_commit(http->job, size));
}

/* Items of a quarter of the ring, so that one is read while the next is written. */
static int send_body(struct cadre_http *http, const void *data, size_t length)
{
	const size_t most = cadre_job_item_max(http->job) / 4;
	const char *next = data;
	int r = 0;

	while (r == 0 && length > 0) {
		const size_t step = length < most ? length : most;

		r = emitted(cadre_job_emit(http->job, next, step));
		next += step;
		length -= step;
	}
	return r;
}

static int end(struct cadre_http *http, bool whole)
{
	by_job_of(http)->ended = true;
	if (whole)
		return cadre_job_reply(http->job, "", 0);
	return cadre_job_fail(http->job, http->error < 0 ? -http->error : EPIPE,
			      "the response ended before its end");
}

static bool is_cancelled(const struct cadre_http *http)
{
	return cadre_job_cancelled(http->job);
}

static const struct cadre_http_carrier carrier = {
	.read = read_body,
	.respond = respond,
	.begin = begin,
	.send = send_body,
	.end = end,
	.is_cancelled = is_cancelled,
};

void cadre_http_serve_request(struct cadre_job *job, void *state)
{
	const struct cadre_http_site_state *const site = state;
	struct by_job by = { .pipe = -1 };
	size_t length;
	const void *const data = cadre_job_data(job, &length);
	const int r = cadre_http_unpack_request(data, length, &by.request);

	if (r < 0) {
		cadre_job_fail(job, -r, "this is no packed request of this version");
		return;
	}
	cadre_http_open(&by.http, job, &carrier, &by.request.head, by.request.text);
	cadre_http_run(&by.http, site->site, site->state);
	cadre_http_close(&by.http);
	if (by.pipe >= 0)
		close(by.pipe);
	free(by.request.text);
}
