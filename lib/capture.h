/*
 * capture.h - a process that dies of a signal writes down where it was.
 *
 * Handlers for SEGV, BUS, ILL, FPE, ABRT, SYS and TRAP walk the stack of the thread that
 * failed (frames.h), complete the crash record, and let the signal come again with its default
 * action: the parent sees the true signal, and a core dump shows the place of the fault.
 * None of it allocates; a fault or a standstill in it ends the process (after
 * CADRE_CAPTURE_SECONDS at the latest).
 *
 * An action that is not the default one when it is installed stays: a program that handles
 * SEGV itself means it. AddressSanitizer's is the exception: it runs after ours.
 */
#ifndef CADRE_CAPTURE_H
#define CADRE_CAPTURE_H

#include "crash.h"

#include <sys/types.h>

#define CADRE_CAPTURE_SECONDS 2u

/* What a thread was doing. Job 0: nothing. */
struct cadre_occupation {
	uint64_t job;
	int32_t operation;
};

/* Where the record goes. The functions are called in the handler: they may only look. */
struct cadre_capture {
	struct cadre_crash *crash;
	uint32_t incarnation;
	/* Asked before anything is written: is the record still ours? */
	bool (*is_ours)(const void *context);
	/* An ABRT from outside is about a thread that hangs, and comes to any: which one is it?
	 * 0: whoever has it. */
	pid_t (*find_hung)(const void *context);
	/* Of the calling thread. */
	struct cadre_occupation (*occupation)(void);
	const void *context;
};

/* From here on crashes of this process are written down. One per process; a later one takes
 * the place of an earlier one. `capture` is copied. Also does cadre_capture_thread_begin for
 * the calling thread. Negative errno when there is no memory for a stack of their own. */
int cadre_capture_begin(const struct cadre_capture *capture);

/* No more: the actions that are still ours become what they were. For the thread that
 * began. Does nothing when `context` is not that of the capture under way. */
void cadre_capture_end(const void *context);

/* A stack for the handler, so that a thread whose own is used up can tell of it. One that
 * the thread has already stays. Each thread for itself. */
int cadre_capture_thread_begin(void);
void cadre_capture_thread_end(void);

#endif
