#include "annals.h"

#include <string.h>

/* A reader that meets a writer looks again so many times. */
#define LOOKS_MAX 64

static struct cadre_annals_record *record_of(const struct cadre_annals *annals,
					     uint64_t number)
{
	return (void *)(annals->records +
			number % annals->count *
				cadre_annals_record_size(annals->body_size));
}

static uint64_t sequence_of(uint64_t number)
{
	return 2 * number + 2;
}

static uint64_t written_of(const struct cadre_annals *annals)
{
	/* E3: acquire, pairs with the release in cadre_annals_write: a hint how far to look;
	 * each record says by its own sequence whether it stands. */
	return atomic_load_explicit(&annals->head->written, memory_order_acquire);
}

static bool stands(const struct cadre_annals *annals, uint64_t number)
{
	/* E2: acquire, pairs with the release in cadre_annals_write. */
	return atomic_load_explicit(&record_of(annals, number)->sequence,
				    memory_order_acquire) == sequence_of(number);
}

/* ---- the writer ---- */

/* Word by word: readers may look meanwhile. The last one is filled up with zeros. */
static void write_words(_Atomic uint64_t *words, const void *bytes, size_t size)
{
	for (size_t i = 0; i * sizeof(uint64_t) < size; i++) {
		const size_t left = size - i * sizeof(uint64_t);
		uint64_t word = 0;

		memcpy(&word, (const char *)bytes + i * sizeof(word),
		       left < sizeof(word) ? left : sizeof(word));
		atomic_store_explicit(&words[i], word, memory_order_relaxed);
	}
}

uint64_t cadre_annals_write(const struct cadre_annals *annals, const void *head,
			    size_t head_size, const void *tail, size_t tail_size)
{
	/* Relaxed: nobody else stores it. */
	const uint64_t number = atomic_load_explicit(&annals->head->written,
						     memory_order_relaxed);
	struct cadre_annals_record *const record = record_of(annals, number);

	if (head_size > annals->body_size)
		head_size = annals->body_size;
	if (tail_size > annals->body_size - head_size)
		tail_size = annals->body_size - head_size;

	/* E5: release, pairs with E6: who sees this record begun sees those before it counted. */
	atomic_store_explicit(&record->sequence, sequence_of(number) - 1,
			      memory_order_release);
	/* E1, pairs with E4: no word changes before the sequence is odd. */
	atomic_thread_fence(memory_order_release);
	write_words(record->words, head, head_size);
	CADRE_KILL_POINT("E1");
	write_words(&record->words[head_size / sizeof(uint64_t)], tail, tail_size);
	/* E2: release, pairs with the acquire in cadre_annals_read: the body is there. */
	atomic_store_explicit(&record->sequence, sequence_of(number),
			      memory_order_release);
	CADRE_KILL_POINT("E2");
	/* E3: release, pairs with the acquire in written_of. */
	atomic_store_explicit(&annals->head->written, number + 1, memory_order_release);
	return number;
}

void cadre_annals_resume(const struct cadre_annals *annals)
{
	const uint64_t number = written_of(annals);

	/* E3 as well: it counts what a predecessor wrote. */
	if (stands(annals, number))
		atomic_store_explicit(&annals->head->written, number + 1,
				      memory_order_release);
}

/* ---- readers ---- */

struct cadre_annals_span cadre_annals_span(const struct cadre_annals *annals)
{
	const uint64_t written = written_of(annals);
	const uint64_t to = written + stands(annals, written);

	return (struct cadre_annals_span){
		.from = to > annals->count ? to - annals->count : 0,
		.to = to,
	};
}

static void read_words(void *bytes, const _Atomic uint64_t *words, size_t size)
{
	for (size_t i = 0; i * sizeof(uint64_t) < size; i++) {
		const size_t left = size - i * sizeof(uint64_t);
		const uint64_t word = atomic_load_explicit(&words[i],
							   memory_order_relaxed);

		memcpy((char *)bytes + i * sizeof(word), &word,
		       left < sizeof(word) ? left : sizeof(word));
	}
}

bool cadre_annals_read(const struct cadre_annals *annals, uint64_t number, void *body,
		       size_t size)
{
	const struct cadre_annals_record *const record = record_of(annals, number);

	if (size > annals->body_size || !stands(annals, number))
		return false;
	read_words(body, record->words, size);
	/* E4, pairs with E1: whoever began to write meanwhile is seen. */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&record->sequence, memory_order_relaxed) ==
	       sequence_of(number);
}

static enum cadre_annals_state judge(const struct cadre_annals *annals, uint32_t place,
				     uint64_t sequence, uint64_t written)
{
	const uint64_t number = (sequence - 1) / 2;

	if (sequence == 0)
		return written > place ? CADRE_ANNALS_IMPOSSIBLE : CADRE_ANNALS_FINE;
	if (number % annals->count != place || number > written ||
	    written - number > annals->count)
		return CADRE_ANNALS_IMPOSSIBLE;
	if (sequence % 2 == 1)
		return number == written ? CADRE_ANNALS_UNFINISHED :
					   CADRE_ANNALS_IMPOSSIBLE;
	/* One that stands and is not counted. */
	if (number == written)
		return CADRE_ANNALS_UNFINISHED;
	return CADRE_ANNALS_FINE;
}

enum cadre_annals_state cadre_annals_look(const struct cadre_annals *annals,
					  uint32_t place)
{
	const struct cadre_annals_record *const record = record_of(annals, place);
	uint64_t sequence = 0, written = 0;

	/* Both of one moment, if the writer lets us. */
	for (unsigned look = 0; look < LOOKS_MAX; look++) {
		written = written_of(annals);
		/* E6: acquire, pairs with E5, so that the second look at E3 is not made before. */
		sequence = atomic_load_explicit(&record->sequence, memory_order_acquire);
		if (written_of(annals) == written)
			break;
	}
	return judge(annals, place, sequence, written);
}
