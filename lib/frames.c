#include "frames.h"
#include "platform.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

#define DROPPED_MAX 65536u /* a recursion without end is not followed to its begin */

/* ---- memory that may not be there ---- */

/* Copies without faulting. */
static bool peek(uint64_t address, void *into, size_t size)
{
	const struct iovec here = { .iov_base = into, .iov_len = size };
	const struct iovec there = { .iov_base = (void *)(uintptr_t)address, /* NOLINT */
				     .iov_len = size };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* ---- what is mapped where ---- */

/* A line of /proc/self/maps. */
struct mapping {
	uint64_t start, end, offset;
	bool executable;
	char path[CADRE_BACKTRACE_PATH];
};

/* The file, a buffer at a time. Static: the handler's stack is small and there is one. */
static struct {
	int fd;
	size_t length, at;
	char bytes[4096];
} maps;

static int next_char(void)
{
	if (maps.at == maps.length) {
		const ssize_t got = read(maps.fd, maps.bytes, sizeof(maps.bytes));

		if (got <= 0)
			return -1;
		maps.length = (size_t)got;
		maps.at = 0;
	}
	return (unsigned char)maps.bytes[maps.at++];
}

static bool open_maps(void)
{
	maps.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	maps.length = 0;
	maps.at = 0;
	return maps.fd >= 0;
}

/* Reads a number of that base, and what ends it. */
static uint64_t read_number(unsigned base, int *ret_end)
{
	uint64_t number = 0;

	for (;;) {
		const int c = next_char();
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		else
			digit = base;
		if (digit >= base) {
			*ret_end = c;
			return number;
		}
		number = number * base + digit;
	}
}

/* "start-end rwxp offset dev inode      path" */
static bool next_mapping(struct mapping *ret_mapping)
{
	size_t length = 0;
	int c;

	ret_mapping->start = read_number(16, &c);
	if (c != '-')
		return false;
	ret_mapping->end = read_number(16, &c);
	for (int i = 0; i < 4; i++) {
		c = next_char();
		if (i == 2)
			ret_mapping->executable = c == 'x';
	}
	next_char();
	ret_mapping->offset = read_number(16, &c);
	for (int blanks = 0; blanks < 2;)
		blanks += (c = next_char()) == ' ' || c < 0 || c == '\n';
	while (c == ' ')
		c = next_char();
	for (; c >= 0 && c != '\n'; c = next_char()) {
		if (length < sizeof(ret_mapping->path) - 1)
			ret_mapping->path[length++] = (char)c;
	}
	ret_mapping->path[length] = '\0';
	return c >= 0;
}

static bool is_code(uint64_t address)
{
	struct mapping mapping;
	bool found = false;

	if (!open_maps())
		return false;
	while (!found && next_mapping(&mapping))
		found = mapping.executable && address >= mapping.start &&
			address < mapping.end;
	close(maps.fd);
	return found;
}

/* ---- which build of a file it is ---- */

/* The note of a mapped ELF file: some bytes of its first mapping. */
static void read_build_id(uint64_t start, struct cadre_module *module)
{
	ElfW(Ehdr) header;

	if (!peek(start, &header, sizeof(header)) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_phentsize != sizeof(ElfW(Phdr)))
		return;
	for (unsigned i = 0; i < header.e_phnum && i < 64; i++) {
		ElfW(Phdr) part;
		uint64_t at;

		if (!peek(start + header.e_phoff + i * sizeof(part), &part, sizeof(part)))
			return;
		if (part.p_type != PT_NOTE || part.p_filesz > 4096)
			continue;
		for (at = part.p_offset; at + 16 <= part.p_offset + part.p_filesz;) {
			ElfW(Nhdr) note;

			if (!peek(start + at, &note, sizeof(note)))
				return;
			if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
			    note.n_descsz <= CADRE_BUILD_ID_MAX) {
				if (peek(start + at + sizeof(note) + 4, module->build_id,
					 note.n_descsz))
					module->build_id_length = note.n_descsz;
				return;
			}
			at += sizeof(note) + (note.n_namesz + UINT64_C(3)) / 4 * 4 +
			      (note.n_descsz + UINT64_C(3)) / 4 * 4;
		}
	}
}

static uint32_t module_named(struct cadre_backtrace *trace, const struct mapping *mapping,
			     uint64_t first_start)
{
	struct cadre_module *module;

	for (uint32_t i = 0; i < trace->module_count; i++) {
		if (strcmp(trace->modules[i].path, mapping->path) == 0)
			return i;
	}
	if (trace->module_count == CADRE_BACKTRACE_MODULES)
		return CADRE_NO_MODULE;
	module = &trace->modules[trace->module_count];
	module->build_id_length = 0;
	memcpy(module->path, mapping->path, sizeof(module->path));
	if (first_start)
		read_build_id(first_start, module);
	return trace->module_count++;
}

