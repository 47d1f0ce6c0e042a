/*
 * response.c - what a handler says: gathered while it is short, then sent as it comes.
 */
#include "exchange.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define COPY_STEP (64u * 1024)
#define GATHER_AT_FIRST 2048u

static const char *const own_fields[] = {
	"connection", "content-length",    "date",    "keep-alive", "server",
	"trailer",    "transfer-encoding", "upgrade",
};

/* ---- the head ---- */

int cadre_http_set_status(struct cadre_http *http, int status)
{
	if (http->stage != CADRE_HTTP_GATHERING)
		return -EALREADY;
	if (status < 200 || status > 599)
		return -EINVAL;
	http->status = status;
	return 0;
}

int cadre_http_set_length(struct cadre_http *http, uint64_t length)
{
	if (http->stage != CADRE_HTTP_GATHERING)
		return -EALREADY;
	if (length < http->written || length >= INT64_MAX)
		return -EINVAL;
	http->announced = length;
	return 0;
}

static bool is_token(const char *text)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (!((*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') ||
		      (*text >= 'A' && *text <= 'Z') || strchr(others, *text)))
			return false;
	return true;
}

static bool is_value(const char *text)
{
	for (; *text != '\0'; text++)
		if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
			return false;
	return true;
}

static bool is_own_field(const char *name)
{
	for (size_t i = 0; i < sizeof(own_fields) / sizeof(own_fields[0]); i++)
		if (strcasecmp(own_fields[i], name) == 0)
			return true;
	return false;
}

static int add_line(struct cadre_http *http, const char *name, const char *value)
{
	const size_t length = strlen(name) + strlen(value) + 4;

	if (http->lines_length + length > CADRE_HTTP_LINES_MAX)
		return -ENOSPC;
	if (!http->lines) {
		http->lines = malloc(CADRE_HTTP_LINES_MAX + 1);
		if (!http->lines)
			return -ENOMEM;
	}
	sprintf(http->lines + http->lines_length, "%s: %s\r\n", name, value);
	http->lines_length += length;
	return 0;
}

int cadre_http_set_header(struct cadre_http *http, const char *name, const char *value)
{
	int r;

	if (http->stage != CADRE_HTTP_GATHERING)
		return -EALREADY;
	if (!is_token(name) || !is_value(value) || is_own_field(name))
		return -EINVAL;
	r = add_line(http, name, value);
	if (r == 0 && strcasecmp(name, "content-type") == 0)
		http->has_type = true;
	return r;
}

static bool is_bare(const struct cadre_http *http)
{
	return http->status == 204 || http->status == 304;
}

static struct cadre_http_answer describe(struct cadre_http *http, uint64_t body_length)
{
	if (!http->has_type && !is_bare(http) && body_length > 0)
		add_line(http, "Content-Type", "text/plain; charset=utf-8");
	return (struct cadre_http_answer){
		.status = http->status,
		.lines = http->lines ? http->lines : "",
		.lines_length = http->lines_length,
		.body_length = body_length,
		.minor = http->head->minor,
		.keep_alive = (http->head->flags & CADRE_HTTP_KEEP_ALIVE) &&
			      !http->must_close,
		.is_head = http->head->flags & CADRE_HTTP_IS_HEAD,
	};
}

/* ---- the body ---- */

static int keep_error(struct cadre_http *http, int r)
{
	if (r < 0 && http->error == 0)
		http->error = r;
	return r;
}

static bool has_no_body(const struct cadre_http *http)
{
	return (http->head->flags & CADRE_HTTP_IS_HEAD) || is_bare(http);
}

/* Sends what was gathered behind the head. */
static int send_gathered(struct cadre_http *http)
{
	const size_t length = http->gathered_length;

	http->gathered_length = 0;
	if (length == 0 || has_no_body(http))
		return 0;
	return keep_error(http, http->carrier->send(http, http->gathered, length));
}

/* The head goes out, and what was gathered behind it. */
static int begin(struct cadre_http *http)
{
	struct cadre_http_answer answer = describe(http, http->announced);
	const int r = keep_error(http, http->carrier->begin(http, &answer));

	http->stage = CADRE_HTTP_BEGUN;
	return r < 0 ? r : send_gathered(http);
}

/* Nothing is held back any more, in either stage. */
static int push(struct cadre_http *http)
{
	return http->stage == CADRE_HTTP_GATHERING ? begin(http) : send_gathered(http);
}

static int gather(struct cadre_http *http, const void *data, size_t length)
{
	if (http->gathered_length + length > http->gathered_size) {
		size_t size = http->gathered_size ? http->gathered_size : GATHER_AT_FIRST;
		char *room;

		while (size < http->gathered_length + length)
			size *= 2;
		room = realloc(http->gathered, size);
		if (!room)
			return keep_error(http, -ENOMEM);
		http->gathered = room;
		http->gathered_size = size;
	}
	memcpy(http->gathered + http->gathered_length, data, length);
	http->gathered_length += length;
	return 0;
}

/* Books `length` bytes of body that are about to be written. */
static int book(struct cadre_http *http, uint64_t length)
{
	if (http->error)
		return http->error;
	if (http->stage == CADRE_HTTP_ENDED)
		return -EALREADY;
	if (http->announced != CADRE_HTTP_LENGTH_UNKNOWN &&
	    length > http->announced - http->written)
		return keep_error(http, -EMSGSIZE);
	http->written += length;
	return 0;
}

