#include "stat_pools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAP_NS 20000000L

void cadre_stat_pools_init(struct cadre_stat_pools *pools, const char *name, bool all,
			   int64_t wait_ns)
{
	*pools = (struct cadre_stat_pools){ .name = name, .all = all, .wait_ns = wait_ns };
}

static void drop(struct cadre_stat_pools *pools, size_t index)
{
	cadre_report_close(pools->pool[index].report);
	cadre_sampler_close(pools->pool[index].sampler);
	pools->count--;
	memmove(&pools->pool[index], &pools->pool[index + 1],
		(pools->count - index) * sizeof(*pools->pool));
}

void cadre_stat_pools_fini(struct cadre_stat_pools *pools)
{
	while (pools->count > 0)
		drop(pools, pools->count - 1);
	free(pools->pool);
	pools->pool = NULL;
	free(pools->choice);
	pools->choice = NULL;
}

/* ---- which there are ---- */

struct names {
	char **name;
	size_t count;
};

static void remember(const char *pool, void *context)
{
	struct names *const names = context;
	char **const more = reallocarray(names->name, names->count + 1, sizeof(*more));

	if (!more)
		return;
	names->name = more;
	names->name[names->count] = strdup(pool);
	names->count += names->name[names->count] != NULL;
}

static void forget(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->name[i]);
	free(names->name);
}

static bool has_name(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->name[i], name) == 0)
			return true;
	}
	return false;
}

/* However many they are: one of them is wanted. */
static int say_choice(struct cadre_stat_pools *pools, const struct names *names)
{
	size_t size;
	FILE *const text = open_memstream(&pools->choice, &size);

	snprintf(pools->diag.text, sizeof(pools->diag.text),
		 "there are %zu pools, name one or use --all", names->count);
	if (!text)
		return -ENOTUNIQ;
	for (size_t i = 0; i < names->count; i++)
		fprintf(text, "%s%s", i > 0 ? " " : "", names->name[i]);
	fclose(text);
	return -ENOTUNIQ;
}

/* ---- opening ---- */

static struct cadre_stat_pool *find(struct cadre_stat_pools *pools, const char *name)
{
	for (size_t i = 0; i < pools->count; i++) {
		if (strcmp(pools->pool[i].name, name) == 0)
			return &pools->pool[i];
	}
	return NULL;
}

/* Opens a pool that is new to us. */
static int add(struct cadre_stat_pools *pools, const char *name, struct cadre_diag *diag)
{
	struct cadre_stat_pool pool = { .report = NULL };
	struct cadre_stat_pool *more;
	int r = cadre_report_open(name, &pool.report, diag);

	if (r < 0)
		return r;
	snprintf(pool.name, sizeof(pool.name), "%s", name);
	more = reallocarray(pools->pool, pools->count + 1, sizeof(*more));
	if (more)
		pools->pool = more;
	r = more ? cadre_sampler_open(&pool.sampler) : -ENOMEM;
	if (r < 0) {
		cadre_report_close(pool.report);
		snprintf(diag->text, sizeof(diag->text), "no memory left for the report");
		return r;
	}
	pools->pool[pools->count++] = pool;
	return 0;
}

static int take_up(struct cadre_stat_pools *pools, const char *name)
{
	struct cadre_diag diag = { "" };
	const int r = find(pools, name) ? 0 : add(pools, name, &diag);

	if (r < 0) {
		pools->error = r;
		pools->diag = diag;
	}
	return r;
}

static void drop_those_gone(struct cadre_stat_pools *pools, const struct names *names)
{
	for (size_t i = pools->count; i-- > 0;) {
		if (!has_name(names, pools->pool[i].name))
			drop(pools, i);
	}
}

/* Makes the list what it should be now. */
static int renew(struct cadre_stat_pools *pools)
{
	struct names names = { 0 };

	pools->error = 0;
	free(pools->choice);
	pools->choice = NULL;
	if (pools->name)
		return take_up(pools, pools->name);
	/* The only one stays the one, whoever comes later. */
	if (!pools->all && pools->count == 1)
		return 0;
	cadre_report_each_pool(remember, &names);
	drop_those_gone(pools, &names);
	if (names.count == 0) {
		snprintf(pools->diag.text, sizeof(pools->diag.text),
			 "there is no pool on this machine");
		pools->error = -ENOENT;
	} else if (names.count > 1 && !pools->all) {
		pools->error = say_choice(pools, &names);
	} else {
		for (size_t i = 0; i < names.count; i++)
			take_up(pools, names.name[i]);
	}
	forget(&names);
	return pools->error;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A segment that is not finished looks like one that is damaged. */
static bool may_come(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED || error == -EBADMSG;
}

static int renew_patiently(struct cadre_stat_pools *pools)
{
	const int64_t until_ns = now_ns() + pools->wait_ns;
	int r = renew(pools);

	while (may_come(r) && pools->wait_ns > 0 && now_ns() < until_ns) {
		nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
		r = renew(pools);
	}
	return r;
}

/* ---- reading ---- */

/* To the nanosecond: a successor may come within the same second. */
static int64_t created_ns(const struct cadre_stat_pool *pool)
{
	return cadre_report_time_ns(pool->report) - pool->pool->uptime_ns;
}

/* A pool that has ended may have a successor of its name, in a segment of its own. */
static void look_for_successor(struct cadre_stat_pool *pool)
{
	struct cadre_report *successor;
	const int64_t before_ns = created_ns(pool);

	if ((pool->pool->alive && strcmp(pool->pool->state, "terminated") != 0) ||
	    cadre_report_open(pool->name, &successor, NULL) < 0)
		return;
	cadre_report_close(pool->report);
	pool->report = successor;
	pool->pool = cadre_report_read(successor);
	if (created_ns(pool) == before_ns)
		return;
	pool->events_seen = 0;
	pool->successors++;
}

int cadre_stat_pools_read(struct cadre_stat_pools *pools)
{
	int r = renew_patiently(pools);

	for (size_t i = 0; i < pools->count; i++) {
		struct cadre_stat_pool *const pool = &pools->pool[i];

		pool->pool = cadre_report_read(pool->report);
		look_for_successor(pool);
		if (cadre_sampler_take(pool->sampler, pool->report) < 0) {
			pools->error = r = -ENOMEM;
			snprintf(pools->diag.text, sizeof(pools->diag.text),
				 "no memory left for the report");
		}
	}
	return r;
}
