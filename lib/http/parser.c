/*
 * parser.c - llhttp's callbacks, and the checks around them.
 *
 * The head comes to llhttp in one piece, so each part of it is one span, and a pause at its
 * end keeps the body for later. Trailers are read over; a request that has them ends its
 * connection, so that no disagreement about where they end can become another request.
 */
#include "parser.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LLHTTP_STRICT_MODE 1
#include <llhttp.h>

#define TARGET_MAX 8192
#define TRAILERS_MAX 8192

struct cadre_http_parser {
	llhttp_t llhttp;
	char *text;
	struct cadre_http_head *head;
	int refused; /* a status, when a callback said no */
	bool is_head;
	bool has_trailers;
	size_t trailer_bytes;
	cadre_http_body_fn *body;
	void *context;
};

/* ---- where a head ends ---- */

static bool line_is_empty(const char *line, const char *end)
{
	return end - line == 1 && line[0] == '\r';
}

/* `end` is the line's LF. */
static bool line_is_sound(const char *line, const char *end)
{
	const size_t length = (size_t)(end - line);

	return length > 0 && end[-1] == '\r' && line[0] != ' ' && line[0] != '\t' &&
	       !memchr(line, '\r', length - 1) && !memchr(line, '\0', length);
}

int64_t cadre_http_find_head(const char *data, size_t length, size_t *scanned)
{
	const char *const limit = data + length;
	const char *line = data + *scanned;
	/* Empty lines do not end a head that has not begun. */
	bool has_begun = false;

	for (const char *at = data; at < line && !has_begun; at++)
		has_begun = *at != '\r' && *at != '\n';
	while (line < limit) {
		const char *const end = memchr(line, '\n', (size_t)(limit - line));

		if (!end)
			return memchr(line, '\0', (size_t)(limit - line)) ? -400 : 0;
		if (!line_is_sound(line, end))
			return -400;
		if (has_begun && line_is_empty(line, end))
			return end + 1 - data;
		has_begun = has_begun || !line_is_empty(line, end);
		line = end + 1;
		*scanned = (size_t)(line - data);
	}
	return 0;
}

/* ---- callbacks ---- */

static struct cadre_http_parser *parser_of(llhttp_t *llhttp)
{
	return (struct cadre_http_parser *)llhttp;
}

static int refuse(struct cadre_http_parser *parser, int status)
{
	if (!parser->refused)
		parser->refused = status;
	return HPE_USER;
}

static struct cadre_http_span span(const struct cadre_http_parser *parser, const char *at,
				   size_t length)
{
	return (struct cadre_http_span){ (uint32_t)(at - parser->text), (uint32_t)length };
}

static int on_method(llhttp_t *llhttp, const char *at, size_t length)
{
	struct cadre_http_parser *const parser = parser_of(llhttp);

	parser->head->method = span(parser, at, length);
	return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t length)
{
	struct cadre_http_parser *const parser = parser_of(llhttp);

	parser->head->target = span(parser, at, length);
	return length > TARGET_MAX ? refuse(parser, 414) : 0;
}

/* Of trailers nothing is kept but the fact. */
static int count_trailer(struct cadre_http_parser *parser, size_t length)
{
	parser->has_trailers = true;
	parser->trailer_bytes += length;
	return parser->trailer_bytes > TRAILERS_MAX ? refuse(parser, 431) : 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t length)
{
	struct cadre_http_parser *const parser = parser_of(llhttp);
	struct cadre_http_head *const head = parser->head;

	if (!parser->is_head)
		return count_trailer(parser, length);
	if (length == 0)
		return refuse(parser, 400);
	if (head->field_count == CADRE_HTTP_FIELDS_MAX)
		return refuse(parser, 431);
	head->fields[head->field_count].name = span(parser, at, length);
	/* A field without a value has no span of it. */
	head->fields[head->field_count].value = span(parser, at + length, 0);
	head->field_count++;
	return 0;
}

