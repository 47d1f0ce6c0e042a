/*
 * race_log.c - threads of one worker write into a ring while others read it, for
 * ThreadSanitizer: each line that is read is one that somebody wrote, whole.
 */
#include "clock.h"
#include "log.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS 3
#define LINES 3000

static struct cadre_log_ring ring;
static atomic_bool done;
static atomic_uint written, heard; /* by whoever was last to say so */

/* "w n nnnnnn...": the text is told by its begin. */
static void make_text(char *text, unsigned writer, unsigned line)
{
	const int length = snprintf(text, 40, "%u %u ", writer, line);

	memset(text + length, (int)('a' + line % 26), 20 + line % 200);
	text[length + 20 + (int)(line % 200)] = '\0';
}

static void *write_lines(void *argument)
{
	const unsigned writer = (unsigned)(uintptr_t)argument;
	const struct cadre_view view = { .log_rings = &ring };
	char text[CADRE_LOG_TEXT_MAX + 1];

	for (unsigned line = 0; line < LINES; line++) {
		make_text(text, writer, line);
		cadre_log_put(&view, 0, (uint64_t)writer << 32 | line, CADRE_LOG_INFO,
			      text);
		/* Not too far ahead, or there would be nothing to race for. */
		atomic_fetch_add(&written, 1);
		for (int i = 0; i < 200 && atomic_load(&heard) + CADRE_LOG_LINES / 2 <
						   atomic_load(&written);
		     i++)
			sched_yield();
	}
	return NULL;
}

struct reader {
	unsigned heard;
	unsigned wrong;
	uint64_t lost;
};

static void *read_lines(void *argument)
{
	struct reader *const reader = argument;
	struct cadre_log_cursor cursor = { 0 };
	struct cadre_log_record record;
	char expected[CADRE_LOG_TEXT_MAX + 1];

	for (;;) {
		const bool last = atomic_load(&done);

		while (cadre_log_ring_read(&ring, &cursor, cadre_clock_ns(), &record)) {
			reader->heard++;
			atomic_store(&heard, (unsigned)cursor.position);
			make_text(expected, (unsigned)(record.job >> 32),
				  (unsigned)record.job);
			reader->wrong += strcmp(expected, record.text) != 0;
		}
		if (last)
			break;
	}
	reader->lost = cursor.lost;
	return NULL;
}

int main(void)
{
	pthread_t writers[WRITERS], readers[2];
	struct reader seen[2] = { { 0 } };

	for (unsigned i = 0; i < 2; i++)
		pthread_create(&readers[i], NULL, read_lines, &seen[i]);
	for (uintptr_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_lines, (void *)i); /* NOLINT */
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	atomic_store(&done, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(readers[i], NULL);
		printf("%u lines heard, %llu lost, %u wrong\n", seen[i].heard,
		       (unsigned long long)seen[i].lost, seen[i].wrong);
		if (seen[i].heard + seen[i].lost != WRITERS * LINES || seen[i].wrong > 0)
			return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
