/*
 * annals.h - the last so many records of one writer, in the order in which they were
 * written; each is read whole or not at all.
 *
 * The supervisor writes, anybody reads without a word to it. Records have one size and are
 * numbered from 0 for ever; number n lies in place n mod count and so replaces n - count.
 * Each place has a sequence:
 *
 *   0        never written
 *   2n + 1   record n is being written
 *   2n + 2   record n stands
 *
 *      writer                                   killed right after it
 *   E1 sequence = 2n + 1, then the body         record n is no record; a successor writes
 *                                               its own n over it
 *   E2 sequence = 2n + 2                        n stands and is not counted: readers take
 *                                               it, a successor counts it (resume)
 *   E3 written = n + 1                          done
 *
 * `written` and the sequences are input like everything in a segment: whatever they are,
 * nobody reads or writes outside of the records, or for ever.
 */
#ifndef CADRE_ANNALS_H
#define CADRE_ANNALS_H

#include "platform.h"

struct cadre_annals_head {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t written; /* S: records that stand, ever */
};

/* S: the supervisor, all of it. */
struct cadre_annals_record {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t sequence; /* as above */
	_Atomic uint64_t words[];                            /* the body */
};

static_assert(sizeof(struct cadre_annals_head) == CADRE_CACHE_LINE, "segment layout");
static_assert(offsetof(struct cadre_annals_record, words) == 8, "segment layout");

/* Where they lie; in private memory. */
struct cadre_annals {
	struct cadre_annals_head *head;
	unsigned char *records;
	uint32_t count;
	uint32_t body_size; /* a multiple of 8 */
};

/* Bytes that one record takes. */
static inline size_t cadre_annals_record_size(uint32_t body_size)
{
	return (offsetof(struct cadre_annals_record, words) + body_size +
		CADRE_CACHE_LINE - 1) /
	       CADRE_CACHE_LINE * CADRE_CACHE_LINE;
}

/* ---- the writer ---- */

/* Writes a record: `head`, then `tail`, of 8-byte aligned memory; what is left of the body
 * keeps what it was. Returns its number. `head_size` is a multiple of 8. */
uint64_t cadre_annals_write(const struct cadre_annals *annals, const void *head,
			    size_t head_size, const void *tail, size_t tail_size);

/* A successor goes on where the dead one stopped. */
void cadre_annals_resume(const struct cadre_annals *annals);

/* ---- readers ---- */

/* The numbers that may still be there: from `from` up to, and not including, `to`. */
struct cadre_annals_span {
	uint64_t from;
	uint64_t to;
};

struct cadre_annals_span cadre_annals_span(const struct cadre_annals *annals);

/* Copies the first `size` bytes of that record's body. False when it is not there any more,
 * not yet, or is being written. */
bool cadre_annals_read(const struct cadre_annals *annals, uint64_t number, void *body,
		       size_t size);

enum cadre_annals_state {
	CADRE_ANNALS_FINE,
	CADRE_ANNALS_UNFINISHED, /* its writer writes it just now, or died while it did */
	CADRE_ANNALS_IMPOSSIBLE, /* no step leads to its sequence */
};

/* What the sequence of a place says, beside the number of those that were written. */
enum cadre_annals_state cadre_annals_look(const struct cadre_annals *annals,
					  uint32_t place);

#endif
