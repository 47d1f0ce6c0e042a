/*
 * fuzz_http.c - HTTP: from the bytes of a client to a handler and back, and the packed forms
 * as anybody may have written them into shared memory.
 *
 * The first byte says what the rest is: what a client sends, a packed request, or a packed
 * response. Whatever comes out of the parser must be whole strings inside its text, the same
 * however the bytes were cut; packed and unpacked it must be what it was; and no response may
 * look like two.
 */
#include "fuzz.h"

#include "exchange.h"
#include "packed.h"
#include "parser.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_MAX 16384

/* ---- a site ---- */

static void write_all(struct cadre_http *http)
{
	const char *name, *value;

	cadre_http_set_header(http, "X-Path", cadre_http_path(http));
	cadre_http_set_header(http, cadre_http_path(http) + 1, cadre_http_target(http));
	for (size_t i = 0; cadre_http_header_at(http, i, &name, &value); i++) {
		cadre_http_printf(http, "%s=%s\n", name, value);
		cadre_http_set_header(http, name, value);
	}
	cadre_http_printf(http, "%s %s %s %s\n", cadre_http_method(http),
			  cadre_http_query(http, "a", "none"), cadre_http_rest(http),
			  cadre_http_peer(http));
}

static void handle(struct cadre_http *http, void *state)
{
	const char *data;
	size_t length;
	int64_t number;

	(void)state;
	write_all(http);
	if (cadre_http_query_number(http, "n", 5, -10, 100000, &number) < 0)
		return;
	for (int64_t i = 0; i < number; i += 50)
		cadre_http_write(http, "a line that is repeated again and again\n", 40);
	if (cadre_http_query(http, "flush", NULL))
		cadre_http_flush(http);
	if (cadre_http_query(http, "fail", NULL))
		cadre_http_fail(http, (int)number, "%s", cadre_http_path(http));
	if (cadre_http_body(http, 1000, &data, &length) == 0) {
		FUZZ_CHECK(data[length] == '\0');
		cadre_http_write(http, data, length);
	}
}

static void handle_params(struct cadre_http *http, void *state)
{
	(void)state;
	FUZZ_CHECK(cadre_http_param(http, "id") && cadre_http_param(http, "what"));
	FUZZ_CHECK(!strchr(cadre_http_param(http, "id"), '/'));
	cadre_http_printf(http, "%s %s", cadre_http_param(http, "id"),
			  cadre_http_param(http, "what"));
}

static const struct cadre_http_route routes[] = {
	{ "GET", "/x/:id/y/:what", handle_params },
	{ "POST", "/only", handle },
	{ NULL, "/*", handle },
	{ "OPTIONS", "*", handle },
};

static const struct cadre_http_site site = { routes, sizeof(routes) / sizeof(routes[0]),
					     NULL, NULL };

/* ---- a carrier that keeps everything in memory ---- */

struct memory {
	struct cadre_http http;
	const char *body;
	size_t body_length;
	unsigned answers;
};

static ssize_t read_body(struct cadre_http *http, void *data, size_t size)
{
	struct memory *const memory = (struct memory *)http;

	size = size < memory->body_length ? size : memory->body_length;
	memcpy(data, memory->body, size);
	memory->body += size;
	memory->body_length -= size;
	return (ssize_t)size;
}

/* One response, with one end of its head. */
static int begin(struct cadre_http *http, struct cadre_http_answer *answer)
{
	struct cadre_http_packed_response packed = {
		.magic = CADRE_HTTP_RESPONSE_MAGIC,
		.status = (uint16_t)answer->status,
		.lines_length = (uint32_t)answer->lines_length,
	};
	char *const head = malloc(CADRE_HTTP_ANSWER_HEAD_MAX);
	size_t length;

	((struct memory *)http)->answers++;
	FUZZ_CHECK(cadre_http_response_is_sound(&packed, answer->lines));
	length = cadre_http_answer_head(answer, head);
	FUZZ_CHECK(length <= CADRE_HTTP_ANSWER_HEAD_MAX);
	FUZZ_CHECK((char *)memmem(head, length, "\r\n\r\n", 4) == head + length - 4);
	free(head);
	return 0;
}

static int respond(struct cadre_http *http, struct cadre_http_answer *answer,
		   const void *body, size_t length)
{
	fuzz_read(body, length);
	return begin(http, answer);
}

static int send_body(struct cadre_http *http, const void *data, size_t length)
{
	(void)http;
	fuzz_read(data, length);
	return 0;
}

static int end(struct cadre_http *http, bool whole)
{
	(void)http;
	(void)whole;
	return 0;
}

static bool is_cancelled(const struct cadre_http *http)
{
	(void)http;
	return false;
}

static const struct cadre_http_carrier carrier = {
	.read = read_body,
	.respond = respond,
	.begin = begin,
	.send = send_body,
	.end = end,
	.is_cancelled = is_cancelled,
};

static void run(const struct cadre_http_head *head, const char *text, const char *body,
		size_t body_length)
{
	struct memory memory = { .body = body, .body_length = body_length };

	cadre_http_open(&memory.http, NULL, &carrier, head, text);
	cadre_http_run(&memory.http, &site, NULL);
	cadre_http_close(&memory.http);
	FUZZ_CHECK(memory.answers == 1);
}

/* ---- what is read ---- */

static void check_span(const struct cadre_http_head *head, const char *text,
		       struct cadre_http_span span)
{
	FUZZ_CHECK(span.at < head->text_length);
	FUZZ_CHECK(span.length < head->text_length - span.at);
	FUZZ_CHECK(strlen(text + span.at) == span.length);
}

