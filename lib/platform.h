/*
 * platform.h - what all of the library assumes about compiler and machine.
 *
 * Also the kill points: CADRE_KILL_POINT("W6") marks a line at which a test may kill the
 * process. The labels are those of the life of a job in README.md. They compile to nothing
 * unless CADRE_KILL_POINTS is defined, which only the tests' build of the library does.
 */
#ifndef CADRE_PLATFORM_H
#define CADRE_PLATFORM_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/single_threaded.h>

#define CADRE_CACHE_LINE 64

static_assert(ATOMIC_LLONG_LOCK_FREE == 2,
	      "a lock hidden in an atomic would not span processes");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "a futex word must be a plain integer");
static_assert(sizeof(_Atomic uint64_t) == 8, "segment layout");
static_assert(sizeof(_Atomic uint32_t) == 4, "segment layout");

#define CADRE_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A plain field that another process may change at any moment, read once: the compiler may
 * not repeat the load, so what was checked is what is used. Who owns nothing (a report,
 * a check) believes it only if the word of its slot stayed the same. */
#define CADRE_READ_ONCE(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

/* Tells the CPU that this is a spin. */
static inline void cadre_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

/* A wait of some 10 ns, where a pause takes 25, or 40 on other CPUs. It is less kind to who shares
 * the core, so not for long. */
static inline void cadre_pause_briefly(void)
{
#if defined(__x86_64__)
	(void)__builtin_ia32_rdtsc();
#else
	cadre_pause();
#endif
}

/* Asks for a line that is going to be written, before it is needed. A hint that faults
 * nowhere. The compiler's own builtin asks for a shared copy only, unless it is told of a CPU
 * that knows better; where a CPU does not, the instruction does nothing. */
static inline void cadre_prefetch_to_write(const void *line)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)line));
#else
	__builtin_prefetch(line, 1);
#endif
}

/* What each job passes: whatever it calls becomes a part of it. What hardly any job passes
 * stays outside. */
#define CADRE_EACH_JOB __attribute__((flatten))
#define CADRE_RARELY __attribute__((noinline))

/* True while this process has no other thread of the C library: what threads agree on by a read-modify-write is
 * a load and a store then. Each of them would wait for all stores before it, and those may be
 * waiting for lines of other processes. Only of memory that is private to the process. */
static inline bool cadre_is_single_threaded(void)
{
	return __libc_single_threaded;
}

#ifdef CADRE_KILL_POINTS
void cadre_kill_point(const char *label);
#define CADRE_KILL_POINT(label) cadre_kill_point(label)
#else
#define CADRE_KILL_POINT(label) ((void)0)
#endif

#endif
