/*
 * mask.h - a set of small numbers (workers, windows) as bits in shared words.
 */
#ifndef CADRE_MASK_H
#define CADRE_MASK_H

#include "platform.h"

#define CADRE_MASK_WORDS 8
#define CADRE_MASK_BITS (64 * CADRE_MASK_WORDS)

struct cadre_mask {
	alignas(CADRE_CACHE_LINE) _Atomic uint64_t words[CADRE_MASK_WORDS];
};

static_assert(sizeof(struct cadre_mask) == CADRE_CACHE_LINE, "segment layout");

/* Sequentially consistent, both: a bit is set or cleared *before* what follows is looked
 * at; the drawings in crew.h and look.h say why. */
static inline void cadre_mask_set(struct cadre_mask *mask, unsigned bit)
{
	/* K1 of a sleeper or an engaged worker, A1 of a job that is aimed at one. */
	atomic_fetch_or_explicit(&mask->words[bit / 64], UINT64_C(1) << bit % 64,
				 memory_order_seq_cst);
}

static inline void cadre_mask_clear(struct cadre_mask *mask, unsigned bit)
{
	/* A2 of what was aimed at a worker that looks. */
	atomic_fetch_and_explicit(&mask->words[bit / 64], ~(UINT64_C(1) << bit % 64),
				  memory_order_seq_cst);
}

/* Relaxed: the fences around it do the ordering. */
static inline uint64_t cadre_mask_word(const struct cadre_mask *mask, unsigned word)
{
	return atomic_load_explicit(&mask->words[word], memory_order_relaxed);
}

static inline bool cadre_mask_has(const struct cadre_mask *mask, unsigned bit)
{
	return cadre_mask_word(mask, bit / 64) >> bit % 64 & 1;
}

/* The lowest bit >= `from` and < `count` of a mask, or `count`. */
static inline unsigned cadre_mask_next(const struct cadre_mask *mask, unsigned from,
				       unsigned count)
{
	while (from < count) {
		const uint64_t rest = cadre_mask_word(mask, from / 64) >> from % 64;

		if (rest) {
			from += (unsigned)__builtin_ctzll(rest);
			return from < count ? from : count;
		}
		from = (from / 64 + 1) * 64;
	}
	return count;
}

#endif
