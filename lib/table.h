/*
 * table.h - the service that a worker runs, as it was when a job was begun: replaced under
 * running handlers, and given back when the last of them has returned.
 *
 * A worker has one present table; whoever works with one holds it. A hold is taken inside of
 * a read-side critical section of RCU (liburcu, flavour bp), between the load of the pointer
 * and the count:
 *
 *     reader                                replacer
 *     read_lock                             table := new                     (J2)
 *     table = present             (J3)      call_rcu(old: drop its own count)
 *     users++
 *     read_unlock
 *
 * The count that stands for being present is dropped a grace period after the exchange: by
 * then each reader that saw the old pointer has counted itself. Whoever drops the last count
 * may be a thread that still has to return through the service's code; so the table is not
 * released by it but once more by call_rcu, in a thread of that library: fini first, which
 * waits for the service's own threads, then the owner is told, who may unload the code.
 */
#ifndef CADRE_TABLE_H
#define CADRE_TABLE_H

#include "platform.h"

#include <cadre/service.h>
#include <cadre/worker.h>

#include <urcu/urcu-bp.h>

struct cadre_latency_line;

/* One operation, and how long its handler is expected to run. */
struct cadre_duty {
	const struct cadre_operation *operation;
	int32_t id; /* the same as the operation's */
	_Atomic int64_t expected_ns;
	struct cadre_latency_line *line; /* of our place; NULL until it is first needed */
};

#define CADRE_TABLE_NEAR 64

struct cadre_table {
	const struct cadre_service *service;
	void *state;               /* the service's own */
	struct cadre_duty *duties; /* sorted by id; as many as the service has operations */
	/* By id modulo their number the first that has it: mostly there is no need to search. */
	struct cadre_duty *near[CADRE_TABLE_NEAR];
	_Atomic uint64_t users; /* holds, and one for being the present one */
	cadre_released_fn *released;
	void *context;
	_Atomic uint32_t *replaced; /* counts those that were replaced and not released */
	struct rcu_head dropping;
	struct rcu_head releasing;
};

/* A table that nobody knows of yet, with one hold; NULL: no memory. */
struct cadre_table *cadre_table_make(const struct cadre_service *service);

/* Frees it, without a word to the service. */
void cadre_table_free(struct cadre_table *table);

/* Who does what an operation asks for; NULL: nobody. */
struct cadre_duty *cadre_table_search(const struct cadre_table *table, int32_t operation);

static inline struct cadre_duty *cadre_table_find(const struct cadre_table *table,
						  int32_t operation)
{
	struct cadre_duty *const near = table->near[(uint32_t)operation % CADRE_TABLE_NEAR];

	return near && near->id == operation ? near : cadre_table_search(table, operation);
}

/* J3: takes hold of the present table. Any thread. */
struct cadre_table *cadre_table_hold_present(struct cadre_table *_Atomic *present);

/* One hold more, by somebody who has one. */
void cadre_table_hold(struct cadre_table *table);

/* Lets go. The last one has it released, later and elsewhere. */
void cadre_table_let_go(struct cadre_table *table);

/* J2: puts another in its place; the old one is released when the last hold is gone, and
 * then `released`, unless NULL, is told. `replaced` is one more until then. */
void cadre_table_replace(struct cadre_table *_Atomic *present, struct cadre_table *table,
			 cadre_released_fn *released, void *context,
			 _Atomic uint32_t *replaced);

/* Waits until there is none of them left. */
void cadre_table_await_released(const _Atomic uint32_t *replaced);

#endif
