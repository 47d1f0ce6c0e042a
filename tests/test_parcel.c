/*
 * test_parcel.c - claims about parcel.h: what comes out is what went in, without a pointer to
 * the sender's data; and what cannot be is refused.
 */
#include "parcel.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void shout(struct cadre_job *job, void *state)
{
	(void)job;
	(void)state;
}

static void whisper(struct cadre_job *job, void *state)
{
	(void)state;
	(void)job;
}

static int begin(const struct cadre_start *start, void **ret_state,
		 struct cadre_diag *diag)
{
	(void)start;
	(void)ret_state;
	(void)diag;
	return 0;
}

static const struct cadre_operation operations[] = {
	{ 7, "shout", shout },
	{ 300, "whisper", whisper },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "voices",
	.operations = operations,
	.operation_count = 2,
	.init = begin,
	.flags = CADRE_SERVICE_THREADS,
};

static void say(const struct cadre_log_line *line, void *context)
{
	(void)line;
	(void)context;
}

static const struct cadre_pool_options options = {
	.size = sizeof(options),
	.name = "choir",
	.workers_max = 3,
	.start_data = "a\0b",
	.start_length = 3,
	.max_rss = 12345,
	.log = say,
};

static void *bytes;
static size_t length;
static struct cadre_parcel parcel;
static struct cadre_diag diag;

static void drop(void)
{
	free(bytes);
}

TestSuite(parcel, .fini = drop, .timeout = 60);

static void pack(const struct cadre_service *packed)
{
	cr_assert_eq(cadre_parcel_pack(packed, &options, &bytes, &length, &diag), 0, "%s",
		     diag.text);
}

static int unpack(void)
{
	return cadre_parcel_unpack(bytes, length, &parcel, &diag);
}

Test(parcel, what_comes_out_is_what_went_in)
{
	pack(&service);
	cr_assert_eq(unpack(), 0, "%s", diag.text);
	cr_assert_str_eq(parcel.options.name, "choir");
	cr_assert_eq(parcel.options.workers_max, 3);
	cr_assert_eq(parcel.options.max_rss, 12345);
	cr_assert_eq(parcel.options.start_length, 3);
	cr_assert_arr_eq(parcel.options.start_data, "a\0b", 3);
	cr_assert(parcel.has_service);
	cr_assert_str_eq(parcel.service.name, "voices");
	cr_assert_eq(parcel.service.size, sizeof(service));
	cr_assert_eq(parcel.service.flags, CADRE_SERVICE_THREADS);
	cr_assert_eq(parcel.service.init, begin);
	cr_assert_null(parcel.service.fini);
	cr_assert_eq(parcel.service.operation_count, 2);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(parcel.service.operations[i].id, operations[i].id);
		cr_assert_str_eq(parcel.service.operations[i].name, operations[i].name);
		cr_assert_eq(parcel.service.operations[i].handler, operations[i].handler);
	}
	cr_assert_eq(cadre_service_check(&parcel.service, &diag), 0, "%s", diag.text);
}

static bool lies_in_bytes(const void *data)
{
	const char *const at = data;

	return at >= (const char *)bytes && at < (const char *)bytes + length;
}

Test(parcel, nothing_of_it_is_the_senders_data)
{
	pack(&service);
	cr_assert_eq(unpack(), 0);
	cr_assert(lies_in_bytes(parcel.options.name));
	cr_assert(lies_in_bytes(parcel.options.start_data));
	cr_assert(lies_in_bytes(parcel.service.name));
	cr_assert(lies_in_bytes(parcel.service.operations[1].name));
	cr_assert_eq(parcel.service.operations, parcel.operations);
}

Test(parcel, a_pool_without_workers_has_no_service)
{
	pack(NULL);
	cr_assert_eq(unpack(), 0, "%s", diag.text);
	cr_assert_not(parcel.has_service);
	cr_assert_str_eq(parcel.options.name, "choir");
}

