#include "heir.h"
#include "clock.h"
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
#define UNDER_THREAD_SANITIZER true
#else
#define UNDER_THREAD_SANITIZER false
#endif

#define GUARD_BYTES ((size_t)4096)
#define STACK_BYTES ((size_t)8192)
#define COURTESY_NS CADRE_NS_PER_MS

/* The heir's only data; on its stack, so that nobody else has it at hand. */
struct legacy {
	struct pollfd death;
	struct timespec courtesy;
};

/* Errno and all else that belongs to a thread are the worker's: so nothing here but system
 * calls that cannot fail. Every signal is blocked. */
__attribute__((no_sanitize("address", "undefined"))) static int inherit(void *context)
{
	struct legacy *const legacy = context;
	const unsigned kept = (unsigned)legacy->death.fd;

	syscall(SYS_prctl, PR_SET_NAME, "cadre-heir", 0, 0, 0);
	if (kept > 0)
		syscall(SYS_close_range, 0, kept - 1, 0);
	syscall(SYS_close_range, kept + 1, ~0u, 0);
	syscall(SYS_ppoll, &legacy->death, 1, NULL, NULL, 0);
	syscall(SYS_nanosleep, &legacy->courtesy, NULL);
	syscall(SYS_exit_group, 0);
	return 0;
}

/* Valgrind loads a library of this name into each program, and ends at such a clone. */
static bool is_under_valgrind(void)
{
	const char *const preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

static bool can_have_one(void)
{
	return !UNDER_THREAD_SANITIZER && !is_under_valgrind();
}

/* Between two guards. NULL when there is no memory. */
static char *make_stack(void)
{
	char *const pages = mmap(NULL, STACK_BYTES + 2 * GUARD_BYTES, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return NULL;
	if (mprotect(pages + GUARD_BYTES, STACK_BYTES, PROT_READ | PROT_WRITE) == 0)
		return pages + GUARD_BYTES;
	munmap(pages, STACK_BYTES + 2 * GUARD_BYTES);
	return NULL;
}

static void unmake_stack(char *stack)
{
	if (stack)
		munmap(stack - GUARD_BYTES, STACK_BYTES + 2 * GUARD_BYTES);
}

static void clone_heir(struct cadre_heir *heir, int worker_pidfd)
{
	/* At the lower end: calls come from the upper one, and take less than a page. */
	struct legacy *const legacy = (struct legacy *)(void *)heir->stack;
	sigset_t all, before;

	legacy->death = (struct pollfd){ .fd = worker_pidfd, .events = POLLIN };
	legacy->courtesy = cadre_clock_timespec(COURTESY_NS);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	/* No signal at its end: it is none of those children that a handler waits for. */
	heir->pid = clone(inherit, heir->stack + STACK_BYTES, CLONE_VM | CLONE_PIDFD,
			  legacy, &heir->pidfd);
	if (heir->pid < 0)
		heir->pidfd = -1;
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void cadre_heir_appoint(struct cadre_heir *heir)
{
	int self;

	*heir = (struct cadre_heir){ .pidfd = -1 };
	if (!can_have_one())
		return;
	self = cadre_process_open((struct cadre_identity){ .pid = getpid() });
	if (self < 0)
		return;
	heir->stack = make_stack();
	if (heir->stack)
		clone_heir(heir, self);
	close(self);
}

/* Returns whether it is gone. */
static bool send_away(int pidfd)
{
	/* Refused to a worker that gave its rights up since. */
	if (cadre_process_kill(pidfd, SIGKILL) < 0)
		return false;
	/* __WALL: its end sends no signal. */
	while (waitid(P_PIDFD, (id_t)pidfd, NULL, WEXITED | __WALL) < 0) {
		if (errno != EINTR)
			break;
	}
	return true;
}

void cadre_heir_dismiss(struct cadre_heir *heir)
{
	if (heir->pidfd < 0 || send_away(heir->pidfd))
		unmake_stack(heir->stack);
	if (heir->pidfd >= 0)
		close(heir->pidfd);
	*heir = (struct cadre_heir){ .pidfd = -1 };
}
