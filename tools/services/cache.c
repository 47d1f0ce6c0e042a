/*
 * cache - values by key, with an optional time to live, for the workers of other pools.
 *
 *   id  name      payload                          reply
 *    1  get       a key                            its value; fails with ENOENT: a miss
 *    2  contains  a key                            "1" or "0"
 *    3  set       struct cache_set, key, value     nothing
 *    4  stats     nothing                          hits, misses, expired, evicted, size, max
 *
 * A pool of one worker: that is what makes it one cache. An entry past its time is a miss and
 * is dropped when it is met. The start argument is the most entries there may be (default
 * 4096); a new key beyond that evicts the entry that was used least recently. The table is
 * liburcu's (cds_lfht), as large as it will ever be from the start.
 */
#include "cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-bp.h>
#include <urcu/list.h>
#include <urcu/rculfhash.h>

#include <cadre/client.h>
#include <cadre/service.h>

#ifndef CADRE_SERVICE_NAME
#define CADRE_SERVICE_NAME cadre_service
#endif

#define ENTRIES_DEFAULT 4096
#define ENTRIES_MAX (1u << 24)

struct entry {
	struct cds_lfht_node node;
	struct cds_list_head use; /* in order of use, the latest first */
	int64_t until_ns;         /* 0: for ever */
	size_t key_length;
	size_t length;
	unsigned char bytes[]; /* the key, then the value */
};

struct cache {
	struct cds_lfht *table;
	struct cds_list_head used;
	uint64_t size, max, hits, misses, expired, evicted;
};

struct key {
	const void *bytes;
	size_t length;
};

static struct key key_of(const struct cadre_job *job)
{
	struct key key;

	key.bytes = cadre_job_data(job, &key.length);
	return key;
}

/* FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo). */
static unsigned long hash_of(const struct key *key)
{
	const unsigned char *const bytes = key->bytes;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < key->length; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return (unsigned long)hash;
}

static struct entry *entry_of(struct cds_lfht_node *node)
{
	return caa_container_of(node, struct entry, node);
}

static int is_key(struct cds_lfht_node *node, const void *wanted)
{
	const struct entry *const entry = entry_of(node);
	const struct key *const key = wanted;

	return entry->key_length == key->length &&
	       memcmp(entry->bytes, key->bytes, key->length) == 0;
}

/* One thread, and a table that is never resized: nobody else looks at the entry. */
static void drop(struct cache *cache, struct entry *entry)
{
	urcu_bp_read_lock();
	cds_lfht_del(cache->table, &entry->node);
	urcu_bp_read_unlock();
	cds_list_del(&entry->use);
	free(entry);
	cache->size--;
}

/* NULL when it is not there, or not any more. */
static struct entry *find(struct cache *cache, const struct key *key)
{
	struct cds_lfht_iter iter;
	struct entry *entry;

	urcu_bp_read_lock();
	cds_lfht_lookup(cache->table, hash_of(key), is_key, key, &iter);
	urcu_bp_read_unlock();
	if (!cds_lfht_iter_get_node(&iter))
		return NULL;
	entry = entry_of(cds_lfht_iter_get_node(&iter));
	if (entry->until_ns == 0 || cadre_now_ns() < entry->until_ns)
		return entry;
	drop(cache, entry);
	cache->expired++;
	return NULL;
}

static void get(struct cadre_job *job, void *state)
{
	struct cache *const cache = state;
	const struct key key = key_of(job);
	struct entry *const entry = find(cache, &key);
	int r;

	if (!entry) {
		cache->misses++;
		cadre_job_fail(job, ENOENT, "a miss");
		return;
	}
	cache->hits++;
	cds_list_move(&entry->use, &cache->used);
	r = cadre_job_reply(job, entry->bytes + entry->key_length, entry->length);
	if (r < 0)
		cadre_job_fail(job, -r, "cannot reply: %s", strerror(-r));
}

static void contains(struct cadre_job *job, void *state)
{
	const struct key key = key_of(job);

	cadre_job_reply(job, find(state, &key) ? "1" : "0", 1);
}

static void add(struct cache *cache, struct entry *entry, const struct key *key)
{
	urcu_bp_read_lock();
	cds_lfht_add(cache->table, hash_of(key), &entry->node);
	urcu_bp_read_unlock();
	cds_list_add(&entry->use, &cache->used);
	cache->size++;
}

