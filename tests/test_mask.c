/*
 * Claims about mask.h: bits go where they belong, and a search sees each of them once.
 */
#include "mask.h"

#include <criterion/criterion.h>
#include <string.h>

static struct cadre_mask mask;

static void fresh(void)
{
	memset(&mask, 0, sizeof(mask));
}

TestSuite(mask, .init = fresh);

Test(mask, each_bit_is_set_and_cleared_without_touching_another)
{
	for (unsigned bit = 0; bit < CADRE_MASK_BITS; bit++) {
		cadre_mask_set(&mask, bit);
		for (unsigned other = 0; other < CADRE_MASK_BITS; other++)
			cr_assert_eq(cadre_mask_has(&mask, other), other == bit);

		cadre_mask_clear(&mask, bit);
		for (unsigned word = 0; word < CADRE_MASK_WORDS; word++)
			cr_assert_eq(cadre_mask_word(&mask, word), 0);
	}
}

Test(mask, setting_twice_is_the_same_as_once)
{
	cadre_mask_set(&mask, 64);
	cadre_mask_set(&mask, 64);
	cadre_mask_clear(&mask, 64);

	cr_assert_not(cadre_mask_has(&mask, 64));
}

Test(mask, an_empty_mask_has_no_next)
{
	cr_assert_eq(cadre_mask_next(&mask, 0, CADRE_MASK_BITS), CADRE_MASK_BITS);
	cr_assert_eq(cadre_mask_next(&mask, 511, CADRE_MASK_BITS), CADRE_MASK_BITS);
}

Test(mask, next_finds_the_bit_it_starts_at)
{
	static const unsigned bits[] = { 0, 63, 64, 127, 128, 511 };

	for (unsigned i = 0; i < CADRE_COUNT_OF(bits); i++) {
		fresh();
		cadre_mask_set(&mask, bits[i]);
		cr_assert_eq(cadre_mask_next(&mask, bits[i], CADRE_MASK_BITS), bits[i]);
		cr_assert_eq(cadre_mask_next(&mask, 0, CADRE_MASK_BITS), bits[i]);
		cr_assert_eq(cadre_mask_next(&mask, bits[i] + 1, CADRE_MASK_BITS),
			     CADRE_MASK_BITS);
	}
}

Test(mask, a_walk_meets_every_set_bit_once_and_in_order)
{
	static const unsigned bits[] = { 1, 2, 62, 63, 64, 65, 130, 200, 448, 511 };
	unsigned bit = 0;

	for (unsigned i = 0; i < CADRE_COUNT_OF(bits); i++)
		cadre_mask_set(&mask, bits[i]);

	for (unsigned i = 0; i < CADRE_COUNT_OF(bits); i++, bit++) {
		bit = cadre_mask_next(&mask, bit, CADRE_MASK_BITS);
		cr_assert_eq(bit, bits[i]);
	}
	cr_assert_eq(cadre_mask_next(&mask, bit, CADRE_MASK_BITS), CADRE_MASK_BITS);
}

/* Bits beyond the pool's own number are what a broken peer might set. */
Test(mask, bits_at_and_beyond_the_count_do_not_exist)
{
	static const unsigned counts[] = { 1, 63, 64, 65, 100, 511 };

	memset(&mask, 0xff, sizeof(mask));
	for (unsigned i = 0; i < CADRE_COUNT_OF(counts); i++) {
		const unsigned count = counts[i];

		cr_assert_eq(cadre_mask_next(&mask, count - 1, count), count - 1);
		cr_assert_eq(cadre_mask_next(&mask, count, count), count);

		memset(&mask, 0, sizeof(mask));
		cadre_mask_set(&mask, count);
		cr_assert_eq(cadre_mask_next(&mask, 0, count), count);
		memset(&mask, 0xff, sizeof(mask));
	}
}
