#include "backdrop.h"
#include "child.h"
#include "clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEATED_FOR_NS (60 * CADRE_NS_PER_S)

static pid_t supervisor;

void backdrop_paint(struct scene *scene, const struct cadre_limits *limits,
		    struct cadre_view *ret_view)
{
	struct cadre_diag diag = { "" };

	scene_begin(scene);
	if (cadre_layout_create(scene->pool, limits, 0600, ret_view, &diag) < 0) {
		fprintf(stderr, "%s\n", diag.text);
		abort();
	}
	atomic_store(&ret_view->header->state, CADRE_POOL_OPEN);
	atomic_store(&ret_view->header->ready, 1);
}

void backdrop_remove(struct scene *scene, struct cadre_view *view)
{
	char lock[CADRE_PATH_SIZE];

	backdrop_kill_supervisor();
	cadre_segment_remove(scene->pool);
	cadre_path(scene->pool, CADRE_FILE_LOCK, lock);
	unlink(lock); /* Who held it was killed. */
	cadre_layout_close(view);
	scene_end(scene);
}

/* ---- the supervisor ---- */

struct errand {
	const char *pool;
	int ready[2];
};

static int hold_lock(void *context)
{
	const struct errand *const errand = context;
	struct cadre_lock lock;
	pid_t other;

	CHILD_CHECK(cadre_lock_take(errand->pool, 0600, &lock, &other, NULL) == 0);
	CHILD_CHECK(write(errand->ready[1], "", 1) == 1);
	child_idle();
}

pid_t backdrop_start_supervisor(const struct scene *scene)
{
	struct errand errand = { .pool = scene->pool };
	char byte;

	if (pipe(errand.ready) < 0)
		abort();
	supervisor = child_start(hold_lock, &errand);
	close(errand.ready[1]);
	if (read(errand.ready[0], &byte, 1) != 1)
		abort();
	close(errand.ready[0]);
	return supervisor;
}

void backdrop_kill_supervisor(void)
{
	if (supervisor)
		child_kill(supervisor);
	supervisor = 0;
}

/* ---- those who sit there ---- */

void backdrop_seat(struct cadre_place *place, enum cadre_place_state state,
		   struct cadre_identity who)
{
	cadre_place_set_start_time(place, who.start_time);
	atomic_store(&place->since_ns, cadre_clock_ns() - SEATED_FOR_NS);
	atomic_store(&place->state, cadre_place_pack_owned(state, 1, who.pid));
}

static int leave_at_once(void *context)
{
	(void)context;
	return 0;
}

struct cadre_identity backdrop_somebody_dead(void)
{
	const pid_t child = child_start(leave_at_once, NULL);
	const struct cadre_identity who = {
		.pid = child,
		.start_time = cadre_process_start_time(child),
	};

	if (child_end(child) != 0)
		abort();
	return who;
}

uint64_t backdrop_random_word(unsigned *seed)
{
	const uint64_t bits = (uint64_t)rand_r(seed) << 42 ^
			      (uint64_t)rand_r(seed) << 21 ^ (uint64_t)rand_r(seed);

	switch (rand_r(seed) % 4) {
	case 0:
		return bits % 8;
	case 1:
		return bits % 1024 << 32;
	case 2:
		return UINT64_MAX - bits % 8;
	default:
		return bits;
	}
}