static void set(struct cadre_job *job, void *state)
{
	struct cache *const cache = state;
	struct cache_set head;
	struct entry *entry, *former;
	struct key key;
	size_t length;
	const unsigned char *const data = cadre_job_data(job, &length);

	if (length < sizeof(head)) {
		cadre_job_fail(job, EINVAL, "%zu bytes are too short for a set", length);
		return;
	}
	memcpy(&head, data, sizeof(head));
	length -= sizeof(head);
	if (head.key_length > length) {
		cadre_job_fail(job, EINVAL, "a key of %u bytes in %zu", head.key_length,
			       length);
		return;
	}
	entry = malloc(sizeof(*entry) + length);
	if (!entry) {
		cadre_job_fail(job, ENOMEM, "no memory for %zu bytes", length);
		return;
	}
	cds_lfht_node_init(&entry->node);
	entry->key_length = head.key_length;
	entry->length = length - head.key_length;
	entry->until_ns = head.ttl_ms ? cadre_in_ms(head.ttl_ms) : 0;
	memcpy(entry->bytes, data + sizeof(head), length);
	key = (struct key){ entry->bytes, entry->key_length };
	former = find(cache, &key);
	if (former) {
		drop(cache, former);
	} else if (cache->size == cache->max) {
		drop(cache, cds_list_entry(cache->used.prev, struct entry, use));
		cache->evicted++;
	}
	add(cache, entry, &key);
	cadre_job_reply(job, "", 0);
}

static void stats(struct cadre_job *job, void *state)
{
	const struct cache *const cache = state;
	char text[240];
	const int length = snprintf(text, sizeof(text),
				    "hits %llu\nmisses %llu\nexpired %llu\nevicted %llu\n"
				    "size %llu\nmax-size %llu\n",
				    (unsigned long long)cache->hits,
				    (unsigned long long)cache->misses,
				    (unsigned long long)cache->expired,
				    (unsigned long long)cache->evicted,
				    (unsigned long long)cache->size,
				    (unsigned long long)cache->max);

	cadre_job_reply(job, text, (size_t)length);
}

static int fini(void *state)
{
	struct cache *const cache = state;
	struct entry *entry, *next;

	cds_list_for_each_entry_safe(entry, next, &cache->used, use)
		drop(cache, entry);
	cds_lfht_destroy(cache->table, NULL);
	free(cache);
	return 0;
}

/* The start argument is a number, or nothing. 0 when it is something else. */
static unsigned long read_max(const struct cadre_start *start)
{
	char text[16] = "", *end;
	unsigned long max;

	if (start->length == 0)
		return ENTRIES_DEFAULT;
	if (start->length >= sizeof(text))
		return 0;
	memcpy(text, start->data, start->length);
	max = strtoul(text, &end, 10);
	return *end == '\0' && max <= ENTRIES_MAX ? max : 0;
}

static int init(const struct cadre_start *start, void **ret_state, struct cadre_diag *diag)
{
	const unsigned long max = read_max(start);
	struct cache *cache;
	unsigned long buckets = 1;

	if (max == 0) {
		snprintf(diag->text, sizeof(diag->text),
			 "the start argument must be the most entries, 1 to %u",
			 ENTRIES_MAX);
		return -EINVAL;
	}
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return -ENOMEM;
	while (buckets < max)
		buckets *= 2;
	CDS_INIT_LIST_HEAD(&cache->used);
	cache->max = max;
	cache->table = cds_lfht_new_flavor(buckets, buckets, buckets, 0, &urcu_bp_flavor,
					   NULL);
	if (!cache->table) {
		free(cache);
		return -ENOMEM;
	}
	*ret_state = cache;
	return 0;
}

static const struct cadre_operation operations[] = {
	{ CACHE_GET, "get", get },
	{ CACHE_CONTAINS, "contains", contains },
	{ CACHE_SET, "set", set },
	{ CACHE_STATS, "stats", stats },
};

CADRE_API extern const struct cadre_service CADRE_SERVICE_NAME;
const struct cadre_service CADRE_SERVICE_NAME = {
	.size = sizeof(CADRE_SERVICE_NAME),
	.name = "cache",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.init = init,
	.fini = fini,
};
