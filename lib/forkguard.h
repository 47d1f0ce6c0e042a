/*
 * forkguard.h - does this process still own its handle, or was it forked since?
 *
 * A page that the kernel empties in a forked child (MADV_WIPEONFORK): one load tells, with
 * no system call and no atfork handler.
 */
#ifndef CADRE_FORKGUARD_H
#define CADRE_FORKGUARD_H

#include <stdbool.h>

struct cadre_forkguard {
	unsigned char *page;
};

/* 0 or negative errno. */
int cadre_forkguard_init(struct cadre_forkguard *guard);
void cadre_forkguard_fini(struct cadre_forkguard *guard);

static inline bool cadre_forkguard_is_child(const struct cadre_forkguard *guard)
{
	return *guard->page == 0;
}

#endif
