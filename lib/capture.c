#include "capture.h"
#include "frames.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (128u << 10) /* of a handler; the unwinder wants a fraction of it */
#define GUARD_BYTES (4u << 10)

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE,
				     SIGABRT, SIGSYS, SIGTRAP };

/* The stack that this thread was given by us; NULL for none. */
static _Thread_local unsigned char *own_stack __attribute__((tls_model("initial-exec")));

static struct cadre_capture target;
static pid_t target_pid; /* a fork of the process is not the worker */
static struct sigaction actions_before[CADRE_COUNT_OF(fatal_signals)];
static bool is_installed[CADRE_COUNT_OF(fatal_signals)];
static atomic_flag is_taken = ATOMIC_FLAG_INIT; /* by the first thread that crashes */
static _Atomic bool was_forwarded;
static int dying_of; /* for the watchdog */

/* ---- in the handler ---- */

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool has_address(int number)
{
	return number == SIGSEGV || number == SIGBUS || number == SIGILL ||
	       number == SIGFPE;
}

static void write_record(int number, const siginfo_t *info, ucontext_t *context)
{
	struct cadre_crash *const crash = target.crash;
	struct cadre_backtrace *const trace = &crash->trace;
	const struct cadre_occupation occupation = target.occupation();

	cadre_crash_begin(crash, target.incarnation, target_pid);
	trace->thread = (int32_t)syscall(SYS_gettid);
	trace->pid = target_pid;
	trace->incarnation = target.incarnation;
	trace->signal_number = number;
	trace->code = info->si_code;
	trace->address = has_address(number) && info->si_code > 0 ?
				 (uint64_t)(uintptr_t)info->si_addr :
				 0;
	trace->job = occupation.job;
	trace->operation = occupation.operation;
	trace->at_ns = monotonic_ns();
	CADRE_KILL_POINT("Z1");
	cadre_frames_walk(trace, context);
	cadre_crash_complete(crash, target.incarnation, target_pid);
	CADRE_KILL_POINT("Z2");
}

static void take_default(int number)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };

	sigemptyset(&plain.sa_mask);
	sigaction(number, &plain, NULL);
}

/* The walk stands still: a lock that the fault left, say. End as we would have ended. */
static void watchdog(int number)
{
	sigset_t set;

	(void)number;
	take_default(dying_of);
	sigemptyset(&set);
	sigaddset(&set, dying_of);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), dying_of);
}

static void set_watchdog(int number)
{
	struct sigaction action = { .sa_handler = watchdog, .sa_flags = SA_ONSTACK };
	sigset_t set;

	dying_of = number;
	sigfillset(&action.sa_mask);
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	alarm(CADRE_CAPTURE_SECONDS);
}

/* True when the signal was passed on to the thread that it is about. */
static bool forward(int number, const siginfo_t *info)
{
	pid_t hung;

	if (number != SIGABRT || info->si_code != SI_USER || atomic_load(&was_forwarded))
		return false;
	hung = target.find_hung(target.context);
	if (hung == 0 || hung == (pid_t)syscall(SYS_gettid))
		return false;
	atomic_store(&was_forwarded, true);
	return syscall(SYS_tgkill, target_pid, hung, number) == 0;
}

static unsigned index_of(int number)
{
	unsigned i = 0;

	while (i < CADRE_COUNT_OF(fatal_signals) - 1 && fatal_signals[i] != number)
		i++;
	return i;
}

/* The same signal again, with all that the kernel said of it, to this thread. It is blocked
 * while its handler runs, so it arrives when that returns, at the place of the fault. */
static void let_it_come_again(int number, siginfo_t *info)
{
	sigaction(number, &actions_before[index_of(number)], NULL);
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), number, info) < 0)
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), number);
}

static void on_crash(int number, siginfo_t *info, void *context)
{
	const int error = errno;

	if (getpid() == target_pid && target.is_ours(target.context)) {
		if (forward(number, info)) {
			errno = error;
			return;
		}
		/* Only the first of several threads writes; the others wait to be ended with it. */
		while (atomic_flag_test_and_set(&is_taken))
			pause();
		set_watchdog(number);
		write_record(number, info, context);
	}
	let_it_come_again(number, info);
	errno = error;
}

/* ---- begin and end ---- */

int cadre_capture_thread_begin(void)
{
	const size_t size = STACK_BYTES + GUARD_BYTES;
	stack_t stack;
	unsigned char *memory;

	/* AddressSanitizer, or the program, gave this thread one. */
	if (sigaltstack(NULL, &stack) == 0 && !(stack.ss_flags & SS_DISABLE))
		return 0;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	mprotect(memory, GUARD_BYTES, PROT_NONE);
	stack = (stack_t){ .ss_sp = memory + GUARD_BYTES, .ss_size = STACK_BYTES };
	if (sigaltstack(&stack, NULL) < 0) {
		munmap(memory, size);
		return -errno;
	}
	own_stack = memory;
	return 0;
}

void cadre_capture_thread_end(void)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	if (!own_stack)
		return;
	sigaltstack(&none, NULL);
	munmap(own_stack, STACK_BYTES + GUARD_BYTES);
	own_stack = NULL;
}

/* True where AddressSanitizer reports faults: its handlers end the process, so they come
 * after ours, and a program of which only a part was built with it is served as well. */
static bool has_address_sanitizer(void)
{
	return dlsym(RTLD_DEFAULT, "__asan_init") != NULL;
}

/* Signal actions are the whole process's: of several workers in one, which only a program
 * with local workers has, the first is the one whose record is written. */
static pthread_mutex_t begin_lock = PTHREAD_MUTEX_INITIALIZER;

static void begin(const struct cadre_capture *capture)
{
	const bool shares = has_address_sanitizer();
	struct sigaction action = { .sa_sigaction = on_crash,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };

	target = *capture;
	target_pid = getpid();
	cadre_frames_warm_up();
	monotonic_ns();
	/* A fault in the handler comes while each of these is blocked, which ends the process. */
	sigemptyset(&action.sa_mask);
	for (unsigned i = 0; i < CADRE_COUNT_OF(fatal_signals); i++)
		sigaddset(&action.sa_mask, fatal_signals[i]);
	for (unsigned i = 0; i < CADRE_COUNT_OF(fatal_signals); i++) {
		struct sigaction before;

		sigaction(fatal_signals[i], NULL, &before);
		if (before.sa_sigaction == on_crash ||
		    (before.sa_handler != SIG_DFL && !shares))
			continue;
		actions_before[i] = before;
		is_installed[i] = sigaction(fatal_signals[i], &action, NULL) == 0;
	}
}

int cadre_capture_begin(const struct cadre_capture *capture)
{
	const int r = cadre_capture_thread_begin();

	if (r < 0)
		return r;
	pthread_mutex_lock(&begin_lock);
	if (!target.crash || target_pid != getpid())
		begin(capture);
	pthread_mutex_unlock(&begin_lock);
	return 0;
}

static void end(void)
{
	for (unsigned i = 0; i < CADRE_COUNT_OF(fatal_signals); i++) {
		struct sigaction now;

		if (is_installed[i] && sigaction(fatal_signals[i], NULL, &now) == 0 &&
		    now.sa_sigaction == on_crash)
			sigaction(fatal_signals[i], &actions_before[i], NULL);
		is_installed[i] = false;
	}
	target.crash = NULL;
}

void cadre_capture_end(const void *context)
{
	pthread_mutex_lock(&begin_lock);
	if (target.crash && target.context == context)
		end();
	pthread_mutex_unlock(&begin_lock);
	cadre_capture_thread_end();
}
