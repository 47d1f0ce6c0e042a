/*
 * Claims about kept.c: the requests of the last refused jobs, whole or cut, each once.
 */
#include "kept.h"

#include <criterion/criterion.h>
#include <string.h>

#define PAYLOAD_MAX 1000u

static struct cadre_annals_head head;
static alignas(CADRE_CACHE_LINE) unsigned char records[CADRE_KEPT * 2048];
static unsigned char request[2 * CADRE_KEPT_BYTES_MAX];

static struct cadre_annals kept = {
	.head = &head,
	.records = records,
	.count = CADRE_KEPT,
};

static void begin(void)
{
	kept.body_size = cadre_kept_body_size(PAYLOAD_MAX);
	for (size_t i = 0; i < sizeof(request); i++)
		request[i] = (unsigned char)(i * 7);
}

TestSuite(kept, .init = begin);

static uint64_t keep(uint64_t job, uint64_t length)
{
	const struct cadre_kept wish = { .job = job, .length = length, .operation = 3 };

	return cadre_kept_write(&kept, &wish, request);
}

Test(kept, a_request_is_kept_whole)
{
	struct cadre_kept found;
	unsigned char bytes[2048];

	cr_assert_eq(keep(5, 777), 0);
	cr_assert(cadre_kept_read(&kept, 0, &found, bytes));
	cr_assert_eq(found.job, 5);
	cr_assert_eq(found.operation, 3);
	cr_assert_eq(found.length, 777);
	cr_assert_eq(found.kept_length, 777);
	cr_assert_eq(memcmp(bytes, request, 777), 0);
	cr_assert(cadre_kept_read(&kept, 0, &found, NULL));
	cr_assert_not(cadre_kept_read(&kept, 1, &found, NULL));
}

Test(kept, the_longest_payload_fits)
{
	struct cadre_kept found;

	keep(5, PAYLOAD_MAX);
	cr_assert(cadre_kept_read(&kept, 0, &found, NULL));
	cr_assert_eq(found.kept_length, PAYLOAD_MAX);
}

Test(kept, a_long_one_is_cut_and_its_length_told)
{
	struct cadre_kept found;

	keep(5, sizeof(request));
	cr_assert(cadre_kept_read(&kept, 0, &found, NULL));
	cr_assert_eq(found.length, sizeof(request));
	cr_assert_eq(found.kept_length, cadre_kept_bytes(PAYLOAD_MAX));
	cr_assert_eq(cadre_kept_bytes(UINT64_C(1) << 30), CADRE_KEPT_BYTES_MAX);
}

Test(kept, a_job_is_kept_once_whoever_tries_again)
{
	cr_assert_eq(keep(5, 10), 0);
	cr_assert_eq(keep(6, 10), 1);
	cr_assert_eq(keep(5, 10), 0);
	cr_assert_eq(atomic_load(&head.written), 2);
}

Test(kept, the_last_ones_stay)
{
	struct cadre_kept found;

	for (uint64_t job = 1; job <= 3 * CADRE_KEPT; job++)
		cr_assert_eq(keep(job, 10), job - 1);
	cr_assert_not(cadre_kept_read(&kept, 2 * CADRE_KEPT - 1, &found, NULL));
	for (uint64_t id = 2 * CADRE_KEPT; id < 3 * CADRE_KEPT; id++) {
		cr_assert(cadre_kept_read(&kept, id, &found, NULL));
		cr_assert_eq(found.job, id + 1);
	}
}

Test(kept, a_length_that_nobody_wrote_reads_no_more_than_there_is)
{
	static unsigned char bytes[PAYLOAD_MAX + 64 + 1];
	struct cadre_kept found;
	struct cadre_annals_record *const record = (void *)records;

	keep(5, 10);
	memset(record->words, 0xff, sizeof(found));
	bytes[cadre_kept_bytes(PAYLOAD_MAX)] = 42;
	cr_assert(cadre_kept_read(&kept, 0, &found, bytes));
	cr_assert_eq(found.kept_length, cadre_kept_bytes(PAYLOAD_MAX));
	cr_assert_eq(bytes[cadre_kept_bytes(PAYLOAD_MAX)], 42);
}