Test(parcel, names_may_be_long_and_many)
{
	struct cadre_operation many[CADRE_OPERATIONS_MAX];
	struct cadre_service large = service;
	char names[CADRE_OPERATIONS_MAX][48];
	char *const name = calloc(1, 50001);

	memset(name, 'n', 50000);
	for (int i = 0; i < CADRE_OPERATIONS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "%047d", i);
		many[i] = (struct cadre_operation){ i + 1, names[i], shout };
	}
	large.name = name;
	large.operations = many;
	large.operation_count = CADRE_OPERATIONS_MAX;
	pack(&large);
	cr_assert_eq(unpack(), 0, "%s", diag.text);
	cr_assert_str_eq(parcel.service.name, name);
	for (int i = 0; i < CADRE_OPERATIONS_MAX; i++)
		cr_assert_str_eq(parcel.operations[i].name, names[i]);
	free(name);
}

Test(parcel, a_function_that_lies_in_no_object_is_not_packed)
{
	struct cadre_operation stray[] = { { 1, "stray", NULL } };
	struct cadre_service strange = service;
	void *nowhere = calloc(1, 64);

	memcpy(&stray[0].handler, &nowhere, sizeof(nowhere));
	strange.operations = stray;
	strange.operation_count = 1;
	cr_assert_eq(cadre_parcel_pack(&strange, &options, &bytes, &length, &diag),
		     -EINVAL);
	cr_assert_not_null(strstr(diag.text, "\"stray\" lies in no object"), "%s",
			   diag.text);
	free(nowhere);
}

/* Where such bytes stand in the parcel, which must be but once. */
static unsigned char *place_of(const void *data, size_t size)
{
	unsigned char *const found = memmem(bytes, length, data, size);

	cr_assert_not_null(found);
	cr_assert_null(memmem(found + 1,
			      length - (size_t)(found + 1 - (unsigned char *)bytes), data,
			      size));
	return found;
}

Test(parcel, a_function_that_lies_in_no_object_is_not_taken)
{
	int (*const init)(const struct cadre_start *, void **,
			  struct cadre_diag *) = begin;
	void *const nowhere = calloc(1, 64);

	pack(&service);
	/* The service has no fini, so nothing says where that should lie. */
	memcpy(place_of(&init, sizeof(init)) + offsetof(struct cadre_service, fini) -
		       offsetof(struct cadre_service, init),
	       &nowhere, sizeof(nowhere));
	cr_assert_eq(unpack(), -EINVAL);
	cr_assert_not_null(strstr(diag.text, "\"fini\" lies in an object"), "%s",
			   diag.text);
	free(nowhere);
}

Test(parcel, a_log_function_is_neither_packed_nor_taken)
{
	static const size_t number = 12345,
			    behind = offsetof(struct cadre_pool_options, log) -
				     offsetof(struct cadre_pool_options, max_rss);
	void *const nowhere = calloc(1, 64);

	pack(&service);
	memcpy(place_of(&number, sizeof(number)) + behind, &nowhere, sizeof(nowhere));
	cr_assert_eq(unpack(), 0, "%s", diag.text);
	cr_assert_eq(parcel.options.max_rss, number);
	cr_assert_null(parcel.options.log);
	free(nowhere);
}

/* Whatever stands in the bytes: a sentence, or a parcel that can be looked at. */
static void look_at_all(void)
{
	if (unpack() < 0) {
		cr_assert_neq(diag.text[0], '\0');
		return;
	}
	if (parcel.options.name)
		cr_assert_leq(strlen(parcel.options.name), length);
	for (size_t i = 0; parcel.has_service && i < parcel.service.operation_count; i++) {
		if (parcel.operations[i].name)
			cr_assert_leq(strlen(parcel.operations[i].name), length);
	}
}

Test(parcel, bytes_that_were_cut_short_are_refused)
{
	pack(&service);
	for (size_t cut = 0; cut < length; cut++) {
		void *const some = malloc(cut ? cut : 1);

		memcpy(some, bytes, cut);
		cr_assert_lt(cadre_parcel_unpack(some, cut, &parcel, &diag), 0, "%zu",
			     cut);
		free(some);
	}
}

Test(parcel, bytes_that_were_changed_are_refused_or_harmless)
{
	static const unsigned char changes[] = { 0x01, 0x80, 0xff };

	pack(&service);
	for (size_t at = 0; at < length; at++) {
		for (size_t i = 0; i < sizeof(changes); i++) {
			((unsigned char *)bytes)[at] ^= changes[i];
			look_at_all();
			((unsigned char *)bytes)[at] ^= changes[i];
		}
	}
	cr_assert_eq(unpack(), 0);
}
