/*
 * test_counters.c - claims about the catalogue: that it describes each counter and each
 * field once, and reads the one that it names.
 */
#include "stats.h"

#include <cadre/report.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct cadre_field *field_of(enum cadre_field_scope scope, const char *name)
{
	size_t count;
	const struct cadre_field *const fields = cadre_fields(scope, &count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	return NULL;
}

Test(counters, each_counter_in_the_segment_is_a_field_and_says_the_same)
{
	static const enum cadre_field_scope where[CADRE_SCOPE_COUNT] = {
		[CADRE_SCOPE_WORKER] = CADRE_FIELDS_WORKER,
		[CADRE_SCOPE_PLACE] = CADRE_FIELDS_WORKER,
		[CADRE_SCOPE_CLIENT] = CADRE_FIELDS_CLIENT,
		[CADRE_SCOPE_POOL] = CADRE_FIELDS_POOL,
	};

	for (unsigned scope = 0; scope < CADRE_SCOPE_COUNT; scope++) {
		size_t count;
		const struct cadre_counter_description *const counters =
			cadre_counter_describe((enum cadre_counter_scope)scope, &count);

		cr_assert_gt(count, 0);
		for (size_t i = 0; i < count; i++) {
			const struct cadre_field *field;
			char name[100];

			snprintf(name, sizeof(name), "counters.%s", counters[i].name);
			field = field_of(where[scope], name);
			cr_assert_not_null(field, "%s", name);
			cr_assert_eq(field->kind, counters[i].kind, "%s", name);
			cr_assert_str_eq(field->unit, counters[i].unit);
			cr_assert_str_eq(field->sentence, counters[i].sentence);
			cr_assert_eq(field->type, CADRE_TYPE_U64);
		}
	}
}

Test(counters, a_field_reads_the_counter_that_it_names)
{
	struct cadre_worker_snapshot worker = { 0 };
	size_t count;
	const struct cadre_counter_description *const counters =
		cadre_counter_describe(CADRE_SCOPE_PLACE, &count);

	for (size_t i = 0; i < count; i++)
		worker.about[i] = 1000 + i;
	for (size_t i = 0; i < count; i++) {
		char name[100];

		snprintf(name, sizeof(name), "counters.%s", counters[i].name);
		cr_assert_eq(cadre_field_integer(field_of(CADRE_FIELDS_WORKER, name),
						 &worker),
			     (int64_t)(1000 + i), "%s", name);
		cr_assert_eq(cadre_counter_value(CADRE_SCOPE_PLACE, worker.about,
						 counters[i].name),
			     1000 + i);
	}
	cr_assert_eq(cadre_counter_value(CADRE_SCOPE_PLACE, worker.about, "no such"), 0);
}

Test(counters, values_of_each_type_are_read_as_they_are)
{
	struct cadre_pool_snapshot pool = { .name = "orders",
					    .alive = true,
					    .supervisor_pid = -1,
					    .workers_min = UINT32_MAX,
					    .submitted = UINT64_MAX,
					    .uptime_ns = INT64_MIN };
	const struct cadre_rates rates = { .load = 0.25 };

	cr_assert_str_eq(cadre_field_text(field_of(CADRE_FIELDS_POOL, "name"), &pool),
			 "orders");
	cr_assert_eq(cadre_field_integer(field_of(CADRE_FIELDS_POOL, "alive"), &pool), 1);
	cr_assert_eq(cadre_field_integer(field_of(CADRE_FIELDS_POOL, "supervisor_pid"),
					 &pool),
		     -1);
	cr_assert_eq(cadre_field_integer(field_of(CADRE_FIELDS_POOL, "workers_min"), &pool),
		     UINT32_MAX);
	cr_assert_eq(cadre_field_integer(field_of(CADRE_FIELDS_POOL, "submitted"), &pool),
		     INT64_MAX, "cut to what fits");
	cr_assert_eq(cadre_field_integer(field_of(CADRE_FIELDS_POOL, "uptime_ns"), &pool),
		     INT64_MIN);
	cr_assert_null(cadre_field_text(field_of(CADRE_FIELDS_POOL, "alive"), &pool));
	cr_assert_float_eq(cadre_field_number(field_of(CADRE_FIELDS_RATES, "load"), &rates),
			   0.25, 0);
}

/* What is counted is a plain word, "jobs"; all others must be known to who converts them. */
static bool is_known(const char *unit)
{
	static const char *const converted[] = { "",    "ns",      "s",      "bytes",
						 "ppm", "mjobs/s", "unix s", "jobs/s" };

	for (size_t i = 0; i < CADRE_COUNT_OF(converted); i++) {
		if (strcmp(converted[i], unit) == 0)
			return true;
	}
	return strlen(unit) > 2 &&
	       strspn(unit, "abcdefghijklmnopqrstuvwxyz") == strlen(unit);
}

/* What a name, a unit and a sentence must be, so that each form can be made of them. */
Test(counters, names_are_unique_and_everything_is_said)
{
	for (unsigned scope = 0; scope < CADRE_FIELDS_COUNT; scope++) {
		size_t count;
		const struct cadre_field *const fields =
			cadre_fields((enum cadre_field_scope)scope, &count);

		for (size_t i = 0; i < count; i++) {
			cr_assert(is_known(fields[i].unit),
				  "%s: unit \"%s\" is new: say in stat_prometheus.c what it "
				  "is in base units",
				  fields[i].name, fields[i].unit);
			cr_assert(strspn(fields[i].name,
					 "abcdefghijklmnopqrstuvwxyz0123456789_.") ==
					  strlen(fields[i].name),
				  "%s", fields[i].name);
			cr_assert_gt(strlen(fields[i].sentence), 3, "%s", fields[i].name);
			cr_assert(!strpbrk(fields[i].sentence, "\\\n\t"), "%s",
				  fields[i].name);
			for (size_t other = 0; other < i; other++)
				cr_assert_str_neq(fields[other].name, fields[i].name);
		}
	}
	cr_assert_null(cadre_fields(CADRE_FIELDS_COUNT, &(size_t){ 0 }));
}
