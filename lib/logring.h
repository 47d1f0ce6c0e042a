/*
 * logring.h - the last lines of one worker's place, or of the supervisor.
 *
 * Writers take positions in turn and never wait: threads of the worker, and for a moment a
 * fork that nobody recorded. Readers look without writing, each with a cursor of its own, and
 * see by an entry's stamp whether it is the line that they want:
 *
 *   2 * position + 1   being written       2 * position + 2   whole
 *
 * A writer that dies in between leaves an entry that never becomes whole; a reader passes over
 * it after a while and counts it as lost. One that was stopped for so long that others came
 * round meanwhile may mix two lines into one: then the text is wrong, and nothing else.
 */
#ifndef CADRE_LOGRING_H
#define CADRE_LOGRING_H

#include "platform.h"

#include <cadre/log.h>

#define CADRE_LOG_WORDS ((CADRE_LOG_TEXT_MAX + 1) / 8)

/* K: whoever took the position. */
struct cadre_log_entry {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t stamp;
	_Atomic uint64_t time_ns;
	_Atomic uint64_t job;
	_Atomic uint64_t facts; /* pid << 32 | level << 16 | bytes of text */
	_Atomic uint64_t text[CADRE_LOG_WORDS];
};

static_assert(sizeof(struct cadre_log_entry) == 512, "segment layout");

struct cadre_log_ring {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t tail; /* K: positions taken */
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t shown; /* S: those it has told its sinks */
	struct cadre_log_entry entries[CADRE_LOG_LINES];
};

/* A line in private memory, whatever stood in the segment: the text ends, and holds nothing
 * that a terminal obeys. */
struct cadre_log_record {
	int64_t time_ns;
	uint64_t job;
	int32_t pid;
	enum cadre_log_level level;
	char text[CADRE_LOG_TEXT_MAX + 1];
};

void cadre_log_ring_write(struct cadre_log_ring *ring,
			  const struct cadre_log_record *record);

/* Where a reader is. */
struct cadre_log_cursor {
	uint64_t position;
	uint64_t lost;            /* lines passed over; the reader takes them away */
	int64_t waiting_since_ns; /* for an entry to become whole; 0: not so */
};

/* The next line after the cursor. False when there is none now. At most CADRE_LOG_LINES
 * steps. */
bool cadre_log_ring_read(const struct cadre_log_ring *ring,
			 struct cadre_log_cursor *cursor, int64_t now_ns,
			 struct cadre_log_record *ret_record);

#endif
