/*
 * Claims about annals.c: a record is read whole or not at all, whoever died while it was
 * written, and whatever the numbers are.
 */
#include "annals.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT 4u
#define WORDS 6u
#define BODY (WORDS * 8u)

static alignas(CADRE_CACHE_LINE) struct cadre_annals_head head;
static alignas(CADRE_CACHE_LINE) unsigned char records[COUNT * 64];

static const struct cadre_annals annals = {
	.head = &head,
	.records = records,
	.count = COUNT,
	.body_size = BODY,
};

static struct cadre_annals_record *place(unsigned index)
{
	return (void *)(records + (size_t)index * 64);
}

static void write_number(uint64_t number)
{
	uint64_t body[WORDS];

	for (unsigned i = 0; i < WORDS; i++)
		body[i] = number * 100 + i;
	cr_assert_eq(cadre_annals_write(&annals, body, sizeof(body), NULL, 0), number);
}

static bool holds(uint64_t number)
{
	uint64_t body[WORDS] = { 0 };

	if (!cadre_annals_read(&annals, number, body, sizeof(body)))
		return false;
	for (unsigned i = 0; i < WORDS; i++)
		cr_assert_eq(body[i], number * 100 + i, "it is torn");
	return true;
}

static void expect_span(uint64_t from, uint64_t to)
{
	const struct cadre_annals_span span = cadre_annals_span(&annals);

	cr_assert_eq(span.from, from);
	cr_assert_eq(span.to, to);
}

static unsigned not_fine(void)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < COUNT; i++)
		count += cadre_annals_look(&annals, i) != CADRE_ANNALS_FINE;
	return count;
}

Test(annals, nothing_was_written_at_first)
{
	expect_span(0, 0);
	cr_assert_not(holds(0));
	cr_assert_eq(not_fine(), 0);
}

Test(annals, the_last_records_stay_and_the_oldest_goes)
{
	for (uint64_t number = 0; number < 3 * COUNT + 1; number++) {
		write_number(number);
		cr_assert_eq(not_fine(), 0);
		expect_span(number + 1 > COUNT ? number + 1 - COUNT : 0, number + 1);
		for (uint64_t old = 0; old <= number + 1; old++)
			cr_assert_eq(holds(old), old <= number && old + COUNT > number);
	}
}

Test(annals, a_record_of_two_pieces_is_one)
{
	const uint64_t first[2] = { 1, 2 };
	const char second[] = "and eleven"; /* no multiple of 8 */
	unsigned char body[BODY];

	cadre_annals_write(&annals, first, sizeof(first), second, sizeof(second));
	cr_assert(cadre_annals_read(&annals, 0, body, sizeof(body)));
	cr_assert_eq(memcmp(body, first, sizeof(first)), 0);
	cr_assert_str_eq((char *)body + sizeof(first), second);
}

Test(annals, what_is_too_long_is_cut_and_writes_over_nobody)
{
	unsigned char much[BODY + 64];

	memset(much, 7, sizeof(much));
	write_number(0);
	cadre_annals_write(&annals, much, sizeof(much), much, sizeof(much));
	cadre_annals_write(&annals, much, 8, much, sizeof(much));
	cr_assert(holds(0));
	cr_assert_eq(atomic_load(&place(3)->sequence), 0);
	cr_assert_not(cadre_annals_read(&annals, 1, much, sizeof(much)));
}

Test(annals, a_record_half_written_by_the_dead_is_not_shown_and_its_number_used_again)
{
	for (uint64_t number = 0; number < COUNT + 1; number++)
		write_number(number);
	atomic_store(&place(1)->sequence, 2 * 5 + 1);
	atomic_store(&place(1)->words[2], 4711);

	expect_span(1, 5);
	cr_assert_not(holds(1), "it is being written over");
	cr_assert_not(holds(5));
	cr_assert_eq(cadre_annals_look(&annals, 1), CADRE_ANNALS_UNFINISHED);

	cadre_annals_resume(&annals);
	write_number(5);
	cr_assert(holds(5));
	cr_assert_eq(not_fine(), 0);
}

Test(annals, a_record_that_stands_and_was_not_counted_is_shown_and_counted)
{
	for (uint64_t number = 0; number < 3; number++)
		write_number(number);
	atomic_store(&head.written, 2);

	expect_span(0, 3);
	cr_assert(holds(2));
	cr_assert_eq(cadre_annals_look(&annals, 2), CADRE_ANNALS_UNFINISHED);

	cadre_annals_resume(&annals);
	cr_assert_eq(atomic_load(&head.written), 3);
	cadre_annals_resume(&annals);
	cr_assert_eq(atomic_load(&head.written), 3);
	write_number(3);
	cr_assert(holds(2));
	cr_assert_eq(not_fine(), 0);
}

Test(annals, sequences_that_no_step_leads_to_are_seen)
{
	static const struct {
		unsigned place;
		uint64_t sequence;
	} wrong[] = {
		{ 0, 1 },         /* being written, and others were written since */
		{ 0, 2 * 2 },     /* number 1 lies in place 1 */
		{ 2, 2 * 8 },     /* number 7 is yet to come, and would lie in place 3 */
		{ 3, 2 * 8 },     /* number 7 is yet to come */
		{ 1, 0 },         /* it was written */
		{ 1, 2 * 1 + 1 }, /* half written, and counted */
		{ 3, UINT64_MAX },
	};

	for (unsigned i = 0; i < CADRE_COUNT_OF(wrong); i++) {
		memset(records, 0, sizeof(records));
		atomic_store(&head.written, 0);
		for (uint64_t number = 0; number < COUNT; number++)
			write_number(number);
		atomic_store(&place(wrong[i].place)->sequence, wrong[i].sequence);
		cr_assert_eq(cadre_annals_look(&annals, wrong[i].place),
			     CADRE_ANNALS_IMPOSSIBLE, "%u", i);
		cr_assert_eq(not_fine(), 1);
	}
}

Test(annals, whatever_stands_there_nobody_reads_for_ever_or_outside)
{
	static const uint64_t odd[] = { 0,
					1,
					3,
					COUNT,
					UINT64_MAX,
					UINT64_MAX - 1,
					UINT64_MAX / 2,
					UINT64_C(1) << 63 };

	for (unsigned i = 0; i < CADRE_COUNT_OF(odd); i++) {
		for (unsigned j = 0; j < CADRE_COUNT_OF(odd); j++) {
			struct cadre_annals_span span;
			uint64_t body[WORDS];

			atomic_store(&head.written, odd[i]);
			atomic_store(&place((unsigned)(odd[i] % COUNT))->sequence, odd[j]);
			cadre_annals_resume(&annals);
			span = cadre_annals_span(&annals);
			cr_assert_leq(span.to - span.from, COUNT);
			for (uint64_t number = span.from; number != span.to; number++)
				cadre_annals_read(&annals, number, body, sizeof(body));
			for (uint32_t index = 0; index < COUNT; index++)
				cadre_annals_look(&annals, index);
			cadre_annals_write(&annals, body, sizeof(body), NULL, 0);
		}
	}
}
