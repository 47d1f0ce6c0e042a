/*
 * frames.h - where a thread is that has just got a fatal signal: its frames, as offsets in
 * files, from within the signal's handler.
 *
 * libgcc's unwinder takes no lock and no memory (with glibc's lock-free _dl_find_object);
 * files are named from /proc/self/maps through a static buffer, so there is one handler at a
 * time; memory that may not be there is read by process_vm_readv, which does not fault. What
 * follows from the signal is the business of capture.h.
 */
#ifndef CADRE_FRAMES_H
#define CADRE_FRAMES_H

#include <cadre/backtrace.h>

#include <ucontext.h>

/* What is bound or loaded at its first use is used once before it must not be. Once for a process
 * and all that it forks afterwards. Not for several threads at a time. */
void cadre_frames_warm_up(void);

/* Fills in frames and modules. `context` is the handler's, and what it was afterwards. */
void cadre_frames_walk(struct cadre_backtrace *trace, ucontext_t *context);

#endif
