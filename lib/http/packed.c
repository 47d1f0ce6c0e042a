/*
 * packed.c - copies in, checks out.
 */
#include "packed.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAGIC 0x31515043u /* "CPQ1" */
#define FIELD_SIZE sizeof(((struct cadre_http_head *)0)->fields[0])
#define FIXED_SIZE (sizeof(struct fixed))

struct fixed {
	uint32_t magic;
	uint32_t by_pipe;
	alignas(8) unsigned char head[offsetof(struct cadre_http_head, fields)];
};

static size_t fields_size(const struct cadre_http_head *head)
{
	return head->field_count * FIELD_SIZE;
}

size_t cadre_http_packed_size(const struct cadre_http_head *head, const char *peer)
{
	return FIXED_SIZE + fields_size(head) + head->text_length + strlen(peer) + 1;
}

char *cadre_http_pack_request(const struct cadre_http_head *head, const char *text,
			      const char *peer, void *data)
{
	const size_t peer_length = strlen(peer);
	struct fixed *const fixed = data;
	struct cadre_http_head *packed;
	char *next = (char *)(fixed + 1);

	fixed->magic = REQUEST_MAGIC;
	fixed->by_pipe = 0;
	memcpy(fixed->head, head, sizeof(fixed->head));
	packed = (struct cadre_http_head *)(void *)fixed->head;
	packed->peer.at = head->text_length;
	packed->peer.length = (uint32_t)peer_length;
	packed->text_length += (uint32_t)peer_length + 1;
	next = mempcpy(next, head->fields, fields_size(head));
	next = mempcpy(next, text, head->text_length);
	return mempcpy(next, peer, peer_length + 1);
}

void cadre_http_pack_by_pipe(void *data)
{
	((struct fixed *)data)->by_pipe = 1;
}

static bool span_is_sound(const struct cadre_http_head *head, const char *text,
			  struct cadre_http_span span)
{
	return span.at < head->text_length && span.length < head->text_length - span.at &&
	       text[span.at + span.length] == '\0' &&
	       !memchr(text + span.at, '\0', span.length);
}

static bool spans_are_sound(const struct cadre_http_head *head, const char *text)
{
	if (!span_is_sound(head, text, head->method) || head->method.length == 0 ||
	    !span_is_sound(head, text, head->target) || head->target.length == 0 ||
	    !span_is_sound(head, text, head->peer))
		return false;
	if (text[head->target.at] != '/' && strcmp(text + head->target.at, "*") != 0)
		return false;
	for (uint32_t i = 0; i < head->field_count; i++)
		if (!span_is_sound(head, text, head->fields[i].name) ||
		    !span_is_sound(head, text, head->fields[i].value))
			return false;
	return true;
}

int cadre_http_unpack_request(const void *data, size_t length,
			      struct cadre_http_unpacked *ret_request)
{
	struct cadre_http_head *const head = &ret_request->head;
	const char *next = data;
	struct fixed fixed;

	if (length < FIXED_SIZE)
		return -EBADMSG;
	memcpy(&fixed, next, FIXED_SIZE);
	memcpy(head, fixed.head, sizeof(fixed.head));
	next += FIXED_SIZE;
	length -= FIXED_SIZE;
	if (fixed.magic != REQUEST_MAGIC || head->minor > 1 ||
	    head->field_count > CADRE_HTTP_FIELDS_MAX ||
	    head->text_length > CADRE_HTTP_TEXT_MAX ||
	    length < fields_size(head) + head->text_length)
		return -EBADMSG;
	memcpy(head->fields, next, fields_size(head));
	next += fields_size(head);
	length -= fields_size(head) + head->text_length;

	ret_request->text = malloc((size_t)head->text_length + 1);
	if (!ret_request->text)
		return -ENOMEM;
	memcpy(ret_request->text, next, head->text_length);
	if (!spans_are_sound(head, ret_request->text)) {
		free(ret_request->text);
		return -EBADMSG;
	}
	ret_request->body = next + head->text_length;
	ret_request->body_length = length;
	ret_request->by_pipe = fixed.by_pipe != 0;
	return 0;
}

/* A name, a colon, a value, CR LF, and no other control character. */
static const char *skip_line(const char *line, const char *end)
{
	const char *at = line;

	while (at < end && *at != ':' && *at > ' ' && *at < 0x7f)
		at++;
	if (at == line || at == end || *at != ':')
		return NULL;
	while (at < end && ((unsigned char)*at >= ' ' || *at == '\t') && *at != 0x7f)
		at++;
	return end - at >= 2 && at[0] == '\r' && at[1] == '\n' ? at + 2 : NULL;
}

bool cadre_http_response_is_sound(const struct cadre_http_packed_response *response,
				  const char *lines)
{
	const char *const end = lines + response->lines_length;

	if (response->magic != CADRE_HTTP_RESPONSE_MAGIC || response->status < 200 ||
	    response->status > 599 || response->lines_length > CADRE_HTTP_LINES_MAX)
		return false;
	while (lines && lines < end)
		lines = skip_line(lines, end);
	return lines != NULL;
}
