/*
 * describe.c - the catalogue: what each counter and each field of a report is, made from
 * counters.def and fields.def and from nothing else.
 */
#include "stats.h"

#include <cadre/report.h>

#include <string.h>

#define KIND_COUNTER CADRE_COUNTER_TOTAL
#define KIND_LEVEL CADRE_COUNTER_LEVEL
#define KIND_PEAK CADRE_COUNTER_PEAK
#define KIND_LIMIT CADRE_COUNTER_LIMIT
#define KIND_LABEL CADRE_COUNTER_LABEL

/* ---- counters, scope by scope ---- */

#define SAID(name, kind, unit, sentence) { #name, KIND_##kind, unit, sentence },
#define UNSAID(name, kind, unit, sentence)
#define CADRE_COUNTER(scope, name, kind, unit, sentence) \
	SAY_##scope(name, kind, unit, sentence)

#define SAY_WORKER SAID
#define SAY_PLACE UNSAID
#define SAY_CLIENT UNSAID
#define SAY_POOL UNSAID
static const struct cadre_counter_description worker_counters[] = {
#include "counters.def"
};

#undef SAY_WORKER
#undef SAY_PLACE
#define SAY_WORKER UNSAID
#define SAY_PLACE SAID
static const struct cadre_counter_description place_counters[] = {
#include "counters.def"
};

#undef SAY_PLACE
#undef SAY_CLIENT
#define SAY_PLACE UNSAID
#define SAY_CLIENT SAID
static const struct cadre_counter_description client_counters[] = {
#include "counters.def"
};

#undef SAY_CLIENT
#undef SAY_POOL
#define SAY_CLIENT UNSAID
#define SAY_POOL SAID
static const struct cadre_counter_description pool_counters[] = {
#include "counters.def"
};

#undef SAY_WORKER
#undef SAY_PLACE
#undef SAY_CLIENT
#undef SAY_POOL
#undef CADRE_COUNTER

/* The report takes each of these structs for an array. */
#define ASSERT_COUNTERS(described, counters)                                            \
	static_assert(sizeof(counters) == CADRE_COUNT_OF(described) * sizeof(uint64_t), \
		      "a counter is not an _Atomic uint64_t");                          \
	static_assert(CADRE_COUNT_OF(described) <= CADRE_SNAPSHOT_COUNTERS_MAX,         \
		      "the snapshots have no room for so many counters")

ASSERT_COUNTERS(worker_counters, struct cadre_worker_counters);
ASSERT_COUNTERS(place_counters, struct cadre_place_counters);
ASSERT_COUNTERS(client_counters, struct cadre_client_counters);
ASSERT_COUNTERS(pool_counters, struct cadre_pool_counters);

const struct cadre_counter_description *cadre_counter_describe(
	enum cadre_counter_scope scope, size_t *ret_count)
{
	static const struct {
		const struct cadre_counter_description *counters;
		size_t count;
	} scopes[CADRE_SCOPE_COUNT] = {
		[CADRE_SCOPE_WORKER] = { worker_counters, CADRE_COUNT_OF(worker_counters) },
		[CADRE_SCOPE_PLACE] = { place_counters, CADRE_COUNT_OF(place_counters) },
		[CADRE_SCOPE_CLIENT] = { client_counters, CADRE_COUNT_OF(client_counters) },
		[CADRE_SCOPE_POOL] = { pool_counters, CADRE_COUNT_OF(pool_counters) },
	};

	if ((unsigned)scope >= CADRE_SCOPE_COUNT) {
		*ret_count = 0;
		return NULL;
	}
	*ret_count = scopes[scope].count;
	return scopes[scope].counters;
}

uint64_t cadre_counter_value(enum cadre_counter_scope scope, const uint64_t *values,
			     const char *name)
{
	size_t count;
	const struct cadre_counter_description *const counters =
		cadre_counter_describe(scope, &count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(counters[i].name, name) == 0)
			return values[i];
	}
	return 0;
}

