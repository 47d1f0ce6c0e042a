/*
 * pipes.h - what tests share that give an end of a pipe away, for Criterion, and then want to know
 * who has it.
 */
#ifndef PIPES_H
#define PIPES_H

#include "claims.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

struct line {
	int from;
	int to;
};

static inline struct line open_pipe(void)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	return (struct line){ ends[0], ends[1] };
}

/* Nobody has the other end any more. Waits for it, for a while. */
static inline void expect_end(struct line *line)
{
	struct pollfd look = { .fd = line->from, .events = POLLIN };
	char byte;

	cr_assert_eq(poll(&look, 1, TROUPE_PATIENCE_MS), 1, "somebody keeps it open");
	cr_assert_eq(read(line->from, &byte, 1), 0, "there is more to read");
	close(line->from);
}

/* A request that takes the writing end along. */
#define SEND(operation_, number, line, ...)                                       \
	ASK(operation_, number, .descriptors = &(line).to, .descriptor_count = 1, \
	    __VA_ARGS__)

#endif
