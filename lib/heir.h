/*
 * heir.h - who gives a worker's memory back when it dies: a process that shares it.
 *
 * The kernel tells of a death only when it has given all memory of the process back, unless
 * another process still uses that. A worker of 100 MB takes 3 ms for it, and for so long its
 * callers wait. So each worker has an heir, a process that shares its memory (CLONE_VM), runs
 * nothing of it, and sleeps until the worker is dead. Then the death is told at once, and the
 * heir gives the memory back behind it.
 *
 *      worker ---- clone ----> heir: own stack, no signals, no descriptors but a pidfd
 *        |                       |  ppoll(pidfd)
 *        x killed -------------->|  told together with the supervisor
 *                                |  1 ms: let those go first who tell the callers
 *                                x  exit: the memory goes back
 *
 *   killed             what is left
 *   -----------------  -----------------------------------------------------------------
 *   worker             the heir, once cloned, ends by itself; the keeper, or init, or a supervisor
 *                      that is process 1, collects it (staff_heirs.c)
 *   heir               the worker's death is told when its memory was given back, as without
 *   heir is stopped    the dead worker's memory stays until it goes on, or is killed
 *
 * It writes nowhere but on its own stack, least of all in the segment: that a worker is dead
 * still says that none of its instructions is to come. What the kernel was asked to write into
 * the memory by io_submit, and nothing else, may come as long as the heir lives; so a handler
 * has such things written into memory of its own, not into a reply's.
 */
#ifndef CADRE_HEIR_H
#define CADRE_HEIR_H

#include <sys/types.h>

struct cadre_heir {
	int pidfd; /* -1: there is none */
	pid_t pid;
	char *stack;
};

/* Forks it. Where that is refused (limits, a sandbox), or would do harm (valgrind does not know
 * such processes, ThreadSanitizer would share its state with it), there is none, and nothing else
 * changes. Call it before anything is installed that forbids system calls. */
void cadre_heir_appoint(struct cadre_heir *heir);

/* A worker that ends in order gives its memory back itself: nobody waits for it, and nothing
 * outlives it. Blocks until the heir is gone; one that the worker may no longer kill, since it has
 * given up rights, ends behind it. */
void cadre_heir_dismiss(struct cadre_heir *heir);

#endif
