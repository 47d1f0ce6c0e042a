#include "holder.h"
#include "child.h"
#include "segment.h"

#include <stdlib.h>
#include <unistd.h>

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

pid_t holder_start(const char *pool)
{
	struct errand errand = { .pool = pool };
	pid_t holder;
	char byte;

	if (pipe(errand.ready) < 0)
		abort();
	holder = child_start(hold_lock, &errand);
	close(errand.ready[1]);
	if (read(errand.ready[0], &byte, 1) != 1)
		abort();
	close(errand.ready[0]);
	return holder;
}
