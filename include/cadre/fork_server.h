/*
 * fork_server.h - fork pools from the program as it was when it was small.
 *
 * An embedded pool is forked from its program. Each fork copies the page tables of all that
 * the program has in memory, and each death gives them back: milliseconds per 100 MB until a
 * dead worker is replaced. And a program that has threads cannot be forked at all. A program
 * that will be large, or have threads, therefore begins with
 *
 *	int main(void)
 *	{
 *		struct cadre_diag diag;
 *
 *		if (cadre_fork_server_start(&diag) < 0)
 *			return fprintf(stderr, "%s\n", diag.text), 1;
 *		...                        reads its data, starts its threads
 *		cadre_pool_start(&service, &options, &pool, &diag);
 *	}
 *
 * From then on each of its pools is forked, from the keeper to the last replacement of a
 * worker, from a process that was forked here, and that does nothing but wait for that.
 *
 * Handlers are still the program's own functions, but **they see its memory as it was when the
 * fork server was started**. What the program has read, allocated, or stored in a variable since
 * then is not there: not in init, not in a handler. Nor are libraries that it has loaded since
 * (a function of one is refused), handlers of pthread_atfork, or a changed environment. Give
 * workers what they need by start arguments (options.start_data), by a file, or by memory that
 * was shared (MAP_SHARED) before. The options, the table of the service and all texts in both
 * are copied, and need not outlive cadre_pool_start.
 *
 * Workers have the program's directory, umask, and descriptors 0, 1 and 2 of the moment at which
 * the pool is started; its limits, priority, CPUs and namespaces of the moment at which the fork
 * server was. User, groups, capabilities and permitted system calls must be the same at both.
 */
#ifndef CADRE_FORK_SERVER_H
#define CADRE_FORK_SERVER_H

#include <cadre/api.h>
#include <cadre/error.h>

CADRE_BEGIN_DECLS

/* Forks the fork server of this process, which ends when the process does, however that is,
 * and is no child of it (but of one that is a subreaper, or process 1). Call it first, after
 * daemon() and the like: a fork of this process has none. While one is alive, another call
 * changes nothing; when it is dead, it is replaced by one that is as large as the program is
 * then. It has one descriptor of this process, which closefrom() would take away. -ENOTSUP (the
 * program has threads already), -EMFILE, -ENOMEM, -ENOEXEC (it died at once). */
CADRE_API int cadre_fork_server_start(struct cadre_diag *diag);

/* Lets it go. Pools that it forked go on; the next ones are forked from the program itself. In
 * a forked child it closes the copy only. Not while another thread starts a pool. */
CADRE_API void cadre_fork_server_stop(void);

CADRE_END_DECLS
#endif
