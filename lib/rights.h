/*
 * rights.h - may that process do what this one may?
 *
 * By what the kernel says of both in /proc/PID/status: user, groups, capabilities, and which
 * system calls they were left. It says nothing of namespaces, limits, or security modules.
 */
#ifndef CADRE_RIGHTS_H
#define CADRE_RIGHTS_H

#include <stddef.h>
#include <sys/types.h>

/* 0; -EPERM when it may do more, or less: `ret_what` names the line that differs; -ESRCH when
 * it is gone or cannot be seen; -ENOMEM. */
int cadre_rights_compare(pid_t other, char *ret_what, size_t size);

/* Which permission bits that process takes from the files it makes. -ESRCH, -ENOMEM. */
int cadre_rights_umask(pid_t pid, mode_t *ret_umask);

#endif
