/*
 * answer.c - status lines, dates, and the fields that say where a body ends.
 */
#include "answer.h"

#include <cadre/http.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 203, "Non-Authoritative Information" },
	{ 204, "No Content" },
	{ 205, "Reset Content" },
	{ 206, "Partial Content" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 422, "Unprocessable Content" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 451, "Unavailable For Legal Reasons" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

const char *cadre_http_reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

/* strftime would write the names of the locale. */
const char *cadre_http_date(void)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static _Thread_local char text[40];
	static _Thread_local time_t made;
	const time_t now = time(NULL);
	struct tm tm;

	if (now == made && text[0] != '\0')
		return text;
	gmtime_r(&now, &tm);
	snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
		 days + 3 * (tm.tm_wday % 7), tm.tm_mday % 100,
		 months + 3 * (tm.tm_mon % 12), (tm.tm_year + 1900) % 10000,
		 tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
	made = now;
	return text;
}

bool cadre_http_answer_is_bare(const struct cadre_http_answer *answer)
{
	return answer->status == 204 || answer->status == 304;
}

bool cadre_http_answer_is_chunked(const struct cadre_http_answer *answer)
{
	return answer->body_length == CADRE_HTTP_LENGTH_UNKNOWN && answer->minor > 0 &&
	       !cadre_http_answer_is_bare(answer);
}

static const char *framing(struct cadre_http_answer *answer, char text[64])
{
	if (cadre_http_answer_is_bare(answer))
		return "";
	if (answer->body_length != CADRE_HTTP_LENGTH_UNKNOWN) {
		snprintf(text, 64, "Content-Length: %llu\r\n",
			 (unsigned long long)answer->body_length);
		return text;
	}
	if (cadre_http_answer_is_chunked(answer))
		return "Transfer-Encoding: chunked\r\n";
	answer->keep_alive = answer->is_head && answer->keep_alive;
	return "";
}

static const char *connection(const struct cadre_http_answer *answer)
{
	if (!answer->keep_alive)
		return "Connection: close\r\n";
	return answer->minor == 0 ? "Connection: keep-alive\r\n" : "";
}

size_t cadre_http_answer_head(struct cadre_http_answer *answer, char *data)
{
	char text[64];
	const char *const frame = framing(answer, text);
	const int length = snprintf(data, 512, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s",
				    answer->status, cadre_http_reason(answer->status),
				    cadre_http_date(), frame, connection(answer));
	char *next = data + length;

	next = mempcpy(next, answer->lines, answer->lines_length);
	next = mempcpy(next, "\r\n", 2);
	return (size_t)(next - data);
}

size_t cadre_http_answer_error(int status, const char *sentence, uint32_t minor,
			       bool keep_alive, bool is_head, char *data)
{
	static const char retry[] = "Content-Type: text/plain; charset=utf-8\r\n"
				    "Retry-After: 1\r\n";
	const size_t retry_length = sizeof("Retry-After: 1\r\n") - 1;
	char body[CADRE_HTTP_SENTENCE_MAX];
	struct cadre_http_answer answer = {
		.status = status,
		.lines = retry,
		.lines_length = sizeof(retry) - 1 - (status == 503 ? 0 : retry_length),
		.minor = minor,
		.keep_alive = keep_alive,
		.is_head = is_head,
	};
	size_t length;
	int body_length = snprintf(body, sizeof(body), "%d %s\n", status,
				   sentence ? sentence : cadre_http_reason(status));

	if (body_length >= (int)sizeof(body))
		body_length = sizeof(body) - 1;
	answer.body_length = (uint64_t)body_length;
	length = cadre_http_answer_head(&answer, data);
	if (is_head)
		return length;
	memcpy(data + length, body, (size_t)body_length);
	return length + (size_t)body_length;
}
