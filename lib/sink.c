#include "sink.h"
#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { TO_STDERR, TO_SYSLOG };

void cadre_sink_init(struct cadre_sink *sink, unsigned kinds, cadre_log_fn *call,
		     void *context)
{
	*sink = (struct cadre_sink){
		.kinds = kinds,
		.stderr_fd = STDERR_FILENO,
		.syslog_fd = -1,
		.syslog_path = "/dev/log",
		.call = call,
		.context = context,
	};
}

void cadre_sink_fini(struct cadre_sink *sink)
{
	if (sink->syslog_fd >= 0)
		close(sink->syslog_fd);
	sink->syslog_fd = -1;
}

/* ---- standard error ---- */

/* One write of less than PIPE_BUF: other processes' lines do not come between. A pipe that
 * polls writable takes so much without waiting, and a file or terminal takes it too. */
static bool write_line(const struct cadre_sink *sink, const struct cadre_log_line *line)
{
	struct pollfd look = { .fd = sink->stderr_fd, .events = POLLOUT };
	char text[PIPE_BUF];
	size_t length = cadre_log_format(line, text, sizeof(text) - 1);

	if (poll(&look, 1, 0) != 1 || !(look.revents & POLLOUT))
		return false;
	if (length > sizeof(text) - 2)
		length = sizeof(text) - 2;
	text[length++] = '\n';
	return write(sink->stderr_fd, text, length) == (ssize_t)length;
}

/* ---- syslog ---- */

/* Not syslog(3): that waits when the daemon does not read. */
static bool connect_syslog(struct cadre_sink *sink)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (sink->syslog_fd >= 0)
		return true;
	sink->syslog_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sink->syslog_fd < 0)
		return false;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", sink->syslog_path);
	if (connect(sink->syslog_fd, (const struct sockaddr *)&address,
		    sizeof(address)) == 0)
		return true;
	cadre_sink_fini(sink);
	return false;
}

/* As glibc's syslog writes it: "<PRI>Mmm dd hh:mm:ss ident[pid]: text". */
static bool send_line(struct cadre_sink *sink, const struct cadre_log_line *line)
{
	const time_t second = (time_t)(line->time_ns / CADRE_NS_PER_S);
	const int severity = line->level > CADRE_LOG_DEBUG ? LOG_DEBUG :
							     (int)line->level - 1;
	char text[1024], when[32] = "", who[32] = "supervisor", job[32] = "";
	struct tm local;
	int length;

	if (!connect_syslog(sink))
		return false;
	if (localtime_r(&second, &local))
		strftime(when, sizeof(when), "%b %e %H:%M:%S", &local);
	if (line->worker >= 0)
		snprintf(who, sizeof(who), "worker %d", line->worker);
	if (line->job)
		snprintf(job, sizeof(job), " job %llu", (unsigned long long)line->job);
	length = snprintf(text, sizeof(text), "<%d>%s cadre[%d]: %s %s%s: %s",
			  LOG_DAEMON | severity, when, line->pid, line->pool, who, job,
			  line->text);
	if (length >= (int)sizeof(text))
		length = (int)sizeof(text) - 1;
	if (send(sink->syslog_fd, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) ==
	    length)
		return true;
	/* The daemon was started anew: connect to the new one next time. */
	if (errno != EAGAIN)
		cadre_sink_fini(sink);
	return false;
}

/* ---- both ---- */

static bool put(struct cadre_sink *sink, int kind, const struct cadre_log_line *line)
{
	return kind == TO_STDERR ? write_line(sink, line) : send_line(sink, line);
}

static void put_or_drop(struct cadre_sink *sink, int kind,
			const struct cadre_log_line *line)
{
	if (sink->dropped[kind]) {
		struct cadre_log_line confession = *line;
		char text[80];

		snprintf(text, sizeof(text), "%llu line%s dropped here",
			 (unsigned long long)sink->dropped[kind],
			 sink->dropped[kind] == 1 ? " was" : "s were");
		confession.level = CADRE_LOG_WARNING;
		confession.worker = -1;
		confession.pid = getpid();
		confession.job = 0;
		confession.text = text;
		if (!put(sink, kind, &confession)) {
			sink->dropped[kind]++;
			return;
		}
		sink->dropped[kind] = 0;
	}
	if (!put(sink, kind, line))
		sink->dropped[kind]++;
}

void cadre_sink_put(struct cadre_sink *sink, const struct cadre_log_line *line)
{
	if (sink->kinds & CADRE_LOG_TO_STDERR)
		put_or_drop(sink, TO_STDERR, line);
	if (sink->kinds & CADRE_LOG_TO_SYSLOG)
		put_or_drop(sink, TO_SYSLOG, line);
	if (sink->call)
		sink->call(line, sink->context);
}