static void check_head(const struct cadre_http_head *head, const char *text)
{
	check_span(head, text, head->method);
	check_span(head, text, head->target);
	FUZZ_CHECK(head->method.length > 0 && head->minor <= 1);
	FUZZ_CHECK(text[head->target.at] == '/' ||
		   strcmp(text + head->target.at, "*") == 0);
	FUZZ_CHECK(head->field_count <= CADRE_HTTP_FIELDS_MAX);
	for (uint32_t i = 0; i < head->field_count; i++) {
		check_span(head, text, head->fields[i].name);
		check_span(head, text, head->fields[i].value);
		FUZZ_CHECK(head->fields[i].name.length > 0);
		FUZZ_CHECK(!strpbrk(text + head->fields[i].value.at, "\r\n"));
	}
}

static void unpack(const void *data, size_t length, bool must_work)
{
	struct cadre_http_unpacked request;
	const int r = cadre_http_unpack_request(data, length, &request);

	FUZZ_CHECK(r == 0 || !must_work);
	if (r < 0)
		return;
	run(&request.head, request.text, request.body, request.body_length);
	free(request.text);
}

static void pack(const struct cadre_http_head *head, const char *text, const char *body,
		 size_t body_length)
{
	const size_t size = cadre_http_packed_size(head, "192.0.2.1");
	char *const data = malloc(size + body_length);
	char *const end_of_head = cadre_http_pack_request(head, text, "192.0.2.1", data);

	FUZZ_CHECK(end_of_head == data + size);
	memcpy(end_of_head, body, body_length);
	unpack(data, size + body_length, true);
	free(data);
}

struct gathered {
	char data[65536];
	size_t length;
};

static void gather(void *context, const char *data, size_t length)
{
	struct gathered *const gathered = context;

	fuzz_read(data, length);
	if (length > sizeof(gathered->data) - gathered->length)
		length = sizeof(gathered->data) - gathered->length;
	memcpy(gathered->data + gathered->length, data, length);
	gathered->length += length;
}

/* The end of a head is where it is, also when the bytes come one by one. */
static int64_t find_head(const char *data, size_t length)
{
	size_t scanned = 0, by_byte = 0;
	const int64_t whole = cadre_http_find_head(data, length, &scanned);
	int64_t found = 0;

	for (size_t i = 1; i <= length && found == 0; i++)
		found = cadre_http_find_head(data, i, &by_byte);
	FUZZ_CHECK((found > 0) == (whole > 0) || whole < 0 || found < 0);
	FUZZ_CHECK(whole <= 0 || found == whole);
	FUZZ_CHECK(whole <= (int64_t)length);
	return whole;
}

/* Request after request, as a connection goes on. */
static void connect_client(const char *data, size_t length)
{
	static struct gathered gathered;
	struct cadre_http_parser *const parser = cadre_http_parser_new();
	struct cadre_http_head *const head = malloc(sizeof(*head));
	char *const text = malloc(HEAD_MAX);
	enum cadre_http_progress progress = CADRE_HTTP_DONE;

	while (progress == CADRE_HTTP_DONE && length > 0) {
		const int64_t end_of_head = find_head(data, length < HEAD_MAX ? length :
										HEAD_MAX);
		bool keep_alive = true;
		size_t used = 0;

		if (end_of_head <= 0)
			break;
		memcpy(text, data, (size_t)end_of_head);
		if (cadre_http_parse_head(parser, text, (size_t)end_of_head, head) != 0)
			break;
		check_head(head, text);
		data += end_of_head;
		length -= (size_t)end_of_head;
		gathered.length = 0;
		progress = cadre_http_parse_body(parser, data, length, gather, &gathered,
						 &used, &keep_alive);
		FUZZ_CHECK(used <= length);
		if (progress == CADRE_HTTP_DONE &&
		    head->body_length != CADRE_HTTP_LENGTH_UNKNOWN &&
		    head->body_length < sizeof(gathered.data))
			FUZZ_CHECK(gathered.length == head->body_length);
		if (progress == CADRE_HTTP_DONE)
			pack(head, text, gathered.data, gathered.length);
		data += used;
		length -= used;
	}
	free(text);
	free(head);
	cadre_http_parser_free(parser);
}

static void receive_response(const char *data, size_t length)
{
	struct cadre_http_packed_response response;
	char *lines;

	if (length < sizeof(response))
		return;
	memcpy(&response, data, sizeof(response));
	length -= sizeof(response);
	if (response.lines_length > length)
		return;
	/* On the heap of its own size, so that a step beyond it is seen. */
	lines = malloc(response.lines_length + 1u);
	memcpy(lines, data + sizeof(response), response.lines_length);
	lines = realloc(lines, response.lines_length ? response.lines_length : 1);
	if (cadre_http_response_is_sound(&response, lines))
		FUZZ_CHECK(!memmem(lines, response.lines_length, "\r\n\r\n", 4));
	free(lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own size, so that a read behind it is seen. */
	char *const copy = malloc(size ? size : 1);

	if (size > 1) {
		memcpy(copy, data + 1, size - 1);
		switch (data[0] % 3) {
		case 0:
			connect_client(copy, size - 1);
			break;
		case 1:
			unpack(copy, size - 1, false);
			break;
		default:
			receive_response(copy, size - 1);
		}
	}
	free(copy);
	return 0;
}
