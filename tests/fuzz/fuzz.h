/*
 * fuzz.h - what the targets share: a segment between two walls, a script that fills it and
 * drives the target, and a machine on which time passes only when somebody looks at it.
 *
 * An input is a script. Each instruction is one byte and what it reads after it: below 0x80
 * it pokes a value into the segment, from there on it is an operation of the target. So a
 * segment may be damaged before, between and (worker, client) during the operations.
 *
 * The first bytes of an input say whether the memory is fickle: then, where the compiler can
 * tell of each load, a word may change just before it is read.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "layout.h"

#include <stddef.h>
#include <stdint.h>

/* What libFuzzer, or replay.c in its place, calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the script ---- */

struct fuzz_script {
	const uint8_t *next;
	const uint8_t *end;
};

/* The next bytes, lowest first; zeros behind the end. */
uint8_t fuzz_byte(struct fuzz_script *script);
uint64_t fuzz_number(struct fuzz_script *script, unsigned bytes);

/* Pokes until the next operation, below 0x80; false at the end of the script. */
bool fuzz_next(struct fuzz_script *script, uint8_t *ret_operation);

/* One of the values that break arithmetic, or any other. */
uint64_t fuzz_value(struct fuzz_script *script, unsigned kind);

/* ---- the segment ---- */

#define FUZZ_POOL "fuzz"

/* A whole and open pool, made afresh from the script's first bytes. Before and behind it lie
 * pages that nobody may touch. */
struct cadre_view *fuzz_segment(struct fuzz_script *script);

/* Its mapping, whatever stands in it. */
struct cadre_segment fuzz_mapped(void);

/* Words by which somebody decides, for pokes and for the rogue: those of the target's own. */
void fuzz_add_hot(const void *start, size_t length);

/* From now on, the view's own addresses may only be read. */
void fuzz_segment_protect(void);

/* Reads every byte, so that one outside of the segment faults. */
void fuzz_read(const void *data, size_t length);

/* Starts a thread that overwrites words of the segment, for ever. */
void fuzz_unleash_rogue(void);

/* Keeps it from writing while something is prepared; fuzz_segment lets it go again. */
void fuzz_leash_rogue(bool leash);

/* Aborts with a sentence: a promise was broken without a fault. */
#define FUZZ_CHECK(condition)                                        \
	do {                                                         \
		if (!(condition))                                    \
			fuzz_broken(__FILE__, __LINE__, #condition); \
	} while (0)

_Noreturn void fuzz_broken(const char *file, int line, const char *condition);

/* ---- the machine ---- */

struct fuzz_machine {
	int64_t now_ns;
	bool alone;                       /* nobody holds the supervisor's lock */
	bool all_dead;                    /* whoever is looked at has died */
	uint32_t answer_place;            /* what a supervisor says to a hello */
	struct cadre_place *leased_place; /* where it writes that down; NULL: nowhere */
	/* Called when the target sleeps. */
	void (*slept)(void *context);
	void *context;
};

extern struct fuzz_machine fuzz_machine;

void fuzz_machine_begin(void);

#endif