/* ---- fields, scope by scope: members of a snapshot, then the counters in it ---- */

#define MEMBER(snapshot, name, member, type, kind, unit, sentence) \
	{ name, CADRE_TYPE_##type, KIND_##kind,                    \
	  unit, sentence,          offsetof(struct snapshot, member) },
#define NO_MEMBER(name, member, type, kind, unit, sentence)
#define CADRE_FIELD(scope, name, member, type, kind, unit, sentence) \
	FIELD_##scope(name, member, type, kind, unit, sentence)

#define COUNTER_IN(snapshot, array, counters, name, kind, unit, sentence) \
	{ "counters." #name,                                              \
	  CADRE_TYPE_U64,                                                 \
	  KIND_##kind,                                                    \
	  unit,                                                           \
	  sentence,                                                       \
	  offsetof(struct snapshot, array) + offsetof(struct counters, name) },
#define NO_COUNTER(name, kind, unit, sentence)
#define CADRE_COUNTER(scope, name, kind, unit, sentence) \
	COUNT_##scope(name, kind, unit, sentence)

#define FIELD_POOL(...) MEMBER(cadre_pool_snapshot, __VA_ARGS__)
#define FIELD_WORKER NO_MEMBER
#define FIELD_CLIENT NO_MEMBER
#define FIELD_OPERATION NO_MEMBER
#define FIELD_RATES NO_MEMBER
#define FIELD_GUEST NO_MEMBER
#define COUNT_POOL(...) \
	COUNTER_IN(cadre_pool_snapshot, counters, cadre_pool_counters, __VA_ARGS__)
#define COUNT_WORKER NO_COUNTER
#define COUNT_PLACE NO_COUNTER
#define COUNT_CLIENT NO_COUNTER
static const struct cadre_field pool_fields[] = {
#include "fields.def"

#include "counters.def"
};

#undef FIELD_POOL
#undef FIELD_WORKER
#undef COUNT_POOL
#undef COUNT_WORKER
#undef COUNT_PLACE
#define FIELD_POOL NO_MEMBER
#define FIELD_WORKER(...) MEMBER(cadre_worker_snapshot, __VA_ARGS__)
#define COUNT_POOL NO_COUNTER
#define COUNT_WORKER(...) \
	COUNTER_IN(cadre_worker_snapshot, worker, cadre_worker_counters, __VA_ARGS__)
#define COUNT_PLACE(...) \
	COUNTER_IN(cadre_worker_snapshot, about, cadre_place_counters, __VA_ARGS__)
static const struct cadre_field worker_fields[] = {
#include "fields.def"

#include "counters.def"
};

#undef FIELD_WORKER
#undef FIELD_CLIENT
#undef COUNT_WORKER
#undef COUNT_PLACE
#undef COUNT_CLIENT
#define FIELD_WORKER NO_MEMBER
#define FIELD_CLIENT(...) MEMBER(cadre_client_snapshot, __VA_ARGS__)
#define COUNT_WORKER NO_COUNTER
#define COUNT_PLACE NO_COUNTER
#define COUNT_CLIENT(...) \
	COUNTER_IN(cadre_client_snapshot, counters, cadre_client_counters, __VA_ARGS__)
static const struct cadre_field client_fields[] = {
#include "fields.def"

#include "counters.def"
};

#undef FIELD_CLIENT
#undef FIELD_OPERATION
#define FIELD_CLIENT NO_MEMBER
#define FIELD_OPERATION(...) MEMBER(cadre_operation_snapshot, __VA_ARGS__)
static const struct cadre_field operation_fields[] = {
#include "fields.def"
};

#undef FIELD_OPERATION
#undef FIELD_RATES
#define FIELD_OPERATION NO_MEMBER
#define FIELD_RATES(...) MEMBER(cadre_rates, __VA_ARGS__)
static const struct cadre_field rates_fields[] = {
#include "fields.def"
};

