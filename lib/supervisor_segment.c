/*
 * supervisor_segment.c - whose segment is it? A new one, or one that a dead predecessor left:
 * that is taken over while anybody works with it, and else removed.
 */
#include "diag.h"
#include "supervisor.h"

#include <string.h>

/* ---- a dead predecessor's ---- */

static bool is_alive(const struct cadre_place *place)
{
	return cadre_process_lives(cadre_place_who(place));
}

/* A client, or a guest, that left without a supervisor lives on, but not as a client. */
static bool is_attached(const struct cadre_place *place)
{
	return cadre_place_state_of(cadre_place_look(place)) == CADRE_PLACE_UP &&
	       is_alive(place);
}

/* Does anybody still work with this segment? */
static bool is_populated(const struct cadre_view *view)
{
	if (view->header->boot_id != cadre_process_boot_id())
		return false;
	for (unsigned worker = 0; worker < view->limits.workers; worker++) {
		if (is_alive(&view->worker_places[worker]))
			return true;
	}
	for (unsigned seat = view->limits.workers; seat < view->seat_count; seat++) {
		if (is_attached(&view->worker_places[seat]))
			return true;
	}
	for (unsigned client = 0; client < view->limits.clients; client++) {
		if (is_attached(&view->client_places[client]))
			return true;
	}
	return false;
}

/* A segment of this name stands although nobody held the lock. 1: it is ours now; 0: it
 * was removed; or why neither is possible. */
static int inherit(struct cadre_supervisor *supervisor)
{
	struct cadre_diag diag = { "" };
	const int r = cadre_layout_open(supervisor->pool, true, &supervisor->view, &diag);

	if (r == -ENOENT)
		return 0;
	if (r == -EPROTONOSUPPORT || r == -EACCES)
		return cadre_refuse(supervisor->diag, r, "%s (\"cadre gc\" removes it)",
				    diag.text);
	if (r < 0) {
		cadre_supervisor_say(supervisor,
				     "removed what a dead supervisor left: %s", diag.text);
	} else if (is_populated(&supervisor->view)) {
		return 1;
	} else {
		/* A worker that was forked and has not sat down yet still will: then it finds
		 * that it is not needed, instead of serving a segment without a name. */
		cadre_supervisor_set_state(supervisor, CADRE_POOL_TERMINATED);
		cadre_layout_close(&supervisor->view);
		cadre_supervisor_say(supervisor,
				     "removed the segment of a dead pool of this name");
	}
	cadre_segment_remove(supervisor->pool);
	return 0;
}

/* ---- a new one ---- */

static int create(struct cadre_supervisor *supervisor)
{
	const struct cadre_pool_options *const options = &supervisor->options;
	const struct cadre_limits limits = cadre_pool_limits(options);
	int r = cadre_layout_create(supervisor->pool, &limits, options->mode,
				    &supervisor->view, supervisor->diag);

	if (r < 0)
		return r;
	cadre_view_set_size(&supervisor->view,
			    (struct cadre_size){ .min = options->workers_min,
						 .max = options->workers_max });
	if (options->start_length)
		memcpy(supervisor->view.start_data, options->start_data,
		       options->start_length);
	return 0;
}

int cadre_supervisor_open_segment(struct cadre_supervisor *supervisor)
{
	const int r = inherit(supervisor);

	supervisor->inherited = r == 1;
	return r == 0 ? create(supervisor) : r;
}
