#include "logring.h"
#include "clock.h"

#include <string.h>

#define PATIENCE_NS (200 * CADRE_NS_PER_MS)

void cadre_log_ring_write(struct cadre_log_ring *ring,
			  const struct cadre_log_record *record)
{
	/* Relaxed: the stamp tells when the entry is whole. */
	const uint64_t position = atomic_fetch_add_explicit(&ring->tail, 1,
							    memory_order_relaxed);
	struct cadre_log_entry *const entry = &ring->entries[position % CADRE_LOG_LINES];
	const size_t length = strnlen(record->text, CADRE_LOG_TEXT_MAX);
	uint64_t word;

	atomic_store_explicit(&entry->stamp, 2 * position + 1, memory_order_relaxed);
	/* Y1: nothing of the line is written before the stamp says so. Pairs with Y4. */
	atomic_thread_fence(memory_order_release);
	CADRE_KILL_POINT("Y1");
	atomic_store_explicit(&entry->time_ns, (uint64_t)record->time_ns,
			      memory_order_relaxed);
	atomic_store_explicit(&entry->job, record->job, memory_order_relaxed);
	atomic_store_explicit(&entry->facts,
			      (uint64_t)(uint32_t)record->pid << 32 |
				      (uint64_t)record->level << 16 | length,
			      memory_order_relaxed);
	for (size_t at = 0; at < length; at += sizeof(word)) {
		word = 0;
		memcpy(&word, record->text + at,
		       length - at < sizeof(word) ? length - at : sizeof(word));
		atomic_store_explicit(&entry->text[at / sizeof(word)], word,
				      memory_order_relaxed);
	}
	/* Y2: release, pairs with Y3: who sees the stamp sees the line. */
	atomic_store_explicit(&entry->stamp, 2 * position + 2, memory_order_release);
	CADRE_KILL_POINT("Y2");
}

static void copy(const struct cadre_log_entry *entry, struct cadre_log_record *record)
{
	const uint64_t facts = atomic_load_explicit(&entry->facts, memory_order_relaxed);
	size_t length = facts & 0xffff;

	if (length > CADRE_LOG_TEXT_MAX)
		length = CADRE_LOG_TEXT_MAX;
	record->time_ns = (int64_t)atomic_load_explicit(&entry->time_ns,
							memory_order_relaxed);
	record->job = atomic_load_explicit(&entry->job, memory_order_relaxed);
	record->pid = (int32_t)(facts >> 32);
	record->level = (enum cadre_log_level)(facts >> 16 & 0xffff);
	for (size_t at = 0; at < length; at += sizeof(uint64_t)) {
		const uint64_t word = atomic_load_explicit(
			&entry->text[at / sizeof(uint64_t)], memory_order_relaxed);

		memcpy(record->text + at, &word, sizeof(word));
	}
	record->text[length] = '\0';
}

/* What a terminal or a reader of lines would take for more than text. */
static void make_plain(struct cadre_log_record *record)
{
	if (record->level < CADRE_LOG_EMERGENCY || record->level > CADRE_LOG_TRACE)
		record->level = CADRE_LOG_TRACE;
	for (char *at = record->text; *at; at++) {
		if (*at == '\n' || *at == '\t')
			*at = ' ';
		else if ((unsigned char)*at < ' ' || *at == 127)
			*at = '?';
	}
}

static void pass_over(struct cadre_log_cursor *cursor, uint64_t lines)
{
	cursor->position += lines;
	cursor->lost += lines;
	cursor->waiting_since_ns = 0;
}

bool cadre_log_ring_read(const struct cadre_log_ring *ring,
			 struct cadre_log_cursor *cursor, int64_t now_ns,
			 struct cadre_log_record *ret_record)
{
	/* Relaxed: a hint of how far to look. */
	const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	/* Nobody counts back: somebody has scribbled there. */
	if (tail < cursor->position)
		cursor->position = tail;
	if (tail - cursor->position > CADRE_LOG_LINES)
		pass_over(cursor, tail - cursor->position - CADRE_LOG_LINES);
	while (cursor->position != tail) {
		const struct cadre_log_entry *const entry =
			&ring->entries[cursor->position % CADRE_LOG_LINES];
		const uint64_t whole = 2 * cursor->position + 2;
		/* Y3: acquire, pairs with Y2. */
		const uint64_t stamp = atomic_load_explicit(&entry->stamp,
							    memory_order_acquire);

		if (stamp < whole) {
			if (cursor->waiting_since_ns == 0)
				cursor->waiting_since_ns = now_ns;
			if (now_ns - cursor->waiting_since_ns < PATIENCE_NS)
				return false;
			pass_over(cursor, 1);
			continue;
		}
		if (stamp == whole) {
			copy(entry, ret_record);
			/* Y4: pairs with Y1: a line that was overwritten while we copied it has
			 * another stamp by now. */
			atomic_thread_fence(memory_order_acquire);
			if (atomic_load_explicit(&entry->stamp, memory_order_relaxed) ==
			    whole) {
				make_plain(ret_record);
				cursor->position++;
				cursor->waiting_since_ns = 0;
				return true;
			}
		}
		pass_over(cursor, 1);
	}
	return false;
}
