/*
 * process.h - is that process still the one we mean, and is it alive?
 *
 * A pid alone is reused; pid and start time are not. A process is dead when its pidfd
 * polls readable, and for no other reason: no timeout, no kill(pid, 0).
 */
#ifndef CADRE_PROCESS_H
#define CADRE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cadre_identity {
	pid_t pid;
	uint64_t start_time; /* clock ticks since boot, field 22 of /proc/PID/stat; 0: unknown */
};

/* Start time of a process; 0 when there is none of that pid. */
uint64_t cadre_process_start_time(pid_t pid);

struct cadre_identity cadre_process_self(void);

/* Opens a pidfd of exactly that process. -ESRCH when it is gone (its pid may live on in
 * another process), else negative errno. The descriptor is close-on-exec. */
int cadre_process_open(struct cadre_identity who);

/* True when exactly that process can be opened. */
bool cadre_process_lives(struct cadre_identity who);

/* True only when it is certain that there is none any more. */
bool cadre_process_is_gone(struct cadre_identity who);

/* Opens a pidfd of a child of ours whose zombie, should it be one, nobody collected. */
int cadre_process_open_child(pid_t pid);

/* True once the process behind the pidfd has died. Never blocks. */
bool cadre_process_is_dead(int pidfd);

/* What a process uses. */
struct cadre_usage {
	uint64_t resident_bytes;
	int64_t cpu_ns; /* user and system */
};

/* -ESRCH: it is gone, is another one, or cannot be seen from here. */
int cadre_process_usage(struct cadre_identity who, struct cadre_usage *ret_usage);

/* The name of its program, at most 15 bytes of anything. -ESRCH as above. */
int cadre_process_name(struct cadre_identity who, char *ret_name, size_t size);

/* True while a signal has stopped it. */
bool cadre_process_is_stopped(pid_t pid);

/* True when that process has mapped the file of that path, or when that cannot be seen. */
bool cadre_process_maps(pid_t pid, const char *path);

/* Sends a signal through the pidfd. 0 or negative errno. */
int cadre_process_kill(int pidfd, int signal_number);

/* How many threads this process has; 1 when that cannot be seen. */
unsigned cadre_process_threads(void);

/* The same without the one that ThreadSanitizer keeps in every process. */
unsigned cadre_process_own_threads(void);

/* CPUs that this process may use: affinity, then the quota of its cgroup, rounded up. */
unsigned cadre_process_cpus(void);

/* The CPU that the calling thread runs on, counted from 1; 0 when that cannot be seen. Asks
 * nobody where the C library is registered for restartable sequences. */
uint32_t cadre_process_cpu(void);

/* How long to look for news before sleeping, in nanoseconds: the wish; nothing when that is
 * negative. 0 wishes for what suits: 50 us, or nothing where one CPU is all there is. */
int64_t cadre_process_spin_ns(int64_t wish_ns);

/* Resident memory of a process in bytes; 0 when that cannot be seen. */
uint64_t cadre_process_memory(pid_t pid);

/* The boot id of the running kernel as 64 bits; 0 when unreadable. */
uint64_t cadre_process_boot_id(void);

#endif