int cadre_http_write(struct cadre_http *http, const void *data, size_t length)
{
	int r = book(http, length);

	if (r < 0 || length == 0)
		return r;
	if (length <= CADRE_HTTP_GATHER_MAX - http->gathered_length)
		return gather(http, data, length);
	r = push(http);
	if (r < 0 || has_no_body(http))
		return r;
	/* Many small pieces make one; a long one needs no copy. */
	if (length <= CADRE_HTTP_GATHER_MAX / 2)
		return gather(http, data, length);
	return keep_error(http, http->carrier->send(http, data, length));
}

int cadre_http_printf(struct cadre_http *http, const char *format, ...)
{
	char text[1024], *longer = NULL;
	va_list arguments;
	int length, r;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length < 0)
		return -EINVAL;
	if ((size_t)length >= sizeof(text)) {
		va_start(arguments, format);
		length = vasprintf(&longer, format, arguments);
		va_end(arguments);
		if (length < 0)
			return keep_error(http, -ENOMEM);
	}
	r = cadre_http_write(http, longer ? longer : text, (size_t)length);
	free(longer);
	return r;
}

int cadre_http_flush(struct cadre_http *http)
{
	int r = http->error;

	if (r == 0)
		r = push(http);
	/* A carrier may hold the head back until something follows it. */
	return r < 0 ? r : keep_error(http, http->carrier->send(http, "", 0));
}

/* What a carrier without a better way does. */
static int copy_file(struct cadre_http *http, int fd, uint64_t offset, uint64_t length)
{
	char *const step = malloc(COPY_STEP);
	int r = step ? 0 : -ENOMEM;

	while (r == 0 && length > 0) {
		const ssize_t got = pread(fd, step,
					  length < COPY_STEP ? length : COPY_STEP,
					  (off_t)offset);

		if (got <= 0) {
			r = got < 0 ? -errno : -EIO;
			break;
		}
		r = http->carrier->send(http, step, (size_t)got);
		offset += (uint64_t)got;
		length -= (uint64_t)got;
	}
	free(step);
	return r;
}

/* A file that fits goes out in one piece with its head. */
static int gather_file(struct cadre_http *http, int fd, uint64_t offset, uint64_t length)
{
	char *const room = malloc(length);
	size_t done = 0;
	int r = room ? 0 : -ENOMEM;

	while (r == 0 && done < length) {
		const ssize_t got = pread(fd, room + done, length - done,
					  (off_t)(offset + done));

		if (got <= 0)
			r = got < 0 ? -errno : -EIO;
		else
			done += (size_t)got;
	}
	if (r == 0)
		r = gather(http, room, length);
	free(room);
	return keep_error(http, r);
}

int cadre_http_send_file(struct cadre_http *http, int fd, uint64_t offset, uint64_t length)
{
	int r = book(http, length);

	if (r < 0 || length == 0)
		return r;
	if (http->stage == CADRE_HTTP_GATHERING) {
		if (length <= CADRE_HTTP_GATHER_MAX - http->gathered_length)
			return gather_file(http, fd, offset, length);
		if (http->announced == CADRE_HTTP_LENGTH_UNKNOWN && http->written == length)
			http->announced = length;
	}
	r = push(http);
	if (r < 0 || has_no_body(http))
		return r;
	if (http->carrier->send_file)
		r = http->carrier->send_file(http, fd, offset, length);
	else
		r = copy_file(http, fd, offset, length);
	return keep_error(http, r);
}

int cadre_http_fail(struct cadre_http *http, int status, const char *format, ...)
{
	char text[CADRE_HTTP_SENTENCE_MAX];
	va_list arguments;

	if (http->stage != CADRE_HTTP_GATHERING)
		return -EALREADY;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	http->gathered_length = 0;
	http->lines_length = 0;
	http->has_type = false;
	http->written = 0;
	http->error = 0;
	http->announced = CADRE_HTTP_LENGTH_UNKNOWN;
	http->status = status < 200 || status > 599 ? 500 : status;
	if (status == 503)
		add_line(http, "Retry-After", "1");
	return cadre_http_printf(http, "%d %s\n", http->status, text);
}

/* ---- the end ---- */

/* The handler gave up with its body and said nothing. */
static void answer_body_error(struct cadre_http *http)
{
	http->must_close = true;
	switch (http->body_error) {
	case -EMSGSIZE:
		cadre_http_fail(http, 413, "the body is longer than this server takes");
		return;
	case -ETIMEDOUT:
		cadre_http_fail(http, 408, "the body came too slowly");
		return;
	case -EBADMSG:
		cadre_http_fail(http, 400, "the chunks of the body make no sense");
		return;
	case -ECONNRESET:
		return;
	default:
		cadre_http_fail(http, 500, "%s", cadre_http_reason(500));
	}
}

static void respond(struct cadre_http *http)
{
	struct cadre_http_answer answer;
	uint64_t length = http->written;

	/* To a HEAD request the length may be announced without the body being written. */
	if (has_no_body(http) && http->announced != CADRE_HTTP_LENGTH_UNKNOWN)
		length = http->announced;
	answer = describe(http, length);
	keep_error(http,
		   http->carrier->respond(http, &answer, http->gathered,
					  has_no_body(http) ? 0 : http->gathered_length));
}

void cadre_http_finish(struct cadre_http *http)
{
	const bool is_short = !has_no_body(http) &&
			      http->announced != CADRE_HTTP_LENGTH_UNKNOWN &&
			      http->announced != http->written;

	if (http->stage == CADRE_HTTP_GATHERING) {
		if (http->body_error && http->written == 0 && http->status == 200)
			answer_body_error(http);
		else if (is_short || http->error)
			cadre_http_fail(http, 500, "%s", cadre_http_reason(500));
		respond(http);
	} else {
		if (!http->error)
			send_gathered(http);
		http->carrier->end(http, !is_short && !http->error);
	}
	http->stage = CADRE_HTTP_ENDED;
}