#undef FIELD_RATES
#undef FIELD_GUEST
#define FIELD_RATES NO_MEMBER
#define FIELD_GUEST(...) MEMBER(cadre_guest_snapshot, __VA_ARGS__)
static const struct cadre_field guest_fields[] = {
#include "fields.def"
};

const struct cadre_field *cadre_fields(enum cadre_field_scope scope, size_t *ret_count)
{
	static const struct {
		const struct cadre_field *fields;
		size_t count;
	} scopes[CADRE_FIELDS_COUNT] = {
		[CADRE_FIELDS_POOL] = { pool_fields, CADRE_COUNT_OF(pool_fields) },
		[CADRE_FIELDS_WORKER] = { worker_fields, CADRE_COUNT_OF(worker_fields) },
		[CADRE_FIELDS_CLIENT] = { client_fields, CADRE_COUNT_OF(client_fields) },
		[CADRE_FIELDS_OPERATION] = { operation_fields,
					     CADRE_COUNT_OF(operation_fields) },
		[CADRE_FIELDS_RATES] = { rates_fields, CADRE_COUNT_OF(rates_fields) },
		[CADRE_FIELDS_GUEST] = { guest_fields, CADRE_COUNT_OF(guest_fields) },
	};

	if ((unsigned)scope >= CADRE_FIELDS_COUNT) {
		*ret_count = 0;
		return NULL;
	}
	*ret_count = scopes[scope].count;
	return scopes[scope].fields;
}

/* ---- names ---- */

const char *cadre_field_scope_name(enum cadre_field_scope scope)
{
	static const char *const names[CADRE_FIELDS_COUNT] = {
		[CADRE_FIELDS_POOL] = "pool",     [CADRE_FIELDS_WORKER] = "worker",
		[CADRE_FIELDS_CLIENT] = "client", [CADRE_FIELDS_OPERATION] = "operation",
		[CADRE_FIELDS_RATES] = "rates",   [CADRE_FIELDS_GUEST] = "guest",
	};

	return (unsigned)scope < CADRE_FIELDS_COUNT ? names[scope] : "?";
}

const char *cadre_counter_kind_name(enum cadre_counter_kind kind)
{
	static const char *const names[] = {
		[CADRE_COUNTER_TOTAL] = "counter", [CADRE_COUNTER_LEVEL] = "level",
		[CADRE_COUNTER_PEAK] = "peak",     [CADRE_COUNTER_LIMIT] = "limit",
		[CADRE_COUNTER_LABEL] = "label",
	};

	return (unsigned)kind < CADRE_COUNT_OF(names) ? names[kind] : "?";
}

/* ---- values ---- */

static const void *at(const struct cadre_field *field, const void *snapshot)
{
	return (const char *)snapshot + field->offset;
}

static int64_t at_most(uint64_t number)
{
	return number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

int64_t cadre_field_integer(const struct cadre_field *field, const void *snapshot)
{
	const void *const value = at(field, snapshot);

	switch (field->type) {
	case CADRE_TYPE_U64:
		return at_most(*(const uint64_t *)value);
	case CADRE_TYPE_I64:
		return *(const int64_t *)value;
	case CADRE_TYPE_U32:
		return *(const uint32_t *)value;
	case CADRE_TYPE_I32:
		return *(const int32_t *)value;
	case CADRE_TYPE_BOOL:
		return *(const bool *)value;
	case CADRE_TYPE_REAL:
		return (int64_t) * (const double *)value;
	default:
		return 0;
	}
}

double cadre_field_number(const struct cadre_field *field, const void *snapshot)
{
	if (field->type == CADRE_TYPE_REAL)
		return *(const double *)at(field, snapshot);
	if (field->type == CADRE_TYPE_U64)
		return (double)*(const uint64_t *)at(field, snapshot);
	return (double)cadre_field_integer(field, snapshot);
}

const char *cadre_field_text(const struct cadre_field *field, const void *snapshot)
{
	return field->type == CADRE_TYPE_TEXT ? at(field, snapshot) : NULL;
}