/* An empty value keeps its place behind the name: where llhttp says that it is, the next
 * line begins. In a head that has come whole, no value has two parts. */
static bool set_value(struct cadre_http_parser *parser, const char *at, size_t length)
{
	struct cadre_http_span *const value =
		&parser->head->fields[parser->head->field_count - 1].value;

	if (length > 0 && value->length > 0)
		return false;
	if (length > 0)
		*value = span(parser, at, length);
	return true;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t length)
{
	struct cadre_http_parser *const parser = parser_of(llhttp);
	struct cadre_http_head *const head = parser->head;

	if (!parser->is_head)
		return count_trailer(parser, length);
	return head->field_count == 0 || !set_value(parser, at, length) ?
		       refuse(parser, 400) :
		       0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
	/* Offers to speak another protocol are declined by not taking them up. */
	llhttp->upgrade = 0;
	return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t length)
{
	struct cadre_http_parser *const parser = parser_of(llhttp);

	parser->body(parser->context, at, length);
	return 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
	(void)llhttp;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_method = on_method,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

struct cadre_http_parser *cadre_http_parser_new(void)
{
	struct cadre_http_parser *const parser = calloc(1, sizeof(*parser));

	if (parser)
		llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
	return parser;
}

void cadre_http_parser_free(struct cadre_http_parser *parser)
{
	free(parser);
}

/* ---- the head ---- */

static unsigned count_fields(const struct cadre_http_head *head, const char *text,
			     const char *name)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < head->field_count; i++)
		if (strcasecmp(text + head->fields[i].name.at, name) == 0)
			count++;
	return count;
}

const char *cadre_http_head_field(const struct cadre_http_head *head, const char *text,
				  const char *name)
{
	for (uint32_t i = 0; i < head->field_count; i++)
		if (strcasecmp(text + head->fields[i].name.at, name) == 0)
			return text + head->fields[i].value.at;
	return NULL;
}

static void end_span(char *text, const struct cadre_http_span *part)
{
	text[part->at + part->length] = '\0';
}

/* llhttp leaves blanks at the end of a value. */
static void trim_span(const char *text, struct cadre_http_span *part)
{
	while (part->length > 0 && (text[part->at + part->length - 1] == ' ' ||
				    text[part->at + part->length - 1] == '\t'))
		part->length--;
}

static void end_spans(char *text, struct cadre_http_head *head)
{
	end_span(text, &head->method);
	end_span(text, &head->target);
	for (uint32_t i = 0; i < head->field_count; i++) {
		trim_span(text, &head->fields[i].value);
		end_span(text, &head->fields[i].name);
		end_span(text, &head->fields[i].value);
	}
}

/* "http://host/path" as a proxy is asked, too: the host of it counts, says RFC 9112, 3.2.2,
 * but which host it is does not matter here. */
static bool use_origin_form(const char *text, struct cadre_http_head *head)
{
	struct cadre_http_span *const target = &head->target;
	const char *const at = text + target->at;
	const char *path;

	if (at[0] == '/')
		return true;
	if (strcmp(at, "*") == 0)
		return strcmp(text + head->method.at, "OPTIONS") == 0;
	if (strncasecmp(at, "http://", 7) != 0 && strncasecmp(at, "https://", 8) != 0)
		return false;
	path = strchr(strstr(at, "//") + 2, '/');
	if (!path)
		return false;
	target->length -= (uint32_t)(path - at);
	target->at += (uint32_t)(path - at);
	return true;
}

static int check_coding(const struct cadre_http_head *head, const char *text,
			const llhttp_t *llhttp)
{
	const unsigned codings = count_fields(head, text, "transfer-encoding");

	if (codings == 0)
		return 0;
	if (codings > 1 || head->minor == 0 || count_fields(head, text, "content-length"))
		return 400;
	if (strcasecmp(cadre_http_head_field(head, text, "transfer-encoding"),
		       "chunked") != 0)
		return 501;
	return llhttp->flags & F_CHUNKED ? 0 : 400;
}

