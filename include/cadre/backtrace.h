/*
 * backtrace.h - where a worker was when it crashed.
 *
 * A worker that dies of a fault (or of the abort that ends a hung one) leaves its call chain
 * in the segment, as offsets in files: that is all that a dying process can do in safety.
 * Whoever wants to read it turns the offsets into functions and lines here, later, in a
 * process of his own.
 */
#ifndef CADRE_BACKTRACE_H
#define CADRE_BACKTRACE_H

#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>

CADRE_BEGIN_DECLS

#define CADRE_BACKTRACE_FRAMES 64
#define CADRE_BACKTRACE_MODULES 10
#define CADRE_BACKTRACE_PATH 176
#define CADRE_BUILD_ID_MAX 20
#define CADRE_NO_MODULE UINT32_MAX

/* A file of which the process had code mapped. */
struct cadre_module {
	char path[CADRE_BACKTRACE_PATH]; /* as the kernel named it: "/usr/lib/x.so", "[vdso]" */
	uint32_t build_id_length;        /* 0: unknown */
	unsigned char build_id[CADRE_BUILD_ID_MAX];
};

/* One call. */
struct cadre_frame {
	uint64_t offset; /* in the module's file; without a module: the address. Of callers it
			  * is one byte before the return address, so inside of the call */
	uint32_t module; /* index, or CADRE_NO_MODULE */
};

/* A value: it stays what it is, whatever becomes of segment and pool. */
struct cadre_backtrace {
	int32_t pid;
	int32_t thread; /* its id; that of the main thread is the pid */
	uint32_t incarnation;
	int32_t signal_number;
	int32_t code; /* si_code of the signal */
	uint64_t address; /* that could not be read, written or executed; 0 for other signals */
	uint64_t job; /* that the thread ran, as cadre_job_id; 0 for none */
	int32_t operation;
	int64_t at_ns; /* CLOCK_MONOTONIC */
	uint32_t frame_count;
	uint32_t frames_dropped; /* innermost first, so these are the outermost */
	struct cadre_frame frames[CADRE_BACKTRACE_FRAMES];
	uint32_t module_count;
	struct cadre_module modules[CADRE_BACKTRACE_MODULES];
};

enum {
	CADRE_BACKTRACE_RAW = 1u << 0, /* opens no file: modules and offsets only */
};

/* Writes one line for the signal and one for each call, innermost first, each ended by a
 * newline: function, file and line where debug information is found, "module+0xoffset" where
 * not. Inlined calls get a line each. Opens the modules' files for reading, after it was
 * seen that they still are what the worker had loaded (by build id), and what debug files
 * libdw finds for them; when libdw.so.1 is not installed it does without. Returns the
 * length of the whole text, as snprintf does, however much of it fitted. May take seconds
 * for large files. Any thread; not in a signal handler. */
CADRE_API size_t cadre_backtrace_format(const struct cadre_backtrace *backtrace,
					unsigned flags, char *text, size_t size);

CADRE_END_DECLS
#endif