/* Addresses to modules and offsets, in one walk through the maps. */
static void name_frames(struct cadre_backtrace *trace)
{
	static struct mapping mapping, first; /* of the file: where its header lies */

	first.start = 0;
	first.path[0] = '\0';
	if (!open_maps())
		return;
	while (next_mapping(&mapping)) {
		if (mapping.offset == 0)
			first = mapping;
		if (!mapping.executable || mapping.path[0] == '\0')
			continue;
		for (uint32_t i = 0; i < trace->frame_count; i++) {
			struct cadre_frame *const frame = &trace->frames[i];
			const bool headed = strcmp(first.path, mapping.path) == 0;

			if (frame->module != CADRE_NO_MODULE ||
			    frame->offset < mapping.start || frame->offset >= mapping.end)
				continue;
			frame->module = module_named(trace, &mapping,
						     headed ? first.start : 0);
			if (frame->module != CADRE_NO_MODULE)
				frame->offset += mapping.offset - mapping.start;
		}
	}
	close(maps.fd);
}

/* ---- the walk ---- */

struct walk {
	struct cadre_backtrace *trace;
	uint64_t fault; /* the frames above it are the handler's own */
	bool reached;
};

static void add_frame(struct cadre_backtrace *trace, uint64_t address)
{
	struct cadre_frame *frame;

	if (trace->frame_count == CADRE_BACKTRACE_FRAMES) {
		trace->frames_dropped++;
		return;
	}
	frame = &trace->frames[trace->frame_count++];
	frame->offset = address;
	frame->module = CADRE_NO_MODULE;
}

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *argument)
{
	struct walk *const walk = argument;
	int before = 0;
	const uint64_t address = (uint64_t)_Unwind_GetIPInfo(context, &before);

	if (address == 0)
		return _URC_END_OF_STACK;
	if (!walk->reached) {
		walk->reached = address == walk->fault;
		if (walk->reached)
			add_frame(walk->trace, address);
		return _URC_NO_REASON;
	}
	add_frame(walk->trace, before ? address : address - 1);
	return walk->trace->frames_dropped == DROPPED_MAX ? _URC_END_OF_STACK :
							    _URC_NO_REASON;
}

#if defined(__x86_64__)
static uint64_t counter_of(const ucontext_t *context)
{
	return (uint64_t)context->uc_mcontext.gregs[REG_RIP];
}

/* A call to where no code is: as if the callee had returned. False when that cannot be. */
static bool step_back_from_nowhere(ucontext_t *context)
{
	uint64_t caller;

	if (!peek((uint64_t)context->uc_mcontext.gregs[REG_RSP], &caller, sizeof(caller)) ||
	    !is_code(caller))
		return false;
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)(caller - 1);
	context->uc_mcontext.gregs[REG_RSP] += 8;
	return true;
}
#elif defined(__aarch64__)
static uint64_t counter_of(const ucontext_t *context)
{
	return context->uc_mcontext.pc;
}

static bool step_back_from_nowhere(ucontext_t *context)
{
	if (!is_code(context->uc_mcontext.regs[30]))
		return false;
	context->uc_mcontext.pc = context->uc_mcontext.regs[30] - 4;
	return true;
}
#else
static uint64_t counter_of(const ucontext_t *context)
{
	(void)context;
	return 0;
}

static bool step_back_from_nowhere(ucontext_t *context)
{
	(void)context;
	return false;
}
#endif

static void walk_stack(struct cadre_backtrace *trace, ucontext_t *context)
{
	const uint64_t fault = counter_of(context);
	struct walk walk = { .trace = trace, .fault = fault };
	ucontext_t true_context;

	if (!is_code(fault)) {
		add_frame(trace, fault);
		true_context = *context;
		if (!step_back_from_nowhere(context))
			return;
		walk.fault = counter_of(context);
		_Unwind_Backtrace(visit, &walk);
		/* The core dump is to show what was. */
		context->uc_mcontext = true_context.uc_mcontext;
		return;
	}
	_Unwind_Backtrace(visit, &walk);
	if (!walk.reached)
		add_frame(trace, fault);
}

void cadre_frames_walk(struct cadre_backtrace *trace, ucontext_t *context)
{
	trace->frame_count = 0;
	trace->frames_dropped = 0;
	trace->module_count = 0;
	walk_stack(trace, context);
	name_frames(trace);
}

static _Unwind_Reason_Code look_only(struct _Unwind_Context *context, void *argument)
{
	(void)context;
	(void)argument;
	return _URC_NO_REASON;
}

void cadre_frames_warm_up(void)
{
	/* A process that is forked has it, and what it stands for. */
	static bool is_warm;
	struct mapping mapping;
	char byte = 0, copy;

	if (is_warm)
		return;
	_Unwind_Backtrace(look_only, NULL);
	peek((uint64_t)(uintptr_t)&byte, &copy, sizeof(copy));
	if (open_maps()) {
		next_mapping(&mapping);
		close(maps.fd);
	}
	is_warm = true;
}