static int check_expectation(struct cadre_http_head *head, const char *text)
{
	const char *const expect = cadre_http_head_field(head, text, "expect");

	if (!expect || head->minor == 0)
		return 0;
	if (strcasecmp(expect, "100-continue") != 0)
		return 417;
	if (cadre_http_head_has_body(head))
		head->flags |= CADRE_HTTP_EXPECTS_CONTINUE;
	return 0;
}

static int check_head(const llhttp_t *llhttp, const char *text,
		      struct cadre_http_head *head)
{
	unsigned hosts;
	int status;

	if (llhttp->http_major != 1 || llhttp->http_minor > 1)
		return 505;
	if (llhttp->method == HTTP_CONNECT)
		return 501;
	hosts = count_fields(head, text, "host");
	if (hosts > 1 || (hosts == 0 && head->minor > 0))
		return 400;
	if (count_fields(head, text, "content-length") > 1 || !use_origin_form(text, head))
		return 400;
	status = check_coding(head, text, llhttp);
	return status ? status : check_expectation(head, text);
}

static void describe(const llhttp_t *llhttp, const char *text,
		     struct cadre_http_head *head)
{
	head->minor = llhttp->http_minor;
	if (llhttp_should_keep_alive(llhttp))
		head->flags |= CADRE_HTTP_KEEP_ALIVE;
	if (strcmp(text + head->method.at, "HEAD") == 0)
		head->flags |= CADRE_HTTP_IS_HEAD;
	if (llhttp->flags & F_CHUNKED) {
		head->flags |= CADRE_HTTP_CHUNKED;
		head->body_length = CADRE_HTTP_LENGTH_UNKNOWN;
	} else if (llhttp->flags & F_CONTENT_LENGTH) {
		head->body_length = llhttp->content_length;
	}
}

static int status_of(const struct cadre_http_parser *parser, enum llhttp_errno error)
{
	if (parser->refused)
		return parser->refused;
	switch (error) {
	case HPE_INVALID_METHOD:
		return 501;
	case HPE_INVALID_VERSION:
		return 505;
	default:
		return 400;
	}
}

int cadre_http_parse_head(struct cadre_http_parser *parser, char *text, size_t length,
			  struct cadre_http_head *head)
{
	llhttp_t *const llhttp = &parser->llhttp;
	enum llhttp_errno error;

	llhttp_reset(llhttp);
	memset(head, 0, offsetof(struct cadre_http_head, fields));
	head->text_length = (uint32_t)length;
	parser->text = text;
	parser->head = head;
	parser->refused = 0;
	parser->has_trailers = false;
	parser->trailer_bytes = 0;
	parser->is_head = true;
	error = llhttp_execute(llhttp, text, length);
	parser->is_head = false;

	/* It must stop at the end of the head, and there only. */
	if (error != HPE_PAUSED || llhttp_get_error_pos(llhttp) != text + length) {
		end_span(text, &head->method);
		end_span(text, &head->target);
		return status_of(parser, error);
	}
	llhttp_resume(llhttp);
	end_spans(text, head);
	describe(llhttp, text, head);
	return check_head(llhttp, text, head);
}

/* ---- the body ---- */

enum cadre_http_progress cadre_http_parse_body(struct cadre_http_parser *parser,
					       const char *data, size_t length,
					       cadre_http_body_fn *body, void *context,
					       size_t *ret_used, bool *keep_alive)
{
	llhttp_t *const llhttp = &parser->llhttp;
	enum llhttp_errno error;

	parser->body = body;
	parser->context = context;
	error = llhttp_execute(llhttp, data, length);
	if (parser->has_trailers)
		*keep_alive = false;
	if (error == HPE_OK) {
		*ret_used = length;
		return CADRE_HTTP_MORE;
	}
	if (error != HPE_PAUSED)
		return CADRE_HTTP_BAD;
	*ret_used = (size_t)(llhttp_get_error_pos(llhttp) - data);
	llhttp_resume(llhttp);
	return CADRE_HTTP_DONE;
}
