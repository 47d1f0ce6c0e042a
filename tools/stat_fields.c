/*
 * stat_fields.c - any of the fields, as they are: what was chosen by name, a table for each
 * scope, in base units and without rounding; and the list of all that there are.
 */
#include "stat.h"
#include "table.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char counters_prefix[] = "counters.";

/* Counters are known by their own names as well. */
static const char *short_name(const struct cadre_field *field)
{
	const size_t length = sizeof(counters_prefix) - 1;

	return strncmp(field->name, counters_prefix, length) == 0 ? field->name + length :
								    field->name;
}

static bool matches(const char *glob, enum cadre_field_scope scope,
		    const struct cadre_field *field)
{
	char full[128], brief[128];

	snprintf(full, sizeof(full), "%s.%s", cadre_field_scope_name(scope), field->name);
	snprintf(brief, sizeof(brief), "%s.%s", cadre_field_scope_name(scope),
		 short_name(field));
	return fnmatch(glob, field->name, 0) == 0 ||
	       fnmatch(glob, short_name(field), 0) == 0 || fnmatch(glob, full, 0) == 0 ||
	       fnmatch(glob, brief, 0) == 0;
}

bool cadre_stat_wants(const struct cadre_stat_choice *choice,
		      enum cadre_field_scope scope, const struct cadre_field *field)
{
	const char *from = choice->fields;

	if (!from)
		return true;
	for (;;) {
		const size_t length = strcspn(from, ",");
		char glob[128];

		snprintf(glob, sizeof(glob), "%.*s", (int)length, from);
		if (matches(glob, scope, field))
			return true;
		if (from[length] == '\0')
			return false;
		from += length + 1;
	}
}

static void put_value(struct cadre_row *row, const struct cadre_field *field,
		      const void *snapshot)
{
	switch (field->type) {
	case CADRE_TYPE_TEXT: {
		const char *const text = cadre_field_text(field, snapshot);

		cadre_row_put(row, "%s", text[0] ? text : "-");
		break;
	}
	case CADRE_TYPE_LETTER:
		cadre_row_put(row, "%c", *((const char *)snapshot + field->offset));
		break;
	case CADRE_TYPE_REAL:
		cadre_row_put(row, "%.9g", cadre_field_number(field, snapshot));
		break;
	default:
		cadre_row_put(row, "%" PRId64, cadre_field_integer(field, snapshot));
	}
}

/* The snapshot of one scope by its index; NULL behind the last. */
typedef const void *at_fn(const struct cadre_stat_pool *pool, uint32_t index);

static const void *pool_at(const struct cadre_stat_pool *pool, uint32_t index)
{
	return index == 0 ? pool->pool : NULL;
}

static const void *worker_at(const struct cadre_stat_pool *pool, uint32_t index)
{
	return cadre_report_worker(pool->report, index);
}

static const void *client_at(const struct cadre_stat_pool *pool, uint32_t index)
{
	return cadre_report_client(pool->report, index);
}

static const void *operation_at(const struct cadre_stat_pool *pool, uint32_t index)
{
	return cadre_report_operation_at(pool->report, index);
}

static const void *guest_at(const struct cadre_stat_pool *pool, uint32_t index)
{
	return cadre_report_guest(pool->report, index);
}

static const void *rates_at(const struct cadre_stat_pool *pool, uint32_t index)
{
	return index == 0 ? cadre_sampler_pool(pool->sampler) : NULL;
}

/* What a row is about stands first, wanted or not; a pool's needs no name. */
static bool is_key(enum cadre_field_scope scope, size_t index)
{
	return index == 0 && scope != CADRE_FIELDS_POOL && scope != CADRE_FIELDS_RATES;
}

static int print_scope(const struct cadre_stat_pool *pool,
		       const struct cadre_stat_choice *choice,
		       enum cadre_field_scope scope, at_fn *at, bool *first)
{
	struct libscols_table *const table = scols_new_table();
	const void *snapshot;
	size_t count, wanted = 0;
	const struct cadre_field *const fields = cadre_fields(scope, &count);
	int r = table ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		const bool wants = cadre_stat_wants(choice, scope, &fields[i]);

		wanted += wants;
		if ((wants || is_key(scope, i)) &&
		    !scols_table_new_column(table, short_name(&fields[i]), 0,
					    fields[i].type == CADRE_TYPE_TEXT ?
						    0 :
						    SCOLS_FL_RIGHT))
			r = -ENOMEM;
	}
	for (uint32_t n = 0; r == 0 && wanted > 0 && (snapshot = at(pool, n)); n++) {
		struct cadre_row row;

		if (scope == CADRE_FIELDS_WORKER && !cadre_stat_wants_worker(choice, n))
			continue;
		row = cadre_row_open(table);
		for (size_t i = 0; i < count; i++) {
			if (cadre_stat_wants(choice, scope, &fields[i]) ||
			    is_key(scope, i))
				put_value(&row, &fields[i], snapshot);
		}
		r = row.result;
	}
	if (r == 0 && !scols_table_is_empty(table)) {
		if (!*first)
			putchar('\n');
		*first = false;
	}
	cadre_table_close(table);
	return r;
}

int cadre_stat_print_fields(const struct cadre_stat_pool *pool,
			    const struct cadre_stat_choice *choice)
{
	static at_fn *const at[CADRE_FIELDS_COUNT] = {
		[CADRE_FIELDS_POOL] = pool_at,
		[CADRE_FIELDS_WORKER] = worker_at,
		[CADRE_FIELDS_CLIENT] = client_at,
		[CADRE_FIELDS_OPERATION] = operation_at,
		[CADRE_FIELDS_RATES] = rates_at,
		[CADRE_FIELDS_GUEST] = guest_at,
	};
	bool first = true;
	int r = 0;

	for (unsigned scope = 0; r == 0 && scope < CADRE_FIELDS_COUNT; scope++)
		r = print_scope(pool, choice, (enum cadre_field_scope)scope, at[scope],
				&first);
	return r;
}

int cadre_stat_list_table(void)
{
	static const struct cadre_column columns[] = {
		{ "SCOPE", 0 }, { "NAME", 0 },    { "KIND", 0 },
		{ "UNIT", 0 },  { "MEANING", 0 },
	};
	struct libscols_table *const table = cadre_table_open(columns,
							      sizeof(columns) /
								      sizeof(columns[0]));
	int r = table ? 0 : -ENOMEM;

	for (unsigned scope = 0; r == 0 && scope < CADRE_FIELDS_COUNT; scope++) {
		size_t count;
		const struct cadre_field *const fields =
			cadre_fields((enum cadre_field_scope)scope, &count);

		for (size_t i = 0; r == 0 && i < count; i++) {
			struct cadre_row row = cadre_row_open(table);

			cadre_row_put(&row, "%s",
				      cadre_field_scope_name(
					      (enum cadre_field_scope)scope));
			cadre_row_put(&row, "%s", short_name(&fields[i]));
			cadre_row_put(&row, "%s", cadre_counter_kind_name(fields[i].kind));
			cadre_row_put(&row, "%s",
				      fields[i].unit[0] ? fields[i].unit : "-");
			cadre_row_put(&row, "%s", fields[i].sentence);
			r = row.result;
		}
	}
	cadre_table_close(table);
	return r;
}
