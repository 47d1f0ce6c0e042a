/*
 * sink.h - where the supervisor puts the lines of the log. It supervises in the same thread,
 * so a sink that takes nothing just now is not waited for: the line is counted as dropped,
 * and the next one that gets through is preceded by their number.
 */
#ifndef CADRE_SINK_H
#define CADRE_SINK_H

#include <cadre/log.h>

struct cadre_sink {
	unsigned kinds; /* CADRE_LOG_TO_... */
	int stderr_fd;
	int syslog_fd; /* -1: not connected */
	const char *syslog_path;
	uint64_t dropped[2]; /* by stderr, by syslog */
	cadre_log_fn *call;  /* may be NULL */
	void *context;
};

/* To stderr and /dev/log. */
void cadre_sink_init(struct cadre_sink *sink, unsigned kinds, cadre_log_fn *call,
		     void *context);
void cadre_sink_fini(struct cadre_sink *sink);

void cadre_sink_put(struct cadre_sink *sink, const struct cadre_log_line *line);

#endif
