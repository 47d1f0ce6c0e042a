/*
 * access.c - the access log: the combined format of Apache and nginx, and behind it the
 * worker that answered and how long it took.
 *
 *	127.0.0.1 - - [22/Nov/2026:07:45:52 +0000] "GET /hello HTTP/1.1" 200 13 "-" "curl/7.88"
 *	worker=2 us=41 total_us=97
 *
 * (in one line). Lines are gathered for a turn of the loop and written in one piece. What a
 * client sent is written with its quotes and control characters escaped.
 */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_SIZE (64u * 1024)
#define LINE_MAX 2048u

/* Control characters, quotes and backslashes as \xNN. */
static char *put_quoted(char *next, const char *end, const char *text)
{
	static const char digits[] = "0123456789abcdef";

	*next++ = '"';
	for (; *text != '\0' && end - next > 8; text++) {
		const unsigned char c = (unsigned char)*text;

		if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
			*next++ = (char)c;
			continue;
		}
		*next++ = '\\';
		*next++ = 'x';
		*next++ = digits[c >> 4];
		*next++ = digits[c & 15];
	}
	*next++ = '"';
	*next++ = ' ';
	return next;
}

static const char *local_time(void)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static char text[40];
	static time_t made;
	const time_t now = time(NULL);
	struct tm tm;

	if (now == made)
		return text;
	gmtime_r(&now, &tm);
	snprintf(text, sizeof(text), "%02d/%.3s/%04d:%02d:%02d:%02d +0000",
		 tm.tm_mday % 100, months + 3 * (tm.tm_mon % 12),
		 (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100,
		 tm.tm_sec % 100);
	made = now;
	return text;
}

void cadre_http_log_request(struct cadre_http_connection *connection)
{
	struct cadre_http_front *const front = connection->front;
	const struct cadre_http_entry *const entry = &connection->entry;
	const int64_t total_ns = entry->began_ns ? cadre_now_ns() - entry->began_ns : 0;
	char *next;
	const char *end;

	if (front->log_fd < 0)
		return;
	if (front->log_length + LINE_MAX > LOG_SIZE)
		cadre_http_log_flush(front);
	next = front->log + front->log_length;
	end = next + LINE_MAX;
	next += sprintf(next, "%s - - [%s] ", connection->peer, local_time());
	next = put_quoted(next, end - 900, entry->line[0] ? entry->line : "-");
	next += sprintf(next, "%d %llu ", entry->status, (unsigned long long)entry->bytes);
	next = put_quoted(next, end - 500, entry->referrer[0] ? entry->referrer : "-");
	next = put_quoted(next, end - 100, entry->agent[0] ? entry->agent : "-");
	if (entry->worker >= 0)
		next += sprintf(next, "worker=%d ", entry->worker);
	else
		next += sprintf(next, "worker=- ");
	next += sprintf(next, "us=%lld total_us=%lld\n",
			(long long)(entry->running_ns / 1000),
			(long long)(total_ns / 1000));
	front->log_length = (size_t)(next - front->log);
}

/* A log that takes nothing must not stop the server: what does not go is dropped. */
void cadre_http_log_flush(struct cadre_http_front *front)
{
	size_t done = 0;

	while (done < front->log_length) {
		const ssize_t written = write(front->log_fd, front->log + done,
					      front->log_length - done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			break;
		done += (size_t)written;
	}
	front->log_length = 0;
}

int cadre_http_log_reopen(struct cadre_http_front *front)
{
	int fd;

	if (!front->options.log_path)
		return 0;
	cadre_http_log_flush(front);
	fd = open(front->options.log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
		  0640);
	if (fd < 0)
		return -errno;
	if (front->log_fd >= 0)
		close(front->log_fd);
	front->log_fd = fd;
	return 0;
}
