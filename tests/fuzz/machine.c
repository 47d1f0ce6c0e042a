/*
 * machine.c - the world outside of the target, as far as the library asks for it. The linker
 * puts these functions (__wrap_NAME) in place of NAME; CMakeLists.txt lists them.
 *
 * Time passes when somebody looks at it or sleeps, so nothing takes long and each run is
 * like the last. No process that a script names is ever opened, forked or killed.
 */
#include "fuzz.h"

#include "control.h"
#include "process.h"
#include "segment.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BEGIN_NS INT64_C(1000000000000)
#define LOOK_NS 500

struct fuzz_machine fuzz_machine;

void fuzz_machine_begin(void)
{
	fuzz_machine = (struct fuzz_machine){ .now_ns = BEGIN_NS };
}

static void sleep_for(int64_t ns)
{
	FUZZ_CHECK(ns >= 0);
	if (ns > INT64_MAX / 4 - fuzz_machine.now_ns)
		ns = 0;
	fuzz_machine.now_ns += ns;
	if (fuzz_machine.slept)
		fuzz_machine.slept(fuzz_machine.context);
}

static void sleep_for_timespec(const struct timespec *time)
{
	/* Any other is refused by the kernel, so whoever sleeps in a loop would spin. */
	FUZZ_CHECK(time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < 1000000000);
	sleep_for(time->tv_sec > 1000000 ? 0 : time->tv_sec * 1000000000 + time->tv_nsec);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_nanosleep(const struct timespec *time, struct timespec *ret_left);
int __wrap_ppoll(struct pollfd *looks, nfds_t count, const struct timespec *timeout,
		 const void *signals);
int __wrap_cadre_futex_wait(_Atomic uint32_t *word, uint32_t seen, uint32_t bits,
			    int64_t timeout_ns);
int __wrap_cadre_futex_wake(_Atomic uint32_t *word, int most, uint32_t bits);
pid_t __wrap_cadre_lock_holder(const char *pool);
int __wrap_cadre_control_ask(const char *pool, const struct cadre_control *question,
			     int64_t until_ns, struct cadre_control *ret_answer);
struct cadre_identity __wrap_cadre_process_self(void);
uint64_t __wrap_cadre_process_start_time(pid_t pid);
bool __wrap_cadre_process_maps(pid_t pid, const char *path);
int __wrap_cadre_process_open(struct cadre_identity who);
bool __wrap_cadre_process_is_dead(int pidfd);
int __wrap_cadre_process_kill(int pidfd, int signal_number);
int __wrap_cadre_spawn_worker(const struct cadre_source *source,
			      const struct cadre_view *view, const struct cadre_seat *seat,
			      struct cadre_child *ret_child);
int __wrap_cadre_layout_open(const char *pool, bool writable, struct cadre_view *ret_view,
			     struct cadre_diag *diag);
void __wrap_cadre_segment_close(struct cadre_segment *segment);
void __real_cadre_segment_close(struct cadre_segment *segment);

/* ---- time ---- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	(void)clock;
	fuzz_machine.now_ns += LOOK_NS;
	ret_now->tv_sec = fuzz_machine.now_ns / 1000000000;
	ret_now->tv_nsec = fuzz_machine.now_ns % 1000000000;
	return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *ret_left)
{
	(void)ret_left;
	sleep_for_timespec(time);
	return 0;
}

int __wrap_ppoll(struct pollfd *looks, nfds_t count, const struct timespec *timeout,
		 const void *signals)
{
	(void)looks;
	(void)count;
	(void)signals;
	sleep_for_timespec(timeout);
	return 0;
}

int __wrap_cadre_futex_wait(_Atomic uint32_t *word, uint32_t seen, uint32_t bits,
			    int64_t timeout_ns)
{
	fuzz_read((const void *)word, sizeof(*word));
	(void)seen;
	(void)bits;
	sleep_for(timeout_ns);
	return -ETIMEDOUT;
}

int __wrap_cadre_futex_wake(_Atomic uint32_t *word, int most, uint32_t bits)
{
	fuzz_read((const void *)word, sizeof(*word));
	(void)most;
	return bits & 1;
}

/* ---- others ---- */

pid_t __wrap_cadre_lock_holder(const char *pool)
{
	(void)pool;
	return fuzz_machine.alone ? 0 : 1;
}

/* A supervisor that leases whatever window it likes. */
int __wrap_cadre_control_ask(const char *pool, const struct cadre_control *question,
			     int64_t until_ns, struct cadre_control *ret_answer)
{
	(void)pool;
	(void)until_ns;
	if (!ret_answer)
		return 0;
	*ret_answer = cadre_control_message(CADRE_CONTROL_ANSWER);
	if (question->kind != CADRE_CONTROL_HELLO)
		return 0;
	ret_answer->place = fuzz_machine.answer_place;
	ret_answer->incarnation = 1;
	if (fuzz_machine.leased_place)
		atomic_store(&fuzz_machine.leased_place->nonce, question->nonce);
	return 0;
}

struct cadre_identity __wrap_cadre_process_self(void)
{
	return (struct cadre_identity){ .pid = 1, .start_time = 1 };
}

/* Every other pid is one of a process. */
int __wrap_cadre_process_open(struct cadre_identity who)
{
	FUZZ_CHECK(who.pid >= 0 && who.pid <= CADRE_PLACE_PID_MAX);
	return who.pid & 1 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -ESRCH;
}

uint64_t __wrap_cadre_process_start_time(pid_t pid)
{
	return pid > 0 ? 1 : 0;
}

bool __wrap_cadre_process_maps(pid_t pid, const char *path)
{
	(void)path;
	return pid & 2;
}

bool __wrap_cadre_process_is_dead(int pidfd)
{
	FUZZ_CHECK(pidfd >= 0);
	return fuzz_machine.all_dead;
}

int __wrap_cadre_process_kill(int pidfd, int signal_number)
{
	FUZZ_CHECK(pidfd >= 0);
	(void)signal_number;
	return 0;
}

int __wrap_cadre_spawn_worker(const struct cadre_source *source,
			      const struct cadre_view *view,
			      const struct cadre_seat *seat, struct cadre_child *ret_child)
{
	(void)source;
	FUZZ_CHECK(seat->worker < view->limits.workers);
	if (seat->incarnation & 1)
		return -EAGAIN;
	*ret_child = (struct cadre_child){
		.pid = 1,
		.pidfd = open("/dev/null", O_RDONLY | O_CLOEXEC),
		.start_fd = -1,
	};
	return 0;
}

/* ---- the segment ---- */

int __wrap_cadre_layout_open(const char *pool, bool writable, struct cadre_view *ret_view,
			     struct cadre_diag *diag)
{
	const struct cadre_segment segment = fuzz_mapped();

	(void)writable;
	return cadre_layout_view(pool, segment, ret_view, diag);
}

/* The segment of the targets stays where it is. */
void __wrap_cadre_segment_close(struct cadre_segment *segment)
{
	if (segment->base == fuzz_mapped().base)
		*segment = (struct cadre_segment){ 0 };
	else
		__real_cadre_segment_close(segment);
}
