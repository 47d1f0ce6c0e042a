/*
 * request.c - what a handler asks about its request.
 */
#include "exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BODY_STEP (64u * 1024)

const char *cadre_http_method(const struct cadre_http *http)
{
	return http->text + http->head->method.at;
}

const char *cadre_http_path(const struct cadre_http *http)
{
	return http->path;
}

const char *cadre_http_target(const struct cadre_http *http)
{
	return http->text + http->head->target.at;
}

const char *cadre_http_rest(const struct cadre_http *http)
{
	return http->rest ? http->rest : "";
}

const char *cadre_http_param(const struct cadre_http *http, const char *name)
{
	for (unsigned i = 0; i < http->param_count; i++)
		if (strcmp(http->params[i].name, name) == 0)
			return http->params[i].value;
	return NULL;
}

const char *cadre_http_header(const struct cadre_http *http, const char *name)
{
	return cadre_http_head_field(http->head, http->text, name);
}

bool cadre_http_header_at(const struct cadre_http *http, size_t index,
			  const char **ret_name, const char **ret_value)
{
	if (index >= http->head->field_count)
		return false;
	*ret_name = http->text + http->head->fields[index].name.at;
	*ret_value = http->text + http->head->fields[index].value.at;
	return true;
}

const char *cadre_http_peer(const struct cadre_http *http)
{
	return http->text + http->head->peer.at;
}

int64_t cadre_http_body_length(const struct cadre_http *http)
{
	return http->head->body_length > INT64_MAX ? -1 : (int64_t)http->head->body_length;
}

bool cadre_http_cancelled(const struct cadre_http *http)
{
	return http->carrier->is_cancelled(http);
}

struct cadre_job *cadre_http_job(const struct cadre_http *http)
{
	return http->job;
}

/* ---- path and query ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int cadre_http_decode(const char *source, size_t length, bool plus, char *ret_text)
{
	const char *const end = source + length;
	char *next = ret_text;

	while (source < end) {
		char c = *source++;

		if (c == '%') {
			const int high = source < end ? hex_digit(source[0]) : -1;
			const int low = end - source > 1 ? hex_digit(source[1]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return -EINVAL;
			c = (char)(high * 16 + low);
			source += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		*next++ = c;
	}
	*next = '\0';
	return 0;
}

int cadre_http_set_path(struct cadre_http *http)
{
	const char *const target = cadre_http_target(http);
	const size_t length = strcspn(target, "?#");

	http->path = malloc(length + 1);
	if (!http->path)
		return 500;
	return cadre_http_decode(target, length, false, http->path) < 0 ? 400 : 0;
}

static unsigned count_pairs(const char *query)
{
	unsigned count = 1;

	for (; *query != '\0'; query++)
		count += *query == '&';
	return count;
}

/* Decodes "name=value" in place of its copy; a pair that cannot be is passed over. */
static void add_pair(struct cadre_http *http, const char *pair, size_t length, char **next)
{
	const char *const equals = memchr(pair, '=', length);
	const size_t name_length = equals ? (size_t)(equals - pair) : length;
	const size_t value_length = equals ? length - name_length - 1 : 0;
	struct cadre_http_pair *const added = &http->query[http->query_count];

	added->name = *next;
	added->value = *next + name_length + 1;
	if (length == 0 || cadre_http_decode(pair, name_length, true, added->name) < 0 ||
	    cadre_http_decode(equals ? equals + 1 : "", value_length, true,
			      added->value) < 0)
		return;
	http->query_count++;
	*next = added->value + value_length + 1;
}

static void parse_query(struct cadre_http *http)
{
	const char *query = strchr(cadre_http_target(http), '?');
	unsigned count;
	char *next;

	query = query ? query + 1 : "";
	count = count_pairs(query);
	/* Each pair is its own text and two NULs at most. */
	http->query_text = malloc(strlen(query) + 2 * (size_t)count + 2);
	http->query = calloc(count, sizeof(*http->query));
	if (!http->query_text || !http->query)
		return;
	next = http->query_text;
	for (;;) {
		const size_t length = strcspn(query, "&");

		add_pair(http, query, length, &next);
		if (query[length] == '\0')
			return;
		query += length + 1;
	}
}

const char *cadre_http_query(struct cadre_http *http, const char *name,
			     const char *fallback)
{
	if (!http->query_text)
		parse_query(http);
	for (unsigned i = 0; i < http->query_count; i++) {
		const struct cadre_http_pair *const pair = &http->query[i];

		if (pair->name && strcmp(pair->name, name) == 0)
			return pair->value;
	}
	return fallback;
}

int cadre_http_query_number(struct cadre_http *http, const char *name, int64_t fallback,
			    int64_t least, int64_t most, int64_t *ret_number)
{
	const char *const text = cadre_http_query(http, name, NULL);
	char *end;
	long long number;

	if (!text) {
		*ret_number = fallback;
		return 0;
	}
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || end == text || *end != '\0' || number < least || number > most) {
		cadre_http_fail(http, 400, "%s: must be a number from %lld to %lld", name,
				(long long)least, (long long)most);
		return -EINVAL;
	}
	*ret_number = number;
	return 0;
}

/* ---- the body ---- */

ssize_t cadre_http_read(struct cadre_http *http, void *data, size_t size)
{
	ssize_t length;

	if (http->body_error)
		return http->body_error;
	length = http->carrier->read(http, data, size);
	if (length < 0)
		http->body_error = (int)length;
	else
		http->body_read += (uint64_t)length;
	return length;
}

/* Room for what was announced, or for the next step of what was not. */
static int make_room(struct cadre_http *http, size_t most, size_t *size)
{
	const int64_t announced = cadre_http_body_length(http);
	size_t wanted = *size ? *size * 2 : BODY_STEP;
	char *room;

	if (http->body_length < *size)
		return 0;
	if (announced >= 0)
		wanted = (size_t)announced;
	if (wanted > most)
		wanted = most;
	/* One byte for the NUL, one to see that there is more than `most`. */
	room = realloc(http->body, wanted + 2);
	if (!room)
		return -ENOMEM;
	http->body = room;
	*size = wanted + 1;
	return 0;
}

int cadre_http_body(struct cadre_http *http, size_t most, const char **ret_data,
		    size_t *ret_length)
{
	size_t size = 0;
	ssize_t length = -EMSGSIZE;
	int r = 0;

	if (http->body && !http->body_error)
		goto done;
	/* A body that is known to be too long is not read for nothing. */
	if (cadre_http_body_length(http) > (int64_t)most)
		goto fail;
	do {
		r = make_room(http, most, &size);
		if (r < 0) {
			length = r;
			goto fail;
		}
		length = cadre_http_read(http, http->body + http->body_length,
					 size - http->body_length);
		if (length < 0)
			return (int)length;
		http->body_length += (size_t)length;
		if (http->body_length > most) {
			length = -EMSGSIZE;
			goto fail;
		}
	} while (length > 0);
	http->body[http->body_length] = '\0';
done:
	*ret_data = http->body;
	*ret_length = http->body_length;
	return 0;

fail:
	http->body_error = (int)length;
	return (int)length;
}
