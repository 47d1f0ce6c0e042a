/*
 * garbage.c - what dead pools left in /dev/shm, and taking it away.
 *
 * A pool is garbage when nobody holds its lock and nobody who could still use its segment
 * lives: no worker (a new supervisor would take it over) and no client. A segment that
 * cannot be read, or comes from before the last boot, has no such users.
 *
 * Each pool is looked at without its lock first, so that pools in use are not disturbed;
 * then again with the lock, so that no supervisor can start between the look and the
 * removal. Killed half way it leaves less garbage, and perhaps a lock file: the next run
 * takes that.
 */
#include "diag.h"
#include "layout.h"
#include "process.h"
#include "segment.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct sweep {
	bool all; /* every pool: say nothing of those that are well */
	unsigned flags;
	cadre_notice_fn *notice;
	void *context;
	int removed;
};

static void say(const struct sweep *sweep, const char *verb, const char *pool,
		const char *why)
{
	char sentence[sizeof(((struct cadre_diag *)NULL)->text) + CADRE_NAME_MAX + 64];

	if (!sweep->notice)
		return;
	snprintf(sentence, sizeof(sentence), "%s pool \"%s\": %s", verb, pool, why);
	sweep->notice(sentence, sweep->context);
}

/* ---- who lives ---- */

/* In doubt it lives. */
static bool is_inhabited(const struct cadre_place *place, bool of_client,
			 struct cadre_identity *ret_who)
{
	const enum cadre_place_state state = cadre_place_state_of(cadre_place_look(place));

	/* A worker that drains still works; a client that does has left. */
	if (state != CADRE_PLACE_STARTING && state != CADRE_PLACE_UP &&
	    (of_client || state != CADRE_PLACE_DRAINING))
		return false;
	*ret_who = cadre_place_who(place);
	return !cadre_process_is_gone(*ret_who);
}

static bool anybody_lives(const struct cadre_place *places, uint32_t count,
			  const char *whose, struct cadre_diag *why)
{
	/* Guests come and go as clients do. */
	const bool of_clients = strcmp(whose, "worker") != 0;
	struct cadre_identity who;

	for (uint32_t i = 0; i < count; i++) {
		if (!is_inhabited(&places[i], of_clients, &who))
			continue;
		cadre_refuse(why, 0, "it has no supervisor, but %s %u (pid %d) lives",
			     whose, i, (int)who.pid);
		return true;
	}
	return false;
}

/* ---- the look ---- */

static bool is_deserted(const struct cadre_view *view, struct cadre_diag *why)
{
	const uint64_t boot_id = cadre_process_boot_id();

	/* Its pids mean nothing any more. */
	if (boot_id != 0 && view->header->boot_id != boot_id) {
		cadre_refuse(why, 0, "it was left over from before the last boot");
		return true;
	}
	if (anybody_lives(view->worker_places, view->limits.workers, "worker", why) ||
	    anybody_lives(&view->worker_places[view->limits.workers], view->limits.locals,
			  "local worker", why) ||
	    anybody_lives(view->client_places, view->limits.clients, "client", why))
		return false;
	cadre_refuse(why, 0,
		     "its supervisor is gone, and no worker or client of it lives");
	return true;
}

/* Whether a pool whose lock nobody holds may go, and why or why not. */
static bool is_garbage(const char *pool, struct cadre_diag *why)
{
	struct cadre_view view;
	struct cadre_diag diag;
	bool deserted;

	switch (cadre_layout_open(pool, false, &view, &diag)) {
	case 0:
		deserted = is_deserted(&view, why);
		cadre_layout_close(&view);
		return deserted;
	case -ENOENT:
		cadre_refuse(why, 0,
			     "its segment is gone, and only socket or lock were left");
		return true;
	case -ECONNREFUSED:
		cadre_refuse(why, 0, "its supervisor died while it was starting");
		return true;
	case -EBADMSG:
	case -EPROTONOSUPPORT:
		cadre_refuse(why, 0, "nobody supervises it, and it is of no use: %s",
			     diag.text);
		return true;
	default: /* Not ours, or no way to know just now. */
		cadre_refuse(why, 0, "%s", diag.text);
		return false;
	}
}

/* ---- the removal ---- */

static bool is_there(const char *pool, enum cadre_file file)
{
	char path[CADRE_PATH_SIZE];

	cadre_path(pool, file, path);
	return access(path, F_OK) == 0;
}

/* The caller holds the lock. */
static void remove_locked(struct sweep *sweep, const char *pool)
{
	struct cadre_diag why;

	if (!is_garbage(pool, &why)) {
		say(sweep, "kept", pool, why.text);
		return;
	}
	cadre_segment_remove(pool);
	if (is_there(pool, CADRE_FILE_SEGMENT) || is_there(pool, CADRE_FILE_SOCKET)) {
		say(sweep, "cannot remove", pool,
		    "its files cannot be unlinked (do they belong to another user?)");
		return;
	}
	sweep->removed++;
	say(sweep, "removed", pool, why.text);
}

static void lock_and_remove(struct sweep *sweep, const char *pool)
{
	struct cadre_diag why;
	struct cadre_lock lock;
	pid_t rival;
	const int r = cadre_lock_take(pool, 0600, &lock, &rival, &why);

	if (r == 0) {
		remove_locked(sweep, pool);
		cadre_lock_release(&lock);
	} else if (r != -EEXIST || !sweep->all) { /* Else it has a supervisor by now. */
		say(sweep, "cannot remove", pool, why.text);
	}
}

static void visit(const char *pool, void *context)
{
	struct sweep *const sweep = context;
	const pid_t holder = cadre_lock_holder(pool);
	struct cadre_diag why;

	if (holder > 0) {
		cadre_refuse(&why, 0, "it has a supervisor (pid %d)", (int)holder);
		if (!sweep->all)
			say(sweep, "kept", pool, why.text);
	} else if (holder < 0) {
		say(sweep, "kept", pool, "whether it has a supervisor cannot be seen");
	} else if (!is_garbage(pool, &why)) {
		say(sweep, "kept", pool, why.text);
	} else if (sweep->flags & CADRE_GC_DRY_RUN) {
		sweep->removed++;
		say(sweep, "would remove", pool, why.text);
	} else {
		lock_and_remove(sweep, pool);
	}
}

int cadre_collect_garbage(const char *pool, unsigned flags, cadre_notice_fn *notice,
			  void *context)
{
	struct sweep sweep = {
		.all = !pool,
		.flags = flags,
		.notice = notice,
		.context = context,
	};

	if (flags & ~(unsigned)CADRE_GC_DRY_RUN)
		return -EINVAL;
	if (!pool) {
		cadre_each_pool(visit, &sweep);
		return sweep.removed;
	}
	if (cadre_name_check(pool, NULL) < 0)
		return -EINVAL;
	if (!is_there(pool, CADRE_FILE_SEGMENT) && !is_there(pool, CADRE_FILE_SOCKET) &&
	    !is_there(pool, CADRE_FILE_LOCK))
		return -ENOENT;
	visit(pool, &sweep);
	return sweep.removed;
}
